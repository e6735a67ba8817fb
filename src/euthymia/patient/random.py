"""Counter-based random numbers: (study seed, stream, patient, occasion) -> one standard normal.

The same patient draws the same numbers in every arm, in any chunk and on any number of workers, whatever else changed.
"""

from zlib import crc32

import jax
import jax.numpy as jnp
from jax import Array


def _keys(seed: int, stream: str, patient: Array) -> Array:
    base = jax.random.fold_in(jax.random.key(seed), crc32(stream.encode()))
    return jax.vmap(lambda i: jax.random.fold_in(base, i))(patient)


def normals(seed: int, stream: str, patient: Array) -> Array:
    """One standard normal per patient, [patients]."""
    return jax.vmap(lambda k: jax.random.normal(k, dtype=jnp.float64))(_keys(seed, stream, patient))


def normals_by_occasion(seed: int, stream: str, patient: Array, occasion: Array) -> Array:
    """One standard normal per occasion (any integers) and patient, [occasions, patients]."""

    def one(key, o):
        return jax.random.normal(jax.random.fold_in(key, o), dtype=jnp.float64)

    keys = _keys(seed, stream, patient)
    return jax.vmap(lambda o: jax.vmap(lambda k: one(k, o))(keys))(occasion)
