"""Is a regimen that a search calls the best with probability p the best in a fraction p of truths? On the model itself.

Every posterior draw with a clinic of its own is a world. Again and again one of them is the truth, as many others as a
search has draws are what is known, and some regimens of ketamine-iv-maintenance are raced and judged as
`euthymia design` does it, in few virtual patients. Which regimen is the best in the truth is read off other patients.

The truth comes from the draws that a search sees: this tests how few worlds and patients are made into probabilities,
not whether the posterior, or the model, is right.

python probability_best.py [--quick]      writes probability_best.json, prints the tables
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from run import machine

HERE = Path(__file__).parent
PROTOCOL = "ketamine-iv-maintenance"
VARY = (
    "dose=0.4, 0.5, 0.75 mg/kg",
    "maintenance interval=3 days, 1 week, 2 weeks, 4 weeks",
    "dose taper=none, 0.4 + 0.25 mg/kg",
)
AIM, WEEKS = "days in remission", 26
WORLDS, SEEN, OTHERS = 200, 300, 900
"""Worlds in all; virtual patients whom a search follows; and those in whom the truth is read off."""
RACED, NEIGHBOURS = 6, 8
"""Regimens of a problem: any, or drawn among so many whose aims lie next to each other."""
DRAWS, PROBLEMS = (10, 20), 3000
BOUNDS = (0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01)


def followed(patients: int, seed: int, worlds: int) -> np.ndarray:
    """The aim of every regimen in every world and patient, [regimens, worlds, patients]."""
    from euthymia.design.aims import aim
    from euthymia.design.courses import Courses
    from euthymia.design.search import Asked, search
    from euthymia.design.space import space
    from euthymia.design.worlds import worlds as drawn
    from euthymia.patient import draw
    from euthymia.protocol import load

    protocol = load(PROTOCOL)
    protocols = tuple(r.protocol for r in space(protocol, VARY).regimens)
    people = draw(protocol.population, patients, seed)
    courses = Courses(protocols, people, drawn(worlds), WEEKS, (AIM,))
    asked = Asked(aim(AIM, "more"))
    return search(courses, len(protocols), worlds, patients, asked, stages=(worlds,), processes=True).values[AIM]


def judged(seen: np.ndarray, truth: np.ndarray, draws: int, problems: int, close: bool) -> dict[str, np.ndarray]:
    """Problems: what was said of each regimen, which was best in the truth, which was chosen, what choosing it was said
    to cost and did cost, and the world that was the truth."""
    from euthymia.design.aims import aim
    from euthymia.design.search import Asked, Part, choice, search

    regimens, worlds, patients = seen.shape
    asked, in_order = Asked(aim(AIM, "more")), seen.mean((1, 2)).argsort()
    rng = np.random.default_rng([draws, close])
    rows: list[tuple[Any, ...]] = []
    for _ in range(problems):
        first = rng.integers(regimens - NEIGHBOURS + 1)
        among = in_order[first : first + NEIGHBOURS] if close else in_order
        some = rng.choice(among, RACED, replace=False)
        true, *known = rng.choice(worlds, draws + 1, replace=False)
        gain = seen[np.ix_(some, known)]

        def evaluate(part: Part, gain: np.ndarray = gain) -> dict[str, np.ndarray]:
            return {AIM: gain[np.ix_(part.regimens, part.draws)][:, :, slice(*part.patients)]}

        found = choice(search(evaluate, RACED, draws, patients, asked, part_patients=4 * patients, workers=1))
        assert found.chosen is not None and found.verdict is not None
        there = truth[some, true]
        at = found.able.tolist().index(found.chosen)
        cost = there.max() - there[found.chosen]
        rows.append((found.best, there == there.max(), found.chosen, found.verdict.regret[at], cost, true))
    said, best, chosen, regret, cost, true = map(np.array, zip(*rows, strict=True))
    return {"said": said, "best": best, "chosen": chosen, "regret": regret, "cost": cost, "true": true}


def by_bin(said: np.ndarray, was: np.ndarray, true: np.ndarray) -> list[dict[str, float]]:
    """Of each bin of what was said, in which fraction it was so, with a standard error: problems with the same truth
    count as one."""
    rows = []
    for low, high in pairwise(BOUNDS):
        here = (said >= low) & (said < high)
        if n := int(here.sum()):
            apart = np.bincount(true[here], was[here] - said[here])
            rows.append({
                "from": low, "to": min(high, 1.0), "cases": n, "said": round(float(said[here].mean()), 3),
                "was": round(float(was[here].mean()), 3), "error": round(float(np.sqrt((apart**2).sum()) / n), 3),
            })  # fmt: skip
    return rows


def table(found: dict[str, np.ndarray]) -> dict[str, Any]:
    """How all regimens, and those chosen, fared."""
    n = np.arange(len(found["chosen"]))
    everywhere = np.repeat(found["true"], RACED)
    return {
        "every regimen": by_bin(found["said"].ravel(), found["best"].ravel().astype(float), everywhere),
        "the one chosen": by_bin(
            found["said"][n, found["chosen"]], found["best"][n, found["chosen"]].astype(float), found["true"]
        ),
        "regret said": round(float(found["regret"].mean()), 3),
        "regret": round(float(found["cost"].mean()), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few worlds and problems; nothing is written")
    quick = parser.parse_args().quick
    worlds, seen, others, problems = (24, 100, 100, 100) if quick else (WORLDS, SEEN, OTHERS, PROBLEMS)
    begin = time.perf_counter()
    gain, truth = followed(seen, 1, worlds), followed(others, 2, worlds).mean(2)
    result: dict[str, Any] = {
        "machine": machine(), "protocol": PROTOCOL, "vary": VARY, "aim": AIM, "weeks": WEEKS, "worlds": worlds,
        "patients": seen, "patients of the truth": others, "problems": problems, "regimens of a problem": RACED,
        "s to follow": round(time.perf_counter() - begin),
    }  # fmt: skip
    for draws in DRAWS:
        for close in (False, True):
            whose = f"{RACED} of {NEIGHBOURS} neighbours" if close else f"any {RACED}"
            result[f"{whose}, {draws} draws"] = table(judged(gain, truth, draws, problems, close))
    print(json.dumps(result, indent=1))
    if not quick:
        (HERE / "probability_best.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
