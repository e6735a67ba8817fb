"""What the trials found: read from the evidence, one set at a time, so that fitting cannot see what only validates."""

import re
from functools import lru_cache
from math import isnan, log, nan, sqrt
from typing import NamedTuple

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.evidence import Outcome
from euthymia.trial.document import AS_LOG, KIND, Baseline, Endpoint, Set

WIDTH = {"CI95": 2 * 1.95996, "CI90": 2 * 1.64485}
"""Width of an interval in standard errors."""


class Observed(NamedTuple):
    """An observed value in the unit of its evidence.

    value: NaN where the finding was printed in words, which are in `words`;
    rounding: half of its last printed digit; se: its standard error where published (of the log, for a ratio);
    verified: "yes" only if every row behind it is; reasons: for what stands in for something not published.
    """

    value: float
    words: str
    rounding: float
    n: float | None
    se: float | None
    ids: tuple[str, ...]
    verified: str
    reasons: tuple[str, ...]


@lru_cache
def _rows(set: Set) -> dict[str, Outcome]:
    # the only reading of outcomes in this room: what fits asks for the calibration set and gets nothing else
    return {row.id: row for row in evidence.outcomes(set=set)}


def row(id: str, set: Set) -> Outcome:
    """The outcome `id` of a set. Raises UserError if that set of the evidence has none."""
    try:
        return _rows(set)[id]
    except KeyError:
        raise UserError(f"the {set} set of the evidence has no outcome {id!r}.") from None


def _number(outcome: Outcome) -> float:
    if outcome.value_number is None:
        raise UserError(f"outcome {outcome.id!r} is not a number: {outcome.value!r}.")
    return outcome.value_number


def baseline(entry: Baseline, set: Set) -> tuple[float, float]:
    """Mean and SD of the score at entry."""
    if entry.evidence is None:
        assert entry.mean is not None and entry.sd is not None
        return entry.mean, entry.sd
    found = row(entry.evidence, set)
    if found.spread_type != "SD" or found.spread_number is None:
        raise UserError(f"outcome {found.id!r} has no SD, so it cannot be a baseline.")
    return _number(found), found.spread_number


def _pooled(rows: list[Outcome], sd: bool) -> float:
    """Mean, or SD, of several groups taken together."""
    n = [r.n or 0 for r in rows]
    mean = sum(k * _number(r) for k, r in zip(n, rows, strict=True)) / sum(n)
    if not sd:
        return mean
    squares = ((r.spread_number or 0.0) ** 2 + (_number(r) - mean) ** 2 for r in rows)
    return sqrt(sum(k * s for k, s in zip(n, squares, strict=True)) / sum(n))


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def interval(printed: str) -> tuple[float, float] | None:
    """Low and high of an interval as printed ("3.2-12.7", "-7.3 to -0.6 (SE 1.7)"); None where it is none."""
    plain = re.sub(r"(?<=\d)\s*[-–]\s*(?=\d)", " to ", printed.partition("(")[0])
    ends = [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?", plain)]
    return (min(ends), max(ends)) if len(ends) == 2 else None


def _standard_error(outcome: Outcome, measure: str, n: float | None) -> float | None:
    """Of the value as published, of its log for a ratio; None where nothing was."""
    if outcome.spread_type == "SE":
        return outcome.spread_number
    if outcome.spread_type == "SD" and n and KIND[measure] == "change":
        return (outcome.spread_number or 0.0) / sqrt(n) or None
    if outcome.spread_type in WIDTH and (ends := interval(outcome.spread)):
        low, high = (log(x) for x in ends) if measure in AS_LOG else ends
        return (high - low) / WIDTH[outcome.spread_type]
    return None


def observed(endpoint: Endpoint, set: Set) -> Observed:
    """The observed value of `endpoint`. Raises UserError for an id outside the set."""
    rows = [row(id, set) for id in endpoint.evidence]
    first = rows[0]
    if endpoint.read_as == "median":
        value = 50.0  # by the definition of a median
    elif endpoint.read_as == "median and hazard ratio":
        value = 100 * (1 - 0.5 ** _number(rows[1]))
    elif endpoint.read_as == "improvement":
        ends = interval(first.value)
        value = -(_number(first) if ends is None else sum(ends) / 2)
    elif endpoint.read_as == "count":
        value = 100 * _number(first) / (first.n or nan)
    elif endpoint.read_as == "SD":
        value = _pooled(rows, sd=True)
    elif len(rows) > 1:
        value = _pooled(rows, sd=False)
    else:
        value = nan if first.value_number is None else first.value_number
    words = first.value if isnan(value) else ""
    last = rows[-1]  # a hazard ratio stands last, with the arm it is about
    n = endpoint.n or (last.n if endpoint.read_as.startswith("median") else sum(r.n or 0 for r in rows)) or None
    se = endpoint.se or (_standard_error(first, endpoint.measure, n) if len(rows) == 1 else None)
    verified = "yes" if all(r.verified == "yes" for r in rows) else "no"
    reasons = tuple(reason for reason in (endpoint.because, endpoint.limit_assumed) if reason)
    return Observed(value, words, 0.5 * 10.0 ** -_decimals(first.value), n, se, endpoint.evidence, verified, reasons)
