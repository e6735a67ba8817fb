"""The page of a search: the regimen that was found and how sure that is, what it is traded against, what would change
the choice, and the regimen as a protocol."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from euthymia import evidence
from euthymia.design.aims import CURVES, ILLNESSES, MEASURES
from euthymia.design.find import Design
from euthymia.design.subgroups import SIMPLEST
from euthymia.design.worlds import believed
from euthymia.protocol.changes import differences
from euthymia.report.design_charts import best_picture, compared_regimens, curves_picture, front_picture, place
from euthymia.report.design_tables import (
    all_rows,
    front_rows,
    robust_rows,
    subgroup_rows,
    tried_rows,
    worth_rows,
)
from euthymia.report.design_words import (
    answer,
    beyond,
    chance,
    cost,
    of_worlds,
    the_trial,
    titled,
    what_now,
    with_range,
)
from euthymia.report.numbers import in_full
from euthymia.report.script import allowed, as_json
from euthymia.report.still import render, written

MOST_DAYS = 190
"""Points of a course that is explored: so many that sessions stay to be seen."""
FEW_REGIMENS = 200
"""Up to which all can be chosen by name."""


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
            *(with_range(r, m) for m in shown),
            "-" if r["keeps limits"] is False else chance(r["best"]),
            "-" if r["regret"] is None else cost(r["regret"], found.asked.aim.measure),
            r["extrapolation"] or "nothing",
        ]
        regimens.append(
            {
                "name": str(found.space.regimens[k]),
                "what": "found" if found.chosen and k == found.chosen.number else place(r),
                "front": bool(r["on the front"]),
                "numbers": numbers,
                "curve": curve,
            }
        )
    heads = (*(titled(m) for m in shown), "probability to be the best", "regret", "outside the evidence")
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
            by[place(r)].append((r["regimen"], str(found.space.regimens[r["regimen"]])))
    return [(place, some) for place, some in by.items() if some]


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
        robust=robust_rows(found),
        missed=100 * evidence.value("adherence.missed_visit"),
        worth=worth_rows(found),
        trial=the_trial(found),
        what_now=what_now(found),
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
        "The probability to be the best is among the regimens compared, under this model, in a world that was not "
        "followed; that worlds and virtual patients are few is in it, and in the regret.",
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
    ranges = "; ".join(f"{row.id} {in_full(row.low or 0.0)} to {in_full(row.high or 0.0)}" for row in rows)
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
