"""The page of a planned trial carried out on virtual patients: flow, trajectories, comparisons, survival, endpoints.

Of one replicate it reads like the report of a trial, with 95 % intervals; of several it shows what such trials would
find, with the middle 90 % of them.
"""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from euthymia.report.charts import DASHES, INK, PALETTE, QUIET, Rows, Spec, number
from euthymia.report.still import Picture, drawn, extent, panel, render, written
from euthymia.trial.plan import TIMES, Plan, PlannedEndpoint
from euthymia.trial.run import TrialResult

WIDE, HEIGHT, ROW = 560, 260, 42  # px
NUMBERS_AT = 48  # px below the axis
WEEK_H, DAY_H = 168.0, 24.0
UNITS = {
    "points": "points on the MADRS; below 0 favours the arm",
    "share": "percentage points",
    "ratio": "hazard ratio",
    "size": "effect size (Hedges' g); below 0 favours the arm",
}
UNIT = {
    "ancova": "points",
    "mmrm": "points",
    "within patients": "points",
    "hedges g": "size",
    "risk difference": "share",
    "kaplan-meier": "share",
    "cox": "ratio",
    "log-rank": "ratio",
}
"""Of every analysis a plan may name."""
MOST_CURVES = 200
"""Survival curves that make a band; more change it by less than a line's width."""
MOST_NUMBERS = 9
"""Visits whose number of patients fits under the axis."""


class Comparison(NamedTuple):
    """One line of the forest plot and of the table. found: p of one trial, or the share of trials that found it."""

    endpoint: str
    analysis: str
    arm: str
    comparator: str
    primary: bool
    unit: str
    estimate: float | None
    low: float | None
    high: float | None
    found: float | None
    error: float | None
    n: float
    nnt: float | None
    failed: int


def write_trial(result: TrialResult, path: str | Path) -> Path:
    """Write the page of a carried-out trial as one HTML file and return its path.

    Raises UserError when it cannot be written.
    """
    return written(page(result), Path(path))


def page(result: TrialResult) -> str:
    """The whole page as text."""
    rows = comparisons(result)
    return render(
        "trial.html",
        plan=result.plan,
        said=in_words(result.plan),
        headline=headline(result, rows),
        summary=result.summary(),
        once=result.replicates == 1,
        no_effect=result.no_effect,
        flow=flow(result),
        course=course(result),
        forest=forest(rows, result.replicates == 1),
        survival=survival(result),
        rows=rows,
        cells=cells,
        looks=looks(result),
    )


# --- numbers ----------------------------------------------------------------------------------------------------------


def comparisons(result: TrialResult) -> list[Comparison]:
    """Every endpoint and arm, in the order of the plan; shares in percentage points."""
    once = result.replicates == 1
    found = []
    for row in (result.estimates if once else result.power()).iter_rows(named=True):
        unit = UNIT[row["analysis"]]
        scale = 100.0 if unit == "share" else 1.0

        def told(name: str, scale: float = 1.0, row: dict = row) -> float | None:
            x = row.get(name)
            return scale * x if x is not None and isfinite(x) else None

        n = told("n") or 0.0
        found.append(
            Comparison(
                endpoint=row["endpoint"],
                analysis=row["analysis"],
                arm=row["arm"],
                comparator=row["comparator"] or "",
                primary=row["primary"],
                unit=unit,
                estimate=told("estimate", scale),
                low=told("low", scale),
                high=told("high", scale),
                found=told("p value" if once else "power"),
                error=None if once else told("standard error"),
                n=n + (told("n comparator") or 0.0) if once else n,
                nnt=told("NNT"),
                failed=int(told("estimate") is None) if once else row["failed"],
            )
        )
    return found


def headline(result: TrialResult, rows: Sequence[Comparison]) -> str:
    """What the primary endpoint says, with its uncertainty."""
    said = []
    for r in (r for r in rows if r.primary):
        against = f"{r.arm} against {r.comparator}" if r.comparator else r.arm
        if r.estimate is None:
            said.append(f"{r.endpoint}, {against}: no estimate")
            continue
        size = f"{_sized(r, r.estimate)} ({_sized(r, r.low)} to {_sized(r, r.high)}{_unit_word(r)})"
        if result.replicates == 1:
            said.append(f"{r.endpoint}, {against}: {size}, 95 % interval; p = {r.found:.3f}")
        else:
            what = "type I error" if result.no_effect else "power"
            said.append(f"{r.endpoint}, {against}: {size} in 90 % of trials; {what} {_power(r)}")
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."


def _sized(r: Comparison, x: float | None) -> str:
    return "–" if x is None else f"{x:.2f}" if r.unit in ("ratio", "size") else f"{x:.1f}"


def _unit_word(r: Comparison) -> str:
    return {"points": " points", "share": " percentage points", "ratio": "", "size": ""}[r.unit]


def _power(r: Comparison) -> str:
    if r.found is None:
        return "–"
    return f"{r.found:.3f}" if r.error is None else f"{r.found:.3f} ± {r.error:.3f}"


def cells(r: Comparison) -> tuple[str, ...]:
    """The line of a comparison in the endpoint table."""
    interval = "–" if r.low is None or r.high is None else f"{_sized(r, r.low)} to {_sized(r, r.high)}"
    nnt = "–" if r.nnt is None or r.unit != "share" else f"{r.nnt:.1f}"
    estimate = _sized(r, r.estimate) + (_unit_word(r) if r.estimate is not None else "")
    return (estimate, interval, _power(r), nnt, f"{r.n:.0f}", str(r.failed))


def looks(result: TrialResult) -> list[tuple[str, str]]:
    """For each look of an adaptive plan, how many trials stopped there."""
    plan = result.plan
    if not plan.adaptive:
        return []
    stopped = result.outcomes.stopped
    count = [int((stopped == k).sum()) for k in range(len(plan.adaptive.looks) - 1)]
    found = [
        (f"after {100 * share:g} % of the patients", f"{n} of {result.replicates}")
        for share, n in zip(plan.adaptive.looks, count, strict=False)
    ]
    return [*found, ("at the end", f"{result.replicates - sum(count)} of {result.replicates}")]


# --- the plan in words ------------------------------------------------------------------------------------------------


def in_words(plan: Plan) -> list[tuple[str, str]]:
    """The plan as a list of names and what is planned."""
    design = plan.design
    ratio = ":".join(map(str, plan.ratio))
    way = f"in blocks of {plan.randomisation.block}" if plan.randomisation.block else "by chance alone"
    said = [
        ("Design", f"{plan.type}; expectancy as with {design.expectancy}; {design.setting}, {design.sites} site(s)"),
        ("Population", plan.population + (f"; {len(plan.inclusion)} rule(s) of inclusion" if plan.inclusion else "")),
        ("Randomised", f"{plan.patients} patients, {ratio}, {way}, at {plan.number_of_sites} site(s)"),
        ("Arms", "; ".join(arm.arm + (" (comparator)" if arm.comparator else "") for arm in plan.arms)),
        ("Visits", f"{len(plan.visits)}, the last {plan.visits[-1] / WEEK_H:g} weeks from the start"),
        ("Level", f"{100 * plan.level:.3g} % for one comparison, two-sided"),
    ]
    if plan.dropout:
        worse = ", more of those whose last rating was high" if plan.dropout.more_per_point else ""
        said.append(("Dropout", f"{plan.dropout.per_week} a week{worse}"))
    if plan.note:
        said.append(("Note", plan.note))
    return said


# --- pictures ---------------------------------------------------------------------------------------------------------


class Box(NamedTuple):
    """One box of the flow: its name and lines of words."""

    name: str
    lines: tuple[str, ...]


def flow(result: TrialResult) -> tuple[list[Box], list[Box]]:
    """The boxes all patients pass, and those of each arm: means over replicates, with their range where it varies."""
    table = result.flow()

    def count(column: str, of: pl.DataFrame = table) -> str:
        x = of[column]
        low, high = int(x.min() or 0), int(x.max() or 0)  # pyright: ignore[reportArgumentType]
        return f"{low:,}" if low == high else f"{x.mean():,.0f} ({low:,} to {high:,})"

    once = table.unique("replicate")
    first = [Box("Screened", (count("screened", once),))]
    if result.plan.lead_in:
        first.append(Box("Entered the lead-in", (count("entered", once),)))
    total = table.group_by("replicate").agg(pl.col("randomised").sum())
    first.append(Box("Randomised", (count("randomised", total),)))
    arms = [
        Box(
            str(name),
            tuple(f"{what} {count(what, own)}" for what in ("randomised", "dropped out", "completed")),
        )
        for (name,), own in table.group_by("arm", maintain_order=True)
    ]
    return first, arms


def _looks(arms: Sequence[str]) -> tuple[Spec, Spec]:
    """Colour and dash of the arms."""

    def by_arm(looks: Sequence[Any]) -> Spec:
        chosen = [looks[k % len(looks)] for k in range(len(arms))]
        return {"field": "arm", "type": "nominal", "scale": {"domain": list(arms), "range": chosen}}

    return by_arm(PALETTE), by_arm(DASHES)


def _time_axis(last_h: float) -> tuple[float, str]:
    return (DAY_H, "days") if last_h <= 4 * WEEK_H else (WEEK_H, "weeks")


def _with_legend(made: Spec) -> Spec:
    made["config"]["legend"] |= {
        "orient": "top",
        "columns": 2,
        "symbolType": "stroke",
        "symbolSize": 220,
        "symbolStrokeWidth": 2.5,
    }
    return made


def course(result: TrialResult) -> Picture:
    """Mean rating of those still there, by arm and visit."""
    table = result.trajectories()
    arms = table["arm"].unique(maintain_order=True).to_list()
    unit, word = _time_axis(float(table["time_h"].max()))  # pyright: ignore[reportArgumentType]
    data: Rows = [
        {"arm": r["arm"], "t": r["time_h"] / unit, "mean": r["mean"], "low": r["low"], "high": r["high"]}
        for r in table.iter_rows(named=True)
        if isfinite(r["mean"])
    ]
    for r in data:
        for end in ("low", "high"):
            r[end] = r[end] if isfinite(r[end]) else r["mean"]
    ends = extent([v for r in data for v in (r["low"], r["high"])])
    tint, dashes = _looks(arms)
    x = number("t", title=f"{word} from randomisation", axis={"grid": False}, scale={"nice": False})
    y: Spec = {"scale": {"domain": ends, "nice": False, "zero": False}, "title": "MADRS", "axis": {"tickCount": 5}}
    layers = [
        {
            "mark": {"type": "area", "opacity": 0.14},
            "encoding": {"x": x, "y": number("low", **y), "y2": {"field": "high"}, "color": tint},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2},
            "encoding": {"x": x, "y": number("mean", **y), "color": tint, "strokeDash": dashes},
        },
        {
            "mark": {"type": "point", "filled": True, "size": 34, "opacity": 1},
            "encoding": {"x": x, "y": number("mean", **y), "color": tint},
        },
    ]
    band = "95 % interval of the mean" if result.replicates == 1 else "90 % of trials"
    layers.append(_numbers(table, arms, unit, x))
    return Picture(
        "Mean MADRS by visit",
        f"Mean MADRS of each arm by visit, of those still in the trial; bands: {band}; figures: how many.",
        (drawn(_with_legend(panel(layers, WIDE, HEIGHT) | {"data": {"values": data}})),),
    )


def _numbers(table: pl.DataFrame, arms: Sequence[str], unit: float, x: Spec) -> Spec:
    """How many were still there, a line for each arm, under the axis."""
    times = table["time_h"].unique().sort().to_list()
    shown = {t for t in times[:: -(-len(times) // MOST_NUMBERS)] if t == times[0] or t - times[0] > times[-1] / 15}
    layers = []
    for k, arm in enumerate(arms):
        data = [
            {"t": r["time_h"] / unit, "n": f"{r['n']:.0f}"}
            for r in table.filter(pl.col("arm") == arm).iter_rows(named=True)
            if r["time_h"] in shown
        ]
        place = {"x": x, "y": {"value": HEIGHT + NUMBERS_AT + 13 * k}, "text": {"field": "n"}}
        look = {"type": "text", "color": PALETTE[k % len(PALETTE)], "fontSize": 11, "clip": False}
        layers.append({"data": {"values": data}, "mark": look, "encoding": place})
    return {"layer": layers}


def forest(rows: Sequence[Comparison], once: bool) -> Picture | None:
    """Estimate and interval of every comparison, one panel for each unit."""
    panels = []
    for unit, title in UNITS.items():
        some = [r for r in rows if r.unit == unit and r.estimate is not None and r.low is not None]
        if some:
            panels.append(drawn(_forest(some, unit, title)))
    if not panels:
        return None
    band = "95 % interval" if once else "90 % of trials"
    words = f"Estimate and {band} of each comparison; filled: the primary endpoint."
    return Picture("Comparisons", words, tuple(panels))


def _forest(rows: Sequence[Comparison], unit: str, title: str) -> Spec:
    nothing = 1.0 if unit == "ratio" else 0.0
    data: Rows = [
        {
            "line": k,
            "what": f"{r.endpoint}, {r.analysis}" + (" *" if r.primary else ""),
            "arm": f"{r.arm} against {r.comparator}" if r.comparator else r.arm,
            "x": r.estimate,
            "low": r.low,
            "high": r.high,
            "primary": r.primary,
        }
        for k, r in enumerate(rows)
    ]
    values = [v for r in rows for v in (r.low, r.high, r.estimate) if v is not None and (unit != "ratio" or v > 0)]
    if unit == "ratio":
        values += [0.5, 2.0]
        scale: Spec = {"type": "log", "domain": [0.9 * min(values), 1.1 * max(values)], "nice": False, "clamp": True}
    else:
        scale = {"domain": extent([*values, nothing]), "nice": False, "zero": False}
    x = {"scale": scale, "title": title, "axis": {"tickCount": 6, "grid": True}}
    y = {"field": "line", "type": "ordinal", "axis": None, "scale": {"paddingInner": 0.2}}
    blue = PALETTE[0]
    filled = {"condition": {"test": "datum.primary", "value": blue}, "value": "#ffffff"}
    words = {"align": "left", "baseline": "middle", "clip": False, "limit": WIDE}
    layers = [
        {
            "data": {"values": [{"x": nothing}]},
            "mark": {"type": "rule", "color": QUIET, "strokeDash": [3, 3]},
            "encoding": {"x": number("x", **x)},
        },
        {
            "mark": {"type": "rule", "color": blue, "strokeWidth": 1.6},
            "encoding": {"y": y, "x": number("low", **x), "x2": {"field": "high"}},
        },
        {
            "mark": {"type": "point", "stroke": blue, "size": 70, "opacity": 1, "strokeWidth": 1.6},
            "encoding": {"y": y, "x": number("x", **x), "fill": filled},
        },
        *(
            {
                "mark": {"type": "text", "dy": dy, "fontSize": 11, "color": colour} | words,
                "encoding": {"y": y, "x": {"value": 0}, "text": {"field": field, "type": "nominal"}},
            }
            for field, dy, colour in (("what", -15, INK),)
        ),
        {
            "mark": {"type": "text", "dy": -15, "fontSize": 11, "color": QUIET} | words | {"align": "right"},
            "encoding": {"y": y, "x": {"value": WIDE}, "text": {"field": "arm", "type": "nominal"}},
        },
    ]
    return panel(layers, WIDE, ROW * len(rows)) | {"data": {"values": data}}


def _is_time(endpoint: PlannedEndpoint) -> bool:
    return endpoint.endpoint in TIMES


def survival(result: TrialResult) -> Picture | None:
    """Kaplan and Meier's curves of every time to an event: of one trial with its 95 % interval, of several the middle
    90 % of their curves."""
    plan = result.plan
    kinds = {e.endpoint: e for e in plan.endpoints if _is_time(e)}
    if not kinds or plan.periods:
        return None
    panels = []
    for e in kinds.values():
        curves = [result.survival(e, r) for r in range(min(result.replicates, MOST_CURVES))]
        last = plan.visits[-1] / DAY_H
        at = np.unique(np.concatenate([[0.0, last], *(c.time for by in curves for c in by.values())]))
        at = at[at <= last]
        data: Rows = []
        for arm in plan.arms:
            share = np.stack([_stepped(by[arm.arm].time, by[arm.arm].survival, at) for by in curves])
            if len(curves) == 1:
                own = curves[0][arm.arm]
                low, high = (_stepped(own.time, x, at) for x in (own.low, own.high))
                middle = share[0]
            else:
                low, middle, high = np.quantile(share, [0.05, 0.5, 0.95], axis=0)
            data += [
                {"arm": arm.arm, "t": float(t), "s": 100 * float(m), "low": 100 * float(a), "high": 100 * float(b)}
                for t, m, a, b in zip(at, middle, low, high, strict=True)
            ]
        panels.append(drawn(_curve(data, [arm.arm for arm in plan.arms], e.endpoint)))
    band = "95 % interval" if len(curves) == 1 else f"the middle 90 % of {len(curves)} trials"
    return Picture("Time to an event", f"Share of each arm without the event by day; bands: {band}.", tuple(panels))


def _stepped(time: np.ndarray, value: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A curve that starts at 1 and falls in steps, read at `at`."""
    return np.concatenate([[1.0], value])[np.searchsorted(time, at, side="right")]


def _curve(data: Rows, arms: Sequence[str], event: str) -> Spec:
    tint, dashes = _looks(arms)
    x = number("t", title="days from randomisation", axis={"grid": False}, scale={"nice": False})
    what = f"% without {event.removeprefix('time to ')}"
    y: Spec = {"scale": {"domain": [0, 100]}, "title": what, "axis": {"tickCount": 5}}
    step = {"interpolate": "step-after"}
    layers = [
        {
            "mark": {"type": "area", "opacity": 0.14} | step,
            "encoding": {"x": x, "y": number("low", **y), "y2": {"field": "high"}, "color": tint},
        },
        {
            "mark": {"type": "line", "strokeWidth": 2} | step,
            "encoding": {"x": x, "y": number("s", **y), "color": tint, "strokeDash": dashes},
        },
    ]
    return _with_legend(panel(layers, WIDE, 240) | {"data": {"values": data}})
