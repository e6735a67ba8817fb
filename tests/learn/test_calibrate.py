"""Draws by importance, against distributions with known answers."""

import numpy as np
import pytest
from scipy.stats import expon, norm

from euthymia.learn.calibrate import _inverse, _systematic, smoothed


def weights_of(target, proposal, n, seed=0):
    x = proposal.rvs(n, random_state=seed)
    return x, target.logpdf(x) - proposal.logpdf(x)


def test_weights_give_the_mean_of_the_target():
    x, log_weights = weights_of(norm(0.4, 0.8), norm(0, 1), 20_000)
    weights, k = smoothed(log_weights)
    assert weights.sum() == pytest.approx(1)
    assert weights @ x == pytest.approx(0.4, abs=0.02)
    assert k < 0.5


@pytest.mark.parametrize("k", [0.3, 0.6, 0.9])
def test_the_shape_of_a_pareto_tail_is_found(k):
    u = np.random.default_rng(1).random(40_000)
    assert smoothed(np.log(u**-k))[1] == pytest.approx(k, abs=0.12)


def test_a_proposal_too_narrow_is_found_out():
    # weights of an exponential target under an exponential proposal of scale s are Pareto with shape 1 - s
    _, log_weights = weights_of(expon(), expon(scale=0.1), 40_000)
    assert smoothed(log_weights)[1] == pytest.approx(0.9, abs=0.12)


def test_systematic_draws_follow_the_weights():
    weights = np.array([0.5, 0.25, 0.25, 0.0])
    chosen = _systematic(weights, 400, np.random.default_rng(0))
    assert np.bincount(chosen, minlength=4).tolist() == pytest.approx([200, 100, 100, 0], abs=1)


def test_a_direction_without_data_keeps_the_spread_of_its_prior():
    found = _inverse(np.diag([4.0, 1.0, 0.2, -3.0]))  # flatter than the prior: noise
    assert np.diag(found) == pytest.approx([0.25, 1, 1, 1])
