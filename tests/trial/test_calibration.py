"""The check of the calibration arms: what it rests on, what it may not read, and how well the model does."""

import math

import pytest

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.trial import calibration_check
from euthymia.trial.document import load
from euthymia.trial.observed import observed, row

# The arms the model's values were fitted to, by study.
FITTED = {
    "DALY2018_SYNAPSE": {"pbo", "esk28", "esk56", "esk84"},
    "SU2017": {"saline", "ket_0.2", "ket_0.5"},
    "IBRAHIM2012": {"ketamine (all)"},
    "SINGH2016_FREQ": {"pbo_2x", "ket_2x", "pbo_3x", "ket_3x"},
    "MURROUGH2013_BP": {"ketamine_6x"},
    "MURROUGH2013_AJP": {"midazolam", "ketamine"},
    "TRANSFORM1": {"AD+pbo", "esk56+AD", "esk84+AD"},
    "TRANSFORM2": {"AD+pbo", "esk+AD"},
    "TURKOZ2021_POOLED": {"AD+pbo", "esk+AD"},
    "SUSTAIN1": {"remit_AD+pbo", "remit_esk+AD"},
    "TAYLOR2006": {"SSRI vs placebo"},
    "KATO2020": {"AD continuation", "placebo"},
    "STARD": {"step1", "step2", "step3"},
}


ENOUGH = 6000  # patients at which chance moves the mean error of rates by less than 0.05 percentage points


@pytest.fixture(scope="module")
def check():
    return calibration_check(patients=ENOUGH, seed=1)


@pytest.fixture(scope="module")
def calibration_rows():
    return {r.id: r for r in evidence.outcomes(set="calibration")}


def test_every_arm_the_model_was_fitted_to_is_checked(calibration_rows):
    used = [calibration_rows[id] for t in load().trials for e in t.endpoints for id in e.evidence]
    arms = {study: {r.arm for r in used if r.study == study} for study in FITTED}
    assert arms == FITTED


def test_no_outcome_that_only_validates_can_be_read():
    for outcome in evidence.outcomes(set=("validation", "context")):
        with pytest.raises(UserError, match="calibration set"):
            row(outcome.id)


def test_observed_values_are_those_of_the_evidence(check, calibration_rows):
    for r in check.rows:
        ids = r.evidence.split()
        if len(ids) == 1 and "median" not in ids[0]:
            assert r.observed == calibration_rows[ids[0]].value_number, r.evidence


def test_verified_says_what_the_evidence_says(check, calibration_rows):
    for r in check.rows:
        assert (r.verified == "yes") == all(calibration_rows[id].verified == "yes" for id in r.evidence.split())


def test_a_pooled_value_lies_between_its_parts(check, calibration_rows):
    pooled = [r for r in check.rows if r.kind == "change" and len(r.evidence.split()) > 1]
    assert pooled
    for r in pooled:
        parts = [calibration_rows[id].value_number for id in r.evidence.split()]
        assert min(parts) < r.observed < max(parts)


def test_half_have_relapsed_at_the_median_and_fewer_under_a_lower_hazard():
    stop, go_on = (observed(e) for t in load().trials if t.trial == "SUSTAIN-1" for e in t.endpoints)
    hazard_ratio = row(go_on.ids[1]).value_number
    assert stop.value == 50
    assert math.log(1 - go_on.value / 100) / math.log(1 - stop.value / 100) == pytest.approx(hazard_ratio)


def test_rates_are_within_five_and_a_half_percentage_points_on_average(check):
    assert check.total("rate").mean_absolute_error <= 5.5


def test_changes_are_within_one_point_on_average(check):
    assert check.total("change").mean_absolute_error <= 1.0


def test_intervals_hold_about_the_share_they_promise(check):
    every = check.total("all")
    # ten in a hundred should lie outside; twice as many would say the intervals are too narrow
    assert every.inside >= 0.8 * every.rows


def test_a_prediction_lies_in_its_own_interval(check):
    assert [r for r in check.rows if not r.low90 <= r.predicted <= r.high90] == []


def test_the_printed_table_has_a_line_for_every_endpoint_and_marks_the_misfits(check):
    text = str(check)
    lines = [line for line in text.splitlines() if " to " in line]
    assert len([line for line in lines if any(line.startswith(r.arm) for r in check.rows)]) == len(check.rows)
    assert sum("OUT" in line for line in lines) == len(check.misfits())
    assert max(map(len, text.splitlines())) <= 160


def test_the_written_table_has_every_row(check, tmp_path):
    path = check.write(tmp_path)
    assert path.read_text(encoding="utf-8").count("\n") == len(check.rows) + 1


@pytest.mark.parametrize("patients", [0, -1, 99, True, 2.5])
def test_too_few_patients_are_refused(patients):
    with pytest.raises(UserError, match="at least 100 patients"):
        calibration_check(patients=patients)


def test_an_unknown_kind_of_endpoint_is_refused(check):
    with pytest.raises(UserError, match="rate, change, other, all"):
        check.total("rates")
