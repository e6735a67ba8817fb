"""Who enters a planned trial: patients drawn, rated, and let in where they meet the inclusion criteria."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from scipy.special import ndtr

from euthymia import evidence
from euthymia.course.outcomes import SCALES, Scale
from euthymia.errors import UserError
from euthymia.illness.bipolar import Bipolar
from euthymia.patient.population import Patients, between_episodes, draw
from euthymia.trial.analysis import holds
from euthymia.trial.block import STRIDE, Bench, normal

SCREENED = 200
"""Patients screened, at most, for each one randomised."""


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


def joined(parts: Sequence[Any]) -> Any:
    """Cohorts or patients one after the other."""
    if isinstance(parts[0], Cohort):
        columns = {f: np.concatenate([getattr(p, f) for p in parts]) for f in ("replicate", "site", "baseline")}
        return Cohort(people=joined([p.people for p in parts]), **columns)
    return jax.tree.map(lambda *x: np.concatenate([np.asarray(v) for v in x]), *parts)


def rated(bench: Bench, true: np.ndarray, time_h: Sequence[float], who, site, replicate, scale: Scale) -> np.ndarray:
    """Ratings [patients, visits] in whole points of true scores: rating noise, the site's leaning and the rater's."""
    plan, ratings = bench.plan, bench.plan.ratings
    minute = np.round(np.asarray(time_h) * 60).astype(int)
    stream = "rating" if scale.name == "MADRS" else f"{scale.name} rating"
    error = evidence.value("depression.rating_noise") * normal(bench.seed, stream, minute, who)
    if ratings.site_sd:
        sites = bench.leanings("site leaning", plan.number_of_sites)
        error += ratings.site_sd.value * sites[replicate, site][:, None]
    if ratings.rater_sd:
        per = ratings.raters_per_site
        all_of = bench.leanings("rater leaning", plan.number_of_sites * per)
        which = np.minimum((per * ndtr(normal(bench.seed, "rater", minute, who))).astype(int), per - 1)
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
    uniform = ndtr(normal(seed, "site", np.zeros(1), who)[:, 0])
    site = np.minimum((plan.number_of_sites * uniform).astype(int), plan.number_of_sites - 1)
    own = np.full(count, replicate)

    def rated_on(scale: Scale) -> np.ndarray:
        return rated(bench, _at_entry(people, scale)[:, None], [0.0], who, site, own, scale)[:, 0]

    baseline = rated_on(plan.scale)
    measured = {
        "MADRS": baseline if plan.scale.name == "MADRS" else rated_on(SCALES["depression"]),
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


def candidates(bench: Bench, replicate: int, first: int, wanted: int) -> tuple[Cohort, np.ndarray]:
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
    return joined(found).pick(np.arange(wanted)), np.concatenate(numbers)[:wanted]
