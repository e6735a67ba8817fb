"""A protocol said in plain words: what, when, how watched, for whom, and how sure we are of each rule.

`sentence` is the one place where a rule becomes words; `parts` is the whole document said so, in the order a clinician
reads it, for the terminal, the page and the PDF alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from euthymia.protocol import words
from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK, Administration
from euthymia.protocol.decide import RETRY_H
from euthymia.protocol.document import Alongside, Drug, Exposure, Phase, Protocol
from euthymia.protocol.expand import exposure_times, schedule
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.rules import (
    AdjustRule,
    BeforeRule,
    Comparison,
    DecideRule,
    Discharge,
    Entry,
    Exclusion,
    Measure,
    ObserveRule,
    Requirement,
    Rule,
    Safeguard,
    StopRule,
    Warning,
    When,
)

WIDTH = 100
SHOWN_WEEKS = 26
SHOWN_H = SHOWN_WEEKS * HOURS_PER_WEEK
MARKS = {"yes": "verified", "secondary": "second-hand", "no": "NOT VERIFIED"}
STATUS = {
    "catalogue": "a regimen for supervised care",
    "research only": "for research only: not a regimen to treat with",
    "contrast": "shown for contrast only: NOT a treatment",
}
KINDS = {"absolute": "always excluded", "relative": "excluded unless a clinician overrides it, on record"}
BEFORE = {
    "alert_when": "take note when",
    "weigh_when": "weigh whether to wait when",
    "hold_when": "hold the dose when",
    "stop_when": "stop the course when",
}
PHASE_TOLD = (
    *("name", "doses", "until", "starts", "every", "dose", "dose_by_session"),
    *("drug", "widen_to", "while_", "note"),
)
ABOUT = ("rule", "source", "verified", "note")
SET_BY_CLINIC = "set by the clinic"
IF_NO_RULE_SPEAKS = "This is the course if no rule speaks: a rule may hold, adjust, widen or stop it."
CLINICIAN = (
    "This describes a regimen so that it can be simulated and discussed. It is no prescription, no advice and"
    " no medical device; its rules carry the marks above, and a clinician decides."
)


@dataclass(frozen=True)
class Said:
    """One thing a protocol says. rule: its id; source, verified: where it has them; clinic: whether a number in it is
    the clinic's to set; url: of a source."""

    text: str
    note: str | None = None
    rule: str | None = None
    source: str | None = None
    verified: words.Verified | None = None
    clinic: bool = False
    url: str | None = None

    @property
    def mark(self) -> str:
        """How far it was checked, in words; empty where nothing was to check."""
        return MARKS[self.verified] if self.verified else ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        clinic = f" ({SET_BY_CLINIC})" if self.clinic else ""
        given = [part for part in (self.rule, self.source, self.mark) if part]
        return f"{self.text}{note}{clinic}" + (f" [{'; '.join(given)}]" if given else "")


@dataclass(frozen=True)
class Part:
    """A part of a protocol: `name` is for links, `title` for people."""

    name: str
    title: str
    items: tuple[Said, ...]


def explain(protocol: Protocol) -> str:
    """The protocol in plain words, with its calendar, rules, safeguards and sources."""
    return "\n".join(_lines(protocol)) + "\n"


def parts(protocol: Protocol) -> tuple[Part, ...]:
    """The whole protocol, guideline warnings first; parts that say nothing are left out."""
    session = protocol.session
    made = (
        ("warnings", "Warnings", map(said, protocol.warnings)),
        ("entry", "Who may enter", map(said, protocol.eligibility.require)),
        ("absolute", "Who is never treated", _excluded(protocol, "absolute")),
        ("relative", "Who is excluded unless a clinician overrides it", _excluded(protocol, "relative")),
        ("calendar", "Calendar (day 0 is the first session)", _calendar(protocol)),
        ("before", "Before a session", _before(protocol)),
        ("during", "During a session", map(said, (*session.observe, *session.stop))),
        ("after", "After a session", map(said, filter(None, (session.discharge,)))),
        ("given", "Dose and titration", _given(protocol)),
        ("decisions", "Decisions about the course", map(said, protocol.decide)),
        ("safeguards", "Safeguards", map(said, protocol.safeguards)),
        ("measures", "Measured", (Said(measure_said(item), getattr(item, "note", None)) for item in protocol.measure)),
        ("run", "Setting", [Said(run_as(protocol), protocol.design.note)]),
        (
            "sources",
            "Sources",
            (Said(f"{s.id}: {s.citation}", verified=s.verified, url=s.url) for s in protocol.sources),
        ),
    )
    found = [Part(name, title, tuple(items)) for name, title, items in made]
    told = {item.rule for part in found for item in part.items}
    left = tuple(said(rule) for _, rule in protocol.rules() if rule.rule not in told)
    return tuple(part for part in (*found[:-1], Part("others", "Other rules", left), found[-1]) if part.items)


def _excluded(protocol: Protocol, kind: str) -> Iterator[Said]:
    return (said(rule) for rule in protocol.eligibility.exclude if rule.kind == kind)


# --- rules ------------------------------------------------------------------------------------------------------------


def said(rule: Rule) -> Said:
    """A rule with its note, id, source and mark."""
    return Said(sentence(rule), rule.note, rule.rule, rule.source, rule.verified, set_by_clinic(rule))


def sentence(rule: Rule) -> str:
    """What a rule says, without its note and marks. A key this text does not know is added as it is written."""
    text, told = _told(rule)
    return text + _more(rule, {*ABOUT, *told})


def short(rule: Rule) -> str:
    """The matter of a rule in as few words as a chart has room for: what is checked, compared or required."""
    match rule:
        case Requirement():
            return ", ".join(filter(None, (str(rule.limit), _counted(rule))))
        case Exclusion():
            return rule.condition or together(rule.when or ())
        case BeforeRule():
            more = _more(rule, {*ABOUT, *_told(rule)[1]})
            return (rule.check or together(condition_of(rule))) + more
        case Safeguard():
            return rule.safeguard
        case StopRule() | DecideRule():
            return together(condition_of(rule))
    return sentence(rule)


def set_by_clinic(rule: Rule) -> bool:
    """Whether a number in a rule is the clinic's to set: nobody here has seen a guideline that gives it."""
    if rule.verified != "no":
        return False
    if isinstance(rule, Requirement) or (isinstance(rule, DecideRule) and rule.at.startswith("week ")):
        return True
    return any(_numbers(getattr(rule, name)) for name in type(rule).model_fields)


def whens(rule: Rule) -> dict[str, When]:
    """The conditions a rule looks at, by their field."""
    names = [name for name in type(rule).model_fields if name == "when" or name.endswith("_when")]
    return {name: when for name in names if (when := getattr(rule, name))}


def action_of(rule: Rule) -> str:
    """What a rule does when its condition holds, as its key says: continue, stop, hold and so on."""
    return next(iter(whens(rule))).removesuffix("_when").replace("_", " ")


def condition_of(rule: Rule) -> When:
    """When a rule speaks."""
    return next(iter(whens(rule).values()))


def together(when: When) -> str:
    """All comparisons of a condition."""
    return " and ".join(item.comparison if item.measure == "state" else str(item) for item in when)


def _numbers(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_numbers, value))
    if isinstance(value, Comparison):
        return value.value is not None
    return isinstance(value, Quantity | int)


def _told(rule: Rule) -> tuple[str, tuple[str, ...]]:
    """What a rule says, and the fields that were used."""
    match rule:
        case Warning():
            return rule.warning, ("warning",)
        case Requirement():
            return f"needs {short(rule)}", ("measure", "at_least", "at_most", "lasting_at_least", "counting")
        case Exclusion():
            return f"{short(rule)}: {KINDS[rule.kind]}", ("kind", "condition", "when")
        case BeforeRule():
            stands = f", which then stands for {rule.valid_for}" if rule.valid_for else ""
            if rule.check:
                return f"check: {rule.check}{stands}", ("check", "valid_for")
            opening = BEFORE.get(name := next(iter(whens(rule))), f"{action_of(rule)} when")
            return f"{opening} {together(condition_of(rule))}", (name,)
        case ObserveRule():
            times = ", ".join(map(str, rule.at or ()))
            when = f"at {times}" if times else f"every {rule.every} for {rule.for_}"
            return f"watch {', '.join(rule.items)} {when}", ("items", "every", "for_", "at")
        case StopRule():
            return f"end the session when {together(rule.when)}", ("when",)
        case Discharge():
            all_of = ", ".join(rule.all_of)
            return f"may leave no earlier than {rule.no_earlier_than}, with: {all_of}", ("no_earlier_than", "all_of")
        case AdjustRule() if rule.from_dose is not None:
            since = f"from dose {rule.from_dose} on" if rule.from_dose > 1 else "from the first dose on"
            whom = rule.condition or together(rule.when or ())
            steps = f" at first, and {rule.steps_of} more at each later session" if rule.steps_of else ""
            told = ("from_dose", "when", "condition", "dose_to", "steps_of")
            return f"{since}, when {whom}: no more than {rule.dose_to}{steps}", told
        case AdjustRule():
            after = f"after dose {rule.after_dose}" if rule.after_dose else "at any session"
            return f"{after}, when {together(rule.when or ())}: dose to {rule.dose_to}", (
                "after_dose",
                "when",
                "dose_to",
            )
        case DecideRule():
            return f"{rule.at}: {action_of(rule)} when {short(rule)}", ("at", *whens(rule))
        case Safeguard():
            return _safeguard(rule), ("safeguard", "at_least", "at_most", "every", "valid_for")
    return "", ()


def _counted(rule: Requirement) -> str:
    """Which trials of antidepressants a requirement counts, where it says so."""
    lasting = f"each lasting at least {rule.lasting_at_least}" if rule.lasting_at_least else ""
    counting = f"counting {' or '.join(rule.counting)}" if rule.counting else ""
    return ", ".join(filter(None, (lasting, counting)))


def _safeguard(rule: Safeguard) -> str:
    limits = (
        ("at least {}", rule.at_least),
        ("at most {} sessions", rule.at_most),
        ("every {}", rule.every),
        ("to be confirmed again after {}", rule.valid_for),
    )
    given = [how.format(limit) for how, limit in limits if limit is not None]
    if not given and rule.safeguard in words.FOLLOW_UPS:
        given = [f"how often is {SET_BY_CLINIC}"]
    return "; ".join([f"{rule.safeguard}: {words.SAFEGUARDS[rule.safeguard]}", *given])


def _more(entry: Entry, told: Iterable[str]) -> str:
    """Keys that were not told, as they are written, so that nothing a document says is left unsaid."""
    fields = type(entry).model_fields
    left = {n: getattr(entry, n) for n in fields if n not in set(told) and getattr(entry, n) not in (None, ())}
    return "".join(f"; {fields[n].alias or n}: {_written(x)}" for n, x in left.items())


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return together(value) if value and isinstance(value[0], Comparison) else ", ".join(map(_written, value))
    return str(value)


# --- what is given ----------------------------------------------------------------------------------------------------


def drug_said(drug: Drug) -> str:
    """Compound, route, dose, infusion time and cap."""
    dose = f", {drug.dose}" if drug.dose else ""
    over = f" over {drug.over}" if drug.over else ""
    cap = f", never above {drug.never_above}" if drug.never_above else ""
    told = ("compound", "route", "dose", "over", "never_above")
    return f"{drug.compound}, {drug.route}{dose}{over}{cap}{_more(drug, told)}"


def daily_said(item: Alongside) -> str:
    """An oral treatment: agent, dose and days."""
    dose = f" {item.dose}" if item.dose else ""
    start = f" from day {_day(item.start_h)}" if item.start else " from day 0"
    stop = f" until day {_day(item.stop_h)}" if item.stop else ""
    more = _more(item, ("agent", "dose", "start", "stop", "source", "verified", "note"))
    return f"every day, by mouth: {item.agent}{dose}{start}{stop}{more}"


def exposure_said(protocol: Protocol, item: Exposure) -> str:
    """Sessions of exposure therapy with their days."""
    days = ", ".join(_day(t) for t in exposure_times(protocol, item))
    more = _more(item, ("therapy", "sessions", "every", "starts", "lag", "source", "verified", "note"))
    return f"{exposure_short(item)}: on days {days}{more}"


def exposure_short(item: Exposure) -> str:
    """Sessions of exposure therapy without their days."""
    many = f"{item.sessions} sessions" if item.sessions > 1 else "one session"
    lag = f" (each {item.lag} after a session of the drug, while there are any)" if item.lag else ""
    return f"{item.therapy}, {many}{lag}"


def measure_said(item: Measure) -> str:
    """A rating scale and when it is taken."""
    times = ", ".join(map(str, item.at or ()))
    when = f"at {times}" if times else f"every {item.every}"
    return f"{item.scale} {when}{_more(item, ('scale', 'every', 'at', 'note'))}"


def run_as(protocol: Protocol) -> str:
    """What patients expect, where they are treated, and over how many sites."""
    block = protocol.design
    where = "one site" if block.sites == "one" else "many sites"
    return f"{block.expectancy}; {block.setting}; {where}{_more(block, ('expectancy', 'setting', 'sites', 'note'))}"


def rhythm(phase: Phase) -> str:
    """How many sessions a phase has, how far apart."""
    if phase.every is None:
        return "one session"
    gaps = [str(gap) for gap in phase.every]
    spaced = f"every {gaps[0]}" if len(gaps) == 1 else f"gaps of {', '.join(gaps)} in turn"
    if phase.doses is not None:
        return f"{phase.doses} sessions, {spaced}"
    return spaced + (f", to the end of week {phase.until}" if phase.until is not None else ", with no end set")


def widening(phase: Phase) -> str:
    """When the sessions of a phase move apart; empty where they never do."""
    if phase.widen_to is None or phase.while_ is None:
        return ""
    state = phase.while_[0].measure == "state"
    return f"every {phase.widen_to} while {'in ' * state}{together(phase.while_)}"


def dose_said(item: Administration) -> str:
    """One dose."""
    if item.dose_mg_per_kg is not None:
        return f"{item.dose_mg_per_kg:g} mg/kg"
    return f"{item.dose_mg:g} mg" if item.dose_mg is not None else item.compound


def retry_said(protocol: Protocol) -> str:
    """When a patient whose session was held is seen again."""
    retry = protocol.session.retry
    return f"seen again after {retry}" if retry else f"seen again after {RETRY_H:g} h ({SET_BY_CLINIC})"


def _given(protocol: Protocol) -> Iterator[Said]:
    if protocol.drug is not None:
        yield Said(drug_said(protocol.drug))
    for phase in protocol.phases:
        if phase.drug is not None:
            yield Said(f"in {phase.name}: {drug_said(phase.drug)}")
    yield from map(said, protocol.adjust)
    for item in protocol.alongside:
        yield Said(daily_said(item), item.note, None, item.source, item.verified)
    for item in protocol.exposure:
        yield Said(exposure_said(protocol, item), item.note, None, item.source, item.verified)


def _before(protocol: Protocol) -> Iterator[Said]:
    yield from map(said, protocol.session.before)
    if protocol.phases:
        yield Said(f"a patient whose session was held is {retry_said(protocol)}")
    more = _more(protocol.session, ("retry", "before", "observe", "stop", "discharge"))
    if more:
        yield Said(more.removeprefix("; "))


def _calendar(protocol: Protocol) -> Iterator[Said]:
    given = schedule(protocol, SHOWN_H).administrations
    for phase in protocol.phases:
        sessions = [item for item in given if item.phase == phase.name]
        opening = f"{phase.name} ({rhythm(phase)}{_more(phase, PHASE_TOLD)})"
        if not sessions:
            yield Said(f"{opening}; begins after week {SHOWN_WEEKS}", phase.note)
            continue
        ended = phase.doses is not None or phase.until is not None
        shown = sessions if ended and len(sessions) <= 16 else sessions[:6]
        more = "" if len(shown) == len(sessions) and ended else " and so on"
        spoken = "; ".join(f"{dose} on day{'s' * (len(days) > 1)} {', '.join(days)}" for dose, days in _runs(shown))
        wider = f"; {widening(phase)}" if widening(phase) else ""
        yield Said(f"{opening}: {spoken}{more}{wider}", phase.note)
    if protocol.phases:
        yield Said(IF_NO_RULE_SPEAKS)


def _runs(sessions: Iterable[Administration]) -> list[tuple[str, list[str]]]:
    """Doses with the days they are given on, as long as they stay the same."""
    runs: list[tuple[str, list[str]]] = []
    for item in sessions:
        dose, day = dose_said(item), _day(item.time_h)
        if runs and runs[-1][0] == dose:
            runs[-1][1].append(day)
        else:
            runs.append((dose, [day]))
    return runs


def _day(time_h: float) -> str:
    return f"{time_h / HOURS_PER_DAY:g}"


# --- for the terminal -------------------------------------------------------------------------------------------------


def _lines(protocol: Protocol) -> Iterator[str]:
    yield protocol.title
    yield f"{protocol.name} {protocol.version}: {STATUS[protocol.status]}."
    if protocol.summary:
        yield from folded(protocol.summary, "")
    yield f"For: {protocol.indication} (virtual population: {protocol.population})."
    for part in parts(protocol):
        yield ""
        yield part.title
        for item in part.items:
            yield from folded(f"{item}{' ' + item.url if item.url else ''}", "  ")
    yield ""
    yield from folded(CLINICIAN, "")


def folded(text: str, indent: str) -> list[str]:
    """A text in lines for the terminal; with an indent, as an item of a list."""
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
