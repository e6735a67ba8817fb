"""Where a regimen lies outside what was tried: its doses, spacing, number of sessions and horizon beside the ranges of
published studies of its drug and route in the illness.

Ranges come from the trial outcomes of the evidence and from the documents of published trials, each end with the study
that gives it; what a study did not print in numbers is not counted. What lies inside all ranges was not tried for that:
the dose of one study and the spacing of another may never have met.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, get_args

import numpy as np

from euthymia import evidence
from euthymia.course.simulate import beyond_evidence
from euthymia.design.aims import ILLNESSES
from euthymia.drug.compounds import COMPOUNDS
from euthymia.evidence.tables import Outcome, Set
from euthymia.patient.population import illness_of
from euthymia.protocol import Protocol, schedule
from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK, Schedule
from euthymia.trial.document import catalogue
from euthymia.trial.replicas import calendar

ROUTES = {
    ("esketamine", "intranasal"): "intranasal device",
    ("racemic ketamine", "intranasal"): "compounded nasal spray",
    ("racemic ketamine prolonged release", "oral"): "oral prolonged release",
}
"""What a route of the outcomes is called in a protocol, by the drug as written there."""
INDICATIONS = {
    "depression": r"TRD|MDD",
    "bipolar": r"bipolar",
    "ptsd": r"PTSD(?!\(animal\))",
}
"""How the outcomes say whom a study was about, by illness."""
GAPS_D: tuple[tuple[str, tuple[float, ...]], ...] = (
    (r"\bdaily\b", (1.0,)),
    (r"3x/w", (2.0, 3.0)),
    (r"2x/w", (3.0, 4.0)),
    (r"\bweekly\b", (7.0,)),
    (r"every 2 wk|q2wk", (14.0,)),
    (r"q4wk", (28.0,)),
)
"""Days between sessions, by how a schedule is written in the outcomes."""
WEEKS = {"min": 1 / 10080, "h": 1 / 168, "d": 1 / 7, "wk": 1.0, "mo": 365.25 / 84, "y": 365.25 / 7}
BOTH_ENDS = ("dose (mg)", "dose (mg/kg)", "days between sessions")
"""Of which less than the least is outside too."""
MINUTE = 1e-3
"""Two gaps, in days, closer than that are alike."""


class End(NamedTuple):
    """One end of a range, and the study that gives it."""

    value: float
    study: str


class Range(NamedTuple):
    """The least and the most that was tried. what: "dose (mg/kg)", "dose (mg)", "days between sessions", "sessions" or
    "weeks of follow-up"."""

    what: str
    low: End
    high: End


class Beyond(NamedTuple):
    """what: "dose", "spacing", "sessions", "horizon", "route" or "other"; says: how it lies outside, in a clause;
    week: from the end of which it does; None where only a rule may take it there."""

    what: str
    says: str
    week: int | None = 0


Found = tuple[str, float, str]
"""What, value, study."""


@cache
def tried(compound: str, route: str, illness: str = "depression") -> tuple[Range, ...]:
    """What published studies of an illness tried of a drug by a route; empty where there is none."""
    by: dict[str, list[End]] = {}
    for what, value, study in (*_of_outcomes(compound, route, illness), *_of_trials(compound, route, illness)):
        by.setdefault(what, []).append(End(value, study))
    return tuple(
        Range(what, min(ends, key=lambda e: e.value), max(ends, key=lambda e: e.value)) for what, ends in by.items()
    )


def _of_outcomes(compound: str, route: str, illness: str) -> Iterator[Found]:
    for row in evidence.outcomes(set=get_args(Set)):
        if not re.search(INDICATIONS[illness], row.indication) or _given(row) != (compound, route):
            continue
        study = _named(row)
        for number in re.findall(r"[0-9.]+", row.dose):
            if row.dose_unit in ("mg", "mg/kg"):
                yield f"dose ({row.dose_unit})", float(number), study
        for written, gaps in GAPS_D:
            if re.search(written, row.schedule):
                yield from (("days between sessions", gap, study) for gap in gaps)
        for number in re.findall(r"[0-9]+", row.n_doses):
            yield "sessions", float(number), study
        if row.time_unit in WEEKS and re.fullmatch(r"[0-9.]+", row.time):
            yield "weeks of follow-up", WEEKS[row.time_unit] * float(row.time), study


def _given(row: Outcome) -> tuple[str, str] | None:
    drug = re.sub(r"( \(stopped\))?( \+ .*)?$", "", row.drug)
    compound = drug.removesuffix(" prolonged release")
    return (compound, ROUTES.get((drug, row.route), row.route)) if compound in COMPOUNDS else None


def _named(row: Outcome) -> str:
    """Author and year, or what the study is called where no author is."""
    name = row.source.split(";")[0]
    return name if name[0].isalpha() else row.study


def _of_trials(compound: str, route: str, illness: str) -> Iterator[Found]:
    names = {row.study: _named(row) for row in reversed(evidence.outcomes(set=get_args(Set)))}
    for trial in catalogue():
        for arm in trial.arms if trial.illness == ILLNESSES[illness] else ():
            ends = [e.at.value for e in trial.endpoints if arm.arm in e.arm]
            course = calendar(trial, arm, max(ends)) if arm.given and ends else None
            if course is None or {(a.compound, a.route) for a in course.administrations} != {(compound, route)}:
                continue
            study = " and ".join(dict.fromkeys(names.get(s, s) for s in trial.studies))
            yield from ((what, value, study) for what, value in _used(course))
            yield "weeks of follow-up", max(ends) / HOURS_PER_WEEK, study


def _used(course: Schedule) -> Iterator[tuple[str, float]]:
    """What a course uses of doses, gaps and sessions."""
    active = [a for a in course.administrations if a.compound in COMPOUNDS]
    for a in active:
        if a.dose_mg is not None:
            yield "dose (mg)", a.dose_mg
        if a.dose_mg_per_kg is not None:
            yield "dose (mg/kg)", a.dose_mg_per_kg
    for gap in np.unique(np.diff([a.time_h for a in active])):
        yield "days between sessions", float(gap) / HOURS_PER_DAY
    yield "sessions", float(len(active))


def too_long(protocol: Protocol, weeks: float) -> tuple[str, ...]:
    """That no study followed people for so many weeks, as a warning; empty where one did."""
    if protocol.population == "healthy":
        return ()
    return tuple(f"extrapolation: {x.says}" for x in beyond(protocol, weeks) if x.what == "horizon")


def beyond(protocol: Protocol, weeks: float) -> tuple[Beyond, ...]:
    """Where a regimen followed for so many weeks lies outside what was tried, counting what its rules may ask for."""
    course, illness = schedule(protocol, HOURS_PER_WEEK * weeks), illness_of(protocol.population)
    given = {(a.compound, a.route) for a in course.administrations if a.compound in COMPOUNDS}
    said = [Beyond("other", x.removeprefix("extrapolation: ")) for x in beyond_evidence(course, protocol.population)]
    for compound, route in sorted(given):
        ranges = {r.what: r for r in tried(compound, route, illness)}
        if not ranges:
            whose = ILLNESSES[illness]
            said.append(Beyond("route", f"no study of {whose} known here gave {compound} by this route: {route}"))
            continue
        values = list(_used(course))
        values += [(f"dose ({rule.dose_to.unit})", rule.dose_to.value) for rule in protocol.adjust]
        values += [
            ("days between sessions", phase.widen_to.value / HOURS_PER_DAY)
            for phase in protocol.phases
            if phase.widen_to
        ]
        values.append(("weeks of follow-up", float(weeks)))
        said += _outside(values, ranges, [a.time_h for a in course.administrations if a.compound in COMPOUNDS])
    return tuple(said)


def _outside(values: list[tuple[str, float]], ranges: dict[str, Range], sessions_h: list[float]) -> Iterator[Beyond]:
    for what in dict.fromkeys(what for what, _ in values):
        used = [x for name, x in values if name == what]
        least, most, known = min(used), max(used), ranges.get(what)
        short, unit = SAID[what]
        if known is None:
            if short == "spacing":
                yield Beyond(short, "no study repeated the dose, or none says how it was spaced")
            elif short == "dose":
                yield Beyond(short, f"no study gave a dose in {unit}")
            continue
        if most > known.high.value + MINUTE:
            week = _from_week(short, known.high.value, sessions_h)
            yield Beyond(short, _said(most, unit, "more than in any study", known.high), week)
        if least < known.low.value - MINUTE and what in BOTH_ENDS:
            yield Beyond(short, _said(least, unit, "less than in any study", known.low))


def _from_week(short: str, most: float, sessions_h: list[float]) -> int | None:
    """The end of which week is the last before a course has more than the most that was tried."""
    if short == "horizon":
        return int(most)
    if short == "sessions":
        return int(sessions_h[int(most)] // HOURS_PER_WEEK)
    if short == "spacing":
        wide = np.flatnonzero(np.diff(sessions_h) > HOURS_PER_DAY * most + MINUTE)
        return int(sessions_h[wide[0]] // HOURS_PER_WEEK) if len(wide) else None
    return 0


SAID = {
    "dose (mg)": ("dose", "mg"),
    "dose (mg/kg)": ("dose", "mg/kg"),
    "days between sessions": ("spacing", "days between sessions"),
    "sessions": ("sessions", "sessions planned"),
    "weeks of follow-up": ("horizon", "weeks followed"),
}
"""Of what was tried: its short name, and its unit in a sentence."""


def _said(value: float, unit: str, how: str, end: End) -> str:
    number = f"{value:.3g}" if value < 100 else f"{value:.0f}"
    limit = f"{end.value:.3g}" if end.value < 100 else f"{end.value:.0f}"
    return f"{number} {unit}, {how} ({limit} in {end.study})"
