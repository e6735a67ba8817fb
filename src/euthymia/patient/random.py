"""Counter-based random numbers: (study seed, stream, patient, occasion) -> one standard normal.

The same patient draws the same numbers in every arm, in any chunk and on any number of workers, whatever else changed.
Threefry hashes the counter (patient, occasion) under the key (seed, stream): Salmon 2011, doi:10.1145/2063384.2063405.
"""

from collections.abc import Mapping
from zlib import crc32

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.random import threefry_2x32


def stream_id(name: str) -> int:
    """The number of a named stream."""
    return crc32(name.encode())


def _normal(key: Array, counter: Array) -> Array:
    """Standard normals from counters [2, n] under a key [2]: 53 bits of each hash, by the inverse distribution."""
    high, low = threefry_2x32(key, counter.ravel()).reshape(counter.shape)
    bits = (high.astype(jnp.uint64) << 21) | (low.astype(jnp.uint64) >> 11)
    uniform = (bits.astype(jnp.float64) + 0.5) * 2.0**-53
    return jnp.sqrt(2.0) * jax.scipy.special.erfinv(2 * uniform - 1)


@jax.jit
def _table(seed: Array, stream: Array, occasion: Array, patient: Array) -> Array:
    who = patient.astype(jnp.uint32)

    def row(stream, occasion):
        key = jnp.stack([seed.astype(jnp.uint32), stream])
        return _normal(key, jnp.stack([who, jnp.full_like(who, occasion)]))

    return jax.vmap(row)(stream, occasion)


class Draws(eqx.Module):
    """Standard normals of several streams for the same patients; `draws["name"]` is [occasions, patients]."""

    table: Array
    rows: tuple[tuple[str, int, int], ...] = eqx.field(static=True)

    def __getitem__(self, name: str) -> Array:
        first, last = next((a, b) for n, a, b in self.rows if n == name)
        return self.table[first:last]


def normals(seed: int, streams: Mapping[str, np.ndarray], patient: Array | np.ndarray) -> Draws:
    """Draw every stream at once. streams: name to occasions (integers); patient: [patients]."""
    ids = np.concatenate([np.full(len(o), stream_id(n), np.uint32) for n, o in streams.items()])
    occasions = np.concatenate([np.asarray(o) for o in streams.values()]).astype(np.uint32)
    ends = np.cumsum([len(o) for o in streams.values()]).tolist()
    rows = tuple((n, e - len(o), e) for (n, o), e in zip(streams.items(), ends, strict=True))
    return Draws(_table(jnp.asarray(seed), jnp.asarray(ids), jnp.asarray(occasions), jnp.asarray(patient)), rows)
