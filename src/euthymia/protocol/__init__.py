"""The protocol: one document that says who is treated, with what, when, how watched, and when to stop.

`load` reads one, `schedule` expands it in time, `explain` says it in plain words, `check` lists its faults, the room
`decide` acts on its rules; `differences` tells what changed between two; `to_plan_definition` and
`from_plan_definition` carry it to FHIR and back.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from euthymia.protocol.calendar import Administration, DailyTreatment, Design, Schedule

if TYPE_CHECKING:
    from euthymia.protocol.changes import differences
    from euthymia.protocol.document import Protocol, json_schema
    from euthymia.protocol.expand import schedule
    from euthymia.protocol.fhir import from_plan_definition, to_plan_definition
    from euthymia.protocol.loader import canonical_json, catalogue, check, fingerprint, load, loads
    from euthymia.protocol.plain_words import explain
    from euthymia.protocol.writer import to_yaml

__all__ = [
    "Administration",
    "DailyTreatment",
    "Design",
    "Protocol",
    "Schedule",
    "canonical_json",
    "catalogue",
    "check",
    "differences",
    "explain",
    "fingerprint",
    "from_plan_definition",
    "json_schema",
    "load",
    "loads",
    "schedule",
    "to_plan_definition",
    "to_yaml",
]

# Read on first use: the schema costs more to import than a `--help` may take.
_HOME = {
    "Protocol": "document",
    "json_schema": "document",
    "differences": "changes",
    "schedule": "expand",
    "explain": "plain_words",
    "canonical_json": "loader",
    "catalogue": "loader",
    "check": "loader",
    "fingerprint": "loader",
    "load": "loader",
    "loads": "loader",
    "from_plan_definition": "fhir",
    "to_plan_definition": "fhir",
    "to_yaml": "writer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = found
    return found
