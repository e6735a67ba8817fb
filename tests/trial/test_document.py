"""The document of a published trial: sound ones are read, unsound ones refused with file and line."""

import pytest

from euthymia.errors import UserError
from euthymia.trial.document import catalogue, load, names
from euthymia.trial.replicas import calendar

GOOD = {
    "trial": "a-trial",
    "set": "calibration",
    "baseline": "{mean: 30, sd: 5, assumed: a test}",
    "measure": "change",
    "of": "a",
    "at": "24 h",
    "second": "b",
}
TEXT = """trial: {trial}
title: a trial
illness: depression
set: {set}
studies: [NONE]
design: {{expectancy: saline, setting: outpatient, sites: one}}
arms:
  - arm: a
    baseline: {baseline}
    given: none
  - arm: {second}
    baseline: {baseline}
    given: none
endpoints:
  - {{measure: {measure}, arm: {of}, at: {at}, evidence: x}}
"""


def written(tmp_path, **changed):
    path = tmp_path / "a-trial.yaml"
    path.write_text(TEXT.format(**GOOD | changed), encoding="utf-8")
    return path


def test_a_sound_document_is_read(tmp_path):
    assert [arm.arm for arm in load(written(tmp_path)).arms] == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("trial", "A trial", "line 1"),
        ("set", "context", "line 4"),
        ("baseline", "{mean: 30, sd: 5}", "assumed"),
        ("measure", "mood", "measure"),
        ("measure", "difference", "two arms"),
        ("of", "c", "the arms are: a, b"),
        ("second", "a", "twice: a"),
        ("at", "24", "unit"),
        ("at", "24 mg", "time"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, key, value, said):
    with pytest.raises(UserError, match=r"a-trial\.yaml, line \d+") as refused:
        load(written(tmp_path, **{key: value}))
    assert said in str(refused.value)


def test_a_missing_document_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def test_an_unknown_trial_brings_the_nearest_names():
    with pytest.raises(UserError, match="murrough-2013"):
        load("murough-2013")


def test_names_are_those_of_a_set():
    assert set(names("calibration")) | set(names("validation")) == set(names())
    assert not set(names("calibration")) & set(names("validation"))
    assert names() == tuple(t.trial for t in catalogue())


def sessions(trial, arm, horizon_h):
    document = load(trial)
    return calendar(document, document.arm(arm), horizon_h)


def test_both_arms_of_a_randomised_withdrawal_are_alike_until_it():
    stop, go_on = (sessions("sustain-1", name, 54 * 168.0).administrations for name in ("stop", "go on"))
    before = [a for a in go_on if a.time_h < 16 * 168]
    assert list(stop) == before
    assert len(go_on) > len(before)


def test_placebo_arms_meet_as_often_as_those_on_drug():
    for trial, placebo, drug in (("transform-1", "placebo", "84 mg"), ("singh-2016", "saline 3x", "ketamine 3x")):
        times = [[a.time_h for a in sessions(trial, name, 336.0).administrations] for name in (placebo, drug)]
        assert times[0] == times[1]


def test_an_arm_keeps_the_design_of_its_trial_not_of_the_protocol():
    assert sessions("murrough-2013", "ketamine", 24.0).design.expectancy == "midazolam"
