"""Who gets what: allocating the patients of a trial to its arms."""

from collections.abc import Sequence

import numpy as np

from euthymia.errors import UserError

METHODS = ("simple", "block")


def _checked_ratio(ratio: Sequence[int]) -> np.ndarray:
    shares = np.asarray(ratio)
    whole = shares.ndim == 1 and len(shares) >= 2 and np.issubdtype(shares.dtype, np.integer)
    if not whole or (shares < 1).any():
        raise UserError(
            f"ratio is {ratio!r}; it must hold one whole number of at least 1 for each of two or more arms."
        )
    return shares


def _blocks(n: int, one: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permuted copies of one block, the last one cut off at n patients."""
    copies = np.tile(one, (-(-n // len(one)), 1))
    return rng.permuted(copies, axis=1).ravel()[:n]


def allocate(
    n: int,
    ratio: Sequence[int],
    rng: np.random.Generator,
    method: str = "block",
    block: int | None = None,
    strata: np.ndarray | None = None,
) -> np.ndarray:
    """Arm number [n] of each patient, in the order of entry.

    n: patients. ratio: whole numbers, one per arm, such as (2, 1).
    method: "simple" draws every patient on their own; "block" permutes blocks that each hold the ratio exactly.
    block: patients per block, a multiple of the sum of the ratio; twice that sum if not given.
    strata: whole number [n] per patient; each stratum then has its own blocks.
    The same state of `rng` gives the same allocation. Raises UserError for what cannot be allocated.

    >>> allocate(6, (1, 1), np.random.default_rng(1), block=2).reshape(3, 2).sum(axis=1).tolist()
    [1, 1, 1]
    """
    shares = _checked_ratio(ratio)
    if n < 1:
        raise UserError(f"n is {n}; a trial needs at least 1 patient.")
    if method not in METHODS:
        raise UserError(f"method is {method!r}; it must be one of {', '.join(METHODS)}.")
    if method == "simple":
        if block is not None or strata is not None:
            raise UserError(
                "block and strata were given with method 'simple'; they are allowed with method 'block' only."
            )
        return rng.choice(len(shares), size=n, p=shares / shares.sum())
    total = int(shares.sum())
    size = 2 * total if block is None else block
    if size < 1 or size % total:
        raise UserError(f"block is {block}; it must be a multiple of the sum of the ratio, {total}.")
    one = np.repeat(np.arange(len(shares)), shares * (size // total))
    if strata is None:
        return _blocks(n, one, rng)
    stratum = np.asarray(strata)
    if stratum.shape != (n,) or not np.issubdtype(stratum.dtype, np.integer):
        raise UserError(
            f"strata must hold one whole number for each of the {n} patients; it has shape {stratum.shape}."
        )
    arm = np.empty(n, int)
    for s in np.unique(stratum):
        members = stratum == s
        arm[members] = _blocks(int(members.sum()), one, rng)
    return arm
