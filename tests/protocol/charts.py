"""Charts of patients in whom nothing speaks against a session, and charts where one rule does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from euthymia.protocol import Protocol, loads, words
from euthymia.protocol.chart import WHENS, Chart, Place
from euthymia.protocol.rules import (
    AdjustRule,
    BeforeRule,
    Comparison,
    DecideRule,
    Exclusion,
    Requirement,
    Rule,
    Safeguard,
    When,
)

WELL: dict[str, float] = {
    "age": 40.0,
    "weight": 70.0,
    "failed antidepressant trials": 5.0,
    "MADRS": 10.0,
    "MADRS improvement": 70.0,
    "PHQ-9": 20.0,
    "QIDS-SR16": 20.0,
    "HAM-D17": 25.0,
    "HAM-D17 improvement": 70.0,
    "YMRS": 2.0,
    "ASRM": 1.0,
    "CAPS-5": 40.0,
    "CAPS-5 improvement": 60.0,
    "PCL-5": 45.0,
    "CADSS": 4.0,
    "MOAA/S": 5.0,
    "SBP": 120.0,
    "DBP": 70.0,
    "HR": 70.0,
    "RR": 14.0,
    "SpO2": 98.0,
    "daily lorazepam equivalent": 0.0,
    "sessions in 7 days": 1.0,
    "sessions in 28 days": 4.0,
    "cumulative ketamine": 140.0,
    "highest SBP of last session": 135.0,
    "highest DBP of last session": 80.0,
    "highest CADSS of last session": 5.0,
    "recovery time of last session": 1.5,
    "urinary symptoms": 0.0,
    "cognition": 28.0,
    "drug liking": 50.0,
    "early returns": 0.0,
    "lost doses": 0.0,
    **{name: 1000.0 for name in words.MEASURES if name.startswith("time since ")},
}
FIRST = Place()
LATER = Place(phase=0, number=2, given=1, time_h=168.0, since_h=168.0, before_h=0.0)
ILL = {"MADRS": 40.0, "MADRS improvement": 0.0, "CAPS-5 improvement": 0.0}
OF_THE_PLACE = dict(zip(words.OF_THE_COURSE, ("given", "since_h", "time_h", "held"), strict=True))


def sound(place: Place = LATER, **measures: float) -> Chart:
    """Nothing speaks against the session that is due."""
    return Chart(
        measures=WELL | measures,
        before=WELL | measures,
        conditions=dict.fromkeys(words.CONDITIONS, 0.0),
        checks_h=dict.fromkeys((*words.BEFORE_CHECKS, *words.SAFEGUARDS, *words.DISCHARGE_CRITERIA), 0.5),
        responded=1.0,
        place=place,
    )


def reading(c: Comparison) -> dict[str, float]:
    """Readings that meet a comparison."""
    if c.measure == "state":
        return {"response": WELL, "remission": WELL, "no response": ILL, "relapse": ILL}[c.comparison]
    assert c.value
    return {c.measure: c.value.value + {"above": 1.0, "below": -1.0}.get(c.comparison, 0.0)}


def meeting(when: When) -> dict[str, float]:
    return {name: x for c in when for name, x in reading(c).items()}


def missing(when: When) -> dict[str, float]:
    """Readings as they are where nothing is known; of the course, which is always known, only where it is all that is
    asked about."""
    found = meeting(when)
    unknown = {name: np.nan for name in found if name not in OF_THE_PLACE}
    return found | unknown if unknown else dict.fromkeys(found, np.nan)


def place_of(protocol: Protocol, rule: Rule) -> Place:
    """Where the rule is asked."""
    if isinstance(rule, Requirement):
        return FIRST
    if isinstance(rule, AdjustRule) and rule.from_dose is not None:
        return FIRST if rule.from_dose == 1 else replace(LATER, given=rule.from_dose - 1, number=rule.from_dose)
    if isinstance(rule, AdjustRule):
        return replace(LATER, given=rule.after_dose or 1, number=2)
    if isinstance(rule, DecideRule) and rule.at.startswith("end of"):
        ended = [p.name for p in protocol.phases].index(rule.at.removeprefix("end of "))
        spent = 9  # no rule begins the course again, which would come before
        return replace(LATER, phase=min(ended + 1, len(protocol.phases) - 1), number=1, ended=ended, again=spent)
    if isinstance(rule, DecideRule) and rule.at.startswith("week"):
        due_h = 168.0 * int(rule.at.removeprefix("week "))
        return replace(LATER, time_h=due_h, before_h=due_h - 1)
    if isinstance(rule, DecideRule):
        return replace(LATER, phase=len(protocol.phases) - 1)
    return LATER


def cases(protocol: Protocol) -> Iterator[tuple[Rule, Chart, Chart, Chart]]:
    """Every rule that bears on a session, with a chart where it is quiet, one where it speaks, and one where what it
    asks about is not known."""
    for _, rule in protocol.rules():
        good = sound(place_of(protocol, rule))
        found: tuple[Any, Any] | None = None
        if isinstance(rule, Requirement):
            c = rule.limit
            assert c.value
            off = c.value.value + (-1.0 if c.comparison == "at least" else 1.0)
            found = tuple({"measures": dict(good.measures) | {c.measure: x}} for x in (off, np.nan))
        elif isinstance(rule, Exclusion | AdjustRule) and rule.condition:
            found = tuple({"conditions": dict(good.conditions) | {rule.condition: x}} for x in (1.0, np.nan))
        elif isinstance(rule, BeforeRule) and rule.check:
            found = tuple({"checks_h": dict(good.checks_h) | {rule.check: x}} for x in (np.inf, np.nan))
        elif isinstance(rule, Safeguard):
            found = of_safeguard(rule, good)
        elif isinstance(rule, DecideRule) and rule.continue_when:
            found = of_readings(good, ILL, missing(rule.continue_when))
        else:
            when = next((x for name in WHENS if (x := getattr(rule, name, None))), None)
            if when and when[0].comparison == "remission":  # the rule speaks in who is well
                good = replace(good, **of_readings(good, ILL, {})[0])
            if when and rule not in protocol.session.stop:
                found = of_readings(good, meeting(when), missing(when))
        if found:
            speaking, unknown = found
            yield rule, good, replace(good, **speaking), replace(good, **unknown)


def of_readings(good: Chart, bad: dict[str, float], gone: dict[str, float]) -> tuple[Any, Any]:
    def with_(x: dict[str, float]) -> dict[str, Any]:
        place = {field: x[name] for name, field in OF_THE_PLACE.items() if name in x and x is not WELL}
        return {
            "measures": dict(good.measures) | x,
            "before": dict(good.before) | x,
            "place": replace(good.place, **place),
        }

    return with_(bad), with_(gone)


def of_safeguard(rule: Safeguard, good: Chart) -> tuple[Any, Any] | None:
    if rule.at_least is not None:
        return tuple({"place": replace(good.place, since_h=x)} for x in (rule.at_least.value - 1, np.nan))  # type: ignore[return-value]
    if rule.at_most is not None:
        return tuple({"place": replace(good.place, given=x)} for x in (rule.at_most, np.nan))  # type: ignore[return-value]
    if rule.safeguard == "lowest effective frequency":
        return None
    return tuple({"checks_h": dict(good.checks_h) | {rule.safeguard: x}} for x in (np.inf, np.nan))  # type: ignore[return-value]


def with_parts(document, **lines: str) -> Protocol:
    return loads(document.with_lines(**lines), "example.yaml")


def calm(**measures: float) -> Chart:
    return sound(LATER, **measures)
