"""Estimates from the continuous and binary endpoints of a randomised trial of two or more arms.

Every estimate comes with a two-sided 95 % interval and the p value of no effect. Differences are arm minus control, in
the units of the score; a lower score is better on the usual scales, so a drug that works has a negative difference.
"""

from contextlib import ContextDecorator
from dataclasses import dataclass
from threading import Lock

import numpy as np
from scipy.special import chdtrc, gammaln, ndtr, ndtri, stdtr, stdtrit
from threadpoolctl import threadpool_limits

from euthymia.errors import UserError

CONFIDENCE = 0.95
Z = float(ndtri(0.5 + CONFIDENCE / 2))
NO_SPREAD = 1e-20
"""Share of the sum of squares below which residuals are rounding errors."""


class _OneThread(ContextDecorator):
    """Linear algebra on one thread while anything is inside: on more, sums run in an order that depends on how many.

    The limit is the process's, so it is set by the first who enters and lifted by the last who leaves.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._limit = Lock(), 0, None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit = threadpool_limits(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._limit:
                self._limit.restore_original_limits()


one_thread = _OneThread()


@dataclass(frozen=True)
class Estimate:
    """An effect with its 95 % interval. For ratios the standard error is that of the logarithm."""

    value: float
    standard_error: float
    low: float
    high: float
    p_value: float
    df: float
    """Degrees of freedom of the t distribution; infinite where the normal one was used."""


@dataclass(frozen=True)
class NumberNeededToTreat:
    """Patients to treat for one more wanted outcome; negative: for one more patient harmed.

    Where the interval of the risk difference holds zero, the numbers run from `low` (harm) through infinity to `high`.
    """

    value: float
    low: float
    high: float
    words: str


def t_estimates(value: np.ndarray, standard_error: np.ndarray, df: np.ndarray) -> list[Estimate]:
    half = stdtrit(df, 0.5 + CONFIDENCE / 2) * standard_error
    p = 2 * stdtr(df, -np.abs(value / standard_error))
    columns = value, standard_error, value - half, value + half, p, np.broadcast_to(df, value.shape)
    return [Estimate(*row) for row in np.stack(columns, axis=1).tolist()]


# --- the design that both analyses of a score share -------------------------------------------------------------------


def finite_column(name: str, values: np.ndarray, n: int) -> np.ndarray:
    column = np.asarray(values, float)
    if column.shape != (n,) or not np.isfinite(column).all():
        raise UserError(f"{name} must hold one finite number for each of the {n} patients.")
    return column


def checked_arms(arm: np.ndarray, n: int, control: int) -> tuple[np.ndarray, list[int]]:
    """Arm of each patient and the arms that occur, the control first."""
    arms = np.asarray(arm)
    if arms.shape != (n,) or not np.issubdtype(arms.dtype, np.integer):
        raise UserError(f"arm must hold one whole number for each of the {n} patients.")
    levels = np.unique(arms).tolist()
    if control not in levels or len(levels) < 2:
        raise UserError(f"arm holds {levels}; it must hold the control arm, {control}, and at least one other.")
    return arms, [control, *(a for a in levels if a != control)]


def centred_covariates(covariates: np.ndarray | None, n: int) -> np.ndarray:
    """[n, covariates], centred."""
    if covariates is None:
        return np.empty((n, 0))
    table = np.asarray(covariates, float)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2 or len(table) != n or not np.isfinite(table).all():
        raise UserError(f"covariates must hold finite numbers, one row for each of the {n} patients.")
    return table - table.mean(axis=0)


def invert_gram(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis of x [n, p] and the inverse of x'x, or UserError where x does not have full rank."""
    q, r = np.linalg.qr(x)
    size = np.abs(np.diag(r))
    if len(x) <= x.shape[1] or (size <= 1e-10 * np.linalg.norm(x, axis=0)).any():
        raise UserError(
            f"{len(x)} patients cannot tell {x.shape[1]} terms apart; "
            "drop constant or duplicate covariates, or use more patients than terms."
        )
    inverse = np.linalg.inv(r)
    return q, inverse @ inverse.T


def _ancova(
    score: np.ndarray, baseline: np.ndarray, arm: np.ndarray, covariates: np.ndarray | None, control: int
) -> tuple[list[int], list[Estimate], list[Estimate]]:
    """Arms with the control first, their means, and the differences of all but the control from it."""
    y = np.asarray(score, float)
    if y.ndim != 1 or np.isinf(y).any():
        raise UserError(f"score must hold one number for each patient, or NaN where missing; it has shape {y.shape}.")
    base, n = finite_column("baseline", baseline, len(y)), len(y)
    extra = centred_covariates(covariates, n)
    arms, _ = checked_arms(arm, n, control)
    seen = ~np.isnan(y)
    y, base, extra = y[seen], base[seen], extra[seen]
    arms, levels = checked_arms(arms[seen], len(y), control)
    x = np.column_stack([arms[:, None] == levels, base - base.mean(), extra - extra.mean(axis=0)])
    q, inverse = invert_gram(x)
    df = len(y) - x.shape[1]
    beta = inverse @ (x.T @ y)
    residual = y - q @ (q.T @ y)
    if residual @ residual <= NO_SPREAD * (y @ y):
        raise UserError("score does not vary within the arms; the analysis needs scores that differ between patients.")
    k = len(levels)
    contrast = np.zeros((2 * k - 1, x.shape[1]))
    contrast[:k, :k] = np.eye(k)
    contrast[k:, :k] = np.eye(k)[1:] - np.eye(k)[0]
    variance = residual @ residual / df * np.einsum("ci,ij,cj->c", contrast, inverse, contrast)
    found = t_estimates(contrast @ beta, np.sqrt(variance), np.asarray(float(df)))
    return levels, found[:k], found[k:]


def ancova(
    score: np.ndarray,
    baseline: np.ndarray,
    arm: np.ndarray,
    covariates: np.ndarray | None = None,
    control: int = 0,
) -> dict[int, Estimate]:
    """Difference of each arm from control in a score or its change, adjusted for baseline: analysis of covariance.

    score, baseline: [n] points; arm: [n] whole numbers; covariates: [n] or [n, covariates].
    Patients whose score is NaN are left out. Raises UserError for other gaps and for a design of less than full rank.
    """
    levels, _, differences = _ancova(score, baseline, arm, covariates, control)
    return dict(zip(levels[1:], differences, strict=True))


def least_squares_means(
    score: np.ndarray,
    baseline: np.ndarray,
    arm: np.ndarray,
    covariates: np.ndarray | None = None,
    control: int = 0,
) -> dict[int, Estimate]:
    """Mean of each arm at the average baseline and covariates of those analysed; arguments as for `ancova`."""
    levels, means, _ = _ancova(score, baseline, arm, covariates, control)
    return dict(zip(levels, means, strict=True))


# --- two groups -------------------------------------------------------------------------------------------------------


def _check_counts(events: int, n: int, events_control: int, n_control: int) -> None:
    for name, count, total in (("events", events, n), ("events_control", events_control, n_control)):
        if total < 1 or not 0 <= count <= total:
            raise UserError(f"{name} is {count} of {total}; it must lie between 0 and the patients, at least 1.")


def wilson(events: float, n: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion, 95 %."""
    centre = (events + Z**2 / 2) / (n + Z**2)
    half = Z / (n + Z**2) * np.sqrt(events * (n - events) / n + Z**2 / 4)
    return float(centre - half), float(centre + half)


def two_proportions(events: int, n: int, events_control: int, n_control: int) -> float:
    """P value of two equal proportions: Pearson's chi-square test without continuity correction."""
    _check_counts(events, n, events_control, n_control)
    total, everyone = events + events_control, n + n_control
    if total in (0, everyone):
        return 1.0
    difference = events / n - events_control / n_control
    variance = total / everyone * (1 - total / everyone) * (1 / n + 1 / n_control)
    return float(chdtrc(1, difference**2 / variance))


def risk_difference(events: int, n: int, events_control: int, n_control: int) -> Estimate:
    """Proportion with the event minus that of control (-1 to 1), with Newcombe's hybrid score interval.

    The standard error is the unpooled one; the p value is that of `two_proportions`.
    Newcombe 1998, method 10, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.
    """
    p_value = two_proportions(events, n, events_control, n_control)
    p, q = events / n, events_control / n_control
    low, high = wilson(events, n)
    low_control, high_control = wilson(events_control, n_control)
    error = float(np.sqrt(p * (1 - p) / n + q * (1 - q) / n_control))
    below = float(np.hypot(p - low, high_control - q))
    above = float(np.hypot(high - p, q - low_control))
    return Estimate(p - q, error, max(-1.0, p - q - below), min(1.0, p - q + above), p_value, np.inf)


def _needed(risk: float) -> str:
    if risk == 0:
        return "infinity"
    return f"{1 / abs(risk):.1f} to {'benefit' if risk > 0 else 'harm'}"


def number_needed_to_treat(events: int, n: int, events_control: int, n_control: int) -> NumberNeededToTreat:
    """Patients to treat for one more event than under control, from `risk_difference` and its interval.

    The event must be a wanted outcome (response, remission). Worded as in Altman 1998, doi:10.1136/bmj.317.7168.1309.

    >>> number_needed_to_treat(30, 100, 20, 100).words
    '10.0 to benefit (95 % interval 49.4 to harm through infinity to 4.6 to benefit)'
    """
    risk = risk_difference(events, n, events_control, n_control)
    crosses = risk.low < 0 < risk.high
    first, second = (risk.low, risk.high) if crosses else sorted((risk.low, risk.high), key=abs, reverse=True)
    low, high = (np.inf if r == 0 else 1 / r for r in (first, second))
    join = " through infinity to " if crosses else " to "
    words = f"{_needed(risk.value)} (95 % interval {_needed(first)}{join}{_needed(second)})"
    return NumberNeededToTreat(np.inf if risk.value == 0 else 1 / risk.value, low, high, words)


def odds_ratio(events: int, n: int, events_control: int, n_control: int) -> Estimate:
    """Odds of the event over those under control, with the interval and p value of the normal log odds ratio.

    Where a cell of the table is empty, half a patient is added to each cell (Haldane and Anscombe).
    """
    _check_counts(events, n, events_control, n_control)
    cells = np.array([events, n - events, events_control, n_control - events_control], float)
    cells += 0.5 * (cells == 0).any()
    log_ratio = float(np.log(cells[0] * cells[3] / (cells[1] * cells[2])))
    error = float(np.sqrt((1 / cells).sum()))
    low, high = np.exp(log_ratio - Z * error), np.exp(log_ratio + Z * error)
    p_value = 2 * float(ndtr(-abs(log_ratio) / error))
    return Estimate(float(np.exp(log_ratio)), error, float(low), float(high), p_value, np.inf)


def hedges_g(score: np.ndarray, score_control: np.ndarray) -> Estimate:
    """Standardised mean difference (in SD, pooled) without small-sample bias: Hedges' g.

    score: [n]; score_control: [n_control]. The interval is that of the noncentral t distribution, the p value that of
    the t test, the standard error the one of Hedges and Olkin 1985.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    a, b = np.asarray(score, float), np.asarray(score_control, float)
    for name, values in (("score", a), ("score_control", b)):
        if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
            raise UserError(f"{name} must hold at least 2 finite numbers.")
    n, m = len(a), len(b)
    df = n + m - 2
    pooled = np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / df)
    if not pooled > 0:
        raise UserError("score and score_control do not vary; they must differ between patients.")
    unit = np.sqrt(1 / n + 1 / m)
    t = float((a.mean() - b.mean()) / pooled / unit)
    unbiased = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)
    spread = np.sqrt(1 + t**2 / (2 * df))

    def excess(centre: float, p: float) -> float:
        below = nct.cdf(t, df, centre)
        # Far out SciPy's value can be NaN; it falls from 1 to 0 as the centre passes t.
        return float(t > centre if np.isnan(below) else below) - p

    low, high = (
        unbiased * unit * float(brentq(excess, t - 8 * spread, t + 8 * spread, args=(p,), xtol=1e-10))  # type: ignore[arg-type]
        for p in (0.5 + CONFIDENCE / 2, 0.5 - CONFIDENCE / 2)
    )
    g = unbiased * unit * t
    error = np.sqrt(unit**2 + g**2 / (2 * (n + m - 3.94)))
    return Estimate(float(g), float(error), float(low), float(high), 2 * float(stdtr(df, -abs(t))), float(df))


def power_two_means(difference: float, sd: float, n_per_arm: int, alpha: float = 0.05) -> float:
    """Power (0 to 1) of the two-sided t test of two arms of equal size. difference, sd: points.

    For an analysis of covariance let sd be that of the score given baseline, sd x sqrt(1 - correlation squared).

    >>> round(power_two_means(0.5, 1, 64), 2)
    0.8
    """
    from scipy.stats import nct

    if not sd > 0 or n_per_arm < 2 or not 0 < alpha < 1:
        raise UserError(
            f"sd is {sd}, n_per_arm {n_per_arm} and alpha {alpha}; "
            "sd must be above 0, n_per_arm at least 2 and alpha between 0 and 1."
        )
    df = 2 * n_per_arm - 2
    limit = stdtrit(df, 1 - alpha / 2)
    centre = difference / sd * np.sqrt(n_per_arm / 2)
    return float(nct.sf(limit, df, centre) + nct.cdf(-limit, df, centre))
