"""What patients went through under rules, as tables: every visit, every session, one row per patient."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from euthymia.course.outcomes import Given, patient_outcomes
from euthymia.course.symptoms import RATINGS
from euthymia.course.visits import ACTIONS, Found, Visit
from euthymia.illness.depression import DAY_H
from euthymia.patient.population import Patients, illness_of
from euthymia.protocol import Protocol
from euthymia.protocol.decide import FIRED, GIVE, MISSING

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
"""Columns of the ledger in depression. In another illness the ratings of its other scales stand after the MADRS and,
where it is treated with exposure, how many sessions of that came before. day: from the first, 0; session: how many had
been given before; dose: in the unit of the drug; next day: when the next visit is due, null after the last; fired:
rules that spoke; missing: rules that could not be answered."""
EXPOSURES = "exposures"
"""Sessions of exposure therapy so far: in the ledger, by day among the values, and at the end in the table."""
MISUSE = "misuse begins day"
"""Column of the table: null where it does not begin."""


class Followed(NamedTuple):
    """Of some people: as in `RuledCourse`."""

    values: dict[str, np.ndarray]
    sessions: dict[str, np.ndarray]
    table: pl.DataFrame
    ledger: pl.DataFrame


def followed(found: Found, people: Patients, protocol: Protocol) -> Followed:
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
    if EXPOSURES in found.values:
        table = table.with_columns(pl.Series(EXPOSURES, found.values[EXPOSURES][:, -1].astype(int)))
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
    scales = RATINGS[illness_of(people.population)]
    seen = {
        name: all_of(lambda v, name=name: v.seen[name])
        for name in (*scales, "SBP", "DBP", "drug liking", "early returns")
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
    more = [scale for scale in scales if scale not in LEDGER]
    if EXPOSURES in found.values:
        who = all_of(lambda v: v.who)
        columns[EXPOSURES] = found.values[EXPOSURES][who, columns["day"]]
        more.append(EXPOSURES)
    schema = {}
    for name, kind in LEDGER.items():
        schema |= {name: kind} | (dict.fromkeys(more, pl.Float64) if name == "MADRS" else {})
    return (
        pl.DataFrame({name: columns[name] for name in schema}, schema=schema)
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
