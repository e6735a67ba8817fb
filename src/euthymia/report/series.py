"""From courses to what is drawn: medians and bands between patients, individuals, session peaks and doses.

Everything is aggregated and rounded here, so that a page stays small whatever the number of patients.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from euthymia.course.result import Course
from euthymia.drug.compounds import COMPOUNDS

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
KEYS = ("q05", "q25", "q50", "q75", "q95")
INDIVIDUALS = 40
BAND_PATIENTS = 20_000  # bands need no more: their sampling error is then far below a line's width
WHOLE_COURSE_TIMES = 300
INDIVIDUAL_TIMES = 70
DAY_H, WEEK_H = 24.0, 168.0


def rounded(x: float, digits: int = 3) -> float | None:
    """`x` to so many significant digits; None where there is no number."""
    return float(f"{x:.{digits}g}") if np.isfinite(x) else None


@dataclass(frozen=True)
class Window:
    """A stretch of the course on one axis. `key` in the page; `unit_h`: hours in one unit of the axis."""

    key: str
    title: str
    unit: str
    unit_h: float
    start_h: float
    stop_h: float

    def on_axis(self, time_h: float) -> float:
        return (time_h - self.start_h) / self.unit_h


class Line:
    """One course with its place and name in the report."""

    def __init__(self, course: Course, index: int, label: str) -> None:
        self.course, self.index, self.label = course, index, label
        self._bands: dict[str, np.ndarray] = {}

    @cached_property
    def active_h(self) -> np.ndarray:
        """Times of the sessions that give ketamine."""
        given = self.course.calendar.administrations
        return np.array([a.time_h for a in given if a.compound in COMPOUNDS and a.time_h < self.course.time_h[-1]])

    @cached_property
    def first_h(self) -> float:
        """The first session of any kind, where the first 24 hours begin; the start where there is none."""
        return float(self.course.session_h[0]) if len(self.course.session_h) else 0.0

    def window(self, window: Window) -> Window:
        """The first day begins with this course's own first session."""
        if window.key != "day":
            return window
        return Window(window.key, window.title, window.unit, window.unit_h, self.first_h, self.first_h + DAY_H)

    def bands(self, name: str, values: np.ndarray) -> np.ndarray:
        """Quantiles between patients, [quantiles, times]."""
        if name not in self._bands:
            self._bands[name] = np.quantile(values[:BAND_PATIENTS], QUANTILES, axis=0)
        return self._bands[name]


def thinned(chosen: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the indices, evenly, first and last kept."""
    if len(chosen) <= most:
        return chosen
    return chosen[np.unique(np.linspace(0, len(chosen) - 1, most).round().astype(int))]


def telling(chosen: np.ndarray, median: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the indices: the first fifth as it is, then each stretch's lowest and highest median.

    Even thinning of two years of weekly sessions would beat against the week and draw waves that are not there.
    """
    if len(chosen) <= most:
        return chosen
    head, tail = chosen[: most // 5], chosen[most // 5 :]
    kept = [head, chosen[-1:]]
    for part in np.array_split(tail, (most - len(head) - 1) // 2):
        kept.append(part[[int(median[part].argmin()), int(median[part].argmax())]])
    return np.unique(np.concatenate(kept))


def band_rows(line: Line, time: np.ndarray, bands: np.ndarray, hours: np.ndarray | None = None) -> list[dict]:
    """One row per time: p (label), t (axis), the quantiles, and the time in words for the tooltip."""
    hours = time if hours is None else hours
    return [
        {"p": line.label, "t": rounded(t, 4), "at": spoken(h)}
        | {k: rounded(q) for k, q in zip(KEYS, column, strict=True)}
        for t, h, column in zip(time, hours, bands.T, strict=True)
    ]


def spoken(hours: float) -> str:
    """A time as people say it: start, 40 min, 4 h, 3 d, 2.1 wk."""
    if hours == 0:
        return "start"
    units = ((1 / 60, "min", 1.99), (1.0, "h", 47.0), (DAY_H, "d", 13.99 * DAY_H), (WEEK_H, "wk", np.inf))
    unit_h, unit = next((unit_h, unit) for unit_h, unit, until_h in units if hours < until_h)
    amount = hours / unit_h
    return f"{amount:.0f} {unit}" if amount >= 10 else f"{amount:.2g} {unit}"


def course_rows(line: Line, name: str, window: Window, values: Callable[[Course], np.ndarray]) -> tuple[list, dict]:
    """Band rows of a variable in a window, and the same patients' individual lines, compact (times once)."""
    w = line.window(window)
    time_h = line.course.time_h
    inside = np.flatnonzero((time_h >= w.start_h - 1e-9) & (time_h <= w.stop_h + 1e-9))
    array = values(line.course)
    bands = line.bands(name, array)
    every, few = (telling(inside, bands[2], most) for most in (WHOLE_COURSE_TIMES, INDIVIDUAL_TIMES))
    rows = band_rows(line, (time_h[every] - w.start_h) / w.unit_h, bands[:, every], time_h[every] - w.start_h)
    return rows, individuals((time_h[few] - w.start_h) / w.unit_h, array[:INDIVIDUALS][:, few])


def session_rows(line: Line, window: Window, peaks: np.ndarray, dodge: float) -> tuple[list, dict]:
    """As `course_rows` for what lasts hours: its peak in each session, [patients, sessions]."""
    session_h = line.course.session_h
    time = session_h / window.unit_h
    every = thinned(np.arange(len(time)), WHOLE_COURSE_TIMES)
    bands = np.quantile(peaks[:BAND_PATIENTS], QUANTILES, axis=0)
    rows = band_rows(line, time[every] + dodge, bands[:, every], session_h[every])
    return rows, individuals(time + dodge, peaks[:INDIVIDUALS])


def individuals(time: np.ndarray, values: np.ndarray) -> dict:
    """Compact: the times once, then one list per patient."""
    return {"t": [rounded(t, 4) for t in time], "v": [[rounded(x) for x in row] for row in values]}


def dose_rows(lines: Sequence[Line], window: Window) -> list[dict]:
    """Where ketamine is given: a small mark above the chart, one row per protocol."""
    rows = []
    for line in lines:
        w = line.window(window)
        for time_h in line.active_h[(line.active_h >= w.start_h - 1e-9) & (line.active_h <= w.stop_h)]:
            rows.append({"p": line.label, "t": rounded(w.on_axis(time_h), 4), "at": spoken(time_h)})
    return rows
