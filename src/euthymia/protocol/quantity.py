"""Quantities written with their units ("0.5 mg/kg", "40 min"), parsed by pint into the engine's fixed units.

Pint is imported on first use. Its registry holds only the units below, so nothing else can be written by
mistake, and body weight is a dimension of its own: a milligram per kilogram is not a bare number.
"""

import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

_UNITS = (
    "milligram = [mass] = mg = milligrams",
    "microgram = milligram / 1000 = ug = µg = mcg = micrograms",
    "gram = 1000 * milligram = g = grams",
    "kilogram = [body_weight] = kg = kilograms",
    "hour = [time] = h = hours = hr",
    "minute = hour / 60 = min = minutes",
    "second = minute / 60 = s = seconds = sec",
    "day = 24 * hour = d = days",
    "week = 7 * day = wk = weeks",
    "month = 30.4375 * day = months",
    "year = 365.25 * day = years",
    "mmHg = [pressure]",
    "percent = [fraction] = %",
    "point = [score] = points",
    "device = [device] = devices",
    "beat = [beat] = beats",
    "breath = [breath] = breaths",
    "trial = [trial] = trials",
    "session = [session] = sessions",
    "event = [event] = events",
    "liter = [volume] = L = litre = litres = liters",
)

# kind -> (internal units it may take, what to tell someone who wrote something else)
KINDS: dict[str, tuple[tuple[str, ...], str]] = {
    "dose": (("mg", "mg/kg"), 'a mass such as "56 mg" or a mass per body weight such as "0.5 mg/kg"'),
    "mass": (("mg",), 'a mass such as "100 mg"'),
    "daily dose": (("mg/day",), 'a mass per day such as "50 mg/day"'),
    "duration": (("hour",), 'a time such as "40 min", "2 h", "3 days" or "1 week"'),
    "pressure": (("mmHg",), 'a pressure such as "140 mmHg"'),
    "heart rate": (("beat/min",), 'a rate such as "120 beats/min"'),
    "breathing rate": (("breath/min",), 'a rate such as "10 breaths/min"'),
    "percent": (("percent",), 'a percentage such as "50 %"'),
    "score": (("point",), 'scale points such as "12 points"'),
    "age": (("year",), 'an age such as "65 years"'),
    "weight": (("kg",), 'a body weight such as "45 kg"'),
    "count": (("trial",), 'a count such as "2 trials"'),
    "sessions": (("session",), 'a number of sessions such as "8 sessions"'),
    "events": (("event",), 'a number of events such as "1 event"'),
}

_SHAPE = re.compile(
    r"\s*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?)\s*([a-zA-Zµ%]+(?:\s*/\s*[a-zA-Z]+)?)\s*"
)


@dataclass(frozen=True)
class Quantity:
    """A number in the engine's unit: `value` in `unit`; `text` is what was written, spaces evened out."""

    text: str
    value: float
    unit: str

    def __str__(self) -> str:
        return self.text


@cache
def _registry() -> Any:
    import pint

    # ours only: no file of definitions to read, 5 ms instead of 300
    registry = pint.UnitRegistry(None)  # pyright: ignore[reportArgumentType]
    for line in _UNITS:
        registry.define(line)
    return registry


def parse(text: object, kind: str) -> Quantity:
    """Read `text` as a quantity of `kind` (a key of `KINDS`).

    Raises ValueError with one sentence when it is no quantity, its unit is unknown or its dimension wrong.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected {KINDS[kind][1]}")
    return _read(text, kind)


@lru_cache(4096)  # a rule's limit is read at every visit
def _read(text: str, kind: str) -> Quantity:
    import pint

    targets, allowed = KINDS[kind]
    shown = text if len(text) <= 60 else text[:57] + "..."
    match = _SHAPE.fullmatch(text[:100]) if text.isprintable() else None
    if match is None:
        bare = re.fullmatch(r"\s*[+-]?[0-9.]+\s*", text[:100])
        why = "has no unit" if bare else "is not a number with a unit"
        raise ValueError(f'"{shown}" {why}; allowed: {allowed}')
    number, unit_text = match[1], re.sub(r"\s+", "", match[2])
    registry = _registry()
    try:
        given = registry.Quantity(float(number), registry.parse_units(unit_text))
    except (pint.errors.PintError, AttributeError, ValueError, AssertionError):
        raise ValueError(f'"{shown}" has a unit nobody here knows; allowed: {allowed}') from None
    for target in targets:
        if given.check(registry.parse_units(target).dimensionality):
            value = float(given.to(target).magnitude)
            if not math.isfinite(value):
                break
            return Quantity(f"{number.lstrip('+')} {unit_text}", value, target)
    raise ValueError(f'"{shown}" is {_what(given)}; allowed: {allowed}')


def _what(given: Any) -> str:
    names = {
        "[time]": "a time",
        "[mass]": "a mass",
        "[mass] / [body_weight]": "a mass per body weight",
        "[mass] / [time]": "a mass per time",
        "[pressure]": "a pressure",
        "[fraction]": "a percentage",
        "[score]": "a score",
        "[body_weight]": "a body weight",
    }
    return names.get(str(given.dimensionality), "of another kind")
