"""The dose ladder: ketamine from a tenth of a milligram per kilogram to anaesthesia, in the same patients.

Steps up to 1 mg/kg run over 40 minutes, the anaesthetic ones are injections over one minute. It shows why a small dose
became an antidepressant and a large one an anaesthetic. The upper steps are for contrast: no psychiatric order.
"""

from typing import NamedTuple

import numpy as np

from euthymia.course.simulate import simulate_schedule
from euthymia.course.variants import Variants
from euthymia.patient.population import Patients
from euthymia.protocol.calendar import Administration, Design, Schedule

STEPS_MG_PER_KG = (0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 3.0, 4.0)
INFUSION_LIMIT_MG_PER_KG = 1.0
TRIED_LIMIT_MG_PER_KG = 1.0  # no antidepressant trial without an anaesthetic went higher
HORIZON_H = 24.0


class Step(NamedTuple):
    """One step of the ladder; effects are median, 5th and 95th percentile of patients.

    antidepressant_effect: MADRS points the drug takes off at 24 h; dissociation: peak CADSS; loss_of_consciousness:
    risk in percent; extrapolated: whether the dose lies above those of antidepressant trials.
    """

    dose: str
    mg_per_kg: float
    antidepressant_effect: tuple[float, float, float]
    dissociation: tuple[float, float, float]
    loss_of_consciousness: tuple[float, float, float]
    extrapolated: bool


def dose_ladder(people: Patients, variants: Variants | None = None) -> list[Step]:
    """Every step of the ladder in the same people."""

    def spread(x: np.ndarray) -> tuple[float, float, float]:
        low, middle, high = np.quantile(x, [0.05, 0.5, 0.95])
        return float(middle), float(low), float(high)

    steps = []
    for dose in STEPS_MG_PER_KG:
        slow = dose <= INFUSION_LIMIT_MG_PER_KG
        given = Administration(
            0.0, "racemic ketamine", "intravenous", None, dose, None, 2 / 3 if slow else 1 / 60, "ladder", 1
        )
        calendar = Schedule((given,), (), Design("saline", "outpatient", "one"), HORIZON_H, {})
        values, sessions = simulate_schedule(calendar, people, np.array([0.0, HORIZON_H]), variants or Variants())
        steps.append(
            Step(
                dose=f"{dose:g} mg/kg over {'40 min' if slow else '1 min'}",
                mg_per_kg=dose,
                antidepressant_effect=spread(values["MADRS untreated"][:, -1] - values["MADRS"][:, -1]),
                dissociation=spread(sessions["peak dissociation"][:, 0]),
                loss_of_consciousness=spread(100 * sessions["unresponsive probability"][:, 0]),
                extrapolated=dose > TRIED_LIMIT_MG_PER_KG,
            )
        )
    return steps
