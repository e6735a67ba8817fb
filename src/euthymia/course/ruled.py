"""A protocol simulated as its rules make it: who is given what, and when, is decided visit by visit."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from euthymia.course.batch import BATCH
from euthymia.course.between import kinds, template
from euthymia.course.outcomes import Given, patient_outcomes, summarise
from euthymia.course.result import Course, Provenance, Summary, course_frame
from euthymia.course.simulate import MAXIMUM_WEEKS, prepare, simulate, simulate_schedule
from euthymia.course.store import narrow, write_whole
from euthymia.course.variants import Variants
from euthymia.course.visits import ACTIONS, Found, Ruled, Visit, unsimulated
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
from euthymia.protocol.decide import FIRED, GIVE, MISSING
from euthymia.protocol.plain_words import MARKS, sentence
from euthymia.protocol.rules import Requirement, Rule


@dataclass(frozen=True, eq=False)
class RuledCourse:
    """A protocol followed by virtual patients as its rules decide.

    time_h: once a day; values: by name, [patients, days]; sessions: by name, [patients, sessions] in the order given,
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
        for row in mine.iter_rows(named=True):
            lines.append(f"day {row['day']:>3}  {_happened(row, self.protocol)}")
            for mark, ids in (("", row["fired"]), ("not known, ", row["missing"])):
                for id in filter(None, ids.split("; ")):
                    said = spoken(every[id]) if id in every else "a dose by weight needs a weight"
                    from_ = f"; {every[id].source}; {MARKS[every[id].verified]}" if id in every else ""
                    lines.append(f"         {mark}{said} [{id}{from_}]")
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


def _happened(row: dict[str, Any], protocol: Protocol) -> str:
    """One visit in words."""
    if row["action"] == "missed":
        return "did not come"
    seen = f"MADRS {row['MADRS']:.0f}, {row['SBP']:.0f}/{row['DBP']:.0f} mmHg"
    if row["action"] == "give":
        unit = "mg/kg" if row["dose mg"] != row["dose"] else "mg"
        dose = f"{row['dose']:g} {unit}" + (f" ({row['dose mg']:.0f} mg)" if unit == "mg/kg" else "")
        after = ""
        if row["highest SBP"] is not None:
            after = f"; then up to {row['highest SBP']:.0f} mmHg systolic, CADSS {row['peak CADSS']:.0f}"
        return f"given: {dose}, session {row['session'] + 1} ({row['phase']}); {seen}{after}"
    return f"{'held' if row['action'] == 'hold' else 'the course stopped'}: {seen}"


LEDGER = {
    "patient": pl.Int64,
    "visit": pl.Int64,
    "day": pl.Int64,
    "action": pl.String,
    "phase": pl.String,
    "session": pl.Int64,
    "dose": pl.Float64,
    "dose mg": pl.Float64,
    "MADRS": pl.Float64,
    "SBP": pl.Float64,
    "DBP": pl.Float64,
    "peak CADSS": pl.Float64,
    "highest SBP": pl.Float64,
    "drug liking": pl.Float64,
    "early returns": pl.Float64,
    "next day": pl.Int64,
    "fired": pl.String,
    "missing": pl.String,
}
"""Columns of the ledger. day: from the first, 0; session: how many had been given before; dose: in the unit of the
drug; next day: when the next visit is due, null after the last; fired: rules that spoke; missing: rules that could not
be answered."""


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
MISUSE = "misuse begins day"
"""Column of the table: null where it does not begin."""


def check(protocol: Protocol, calendar: Schedule, population: str) -> None:
    """Raises UserError where a protocol cannot be simulated with its rules."""
    if not protocol.phases:
        raise UserError(f"{protocol.name} gives no drug in sessions, so there are no visits at which its rules decide.")
    if illness_of(population) != "depression":
        raise UserError(f"rules are simulated in depression; {protocol.name} is for {protocol.indication}.")
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
bounded."""


class Followed(NamedTuple):
    """Of some people: as in `RuledCourse`."""

    values: dict[str, np.ndarray]
    sessions: dict[str, np.ndarray]
    table: pl.DataFrame
    ledger: pl.DataFrame


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
) -> tuple[Followed, tuple[str, ...]]:
    """Follow people for `horizon_d` days; and warnings, in words. Raises UserError for what `check` finds."""
    check(protocol, calendar, people.population)
    stepped = with_steps(protocol)
    session, days = template(stepped, calendar)
    plan, setting, timing = prepare(session, days, variants)
    _, _, daily = prepare(
        Schedule((), calendar.daily, calendar.design, DAY_H * horizon_d), DAY_H * np.arange(horizon_d + 1), variants
    )
    own = Adherence.from_evidence(), RestingPressure.from_evidence(), Misuse.from_evidence()
    ruled = Ruled(protocol, kinds(stepped), setting, timing, daily, *own)
    n, parts, gone_d = len(people), [], 0

    def gone(days: int) -> None:
        nonlocal gone_d
        gone_d += days
        if progress:
            progress(gone_d // horizon_d, n)

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for start in range(0, n, GROUP):
            group = people.take(start, min(start + GROUP, n))
            parts.append(_followed(ruled.run(group, pool, gone), group, protocol))
    width = max((x.shape[1] for f in parts for x in f.sessions.values()), default=0)
    found = Followed(
        {name: np.concatenate([f.values[name] for f in parts]) for name in parts[0].values},
        {name: np.concatenate([_wide(f.sessions[name], width) for f in parts]) for name in parts[0].sessions},
        pl.concat([f.table for f in parts]),
        pl.concat([f.ledger for f in parts]),
    )
    warnings = plan.warnings
    if normal := unsimulated(protocol):
        warnings += (f"not simulated, and normal in every virtual patient: {', '.join(normal)}",)
    return found, warnings


def with_steps(protocol: Protocol) -> Protocol:
    """The protocol with every step under a rising ceiling as a dose that it may adjust to: each dose of devices is a
    session of its own in the template."""
    numbered = [(phase, n + 1) for phase in protocol.phases for n in range(len(phase.dose_by_session or (0,)))]
    planned = [dose.value for phase, number in numbered if (dose := protocol.dose_in(phase, number))]
    highest = max([*planned, *(rule.dose_to.value for rule in protocol.adjust)], default=0.0)
    steps = []
    for rule in protocol.adjust:
        dose = rule.dose_to
        while rule.steps_of and (value := dose.value + rule.steps_of.value) < highest:
            dose = replace(dose, value=value, text=f"{value:g} {dose.unit}")
            steps.append(rule.model_copy(update={"dose_to": dose, "steps_of": None}))
    return protocol.model_copy(update={"adjust": (*protocol.adjust, *steps)})


def replay(
    protocol: Protocol, ledger: pl.DataFrame, patient: Patients, horizon_d: int, variants: Variants
) -> dict[str, np.ndarray]:
    """The course of one patient from what the ledger says was given, by the engine that knows no rules; values by name,
    [1, days]."""
    given = ledger.filter((pl.col("patient") == int(np.asarray(patient.index)[0])) & (pl.col("action") == "give"))
    drugs = {phase.name: protocol.drug_in(phase) for phase in protocol.phases}
    sessions = []
    for number, row in enumerate(given.iter_rows(named=True), 1):
        drug, time_h = drugs[row["phase"]], DAY_H * row["day"]
        what = drug.compound, drug.route, row["dose mg"], None, None, drug.over.value if drug.over else 0.0
        sessions.append(Administration(time_h, *what, row["phase"], number))
    planned = schedule(protocol, DAY_H * horizon_d)
    calendar = Schedule(tuple(sessions), planned.daily, planned.design, DAY_H * horizon_d)
    return simulate_schedule(calendar, patient, DAY_H * np.arange(horizon_d + 1), variants)[0]


def _wide(x: np.ndarray, width: int) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, width - x.shape[1])), constant_values=np.nan)


def _followed(found: Found, people: Patients, protocol: Protocol) -> Followed:
    """What a group went through, as tables."""
    n = len(people)
    cumulative_mg, given = np.zeros(n), np.zeros(n, int)
    in_order: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {}
    for visit in found.visits:
        cumulative_mg[visit.who] += visit.mg
        rows = np.flatnonzero(visit.action == GIVE)
        for name, x in visit.harms.items():
            in_order.setdefault(name, []).append((visit.who[rows], given[visit.who[rows]], x[rows]))
        given[visit.who[rows]] += 1
    sessions = {}
    for name, pieces in in_order.items():
        sessions[name] = np.full((n, int(given.max())), np.nan)
        for who, number, x in pieces:
            sessions[name][who, number] = x
    time_h = DAY_H * np.arange(found.values["MADRS"].shape[1])
    in_all = Given(cumulative_mg, given if sessions else np.zeros(n, int))
    strongest = {
        name: np.where((given == 0)[:, None], 0.0, np.where(np.isnan(x), -np.inf, x)) for name, x in sessions.items()
    }
    table = patient_outcomes(people, in_all, time_h, found.values, strongest)
    begins = pl.Series(MISUSE, found.misuse_d)
    table = table.with_columns(pl.when(begins.is_finite()).then(begins).alias(MISUSE))
    return Followed(found.values, sessions, table, _ledger(found, people, protocol))


def _ledger(found: Found, people: Patients, protocol: Protocol) -> pl.DataFrame:
    """One row per visit, in the order of patient and day."""
    names = [phase.name for phase in protocol.phases]
    index = np.asarray(people.index)

    def all_of(of: Callable[[Visit], Any]) -> np.ndarray:
        return np.concatenate([np.asarray(of(visit)) for visit in found.visits])

    def harm(name: str) -> np.ndarray:
        return all_of(lambda v: v.harms.get(name, np.full(len(v.who), np.nan)))

    given, due = all_of(lambda v: v.action) == GIVE, all_of(lambda v: v.due)
    seen = {
        name: all_of(lambda v, name=name: v.seen[name])
        for name in ("MADRS", "SBP", "DBP", "drug liking", "early returns")
    }
    columns = {
        "patient": index[all_of(lambda v: v.who)],
        "visit": np.zeros(len(given), int),
        "day": np.round(all_of(lambda v: v.place.time_h) / DAY_H).astype(int),
        "action": np.array(ACTIONS)[all_of(lambda v: v.action)],
        "phase": np.array(names)[all_of(lambda v: v.decision.phase).astype(int)],
        "session": all_of(lambda v: v.place.given).astype(int),
        "dose": np.where(given, all_of(lambda v: v.decision.dose), np.nan),
        "dose mg": np.where(given, all_of(lambda v: v.decision.dose_mg), np.nan),
        "peak CADSS": harm("peak dissociation"),
        "highest SBP": seen["SBP"] + harm("peak systolic rise"),
        "next day": pl.Series(np.where(np.isfinite(due), due, -1).astype(int)).replace(-1, None),
        "fired": _who_spoke(found.visits, FIRED),
        "missing": _who_spoke(found.visits, MISSING),
        **seen,
    }
    return (
        pl.DataFrame({name: columns[name] for name in LEDGER}, schema=LEDGER)
        .sort("patient", "day", maintain_order=True)
        .with_columns(pl.int_range(pl.len()).over("patient").alias("visit"))
        .with_columns(pl.selectors.float().fill_nan(None))
    )


def _who_spoke(visits: list[Visit], what: int) -> np.ndarray:
    """For each visit of each patient, the rules that said so."""
    found = np.full(sum(len(visit.who) for visit in visits), "", object)
    first = 0
    for visit in visits:
        for rule, x in visit.said.items():
            rows = first + np.flatnonzero(x == what)
            found[rows] = [f"{before}; {rule}" if before else rule for before in found[rows]]
        first += len(visit.who)
    return found
