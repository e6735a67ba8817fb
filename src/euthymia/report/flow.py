"""The flow chart of a protocol: from eligibility over every session to the end of the course, drawn from the document.

The chart is a column of steps; from a step, exits lead aside: not treated, held, stopped, or a choice.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from markupsafe import Markup

from euthymia.protocol import words
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.document import Protocol
from euthymia.protocol.expand import session_times
from euthymia.protocol.plain_words import (
    MARKS,
    SET_BY_CLINIC,
    action_of,
    condition_of,
    daily_said,
    drug_said,
    exposure_short,
    measure_said,
    retry_said,
    rhythm,
    sentence,
    short,
    together,
    widening,
)
from euthymia.protocol.rules import DecideRule, Rule
from euthymia.report.sketch import LINE, Sketch, folded

WIDE, NARROW = 740.0, 344.0  # px; the narrow one is for phones
ACTIONS = {
    "stop": "the course ends",
    "widen": "move the sessions apart",
    "step back": "step back to the more frequent sessions",
    "begin again": "begin an earlier phase again",
}
LIKELY_LAST_H = 4 * 52 * HOURS_PER_WEEK


@dataclass(frozen=True)
class Exit:
    """A way aside. kind: "stop", "hold" (and come back) or "choice"."""

    title: str
    lines: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Step:
    """A stop on the way down. kind: "box", "question" or "end"; onward: what is written on the way to the next step;
    again: whether the way also leads back to the step before a session."""

    title: str
    lines: tuple[str, ...] = ()
    kind: str = "box"
    exits: tuple[Exit, ...] = ()
    onward: str = ""
    again: bool = False
    entry: bool = False


def steps(protocol: Protocol) -> list[Step]:
    """The course of a protocol, in order."""
    found = [Step(f"Patient: {protocol.indication}" if protocol.indication != "none" else "Participant", kind="end")]
    found.append(_eligibility(protocol))
    if protocol.alongside or (protocol.exposure and not protocol.phases):
        daily = tuple(daily_said(item) for item in protocol.alongside)
        found.append(Step("Treatment" if not protocol.phases else "Alongside", (*daily, *_exposure(protocol))))
    if protocol.phases:
        found += [_before(protocol), _session(protocol), _discharge(protocol)]
    found += _between(protocol)
    found += [_question(rule) for rule in protocol.decide if rule.at == "every session"]
    found += _phases(protocol)
    open_ = not protocol.phases or (protocol.phases[-1].doses is None and protocol.phases[-1].until is None)
    found.append(Step("Goes on, with no end set" if open_ else "End of the sessions", kind="end"))
    return found


def in_words(protocol: Protocol) -> list[str]:
    """The chart step by step, for whoever does not see it."""
    return [_spoken(step) for step in steps(protocol)]


def _spoken(step: Step) -> str:
    text = f"{step.title}{': ' if step.lines else ''}{'; '.join(step.lines)}."
    for way in step.exits:
        text += f" {way.title}{': ' if way.lines else ''}{'; '.join(way.lines)}."
    return text + (f" {step.onward[0].upper()}{step.onward[1:]}: on to the next step." if step.onward else "")


def _cited(rules: Iterable[Rule]) -> tuple[str, ...]:
    """Rules in few words with their ids; what was not verified says so."""
    return tuple(f"{short(rule)} {_id(rule)}" for rule in rules)


def _id(rule: Rule) -> str:
    return f"({rule.rule}{'' if rule.verified == 'yes' else ', ' + MARKS[rule.verified]})"


def _eligibility(protocol: Protocol) -> Step:
    rules = protocol.eligibility
    ways = []
    absolute = _cited(rule for rule in rules.exclude if rule.kind == "absolute")
    relative = _cited(rule for rule in rules.exclude if rule.kind == "relative")
    if rules.require or absolute:
        unmet = ("any requirement not met",) if rules.require else ()
        ways.append(Exit("Not treated", (*unmet, *absolute), "stop"))
    if relative:
        ways.append(Exit("Only if a clinician overrides it, on record", relative, "hold"))
    return Step("Eligible?", _cited(rules.require), "question", tuple(ways), "yes")


def _before(protocol: Protocol) -> Step:
    rules = protocol.session.before
    confirmed = (*words.AT_EVERY_SESSION, "certified setting")
    at_each = [rule for rule in protocol.safeguards if rule.safeguard in confirmed]
    checks = _cited(rule for rule in rules if rule.check)
    conditions = [rule for rule in rules if not rule.check]
    by_action = {action: _cited(own) for action, own in groupby(sorted(conditions, key=action_of), action_of)}
    holds, weighs, stops = (by_action.pop(action, ()) for action in ("hold", "weigh", "stop"))
    unmet = ("a check or a safeguard is not confirmed", "a reading that a rule needs is not known")
    close = tuple(f"less than {r.at_least} since the last session {_id(r)}" for r in protocol.safeguards if r.at_least)
    ways = [Exit(f"Hold: {retry_said(protocol)}", (*unmet, *holds, *close), "hold")]
    if weighs:
        ways.append(Exit("A clinician weighs whether to wait", weighs, "choice"))
    found = any(rule.kind == "absolute" for rule in protocol.eligibility.exclude)
    ways += [Exit(action.capitalize(), cited, "choice") for action, cited in by_action.items()]
    ends = (*("a reason never to treat has come up since",) * found, *stops)
    ends += tuple(f"{r.at_most} sessions were given {_id(r)}" for r in protocol.safeguards if r.at_most)
    if ends:
        ways.append(Exit("The course ends", ends, "stop"))
    return Step("Before each session", (*checks, *_cited(at_each)), exits=tuple(ways), onward="all clear", entry=True)


def _session(protocol: Protocol) -> Step:
    drugs = [drug_said(protocol.drug)] if protocol.drug else []
    drugs += [f"in {phase.name}: {drug_said(phase.drug)}" for phase in protocol.phases if phase.drug]
    ways = []
    if protocol.adjust:
        ways.append(Exit("Adjust the dose", tuple(f"{sentence(r)} {_id(r)}" for r in protocol.adjust), "choice"))
    if protocol.session.stop:
        ways.append(Exit("Stop the session", _cited(protocol.session.stop), "stop"))
    watched = tuple(f"{sentence(rule)} {_id(rule)}" for rule in protocol.session.observe)
    return Step("Session", (*drugs, *watched), exits=tuple(ways))


def _discharge(protocol: Protocol) -> Step:
    leave = protocol.session.discharge
    if leave is None:
        return Step("After the session", ("this document has no discharge rule",))
    stay = Exit("Stays and is watched", ("until the time has passed and every point is met",), "hold")
    lines = (f"no earlier than {leave.no_earlier_than} {_id(leave)}", *leave.all_of)
    return Step("May leave?", lines, "question", (stay,), "yes")


def _exposure(protocol: Protocol) -> tuple[str, ...]:
    return tuple(exposure_short(item) for item in protocol.exposure)


def _between(protocol: Protocol) -> list[Step]:
    lines = [measure_said(item) for item in protocol.measure]
    if protocol.phases:
        lines = [*_exposure(protocol), *lines]
    lines += [f"{short(r)}{_interval(r)} {_id(r)}" for r in protocol.safeguards if r.safeguard in words.FOLLOW_UPS]
    lines += _cited(r for r in protocol.safeguards if r.safeguard == "lowest effective frequency")
    return [Step("Between sessions" if protocol.phases else "Followed by", tuple(lines))] if lines else []


def _interval(rule: Rule) -> str:
    every = getattr(rule, "every", None)
    return f" every {every}" if every else f", how often is {SET_BY_CLINIC}"


def _question(rule: DecideRule) -> Step:
    action, when = action_of(rule), together(condition_of(rule))
    at = rule.at if rule.at.startswith("end of ") else f"at {rule.at}"
    title = f"{at[0].upper()}{at[1:]}: {when}?"
    if action == "continue":
        return Step(title, (_id(rule),), "question", (Exit("no: the course ends", (), "stop"),), "yes: continue")
    # an action this chart has no words for is told by the rule itself
    more = () if action in ACTIONS else (sentence(rule),)
    way = Exit(f"yes: {ACTIONS.get(action, action)}", more, "stop" if action == "stop" else "choice")
    return Step(title, (_id(rule),), "question", (way,), "no")


def _phases(protocol: Protocol) -> Iterator[Step]:
    """Every phase with the decisions at its end; decisions of a week where that week comes."""
    begins: dict[str, float] = {}
    for time_h, phase, _ in session_times(protocol, LIKELY_LAST_H):
        begins.setdefault(phase.name, time_h)
        if len(begins) == len(protocol.phases):
            break
    of_weeks = sorted(
        (rule for rule in protocol.decide if rule.at.startswith("week ")), key=lambda r: int(r.at.split()[1])
    )
    for number, phase in enumerate(protocol.phases):
        while of_weeks and _week_h(of_weeks[0]) <= begins.get(phase.name, 0.0):
            yield _question(of_weeks.pop(0))
        own = [str(d) for d in phase.dose_by_session] if phase.dose_by_session else [str(phase.dose)] * bool(phase.dose)
        doses = f"{' then '.join(own)}" if own else ""
        again = phase.doses != 1
        back = "sessions left: the next one, from “Before each session”" if again else ""
        wider = widening(phase)
        ways = (Exit("Move the sessions apart", (wider,), "choice"),) if wider else ()
        lines = tuple(filter(None, (rhythm(phase), doses, back)))
        last = number == len(protocol.phases) - 1
        done = "" if last and phase.doses is None and phase.until is None else "no session left" * again
        yield Step(f"Phase: {phase.name}", lines, exits=ways, onward=done, again=again)
        yield from (_question(rule) for rule in protocol.decide if rule.at == f"end of {phase.name}")
    yield from map(_question, of_weeks)


def _week_h(rule: DecideRule) -> float:
    return int(rule.at.removeprefix("week ")) * HOURS_PER_WEEK


# --- drawing ----------------------------------------------------------------------------------------------------------

PAD = 9.0
GAP = 30.0
TRUNK = 20.0
CUT = 8.0


@dataclass(frozen=True)
class _Text:
    title: list[str]
    lines: list[str]

    @property
    def height(self) -> float:
        return 2 * PAD + LINE * (len(self.title) + len(self.lines)) - 3


def _text(title: str, lines: Iterable[str], width: float) -> _Text:
    body = [part for line in lines for part in _hung(line, width)]
    return _Text(folded(title, width, bold=True), body)


def _hung(line: str, width: float) -> list[str]:
    """A line after a dash, its continuation set in; an id alone has no dash."""
    if line.startswith("("):
        return folded(line, width)
    first, *rest = folded(line, width - 9)
    return [f"– {first}", *(f"   {part}" for part in rest)]


def _write(sketch: Sketch, text: _Text, x: float, y: float) -> None:
    y += PAD + 10
    for line in text.title:
        sketch.words(x, y, line, bold=True)
        y += LINE
    for line in text.lines:
        sketch.words(x + (9 if line.startswith("   ") else 0), y, line.strip())
        y += LINE


def draw(protocol: Protocol, width: float = WIDE) -> list[Markup]:
    """The chart as SVG, cut into a piece for each step, so that no page has to tear one apart.

    width: px; below 500, exits stand under their step instead of beside it.
    """
    sketch, wide = Sketch(width), width >= 500
    left = 26.0
    main = 0.5 * (width - left) - 8 if wide else width - left - 2
    aside_x = left + main + 2 * TRUNK if wide else left + 44
    aside = width - aside_x - 2
    y, back_to = 2.0, None
    backs: list[float] = []
    cuts = [0.0]
    found = steps(protocol)
    for number, step in enumerate(found):
        pad = 22.0 if step.kind == "question" else 12.0
        text = _text(step.title, step.lines, main - 2 * pad)
        height = max(text.height, 34.0)
        _shape(sketch, step.kind, (left, y, main, height))
        _write(sketch, text, left + pad, y + (height - text.height) / 2)
        if step.entry:
            back_to = y + height / 2
        if step.again:
            backs.append(y + height / 2)
        bottom = _exits(sketch, step, (left, y, main, height), (aside_x, aside), wide)
        if number < len(found) - 1:
            x = left + (main / 2 if wide else 16)
            sketch.line([(x, y + height), (x, bottom + GAP)], arrow=True)
            if step.onward:
                sketch.words(x + 8, bottom + GAP - 9, step.onward)
            cuts.append(round(bottom + CUT))
            y = bottom + GAP
        else:
            cuts.append(round(bottom + 3))
    if back_to is not None and backs:
        for from_ in backs:
            sketch.line([(left, from_), (8, from_)])
        sketch.line([(8, max(backs)), (8, back_to), (left, back_to)], arrow=True)
    return [sketch.svg(top, bottom) for top, bottom in pairwise(cuts)]


def _shape(sketch: Sketch, kind: str, place: tuple[float, float, float, float]) -> None:
    x, y, width, height = place
    if kind == "question":
        tip, right, bottom = 13.0, x + width, y + height
        middle = y + height / 2
        sketch.polygon(
            [(x, middle), (x + tip, y), (right - tip, y), (right, middle), (right - tip, bottom), (x + tip, bottom)]
        )
    else:
        sketch.box(place, round_=16 if kind == "end" else 0)


def _exits(
    sketch: Sketch, step: Step, box: tuple[float, float, float, float], place: tuple[float, float], wide: bool
) -> float:
    """Draw the exits of a step; returns where the step ends with them."""
    (x, y, width, height), (aside_x, aside) = box, place
    if not step.exits:
        return y + height
    texts = [_text(way.title, way.lines, aside - 22) for way in step.exits]
    top = y if wide else y + height + 14
    start = (x + 30, y + height)
    if wide:  # an exit stands level with its step where it can
        level = y + height / 2
        top = max(y, level - texts[0].height / 2) if len(texts) == 1 else y
        at = level if step.kind == "question" else min(top + texts[0].height / 2, y + height - 10)
        start = (x + width, at)
    trunk = start[0] + (TRUNK if wide else 0)
    for way, text in zip(step.exits, texts, strict=True):
        middle = top + text.height / 2
        if wide:
            sketch.line([start, (trunk, start[1]), (trunk, middle), (aside_x, middle)], arrow=True)
        else:
            sketch.line([start, (trunk, middle), (aside_x, middle)], arrow=True)
        stroke, dash = {"stop": (2.6, ""), "hold": (1.3, "5 3"), "choice": (1.0, "1.5 2.5")}[way.kind]
        sketch.box((aside_x, top, aside, text.height), stroke=stroke, dash=dash)
        _write(sketch, text, aside_x + 11, top)
        top += text.height + 12
    return max(y + height, top - 12)
