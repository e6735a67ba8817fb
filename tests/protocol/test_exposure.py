"""Exposure therapy has a calendar of its own, or follows the drug at a lag."""

from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.protocol import loads, schedule

TEXT = (files("euthymia.protocol") / "catalogue" / "ketamine-then-exposure.yaml").read_text("utf-8")
WRITTEN = "sessions: 10, lag: 1 day, every: 1 week"
assert WRITTEN in TEXT


def with_exposure(written: str) -> str:
    return TEXT.replace(WRITTEN, written)


@given(st.integers(0, 150))
def test_each_exposure_follows_its_infusion_by_the_lag(lag_h: int):
    calendar = schedule(loads(with_exposure(f"sessions: 3, lag: {lag_h} h")), 5000.0)
    assert calendar.exposures_h == tuple(a.time_h + lag_h for a in calendar.administrations)


def test_after_the_last_infusion_exposures_go_on_at_their_own_rhythm():
    days = [
        t / 24 for t in schedule(loads(with_exposure("sessions: 5, lag: 2 days, every: 10 days")), 5000.0).exposures_h
    ]
    assert days == [2, 9, 16, 26, 36]


def test_without_a_lag_exposures_do_not_look_at_infusions():
    days = [
        t / 24 for t in schedule(loads(with_exposure("sessions: 3, starts: 4 days, every: 2 days")), 5000.0).exposures_h
    ]
    assert days == [4, 6, 8]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("sessions: 3, lag: 1 day, starts: 2 days, every: 1 week", "give `starts` or `lag`, not both"),
        ("sessions: 3, lag: -2 h", "a time before the session"),
        ("sessions: 3, starts: -2 h, every: 1 week", "a time before the first day"),
        ("sessions: 4, lag: 1 day", "the drug has 3 sessions for 4 of prolonged exposure"),
        ("sessions: 4", "`every` is needed unless there is one session"),
    ],
)
def test_a_calendar_that_cannot_be_is_refused(written: str, said: str):
    with pytest.raises(UserError, match="line") as error:
        loads(with_exposure(written))
    assert said in str(error.value)


def test_a_lag_needs_sessions_to_follow():
    text = (files("euthymia.protocol") / "catalogue" / "prolonged-exposure.yaml").read_text("utf-8")
    assert "starts" not in text
    with pytest.raises(UserError, match="there are no sessions of a drug to follow"):
        loads(text.replace("every: 1 week, source: CERV", "every: 1 week, lag: 1 day, source: CERV"))
