"""How the fields of a protocol's rules stand in an action of a PlanDefinition: conditions, times, words, sources.

A condition is written as the document says it, in a language of our own (`text/x-euthymia-condition`). R4 binds
`Expression.language` to text/cql, text/fhirpath and application/x-fhir-query, extensibly: another code is right where
none of them fits. None does: they speak of resources in a patient's record, while "SBP above 140 mmHg" names a reading
at a session and "response" a state that only Euthymia's own definition (`goal`) makes countable. A FHIRPath that no
server could evaluate to the same answer would only look executable. The grammar is closed:

    MEASURE (above | at least | below | at most) NUMBER UNIT
    response | remission | no response | relapse
    CONDITION is present
    CRITERION of discharge

Several conditions of one action must all hold, as R4 has it.
"""

from __future__ import annotations

import re
from typing import Any

from euthymia.protocol import words
from euthymia.protocol.fhir.codes import ACTION_SYSTEM, codes, concept, kind
from euthymia.protocol.fhir.lens import URN, Lens, Node, Unreadable, extended, extension, find, make, place, shown
from euthymia.protocol.fhir.units import (
    HOURS,
    number,
    put_time,
    quantity,
    quantity_text,
    spelled,
    time_text,
    ucum,
)
from euthymia.protocol.plain_words import MARKS

LANGUAGE = "text/x-euthymia-condition"
PRESENT = " is present"
GOALS = {"response": "response", "no response": "response", "remission": "remission"}
"""State of the illness -> the goal that says what it means."""

# kind of action -> its title for a reader; a phase has a name of its own
TITLES = {
    "eligibility": "Who may enter",
    "course": "The course",
    "session": "Every session of the drug",
    "warning": "Warning",
    "require": "May enter when this holds",
    "exclude": "May not enter when this holds",
    "widen-while": "Wider interval while this holds",
    "alongside": "Taken alongside, every day",
    "exposure": "Sessions of exposure therapy",
    "retry": "A patient whose dose was held is seen again",
    "check": "Check before the dose",
    "hold": "Hold the dose when this holds",
    "weigh": "Weigh whether to wait when this holds",
    "alert": "Take note when this holds",
    "stop-before": "Stop the course, before the dose, when this holds",
    "observe": "Watch",
    "end-session": "End the session when this holds",
    "discharge": "May leave when all of this holds",
    "measure": "Rate",
    "adjust": "Adjust the dose when this holds",
    "continue": "Continue the course only when this holds",
    "stop-course": "Stop the course when this holds",
    "widen": "Widen the interval when this holds",
    "step-back": "Go back to the closer interval when this holds",
    "begin-again": "Begin a phase again when this holds",
    "safeguard": "Safeguard",
}


def kind_of(action: Node) -> str | None:
    """The kind of an action, None when it is not one of ours."""
    coding = find(action, "code[0].coding[0]") or {}
    return coding.get("code") if coding.get("system") == ACTION_SYSTEM else None


def of_kind(action: Node, code: str) -> Node:
    """Give an action its kind and title."""
    action.setdefault("code", []).insert(0, kind(code))
    if code in TITLES:
        action.setdefault("title", TITLES[code])
    return action


def only(code: str, lens: Lens, **fixed: str) -> Lens:
    """A field that makes the action one of this kind, and is read from no other. fixed: what goes with the kind."""

    def write(action: Node, value: Any) -> None:
        of_kind(action, code).update(fixed)
        lens.put(action, value)

    return Lens(lens.element, write, lambda action: lens.get(action) if kind_of(action) == code else None)


def inside(path: str, lens: Lens, code: str = "") -> Lens:
    """A field that stands in a part of its own at `path`; code: the kind of action that the part is."""

    def write(node: Node, value: Any) -> None:
        part = make(node, path)
        if code and "code" not in part:
            of_kind(part, code)
        lens.put(part, value)

    def read(node: Node) -> Any:
        part = find(node, path)
        return None if part is None else lens.get(part)

    return Lens(f"{path}.{lens.element}", write, read)


def word(path: str) -> Lens:
    """A word of a closed list, as a concept at a path."""
    return Lens(
        f"{path}.text", lambda node, value: place(node, path, concept(value)), lambda n: find(n, f"{path}.text")
    )


def subject() -> Lens:
    """What an action is about (a check, a scale, a safeguard): its second code, after its kind."""

    def get(action: Node) -> Any:
        found = [item.get("text") for item in action.get("code", ())[1:]]
        if len(found) > 1:
            raise Unreadable("more than one thing; allowed: the kind of action and one more code")
        return found[0] if found else None

    return Lens("code[1].text", lambda action, value: make(action, "code", list).append(concept(value)), get)


def subjects() -> Lens:
    """The things an action is about: its codes after the first."""
    return Lens(
        "code[1:].text",
        lambda a, values: make(a, "code", list).extend(map(concept, values)),
        lambda a: [c.get("text") for c in a.get("code", ())[1:]] or None,
    )


def duration(name: str) -> Lens:
    """A time in an extension of ours."""
    return Lens(
        f"extension({name}).valueDuration",
        lambda node, text: extended(node, name, "valueDuration", quantity(text)),
        lambda node: quantity_text(extension(node, name, "valueDuration")),
    )


def size(name: str) -> Lens:
    """An amount in an extension of ours."""
    return Lens(
        f"extension({name}).valueQuantity",
        lambda node, text: extended(node, name, "valueQuantity", quantity(text)),
        lambda node: quantity_text(extension(node, name, "valueQuantity")),
    )


def count(name: str) -> Lens:
    """A count in an extension of ours."""
    kind = "valuePositiveInt"
    return Lens(
        f"extension({name}).{kind}",
        lambda node, value: extended(node, name, kind, value),
        lambda node: extension(node, name, kind),
    )


def named(name: str) -> Lens:
    """A name in an extension of ours."""
    return Lens(
        f"extension({name}).valueString",
        lambda node, value: extended(node, name, "valueString", value),
        lambda node: extension(node, name, "valueString"),
    )


def names(name: str) -> Lens:
    """Names, each in an extension of ours."""

    def put(node: Node, values: list[str]) -> None:
        for value in values:
            extended(node, name, "valueString", value)

    def get(node: Node) -> Any:
        return [x.get("valueString") for x in node.get("extension", ()) if x.get("url") == URN + name] or None

    return Lens(f"extension({name}).valueString", put, get)


def amount(path: str) -> Lens:
    """A quantity at a path."""
    return Lens(path, lambda n, text: place(n, path, quantity(text)), lambda n: quantity_text(find(n, path)))


def length(path: str) -> Lens:
    """How long each time lasts: `duration` of a Timing.repeat at a path."""
    return Lens(
        f"{path}.duration",
        lambda n, text: put_time(make(n, path), text, "duration", "durationUnit"),
        lambda n: time_text(find(n, path) or {}, "duration", "durationUnit"),
    )


# --- conditions -------------------------------------------------------------------------------------------------------


def _say(action: Node, kind: str, text: str, measure: str | None = None) -> None:
    condition = {"kind": kind, "expression": {"language": LANGUAGE, "expression": text}}
    action.setdefault("condition", []).append(condition)
    if measure in codes():
        wanted = {"type": "Observation", "codeFilter": [{"path": "code", "code": concept(measure)["coding"]}]}
        action.setdefault("input", []).append(wanted)
    if measure is None and text in GOALS:
        action["goalId"] = [GOALS[text]]


def _said(action: Node) -> list[str]:
    for condition in action.get("condition", ()):
        language = find(condition, "expression.language")
        if language != LANGUAGE:
            raise Unreadable(f"the language {shown(language)} is not understood; allowed: {LANGUAGE}")
    return [find(condition, "expression.expression") or "" for condition in action.get("condition", ())]


def _compared(text: str) -> tuple[str, str]:
    """Measure and comparison of an expression."""
    for measure in sorted(words.MEASURES, key=len, reverse=True):
        if text.startswith(measure + " "):
            return measure, text.removeprefix(measure + " ")
    states, measures = ", ".join(words.STATES), ", ".join(words.MEASURES)
    raise Unreadable(f"{shown(text)} is not understood; allowed: one of {states}, or a comparison of one of {measures}")


def when() -> Lens:
    """A `when` of the document as conditions of kind applicability."""

    def put(action: Node, value: Any) -> None:
        for measure, comparison in ({None: value} if isinstance(value, str) else value).items():
            _say(action, "applicability", f"{measure} {comparison}" if measure else comparison, measure)

    def get(action: Node) -> Any:
        said = _said(action)
        if not said or any(text.endswith(PRESENT) for text in said):
            return None
        if len(said) == 1 and said[0] in words.STATES:
            return said[0]
        pairs = [_compared(text) for text in said]
        if len({measure for measure, _ in pairs}) < len(pairs):
            raise Unreadable("a measure is compared twice; allowed: once in one action")
        return dict(pairs)

    return Lens("condition.expression", put, get)


def present() -> Lens:
    """A medical condition that is there."""

    def get(action: Node) -> Any:
        said = _said(action)
        return said[0].removesuffix(PRESENT) if len(said) == 1 and said[0].endswith(PRESENT) else None

    return Lens("condition[0].expression", lambda a, name: _say(a, "applicability", name + PRESENT), get)


def criteria() -> Lens:
    """What must be so before something may start, each a condition of kind start."""
    return Lens(
        "condition.expression",
        lambda action, names: [_say(action, "start", name) for name in names],
        lambda action: _said(action) or None,
    )


def limited(comparison: str) -> Lens:
    """The limit of a requirement, whose measure is written first."""
    said = f"{comparison} "

    def put(action: Node, limit: str) -> None:
        measure = action["condition"].pop()["expression"]["expression"]
        action.pop("input", None)
        _say(action, "applicability", f"{measure} {said}{limit}", measure)

    def get(action: Node) -> Any:
        found = _one(action)
        return found[1].removeprefix(said) if found and found[1].startswith(said) else None

    return Lens("condition[0].expression", put, get)


def measured() -> Lens:
    """The measure of a requirement."""

    def get(action: Node) -> str | None:
        found = _one(action)
        if found and not found[1].startswith(("at least ", "at most ")):
            allowed = "allowed: a measure, then `at least` or `at most`, then a value"
            raise Unreadable(f"{shown(' '.join(found))} is not a requirement; {allowed}")
        return found[0] if found else None

    return Lens("condition[0].expression", lambda action, measure: _say(action, "applicability", measure, measure), get)


def _one(action: Node) -> tuple[str, str] | None:
    said = _said(action)
    if len(said) > 1:
        raise Unreadable("more than one condition; allowed: one")
    return _compared(said[0]) if said else None


# --- times ------------------------------------------------------------------------------------------------------------


def offset(other: str, relationship: str = "after-start") -> Lens:
    """A time from another action: `course` starts on the first day, `session` with the dose."""
    path = "relatedAction[0].offsetDuration"

    def get(action: Node) -> Any:
        return quantity_text(find(action, path)) if _related(action, other, relationship) else None

    return Lens(path, lambda action, text: _relate(action, other, relationship, offsetDuration=quantity(text)), get)


def at_least_after(other: str) -> Lens:
    """A time that must at least have passed from the start of another action."""
    path = "relatedAction[0].offsetRange.low"

    def get(action: Node) -> Any:
        return quantity_text(find(action, path)) if _related(action, other, "after-start") else None

    return Lens(path, lambda a, text: _relate(a, other, "after-start", offsetRange={"low": quantity(text)}), get)


def offsets(other: str) -> Lens:
    """Several times from the start of another action: an action each."""
    one = offset(other)

    def put(action: Node, texts: list[str]) -> None:
        for text in texts:
            part: Node = {}
            one.put(part, text)
            make(action, "action", list).append(part)

    def get(action: Node) -> Any:
        return [one.get(part) for part in action.get("action", ())] or None

    return Lens(f"action.{one.element}", put, get)


def _relate(action: Node, other: str, relationship: str, **offset: Any) -> None:
    make(action, "relatedAction", list).append({"actionId": other, "relationship": relationship, **offset})


def _related(action: Node, other: str, relationship: str) -> bool:
    found = find(action, "relatedAction[0]") or {}
    return found.get("actionId") == other and found.get("relationship") == relationship


def decision_time() -> Lens:
    """When a decision is due: `every session`, `week N`, or `end of ID` where ID is the id of a phase's action."""

    def put(action: Node, text: str) -> None:
        if text == "every session":
            _relate(action, "session", "concurrent-with-start")
        elif text.startswith("week "):
            _relate(action, "course", "after-start", offsetDuration=_weeks(text, 0))
        else:
            _relate(action, text.removeprefix("end of "), "after-end")

    def get(action: Node) -> Any:
        if _related(action, "session", "concurrent-with-start"):
            return "every session"
        if _related(action, "course", "after-start"):
            return _week(find(action, "relatedAction[0].offsetDuration"), 0)
        related = find(action, "relatedAction[0]") or {}
        if related.get("relationship") != "after-end":
            return None
        return f"end of {related.get('actionId')}"

    return Lens("relatedAction[0]", put, get)


def week_start() -> Lens:
    """The beginning of week N, which is N - 1 weeks from the first day."""
    path = "relatedAction[0].offsetDuration"
    return Lens(
        path,
        lambda action, text: _relate(action, "course", "after-start", offsetDuration=_weeks(text, -1)),
        lambda action: _week(find(action, path), 1),
    )


def week_end(name: str) -> Lens:
    """The end of week N, which is N weeks from the first day, in an extension of ours."""
    return Lens(
        f"extension({name}).valueDuration",
        lambda node, text: extended(node, name, "valueDuration", _weeks(text, 0)),
        lambda node: _week(extension(node, name, "valueDuration"), 0),
    )


def _weeks(text: str, more: int) -> Node:
    return quantity(spelled(int(text.removeprefix("week ")) + more, "wk"))


def _week(found: Node | None, more: int) -> str | None:
    text = quantity_text(found)
    match = re.fullmatch(r"(\d+) weeks?", text or "")
    if text and not match:
        raise Unreadable(f"{shown(text)} is not a time in weeks; allowed: a whole number of weeks")
    return f"week {int(match[1]) + more}" if match else None


REPEAT = "timingTiming.repeat"


def every(path: str = REPEAT) -> Lens:
    """Once every so often."""

    def put(node: Node, text: str) -> None:
        repeat = make(node, path)
        repeat["frequency"] = 1
        put_time(repeat, text, "period", "periodUnit")

    return Lens(f"{path}.period", put, lambda n: time_text(find(n, path) or {}, "period", "periodUnit"))


def gaps() -> Lens:
    """One gap, or several taken in turn: so many times in their sum, each gap in an extension of ours."""
    one = every()

    def put(node: Node, texts: list[str]) -> None:
        if len(texts) == 1:
            one.put(node, texts[0])
            return
        repeat = make(node, REPEAT)
        hours = sum(number(value) * HOURS[ucum(unit)] for value, unit in (text.split(" ") for text in texts))
        unit = "d" if hours % 24 == 0 else "h"
        repeat |= {"frequency": len(texts), "period": number(str(hours / HOURS[unit])), "periodUnit": unit}
        for text in texts:
            extended(repeat, "gap", "valueDuration", quantity(text))

    def get(node: Node) -> Any:
        found = [x for x in (find(node, REPEAT) or {}).get("extension", ()) if x.get("url") == URN + "gap"]
        if found:
            return [quantity_text(x.get("valueDuration")) for x in found]
        single = one.get(node)
        return None if single is None else [single]

    return Lens(f"{REPEAT}.period", put, get)


def daily(dose: str, repeat: str) -> Lens:
    """A dose per day: the dose, and once every day."""

    def put(node: Node, text: str) -> None:
        value, unit = text.split(" ")
        of, _, per = unit.partition("/")
        timing = make(node, repeat)
        timing |= {"frequency": 1, "period": 1, "periodUnit": ucum(per)}
        place(node, dose, quantity(f"{number(value)} {of}"))
        if _per(find(node, dose), timing) != text:
            extended(find(node, dose), "written", "valueString", text)

    def get(node: Node) -> Any:
        found = find(node, dose)
        if found is None:
            return None
        return extension(found, "written", "valueString") or _per(found, find(node, repeat) or {})

    return Lens(dose, put, get)


def _per(dose: Node, repeat: Node) -> str:
    day = spelled(repeat.get("period"), repeat.get("periodUnit")).removeprefix("1 ")
    return f"{quantity_text(dose)}/{day}"


# --- sources ----------------------------------------------------------------------------------------------------------


def verified(path: str) -> Lens:
    """How far something was checked, beside its source: an extension of ours, and words for a reader."""

    def put(node: Node, value: str) -> None:
        artifact = make(node, path) if path else node
        extended(artifact, "verified", "valueCode", value)
        artifact["display"] = MARKS[value]

    def get(node: Node) -> Any:
        return extension((find(node, path) if path else node) or {}, "verified", "valueCode")

    return Lens(f"{path}.extension(verified).valueCode".lstrip("."), put, get)
