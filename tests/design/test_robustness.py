"""How regimens do where things go badly, from races whose answer is plain."""

import numpy as np

from euthymia.design.aims import aim, limit
from euthymia.design.robustness import clinics_of_little, holds_by_world, robustness
from euthymia.design.search import Asked, Race

WORLDS, PATIENTS = 101, 50


def race(by_world: np.ndarray, measure: str = "days in remission", *limits: str) -> Race:
    """Patients who do alike; by_world: of each regimen, [regimens, worlds]."""
    asked = Asked(aim(measure, "more" if measure.startswith("days") else "less"), tuple(map(limit, limits)))
    values = np.repeat(by_world[:, :, None], PATIENTS, axis=2)
    return Race(asked, dict.fromkeys(asked.measures, values))


def test_the_worst_world_of_twenty_and_the_mean_where_the_drug_does_little():
    days = np.arange(WORLDS, dtype=float)
    (found,) = robustness(race(days[None]), [0], drug_level=days)
    assert (found.mean, found.bad, found.little) == (50.0, 5.0, np.arange(25).mean())
    (turned,) = robustness(race(days[None]), [0], drug_level=-days)  # who does well in them is not worse off
    assert turned.little > turned.mean


def test_where_less_is_better_the_worst_world_has_most():
    (found,) = robustness(race(np.arange(WORLDS, dtype=float)[None], "mean MADRS"), [0], np.ones(WORLDS))
    assert found.bad == 95.0


def test_worlds_are_counted_in_which_every_limit_holds():
    days = np.arange(WORLDS, dtype=float)[None]
    asked = race(days, "days in remission", "days in remission at least 11 days", "days in remission at most 20 days")
    assert robustness(asked, [0], np.ones(WORLDS))[0].holding == 10
    assert robustness(race(days), [0], np.ones(WORLDS))[0].holding == WORLDS


def test_a_limit_on_a_chance_is_counted_world_by_world():
    highest = np.full((3, 100), 150.0)
    highest[1, :1], highest[2, :5] = 190.0, 190.0
    asked = limit("P(highest SBP above 180 mmHg in any session) < 2 %")
    assert holds_by_world(highest, asked).tolist() == [True, True, False]


def test_clinics_where_the_drug_does_little_are_a_quarter():
    level = np.random.default_rng(1).permutation(20) / 10
    assert sorted(level[clinics_of_little(level)]) == [0.0, 0.1, 0.2, 0.3, 0.4]
