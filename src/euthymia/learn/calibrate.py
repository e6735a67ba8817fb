"""Fit the population parameters to the calibration trials: the most likely values, draws around them, and diagnostics.

The most likely values are found by quasi-Newton steps on exact gradients; the Laplace approximation around them (the
Hessian from differences of the gradient) makes the coordinates in which the no-U-turn sampler draws.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from numpyro.infer.hmc import HMCState, hmc
from scipy.optimize import minimize

from euthymia.learn.likelihood import Data, Target
from euthymia.trial.posterior import SPREAD, Draw
from euthymia.trial.replicas import Arms

MOST_STEPS = 200
SEARCH = {"maxiter": MOST_STEPS, "maxcor": 40, "ftol": 1e-8, "gtol": 1e-3}
STEP = 1e-3  # of the standardised coordinates, for differences of the gradient
FIRST_STEP = 0.3  # of the sampler; its warm-up adapts it
DEEPEST_TREE = 6
KEPT = 200
"""Draws handed on at most, evenly spaced: every simulation under uncertainty runs each of them."""
CONVERGED = 1.05
"""R-hat below which chains agree."""


class Fit(NamedTuple):
    """A fitted target: the most likely standardised coordinates and the Laplace covariance around them."""

    target: Target
    best: np.ndarray
    covariance: np.ndarray
    log_density: float
    steps: int


class Posterior(NamedTuple):
    """Draws [draws, coordinates], and what they are worth.

    typical: the one set of coordinates for all that takes no draws, see `most_likely_given_spread`; worst_r_hat: the
    largest of the coordinates, split chains (below 1.05: the chains agree); fewest_effective: the smallest effective
    number of draws of a coordinate.
    """

    fit: Fit
    draws: np.ndarray
    typical: np.ndarray
    worst_r_hat: float
    fewest_effective: float
    chains: int
    warmup: int

    def as_draws(self) -> tuple[Draw, ...]:
        """The draws as parameters and levels of studies, `KEPT` of them."""
        kept = np.linspace(0, len(self.draws) - 1, min(KEPT, len(self.draws))).round().astype(int)
        return tuple(self.fit.target.draw(jnp.asarray(x)) for x in self.draws[kept])


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
    given = target.given

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
    found = minimize(counted, first, jac=True, method="L-BFGS-B", options=SEARCH)
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
    draws: int = 100,
    chains: int = 2,
    warmup: int = 120,
    seed: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> Posterior:
    """Draws from the posterior by the no-U-turn sampler, `draws` of each chain after `warmup` steps that set its step
    and the spread of each coordinate.

    It moves in the coordinates that the Laplace approximation makes standard normal; each chain begins at a draw of
    that approximation.
    """
    target, root = found.target, np.linalg.cholesky(found.covariance)

    def potential(z: Array, arms: Arms, peak: Arms | None, data: Data) -> Array:
        return -target.log_density(arms, peak, data, jnp.asarray(found.best) + root @ z)

    given = target.given
    z = no_u_turn(potential, given, target.size, draws, chains, warmup, seed, progress)
    drawn = found.best + z.reshape(-1, target.size) @ root.T
    return Posterior(
        fit=found,
        draws=drawn,
        typical=most_likely_given_spread(target, drawn, progress),
        worst_r_hat=float(np.nanmax(split_gelman_rubin(z))),
        fewest_effective=float(np.nanmin(effective_sample_size(z))),
        chains=chains,
        warmup=warmup,
    )


def most_likely_given_spread(
    target: Target, draws: np.ndarray, progress: Callable[[str, int, int], None] | None = None
) -> np.ndarray:
    """The most likely coordinates where studies differ as much as in the median draw.

    Not the most likely of all, which makes the spread between studies far too wide, as always where levels are fitted
    beside their spread; and not the medians of each parameter, which together need not fit anything.
    """
    held = np.isin([*target.names, *[""] * (target.size - len(target.names))], list(SPREAD.values()))
    _, both = _compiled(target)
    done = 0

    def counted(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal done
        done += 1
        if progress:
            progress("settling on typical values", min(done, MOST_STEPS), MOST_STEPS)
        value, gradient = both(x)
        return float(value), np.where(held, 0.0, gradient)

    return minimize(counted, np.median(draws, axis=0), jac=True, method="L-BFGS-B", options=SEARCH).x


def no_u_turn(
    potential: Callable[..., Array],
    given: tuple,
    size: int,
    draws: int,
    chains: int,
    warmup: int,
    seed: int,
    progress: Callable[[str, int, int], None] | None = None,
) -> np.ndarray:
    """Draws [chains, draws, coordinates] of density exp(-potential(z, *given)) with about unit spread.

    Chains begin at standard normal draws and run in a thread each. `given` is what compiled code must be handed rather
    than keep as a constant.
    """
    begin, move = hmc(potential_fn_gen=lambda *args: lambda z: potential(z, *args), algo="NUTS")

    def beginning(key: Array, given: tuple) -> HMCState:
        first, later = jax.random.split(key)
        return begin(
            jax.random.normal(first, (size,)),
            num_warmup=warmup,
            step_size=FIRST_STEP,
            max_tree_depth=DEEPEST_TREE,
            rng_key=later,
            model_args=given,
        )

    start = eqx.filter_jit(beginning)
    step = eqx.filter_jit(lambda state, given: move(state, model_args=given))
    states = [start(key, given) for key in jax.random.split(jax.random.PRNGKey(seed), chains)]
    step(states[0], given)  # compiled once, before the threads
    done = [0] * chains

    def run(chain: int) -> np.ndarray:
        state, kept = states[chain], []
        for k in range(warmup + draws):
            state = step(state, given)
            done[chain] = k + 1
            if k >= warmup:
                kept.append(np.asarray(state.z))
            if progress:
                progress("drawing", sum(done), chains * (warmup + draws))
        return np.stack(kept)

    with ThreadPoolExecutor(chains) as pool:
        return np.stack(list(pool.map(run, range(chains))))


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
