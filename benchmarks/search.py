"""The search for regimens: how long a large one takes, how it scales over workers, and what it would take by calling a
general solver for every patient.

    200 regimens x 2,000 patients x 52 weeks x 20 worlds of ketamine-iv-maintenance, under its rules, on two processes
    a smaller one on 1 and 2 processes, and on 1 and 2 workers of a Dask cluster
    a sample of its calendars solved by libRoadRunner (and numbalsoda, where installed) on the reference workload

The equations of the workload are those of a benchmark, not the model that Euthymia ships, and a peer follows no rules:
it is given the calendar. Peers run in the same process, one patient after the other, on one core.

python search.py [--quick]      writes search.json, prints the table
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from run import machine

HERE = Path(__file__).parent
PROTOCOL = "ketamine-iv-maintenance"
VARY = (
    "dose=0.25, 0.3, 0.4, 0.5, 0.75 mg/kg",
    "maintenance interval=3 days, 1 week, 10 days, 2 weeks, 3 weeks",
    "induction doses=4, 6, 8, 12",
    "CAN-2=on, off",
)
LIMITS = ("P(highest SBP above 180 mmHg) < 5 %", "visits at most 40")
WEEKS = 52
ASKED_S = 300.0
"""Which the project set itself, on two cores."""
SAMPLE = 8
"""Regimens that peers are given."""


def searched(vary: tuple[str, ...], patients: int, draws: int, **how: Any) -> dict[str, float]:
    """Seconds, and patients followed for a year in all worlds."""
    from euthymia.design.find import find

    begin = time.perf_counter()
    found = find(PROTOCOL, vary, subject_to=LIMITS, patients=patients, draws=draws, weeks=WEEKS, **how)
    wall_s = time.perf_counter() - begin
    followed = found.race.followed
    return {
        "wall_s": round(wall_s, 1),
        "regimens": len(found.space.regimens),
        "followed": followed,
        "of": len(found.space.regimens) * patients * draws,
        "patient_years_per_s": round(followed / wall_s),
    }


def peak_mb(process: int) -> int:
    """The most memory a process has had."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024


def scaling(quick: bool) -> dict[str, dict[str, dict[str, float]]]:
    """A smaller search by who does the work: at first, when every worker has to begin and to compile, and again."""
    vary, patients, draws = (("dose=0.25, 0.5 mg/kg",), 100, 4) if quick else (VARY[:2], 2000, 8)

    def twice(**how: Any) -> dict[str, dict[str, float]]:
        return {when: searched(vary, patients, draws, **how) for when in ("first", "again")}

    found = {f"{n} process{'es' * (n > 1)}": twice(workers=n) for n in (1, 2)}
    from distributed import LocalCluster

    for n in (1, 2):
        with LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster:
            found[f"{n} Dask worker{'s' * (n > 1)}"] = twice(scheduler=cluster.scheduler_address)
    return found


def calendars(number: int) -> list[np.ndarray]:
    """Times of infusion (h) of some regimens of the search, as planned."""
    from euthymia.design.space import space
    from euthymia.protocol import load, schedule

    regimens = space(load(PROTOCOL), VARY).regimens
    some = [regimens[k] for k in np.linspace(0, len(regimens) - 1, number).astype(int)]
    return [np.array([a.time_h for a in schedule(r.protocol, 168.0 * WEEKS).administrations]) for r in some]


def by_peers(regimens: int, patients: int) -> dict[str, Any]:
    """CPU milliseconds per patient and year of each peer, or why there are none."""
    import workload as w

    w.END_H = 168.0 * WEEKS
    w.output_times_h = lambda: 24.0 * np.arange(7.0 * WEEKS + 1)
    found: dict[str, Any] = {}
    for name, module in (("libRoadRunner", "libroadrunner_cvode"), ("numbalsoda LSODA", "numbalsoda_solvers")):
        try:
            peer = __import__(f"peers.{module}", fromlist=["prepare"])
            took = []
            for times in calendars(regimens):
                w.dose_times_h = lambda times=times: times
                solve = peer.prepare(w.population(patients), w.RTOL)
                begin = time.process_time()
                solve()
                took.append(1e3 * (time.process_time() - begin) / patients)
            found[name] = {"cpu_ms_per_patient_year": round(statistics.mean(took), 3)}
        except ImportError as error:
            found[name] = f"not installed ({error.name})"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small searches; nothing is written")
    quick = parser.parse_args().quick
    peers = by_peers(2, 3) if quick else by_peers(SAMPLE, 25)
    large = searched(("dose=0.25, 0.5 mg/kg",), 100, 4, workers=2) if quick else searched(VARY, 2000, 20, workers=2)
    children = psutil.Process().children(recursive=True)  # processes stay for a while
    memory = {"parent": peak_mb(os.getpid()), "largest process": max((peak_mb(c.pid) for c in children), default=0)}
    core_ms = 2e3 * large["wall_s"] / large["followed"]
    for found in peers.values():
        if isinstance(found, dict):
            found["times as long"] = round(found["cpu_ms_per_patient_year"] / core_ms, 1)
    result = {
        "machine": machine(),
        "protocol": PROTOCOL,
        "vary": VARY,
        "limits": LIMITS,
        "asked_s": ASKED_S,
        "large": large | {"core_ms_per_patient_year": round(core_ms, 4), "peak_mb": memory},
        "peers": peers,
        "scaling": scaling(quick),
    }
    print(json.dumps(result, indent=1))
    if not quick:
        (HERE / "search.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
