"""Words of the document as FHIR concepts: the word as text, with the codes of public systems where they were seen."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from io import StringIO
from typing import Any

ACTION_SYSTEM = "urn:euthymia:action"
"""The kinds of action of a protocol: FHIR has no code system for them."""


@cache
def codes() -> dict[str, tuple[dict[str, str], ...]]:
    """By word of the document, its codings; `codes.csv` says where each was seen (verified: as in a document)."""
    text = (files("euthymia.protocol.fhir") / "codes.csv").read_text("utf-8")
    found: dict[str, tuple[dict[str, str], ...]] = {}
    for row in csv.DictReader(StringIO(text)):
        coding = {key: row[key] for key in ("system", "code", "display")}
        found[row["word"]] = (*found.get(row["word"], ()), coding)
    return found


def concept(word: str) -> dict[str, Any]:
    """A word of the document as a CodeableConcept."""
    coding = [dict(item) for item in codes().get(word, ())]
    return {"coding": coding, "text": word} if coding else {"text": word}


def kind(code: str) -> dict[str, Any]:
    """A kind of action as a CodeableConcept."""
    return {"coding": [{"system": ACTION_SYSTEM, "code": code}]}
