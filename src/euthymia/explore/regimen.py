"""The sliders of a protocol: what of it can be varied, in words, and the document that says what was moved.

A slider is addressed by the path of its number in the document and stands where the document stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from euthymia.design.knobs import (
    LONGEST,
    Knob,
    at,
    checked,
    comparison,
    document_of,
    knobs,
    with_values,
    written,
)
from euthymia.design.tapers import DOSE_TAPER, NONE, TAPER, TITRATION
from euthymia.errors import UserError
from euthymia.protocol import Protocol, catalogue, to_yaml

DRUG, RULES = "drug", "rules"
"""Groups of numbers that belong to no phase."""
SAID = {
    "1 day": "every day",
    "2 days + 2 days + 3 days": "three times a week",
    "3 days + 4 days": "twice a week",
    "1 week": "once a week",
}
"""Rhythms that are not called "every so often"."""
LABELS = {
    "doses": "sessions",
    "every": "spacing",
    "until": "goes on until",
    "dose to": "dose then",
    "after dose": "after session",
}
"""What a number is called, by its key in the document, where not as that."""
MOST_LISTED_DOSES = 6


@dataclass(frozen=True)
class Choice:
    """One position of a slider: what the document then holds, and how one says it."""

    text: str
    said: str


@dataclass(frozen=True)
class Slider:
    """One number of a protocol that can be moved. group: whose it is; own: what the protocol itself says."""

    knob: Knob
    group: str
    label: str

    @property
    def id(self) -> str:
        """The path in one word."""
        return "/".join(map(str, self.knob.path))

    @property
    def own(self) -> str:
        return self.knob.now

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Its positions, in order."""
        return tuple(Choice(text, self.said(text)) for text in self.knob.values)

    @property
    def place(self) -> str:
        """Whose number it is, to stand before its label."""
        return "" if self.group in (DRUG, RULES) else f"{self.group}, "

    def said(self, text: str) -> str:
        """A value of it in words."""
        if self.knob.name == TAPER:
            return "none" if text == "0" else f"{text} sessions each"
        if self.knob.kind == "doses" and text != NONE:
            return f"{'first' if self.knob.name == TITRATION else 'last'} {text.replace(' + ', ', ')}"
        if self.knob.kind not in ("rhythm", "duration"):
            return text
        rhythm = written(self.knob, text)
        return SAID.get(rhythm) or (f"{rhythm} in turn" if "+" in rhythm else f"every {rhythm.removeprefix('1 ')}")


def sliders(protocol: Protocol) -> tuple[Slider, ...]:
    """Every number of `protocol` that can be moved: doses and sessions first, then those of its rules."""
    document = document_of(protocol)
    shown = [knob for knob in knobs(protocol) if len(knob.values) > 1 and knob.kind != "choice"]
    return tuple(
        Slider(knob, *_words(knob, document))
        for knob in shown
        if "dose by session" not in knob.path or len(at(document, knob.path[:-1])) <= MOST_LISTED_DOSES
    )


def _words(knob: Knob, document: dict[str, Any]) -> tuple[str, str]:
    """Whose a number is, and what it is called."""
    if knob.path[0] == "drug":
        return DRUG, "dose"
    if knob.path[0] != "phases":
        rule, (*_, key, last) = at(document, knob.path[: _rule_depth(knob)])["rule"], knob.path
        limit = f"{key} {last} {comparison(at(document, knob.path))}" if str(key).endswith("when") else ""
        return RULES, f"{rule}: {limit or LABELS[str(last)]}"
    if knob.name == TAPER:
        return document["phases"][-1]["name"], "then a taper by wider spacings"
    phase, key = document["phases"][knob.path[1]], knob.path[-1]
    label = key if key in (TITRATION, DOSE_TAPER) else LABELS.get(str(key), "dose")
    if isinstance(key, int):
        listed = phase["dose by session"]
        lasts = key == len(listed) - 1 and phase.get("doses") != len(listed)
        label = f"dose from session {key + 1} on" if lasts else f"dose at session {key + 1}"
    elif key == "widen to":
        when = phase["while"]
        label = f"spacing while in {when if isinstance(when, str) else ' and '.join(map(' '.join, when.items()))}"
    return phase["name"], label


def _rule_depth(knob: Knob) -> int:
    """How much of a path leads to the rule itself."""
    return 2 if knob.path[0] in ("adjust", "decide") else 3


def changed(protocol: Protocol, numbers: Mapping[str, str], name: str | None = None) -> Protocol:
    """`protocol` with some of its numbers (by id of a slider) as given; itself when none differs and no name is given.

    A changed protocol is for research only, whatever it was made from, and says what was changed; a rule whose number
    was moved no longer counts as verified. Raises UserError, in one sentence, for whatever a file would be refused for.
    """
    by_id = {slider.id: slider for slider in sliders(protocol)}
    moved: dict[Slider, str] = {}
    for id, text in numbers.items():
        if id not in by_id:
            raise UserError(f"{protocol.name} has no number {id[:LONGEST]!r} that can be moved.")
        if text != by_id[id].own:
            moved[by_id[id]] = written(by_id[id].knob, text)
    if not moved and name is None:
        return protocol
    document = with_values(document_of(protocol), [(slider.knob, text) for slider, text in moved.items()])
    for slider, text in moved.items():
        if slider.group == RULES:
            rule = at(document, slider.knob.path[: _rule_depth(slider.knob)])
            said = f"moved from {slider.own} to {text} in the explorer, which no source says"
            rule["verified"] = "no"
            rule["note"] = f"{rule['note']}; {said}" if "note" in rule else said
    document |= {"protocol": name or default_name(protocol), "version": "0.1.0"}
    if protocol.status == "catalogue":
        document["status"] = "research only"
    if moved:
        said = "; ".join(f"{s.place}{s.label} {s.said(s.own)} → {s.said(text)}" for s, text in moved.items())
        document["title"] = f"{protocol.title} (changed)"
        document["summary"] = f"Changed from {protocol.name} {protocol.version} in the explorer: {said}."
    return checked(document)


def document_text(protocol: Protocol, numbers: Mapping[str, str], name: str | None = None) -> str:
    """The YAML of the changed protocol, as `euthymia simulate` reads it. Raises UserError, as `changed` does, and for a
    name that the catalogue has."""
    if name in catalogue():
        raise UserError(f"{name!r} is the name of a protocol of the catalogue; give this one a name of its own.")
    return to_yaml(changed(protocol, numbers, name))


def default_name(protocol: Protocol) -> str:
    """What a changed protocol is called until somebody says otherwise."""
    return f"{protocol.name[:52].rstrip('-.')}-changed"
