"""The page of a planned trial, from scores made up for the purpose: its numbers are the result's own."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import polars as pl
import pytest
from samples import HOSTILE, made_up_trial

from euthymia.errors import UserError
from euthymia.report.compared import comparisons, headline
from euthymia.report.trial import FILES, curve_table, flow, look_table, page, trajectory_table, write_trial
from euthymia.report.trial_charts import event_curves, forest
from euthymia.trial.analysis import NEVER, analyse
from euthymia.trial.calendars import warnings
from euthymia.trial.plan import Plan, examples, groups, load_plan
from euthymia.trial.reading import read_document
from euthymia.trial.result import TrialResult

ODD = """trial: odd
title: A trial of three arms
illness: depression
population: MDD
design: {expectancy: saline, setting: outpatient, sites: one}
type: parallel
patients: 60
arms:
  - {arm: one, protocol: ketamine-iv-single}
  - {arm: two, protocol: ketamine-iv-single}
  - {arm: saline, protocol: saline-iv, comparator: yes}
visits: [0 h, 24 h, 1 week]
adaptive: {looks: [0.5, 1], stop: pocock, drop arms below: 10 %}
endpoints:
  - {endpoint: change, at: 24 h, primary: yes}
  - {endpoint: response, at: 24 h}
  - {endpoint: time to response, analysis: cox}
  - {endpoint: time to response, analysis: log-rank}
"""


def odd_plan(**changes: str) -> Plan:
    text = ODD
    for old, new in changes.items():
        text = text.replace(old, new)
    return read_document(text, "odd.yaml", Plan, "a planned trial")


def stopped(result: TrialResult, replicate: int, look: int) -> TrialResult:
    """The same, had one of its trials ended at a look (number 0, 1, ...)."""
    assert result.plan.adaptive
    out = result.outcomes
    last = round(result.plan.adaptive.looks[look] * result.plan.patients)
    out.arm[replicate, last:] = NEVER
    out.scores[replicate, last:] = np.nan
    out.stopped[replicate] = look
    return replace(result, estimates=analyse(result.plan, out))


def text_of(html: str) -> str:
    """The words of a page."""
    body = re.sub(r"<(style|svg).*?</\1>", "", html, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body))).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module", params=[1, 6])
def every_example(request):
    """All example plans, carried out once and six times."""
    return [made_up_trial(load_plan(name), request.param) for name in examples()]


@pytest.fixture(scope="module")
def pages():
    """All example plans with their page: every other one carried out once, the rest six times."""
    results = [made_up_trial(load_plan(name), 1 + 5 * (k % 2)) for k, name in enumerate(examples())]
    return [(result, page(result)) for result in results]


@pytest.fixture(scope="module")
def power():
    return made_up_trial(load_plan("esketamine-dose-ranging"), 6)


@pytest.fixture(scope="module")
def file(power, tmp_path_factory):
    return write_trial(power, tmp_path_factory.mktemp("trial") / "index.html")


@pytest.fixture(scope="module")
def html(file):
    return file.read_text(encoding="utf-8")


# --- numbers are the result's own -------------------------------------------------------------------------------------


def test_page_has_every_comparison(pages):
    for result, html in pages:
        said = text_of(html)
        found = comparisons(result)
        assert len(found) == len(result.estimates.filter(pl.col("replicate") == 0))
        assert all(f"{c.against} {c.n:,.0f}" in said and f"{c.estimate} {c.between}" in said for c in found)


def test_power_and_its_error_are_those_of_the_result(power):
    table = power.power()
    for c, row in zip(comparisons(power), table.iter_rows(named=True), strict=True):
        factor = 100 if row["analysis"] == "risk difference" else 1
        assert float(c.estimate) == pytest.approx(factor * row["estimate"], abs=0.051)
        if 0 < row["power"] < 1:
            share, error = (float(x) for x in c.sureness.removesuffix(" %").split(" ± "))
            assert share == pytest.approx(100 * row["power"], abs=0.051)
            assert error == pytest.approx(100 * row["standard error"], abs=0.051)


def test_one_trial_gives_p_values_and_the_numbers_needed():
    result = made_up_trial(load_plan("ketamine-against-midazolam"))
    for c, row in zip(comparisons(result), result.estimates.iter_rows(named=True), strict=True):
        assert c.sureness == ("< 0.001" if row["p value"] < 0.001 else f"{row['p value']:.3f}")
        if row["analysis"] == "risk difference":
            assert float(c.needed) == pytest.approx(row["NNT"], abs=0.051)


def test_two_limits_of_remission_are_two_endpoints():
    remission = "{endpoint: remission, at: 24 h, limit: 12}\n  - {endpoint: remission, at: 24 h, limit: 20}"
    result = made_up_trial(odd_plan(**{"{endpoint: response, at: 24 h}": remission}), 4)
    shares = {c.endpoint.limit: c.mean for c in comparisons(result) if c.endpoint.endpoint == "remission"}
    assert shares[12.0] < shares[20.0]


def test_headline_is_the_primary_endpoint_and_begins_the_page(pages):
    for result, html in pages:
        found = comparisons(result)
        said = headline(result, found)
        primary = [c for c in found if c.primary]
        assert primary and all(c.against in said and c.between in said for c in primary)
        text = text_of(html)
        assert text.index(said) < text.index("The plan")


def test_headline_without_effect_speaks_of_the_type_i_error(power):
    found = comparisons(replace(power, no_effect=True))
    said = headline(replace(power, no_effect=True), found)
    assert "type I error" in said and "comparator gets" in said and "power" not in said.lower()


def test_flow_adds_up(every_example):
    for result in every_example:
        if result.replicates > 1:
            continue
        found, table = flow(result), result.flow()
        assert int(found.screened) == table["screened"][0]
        assert sum(int(g.randomised) for g in found.groups) == int(found.randomised) == table["randomised"].sum()
        through = int(found.randomised) + int(found.not_let_in) + int(found.not_randomised or 0)
        assert through == int(found.screened)
        assert [int(g.completed) for g in found.groups] == table["completed"].to_list()


def test_flow_of_several_trials_gives_mean_and_range(power):
    counts = power.flow().filter(pl.col("arm") == power.plan.arms[0].arm)["randomised"]
    first = flow(power).groups[0].randomised
    assert first == f"{counts.mean():.1f} ({counts.min()} to {counts.max()})"


def test_tables_hold_every_visit_of_every_group(every_example):
    for result in every_example:
        table = result.trajectories()
        made = trajectory_table(result.plan, table)
        assert made.head[1:] == tuple(groups(result.plan))
        assert sum(cell != "-" for row in made.rows for cell in row[1:]) == len(table)


def test_curves_start_whole_fall_and_agree_with_kaplan_and_meier():
    result = made_up_trial(load_plan("esketamine-withdrawal"))
    endpoint = event_curves(result.plan)[0]
    table = result.curves(endpoint)
    for name, exact in result.survival(endpoint).items():
        own = table.filter(pl.col("arm") == name)
        assert own["share"][0] == 1 and own["share"].is_sorted(descending=True)
        assert own["at risk"][0] == (result.outcomes.arm[0] == [a.arm for a in result.plan.arms].index(name)).sum()
        assert own["share"][-1] == exact.survival[-1]
        assert (own["low"] <= own["share"]).all() and (own["share"] <= own["high"]).all()
        for day, share in zip(exact.time, exact.survival, strict=True):
            assert own.filter(pl.col("days") == day)["share"].item() == share


def test_curves_of_several_trials_are_their_median():
    result = made_up_trial(load_plan("esketamine-withdrawal"), 7)
    endpoint = event_curves(result.plan)[0]
    name = result.plan.arms[0].arm
    last = [result.survival(endpoint, r)[name].survival[-1] for r in range(7)]
    own = result.curves(endpoint).filter(pl.col("arm") == name)
    assert own["share"][-1] == pytest.approx(np.median(last))
    assert own["low"][-1] == pytest.approx(np.quantile(last, 0.05))


def test_the_same_curve_is_drawn_once():
    plan = load_plan("esketamine-withdrawal")  # relapse by three analyses, all to the last visit
    assert len(event_curves(plan)) == 1
    made = curve_table(plan, event_curves(plan)[0], made_up_trial(plan).curves(event_curves(plan)[0]))
    assert len(made.rows) == len(plan.visits)


def test_looks_count_every_trial_and_every_patient():
    result = stopped(made_up_trial(odd_plan(), 5), 2, 0)
    table = result.looks()
    first = table.filter(pl.col("look") == 1)
    assert first["ended"].unique().to_list() == [1] and first["reached"].unique().to_list() == [5]
    assert table.filter(pl.col("look") == 2)["reached"].unique().to_list() == [4]
    assert table.group_by("arm").agg(pl.col("ended").sum())["ended"].unique().to_list() == [5]
    given = (table["mean"] * table["reached"]).sum()
    assert given == pytest.approx((result.outcomes.arm != NEVER).sum())
    made = look_table(result)
    assert made and "1 (20 %) stopped here" in made.rows[0][3] and "4 (80 %) went to the end" in made.rows[1][3]


def test_a_trial_that_ended_early_says_so():
    result = made_up_trial(odd_plan())
    assert "ended at a look" not in headline(result, comparisons(result))
    early = stopped(result, 0, 0)
    assert "ended at a look, after 30 of 60 planned patients" in headline(early, comparisons(early))


def test_scores_that_stand_for_published_rates_are_not_shown():
    result = made_up_trial(load_plan("ketamine-against-ect"))
    told = text_of(page(result))
    assert "Not shown: electroconvulsive therapy" in told and "Visit ketamine start" in told
    assert "no scores" in text_of(page(replace(result, no_effect=True)))


def test_no_looks_where_none_were_planned(every_example):
    for result in every_example:
        assert (look_table(result) is None) == (result.plan.adaptive is None)


# --- what is said -----------------------------------------------------------------------------------------------------


def test_page_says_what_it_is_and_what_the_numbers_hold(power, html):
    said = text_of(html)
    assert "virtual patients" in said and "a clinician decides" in said
    assert power.summary()["contains"] in said and "Not in them" in said
    assert power.summary()["evidence"] in said and f"euthymia {power.summary()['version']}" in said and "Seed 7" in said


def test_one_trial_does_not_claim_the_spread_between_studies():
    contains = made_up_trial(odd_plan()).summary()["contains"]
    assert "neither spread between studies" in contains


def test_plan_is_told(power, html):
    said = text_of(html)
    for words in ("240 randomised, at 20 sites", "blocks of 6", "Bonferroni", "below 10 %", "2 % leave in a week"):
        assert words in said
    assert all(arm.arm in said for arm in power.plan.arms)
    assert "Sham sessions at the times of" in said


def test_page_names_the_score_of_its_illness_and_no_other(pages):
    for result, said in pages:
        scale = result.plan.scale.name
        other = {"MADRS": "CAPS-5", "CAPS-5": "MADRS"}[scale]
        assert scale in said and other not in said
        assert scale in result.patients().columns


def test_page_and_summary_say_what_no_data_support_and_what_guidelines_say():
    result = made_up_trial(load_plan("ketamine-before-exposure"))
    ketamine, saline = (arm.arm for arm in result.plan.arms)
    said, warned = text_of(page(result)), result.summary()["warnings"]
    assert list(warned) == [ketamine] and saline not in warned
    assert all(f"{ketamine} : {warning}." in said for warning in warned[ketamine])
    assert any("from rats alone" in warning for warning in warned[ketamine])
    assert any("VA/DoD" in warning for warning in warned[ketamine])
    assert not replace(result, no_effect=True).warnings


def test_a_warning_of_several_arms_is_given_once(power, html):
    said, (first, second, _) = text_of(html), (arm.arm for arm in power.plan.arms)
    assert all(f"{first}, {second} : {warning}." in said for warning in power.warnings[first])
    assert all(said.count(warning) == 1 for warning in power.warnings[first])


def test_what_is_said_against_the_lead_in_is_said_of_every_arm():
    text = ODD[: ODD.index("arms:")].replace("depression", "PTSD").replace("MDD", "veteran PTSD")
    text = (
        text.replace("parallel", "randomised withdrawal")
        + """arms:
  - {arm: on, after lead in: goes on}
  - {arm: off, after lead in: stops, comparator: yes}
lead in: {protocol: ketamine-iv-ptsd, lasts: 2 weeks, randomised when: response, at: [2 weeks]}
visits: [0 h, 1 week]
endpoints:
  - {endpoint: change, at: 1 week}
"""
    )
    warned = warnings(read_document(text, "odd.yaml", Plan, "a planned trial"))
    assert list(warned) == ["on", "off"]
    assert all("VADOD-PTSD-2" in said[0] for said in warned.values())


def test_fewer_switches_to_mania_are_better():
    result = made_up_trial(load_plan("ketamine-bipolar"))
    switch = next(c for c in comparisons(result) if c.endpoint.endpoint == "switch to mania")
    assert switch.measure.better.startswith("below 0") and switch.nnt is None


def test_page_says_that_the_spread_of_episodes_between_studies_is_left_out():
    with_, without = (
        text_of(page(made_up_trial(load_plan(n)))) for n in ("lithium-against-valproate", "ketamine-crossover")
    )
    assert "How often episodes come differs between studies" in with_
    assert "How often episodes come" not in without


def test_page_names_the_files_that_are_written(html, power, tmp_path):
    power.write(tmp_path)
    assert {place.name for place in tmp_path.iterdir()} == set(FILES)
    assert all(f'href="{name}"' in html for name in FILES)


# --- odd trials -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicates", [1, 4])
def test_arm_that_nobody_was_given(replicates):
    result = made_up_trial(odd_plan(), replicates, without=1)
    said = text_of(page(result))
    assert "two against saline" not in said and "one against saline" in said
    assert flow(result).groups[1].randomised == "0"


@pytest.mark.parametrize("replicates", [1, 4])
def test_endpoint_without_any_estimate(replicates):
    # nobody gets better, so nobody responds
    result = made_up_trial(odd_plan(), replicates)
    result.outcomes.scores[:] = np.where(np.isnan(result.outcomes.scores), np.nan, result.outcomes.baseline[..., None])
    result = replace(result, estimates=analyse(result.plan, result.outcomes))
    found = comparisons(result)
    of_time = [c for c in found if c.endpoint.endpoint == "time to response"]
    assert of_time and all(c.estimate == c.between == "-" and c.failed == replicates for c in of_time)
    assert "could not be estimated" in headline(result, found)
    assert text_of(page(result)).count("Failed: trials without an estimate") == 1


def test_no_forest_where_nothing_was_estimated():
    found = [replace(c, value=None) for c in comparisons(made_up_trial(odd_plan()))]
    assert forest(found) is None


@pytest.mark.parametrize("old, new", [("A trial of three arms", HOSTILE), ("one", "<img src=x onerror=1>")])
def test_hostile_names_are_escaped(old, new):
    key = "title: " if new == HOSTILE else "arm: "
    text = page(made_up_trial(odd_plan(**{key + old: f'{key}"{new}"'}), 3))
    assert "<script" not in text and "<img" not in text
    assert "&lt;img" in text


def test_folder_that_cannot_be_written(power, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        write_trial(power, tmp_path / "file" / "index.html")
