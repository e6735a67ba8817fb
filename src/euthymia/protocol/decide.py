"""What the protocol says to do now: one pure function, for one chart or for many virtual patients at once.

Every rule gives a verdict of its own; the strictest wins, so that their order cannot matter. What is not known is never
a pass. The function decides nothing by itself: a clinician does, and it says which rules spoke.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from euthymia.protocol import words
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.chart import Chart, Place, Truth, compare, met, passed, signed, there, with_course
from euthymia.protocol.document import Drug, Phase, Protocol
from euthymia.protocol.rules import AdjustRule, DecideRule

ACTIONS = ("give", "hold", "stop")
"""From the mildest to the strictest; the number of each is its place."""
GIVE, HOLD, STOP = range(3)
QUIET, FIRED, MISSING = range(3)
"""Of a rule: it had nothing to say, what it asks about is so, or what it asks about is not known."""
CHECK_VALID_H = 24.0
"""Of a check without `valid for`: it belongs to the session."""
RETRY_H = 24.0
"""After a session was held, where the protocol does not say: set by the clinic."""
LIGHTEST_KG, HEAVIEST_KG = 30.0, 250.0
"""A weight outside these is a mistake, and no dose is worked out from it."""
WEIGHT = "weight"
"""What stands for a rule where a dose by weight is held for want of a weight."""


@dataclass(frozen=True)
class Decision:
    """action: number in `ACTIONS`; dose: in the unit of the drug (NaN unless given), dose_mg: the same in mg, capped;
    phase: number of the phase it is of; next_h: hours until the patient is to be seen again (infinite after the end);
    place: which session is due then; said: by rule id, `FIRED`, `MISSING` or `QUIET`, of every rule that could speak.
    """

    action: Any
    dose: Any
    dose_mg: Any
    phase: Any
    next_h: Any
    place: Place
    said: Mapping[str, Any]


class Verdict(NamedTuple):
    """What one rule says: where `truth` is yes, `action`; where it is not known, `unknown`. for_h: how long a hold of
    this rule lasts (None: as the protocol says); waived: where a clinician put it aside, on record, it speaks and does
    not act."""

    rule: str
    truth: Truth
    action: int
    unknown: int = HOLD
    for_h: float | None = None
    waived: Any = False

    def acts(self) -> np.ndarray:
        """The action, by patient."""
        found = np.where(self.truth.yes, self.action, np.where(self.truth.missing, self.unknown, GIVE))
        return np.where(self.waived, GIVE, found)


def spoken(truth: Truth) -> np.ndarray:
    """`FIRED`, `MISSING` or `QUIET`."""
    return np.where(truth.yes, FIRED, np.where(truth.missing, MISSING, QUIET))


def _not(truth: Truth) -> Truth:
    return Truth(truth.known & ~truth.yes, truth.known)


def _where(relevant: Any, truth: Truth) -> Truth:
    """The truth where it is asked for; elsewhere it is known not to hold."""
    asked = np.asarray(relevant, bool)
    return Truth(asked & truth.yes, ~asked | truth.known)


def _eligibility(protocol: Protocol, chart: Chart) -> Iterator[Verdict]:
    first = np.asarray(chart.place.given) == 0
    for rule in protocol.eligibility.require:
        inside = compare(rule.limit, chart.measures.get(rule.measure, np.nan))
        yield Verdict(rule.rule, _where(first, _not(inside)), STOP)
    for rule in protocol.eligibility.exclude:
        found = there(rule.condition, chart) if rule.condition else met(protocol, rule.when or (), chart)
        if rule.kind == "absolute":
            yield Verdict(rule.rule, found, STOP)
        else:
            yield Verdict(rule.rule, found, HOLD, waived=signed(rule.rule, chart))


def _before(protocol: Protocol, chart: Chart) -> Iterator[Verdict]:
    for rule in protocol.session.before:
        if rule.check:
            within_h = rule.valid_for.value if rule.valid_for else CHECK_VALID_H
            yield Verdict(rule.rule, _not(passed(rule.check, within_h, chart)), HOLD)
        elif rule.hold_when:
            for_h = rule.for_.value if rule.for_ else None
            yield Verdict(rule.rule, met(protocol, rule.hold_when, chart), HOLD, for_h=for_h)
        elif rule.weigh_when:
            found = met(protocol, rule.weigh_when, chart)
            yield Verdict(rule.rule, found, HOLD, waived=signed(rule.rule, chart))
        elif rule.stop_when:
            yield Verdict(rule.rule, met(protocol, rule.stop_when, chart), STOP)
        elif rule.alert_when:
            yield Verdict(rule.rule, met(protocol, rule.alert_when, chart), GIVE, GIVE)


def _safeguards(protocol: Protocol, chart: Chart) -> Iterator[Verdict]:
    since, given = np.asarray(chart.place.since_h, float), np.asarray(chart.place.given)
    for rule in protocol.safeguards:
        kind = rule.safeguard
        if rule.at_least is not None:
            yield Verdict(rule.rule, Truth(since < rule.at_least.value - 1e-9, ~np.isnan(since)), HOLD)
        elif rule.at_most is not None:
            yield Verdict(rule.rule, Truth(given >= rule.at_most, ~np.isnan(given)), STOP)
        elif kind in words.AT_EVERY_SESSION:
            yield Verdict(rule.rule, _not(passed(kind, CHECK_VALID_H, chart)), HOLD)
        elif kind == "certified setting":
            within_h = rule.valid_for.value if rule.valid_for else np.inf
            yield Verdict(rule.rule, _not(passed(kind, within_h, chart)), HOLD)
        elif kind in words.FOLLOW_UPS:  # due is not yet a reason to withhold a treatment that helps
            within_h = rule.every.value if rule.every else np.inf
            yield Verdict(rule.rule, _not(passed(kind, within_h, chart)), GIVE, GIVE)


def asked_now(protocol: Protocol, rule: DecideRule, place: Place) -> np.ndarray:
    """Whether a decision about the course is due."""
    given, time_h = np.asarray(place.given), np.asarray(place.time_h, float)
    if rule.at == "every session":
        return given > 0
    if rule.at.startswith("end of "):
        names = [phase.name for phase in protocol.phases]
        return np.asarray(place.ended) == names.index(rule.at.removeprefix("end of "))
    due_h = int(rule.at.removeprefix("week ")) * HOURS_PER_WEEK
    return (time_h >= due_h) & (np.asarray(place.before_h, float) < due_h)


def _decisions(protocol: Protocol, chart: Chart) -> Iterator[Verdict]:
    for rule in protocol.decide:
        asked = asked_now(protocol, rule, chart.place)
        if rule.continue_when:
            yield Verdict(rule.rule, _where(asked, _not(met(protocol, rule.continue_when, chart))), STOP)
        elif rule.stop_when:
            yield Verdict(rule.rule, _where(asked, met(protocol, rule.stop_when, chart)), STOP)


def verdicts(protocol: Protocol, chart: Chart) -> Iterator[Verdict]:
    """What every rule says that can hold or stop the session that is due."""
    yield from _eligibility(protocol, chart)
    yield from _before(protocol, chart)
    yield from _safeguards(protocol, chart)
    yield from _decisions(protocol, chart)


# --- during the session and after it ----------------------------------------------------------------------------------

GO_ON, PAUSE, END = range(3)
DURING = ("go on", "pause", "end the session")
"""From the mildest to the strictest; a reading that is not known pauses a session."""


class Watch(NamedTuple):
    """action: number in `DURING`; said: by rule."""

    action: Any
    said: Mapping[str, Any]


def during(protocol: Protocol, chart: Chart) -> Watch:
    """What the rules say of readings in a session. chart: its `measures` are the readings."""
    action, said = np.asarray(GO_ON), {}
    for rule in protocol.session.stop:
        truth = met(protocol, rule.when, chart)
        action = np.maximum(action, np.where(truth.yes, END, np.where(truth.missing, PAUSE, GO_ON)))
        said[rule.rule] = spoken(truth)
    return Watch(action, said)


class Leave(NamedTuple):
    """may: whether the patient may leave; open_: by criterion, and "time", whether it still stands in the way."""

    may: Any
    open_: Mapping[str, Any]


def leave(protocol: Protocol, chart: Chart, since_dose_h: Any) -> Leave:
    """Whether a patient may leave: so long after the start of the dose, and every criterion confirmed since then.

    chart: its `checks_h` say how long ago each criterion was confirmed. Raises ValueError for a protocol without a
    discharge rule: nobody leaves by it.
    """
    rule = protocol.session.discharge
    if rule is None:
        raise ValueError(f"{protocol.name} has no discharge rule, so nobody leaves by it")
    since = np.asarray(since_dose_h, float)
    open_ = {"time": ~(since >= rule.no_earlier_than.value)}
    for criterion in rule.all_of:
        open_[criterion] = ~passed(criterion, since, chart).yes
    return Leave(~np.any(np.broadcast_arrays(*open_.values()), axis=0), open_)


# --- dose -------------------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """A protocol's phases as arrays, for look-up by phase.

    doses: [phases, sessions] planned, in the unit of the drug (0 without one), the last repeating; gaps_h: [phases,
    gaps], taken in turn, `gaps` of them; sessions, until_h, starts_h: of each phase; widened_h: NaN without; per_kg:
    whether doses are by weight; cap_mg; adjustable: whether `adjust` applies.
    """

    doses: np.ndarray
    gaps_h: np.ndarray
    gaps: np.ndarray
    sessions: np.ndarray
    until_h: np.ndarray
    starts_h: np.ndarray
    widened_h: np.ndarray
    per_kg: np.ndarray
    cap_mg: np.ndarray
    adjustable: np.ndarray


def _unit(drug: Drug, phase: Phase) -> str:
    dose = phase.dose_by_session[0] if phase.dose_by_session else phase.dose or drug.dose
    return dose.unit if dose else "mg"


def table(protocol: Protocol) -> Table:
    """The phases of a protocol that gives a drug."""
    phases = protocol.phases
    drugs = [protocol.drug_in(phase) for phase in phases]
    listed = max((len(p.dose_by_session or (0,)) for p in phases), default=1)
    longest = max((len(p.every or (0,)) for p in phases), default=1)
    doses = np.zeros((len(phases), listed))
    gaps = np.zeros((len(phases), longest))
    for k, phase in enumerate(phases):
        planned = [protocol.dose_in(phase, n + 1) for n in range(listed)]
        doses[k] = [d.value if d else 0.0 for d in planned]
        own = [gap.value for gap in phase.every or ()]
        gaps[k, : len(own)] = own
    return Table(
        doses,
        gaps,
        np.array([len(p.every or ()) for p in phases]),
        np.array([np.inf if p.doses is None else p.doses for p in phases]),
        np.array([np.inf if p.until is None else p.until * HOURS_PER_WEEK for p in phases]),
        np.array([0.0 if p.starts is None else (p.starts - 1) * HOURS_PER_WEEK for p in phases]),
        np.array([np.nan if p.widen_to is None else p.widen_to.value for p in phases]),
        np.array([_unit(d, p) == "mg/kg" for d, p in zip(drugs, phases, strict=True)]),
        np.array([np.inf if d.never_above is None else d.never_above.value for d in drugs]),
        np.array([p.drug is None and d.dose is not None for d, p in zip(drugs, phases, strict=True)]),
    )


def _adjusted(protocol: Protocol, chart: Chart) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """The dose as adjusted by now (NaN: as planned); the lowest that a rule may ask for of which that is not known
    (infinite without one); and what each rule said. Of two that speak, the lower dose."""
    place = chart.place
    given = np.asarray(place.given)
    new = np.full(np.broadcast(given, np.asarray(place.dose)).shape, np.inf)
    perhaps, said = new, {}
    for rule in protocol.adjust:
        if rule.from_dose is not None or rule.when is None:
            continue
        asked = given > 0 if rule.after_dose is None else given == rule.after_dose
        truth = _where(asked, met(protocol, rule.when, chart))
        said[rule.rule] = spoken(truth)
        new = np.where(truth.yes, np.minimum(new, rule.dose_to.value), new)
        perhaps = np.where(truth.missing, np.minimum(perhaps, rule.dose_to.value), perhaps)
    return np.where(np.isfinite(new), new, np.asarray(place.dose, float)), perhaps, said


def _due(t: Table, place: Place, adjusted: np.ndarray) -> np.ndarray:
    """The dose that is due in its unit, as planned or as adjusted."""
    phase, number = np.asarray(place.phase, int), np.asarray(place.number, int)
    planned = t.doses[phase, np.clip(number, 1, t.doses.shape[1]) - 1]
    return np.where(np.isnan(adjusted) | ~t.adjustable[phase], planned, adjusted)


def ceiling(rule: AdjustRule, given: Any) -> np.ndarray:
    """The highest dose that a rule with `from dose` allows at the session after `given` ones, in the unit of `dose to`;
    infinite before it applies."""
    later = np.asarray(given, float) - ((rule.from_dose or 1) - 1)
    step = rule.steps_of.value if rule.steps_of else 0.0
    return np.where(later >= 0, rule.dose_to.value + step * np.maximum(later, 0), np.inf)


def _below(protocol: Protocol, t: Table, chart: Chart, due: np.ndarray) -> tuple[np.ndarray, list[Verdict]]:
    """The dose under every ceiling that holds, and what each says: one that is not known, and could lower the dose
    further, holds the session."""
    place = chart.place
    applies = t.adjustable[np.asarray(place.phase, int)]
    found = []
    for rule in protocol.adjust:
        if rule.from_dose is not None:
            holds = there(rule.condition, chart) if rule.condition else met(protocol, rule.when or (), chart)
            found.append((rule, np.where(applies, ceiling(rule, place.given), np.inf), holds))
    dose = due
    for _, most, holds in found:
        dose = np.where(holds.yes, np.minimum(dose, most), dose)
    said = []
    for rule, most, holds in found:
        lowers = most < np.where(holds.yes, due, dose)
        said.append(Verdict(rule.rule, _where(lowers, holds), GIVE))
    return dose, said


def _in_mg(t: Table, chart: Chart, dose: np.ndarray) -> tuple[np.ndarray, Truth]:
    """A dose in mg, capped, and whether it cannot be worked out."""
    phase = np.asarray(chart.place.phase, int)
    weight = np.asarray(chart.measures.get(WEIGHT, np.nan), float)
    known = (weight >= LIGHTEST_KG) & (weight <= HEAVIEST_KG)
    by_weight = t.per_kg[phase]
    mg = np.minimum(np.where(by_weight, dose * np.where(known, weight, np.nan), dose), t.cap_mg[phase])
    unknown = by_weight & ~known
    return mg, Truth(np.zeros_like(unknown), ~unknown)


# --- when next --------------------------------------------------------------------------------------------------------


def _interval(protocol: Protocol, t: Table, chart: Chart) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Hours from this session to the next within its phase, and what rules said of it: wider while a phase's own
    condition or a rule allows it, as in the phase before where a rule steps back; where both, neither."""
    place = chart.place
    phase, number = np.asarray(place.phase, int), np.asarray(place.number, int)
    shape = np.broadcast(phase, number).shape
    wider, back = np.zeros(shape, bool), np.zeros(shape, bool)
    for k, p in enumerate(protocol.phases):
        if p.while_:
            wider = wider | ((phase == k) & met(protocol, p.while_, chart).yes)
    said = {}
    for rule in protocol.decide:
        when = rule.widen_when or rule.step_back_when
        if when:
            truth = _where(asked_now(protocol, rule, place), met(protocol, when, chart))
            said[rule.rule] = spoken(truth)
            wider, back = (wider | truth.yes, back) if rule.widen_when else (wider, back | truth.yes)
    usual = t.gaps_h[phase, (number - 1) % np.maximum(t.gaps[phase], 1)]
    widened = np.where(np.isnan(t.widened_h[phase]), usual, t.widened_h[phase])
    before = t.gaps_h[np.maximum(phase - 1, 0), 0]
    earlier = np.where((phase > 0) & (before > 0), np.minimum(before, usual), usual)
    return np.where(wider & ~back, widened, np.where(back & ~wider, earlier, usual)), said


def _onward(t: Table, place: Place, start_h: Any, number: Any, over: Any) -> tuple[np.ndarray, Place]:
    """Hours until the session that would be due at `start_h` as the `number`-th of its phase, and which it is; where
    the phase is `over`, the first of the next that has not ended by then. Infinite after the last phase."""
    phase, time_h = np.asarray(place.phase, int), np.asarray(place.time_h, float)
    last = len(t.sessions)
    now, count, start = phase + 0, np.asarray(number, int), np.asarray(start_h, float)
    for k in range(1, last + 1):
        here = np.asarray(over) & (now == k - 1)
        now = np.where(here, k, now)
        count = np.where(here, 1, count)
        if k < last:
            start = np.where(here, np.maximum(start, t.starts_h[k]), start)
            over = np.where(here, start >= t.until_h[k], over)
    done = now >= last
    next_h = np.where(done, np.inf, start - time_h)
    return next_h, replace(
        place,
        phase=np.where(done, phase, now),
        number=np.where(done, place.number, count),
        ended=np.where(now != phase, phase, place.ended),
    )


def _after(t: Table, place: Place, gap_h: np.ndarray) -> tuple[np.ndarray, Place]:
    """Hours from a session that is given until the next is due, and which that is."""
    phase, number = np.asarray(place.phase, int), np.asarray(place.number, int) + 1
    # a phase of one session has no gap: where that was late, what follows still waits a day
    start = np.asarray(place.time_h, float) + np.where(t.gaps[phase] > 0, gap_h, RETRY_H)
    over = (number > t.sessions[phase]) | (start >= t.until_h[phase])
    given = replace(place, given=np.asarray(place.given) + 1, ended=np.full(np.shape(phase), -1))
    return _onward(t, given, start, number, over)


def postponed(protocol: Protocol, place: Place, wait_h: Any) -> tuple[np.ndarray, Place]:
    """Hours until a session that was due now is due again after `wait_h`, and which session that is then: a phase may
    end meanwhile, and after the last phase there is none (infinite)."""
    t = table(protocol)
    start = np.asarray(place.time_h, float) + wait_h
    return _onward(t, place, start, place.number, start >= t.until_h[np.asarray(place.phase, int)])


def _begun_again(protocol: Protocol, chart: Chart) -> tuple[Chart, dict[str, np.ndarray]]:
    """The chart at the first session of the phase to which a rule goes back from a later one, and what such rules said.
    Of several, the earliest phase. A phase that has begun again is not begun again before it is over."""
    place = chart.place
    phase, number, again = (np.asarray(x) for x in (place.phase, place.number, place.again))
    names = [p.name for p in protocol.phases]
    back_to = np.full(np.shape(phase), len(names))
    said = {}
    for rule in protocol.decide:
        if rule.begin_again_when and rule.phase and rule.at_most:
            target = names.index(rule.phase)
            asked = asked_now(protocol, rule, place) & (again < rule.at_most) & (phase > target)
            truth = _where(asked, met(protocol, rule.begin_again_when, chart))
            said[rule.rule] = spoken(truth)
            back_to = np.where(truth.yes, np.minimum(back_to, target), back_to)
    back = back_to < len(names)
    moved = replace(
        place,
        phase=np.where(back, back_to, phase),
        number=np.where(back, 1, number),
        again=again + back,
        dose=np.where(back, np.nan, place.dose),
        ended=np.where(back, -1, place.ended),
    )
    return replace(chart, place=moved), said


def decide(protocol: Protocol, chart: Chart) -> Decision:
    """What the protocol says of the session that is due.

    chart: of one patient, or of many as arrays [patients]; the decision has the same shape, and the same values for a
    patient alone as among others. Raises ValueError for a protocol that gives no drug: it has no session to decide on.
    """
    if not protocol.phases:
        raise ValueError(f"{protocol.name} gives no drug, so there is no session to decide on")
    t = table(protocol)
    chart, said = _begun_again(protocol, with_course(chart))
    adjusted, perhaps, of_dose = _adjusted(protocol, chart)
    dose, ceilings = _below(protocol, t, chart, _due(t, chart.place, adjusted))
    mg, weighed = _in_mg(t, chart, dose)
    gap_h, of_interval = _interval(protocol, t, chart)
    said |= of_dose | of_interval
    now = chart.place
    # nobody knows whether less should be given
    in_doubt = (perhaps < dose) & t.adjustable[np.asarray(now.phase, int)]
    action = np.where(in_doubt, HOLD, GIVE)
    usual_h = protocol.session.retry.value if protocol.session.retry else RETRY_H
    wait_h = np.full(np.shape(dose), usual_h)
    for v in (*verdicts(protocol, chart), *ceilings, Verdict(WEIGHT, weighed, HOLD)):
        action = np.maximum(action, v.acts())
        if v.for_h is not None:
            wait_h = np.where(v.truth.yes, np.maximum(wait_h, v.for_h), wait_h)
        said[v.rule] = spoken(v.truth)
    given, held = action == GIVE, action == HOLD
    onward_h, onward = _after(t, now, gap_h)
    retry_h, again = postponed(protocol, now, wait_h)
    next_h = np.where(given, onward_h, np.where(held, retry_h, np.inf))

    def due(name: str) -> np.ndarray:
        """What the place has by that name after this decision."""
        return np.where(given, getattr(onward, name), np.where(held, getattr(again, name), getattr(now, name)))

    place = Place(
        **{name: due(name) for name in ("phase", "number", "given", "ended")},
        time_h=np.asarray(now.time_h) + next_h,
        since_h=np.where(given, 0.0, now.since_h) + next_h,
        before_h=np.asarray(now.time_h, float),
        dose=np.where(given, adjusted, now.dose),
        again=np.asarray(now.again),
        held=np.where(given, 0, np.asarray(now.held) + held),
    )
    nothing = np.nan
    return Decision(
        action, np.where(given, dose, nothing), np.where(given, mg, nothing), now.phase, next_h, place, said
    )
