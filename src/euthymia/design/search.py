"""The search: every regimen in the same virtual patients and under the same draws, the hopeless dropped early.

Work is cut into parts: some regimens, under some draws of the parameters, in all or some patients. The race goes in
stages, each with more draws; after a stage a regimen leaves it where another is at least as good in
everything that is asked and surely better in the aim, or where it surely breaks a limit. What remains is compared in
full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from scipy.stats import beta
from scipy.stats import t as student

from euthymia.course.store import Parts
from euthymia.design.aims import MEASURES, Aim, Limit
from euthymia.design.decision import Verdict, front, verdict
from euthymia.trial.workers import each

SURELY = 3.0
"""Standard errors by which a mean is surely above or below a limit."""
BEATEN = 0.99
"""Probability with which another must do better in a world not yet seen for a regimen to be dropped."""
FEWEST = 4
"""Draws of the parameters below which nothing is sure."""
BEATEN_BY = "beaten by regimen"
CONFIDENCE = 0.95
"""With which a limit on a chance must hold, given how few patients were followed."""


PART_PATIENTS, PART_REGIMENS = 16000, 50
"""Of a part at most: patients in all its draws, and regimens. Parts are the same for any number of workers; small ones
cost more per patient."""
SPREAD, WORTH_SPREADING = 4, 100_000
"""Few regimens too are spread over so many parts, each with so many patients of all its regimens: about as many as are
followed while another process begins."""


class Part(NamedTuple):
    """Of the work: regimens and draws by number, and the first patient and the one after the last."""

    regimens: tuple[int, ...]
    draws: tuple[int, ...]
    patients: tuple[int, int]


Values = Mapping[str, np.ndarray]
"""By measure, [regimens, draws, patients of the part]."""


@dataclass(frozen=True)
class Asked:
    """What is searched for. burdens: measures that may not rise for the aim to rise, beside it on the front."""

    aim: Aim
    limits: tuple[Limit, ...] = ()
    burdens: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Everything that must be measured, once each, the aim first."""
        named = (self.aim.measure, *self.burdens, *(limit.measure for limit in self.limits))
        return tuple(dict.fromkeys(named))


@dataclass
class Race:
    """values: by measure, [regimens, draws, patients], NaN where not followed; curves: means over patients by day, by
    name, [regimens, draws, days]; out: why a regimen left, by number; followed: patients of a regimen and draw that
    were, in all."""

    asked: Asked
    values: dict[str, np.ndarray]
    curves: dict[str, np.ndarray] = field(default_factory=dict)
    out: dict[int, str] = field(default_factory=dict)
    followed: int = 0

    @property
    def left(self) -> np.ndarray:
        """Regimens still in it, by number."""
        n = len(self.values[self.asked.aim.measure])
        return np.array([k for k in range(n) if k not in self.out], int)

    def of(self, measure: str, regimens: Any) -> np.ndarray:
        """Values of some regimens, under the draws in which all of them were followed: [regimens, draws, patients]."""
        x = self.values[measure][regimens]
        return x[:, np.isfinite(x[:, :, 0]).all(axis=0)]

    def means(self, measure: str, regimens: Any) -> np.ndarray:
        """Means over patients, [regimens, draws]."""
        return self.of(measure, regimens).mean(2)


def search(
    evaluate: Callable[[Part], Values],
    regimens: int,
    draws: int,
    patients: int,
    asked: Asked,
    *,
    curves: Mapping[str, int] | None = None,
    stages: Sequence[int] | None = None,
    part_patients: int = PART_PATIENTS,
    parts: Parts | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    processes: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Race:
    """Follow regimens until it is clear which are worth choosing.

    evaluate: follows the regimens of a part, a pure function of it; parts: where finished ones are kept, so that a
    search that was stopped goes on; stages: numbers of draws after which regimens are dropped, and of all draws;
    part_patients: of a part at most; processes: whether workers are processes, and not threads; curves: how many days
    each curve has that `evaluate` gives beside the measures; progress: called with (patients followed so far, those if
    no regimen were dropped), of all regimens and draws.
    """
    values = {m: np.full((regimens, draws, patients), np.nan, np.float32) for m in asked.measures}
    sums = {name: np.zeros((regimens, draws, days), np.float32) for name, days in (curves or {}).items()}
    race, counted = Race(asked, values), np.zeros((regimens, draws, 1), np.float32)
    ends, seen = stages or stages_of(draws, patients, part_patients), 0
    for number, end in enumerate(ends):
        left = race.left
        if not len(left):
            break
        work = dict(enumerate(parts_of(left, range(seen, end), patients, part_patients), number * STAGE))
        for key, found in _followed(evaluate, work, (*asked.measures, *sums), parts, workers, scheduler, processes):
            part = work[key]
            first, last = part.patients
            at = np.ix_(part.regimens, part.draws)
            for measure in asked.measures:
                race.values[measure][:, :, first:last][at] = found[measure]
            for name, total in sums.items():
                total[at] += (last - first) * found[name]
            counted[at] += last - first
            race.followed += len(part.regimens) * len(part.draws) * (last - first)
            if progress:
                progress(race.followed, regimens * draws * patients)
        seen = end
        if end < draws:
            _drop(race)
    with np.errstate(invalid="ignore"):
        race.curves = {name: total / counted for name, total in sums.items()}
    return race


STAGE = 100_000
"""Parts of one stage are numbered below that of the next by so many."""


def stages_of(draws: int, patients: int, part_patients: int = PART_PATIENTS) -> tuple[int, ...]:
    """After how many draws regimens are dropped, and at last how many draws there are: whole parts, of which the first
    stage has enough draws to tell anything."""
    several = max(1, part_patients // patients)
    first = several * ceil(FEWEST / several)
    half = several * ceil(draws / 2 / several)
    return tuple(sorted({min(n, draws) for n in (first, half, draws) if n >= first}))


def parts_of(left: np.ndarray, draws: range, patients: int, part_patients: int) -> Iterator[Part]:
    """What is to be followed of the regimens that are left, under these draws."""
    several = max(1, part_patients // patients)
    edges = np.linspace(0, patients, ceil(patients / part_patients) + 1).round().astype(int)
    for k in range(0, len(draws), several):
        for first, last in pairwise(edges.tolist()):
            some = tuple(draws[k : k + several])
            spread = min(SPREAD, len(left) * len(some) * (last - first) // WORTH_SPREADING)
            for regimens in np.array_split(left, max(ceil(len(left) / PART_REGIMENS), spread)):
                yield Part(tuple(regimens.tolist()), some, (first, last))


def _followed(
    evaluate: Callable[[Part], Values],
    work: Mapping[int, Part],
    wanted: Sequence[str],
    parts: Parts | None,
    workers: int | None,
    scheduler: str | None,
    processes: bool,
) -> Iterator[tuple[int, Values]]:
    """Every part with its values, in the order they are finished; those finished before are read."""
    kept = [key for key in work if parts and parts.done(key)]
    for key in kept:
        assert parts
        table, shape = parts.read("values", key), (len(work[key].regimens), len(work[key].draws), -1)
        yield key, {m: np.array(table[m].to_list(), np.float32).reshape(shape) for m in wanted}
    left = {k: p for k, p in work.items() if k not in kept}
    for key, found in each(evaluate, left, workers, scheduler, processes):
        if parts:
            rows = {m: np.asarray(found[m], np.float32).reshape(len(work[key].regimens), -1) for m in wanted}
            parts.write(key, pl.DataFrame({"regimen": work[key].regimens, **rows}))
        yield key, found


# --- who leaves the race ----------------------------------------------------------------------------------------------


def _drop(race: Race) -> None:
    """Take out what surely breaks a limit, and then what is surely beaten."""
    asked, left = race.asked, race.left
    for limit in asked.limits:
        for k in left:
            if k not in race.out and breaks(race.of(limit.measure, [k])[0], limit) == "surely":
                race.out[int(k)] = f"breaks the limit {limit.text!r}"
    left = race.left
    if not len(left):
        return
    aim = asked.aim.sign * race.of(asked.aim.measure, left)
    costs = [_sign(m) * race.means(m, left).mean(1) for m in asked.burdens]
    able = np.array([all(breaks(race.of(x.measure, [k])[0], x) == "no" for x in asked.limits) for k in left])
    for j, k in enumerate(left):
        rivals = able & (left != k)
        for cost in costs:
            rivals &= cost >= cost[j] - 1e-9
        for i in np.flatnonzero(rivals):
            if _beaten(aim[i] - aim[j]):
                race.out[int(k)] = f"{BEATEN_BY} {left[i]}"
                break


def _beaten(apart: np.ndarray) -> bool:
    """Whether a difference is above zero in a world not yet seen, with a probability of `BEATEN` at least. apart:
    [draws, patients].

    Differences are taken as normal over draws, of which so few were seen (hence Student's t), beside what so few
    patients leave open.
    """
    by_draw, by_patient = apart.mean(1), apart.mean(0)
    draws, patients = apart.shape
    if draws < FEWEST or not (by_draw > 0).all():
        return False
    spread = np.sqrt(by_draw.var(ddof=1) * (1 + 1 / draws) + by_patient.var(ddof=1) / patients)
    return bool(by_draw.mean() > student.ppf(BEATEN, draws - 1) * spread)


def _sign(measure: str) -> float:
    return 1.0 if MEASURES[measure].better == "more" else -1.0


def breaks(x: np.ndarray, limit: Limit) -> str:
    """Whether a limit is broken: "no", "perhaps" or "surely". x: of one regimen, [draws, patients].

    A chance counts as kept only where its share lies below the limit with `CONFIDENCE`, for as many patients as were
    followed: draws share their patients and do not make them more.
    """
    patients = x.shape[1]
    if limit.chance is not None:
        share = limit.holds_in(x).mean()
        highest, lowest = (_bound(share, patients, p) for p in (CONFIDENCE, 1 - CONFIDENCE))
        return "no" if highest < limit.chance else "surely" if lowest > limit.chance else "perhaps"
    mean = x.mean()
    error = np.sqrt(x.mean(1).var() / len(x) + x.mean(0).var() / patients)
    up = limit.comparison in ("above", "at least")
    short = (limit.value - mean) if up else (mean - limit.value)
    inclusive = limit.comparison.startswith("at ")
    if short < 0 or (inclusive and short == 0):
        return "no"
    return "surely" if short > SURELY * error else "perhaps"


def _bound(share: float, patients: int, level: float) -> float:
    """The chance that is exceeded with probability 1 - `level`, after seeing such a share (Clopper and Pearson)."""
    k = share * patients
    if level > 0.5:
        return 1.0 if k >= patients else float(beta.ppf(level, k + 1, patients - k))
    return 0.0 if k <= 0 else float(beta.ppf(level, k, patients - k + 1))


# --- what comes of it -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """left: regimens that were followed to the end; means: by measure, [left, draws]; kept: whether they keep the
    limits; front: whether nothing beats them; verdict: of those that keep the limits, in their order `able`; best: of
    every regimen the probability that it is, 0 where a limit is broken or it was beaten before the end; chosen: number
    of the best on average, None where none keeps the limits."""

    left: np.ndarray
    means: dict[str, np.ndarray]
    kept: np.ndarray
    front: np.ndarray
    verdict: Verdict | None
    able: np.ndarray
    best: np.ndarray
    chosen: int | None


def choice(race: Race, seed: int = 1) -> Choice:
    """Which regimens keep the limits, which are on the front, and how probably each is the best."""
    asked, left = race.asked, race.left
    means = {m: race.means(m, left) for m in asked.measures}
    kept = np.array([all(breaks(race.of(x.measure, [k])[0], x) == "no" for x in asked.limits) for k in left], bool)
    qualities = [
        asked.aim.sign * means[asked.aim.measure].mean(1),
        *(_sign(m) * means[m].mean(1) for m in asked.burdens),
    ]
    on_front = np.zeros(len(left), bool)
    on_front[kept] = front(np.array(qualities).T[kept])
    able, best = left[kept], np.zeros(len(race.values[asked.aim.measure]))
    if not len(able):
        return Choice(left, means, kept, on_front, None, able, best, None)
    found = verdict(asked.aim.sign * race.of(asked.aim.measure, able), seed)
    best[able] = found.best
    return Choice(left, means, kept, on_front, found, able, best, int(able[found.mean.argmax()]))


def nearest(race: Race) -> tuple[int, Limit, float] | None:
    """Where nothing keeps every limit: the regimen whose worst limit is missed by least, that limit, and by what share
    of its value. None where some regimen keeps them all."""
    best: tuple[int, Limit, float] | None = None
    for k in range(len(race.values[race.asked.aim.measure])):
        misses = [(missed(race.of(x.measure, [k])[0], x), x) for x in race.asked.limits]
        worst = max(misses, key=lambda pair: pair[0])
        if best is None or worst[0] < best[2]:
            best = k, worst[1], worst[0]
    return best


def missed(x: np.ndarray, limit: Limit) -> float:
    """By what share of its value a limit is missed; below 0 where it is kept."""
    if limit.chance is not None:
        return float(_bound(limit.holds_in(x).mean(), x.shape[1], CONFIDENCE) / limit.chance - 1)
    apart = (limit.value - x.mean()) if limit.comparison in ("above", "at least") else (x.mean() - limit.value)
    return float(apart / max(abs(limit.value), 1e-9))
