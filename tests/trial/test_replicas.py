"""Published trials as arrays: the same scores as the engine gives, arm by arm and patient by patient."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia import evidence
from euthymia.course.simulate import simulate_schedule
from euthymia.course.variants import Variants
from euthymia.patient.population import draw
from euthymia.trial.document import load
from euthymia.trial.replicas import build, calendar, madrs, mirrored, pack

TRIALS = tuple(load(name) for name in ("murrough-2013", "daly-2018-japan", "transform-3"))
PEOPLE = mirrored(draw("TRD", 12, 4))


@pytest.fixture(scope="module")
def replicas():
    return build(TRIALS, PEOPLE)


@pytest.fixture(scope="module")
def true(replicas):
    one = jnp.ones(len(TRIALS))
    return np.asarray(madrs(replicas.arms, one, one))


def test_scores_are_those_of_the_engine(replicas, true):
    for k, (name, times) in enumerate(zip(replicas.names, replicas.times, strict=True)):
        trial = next(t for t in TRIALS if t.trial == name[0])
        planned = calendar(trial, trial.arm(name[1]), times[-1])
        values, _ = simulate_schedule(planned, replicas.people[k], np.array(times), Variants())
        ours = true[k, : len(times), : len(PEOPLE)]
        np.testing.assert_allclose(ours.T, values["MADRS"], atol=0.05, err_msg=str(name))


def test_everybody_appears_twice_with_opposite_ups_and_downs(replicas, true):
    one, other = np.split(np.log(true / np.tile(replicas.arms.baseline, 2)[:, None]), 2, axis=-1)
    lability = np.asarray(replicas.arms.z["depression.lability"])
    size = evidence.value("depression.sd_fluctuation") * np.exp(evidence.value("depression.sd_lability") * lability)
    expected = size * np.asarray(replicas.arms.ups_and_downs)
    below = (true.max(axis=(-1,)) < 60)[..., None] & np.ones_like(one, bool)  # the scale ends at 60
    np.testing.assert_allclose(((one - other) / 2)[below], expected[below], atol=1e-9)


def test_a_study_with_twice_the_effect_falls_further_on_drug_alone(replicas, true):
    one = jnp.ones(len(TRIALS))
    more = np.asarray(madrs(replicas.arms, 2 * one, one)).mean(-1) - true.mean(-1)
    for k, (trial, arm) in enumerate(replicas.names):
        given = next(t for t in TRIALS if t.trial == trial).arm(arm).given
        on_drug = given and (given.protocol or "").startswith(("ketamine", "spravato", "esketamine"))
        on_drug = on_drug or (given and given.compound == "esketamine")
        assert (more[k, 0] < -0.1) == bool(on_drug), (trial, arm)


def test_assumed_values_reach_the_scores(replicas, true):
    one = jnp.ones(len(TRIALS))
    with evidence.assume({"depression.gain": 0.0, "depression.antidepressant_gain": 0.0}):
        without = np.asarray(madrs(replicas.arms, one, one))
    midazolam = replicas.names.index(("murrough-2013", "midazolam"))
    ketamine = replicas.names.index(("murrough-2013", "ketamine"))
    np.testing.assert_allclose(without[ketamine, 0].mean(), without[midazolam, 0].mean(), atol=1e-9)
    assert true[ketamine, 0].mean() < without[ketamine, 0].mean() - 1


def test_an_assumed_value_ends_with_its_block():
    with evidence.assume({"depression.gain": 3.0}):
        assert evidence.value("depression.gain") == 3.0
    assert evidence.value("depression.gain") == evidence.parameter("depression.gain").value


@given(st.lists(st.integers(1, 60), min_size=1, max_size=30))
def test_courses_packed_into_lanes_never_overlap_and_make_no_lane_longer_than_the_longest(lengths):
    taken = set()
    for (lane, first), length in zip(pack(lengths), lengths, strict=True):
        steps = {(lane, k) for k in range(first, first + length)}
        assert first >= 0 and first + length <= max(lengths)
        assert not taken & steps
        taken |= steps
