"""Predicted beside published as a table for the terminal."""

import textwrap
from collections.abc import Sequence
from itertools import groupby

from euthymia.report.rows import (
    KINDS,
    RIGHT_MODEL,
    between,
    by_trial,
    contained,
    published,
    ran,
    total_cells,
    totals,
    value,
)
from euthymia.trial.validation import Row, Validation

COLUMNS = 120
HEAD = ("arm", "endpoint", "time", "n", "published", "predicted", "90 % interval", "")
RIGHT = (3, 4, 5, 6)  # columns set flush right
FLEXIBLE = {0: 12, 1: 14, 2: 10, 4: 9, 7: 10}  # columns that may wrap, and how narrow they may become
GAP = "  "


def _cells(row: Row) -> tuple[str, ...]:
    marks = ["OUT"] * (row.inside90 is False) + ["assumed"] * bool(row.assumed)
    marks += ["unverified"] * (row.verified != "yes")
    return (
        row.arm,
        row.endpoint,
        row.time,
        f"{row.n:.0f}" if row.n else "-",
        published(row),
        value(row, row.predicted),
        between(row, row.lower90, row.upper90),
        ", ".join(marks),
    )


def _widths(lines: Sequence[tuple[str, ...]]) -> list[int]:
    """As wide as the longest cell; the widest of those that may wrap give way until a line fits."""
    width = [max(len(line[k]) for line in lines) for k in range(len(HEAD))]
    while sum(width) + len(GAP) * (len(width) - 1) > COLUMNS:
        able = [k for k, least in FLEXIBLE.items() if width[k] > least]
        if not able:
            break
        width[max(able, key=lambda k: width[k])] -= 1
    return width


def _wrapped(cells: Sequence[str], width: Sequence[int]) -> list[str]:
    columns = [textwrap.wrap(c, w) if w and c else [""] for c, w in zip(cells, width, strict=True)]
    lines = []
    for k in range(max(map(len, columns))):
        parts = [c[k] if k < len(c) else "" for c in columns]
        sides = enumerate(zip(parts, width, strict=True))
        lines.append(GAP.join(p.rjust(w) if j in RIGHT else p.ljust(w) for j, (p, w) in sides).rstrip())
    return lines


def replica_text(validation: Validation) -> str:
    """The rows as a table for the terminal, at most 120 columns wide, with totals and what the intervals contain."""
    body = {trial: [_cells(r) for r in rows] for trial, rows in by_trial(validation)}
    width = _widths([HEAD, *(cells for rows in body.values() for cells in rows)])
    head = _wrapped(HEAD, width)
    lines = [*head, "-" * min(sum(width) + len(GAP) * (len(width) - 1), COLUMNS)]
    which = {r.trial: r.set for r in validation.rows}
    for trial, rows in body.items():
        lines += ["", f"{trial} ({which[trial]} set)"]
        lines += [line for cells in rows for line in _wrapped(cells, width)]
    lines.append("")
    lines += _total_lines(validation)
    lines.append("")
    notes = [
        f"{ran(validation)} Rates in %, changes and differences in points (MADRS; in PTSD the trial's own scale).",
        contained(validation),
        RIGHT_MODEL,
        "OUT: the published value lies outside the 90 % interval. assumed: something stands in for what was not "
        "published. unverified: not read at its source.",
    ]
    if any(r.set == "calibration" for r in validation.rows):
        notes.insert(0, "The model was fitted to values of the calibration set: agreement there is no test of it.")
    return "\n".join(lines + [line for note in notes for line in textwrap.wrap(note, COLUMNS)])


def _total_lines(validation: Validation) -> list[str]:
    head = ("values", "mean absolute error", "bias", "without a model", "if right", "in 50 %", "in 90 %")
    table: list[tuple[str, ...]] = [("", *head)]
    for illness, some in groupby(totals(validation), lambda t: t.illness):
        table.append((f"{illness}:", *[""] * len(head)))
        table += [(f"{t.set}, {KINDS[t.kind]}", *total_cells(t)) for t in some]
    width = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    return [
        GAP.join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(line, width, strict=True))).rstrip()
        for line in table
    ]
