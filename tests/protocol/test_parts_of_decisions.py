"""The parts of a decision, one by one: limits, phases, doses, intervals, checks and the ladder."""

from dataclasses import fields, replace

import numpy as np
import pytest
from charts import LATER, WELL, calm, sound, with_parts

from euthymia.errors import UserError
from euthymia.protocol import load
from euthymia.protocol.chart import Chart, Place, measures_used
from euthymia.protocol.decide import ACTIONS, FIRED, GIVE, HOLD, MISSING, QUIET, STOP, decide, leave
from euthymia.protocol.words import FOLLOW_UPS


@pytest.mark.parametrize(
    ("written", "inside"),
    [("above", (False, False, True)), ("at least", (False, True, True)),
     ("below", (True, False, False)), ("at most", (True, True, False))],
)  # fmt: skip
def test_a_limit_is_what_its_word_says(document, written, inside):
    rule = f"{{rule: B-1, hold when: {{SBP: {written} 140 mmHg}}, source: a source, verified: yes}}"
    protocol = with_parts(document, session=f"{{before: [{rule}]}}", status="research only", safeguards="[]")
    held = tuple(bool(decide(protocol, calm(SBP=x)).action == HOLD) for x in (139.0, 140.0, 141.0))
    assert held == inside


def test_an_adjustment_is_made_after_its_dose_and_no_other(document):
    def rule(after: str) -> str:
        return (
            f"[{{rule: A-1, {after}when: {{MADRS improvement: at most 90 %}}, dose to: 0.3 mg/kg, source: a source, "
            "verified: yes}]"
        )

    once, always = (with_parts(document, adjust=rule(after)) for after in ("after dose: 3, ", ""))
    doses = [[float(decide(p, sound(replace(LATER, given=n))).dose) for n in range(5)] for p in (once, always)]
    assert doses == [[0.5, 0.5, 0.5, 0.3, 0.5], [0.5, 0.3, 0.3, 0.3, 0.3]]


def test_a_decision_of_a_week_is_made_at_the_first_visit_from_its_end_and_at_no_other(document):
    rule = "{rule: D-5, at: week 3, stop when: remission, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{rule}]")
    due_h = 3 * 168.0
    for before_h, time_h, action in (
        (due_h - 48, due_h - 24, GIVE),
        (due_h - 24, due_h, STOP),
        (due_h - 24, due_h + 72, STOP),
        (due_h, due_h + 24, GIVE),
        (due_h + 24, due_h + 48, GIVE),
    ):
        found = decide(protocol, sound(replace(LATER, before_h=before_h, time_h=time_h)))
        assert int(found.action) == action, (before_h, time_h)
    late = Place(phase=1, number=1, given=8, time_h=due_h + 24, since_h=168.0)  # nobody was ever seen before
    assert decide(protocol, sound(late)).action == STOP


def test_the_end_of_a_phase_is_asked_about_once(document):
    rule = "{rule: D-6, at: end of induction, continue when: response, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{rule}]")
    ill = {"MADRS improvement": 10.0}
    place = replace(LATER, phase=1, number=1, ended=0)
    assert decide(protocol, sound(place, **ill)).action == STOP
    assert decide(protocol, sound(replace(place, ended=-1), **ill)).action == GIVE
    assert decide(protocol, sound(place)).place.ended == -1


def test_sessions_keep_their_least_interval(document):
    least = (
        "{rule: S-2, safeguard: minimum interval between sessions, at least: 2 days, source: a source, verified: yes}"
    )
    protocol = with_parts(document, safeguards=f"[{least}]", status="research only")
    for since_h, action in ((47.0, HOLD), (47.9, HOLD), (48.0, GIVE), (49.0, GIVE), (np.inf, GIVE), (np.nan, HOLD)):
        assert int(decide(protocol, sound(replace(LATER, since_h=since_h))).action) == action


def test_what_follows_a_single_session_waits_for_its_week_and_a_day_after_one_that_was_late(document):
    phases = "[{name: test, doses: 1}, {name: induction, starts: week 2, every: 4 days, doses: 4}]"
    protocol = with_parts(document, phases=phases)
    for day, wait_d in ((0, 7), (5, 2), (6, 1), (7, 1), (20, 1)):
        found = decide(protocol, sound(Place(time_h=24.0 * day, before_h=24.0 * (day - 1))))
        assert found.action == GIVE and float(found.next_h) == 24 * wait_d, day
        assert (int(found.place.phase), int(found.place.number)) == (1, 1)


def test_what_is_numbered_before_the_first_session_is_due_the_first_dose(document):
    phases = "[{name: induction, every: 4 days, doses: 3, dose by session: [0.2 mg/kg, 0.4 mg/kg, 0.5 mg/kg]}]"
    protocol = with_parts(document, phases=phases)
    assert [float(decide(protocol, sound(replace(LATER, number=n))).dose) for n in (0, 1, 3, 4)] == [0.2, 0.2, 0.5, 0.5]


def test_a_held_patient_keeps_the_place_and_the_clock_goes_on(document):
    hold = "{rule: B-1, hold when: {SBP: above 100 mmHg}, source: a source, verified: yes}"
    protocol = with_parts(document, session=f"{{before: [{hold}]}}", status="research only", safeguards="[]")
    place = replace(LATER, dose=0.7, ended=0, again=1)
    after = decide(protocol, sound(place)).place
    expected = replace(place, time_h=place.time_h + 24, since_h=place.since_h + 24, before_h=place.time_h, held=1)
    assert {f.name: float(getattr(after, f.name)) for f in fields(Place)} == {
        f.name: float(getattr(expected, f.name)) for f in fields(Place)
    }


def test_a_relapse_is_a_response_lost_at_two_visits(document):
    rule = "{rule: D-7, at: every session, stop when: relapse, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{rule}]")
    for responded, before, now, action in (
        (1, 22, 22, STOP),
        (1, 21, 22, GIVE),
        (1, 22, 21, GIVE),
        (0, 40, 40, GIVE),
        (1, np.nan, 22, HOLD),
        (np.nan, 22, 22, HOLD),
    ):
        chart = replace(calm(MADRS=now), before={"MADRS": before}, responded=responded)
        assert int(decide(protocol, chart).action) == action, (responded, before, now)


def test_remission_and_response_are_as_trials_define_them(document):
    for state, measures in (("remission", ("MADRS", 12.0, 13.0)), ("response", ("MADRS improvement", 50.0, 49.0))):
        rule = f"{{rule: D-8, at: every session, stop when: {state}, source: a source, verified: yes}}"
        protocol = with_parts(document, decide=f"[{rule}]")
        name, there, not_there = measures
        found = [int(decide(protocol, calm(**{name: x})).action) for x in (there, not_there)]
        assert found == [STOP, GIVE]


@pytest.mark.parametrize(
    ("indication", "scale", "there", "not_there"),
    [
        ("post-traumatic stress disorder", "CAPS-5 improvement", 30.0, 29.5),
        ("bipolar depression", "MADRS improvement", 50.0, 49.5),
        ("treatment-resistant depression", "MADRS improvement", 50.0, 49.5),
    ],
)
def test_a_response_is_read_from_the_scale_of_the_illness(document, indication, scale, there, not_there):
    rule = "{rule: D-8, at: every session, stop when: response, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{rule}]").model_copy(update={"indication": indication})
    both = {"CAPS-5 improvement": 0.0, "MADRS improvement": 0.0}
    for x, action in ((there, STOP), (not_there, GIVE)):
        assert decide(protocol, sound(LATER, **both | {scale: x})).action == action
    assert scale in measures_used(protocol)


def test_no_response_is_known_and_not_there(document):
    rule = "{rule: D-9, at: every session, stop when: no response, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{rule}]")
    found = [int(decide(protocol, calm(**{"MADRS improvement": x})).action) for x in (60.0, 49.0, np.nan)]
    assert found == [GIVE, STOP, HOLD]


@pytest.mark.parametrize("mark", [0.0, np.nan, -1.0])
def test_only_a_signature_puts_a_rule_aside(document, mark):
    weigh = "{rule: B-1, weigh when: {SBP: above 100 mmHg}, source: a source, verified: yes}"
    exclude = "{rule: X-1, condition: psychosis, kind: relative, source: a source, verified: yes}"
    protocol = with_parts(
        document,
        session=f"{{before: [{weigh}]}}",
        eligibility=f"{{exclude: [{exclude}]}}",
        status="research only",
        safeguards="[]",
    )
    ill = replace(calm(), conditions={**calm().conditions, "psychosis": 1.0})
    for chart, rule in ((calm(), "B-1"), (replace(ill, measures={**WELL, "SBP": 90.0}), "X-1")):
        assert decide(protocol, replace(chart, signed={rule: mark})).action == HOLD
        assert decide(protocol, replace(chart, signed={rule: 1.0})).action == GIVE


def test_a_rule_widens_and_with_one_that_steps_back_nothing_moves(document):
    def rule(id: str, what: str) -> str:
        return f"{{rule: {id}, at: every session, {what} when: remission, source: a source, verified: yes}}"

    phases = (
        "[{name: a, doses: 4, every: 3 days, widen to: 5 days, while: relapse}, "
        "{name: b, every: 1 week, widen to: 2 weeks, while: no response}]"
    )
    place = replace(LATER, phase=1, number=3, given=7)
    for rules, days in (
        ([rule("W-1", "widen")], 14),
        ([rule("W-2", "step back")], 3),
        ([rule("W-1", "widen"), rule("W-2", "step back")], 7),
        ([], 7),
    ):
        protocol = with_parts(document, phases=phases, decide=f"[{', '.join(rules)}]")
        assert decide(protocol, sound(place)).next_h == 24 * days
    # a phase goes by its own condition: no response is that of the other
    quiet = with_parts(document, phases=phases, decide="[]")
    poor = sound(replace(place, phase=0), **{"MADRS improvement": 10.0, "MADRS": 15.0})
    assert decide(quiet, poor).next_h == 72
    assert decide(quiet, sound(place, **{"MADRS improvement": 10.0, "MADRS": 15.0})).next_h == 336


def test_the_limits_of_a_weight_are_weights(document):
    protocol = with_parts(document)
    for weight, action in ((29.9, HOLD), (30.0, GIVE), (250.0, GIVE), (250.1, HOLD)):
        assert int(decide(protocol, calm(weight=weight)).action) == action


def test_a_hold_that_jumps_over_the_end_of_a_phase_leaves_it(document):
    hold = "{rule: B-1, hold when: {SBP: above 100 mmHg}, for: 10 days, source: a source, verified: yes}"
    phases = "[{name: a, until: week 2, every: 1 week}, {name: b, until: week 9, every: 1 week}]"
    protocol = with_parts(
        document, phases=phases, session=f"{{before: [{hold}]}}", status="research only", safeguards="[]"
    )
    found = decide(protocol, sound(replace(LATER, time_h=168.0)))
    assert (int(found.place.phase), float(found.next_h), int(found.place.ended)) == (1, 240.0, 0)


def test_beginning_again_leaves_the_end_of_a_phase_behind(document):
    rules = (
        "{rule: D-4, at: every session, begin again when: relapse, phase: induction, at most: 1, source: a source, "
        "verified: yes}",
        "{rule: D-6, at: end of induction, continue when: response, source: a source, verified: yes}",
    )
    protocol = with_parts(document, decide=f"[{', '.join(rules)}]")
    ill = {"MADRS": 30.0, "MADRS improvement": 10.0}
    at_the_end = replace(LATER, phase=1, number=1, ended=0)
    assert (
        int(decide(protocol, sound(at_the_end, **ill)).phase),
        int(decide(protocol, sound(at_the_end, **ill)).action),
    ) == (0, GIVE)


def test_nothing_has_ended_before_the_first_session(document):
    rules = ", ".join(
        f"{{rule: D-{k}, at: end of {name}, stop when: remission, source: a source, verified: yes}}"
        for k, name in ((10, "induction"), (11, "maintenance"))
    )
    phases = "[{name: induction, doses: 8, every: 3 days}, {name: maintenance, doses: 9, every: 1 week}]"
    protocol = with_parts(document, phases=phases, decide=f"[{rules}]")
    assert decide(protocol, sound(Place())).action == GIVE


def test_the_measures_of_a_protocol_are_those_its_rules_look_at(document):
    protocol = with_parts(
        document,
        eligibility="{require: [{rule: E-1, measure: age, at least: 18 years, source: a source, verified: yes}]}",
        phases="[{name: a, every: 1 week, widen to: 2 weeks, while: {HR: below 100 beats/min}}]",
        decide="[{rule: D-9, at: every session, stop when: no response, source: a source, verified: yes}]",
        adjust="[{rule: A-1, when: {drug liking: at least 80 points}, dose to: 0.3 mg/kg, source: a source, "
        "verified: no}]",
    )
    assert measures_used(protocol) == {"age", "HR", "MADRS improvement", "drug liking"}


def test_a_check_stands_as_long_as_it_says(document):
    rule = "{rule: C-1, check: consent, valid for: 30 days, source: a source, verified: yes}"
    protocol = with_parts(document, session=f"{{before: [{rule}]}}", status="research only")
    for age_h, action in ((0, GIVE), (720, GIVE), (721, HOLD), (np.inf, HOLD), (np.nan, HOLD), (-1, HOLD)):
        chart = replace(calm(), checks_h={**calm().checks_h, "consent": age_h})
        assert decide(protocol, chart).action == action


def test_a_check_without_a_time_of_its_own_stands_for_a_day(document):
    protocol = with_parts(
        document,
        session="{before: [{rule: C-1, check: fasting, source: a source, verified: yes}]}",
        status="research only",
    )
    for age_h, action in ((23.9, GIVE), (24.0, GIVE), (24.1, HOLD)):
        chart = replace(calm(), checks_h={**calm().checks_h, "fasting": age_h})
        assert decide(protocol, chart).action == action


def test_what_is_asked_at_every_session_is_not_asked_before_the_first(document):
    rule = "{rule: D-9, at: every session, stop when: no response, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{rule}]")
    ill = {"MADRS": 35.0, "MADRS improvement": 0.0}
    assert [int(decide(protocol, sound(place, **ill)).action) for place in (Place(), LATER)] == [GIVE, STOP]


def test_a_step_back_to_a_single_dose_keeps_the_interval(document):
    """The phase before has no rhythm to go back to."""
    back = "{rule: D-3, at: every session, step back when: relapse, source: a source, verified: yes}"
    phases = "[{name: a, doses: 1}, {name: b, starts: week 2, every: 1 week}]"
    protocol = with_parts(document, phases=phases, decide=f"[{back}]")
    place = replace(LATER, phase=1, number=3, given=3, time_h=21 * 24.0)
    assert decide(protocol, sound(place, MADRS=30.0)).next_h == 168.0


def test_nobody_begins_again_with_a_phase_that_is_still_to_come(document):
    again = (
        "{rule: D-4, at: every session, begin again when: relapse, phase: maintenance, at most: 3, source: a source, "
        "verified: yes}"
    )
    protocol = with_parts(document, decide=f"[{again}]")
    found = decide(protocol, sound(replace(LATER, number=4, given=3), MADRS=30.0))
    assert (int(found.phase), int(found.place.phase), int(found.place.again)) == (0, 0, 0)


def test_many_leave_as_each_of_them_alone(document):
    protocol = with_parts(document)
    ages_h = np.array([0.5, 0.5, 3.0, np.nan, np.inf])
    since_h = np.array([2.0, 1.9, 2.0, 2.0, 2.0])
    together = leave(protocol, replace(sound(), checks_h={"clinically stable": ages_h}), since_h)
    assert together.may.tolist() == [True, False, False, False, False]
    for age_h, since, may in zip(ages_h, since_h, together.may, strict=True):
        alone = leave(protocol, replace(sound(), checks_h={"clinically stable": age_h}), since)
        assert bool(alone.may) == may


def test_of_two_adjustments_the_lower_dose_counts(document):
    low, high = (
        f"{{rule: {rule}, after dose: 1, when: {{MADRS improvement: at most 90 %}}, dose to: {dose} mg/kg, "
        "source: a source, verified: yes}"
        for rule, dose in (("A-1", 0.3), ("A-2", 0.7))
    )
    for order in (f"[{low}, {high}]", f"[{high}, {low}]"):
        assert decide(with_parts(document, adjust=order), calm()).dose == 0.3


def test_an_adjusted_dose_stays_until_it_is_adjusted_again(document):
    rule = (
        "{rule: A-1, after dose: 1, when: {MADRS improvement: below 90 %}, dose to: 0.7 mg/kg, source: a source, "
        "verified: yes}"
    )
    protocol = with_parts(document, adjust=f"[{rule}]")
    first = decide(protocol, calm())
    later = decide(protocol, sound(first.place, **{"MADRS improvement": 95.0}))
    assert (first.dose, later.dose) == (0.7, 0.7)


def test_a_dose_by_weight_needs_a_weight_that_can_be(document):
    protocol = with_parts(document)
    assert decide(protocol, calm()).dose_mg == pytest.approx(0.5 * 70)
    for weight in (np.nan, 7.0, 700.0):
        found = decide(protocol, calm(weight=weight))
        assert (int(found.action), int(found.said["weight"])) == (HOLD, MISSING)


def test_the_cap_is_kept(document):
    drug = "{compound: racemic ketamine, route: intravenous, dose: 0.5 mg/kg, over: 40 min, never above: 40 mg}"
    assert decide(with_parts(document, drug=drug), calm(weight=120.0)).dose_mg == 40.0


def test_a_relative_exclusion_can_be_put_aside_on_record_and_an_absolute_one_cannot(document):
    for kind, action in (("relative", GIVE), ("absolute", STOP)):
        rule = f"{{rule: X-1, condition: psychosis, kind: {kind}, source: a source, verified: yes}}"
        protocol = with_parts(document, eligibility=f"{{exclude: [{rule}]}}")
        ill = replace(calm(), conditions={**calm().conditions, "psychosis": 1.0})
        assert decide(protocol, ill).action != GIVE
        assert decide(protocol, replace(ill, signed={"X-1": 1.0})).action == action


def test_the_stricter_of_two_rules_wins(document):
    hold = "{rule: B-1, hold when: {SBP: above 100 mmHg}, source: a source, verified: yes}"
    stop = "{rule: D-2, at: every session, stop when: remission, source: a source, verified: yes}"
    protocol = with_parts(
        document, session=f"{{before: [{hold}]}}", decide=f"[{stop}]", status="research only", safeguards="[]"
    )
    assert ACTIONS[int(decide(protocol, calm()).action)] == "stop"
    assert ACTIONS[int(decide(protocol, calm(MADRS=30.0)).action)] == "hold"


def test_a_hold_comes_back_when_the_protocol_says_and_for_the_same_session(document):
    hold = "{rule: B-1, hold when: {SBP: above 100 mmHg}, source: a source, verified: yes}"
    protocol = with_parts(
        document, session=f"{{retry: 3 days, before: [{hold}]}}", status="research only", safeguards="[]"
    )
    found = decide(protocol, calm())
    assert (found.next_h, found.place.number, found.place.given) == (72.0, LATER.number, LATER.given)


def test_a_session_held_beyond_the_end_of_its_phase_belongs_to_the_next_or_to_none(document):
    hold = "{rule: B-1, hold when: {SBP: above 100 mmHg}, source: a source, verified: yes}"
    phases = "[{name: a, until: week 2, every: 1 week}, {name: b, until: week 3, every: 1 week}]"
    protocol = with_parts(
        document, phases=phases, session=f"{{before: [{hold}]}}", status="research only", safeguards="[]"
    )
    last_day_h = 2 * 168.0 - 24
    of_a = decide(protocol, sound(replace(LATER, time_h=last_day_h)))
    assert (int(of_a.place.phase), int(of_a.place.number), float(of_a.next_h)) == (1, 1, 24.0)
    of_b = decide(protocol, sound(replace(LATER, phase=1, time_h=last_day_h + 168)))
    assert (ACTIONS[int(of_b.action)], float(of_b.next_h)) == ("hold", np.inf)


def test_the_ladder_notes_weighs_holds_and_stops(document):
    rungs = ", ".join(
        f"{{rule: {rule}, {what} when: {{SBP: above {limit} mmHg}}{more}, source: a source, verified: yes}}"
        for rule, what, limit, more in (
            ("L-1", "alert", 130, ""),
            ("L-2", "weigh", 140, ""),
            ("L-3", "hold", 160, ", for: 1 week"),
            ("L-4", "stop", 200, ""),
        )
    )
    protocol = with_parts(document, session=f"{{before: [{rungs}]}}", status="research only", safeguards="[]")
    weighed = {"L-2": 1.0}
    for systolic, signed, action, wait_h in (
        (120, {}, GIVE, None),
        (135, {}, GIVE, None),
        (150, {}, HOLD, 24.0),
        (150, weighed, GIVE, None),
        (170, weighed, HOLD, 168.0),
        (210, weighed, STOP, np.inf),
    ):
        found = decide(protocol, replace(calm(SBP=systolic), signed=signed))
        assert int(found.action) == action
        assert wait_h is None or found.next_h == wait_h
    assert decide(protocol, calm(SBP=135)).said["L-1"] == FIRED
    # what was weighed still shows
    assert decide(protocol, replace(calm(SBP=150), signed=weighed)).said["L-2"] == FIRED


def test_a_relapse_begins_the_induction_again_as_often_as_it_may(document):
    again = (
        "{rule: D-4, at: every session, begin again when: relapse, phase: induction, at most: 1, source: a source, "
        "verified: yes}"
    )
    protocol = with_parts(document, decide=f"[{again}]")
    ill = {"MADRS": 30.0, "MADRS improvement": 10.0}
    place = replace(LATER, phase=1, number=5, given=12, dose=0.7)
    back = decide(protocol, sound(place, **ill))
    assert (int(back.action), int(back.phase), float(back.dose)) == (GIVE, 0, 0.5)
    assert (int(back.place.phase), int(back.place.number), int(back.place.again)) == (0, 2, 1)
    spent = decide(protocol, sound(replace(place, again=1), **ill))
    assert (int(spent.phase), float(spent.dose)) == (1, 0.7)


def test_a_phase_that_has_begun_again_goes_on_though_the_relapse_lasts(document):
    again = (
        "{rule: D-4, at: every session, begin again when: relapse, phase: induction, at most: 3, source: a source, "
        "verified: yes}"
    )
    hold = "{rule: B-1, hold when: {SBP: above 140 mmHg}, source: a source, verified: yes}"
    protocol = with_parts(
        document, decide=f"[{again}]", session=f"{{before: [{hold}]}}", status="research only", safeguards="[]"
    )
    ill = {"MADRS": 30.0, "MADRS improvement": 10.0}
    place, numbers = replace(LATER, phase=1, number=5, given=12), []
    for systolic in (120, 150, 150, 120, 120):  # held twice on the way
        found = decide(protocol, sound(place, SBP=systolic, **ill))
        place = found.place
        numbers.append((int(place.phase), int(place.number), int(place.again)))
    assert numbers == [(0, 2, 1), (0, 2, 1), (0, 2, 1), (0, 3, 1), (0, 4, 1)]


def test_what_follows_from_the_course_needs_nobody_to_enter_it(document):
    gap = "{rule: B-1, stop when: {time since last session: above 28 days}, source: a source, verified: yes}"
    protocol = with_parts(document, session=f"{{before: [{gap}]}}", status="research only", safeguards="[]")
    for days, action in ((20, GIVE), (30, STOP)):
        assert decide(protocol, sound(replace(LATER, since_h=24.0 * days))).action == action


def test_a_course_ends_at_its_limit(document):
    limit = "{rule: S-2, safeguard: course length limit, at most: 5, source: a source, verified: yes}"
    protocol = with_parts(document, safeguards=f"[{limit}]", status="research only")
    assert decide(protocol, sound(replace(LATER, given=4))).action == GIVE
    assert decide(protocol, sound(replace(LATER, given=5))).action == STOP
    assert decide(protocol, sound(replace(LATER, given=6))).action == STOP


def test_a_follow_up_falls_due_without_holding_the_dose(document):
    due = "{rule: S-2, safeguard: bladder follow-up, every: 13 weeks, source: a source, verified: yes}"
    protocol = with_parts(document, safeguards=f"[{due}]", status="research only")
    for weeks, said in ((12, QUIET), (14, FIRED)):
        chart = replace(calm(), checks_h={**calm().checks_h, "bladder follow-up": 168.0 * weeks})
        found = decide(protocol, chart)
        assert (int(found.said["S-2"]), int(found.action)) == (said, GIVE)


def test_intervals_widen_while_they_may_and_step_back_when_they_must(document):
    back = "{rule: D-3, at: every session, step back when: relapse, source: a source, verified: yes}"
    phases = "[{name: a, doses: 4, every: 3 days}, {name: b, every: 1 week, widen to: 2 weeks, while: remission}]"
    protocol = with_parts(document, phases=phases, decide=f"[{back}]")
    place = replace(LATER, phase=1, number=3, given=7)
    remission, between, relapse = ({"MADRS": x} for x in (10.0, 15.0, 30.0))
    found = [decide(protocol, sound(place, **m)).next_h / 24 for m in (remission, between, relapse)]
    assert found == [14, 7, 3]


def test_a_protocol_without_sessions_has_nothing_to_decide():
    with pytest.raises(ValueError, match="no session to decide on"):
        decide(load("escitalopram"), Chart())


def test_a_session_that_is_held_time_and_again_ends_the_course(document):
    hold = "{rule: B-1, hold when: {SBP: above 140 mmHg}, source: a source, verified: yes}"
    ends = "{rule: B-2, stop when: {sessions held in a row: at least 3 sessions}, source: a source, verified: yes}"
    protocol = with_parts(document, session=f"{{before: [{hold}, {ends}]}}", status="research only", safeguards="[]")
    place, actions = LATER, []
    for systolic in (150, 150, 120, 150, 150, 150, 150):
        found = decide(protocol, sound(place, SBP=systolic))
        place = found.place
        actions.append(int(found.action))
    assert actions == [HOLD, HOLD, GIVE, HOLD, HOLD, HOLD, STOP]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("safeguard: course length limit", "needs `at most`"),
        ("safeguard: minimum interval between sessions", "needs `at least`"),
        ("safeguard: pulse oximetry, every: 1 week", "`every` belongs to"),
        ("safeguard: bladder follow-up, every: 0 h", "must be longer than zero"),
        ("safeguard: bladder follow-up, at most: 3", "`at most` belongs to course length limit"),
    ],
)
def test_a_safeguard_has_its_own_limit_and_no_other(document, written, said):
    with pytest.raises(UserError) as error:
        with_parts(document, safeguards=f"[{{rule: S-1, {written}, source: a source, verified: yes}}]")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("check: consent, for: 1 week", "`for` belongs to `hold when`"),
        ("hold when: {SBP: above 1 mmHg}, valid for: 1 h", "`valid for` belongs to a `check`"),
        ("hold when: {SBP: above 1 mmHg}, for: 0 h", "longer than zero"),
        ("alert when: remission, stop when: relapse", "exactly one of"),
    ],
)
def test_a_rule_before_a_session_has_its_own_keys_and_no_other(document, written, said):
    rule = f"{{rule: X-1, {written}, source: a source, verified: yes}}"
    with pytest.raises(UserError, match=said):
        with_parts(document, session=f"{{before: [{rule}]}}")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("begin again when: relapse", "needs `phase` and `at most`"),
        ("stop when: relapse, phase: induction", "belong to it alone"),
        ("begin again when: relapse, phase: nowhere, at most: 1", "there is no phase `nowhere`"),
    ],
)
def test_a_decision_has_its_own_keys_and_no_other(document, written, said):
    rule = f"{{rule: X-1, at: every session, {written}, source: a source, verified: yes}}"
    with pytest.raises(UserError, match=said):
        with_parts(document, decide=f"[{rule}]")


def test_without_a_discharge_rule_nobody_leaves_by_it(document):
    protocol = with_parts(document, session="{}", status="research only")
    with pytest.raises(ValueError, match="no discharge rule"):
        leave(protocol, sound(), 5.0)


def test_two_reasons_to_widen_are_as_good_as_one_and_two_to_step_back_as_well(document):
    rule = "{{rule: D-{}, at: every session, {} when: {{MADRS: {}}}, source: a source, verified: yes}}"
    phases = "[{name: a, doses: 4, every: 3 days}, {name: b, every: 1 week, widen to: 2 weeks, while: remission}]"
    wide = [rule.format(k, "widen", f"at most {points} points") for k, points in ((2, 13), (3, 12), (4, 15))]
    back = [rule.format(k, "step back", limit) for k, limit in ((5, "above 30 points"), (6, "above 25 points"))]
    protocol = with_parts(document, phases=phases, decide=f"[{', '.join(wide + back)}]")
    place = replace(LATER, phase=1, number=3, given=7)
    for points, days in ((10.0, 14), (14.0, 14), (20.0, 7), (28.0, 3), (35.0, 3)):
        assert decide(protocol, sound(place, MADRS=points)).next_h == 24 * days


def test_the_end_of_one_phase_is_not_the_end_of_another(document):
    phases = "[{name: a, doses: 2, every: 3 days}, {name: b, doses: 2, every: 1 week}, {name: c, every: 2 weeks}]"
    rule = "{rule: D-1A, at: end of a, stop when: no response, source: a source, verified: yes}"
    protocol = with_parts(document, phases=phases, decide=f"[{rule}]")
    ill = {"MADRS": 35.0, "MADRS improvement": 0.0}
    for ended, action in ((0, STOP), (1, GIVE), (-1, GIVE)):
        place = replace(LATER, phase=ended + 1 if ended >= 0 else 1, number=1, given=4, ended=ended)
        assert decide(protocol, sound(place, **ill)).action == action


def test_a_first_phase_has_nothing_to_step_back_to(document):
    back = "{rule: D-3, at: every session, step back when: relapse, source: a source, verified: yes}"
    protocol = with_parts(document, decide=f"[{back}]")  # sessions 3 and 4 days apart, in turn
    assert decide(protocol, sound(replace(LATER, number=2), MADRS=30.0)).next_h == 4 * 24.0


def test_a_measure_late_in_the_alphabet_is_looked_at_too(document):
    holds = "{rule: B-1, hold when: {urinary symptoms: at least 1 point}, source: a source, verified: yes}"
    protocol = with_parts(document, session=f"{{before: [{holds}]}}", status="research only")
    assert "urinary symptoms" in measures_used(protocol)


def test_a_dose_that_might_have_to_be_lower_waits_and_one_that_might_be_higher_does_not(document):
    rule = "{{rule: A-{}, when: {{CADSS: {}}}, dose to: {} mg/kg, source: a source, verified: yes}}"
    less = rule.format(1, "above 30 points", 0.3)
    more = rule.format(2, "below 10 points", 0.7)
    for rules, known, unknown in ((less, (GIVE, 0.3), HOLD), (more, (GIVE, 0.5), GIVE)):
        protocol = with_parts(document, adjust=f"[{rules}]")
        found = decide(protocol, calm(CADSS=40.0))
        assert (int(found.action), float(found.dose)) == known
        found = decide(protocol, calm(CADSS=np.nan))
        assert (int(found.action), int(next(iter(found.said.values())))) == (unknown, MISSING)
    lowered = replace(LATER, dose=0.3)  # it cannot become lower than it is
    assert decide(with_parts(document, adjust=f"[{less}]"), sound(lowered, CADSS=np.nan)).action == GIVE


def test_a_phase_with_a_drug_of_its_own_is_adjusted_by_nobody_and_waits_for_nothing(document):
    less = "{rule: A-1, when: {CADSS: above 30 points}, dose to: 0.3 mg/kg, source: a source, verified: yes}"
    own = "{compound: racemic ketamine, route: intravenous, dose: 0.5 mg/kg, over: 40 min}"
    phases = f"[{{name: a, doses: 4, every: 3 days}}, {{name: b, every: 1 week, drug: {own}}}]"
    protocol = with_parts(document, phases=phases, adjust=f"[{less}]")
    for phase, action in ((0, HOLD), (1, GIVE)):
        place = replace(LATER, phase=phase, number=2)
        assert decide(protocol, sound(place, CADSS=np.nan)).action == action


def test_a_step_back_is_to_the_phase_right_before(document):
    back = "{rule: D-3, at: every session, step back when: relapse, source: a source, verified: yes}"
    gaps = {"a": "1 week", "b": "8 days", "c": "9 days", "d": "14 days"}
    phases = ", ".join(f"{{name: {name}, doses: 4, every: {gap}}}" for name, gap in gaps.items())
    protocol = with_parts(document, phases=f"[{phases}]", decide=f"[{back}]")
    place = replace(LATER, phase=3, number=2, given=13)
    assert decide(protocol, sound(place, MADRS=30.0)).next_h == 9 * 24.0


def test_nobody_is_taken_to_have_responded_before(document):
    rule = "{rule: D-7, at: every session, stop when: relapse, source: a source, verified: yes}"
    chart = sound(LATER, MADRS=30.0)
    unsaid = Chart(chart.measures, chart.before, chart.conditions, chart.checks_h, place=LATER)
    assert [int(decide(with_parts(document, decide=f"[{rule}]"), c).action) for c in (chart, unsaid)] == [STOP, GIVE]


def test_a_phase_widens_by_its_own_condition(document):
    phases = (
        "[{name: a, doses: 4, every: 3 days, widen to: 4 days, while: {MADRS: at most 30 points}}, "
        "{name: b, every: 1 week, widen to: 2 weeks, while: {MADRS: at most 12 points}}]"
    )
    protocol = with_parts(document, phases=phases)
    for phase, days in ((0, 4), (1, 7)):
        place = replace(LATER, phase=phase, number=2, given=2 + 4 * phase)
        assert decide(protocol, sound(place, MADRS=20.0)).next_h == 24.0 * days


@pytest.mark.parametrize("kind", FOLLOW_UPS)
def test_no_follow_up_holds_a_dose(document, kind):
    due = f"{{rule: S-2, safeguard: {kind}, source: a source, verified: yes}}"
    protocol = with_parts(document, safeguards=f"[{due}]", status="research only")
    chart = replace(calm(), checks_h={**calm().checks_h, kind: np.inf})
    assert (int(decide(protocol, chart).said["S-2"]), int(decide(protocol, chart).action)) == (FIRED, GIVE)


def test_who_may_leave_may_leave_later_too(document):
    protocol = with_parts(document)
    assert leave(protocol, sound(), 2.0).may and leave(protocol, sound(), 3.5).may
