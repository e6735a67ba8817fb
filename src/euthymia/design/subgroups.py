"""Which regimen is best in subgroups of the virtual patients, from the values of the race, without simulating."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from euthymia.course.difference import SEVERE_MADRS
from euthymia.design.decision import unseen, verdict
from euthymia.design.search import Choice, Race
from euthymia.patient.population import Patients

FEWEST_PATIENTS = 50
"""Below this a subgroup says nothing."""
SIMPLEST = (
    "In this model neither the number of failed trials nor a benzodiazepine changes what ketamine does, and sex acts "
    "through body weight alone: a difference between such subgroups is chance, other covariates that go with them, or "
    "a rule that reads them"
)


class Subgroup(NamedTuple):
    """name: who; patients: how many were followed; best: number of the regimen that is best on average in them, and
    `probability` that it is; gain: by how much it is better than the regimen that is best overall, with 90 % (`low`,
    `high`) over worlds and populations. All but name and patients are None where they are too few."""

    name: str
    patients: int
    best: int | None = None
    probability: float | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def differs(self) -> bool:
        """Whether another regimen than overall is distinguishably better."""
        return self.low is not None and self.low > 0


def subgroups(race: Race, choice: Choice, people: Patients, seed: int = 1) -> tuple[Subgroup, ...]:
    """Every subgroup, of the regimens that keep the limits in all patients together. Those that hold everybody are left
    out."""
    if choice.chosen is None or len(choice.able) < 2:
        return ()
    gain = race.asked.aim.sign * race.of(race.asked.aim.measure, choice.able)
    overall = int(np.flatnonzero(choice.able == choice.chosen)[0])
    found = []
    for name, mask in _groups(people):
        n = int(mask.sum())
        if n == len(people):
            continue
        if n < FEWEST_PATIENTS:
            found.append(Subgroup(name, n))
            continue
        inside = gain[:, :, mask]
        said = verdict(inside, seed)
        best = int(said.mean.argmax())
        mine, usual = unseen(inside[[best, overall]], seed)
        low, high = (float(x) for x in np.quantile(mine - usual, (0.05, 0.95)))
        more = float(said.mean[best] - said.mean[overall])
        found.append(Subgroup(name, n, int(choice.able[best]), float(said.best[best]), more, low, high))
    return tuple(found)


def _groups(people: Patients) -> Iterator[tuple[str, np.ndarray]]:
    failed, age, weight = (np.asarray(x) for x in (people.failed_trials, people.age_y, people.weight_kg))
    female, madrs = np.asarray(people.female) > 0, np.asarray(people.baseline_madrs)
    benzodiazepine = np.asarray(people.benzodiazepine) > 0
    yield "at most 2 failed trials", failed <= 2
    yield "3 failed trials and more", failed >= 3
    yield "below 65 years", age < 65
    yield "65 years and over", age >= 65
    yield "women", female
    yield "men", ~female
    low, high = (float(round(x)) for x in np.quantile(weight, (1 / 3, 2 / 3)))
    if low < high:
        yield f"below {low:g} kg", weight < low
        yield f"{low:g} to below {high:g} kg", (weight >= low) & (weight < high)
        yield f"{high:g} kg and over", weight >= high
    caps5 = np.asarray(people.baseline_caps5)
    if caps5.any():
        middle = float(round(np.median(caps5)))
        yield f"CAPS-5 at the start below {middle:g}", caps5 < middle
        yield f"CAPS-5 at the start {middle:g} and over", caps5 >= middle
    yield f"MADRS at the start below {SEVERE_MADRS}", madrs < SEVERE_MADRS
    yield f"MADRS at the start {SEVERE_MADRS} and over", madrs >= SEVERE_MADRS
    yield "with a benzodiazepine", benzodiazepine
    yield "without a benzodiazepine", ~benzodiazepine
