"""Draws of what is uncertain: the fitted parameters, and how each study differs from the typical one.

They stand in the evidence as `posterior.csv`, one draw a row: a column for each parameter whose uncertainty is known,
and for each fitted trial its level of drug and of non-drug response; `calibration.yaml` says how they were made, and
which published values were fitted.
"""

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml

from euthymia import evidence
from euthymia.course.store import write_whole
from euthymia.errors import UserError
from euthymia.trial.document import Endpoint, Trial

FILE, PROVENANCE = "posterior.csv", "calibration.yaml"
KINDS = ("drug", "background")
SPREAD = {kind: f"depression.sd_between_studies_{kind}" for kind in KINDS}


class Draw(NamedTuple):
    """One draw. values: of model parameters, by id; drug, background: how each trial multiplies the two responses;
    number: of the draw among all."""

    values: Mapping[str, float]
    drug: Mapping[str, float]
    background: Mapping[str, float]
    number: int = 0


def draws(trials: Sequence[Trial], seed: int) -> tuple[Draw, ...]:
    """Every draw of the posterior, for these trials: one not fitted gets the level of a study not yet seen."""
    rng = np.random.default_rng(seed)
    found = []
    for number, at in enumerate(posterior()):
        levels = []
        for kind, fitted in zip(KINDS, (at.drug, at.background), strict=True):
            spread = at.values.get(SPREAD[kind]) or evidence.value(SPREAD[kind])
            new = np.exp(spread * rng.standard_normal(len(trials)))
            levels.append({t.trial: fitted.get(t.trial, float(x)) for t, x in zip(trials, new, strict=True)})
        drug, background = levels
        found.append(Draw(at.values, drug, background, number))
    return tuple(found)


@lru_cache
def posterior() -> tuple[Draw, ...]:
    """The draws as the calibration wrote them, fitted trials only."""
    return read((files("euthymia.evidence") / "data" / FILE).read_text(encoding="utf-8"))


@lru_cache
def fitted() -> frozenset[str]:
    """The values that were fitted, each as its measure and evidence: "change: id" (several ids with spaces between)."""
    text = (files("euthymia.evidence") / "data" / PROVENANCE).read_text(encoding="utf-8")
    facts = yaml.safe_load(text)
    parts = [facts, *(part for part in facts.values() if isinstance(part, dict))]  # of each illness
    return frozenset(id for part in parts for id in part.get("fitted", ()))


def as_fitted(e: Endpoint) -> str:
    """An endpoint as `fitted` names it."""
    return f"{e.measure}: {' '.join(e.evidence)}"


def contains() -> str:
    """What intervals made from the draws hold, in words."""
    parameters = any(at.values for at in posterior())
    return (
        "chance in a sample of the arm's own size, and how studies differ from each other (trials that were fitted: "
        "the level fitted to each)"
        + (
            "; and the uncertainty of the fitted parameters"
            if parameters
            else "; that of the parameters all studies share is not in them"
        )
    )


def read(text: str) -> tuple[Draw, ...]:
    """Draws from CSV text. Raises UserError for a column that is neither parameter nor level, or no number."""
    lines = list(csv.reader(StringIO(text)))
    head, body = lines[0], lines[1:]
    for column in head:
        if column.partition(" ")[0] not in KINDS:
            evidence.parameter(column)
    found = []
    for number, cells in enumerate(body, 2):
        try:
            row = dict(zip(head, map(float, cells), strict=True))
        except ValueError:
            raise UserError(f"{FILE}, line {number}: every cell must be a number, one for each column.") from None
        drug, background = (
            {c.partition(" ")[2]: v for c, v in row.items() if c.startswith(kind + " ")} for kind in KINDS
        )
        found.append(Draw({c: v for c, v in row.items() if " " not in c}, drug, background))
    return tuple(found)


def write(given: Sequence[Draw], path: Path) -> None:
    """Write draws as `read` reads them, to five digits."""
    first = given[0]
    head = [
        *first.values,
        *(f"{kind} {t}" for kind, of in zip(KINDS, (first.drug, first.background), strict=True) for t in of),
    ]
    rows = [[*d.values.values(), *d.drug.values(), *d.background.values()] for d in given]
    text = "\n".join([",".join(head), *(",".join(f"{x:.5g}" for x in row) for row in rows)]) + "\n"
    write_whole(path, lambda p: p.write_text(text, encoding="utf-8"))
