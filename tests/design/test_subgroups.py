"""Subgroups of a race in which it is known in whom which regimen is best."""

import numpy as np

from euthymia.design.aims import aim
from euthymia.design.search import Asked, Part, choice, search
from euthymia.design.subgroups import FEWEST_PATIENTS, subgroups
from euthymia.patient import draw

PATIENTS, DRAWS = 400, 6
PEOPLE = draw("TRD", PATIENTS, 1)
HEAVY = np.asarray(PEOPLE.weight_kg) >= np.quantile(np.asarray(PEOPLE.weight_kg), 2 / 3)


def found(more_in_the_heavy: float):
    """Two regimens: the second is worse by 2 days, and better by so much in heavy patients."""

    def evaluate(part: Part) -> dict[str, np.ndarray]:
        days = 100 + np.random.default_rng(1).normal(0, 3, (2, DRAWS, PATIENTS))
        days[1] += np.where(HEAVY, more_in_the_heavy, -2.0)
        rows = slice(*part.patients)
        return {"days in remission": days[np.ix_(part.regimens, part.draws)][:, :, rows]}

    race = search(evaluate, 2, DRAWS, PATIENTS, Asked(aim("days in remission", "more")), stages=(DRAWS,))
    return {g.name: g for g in subgroups(race, choice(race), PEOPLE)}


def test_a_regimen_that_is_better_in_some_is_found_there_and_nowhere_else():
    groups = found(3.0)
    heavy = next(g for name, g in groups.items() if name.endswith("kg and over"))
    assert heavy.best == 1 and heavy.differs and heavy.probability is not None and heavy.probability > 0.9
    assert heavy.gain is not None and abs(heavy.gain - 3) < 0.6
    light = next(g for name, g in groups.items() if name.startswith("below") and name.endswith("kg"))
    assert light.best == 0 and not light.differs and light.gain == 0


def test_where_the_interval_holds_zero_nothing_is_claimed():
    heavy = next(g for name, g in found(0.1).items() if name.endswith("kg and over"))
    assert heavy.low is not None and heavy.high is not None and heavy.low <= 0 <= heavy.high and not heavy.differs


def test_too_few_patients_say_nothing_and_everybody_is_no_subgroup():
    groups = found(3.0)
    old = groups["65 years and over"]  # virtual patients are 18 to 64
    assert old.patients < FEWEST_PATIENTS and old.best is None and not old.differs
    assert "below 65 years" not in groups
    assert groups["women"].patients + groups["men"].patients == PATIENTS
