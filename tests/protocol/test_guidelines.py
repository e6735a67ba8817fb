"""What the documents of guidelines decide in a patient's course, against the guideline in words."""

from dataclasses import replace

import numpy as np
import pytest
from charts import ILL, LATER, sound

from euthymia.protocol import load, schedule
from euthymia.protocol.chart import Place
from euthymia.protocol.decide import ACTIONS, FIRED, GIVE, HOLD, STOP, decide

DAY_H, WEEK_H = 24.0, 168.0
FIRST = Place()
AFTER_WEEK_8 = replace(LATER, phase=2, number=1, given=12, time_h=8 * WEEK_H, since_h=WEEK_H, before_h=7 * WEEK_H)


@pytest.mark.parametrize("name", ["spravato-trd-84", "spravato-trd-56"])
def test_esketamine_from_week_9_is_weekly_or_every_two_weeks_by_response(name: str):
    protocol = load(name)
    for improvement, days in ((60.0, 14), (40.0, 7)):
        found = decide(protocol, sound(AFTER_WEEK_8, **{"MADRS": 15.0, "MADRS improvement": improvement}))
        assert (ACTIONS[int(found.action)], found.next_h / DAY_H) == ("give", days)
    weekly = replace(AFTER_WEEK_8, phase=1, number=3, given=10)
    assert decide(protocol, sound(weekly, **{"MADRS": 15.0, "MADRS improvement": 40.0})).next_h == WEEK_H
    assert decide(protocol, sound(weekly, **ILL)).next_h == 3 * DAY_H  # relapse: the earlier, more frequent schedule


@pytest.mark.parametrize(
    ("measure", "too_short_h", "enough_h"),
    [
        ("time since food", 1.9, 2.0),
        ("time since drink", 0.4, 0.5),
        ("time since nasal steroid or decongestant", 0.9, 1.0),
    ],
)
def test_esketamine_waits_for_food_drink_and_nasal_sprays(measure: str, too_short_h: float, enough_h: float):
    protocol = load("spravato-trd-84")
    assert decide(protocol, sound(FIRST, **{measure: too_short_h})).action == HOLD
    assert decide(protocol, sound(FIRST, **{measure: enough_h})).action == GIVE


def test_a_long_gap_is_weighed_and_the_first_session_is_no_gap():
    protocol = load("spravato-trd-84")
    assert decide(protocol, sound(FIRST)).action == GIVE
    late = sound(replace(LATER, since_h=29 * DAY_H))
    assert decide(protocol, late).action == HOLD
    assert decide(protocol, replace(late, signed={"R2-MISS-1-GAP": 1.0})).action == GIVE


def test_esketamine_at_its_label_starts_at_56_mg_and_falls_back_when_badly_tolerated():
    protocol = load("spravato-trd-84")
    assert decide(protocol, sound(FIRST)).dose_mg == 56.0
    assert decide(protocol, sound(LATER)).dose_mg == 84.0
    assert decide(protocol, sound(LATER, **{"highest CADSS of last session": 45.0})).dose_mg == 56.0


def test_only_who_responds_to_the_injections_goes_on_by_mouth_and_the_course_ends():
    protocol = load("ketamine-nz-test-then-oral")
    tested = Place(phase=1, number=1, given=2, time_h=WEEK_H, since_h=96.0, before_h=72.0, ended=0)
    assert decide(protocol, sound(tested, **ILL)).action == STOP
    by_mouth = decide(protocol, sound(tested))
    assert (ACTIONS[int(by_mouth.action)], float(by_mouth.dose)) == ("give", 0.5)
    given = schedule(protocol, 52 * WEEK_H).administrations
    assert [a.route for a in given[:3]] == ["intramuscular", "intramuscular", "oral solution"]
    assert WEEK_H * 13 <= given[-1].time_h < WEEK_H * 14


def test_after_a_relapse_six_infusions_begin_again_once():
    protocol = load("ketamine-iv-apa")
    place = replace(LATER, phase=2, number=2, given=11, time_h=9 * WEEK_H)
    again = decide(protocol, sound(place, **ILL))
    assert (int(again.phase), int(again.place.again), again.next_h) == (0, 1, 3 * DAY_H)
    assert int(decide(protocol, sound(replace(place, again=1), **ILL)).phase) == 2


def test_pressure_before_an_infusion_climbs_a_ladder():
    protocol = load("ketamine-iv-apa")
    for systolic, rule, action in (
        (135.0, "INT-3-ALERT-SBP", GIVE),
        (150.0, "INT-2-SBP", HOLD),
        (170.0, "INT-3-HOLD-SBP", HOLD),
    ):
        chart = sound(LATER, SBP=systolic)
        found = decide(protocol, chart)
        assert (int(found.action), int(found.said[rule])) == (action, FIRED)
        weighed = decide(protocol, replace(chart, signed={"INT-2-SBP": 1.0}))
        assert weighed.action == (GIVE if systolic < 160 else HOLD)


@pytest.mark.parametrize("sign", ["drug liking", "early returns", "lost doses", "cumulative ketamine"])
def test_a_sign_of_misuse_waits_for_a_clinician(sign: str):
    assert decide(load("ketamine-iv-apa"), sound(LATER, **{sign: 1e4})).action == HOLD


def test_the_va_asks_for_four_failed_trials_and_severe_symptoms():
    protocol = load("ketamine-iv-va")
    for trials, points, action in ((4, 15, GIVE), (3, 15, STOP), (4, 14, STOP)):
        chart = sound(FIRST, **{"failed antidepressant trials": float(trials), "PHQ-9": float(points)})
        assert decide(protocol, chart).action == action


def test_a_climb_under_the_skin_ends_at_remission():
    protocol = load("ketamine-sc-titrated")
    assert decide(protocol, sound(LATER)).action == STOP
    climbing = decide(protocol, sound(LATER, **{"MADRS": 20.0, "MADRS improvement": 30.0}))
    assert (ACTIONS[int(climbing.action)], float(climbing.dose)) == ("give", 0.2)


@pytest.mark.parametrize(("points", "action"), [(11.0, GIVE), (12.0, HOLD), (21.0, STOP)])
def test_mania_holds_and_then_ends_a_course_in_bipolar_depression(points: float, action: int):
    assert decide(load("ketamine-iv-bipolar"), sound(LATER, YMRS=points)).action == action


def test_without_a_stabiliser_nothing_is_given_in_bipolar_depression():
    chart = sound(LATER)
    without = replace(chart, checks_h={**chart.checks_h, "mood stabiliser taken": np.inf})
    assert decide(load("ketamine-iv-bipolar"), without).action == HOLD
