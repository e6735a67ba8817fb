"""Patients taken so many at a time, so that compiled code sees one size only."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import equinox as eqx
import jax
import numpy as np

from euthymia.patient.population import Patients


class Picked(eqx.Module):
    """Some patients as one array, which compiled code takes faster than many. rows: [fields, patients]."""

    rows: Any
    form: Any = eqx.field(static=True)

    def patients(self) -> Patients:
        """The same as people."""
        return jax.tree.unflatten(self.form, list(self.rows))


class Batches:
    """Some patients, of whom any may be picked. pool: threads for the batches; size: of a batch."""

    def __init__(self, patients: Patients, pool: Executor, size: int):
        leaves, self.form = jax.tree.flatten(patients)
        self.rows = np.stack([np.asarray(x, float) for x in leaves])
        self.pool, self.size, self.population = pool, size, patients.population

    def each(self, who: np.ndarray, work: Callable[..., Any], *arrays: Any) -> list[Any]:
        """`work` on a batch of patients at a time, the last of them repeated where there are fewer; arrays: more of
        each patient, [..., who], or such by name."""

        def one(first: int) -> Any:
            at = np.minimum(np.arange(first, first + self.size), len(who) - 1)
            return work(Picked(self.rows[:, who[at]], self.form), *jax.tree.map(lambda x: x[..., at], arrays))

        firsts = range(0, len(who), self.size)
        return list(self.pool.map(one, firsts) if len(firsts) > 1 else map(one, firsts))
