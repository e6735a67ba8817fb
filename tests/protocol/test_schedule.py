"""The calendar: which dose, when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia import protocol
from euthymia.errors import UserError
from euthymia.protocol import Schedule

DAY = 24.0
WEEK = 168.0


def days(schedule: Schedule) -> list[float]:
    return [item.time_h / DAY for item in schedule.administrations]


def test_one_infusion() -> None:
    only = protocol.schedule(protocol.load("ketamine-iv-single"), WEEK).administrations[0]
    assert (only.time_h, only.session, only.dose_mg_per_kg, only.dose_mg, only.cap_mg) == (0.0, 1, 0.5, None, None)
    assert only.duration_h == pytest.approx(40 / 60)


def test_a_rhythm_goes_on_into_the_next_phase(document) -> None:
    assert days(protocol.schedule(document.load(), 6 * WEEK)) == [0, 3, 7, 10, 14, 17, 21, 24, 28, 35]


def test_six_infusions_in_twelve_days() -> None:
    given_days = days(protocol.schedule(protocol.load("ketamine-iv-six-in-12-days"), 26 * WEEK))
    assert len(given_days) == 6
    assert given_days[-1] < 12


def test_the_label_of_the_nasal_spray() -> None:
    schedule = protocol.schedule(protocol.load("spravato-trd-84"), 13 * WEEK)
    weeks = [int(item.time_h // WEEK) + 1 for item in schedule.administrations]
    assert [weeks.count(week) for week in range(1, 14)] == [2, 2, 2, 2, 1, 1, 1, 1, 1, 0, 1, 0, 1]
    assert schedule.administrations[0].dose_mg == 56.0
    assert {item.dose_mg for item in schedule.administrations[1:]} == {84.0}


def test_doses_by_session_and_the_last_one_repeats(document) -> None:
    phases = "[{name: climb, doses: 4, every: 1 week, dose by session: [0.1 mg/kg, 0.2 mg/kg, 0.3 mg/kg]}]"
    schedule = protocol.schedule(document.load(phases=phases), 8 * WEEK)
    assert [item.dose_mg_per_kg for item in schedule.administrations] == [0.1, 0.2, 0.3, 0.3]


def test_until_a_week_gives_nothing_after_its_end(document) -> None:
    phases = "[{name: one, until: week 2, every: [3 days, 4 days]}]"
    assert days(protocol.schedule(document.load(phases=phases), 26 * WEEK)) == [0, 3, 7, 10]


def test_a_phase_may_wait_for_its_week(document) -> None:
    phases = "[{name: one, doses: 2, every: 3 days}, {name: two, doses: 2, every: 1 week, starts: week 5}]"
    assert days(protocol.schedule(document.load(phases=phases), 26 * WEEK)) == [0, 3, 28, 35]


def test_a_phase_may_give_another_drug(document) -> None:
    oral = "{compound: racemic ketamine, route: oral solution, dose: 1 mg/kg}"
    phases = f"[{{name: test, doses: 1, every: 1 week}}, {{name: course, doses: 1, drug: {oral}}}]"
    given_by = [
        (a.route, a.duration_h > 0) for a in protocol.schedule(document.load(phases=phases), WEEK * 4).administrations
    ]
    assert given_by == [("intravenous", True), ("oral solution", False)]


def test_a_cap_stands_beside_a_dose_by_weight(document) -> None:
    drug = "{compound: racemic ketamine, route: intravenous, dose: 0.5 mg/kg, over: 40 min, never above: 60 mg}"
    assert protocol.schedule(document.load(drug=drug), WEEK).administrations[0].cap_mg == 60.0


def test_saline_has_no_dose() -> None:
    only = protocol.schedule(protocol.load("saline-iv"), WEEK).administrations[0]
    assert (only.compound, only.dose_mg, only.dose_mg_per_kg) == ("saline", None, None)


def test_an_oral_comparator_climbs_without_gap_or_overlap() -> None:
    schedule = protocol.schedule(protocol.load("sertraline"), 12 * WEEK)
    assert schedule.administrations == ()
    assert [(d.dose_mg_per_day, d.start_h, d.stop_h) for d in schedule.daily] == [
        (50.0, 0.0, WEEK),
        (100.0, WEEK, 2 * WEEK),
        (150.0, 2 * WEEK, None),
    ]
    assert {d.kind for d in schedule.daily} == {"SSRI"}


def test_scales_are_taken_up_to_and_including_the_horizon(document) -> None:
    assert protocol.schedule(document.load(), 2 * WEEK).measure_h["MADRS"] == (0.0, WEEK, 2 * WEEK)


def test_the_design_is_carried(document) -> None:
    design = protocol.schedule(document.load(), WEEK).design
    assert (design.expectancy, design.setting, design.sites) == ("open label", "outpatient", "one")


@pytest.mark.parametrize("horizon", [0.0, -1.0, math.nan, math.inf])
def test_a_horizon_must_be_a_positive_number(document, horizon: float) -> None:
    with pytest.raises(UserError, match="horizon"):
        protocol.schedule(document.load(), horizon)


@given(st.sampled_from(protocol.catalogue()), st.floats(1.0, 2 * 365 * DAY))
def test_any_calendar_is_ordered_numbered_and_before_the_horizon(name: str, horizon_h: float) -> None:
    given_doses = protocol.schedule(protocol.load(name), horizon_h).administrations
    times = [item.time_h for item in given_doses]
    assert times == sorted(set(times))
    assert all(0 <= time < horizon_h for time in times)
    assert [item.session for item in given_doses] == list(range(1, len(given_doses) + 1))


@given(st.sampled_from(protocol.catalogue()), st.floats(1.0, 4000.0), st.floats(1.0, 4000.0))
def test_a_longer_horizon_only_adds_doses(name: str, one: float, other: float) -> None:
    short, long = sorted((one, other))
    document = protocol.load(name)
    first = protocol.schedule(document, short).administrations
    assert protocol.schedule(document, long).administrations[: len(first)] == first
