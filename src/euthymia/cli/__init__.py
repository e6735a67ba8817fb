"""The command line. Heavy libraries load only in the command that needs them, so `--help` answers at once."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from string import ascii_lowercase
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import design, protocols, trials
from euthymia.cli.common import (
    DISCLAIMER,
    Out,
    Patients,
    Seed,
    Weeks,
    check_writable,
    progress_bar,
    use_compilation_cache,
)
from euthymia.errors import UserError

if TYPE_CHECKING:
    from euthymia.course.result import Course

POPULATIONS = "TRD, MDD, healthy, bipolar depression, rapid cycling bipolar depression, bipolar euthymia"
MOST_EXPLORED = 5_000
INTERRUPTED = 130  # the exit code shells give to Ctrl-C

app = typer.Typer(
    name="euthymia",
    help="Simulate ketamine in psychiatry, from dose to mood, on virtual patients.",
    epilog=DISCLAIMER,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(protocols.app, name="protocols", invoke_without_command=True)
app.add_typer(trials.app, name="trial", invoke_without_command=True)
app.command()(trials.validate)
app.command()(trials.calibrate)
app.command()(design.design)


def main() -> None:
    """Run the command line; every foreseen failure is one sentence and an exit code."""
    try:
        code = app(standalone_mode=False) or 0
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        code = 2
    except typer.TyperException as error:  # a wrong option or argument; without arguments, the help itself
        show = getattr(error, "show", None)
        show() if show else print(f"Error: {error.format_message()}", file=sys.stderr)
        code = error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    if code == INTERRUPTED:
        print("Interrupted: finished files are whole, unfinished ones were removed.", file=sys.stderr)
    raise SystemExit(code)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"euthymia {version('euthymia')}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Simulate ketamine in psychiatry, from dose to mood, on virtual patients."""


def _prepare_report() -> None:
    """Have the page's script made by a process of its own: on a machine's first report that takes over a second."""
    from euthymia.report import script

    if not script.is_kept():
        command = [sys.executable, "-c", "from euthymia.report.script import bundle; bundle()"]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _pairs(given: Sequence[str], what: str) -> dict[str, str]:
    """NAME=VALUE options as a dict."""
    pairs = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UserError(f"--{what} {text!r} is not of the form NAME=VALUE.")
        pairs[name.strip()] = value.strip()
    return pairs


def _variants(given: Sequence[str]) -> Any:
    from euthymia.course.variants import SOURCES, Variants

    pairs = _pairs(given, "variant")
    for name in pairs:
        if name not in SOURCES:
            raise UserError(f"there is no variant {name!r}; known: {', '.join(SOURCES)}.")
    return Variants(**pairs)  # type: ignore[arg-type]


def _absorption(given: Sequence[str]) -> dict[str, float]:
    numbers = {}
    for name, text in _pairs(given, "absorption").items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise UserError(f"--absorption {name}={text}: {text!r} is not a number.") from None
    return numbers


def _courses(names: Sequence[str], patients: int, weeks: float, seed: int, **options: Any) -> list["Course"]:
    """Simulate each protocol in the same patients, with a progress bar on a terminal."""
    from euthymia.course.simulate import simulate
    from euthymia.patient import draw
    from euthymia.protocol import load

    documents = [load(name) for name in names]
    # the report gets ready while the compiler works
    Thread(target=import_module, args=("euthymia.report.page",), daemon=True).start()
    who = options.pop("population") or documents[0].population
    people = draw(who, patients, seed, options.pop("comedication"), options.pop("hepatic_impairment"))
    store = options.pop("store")
    done = []
    with progress_bar() as bar:
        for document in documents:
            task = bar.add_task(document.name, total=patients)
            done.append(
                simulate(
                    document,
                    people,
                    weeks,
                    out=store / document.name if store else None,
                    progress=lambda k, n, task=task: bar.update(task, completed=k, total=n),
                    **options,
                )
            )
    return done


def _spoken(hours: float) -> str:
    """A time in the unit one would say it in."""
    if hours < 1:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.0f} days"


def _print_table(courses: Sequence["Course"]) -> None:
    """Measures down, protocols across, each value with its interval."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from euthymia.report.notes import warnings
    from euthymia.report.numbers import positive

    console = Console(highlight=False)
    if not sys.stdout.isatty():
        console = Console(highlight=False, width=60 + 30 * len(courses))
    weeks = courses[0].time_h[-1] / 168
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=None)
    table.add_column(f"{courses[0].patients:,} virtual patients, {weeks:g} weeks")
    for course in courses:
        table.add_column(course.protocol.name, justify="right")
    summaries = [{r.label: r for r in c.summary().rows} for c in courses]
    labels = list(dict.fromkeys(label for s in summaries for label in s))
    notes: dict[str, str] = {}
    for label in labels:
        cells = []
        for s in summaries:
            r = s.get(label)
            if r is None:
                cells.append("-")
                continue
            mark = notes.setdefault(r.contains.split(" who respond")[0], ascii_lowercase[len(notes)])
            digits = 0 if abs(r.value) >= 100 or r.unit == "%" else 1
            if r.unit == "h":
                cells.append(f"{_spoken(r.value)} ({_spoken(r.low)} to {_spoken(r.high)}) {mark}")
            else:
                value, low, high = (positive(x, digits) for x in (r.value, r.low, r.high))
                cells.append(f"{value} {r.unit} ({low} to {high}) {mark}")
        table.add_row(label, *cells)
    console.print(table)
    for text, mark in notes.items():
        console.print(f"{mark}: {text}", style="dim")
    for course in courses:
        for warning in (*(w.warning for w in course.protocol.warnings), *warnings(course)):
            console.print(f"Warning, {course.protocol.name}: {warning}.")
    console.print(DISCLAIMER, style="dim")


@app.command()
def simulate(
    protocol: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or a file.")],
    patients: Patients = 1000,
    weeks: Weeks = 12,
    compare: Annotated[
        list[str] | None, typer.Option(help="Another protocol in the same patients; repeatable.")
    ] = None,
    seed: Seed = 1,
    out: Out = Path("results"),
    population: Annotated[
        str | None,
        typer.Option(help=f"One of {POPULATIONS}; default: the protocol's."),
    ] = None,
    comedication: Annotated[
        list[str] | None,
        typer.Option(help="An inhibitor or inducer that everybody takes, e.g. rifampicin; repeatable."),
    ] = None,
    hepatic_impairment: Annotated[str, typer.Option(help="none, mild or moderate.")] = "none",
    variant: Annotated[
        list[str] | None, typer.Option(help="A disputed mechanism, e.g. norketamine=inert; repeatable.")
    ] = None,
    absorption: Annotated[
        list[str] | None, typer.Option(help="An absorption input, e.g. intramuscular_rate=8; repeatable.")
    ] = None,
    disposition: Annotated[
        list[str] | None, typer.Option(help="Parameter set of a route, e.g. intravenous=simons2022; repeatable.")
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Keep every time course as resumable Parquet parts.")] = False,
    workers: Annotated[
        int | None, typer.Option(help="Threads; default: all cores. Results do not depend on it.")
    ] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Let the protocol's rules decide at every visit, patient by patient.")
    ] = False,
    story: Annotated[
        list[int] | None, typer.Option(help="With --rules: tell what happened to this patient; repeatable.")
    ] = None,
) -> None:
    """Simulate a protocol; print what to expect, and write the report and the data."""
    started = time.perf_counter()
    check_writable(out)
    if story and not rules:
        raise UserError("--story tells what rules decided; give --rules too.")
    if rules:
        given = {"--compare": compare, "--absorption": absorption, "--disposition": disposition, "--store": store}
        if unknown := [name for name, value in given.items() if value]:
            raise UserError(f"{' and '.join(unknown)} cannot be combined with --rules.")
        who = population, tuple(comedication or ()), hepatic_impairment
        return _under_rules(protocol, patients, weeks, seed, out, who, _variants(variant or ()), workers, story or ())
    _prepare_report()
    use_compilation_cache()
    courses = _courses(
        [protocol, *(compare or [])],
        patients,
        weeks,
        seed,
        population=population,
        comedication=tuple(comedication or ()),
        hepatic_impairment=hepatic_impairment,
        variants=_variants(variant or ()),
        absorption=_absorption(absorption or ()),
        dispositions=_pairs(disposition or (), "disposition"),
        store=out if store else None,
        workers=workers,
    )
    _print_table(courses)
    _write(courses, out, started)


def _under_rules(
    protocol: str,
    patients: int,
    weeks: float,
    seed: int,
    out: Path,
    who: tuple[str | None, tuple[str, ...], str],
    variants: Any,
    workers: int | None,
    stories: Sequence[int],
) -> None:
    """Simulate a protocol under its rules; print outcomes and the rules that spoke; write the page and the data."""
    from euthymia.course.ruled import follow_rules
    from euthymia.patient import draw
    from euthymia.protocol import load
    from euthymia.report.notes import warnings
    from euthymia.report.ruled import headline, write_ruled

    started = time.perf_counter()
    use_compilation_cache()
    document = load(protocol)
    people = draw(who[0] or document.population, patients, seed, *who[1:])
    with progress_bar() as bar:
        task = bar.add_task(document.name, total=patients)
        course = follow_rules(
            document,
            people,
            weeks,
            variants=variants,
            workers=workers,
            progress=lambda k, n: bar.update(task, completed=k, total=n),
        )
    told = [course.story(patient) for patient in stories]
    print(f"{headline(course)}\n\n{course.summary()}\n\nRules that spoke (visits, patients):")
    for row in course.rules().sort("visits", descending=True).iter_rows(named=True):
        if row["visits"]:
            print(f"  {row['visits']:>7,} {row['patients']:>7,}  {row['rule']}: {row['says']}")
    for warning in (*(w.warning for w in document.warnings), *warnings(course)):
        print(f"Warning: {warning}.")
    for one in told:
        print(f"\n{one}")
    print(DISCLAIMER)
    page = write_ruled(course, out / "index.html", stories)
    course.save(out / document.name)
    took = time.perf_counter() - started
    print(f"\nReport: {page}\nData:   {out}/{document.name}/  (CSV, Parquet, JSON)   {took:.1f} s")


def _write(courses: Sequence["Course"], out: Path, started: float, ladder: Any = None) -> None:
    from euthymia.report import write

    page = write(courses, out / "index.html", ladder=ladder)
    for course in courses:
        course.save(out / course.protocol.name)
    print(f"\nReport: {page}\nData:   {out}/<protocol>/  (Parquet, CSV, JSON)   {time.perf_counter() - started:.1f} s")


@app.command()
def demo(patients: Patients = 1000, seed: Seed = 1, out: Out = Path("demo")) -> None:
    """Ketamine, Spravato and an SSRI in the same patients over 12 weeks, and the dose ladder."""
    from euthymia.course.ladder import dose_ladder

    started = time.perf_counter()
    check_writable(out)
    _prepare_report()
    use_compilation_cache()
    courses = _courses(
        ["ketamine-iv-twice-weekly", "spravato-trd-84", "sertraline"],
        patients,
        12,
        seed,
        population=None,
        comedication=(),
        hepatic_impairment="none",
        store=None,
    )
    ladder = [step._asdict() for step in dose_ladder(courses[0].people)]
    _print_table(courses)
    _write(courses, out, started, ladder)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="exposure-lag, stabiliser or rapid-cycling.")],
    patients: Patients = 500,
    draws: Annotated[int, typer.Option(help="Draws of what is uncertain.")] = 20,
    seed: Seed = 1,
    out: Out = Path("answers"),
) -> None:
    """Answer one of the questions people bring, with a picture and how sure it is."""
    from euthymia.course.store import write_whole
    from euthymia.report.answer import write_answer
    from euthymia.trial.questions import ask as answered

    check_writable(out)
    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task(question, total=None)
        answer = answered(question, patients, draws, seed, lambda k, n: bar.update(task, completed=k, total=n))
    print(f"{answer.question}\n{answer.said}")
    for limit in answer.limits:
        print(f"- {limit}.")
    print(DISCLAIMER)
    page, table = out / f"{answer.name}.html", out / f"{answer.name}.csv"
    write_whole(table, lambda p: answer.table().write_csv(p))
    print(f"\nPage: {write_answer(answer, page)}\nData: {table}")


@app.command()
def explore(
    protocol: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or a file.")] = "ketamine-iv-trd",
    patients: Patients = 500,
    seed: Seed = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 for any that is free.")] = 8642,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Move dose, spacing and duration of a protocol on a local page, and watch virtual patients respond."""
    if not 2 <= patients <= MOST_EXPLORED:
        raise UserError(f"--patients must be 2 to {MOST_EXPLORED:,} to explore, got {patients:,}.")
    use_compilation_cache()
    from euthymia.explore.server import serve

    def ready(address: str) -> None:
        print(f"Explorer: {address}\n(Ctrl-C ends it. Nothing leaves this machine.)\n{DISCLAIMER}", flush=True)
        if open_page:
            import webbrowser

            webbrowser.open(address)

    serve(protocol, port, patients, seed, ready)


@app.command()
def evidence(terms: Annotated[list[str], typer.Argument(help="Words to look for, e.g. clearance esketamine.")]) -> None:
    """Search the evidence: value, unit, source and whether it was seen at its source."""
    from euthymia import evidence as room

    hits = room.search(" ".join(terms))
    for hit in hits[:25]:
        print(hit)
    if len(hits) > 25:
        print(f"... and {len(hits) - 25} more; add a word to narrow the search.")


@app.command()
def plasma(
    page: Annotated[Path | None, typer.Option(help="Folder for the page with its chart (Markdown, SVG).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the table as CSV.")] = None,
) -> None:
    """Predicted beside published plasma levels, for every row of the evidence."""
    from euthymia.report.plasma import write_page
    from euthymia.trial import plasma_check

    use_compilation_cache()
    check = plasma_check()
    print(check)
    if out is not None:
        print(f"\nTable: {check.write(out)}")
    if page is not None:
        print(f"Page:  {write_page(page, check)}")


if __name__ == "__main__":
    main()
