"""numbalsoda: LSODA and DOP853 called from numba-compiled code, restarted at every jump of the infusion rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import workload as w
from numba import cfunc, njit
from numbalsoda import dop853, lsoda, lsoda_sig

_derivative = njit(w.derivative)


@cfunc(lsoda_sig)
def _rhs(_time_h, state, out, p):
    _derivative(state, p, p[21], out)  # the infusion rate travels as one more parameter


def _population_solver(solver, rtol: float, atol: float, segments: w.Array) -> Callable:
    rhs, outputs, s0 = _rhs.address, w.output_times_h(), w.S0
    dose_rate = w.DOSE_MG_PER_KG / w.INFUSION_H

    @njit
    def run(population, depression, plasma):
        for i in range(population.shape[0]):
            p = np.empty(22)
            p[:21] = population[i]
            state = np.zeros(11)
            state[8], state[10] = s0, p[19]
            depression[i, 0], plasma[i, 0] = p[19], 0.0
            done = 1
            for start_h, end_h, infusing in segments:
                p[21] = infusing * dose_rate * p[0]
                upto = done
                while upto < outputs.size and outputs[upto] <= end_h + 1e-9:
                    upto += 1
                inside = upto - done
                at_end = inside > 0 and abs(outputs[upto - 1] - end_h) < 1e-9
                times = np.empty(inside + (1 if at_end else 2))
                times[0] = start_h
                times[1 : inside + 1] = outputs[done:upto]
                times[-1] = end_h
                states, _ = solver(rhs, state, times, p, rtol, atol)
                for j in range(inside):
                    depression[i, done + j] = states[j + 1, 10]
                    plasma[i, done + j] = states[j + 1, 0] / p[2]
                state = states[-1].copy()
                done = upto

    return run


def _solve(run: Callable, population: w.Array) -> tuple[w.Array, w.Array]:
    shape = (len(population), w.output_times_h().size)
    depression, plasma = np.empty(shape), np.empty(shape)
    run(population, depression, plasma)
    return depression, plasma


def prepare(population: w.Array, setting: float) -> Callable[[], tuple[w.Array, w.Array]]:
    """LSODA at relative tolerance `setting`."""
    run = _population_solver(lsoda, setting, setting * w.ATOL / w.RTOL, w.segments())
    _solve(run, population[:1])
    return lambda: _solve(run, population)


def reference(population: w.Array) -> tuple[w.Array, w.Array]:
    """D and c1 by DOP853 at 1e-12, restarted at every jump and every output time, so nothing is interpolated."""
    return _solve(_population_solver(dop853, 1e-12, 1e-14, w.segments(cut_at_outputs=True)), population)


def second_reference(population: w.Array) -> tuple[w.Array, w.Array]:
    """The same by LSODA at 1e-11: another family of methods, to check the reference itself."""
    return _solve(_population_solver(lsoda, 1e-11, 1e-13, w.segments(cut_at_outputs=True)), population)
