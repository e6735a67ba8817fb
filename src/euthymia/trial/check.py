"""The model against the trials it was fitted to: predicted, observed and interval, as one table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia.course.store import write_whole
from euthymia.errors import UserError
from euthymia.patient.population import draw
from euthymia.trial.arms import Scores, SimulatedArm, mirrored, simulate_arms
from euthymia.trial.document import Endpoint, TrialSet, load
from euthymia.trial.endpoints import KIND, predict, sampling_sd
from euthymia.trial.observed import Observed, observed

STUDY_DRAWS = 100
SAMPLES_PER_DRAW = 100
MINIMUM_PATIENTS = 100
INTERVAL = (0.05, 0.95)
TOTAL_UNITS = {"rate": "percentage points", "change": "points"}
UNITS = {
    "change": "points",
    "SD of change": "points",
    "mean time to relapse": "days",
    "ratio of responses": "ratio",
}
NUMBERS = range(3, 7)  # columns of the printed table that are set flush right
NOTES = (
    "The model was fitted to these arms: agreement here is no test of it.",
    "Intervals hold 90 % of repetitions of the trial: chance in a sample of n, and the uncertainty of the study's own",
    "drug and non-drug level; that of the parameters all studies share is not in them.",
    "OUT: the observed value lies outside. assumed: something stands in for what was not published; the written table",
    "says what. unverified: not read at its source.",
)


class Row(NamedTuple):
    """One endpoint of one arm.

    kind: "rate" (%), "change" (points) or "other"; inside: whether the observed value, which was printed rounded (2 of
    11 as 18 %), can lie in the 90 % interval;
    evidence: ids of the outcomes it rests on; assumed: what stands in for something that was not published, and why.
    """

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
    """Errors over the rows of one kind; bias is predicted minus observed. Both are NaN where units differ."""

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

    def total(self, kind: str = "all") -> Total:
        """Mean absolute error, bias and coverage of one kind of endpoint: "rate", "change", "other" or "all"."""
        rows = [r for r in self.rows if kind in (r.kind, "all")]
        if not rows:
            raise UserError(f"there are no endpoints of kind {kind!r}; there are: rate, change, other, all.")
        alike = kind in TOTAL_UNITS
        error = np.array([r.predicted - r.observed if alike else np.nan for r in rows])
        inside = sum(r.inside for r in rows)
        return Total(
            kind, len(rows), float(np.abs(error).mean()), float(error.mean()), inside, TOTAL_UNITS.get(kind, "")
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
        head = ("arm", "endpoint", "time", "n", "observed", "predicted", "90 % interval", "")
        body = [_cells(r) for r in self.rows]
        width = [max(len(cells[k]) for cells in (head, *body)) for k in range(len(head))]

        def line(cells: tuple[str, ...]) -> str:
            columns = enumerate(zip(cells, width, strict=True))
            return "  ".join(c.rjust(w) if k in NUMBERS else c.ljust(w) for k, (c, w) in columns).rstrip()

        lines = [line(head), "-" * len(line(head))]
        before = ""
        for row, cells in zip(self.rows, body, strict=True):
            lines += ["", row.trial] if row.trial != before else []
            lines.append(line(cells))
            before = row.trial
        every = self.total("all")
        lines += [
            "",
            *(_total_line(self.total(kind)) for kind in TOTAL_UNITS),
            f"all {every.rows} endpoints: {every.inside} inside ({100 * every.inside / every.rows:.0f} %)",
            "",
            f"{self.patients:,} virtual patients per arm, seed {self.seed}. Rates in %, changes in MADRS points.",
            *NOTES,
        ]
        return "\n".join(lines)


def _total_line(total: Total) -> str:
    return (
        f"{total.rows} {total.kind}s: mean absolute error {total.mean_absolute_error:.2f} {total.unit} "
        f"(bias {total.bias:+.2f}), {total.inside} inside their interval"
    )


def _cells(r: Row) -> tuple[str, ...]:
    digits = 2 if r.unit == "ratio" else 1
    marks = ["OUT"] * (not r.inside) + ["assumed"] * bool(r.assumed) + ["unverified"] * (r.verified != "yes")
    return (
        r.arm,
        r.endpoint,
        r.time,
        f"{r.n:.0f}" if r.n else "-",
        f"{r.observed:.{digits}f}",
        f"{r.predicted:.{digits}f}",
        f"{r.low90:.{digits}f} to {r.high90:.{digits}f}",
        ", ".join(marks),
    )


def calibration_check(patients: int = 2000, seed: int = 1, progress: Callable[[int, int], None] | None = None) -> Check:
    """Compare the model as shipped with the depression arms it was calibrated on.

    patients: virtual patients per arm (the same in every arm); seed: of every random number; progress: called with
    (arms done, arms).
    Reads outcomes of the calibration set only. Raises UserError for fewer than 100 patients.
    """
    if isinstance(patients, bool) or not isinstance(patients, int) or patients < MINIMUM_PATIENTS:
        raise UserError(f"the check needs at least {MINIMUM_PATIENTS} patients, got {patients!r}.")
    trials = load()
    seen = {e: observed(e) for t in trials.trials for e in t.endpoints}
    reasons = {arm.arm: arm.reasons() for _, arm in trials.arms()}
    people = mirrored(draw("TRD", (patients + 1) // 2, seed))
    arms = simulate_arms(trials, people, progress)
    rng = np.random.default_rng(seed)
    fitted, drawn = _levels(trials, rng)
    at_fit = {name: arm.scores(*fitted[arm.trial]) for name, arm in arms.items()}
    values = _values_under(drawn, arms, list(seen))
    rows = []
    for trial in trials.trials:
        for e in trial.endpoints:
            chosen = [at_fit[name] for name in e.arm]
            value = predict(e, chosen)
            interval = _interval(e, seen[e], values[e], chosen, rng)
            about = dict.fromkeys([*seen[e].reasons, *(r for name in e.arm for r in reasons[name])])
            rows.append(_row(trial.trial, e, seen[e], "; ".join(about), value, *interval))
    return Check(tuple(rows), len(people), seed)


Level = tuple[float, float]


def _levels(trials: TrialSet, rng: np.random.Generator) -> tuple[dict[str, Level], dict[str, np.ndarray]]:
    """By trial: the fitted (drug, background) multipliers, and draws of them [draws, 2]."""
    fitted: dict[str, Level] = {}
    drawn: dict[str, np.ndarray] = {}
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
        scores = {name: arm.scores(*drawn[arm.trial][k]) for name, arm in arms.items()}
        for e in endpoints:
            values[e][k] = predict(e, [scores[name] for name in e.arm])
    return values


def _interval(
    e: Endpoint, seen: Observed, values: np.ndarray, arms: list[Scores], rng: np.random.Generator
) -> tuple[float, float]:
    """The central 90 % of what repetitions of the trial would report."""
    shape = (SAMPLES_PER_DRAW, len(values))
    if KIND[e.measure] == "rate":
        if not seen.n:
            raise UserError(f"{seen.ids[0]} has no number of patients; a rate needs one.")
        n = max(round(seen.n), 1)
        sampled = 100 * rng.binomial(n, np.clip(values / 100, 0, 1), shape) / n
    else:
        se = seen.se or sampling_sd(e, arms, seen.n)
        z = rng.standard_normal(shape)
        sampled = values * np.exp(z * se) if e.measure == "ratio of responses" else values + z * se
    low, high = np.quantile(sampled, INTERVAL)
    return float(low), float(high)


def _row(trial: str, e: Endpoint, seen: Observed, assumed: str, value: float, low: float, high: float) -> Row:
    sign = ">" if e.measure == "relapsed" else "≤"
    return Row(
        trial=trial,
        arm=e.called or " + ".join(e.arm),
        endpoint=e.measure + (f" ({sign} {e.limit:g})" if e.limit is not None else ""),
        time=e.when or str(e.at),
        unit=UNITS.get(e.measure, "%"),
        kind=KIND[e.measure],
        n=seen.n,
        observed=seen.value,
        predicted=value,
        low90=low,
        high90=high,
        inside=low - seen.rounding <= seen.value <= high + seen.rounding,
        evidence=" ".join(seen.ids),
        verified=seen.verified,
        assumed=assumed,
    )
