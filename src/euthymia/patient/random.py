"""Counter-based random numbers: (study seed, stream, patient, occasion) -> one standard normal.

The same patient draws the same numbers in every arm, in any chunk and on any number of workers, whatever else changed.
Threefry hashes the counter (patient, occasion) under the key (seed, stream): Salmon 2011, doi:10.1145/2063384.2063405.
"""

from collections.abc import Mapping
from typing import Any
from zlib import crc32

import equinox as eqx
import jax
import numpy as np
from jax import Array
from scipy.special import ndtri

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def stream_id(name: str) -> int:
    """The number of a named stream."""
    return crc32(name.encode())


def threefry(key: tuple[Any, Any], counter: tuple[Any, Any]) -> tuple[Any, Any]:
    """Threefry-2x32, 20 rounds: two hashes of a counter under a key. All uint32 arrays, NumPy's or JAX's, broadcast."""
    schedule = (*key, key[0] ^ key[1] ^ np.uint32(PARITY))
    a, b = counter[0] + key[0], counter[1] + key[1]
    for turn in range(5):
        for rotation in ROTATIONS[turn % 2]:
            a = a + b
            b = (b << np.uint32(rotation) | b >> np.uint32(32 - rotation)) ^ a
        a = a + schedule[(turn + 1) % 3]
        b = b + (schedule[(turn + 2) % 3] + np.uint32(turn + 1))
    return a, b


def _uniform(seed: Any, stream: Any, occasion: Any, patient: Any) -> Any:
    """Uniforms [streams and occasions, patients] inside 0 to 1, from 53 bits of each hash."""
    high, low = threefry((seed, stream[:, None]), (patient[None], occasion[:, None]))
    return ((high.astype(np.uint64) << np.uint64(21) | (low >> np.uint32(11))) + 0.5) * 2.0**-53


@jax.jit
def _compiled(*counters: Array) -> Array:
    return np.sqrt(2.0) * jax.scipy.special.erfinv(2 * _uniform(*counters) - 1)


class Draws(eqx.Module):
    """Standard normals of several streams for the same patients; `draws["name"]` is [occasions, patients]."""

    table: Any
    rows: tuple[tuple[str, int, int], ...] = eqx.field(static=True)

    def __getitem__(self, name: str) -> Any:
        first, last = next((a, b) for n, a, b in self.rows if n == name)
        return self.table[first:last]

    def __contains__(self, name: str) -> bool:
        return any(n == name for n, _, _ in self.rows)


def normals(seed: int, streams: Mapping[str, np.ndarray], patient: Array | np.ndarray, compiled: bool = False) -> Draws:
    """Draw every stream at once. streams: name to occasions (integers); patient: [patients].

    compiled: for many draws of one shape; a single draw takes less time than compiling it. Alike but for rounding.
    """
    ids = np.concatenate([np.full(len(o), stream_id(n), np.uint32) for n, o in streams.items()])
    occasions = np.concatenate([np.asarray(o) for o in streams.values()]).astype(np.uint32)
    ends = np.cumsum([len(o) for o in streams.values()]).tolist()
    rows = tuple((n, e - len(o), e) for (n, o), e in zip(streams.items(), ends, strict=True))
    counters = np.full((1, 1), seed, np.uint32), ids, occasions, np.asarray(patient).astype(np.uint32)
    return Draws(_compiled(*counters) if compiled else ndtri(_uniform(*counters)), rows)
