"""One published trial as both pages show it: its forest plot, its rows, and their footnotes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from euthymia.report.charts import INK, PALETTE, RULE, Spec, number
from euthymia.report.numbers import plural
from euthymia.report.rows import footnotes, percent, published
from euthymia.report.still import PANEL, Picture, drawn, extent, panel
from euthymia.trial.document import AS_LOG, Trial
from euthymia.trial.validation import Row

ROW = 35  # px of a forest plot per published value
MOST_ROWS = 12  # in one panel
LOG_TICKS = (0.05, 0.1, 0.2, 0.5, 1, 1.5, 2, 3, 5, 10, 20, 50)
INSIDE, OUTSIDE = PALETTE[0], PALETTE[1]
COLOURS = {"inside": INSIDE, "outside": OUTSIDE, "ink": INK}


def _colour(alternative: str, normal: str, test: str) -> Spec:
    return {"condition": {"test": test, "value": alternative}, "value": normal}


def _axis_of(row: Row) -> str:
    """Rows that share an axis in a forest plot."""
    if row.kind == "change":
        return "Scores (points)" if row.endpoint.startswith("score") else "Changes of the score (points)"
    if row.kind == "effect":
        if percent(row):
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
            domain = extent([*numbers, 0.0] if "Diff" in title or "Effect" in title else numbers)
        parts = math.ceil(len(some) / MOST_ROWS)
        size = math.ceil(len(some) / parts)
        for k in range(parts):
            part = f"{title}, part {k + 1} of {parts}" if parts > 1 else title
            panels.append(drawn(_forest(some[k * size : (k + 1) * size], domain, log, part)))
    known = [r for r in rows if r.observed is not None]
    inside = sum(bool(r.inside90) for r in known)
    said = (
        f"Forest plot of {trial}: {plural(len(known), 'published value')} beside predictions, {inside} of them inside "
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
    made = panel(layers, PANEL - 14, height, title)
    return made | {"data": {"values": data}}


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


def section(trial: str, rows: Sequence[Row], document: Trial | None) -> Section:
    marks, said = footnotes(rows)
    known = [r for r in rows if r.observed is not None]
    pairs = tuple(zip(rows, marks, strict=True))
    outside = sum(not r.inside90 for r in known)
    return Section(
        trial, rows[0].set, document, pairs, tuple(said), forest_plot(trial, rows), outside, len(known)
    )  # fmt: skip
