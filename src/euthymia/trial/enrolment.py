"""Stage one of a planned trial, in each of its types: patients screened, randomised and followed.

`block` says how the work is cut, `screening` who enters, `follow_up` what is seen of them.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
from scipy.special import ndtri

from euthymia.errors import UserError
from euthymia.trial.analysis import NEVER, Outcomes, Replicate, compare, deviate, limits, state, succeeded
from euthymia.trial.block import Bench, Block
from euthymia.trial.follow_up import Followed, by_arm, followed, leave
from euthymia.trial.plan import RATES, Plan, PlannedEndpoint
from euthymia.trial.randomise import allocate
from euthymia.trial.screening import SCREENED, Cohort, candidates, joined
from euthymia.trial.sequential import drop_arms, response_adaptive_ratio
from euthymia.trial.statistics import one_thread


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
    screened = list(bench.pool.map(lambda r: candidates(bench, r, 0, n), range(bench.replicates)))
    for look, (first, last) in enumerate(pairwise(cuts)):
        here = np.flatnonzero(out.stopped < 0).tolist()
        if not here:
            break
        cohort = joined([screened[r][0].pick(np.arange(first, last)) for r in here])
        arm = np.concatenate([_allocated(bench, r, look, screened[r][0].site[first:last], ratio[r]) for r in here])
        _store(out, np.tile(np.arange(first, last), len(here)), cohort, arm, by_arm(bench, cohort, arm))
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
    _store(out, place, chosen, arm, by_arm(bench, chosen, arm))
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
        drawn = list(bench.pool.map(lambda r: candidates(bench, r, next_candidate[r], wanted[r]), todo))  # noqa: B023
        cohort = joined([c for c, _ in drawn])
        scores = followed(bench, "lead in", calendar, times.tolist(), cohort).scores
        scores[:, 0] = cohort.baseline
        scores = leave(bench, scores, times.tolist(), np.asarray(cohort.people.index))
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
    everybody = joined([joined(kept[r]).pick(np.arange(n)) for r in group])
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
