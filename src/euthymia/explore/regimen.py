"""The numbers of a protocol that a person may move, and the document with some of them moved.

A number is addressed by its path in the document and written as the document writes it ("0.5 mg/kg", "3 days, 4 days").
A changed document goes through the same loader as a file: what it refuses, this refuses.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from euthymia.course.readings import simulated
from euthymia.errors import UserError
from euthymia.protocol import Protocol, catalogue, loads, to_yaml
from euthymia.protocol.bounds import HEAVY_KG, LIGHT_KG, bound
from euthymia.protocol.document import Drug
from euthymia.protocol.quantity import Quantity, parse
from euthymia.protocol.rules import Comparison
from euthymia.protocol.words import INERT, MEASURES

Path = tuple[str | int, ...]
DRUG, RULES = "drug", "rules"
"""Groups of numbers that belong to no phase."""

RHYTHMS = {
    "1 day": "every day",
    "2 days": "every 2 days",
    "2 days, 2 days, 3 days": "three times a week",
    "3 days": "every 3 days",
    "3 days, 4 days": "twice a week",
    "5 days": "every 5 days",
    "1 week": "once a week",
    "10 days": "every 10 days",
    "2 weeks": "every 2 weeks",
    "3 weeks": "every 3 weeks",
    "4 weeks": "every 4 weeks",
    "6 weeks": "every 6 weeks",
    "8 weeks": "every 8 weeks",
}
"""Gaps between sessions that can be chosen, as the document writes them and as one says them."""
DOSE_STEPS = (0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0, 20.0)
MOST_STEPS = 30
MOST_SESSIONS = 24
LAST_WEEK = 52
MOST_LISTED_DOSES = 6
OF_RULES = {
    "SBP": (120, 200, 5, "mmHg"),
    "DBP": (70, 120, 5, "mmHg"),
    "MADRS": (4, 40, 2, "points"),
    "MADRS improvement": (5, 75, 5, "%"),
}
"""Measures whose limits in rules can be moved: from, to, step, unit."""
LABEL = "the changed protocol"
LONGEST = 60
"""Characters of a number as it is written."""


@dataclass(frozen=True)
class Choice:
    """One position of a slider: what the document then holds, and how one says it."""

    text: str
    said: str


@dataclass(frozen=True)
class Knob:
    """One number of a protocol that can be moved. group: whose it is; own: what the protocol itself says."""

    path: Path
    group: str
    label: str
    own: str
    choices: tuple[Choice, ...]

    @property
    def id(self) -> str:
        """The path in one word."""
        return "/".join(map(str, self.path))

    @property
    def place(self) -> str:
        """Whose number it is, to stand before its label."""
        return "" if self.group in (DRUG, RULES) else f"{self.group}, "

    def said(self, text: str) -> str:
        """A value of it in words."""
        return next((c.said for c in self.choices if c.text == text), text)


def knobs(protocol: Protocol) -> tuple[Knob, ...]:
    """Every number of `protocol` that can be moved: doses and sessions first, then those of its rules."""
    return (*_of_drug(protocol), *_of_phases(protocol), *_of_rules(protocol))


def changed(protocol: Protocol, numbers: Mapping[str, str], name: str | None = None) -> Protocol:
    """`protocol` with some of its numbers (by id of a knob) as given; itself when none differs and no name is given.

    A changed protocol is for research only, whatever it was made from, and says what was changed; a rule whose number
    was moved no longer counts as verified. Raises UserError, in one sentence, for whatever a file would be refused for.
    """
    by_id = {knob.id: knob for knob in knobs(protocol)}
    moved = {}
    for id, text in numbers.items():
        if id not in by_id:
            raise UserError(f"{protocol.name} has no number {id[:LONGEST]!r} that can be moved.")
        if text != by_id[id].own:
            moved[by_id[id]] = text
    if not moved and name is None:
        return protocol
    document: Any = protocol
    for knob, text in moved.items():
        if len(text) > LONGEST:
            raise UserError(f"{knob.label}: a number takes at most {LONGEST} characters.")
        try:
            document = _put(document, knob.path, _read(document, knob.path, text))
        except ValueError as error:
            raise UserError(f"{knob.label}: {error}.") from None
        if knob.group == RULES:
            rule = knob.path[: _rule_depth(knob.path)]
            said = f"moved from {knob.said(knob.own)} to {knob.said(text)} in the explorer, which no source says"
            before = _at(document, rule).note
            document = _put(document, (*rule, "verified"), "no")
            document = _put(document, (*rule, "note"), f"{before}; {said}" if before else said)
    head: dict[str, Any] = {"protocol": name or default_name(protocol), "version": "0.1.0"}
    if protocol.status == "catalogue":
        head["status"] = "research only"
    if moved:
        said = "; ".join(
            f"{knob.place}{knob.label} {knob.said(knob.own)} → {knob.said(t)}" for knob, t in moved.items()
        )
        head["title"] = f"{protocol.title} (changed)"
        head["summary"] = f"Changed from {protocol.name} {protocol.version} in the explorer: {said}."
    return _checked(document.model_copy(update=head))


def document_text(protocol: Protocol, numbers: Mapping[str, str], name: str | None = None) -> str:
    """The YAML of the changed protocol, as `euthymia simulate` reads it. Raises UserError, as `changed` does, and for a
    name that the catalogue has."""
    if name in catalogue():
        raise UserError(f"{name!r} is the name of a protocol of the catalogue; give this one a name of its own.")
    return to_yaml(changed(protocol, numbers, name))


def default_name(protocol: Protocol) -> str:
    """What a changed protocol is called until somebody says otherwise."""
    return f"{protocol.name[:52].rstrip('-.')}-changed"


def _checked(document: Protocol) -> Protocol:
    """Written and read back, so that exactly a file's checks decide."""
    try:
        return loads(to_yaml(document), LABEL)
    except UserError as error:
        first = str(error).splitlines()[0]  # the reader has not seen the lines of this document
        raise UserError(re.sub(rf"^{LABEL}, line \d+: (`[^`]*`: )?", "", first)) from None


def _put(entry: Any, path: Path, value: Any) -> Any:
    """A copy of `entry` in which `value` stands at `path`."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return (*entry[:head], _put(entry[head], rest, value), *entry[head + 1 :])
    return entry.model_copy(update={head: _put(getattr(entry, head), rest, value)})


def _at(entry: Any, path: Path) -> Any:
    for key in path:
        entry = entry[key] if isinstance(key, int) else getattr(entry, key)
    return entry


def _read(document: Protocol, path: Path, text: str) -> Any:
    """What `text` means at `path`. Raises ValueError, in a clause, where it means nothing."""
    last = next(key for key in reversed(path) if isinstance(key, str))
    if last in ("doses", "after_dose"):
        return _count(text)
    if last == "until":
        return _count(text.removeprefix("week "))
    if last in ("every", "widen_to"):
        gaps = tuple(parse(gap.strip(), "duration") for gap in text.split(","))
        return gaps if last == "every" else gaps[0]
    if last == "value":
        comparison: Comparison = _at(document, path[:-1])
        return parse(text, MEASURES[comparison.measure])  # pyright: ignore[reportArgumentType]  a checked document
    return parse(text, "dose")


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or int(text) < 1:
        raise ValueError(f'"{text}" is not a whole number above zero')
    return int(text)


def _of_drug(protocol: Protocol) -> Iterator[Knob]:
    drug = protocol.drug
    uses = [p for p in protocol.phases if p.drug is None and p.dose is None and p.dose_by_session is None]
    if drug is not None and drug.dose is not None and uses:
        yield Knob(("drug", "dose"), DRUG, "dose", str(drug.dose), _doses(protocol, drug, drug.dose))


def _of_phases(protocol: Protocol) -> Iterator[Knob]:
    for k, phase in enumerate(protocol.phases):
        path: Path = ("phases", k)
        drug = phase.drug or protocol.drug
        if phase.dose is not None and drug:
            yield Knob((*path, "dose"), phase.name, "dose", str(phase.dose), _doses(protocol, drug, phase.dose))
        elif phase.dose_by_session is None and phase.drug and phase.drug.dose:
            own = phase.drug.dose
            yield Knob((*path, "drug", "dose"), phase.name, "dose", str(own), _doses(protocol, phase.drug, own))
        listed = phase.dose_by_session or ()
        if drug and len(listed) <= MOST_LISTED_DOSES:
            for j, own in enumerate(listed):
                lasts = j == len(listed) - 1 and phase.doses != len(listed)
                label = f"dose {'from' if lasts else 'at'} session {j + 1}{' on' if lasts else ''}"
                where = (*path, "dose_by_session", j)
                yield Knob(where, phase.name, label, str(own), _doses(protocol, drug, own))
        if phase.doses is not None and phase.every is not None:
            most = max(MOST_SESSIONS, 2 * phase.doses)
            yield _counted((*path, "doses"), phase.name, "sessions", phase.doses, most)
        if phase.every is not None:
            yield _spaced((*path, "every"), phase.name, "spacing", ", ".join(map(str, phase.every)))
        if phase.until is not None:
            weeks = sorted({*range(2, LAST_WEEK + 1), phase.until})
            choices = tuple(Choice(f"week {w}", f"week {w}") for w in weeks)
            yield Knob((*path, "until"), phase.name, "goes on until", f"week {phase.until}", choices)
        if phase.widen_to is not None:
            label = f"spacing while in {_state(phase.while_)}"
            yield _spaced((*path, "widen_to"), phase.name, label, str(phase.widen_to), lists=False)


def _of_rules(protocol: Protocol) -> Iterator[Knob]:
    for k, rule in enumerate(protocol.adjust):
        where: Path = ("adjust", k)
        if protocol.drug is not None:
            choices = _doses(protocol, protocol.drug, rule.dose_to)
            yield Knob((*where, "dose_to"), RULES, f"{rule.rule}: dose then", str(rule.dose_to), choices)
        if rule.after_dose is not None:
            yield _counted((*where, "after_dose"), RULES, f"{rule.rule}: after session", rule.after_dose, 12)
        yield from _limits(where, rule, "when", "when")
    for k, rule in enumerate(protocol.session.before):
        yield from _limits(("session", "before", k), rule, "hold_when", "hold when")
        yield from _limits(("session", "before", k), rule, "stop_when", "stop when")
    for k, rule in enumerate(protocol.decide):
        for key in ("continue_when", "stop_when", "widen_when", "step_back_when"):
            yield from _limits(("decide", k), rule, key, key.replace("_", " "))


def _limits(where: Path, rule: Any, key: str, said: str) -> Iterator[Knob]:
    """The limits of one condition of a rule that virtual patients can meet."""
    for k, c in enumerate(getattr(rule, key, None) or ()):
        if c.measure not in OF_RULES or c.measure not in simulated("depression") or c.value is None:
            continue
        low, high, step, unit = OF_RULES[c.measure]
        values = sorted({*range(low, high + 1, step), c.value.value})
        choices = tuple(_choice(f"{v:g} {unit}") for v in values)
        label = f"{rule.rule}: {said} {c.measure} {c.comparison}"
        yield Knob((*where, key, k, "value"), RULES, label, f"{c.value.value:g} {unit}", choices)


def _rule_depth(path: Path) -> int:
    """How much of a path leads to the rule itself."""
    return 2 if path[0] in ("adjust", "decide") else 3


def _choice(text: str) -> Choice:
    return Choice(text, text)


def _counted(path: Path, group: str, label: str, own: int, most: int) -> Knob:
    return Knob(path, group, label, str(own), tuple(_choice(str(n)) for n in range(1, most + 1)))


def _spaced(path: Path, group: str, label: str, own: str, lists: bool = True) -> Knob:
    """A knob over gaps. lists: whether gaps taken in turn can be chosen."""
    texts = {t: said for t, said in RHYTHMS.items() if lists or "," not in t}
    same = next((t for t in texts if _hours(t) == _hours(own)), own)
    texts = {own if t == same else t: said for t, said in texts.items()}
    texts.setdefault(own, f"every {own}" if "," not in own else f"{own} in turn")
    ordered = sorted(texts, key=lambda t: sum(_hours(t)) / len(_hours(t)))
    return Knob(path, group, label, own, tuple(Choice(t, texts[t]) for t in ordered))


def _hours(text: str) -> tuple[float, ...]:
    return tuple(parse(gap.strip(), "duration").value for gap in text.split(","))


def _state(when: tuple[Comparison, ...] | None) -> str:
    return " and ".join(map(str, (c.comparison if c.measure == "state" else c for c in when or ())))


def _doses(protocol: Protocol, drug: Drug, own: Quantity) -> tuple[Choice, ...]:
    """Doses up to the most that a changed protocol may order, in round steps; devices whole."""
    status = "contrast" if protocol.status == "contrast" else "research only"
    if drug.compound in INERT:
        return (_choice(str(own)),)
    most = max(own.value, _most(status, drug, own.unit))
    device = bound("whole devices of", status, drug.compound, drug.route)
    step = device.value if device else next((s for s in DOSE_STEPS if most / s <= MOST_STEPS), DOSE_STEPS[-1])
    grid = {round(step * k, 6) for k in range(1, int(most / step + 1e-9) + 1)} | {own.value}
    return tuple(_choice(str(own) if v == own.value else f"{v:g} {own.unit}") for v in sorted(grid))


def _most(status: str, drug: Drug, unit: str) -> float:
    by_weight = bound("dose by weight at most", status, drug.compound, drug.route)
    fixed = bound("dose at most", status, drug.compound, drug.route)
    if unit == "mg/kg":
        return by_weight.value if by_weight else fixed.value / HEAVY_KG if fixed else 0.0
    return fixed.value if fixed else by_weight.value * LIGHT_KG if by_weight else 0.0
