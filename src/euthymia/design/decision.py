"""Which regimen to choose when the parameters are uncertain: how probably each is best, what choosing it may cost, and
what would be worth finding out.

Everything is read from `gain`, what each regimen achieves under each draw of the parameters and in each virtual
patient, more being better. The same patients and draws are behind every regimen, so that differences are far surer
than levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLED = 50
"""Populations that are drawn anew from the virtual patients, per draw of the parameters."""
DEGREE = 2
"""Of the polynomial that says how a gain depends on one parameter."""
SHUFFLED = 40
"""Orders of the draws by which chance alone is judged."""


class Verdict(NamedTuple):
    """By regimen. mean, low, high: of the gain over draws, 90 %; best: probability to be the best of those compared, in
    a world that is not among the draws; regret: what is lost on average by choosing it rather than whichever is best, in the unit of the gain."""

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    best: np.ndarray
    regret: np.ndarray


def verdict(gain: np.ndarray, seed: int = 1, among: int | None = None) -> Verdict:
    """How the regimens compare. gain: [regimens, draws, patients]; among: how many were compared in all, where some
    were dropped on the way.

    That there are few patients is part of the uncertainty: means are taken over populations resampled from them, the
    same for every regimen. And that there are few draws: what is best in all of them need not be so in the next, so one
    draw more is counted in which any regimen is as likely to be best. Without it, what was said to be surely the best
    was so too seldom (tests/design/test_calibration.py).
    """
    means = resampled(gain, seed)
    best = means == means.max(0)
    best = (best / best.sum(0)).mean(1)  # the same twice is half the best each
    draws = gain.shape[1]
    best = (draws * best + 1 / (among or len(gain))) / (draws + 1)
    low, high = np.quantile(means, (0.05, 0.95), axis=1)
    return Verdict(gain.mean((1, 2)), low, high, best, (means.max(0) - means).mean(1))


def resampled(gain: np.ndarray, seed: int = 1) -> np.ndarray:
    """Means over resampled populations, [regimens, draws x populations]."""
    regimens, draws, patients = gain.shape
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(patients, np.full(patients, 1 / patients), (draws, RESAMPLED)) / patients
    return np.einsum("rkp,kbp->rkb", gain, weights, optimize=True).reshape(regimens, -1)


def front(values: np.ndarray) -> np.ndarray:
    """Which regimens no other beats: at least as good in everything and better in something. values: [regimens,
    qualities], more being better; of two alike both stay."""
    at_least = (values[:, None] >= values[None]).all(2)
    better = (values[:, None] > values[None]).any(2)
    return np.logical_not((at_least & better).any(0))


# --- what would be worth knowing --------------------------------------------------------------------------------------


class Worth(NamedTuple):
    """Of one parameter. worth: by how much the expected gain would rise if it were known before choosing; chance: how
    much as many draws show of a parameter that has no influence; changes: how often the choice would be another one."""

    parameter: str
    worth: float
    chance: float
    changes: float


def perfect(means: np.ndarray) -> float:
    """What it would be worth to know everything before choosing. means: [regimens, draws]."""
    return float(means.max(0).mean() - means.mean(1).max())


def worth(means: np.ndarray, parameters: dict[str, np.ndarray], seed: int = 1) -> tuple[Worth, ...]:
    """What knowing each parameter alone would be worth, the most first. means: [regimens, draws]; parameters: of each
    draw, by id [draws].

    The expected gain given one parameter is a polynomial fitted over the draws; what chance makes of the same with the
    draws in any other order is taken off.
    """
    chosen = int(means.mean(1).argmax())
    over = means - means[chosen]
    rng = np.random.default_rng(seed)
    orders = np.stack([rng.permutation(means.shape[1]) for _ in range(SHUFFLED)])
    found = []
    for id, x in parameters.items():
        if np.ptp(x) <= 0:
            continue
        z = _ranked(x)
        expected = _fitted(over, z)
        alone = np.mean([_gained(_fitted(over[:, order], z)) for order in orders])
        changes = float((expected.argmax(0) != chosen).mean())
        found.append(Worth(id, max(_gained(expected) - float(alone), 0.0), float(alone), changes))
    return tuple(sorted(found, key=lambda w: -w.worth))


def _ranked(x: np.ndarray) -> np.ndarray:
    """Between -1 and 1 by rank: what matters is the order, whatever the scale."""
    ranks = np.argsort(np.argsort(x))
    return 2 * ranks / (len(x) - 1) - 1


def _fitted(over: np.ndarray, z: np.ndarray) -> np.ndarray:
    terms = np.vander(z, DEGREE + 1)
    return (terms @ np.linalg.lstsq(terms, over.T, rcond=None)[0]).T


def _gained(expected: np.ndarray) -> float:
    return float(expected.max(0).mean() - expected.mean(1).max())
