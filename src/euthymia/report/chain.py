"""The whole chain, from plasma to mood and harm, on aligned time axes: the first 24 hours beside the whole course."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from euthymia.course.result import Course
from euthymia.report import charts
from euthymia.report.charts import Chart
from euthymia.report.numbers import readable
from euthymia.report.series import DAY_H, WEEK_H, Line, Window, course_rows, dose_rows, session_rows

HEIGHT = 118
TABLE_TIMES = 8
MANY_PEAKS = 30


@dataclass(frozen=True)
class Link:
    """One link of the chain. `peak`: the session variable shown over the whole course, for what lasts only hours."""

    key: str
    name: str
    unit: str
    says: str
    values: Callable[[Course], np.ndarray]
    peak: Callable[[Course], np.ndarray | None] | None = None
    top: float | None = None


def _value(name: str, scale: float = 1.0) -> Callable[[Course], np.ndarray]:
    return lambda course: course.values[name] * scale


def _peak(name: str, scale: float = 1.0) -> Callable[[Course], np.ndarray | None]:
    return lambda course: course.sessions[name] * scale if name in course.sessions else None


LINKS = (
    Link("ketamine", "Ketamine in plasma", "ng/mL", "Both enantiomers together.",
         _value("ketamine"), _peak("peak ketamine")),
    Link("norketamine", "Norketamine in plasma", "ng/mL", "The main metabolite; it outlasts ketamine.",
         _value("norketamine"), _peak("peak norketamine")),
    Link("occupancy", "NMDA receptors occupied", "%", "By both enantiomers and norketamine.",
         _value("occupancy", 100), _peak("peak occupancy", 100)),
    Link("surge", "Glutamate surge", "0 to 1", "Disinhibition; lost again at anaesthetic occupancy.",
         _value("surge"), _peak("peak surge"), 1.0),
    Link("bdnf", "BDNF drive", "0 to 1", "No human time course with numbers: half-life assumed.",
         _value("bdnf"), _peak("peak bdnf"), 1.0),
    Link("functional", "Functional plasticity", "0 to 1", "Fast: existing synapses speak louder.",
         _value("functional"), None, 1.0),
    Link("labile", "New synapses, labile", "0 to 1", "Grown within a day, lost within days.", _value("labile")),
    Link("consolidated", "Synapses, consolidated", "0 to 1", "What repeated sessions leave behind.",
         _value("consolidated")),
    Link("antidepressant", "Oral antidepressant effect", "log score", "Builds up over weeks.",
         _value("antidepressant effect")),
    Link("madrs", "Depression, MADRS", "points", "0 to 60, lower is better; true score, without rating noise.",
         _value("MADRS"), None, 60.0),
    Link("dissociation", "Dissociation, CADSS", "points", "Follows occupancy; weaker in later sessions.",
         _value("dissociation"), _peak("peak dissociation")),
    Link("pressure", "Systolic pressure, rise", "mmHg",
         "24 hours: caused by the drug. Whole course: highest reading, chance included.",
         _value("systolic rise"), _peak("peak systolic rise")),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A link with its two charts; a string where there is nothing to draw says why."""

    link: Link
    day: Chart
    whole: Chart | str


def windows(lines: Sequence[Line]) -> tuple[Window, Window]:
    """The first 24 hours and the whole course."""
    end_h = max(float(line.course.time_h[-1]) for line in lines)
    whole = ("weeks", WEEK_H) if end_h > 2 * WEEK_H else ("days", DAY_H)
    return (
        Window("day", "First 24 hours", "hours since the first session", 1.0, 0.0, DAY_H),
        Window("whole", "Whole course", f"{whole[0]} since the start", whole[1], 0.0, end_h),
    )


def rows(lines: Sequence[Line]) -> list[Row]:
    """Every link that moves in at least one of the courses."""
    day, whole = windows(lines)
    oral = any(line.course.calendar.daily for line in lines)
    made = []
    for link in LINKS:
        if link.key == "antidepressant" and not oral:
            continue
        top = link.top or _top(lines, link)
        made.append(Row(link, _window_chart(lines, link, day, top), _whole_chart(lines, link, whole, top)))
    return made


def _top(lines: Sequence[Line], link: Link) -> float:
    """Room for the upper band of every course and window, on one axis for both columns."""
    tops = [float(np.max(line.bands(link.key, link.values(line.course))[-1])) for line in lines]
    for line in lines:
        peak = link.peak(line.course) if link.peak else None
        if peak is not None and peak.size:
            tops.append(float(np.quantile(peak, 0.95, axis=0).max()))
    top = max(tops)
    if top <= 0:
        return 1.0
    step = 10.0 ** np.floor(np.log10(top))
    return float(next(m * step for m in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if m * step >= top * 0.999))


def _axis(window: Window) -> charts.Spec:
    whole = window.key == "whole"
    stop = window.on_axis(window.stop_h) if whole else DAY_H
    start = -0.015 * stop if whole else 0  # room for the peak of a session at the very start
    ticks = {"values": [0, 4, 8, 12, 16, 20, 24]} if not whole else {"tickCount": 7, "format": ".2~f"}
    return charts.number("t", title=window.unit, scale={"domain": [start, stop], "nice": False}, axis=ticks)


def _window_chart(lines: Sequence[Line], link: Link, window: Window, top: float) -> Chart:
    data, lone = [], {}
    for line in lines:
        found, lone[line.label] = course_rows(line, link.key, window, link.values)
        data += found
    labels = [line.label for line in lines]
    return _chart(link, window, top, data, lone, labels, dose_rows(lines, window))


def _whole_chart(lines: Sequence[Line], link: Link, window: Window, top: float) -> Chart | str:
    if link.peak is None:
        return _window_chart(lines, link, window, top)
    peaks = [link.peak(line.course) for line in lines]
    drawn = [(line, p) for line, p in zip(lines, peaks, strict=True) if p is not None and p.size and len(line.active_h)]
    if not drawn:
        if any(len(line.active_h) for line in lines):
            return "Back near rest within a day of each session, as in the first 24 hours."
        return "No ketamine is given."
    data, lone = [], {}
    span = window.on_axis(window.stop_h)
    for k, (line, peak) in enumerate(drawn):
        dodge = (k - (len(drawn) - 1) / 2) * span * 0.008  # sessions of two protocols at one time stay apart
        found, lone[line.label] = session_rows(line, window, peak, dodge)
        data += found
    labels = [line.label for line in lines]
    return _chart(link, window, top, data, lone, labels, dose_rows(lines, window), by_session=True)


def _chart(
    link: Link,
    window: Window,
    top: float,
    data: charts.Rows,
    lone: dict[str, dict],
    labels: Sequence[str],
    doses: charts.Rows,
    by_session: bool = False,
) -> Chart:
    title = f"{link.name}{' (peak of each session)' if by_session else ''}, {window.title.lower()} ({link.unit})"
    x, y, tint = _axis(window), charts.y_axis((0, top)), charts.colour(labels)
    shape = charts.peaks(tint, x, y, link.unit, many=len(data) > MANY_PEAKS * len(labels)) if by_session else []
    layers = [
        *(shape or charts.bands(tint, charts.dash(labels), x, y, link.unit)),
        charts.lone_lines(tint, x, y),
        *charts.doses(doses, labels, tint, x),
    ]
    made = charts.spec(layers, labels, HEIGHT, bands=data, doses=doses, individuals=[])
    table = []
    for label in labels:
        own = [r for r in data if r["p"] == label]
        picks = np.unique(np.linspace(0, len(own) - 1, min(TABLE_TIMES, len(own))).round().astype(int)) if own else []
        table += [charts.table_row(own[k]) for k in picks]
    id = f"{link.key}-{window.key}"
    return Chart(id, title, made, _spoken(title, data, labels), charts.BAND_COLUMNS, tuple(table), lone)


def _spoken(title: str, data: list[dict], labels: Sequence[str]) -> str:
    """The chart in words, for those who do not see it."""
    parts = []
    for label in labels:
        own = [r for r in data if r["p"] == label]
        if not own:
            parts.append(f"{label}: nothing to show")
            continue
        low, high = (f(own, key=lambda r: r["q50"]) for f in (min, max))
        parts.append(
            f"{label}: median between {readable(low['q50'])} (at {low['at']}) and {readable(high['q50'])} "
            f"(at {high['at']}), {readable(own[-1]['q50'])} at {own[-1]['at']}"
        )
    return f"{title}, median with bands of 50 % and 90 % of patients. " + "; ".join(parts) + "."
