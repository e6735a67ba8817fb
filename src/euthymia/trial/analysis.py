"""Stage two of a planned trial: each replicate analysed as the plan says, from what was seen of its patients.

Differences are arm minus comparator.
"""

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtr, ndtri

from euthymia.errors import UserError
from euthymia.illness.bipolar import POLES
from euthymia.protocol.rules import Comparison, When
from euthymia.trial import statistics, survival
from euthymia.trial.mmrm import mmrm
from euthymia.trial.plan import (
    RATES,
    TIMES,
    Plan,
    PlannedEndpoint,
)
from euthymia.trial.sequential import boundaries
from euthymia.trial.statistics import Estimate, Z

NEVER = -1  # arm of a place that was never filled


@dataclass(frozen=True)
class Outcomes:
    """What was seen of every replicate, in the order of entry: [replicates, places] and [..., visits].

    arm: number in the plan (of a sequence in a crossover), -1 where a trial stopped before that place; patient: the
    number that keys their draws; baseline: rating at entry; scores: ratings, NaN once a patient has left, the visits of
    both periods in a row in a crossover; begins: day from randomisation on which the first new episode of bipolar
    disorder begins, [..., depressive and manic], infinite where none is seen; screened, entered: patients rated for
    entry, and those who entered a lead-in.
    """

    arm: np.ndarray
    patient: np.ndarray
    site: np.ndarray
    baseline: np.ndarray
    scores: np.ndarray
    begins: np.ndarray
    screened: np.ndarray
    entered: np.ndarray
    stopped: np.ndarray
    """[replicates] number of the look at which a trial stopped; -1: at none."""

    @staticmethod
    def blank(replicates: int, patients: int, visits: int) -> "Outcomes":
        """Trials that nobody has entered yet."""
        shape = replicates, patients
        return Outcomes(
            arm=np.full(shape, NEVER, np.int8),
            patient=np.zeros(shape, np.int64),
            site=np.zeros(shape, np.int16),
            baseline=np.full(shape, np.nan, np.float32),
            scores=np.full((*shape, visits), np.nan, np.float32),
            begins=np.full((*shape, len(POLES)), np.inf, np.float32),
            screened=np.zeros(replicates, int),
            entered=np.zeros(replicates, int),
            stopped=np.full(replicates, -1),
        )

    def put(self, first: int, some: "Outcomes") -> None:
        """Set the replicates from number `first`."""
        for each in fields(self):
            getattr(self, each.name)[first : first + some.replicates] = getattr(some, each.name)

    @property
    def replicates(self) -> int:
        return len(self.arm)

    def first(self, patients: int) -> "Outcomes":
        """The same trials, had they ended with so many patients."""
        each = ("arm", "patient", "site", "baseline", "scores", "begins")
        cut = {name: getattr(self, name)[:, :patients] for name in each}
        return replace(self, **cut)


@dataclass(frozen=True)
class Replicate:
    """One replicate as an analyst sees it: [patients], [patients, visits] and, of episodes, [patients, poles]."""

    arm: np.ndarray
    baseline: np.ndarray
    scores: np.ndarray
    begins: np.ndarray

    @staticmethod
    def of(plan: Plan, out: Outcomes, r: int, patients: int | None = None) -> "Replicate":
        rows = np.flatnonzero(out.arm[r, :patients] != NEVER)
        baseline, scores, begins = (x[r, rows].astype(float) for x in (out.baseline, out.scores, out.begins))
        return Replicate(out.arm[r, rows].astype(int), baseline, scores, begins)


NOTHING = Estimate(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan)
Compared = list[tuple[int, Estimate, dict[str, Any]]]


def _others(plan: Plan, t: Replicate) -> list[int]:
    return [k for k in range(len(plan.arms)) if k != plan.control and (t.arm == k).any()]


def succeeded(e: PlannedEndpoint, t: Replicate, plan: Plan, score: np.ndarray | None = None) -> np.ndarray:
    """Response or remission of ratings (by default those at the endpoint's visit), never of those who have left; or
    whether a manic or hypomanic episode has begun by then."""
    assert e.at or score is not None
    if e.endpoint == "switch to mania":
        assert e.at
        return t.begins[:, POLES.index("manic")] <= e.at.value / 24
    if score is None:
        assert e.at
        score = t.scores[:, plan.visit(e.at)]
    baseline = t.baseline if score.ndim == 1 else t.baseline[:, None]
    cut = (1 - plan.fall(e)) * baseline if e.endpoint.endswith("response") else np.full_like(baseline, plan.limit(e))
    return np.nan_to_num(score, nan=np.inf) <= cut


def time_to_event(e: PlannedEndpoint, t: Replicate, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Days from randomisation to the event or the last rating, and whether the event occurred, up to `at`."""
    last = plan.visit(e.at) if e.at else len(plan.visits) - 1
    days = np.asarray(plan.visits[: last + 1]) / 24
    scores = t.scores[:, : last + 1]
    seen_until = days[np.maximum((~np.isnan(scores)).sum(1) - 1, 0)]
    if e.endpoint == "time to episode":
        first = t.begins.min(1)
        return np.minimum(first, seen_until), first <= seen_until
    if e.endpoint == "relapse":
        assert plan.relapse
        met = state(plan, plan.relapse.when, scores, t.baseline[:, None])
        met[:, 0] = False
        run = met.copy()
        for back in range(1, plan.relapse.consecutive_visits):
            run[:, back:] &= met[:, :-back]
            run[:, :back] = False
    else:
        run = succeeded(e, t, plan, scores)
        run[:, 0] = False
    event = run.any(1)
    return np.where(event, days[run.argmax(1)], seen_until), np.asarray(event)


def compare(plan: Plan, e: PlannedEndpoint, t: Replicate) -> Compared:
    """Each arm against the comparator on one endpoint: the arm, the estimate, and what else is worth a column."""
    if e.endpoint in RATES:
        return _rates(plan, e, t)
    if e.endpoint in TIMES:
        return _times(plan, e, t)
    assert e.at
    visit = plan.visit(e.at)
    if e.method == "within patients":
        return _within_patients(plan, visit, t)
    score = t.scores[:, visit]
    counts = {k: int((~np.isnan(score[t.arm == k])).sum()) for k in range(len(plan.arms))}
    change = score - t.baseline

    def extra(k: int) -> dict[str, Any]:
        return {
            "n": counts[k],
            "n comparator": counts[plan.control],
            "mean": _mean(change[t.arm == k]),
            "mean comparator": _mean(change[t.arm == plan.control]),
        }

    try:
        if e.method == "mmrm":
            found = mmrm(change_of(t), t.baseline, t.arm, plan.control).difference[visit - 1]
        elif e.method == "ancova":
            found = statistics.ancova(change, t.baseline, t.arm, control=plan.control)
        else:
            seen = {k: change[(t.arm == k) & ~np.isnan(change)] for k in (*_others(plan, t), plan.control)}
            found = {k: statistics.hedges_g(seen[k], seen[plan.control]) for k in _others(plan, t)}
    except UserError as error:
        return [(k, NOTHING, extra(k) | {"note": str(error)}) for k in _others(plan, t)]
    return [(k, estimate, extra(k)) for k, estimate in found.items()]


def _mean(x: np.ndarray) -> float:
    seen = x[~np.isnan(x)]
    return float(seen.mean()) if len(seen) else np.nan


def change_of(t: Replicate) -> np.ndarray:
    """Changes from entry [patients, visits after it]."""
    return t.scores[:, 1:] - t.baseline[:, None]


def _rates(plan: Plan, e: PlannedEndpoint, t: Replicate) -> Compared:
    won = succeeded(e, t, plan)
    of = {k: (int(won[t.arm == k].sum()), int((t.arm == k).sum())) for k in range(len(plan.arms))}
    found: Compared = []
    for k in _others(plan, t):
        counts = *of[k], *of[plan.control]
        if not counts[3]:
            found.append((k, NOTHING, {"note": "no patient in the comparator arm"}))
            continue
        risk = statistics.risk_difference(*counts)
        more = {
            "n": counts[1],
            "n comparator": counts[3],
            "mean": counts[0] / counts[1],
            "mean comparator": counts[2] / counts[3],
            "odds ratio": statistics.odds_ratio(*counts).value,
        }
        if e.endpoint != "switch to mania":  # which nobody is treated for
            more["NNT"] = np.inf if risk.value == 0 else 1 / risk.value
        found.append((k, risk, more))
    return found


def _times(plan: Plan, e: PlannedEndpoint, t: Replicate) -> Compared:
    days, event = time_to_event(e, t, plan)
    found: Compared = []
    for k in _others(plan, t):
        rows = np.isin(t.arm, (k, plan.control))
        mine, theirs = t.arm == k, t.arm == plan.control
        arm = mine[rows].astype(int)
        more: dict[str, Any] = {
            "n": int(mine.sum()),
            "n comparator": int(theirs.sum()),
            "mean": float(event[mine].mean()),
            "mean comparator": float(event[theirs].mean()) if theirs.any() else np.nan,
        }
        try:
            estimate, note = _survival(e.method, days[rows], event[rows], arm)
        except UserError as error:
            estimate, note = NOTHING, str(error)
        found.append((k, estimate, more | ({"note": note} if note else {})))
    return found


def _survival(method: str, days: np.ndarray, event: np.ndarray, arm: np.ndarray) -> tuple[Estimate, str]:
    """Hazard ratio of arm 1 against 0 (cox, log-rank), or the difference in the share without the event at the end."""
    test = survival.log_rank(days, event, arm)
    if method == "cox":
        try:
            return survival.cox(days, event, arm)[1], ""
        except UserError as error:
            return replace(NOTHING, p_value=test.p_value), f"{error} The p value is that of the log-rank test."
    if method == "log-rank":
        if not all(test.observed[k] for k in (0, 1)):
            return replace(NOTHING, p_value=test.p_value), "an arm has no events, so no finite hazard ratio"
        ratio = test.observed[1] / test.expected[1] / (test.observed[0] / test.expected[0])
        error = float(np.sqrt(1 / test.expected[0] + 1 / test.expected[1]))
        low, high = ratio * np.exp(-Z * error), ratio * np.exp(Z * error)
        return Estimate(ratio, error, float(low), float(high), test.p_value, np.inf), ""
    free, variance = [], []
    for k in (0, 1):
        curve = survival.kaplan_meier(days[arm == k], event[arm == k])
        share = float(curve.survival[-1]) if len(curve.survival) else 1.0
        left = curve.at_risk - curve.events
        greenwood = float(np.sum(curve.events[left > 0] / (curve.at_risk * left)[left > 0]))
        free.append(share)
        variance.append(share**2 * greenwood)
    difference, error = free[1] - free[0], float(np.sqrt(sum(variance)))
    p = 2 * float(ndtr(-abs(difference) / error)) if error > 0 else float(difference == 0)
    return Estimate(difference, error, difference - Z * error, difference + Z * error, p, np.inf), ""


def _within_patients(plan: Plan, visit: int, t: Replicate) -> Compared:
    """The difference between the two treatments of a crossover, from each patient's own difference between periods,
    adjusted for period (Hills and Armitage 1979); and the carry-over, half the difference between the sequences in
    the sum over both periods."""
    visits = len(plan.visits)
    first, second = t.scores[:, visit] - t.baseline, t.scores[:, visits + visit] - t.baseline
    seen = ~np.isnan(first + second)
    half, whole = ((first - second) / 2)[seen], ((first + second) / 2)[seen]
    # sequence 0 is the plan's order, so the first arm minus the second
    sequence, other = t.arm[seen], 1 - plan.control
    sign = 1 if plan.control == 1 else -1
    counts = [int((sequence == s).sum()) for s in (0, 1)]
    more: dict[str, Any] = {"n": int(seen.sum())}
    if min(counts) < 2:
        return [(other, NOTHING, more | {"note": "a sequence has fewer than two patients with both periods"})]
    estimate = _two_means(half, sequence)
    carried = _two_means(whole, sequence)
    low, high = sorted((sign * estimate.low, sign * estimate.high))
    more |= {
        "mean": float(np.mean(np.where(sequence == 0, first[seen], second[seen]))),
        "mean comparator": float(np.mean(np.where(sequence == 0, second[seen], first[seen]))),
        "carry-over": carried.value,
        "carry-over p value": carried.p_value,
    }
    if plan.control == 0:
        more["mean"], more["mean comparator"] = more["mean comparator"], more["mean"]
    return [(other, replace(estimate, value=sign * estimate.value, low=low, high=high), more)]


def _two_means(x: np.ndarray, group: np.ndarray) -> Estimate:
    """Mean of group 0 minus that of group 1, by the t test of equal variances."""
    a, b = x[group == 0], x[group == 1]
    df = float(len(x) - 2)
    spread = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / df
    error = np.sqrt(spread * (1 / len(a) + 1 / len(b)))
    if not error > 0:
        return NOTHING
    return statistics.t_estimates(np.array([a.mean() - b.mean()]), np.array([error]), np.array([df]))[0]


COLUMNS: dict[str, Any] = {
    "replicate": pl.Int64,
    "endpoint": pl.String,
    "analysis": pl.String,
    "primary": pl.Boolean,
    "arm": pl.String,
    "comparator": pl.String,
    "estimate": pl.Float64,
    "standard error": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "p value": pl.Float64,
    "significant": pl.Boolean,
    "n": pl.Int64,
    "n comparator": pl.Int64,
    "mean": pl.Float64,
    "mean comparator": pl.Float64,
    "NNT": pl.Float64,
    "odds ratio": pl.Float64,
    "carry-over": pl.Float64,
    "carry-over p value": pl.Float64,
    "look": pl.Int64,
    "note": pl.String,
}
"""Of the estimates. mean: change in points, or share with the outcome; p value: nominal; significant: at the plan's
level, and for the primary endpoint of a trial with looks at that look's limit; look: after which the trial ended."""


@statistics.one_thread
def analyse(plan: Plan, out: Outcomes, only: PlannedEndpoint | None = None) -> pl.DataFrame:
    """Every endpoint of every replicate (or one), each arm against the comparator: the columns of `COLUMNS`."""
    names = [arm.arm for arm in plan.arms]
    looks = len(plan.adaptive.looks) if plan.adaptive else 1
    stops_at = limits(plan) if plan.adaptive and plan.adaptive.stop else None
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    for r in range(out.replicates):
        trial = Replicate.of(plan, out, r)
        look = int(out.stopped[r]) if out.stopped[r] >= 0 else looks - 1
        for e in (only,) if only else plan.endpoints:
            sequential = stops_at is not None and e is plan.primary
            for k, estimate, more in compare(plan, e, trial):
                p = estimate.p_value
                won = np.isfinite(p) and (
                    deviate(estimate) >= stops_at[look] if sequential and stops_at is not None else p < plan.level
                )
                row = {
                    "replicate": r,
                    "endpoint": e.label,
                    "analysis": e.method,
                    "primary": e is plan.primary,
                    "arm": names[k],
                    "comparator": names[plan.control],
                    "estimate": estimate.value,
                    "standard error": estimate.standard_error,
                    "low": estimate.low,
                    "high": estimate.high,
                    "p value": p,
                    "significant": bool(won),
                    "look": look + 1,
                } | more
                for name, column in columns.items():
                    column.append(row.get(name))
    return pl.DataFrame(columns, schema=COLUMNS)


def holds(comparison: Comparison, value: np.ndarray) -> np.ndarray:
    assert comparison.value
    limit = comparison.value.value
    return {
        "above": value > limit,
        "at least": value >= limit,
        "below": value < limit,
        "at most": value <= limit,
    }[comparison.comparison]


def state(plan: Plan, when: When, score: np.ndarray, baseline: np.ndarray) -> np.ndarray:
    """Whether ratings [..., visits] meet every comparison; baseline [..., 1] is that at entry."""
    scale = plan.scale
    met = ~np.isnan(score)
    for c in when:
        if c.measure == scale.name:
            met &= holds(c, score)
        elif c.measure == "MADRS improvement":
            met &= holds(c, 100 * (1 - score / np.maximum(baseline, 1)))
        elif c.comparison == "remission":
            assert scale.remission is not None
            met &= score <= scale.remission
        else:
            responds = score <= (1 - scale.response) * baseline
            met &= responds if c.comparison == "response" else ~responds
    return met


def limits(plan: Plan) -> np.ndarray:
    """Limits of |z| at each look."""
    a = plan.adaptive
    assert a and a.stop
    return _boundaries(a.looks, plan.level, a.stop)


_boundaries = lru_cache(boundaries)


def deviate(e: Estimate) -> float:
    """|z| of an estimate, from its p value."""
    return float(-ndtri(max(e.p_value, 1e-300) / 2))
