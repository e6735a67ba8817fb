"""Trials of antidepressants on record, and how many of them were adequate and failed.

A trial counts when its dose and its duration were enough and its outcome is a failure. What is not known of it makes it
one that may count, never one that does; nor is a dose or a duration enough where sources differ on whether it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from euthymia.errors import UserError
from euthymia.evidence import adequacy
from euthymia.evidence.tables import Adequacy
from euthymia.protocol import words
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.chart import WHENS, compare
from euthymia.protocol.rules import Comparison, near

if TYPE_CHECKING:
    from euthymia.protocol.document import Protocol


@dataclass(frozen=True)
class Trial:
    """One antidepressant as it was taken; None where the record does not say. drug: one that has no least dose in the
    evidence is no antidepressant that is known here; outcome: one of `words.TRIAL_OUTCOMES`.

    Raises UserError for an outcome that is none of these, and for numbers that cannot be.
    """

    drug: str
    daily_dose_mg: float | None = None
    weeks: float | None = None
    outcome: words.TrialOutcome | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.drug, str) or not self.drug.strip():
            raise UserError("a trial needs the name of its drug, such as sertraline.")
        for name, what, value in (
            ("daily_dose_mg", "daily dose in mg", self.daily_dose_mg),
            ("weeks", "number of weeks", self.weeks),
        ):
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UserError(f"{self.drug}: {value!r} is not a {what}; allowed: a number, or None where not known.")
            if math.isnan(value):  # a chart writes so what it does not know
                object.__setattr__(self, name, None)
            elif not 0 < value < math.inf:
                raise UserError(f"{self.drug}: {value:g} is not a {what}; allowed: above 0.")
        if self.outcome is not None and self.outcome not in words.TRIAL_OUTCOMES:
            hint = near(str(self.outcome), words.TRIAL_OUTCOMES)
            stop = "" if hint.endswith("?") else "."
            raise UserError(f"{self.drug}: {str(self.outcome)!r} is not an outcome of a trial{hint}{stop}")


class Judged(NamedTuple):
    """counts: whether a trial was adequate and failed, None where that is not known; why: in words, not where it
    counts."""

    counts: bool | None
    why: str = ""


class Failed(NamedTuple):
    """How many antidepressants were taken adequately and failed: surely, and at most."""

    surely: int
    possibly: int


@dataclass(frozen=True)
class Counted:
    """Which trials count. weeks: the least, None: as the evidence says; outcomes: that are failures."""

    weeks: float | None = None
    outcomes: tuple[words.TrialFailure, ...] = words.TRIAL_FAILURES


def counted_by(protocol: Protocol) -> Counted:
    """Which trials a protocol counts."""
    for rule in protocol.eligibility.require:
        if rule.measure == words.FAILED_TRIALS:
            weeks = rule.lasting_at_least.value / HOURS_PER_WEEK if rule.lasting_at_least else None
            return Counted(weeks, rule.counting or words.TRIAL_FAILURES)
    return Counted()


@lru_cache
def _least() -> dict[str, tuple[float, float]]:
    """By drug, the daily dose (mg) below which no source calls a trial adequate, and that from which all do; under "",
    the same of the duration (weeks)."""

    def ends(row: Adequacy) -> tuple[float, float]:
        return (row.value, row.value) if row.low is None or row.high is None else (row.low, row.high)

    return {row.drug.lower(): ends(row) for row in adequacy()}


def antidepressants() -> tuple[str, ...]:
    """Every antidepressant whose least adequate dose is known here."""
    return tuple(row.drug for row in adequacy() if row.drug)


def judged(trial: Trial, counted: Counted | None = None) -> Judged:
    """Whether one trial counts, and if not, why."""
    counted = counted or Counted()
    drug = " ".join(trial.drug.lower().split())
    if not drug or drug not in _least():
        return Judged(False, f"{trial.drug} is no antidepressant whose least dose is known here")
    weeks = _least()[""] if counted.weeks is None else (counted.weeks, counted.weeks)
    reasons = [
        _enough(trial.daily_dose_mg, _least()[drug], "mg a day"),
        _enough(trial.weeks, weeks, "weeks"),
        _failure(trial, counted),
    ]
    for verdict in (False, None):
        why = [why for counts, why in reasons if counts is verdict]
        if why:
            return Judged(verdict, "; ".join(why))
    return Judged(True)


def _enough(value: float | None, least: tuple[float, float], what: str) -> Judged:
    low, high = least
    if value is None:
        return Judged(None, f"how many {what} is not known")
    if value >= high:
        return Judged(True)
    if value < low:
        return Judged(False, f"{value:g} {what} is less than {low:g}")
    return Judged(None, f"sources differ on whether {value:g} {what} is enough ({low:g} to {high:g})")


def _failure(trial: Trial, counted: Counted) -> Judged:
    if trial.outcome is None:
        return Judged(None, "the outcome is not known")
    if trial.outcome in counted.outcomes:
        return Judged(True)
    return Judged(False, f"{trial.outcome} does not count as a failure")


def failed(trials: Iterable[Trial], counted: Counted | None = None) -> Failed:
    """How many antidepressants failed in an adequate trial; one that was tried twice counts once."""
    found: dict[str, set[bool | None]] = {}
    for trial in trials:
        found.setdefault(" ".join(trial.drug.lower().split()), set()).add(judged(trial, counted).counts)
    surely = sum(True in verdicts for verdicts in found.values())
    return Failed(surely, sum(bool(verdicts - {False}) for verdicts in found.values()))


def measure(protocol: Protocol, trials: Iterable[Trial]) -> float:
    """The trials on record as the measure `failed antidepressant trials` of a chart.

    NaN, not known, where some rule of the protocol would answer otherwise if all that may count did count.
    """
    surely, possibly = failed(trials, counted_by(protocol))
    same = all(compare(c, surely).yes == compare(c, possibly).yes for c in _asked(protocol))
    return float(surely) if same else math.nan


def _asked(protocol: Protocol) -> Iterator[Comparison]:
    """Everything that a protocol asks about the number of failed trials."""
    found = [rule.limit for rule in protocol.eligibility.require]
    found += [c for _, rule in protocol.rules() for name in WHENS for c in getattr(rule, name, None) or ()]
    found += [c for phase in protocol.phases for c in phase.while_ or ()]
    return (c for c in found if c.measure == words.FAILED_TRIALS)
