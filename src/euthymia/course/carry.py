"""The brain carried from visit to visit: by the engine, through every hour; or by maps, from session to session."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from euthymia.course.batch import session_harms
from euthymia.course.batches import Batches
from euthymia.course.between import SAME_STEPS_D, Parameters, beginning, compiled, with_dose, without_dose
from euthymia.course.session_map import WHOLE_GAP_D, Store, after, days_after
from euthymia.course.setting import Setting, Timing
from euthymia.harm.acute import AcuteHarm
from euthymia.patient.population import Patients

Keep = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""Told which patients went how many days, and the brain at every look from now on [looks, kept, patients]."""


class Dose(NamedTuple):
    """Of sessions, one per patient. number: how many came before; felt: standard normals of dissociation and of blood
    pressure, [2, patients]; share: of each entry of the template, how much of it is given, [entries, patients]; phase:
    of the protocol; amount: in the unit of the drug."""

    number: np.ndarray
    felt: np.ndarray
    share: np.ndarray
    phase: np.ndarray
    amount: np.ndarray


class ByEngine:
    """Modes of the drug and states of the brain of some patients. setting, timing: of the template of a session."""

    def __init__(self, setting: Setting, timing: Timing, parameters: Parameters, batches: Batches):
        self.setting, self.timing, self.parameters, self.batches = setting, timing, parameters, batches
        n = batches.rows.shape[1]
        begin = batches.each(
            np.arange(n), lambda people: jax.tree.map(np.asarray, beginning(parameters, setting, people))
        )
        self.bound, self.carried = jax.tree.map(lambda *x: np.concatenate(x, axis=-1)[..., :n], *begin)

    def advance(self, who: np.ndarray, days: np.ndarray, since_d: np.ndarray, keep: Keep, dose: Dose | None) -> Any:
        """So many days on; what the sessions did, by name, if there are any. since_d: whole days since the last
        session, in which, without a dose, those of a batch are alike up to `SAME_STEPS_D`."""
        fixed = self.parameters, self.setting, self.timing

        def work(people: Patients, rows: np.ndarray, days: np.ndarray, since: np.ndarray, *dose: np.ndarray) -> Any:
            bound, carried = jax.tree.map(lambda x: x[..., rows], (self.bound, self.carried))
            if dose:
                carried, every, harms = with_dose(*fixed, people, bound, carried, days, *dose)
            else:
                alike = np.asarray(min(int(since[0]), SAME_STEPS_D))
                carried, every = without_dose(*fixed, people, bound, carried, days, alike)
                harms = {}
            for mine, new in zip(jax.tree.leaves(self.carried), jax.tree.leaves(carried), strict=True):
                mine[..., rows] = new
            keep(rows, days, np.asarray(every))
            return jax.tree.map(np.asarray, harms)

        more = () if dose is None else (np.stack([dose.number, *dose.felt]), dose.share)
        parts = self.batches.each(who, work, who, days, since_d, *more)
        return jax.tree.map(lambda *x: np.concatenate(x)[: len(who)], *parts)


class ByMaps:
    """What the last session found, and which it was. In depression, where a look at the end of every day is enough.

    share_of: of each entry of the template, how much a dose of a phase is in all patients, [entries, patients].
    """

    def __init__(self, store: Store, share_of: Callable[[int, float], np.ndarray]):
        self.store, self.share_of, n = store, share_of, len(store.patients)
        self.before, self.which, self.ever = np.zeros((5, n)), np.zeros(n, int), np.zeros(n, bool)

    def advance(self, who: np.ndarray, days: np.ndarray, since_d: np.ndarray, keep: Keep, dose: Dose | None) -> Any:
        """As `ByEngine.advance`."""
        harms = {}
        if dose is not None:
            now, gap_d = self._now(who, since_d), np.where(self.ever[who], since_d, WHOLE_GAP_D)
            kinds = np.stack([dose.phase, dose.amount, np.minimum(gap_d, WHOLE_GAP_D)])
            for phase, amount, gap in np.unique(kinds, axis=1).T.tolist():
                mine = who[(kinds == np.array([[phase], [amount], [gap]])).all(0)]
                self.which[mine] = self.store.number(self.share_of(int(phase), amount), int(gap))
            self.before[:, who], self.ever[who], since_d = now, True, np.zeros_like(since_d)
            harms = self._harms(who, dose)
        if self.ever[who].any():
            ahead = np.asarray(days_after(*self._maps(), self.which, self.before, *self._all(who, since_d, days)))
            keep(who, days, ahead[..., who] * self.ever[who])
        return harms

    def _maps(self) -> tuple[Any, Any, Any]:
        assert self.store.maps
        return self.store.maps.synapses, self.store.maps.others, self.store.maps.fading

    def _all(self, who: np.ndarray, *given: np.ndarray) -> list[np.ndarray]:
        """Of all patients, so that compiled code sees one size only; 0 of those who are not asked about."""
        found = [np.zeros(len(self.ever), x.dtype) for x in given]
        for whole, x in zip(found, given, strict=True):
            whole[who] = x
        return found

    def _now(self, who: np.ndarray, since_d: np.ndarray) -> np.ndarray:
        """The states of the brain today, [states, who]."""
        if not self.ever.any():
            return np.zeros((5, len(who)))
        (since,) = self._all(who, since_d)
        return np.asarray(after(*self._maps(), self.which, self.before, since))[:, who] * self.ever[who]

    def _harms(self, who: np.ndarray, dose: Dose) -> dict[str, np.ndarray]:
        assert self.store.maps
        lane = np.arange(len(self.ever))
        peaks = {name: x[self.which, lane] for name, x in self.store.maps.peaks.items()}
        found = _harms(self.store.parameters, peaks, self.store.patients, *self._all(who, dose.number, *dose.felt))
        return {name: np.asarray(x)[who] for name, x in found.items()}


@compiled
def _harms(peaks: Any, patients: Patients, number: Any, dissociation: Any, pressure: Any) -> dict[str, Any]:
    return session_harms(AcuteHarm.from_evidence(), peaks, number, patients, dissociation, pressure)
