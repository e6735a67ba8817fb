"""What is varied in a protocol, and the regimens that come of it: each a complete, checked protocol of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from euthymia.design.knobs import (
    Knob,
    checked,
    document_of,
    knobs,
    quantity,
    with_units,
    with_values,
    written,
    written_as,
)
from euthymia.design.tapers import NONE
from euthymia.errors import UserError
from euthymia.protocol.document import Protocol
from euthymia.protocol.rules import near

MOST = 5000
"""Regimens that are enumerated at most."""
EVENLY = 5
"""Values of a range of what is not prescribed in steps."""


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


def counted(regimens: int) -> str:
    """How many there are, in words."""
    return f"{regimens:,} regimen" + ("" if regimens == 1 else "s")


# --- the values of each -----------------------------------------------------------------------------------------------


def searched(protocol: Protocol) -> dict[str, Knob]:
    """What a search may vary, by every name it has: not who may be treated, and how safely."""
    found = [knob for knob in knobs(protocol) if not knob.guards]
    return {name: knob._replace(name=name) for knob in found for name in (knob.name, knob.short) if name}


def varied(protocol: Protocol, text: str) -> tuple[Knob, tuple[str, ...]]:
    """What `text` varies, and through which values: "dose=0.25..1.0 mg/kg", "interval=2 days..2 weeks",
    "interval=3 days + 4 days, 1 week", "doses=4, 6, 8", "dose=0.25..1 mg/kg in 4", "ADJ-1=on, off". A range takes the
    steps inside it at which such things are prescribed, and its ends. Raises UserError for anything else."""
    name, equals, values = (part.strip() for part in text.partition("="))
    if not equals or not values:
        raise UserError(f'"{text}" says nothing to vary; write it as "dose=0.25..1.0 mg/kg" or "doses=4, 6, 8".')
    known = searched(protocol)
    if name not in known:
        if any(name == knob.name for knob in knobs(protocol)):
            raise UserError(f"{name}: how safely somebody is treated is not for a search to decide.")
        raise UserError(f"{protocol.name} has no {name!r} to vary{near(name, known)}.")
    knob = known[name]
    if knob.kind != "choice" and ".." in values:
        return knob, _range(knob, values)
    given = values.split(",")
    given = [item.strip() for item in given] if knob.kind == "choice" else with_units(given)
    found = tuple(written(knob, item) for item in given)
    again = next((x for k, x in enumerate(found) if x in found[:k]), None)
    if again is not None:
        raise UserError(f"{knob.name}: {again} is given twice.")
    return knob, found


def _range(knob: Knob, values: str) -> tuple[str, ...]:
    match = re.fullmatch(r"(.+?)\.\.(.+?)(?:\s+in\s+([0-9]+))?", values)
    if not match:
        raise UserError(f'{knob.name}: "{values}" is not a range; write "0.25..1.0 mg/kg" or "0.25..1.0 mg/kg in 4".')
    low, high = (quantity(knob, item) for item in with_units([match[1], match[2]]))
    if low.value > high.value:
        raise UserError(f"{knob.name}: {values} is empty; write the lower end first.")
    if match[3] and not 2 <= int(match[3]) <= 100:
        raise UserError(f"{knob.name}: a range is cut into 2 to 100 values, not {match[3]}.")
    steps = _steps(knob, low.value, high.value, int(match[3]) if match[3] else None)
    return tuple(dict.fromkeys(written_as(knob, x, low.unit) for x in steps))


def _steps(knob: Knob, low: float, high: float, count: int | None) -> list[float]:
    if low == high:
        return [low]
    unit = {"number": 1.0, "week": 168.0}.get(knob.kind)
    whole = [low + unit * k for k in range(round((high - low) / unit) + 1)] if unit else []
    if count is None and knob.kind == "number":
        return whole
    if count is None and len(knob.values) > 1:
        prescribed = [quantity(knob, text).value for text in knob.values if "+" not in text and text != NONE]
        return [low, *(x for x in prescribed if low < x < high), high]
    n = count or EVENLY
    if whole:
        return whole if len(whole) <= n else sorted({whole[round(k * (len(whole) - 1) / (n - 1))] for k in range(n)})
    return [round(low + (high - low) * k / (n - 1), 6) for k in range(n)]


# --- the regimens -----------------------------------------------------------------------------------------------------


def axes_of(protocol: Protocol, vary: Sequence[str]) -> list[tuple[Knob, tuple[str, ...]]]:
    """What is varied and through which values. Raises UserError: nothing to vary, or the same twice."""
    if not vary:
        raise UserError(
            f'say what to vary, such as --vary "dose=0.25..1.0 mg/kg"; {protocol.name} has: {_all(protocol)}.'
        )
    axes = [varied(protocol, text) for text in vary]
    paths = [knob.path for knob, _ in axes]
    twice = next((knob for k, (knob, _) in enumerate(axes) if knob.path in paths[:k]), None)
    if twice:
        raise UserError(f"{twice.name} is varied twice.")
    return axes


def space(protocol: Protocol, vary: Sequence[str]) -> Space:
    """Every combination of what is varied. Raises UserError: nothing to vary, the same twice, too many, or none that
    the safety bounds allow."""
    axes = axes_of(protocol, vary)
    count = 1
    for _, values in axes:
        count *= len(values)
    if count > MOST:
        raise UserError(
            f"{count:,} regimens are too many to compare one by one, at most {MOST:,}; take fewer values, such as "
            f'"{axes[0][0].name}=A..B in 4", or look at some of them first: --scout 400.'
        )
    document = document_of(protocol)
    regimens: list[Regimen] = []
    refused = []
    for values in product(*(values for _, values in axes)):
        chosen = {knob.name: value for (knob, _), value in zip(axes, values, strict=True)}
        try:
            made = checked(with_values(document, zip((knob for knob, _ in axes), values, strict=True)))
        except UserError as error:
            refused.append((chosen, str(error)))
        else:
            regimens.append(Regimen(len(regimens), chosen, made))
    if not regimens:
        raise UserError(f"no regimen of this space is allowed; the first is refused because {refused[0][1]}")
    return Space(tuple(regimens), tuple(refused))


def _all(protocol: Protocol) -> str:
    return ", ".join(searched(protocol)) or "nothing"
