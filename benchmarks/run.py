"""Solve the reference workload with every engine that is installed, one core each, and compare.

python run.py [--quick] [--only NAME]      writes results.json and results.md, prints the table
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import workload as w
from reference import CACHE, reference

HERE = Path(__file__).parent
YARDSTICK = "libRoadRunner"
TIME_LIMIT_S = 900


class Engine(NamedTuple):
    """What to run. setting: relative tolerance of a peer, mesh level of Euthymia; patients: a few seconds' work."""

    name: str
    module: str
    package: str
    setting: float
    patients: int


ENGINES = (
    Engine("diffrax Kvaerno5", "peers.diffrax_kvaerno5", "diffrax", w.RTOL, 100),
    Engine("AMICI CVODES", "peers.amici_cvodes", "amici", w.RTOL, 200),
    Engine(YARDSTICK, "peers.libroadrunner_cvode", "libroadrunner", w.RTOL, 500),
    Engine("numbalsoda LSODA", "peers.numbalsoda_solvers", "numbalsoda", w.RTOL, 1000),
    Engine("Euthymia, mesh level 1", "euthymia_engine", "euthymia", 1.0, 10_000),
    Engine("Euthymia, mesh level 2", "euthymia_engine", "euthymia", 2.0, 10_000),
)


def measure(engine: Engine, patients: int, repeats: int) -> tuple[dict, Path]:
    """Run one engine in its own process; its row and the file with its answers."""
    answers = CACHE / "answers.npz"
    answers.unlink(missing_ok=True)
    arguments = [engine.module, str(patients), repr(engine.setting), str(repeats), str(answers)]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "measure.py", *arguments],
            cwd=HERE,
            env=os.environ | one_thread,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
        )
        row = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        row = {"status": "failed", "why": f"took longer than {TIME_LIMIT_S} s"}
    except (IndexError, json.JSONDecodeError):
        last = done.stderr.strip().splitlines() or ["it said nothing"]
        row = {"status": "failed", "why": last[-1]}
    return row, answers


def machine() -> dict:
    """Where this was measured."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def installed(package: str) -> str:
    """Version of a package, or "-"."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def compare(rows: list[dict]) -> None:
    """Add to each measured row its speed per core as a multiple of the yardstick's, and whether it is as accurate."""
    yardstick = next((r for r in rows if r["engine"] == YARDSTICK and r["status"] == "measured"), None)
    for row in rows:
        if yardstick and row["status"] == "measured":
            row["times_yardstick"] = row["patients_per_cpu_s"] / yardstick["patients_per_cpu_s"]
            row["at_least_as_accurate"] = all(
                row[error] <= yardstick[error] for error in ("max_rel_error_depression", "max_rel_error_plasma")
            )


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    lines = [
        f"| engine | version | patients/s, wall | patients per CPU s (range) | x {YARDSTICK} per core | as accurate |"
        " max rel. error D | plasma | import s | prepare s | peak MB | patients |",
        "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        if r["status"] != "measured":
            lines.append(f"| {r['engine']} | {r['version']} | {r['status']} |" + " |" * 9)
            continue
        low, high = r["patients_per_cpu_s_range"]
        ratio = f"{r['times_yardstick']:.2f}" if "times_yardstick" in r else "-"
        accurate = {True: "yes", False: "no", None: "-"}[r.get("at_least_as_accurate")]
        lines.append(
            f"| {r['engine']} | {r['version']} | {r['patients_per_s']:,.1f} |"
            f" {r['patients_per_cpu_s']:,.1f} ({low:,.1f}-{high:,.1f}) | {ratio} | {accurate} |"
            f" {r['max_rel_error_depression']:.1e} | {r['max_rel_error_plasma']:.1e} |"
            f" {r['import_s']:.2f} | {r['prepare_s']:.2f} | {r['peak_mb']:.0f} | {r['patients']:,} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Run, print, write; 1 if an installed engine failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the patients, once: only to see that it runs")
    parser.add_argument("--only", metavar="NAME", help="engines whose name contains NAME; writes no files")
    options = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    where, exact, rows = machine(), reference(), []
    for engine in ENGINES:
        if options.only and options.only.lower() not in engine.name.lower():
            continue
        print(f"{engine.name} ...", file=sys.stderr, flush=True)
        patients, repeats = (engine.patients // 10, 1) if options.quick else (engine.patients, 3)
        row, answers = measure(engine, patients, repeats)
        row = {"engine": engine.name, "version": installed(engine.package), "setting": engine.setting} | row
        if row["status"] == "measured":
            with np.load(answers) as a:
                errors = w.errors(a["depression"], a["plasma"], exact, patients)
            row["max_rel_error_depression"], row["max_rel_error_plasma"] = errors
            row["patients_checked"] = min(patients, len(exact[0]))
        else:
            print(f"  {row['status']}: {row['why']}", file=sys.stderr)
        rows.append(row)
    compare(rows)
    text = table(rows)
    print(text)
    if not (options.only or options.quick):
        libraries = {name: installed(name) for name in ("numpy", "numba", "jax", "equinox", "antimony")}
        (HERE / "results.json").write_text(
            json.dumps({"machine": where, "libraries": libraries, "rows": rows}, indent=1) + "\n", encoding="utf-8"
        )
        note = (
            f"{where['when']}, {where['cpu']}, {where['cores']} cores, Python {where['python']}; one core per engine."
        )
        (HERE / "results.md").write_text(f"{note}\n\n{text}\n", encoding="utf-8")
    return int(any(r["status"] == "failed" for r in rows))


if __name__ == "__main__":
    sys.exit(main())
