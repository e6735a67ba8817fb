"""Liking, craving and misuse: what a session teaches, and the hazards that follow. Nearly all of it is assumed.

    high    = S / (S + S_half)                                   at the peak of a session
    liking  = 50 + 50 tanh(value_i high)                         0 to 100, 50 neutral
    craving : + learning max(value_i, 0) high supervised         at every session;  - craving / forgetting_time
    early returns:  rate_return craving per week                 misuse begins:  rate_misuse craving per week

value_i: what the drug's high is worth to the patient, normal between patients. In people who use it for pleasure
0.5 mg/kg is liked near the ceiling; patients under care are neutral and show no rise over eight sessions. `supervised`
is what is left of learning where every dose is given and watched. Nobody has measured these hazards in patients: they
serve to compare what safeguards would catch and cost, never to say how often misuse happens.
"""

from dataclasses import dataclass

import numpy as np

from euthymia import evidence

NEUTRAL, HALF_SCALE, MAXIMUM = 50.0, 50.0, 100.0
WEEK_H = 168.0


@dataclass(frozen=True)
class Misuse:
    """See the module for the equations; rates are per week at craving 1, times in hours."""

    s_ketamine_half: float
    value_mean: float
    sd_value: float
    learning: float
    supervised: float
    forgetting_time: float
    rate_return: float
    rate_misuse: float
    reading_noise: float

    @staticmethod
    def from_evidence() -> "Misuse":
        return evidence.fill(Misuse, "misuse")

    def value(self, deviate: np.ndarray) -> np.ndarray:
        """What the high is worth to a patient, from the patient's deviate."""
        return self.value_mean + self.sd_value * deviate

    def high(self, s_ketamine_ng_per_mL: np.ndarray) -> np.ndarray:
        """The high of a session, 0 to 1, from its peak."""
        return s_ketamine_ng_per_mL / (s_ketamine_ng_per_mL + self.s_ketamine_half)

    def liking(self, value: np.ndarray, high: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """A rating of how much the last session was liked, 0 to 100, from a standard normal of the reading."""
        rated = NEUTRAL + HALF_SCALE * np.tanh(value * high) + self.reading_noise * noise
        return np.clip(np.round(rated), 0.0, MAXIMUM)

    def learnt(self, value: np.ndarray, high: np.ndarray) -> np.ndarray:
        """What a session adds to craving."""
        return self.learning * np.maximum(value, 0.0) * high * self.supervised

    def kept(self, craving: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """Craving after so many hours without a session."""
        return craving * np.exp(-hours / self.forgetting_time)

    def chance(self, rate: float, craving: np.ndarray, hours: np.ndarray) -> np.ndarray:
        """Chance of an event of that rate within so many hours in which craving fades from what it is now."""
        weeks = self.forgetting_time * -np.expm1(-hours / self.forgetting_time) / WEEK_H
        return -np.expm1(-rate * craving * weeks)
