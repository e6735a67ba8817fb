"""The document of a set of published trials: arms, treatment, design, endpoints, and where the observed values are."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from euthymia.errors import UserError
from euthymia.protocol.document import DesignBlock
from euthymia.protocol.quantity import parse
from euthymia.protocol.reader import read
from euthymia.protocol.rules import Dose, Duration, Entry, Name, Text
from euthymia.protocol.words import Compound, Route

Measured = Literal[
    "change",
    "SD of change",
    "response",
    "remission",
    "sustained response",
    "not relapsed",
    "relapsed",
    "mean time to relapse",
    "ratio of responses",
    "fraction of effect",
    "remission by step",
]
"""What `euthymia.trial.endpoints` can compute."""


class Series(Entry):
    """Times at a regular gap, both ends included."""

    from_: Duration
    every: Duration
    to: Duration


def _times(given: object) -> object:
    """A list of times and series as one list of times (h)."""
    if not isinstance(given, list):
        given = [given]
    times: list[float] = []
    for item in given:
        if isinstance(item, dict):
            series = Series.model_validate(item)
            count = round((series.to.value - series.from_.value) / series.every.value)
            times += [series.from_.value + k * series.every.value for k in range(count + 1)]
        else:
            times.append(parse(item, "duration").value)
    if times != sorted(set(times)):
        raise ValueError("times must rise")
    return times


def _names(given: object) -> object:
    return [given] if isinstance(given, str) else given


Times = Annotated[tuple[float, ...], BeforeValidator(_times)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_names), Field(min_length=1)]
Ids = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Baseline(Entry):
    """MADRS at entry: the row of the evidence that gives it, or mean and SD with the reason why they are assumed."""

    evidence: str | None = None
    mean: float | None = None
    sd: Annotated[float, Field(gt=0)] | None = None
    assumed: Text | None = None

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "Baseline":
        given = (self.mean, self.sd, self.assumed)
        if (self.evidence is None) == any(g is None for g in given) or (self.evidence and any(given)):
            raise ValueError("give either `evidence`, or `mean`, `sd` and why they are `assumed`")
        return self


class Given(Entry):
    """The sessions of an arm: of a protocol in the catalogue, or one drug at given times. None after `stops`."""

    protocol: Name | None = None
    stops: Duration | None = None
    compound: Compound | None = None
    route: Route | None = None
    dose: Dose | None = None
    over: Duration | None = None
    at: Times = ()

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "Given":
        if (self.protocol is None) == (self.compound is None):
            raise ValueError("give either a `protocol` of the catalogue or a `compound` with its times")
        if self.compound and not (self.route and self.at):
            raise ValueError("a `compound` needs its `route` and `at`, its times")
        return self


class Antidepressant(Entry):
    """An oral antidepressant every day."""

    start: Duration
    stop: Duration | None = None


class People(Entry):
    """How an arm's patients differ from the virtual population of treatment-resistant depression."""

    resistant: bool = True
    weight_factor: Annotated[float, Field(gt=0)] = 1.0
    asian: bool = False
    because: Text


class Arm(Entry):
    """One arm. `given` "none": no sessions."""

    arm: Name
    baseline: Baseline
    given: Annotated[Given | None, BeforeValidator(lambda g: None if g == "none" else g)]
    antidepressant: Antidepressant | None = None
    people: People | None = None

    def reasons(self) -> list[str]:
        """What was assumed about it, in words."""
        found = [f"score at entry: {self.baseline.assumed}"] if self.baseline.assumed else []
        return found + ([self.people.because] if self.people else [])


class Followed(Entry):
    """Who is followed for relapse: those with `measure` at every time of `at` (`limit`: of remission)."""

    measure: Literal["response", "remission"]
    at: Times
    limit: float | None = None


class Endpoint(Entry):
    """One published number and how the model computes its own.

    arm: over several arms, `called` something together, the predictions are averaged (ratio and fraction: drug, then
    control); at: when, `when` in the words of the trial;
    limit: highest score of a remission, or of one who has not relapsed; visits: ratings that count instead of `at`;
    evidence: ids of the observed values, pooled by n where there are several; read_as: what is made of them;
    n, se: stand in for what the evidence lacks (se in the unit of the value, as log for a ratio), and because says why.
    """

    measure: Measured
    arm: Names
    called: Name | None = None
    at: Duration
    when: Text | None = None
    limit: float | None = None
    limit_assumed: Text | None = None
    visits: Times = ()
    followed: Followed | None = None
    step: int | None = None
    evidence: Ids
    read_as: Literal["value", "SD", "median", "median and hazard ratio"] = "value"
    n: Annotated[float, Field(gt=0)] | None = None
    se: Annotated[float, Field(gt=0)] | None = None
    because: Text | None = None

    @model_validator(mode="after")
    def _reasons(self) -> "Endpoint":
        if (self.n or self.se or self.read_as.startswith("median")) and not self.because:
            raise ValueError("`n`, `se` and a value read as something else need `because`")
        return self


class Deviation(Entry):
    """How the study differs from the model's typical one: multipliers of drug and non-drug effect, SD of their logs."""

    drug: Annotated[float, Field(gt=0)]
    drug_sd: Annotated[float, Field(ge=0)]
    background: Annotated[float, Field(gt=0)]
    background_sd: Annotated[float, Field(ge=0)]


class Trial(Entry):
    """A published trial, or what several published together. Without `deviation` nothing was fitted to it alone."""

    trial: Name
    design: DesignBlock
    note: Text | None = None
    deviation: Deviation | None = None
    arms: tuple[Arm, ...] = ()
    endpoints: tuple[Endpoint, ...]


class Source(Entry):
    """Where calibrated values come from, or the range of an assumed one."""

    kind: Literal["calibrated", "assumed"]
    source: Text


class TrialSet(Entry):
    """Several trials that share a role: what the model was fitted to, or what it may only predict."""

    set: Literal["calibration"]
    deviations: Source
    other_sd: Annotated[float, Field(gt=0)]
    other_sd_source: Source
    trials: tuple[Trial, ...]

    @model_validator(mode="after")
    def _arms(self) -> "TrialSet":
        names = [arm.arm for _, arm in self.arms()]
        twice = {name for name in names if names.count(name) > 1}
        unknown = {name for t in self.trials for e in t.endpoints for name in e.arm} - set(names)
        if twice or unknown:
            raise ValueError(f"arms must have one name each, and be known: {', '.join(sorted(twice | unknown))}")
        return self

    def arms(self) -> Iterator[tuple[Trial, Arm]]:
        """Every arm with its trial."""
        for trial in self.trials:
            for arm in trial.arms:
                yield trial, arm


def load(path: str | Path | None = None) -> TrialSet:
    """The calibration arms, or the document at `path`. Raises UserError with file and line of the first problem."""
    place = files("euthymia.trial") / "data" / "calibration_arms.yaml" if path is None else Path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{place.name}: cannot be read as UTF-8 text ({error}).") from None
    marked = read(text, place.name)
    try:
        return TrialSet.model_validate(marked.value)
    except ValidationError as error:
        first = error.errors()[0]
        where = " > ".join(str(part) for part in first["loc"])
        line = marked.line(tuple(first["loc"]))
        raise UserError(f"{place.name}, line {line}: {where}: {first['msg']} ({error.error_count()} in all).") from None
