"""Simulation-based calibration: of regimens said to be best with probability p, a fraction p are."""

from itertools import pairwise

import numpy as np
import pytest

from euthymia.design.aims import aim
from euthymia.design.search import Asked, Part, choice, search

REGIMENS, PATIENTS, PROBLEMS = 6, 200, 600
ASKED = Asked(aim("days in remission", "more"))
PART = 4 * PATIENTS
"""So that the first stage has four draws."""
BOUNDS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01)
CLOSE = 0.03
"""Of a probability that few draws leave open; a shape of the gains that is not normal adds to it."""
LEAST = 25
"""Cases below which a bin says nothing."""


def problem(seed: int, draws: int, shape_of: str) -> tuple[np.ndarray, int]:
    """A truth drawn from its prior, seen with noise, and a search among regimens whose gain depends on it, under draws
    of what is then known: how probably each was said to be the best, and which one was."""
    rng = np.random.default_rng([seed, draws])
    slope, level = rng.normal(size=(REGIMENS, 3)), rng.normal(0, 0.7, REGIMENS)
    truth = rng.normal(size=3)
    known = (truth + rng.normal(size=3)) / 2 + np.sqrt(0.5) * rng.normal(size=(draws, 3))  # of the posterior
    curved = np.exp if shape_of == "skew" else np.asarray
    gain = level + curved(known) @ slope.T
    own = rng.normal(0, 4, (REGIMENS, PATIENTS))

    def evaluate(part: Part) -> dict[str, np.ndarray]:
        some, rows = list(part.regimens), slice(*part.patients)
        return {"days in remission": gain[np.ix_(part.draws, some)].T[:, :, None] + own[some, None, rows]}

    found = choice(search(evaluate, REGIMENS, draws, PATIENTS, ASKED, part_patients=PART, workers=1))
    return found.best, int((level + curved(truth) @ slope.T).argmax())


@pytest.mark.parametrize(("draws", "shape_of"), [(10, "normal"), (20, "normal"), (20, "skew")])
def test_what_is_said_to_be_best_with_probability_p_is_best_in_a_fraction_p(draws, shape_of):
    said, best = zip(*(problem(seed, draws, shape_of) for seed in range(PROBLEMS)), strict=True)
    said = np.array(said)
    was = np.arange(REGIMENS) == np.array(best)[:, None]
    bins = 0
    for low, high in pairwise(BOUNDS):
        here = (said >= low) & (said < high)
        if here.sum() >= LEAST:
            expected, spread = said[here].mean(), np.sqrt((said[here] * (1 - said[here])).sum()) / here.sum()
            # of seven bins, the largest of so many standard normals exceeds 3.2 once in a hundred times
            assert abs(was[here].mean() - expected) < CLOSE + 3.2 * spread, (low, high)
            bins += 1
    assert bins >= 6
