"""The same patient has the same course: in any company, on any number of workers, in every arm, to any horizon."""

import numpy as np
import pytest

from euthymia.course.batch import BATCH
from euthymia.course.simulate import simulate
from euthymia.errors import UserError
from euthymia.patient import draw

HOURS = (1.0, 24.0, 48.0, 168.0)
PROTOCOL = "ketamine-iv-single"


def course(protocol=PROTOCOL, patients=BATCH + 40, **given):
    return simulate(protocol, patients, **dict(weeks=1, seed=3, observe_h=HOURS) | given)


@pytest.fixture(scope="module")
def reference():
    return course()


def assert_same(a, b, rows=slice(None)):
    for part in ("values", "sessions"):
        one, other = getattr(a, part), getattr(b, part)
        assert one.keys() == other.keys()
        for name in one:
            assert np.array_equal(one[name][rows], other[name][rows]), name


def test_company_does_not_matter(reference):
    assert_same(course(patients=60), reference, slice(0, 60))


def test_the_last_patient_of_a_cohort_is_the_same_in_a_larger_one(reference):
    larger = course(patients=2 * BATCH + 7)
    assert_same(larger, reference, slice(0, BATCH + 40))


def test_workers_do_not_matter(reference):
    assert_same(course(workers=1), course(workers=3))
    assert_same(course(workers=1), reference)


def test_a_cohort_in_two_pieces_is_the_cohort(reference):
    people = draw("TRD", BATCH + 40, 3)
    pieces = [course(patients=people.take(a, b)) for a, b in ((0, 300), (300, BATCH + 40))]
    for name in reference.values:
        assert np.array_equal(np.concatenate([p.values[name] for p in pieces]), reference.values[name]), name


def test_the_same_seed_repeats_and_another_does_not(reference):
    assert_same(course(), reference)
    assert not np.any(course(seed=4).values["MADRS"][:, 1] == reference.values["MADRS"][:, 1])


def test_a_patient_is_the_same_in_every_arm(reference):
    saline = course("saline-iv")
    assert np.array_equal(saline.values["fluctuation"], reference.values["fluctuation"])
    noise = [c.values["MADRS rated"] - c.values["MADRS"] for c in (saline, reference)]
    inside = np.all([(c.values["MADRS"] > 12) & (c.values["MADRS"] < 48) for c in (saline, reference)], axis=0)
    assert np.abs(noise[0] - noise[1])[inside].max() <= 1  # one rating error, rounded twice
    for name in ("weight_kg", "age_y", "baseline_madrs", "female"):
        assert np.array_equal(getattr(saline.people, name), getattr(reference.people, name))


@pytest.mark.parametrize("protocol", ["ketamine-iv-twice-weekly", "sertraline"])
def test_a_longer_horizon_repeats_the_beginning(protocol):
    short = course(protocol, 40, weeks=1)
    long = course(protocol, 40, weeks=3, observe_h=(*HOURS, 400.0, 504.0))
    for name in short.values:
        # not bit for bit: another course is another compilation, which may round in another order
        assert long.values[name][:, : len(HOURS)] == pytest.approx(short.values[name], rel=1e-9, abs=1e-9), name


def test_the_outcomes_have_one_row_per_patient(reference):
    table = reference.outcomes()
    assert table["patient"].to_list() == list(range(BATCH + 40))
    assert np.array_equal(table["baseline MADRS"].to_numpy(), reference.people.baseline_madrs)
    assert np.array_equal(table["MADRS end"].to_numpy(), reference.values["MADRS"][:, -1])


@pytest.mark.parametrize("weeks", [0, -1, np.nan, np.inf, 105])
def test_an_impossible_horizon_is_refused(weeks):
    with pytest.raises(UserError, match="weeks must be above 0 and at most 104"):
        simulate(PROTOCOL, 5, weeks)


@pytest.mark.parametrize("hours", [(), (np.nan,), (-1.0, 3.0), (1.0, 1e4), (0.0,)])
def test_impossible_observation_times_are_refused(hours):
    with pytest.raises(UserError, match="observation times must"):
        simulate(PROTOCOL, 5, 1, observe_h=hours)


def test_an_empty_population_is_refused():
    with pytest.raises(UserError, match="at least 1"):
        simulate(PROTOCOL, 0, 1)


def test_an_unknown_absorption_input_is_refused():
    with pytest.raises(UserError, match=r"no absorption input 'rectal_rate'; allowed: .*subcutaneous_rate"):
        simulate("ketamine-sc-twice-weekly", 5, 1, absorption={"rectal_rate": 2.0})
