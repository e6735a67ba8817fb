"""The mixed model for repeated measures: each arm's mean at each visit, with any covariance of visits, fitted by
restricted maximum likelihood with Satterthwaite's degrees of freedom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from euthymia.errors import UserError
from euthymia.trial.statistics import (
    NO_SPREAD,
    Estimate,
    centred_covariates,
    checked_arms,
    finite_column,
    invert_gram,
    t_estimates,
)

MAX_STEPS = 100
SINGULAR = 1e-5
"""Smallest eigenvalue of the correlations between visits at which a fit still counts as one."""


@dataclass(frozen=True)
class RepeatedMeasures:
    """What `mmrm` found, visit by visit."""

    difference: tuple[dict[int, Estimate], ...]
    """[visits] of arm to its difference from control, in points."""
    mean: tuple[dict[int, Estimate], ...]
    """[visits] of arm to its least-squares mean, in points; the p value is that of a mean of zero."""
    covariance: np.ndarray
    """[visits, visits] residual covariance, in points squared."""


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
        q, _ = invert_gram(x[seen])
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
    base = np.empty((n, 0)) if baseline is None else finite_column("baseline", baseline, n)[:, None]
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
    found = t_estimates(contrast @ model.beta, np.sqrt(variance), df)
    rows = [found[i * visits : (i + 1) * visits] for i in range(2 * k - 1)]
    mean = tuple({a: rows[i][v] for i, a in enumerate(levels)} for v in range(visits))
    difference = tuple({a: rows[k + i][v] for i, a in enumerate(levels[1:])} for v in range(visits))
    return RepeatedMeasures(difference, mean, model.covariance)
