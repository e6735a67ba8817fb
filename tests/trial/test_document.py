"""The document of the calibration arms."""

import pytest

from euthymia.errors import UserError
from euthymia.trial.arms import calendar
from euthymia.trial.document import load

HEAD = """set: {set}
deviations: {{kind: calibrated, source: none}}
other sd: 0.3
other sd source: {{kind: assumed, source: none}}
trials:
  - trial: one
    design: {{expectancy: saline, setting: outpatient, sites: one}}
    arms:
      - arm: a
        baseline: {baseline}
        given: none
    endpoints:
      - {{measure: {measure}, arm: {arm}, at: {at}, evidence: x}}
"""
GOOD = {
    "set": "calibration",
    "baseline": "{mean: 30, sd: 5, assumed: a test}",
    "measure": "change",
    "arm": "a",
    "at": "24 h",
}


def written(tmp_path, **changed):
    path = tmp_path / "arms.yaml"
    path.write_text(HEAD.format(**GOOD | changed), encoding="utf-8")
    return path


def test_a_sound_document_is_read(tmp_path):
    assert [arm.arm for _, arm in load(written(tmp_path)).arms()] == ["a"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("set", "validation", "line 1"),
        ("baseline", "{mean: 30, sd: 5}", "assumed"),
        ("measure", "mood", "measure"),
        ("arm", "b", "known: b"),
        ("at", "24", "unit"),
        ("at", "24 mg", "time"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path, key, value, said):
    with pytest.raises(UserError, match=r"arms\.yaml, line \d+") as refused:
        load(written(tmp_path, **{key: value}))
    assert said in str(refused.value)


def test_a_missing_document_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "none.yaml")


def sessions(name, horizon_h):
    trial, arm = next((t, a) for t, a in load().arms() if a.arm == name)
    return calendar(trial, arm, horizon_h)


def test_both_arms_of_a_randomised_withdrawal_are_alike_until_it():
    stop, go_on = (sessions(f"SUSTAIN-1 {name}", 54 * 168.0).administrations for name in ("stop", "go on"))
    before = [a for a in go_on if a.time_h < 16 * 168]
    assert list(stop) == before
    assert len(go_on) > len(before)


def test_placebo_arms_meet_as_often_as_those_on_drug():
    for placebo, drug in (("TRANSFORM-1 placebo", "TRANSFORM-1 84 mg"), ("Singh saline 3x", "Singh ketamine 3x")):
        times = [[a.time_h for a in sessions(name, 336.0).administrations] for name in (placebo, drug)]
        assert times[0] == times[1]


def test_an_arm_keeps_the_design_of_its_trial_not_of_the_protocol():
    assert sessions("Murrough ketamine", 24.0).design.expectancy == "midazolam"
