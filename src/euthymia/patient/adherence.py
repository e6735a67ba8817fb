"""Whether patients come when they are due."""

from dataclasses import dataclass

from euthymia import evidence


@dataclass(frozen=True)
class Adherence:
    """missed_visit: share of visits after the first session that a patient misses; returns_after: hours until one who
    did is seen again."""

    missed_visit: float
    returns_after: float

    @staticmethod
    def from_evidence() -> "Adherence":
        return evidence.fill(Adherence, "adherence")
