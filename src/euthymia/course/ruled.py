"""A protocol simulated as its rules make it: who is given what, and when, is decided visit by visit."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import numpy as np
import polars as pl

from euthymia.course.batch import BATCH
from euthymia.course.outcomes import Given, patient_outcomes
from euthymia.course.simulate import prepare, simulate_schedule
from euthymia.course.variants import Variants
from euthymia.course.visits import ACTIONS, NONE, Found, Ruled, Visit, kinds, template, unsimulated
from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.harm.pressure import RestingPressure
from euthymia.illness.depression import DAY_H
from euthymia.patient.adherence import Adherence
from euthymia.patient.population import Patients, illness_of
from euthymia.protocol import Protocol, schedule
from euthymia.protocol.calendar import Administration, Schedule
from euthymia.protocol.decide import FIRED, GIVE, MISSING


class RuledCourse(NamedTuple):
    """values: by name, [patients, days]; sessions: by name, [patients, sessions] in the order given, NaN where there
    were fewer; table: one row per patient; ledger: one row per visit, see `LEDGER`; warnings: in words."""

    values: dict[str, np.ndarray]
    sessions: dict[str, np.ndarray]
    table: pl.DataFrame
    ledger: pl.DataFrame
    warnings: tuple[str, ...]


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
    "fired": pl.String,
    "missing": pl.String,
}
"""Columns of the ledger. day: from the first, 0; session: how many had been given before; dose: in the unit of the
drug; fired: rules that spoke; missing: rules that could not be answered."""


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


def under_rules(
    protocol: Protocol,
    calendar: Schedule,
    people: Patients,
    horizon_d: int,
    variants: Variants,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RuledCourse:
    """Follow people for `horizon_d` days. Results do not depend on `workers`.

    Raises UserError for what `check` finds.
    """
    check(protocol, calendar, people.population)
    session, days = template(protocol, calendar)
    plan, setting, timing = prepare(session, days, variants)
    _, _, daily = prepare(
        Schedule((), calendar.daily, calendar.design, DAY_H * horizon_d), DAY_H * np.arange(horizon_d + 1), variants
    )
    own = Adherence.from_evidence(), RestingPressure.from_evidence()
    ruled = Ruled(protocol, kinds(protocol), setting, timing, daily, *own)
    n, found = len(people), []

    def one(start: int) -> tuple[int, Found]:
        rows = np.minimum(np.arange(start, start + BATCH), n - 1)
        return start, ruled.run(jax.tree.map(lambda x: np.asarray(x)[rows], people))

    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for start, batch in pool.map(one, range(0, n, BATCH)):
            found.append(_cut(batch, people.take(start, min(start + BATCH, n)), protocol))
            if progress:
                progress(min(start + BATCH, n), n)
    values = {name: np.concatenate([f.values[name] for f in found]) for name in found[0].values}
    width = max((x.shape[1] for f in found for x in f.sessions.values()), default=0)
    sessions = {name: np.concatenate([_wide(f.sessions[name], width) for f in found]) for name in found[0].sessions}
    warnings = plan.warnings
    if normal := unsimulated(protocol):
        warnings += (f"not simulated, and normal in every virtual patient: {', '.join(normal)}",)
    return RuledCourse(
        values, sessions, pl.concat([f.table for f in found]), pl.concat([f.ledger for f in found]), warnings
    )


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


def _cut(batch: Found, people: Patients, protocol: Protocol) -> RuledCourse:
    """The people of a batch, without those who only fill it."""
    n = len(people)
    values = {name: x.T[:n] for name, x in batch.values.items()}
    given = np.stack([v.action[:n] == GIVE for v in batch.visits])
    numbers = np.cumsum(given, 0) - 1
    most = int(given.sum(0).max(initial=0))
    sessions = {}
    for name, x in batch.sessions.items():
        sessions[name] = np.full((n, most), np.nan)
        visit, who = np.nonzero(given)
        sessions[name][who, numbers[visit, who]] = x[visit, who]
    time_h = DAY_H * np.arange(values["MADRS"].shape[1])
    active = given if batch.sessions else np.zeros_like(given)
    in_all = Given(batch.given_mg[:, :n].sum(0), active.sum(0))
    none = np.cumsum(given, 0)[-1] == 0
    strongest = {name: np.where(none[:, None], 0.0, np.where(np.isnan(x), -np.inf, x)) for name, x in sessions.items()}
    table = patient_outcomes(people, in_all, time_h, values, strongest)
    return RuledCourse(values, sessions, table, _ledger(batch, people, protocol), ())


def _ledger(batch: Found, people: Patients, protocol: Protocol) -> pl.DataFrame:
    """One row per visit, in the order of patient and day."""
    n = len(people)
    names = [phase.name for phase in protocol.phases]
    frames = []
    for k, visit in enumerate(batch.visits):
        rows = np.flatnonzero(visit.action[:n] != NONE)
        harms = {name: x[k][rows] for name, x in batch.sessions.items()}
        nothing = np.full(len(rows), np.nan)
        frames.append(
            pl.DataFrame(
                {
                    "patient": np.asarray(people.index)[rows],
                    "visit": np.full(len(rows), k),
                    "day": np.round(np.asarray(visit.place.time_h)[rows] / DAY_H).astype(int),
                    "action": [ACTIONS[a] for a in visit.action[rows]],
                    "phase": [names[int(p)] for p in np.asarray(visit.place.phase)[rows]],
                    "session": np.asarray(visit.place.given)[rows].astype(int),
                    "dose": np.where(visit.action == GIVE, visit.decision.dose, np.nan)[rows],
                    "dose mg": np.where(visit.action == GIVE, visit.decision.dose_mg, np.nan)[rows],
                    **{name: visit.seen[name][rows] for name in ("MADRS", "SBP", "DBP")},
                    "peak CADSS": harms.get("peak dissociation", nothing),
                    "highest SBP": visit.seen["SBP"][rows] + harms.get("peak systolic rise", nothing),
                    "fired": _who_spoke(visit, rows, FIRED),
                    "missing": _who_spoke(visit, rows, MISSING),
                },
                schema=LEDGER,
            )
        )
    return (
        pl.concat(frames)
        .sort("patient", "day", maintain_order=True)
        .with_columns(pl.int_range(pl.len()).over("patient").alias("visit"))
        .with_columns(pl.selectors.float().fill_nan(None))
    )


def _who_spoke(visit: Visit, rows: np.ndarray, what: int) -> list[str]:
    """For each row, the rules that said so."""
    found = [""] * len(rows)
    for rule, x in visit.said.items():
        for j in np.flatnonzero(x[rows] == what):
            found[j] += f"; {rule}" if found[j] else rule
    return found
