"""The page and the files of a course under rules."""

import json
import re

import numpy as np
import polars as pl
import pytest

import euthymia as eu
from euthymia.course.ruled import LEDGER
from euthymia.errors import UserError
from euthymia.report.ruled import STATES, page, weeks_of


@pytest.fixture(scope="module")
def course(ruled):
    return ruled


@pytest.fixture(scope="module")
def html(course):
    return page(course)


def test_every_rule_is_on_the_page_with_its_source_and_mark(course, html):
    body = re.sub(r"<[^>]+>", " ", html)
    marks = {"yes": "verified", "secondary": "second-hand", "no": "NOT VERIFIED"}
    for _, rule in course.protocol.rules():
        assert rule.rule in body and f"{rule.source} ({marks[rule.verified]})" in body


def test_the_page_says_how_often_each_rule_spoke(course, html):
    counted = course.ledger["fired"].str.split("; ").explode().value_counts()
    assert counted.filter(pl.col("fired") != "")["count"].sum() == course.rules()["visits"].sum()
    for row in course.rules().filter(pl.col("visits") > 0).iter_rows(named=True):
        assert re.search(rf"{row['rule']}</th>.*?{row['visits']:,} \(", html, re.S)


def test_weeks_are_what_the_ledger_says(course):
    found, first = weeks_of(course), int(course.ledger["patient"].min())
    names = [name for name, _, _ in STATES]
    for patient in course.ledger["patient"].unique():
        mine = course.ledger.filter(pl.col("patient") == patient)
        given_in = set((mine.filter(pl.col("action") == "give")["day"] // 7).to_list())
        assert {w for w, k in enumerate(found[patient - first]) if names[k] == "given"} == given_in
        stopped = mine.filter(pl.col("action") == "stop")["day"].to_list()
        if stopped:
            assert all(names[k] == "stopped" for k in found[patient - first, stopped[0] // 7 + 1 :])


def test_a_story_tells_every_visit_and_every_rule(course):
    held = course.ledger.filter(pl.col("action") == "hold")["patient"][0]
    mine, told = course.ledger.filter(pl.col("patient") == held), course.story(held)
    assert sum(line.startswith("day") for line in told.splitlines()) == len(mine)
    for fired in mine["fired"]:
        for rule in filter(None, fired.split("; ")):
            assert f"[{rule};" in told


def test_the_page_tells_the_stories_that_were_asked_for(course):
    asked = [7, 5, 9, 4]
    told = re.findall(r"<summary>Patient (\d+)", page(course, asked))
    assert told == [str(patient) for patient in asked]


def test_the_page_tells_every_visit_of_its_stories_and_every_rule_that_spoke(course, html):
    for patient in map(int, re.findall(r"<summary>Patient (\d+)", html)):
        mine = course.ledger.filter(pl.col("patient") == patient)
        story = html[html.index(f"<summary>Patient {patient}<") :].split("</details>")[0]
        assert [int(day) for day in re.findall(r"<dt>day (\d+)</dt>", story)] == mine["day"].to_list()
        spoke = [rule for fired in mine["fired"] for rule in filter(None, fired.split("; "))]
        assert re.findall(r"\[([^;\]]+); [^\]]*\]</li>", story) == spoke


def test_a_story_of_nobody_is_one_sentence(course):
    with pytest.raises(UserError, match=r"there is no patient 5000; patients are 0 to 79"):
        course.story(5000)


def test_what_is_written_can_be_read_again(course, tmp_path):
    course.save(tmp_path)
    ledger = pl.read_parquet(tmp_path / "ledger.parquet")
    assert ledger.equals(course.ledger) and ledger.columns == list(LEDGER)
    assert len(pl.read_csv(tmp_path / "outcomes.csv")) == course.patients
    days = pl.read_parquet(tmp_path / "course.parquet")
    np.testing.assert_allclose(days["MADRS"].to_numpy().reshape(course.patients, -1), course.values["MADRS"], rtol=1e-6)
    assert json.loads((tmp_path / "provenance.json").read_text())["rules"] == "followed"


@pytest.mark.parametrize("weeks", [0, -1, 105, 1.05, float("nan")])
def test_a_horizon_that_cannot_be_is_one_sentence(weeks):
    with pytest.raises(UserError, match="weeks must be whole days"):
        eu.follow_rules("ketamine-iv-trd", patients=5, weeks=weeks)
