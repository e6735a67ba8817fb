"""Bipolar disorder in one look: which share of patients is depressed, and which manic, over the course."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import beta

from euthymia.course.result import Course
from euthymia.course.ruled import RuledCourse
from euthymia.illness.bipolar import HALF_WAY
from euthymia.report import charts
from euthymia.report.charts import Chart
from euthymia.report.numbers import readable, span
from euthymia.report.series import DAY_H, WEEK_H, Line, rounded, spoken, thinned

MOST_TIMES = 200
SURE = 0.90


def depressed(course: Course | RuledCourse) -> np.ndarray:
    """Whether each patient is in a depressive or mixed state, [patients, times]."""
    return course.values["depressive pole"] > HALF_WAY


def manic(course: Course | RuledCourse) -> np.ndarray:
    """Whether each patient is in a manic, hypomanic or mixed state, [patients, times]."""
    return course.values["manic pole"] > HALF_WAY


def has_states(line: Line) -> bool:
    """Whether a course is one of bipolar disorder."""
    return "manic pole" in line.course.values


def charts_of(lines: Sequence[Line]) -> list[Chart]:
    """One chart for each pole, of the courses that have them."""
    shown = [line for line in lines if has_states(line)]
    if not shown:
        return []
    return [
        _chart(shown, "depressed", "Depressed or mixed (% of patients; lower is better)", depressed),
        _chart(shown, "manic", "Manic, hypomanic or mixed (% of patients; lower is better)", manic),
    ]


def _chart(lines: Sequence[Line], name: str, title: str, state: Callable[[Course], np.ndarray]) -> Chart:
    labels = [line.label for line in lines]
    data, table = [], []
    for line in lines:
        time_h = line.course.time_h
        daily = np.flatnonzero(time_h % DAY_H < 1e-6)
        at = thinned(daily, MOST_TIMES)
        inside = state(line.course)[:, at]
        share, low, high = shares(inside.sum(0), len(inside))
        for t, *values in zip(time_h[at], share, low, high, strict=True):
            row = dict(zip(("q50", "q05", "q95"), map(rounded, values), strict=True))
            data.append({"p": line.label, "t": rounded(t / WEEK_H, 4), "at": spoken(t)} | row)
    last = max(row["t"] for row in data)
    wanted = [w for w in (1, 2, 4, 8, 12, 26, 52, 104) if w < last] + [last]
    for week in wanted:
        cells = []
        for label in labels:
            near = min((r for r in data if r["p"] == label), key=lambda r: abs(r["t"] - week))
            cells.append(f"{readable(near['q50'])} % ({span(near['q05'], near['q95'])})")
        table.append((f"week {week:g}", *cells))
    tint, dashes = (f(labels, charts.LINE_LEGEND) for f in (charts.colour, charts.dash))
    x = charts.number(
        "t",
        title="weeks since the start",
        scale={"domain": [0, last], "nice": False},
        axis={"tickMinStep": 1, "format": "d"},
    )
    top = min(100.0, max(5.0, 1.15 * max(row["q95"] for row in data)))
    y = charts.y_axis((0.0, float(top)), tickCount=5)
    said = [
        charts.tip("p", "protocol", "nominal"),
        charts.tip("at", "time", "nominal"),
        charts.tip("q50", "% of patients"),
        charts.tip("q05", "at least (90 %: chance alone)"),
        charts.tip("q95", "at most"),
    ]
    band = {"x": x, "y": charts.reading(y, "q05"), "y2": {"field": "q95"}, "color": tint}
    layers = [
        charts.layer("bands", "area", band, charts.SHOWN, opacity=0.15, clip=True),
        charts.layer(
            "bands",
            "line",
            {"x": x, "y": y, "color": tint, "strokeDash": dashes, "tooltip": said},
            charts.SHOWN,
            strokeWidth=2.2,
            clip=True,
        ),
    ]
    made = charts.spec(layers, labels, 220, bands=data)
    words = "; ".join(f"{label}: {cell}" for label, cell in zip(labels, table[-1][1:], strict=True))
    said_all = f"{title}. At {table[-1][0]}: {words}."
    return Chart(f"state-{name}", title, made, said_all, ("Time", *labels), tuple(table))


def shares(count: np.ndarray, of: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares in % with the interval that chance in so many patients gives them (Jeffreys)."""
    tail = (1 - SURE) / 2
    low, high = (beta.ppf(q, count + 0.5, of - count + 0.5) for q in (tail, 1 - tail))
    return 100 * count / of, 100 * low, 100 * high
