"""Within hours against weeks, then it fades: depression under all protocols on one axis that shows both."""

from collections.abc import Callable, Sequence

import numpy as np

from euthymia.course.outcomes import REMISSION_MADRS
from euthymia.course.result import Course
from euthymia.report import charts
from euthymia.report.charts import Chart
from euthymia.report.series import DAY_H, WEEK_H, Line, Window, course_rows, dose_rows, rounded, spoken

TICKS_H = (0, 1, 4, 12, DAY_H, 3 * DAY_H, *(WEEK_H * w for w in (1, 2, 4, 8, 12, 26, 52, 104)))
NEAR_LINEAR_H = 4.0  # the axis is close to linear below this and logarithmic above
TICK_WORDS = (
    "datum.value < 24 ? format(datum.value, '~g') + ' h' : "
    "datum.value < 168 ? format(datum.value / 24, '~g') + ' d' : format(datum.value / 168, '~g') + ' wk'"
)


def own_part(course: Course) -> np.ndarray:
    """What the treatment itself takes off the score: the same patient and design without it, minus with it."""
    return course.values["MADRS untreated"] - course.values["MADRS"]


def madrs(course: Course) -> np.ndarray:
    return course.values["MADRS"]


def caps5(course: Course) -> np.ndarray:
    return course.values["CAPS-5"]


def own_caps5(course: Course) -> np.ndarray:
    """What the treatment, exposure included, takes off the CAPS-5."""
    return course.values["CAPS-5 untreated"] - course.values["CAPS-5"]


def has_ptsd(line: Line) -> bool:
    """Whether a course is one of PTSD."""
    return "CAPS-5" in line.course.values


def charts_of(lines: Sequence[Line]) -> list[Chart]:
    """MADRS, and the treatment's own part of it."""
    ptsd = [line for line in lines if has_ptsd(line)]
    first = []
    if ptsd:
        own = "The treatment's own part (CAPS-5 points taken off; higher is better)"
        first = [
            _chart(ptsd, "caps", "PTSD, CAPS-5 (points; lower is better)", caps5),
            _chart(ptsd, "caps-own", own, own_caps5),
        ]
    return [
        *first,
        _chart(lines, "madrs", "Depression, MADRS (points; lower is better)", madrs),
        _chart(lines, "own", "The treatment's own part (MADRS points taken off; higher is better)", own_part),
    ]


def _chart(lines: Sequence[Line], name: str, title: str, values: Callable[[Course], np.ndarray]) -> Chart:
    end_h = max(float(line.course.time_h[-1]) for line in lines)
    window = Window(name, title, "time since the start (hours stretched, weeks compressed)", 1.0, 0.0, end_h)
    data, lone = [], {}
    for line in lines:
        found, lone[line.label] = course_rows(line, name, window, values)
        data += found
    labels = [line.label for line in lines]
    x = charts.number(
        "t",
        title=window.unit,
        scale={"type": "symlog", "constant": NEAR_LINEAR_H, "domain": [0, end_h], "nice": False},
        axis={
            "values": [t for t in TICKS_H if t <= end_h],
            "labelExpr": TICK_WORDS,
            "labelOverlap": True,
            "labelSeparation": 8,
            "labelFlush": False,
            "grid": True,
            "gridOpacity": 0.6,
        },
    )
    low = min(0.0, 5 * np.floor(min(r["q25"] for r in data) / 5))
    high = min(60.0, 5 * np.ceil(1.2 * max(r["q75"] for r in data) / 5)) or 5.0
    y = charts.y_axis((float(low), float(high)), tickCount=6)
    tint, dashes = (f(labels, charts.LINE_LEGEND) for f in (charts.colour, charts.dash))
    doses = dose_rows(lines, window)
    layers = [
        *charts.bands(tint, dashes, x, y, "points", wide=False),
        charts.lone_lines(tint, x, y),
        *charts.doses(doses, labels, tint, x),
    ]
    if values is madrs and low <= REMISSION_MADRS <= high:
        layers += _remission(y)
    made = charts.spec(layers, labels, 320, bands=data, doses=doses, individuals=[])
    columns = ("Time", *labels)
    wanted = [t for t in (1, 4, DAY_H, 3 * DAY_H, *(WEEK_H * w for w in (1, 2, 4, 8, 12, 26, 52))) if t < end_h]
    table = []
    for time_h in [*wanted, end_h]:
        table.append((spoken(time_h), *(_at(line, name, values, time_h) for line in lines)))
    said = f"{title}. Median with the middle 50 % of patients. " + "; ".join(
        f"{label}: {cell}" for label, cell in zip(labels, table[-1][1:], strict=True)
    )
    return Chart(f"story-{name}", title, made, f"{said} at {table[-1][0]}.", columns, tuple(table), lone)


def _at(line: Line, name: str, values: Callable[[Course], np.ndarray], time_h: float) -> str:
    """Median and 90 % of patients at the nearest observation, or nothing where there is none near."""
    times = line.course.time_h
    k = int(np.abs(times - time_h).argmin())
    if abs(times[k] - time_h) > 0.1 * max(time_h, 1.0):
        return "not observed"
    low, middle, high = line.bands(name, values(line.course))[[0, 2, 4], k]
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def _remission(y: charts.Spec) -> list[charts.Spec]:
    """A line at the remission threshold, said on the line."""
    data = {"values": [{"q50": REMISSION_MADRS, "said": f"remission: {REMISSION_MADRS:g} or less"}]}
    line = {"type": "rule", "strokeDash": [3, 3], "color": charts.QUIET, "opacity": 0.8}
    text = {"type": "text", "align": "left", "baseline": "bottom", "dx": 5, "dy": -3, "color": charts.QUIET}
    said = {"field": "said", "type": "nominal"}
    return [
        {"data": data, "mark": line, "encoding": {"y": y}},
        {"data": data, "mark": text, "encoding": {"y": y, "x": {"value": 0}, "text": said}},
    ]


def pace(lines: Sequence[Line]) -> list[str]:
    """How fast and how lasting the treatment's own part is, one sentence per course, from its median."""
    return [_pace(line) for line in lines]


def _pace(line: Line) -> str:
    time_h = line.course.time_h
    middle = line.bands("own", own_part(line.course))[2]
    best = float(middle.max())
    if best < 0.5:
        return f"{line.label}: the treatment's own part stays below half a point."
    half = float(time_h[int((middle >= best / 2).argmax())])
    size = f"{rounded(best, 2):g} points in the median patient"
    said = f"{line.label}: half of its best effect ({size}) within {spoken(half)}"
    last = float(line.active_h[-1]) if len(line.active_h) else None
    if last is None or line.course.calendar.daily:
        return f"{said}; the daily treatment goes on."
    after = np.flatnonzero(time_h > last + DAY_H)
    if not len(after):
        return f"{said}."
    top = float(middle[np.flatnonzero(time_h > last)[: after[0] - np.flatnonzero(time_h > last)[0] + 1]].max())
    gone = after[middle[after] < top / 2]
    if not len(gone):
        return f"{said}; more than half of it is left at the end."
    return f"{said}; half of it is lost {spoken(float(time_h[gone[0]]) - last)} after the last session."
