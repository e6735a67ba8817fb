"""Time to relapse, or to any other event, with censoring: curves, the log-rank test and Cox's model.

`time` is in any one unit from the start of follow-up; `event` says whether the patient had the event then (1) or was
last seen without it (0).
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc, ndtr

from euthymia.errors import UserError
from euthymia.trial.statistics import Estimate, Z, centred_covariates, checked_arms

MAX_STEPS = 50
LARGEST = 20.0
"""Log hazard ratio beyond which a fit is taken to run off to infinity."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class KaplanMeier:
    """The share without the event after each time at which events occurred; before the first it is 1."""

    time: np.ndarray
    at_risk: np.ndarray
    """Patients still followed just before each time."""
    events: np.ndarray
    survival: np.ndarray
    low: np.ndarray
    high: np.ndarray
    """95 % interval of each share, from Greenwood's variance on the scale of log(-log)."""
    median: float
    """First time at which at most half are without the event; infinite where the curve stays above."""
    median_low: float
    median_high: float


@dataclass(frozen=True)
class LogRank:
    """The log-rank test, with the events observed and expected in each arm."""

    statistic: float
    df: int
    p_value: float
    observed: dict[int, int]
    expected: dict[int, float]


def _follow_up(time: np.ndarray, event: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times, events = np.asarray(time, float), np.asarray(event)
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or (times < 0).any():
        raise UserError("time must hold one finite number of at least 0 for each of one or more patients.")
    if events.shape != times.shape or not np.isin(events, (0, 1)).all():
        raise UserError(f"event must be 0 or 1 for each of the {len(times)} patients.")
    return times, events.astype(bool)


def _risk_table(times: np.ndarray, events: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct times with events, patients at risk just before and events at each."""
    steps, counts = np.unique(times[events], return_counts=True)
    return steps, len(times) - np.searchsorted(np.sort(times), steps), counts


def _first(steps: np.ndarray, curve: np.ndarray, level: float) -> float:
    below = np.flatnonzero(curve <= level + ROUNDING)
    return float(steps[below[0]]) if len(below) else np.inf


def kaplan_meier(time: np.ndarray, event: np.ndarray) -> KaplanMeier:
    """Kaplan and Meier's curve with its interval, and the median with the interval of Brookmeyer and Crowley.

    time, event: [n]. Raises UserError for negative or missing times and for events other than 0 and 1.

    >>> kaplan_meier(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1, 1, 0, 1])).survival.tolist()
    [0.75, 0.5, 0.0]
    """
    steps, at_risk, counts = _risk_table(*_follow_up(time, event))
    survival = np.cumprod(1 - counts / at_risk)
    low, high = survival.copy(), survival.copy()
    inside = (survival > 0) & (survival < 1)
    s = survival[inside]
    greenwood = np.cumsum((counts / (at_risk * np.maximum(at_risk - counts, 1)))[inside])
    shift = Z * np.sqrt(greenwood) / np.abs(np.log(s))
    low[inside], high[inside] = s ** np.exp(shift), s ** np.exp(-shift)
    medians = (_first(steps, curve, 0.5) for curve in (survival, low, high))
    return KaplanMeier(steps, at_risk, counts, survival, low, high, *medians)


def log_rank(time: np.ndarray, event: np.ndarray, arm: np.ndarray) -> LogRank:
    """Test of equal hazards in two or more arms. time, event, arm: [n]. Without any event the p value is 1."""
    times, events = _follow_up(time, event)
    arms, levels = checked_arms(arm, len(times), int(np.min(arm)) if len(arm) else 0)
    steps, at_risk, counts = _risk_table(times, events)
    members = [arms == a for a in levels]
    in_arm = np.stack([m.sum() - np.searchsorted(np.sort(times[m]), steps) for m in members], axis=1)
    share = in_arm / at_risk[:, None]
    observed = np.array([events[m].sum() for m in members])
    expected = counts @ share
    weight = counts * (at_risk - counts) / np.maximum(at_risk - 1, 1)
    variance = np.diag(weight @ share) - (weight[:, None] * share).T @ share
    excess = (observed - expected)[1:]
    statistic = float(excess @ np.linalg.pinv(variance[1:, 1:], hermitian=True) @ excess)
    df = len(levels) - 1
    tables = dict(zip(levels, observed.tolist(), strict=True)), dict(zip(levels, expected.tolist(), strict=True))
    return LogRank(statistic, df, float(chdtrc(df, statistic)), *tables)


def _partial_likelihood(
    beta: np.ndarray, x: np.ndarray, first: np.ndarray, died: np.ndarray, tied: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Cox's log partial likelihood with Efron's ties, its gradient [p] and information [p, p].

    x: [n, p] by falling time; first: [events] patients at risk at each event, which come first in x;
    died: [events] row of the patient; tied: [events, 2] share of the tied events already gone and their first event.
    """
    linear = x @ beta
    hazard = np.exp(linear - linear.max())
    products = np.einsum("ni,nj->nij", x, x).reshape(len(x), -1)
    terms = hazard[:, None] * np.column_stack([np.ones(len(x)), x, products])
    at_risk = np.cumsum(terms, axis=0)[first - 1]
    # The sum over the events tied with each one.
    group = tied[:, 1].astype(int)
    tied_sum = np.zeros_like(at_risk)
    np.add.at(tied_sum, group, terms[died])
    left = at_risk - tied[:, :1] * tied_sum[group]
    p = len(beta)
    if not (left[:, 0] > 0).all():
        # A step so long that the weights of a whole risk set vanish beside the largest: the caller shortens it.
        return -np.inf, np.zeros(p), np.zeros((p, p))
    mean = left[:, 1 : p + 1] / left[:, :1]
    square = (left[:, p + 1 :] / left[:, :1]).sum(axis=0).reshape(p, p)
    value = float((linear[died] - linear.max() - np.log(left[:, 0])).sum())
    return value, (x[died] - mean).sum(axis=0), square - mean.T @ mean


def cox(
    time: np.ndarray,
    event: np.ndarray,
    arm: np.ndarray,
    covariates: np.ndarray | None = None,
    control: int = 0,
) -> dict[int, Estimate]:
    """Hazard ratio of each arm against control: Cox's proportional hazards, Efron's method for ties.

    time, event, arm: [n]; covariates: [n] or [n, covariates]. Interval and p value are Wald's on the log scale, and the
    standard error is that of the log hazard ratio. Raises UserError where a hazard ratio has no finite estimate.
    """
    times, events = _follow_up(time, event)
    n = len(times)
    arms, levels = checked_arms(arm, n, control)
    for a in levels:
        if not events[arms == a].any():
            raise UserError(f"arm {a} has no events, so no finite hazard ratio; log_rank can still compare the arms.")
    x = np.column_stack([arms[:, None] == levels[1:], centred_covariates(covariates, n)]).astype(float)
    order = np.argsort(-times, kind="stable")
    x, times, events = x[order] - x.mean(axis=0), times[order], events[order]
    died = np.flatnonzero(events)
    _, start, group, ties = np.unique(-times[died], return_index=True, return_inverse=True, return_counts=True)
    gone = (np.arange(len(died)) - start[group]) / ties[group]
    first = np.searchsorted(-times, -times[died], side="right")
    data = x, first, died, np.column_stack([gone, group])
    beta = np.zeros(x.shape[1])
    value, gradient, information = _partial_likelihood(beta, *data)
    for _ in range(MAX_STEPS):
        if np.linalg.matrix_rank(information, hermitian=True) < len(beta):
            break
        step = np.linalg.solve(information, gradient)
        gain = float(gradient @ step)
        new = _partial_likelihood(beta + step, *data)
        while not new[0] >= value - 1e-9 * (1 + abs(value)):
            step = step / 2
            new = _partial_likelihood(beta + step, *data)
        beta, (value, gradient, information) = beta + step, new
        if gain < 1e-12:
            break
    if np.ptp(x @ beta) > LARGEST or np.linalg.matrix_rank(information, hermitian=True) < len(beta):
        raise UserError(
            "the hazard ratios have no finite estimate: an arm or a covariate tells exactly who has the event, "
            "or covariates repeat each other; drop a covariate, or use log_rank."
        )
    error = np.sqrt(np.diag(np.linalg.inv(information)))
    found = {}
    for a, b, e in zip(levels[1:], beta, error, strict=False):
        low, high = np.exp(b - Z * e), np.exp(b + Z * e)
        found[a] = Estimate(float(np.exp(b)), float(e), float(low), float(high), 2 * float(ndtr(-abs(b) / e)), np.inf)
    return found
