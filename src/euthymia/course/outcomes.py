"""One outcome per patient; and what a new clinic or trial may expect, from those outcomes.

Two stages, never a re-simulation: the per-patient table keeps the parts of each patient's effect at the endpoint
times, so that a different study level of drug and non-drug response can be applied to it afterwards.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.drug.compounds import COMPOUNDS
from euthymia.patient.population import Patients
from euthymia.protocol.calendar import Schedule

RESPONSE = 0.5  # at least this fall from baseline
REMISSION_MADRS = 12.0  # at or below; the definition of the esketamine trials
PARTS = ("drug effect", "antidepressant effect", "background effect", "fluctuation")
ENDPOINTS = ("24 h", "end")
STUDY_DRAWS = 400


def cumulative_dose_mg(calendar: Schedule, weight_kg: np.ndarray, until_h: float) -> np.ndarray:
    """Ketamine (any enantiomer, free base) given to each patient before `until_h`."""
    total = np.zeros(len(weight_kg))
    for a in calendar.administrations:
        if a.compound in COMPOUNDS and a.time_h < until_h:
            dose = np.full(len(weight_kg), a.dose_mg) if a.dose_mg is not None else a.dose_mg_per_kg * weight_kg
            total += np.minimum(dose, a.cap_mg) if a.cap_mg is not None else dose
    return total


def patient_outcomes(
    people: Patients,
    calendar: Schedule,
    time_h: np.ndarray,
    values: dict[str, np.ndarray],
    sessions: dict[str, np.ndarray],
) -> pl.DataFrame:
    """One row per patient; arrays [patients, times] and [patients, sessions]."""
    baseline = np.asarray(people.baseline_madrs)
    rated = values["MADRS rated"]
    ill = baseline > 0
    responded = (rated <= (1 - RESPONSE) * baseline[:, None]) & ill[:, None]
    responded[:, time_h <= 0] = False
    responded[:, :-1] &= responded[:, 1:]  # one rating may be chance: the next must agree
    first = np.where(responded.any(1), time_h[responded.argmax(1)], np.nan)
    below = (values["MADRS"] <= REMISSION_MADRS) & ill[:, None]
    share = (below[:, 1:] + below[:, :-1].astype(float)) / 2
    days = (share * np.diff(time_h)).sum(1) / 24
    table: dict[str, np.ndarray] = {
        "patient": np.asarray(people.index),
        "age_y": np.asarray(people.age_y),
        "female": np.asarray(people.female).astype(bool),
        "weight_kg": np.asarray(people.weight_kg),
        "failed_trials": np.asarray(people.failed_trials).astype(int),
        "baseline MADRS": baseline,
        "time to response h": first,
        "days in remission": days,
        "cumulative dose mg": cumulative_dose_mg(calendar, np.asarray(people.weight_kg), float(time_h[-1])),
        "sessions": np.full(len(people), sum(a.compound in COMPOUNDS for a in calendar.administrations)),
    }
    at = {"24 h": int(np.abs(time_h - 24.0).argmin()), "end": len(time_h) - 1}
    for name, k in at.items():
        table[f"MADRS {name}"] = values["MADRS"][:, k]
        table[f"rated MADRS {name}"] = rated[:, k]
        for part in PARTS:
            table[f"{part} {name}"] = values[part][:, k]
    if sessions and sessions["peak ketamine"].shape[1]:
        table["peak ketamine ng/mL"] = sessions["peak ketamine"].max(1)
        table["peak occupancy"] = sessions["peak occupancy"].max(1)
        table["peak dissociation CADSS"] = sessions["peak dissociation"].max(1)
        table["highest systolic rise mmHg"] = sessions["peak systolic rise"].max(1)
        # a patient's threshold is their own and stays: the strongest session decides
        table["sedated at least once probability"] = sessions["sedation probability"].max(1)
        table["unresponsive at least once probability"] = sessions["unresponsive probability"].max(1)
    else:
        for name in ("peak ketamine ng/mL", "peak occupancy", "peak dissociation CADSS"):
            table[name] = np.zeros(len(people))
    return pl.DataFrame(table)


class Row(NamedTuple):
    """One line of a summary: a value with its interval, and what the interval contains."""

    label: str
    value: float
    low: float
    high: float
    unit: str
    contains: str


STUDIES = "90 %: between studies and sampling; parameters not included"
PATIENTS = "median and 90 % of patients"
RISK = "mean risk; 90 % of patients"


def study_levels(draws: int = STUDY_DRAWS, seed: int = 20260101) -> tuple[np.ndarray, np.ndarray]:
    """Log-normal study multipliers of the drug gain and of the non-drug response, for a new study."""
    z = np.random.default_rng(seed).standard_normal((2, draws))
    drug = np.exp(evidence.value("depression.sd_between_studies_drug") * z[0])
    background = np.exp(evidence.value("depression.sd_between_studies_background") * z[1])
    return drug, background


def endpoint_scores(table: pl.DataFrame, endpoint: str, drug: np.ndarray, background: np.ndarray) -> np.ndarray:
    """True MADRS at an endpoint under study levels, [draws, patients]."""
    d, a, b, w = (table[f"{part} {endpoint}"].to_numpy() for part in PARTS)
    effect = drug[:, None] * d + a + background[:, None] * b - w
    return np.minimum(table["baseline MADRS"].to_numpy() * np.exp(-effect), 60.0)


def own_part(table: pl.DataFrame, endpoint: str) -> np.ndarray:
    """MADRS points that the treatment itself takes off, against the same patient under the same design without it."""
    baseline, background, fluctuation = (
        table[name].to_numpy()
        for name in ("baseline MADRS", f"background effect {endpoint}", f"fluctuation {endpoint}")
    )
    untreated = np.minimum(baseline * np.exp(fluctuation - background), 60.0)
    return untreated - table[f"MADRS {endpoint}"].to_numpy()


def endpoint_rate(table: pl.DataFrame, endpoint: str, kind: str, noise: float) -> tuple[float, float, float]:
    """Response or remission in percent, rating noise integrated, with the 90 % interval of a new study this size."""
    from scipy.special import ndtr

    baseline = table["baseline MADRS"].to_numpy()
    cut = (1 - RESPONSE) * baseline if kind == "response" else np.full(len(baseline), REMISSION_MADRS + 0.5)
    one = np.ones(1)
    value = ndtr((cut - endpoint_scores(table, endpoint, one, one)) / noise).mean()
    rates = ndtr((cut - endpoint_scores(table, endpoint, *study_levels())) / noise).mean(1)
    sampled = np.random.default_rng(7).binomial(len(baseline), np.clip(rates, 0, 1)) / len(baseline)
    low, high = np.quantile(sampled, [0.05, 0.95])
    return 100 * value, 100 * low, 100 * high


def summarise(table: pl.DataFrame, end_label: str, has_drug: bool) -> list[Row]:
    """The lines a reader wants first."""
    noise = evidence.value("depression.rating_noise")
    rows: list[Row] = []
    ill = table.filter(pl.col("baseline MADRS") > 0)
    if len(ill):
        for kind in ("response", "remission"):
            for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
                rows.append(Row(f"{kind} at {label}", *endpoint_rate(ill, endpoint, kind, noise), "%", STUDIES))
        wait = ill["time to response h"].drop_nans().to_numpy()
        ever = 100 * len(wait) / len(ill)
        if len(wait):
            low, middle, high = np.quantile(wait, [0.05, 0.5, 0.95])
            contains = f"{PATIENTS} who respond at two ratings in a row ({ever:.0f} %)"
            rows.append(Row("time to first response", middle, low, high, "h", contains))
        for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
            means = endpoint_scores(ill, endpoint, *study_levels()).mean(1)
            low, high = np.quantile(means, [0.05, 0.95])
            rows.append(
                Row(
                    f"mean MADRS at {label}",
                    float(ill[f"MADRS {endpoint}"].to_numpy().mean()),
                    low,
                    high,
                    "points",
                    STUDIES,
                )
            )
        for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
            low, middle, high = np.quantile(own_part(ill, endpoint), [0.05, 0.5, 0.95])
            rows.append(Row(f"taken off by the treatment at {label}", middle, low, high, "points", PATIENTS))
        low, middle, high = np.quantile(ill["days in remission"].to_numpy(), [0.05, 0.5, 0.95])
        rows.append(Row("days in remission", middle, low, high, "days", PATIENTS))
    if has_drug:
        for column, label, unit in (
            ("peak ketamine ng/mL", "peak plasma ketamine", "ng/mL"),
            ("peak occupancy", "peak NMDA occupancy", "%"),
            ("peak dissociation CADSS", "highest dissociation", "CADSS"),
            ("highest systolic rise mmHg", "highest systolic rise", "mmHg"),
            ("sedated at least once probability", "sedated at least once (MOAA/S < 5)", "%"),
            ("unresponsive at least once probability", "unresponsive at least once", "%"),
            ("cumulative dose mg", "cumulative ketamine", "mg"),
        ):
            x = table[column].to_numpy() * (100 if unit == "%" else 1)
            low, middle, high = np.quantile(x, [0.05, 0.5, 0.95])
            if column.endswith("probability"):
                rows.append(Row(label, x.mean(), low, high, unit, RISK))
            else:
                rows.append(Row(label, middle, low, high, unit, PATIENTS))
    return rows
