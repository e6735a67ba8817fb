"""What is assumed in place of the evidence reaches a whole simulation, and ends with its block."""

import equinox as eqx
import numpy as np
import pytest

import euthymia as eu
from euthymia import evidence
from euthymia.course.batch import advance
from euthymia.course.plan import make_plan
from euthymia.course.simulate import prepare
from euthymia.course.variants import Variants
from euthymia.design.find import find
from euthymia.drug.interactions import exposure_ratio, factors
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.protocol import load, schedule

NO_NOISE, NO_EFFECT = {"depression.rating_noise": 0.0}, {"depression.gain": 0.0}


def test_it_reaches_the_threads_of_a_course_with_and_without_rules():
    people = draw(load("ketamine-iv-trd").population, 30, 1)
    with evidence.assume(NO_NOISE | NO_EFFECT):
        ruled = eu.follow_rules("ketamine-iv-trd", people, 2)
    for course in (ruled, ruled.planned):
        assert course.values["labile"].max() > 0 and (course.values["drug effect"] == 0).all()
        np.testing.assert_array_equal(course.values["MADRS rated"], np.round(course.values["MADRS"]))
    assert ruled.provenance.assumed == NO_NOISE | NO_EFFECT
    assert any(w.startswith("depression.gain is assumed to be 0; the evidence has ") for w in ruled.warnings)
    with evidence.assume(NO_NOISE | {"depression.gain": 1.0}):  # by the code that was compiled for none
        again = eu.follow_rules("ketamine-iv-trd", people, 2)
    for course in (again, again.planned):
        assert course.values["drug effect"].max() > 0


@pytest.mark.parametrize("name", ["ketamine-iv-trd", "spravato-trd-84", "ketamine-oral-pr", "ketamine-oral-solution"])
def test_every_number_can_be_assumed(name):
    """None is needed as a number while code is compiled."""
    protocol = load(name)
    with evidence.assume({row.id: row.value for row in evidence.model_parameters()}):
        _, setting, timing = prepare(
            schedule(protocol, 168.0), 24.0 * np.arange(8), Variants(hydroxynorketamine="acts")
        )
    people = draw(protocol.population, 4, 1)
    brain, _ = eqx.filter_eval_shape(advance.__wrapped__, setting, timing, people)
    assert brain["occupancy"].shape == (8, 4)


def durations_h():
    calendar = schedule(load("ketamine-oral-pr"), 168.0)
    return {entry.duration_h for entry in make_plan(calendar.administrations, np.arange(0.0, 169.0, 24.0)).entries}


def test_what_was_worked_out_once_is_worked_out_anew():
    id, usual = "interaction.ticlopidine.oral", factors("ticlopidine")
    with evidence.assume({"absorption.prolonged_release_duration": 5.0, id: 4.0}):
        assert durations_h() == {5.0}
        assert exposure_ratio("oral", factors("ticlopidine")) > exposure_ratio("oral", usual)
    assert durations_h() == {evidence.value("absorption.prolonged_release_duration")}
    assert factors("ticlopidine") == usual


@pytest.mark.parametrize("what", [np.ones(3), float("nan")])
def test_what_is_no_number_cannot_be_simulated(what):
    with evidence.assume({"depression.gain": what}), pytest.raises(UserError, match=r"depression\.gain is assumed"):
        eu.simulate("ketamine-iv-single", 10, 1)


def test_a_search_draws_its_numbers_itself():
    with evidence.assume(NO_EFFECT), pytest.raises(UserError, match=r"depression\.gain: a search draws"):
        find("ketamine-iv-maintenance", ["dose=0.25, 0.5 mg/kg"])
