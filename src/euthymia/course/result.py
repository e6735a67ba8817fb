"""The Course: what happened to every patient, labelled, with units and provenance."""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from euthymia.course.variants import Variants
from euthymia.patient.population import Patients
from euthymia.protocol import Protocol
from euthymia.protocol.calendar import Schedule


@dataclass(frozen=True)
class Provenance:
    """Where a result came from: enough to make it again."""

    protocol_hash: str
    population: str
    patients: int
    seed: int
    variants: dict[str, str]
    version: str

    @staticmethod
    def of(protocol_hash: str, people: Patients, variants: Variants, seed: int) -> "Provenance":
        try:
            release = version("euthymia")
        except PackageNotFoundError:
            release = "source"
        return Provenance(protocol_hash, people.population, len(people), seed, variants.changed(), release)


@dataclass(frozen=True, eq=False)
class Course:
    """The result of a simulation.

    time_h: observation times; values: by variable, [patients, times]; session_h: session times; sessions: by variable,
    [patients, sessions]; `UNITS` gives the unit of each variable.
    """

    protocol: Protocol
    calendar: Schedule
    people: Patients
    time_h: np.ndarray
    values: dict[str, np.ndarray]
    session_h: np.ndarray
    sessions: dict[str, np.ndarray]
    warnings: tuple[str, ...]
    provenance: Provenance
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def patients(self) -> int:
        """How many patients."""
        return len(self.people)
