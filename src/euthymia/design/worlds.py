"""The uncertain numbers under which regimens are compared: in each world, one draw of the calibrated parameters and the
level of one clinic that no trial has seen; and in bipolar disorder and PTSD, of numbers that trials do not tell, one of
their range."""

from collections.abc import Mapping

import numpy as np

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.trial.posterior import SPREAD, posterior
from euthymia.trial.questions import uncertain

AMPLITUDES = (
    "session_amplitude",
    "early_saline",
    "early_midazolam",
    "early_open_label",
    "early_new_antidepressant",
    "early_inpatient",
    "slow_no_new_treatment",
    "slow_new_antidepressant",
    "slow_antidepressant_trial",
    "slow_inpatient",
    "natural",
)
"""Of the response that is not the drug's: all scale with its level in a study."""
DRUG_LEVEL, BACKGROUND_LEVEL = "level of drug response", "level of other response"
"""How a clinic multiplies the two: known of no clinic beforehand, and no parameter of the model."""

OWN: dict[str, tuple[str, ...]] = {"depression": (), "bipolar": ("bipolar.",), "ptsd": ("ptsd.", "extinction.")}
"""How the ids of an illness's own parameters begin."""
RANGES: dict[str, tuple[str, ...]] = {
    "depression": (),
    "bipolar": (
        "bipolar.residual",
        "bipolar.manic_residual",
        "bipolar.manic_peak",
        "bipolar.sd_manic_peak",
        "bipolar.stabiliser_protection",
    ),
    "ptsd": ("extinction.block", "extinction.consolidation_time"),
}
"""By illness, what is drawn evenly over an assumed range, on the log scale. Left as they are: what a fit held while it
found another number that does the same work (how fast the poles move; how much of the symptoms fear makes, how far what
is learnt holds elsewhere, and how slowly it is lost), since drawn apart from it they would undo the fit."""

World = Mapping[str, float]
"""Model parameters by id."""


def worlds(number: int, seed: int = 1, illness: str = "depression") -> tuple[World, ...]:
    """So many worlds, as far apart among the draws as can be. Raises UserError for more than there are draws."""
    drawn = posterior()
    if number > len(drawn):
        raise UserError(f"draws must be at most {len(drawn)}, got {number}.")
    chosen = np.linspace(0, len(drawn) - 1, number).round().astype(int)
    z = np.random.default_rng(seed).standard_normal((len(drawn), 2))
    made = [_world(drawn[k].values, z[k]) for k in chosen]
    if RANGES[illness]:
        ranges = uncertain(RANGES[illness], number, seed)
        made = [{**world, **ranges.at(j)} for j, world in enumerate(made)]
    return tuple(made)


def believed(illness: str) -> tuple[str, ...]:
    """The illness's own parameters that trials do not tell, drawn from what is assumed of them."""
    fitted = [id for id in posterior()[0].values if id.startswith(OWN[illness])]
    return *(id for id in fitted if evidence.parameter(id).kind == "assumed"), *RANGES[illness]


def of_illness(id: str, illness: str) -> bool:
    """Whether a parameter can matter in an illness: those of another cannot."""
    return not any(id.startswith(start) for other, starts in OWN.items() if other != illness for start in starts)


def _world(values: Mapping[str, float], z: np.ndarray) -> World:
    drug, background = (np.exp(values[SPREAD[kind]] * x) for kind, x in zip(("drug", "background"), z, strict=True))
    scaled = {f"background.{name}": background for name in AMPLITUDES} | {"depression.gain": drug}
    found = dict(values)
    for id, level in scaled.items():
        found[id] = float(level * (values[id] if id in values else evidence.value(id)))
    return found


def levels(number: int, seed: int = 1) -> dict[str, np.ndarray]:
    """The levels of the clinic in each of these worlds, as parameters of their own, [worlds]."""
    drawn = posterior()
    chosen = np.linspace(0, len(drawn) - 1, number).round().astype(int)
    z = np.random.default_rng(seed).standard_normal((len(drawn), 2))[chosen]
    spread = np.array([[drawn[k].values[SPREAD[kind]] for kind in ("drug", "background")] for k in chosen])
    return dict(zip((DRUG_LEVEL, BACKGROUND_LEVEL), np.exp(spread * z).T, strict=True))
