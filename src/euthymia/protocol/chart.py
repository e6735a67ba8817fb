"""What is known of a patient when a decision is due: numbers for one patient, or arrays for many.

Whatever is not known is NaN, or is not there at all; no rule takes that for a pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from euthymia.protocol.words import OF_THE_COURSE

if TYPE_CHECKING:
    from euthymia.protocol.document import Protocol
    from euthymia.protocol.rules import Comparison, When

Number = Any
"""A number, or an array [patients]."""

RESPONSE_PERCENT = 50.0
RESPONSE_PERCENT_CAPS5 = 30.0
"""Least fall of the score that is a response; of the CAPS-5 as trials of PTSD define it."""
REMISSION_MADRS = 12.0
"""At or below; the definition of the esketamine trials."""
RELAPSE_MADRS = 22.0
"""At this score or above at two visits in a row a response is lost, as SUSTAIN-1 defined relapse."""


@dataclass(frozen=True)
class Place:
    """Where in the protocol a patient is: the session that is due.

    phase: its number from 0; number: of the session within the phase, from 1; given: sessions so far; time_h: now, from
    the first day; since_h: since the last session (infinite before the first); before_h: when the patient was last seen
    (minus infinity before the first visit); ended: number of the phase that the last session ended (-1: none); dose: as
    last adjusted, in the drug's unit (NaN: as planned); again: how often the course has begun again; held: how often
    the session that is due was held.
    """

    phase: Number = 0
    number: Number = 1
    given: Number = 0
    time_h: Number = 0.0
    since_h: Number = np.inf
    before_h: Number = -np.inf
    ended: Number = -1
    dose: Number = np.nan
    again: Number = 0
    held: Number = 0


@dataclass(frozen=True)
class Chart:
    """measures: the latest reading of each; before: the reading at the visit before, where a rule looks back;
    conditions: 1 there, 0 not; checks_h: hours since each check was made and passed, infinite where it was made and not
    passed; signed: rules (by id) that a clinician put aside or weighed for this session, on record, 1; responded: 1
    once a response was seen in this course; place: which session is due.
    """

    measures: Mapping[str, Number] = field(default_factory=dict)
    before: Mapping[str, Number] = field(default_factory=dict)
    conditions: Mapping[str, Number] = field(default_factory=dict)
    checks_h: Mapping[str, Number] = field(default_factory=dict)
    signed: Mapping[str, Number] = field(default_factory=dict)
    responded: Number = 0
    place: Place = Place()


class Truth(NamedTuple):
    """Whether something holds, and whether that is known; nothing unknown holds."""

    yes: np.ndarray
    known: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        return ~self.known


def with_course(chart: Chart) -> Chart:
    """The chart with the measures that follow from its place."""
    place = chart.place
    own = dict(zip(OF_THE_COURSE, (place.given, place.since_h, place.time_h, place.held), strict=True))
    return replace(chart, measures={**chart.measures, **own})


def _number(values: Mapping[str, Number], name: str) -> np.ndarray:
    return np.asarray(values.get(name, np.nan), float)


def compare(c: Comparison, value: Number) -> Truth:
    """A reading against the limit of a comparison."""
    assert c.value
    x, limit = np.asarray(value, float), c.value.value
    with np.errstate(invalid="ignore"):
        yes = {
            "above": x > limit,
            "at least": x >= limit,
            "below": x < limit,
            "at most": x <= limit,
        }[c.comparison]
    return Truth(np.asarray(yes), ~np.isnan(x))


def every(*truths: Truth) -> Truth:
    """All of them: false as soon as one is known to be false, unknown while one is unknown."""
    yes, no = truths[0].yes, truths[0].known & ~truths[0].yes
    for t in truths[1:]:
        yes, no = yes & t.yes, no | (t.known & ~t.yes)
    return Truth(np.asarray(yes), np.asarray(yes | no))


def _response(protocol: Protocol, chart: Chart) -> Truth:
    of_ptsd = protocol.indication == "post-traumatic stress disorder"
    improved = _number(chart.measures, "CAPS-5 improvement" if of_ptsd else "MADRS improvement")
    return Truth(improved >= (RESPONSE_PERCENT_CAPS5 if of_ptsd else RESPONSE_PERCENT), ~np.isnan(improved))


def _relapse(chart: Chart) -> Truth:
    now, last = (_number(values, "MADRS") for values in (chart.measures, chart.before))
    responded = np.asarray(chart.responded, float)
    return every(
        Truth(responded > 0, ~np.isnan(responded)),
        *(Truth(x >= RELAPSE_MADRS, ~np.isnan(x)) for x in (now, last)),
    )


def state(protocol: Protocol, name: str, chart: Chart) -> Truth:
    """One of the states of the illness (`words.STATES`)."""
    if name == "remission":
        score = _number(chart.measures, "MADRS")
        return Truth(score <= REMISSION_MADRS, ~np.isnan(score))
    if name == "relapse":
        return _relapse(chart)
    found = _response(protocol, chart)
    return found if name == "response" else Truth(found.known & ~found.yes, found.known)


def met(protocol: Protocol, when: When, chart: Chart) -> Truth:
    """Whether every comparison of a rule's `when` holds."""
    return every(
        *(
            state(protocol, c.comparison, chart)
            if c.measure == "state"
            else compare(c, _number(chart.measures, c.measure))
            for c in when
        )
    )


def there(condition: str, chart: Chart) -> Truth:
    """Whether a condition is there."""
    value = _number(chart.conditions, condition)
    return Truth(value > 0, ~np.isnan(value))


def passed(check: str, within_h: Number, chart: Chart) -> Truth:
    """Whether a check was passed no longer ago than `within_h`; one made in the future is none."""
    age = _number(chart.checks_h, check)
    known = ~np.isnan(age)
    return Truth(np.isfinite(age) & (age >= 0) & (age <= within_h), known)


def signed(rule: str, chart: Chart) -> np.ndarray:
    """Whether a clinician put a rule aside, on record; unknown is no."""
    return _number(chart.signed, rule) > 0


WHENS = (
    "when",
    "alert_when",
    "weigh_when",
    "hold_when",
    "stop_when",
    "continue_when",
    "widen_when",
    "step_back_when",
    "begin_again_when",
)
"""Keys of rules under which a condition stands."""


def measures_used(protocol: Protocol) -> frozenset[str]:
    """Every measure that some rule of a protocol looks at."""
    found: set[str] = set()
    for _, rule in protocol.rules():
        for name in WHENS:
            for c in getattr(rule, name, None) or ():
                found |= _looked_at(protocol, c)
    found |= {rule.measure for rule in protocol.eligibility.require}
    for phase in protocol.phases:
        for c in phase.while_ or ():
            found |= _looked_at(protocol, c)
    return frozenset(found)


def _looked_at(protocol: Protocol, c: Comparison) -> set[str]:
    if c.measure != "state":
        return {c.measure}
    if c.comparison in ("remission", "relapse"):
        return {"MADRS"}
    of_ptsd = protocol.indication == "post-traumatic stress disorder"
    return {"CAPS-5 improvement" if of_ptsd else "MADRS improvement"}


__all__ = ["Chart", "Place", "Truth", "compare", "every", "measures_used", "met", "passed", "signed", "state", "there"]
