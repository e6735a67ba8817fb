"""Virtual patients: the declared distributions, the same people always, and errors in one sentence."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.extend.random import threefry_2x32
from scipy.special import ndtri
from scipy.stats import rankdata, truncnorm

from euthymia.errors import UserError
from euthymia.evidence import value
from euthymia.patient import POPULATIONS, Patients, draw
from euthymia.patient.population import DEVIATE_LIMIT, VARIED
from euthymia.patient.random import normals, stream_id, threefry
from euthymia.protocol import words

MANY = 20_000
SIGMAS = 4.5  # sampling errors allowed; with about fifty comparisons a false alarm is a matter of 1 in 3,000


@pytest.fixture(scope="module")
def trd():
    return draw("TRD", MANY, 5)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def truncated(name, population="trd"):
    mean, sd, low, high = (value(f"population.{population}.{name}_{k}") for k in ("mean", "sd", "minimum", "maximum"))
    return truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd)


def normal_scores(x):
    return ndtri((rankdata(x) - 0.5) / len(x))


# --- the same people --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("population", POPULATIONS)
def test_a_patient_is_the_same_whoever_else_is_drawn(population):
    many = draw(population, 700, 3)
    assert same(draw(population, 20, 3), many.take(0, 20))
    assert same(draw(population, 30, 3, first=600), many.take(600, 630))


def test_another_seed_draws_other_people():
    one, other = draw("TRD", 50, 1), draw("TRD", 50, 2)
    assert not np.any(np.asarray(one.weight_kg) == np.asarray(other.weight_kg))
    assert not np.any(np.asarray(one.z["depression.gain"]) == np.asarray(other.z["depression.gain"]))


def test_comedication_and_liver_change_clearance_and_nothing_else_of_a_patient():
    free, induced = draw("TRD", 40, 1), draw("TRD", 40, 1, comedication=("rifampicin",))
    impaired = draw("TRD", 40, 1, hepatic_impairment="moderate")
    assert np.all(np.asarray(induced.intrinsic_clearance) > 1) and np.all(np.asarray(impaired.intrinsic_clearance) < 1)
    assert same(draw("TRD", 40, 1, hepatic_impairment="mild"), free)
    for other in (induced, impaired):
        assert np.array_equal(other.weight_kg, free.weight_kg) and same(other.z, free.z)


# --- their distributions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIED)
def test_every_deviate_is_standard_normal_and_bounded(trd, name):
    z = np.asarray(trd.z[name])
    assert np.abs(z).max() <= DEVIATE_LIMIT
    assert abs(z.mean()) < SIGMAS / np.sqrt(MANY)
    # clipping at three takes 0.0037 from the variance
    assert z.var() == pytest.approx(1 - 0.0037, abs=SIGMAS * np.sqrt(2 / MANY))


def test_deviates_are_independent_of_each_other(trd):
    r = np.corrcoef(np.stack([np.asarray(trd.z[n]) for n in VARIED]))
    pairs = len(VARIED) * (len(VARIED) - 1) / 2
    assert np.abs(r - np.eye(len(r))).max() < (3 + np.sqrt(2 * np.log(pairs))) / np.sqrt(MANY)


@pytest.mark.parametrize(("attribute", "name"), [("age_y", "age"), ("baseline_madrs", "baseline")])
def test_age_and_baseline_follow_their_truncated_normal(trd, attribute, name):
    x, declared = np.asarray(getattr(trd, attribute)), truncated(name)
    low, high = declared.support()
    assert x.min() >= low and x.max() <= high
    assert x.mean() == pytest.approx(declared.mean(), abs=SIGMAS * declared.std() / np.sqrt(MANY))
    assert x.std() == pytest.approx(declared.std(), rel=SIGMAS / np.sqrt(2 * MANY))
    assert np.unique(x).size > 0.99 * MANY  # nobody piles up at a limit


@pytest.mark.parametrize("population", ["trd", "healthy"])
def test_weight_has_its_mean_its_spread_and_its_sex_difference(population):
    people = draw("TRD" if population == "trd" else "healthy", MANY, 9)
    weight, female = np.asarray(people.weight_kg), np.asarray(people.female) > 0
    cv, mean = value(f"population.{population}.weight_cv"), value(f"population.{population}.weight_mean")
    # limits of 45 and 160 kg move the mean by less than half a percent
    error = SIGMAS * weight.std() / np.sqrt(MANY)
    assert weight.mean() == pytest.approx(mean, abs=error + 0.005 * mean)
    assert weight.min() >= value("population.weight_minimum") and weight.max() <= value("population.weight_maximum")
    ratio = np.median(weight[~female]) / np.median(weight[female])
    assert ratio == pytest.approx(value("population.weight_sex_ratio"), rel=0.02)
    assert np.log(weight[female]).std() == pytest.approx(cv, rel=0.08)


def test_shares_of_women_and_of_benzodiazepine_users_are_the_declared_ones(trd):
    for attribute, name in (("female", "female_fraction"), ("benzodiazepine", "benzodiazepine_fraction")):
        p = value("population.trd." + name)
        found = np.asarray(getattr(trd, attribute))
        assert set(np.unique(found)) == {0.0, 1.0}
        assert found.mean() == pytest.approx(p, abs=SIGMAS * np.sqrt(p * (1 - p) / MANY))


def test_resistant_patients_failed_two_trials_at_least_and_the_declared_number_on_average(trd):
    failed = np.asarray(trd.failed_trials)
    assert failed.min() == 2 and np.array_equal(failed, np.round(failed))
    mean = value("population.trd.failed_trials_mean")
    assert failed.mean() == pytest.approx(mean, abs=SIGMAS * failed.std() / np.sqrt(MANY))
    assert np.all(np.asarray(trd.resistant) == 1)


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("age_y", "weight_kg", "age_weight"),
        ("baseline_madrs", "failed_trials", "baseline_failed"),
        ("age_y", "failed_trials", "age_failed"),
    ],
)
def test_covariates_correlate_as_declared(trd, first, second, name):
    x, y = np.asarray(getattr(trd, first)), np.asarray(getattr(trd, second))
    declared = value("population.trd.correlation_" + name)
    if second == "weight_kg":  # the correlation is that of people of one sex
        y = y / np.where(np.asarray(trd.female) > 0, 1.0, value("population.weight_sex_ratio"))
        r = np.corrcoef(normal_scores(x), normal_scores(y))[0, 1]
        assert r == pytest.approx(declared, abs=SIGMAS / np.sqrt(MANY))
    else:  # counts have few values, which hides part of the correlation of what lies behind them
        r = np.corrcoef(normal_scores(x), normal_scores(y))[0, 1]
        assert 0.6 * declared < r < declared + SIGMAS / np.sqrt(MANY)


def test_healthy_volunteers_are_not_ill():
    people = draw("healthy", 200, 1)
    for name in ("baseline_madrs", "failed_trials", "resistant", "benzodiazepine"):
        assert np.all(np.asarray(getattr(people, name)) == 0), name


def test_the_same_illness_need_not_be_resistant():
    resistant, not_resistant = draw("TRD", 300, 4), draw("MDD", 300, 4)
    assert np.all(np.asarray(not_resistant.resistant) == 0)
    assert np.array_equal(resistant.weight_kg, not_resistant.weight_kg)


# --- random numbers ---------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**32 - 1), min_size=4, max_size=4))
def test_the_hash_is_threefry(words):
    key, counter = np.array(words, np.uint32).reshape(2, 2)
    ours = threefry((key[:1], key[1:]), (counter[:1], counter[1:]))
    theirs = threefry_2x32(jax.numpy.asarray(key), jax.numpy.asarray(counter))
    assert np.array_equal(np.concatenate(ours), theirs)


def test_compiled_draws_are_the_same():
    by_hand, compiled = (normals(3, {"a": np.arange(20)}, np.arange(500), compiled=c) for c in (False, True))
    np.testing.assert_allclose(by_hand["a"], compiled["a"], rtol=1e-9, atol=1e-12)


def test_a_draw_depends_on_its_counter_alone():
    patients = np.arange(40)
    wide = normals(9, {"a": np.arange(5), "b": np.arange(3)}, jax.numpy.asarray(patients))
    narrow = normals(9, {"b": np.array([2])}, jax.numpy.asarray(patients[10:12]))
    assert np.array_equal(np.asarray(narrow["b"])[0], np.asarray(wide["b"])[2, 10:12])


def test_streams_occasions_patients_and_seeds_all_differ():
    table = np.asarray(normals(1, {"a": np.arange(40), "b": np.arange(40)}, jax.numpy.arange(500)).table)
    other = np.asarray(normals(2, {"a": np.arange(40)}, jax.numpy.arange(500)).table)
    assert np.unique(np.concatenate([table.ravel(), other.ravel()])).size == table.size + other.size
    assert abs(np.corrcoef(table[:40].ravel(), table[40:].ravel())[0, 1]) < SIGMAS / np.sqrt(20_000)
    assert table.std() == pytest.approx(1, rel=SIGMAS / np.sqrt(2 * table.size))


def test_streams_have_their_own_numbers():
    names = (*VARIED, "fluctuation", "rating", "dissociation session", "blood pressure session")
    assert len({stream_id(n) for n in names}) == len(names)


# --- people of one's own ----------------------------------------------------------------------------------------------


def test_given_covariates_are_kept_and_scalars_shared():
    people = Patients.create(weight_kg=[60, 80], age_y=[30, 50], baseline_madrs=30)
    assert np.array_equal(people.weight_kg, [60, 80]) and np.array_equal(people.baseline_madrs, [30, 30])
    assert len(people) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -70.0, 0.0, 7000.0])
def test_an_impossible_weight_is_refused_by_patient(bad):
    with pytest.raises(UserError, match=r"weight_kg of patient 2 is .*; allowed is 30 to 250\."):
        Patients.create(weight_kg=[70.0, bad])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"age_y": [40, np.nan]}, "age_y of patient 2 is nan; allowed is 18 to 100"),
        ({"age_y": 12}, "age_y of patient 1 is 12"),
        ({"baseline_madrs": 61}, "baseline_madrs of patient 1 is 61; allowed is 0 to 60"),
        ({"baseline_madrs": -1}, "baseline_madrs of patient 1 is -1"),
        ({"female": 2}, "female of patient 1 is 2"),
        ({"age_y": [30, 40, 50]}, "has 2 values for 3 patients"),
        ({"weight_kg": []}, "patient"),
    ],
)
def test_impossible_people_are_refused_in_one_sentence(given, says):
    with pytest.raises(UserError, match=says) as caught:
        Patients.create(**{"weight_kg": [70.0, 80.0]} | given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [0, -5, 2.5, True, "ten", None])
def test_a_number_of_patients_that_is_none_is_refused(number):
    with pytest.raises(UserError, match="must be a whole number of at least 1"):
        draw("TRD", number)


def test_unknown_populations_agents_and_livers_are_refused():
    with pytest.raises(UserError, match="there is no population 'bipolar'; known: TRD"):
        draw("bipolar", 1)
    with pytest.raises(UserError, match="no published interaction for 'aspirin'"):
        draw("TRD", 1, comedication=("aspirin",))
    with pytest.raises(UserError, match="severe hepatic impairment has not been studied"):
        draw("TRD", 1, hepatic_impairment="severe")
    with pytest.raises(UserError, match="'some' is unknown; allowed: none, mild, moderate"):
        draw("TRD", 1, hepatic_impairment="some")


def test_a_protocol_may_name_exactly_the_populations_there_are():
    """Two rooms of one floor, neither of which may read the other's list."""
    assert words.POPULATIONS == POPULATIONS
