"""Linear compartmental systems, solved exactly through their modes.

A disposition is a chain of *blocks*. Inside a block, flows between compartments are symmetric (an exchange clearance
acts both ways), so its rate matrix is similar to a symmetric one and `eigh` diagonalises it without losing digits,
even when rates coincide. Between blocks, drug moves one way (depot to plasma, parent to metabolite), so the whole is
lower triangular in the blocks' modes and its eigenvectors follow by substitution.

Each mode then obeys x' = -rate x + input, and every concentration is a fixed weighted sum of modes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

# Two modes of different blocks closer than this (relative) are moved apart. Weights grow as 1/gap, so 1e-5 costs five
# of sixteen digits and moves a concentration by at most about 1e-5 of itself: both far inside the 1e-4 we promise.
SMALLEST_GAP = 1e-5


class Block(NamedTuple):
    """Compartments that exchange drug symmetrically.

    names: compartments; volumes_L: name to volume, shape [patients];
    exchange_L_per_h: (name, name) to intercompartmental clearance; elimination_L_per_h: name to clearance out.
    """

    names: tuple[str, ...]
    volumes_L: Mapping[str, Array]
    exchange_L_per_h: Mapping[tuple[str, str], Array]
    elimination_L_per_h: Mapping[str, Array]


def stage(name: str, rate_per_h: Array) -> Block:
    """A depot or transit stage: one compartment that empties at `rate_per_h`."""
    return Block((name,), {name: jnp.ones_like(rate_per_h)}, {}, {name: rate_per_h})


class Transfer(NamedTuple):
    """One-way flow: `rate_per_h` x amount in `source` arrives in `target` (a compartment of a later block)."""

    source: str
    target: str
    rate_per_h: Array


class LinearSystem(eqx.Module):
    """x' = -rates x + inputs u(t), concentrations = outputs x.

    rates: 1/h, [modes, patients]; inputs: per mg, [modes, channels, patients]; outputs: [analytes, modes, patients],
    nmol/L per unit of mode. `channels` and `analytes` name the axes.
    """

    rates: Array
    inputs: Array
    outputs: Array
    channels: tuple[str, ...] = eqx.field(static=True)
    analytes: tuple[str, ...] = eqx.field(static=True)


def _block_modes(block: Block) -> tuple[Array, dict[str, Array], dict[str, Array]]:
    """Rates [modes, patients] of one block, and per compartment the rows that write to and read from its modes."""
    m = len(block.names)
    volume = [block.volumes_L[n] for n in block.names]
    zero = jnp.zeros_like(volume[0])
    matrix = [[zero] * m for _ in range(m)]
    for (a, b), flow in block.exchange_L_per_h.items():
        i, j = block.names.index(a), block.names.index(b)
        matrix[i][i] = matrix[i][i] + flow / volume[i]
        matrix[j][j] = matrix[j][j] + flow / volume[j]
        matrix[i][j] = matrix[j][i] = -flow / jnp.sqrt(volume[i] * volume[j])
    for name, clearance in block.elimination_L_per_h.items():
        i = block.names.index(name)
        matrix[i][i] = matrix[i][i] + clearance / volume[i]
    if m == 1:
        rates, vectors = matrix[0][0][None], jnp.ones((1, 1, *zero.shape))
    else:
        symmetric = jnp.stack([jnp.stack(row, -1) for row in matrix], -2)
        values, vectors = jnp.linalg.eigh(symmetric)
        rates, vectors = values.T, jnp.moveaxis(vectors, 0, -1)
    write = {n: vectors[i] / jnp.sqrt(volume[i]) for i, n in enumerate(block.names)}
    read = {n: vectors[i] * jnp.sqrt(volume[i]) for i, n in enumerate(block.names)}
    return rates, write, read


def _separate(rates: list[Array], block_of: list[int]) -> list[Array]:
    """Move apart modes of different blocks whose rates (nearly) coincide."""
    apart: list[Array] = []
    for j, rate in enumerate(rates):
        for k in range(j):
            if block_of[k] != block_of[j]:
                gap = rate - apart[k]
                least = SMALLEST_GAP * apart[k]
                rate = jnp.where(jnp.abs(gap) < least, apart[k] + jnp.where(gap < 0, -least, least), rate)
        apart.append(rate)
    return apart


def linear_system(
    blocks: Sequence[Block],
    transfers: Sequence[Transfer],
    channels: Mapping[str, Mapping[str, Array | float]],
    analytes: Mapping[str, tuple[str, Array, float]],
) -> LinearSystem:
    """Diagonalise a chain of blocks.

    blocks: in the order drug flows; transfers: between blocks, downstream only;
    channels: input name to {compartment: fraction of the input that arrives there};
    analytes: name to (compartment, its volume in L, molecular weight in g/mol).
    """
    solved = [_block_modes(b) for b in blocks]
    home = {n: i for i, b in enumerate(blocks) for n in b.names}
    first = [0]
    for rates, _, _ in solved:
        first.append(first[-1] + len(rates))
    size, shape = first[-1], solved[0][0].shape[1:]
    block_of = [i for i, (rates, _, _) in enumerate(solved) for _ in range(len(rates))]
    rate = jnp.stack(_separate([r for rates, _, _ in solved for r in rates], block_of))

    flow = jnp.zeros((size, size, *shape))  # into row, out of column
    for source, target, k in transfers:
        p, q = home[source], home[target]
        if q <= p:
            raise ValueError(f"transfer {source} to {target} does not run downstream")
        into, out = solved[q][1][target], solved[p][2][source]
        flow = flow.at[first[q] : first[q + 1], first[p] : first[p + 1]].add(into[:, None] * k * out[None, :])

    # right eigenvectors (columns) of the lower-triangular rate matrix, then their inverse, both by substitution
    one = jnp.ones(shape)
    right = jnp.zeros_like(flow).at[0, 0].set(one)
    inverse = right
    for j in range(1, size):
        same = np.array(block_of[:j]) == block_of[j]  # no flow between modes of one block, and rates may be equal
        gap = jnp.where(same[:, None], 1.0, rate[j] - rate[:j])
        row = jnp.einsum("in,ikn->kn", flow[j, :j], right[:j, :j]) / gap
        right = right.at[j, :j].set(jnp.where(same[:, None], 0.0, row)).at[j, j].set(one)
        inverse = inverse.at[j, :j].set(-jnp.einsum("in,ikn->kn", right[j, :j], inverse[:j, :j])).at[j, j].set(one)

    def gain(arrivals: Mapping[str, Array | float]) -> Array:
        written = jnp.zeros((size, *shape))
        for compartment, fraction in arrivals.items():
            q = home[compartment]
            written = written.at[first[q] : first[q + 1]].add(solved[q][1][compartment] * fraction)
        return jnp.einsum("jkn,kn->jn", inverse, written)

    def weights(compartment: str, volume: Array, weight_g_per_mol: float) -> Array:
        q = home[compartment]
        read = jnp.einsum("in,ikn->kn", solved[q][2][compartment], right[first[q] : first[q + 1]])
        return read * 1e6 / weight_g_per_mol / volume

    return LinearSystem(
        rates=rate,
        inputs=jnp.stack([gain(a) for a in channels.values()], 1),
        outputs=jnp.stack([weights(*spec) for spec in analytes.values()]),
        channels=tuple(channels),
        analytes=tuple(analytes),
    )
