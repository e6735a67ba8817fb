"""Which regimen to choose when the parameters are uncertain: how probably each is best, what choosing it may cost, and
what would be worth finding out.

Everything is read from `gain`, what each regimen achieves under each draw of the parameters and in each virtual
patient, more being better. The same patients and draws are behind every regimen, so that differences are far surer
than levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

UNSEEN = 2000
"""Worlds that were not seen, made from those that were."""
FEWEST_DRAWS = 3
"""Below which one more draw may lie so far off that the mean of what a choice costs has no bound."""
ROUNDING = 1e-9
"""Relative difference of two gains below which they are the same."""
DEGREE = 2
"""Of the polynomial that says how a gain depends on one parameter."""
SHUFFLED = 40
"""Orders of the draws by which chance alone is judged."""


class Verdict(NamedTuple):
    """By regimen. mean: of the gain over draws; best: probability to be the best of those compared, in a world that is
    not among the draws; regret: what is lost there on average by choosing it rather than whichever is best, in the unit
    of the gain."""

    mean: np.ndarray
    best: np.ndarray
    regret: np.ndarray


def verdict(gain: np.ndarray, seed: int = 1) -> Verdict:
    """How the regimens compare. gain: [regimens, draws, patients]. Raises ValueError as `unseen`."""
    there, mean = unseen(gain, seed), gain.mean((1, 2), dtype=float)
    best = np.isclose(there, there.max(0), rtol=ROUNDING, atol=0)
    best = (best / best.sum(0)).mean(1)  # the same twice is half the best each
    chosen = mean.argmax()  # what others cost more is known without chance
    regret = (there.max(0) - there[chosen]).mean() + mean[chosen] - mean
    return Verdict(mean, best, regret)


def unseen(gain: np.ndarray, seed: int = 1) -> np.ndarray:
    """Mean gains in worlds not among the draws, each with virtual patients of its own; worlds and patients are the same
    for every regimen: [regimens, UNSEEN]. gain: [regimens, draws, patients].

    Such a world lies as far from the middle of all worlds as one of the draws does, any of them. But the middle and the
    spread are known from few draws: both are taken as uncertain as they are in Student's t, of which this is the
    predictive distribution, with the shape of the draws in place of the normal one (docs/design.md says how well it
    does). Other patients would have had other means, by their standard error. Raises ValueError for fewer than
    `FEWEST_DRAWS`.
    """
    _, draws, patients = gain.shape
    if draws < FEWEST_DRAWS:
        raise ValueError(f"what one more draw would show takes at least {FEWEST_DRAWS} draws, got {draws}")
    rng = np.random.default_rng(seed)
    like = np.eye(draws)[np.arange(UNSEEN) % draws]
    middle = rng.standard_normal((UNSEEN, draws)) / draws
    spread = np.sqrt(draws / rng.chisquare(draws - 1, UNSEEN))[:, None]
    others = rng.standard_normal((UNSEEN, patients)) / np.sqrt(patients * max(patients - 1, 1))
    by_draw, by_patient = gain.mean(2, dtype=float), gain.mean(1, dtype=float)
    mean = by_draw.mean(1, keepdims=True)
    return mean + (by_draw - mean) @ (spread * (like + middle)).T + (by_patient - mean) @ others.T


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
