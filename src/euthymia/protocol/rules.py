"""The rules a protocol may state: structured conditions and closed lists, never an expression language.

Rules that act during a course are parsed, checked and kept here; deciding on them is another module's work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from euthymia.protocol import words
from euthymia.protocol.quantity import KINDS, Quantity, parse


class Entry(BaseModel):
    """Any mapping of the document. Python names with underscores are written with spaces: `never above`."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        str_strip_whitespace=True,
        alias_generator=lambda name: name.rstrip("_").replace("_", " "),
    )


@dataclass(frozen=True)
class Written:
    """How a field of type Quantity is written in a document: as a quantity of `kind`."""

    kind: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda given: parse(given, self.kind), serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "description": KINDS[self.kind][1]}


Dose = Annotated[Quantity, Written("dose")]
Mass = Annotated[Quantity, Written("mass")]
DailyDose = Annotated[Quantity, Written("daily dose")]
Duration = Annotated[Quantity, Written("duration")]


def _any_scalar(schema: dict[str, Any]) -> None:
    """Free text is read as it is written, also where an editor takes it for a number or a truth value."""
    schema["type"] = ["string", "number", "boolean", "null"]


Text = Annotated[str, StringConstraints(min_length=1, max_length=2000), Field(json_schema_extra=_any_scalar)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=60), Field(json_schema_extra=_any_scalar)]
RuleId = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)*$", max_length=40)]
Count = Annotated[
    int,
    Field(ge=1, le=1000),
    WithJsonSchema(
        {"type": ["integer", "string"], "minimum": 1, "maximum": 1000, "pattern": r"^\+?[0-9_]+(\.0*)?$"}  # "8" is 8
    ),
]


def _week(given: object) -> int:
    match = re.fullmatch(r"\s*week\s+([0-9]{1,3})\s*", given) if isinstance(given, str) else None
    if match is None or int(match[1]) < 1:
        raise ValueError(f'"{given}" is not a week of the course; allowed: "week N", the first being week 1')
    return int(match[1])


Week = Annotated[
    int,
    PlainValidator(_week),
    PlainSerializer(lambda week: f"week {week}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^week\s+[0-9]{1,3}$"}),
]


class Comparison(BaseModel):
    """One measured thing compared with one value: SBP above 140 mmHg. `state` stands for response etc."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)
    measure: str
    comparison: str
    value: Quantity | None = None

    def __str__(self) -> str:
        return f"{self.measure} {self.comparison}" + (f" {self.value}" if self.value else "")


def _comparison(measure: str, given: object) -> Comparison:
    if measure not in words.MEASURES:
        raise ValueError(f'"{measure}" is not a measure{near(measure, words.MEASURES)}')
    text = given if isinstance(given, str) else ""
    for comparison in words.COMPARISONS:
        if text.startswith(comparison + " "):
            value = parse(text.removeprefix(comparison + " "), words.MEASURES[measure])
            return Comparison(measure=measure, comparison=comparison, value=value)
    allowed = ", ".join(words.COMPARISONS)
    raise ValueError(f'{measure}: "{given}" is not a comparison; allowed: {allowed}, then a value with its unit')


def _when(given: object) -> tuple[Comparison, ...]:
    if isinstance(given, str):
        if given not in words.STATES:
            raise ValueError(f'"{given}" is not a state of the illness; allowed: {", ".join(words.STATES)}')
        return (Comparison(measure="state", comparison=given),)
    if not isinstance(given, dict) or not given:
        raise ValueError("expected `measure: comparison value`, such as {SBP: above 140 mmHg}, or a state")
    # in the order of the canonical form: all must hold, so that the order written means nothing
    return tuple(_comparison(str(measure), value) for measure, value in sorted(given.items()))


def _when_text(when: tuple[Comparison, ...]) -> Any:
    if when[0].measure == "state":
        return when[0].comparison
    return {c.measure: f"{c.comparison} {c.value}" for c in when}


# Every comparison in one `when` must hold; two alternatives are two rules.
When = Annotated[
    tuple[Comparison, ...],
    PlainValidator(_when),
    PlainSerializer(_when_text),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(words.STATES)},
                {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": {"enum": list(words.MEASURES)},
                    "additionalProperties": {"type": "string", "pattern": "^(above|at least|below|at most) "},
                },
            ]
        }
    ),
]


def near(word: str, allowed: Any) -> str:
    """`; did you mean X?` when something allowed is close, else the whole list."""
    from difflib import get_close_matches

    known = [str(item) for item in allowed]
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else f"; allowed: {', '.join(known)}"


def _only_one(entry: Entry, names: tuple[str, ...]) -> None:
    given = [name for name in names if getattr(entry, name) is not None]
    if len(given) != 1:
        shown = ", ".join(f"`{name.replace('_', ' ')}`" for name in names)
        raise ValueError(f"exactly one of {shown} is needed, found {len(given)}")


class Rule(Entry):
    """What every rule has: an id to cite, the `id` of a source of the document, how far it was checked."""

    rule: RuleId
    source: Name
    verified: words.Verified
    note: Text | None = None


class Requirement(Rule):
    """Who may enter: a measure within a limit.

    Of failed antidepressant trials: which trials on record count, `lasting at least` so long and `counting` these
    outcomes. Without them, `trials` says what is usual; a number that a clinic enters is taken as it is.
    """

    measure: words.Measured
    at_least: Text | None = None
    at_most: Text | None = None
    lasting_at_least: Duration | None = None
    counting: Annotated[tuple[words.TrialFailure, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _limit(self) -> Requirement:
        _only_one(self, ("at_least", "at_most"))
        parse(self.at_least or self.at_most, words.MEASURES[self.measure])
        if self.measure != words.FAILED_TRIALS:
            for key, given in (("lasting at least", self.lasting_at_least), ("counting", self.counting)):
                if given is not None:
                    raise ValueError(f"`{key}` belongs to {words.FAILED_TRIALS}, not to {self.measure}")
        if self.lasting_at_least is not None and self.lasting_at_least.value <= 0:
            raise ValueError("`lasting at least` must be longer than zero")
        if self.counting is not None and len(set(self.counting)) < len(self.counting):
            raise ValueError("`counting` names an outcome twice")
        return self

    @property
    def limit(self) -> Comparison:
        """The requirement as a comparison with its parsed value."""
        comparison = "at least" if self.at_least is not None else "at most"
        value = parse(self.at_least or self.at_most, words.MEASURES[self.measure])
        return Comparison(measure=self.measure, comparison=comparison, value=value)


class Exclusion(Rule):
    """Who may not: a condition or a measured limit. A clinician may override a `relative` one, on record."""

    kind: Literal["absolute", "relative"]
    condition: words.Condition | None = None
    when: When | None = None

    @model_validator(mode="after")
    def _what(self) -> Exclusion:
        _only_one(self, ("condition", "when"))
        return self


class Eligibility(Entry):
    require: tuple[Requirement, ...] = ()
    exclude: tuple[Exclusion, ...] = ()


class BeforeRule(Rule):
    """Before a dose: a check to make, or a rung of the ladder: `alert when` (said, no more), `weigh when` (held until a
    clinician has weighed it, on record), `hold when`, `stop when` (the course ends).

    `valid for`: how long a check that was passed stands; without it, the check belongs to the session. `for`: how long
    a hold lasts, where it is not the protocol's `retry`.
    """

    check: words.BeforeCheck | None = None
    valid_for: Duration | None = None
    alert_when: When | None = None
    weigh_when: When | None = None
    hold_when: When | None = None
    for_: Duration | None = None
    stop_when: When | None = None

    @model_validator(mode="after")
    def _what(self) -> BeforeRule:
        _only_one(self, ("check", "alert_when", "weigh_when", "hold_when", "stop_when"))
        if self.valid_for is not None and (self.check is None or self.valid_for.value <= 0):
            raise ValueError("`valid for` belongs to a `check` and is longer than zero")
        if self.for_ is not None and (self.hold_when is None or self.for_.value <= 0):
            raise ValueError("`for` belongs to `hold when` and is longer than zero")
        return self


class ObserveRule(Rule):
    """What is watched, either `every` so often `for` a time, or `at` stated times after the dose starts."""

    items: Annotated[tuple[words.Item, ...], Field(min_length=1)]
    every: Duration | None = None
    for_: Duration | None = None
    at: Annotated[tuple[Duration, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _times(self) -> ObserveRule:
        _only_one(self, ("every", "at"))
        if (self.every is None) != (self.for_ is None):
            raise ValueError("`every` and `for` go together")
        if self.every is not None and self.every.value <= 0:
            raise ValueError("`every` must be longer than zero")
        return self


class StopRule(Rule):
    when: When


class Discharge(Rule):
    no_earlier_than: Duration
    all_of: Annotated[tuple[words.DischargeCriterion, ...], Field(min_length=1)]


class Session(Entry):
    """What happens around a dose. `retry`: when a patient whose dose was held is seen again; by default a day later."""

    retry: Duration | None = None
    before: tuple[BeforeRule, ...] = ()
    observe: tuple[ObserveRule, ...] = ()
    stop: tuple[StopRule, ...] = ()
    discharge: Discharge | None = None


class AdjustRule(Rule):
    """A change of dose when a condition holds: after the n-th dose of the course, or at every session from the second
    on. Of several that hold, the lowest dose counts. One that would lower the dose holds the session where nobody knows
    whether it holds.

    `from dose`: a ceiling instead, for whom a reading or a `condition` asks for less: from the n-th dose of the course
    on no more than `dose to`, and with `steps of` so much more at each session. It lowers doses and never raises one,
    and where whether it holds is not known, a session whose dose it could lower is held.
    """

    after_dose: Count | None = None
    from_dose: Count | None = None
    when: When | None = None
    condition: words.Condition | None = None
    dose_to: Dose
    steps_of: Dose | None = None

    @model_validator(mode="after")
    def _what(self) -> AdjustRule:
        _only_one(self, ("when", "condition"))
        if self.after_dose is not None and self.from_dose is not None:
            raise ValueError("give `after dose` or `from dose`, not both")
        for key, given in (("condition", self.condition), ("steps of", self.steps_of)):
            if given is not None and self.from_dose is None:
                raise ValueError(f"`{key}` belongs to a ceiling; say `from dose`, such as `from dose: 1`")
        if self.steps_of is not None and self.steps_of.unit != self.dose_to.unit:
            raise ValueError(
                f"`steps of` is in {self.steps_of.unit} and `dose to` in {self.dose_to.unit}; give both in one"
            )
        return self


class DecideRule(Rule):
    """A decision about the course: at the end of a phase, at the end of a week, or at every session.

    `begin again when` goes back to the first session of the phase `phase`, at most `at most` times in a course.
    """

    at: Annotated[str, StringConstraints(pattern=r"^(end of .+|week [1-9]\d*|every session)$", max_length=80)]
    continue_when: When | None = None
    stop_when: When | None = None
    widen_when: When | None = None
    step_back_when: When | None = None
    begin_again_when: When | None = None
    phase: Name | None = None
    at_most: Count | None = None

    @model_validator(mode="after")
    def _what(self) -> DecideRule:
        _only_one(self, ("continue_when", "stop_when", "widen_when", "step_back_when", "begin_again_when"))
        again = self.begin_again_when is not None
        if again != (self.phase is not None) or again != (self.at_most is not None):
            raise ValueError("`begin again when` needs `phase` and `at most`, and they belong to it alone")
        return self


class Warning(Rule):
    """What a guideline says against, or in doubt of, the whole protocol; shown wherever the protocol is."""

    warning: Text


class Safeguard(Rule):
    """`at least`: the minimum interval between sessions; `at most`: sessions of a course, at its length limit; `every`:
    how often a follow-up falls due; `valid for`: how long a certified setting stands without being confirmed again."""

    safeguard: words.SafeguardKind
    at_least: Duration | None = None
    at_most: Count | None = None
    every: Duration | None = None
    valid_for: Duration | None = None

    @model_validator(mode="after")
    def _limits(self) -> Safeguard:
        for name, kinds in (
            ("at_least", ("minimum interval between sessions",)),
            ("at_most", ("course length limit",)),
            ("every", words.FOLLOW_UPS),
            ("valid_for", ("certified setting",)),
        ):
            key, given = name.replace("_", " "), getattr(self, name)
            if given is not None and self.safeguard not in kinds:
                raise ValueError(f"`{key}` belongs to {' or '.join(kinds)}")
            if name in ("at_least", "at_most") and given is None and self.safeguard in kinds:
                raise ValueError(f"{self.safeguard} needs `{key}`")
            if isinstance(given, Quantity) and given.value <= 0:
                raise ValueError(f"`{key}` must be longer than zero")
        return self


class Measure(Entry):
    """A rating scale and when it is taken: `every` so often from the first day, or `at` stated times."""

    scale: words.Scale
    every: Duration | None = None
    at: Annotated[tuple[Duration, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _times(self) -> Measure:
        _only_one(self, ("every", "at"))
        if self.every is not None and self.every.value < 1.0:
            raise ValueError("`every` must be at least 1 h")
        return self
