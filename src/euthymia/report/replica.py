"""Predicted beside published for one trial: its page."""

import math
from collections.abc import Sequence
from pathlib import Path

from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.protocol import load as load_protocol
from euthymia.report.charts import INK, Spec, number
from euthymia.report.forest import COLOURS, INSIDE, section
from euthymia.report.notes import EXPECTANCY
from euthymia.report.rows import ERROR_UNIT, contained, percent, ran, totals, words
from euthymia.report.still import PANEL, Picture, drawn, extent, panel, render, written
from euthymia.trial.document import KIND, Arm, Trial
from euthymia.trial.observed import baseline
from euthymia.trial.validation import Row, Validation

FEWEST_TIMES = 3  # of a time course
DAY_H = 24.0


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
        domain = [0.0, 100.0] if same[0].kind == "rate" else extent(values)
        unit = "%" if percent(same[0]) else ERROR_UNIT.get(same[0].kind, "")
        panels.append(drawn(_course(course, domain, f"{arm} · {endpoint}{f' ({unit})' if unit else ''}")))
    if not panels:
        return None
    said = f"Time courses of {trial.trial}: {'; '.join(f'{e} in {a}' for e, a in courses)}. The table has the numbers."
    return Picture("Over time", said, tuple(panels))


def _course(course: dict[float, Row], domain: list[float], title: str) -> Spec:
    data = [
        {"t": t, "o": r.observed, "p": r.predicted, "l5": r.lower50, "u5": r.upper50, "l9": r.lower90, "u9": r.upper90}
        for t, r in course.items()
    ]
    ends = extent(list(course), 0.04)
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
    return panel(layers, PANEL - 50, 190, title) | {"data": {"values": data}}


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


def write_replica(validation: Validation, trial: Trial, folder: str | Path) -> Path:
    """Write predicted beside published for one trial as `<trial>.html` into `folder`, and return its path.

    Raises UserError when `validation` has no row of the trial, or the file cannot be written.
    """
    rows = [r for r in validation.rows if r.trial == trial.trial]
    if not rows:
        raise UserError(f"the validation has no row of the trial {trial.trial!r}.")
    one = Validation(tuple(rows), validation.patients, validation.seed, validation.fitted)
    text = render(
        "replica.html",
        **words(),
        contained=contained(one),
        ran=ran(one),
        colours=COLOURS,
        replica=trial,
        section=section(trial.trial, rows, trial),
        courses=time_courses(trial, rows),
        design=design(trial),
        arms=[(arm.arm, given(trial, arm)) for arm in trial.arms],
        totals=totals(one),
    )
    return written(text, Path(folder) / f"{trial.trial}.html")
