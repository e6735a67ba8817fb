"""Commands about trials: published ones beside the model, planned ones, and the calibration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.cli.common import DISCLAIMER, Out, Seed, check_writable, progress_bar, use_compilation_cache

if TYPE_CHECKING:
    from euthymia.trial.result import TrialResult

app = typer.Typer(help="Published trials as the model sees them, and trials you plan.", rich_markup_mode=None)

Workers = Annotated[int | None, typer.Option(help="Threads; default: all cores. Results do not depend on it.")]
Scheduler = Annotated[
    str | None, typer.Option(help="A Dask cluster to work on instead, e.g. tcp://127.0.0.1:8786. Same results.")
]
ReplicaPatients = Annotated[int, typer.Option("--patients", "-n", help="Virtual patients per arm, at least 100.")]


@app.callback()
def _list(context: typer.Context) -> None:
    """List the published trials; or replicate one."""
    if context.invoked_subcommand is None:
        from euthymia.trial.document import catalogue

        for trial in catalogue():
            print(f"{trial.trial:<24}{trial.set:<13}{trial.title}")


@app.command()
def replicate(
    name: Annotated[str, typer.Argument(help="A name from `euthymia trial`, or the file of a published trial.")],
    patients: ReplicaPatients = 1024,
    seed: Seed = 1,
    out: Out = Path("replica"),
) -> None:
    """Predict a published trial: predicted beside published, as a table and a page."""
    from euthymia.report.replica import write_replica
    from euthymia.report.table import replica_text
    from euthymia.trial import validate as run
    from euthymia.trial.document import load

    trial = load(name)
    check_writable(out)
    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task(trial.trial)
        found = run([trial], patients, seed, lambda k, n: bar.update(task, completed=k, total=n))
    print(replica_text(found))
    print(f"\nPage:  {write_replica(found, trial, out)}\nTable: {found.write(out)}")


PlanFile = Annotated[str, typer.Argument(help="The file of a planned trial, or a name: see `euthymia trial plans`.")]
NoEffect = Annotated[bool, typer.Option("--no-effect", help="Give every arm what the comparator gets.")]
RunOut = Annotated[
    Path | None,
    typer.Option(help="Folder for the data, where a killed run resumes; default: one for each run, in trial/."),
]


@app.command()
def plans() -> None:
    """List the example plans; copy one to begin your own."""
    from euthymia.trial.plan import examples, load_plan

    for name in examples():
        print(f"{name:<28}{load_plan(name).title}")


@app.command()
def run(
    file: PlanFile,
    replicates: Annotated[int, typer.Option(help="How often the trial is carried out.")] = 1,
    seed: Seed = 1,
    no_effect: NoEffect = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    out: RunOut = None,
) -> None:
    """Carry out a planned trial on virtual patients: flow, estimates, the data a real one would give, and a page."""
    found, out = _carried_out(file, replicates, seed, no_effect, workers, scheduler, out)
    for row in found.summary()["mean flow"]:
        print(
            f"{row['arm']:<32}randomised {row['randomised']:.0f}, dropped out {row['dropped out']:.1f}, "
            f"completed {row['completed']:.1f}"
        )
    print()
    _print_comparisons(found)
    _write(found, out)


@app.command()
def power(
    file: PlanFile,
    replicates: Annotated[int, typer.Option(help="How often the trial is carried out.")] = 1000,
    seed: Seed = 1,
    no_effect: NoEffect = False,
    wanted: Annotated[float | None, typer.Option("--size-for", help="Also find the size for this power (0.8).")] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    out: RunOut = None,
) -> None:
    """Power of a planned trial with its Monte Carlo error, and a page; with --no-effect, its type I error."""
    from euthymia.trial.plan import load_plan
    from euthymia.trial.run import sample_size

    found, out = _carried_out(file, replicates, seed, no_effect, workers, scheduler, out)
    _print_comparisons(found)
    if wanted is not None:
        size = sample_size(load_plan(file), wanted, min(replicates, 400), seed, workers=workers, scheduler=scheduler)
        said = f"{size.patients} patients in all ({size.low} to {size.high} within Monte Carlo error)"
        print(f"\nPower {wanted:g}: {said if size.reached else f'not reached with {size.patients} patients'}.")
    _write(found, out)


def _carried_out(
    file: str,
    replicates: int,
    seed: int,
    no_effect: bool,
    workers: int | None,
    scheduler: str | None,
    out: Path | None,
) -> tuple["TrialResult", Path]:
    """The trials, and the folder of their parts."""
    from euthymia.trial.plan import load_plan
    from euthymia.trial.run import folder_of, run

    plan = load_plan(file)
    # a plan that is changed and tried again gets a folder of its own
    out = out or Path("trial") / folder_of(plan, replicates, seed, no_effect, True)
    check_writable(out)
    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task(plan.trial)

        def report(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        found = run(plan, replicates, seed, no_effect, workers=workers, progress=report, scheduler=scheduler, out=out)
        return found, out


def _write(found: "TrialResult", out: Path) -> None:
    from euthymia.report.trial import write_trial

    print(f"\nPage:  {write_trial(found, out / 'index.html')}")
    print(f"Data:  {found.write(out)}/  (Parquet, CSV, JSON)")


def _print_comparisons(found: "TrialResult") -> None:
    """A line for every endpoint and arm: the estimate, and its p value or how often a difference was found."""
    once = found.replicates == 1
    share = "p" if once else "type I error" if found.no_effect else "power"
    interval = "estimate (95 %)" if once else "estimate (90 % of trials)"
    print(f"{'endpoint':<30}{'analysis':<18}{'arm against comparator':<34}{interval:>28}{share:>18}")
    for row in (found.estimates if once else found.power()).iter_rows(named=True):
        against = f"{row['arm']} - {row['comparator']}" if row["comparator"] else row["arm"]
        missing = row["estimate"] is None or row["estimate"] != row["estimate"]
        middle = "-" if missing else f"{row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        if missing:
            said = "-"
        elif once:
            said = f"{row['p value']:.3f}"
        else:
            said = f"{row['power']:.3f} ± {row['standard error']:.3f}"
        mark = "*" if row["primary"] else " "
        print(f"{mark}{row['endpoint']:<29}{row['analysis']:<18}{against:<34}{middle:>28}{said:>18}")
    trials = "One trial" if once else f"{found.replicates:,} trials on new patients each"
    for arm, said in found.warnings.items():
        for warning in said:
            print(f"Warning, {arm}: {warning}.")
    print(f"* primary. {trials}; the figures hold {found.summary()['contains']}.")
    print(DISCLAIMER)


def validate(
    only: Annotated[str | None, typer.Option("--set", help="calibration or validation; default: both.")] = None,
    patients: ReplicaPatients = 512,
    seed: Seed = 1,
    workers: Workers = None,
    scheduler: Scheduler = None,
    page: Annotated[Path | None, typer.Option(help="Folder for the page of the documentation (Markdown).")] = None,
    out: Out = Path("validation"),
) -> None:
    """Every published trial, predicted beside observed: a table, a CSV and the page a sceptic would read first."""
    from euthymia.errors import UserError
    from euthymia.report.table import replica_text
    from euthymia.report.validation import write_validation
    from euthymia.report.validation_markdown import write_markdown
    from euthymia.trial import validate as run
    from euthymia.trial.document import catalogue

    if only not in (None, "calibration", "validation"):
        raise UserError(f"--set {only!r} is no set of trials; allowed: calibration, validation.")
    check_writable(out)
    if page is not None:
        check_writable(page)
    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task("trials")
        chosen = [t for t in catalogue() if only in (None, t.set)]

        def report(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        found = run(chosen, patients, seed, report, workers, scheduler)
    print(replica_text(found))
    print(f"\nPage:  {write_validation(found, out / 'index.html')}\nTable: {found.write(out)}")
    if page is not None:
        print(f"Docs:  {write_markdown(found, page)}")


def calibrate(
    patients: ReplicaPatients = 256,
    seed: Seed = 1,
    draws: Annotated[int, typer.Option(help="Draws of the posterior by each chain, at least 4.")] = 100,
    chains: Annotated[int, typer.Option(help="Chains, each in a thread of its own, at least 2.")] = 2,
    leave_out: Annotated[
        bool,
        typer.Option("--leave-out", help="First predict each trial by a fit to the others, to compare structures."),
    ] = False,
    illness: Annotated[
        str, typer.Option(help="depression, then bipolar disorder, which builds on what depression has taught.")
    ] = "depression",
    adopt: Annotated[bool, typer.Option("--adopt", help="Let this installation use the result.")] = False,
    out: Out = Path("calibration"),
) -> None:
    """Fit the population to the calibration trials; write values, draws, and what the data could not tell."""
    from euthymia import evidence
    from euthymia.errors import UserError
    from euthymia.learn import calibrate as room
    from euthymia.learn import left_out, poles
    from euthymia.learn.likelihood import PRIOR_OF, target
    from euthymia.learn.outcome import Outcome, describe, write
    from euthymia.trial.validation import MINIMUM_PATIENTS

    if illness not in PRIOR_OF:
        raise UserError(f"there is no calibration of {illness!r}; known: {', '.join(PRIOR_OF)}.")

    wanted = (("patients", patients, MINIMUM_PATIENTS), ("draws of a chain", draws, 4), ("chains", chains, 2))
    for name, given, least in wanted:
        if given < least:
            raise UserError(f"a calibration needs at least {least} {name}, got {given}.")
    check_writable(out)
    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task("recording drug levels", total=None)

        def report(what: str, done: int, of: int) -> None:
            bar.update(task, description=what, completed=done, total=of)

        cohorts = None
        if illness == "bipolar disorder":
            cohorts = poles.fit(seed, progress=lambda done, of: report("following cohorts", done, of))
        with evidence.assume(cohorts.values if cohorts else {}):
            aim = target(patients=patients, seed=seed, illness=illness)
            found = room.fit(aim, progress=report)
            left = left_out.leave_out(aim, found.best, seed, report) if leave_out else ()
            posterior = room.sample(found, draws, chains, seed=seed, progress=report)
    outcome = Outcome(posterior, cohorts)
    print(describe(outcome))
    if left:
        print(f"\n{left_out.describe(left)}")
    for path in write(outcome, out, adopt):
        print(f"Written: {path}")
