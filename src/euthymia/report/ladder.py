"""The dose ladder: antidepressant effect, dissociation and loss of consciousness over the dose, in one picture."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.report import charts
from euthymia.report.charts import Chart
from euthymia.report.numbers import readable
from euthymia.report.series import rounded

Interval = tuple[float, float, float]
"""Median, 5th and 95th percentile of patients."""


class Rung(TypedDict):
    """One dose of the ladder. `extrapolated` left out: told from the doses of the antidepressant trials.

    antidepressant_effect: MADRS points that the drug itself takes off at 24 h; dissociation: CADSS points;
    loss_of_consciousness: percent of patients.
    """

    dose: str
    mg_per_kg: float
    antidepressant_effect: Interval
    dissociation: Interval
    loss_of_consciousness: Interval
    extrapolated: NotRequired[bool]


EFFECTS = (
    ("antidepressant_effect", "Antidepressant effect at 24 h (MADRS points taken off by the drug)", "#0072B2"),
    ("dissociation", "Peak dissociation (CADSS points)", "#D55E00"),
    ("loss_of_consciousness", "Loss of consciousness (% of patients)", "#000000"),
)


def trial_doses() -> tuple[float, float]:
    """Lowest and highest racemic dose (mg/kg, intravenous) of the antidepressant trials in the evidence."""
    found = []
    for row in evidence.outcomes(set=("calibration", "validation", "context")):
        if row.drug == "racemic ketamine" and row.route == "intravenous" and row.dose_unit == "mg/kg":
            try:
                found.append(float(row.dose))
            except ValueError:
                continue
    return min(found), max(found)


def charts_of(ladder: Sequence[Rung]) -> list[Chart]:
    """One chart per effect over one dose axis. Raises UserError for a rung that lacks something."""
    low, high = trial_doses()
    for number, rung in enumerate(ladder):
        for key in ("dose", "mg_per_kg", *(key for key, _, _ in EFFECTS)):
            if key not in rung:
                raise UserError(f"rung {number + 1} of the dose ladder has no {key!r}; every rung must have one.")
        if not rung["mg_per_kg"] > 0:
            raise UserError(
                f"rung {number + 1} of the dose ladder: mg_per_kg must be above 0, got {rung['mg_per_kg']!r}."
            )
    rungs = sorted(ladder, key=lambda rung: rung["mg_per_kg"])
    outside = [r.get("extrapolated", not low <= r["mg_per_kg"] <= high) for r in rungs]
    return [_chart(rungs, outside, high, *effect) for effect in EFFECTS]


def _chart(rungs: Sequence[Rung], outside: Sequence[bool], high: float, key: str, title: str, tint: str) -> Chart:
    data = []
    for rung, beyond in zip(rungs, outside, strict=True):
        value, a, b = rung[key]  # type: ignore[literal-required]
        numbers = {"mg": rung["mg_per_kg"], "v": value, "low": a, "high": b}
        data.append(
            {"dose": rung["dose"], "where": "extrapolated" if beyond else "trial doses"}
            | {k: rounded(v) for k, v in numbers.items()}
        )
    doses = sorted({d["mg"] for d in data})
    x_scale = {"type": "log", "domain": [doses[0] / 1.25, doses[-1] * 1.25], "nice": False}
    x = charts.number(
        "mg",
        title="racemic ketamine, intravenous (mg/kg, log axis)",
        scale=x_scale,
        axis={"values": doses, "format": "~g", "labelOverlap": True},
    )
    top = 100.0 if "%" in title else max(d["high"] for d in data) * 1.05 or 1.0
    y_scale = {"domain": [min(0.0, *(d["low"] for d in data)), top], "nice": False}
    y = charts.number("v", scale=y_scale, axis={"maxExtent": charts.Y_ROOM, "tickCount": 5})
    said = [
        charts.tip("dose", "dose", "nominal"),
        charts.tip("v", "median"),
        charts.tip("low", "5 %"),
        charts.tip("high", "95 %"),
        charts.tip("where", "evidence", "nominal"),
    ]
    zone, layers = [], []
    if any(outside):
        zone = [{"mg": high, "to": doses[-1] * 1.25, "said": "extrapolated"}]
        words = {"x": x, "y": {"value": 0}, "text": {"field": "said", "type": "nominal"}}
        layers = [
            charts.layer("zone", "rect", {"x": x, "x2": {"field": "to"}}, color="#f3eee3"),
            charts.layer(
                "zone", "text", words, align="left", baseline="top", dx=5, dy=4, fontStyle="italic", color="#6b5600"
            ),
        ]
    hollow = {"condition": {"test": "datum.where == 'extrapolated'", "value": "#ffffff"}, "value": tint}
    spread = {"x": x, "y": charts.reading(y, "low"), "y2": {"field": "high"}}
    layers += [
        charts.layer("rungs", "area", spread, opacity=0.18, color=tint),
        charts.layer("rungs", "line", {"x": x, "y": y}, strokeWidth=2.2, color=tint),
        charts.layer(
            "rungs",
            "point",
            {"x": x, "y": y, "fill": hollow, "tooltip": said},
            stroke=tint,
            strokeWidth=2,
            size=60,
            opacity=1,
        ),
    ]
    made = charts.spec(layers, [], 150, rungs=data, zone=zone)
    table = tuple((d["dose"], *(readable(d[k]) for k in ("v", "low", "high")), d["where"]) for d in data)
    best = max(data, key=lambda d: d["v"])
    told = (
        f"{title} from {rungs[0]['dose']} to {rungs[-1]['dose']}: highest, {readable(best['v'])}, at {best['dose']}; "
        f"{readable(data[-1]['v'])} at {data[-1]['dose']}. Doses above {high:g} mg/kg are extrapolated."
    )
    return Chart(f"ladder-{key}", title, made, told, ("Dose", "Median", "5 %", "95 %", "Evidence"), table)
