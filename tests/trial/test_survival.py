import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter, KaplanMeierFitter
from lifelines.datasets import load_leukemia, load_rossi
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils import median_survival_times
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from euthymia.errors import UserError
from euthymia.trial.survival import cox, kaplan_meier, log_rank

REPLICATES = 2000
BOUND = 4 * np.sqrt(0.05 * 0.95 / REPLICATES)
"""Four standard errors of a rejection rate of 5 %."""


def follow_up(rng, n=120, arms=2, hazard_ratio=1.0, whole=True):
    """Times to relapse in weeks (whole ones are tied), censored at random and at 26; arm and a covariate."""
    arm = rng.permutation(np.arange(n) % arms)
    covariate = rng.normal(size=n)
    relapse = rng.exponential(20 / hazard_ratio**arm * np.exp(-0.4 * covariate))
    last = np.minimum(rng.exponential(40, n), 26)
    time, event = np.minimum(relapse, last), (relapse <= last).astype(int)
    return (np.ceil(time) if whole else time), event, arm, covariate


@st.composite
def patients(draw):
    """Follow-up of 4 to 40 patients on few distinct times, so that ties and censoring mix."""
    n = draw(st.integers(4, 40))
    whole = lambda most: st.lists(st.integers(0, most), min_size=n, max_size=n)  # noqa: E731
    time, event, arm = draw(whole(8)), draw(whole(1)), draw(whole(2))
    return np.array(time, float) + 1, np.array([1, *event[1:]]), np.array([0, 1, *arm[2:]])


# --- Kaplan and Meier -------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(patients())
def test_the_curve_and_its_interval_are_those_of_lifelines(data):
    time, event, _ = data
    ours, theirs = kaplan_meier(time, event), KaplanMeierFitter().fit(time, event)
    np.testing.assert_allclose(ours.survival, theirs.predict(ours.time), rtol=1e-10, atol=1e-14)
    limits = theirs.confidence_interval_.loc[ours.time].to_numpy()
    np.testing.assert_allclose(np.column_stack([ours.low, ours.high]), limits, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_median_and_its_interval_are_those_of_lifelines(seed):
    time, event, _, _ = follow_up(np.random.default_rng(seed), n=60, whole=False)
    ours, theirs = kaplan_meier(time, event), KaplanMeierFitter().fit(time, event)
    interval = np.asarray(median_survival_times(theirs.confidence_interval_))[0]
    found = ours.median, ours.median_low, ours.median_high
    assert found == pytest.approx((theirs.median_survival_time_, *interval))


def test_the_curve_and_its_risk_table_are_those_of_statsmodels():
    time, event, _, _ = follow_up(np.random.default_rng(1))
    ours, theirs = kaplan_meier(time, event), SurvfuncRight(time, event)
    np.testing.assert_allclose(ours.survival, theirs.surv_prob, rtol=1e-12)
    np.testing.assert_array_equal(ours.time, theirs.surv_times)
    np.testing.assert_array_equal(ours.at_risk, theirs.n_risk)
    np.testing.assert_array_equal(ours.events, theirs.n_events)
    assert ours.median == theirs.quantile(0.5)
    assert (ours.median_low, ours.median_high) == pytest.approx(theirs.quantile_ci(0.5, method="cloglog"))


def test_a_curve_above_one_half_has_no_median():
    ours = kaplan_meier(np.arange(1.0, 11), np.array([1] + [0] * 9))
    assert (ours.median, ours.median_high) == (np.inf, np.inf)


def test_without_events_there_are_no_steps():
    ours = kaplan_meier(np.arange(1.0, 11), np.zeros(10, int))
    assert len(ours.survival) == 0
    assert ours.median == np.inf


# --- the log-rank test ------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(patients())
def test_log_rank_is_that_of_lifelines(data):
    time, event, arm = data
    at_risk = [np.sum(time[arm == a] >= np.min(time[event == 1])) for a in np.unique(arm)]
    if min(at_risk) == 0 or len(set(time[event == 1])) < 2:
        return  # an arm gone before the first event: lifelines' covariance is singular
    ours, theirs = log_rank(time, event, arm), multivariate_logrank_test(time, arm, event)
    assert (ours.statistic, ours.p_value) == pytest.approx((theirs.test_statistic, theirs.p_value), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("arms", [2, 3])
def test_log_rank_is_that_of_statsmodels(arms):
    time, event, arm, _ = follow_up(np.random.default_rng(2), arms=arms, hazard_ratio=1.5)
    ours = log_rank(time, event, arm)
    assert (ours.statistic, ours.p_value) == pytest.approx(survdiff(time, event, arm), rel=1e-9)
    assert ours.df == arms - 1
    assert sum(ours.observed.values()) == event.sum() == pytest.approx(sum(ours.expected.values()))


def test_without_events_the_arms_do_not_differ():
    assert log_rank(np.ones(4), np.zeros(4, int), np.array([0, 0, 1, 1])).p_value == 1


# --- Cox's model ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "whole"), [(1, True), (2, True), (3, False)])
def test_cox_is_that_of_lifelines_and_statsmodels(seed, whole):
    time, event, arm, covariate = follow_up(np.random.default_rng(seed), arms=3, hazard_ratio=1.5, whole=whole)
    table = pd.DataFrame(dict(one=arm == 1, two=arm == 2, covariate=covariate, time=time, event=event)).astype(float)
    lifelines = CoxPHFitter().fit(table, "time", "event", fit_options=dict(precision=1e-12)).summary
    statsmodels = PHReg(time, table[["one", "two", "covariate"]], status=event, ties="efron").fit()
    ours = cox(time, event, arm, covariate)
    for i, a in enumerate((1, 2)):
        theirs = lifelines.iloc[i]
        columns = ["exp(coef)", "se(coef)", "exp(coef) lower 95%", "exp(coef) upper 95%", "p"]
        found = ours[a].value, ours[a].standard_error, ours[a].low, ours[a].high, ours[a].p_value
        assert found == pytest.approx(tuple(theirs[columns]), rel=1e-6)
        found = np.log(ours[a].value), ours[a].standard_error, ours[a].p_value
        theirs = [np.asarray(column)[i] for column in (statsmodels.params, statsmodels.bse, statsmodels.pvalues)]
        assert found == pytest.approx(theirs, rel=1e-6)


@settings(max_examples=20)
@given(patients())
@example((np.array([1.0, 1, 2, 1, 1, 1, 1, 1]), np.array([1, 1, 1, 0, 0, 0, 0, 0]), np.array([0, 1, 0, 0, 0, 0, 0, 0])))
@example((np.ones(8), np.array([1, 1, 0, 0, 0, 0, 0, 0]), np.array([0, 1, 0, 0, 0, 0, 0, 0])))
@example((np.ones(24), np.array([1] + [0] * 22 + [1]), np.array([0] + [1] * 23)))
def test_cox_with_heavy_ties_is_where_the_likelihood_of_statsmodels_is_highest(data):
    time, event, arm = data
    arm = np.minimum(arm, 1)
    try:
        ours = cox(time, event, arm)[1]
    except UserError:
        return  # no finite estimate
    # its likelihood, not its search for the highest, which fails where few had the event and all at one time
    theirs = PHReg(time, arm[:, None].astype(float), status=event, ties="efron")
    at = np.log([ours.value])
    error = (-np.asarray(theirs.hessian(at)).item()) ** -0.5
    assert ours.standard_error == pytest.approx(error, rel=1e-5)
    assert abs(np.asarray(theirs.score(at)).item()) * error < 1e-5  # the highest lies within 1e-5 standard errors


def test_cox_finds_the_hazard_ratio_that_was_put_in():
    time, event, arm, covariate = follow_up(np.random.default_rng(4), n=20_000, hazard_ratio=0.5, whole=False)
    ours = cox(time, event, arm, covariate)[1]
    assert abs(np.log(ours.value / 0.5)) < 4 * ours.standard_error


def test_another_control_turns_the_hazard_ratio_round():
    time, event, arm, _ = follow_up(np.random.default_rng(5))
    there, back = cox(time, event, arm)[1], cox(time, event, arm, control=1)[0]
    assert (there.value, there.low) == pytest.approx((1 / back.value, 1 / back.high), rel=1e-9)


# --- published examples -----------------------------------------------------------------------------------------------


def leukaemia():
    """Remission of acute leukaemia in weeks, placebo 1 and 6-mercaptopurine 0: Freireich 1963, Blood 21:699."""
    table = load_leukemia()
    return table["t"].to_numpy(float), table["status"].to_numpy(), table["Rx"].to_numpy()


def test_remission_under_mercaptopurine_is_the_published_curve():
    time, event, arm = leukaemia()
    ours = kaplan_meier(time[arm == 0], event[arm == 0])
    # Kleinbaum and Klein, Survival Analysis, chapter 2.
    assert ours.survival == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert ours.time.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert (ours.median, kaplan_meier(time[arm == 1], event[arm == 1]).median) == (23, 8)


def test_log_rank_of_mercaptopurine_is_the_published_one():
    ours = log_rank(*leukaemia())
    # Kleinbaum and Klein, Survival Analysis, chapter 2.
    assert ours.statistic == pytest.approx(16.79, abs=0.005)
    assert ours.observed == {0: 9, 1: 21}
    assert (ours.expected[0], ours.expected[1]) == pytest.approx((19.25, 10.75), abs=0.005)


def test_cox_of_rearrest_is_the_published_one():
    """Rossi's convicts: financial aid against none. Fox and Weisberg, appendix on Cox regression, R's coxph."""
    table = load_rossi()
    others = table[["age", "race", "wexp", "mar", "paro", "prio"]].to_numpy()
    week, arrest, aid = (table[c].to_numpy() for c in ("week", "arrest", "fin"))
    ours = cox(week, arrest, aid, others)[1]
    found = np.log(ours.value), ours.standard_error, ours.value, ours.low, ours.high, ours.p_value
    assert found == pytest.approx((-0.37942, 0.19138, 0.6843, 0.4702, 0.9957, 0.0474), abs=6e-5)


# --- false positives --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "p_value", [lambda *d: log_rank(*d).p_value, lambda *d: cox(*d)[1].p_value], ids=["log_rank", "cox"]
)
def test_no_effect_is_rejected_in_five_percent(p_value):
    rng = np.random.default_rng(6)
    rejected = [p_value(*follow_up(rng, n=150)[:3]) < 0.05 for _ in range(REPLICATES)]
    assert abs(np.mean(rejected) - 0.05) < BOUND


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "event", "word"),
    [
        ([], [], "time"),
        ([-1.0, 2.0], [1, 1], "time"),
        ([np.nan, 2.0], [1, 1], "time"),
        ([1.0, 2.0], [1, 2], "event"),
        ([1.0, 2.0], [1], "event"),
    ],
)
@pytest.mark.parametrize(
    "measure", [kaplan_meier, lambda t, e: log_rank(t, e, np.arange(2)), lambda t, e: cox(t, e, np.arange(2))]
)
def test_impossible_follow_up_is_refused(measure, time, event, word):
    with pytest.raises(UserError, match=word):
        measure(np.array(time), np.array(event))


@pytest.mark.parametrize("measure", [log_rank, cox])
def test_one_arm_alone_is_refused(measure):
    with pytest.raises(UserError, match="arm holds"):
        measure(np.array([1.0, 2.0]), np.array([1, 1]), np.array([0, 0]))


def test_cox_refuses_an_arm_without_events():
    with pytest.raises(UserError, match="arm 1 has no events"):
        cox(np.arange(1.0, 7), np.array([1, 1, 1, 0, 0, 0]), np.array([0, 0, 0, 1, 1, 1]))


def test_cox_refuses_an_arm_whose_events_all_come_first():
    with pytest.raises(UserError, match="no finite estimate"):
        cox(np.arange(1.0, 7), np.ones(6, int), np.array([0, 0, 0, 1, 1, 1]))


def test_cox_bears_covariates_with_a_long_tail():
    rng = np.random.default_rng(8)
    time, event, arm, _ = follow_up(rng)
    ratios = [cox(time, event, arm, scale * np.exp(rng.normal(0, 3, 120)))[1].value for scale in (1e-3, 1.0, 1e3)]
    assert np.isfinite(ratios).all()


def test_the_unit_of_a_covariate_does_not_matter():
    time, event, arm, covariate = follow_up(np.random.default_rng(9))
    kilograms, grams = (cox(time, event, arm, scale * covariate)[1] for scale in (1, 1000))
    assert (kilograms.value, kilograms.high) == pytest.approx((grams.value, grams.high), rel=1e-8)


def test_cox_refuses_covariates_that_repeat_each_other():
    time, event, arm, covariate = follow_up(np.random.default_rng(7))
    with pytest.raises(UserError, match="repeat each other"):
        cox(time, event, arm, np.column_stack([covariate, 2 * covariate]))
