"""Predicted beside published over all trials: the page a sceptic would read first."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from euthymia.report.charts import PALETTE, QUIET, Rows, number
from euthymia.report.forest import COLOURS, section
from euthymia.report.numbers import decimal, plural
from euthymia.report.rows import (
    ERROR_UNIT,
    KINDS,
    NOT_INDEPENDENT,
    SETS,
    by_trial,
    contained,
    groups,
    miss,
    ordered,
    ran,
    totals,
    words,
)
from euthymia.report.still import PANEL, Picture, drawn, extent, panel, render, written
from euthymia.trial.document import Trial, catalogue
from euthymia.trial.facts import shown
from euthymia.trial.validation import Validation

LOOK = {"validation": (PALETTE[0], "circle"), "calibration": (PALETTE[1], "triangle-up")}


def headline(validation: Validation) -> list[str]:
    """What was found, in one sentence for each illness and set."""
    said = []
    for illness, name in groups(validation):
        count = len({r.trial for r in validation.rows if (r.illness, r.set) == (illness, name)})
        trials = f"{plural(count, 'trial')} of {illness}"
        begin = {
            "validation": f"On {trials} the model was never fitted to (the validation set), ",
            "calibration": f"On {trials} that may be fitted (the calibration set), where agreement is no test, ",
        }.get(name, f"On {trials} of the {name} set, ")
        parts = []
        for kind, one, many in (
            ("rate", "rate of response, remission and the like", "rates of response, remission and the like"),
            ("change", "score or change of a score", "scores or changes of scores"),
            ("difference", "difference between arms", "differences between arms"),
        ):
            total = validation.total(name, kind, illness)
            if total.rows:
                verb = " is" if total.rows == 1 else " are"
                naive = "" if math.isnan(total.naive_error) else decimal(total.naive_error, 1)
                if naive:
                    naive = f" ({'without a model: ' if parts else 'a predictor that knows no model: '}{naive})"
                off = f"{'' if parts else f'{verb} off'} by {decimal(total.mean_absolute_error, 1)} {ERROR_UNIT[kind]}"
                mean = "" if parts else " on average"
                parts.append(f"{total.rows} {one if total.rows == 1 else many}{off}{mean}{naive}")
        every = validation.total(name, illness=illness)
        if every.rows:
            inside = f"{decimal(every.inside90, 0)} % of all {plural(every.rows, 'published value')}"
            parts.append(f"and {inside} lie inside the 90 % interval (it should be 90 %)")
            said.append(begin + "; ".join(parts) + ".")
        else:
            said.append(begin + "nothing was published as a number.")
    return said


class Misses(NamedTuple):
    """How many values a set has, how many lie outside the 90 % interval, and to which side predictions err."""

    illness: str
    set: str
    values: int
    outside: int
    high: int
    low: int


def misses(validation: Validation) -> list[Misses]:
    """For each illness and set."""
    found = []
    for illness, name in groups(validation):
        rows = [r for r in validation.rows if (r.illness, r.set) == (illness, name) and r.observed is not None]
        out = [r for r in rows if not r.inside90]
        high = sum(r.predicted > r.observed for r in out if r.observed is not None)
        found.append(Misses(illness, name, len(rows), len(out), high, len(out) - high))
    return found


class Ranked(NamedTuple):
    """A trial by the mean absolute error of its rows of some kinds."""

    trial: str
    set: str
    rows: int
    error: float
    inside90: int


def ranked(validation: Validation, *kinds: str) -> list[Ranked]:
    """Trials with rows of these kinds, largest mean absolute error first."""
    found = []
    for trial, rows in by_trial(validation):
        errors = [(abs(r.predicted - r.observed), r) for r in rows if r.kind in kinds and r.observed is not None]
        if errors:
            mean = sum(e for e, _ in errors) / len(errors)
            found.append(Ranked(trial, rows[0].set, len(errors), mean, sum(bool(r.inside90) for _, r in errors)))
    return sorted(found, key=lambda r: -r.error)


def calibration_plot(validation: Validation) -> Picture:
    """Predicted against published: rates in one panel, points in another."""
    panels = []
    wanted = (("Rates (%)", ("rate",)), ("Changes, scores and differences (points)", ("change", "difference")))
    sets = [s for s in ordered(validation) if s in LOOK]
    for title, kinds in wanted:
        rows = [r for r in validation.rows if r.kind in kinds and r.observed is not None and r.set in LOOK]
        if not rows:
            continue
        data: Rows = [
            {"o": r.observed, "p": r.predicted, "low": r.lower90, "high": r.upper90, "set": f"{r.set} set"}
            for r in sorted(rows, key=lambda r: -sets.index(r.set))
        ]
        ends = [0.0, 100.0] if kinds == ("rate",) else extent([d[k] for d in data for k in ("o", "low", "high")])
        axis = {"scale": {"domain": ends, "nice": False, "zero": False}, "axis": {"tickCount": 5}}
        names = [f"{s} set" for s in sets]
        tint = {"field": "set", "type": "nominal", "scale": {"domain": names, "range": [LOOK[s][0] for s in sets]}}
        shape = {"field": "set", "type": "nominal", "scale": {"domain": names, "range": [LOOK[s][1] for s in sets]}}
        x = number("o", **axis, title="published")
        diagonal = {
            "data": {"values": [{"v": v} for v in ends]},
            "mark": {"type": "line", "color": QUIET, "strokeWidth": 1.2},
            "encoding": {"x": number("v", **axis, title="published"), "y": number("v", **axis, title="predicted")},
        }
        rules = {
            "data": {"values": data},
            "mark": {"type": "rule", "strokeWidth": 0.8, "opacity": 0.35},
            "encoding": {"x": x, "y": number("low", **axis, title="predicted"), "y2": {"field": "high"}, "color": tint},
        }
        points = {
            "data": {"values": data},
            "mark": {"type": "point", "size": 38, "strokeWidth": 1.5, "opacity": 0.9},
            "encoding": {"x": x, "y": number("p", **axis, title="predicted"), "color": tint, "shape": shape},
        }
        panels.append(drawn(panel([diagonal, rules, points], PANEL - 62, PANEL - 62, title)))
    said = [
        f"{t.rows} {KINDS[t.kind]} of {t.illness}, {t.set} set, with a mean absolute error of "
        f"{decimal(t.mean_absolute_error, 1)} {ERROR_UNIT[t.kind]}"
        for t in totals(validation)
        if t.kind in ("rate", "change", "difference")
    ]
    text = f"Predicted against published, with the line of equality: {'; '.join(said)}."
    return Picture("Predicted against published", text, tuple(panels))


def page(validation: Validation, trials: Sequence[Trial] | None = None) -> str:
    """The page over all trials as text. trials: their documents; default those of the catalogue."""
    documents = {t.trial: t for t in (catalogue() if trials is None else trials)}
    sections = [section(trial, rows, documents.get(trial)) for trial, rows in by_trial(validation)]
    out = [r for _, rows in by_trial(validation) for r in rows if r.inside90 is False]
    return render(
        "validation.html",
        **words(),
        validation=validation,
        contained=contained(validation),
        ran=ran(validation),
        colours=COLOURS,
        miss=miss,
        fitted_to=SETS,
        not_independent=NOT_INDEPENDENT,
        one_decimal=lambda x: decimal(x, 1),
        headline=headline(validation),
        totals=totals(validation),
        facts=shown(validation.rows),
        scatter=calibration_plot(validation),
        misses=misses(validation),
        outside=[(trial, list(rows)) for trial, rows in groupby(out, key=lambda r: r.trial)],
        ranks=[
            ("Rates", "percentage points", ranked(validation, "rate")),
            ("Changes, scores and differences", "points", ranked(validation, "change", "difference")),
        ],
        sections=sections,
        sets=ordered(validation),
    )


def write_validation(validation: Validation, path: str | Path, trials: Sequence[Trial] | None = None) -> Path:
    """Write predicted beside published for all its trials as one HTML page, and return its path.

    path: the file, replaced whole or not touched; trials: documents of the trials, default those of the catalogue.
    Raises UserError when the file cannot be written.
    """
    return written(page(validation, trials), Path(path))
