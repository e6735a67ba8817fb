"""Patients taken so many at a time, so that compiled code sees one size only."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from euthymia.patient.population import Patients


class Picked(eqx.Module):
    """Some patients as one array, which compiled code takes faster than many. rows: [fields, patients]."""

    rows: Any
    form: Any = eqx.field(static=True)

    def patients(self) -> Patients:
        """The same as people."""
        return jax.tree.unflatten(self.form, list(self.rows))


EVERYBODY = slice(None)
Rows = np.ndarray | slice
"""Which patients: by number, or `EVERYBODY`."""


class Batches:
    """Some patients, of whom any may be picked. pool: threads for the batches; size: of a batch; whole: work is always
    done for everybody, which costs less than picking patients where it is light."""

    def __init__(self, patients: Patients, pool: Executor, size: int, whole: bool = False):
        leaves, self.form = jax.tree.flatten(patients)
        rows = np.stack([np.asarray(x, float) for x in leaves])
        self.rows = jnp.asarray(rows) if whole else rows
        self.pool, self.size, self.whole, self.population = pool, size, whole, patients.population

    def __len__(self) -> int:
        return self.rows.shape[1]

    def each(self, who: np.ndarray, work: Callable[..., Any], *arrays: Any) -> list[Any]:
        """`work` on a batch of patients at a time, called with them, their numbers, and `arrays`: more of each patient,
        [..., who], or such by name. The last of a batch is repeated where there are fewer."""
        if self.whole:
            found = work(Picked(self.rows, self.form), EVERYBODY, *jax.tree.map(lambda x: self._spread(who, x), arrays))
            return [jax.tree.map(lambda x: np.asarray(x)[..., who], found)]

        def one(first: int) -> Any:
            at = np.minimum(np.arange(first, first + self.size), len(who) - 1)
            rows = who[at]
            return work(Picked(self.rows[:, rows], self.form), rows, *jax.tree.map(lambda x: x[..., at], arrays))

        firsts = range(0, len(who), self.size)
        return list(self.pool.map(one, firsts) if len(firsts) > 1 else map(one, firsts))

    def _spread(self, who: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Of everybody, 0 of those who are not asked about."""
        if np.array_equal(who, np.arange(len(self))):
            return x
        found = np.zeros((*x.shape[:-1], len(self)), x.dtype)
        found[..., who] = x
        return found
