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
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from euthymia.course.result import evidence_hash, release
from euthymia.course.store import Parts, write_whole
from euthymia.errors import UserError
from euthymia.trial import stored, survival
from euthymia.trial.analysis import COLUMNS, NEVER, Outcomes, Replicate, analyse, time_to_event
from euthymia.trial.enrolment import BLOCK, MAX_RATINGS, REPLICATES, Block, blocks, enrol
from euthymia.trial.plan import MAX_PATIENTS, Plan, PlannedEndpoint, calendars, first_times, groups, lead_in_calendar
from euthymia.trial.statistics import Z
from euthymia.trial.workers import each, threads


@dataclass(frozen=True)
class TrialResult:
    """A planned trial carried out `replicates` times.

    outcomes: what was seen of every patient (stage one); estimates: per replicate, endpoint and arm (`COLUMNS`);
    levels: [2, replicates] multipliers of the drug's and of the non-drug response in each replicate.
    """

    plan: Plan
    seed: int
    no_effect: bool
    study_levels: bool
    outcomes: Outcomes
    estimates: pl.DataFrame
    levels: np.ndarray

    @property
    def replicates(self) -> int:
        return self.outcomes.replicates

    def power(self) -> pl.DataFrame:
        """Per endpoint and arm: the share of replicates that found a difference, with its Monte Carlo standard error.

        Under no effect that share is the type I error. Estimates (of ratios, their logarithms) and sizes are averaged
        over replicates; low and high hold 90 % of the estimates; NNT is one over the mean difference in rates; failed
        counts the replicates without an estimate.
        """
        by = ["endpoint", "analysis", "primary", "arm", "comparator"]
        estimate = pl.col("estimate").fill_nan(None)
        ratio = pl.col("analysis").first().is_in(["cox", "log-rank"])
        found = self.estimates.group_by(by, maintain_order=True).agg(
            power=pl.col("significant").sum() / self.replicates,
            estimate=pl.when(ratio).then(estimate.log().mean().exp()).otherwise(estimate.mean()),
            low=estimate.quantile(0.05, "linear"),
            high=estimate.quantile(0.95, "linear"),
            mean=pl.col("mean").fill_nan(None).mean(),
            comparator_mean=pl.col("mean comparator").fill_nan(None).mean(),
            n=pl.col("n").mean() + pl.col("n comparator").mean().fill_null(0.0),
            failed=estimate.is_null().sum(),
        )
        p = pl.col("power")
        rates = pl.col("analysis") == "risk difference"
        return found.with_columns(
            (p * (1 - p) / self.replicates).sqrt().alias("standard error"),
            pl.when(rates).then(1 / pl.col("estimate")).alias("NNT"),
        ).rename({"comparator_mean": "mean comparator"})

    def flow(self) -> pl.DataFrame:
        """Patients of each replicate and arm: randomised, dropped out, completed; screened and entered (into the
        lead-in, else the trial) are those of the whole replicate."""
        plan, out = self.plan, self.outcomes
        gone = np.isnan(out.scores[..., -1])
        rows = []
        for k, name in enumerate(groups(plan)):
            inside = out.arm == k
            total, left = inside.sum(1), (inside & gone).sum(1)
            rows.append(
                pl.DataFrame(
                    {
                        "replicate": np.arange(self.replicates),
                        "arm": [name] * self.replicates,
                        "screened": out.screened,
                        "entered": out.entered,
                        "randomised": total,
                        "dropped out": left,
                        "completed": total - left,
                    }
                )
            )
        return pl.concat(rows).sort("replicate", maintain_order=True)

    def trajectories(self) -> pl.DataFrame:
        """Mean rating of those still there by arm and visit, for plots.

        low, high: of one trial, the 95 % interval of its mean; of several, 90 % of their means.
        """
        plan, out = self.plan, self.outcomes
        times = np.concatenate([np.asarray(plan.visits) + start for start in first_times(plan)])
        begin = first_times(plan)[0]
        rows = []
        for k, name in enumerate(groups(plan)):
            inside = (out.arm == k)[..., None] & ~np.isnan(out.scores)
            count = inside.sum(1)
            seen = np.where(inside, out.scores, 0.0).astype(float)
            mean = seen.sum(1) / np.maximum(count, 1)
            mean[count == 0] = np.nan
            for v, time in enumerate(times):
                here, n = mean[:, v][count[:, v] > 0], count[:, v]
                if not len(here):
                    continue
                if self.replicates == 1:
                    x = seen[0, inside[0, :, v], v]
                    half = Z * x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else np.nan
                    low, high = here[0] - half, here[0] + half
                else:
                    low, high = np.quantile(here, [0.05, 0.95])
                rows.append(
                    {
                        "arm": name,
                        "visit": v,
                        "time_h": time - begin,
                        "mean": float(here.mean()),
                        "low": float(low),
                        "high": float(high),
                        "n": float(n.mean()),
                    }
                )
        return pl.DataFrame(rows)

    def survival(self, endpoint: PlannedEndpoint, replicate: int = 0) -> dict[str, survival.KaplanMeier]:
        """Kaplan and Meier's curve of each arm of one replicate, in days from randomisation."""
        trial = Replicate.of(self.plan, self.outcomes, replicate)
        days, event = time_to_event(endpoint, trial, self.plan)
        return {
            arm.arm: survival.kaplan_meier(days[trial.arm == k], event[trial.arm == k])
            for k, arm in enumerate(self.plan.arms)
        }

    def curves(self, endpoint: PlannedEndpoint) -> pl.DataFrame:
        """Share of each arm without the event at every visit, and patients at risk just before it, for plots.

        low, high: of one trial, the 95 % interval; of several, whose median `share` then is, 90 % of them.
        """
        last = self.plan.visit(endpoint.at) if endpoint.at else len(self.plan.visits) - 1
        days = np.asarray(self.plan.visits[: last + 1]) / 24
        found = np.full((4, len(self.plan.arms), self.replicates, len(days)), np.nan)  # share, low, high, at risk
        for r in range(self.replicates):
            trial = Replicate.of(self.plan, self.outcomes, r)
            until, event = time_to_event(endpoint, trial, self.plan)
            for k in np.unique(trial.arm):
                mine = trial.arm == k
                curve = survival.kaplan_meier(until[mine], event[mine])
                step = np.searchsorted(curve.time, days, side="right")
                for place, values in enumerate((curve.survival, curve.low, curve.high)):
                    found[place, k, r] = np.concatenate([[1.0], values])[step]
                found[3, k, r] = (until[mine][:, None] >= days).sum(0)
        rows = []
        for k, arm in enumerate(self.plan.arms):
            share, low, high, at_risk = found[:, k, ~np.isnan(found[0, k, :, 0])]
            if not len(share):
                continue
            if self.replicates > 1:
                low, share, high = np.quantile(share, [0.05, 0.5, 0.95], axis=0)[:, None]
            columns = {"share": share[0], "low": low[0], "high": high[0], "at risk": at_risk.mean(0)}
            rows.append(pl.DataFrame({"arm": [arm.arm] * len(days), "days": days} | columns))
        return pl.concat(rows)

    def looks(self) -> pl.DataFrame:
        """Of an adaptive trial, a row per look and arm: trials that reached the look and that ended there, how many of
        those found a primary difference, and the patients of the arm since the look before (mean and range over the
        trials that reached it; without: trials that gave the arm none)."""
        plan, out = self.plan, self.outcomes
        if not plan.adaptive:
            return pl.DataFrame()
        cuts = [0, *(round(share * plan.patients) for share in plan.adaptive.looks)]
        ended = np.where(out.stopped < 0, len(cuts) - 2, out.stopped)
        won = self.estimates.filter(pl.col("primary") & pl.col("significant"))["replicate"].unique().to_numpy()
        found = np.isin(np.arange(self.replicates), won)
        rows = []
        for look, (first, last) in enumerate(pairwise(cuts)):
            here = ended >= look
            if not here.any():
                break
            for k, arm in enumerate(plan.arms):
                given = (out.arm[here, first:last] == k).sum(1)
                rows.append(
                    {
                        "look": look + 1,
                        "patients": last,
                        "reached": int(here.sum()),
                        "ended": int((ended == look).sum()),
                        "found": int((found & (ended == look)).sum()),
                        "arm": arm.arm,
                        "mean": float(given.mean()),
                        "least": int(given.min()),
                        "most": int(given.max()),
                        "without": int((given == 0).sum()),
                    }
                )
        return pl.DataFrame(rows)

    def patients(self, replicate: int = 0) -> pl.DataFrame:
        """One row per patient and visit of one replicate: as a trial's own data file would be."""
        out, plan = self.outcomes, self.plan
        times = np.concatenate([np.asarray(plan.visits) + start for start in first_times(plan)]) - first_times(plan)[0]
        rows = np.flatnonzero(out.arm[replicate] != NEVER)
        names = groups(plan)
        each = len(times)

        def column(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, each)

        return pl.DataFrame(
            {
                "patient": column(out.patient[replicate, rows]),
                "arm": [names[k] for k in column(out.arm[replicate, rows])],
                "site": column(out.site[replicate, rows]) + 1,
                "baseline": column(out.baseline[replicate, rows]),
                "time_h": np.tile(times, len(rows)),
                "MADRS": out.scores[replicate, rows].ravel(),
            }
        ).with_columns(pl.col("MADRS").fill_nan(None))

    def summary(self) -> dict[str, Any]:
        """The numbers of `power` and what they rest on, as plain data."""
        flow = (
            self.flow()
            .group_by("arm", maintain_order=True)
            .agg(pl.col("screened", "entered", "randomised", "dropped out", "completed").mean())
        )
        return {
            "trial": self.plan.trial,
            "replicates": self.replicates,
            "seed": self.seed,
            "no effect": self.no_effect,
            "spread between studies": self.study_levels,
            "alpha of one comparison": self.plan.level,
            "comparisons": _plain(self.power()),
            "mean flow": _plain(flow),
            "evidence": evidence_hash(),
            "version": release(),
            # one trial's own interval knows nothing of other studies
            "contains": "sampling of patients and ratings"
            + (
                ", spread between studies; parameters not included"
                if self.study_levels and self.replicates > 1
                else "; neither spread between studies nor parameters included"
            ),
        }

    def write(self, folder: str | Path) -> Path:
        """Write endpoints.parquet, endpoints.csv, flow.csv, trajectories.csv, patients.csv (the first replicate) and
        summary.json into `folder`, each whole or not at all. Raises UserError where that cannot be done."""
        where = Path(folder)
        write_whole(where / "endpoints.parquet", lambda p: self.estimates.write_parquet(p))
        tables = {
            "endpoints": self.estimates,
            "flow": self.flow(),
            "trajectories": self.trajectories(),
            "patients": self.patients(),
        }
        for name, table in tables.items():
            write_whole(where / f"{name}.csv", lambda p, table=table: table.write_csv(p))
        text = json.dumps(self.summary(), indent=2, ensure_ascii=False)
        write_whole(where / "summary.json", lambda p: p.write_text(text + "\n", encoding="utf-8"))
        return where


def _plain(table: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows without numbers that JSON lacks."""
    return [
        {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
        for row in table.iter_rows(named=True)
    ]


def identity(plan: Plan, replicates: int, seed: int, no_effect: bool, study_levels: bool) -> dict[str, Any]:
    """What the numbers of a run depend on, as plain data."""
    content = plan.model_dump(mode="json", by_alias=True)
    given = calendars(plan, no_effect), lead_in_calendar(plan) if plan.lead_in else None
    return {
        "trial": plan.trial,
        "plan": sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
        "given": sha256(repr(given).encode()).hexdigest(),
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
