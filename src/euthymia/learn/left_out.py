"""How well each trial is predicted by a fit to the others, by which structures of the model are compared.

Trials that share patients leave together. What is left out has no level of its own then: its likelihood is averaged
over levels of studies not yet seen, as for any new trial.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import minimize
from scipy.special import logsumexp

from euthymia import evidence
from euthymia.learn.calibrate import SEARCH
from euthymia.learn.likelihood import Data, Target
from euthymia.trial.replicas import Arms, readout

LEVELS = 500
"""Draws of the level of an unseen study."""


class LeftOut(NamedTuple):
    """Trials left out together.

    log_density: of what they found, up to a constant that every structure shares; rates_off: mean absolute error of
    their rates (percentage points) at the level of a typical study, NaN without rates; others: the most likely
    coordinates under all other trials.
    """

    trials: tuple[str, ...]
    log_density: float
    rates_off: float
    others: np.ndarray


def groups(target: Target) -> tuple[tuple[str, ...], ...]:
    """Trials of the target, those that share patients together."""
    names = [t.trial for t in target.trials]
    found: list[tuple[str, ...]] = []
    for t in sorted(target.trials, key=lambda t: not t.pools):
        if not any(t.trial in group for group in found):
            found.append(tuple(name for name in names if name in (t.trial, *t.pools)))
    return tuple(found)


def leave_out(
    target: Target, best: np.ndarray, seed: int = 1, progress: Callable[[str, int, int], None] | None = None
) -> tuple[LeftOut, ...]:
    """Each group of `groups` predicted by a fit to the rest.

    best: the most likely coordinates under all trials, where each search begins; it goes on until it has converged, so
    that what was left out has no say but in which of several hills is climbed.

    progress: called with (what is being done, how much is done, of how much).
    """
    given = target.given

    def cost(x: Array, weight: Array, arms: Arms, peak: Arms | None, data: Data) -> Array:
        return -target.log_density(arms, peak, eqx.tree_at(lambda d: d.weight, data, weight), x)

    both = eqx.filter_jit(eqx.filter_value_and_grad(cost))

    @eqx.filter_jit
    def predictive(xs: Array, typical: Array, arms: Arms, data: Data) -> tuple[Array, Array]:
        """Terms under each of some coordinates that differ in levels alone; and endpoints at `typical`."""
        with evidence.assume(target.values(typical)):
            plastic = readout(arms)
        each = jax.lax.map(lambda x: target.terms(arms, data, x, plastic), xs)
        return each, target.predicted(arms, typical, plastic)[0]

    rng = np.random.default_rng(seed)
    found = []
    for done, group in enumerate(groups(target)):
        out = np.array([t.trial in group for t, _ in target.endpoints])
        kept = jnp.where(out, 0.0, target.data.weight)
        of_group = [k for name in group for k in target.levels_of(name)]

        def value(x: np.ndarray, kept: Array = kept) -> tuple[float, np.ndarray]:
            at, gradient = both(jnp.asarray(x), kept, *given)
            return float(at), np.asarray(gradient)

        start = best.copy()
        start[of_group] = 0.0
        x = minimize(value, start, jac=True, method="L-BFGS-B", options=SEARCH).x
        x[of_group] = 0.0
        xs = np.tile(x, (LEVELS, 1))
        xs[:, of_group] = rng.standard_normal((LEVELS, len(of_group)))
        terms, typical = (np.asarray(a) for a in predictive(jnp.asarray(xs), jnp.asarray(x), given[0], given[2]))
        likelihood = (terms * np.asarray(target.data.weight))[:, out].sum(1)
        error = np.abs(typical - 100 * np.asarray(target.data.value))[out & target.is_rate]
        rates_off = float(error.mean()) if len(error) else np.nan
        found.append(LeftOut(group, float(logsumexp(likelihood) - np.log(LEVELS)), rates_off, x))
        if progress:
            progress("leaving out", done + 1, len(groups(target)))
    return tuple(found)


def describe(found: Sequence[LeftOut]) -> str:
    """As a table in text."""
    lines = [f"{'left out':<58}{'log density':>12}{'rates off':>11}"]
    for one in found:
        rates = "" if np.isnan(one.rates_off) else f"{one.rates_off:.1f}"
        lines.append(f"{', '.join(one.trials):<58}{one.log_density:>12.1f}{rates:>11}")
    lines.append(f"{'all':<58}{sum(one.log_density for one in found):>12.1f}")
    return "\n".join(lines)
