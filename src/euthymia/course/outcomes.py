"""One outcome per patient; and what a new clinic or trial may expect, from those outcomes.

Two stages, never a re-simulation: the per-patient table keeps the parts of each patient's effect at the endpoint
times, so that a different study level of drug and non-drug response can be applied to it afterwards.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.drug.compounds import COMPOUNDS
from euthymia.illness.bipolar import HALF_WAY, LEAST_DAYS, POLES, episodes
from euthymia.illness.ptsd import CAPS5_MAXIMUM
from euthymia.patient.population import Patients
from euthymia.protocol.calendar import Schedule

RESPONSE = 0.5  # at least this fall from baseline
REMISSION_MADRS = 12.0  # at or below; the definition of the esketamine trials
PARTS = ("drug effect", "antidepressant effect", "background effect", "fluctuation")
EPISODE = "episode effect"
"""The fifth part, in bipolar disorder alone: what the episode's own course takes off."""
PTSD_PARTS = ("PTSD drug effect", "PTSD background effect", "PTSD other effect")
RESPONSE_CAPS5 = 0.3  # at least this fall of the CAPS-5; the definition of trials of PTSD
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


class Given(NamedTuple):
    """What each patient was given in all: ketamine (mg) and sessions of it, [patients]."""

    cumulative_dose_mg: np.ndarray
    sessions: np.ndarray

    @staticmethod
    def planned(people: Patients, calendar: Schedule, until_h: float) -> "Given":
        """By a calendar that everybody follows."""
        sessions = sum(a.compound in COMPOUNDS for a in calendar.administrations)
        mg = cumulative_dose_mg(calendar, np.asarray(people.weight_kg), until_h)
        return Given(mg, np.full(len(people), sessions))


def patient_outcomes(
    people: Patients,
    given: Given,
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
        "cumulative dose mg": given.cumulative_dose_mg,
        "sessions": given.sessions,
    }
    at = {"24 h": int(np.abs(time_h - 24.0).argmin()), "end": len(time_h) - 1}
    for name, k in at.items():
        table[f"MADRS {name}"] = values["MADRS"][:, k]
        table[f"rated MADRS {name}"] = rated[:, k]
        for part in (*PARTS, EPISODE, f"untreated {EPISODE}"):
            if part in values:
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
    if EPISODE in values:
        table |= pole_outcomes(time_h, values)
    if "CAPS-5" in values:
        table["baseline CAPS-5"] = np.asarray(people.baseline_caps5)
        for name, k in at.items():
            table |= {f"{part} {name}": values[part][:, k] for part in PTSD_PARTS}
            table |= {f"{score} {name}": values[score][:, k] for score in ("CAPS-5", "CAPS-5 untreated")}
    return pl.DataFrame(table)


def pole_outcomes(time_h: np.ndarray, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By patient: days in each state, episodes that began, and days until the first manic one; as columns.

    Seen once a day; an episode that was there at the start is not counted.
    """
    day = np.arange(np.floor(time_h[-1] / 24) + 1)
    daily = {pole: np.stack([np.interp(day, time_h / 24, x) for x in values[f"{pole} pole"]], axis=1) for pole in POLES}
    up = {pole: x > HALF_WAY for pole, x in daily.items()}
    both = up["depressive"] & up["manic"]
    columns = {
        "days depressed": (up["depressive"] & ~both).sum(0),
        "days manic": (up["manic"] & ~both).sum(0),
        "days mixed": both.sum(0),
    }
    for pole, x in daily.items():
        found = [e for e in episodes(x, LEAST_DAYS[pole]) if e.start > 0]
        count, first = np.zeros(x.shape[1]), np.full(x.shape[1], np.nan)
        for e in reversed(found):
            count[e.patient] += 1
            first[e.patient] = e.start
        columns |= {f"{pole} episodes": count, f"days to {pole} episode": first}
    return columns | {"YMRS end": values["YMRS"][:, -1], "starts depressed": values["depressive pole"][:, 0] > HALF_WAY}


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
    if f"{EPISODE} {endpoint}" in table.columns:
        effect = effect + table[f"{EPISODE} {endpoint}"].to_numpy()
    return np.minimum(table["baseline MADRS"].to_numpy() * np.exp(-effect), 60.0)


def own_part(table: pl.DataFrame, endpoint: str) -> np.ndarray:
    """MADRS points that the treatment itself takes off, against the same patient under the same design without it."""
    baseline, background, fluctuation = (
        table[name].to_numpy()
        for name in ("baseline MADRS", f"background effect {endpoint}", f"fluctuation {endpoint}")
    )
    if f"{EPISODE} {endpoint}" in table.columns:
        background = background + table[f"untreated {EPISODE} {endpoint}"].to_numpy()
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
    if "baseline CAPS-5" in table.columns:
        rows += _of_ptsd(table, end_label, noise)
        ill = ill.clear()  # the depression beside PTSD is in its mean alone
    if "starts depressed" in table.columns:
        ill = ill.filter(pl.col("starts depressed"))
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
    if "days manic" in table.columns:
        rows += _of_poles(table)
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


def caps5_scores(table: pl.DataFrame, endpoint: str, drug: np.ndarray, background: np.ndarray) -> np.ndarray:
    """True CAPS-5 at an endpoint under study levels, [draws, patients]."""
    d, b, other = (table[f"{part} {endpoint}"].to_numpy() for part in PTSD_PARTS)
    effect = drug[:, None] * d + background[:, None] * b + other
    return np.minimum(table["baseline CAPS-5"].to_numpy() * np.exp(-effect), CAPS5_MAXIMUM)


def _of_ptsd(table: pl.DataFrame, end_label: str, noise: float) -> list[Row]:
    """The lines of PTSD. Response is a fall of the CAPS-5 by 30 %."""
    from scipy.special import ndtr

    rows, one = [], np.ones(1)
    cut = (1 - RESPONSE_CAPS5) * table["baseline CAPS-5"].to_numpy()
    for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
        value = ndtr((cut - caps5_scores(table, endpoint, one, one)) / noise).mean()
        rates = ndtr((cut - caps5_scores(table, endpoint, *study_levels())) / noise).mean(1)
        sampled = np.random.default_rng(7).binomial(len(table), np.clip(rates, 0, 1)) / len(table)
        low, high = np.quantile(sampled, [0.05, 0.95])
        rows.append(Row(f"response at {label}", 100 * value, 100 * low, 100 * high, "%", STUDIES))
    for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
        means = caps5_scores(table, endpoint, *study_levels()).mean(1)
        low, high = np.quantile(means, [0.05, 0.95])
        mean = float(table[f"CAPS-5 {endpoint}"].to_numpy().mean())
        rows.append(Row(f"mean CAPS-5 at {label}", mean, low, high, "points", STUDIES))
    for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
        own = (table[f"CAPS-5 untreated {endpoint}"] - table[f"CAPS-5 {endpoint}"]).to_numpy()
        low, middle, high = np.quantile(own, [0.05, 0.5, 0.95])
        rows.append(Row(f"taken off by the treatment at {label}", middle, low, high, "points", PATIENTS))
    for endpoint, label in (("24 h", "24 h"), ("end", end_label)):
        scores = endpoint_scores(table, endpoint, *study_levels()).mean(1)
        low, high = np.quantile(scores, [0.05, 0.95])
        mean = float(table[f"MADRS {endpoint}"].to_numpy().mean())
        rows.append(Row(f"depression beside it, mean MADRS at {label}", mean, low, high, "points", STUDIES))
    return rows


def _of_poles(table: pl.DataFrame) -> list[Row]:
    """The lines of bipolar disorder."""
    n, rows = len(table), []
    for pole, name in (("manic", "mania or hypomania begins"), ("depressive", "a new depressive episode begins")):
        share = (table[f"{pole} episodes"].to_numpy() > 0).mean()
        low, high = np.quantile(np.random.default_rng(11).binomial(n, share, 4000) / n, [0.05, 0.95])
        rows.append(Row(name, 100 * share, 100 * low, 100 * high, "%", "90 %: sampling alone"))
    for state in ("days depressed", "days manic", "days mixed"):
        days = table[state].to_numpy()
        low, high = np.quantile(days, [0.05, 0.95])
        rows.append(Row(state, days.mean(), low, high, "days", "mean; 90 % of patients"))
    return rows
