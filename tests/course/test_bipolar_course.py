"""Bipolar disorder in the engine: reproducible, two poles, and honest where no data reach."""

import numpy as np
import pytest

from euthymia.course.batch import BATCH
from euthymia.course.simulate import simulate
from euthymia.patient import draw

HOURS = (1.0, 24.0, 48.0, 168.0, 672.0)
PEOPLE = "bipolar depression"


def course(protocol="ketamine-iv-bipolar", population=PEOPLE, patients=200, weeks=4.0, **given):
    return simulate(protocol, draw(population, patients, 3), weeks, **dict(observe_h=HOURS) | given)


@pytest.fixture(scope="module")
def reference():
    return course(patients=BATCH + 40)


def test_neither_company_nor_workers_matter(reference):
    few = course(patients=40, workers=1)
    for name, values in few.values.items():
        assert np.array_equal(values, reference.values[name][:40]), name


def test_looking_more_often_changes_nothing(reference):
    often = course(patients=BATCH + 40, observe_h=sorted({*HOURS, *np.arange(0.0, 672.0, 7.0)}))
    at = [int(np.flatnonzero(often.time_h == t)[0]) for t in HOURS]
    for name in ("depressive pole", "manic pole", "MADRS", "YMRS"):
        assert often.values[name][:, at] == pytest.approx(reference.values[name], abs=1e-3), name


def test_a_longer_horizon_repeats_the_beginning(reference):
    longer = course(patients=40, weeks=8, observe_h=(*HOURS, 1344.0))
    for name in ("depressive pole", "manic pole"):
        assert longer.values[name][:, : len(HOURS)] == pytest.approx(reference.values[name][:40], abs=1e-12), name


def test_patients_enter_depressed_and_not_manic():
    one = course(observe_h=(0.0, 24.0))
    assert one.values["MADRS"][:, 0] == pytest.approx(np.asarray(one.people.baseline_madrs))
    assert one.values["YMRS"][:, 0].max() < 12


def test_between_episodes_nobody_is_ill_at_first_and_some_fall_ill():
    year = course("lithium", "bipolar euthymia", weeks=52, observe_h=None)
    assert not (year.values["depressive pole"][:, 0] > 0.5).any()
    table = year.outcomes()
    assert 0 < (table["depressive episodes"] > 0).mean() < 0.7
    assert not any(row.label.startswith("response") for row in year.summary().rows)


def test_a_stabiliser_keeps_mania_away_and_rapid_cycling_brings_it():
    given = dict(weeks=26, observe_h=None, patients=400)
    with_one = course(**given).outcomes()
    without = course("ketamine-iv-bipolar-unprotected", **given).outcomes()
    rapid = course("ketamine-iv-bipolar-unprotected", "rapid cycling " + PEOPLE, **given).outcomes()
    manic = [(t["manic episodes"] > 0).mean() for t in (with_one, without, rapid)]
    assert manic[0] < manic[1] < manic[2]


def test_without_treatment_treated_and_untreated_are_the_same():
    alone = course("saline-iv")
    assert alone.values["MADRS"] == pytest.approx(alone.values["MADRS untreated"])


def test_days_in_states_add_up_to_no_more_than_the_course():
    table = course(weeks=12, observe_h=None).outcomes()
    days = table["days depressed"] + table["days manic"] + table["days mixed"]
    assert days.max() <= 12 * 7 + 1 and days.min() >= 0


@pytest.mark.parametrize(
    ("protocol", "population", "said"),
    [
        ("ketamine-iv-bipolar", PEOPLE, "mixed states"),
        ("ketamine-iv-bipolar-unprotected", PEOPLE, "without a mood stabiliser"),
        ("ketamine-iv-bipolar", "rapid cycling " + PEOPLE, "rapid cycling"),
        ("ketamine-iv-bipolar", "bipolar euthymia", "between episodes"),
    ],
)
def test_what_no_human_data_support_is_called_extrapolation(protocol, population, said):
    warnings = course(protocol, population, patients=8).warnings
    assert any(w.startswith("extrapolation: ") and said in w for w in warnings)


def test_what_trials_have_shown_is_not(reference):
    assert not any("stabiliser" in w for w in reference.warnings)
    assert not course("quetiapine-bipolar", patients=8).warnings
