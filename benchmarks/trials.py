"""Time of virtual trials: a planned one a thousand times over, the whole validation, a gradient beside its value; and
of 10,000 people with bipolar disorder over two years.

Every command runs in a process of its own: with an empty compilation cache, and the trials once more with the cache
that the first run left.

python trials.py [--quick]      writes trials.json, prints the table
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from run import machine

HERE = Path(__file__).parent
PLAN = HERE / "two-arms-eight-weeks.yaml"
ASKED = {"trials_s": 60.0, "trials_cached_s": 60.0, "validate_s": 300.0, "gradient_over_value": 5.0,
         "bipolar_s": 30.0}  # fmt: skip
"""What the project set itself, on two cores."""
WORDS = {
    "trials_s": "1,000 trials of two arms, 200 patients, 8 weeks (s)",
    "trials_cached_s": "the same, with the compilation cache (s)",
    "validate_s": "euthymia validate (s)",
    "bipolar_s": "10,000 bipolar patients over two years (s)",
    "gradient_over_value": "gradient of the calibration likelihood over its value",
}


def command_s(cache: str, *words: str) -> float:
    """Wall time of a command of Euthymia in a new process. cache: folder of compiled code."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        command = [sys.executable, "-c", "from euthymia.cli import main; main()", *words, "--out", f"{folder}/out"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": cache})
        if done.returncode:
            raise SystemExit(done.stderr or done.stdout)
        return time.perf_counter() - begin


def gradient_over_value(patients: int, repeats: int) -> float:
    """Median processor time of a gradient over that of a value, one after the other in the same process."""
    import equinox as eqx
    import jax.numpy as jnp

    from euthymia.learn.likelihood import target

    aim = target(patients=patients)
    given = aim.replicas.arms, aim.peak.arms, aim.data

    def density(x, *given):
        return aim.log_density(*given, x)

    value, both = eqx.filter_jit(density), eqx.filter_jit(eqx.filter_value_and_grad(density))

    def taken(f: Callable, x) -> float:
        begin = time.process_time()
        jnp.asarray(f(x, *given)[1] if f is both else f(x, *given)).block_until_ready()
        return time.process_time() - begin

    x = jnp.zeros(aim.size)
    for f in (value, both):
        taken(f, x)
    times = [(taken(value, x + 1e-3 * k), taken(both, x + 1e-3 * k)) for k in range(1, repeats + 1)]
    return statistics.median(g for _, g in times) / statistics.median(v for v, _ in times)


def bipolar_s(patients: int) -> float:
    """Wall time of eight infusions and two years of both poles, compiling included."""
    from euthymia import simulate
    from euthymia.patient import draw

    people = draw("bipolar depression", patients, 1)
    begin = time.perf_counter()
    simulate("ketamine-iv-bipolar", people, weeks=104)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it runs; writes nothing")
    quick = parser.parse_args().quick
    replicates, patients, repeats = ("50", "128", 3) if quick else ("1000", "512", 9)
    trials = ("trial", "power", str(PLAN), "--replicates", replicates)
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as empty:
        found = {
            "trials_s": command_s(cache, *trials),
            "trials_cached_s": command_s(cache, *trials),
            "validate_s": command_s(empty, "validate", "--patients", patients),
        }
    found["bipolar_s"] = bipolar_s(500 if quick else 10_000)
    found["gradient_over_value"] = gradient_over_value(64 if quick else 256, repeats)
    print("| what | measured | asked |\n|---|---:|---:|")
    for name, x in found.items():
        print(f"| {WORDS[name]} | {x:.1f} | {ASKED[name]:g} |")
    if not quick:
        text = json.dumps({"machine": machine(), **{k: round(v, 2) for k, v in found.items()}}, indent=2)
        (HERE / "trials.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
