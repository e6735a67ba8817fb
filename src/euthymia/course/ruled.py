"""A protocol simulated as its rules make it: who is given what, and when, is decided visit by visit."""

import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from euthymia.course.batch import BATCH
from euthymia.course.between import hours, kinds, looks, template
from euthymia.course.exposures import Exposures
from euthymia.course.ledger import EXPOSURES, LEDGER, MISUSE, Followed, followed
from euthymia.course.outcomes import SCALES, summarise
from euthymia.course.readings import unsimulated
from euthymia.course.result import Course, Provenance, Summary, course_frame
from euthymia.course.simulate import MAXIMUM_WEEKS, prepare, simulate, simulate_schedule
from euthymia.course.store import narrow, write_whole
from euthymia.course.variants import Variants
from euthymia.course.visits import Ruled
from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.harm.misuse import Misuse
from euthymia.harm.pressure import RestingPressure
from euthymia.illness.depression import DAY_H
from euthymia.patient.adherence import Adherence
from euthymia.patient.population import Patients, draw, illness_of
from euthymia.protocol import Protocol, load, schedule
from euthymia.protocol.calendar import HOURS_PER_WEEK, Administration, Schedule
from euthymia.protocol.chart import WHENS
from euthymia.protocol.plain_words import MARKS, sentence
from euthymia.protocol.rules import Requirement, Rule

__all__ = ["LEDGER", "MISUSE", "Followed", "RuledCourse", "follow_rules", "replay", "under_rules"]


@dataclass(frozen=True, eq=False)
class RuledCourse:
    """A protocol followed by virtual patients as its rules decide.

    time_h: once a day; values: by name, [patients, days], as of any course, and "exposures": sessions of exposure
    therapy before that day, where the protocol has them; sessions: by name, [patients, sessions] in the order given,
    NaN where there were fewer; table: one row per patient, as of any course; ledger: one row per visit, see `LEDGER`;
    planned: the table of the same patients on the calendar that no rule changes.
    """

    protocol: Protocol
    people: Patients
    time_h: np.ndarray
    values: dict[str, np.ndarray]
    sessions: dict[str, np.ndarray]
    table: pl.DataFrame
    ledger: pl.DataFrame
    planned: Course
    warnings: tuple[str, ...]
    provenance: Provenance

    @property
    def patients(self) -> int:
        """How many patients."""
        return len(self.people)

    def rules(self) -> pl.DataFrame:
        """Every rule that can speak in a course: what it says, where from, how often it spoke, and to how many."""
        rows = []
        every = {rule.rule: rule for _, rule in self.protocol.rules()}
        for id, rule in every.items():
            spoke = self.ledger.filter(pl.col("fired").str.split("; ").list.contains(id))
            rows.append(
                {
                    "rule": id,
                    "says": sentence(rule),
                    "source": rule.source,
                    "verified": rule.verified,
                    "visits": len(spoke),
                    "patients": spoke["patient"].n_unique(),
                }
            )
        return pl.DataFrame(rows)

    def safeguards(self) -> pl.DataFrame:
        """Every rule that looks for misuse: whom it would catch and whom it would cost, in %.

        caught: of patients in whom simulated misuse begins, those to whom it spoke; troubled: the same of all others;
        in time: of the caught, those to whom it spoke before misuse began. Simulated hazards are assumed: this compares
        rules with each other and says nothing of how often misuse happens.
        """
        begins = dict(self.table.select("patient", MISUSE).iter_rows())
        ill = {p for p, day in begins.items() if day is not None}
        rows = []
        for _, rule in self.protocol.rules():
            if not looks_for_misuse(rule):
                continue
            spoke = self.ledger.filter(pl.col("fired").str.split("; ").list.contains(rule.rule))
            first = dict(spoke.group_by("patient").agg(pl.col("day").min()).iter_rows())
            caught = [p for p in first if p in ill]
            rows.append(
                {
                    "rule": rule.rule,
                    "says": sentence(rule),
                    "source": rule.source,
                    "verified": rule.verified,
                    "caught": _share(len(caught), len(ill)),
                    "in time": _share(sum(first[p] <= begins[p] for p in caught), len(caught)),
                    "troubled": _share(len(first) - len(caught), self.patients - len(ill)),
                }
            )
        return pl.DataFrame(rows, schema=SAFEGUARDS)

    def story(self, patient: int) -> str:
        """What happened to one patient, visit by visit, in words. Raises UserError where there is no such patient."""
        mine = self.ledger.filter(pl.col("patient") == patient)
        if not len(mine):
            raise UserError(f"there is no patient {patient}; patients are {_range(self.ledger['patient'])}.")
        every = {rule.rule: rule for _, rule in self.protocol.rules()}
        lines = [f"Patient {patient}, {self.protocol.name}"]
        own = SCALES[illness_of(self.people.population)].name
        scales = dict.fromkeys((own, *(name for name in ("MADRS", "YMRS") if name in mine.columns)))
        for row in mine.iter_rows(named=True):
            lines.append(f"day {row['day']:>3}  {_happened(row, scales)}")
            for mark, ids in (("", row["fired"]), ("not known, ", row["missing"])):
                for id in filter(None, ids.split("; ")):
                    said = spoken(every[id]) if id in every else "a dose by weight needs a weight"
                    from_ = f"; {every[id].source}; {MARKS[every[id].verified]}" if id in every else ""
                    lines.append(f"         {mark}{said} [{id}{from_}]")
        if EXPOSURES in self.table.columns:
            had = self.table.filter(pl.col("patient") == patient)[EXPOSURES][0]
            lines.append(f"day {self.time_h[-1] / DAY_H:>3.0f}  {_sessions(had)} of exposure in all")
        return "\n".join(lines)

    def summary(self) -> Summary:
        """Outcomes, as of any course."""
        weeks = self.time_h[-1] / HOURS_PER_WEEK
        title = f"{self.protocol.title}, under its rules: {self.patients:,} virtual patients over {weeks:g} weeks"
        return Summary(title, tuple(summarise(self.table, f"week {weeks:g}", bool(self.sessions))))

    def save(self, folder: str | Path) -> Path:
        """Write course.parquet, ledger.parquet, provenance.json, and ledger, rules, safeguards and outcomes as CSV into
        `folder`, each whole or not at all. Raises UserError when it cannot be written."""
        where = Path(folder)
        frame = narrow(course_frame(np.asarray(self.people.index), self.time_h, self.values))
        for name, table in (("ledger", self.ledger), ("course", frame)):
            write_whole(where / f"{name}.parquet", lambda p, table=table: table.write_parquet(p))
        tables = {"ledger": self.ledger, "rules": self.rules(), "safeguards": self.safeguards(), "outcomes": self.table}
        for name, table in tables.items():
            write_whole(where / f"{name}.csv", lambda p, table=table: table.write_csv(p))
        text = json.dumps(asdict(self.provenance) | {"rules": "followed"}, indent=2, ensure_ascii=False)
        write_whole(where / "provenance.json", lambda p: p.write_text(text + "\n", encoding="utf-8"))
        return where

    def report(self, path: str | Path) -> Path:
        """Write the HTML page of this course."""
        # the report stands above this room; it is reached only when a reader asks for it
        return import_module("euthymia.report.ruled").write_ruled(self, Path(path))


def spoken(rule: Rule) -> str:
    """What a rule that spoke said: where it asks for something to go on, that this is not so."""
    asks = getattr(rule, "check", None) or getattr(rule, "continue_when", None) or isinstance(rule, Requirement)
    return f"not so: {sentence(rule)}" if asks else sentence(rule)


OF_MISUSE = ("drug liking", "early returns", "lost doses", "cumulative ketamine", "sessions in 7 days",
             "sessions in 28 days", "sessions given")  # fmt: skip
"""Measures by which misuse shows."""


def looks_for_misuse(rule: Rule) -> bool:
    """Whether a rule looks at a measure by which misuse shows, or limits a course."""
    looked_at = {c.measure for name in WHENS for c in getattr(rule, name, None) or ()}
    return bool(looked_at & set(OF_MISUSE)) or getattr(rule, "safeguard", "") == "course length limit"


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _range(numbers: pl.Series) -> str:
    return f"{numbers.min()} to {numbers.max()}"


def _happened(row: dict[str, Any], scales: Iterable[str]) -> str:
    """One visit in words. scales: whose ratings are told."""
    if row["action"] == "missed":
        return "did not come"
    seen = ", ".join(f"{scale} {row[scale]:.0f}" for scale in scales) + f", {row['SBP']:.0f}/{row['DBP']:.0f} mmHg"
    if row.get(EXPOSURES):
        seen += f", {_sessions(row[EXPOSURES])} of exposure so far"
    if row["action"] == "give":
        unit = "mg/kg" if row["dose mg"] != row["dose"] else "mg"
        dose = f"{row['dose']:g} {unit}" + (f" ({row['dose mg']:.0f} mg)" if unit == "mg/kg" else "")
        after = ""
        if row["highest SBP"] is not None:
            # by chance sometimes below the reading before it
            after = f"; after the dose at most {row['highest SBP']:.0f} mmHg systolic, CADSS {row['peak CADSS']:.0f}"
        return f"given: {dose}, session {row['session'] + 1} ({row['phase']}); {seen}{after}"
    return f"{'held' if row['action'] == 'hold' else 'the course stopped'}: {seen}"


def _sessions(number: float) -> str:
    return f"{number:.0f} session" + ("" if number == 1 else "s")


SAFEGUARDS: dict[str, Any] = {
    "rule": pl.String,
    "says": pl.String,
    "source": pl.String,
    "verified": pl.String,
    "caught": pl.Float64,
    "in time": pl.Float64,
    "troubled": pl.Float64,
}
"""Columns of `RuledCourse.safeguards`; the last three in %, null where there is nobody to count."""


def check(protocol: Protocol, calendar: Schedule) -> None:
    """Raises UserError where a protocol cannot be simulated with its rules."""
    if not protocol.phases:
        raise UserError(f"{protocol.name} gives no drug in sessions, so there are no visits at which its rules decide.")
    for phase in protocol.phases:
        for gap in (*(phase.every or ()), *((phase.widen_to,) if phase.widen_to else ())):
            if gap.value % DAY_H > 1e-9:
                raise UserError(
                    f"{protocol.name}: sessions of {phase.name} are {gap} apart; rules are simulated day by day, so "
                    "gaps must be whole days."
                )
    for a in calendar.administrations:
        if a.compound in COMPOUNDS and a.dose_mg is None and a.dose_mg_per_kg is None:
            raise UserError(f"{protocol.name}: a session has no dose.")


GROUP = 20 * BATCH
"""Patients simulated side by side: many, so that batches stay full while most are done; not all, so that memory is
bounded. Fewer where the engine looks more than once a day."""


def follow_rules(
    protocol: str | Path | Protocol,
    patients: int | Patients = 1000,
    weeks: float = 26,
    seed: int = 1,
    *,
    variants: Variants | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RuledCourse:
    """Simulate a protocol as its rules decide, visit by visit, and beside it the calendar that no rule changes.

    protocol: a name in the catalogue, a file, or a Protocol; patients: how many to draw from the protocol's population,
    or Patients of your own; weeks: horizon, whole days, up to two years; seed: of every random number; workers: threads
    (results do not depend on it); progress: called with (patients done, patients).
    Raises UserError, in one sentence, for what cannot be done.

    >>> import euthymia as eu
    >>> course = eu.follow_rules("ketamine-iv-trd", patients=50, weeks=6, seed=1)
    >>> course.ledger["action"].unique().sort().to_list()[0]
    'give'
    """
    document = protocol if isinstance(protocol, Protocol) else load(protocol)
    days = weeks * 7
    if not (np.isfinite(weeks) and 0 < weeks <= MAXIMUM_WEEKS and abs(days - round(days)) < 1e-9):
        raise UserError(f"weeks must be whole days, above 0 and at most {MAXIMUM_WEEKS} weeks, got {weeks:g}.")
    horizon_d = round(days)
    people = patients if isinstance(patients, Patients) else draw(document.population, patients, seed)
    variants = variants or Variants()
    calendar = schedule(document, DAY_H * horizon_d)
    found, warnings = under_rules(document, calendar, people, horizon_d, variants, workers, progress)
    planned = simulate(
        document,
        people,
        weeks,
        observe_h=(DAY_H * np.arange(horizon_d + 1)).tolist(),
        variants=variants,
        workers=workers,
    )
    return RuledCourse(
        document,
        people,
        DAY_H * np.arange(horizon_d + 1),
        *found,
        planned,
        tuple(dict.fromkeys((*planned.warnings, *warnings))),
        planned.provenance,
    )


def under_rules(
    protocol: Protocol,
    calendar: Schedule,
    people: Patients,
    horizon_d: int,
    variants: Variants,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    batch: int = BATCH,
) -> tuple[Followed, tuple[str, ...]]:
    """Follow people for `horizon_d` days; and warnings, in words. batch: patients per compiled call; small ones are
    quicker for few patients. Raises UserError for what `check` finds."""
    ruled, warnings = prepared(protocol, people.population, horizon_d, variants, calendar)
    ruled = replace(ruled, batch=batch)
    n, parts, gone_d = len(people), [], 0

    def gone(days: int) -> None:
        nonlocal gone_d
        gone_d += days
        if progress:
            progress(gone_d // horizon_d, n)

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for rows in groups(ruled, n):
            group = people.take(rows.start, rows.stop)
            parts.append(followed(ruled.run(group, pool, gone), group, protocol))
    width = max((x.shape[1] for f in parts for x in f.sessions.values()), default=0)
    found = Followed(
        {name: np.concatenate([f.values[name] for f in parts]) for name in parts[0].values},
        {name: np.concatenate([_wide(f.sessions[name], width) for f in parts]) for name in parts[0].sessions},
        pl.concat([f.table for f in parts]),
        pl.concat([f.ledger for f in parts]),
    )
    return found, warnings


def groups(ruled: Ruled, patients: int) -> list[slice]:
    """Patients who are simulated side by side."""
    most = max(BATCH, GROUP // ruled.a_day // BATCH * BATCH)
    return [slice(start, min(start + most, patients)) for start in range(0, patients, most)]


def prepared(
    protocol: Protocol, population: str, horizon_d: int, variants: Variants, calendar: Schedule | None = None
) -> tuple[Ruled, tuple[str, ...]]:
    """Everything about a course under rules that does not depend on the patients; and warnings, in words. calendar: of
    the protocol, where it is known already. Raises UserError for what `check` finds."""
    calendar = calendar or schedule(protocol, DAY_H * horizon_d)
    check(protocol, calendar)
    illness = illness_of(population)
    of_day = hours(protocol, illness)
    session, every_h = template(protocol, calendar, of_day)
    plan, setting, timing = prepare(session, every_h, variants, illness=illness)
    nothing = Schedule((), calendar.daily, calendar.design, DAY_H * horizon_d)
    _, _, whole = prepare(nothing, looks(of_day, horizon_d), variants, illness=illness)
    own = Adherence.from_evidence(), RestingPressure.from_evidence(), Misuse.from_evidence()
    # beside the setting, since they may differ between patients
    assumed, setting = setting.assumed, replace(setting, assumed={})
    ruled = Ruled(protocol, kinds(protocol), setting, timing, whole, *own, assumed)
    return ruled, plan.warnings + unsimulated(protocol, illness)


def replay(
    protocol: Protocol, ledger: pl.DataFrame, patient: Patients, horizon_d: int, variants: Variants
) -> dict[str, np.ndarray]:
    """The course of one patient from what the ledger says was given, by the engine that knows no rules; values by name,
    [1, days]."""
    mine = ledger.filter(pl.col("patient") == int(np.asarray(patient.index)[0]))
    drugs = {phase.name: protocol.drug_in(phase) for phase in protocol.phases}
    exposures = Exposures(protocol, horizon_d, 1)
    sessions = []
    for row in mine.iter_rows(named=True):
        day = np.array([row["day"]])
        if row["action"] == "give":
            drug, time_h = drugs[row["phase"]], DAY_H * row["day"]
            what = drug.compound, drug.route, row["dose mg"], None, None, drug.over.value if drug.over else 0.0
            sessions.append(Administration(time_h, *what, row["phase"], len(sessions) + 1))
            exposures.after_session(np.zeros(1, int), day)
        if row["next day"] is None:
            exposures.after_course(np.zeros(1, int), day)
    planned = schedule(protocol, DAY_H * horizon_d)
    calendar = replace(planned, administrations=tuple(sessions), exposures_h=exposures.times_h(0))
    return simulate_schedule(calendar, patient, DAY_H * np.arange(horizon_d + 1), variants)[0]


def _wide(x: np.ndarray, width: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=np.nan)
