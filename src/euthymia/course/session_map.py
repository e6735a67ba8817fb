"""What a session does to the brain, as a map from the state before it to the state on every day after.

Functional potentiation and synapses are affine in themselves (`brain.plasticity`), so that a session of a dose takes
them, whatever they were before, to

    F(d) = f + fF F(0),    S(d) = s + sS S(0) + sC C(0),    C(d) = c + cS S(0) + cC C(0)

on day d after it, with numbers of the patient, the dose and the day alone; once the drug is gone they fade freely. What
an earlier session left of BDNF and of the over-block brake moves these numbers a little, in first order. What it left
of the drug itself is taken as left by the same dose `gap` days before, and as long before that; from `WHOLE_GAP_D` days
on nothing counts. A year of any calendar is then a product of a few such maps: hundreds of regimens can be compared for
the price of simulating one. How far this is from the engine is measured in tests/course/test_session_map.py.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from euthymia import evidence
from euthymia.brain.plasticity import LN2
from euthymia.course.batch import BATCH, WATCHED, WIDE, bind, chain_of
from euthymia.course.between import LONGEST_D, filled
from euthymia.course.engine import Segments
from euthymia.course.setting import Setting, Timing
from euthymia.illness.depression import DAY_H
from euthymia.patient.population import Patients

DAYS = 4
"""Days after a session that are mapped; later the brain fades freely."""
WHOLE_GAP_D = 5
"""From a gap of so many days on, nothing of the drug is left that counts."""
ROOM = 8
"""Maps are stacked in multiples of so many."""
STATES = ("functional", "labile", "consolidated", "over_block", "bdnf")
BEFORE = np.array(
    [
        (f, s, c, q, b)
        for q, b in ((0.0, 0.0), (0.05, 0.0), (0.0, 0.02))
        for f, s, c in ((0, 0, 0), (1, 1, 0), (1, 0, 1))
    ]
)
"""States from which a session is run to find its map, [9, states]: at rest, with functional and labile, with functional
and consolidated; each also after over-block, and after BDNF."""
LEFT_OVER_BLOCK, LEFT_BDNF = 0.05, 0.02


class Maps(NamedTuple):
    """Maps of several sessions in the same patients.

    synapses: [sessions, days, 3, 8, patients], the eight numbers above in that order: without anything left, and what
    one unit of over-block and of BDNF before the session changes; others: [sessions, days, 5, patients], over-block
    (what the session adds; what stays of it) and BDNF (what the session adds; by over-block; by BDNF);
    fading: rates per hour of functional, labile, consolidated, of consolidation, and of over-block, [5, patients];
    peaks: of each watched signal within the session, [sessions, patients].
    """

    synapses: np.ndarray
    others: np.ndarray
    fading: np.ndarray
    peaks: dict[str, np.ndarray]


class Session(NamedTuple):
    """share: of each entry of the template's dose, [entries, patients]; gap_d: whole days since the session before."""

    share: np.ndarray
    gap_d: int = WHOLE_GAP_D


@eqx.filter_jit(compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit
def _run(
    values: Mapping[str, Array], setting: Setting, timing: Timing, patients: Patients, share: Any, left: Any
) -> tuple[Array, Array, Array, dict[str, Array]]:
    """A session from every state of `BEFORE`: states [days, states, 9, patients]; modes at the end of each day; rates
    of fading; and peaks. left: modes of the drug before it."""
    with evidence.assume(values):
        bound, chain = bind(setting, patients), chain_of(setting, patients)
        segments = Segments(
            chain, bound.drive(timing, bound.entries * share[:, None]), timing.steps, ("occupancy", "surge", "bdnf")
        )
        n = len(patients)
        states = {
            name: jnp.broadcast_to(x[:, None], (len(BEFORE), n))
            for name, x in zip(STATES, jnp.asarray(BEFORE.T), strict=True)
        }
        days = timing.observed[1 : DAYS + 1] + 1

        def segment(i, at):
            now, found, peaks = at
            now, (modes, states, _, highest) = segments.run(now, i)
            day = jnp.searchsorted(days, i + 1)  # written at every segment, and left so at the last of its day
            found = (
                found[0].at[day].set(jnp.stack([states[name] for name in STATES])),
                found[1].at[day].set(modes),
            )
            rest = {name: x[0] if x.ndim > 1 else x for name, x in highest.items()}
            first_day = i < days[0]
            peaks = {k: jnp.where(first_day, jnp.maximum(peaks[k], rest[k]), peaks[k]) for k in WATCHED}
            return now, found, peaks

        empty = jnp.zeros((DAYS, len(STATES), len(BEFORE), n)), jnp.zeros((DAYS, *bound.rates.shape))
        lowest = {name: jnp.full(n, -jnp.inf) for name in WATCHED}
        _, found, peaks = lax.fori_loop(0, days[-1], segment, ((left, states), empty, lowest))
        synapses = chain.synapses
        labile = LN2 / (synapses.labile_half_life * chain.durability) + synapses.consolidation_rate
        fading = [
            LN2 / chain.functional_half_life,
            labile,
            LN2 / (synapses.consolidated_half_life * chain.durability),
            synapses.consolidation_rate,
            LN2 / chain.over_block.half_life,
        ]
        return *found, jnp.stack([jnp.broadcast_to(x, (n,)) for x in fading]), peaks


def session_maps(
    setting: Setting,
    timing: Timing,
    patients: Patients,
    sessions: Sequence[Session],
    values: Mapping[str, float] | None = None,
) -> Maps:
    """The maps of some sessions in some patients. setting, timing: of a template of one session (`between.template`);
    values: of uncertain parameters, by id, where they are not those of the evidence."""
    n = len(patients)
    known = {id: jnp.asarray(v) for id, v in (values or {}).items()}
    parts = [
        _of_batch(known, setting, timing, patients.take(k, min(k + BATCH, n)), sessions, k) for k in range(0, n, BATCH)
    ]
    return jax.tree.map(lambda *x: np.concatenate(x, axis=-1), *parts)


def _of_batch(
    known: Mapping[str, Array],
    setting: Setting,
    timing: Timing,
    some: Patients,
    sessions: Sequence[Session],
    first: int,
) -> Maps:
    n, people = len(some), filled(some, BATCH)
    rows = np.minimum(np.arange(BATCH), n - 1)
    found = []
    for session in sessions:
        share = session.share[:, first + rows]
        none = np.zeros_like(np.asarray(_rates(setting, people)))
        states, modes, fading, peaks = _run(known, setting, timing, people, share, none)
        if session.gap_d < WHOLE_GAP_D:
            left = np.asarray(modes)[session.gap_d - 1 :: session.gap_d].sum(0)
            states, _, fading, peaks = _run(known, setting, timing, people, share, left)
        synapses, others = _numbers(np.asarray(states)[..., :n])
        found.append(
            Maps(synapses, others, np.asarray(fading)[:, :n], {k: np.asarray(x)[:n] for k, x in peaks.items()})
        )
    return Maps(
        np.stack([m.synapses for m in found]),
        np.stack([m.others for m in found]),
        found[0].fading,
        {name: np.stack([m.peaks[name] for m in found]) for name in WATCHED},
    )


@eqx.filter_jit
def _rates(setting: Setting, patients: Patients) -> Array:
    return bind(setting, patients).rates


def _numbers(after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of a map from where each state of `BEFORE` went, [days, states, 9, patients]."""
    f, s, c, q, b = np.moveaxis(after, 1, 0)

    def eight(first: int) -> np.ndarray:
        rest, labile, consolidated = first, first + 1, first + 2
        return np.stack(
            [
                f[:, rest],
                f[:, labile] - f[:, rest],
                *(x for y in (s, c) for x in (y[:, rest], y[:, labile] - y[:, rest], y[:, consolidated] - y[:, rest])),
            ],
            axis=1,
        )

    plain, over_blocked, with_bdnf = eight(0), eight(3), eight(6)
    synapses = np.stack([plain, (over_blocked - plain) / LEFT_OVER_BLOCK, (with_bdnf - plain) / LEFT_BDNF], axis=1)
    others = np.stack(
        [
            q[:, 0],
            (q[:, 3] - q[:, 0]) / LEFT_OVER_BLOCK,
            b[:, 0],
            (b[:, 3] - b[:, 0]) / LEFT_OVER_BLOCK,
            (b[:, 6] - b[:, 0]) / LEFT_BDNF,
        ],
        axis=1,
    )
    return synapses, others


@jax.jit
def after(synapses: Any, others: Any, fading: Any, which: Any, before: Any, days: Any) -> Array:
    """The states of the brain some whole days after a session, [states, patients].

    synapses, others, fading: as in `Maps`; which: the session [patients]; before: the states before it
    [states, patients]; days: at least 1, [patients].
    """
    mapped = _mapped(synapses, others, which, before, jnp.clip(days, 1, DAYS))
    return _faded(fading, mapped, DAY_H * jnp.maximum(days - DAYS, 0))


def _mapped(synapses: Any, others: Any, which: Any, before: Any, days: Any) -> Array:
    """The same up to `DAYS` after it."""
    lane, day = jnp.arange(before.shape[1]), days - 1
    plain, by_over_block, by_bdnf = jnp.moveaxis(synapses[which, day, :, :, lane], 0, -1)
    f, s, c, q, b = before
    f0, ff, s0, ss, sc, c0, cs, cc = plain + by_over_block * q + by_bdnf * b
    q0, qq, b0, bq, bb = jnp.moveaxis(others[which, day, :, lane], 0, -1)
    return jnp.stack([f0 + ff * f, s0 + ss * s + sc * c, c0 + cs * s + cc * c, q0 + qq * q, b0 + bq * q + bb * b])


def _faded(fading: Any, now: Any, hours: Any) -> Array:
    """Some hours later, without the drug; BDNF is gone."""
    functional, labile, consolidated, consolidation, over_block = fading
    f, s, c, q, b = now
    kept, lasting = jnp.exp(-labile * hours), jnp.exp(-consolidated * hours)
    gained = consolidation * s * (lasting - kept) / (labile - consolidated)
    return jnp.stack(
        [
            f * jnp.exp(-functional * hours),
            s * kept,
            c * lasting + gained,
            q * jnp.exp(-over_block * hours),
            jnp.where(hours > 0, 0.0, b),
        ]
    )


@jax.jit
def days_after(synapses: Any, others: Any, fading: Any, which: Any, before: Any, since: Any, days: Any) -> Array:
    """Functional, labile and consolidated on each of the days after `since`, [days, 3, patients], as far as the one who
    goes farthest. since: whole days from the session to now; days: from now on; other arguments as in `after`."""
    every = jnp.zeros((LONGEST_D + 1, 3, before.shape[1]))

    def fading_day(k, at):
        now, every = at
        now = _faded(fading, now, DAY_H)
        return now, every.at[k].set(now[:3])

    def mapped_day(k, at):
        now, every = fading_day(k, at)
        mapped = _mapped(synapses, others, which, before, jnp.clip(since + k, 1, DAYS))
        now = jnp.where(since + k <= DAYS, mapped, now)
        return now, every.at[k].set(now[:3])

    last = days.max()
    now = after(synapses, others, fading, which, before, since), every
    now = lax.fori_loop(1, jnp.minimum(last, DAYS) + 1, mapped_day, now)
    return lax.fori_loop(DAYS + 1, last + 1, fading_day, now)[1]


class Store:
    """Maps of sessions in the same patients under the same parameters, made when first asked for.

    setting, timing: of the template of a session; parameters: as in `course.between`.
    """

    def __init__(self, setting: Setting, timing: Timing, patients: Patients, parameters: Mapping[str, Any]):
        self.setting, self.timing, self.patients, self.parameters = setting, timing, patients, parameters
        self.numbers: dict[tuple[bytes, int], int] = {}
        self.made: list[Maps] = []
        self.maps: Maps | None = None

    def number(self, share: np.ndarray, gap_d: int) -> int:
        """Which of `maps` a session is, so many days after another. share: as in `Session`, of all patients."""
        session = Session(share, min(gap_d, WHOLE_GAP_D))
        key = blake2b(np.ascontiguousarray(share).tobytes()).digest(), session.gap_d
        if key not in self.numbers:
            self.numbers[key] = len(self.numbers)
            self.made.append(session_maps(self.setting, self.timing, self.patients, [session], self.parameters))
            room = -len(self.made) % ROOM  # so that compiled code sees few sizes
            several = [*self.made, *[self.made[-1]] * room]
            self.maps = Maps(
                np.concatenate([m.synapses for m in several]),
                np.concatenate([m.others for m in several]),
                self.made[0].fading,
                {name: np.concatenate([m.peaks[name] for m in several]) for name in WATCHED},
            )
        return self.numbers[key]
