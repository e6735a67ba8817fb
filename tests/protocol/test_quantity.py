"""Quantities with units: what is read, and what is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.protocol.quantity import KINDS, Quantity, parse


@pytest.mark.parametrize(
    ("text", "kind", "value", "unit"),
    [
        ("0.5 mg/kg", "dose", 0.5, "mg/kg"),
        ("500 mcg/kg", "dose", 0.5, "mg/kg"),
        ("56 mg", "dose", 56.0, "mg"),
        ("0.1 g", "mass", 100.0, "mg"),
        ("90 min", "duration", 1.5, "hour"),
        ("3 days", "duration", 72.0, "hour"),
        ("1 week", "duration", 168.0, "hour"),
        ("140 mmHg", "pressure", 140.0, "mmHg"),
        ("25 %", "percent", 25.0, "percent"),
        ("100 mg/day", "daily dose", 100.0, "mg/day"),
        ("120 beats/min", "heart rate", 120.0, "beat/min"),
        ("-1 mg", "dose", -1.0, "mg"),
    ],
)
def test_reads_value_in_the_engines_unit(text: str, kind: str, value: float, unit: str) -> None:
    quantity = parse(text, kind)
    assert quantity.value == pytest.approx(value, rel=1e-12)
    assert quantity.unit == unit


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("40 min", "dose", "is a time"),
        ("0.5 %", "dose", "is a percentage"),
        ("0.5 mg/kg", "mass", "is a mass per body weight"),
        ("0.5 mg/kg/h", "dose", "is not a number with a unit"),
        ("0.5", "dose", "has no unit"),
        ("twice weekly", "duration", "is not a number with a unit"),
        ("nan mg", "dose", "is not a number with a unit"),
        ("inf mg", "dose", "is not a number with a unit"),
        ("0,5 mg", "dose", "is not a number with a unit"),
        ("2**99 mg", "dose", "is not a number with a unit"),
        ("5 furlongs", "duration", "has a unit nobody here knows"),
    ],
)
def test_refuses_with_the_reason_and_what_is_allowed(text: str, kind: str, reason: str) -> None:
    with pytest.raises(ValueError, match="allowed") as caught:
        parse(text, kind)
    assert reason in str(caught.value)


@given(st.text(), st.sampled_from(sorted(KINDS)))
def test_any_text_is_a_quantity_or_a_value_error(text: str, kind: str) -> None:
    try:
        quantity = parse(text, kind)
    except ValueError:
        return
    assert isinstance(quantity, Quantity)


@given(st.floats(0.001, 1000).map(lambda x: round(x, 6)))
def test_what_is_read_is_shown_again_and_reads_the_same(value: float) -> None:
    quantity = parse(f"{value} mg/kg", "dose")
    assert parse(str(quantity), "dose") == quantity
