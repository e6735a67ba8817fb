"""Predicted beside published for one trial: its page."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.protocol import load as load_protocol
from euthymia.report.charts import Spec, look, number
from euthymia.report.forest import COLOURS, section
from euthymia.report.notes import EXPECTANCY
from euthymia.report.rows import ERROR_UNIT, contained, percent, ran, totals, words
from euthymia.report.still import PANEL, Picture, drawn, extent, panel, render, written
from euthymia.trial.document import KIND, Arm, Endpoint, Trial
from euthymia.trial.observed import baseline, observed
from euthymia.trial.statistics import Z, wilson
from euthymia.trial.validation import Row, Validation

FEWEST_TIMES = 2  # of a time course
FIRST_LOOK = 2  # the first two colours say inside and outside on this page
DAYS: Spec = {"grid": False, "tickMinStep": 1, "format": "~r"}
DAY_H = 24.0


class Point(NamedTuple):
    """A row at its time (days), and the 95 % interval of what was published, where there is one."""

    row: Row
    days: float
    low: float | None
    high: float | None


def points(trial: Trial, rows: Sequence[Row]) -> list[Point]:
    """The rows of single arms whose time the document tells and which count all patients."""
    places: dict[tuple[str, str], list[Endpoint]] = {}
    for e in trial.endpoints:
        if KIND[e.measure] != "spread":
            places.setdefault((" ".join(e.evidence), e.called or " - ".join(e.arm)), []).append(e)
    names, found = {arm.arm for arm in trial.arms}, []
    for row in rows:
        same = [e for e in places.get((row.evidence, row.arm), ()) if row.endpoint.startswith(e.measure)]
        here = [e for e in same if not e.followed and (e.when or str(e.at)) == row.time]
        if row.arm in names and len({e.at.value for e in here}) == 1:
            found.append(Point(row, here[0].at.value / DAY_H, *_interval(row, observed(here[0], trial.set).se)))
    return found


def _interval(row: Row, se: float | None) -> tuple[float | None, float | None]:
    """Of the published value, 95 %: from its standard error, or of a rate from the number of patients."""
    if row.observed is None:
        return None, None
    if row.kind == "rate" and row.n:
        low, high = wilson(row.observed / 100 * row.n, row.n)
        return 100 * low, 100 * high
    if se is None or row.kind not in ("rate", "change"):
        return None, None
    return row.observed - Z * se, row.observed + Z * se


def time_courses(trial: Trial, rows: Sequence[Row]) -> Picture | None:
    """Each measure that an arm has at two or more times: published over predicted; None where there is none."""
    courses: dict[str, dict[str, dict[float, Point]]] = {}
    for p in points(trial, rows):
        courses.setdefault(p.row.endpoint, {}).setdefault(p.row.arm, {}).setdefault(p.days, p)
    courses = {e: arms for e, arms in courses.items() if max(map(len, arms.values())) >= FEWEST_TIMES}
    if not courses:
        return None
    order = [arm.arm for arm in trial.arms]
    panels = tuple(drawn(_course(endpoint, arms, order)) for endpoint, arms in courses.items())
    said = "; ".join(f"{endpoint} in {', '.join(arms)}" for endpoint, arms in courses.items())
    return Picture("Over time", f"Time courses of {trial.trial}: {said}. The table has the numbers.", panels)


def _course(endpoint: str, arms: Mapping[str, Mapping[float, Point]], order: Sequence[str]) -> Spec:
    """One measure: every arm's prediction with its band, and what was published."""
    every = [p for course in arms.values() for p in course.values()]
    kind = every[0].row.kind
    unit = "%" if percent(every[0].row) else ERROR_UNIT.get(kind, "")
    values = [x for p in every for x in (p.row.observed, p.row.lower90, p.row.upper90, p.low, p.high) if x is not None]
    domain = [0.0, 100.0] if kind == "rate" else extent(values)
    days = [p.days for p in every]
    ends, width = extent(days, 0.05), PANEL - 50
    x = number("t", title="days", scale={"domain": ends, "nice": False, "zero": False}, axis=DAYS)
    y = {"scale": {"domain": domain, "nice": False, "zero": False}, "axis": {"tickCount": 5}}
    bands: list[Spec] = []
    lines: list[Spec] = []
    for name in (n for n in order if n in arms):
        k = order.index(name)
        tint, dash = look(FIRST_LOOK + k)
        # published values of two arms stand a few pixels apart
        shift = 5 * (k - (len(order) - 1) / 2) / width * (ends[1] - ends[0])
        data = [
            {"t": p.days, "at": p.days + shift, "o": p.row.observed, "p": p.row.predicted, "l9": p.row.lower90,
             "u9": p.row.upper90, "low": p.low, "high": p.high}
            for p in sorted(arms[name].values(), key=lambda p: p.days)
        ]  # fmt: skip
        here = {"data": {"values": data}}
        at = x | {"field": "at"}
        # of one time there is no band to fill, so its ends are joined
        wide = {"type": "rule", "strokeWidth": 6} if len(data) == 1 else {"type": "area"}
        middle = {"x": x, "y": number("p", **y)}
        spread = {"x": x, "y": number("l9", **y), "y2": {"field": "u9"}}
        bar = {"x": at, "y": number("low", **y), "y2": {"field": "high"}}
        diamond = {"type": "point", "shape": "diamond", "fill": tint, "stroke": "#ffffff", "strokeWidth": 0.7,
                   "size": 74, "opacity": 1}  # fmt: skip
        bands.append(here | {"mark": wide | {"color": tint, "opacity": 0.13}, "encoding": spread})
        lines += [
            here | {"mark": {"type": "line", "color": tint, "strokeWidth": 1.8, "strokeDash": dash},
                    "encoding": middle},
            here | {"mark": {"type": "point", "fill": "#ffffff", "stroke": tint, "size": 30, "opacity": 1},
                    "encoding": middle},
            here | {"transform": [{"filter": "isValid(datum.low)"}], "encoding": bar,
                    "mark": {"type": "rule", "color": tint, "strokeWidth": 1.2}},
            here | {"transform": [{"filter": "isValid(datum.o)"}], "mark": diamond,
                    "encoding": {"x": at, "y": number("o", **y)}},
        ]  # fmt: skip
    return panel([*bands, *lines], width, 210, f"{endpoint}{f' ({unit})' if unit else ''}")


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
    if arm.alongside:
        parts.append(f"{' and '.join(arm.alongside)} every day")
    if arm.exposure:
        parts.append(f"exposure therapy, {_days(arm.exposure)}")
    mean, sd = baseline(arm.baseline, trial.set)
    scale = "score" if trial.illness == "PTSD" else "MADRS"
    parts.append(f"{scale} at entry {mean:.1f} (SD {sd:.1f})")
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


def page(validation: Validation, trial: Trial) -> str:
    """The page of one trial as text. Raises UserError when `validation` has no row of it."""
    rows = [r for r in validation.rows if r.trial == trial.trial]
    if not rows:
        raise UserError(f"the validation has no row of the trial {trial.trial!r}.")
    one = Validation(tuple(rows), validation.patients, validation.seed, validation.fitted)
    return render(
        "replica.html",
        **words(),
        contained=contained(one),
        ran=ran(one),
        colours=COLOURS,
        replica=trial,
        section=section(trial.trial, rows, trial),
        courses=time_courses(trial, rows),
        arm_names=[arm.arm for arm in trial.arms],
        first_look=FIRST_LOOK,
        design=design(trial),
        arms=[(arm.arm, given(trial, arm)) for arm in trial.arms],
        totals=totals(one),
    )


def write_replica(validation: Validation, trial: Trial, folder: str | Path) -> Path:
    """Write predicted beside published for one trial as `<trial>.html` into `folder`, and return its path.

    Raises UserError when `validation` has no row of the trial, or the file cannot be written.
    """
    return written(page(validation, trial), Path(folder) / f"{trial.trial}.html")
