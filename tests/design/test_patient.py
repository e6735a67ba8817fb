"""People like one patient."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from euthymia.design.patient import beyond_population, known, people_like
from euthymia.errors import UserError
from euthymia.patient import draw

SAID = "weight 82 kg, age 71, failed trials 4, MADRS 34, woman"


def test_what_is_known_is_read_with_and_without_its_unit():
    same = "woman, MADRS 34 points, failed trials 4 trials, age 71 years, weight 82 kg"
    assert known(SAID) == known(same)
    assert known(SAID) == {"weight_kg": 82, "age_y": 71, "failed_trials": 4, "baseline_madrs": 34, "female": 1}


def test_people_share_what_is_known_and_differ_in_what_is_not():
    people, others = people_like(known("weight 82 kg, age 50"), "TRD", 300, 3), draw("TRD", 300, 3)
    assert set(np.asarray(people.weight_kg)) == {82.0} and set(np.asarray(people.age_y)) == {50.0}
    for unknown in ("baseline_madrs", "failed_trials", "female", "benzodiazepine"):
        np.testing.assert_array_equal(getattr(people, unknown), getattr(others, unknown))
    np.testing.assert_array_equal(people.z["depression.gain"], others.z["depression.gain"])
    assert len(people_like(known(SAID), "TRD", 300, 3)) == 300


def test_whom_no_virtual_patient_is_like_is_said():
    assert beyond_population(known("age 50, weight 82 kg, MADRS 34"), "TRD") == ()
    (said,) = beyond_population(known("age 71"), "TRD")
    assert "71" in said and "18 to 64" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not understood"),
        ("height 180 cm", "is not understood"),
        ("weight 82", "has no unit"),
        ("weight 82 mg", "allowed: a body weight"),
        ("weight 300 kg", "must be from 30 to 250 kg"),
        ("age 12", "must be from 18 to 100 years"),
        ("failed trials 2.5", "must be a whole number"),
        ("MADRS high", "is not a number with a unit"),
        ("woman, man", "says twice"),
        ("age 40, age 50", "says twice"),
    ],
)
def test_bad_patients_are_one_sentence(text, said):
    with pytest.raises(UserError) as error:
        known(text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_who_is_not_of_the_population_is_refused():
    with pytest.raises(UserError, match="at least 2 failed trials, not 1"):
        people_like(known("failed trials 1"), "TRD", 100, 1)
    assert set(np.asarray(people_like(known("failed trials 1"), "MDD", 100, 1).failed_trials)) == {1.0}


@given(st.text(max_size=40))
@example("0\n0\x85")
def test_no_text_breaks_the_reader(text):
    try:
        assert known(text)
    except UserError as error:
        assert "\n" not in str(error)
