"""The catalogue of published trials: every number of the evidence on depression has a place in it."""

from collections import Counter

import pytest

from euthymia import evidence
from euthymia.trial.document import catalogue

DEPRESSION = (
    "TRD",
    "MDD",
    "MDD with active SI and intent",
    "MDD and bipolar depression",
    "MDD, elective surgery under general anaesthesia",
)
NULL_TRIALS = {"takahashi-2021", "shiroma-2020", "lii-2023"}
TRIALS = {t.trial: t for t in catalogue()}
OUTCOMES = [r for s in ("calibration", "validation") for r in evidence.outcomes(set=s)]
ROWS = {r.id: r for r in OUTCOMES}


def used(trial):
    """Rows that an endpoint or the score at entry of an arm cites."""
    cited = {id for e in trial.endpoints for id in e.evidence}
    return cited | {arm.baseline.evidence for arm in trial.arms if arm.baseline.evidence}


def of(trial):
    return [r for r in OUTCOMES if r.study in trial.studies]


def without_prediction(trial):
    """How often each row of the trial's studies is put aside, by its id or by its endpoint."""
    found = Counter()
    for entry in trial.not_predicted:
        found.update(r.id for r in of(trial) if r.id in entry.evidence or r.endpoint in entry.endpoint)
    return found


def test_every_study_of_depression_stands_in_one_document_of_its_set():
    wanted = {(r.study, r.set) for r in OUTCOMES if r.indication in DEPRESSION}
    found = Counter((study, t.set) for t in TRIALS.values() if t.illness == "depression" for study in t.studies)
    assert found == Counter(wanted)


COHORTS = {
    "BALDESSARINI2012_CYCLES",
    "JUDD2002",
    "PERLIS2006_STEPBD",
    "PERLIS2010_STEPBD",
    "SCHNECK2008_STEPBD",
    "SOLOMON2010_CDS",
    "SOLOMON2013_CDS",
    "VIKTORIN2014",
}
"""Of people with bipolar disorder, followed without randomisation: they tell how the poles go (`learn.poles`)."""


def test_every_trial_of_bipolar_disorder_stands_in_one_document_of_its_set():
    rows = [r for r in OUTCOMES if "bipolar" in r.indication and r.indication not in DEPRESSION]
    wanted = {(r.study, r.set) for r in rows if r.study not in COHORTS}
    found = Counter((study, t.set) for t in TRIALS.values() if t.illness == "bipolar disorder" for study in t.studies)
    assert found == Counter(wanted)
    assert {r.study for r in rows} >= COHORTS


def test_every_trial_of_ptsd_stands_in_one_document_of_its_set():
    rows = [r for r in OUTCOMES if "PTSD" in r.indication]
    wanted = {(r.study, r.set) for r in rows if r.study != "MORINA2014"}  # a meta-analysis of the untreated course
    found = Counter((study, t.set) for t in TRIALS.values() if t.illness == "PTSD" for study in t.studies)
    assert found == Counter(wanted)


@pytest.mark.parametrize("name", TRIALS)
def test_every_row_is_used_or_put_aside_but_not_both(name):
    trial = TRIALS[name]
    aside = without_prediction(trial)
    assert {r.id for r in of(trial)} == used(trial) | set(aside)
    assert not used(trial) & set(aside)
    assert max(aside.values(), default=1) == 1


@pytest.mark.parametrize("name", TRIALS)
def test_what_is_put_aside_exists(name):
    trial = TRIALS[name]
    ids, endpoints = {r.id for r in of(trial)}, {r.endpoint for r in of(trial)}
    for entry in trial.not_predicted:
        assert entry.evidence or entry.endpoint
        assert set(entry.evidence) <= ids
        assert set(entry.endpoint) <= endpoints


@pytest.mark.parametrize("name", TRIALS)
def test_cited_rows_are_of_its_own_set_and_studies_and_numbers_but_for_differences(name):
    trial = TRIALS[name]
    in_words = {id for e in trial.endpoints if e.measure in ("difference", "effect size") for id in e.evidence}
    for id in used(trial):
        row = ROWS[id]
        assert (row.set, row.study in trial.studies) == (trial.set, True)
        assert row.value_number is not None or id in in_words


@pytest.mark.parametrize("name", TRIALS)
def test_a_score_at_entry_from_the_evidence_has_its_sd(name):
    for arm in TRIALS[name].arms:
        if arm.baseline.evidence:
            assert ROWS[arm.baseline.evidence].spread_type == "SD"


@pytest.mark.parametrize("name", TRIALS)
def test_no_arm_is_without_an_endpoint(name):
    trial = TRIALS[name]
    assert {arm.arm for arm in trial.arms} == {arm for e in trial.endpoints for arm in e.arm}


@pytest.mark.parametrize("name", TRIALS)
def test_no_row_is_predicted_twice_the_same_way(name):
    ways = Counter((id, e.read_as) for e in TRIALS[name].endpoints for id in e.evidence if e.read_as == "value")
    assert max(ways.values(), default=1) == 1


@pytest.mark.parametrize("name", TRIALS)
def test_values_of_a_trial_are_told_apart_by_what_a_table_says_of_them(name):
    said = Counter(
        (e.called or e.arm, e.measure, e.pole, e.fall, e.points, e.limit, e.when or e.at.value)
        for e in TRIALS[name].endpoints
    )
    assert [what for what, times in said.items() if times > 1] == []


def test_trials_that_found_nothing_are_there():
    assert set(TRIALS) >= NULL_TRIALS
    assert {TRIALS[name].set for name in NULL_TRIALS} == {"validation"}


@pytest.mark.parametrize("name", TRIALS)
def test_nothing_is_asked_beyond_two_years(name):
    for e in TRIALS[name].endpoints:
        assert max((e.at.value, *e.visits)) <= 104 * 7 * 24
