"""AMICI: SBML turned into C++, compiled, solved by CVODES; no sensitivities; events switch the infusion."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import amici
import amici.sim.sundials as sundials
import numpy as np
import sbml_model
import workload as w

_NAME = "ketamine_workload"
_FOLDER = Path(__file__).parents[1] / ".cache" / f"amici-{amici.__version__}"


def _model():
    """The compiled model; built once (half a minute or so), then kept in the cache."""
    finished = _FOLDER / "finished"
    if not finished.exists():
        # the swig and cmake of this virtual environment, also when it is not activated
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        _FOLDER.mkdir(parents=True, exist_ok=True)
        source = _FOLDER.with_suffix(".xml")
        source.write_text(sbml_model.sbml_text(), encoding="utf-8")
        channels = [
            amici.MeasurementChannel("depression", formula="D"),
            amici.MeasurementChannel("plasma", formula="A1/V1"),
        ]
        amici.SbmlImporter(str(source)).sbml2amici(
            _NAME, str(_FOLDER), observation_model=channels, generate_sensitivity_code=False
        )
        finished.touch()
    return amici.import_model_module(_NAME, str(_FOLDER)).get_model()


def prepare(population: w.Array, setting: float) -> Callable[[], tuple[w.Array, w.Array]]:
    """CVODES at relative tolerance `setting`, on one thread."""
    model = _model()
    model.set_timepoints(w.output_times_h())
    solver = model.create_solver()
    solver.set_relative_tolerance(setting)
    solver.set_absolute_tolerance(setting * w.ATOL / w.RTOL)
    solver.set_max_steps(200_000)
    ids = list(model.get_free_parameter_ids())
    columns = [ids.index(name) for name in w.NAMES]
    typical, start = np.array(model.get_free_parameters()), np.array(model.get_initial_state())
    score = list(model.get_state_ids()).index("D")
    conditions = []
    for p in population:
        condition, values, state = sundials.ExpData(model), typical.copy(), start.copy()
        values[columns], state[score] = p, p[w.COLUMN["D0"]]
        condition.free_parameters, condition.x0 = values, state
        conditions.append(condition)

    def solve() -> tuple[w.Array, w.Array]:
        results = sundials.run_simulations(model, solver, conditions, num_threads=1)
        observed = np.stack([np.asarray(result.y) for result in results])
        return observed[:, :, 0], observed[:, :, 1]

    sundials.run_simulations(model, solver, conditions[:1], num_threads=1)
    return solve
