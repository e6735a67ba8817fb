"""A search from question to answer: the space, the virtual patients, the worlds, the race, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.course.result import Provenance, evidence_hash, release
from euthymia.course.simulate import MAXIMUM_WEEKS
from euthymia.course.store import Parts, write_whole
from euthymia.design.aims import (
    CURVES,
    DEFAULT_AIM,
    DEFAULT_BURDENS,
    MEASURES,
    NEEDS_PRICES,
    Prices,
    aim,
    check_measure,
    contradictory,
    limit,
)
from euthymia.design.aims import prices as read_prices
from euthymia.design.courses import Courses
from euthymia.design.decision import FEWEST_DRAWS, Worth, perfect, worth
from euthymia.design.extrapolation import Beyond, beyond
from euthymia.design.next_trial import NextTrial, next_trial
from euthymia.design.patient import known as known_of
from euthymia.design.patient import people_like
from euthymia.design.robustness import Robust, robustness
from euthymia.design.scout import GENERATION
from euthymia.design.scout import scout as scouted
from euthymia.design.search import FEWEST, Asked, Choice, Part, Race, Values, choice, nearest, search
from euthymia.design.space import Regimen, Space, counted, space
from euthymia.design.subgroups import Subgroup, subgroups
from euthymia.design.worlds import DRUG_LEVEL, levels, of_illness, worlds
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.patient.population import Patients, between_episodes, illness_of
from euthymia.protocol import Protocol, load
from euthymia.protocol.loader import fingerprint
from euthymia.protocol.writer import to_yaml

LEAST_PATIENTS, MOST_PATIENTS = 100, 20_000


@dataclass(frozen=True)
class Design:
    """What a search found. usual: number of the regimen that is the protocol as it stands, None where it is not among
    them; worth: of each uncertain parameter, the most first; people: who was followed; like: what is known of the
    patient whom they are all like, as asked, or None; prices: behind the cost, where there are any."""

    protocol: Protocol
    space: Space
    asked: Asked
    race: Race
    choice: Choice
    usual: int | None
    worth: tuple[Worth, ...]
    perfect: float
    weeks: int
    patients: int
    draws: int
    provenance: Provenance
    people: Patients
    like: str | None = None
    prices: Prices | None = None

    @property
    def illness(self) -> str:
        """A key of `design.aims.ILLNESSES`."""
        return illness_of(self.protocol.population)

    @property
    def chosen(self) -> Regimen | None:
        """The regimen that is best on average among those that keep the limits."""
        return None if self.choice.chosen is None else self.space.regimens[self.choice.chosen]

    @cached_property
    def beyond(self) -> tuple[tuple[Beyond, ...], ...]:
        """Where each regimen lies outside what was tried."""
        return tuple(beyond(r.protocol, self.weeks) for r in self.space.regimens)

    @cached_property
    def subgroups(self) -> tuple[Subgroup, ...]:
        """Which regimen is best in whom."""
        return subgroups(self.race, self.choice, self.people, self.provenance.seed)

    @cached_property
    def robustness(self) -> tuple[Robust, ...]:
        """How the regimens of the front do where things go badly, the best on average first."""
        on = self.choice.left[self.choice.front].tolist()
        level = levels(self.draws, self.provenance.seed)[DRUG_LEVEL]
        return tuple(sorted(robustness(self.race, on, level), key=lambda r: -self.asked.aim.sign * r.mean))

    @cached_property
    def next_trial(self) -> NextTrial | None:
        """The trial that would tell the regimen found from the usual one; None in people like one patient, who are no
        population that a trial could enrol."""
        if self.like is not None:
            return None
        return next_trial(self.protocol, self.space, self.race, self.choice, self.usual, self.weeks)

    def table(self) -> pl.DataFrame:
        """One row per regimen: what was chosen, the mean of every measure with 90 % over worlds, whether it keeps the
        limits, is on the front, how probably it is the best, the regret, why it left the race if it did, and where it
        lies outside what was tried."""
        return self._table

    @cached_property
    def _table(self) -> pl.DataFrame:
        rows = []
        found, left = self.choice, self.choice.left.tolist()
        for regimen in self.space.regimens:
            k = regimen.number
            row: dict[str, Any] = {"regimen": k, **regimen.chosen}
            for m in self.asked.measures:
                by_world = self.race.means(m, [k])[0]
                low, high = np.quantile(by_world, (0.05, 0.95))
                row |= {m: float(by_world.mean()), f"{m} low": float(low), f"{m} high": float(high)}
            at = left.index(k) if k in left else None
            able = found.able.tolist().index(k) if k in found.able else None
            row |= {
                "keeps limits": None if at is None else bool(found.kept[at]),
                "on the front": at is not None and bool(found.front[at]),
                "best": float(found.best[k]),
                "regret": None if able is None or not found.verdict else float(found.verdict.regret[able]),
                "left the race": self.race.out.get(k),
                "extrapolation": "; ".join(x.says for x in self.beyond[k]),
            }
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    def curve(self, regimen: int, name: str) -> np.ndarray:
        """Of one regimen by day, under each world it was followed in, [worlds, days]. name: of `design.aims.CURVES`."""
        return self.race.curves[name][regimen]

    def winner(self, name: str) -> str:
        """The text of the chosen regimen as a document of its own. Raises UserError where nothing was chosen."""
        if not self.chosen:
            raise UserError("no regimen keeps every limit, so there is no document to write.")
        return self._as_document(self.chosen, name, "Found")

    def _as_document(self, regimen: Regimen, name: str, how: str) -> str:
        most = "most" if self.asked.aim.better == "more" else "least"
        whom = f"virtual patients ({self.like})" if self.like else "virtual patients"
        made = regimen.protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
        made |= {
            "protocol": name,
            "title": f"{self.protocol.title}: {regimen}",
            "version": "0.1.0",
            "status": "research only",
            "summary": (
                f"{how} by a search over {counted(len(self.space.regimens))} in {whom} for the {most} "
                f"{self.asked.aim.measure}; no trial has tested it. A proposal for research; a clinician decides."
            ),
        }
        return to_yaml(Protocol.model_validate(made))

    def documents(self) -> dict[str, str]:
        """By name of the file: the regimen that was found as a protocol, the usual one where that is another, and where
        there is a trial to be made the protocol of the rival and the trial."""
        if not self.chosen:
            return {}
        stem = self.protocol.name[:40].rstrip("-.")
        found, trial = f"{stem}-found", self.next_trial
        texts = {f"{found}.yaml": self.winner(found)}
        if self.usual != self.chosen.number:
            texts[f"{stem}-usual.yaml"] = to_yaml(self.protocol)
        if trial:
            other = f"{stem}-{trial.rival.replace(' ', '-').removesuffix('-regimen')}"
            if trial.rival == "runner-up":
                texts[f"{other}.yaml"] = self._as_document(trial.against, other, "Runner-up")
            about = (
                f"From a search over {counted(len(self.space.regimens))} of {self.protocol.name} for "
                f"{self.asked.aim.measure} over {self.weeks} weeks."
            )
            texts[f"{stem}-trial.yaml"] = trial.plan(
                f"{stem}-trial", self.protocol, (f"{found}.yaml", f"{other}.yaml"), about
            )
        return texts

    def save(self, folder: str | Path) -> Path:
        """Write regimens.csv, subgroups.csv, worth.csv, refused.csv, provenance.json and `documents`."""
        where = Path(folder)
        tables = {
            "regimens": self.table(),
            "subgroups": _frame([g._asdict() for g in self.subgroups], "name"),
            "worth": _frame([w._asdict() for w in self.worth], "parameter"),
            "refused": _frame([{**chosen, "because": why} for chosen, why in self.space.refused], "because"),
        }
        for name, table in tables.items():
            write_whole(where / f"{name}.csv", table.write_csv)
        facts = asdict(self.provenance) | {
            "weeks": self.weeks,
            "worlds": self.draws,
            "aim": {"maximise" if self.asked.aim.better == "more" else "minimise": self.asked.aim.measure},
            "limits": [x.text for x in self.asked.limits],
            "burdens": list(self.asked.burdens),
            "patient": self.like,
            "prices": self.prices and self.prices._asdict(),
        }
        texts = self.documents() | {"provenance.json": json.dumps(facts, indent=2, ensure_ascii=False) + "\n"}
        for name, text in texts.items():
            write_whole(where / name, _writing(text))
        return where

    def report(self, path: str | Path) -> Path:
        """Write the HTML page of this search."""
        return import_module("euthymia.report.design").write_design(self, Path(path))


def _frame(rows: list[dict[str, Any]], column: str) -> pl.DataFrame:
    """Rows as a table, which has this one column where there are none."""
    return pl.DataFrame(rows or {column: []}, infer_schema_length=None)


def _writing(text: str) -> Callable[[Path], Any]:
    return lambda part: part.write_text(text, encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Priced:
    """Courses with what they cost."""

    courses: Courses
    prices: Prices

    def __call__(self, part: Part) -> Values:
        found = self.courses(part)
        return {**found, "cost": self.prices.cost(found["visits"], found["sessions"])}


def find(
    protocol: str | Path | Protocol,
    vary: Sequence[str],
    *,
    maximise: str | None = None,
    minimise: str | None = None,
    subject_to: Sequence[str] = (),
    burdens: Sequence[str] | None = None,
    patient: str | None = None,
    prices: Sequence[str] = (),
    scout: int | None = None,
    patients: int = 1000,
    draws: int = 20,
    weeks: int = 52,
    seed: int = 1,
    out: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Design:
    """Search a protocol for the regimen that does most for the aim and keeps the limits.

    vary: as `design.space.varied` reads them; maximise or minimise: a measure (`design.aims.MEASURES`), by default that
    of the illness (`design.aims.DEFAULT_AIM`); subject_to: limits, as `design.aims.limit` reads them; burdens: measures
    beside the aim on the front; patient: what is known of one, as `design.patient.known` reads it, whom all virtual
    patients are then like;
    prices: as `design.aims.prices` reads them, of which the cost is then a burden;
    scout: how many regimens are looked at first, of a space too large to compare one by one (`design.scout`);
    patients: virtual patients, the same for every regimen; draws: worlds; out: folder where finished parts are
    kept, so that a search that was stopped goes on.
    Raises UserError, in one sentence, for what cannot be asked or done.
    """
    document = protocol if isinstance(protocol, Protocol) else load(protocol)
    priced = read_prices(prices)
    illness = illness_of(document.population)
    asked = _asked(illness, maximise, minimise, subject_to, burdens, priced)
    odd = next((m for m in asked.measures if "response" in m), None)
    if odd and between_episodes(document.population):
        raise UserError(
            f"{odd!r} is a fall from the first score; people of the population {document.population} are well."
        )
    like = known_of(patient) if patient is not None else None
    if not LEAST_PATIENTS <= patients <= MOST_PATIENTS:
        raise UserError(f"patients must be between {LEAST_PATIENTS} and {MOST_PATIENTS:,}, got {patients}.")
    if not 1 <= weeks <= MAXIMUM_WEEKS:
        raise UserError(f"weeks must be between 1 and {MAXIMUM_WEEKS}, got {weeks}.")
    if draws < FEWEST_DRAWS:
        raise UserError(f"draws must be at least {FEWEST_DRAWS}, got {draws}: fewer do not show how worlds differ.")
    if evidence.assumed():
        raise UserError(
            f"{', '.join(evidence.assumed())}: a search draws such numbers itself, and what is assumed around it would "
            "not reach it; search outside of the block."
        )
    population = document.population
    people = people_like(like, population, patients, seed) if like else draw(population, patients, seed)
    chosen_worlds = worlds(draws, seed, illness)
    counted = ("visits", "sessions") if priced else ()
    measures = dict.fromkeys((*(m for m in asked.measures if m != "cost"), *counted))
    provenance = Provenance(
        protocol=document.name,
        protocol_hash=fingerprint(document),
        evidence_hash=evidence_hash(),
        population=document.population,
        patients=patients,
        seed=seed,
        variants={},
        absorption={},
        dispositions=(),
        version=release(),
    )
    run = {
        "provenance": asdict(provenance),
        "weeks": weeks,
        "draws": draws,
        "asked": [asked.aim.measure, [x.text for x in asked.limits], list(asked.burdens)],
        "patient": like,
        "prices": priced and priced._asdict(),
    }

    def raced(protocols: Sequence[Protocol], kept: str, stages: Sequence[int] | None, told: Any) -> Race:
        courses = Courses(tuple(protocols), people, chosen_worlds, weeks, tuple(measures))
        mine = run | {"regimens": [fingerprint(p) for p in protocols]}
        return search(
            Priced(courses, priced) if priced else courses,
            len(protocols),
            draws,
            patients,
            asked,
            stages=stages,
            curves={curve.name: 7 * weeks + 1 for curve in CURVES[illness]},
            parts=Parts(Path(out) / kept, mine, ("values",)) if out else None,
            workers=workers,
            scheduler=scheduler,
            processes=True,
            progress=told,
        )

    def followed(protocols: Sequence[Protocol], generation: int) -> Race:
        if progress and scout:
            progress(min(generation * GENERATION, scout), scout)
        return raced(protocols, f"parts/scout-{generation:04d}", (min(FEWEST, draws),), None)

    looked = scout is not None
    found = scouted(document, vary, scout, asked, followed, seed) if looked else space(document, vary)
    race = raced([r.protocol for r in found.regimens], "parts", None, progress)
    chosen = choice(race, seed)
    if chosen.chosen is None:
        raise UserError(_infeasible(race, found))
    ids = [id for id in chosen_worlds[0] if of_illness(id, illness)]
    known = {id: np.array([w[id] for w in chosen_worlds]) for id in ids} | levels(draws, seed)
    means = asked.aim.sign * race.means(asked.aim.measure, chosen.able)
    usual = next((r.number for r in found.regimens if fingerprint(r.protocol) == fingerprint(document)), None)
    return Design(
        document, found, asked, race, chosen, usual, worth(means, known, seed) if len(means) > 1 else (),
        perfect(means), weeks, patients, draws, provenance, people, patient, priced,
    )  # fmt: skip


def _asked(
    illness: str,
    maximise: str | None,
    minimise: str | None,
    subject_to: Sequence[str],
    burdens: Sequence[str] | None,
    priced: Prices | None,
) -> Asked:
    if maximise and minimise:
        raise UserError("give one aim: --maximise or --minimise, not both.")
    wanted = aim(minimise, "less", illness) if minimise else aim(maximise or DEFAULT_AIM[illness], "more", illness)
    limits = tuple(limit(text, illness) for text in subject_to)
    if problem := contradictory(limits):
        raise UserError(problem)
    named = tuple(burdens) if burdens is not None else tuple(b for b in DEFAULT_BURDENS[illness] if b != wanted.measure)
    named += ("cost",) if priced and wanted.measure != "cost" else ()
    for name in named:
        check_measure(name, illness)
    asked = Asked(wanted, limits, tuple(dict.fromkeys(named)))
    if "cost" in asked.measures and not priced:
        raise UserError(NEEDS_PRICES)
    return asked


def _infeasible(race: Race, found: Space) -> str:
    best = nearest(race)
    assert best
    number, missed, share = best
    x = race.of(missed.measure, [number])[0]
    unit = MEASURES[missed.measure].unit
    in_all = f"{100 * missed.holds_in(x).mean():.1f} % of patients" if missed.chance else f"{x.mean():.1f} {unit}"
    said = f"none of the {counted(len(found.regimens))} keeps every limit; nearest is"
    if len(found.regimens) == 1:
        said = "the only regimen breaks a limit:"
    return (
        f"{said} {found.regimens[number]}, which "
        f'misses "{missed.text}" by {100 * share:.0f} % of its value: it comes to {in_all}.'
    )
