"""A trial left out has no say in the fit that predicts it, and is predicted as a study not yet seen."""

from dataclasses import replace

import equinox as eqx
import numpy as np
import pytest

from euthymia.learn.left_out import describe, groups, leave_out
from euthymia.learn.likelihood import Target, target
from euthymia.trial.document import load

NO_SPREAD = {f"depression.sd_between_studies_{kind}": 1e-9 for kind in ("drug", "background")}


@pytest.fixture(scope="module")
def two() -> Target:
    return target([load("murrough-2013"), load("su-2017")], patients=8, fixed=NO_SPREAD)


@pytest.fixture(scope="module")
def found(two):
    return leave_out(two, np.zeros(two.size))


def test_trials_that_share_patients_leave_together():
    some = target([load(name) for name in ("su-2017", "transform-1", "transform-1-2", "transform-2")], patients=4)
    assert sorted(groups(some)) == [("su-2017",), ("transform-1", "transform-1-2", "transform-2")]


def test_what_a_trial_found_does_not_touch_the_fit_that_predicts_it(two, found):
    first = np.array([t.trial == found[0].trials[0] for t, _ in two.endpoints])
    other = np.where(first, np.asarray(two.data.value) / 2, np.asarray(two.data.value))
    again = leave_out(replace(two, data=eqx.tree_at(lambda d: d.value, two.data, other)), np.zeros(two.size))
    assert again[0].others == pytest.approx(found[0].others)
    assert again[0].log_density != pytest.approx(found[0].log_density)
    assert again[1].others != pytest.approx(found[1].others)


def test_where_studies_do_not_differ_the_density_is_that_of_the_typical_study(two, found):
    for one in found:
        out = np.array([t.trial in one.trials for t, _ in two.endpoints])
        terms = np.asarray(two.terms(two.replicas.arms, two.data, one.others))
        assert one.log_density == pytest.approx((np.asarray(two.data.weight) * terms)[out].sum(), abs=1e-5)


def test_the_table_names_every_trial_and_the_sum(found):
    text = describe(found)
    assert all(name in text for one in found for name in one.trials)
    assert f"{sum(one.log_density for one in found):.1f}" in text.splitlines()[-1]
