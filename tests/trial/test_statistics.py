from dataclasses import astuple

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from euthymia.errors import UserError
from euthymia.trial.mmrm import mmrm
from euthymia.trial.statistics import (
    ancova,
    hedges_g,
    least_squares_means,
    number_needed_to_treat,
    odds_ratio,
    power_two_means,
    risk_difference,
    two_proportions,
)

REPLICATES = 2000
BOUND = 4 * np.sqrt(0.05 * 0.95 / REPLICATES)
"""Four standard errors of a rejection rate of 5 %."""


def trial(rng, n=60, visits=4, arms=2, effect=0.0):
    """Scores [n, visits] that depend on a baseline and on each other, with an SD that grows; baseline, arm."""
    arm = rng.permutation(np.arange(n) % arms)
    baseline = rng.normal(32, 5, n)
    trouble = rng.normal(0, 4, (n, 1))
    scores = 0.6 * baseline[:, None] + trouble + rng.normal(0, 3 + np.arange(visits), (n, visits))
    return scores + effect * arm[:, None], baseline, arm


def lose(rng, scores, share=0.15):
    """Take patients away after a visit, the likelier the higher the score there was: missing at random."""
    scores = scores.copy()
    hazard = 2 * share / (scores.shape[1] - 1)
    for visit in range(1, scores.shape[1]):
        before = scores[:, visit - 1]
        scores[(before > np.nanmedian(before)) & (rng.random(len(scores)) < hazard), visit:] = np.nan
    return scores


# --- analysis of covariance -------------------------------------------------------------------------------------------


def by_least_squares(score, baseline, arm, covariates, contrasts):
    """statsmodels' estimate, standard error, p value and interval of each contrast of cell-means coding."""
    keep = ~np.isnan(score)
    levels = np.unique(arm)
    others = np.column_stack([baseline, covariates])[keep]
    x = np.column_stack([arm[keep, None] == levels, others - others.mean(axis=0)]).astype(float)
    test = sm.OLS(score[keep], x).fit().t_test(np.pad(contrasts, ((0, 0), (0, others.shape[1]))))
    df = np.full(len(contrasts), test.df_denom)
    return np.column_stack([test.effect, test.sd, test.conf_int(), test.pvalue, df])


@pytest.mark.parametrize("gaps", [False, True])
def test_ancova_is_ordinary_least_squares(gaps):
    rng = np.random.default_rng(1)
    scores, baseline, arm = trial(rng, arms=3, effect=-2)
    score, covariates = scores[:, 0], rng.normal(size=(60, 2))
    if gaps:
        score[::7] = np.nan
    ours = ancova(score, baseline, arm, covariates, control=1)
    theirs = by_least_squares(score, baseline, arm, covariates, np.array([[1, -1, 0], [0, -1, 1]]))
    np.testing.assert_allclose([astuple(ours[a]) for a in (0, 2)], theirs, rtol=1e-10, atol=1e-12)


def test_least_squares_means_are_predictions_at_the_average_patient():
    rng = np.random.default_rng(2)
    scores, baseline, arm = trial(rng, arms=3)
    ours = least_squares_means(scores[:, 0], baseline, arm)
    theirs = by_least_squares(scores[:, 0], baseline, arm, np.empty((60, 0)), np.eye(3))
    np.testing.assert_allclose([astuple(ours[a]) for a in range(3)], theirs, rtol=1e-10, atol=1e-12)


def test_a_score_and_its_change_give_the_same_difference():
    scores, baseline, arm = trial(np.random.default_rng(3))
    score, change = (ancova(s, baseline, arm)[1] for s in (scores[:, 0], scores[:, 0] - baseline))
    assert astuple(score) == pytest.approx(astuple(change), rel=1e-9)


def test_power_of_ancova_is_that_of_the_closed_form():
    rng = np.random.default_rng(4)
    n, correlation, effect = 60, 0.6, 0.5
    won = 0
    for _ in range(REPLICATES):
        arm, baseline = np.arange(n) % 2, rng.normal(size=n)
        score = correlation * baseline + np.sqrt(1 - correlation**2) * rng.normal(size=n) + effect * arm
        won += ancova(score, baseline, arm)[1].p_value < 0.05
    power = power_two_means(effect, np.sqrt(1 - correlation**2), n // 2)
    assert abs(won / REPLICATES - power) < 4 * np.sqrt(power * (1 - power) / REPLICATES)


# --- mixed model for repeated measures --------------------------------------------------------------------------------


@pytest.mark.parametrize("arms", [2, 3])
def test_without_gaps_every_visit_is_its_own_ancova(arms):
    scores, baseline, arm = trial(np.random.default_rng(5), arms=arms, effect=-2)
    found = mmrm(scores, baseline, arm)
    for visit in range(scores.shape[1]):
        alone = ancova(scores[:, visit], baseline, arm)
        means = least_squares_means(scores[:, visit], baseline, arm)
        for a in range(arms):
            assert astuple(found.mean[visit][a]) == pytest.approx(astuple(means[a]), rel=1e-8)
        for a in range(1, arms):
            assert astuple(found.difference[visit][a]) == pytest.approx(astuple(alone[a]), rel=1e-8)


def test_without_gaps_the_covariance_is_that_of_the_residuals():
    scores, baseline, arm = trial(np.random.default_rng(6))
    x = np.column_stack([arm == 0, arm == 1, baseline])
    residual = scores - x @ np.linalg.lstsq(x, scores, rcond=None)[0]
    np.testing.assert_allclose(mmrm(scores, baseline, arm).covariance, residual.T @ residual / (60 - 3), rtol=1e-8)


@pytest.mark.parametrize("shape", [(60,), (60, 1)])
def test_one_visit_is_ancova_whatever_is_missing(shape):
    rng = np.random.default_rng(7)
    scores, baseline, arm = trial(rng, visits=1)
    scores[::7], covariates = np.nan, rng.normal(size=(60, 2))
    found = mmrm(scores.reshape(shape), baseline, arm, covariates=covariates).difference[0][1]
    assert astuple(found) == pytest.approx(astuple(ancova(scores[:, 0], baseline, arm, covariates)[1]), rel=1e-8)


class Dense:
    """The restricted likelihood written out patient by patient, differentiated numerically: slow, and independent."""

    def __init__(self, scores, baseline, arm, covariate=None):
        self.visits = scores.shape[1]
        some = ~np.isnan(scores).all(axis=1)
        base, self.rows = baseline - baseline[some].mean(), []
        for i in np.flatnonzero(some):
            seen = np.flatnonzero(~np.isnan(scores[i]))
            # Columns: for each visit an intercept, the effect of arm 1 and the slope of baseline; then the covariate.
            x = np.zeros((self.visits, 3 * self.visits + (covariate is not None)))
            for v in range(self.visits):
                x[v, 3 * v : 3 * v + 3] = 1, arm[i], base[i]
            if covariate is not None:
                x[:, -1] = covariate[i]
            self.rows.append((seen, scores[i, seen], x[seen]))

    def covariance(self, theta):
        lower = np.zeros((self.visits, self.visits))
        lower[np.tril_indices(self.visits)] = theta
        return lower @ lower.T

    def solve(self, theta):
        covariance = self.covariance(theta)
        a, b, value = 0.0, 0.0, 0.0
        for seen, y, x in self.rows:
            part = covariance[np.ix_(seen, seen)]
            w = np.linalg.inv(part)
            a, b = a + x.T @ w @ x, b + x.T @ w @ y
            value += np.linalg.slogdet(part)[1] + y @ w @ y
        beta = np.linalg.solve(a, b)
        return value - b @ beta + np.linalg.slogdet(a)[1], beta, np.linalg.inv(a)

    def fit(self):
        start = np.diag([np.nanstd([y[s == v][0] for s, y, _ in self.rows if v in s]) for v in range(self.visits)])
        found = optimize.minimize(lambda t: self.solve(t)[0] / 2, start[np.tril_indices(self.visits)], tol=1e-9)
        polished = optimize.minimize(
            lambda t: self.solve(t)[0] / 2, found.x, method="Nelder-Mead", options=dict(xatol=1e-7, fatol=1e-11)
        )
        return polished.x

    def satterthwaite(self, theta, column):
        """Degrees of freedom of a coefficient, with central differences in the Cholesky factor."""
        h, m = 1e-3, len(theta)
        step = np.eye(m) * h
        value = lambda t: self.solve(t)[0] / 2  # noqa: E731
        variance = lambda t: self.solve(t)[2][column, column]  # noqa: E731
        hessian = np.array(
            [
                [
                    (value(theta + i + j) - value(theta + i - j) - value(theta - i + j) + value(theta - i - j))
                    / (4 * h**2)
                    for i in step
                ]
                for j in step
            ]
        )
        slope = np.array([(variance(theta + i) - variance(theta - i)) / (2 * h) for i in step])
        return 2 * variance(theta) ** 2 / (slope @ np.linalg.solve(hessian, slope))


@pytest.mark.parametrize("with_covariate", [False, True])
def test_with_gaps_it_is_the_restricted_maximum_found_independently(with_covariate):
    rng = np.random.default_rng(8)
    scores, baseline, arm = trial(rng, n=40, visits=3, effect=-3)
    scores = lose(rng, scores, 0.3)
    scores[[3, 12], 0] = np.nan  # a gap that is not dropout
    scores[5] = np.nan  # a patient never seen
    covariate = rng.normal(size=40) if with_covariate else None
    found, dense = mmrm(scores, baseline, arm, covariates=covariate), Dense(scores, baseline, arm, covariate)
    theta = dense.fit()
    np.testing.assert_allclose(found.covariance, dense.covariance(theta), rtol=1e-4)
    _, beta, variance = dense.solve(theta)
    for visit in range(3):
        ours, column = found.difference[visit][1], 3 * visit + 1
        assert ours.value == pytest.approx(beta[column], rel=1e-4)
        assert ours.standard_error == pytest.approx(np.sqrt(variance[column, column]), rel=1e-4)
        assert ours.df == pytest.approx(dense.satterthwaite(theta, column), rel=1e-3)


def test_scores_missing_at_random_do_not_bias_it():
    rng = np.random.default_rng(9)
    effect, ours, completers = -4.0, [], []
    for _ in range(300):
        scores, baseline, arm = trial(rng, n=100, visits=3)
        scores[:, 1:] += effect * arm[:, None]
        # Those who feel worse at the first visit leave, though only from the control arm.
        scores[(scores[:, 0] > np.median(scores[:, 0])) & (arm == 0) & (rng.random(100) < 0.8), 1:] = np.nan
        ours.append(mmrm(scores, baseline, arm).difference[2][1].value)
        completers.append(ancova(scores[:, 2], baseline, arm)[1].value)
    error = np.std(ours) / np.sqrt(len(ours))
    assert abs(np.mean(ours) - effect) < 4 * error
    assert abs(np.mean(completers) - effect) > 4 * error, "the test has no power: completers alone are not biased"


def test_the_name_of_the_control_turns_the_difference_round():
    rng = np.random.default_rng(10)
    scores, baseline, arm = trial(rng)
    scores = lose(rng, scores)
    there, back = (mmrm(scores, baseline, arm, control=c).difference[3][1 - c] for c in (0, 1))
    assert (there.value, there.low) == pytest.approx((-back.value, -back.high), rel=1e-8)


# --- false positives --------------------------------------------------------------------------------------------------


def rate(p_values):
    return np.mean(np.array(p_values) < 0.05)


def test_ancova_rejects_no_effect_in_five_percent():
    rng = np.random.default_rng(11)
    trials = (trial(rng, n=30, visits=1) for _ in range(REPLICATES))
    assert abs(rate([ancova(s[:, 0], b, a)[1].p_value for s, b, a in trials]) - 0.05) < BOUND


def test_mmrm_rejects_no_effect_in_five_percent():
    rng = np.random.default_rng(12)
    trials = (trial(rng, n=50, visits=3) for _ in range(REPLICATES))
    assert abs(rate([mmrm(*t).difference[2][1].p_value for t in trials]) - 0.05) < BOUND


def test_mmrm_with_dropout_rejects_no_effect_in_five_percent():
    rng = np.random.default_rng(13)
    p_values = []
    for _ in range(REPLICATES):
        scores, baseline, arm = trial(rng, n=60, visits=4)
        p_values.append(mmrm(lose(rng, scores, 0.2), baseline, arm).difference[3][1].p_value)
    assert abs(rate(p_values) - 0.05) < BOUND


def test_two_proportions_rejects_equal_ones_in_five_percent():
    events = np.random.default_rng(14).binomial(200, 0.4, (REPLICATES, 2)).tolist()
    assert abs(rate([two_proportions(a, 200, b, 200) for a, b in events]) - 0.05) < BOUND


# --- two groups -------------------------------------------------------------------------------------------------------


@st.composite
def tables(draw):
    """Events and patients of two groups, with at least one event and one patient without."""
    n, m = draw(st.integers(2, 300)), draw(st.integers(2, 300))
    a, c = draw(st.integers(0, n)), draw(st.integers(0, m))
    return (a, n, c, m) if 0 < a + c < n + m else (1, n, 0, m)


@settings(max_examples=50)
@given(tables())
def test_two_proportions_is_the_chi_square_test_without_correction(table):
    a, n, c, m = table
    chi_square = stats.chi2_contingency([[a, n - a], [c, m - c]], correction=False)[1]
    assert two_proportions(*table) == pytest.approx(chi_square, rel=1e-9)
    assert two_proportions(*table) == pytest.approx(proportions_ztest([a, c], [n, m])[1], rel=1e-9)


@pytest.mark.parametrize("events", [0, 10])
def test_groups_without_any_difference_in_outcome_do_not_differ(events):
    assert two_proportions(events, 10, events, 10) == 1


# Newcombe 1998, Statistics in Medicine 17:873, table II, method 10.
NEWCOMBE = {
    (56, 70, 48, 80): (0.0524, 0.3339),
    (9, 10, 3, 10): (0.1705, 0.8090),
    (6, 7, 2, 7): (0.0582, 0.8062),
    (5, 56, 0, 29): (-0.0381, 0.1926),
    (0, 10, 0, 20): (-0.1611, 0.2775),
    (0, 10, 0, 10): (-0.2775, 0.2775),
    (10, 10, 0, 20): (0.6791, 1.0000),
    (10, 10, 0, 10): (0.6075, 1.0000),
}


@pytest.mark.parametrize(("table", "interval"), NEWCOMBE.items())
def test_the_interval_of_a_risk_difference_is_the_published_one(table, interval):
    found = risk_difference(*table)
    assert (found.low, found.high) == pytest.approx(interval, abs=6e-5)


@settings(max_examples=50)
@given(tables())
def test_the_interval_of_a_risk_difference_is_that_of_statsmodels(table):
    found = risk_difference(*table)
    assert (found.low, found.high) == pytest.approx(confint_proportions_2indep(*table, method="newcomb"), abs=1e-9)


@pytest.mark.parametrize("table", [(60, 100, 40, 100), (40, 100, 60, 100)])
def test_a_clear_number_needed_to_treat_is_the_inverse_of_the_risk_difference(table):
    risk, needed = risk_difference(*table), number_needed_to_treat(*table)
    assert needed.value == pytest.approx(1 / risk.value)
    assert sorted([needed.low, needed.high]) == pytest.approx(sorted([1 / risk.low, 1 / risk.high]))
    assert abs(needed.low) < abs(needed.value) < abs(needed.high)
    assert needed.words.count("benefit" if risk.value > 0 else "harm") == 3


def test_an_unclear_number_needed_to_treat_runs_through_infinity():
    risk, needed = risk_difference(30, 100, 20, 100), number_needed_to_treat(30, 100, 20, 100)
    assert (needed.low, needed.high) == pytest.approx((1 / risk.low, 1 / risk.high))
    assert needed.low < 0 < needed.high
    assert f"{-needed.low:.1f} to harm through infinity to {needed.high:.1f} to benefit" in needed.words


def test_no_difference_needs_infinitely_many():
    needed = number_needed_to_treat(20, 100, 20, 100)
    assert needed.value == np.inf
    assert needed.words.startswith("infinity")


@settings(max_examples=50)
@given(tables())
def test_odds_ratio_is_that_of_statsmodels(table):
    a, n, c, m = table
    cells = np.array([[a, n - a], [c, m - c]], float)
    theirs = Table2x2(cells + 0.5 * (cells == 0).any(), shift_zeros=False)
    ours = odds_ratio(*table)
    assert (ours.low, ours.high) == pytest.approx(theirs.oddsratio_confint(), rel=1e-9)
    expected = theirs.oddsratio, theirs.log_oddsratio_se, theirs.oddsratio_pvalue()
    assert (ours.value, ours.standard_error, ours.p_value) == pytest.approx(expected, rel=1e-9)


def test_hedges_g_is_that_of_statsmodels_but_for_its_rounder_correction():
    rng = np.random.default_rng(15)
    a, b = rng.normal(1, 2, 30), rng.normal(0, 3, 40)
    g, variance = effectsize_smd(a.mean(), a.std(ddof=1), 30, b.mean(), b.std(ddof=1), 40)
    ours = hedges_g(a, b)
    # statsmodels takes 1 - 3 / (4 n - 9) for the exact factor; they differ by less than 1 in 10,000 here.
    assert (ours.value, ours.standard_error**2) == pytest.approx((g, variance), rel=1e-4)
    assert ours.p_value == pytest.approx(stats.ttest_ind(a, b)[1], rel=1e-9)


def test_the_interval_of_hedges_g_covers_the_truth_and_its_value_is_not_biased():
    rng = np.random.default_rng(16)
    found = [hedges_g(rng.normal(0.8, 1, 10), rng.normal(0, 1, 8)) for _ in range(500)]
    values = np.array([f.value for f in found])
    assert abs(values.mean() - 0.8) < 4 * values.std() / np.sqrt(500)
    # The interval is exact for the biased d, whose centre the factor moves; coverage stays near 95 %.
    assert abs(np.mean([f.low < 0.8 < f.high for f in found]) - 0.95) < 4 * np.sqrt(0.05 * 0.95 / 500)


@pytest.mark.parametrize(("effect", "n", "alpha"), [(0.5, 64, 0.05), (-0.3, 20, 0.05), (1.2, 8, 0.01), (0.0, 30, 0.1)])
def test_power_is_that_of_statsmodels(effect, n, alpha):
    assert power_two_means(effect * 7, 7, n, alpha) == pytest.approx(TTestIndPower().power(effect, n, alpha), rel=1e-8)


# --- what is refused --------------------------------------------------------------------------------------------------

GOOD = np.arange(10.0) ** 1.5, np.arange(10.0)[::-1] ** 2, np.arange(10) % 2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"score": GOOD[0][:, None]}, "score"),
        ({"score": np.full(10, np.inf)}, "score"),
        ({"score": GOOD[1] + GOOD[2]}, "score does not vary"),
        ({"baseline": np.full(10, np.nan)}, "baseline"),
        ({"baseline": np.ones(9)}, "baseline"),
        ({"baseline": np.ones(10)}, "terms apart"),
        ({"arm": np.zeros(10, int)}, "arm holds"),
        ({"arm": np.ones(10) / 2}, "arm must"),
        ({"control": 7}, "control arm, 7"),
        ({"covariates": np.full(10, np.nan)}, "covariates"),
        ({"covariates": np.ones((9, 1))}, "covariates"),
        ({"covariates": np.eye(10)}, "terms apart"),
    ],
)
def test_ancova_refuses(change, word):
    with pytest.raises(UserError, match=word):
        ancova(**{**dict(zip(("score", "baseline", "arm"), GOOD, strict=True)), **change})


def test_mmrm_refuses_an_arm_that_nobody_saw_at_a_visit():
    scores, baseline, arm = trial(np.random.default_rng(17))
    scores[arm == 1, 2] = np.nan
    with pytest.raises(UserError, match="arm 1 at visit 2"):
        mmrm(scores, baseline, arm)


def test_mmrm_refuses_visits_that_never_occur_together():
    scores, baseline, arm = trial(np.random.default_rng(18), visits=2)
    scores[:30, 0], scores[30:, 1] = np.nan, np.nan
    with pytest.raises(UserError, match="visit 0 and visit 1"):
        mmrm(scores, baseline, arm)


@pytest.mark.parametrize("scores", [np.zeros((4, 2, 2)), np.zeros((4, 0)), np.full((4, 2), np.inf)])
def test_mmrm_refuses_scores_of_another_form(scores):
    with pytest.raises(UserError, match="scores must be numbers"):
        mmrm(scores, np.ones(4), np.arange(4) % 2)


def test_mmrm_refuses_more_visits_than_patients_can_tell_apart():
    scores, baseline, arm = trial(np.random.default_rng(19), n=8, visits=6)
    with pytest.raises(UserError, match="use fewer visits or more patients"):
        mmrm(scores, baseline, arm)


def test_mmrm_refuses_a_visit_that_repeats_another():
    rng = np.random.default_rng(21)
    scores, baseline, arm = trial(rng, visits=3)
    scores[:, 2] = scores[:, 1]
    scores[rng.random(60) < 0.2, 2] = np.nan
    with pytest.raises(UserError, match="repeat each other"):
        mmrm(scores, baseline, arm)


def test_mmrm_refuses_scores_that_do_not_vary():
    _, baseline, arm = trial(np.random.default_rng(20))
    with pytest.raises(UserError, match="must differ between patients"):
        mmrm(np.zeros((60, 2)), baseline, arm)


@pytest.mark.parametrize("table", [(-1, 10, 1, 10), (11, 10, 1, 10), (1, 10, 11, 10), (0, 0, 1, 10)])
@pytest.mark.parametrize("measure", [two_proportions, risk_difference, odds_ratio, number_needed_to_treat])
def test_impossible_counts_are_refused(measure, table):
    with pytest.raises(UserError, match="events"):
        measure(*table)


@pytest.mark.parametrize("score", [np.ones(1), np.array([1.0, np.nan]), np.ones((2, 2)), np.ones(3)])
def test_hedges_g_refuses_what_has_no_spread(score):
    with pytest.raises(UserError, match="score"):
        hedges_g(score, np.ones(3))


@pytest.mark.parametrize("arguments", [(1, 0, 10), (1, 1, 1), (1, 1, 10, 0), (1, 1, 10, 1)])
def test_impossible_designs_have_no_power(arguments):
    with pytest.raises(UserError, match="sd is"):
        power_two_means(*arguments)
