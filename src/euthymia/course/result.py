"""The Course: what happened to every patient, labelled, with units and provenance."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.course.outcomes import Row, summarise
from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.illness import scales
from euthymia.patient.population import Patients
from euthymia.protocol import Protocol
from euthymia.protocol.calendar import Schedule

if TYPE_CHECKING:
    import xarray

UNITS = {
    "ketamine": "ng/mL",
    "norketamine": "ng/mL",
    "hydroxynorketamine": "ng/mL",
    "S-ketamine": "ng/mL",
    "R-ketamine": "ng/mL",
    "S-norketamine": "ng/mL",
    "R-norketamine": "ng/mL",
    "S-hydroxynorketamine": "ng/mL",
    "R-hydroxynorketamine": "ng/mL",
    "occupancy": "fraction",
    "surge": "0 to 1",
    "over_block": "0 to 1",
    "bdnf": "0 to 1",
    "functional": "0 to 1",
    "labile": "0 to 1",
    "consolidated": "0 to 1",
    "drug effect": "log score",
    "antidepressant effect": "log score",
    "background effect": "log score",
    "fluctuation": "log score",
    "MADRS": "points",
    "MADRS rated": "points",
    "MADRS untreated": "points",
    "episode effect": "log score",
    "untreated episode effect": "log score",
    "depressive pole": "0 euthymia, 1 episode",
    "manic pole": "0 euthymia, 1 episode",
    "YMRS": "points",
    "YMRS rated": "points",
    "extinction memory": "0 to 1",
    "fear": "0 to 1",
    "PTSD drug effect": "log score",
    "PTSD background effect": "log score",
    "PTSD other effect": "log score",
    "CAPS-5": "points",
    "CAPS-5 untreated": "points",
    "CAPS-5 rated": "points",
    "PCL-5": "points",
    "PCL-5 rated": "points",
    "dissociation": "CADSS points",
    "systolic rise": "mmHg",
    "sedation probability": "probability",
    "unresponsive probability": "probability",
}
"""The unit of every variable of a Course. "MADRS" is the true score, "MADRS rated" one noisy rating of it,
"MADRS untreated" the same patient's score under the same design without ketamine or antidepressant."""


@dataclass(frozen=True)
class Provenance:
    """Where a result came from: enough to make it again."""

    protocol: str
    protocol_hash: str
    evidence_hash: str
    population: str
    patients: int
    seed: int
    variants: dict[str, str]
    absorption: dict[str, float]
    dispositions: tuple[str, ...]
    version: str
    assumed: dict[str, float] = field(default_factory=dict)


def evidence_hash() -> str:
    """Digest of every number of the model."""
    rows = repr([(p.id, p.value) for p in evidence.model_parameters()])
    return sha256(rows.encode()).hexdigest()


def release() -> str:
    """The installed version."""
    try:
        return version("euthymia")
    except PackageNotFoundError:
        return "source"


@dataclass(frozen=True)
class Summary:
    """A table of values with intervals; prints itself."""

    title: str
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        width = max(len(r.label) for r in self.rows) if self.rows else 0
        lines = [self.title]
        lines += [
            f"  {r.label:<{width}}  {r.value:7.1f} {r.unit:<6} ({r.low:.1f} to {r.high:.1f})  {r.contains}"
            for r in self.rows
        ]
        return "\n".join(lines)

    def table(self) -> pl.DataFrame:
        """The same as a data frame."""
        return pl.DataFrame([r._asdict() for r in self.rows])


@dataclass(frozen=True, eq=False)
class Course:
    """The result of a simulation.

    time_h: observation times; values: by variable, [patients, times]; session_h: session times; sessions: by variable,
    [patients, sessions]; table: one row per patient. Where a course is too large for memory, `values` and `sessions`
    hold its first patients only (`kept`), `table` holds all, and `stored` names the folder with everything.
    """

    protocol: Protocol
    calendar: Schedule
    people: Patients
    time_h: np.ndarray
    values: dict[str, np.ndarray]
    session_h: np.ndarray
    sessions: dict[str, np.ndarray]
    table: pl.DataFrame
    warnings: tuple[str, ...]
    provenance: Provenance
    stored: Path | None = None

    @property
    def patients(self) -> int:
        """How many patients."""
        return len(self.people)

    @property
    def kept(self) -> int:
        """How many patients' time courses are in memory."""
        return len(next(iter(self.values.values())))

    @property
    def has_drug(self) -> bool:
        """Whether any ketamine is given."""
        return any(a.compound in COMPOUNDS for a in self.calendar.administrations)

    def outcomes(self) -> pl.DataFrame:
        """One row per patient."""
        return self.table

    def summary(self) -> Summary:
        """Response, remission, time to response, peaks and harms, each with an interval and what it contains.

        >>> import euthymia as eu
        >>> print(eu.simulate("ketamine-iv-single", patients=64, weeks=1).summary().rows[0].label)
        response at 24 h
        """
        return self._summary

    @cached_property
    def _summary(self) -> Summary:
        weeks = self.time_h[-1] / 168
        title = f"{self.protocol.title}: {self.patients:,} virtual patients over {weeks:g} weeks"
        return Summary(title, tuple(summarise(self.table, f"week {weeks:g}", self.has_drug)))

    def linked(self, scale: str) -> np.ndarray:
        """Mean score on another scale at every observation time, by published linking of the mean MADRS.

        scale: "HAM-D17" or "PHQ-9"; NaN where the mean lies outside what the publication covers. For groups only: never
        a patient's score. Raises UserError for a scale without published linking (QIDS-SR16).
        """
        mean = self.values["MADRS"].mean(0)
        low, high = scales.covered(scale)
        inside = (mean >= low) & (mean <= high)
        linked = np.full(len(mean), np.nan)
        linked[inside] = scales.link(mean[inside], to=scale)
        return linked

    def to_polars(self) -> pl.DataFrame:
        """One row per patient and time, one column per variable."""
        return course_frame(np.asarray(self.people.index)[: self.kept], self.time_h, self.values)

    def to_xarray(self) -> "xarray.Dataset":
        """Labelled arrays (patient, time) with units and provenance."""
        import xarray

        data = {name: (("patient", "time_h"), v, {"unit": UNITS.get(name, "")}) for name, v in self.values.items()}
        coordinates = {"patient": np.asarray(self.people.index)[: self.kept], "time_h": self.time_h}
        attributes = {
            k: json.dumps(v) if isinstance(v, dict | tuple) else v for k, v in asdict(self.provenance).items()
        }
        return xarray.Dataset(data, coordinates, attributes)

    def save(self, folder: str | Path) -> Path:
        """Write course.parquet, outcomes.csv, summary.csv and provenance.json into `folder`, each whole or not at all.

        Raises UserError when the folder cannot be written.
        """
        from euthymia.course.store import write_course

        return write_course(self, Path(folder))

    def report(self, path: str | Path) -> Path:
        """Write the HTML report of this course."""
        from importlib import import_module

        # the report stands above this room; it is reached only when a reader asks for it
        return import_module("euthymia.report").write([self], Path(path))


def check_times(observe_h, horizon_h: float) -> np.ndarray:
    """Observation times as sorted hours. Raises UserError for none, non-finite ones or ones outside the course."""
    times = np.unique(np.asarray(observe_h, float))
    if len(times) == 0 or not np.all(np.isfinite(times)) or times[0] < 0 or times[-1] > horizon_h + 1e-9:
        raise UserError(f"observation times must lie between 0 and {horizon_h:g} h, the horizon.")
    if times[-1] == 0:
        raise UserError("observation times must include one after 0 h.")
    return times


def course_frame(index: np.ndarray, time_h: np.ndarray, values: dict[str, np.ndarray]) -> pl.DataFrame:
    """One row per patient and time, one column per variable."""
    columns: dict[str, np.ndarray] = {"patient": np.repeat(index, len(time_h)), "time_h": np.tile(time_h, len(index))}
    return pl.DataFrame(columns | {name: v.ravel() for name, v in values.items()})
