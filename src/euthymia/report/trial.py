"""The page of a planned trial: what was planned, who went through it, and what it found."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from euthymia.course.result import evidence_hash, release
from euthymia.report import plan as words
from euthymia.report.compared import comparisons, headline
from euthymia.report.numbers import decimal
from euthymia.report.series import spoken
from euthymia.report.still import Table, render, written
from euthymia.report.trial_charts import event_curves, forest, survival, trajectories
from euthymia.trial.plan import EPISODES, Plan, PlannedEndpoint, groups
from euthymia.trial.result import TrialResult

FILES = {
    "endpoints.csv": "every estimate of every replicate",
    "endpoints.parquet": "the same, typed",
    "flow.csv": "patients of every replicate and arm",
    "trajectories.csv": "mean scores by arm and visit",
    "patients.csv": "every rating of every patient of the first replicate, as a trial's own data would be",
    "summary.json": "the comparisons, and what they rest on",
}
"""What `TrialResult.write` makes."""


class Group(NamedTuple):
    """An arm, or a sequence of a crossover, on its way through the trial; counts in words."""

    name: str
    randomised: str
    left: str
    completed: str
    analysed: str


class Flow(NamedTuple):
    """Patients on their way through the trial; counts in words, empty where there is no such step."""

    screened: str
    not_let_in: str
    entered: str
    not_randomised: str
    randomised: str
    groups: tuple[Group, ...]


def _count(values: pl.Series) -> str:
    """A count: of one trial itself, of several its mean with the range."""
    least, most = int(values.min()), int(values.max())  # type: ignore[arg-type]
    if least == most:
        return f"{most:,}"
    return f"{decimal(float(values.mean()), 1)} ({least:,} to {most:,})"  # type: ignore[arg-type]


def flow(result: TrialResult) -> Flow:
    """Screened, entered, randomised, left and completed, as in a CONSORT diagram."""
    table = result.flow()
    every = table.group_by("replicate", maintain_order=True).agg(
        pl.col("screened", "entered").first(), pl.col("randomised").sum()
    )
    lead = result.plan.lead_in is not None
    begun = every["entered"] if lead else every["randomised"]
    seen = _analysed(result)
    found = []
    for name in groups(result.plan):
        own = table.filter(pl.col("arm") == name)
        share = 100 * float(own["dropped out"].sum()) / max(float(own["randomised"].sum()), 1.0)
        left = _count(own["dropped out"]) + (f", {decimal(share, 1)} %" if share else "")
        found.append(Group(name, _count(own["randomised"]), left, _count(own["completed"]), seen.get(name, "")))
    return Flow(
        screened=_count(every["screened"]),
        not_let_in=_count(every["screened"] - begun),
        entered=_count(every["entered"]) if lead else "",
        not_randomised=_count(every["entered"] - every["randomised"]) if lead else "",
        randomised=_count(every["randomised"]),
        groups=tuple(found),
    )


def _analysed(result: TrialResult) -> dict[str, str]:
    """Patients of each arm in the analysis of the primary endpoint; not of a crossover, whose arms share patients."""
    if result.plan.periods:
        return {}
    primary = result.estimates.filter(pl.col("primary"))
    found = {name: _count(own["n"]) for (name,), own in primary.group_by("arm")}
    if len(primary):
        control = primary.group_by("replicate").agg(pl.col("n comparator").first())["n comparator"]
        found[primary["comparator"][0]] = _count(control)
    return found


def trajectory_table(plan: Plan, table: pl.DataFrame) -> Table:
    """Mean, interval and number of patients of each arm at each visit. table: `TrialResult.trajectories`."""
    names = [name for name in groups(plan) if name in table["arm"]]
    cells: dict[float, dict[str, str]] = {}
    for r in table.iter_rows(named=True):
        between = f" ({decimal(r['low'], 1)} to {decimal(r['high'], 1)})" if r["low"] == r["low"] else ""
        cells.setdefault(r["time_h"], {})[r["arm"]] = f"{decimal(r['mean'], 1)}{between}, n {_people(r['n'])}"
    rows = [(spoken(t), *(own.get(name, "-") for name in names)) for t, own in sorted(cells.items())]
    what = f"Mean {plan.scale.name} of those still there, with its interval and their number"
    return Table(what, ("Visit", *names), rows)


def _people(n: float) -> str:
    return f"{n:,.0f}" if n == round(n) else f"{n:,.1f}"


def curve_table(plan: Plan, endpoint: PlannedEndpoint, table: pl.DataFrame) -> Table:
    """Share without the event, its interval and the patients at risk, by arm and visit. table: `TrialResult.curves`."""
    names = [arm.arm for arm in plan.arms]
    cells: dict[float, dict[str, str]] = {}
    for r in table.iter_rows(named=True):
        low, high = (decimal(100 * r[k], 1) for k in ("low", "high"))
        share = decimal(100 * r["share"], 1)
        cells.setdefault(r["days"], {})[r["arm"]] = f"{share} ({low} to {high}), n {_people(r['at risk'])}"
    rows = [(spoken(24 * t), *(own.get(name, "-") for name in names)) for t, own in sorted(cells.items())]
    event = endpoint.endpoint.removeprefix("time to ")
    return Table(f"Patients without {event} (%), with the interval and the number at risk", ("Visit", *names), rows)


def look_table(result: TrialResult) -> Table | None:
    """How often an adaptive trial ended at each look, and who was randomised before it."""
    table = result.looks()
    if not len(table):
        return None
    assert result.plan.adaptive
    names = [arm.arm for arm in result.plan.arms]
    last, once = len(result.plan.adaptive.looks), result.replicates == 1
    rows = []
    for (number, patients), own in table.group_by("look", "patients", maintain_order=True):
        one = own.row(0, named=True)
        verb = "went to the end" if number == last else "stopped here"
        if once:
            found = "with" if one["found"] else "without"
            happened = (f"it {verb}, {found} a primary difference" if one["ended"] else "it went on",)
        else:
            share = f"{one['ended']:,} ({100 * one['ended'] / result.replicates:.0f} %)"
            happened = (f"{one['reached']:,}", f"{share} {verb}; {one['found']:,} with a primary difference")
        arms = []
        for r in own.iter_rows(named=True):
            range_ = f" ({r['least']} to {r['most']})" if r["least"] != r["most"] else ""
            none = f"; none in {r['without']:,}" if r["without"] and not once else ""
            arms.append(f"{decimal(r['mean'], 1 if range_ else 0)}{range_}{none}")
        rows.append((f"{number} of {last}", f"{patients:,}", *happened, *arms))
    what = ("What the trial did",) if once else ("Trials that came to it", f"Of all {result.replicates:,} trials")
    head = ("Look", "Patients by then", *what, *(f"New in {name}" for name in names))
    numbers = "" if once else ": mean and range over the trials that came to the look"
    return Table(f"Each look, and the patients randomised since the one before{numbers}", head, rows)


def contained(result: TrialResult) -> list[str]:
    """What the intervals on the page hold, and what they do not."""
    n = result.replicates
    kind = (
        "Intervals are 95 % intervals of one simulated trial, as its analyst would compute them: what another trial "
        "like it would find is seen by carrying it out more often."
        if n == 1
        else f"Intervals hold 90 % of {n:,} trials, each on new patients. An estimate is the mean over trials (of "
        "ratios, the geometric mean); ± is one standard error from carrying the trial out so often and not more "
        "often."
    )
    if not result.study_levels:
        levels = "The spread between studies was switched off: a real trial is less certain than these."
    elif n == 1:
        levels = "This trial has its own level of drug and of non-drug response; another study would have another."
    else:
        levels = "Each trial is another study, with its own level of drug and of non-drug response."
    return [
        kind,
        *(
            ["How often episodes come differs between studies too; that is in neither the numbers nor the intervals."]
            if any(e.endpoint in EPISODES for e in result.plan.endpoints)
            else []
        ),
        f"In the numbers: {result.summary()['contains'].split(';')[0]}. {levels}",
        "Not in them: the uncertainty of the model's parameters, and whether the model has the right shape. A trial "
        "planned on these numbers rests on assumptions that its statistician and clinicians must judge.",
    ]


def page(result: TrialResult) -> str:
    """The page as text."""
    plan, found = result.plan, comparisons(result)
    # an arm known by its rates has no scores of its own: those that stand for them say nothing between and around
    by_rates = [arm.arm for arm in plan.arms if (plan.arms[plan.control] if result.no_effect else arm).published]
    course = result.trajectories().filter(~pl.col("arm").is_in(by_rates))
    events = [(e, result.curves(e)) for e in event_curves(plan)]
    return render(
        "trial.html",
        plan=plan,
        result=result,
        headline=headline(result, found),
        facts=words.facts(plan),
        arms=[(arm.arm, words.given(plan, arm)) for arm in plan.arms],
        endpoints=[words.endpoint(plan, e) for e in plan.endpoints],
        flow=flow(result),
        names=groups(plan),
        by_rates=by_rates,
        warnings=_warnings(result),
        arm_names=[arm.arm for arm in plan.arms],
        course=trajectories(plan, course) if len(course) else None,
        course_table=trajectory_table(plan, course),
        forest=forest(found),
        found=found,
        failed=any(c.failed for c in found),
        notes=list(dict.fromkeys((c.endpoint.label, c.note) for c in found if c.note)),
        nnt=any(c.nnt is not None for c in found),
        share="p" if result.replicates == 1 else "Type I error" if result.no_effect else "Power",
        curves=[(survival(plan, e, table), curve_table(plan, e, table), e) for e, table in events],
        looks=look_table(result),
        contained=contained(result),
        files=FILES,
        provenance=_provenance(result),
    )


def _warnings(result: TrialResult) -> dict[str, list[str]]:
    """Each warning once, with the arms it is about."""
    found: dict[str, list[str]] = {}
    for name, said in result.warnings.items():
        for warning in said:
            found.setdefault(warning, []).append(name)
    return found


def _provenance(result: TrialResult) -> Sequence[tuple[str, Any]]:
    return [
        ("trial", result.plan.trial),
        ("replicates", f"{result.replicates:,}"),
        ("seed", result.seed),
        ("every arm given what the comparator is", "yes" if result.no_effect else "no"),
        ("every trial a study with its own level of response", "yes" if result.study_levels else "no"),
        ("euthymia", release()),
        ("evidence hash", evidence_hash()),
    ]


def write_trial(result: TrialResult, path: str | Path) -> Path:
    """Write a planned trial that was carried out as one HTML page, and return its path.

    path: the file, replaced whole or not touched. Raises UserError when it cannot be written.
    """
    return written(page(result), Path(path))
