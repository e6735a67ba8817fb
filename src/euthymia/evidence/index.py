"""Search over the whole evidence, the most useful rows first."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from euthymia.errors import UserError
from euthymia.evidence.load import linking, literature, model_parameters, outcomes, plasma, rules

# The short forms of the field; a search for either finds both.
SHORT = {
    "im": "intramuscular",
    "iv": "intravenous",
    "sc": "subcutaneous",
    "sl": "sublingual",
    "po": "oral",
    "in": "intranasal",
    "nasal": "intranasal",
    "nk": "norketamine",
    "noresketamine": "norketamine",
    "esketamine": "s ketamine",
    "arketamine": "r ketamine",
    "hnk": "hydroxynorketamine",
    "bp": "blood pressure",
    "sbp": "systolic blood pressure",
    "dbp": "diastolic blood pressure",
    "trd": "treatment resistant depression",
    "mdd": "major depressive disorder",
    "ae": "adverse event",
    "nmdar": "nmda receptor",
}


@dataclass(frozen=True)
class Hit:
    """One row of the evidence that a search found. `missing`: the words of the search it does not contain."""

    table: str
    id: str
    quantity: str
    value: str
    unit: str
    population: str
    source: str
    where: str
    verified: str
    kind: str
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        seen = {"yes": "verified", "secondary": "seen second-hand", "no": "NOT verified"}[self.verified]
        amount = f"{self.value} {self.unit}".strip()
        said = ": ".join(part for part in (self.quantity, amount) if part)
        about = f" ({self.population})" if self.population else ""
        source = self.source or "no source"
        return f"{said}{about} [{self.kind}; {source}{f', {self.where}' if self.where else ''}; {seen}]"


@dataclass(frozen=True)
class _Entry:
    """A row prepared for search: what it says, what it is about, and the small print."""

    hit: Hit
    says: str
    about: str
    fine_print: str
    rank: tuple[int, int, int]


def search(text: str) -> tuple[Hit, ...]:
    """Rows that contain every word of `text`, best first; if none does, those that contain most of them.

    Looks at quantity, drug, population, value, source and notes of all tables. A word counts more in the
    quantity than in the small print, more whole than as part of another, and the model's own numbers, then
    verified ones, then human ones, come first.
    Raises UserError for an empty search, and when nothing matches; then it names the nearest words.
    """
    words = list(dict.fromkeys(_plain(text).split()))
    if not words:
        raise UserError("say what to search the evidence for, for example: clearance")
    found: list[tuple[int, float, tuple[int, int, int], _Entry, tuple[str, ...]]] = []
    for entry in _entries():
        scores = [_score(entry, word) for word in words]
        missing = tuple(word for word, score in zip(words, scores, strict=True) if not score)
        if len(missing) < len(words):
            found.append((len(missing), -sum(scores), entry.rank, entry, missing))
    if not found:
        raise UserError(f"nothing in the evidence matches {text.strip()!r}{_nearest(words)}")
    fewest = min(f[0] for f in found)
    best = sorted((f for f in found if f[0] == fewest), key=lambda f: f[:3])
    return tuple(Hit(**{**entry.hit.__dict__, "missing": missing}) for *_, entry, missing in best)


def _plain(text: str) -> str:
    """Lower case, with the marks that only join words taken out."""
    return re.sub(r"[\s_\-–,;:()\[\]=\"']+", " ", text.lower()).strip()


def _spelled(text: str) -> str:
    """`text` made plain, with the long form added behind each short form."""
    plain = _plain(text)
    return " ".join([plain, *(SHORT[word] for word in plain.split() if word in SHORT)])


def _score(entry: _Entry, word: str) -> float:
    best = 0.0
    for form in (word, SHORT.get(word)):
        if form is None:
            continue
        for weight, text in ((8.0, entry.says), (4.0, entry.about), (1.0, entry.fine_print)):
            if f" {form} " in text:
                # A quantity that begins with the word is about it: clearance before intercompartmental clearance.
                best = max(best, weight * (1.5 if weight == 8.0 and text.startswith(f" {form} ") else 1.0))
            elif form in text and len(form) > 2:
                best = max(best, weight / 2)
    return best


@lru_cache
def _entries() -> tuple[_Entry, ...]:
    entries: list[_Entry] = []
    trust = {"yes": 0, "secondary": 1, "no": 2}

    def add(order: int, row: Any, about: str, fine: str = "", human: bool = True, **hit: str) -> None:
        shown = Hit(**{"value": "", "unit": "", "where": "", "population": "", **hit}, id=row.id, source=row.source)
        what = f"{row.id.replace('.', ' ')} {about} {shown.population}"
        fine = f"{shown.value} {shown.unit} {row.source} {shown.where} {row.note} {fine}"
        rank = (order, trust[shown.verified], 0 if human else 1)
        entries.append(
            _Entry(shown, *(f" {_spelled(text)} " for text in (shown.quantity, what, fine)), rank=rank)
        )

    for p in model_parameters():
        low_high = f" ({p.low:g} to {p.high:g})" if p.low is not None and p.high is not None else ""
        add(0, p, "", p.kind, p.species in ("human", ""), table="model", kind=p.kind, population=p.species,
            quantity=p.id.partition(".")[2].replace("_", " ") or p.id, value=f"{p.value:g}{low_high}", unit=p.unit,
            where=p.where, verified="yes" if p.verified else "no")  # fmt: skip
    for r in literature():
        people = ", ".join(dict.fromkeys(x for x in (r.analyte or r.drug, r.species, r.population) if x))
        add(1, r, f"{r.topic} {r.drug} {r.analyte}", f"{r.variability} {r.method}", r.species == "human",
            table="literature", kind="literature", quantity=r.quantity, value=r.value, unit=r.unit,
            population=people, where=r.where, verified=r.verified)  # fmt: skip
    for r in plasma():
        dose = f"{r.dose} {r.dose_unit}".strip()
        add(2, r, f"plasma level concentration {r.study} {r.drug} {dose} {r.route}", r.spread, table="plasma",
            kind="plasma level" if r.kind == "observed" else "plasma level of a model",
            quantity=f"{r.analyte} {r.quantity}" + ("" if r.time_min is None else f" at {r.time_min:g} min"),
            value=r.value, unit=r.unit, population=", ".join(x for x in (r.population, dose, r.route) if x),
            where=r.where, verified=r.verified)  # fmt: skip
    for r in outcomes(set=("calibration", "validation", "context")):
        when = f" at {r.time} {r.time_unit}" if r.time else (f" at {r.time_unit}" if r.time_unit else "")
        add(3, r, f"{r.study} {r.arm} {r.drug} {r.route} {r.dose} {r.dose_unit} {r.indication}",
            f"{r.design} {r.schedule} {r.comparator}", table="outcomes", kind=f"outcome, {r.set}",
            quantity=f"{r.endpoint.replace('_', ' ')}{when}", value=r.value, unit=r.unit,
            population=", ".join(x for x in (r.study, r.arm, r.indication, f"n={r.n}" if r.n else "") if x),
            where=r.where, verified=r.verified)  # fmt: skip
    for r in rules():
        add(4, r, r.guideline, table="rules", kind="rule", quantity=r.text, population=r.guideline,
            verified=r.verified)  # fmt: skip
    for r in linking():
        add(5, r, "rating scale linking", r.caution, table="linking", kind="linked score", value=r.to_score,
            quantity=f"{r.from_scale} {r.from_score} to {r.to_scale}", where=r.where,
            verified=r.verified)  # fmt: skip
    return tuple(entries)


def _nearest(words: list[str]) -> str:
    from difflib import get_close_matches  # only on the way to an error

    known = {w for e in _entries() for w in f"{e.says} {e.about}".split() if len(w) > 2 and w.isalpha()}
    near = [match for word in words for match in get_close_matches(word, known, n=3, cutoff=0.7)]
    return f"; nearest words: {', '.join(dict.fromkeys(near))}" if near else ""
