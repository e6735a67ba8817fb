"""Planned trials on virtual patients, checked against closed forms and against what they were told to do.

Tolerances are multiples of the Monte Carlo error: 4 standard errors, so that a sound simulation fails once in 16,000.
"""

import json

import numpy as np
import polars as pl
import pytest

from euthymia import evidence
from euthymia.course.simulate import simulate
from euthymia.errors import UserError
from euthymia.illness.bipolar import LEAST_DAYS, POLES, episodes
from euthymia.patient.population import draw
from euthymia.trial.analysis import Replicate, analyse, time_to_event
from euthymia.trial.plan import Plan
from euthymia.trial.reading import read_document
from euthymia.trial.run import power, run, sample_size
from euthymia.trial.statistics import power_two_means

PARALLEL = """trial: small
title: A small trial
illness: depression
population: TRD
design: {expectancy: midazolam, setting: outpatient, sites: one}
type: parallel
patients: 40
arms:
  - {arm: ketamine, protocol: ketamine-iv-single}
  - {arm: sham, sham of: ketamine-iv-single, comparator: yes}
visits: [0 h, 24 h, 72 h, 1 week]
endpoints:
  - {endpoint: change, at: 24 h, primary: yes}
  - {endpoint: response, at: 24 h}
"""
CROSSOVER = """trial: crossover
title: A crossover
illness: depression
population: TRD
design: {expectancy: saline, setting: outpatient, sites: one}
type: crossover
periods: {length: 1 week, washout: WASHOUT}
patients: 3000
arms:
  - {arm: ketamine, protocol: ketamine-iv-single}
  - {arm: saline, protocol: saline-iv, comparator: yes}
visits: [0 h, 24 h, 1 week]
endpoints:
  - {endpoint: change, at: 24 h, analysis: within patients}
"""
WITHDRAWAL = """trial: withdrawal
title: A withdrawal
illness: depression
population: TRD
design: {expectancy: open label, setting: outpatient, sites: one}
type: randomised withdrawal
patients: 400
lead in: {protocol: ketamine-iv-maintenance, lasts: 4 weeks, randomised when: response, at: [3 weeks, 4 weeks]}
arms:
  - {arm: on, after lead in: goes on}
  - {arm: off, after lead in: sham, comparator: yes}
visits: [0 h, {from: 1 week, every: 1 week, to: 8 weeks}]
relapse: {when: {MADRS: at least 22 points}, consecutive visits: 2}
endpoints:
  - {endpoint: relapse, analysis: log-rank, primary: yes}
  - {endpoint: relapse, analysis: cox}
  - {endpoint: relapse, at: 8 weeks, analysis: kaplan-meier}
"""


BIPOLAR = """trial: bipolar
title: A trial of bipolar depression
illness: bipolar disorder
population: bipolar depression
design: {expectancy: open label, setting: outpatient, sites: one}
type: parallel
patients: 60
arms:
  - {arm: ketamine, protocol: ketamine-iv-bipolar}
  - {arm: sham, sham of: ketamine-iv-bipolar, comparator: yes}
visits: [0 h, 30 h, 1 week, 4 weeks]
endpoints:
  - {endpoint: change, at: 1 week, primary: yes}
  - {endpoint: switch to mania, at: 4 weeks}
  - {endpoint: time to episode}
"""
MAINTENANCE = """trial: maintenance
title: Lithium or valproate
illness: bipolar disorder
population: bipolar euthymia
design: {expectancy: open label, setting: outpatient, sites: many}
type: parallel
patients: 80
number of sites: 2
arms:
  - {arm: lithium, protocol: lithium}
  - {arm: valproate, protocol: valproate, comparator: yes}
visits: [0 h, 26 weeks, 52 weeks]
endpoints:
  - {endpoint: switch to mania, at: 52 weeks, primary: yes}
  - {endpoint: switch to mania, at: 26 weeks}
  - {endpoint: time to episode, analysis: log-rank}
"""
PTSD = """trial: ptsd
title: A trial of PTSD
illness: PTSD
population: civilian PTSD
design: {expectancy: open label, setting: outpatient, sites: one}
type: parallel
patients: 60
arms:
  - {arm: ketamine, protocol: ketamine-then-exposure}
  - {arm: sham, sham of: ketamine-then-exposure, comparator: yes}
visits: [0 h, 24 h, 1 week, 4 weeks]
endpoints:
  - {endpoint: change, at: 4 weeks, primary: yes}
  - {endpoint: response, at: 4 weeks}
"""


def planned(text: str = PARALLEL, *changes: tuple[str, str]) -> Plan:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return read_document(text, "trial.yaml", Plan, "a planned trial")


def within(share: float, expected: float, n: int) -> bool:
    """Whether a share of n lies within 4 standard errors of the expected one."""
    return abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def seen(result, arm: int, visit: int) -> np.ndarray:
    out = result.outcomes
    return out.scores[..., visit][out.arm == arm]


# --- who is simulated -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [PARALLEL, MAINTENANCE])
def test_the_numbers_do_not_depend_on_the_workers(text):
    one, two = (run(planned(text), 4, workers=w) for w in (1, 2))
    assert one.estimates.equals(two.estimates)
    assert np.array_equal(one.outcomes.scores, two.outcomes.scores, equal_nan=True)
    assert np.array_equal(one.outcomes.begins, two.outcomes.begins)


def test_a_replicate_does_not_depend_on_how_many_there_are():
    few, many = run(planned(), 2), run(planned(), 5)
    assert few.estimates.equals(many.estimates.filter(pl.col("replicate") < 2))


def test_a_patients_score_does_not_depend_on_who_else_is_in_the_trial():
    small, large = (run(planned(PARALLEL, ("patients: 40", f"patients: {n}"))).patients() for n in (12, 60))
    both = small.join(large, on=["patient", "arm", "time_h"])
    assert len(both)
    assert (both["MADRS"] == both["MADRS_right"]).all()


@pytest.mark.parametrize("text", [PARALLEL, WITHDRAWAL.replace("400", "40"), MAINTENANCE])
def test_the_numbers_do_not_depend_on_how_the_work_is_cut(monkeypatch, text):
    whole = run(planned(text), 4).outcomes
    monkeypatch.setattr("euthymia.trial.block.BLOCK", 1)
    cut = run(planned(text), 4).outcomes
    for name in ("arm", "patient", "scores", "begins", "screened", "entered"):
        assert np.array_equal(getattr(whole, name), getattr(cut, name), equal_nan=name == "scores")


def test_an_arm_is_what_its_protocol_gives_when_simulated_alone():
    plan = planned(PARALLEL, ("expectancy: midazolam", "expectancy: open label"))
    arm = run(plan, study_levels=False).outcomes
    course = simulate("ketamine-iv-single", patients=60, weeks=1, observe_h=plan.visits)
    inside = arm.arm[0] == 0
    difference = arm.scores[0, inside] - course.values["MADRS rated"][arm.patient[0, inside]]
    assert np.abs(difference).max() <= 1  # another mesh may round a rating the other way
    assert np.mean(difference != 0) < 0.02


@pytest.mark.parametrize(
    ("text", "protocol", "score"),
    [(BIPOLAR, "ketamine-iv-bipolar", "MADRS rated"), (PTSD, "ketamine-then-exposure", "CAPS-5 rated")],
)
def test_an_arm_of_another_illness_is_what_its_protocol_gives_when_simulated_alone(text, protocol, score):
    plan = planned(text)
    arm = run(plan, study_levels=False).outcomes
    course = simulate(protocol, patients=60, weeks=4, observe_h=plan.visits)
    inside = arm.arm[0] == 0
    difference = arm.scores[0, inside, 1:] - course.values[score][arm.patient[0, inside], 1:]
    assert np.abs(difference).max() <= 1  # another mesh may round a rating the other way
    assert np.mean(difference != 0) < 0.03


def test_those_between_episodes_enter_with_the_score_of_the_well():
    out = run(planned(MAINTENANCE)).outcomes
    first = simulate("lithium", patients=80, weeks=1, observe_h=[0.0, 168.0]).values["MADRS"][:, 0]
    assert np.abs(out.baseline[0] - first).max() < 5 * evidence.value("depression.rating_noise")
    assert abs(np.mean(out.baseline[0] - first)) < 4 * evidence.value("depression.rating_noise") / np.sqrt(80)


# --- episodes of bipolar disorder -------------------------------------------------------------------------------------


def test_episodes_are_those_of_the_same_people_simulated_alone():
    out = run(planned(MAINTENANCE), study_levels=False).outcomes
    table = simulate("lithium", patients=80, weeks=52).table
    inside = out.arm[0] == 0
    for k, pole in enumerate(POLES):
        alone = table[f"days to {pole} episode"].fill_nan(np.inf).to_numpy()[out.patient[0, inside]]
        assert np.array_equal(out.begins[0, inside, k], alone)
        assert 0 < np.isfinite(alone).sum() < inside.sum()


def test_switches_are_counted_up_to_their_visit():
    result = run(planned(MAINTENANCE), study_levels=False)
    begins, arm = result.outcomes.begins[0, :, POLES.index("manic")], result.outcomes.arm[0]
    year, half = (result.estimates.row(k, named=True) for k in (0, 1))
    for row, days in ((year, 364), (half, 182)):
        assert row["mean"] == np.mean(begins[arm == 0] <= days)
        assert row["mean comparator"] == np.mean(begins[arm == 1] <= days)
    assert half["mean"] + half["mean comparator"] < year["mean"] + year["mean comparator"]


def test_episodes_after_leaving_are_not_seen():
    plain = run(planned(MAINTENANCE), study_levels=False).outcomes
    plan = planned(MAINTENANCE, ("endpoints:", "dropout: {per week: 2 %}\nendpoints:"))
    out = run(plan, study_levels=False).outcomes
    until = np.array([0.0, 182.0, 364.0])[np.sum(~np.isnan(out.scores[0]), axis=1) - 1][:, None]
    seen = plain.begins[0] <= until
    assert np.array_equal(out.begins[0], np.where(seen, plain.begins[0], np.inf))
    assert 0 < seen.sum() < np.isfinite(plain.begins).sum()


def test_only_episodes_that_begin_after_randomisation_count():
    text = """trial: withdrawal
title: A withdrawal in bipolar disorder
illness: bipolar disorder
population: bipolar euthymia
design: {expectancy: open label, setting: outpatient, sites: many}
type: randomised withdrawal
patients: 60
number of sites: 2
lead in: {protocol: lithium, lasts: 26 weeks, randomised when: {MADRS: at most 60 points}, at: [26 weeks]}
arms:
  - {arm: one, after lead in: goes on}
  - {arm: two, after lead in: stops, comparator: yes}
visits: [0 h, 26 weeks]
endpoints:
  - {endpoint: time to episode}
"""
    out = run(planned(text), study_levels=False).outcomes
    days = np.arange(365)
    course = simulate("lithium", patients=int(out.patient.max()) + 1, weeks=52, observe_h=24.0 * days)
    for k, pole in enumerate(POLES):
        found = episodes(course.values[f"{pole} pole"].T, LEAST_DAYS[pole])
        first = np.full(course.patients, np.inf)
        for e in found:
            if e.start > 182:
                first[e.patient] = min(first[e.patient], e.start - 182)
        assert np.array_equal(out.begins[0, :, k], first[out.patient[0]])
        assert any(0 < e.start <= 182 for e in found)  # those that began before it


def test_the_time_to_an_episode_is_that_of_either_pole_while_the_patient_is_there():
    plan = planned(MAINTENANCE)
    scores = np.array([[9, 9, 9], [9, 9, 9], [9, 9, np.nan], [9, np.nan, np.nan]], float)
    begins = np.array([[200, 50], [np.inf, np.inf], [np.inf, 100], [np.inf, np.inf]])
    trial = Replicate(np.array([0, 0, 1, 1]), scores[:, 0], scores, begins)
    days, event = time_to_event(plan.endpoints[2], trial, plan)
    assert event.tolist() == [True, False, True, False]
    assert days.tolist() == [50, 364, 100, 0]


def test_replicates_have_episodes_of_their_own():
    begins = run(planned(MAINTENANCE, ("patients: 80", "patients: 400")), 2, study_levels=False).outcomes.begins
    one, two = np.isfinite(begins).any(2)
    n = one.size
    both = np.mean(one & two)  # the share of places at which both replicates have one, independent if they are
    expected = one.mean() * two.mean()
    assert abs(both - expected) < 4 * np.sqrt(expected * (1 - expected) / n)


def test_a_run_that_is_read_back_has_the_same_episodes(tmp_path):
    plan = planned(MAINTENANCE)
    written, read = (run(plan, 2, out=tmp_path / "run") for _ in range(2))
    assert np.array_equal(written.outcomes.begins, read.outcomes.begins)
    assert np.isfinite(read.outcomes.begins).any()


def test_the_data_of_a_trial_have_the_days_of_its_episodes():
    result = run(planned(MAINTENANCE), study_levels=False)
    column = result.patients().group_by("patient", maintain_order=True).first()["days to manic episode"]
    begins = result.outcomes.begins[0, :, POLES.index("manic")]
    assert column.null_count() == np.isinf(begins).sum()
    assert column.drop_nulls().to_list() == begins[np.isfinite(begins)].tolist()


# --- PTSD -------------------------------------------------------------------------------------------------------------


def test_depression_beside_ptsd_is_rated_at_entry():
    plan = planned(PTSD, ("patients: 60", "inclusion: {MADRS: at most 20 points}\npatients: 60"))
    out = run(plan).outcomes
    assert out.screened[0] > 80
    people = draw("civilian PTSD", int(out.patient.max()) + 1)
    assert people.baseline_madrs[out.patient[0]].max() < 20.5 + 5 * evidence.value("depression.rating_noise")
    assert people.baseline_madrs.max() > 30


def test_response_in_ptsd_is_a_fall_by_thirty_percent():
    result = run(planned(PTSD))
    row = result.estimates.filter(pl.col("analysis") == "risk difference").row(0, named=True)
    out, inside = result.outcomes, result.outcomes.arm[0] == 0
    assert row["mean"] == np.mean(out.scores[0, inside, -1] <= 0.7 * out.baseline[0, inside])


def test_an_arm_of_ptsd_known_by_published_rates_has_them():
    rates = "published: {response: 45 %, remission: 20 %, limit: 12, at: 4 weeks, n: 200, source: a trial}"
    plan = planned(
        PTSD,
        ("sham of: ketamine-then-exposure", rates),
        (
            "{endpoint: change, at: 4 weeks, primary: yes}",
            "{endpoint: remission, limit: 12, at: 4 weeks, primary: yes}",
        ),
        ("patients: 60", "patients: 4000"),
    )
    t = Replicate.of(plan, run(plan, 1, study_levels=False, analysed=False).outcomes, 0)
    last, start = t.scores[t.arm == 1, -1], t.baseline[t.arm == 1]
    assert within((last <= 0.7 * start).mean(), 0.45, len(last))
    assert within((last <= 12).mean(), 0.2, len(last))


def test_patients_of_one_replicate_are_not_those_of_another():
    out = run(planned(), 3).outcomes
    assert len(np.unique(out.patient)) == out.patient.size


def test_another_seed_is_another_trial():
    one, two = (run(planned(), seed=seed, no_effect=True).outcomes.scores for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_only_those_who_meet_the_rules_at_their_rating_enter():
    out = run(planned(PARALLEL, ("patients: 40", "inclusion: {MADRS: at least 38 points}\npatients: 40")), 3).outcomes
    assert out.baseline.min() >= 38
    assert (out.screened > 40).all()


def test_what_is_assumed_around_a_trial_is_refused():
    with evidence.assume({"depression.gain": 0.0}), pytest.raises(UserError, match=r"depression\.gain: what is"):
        run(planned())


def test_rules_that_nobody_meets_are_one_sentence():
    plan = planned(PARALLEL, ("patients: 40", "inclusion: {age: at least 99 years}\npatients: 40"))
    with pytest.raises(UserError, match=r"only 0 of \d+ patients screened may enter"):
        run(plan)


@pytest.mark.parametrize("replicates", [0, 10_001])
def test_a_number_of_replicates_that_cannot_be_is_refused(replicates):
    with pytest.raises(UserError, match="replicates must be from 1 to 10000"):
        run(planned(), replicates)


# --- what is found ----------------------------------------------------------------------------------------------------


def test_without_an_effect_five_percent_of_trials_find_one():
    plan = planned(PARALLEL, ("endpoints:", "endpoints:\n  - {endpoint: change, at: 1 week, analysis: mmrm}"))
    found = power(plan, 400, no_effect=True)
    assert within(found.filter(pl.col("analysis") == "ancova")["power"].item(), 0.05, 400)
    assert within(found.filter(pl.col("analysis") == "mmrm")["power"].item(), 0.05, 400)


@pytest.mark.parametrize("text", [BIPOLAR, PTSD])
def test_without_an_effect_five_percent_of_trials_of_other_illnesses_find_one(text):
    found = power(planned(text), 300, no_effect=True)
    assert within(found.filter("primary")["power"].item(), 0.05, 300)


def test_looks_keep_the_level():
    looks = "adaptive: {looks: [0.5, 1], stop: pocock}\nendpoints:"
    result = run(planned(PARALLEL, ("endpoints:", looks), ("patients: 40", "patients: 60")), 400, no_effect=True)
    assert within(result.power().filter("primary")["power"].item(), 0.05, 400)
    stopped = result.outcomes.stopped >= 0
    assert (np.sum(result.outcomes.arm >= 0, axis=1) == np.where(stopped, 30, 60)).all()
    assert stopped.any()


def test_power_agrees_with_the_closed_form():
    """Two arms differ in spread as well as in mean, which equal arms forgive; scores are not quite normal."""
    large = run(planned(PARALLEL, ("patients: 40", "patients: 16000")), study_levels=False)
    row = large.estimates.filter("primary").row(0, named=True)
    sd = row["standard error"] * np.sqrt(16000 / 4)
    small = power(planned(PARALLEL, ("patients: 40", "patients: 28")), 600, study_levels=False)
    expected = power_two_means(row["estimate"], sd, 14)
    assert 0.3 < expected < 0.9
    assert abs(small.filter("primary")["power"].item() - expected) < 4 * np.sqrt(expected * (1 - expected) / 600)


def test_studies_that_differ_spread_the_estimates():
    large = planned(PARALLEL, ("patients: 40", "patients: 400"))  # so that sampling is the smaller part
    alike, apart = (run(large, 60, study_levels=levels).estimates.filter("primary") for levels in (False, True))
    assert apart["estimate"].std() > 1.3 * alike["estimate"].std()


def test_the_number_needed_to_treat_is_one_over_the_difference_in_rates():
    rows = run(planned(), 5).estimates.filter(pl.col("analysis") == "risk difference")
    difference = rows["mean"] - rows["mean comparator"]
    assert np.allclose(rows["estimate"], difference)
    assert np.allclose(1 / rows["NNT"].to_numpy(), difference)


def test_those_who_left_are_no_responders():
    plan = planned(PARALLEL, ("endpoints:", "dropout: {per week: 90 %}\nendpoints:"), ("at: 24 h}", "at: 1 week}"))
    row = run(plan).estimates.filter(pl.col("analysis") == "risk difference").row(0, named=True)
    result = run(plan)
    there = ~np.isnan(seen(result, 0, -1))
    assert row["n"] == 20
    assert row["mean"] <= there.mean()


# --- dropout and ratings ----------------------------------------------------------------------------------------------

LONG = (("patients: 40", "patients: 4000"), ("[0 h, 24 h, 72 h, 1 week]", "[0 h, 24 h, 1 week, 3 weeks]"))


def test_patients_leave_at_the_stated_hazard_and_do_not_come_back():
    plan = planned(PARALLEL, *LONG, ("endpoints:", "dropout: {per week: 10 %}\nendpoints:"))
    out = run(plan, no_effect=True).outcomes
    gone = np.isnan(out.scores[0])
    assert (np.diff(gone.astype(int), axis=1) >= 0).all()
    assert within(gone[:, 2].mean(), 0.1, 4000)
    assert within(gone[:, 3].mean(), 1 - 0.9**3, 4000)


def test_those_with_a_higher_last_score_leave_more():
    rising = "dropout: {per week: 10 %, at score: 25 points, more per point: 10 %}\nendpoints:"
    scores = run(planned(PARALLEL, *LONG, ("endpoints:", rising)), no_effect=True).outcomes.scores[0]
    there, last = ~np.isnan(scores[:, 2]), np.isnan(scores[:, 3])
    for low in (10, 20, 30):
        near = there & (np.abs(scores[:, 2] - low) <= 1)
        chance = 1 - 0.9 ** (2 * 1.1 ** (scores[near, 2] - 25.0))
        assert within(last[near].mean(), chance.mean(), near.sum())


def test_sites_lean_as_much_as_stated():
    """Sites of the same patients rated with and without leaning, before rounding matters."""
    many = (("sites: one", "sites: many"), ("patients: 40", "patients: 6000\nnumber of sites: 300"))
    plain = planned(PARALLEL, *many)
    leaning = planned(PARALLEL, *many, ("endpoints:", "ratings: {site sd: 3 points}\nendpoints:"))
    a, b = (run(p, no_effect=True).outcomes for p in (plain, leaning))
    assert np.array_equal(a.patient, b.patient)
    inside = a.baseline[0] < 45  # far from the end of the scale
    shift = (b.baseline - a.baseline)[0]
    sites = np.array([shift[(a.site[0] == s) & inside].mean() for s in np.unique(a.site[0])])
    assert abs(sites.std() / 3 - 1) < 4 / np.sqrt(2 * len(sites))


def test_strata_have_blocks_of_their_own():
    plan = planned(
        PARALLEL,
        ("sites: one", "sites: many"),
        ("patients: 40", "patients: 200\nnumber of sites: 4\nrandomisation: {block: 4, stratify by: [site]}"),
    )
    out = run(plan, no_effect=True).outcomes
    for s in range(4):
        inside = out.site[0] == s
        assert abs((out.arm[0, inside] == 0).sum() - (out.arm[0, inside] == 1).sum()) <= 2


# --- crossover, withdrawal, adaptation --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crossed():
    """Without a washout, and with one that outlasts every trace of the drug."""
    return [run(planned(CROSSOVER, ("WASHOUT", w)), study_levels=False) for w in ("0 h", "80 weeks")]


def test_ketamine_carries_over_a_short_washout_and_less_over_a_long_one(crossed):
    assert crossed[0].estimates["carry-over p value"].item() < 1e-3
    carried = []
    for result in crossed:
        none = run(result.plan, study_levels=False, no_effect=True)  # the same patients, given saline twice
        after_ketamine = result.outcomes.arm == 0
        second = (r.outcomes.scores[..., 4][after_ketamine].mean() for r in (result, none))
        carried.append(next(second) - next(second))
    short, long = carried
    assert short < -1
    assert abs(long) < abs(short) / 4


def test_a_crossover_compares_patients_with_themselves(crossed):
    for result in crossed:
        scores, sequence = result.outcomes.scores[0], result.outcomes.arm[0]
        difference = np.where(sequence == 0, 1, -1) * (scores[:, 1] - scores[:, 4])
        by_sequence = [difference[sequence == s].mean() for s in (0, 1)]
        assert np.isclose(result.estimates["estimate"].item(), np.mean(by_sequence), atol=1e-4)


@pytest.fixture(scope="module")
def withdrawn():
    return run(planned(WITHDRAWAL), study_levels=False)


def test_those_who_stop_relapse_more(withdrawn):
    hazard, cox, free = (withdrawn.estimates.row(k, named=True) for k in range(3))
    assert hazard["p value"] < 0.01
    assert hazard["high"] < 1
    assert cox["high"] < 1
    assert free["low"] > 0
    assert hazard["mean"] < hazard["mean comparator"]


def test_those_randomised_had_responded_and_differ_only_afterwards(withdrawn):
    out = withdrawn.outcomes
    assert out.entered[0] > 400
    means = [seen(withdrawn, k, 0).mean() for k in (0, 1)]
    spread = out.scores[0, :, 0].std() * np.sqrt(4 / 400)
    assert abs(means[0] - means[1]) < 4 * spread


def test_a_relapse_needs_its_consecutive_visits():
    plan = planned(WITHDRAWAL)
    high, low, left = 30.0, 10.0, np.nan
    scores = np.array(
        [
            [low, high, low, high, low, high, low, high, low],  # never twice in a row
            [low, low, high, high, low, low, low, low, low],  # confirmed at week 3
            [low, low, low, left, left, left, left, left, left],  # left after week 2
            [low, high, left, left, left, left, left, left, left],  # left before it was confirmed
        ]
    )
    trial = Replicate(np.array([0, 0, 1, 1]), scores[:, 0], scores, np.full((4, 2), np.inf))
    days, event = time_to_event(plan.endpoints[0], trial, plan)
    assert event.tolist() == [False, True, False, False]
    assert days.tolist() == [56, 21, 14, 7]


THREE = (
    ("  - {arm: sham,", "  - {arm: nothing, sham of: ketamine-iv-single}\n  - {arm: sham,"),
    ("patients: 40", "patients: 120"),
)


def test_an_arm_that_does_nothing_is_dropped_more_often_than_ketamine():
    dropping = "adaptive: {looks: [0.5, 1], drop arms below: 20 %}\nendpoints:"
    result = run(planned(PARALLEL, *THREE, ("endpoints:", dropping)), 40)
    ketamine, nothing = (np.sum(result.outcomes.arm == k, axis=1).mean() for k in (0, 1))
    assert nothing < 0.7 * ketamine
    assert set(np.sum(result.outcomes.arm[:, :60] == 1, axis=1)) == {20}


def test_adaptive_allocation_gives_more_patients_what_works():
    adapting = "adaptive: {looks: [0.25, 0.5, 0.75, 1], allocation: response adaptive}\nendpoints:"
    result = run(planned(PARALLEL, *THREE, ("endpoints:", adapting)), 40)
    share = [np.mean(result.outcomes.arm[:, 90:] == k) for k in (0, 1, 2)]
    assert share[0] > 1.5 * max(share[1:])
    assert min(share) > 0.1 / 2


# --- how large, and what is written -----------------------------------------------------------------------------------


def test_the_sample_size_has_the_power_wanted():
    found = sample_size(planned(), 0.7, replicates=200, study_levels=False)
    assert found.reached
    assert found.low <= found.patients <= found.high
    again = run(planned(PARALLEL, ("patients: 40", f"patients: {found.patients}")), 600, study_levels=False).estimates
    others = again.filter("primary", pl.col("replicate") >= 200)["significant"]  # trials that the search did not see
    error = np.hypot(found.standard_error, np.sqrt(0.7 * 0.3 / 400))
    assert abs(others.mean() - 0.7) < 4 * error


def test_a_size_that_no_trial_reaches_is_said():
    found = sample_size(planned(), 0.9, replicates=40, largest=80, no_effect=True)
    assert not found.reached
    assert found.patients == 80


def test_an_adaptive_trial_has_no_sample_size():
    plan = planned(PARALLEL, ("endpoints:", "adaptive: {looks: [0.5, 1], stop: pocock}\nendpoints:"))
    with pytest.raises(UserError, match="leave `adaptive` out"):
        sample_size(plan)


def test_the_second_stage_can_be_done_again_without_the_first():
    result = run(planned(), 3)
    assert analyse(result.plan, result.outcomes).equals(result.estimates)


def test_what_is_written_is_what_was_found(tmp_path):
    result = run(planned(), 3)
    result.write(tmp_path)
    assert pl.read_parquet(tmp_path / "endpoints.parquet").equals(result.estimates)
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["comparisons"][0]["power"] == result.power()["power"][0]
    flow = pl.read_csv(tmp_path / "flow.csv")
    assert (flow["randomised"] == flow["dropped out"] + flow["completed"]).all()
    assert len(pl.read_csv(tmp_path / "patients.csv")) == 40 * 4
    assert set(pl.read_csv(tmp_path / "trajectories.csv")["arm"]) == {"ketamine", "sham"}


# --- arms known by published rates; unblinding ------------------------------------------------------------------------

ECT = """  - arm: ect
    published: {response: 41.2 %, remission: 22 %, at: 1 week, n: 170, source: a trial}
    comparator: yes
"""


def against_ect(*changes: tuple[str, str]) -> Plan:
    sham = "  - {arm: sham, sham of: ketamine-iv-single, comparator: yes}\n"
    rates = "{endpoint: response, at: 1 week, primary: yes}\n  - {endpoint: remission, at: 1 week}"
    old = "{endpoint: change, at: 24 h, primary: yes}\n  - {endpoint: response, at: 24 h}"
    return planned(PARALLEL, (sham, ECT), (old, rates), ("patients: 40", "patients: 4000"), *changes)


def test_an_arm_known_by_published_rates_has_them():
    plan = against_ect()
    (t,) = [Replicate.of(plan, run(plan, 1, study_levels=False, analysed=False).outcomes, 0)]
    ect = t.arm == 1
    n, last, start = ect.sum(), t.scores[ect, -1], t.baseline[ect]
    assert within((last <= start / 2).mean(), 0.412, n)
    assert within((last <= 12).mean(), 0.22, n)


def test_a_published_rate_is_as_uncertain_as_that_of_its_patients():
    plan = against_ect(("patients: 4000", "patients: 400"), ("n: 170", "n: 40"))
    out = run(plan, 300, analysed=False).outcomes
    shares = np.array(
        [np.mean(s[a == 1, -1] <= b[a == 1] / 2) for s, a, b in zip(out.scores, out.arm, out.baseline, strict=True)]
    )
    expected = 0.412 * 0.588 * (1 / 42 + 1 / 200)  # of the rate, and of 200 patients
    assert shares.var() == pytest.approx(expected, rel=4 * np.sqrt(2 / 300))


def test_nobody_leaves_an_arm_known_by_published_rates():
    plan = against_ect(("visits:", "dropout: {per week: 20 %}\nvisits:"))
    t = Replicate.of(plan, run(plan, 1, analysed=False).outcomes, 0)
    assert not np.isnan(t.scores[t.arm == 1]).any()
    assert np.isnan(t.scores[t.arm == 0, -1]).mean() == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("remission: 22 %", "remission: 50 %", "must rise from 0 % over remission and response"),
        ("endpoint: response, at: 1 week", "endpoint: change, at: 1 week", "known by published rates alone"),
        ("endpoint: response, at: 1 week", "endpoint: response, at: 24 h", "known by published rates alone"),
        ("endpoint: remission, at: 1 week", "endpoint: remission, at: 1 week, limit: 10", "remission \\(at most 12\\)"),
        ("n: 170", "n: 0", "n"),
        ("visits:", "unblinding: 120 %\nvisits:", "from 0 % to 100 %"),
    ],
)
def test_an_arm_that_rates_cannot_describe_is_refused(old, new, said):
    with pytest.raises(UserError, match=said):
        against_ect((old, new))


def test_believing_in_the_drug_widens_the_difference_and_nothing_else_does():
    many = ("patients: 40", "patients: 2000")

    def means(*changes: tuple[str, str]) -> np.ndarray:
        plan = planned(PARALLEL, many, *changes)
        out = run(plan, 1, study_levels=False, analysed=False).outcomes
        change = out.scores[0, :, 1] - out.baseline[0]
        return np.array([change[out.arm[0] == k].mean() for k in (0, 1)])

    blind, told_nothing, unblind = (
        means(*([("visits:", f"unblinding: {x} %\nvisits:")] if x is not None else [])) for x in (None, 0, 60)
    )
    assert np.array_equal(blind, told_nothing)
    assert unblind[1] > blind[1] + 1  # who got the sham knows, and improves less
    assert unblind[1] - unblind[0] > blind[1] - blind[0] + 1


def test_belief_begins_anew_in_the_second_period_of_a_crossover():
    text = CROSSOVER.replace("WASHOUT", "1 week").replace("patients: 3000", "patients: 2000")
    out = run(planned(text + "unblinding: 100 %\n"), 1, study_levels=False, analysed=False).outcomes
    blind = run(planned(text), 1, study_levels=False, analysed=False).outcomes
    saline_first = out.arm[0] == 1
    worse = (out.scores - blind.scores)[0]
    assert worse[saline_first, 1].mean() > 1  # without a drug nothing is left of the response that is not the drug's
    assert worse[~saline_first, 4].mean() > 1  # and so in the second period, whatever the first one brought


def test_sessions_after_the_last_visit_unblind_nobody():
    text = (
        CROSSOVER.replace("WASHOUT", "1 week").replace("patients: 3000", "patients: 20").replace("24 h, 1 week", "24 h")
    )
    text = text.replace("ketamine-iv-single", "ketamine-iv-thrice-weekly")  # of which one is before the visit
    out = run(planned(text + "unblinding: 50 %\n"), 1, analysed=False).outcomes
    assert not np.isnan(out.scores).any()
