"""What a planned trial gives to whom, and when: the calendar of each arm, or of each sequence of a crossover."""

from dataclasses import replace

import numpy as np

from euthymia.course.plan import make_plan
from euthymia.course.readings import unsimulated
from euthymia.course.simulate import beyond_evidence
from euthymia.patient.population import illness_of
from euthymia.protocol import load, schedule
from euthymia.protocol.calendar import Administration, DailyTreatment, Schedule
from euthymia.protocol.document import Drug, Protocol
from euthymia.protocol.words import INERT
from euthymia.trial.plan import Plan, PlannedArm


def _inert(route: str) -> str:
    return "placebo spray" if route == "intranasal device" else "saline"


def _sham(a: Administration) -> Administration:
    """The session without its drug."""
    if a.compound in INERT:
        return a
    return replace(a, compound=_inert(a.route), dose_mg=None, dose_mg_per_kg=None, cap_mg=None)


def _sham_of(protocol: Protocol) -> Protocol:
    """The protocol with the same rules for sessions without their drug."""

    def without(drug: Drug | None) -> Drug | None:
        if drug is None or drug.compound in INERT:
            return drug
        return drug.model_copy(update={"compound": _inert(drug.route)})  # its doses stay, as those of a blinded syringe

    phases = tuple(phase.model_copy(update={"drug": without(phase.drug)}) for phase in protocol.phases)
    return protocol.model_copy(update={"drug": without(protocol.drug), "phases": phases})


def ruled(plan: Plan, no_effect: bool = False) -> tuple[Protocol | None, ...]:
    """By arm, the protocol whose rules say what is given; None where it is its calendar, as nothing is given in
    sessions, or the arm is known by its rates, or the trial does not follow rules."""
    found = []
    for arm in _arms(plan, no_effect):
        name = arm.protocol or arm.sham_of
        protocol = load(name) if plan.follow_rules and name else None
        found.append(_sham_of(protocol) if protocol and arm.sham_of else protocol)
    return tuple(protocol if protocol and protocol.phases else None for protocol in found)


def _arms(plan: Plan, no_effect: bool) -> list[PlannedArm]:
    return [plan.arms[plan.control]] * len(plan.arms) if no_effect else list(plan.arms)


def _own(plan: Plan, arm: PlannedArm, horizon_h: float) -> Schedule:
    """What an arm is given until the horizon, under the trial's design; nothing, where it is known by its rates."""
    if arm.published:
        return Schedule((), (), plan.design_of_course(), horizon_h)
    planned = schedule(load(arm.protocol or arm.sham_of or ""), horizon_h)
    given = planned.administrations
    return replace(
        planned,
        administrations=tuple(map(_sham, given)) if arm.sham_of else given,
        design=plan.design_of_course(),
        measure_h={},
    )


def _part(
    planned: Schedule, start_h: float, end_h: float
) -> tuple[list[Administration], list[DailyTreatment], list[float]]:
    """A calendar moved to `start_h` and cut at `end_h`."""
    sessions = [replace(a, time_h=start_h + a.time_h) for a in planned.administrations if start_h + a.time_h < end_h]
    daily = [
        replace(d, start_h=start_h + d.start_h, stop_h=min(end_h, start_h + (end_h if d.stop_h is None else d.stop_h)))
        for d in planned.daily
    ]
    return sessions, daily, [start_h + t for t in planned.exposures_h if start_h + t < end_h]


def lead_in_calendar(plan: Plan) -> Schedule:
    """The lead-in of a randomised withdrawal."""
    assert plan.lead_in
    planned = schedule(load(plan.lead_in.protocol), plan.lead_in.lasts.value)
    return replace(planned, design=plan.design_of_course(), measure_h={})


def calendars(plan: Plan, no_effect: bool = False) -> tuple[Schedule, ...]:
    """What is given in each arm, or in each sequence of a crossover (the arms in their order, then reversed).

    From the first day to the last visit, so a randomised withdrawal starts with its lead-in. no_effect: every arm is
    given what the comparator is.
    """
    arms = _arms(plan, no_effect)
    if plan.periods:
        length = plan.periods.length.value
        starts = (0.0, length + plan.periods.washout.value)
        end = starts[1] + length
        found = []
        for pair in (arms, arms[::-1]):
            parts = [
                _part(_own(plan, arm, length), start, start + length) for arm, start in zip(pair, starts, strict=True)
            ]
            sessions = tuple(a for given, _, _ in parts for a in given)
            daily = tuple(d for _, taken, _ in parts for d in taken)
            exposures = tuple(t for *_, times in parts for t in times)
            found.append(Schedule(sessions, daily, plan.design_of_course(), end, exposures_h=exposures))
        return tuple(found)
    if plan.lead_in:
        begins = plan.lead_in.lasts.value
        whole = schedule(load(plan.lead_in.protocol), begins + plan.visits[-1])
        whole = replace(whole, design=plan.design_of_course(), measure_h={})
        before = tuple(a for a in whole.administrations if a.time_h < begins)
        after = tuple(a for a in whole.administrations if a.time_h >= begins)
        then = {"goes on": after, "sham": tuple(map(_sham, after)), "stops": ()}
        return tuple(
            replace(whole, administrations=before + then[arm.after_lead_in]) for arm in arms if arm.after_lead_in
        )
    return tuple(_own(plan, arm, plan.visits[-1]) for arm in arms)


def warnings(plan: Plan, no_effect: bool = False) -> dict[str, tuple[str, ...]]:
    """By arm, where there are any: what guidelines say against its protocol, and what of its course no human data
    support, in words."""
    arms = _arms(plan, no_effect)
    if plan.periods:
        given = tuple(_own(plan, arm, plan.periods.length.value) for arm in arms)
    else:
        given = calendars(plan, no_effect)
    found = {}
    for named, arm, calendar, protocol in zip(plan.arms, arms, given, ruled(plan, no_effect), strict=True):
        name = plan.lead_in.protocol if plan.lead_in else arm.protocol
        said = [f"{w.warning} ({w.rule})" for w in load(name).warnings] if name else []
        said += make_plan(calendar.administrations, np.array([0.0, calendar.horizon_h])).warnings
        said += beyond_evidence(calendar, plan.population)
        if protocol:
            said += unsimulated(protocol, illness_of(plan.population))
        if said:
            found[named.arm] = tuple(said)
    return found
