"""A course under rules: where none speaks, step for step the course without; where one does, what its ledger says."""

from dataclasses import replace
from importlib.resources import files

import numpy as np
import polars as pl
import pytest

import euthymia as eu
from euthymia import evidence
from euthymia.course.ruled import MISUSE, Followed, replay, under_rules
from euthymia.course.variants import Variants
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.patient.population import Patients
from euthymia.protocol import Protocol, load, loads, schedule
from euthymia.protocol.rules import Eligibility, Session

WEEKS = 9
DAYS = 7 * WEEKS
PEOPLE = draw("TRD", 600, seed=3)
EVERYBODY_COMES = {"adherence.missed_visit": 0.0}


def without_rules(protocol: Protocol) -> Protocol:
    """The same doses at the same times, and nothing that could change them."""
    calm = tuple(p.model_copy(update={"widen_to": None, "while_": None}) for p in protocol.phases)
    nothing = {"decide": (), "adjust": (), "safeguards": (), "eligibility": Eligibility(), "session": Session()}
    return protocol.model_copy(update=nothing | {"phases": calm})


def followed(protocol: Protocol, people=PEOPLE, days: int = DAYS, workers: int | None = None) -> Followed:
    return under_rules(protocol, schedule(protocol, 24.0 * days), people, days, Variants(), workers)[0]


@pytest.fixture(scope="module")
def ruled() -> Followed:
    """A whole clinic course under its own rules."""
    return followed(load("ketamine-iv-trd"))


@pytest.mark.parametrize(
    "name", ["ketamine-iv-trd", "spravato-trd-84", "ketamine-sc-titrated", "saline-iv", "ketamine-oral-solution"]
)
def test_rules_that_never_speak_change_nothing(name):
    protocol = without_rules(load(name))
    plain = eu.simulate(protocol, PEOPLE, WEEKS, observe_h=24.0 * np.arange(DAYS + 1))
    with evidence.assume(EVERYBODY_COMES):
        found = followed(protocol)
    for variable in ("functional", "labile", "consolidated", "MADRS", "MADRS rated", "MADRS untreated"):
        np.testing.assert_allclose(found.values[variable], plain.values[variable], rtol=1e-11, atol=1e-11)
    for variable, seen in found.sessions.items():
        np.testing.assert_allclose(seen, plain.sessions[variable], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.table["cumulative dose mg"], plain.table["cumulative dose mg"], rtol=1e-12)


def test_a_patient_does_not_depend_on_who_else_is_there_or_on_workers(ruled):
    alone = followed(load("ketamine-iv-trd"), PEOPLE.take(530, 537), workers=1)
    for variable in ("MADRS", "MADRS rated", "consolidated"):
        np.testing.assert_array_equal(alone.values[variable], ruled.values[variable][530:537])
    mine = ruled.ledger.filter(pl.col("patient").is_between(530, 536))
    assert alone.ledger.equals(mine)


@pytest.mark.parametrize("name", ["ketamine-iv-trd", "spravato-trd-84", "ketamine-nz-test-then-oral"])
def test_the_ledger_replays_to_the_same_course(name, ruled):
    """The engine without rules, given one patient's doses from the ledger as a calendar of its own."""
    protocol = load(name)
    course = ruled if name == "ketamine-iv-trd" else followed(protocol)
    for patient in (0, 17, 599):
        again = replay(protocol, course.ledger, PEOPLE.take(patient, patient + 1), DAYS, Variants())
        for variable in ("consolidated", "MADRS", "MADRS rated"):
            np.testing.assert_allclose(
                again[variable][0], course.values[variable][patient], rtol=0, atol=1e-5
            )  # longer steps at visits without a dose


def older(people: Patients, years: float) -> Patients:
    """Virtual patients are adults below 65 years; these are so many years older."""
    return replace(people, age_y=people.age_y + years)


def given_mg(course: Followed) -> list[list[float]]:
    """The doses of each patient, in order."""
    given = course.ledger.filter(pl.col("action") == "give").group_by("patient", maintain_order=True)
    return given.agg(pl.col("dose mg"))["dose mg"].to_list()


def test_people_of_65_years_climb_device_by_device_and_get_what_the_ledger_says():
    protocol, old = load("spravato-trd-84"), older(PEOPLE.take(0, 60), 50.0)
    course = followed(protocol, old, 28)
    assert all(doses[:2] == [28, 56] and max(doses) <= 84 for doses in given_mg(course))
    assert all(doses[0] == 56 for doses in given_mg(followed(protocol, PEOPLE.take(0, 60), 7)))
    for patient in (0, 17, 59):
        again = replay(protocol, course.ledger, old.take(patient, patient + 1), 28, Variants())
        np.testing.assert_allclose(again["MADRS"][0], course.values["MADRS"][patient], rtol=0, atol=1e-5)


def test_every_step_under_a_ceiling_is_a_dose_of_devices():
    """56 mg is here a step on the way to 84 mg that no other line of the document names."""
    protocol = load("spravato-trd-84")
    phases = tuple(p.model_copy(update={"dose_by_session": None}) for p in protocol.phases)
    rules = tuple(rule for rule in protocol.adjust if rule.from_dose)
    climb = protocol.model_copy(update={"phases": phases, "adjust": rules})
    with evidence.assume(EVERYBODY_COMES):
        course = followed(climb, older(PEOPLE.take(0, 20), 50.0), 14)
    peaks = course.sessions["peak ketamine"]
    for doses, peak in zip(given_mg(course), peaks, strict=True):
        np.testing.assert_array_equal(doses[:3], [28, 56, 84][: len(doses)])
        assert (peak[: len(doses)] > 0).all()  # none is given as nothing
        assert 1.5 < peak[1] / peak[0] < 2.5


def test_the_ledger_adds_up_to_the_table(ruled):
    given = (
        ruled.ledger.filter(pl.col("action") == "give")
        .group_by("patient")
        .agg(pl.col("dose mg").sum(), pl.len().alias("sessions"))
    )
    both = ruled.table.select("patient", "cumulative dose mg", pl.col("sessions").alias("counted")).join(
        given, on="patient", how="left"
    )
    np.testing.assert_allclose(both["cumulative dose mg"], both["dose mg"].fill_null(0.0), rtol=1e-12)
    assert (both["counted"] == both["sessions"].fill_null(0)).all()


def test_every_visit_that_was_not_given_says_why(ruled):
    refused = ruled.ledger.filter(pl.col("action").is_in(["hold", "stop"]))
    assert len(refused) and (refused["fired"] != "").all()
    quiet = ruled.ledger.filter(pl.col("action") == "give")["fired"]
    # a dose may be given while a session's own limit, an adjustment or a step speaks, never against a hold
    assert not quiet.str.contains("INT-2-SBP|INT-2-DBP|RESP-D1|CAN-2").any()


def test_who_is_stopped_is_given_nothing_more(ruled):
    ends = ruled.ledger.group_by("patient", maintain_order=True).agg(pl.col("action"))
    for actions in ends["action"]:
        assert "stop" not in actions.to_list()[:-1]


def test_visits_wait_for_as_long_as_the_protocol_says(ruled):
    gaps = ruled.ledger.with_columns(
        gap=pl.col("day").diff().over("patient"), last=pl.col("action").shift().over("patient")
    )
    after = {action: set(own["gap"].drop_nulls()) for (action,), own in gaps.group_by("last") if action}
    assert after["hold"] == {1} and after["missed"] == {7} and after["give"] <= {3, 4, 7, 14}


def test_visits_are_missed_as_often_as_assumed():
    protocol = without_rules(load("ketamine-iv-maintenance"))
    with evidence.assume({"adherence.missed_visit": 0.2}):
        ledger = followed(protocol).ledger.filter(pl.col("session") > 0)
    share, n = (ledger["action"] == "missed").mean(), len(ledger)
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / n)


def test_a_rule_that_stops_keeps_what_follows_free_of_drug(ruled):
    """Without response at the end of induction nothing more is given, and plasticity dies away."""
    stopped = ruled.ledger.filter(pl.col("fired").str.contains("RESP-D1") & (pl.col("action") == "stop"))
    assert len(stopped) > 50
    who = stopped["patient"].to_numpy()
    later = ruled.values["labile"][who]
    at = stopped["day"].to_numpy()
    assert (later[np.arange(len(who)), -1] < later[np.arange(len(who)), at]).all()


def test_a_protocol_without_visits_cannot_be_simulated_under_rules():
    protocol = load("escitalopram")
    with pytest.raises(UserError, match="no visits at which its rules decide"):
        followed(protocol, draw(protocol.population, 10, 1))


LOOKING = (
    "    - {rule: MIS-1, alert when: {drug liking: at least 75 points}, source: KSET, verified: no}\n"
    "    - {rule: MIS-2, alert when: {early returns: at least 1 event}, source: KSET, verified: no}\n"
)


def with_misuse_rules() -> Protocol:
    text = (files("euthymia.protocol") / "catalogue" / "ketamine-iv-maintenance.yaml").read_text("utf-8")
    return loads(text.replace("  before:\n", f"  before:\n{LOOKING}", 1))


def test_safeguards_are_counted_as_the_ledger_and_the_hazard_say():
    with evidence.assume({"misuse.rate_misuse": 5.0}):
        course = eu.follow_rules(with_misuse_rules(), PEOPLE, 20)
    ill = set(course.table.filter(pl.col(MISUSE).is_not_null())["patient"])
    assert 10 < len(ill) < len(PEOPLE) / 2
    for row in course.safeguards().iter_rows(named=True):
        spoke = set(course.ledger.filter(pl.col("fired").str.contains(row["rule"]))["patient"])
        assert row["caught"] == pytest.approx(100 * len(spoke & ill) / len(ill))
        assert row["troubled"] == pytest.approx(100 * len(spoke - ill) / (len(PEOPLE) - len(ill)))
    liked = course.ledger.filter(pl.col("fired").str.contains("MIS-1"))["drug liking"]
    assert len(liked) and (liked >= 75).all()


def test_who_never_got_ketamine_never_comes_to_misuse():
    course = eu.follow_rules("saline-iv", PEOPLE.take(0, 100), 10)
    assert course.table[MISUSE].null_count() == 100
    assert (course.ledger["early returns"].drop_nulls() == 0).all()
