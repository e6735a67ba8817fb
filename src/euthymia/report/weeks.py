"""The calendar of a protocol: 26 weeks of sessions, exposure sessions, daily treatments and measures, drawn and listed.

Both show the course if no rule speaks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK, Administration, Schedule
from euthymia.protocol.document import Alongside, Protocol
from euthymia.protocol.expand import exposure_times, schedule
from euthymia.protocol.plain_words import SHOWN_H, SHOWN_WEEKS, dose_said
from euthymia.report.sketch import Sketch, folded, width_of
from euthymia.report.still import Table

ROW, ROOM = 16.0, 9.0
EDGE = 10.0
LINE = 15.0
GRID, BAR = "#c9d0d7", "#d7dce1"


@dataclass(frozen=True)
class Row:
    """One kind of event. kind: "session", "exposure", "measure" or "daily"; times_h: of each event, or the beginning
    and end of a daily treatment; labels: what stands over some of them."""

    title: str
    kind: str
    times_h: tuple[float, ...]
    labels: tuple[tuple[float, str], ...] = ()


def rows(protocol: Protocol) -> list[Row]:
    """What there is to draw, from the top."""
    made = schedule(protocol, SHOWN_H)
    found = []
    for phase in protocol.phases:
        given = [item for item in made.administrations if item.phase == phase.name]
        many = f"{len(given)} session{'s' * (len(given) != 1)}" if given else f"begins after week {SHOWN_WEEKS}"
        found.append(
            Row(f"{phase.name}: {many}", "session", tuple(item.time_h for item in given), tuple(_doses(given)))
        )
    for item in protocol.exposure:
        times = tuple(t for t in exposure_times(protocol, item) if t < SHOWN_H)
        found.append(Row(f"{item.therapy}: {len(times)} session{'s' * (len(times) != 1)}", "exposure", times))
    for item in protocol.alongside:
        if item.start_h < SHOWN_H:
            found.append(Row(f"every day: {_agent(item)}", "daily", (item.start_h, min(item.stop_h, SHOWN_H))))
    for scale, times in made.measure_h.items():
        found.append(Row(f"{scale} taken", "measure", tuple(t for t in times if t < SHOWN_H)))
    return found


def _agent(item: Alongside) -> str:
    return f"{item.agent} {item.dose}" if item.dose else item.agent


def _doses(given: Sequence[Administration]) -> Iterator[tuple[float, str]]:
    """Where the dose is another than before."""
    last = None
    for item in given:
        dose = dose_said(item)
        if dose != last:
            yield item.time_h, dose
        last = dose


def in_words(protocol: Protocol) -> str:
    """The picture for whoever does not see it; the table has every day."""
    said = "; ".join(
        f"{row.title}{_span(row)}" + (f", {', then '.join(dose for _, dose in row.labels)}" if row.labels else "")
        for row in rows(protocol)
    )
    return f"Calendar of {SHOWN_WEEKS} weeks. {said}."


def _span(row: Row) -> str:
    if not row.times_h:
        return ""
    first, last = (f"{t // HOURS_PER_DAY:g}" for t in (row.times_h[0], row.times_h[-1]))
    return f", day {first}" if first == last else f", day {first} to {last}"


# --- the picture ------------------------------------------------------------------------------------------------------


def draw(protocol: Protocol, width: float) -> Markup:
    """The calendar as SVG, `width` px wide: a row for each kind of event, named above it; weeks on the axis."""
    sketch = Sketch(width)
    right = width - EDGE
    scale = (right - EDGE) / SHOWN_H

    def at(time_h: float) -> float:
        return EDGE + time_h * scale

    places: list[tuple[Row, float]] = []
    y = 4.0
    titles: list[tuple[float, str]] = []
    for row in rows(protocol):
        for line in folded(row.title, right - EDGE, bold=True):
            titles.append((y + 11, line))
            y += LINE
        y += 14 if row.labels else 3
        places.append((row, y + ROW / 2))
        y += ROW + ROOM
    top, bottom = 2.0, y
    step = 2 if width > 500 else 4
    for week in range(0, SHOWN_WEEKS + 1):
        if week % step == 0:
            sketch.box((at(week * HOURS_PER_WEEK), top, 0.8, bottom - top), stroke=0, fill=GRID)
    for base, line in titles:
        _plate(sketch, EDGE, base, line, bold=True)
    for row, middle in places:
        _draw(sketch, row, middle, at, right)
    sketch.line([(EDGE, bottom), (right, bottom)])
    for week in range(0, SHOWN_WEEKS + 1, step):
        x = at(week * HOURS_PER_WEEK)
        sketch.line([(x, bottom), (x, bottom + 4)], stroke=1)
        sketch.words(x, bottom + 17, f"{week}", anchor="middle", size=11)
    sketch.words(right, bottom + 33, "weeks since the first day", anchor="end", size=11)
    return sketch.svg(0, bottom + 40)


def _plate(sketch: Sketch, x: float, base: float, text: str, **how) -> None:
    """Words on white, so that the grid does not strike them through."""
    sketch.box((x - 1, base - 11, width_of(text, bold=how.get("bold", False)) + 4, 14), stroke=0)
    sketch.words(x, base, text, **how)


def _draw(sketch: Sketch, row: Row, y: float, at, right: float) -> None:
    half = ROW / 2
    if row.kind == "daily":
        x0, x1 = (at(t) for t in row.times_h)
        sketch.box((x0, y - 4, max(x1 - x0, 2), 8), stroke=1, fill=BAR)
    for time_h in row.times_h if row.kind != "daily" else ():
        x = at(time_h)
        if row.kind == "session":
            sketch.circle(x, y, 3.4)
        elif row.kind == "exposure":
            sketch.polygon([(x - 4.6, y + 4), (x + 4.6, y + 4), (x, y - 5)], fill="#fff")
        else:
            sketch.line([(x, y - half + 2), (x, y + half - 2)], stroke=1.2)
    end = -1.0
    for time_h, label in row.labels:
        x = max(min(at(time_h) - 3, right - width_of(label, 11)), end)
        _plate(sketch, x, y - half - 2, label, size=11)
        end = x + width_of(label, 11) + 8


# --- the table --------------------------------------------------------------------------------------------------------


def table(protocol: Protocol) -> Table:
    """What happens in each of 26 weeks, by the day of the course (day 0 is the first)."""
    made = schedule(protocol, SHOWN_H)
    head = ["Week", "Sessions"] if protocol.phases else ["Week"]
    head += ["Exposure"] * bool(protocol.exposure) + ["Every day"] * bool(protocol.alongside) + ["Measured"]
    found = []
    for week in range(1, SHOWN_WEEKS + 1):
        first, last = (week - 1) * HOURS_PER_WEEK, week * HOURS_PER_WEEK
        cells = [f"{week}"]
        if protocol.phases:
            given = [item for item in made.administrations if first <= item.time_h < last]
            cells.append("; ".join(f"day {_day(item.time_h)}: {dose_said(item)}" for item in given))
        if protocol.exposure:
            cells.append(_days(t for t in made.exposures_h if first <= t < last))
        if protocol.alongside:
            cells.append("; ".join(_taken(item, first, last) for item in protocol.alongside if _on(item, first, last)))
        cells.append(_measured(made, first, last))
        found.append(tuple(cell or "-" for cell in cells))
    return Table("What happens in each week, by day of the course; day 0 is the first", tuple(head), found)


def _on(item: Alongside, first: float, last: float) -> bool:
    return item.start_h < last and item.stop_h > first


def _taken(item: Alongside, first: float, last: float) -> str:
    starts = f" from day {_day(item.start_h)}" if first < item.start_h else ""
    stops = f" until day {_day(item.stop_h)}" if item.stop_h < last else ""
    return f"{_agent(item)}{starts}{stops}"


def _measured(made: Schedule, first: float, last: float) -> str:
    said = []
    for scale, times in made.measure_h.items():
        days = _days(t for t in times if first <= t < last)
        if days:
            said.append(f"{scale} on {days}")
    return "; ".join(said)


def _days(times_h: Iterator[float]) -> str:
    days = list(dict.fromkeys(f"{int(t // HOURS_PER_DAY)}" for t in times_h))
    return f"day{'s' * (len(days) > 1)} {', '.join(days)}" if days else ""


def _day(time_h: float) -> str:
    return f"{time_h / HOURS_PER_DAY:.3g}"
