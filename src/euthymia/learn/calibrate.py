"""Fit the population parameters to the calibration trials: the most likely values, draws around them, and diagnostics.

The most likely values are found by quasi-Newton steps on exact gradients, their uncertainty by the Laplace
approximation (the Hessian from differences of the gradient), and the error of that by importance sampling with
Pareto-smoothed weights (Vehtari 2024, JMLR 25(72)): where the weights can be trusted the draws are resampled by them,
and where not they remain those of the approximation, which is then said.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from euthymia.learn.likelihood import Target
from euthymia.trial.posterior import Draw

MOST_STEPS = 200
STEP = 1e-3  # of the standardised coordinates, for differences of the gradient
RELIABLE_K = 0.7


class Fit(NamedTuple):
    """A fitted target: the most likely standardised coordinates and the Laplace covariance around them."""

    target: Target
    best: np.ndarray
    covariance: np.ndarray
    log_density: float
    steps: int


class Posterior(NamedTuple):
    """Draws [draws, coordinates], and what they are worth.

    effective: effective number of the proposals; pareto_k: shape of the tail of their weights. Below 0.7 the draws are
    resampled by the weights; above it they are those of the Laplace approximation.
    """

    fit: Fit
    draws: np.ndarray
    effective: float
    pareto_k: float
    proposals: int

    def as_draws(self) -> tuple[Draw, ...]:
        """The draws as parameters and levels of studies."""
        return tuple(self.fit.target.draw(jnp.asarray(x)) for x in self.draws)


class Moved(NamedTuple):
    """What the data did to one parameter: prior median and 90 % range, posterior median and range, and the posterior's
    spread over the prior's (on the log scale; near 1: the data say nothing)."""

    id: str
    prior: tuple[float, float, float]
    posterior: tuple[float, float, float]
    spread_left: float
    shift: float


def _compiled(target: Target) -> tuple[Callable, Callable]:
    """Value, and value with gradient, of the negative log density."""
    given = target.replicas.arms, target.peak.arms, target.data

    def cost(x, arms, peak, data):
        return -target.log_density(arms, peak, data, x)

    value = eqx.filter_jit(cost)
    both = eqx.filter_jit(eqx.filter_value_and_grad(cost))
    return (
        lambda x: float(value(jnp.asarray(x), *given)),
        lambda x: tuple(np.asarray(r) for r in both(jnp.asarray(x), *given)),
    )


def fit(
    target: Target,
    start: np.ndarray | None = None,
    progress: Callable[[str, int, int], None] | None = None,
    with_covariance: bool = True,
) -> Fit:
    """The most likely coordinates and the covariance around them.

    progress: called with (what is being done, how much is done, of how much).
    """
    _, both = _compiled(target)
    done = 0

    def counted(x):
        nonlocal done
        done += 1
        if progress:
            progress("fitting", min(done, MOST_STEPS), MOST_STEPS)
        value, gradient = both(x)
        return float(value), gradient

    first = np.zeros(target.size) if start is None else start
    options = {"maxiter": MOST_STEPS, "maxcor": 40, "ftol": 1e-8, "gtol": 1e-3}
    found = minimize(counted, first, jac=True, method="L-BFGS-B", options=options)
    covariance = np.eye(target.size)
    if with_covariance:
        columns = []
        for k, v in enumerate(np.eye(target.size)):
            up, down = (both(found.x + step * v)[1] for step in (STEP, -STEP))
            columns.append((up - down) / (2 * STEP))
            if progress:
                progress("measuring uncertainty", k + 1, target.size)
        covariance = _inverse(np.stack(columns))
    return Fit(target, found.x, covariance, -float(found.fun), done)


def _inverse(hessian: np.ndarray) -> np.ndarray:
    """Of a Hessian of the negative log density; directions flatter than the prior, which only noise makes, are given
    the prior's curvature of 1."""
    values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
    return (vectors / np.maximum(values, 1.0)) @ vectors.T


def sample(
    found: Fit,
    draws: int = 200,
    proposals: int = 600,
    seed: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Posterior:
    """Draws from the posterior: proposals of the Laplace approximation, weighed by how likely they really are."""
    value, _ = _compiled(found.target)
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(found.covariance)
    z = rng.standard_normal((proposals, found.target.size))
    x = found.best + z @ root.T
    log_weights = np.empty(proposals)
    for k, row in enumerate(x):
        log_weights[k] = -value(row) + 0.5 * z[k] @ z[k]
        if progress:
            progress("weighing draws", k + 1, proposals)
    log_weights[~np.isfinite(log_weights)] = -np.inf
    weights, pareto_k = smoothed(log_weights)
    chosen = _systematic(weights, draws, rng) if pareto_k < RELIABLE_K else np.arange(draws) % proposals
    return Posterior(found, x[chosen], float(1 / (weights**2).sum()), pareto_k, proposals)


def _systematic(weights: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Indices drawn in proportion to the weights, with the least noise."""
    at = (np.arange(draws) + rng.random()) / draws
    return np.searchsorted(np.cumsum(weights), at).clip(0, len(weights) - 1)


def smoothed(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights that sum to 1, the largest replaced by quantiles of a generalised Pareto distribution fitted to them, and
    its shape k (Vehtari 2024; fit of Zhang and Stephens 2009)."""
    weights = np.exp(log_weights - log_weights.max())
    count = int(min(0.2 * len(weights), 3 * np.sqrt(len(weights))))
    order = np.argsort(weights)
    tail = order[-count:]
    cut = weights[order[-count - 1]]
    excess = weights[tail] - cut
    if count < 5 or excess.max() <= 0:
        return weights / weights.sum(), np.inf
    k, scale = _pareto(excess)
    at = (np.arange(count) + 0.5) / count
    quantiles = scale * -np.log1p(-at) if abs(k) < 1e-9 else scale * np.expm1(-k * np.log1p(-at)) / k
    weights[tail] = np.minimum(cut + quantiles, 1.0)
    return weights / weights.sum(), float(k)


def _pareto(excess: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution, sorted excesses given (Zhang and Stephens 2009)."""
    x = np.maximum(np.sort(excess), 1e-300)
    n = len(x)
    m = 30 + int(np.sqrt(n))
    b = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * x[int(n / 4 + 0.5) - 1])
    k = np.log1p(-b[:, None] * x).mean(1)
    likely = n * (np.log(-b / k) - k - 1)
    share = 1 / np.exp(likely[None] - likely[:, None]).sum(1)
    best = float((b * share).sum() / share.sum())
    shape = float(np.log1p(-best * x).mean())
    scale = -shape / best
    return (n * shape + 10 * 0.5) / (n + 10), scale  # weakly informed towards 0.5


def moved(posterior: Posterior) -> tuple[Moved, ...]:
    """Prior against posterior for every parameter, what the data moved most first."""
    target = posterior.fit.target
    found = []
    for j, name in enumerate(target.names):
        x = posterior.draws[:, j]
        low, middle, high = np.percentile(x, (5, 50, 95))

        def value(at: float, j: int = j) -> float:
            return float(target.median[j] * np.exp(target.sd[j] * at))

        found.append(
            Moved(
                name,
                (value(0.0), value(-1.645), value(1.645)),
                (value(middle), value(low), value(high)),
                float(np.sqrt(posterior.fit.covariance[j, j])),
                float(x.mean()),
            )
        )
    return tuple(sorted(found, key=lambda m: m.spread_left))
