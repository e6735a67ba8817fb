"""The model against the trials it was fitted to: predicted, observed and interval, as one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia.course.store import write_whole
from euthymia.errors import UserError
from euthymia.patient.population import draw
from euthymia.trial.arms import Scores, SimulatedArm, simulate_arms
from euthymia.trial.document import Endpoint, TrialSet, load
from euthymia.trial.endpoints import KIND, predict, sampling_sd
from euthymia.trial.observed import Observed, observed

STUDY_DRAWS = 100
SAMPLES_PER_DRAW = 100
MINIMUM_PATIENTS = 100
INTERVAL = (0.05, 0.95)
CONTAINS = (
    "Intervals: 90 % of repetitions of the trial; they contain chance in a sample of n and the uncertainty of the study's "
    "own drug and non-drug level, not that of the shared parameters."
)


class Row(NamedTuple):
    """One endpoint of one arm. kind: rate (%), change (points) or other; assumed: what stands in for a published value."""

    trial: str
    arm: str
    endpoint: str
    time: str
    unit: str
    kind: str
    n: float | None
    observed: float
    predicted: float
    low90: float
    high90: float
    inside: bool
    evidence: str
    verified: str
    assumed: str


class Total(NamedTuple):
    """Errors over the rows of one kind; bias is predicted minus observed."""

    kind: str
    rows: int
    mean_absolute_error: float
    bias: float
    inside: int
    unit: str


@dataclass(frozen=True)
class Check:
    """Predicted beside observed for every endpoint of a set of trials; prints itself."""

    rows: tuple[Row, ...]
    patients: int
    seed: int

    def total(self, kind: str) -> Total:
        """Mean absolute error, bias and coverage of "rate" (percentage points), "change" (points) or "all"."""
        rows = [r for r in self.rows if kind in (r.kind, "all")]
        if not rows:
            raise UserError(f"there are no endpoints of kind {kind!r}; there are: rate, change, other, all.")
        error = np.array([r.predicted - r.observed for r in rows])
        alike = kind in ("rate", "change")
        return Total(
            kind,
            len(rows),
            float(np.abs(error).mean()) if alike else float("nan"),
            float(error.mean()) if alike else float("nan"),
            sum(r.inside for r in rows),
            {"rate": "percentage points", "change": "points"}.get(kind, ""),
        )

    def misfits(self) -> tuple[Row, ...]:
        """Rows whose observed value lies outside the interval."""
        return tuple(r for r in self.rows if not r.inside)

    def table(self) -> pl.DataFrame:
        """The rows as a data frame."""
        return pl.DataFrame([r._asdict() for r in self.rows], infer_schema_length=None)

    def write(self, folder: str | Path) -> Path:
        """Write calibration.csv into `folder` and return its path. Raises UserError when it cannot be written."""
        path = Path(folder) / "calibration.csv"
        write_whole(path, lambda p: self.table().write_csv(p))
        return path

    def __str__(self) -> str:
        head = ("trial", "arm", "endpoint", "time", "n", "observed", "predicted", "90 % interval", "")
        body = [_cells(r) for r in self.rows]
        width = [max(len(line[k]) for line in (head, *body)) for k in range(len(head))]
        left = (0, 1, 2, 3, 8)

        def line(cells: tuple[str, ...]) -> str:
            padded = (
                c.ljust(w) if k in left else c.rjust(w) for k, (c, w) in enumerate(zip(cells, width, strict=True))
            )
            return "  ".join(padded).rstrip()

        lines = [line(head), "  ".join("-" * w for w in width)]
        before = ""
        for row, cells in zip(self.rows, body, strict=True):
            lines.append(line((cells[0] if row.trial != before else "", *cells[1:])))
            before = row.trial
        rates, changes, every = self.total("rate"), self.total("change"), self.total("all")
        lines += [
            "",
            *(
                f"{t.rows} {t.kind}s: mean absolute error {t.mean_absolute_error:.2f} {t.unit} (bias {t.bias:+.2f}), "
                f"{t.inside} of {t.rows} inside their interval"
                for t in (rates, changes)
            ),
            f"all {every.rows} endpoints: {every.inside} inside ({100 * every.inside / every.rows:.0f} %)",
            "",
            f"{self.patients:,} virtual patients per arm. The model was fitted to these trials: agreement here is no test of it.",
            CONTAINS,
            "Rates in %, changes in points. OUT: observed lies outside; assumed: see the column of the written table; "
            "unverified: not read at its source.",
        ]
        return "\n".join(lines)


def _cells(r: Row) -> tuple[str, ...]:
    digits = 2 if r.endpoint == "ratio of responses" else 1
    marks = ["OUT"] * (not r.inside) + ["assumed"] * bool(r.assumed) + ["unverified"] * (r.verified != "yes")
    return (
        r.trial,
        r.arm,
        r.endpoint,
        r.time,
        f"{r.n:g}" if r.n else "-",
        f"{r.observed:.{digits}f}",
        f"{r.predicted:.{digits}f}",
        f"{r.low90:.{digits}f} to {r.high90:.{digits}f}",
        ", ".join(marks),
    )


def calibration_check(patients: int = 2000, seed: int = 1) -> Check:
    """Compare the model as shipped with the depression arms it was calibrated on.

    patients: virtual patients per arm (the same in every arm); seed: of every random number.
    Reads outcomes of the calibration set only. Raises UserError for fewer than 100 patients.
    """
    if isinstance(patients, bool) or not isinstance(patients, int) or patients < MINIMUM_PATIENTS:
        raise UserError(f"the check needs at least {MINIMUM_PATIENTS} patients, got {patients!r}.")
    trials = load()
    seen = {e: observed(e) for t in trials.trials for e in t.endpoints}
    arms = simulate_arms(trials, draw("TRD", patients, seed))
    rng = np.random.default_rng(seed)
    fitted, drawn = _levels(trials, rng)
    at_fit = {name: arm.scores(*fitted[arm.trial]) for name, arm in arms.items()}
    values = _values_under(drawn, arms, list(seen))
    rows = []
    for trial in trials.trials:
        for e in trial.endpoints:
            chosen = [at_fit[name] for name in e.arm]
            value = predict(e, chosen)
            low, high = _interval(e, seen[e], values[e], chosen, rng)
            rows.append(_row(trial.trial, e, seen[e], value, low, high))
    return Check(tuple(rows), patients, seed)


def _levels(trials: TrialSet, rng: np.random.Generator) -> tuple[dict, dict]:
    """By trial: the fitted (drug, background) multipliers, and draws of them [draws, 2]."""
    fitted, drawn = {}, {}
    for trial in trials.trials:
        d = trial.deviation
        level = (d.drug, d.background) if d else (1.0, 1.0)
        sd = (d.drug_sd, d.background_sd) if d else (trials.other_sd, trials.other_sd)
        fitted[trial.trial] = level
        drawn[trial.trial] = np.exp(rng.standard_normal((STUDY_DRAWS, 2)) * sd) * level
    return fitted, drawn


def _values_under(
    drawn: Mapping[str, np.ndarray], arms: Mapping[str, SimulatedArm], endpoints: list[Endpoint]
) -> dict[Endpoint, np.ndarray]:
    """The value of every endpoint under every draw of the studies' levels."""
    values = {e: np.empty(STUDY_DRAWS) for e in endpoints}
    for k in range(STUDY_DRAWS):
        scores: dict[str, Scores] = {name: arm.scores(*drawn[arm.trial][k]) for name, arm in arms.items()}
        for e in endpoints:
            values[e][k] = predict(e, [scores[name] for name in e.arm])
    return values


def _interval(
    e: Endpoint, seen: Observed, values: np.ndarray, arms: list[Scores], rng: np.random.Generator
) -> tuple[float, float]:
    """The central 90 % of what a repetition of the trial would report."""
    shape = (SAMPLES_PER_DRAW, len(values))
    z = rng.standard_normal(shape)
    if KIND[e.measure] == "rate":
        assert seen.n, f"{e.evidence[0]} needs a number of patients"
        n = max(round(seen.n), 1)
        sampled = 100 * rng.binomial(n, np.clip(values / 100, 0, 1), shape) / n
    elif e.measure == "ratio of responses":
        sampled = values * np.exp(z * (seen.se or 0.0))
    else:
        sampled = values + z * (seen.se or sampling_sd(e, predict(e, arms), arms, seen.n or 1.0))
    low, high = np.quantile(sampled, INTERVAL)
    return float(low), float(high)


def _row(trial: str, e: Endpoint, seen: Observed, value: float, low: float, high: float) -> Row:
    kind = KIND[e.measure]
    name = e.measure
    if e.limit is not None:
        name += f" (MADRS at most {e.limit:g})" if e.measure.startswith("remission") else f" (MADRS above {e.limit:g})"
    return Row(
        trial=trial,
        arm=" + ".join(e.arm),
        endpoint=name,
        time=e.when or str(e.at),
        unit={"rate": "%", "change": "points"}.get(kind, UNITS.get(e.measure, "")),
        kind=kind,
        n=seen.n,
        observed=seen.value,
        predicted=value,
        low90=low,
        high90=high,
        inside=low - 1e-9 <= seen.value <= high + 1e-9,
        evidence=" ".join(seen.ids),
        verified=seen.verified,
        assumed=seen.assumed,
    )


UNITS = {
    "SD of change": "points",
    "mean time to relapse": "days",
    "ratio of responses": "ratio",
    "fraction of effect": "%",
}
