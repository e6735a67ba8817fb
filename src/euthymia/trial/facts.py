"""What any model of ketamine in depression must show: facts, each with the published endpoints that say so."""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, NamedTuple

import yaml
from pydantic import BeforeValidator

from euthymia.protocol.rules import Entry, Text
from euthymia.trial.validation import Row


class Fact(Entry):
    """fact: in words; shown_by: evidence of endpoints in the catalogue; rising: those of them whose published values
    rise in this order, as the predicted ones must."""

    fact: Text
    shown_by: Annotated[tuple[str, ...], BeforeValidator(tuple)]
    rising: Annotated[tuple[str, ...], BeforeValidator(tuple)] = ()


class Shown(NamedTuple):
    """A fact beside the model. rows: its endpoints; in_order: whether predictions rise as published ones do, None where
    no order is asked for."""

    fact: str
    rows: tuple[Row, ...]
    in_order: bool | None


@lru_cache
def facts() -> tuple[Fact, ...]:
    """All of `facts.yaml`."""
    text = (files("euthymia.trial") / "facts.yaml").read_text(encoding="utf-8")
    return tuple(Fact.model_validate(item) for item in yaml.safe_load(text))


def shown(rows: Sequence[Row]) -> tuple[Shown, ...]:
    """Every fact whose endpoints are all among `rows` of a validation."""
    by_evidence = {r.evidence: r for r in rows}
    found = []
    for fact in facts():
        if all(id in by_evidence for id in fact.shown_by):
            predicted = [by_evidence[id].predicted for id in fact.rising]
            in_order = all(low < high for low, high in pairwise(predicted)) if predicted else None
            found.append(Shown(fact.fact, tuple(by_evidence[id] for id in fact.shown_by), in_order))
    return tuple(found)
