"""What rules cost: a year of a protocol decided visit by visit beside the same year on the fixed calendar.

Both in one process, in turn, after a first run of each that compiles; once with the rules of the document, once with
none, where both engines do the same work.

python rules.py [--quick]      writes rules.json, prints the table
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from run import machine

HERE = Path(__file__).parent
PROTOCOL = "ketamine-iv-maintenance"
ASKED = 2.0
"""Of the time under rules over that without, which the project set itself."""


def without_rules(protocol: Any) -> Any:
    """The same doses at the same times."""
    from euthymia.protocol.rules import Eligibility, Session

    calm = tuple(p.model_copy(update={"widen_to": None, "while_": None}) for p in protocol.phases)
    nothing = {"decide": (), "adjust": (), "safeguards": (), "eligibility": Eligibility(), "session": Session()}
    return protocol.model_copy(update=nothing | {"phases": calm})


def ratios(patients: int, weeks: int, repeats: int) -> dict[str, float]:
    """Medians over `repeats`: seconds of each, and of rules over calendar within a pair."""
    from euthymia import simulate
    from euthymia.course.ruled import under_rules
    from euthymia.course.variants import Variants
    from euthymia.patient import draw
    from euthymia.protocol import load, schedule

    document, days = load(PROTOCOL), 7 * weeks
    people = draw(document.population, patients, 1)
    times: dict[str, list[float]] = {"calendar_s": [], "rules_s": [], "quiet_s": []}
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        simulate(document, people, weeks, observe_h=(24.0 * np.arange(days + 1)).tolist())
        times["calendar_s"].append(time.perf_counter() - begin)
        for name, protocol in (("rules_s", document), ("quiet_s", without_rules(document))):
            begin = time.perf_counter()
            under_rules(protocol, schedule(protocol, 24.0 * days), people, days, Variants())
            times[name].append(time.perf_counter() - begin)
    warm = {name: values[1:] for name, values in times.items()}
    pairs = {
        f"{name[:-2]}_over_calendar": [a / b for a, b in zip(warm[name], warm["calendar_s"], strict=True)]
        for name in ("rules_s", "quiet_s")
    }
    return {name: round(statistics.median(values), 3) for name, values in (warm | pairs).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer patients, once; nothing is written")
    quick = parser.parse_args().quick
    patients, weeks, repeats = (1000, 12, 1) if quick else (10_000, 52, 3)
    found = ratios(patients, weeks, repeats)
    result = {"machine": machine(), "protocol": PROTOCOL, "patients": patients, "weeks": weeks, "asked": ASKED} | found
    print(f"{patients:,} patients, {weeks} weeks of {PROTOCOL}: medians of {repeats}")
    for name, value in found.items():
        print(f"  {name:<24}{value:8.2f}")
    if not quick:
        (HERE / "rules.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
