"""Patients taken so many at a time, so that compiled code sees one size only."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import jax
import numpy as np

from euthymia.patient.population import Patients


class Batches:
    """Some patients, of whom any may be picked. pool: threads for the batches; size: of a batch."""

    def __init__(self, patients: Patients, pool: Executor, size: int):
        # one row a field, so that picking patients out is one step
        leaves, self.form = jax.tree.flatten(patients)
        self.rows = np.stack([np.asarray(x, float) for x in leaves])
        self.pool, self.size = pool, size

    def pick(self, who: np.ndarray) -> Patients:
        """These patients, by number."""
        return jax.tree.unflatten(self.form, list(self.rows[:, who]))

    def each(self, who: np.ndarray, work: Callable[..., Any], *arrays: Any) -> list[Any]:
        """`work` on a batch of patients at a time, the last of them repeated where there are fewer; arrays: more of
        each patient, [..., who], or such by name."""

        def one(first: int) -> Any:
            at = np.minimum(np.arange(first, first + self.size), len(who) - 1)
            return work(self.pick(who[at]), *jax.tree.map(lambda x: x[..., at], arrays))

        return list(self.pool.map(one, range(0, len(who), self.size)))
