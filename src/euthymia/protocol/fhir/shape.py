"""The elements of FHIR R4 (4.0.1) that a protocol is written in; nothing else is written, and nothing else is read.

`subjectCanonical` and whatever else came with R4B is not among them.
"""

from __future__ import annotations

from typing import Any

from euthymia.errors import UserError
from euthymia.protocol.fhir.lens import URN, shown

MAX_DEPTH = 24
"""Of elements and lists within each other: a protocol needs 13."""

_QUANTITY = {"extension": ["Extension"], "value": float, "unit": str, "system": str, "code": str}

# type -> element -> its type; a list of one type: it repeats
ELEMENTS: dict[str, dict[str, Any]] = {
    "PlanDefinition": {
        "resourceType": str,
        "contained": ["ActivityDefinition"],
        "url": str,
        "identifier": ["Identifier"],
        "version": str,
        "name": str,
        "title": str,
        "type": "CodeableConcept",
        "status": str,
        "experimental": bool,
        "description": str,
        "useContext": ["UsageContext"],
        "purpose": str,
        "usage": str,
        "relatedArtifact": ["RelatedArtifact"],
        "goal": ["Goal"],
        "action": ["Action"],
    },
    "ActivityDefinition": {
        "resourceType": str,
        "id": str,
        "status": str,
        "experimental": bool,
        "relatedArtifact": ["RelatedArtifact"],
        "kind": str,
        "productCodeableConcept": "CodeableConcept",
        "dosage": ["Dosage"],
    },
    "Identifier": {"system": str, "value": str},
    "UsageContext": {"code": "Coding", "valueCodeableConcept": "CodeableConcept"},
    "RelatedArtifact": {
        "extension": ["Extension"],
        "type": str,
        "label": str,
        "display": str,
        "citation": str,
        "url": str,
        "resource": str,
    },
    "Goal": {"id": str, "description": "CodeableConcept", "target": ["Target"]},
    "Target": {"measure": "CodeableConcept", "detailRange": "Range"},
    "Action": {
        "id": str,
        "extension": ["Extension"],
        "prefix": str,
        "title": str,
        "description": str,
        "textEquivalent": str,
        "code": ["CodeableConcept"],
        "documentation": ["RelatedArtifact"],
        "goalId": [str],
        "condition": ["Condition"],
        "input": ["DataRequirement"],
        "relatedAction": ["RelatedAction"],
        "timingTiming": "Timing",
        "groupingBehavior": str,
        "requiredBehavior": str,
        "definitionCanonical": str,
        "action": ["Action"],
    },
    "Condition": {"kind": str, "expression": "Expression"},
    "Expression": {"language": str, "expression": str},
    "RelatedAction": {"actionId": str, "relationship": str, "offsetDuration": "Duration", "offsetRange": "Range"},
    "DataRequirement": {"type": str, "codeFilter": ["CodeFilter"]},
    "CodeFilter": {"path": str, "code": ["Coding"]},
    "CodeableConcept": {"coding": ["Coding"], "text": str},
    "Coding": {"system": str, "code": str, "display": str},
    "Dosage": {
        "sequence": int,
        "timing": "Timing",
        "route": "CodeableConcept",
        "doseAndRate": ["DoseAndRate"],
        "maxDosePerAdministration": "Quantity",
    },
    "DoseAndRate": {"doseQuantity": "Quantity"},
    "Timing": {"repeat": "Repeat"},
    "Repeat": {
        "extension": ["Extension"],
        "boundsDuration": "Duration",
        "count": int,
        "duration": float,
        "durationUnit": str,
        "frequency": int,
        "period": float,
        "periodUnit": str,
    },
    "Quantity": _QUANTITY,
    "Duration": _QUANTITY,
    "Range": {"low": "Quantity", "high": "Quantity"},
    "Extension": {
        "url": str,
        "valueCode": str,
        "valueString": str,
        "valuePositiveInt": int,
        "valueQuantity": "Quantity",
        "valueDuration": "Duration",
    },
}
# our extensions, for what R4 has no element for -> the value each has
EXTENSIONS = {
    "verified": "valueCode",
    "written": "valueString",
    "gap": "valueDuration",
    "until": "valueDuration",
    "valid-for": "valueDuration",
    "after-dose": "valuePositiveInt",
    "from-dose": "valuePositiveInt",
    "steps-of": "valueQuantity",
    "at-most": "valuePositiveInt",
    "hold-for": "valueDuration",
    "phase": "valueString",
    "lasting-at-least": "valueDuration",
    "counting": "valueString",
}
_SAID = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}


def check(resource: dict[str, Any], label: str) -> None:
    """That a PlanDefinition is made of the elements above alone. Raises UserError for the first that is not."""
    _check(resource, "PlanDefinition", "", label, 0)


def _check(value: Any, kind: Any, path: str, label: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise refusal(label, path, f"nested more than {MAX_DEPTH} deep")
    if isinstance(kind, list):
        if not isinstance(value, list) or not value:
            raise refusal(label, path, "expected a list with something in it")
        for index, item in enumerate(value):
            _check(item, kind[0], f"{path}[{index}]", label, depth + 1)
    elif isinstance(kind, str):
        if not isinstance(value, dict) or not value:
            raise refusal(label, path, f"expected elements of {kind}; allowed: {', '.join(ELEMENTS[kind])}")
        for name, item in value.items():
            here = f"{path}.{name}".lstrip(".")
            if name not in ELEMENTS[kind]:
                allowed = ", ".join(ELEMENTS[kind])
                raise refusal(label, here, f"not an element Euthymia knows in {kind}; allowed: {allowed}")
            _check(item, ELEMENTS[kind][name], here, label, depth + 1)
        if kind == "Extension":
            _check_extension(value, path, label)
    elif not _is(value, kind):
        raise refusal(label, path, f"{shown(value)} is not {_SAID[kind]}")


def _check_extension(extension: dict[str, Any], path: str, label: str) -> None:
    url = extension.get("url", "")
    wanted = EXTENSIONS.get(url.removeprefix(URN)) if url.startswith(URN) else None
    if wanted is None:
        allowed = ", ".join(URN + name for name in EXTENSIONS)
        raise refusal(label, f"{path}.url", f"{shown(url)} is not an extension Euthymia knows; allowed: {allowed}")
    if set(extension) != {"url", wanted}:
        raise refusal(label, path, f"{shown(url)} needs `{wanted}` and nothing else")


def _is(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return type(value) is kind and value != ""


def tidy(value: Any, kind: Any = "PlanDefinition") -> Any:
    """The same with its elements in the order of the standard; one that is not among `ELEMENTS` is a ValueError."""
    if isinstance(kind, list):
        return [tidy(item, kind[0]) for item in value]
    if isinstance(kind, str):
        order = list(ELEMENTS[kind])
        return {name: tidy(value[name], ELEMENTS[kind][name]) for name in sorted(value, key=order.index)}
    return value


def refusal(label: str, path: str, why: str) -> UserError:
    """One sentence: which resource, where in it, what is wrong."""
    return UserError(f"{label}, `{path}`: {why}." if path else f"{label}: {why}.")
