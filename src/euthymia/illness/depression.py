"""From plasticity to depressive symptoms on the MADRS.

    L     = exp(-s (age - 45)) (k_study g_i (wF F + S + C)  +  gU_i U  +  P_i(t))  -  w_i(t)
    MADRS = min(60, M0 exp(-L))

F, S, C: plasticity (brain); U: oral antidepressant adaptation, U' = (on - U)/tU, into the same readout; P: the response
that is not the drug's (background); s: how response of every kind lessens with age; w: the patient's own ups and downs,
an Ornstein-Uhlenbeck process, larger in some patients than in others. The exponential keeps scores positive and makes
drug, antidepressant and non-drug response sub-additive in points; a limit to their sum was tried and the calibration
trials spoke against it.
"""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax

from euthymia import evidence

MADRS_MAXIMUM = 60.0
DAY_H = 24.0


class Depression(eqx.Module):
    """Population parameters of the readout; see the module for the equations."""

    gain: float
    functional_weight: float
    sd_gain: float
    sd_durability: float
    antidepressant_gain: float
    resistance_factor: float
    sd_antidepressant_gain: float
    antidepressant_time: float
    sd_fluctuation: float
    sd_lability: float
    fluctuation_not_resistant: float
    fluctuation_time: float
    rating_noise: float
    multicentre_factor: float
    quetiapine_factor: float
    age_slope: float
    reference_age: float

    @staticmethod
    def from_evidence() -> "Depression":
        return evidence.fill(Depression, "depression")

    def readout(self, functional: Array, labile: Array, consolidated: Array) -> Array:
        """What plasticity does to symptoms, before the patient's own gain."""
        return self.functional_weight * functional + labile + consolidated

    def own_gain(self, deviate: Array) -> Array:
        """g_i from the patient's deviate."""
        return self.gain * jnp.exp(self.sd_gain * deviate)

    def own_antidepressant_gain(self, deviate: Array, resistant: Array) -> Array:
        """gU_i from the patient's deviate, and whether the illness is treatment resistant."""
        own = self.antidepressant_gain * jnp.exp(self.sd_antidepressant_gain * deviate)
        return own * jnp.where(resistant > 0, self.resistance_factor, 1.0)

    def age_factor(self, age_y: Array) -> Array:
        """How much is left of the response of somebody of the reference age."""
        return jnp.exp(-self.age_slope * (age_y - self.reference_age))

    def fluctuation_sd(self, resistant: Array, deviate: Array) -> Array:
        """Stationary SD of w_i, from whether the illness is treatment resistant and the patient's deviate."""
        typical = self.sd_fluctuation * jnp.where(resistant > 0, 1.0, self.fluctuation_not_resistant)
        return typical * jnp.exp(self.sd_lability * deviate)

    def adaptation(self, time_h: Array, treatments: Sequence[tuple[Array, Array, Array]]) -> Array:
        """U(t) for (start_h, stop_h, relative size) of each oral antidepressant; stop_h may be infinite."""
        total = jnp.zeros_like(time_h)
        for start, stop, size in treatments:
            on = 1 - jnp.exp(-jnp.maximum(jnp.minimum(time_h, stop) - start, 0) / self.antidepressant_time)
            off = jnp.exp(-jnp.maximum(time_h - stop, 0) / self.antidepressant_time)
            total = total + size * on * off
        return jnp.minimum(total, 1.0)

    def fluctuation(self, time_h: Array, daily: Array, sd: Array) -> Array:
        """w(t) [times, patients] of stationary SD `sd` [patients] from `daily` normals [days, patients]: exact on whole
        days, linear between."""
        keep = jnp.exp(-DAY_H / self.fluctuation_time)

        def day(w, z):
            w = keep * w + sd * jnp.sqrt(1 - keep**2) * z
            return w, w

        start = jnp.zeros_like(sd)
        _, path = lax.scan(day, start, daily)
        path = jnp.concatenate([start[None], path])
        at = time_h / DAY_H
        below = jnp.clip(jnp.floor(at).astype(int), 0, len(path) - 2)
        share = (at - below)[:, None]
        return (1 - share) * path[below] + share * path[below + 1]


def score(baseline: Array, effect: Array, maximum: float = MADRS_MAXIMUM) -> Array:
    """The score from the baseline score and the summed effect L. maximum: of the scale, if not the MADRS."""
    return jnp.minimum(baseline * jnp.exp(-effect), maximum)
