"""What the explorer simulates is what the command line simulates under rules."""

import numpy as np
import polars as pl
import pytest

import euthymia as eu
from euthymia.errors import UserError
from euthymia.explore.regimen import changed
from euthymia.explore.respond import Asked, Explorer, Stale
from euthymia.protocol import load

MOVED = {"drug/dose": "0.6 mg/kg", "phases/0/every": "1 week"}
PATIENTS = 150


@pytest.fixture(scope="module")
def explorer():
    return Explorer(load("ketamine-iv-trd"), PATIENTS, seed=4)


@pytest.fixture(scope="module")
def course():
    return eu.follow_rules(changed(load("ketamine-iv-trd"), MOVED), PATIENTS, 12, seed=4)


def test_curves_and_outcomes_are_those_of_a_course_under_rules(explorer, course):
    found = explorer.respond(Asked("ketamine-iv-trd", MOVED, 12))
    madrs = course.values["MADRS"]
    np.testing.assert_allclose(found["mean"], madrs.mean(0), atol=0.06)
    np.testing.assert_allclose(found["high"], np.quantile(madrs, 0.95, axis=0), atol=0.06)
    np.testing.assert_allclose(found["remission"], 100 * (madrs <= 12).mean(0), atol=0.06)
    by = {row["id"]: row for row in found["outcomes"]}
    given = course.ledger.filter(pl.col("action") == "give")
    assert by["sessions"]["value"] == np.median(course.table["sessions"])
    assert by["dose"]["value"] == pytest.approx(np.median(course.table["cumulative dose mg"]), abs=0.01)
    assert by["remission"]["value"] == pytest.approx(np.median(course.table["days in remission"]), abs=0.01)
    assert by["cadss"]["value"] == pytest.approx(np.median(course.table["peak dissociation CADSS"]), abs=0.01)
    high = given.filter(pl.col("highest SBP") >= 180)
    assert by["pressure"]["value"] == pytest.approx(len(high) / PATIENTS, abs=0.005)
    stopped = course.ledger.filter(pl.col("action") == "stop")["patient"].n_unique()
    assert by["stopped"]["value"] == pytest.approx(100 * stopped / PATIENTS, abs=0.005)
    assert by["stopped"]["low"] < by["stopped"]["value"] < by["stopped"]["high"]


def test_of_daily_sessions_too_the_bands_are_those_of_the_engine(explorer):
    daily = {"phases/0/every": "1 day", "phases/0/doses": "12"}
    found = explorer.respond(Asked("ketamine-iv-trd", daily, 12))
    expected = eu.follow_rules(changed(load("ketamine-iv-trd"), daily), PATIENTS, 12, seed=4).values["MADRS"]
    for name, share in (("low", 0.05), ("high", 0.95)):
        apart = np.abs(found[name] - np.quantile(expected, share, axis=0))
        assert apart.mean() < 0.1 and apart.max() < 0.5  # a rating that rounds the other way moves one patient's visit


@pytest.mark.parametrize("patient", [0, 100, PATIENTS - 1])
def test_a_story_is_the_one_the_command_line_tells(explorer, course, patient):
    index = int(np.asarray(course.people.index)[patient])
    told = explorer.story(Asked("ketamine-iv-trd", MOVED, 12), patient)
    lines = course.story(index).splitlines()[1:]
    assert [v["day"] for v in told["visits"]] == [int(line.split()[1]) for line in lines if line.startswith("day")]
    assert [f"{v['day']:>3}  {v['said']}" for v in told["visits"]] == [x[4:] for x in lines if x.startswith("day")]
    said = [rule for v in told["visits"] for rule in v["rules"]]
    assert said == [line.strip() for line in lines if not line.startswith("day")]
    np.testing.assert_allclose(told["madrs"], course.values["MADRS"][patient], atol=0.06)


def test_an_answer_that_nobody_waits_for_is_given_up(explorer):
    with pytest.raises(Stale):
        explorer.respond(Asked("ketamine-iv-trd", {"drug/dose": "0.9 mg/kg"}, 12), lambda: True)


def test_bands_that_nobody_waits_for_are_given_up(explorer):
    asked = Asked("ketamine-iv-trd", {"drug/dose": "0.6 mg/kg"}, 12)
    explorer.respond(asked)
    with pytest.raises(Stale):
        explorer.sure(asked, None, lambda: True)


def test_regimens_differ_by_less_than_what_is_uncertain_of_each(explorer):
    """The same patients meet both in the same worlds."""
    own, more = (Asked("ketamine-iv-trd", numbers, 12) for numbers in ({}, {"drug/dose": "0.9 mg/kg"}))
    curve, found = explorer.respond(more)["mean"], explorer.sure(more, own)
    low, high = map(np.array, found["mean"])
    assert np.mean((low <= curve) & (curve <= high)) > 0.9
    days = next(row for row in found["differences"] if row["id"] == "days in remission")
    assert days["value"] > 0 and days["low"] < days["value"] < days["high"]
    each = [
        explorer.uncertain.follow(changed(load(asked.protocol), asked.numbers), 12, lambda _: None)
        for asked in (own, more)
    ]
    apart = [np.quantile(found.measures["days in remission"].mean(1), (0.05, 0.95)) for found in each]
    assert days["high"] - days["low"] < min(high - low for low, high in apart) / 2


def test_only_what_can_be_simulated_under_rules_is_offered(explorer):
    names = {p["name"] for p in explorer.protocols()}
    assert {"ketamine-iv-trd", "spravato-trd-84"} <= names
    assert not {"sertraline", "ketamine-iv-ptsd", "ketamine-iv-bipolar"} & names


def test_what_goes_beyond_the_evidence_is_said(explorer):
    said = explorer.respond(Asked("ketamine-sc-titrated", {}, 12))["warnings"]
    assert any("absorption parameters" in w for w in said) and any("not simulated" in w for w in said)
    moved = explorer.respond(Asked("ketamine-iv-trd", {"drug/dose": "0.9 mg/kg"}, 12))["warnings"]
    assert any("research only" in w for w in moved)


def test_what_cannot_be_done_is_one_sentence(explorer):
    for asked, said in (
        (Asked("nothing", {}, 12), "no protocol is called"),
        (Asked("/etc/passwd", {}, 12), "no protocol is called"),
        (Asked("ketamine-iv-trd", {}, 13), "weeks must be"),
    ):
        with pytest.raises(UserError, match=said):
            explorer.respond(asked)
    with pytest.raises(UserError, match="there is no patient 150"):
        explorer.story(Asked("ketamine-iv-trd", {}, 12), PATIENTS)


@pytest.mark.parametrize(
    ("name", "numbers", "weeks", "week", "said"),
    [
        ("ketamine-iv-trd", {}, 26, 8, "30 sessions planned, more than in any study (12 in Singh 2016)"),
        ("ketamine-iv-twice-weekly", {}, 26, None, ""),
        ("ketamine-iv-twice-weekly", {"phases/0/doses": "16"}, 26, 6, "16 sessions planned"),
        ("ketamine-sublingual", {}, 12, 0, "no study of depression known here gave racemic ketamine by this route"),
        ("spravato-trd-84", {}, 52, None, ""),
    ],
)
def test_what_goes_on_for_longer_than_any_trial_is_said(explorer, name, numbers, weeks, week, said):
    found = explorer.respond(Asked(name, numbers, weeks))
    assert found["beyond"] == week
    outside = [w for w in found["warnings"] if w.startswith("extrapolation: ")]
    assert (week is not None) == any(said in w for w in outside if said)
