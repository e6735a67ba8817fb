"""Trials whose arms follow the rules of their protocols."""

import numpy as np
import pytest

from euthymia.course.ruled import follow_rules
from euthymia.errors import UserError
from euthymia.illness.bipolar import POLES
from euthymia.protocol import load
from euthymia.protocol.rules import Eligibility
from euthymia.protocol.writer import to_yaml
from euthymia.trial.analysis import Outcomes
from euthymia.trial.plan import Plan
from euthymia.trial.reading import read_document
from euthymia.trial.run import run

TRIAL = """trial: ruled
title: A trial under rules
illness: ILLNESS
population: POPULATION
design: {expectancy: EXPECTANCY, setting: outpatient, sites: SITES}
type: parallel
patients: 40
number of sites: NUMBER
follow rules: yes
arms:
  - {arm: drug, protocol: "PROTOCOL"}
  - {arm: sham, sham of: "PROTOCOL", comparator: yes}
visits: [VISITS]
endpoints:
  - {endpoint: change, at: LAST}
"""
ILLNESS = {
    "ketamine-iv-trd": "depression",
    "ketamine-iv-bipolar": "bipolar disorder",
    "ketamine-then-exposure": "PTSD",
}
WEEKS = 10
RATED = {"depression": "MADRS rated", "bipolar disorder": "MADRS rated", "PTSD": "CAPS-5 rated"}


def planned(name: str, visits: tuple[str, ...], protocol: str | None = None, *changes: tuple[str, str]) -> Plan:
    """The protocol against a sham of it, under the design it has itself."""
    document = load(name)
    design = document.design
    text = TRIAL
    for key, value in {
        "ILLNESS": ILLNESS[name],
        "POPULATION": document.population,
        "EXPECTANCY": design.expectancy,
        "SITES": design.sites,
        "NUMBER": "1" if design.sites == "one" else "4",
        "PROTOCOL": protocol or name,
        "VISITS": ", ".join(("0 h", *visits)),
        "LAST": visits[-1],
    }.items():
        text = text.replace(key, value)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_document(text, "trial.yaml", Plan, "a planned trial")


def without_rules(name: str, folder) -> str:
    """A file of the protocol in which no rule can keep anybody from the first session."""
    document = load(name)
    session = document.session.model_copy(update={"before": ()})
    free = document.model_copy(update={"session": session, "eligibility": Eligibility(), "decide": (), "adjust": ()})
    place = folder / "free.yaml"
    place.write_text(to_yaml(free), encoding="utf-8")
    return str(place)


@pytest.mark.parametrize("name", ILLNESS)
def test_an_arm_is_what_its_protocol_gives_when_followed_alone(name):
    plan = planned(name, ("2 weeks", "6 weeks", f"{WEEKS} weeks"))
    out = run(plan, study_levels=False).outcomes
    course = follow_rules(name, 60, WEEKS)
    inside = out.arm[0] == 0
    who = out.patient[0, inside]
    alone = course.values[RATED[plan.illness]][:, [14, 42, 7 * WEEKS]][who]
    assert np.array_equal(out.scores[0, inside, 1:], alone)
    assert course.ledger["action"].is_in(["hold", "stop", "missed"]).any()
    if plan.has_episodes:
        for k, pole in enumerate(POLES):
            days = course.table[f"days to {pole} episode"].fill_nan(np.inf).to_numpy()[who]
            assert np.array_equal(out.begins[0, inside, k], days)


@pytest.mark.parametrize("name", ILLNESS)
def test_where_no_rule_speaks_a_study_is_what_it_is_by_the_calendar(tmp_path, name):
    """Up to the second session, so that nobody has missed one; each replicate at levels of its own."""
    free = without_rules(name, tmp_path)
    ruled, calendar = (
        run(planned(name, ("24 h", "48 h"), free, ("follow rules: yes", f"follow rules: {choice}")), 6)
        for choice in ("yes", "no")
    )
    assert np.ptp(ruled.levels, axis=1).min() > 0.1
    assert np.array_equal(ruled.outcomes.arm, calendar.outcomes.arm)
    difference = ruled.outcomes.scores - calendar.outcomes.scores
    assert np.abs(difference).max() <= 1  # another mesh may round a rating the other way
    assert np.mean(difference != 0) < 0.03
    changes = [np.nanmean(np.diff(ruled.outcomes.scores[ruled.outcomes.arm == k][:, :2])) for k in (0, 1)]
    assert changes[0] < changes[1] - 1  # the sham is without the drug


def test_a_sham_is_stopped_by_the_same_rules():
    """Of those who are given nothing that works more are stopped for want of response, and then no session lifts
    expectations: their scores differ from those of a sham that goes on."""
    ruled, calendar = (
        run(planned("ketamine-iv-trd", ("2 weeks", "10 weeks"), None, ("rules: yes", f"rules: {choice}")), 4)
        for choice in ("yes", "no")
    )
    sham = ruled.outcomes.arm == 1
    assert not np.array_equal(ruled.outcomes.scores[sham], calendar.outcomes.scores[sham])


@pytest.mark.parametrize("how", ["workers", "parts"])
def test_the_numbers_depend_neither_on_the_workers_nor_on_how_the_work_is_cut(monkeypatch, how):
    plan = planned("ketamine-iv-trd", ("2 weeks", "6 weeks"))
    whole = run(plan, 4, workers=1).outcomes
    if how == "parts":
        monkeypatch.setattr("euthymia.trial.block.BLOCK", 1)
    assert same(whole, run(plan, 4, workers=2).outcomes)


def same(one: Outcomes, other: Outcomes) -> bool:
    names = ("arm", "patient", "scores", "begins")
    return all(np.array_equal(getattr(one, x), getattr(other, x), equal_nan=x == "scores") for x in names)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0 h, 24 h]", "[0 h, 4 h, 24 h]", "rules are followed day by day; 4 h is no whole number of days"),
        ("patients: 40", "patients: 40\nunblinding: 20 %", "what patients believe cannot be followed"),
        ("follow rules: yes", "follow rules: perhaps", "neither yes nor no"),
    ],
)
def test_what_cannot_follow_rules_is_refused(old, new, said):
    with pytest.raises(UserError, match="line") as refused:
        planned("ketamine-iv-trd", ("24 h",), None, (old, new))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_a_trial_without_sessions_follows_no_rules():
    arms = (
        '  - {arm: drug, protocol: "ketamine-iv-trd"}\n  - {arm: sham, sham of: "ketamine-iv-trd", comparator: yes}\n'
    )
    daily = "  - {arm: one, protocol: sertraline}\n  - {arm: two, protocol: quetiapine-xr, comparator: yes}\n"
    with pytest.raises(UserError, match="no arm has sessions at which a rule could decide"):
        planned("ketamine-iv-trd", ("24 h",), None, (arms, daily))


def test_a_crossover_follows_no_rules():
    changes = ("type: parallel", "type: crossover\nperiods: {length: 1 week, washout: 1 week}")
    with pytest.raises(UserError, match="only the arms of a parallel trial can follow rules"):
        planned(
            "ketamine-iv-trd",
            ("24 h",),
            None,
            changes,
            ("change, at: 24 h", "change, at: 24 h, analysis: within patients"),
        )
