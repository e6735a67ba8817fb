"""What a protocol becomes once expanded in time: plain records, no heavy imports.

Time is in hours from the first day of the course: the first session of the first phase is at 0 h.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

HOURS_PER_DAY = 24.0
HOURS_PER_WEEK = 168.0


@dataclass(frozen=True)
class Administration:
    """One dose given at one supervised session.

    `dose_mg` or `dose_mg_per_kg` is set for an active drug (never both); saline and placebo spray set
    neither. `cap_mg` bounds a dose by weight. `duration_h` is the length of an intravenous infusion (a bolus
    is an infusion over one minute) and 0 for every other route. Masses are free base.
    """

    time_h: float
    compound: str
    route: str
    dose_mg: float | None
    dose_mg_per_kg: float | None
    cap_mg: float | None
    duration_h: float
    phase: str
    session: int


@dataclass(frozen=True)
class DailyTreatment:
    """An oral treatment taken every day from `start_h` until `stop_h` (None: until the end of the course).

    `dose_mg_per_day` is None only for "new oral antidepressant": whichever the clinician picks.
    """

    agent: str
    kind: str
    dose_mg_per_day: float | None
    start_h: float
    stop_h: float | None


@dataclass(frozen=True)
class Design:
    """How the course is run as a trial or a clinic; it moves response rates more than the dose does."""

    expectancy: str
    setting: str
    sites: str


@dataclass(frozen=True)
class Schedule:
    """Doses strictly before `horizon_h` in time order, and what goes with them.

    `measure_h` gives, for each rating scale, the times (h) at which the protocol asks for it; `exposures_h` when
    sessions of exposure therapy are.
    """

    administrations: tuple[Administration, ...]
    daily: tuple[DailyTreatment, ...]
    design: Design
    horizon_h: float
    measure_h: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    exposures_h: tuple[float, ...] = ()
