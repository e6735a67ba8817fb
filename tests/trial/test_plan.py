"""The document of a planned trial: what is read, and what is refused in which words."""

import pytest

from euthymia.errors import UserError
from euthymia.trial.calendars import calendars
from euthymia.trial.plan import examples, load_plan

GOOD = """trial: one
title: A trial
illness: depression
population: TRD
design: {expectancy: midazolam, setting: outpatient, sites: one}
type: parallel
inclusion: {MADRS: at least 28 points}
patients: 40
randomisation: {block: 4, ratio: [1, 1]}
arms:
  - {arm: ketamine, protocol: ketamine-iv-single}
  - {arm: midazolam, protocol: midazolam-iv, comparator: yes}
visits: [0 h, 24 h, 1 week]
endpoints:
  - {endpoint: change, at: 24 h, primary: yes}
  - {endpoint: response, at: 1 week}
"""
CROSSOVER = (
    GOOD.replace("parallel", "crossover\nperiods: {length: 1 week, washout: 2 weeks}")
    .replace("  - {endpoint: response, at: 1 week}\n", "")
    .replace("primary: yes", "analysis: within patients")
)
WITHDRAWAL = """trial: one
title: A trial
illness: depression
population: TRD
design: {expectancy: open label, setting: outpatient, sites: one}
type: randomised withdrawal
patients: 40
lead in: {protocol: ketamine-iv-maintenance, lasts: 4 weeks, randomised when: response, at: [3 weeks, 4 weeks]}
arms:
  - {arm: on, after lead in: goes on}
  - {arm: off, after lead in: sham, comparator: yes}
visits: [0 h, 2 weeks, 4 weeks]
relapse: {when: {MADRS: at least 22 points}}
endpoints:
  - {endpoint: relapse}
"""


BIPOLAR = (
    GOOD.replace("illness: depression", "illness: bipolar disorder")
    .replace("population: TRD", "population: bipolar depression")
    .replace("ketamine-iv-single", "ketamine-iv-bipolar")
    .replace("endpoint: response", "endpoint: switch to mania")
)
PTSD = (
    GOOD.replace("illness: depression", "illness: PTSD")
    .replace("population: TRD", "population: civilian PTSD")
    .replace("MADRS: at least 28 points", "CAPS-5: at least 30 points")
    .replace("ketamine-iv-single", "ketamine-then-exposure")
)
PTSD_WITHDRAWAL = (
    WITHDRAWAL.replace("illness: depression", "illness: PTSD")
    .replace("population: TRD", "population: veteran PTSD")
    .replace("MADRS: at least 22", "CAPS-5: at least 30")
)


def written(tmp_path, text):
    path = tmp_path / "trial.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", examples())
def test_the_examples_are_sound(name):
    assert load_plan(name).trial == name


@pytest.mark.parametrize("text", [GOOD, CROSSOVER, WITHDRAWAL, BIPOLAR, PTSD, PTSD_WITHDRAWAL])
def test_a_sound_plan_is_read(tmp_path, text):
    assert load_plan(written(tmp_path, text)).patients == 40


ARMS = GOOD[GOOD.index("arms:") : GOOD.index("visits:")]


@pytest.mark.parametrize(
    ("base", "old", "new", "line", "said"),
    [
        (GOOD, "design: {expectancy: midazolam, setting: outpatient, sites: one}\n", "", 1, "required"),
        (GOOD, "outpatient", "home", 5, "supervised"),
        (GOOD, "title", "titel", 2, "did you mean `title`?"),
        (GOOD, "comparator: yes", "comparater: yes", 12, "did you mean `comparator`?"),
        (GOOD, "parallel", "parallell", 6, "randomised withdrawal"),
        (GOOD, ARMS, "arms: []\n", 10, "two or more arms"),
        (GOOD, "  - {arm: ketamine, protocol: ketamine-iv-single}\n", "", 10, "two or more arms"),
        (GOOD, ", comparator: yes", "", 10, "comparator: yes"),
        (GOOD, "single}", "single, comparator: yes}", 10, "2 are"),
        (GOOD, "arm: midazolam", "arm: ketamine", 12, "name of its own"),
        (GOOD, "ketamine-iv-single", "ketamine-iv-singel", 11, "nearest: ketamine-iv-single"),
        (GOOD, "protocol: midazolam-iv", "sham of: sertraline", 12, "no sessions"),
        (GOOD, "protocol: midazolam-iv", "after lead in: sham", 12, "`protocol` or `sham of`"),
        (GOOD, "patients: 40", "patients: 0", 8, "patients must be from 4"),
        (GOOD, "patients: 40", "patients: 3", 8, "one block"),
        (GOOD, "patients: 40", "patients: many", 8, "whole number"),
        (GOOD, "ratio: [1, 1]", "ratio: [1, 1, 1]", 9, "3 numbers for 2 arms"),
        (GOOD, "ratio: [1, 1]", "ratio: [1, 0]", 9, "greater than or equal to 1"),
        (GOOD, "block: 4", "block: 3", 9, "multiple of 2"),
        (GOOD, "block: 4", "method: simple, block: 4", 9, "neither"),
        (GOOD, "ratio: [1, 1]", "stratify by: [site]", 9, "one site"),
        (GOOD, "patients: 40", "patients: 40\nnumber of sites: 3", 9, "one site"),
        (GOOD, "at least 28 points", "28", 7, "not a comparison"),
        (GOOD, "MADRS: at least 28 points", "SBP: below 140 mmHg", 7, "cannot be checked at entry"),
        (GOOD, "24 h, 1 week]", "1 week, 24 h]", 13, "times must rise"),
        (GOOD, "[0 h, 24 h, 1 week]", "[24 h, 1 week]", 13, "visits start at 0 h"),
        (GOOD, "1 week]", "3 years]", 13, "at most 104"),
        (GOOD, "1 week]", "1 week, 10081 s]", 13, "times must rise"),
        (GOOD, "at: 1 week", "at: 2 weeks", 16, "after the last visit"),
        (GOOD, "at: 1 week", "at: 3 days", 16, "not one of the visits"),
        (GOOD, "response, at: 1 week", "response", 16, "needs `at`"),
        (GOOD, "response, at: 1 week", "relapse", 16, "not relapse"),
        (GOOD, "response, at: 1 week", "response, at: 1 week, limit: 10", 16, "belongs to remission"),
        (GOOD, "response, at: 1 week", "change, at: 24 h", 16, "compared twice"),
        (GOOD, "primary: yes", "analysis: cox", 14, "primary"),
        (GOOD, "24 h, primary", "24 h, analysis: anova, primary", 15, "allowed: ancova, mmrm"),
        (GOOD, "24 h, primary", "24 h, analysis: within patients, primary", 15, "allowed: ancova, mmrm"),
        (GOOD, "endpoints:", "dropout: {per week: 120 %}\nendpoints:", 14, "below 100 %"),
        (GOOD, "endpoints:", "dropout: {per week: 3}\nendpoints:", 14, "no unit"),
        (GOOD, "endpoints:", "dropout: {per week: 3 %, more per point: 2 %}\nendpoints:", 14, "go together"),
        (GOOD, "endpoints:", "ratings: {site sd: 2 points}\nendpoints:", 14, "no spread between sites"),
        (GOOD, "endpoints:", "relapse: {when: remission}\nendpoints:", 14, "has no `relapse`"),
        (GOOD, "endpoints:", "adaptive: {looks: [0.5, 1]}\nendpoints:", 14, "nothing is adapted"),
        (GOOD, "endpoints:", "adaptive: {looks: [1, 0.5], stop: pocock}\nendpoints:", 14, "looks are rising"),
        (GOOD, "endpoints:", "adaptive: {looks: [0.1, 1], stop: pocock}\nendpoints:", 14, "at least 10 patients"),
        (GOOD, "endpoints:", "adaptive: {looks: [0.5, 1], drop arms below: 5 %}\nendpoints:", 14, "three or more"),
        (CROSSOVER, "periods: {length: 1 week, washout: 2 weeks}\n", "", 6, "needs `periods`"),
        (CROSSOVER, "24 h, 1 week]", "24 h, 2 weeks]", 14, "end of a period"),
        (CROSSOVER, "change, at", "response, at", 16, "crossover trial compares change"),
        (CROSSOVER, ", analysis: within patients", "", 16, "within patients"),
        (WITHDRAWAL, "lead in:", "periods:", 8, "unknown key"),
        (WITHDRAWAL, "[3 weeks, 4 weeks]", "[3 weeks, 5 weeks]", 8, "within the lead-in"),
        (WITHDRAWAL, "relapse: {when: {MADRS: at least 22 points}}\n", "", 14, "relapse is not defined"),
        (WITHDRAWAL, "points}}", "points}, consecutive visits: 3}", 13, "fewer visits"),
        (WITHDRAWAL, "endpoint: relapse", "endpoint: change, at: 4 weeks", 13, "no endpoint uses"),
        (WITHDRAWAL, "MADRS: at least 22 points", "SBP: above 140 mmHg", 13, "not rated here"),
        (WITHDRAWAL, "after lead in: goes on", "protocol: saline-iv", 10, "`after lead in`"),
        (GOOD, "population: TRD", "population: civilian PTSD", 4, "of a trial of depression; allowed: TRD, MDD"),
        (GOOD, "population: TRD", "population: healthy", 4, "healthy is no population"),
        (GOOD, "illness: depression", "illness: mania", 3, "bipolar disorder"),
        (GOOD, "ketamine-iv-single", "ketamine-then-exposure", 11, "acts in PTSD alone, not in depression"),
        (GOOD, "endpoint: response", "endpoint: switch to mania", 16, "only bipolar disorder has episodes"),
        (GOOD, "response, at: 1 week", "remission, at: 1 week, limit: 61", 16, "at most 60, the highest MADRS"),
        (BIPOLAR, "bipolar depression", "veteran PTSD", 4, "rapid cycling bipolar depression, bipolar euthymia"),
        (BIPOLAR, "switch to mania, at: 1 week", "switch to mania", 16, "needs `at`"),
        (BIPOLAR, "change, at: 24 h, primary", "response, at: 24 h, analysis: cox, primary", 15, "risk difference"),
        (
            BIPOLAR.replace("bipolar depression", "bipolar euthymia"),
            "switch to mania, at",
            "response, at",
            16,
            "those between episodes have nothing to respond from",
        ),
        (
            BIPOLAR.replace(", primary: yes", "").replace("mania, at: 1 week", "mania, at: 1 week, primary: yes"),
            "endpoints:",
            "adaptive: {looks: [0.5, 1], stop: pocock}\nendpoints:",
            14,
            "primary endpoint of change, response or remission",
        ),
        (PTSD, "CAPS-5: at least", "PHQ-9: at least", 7, "allowed: CAPS-5, MADRS, age, failed antidepressant trials"),
        (PTSD, "endpoint: response", "endpoint: remission", 16, "remission in PTSD has no accepted definition"),
        (PTSD, "response, at: 1 week", "remission, at: 1 week, limit: 81", 16, "at most 80, the highest CAPS-5"),
        (PTSD_WITHDRAWAL, "CAPS-5: at least 30", "MADRS: at least 30", 13, "not rated here; allowed: CAPS-5, a state"),
        (PTSD_WITHDRAWAL, "when: response", "when: remission", 8, "give a score, such as {CAPS-5: at most 20 points}"),
        (
            PTSD.replace("  - {endpoint: change, at: 24 h, primary: yes}\n", ""),
            "protocol: midazolam-iv",
            "published: {response: 40 %, remission: 20 %, at: 1 week, n: 50, source: a trial}",
            12,
            "give `limit`, its highest CAPS-5",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(tmp_path, base, old, new, line, said):
    assert old in base
    with pytest.raises(UserError) as refused:
        load_plan(written(tmp_path, base.replace(old, new, 1)))
    message = str(refused.value)
    assert message.startswith(f"trial.yaml, line {line}: ")
    assert said in message
    assert "\n" not in message


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read .* examples: "):
        load_plan(tmp_path / "none.yaml")


def test_a_list_is_no_plan(tmp_path):
    with pytest.raises(UserError, match="line 1: a planned trial is a mapping"):
        load_plan(written(tmp_path, "- one\n"))


def test_the_design_of_the_trial_replaces_that_of_the_protocols(tmp_path):
    plan = load_plan(written(tmp_path, GOOD))
    assert {c.design.expectancy for c in calendars(plan)} == {"midazolam"}


def test_without_an_effect_every_arm_is_given_the_comparator(tmp_path):
    plan = load_plan(written(tmp_path, GOOD))
    assert {a.compound for c in calendars(plan, no_effect=True) for a in c.administrations} == {"midazolam"}


def test_a_sham_has_the_sessions_and_daily_treatments_without_the_drug(tmp_path):
    text = GOOD.replace("protocol: midazolam-iv", "sham of: spravato-trd-84")
    text = text.replace("protocol: ketamine-iv-single", "protocol: spravato-trd-84")
    drug, sham = calendars(load_plan(written(tmp_path, text)))
    assert [a.time_h for a in sham.administrations] == [a.time_h for a in drug.administrations]
    assert {a.compound for a in sham.administrations} == {"placebo spray"}
    assert sham.daily == drug.daily


def test_a_sham_keeps_the_exposure_therapy(tmp_path):
    text = PTSD.replace("protocol: midazolam-iv", "sham of: ketamine-then-exposure").replace(
        "1 week]", "1 week, 9 days]"
    )
    drug, sham = calendars(load_plan(written(tmp_path, text)))
    assert drug.exposures_h == (24.0, 192.0)
    assert sham.exposures_h == drug.exposures_h


def test_without_an_effect_every_arm_has_the_exposure_of_the_comparator(tmp_path):
    plan = load_plan(written(tmp_path, PTSD.replace("1 week]", "1 week, 9 days]")))
    assert [c.exposures_h for c in calendars(plan)] == [(24.0, 192.0), ()]
    assert [c.exposures_h for c in calendars(plan, no_effect=True)] == [(), ()]


def test_each_period_of_a_crossover_has_the_exposure_of_its_own_arm(tmp_path):
    text = PTSD.replace("parallel", "crossover\nperiods: {length: 1 week, washout: 2 weeks}")
    text = text.replace("  - {endpoint: response, at: 1 week}\n", "").replace(
        "primary: yes", "analysis: within patients"
    )
    first, second = calendars(load_plan(written(tmp_path, text)))
    assert first.exposures_h == (24.0,)
    assert second.exposures_h == (504.0 + 24.0,)


def test_exposure_therapy_goes_on_after_the_lead_in(tmp_path):
    text = PTSD_WITHDRAWAL.replace("ketamine-iv-maintenance", "ketamine-then-exposure").replace("sham", "stops")
    on, off = calendars(load_plan(written(tmp_path, text)))
    assert on.exposures_h == off.exposures_h == tuple(24.0 + 168.0 * k for k in range(8))


def test_the_second_period_of_a_crossover_follows_the_washout(tmp_path):
    first, second = calendars(load_plan(written(tmp_path, CROSSOVER)))
    assert [(a.time_h, a.compound) for a in first.administrations] == [(0, "racemic ketamine"), (504, "midazolam")]
    assert [(a.time_h, a.compound) for a in second.administrations] == [(0, "midazolam"), (504, "racemic ketamine")]


def test_the_arms_of_a_withdrawal_share_their_lead_in(tmp_path):
    on, off = calendars(load_plan(written(tmp_path, WITHDRAWAL)))
    begins = 4 * 168.0
    before, after = (
        [[a for a in c.administrations if (a.time_h < begins) == early] for c in (on, off)] for early in (True, False)
    )
    assert before[0] == before[1]
    assert [a.time_h for a in after[0]] == [a.time_h for a in after[1]]
    assert {a.compound for a in after[1]} == {"saline"}
