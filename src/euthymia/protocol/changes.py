"""What changed between two protocols: by meaning and not by line, each change with for whom it matters.

Rules are matched by their id, phases by name, sources by id, scales by name. "60 min" and "1 h" are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from euthymia.protocol import words
from euthymia.protocol.document import Protocol
from euthymia.protocol.expand import schedule
from euthymia.protocol.plain_words import ABOUT, MARKS, SHOWN_H, SHOWN_WEEKS, folded, said, sentence
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.rules import (
    AdjustRule,
    BeforeRule,
    Comparison,
    DecideRule,
    Discharge,
    Entry,
    Exclusion,
    ObserveRule,
    Requirement,
    Rule,
    Safeguard,
    StopRule,
    Warning,
)

CONCERNS = (
    "patients at entry",
    "before a session",
    "during a session",
    "after a session",
    "the course",
    "follow-up",
    "the clinic",
)
ENTRY, BEFORE, DURING, AFTER, COURSE, FOLLOW_UP, CLINIC = CONCERNS
_OF_RULES: dict[type[Rule], str] = {
    Warning: ENTRY,
    Requirement: ENTRY,
    Exclusion: ENTRY,
    BeforeRule: BEFORE,
    ObserveRule: DURING,
    StopRule: DURING,
    Discharge: AFTER,
    AdjustRule: COURSE,
    DecideRule: COURSE,
}
_OF_SAFEGUARDS: dict[str, str] = {
    **dict.fromkeys(words.FOLLOW_UPS, FOLLOW_UP),
    "no driving until next day": AFTER,
    "pulse oximetry": DURING,
    "minimum interval between sessions": COURSE,
    "course length limit": COURSE,
    "lowest effective frequency": COURSE,
}
_OF_KEYS: dict[str, str] = {
    **dict.fromkeys(("status", "indication", "population"), ENTRY),
    **dict.fromkeys(("alongside", "exposure"), COURSE),
}
JUDGED = "Whether a change is right, a clinician decides."


@dataclass(frozen=True)
class Change:
    """One difference. concerns: one of `CONCERNS`; what: the rule or the key it is about; before, after: in words, None
    where it was not there."""

    concerns: str
    what: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True)
class _Thing:
    """Something a document says. facets: what can change about it, each as (meaning, words); whole: all of it in words
    where it comes or goes."""

    concerns: str
    what: str
    whole: str
    facets: dict[str, tuple[Any, str]] = field(default_factory=dict)


def differences(before: Protocol, after: Protocol) -> tuple[Change, ...]:
    """Every change that leads from one protocol to another, by whom it concerns."""
    old, new = _things(before), _things(after)
    _rename(before, after, old, new)
    if {phase.name for phase in before.phases} != {phase.name for phase in after.phases}:
        for things in (old, new):  # told by the phases that come and go
            things.pop(("order",), None)
    found = [change for key in {**old, **new} for change in _changes(old.get(key), new.get(key))]
    return tuple(sorted(found, key=lambda change: CONCERNS.index(change.concerns)))


def said_differences(before: Protocol, after: Protocol) -> str:
    """The differences for the terminal."""
    return "\n".join(_lines(before, after)) + "\n"


def title_of(before: Protocol, after: Protocol, changes: tuple[Change, ...]) -> str:
    """How many differences there are between which two."""
    names = [f"{p.name} {p.version}" for p in (before, after)]
    if not changes:
        return f"No difference: {names[0]} and {names[1]} say the same."
    return f"From {names[0]} to {names[1]}: {len(changes)} change{'s' * (len(changes) > 1)}."


def _lines(before: Protocol, after: Protocol) -> Iterator[str]:
    changes = differences(before, after)
    yield title_of(before, after, changes)
    for concerns in CONCERNS:
        own = [change for change in changes if change.concerns == concerns]
        if own:
            yield ""
            yield f"For {concerns}" if concerns in (ENTRY, COURSE, CLINIC, FOLLOW_UP) else concerns.capitalize()
        for change in own:
            arrow = " -> ".join(text for text in (change.before, change.after) if text is not None)
            yield from folded(f"{change.kind}: {change.what}: {arrow}", "  ")
    if changes:
        yield ""
        yield JUDGED


def _changes(old: _Thing | None, new: _Thing | None) -> Iterator[Change]:
    if old is None or new is None:
        thing = old or new
        assert thing
        yield Change(thing.concerns, thing.what, old.whole if old else None, new.whole if new else None)
        return
    for name in {**old.facets, **new.facets}:
        (meant, was), (means, is_) = old.facets.get(name, (None, None)), new.facets.get(name, (None, None))
        if meant != means:
            yield Change(new.concerns, f"{new.what}, {name}" if name else new.what, was, is_)


# --- what a document says, taken apart --------------------------------------------------------------------------------


def _things(protocol: Protocol) -> dict[tuple[str, ...], _Thing]:
    """Everything a protocol says, by what it is matched on. Keys of the document that are not known here are compared
    as they are written."""
    found: dict[tuple[str, ...], _Thing] = {}
    for _, rule in protocol.rules():
        found["rule", rule.rule] = _rule(rule)
    for item in protocol.sources:
        found["source", item.id] = _thing(CLINIC, f"source {item.id}", item, ("id",))
    for phase in protocol.phases:
        found["phase", phase.name] = _thing(COURSE, f"phase {phase.name}", phase, ("name",))
    if len(protocol.phases) > 1:
        order = ", ".join(phase.name for phase in protocol.phases)
        found["order",] = _Thing(COURSE, "order of phases", order, {"": (order, order)})
    for item in protocol.measure:
        found["measure", item.scale] = _thing(FOLLOW_UP, f"measure {item.scale}", item, ("scale",))
    for name, items in (("agent", protocol.alongside), ("therapy", protocol.exposure)):
        seen: list[str] = []
        for item in items:
            own = getattr(item, name)
            seen.append(own)
            number = f" ({seen.count(own)})" if seen.count(own) > 1 else ""
            found[name, own, number] = _thing(COURSE, own + number, item, (name,))
    if protocol.drug is not None:
        found["drug",] = _thing(DURING, "drug", protocol.drug, ())
    found["design",] = _thing(CLINIC, "design", protocol.design, ())
    session = _thing(BEFORE, "session", protocol.session, ("before", "observe", "stop", "discharge"))
    found["session",] = session
    found["document",] = _thing(CLINIC, "document", protocol, _APART)
    for key in ("status", "indication", "population"):
        value = getattr(protocol, key)
        found["key", key] = _Thing(_OF_KEYS[key], key, value, {"": (value, value)})
    found["calendar",] = _calendar(protocol)
    return found


_APART = (
    *("status", "indication", "population", "sources", "design", "warnings", "eligibility", "drug", "alongside"),
    *("exposure", "phases", "session", "measure", "adjust", "decide", "safeguards"),
)


def _rule(rule: Rule) -> _Thing:
    concerns = _OF_RULES.get(type(rule), CLINIC)
    if isinstance(rule, Safeguard):
        concerns = _OF_SAFEGUARDS.get(rule.safeguard, CLINIC)
    content = tuple(_meaning_of(rule, name) for name in type(rule).model_fields if name not in ABOUT)
    if isinstance(rule, Requirement):  # its limit is kept as it was written
        content = _meaning(rule.limit), _meaning(rule.lasting_at_least), _meaning(rule.counting)
    facets: dict[str, tuple[Any, str]] = {
        "": ((type(rule).__name__, content), sentence(rule)),
        "source": (rule.source, rule.source),
        "mark": (rule.verified, MARKS[rule.verified]),
    }
    if rule.note:
        facets["note"] = (rule.note, rule.note)
    return _Thing(concerns, rule.rule, str(replace(said(rule), rule=None)), facets)


def _thing(concerns: str, what: str, entry: Entry, apart: Iterable[str]) -> _Thing:
    """An entry of the document, its keys as facets but those it is matched on or told of apart."""
    fields = type(entry).model_fields
    written = entry.model_dump(mode="json", by_alias=True, exclude_none=True)
    facets = {}
    for name in fields:
        key, value = fields[name].alias or name, getattr(entry, name)
        if name not in apart and value is not None and value != ():
            facets["mark" if name == "verified" else key] = (_meaning_of(entry, name), _flat(key, written[key]))
    whole = "; ".join(f"{key} {text}" for key, (_, text) in facets.items())
    return _Thing(concerns, what, whole, facets)


def _meaning(value: Any) -> Any:
    """What a value means, however it was written."""
    if isinstance(value, Quantity):
        return round(value.value, 9), value.unit
    if isinstance(value, Comparison):
        return value.measure, value.comparison, _meaning(value.value)
    if isinstance(value, Entry):
        return tuple(_meaning_of(value, name) for name in type(value).model_fields)
    if isinstance(value, tuple):
        made = [_meaning(item) for item in value]
        # all comparisons of a condition must hold, and all words of a list are there, in whatever order they stand
        return tuple(sorted(made)) if value and isinstance(value[0], Comparison | str) else tuple(made)
    return value


def _meaning_of(entry: Entry, name: str) -> tuple[str, Any]:
    """The meaning of one field of an entry."""
    made = _meaning(getattr(entry, name))
    if name == "dose_by_session":  # the last is repeated anyway
        while made and len(made) > 1 and made[-1] == made[-2]:
            made = made[:-1]
    return name, made


def _flat(key: str, value: Any) -> str:
    if key == "verified":
        return MARKS[value]
    if isinstance(value, dict):
        return ", ".join(f"{name} {_flat(name, item)}" for name, item in value.items())
    return ", ".join(_flat("", item) for item in value) if isinstance(value, list) else str(value)


def _calendar(protocol: Protocol) -> _Thing:
    made = schedule(protocol, SHOWN_H)
    counts = {
        f"sessions in {SHOWN_WEEKS} weeks": len(made.administrations),
        f"exposure sessions in {SHOWN_WEEKS} weeks": len(made.exposures_h),
    }
    return _Thing(COURSE, "calendar", "", {name: (many, str(many)) for name, many in counts.items()})


def _rename(before: Protocol, after: Protocol, old: dict[tuple[str, ...], _Thing], new: dict) -> None:
    """A phase that only has another name is matched with itself."""
    gone = [p for p in before.phases if p.name not in {q.name for q in after.phases}]
    come = [p for p in after.phases if p.name not in {q.name for q in before.phases}]
    for phase in come:
        own = _meaning(phase.model_copy(update={"name": ""}))
        same = next((p for p in gone if _meaning(p.model_copy(update={"name": ""})) == own), None)
        if same is not None:
            gone.remove(same)
            key = ("phase", phase.name)
            old[key] = _named(old.pop(("phase", same.name)), same.name)
            new[key] = _named(new[key], phase.name)


def _named(thing: _Thing, name: str) -> _Thing:
    return replace(thing, what="phase", facets={**thing.facets, "name": (name, name)})
