"""What a planned trial that was carried out has to tell: power, flow, scores, curves, looks, data files."""

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from euthymia.course.result import evidence_hash, release
from euthymia.course.store import write_whole
from euthymia.trial import survival
from euthymia.trial.analysis import NEVER, Outcomes, Replicate, time_to_event
from euthymia.trial.calendars import warnings
from euthymia.trial.plan import Plan, PlannedEndpoint, first_times, groups
from euthymia.trial.statistics import Z
from euthymia.trial.stored import EPISODE_COLUMNS


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
            needed=pl.col("NNT").is_not_null().any(),
        )
        p = pl.col("power")
        return (
            found.with_columns(
                (p * (1 - p) / self.replicates).sqrt().alias("standard error"),
                pl.when("needed").then(1 / pl.col("estimate")).alias("NNT"),
            )
            .rename({"comparator_mean": "mean comparator"})
            .drop("needed")
        )

    @property
    def warnings(self) -> dict[str, tuple[str, ...]]:
        """By arm, what guidelines say against it and what of it no human data support."""
        return warnings(self.plan, self.no_effect)

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
        """One row per patient and visit of one replicate: as a trial's own data file would be. In bipolar disorder also
        the day from randomisation on which the first new episode of each pole begins, null where none was seen."""
        out, plan = self.outcomes, self.plan
        times = np.concatenate([np.asarray(plan.visits) + start for start in first_times(plan)]) - first_times(plan)[0]
        rows = np.flatnonzero(out.arm[replicate] != NEVER)
        names = groups(plan)
        each = len(times)

        def column(values: np.ndarray) -> np.ndarray:
            return np.repeat(values, each)

        scale = plan.scale.name
        table = pl.DataFrame(
            {
                "patient": column(out.patient[replicate, rows]),
                "arm": [names[k] for k in column(out.arm[replicate, rows])],
                "site": column(out.site[replicate, rows]) + 1,
                "baseline": column(out.baseline[replicate, rows]),
                "time_h": np.tile(times, len(rows)),
                scale: out.scores[replicate, rows].ravel(),
            }
        ).with_columns(pl.col(scale).fill_nan(None))
        if not plan.has_episodes:
            return table
        begins = {name: column(out.begins[replicate, rows, k]) for k, name in enumerate(EPISODE_COLUMNS)}
        seen = pl.col(*EPISODE_COLUMNS)
        return table.with_columns(**begins).with_columns(pl.when(seen.is_finite()).then(seen))

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
            "warnings": self.warnings,
            "evidence": evidence_hash(),
            "version": release(),
            # one trial's own interval knows nothing of other studies
            "contains": "sampling of patients and ratings"
            + (
                ", spread between studies; parameters not included"
                if self.study_levels and self.replicates > 1
                else "; neither spread between studies nor parameters included"
            ),
            "score": self.plan.scale.name,
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
