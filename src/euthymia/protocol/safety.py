"""What makes a protocol sound beyond its grammar: doses in bounds, no overlaps, supervised care."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from euthymia.protocol import words
from euthymia.protocol.bounds import HEAVY_KG, LIGHT_KG, Bound, bound
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.document import Drug, Phase, Protocol
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.reader import Path
from euthymia.protocol.rules import Requirement

# How far a calendar is walked to look for sessions too close together: two years, the engine's horizon.
CHECKED_H = 2 * 365 * 24.0

Problem = tuple[Path, str]


class Unsound(ValueError):
    """Carries every problem found, each with the path in the document where it stands."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


def problems(protocol: Protocol) -> list[Problem]:
    """Every problem of a protocol that is well formed, as (path, clause)."""
    found = [
        *_references(protocol),
        *_shape(protocol),
        *_alongside(protocol),
        *_exposure(protocol),
        *_doses(protocol),
        *_care(protocol),
    ]
    # a calendar can only be walked when its phases make sense
    return found or [*_calendar(protocol), *_few_sessions(protocol)]


def _doses(protocol: Protocol) -> Iterator[Problem]:
    if protocol.drug is not None:
        yield from _drug(protocol, protocol.drug, ("drug",))
    for index, phase in enumerate(protocol.phases):
        path: Path = ("phases", index)
        if phase.drug is not None:
            yield from _drug(protocol, phase.drug, (*path, "drug"))
        drug = phase.drug or protocol.drug
        if drug is None:
            yield (
                path,
                "this phase gives no drug and the protocol has none; add `drug` or leave the phase out",
            )
            continue
        if phase.dose is not None:
            yield from _dose(protocol, drug, phase.dose, (*path, "dose"))
        unit = ""
        for number, dose in enumerate(phase.dose_by_session or ()):
            yield from _dose(protocol, drug, dose, (*path, "dose by session", number))
            unit = unit or dose.unit
            if dose.unit != unit:
                yield (
                    (*path, "dose by session", number),
                    f"{dose} beside doses in {unit}: a phase has doses in one unit",
                )
    for index, rule in enumerate(protocol.adjust):
        here: Path = ("adjust", index, "dose to")
        if protocol.drug is None:
            yield here, "there is no `drug` to adjust"
        else:
            yield from _dose(protocol, protocol.drug, rule.dose_to, here)
            yield from _same_unit(protocol, rule.dose_to, here)
            if rule.steps_of is not None:
                yield from _dose(protocol, protocol.drug, rule.steps_of, ("adjust", index, "steps of"))


def _same_unit(protocol: Protocol, dose: Quantity, path: Path) -> Iterator[Problem]:
    """An adjusted dose stands in for the planned one, so that 20 mg must not be read as 20 mg/kg."""
    for phase in protocol.phases:
        planned = protocol.dose_in(phase, 1) if phase.drug is None else None
        if planned is not None and planned.unit != dose.unit:
            yield path, f"{dose} cannot stand in for {planned} of {phase.name}; give it in {planned.unit}"
            return


def _drug(protocol: Protocol, drug: Drug, path: Path) -> Iterator[Problem]:
    if drug.dose is not None:
        yield from _dose(protocol, drug, drug.dose, (*path, "dose"))
    if drug.never_above is not None and drug.never_above.value <= 0:
        yield (*path, "never above"), "the cap must be above zero"
    if drug.over is None:
        return
    here = (*path, "over")
    if drug.over.value <= 0:
        yield here, "the infusion time must be above zero"
        return
    longest = bound("infusion at most", protocol.status, drug.compound, drug.route)
    if longest and drug.over.value > longest.hours:
        yield here, f"{drug.over} is longer than a `{protocol.status}` protocol may infuse, {longest}"


def _dose(protocol: Protocol, drug: Drug, dose: Quantity, path: Path) -> Iterator[Problem]:
    status, compound, route = protocol.status, drug.compound, drug.route
    if compound in words.INERT:
        yield path, f"{compound} has no dose"
        return
    if not dose.value > 0:
        yield path, f'"{dose}" is not a dose; it must be above zero'
        return
    by_weight = bound("dose by weight at most", status, compound, route)
    fixed = bound("dose at most", status, compound, route)
    if by_weight is None and fixed is None:
        yield path, f"{_not_published(status, compound, route)}"
        return
    yield from _too_much(protocol, drug, dose, by_weight, fixed, path)
    devices = bound("whole devices of", status, compound, route)
    if devices is not None and (dose.unit != "mg" or dose.value % devices.value > 1e-9):
        yield path, f"{dose} is not a whole number of devices of {devices}"
    if drug.over is not None and drug.over.value > 0:
        per_kg = dose.value if dose.unit == "mg/kg" else dose.value / LIGHT_KG
        shortest = bound("infusion at least", status, compound, route, per_kg)
        if shortest and drug.over.value < shortest.hours - 1e-9:
            yield path, f"{dose} over {drug.over} is too fast for a `{status}` protocol; at least {shortest}"


def _too_much(
    protocol: Protocol, drug: Drug, dose: Quantity, by_weight: Bound | None, fixed: Bound | None, path: Path
) -> Iterator[Problem]:
    if dose.unit == "mg/kg":
        if by_weight is not None:
            limit, given, how = by_weight, dose.value, ""
        else:
            assert fixed is not None
            limit, given = fixed, dose.value * HEAVY_KG
            if drug.never_above is not None:
                given = min(given, drug.never_above.value)
            how = f", which is {given:g} mg at {HEAVY_KG:g} kg,"
    elif fixed is not None:
        limit, given, how = fixed, dose.value, ""
    else:
        assert by_weight is not None
        limit, given = by_weight, dose.value / LIGHT_KG
        how = f", which is {given:.2g} mg/kg at {LIGHT_KG:g} kg,"
    if given <= limit.value * (1 + 1e-9):
        return
    what = f"{dose} of {drug.route} {drug.compound}{how} is more than a `{protocol.status}` protocol may order"
    yield path, f"{what}, at most {limit}{_wider(protocol.status, drug, limit, given)}"


def _wider(status: str, drug: Drug, limit: Bound, given: float) -> str:
    """Which status would take the dose, if any: an anaesthetic dose is for contrast, never for treatment."""
    for wider in words.STATUSES[words.STATUSES.index(status) + 1 :]:
        other = bound(limit.limit, wider, drug.compound, drug.route)
        if other is not None and other.value > limit.value and given <= other.value * (1 + 1e-9):
            return f"; only a `{wider}` protocol may show up to {other.value:g} {other.unit}"
    return "; no status allows it"


def _not_published(status: str, compound: str, route: str) -> str:
    wider = [
        other
        for other in words.STATUSES[words.STATUSES.index(status) + 1 :]
        if bound("dose by weight at most", other, compound, route) or bound("dose at most", other, compound, route)
    ]
    rest = f"it may be `{wider[0]}`" if wider else "no status allows it"
    return f"{compound} by the {route} route has no published dose a `{status}` protocol may give; {rest}"


def _references(protocol: Protocol) -> Iterator[Problem]:
    known = [source.id for source in protocol.sources]
    for index, name in enumerate(known):
        if name in known[:index]:
            yield ("sources", index, "id"), f"the source `{name}` is given twice"
    counted = [rule for rule in protocol.eligibility.require if rule.measure == words.FAILED_TRIALS]
    for index, rule in enumerate(protocol.eligibility.require):
        if rule in counted and _counts(rule) != _counts(counted[0]):
            yield (
                ("eligibility", "require", index),
                f"counts other trials than {counted[0].rule}; a patient has one number",
            )
    seen: set[str] = set()
    for path, rule in protocol.rules():
        if rule.source not in known:
            yield (
                (*path, "source"),
                f"`{rule.source}` is not the id of a source above; allowed: {', '.join(known)}",
            )
        if rule.rule in seen:
            yield (*path, "rule"), f"the rule id `{rule.rule}` is given twice"
        seen.add(rule.rule)
    for block, items in (("alongside", protocol.alongside), ("exposure", protocol.exposure)):
        for index, item in enumerate(items):
            if item.source not in known:
                here: Path = (block, index, "source")
                yield here, f"`{item.source}` is not the id of a source above; allowed: {', '.join(known)}"


def _counts(rule: Requirement) -> tuple[float | None, frozenset[str]]:
    """Which trials of antidepressants a requirement counts."""
    return rule.lasting_at_least and rule.lasting_at_least.value, frozenset(rule.counting or ())


def _shape(protocol: Protocol) -> Iterator[Problem]:
    phases = protocol.phases
    names = [phase.name for phase in phases]
    if protocol.drug is not None and not phases:
        yield ("drug",), "a protocol that gives a drug needs `phases`"
    if protocol.drug is None and not phases and not protocol.alongside and not protocol.exposure:
        yield ("drug",), "the protocol treats with nothing; give a `drug`, something `alongside` or `exposure`"
    for index, phase in enumerate(phases):
        path: Path = ("phases", index)
        if phase.name in names[:index]:
            yield (*path, "name"), f"two phases are called `{phase.name}`"
        if phase.doses is None and phase.until is None and index < len(phases) - 1:
            yield path, "only the last phase may be open; give `doses` or `until`"
        listed = len(phase.dose_by_session or ())
        if phase.doses is not None and listed > phase.doses:
            yield (*path, "dose by session"), f"lists {listed} doses for {phase.doses} sessions"
        if index == 0 and phase.starts is not None:
            yield (*path, "starts"), "the first phase starts on the first day; leave `starts` out"
        if phase.starts is not None and phase.until is not None and phase.until < phase.starts:
            yield (*path, "until"), "the phase ends before it starts"
    for index, rule in enumerate(protocol.decide):
        name = rule.at.removeprefix("end of ")
        if name != rule.at and name not in names:
            yield ("decide", index, "at"), f"there is no phase `{name}`; phases: {', '.join(names) or 'none'}"
        if rule.phase is not None and rule.phase not in names:
            here: Path = ("decide", index, "phase")
            yield here, f"there is no phase `{rule.phase}`; phases: {', '.join(names) or 'none'}"
    scales = [item.scale for item in protocol.measure]
    for index, item in enumerate(protocol.measure):
        if item.scale in scales[:index]:
            yield ("measure", index, "scale"), f"{item.scale} is given twice; list all its times once"
        if any(time.value < 0 for time in item.at or ()):
            yield ("measure", index, "at"), "a time before the first day"


def _alongside(protocol: Protocol) -> Iterator[Problem]:
    for index, item in enumerate(protocol.alongside):
        path: Path = ("alongside", index)
        if item.dose is not None:
            most = bound("daily dose at most", protocol.status, item.agent, "daily")
            if not item.dose.value > 0:
                yield (*path, "dose"), f'"{item.dose}" is not a dose; it must be above zero'
            elif most is not None and item.dose.value > most.value:
                yield (*path, "dose"), f"{item.dose} of {item.agent} is more than {most}"
        if item.start_h < 0:
            yield (*path, "start"), "a time before the first day"
        if item.stop_h <= item.start_h:
            yield (*path, "stop"), "stops before it starts"
        for other in protocol.alongside[:index]:
            if other.agent == item.agent and item.start_h < other.stop_h and other.start_h < item.stop_h:
                yield (
                    path,
                    f"{item.agent} is given twice at the same time; stop the one before starting the other",
                )


def _exposure(protocol: Protocol) -> Iterator[Problem]:
    for index, item in enumerate(protocol.exposure):
        path: Path = ("exposure", index)
        for key, time in (("starts", item.starts), ("lag", item.lag)):
            if time is not None and time.value < 0:
                yield (*path, key), "a time before the first day" if key == "starts" else "a time before the session"
        if item.lag is not None and not protocol.phases:
            yield (*path, "lag"), "there are no sessions of a drug to follow; give `starts` instead"


def _care(protocol: Protocol) -> Iterator[Problem]:
    """A treatment document must be supervised; research and contrast documents may leave the list out."""
    drugs = [phase.drug or protocol.drug for phase in protocol.phases]
    if protocol.status != "catalogue" or not any(drugs):
        return
    if not any(item.safeguard == "supervised administration only" for item in protocol.safeguards):
        yield (
            ("safeguards",),
            "needs at least `safeguard: supervised administration only`; without it a protocol can only be"
            " `research only` or `contrast`",
        )
    stay = protocol.session.discharge
    if stay is None:
        yield ("session",), "needs a `discharge` rule: nobody leaves a ketamine session without one"
        return
    for drug in drugs:
        least = bound("stay at least", protocol.status, drug.compound, drug.route) if drug else None
        if least is not None and stay.no_earlier_than.value < least.hours:
            yield ("session", "discharge", "no earlier than"), f"{stay.no_earlier_than} is less than {least}"
            return


def _calendar(protocol: Protocol) -> Iterator[Problem]:
    from euthymia.protocol.expand import session_times

    stated = max((rule.at_least.value for rule in protocol.safeguards if rule.at_least is not None), default=0.0)
    for index, phase in enumerate(protocol.phases):
        least = _least_gap(protocol, phase)
        for gap in phase.every or ():
            if gap.value < least.hours:
                yield ("phases", index, "every"), f"sessions {gap} apart overlap; at least {least}"
                return
    order = {phase.name: index for index, phase in enumerate(protocol.phases)}
    times: list[float] = []
    end_h = 0.0
    for time_h, phase, _ in session_times(protocol, CHECKED_H):
        path: Path = ("phases", order[phase.name], "starts" if phase.starts else "every")
        drug = protocol.drug_in(phase)
        if times and time_h < max(times[-1] + max(_least_gap(protocol, phase).hours, stated), end_h) - 1e-9:
            gap_h = time_h - times[-1]
            allowed = f"the {stated:g} h this protocol states" if stated else str(_least_gap(protocol, phase))
            yield (
                path,
                f"two sessions {gap_h:g} h apart overlap (the second at {time_h:g} h); at least {allowed}",
            )
            return
        times.append(time_h)
        end_h = time_h + (drug.over.value if drug.over else 0.0)
        densest = bound("sessions in 7 days at most", protocol.status, drug.compound, drug.route)
        recent = sum(other > time_h - HOURS_PER_WEEK + 1e-9 for other in times[-20:])
        if densest is not None and recent > densest.value:
            yield path, f"{recent} sessions within 7 days (up to {time_h:g} h); at most {densest}"
            return


def _few_sessions(protocol: Protocol) -> Iterator[Problem]:
    from euthymia.protocol.expand import session_times

    for index, item in enumerate(protocol.exposure):
        given = sum(1 for _ in islice(session_times(protocol, CHECKED_H), item.sessions))
        if item.lag is not None and item.every is None and given < item.sessions:
            yield (
                ("exposure", index, "every"),
                f"the drug has {given} sessions for {item.sessions} of {item.therapy}; say how far apart the rest are",
            )


def _least_gap(protocol: Protocol, phase: Phase) -> Bound:
    drug = protocol.drug_in(phase)
    least = bound("interval at least", protocol.status, drug.compound, drug.route)
    assert least is not None  # the table has a row for any drug
    return least
