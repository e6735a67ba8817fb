"""Rules in bipolar disorder and PTSD: silent rules change nothing, readings are those of the course, rules act on them,
and exposure follows what was given."""

from itertools import pairwise

import numpy as np
import polars as pl
import polars.testing
import pytest

import euthymia as eu
from euthymia import evidence
from euthymia.course.ledger import MISUSE
from euthymia.course.readings import simulated, unsimulated
from euthymia.course.ruled import Followed, RuledCourse, replay
from euthymia.course.variants import Variants
from euthymia.design.courses import SCORES, Courses
from euthymia.patient import draw
from euthymia.patient.population import illness_of
from euthymia.protocol import Protocol, load
from euthymia.protocol.document import Exposure
from euthymia.report.ruled import headline, over_time, page

from .test_ruled import EVERYBODY_COMES, followed, without_rules

WEEKS = 9
DAYS = 7 * WEEKS
BIPOLAR = draw("rapid cycling bipolar depression", 600, seed=3)
PTSD = draw("civilian PTSD", 300, seed=3)
OF_THE_BRAIN = ("functional", "labile", "consolidated")
OF_BIPOLAR = ("depressive pole", "manic pole", "MADRS", "MADRS untreated", "MADRS rated", "YMRS", "YMRS rated")
OF_PTSD = ("extinction memory", "CAPS-5", "CAPS-5 untreated", "CAPS-5 rated", "PCL-5 rated", "MADRS", "MADRS rated")


def with_exposure(*given: dict) -> Protocol:
    """The series of infusions with exposure as given, in the words of the document."""
    each = {"therapy": "prolonged exposure", "source": "Feder 2021", "verified": "no"}
    exposure = tuple(Exposure.model_validate(each | own) for own in given)
    return load("ketamine-iv-ptsd").model_copy(update={"exposure": exposure})


@pytest.fixture(scope="module")
def bipolar() -> RuledCourse:
    """Under the document's own rules, in people who become manic often."""
    return eu.follow_rules("ketamine-iv-bipolar", BIPOLAR, WEEKS)


@pytest.fixture(scope="module")
def ptsd() -> RuledCourse:
    return eu.follow_rules("ketamine-then-exposure", PTSD, 12)


def seen(course: RuledCourse | Followed) -> pl.DataFrame:
    """Visits to which the patient came."""
    return course.ledger.filter(pl.col("action") != "missed")


@pytest.mark.parametrize(
    ("protocol", "people", "values"),
    [
        (load("ketamine-iv-bipolar"), BIPOLAR, OF_BIPOLAR),
        (load("ketamine-iv-bipolar-unprotected"), BIPOLAR, OF_BIPOLAR),
        (load("saline-iv"), draw("bipolar euthymia", 200, 3), OF_BIPOLAR),
        (load("ketamine-then-exposure"), PTSD, OF_PTSD),
        (
            with_exposure(dict(sessions=4, lag="0 h", every="1 week"), dict(sessions=9, starts="0 h", every="4 days")),
            PTSD,
            OF_PTSD,
        ),
    ],
    ids=["stabiliser", "no stabiliser", "saline", "lag", "own calendar beside none"],
)
def test_rules_that_never_speak_change_nothing(protocol, people, values):
    protocol = without_rules(protocol)
    plain = eu.simulate(protocol, people, WEEKS, observe_h=24.0 * np.arange(DAYS + 1))
    with evidence.assume(EVERYBODY_COMES):
        found = followed(protocol, people)
    for variable in (*OF_THE_BRAIN, *values):
        np.testing.assert_allclose(found.values[variable], plain.values[variable], rtol=1e-11, atol=1e-11)
    for variable, x in found.sessions.items():
        np.testing.assert_allclose(x, plain.sessions[variable], rtol=1e-9, atol=1e-9)
    # saline counts as a session in the calendar's table alone
    alike = [name for name in plain.table.columns if name in found.table.columns and name != "sessions"]
    both = (table.select(alike) for table in (found.table, plain.table))
    pl.testing.assert_frame_equal(*both, rel_tol=1e-9, abs_tol=1e-9)


def test_exposure_may_be_at_any_hour():
    """Rules look at such an hour on every day, and so must the calendar here: blocked receptors are taken as constant
    between looks."""
    protocol = without_rules(with_exposure(dict(sessions=8, lag="30 h", every="3 days")))
    observe_h = np.unique(np.concatenate([24.0 * np.arange(DAYS + 1), 24.0 * np.arange(DAYS) + 6.0]))
    plain = eu.simulate(protocol, PTSD, WEEKS, observe_h=observe_h)
    with evidence.assume(EVERYBODY_COMES):
        found = followed(protocol, PTSD)
    at = np.flatnonzero(observe_h % 24.0 == 0)
    for variable in (*OF_THE_BRAIN, "extinction memory", "CAPS-5"):
        np.testing.assert_allclose(found.values[variable], plain.values[variable][:, at], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("course", "scales"), [("bipolar", ("MADRS", "YMRS")), ("ptsd", ("MADRS", "CAPS-5", "PCL-5"))])
def test_what_is_read_at_a_visit_is_the_rating_of_that_day(course, scales, request):
    """The state that goes from visit to visit is that of the course as a whole, made anew from what was given."""
    course = request.getfixturevalue(course)
    # the rest of the exposure may begin at the visit at which the drug ends, after it was decided on
    visits = seen(course).filter(pl.col("next day").is_not_null())
    for scale in scales:
        rated = course.values[f"{scale} rated"][visits["patient"].to_numpy(), visits["day"].to_numpy()]
        np.testing.assert_array_equal(visits[scale].to_numpy(), rated)


def test_mania_holds_and_stops_as_the_rules_say(bipolar):
    visits = seen(bipolar)
    high, manic = visits.filter(pl.col("YMRS").is_between(12, 20)), visits.filter(pl.col("YMRS") >= 21)
    assert len(high) > 50 and len(manic) > 10
    assert high["fired"].str.contains("BP-4-YMRS").all() and high["action"].is_in(["hold", "stop"]).all()
    assert manic["fired"].str.contains("R2-SC-6").all() and (manic["action"] == "stop").all()
    held_for = high.filter(pl.col("action") == "hold").select(pl.col("next day") - pl.col("day")).to_series()
    assert set(held_for.drop_nulls()) == {7}
    below = visits.filter(pl.col("YMRS") < 12)
    assert not below["fired"].str.contains("BP-4-YMRS").any()


def test_response_in_ptsd_is_a_fall_of_the_caps_5(ptsd):
    first = seen(ptsd).group_by("patient", maintain_order=True).agg(pl.col("CAPS-5").first().alias("first"))
    with_open_end = load("ketamine-iv-ptsd")
    decide = with_open_end.decide[0].model_copy(update={"at": "every session"})
    course = followed(with_open_end.model_copy(update={"decide": (decide,)}), PTSD)
    visits = seen(course).join(first, on="patient").filter(pl.col("session") > 0)
    spoke = visits["fired"].str.contains("VADOD-PTSD-1").to_numpy()
    fall = 100 * (1 - visits["CAPS-5"].to_numpy() / np.maximum(visits["first"].to_numpy(), 1.0))
    assert 0 < spoke.mean() < 1
    np.testing.assert_array_equal(spoke, fall < 30)


def test_an_infusion_not_given_is_followed_by_no_exposure(ptsd):
    by_day = np.diff(ptsd.values["exposures"], axis=1)  # on each day but the last
    visits = ptsd.ledger
    for patient in range(len(PTSD)):
        mine = visits.filter(pl.col("patient") == patient)
        given = mine.filter(pl.col("action") == "give")["day"].to_list()
        had = np.flatnonzero(by_day[patient]).tolist()
        follow = [day + 1 for day in given]
        assert had[: len(given)] == follow
        ended = mine["next day"][-1] is None
        assert len(had) <= len(given) if not (given and ended) else len(had) > len(given)
        # what is left goes on each week from the last, moved by whole days where the end came to be known too late
        for before, after in pairwise(had[len(given) - 1 :] if given else []):
            late = before == follow[-1] and after == mine["day"][-1]
            assert after - before == 7 or (late and after - before > 7)
        assert len(had) <= 10


def test_exposure_on_a_calendar_of_its_own_stays_on_it():
    course = followed(with_exposure(dict(sessions=5, starts="3 days", every="1 week")), PTSD)
    days = np.diff(course.values["exposures"], axis=1)
    assert (np.flatnonzero(days.any(0)) == 3 + 7 * np.arange(5)).all() and (days.sum(1) == 5).all()
    assert (course.table["exposures"] == 5).all()


@pytest.mark.parametrize(
    ("course", "name", "people", "values"),
    [("bipolar", "ketamine-iv-bipolar", BIPOLAR, OF_BIPOLAR), ("ptsd", "ketamine-then-exposure", PTSD, OF_PTSD)],
)
def test_the_ledger_replays_to_the_same_course(course, name, people, values, request):
    course = request.getfixturevalue(course)
    days = course.values["MADRS"].shape[1] - 1
    held = seen(course).filter(pl.col("action") == "hold")["patient"][0]
    for patient in (0, held):
        again = replay(load(name), course.ledger, people.take(patient, patient + 1), days, Variants())
        for variable in ("consolidated", *values):
            np.testing.assert_allclose(again[variable][0], course.values[variable][patient], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("course", "name", "people"),
    [("bipolar", "ketamine-iv-bipolar", BIPOLAR), ("ptsd", "ketamine-then-exposure", PTSD)],
)
def test_a_patient_does_not_depend_on_who_else_is_there(course, name, people, request):
    course = request.getfixturevalue(course)
    days, some = course.values["MADRS"].shape[1] - 1, range(len(people) - 70, len(people) - 60)
    alone = followed(load(name), people.take(some[0], some[-1] + 1), days=days, workers=1)
    for variable, x in alone.values.items():
        np.testing.assert_array_equal(x, course.values[variable][some[0] : some[-1] + 1])
    assert alone.ledger.equals(course.ledger.filter(pl.col("patient").is_in(list(some))))


def test_what_is_not_simulated_is_said_by_illness():
    protocol = load("ketamine-iv-bipolar")
    assert unsimulated(protocol, "bipolar") == (
        "not simulated, and normal in every virtual patient: ASRM, MOAA/S, SpO2",
    )
    assert "YMRS" in unsimulated(protocol, "depression")[0]
    assert "CAPS-5 improvement" in unsimulated(load("ketamine-iv-ptsd"), "depression")[-1]
    assert {"CAPS-5", "CAPS-5 improvement", "PCL-5"} <= simulated("ptsd") - simulated("bipolar")


def test_stories_and_summaries_speak_of_the_illness(bipolar, ptsd):
    told = ptsd.story(int(ptsd.ledger.filter(pl.col("session") > 0)["patient"][0]))
    assert "CAPS-5 " in told and "of exposure so far" in told and "of exposure in all" in told
    assert any("mean CAPS-5" in row.label for row in ptsd.summary().rows)
    assert any("rats alone" in said for said in ptsd.warnings)
    assert "YMRS " in bipolar.story(0) and any("mania" in row.label for row in bipolar.summary().rows)
    assert any("rapid cycling" in said for said in bipolar.warnings)


def test_pages_show_the_scales_of_the_illness(bipolar, ptsd):
    titles = [picture.title for picture in over_time(ptsd)]
    assert titles[0] == "CAPS-5 over time" and len(titles) == 2
    assert "CAPS-5 fell by" in headline(ptsd) and "remission" not in headline(ptsd)
    assert "CAPS-5 down by 30 %" in page(ptsd)
    assert [picture.title for picture in over_time(bipolar)][1:] == ["Depressed or mixed", "Manic, hypomanic or mixed"]
    assert "mania or hypomania began in" in headline(bipolar)


@pytest.mark.parametrize("name", ["bipolar", "ptsd"])
def test_a_search_follows_people_through_the_same_courses(name, request):
    course: RuledCourse = request.getfixturevalue(name)
    protocol, people, weeks = course.protocol, course.people, round(course.time_h[-1] / 168)
    (mine,) = Courses((protocol,), people, ({},), weeks, ()).lived([protocol], people, [{}])
    assert set(mine.scores) == set(SCORES[illness_of(people.population)])
    for score, x in mine.scores.items():
        np.testing.assert_allclose(x, course.values[score], rtol=1e-11, atol=1e-11)
    visits = course.ledger.group_by("patient").len().sort("patient")["len"]
    np.testing.assert_array_equal(mine.visits, visits)
    given = course.ledger.group_by("patient").agg((pl.col("action") == "give").sum()).sort("patient")["action"]
    np.testing.assert_array_equal(mine.sessions, given)
    np.testing.assert_allclose(mine.ketamine_mg, course.table["cumulative dose mg"])
    np.testing.assert_array_equal(np.isfinite(mine.misuse_d), course.table[MISUSE].is_not_null())
