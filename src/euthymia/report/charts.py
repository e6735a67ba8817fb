"""The pieces every chart is made of, and the one look they share.

Charts are Vega-Lite specifications as plain dictionaries: forty of them through Altair's objects take two seconds, as
dictionaries none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from euthymia.report.numbers import LEAST, readable, span

Spec = dict[str, Any]
Rows = list[dict[str, Any]]

# Okabe & Ito's colour-blind safe palette without yellow, which vanishes on white; dashes carry the same
# information for print without colour
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES = ([1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [1, 3], [12, 3])
MOST = len(PALETTE)

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
INK, QUIET, RULE = "#1b1f24", "#57606a", "#e4e7eb"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
Y_ROOM = 46  # px for labels left of every axis, so that charts under each other share their time axis
CONFIG: Spec = {
    "font": FONT,
    "background": "#ffffff",
    "aria": False,  # the page names and describes each chart, and gives its numbers in a table
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET, "titleColor": QUIET, "titleFontWeight": "normal", "labelFontSize": 11,
        "titleFontSize": 11, "gridColor": RULE, "domainColor": "#b6bdc6", "tickColor": "#b6bdc6", "tickSize": 4,
    },
    "axisX": {"grid": False},
    "axisY": {"domain": False, "ticks": False, "tickCount": 4, "minExtent": Y_ROOM},
    "legend": {
        "labelColor": INK, "labelFontSize": 12, "orient": "bottom", "symbolSize": 220, "symbolStrokeWidth": 2.5,
        "labelLimit": 280, "columns": 1,
    },
    "title": {"color": INK, "fontSize": 14, "fontWeight": 600, "anchor": "start", "subtitleColor": QUIET},
}  # fmt: skip
BAND_COLUMNS = ("Protocol", "Time", "Median", "50 % of patients", "90 % of patients")
SHOWN = {"filter": "indexof(shown, datum.p) >= 0"}
LINE_LEGEND: Spec = {"title": None, "symbolType": "stroke", "symbolOpacity": 1}
POINT_LEGEND: Spec = {"title": None, "symbolType": "circle", "symbolOpacity": 1, "symbolSize": 90}


@dataclass(frozen=True)
class Chart:
    """One chart with the words around it. `individuals`: by label, times and one list of values per patient."""

    id: str
    title: str
    spec: Spec
    description: str
    columns: tuple[str, ...]
    table: tuple[tuple[str, ...], ...]
    individuals: dict[str, dict] = field(default_factory=dict)


def look(k: int) -> tuple[str, list[int]]:
    """Colour and dashes of the arm number k of a trial, the same in every picture of a page."""
    return PALETTE[k % MOST], DASHES[k % MOST]


def colour(labels: Sequence[str], legend: Spec | None = None) -> Spec:
    """Protocols in their colours, in the order they were given. All layers of a chart must share its legend."""
    scale = {"domain": list(labels), "range": list(PALETTE[: len(labels)])}
    return {"field": "p", "type": "nominal", "scale": scale, "legend": legend}


def dash(labels: Sequence[str], legend: Spec | None = None) -> Spec:
    scale = {"domain": list(labels), "range": list(DASHES[: len(labels)])}
    return {"field": "p", "type": "nominal", "scale": scale, "legend": legend}


def number(column: str, **channel: Any) -> Spec:
    """A numeric channel; `title` None unless given."""
    return {"field": column, "type": "quantitative", "title": None} | channel


def reading(channel: Spec, column: str) -> Spec:
    """The same axis, reading another column."""
    return channel | {"field": column}


def tip(column: str, title: str, kind: str = "quantitative") -> Spec:
    return {"field": column, "type": kind, "title": title}


def y_axis(domain: tuple[float, float], **axis: Any) -> Spec:
    scale = {"domain": list(domain), "nice": False, "zero": False}
    return number("q50", scale=scale, axis={"maxExtent": Y_ROOM} | axis)


def layer(data: str, mark: str, encoding: Spec, *transform: Spec, **look: Any) -> Spec:
    """One layer over a named data set, of the protocols that are switched on."""
    made = {"data": {"name": data}, "mark": {"type": mark} | look, "encoding": encoding}
    return made | ({"transform": list(transform)} if transform else {})


def bands(tint: Spec, dashes: Spec, x: Spec, y: Spec, unit: str, *, wide: bool = True) -> list[Spec]:
    """Median lines with bands of 50 % and (`wide`) 90 % of patients, over the data set `bands`."""
    made = []
    if wide:
        over = {"x": x, "y": reading(y, "q05"), "y2": {"field": "q95"}, "color": tint}
        made.append(layer("bands", "area", over, SHOWN, opacity=0.10, clip=True))
    half = {"x": x, "y": reading(y, "q25"), "y2": {"field": "q75"}, "color": tint}
    made.append(layer("bands", "area", half, SHOWN, opacity=0.20, clip=True))
    middle = {"x": x, "y": y, "color": tint, "strokeDash": dashes}
    made.append(layer("bands", "line", middle, SHOWN, strokeWidth=2.2, opacity={"expr": "alone ? 0.4 : 1"}, clip=True))
    return [*made, _touch(tint, x, y, unit)]


def peaks(tint: Spec, x: Spec, y: Spec, unit: str, *, many: bool) -> list[Spec]:
    """One point per session with 50 % and 90 % of patients as thick and thin lines, over the data set `bands`."""
    most = {"x": x, "y": reading(y, "q05"), "y2": {"field": "q95"}, "color": tint}
    half = {"x": x, "y": reading(y, "q25"), "y2": {"field": "q75"}, "color": tint}
    thin, thick, size = (0.6, 1.4, 5) if many else (1, 3, 26)
    return [
        layer("bands", "rule", most, SHOWN, strokeWidth=thin, opacity=0.45, clip=True),
        layer("bands", "rule", half, SHOWN, strokeWidth=thick, opacity=0.45, clip=True),
        layer("bands", "point", {"x": x, "y": y, "color": tint}, SHOWN, filled=True, size=size, opacity=1, clip=True),
        _touch(tint, x, y, unit),
    ]


def _touch(tint: Spec, x: Spec, y: Spec, unit: str) -> Spec:
    """Points that show, and say their numbers, when the pointer comes near."""

    row = "(datum.datum || datum)"  # of the cell around a point, and of the point

    def number(field: str) -> str:
        """As `numbers.readable`."""
        x = f"{row}.{field}"
        small = f"{x} > 0 ? 'below {LEAST:g}' : 'above -{LEAST:g}'"
        return f"({x} && abs({x}) < {LEAST:g} ? ({small}) : format({x}, '.3~g'))"

    # by hand: what Vega-Lite writes where the nearest point speaks reads words from the wrong place
    said = {
        "protocol": f"{row}.p",
        "time": f"{row}.at",
        f"median{f' ({unit})' if unit else ''}": number("q50"),
        "50 % of patients": f"{number('q25')} + ' to ' + {number('q75')}",
        "90 % of patients": f"{number('q05')} + ' to ' + {number('q95')}",
    }
    tooltip = {"expr": f"{{{', '.join(f'{name!r}: {what}' for name, what in said.items())}}}"}
    when = {"condition": {"param": "near", "empty": False, "value": 1}, "value": 0}
    near = {"type": "point", "nearest": True, "on": "pointerover", "clear": "pointerout"}
    made = layer(
        "bands",
        "point",
        {"x": x, "y": y, "color": tint, "opacity": when},
        SHOWN,
        filled=True,
        size=55,
        clip=True,
        tooltip=tooltip,
    )
    return made | {"params": [{"name": "near", "select": near}]}


def lone_lines(tint: Spec, x: Spec, y: Spec) -> Spec:
    """Individual patients; the page hands over their data when asked (data set `individuals`: p, i, t, q50)."""
    encoding = {"x": x, "y": y, "detail": {"field": "i"}, "color": tint}
    width, opacity = {"expr": "alone ? 2 : 0.8"}, {"expr": "alone ? 0.95 : 0.3"}
    return layer("individuals", "line", encoding, SHOWN, strokeWidth=width, opacity=opacity, clip=True)


def doses(rows: Rows, labels: Sequence[str], tint: Spec, x: Spec) -> list[Spec]:
    """Marks above the chart, one line per protocol, where ketamine is given; over the data set `doses`."""
    given = [label for label in labels if any(r["p"] == label for r in rows)]
    said = [tip("p", "session of", "nominal"), tip("at", "time", "nominal")]
    return [
        layer(
            "doses",
            "tick",
            {"x": x, "y": {"value": -5 - 8 * k}, "color": tint, "tooltip": said},
            SHOWN,
            {"filter": {"field": "p", "equal": label}},
            orient="vertical",
            size=6,
            thickness=2,
        )
        for k, label in enumerate(given)
    ]


def table_row(row: dict[str, Any]) -> tuple[str, str, str, str, str]:
    """Time, median and both bands of one row of the data set `bands`, as words."""
    half, most = (span(row[a], row[b]) for a, b in (("q25", "q75"), ("q05", "q95")))
    return (row["p"], row["at"], readable(row["q50"]), half, most)


def spec(layers: Sequence[Spec], labels: Sequence[str], height: int, **rows: Rows) -> Spec:
    """A finished specification as wide as its place in the page. `rows`: the data sets by name."""
    return {
        "$schema": SCHEMA,
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 2, "right": 10, "top": 4, "bottom": 2},
        "params": [{"name": "shown", "value": list(labels)}, {"name": "alone", "value": False}],
        "layer": list(layers),
        "datasets": rows,
    }
