"""Choosing under uncertainty, on problems whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct, norm

from euthymia.design.decision import FEWEST_DRAWS, UNSEEN, front, perfect, unseen, verdict, worth


def test_what_is_always_best_is_surely_best_and_costs_no_regret():
    rng = np.random.default_rng(1)
    patient, draw = rng.normal(0, 5, 200), rng.normal(0, 3, 30)
    gain = np.stack([level + draw[:, None] + patient for level in (0.0, 1.0, 2.0)])
    found = verdict(gain)
    np.testing.assert_array_equal(found.best, [0.0, 0.0, 1.0])
    np.testing.assert_allclose(found.regret, [2.0, 1.0, 0.0], atol=1e-12)


def test_two_alike_are_best_half_the_time_each():
    rng = np.random.default_rng(2)
    twice, other = rng.normal(size=(1, 20, 50)).repeat(2, axis=0), rng.normal(size=(3, 20, 50))
    np.testing.assert_allclose(verdict(twice).best, 0.5)
    first, *_, last = verdict(np.concatenate([twice[:1], other, twice[1:]])).best
    assert first == pytest.approx(last) and 0.0 < first < 0.5


def test_the_probability_to_be_best_is_that_of_the_parameters():
    """Two regimens of which the second is better by d, normal over draws: best with probability Phi(mean / sd)."""
    rng = np.random.default_rng(3)
    d = rng.normal(0.5, 1.0, 4000)
    gain = np.stack([np.zeros((4000, 4)), d[:, None].repeat(4, 1)])
    found = verdict(gain)
    assert found.best[1] == pytest.approx(norm.cdf(0.5), abs=0.03)
    assert found.regret[1] == pytest.approx(norm.pdf(0.5) - 0.5 * norm.cdf(-0.5), abs=0.03)


@pytest.mark.parametrize(("draws", "above"), [(4, 0.5), (10, 0.2), (10, 1.5), (20, 0.0)])
def test_few_draws_of_two_regimens_are_a_mean_of_noncentral_t(draws, above):
    """A difference with mean m and standard deviation s over K draws, each d_k from m, is above zero in the next world
    where (z + d_k K / s / sqrt(K - 1)) / sqrt(chi2 / (K - 1)) > -m sqrt(K) / s, for a standard normal z and any k."""
    d = np.random.default_rng(draws).exponential(1.0, draws) - 1 + above
    unit = d.std(ddof=1) / np.sqrt(draws)
    moved = (d - d.mean()) * np.sqrt(draws / (draws - 1)) / unit
    expected = 1 - nct.cdf(-d.mean() / unit, draws - 1, moved).mean()
    common = np.random.default_rng(1).normal(0, 50, (draws, 1))  # to both, and so of no matter
    found = verdict(np.stack([common, common + d[:, None]]))
    assert found.best[1] == pytest.approx(expected, abs=3.5 * np.sqrt(0.25 / UNSEEN))


def test_too_few_draws_say_nothing_of_the_next():
    with pytest.raises(ValueError, match="at least 3 draws, got 2"):
        verdict(np.zeros((2, FEWEST_DRAWS - 1, 5)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.floats(-100, 100))
def test_only_differences_count_in_whatever_unit(seed, unit, level):
    rng = np.random.default_rng(seed)
    gain, common = rng.normal(size=(4, 5, 6)), rng.normal(level, 10, (5, 6))
    one, other = verdict(gain), verdict(unit * (gain + common))
    np.testing.assert_allclose(other.best, one.best, atol=2 / UNSEEN)  # but for rounding, in one world or two
    np.testing.assert_allclose(other.regret, unit * one.regret, rtol=1e-6)


def test_few_patients_make_a_choice_less_sure():
    rng = np.random.default_rng(4)
    few, many = (np.stack([np.zeros((20, n)), rng.normal(0.2, 2.0, n) * np.ones((20, 1))]) for n in (30, 30_000))
    assert 0.05 < verdict(few).best[1] < 0.95 and verdict(many).best[1] == 1.0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_probabilities_sum_to_one_and_regret_is_never_negative(seed):
    gain = np.random.default_rng(seed).normal(size=(5, 6, 7))
    found = verdict(gain, seed)
    assert found.best.sum() == pytest.approx(1.0) and (found.regret >= 0).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_front_is_what_nothing_beats(points):
    values = np.array(points, float)
    on = front(values)
    for k, mine in enumerate(values):
        beaten = any((other >= mine).all() and (other > mine).any() for other in values)
        assert on[k] == (not beaten)
    assert on.any()


def test_only_the_parameter_that_decides_is_worth_knowing():
    """The second regimen is better where a is positive; b moves both alike and c nothing."""
    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=(3, 200))
    means = np.stack([5 * b, 5 * b + a])
    found = worth(means, {"a": a, "b": b, "c": c})
    assert found[0].parameter == "a" and found[0].changes == pytest.approx(0.5, abs=0.1)
    assert found[0].worth == pytest.approx(perfect(means), rel=0.25)
    assert all(w.worth < 0.05 * found[0].worth for w in found[1:])


def test_nothing_is_worth_knowing_where_one_regimen_is_always_best():
    rng = np.random.default_rng(6)
    x = rng.normal(size=60)
    means = np.stack([x, x + 3])
    assert perfect(means) == pytest.approx(0.0) and worth(means, {"x": x})[0].worth == 0.0


def test_worlds_and_populations_are_the_same_for_every_regimen():
    gain = np.random.default_rng(7).normal(size=(1, 5, 40))
    together = unseen(np.concatenate([gain, gain + 1]))
    np.testing.assert_allclose(together[1] - together[0], 1.0)
