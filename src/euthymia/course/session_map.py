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

from collections.abc import Mapping
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
from euthymia.course.engine import Segments
from euthymia.course.setting import Setting, Timing, picked
from euthymia.illness.depression import DAY_H
from euthymia.patient.population import Patients

DAYS = 4
"""Days after a session that are mapped; later the brain fades freely."""
WHOLE_GAP_D = 5
"""From a gap of so many days on, nothing of the drug is left that counts."""
STATES = ("functional", "labile", "consolidated", "over_block", "bdnf")
BDNF = STATES.index("bdnf")
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


class Map(NamedTuple):
    """Of one session in some patients.

    share: of each entry of the template's dose, [entries, patients]; gap_d: whole days since the session before;
    synapses: [days, 3, 8, patients], the eight numbers above in that order: without anything left, and what one unit of
    over-block and of BDNF before the session changes; others: [days, 5, patients], over-block (what the session adds;
    what stays of it) and BDNF (what the session adds; by over-block; by BDNF);
    peaks: of each watched signal within the session, [patients]; left: modes of the drug at the end of each day,
    [days, modes, patients]; known: of which patients all this is known, [patients].
    """

    share: np.ndarray
    gap_d: int
    synapses: np.ndarray
    others: np.ndarray
    peaks: dict[str, np.ndarray]
    left: np.ndarray
    known: np.ndarray


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


def mapped(synapses: np.ndarray, others: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The states of the brain on each of the `DAYS` after a session, [days, states, patients].

    synapses, others: of this session, as in `Map`, where what BDNF changes may be left out if there is none; before:
    the states before it, [states, patients].
    """
    f, s, c, q, b = before
    plain, *by_left = np.moveaxis(synapses, 1, 0)
    for x, left in zip(by_left, (q, b), strict=False):
        plain = plain + x * left.astype(x.dtype)
    f0, ff, s0, ss, sc, c0, cs, cc = np.moveaxis(plain, 1, 0)
    q0, qq, b0, bq, bb = np.moveaxis(others, 1, 0)
    now = f0 + ff * f, s0 + ss * s + sc * c, c0 + cs * s + cc * c, q0 + qq * q, b0 + bq * q + bb * b
    return np.stack(now, axis=1)


def after(ahead: np.ndarray, fading: np.ndarray, who: np.ndarray, days: np.ndarray) -> np.ndarray:
    """The states of the brain of some patients some whole days after their session, [states, who].

    ahead: the states of all on the days after it, of `mapped`; fading: as in `Store`; days: at least 1, [who].
    """
    n, states = ahead.shape[2], len(STATES)
    at = states * n * (np.clip(days, 1, DAYS) - 1) + who  # where days, states and patients are in a row
    now = np.stack([ahead.reshape(-1).take(at + k * n) for k in range(states)])
    late = np.flatnonzero(days > DAYS)
    if len(late):
        later_h, rates = DAY_H * (days[late] - DAYS), fading[:, who[late]]
        now[:3, late] = faded(left_after(rates, later_h), now[:3, late])
        now[3, late] *= np.exp(-rates[4] * later_h)
        now[4, late] = 0.0  # BDNF is gone
    return now


def left_after(fading: Any, hours: Any, exp: Any = np.exp) -> tuple[Any, ...]:
    """Some hours later and without the drug: what is left of functional, labile and consolidated, and how much of
    labile has become consolidated. exp: of the arrays that are given."""
    functional, labile, consolidated, consolidation, _ = fading
    kept, lasting = exp(-labile * hours), exp(-consolidated * hours)
    gained = consolidation * (lasting - kept) / (labile - consolidated)
    return exp(-functional * hours), kept, lasting, gained


def faded(left: tuple[Any, ...], now: Any) -> tuple[Any, Any, Any]:
    """Functional, labile and consolidated later. left: of `left_after`."""
    of_functional, of_labile, of_consolidated, gained = left
    f, s, c = now
    return of_functional * f, of_labile * s, of_consolidated * c + gained * s


class Store:
    """Maps of sessions, made for those patients in whom they are first asked for.

    setting, timing: of the template of a session (`between.template`); parameters: as in `course.between`, one number
    for all or one for each patient; made: by number; fading: rates per hour of functional, labile, consolidated, of
    consolidation, and of over-block, [5, patients], of those in whom any map is known.
    """

    def __init__(self, setting: Setting, timing: Timing, patients: Patients, parameters: Mapping[str, Any]):
        self.setting, self.timing, self.patients, self.parameters = setting, timing, patients, parameters
        self.numbers: dict[tuple[bytes, int], int] = {}
        self.made: list[Map] = []
        self.fading = np.tile([[1.0], [1.0], [0.5], [0.0], [1.0]], len(patients))
        self.every = np.zeros((0, 3, 0), np.float32)

    def room(self, days: int) -> np.ndarray:
        """For functional, labile and consolidated on every day of a course, [days, 3, patients]: the same memory for
        one course after the other, as to get it anew took long."""
        if len(self.every) < days:
            self.every = np.zeros((days, 3, len(self.patients)), np.float32)
        return self.every[:days]

    def number(self, share: np.ndarray, gap_d: int) -> int:
        """Which of `made` a session is. share, gap_d: as in `Map`."""
        key = blake2b(np.ascontiguousarray(share).tobytes()).digest(), min(gap_d, WHOLE_GAP_D)
        if key not in self.numbers:
            n, modes = len(self.patients), len(_rates(self.setting, self.patients.take(0, 1)))
            synapses, others = (np.zeros((DAYS, *shape, n), np.float32) for shape in ((3, 8), (5,)))  # finer than a map
            peaks, left = {name: np.zeros(n) for name in WATCHED}, np.zeros((DAYS, modes, n))
            self.numbers[key] = len(self.made)
            self.made.append(Map(share, key[1], synapses, others, peaks, left, np.zeros(n, bool)))
        return self.numbers[key]

    def of(self, number: int, who: np.ndarray) -> Map:
        """One of `made`, known of these patients."""
        found = self.made[number]
        new = who[~found.known[who]]
        left = np.zeros((found.left.shape[1], len(new)))
        if found.gap_d < WHOLE_GAP_D and len(new):
            alone = self.of(self.number(found.share, WHOLE_GAP_D), new)
            left = alone.left[found.gap_d - 1 :: found.gap_d][..., new].sum(0)
        for first in range(0, len(new), BATCH):
            rows = new[first : first + BATCH]
            at = np.minimum(np.arange(BATCH), len(rows) - 1)  # the last repeated, where there are fewer
            some = jax.tree.map(lambda x, rows=rows[at]: np.asarray(x)[rows], self.patients)
            fixed = picked(self.parameters, rows[at]), self.setting, self.timing, some
            share, before = found.share[:, rows[at]], left[:, first : first + BATCH][:, at]
            mine = slice(len(rows))
            several = jax.tree.map(lambda x, mine=mine: np.asarray(x)[..., mine], _run(*fixed, share, before))
            states, found.left[..., rows], self.fading[:, rows], peaks = several
            found.synapses[..., rows], found.others[..., rows] = _numbers(states)
            for name in WATCHED:
                found.peaks[name][rows] = peaks[name]
            found.known[rows] = True
        return found
