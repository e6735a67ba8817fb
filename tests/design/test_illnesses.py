"""Searches in PTSD and bipolar disorder: the lag before exposure agrees with the question that is asked of the model
apart from any search, what is uncertain reaches every course, and what is said of it."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.design.courses import Courses
from euthymia.design.extrapolation import beyond, tried
from euthymia.design.find import find
from euthymia.design.knobs import checked, document_of
from euthymia.design.patient import beyond_population, known, people_like
from euthymia.design.worlds import RANGES, believed, worlds
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.protocol import Protocol, load
from euthymia.report.design import answer, page
from euthymia.trial.plan import load_plan
from euthymia.trial.questions import ask

LAGS = {"2 h": "2 h", "26 h": "1 day", "74 h": "3 days", "170 h": "1 week"}
"""Lags that are searched (all at one hour of the day, which is compiled once), and what `ask` calls the nearest."""


def one_of_each() -> Protocol:
    """One infusion and one session of exposure, as in the question, and no rule that could hold them."""
    document = document_of(load("ketamine-then-exposure"))
    document["phases"] = [{"name": "series", "doses": 1}]
    document["exposure"][0] = {k: v for k, v in document["exposure"][0].items() if k != "every"} | {"sessions": 1}
    document["session"]["before"] = [rule for rule in document["session"]["before"] if "check" in rule]
    return checked(document | {"decide": []})


@pytest.fixture(scope="module")
def found():
    vary = [f"exposure lag={', '.join(LAGS)}"]
    return find(one_of_each(), vary, minimise="CAPS-5 at the end", patients=100, draws=4, weeks=3)


def test_the_best_lag_is_that_of_the_question_asked_apart(found):
    asked = ask("exposure-lag", patients=100, draws=8)
    gain = dict(zip(asked.x_words, asked.lines[0].values[2], strict=True))
    gains = [gain[word] for word in LAGS.values()]
    scores = found.table()["CAPS-5 at the end"].to_list()
    assert found.chosen.chosen == {"exposure lag": "26 h"} and np.argmax(gains) == 1
    assert np.argsort(scores).tolist() == np.argsort(gains)[::-1].tolist()


def test_without_a_window_or_a_block_the_lag_changes_nothing(found):
    protocols, people = [r.protocol for r in found.space.regimens], draw("civilian PTSD", 40, 1)
    world = worlds(2, 1, "ptsd")[0]
    courses = Courses(tuple(protocols), people, (world,), 3, ())

    def at_the_end(**changed: float) -> np.ndarray:
        given = {**world, **{f"extinction.{name}": x for name, x in changed.items()}}
        return np.array([lived.score[:, -1].mean() for lived in courses.lived(protocols, people, [given])])

    usual, same = at_the_end(), at_the_end(window=0.0, block=0.0)
    assert np.ptp(usual) > 0.3 and np.ptp(same) < 0.05  # what is left is forgetting over a week
    (both,) = courses.lived(protocols[:1], people, [world, {**world, "depression.gain": 0.0}])
    with_drug, without = both.score.reshape(2, len(people), -1)
    assert (without >= with_drug).all() and without.mean() > with_drug.mean() + 0.1


def test_the_page_and_the_trial_are_about_the_illness(found, tmp_path):
    html, said = page(found), " ".join(answer(found))
    assert "mean CAPS-5 of this regimen" in html and "from no posterior: " in html
    assert all(id in html for id in believed("ptsd")) and "a clinician decides" in html
    assert "from rats alone" in said
    found.save(tmp_path)
    (file,) = tmp_path.glob("*-trial.yaml")
    plan = load_plan(file)
    assert plan.illness == "PTSD" and [e.endpoint for e in plan.endpoints] == ["change", "response"]


@pytest.mark.parametrize("illness", RANGES)
def test_worlds_hold_the_posterior_of_the_illness_and_ranges_where_there_is_none(illness):
    some = worlds(8, 1, illness)
    for id in RANGES[illness]:
        row, values = evidence.parameter(id), sorted(world[id] for world in some)
        assert row.kind == "assumed" and row.low and row.high
        np.testing.assert_allclose((values[0], values[-1]), (row.low, row.high))
    assert all(len({world[id] for world in some}) > 1 for id in believed(illness))
    assert all(world[id] == usual[id] for world, usual in zip(some, worlds(8), strict=True) for id in usual)


def test_what_was_tried_is_that_of_the_illness():
    sessions = {
        illness: next(r.high for r in tried("racemic ketamine", "intravenous", illness) if r.what == "sessions")
        for illness in RANGES
    }
    assert sessions["bipolar"] == (8.0, "Wilkowska 2021") and sessions["ptsd"] == (8.0, "Abdallah 2022")
    assert sessions["depression"].value > 8
    assert "spacing" in {x.what for x in beyond(load("ketamine-then-exposure"), 8)}  # weekly


def test_people_like_one_patient_of_ptsd_have_a_caps5():
    people = people_like(known("CAPS-5 52, weight 82 kg"), "veteran PTSD", 50, 1)
    assert set(np.asarray(people.baseline_caps5)) == {52.0}
    assert set(np.asarray(people_like(known("CAPS-5 78 points"), "civilian PTSD", 9, 1).baseline_caps5)) == {78.0}
    (said,) = beyond_population(known("CAPS-5 78, MADRS 3"), "civilian PTSD")
    assert "CAPS-5 78 points lies outside" in said
    with pytest.raises(UserError, match="a CAPS-5 is for protocols of PTSD"):
        people_like(known("CAPS-5 52"), "bipolar depression", 50, 1)


def test_a_response_is_not_asked_of_people_who_are_well():
    well = load("ketamine-iv-bipolar").model_copy(update={"population": "bipolar euthymia"})
    with pytest.raises(UserError, match="people of the population bipolar euthymia are well"):
        find(well, ["dose=0.5 mg/kg"], maximise="days in response", patients=100, draws=3, weeks=1)


@pytest.mark.parametrize(
    ("protocol", "asked", "said"),
    [
        ("ketamine-then-exposure", {"maximise": "days in remission"}, "not a measure of PTSD, where no score"),
        ("ketamine-then-exposure", {"minimise": "episodes a year"}, "not a measure of PTSD; allowed: .*mean CAPS-5"),
        ("ketamine-iv-bipolar", {"burdens": ["mean CAPS-5"]}, "not a measure of bipolar disorder; allowed: "),
        ("ketamine-iv-bipolar", {"subject_to": ["mean CAPS-5 at most 3 points"]}, "not a measure of bipolar disorder"),
        ("ketamine-iv-maintenance", {"maximise": "days well"}, "not a measure of depression; allowed: "),
        ("ketamine-iv-bipolar", {"vary": ["exposure lag=1 day"]}, "has no 'exposure lag' to vary"),
        ("prolonged-exposure", {"vary": ["exposure lag=1 day"]}, "has no 'exposure lag' to vary"),
    ],
)
def test_what_has_no_meaning_in_an_illness_is_one_sentence(protocol, asked, said):
    with pytest.raises(UserError, match=said) as error:
        find(protocol, **{"vary": ["dose=0.5 mg/kg"], "patients": 100, "draws": 3, "weeks": 1} | asked)
    assert "\n" not in str(error.value)
