"""The tables of the evidence: one frozen dataclass per data file, one field per column.

`verified` says how a number was seen: ``yes`` at its source (often an abstract or the opening of a page),
``secondary`` in someone else's transcription or report of it, ``no`` recalled and never read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

Verified = Literal["yes", "secondary", "no"]
Set = Literal["calibration", "validation", "context"]
Problems = Iterator[tuple[str, str]]
"""Column and what is wrong with it."""


def number(text: str) -> float | None:
    """`text` as a number, or None where the source printed words, a range or several numbers."""
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(frozen=True)
class Row:
    """What every table has: a stable, unique id."""

    file: ClassVar[str]
    needed: ClassVar[tuple[str, ...]] = ("source",)
    """Columns that may not be empty."""
    id: str

    def problems(self) -> Problems:
        """What this row breaks beyond the types of its columns; the loader refuses the first."""
        if not self.id:
            yield "id", "every row must have an id"
        elif any(c.isspace() for c in self.id):
            yield "id", f"must not contain spaces, got {self.id!r}"
        for column in self.needed:
            if not getattr(self, column):
                yield column, f"every row must have a {column}"
        low, high = getattr(self, "low", None), getattr(self, "high", None)
        if low is not None and high is not None and low > high:
            yield "low", f"must not be above high ({low:g} > {high:g})"


@dataclass(frozen=True)
class Parameter(Row):
    """A number the model uses.

    `kind`: ``seen`` in a source, ``derived`` from one, ``calibrated`` to outcomes, or ``assumed``: then there
    may be no source, but there must be the range (`low`, `high`) it is assumed to lie in.
    """

    file = "model.csv"
    needed = ()
    value: float
    unit: str
    low: float | None
    high: float | None
    kind: Literal["seen", "calibrated", "assumed", "derived"]
    species: str
    source: str
    where: str
    verified: bool
    note: str

    @property
    def seen(self) -> Verified:
        """How the number was seen: at its source, in somebody else's transcription, or not at all."""
        return "no" if not self.verified else "secondary" if "secondary" in self.where else "yes"

    def problems(self) -> Problems:
        yield from super().problems()
        if self.kind == "assumed":
            for column in ("low", "high"):
                if getattr(self, column) is None:
                    yield column, "an assumed value must have its range: low and high"
            if self.verified:
                yield "verified", "an assumed value cannot be verified; must be no"
        elif not self.source:
            yield "source", "every row must have a source, or be of kind assumed with its range"
        if self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            yield "value", f"must lie between low and high ({self.low:g} to {self.high:g}), got {self.value:g}"


@dataclass(frozen=True)
class Literature(Row):
    """A published number or finding: pharmacokinetics, mechanism, harms. `value` is as printed."""

    file = "literature.csv"
    needed = ("source", "quantity", "value", "species")
    topic: str
    quantity: str
    drug: str
    analyte: str
    value: str
    unit: str
    low: float | None
    high: float | None
    variability: str
    species: str
    population: str
    method: str
    source: str
    where: str
    verified: Verified
    note: str

    @property
    def value_number(self) -> float | None:
        return number(self.value)


@dataclass(frozen=True)
class Plasma(Row):
    """A published plasma level: `observed` in people, or what a published `model` predicts for them."""

    file = "plasma.csv"
    needed = ("source", "analyte", "quantity", "value", "unit")
    study: str
    kind: Literal["observed", "model"]
    drug: str
    route: str
    dose: str
    dose_unit: str
    duration_min: str
    analyte: str
    quantity: str
    time_min: float | None
    value: str
    unit: str
    spread: str
    spread_type: str
    n: str
    population: str
    source: str
    where: str
    verified: Verified
    note: str

    @property
    def value_number(self) -> float | None:
        return number(self.value)


_HOURS = {"min": 1 / 60, "h": 1.0, "d": 24.0, "wk": 168.0}


@dataclass(frozen=True)
class Outcome(Row):
    """One published number of one arm at one time.

    `set` decides its use: ``calibration`` may be fitted; ``validation`` may only be predicted, never inform a
    fit, a prior or a choice of structure; ``context`` may serve as prior or for shape.
    A change is post minus baseline: negative is better, unless the unit says otherwise.
    """

    file = "outcomes.csv"
    needed = ("source", "study", "arm", "endpoint", "value")
    study: str
    set: Set
    indication: str
    design: str
    arm: str
    drug: str
    route: str
    dose: str
    dose_unit: str
    duration_min: str
    n_doses: str
    schedule: str
    comparator: str
    n: int | None
    endpoint: str
    time: str
    time_unit: str
    value: str
    unit: str
    spread: str
    spread_type: Literal["none", "SD", "SE", "CI95", "CI90", "range"]
    source: str
    where: str
    verified: Verified
    note: str

    @property
    def value_number(self) -> float | None:
        return number(self.value)

    @property
    def spread_number(self) -> float | None:
        """SD or SE as a number; None for an interval or where none was printed."""
        return number(self.spread)

    @property
    def time_h(self) -> float | None:
        """Hours since the first dose, where the time is a plain number of minutes, hours, days or weeks."""
        time, hours = number(self.time), _HOURS.get(self.time_unit)
        return None if time is None or hours is None else time * hours


@dataclass(frozen=True)
class Prior(Row):
    """What is believed of a model parameter before the calibration, and why: assumed, like every prior.

    Log-normal: `median` in the unit of the parameter, `sd` of its log.
    """

    file = "priors.csv"
    needed = ("why",)
    median: float
    sd: float
    why: str

    def problems(self) -> Problems:
        yield from super().problems()
        for column in ("median", "sd"):
            if not getattr(self, column) > 0:
                yield column, f"must be above 0, got {getattr(self, column):g}"


@dataclass(frozen=True)
class Rule(Row):
    """A rule or fact of a label, guideline or trial protocol, in words."""

    file = "rules.csv"
    needed = ("source", "guideline", "text")
    guideline: str
    text: str
    source: str
    verified: Verified
    note: str


@dataclass(frozen=True)
class Link(Row):
    """A pair of scores on two rating scales that a publication holds equivalent, with its `caution`."""

    file = "linking.csv"
    needed = ("source", "from_scale", "from_score", "to_scale", "to_score")
    from_scale: str
    from_score: str
    to_scale: str
    to_score: str
    source: str
    where: str
    verified: Verified
    caution: str
    note: str


@dataclass(frozen=True)
class Adequacy(Row):
    """What makes a trial of an antidepressant adequate: the least `daily dose` of a drug, or the least `duration`.

    A dose is the lower end of what a source calls the usual dose of adults; that less is no adequate trial is a reading
    of it. Where sources differ, `low` to `high` are what they say, and between these nobody knows.
    """

    file = "adequacy.csv"
    quantity: Literal["daily dose", "duration"]
    drug: str
    value: float
    unit: Literal["mg/day", "weeks"]
    low: float | None
    high: float | None
    source: str
    where: str
    verified: Verified
    note: str

    def problems(self) -> Problems:
        yield from super().problems()
        if (self.quantity == "daily dose") != bool(self.drug):
            yield "drug", "a daily dose is of a drug, and a duration of none"
        if self.unit != ("mg/day" if self.drug else "weeks"):
            yield "unit", f"a {self.quantity} is in {'mg/day' if self.drug else 'weeks'}"
        if not self.value > 0:
            yield "value", f"must be above 0, got {self.value:g}"
        if (self.low is None) != (self.high is None):
            yield "low", "low and high go together"
        elif self.low is not None and self.high is not None and not self.low <= self.value <= self.high:
            yield "value", f"must lie between low and high ({self.low:g} to {self.high:g}), got {self.value:g}"
