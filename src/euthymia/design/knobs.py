"""What of a protocol can be varied: by a search, which tries values, and in the explorer, where somebody moves sliders.

A value is put into the document, and the document goes through the checks of a file: what those refuse is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from pydantic import ValidationError

from euthymia.design import tapers
from euthymia.design.tapers import DOSE_TAPER, NONE, TAPER, TITRATION, mean_gap_h
from euthymia.errors import UserError
from euthymia.protocol import words
from euthymia.protocol.bounds import HEAVY_KG, LIGHT_KG, bound
from euthymia.protocol.document import Drug, Protocol
from euthymia.protocol.loader import faults
from euthymia.protocol.quantity import Quantity, parse

Path = tuple[str | int, ...]

BY_WEIGHT_MG_PER_KG = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
DOSE_STEPS_MG = (0.5, 1.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MOST_STEPS = 30
RHYTHMS = (
    "1 day", "2 days", "2 days + 2 days + 3 days", "3 days", "3 days + 4 days", "4 days", "5 days", "1 week",
    "10 days", "2 weeks", "3 weeks", "4 weeks", "6 weeks", "8 weeks", "12 weeks", "26 weeks",
)  # fmt: skip
"""Gaps between sessions; several with + are taken in turn."""
WEEKS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 26, 32, 36, 40, 44, 48, 52)
MOST_SESSIONS = 24
LIMITS = {"SBP": (120, 200, 5), "DBP": (70, 120, 5), "MADRS": (4, 40, 2), "MADRS improvement": (5, 75, 5)}
"""Of a measure: from, to, step."""
MOST_STEPPED = 3
"""Doses below the full one through which a slider steps."""
TAPER_SESSIONS = (0, 2, 3, 4, 6, 8, 12)
LONGEST = 60
"""Characters of a value as it is written."""
UNITS_WRITTEN = {"percent": "%", "point": "points", "session": "sessions", "event": "events"}


class Knob(NamedTuple):
    """Something of a protocol that can be varied.

    name: what it is called; kind: of quantity (`KINDS`), or "number", "week", "rhythm", "doses" (in turn, one a
    session), "choice"; path: where in the document it stands; now: as it is written there, of a limit without its
    comparison; values: the choices of a choice, otherwise steps at which such things are prescribed, `now` among them,
    which is alone where no steps are known; short: the name that will do where one phase alone has such a thing;
    guards: whether it says how safely somebody is treated, which is not for a search to decide.
    """

    name: str
    kind: str
    path: Path
    now: str
    values: tuple[str, ...]
    short: str = ""
    guards: bool = False


def knobs(protocol: Protocol) -> tuple[Knob, ...]:
    """Everything of a protocol that can be varied: the drug, the phases, then the rules of its course."""
    document = document_of(protocol)
    return *_of_drug(protocol, document), *_of_phases(protocol, document), *_of_rules(protocol, document)


def document_of(protocol: Protocol) -> dict[str, Any]:
    """The document as it is written, without keys that say nothing."""
    document = protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
    document.setdefault("drug", "none")
    return document


def at(document: Any, path: Path) -> Any:
    """What stands at `path`."""
    for key in path:
        document = document[key]
    return document


# --- what there is ----------------------------------------------------------------------------------------------------


def _of_drug(protocol: Protocol, document: dict[str, Any]) -> Iterator[Knob]:
    drug, written = protocol.drug, document["drug"]
    if drug is not None:
        if drug.dose and any(p.drug is None and p.dose is None and p.dose_by_session is None for p in protocol.phases):
            yield Knob("dose", "dose", ("drug", "dose"), written["dose"], _doses(protocol, drug, drug.dose))
        if drug.over:
            yield Knob("infusion time", "duration", ("drug", "over"), written["over"], (written["over"],))
        yield Knob("route", "choice", ("drug", "route"), drug.route, words.ROUTES)
    for k, exposure in enumerate(document.get("exposure", ())):
        if "lag" in exposure:
            yield Knob("exposure lag", "duration", ("exposure", k, "lag"), exposure["lag"], (exposure["lag"],))


def _of_phases(protocol: Protocol, document: dict[str, Any]) -> Iterator[Knob]:
    found = [knob for k in range(len(protocol.phases)) for knob in _of_phase(protocol, document, k)]
    for knob in found:
        own = knob.name.removeprefix(f"{protocol.phases[int(knob.path[1])].name} ")
        alone = sum(other.path[2:] == knob.path[2:] for other in found) == 1 and knob.kind != "dose"
        yield knob._replace(short=own if alone else "")
    phases, drug = document["phases"], protocol.drug
    if phases and tapers.wider(phases[-1]):
        yield Knob(TAPER, "number", ("phases", len(phases)), "0", tuple(map(str, TAPER_SESSIONS)))
    for name, k, possible in (
        (TITRATION, 0, tapers.titrates(phases)),
        (DOSE_TAPER, len(phases) - 1, tapers.tapers_dose(phases)),
    ):
        full = (protocol.phases[k].dose or (drug and drug.dose)) if possible else None
        if drug and full and len(values := _stepped(protocol, drug, full, falls=name == DOSE_TAPER)) > 1:
            yield Knob(name, "doses", ("phases", k, name), NONE, values)


def _of_phase(protocol: Protocol, document: dict[str, Any], k: int) -> Iterator[Knob]:
    phase, written, path = protocol.phases[k], document["phases"][k], ("phases", k)
    if phase.every:
        now = " + ".join(written["every"])
        yield Knob(f"{phase.name} interval", "rhythm", (*path, "every"), now, _rhythms(now))
    if phase.doses and phase.every:
        numbers = range(1, max(MOST_SESSIONS, 2 * phase.doses) + 1)
        yield Knob(f"{phase.name} doses", "number", (*path, "doses"), str(phase.doses), tuple(str(n) for n in numbers))
    if phase.until:
        weeks = tuple(f"week {n}" for n in sorted({*WEEKS, phase.until}))
        yield Knob(f"{phase.name} end", "week", (*path, "until"), written["until"], weeks)
    if phase.widen_to:
        now = written["widen to"]
        gaps = tuple(x for x in _rhythms(now) if "+" not in x)
        yield Knob(f"{phase.name} widened interval", "duration", (*path, "widen to"), now, gaps)
    drug = phase.drug or protocol.drug
    if drug is None or drug.compound in words.INERT:
        return
    listed = phase.dose_by_session or ()
    for j, dose in enumerate(listed):
        name = f"{phase.name} dose at session {j + 1}"
        yield Knob(name, "dose", (*path, "dose by session", j), str(dose), _doses(protocol, drug, dose))
    if phase.dose:
        yield Knob(f"{phase.name} dose", "dose", (*path, "dose"), str(phase.dose), _doses(protocol, drug, phase.dose))
    elif phase.drug and phase.drug.dose and not listed:
        own = phase.drug.dose
        yield Knob(f"{phase.name} dose", "dose", (*path, "drug", "dose"), str(own), _doses(protocol, drug, own))


def _of_rules(protocol: Protocol, document: dict[str, Any]) -> Iterator[Knob]:
    for path, rule in protocol.rules():
        if path[0] not in ("adjust", "decide") and path[:2] != ("session", "before"):
            continue
        written = at(document, path)
        guards = path[0] == "session" or "from dose" in written  # checks before a session, and ceilings of a dose
        yield Knob(rule.rule, "choice", path, "on", ("on", "off"), guards=guards)
        if path[0] == "adjust" and protocol.drug:
            to = parse(written["dose to"], "dose")
            values = _doses(protocol, protocol.drug, to)
            yield Knob(f"{rule.rule} dose", "dose", (*path, "dose to"), written["dose to"], values, guards=guards)
            if "after dose" in written:
                now = str(written["after dose"])
                values = tuple(str(n) for n in sorted({*range(1, 13), int(now)}))
                yield Knob(f"{rule.rule} after session", "number", (*path, "after dose"), now, values)
        for key, when in written.items():
            if key.endswith("when") and isinstance(when, dict) and key not in ("alert when", "weigh when"):
                for measure, limit in when.items():
                    name = f"{rule.rule} {measure}" if len(when) > 1 else f"{rule.rule} limit"
                    now = limit.removeprefix(comparison(limit) + " ")
                    values = _limits(measure, now)
                    yield Knob(name, words.MEASURES[measure], (*path, key, measure), now, values, guards=guards)


def comparison(limit: str) -> str:
    """Of a limit as a document writes it: "above" of "above 140 mmHg"."""
    return next(c for c in words.COMPARISONS if limit.startswith(c + " "))


# --- the steps of each ------------------------------------------------------------------------------------------------


def _in_steps(kind: str, now: str, numbers: Iterable[float]) -> tuple[str, ...]:
    """Numbers in the unit of `now`, and `now` as it is written among them."""
    own = parse(now, kind)
    return tuple(now if x == own.value else _quantity(x, own.unit) for x in sorted({*numbers, own.value}))


def _doses(protocol: Protocol, drug: Drug, own: Quantity) -> tuple[str, ...]:
    """Doses up to the most that a changed protocol may order: by weight as they are prescribed, others in round steps,
    devices whole."""
    status = "contrast" if protocol.status == "contrast" else "research only"
    most = max(own.value, _most(status, drug, own.unit))
    device = bound("whole devices of", status, drug.compound, drug.route)
    if own.unit == "mg/kg":
        return _in_steps("dose", str(own), [x for x in BY_WEIGHT_MG_PER_KG if x <= most + 1e-9])
    step = device.value if device else next((s for s in DOSE_STEPS_MG if most / s <= MOST_STEPS), DOSE_STEPS_MG[-1])
    return _in_steps("dose", str(own), [round(step * k, 6) for k in range(1, int(most / step + 1e-9) + 1)])


def _stepped(protocol: Protocol, drug: Drug, full: Quantity, falls: bool) -> tuple[str, ...]:
    """Ways to or from the full dose: none, one session at a lower dose, and through the nearest lower ones."""
    doses = _doses(protocol, drug, full)
    lower = doses[: doses.index(str(full))]
    ways = [(dose,) for dose in reversed(lower)]
    ways += [lower[-n:] for n in range(2, MOST_STEPPED + 1) if n <= len(lower)]
    return NONE, *(" + ".join(reversed(way) if falls else way) for way in ways)


def _most(status: str, drug: Drug, unit: str) -> float:
    by_weight = bound("dose by weight at most", status, drug.compound, drug.route)
    fixed = bound("dose at most", status, drug.compound, drug.route)
    if unit == "mg/kg":
        return by_weight.value if by_weight else fixed.value / HEAVY_KG if fixed else 0.0
    return fixed.value if fixed else by_weight.value * LIGHT_KG if by_weight else 0.0


def _rhythms(now: str) -> tuple[str, ...]:
    gaps = {x: _hours(x) for x in RHYTHMS}
    others = [x for x, hours in gaps.items() if hours != _hours(now)]
    return tuple(sorted([*others, now], key=mean_gap_h))


def _hours(rhythm: str) -> list[float]:
    return [parse(gap, "duration").value for gap in rhythm.split("+")]


def _limits(measure: words.Measured, now: str) -> tuple[str, ...]:
    if measure not in LIMITS:
        return (now,)
    low, high, step = LIMITS[measure]
    return _in_steps(words.MEASURES[measure], now, map(float, range(low, high + 1, step)))


# --- a value, and the document with it --------------------------------------------------------------------------------


def quantity(knob: Knob, text: str) -> Quantity:
    """A value that is one number. Raises UserError where it is none of the kind."""
    if knob.kind == "number":
        least = int(knob.values[0])
        if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < least:
            said = f'"{text}" is not a number of sessions; allowed: whole numbers from {least}'
            raise UserError(f"{knob.name}: {said}.")
        return Quantity(text, float(text), "")
    kind = {"week": "duration", "rhythm": "duration", "doses": "dose"}.get(knob.kind, knob.kind)
    of_course = re.fullmatch(r"week ([0-9]{1,3})", text) if knob.kind == "week" else None
    try:
        found = parse(f"{of_course[1]} weeks" if of_course else text, kind)
    except ValueError as error:
        raise UserError(f"{knob.name}: {error}.") from None
    if kind == "dose":
        unit = parse(next(value for value in knob.values if value != NONE).split(" + ")[0], "dose").unit
        if found.unit != unit:
            raise UserError(f"{knob.name}: the protocol doses in {unit}; {text} must be in {unit} too.")
    if knob.kind == "week" and (found.value % 168 > 1e-9 or found.value <= 0):
        raise UserError(f"{knob.name}: {text} is not a number of whole weeks.")
    return found


def written(knob: Knob, text: str) -> str:
    """A value as the document writes it: "7 days" is "1 week". Raises UserError where it is none of the kind."""
    if len(text) > LONGEST:
        raise UserError(f"{knob.name}: a value takes at most {LONGEST} characters.")
    if knob.kind == "choice":
        if text not in knob.values:
            raise UserError(f"{knob.name}: {text!r} is not a choice; allowed: {', '.join(knob.values)}.")
        return text
    if knob.kind == "doses" and text == NONE:
        return NONE
    if knob.kind in ("rhythm", "doses"):
        in_turn = [quantity(knob, item) for item in with_units(text.split("+"))]
        return " + ".join(_quantity(one.value, one.unit) for one in in_turn)
    found = quantity(knob, text)
    return written_as(knob, found.value, found.unit)


def written_as(knob: Knob, value: float, unit: str) -> str:
    """A number in an internal unit as the document writes it."""
    if knob.kind == "number":
        return f"{value:g}"
    return f"week {value / 168:g}" if knob.kind == "week" else _quantity(value, unit)


def _quantity(value: float, unit: str) -> str:
    if unit == "hour":
        for name, hours in (("week", 168.0), ("day", 24.0), ("h", 1.0)):
            if value >= hours and value % hours < 1e-9:
                count = value / hours
                return f"{count:g} {name}" + ("s" if count != 1 and name != "h" else "")
        return f"{60 * value:g} min"
    return f"{value:g} {UNITS_WRITTEN.get(unit, unit)}"


def with_units(items: Sequence[str]) -> list[str]:
    """Each with the unit of the last, where it has none of its own."""
    last = next((item for item in reversed(items) if item.strip() != NONE), "")
    unit = re.sub(r"^.*?[0-9.]+\s*(?=[^0-9]*$)", "", last).strip()
    return [item.strip() if re.search(r"[a-zA-Z%]", item) else f"{item.strip()} {unit}".strip() for item in items]


LAST = {
    TITRATION: tapers.titrate,
    TAPER: lambda document, value: tapers.taper(document, int(value)),
    DOSE_TAPER: tapers.taper_dose,
}
"""What goes by the rest of the document, in this order: a titration by the full dose, a taper by the last phase."""


def with_values(document: Mapping[str, Any], values: Iterable[tuple[Knob, str]]) -> dict[str, Any]:
    """A copy of the document with these values, each as `written`. Raises UserError for a titration or a taper that
    cannot be."""
    made = deepcopy(dict(document))
    gone: list[Path] = []
    stepped, order = False, list(LAST)
    for knob, value in sorted(values, key=lambda pair: order.index(pair[0].name) if pair[0].name in order else -1):
        if knob.values == ("on", "off"):
            gone += [knob.path] if value == "off" else []
        elif knob.name in LAST:
            if value != NONE:
                LAST[knob.name](made, value)
                stepped |= knob.kind == "doses"
        else:
            _put(made, knob, value)
    for path in sorted(gone, key=lambda p: -int(p[-1])):  # the last first, so that the others keep their places
        del at(made, path[:-1])[path[-1]]
    if stepped and (problem := tapers.undone(made)):
        raise UserError(problem)
    return made


def _put(document: dict[str, Any], knob: Knob, value: str) -> None:
    place, key = at(document, knob.path[:-1]), knob.path[-1]
    if knob.kind == "rhythm":
        place[key] = value.split(" + ")
    elif key == "route":
        place[key] = value
        if value != "intravenous":
            place.pop("over", None)
    elif key in words.MEASURES:
        place[key] = f"{comparison(place[key])} {value}"
    else:
        place[key] = int(value) if knob.kind == "number" else value


def checked(document: Mapping[str, Any]) -> Protocol:
    """The protocol of a document. Raises UserError, in one sentence, where a file would be refused."""
    try:
        return Protocol.model_validate(document)
    except ValidationError as error:
        raise UserError("; ".join(what.removesuffix(".") for _, what in faults(error)) + ".") from None
