"""Measure one engine at one setting, in a process of its own, on one core. Started by run.py.

python measure.py MODULE PATIENTS SETTING REPEATS OUTPUT.npz    prints one line of JSON
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time

import numpy as np


def cpu_seconds() -> float:
    """CPU time of all threads of this process and of its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main(module: str, patients: int, setting: float, repeats: int, output: str) -> dict:
    """Import, prepare, solve `repeats` times; the run of median CPU time counts."""
    if hasattr(os, "sched_setaffinity"):  # one core, whatever the engine would like to start
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    begin = time.perf_counter()
    try:
        engine = importlib.import_module(module)
    except ImportError as error:
        return {"status": "not installed", "why": str(error)}
    import workload

    import_s = time.perf_counter() - begin
    population = workload.population(patients)
    begin = time.perf_counter()
    solve = engine.prepare(population, setting)
    prepare_s = time.perf_counter() - begin
    runs = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), cpu_seconds()
        depression, plasma = solve()
        runs.append((cpu_seconds() - cpu, time.perf_counter() - wall))
    np.savez(output, depression=depression, plasma=plasma)
    runs.sort()
    cpu_s, wall_s = runs[len(runs) // 2]
    return {
        "status": "measured",
        "patients": patients,
        "patients_per_s": patients / wall_s,
        "patients_per_cpu_s": patients / cpu_s,
        "patients_per_cpu_s_range": [patients / runs[-1][0], patients / runs[0][0]],
        "import_s": import_s,
        "prepare_s": prepare_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    name, n, value, times, path = sys.argv[1:]
    print(json.dumps(main(name, int(n), float(value), int(times), path)))
