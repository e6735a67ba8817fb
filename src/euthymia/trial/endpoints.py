"""Endpoints of an arm from true scores, with the noise of ratings integrated rather than drawn.

A rated score is the true one plus normal noise of SD `depression.rating_noise`. Each function gives the expectation
over that noise and over patients: rates in percent, changes in points, times in days. All are smooth, so that they can
be differentiated.
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import ndtr

from euthymia import evidence
from euthymia.patient.random import normals
from euthymia.trial.document import KIND, Endpoint, Followed
from euthymia.trial.replicas import Scores

HALF = 0.5
EXCURSION = 0.25
"""Improvement that is enough at one visit of a response kept to the end."""
BETWEEN_STEPS = 0.5
"""Assumed correlation (0 to 1) of a patient's response from one treatment step to the next."""
LATER_PATHS = 32  # draws of each patient's later steps
LEAST_SHARE = 1e-6  # keeps logs and ratios finite


def _noise() -> float:
    return evidence.value("depression.rating_noise")


def response(s: Scores, time_h: float, fall: float = HALF, points: float | None = None) -> Array:
    """Probability of a rated fall by at least `fall` of the score at entry, or by at least `points`, per patient."""
    needed = s.baseline - points + HALF if points else (1 - fall) * s.baseline
    return ndtr((needed - s.at[time_h]) / _noise())


def at_most(score: Array, limit: float) -> Array:
    """Probability that a rating, in whole points, is at most `limit`."""
    return ndtr((limit + 0.5 - score) / _noise())


def followed(s: Scores, who: Followed | None) -> Array:
    """Probability that a patient is among those looked at."""
    weight = jnp.ones_like(s.baseline)
    for time in who.at if who else ():
        assert who
        if who.measure == "remission":
            weight = weight * at_most(s.at[time], _limit(who))
        elif who.measure == "no response":
            weight = weight * (1 - response(s, time, who.fall))
        elif who.measure == "response without remission":
            weight = weight * jnp.maximum(response(s, time, who.fall) - at_most(s.at[time], _limit(who)), 0.0)
        else:
            weight = weight * response(s, time, who.fall)
    return weight


def _limit(of: Endpoint | Followed) -> float:
    assert of.limit is not None
    return of.limit


def _share(s: Scores, e: Endpoint, probability: Array) -> Array:
    """In percent of those looked at."""
    weight = followed(s, e.followed)
    return 100 * (probability * weight).sum() / jnp.maximum(weight.sum(), LEAST_SHARE)


def _relapsing(s: Scores, e: Endpoint, noise: float) -> Array:
    """Probability of a rating that means relapse, [visits, patients]."""
    if e.less_than is not None:
        return jnp.stack([ndtr((s.at[t] - (1 - e.less_than) * s.baseline) / noise) for t in e.visits])
    return jnp.stack([ndtr((s.at[t] - _limit(e)) / noise) for t in e.visits])


def unrelapsed(s: Scores, e: Endpoint) -> Array:
    """Share [visits] of those followed who have not relapsed.

    Relapse is seen at one visit, on the mean of two ratings; or, where it must be confirmed, by one rating at each of
    two visits in a row, and counts from the first of them.
    """
    weight = followed(s, e.followed)
    if e.confirmed:
        seen = _relapsing(s, e, _noise())
        calm, suspected = 1 - seen[0], seen[0]  # not relapsed yet, by what the last rating showed
        free = []
        for q in seen[1:]:
            calm, suspected = (calm + suspected) * (1 - q), calm * q
            free.append(calm + suspected)
        free = jnp.stack([*free, free[-1]])  # a last suspicion is never confirmed
    else:
        free = jnp.cumprod(1 - _relapsing(s, e, _noise() / np.sqrt(2)), 0)
    return (free * weight).sum(1) / jnp.maximum(weight.sum(), LEAST_SHARE)


def _change(s: Scores, e: Endpoint) -> Array:
    return (s.at[e.at.value] - s.baseline).mean()


def _score(s: Scores, e: Endpoint) -> Array:
    return s.at[e.at.value].mean()


def _sd(s: Scores, e: Endpoint) -> Array:
    return jnp.sqrt((s.at[e.at.value] - s.baseline).var() + _noise() ** 2)


def _response(s: Scores, e: Endpoint) -> Array:
    return _share(s, e, response(s, e.at.value, e.fall, e.points))


def _remission(s: Scores, e: Endpoint) -> Array:
    return _share(s, e, at_most(s.at[e.at.value], _limit(e)))


def _any_response(s: Scores, e: Endpoint) -> Array:
    never = jnp.stack([1 - response(s, t, e.fall, e.points) for t in e.visits]).prod(0)
    return _share(s, e, 1 - never)


def _sustained(s: Scores, e: Endpoint) -> Array:
    """Response at two or more of the visits."""
    q = jnp.stack([response(s, t, e.fall, e.points) for t in e.visits])
    never = (1 - q).prod(0)
    once = sum(q[k] * jnp.delete(1 - q, k, 0, assume_unique_indices=True).prod(0) for k in range(len(q)))
    return _share(s, e, 1 - never - once)


def _kept(s: Scores, e: Endpoint) -> Array:
    """Response at every visit; at one between the first and the last, a fall by a quarter will do."""
    q = jnp.stack([response(s, t, e.fall, e.points) for t in e.visits])
    partial = jnp.stack([response(s, t, EXCURSION) for t in e.visits[1:-1]]) - q[1:-1]
    between = q[1:-1].prod(0)
    for k, at in enumerate(partial):
        between = between + at * jnp.delete(q[1:-1], k, 0, assume_unique_indices=True).prod(0)
    return _share(s, e, q[0] * between * q[-1])


def _not_relapsed(s: Scores, e: Endpoint) -> Array:
    return 100 * jnp.interp(e.at.value, jnp.array(e.visits), unrelapsed(s, e))


def _relapsed(s: Scores, e: Endpoint) -> Array:
    return 100 - _not_relapsed(s, e)


def _intervals(e: Endpoint) -> np.ndarray:
    """Days between visits from the end of what made people be followed."""
    start = max(e.followed.at) if e.followed else 0.0
    return np.diff(np.array([start, *e.visits]) / 24)


def _mean_time(s: Scores, e: Endpoint) -> Array:
    """Mean days to relapse, none counted beyond the last visit (a relapse is noticed at the visit that finds it)."""
    times = np.diff(np.array([0.0, *e.visits]) / 24)
    still = jnp.concatenate([jnp.ones(1), unrelapsed(s, e)[:-1]])
    return (still * times).sum()


def _median_time(s: Scores, e: Endpoint) -> Array:
    """Days until half have relapsed, linear between visits; the last visit where they have not."""
    still = jnp.concatenate([jnp.ones(1), unrelapsed(s, e)])
    days = np.concatenate([[0.0], np.cumsum(_intervals(e))])
    return jnp.interp(-0.5, -still, days)


def _remission_by_step(s: Scores, e: Endpoint) -> Array:
    """Remission at step 2, 3, ... among those without remission at every step before, each a new oral antidepressant.

    The patient's readiness and antidepressant gain carry over from the first step with correlation `BETWEEN_STEPS`;
    levels are those at the end of a long treatment.
    """
    assert e.step is not None
    own = {"background": s.people.z["background"], "gain": s.people.z["depression.antidepressant_gain"]}
    paths = {f"{name} at later steps": np.arange((e.step - 1) * LATER_PATHS) for name in own}
    drawn = normals(s.people.seed, paths, np.asarray(s.people.index))
    times_over = len(s.baseline) // len(s.people)
    v = evidence.value
    weight, share = 1 - at_most(s.at[e.at.value], _limit(e)), jnp.zeros(())
    for k in range(e.step - 1):
        b, g = (
            BETWEEN_STEPS * np.asarray(first)
            + np.sqrt(1 - BETWEEN_STEPS**2) * drawn[f"{name} at later steps"][k * LATER_PATHS : (k + 1) * LATER_PATHS]
            for name, first in own.items()
        )
        b, g = np.tile(b, times_over), np.tile(g, times_over)
        background = v("background.slow_antidepressant_trial") * jnp.exp(v("background.sd_between_patients") * b)
        drug = v("depression.antidepressant_gain") * jnp.exp(v("depression.sd_antidepressant_gain") * g)
        reached = at_most(s.baseline * jnp.exp(-s.background * background - drug), _limit(e))
        share = (reached * weight).sum() / jnp.broadcast_to(weight, reached.shape).sum()
        weight = weight * (1 - reached)
    return 100 * share


def _recurrence(s: Scores, e: Endpoint) -> Array:
    """Share (%) in whom a new episode has begun, where a study has them more or less often than is typical."""
    chosen = list(s.begins.values()) if e.pole == "any" else [s.begins[e.pole]]
    begun = jnp.stack(chosen).min(0) <= e.at.value
    share = (begun.sum() + HALF) / (len(begun) + 1)  # never quite none: few patients cannot show what is rare
    return 100 * (1 - (1 - share) ** s.background)


def _switch(s: Scores, e: Endpoint) -> Array:
    return _recurrence(s, e.model_copy(update={"pole": "manic"}))


def _hazard_ratio_of_recurrence(drug: Scores, control: Scores, e: Endpoint) -> Array:
    return _hazard_ratio(1 - _recurrence(drug, e) / 100, 1 - _recurrence(control, e) / 100)


def _difference(drug: Scores, control: Scores, e: Endpoint) -> Array:
    return _change(drug, e) - _change(control, e)


def _effect_size(drug: Scores, control: Scores, e: Endpoint) -> Array:
    """Cohen's d of the change."""
    pooled = jnp.sqrt((_sd(drug, e) ** 2 + _sd(control, e) ** 2) / 2)
    return _difference(drug, control, e) / pooled


def _ratio(drug: Scores, control: Scores, e: Endpoint) -> Array:
    return _response(drug, e) / _response(control, e)


def _odds_ratio(share: Callable[[Scores, Endpoint], Array]) -> Callable[[Scores, Scores, Endpoint], Array]:
    def ratio(drug: Scores, control: Scores, e: Endpoint) -> Array:
        p, q = share(drug, e) / 100, share(control, e) / 100
        return p * (1 - q) / (q * (1 - p))

    return ratio


def _hazard_ratio(drug: Array, control: Array) -> Array:
    """Of two shares without the event at the end: the ratio of their cumulative hazards."""
    free = [jnp.clip(x, LEAST_SHARE, 1 - LEAST_SHARE) for x in (drug, control)]
    return jnp.log(free[0]) / jnp.log(free[1])


def _hazard_ratio_of_reaching(measure: str) -> Callable[[Scores, Scores, Endpoint], Array]:
    def never(s: Scores, e: Endpoint) -> Array:
        if measure == "response":
            reached = [response(s, t, e.fall, e.points) for t in e.visits]
        else:
            reached = [at_most(s.at[t], _limit(e)) for t in e.visits]
        return jnp.stack([1 - p for p in reached]).prod(0).mean()

    return lambda drug, control, e: _hazard_ratio(never(drug, e), never(control, e))


def _hazard_ratio_of_relapse(drug: Scores, control: Scores, e: Endpoint) -> Array:
    return _hazard_ratio(unrelapsed(drug, e)[-1], unrelapsed(control, e)[-1])


def _fraction(drug: Scores, control: Scores, e: Endpoint) -> Array:
    """Difference between arms at the first visit as a share (%) of that at the last."""
    early, late = ((control.at[t] - drug.at[t]).mean() for t in (e.visits[0], e.visits[-1]))
    return 100 * early / late


ONE_ARM: dict[str, Callable[[Scores, Endpoint], Array]] = {
    "change": _change,
    "score": _score,
    "SD of change": _sd,
    "response": _response,
    "any response": _any_response,
    "sustained response": _sustained,
    "kept response": _kept,
    "remission": _remission,
    "remission by step": _remission_by_step,
    "not relapsed": _not_relapsed,
    "relapsed": _relapsed,
    "mean time to relapse": _mean_time,
    "median time to relapse": _median_time,
    "recurrence": _recurrence,
    "switch to mania": _switch,
}
TWO_ARMS: dict[str, Callable[[Scores, Scores, Endpoint], Array]] = {
    "difference": _difference,
    "effect size": _effect_size,
    "ratio of responses": _ratio,
    "odds ratio of response": _odds_ratio(_response),
    "odds ratio of remission": _odds_ratio(_remission),
    "hazard ratio of response": _hazard_ratio_of_reaching("response"),
    "hazard ratio of remission": _hazard_ratio_of_reaching("remission"),
    "hazard ratio of relapse": _hazard_ratio_of_relapse,
    "fraction of effect": _fraction,
    "hazard ratio of recurrence": _hazard_ratio_of_recurrence,
}


def predict(e: Endpoint, arms: Sequence[Scores]) -> Array:
    """The model's value of `e` for its arms, averaged where a published number pools several."""
    if e.measure in TWO_ARMS:
        return TWO_ARMS[e.measure](arms[0], arms[1], e)
    return jnp.stack([ONE_ARM[e.measure](s, e) for s in arms]).mean()


def deviation(e: Endpoint, arms: Sequence[Scores]) -> Array:
    """SD of the rated change at `e.at` in its arms, for standard errors that were not published; 0 for other kinds."""
    if KIND[e.measure] not in ("change", "difference"):
        return jnp.zeros(())
    return jnp.stack([_sd(s, e) for s in arms]).mean()
