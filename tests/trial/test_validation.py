"""Predicted beside observed: what the table rests on, what fitting may not read, and what its intervals hold."""

import csv
import math

import numpy as np
import pytest
from scipy.stats import binom

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.trial.document import KIND, catalogue, load
from euthymia.trial.observed import interval, observed, row
from euthymia.trial.posterior import as_fitted
from euthymia.trial.posterior import fitted as what_was
from euthymia.trial.validation import Validation, naive_predictor, repetitions, validate

REQUIRED = [
    "trial",
    "illness",
    "set",
    "arm",
    "endpoint",
    "kind",
    "time",
    "n",
    "observed",
    "predicted",
    "lower50",
    "upper50",
    "lower90",
    "upper90",
    "naive",
]
FEW = ("murrough-2013", "su-2017", "lii-2023", "shiroma-2020")


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate([load(name) for name in FEW], patients=128, seed=3)


def test_every_endpoint_has_a_row(found):
    wanted = sum(KIND[e.measure] != "spread" for name in FEW for e in load(name).endpoints)
    assert len(found.rows) == wanted
    assert {r.set for r in found.rows} == {"calibration", "validation"}


def test_observed_values_are_those_of_the_evidence(found):
    rows = {r.id: r for r in evidence.outcomes(set=("calibration", "validation"))}
    for r in found.rows:
        assert r.observed == rows[r.evidence].value_number
        assert (r.verified == "yes") == (rows[r.evidence].verified == "yes")


def test_a_finding_in_words_keeps_its_words_and_counts_in_no_error(found):
    (null,) = [r for r in found.rows if r.trial == "shiroma-2020"]
    assert (null.observed, null.inside90) == (None, None)
    assert null.words == "ns"
    assert null.lower90 < null.predicted < null.upper90
    differences = [r for r in found.rows if r.kind == "difference" and r.set == "validation"]
    assert found.total("validation", "difference").rows == len(differences) - 1


def test_intervals_are_nested_and_hold_the_prediction(found):
    for r in found.rows:
        assert r.lower90 <= r.lower50 <= r.predicted <= r.upper50 <= r.upper90, r


def test_the_error_expected_of_a_right_model_follows_from_its_intervals(found):
    for r in found.rows:
        if r.kind in ("change", "difference"):  # about normal: mean absolute deviation 0.798 SD, 90 % within 1.645 SD
            assert r.expected_error == pytest.approx(0.798 * (r.upper90 - r.lower90) / 2 / 1.645, rel=0.15)
    rates = [r for r in found.rows if r.set == "validation" and r.kind == "rate"]
    total = found.total("validation", "rate")
    assert total.expected_error == pytest.approx(np.mean([r.expected_error for r in rates]))


def test_totals_are_those_of_the_rows(found):
    rates = [r for r in found.rows if r.set == "validation" and r.kind == "rate"]
    total = found.total("validation", "rate")
    assert total.mean_absolute_error == pytest.approx(np.mean([abs(r.predicted - r.observed) for r in rates]))
    assert total.naive_error == pytest.approx(np.mean([abs(r.naive - r.observed) for r in rates]))
    assert total.inside90 == pytest.approx(100 * np.mean([r.inside90 for r in rates]))


def test_the_written_table_has_the_promised_columns_and_every_row(found, tmp_path):
    path = found.write(tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert path.name == "validation.csv"
    assert list(written[0])[: len(REQUIRED)] == REQUIRED
    assert [r["trial"] for r in written] == [r.trial for r in found.rows]


def test_the_same_seed_gives_the_same_table():
    one, two = (validate([load("su-2017")], patients=100, seed=5) for _ in range(2))
    assert one.rows == two.rows


def test_a_rate_in_a_small_arm_varies_as_a_binomial_does():
    trial = load("su-2017")
    e = trial.endpoints[0]
    seen = observed(e, trial.set)
    repeated = repetitions(e, seen, trial, np.full(400, 30.0), np.zeros(400), np.random.default_rng(0))
    assert repeated.mean() == pytest.approx(30, abs=0.5)
    assert repeated.std() == pytest.approx(100 * math.sqrt(0.3 * 0.7 / seen.n), rel=0.02)


def test_the_naive_predictor_reads_the_calibration_set_alone():
    guess = naive_predictor()
    by_drug = [
        observed(e, t.set).value
        for t in catalogue()
        if t.set == "calibration"
        for e in t.endpoints
        if e.measure == "mean time to relapse"
    ]
    e = next(e for t in catalogue() for e in t.endpoints if e.measure == "mean time to relapse")
    trial = next(t for t in catalogue() if e in t.endpoints)
    assert guess(trial, e) == pytest.approx(np.mean(by_drug))


@pytest.mark.parametrize(
    ("printed", "ends"),
    [("3.20-12.71", (3.2, 12.71)), ("-7.31 to -0.64 (SE 1.69)", (-7.31, -0.64)), ("0.29-0.84", (0.29, 0.84))],
)
def test_printed_intervals_are_read(printed, ends):
    assert interval(printed) == ends


@pytest.mark.parametrize("printed", ["97.0-NE", "", "about 3"])
def test_what_is_no_interval_is_none(printed):
    assert interval(printed) is None


def test_an_outcome_of_another_set_cannot_be_read():
    for outcome in evidence.outcomes(set=("validation", "context")):
        with pytest.raises(UserError, match="calibration set"):
            row(outcome.id, "calibration")


def test_half_have_relapsed_at_the_median_and_fewer_under_a_lower_hazard():
    stop, go_on = (observed(e, "calibration") for e in load("sustain-1").endpoints[:2])
    hazard_ratio = row(go_on.ids[1], "calibration").value_number
    assert stop.value == 50
    assert math.log(1 - go_on.value / 100) / math.log(1 - stop.value / 100) == pytest.approx(hazard_ratio)


ENOUGH = 1024  # patients at which chance moves the mean error of rates by about a seventh of a percentage point


@pytest.fixture(scope="module")
def fitted() -> Validation:
    trials = {t.trial for t in catalogue() for e in t.endpoints if as_fitted(e) in what_was()}
    return validate([load(name) for name in sorted(trials)], patients=ENOUGH)


def test_every_fitted_value_is_an_endpoint_of_the_calibration_set():
    known = {as_fitted(e) for t in catalogue() for e in t.endpoints if t.set == "calibration"}
    assert what_was() <= known


ROOM = 1.15  # chance in a mean of about a hundred errors, which are alike within a trial


@pytest.mark.parametrize("kind", ["rate", "change", "difference"])
def test_fitted_values_are_missed_by_no_more_than_chance_would(fitted, kind):
    total = fitted.total("fitted", kind)
    assert total.mean_absolute_error <= ROOM * total.expected_error


def test_intervals_of_fitted_values_hold_about_the_share_they_promise(fitted):
    assert 85 <= fitted.total("fitted", illness="depression").inside90 <= 95
    for illness in ("bipolar disorder", "PTSD"):  # too few for a share: no fewer than chance would leave inside
        total = fitted.total("fitted", illness=illness)
        assert binom.cdf(round(total.inside90 * total.rows / 100), total.rows, 0.9) > 0.01


@pytest.mark.parametrize("patients", [0, -1, 99, True, 2.5])
def test_too_few_patients_are_refused(patients):
    with pytest.raises(UserError, match="at least 100 patients"):
        validate(patients=patients)
