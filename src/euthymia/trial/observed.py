"""What the trials found: read from the evidence, of the calibration set alone."""

from functools import lru_cache
from math import log, sqrt
from typing import NamedTuple

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.evidence import Outcome
from euthymia.trial.document import Baseline, Endpoint

CI95_WIDTH = 2 * 1.95996


class Observed(NamedTuple):
    """An observed value in the unit of its evidence.

    rounding: half of its last printed digit; se: its standard error where published (of the log, for a ratio);
    verified: "yes" only if every row behind it is; reasons: for what stands in for something not published.
    """

    value: float
    rounding: float
    n: float | None
    se: float | None
    ids: tuple[str, ...]
    verified: str
    reasons: tuple[str, ...]


@lru_cache
def _rows() -> dict[str, Outcome]:
    # the only reading of outcomes in this room: what only validates stays unread here
    return {row.id: row for row in evidence.outcomes(set="calibration")}


def row(id: str) -> Outcome:
    """The calibration outcome `id`. Raises UserError if the calibration set has none."""
    try:
        return _rows()[id]
    except KeyError:
        raise UserError(f"the calibration set of the evidence has no outcome {id!r}.") from None


def _number(outcome: Outcome) -> float:
    if outcome.value_number is None:
        raise UserError(f"outcome {outcome.id!r} is not a number: {outcome.value!r}.")
    return outcome.value_number


def baseline(entry: Baseline) -> tuple[float, float]:
    """Mean and SD of the score at entry."""
    if entry.evidence is None:
        assert entry.mean is not None and entry.sd is not None
        return entry.mean, entry.sd
    found = row(entry.evidence)
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


def _log_error(outcome: Outcome) -> float | None:
    """Standard error of the log of a ratio from its 95 % interval."""
    if outcome.spread_type != "CI95":
        return None
    low, high = (float(x) for x in outcome.spread.split("-"))
    return (log(high) - log(low)) / CI95_WIDTH


def observed(endpoint: Endpoint) -> Observed:
    """The observed value of `endpoint`. Raises UserError for an id outside the calibration set."""
    rows = [row(id) for id in endpoint.evidence]
    first = rows[0]
    se = endpoint.se or (first.spread_number if first.spread_type == "SE" else None)
    if endpoint.read_as == "median":
        value = 50.0  # by the definition of a median
    elif endpoint.read_as == "median and hazard ratio":
        value = 100 * (1 - 0.5 ** _number(rows[1]))
    elif endpoint.read_as == "SD":
        value = _pooled(rows, sd=True)
    elif len(rows) > 1:
        value = _pooled(rows, sd=False)
    else:
        value = _number(first)
        if endpoint.measure == "ratio of responses":
            se = endpoint.se or _log_error(first)
    last = rows[-1]  # a hazard ratio stands last, with the arm it is about
    n = endpoint.n or (last.n if endpoint.read_as.startswith("median") else sum(r.n or 0 for r in rows)) or None
    verified = "yes" if all(r.verified == "yes" for r in rows) else "no"
    reasons = tuple(reason for reason in (endpoint.because, endpoint.limit_assumed) if reason)
    return Observed(value, 0.5 * 10.0 ** -_decimals(first.value), n, se, endpoint.evidence, verified, reasons)
