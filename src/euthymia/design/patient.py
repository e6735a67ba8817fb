"""People like one patient: virtual patients who share what is known of a person and differ in what is not."""

import re
from typing import NamedTuple

import equinox as eqx
import numpy as np

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.illness.ptsd import CAPS5_MAXIMUM
from euthymia.patient import draw
from euthymia.patient.population import LIMITS, Patients, illness_of
from euthymia.protocol.quantity import parse

EXAMPLE = '"weight 82 kg, age 71, failed trials 4, MADRS 34, woman"'


class Covariate(NamedTuple):
    """field: of `Patients`; kind: of quantity; unit: as it is said, and understood where none is written (a weight must
    have its own); drawn: the rows of the evidence between whose values virtual patients are drawn."""

    field: str
    kind: str
    unit: str
    drawn: tuple[str, str] | None = None


COVARIATES = {
    "weight": Covariate("weight_kg", "weight", "kg", ("population.weight_minimum", "population.weight_maximum")),
    "age": Covariate("age_y", "age", "years", ("population.trd.age_minimum", "population.trd.age_maximum")),
    "failed trials": Covariate("failed_trials", "count", "trials"),
    "MADRS": Covariate(
        "baseline_madrs", "score", "points", ("population.trd.baseline_minimum", "population.trd.baseline_maximum")
    ),
}
OF_PTSD = {
    "MADRS": COVARIATES["MADRS"]._replace(drawn=None),
    "CAPS-5": Covariate(
        "baseline_caps5", "score", "points", ("population.ptsd.caps5_minimum", "population.ptsd.caps5_maximum")
    ),
}
"""What differs in PTSD: the MADRS is that of the depression beside it."""
ALLOWED = LIMITS | {"baseline_caps5": (1, CAPS5_MAXIMUM)}
SEX = {"woman": 1.0, "man": 0.0}


def known(text: str) -> dict[str, float]:
    """What is known of the person, by field of `Patients`, from words such as `EXAMPLE`. Raises UserError, in one
    sentence, for anything else."""
    found: dict[str, float] = {}
    for item in (" ".join(part.split()) for part in text.split(",")):  # whatever it holds, it is said in one line
        field, value = _read(item)
        if field in found:
            raise UserError(f'--patient: "{item}" says twice what can be said once.')
        found[field] = value
    return found


def _read(item: str) -> tuple[str, float]:
    if item in SEX:
        return "female", SEX[item]
    every = COVARIATES | OF_PTSD
    name = next((n for n in every if item.startswith(f"{n} ")), None)
    if name is None:
        raise UserError(
            f'--patient: "{item}" is not understood; allowed: {", ".join(every)}, woman or man, as in {EXAMPLE}.'
        )
    covariate, value = every[name], item.removeprefix(name).strip()
    if name != "weight" and re.fullmatch(r"[0-9.]+", value):
        value = f"{value} {covariate.unit}"
    try:
        number = parse(value, covariate.kind).value
    except ValueError as error:
        raise UserError(f"--patient: {name}: {error}.") from None
    low, high = ALLOWED[covariate.field]
    if not low <= number <= high:
        raise UserError(f"--patient: {name} must be from {low:g} to {high:g} {covariate.unit}, not {number:g}.")
    if covariate.kind == "count" and number % 1:
        raise UserError(f"--patient: {name} must be a whole number, not {number:g}.")
    return covariate.field, number


def people_like(given: dict[str, float], population: str, patients: int, seed: int) -> Patients:
    """Virtual patients with these covariates; the others, and everything that differs between people without being
    seen, as in the population. Raises UserError where they do not belong to it."""
    if population == "TRD" and given.get("failed_trials", 2) < 2:
        raise UserError(
            "--patient: the protocol is for treatment-resistant depression, which means at least 2 failed trials, not "
            f"{given['failed_trials']:g}."
        )
    if "baseline_caps5" in given and illness_of(population) != "ptsd":
        raise UserError(f"--patient: a CAPS-5 is for protocols of PTSD; this one is for the population {population}.")
    values = [np.full(patients, float(value)) for value in given.values()]
    return eqx.tree_at(lambda p: [getattr(p, name) for name in given], draw(population, patients, seed), values)


def beyond_population(given: dict[str, float], population: str) -> tuple[str, ...]:
    """Which covariates no virtual patient of a population has, in clauses."""
    said = []
    for name, covariate in (COVARIATES | (OF_PTSD if illness_of(population) == "ptsd" else {})).items():
        if covariate.drawn and covariate.field in given:
            low, high = (evidence.value(row) for row in covariate.drawn)
            if not low <= given[covariate.field] <= high:
                said.append(
                    f"{name} {given[covariate.field]:g} {covariate.unit} lies outside the virtual population "
                    f"({low:g} to {high:g})"
                )
    return tuple(said)
