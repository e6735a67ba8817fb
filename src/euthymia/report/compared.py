"""The comparisons of a planned trial in words: each in its unit, with its interval and how sure it is."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, NamedTuple

from euthymia.report.numbers import decimal
from euthymia.report.plan import SHORT
from euthymia.trial.plan import RATES, PlannedEndpoint
from euthymia.trial.result import TrialResult

PERCENT = "percentage points"
UNWANTED = ("switch to mania", "time to episode", "relapse")


class Measure(NamedTuple):
    """How an estimate is shown. factor: from the estimate to its unit; nothing: the value of no difference."""

    axis: str
    unit: str
    better: str
    digits: int = 1
    factor: float = 1.0
    nothing: float = 0.0


def measure(endpoint: PlannedEndpoint) -> Measure:
    """How estimates of this endpoint are shown."""
    what, method = endpoint.endpoint, endpoint.method
    above, below = "above {0}: better than the comparator", "below {0}: better than the comparator"
    if what == "change":
        return Measure("Differences in change (points)", "points", below.format(0))
    if what == "effect size":
        return Measure("Effect sizes (Hedges' g)", "standard deviations", below.format(0), 2)
    wanted = what not in UNWANTED
    if what in RATES:
        good = (above if wanted else below).format(0)
        return Measure(f"Differences in {'rates' if wanted else what} ({PERCENT})", PERCENT, good, factor=100.0)
    event = what.removeprefix("time to ")
    if method == "kaplan-meier":
        good = (below if wanted else above).format(0)
        return Measure(f"Differences without {event} ({PERCENT})", PERCENT, good, factor=100.0)
    good = (above if wanted else below).format(1)
    return Measure(f"Hazard ratios of {event}", "hazard ratio", good, 2, nothing=1.0)


@dataclass(frozen=True)
class Comparison:
    """An arm against the comparator on one endpoint, over all replicates. Numbers are in the measure's unit.

    found: the p value of one trial, or the share of trials that found a difference, with its Monte Carlo `error`;
    failed: trials without an estimate.
    """

    endpoint: PlannedEndpoint
    primary: bool
    arm: str
    comparator: str
    n: float
    mean: float | None
    comparator_mean: float | None
    value: float | None
    low: float | None
    high: float | None
    found: float | None
    error: float | None
    nnt: float | None
    failed: int
    replicates: int
    note: str = ""

    @property
    def measure(self) -> Measure:
        return measure(self.endpoint)

    @property
    def analysis(self) -> str:
        """The analysis as it is printed."""
        return SHORT.get(self.endpoint.method, self.endpoint.method)

    @property
    def against(self) -> str:
        return f"{self.arm} against {self.comparator}"

    def number(self, x: float | None) -> str:
        """In the measure's digits."""
        return "-" if x is None else decimal(x, self.measure.digits)

    @property
    def estimate(self) -> str:
        return self.number(self.value)

    @property
    def between(self) -> str:
        """The interval."""
        return "-" if self.low is None or self.high is None else f"{self.number(self.low)} to {self.number(self.high)}"

    @property
    def with_unit(self) -> str:
        """The estimate as a reader would say it."""
        unit = self.measure.unit
        return f"{unit} {self.estimate}" if unit == "hazard ratio" else f"{self.estimate} {unit}"

    def group(self, x: float | None) -> str:
        """A mean of one arm: a share in %, a change in points."""
        if x is None:
            return "-"
        return f"{decimal(x, 1)}" if self.endpoint.endpoint in ("change", "effect size") else f"{decimal(100 * x, 1)} %"

    @property
    def sureness(self) -> str:
        """The p value, or the share of trials that found a difference."""
        if self.found is None:
            return "-"
        if self.replicates == 1:
            return p_value(self.found)
        if self.found in (0, 1):
            return f"{100 * self.found:.0f} % ({'all' if self.found else 'none'} of {self.replicates:,})"
        return f"{decimal(100 * self.found, 1)} ± {decimal(100 * (self.error or 0), 1)} %"

    @property
    def needed(self) -> str:
        """The number needed to treat."""
        return "-" if self.nnt is None else decimal(self.nnt, 1)


def p_value(p: float) -> str:
    """A p value; below a thousandth, only that."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparisons(result: TrialResult) -> list[Comparison]:
    """Every comparison, in the order of the plan's endpoints."""
    once = result.replicates == 1
    table = result.estimates if once else result.power()
    return [_comparison(result, row, once) for row in table.iter_rows(named=True)]


def _comparison(result: TrialResult, row: dict[str, Any], once: bool) -> Comparison:
    endpoint = next(e for e in result.plan.endpoints if (e.label, e.method) == (row["endpoint"], row["analysis"]))
    factor = measure(endpoint).factor

    def number(name: str, times: float = 1.0) -> float | None:
        x = row.get(name)
        return None if x is None or not isfinite(x) else times * x

    value = number("estimate", factor)
    return Comparison(
        endpoint=endpoint,
        primary=row["primary"],
        arm=row["arm"],
        comparator=row["comparator"],
        n=row["n"] + (row["n comparator"] or 0) if once else row["n"],
        mean=number("mean"),
        comparator_mean=number("mean comparator"),
        value=value,
        low=number("low", factor),
        high=number("high", factor),
        found=number("p value" if once else "power"),
        error=None if once else number("standard error"),
        nnt=number("NNT"),
        failed=int(value is None) if once else row["failed"],
        replicates=result.replicates,
        note=(row["note"] or "") if once else "",
    )


def headline(result: TrialResult, found: list[Comparison]) -> str:
    """The primary endpoint in a sentence or two."""
    label = result.plan.primary.label
    if label.startswith("change"):
        label = label.replace("change", f"change of the {result.plan.scale.name}", 1)
    primary = [c for c in found if c.primary]
    known = [c for c in primary if c.value is not None]
    if not known:
        why = f": {primary[0].note.rstrip('.')}" if primary and primary[0].note else ""
        return f"The primary endpoint, {label}, could not be estimated{why}."
    same = "With every arm given what the comparator gets: " if result.no_effect else ""
    better = known[0].measure.better
    better = f" {better[0].upper()}{better[1:]}."
    if result.replicates == 1:
        said = []
        for c in known:
            p = "" if c.found is None else f"; p {'' if c.found < 0.001 else '= '}{p_value(c.found)}"
            said.append(f"{c.against}, {c.with_unit} (95 % interval {c.between}{p})")
        return f"{same}{label[0].upper()}{label[1:]}, {'; '.join(said)}.{better}{_stopped(result)}"
    what = "type I error" if result.no_effect else "power"
    said = []
    for c in known:
        share = c.found or 0.0
        if share in (0, 1):
            times = f"{100 * share:.0f} % ({'all' if share else 'none'} of them)"
        else:
            error = decimal(100 * (c.error or 0), 1)
            times = f"{decimal(100 * share, 1)} % (Monte Carlo standard error {error})"
        said.append(f"{times} for {c.against}, with {c.with_unit} on average (90 % of trials: {c.between})")
    begin = f"{same}{what if same else what.capitalize()} on {label}, over {result.replicates:,} trials"
    return f"{begin} on new patients each: {'; '.join(said)}.{better}"


def _stopped(result: TrialResult) -> str:
    """Where one adaptive trial ended before its last patient."""
    planned, had = result.plan.patients, int(result.flow()["randomised"].sum())
    return f" It ended at a look, after {had:,} of {planned:,} planned patients." if had < planned else ""
