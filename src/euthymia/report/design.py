"""The page of a search: the regimen that was found and how sure that is, what it is traded against, what would change
the choice, and the regimen as a protocol."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.design.aims import MEASURES
from euthymia.design.beyond import extrapolations
from euthymia.design.decision import front
from euthymia.design.find import Design
from euthymia.design.worlds import BACKGROUND_LEVEL, DRUG_LEVEL
from euthymia.protocol.changes import differences
from euthymia.report.charts import QUIET, Rows, Spec, look, number
from euthymia.report.rows import decimal
from euthymia.report.still import PANEL, Picture, Table, drawn, extent, panel, render, written

WIDE, HEIGHT = 720, 320
SHOWN = 3
"""Regimens whose courses are drawn beside the one that was found."""
OF_WORLDS = (
    "90 %: the calibrated parameters, and how clinics differ from each other; not the structure of the model, nor the "
    "assumed hazards of pressure and misuse"
)
TELLING = 0.05
"""Share of what perfect knowledge is worth, below which no single number is named."""
CLOSE = 0.9
"""Below this probability to be the best, the page says first that the choice is open."""


def answer(found: Design) -> list[str]:
    """The result in a few sentences, each a paragraph."""
    aim, table = found.asked.aim, found.table()
    chosen = found.chosen
    assert chosen and found.choice.verdict
    row = table.row(chosen.number, named=True)
    verb = "most" if aim.better == "more" else "least"
    said = [
        f"Of {len(found.space.regimens)} regimens of {found.protocol.name}, {chosen} gives the {verb} {aim.measure} "
        f"over {found.weeks} weeks: {_with_range(row, aim.measure)}. It is the best of those compared with probability "
        f"{row['best']:.2f}; choosing it costs {_number(row['regret'], aim.measure)} on average against knowing which "
        "is best."
    ]
    if row["best"] < CLOSE:
        said.insert(0, f"The choice is open: {_rivals(found, table)}.")
    if found.usual is not None and found.usual != chosen.number:
        said.append(_against_usual(found, table))
    if found.asked.limits:
        kept = "; ".join(f'"{limit.text}"' for limit in found.asked.limits)
        said.append(f"It keeps {kept}. A limit on a chance is kept only where it holds with 95 % certainty.")
    if found.worth and found.worth[0].worth > TELLING * found.perfect > 0:
        first = found.worth[0]
        said.append(
            f"What would most change the choice if it were known: {_named(first.parameter)}, worth "
            f"{_number(first.worth, aim.measure)} on average; knowing everything would be worth "
            f"{_number(found.perfect, aim.measure)}."
        )
    beyond = extrapolations(chosen.protocol, found.weeks)
    return said + [f"Extrapolation: {x.removeprefix('extrapolation: ')}." for x in beyond]


def _rivals(found: Design, table: pl.DataFrame) -> str:
    best = table.sort("best", descending=True).head(4).filter(pl.col("best") >= 0.05)
    parts = [f"{found.space.regimens[r['regimen']]} {r['best']:.2f}" for r in best.iter_rows(named=True)]
    return f"probabilities to be the best are {'; '.join(parts)}"


def _against_usual(found: Design, table: pl.DataFrame) -> str:
    assert found.chosen and found.usual is not None
    mine, usual = (table.row(k, named=True) for k in (found.chosen.number, found.usual))
    stands = f"the protocol as it stands ({found.space.regimens[found.usual]})"
    if found.usual in found.race.out:
        return f"{stands[0].upper()}{stands[1:]} left the race: {_why(found, found.race.out[found.usual])}."
    measure = found.asked.aim.measure
    apart = found.race.means(measure, [found.chosen.number, found.usual])
    low, high = (_number(x, measure, sign=True) for x in np.quantile(apart[0] - apart[1], (0.05, 0.95)))
    more = _number(mine[measure] - usual[measure], measure, sign=True)
    costs = "; ".join(_changed(b, mine[b] - usual[b]) for b in found.asked.burdens)
    return f"Against {stands}: {measure} {more} (90 % over worlds {low} to {high}); {costs}."


def _named(parameter: str) -> str:
    """A parameter in words."""
    if parameter in (DRUG_LEVEL, BACKGROUND_LEVEL):
        return f"the clinic's own {parameter}"
    row = evidence.parameter(parameter)
    return f"{parameter} ({row.note})" if getattr(row, "note", "") else parameter


def _number(x: float, measure: str, sign: bool = False) -> str:
    unit = MEASURES[measure].unit
    digits = 0 if abs(x) >= 100 else 1
    text = decimal(x, digits)
    return f"{'+' if sign and not text.startswith('-') else ''}{text} {unit}"


def _changed(measure: str, by: float) -> str:
    text = _number(by, measure, sign=True)
    return text if text.endswith(measure) else f"{measure} {text}"


def _titled(measure: str) -> str:
    """A measure with its unit, where its name does not say it."""
    unit = MEASURES[measure].unit
    return measure if unit in measure else f"{measure}, {unit}"


def _with_range(row: dict, measure: str) -> str:
    low, high = (decimal(row[f"{measure} {end}"], 0 if abs(row[measure]) >= 100 else 1) for end in ("low", "high"))
    return f"{_number(row[measure], measure)} ({low} to {high})"


# --- tables -----------------------------------------------------------------------------------------------------------


def front_rows(found: Design, most: int = 10_000) -> Table:
    """Regimens on the front, the best for the aim first."""
    aim = found.asked.aim
    shown = (aim.measure, *found.asked.burdens)
    table = found.table().filter("on the front").sort(aim.measure, descending=aim.better == "more").head(most)
    head = ("regimen", *(_titled(m) for m in shown), "best", "regret")
    rows = []
    for r in table.iter_rows(named=True):
        cells = [f"{decimal(r[m], 1)} ({decimal(r[f'{m} low'], 1)} to {decimal(r[f'{m} high'], 1)})" for m in shown]
        rows.append((str(found.space.regimens[r["regimen"]]), *cells, f"{r['best']:.2f}", decimal(r["regret"], 1)))
    return Table(
        f"Regimens that nothing beats in {', '.join(shown)}: means ({OF_WORLDS}). Best: probability to be the best for "
        "the aim of those compared; regret: what choosing it costs on average.",
        head,
        rows,
    )


def front_text(found: Design, most: int) -> str:
    """The front as text."""
    table = front_rows(found, most)
    widths = [max(len(row[k]) for row in (table.head, *table.rows)) for k in range(len(table.head))]
    lines = ["  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, widths, strict=True)))
             for row in (table.head, *table.rows)]  # fmt: skip
    on_front = int(found.table()["on the front"].sum())
    more = f"\n... and {on_front - most} more, in regimens.csv" if on_front > most else ""
    return "\n".join(lines) + more


def all_rows(found: Design) -> Table:
    """Every regimen."""
    shown = found.asked.measures
    head = ("regimen", *(_titled(m) for m in shown), "keeps limits", "best", "left the race")
    rows = [
        (
            str(found.space.regimens[r["regimen"]]),
            *(decimal(r[m], 1) for m in shown),
            {True: "yes", False: "no", None: "-"}[r["keeps limits"]],
            f"{r['best']:.2f}",
            _why(found, r["left the race"]),
        )
        for r in found.table().iter_rows(named=True)
    ]
    return Table("Every regimen. Those that left the race were followed in fewer patients and worlds.", head, rows)


def _why(found: Design, why: str | None) -> str:
    if why and why.startswith("beaten by regimen "):
        return f"beaten by {found.space.regimens[int(why.rsplit(' ', 1)[1])]}"
    return why or ""


# --- pictures ---------------------------------------------------------------------------------------------------------


def front_picture(found: Design, burden: str) -> Picture:
    """Every regimen by a burden and the aim: the front, what keeps the limits, and the rest."""
    aim, table = found.asked.aim, found.table()
    rows: Rows = []
    for r in table.iter_rows(named=True):
        broken = r["keeps limits"] is False or (r["left the race"] or "").startswith("breaks")
        what = "on the front" if r["on the front"] else "breaks a limit" if broken else "beaten"
        y, low, high = (r[f"{aim.measure}{end}"] for end in ("", " low", " high"))
        name = str(found.space.regimens[r["regimen"]])
        rows.append({"x": r[burden], "y": y, "low": low, "high": high, "what": what, "name": name})
    colours = {"on the front": look(0)[0], "beaten": "#8c959f", "breaks a limit": look(1)[0]}
    shapes = {"on the front": "circle", "beaten": "triangle-down", "breaks a limit": "cross"}
    there = [k for k in colours if any(r["what"] == k for r in rows)]

    def make(width: int) -> Spec:
        x = number("x", title=_titled(burden), scale={"zero": False})
        y = {"title": _titled(aim.measure), "scale": {"zero": False}}
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
    text = (
        f"{aim.measure} against {burden} of {len(rows)} regimens; {on} are on the front. The ring is {found.chosen}, "
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
    return list(dict.fromkeys(k for k in numbers if np.isfinite(found.curve(k, "mean MADRS by day")[0]).all()))[
        : SHOWN + 1
    ]


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

    said = "; ".join(f"{r['name']} {r['p']:.2f}" for r in rows)
    return Picture("How sure", f"Probability to be the best: {said}.", (drawn(make(WIDE - 360)),), (drawn(make(200)),))


# --- the page ---------------------------------------------------------------------------------------------------------


def worth_rows(found: Design) -> Table:
    """What would be worth knowing."""
    rows = [
        (_named(w.parameter), decimal(w.worth, 2), f"{100 * w.changes:.0f} %") for w in found.worth[:8] if w.worth > 0
    ]
    unit = MEASURES[found.asked.aim.measure].unit
    return Table(
        f"What knowing one number beforehand would be worth, in {unit} of the aim, and in how many worlds the choice "
        "would then be another one. With few worlds this is rough; what chance alone shows is taken off.",
        ("number", f"worth, {unit}", "choice changes"),
        rows,
    )


def page(found: Design) -> str:
    """The page as text."""
    assert found.chosen
    names = [
        str(found.space.regimens[k])
        + (" (found)" if k == found.chosen.number else " (as it stands)" if k == found.usual else "")
        for k in compared_regimens(found)
    ]
    return render(
        "design.html",
        found=found,
        answer=answer(found),
        fronts=[front_picture(found, b) for b in found.asked.burdens],
        front=front_rows(found),
        every=all_rows(found),
        names=names,
        curves=[
            curves_picture(found, "mean MADRS by day", "Mean MADRS", "mean MADRS (points)"),
            curves_picture(found, "remission by day", "In remission", "in remission (%)"),
        ],
        best=best_picture(found),
        worth=worth_rows(found),
        refused=found.space.refused,
        document=found.winner(f"{found.protocol.name}-found"[:60]),
        changed=differences(found.protocol, found.chosen.protocol),
        says=[(m, MEASURES[m].says) for m in found.asked.measures],
        assumed=any(MEASURES[m].assumed for m in found.asked.measures),
        contained=contained(found),
    )


def contained(found: Design) -> Sequence[str]:
    """What the numbers hold, and what they do not."""
    return (
        f"Intervals hold {OF_WORLDS}. Every regimen was followed in the same virtual patients and worlds, so that "
        "differences are far surer than levels.",
        "The probability to be the best is among the regimens compared and under this model; that there are few "
        "virtual patients is in it.",
        "Courses are walked from session to session by maps of the engine, within hundredths of a point of it, and "
        "under the rules of the protocol as a clinic would follow them.",
        f"{found.race.followed:,} courses were followed; following every regimen in every world would have been "
        f"{len(found.space.regimens) * found.draws * found.patients:,}.",
    )


def write_design(found: Design, path: Path) -> Path:
    """Write the page and return its path. Raises UserError when it cannot be written."""
    return written(page(found), path)
