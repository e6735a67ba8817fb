"""Rows of the validation in words: numbers and intervals in their units, misses, totals and footnotes."""

import math
from collections.abc import Sequence
from typing import Any

from euthymia.report.numbers import decimal
from euthymia.trial.validation import Row, Total, Validation

SETS = {
    "validation": "trials the model was never fitted to",
    "calibration": "trials that may be fitted; agreement is no test",
    "fitted": "values of the calibration set that it was fitted to",
}
"""Both sets in the order of the page, and what of the second was fitted."""
KINDS = {"rate": "rates", "change": "changes and scores", "difference": "differences between arms", "time": "times",
         "effect": "ratios and effect sizes", "all": "all values"}  # fmt: skip
ERROR_UNIT = {"rate": "percentage points", "change": "points", "difference": "points", "time": "days"}
CONTAINED = "An interval is the middle 50 or 90 % of what repetitions of the trial would report. It contains"
NO_MODEL = (
    "The predictor that knows no model answers with the mean of the calibration set's values of the same illness, "
    "measure and kind of arm (drug, antidepressant, exposure therapy, control). For the calibration set it has "
    "therefore seen the value it is asked for. In PTSD, whose trials use scales of several lengths, it takes points as "
    "shares of the score at entry."
)
NOT_INDEPENDENT = (
    "Every value counts once, so a trial with many values counts for more; values of one trial are of the same "
    "patients and tend to miss together. Ratios, effect sizes and fractions have no common unit: their error means "
    "something only beside that without a model."
)


def percent(row: Row) -> bool:
    """Whether a row's numbers are shares in %."""
    return row.kind == "rate" or row.endpoint.startswith("fraction")


def value(row: Row, x: float | None) -> str:
    """A number in the format of its row: ratios and effect sizes with two decimals, all else with one."""
    if x is None or math.isnan(x):
        return "-"
    two = row.kind == "effect" and not percent(row)
    return decimal(x, 2 if two else 1) + (" %" if percent(row) else " d" if row.kind == "time" else "")


def between(row: Row, low: float, high: float) -> str:
    """An interval; the unit stands once, at its end."""
    return f"{value(row, low).removesuffix(' %').removesuffix(' d')} to {value(row, high)}"


def published(row: Row) -> str:
    """The published value, or its words where it was printed in words."""
    if row.observed is None:
        return f'"{row.words}"' if row.words else "-"
    return value(row, row.observed)


def miss(row: Row) -> str:
    """By how much, and to which side, a prediction misses; empty where nothing was published as a number."""
    if row.observed is None:
        return ""
    error = row.predicted - row.observed
    unit = "percentage points" if percent(row) else ERROR_UNIT.get(row.kind, "")
    size = decimal(abs(error), 2 if not unit else 1)
    said = f"{size}{' ' + unit if unit else ''} too {'high' if error > 0 else 'low'}"
    if row.kind == "change":
        said += f" (too {'little' if error > 0 else 'much'} improvement)"
    if row.kind == "difference":
        said += f" (too {'small' if error > 0 else 'large'} an advantage of the first arm)"
    return said


def ordered(validation: Validation) -> list[str]:
    """The sets there are, those never fitted to first."""
    there = {r.set for r in validation.rows}
    return [s for s in SETS if s in there] + sorted(there - set(SETS))


def groups(validation: Validation) -> list[tuple[str, str]]:
    """The pairs of illness and set there are, by illness, those never fitted to first."""
    there = {(r.illness, r.set) for r in validation.rows}
    return [(i, s) for i in validation.illnesses for s in ordered(validation) if (i, s) in there]


def by_trial(validation: Validation) -> list[tuple[str, list[Row]]]:
    """Rows of each trial, validation set first, then by illness, else in the order given."""
    order = {s: k for k, s in enumerate(ordered(validation))}
    found: dict[str, list[Row]] = {}
    for row in sorted(validation.rows, key=lambda r: (order[r.set], validation.illnesses.index(r.illness))):
        found.setdefault(row.trial, []).append(row)
    return list(found.items())


def contained(validation: Validation) -> str:
    """What the intervals contain, as one sentence or two."""
    return f"{CONTAINED}: {validation.fitted.strip().rstrip('.')}."


def ran(validation: Validation) -> str:
    """How large and how seeded it was."""
    return f"{validation.patients:,} virtual patients in every arm, seed {validation.seed}."


def footnotes(rows: Sequence[Row]) -> tuple[list[str], list[tuple[str, str]]]:
    """The marks of each row, and what each mark says."""
    letters: dict[str, str] = {}
    for row in rows:
        if row.assumed and row.assumed not in letters:
            k = len(letters)
            letters[row.assumed] = ("" if k < 26 else chr(96 + k // 26)) + chr(97 + k % 26)
    marks = [(letters.get(r.assumed, "") + ("†" if r.verified != "yes" else "")) for r in rows]
    said = [(letter, f"assumed: {reason}") for reason, letter in letters.items()]
    if any(r.verified != "yes" for r in rows):
        said.append(("†", "unverified: not read at its source"))
    return marks, said


RIGHT_MODEL = (
    "If right: the error to expect, on average, were the model and its intervals right. An error near it cannot be "
    "improved by a better centre of the predictions, only by knowing more of what sets studies apart."
)


def totals(validation: Validation) -> list[Total]:
    """The totals, by illness, in the order of the sets."""
    order = {s: k for k, s in enumerate(ordered(validation))}
    illnesses = validation.illnesses
    return sorted(validation.totals(), key=lambda t: (illnesses.index(t.illness), order.get(t.set, len(order))))


def total_name(total: Total) -> str:
    """What a total is of."""
    return f"{total.illness}, {total.set}: {KINDS[total.kind]}"


def total_cells(total: Total) -> tuple[str, ...]:
    """Rows, error with unit, bias, error without a model and if it is right, coverage of 50 and 90 %, as words."""
    digits = 2 if total.kind == "effect" else 1
    unit = f" {ERROR_UNIT[total.kind]}" if total.kind in ERROR_UNIT else ""

    def said(x: float, sign: str = "", after: str = "") -> str:
        text = decimal(x, digits)
        return "-" if math.isnan(x) else f"{sign if float(text) > 0 else ''}{text}{after}"

    return (
        str(total.rows),
        said(total.mean_absolute_error, after=unit),
        said(total.bias, "+"),
        said(total.naive_error),
        said(total.expected_error),
        f"{decimal(total.inside50, 0)} %",
        f"{decimal(total.inside90, 0)} %",
    )


def words() -> dict[str, Any]:
    """What the macros of `rows.html` use."""
    return {
        "value": value,
        "between": between,
        "published": published,
        "total_cells": total_cells,
        "total_name": total_name,
        "kinds": KINDS,
        "no_model": NO_MODEL,
        "right_model": RIGHT_MODEL,
    }
