"""Pydantic's findings said in the words of the document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from euthymia.protocol.document import Protocol
from euthymia.protocol.rules import near


def sentence(detail: Any) -> str:
    """One finding of pydantic as a clause without its final stop."""
    kind, path, given = detail["type"], tuple(detail["loc"]), detail.get("input")
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "extra_forbidden":
        return f"unknown key{near(str(path[-1]), _keys(path[:-1]))}"
    if kind == "missing":
        return "this key is required and missing"
    shown = f'"{given}"' if isinstance(given, str) and len(given) <= 60 else "this"
    if kind == "literal_error":
        return f"{shown} is not one of the words allowed: {detail['ctx']['expected']}"
    if kind.startswith(("int_", "float_")):
        return f"{shown} is not a whole number" if kind.startswith("int") else f"{shown} is not a number"
    if kind.startswith("bool"):
        return f"{shown} is neither yes nor no"
    if kind == "string_pattern_mismatch":
        return f"{shown} does not have the form {detail['ctx']['pattern']}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "expected keys with values"
    if kind in ("tuple_type", "list_type"):
        return "expected a list"
    return f"{shown}: {detail['msg'][0].lower()}{detail['msg'][1:]}"


def _keys(path: tuple[Any, ...]) -> list[str]:
    """The keys allowed at a path of the document."""
    model: Any = Protocol
    for part in path:
        if isinstance(part, int):
            continue
        field = next((f for f in model.model_fields.values() if f.alias == part), None)
        found = _model_in(field.annotation) if field else None
        if found is None:
            break
        model = found
    return [field.alias for field in model.model_fields.values()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
