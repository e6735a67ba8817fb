"""Endpoints of an arm from true scores, with the noise of ratings integrated rather than drawn.

A rated score is the true one plus normal noise of SD `depression.rating_noise`. Each function gives the expectation
over that noise and over patients: rates in percent, changes in points.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import ndtr

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.patient.random import normals
from euthymia.trial.arms import Scores
from euthymia.trial.document import Endpoint, Followed

HALF = 0.5
BETWEEN_STEPS = 0.5
"""Assumed correlation (0 to 1) of a patient's response from one treatment step to the next."""


def _noise() -> float:
    return evidence.value("depression.rating_noise")


def response(s: Scores, time_h: float) -> np.ndarray:
    """Probability of a rated fall by at least half, per patient."""
    return ndtr((HALF * s.baseline - s.at[time_h]) / _noise())


def at_most(score: np.ndarray, limit: float) -> np.ndarray:
    """Probability that a rating, in whole points, is at most `limit`."""
    return ndtr((limit + 0.5 - score) / _noise())


def followed(s: Scores, who: Followed) -> np.ndarray:
    """Probability that a patient is followed for relapse."""
    weight = np.ones(len(s.baseline))
    for time in who.at:
        weight = weight * (response(s, time) if who.limit is None else at_most(s.at[time], who.limit))
    return weight


def unrelapsed(s: Scores, e: Endpoint) -> np.ndarray:
    """Share [visits] of those followed who have not relapsed: above `limit` on the mean of two ratings per visit."""
    assert e.followed and e.limit is not None
    below = np.stack([ndtr((e.limit - s.at[t]) / (_noise() / np.sqrt(2))) for t in e.visits])
    return np.average(np.cumprod(below, 0), axis=1, weights=followed(s, e.followed))


def _change(s: Scores, e: Endpoint) -> float:
    return float((s.at[e.at.value] - s.baseline).mean())


def _sd(s: Scores, e: Endpoint) -> float:
    return float(np.sqrt((s.at[e.at.value] - s.baseline).var() + _noise() ** 2))


def _response(s: Scores, e: Endpoint) -> float:
    return 100 * float(response(s, e.at.value).mean())


def _remission(s: Scores, e: Endpoint) -> float:
    assert e.limit is not None
    return 100 * float(at_most(s.at[e.at.value], e.limit).mean())


def _sustained(s: Scores, e: Endpoint) -> float:
    """Response at two or more of the visits."""
    q = np.stack([response(s, t) for t in e.visits])
    never = np.prod(1 - q, 0)
    once = sum(q[k] * np.prod(np.delete(1 - q, k, 0), 0) for k in range(len(q)))
    return 100 * float((1 - never - once).mean())


def _not_relapsed(s: Scores, e: Endpoint) -> float:
    return 100 * float(np.interp(e.at.value, e.visits, unrelapsed(s, e)))


def _relapsed(s: Scores, e: Endpoint) -> float:
    return 100 - _not_relapsed(s, e)


def _mean_time(s: Scores, e: Endpoint) -> float:
    """Mean days to relapse, none counted beyond the last visit (a relapse is noticed at the visit that finds it)."""
    times = np.array([0.0, *e.visits]) / 24
    still = np.array([1.0, *unrelapsed(s, e)[:-1]])
    return float((still * np.diff(times)).sum())


def _remission_by_step(s: Scores, e: Endpoint) -> float:
    """Remission at step 2, 3, ... among those without remission at every step before, each a new oral antidepressant.

    The patient's readiness and antidepressant gain carry over from the first step with correlation `BETWEEN_STEPS`;
    levels are those at the end of a long treatment.
    """
    assert e.limit is not None and e.step is not None
    z = s.people.z
    own = {"background": z["background"], "gain": z["depression.antidepressant_gain"]}
    steps = {f"{name} at later steps": np.arange(2, e.step + 1) for name in own}
    new = normals(s.people.seed, steps, s.people.index)
    times_over = len(s.baseline) // len(s.people)
    v = evidence.value
    weight, share = 1 - at_most(s.at[e.at.value], e.limit), 0.0
    for k in range(e.step - 1):
        b, g = (
            BETWEEN_STEPS * np.asarray(first)
            + np.sqrt(1 - BETWEEN_STEPS**2) * np.asarray(new[f"{name} at later steps"][k])
            for name, first in own.items()
        )
        b, g = np.tile(b, times_over), np.tile(g, times_over)
        background = v("background.slow_antidepressant_trial") * np.exp(v("background.sd_between_patients") * b)
        background = s.background_level * background
        drug = v("depression.antidepressant_gain") * np.exp(v("depression.sd_antidepressant_gain") * g)
        reached = at_most(s.baseline * np.exp(-background - drug), e.limit)
        share = float(np.average(reached, weights=weight))
        weight = weight * (1 - reached)
    return 100 * share


def _ratio(drug: Scores, control: Scores, e: Endpoint) -> float:
    return float(response(drug, e.at.value).mean() / response(control, e.at.value).mean())


def _fraction(drug: Scores, control: Scores, e: Endpoint) -> float:
    """Difference between arms at the first visit as a share (%) of that at the last."""
    early, late = ((control.at[t] - drug.at[t]).mean() for t in (e.visits[0], e.visits[-1]))
    return 100 * float(early / late)


ONE_ARM: dict[str, Callable[[Scores, Endpoint], float]] = {
    "change": _change,
    "SD of change": _sd,
    "response": _response,
    "remission": _remission,
    "sustained response": _sustained,
    "not relapsed": _not_relapsed,
    "relapsed": _relapsed,
    "mean time to relapse": _mean_time,
    "remission by step": _remission_by_step,
}
TWO_ARMS: dict[str, Callable[[Scores, Scores, Endpoint], float]] = {
    "ratio of responses": _ratio,
    "fraction of effect": _fraction,
}
KIND = dict.fromkeys(ONE_ARM, "rate") | {
    "change": "change",
    "SD of change": "other",
    "mean time to relapse": "other",
    "ratio of responses": "other",
    "fraction of effect": "other",
}


def predict(e: Endpoint, arms: Sequence[Scores]) -> float:
    """The model's value of `e` for its arms, averaged where a published number pools several."""
    if e.measure in TWO_ARMS:
        return TWO_ARMS[e.measure](arms[0], arms[1], e)
    return float(np.mean([ONE_ARM[e.measure](s, e) for s in arms]))


def sampling_sd(e: Endpoint, arms: Sequence[Scores], n: float | None) -> float:
    """Standard error of a mean change, or of its SD, in `n` people. Raises UserError for any other endpoint."""
    if e.measure not in ("change", "SD of change") or not n:
        raise UserError(f"{e.evidence[0]} needs a standard error (se), or for a change a number of people.")
    sd = float(np.mean([_sd(s, e) for s in arms]))
    return sd / np.sqrt(2 * (n - 1) if e.measure == "SD of change" else n)
