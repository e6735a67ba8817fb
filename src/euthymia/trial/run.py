"""A planned trial carried out on virtual patients, as often as wanted.

Two stages, never a re-simulation: `enrolment` gives what was seen of every patient, `analysis` what an analyst makes of
each replicate. Intervals between replicates contain sampling and, unless switched off, the spread between studies of
drug and non-drug response; the uncertainty of the model's parameters is not in them.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.course.result import evidence_hash, release
from euthymia.course.store import Parts
from euthymia.errors import UserError
from euthymia.protocol import fingerprint
from euthymia.trial import stored
from euthymia.trial.analysis import COLUMNS, Outcomes, analyse
from euthymia.trial.block import BLOCK, MAX_RATINGS, REPLICATES, Block, blocks
from euthymia.trial.calendars import calendars, lead_in_calendar, ruled
from euthymia.trial.enrolment import enrol
from euthymia.trial.plan import MAX_PATIENTS, Plan, first_times
from euthymia.trial.result import TrialResult
from euthymia.trial.workers import each, threads


def identity(plan: Plan, replicates: int, seed: int, no_effect: bool, study_levels: bool) -> dict[str, Any]:
    """What the numbers of a run depend on, as plain data."""
    content = plan.model_dump(mode="json", by_alias=True)
    given = calendars(plan, no_effect), lead_in_calendar(plan) if plan.lead_in else None
    return {
        "trial": plan.trial,
        "plan": sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        "given": sha256(repr(given).encode()).hexdigest(),
        "rules": [protocol and fingerprint(protocol) for protocol in ruled(plan, no_effect)],
        "replicates": replicates,
        "patients of a part": BLOCK,
        "seed": seed,
        "no effect": no_effect,
        "spread between studies": study_levels,
        "evidence": evidence_hash(),
        "version": release(),
    }


def folder_of(*what: Any) -> str:
    """A folder's name for a run with that `identity`: the trial's name and a digest, so that no two runs share one."""
    text = json.dumps(identity(*what), sort_keys=True)
    return f"{what[0].trial}-{sha256(text.encode()).hexdigest()[:8]}"


def _carry_out(block: Block, analysed: bool, threads: int) -> tuple[Outcomes, pl.DataFrame]:
    """Both stages of one block."""
    out = enrol(block, threads)
    if not analysed:
        return out, pl.DataFrame(schema=COLUMNS)
    return out, analyse(block.plan, out).with_columns(pl.col("replicate") + block.first)


def run(
    plan: Plan,
    replicates: int = 1,
    seed: int = 1,
    no_effect: bool = False,
    study_levels: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    analysed: bool = True,
    scheduler: str | None = None,
    out: str | Path | None = None,
) -> TrialResult:
    """Carry out a planned trial `replicates` times on new patients each time.

    no_effect: every arm is given what the comparator is, for the type I error; study_levels: each replicate is another
    study, with its own level of drug and non-drug response; workers: threads, or scheduler: the address of a Dask
    cluster (results depend on neither); progress: called with (replicates done, replicates); analysed: False leaves
    stage two, `analyse`, to the caller; out: folder for every rating and estimate as Parquet parts, resumed if a former
    run was killed. Raises UserError for what cannot be done.
    """
    if not 1 <= replicates <= REPLICATES:
        raise UserError(f"replicates must be from 1 to {REPLICATES}, not {replicates}.")
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed must be from 0 to {2**32 - 1}, not {seed}.")
    if evidence.assumed():
        raise UserError(
            f"{', '.join(evidence.assumed())}: what is assumed around a planned trial would not reach all of it; carry "
            "it out outside of the block."
        )
    ratings = float(replicates) * plan.patients * len(plan.visits)
    if ratings > MAX_RATINGS:
        raise UserError(f"replicates x patients x visits must be at most {MAX_RATINGS:.0f}; they are {ratings:.0f}.")
    todo = dict(enumerate(blocks(plan, replicates, seed, no_effect, study_levels)))
    found: dict[int, pl.DataFrame] = {}
    seen = Outcomes.blank(replicates, plan.patients, len(first_times(plan)) * len(plan.visits))
    levels = np.concatenate([block.levels() for block in todo.values()], axis=1)
    done = 0

    def take(block: Block, part: int, outcomes: Outcomes, estimates: pl.DataFrame) -> None:
        nonlocal done
        seen.put(block.first, outcomes)
        found[part] = estimates
        done += block.replicates
        if progress:
            progress(done, replicates)

    parts = None
    if out is not None:
        what = identity(plan, replicates, seed, no_effect, study_levels) | {"analysed": analysed}
        parts = Parts(Path(out), what, stored.KINDS)
        for part in [k for k in todo if parts.done(k)]:
            block = todo.pop(part)
            patients, each_replicate, estimates = (parts.read(kind, part) for kind in stored.KINDS)
            take(block, part, stored.outcomes(plan, block.first, patients, each_replicate), estimates)
    # a run of few blocks has threads to spare for the batches of each
    spare = 1 if scheduler else max(1, threads(workers) // max(1, len(todo)))
    compute = partial(_carry_out, analysed=analysed, threads=spare)
    for part, (outcomes, estimates) in each(compute, todo, workers, scheduler) if todo else ():
        if parts:
            parts.write(part, *stored.tables(plan, todo[part].first, outcomes), estimates)
        take(todo[part], part, outcomes, estimates)
    estimates = pl.concat([found[part] for part in sorted(found)])
    return TrialResult(plan, seed, no_effect, study_levels, seen, estimates, levels)


def power(plan: Plan, replicates: int = 1000, seed: int = 1, **options: Any) -> pl.DataFrame:
    """Power of every comparison of a plan, or its type I error with `no_effect=True`; see `TrialResult.power`.

    options: as for `run`.
    """
    return run(plan, replicates, seed, **options).power()


@dataclass(frozen=True)
class SampleSize:
    """Patients needed in all for a wanted power of the primary endpoint (in its strongest arm).

    low, high: sizes between which the wanted power is reached within 1.96 Monte Carlo standard errors; `reached` is
    False where even the largest trial tried, `patients`, has less power; curve: power by size, with its standard error.
    """

    wanted: float
    patients: int
    low: int
    high: int
    power: float
    standard_error: float
    reached: bool
    curve: pl.DataFrame


def sample_size(
    plan: Plan, wanted: float = 0.8, replicates: int = 400, seed: int = 1, largest: int = 2000, **options: Any
) -> SampleSize:
    """The smallest trial with the wanted power, by bisection over simulated trials.

    Trials of n patients are the first n of one set of larger trials, so sizes are compared on the same patients and
    nothing is simulated twice over; the set doubles in size until it has the power wanted, or `largest` patients.
    The spread between studies does not shrink with n, so that a power may be out of reach of any size.
    Raises UserError for an adaptive plan, whose patients depend on its size.
    """
    if plan.adaptive:
        raise UserError("the size of an adaptive trial cannot be searched; leave `adaptive` out of the plan for this.")
    if not 0.05 < wanted < 1:
        raise UserError(f"the wanted power must lie between 0.05 and 1, not {wanted:g}.")
    if not plan.patients <= largest <= MAX_PATIENTS:
        raise UserError(f"largest must be from {plan.patients}, the plan's patients, to {MAX_PATIENTS}, not {largest}.")
    unit = plan.randomisation.block or sum(plan.ratio)
    found: dict[int, float] = {}

    def at(n: int, out: Outcomes) -> float:
        if n not in found:
            table = analyse(plan, out.first(n), plan.primary)
            won = table.group_by("arm").agg(pl.col("significant").sum())["significant"].to_list()
            found[n] = max(won, default=0) / replicates
        return found[n]

    size = max(plan.patients, 2 * unit)
    while True:
        n = min(unit * -(-size // unit), unit * (largest // unit))
        larger = plan.model_copy(update={"patients": n})
        out = run(larger, replicates, seed, analysed=False, **options).outcomes
        if at(n, out) >= wanted or n >= unit * (largest // unit):
            break
        size *= 2

    def smallest(goal: float) -> int:
        low, high = 0, n // unit
        if at(n, out) < goal:
            return n
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if at(middle * unit, out) >= goal else (middle, high)
        return high * unit

    best = smallest(wanted)
    error = float(np.sqrt(found[best] * (1 - found[best]) / replicates))
    low, high = (smallest(wanted + shift * 1.96 * error) for shift in (-1, 1))
    sizes = sorted(found)
    values = np.array([found[k] for k in sizes])
    curve = pl.DataFrame(
        {"patients": sizes, "power": values, "standard error": np.sqrt(values * (1 - values) / replicates)}
    )
    return SampleSize(wanted, best, low, high, found[best], error, found[best] >= wanted, curve)
