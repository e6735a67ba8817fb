"""The page of a planned trial, from scores made up for the purpose: its numbers are the result's own."""

import re
from dataclasses import replace
from html import unescape

import numpy as np
import polars as pl
import pytest

from euthymia.errors import UserError
from euthymia.report.compared import comparisons, headline
from euthymia.report.trial import FILES, curve_table, flow, look_table, page, trajectory_table, write_trial
from euthymia.report.trial_charts import event_curves, forest
from euthymia.trial.analysis import NEVER, Outcomes, analyse
from euthymia.trial.calendars import warnings
from euthymia.trial.plan import Plan, examples, first_times, groups, load_plan
from euthymia.trial.reading import read_document
from euthymia.trial.result import TrialResult

HOSTILE = "<script>window.harmed = 1</script><img src=x onerror='window.harmed=1'>"
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


def made_up(plan: Plan, replicates: int = 1, effect: float = 8.0, seed: int = 1, without: int = -1) -> TrialResult:
    """A trial in which no model took part. effect: points that arms other than the comparator take off; without: number
    of an arm that nobody was given."""
    rng = np.random.default_rng(seed)
    visits = len(first_times(plan)) * len(plan.visits)
    out = Outcomes.blank(replicates, plan.patients, visits)
    shape = out.arm.shape
    arms = np.array([k for k in range(len(groups(plan))) if k != without])
    out.arm[:] = arms[rng.integers(len(arms), size=shape)]
    out.patient[:] = np.arange(plan.patients)
    out.baseline[:] = np.round(rng.normal(34, 4, shape))
    scores = out.baseline[..., None] - rng.normal(8, 7, (*shape, visits))
    treated = (out.arm != plan.control)[..., None] & (np.arange(visits) > 0)
    out.scores[:] = np.clip(np.round(scores - effect * treated), 0, 60)
    out.scores[..., 0] = out.baseline
    leaves = rng.integers(1, 4 * visits, shape)
    out.scores[np.arange(visits) >= leaves[..., None]] = np.nan
    out.screened[:] = plan.patients + rng.integers(1, 30, replicates)
    out.entered[:] = plan.patients + (rng.integers(1, 20, replicates) if plan.lead_in else 0)
    out.screened[:] = np.maximum(out.screened, out.entered)
    if plan.has_episodes:
        out.begins[:] = rng.exponential(plan.visits[-1] / 24, out.begins.shape)
    return TrialResult(plan, 7, False, True, out, analyse(plan, out), np.ones((2, replicates)))


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
    return [made_up(load_plan(name), request.param) for name in examples()]


@pytest.fixture(scope="module")
def power():
    return made_up(load_plan("esketamine-dose-ranging"), 6)


@pytest.fixture(scope="module")
def file(power, tmp_path_factory):
    return write_trial(power, tmp_path_factory.mktemp("trial") / "index.html")


@pytest.fixture(scope="module")
def html(file):
    return file.read_text(encoding="utf-8")


# --- numbers are the result's own -------------------------------------------------------------------------------------


def test_page_has_every_comparison(every_example):
    for result in every_example:
        said = text_of(page(result))
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
    result = made_up(load_plan("ketamine-against-midazolam"))
    for c, row in zip(comparisons(result), result.estimates.iter_rows(named=True), strict=True):
        assert c.sureness == ("< 0.001" if row["p value"] < 0.001 else f"{row['p value']:.3f}")
        if row["analysis"] == "risk difference":
            assert float(c.needed) == pytest.approx(row["NNT"], abs=0.051)


def test_two_limits_of_remission_are_two_endpoints():
    remission = "{endpoint: remission, at: 24 h, limit: 12}\n  - {endpoint: remission, at: 24 h, limit: 20}"
    result = made_up(odd_plan(**{"{endpoint: response, at: 24 h}": remission}), 4)
    shares = {c.endpoint.limit: c.mean for c in comparisons(result) if c.endpoint.endpoint == "remission"}
    assert shares[12.0] < shares[20.0]


def test_headline_is_the_primary_endpoint_and_begins_the_page(every_example):
    for result in every_example:
        found = comparisons(result)
        said = headline(result, found)
        primary = [c for c in found if c.primary]
        assert primary and all(c.against in said and c.between in said for c in primary)
        html = text_of(page(result))
        assert html.index(said) < html.index("The plan")


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
    result = made_up(load_plan("esketamine-withdrawal"))
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
    result = made_up(load_plan("esketamine-withdrawal"), 7)
    endpoint = event_curves(result.plan)[0]
    name = result.plan.arms[0].arm
    last = [result.survival(endpoint, r)[name].survival[-1] for r in range(7)]
    own = result.curves(endpoint).filter(pl.col("arm") == name)
    assert own["share"][-1] == pytest.approx(np.median(last))
    assert own["low"][-1] == pytest.approx(np.quantile(last, 0.05))


def test_the_same_curve_is_drawn_once():
    plan = load_plan("esketamine-withdrawal")  # relapse by three analyses, all to the last visit
    assert len(event_curves(plan)) == 1
    made = curve_table(plan, event_curves(plan)[0], made_up(plan).curves(event_curves(plan)[0]))
    assert len(made.rows) == len(plan.visits)


def test_looks_count_every_trial_and_every_patient():
    result = stopped(made_up(odd_plan(), 5), 2, 0)
    table = result.looks()
    first = table.filter(pl.col("look") == 1)
    assert first["ended"].unique().to_list() == [1] and first["reached"].unique().to_list() == [5]
    assert table.filter(pl.col("look") == 2)["reached"].unique().to_list() == [4]
    assert table.group_by("arm").agg(pl.col("ended").sum())["ended"].unique().to_list() == [5]
    given = (table["mean"] * table["reached"]).sum()
    assert given == pytest.approx((result.outcomes.arm != NEVER).sum())
    made = look_table(result)
    assert made and "1 (20 %) stopped here" in made.rows[0][3] and "4 (80 %) went to the end" in made.rows[1][3]


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
    contains = made_up(odd_plan()).summary()["contains"]
    assert "neither spread between studies" in contains


def test_plan_is_told(power, html):
    said = text_of(html)
    for words in ("240 randomised, at 20 sites", "blocks of 6", "Bonferroni", "below 10 %", "2 % leave in a week"):
        assert words in said
    assert all(arm.arm in said for arm in power.plan.arms)
    assert "Sham sessions at the times of" in said


@pytest.mark.parametrize("name", examples())
def test_page_names_the_score_of_its_illness_and_no_other(name):
    result = made_up(load_plan(name))
    said, scale = page(result), result.plan.scale.name
    other = {"MADRS": "CAPS-5", "CAPS-5": "MADRS"}[scale]
    assert scale in said and other not in said
    assert scale in result.patients().columns


def test_page_and_summary_say_what_no_data_support_and_what_guidelines_say():
    result = made_up(load_plan("ketamine-before-exposure"))
    ketamine, saline = (arm.arm for arm in result.plan.arms)
    said, warned = text_of(page(result)), result.summary()["warnings"]
    assert list(warned) == [ketamine] and saline not in warned
    assert all(f"{ketamine} : {warning}." in said for warning in warned[ketamine])
    assert any("from rats alone" in warning for warning in warned[ketamine])
    assert any("VA/DoD" in warning for warning in warned[ketamine])
    assert not replace(result, no_effect=True).warnings


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
    result = made_up(load_plan("ketamine-bipolar"))
    switch = next(c for c in comparisons(result) if c.endpoint.endpoint == "switch to mania")
    assert switch.measure.better.startswith("below 0") and switch.nnt is None


def test_page_says_that_the_spread_of_episodes_between_studies_is_left_out():
    with_, without = (text_of(page(made_up(load_plan(n)))) for n in ("lithium-against-valproate", "ketamine-crossover"))
    assert "How often episodes come differs between studies" in with_
    assert "How often episodes come" not in without


def test_page_names_the_files_that_are_written(html, power, tmp_path):
    power.write(tmp_path)
    assert {place.name for place in tmp_path.iterdir()} == set(FILES)
    assert all(f'href="{name}"' in html for name in FILES)


# --- odd trials -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("replicates", [1, 4])
def test_arm_that_nobody_was_given(replicates):
    result = made_up(odd_plan(), replicates, without=1)
    said = text_of(page(result))
    assert "two against saline" not in said and "one against saline" in said
    assert flow(result).groups[1].randomised == "0"


@pytest.mark.parametrize("replicates", [1, 4])
def test_endpoint_without_any_estimate(replicates):
    # nobody gets better, so nobody responds
    result = made_up(odd_plan(), replicates)
    result.outcomes.scores[:] = np.where(np.isnan(result.outcomes.scores), np.nan, result.outcomes.baseline[..., None])
    result = replace(result, estimates=analyse(result.plan, result.outcomes))
    found = comparisons(result)
    of_time = [c for c in found if c.endpoint.endpoint == "time to response"]
    assert of_time and all(c.estimate == c.between == "-" and c.failed == replicates for c in of_time)
    assert "could not be estimated" in headline(result, found)
    assert text_of(page(result)).count("Failed: trials without an estimate") == 1


def test_no_forest_where_nothing_was_estimated():
    found = [replace(c, value=None) for c in comparisons(made_up(odd_plan()))]
    assert forest(found) is None


@pytest.mark.parametrize("old, new", [("A trial of three arms", HOSTILE), ("one", "<img src=x onerror=1>")])
def test_hostile_names_are_escaped(old, new):
    key = "title: " if new == HOSTILE else "arm: "
    text = page(made_up(odd_plan(**{key + old: f'{key}"{new}"'}), 3))
    assert "<script" not in text and "<img" not in text
    assert "&lt;img" in text


def test_folder_that_cannot_be_written(power, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"):
        write_trial(power, tmp_path / "file" / "index.html")


# --- in a browser -----------------------------------------------------------------------------------------------------


def test_page_loads_and_runs_nothing(html):
    assert "<script" not in html.lower()
    assert not re.search(r"https?://|\bsrc=|url\((?!#)|@import|<link", html)
    assert "default-src 'none'" in html


def test_names_inside_the_page_do_not_clash(html):
    names = re.findall(r'\bid="([^"]*)"', html)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("name", ["esketamine-dose-ranging", "esketamine-withdrawal", "ketamine-crossover"])
def test_page_in_a_browser(browser, tmp_path, name, width):
    file = write_trial(made_up(load_plan(name), 3), tmp_path / "index.html")
    view = browser.new_page(viewport={"width": width, "height": 900})
    complaints, requests = [], []
    view.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    view.on("pageerror", lambda e: complaints.append(str(e)))
    view.on("request", lambda r: requests.append(r.url))
    view.goto(file.as_uri())
    for fold in view.locator("details").all():
        fold.locator("summary").first.click()
    assert view.evaluate("document.documentElement.scrollWidth") <= width
    assert complaints == [] and requests == [file.as_uri()]
    shown = "[...document.querySelectorAll('.panel svg')].filter(s => s.getBoundingClientRect().width)"
    sizes = view.evaluate(f"{shown}.map(s => s.getBoundingClientRect().width / s.viewBox.baseVal.width)")
    assert len(sizes) >= 2 and min(sizes) > 0.9  # words in charts are as large as they were drawn
    view.close()
