"""From plasticity to the MADRS, and the response that is not the drug's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from euthymia import evidence
from euthymia.illness.background import EARLY, Background
from euthymia.illness.depression import MADRS_MAXIMUM, Depression, score

jax.config.update("jax_enable_x64", True)

DAY, WEEK = 24.0, 168.0


@pytest.fixture
def depression():
    return Depression.from_evidence()


def test_no_effect_leaves_the_baseline_and_any_effect_keeps_the_score_on_its_scale():
    baseline = jnp.array([20.0, 35.0, 56.0])
    assert np.array_equal(score(baseline, jnp.zeros(3)), baseline)
    for effect in (-5.0, -0.1, 0.3, 5.0, 50.0):
        found = np.asarray(score(baseline, jnp.full(3, effect)))
        assert np.all(found > 0) and np.all(found <= MADRS_MAXIMUM)


def test_effects_are_sub_additive_in_points():
    baseline = jnp.array(35.0)
    fall = lambda effect: float(baseline - score(baseline, jnp.array(effect)))  # noqa: E731
    assert max(fall(0.4), fall(0.3)) < fall(0.7) < fall(0.4) + fall(0.3)


def test_both_kinds_of_plasticity_lift_mood(depression):
    nothing, some = jnp.zeros(1), jnp.full(1, 0.2)
    none = float(depression.readout(nothing, nothing, nothing)[0])
    assert none == 0
    for one in ((some, nothing, nothing), (nothing, some, nothing), (nothing, nothing, some)):
        assert float(depression.readout(*one)[0]) > 0


def test_an_antidepressant_adapts_over_weeks_and_is_lost_after_stopping(depression):
    t = jnp.array([0, 1, 7, 28, 56, 84.0]) * DAY
    on = np.asarray(depression.adaptation(t, [(0.0, np.inf, 1.0)]))
    assert on[0] == 0 and np.all(np.diff(on) > 0) and on[1] < 0.1 and 0.4 < on[3] < 0.8
    assert on == pytest.approx(1 - np.exp(-np.asarray(t) / evidence.value("depression.antidepressant_time")))
    stopped = np.asarray(depression.adaptation(t, [(0.0, 28 * DAY, 1.0)]))
    assert stopped[:4] == pytest.approx(on[:4]) and np.all(np.diff(stopped[3:]) < 0)


def test_two_antidepressants_together_never_exceed_full_adaptation(depression):
    t = jnp.array([1.0, 50.0, 500.0]) * DAY
    both = np.asarray(depression.adaptation(t, [(0.0, np.inf, 1.0), (0.0, np.inf, 1.0)]))
    assert np.all(both <= 1) and both[0] > float(depression.adaptation(t, [(0.0, np.inf, 1.0)])[0])


def test_ups_and_downs_start_at_rest_and_reach_their_published_spread(depression):
    patients, days = 2000, 120
    daily = jnp.asarray(np.random.default_rng(5).standard_normal((days, patients)))
    t = jnp.array([0.0, 60.0, 90.0, 119.0]) * DAY
    sd = depression.fluctuation_sd(jnp.ones(patients), jnp.zeros(patients))
    path = np.asarray(depression.fluctuation(t, daily, sd))
    assert np.all(path[0] == 0)
    grown = 1 - np.exp(-2 * 119 * DAY / evidence.value("depression.fluctuation_time"))
    expected = evidence.value("depression.sd_fluctuation") * np.sqrt(grown)
    assert path[-1].std() == pytest.approx(expected, rel=4 / np.sqrt(2 * patients))
    kept = np.corrcoef(path[1], path[2])[0, 1]
    assert kept == pytest.approx(np.exp(-30 * DAY / evidence.value("depression.fluctuation_time")), abs=0.09)


def test_who_is_not_resistant_is_steadier_and_who_is_labile_less_steady(depression):
    sd = np.asarray(depression.fluctuation_sd(jnp.array([1.0, 0.0, 1.0]), jnp.array([0.0, 0.0, 2.0])))
    assert sd[1] / sd[0] == pytest.approx(evidence.value("depression.fluctuation_not_resistant"))
    assert sd[2] / sd[0] == pytest.approx(np.exp(2 * evidence.value("depression.sd_lability")))


def test_ups_and_downs_run_straight_between_days(depression):
    daily = jnp.asarray(np.random.default_rng(6).standard_normal((10, 3)))
    at = lambda *t: np.asarray(depression.fluctuation(jnp.array(t), daily, jnp.ones(3)))  # noqa: E731
    assert at(36.0)[0] == pytest.approx(at(24.0, 48.0).mean(0))


@pytest.mark.parametrize("expectancy", EARLY)
def test_every_design_has_a_level_that_starts_at_nothing_and_settles(expectancy):
    background = Background.of(expectancy, inpatient=False)
    never = jnp.full(3, jnp.inf)
    level = np.asarray(background.level(jnp.array([0.0, 5 * WEEK, 500 * WEEK]), never))
    assert level[0] == 0 and level[1] > 0
    assert level[2] == pytest.approx(background.early + background.slow + background.natural)


def test_expectancy_rises_after_a_session_begins_and_then_halves_as_published():
    background = Background.of("saline", inpatient=False)
    half_life = evidence.value("background.session_half_life")
    since = jnp.array([0.0, 0.25, 1.0, 4.0, 4.0 + half_life, 20 * half_life])
    level = np.asarray(background.level(jnp.zeros(6), since))
    assert level[0] == 0 and level[1] < level[2] and level[2] > level[3]
    assert level[2] < evidence.value("background.session_amplitude")
    assert level[4] == pytest.approx(level[3] / 2, rel=1e-3)  # the rise is over by then
    assert level[5] < 1e-5


def test_inpatients_respond_more_without_any_drug():
    t, never = jnp.array([2 * WEEK]), jnp.array([jnp.inf])
    out, inside = (float(Background.of("saline", inpatient).level(t, never)[0]) for inpatient in (False, True))
    assert inside > out


def test_midazolam_raises_more_expectation_than_saline_and_a_new_antidepressant_most_in_the_end():
    never = jnp.full(2, jnp.inf)
    level = {e: np.asarray(Background.of(e, False).level(jnp.array([DAY, 8 * WEEK]), never)) for e in EARLY}
    assert level["midazolam"][0] > level["saline"][0]
    assert level["new oral antidepressant"][1] > level["saline"][1]
