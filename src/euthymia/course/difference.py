"""For whom a change of a protocol matters: both documents followed, under their rules, by the same virtual patients.

The patients, their illness and every chance event are the same in both (common random numbers), so that a course
differs only where the documents made it differ.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl

from euthymia.course.outcomes import SCALES, Scale
from euthymia.course.ruled import RuledCourse, follow_rules
from euthymia.errors import UserError
from euthymia.patient.population import Patients, draw, illness_of
from euthymia.protocol import Protocol
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.plain_words import folded

FEWEST, MOST = 10, 20_000
"""Patients: fewer say nothing, and more take hours."""
SAME = 1e-6
"""Points of a score; courses that differ by less are the same, computed with other doses beside them."""
NORMAL_95 = 1.96
SEVERE_MADRS = 35
"""Severe depression, above 34 points."""
INTERVAL = "Intervals (95 %) hold only which virtual patients were drawn, not how far the model may be off."


class Effect(NamedTuple):
    """What a change does to one outcome. differs: in how many patients; before, after: means; change: mean difference,
    between low and high with 95 % certainty for the drawing of patients; of shares all in %."""

    outcome: str
    unit: str
    patients: int
    differs: int
    before: float
    after: float
    change: float
    low: float
    high: float


class Group(NamedTuple):
    """Some of the patients, and how the change matters for them. differs: in how many the course differs at all."""

    name: str
    patients: int
    differs: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, eq=False)
class Difference:
    """Two protocols followed by the same virtual patients."""

    before: RuledCourse
    after: RuledCourse

    @property
    def people(self) -> Patients:
        return self.before.people

    @property
    def patients(self) -> int:
        return self.before.patients

    @property
    def weeks(self) -> float:
        return float(self.before.time_h[-1]) / HOURS_PER_WEEK

    @property
    def scale(self) -> Scale:
        """The score the illness is followed by."""
        return SCALES[illness_of(self.people.population)]

    @cached_property
    def differs(self) -> np.ndarray:
        """Whether a patient's course differs at all, [patients]: a visit on another day or with another end, another
        dose, or another score on any day."""
        scores = (course.values[self.scale.name] for course in (self.before, self.after))
        other = (np.abs(np.subtract(*scores)) > SAME).any(1)
        visits = [_visits(course) for course in (self.before, self.after)]
        return other | np.array([visits[0].get(p) != visits[1].get(p) for p in np.asarray(self.people.index).tolist()])

    @cached_property
    def _outcomes(self) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
        """By outcome and unit, what each patient has before and after; NaN where it cannot be asked."""
        one, other = (_outcomes(course, self.scale) for course in (self.before, self.after))
        return {name: (one[name], other[name]) for name in one}

    def effects(self, who: np.ndarray | None = None) -> tuple[Effect, ...]:
        """The change of every outcome. who: of some patients only, a mask [patients]."""
        who = np.ones(self.patients, bool) if who is None else who
        return tuple(
            _effect(*name, before[who], after[who])
            for name, (before, after) in self._outcomes.items()
            if np.isfinite(before[who]).any()
        )

    def groups(self) -> tuple[Group, ...]:
        """The same by age, by the score at the start and by failed trials; groups without patients are left out."""
        return tuple(
            Group(name, int(who.sum()), int(self.differs[who].sum()), self.effects(who))
            for name, who in _groups(self.people, self.scale)
            if who.any()
        )

    def headline(self) -> str:
        """In how many patients the courses differ."""
        n, differ = self.patients, int(self.differs.sum())
        over = f"over {self.weeks:g} week{'s' * (self.weeks != 1)}"
        if not differ:
            return f"In none of {n:,} virtual patients does the course differ, {over}."
        return f"In {differ:,} of {n:,} virtual patients ({_percent(differ, n)}) the course differs, {over}."

    def caveat(self) -> str:
        """What this is, and what it is not."""
        age = np.asarray(self.people.age_y)
        return (
            f"These are virtual patients ({self.people.population}, {age.min():.0f} to {age.max():.0f} years, none of"
            " Japanese ancestry), the same under both documents. What is not simulated is normal in all of them, so"
            f" that a change may matter for people it does not touch here. {INTERVAL} A clinician decides."
        )

    def warnings(self) -> tuple[str, ...]:
        """Of both courses, each once."""
        return tuple(dict.fromkeys((*self.before.warnings, *self.after.warnings)))


def difference(
    before: Protocol,
    after: Protocol,
    patients: int = 1000,
    weeks: float = 26,
    seed: int = 1,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Difference:
    """Follow two protocols, under their rules, in the same virtual patients.

    patients: how many; weeks: as of `follow_rules`; progress: called with (patients done in both, twice the patients).
    Raises UserError, in one sentence: another population, too few or too many patients, or what `follow_rules` cannot.
    """
    if isinstance(patients, bool) or not isinstance(patients, int | np.integer) or not FEWEST <= patients <= MOST:
        raise UserError(
            f"the number of virtual patients must be a whole number from {FEWEST} to {MOST:,}, got {patients}."
        )
    if before.population != after.population:
        raise UserError(
            f"{before.name} is for the virtual population {before.population} and {after.name} for {after.population}; "
            "only protocols for the same one can be followed by the same patients."
        )
    people = draw(before.population, patients, seed)

    def follow(protocol: Protocol, done_before: int) -> RuledCourse:
        def told(done: int, _: int) -> None:
            if progress:
                progress(done_before + done, 2 * patients)

        return follow_rules(protocol, people, weeks, seed, workers=workers, progress=told)

    first = follow(before, 0)
    return Difference(first, follow(after, patients))


def _visits(course: RuledCourse) -> dict[int, list[tuple]]:
    """By patient, every visit: its day, what became of it, and the dose."""
    table = course.ledger.group_by("patient", maintain_order=True).agg(pl.struct("day", "action", "dose mg"))
    return {patient: [tuple(row.values()) for row in rows] for patient, rows in table.iter_rows()}


def _outcomes(course: RuledCourse, scale: Scale) -> dict[tuple[str, str], np.ndarray]:
    """What each patient has in the end, by outcome and unit."""
    index = np.asarray(course.people.index)
    at = {patient: row for row, patient in enumerate(index.tolist())}

    def counted(action: str) -> np.ndarray:
        found = np.zeros(len(index))
        for patient in course.ledger.filter(pl.col("action") == action)["patient"]:
            found[at[patient]] += 1
        return found

    entry, score = np.asarray(getattr(course.people, scale.entry)), course.values[scale.name][:, -1]
    ill = entry > 0
    found = {
        ("sessions", "sessions"): course.table["sessions"].to_numpy().astype(float),
        ("cumulative ketamine", "mg"): course.table["cumulative dose mg"].to_numpy().astype(float),
        ("visits held", "visits"): counted("hold"),
        ("stopped by a rule", "%"): 100.0 * (counted("stop") > 0),
        (f"{scale.name} at the end", "points"): score.astype(float),
        ("response at the end", "%"): np.where(ill, 100.0 * (score <= (1 - scale.response) * entry), np.nan),
    }
    if scale.remission is not None:
        found["remission at the end", "%"] = np.where(ill, 100.0 * (score <= scale.remission), np.nan)
    return found


def _effect(outcome: str, unit: str, before: np.ndarray, after: np.ndarray) -> Effect:
    asked = np.isfinite(before) & np.isfinite(after)
    one, other = before[asked], after[asked]
    change, n = other - one, int(asked.sum())
    error = NORMAL_95 * change.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    mean, differs = float(change.mean()), int((np.abs(change) > SAME).sum())
    return Effect(
        outcome,
        unit,
        n,
        differs,
        float(one.mean()),
        float(other.mean()),
        mean,
        mean - float(error),
        mean + float(error),
    )


def _groups(people: Patients, scale: Scale) -> Iterator[tuple[str, np.ndarray]]:
    age, trials = np.asarray(people.age_y), np.asarray(people.failed_trials)
    entry = np.asarray(getattr(people, scale.entry))
    cut = SEVERE_MADRS if scale.name == "MADRS" else round(float(np.median(entry)))
    yield "below 40 years", age < 40
    yield "40 to 54 years", (age >= 40) & (age < 55)
    yield "55 years and over", age >= 55
    yield f"{scale.name} at the start below {cut}", entry < cut
    yield f"{scale.name} at the start {cut} and over", entry >= cut
    yield "at most 2 failed trials", trials <= 2
    yield "3 failed trials", trials == 3
    yield "4 failed trials and more", trials >= 4


# --- in words ---------------------------------------------------------------------------------------------------------


GROUPED = "Mean differences by group (± half the 95 % interval)"
HEAD = ("Outcome", "Patients in whom it differs", "Before", "After", "Mean difference (95 % interval)")


def effect_rows(found: Difference) -> list[tuple[str, ...]]:
    """One row an outcome, below `HEAD`."""
    return [
        (
            e.outcome if e.unit in e.outcome else f"{e.outcome}, {e.unit}",
            f"{e.differs:,} ({_percent(e.differs, e.patients)})",
            _number(e.before),
            _number(e.after),
            with_interval(e),
        )
        for e in found.effects()
    ]


def group_head(found: Difference) -> tuple[str, ...]:
    """What the columns of `group_rows` are."""
    return (
        "Group",
        "Patients",
        "Course differs",
        "Sessions",
        "Ketamine, mg",
        f"{found.scale.name} at the end",
        "Response, %",
    )


def group_rows(found: Difference) -> list[tuple[str, ...]]:
    """One row a group: mean differences and half their intervals, below `group_head`."""
    shown = ("sessions", "cumulative ketamine", f"{found.scale.name} at the end", "response at the end")
    rows = []
    for group in found.groups():
        by_name = {e.outcome: e for e in group.effects}
        means = (with_half(by_name[name]) if name in by_name else "-" for name in shown)
        rows.append((group.name, f"{group.patients:,}", _percent(group.differs, group.patients), *means))
    return rows


def with_interval(e: Effect) -> str:
    """A mean difference with its interval; without one where there is one patient."""
    if not np.isfinite(e.low):
        return _number(e.change, signed=True)
    return f"{_number(e.change, signed=True)} ({_number(e.low, signed=True)} to {_number(e.high, signed=True)})"


def with_half(e: Effect) -> str:
    """The same, shorter: the mean difference and half its interval."""
    half = e.high - e.change
    return _number(e.change, signed=True) + (f" ± {_number(half)}" if np.isfinite(half) else "")


def said(found: Difference) -> str:
    """All of it for the terminal."""
    lines = [found.headline()]
    if found.differs.any():
        lines += ["", *_columns(HEAD, effect_rows(found))]
        lines += ["", GROUPED, *_columns(group_head(found), group_rows(found))]
    for text in (*(f"Warning: {warning}." for warning in found.warnings()), found.caveat()):
        lines += ["", *folded(text, "")]
    return "\n".join(lines) + "\n"


def _columns(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return f"{share:.1f} %" if 0 < share < 10 or 90 < share < 100 else f"{share:.0f} %"


def _number(x: float, signed: bool = False) -> str:
    digits = 0 if abs(x) >= 100 else 1 if abs(x) >= 10 else 2
    text = f"{x:.{digits}f}"
    text = text.removeprefix("-") if not float(text) else text
    return f"+{text}" if signed and float(text) > 0 else text
