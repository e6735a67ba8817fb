"""What virtual patients do under a regimen: its rules followed visit by visit, and that as curves and numbers.

Every regimen meets the same patients. Their sessions are walked by maps (`course.session_map`) that are kept, so that a
regimen of doses and gaps that were met before is a walk over what is there. What was simulated is kept too.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import polars as pl

from euthymia.course.batch import BATCH
from euthymia.course.ledger import Followed, followed
from euthymia.course.ruled import RuledCourse, check, prepared
from euthymia.course.session_map import Store
from euthymia.course.variants import Variants
from euthymia.design.extrapolation import beyond
from euthymia.errors import UserError
from euthymia.explore.regimen import Slider, changed, document_text, sliders
from euthymia.explore.uncertain import Uncertain, bands, differences, means
from euthymia.illness.depression import DAY_H
from euthymia.patient.population import Patients, draw, illness_of
from euthymia.protocol import Protocol, catalogue, fingerprint, load, schedule
from euthymia.report.notes import STATUS, VERIFIED

WEEKS = (12, 26, 52)
"""Horizons one can choose."""
KEPT, KEPT_PATIENTS = 48, 24_000
"""Regimens that are kept, and patients of all of them."""
KEPT_MAPS = 100_000
"""Maps of sessions that are kept, one per patient."""
HIGH_SBP = 180.0
BAND = (0.05, 0.5, 0.95)
PATIENTS = "median, and 90 % of virtual patients"
MEAN = "mean, and 90 % of virtual patients"
CHANCE = "share, and 90 % of what chance among so many patients may bring"


class Stale(Exception):
    """Nobody waits for this answer any more."""


class Asked(NamedTuple):
    """A regimen: a protocol by name, numbers moved (by id of a slider), and for how long."""

    protocol: str
    numbers: Mapping[str, str]
    weeks: int


class _Kept(NamedTuple):
    """What was simulated of one regimen."""

    found: Followed
    warnings: tuple[str, ...]


class Explorer:
    """Answers for one protocol and all of the catalogue, in the patients of that protocol's population."""

    def __init__(self, protocol: Protocol, patients: int = 500, seed: int = 1) -> None:
        """Raises UserError where the protocol cannot be simulated under its rules."""
        _simulable(protocol, protocol.population)
        self.start = protocol
        self.patients = patients
        self.people: Patients = draw(protocol.population, patients, seed)
        self.uncertain = Uncertain(self.people, seed)
        self._kept: OrderedDict[tuple[str, int], _Kept] = OrderedDict()
        self._one_at_a_time = threading.Lock()
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._stores: dict[tuple[Any, ...], Store] = {}
        self._drawn: tuple[int, dict[str, np.ndarray]] | None = None

    def protocols(self) -> list[dict[str, str]]:
        """Name and title of everything that can be simulated."""
        found = {self.start.name: self.start}
        for name in catalogue():
            try:
                document = load(name)
                _simulable(document, self.people.population)
            except UserError:
                continue
            found.setdefault(name, document)
        return [{"name": name, "title": document.title} for name, document in found.items()]

    def protocol(self, name: str) -> Protocol:
        """Only of the catalogue, or the one given on the command line: a page opens no files. Raises UserError."""
        if name == self.start.name:
            return self.start
        if name not in catalogue():
            raise UserError(
                f"no protocol is called {name[:60]!r}; allowed: the one given at the start and the catalogue."
            )
        return load(name)

    def numbers(self, name: str) -> tuple[Protocol, tuple[Slider, ...]]:
        """A protocol and what of it can be moved. Raises UserError where it cannot be simulated."""
        document = self.protocol(name)
        _simulable(document, self.people.population)
        return document, sliders(document)

    def document(self, name: str, numbers: Mapping[str, str], call_it: str | None) -> str:
        """The changed protocol as YAML. Raises UserError."""
        return document_text(self.protocol(name), numbers, call_it)

    def turn(self, page: str, turn: int) -> None:
        """A page asks anew: what it asked before is stale."""
        self._newest[page] = max(turn, self._newest.get(page, 0))
        self._newest.move_to_end(page)
        while len(self._newest) > KEPT:
            self._newest.popitem(last=False)

    def is_stale(self, page: str, turn: int) -> bool:
        """Whether a page has asked anew since."""
        return self._newest.get(page, turn) > turn

    def respond(self, asked: Asked, stale: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Curves and outcomes. Raises UserError for what cannot be done, and Stale once nobody waits."""
        document = self._changed(asked)
        found, warnings = self._followed(document, asked.weeks, stale)
        outside = beyond(document, asked.weeks)
        return {
            "weeks": asked.weeks,
            "beyond": min((x.week for x in outside if x.week is not None), default=None),
            **_curves(found.values["MADRS"], self.people),
            "outcomes": _outcomes(found),
            "warnings": [*_warnings(document), *(f"extrapolation: {x.says}" for x in outside), *warnings],
            "design": f"{document.design.expectancy}, {document.design.setting}, {document.design.sites} site"
            + ("" if document.design.sites == "one" else "s"),
        }

    def sure(self, asked: Asked, first: Asked | None, stale: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """Bands of the curves over what is uncertain; and, of the regimen that is compared with it, differences to the
        first. Raises UserError and Stale."""
        gone = _stopping(stale)
        document, other = self._changed(asked), self._changed(first) if first else None
        madrs = self._followed(document, asked.weeks, stale).found.values["MADRS"]
        found = self.uncertain.follow(document, asked.weeks, gone)
        few = self.uncertain.people
        made: dict[str, Any] = bands(found, means(madrs[: len(few)], few), means(madrs, self.people))
        if other:
            against = self.uncertain.follow(other, asked.weeks, gone)
            made["differences"] = differences(found, against)
        return made

    def story(self, asked: Asked, patient: int, stale: Callable[[], bool] = lambda: False) -> dict[str, Any]:
        """One patient's course, visit by visit. Raises UserError and Stale."""
        if not 0 <= patient < self.patients:
            raise UserError(f"there is no patient {patient}; patients are 0 to {self.patients - 1}.")
        document = self._changed(asked)
        found, _ = self._followed(document, asked.weeks, stale)
        index = int(np.asarray(self.people.index)[patient])
        days = 7 * asked.weeks
        # the calendar that no rule changes is not part of a story
        none = cast(Any, None)
        whole = RuledCourse(document, self.people, DAY_H * np.arange(days + 1), *found, none, (), none)
        mine = found.ledger.filter(pl.col("patient") == index)
        told = _told(whole.story(index))
        return {
            "patient": patient,
            "about": _about(self.people, patient),
            "madrs": np.round(found.values["MADRS"][patient], 1).tolist(),
            "visits": [
                {"day": day, "action": action, **told_of}
                for day, action, told_of in zip(mine["day"], mine["action"], told, strict=True)
            ],
        }

    def _changed(self, asked: Asked) -> Protocol:
        return changed(self.protocol(asked.protocol), asked.numbers)

    def _followed(self, document: Protocol, weeks: int, stale: Callable[[], bool]) -> _Kept:
        if weeks not in WEEKS:
            raise UserError(f"weeks must be {', '.join(map(str, WEEKS[:-1]))} or {WEEKS[-1]}, got {weeks}.")
        key = fingerprint(document), weeks
        with self._one_at_a_time:
            if key not in self._kept:
                self._kept[key] = self._simulated(document, weeks, stale)
            self._kept.move_to_end(key)
            while len(self._kept) > max(4, min(KEPT, KEPT_PATIENTS // self.patients)):
                self._kept.popitem(last=False)
            return self._kept[key]

    def _simulated(self, document: Protocol, weeks: int, stale: Callable[[], bool]) -> _Kept:
        _simulable(document, self.people.population)
        calendar = schedule(document, DAY_H * 7 * weeks)
        ruled, warnings = prepared(document, self.people.population, 7 * weeks, Variants(), calendar)
        ruled = replace(ruled, batch=min(BATCH, self.patients))
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            if self._drawn is None or self._drawn[0] != weeks:
                self._drawn = weeks, ruled.drawn(self.people, pool)
            if sum(len(store.numbers) for store in self._stores.values()) * self.patients > KEPT_MAPS:
                self._stores.clear()
            sessions = tuple(kind.session for kind in ruled.kinds)
            store = self._stores.setdefault(sessions, Store(ruled.setting, ruled.timing, self.people, {}))
            # of a day, the page shows MADRS alone; the rest would fill the memory
            found = ruled.run(
                self.people, pool, _stopping(stale), z=self._drawn[1], store=store, only=("MADRS", "MADRS rated")
            )
        return _Kept(followed(found, self.people, document)._replace(sessions={}), warnings)


def _stopping(stale: Callable[[], bool]) -> Callable[[int], None]:
    """What a course calls on its way, which raises Stale once nobody waits."""

    def gone(days: int) -> None:
        if stale():
            raise Stale

    return gone


def _simulable(protocol: Protocol, population: str) -> None:
    """Raises UserError where a protocol cannot be simulated under its rules, in its own people or in these."""
    calendar = schedule(protocol, DAY_H * 7 * max(WEEKS))
    check(protocol, calendar)
    for people in (protocol.population, population):
        if illness_of(people) != "depression":
            raise UserError(f"the explorer shows depression so far; {protocol.name} is for {protocol.indication}.")


def _curves(madrs: np.ndarray, people: Patients) -> dict[str, Any]:
    """By day: `CURVES`, and between which scores 90 % of patients lie."""
    low, _, high = np.quantile(madrs, BAND, axis=0)
    made = means(madrs, people) | {"low": low, "high": high}
    return {name: np.round(x, 1).tolist() for name, x in made.items()}


def _outcomes(found: Followed) -> list[dict[str, Any]]:
    """Numbers over the whole course, each with an interval and what that contains."""
    table, ledger = found.table, found.ledger
    n = len(table)
    given = ledger.filter(pl.col("action") == "give")
    per = table.select("patient").join(
        given.group_by("patient").agg(pl.len().alias("given"), (pl.col("highest SBP") >= HIGH_SBP).sum().alias("high")),
        on="patient",
        how="left",
    )
    given_n = per["given"].fill_null(0).to_numpy()
    high_n = per["high"].fill_null(0).to_numpy()
    stops = ledger.filter(pl.col("action") == "stop")
    stopped = stops["patient"].n_unique()
    never = stops.filter(pl.col("session") == 0)["patient"].n_unique()

    def row(id: str, label: str, unit: str, x: np.ndarray, mean: bool = False) -> dict[str, Any]:
        low, median, high = np.quantile(x, BAND)
        value = float(x.mean()) if mean else median
        contains = MEAN if mean else PATIENTS
        numbers = {"value": round(float(value), 2), "low": round(float(low), 2), "high": round(float(high), 2)}
        return {"id": id, "label": label, "unit": unit, "contains": contains} | numbers

    low, high = _share_interval(stopped, n)
    ended = {"id": "stopped", "label": "Course ended by a rule", "unit": "% of patients", "contains": CHANCE}
    if never:
        ended["note"] = f"{100 * never / n:.0f} % before a first session"
    return [
        row("remission", "Days in remission", "", table["days in remission"].to_numpy()),
        row("sessions", "Sessions given", "", given_n),
        row("dose", "Cumulative dose", "mg", table["cumulative dose mg"].to_numpy()),
        row("cadss", "Highest dissociation", "CADSS", table["peak dissociation CADSS"].to_numpy()),
        row("pressure", f"Sessions at or above {HIGH_SBP:g} mmHg systolic", "per patient", high_n, mean=True),
        ended | {"value": round(100 * stopped / n, 2), "low": round(low, 2), "high": round(high, 2)},
    ]


def _share_interval(count: int, n: int) -> tuple[float, float]:
    """Wilson's 90 % interval of a share, in %."""
    z = 1.6449
    p, scale = count / n, 1 + z**2 / n
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max(0.0, 100 * (middle - half) / scale), min(100.0, 100 * (middle + half) / scale)


def _warnings(document: Protocol) -> list[str]:
    """What a guideline says against it, and where it leaves the evidence."""
    said = [f"{w.warning} ({w.rule}, {VERIFIED[w.verified]})" for w in document.warnings]
    return [*said, STATUS[document.status]] if document.status in STATUS else said


def _told(story: str) -> list[dict[str, Any]]:
    """A story, visit by visit: what happened, and the rules that spoke."""
    found: list[dict[str, Any]] = []
    for line in story.splitlines()[1:]:
        if line.startswith("day "):
            found.append({"said": line[4:].lstrip().split("  ", 1)[1], "rules": []})
        else:
            found[-1]["rules"].append(line.strip())
    return found


def _about(people: Patients, k: int) -> str:
    return (
        f"{'woman' if people.female[k] > 0 else 'man'}, {people.age_y[k]:.0f} years, {people.weight_kg[k]:.0f} kg, "
        f"MADRS {people.baseline_madrs[k]:.0f} at entry"
    )
