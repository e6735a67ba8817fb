"""The pictures of a planned trial: mean scores over time, curves of time to an event, and a forest plot.

Curves are drawn twice, for a desktop and for a phone, because the numbers of patients below them need room.
"""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from euthymia.report.charts import INK, PALETTE, QUIET, RULE, Rows, Spec, look, number
from euthymia.report.compared import Comparison
from euthymia.report.series import DAY_H, WEEK_H, spoken
from euthymia.report.still import PANEL, Picture, drawn, extent, panel
from euthymia.trial.plan import Plan, PlannedEndpoint, groups

WIDE = 720  # px
HEIGHT = 260
BELOW = 50  # px from the axis to the first row of patients
LINE = 15  # px between two such rows
ROW = 54  # px of the forest plot for each comparison
MOST_ROWS = 10  # in one panel
LONGEST_IN_DAYS = 21
TIME_AXIS: Spec = {"grid": False, "tickCount": 8, "tickMinStep": 1, "format": "d"}
LOG_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
MORE_LOG_TICKS = (0.3, 0.7, 1.5, 3)
"""Where an axis is short enough for them; 1, no difference, must keep its word."""


def _unit(last_h: float) -> tuple[str, float]:
    return ("days", DAY_H) if last_h <= LONGEST_IN_DAYS * DAY_H else ("weeks", WEEK_H)


def _both(title: str, description: str, make: Callable[[int], Spec]) -> Picture:
    return Picture(title, description, (drawn(make(WIDE)),), (drawn(make(PANEL - 14)),))


def _below(rows: Rows, arms: Sequence[int], x: Spec, width: int, span: float) -> list[Spec]:
    """Patients still there below the axis, a row for each arm, at as many times as have room."""
    made: list[Spec] = [{
        "data": {"values": [{}]},
        "mark": {"type": "text", "align": "left", "fontSize": 11, "color": QUIET},
        "encoding": {"x": {"value": -30}, "y": {"value": HEIGHT + BELOW}, "text": {"value": "patients"}},
    }]  # fmt: skip
    for row, k in enumerate(arms):
        own = [r for r in rows if r["arm"] == k]
        kept: Rows = []
        for r in own:
            room = 7 * len(r["n"]) + 9
            near = lambda a, b, room=room: abs(a["t"] - b["t"]) / span * width < room  # noqa: E731
            if r is own[-1]:
                kept = [other for other in kept if not near(other, r)]
            if not kept or not near(kept[-1], r):
                kept.append(r)
        tint, dash = look(k)
        y = HEIGHT + BELOW + LINE * (row + 1)
        text = {"type": "text", "fontSize": 11, "color": tint, "baseline": "middle"}
        at = {"x": x, "y": {"value": y}, "text": {"field": "n", "type": "nominal"}}
        rule = {"type": "rule", "color": tint, "strokeWidth": 3, "strokeDash": dash}
        place = {"x": {"value": -32}, "x2": {"value": -14}, "y": {"value": y}}
        made += [
            {"data": {"values": kept}, "mark": text, "encoding": at},
            {"data": {"values": [{}]}, "mark": rule, "encoding": place},
        ]
    return made


def _people(n: float) -> str:
    return f"{n:,.0f}"


def trajectories(plan: Plan, table: pl.DataFrame) -> Picture:
    """Mean score of those still there by arm and visit, with its interval. table: `TrialResult.trajectories`."""
    names = groups(plan)
    last = float(table["time_h"].max() or 1.0)  # type: ignore[arg-type]
    unit, hours = _unit(last)
    span = last / hours
    rows: Rows = [
        {
            "arm": names.index(r["arm"]),
            "t": r["time_h"] / hours,
            "mean": r["mean"],
            "low": r["low"] if r["low"] == r["low"] else None,
            "high": r["high"] if r["high"] == r["high"] else None,
            "n": _people(r["n"]),
            "period": r["visit"] // len(plan.visits),
        }
        for r in table.iter_rows(named=True)
    ]
    arms = [k for k in range(len(names)) if any(r["arm"] == k for r in rows)]
    ends = extent([x for r in rows for x in (r["mean"], r["low"], r["high"]) if x is not None])

    def make(width: int) -> Spec:
        room = width - 40
        scale = {"domain": [-0.025 * span, 1.025 * span], "nice": False, "zero": False}
        x = number("t", title=f"{unit} from randomisation", scale=scale, axis=TIME_AXIS)
        y = number(
            "mean", title=f"{plan.scale.name}, mean (points)", scale={"domain": ends, "nice": False, "zero": False}
        )
        layers: list[Spec] = []
        for k in arms:
            tint, dash = look(k)
            # a few pixels apart, so that the intervals of two arms can be told apart
            shift = 5 * (k - (len(names) - 1) / 2) / room * span
            own = [r | {"t": r["t"] + shift} for r in rows if r["arm"] == k]
            data = {"data": {"values": own}}
            bar = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
            middle = {"x": x, "y": y, "detail": {"field": "period", "type": "nominal"}}
            there = {"transform": [{"filter": "isValid(datum.low)"}]}
            layers += [
                data | {"mark": {"type": "line", "color": tint, "strokeWidth": 1.8, "strokeDash": dash},
                        "encoding": middle},
                data | there | {"mark": {"type": "rule", "color": tint, "strokeWidth": 1.4}, "encoding": bar},
                data | {"mark": {"type": "point", "filled": True, "color": tint, "size": 34, "opacity": 1},
                        "encoding": {"x": x, "y": y}},
            ]  # fmt: skip
        return _framed(layers + _below(rows, arms, x, room, 1.05 * span), room)

    own_rows = {k: [r for r in rows if r["arm"] == k] for k in arms}
    said = "; ".join(f"{names[k]} from {own[0]['mean']:.1f} to {own[-1]['mean']:.1f}" for k, own in own_rows.items())
    text = f"Mean {plan.scale.name} of those still there: {said}. The table has the numbers."
    return _both("Mean score over time", text, make)


def _framed(layers: list[Spec], width: int) -> Spec:
    made = panel(layers, width, HEIGHT)
    made["padding"] = {"left": 4, "right": 12, "top": 8, "bottom": 6}
    made["config"]["axisY"] = {"minExtent": 38, "maxExtent": 38, "tickCount": 5}
    return made


def event_curves(plan: Plan) -> list[PlannedEndpoint]:
    """The endpoints whose curves differ."""
    found: dict[Any, PlannedEndpoint] = {}
    for e in plan.endpoints:
        if e.method in ("cox", "log-rank", "kaplan-meier"):
            last = plan.visit(e.at) if e.at else len(plan.visits) - 1
            found.setdefault((e.endpoint, last, plan.fall(e), plan.limit(e)), e)
    return list(found.values())


def survival(plan: Plan, endpoint: PlannedEndpoint, table: pl.DataFrame) -> Picture:
    """Share without the event over time, with its interval and the patients at risk. table: `TrialResult.curves`."""
    names = [arm.arm for arm in plan.arms]
    last = float(table["days"].max() or 1.0)  # type: ignore[arg-type]
    unit, hours = _unit(last * DAY_H)
    scaled = DAY_H / hours
    span = last * scaled
    rows: Rows = [
        {
            "arm": names.index(r["arm"]),
            "t": r["days"] * scaled,
            "n": _people(r["at risk"]),
            **{k: 100 * r[k] for k in ("share", "low", "high")},
        }
        for r in table.iter_rows(named=True)
    ]
    event = endpoint.endpoint.removeprefix("time to ")

    def make(width: int) -> Spec:
        room = width - 40
        scale = {"domain": [0, span], "nice": False}
        x = number("t", title=f"{unit} from randomisation", scale=scale, axis=TIME_AXIS)
        y = number("share", title=f"without {event} (%)", scale={"domain": [0, 100], "nice": False})
        layers: list[Spec] = []
        for k in range(len(names)):
            tint, dash = look(k)
            data = {"data": {"values": [r for r in rows if r["arm"] == k]}}
            step = {"interpolate": "step-after"}
            band = {"x": x, "y": y | {"field": "low"}, "y2": {"field": "high"}}
            line = {"type": "line", "color": tint, "strokeWidth": 2, "strokeDash": dash} | step
            layers += [
                data | {"mark": {"type": "area", "color": tint, "opacity": 0.13} | step, "encoding": band},
                data | {"mark": line, "encoding": {"x": x, "y": y}},
            ]
        return _framed(layers + _below(rows, range(len(names)), x, room, span), room)

    said = "; ".join(
        f"{names[k]} {own[-1]['share']:.0f} %" for k in range(len(names)) if (own := [r for r in rows if r["arm"] == k])
    )
    title = f"{endpoint.endpoint[0].upper()}{endpoint.endpoint[1:]}"
    text = f"Share without {event} at {spoken(last * DAY_H)}: {said}. The table has the numbers."
    return _both(title, text, make)


def forest(found: Sequence[Comparison]) -> Picture | None:
    """All comparisons that have an estimate, a panel for each measure; None where there is none."""
    known = [c for c in found if c.value is not None and c.low is not None and c.high is not None]
    panels = []
    for measure in dict.fromkeys(c.measure for c in known):
        same = [c for c in known if c.measure == measure]
        for first in range(0, len(same), MOST_ROWS):
            part = same[first : first + MOST_ROWS]
            panels.append(drawn(_forest(part, same, f"{measure.axis}; {measure.better}")))
    if not panels:
        return None
    said = "; ".join(f"{c.endpoint.label}, {c.against}: {c.estimate} ({c.between})" for c in known if c.primary)
    text = f"Forest plot of {len(known)} comparisons. Primary: {said or 'no estimate'}. The table has the numbers."
    return Picture("Comparisons", text, tuple(panels))


def _forest(rows: Sequence[Comparison], same: Sequence[Comparison], title: str) -> Spec:
    """One panel: endpoint and estimate, the arms, and the interval below them."""
    measure = rows[0].measure
    values = [x for c in same for x in (c.value, c.low, c.high) if x is not None]
    log = measure.nothing == 1 and min(values) > 0
    domain = [min(0.9, 0.9 * min(values)), max(1.1, 1.1 * max(values))] if log else extent([*values, measure.nothing])
    scale = {"domain": domain, "nice": False, "zero": False} | ({"type": "log"} if log else {})
    axis: Spec = {"tickCount": 5, "grid": False, "ticks": True, "domain": True, "domainColor": RULE}
    if log:
        ticks = LOG_TICKS + MORE_LOG_TICKS * (domain[1] < 6 * domain[0])
        axis |= {"values": sorted(v for v in ticks if domain[0] <= v <= domain[1]), "format": "~g"}
    x = {"scale": scale, "axis": axis}
    width, height = PANEL - 14, ROW * len(rows)
    data = [
        {
            "what": c.endpoint.label,
            "how": c.analysis,
            "who": c.against,
            "said": f"{c.estimate} ({c.between})",
            "primary": c.primary,
            "top": ROW * k + 10,
            "second": ROW * k + 24,
            "at": ROW * k + 40,
            "v": c.value,
            "low": c.low,
            "high": c.high,
        }
        for k, c in enumerate(rows)
    ]
    y = number("at", scale={"domain": [height, 0], "nice": False, "zero": False}, axis=None)
    fill = {"condition": {"test": "datum.primary", "value": INK}, "value": "#ffffff"}

    def words(field: str, at: str, place: float, **more: Any) -> Spec:
        encoding: Spec = {"x": {"value": place}, "y": y | {"field": at}, "text": {"field": field, "type": "nominal"}}
        return {"mark": {"type": "text", "fontSize": 11, "color": INK} | more, "encoding": encoding}

    def heavy(bold: bool) -> list[Spec]:
        test = {"transform": [{"filter": "datum.primary" if bold else "!datum.primary"}]}
        font = {"fontWeight": 700 if bold else 400}
        return [
            words("what", "top", 0, align="left", limit=width - 110, **font) | test,
            words("said", "top", width, align="right", **font) | test,
        ]

    layers: list[Spec] = [
        {
            "data": {"values": [{"z": measure.nothing, "at": d["at"] - 9, "to": d["at"] + 9} for d in data]},
            "mark": {"type": "rule", "color": "#8a949e", "strokeWidth": 1.2, "strokeDash": [4, 3]},
            "encoding": {"x": number("z", **x), "y": y, "y2": {"field": "to"}},
        },
        *heavy(True),
        *heavy(False),
        words("who", "second", 0, align="left", color=QUIET, limit=width - 6 * max(len(d["how"]) for d in data) - 8),
        words("how", "second", width, align="right", color=QUIET),
        {
            "mark": {"type": "rule", "color": PALETTE[0], "strokeWidth": 1.6},
            "encoding": {"x": number("low", **x), "x2": {"field": "high"}, "y": y},
        },
        {
            "mark": {"type": "point", "size": 62, "stroke": INK, "strokeWidth": 1.6, "shape": "square", "opacity": 1},
            "encoding": {"x": number("v", **x), "y": y, "fill": fill},
        },
    ]  # fmt: skip
    head, better = title.split("; ")
    made = panel(layers, width, height, head) | {"data": {"values": data}}
    made["title"] |= {"subtitle": better, "subtitleFontSize": 11, "subtitleColor": QUIET, "subtitlePadding": 3}
    return made
