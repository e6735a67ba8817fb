"""What of a virtual patient can be read at a visit, and what rules ask for that cannot."""

from euthymia.course.symptoms import RATINGS
from euthymia.protocol.chart import measures_used
from euthymia.protocol.document import Protocol
from euthymia.protocol.words import MEASURES, OF_THE_COURSE

LONG_AGO_H = 1e6
NORMAL = {
    "HR": 72.0,
    "RR": 14.0,
    "SpO2": 98.0,
    "MOAA/S": 5.0,
    "ASRM": 0.0,
    "YMRS": 0.0,
    "daily lorazepam equivalent": 0.0,
    "recovery time of last session": 1.5,
    "urinary symptoms": 0.0,
    "cognition": 28.0,
    "lost doses": 0.0,
    **{name: LONG_AGO_H for name in MEASURES if name.startswith("time since ") and name not in OF_THE_COURSE},
}
"""Readings that every virtual patient has where they are not simulated."""
SIMULATED = (
    "SBP",
    "DBP",
    "CADSS",
    "weight",
    "age",
    "failed antidepressant trials",
    "sessions in 7 days",
    "sessions in 28 days",
    "cumulative ketamine",
    "highest SBP of last session",
    "highest DBP of last session",
    "highest CADSS of last session",
    "drug liking",
    "early returns",
    *OF_THE_COURSE,
)
"""In every illness."""
IMPROVED = ("MADRS", "CAPS-5")
"""Scales whose fall from the first visit, in percent, is a measure of its own."""


def simulated(illness: str) -> frozenset[str]:
    """Every measure that is simulated in an illness (a key of `RATINGS`)."""
    scales = RATINGS[illness]
    return frozenset((*SIMULATED, *scales, *(f"{name} improvement" for name in IMPROVED if name in scales)))


def unsimulated(protocol: Protocol, illness: str) -> tuple[str, ...]:
    """What cannot be read of the measures that rules of a protocol look at, in words."""
    missing = measures_used(protocol) - simulated(illness)
    asked = {rule.measure for rule in protocol.eligibility.require}
    said = {
        "normal in every virtual patient": missing & NORMAL.keys(),
        "as eligibility asks in every virtual patient": (missing & asked) - NORMAL.keys(),
        "known of no virtual patient, so that rules that look at them do not pass": missing - asked - NORMAL.keys(),
    }
    return tuple(f"not simulated, and {how}: {', '.join(sorted(names))}" for how, names in said.items() if names)
