"""The page of a search: the regimen that was found and how sure that is, what it is traded against, what would change
the choice, and the regimen as a protocol."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

from euthymia import evidence
from euthymia.design.aims import CURVES, ILLNESSES, MEASURES
from euthymia.design.decision import front
from euthymia.design.extrapolation import BOTH_ENDS, End, tried
from euthymia.design.find import Design
from euthymia.design.next_trial import NextTrial, scored, shows_in
from euthymia.design.patient import beyond_population, known
from euthymia.design.subgroups import FEWEST_PATIENTS, SIMPLEST
from euthymia.design.worlds import BACKGROUND_LEVEL, DRUG_LEVEL, believed
from euthymia.protocol.changes import differences
from euthymia.report.charts import QUIET, Rows, Spec, look, number
from euthymia.report.rows import decimal
from euthymia.report.script import allowed, as_json
from euthymia.report.still import PANEL, Picture, Table, drawn, extent, panel, render, written

WIDE, HEIGHT = 720, 320
MOST_DAYS = 190
"""Points of a course that is explored: so many that sessions stay to be seen."""
FEW_REGIMENS = 200
"""Up to which all can be chosen by name."""
SHOWN = 3
"""Regimens whose courses are drawn beside the one that was found."""
OF_WORLDS = (
    "90 %: the {parameters}, and how clinics differ from each other; not the structure of the model, nor the assumed "
    "hazards of pressure and misuse"
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
    whom = f" in people like one patient ({found.like})" if found.like else ""
    said = [
        f"Of {len(found.space.regimens)} regimens of {found.protocol.name}, {chosen} gives the {verb} {aim.measure} "
        f"over {_weeks(found.weeks)}{whom}: {_with_range(row, aim.measure)}. It is the best of those compared with "
        f"probability {row['best']:.2f}; choosing it costs {_number(row['regret'], aim.measure)} on average against "
        "knowing which is best."
    ]
    if row["best"] < CLOSE:
        said.insert(0, f"The choice is open: {_rivals(found, table)}.")
    if found.like:
        said.append(
            "This is a forecast for people like this, who differ in all that the covariates do not tell; it is none "
            "for the person, whom nobody has observed under any of these regimens: a clinician decides."
        )
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
            + (f" It shows in {shown}." if (shown := shows_in(first.parameter)) else "")
        )
    said += [_trial(found), *_in_whom(found)]
    if found.prices:
        said.append(
            f"Cost is {found.prices}, in the currency of these prices, not discounted; nothing else is counted."
        )
    if outside := beyond(found):
        said.append(f"Extrapolation: {'; '.join(outside)}. What holds there is the model's own.")
    return [x for x in said if x]


def _weeks(number: int) -> str:
    return f"{number} weeks" if number != 1 else "a week"


def of_worlds(found: Design) -> str:
    """What intervals over worlds hold."""
    assumed = ", or assumed where trials do not tell" if believed(found.illness) else ""
    return OF_WORLDS.format(parameters=f"calibrated parameters{assumed}")


def beyond(found: Design) -> tuple[str, ...]:
    """What of the chosen regimen, and of whom it is for, no data support."""
    assert found.chosen
    people = beyond_population(known(found.like), found.provenance.population) if found.like else ()
    return (*people, *(x.says for x in found.beyond[found.chosen.number]))


def _trial(found: Design) -> str:
    """The trial that would tell."""
    trial = found.next_trial
    if trial is None:
        return ""
    unit = "points" if trial.endpoint == "change" else "%"
    seen = " against ".join(f"{decimal(x, 1)} {unit}" for x in trial.expected)
    size = (
        f"even {trial.patients:,} patients would be too few for a difference so small"
        if trial.capped
        else f"with {trial.patients:,} patients it would find a difference so large in four trials of five"
    )
    usual = "the usual one" if trial.rival == "usual regimen" else "the runner-up"
    measure = found.asked.aim.measure
    if not scored(measure, found.illness):
        measured, known = "what it does to the illness, which the aim does not tell", ""
    else:
        measured, known = "the difference itself", _worth_of(found, trial)
    seen += " of days" if measure == "days in response" else ""
    return (
        f"A trial of it against {usual} ({trial.against}) would measure {measured}: {trial.endpoint} at "
        f"week {trial.week}, {seen} in this search; {size}. {known}"
    ).rstrip()


def _worth_of(found: Design, trial: NextTrial) -> str:
    return (
        f"To know that difference exactly would be worth {_number(trial.worth, found.asked.aim.measure)} on average."
        if trial.worth > 0
        else f"In none of {found.draws} worlds is the other better, so that it would test the model, not the choice."
    )


def _in_whom(found: Design) -> list[str]:
    """What subgroups tell, in a sentence."""
    groups = [g for g in found.subgroups if g.best is not None]
    if not groups:
        return []
    other = [g for g in groups if g.differs]
    if not other:
        return [f"In none of {len(groups)} subgroups is another regimen distinguishably better."]
    named = "; ".join(f"{g.name}: {found.space.regimens[g.best or 0]}" for g in other)
    return [
        f"Of {len(groups)} subgroups, another regimen is better in {len(other)} ({named}); chance alone finds some."
    ]


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
    first = f"{measure} {more} (90 % over worlds {low} to {high})"
    costs = (_changed(b, mine[b] - usual[b]) for b in found.asked.burdens)
    return f"Against {stands}: {'; '.join((first, *costs))}."


def _named(parameter: str) -> str:
    """A parameter in words."""
    if parameter in (DRUG_LEVEL, BACKGROUND_LEVEL):
        return f"the clinic's own {parameter}"
    row = evidence.parameter(parameter)
    return f"{parameter} ({row.note})" if getattr(row, "note", "") else parameter


def _digits(x: float, measure: str) -> int:
    """Behind the point; of episodes, which are few a year, more."""
    return 2 if MEASURES[measure].unit == "episodes" else 0 if abs(x) >= 100 else 1


def _number(x: float, measure: str, sign: bool = False) -> str:
    unit = MEASURES[measure].unit
    text = decimal(x, _digits(x, measure))
    return f"{'+' if sign and not text.startswith('-') else ''}{text} {unit}".rstrip()


def _changed(measure: str, by: float) -> str:
    text = _number(by, measure, sign=True)
    return text if text.endswith(f" {measure}") else f"{measure} {text}"


def _titled(measure: str) -> str:
    """A measure with its unit, where its name does not say it."""
    unit = MEASURES[measure].unit
    return measure if unit in measure else f"{measure}, {unit}"


def _with_range(row: dict, measure: str) -> str:
    low, high = (decimal(row[f"{measure} {end}"], _digits(row[measure], measure)) for end in ("low", "high"))
    return f"{_number(row[measure], measure)} ({low} to {high})"


# --- tables -----------------------------------------------------------------------------------------------------------


def front_rows(found: Design, most: int = 10_000) -> Table:
    """Regimens on the front, the best for the aim first."""
    aim = found.asked.aim
    shown = (aim.measure, *found.asked.burdens)
    table = found.table().filter("on the front").sort(aim.measure, descending=aim.better == "more").head(most)
    head = ("regimen", *(_titled(m) for m in shown), "best", "regret", "outside the evidence")
    rows = []
    for r in table.iter_rows(named=True):
        cells = [
            "{} ({} to {})".format(*(decimal(r[f"{m}{end}"], _digits(1, m)) for end in ("", " low", " high")))
            for m in shown
        ]
        name, outside = str(found.space.regimens[r["regimen"]]), found.beyond[r["regimen"]]
        marks = ", ".join(dict.fromkeys(x.what for x in outside)) or "-"
        rows.append((name, *cells, f"{r['best']:.2f}", decimal(r["regret"], 1), marks))
    return Table(
        f"Regimens that nothing beats in {', '.join(shown)}: means ({of_worlds(found)}). Best: probability to be the "
        "best for the aim of those compared; regret: what choosing it costs on average; outside the evidence: what of "
        "it no study of this drug and route has tried.",
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
    head = ("regimen", *(_titled(m) for m in shown), "keeps limits", "best", "left the race", "outside the evidence")
    rows = [
        (
            str(found.space.regimens[r["regimen"]]),
            *(decimal(r[m], _digits(1, m)) for m in shown),
            {True: "yes", False: "no", None: "-"}[r["keeps limits"]],
            f"{r['best']:.2f}",
            _why(found, r["left the race"]),
            r["extrapolation"] or "-",
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
        what = _place(r)
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

    said = "; ".join(f"{r['name']} {r['p']:.2f}" for r in rows)
    return Picture("How sure", f"Probability to be the best: {said}.", (drawn(make(WIDE - 360)),), (drawn(make(200)),))


# --- the page ---------------------------------------------------------------------------------------------------------


def worth_rows(found: Design) -> Table:
    """What would be worth knowing."""
    rows = [
        (_named(w.parameter), decimal(w.worth, 2), f"{100 * w.changes:.0f} %", shows_in(w.parameter) or "-")
        for w in found.worth[:8]
        if w.worth > 0
    ]
    unit = MEASURES[found.asked.aim.measure].unit
    return Table(
        f"What knowing one number beforehand would be worth, in {unit} of the aim, and in how many worlds the choice "
        "would then be another one. With few worlds this is rough; what chance alone shows is taken off.",
        ("number", f"worth, {unit}".rstrip(", "), "choice changes", "shows in"),
        rows,
    )


def subgroup_rows(found: Design) -> Table:
    """Which regimen is best in whom."""
    rows: list[tuple[str, ...]] = []
    measure = found.asked.aim.measure
    for g in found.subgroups:
        if g.best is None or g.gain is None or g.low is None or g.high is None:
            rows.append((g.name, f"{g.patients:,}", "too few patients to say anything", "-", "-", "-"))
            continue
        same = found.chosen is not None and g.best == found.chosen.number
        gain = "-" if same else f"{decimal(g.gain, 2)} ({decimal(g.low, 2)} to {decimal(g.high, 2)})"
        told = "the same regimen" if same else "yes" if g.differs else "not distinguishable"
        rows.append((g.name, f"{g.patients:,}", str(found.space.regimens[g.best]), f"{g.probability:.2f}", gain, told))
    return Table(
        "The regimen that is best on average in subgroups, of those that keep the limits in all patients. Gain: by how "
        f"much its {measure} is better there than that of the regimen found overall, with 90 % over worlds and "
        f"populations; where that holds 0 the two are not distinguishable. Below {FEWEST_PATIENTS} patients nothing is "
        "said.",
        ("subgroup", "patients", "best regimen", "probability", "gain", "better than the one found"),
        rows,
    )


def tried_rows(found: Design) -> Table:
    """What studies tried of the drugs and routes of these regimens."""
    drugs = [x.drug or r.protocol.drug for r in found.space.regimens for x in r.protocol.phases]
    given = {(d.compound, d.route) for d in drugs if d}
    rows = [
        (f"{compound}, {route}", x.what, _end(x.low) if x.what in BOTH_ENDS else "-", _end(x.high))
        for compound, route in sorted(given)
        for x in tried(compound, route, found.illness)
    ]
    return Table(
        f"What published studies of {ILLNESSES[found.illness]} tried of this drug by this route, as far as they are in "
        "the evidence: "
        "the least and the most, each with a study that gives it. What a study did not print in numbers is left out.",
        ("drug and route", "what", "least", "most"),
        rows,
    )


def _end(end: End) -> str:
    return f"{end.value:.3g} ({end.study})"


def explored(found: Design) -> dict[str, Any]:
    """What the page's script reads: every regimen with its numbers in words, and the courses of those that can be
    chosen: the mean of the score with 90 % over worlds."""
    shown, table = (found.asked.aim.measure, *found.asked.burdens), found.table()
    days = np.arange(0, 7 * found.weeks + 1, -(-7 * found.weeks // MOST_DAYS))
    score = CURVES[found.illness][0]
    offered = {k for _, some in offers(found) for k, _ in some}
    regimens = []
    for r in table.iter_rows(named=True):
        k = r["regimen"]
        by_world = found.curve(k, score.name)
        by_world = by_world[np.isfinite(by_world).all(1)][:, days]
        curve = None
        if k in offered and len(by_world):
            low, mid, high = np.quantile(by_world, (0.05, 0.5, 0.95), axis=0).round(1).tolist()
            curve = {"low": low, "mid": mid, "high": high}
        numbers = [
            *(_with_range(r, m) for m in shown),
            f"{r['best']:.2f}",
            "-" if r["regret"] is None else _number(r["regret"], found.asked.aim.measure),
            r["extrapolation"] or "nothing",
        ]
        regimens.append(
            {
                "name": str(found.space.regimens[k]),
                "what": "found" if found.chosen and k == found.chosen.number else _place(r),
                "front": bool(r["on the front"]),
                "numbers": numbers,
                "curve": curve,
            }
        )
    heads = (*(_titled(m) for m in shown), "probability to be the best", "regret", "outside the evidence")
    chosen = found.chosen.number if found.chosen else 0
    return {
        "days": days.tolist(), "heads": heads, "regimens": regimens, "usual": found.usual, "chosen": chosen,
        "score": score.title,
    }  # fmt: skip


def offers(found: Design) -> list[tuple[str, list[tuple[int, str]]]]:
    """Regimens that can be chosen by name, by where they stand: all where there are few, else the front and the usual
    one."""
    table = found.table()
    few = len(table) <= FEW_REGIMENS
    by: dict[str, list[tuple[int, str]]] = {"on the front": [], "beaten": [], "breaks a limit": []}
    for r in table.iter_rows(named=True):
        if few or r["on the front"] or r["regimen"] == found.usual:
            by[_place(r)].append((r["regimen"], str(found.space.regimens[r["regimen"]])))
    return [(place, some) for place, some in by.items() if some]


def _place(row: dict) -> str:
    """Where a regimen stands in the pictures of the front."""
    broken = row["keeps limits"] is False or (row["left the race"] or "").startswith("breaks")
    return "on the front" if row["on the front"] else "breaks a limit" if broken else "beaten"


def page(found: Design) -> str:
    """The page as text."""
    assert found.chosen
    app = files("euthymia.report").joinpath("design.js").read_text(encoding="utf-8")
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
        score=CURVES[found.illness][0].title,
        curves=[curves_picture(found, c.name, c.title, c.unit) for c in CURVES[found.illness]],
        best=best_picture(found),
        worth=worth_rows(found),
        trial=_trial(found),
        trial_text=next((t for n, t in found.documents().items() if n.endswith("-trial.yaml")), ""),
        subgroups=subgroup_rows(found),
        simplest=SIMPLEST,
        looks=sum(g.best is not None for g in found.subgroups),
        beyond=beyond(found),
        tried=tried_rows(found),
        choices=offers(found),
        data=as_json(explored(found)),
        app=Markup(app),
        hash=allowed(app),
        refused=found.space.refused,
        document=found.winner(f"{found.protocol.name}-found"[:60]),
        changed=differences(found.protocol, found.chosen.protocol),
        says=[(m, MEASURES[m].words(found.illness)) for m in found.asked.measures],
        assumed=any(MEASURES[m].assumed for m in found.asked.measures),
        contained=contained(found),
    )


def contained(found: Design) -> Sequence[str]:
    """What the numbers hold, and what they do not."""
    by_maps = found.illness == "depression"
    walked = (
        "Courses are walked from session to session by maps of the engine, within hundredths of a point of it, and "
        if by_maps
        else "Courses are walked by the engine from visit to visit, each patient on a calendar of their own, "
    )
    return (
        f"Intervals hold {of_worlds(found)}. Every regimen was followed in the same virtual patients and worlds, "
        "so that differences are far surer than levels.",
        "The probability to be the best is among the regimens compared and under this model; that there are few "
        "virtual patients is in it.",
        f"{walked}under the rules of the protocol as a clinic would follow them.",
        *_of_own_illness(found),
        f"{found.race.followed:,} courses were followed; following every regimen in every world would have been "
        f"{len(found.space.regimens) * found.draws * found.patients:,}.",
    )


def _of_own_illness(found: Design) -> list[str]:
    """What only bipolar disorder and PTSD must say."""
    rows = [evidence.parameter(id) for id in believed(found.illness)]
    if not rows:
        return []
    ranges = "; ".join(f"{row.id} {row.low:g} to {row.high:g}" for row in rows)
    more = {
        "bipolar": "How often episodes come differs between studies; that is not in the intervals. In the model "
        "ketamine takes points off the MADRS and tilts the manic pole alone: how often depression comes back does not "
        "depend on it.",
        "ptsd": "Visits are those for the drug: sessions of exposure therapy come beside them.",
    }
    return [
        f"The trials it was fitted to do not tell these numbers of {ILLNESSES[found.illness]}. They are drawn from "
        f"what is assumed of them, a prior or evenly over a range, and from no posterior: {ranges}.",
        more[found.illness],
    ]


def write_design(found: Design, path: Path) -> Path:
    """Write the page and return its path. Raises UserError when it cannot be written."""
    return written(page(found), path)
