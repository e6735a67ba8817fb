"""Search over the whole evidence, the most useful rows first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from euthymia.errors import UserError
from euthymia.evidence.load import adequacy, linking, literature, model_parameters, outcomes, plasma, rules

# Short forms of the field: a search for one also finds the other.
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
}


@dataclass(frozen=True)
class Hit:
    """One row of the evidence that a search found.

    `verified` is yes, secondary or no. `missing` are the words of the search that the row does not contain.
    """

    table: str
    id: str
    kind: str
    quantity: str
    source: str
    verified: str
    value: str = ""
    unit: str = ""
    population: str = ""
    where: str = ""
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        amount = f"{self.value} {self.unit}".strip()
        said = ": ".join(part for part in (self.quantity, amount) if part)
        about = f" ({self.population})" if self.population else ""
        source = ", ".join(part for part in (self.source, self.where) if part)
        if self.kind == "assumed":  # the range stands beside the value
            return f"{said}{about} [ASSUMED{f', after {source}' if source else ''}]"
        seen = {"yes": "verified", "secondary": "seen second-hand", "no": "NOT verified"}[self.verified]
        return f"{said}{about} [{self.kind}; {source}; {seen}]"


@dataclass(frozen=True)
class _Entry:
    """A row prepared for search: what it says, what it is about, and its small print."""

    hit: Hit
    says: str
    about: str
    fine_print: str
    rank: tuple[int, int, bool]


def search(text: str) -> tuple[Hit, ...]:
    """Rows that contain every word of `text`, best first; if none does, those that contain most of them.

    Looks at quantity, drug, population, value, source and notes of all tables. A word counts more in the
    quantity than in the small print, and more whole than inside another word. Among equals the model's own
    numbers come first, then verified ones, then human ones. A row's id finds that row.
    Raises UserError for an empty search, and when nothing matches; then it names the nearest words.
    """
    words = [word for word in dict.fromkeys(text.lower().split()) if _plain(word)]
    if not words:
        raise UserError("say what to search the evidence for, for example: clearance")
    found: list[tuple[int, float, tuple[int, int, bool], Hit]] = []
    for entry in _entries():
        scores = [_score(entry, word) for word in words]
        if any(scores):
            missing = tuple(word for word, score in zip(words, scores, strict=True) if not score)
            found.append((len(missing), -sum(scores), entry.rank, replace(entry.hit, missing=missing)))
    if not found:
        raise UserError(f"nothing in the evidence matches {text.strip()!r}{_nearest(words)}")
    fewest = min(missing for missing, *_ in found)
    best = sorted((f for f in found if f[0] == fewest), key=lambda f: f[:3])
    return tuple(hit for *_, hit in best)


def _plain(text: str) -> str:
    """Lower case, without the marks that only join words."""
    return re.sub(r"[\s_\-–,;:()\[\]=\"']+", " ", text.lower()).strip()


def _spelled(text: str) -> str:
    """`text` made plain, with its short forms spelled out behind, and a space at either end."""
    plain = _plain(text)
    return f" {' '.join([plain, *(SHORT[word] for word in plain.split() if word in SHORT)])} "


def _score(entry: _Entry, word: str) -> float:
    """How much `entry` is about `word`; 0 if it does not contain it."""
    if word == entry.hit.id.lower():
        return 100.0
    plain = _plain(word)
    best = 0.0
    for form in {plain, plain.replace(" ", ""), SHORT.get(plain, plain)}:  # TRANSFORM-2 is also TRANSFORM2
        if entry.says.startswith(f" {form} "):  # clearance before intercompartmental clearance
            return 12.0
        for weight, text in ((8.0, entry.says), (4.0, entry.about), (1.0, entry.fine_print)):
            if f" {form} " in text:
                best = max(best, weight)
            elif form in text and len(form) > 2:
                best = max(best, weight / 2)
    return best


@lru_cache
def _entries() -> tuple[_Entry, ...]:
    entries = []
    tables = (_model, _literature, _plasma, _outcomes, _rules, _linking, _adequacy)
    for order, table in enumerate(tables):
        for hit, about, fine_print, human in table():
            about = f"{hit.id} {hit.id.replace('.', ' ')} {about} {hit.population}"
            fine_print = f"{hit.value} {hit.unit} {hit.source} {hit.where} {fine_print}"
            rank = (order, ("yes", "secondary", "no").index(hit.verified), not human)
            entries.append(_Entry(hit, _spelled(hit.quantity), _spelled(about), _spelled(fine_print), rank))
    return tuple(entries)


Found = Iterator[tuple[Hit, str, str, bool]]
"""A hit, what else it is about, its small print, and whether it is human."""


def _joined(*parts: str) -> str:
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _model() -> Found:
    for row in model_parameters():
        part, _, name = row.id.partition(".")
        interval = "" if row.low is None or row.high is None else f" ({row.low:g} to {row.high:g})"
        hit = Hit(
            table="model",
            id=row.id,
            kind=row.kind,
            quantity=(name or part).replace("_", " "),
            value=f"{row.value:g}{interval}",
            unit=row.unit,
            population=_joined(part if name else "", row.species),
            source=row.source,
            where=row.where,
            verified=row.seen,
        )
        yield hit, "", f"{row.kind} {row.note}", row.species in ("human", "")


def _literature() -> Found:
    for row in literature():
        hit = Hit(
            table="literature",
            id=row.id,
            kind="literature",
            quantity=row.quantity,
            value=row.value,
            unit=row.unit,
            population=_joined(row.analyte or row.drug, row.species, row.population),
            source=row.source,
            where=row.where,
            verified=row.verified,
        )
        about = f"{row.topic} {row.drug} {row.analyte}"
        yield hit, about, f"{row.variability} {row.method} {row.note}", row.species == "human"


def _plasma() -> Found:
    for row in plasma():
        dose = f"{row.dose} {row.dose_unit}".strip()
        hit = Hit(
            table="plasma",
            id=row.id,
            kind="plasma level" if row.kind == "observed" else "plasma level of a published model",
            quantity=f"{row.analyte} {row.quantity}" + ("" if row.time_min is None else f" at {row.time_min:g} min"),
            value=row.value,
            unit=row.unit,
            population=_joined(row.population, dose, row.route),
            source=row.source,
            where=row.where,
            verified=row.verified,
        )
        yield hit, f"plasma level concentration {row.study} {row.drug}", f"{row.spread} {row.note}", True


def _outcomes() -> Found:
    for row in outcomes(set=("calibration", "validation", "context")):
        when = f"{row.time} {row.time_unit}".strip()
        hit = Hit(
            table="outcomes",
            id=row.id,
            kind=f"outcome, {row.set}",
            quantity=row.endpoint.replace("_", " ") + (f" at {when}" if when else ""),
            value=row.value,
            unit=row.unit,
            population=_joined(row.study, row.arm, row.indication, "" if row.n is None else f"n={row.n}"),
            source=row.source,
            where=row.where,
            verified=row.verified,
        )
        about = f"{row.drug} {row.route} {row.dose} {row.dose_unit}"
        yield hit, about, f"{row.design} {row.schedule} {row.comparator} {row.note}", "animal" not in row.design


def _rules() -> Found:
    for row in rules():
        hit = Hit(
            table="rules",
            id=row.id,
            kind="rule",
            quantity=row.text,
            population=row.guideline,
            source=row.source,
            verified=row.verified,
        )
        yield hit, "", row.note, True


def _linking() -> Found:
    for row in linking():
        hit = Hit(
            table="linking",
            id=row.id,
            kind="linked score",
            quantity=f"{row.from_scale} {row.from_score} to {row.to_scale}",
            value=row.to_score,
            source=row.source,
            where=row.where,
            verified=row.verified,
        )
        yield hit, "rating scale linking", f"{row.caution} {row.note}", True


def _adequacy() -> Found:
    for row in adequacy():
        between = "" if row.low is None or row.high is None else f" (sources say {row.low:g} to {row.high:g})"
        hit = Hit(
            table="adequacy",
            id=row.id,
            kind="adequate trial",
            quantity=f"{row.drug} least {row.quantity} of an adequate trial".strip(),
            value=f"{row.value:g}{between}",
            unit=row.unit,
            source=row.source,
            where=row.where,
            verified=row.verified,
        )
        yield hit, "antidepressant trial dose duration adequate", row.note, True


def _nearest(words: list[str]) -> str:
    from difflib import get_close_matches  # only on the way to an error

    known = {w for e in _entries() for w in f"{e.says} {e.about}".split() if len(w) > 2 and w.isalpha()}
    near = [match for word in words for match in get_close_matches(_plain(word), known, n=3, cutoff=0.7)]
    return f"; nearest words: {', '.join(dict.fromkeys(near))}" if near else ""
