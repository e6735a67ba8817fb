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


class Batches:
    """Some patients, of whom any may be picked. pool: threads for the batches; size: of a batch; whole: work is done
    for all who are among them at once, asked for or not, which costs less than picking them where it is light."""

    def __init__(self, patients: Patients, pool: Executor, size: int, whole: bool = False):
        leaves, self.form = jax.tree.flatten(patients)
        self.rows = np.stack([np.asarray(x, float) for x in leaves])
        self.pool, self.size, self.whole, self.population = pool, size, whole, patients.population
        if whole:
            self.narrow(np.arange(len(self)))

    def __len__(self) -> int:
        return self.rows.shape[1]

    def size_for(self, to: np.ndarray) -> int:
        """Of all, a half, a quarter and so on: the least that has room for these."""
        size = len(self)
        while size % 2 == 0 and size >= 2 * max(len(to), 1):
            size //= 2
        return size

    def narrow(self, to: np.ndarray) -> None:
        """From now on, where `whole`, only these are asked for; compiled code sees as many, or half, or a quarter."""
        self.among = to[np.minimum(np.arange(self.size_for(to)), len(to) - 1)]
        self.slot = np.zeros(len(self), int)
        self.slot[to] = np.arange(len(to))
        self.picked = Picked(jnp.asarray(self.rows[:, self.among]), self.form)

    def each(self, who: np.ndarray, work: Callable[..., Any], *arrays: Any) -> list[Any]:
        """`work` on a batch of patients at a time, called with them, their numbers, and `arrays`: more of each patient,
        [..., who], or such by name. The last of a batch is repeated where there are fewer."""
        if self.whole:
            at = self.slot[who]
            spread = jax.tree.map(lambda x: self._spread(at, x), arrays)
            found = jax.tree.map(np.asarray, work(self.picked, self.among, *spread))
            return [found if len(at) == len(self.among) else jax.tree.map(lambda x: x[..., at], found)]

        def one(first: int) -> Any:
            at = np.minimum(np.arange(first, first + self.size), len(who) - 1)
            rows = who[at]
            return work(Picked(self.rows[:, rows], self.form), rows, *jax.tree.map(lambda x: x[..., at], arrays))

        firsts = range(0, len(who), self.size)
        return list(self.pool.map(one, firsts) if len(firsts) > 1 else map(one, firsts))

    def _spread(self, at: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Of all who are among them, 0 of those who are not asked about."""
        if len(at) == len(self.among):
            return x  # everybody, in order
        found = np.zeros((*x.shape[:-1], len(self.among)), x.dtype)
        found[..., at] = x
        return found
