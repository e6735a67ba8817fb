import numpy as np
import pytest
from scipy import stats

from euthymia.errors import UserError
from euthymia.trial.sequential import (
    alpha_spent,
    boundaries,
    chance_of_success,
    drop_arms,
    response_adaptive_ratio,
    stopping_probabilities,
)
from euthymia.trial.statistics import Estimate

FIVE = np.arange(1, 6) / 5
# Jennison and Turnbull 2000, tables 2.1 and 2.3, two-sided alpha 0.05, equally spaced looks.
POCOCK = {1: 1.960, 2: 2.178, 3: 2.289, 4: 2.361, 5: 2.413, 6: 2.453, 7: 2.485, 8: 2.512, 9: 2.535, 10: 2.555}
OBRIEN_FLEMING = {1: 1.960, 2: 1.977, 3: 2.004, 4: 2.024, 5: 2.040, 6: 2.053, 7: 2.063, 8: 2.072, 9: 2.080, 10: 2.087}
# Of the R package ldbounds (vignette), after Reboussin 2000, Controlled Clinical Trials 21:190.
SPENDING = {
    "obrien_fleming": [4.8769, 3.3569, 2.6803, 2.2898, 2.0310],
    "pocock": [2.4380, 2.4268, 2.4101, 2.3966, 2.3859],
}


@pytest.mark.parametrize(("looks", "constant"), POCOCK.items())
def test_pocock_limits_are_the_published_constants(looks, constant):
    assert boundaries(np.arange(1, looks + 1) / looks, shape="pocock") == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize(("looks", "constant"), OBRIEN_FLEMING.items())
def test_obrien_fleming_limits_are_the_published_constants(looks, constant):
    t = np.arange(1, looks + 1) / looks
    assert boundaries(t) * np.sqrt(t) == pytest.approx(constant, abs=6e-4)


@pytest.mark.parametrize(("shape", "published"), SPENDING.items())
def test_spending_limits_are_the_published_ones(shape, published):
    assert boundaries(FIVE, shape=shape, spending=True) == pytest.approx(published, abs=2e-4)


@pytest.mark.parametrize("shape", SPENDING)
def test_all_is_spent_at_the_end(shape):
    assert alpha_spent([1.0], 0.03, shape) == pytest.approx(0.03)


UNEVEN = [0.3, 0.45, 0.9, 1.0]
PLANS = [(s, p) for s in SPENDING for p in (False, True)]


def paths(rng, t, drift, n=400_000):
    """z [n, looks] of simulated trials."""
    step = np.diff(t, prepend=0.0)
    return np.cumsum(rng.normal(drift * step, np.sqrt(step), (n, len(t))), axis=1) / np.sqrt(t)


@pytest.mark.parametrize(("shape", "spending"), PLANS)
@pytest.mark.parametrize("drift", [0.0, 2.5])
def test_simulated_trials_stop_as_often_as_calculated(shape, spending, drift):
    limits = boundaries(UNEVEN, 0.05, shape, spending)
    z = paths(np.random.default_rng(1), np.array(UNEVEN), drift)
    out = np.abs(z) > limits
    first = np.where(out.any(axis=1), out.argmax(axis=1), len(limits))
    up = z[np.arange(len(z)), np.minimum(first, len(limits) - 1)] > 0
    share = np.array([[np.mean((first == k) & side) for side in (up, ~up)] for k in range(len(limits))])
    expected = stopping_probabilities(limits, UNEVEN, drift)
    assert np.abs(share - expected).max() < 4 * np.sqrt(0.25 / len(z))
    if drift == 0:
        assert abs(share.sum() - 0.05) < 4 * np.sqrt(0.05 * 0.95 / len(z))


@pytest.mark.parametrize(("shape", "spending"), PLANS)
def test_the_error_of_all_looks_is_alpha(shape, spending):
    limits = boundaries(UNEVEN, 0.02, shape, spending)
    assert stopping_probabilities(limits, UNEVEN).sum() == pytest.approx(0.02, abs=1e-8)


def test_spending_limits_spend_what_the_function_allows_at_each_look():
    spent = stopping_probabilities(boundaries(UNEVEN, spending=True), UNEVEN).sum(axis=1)
    assert np.cumsum(spent) == pytest.approx(alpha_spent(UNEVEN), abs=1e-8)


def test_three_looks_agree_with_the_multivariate_normal():
    t, limits, drift = np.array([0.2, 0.7, 1.0]), np.array([2.8, 2.4, 2.0]), 1.0
    correlation = np.sqrt(np.minimum.outer(t, t) / np.maximum.outer(t, t))
    stay = stats.multivariate_normal(drift * np.sqrt(t), correlation, abseps=1e-8, releps=1e-8, maxpts=2_000_000)  # type: ignore[call-arg]
    inside = stay.cdf(limits, lower_limit=-limits)
    assert 1 - stopping_probabilities(limits, t, drift).sum() == pytest.approx(inside, abs=1e-6)


def test_looks_close_together_are_hardly_more_than_one():
    assert boundaries([0.5, 0.501, 1.0], shape="pocock") == pytest.approx(
        boundaries([0.5, 1], shape="pocock")[0], abs=0.02
    )


@pytest.mark.parametrize("drift", [-60.0, 60.0])
def test_a_vast_effect_stops_at_once_on_its_side(drift):
    stops = stopping_probabilities(boundaries(FIVE), FIVE, drift)
    assert stops[0, 0 if drift > 0 else 1] == pytest.approx(1)
    assert stops.sum() == pytest.approx(1)


@pytest.mark.parametrize("information", [[], [0.5], [0.0, 1.0], [0.7, 0.5, 1.0], [0.5, 0.5, 1.0], [0.5, 1.1]])
def test_impossible_fractions_are_refused(information):
    with pytest.raises(UserError, match="information"):
        boundaries(information)


@pytest.mark.parametrize(
    ("alpha", "shape", "word"), [(0, "pocock", "alpha"), (1, "pocock", "alpha"), (0.05, "x", "shape")]
)
def test_impossible_plans_are_refused(alpha, shape, word):
    for measure in (boundaries, alpha_spent):
        with pytest.raises(UserError, match=word):
            measure([0.5, 1.0], alpha, shape)


@pytest.mark.parametrize("limits", [[2.0], [2.0, -1.0]])
def test_impossible_limits_are_refused(limits):
    with pytest.raises(UserError, match="limits"):
        stopping_probabilities(limits, [0.5, 1.0])


# --- response-adaptive allocation -------------------------------------------------------------------------------------


def test_thompson_shares_are_the_chances_of_being_best():
    won, n = np.array([4, 9, 7]), np.array([20, 22, 21])
    draws = np.random.default_rng(2).beta(1 + won, 1 + n - won, (400_000, 3))
    best = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert response_adaptive_ratio(won, n, temper=1, floor=0) == pytest.approx(best, abs=4 * np.sqrt(0.25 / len(draws)))


def test_two_flat_arms_agree_with_the_closed_form():
    # With uniform priors and one success against one failure, P(Beta(2, 1) > Beta(1, 2)) = 5 / 6.
    assert response_adaptive_ratio([1, 0], [1, 1], temper=1, floor=0) == pytest.approx([5 / 6, 1 / 6], abs=1e-6)


def test_tempering_by_nothing_shares_equally():
    assert response_adaptive_ratio([1, 15, 9], [20, 20, 20], temper=0) == pytest.approx([1 / 3] * 3)


def test_tempering_by_half_takes_the_roots():
    raw, half = (response_adaptive_ratio([4, 9], [20, 20], temper=c, floor=0) for c in (1, 0.5))
    assert half == pytest.approx(np.sqrt(raw) / np.sqrt(raw).sum())


def test_the_floor_holds_for_a_hopeless_arm():
    share = response_adaptive_ratio([0, 100], [100, 100], temper=1, floor=0.2)
    assert share == pytest.approx([0.2, 0.8], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "word"),
    [
        (([1], [2]), {}, "successes"),
        (([1, 3], [2, 2]), {}, "successes"),
        (([1, -1], [2, 2]), {}, "successes"),
        (([1, 1, 1], [2, 2]), {}, "successes"),
        (([1, 1], [2, 2]), {"temper": 2}, "temper is 2"),
        (([1, 1], [2, 2]), {"floor": 0.6}, "floor 0.6"),
        (([1, 1], [2, 2]), {"prior": (0, 1)}, "prior"),
    ],
)
def test_impossible_allocations_are_refused(arguments, options, word):
    with pytest.raises(UserError, match=word):
        response_adaptive_ratio(*arguments, **options)


# --- futility ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["conditional", "predictive"])
@pytest.mark.parametrize(("z", "t"), [(0.5, 0.5), (1.5, 0.3), (-0.5, 0.8)])
def test_the_chance_of_success_is_that_of_simulated_endings(method, z, t):
    rng, n = np.random.default_rng(3), 400_000
    drift = z / np.sqrt(t)
    effect = drift if method == "conditional" else rng.normal(drift, 1 / np.sqrt(t), n)
    end = z * np.sqrt(t) + rng.normal(effect * (1 - t), np.sqrt(1 - t), n)
    assert abs(np.mean(end > 1.96) - chance_of_success(z, t, 1.96, method)) < 4 * np.sqrt(0.25 / n)


def estimate(value):
    return Estimate(value, 1.0, value - 1.96, value + 1.96, 0.5, np.inf)


def test_arms_without_a_chance_are_dropped():
    interim = {1: estimate(-2.0), 2: estimate(1.0), 3: estimate(0.0)}
    assert drop_arms(interim, 0.5) == (2, 3)
    assert drop_arms(interim, 0.5, lower_is_better=False) == (1, 3)
    assert drop_arms(interim, 0.5, threshold=0) == ()


@pytest.mark.parametrize("information", [0, 1])
def test_futility_needs_a_look_before_the_end(information):
    with pytest.raises(UserError, match="information"):
        drop_arms({1: estimate(0.0)}, information)


def test_an_unknown_chance_is_refused():
    with pytest.raises(UserError, match="method"):
        chance_of_success(1, 0.5, method="hopeful")
