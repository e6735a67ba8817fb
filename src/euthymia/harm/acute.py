"""Acute effects of a session. They follow occupancy and concentration and never feed back on benefit.

CADSS     = max * RO^h/(RO^h + RO_half^h) * patient * session * tolerance^(earlier sessions)
SBP rise  = max * S/(S + S_half) * patient * age      (+ session-to-session spread of a maximum reading)
P(MOAA/S < 5)     = Phi((ln RO - ln RO_half)/sd)
P(unresponsive)   = RO^n/(RO^n + RO_half^n)
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array
from jax.scipy.stats import norm

from euthymia import evidence
from euthymia.drug.occupancy import hill

CADSS_MAXIMUM = 92.0


class Dissociation(eqx.Module):
    """CADSS total, points."""

    maximum: float
    occupancy_half: float
    hill: float
    sd_between_patients: float
    sd_between_sessions: float
    session_factor: float
    event_threshold: float

    def level(self, occupancy: Array, earlier_sessions: Array, patient: Array, session: Array) -> Array:
        """CADSS at an occupancy; patient, session: standard-normal deviates."""
        level = self.maximum * hill(occupancy, self.occupancy_half, self.hill)
        spread = jnp.exp(self.sd_between_patients * patient + self.sd_between_sessions * session)
        return jnp.minimum(level * spread * self.session_factor**earlier_sessions, CADSS_MAXIMUM)


class BloodPressure(eqx.Module):
    """Rise over the pre-dose value, mmHg. Only S-ketamine acts."""

    maximum: float
    s_ketamine_half: float
    sd_between_patients: float
    sd_between_sessions: float
    mean_drift: float
    age_factor: float
    older_from: float
    diastolic_ratio: float

    def rise(self, s_ketamine_ng_per_mL: Array, patient: Array, age_y: Array) -> Array:
        """Systolic rise the drug causes."""
        drug = self.maximum * s_ketamine_ng_per_mL / (s_ketamine_ng_per_mL + self.s_ketamine_half)
        return (
            drug
            * jnp.exp(self.sd_between_patients * patient)
            * jnp.where(age_y >= self.older_from, self.age_factor, 1.0)
        )

    def highest_reading(self, rise: Array, session: Array) -> Array:
        """The highest of a session's readings, which also rises by chance."""
        return rise + self.mean_drift + self.sd_between_sessions * session


class Sedation(eqx.Module):
    """Probability of MOAA/S below 5 at a peak occupancy."""

    occupancy_half: float
    sd_log: float

    def probability(self, occupancy: Array) -> Array:
        return norm.cdf((jnp.log(jnp.maximum(occupancy, 1e-12)) - jnp.log(self.occupancy_half)) / self.sd_log)


class Consciousness(eqx.Module):
    """Probability of being unresponsive at an occupancy."""

    occupancy_half: float
    hill: float

    def lost(self, occupancy: Array) -> Array:
        return hill(occupancy, self.occupancy_half, self.hill)


class AcuteHarm(eqx.Module):
    """All acute effects together."""

    dissociation: Dissociation
    blood_pressure: BloodPressure
    sedation: Sedation
    consciousness: Consciousness

    @staticmethod
    def from_evidence() -> "AcuteHarm":
        return AcuteHarm(
            evidence.fill(Dissociation, "dissociation"),
            evidence.fill(BloodPressure, "blood_pressure"),
            evidence.fill(Sedation, "sedation"),
            evidence.fill(Consciousness, "consciousness"),
        )
