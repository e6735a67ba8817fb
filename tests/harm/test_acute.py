"""Acute harms: what drives them, in which direction, and within which limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from euthymia.harm.acute import CADSS_MAXIMUM, AcuteHarm

jax.config.update("jax_enable_x64", True)

OCCUPANCY = jnp.linspace(0, 0.95, 60)
ZERO = jnp.zeros(60)


@pytest.fixture
def harm():
    return AcuteHarm.from_evidence()


def test_no_drug_no_harm(harm):
    none = jnp.zeros(1)
    assert float(harm.dissociation.level(none, none, none, none)[0]) < 1e-9
    assert float(harm.sedation.probability(none)[0]) < 1e-9
    assert float(harm.consciousness.lost(none)[0]) < 1e-9
    assert float(harm.blood_pressure.rise(none, none, 40.0 + none)[0]) == 0


def test_every_harm_grows_with_its_driver(harm):
    for curve in (
        harm.dissociation.level(OCCUPANCY, ZERO, ZERO, ZERO),
        harm.sedation.probability(OCCUPANCY),
        harm.consciousness.lost(OCCUPANCY),
        harm.blood_pressure.rise(1000 * OCCUPANCY, ZERO, ZERO + 40),
    ):
        assert np.all(np.diff(np.asarray(curve)) >= 0) and curve[-1] > curve[0]


def test_dissociation_fades_with_sessions_by_the_published_factor(harm):
    first, second, tenth = (
        float(harm.dissociation.level(jnp.array(0.2), jnp.array(k), jnp.array(0.0), jnp.array(0.0)))
        for k in (0.0, 1.0, 9.0)
    )
    assert first > second > tenth
    assert tenth / first == pytest.approx((second / first) ** 9)


def test_dissociation_stays_on_its_scale_for_anybody(harm):
    worst = harm.dissociation.level(OCCUPANCY, ZERO, ZERO + 3, ZERO + 3)
    assert float(worst.max()) == CADSS_MAXIMUM


def test_people_lose_consciousness_only_where_most_receptors_are_blocked(harm):
    lost = np.asarray(harm.consciousness.lost(OCCUPANCY))
    assert np.interp(0.25, OCCUPANCY, lost) < 0.001  # after 0.5 to 1 mg/kg
    assert np.interp(0.8, OCCUPANCY, lost) > 0.5


def test_sedation_comes_before_unconsciousness(harm):
    sedated, lost = harm.sedation.probability(OCCUPANCY), harm.consciousness.lost(OCCUPANCY)
    assert np.all(np.asarray(sedated) >= np.asarray(lost) - 1e-12)


def test_the_old_and_the_sensitive_have_higher_pressures(harm):
    rise = lambda z, age: float(harm.blood_pressure.rise(jnp.array(150.0), jnp.array(z), jnp.array(age)))  # noqa: E731
    assert rise(1.0, 40.0) > rise(0.0, 40.0) > rise(-1.0, 40.0)
    assert rise(0.0, 65.0) > rise(0.0, 64.9) == rise(0.0, 40.0)


def test_the_highest_of_several_readings_rises_by_chance_alone(harm):
    session = jnp.asarray(np.random.default_rng(2).standard_normal(4000))
    highest = np.asarray(harm.blood_pressure.highest_reading(jnp.zeros(4000), session))
    assert highest.mean() == pytest.approx(harm.blood_pressure.mean_drift, abs=4 * highest.std() / np.sqrt(4000))
