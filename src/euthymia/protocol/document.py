"""The protocol document as a whole: one frozen pydantic model, complete and safe once it exists."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from euthymia.protocol import words
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.rules import (
    AdjustRule,
    Count,
    DailyDose,
    DecideRule,
    Dose,
    Duration,
    Eligibility,
    Entry,
    Mass,
    Measure,
    Name,
    Rule,
    Safeguard,
    Session,
    Text,
    Warning,
    Week,
    When,
)

ProtocolId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9.]*(-[a-z0-9.]+)*$", max_length=60)]


UNNAMED = "new oral antidepressant"  # whichever the clinician picks: the one agent without a dose


class Source(Entry):
    """Where something was read. `verified`: at the source (yes), second-hand (secondary), recalled (no)."""

    id: Name
    citation: Text
    url: Annotated[str, StringConstraints(pattern=r"^https?://\S+$", max_length=400)] | None = None
    verified: words.Verified


def _supervised(given: object) -> object:
    words_given = set(re.findall(r"[a-z-]+", given.lower())) if isinstance(given, str) else set()
    if words_given & set(words.UNSUPERVISED):
        raise ValueError(
            f'"{given}" is outside supervised care and is refused in every protocol; allowed: {", ".join(words.PLACES)}'
        )
    return given


class DesignBlock(Entry):
    """Required: what patients expect, where they are treated, and over how many sites."""

    expectancy: words.Expectancy
    setting: Annotated[words.Place, BeforeValidator(_supervised)]
    sites: words.Sites
    note: Text | None = None


class Drug(Entry):
    """What is given in a session. `over` is the infusion time and belongs to the intravenous route alone."""

    compound: words.Compound
    route: words.Route
    dose: Dose | None = None
    over: Duration | None = None
    never_above: Mass | None = None

    @model_validator(mode="after")
    def _complete(self) -> Drug:
        inert = self.compound in words.INERT
        if inert and self.dose is not None:
            raise ValueError(f"{self.compound} has no dose; leave `dose` out")
        if not inert and self.dose is None:
            raise ValueError(f"{self.compound} needs a `dose`")
        if self.route == "intravenous" and self.over is None:
            raise ValueError('an intravenous drug needs `over`, its infusion time, such as "40 min" (a bolus: "1 min")')
        if self.route != "intravenous" and self.over is not None:
            raise ValueError(f"`over` belongs to the intravenous route, not to {self.route}")
        if self.never_above is not None and (self.dose is None or self.dose.unit != "mg/kg"):
            raise ValueError("`never above` caps a dose by weight (mg/kg); this dose is not one")
        return self


def _drug(given: object) -> object:
    return None if given == "none" else given


def _gaps(given: object) -> object:
    return [given] if isinstance(given, str) else given


def _none_is_a_word(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [option for option in schema["anyOf"] if option != {"type": "null"}] + [{"const": "none"}]


MaybeDrug = Annotated[Drug | None, BeforeValidator(_drug), Field(json_schema_extra=_none_is_a_word)]
Gaps = Annotated[
    tuple[Duration, ...],
    BeforeValidator(_gaps),
    Field(min_length=1, max_length=14),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class Alongside(Entry):
    """An oral treatment taken every day. `start` and `stop` are times from the first day of the course."""

    agent: words.Agent
    dose: DailyDose | None = None
    start: Duration | None = None
    stop: Duration | None = None
    source: Name
    verified: words.Verified
    note: Text | None = None

    @property
    def start_h(self) -> float:
        return self.start.value if self.start else 0.0

    @property
    def stop_h(self) -> float:
        """When it stops (h); infinite when it goes on."""
        return self.stop.value if self.stop else math.inf

    @model_validator(mode="after")
    def _dosed(self) -> Alongside:
        if self.dose is not None and self.agent in words.BY_LEVEL:
            raise ValueError(
                f"{self.agent} is dosed by its level in blood; leave `dose` out and say the level in `note`"
            )
        if self.dose is None and self.agent not in (UNNAMED, *words.BY_LEVEL):
            raise ValueError(f"{self.agent} needs a `dose` per day")
        return self


class Exposure(Entry):
    """Sessions of exposure therapy, on a calendar of their own. `starts`: the first, from the first day of the course;
    or `lag`: from the start of each session of the drug to the exposure that follows it, and when the drug's sessions
    are used up, `every` so often from the last."""

    therapy: words.Therapy
    sessions: Count
    every: Gaps | None = None
    starts: Duration | None = None
    lag: Duration | None = None
    source: Name
    verified: words.Verified
    note: Text | None = None

    @model_validator(mode="after")
    def _spaced(self) -> Exposure:
        if self.starts is not None and self.lag is not None:
            raise ValueError("give `starts` or `lag`, not both")
        if self.every is None and self.sessions != 1 and self.lag is None:
            raise ValueError("`every` is needed unless there is one session")
        if any(gap.value <= 0 for gap in self.every or ()):
            raise ValueError("every gap in `every` must be longer than zero")
        return self


class Phase(Entry):
    """A stretch of sessions. `every` is one gap or a list of gaps taken in turn.

    A phase ends after `doses` sessions or with the end of week `until`; only the last may have neither. The
    next phase starts when this one would next have dosed, or at the beginning of week `starts`.
    """

    name: Name
    doses: Count | None = None
    until: Week | None = None
    starts: Week | None = None
    every: Gaps | None = None
    dose: Dose | None = None
    dose_by_session: Annotated[tuple[Dose, ...], Field(min_length=1, max_length=200)] | None = None
    drug: Drug | None = None
    widen_to: Duration | None = None
    while_: When | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Phase:
        if self.doses is not None and self.until is not None:
            raise ValueError("a phase ends either after `doses` or with `until`, not both")
        if self.every is None and self.doses != 1:
            raise ValueError("`every` is needed unless the phase is one dose (`doses: 1`)")
        if any(gap.value <= 0 for gap in self.every or ()):
            raise ValueError("every gap in `every` must be longer than zero")
        if self.dose is not None and self.dose_by_session is not None:
            raise ValueError("give `dose` or `dose by session`, not both")
        if (self.widen_to is None) != (self.while_ is None):
            raise ValueError("`widen to` and `while` go together")
        return self


class Protocol(Entry):
    """A complete, checked protocol, built by `protocol.load`; its fields are the keys of the document."""

    protocol: ProtocolId
    title: Text
    version: Annotated[str, StringConstraints(pattern=r"^\d+\.\d+\.\d+$")]
    status: words.Status
    summary: Text | None = None
    indication: words.Indication
    population: words.Population
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    design: DesignBlock
    warnings: tuple[Warning, ...] = ()
    eligibility: Eligibility = Eligibility()
    drug: MaybeDrug
    alongside: tuple[Alongside, ...] = ()
    exposure: tuple[Exposure, ...] = ()
    phases: tuple[Phase, ...] = ()
    session: Session = Session()
    measure: Annotated[tuple[Measure, ...], Field(min_length=1)]
    adjust: tuple[AdjustRule, ...] = ()
    decide: tuple[DecideRule, ...] = ()
    safeguards: tuple[Safeguard, ...] = ()

    @property
    def name(self) -> str:
        return self.protocol

    def drug_in(self, phase: Phase) -> Drug:
        """What is given in `phase` (its own drug, else the protocol's)."""
        drug = phase.drug or self.drug
        if drug is None:
            raise ValueError(f"phase {phase.name} gives no drug")
        return drug

    def dose_in(self, phase: Phase, number: int) -> Quantity | None:
        """The dose of the `number`-th session of `phase`, from 1; the last of `dose by session` repeats."""
        if phase.dose_by_session is not None:
            return phase.dose_by_session[min(number, len(phase.dose_by_session)) - 1]
        return phase.dose or self.drug_in(phase).dose

    def rules(self) -> Iterator[tuple[tuple[str | int, ...], Rule]]:
        """Every rule with its path in the document."""
        groups: list[tuple[tuple[str, ...], tuple[Rule, ...]]] = [
            (("warnings",), self.warnings),
            (("eligibility", "require"), self.eligibility.require),
            (("eligibility", "exclude"), self.eligibility.exclude),
            (("session", "before"), self.session.before),
            (("session", "observe"), self.session.observe),
            (("session", "stop"), self.session.stop),
            (("adjust",), self.adjust),
            (("decide",), self.decide),
            (("safeguards",), self.safeguards),
        ]
        for path, rules in groups:
            for index, rule in enumerate(rules):
                yield (*path, index), rule
        if self.session.discharge is not None:
            yield ("session", "discharge"), self.session.discharge

    @model_validator(mode="after")
    def _sound(self) -> Protocol:
        from euthymia.protocol.safety import Unsound, problems

        found = problems(self)
        if found:
            raise Unsound(found)
        return self


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the document, for editors and other programs: weaker than `check`, never stricter."""
    schema = Protocol.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_spaced(schema)}


def _spaced(schema: Any) -> Any:
    """Patterns that let spaces stand around a text, as the reader does."""
    if isinstance(schema, list):
        return [_spaced(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _spaced(value) for key, value in schema.items()}
    if isinstance(made.get("pattern"), str):
        made["pattern"] = re.sub(r"\$$", r"\\s*$", re.sub(r"^\^", r"^\\s*", made["pattern"]))
    return made
