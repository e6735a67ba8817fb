"""Bands over worlds hold what is uncertain of the model, and nothing of how patients differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from euthymia.explore.uncertain import COMPARED, CURVES, InWorlds, bands, differences


def in_worlds(days: np.ndarray) -> InWorlds:
    """days: in remission, [worlds, patients]; every curve is their mean on all of three days."""
    curves = {name: np.repeat(days.mean(1)[:, None], 3, axis=1) for name in CURVES}
    return InWorlds(curves, dict.fromkeys(COMPARED, days))


numbers = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@given(numbers)
def test_worlds_that_agree_leave_no_band_but_everybodys_curve(rng):
    days = np.repeat(rng.uniform(0, 50, (1, 7)), 9, axis=0)
    found = in_worlds(days)
    few = {name: curve[0] for name, curve in found.curves.items()}
    everybody = {name: rng.uniform(0, 60, 3) for name in CURVES}
    for name, (low, high) in bands(found, few, everybody).items():
        np.testing.assert_allclose(low, everybody[name], atol=0.051)
        assert low == high


@given(numbers, st.floats(-30, 30))
def test_what_all_worlds_share_is_no_part_of_a_difference(rng, more):
    """Worlds far apart, patients far apart: a regimen that adds the same everywhere adds just that."""
    days = rng.normal(30, 20, (11, 1)) + rng.normal(0, 20, (1, 6))
    for row in differences(in_worlds(days + more), in_worlds(days)):
        assert (row["low"], row["value"], row["high"]) == pytest.approx((more,) * 3, abs=0.006)


@settings(deadline=None, max_examples=8)
@given(numbers)
def test_the_interval_of_a_difference_holds_the_true_one_as_often_as_it_says(rng):
    """In worlds and patients drawn anew each time, where the mean of yet another world is what is to be held."""
    inside = []
    for _ in range(400):
        effect, own = rng.normal(5, 2, (50, 1)), rng.normal(0, 12, (1, 80))
        (row, *_) = differences(in_worlds(effect + own), in_worlds(np.zeros((50, 80))))
        inside.append(row["low"] <= rng.normal(5, 2) <= row["high"])
    assert 0.82 < np.mean(inside) < 0.97
