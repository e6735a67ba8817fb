"""One outcome per patient; and what a new clinic or trial may expect, from those outcomes.

Two stages, never a re-simulation: the per-patient table keeps the parts of each patient's effect at the endpoint
times, so that a different study level of drug and non-drug response can be applied to it afterwards.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.drug.compounds import COMPOUNDS
from euthymia.illness.bipolar import HALF_WAY, LEAST_DAYS, POLES, episodes
from euthymia.illness.depression import MADRS_MAXIMUM
from euthymia.illness.ptsd import CAPS5_MAXIMUM
from euthymia.patient.population import Patients
from euthymia.protocol.calendar import Schedule
from euthymia.protocol.chart import REMISSION_MADRS, RESPONSE_PERCENT, RESPONSE_PERCENT_CAPS5

EPISODE = "episode effect"
"""In bipolar disorder, what the episode's own course takes off the MADRS."""


class Scale(NamedTuple):
    """The score an illness is followed by.

    entry: of `Patients`, its true value at entry; parts: of the effect on its log, each with what multiplies it: the
    study's level of "drug" or "background" response, or 1 or -1; response: the fall, as a share of the score at entry,
    that counts as one; remission: its highest score, None where no definition is accepted.
    """

    name: str
    entry: str
    maximum: float
    parts: Mapping[str, str | float]
    response: float
    remission: float | None

    def scores(
        self, entry: np.ndarray, parts: Mapping[str, np.ndarray], drug: np.ndarray, background: np.ndarray
    ) -> np.ndarray:
        """True scores from those at entry and the parts, under study levels; all arrays broadcast."""
        level = {"drug": drug, "background": background}
        effect = sum((level[by] if isinstance(by, str) else by) * parts[name] for name, by in self.parts.items())
        return np.minimum(entry * np.exp(-effect), self.maximum)


_MADRS = {"drug effect": "drug", "antidepressant effect": 1.0, "background effect": "background", "fluctuation": -1.0}
_PTSD = {"PTSD drug effect": "drug", "PTSD background effect": "background", "PTSD other effect": 1.0}
_OF_MADRS, _OF_CAPS5 = RESPONSE_PERCENT / 100, RESPONSE_PERCENT_CAPS5 / 100
SCALES = {
    "depression": Scale("MADRS", "baseline_madrs", MADRS_MAXIMUM, _MADRS, _OF_MADRS, REMISSION_MADRS),
    "bipolar": Scale("MADRS", "baseline_madrs", MADRS_MAXIMUM, _MADRS | {EPISODE: 1.0}, _OF_MADRS, REMISSION_MADRS),
    "ptsd": Scale("CAPS-5", "baseline_caps5", CAPS5_MAXIMUM, _PTSD, _OF_CAPS5, None),
}
"""By illness (see `illness.relative.RATIOS`)."""
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
    responded = (rated <= (1 - SCALES["depression"].response) * baseline[:, None]) & ill[:, None]
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
        for part in (*_MADRS, EPISODE, f"untreated {EPISODE}"):
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
            table |= {f"{part} {name}": values[part][:, k] for part in _PTSD}
            table |= {f"{score} {name}": values[score][:, k] for score in ("CAPS-5", "CAPS-5 untreated")}
    return pl.DataFrame(table)


def daily_poles(time_h: np.ndarray, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By pole, x on every whole day, [days, patients], from `values` [patients, times]."""
    day = np.arange(np.floor(time_h[-1] / 24) + 1)
    return {pole: np.stack([np.interp(day, time_h / 24, x) for x in values[f"{pole} pole"]], axis=1) for pole in POLES}


def new_episodes(pole: str, daily: np.ndarray, after: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """How many episodes of a pole begin after a day, and on which day the first of them does (NaN if none), [patients].

    daily: as from `daily_poles`. An episode that is there on that day already is not counted.
    """
    count, first = np.zeros(daily.shape[1]), np.full(daily.shape[1], np.nan)
    for e in reversed(episodes(daily, LEAST_DAYS[pole])):
        if e.start > after:
            count[e.patient] += 1
            first[e.patient] = e.start
    return count, first


def pole_outcomes(time_h: np.ndarray, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By patient: days in each state, episodes that began, and days until the first manic one; as columns.

    Seen once a day; an episode that was there at the start is not counted.
    """
    daily = daily_poles(time_h, values)
    up = {pole: x > HALF_WAY for pole, x in daily.items()}
    both = up["depressive"] & up["manic"]
    columns = {
        "days depressed": (up["depressive"] & ~both).sum(0),
        "days manic": (up["manic"] & ~both).sum(0),
        "days mixed": both.sum(0),
    }
    for pole, x in daily.items():
        count, first = new_episodes(pole, x)
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


def illness_in(table: pl.DataFrame) -> str:
    """The illness of the people in a table of outcomes: a key of `SCALES`."""
    if "baseline CAPS-5" in table.columns:
        return "ptsd"
    return "bipolar" if "days manic" in table.columns else "depression"


def endpoint_scores(
    table: pl.DataFrame, endpoint: str, drug: np.ndarray, background: np.ndarray, scale: Scale | None = None
) -> np.ndarray:
    """True scores at an endpoint under study levels, [draws, patients]. scale: if not that of the illness."""
    scale = scale or SCALES[illness_in(table)]
    parts = {part: table[f"{part} {endpoint}"].to_numpy() for part in scale.parts}
    return scale.scores(table[f"baseline {scale.name}"].to_numpy(), parts, drug[:, None], background[:, None])


def own_part(table: pl.DataFrame, endpoint: str) -> np.ndarray:
    """Points that the treatment itself takes off, against the same patient under the same design without it."""
    scale = SCALES[illness_in(table)]
    if scale.name == "CAPS-5":
        return (table[f"CAPS-5 untreated {endpoint}"] - table[f"CAPS-5 {endpoint}"]).to_numpy()
    baseline, background, fluctuation = (
        table[name].to_numpy()
        for name in ("baseline MADRS", f"background effect {endpoint}", f"fluctuation {endpoint}")
    )
    if EPISODE in scale.parts:
        background = background + table[f"untreated {EPISODE} {endpoint}"].to_numpy()
    untreated = np.minimum(baseline * np.exp(fluctuation - background), scale.maximum)
    return untreated - table[f"MADRS {endpoint}"].to_numpy()


def endpoint_rate(table: pl.DataFrame, endpoint: str, kind: str, noise: float) -> tuple[float, float, float]:
    """Response or remission in percent, rating noise integrated, with the 90 % interval of a new study this size."""
    from scipy.special import ndtr

    scale = SCALES[illness_in(table)]
    baseline = table[f"baseline {scale.name}"].to_numpy()
    if kind == "response":
        cut = (1 - scale.response) * baseline
    else:
        assert scale.remission is not None
        cut = np.full(len(baseline), scale.remission + 0.5)
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
    scale, ends = SCALES[illness_in(table)], (("24 h", "24 h"), ("end", end_label))
    of_mood = scale.name == "MADRS"
    ill = table.filter(pl.col(f"baseline {scale.name}") > 0)
    if "starts depressed" in table.columns:
        ill = ill.filter(pl.col("starts depressed"))

    def mean(label: str, of: Scale, endpoint: str) -> Row:
        means = endpoint_scores(ill, endpoint, *study_levels(), of).mean(1)
        low, high = np.quantile(means, [0.05, 0.95])
        value = float(ill[f"{of.name} {endpoint}"].to_numpy().mean())
        return Row(label, value, low, high, "points", STUDIES)

    if len(ill):
        for kind in ("response", "remission") if scale.remission else ("response",):
            for endpoint, label in ends:
                rows.append(Row(f"{kind} at {label}", *endpoint_rate(ill, endpoint, kind, noise), "%", STUDIES))
        wait = ill["time to response h"].drop_nans().to_numpy()
        if of_mood and len(wait):
            low, middle, high = np.quantile(wait, [0.05, 0.5, 0.95])
            contains = f"{PATIENTS} who respond at two ratings in a row ({100 * len(wait) / len(ill):.0f} %)"
            rows.append(Row("time to first response", middle, low, high, "h", contains))
        rows += [mean(f"mean {scale.name} at {label}", scale, endpoint) for endpoint, label in ends]
        for endpoint, label in ends:
            low, middle, high = np.quantile(own_part(ill, endpoint), [0.05, 0.5, 0.95])
            rows.append(Row(f"taken off by the treatment at {label}", middle, low, high, "points", PATIENTS))
        if of_mood:
            low, middle, high = np.quantile(ill["days in remission"].to_numpy(), [0.05, 0.5, 0.95])
            rows.append(Row("days in remission", middle, low, high, "days", PATIENTS))
        else:
            beside = "depression beside it, mean MADRS at"
            rows += [mean(f"{beside} {label}", SCALES["depression"], endpoint) for endpoint, label in ends]
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
