"""Bipolar disorder: a depressive and a manic pole, each a noisy double well, so that both can be raised at once.

    tau dx = -( x (x - a) (x - 1) + h(t) ) dt  +  s_i sqrt(2 tau) dW          x = D (depressive), M (manic)

x is near 0 in euthymia and near 1 in an episode; a is the barrier between. Noise takes a patient over it and back, so
episodes start by themselves and end by themselves. s_i = s exp(sd_instability z_i): patients of high instability have
many short episodes, four or more a year being rapid cycling. Treatment tilts a well: h above 0 makes episodes start
more rarely and end sooner, h below 0 the reverse. A double well is the simplest course that has episodes with a
duration of their own; weekly ratings cannot tell more elaborate ones from noise (Moore 2014).

    MADRS = min(60, M0 (r + (1 - r) D) exp(w - L))       YMRS = min(60, Y_i (q + (1 - q) M))

L, w: as in unipolar depression (`illness.depression`), of plasticity that is worth less and lasts less long. It takes
symptoms away while it lasts and does not end the episode.

A drug's tilt of a pole follows from the hazard ratio by which it makes episodes start more rarely in maintenance
trials; that it ends them sooner is then a prediction. A stabiliser takes away what antidepressants and ketamine add to
the risk of mania.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from scipy.integrate import cumulative_trapezoid
from scipy.optimize import brentq

from euthymia import evidence

POLES = ("depressive", "manic")
STABILISERS = ("lithium", "valproate", "quetiapine XR")
"""Kinds of daily treatment that protect from mania."""
ANTIDEPRESSANTS = ("SSRI", "SNRI", "new oral antidepressant")
FITTED_TO_COHORTS = (
    "bipolar.depressive.barrier",
    "bipolar.depressive.noise",
    "bipolar.manic.barrier",
    "bipolar.manic.noise",
    "bipolar.sd_instability",
)
"""Parameters of how episodes come and go, which people followed for years tell, and trials do not."""
STEP_H = 12.0
"""Of the course of the poles: against a step eight times finer, see the tests."""
YMRS_MAXIMUM = 60.0
BEGINS, ENDS = 0.7, 0.3
"""Of an episode, on the scale on which 0 is euthymia and 1 a full episode."""
HALF_WAY = 0.5
"""Above this a day is a day in the state."""
LEAST_DAYS = {"depressive": 14, "manic": 4}
"""The shortest episode: two weeks of depression, four days of hypomania (DSM-5)."""
LEAST_PEAK = 8.0  # an episode lower than this on the YMRS is none
LEAST_SHARE = 0.02  # of a score, so that its log is finite
FAR_BELOW, FAR_ABOVE, GRID = -1.0, 2.0, 4001
"""Of the quadrature: no patient gets so far, and how finely."""
STEEPEST = 0.04
"""Tilts beyond this leave a pole a single well."""


class Pole(eqx.Module):
    """One pole: where its barrier is (0 to 1), and the size of its noise."""

    barrier: float
    noise: float

    def slope(self, x: Array, tilt: Array) -> Array:
        """Of the potential at x: minus the drift times tau."""
        return x * (x - self.barrier) * (x - 1) + tilt

    def potential(self, x: np.ndarray, tilt: float = 0.0) -> np.ndarray:
        """The integral of `slope` from 0."""
        a = self.barrier
        return x**4 / 4 - (1 + a) * x**3 / 3 + a * x**2 / 2 + tilt * x


class Bipolar(eqx.Module):
    """Population parameters of the poles and of what they do to the scales; see the module for the equations."""

    time: float
    sd_instability: float
    residual: float
    manic_residual: float
    manic_peak: float
    sd_manic_peak: float
    stabiliser_protection: float

    @staticmethod
    def from_evidence() -> "Bipolar":
        return evidence.fill(Bipolar, "bipolar")

    def own_peak(self, deviate: Array) -> Array:
        """YMRS of a patient at the height of a manic episode, from the patient's deviate."""
        return jnp.clip(self.manic_peak + self.sd_manic_peak * deviate, LEAST_PEAK, YMRS_MAXIMUM)

    def madrs_share(self, depressive: Array) -> Array:
        """What is left of the score of a full episode, before any treatment."""
        return jnp.maximum(self.residual + (1 - self.residual) * depressive, LEAST_SHARE)

    def ymrs(self, peak: Array, manic: Array) -> Array:
        """True YMRS."""
        share = jnp.maximum(self.manic_residual + (1 - self.manic_residual) * manic, 0.0)
        return jnp.minimum(peak * share, YMRS_MAXIMUM)


def poles() -> tuple[Pole, Pole]:
    """The depressive and the manic pole, from the evidence."""
    return evidence.fill(Pole, "bipolar.depressive"), evidence.fill(Pole, "bipolar.manic")


def advanced(
    pole: Pole,
    time_h: float,
    x: Array,
    instability: Array,
    before: Array,
    after: Array,
    normal: Array,
    step_h: float = STEP_H,
) -> Array:
    """x one step on, by Heun's scheme: of second weak order for additive noise.

    time_h: tau; x: [patients]; instability: what multiplies the patient's noise; before, after: h at the ends of the
    step; normal: one standard normal each.
    """
    h = step_h / time_h
    shock = pole.noise * instability * jnp.sqrt(2 * h) * normal
    first = pole.slope(x, before)
    guess = x - h * first + shock
    return x - h / 2 * (first + pole.slope(guess, after)) + shock


def course(
    pole: Pole,
    time_h: float,
    start: Array,
    instability: Array,
    tilt: Array,
    normals: Array,
    step_h: float = STEP_H,
) -> Array:
    """x at the ends of all steps (see `advanced`), [steps + 1, patients].

    start: [patients]; tilt: h at the ends of all steps, [steps + 1, patients or 1]; normals: one standard normal a
    step, [steps, patients].
    """

    def step(x, at):
        before, after, z = at
        x = advanced(pole, time_h, x, instability, before, after, z, step_h)
        return x, x

    _, path = lax.scan(step, start, (tilt[:-1], tilt[1:], normals))
    return jnp.concatenate([start[None], path])


def mean_time_to_leave(pole: Pole, time_h: float, start: float, end: float, tilt: float = 0.0) -> float:
    """Mean hours until a patient of typical instability first gets from `start` to `end`, by quadrature.

    The exact answer for the continuous process (Gardiner, Stochastic Methods, first passage times).
    """
    up = end > start
    x = np.linspace(min(start, end), max(start, end), GRID)
    beyond = np.linspace(FAR_BELOW, x[0], GRID)[:-1] if up else np.linspace(x[-1], FAR_ABOVE, GRID)[1:]
    every = np.concatenate([beyond, x] if up else [x, beyond])
    depth = pole.potential(every, tilt) / pole.noise**2
    depth -= depth.min()
    if up:
        inner = cumulative_trapezoid(np.exp(-depth), every, initial=0.0)
        within = slice(len(beyond), None)
    else:
        inner = -cumulative_trapezoid(np.exp(-depth[::-1]), every[::-1], initial=0.0)[::-1]
        within = slice(0, len(x))
    outer = np.exp(depth[within]) * inner[within]
    return float(time_h / pole.noise**2 * np.trapezoid(outer, every[within]))


def tilt_of(pole: Pole, time_h: float, hazard_ratio: float) -> float:
    """The tilt under which a patient of typical instability leaves euthymia `hazard_ratio` times as often; the steepest
    that leaves two wells where no such tilt does."""
    without = mean_time_to_leave(pole, time_h, 0.0, 1.0)

    def off(tilt: float) -> float:
        return np.log(without / mean_time_to_leave(pole, time_h, 0.0, 1.0, tilt) / hazard_ratio)

    for limit in (-STEEPEST, STEEPEST):
        if np.sign(off(limit)) == np.sign(limit):
            return limit
    found: Any = brentq(off, -STEEPEST, STEEPEST, xtol=1e-7)
    return float(found)


def tilts(kind: str) -> tuple[float, float]:
    """How a kind of daily treatment tilts the depressive and the manic pole, from the evidence; 0 where it has none."""
    name = "antidepressant" if kind in ANTIDEPRESSANTS else kind.removesuffix(" XR")
    if kind not in (*STABILISERS, *ANTIDEPRESSANTS):
        return 0.0, 0.0
    time_h, both = evidence.value("bipolar.time"), poles()
    ratios = (evidence.value(f"bipolar.hazard_ratio.{name}_{pole}") for pole in POLES)
    depressive, manic = (tilt_of(pole, time_h, ratio) for pole, ratio in zip(both, ratios, strict=True))
    return depressive, manic


def ketamine_tilt() -> float:
    """Ketamine's tilt of the manic pole while plasticity, as depression reads it out, is 1."""
    return tilt_of(poles()[1], evidence.value("bipolar.time"), evidence.value("bipolar.hazard_ratio.ketamine_manic"))


class Episode(NamedTuple):
    """One episode: whose, and on which days it began and ended (not yet ended: the day after the last)."""

    patient: int
    start: int
    end: int


def episodes(daily: np.ndarray, least_days: int) -> list[Episode]:
    """Episodes of one pole, [days, patients]: from where x rises above `BEGINS` until it falls below `ENDS`.

    Two limits, so that one day's noise neither begins nor ends an episode; shorter ones than `least_days` are none.
    """
    found = []
    for patient, x in enumerate(daily.T):
        inside = np.where(x > BEGINS, 1, np.where(x < ENDS, 0, -1))
        last = np.maximum.accumulate(np.where(inside >= 0, np.arange(len(x)), 0))
        state = np.maximum(inside[last], 0)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], state, [0]])))
        found += [Episode(patient, a, b) for a, b in edges.reshape(-1, 2) if b - a >= least_days]
    return found
