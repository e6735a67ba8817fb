"""Rating scales of depression: what a MADRS score means, and other scales by published linking.

MADRS runs from 0 to 60. Other scales are offered only where, and only as far as, a publication links them.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia import evidence
from euthymia.errors import UserError

Scores = NDArray[np.float64]

MADRS_MAXIMUM = 60
RESPONSE_FALL = 0.5
"""Response is a fall from baseline by at least this share: Takahashi 2021, doi:10.1186/s12888-021-03538-y."""
REMISSION = {
    "MADRS <= 12": 12,  # esketamine trials, for example doi:10.1186/s12888-023-05017-y
    "MADRS <= 10": 10,  # the stricter cut of other trials; seen on a secondary page only
}
"""Cut-offs in use for remission. They differ by trial, so none is a default."""


@dataclass(frozen=True)
class Bands:
    """Names of severity, each with the lowest whole MADRS score that has it."""

    names: tuple[str, ...]
    lowest: tuple[int, ...]
    source: str


BANDS = {
    "Kearns": Bands(
        ("recovered", "mild", "moderate", "severe", "very severe"),
        (0, 8, 16, 26, 31),
        "Kearns 1982, table of cut-points, https://pmc.ncbi.nlm.nih.gov/articles/PMC3436964/table/T2",
    ),
    "cliot": Bands(
        ("normal", "mild", "moderate", "severe"),
        (0, 7, 20, 35),
        "R package cliot 1.0.0, "
        "https://www.rdocumentation.org/packages/cliot/versions/1.0.0/topics/madrs_depression_score",
    ),
}
"""Two sets of bands in use; they disagree, so the set must always be named."""


@dataclass(frozen=True)
class Linking:
    """Published pairs of MADRS and another scale, with what to keep in mind when using them."""

    to: str
    madrs: tuple[float, ...]
    other: tuple[float, ...]
    source: str
    where: str
    caution: str


# Which published pairs serve which scale. The first pairs come from a publication that did not say, in what
# could be read of it, which HAM-D it used; HAM-D17 is the form in common use.
_PUBLISHED = {"HAM-D17": "HAM-D", "PHQ-9": "PHQ-9"}
_NOT_PUBLISHED = {
    "QIDS-SR16": "one pair only is published (QIDS-SR16 5 is MADRS 7-8, Carmody 2006), and one pair is no scale",
}


@lru_cache
def linkings() -> dict[str, Linking]:
    """The published linkings to MADRS, by the name of the other scale."""
    found = {}
    for to, published in _PUBLISHED.items():
        rows = [
            row
            for row in evidence.linking()
            if row.from_scale == published and row.to_scale == "MADRS" and "equipercentile" in row.where
        ]
        pairs = sorted((_middle(row.to_score), _middle(row.from_score)) for row in rows)
        madrs, other = zip(*pairs, strict=True)
        found[to] = Linking(to, madrs, other, rows[0].source, rows[0].where, rows[0].caution)
    return found


def _middle(score: str) -> float:
    """A score as printed; the middle of it where a range is printed (52-53 is 52.5)."""
    ends = [float(end) for end in score.split("-")]
    return sum(ends) / len(ends)


def linking(to: str) -> Linking:
    """The published linking of MADRS to the scale `to`, with its caution. Raises UserError if there is none."""
    known = linkings()
    if to in known:
        return known[to]
    why = f": {_NOT_PUBLISHED[to]}" if to in _NOT_PUBLISHED else ""
    raise UserError(f"no published linking covers MADRS to {to!r}{why}; there are {', '.join(known)}")


def covered(to: str) -> tuple[float, float]:
    """Lowest and highest MADRS score that the published linking to the scale `to` covers."""
    pairs = linking(to).madrs
    return pairs[0], pairs[-1]


def link(scores: ArrayLike, *, to: str) -> Scores:
    """MADRS `scores` (points, any shape) as scores on the scale `to`, linear between the published pairs.

    Equivalent between groups only, never for one patient: `linking(to).caution` says why.
    Raises UserError where no published linking covers the scale or a score.
    """
    published = linking(to)
    madrs = _scores(scores)
    low, high = published.madrs[0], published.madrs[-1]
    outside = (madrs < low) | (madrs > high)
    if outside.any():
        raise UserError(
            f"no published linking to {to} covers MADRS {madrs[outside].flat[0]:g}; "
            f"what is published covers {low:g} to {high:g}"
        )
    return np.interp(madrs, published.madrs, published.other)


def response(scores: ArrayLike, *, baseline: ArrayLike) -> NDArray[np.bool_]:
    """True where a MADRS score has fallen by at least half of its `baseline`.

    Raises UserError for a baseline of 0, from which nothing can fall.
    """
    now, before = _scores(scores), _scores(baseline)
    if (before == 0).any():
        raise UserError("response is not defined for a MADRS baseline of 0; it must be above 0")
    return now <= before * (1 - RESPONSE_FALL)


def remission(scores: ArrayLike, *, at_most: float) -> NDArray[np.bool_]:
    """True where a MADRS score is `at_most` the cut-off, which trials put at 10 or at 12 (see `REMISSION`)."""
    if not 0 <= at_most <= MADRS_MAXIMUM:
        raise UserError(f"a remission cut-off must lie in MADRS 0 to {MADRS_MAXIMUM}, got {at_most:g}")
    return _scores(scores) <= at_most


def band(scores: ArrayLike, *, bands: str) -> NDArray[np.str_]:
    """The severity of MADRS `scores` in the named set of `bands`.

    A score between whole points keeps the lower band: 7.9 is below 8.
    """
    if bands not in BANDS:
        raise UserError(f"no set of MADRS bands is called {bands!r}; there are {', '.join(BANDS)}")
    chosen = BANDS[bands]
    return np.array(chosen.names)[np.searchsorted(chosen.lowest, _scores(scores), side="right") - 1]


def _scores(scores: ArrayLike) -> Scores:
    """MADRS scores as an array. Raises UserError outside 0 to 60, or where one is not a number."""
    array = np.asarray(scores, dtype=np.float64)
    wrong = ~((array >= 0) & (array <= MADRS_MAXIMUM))
    if wrong.any():
        raise UserError(f"a MADRS score must lie in 0 to {MADRS_MAXIMUM}, got {array[wrong].flat[0]:g}")
    return array
