"""Blood pressure at rest, before a dose; what ketamine adds to it is in `harm.acute`.

systolic  = mean + between z_i + within z_it
diastolic = mean_d + slope (systolic - mean) + within_d z_it
"""

from dataclasses import dataclass

import numpy as np

from euthymia import evidence


@dataclass(frozen=True)
class RestingPressure:
    """mmHg, of people who come for treatment."""

    systolic_mean: float
    systolic_sd_between: float
    systolic_sd_within: float
    diastolic_mean: float
    diastolic_slope: float
    diastolic_sd_within: float

    @staticmethod
    def from_evidence() -> "RestingPressure":
        return evidence.fill(RestingPressure, "resting_pressure")

    def systolic(self, patient: np.ndarray, day: np.ndarray) -> np.ndarray:
        """From standard normals of the patient and of the day."""
        return self.systolic_mean + self.systolic_sd_between * patient + self.systolic_sd_within * day

    def diastolic(self, systolic: np.ndarray, day: np.ndarray) -> np.ndarray:
        """At a systolic reading, from a standard normal of the day."""
        expected = self.diastolic_mean + self.diastolic_slope * (systolic - self.systolic_mean)
        return expected + self.diastolic_sd_within * day
