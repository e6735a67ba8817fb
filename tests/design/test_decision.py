"""Choosing under uncertainty, on problems whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from euthymia.design.decision import front, perfect, resampled, verdict, worth


def test_what_is_always_best_is_surely_best_and_costs_no_regret():
    rng = np.random.default_rng(1)
    patient, draw = rng.normal(0, 5, 200), rng.normal(0, 3, 30)
    gain = np.stack([level + draw[:, None] + patient for level in (0.0, 1.0, 2.0)])
    found = verdict(gain)
    one_more = 1 / 31  # of 30 draws, the draw that was not seen
    np.testing.assert_allclose(found.best, [one_more / 3, one_more / 3, 1 - 2 * one_more / 3])
    np.testing.assert_allclose(found.regret, [2.0, 1.0, 0.0], atol=1e-12)


def test_two_alike_are_best_half_the_time_each():
    gain = np.random.default_rng(2).normal(size=(1, 20, 50)).repeat(2, axis=0)
    np.testing.assert_allclose(verdict(gain).best, 0.5)


def test_the_probability_to_be_best_is_that_of_the_parameters():
    """Two regimens of which the second is better by d, normal over draws: best with probability Phi(mean / sd)."""
    rng = np.random.default_rng(3)
    d = rng.normal(0.5, 1.0, 4000)
    gain = np.stack([np.zeros((4000, 4)), d[:, None].repeat(4, 1)])
    found = verdict(gain)
    assert found.best[1] == pytest.approx(norm.cdf(0.5), abs=0.03)
    assert found.regret[1] == pytest.approx(norm.pdf(0.5) - 0.5 * norm.cdf(-0.5), abs=0.03)


def test_few_patients_make_a_choice_less_sure():
    rng = np.random.default_rng(4)
    few, many = (np.stack([np.zeros((20, n)), rng.normal(0.2, 2.0, n) * np.ones((20, 1))]) for n in (30, 30_000))
    assert 0.05 < verdict(few).best[1] < 0.95 and verdict(many).best[1] == pytest.approx(20.5 / 21)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_probabilities_sum_to_one_and_regret_is_never_negative(seed):
    gain = np.random.default_rng(seed).normal(size=(5, 6, 7))
    found = verdict(gain, seed)
    assert found.best.sum() == pytest.approx(1.0) and (found.regret >= 0).all()
    assert (found.low <= found.high).all()


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


def test_resampled_populations_are_the_same_for_every_regimen():
    gain = np.random.default_rng(7).normal(size=(1, 5, 40))
    together = resampled(np.concatenate([gain, gain + 1]))
    np.testing.assert_allclose(together[1] - together[0], 1.0)
