"""A protocol said in plain words: what, when, how watched, for whom, and how sure we are of each rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import wrap

from euthymia.protocol import words
from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK, Administration
from euthymia.protocol.document import Alongside, Exposure, Phase, Protocol
from euthymia.protocol.expand import exposure_times, schedule
from euthymia.protocol.rules import (
    AdjustRule,
    BeforeRule,
    Comparison,
    DecideRule,
    Discharge,
    Exclusion,
    ObserveRule,
    Requirement,
    Rule,
    Safeguard,
    StopRule,
    Warning,
)

WIDTH = 100
SHOWN_H = 26 * HOURS_PER_WEEK
MARKS = {"yes": "verified", "secondary": "second-hand", "no": "NOT VERIFIED"}
STATUS = {
    "catalogue": "a regimen for supervised care",
    "research only": "for research only: not a regimen to treat with",
    "contrast": "shown for contrast only: NOT a treatment",
}
CLINICIAN = (
    "This describes a regimen so that it can be simulated and discussed. It is no prescription, no advice and"
    " no medical device; its rules carry the marks above, and a clinician decides."
)


def explain(protocol: Protocol) -> str:
    """The protocol in plain words, with its calendar, rules, safeguards and sources."""
    return "\n".join(_lines(protocol)) + "\n"


def _lines(protocol: Protocol) -> Iterator[str]:
    yield protocol.title
    yield f"{protocol.name} {protocol.version}: {STATUS[protocol.status]}."
    if protocol.summary:
        yield from _folded(protocol.summary, "")
    yield from _section("Warnings", (rule.warning + _mark(rule) for rule in protocol.warnings))
    yield ""
    yield f"For: {protocol.indication} (virtual population: {protocol.population})."
    design = protocol.design
    where = "one site" if design.sites == "one" else "many sites"
    yield f"Run as: {design.expectancy}; {design.setting}; {where}."
    yield from _section("Given", _given(protocol))
    yield from _section("Calendar (day 0 is the first session)", _calendar(protocol))
    yield from _section("Before a session", (_before(rule) + _mark(rule) for rule in protocol.session.before))
    yield from _section("During a session", _during(protocol))
    yield from _section("Who may enter", _entry(protocol))
    yield from _section("Who is excluded", (_excluded(rule) + _mark(rule) for rule in protocol.eligibility.exclude))
    yield from _section("Measured", _measured(protocol))
    yield from _section("Decisions during the course", _kept(protocol))
    yield from _section("Safeguards", (_safeguard(rule) + _mark(rule) for rule in protocol.safeguards))
    yield from _section(
        "Sources",
        (
            f"{item.id} ({MARKS[item.verified]}): {item.citation}. {item.url or ''}".rstrip()
            for item in protocol.sources
        ),
    )
    yield ""
    yield from _folded(CLINICIAN, "")


def sentence(rule: Rule) -> str:
    """What a rule says, in plain words."""
    if isinstance(rule, Requirement):
        return f"may enter with {rule.limit}"
    if isinstance(rule, Exclusion):
        return f"excluded: {_excluded(rule)}"
    if isinstance(rule, BeforeRule):
        return _before(rule)
    if isinstance(rule, ObserveRule):
        return _watched(rule)
    if isinstance(rule, StopRule):
        return f"end the session when {_all(rule.when)}"
    if isinstance(rule, AdjustRule):
        return _adjust(rule)
    if isinstance(rule, DecideRule):
        return _decide(rule)
    if isinstance(rule, Safeguard):
        return _safeguard(rule)
    if isinstance(rule, Discharge):
        return f"may leave no earlier than {rule.no_earlier_than}, with: {', '.join(rule.all_of)}"
    return rule.warning if isinstance(rule, Warning) else rule.rule


def _safeguard(rule: Safeguard) -> str:
    limits = (
        f"at least {rule.at_least}" if rule.at_least else "",
        f"at most {rule.at_most} sessions" if rule.at_most else "",
        f"every {rule.every}" if rule.every else "",
        f"confirmed again after {rule.valid_for}" if rule.valid_for else "",
    )
    said = "; ".join(filter(None, limits))
    return words.SAFEGUARDS[rule.safeguard] + (f" ({said})" if said else "")


def _section(title: str, items: Iterable[str]) -> Iterator[str]:
    listed = list(items)
    if listed:
        yield ""
        yield title
        for item in listed:
            yield from _folded(item, "  ")


def _folded(text: str, indent: str) -> list[str]:
    first = f"{indent}- " if indent else ""
    rest = " " * len(first)
    return wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _mark(rule: Rule) -> str:
    note = f" ({rule.note})" if rule.note else ""
    return f"{note} [{rule.rule}; {rule.source}; {MARKS[rule.verified]}]"


def _given(protocol: Protocol) -> Iterator[str]:
    drugs = [protocol.drug] + [phase.drug for phase in protocol.phases]
    for drug in drugs:
        if drug is None:
            continue
        dose = f", {drug.dose}" if drug.dose else ""
        over = f" over {drug.over}" if drug.over else ""
        cap = f", never above {drug.never_above}" if drug.never_above else ""
        yield f"{drug.compound}, {drug.route}{dose}{over}{cap}"
    for item in protocol.alongside:
        note = f" ({item.note})" if item.note else ""
        yield f"{_daily(item)}{note} [{item.source}; {MARKS[item.verified]}]"
    for item in protocol.exposure:
        note = f" ({item.note})" if item.note else ""
        yield f"{_exposure(protocol, item)}{note} [{item.source}; {MARKS[item.verified]}]"


def _exposure(protocol: Protocol, item: Exposure) -> str:
    days = ", ".join(_day(t) for t in exposure_times(protocol, item))
    many = f"{item.sessions} sessions" if item.sessions > 1 else "one session"
    lag = f" (each {item.lag} after a session of the drug, while there are any)" if item.lag else ""
    return f"{item.therapy}, {many}{lag}: on days {days}"


def _daily(item: Alongside) -> str:
    dose = f" {item.dose}" if item.dose else ""
    start = f" from day {_day(item.start_h)}" if item.start else " from day 0"
    stop = f" until day {_day(item.stop_h)}" if item.stop else ""
    return f"every day, by mouth: {item.agent}{dose}{start}{stop}"


def _calendar(protocol: Protocol) -> Iterator[str]:
    given = schedule(protocol, SHOWN_H).administrations
    for phase in protocol.phases:
        sessions = [item for item in given if item.phase == phase.name]
        opening = f"{phase.name} ({_rhythm(phase)})"
        if not sessions:
            yield f"{opening}; begins after week 26"
            continue
        ended = phase.doses is not None or phase.until is not None
        shown = sessions if ended and len(sessions) <= 16 else sessions[:6]
        more = "" if len(shown) == len(sessions) and ended else " and so on"
        runs: list[tuple[str, list[str]]] = []
        for item in shown:
            dose, day = _dose(item), _day(item.time_h)
            if runs and runs[-1][0] == dose:
                runs[-1][1].append(day)
            else:
                runs.append((dose, [day]))
        spoken = "; ".join(f"{dose} on day{'s' * (len(days) > 1)} {', '.join(days)}" for dose, days in runs)
        widen = f"; every {phase.widen_to} while in {_all(phase.while_)}" if phase.widen_to and phase.while_ else ""
        note = f" ({phase.note})" if phase.note else ""
        yield f"{opening}: {spoken}{more}{widen}{note}"


def _rhythm(phase: Phase) -> str:
    if phase.every is None:
        return "one session"
    gaps = [str(gap) for gap in phase.every]
    rhythm = f"every {gaps[0]}" if len(gaps) == 1 else f"gaps of {', '.join(gaps)} in turn"
    if phase.doses is not None:
        return f"{phase.doses} sessions, {rhythm}"
    return rhythm + (f", to the end of week {phase.until}" if phase.until is not None else ", with no end set")


def _dose(item: Administration) -> str:
    if item.dose_mg_per_kg is not None:
        return f"{item.dose_mg_per_kg:g} mg/kg"
    return f"{item.dose_mg:g} mg" if item.dose_mg is not None else item.compound


def _day(time_h: float) -> str:
    return f"{time_h / HOURS_PER_DAY:g}"


def _all(when: tuple[Comparison, ...]) -> str:
    spoken = [item.comparison if item.measure == "state" else str(item) for item in when]
    return " and ".join(spoken)


def _before(rule: BeforeRule) -> str:
    if rule.check:
        return f"check: {rule.check}" + (f" (stands for {rule.valid_for})" if rule.valid_for else "")
    if rule.hold_when:
        return f"hold the dose when {_all(rule.hold_when)}" + (f", for {rule.for_}" if rule.for_ else "")
    if rule.weigh_when:
        return f"weigh whether to wait when {_all(rule.weigh_when)}"
    if rule.stop_when:
        return f"stop the course when {_all(rule.stop_when)}"
    return f"take note when {_all(rule.alert_when or ())}"


def _during(protocol: Protocol) -> Iterator[str]:
    session = protocol.session
    for rule in (*session.observe, *session.stop, *((session.discharge,) if session.discharge else ())):
        yield sentence(rule) + _mark(rule)


def _watched(rule: ObserveRule) -> str:
    times = ", ".join(str(time) for time in rule.at or ())
    return f"watch {', '.join(rule.items)} " + (f"at {times}" if times else f"every {rule.every} for {rule.for_}")


def _entry(protocol: Protocol) -> Iterator[str]:
    for rule in protocol.eligibility.require:
        yield str(rule.limit) + _mark(rule)


def _excluded(rule: Exclusion) -> str:
    what = rule.condition or _all(rule.when or ())
    return what + (" (a clinician may override, on record)" if rule.kind == "relative" else " (always)")


def _measured(protocol: Protocol) -> Iterator[str]:
    for item in protocol.measure:
        times = ", ".join(str(time) for time in item.at or ())
        yield f"{item.scale} " + (f"at {times}" if times else f"every {item.every}")


def _kept(protocol: Protocol) -> Iterator[str]:
    for rule in (*protocol.adjust, *protocol.decide):
        yield (_adjust(rule) if isinstance(rule, AdjustRule) else _decide(rule)) + _mark(rule)
    if protocol.adjust or protocol.decide:
        yield "the calendar above is the course as it runs while none of these rules speaks"


def _adjust(rule: AdjustRule) -> str:
    after = f"after dose {rule.after_dose}" if rule.after_dose else "at any session"
    return f"{after}, when {_all(rule.when)}: dose to {rule.dose_to}"


def _decide(rule: DecideRule) -> str:
    for name in ("continue", "stop", "widen", "step_back"):
        when = getattr(rule, f"{name}_when")
        if when is not None:
            return f"{rule.at}: {name.replace('_', ' ')} when {_all(when)}"
    assert rule.begin_again_when and rule.at_most
    times = "once" if rule.at_most == 1 else f"up to {rule.at_most} times"
    return f"{rule.at}: begin {rule.phase} again, {times}, when {_all(rule.begin_again_when)}"
