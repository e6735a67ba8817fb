"""How regimens do where things go badly: in bad worlds, in clinics where the drug does little, and in how many worlds
the limits hold, which were kept over all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from euthymia.design.aims import Limit
from euthymia.design.search import Race

BAD_WORLDS = 0.05
"""Share of worlds in which a regimen does worse than said."""
DOES_LITTLE = 0.25
"""Share of worlds in whose clinics the drug does least."""


class Robust(NamedTuple):
    """Of one regimen, by its number. mean: of the aim over worlds; bad: no better than this in one world of twenty;
    little: the mean in the clinics where the drug does little; holding: in how many worlds every limit holds."""

    regimen: int
    mean: float
    bad: float
    little: float
    holding: int


def robustness(race: Race, regimens: Sequence[int], drug_level: np.ndarray) -> tuple[Robust, ...]:
    """How these regimens, which were followed to the end, do where things go badly. drug_level: of the clinic of each
    world."""
    aim = race.asked.aim
    at = BAD_WORLDS if aim.sign > 0 else 1 - BAD_WORLDS
    little = clinics_of_little(drug_level)
    rows = []
    for k in regimens:
        by_world = race.means(aim.measure, [k])[0]
        holds = np.ones(len(by_world), bool)
        for limit in race.asked.limits:
            holds &= holds_by_world(race.of(limit.measure, [k])[0], limit)
        bad = float(np.quantile(by_world, at))
        rows.append(Robust(k, float(by_world.mean()), bad, float(by_world[little].mean()), int(holds.sum())))
    return tuple(rows)


def clinics_of_little(drug_level: np.ndarray) -> np.ndarray:
    """Numbers of the worlds in whose clinics the drug does least."""
    return np.argsort(drug_level)[: max(1, round(DOES_LITTLE * len(drug_level)))]


def holds_by_world(x: np.ndarray, limit: Limit) -> np.ndarray:
    """In which worlds a limit holds, as far as these patients tell. x: of one regimen, [worlds, patients]."""
    if limit.chance is not None:
        return limit.holds_in(x).mean(1) < limit.chance
    return limit.holds_in(x.mean(1))
