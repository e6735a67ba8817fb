"""A protocol expanded into a calendar: which dose, when, up to a horizon."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count, islice

from euthymia.errors import UserError
from euthymia.protocol import words
from euthymia.protocol.calendar import HOURS_PER_WEEK, Administration, DailyTreatment, Design, Schedule
from euthymia.protocol.document import Exposure, Measure, Phase, Protocol

MAX_ADMINISTRATIONS = 20_000


def schedule(protocol: Protocol, horizon_h: float) -> Schedule:
    """Expand `protocol` from its first day (0 h) to `horizon_h` hours.

    Doses are those strictly before the horizon; rating scales are taken up to and including it, before the
    dose when both fall on the same hour. An open last phase goes on until the horizon. Rules that adjust or
    decide are not applied. Raises UserError when the horizon is not a positive number of hours.
    """
    if not (math.isfinite(horizon_h) and horizon_h > 0):
        raise UserError(f"The horizon must be a positive number of hours, not {horizon_h}.")
    given = tuple(_administrations(protocol, horizon_h))
    daily = tuple(
        DailyTreatment(
            agent=item.agent,
            kind=words.AGENTS[item.agent],
            dose_mg_per_day=item.dose.value if item.dose else None,
            start_h=item.start_h,
            stop_h=item.stop.value if item.stop else None,
        )
        for item in protocol.alongside
        if item.start_h < horizon_h
    )
    block = protocol.design
    return Schedule(
        administrations=given,
        daily=daily,
        design=Design(expectancy=block.expectancy, setting=block.setting, sites=block.sites),
        horizon_h=float(horizon_h),
        measure_h={item.scale: _times(item, horizon_h) for item in protocol.measure},
        exposures_h=tuple(
            sorted({t for item in protocol.exposure for t in exposure_times(protocol, item) if t < horizon_h})
        ),
    )


def session_times(protocol: Protocol, horizon_h: float) -> Iterator[tuple[float, Phase, int]]:
    """Time (h), phase and number within the phase (from 1) of every session before `horizon_h`, in order."""
    start_h = 0.0
    for phase in protocol.phases:
        if phase.starts is not None:
            start_h = max(start_h, (phase.starts - 1) * HOURS_PER_WEEK)
        end_h = phase.until * HOURS_PER_WEEK if phase.until is not None else math.inf
        gaps_h = [gap.value for gap in phase.every or ()]
        for number in count(1):
            if start_h >= end_h or (phase.doses is not None and number > phase.doses):
                break
            if start_h >= horizon_h:
                return
            yield start_h, phase, number
            if not gaps_h:  # a single dose has no rhythm of its own to hand on
                break
            start_h += gaps_h[(number - 1) % len(gaps_h)]


def exposure_times(protocol: Protocol, item: Exposure) -> tuple[float, ...]:
    """When the sessions of an exposure therapy are (h), however long the course is."""
    times: list[float] = []
    if item.lag is not None:
        given = islice(session_times(protocol, math.inf), item.sessions)
        times = [time_h + item.lag.value for time_h, _, _ in given]
    if not times:
        times = [item.starts.value if item.starts else 0.0]
    gaps = [gap.value for gap in item.every or ()]
    for number in range(item.sessions - len(times)):
        times.append(times[-1] + gaps[number % len(gaps)])
    return tuple(times)


def _administrations(protocol: Protocol, horizon_h: float) -> Iterator[Administration]:
    for session, (time_h, phase, number) in enumerate(session_times(protocol, horizon_h), start=1):
        if session > MAX_ADMINISTRATIONS:
            raise UserError(
                f"{protocol.name}: over {MAX_ADMINISTRATIONS} sessions in {horizon_h:g} h; shorten the horizon."
            )
        drug = protocol.drug_in(phase)
        dose = protocol.dose_in(phase, number)
        by_weight = dose is not None and dose.unit == "mg/kg"
        yield Administration(
            time_h=time_h,
            compound=drug.compound,
            route=drug.route,
            dose_mg=dose.value if dose is not None and not by_weight else None,
            dose_mg_per_kg=dose.value if dose is not None and by_weight else None,
            cap_mg=drug.never_above.value if drug.never_above and by_weight else None,
            duration_h=drug.over.value if drug.over else 0.0,
            phase=phase.name,
            session=session,
        )


def _times(item: Measure, horizon_h: float) -> tuple[float, ...]:
    if item.at is not None:
        return tuple(sorted({time.value for time in item.at if time.value <= horizon_h}))
    assert item.every is not None
    step_h = item.every.value
    return tuple(index * step_h for index in range(int(horizon_h / step_h + 1e-9) + 1))
