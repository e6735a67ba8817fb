"""Predicted beside published, for readers: one page over all trials, one page for one trial, and a terminal table.

Charts are drawn here, once, as SVG: the pages have no script. Plots of a trial are narrow panels in a row that wraps,
so that their words are as large on a phone as on paper.
"""

import json
import math
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from euthymia.course.store import write_whole
from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.protocol import load as load_protocol
from euthymia.report.charts import CONFIG, INK, PALETTE, QUIET, RULE, SCHEMA, Rows, Spec, number
from euthymia.report.notes import EXPECTANCY, NOT_A_DEVICE
from euthymia.trial.document import AS_LOG, KIND, Arm, Trial, catalogue
from euthymia.trial.observed import baseline
from euthymia.trial.validation import Row, Total, Validation

SETS = {
    "validation": "trials the model was never fitted to",
    "calibration": "trials that may be fitted; agreement is no test",
    "fitted": "values of the calibration set that it was fitted to",
}
"""Both sets in the order of the page, and what of the second was fitted."""
KINDS = {"rate": "rates", "change": "changes and scores", "difference": "differences between arms", "time": "times",
         "effect": "ratios and effect sizes", "all": "all values"}  # fmt: skip
ERROR_UNIT = {"rate": "percentage points", "change": "points", "difference": "points", "time": "days"}
COLUMNS = 120  # of the terminal table
PANEL = 340  # px: three side by side on a desktop, one on a phone
ROW = 35  # px of a forest plot per published value
MOST_ROWS = 12  # in one panel
FEWEST_TIMES = 3  # of a time course
DAY_H = 24.0
LOG_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50)
INSIDE, OUTSIDE = PALETTE[0], PALETTE[1]
LOOK = {"validation": (PALETTE[0], "circle"), "calibration": (PALETTE[1], "triangle-up")}
CONTAINED = "An interval is the middle 50 or 90 % of what repetitions of the trial would report. It contains"
NO_MODEL = (
    "The predictor that knows no model answers with the mean of the calibration set's values of the same measure and "
    "kind of arm (drug, antidepressant, control). For the calibration set it has therefore seen the value it is asked "
    "for."
)
NOT_INDEPENDENT = (
    "Every value counts once, so a trial with many values counts for more; values of one trial are of the same "
    "patients and tend to miss together. Ratios, effect sizes and fractions have no common unit: their error means "
    "something only beside that without a model."
)


# --- words and numbers ------------------------------------------------------------------------------------------------


def _percent(row: Row) -> bool:
    return row.kind == "rate" or row.endpoint.startswith("fraction")


def _number(x: float, digits: int) -> str:
    text = f"{x:.{digits}f}"
    return text[1:] if float(text) == 0 and text.startswith("-") else text


def value(row: Row, x: float | None) -> str:
    """A number in the format of its row: ratios and effect sizes with two decimals, all else with one."""
    if x is None or math.isnan(x):
        return "-"
    two = row.kind == "effect" and not _percent(row)
    return _number(x, 2 if two else 1) + (" %" if _percent(row) else " d" if row.kind == "time" else "")


def between(row: Row, low: float, high: float) -> str:
    """An interval; the unit stands once, at its end."""
    return f"{value(row, low).removesuffix(' %').removesuffix(' d')} to {value(row, high)}"


def published(row: Row) -> str:
    """The published value, or its words where it was printed in words."""
    if row.observed is None:
        return f'"{row.words}"' if row.words else "-"
    return value(row, row.observed)


def miss(row: Row) -> str:
    """By how much, and to which side, a prediction misses; empty where nothing was published as a number."""
    if row.observed is None:
        return ""
    error = row.predicted - row.observed
    unit = "percentage points" if _percent(row) else ERROR_UNIT.get(row.kind, "")
    size = _number(abs(error), 2 if not unit else 1)
    said = f"{size}{' ' + unit if unit else ''} too {'high' if error > 0 else 'low'}"
    if row.kind == "change":
        said += f" (too {'little' if error > 0 else 'much'} improvement)"
    if row.kind == "difference":
        said += f" (too {'small' if error > 0 else 'large'} an advantage of the first arm)"
    return said


def _ordered(validation: Validation) -> list[str]:
    """The sets there are, those never fitted to first."""
    there = {r.set for r in validation.rows}
    return [s for s in SETS if s in there] + sorted(there - set(SETS))


def _by_trial(validation: Validation) -> list[tuple[str, list[Row]]]:
    """Rows of each trial, validation set first, else in the order given."""
    order = {s: k for k, s in enumerate(_ordered(validation))}
    found: dict[str, list[Row]] = {}
    for row in sorted(validation.rows, key=lambda r: order[r.set]):
        found.setdefault(row.trial, []).append(row)
    return list(found.items())


def _plural(n: int, one: str) -> str:
    return f"{n} {one}{'' if n == 1 else 's'}"


def headline(validation: Validation) -> list[str]:
    """What was found, in one sentence for each set."""
    said = []
    for name in _ordered(validation):
        trials = _plural(len({r.trial for r in validation.rows if r.set == name}), "trial")
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
            total = validation.total(name, kind)
            if total.rows:
                verb = " is" if total.rows == 1 else " are"
                naive = "" if math.isnan(total.naive_error) else _number(total.naive_error, 1)
                if naive:
                    naive = f" ({'without a model: ' if parts else 'a predictor that knows no model: '}{naive})"
                off = f"{'' if parts else f'{verb} off'} by {_number(total.mean_absolute_error, 1)} {ERROR_UNIT[kind]}"
                mean = "" if parts else " on average"
                parts.append(f"{total.rows} {one if total.rows == 1 else many}{off}{mean}{naive}")
        every = validation.total(name)
        if every.rows:
            inside = f"{_number(every.inside90, 0)} % of all {_plural(every.rows, 'published value')}"
            parts.append(f"and {inside} lie inside the 90 % interval (it should be 90 %)")
            said.append(begin + "; ".join(parts) + ".")
        else:
            said.append(begin + "nothing was published as a number.")
    return said


def contained(validation: Validation) -> str:
    """What the intervals contain, as one sentence or two."""
    return f"{CONTAINED}: {validation.fitted.strip().rstrip('.')}."


def ran(validation: Validation) -> str:
    """How large and how seeded it was."""
    return f"{validation.patients:,} virtual patients in every arm, seed {validation.seed}."


class Misses(NamedTuple):
    """How many values a set has, how many lie outside the 90 % interval, and to which side predictions err."""

    set: str
    values: int
    outside: int
    high: int
    low: int


def misses(validation: Validation) -> list[Misses]:
    """For each set."""
    found = []
    for name in _ordered(validation):
        rows = [r for r in validation.rows if r.set == name and r.observed is not None]
        out = [r for r in rows if not r.inside90]
        high = sum(r.predicted > r.observed for r in out if r.observed is not None)
        found.append(Misses(name, len(rows), len(out), high, len(out) - high))
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
    for trial, rows in _by_trial(validation):
        errors = [(abs(r.predicted - r.observed), r) for r in rows if r.kind in kinds and r.observed is not None]
        if errors:
            mean = sum(e for e, _ in errors) / len(errors)
            found.append(Ranked(trial, rows[0].set, len(errors), mean, sum(bool(r.inside90) for _, r in errors)))
    return sorted(found, key=lambda r: -r.error)


# --- charts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """One or several SVG panels, and what they show in words."""

    title: str
    description: str
    panels: tuple[Markup, ...]


def _svg(spec: Spec) -> Markup:
    """A specification drawn. Names of namespaces go: inside HTML they mean nothing, and the page holds no address."""
    import vl_convert

    drawn = vl_convert.vegalite_to_svg(json.dumps(spec))
    drawn = drawn.replace("\N{MINUS SIGN}", "-")
    drawn = re.sub(r' xmlns(:\w+)?="[^"]*"', "", drawn, count=2)
    return Markup(drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))


def _spec(layers: Sequence[Spec], width: int, height: int, title: str = "", **legend: Any) -> Spec:
    look = {k: v for k, v in CONFIG.items() if k not in ("axisX", "axisY")}
    look["axis"] = CONFIG["axis"] | {"domain": False, "ticks": False, "titleFontSize": 12, "labelFontSize": 12}
    look["legend"] = CONFIG["legend"] | {
        "direction": "horizontal",
        "columns": 2,
        "symbolSize": 70,
        "symbolOpacity": 1,
        "title": None,
    }
    made = {
        "$schema": SCHEMA,
        "config": look | {"font": "Arial, Helvetica, sans-serif", "background": None},
        "width": width,
        "height": height,
        "padding": {"left": 4, "right": 8, "top": 4, "bottom": 4},
        "layer": list(layers),
    } | legend
    if title:
        made["title"] = {"text": title, "fontSize": 12, "anchor": "start", "offset": 8}
    return made


def _extent(values: Sequence[float], share: float = 0.06) -> list[float]:
    low, high = min(values), max(values)
    room = share * ((high - low) or 1.0)
    return [low - room, high + room]


def _colour(alternative: str, normal: str, test: str) -> Spec:
    return {"condition": {"test": test, "value": alternative}, "value": normal}


def calibration_plot(validation: Validation) -> Picture:
    """Predicted against published: rates in one panel, points in another."""
    panels = []
    wanted = (("Rates (%)", ("rate",)), ("Changes, scores and differences (points)", ("change", "difference")))
    sets = [s for s in _ordered(validation) if s in LOOK]
    for title, kinds in wanted:
        rows = [r for r in validation.rows if r.kind in kinds and r.observed is not None and r.set in LOOK]
        if not rows:
            continue
        data: Rows = [
            {"o": r.observed, "p": r.predicted, "low": r.lower90, "high": r.upper90, "set": f"{r.set} set"}
            for r in sorted(rows, key=lambda r: -sets.index(r.set))
        ]
        ends = [0.0, 100.0] if kinds == ("rate",) else _extent([d[k] for d in data for k in ("o", "low", "high")])
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
        panels.append(_svg(_spec([diagonal, rules, points], PANEL - 62, PANEL - 62, title)))
    said = [
        f"{t.rows} {KINDS[t.kind]} of the {t.set} set with a mean absolute error of "
        f"{_number(t.mean_absolute_error, 1)} {ERROR_UNIT[t.kind]}"
        for t in _totals(validation)
        if t.kind in ("rate", "change", "difference")
    ]
    text = f"Predicted against published, with the line of equality: {'; '.join(said)}."
    return Picture("Predicted against published", text, tuple(panels))


def _axis_of(row: Row) -> str:
    """Rows that share an axis in a forest plot."""
    if row.kind == "change":
        return "Scores (points)" if row.endpoint.startswith("score") else "Changes of the score (points)"
    if row.kind == "effect":
        if _percent(row):
            return "Fraction of the effect (%)"
        return "Ratios" if row.endpoint.startswith(AS_LOG) else "Effect sizes"
    return {"rate": "Rates (%)", "difference": "Differences between arms (points)", "time": "Times (days)"}[row.kind]


def _label(row: Row) -> str:
    n = f" · n {row.n:.0f}" if row.n else ""
    words = f" · published: {published(row)}" if row.observed is None else ""
    return f"{row.arm} · {row.endpoint}, {row.time}{n}{words}"


def forest_plot(trial: str, rows: Sequence[Row]) -> Picture:
    """The rows of a trial, one axis for each kind: published filled, predicted open with 50 and 90 % bars."""
    axes: dict[str, list[Row]] = {}
    for row in rows:
        axes.setdefault(_axis_of(row), []).append(row)
    panels = []
    for title, some in axes.items():
        numbers = [x for r in some for x in (r.observed, r.predicted, r.lower90, r.upper90) if x is not None]
        log = title == "Ratios" and min(numbers) > 0
        if title == "Rates (%)":
            domain = [0.0, 100.0]
        elif log:
            domain = [0.9 * min(numbers), 1.1 * max(numbers)]
        else:
            domain = _extent([*numbers, 0.0] if "Diff" in title or "Effect" in title else numbers)
        parts = math.ceil(len(some) / MOST_ROWS)
        size = math.ceil(len(some) / parts)
        for k in range(parts):
            part = f"{title}, part {k + 1} of {parts}" if parts > 1 else title
            panels.append(_svg(_forest(some[k * size : (k + 1) * size], domain, log, part)))
    known = [r for r in rows if r.observed is not None]
    inside = sum(bool(r.inside90) for r in known)
    said = (
        f"Forest plot of {trial}: {_plural(len(known), 'published value')} beside predictions, {inside} of them inside "
        "the 90 % interval. The table below has the numbers."
    )
    return Picture("Published and predicted", said, tuple(panels))


def _forest(rows: Sequence[Row], domain: list[float], log: bool, title: str) -> Spec:
    """One panel; the name of each row stands above its bar."""
    data = [
        {
            "label": _label(r), "out": r.inside90 is False, "top": ROW * k + 9, "at": ROW * k + 24,
            "o": r.observed, "p": r.predicted, "l5": r.lower50, "u5": r.upper50, "l9": r.lower90, "u9": r.upper90,
        }
        for k, r in enumerate(rows)
    ]  # fmt: skip
    height = ROW * len(rows)
    scale = {"domain": domain, "nice": False, "zero": False} | ({"type": "log"} if log else {})
    axis: Spec = {"tickCount": 5, "gridColor": RULE}
    if log and len(marks := [v for v in LOG_TICKS if domain[0] <= v <= domain[1]]) > 1:
        axis["values"] = marks
    x = {"scale": scale, "axis": axis | ({"format": "~g"} if log else {})}
    y = number("at", scale={"domain": [height, 0], "nice": False, "zero": False}, axis=None)
    tint = _colour(OUTSIDE, INSIDE, "datum.out")

    def one(mark: str, encoding: Spec, **look: Any) -> Spec:
        return {"mark": {"type": mark} | look, "encoding": {"y": y} | encoding}

    named = {"x": {"value": 0}, "y": y | {"field": "top"}}
    bold = {"text": {"value": "OUT"}, "x": {"value": PANEL - 14}}
    zero = [] if log or not domain[0] < 0 < domain[1] else [{"z": 0}]
    layers = [
        {
            "data": {"values": zero},
            "mark": {"type": "rule", "color": "#b6bdc6", "strokeWidth": 1.2},
            "encoding": {"x": number("z", **x)},
        },
        *(
            one("text", named | {"text": {"field": "label"}}, align="left", limit=limit, fontSize=11, color=INK)
            | {"transform": [{"filter": test}]}
            for test, limit in (("datum.out", PANEL - 46), ("!datum.out", PANEL - 14))
        ),
        one("text", named | bold, align="right", fontSize=11, fontWeight="bold", color=OUTSIDE)
        | {"transform": [{"filter": "datum.out"}]},
        one("rule", {"x": number("l9", **x), "x2": {"field": "u9"}, "color": tint}, strokeWidth=1.3),
        one("rule", {"x": number("l5", **x), "x2": {"field": "u5"}, "color": tint}, strokeWidth=5, opacity=0.4),
        one("point", {"x": number("p", **x), "stroke": tint}, size=62, fill="#ffffff", strokeWidth=1.8, opacity=1),
        one("point", {"x": number("o", **x)}, size=52, shape="diamond", fill=INK, strokeWidth=0, opacity=1)
        | {"transform": [{"filter": "isValid(datum.o)"}]},
    ]
    made = _spec(layers, PANEL - 14, height, title)
    return made | {"data": {"values": data}}


def _times_h(trial: Trial, rows: Sequence[Row]) -> list[float | None]:
    """When each row was measured (h); None where the document does not tell, or where only some patients count."""
    places: dict[tuple[str, str], list] = {}
    for e in trial.endpoints:
        if KIND[e.measure] != "spread":
            places.setdefault((" ".join(e.evidence), e.called or " - ".join(e.arm)), []).append(e)
    found: list[float | None] = []
    for row in rows:
        same = [e for e in places.get((row.evidence, row.arm), ()) if row.endpoint.startswith(e.measure)]
        at = {e.at.value for e in same if not e.followed and (e.when or str(e.at)) == row.time}
        found.append(at.pop() if len(at) == 1 else None)
    return found


def time_courses(trial: Trial, rows: Sequence[Row]) -> Picture | None:
    """Arms with the same measure at three or more times: published over predicted; None where there is none."""
    courses: dict[tuple[str, str], dict[float, Row]] = {}
    for row, at in zip(rows, _times_h(trial, rows), strict=True):
        if at is not None:
            courses.setdefault((row.endpoint, row.arm), {}).setdefault(at / DAY_H, row)
    courses = {key: dict(sorted(c.items())) for key, c in courses.items() if len(c) >= FEWEST_TIMES}
    panels = []
    for (endpoint, arm), course in courses.items():
        same = [r for (e, _), c in courses.items() if e == endpoint for r in c.values()]
        values = [x for r in same for x in (r.observed, r.lower90, r.upper90) if x is not None]
        domain = [0.0, 100.0] if same[0].kind == "rate" else _extent(values)
        unit = "%" if _percent(same[0]) else ERROR_UNIT.get(same[0].kind, "")
        panels.append(_svg(_course(course, domain, f"{arm} · {endpoint}{f' ({unit})' if unit else ''}")))
    if not panels:
        return None
    said = f"Time courses of {trial.trial}: {'; '.join(f'{e} in {a}' for e, a in courses)}. The table has the numbers."
    return Picture("Over time", said, tuple(panels))


def _course(course: dict[float, Row], domain: list[float], title: str) -> Spec:
    data = [
        {"t": t, "o": r.observed, "p": r.predicted, "l5": r.lower50, "u5": r.upper50, "l9": r.lower90, "u9": r.upper90}
        for t, r in course.items()
    ]
    ends = _extent(list(course), 0.04)
    x = number("t", title="days", scale={"domain": ends, "nice": False, "zero": False}, axis={"grid": False})
    y = {"scale": {"domain": domain, "nice": False, "zero": False}, "axis": {"tickCount": 5}}
    layers = [
        *(
            {
                "mark": {"type": "area", "color": INSIDE, "opacity": opacity},
                "encoding": {"x": x, "y": number(low, **y), "y2": {"field": high}},
            }
            for low, high, opacity in (("l9", "u9", 0.12), ("l5", "u5", 0.2))
        ),
        {
            "mark": {"type": "line", "color": INSIDE, "strokeWidth": 1.8},
            "encoding": {"x": x, "y": number("p", **y)},
        },
        {
            "mark": {"type": "point", "fill": "#ffffff", "stroke": INSIDE, "size": 46, "opacity": 1},
            "encoding": {"x": x, "y": number("p", **y)},
        },
        {
            "transform": [{"filter": "isValid(datum.o)"}],
            "mark": {"type": "point", "shape": "diamond", "fill": INK, "strokeWidth": 0, "size": 56, "opacity": 1},
            "encoding": {"x": x, "y": number("o", **y)},
        },
    ]
    return _spec(layers, PANEL - 50, 190, title) | {"data": {"values": data}}


# --- what the pages say of a trial ------------------------------------------------------------------------------------


def given(trial: Trial, arm: Arm) -> str:
    """What an arm gets and who it is, in words."""
    parts = []
    g = arm.given
    if g and g.protocol:
        until = f", none after {g.stops}" if g.stops else ""
        parts.append(f"{load_protocol(g.protocol).title} (protocol {g.protocol}){until}")
    elif g and g.compound:
        dose = f", {g.dose}" if g.dose else ""
        over = f" over {g.over}" if g.over else ""
        role = "" if g.compound in COMPOUNDS else " (control)"
        stops = g.stops.value if g.stops else math.inf
        parts.append(f"{g.compound}{role}, {g.route}{dose}{over}: {_days([t for t in g.at if t < stops])}")
    else:
        parts.append("no sessions")
    if arm.antidepressant:
        a = arm.antidepressant
        until = f" until day {a.stop.value / DAY_H:g}" if a.stop else ""
        parts.append(f"an oral antidepressant every day from day {a.start.value / DAY_H:g}{until}")
    mean, sd = baseline(arm.baseline, trial.set)
    parts.append(f"MADRS at entry {mean:.1f} (SD {sd:.1f})")
    text = "; ".join([*parts, *arm.reasons()])
    return f"{text[0].upper()}{text[1:]}."


def _days(times_h: Sequence[float]) -> str:
    days = [f"{t / DAY_H:.3g}" for t in times_h]
    if len(days) == 1:
        return f"one session on day {days[0]}"
    listed = ", ".join(days[:-1]) + f" and {days[-1]}" if len(days) <= 12 else f"{days[0]} to {days[-1]}"
    return f"{len(days)} sessions, on days {listed}"


def design(trial: Trial) -> str:
    """Its design in a sentence."""
    d = trial.design
    sites = "one site" if d.sites == "one" else "many sites"
    note = f" ({d.note})" if d.note else ""
    said = f"{EXPECTANCY.get(d.expectancy, d.expectancy)}; {d.setting}s; {sites}{note}"
    return f"{said[0].upper()}{said[1:]}."


def _footnotes(rows: Sequence[Row]) -> tuple[list[str], list[tuple[str, str]]]:
    """The marks of each row, and what each mark says."""
    letters: dict[str, str] = {}
    for row in rows:
        if row.assumed and row.assumed not in letters:
            k = len(letters)
            letters[row.assumed] = ("" if k < 26 else chr(96 + k // 26)) + chr(97 + k % 26)
    marks = [(letters.get(r.assumed, "") + ("†" if r.verified != "yes" else "")) for r in rows]
    said = [(letter, f"assumed: {reason}") for reason, letter in letters.items()]
    if any(r.verified != "yes" for r in rows):
        said.append(("†", "unverified: not read at its source"))
    return marks, said


@dataclass(frozen=True)
class Section:
    """One trial as the template shows it."""

    trial: str
    set: str
    document: Trial | None
    rows: tuple[tuple[Row, str], ...]
    footnotes: tuple[tuple[str, str], ...]
    forest: Picture
    outside: int
    known: int


def _section(trial: str, rows: Sequence[Row], document: Trial | None) -> Section:
    marks, said = _footnotes(rows)
    known = [r for r in rows if r.observed is not None]
    pairs = tuple(zip(rows, marks, strict=True))
    outside = sum(not r.inside90 for r in known)
    return Section(
        trial, rows[0].set, document, pairs, tuple(said), forest_plot(trial, rows), outside, len(known)
    )  # fmt: skip


def _totals(validation: Validation) -> list[Total]:
    order = {s: k for k, s in enumerate(_ordered(validation))}
    return sorted(validation.totals(), key=lambda t: order.get(t.set, len(order)))


def total_cells(total: Total) -> tuple[str, ...]:
    """Rows, error with unit, bias, error without a model, and coverage of 50 and 90 %, as words."""
    digits = 2 if total.kind == "effect" else 1
    unit = f" {ERROR_UNIT[total.kind]}" if total.kind in ERROR_UNIT else ""

    def said(x: float, sign: str = "", after: str = "") -> str:
        text = _number(x, digits)
        return "-" if math.isnan(x) else f"{sign if float(text) > 0 else ''}{text}{after}"

    return (
        str(total.rows),
        said(total.mean_absolute_error, after=unit),
        said(total.bias, "+"),
        said(total.naive_error),
        f"{_number(total.inside50, 0)} %",
        f"{_number(total.inside90, 0)} %",
    )


# --- pages ------------------------------------------------------------------------------------------------------------


@lru_cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("euthymia.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        together=lambda text: text.replace(" %", "\N{NO-BREAK SPACE}%"),
        sentence=lambda text: f"{text[0].upper()}{text[1:].rstrip('.')}.",
    )
    environment.globals.update(
        value=value, between=between, published=published, miss=miss, kinds=KINDS, fitted_to=SETS, device=NOT_A_DEVICE,
        total_cells=total_cells, colours={"inside": INSIDE, "outside": OUTSIDE, "ink": INK}, no_model=NO_MODEL,
        not_independent=NOT_INDEPENDENT, one_decimal=lambda x: _number(x, 1),
    )  # fmt: skip
    return environment.get_template("validation.html")


def _render(validation: Validation, **context: Any) -> str:
    style = files("euthymia.report").joinpath("page.css").read_text(encoding="utf-8")
    return _template().render(
        style=Markup(style),
        validation=validation,
        contained=contained(validation),
        ran=ran(validation),
        release=metadata.version("euthymia"),
        **context,
    )


def page(validation: Validation, trials: Sequence[Trial] | None = None) -> str:
    """The page over all trials as text. trials: their documents; default those of the catalogue."""
    documents = {t.trial: t for t in (catalogue() if trials is None else trials)}
    sections = [_section(trial, rows, documents.get(trial)) for trial, rows in _by_trial(validation)]
    out = [r for _, rows in _by_trial(validation) for r in rows if r.inside90 is False]
    return _render(
        validation,
        replica=None,
        headline=headline(validation),
        totals=_totals(validation),
        scatter=calibration_plot(validation),
        misses=misses(validation),
        outside=[(trial, list(rows)) for trial, rows in groupby(out, key=lambda r: r.trial)],
        ranks=[
            ("Rates", "percentage points", ranked(validation, "rate")),
            ("Changes, scores and differences", "points", ranked(validation, "change", "difference")),
        ],
        sections=sections,
        sets=_ordered(validation),
    )


def write_validation(validation: Validation, path: str | Path, trials: Sequence[Trial] | None = None) -> Path:
    """Write predicted beside published for all its trials as one HTML page, and return its path.

    path: the file, replaced whole or not touched; trials: documents of the trials, default those of the catalogue.
    Raises UserError when the file cannot be written.
    """
    place, text = Path(path), page(validation, trials)
    write_whole(place, lambda part: part.write_text(text, encoding="utf-8"))
    return place


def write_replica(validation: Validation, trial: Trial, folder: str | Path) -> Path:
    """Write predicted beside published for one trial as `<trial>.html` into `folder`, and return its path.

    Raises UserError when `validation` has no row of the trial, or the file cannot be written.
    """
    rows = [r for r in validation.rows if r.trial == trial.trial]
    if not rows:
        raise UserError(f"the validation has no row of the trial {trial.trial!r}.")
    one = Validation(tuple(rows), validation.patients, validation.seed, validation.fitted)
    text = _render(
        one,
        replica=trial,
        section=_section(trial.trial, rows, trial),
        courses=time_courses(trial, rows),
        design=design(trial),
        arms=[(arm.arm, given(trial, arm)) for arm in trial.arms],
        totals=_totals(one),
    )
    place = Path(folder) / f"{trial.trial}.html"
    write_whole(place, lambda part: part.write_text(text, encoding="utf-8"))
    return place


# --- the terminal table -----------------------------------------------------------------------------------------------

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
    body = {trial: [_cells(r) for r in rows] for trial, rows in _by_trial(validation)}
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
        f"{ran(validation)} Rates in %, changes and differences in MADRS points.",
        contained(validation),
        "OUT: the published value lies outside the 90 % interval. assumed: something stands in for what was not "
        "published. unverified: not read at its source.",
    ]
    if any(r.set == "calibration" for r in validation.rows):
        notes.insert(0, "The model was fitted to values of the calibration set: agreement there is no test of it.")
    return "\n".join(lines + [line for note in notes for line in textwrap.wrap(note, COLUMNS)])


def _total_lines(validation: Validation) -> list[str]:
    head = ("values", "mean absolute error", "bias", "without a model", "in 50 %", "in 90 %")
    body = {f"{t.set}, {KINDS[t.kind]}": total_cells(t) for t in _totals(validation)}
    table = [("", *head), *((name, *cells) for name, cells in body.items())]
    width = [max(len(line[k]) for line in table) for k in range(len(table[0]))]
    return [
        GAP.join(c.rjust(w) if k else c.ljust(w) for k, (c, w) in enumerate(zip(line, width, strict=True))).rstrip()
        for line in table
    ]


__all__ = ["headline", "page", "replica_text", "write_replica", "write_validation"]
