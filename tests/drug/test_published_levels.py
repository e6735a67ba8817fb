"""Predicted beside published plasma levels; tolerances say how well each model is known to do."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.drug.body import typical_body
from euthymia.drug.dispositions import DEVICE_MG, otto2021, perezruixo2021, simons2022

TIME_H = np.linspace(0, 24, 24 * 240 + 1)
NAMES = {"esketamine": "S-ketamine", "noresketamine": "S-norketamine"}
OLD_AGE = 70.0  # the publication says only "over 60"; 70 years is read back from its exposures, which it then repeats


def nasal_rows(analyte, quantity):
    return [
        r for r in evidence.plasma() if r.study == "PEREZRUIXO2021" and r.analyte == analyte and r.quantity == quantity
    ]


@pytest.fixture
def nasal(level):
    def curve(row):
        age = 40.0 if row.population.startswith("18-60") else OLD_AGE
        japanese = row.population.endswith(" Japanese")
        asian = japanese or "Asian" in row.population
        devices = float(row.dose) / DEVICE_MG
        body = typical_body(np.array([70.0]), age, float(asian), float(japanese))
        system, inputs = perezruixo2021(body, ("intranasal device",), (devices,))
        found = level(system, inputs[f"intranasal device x{devices:g}"], float(row.dose), TIME_H)
        return found[NAMES[row.analyte]][:, 0]

    return curve


@pytest.mark.parametrize("row", nasal_rows("esketamine", "Cmax"), ids=lambda r: r.id)
def test_nasal_esketamine_peaks_as_published(nasal, row):
    assert nasal(row).max() == pytest.approx(row.value_number, rel=0.02)


@pytest.mark.parametrize("row", nasal_rows("esketamine", "AUC0-24"), ids=lambda r: r.id)
def test_nasal_esketamine_exposure_is_as_published(nasal, row):
    assert np.trapezoid(nasal(row), TIME_H) == pytest.approx(row.value_number, rel=0.02)


@pytest.mark.parametrize("row", nasal_rows("noresketamine", "Cmax"), ids=lambda r: r.id)
def test_nasal_noresketamine_peaks_as_published(nasal, row):
    assert nasal(row).max() == pytest.approx(row.value_number, rel=0.02)


def test_the_table_that_makes_the_nasal_rows_is_complete():
    populations = {r.population for r in nasal_rows("esketamine", "Cmax")}
    assert len(populations) == 6
    assert len(nasal_rows("esketamine", "Cmax")) == len(populations) * 3  # 28, 56, 84 mg


@pytest.mark.parametrize("row", nasal_rows("noresketamine", "AUC0-24"), ids=lambda r: r.id)
def test_nasal_noresketamine_exposure_keeps_its_published_misfit(nasal, row):
    # the printed parameters over-predict the printed AUC by about a half in every population, for reasons unknown;
    # they are not rescaled here, and another transcription of the paper finds the same
    assert 1.3 < np.trapezoid(nasal(row), TIME_H) / row.value_number < 1.6


def test_half_a_mg_per_kg_over_40_minutes_peaks_in_the_observed_range(level):
    (row,) = (r for r in evidence.plasma() if r.study == "ZANOS2018_Krystal1994" and r.quantity == "Cmax")
    low, high = (float(x) for x in row.value.split("-"))
    weights = np.array([50.0, 70.0, 82.0, 100.0, 130.0])
    total = 0.0
    for enantiomer in "SR":
        system, inputs = otto2021(typical_body(weights), enantiomer, ("intravenous",))
        found = level(system, inputs["intravenous"], 0.25 * weights, TIME_H, 40 / 60)
        total = total + found[f"{enantiomer}-ketamine"]
    assert np.all(total.max(0) > low) and np.all(total.max(0) < high)
    # a single mean of 185 ng/mL (TRD, n and SD not printed) is under-predicted by 5 to 15 %
    (mean,) = (r for r in evidence.plasma() if r.study == "ZANOS2018_Zarate2006" and r.quantity == "Cmax")
    assert total.max(0)[2] == pytest.approx(mean.value_number, rel=0.16)


def test_arterial_infusion_peaks_within_the_published_interval(level):
    rows = [r for r in evidence.plasma() if r.study == "SIMONS2022" and r.route == "intravenous"]
    system, inputs = simons2022(typical_body(np.array([70.0])), ("intravenous",))
    peak = level(system, inputs["intravenous"], 20.0, TIME_H, 20 / 60)["S-ketamine"].max()
    intervals = [tuple(float(x) for x in r.spread.split("-")) for r in rows]
    assert len(intervals) == 2  # two visits
    assert min(low for low, _ in intervals) < peak < max(high for _, high in intervals)


@pytest.mark.parametrize("dose", ["50", "100"])
def test_an_arterial_film_dose_peaks_near_the_observed_means(level, dose):
    # no tolerance below 40 %: the published model itself misses the doses in opposite directions (S-ketamine 82 for 96,
    # 169 for 144 ng/mL), because it has one bioavailability for both and observed ones differ
    system, inputs = simons2022(typical_body(np.array([70.0])), ("sublingual",))
    found = level(system, inputs["sublingual"], float(dose), TIME_H)
    names = {"S-ketamine": "S-ketamine", "S-norketamine": "S-norketamine", "S-HNK": "S-hydroxynorketamine"}
    rows = [r for r in evidence.plasma() if r.study == "SIMONS2022" and r.dose == dose and r.quantity == "Cmax"]
    assert {r.analyte for r in rows} == set(names)
    for row in rows:
        assert found[names[row.analyte]].max() == pytest.approx(row.value_number, rel=0.4)


def test_arterial_levels_exceed_venous_ones_during_a_dose_and_fall_below_after(level):
    body = typical_body(np.array([70.0]))
    peaks, later = [], []
    for build in (lambda: simons2022(body, ("intravenous",)), lambda: otto2021(body, "S", ("intravenous",))):
        system, inputs = build()
        curve = level(system, inputs["intravenous"], 17.5, TIME_H, 40 / 60)["S-ketamine"][:, 0]
        peaks.append(curve.max())
        later.append(curve[np.searchsorted(TIME_H, 2.0)])
    assert peaks[0] > 1.5 * peaks[1]
    assert later[0] < later[1]
