"""The validation as a Markdown page for the documentation: predicted beside published, and where it misses."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from euthymia.course.result import evidence_hash
from euthymia.course.store import write_whole
from euthymia.report.rows import (
    NO_MODEL,
    NOT_INDEPENDENT,
    RIGHT_MODEL,
    SETS,
    between,
    by_trial,
    contained,
    footnotes,
    miss,
    ordered,
    published,
    ran,
    total_cells,
    total_name,
    totals,
    value,
)
from euthymia.report.validation import headline, ranked
from euthymia.trial.document import catalogue
from euthymia.trial.facts import shown
from euthymia.trial.validation import Row, Validation

PAGE = "validation.md"
TOTALS = ("", "Values", "Mean absolute error", "Bias", "Without a model", "If right", "In 50 %", "In 90 %")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def _what(r: Row) -> tuple[str, str]:
    return f"{r.arm}, {r.endpoint}", r.time


def _beside(r: Row) -> tuple[str, str, str]:
    return published(r), value(r, r.predicted), between(r, r.lower90, r.upper90)


def markdown(validation: Validation) -> str:
    """The page as text."""
    lines = [
        "<!-- Made by `euthymia validate --page`. Do not edit by hand. -->",
        "",
        "# Predicted beside published",
        "",
        *(line for said in headline(validation) for line in (said, "")),
        f"{ran(validation)} {contained(validation)} Evidence `{evidence_hash()[:12]}`. Euthymia is research software, "
        "not a medical device; a clinician decides.",
        "",
        "## Totals",
        "",
        *_table(TOTALS, ((total_name(t), *total_cells(t)) for t in totals(validation))),
        f"{NO_MODEL} {RIGHT_MODEL} {NOT_INDEPENDENT}",
        "",
        "## What it must show",
        "",
    ]
    for fact in shown(validation.rows):
        order = {True: " In the published order.", False: " **Not in the published order.**", None: ""}[fact.in_order]
        lines += [f"**{fact.fact}.**{order}", ""]
        head = ("Trial", "Set", "What", "When", "Published", "Predicted", "90 % interval", "Inside")
        inside = {True: "yes", False: "**no**", None: "-"}
        lines += _table(head, ((r.trial, r.set, *_what(r), *_beside(r), inside[r.inside90]) for r in fact.rows))
    lines += ["## Where it misses", "", "Trials by mean absolute error, largest first.", ""]
    for title, kinds in (("rates", ("rate",)), ("changes, scores and differences", ("change", "difference"))):
        head = (f"Trial ({title})", "Set", "Error", "Inside 90 %")
        rows = ranked(validation, *kinds)
        lines += _table(head, ((r.trial, r.set, f"{r.error:.1f}", f"{r.inside90} of {r.rows}") for r in rows))
    documents = {t.trial: t for t in catalogue()}
    for name in ordered(validation):
        lines += [f"## The {name} set" + (f": {SETS[name]}" if name in SETS else ""), ""]
        for trial, rows in by_trial(validation):
            if rows[0].set == name:
                title = documents[trial].title if trial in documents else ""
                lines += [f"### {trial}", "", f"{title}.", "", *_trial(rows)]
    return "\n".join(lines)


def _trial(rows: Sequence[Row]) -> list[str]:
    marks, notes = footnotes(rows)
    head = ("What", "When", "n", "Published", "Predicted", "90 % interval", "Outside", "Notes")
    body = [
        (*_what(r), f"{r.n:.0f}" if r.n else "-", *_beside(r), miss(r) if r.inside90 is False else "", mark)
        for r, mark in zip(rows, marks, strict=True)
    ]
    return [*_table(head, body), *(line for mark, said in notes for line in (f"{mark}: {said}.", ""))]


def write_markdown(validation: Validation, folder: str | Path) -> Path:
    """Write the page into `folder` and return its path. Raises UserError when it cannot be written."""
    place = Path(folder) / PAGE
    write_whole(place, lambda p: p.write_text(markdown(validation), encoding="utf-8"))
    return place
