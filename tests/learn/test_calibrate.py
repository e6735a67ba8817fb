"""Draws from distributions with known answers."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.diagnostics import split_gelman_rubin

from euthymia.learn.calibrate import CONVERGED, _inverse, no_u_turn

MEAN = np.array([0.5, -0.3, 0.0])
COVARIANCE = np.array([[1.0, 0.5, 0.0], [0.5, 0.8, -0.2], [0.0, -0.2, 1.2]])


def gaussian(z, precision):
    return 0.5 * (z - MEAN) @ precision @ (z - MEAN)


@pytest.fixture(scope="module")
def chains():
    precision = jnp.asarray(np.linalg.inv(COVARIANCE))
    return no_u_turn(gaussian, (precision,), 3, draws=1500, chains=2, warmup=100, seed=1)


def test_draws_have_the_mean_and_spread_of_their_density(chains):
    draws = chains.reshape(-1, 3)
    np.testing.assert_allclose(draws.mean(0), MEAN, atol=0.12)
    np.testing.assert_allclose(np.cov(draws.T), COVARIANCE, atol=0.15)


def test_chains_that_begin_apart_agree(chains):
    assert split_gelman_rubin(chains).max() < CONVERGED
    assert not np.array_equal(chains[0], chains[1])


def test_draws_depend_on_the_seed_alone():
    one, again, other = (no_u_turn(gaussian, (jnp.eye(3),), 3, 5, 2, 5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_a_direction_without_data_keeps_the_spread_of_its_prior():
    found = _inverse(np.diag([4.0, 1.0, 0.2, -3.0]))  # flatter than the prior: noise
    assert np.diag(found) == pytest.approx([0.25, 1, 1, 1])
