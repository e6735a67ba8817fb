"""A lens is one field of the document in FHIR: how it is written there, and how it is read from there.

Both directions stand side by side, so that a field that is written is a field that is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]
URN = "urn:euthymia:"


class Unreadable(ValueError):
    """An element that cannot be read; one clause, without the place."""


def shown(value: Any) -> str:
    """A value as a message shows it, short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


@dataclass(frozen=True)
class Lens:
    """element: where the field stands, as a FHIR path; put: writes a value of the document into a node; get: reads it,
    None where it is absent, and raises Unreadable."""

    element: str
    put: Callable[[Node, Any], object]
    get: Callable[[Node], Any]


Table = Mapping[str, Lens]


def write(node: Node, table: Table, entry: Mapping[str, Any]) -> Node:
    """Write every field of an entry of the document; a field that the table does not know is a KeyError."""
    for key, value in entry.items():
        table[key].put(node, value)
    return node


def _steps(path: str) -> list[str | int]:
    return [int(part) if part.isdigit() else part for part in re.findall(r"\w+", path)]


def find(node: Any, path: str) -> Any:
    """What stands at a path such as "dosage[0].route.text", or None."""
    for step in _steps(path):
        if isinstance(step, int):
            node = node[step] if isinstance(node, list) and step < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node


def make(node: Node, path: str, empty: Callable[[], Any] = dict) -> Any:
    """What stands at a path, made on the way (the last of it by `empty`) where it is missing."""
    steps = _steps(path)
    here: Any = node
    for k, step in enumerate(steps):
        last = k + 1 == len(steps)
        fresh = empty if last else (list if isinstance(steps[k + 1], int) else dict)
        if isinstance(step, int):
            while len(here) <= step:
                here.append(fresh())
        else:
            here.setdefault(step, fresh())
        here = here[step]
    return here


def place(node: Node, path: str, value: Any) -> None:
    """Put a value at a path, making what is missing on the way."""
    above, _, last = path.rpartition(".")
    (make(node, above) if above else node)[last] = value


def extended(node: Node, name: str, kind: str, value: Any) -> None:
    """Add an extension of ours."""
    node.setdefault("extension", []).append({"url": URN + name, kind: value})


def extension(node: Node, name: str, kind: str) -> Any:
    """The value of an extension of ours, or None."""
    return next((x.get(kind) for x in node.get("extension", ()) if x.get("url") == URN + name), None)


def elsewhere(element: str) -> Lens:
    """A field that is written and read where the whole is put together."""
    return Lens(element, lambda node, value: None, lambda node: None)


def at(path: str, **fixed: str) -> Lens:
    """A value that stands as it is at a path. fixed: what stands beside it always."""
    above = path.rpartition(".")[0]

    def put(node: Node, value: Any) -> None:
        place(node, path, value)
        make(node, above).update(fixed)

    return Lens(path, put if fixed else lambda node, value: place(node, path, value), lambda node: find(node, path))


def as_word(path: str, words: Mapping[str, Any]) -> Lens:
    """A word of the document that is another word of FHIR."""
    back = {theirs: ours for ours, theirs in words.items()}

    def get(node: Node) -> Any:
        found = find(node, path)
        if found is not None and found not in back:
            raise Unreadable(f"{shown(found)} is not understood; allowed: {', '.join(map(str, back))}")
        return back.get(found)

    return Lens(path, lambda node, value: place(node, path, words[value]), get)
