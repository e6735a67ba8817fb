"""Where regimens lie outside what was tried."""

import pytest

from euthymia.design.extrapolation import beyond, too_long, tried
from euthymia.design.space import space
from euthymia.protocol import load

IV = load("ketamine-iv-maintenance")


def ranges(compound: str, route: str):
    return {r.what: (r.low, r.high) for r in tried(compound, route)}


def test_the_ends_of_a_range_are_what_studies_gave_and_name_them():
    found = ranges("racemic ketamine", "intravenous")
    assert found["dose (mg/kg)"] == ((0.1, "Fava 2020"), (1.0, "Fava 2020"))
    assert found["sessions"][1] == (12.0, "Singh 2016")  # up to 8 to 12 infusions
    assert found["days between sessions"][1] == (7.0, "Phillips 2019")  # weekly in responders
    spray = ranges("esketamine", "intranasal device")
    assert spray["dose (mg)"][1] == (84.0, "Daly 2018") and spray["weeks of follow-up"][1] == (256.0, "Zaki 2023")


@pytest.mark.parametrize(
    ("vary", "weeks", "what"),
    [
        ("dose=0.5 mg/kg", 6, []),
        ("dose=0.05 mg/kg", 6, ["dose"]),
        ("maintenance interval=2 weeks", 8, ["spacing"]),
        ("induction doses=14", 7, ["sessions"]),
        ("dose=0.5 mg/kg", 52, ["sessions", "horizon"]),
    ],
)
def test_what_lies_outside_is_said_by_kind(vary, weeks, what):
    (regimen,) = space(IV, [vary]).regimens
    assert [x.what for x in beyond(regimen.protocol, weeks)] == what


def test_a_horizon_that_no_study_reached_is_said_of_a_simulation_as_of_a_search():
    weeks = ranges("racemic ketamine", "intravenous")["weeks of follow-up"][1].value
    assert too_long(IV, weeks) == ()
    (said,) = too_long(IV, weeks + 1)
    assert said.removeprefix("extrapolation: ") in {x.says for x in beyond(IV, weeks + 1)}
    assert too_long(IV.model_copy(update={"population": "healthy"}), 52) == ()  # who is not followed for an illness


def test_a_dose_that_a_rule_may_ask_for_counts():
    apa = load("ketamine-iv-apa")
    low = space(apa, ["KET-8-DOWN dose=0.05 mg/kg"]).regimens[0].protocol
    assert "dose" in {x.what for x in beyond(low, 4)} and "dose" not in {x.what for x in beyond(apa, 4)}


def test_a_route_that_no_study_used_is_said():
    (said,) = beyond(load("ketamine-sublingual"), 4)
    assert said.what == "route" and "sublingual" in said.says


def test_what_holds_no_ketamine_extrapolates_nothing():
    assert beyond(load("escitalopram"), 52) == ()
