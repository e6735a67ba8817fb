"""Stage one of a planned trial: patients drawn, let in, randomised, simulated, rated, and some of them lost.

A patient's numbers come from counters (seed, stream, patient, occasion), those of a replicate from its own seed:
results depend neither on the number of workers nor on how the work is cut, and a patient's score not on who else is in
the trial.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy.special import betaincinv, ndtr, ndtri

from euthymia import evidence
from euthymia.course.batch import BATCH, run_batch
from euthymia.course.outcomes import SCALES, Scale, daily_poles, new_episodes
from euthymia.course.simulate import prepare
from euthymia.course.variants import Variants
from euthymia.errors import UserError
from euthymia.illness.bipolar import POLES, Bipolar
from euthymia.patient.population import Patients, between_episodes, draw, illness_of
from euthymia.patient.random import normals
from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK, Schedule
from euthymia.trial.analysis import NEVER, Outcomes, Replicate, compare, deviate, holds, limits, state, succeeded
from euthymia.trial.calendars import calendars, lead_in_calendar
from euthymia.trial.plan import (
    RATES,
    Plan,
    PlannedEndpoint,
    Published,
    first_times,
)
from euthymia.trial.randomise import allocate
from euthymia.trial.sequential import drop_arms, response_adaptive_ratio
from euthymia.trial.statistics import one_thread

REPLICATES = 10_000
STRIDE = 400_000
"""Patients set aside for each replicate: replicates x stride stays within the 32-bit counter of patients."""
SCREENED = 200
"""Patients screened, at most, for each one randomised."""
BLOCK = 16_384
"""Patients of one block of replicates, about: enough to fill batches, few enough to spread over many workers."""
MESH_LEVEL = 0.7  # as in `replicas`: a score moves by less than 0.01 points against the finest mesh
MAX_RATINGS = 2e8
LEAST_APART = 0.05
"""Between response and remission on the logarithmic scale, where a low score at entry would let them coincide."""


def _normal(seed: int, stream: str, occasions: np.ndarray, who: np.ndarray) -> np.ndarray:
    """Standard normals [who, occasions]."""
    return np.asarray(normals(seed, {stream: np.asarray(occasions)}, who)[stream]).T


@dataclass(frozen=True)
class Block:
    """Some replicates of a planned trial in a row, from number `first`, with all that it takes to carry them out: a
    worker elsewhere reads no document.

    given: the calendar of every arm or sequence; lead_in: of a randomised withdrawal; published: of every arm known by
    its rates.
    """

    plan: Plan
    given: tuple[Schedule, ...]
    lead_in: Schedule | None
    published: tuple[Published | None, ...]
    seed: int
    study_levels: bool
    first: int
    replicates: int

    def levels(self) -> np.ndarray:
        """Multipliers [2, replicates] of the drug's and of the non-drug response."""
        if not self.study_levels:
            return np.ones((2, self.replicates))
        found = []
        for of in ("drug", "background"):
            deviate = _normal(self.seed, f"study level {of}", np.zeros(1), self.numbers())[:, 0]
            found.append(np.exp(evidence.value(f"depression.sd_between_studies_{of}") * deviate))
        return np.stack(found)

    def numbers(self) -> np.ndarray:
        """The numbers of the replicates among all of the run."""
        return np.arange(self.first, self.first + self.replicates)


def blocks(plan: Plan, replicates: int, seed: int, no_effect: bool, study_levels: bool) -> list[Block]:
    """A run cut into blocks; no replicate's numbers depend on where."""
    size = max(1, int(BLOCK / (plan.patients * (3 if plan.lead_in else 1))))
    given, lead_in = calendars(plan, no_effect), lead_in_calendar(plan) if plan.lead_in else None
    published = tuple((plan.arms[plan.control] if no_effect else arm).published for arm in plan.arms)
    return [
        Block(plan, given, lead_in, published, seed, study_levels, first, min(size, replicates - first))
        for first in range(0, replicates, size)
    ]


@dataclass
class Bench:
    """A block being worked on: what its replicates, counted from 0 here, share; and the threads."""

    block: Block
    pool: ThreadPoolExecutor
    prepared: dict[Any, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.block.plan

    @property
    def seed(self) -> int:
        return self.block.seed

    @property
    def replicates(self) -> int:
        return self.block.replicates

    @cached_property
    def levels(self) -> np.ndarray:
        """As those of the block."""
        return self.block.levels()

    @cached_property
    def times(self) -> np.ndarray:
        """When patients are rated (h from the first day)."""
        return np.concatenate([np.asarray(self.plan.visits) + start for start in first_times(self.plan)])

    def leanings(self, stream: str, count: int) -> np.ndarray:
        """Standard normals [replicates, count] of sites or raters."""
        if stream not in self.prepared:
            self.prepared[stream] = _normal(self.seed, stream, np.arange(count), self.block.numbers())
        return self.prepared[stream]

    def course(self, key: Any, calendar: Schedule, time_h: Sequence[float]) -> tuple:
        """Setting, timing, the times observed, and the rows of `time_h` among them."""
        if key not in self.prepared:
            times = np.unique(np.asarray(time_h, float))
            if self.plan.has_episodes:  # which are looked for every day
                times = np.union1d(times, np.arange(0.0, times[-1] + 1e-9, 24.0))
            illness = illness_of(self.plan.population)
            _, setting, timing = prepare(
                replace(calendar, horizon_h=float(times[-1])), times, Variants(), level=MESH_LEVEL, illness=illness
            )
            self.prepared[key] = setting, timing, times, np.searchsorted(times, time_h)
        return self.prepared[key]


@dataclass(frozen=True)
class Cohort:
    """Patients of many replicates side by side: whose replicate, who they are, their site, their rating at entry."""

    replicate: np.ndarray
    people: Patients
    site: np.ndarray
    baseline: np.ndarray

    def pick(self, rows: np.ndarray) -> "Cohort":
        """Some of them."""
        people = jax.tree.map(lambda x: np.asarray(x)[rows], self.people)
        return Cohort(self.replicate[rows], people, self.site[rows], self.baseline[rows])

    def __len__(self) -> int:
        return len(self.replicate)


def _joined(parts: Sequence[Any]) -> Any:
    """Cohorts or patients one after the other."""
    if isinstance(parts[0], Cohort):
        columns = {f: np.concatenate([getattr(p, f) for p in parts]) for f in ("replicate", "site", "baseline")}
        return Cohort(people=_joined([p.people for p in parts]), **columns)
    return jax.tree.map(lambda *x: np.concatenate([np.asarray(v) for v in x]), *parts)


def _rated(bench: Bench, true: np.ndarray, time_h: Sequence[float], who, site, replicate, scale: Scale) -> np.ndarray:
    """Ratings [patients, visits] in whole points of true scores: rating noise, the site's leaning and the rater's."""
    plan, ratings = bench.plan, bench.plan.ratings
    minute = np.round(np.asarray(time_h) * 60).astype(int)
    stream = "rating" if scale.name == "MADRS" else f"{scale.name} rating"
    error = evidence.value("depression.rating_noise") * _normal(bench.seed, stream, minute, who)
    if ratings.site_sd:
        sites = bench.leanings("site leaning", plan.number_of_sites)
        error += ratings.site_sd.value * sites[replicate, site][:, None]
    if ratings.rater_sd:
        per = ratings.raters_per_site
        all_of = bench.leanings("rater leaning", plan.number_of_sites * per)
        which = np.minimum((per * ndtr(_normal(bench.seed, "rater", minute, who))).astype(int), per - 1)
        error += ratings.rater_sd.value * all_of[replicate[:, None], site[:, None] * per + which]
    return np.clip(np.round(true + error), 0, scale.maximum)


def _at_entry(people: Patients, scale: Scale) -> np.ndarray:
    """True scores at entry; those between episodes have what is left of a full episode's."""
    score = np.asarray(getattr(people, scale.entry))
    if between_episodes(people.population):
        return score * np.asarray(Bipolar.from_evidence().madrs_share(jax.numpy.zeros(1)))
    return score


def _screen(bench: Bench, replicate: int, first: int, count: int) -> tuple[Cohort, np.ndarray]:
    """Of `count` candidates of a replicate from number `first`: those who may enter, and their numbers."""
    plan, seed = bench.plan, bench.seed
    people = draw(plan.population, count, seed, first=(bench.block.first + replicate) * STRIDE + first)
    who = np.asarray(people.index)
    uniform = ndtr(_normal(seed, "site", np.zeros(1), who)[:, 0])
    site = np.minimum((plan.number_of_sites * uniform).astype(int), plan.number_of_sites - 1)
    own = np.full(count, replicate)

    def rated(scale: Scale) -> np.ndarray:
        return _rated(bench, _at_entry(people, scale)[:, None], [0.0], who, site, own, scale)[:, 0]

    baseline = rated(plan.scale)
    measured = {
        "MADRS": baseline if plan.scale.name == "MADRS" else rated(SCALES["depression"]),
        plan.scale.name: baseline,
        "age": np.asarray(people.age_y),
        "failed antidepressant trials": np.asarray(people.failed_trials),
    }
    enters = np.ones(count, bool)
    for rule in plan.inclusion:
        for c in rule:
            enters &= holds(c, measured[c.measure])
    rows = np.flatnonzero(enters)
    return Cohort(own, people, site, baseline).pick(rows), first + rows


def _candidates(bench: Bench, replicate: int, first: int, wanted: int) -> tuple[Cohort, np.ndarray]:
    """The first `wanted` who may enter, from candidate `first` on; and their numbers as candidates."""
    found, numbers, have, rate = [], [], 0, 1.0
    most = min(STRIDE, SCREENED * bench.plan.patients)
    start = first
    while have < wanted:
        count = min(int(1.1 * (wanted - have) / rate) + 16, most - start)
        if count <= 0:
            raise UserError(
                f"only {have} of {start - first} patients screened may enter, too few for {bench.plan.patients} "
                "to be randomised; loosen `inclusion`, or the criterion of the lead-in."
            )
        cohort, number = _screen(bench, replicate, start, count)
        found.append(cohort)
        numbers.append(number)
        have += len(number)
        start += count
        rate = max(have / (start - first), 0.01)
    return _joined(found).pick(np.arange(wanted)), np.concatenate(numbers)[:wanted]


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
            begins = np.nan_to_num([new_episodes(pole, x[pole], since)[1] - since for pole in POLES], nan=np.inf)
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
        chance = ndtr(_normal(bench.seed, "published rate", np.zeros(1), bench.block.numbers())[:, 0])
        rates = betaincinv(known.n * p + 0.5, known.n * (1 - p) + 0.5, chance)
    response = rates[c.replicate]
    remission = response * known.remission.value / known.response.value
    cut = np.floor((1 - scale.response) * c.baseline)
    half = np.log(c.baseline / (cut + 0.5))  # halfway between two ratings
    low = np.maximum(np.log(c.baseline / (np.floor(limit) + 0.5)), half + LEAST_APART)
    z = _normal(bench.seed, "published arm", np.zeros(1), np.asarray(c.people.index))[:, 0]
    a, b = ndtri(1 - response), ndtri(1 - remission)
    fall = half + (z - a) / (b - a) * (low - half)
    share = np.minimum(bench.times / known.at.value, 1.0)
    return np.clip(np.round(c.baseline[:, None] * np.exp(-fall[:, None] * share)), 0, scale.maximum)


def _followed(bench: Bench, key: Any, calendar: Schedule, time_h: Sequence[float], c: Cohort) -> Followed:
    """Ratings and episodes of a course, before anybody leaves."""
    true = _true(bench, key, calendar, time_h, c)
    who = np.asarray(c.people.index)
    return true._replace(scores=_rated(bench, true.scores, time_h, who, c.site, c.replicate, bench.plan.scale))


def _leave(bench: Bench, scores: np.ndarray, time_h: Sequence[float], who: np.ndarray) -> np.ndarray:
    """The ratings [patients, times] with NaN from when a patient has left; everybody is there at the first time."""
    d = bench.plan.dropout
    if d is None or d.per_week.value == 0:
        return scores
    seen = scores.copy()
    # who leaves between two visits is decided by a number of that patient and the later visit
    chance = ndtr(_normal(bench.seed, "dropout", np.round(np.asarray(time_h) * 60).astype(int), who))
    hazard = -np.log1p(-d.per_week.value / 100)
    for k in range(1, len(time_h)):
        weeks = (time_h[k] - time_h[k - 1]) / HOURS_PER_WEEK
        rate = np.full(len(who), hazard)
        if d.at_score and d.more_per_point:
            rate *= (1 + d.more_per_point.value / 100) ** (seen[:, k - 1] - d.at_score.value)
        gone = np.isnan(seen[:, k - 1]) | (chance[:, k] < -np.expm1(-rate * weeks))
        seen[gone, k] = np.nan
    return seen


# --- stage one: the three types of trial ------------------------------------------------------------------------------


def _allocated(bench: Bench, replicate: int, look: int, site: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """Arms of the patients of one replicate between two looks. ratio: [arms] shares, 0 for arms that were dropped."""
    plan, n = bench.plan, len(site)
    r = plan.randomisation
    rng = np.random.default_rng((bench.seed, bench.block.first + replicate, look))
    if plan.adaptive and plan.adaptive.allocation:
        return rng.choice(len(ratio), size=n, p=ratio / ratio.sum())
    arms = np.flatnonzero(ratio > 0)
    if len(arms) == 1:
        return np.full(n, arms[0])
    shares = [int(x) for x in ratio[arms]]
    block = r.block if r.method == "block" and len(arms) == len(ratio) else None
    strata = site if r.stratify_by else None
    return arms[allocate(n, shares, rng, r.method, block, strata)]


def _store(into: Outcomes, place: np.ndarray, c: Cohort, arm: np.ndarray, found: Followed) -> None:
    at = c.replicate, place
    into.arm[at], into.patient[at], into.site[at] = arm, np.asarray(c.people.index), c.site
    into.baseline[at], into.scores[at], into.begins[at] = c.baseline, found.scores, found.begins


def _by_arm(bench: Bench, c: Cohort, arm: np.ndarray) -> Followed:
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
        elif len(rows):
            scores[rows], begins[rows] = _followed(bench, given.index(calendar), calendar, times, c.pick(rows))
    scores[:, 0] = c.baseline
    stayed = _leave(bench, scores, times, np.asarray(c.people.index))
    scores = np.where(published[:, None], scores, stayed)
    days = (bench.times - bench.times[0]) / HOURS_PER_DAY
    seen_until = days[np.sum(~np.isnan(scores), axis=1) - 1]
    return Followed(scores, np.where(begins <= seen_until[:, None], begins, np.inf))


@one_thread
def enrol(block: Block, threads: int = 1) -> Outcomes:
    """What is seen of every patient of a block. threads: to spread batches of patients over; no number depends on it.

    Raises UserError where too few may enter.
    """
    with ThreadPoolExecutor(threads) as pool:
        return (_withdrawal if block.lead_in else _parallel)(Bench(block, pool))


def _parallel(bench: Bench) -> Outcomes:
    """Parallel arms and crossovers; look by look where the trial is adaptive."""
    plan, n = bench.plan, bench.plan.patients
    out = Outcomes.blank(bench.replicates, plan.patients, len(bench.times))
    a = plan.adaptive
    cuts = [0, *(round(share * n) for share in a.looks)] if a else [0, n]
    start_ratio = np.ones(2) if plan.periods else np.asarray(plan.ratio, float)
    ratio = np.tile(start_ratio, (bench.replicates, 1))
    screened = list(bench.pool.map(lambda r: _candidates(bench, r, 0, n), range(bench.replicates)))
    for look, (first, last) in enumerate(pairwise(cuts)):
        here = np.flatnonzero(out.stopped < 0).tolist()
        if not here:
            break
        cohort = _joined([screened[r][0].pick(np.arange(first, last)) for r in here])
        arm = np.concatenate([_allocated(bench, r, look, screened[r][0].site[first:last], ratio[r]) for r in here])
        _store(out, np.tile(np.arange(first, last), len(here)), cohort, arm, _by_arm(bench, cohort, arm))
        for r in here:
            out.screened[r] = screened[r][1][last - 1] + 1
            if a and last < n:
                _adapt(plan, out, r, look, last, ratio)
    return replace(out, entered=np.sum(out.arm != NEVER, axis=1))


def _withdrawal(bench: Bench) -> Outcomes:
    """An open lead-in, and randomisation of those who meet its criterion, at their last rating in it."""
    plan = bench.plan
    out = Outcomes.blank(bench.replicates, plan.patients, len(bench.times))
    chosen, place = _through_lead_in(bench, out)
    share = np.asarray(plan.ratio, float)
    sites = [chosen.site[chosen.replicate == r] for r in range(bench.replicates)]
    arm = np.concatenate([_allocated(bench, r, 0, site, share) for r, site in enumerate(sites)])
    _store(out, place, chosen, arm, _by_arm(bench, chosen, arm))
    return out


def _through_lead_in(bench: Bench, out: Outcomes) -> tuple[Cohort, np.ndarray]:
    """The patients who are randomised, with their rating at randomisation, and their places."""
    plan, n, group = bench.plan, bench.plan.patients, range(bench.replicates)
    lead, calendar = plan.lead_in, bench.block.lead_in
    assert lead and calendar
    times = np.unique([0.0, *lead.at, lead.lasts.value])
    looked = np.isin(times, lead.at)
    kept: dict[int, list[Cohort]] = {r: [] for r in group}
    entry: dict[int, list[np.ndarray]] = {r: [] for r in group}  # how many had entered by then, for each one kept
    next_candidate, entered = dict.fromkeys(group, 0), dict.fromkeys(group, 0)
    have = dict.fromkeys(group, 0)
    numbers: dict[int, list[np.ndarray]] = {r: [] for r in group}
    rate = dict.fromkeys(group, 0.5)
    while todo := [r for r in group if have[r] < n]:
        wanted = {r: int(1.1 * (n - have[r]) / rate[r]) + 8 for r in todo}
        drawn = list(bench.pool.map(lambda r: _candidates(bench, r, next_candidate[r], wanted[r]), todo))  # noqa: B023
        cohort = _joined([c for c, _ in drawn])
        scores = _followed(bench, "lead in", calendar, times.tolist(), cohort).scores
        scores[:, 0] = cohort.baseline
        scores = _leave(bench, scores, times.tolist(), np.asarray(cohort.people.index))
        met = state(plan, lead.randomised_when, scores, cohort.baseline[:, None])[:, looked].all(1)
        met &= ~np.isnan(scores[:, -1])
        begins = 0
        for r, (c, candidate) in zip(todo, drawn, strict=True):
            rows = np.flatnonzero(met[begins : begins + len(c)])
            kept[r].append(replace(c, baseline=scores[begins : begins + len(c), -1]).pick(rows))
            entry[r].append(entered[r] + rows + 1)
            numbers[r].append(candidate[rows] + 1)
            begins += len(c)
            entered[r] += len(c)
            have[r] += len(rows)
            next_candidate[r] = int(candidate[-1]) + 1
            if have[r] < n and entered[r] >= SCREENED * n:
                raise UserError(
                    f"only {have[r]} of {entered[r]} patients who entered the lead-in met its criterion, too few for "
                    f"{n} to be randomised; loosen `randomised when`, or lengthen the lead-in."
                )
            rate[r] = max(have[r] / entered[r], 0.02)
    for r in group:
        out.entered[r] = np.concatenate(entry[r])[n - 1]
        out.screened[r] = np.concatenate(numbers[r])[n - 1]
    everybody = _joined([_joined(kept[r]).pick(np.arange(n)) for r in group])
    return everybody, np.tile(np.arange(n), len(group))


def _adapt(plan: Plan, out: Outcomes, r: int, look: int, enrolled: int, ratio: np.ndarray) -> None:
    """What an interim look changes in replicate r: it stops, drops arms, or allocates otherwise from then on."""
    a = plan.adaptive
    assert a
    seen = Replicate.of(plan, out, r, enrolled)
    found = {arm: e for arm, e, _ in compare(plan, plan.primary, seen)}
    good = {arm: e for arm, e in found.items() if np.isfinite(e.standard_error) and e.standard_error > 0}
    if a.stop:
        limit = limits(plan)[look]
        if any(deviate(e) >= limit for e in good.values()):
            out.stopped[r] = look
            return
    if a.drop_arms_below:
        lower = plan.primary.endpoint == "change"
        alive = {arm: e for arm, e in good.items() if ratio[r, arm] > 0}
        z = float(-ndtri(plan.level / 2))
        gone = drop_arms(alive, a.looks[look], a.drop_arms_below.value / 100, z, lower)
        ratio[r, list(gone)] = 0.0
        if not (np.delete(ratio[r], plan.control) > 0).any():
            out.stopped[r] = look  # no arm is left to be compared
            return
    if a.allocation:
        alive = np.flatnonzero(ratio[r] > 0)
        e = plan.primary if plan.primary.endpoint in RATES else replace_endpoint(plan.primary, "response")
        won = succeeded(e, seen, plan)
        counts = [[won[seen.arm == k].sum(), (seen.arm == k).sum()] for k in alive]
        s, n = np.array(counts).T
        ratio[r, alive] = response_adaptive_ratio(s, n, a.temper, min(a.least_share, 1 / len(alive)))


def replace_endpoint(e: PlannedEndpoint, kind: str) -> PlannedEndpoint:
    """The same visit, another endpoint."""
    return e.model_copy(update={"endpoint": kind, "analysis": None})
