"""The answer to the workload to about ten digits, computed once and kept in `.cache`.

numbalsoda's DOP853 at 1e-12 for many patients; without numbalsoda, scipy's for a few (it is a thousand times slower).
Run as a script to check it against a second method:  python reference.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import workload as w

CACHE = Path(__file__).parent / ".cache"
PATIENTS, PATIENTS_SLOW = 2000, 4


def _by_scipy(population: w.Array) -> tuple[w.Array, w.Array]:
    from scipy.integrate import solve_ivp

    outputs = w.output_times_h()
    depression, plasma = np.zeros((2, len(population), outputs.size))
    for i, p in enumerate(population):
        state = w.start_state(p)
        depression[i, 0] = state[-1]
        for start_h, end_h, infusing in w.segments(cut_at_outputs=True):
            rate = infusing * w.DOSE_MG_PER_KG * p[0] / w.INFUSION_H

            def rhs(_time_h, y, p=p, rate=rate):
                out = np.empty_like(y)
                w.derivative(y, p, rate, out)
                return out

            state = solve_ivp(rhs, (start_h, end_h), state, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1]
            at = np.flatnonzero(np.abs(outputs - end_h) < 1e-9)
            depression[i, at], plasma[i, at] = state[10], state[0] / p[w.COLUMN["V1"]]
    return depression, plasma


def reference() -> tuple[w.Array, w.Array]:
    """D and c1 of the first patients, each (patients, 229); from the cache if it is there."""
    file = CACHE / f"reference-{w.SEED}.npz"
    if file.exists():
        with np.load(file) as kept:
            return kept["depression"], kept["plasma"]
    try:
        from peers.numbalsoda_solvers import reference as compute
    except ImportError:
        return _by_scipy(w.population(PATIENTS_SLOW))
    depression, plasma = compute(w.population(PATIENTS))
    CACHE.mkdir(exist_ok=True)
    np.savez(file, depression=depression, plasma=plasma)
    return depression, plasma


def check() -> None:
    """Print how far other methods and other code end from the reference."""
    from peers.numbalsoda_solvers import second_reference

    exact = reference()
    for name, patients, compute in (("LSODA at 1e-11", 100, second_reference), ("scipy's DOP853", 1, _by_scipy)):
        error_d, error_c = w.errors(*compute(w.population(patients)), exact, patients)
        print(f"{name}, {patients} patients: largest relative difference D {error_d:.1e}, plasma {error_c:.1e}")


if __name__ == "__main__":
    check()
