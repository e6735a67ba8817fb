"""Quantities and times of the document ("0.5 mg/kg", "3 days") as FHIR writes them, with UCUM codes, and back.

What FHIR has no place for is how a number was written ("0.50 mg/kg", "72 h" beside "3 days"): where that differs from
the plain way, the extension `urn:euthymia:written` keeps it.
"""

from __future__ import annotations

from typing import Any

from euthymia.protocol.fhir.lens import Node, Unreadable, extended, extension

UCUM_SYSTEM = "http://unitsofmeasure.org"
# UCUM code -> how the document may spell the unit
_SPELLED = {
    "mg": "mg milligram",
    "ug": "ug µg mcg microgram",
    "g": "g gram",
    "kg": "kg kilogram",
    "h": "h hr hour",
    "min": "min minute",
    "s": "s sec second",
    "d": "d day",
    "wk": "wk week",
    "mo": "month",
    "a": "year",
    "mm[Hg]": "mmHg",
    "%": "% percent",
    "{score}": "point",
    "{device}": "device",
    "{beat}": "beat",
    "{breath}": "breath",
    "{trial}": "trial",
    "{session}": "session",
    "{event}": "event",
    "L": "L liter litre",
}
UCUM = {word: code for code, spelled in _SPELLED.items() for word in spelled.split()}
# UCUM code of a time -> the word of the document for one of it, and for several
TIMES = {
    "s": ("s", "s"),
    "min": ("min", "min"),
    "h": ("h", "h"),
    "d": ("day", "days"),
    "wk": ("week", "weeks"),
    "mo": ("month", "months"),
    "a": ("year", "years"),
}
HOURS = {"s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0, "wk": 168.0, "mo": 730.5, "a": 8766.0}


def ucum(unit: str) -> str:
    """The UCUM code of a unit as the document spells it."""

    def code(word: str) -> str:
        while word not in UCUM and word.endswith("s"):
            word = word[:-1]
        return UCUM[word]

    return "/".join(map(code, unit.split("/")))


def number(text: str) -> int | float:
    """A number of the document as JSON writes it: whole where it is whole."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def spelled(value: Any, code: Any) -> str:
    """A time in the plain words of the document: 1 and "wk" are "1 week". Raises Unreadable."""
    if code not in TIMES or value is None:
        raise Unreadable(f"not a time; allowed: a number, and one of {', '.join(TIMES)}")
    return f"{number(str(value))} {TIMES[code][value != 1]}"


def quantity(text: str) -> Node:
    """A quantity of the document as a FHIR Quantity."""
    value, unit = text.split(" ")
    found: Node = {"value": number(value), "unit": unit, "system": UCUM_SYSTEM, "code": ucum(unit)}
    if f"{found['value']} {unit}" != text:
        extended(found, "written", "valueString", text)
    return found


def quantity_text(found: Node | None) -> str | None:
    """A FHIR Quantity as the document writes it. Raises Unreadable."""
    if found is None:
        return None
    if "value" not in found or "unit" not in found:
        raise Unreadable("a quantity needs `value` and `unit`")
    return extension(found, "written", "valueString") or f"{number(str(found['value']))} {found['unit']}"


def put_time(repeat: Node, text: str, value_key: str, unit_key: str) -> None:
    """Write a time into a Timing.repeat, under the two elements named."""
    value, unit = text.split(" ")
    repeat[value_key], repeat[unit_key] = number(value), ucum(unit)
    if spelled(repeat[value_key], repeat[unit_key]) != text:
        extended(repeat, "written", "valueString", text)


def time_text(repeat: Node, value_key: str, unit_key: str) -> str | None:
    """Read what `put_time` wrote; None where there is none. Raises Unreadable."""
    if value_key not in repeat and unit_key not in repeat:
        return None
    return extension(repeat, "written", "valueString") or spelled(repeat.get(value_key), repeat.get(unit_key))
