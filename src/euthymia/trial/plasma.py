"""The model against every published plasma level of the evidence: predicted beside observed, row by row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.course.plan import make_plan
from euthymia.course.store import write_whole
from euthymia.drug.body import Body
from euthymia.drug.compounds import molecular_weight, ng_per_mL
from euthymia.errors import UserError
from euthymia.evidence.tables import Plasma, number
from euthymia.patient.population import VARIED, draw
from euthymia.protocol.calendar import Administration
from euthymia.trial.plasma_plan import ANALYTES, END_H, Reading, Regimen, plan, quantity_kind, site

WEIGHT_KG = 70.0  # of the typical patient: no study of the table prints a weight
AGE_Y, OLD_AGE_Y = 40.0, 70.0  # 70 is read back from the published exposures; the publication says only "over 60"
VIRTUAL = 500
FOLD = 2.0
# one minute while levels move fast, then coarser, to four days: long enough for every AUC to infinity
TIME_H = np.unique(np.r_[0:481, 480:1441:10, 1440 : 60 * END_H + 1 : 60]) / 60.0

HOURS = {"h": 1.0, "min": 60.0, "ng*h/mL": 1.0, "ug*h/L": 1.0, "ng*min/mL": 60.0}


class PlasmaRow(NamedTuple):
    """One published level and its prediction, in the row's own unit.

    kind: "observed" or "published model"; quantity_kind: level, exposure, time or ratio; printed: the value as printed;
    observed: it as a number (the geometric middle of a range); predicted: the typical patient; low90, high90: 5th and
    95th percentile of virtual patients (observed rows only); ratio: predicted over observed; site_mismatch: venous set,
    arterial samples; assumed: what the source does not say; not_predicted: why there is no prediction, or "".
    """

    id: str
    study: str
    population: str
    drug: str
    route: str
    dose: str
    analyte: str
    quantity: str
    quantity_kind: str
    time_min: float | None
    kind: str
    site: str
    printed: str
    unit: str
    spread: str
    spread_type: str
    n: str
    observed: float | None
    disposition: str
    predicted: float | None
    low90: float | None
    high90: float | None
    ratio: float | None
    site_mismatch: bool
    assumed: str
    not_predicted: str
    verified: str
    source: str


class PlasmaTotal(NamedTuple):
    """Agreement of a group of rows. fold: geometric mean of predicted over observed; within: rows within twofold."""

    group: str
    rows: int
    fold: float
    within: int


@dataclass(frozen=True)
class PlasmaCheck:
    """Predicted beside published for every plasma row of the evidence; prints itself."""

    rows: tuple[PlasmaRow, ...]

    def predicted(self) -> tuple[PlasmaRow, ...]:
        """The rows that have a prediction."""
        return tuple(r for r in self.rows if r.predicted is not None)

    def outside(self, fold: float = FOLD) -> tuple[PlasmaRow, ...]:
        """The rows predicted more than `fold` times too high or too low."""
        return tuple(r for r in self.predicted() if r.ratio and not 1 / fold <= r.ratio <= fold)

    def totals(self) -> tuple[PlasmaTotal, ...]:
        """Agreement by disposition, levels and exposures apart from times to peak."""
        groups: dict[str, list[float]] = {}
        for r in self.predicted():
            if r.ratio:
                groups.setdefault(group(r), []).append(r.ratio)
        return tuple(
            PlasmaTotal(name, len(x), float(np.exp(np.log(x).mean())), sum(1 / FOLD <= v <= FOLD for v in x))
            for name, x in sorted(groups.items())
        )

    def table(self) -> pl.DataFrame:
        """The rows as a data frame."""
        return pl.DataFrame([r._asdict() for r in self.rows], infer_schema_length=None)

    def write(self, folder: str | Path) -> Path:
        """Write plasma.csv into `folder` and return its path. Raises UserError when it cannot be written."""
        path = Path(folder) / "plasma.csv"
        write_whole(path, lambda p: self.table().write_csv(p))
        return path

    def __str__(self) -> str:
        lines = [f"{'row':<64} {'observed':>12} {'predicted':>10} {'unit':<9} {'ratio':>6}  disposition"]
        for r in self.rows:
            end = f"{r.predicted:>10.3g} {r.unit:<9} {r.ratio or 0:>6.2f}  {r.disposition}" if r.predicted else ""
            marks = " (arterial samples)" * r.site_mismatch + " unverified" * (r.verified == "no")
            lines.append(f"{r.id[:64]:<64} {r.printed:>12} {end or f'not predicted: {r.not_predicted}'}{marks}")
        lines += ["", *(f"{t.group}: {t.rows} rows, geometric mean ratio {t.fold:.2f}, {t.within} within twofold"
                        for t in self.totals())]  # fmt: skip
        return "\n".join([*lines, f"{len(self.rows) - len(self.predicted())} rows are not predicted."])


def group(row: PlasmaRow) -> str:
    """What a predicted row is counted with."""
    kind = "time to peak" if row.quantity_kind == "time" else "levels"
    against = "arterial samples" if row.site_mismatch else row.kind
    return f"{row.disposition}, {kind}, {against}"


TYPICAL = tuple((old, asian, japanese) for old in (0, 1) for asian, japanese in ((0, 0), (1, 0), (1, 1)))


def people() -> Body:
    """The typical patients (`TYPICAL`), then `VIRTUAL` healthy volunteers, then as many people with TRD."""
    old, asian, japanese = (jnp.asarray(x, float) for x in zip(*TYPICAL, strict=True))
    one = jnp.ones(len(TYPICAL))
    age = jnp.where(old > 0, OLD_AGE_Y, AGE_Y)
    typical = Body(WEIGHT_KG * one, age, asian, japanese, one, one, dict.fromkeys(VARIED, 0 * one))
    drawn = [draw(population, VIRTUAL, 1).body() for population in ("healthy", "TRD")]
    return jax.tree.map(lambda *x: jnp.concatenate(x), typical, *drawn)


def levels(regimen: Regimen, body: Body) -> dict[str, np.ndarray]:
    """ng/mL by analyte, [times, patients], at `TIME_H`: the modes of the plan, advanced exactly from break to break."""
    given = tuple(
        Administration(t, regimen.compound, route, mg, per_kg, None, hours, "", k)
        for k, (t, route, mg, per_kg, hours) in enumerate(regimen.doses)
    )
    routes: Mapping[str, str] = {a.route: regimen.disposition for a in given}
    course = make_plan(given, TIME_H, routes)
    weight, found = np.asarray(body.weight_kg), {}
    for k, pathway in enumerate(course.pathways):
        system, inputs = pathway.build(body)
        rates = np.asarray(system.rates)
        gain = np.zeros((len(course.entries), *rates.shape))
        for e, entry in enumerate(course.entries):
            dose = course.doses[entry.dose]
            if dose.pathway == k:
                where = inputs[dose.input_key][entry.input]
                mg = dose.share * ((dose.mg or 0.0) + (dose.mg_per_kg or 0.0) * weight) * np.asarray(where.fraction)
                channel = np.asarray(system.inputs)[:, system.channels.index(where.channel)]
                gain[e] = channel * mg / (entry.duration_h or 1.0)
        modes, at_break = np.zeros_like(rates), [np.zeros_like(rates)]
        for s, step in enumerate(np.diff(course.breaks_h)):
            modes = modes + np.tensordot(course.amount_counts[course.amount_of[s]], gain, 1)
            steady = np.tensordot(course.inflow_counts[course.inflow_of[s]], gain, 1) / rates
            modes = steady + (modes - steady) * np.exp(-rates * step)
            at_break.append(modes)
        seen = np.stack(at_break)[course.observed]
        for a, name in enumerate(system.analytes):
            curve = np.einsum("mn,tmn->tn", np.asarray(system.outputs)[a], seen)
            found[name] = np.asarray(ng_per_mL(curve, name))
    return found


def _middle(text: str) -> float | None:
    """A printed number, or the geometric middle of a printed range."""
    ends = [number(part) for part in text.split("-")]
    return None if None in ends else float(np.exp(np.mean(np.log(np.array(ends, float)))))


def _read(row: Plasma, how: Reading, curves: Mapping[str, np.ndarray]) -> np.ndarray:
    """The row's quantity in its unit, by patient."""
    names = [n for n in ANALYTES[row.analyte] if n in curves]
    curve = np.sum([curves[n] for n in names], 0) / (len(names) if "per enantiomer" in row.quantity else 1)
    inside = (how.start_h - 1e-9 <= TIME_H) & (how.end_h + 1e-9 >= TIME_H)
    time, curve, kind = TIME_H[inside], curve[inside], quantity_kind(row.quantity)
    if kind == "exposure":
        return HOURS[row.unit] * np.trapezoid(curve, time, axis=0)
    if kind == "time":
        return HOURS[row.unit] * (time[curve.argmax(0)] - how.start_h)
    if kind == "ratio":
        parent = np.sum([curves[n] for n in ANALYTES["ketamine"]], 0)
        return curve.max(0) / parent[inside].max(0)
    level = curve.max(0) if how.at_h is None else np.array([np.interp(how.at_h, time, c) for c in curve.T])
    if row.unit in ("nmol/mL", "umol/L"):
        return level / molecular_weight(names[0])
    if row.unit in ("ng/mL", "ug/mL"):
        return level / {"ng/mL": 1.0, "ug/mL": 1000.0}[row.unit]
    raise UserError(f"plasma row {row.id}: the unit {row.unit!r} of a level is not known to the check.")


def _row(row: Plasma, how: Reading | str, curves: Mapping[str, np.ndarray]) -> PlasmaRow:
    seen = _middle(row.value)
    predicted = low = high = None
    if isinstance(how, Reading):
        values = _read(row, how, curves)
        predicted = float(values[TYPICAL.index((how.old, how.asian, how.japanese))])
        if row.kind == "observed":
            first = len(TYPICAL) + VIRTUAL * how.ill
            low, high = (float(x) for x in np.quantile(values[first : first + VIRTUAL], (0.05, 0.95)))
    minutes = number(row.duration_min)
    return PlasmaRow(
        id=row.id,
        study=row.study,
        population=row.population,
        drug=row.drug,
        route=row.route,
        dose=" ".join(x for x in (row.dose, "" if "/h" in row.dose_unit else row.dose_unit) if x)
        + (f" over {minutes:g} min" if minutes and "min" not in row.dose else ""),
        analyte=row.analyte,
        quantity=row.quantity,
        quantity_kind=quantity_kind(row.quantity),
        time_min=row.time_min,
        kind="observed" if row.kind == "observed" else "published model",
        site=site(row) if row.study != "PEREZRUIXO2021" else "venous by its data sets, not stated",
        printed=row.value,
        unit=row.unit,
        spread=row.spread,
        spread_type=row.spread_type,
        n=row.n,
        observed=seen,
        disposition=how.regimen.disposition if isinstance(how, Reading) else "",
        predicted=predicted,
        low90=low,
        high90=high,
        ratio=predicted / seen if predicted is not None and seen else None,
        site_mismatch=isinstance(how, Reading) and how.mismatch,
        assumed="; ".join(how.assumed) if isinstance(how, Reading) else "",
        not_predicted=how if isinstance(how, str) else "",
        verified=row.verified,
        source=row.source,
    )


def plasma_check(progress: Callable[[int, int], None] | None = None) -> PlasmaCheck:
    """Compare the dispositions with every plasma row of the evidence. Takes some ten seconds.

    progress: called with (regimens done, regimens).

    Typical patients weigh 70 kg; intervals come from 500 virtual healthy volunteers, or people with TRD where the study
    took them.
    """
    rows = evidence.plasma()
    plans = [plan(r) for r in rows]
    body = people()
    curves = {p.regimen: {} for p in plans if isinstance(p, Reading)}
    for done, regimen in enumerate(curves, 1):
        curves[regimen] = levels(regimen, body)
        if progress:
            progress(done, len(curves))
    return PlasmaCheck(
        tuple(_row(r, p, curves[p.regimen] if isinstance(p, Reading) else {}) for r, p in zip(rows, plans, strict=True))
    )
