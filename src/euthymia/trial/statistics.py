"""Estimates from the continuous and binary endpoints of a randomised trial of two or more arms.

Every estimate comes with a two-sided 95 % interval and the p value of no effect. Differences are arm minus control, in
the units of the score; a lower score is better on the usual scales, so a drug that works has a negative difference.
"""

from collections.abc import Sequence
from contextlib import ContextDecorator
from dataclasses import dataclass
from threading import Lock

import numpy as np
from scipy.special import chdtrc, gammaln, ndtr, ndtri, stdtr, stdtrit
from threadpoolctl import threadpool_limits

from euthymia.errors import UserError

CONFIDENCE = 0.95
Z = float(ndtri(0.5 + CONFIDENCE / 2))
MAX_STEPS = 100
SINGULAR = 1e-5
"""Smallest eigenvalue of the correlations between visits at which a fit still counts as one."""
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
class RepeatedMeasures:
    """What `mmrm` found, visit by visit."""

    difference: tuple[dict[int, Estimate], ...]
    """[visits] of arm to its difference from control, in points."""
    mean: tuple[dict[int, Estimate], ...]
    """[visits] of arm to its least-squares mean, in points; the p value is that of a mean of zero."""
    covariance: np.ndarray
    """[visits, visits] residual covariance, in points squared."""


@dataclass(frozen=True)
class NumberNeededToTreat:
    """Patients to treat for one more wanted outcome; negative: for one more patient harmed.

    Where the interval of the risk difference holds zero, the numbers run from `low` (harm) through infinity to `high`.
    """

    value: float
    low: float
    high: float
    words: str


def _t_estimates(value: np.ndarray, standard_error: np.ndarray, df: np.ndarray) -> list[Estimate]:
    half = stdtrit(df, 0.5 + CONFIDENCE / 2) * standard_error
    p = 2 * stdtr(df, -np.abs(value / standard_error))
    columns = value, standard_error, value - half, value + half, p, np.broadcast_to(df, value.shape)
    return [Estimate(*row) for row in np.stack(columns, axis=1).tolist()]


# --- the design that both analyses of a score share -------------------------------------------------------------------


def _column(name: str, values: np.ndarray, n: int) -> np.ndarray:
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


def _invert_gram(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    base, n = _column("baseline", baseline, len(y)), len(y)
    extra = centred_covariates(covariates, n)
    arms, _ = checked_arms(arm, n, control)
    seen = ~np.isnan(y)
    y, base, extra = y[seen], base[seen], extra[seen]
    arms, levels = checked_arms(arms[seen], len(y), control)
    x = np.column_stack([arms[:, None] == levels, base - base.mean(), extra - extra.mean(axis=0)])
    q, inverse = _invert_gram(x)
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
    found = _t_estimates(contrast @ beta, np.sqrt(variance), np.asarray(float(df)))
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


# --- the mixed model for repeated measures ----------------------------------------------------------------------------


class _Reml:
    """Restricted likelihood of y ~ N(mean, covariance) with visits missing at random, and its derivatives.

    Regressors [n, k] act on each visit with coefficients of their own, except the last `shared`, which have one
    coefficient for all visits. Patients with the same visits observed enter through their sums of squares only, so the
    work of a step does not grow with their number. Derivatives are with respect to the distinct elements of the
    covariance, in which the covariance is linear.
    """

    def __init__(self, y: np.ndarray, x: np.ndarray, shared: int) -> None:
        observed = ~np.isnan(y)
        y = np.where(observed, y, 0.0)
        self.visits, self.terms = y.shape[1], x.shape[1]
        patterns, member = np.unique(observed, axis=0, return_inverse=True)
        groups = [np.flatnonzero(member.ravel() == g) for g in range(len(patterns))]
        self.seen = patterns[:, :, None] & patterns[:, None, :]
        self.filler = np.eye(self.visits) * ~patterns[:, None, :]
        self.count = np.array([len(g) for g in groups], float)
        self.xx = np.stack([x[g].T @ x[g] for g in groups])
        self.xy = np.stack([x[g].T @ y[g] for g in groups])
        self.yy = np.stack([y[g].T @ y[g] for g in groups])
        own = (self.terms - shared) * self.visits
        self.reduce = np.zeros((self.terms * self.visits, own + shared))
        self.reduce[:own, :own] = np.eye(own)
        self.reduce[own:, own:] = np.repeat(np.eye(shared), self.visits, axis=0)
        rows, columns = np.triu_indices(self.visits)
        self.basis = np.zeros((len(rows), self.visits, self.visits))
        self.basis[np.arange(len(rows)), rows, columns] = 1
        self.basis[np.arange(len(rows)), columns, rows] = 1

    def _kronecker(self, blocks: np.ndarray) -> np.ndarray:
        """Sum over patterns of x'x ⊗ block, reduced: blocks [patterns, ..., visits, visits] -> [..., p, p]."""
        full = np.tensordot(self.xx, blocks, axes=(0, 0))
        full = np.moveaxis(full, (0, 1), (-4, -2))
        side = self.terms * self.visits
        # Now [..., term, visit, term, visit].
        return self.reduce.T @ full.reshape(*full.shape[:-4], side, side) @ self.reduce

    def at(self, covariance: np.ndarray) -> float:
        """Move to a positive definite covariance [visits, visits]; returns the restricted log likelihood there."""
        self.covariance = covariance
        padded = covariance * self.seen + self.filler
        self.weight = np.linalg.inv(padded) * self.seen
        a = self._kronecker(self.weight)
        b = self.reduce.T @ np.einsum("gau,guv->av", self.xy, self.weight).ravel()
        self.bread = np.linalg.inv(a)
        self.beta = self.bread @ b
        quadratic = (self.weight * self.yy).sum() - b @ self.beta
        log_determinants = self.count @ np.linalg.slogdet(padded)[1] + np.linalg.slogdet(a)[1]
        return -0.5 * float(log_determinants + quadratic)

    def _pairs(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Sum over patterns of trace(left E_k right E_l) for every two elements k and l of the covariance."""
        v = self.visits
        tensor = np.tensordot(left, right, axes=(0, 0)).transpose(1, 2, 0, 3).reshape(v * v, v * v)
        flat = self.basis.reshape(-1, v * v)
        return flat @ tensor @ flat.T

    def derivatives(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Score [m], observed [m, m] and expected [m, m] information of the m covariance elements where `at` stands."""
        w, shape = self.weight, (self.terms, self.visits, self.terms, self.visits)
        coefficients = (self.reduce @ self.beta).reshape(self.terms, self.visits)
        left = coefficients.T @ self.xy
        errors = self.yy - left - left.transpose(0, 2, 1) + coefficients.T @ self.xx @ coefficients
        weighted = w @ errors @ w
        spread = np.einsum("gab,aubv->guv", self.xx, (self.reduce @ self.bread @ self.reduce.T).reshape(shape))
        hat = w @ spread @ w
        gradient = (self.count[:, None, None] * w - hat - weighted).sum(axis=0)
        score = -0.5 * np.tensordot(self.basis, gradient, axes=2)
        self.slope = self._kronecker(w[:, None] @ self.basis @ w[:, None])
        change = self.bread @ self.slope
        trace = self._pairs(self.count[:, None, None] * w - 2 * hat, w)
        trace = trace + np.tensordot(change, change, axes=((1, 2), (2, 1)))
        with_terms = (self.xy - self.xx @ coefficients) @ w
        reach = (with_terms[:, None] @ self.basis @ w[:, None]).sum(axis=0).reshape(len(self.basis), -1) @ self.reduce
        quadratic = self._pairs(weighted, w) - reach @ self.bread @ reach.T
        return score, quadratic - trace / 2, trace / 2


def _positive_definite(matrix: np.ndarray) -> bool:
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    return True


def _start(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Covariance [visits, visits] of the residuals of each visit's own regression, pair by pair; exact without gaps."""
    residual = np.zeros_like(y)
    for v in range(y.shape[1]):
        seen = ~np.isnan(y[:, v])
        q, _ = _invert_gram(x[seen])
        residual[seen, v] = y[seen, v] - q @ (q.T @ y[seen, v])
    observed = (~np.isnan(y)).astype(float)
    both = observed.T @ observed
    if (both <= 1).any():
        u, v = np.argwhere(both <= 1)[0]
        raise UserError(f"scores has too few patients seen at both visit {u} and visit {v}; there must be at least 2.")
    covariance = residual.T @ residual / np.maximum(both - x.shape[1], 1)
    if (np.sum(residual**2, axis=0) <= NO_SPREAD * np.nansum(y**2, axis=0)).any():
        raise UserError("scores do not vary within the arms at some visit; they must differ between patients.")
    own = np.diag(np.diag(covariance))
    # Pairs taken from different patients need not fit together; shrinking towards no correlation makes them.
    while not _positive_definite(covariance - 1e-4 * own):
        covariance = own + 0.8 * (covariance - own)
    return covariance


def _maximise(model: _Reml, covariance: np.ndarray) -> np.ndarray:
    """Move the model to the restricted maximum from a start; the information [m, m] of the covariance elements there.

    Newton steps, or scoring steps where the likelihood is not concave, shortened until they do not lower it. Raises
    LinAlgError where there is no maximum among the positive definite covariances.
    """
    likelihood = model.at(covariance)
    for _ in range(MAX_STEPS):
        score, observed, expected = model.derivatives()
        step = np.linalg.solve(observed if _positive_definite(observed) else expected, score)
        gain = float(score @ step)
        size = 1.0
        while size > 1e-6:
            tried = covariance + np.tensordot(size * step, model.basis, axes=1)
            if _positive_definite(tried):
                reached = model.at(tried)
                if reached >= likelihood - 1e-10 * (1 + abs(likelihood)):
                    break
            size /= 2
        else:
            break
        covariance, likelihood = tried, reached
        if gain < 1e-9:
            break
    _, observed, _ = model.derivatives()
    sd = np.sqrt(np.diag(covariance))
    least = np.linalg.eigvalsh(covariance / np.outer(sd, sd))[0]
    if gain >= 1e-9 or least < SINGULAR or not _positive_definite(observed):
        raise np.linalg.LinAlgError
    return observed


def mmrm(
    scores: np.ndarray,
    baseline: np.ndarray | None,
    arm: np.ndarray,
    control: int = 0,
    covariates: np.ndarray | None = None,
) -> RepeatedMeasures:
    """Mixed model for repeated measures: differences from control and least-squares means at every visit.

    scores: [n, visits] or [n] (one visit) in points, NaN where missing, taken as missing at random.
    baseline: [n] in points, or None for no adjustment; arm: [n] whole numbers; covariates: [n] or [n, covariates].
    Fixed effects: arm and baseline at each visit of their own, covariates with one coefficient over all visits.
    Residual covariance over visits unstructured, by restricted maximum likelihood. Degrees of freedom by Satterthwaite
    from the observed information; standard errors without the correction of Kenward and Roger. Means are taken at the
    average baseline and covariates of the patients with any score. Without gaps and covariates the result is that of
    `ancova` at each visit. Raises UserError where the data cannot carry the model.
    """
    y = np.asarray(scores, float)
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or not y.shape[1] or np.isinf(y).any():
        raise UserError(f"scores must be numbers [patients, visits], NaN where missing; it has shape {y.shape}.")
    n = len(y)
    base = np.empty((n, 0)) if baseline is None else _column("baseline", baseline, n)[:, None]
    extra = centred_covariates(covariates, n)
    arms, levels = checked_arms(arm, n, control)
    some = ~np.isnan(y).all(axis=1)
    y, base, extra, arms = y[some], base[some], extra[some], arms[some]
    for visit in range(y.shape[1]):
        missing = sorted(set(levels) - set(arms[~np.isnan(y[:, visit])].tolist()))
        if missing:
            raise UserError(f"scores has no patient of arm {missing[0]} at visit {visit}; every arm needs some.")
    x = np.column_stack([arms[:, None] == levels, base - base.mean(axis=0), extra - extra.mean(axis=0)])
    model = _Reml(y, x, extra.shape[1])
    try:
        elements = np.linalg.inv(_maximise(model, _start(y, x)))
    except np.linalg.LinAlgError:
        raise UserError(
            f"scores: the covariance of {y.shape[1]} visits cannot be estimated from these {len(y)} patients, "
            "whose gaps leave it singular or whose visits repeat each other; use fewer visits or more patients."
        ) from None
    return _by_visit(model, levels, elements)


def _by_visit(model: _Reml, levels: Sequence[int], elements: np.ndarray) -> RepeatedMeasures:
    """Estimates of every arm and visit. elements: covariance matrix of the elements of the residual covariance."""
    k, visits = len(levels), model.visits
    means = np.eye(len(model.beta))[: k * visits].reshape(k, visits, -1)
    contrast = np.concatenate([means, means[1:] - means[0]]).reshape((2 * k - 1) * visits, -1)
    half = contrast @ model.bread
    variance = (half * contrast).sum(axis=1)
    slope = np.einsum("ci,mij,cj->cm", half, model.slope, half, optimize=True)
    df = 2 * variance**2 / ((slope @ elements) * slope).sum(axis=1)
    found = _t_estimates(contrast @ model.beta, np.sqrt(variance), df)
    rows = [found[i * visits : (i + 1) * visits] for i in range(2 * k - 1)]
    mean = tuple({a: rows[i][v] for i, a in enumerate(levels)} for v in range(visits))
    difference = tuple({a: rows[k + i][v] for i, a in enumerate(levels[1:])} for v in range(visits))
    return RepeatedMeasures(difference, mean, model.covariance)


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
