"""Time and memory of Euthymia's whole chain: patients drawn, drug to scores and harms, outcomes tabulated.

26 weeks, 16 infusions, `euthymia.simulate` with its defaults (all cores). Every run in a process of its own.

python full_chain.py [--quick]      writes full_chain.json, prints the table
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import machine

HERE = Path(__file__).parent
PROTOCOL = HERE / "sixteen-infusions.yaml"
WEEKS, INFUSIONS = 26, 16
REPEATS = 3
COLUMNS = ("first_call_s", "patients_per_s", "patients_per_cpu_s", "peak_gb")


def simulate_once(patients: int, repeats: int, out: str = "") -> dict:
    """In this process: the first call (with compilation), then the median of `repeats` more, and the peak memory."""
    begin = time.perf_counter()
    import euthymia

    stored = {"out": out} if out else {}

    def once() -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        course = euthymia.simulate(str(PROTOCOL), patients=patients, weeks=WEEKS, seed=1, **stored)
        taken = time.perf_counter() - wall, time.process_time() - cpu
        given = len(course.session_h)
        if given != INFUSIONS:
            raise SystemExit(f"the protocol gave {given} infusions, not {INFUSIONS}")
        return taken

    once()
    row = {"patients": patients, "first_call_s": time.perf_counter() - begin}
    runs = sorted(once() for _ in range(repeats))
    if runs:
        wall_s, cpu_s = runs[len(runs) // 2]
        row |= {"patients_per_s": patients / wall_s, "patients_per_cpu_s": patients / cpu_s}
    return row | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2}


def in_own_process(patients: int, repeats: int, out: str = "") -> dict:
    """The same in a fresh interpreter."""
    command = [sys.executable, str(HERE / "full_chain.py"), "--one", str(patients), str(repeats), out]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"patients": patients, "failed": (done.stderr.strip().splitlines() or ["it said nothing"])[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def cold_command_s() -> float | str:
    """Seconds of `euthymia simulate` for 1,000 patients over 12 weeks with no compiled code kept; median of three."""
    command = Path(sys.executable).with_name("euthymia")
    if not command.exists():
        return "not installed"
    times = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            # XDG_CACHE_HOME: so that compiled code kept from an earlier run is not found
            environment = os.environ | {"XDG_CACHE_HOME": folder, "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax"}
            options = ["--patients", "1000", "--weeks", "12", "--out", f"{folder}/course"]
            begin = time.perf_counter()
            done = subprocess.run(
                [str(command), "simulate", "ketamine-iv-trd", *options], env=environment, capture_output=True, text=True
            )
            times.append(time.perf_counter() - begin)
            if done.returncode:
                return "failed: " + (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    return sorted(times)[1]


def main() -> int:
    """Run, print, write; 1 if something failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="1,000 patients only; writes no file")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(simulate_once(int(options.one[0]), int(options.one[1]), options.one[2])))
        return 0
    where = machine()
    rows = [in_own_process(1000, REPEATS)]
    if not options.quick:
        rows.append(in_own_process(10_000, REPEATS))
        with tempfile.TemporaryDirectory() as folder:
            rows.append(in_own_process(100_000, 0))
            rows.append(in_own_process(20_000, 0, f"{folder}/course") | {"stored": True})
    cold = cold_command_s()
    print("| patients | first call s | patients/s, wall | patients per CPU s | peak GB |\n|---:|---:|---:|---:|---:|")
    for row in rows:
        label = f"{row['patients']:,}" + (", stored as Parquet" if row.get("stored") else "")
        cells = [f"{row[key]:,.2f}" if key in row else "-" for key in COLUMNS]
        print(f"| {label} | " + (row["failed"] + " |" * 4 if "failed" in row else " | ".join(cells) + " |"))
    taken = cold if isinstance(cold, str) else f"{cold:.1f} s"
    print(f"\nCold `euthymia simulate`, 1,000 patients x 12 weeks: {taken}")
    if not options.quick:
        result = {"machine": where, "weeks": WEEKS, "infusions": INFUSIONS, "rows": rows, "cold_command_s": cold}
        (HERE / "full_chain.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(any("failed" in row for row in rows) or isinstance(cold, str))


if __name__ == "__main__":
    sys.exit(main())
