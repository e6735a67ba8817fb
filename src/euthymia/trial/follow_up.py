"""What is seen of patients in an arm of a planned trial: ratings and episodes, until they leave."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.special import betaincinv, ndtr, ndtri

from euthymia import evidence
from euthymia.course.batch import BATCH, run_batch
from euthymia.course.outcomes import daily_poles, new_episodes
from euthymia.course.ruled import groups
from euthymia.illness.bipolar import POLES
from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK, Schedule
from euthymia.trial.block import Bench, normal
from euthymia.trial.plan import Published, first_times
from euthymia.trial.screening import Cohort, rated

LEAST_APART = 0.05
"""Between response and remission on the logarithmic scale, where a low score at entry would let them coincide."""


class Followed(NamedTuple):
    """A course: scores [patients, times], and when the first new episode of each pole begins, [patients, poles], in
    days from randomisation, infinite where none does."""

    scores: np.ndarray
    begins: np.ndarray


def _true(bench: Bench, key: Any, calendar: Schedule, time_h: Sequence[float], c: Cohort) -> Followed:
    """True scores of a calendar, under the study levels of each patient's replicate, and episodes."""
    setting, timing, looked_h, rows = bench.course(key, calendar, time_h)
    n, scale = len(c), bench.plan.scale
    since = first_times(bench.plan)[0] / HOURS_PER_DAY

    def batch(start: int) -> tuple[np.ndarray, ...]:
        pick = np.minimum(np.arange(start, start + BATCH), n - 1)
        people = jax.tree.map(lambda x: np.asarray(x)[pick], c.people)
        values, sessions = run_batch(setting, timing, people)
        felt = sessions.get("peak dissociation", np.zeros((0, BATCH)))
        begins = np.full((len(POLES), BATCH), np.inf)
        if bench.plan.has_episodes:
            x = daily_poles(looked_h, {f"{pole} pole": np.asarray(values[f"{pole} pole"]).T for pole in POLES})
            begins = _first_episodes(x, since)
        parts = np.stack([np.asarray(values[p])[rows] for p in scale.parts])
        return tuple(np.moveaxis(np.asarray(x), -1, 0)[: n - start] for x in (parts, felt, begins))

    found = bench.pool.map(batch, range(0, n, BATCH))
    parts, felt, begins = (np.concatenate(x) for x in zip(*found, strict=True))
    of_drug, of_background = bench.levels[:, c.replicate, None]
    if bench.plan.unblinding:
        of_background = of_background * (1 + bench.plan.unblinding.value / 100 * _belief(bench, calendar, time_h, felt))
    entry = np.asarray(getattr(c.people, scale.entry))[:, None]
    named = dict(zip(scale.parts, np.moveaxis(parts, 1, 0), strict=True))
    return Followed(scale.scores(entry, named, of_drug, of_background), begins)


def _under_rules(bench: Bench, arm: int, time_h: Sequence[float], c: Cohort) -> Followed:
    """The same where the rules of the arm's protocol decide what is given, in whole days."""
    ruled, scale = bench.ruled(arm), bench.plan.scale
    days = np.round(np.asarray(time_h) / HOURS_PER_DAY).astype(int)
    only = (scale.name, *(f"{pole} pole" for pole in POLES if bench.plan.has_episodes))
    scores, begins = np.empty((len(c), len(days))), np.full((len(c), len(POLES)), np.inf)
    for rows in groups(ruled, len(c)):
        of_drug, of_background = bench.levels[:, c.replicate[rows]]
        setting = replace(ruled.setting, background=ruled.setting.background.of_study(of_background))
        parameters = {**ruled.parameters, "depression.gain": of_drug * evidence.value("depression.gain")}
        own = replace(ruled, setting=setting, parameters=parameters)
        people = c.people.take(rows.start, rows.stop)
        values = own.run(people, bench.pool, only=only, told=lambda visit: None).values
        scores[rows] = values[scale.name][:, days]
        if bench.plan.has_episodes:
            begins[rows] = _first_episodes({pole: values[f"{pole} pole"].T for pole in POLES}, 0.0).T
    return Followed(scores, begins)


def _first_episodes(daily: dict[str, np.ndarray], since_d: float) -> np.ndarray:
    """By pole, days from then until the first new episode begins; infinite where none does. [poles, patients]."""
    found = [new_episodes(pole, daily[pole], since_d)[1] - since_d for pole in POLES]
    return np.nan_to_num(found, nan=np.inf)


def _belief(bench: Bench, calendar: Schedule, time_h: Sequence[float], felt: np.ndarray) -> np.ndarray:
    """What patients believe at each time, [patients, times]: 1 that they were given the drug, -1 that they were not; 0
    before the first session since randomisation (in a crossover: of the period).

    felt: peak dissociation, [patients, sessions]. Who felt what they would report as an adverse event believes in it.
    """
    # sessions after the last rating are not simulated
    session_h = np.array([a.time_h for a in calendar.administrations[: felt.shape[1]]])
    noticed = felt >= evidence.value("dissociation.event_threshold")
    starts = np.array(first_times(bench.plan))
    belief = np.zeros((len(felt), len(time_h)))
    for k, time in enumerate(time_h):
        start = starts[starts <= time].max(initial=0.0)
        past = (session_h >= start) & (session_h < time)
        if past.any() and time > starts[0]:
            belief[:, k] = np.where(noticed[:, past].any(1), 1.0, -1.0)
    return belief


def _published(bench: Bench, known: Published, c: Cohort) -> np.ndarray:
    """Ratings [patients, times] in an arm known by its rates: at its visit so that the shares are those published, on
    the way there along a straight line of the logarithm, for the picture.

    Each replicate is another study, whose rate is uncertain as one of `n` patients is.
    """
    p = known.response.value / 100
    rates = np.full(bench.replicates, p)
    scale, limit = bench.plan.scale, bench.plan.limit(known)
    assert limit is not None
    if bench.block.study_levels:
        chance = ndtr(normal(bench.seed, "published rate", np.zeros(1), bench.block.numbers())[:, 0])
        rates = betaincinv(known.n * p + 0.5, known.n * (1 - p) + 0.5, chance)
    response = rates[c.replicate]
    remission = response * known.remission.value / known.response.value
    cut = np.floor((1 - scale.response) * c.baseline)
    half = np.log(c.baseline / (cut + 0.5))  # halfway between two ratings
    low = np.maximum(np.log(c.baseline / (np.floor(limit) + 0.5)), half + LEAST_APART)
    z = normal(bench.seed, "published arm", np.zeros(1), np.asarray(c.people.index))[:, 0]
    a, b = ndtri(1 - response), ndtri(1 - remission)
    fall = half + (z - a) / (b - a) * (low - half)
    share = np.minimum(bench.times / known.at.value, 1.0)
    return np.clip(np.round(c.baseline[:, None] * np.exp(-fall[:, None] * share)), 0, scale.maximum)


def followed(bench: Bench, key: Any, calendar: Schedule, time_h: Sequence[float], c: Cohort) -> Followed:
    """Ratings and episodes of a calendar, before anybody leaves."""
    return _rated(bench, _true(bench, key, calendar, time_h, c), time_h, c)


def _rated(bench: Bench, true: Followed, time_h: Sequence[float], c: Cohort) -> Followed:
    who = np.asarray(c.people.index)
    return true._replace(scores=rated(bench, true.scores, time_h, who, c.site, c.replicate, bench.plan.scale))


def leave(bench: Bench, scores: np.ndarray, time_h: Sequence[float], who: np.ndarray) -> np.ndarray:
    """The ratings [patients, times] with NaN from when a patient has left; everybody is there at the first time."""
    d = bench.plan.dropout
    if d is None or d.per_week.value == 0:
        return scores
    seen = scores.copy()
    # who leaves between two visits is decided by a number of that patient and the later visit
    chance = ndtr(normal(bench.seed, "dropout", np.round(np.asarray(time_h) * 60).astype(int), who))
    hazard = -np.log1p(-d.per_week.value / 100)
    for k in range(1, len(time_h)):
        weeks = (time_h[k] - time_h[k - 1]) / HOURS_PER_WEEK
        rate = np.full(len(who), hazard)
        if d.at_score and d.more_per_point:
            rate *= (1 + d.more_per_point.value / 100) ** (seen[:, k - 1] - d.at_score.value)
        gone = np.isnan(seen[:, k - 1]) | (chance[:, k] < -np.expm1(-rate * weeks))
        seen[gone, k] = np.nan
    return seen


def by_arm(bench: Bench, c: Cohort, arm: np.ndarray) -> Followed:
    """Ratings and episodes of a cohort until they leave, each patient simulated in the arm they are in; the first
    rating is that at which they entered."""
    given, times = bench.block.given, bench.times.tolist()
    scores, begins = np.empty((len(c), len(times))), np.full((len(c), len(POLES)), np.inf)
    published = np.zeros(len(c), bool)
    for a, calendar in enumerate(given):
        rows = np.flatnonzero(arm == a)
        known = bench.block.published[a]
        if len(rows) and known:
            scores[rows], published[rows] = _published(bench, known, c.pick(rows)), True
        elif len(rows) and bench.block.ruled[a]:
            some = c.pick(rows)
            scores[rows], begins[rows] = _rated(bench, _under_rules(bench, a, times, some), times, some)
        elif len(rows):
            scores[rows], begins[rows] = followed(bench, given.index(calendar), calendar, times, c.pick(rows))
    scores[:, 0] = c.baseline
    stayed = leave(bench, scores, times, np.asarray(c.people.index))
    scores = np.where(published[:, None], scores, stayed)
    days = (bench.times - bench.times[0]) / HOURS_PER_DAY
    seen_until = days[np.sum(~np.isnan(scores), axis=1) - 1]
    return Followed(scores, np.where(begins <= seen_until[:, None], begins, np.inf))
