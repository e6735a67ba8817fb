"""A search from question to answer: the space, the virtual patients, the worlds, the race, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from euthymia.course.result import Provenance, evidence_hash, release
from euthymia.course.simulate import MAXIMUM_WEEKS
from euthymia.course.store import Parts, write_whole
from euthymia.design.aims import MEASURES, aim, contradictory, limit
from euthymia.design.courses import CURVES, Courses
from euthymia.design.decision import Worth, perfect, worth
from euthymia.design.search import Asked, Choice, Race, choice, nearest, search
from euthymia.design.space import Regimen, Space, space
from euthymia.design.worlds import levels, worlds
from euthymia.errors import UserError
from euthymia.patient import draw
from euthymia.patient.population import illness_of
from euthymia.protocol import Protocol, load
from euthymia.protocol.loader import fingerprint
from euthymia.protocol.writer import to_yaml

LEAST_PATIENTS, MOST_PATIENTS = 100, 20_000
BURDENS = ("cumulative ketamine", "visits")
"""Beside the aim, where nobody asks for others."""


@dataclass(frozen=True)
class Design:
    """What a search found. usual: number of the regimen that is the protocol as it stands, None where it is not among
    them; worth: of each uncertain parameter, the most first."""

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

    @property
    def chosen(self) -> Regimen | None:
        """The regimen that is best on average among those that keep the limits."""
        return None if self.choice.chosen is None else self.space.regimens[self.choice.chosen]

    def table(self) -> pl.DataFrame:
        """One row per regimen: what was chosen, the mean of every measure with 90 % over worlds, whether it keeps the
        limits, is on the front, how probably it is the best, the regret, and why it left the race if it did."""
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
            }
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    def curve(self, regimen: int, name: str) -> np.ndarray:
        """Of one regimen by day, under each world it was followed in, [worlds, days]. name: of `CURVES`."""
        return self.race.curves[name][regimen]

    def winner(self, name: str) -> str:
        """The text of the chosen regimen as a document of its own. Raises UserError where nothing was chosen."""
        if not self.chosen:
            raise UserError("no regimen keeps every limit, so there is no document to write.")
        most = "most" if self.asked.aim.better == "more" else "least"
        made = self.chosen.protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
        made |= {
            "protocol": name,
            "title": f"{self.protocol.title}: {self.chosen}",
            "version": "0.1.0",
            "status": "research only",
            "summary": (
                f"Found by a search over {len(self.space.regimens)} regimens in virtual patients for the {most} "
                f"{self.asked.aim.measure}; no trial has tested it. A proposal for research; a clinician decides."
            ),
        }
        return to_yaml(Protocol.model_validate(made))

    def save(self, folder: str | Path) -> Path:
        """Write regimens.csv, worth.csv, refused.csv, provenance.json and, where there is one, the chosen protocol."""
        where = Path(folder)
        table = self.table()
        write_whole(where / "regimens.csv", lambda p: table.write_csv(p))
        known = pl.DataFrame([w._asdict() for w in self.worth]) if self.worth else pl.DataFrame({"parameter": []})
        write_whole(where / "worth.csv", lambda p: known.write_csv(p))
        refused = pl.DataFrame([{**chosen, "because": why} for chosen, why in self.space.refused] or {"because": []})
        write_whole(where / "refused.csv", lambda p: refused.write_csv(p))
        if self.chosen:
            name = f"{self.protocol.name}-found"[:60]
            text = self.winner(name)
            write_whole(where / f"{name}.yaml", lambda p: p.write_text(text, encoding="utf-8"))
        facts = asdict(self.provenance) | {
            "weeks": self.weeks,
            "worlds": self.draws,
            "aim": {"maximise" if self.asked.aim.better == "more" else "minimise": self.asked.aim.measure},
            "limits": [x.text for x in self.asked.limits],
            "burdens": list(self.asked.burdens),
        }
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        write_whole(where / "provenance.json", lambda p: p.write_text(text, encoding="utf-8"))
        return where

    def report(self, path: str | Path) -> Path:
        """Write the HTML page of this search."""
        return import_module("euthymia.report.design").write_design(self, Path(path))


def find(
    protocol: str | Path | Protocol,
    vary: Sequence[str],
    *,
    maximise: str | None = None,
    minimise: str | None = None,
    subject_to: Sequence[str] = (),
    burdens: Sequence[str] | None = None,
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

    vary: as `design.space.varied` reads them; maximise or minimise: a measure (`design.aims.MEASURES`), by default the
    days in remission; subject_to: limits, as `design.aims.limit` reads them; burdens: measures beside the aim on the
    front; patients: virtual patients, the same for every regimen; draws: worlds; out: folder where finished parts are
    kept, so that a search that was stopped goes on.
    Raises UserError, in one sentence, for what cannot be asked or done.
    """
    document = protocol if isinstance(protocol, Protocol) else load(protocol)
    asked = _asked(maximise, minimise, subject_to, burdens)
    if not LEAST_PATIENTS <= patients <= MOST_PATIENTS:
        raise UserError(f"patients must be between {LEAST_PATIENTS} and {MOST_PATIENTS:,}, got {patients}.")
    if not 1 <= weeks <= MAXIMUM_WEEKS:
        raise UserError(f"weeks must be between 1 and {MAXIMUM_WEEKS}, got {weeks}.")
    if illness_of(document.population) != "depression":
        raise UserError(f"regimens are searched in depression so far; {document.name} is for {document.indication}.")
    found = space(document, vary)
    people = draw(document.population, patients, seed)
    chosen_worlds = worlds(draws, seed)
    courses = Courses(tuple(r.protocol for r in found.regimens), people, chosen_worlds, weeks, asked.measures)
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
        "regimens": [fingerprint(r.protocol) for r in found.regimens],
        "asked": [asked.aim.measure, [x.text for x in asked.limits], list(asked.burdens)],
    }
    race = search(
        courses,
        len(found.regimens),
        draws,
        patients,
        asked,
        curves=dict.fromkeys(CURVES, 7 * weeks + 1),
        parts=Parts(Path(out) / "parts", run, ("values",)) if out else None,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
    )
    chosen = choice(race, seed)
    if chosen.chosen is None:
        raise UserError(_infeasible(race, found))
    known = {id: np.array([w[id] for w in chosen_worlds]) for id in chosen_worlds[0]} | levels(draws, seed)
    means = asked.aim.sign * race.means(asked.aim.measure, chosen.able)
    usual = next((r.number for r in found.regimens if fingerprint(r.protocol) == fingerprint(document)), None)
    return Design(
        document, found, asked, race, chosen, usual, worth(means, known, seed) if len(means) > 1 else (),
        perfect(means), weeks, patients, draws, provenance,
    )  # fmt: skip


def _asked(
    maximise: str | None, minimise: str | None, subject_to: Sequence[str], burdens: Sequence[str] | None
) -> Asked:
    if maximise and minimise:
        raise UserError("give one aim: --maximise or --minimise, not both.")
    wanted = aim(minimise, "less") if minimise else aim(maximise or "days in remission", "more")
    limits = tuple(limit(text) for text in subject_to)
    if problem := contradictory(limits):
        raise UserError(problem)
    named = tuple(burdens) if burdens is not None else tuple(b for b in BURDENS if b != wanted.measure)
    for name in named:
        if name not in MEASURES:
            from euthymia.protocol.rules import near

            raise UserError(f"{name!r} is not a measure{near(name, MEASURES)}.")
    return Asked(wanted, limits, tuple(dict.fromkeys(named)))


def _infeasible(race: Race, found: Space) -> str:
    best = nearest(race)
    assert best
    number, missed, share = best
    x = race.of(missed.measure, [number])[0]
    unit = MEASURES[missed.measure].unit
    in_all = f"{100 * missed.holds_in(x).mean():.1f} % of patients" if missed.chance else f"{x.mean():.1f} {unit}"
    return (
        f"none of the {len(found.regimens)} regimens keeps every limit; nearest is {found.regimens[number]}, which "
        f'misses "{missed.text}" by {100 * share:.0f} % of its value: it comes to {in_all}.'
    )
