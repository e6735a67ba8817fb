"""libRoadRunner: SBML compiled with LLVM, solved by CVODE; events switch the infusion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import roadrunner
import sbml_model
import workload as w


def prepare(population: w.Array, setting: float) -> Callable[[], tuple[w.Array, w.Array]]:
    """CVODE at relative tolerance `setting`, one patient after the other on one loaded model."""
    model = roadrunner.RoadRunner(sbml_model.sbml_text())
    model.integrator.setValue("relative_tolerance", setting)
    model.integrator.setValue("absolute_tolerance", setting * w.ATOL / w.RTOL)
    model.integrator.setValue("maximum_num_steps", 200_000)
    model.timeCourseSelections = ["time", "D", "c1"]
    times = w.output_times_h().tolist()

    def one(p: w.Array) -> w.Array:
        model.reset()
        for name, value in zip(w.NAMES, p.tolist(), strict=True):
            model[name] = value
        model["D"] = float(p[w.COLUMN["D0"]])
        model["infusing"] = 1.0  # reset() leaves what the events did to it
        return np.array(model.simulate(times=times))

    def solve() -> tuple[w.Array, w.Array]:
        courses = np.stack([one(p) for p in population])
        return courses[:, :, 1], courses[:, :, 2]

    one(population[0])
    return solve
