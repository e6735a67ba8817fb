"""The document of a published trial: arms, treatment, design, endpoints, and where the observed values are.

One file of `catalogue/` is one trial; a file added there is a row more in every table.
"""

from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from euthymia.errors import UserError
from euthymia.protocol.document import DesignBlock
from euthymia.protocol.quantity import parse
from euthymia.protocol.rules import Dose, Duration, Entry, Name, Text
from euthymia.protocol.words import Agent, Compound, Route
from euthymia.trial.reading import read_document

Measured = Literal[
    "change",
    "score",
    "SD of change",
    "response",
    "any response",
    "sustained response",
    "kept response",
    "remission",
    "remission by step",
    "not relapsed",
    "relapsed",
    "mean time to relapse",
    "median time to relapse",
    "difference",
    "effect size",
    "ratio of responses",
    "odds ratio of response",
    "odds ratio of remission",
    "hazard ratio of response",
    "hazard ratio of remission",
    "hazard ratio of relapse",
    "fraction of effect",
    "switch to mania",
    "recurrence",
    "hazard ratio of recurrence",
]
"""What `euthymia.trial.endpoints` can compute."""

Kind = Literal["rate", "change", "difference", "time", "effect", "spread"]
"""Of what unit and error a measure is: % of patients, points, points between arms, days, none, points."""

AS_LOG = tuple(m for m in get_args(Measured) if "ratio" in m)
"""Measures whose errors are normal on the log scale."""

_NOT_RATES: dict[str, Kind] = {
    "change": "change",
    "score": "change",
    "SD of change": "spread",
    "mean time to relapse": "time",
    "median time to relapse": "time",
    "difference": "difference",
    "effect size": "effect",
    "fraction of effect": "effect",
}
KIND: dict[str, Kind] = {m: "effect" if m in AS_LOG else _NOT_RATES.get(m, "rate") for m in get_args(Measured)}
BETWEEN_ARMS = tuple(m for m, kind in KIND.items() if kind in ("difference", "effect"))


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
    """Score at entry (MADRS; in PTSD of the trial's own scale): the row of the evidence that gives it, or mean and SD
    with the reason why they are assumed."""

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
    """How an arm's patients differ from the virtual population of treatment-resistant depression.

    age, age_sd: mean and SD in years; weight_factor: their weight over that of the virtual population;
    between_episodes: of bipolar disorder, at entry; veterans: or service members, with PTSD.
    """

    resistant: bool = True
    age: Annotated[float, Field(gt=0, le=100)] | None = None
    age_sd: Annotated[float, Field(gt=0)] | None = None
    weight_factor: Annotated[float, Field(gt=0)] = 1.0
    asian: bool = False
    japanese: bool = False
    between_episodes: bool = False
    veterans: bool = False
    because: Text


class Arm(Entry):
    """One arm. `given` "none": no sessions; alongside: what is taken every day from the start, in bipolar disorder;
    exposure: when sessions of exposure therapy are, in PTSD."""

    arm: Name
    baseline: Baseline
    given: Annotated[Given | None, BeforeValidator(lambda g: None if g == "none" else g)]
    antidepressant: Antidepressant | None = None
    alongside: Annotated[tuple[Agent, ...], BeforeValidator(_names)] = ()
    exposure: Times = ()
    people: People | None = None

    def reasons(self) -> list[str]:
        """What was assumed about it, in words."""
        found = [f"score at entry: {self.baseline.assumed}"] if self.baseline.assumed else []
        return found + ([self.people.because] if self.people else [])


class Followed(Entry):
    """Who is looked at: those with `measure` at every time of `at` (`limit`: of remission; `fall`: of a response), or
    without it."""

    measure: Literal["response", "no response", "remission", "response without remission"]
    at: Times
    limit: float | None = None
    fall: Annotated[float, Field(gt=0, lt=1)] = 0.5


class Endpoint(Entry):
    """One published number and how the model computes its own.

    arm: over several arms, `called` something together, the predictions are averaged (a difference, ratio or effect
    size has two: drug, then control); at: when, `when` in the words of the trial;
    fall: share of the score at entry that a response takes off; points: the same in points, instead of a share;
    limit: highest score of a remission, or of one who has not relapsed; less_than: instead of that, the fall below
    which somebody has relapsed; confirmed: a relapse counts once two visits in a row show it, and otherwise at one
    visit, on the mean of two ratings; visits: ratings that count instead of `at`; pole: of a recurrence;
    followed: who is looked at, if not all; scale: what was rated, where it was not the MADRS;
    evidence: ids of the observed values, pooled by n where there are several; read_as: what is made of them (an
    improvement is printed as a positive number where a change is negative, or as a range of them; a count is of n);
    n, se: stand in for what the evidence lacks (se in the unit of the value, as log for a ratio), and because says why.
    """

    measure: Measured
    arm: Names
    called: Name | None = None
    at: Duration
    when: Text | None = None
    fall: Annotated[float, Field(gt=0, lt=1)] = 0.5
    points: Annotated[float, Field(gt=0)] | None = None
    scale: Text | None = None
    limit: float | None = None
    limit_assumed: Text | None = None
    less_than: Annotated[float, Field(gt=0, lt=1)] | None = None
    confirmed: bool = False
    visits: Times = ()
    followed: Followed | None = None
    step: int | None = None
    pole: Literal["any", "depressive", "manic"] = "any"
    evidence: Ids
    read_as: Literal["value", "improvement", "count", "SD", "median", "median and hazard ratio"] = "value"
    n: Annotated[float, Field(gt=0)] | None = None
    se: Annotated[float, Field(gt=0)] | None = None
    because: Text | None = None

    @model_validator(mode="after")
    def _reasons(self) -> "Endpoint":
        if (self.n or self.se or self.read_as.startswith("median")) and not self.because:
            raise ValueError("`n`, `se` and a value read as something else need `because`")
        return self


class NotPredicted(Entry):
    """Published numbers the model says nothing about, by `endpoint` name or row (`evidence`), and why."""

    endpoint: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    evidence: Ids = ()
    because: Text


Set = Literal["calibration", "validation"]
Illness = Literal["depression", "bipolar disorder", "PTSD"]
POPULATION: dict[Illness, str] = {
    "depression": "TRD",
    "bipolar disorder": "bipolar depression",
    "PTSD": "civilian PTSD",
}
"""Who is drawn for the trials of an illness."""


class Trial(Entry):
    """A published trial as a document: what was given to whom under which design, and what was found.

    set: what it is for, fixed in the evidence; studies: names of the evidence whose rows it answers to; pools: other
    trials of the catalogue whose patients it puts together.
    """

    trial: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9.]+)*$", max_length=60)]
    title: Text
    illness: Illness
    set: Set
    studies: Annotated[tuple[str, ...], BeforeValidator(_names), Field(min_length=1)]
    pools: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    design: DesignBlock
    note: Text | None = None
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    endpoints: Annotated[tuple[Endpoint, ...], Field(min_length=1)]
    not_predicted: tuple[NotPredicted, ...] = ()

    @model_validator(mode="after")
    def _sound(self) -> "Trial":
        names = [arm.arm for arm in self.arms]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"arms must have one name each; twice: {', '.join(twice)}")
        for k, e in enumerate(self.endpoints):
            unknown = [name for name in e.arm if name not in names]
            if unknown:
                raise ValueError(f"endpoint {k + 1} names arm {unknown[0]!r}; the arms are: {', '.join(names)}")
            if e.measure in BETWEEN_ARMS and len(e.arm) != 2:
                raise ValueError(f"endpoint {k + 1}, {e.measure}, needs two arms: the drug, then its comparator")
        return self

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.arm == name)


def names(set: Set | None = None) -> tuple[str, ...]:
    """The trials of the catalogue, of one set or of all."""
    return tuple(t.trial for t in catalogue() if set in (None, t.set))


@lru_cache
def catalogue() -> tuple[Trial, ...]:
    """Every published trial of the catalogue, calibration set first, by name. Raises UserError for an unsound file."""
    folder = files("euthymia.trial") / "catalogue"
    found = [_read(place) for place in folder.iterdir() if place.name.endswith(".yaml")]
    return tuple(sorted(found, key=lambda t: (t.set, t.trial)))


def load(trial: str | Path) -> Trial:
    """A trial of the catalogue by name, or the document at a path. Raises UserError, with file and line if unsound."""
    for known in catalogue():
        if known.trial == str(trial):
            return known
    path = Path(trial)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return _read(path)
    near = get_close_matches(str(trial), names(), n=4, cutoff=0.5)
    said = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names())}"
    raise UserError(f"No trial is called {str(trial)!r}; {said}.")


def _read(place: Path | Traversable) -> Trial:
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{place.name}: cannot be read as UTF-8 text ({error}).") from None
    return read_document(text, place.name, Trial, "a published trial")
