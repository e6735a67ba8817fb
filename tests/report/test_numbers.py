"""Numbers as people read them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.report.numbers import LEAST, in_full, positive, readable, span
from euthymia.report.series import rounded

NUMBERS = st.floats(-1e5, 1e5) | st.floats(-1e-2, 1e-2)


@given(NUMBERS)
def test_a_number_is_never_in_powers_of_ten_and_never_reads_as_another(x):
    three = rounded(x) or 0.0
    said = readable(three)
    assert "e-" not in said
    if said.startswith(("below", "above")):
        assert 0 < abs(three) < LEAST and ("-" in said) == (three < 0)
    else:
        assert float(said) == three


@given(NUMBERS, st.integers(0, 3))
def test_what_is_more_than_nothing_never_reads_as_nothing(x, digits):
    said = positive(x, digits)
    below = re.fullmatch(r"below ([0-9.]+)", said)
    assert 0 < x < float(below[1]) if below else abs(float(said) - x) <= 0.5 * 10.0**-digits + 1e-9
    assert x <= 0 or below or float(said) > 0


@given(st.floats(1e-9, 1e9))
def test_a_parameter_is_written_in_full(x):
    assert "e" not in in_full(x) and float(in_full(x)) == pytest.approx(x, rel=1e-5)


def test_ends_that_read_alike_are_said_once():
    assert span(1e-9, 2e-5) == "below 0.001" and span(1e-9, 0.5) == "below 0.001 to 0.5"
