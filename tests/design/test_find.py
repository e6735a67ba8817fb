"""A whole search, small: from the question to files and page."""

import dataclasses
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from euthymia import cli, evidence
from euthymia.course.ruled import follow_rules
from euthymia.design.courses import Courses
from euthymia.design.find import find
from euthymia.design.worlds import worlds
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.protocol import load
from euthymia.report.design import page
from euthymia.report.design_words import answer, what_now
from euthymia.trial.plan import load_plan

PROTOCOL = "ketamine-iv-maintenance"
VARY = ["dose=0.25, 0.5, 0.75 mg/kg"]
SMALL = {"patients": 120, "draws": 4, "weeks": 6}


@pytest.fixture(scope="module")
def found():
    return find(PROTOCOL, VARY, subject_to=["cumulative ketamine at most 400 mg"], **SMALL)


def test_courses_by_maps_are_those_of_the_engine_under_rules():
    protocol = load(PROTOCOL)
    people = draw(protocol.population, 60, 3)
    (mine,) = Courses((protocol,), people, ({},), 8, ()).lived([protocol], people, [{}])
    course = follow_rules(protocol, people, 8)
    assert np.abs(mine.score - course.values["MADRS"]).max() < 0.05  # a rating is in whole points
    given = course.ledger.filter(pl.col("action") == "give").group_by("patient").len().sort("patient")
    np.testing.assert_array_equal(mine.sessions[mine.sessions > 0], given["len"])
    np.testing.assert_allclose(mine.ketamine_mg, course.table["cumulative dose mg"])
    highest = course.ledger.group_by("patient", maintain_order=True).agg(pl.col("highest SBP").max())["highest SBP"]
    np.testing.assert_allclose(mine.highest_sbp, highest.to_numpy(), atol=0.01)


def test_a_world_changes_what_patients_go_through_as_its_parameters_say():
    """The compiled code must take the numbers of every world, not those it was compiled with."""
    protocol = load(PROTOCOL)
    people = draw(protocol.population, 60, 3)
    courses = Courses((protocol,), people, ({},), 4, ())
    for id, value in (("depression.gain", 0.0), ("synapses.growth_rate", 0.0), ("background.early_open_label", 0.0)):
        (both,) = courses.lived([protocol], people, [{id: evidence.value(id)}, {id: value}])
        usual, other = both.score.reshape(2, len(people), -1)
        assert other.mean() > usual.mean() + 0.1, id
        (alone,) = courses.lived([protocol], people, [{id: value}])
        np.testing.assert_allclose(other, alone.score, rtol=1e-12)
        assert evidence.value(id) > 0


def test_a_limit_on_a_chance_holds_in_a_population_that_was_not_searched():
    text = "P(highest CADSS above 10 points) < 25 %"
    found = find(PROTOCOL, ["dose=0.2, 0.3, 0.4, 0.5, 0.75 mg/kg"], subject_to=[text], patients=400, draws=4, weeks=2)
    assert found.chosen and found.chosen.number not in (0, len(found.space.regimens) - 1)  # the limit bites

    def share(number: int) -> float:
        some = found.space.regimens[number].protocol
        others = draw("TRD", 2000, seed=99)
        (lived,) = Courses((some,), others, (), 2, ()).lived([some], others, worlds(4))
        return float((lived.highest_cadss > 10).mean())

    assert share(found.chosen.number) < 0.25 < share(len(found.space.regimens) - 1)


def test_more_drug_helps_more_and_the_limit_is_kept(found):
    table = found.table()
    by_dose = table["days in remission"].to_list()
    assert by_dose == sorted(by_dose)
    kept = table.filter(pl.col("keeps limits"))
    assert (kept["cumulative ketamine"] <= 400).all()
    assert found.chosen and table.row(found.chosen.number, named=True)["keeps limits"]


def test_everything_is_written_and_the_winner_can_be_loaded(found, tmp_path):
    found.save(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {
        "regimens.csv", "subgroups.csv", "worth.csv", "refused.csv", "provenance.json",
        f"{PROTOCOL}-found.yaml", f"{PROTOCOL}-runner-up.yaml", f"{PROTOCOL}-trial.yaml",
    }  # fmt: skip
    made = load(tmp_path / f"{PROTOCOL}-found.yaml")
    assert made.status == "research only"
    assert made.drug and found.chosen and str(made.drug.dose) == found.chosen.chosen["dose"]


def test_the_trial_it_asks_for_finds_its_protocols_wherever_its_folder_lies(found, tmp_path, monkeypatch):
    found.save(tmp_path / "design")
    (tmp_path / "design").rename(tmp_path / "moved")
    monkeypatch.chdir("/")
    file = tmp_path / "moved" / f"{PROTOCOL}-trial.yaml"
    plan = load_plan(file)
    assert plan.patients == found.next_trial.patients and [a.arm for a in plan.arms] == ["found regimen", "runner-up"]
    assert [load(a.protocol).status for a in plan.arms] == ["research only", "research only"]


def test_every_command_that_is_named_at_the_end_works_as_it_stands(tmp_path, monkeypatch, capsys):
    def euthymia(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["euthymia", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0, (words, capsys.readouterr().err)
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    size = ("--patients", "100", "--draws", "3", "--weeks", "2")
    said = euthymia("design", PROTOCOL, "--vary", "dose=0.25, 0.5, 0.75 mg/kg", *size, "--out", "my search")
    commands = [shlex.split(line) for line in said.splitlines() if line.strip().startswith("euthymia ")]
    assert [c[1:3] for c in commands] == [
        ["simulate", f"my search/{PROTOCOL}-found.yaml"], ["protocols", "diff"], ["trial", "run"], ["trial", "power"]
    ]  # fmt: skip
    trial = Path(commands[2][3])
    trial.write_text(re.sub("^patients: .*", "patients: 24", trial.read_text(), flags=re.MULTILINE))
    for command in commands:
        smaller = {commands[0][5]: "40", commands[3][-1]: "2"}  # virtual patients, and trials
        told = euthymia(*(smaller.get(word, word) for word in command[1:]))
        assert f"{PROTOCOL}-found" in told or "found regimen - usual regimen" in told


def test_where_the_usual_regimen_is_itself_the_best_it_says_so_and_compares_it_with_the_runner_up(found):
    assert found.usual == found.chosen.number
    assert "the usual regimen is itself the best" in " ".join(answer(found))
    assert [command.split()[1:3] for _, command in what_now(found)] == [
        ["simulate", f"{PROTOCOL}-found.yaml"], ["trial", "run"], ["trial", "power"]
    ]  # fmt: skip
    other = dataclasses.replace(found, usual=None)
    assert "is not among the regimens" in " ".join(answer(other))
    assert f"{PROTOCOL}-usual.yaml {PROTOCOL}-found.yaml" in what_now(other)[1][1]


def test_people_like_one_patient_and_prices_go_through_the_whole_search(tmp_path):
    asked = SMALL | {"patients": 100, "draws": 3, "weeks": 2}
    like = "weight 82 kg, age 71, failed trials 4, MADRS 34"
    found = find(PROTOCOL, ["dose=0.25, 0.5 mg/kg"], patient=like, prices=["visit=150", "session=400"], **asked)
    table = found.table()
    given = table["cumulative ketamine"].to_numpy() / (82 * np.array([0.25, 0.5]))  # sessions
    np.testing.assert_allclose(table["cost"], 150 * table["visits"].to_numpy() + 400 * given, rtol=1e-5)
    said, html = " ".join(answer(found)), page(found)
    for text in (said, html):
        assert like in text and "forecast for people like this" in text and "age 71 years lies outside" in text
    assert found.next_trial is None
    found.save(tmp_path)
    assert not list(tmp_path.glob("*-trial.yaml"))


def test_the_page_says_the_result_how_sure_and_that_a_clinician_decides(found):
    html = page(found)
    assert str(found.chosen) in html and "probability" in html and "a clinician decides" in html
    assert "90 % over worlds" in " ".join(answer(found)) + html


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"maximise": "visits"}, "less of it is better"),
        ({"maximise": "days in remission", "minimise": "visits"}, "not both"),
        ({"subject_to": ["visits at most 3", "visits at least 9"]}, "cannot both hold"),
        ({"burdens": ["joy"]}, "not a measure"),
        ({"patients": 10}, "patients must be between"),
        ({"draws": 2}, "draws must be at least 3"),
        ({"draws": 10_000}, "draws must be at most"),
        ({"weeks": 1000}, "weeks must be between"),
        ({"maximise": None, "minimise": "cost"}, "cost needs prices"),
        ({"burdens": ["cost"]}, "cost needs prices"),
        ({"prices": ["nurse=3"]}, "has no price here"),
        ({"patient": "tall"}, "is not understood"),
        ({"patient": "failed trials 1"}, "at least 2 failed trials"),
    ],
)
def test_bad_requests_are_one_sentence(asked, said):
    with pytest.raises(UserError, match=said):
        find(PROTOCOL, VARY, **SMALL | asked)


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        (VARY, "none of the 3 regimens keeps every limit; nearest is dose 0.25 mg/kg,"),
        (["dose=0.25 mg/kg"], "the only regimen breaks a limit: dose 0.25 mg/kg,"),
    ],
)
def test_where_nothing_is_feasible_the_nearest_regimen_is_named(vary, said):
    with pytest.raises(UserError) as error:
        find(PROTOCOL, vary, subject_to=["cumulative ketamine at most 1 mg"], **SMALL)
    assert said in str(error.value)


def test_worlds_differ_and_are_the_same_again():
    assert worlds(5) == worlds(5) and len({w["depression.gain"] for w in worlds(5)}) == 5
