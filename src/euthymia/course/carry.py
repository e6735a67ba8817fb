"""The brain carried from visit to visit: by the engine, through every hour; or by maps, from session to session."""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

from euthymia.course.batch import WATCHED, session_harms
from euthymia.course.batches import Batches, Picked
from euthymia.course.between import (
    SAME_STEPS_D,
    STATES,
    Parameters,
    beginning,
    compiled,
    kept_in,
    looks_a_day,
    with_dose,
    without_dose,
)
from euthymia.course.session_map import BDNF, DAYS, WHOLE_GAP_D, Store, after, mapped
from euthymia.course.setting import Setting, Timing
from euthymia.harm.acute import AcuteHarm
from euthymia.patient.population import Patients, illness_of

NO_BDNF = 1e-9
"""Left by the session before, which changes no score."""
LONG_AGO_D = 10_000
"""Stands for no session before."""


class Dose(NamedTuple):
    """Of sessions, one per patient. number: how many came before; felt: standard normals of dissociation and of blood
    pressure, [2, patients]; share: of each entry of the template, how much of it is given, [entries, patients]; phase:
    of the protocol; amount: in the unit of the drug."""

    number: np.ndarray
    felt: np.ndarray
    share: np.ndarray
    phase: np.ndarray
    amount: np.ndarray


class Carrier(Protocol):
    """What carries the brain."""

    def now(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """What is kept of the brain of these patients, each on a day of their own, [kept, who]."""
        ...

    def advance(
        self, who: np.ndarray, day: np.ndarray, days: np.ndarray, since_d: np.ndarray, dose: Dose | None
    ) -> dict[str, np.ndarray]:
        """So many days on from `day`; what the sessions did, by name, if there are any. since_d: whole days since the
        last session, in which, without a dose, those of a batch are alike up to `SAME_STEPS_D`."""
        ...

    def whole(self) -> np.ndarray:
        """The brain at every look of the course, [looks, kept, patients]."""
        ...

    @property
    def fading(self) -> np.ndarray | None:
        """Where only the days soon after sessions are in `whole`, the rates by which it fades from there, as in
        `session_map.Store`."""
        ...


class AtRest:
    """Where no drug acts. looks: of the course; kept: names of what is kept of the brain."""

    fading = None

    def __init__(self, looks: int, kept: int, patients: int):
        self.every = np.zeros((looks, kept, patients))

    def now(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """As `Carrier.now`."""
        return np.zeros((self.every.shape[1], len(who)))

    def advance(
        self, who: np.ndarray, day: np.ndarray, days: np.ndarray, since_d: np.ndarray, dose: Dose | None
    ) -> dict[str, np.ndarray]:
        """As `Carrier.advance`: nothing changes."""
        return {}

    def whole(self) -> np.ndarray:
        """As `Carrier.whole`."""
        return self.every


class ByEngine:
    """Modes of the drug, states of the brain. setting, timing: of the template of a session; looks: of the course."""

    fading = None

    def __init__(self, setting: Setting, timing: Timing, parameters: Parameters, batches: Batches, looks: int):
        self.setting, self.timing, self.parameters, self.batches = setting, timing, parameters, batches
        self.a_day, n = looks_a_day(timing), len(batches)
        begin = batches.each(
            np.arange(n), lambda people, _: jax.tree.map(np.asarray, beginning(parameters, setting, people))
        )
        self.bound, self.carried = jax.tree.map(lambda *x: np.concatenate(x, axis=-1)[..., :n], *begin)
        self.every = np.zeros((looks, len(kept_in(illness_of(batches.population))), n))

    def now(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """As `Carrier.now`."""
        return self.every[day * self.a_day, :, who].T

    def whole(self) -> np.ndarray:
        """As `Carrier.whole`."""
        return self.every

    def advance(
        self, who: np.ndarray, day: np.ndarray, days: np.ndarray, since_d: np.ndarray, dose: Dose | None
    ) -> dict[str, np.ndarray]:
        """As `Carrier.advance`."""
        fixed = self.parameters, self.setting, self.timing

        def work(
            people: Picked, rows: np.ndarray, day: np.ndarray, days: np.ndarray, since: np.ndarray, *dose: np.ndarray
        ) -> Any:
            bound, carried = jax.tree.map(lambda x: x[..., rows], (self.bound, self.carried))
            if dose:
                carried, every, harms = with_dose(*fixed, people, bound, carried, days, *dose)
            else:
                alike = np.asarray(min(int(since[0]), SAME_STEPS_D))
                carried, every = without_dose(*fixed, people, bound, carried, days, alike)
                harms = {}
            for mine, new in zip(jax.tree.leaves(self.carried), jax.tree.leaves(carried), strict=True):
                mine[..., rows] = new
            self._keep(rows, day, days, np.asarray(every))
            return jax.tree.map(np.asarray, harms)

        more = () if dose is None else (np.stack([dose.number, *dose.felt]), dose.share)
        parts = self.batches.each(who, work, day, days, since_d, *more)
        return jax.tree.map(lambda *x: np.concatenate(x)[: len(who)], *parts)

    def _keep(self, who: np.ndarray, day: np.ndarray, days: np.ndarray, every: np.ndarray) -> None:
        for k in range(1, int(days.max()) * self.a_day + 1):
            gone = np.flatnonzero(days * self.a_day >= k)
            self.every[day[gone] * self.a_day + k, :, who[gone]] = every[k][:, gone].T


class ByMaps:
    """The days after the last session, as its map says. In depression, where a look at the end of every day is enough.

    share_of: of each entry of the template, how much a dose of a phase is in all patients, [entries, patients];
    known_of: uncertain parameters and setting of some patients.
    """

    def __init__(self, store: Store, share_of: Any, batches: Batches, known_of: Any, days: int):
        self.store, self.share_of, self.batches, self.known_of = store, share_of, batches, known_of
        n = len(batches)
        self.ahead, self.last_d = np.zeros((DAYS, 5, n)), np.full(n, -LONG_AGO_D)
        self.days = days + 1
        self.every = store.room(self.days + DAYS)  # a session on the last day has days beyond it
        self.every[0] = 0.0
        self.seen = np.zeros((5, n))  # a dose is given at a visit, at which the state was asked for
        self.numbers: dict[tuple[int, float, int], int] = {}

    def now(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """As `Carrier.now`."""
        self.seen[:, who] = found = self._states(who, day)
        return found[: len(STATES)]

    def whole(self) -> np.ndarray:
        """As `Carrier.whole`."""
        return self.every[: self.days]

    @property
    def fading(self) -> np.ndarray:
        """As `Carrier.fading`."""
        return self.store.fading

    def advance(
        self, who: np.ndarray, day: np.ndarray, days: np.ndarray, since_d: np.ndarray, dose: Dose | None
    ) -> dict[str, np.ndarray]:
        """As `Carrier.advance`, of those who are given a dose: the days without one follow from the last map."""
        assert dose is not None
        n, before = len(self.last_d), self.seen[:, who]
        gap_d = np.minimum(day - self.last_d[who], WHOLE_GAP_D)
        peaks = np.empty((len(WATCHED), len(who)))
        for number, at in self._alike(dose, gap_d):
            made, mine = self.store.of(number, who[at]), who[at]
            counts = made.synapses if before[BDNF, at].max() > NO_BDNF else made.synapses[:, :-1]
            synapses, others = (x if len(mine) == n else x.take(mine, axis=-1) for x in (counts, made.others))
            self.ahead[:, :, mine] = new = mapped(synapses, others, before[:, at])
            peaks[:, at] = [made.peaks[name][mine] for name in WATCHED]
            states, row = len(STATES), self.every.reshape(-1)
            first = (day[at] + 1) * states * n + mine  # the day after, where days and states are in a row
            for k in range(DAYS):
                for state in range(states):
                    row[first + (k * states + state) * n] = new[k, state]
        self.last_d[who] = day
        felt = np.stack([dose.number, *dose.felt])
        parts = self.batches.each(
            who, lambda people, rows, *some: _harms(self.known_of(rows)[0], people, *some), peaks, felt
        )
        return jax.tree.map(lambda *x: np.concatenate(x)[: len(who)], *parts)

    def _alike(self, dose: Dose, gap_d: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Numbers of maps, and which of the sessions have each."""
        left = np.arange(len(gap_d))
        while len(left):
            phase, amount, gap = kind = int(dose.phase[left[0]]), float(dose.amount[left[0]]), int(gap_d[left[0]])
            mine = (dose.phase[left] == phase) & (dose.amount[left] == amount) & (gap_d[left] == gap)
            if kind not in self.numbers:
                self.numbers[kind] = self.store.number(self.share_of(phase, amount), gap)
            yield self.numbers[kind], left[mine]
            left = left[~mine]

    def _states(self, who: np.ndarray, day: np.ndarray) -> np.ndarray:
        """The five states of `session_map.STATES`, [states, who]."""
        return after(self.ahead, self.store.fading, who, day - self.last_d[who])


@compiled
def _harms(patients: Patients, peaks: Any, felt: Any) -> dict[str, Any]:
    peak: dict[str, Any] = dict(zip(WATCHED, peaks, strict=True))
    return session_harms(AcuteHarm.from_evidence(), peak, felt[0], patients, felt[1], felt[2])
