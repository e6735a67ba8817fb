"""How far trials go, and what of a regimen in depression no human data support."""

from functools import cache
from math import ceil
from typing import NamedTuple

from euthymia.course.simulate import MAXIMUM_WEEKS, beyond_evidence
from euthymia.drug.compounds import COMPOUNDS
from euthymia.protocol import Protocol, Schedule, load, schedule
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.trial.document import Arm, catalogue
from euthymia.trial.replicas import calendar

Way = tuple[str, str]
"""Compound and route."""


class Reach(NamedTuple):
    """How far one way of giving a drug was taken in trials, in weeks from the first session. treated: until the last
    session; followed: until the last observation; and the trials that went so far."""

    treated: int
    treated_in: str
    followed: int
    followed_in: str


class Beyond(NamedTuple):
    """From the end of which week of a regimen on no trial went as far; and what is beyond, in words."""

    week: int
    said: tuple[str, ...]


@cache
def reach() -> dict[Way, Reach]:
    """Of all published trials in depression that the model is compared with."""
    treated: dict[Way, tuple[int, str]] = {}
    followed: dict[Way, tuple[int, str]] = {}
    for trial in catalogue():
        for arm in trial.arms if trial.illness == "depression" else ():
            last_h = max((e.at.value for e in trial.endpoints if arm.arm in e.arm), default=0.0)
            if not last_h:
                continue
            given = calendar(trial, arm, last_h if _goes_on(arm) else HOURS_PER_WEEK * MAXIMUM_WEEKS)
            for way, last_session_h in _last_sessions(given).items():
                for farthest, h in ((treated, last_session_h), (followed, last_h)):
                    here = max(1, ceil(h / HOURS_PER_WEEK)), trial.trial
                    farthest[way] = max(farthest.get(way, here), here, key=lambda x: x[0])
    return {way: Reach(*treated[way], *followed[way]) for way in treated}


def beyond_trials(protocol: Protocol, weeks: int) -> Beyond | None:
    """Where a regimen, with sessions as planned, goes on for longer than any trial did; None where it does not."""
    marks: dict[str, int] = {}
    no_trial = "no trial that the model is compared with"
    for way, last_session_h in _last_sessions(schedule(protocol, HOURS_PER_WEEK * weeks)).items():
        drug = ", ".join(way)
        if way not in reach():
            marks[f"extrapolation: {no_trial} gave {drug}, in depression"] = 0
            continue
        known = reach()[way]
        if last_session_h > HOURS_PER_WEEK * known.treated:
            said = f"sessions after week {known.treated}; {no_trial} gave {drug}, for longer ({known.treated_in})"
            marks[f"extrapolation: {said}"] = known.treated
        if weeks > known.followed:
            said = f"anything after week {known.followed}; {no_trial} followed patients on {drug}, for longer"
            marks[f"extrapolation: {said} ({known.followed_in})"] = known.followed
    return Beyond(min(marks.values()), tuple(marks)) if marks else None


def extrapolations(protocol: Protocol, weeks: int) -> tuple[str, ...]:
    """What of a regimen no human data support, in words."""
    said = beyond_evidence(schedule(protocol, HOURS_PER_WEEK * weeks), protocol.population)
    beyond = beyond_trials(protocol, weeks)
    return (*said, *beyond.said) if beyond else said


def _last_sessions(given: Schedule) -> dict[Way, float]:
    """When each active drug is given last (h)."""
    return {(a.compound, a.route): a.time_h for a in given.administrations if a.compound in COMPOUNDS}


def _goes_on(arm: Arm) -> bool:
    """Whether the sessions of an arm would go on for good, so that they are known as far as it was observed."""
    if arm.given is None or arm.given.protocol is None:
        return False
    return any(p.doses is None and p.until is None for p in load(arm.given.protocol).phases)
