"""Every random number of courses under rules, the same whatever is done to the patients."""

from concurrent.futures import Executor

import jax
import numpy as np

from euthymia.course.batch import BATCH
from euthymia.course.between import Parameters, filled, ups_and_downs
from euthymia.course.setting import Timing, picked
from euthymia.course.symptoms import RATINGS
from euthymia.illness.bipolar import POLES
from euthymia.illness.depression import DAY_H
from euthymia.patient.population import Patients, illness_of
from euthymia.patient.random import normals

BY_DAY = (
    "fluctuation",
    "dissociation session",
    "blood pressure session",
    "resting systolic",
    "resting diastolic",
    "missed",
    "liking reading",
    "early return",
    "misuse",
)
"""By day or session."""
OWN = ("own systolic", "own value")
"""Of the patient."""


def drawn(
    whole: Timing, horizon_d: int, parameters: Parameters, patients: Patients, worlds: int, pool: Executor
) -> dict[str, np.ndarray]:
    """By stream [times, persons], and "moved", by ups and downs [times, patients]. whole, parameters, worlds: as of
    `Ruled`; pool: threads."""
    illness, n, days = illness_of(patients.population), len(patients) // worlds, np.arange(horizon_d + 1)
    streams = dict.fromkeys(BY_DAY, days) | dict.fromkeys(OWN, np.zeros(1))
    streams |= {rating.stream: whole.minute for rating in RATINGS[illness].values()}
    if illness == "bipolar":
        streams |= {f"{pole} pole": np.arange(len(whole.observe_h) - 1) for pole in POLES}

    def of(first: int) -> dict[str, np.ndarray]:
        people = filled(patients.take(first, min(first + BATCH, n)), BATCH)
        found = normals(people.seed, streams, people.index, compiled=True)
        return {name: np.asarray(found[name]) for name in streams}

    def moved(first: int) -> np.ndarray:
        rows = np.minimum(np.arange(first, first + BATCH), len(patients) - 1)
        people = jax.tree.map(lambda x: np.asarray(x)[rows], patients)
        daily = z["fluctuation"][:, rows % n]
        return np.asarray(ups_and_downs(picked(parameters, rows), people, DAY_H * days, daily))

    parts = list(pool.map(of, range(0, n, BATCH)))
    z = {name: np.ascontiguousarray(np.concatenate([p[name] for p in parts], axis=1)[:, :n]) for name in parts[0]}
    by_patient = np.concatenate(list(pool.map(moved, range(0, len(patients), BATCH))), axis=1)
    return z | {"moved": by_patient[:, : len(patients)]}
