"""The pictures of a search: the front, courses by day, and how probably each regimen is the best."""

import numpy as np
import polars as pl

from euthymia.design.aims import CURVES
from euthymia.design.decision import front
from euthymia.design.find import Design
from euthymia.design.space import counted
from euthymia.report.charts import QUIET, Rows, Spec, look, number
from euthymia.report.design_words import CLOSE, chance, titled
from euthymia.report.still import PANEL, Picture, drawn, extent, panel

WIDE, HEIGHT = 720, 320
SHOWN = 3
"""Regimens whose courses are drawn beside the one that was found."""


def front_picture(found: Design, burden: str) -> Picture:
    """Every regimen by a burden and the aim: the front, what keeps the limits, and the rest."""
    aim, table = found.asked.aim, found.table()
    rows: Rows = []
    for r in table.iter_rows(named=True):
        what = place(r)
        y, low, high = (r[f"{aim.measure}{end}"] for end in ("", " low", " high"))
        name = str(found.space.regimens[r["regimen"]])
        rows.append({"x": r[burden], "y": y, "low": low, "high": high, "what": what, "name": name})
    colours = {"on the front": look(0)[0], "beaten": "#8c959f", "breaks a limit": look(1)[0]}
    shapes = {"on the front": "circle", "beaten": "triangle-down", "breaks a limit": "cross"}
    there = [k for k in colours if any(r["what"] == k for r in rows)]

    def make(width: int) -> Spec:
        x = number("x", title=titled(burden), scale={"zero": False})
        y = {"title": titled(aim.measure), "scale": {"zero": False}}
        tint = {"field": "what", "type": "nominal", "scale": {"domain": there, "range": [colours[k] for k in there]}}
        shape = {"field": "what", "type": "nominal", "scale": {"domain": there, "range": [shapes[k] for k in there]}}
        able = [r for r in rows if r["what"] != "breaks a limit"]
        line = [r for r, on in zip(able, _between_two(able, aim.sign), strict=True) if on]
        chosen = [r for r in rows if r["name"] == str(found.chosen)]
        layers: list[Spec] = [
            {"data": {"values": line}, "mark": {"type": "line", "color": colours["on the front"], "opacity": 0.4},
             "encoding": {"x": x, "y": number("y", **y), "order": {"field": "y"}}},
            {"data": {"values": rows}, "mark": {"type": "point", "filled": True, "size": 55, "opacity": 0.85},
             "encoding": {"x": x, "y": number("y", **y), "color": tint, "shape": shape}},
            {"data": {"values": chosen}, "mark": {"type": "rule", "color": colours["on the front"], "strokeWidth": 1.5},
             "encoding": {"x": x, "y": number("low", **y), "y2": {"field": "high"}}},
            {"data": {"values": chosen}, "mark": {"type": "point", "size": 170, "color": "#000000", "strokeWidth": 1.8},
             "encoding": {"x": x, "y": number("y", **y)}},
        ]  # fmt: skip
        return panel(layers, width, HEIGHT)

    on = sum(r["what"] == "on the front" for r in rows)
    are = "is" if on == 1 else "are"
    text = (
        f"{aim.measure} against {burden} of {counted(len(rows))}; {on} {are} on the front. The ring is {found.chosen}, "
        "its line 90 % over worlds. The table has the numbers."
    )
    title = f"{aim.measure[0].upper()}{aim.measure[1:]} against {burden}"
    return Picture(title, text, (drawn(make(WIDE)),), (drawn(make(PANEL - 14)),))


def _between_two(rows: Rows, sign: float) -> np.ndarray:
    """Which points nothing beats in these two qualities alone: more of y (by `sign`) for less of x."""
    return front(np.array([(sign * r["y"], -r["x"]) for r in rows])) if rows else np.zeros(0, bool)


def compared_regimens(found: Design) -> list[int]:
    """The regimen found, the protocol as it stands, and the ends of the front, once each."""
    assert found.chosen
    on = found.table().filter("on the front")
    ends = [on.sort(b)["regimen"][0] for b in found.asked.burdens] if len(on) else []
    numbers = [found.chosen.number, *([found.usual] if found.usual is not None else []), *ends]
    score = CURVES[found.illness][0].name
    return list(dict.fromkeys(k for k in numbers if np.isfinite(found.curve(k, score)[0]).all()))[: SHOWN + 1]


def curves_picture(found: Design, name: str, title: str, unit: str) -> Picture:
    """A curve of some regimens by day, with 90 % over worlds."""
    numbers = compared_regimens(found)
    layers_of: list[tuple[int, Rows]] = []
    said = []
    for k, number_ in enumerate(numbers):
        by_world = found.curve(number_, name)
        by_world = by_world[np.isfinite(by_world).all(1)]
        days = np.unique(np.linspace(0, by_world.shape[1] - 1, min(by_world.shape[1], 160)).astype(int))
        low, middle, high = np.quantile(by_world[:, days], (0.05, 0.5, 0.95), axis=0)
        layers_of.append((k, [{"t": int(d), "low": float(a), "mid": float(b), "high": float(c)}
                              for d, a, b, c in zip(days, low, middle, high, strict=True)]))  # fmt: skip
        said.append(f"{found.space.regimens[number_]}: {middle[0]:.0f} at first, {middle[-1]:.0f} at the end")

    def make(width: int) -> Spec:
        x = number("t", title="day", axis={"grid": False}, scale={"nice": False})
        every = [r[k] for _, rows in layers_of for r in rows for k in ("low", "high")]
        y = {"title": unit, "scale": {"domain": extent(every), "nice": False, "zero": False}}
        bands, lines = [], []
        for k, rows in layers_of:
            tint, dash = look(k)
            data = {"data": {"values": rows}}
            bands.append(data | {"mark": {"type": "area", "color": tint, "opacity": 0.1},
                                 "encoding": {"x": x, "y": number("low", **y), "y2": {"field": "high"}}})  # fmt: skip
            lines.append(data | {"mark": {"type": "line", "color": tint, "strokeWidth": 2, "strokeDash": dash},
                                 "encoding": {"x": x, "y": number("mid", **y)}})  # fmt: skip
        return panel([*bands, *lines], width, HEIGHT)

    return Picture(title, f"{title}. {'; '.join(said)}.", (drawn(make(WIDE)),), (drawn(make(PANEL - 14)),))


def best_picture(found: Design) -> Picture:
    """How probably each regimen is the best."""
    table = found.table().sort("best", descending=True).head(12).filter(pl.col("best") > 0.005)
    rows = [{"name": str(found.space.regimens[r["regimen"]]), "p": r["best"]} for r in table.iter_rows(named=True)]

    def make(width: int) -> Spec:
        x = number("p", title="probability to be the best of those compared", scale={"domain": [0, 1]})
        y = {
            "field": "name",
            "type": "nominal",
            "sort": None,
            "title": None,
            "axis": {"labelLimit": 400 if width > PANEL else width // 2},
        }
        bars = {"data": {"values": rows}, "mark": {"type": "bar", "color": look(0)[0]}, "encoding": {"x": x, "y": y}}
        rule = {"data": {"values": [{"v": CLOSE}]}, "mark": {"type": "rule", "color": QUIET, "strokeDash": [3, 3]},
                "encoding": {"x": number("v", title=None)}}  # fmt: skip
        return panel([bars, rule], width, 26 * len(rows) + 10)

    said = "; ".join(f"{r['name']} {chance(r['p'])}" for r in rows)
    return Picture("How sure", f"Probability to be the best: {said}.", (drawn(make(WIDE - 360)),), (drawn(make(200)),))


def place(row: dict) -> str:
    """Where a regimen stands in the pictures of the front."""
    broken = row["keeps limits"] is False or (row["left the race"] or "").startswith("breaks")
    return "on the front" if row["on the front"] else "breaks a limit" if broken else "beaten"
