"""A planned trial's replicates, cut into blocks that a worker carries out alone.

A patient's numbers come from counters (seed, stream, patient, occasion), those of a replicate from its own seed:
results depend neither on the number of workers nor on how the work is cut, and a patient's score not on who else is in
the trial.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from euthymia import evidence
from euthymia.course.ruled import prepared
from euthymia.course.simulate import prepare
from euthymia.course.variants import Variants
from euthymia.course.visits import Ruled
from euthymia.patient.population import illness_of
from euthymia.patient.random import normals
from euthymia.protocol import Protocol
from euthymia.protocol.calendar import HOURS_PER_DAY, Schedule
from euthymia.trial.calendars import calendars, lead_in_calendar, ruled
from euthymia.trial.plan import Plan, Published, first_times

REPLICATES = 10_000
STRIDE = 400_000
"""Patients set aside for each replicate: replicates x stride stays within the 32-bit counter of patients."""
BLOCK = 16_384
"""Patients of one block of replicates, about: enough to fill batches, few enough to spread over many workers."""
MESH_LEVEL = 0.7  # as in `replicas`: a score moves by less than 0.01 points against the finest mesh
MAX_RATINGS = 2e8


def normal(seed: int, stream: str, occasions: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Standard normals [who, occasions]."""
    return np.asarray(normals(seed, {stream: np.asarray(occasions)}, who)[stream]).T


@dataclass(frozen=True)
class Block:
    """Some replicates of a planned trial in a row, from number `first`, with all that it takes to carry them out: a
    worker elsewhere reads no document.

    given: the calendar of every arm or sequence; ruled: by arm, the protocol whose rules are followed instead; lead_in:
    of a randomised withdrawal; published: of every arm known by its rates.
    """

    plan: Plan
    given: tuple[Schedule, ...]
    ruled: tuple[Protocol | None, ...]
    lead_in: Schedule | None
    published: tuple[Published | None, ...]
    seed: int
    study_levels: bool
    first: int
    replicates: int

    def levels(self) -> np.ndarray:
        """Multipliers [2, replicates] of the drug's and of the non-drug response."""
        if not self.study_levels:
            return np.ones((2, self.replicates))
        found = []
        for of in ("drug", "background"):
            deviate = normal(self.seed, f"study level {of}", np.zeros(1), self.numbers())[:, 0]
            found.append(np.exp(evidence.value(f"depression.sd_between_studies_{of}") * deviate))
        return np.stack(found)

    def numbers(self) -> np.ndarray:
        """The numbers of the replicates among all of the run."""
        return np.arange(self.first, self.first + self.replicates)


def blocks(plan: Plan, replicates: int, seed: int, no_effect: bool, study_levels: bool) -> list[Block]:
    """A run cut into blocks; no replicate's numbers depend on where."""
    size = max(1, int(BLOCK / (plan.patients * (3 if plan.lead_in else 1))))
    given, lead_in = calendars(plan, no_effect), lead_in_calendar(plan) if plan.lead_in else None
    rules = ruled(plan, no_effect)
    published = tuple((plan.arms[plan.control] if no_effect else arm).published for arm in plan.arms)
    return [
        Block(plan, given, rules, lead_in, published, seed, study_levels, first, min(size, replicates - first))
        for first in range(0, replicates, size)
    ]


@dataclass
class Bench:
    """A block being worked on: what its replicates, counted from 0 here, share; and the threads."""

    block: Block
    pool: ThreadPoolExecutor
    prepared: dict[Any, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.block.plan

    @property
    def seed(self) -> int:
        return self.block.seed

    @property
    def replicates(self) -> int:
        return self.block.replicates

    @cached_property
    def levels(self) -> np.ndarray:
        """As those of the block."""
        return self.block.levels()

    @cached_property
    def times(self) -> np.ndarray:
        """When patients are rated (h from the first day)."""
        return np.concatenate([np.asarray(self.plan.visits) + start for start in first_times(self.plan)])

    def leanings(self, stream: str, count: int) -> np.ndarray:
        """Standard normals [replicates, count] of sites or raters."""
        if stream not in self.prepared:
            self.prepared[stream] = normal(self.seed, stream, np.arange(count), self.block.numbers())
        return self.prepared[stream]

    def course(self, key: Any, calendar: Schedule, time_h: Sequence[float]) -> tuple:
        """Setting, timing, the times observed, and the rows of `time_h` among them."""
        if key not in self.prepared:
            times = np.unique(np.asarray(time_h, float))
            if self.plan.has_episodes:  # which are looked for every day
                times = np.union1d(times, np.arange(0.0, times[-1] + 1e-9, 24.0))
            illness = illness_of(self.plan.population)
            _, setting, timing = prepare(
                replace(calendar, horizon_h=float(times[-1])), times, Variants(), level=MESH_LEVEL, illness=illness
            )
            self.prepared[key] = setting, timing, times, np.searchsorted(times, time_h)
        return self.prepared[key]

    def ruled(self, arm: int) -> Ruled:
        """The course of an arm under the rules of its protocol."""
        key = "rules", arm
        if key not in self.prepared:
            protocol, calendar = self.block.ruled[arm], self.block.given[arm]
            assert protocol
            days = round(self.times[-1] / HOURS_PER_DAY)
            self.prepared[key] = prepared(protocol, self.plan.population, days, Variants(), calendar)[0]
        return self.prepared[key]
