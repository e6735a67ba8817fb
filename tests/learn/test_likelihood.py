"""The calibration's target: its gradient is that of its value, and it cannot see what only validates."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.learn.likelihood import calibration_trials, priors_of, target
from euthymia.trial import observed as room
from euthymia.trial.document import load

TRIALS = ("murrough-2013", "su-2017")


@pytest.fixture(scope="module")
def small():
    return target([load(name) for name in TRIALS], patients=8)


@pytest.fixture(scope="module")
def cost(small):
    given = small.replicas.arms, small.peak.arms, small.data
    return eqx.filter_jit(eqx.filter_value_and_grad(lambda x: small.log_density(*given, x)))


def test_the_gradient_is_that_of_the_value(small, cost):
    x = jnp.asarray(0.3 * np.random.default_rng(0).standard_normal(small.size))
    gradient = np.asarray(cost(x)[1])
    assert np.isfinite(gradient).all()
    step = 1e-4
    for k in range(small.size):
        up, down = (float(cost(x.at[k].add(s))[0]) for s in (step, -step))
        assert (up - down) / (2 * step) == pytest.approx(gradient[k], rel=1e-4, abs=1e-4)


def test_coordinates_are_standard_a_priori(small):
    values = small.values(jnp.zeros(small.size))
    for row in priors_of("depression"):
        assert float(values[row.id]) == pytest.approx(row.median)
    one = small.values(jnp.ones(small.size))
    for row in priors_of("depression"):
        assert float(jnp.log(one[row.id] / values[row.id])) == pytest.approx(row.sd)


def test_endpoints_of_one_arm_count_less_each(small):
    of_arm = [e for t, e in small.endpoints if t.trial == "murrough-2013" and "ketamine" in e.arm]
    weights = [w for (t, e), w in zip(small.endpoints, small.data.weight, strict=True) if e in of_arm]
    assert np.asarray(weights) == pytest.approx(1 / np.sqrt(len(of_arm)))


def test_every_trial_that_may_be_fitted_is_and_no_other():
    assert {t.set for t in calibration_trials()} == {"calibration"}
    with pytest.raises(UserError, match="may not be fitted"):
        target([load("lii-2023")])


def test_fitting_reads_no_outcome_that_only_validates(monkeypatch):
    asked = []
    read = evidence.outcomes

    def listening(*, set):
        asked.append(set)
        return read(set=set)

    room._rows.cache_clear()
    monkeypatch.setattr(evidence, "outcomes", listening)
    target([load("murrough-2013")], patients=8)
    room._rows.cache_clear()
    assert set(asked) == {"calibration"}


def test_a_prior_of_nothing_is_refused():
    from euthymia.evidence.load import parse
    from euthymia.evidence.tables import Prior

    with pytest.raises(UserError, match="line 2, column sd"):
        parse(Prior, "id,median,sd,why\na.b,1,0,because\n", "priors.csv")


def test_every_prior_is_of_a_parameter_of_the_model():
    for row in evidence.priors():
        assert evidence.parameter(row.id).value >= 0
