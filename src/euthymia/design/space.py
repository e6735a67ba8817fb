"""What is varied in a protocol, and the regimens that come of it: each a complete, checked protocol of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import product
from typing import Any, NamedTuple

from pydantic import ValidationError

from euthymia.errors import UserError
from euthymia.protocol import words
from euthymia.protocol.document import Protocol
from euthymia.protocol.loader import faults
from euthymia.protocol.quantity import Quantity, parse
from euthymia.protocol.rules import near

Path = tuple[str | int, ...]

MOST = 5000
"""Regimens that are enumerated at most."""
CLINICAL: dict[str, tuple[float, ...]] = {
    "mg/kg": (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0),
    "hour": tuple(24.0 * d for d in (1, 2, 3, 4, 5, 7, 10, 14, 21, 28, 42, 56, 84, 91, 182)),
}
"""Steps at which such things are prescribed, by unit; a range without a step takes those inside it, and its ends."""
EVENLY = 5
"""Values of a range of anything else."""


class Knob(NamedTuple):
    """Something of a protocol that can be varied. kind: of quantity (`KINDS`), or "number", "week", "choice"; path:
    where in the document it stands; now: as it is written there; choices: of a choice."""

    name: str
    kind: str
    path: Path
    now: str
    choices: tuple[str, ...] = ()


class Regimen(NamedTuple):
    """One way of treating. number: its place in the space, from 0; chosen: what was varied, as written."""

    number: int
    chosen: dict[str, str]
    protocol: Protocol

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.chosen.items())


class Space(NamedTuple):
    """regimens: all that may be; refused: what the safety bounds do not allow, with the reason in a sentence."""

    regimens: tuple[Regimen, ...]
    refused: tuple[tuple[dict[str, str], str], ...]


# --- what can be varied -----------------------------------------------------------------------------------------------


def knobs(protocol: Protocol) -> dict[str, Knob]:
    """Everything of a protocol that can be varied, by name."""
    document = _document(protocol)
    found = [*_of_drug(document), *_of_phases(protocol, document), *_of_rules(protocol, document)]
    return {knob.name: knob for knob in found}


def _of_drug(document: dict[str, Any]) -> Iterator[Knob]:
    drug = document.get("drug")
    if isinstance(drug, dict):
        if "dose" in drug:
            yield Knob("dose", "dose", ("drug", "dose"), drug["dose"])
        if "over" in drug:
            yield Knob("infusion time", "duration", ("drug", "over"), drug["over"])
        yield Knob("route", "choice", ("drug", "route"), drug["route"], words.ROUTES)
    for k, exposure in enumerate(document.get("exposure", ())):
        if "lag" in exposure:
            yield Knob("exposure lag", "duration", ("exposure", k, "lag"), exposure["lag"])


def _of_phases(protocol: Protocol, document: dict[str, Any]) -> Iterator[Knob]:
    keys = {"interval": "every", "doses": "doses", "end": "until", "widened interval": "widen to", "dose": "dose"}
    kinds = {"doses": "number", "until": "week", "dose": "dose"}
    found: list[Knob] = []
    for k, phase in enumerate(document["phases"]):
        for word, key in keys.items():
            if key in phase:
                now = phase[key] if isinstance(phase[key], str) else str(phase[key]).strip("[]").replace("'", "")
                found.append(Knob(f"{phase['name']} {word}", kinds.get(key, "duration"), ("phases", k, key), now))
    yield from found
    for word in keys:  # where only one phase has it, its name is not needed
        mine = [knob for knob in found if knob.name.endswith(f" {word}") and knob.path[-1] == keys[word]]
        if len(mine) == 1 and word != "dose":
            yield mine[0]._replace(name=word)


def _of_rules(protocol: Protocol, document: dict[str, Any]) -> Iterator[Knob]:
    for path, rule in protocol.rules():
        if path[0] in ("warnings", "eligibility", "safeguards") or "discharge" in path:
            continue  # who may be treated, and how safely, is not for a search to decide
        written = _at(document, path)
        if path[0] in ("adjust", "decide"):
            yield Knob(rule.rule, "choice", path, "on", ("on", "off"))
        if "dose to" in written:
            yield Knob(f"{rule.rule} dose", "dose", (*path, "dose to"), written["dose to"])
        for key, value in written.items():
            if path[0] in ("adjust", "decide") and key.endswith("when") and isinstance(value, dict):
                for measure, limit in value.items():
                    name = f"{rule.rule} {measure}" if len(value) > 1 else f"{rule.rule} limit"
                    yield Knob(name, words.MEASURES[measure], (*path, key, measure), limit)


# --- the values of each -----------------------------------------------------------------------------------------------


def varied(protocol: Protocol, text: str) -> tuple[Knob, tuple[str, ...]]:
    """What `text` varies, and through which values: "dose=0.25..1.0 mg/kg", "interval=2 days..2 weeks",
    "doses=4, 6, 8", "dose=0.25..1 mg/kg in 4", "ADJ-1=on, off". Raises UserError for anything else."""
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise UserError(f'"{text}" says nothing to vary; write it as "dose=0.25..1.0 mg/kg" or "doses=4, 6, 8".')
    known = knobs(protocol)
    if name not in known:
        raise UserError(f"{protocol.name} has no {name!r} to vary{near(name, known)}.")
    knob = known[name]
    if knob.kind == "choice":
        given = tuple(item.strip() for item in values.split(","))
        for item in given:
            if item not in knob.choices:
                raise UserError(f"{name}: {item!r} is not a choice{near(item, knob.choices)}.")
        return knob, _once(knob, given)
    if ".." in values:
        return knob, _range(knob, values)
    given = _with_units(values.split(","))
    return knob, _once(knob, tuple(_written(knob, _number(knob, item)) for item in given))


def _once(knob: Knob, values: tuple[str, ...]) -> tuple[str, ...]:
    again = next((x for k, x in enumerate(values) if x in values[:k]), None)
    if again is not None:
        raise UserError(f"{knob.name}: {again} is given twice.")
    return values


def _with_units(items: Sequence[str]) -> list[str]:
    """Each with the unit of the last, where it has none of its own."""
    unit = re.sub(r"^\s*[+-]?[0-9.]+\s*", "", items[-1]).strip()
    return [item.strip() if re.search(r"[a-zA-Z%]", item) else f"{item.strip()} {unit}".strip() for item in items]


def _number(knob: Knob, text: str) -> Quantity:
    """A value as a quantity. Raises UserError where it is none of the kind."""
    if knob.kind == "number":
        if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
            raise UserError(f'{knob.name}: "{text}" is not a number of sessions; allowed: whole numbers from 1.')
        return Quantity(text, float(text), "")
    kind = "duration" if knob.kind == "week" else knob.kind
    try:
        found = parse(text, kind)
    except ValueError as error:
        raise UserError(f"{knob.name}: {error}.") from None
    if kind == "dose":
        unit = parse(knob.now, "dose").unit
        if found.unit != unit:
            raise UserError(f"{knob.name}: the protocol gives {knob.now}; {text} must be in {unit} too.")
    if knob.kind == "week" and (found.value % 168 > 1e-9 or found.value <= 0):
        raise UserError(f"{knob.name}: {text} is not a number of whole weeks.")
    return found


def _written(knob: Knob, x: Quantity) -> str:
    """As it stands in a document."""
    if knob.kind == "number":
        return x.text
    if knob.kind == "week":
        return f"week {x.value / 168:g}"
    if x.unit == "hour":
        for unit, hours in (("week", 168.0), ("day", 24.0), ("h", 1.0)):
            if x.value >= hours and x.value % hours < 1e-9:
                count = x.value / hours
                return f"{count:g} {unit}" + ("s" if count != 1 and unit != "h" else "")
        return f"{60 * x.value:g} min"
    return f"{x.value:g} {UNITS_WRITTEN.get(x.unit, x.unit)}"


UNITS_WRITTEN = {"percent": "%", "point": "points", "session": "sessions", "event": "events"}


def _range(knob: Knob, values: str) -> tuple[str, ...]:
    match = re.fullmatch(r"(.+?)\.\.(.+?)(?:\s+in\s+([0-9]+))?", values)
    if not match:
        raise UserError(f'{knob.name}: "{values}" is not a range; write "0.25..1.0 mg/kg" or "0.25..1.0 mg/kg in 4".')
    low, high = (_number(knob, item) for item in _with_units([match[1], match[2]]))
    if low.value > high.value:
        raise UserError(f"{knob.name}: {values} is empty; write the lower end first.")
    if match[3] and not 2 <= int(match[3]) <= 100:
        raise UserError(f"{knob.name}: a range is cut into 2 to 100 values, not {match[3]}.")
    steps = _steps(knob, low.value, high.value, int(match[3]) if match[3] else None)
    return tuple(dict.fromkeys(_written(knob, Quantity(f"{x:g}", x, low.unit)) for x in steps))


def _steps(knob: Knob, low: float, high: float, count: int | None) -> list[float]:
    unit = 168.0 if knob.kind == "week" else 1.0
    if low == high:
        return [low]
    if knob.kind in ("number", "week"):
        whole = [low + unit * k for k in range(round((high - low) / unit) + 1)]
        n = count or (len(whole) if knob.kind == "number" else EVENLY)
        return whole if len(whole) <= n else sorted({whole[round(k * (len(whole) - 1) / (n - 1))] for k in range(n)})
    grid = CLINICAL.get("hour" if knob.kind == "duration" else "mg/kg" if knob.now.endswith("mg/kg") else "", ())
    inside = [x for x in grid if low < x < high]
    if count is None and inside:
        return [low, *inside, high]
    n = count or EVENLY
    return [round(low + (high - low) * k / (n - 1), 6) for k in range(n)]


# --- the regimens -----------------------------------------------------------------------------------------------------


def space(protocol: Protocol, vary: Sequence[str]) -> Space:
    """Every combination of what is varied. Raises UserError: nothing to vary, the same twice, too many, or none that
    the safety bounds allow."""
    if not vary:
        raise UserError(
            f'say what to vary, such as --vary "dose=0.25..1.0 mg/kg"; {protocol.name} has: {_all(protocol)}.'
        )
    axes = [varied(protocol, text) for text in vary]
    paths = [knob.path for knob, _ in axes]
    twice = next((knob for k, (knob, _) in enumerate(axes) if knob.path in paths[:k]), None)
    if twice:
        raise UserError(f"{twice.name} is varied twice.")
    count = 1
    for _, values in axes:
        count *= len(values)
    if count > MOST:
        raise UserError(
            f"{count:,} regimens are too many to compare one by one, at most {MOST:,}; take fewer values, such as "
            f'"{axes[0][0].name}=A..B in 4".'
        )
    document = _document(protocol)
    regimens: list[Regimen] = []
    refused = []
    for values in product(*(values for _, values in axes)):
        chosen = {knob.name: value for (knob, _), value in zip(axes, values, strict=True)}
        made = with_values(document, [knob for knob, _ in axes], values)
        if isinstance(made, str):
            refused.append((chosen, made))
        else:
            regimens.append(Regimen(len(regimens), chosen, made))
    if not regimens:
        raise UserError(f"no regimen of this space is allowed; the first is refused because {refused[0][1]}")
    return Space(tuple(regimens), tuple(refused))


def with_values(document: Mapping[str, Any], axes: Sequence[Knob], values: Sequence[str]) -> Protocol | str:
    """The protocol with these values, or why it may not be, in a clause with its stop."""
    made = deepcopy(dict(document))
    gone: list[Path] = []
    for knob, value in zip(axes, values, strict=True):
        if knob.choices == ("on", "off"):
            gone += [knob.path] if value == "off" else []
        else:
            _put(made, knob, value)
    for path in sorted(gone, key=lambda p: -int(p[-1])):  # the last first, so that the others keep their places
        del _at(made, path[:-1])[path[-1]]
    try:
        return Protocol.model_validate(made)
    except ValidationError as error:
        return "; ".join(what.removesuffix(".") for _, what in faults(error)) + "."


def _put(document: dict[str, Any], knob: Knob, value: str) -> None:
    *above, key = knob.path
    place = _at(document, tuple(above))
    if key == "every":
        place[key] = [value]
    elif key == "route":
        place[key] = value
        if value != "intravenous":
            place.pop("over", None)
    elif knob.kind in words.MEASURES.values() and isinstance(key, str) and key in words.MEASURES:
        comparison = next(c for c in words.COMPARISONS if place[key].startswith(c + " "))
        place[key] = f"{comparison} {value}"
    else:
        place[key] = int(value) if knob.kind == "number" else value


def _document(protocol: Protocol) -> dict[str, Any]:
    document = protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
    document.setdefault("drug", "none")
    return document


def _at(document: Any, path: Path) -> Any:
    for key in path:
        document = document[key]
    return document


def _all(protocol: Protocol) -> str:
    return ", ".join(knobs(protocol)) or "nothing"
