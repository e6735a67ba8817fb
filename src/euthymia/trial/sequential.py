"""Looking at a trial before its end: group-sequential limits, response-adaptive allocation and dropping of arms.

At look k the trial has the share t_k of its final information (about: of its patients), and z_k is the estimate over
its standard error. The scores z_k sqrt(t_k) have independent normal increments, on which everything here rests.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, ndtr, ndtri, roots_legendre

from euthymia.errors import UserError
from euthymia.trial.statistics import Estimate

SHAPES = ("obrien_fleming", "pocock")
CHANCES = ("predictive", "conditional")
REACH = 8.5
"""Standard deviations beyond which a normal density is taken as zero."""
HIGHEST = 38.0
"""The largest limit looked for: its tail is the smallest that double precision holds."""


def _fractions(information: Sequence[float] | np.ndarray) -> np.ndarray:
    t = np.asarray(information, float)
    if t.ndim != 1 or not len(t) or not t[0] > 0 or not (np.diff(t) > 0).all() or abs(t[-1] - 1) > 1e-9:
        raise UserError("information must hold rising fractions above 0, of which the last is 1.")
    return t


def _level(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise UserError(f"alpha is {alpha}; it must lie between 0 and 1.")


def _shape(shape: str) -> None:
    if shape not in SHAPES:
        raise UserError(f"shape is {shape!r}; it must be one of {', '.join(SHAPES)}.")


@lru_cache(maxsize=256)
def _gauss(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of n-point Gauss-Legendre quadrature over 0 to 1."""
    nodes, weights = roots_legendre(n)
    return (nodes + 1) / 2, weights / 2


class _Walk:
    """The density of z among trials not yet stopped, look by look: Armitage, McPherson and Rowe 1969's recursion.

    drift: expected z at full information.
    """

    def __init__(self, drift: float = 0.0) -> None:
        self.drift, self.t = drift, 0.0
        self.z, self.mass = np.zeros(1), np.ones(1)

    def _standard(self, z: np.ndarray | float, t: float) -> np.ndarray:
        """z at the next look as standard normal deviates of the step [..., nodes]."""
        step = t - self.t
        here = np.asarray(z)[..., None] * np.sqrt(t)
        return (here - self.z * np.sqrt(self.t) - self.drift * step) / np.sqrt(step)

    def beyond(self, limit: float, t: float) -> np.ndarray:
        """Probabilities of going on until t and ending above, and below, plus and minus the limit."""
        return np.array([self.mass @ ndtr(-self._standard(limit, t)), self.mass @ ndtr(self._standard(-limit, t))])

    def go_on(self, limit: float, t: float) -> None:
        """Move to t, keeping the trials within plus and minus the limit."""
        centre = self.drift * np.sqrt(t)
        low = max(-limit, centre - REACH)
        high = max(low, min(limit, centre + REACH))
        width = np.sqrt(1 - self.t / t)
        # Eight nodes to a standard deviation of the step, in powers of two so that few sets of nodes are ever made.
        needed = np.clip(8 * (high - low) / width, 64, 1024)
        nodes, weights = _gauss(2 ** int(np.ceil(np.log2(needed))))
        z = low + (high - low) * nodes
        density = np.exp(-0.5 * self._standard(z, t) ** 2) / (np.sqrt(2 * np.pi) * width)
        self.z, self.mass, self.t = z, density @ self.mass * weights * (high - low), t


def _crossings(limits: np.ndarray, t: np.ndarray, drift: float) -> Iterator[np.ndarray]:
    walk = _Walk(drift)
    for limit, at in zip(limits, t, strict=True):
        yield walk.beyond(limit, at)
        if at < t[-1]:
            walk.go_on(limit, at)


def stopping_probabilities(
    limits: Sequence[float] | np.ndarray, information: Sequence[float] | np.ndarray, drift: float = 0.0
) -> np.ndarray:
    """Probabilities [looks, 2] of crossing the upper, and the lower, limit first at each look.

    limits: [looks] of |z|; information: [looks] fractions; drift: expected z at full information, 0 under no effect.
    For power, sum the column of the right direction with drift effect / standard error at the end.
    """
    t, z = _fractions(information), np.asarray(limits, float)
    if z.shape != t.shape or not (z > 0).all():
        raise UserError(f"limits must hold one number above 0 for each of the {len(t)} looks.")
    return np.stack(list(_crossings(z, t, drift)))


def alpha_spent(
    information: Sequence[float] | np.ndarray, alpha: float = 0.05, shape: str = "obrien_fleming"
) -> np.ndarray:
    """Two-sided error [looks] that may be spent up to each fraction: Lan and DeMets 1983, doi:10.1093/biomet/70.3.659.

    Half of it is spent on either side, so that "obrien_fleming" means 4 - 4 Phi(z_{1 - alpha / 4} / sqrt(t)).
    """
    _level(alpha)
    _shape(shape)
    t = np.asarray(information, float)
    if shape == "pocock":
        return alpha * np.log1p((np.e - 1) * t)
    return 4 * ndtr(ndtri(alpha / 4) / np.sqrt(t))


def boundaries(
    information: Sequence[float] | np.ndarray,
    alpha: float = 0.05,
    shape: str = "obrien_fleming",
    spending: bool = False,
) -> np.ndarray:
    """Limits [looks] of |z| at which a two-sided test of level alpha stops, given the information fractions.

    shape: "obrien_fleming" (limits fall as 1 / sqrt(t)) or "pocock" (the same limit at every look).
    spending: rather follow the Lan-DeMets spending function of that shape, which stays valid however the looks fall.

    >>> boundaries([0.5, 1.0], shape="pocock").round(3).tolist()
    [2.178, 2.178]
    """
    t = _fractions(information)
    _level(alpha)
    _shape(shape)
    if not spending:
        form = np.ones_like(t) if shape == "pocock" else 1 / np.sqrt(t)

        def excess(c: float) -> float:
            return float(stopping_probabilities(c * form, t).sum()) - alpha

        # One look alone is the least and Bonferroni the most that c can be.
        c = brentq(excess, float(-ndtri(alpha / 2)) - 1e-9, float(-ndtri(alpha / 2 / len(t))) + 1e-9, xtol=1e-10)
        return float(c) * form  # type: ignore[arg-type]
    walk, found = _Walk(), []
    for at, spend in zip(t, np.diff(alpha_spent(t, alpha, shape), prepend=0.0), strict=True):

        def over(z: float, at: float = at, spend: float = spend) -> float:
            return float(walk.beyond(z, at).sum()) - spend

        found.append(float(brentq(over, 0.0, HIGHEST, xtol=1e-10)) if over(HIGHEST) < 0 else HIGHEST)  # type: ignore[arg-type]
        if at < t[-1]:
            walk.go_on(found[-1], at)
    return np.array(found)


def response_adaptive_ratio(
    successes: Sequence[int] | np.ndarray,
    n: Sequence[int] | np.ndarray,
    temper: float = 0.5,
    floor: float = 0.1,
    prior: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """Share [arms] of the next patients for each arm: Thompson's probability that the arm is the best, tempered.

    successes, n: [arms] patients with the wanted outcome and patients so far; prior: the Beta prior of each arm's rate.
    temper: power to which the probabilities are raised, 0 (equal shares) to 1 (Thompson's own); Thall and Wathen 2007,
    doi:10.1016/j.ejca.2007.01.006. floor: the share every arm keeps; what is left is shared out by the probabilities.
    """
    won, total = np.asarray(successes, float), np.asarray(n, float)
    if won.ndim != 1 or won.shape != total.shape or len(won) < 2 or not ((won >= 0) & (won <= total)).all():
        raise UserError("successes must lie between 0 and n, for two or more arms.")
    if not 0 <= temper <= 1 or not 0 <= floor <= 1 / len(won) or not min(prior) > 0:
        raise UserError(
            f"temper is {temper}, floor {floor} and prior {prior}; temper must lie between 0 and 1, "
            f"floor between 0 and {1 / len(won):.3g} for {len(won)} arms, and the prior's numbers above 0."
        )
    a, b = prior[0] + won[:, None], prior[1] + (total - won)[:, None]
    nodes, weights = _gauss(200)
    rate = betaincinv(a, b, nodes)
    below = betainc(a[:, None], b[:, None], rate)
    others = ~np.eye(len(won), dtype=bool)
    best = np.prod(below, axis=0, where=others[:, :, None]) @ weights
    share = (best / best.sum()) ** temper
    return floor + (1 - len(won) * floor) * share / share.sum()


def chance_of_success(z: float, information: float, limit: float = 1.96, method: str = "predictive") -> float:
    """Chance (0 to 1) that z, now at a fraction of the information, ends above the limit.

    method: "conditional" takes the present estimate for the true effect; "predictive" averages over its uncertainty
    (a flat prior).
    """
    if not 0 < information < 1:
        raise UserError(f"information is {information}; it must lie between 0 and 1.")
    if method not in CHANCES:
        raise UserError(f"method is {method!r}; it must be one of {', '.join(CHANCES)}.")
    expected = z / np.sqrt(information) - limit
    left = 1 - information
    return float(ndtr(expected / np.sqrt(left / information if method == "predictive" else left)))


def drop_arms(
    estimates: Mapping[int, Estimate],
    information: float,
    threshold: float = 0.1,
    limit: float = 1.96,
    lower_is_better: bool = True,
    method: str = "predictive",
) -> tuple[int, ...]:
    """Active arms to drop for futility: those whose `chance_of_success` against control is below the threshold.

    estimates: arm to its difference from control, as `ancova` gives; information: fraction, above 0 and below 1.
    limit: z that wins at the end of the trial. lower_is_better: whether a negative difference is a benefit.
    """
    sign = -1 if lower_is_better else 1
    z = {arm: sign * e.value / e.standard_error for arm, e in estimates.items()}
    return tuple(arm for arm in z if chance_of_success(z[arm], information, limit, method) < threshold)
