"""The commands about protocols: list, read, compare, start, check, and carry to other programs and back."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.cli.common import Seed, Weeks, check_page, check_writable, progress_bar, use_compilation_cache
from euthymia.errors import UserError

if TYPE_CHECKING:
    from euthymia.course.difference import Difference
    from euthymia.protocol import Protocol

app = typer.Typer(help="List, read, compare, start, check and exchange protocols.", rich_markup_mode=None)


@app.callback()
def _list(context: typer.Context) -> None:
    """List the catalogue; or read, compare, start, check, export or import protocols."""
    if context.invoked_subcommand is None:
        from euthymia.protocol import catalogue, load

        names = catalogue()
        for name in names:
            document = load(name)
            mark = "" if document.status == "catalogue" else f"  [{document.status}]"
            print(f"{name:<28}{document.title}{mark}")


@app.command()
def show(name: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or a file.")]) -> None:
    """Show a protocol in plain words, with its calendar."""
    from euthymia.protocol import explain as in_plain_words
    from euthymia.protocol import load

    print(in_plain_words(load(name)))


@app.command()
def explain(
    name: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or a file.")],
    out: Annotated[Path, typer.Option(help="Folder for the page and the PDF.")] = Path("explained"),
) -> None:
    """Write a protocol as a printable page and a PDF: flow chart, calendar, rules and how sure we are of each."""
    from euthymia.protocol import load

    document = load(name)
    check_writable(out)
    from euthymia.report.explained import write_explained

    page, sheet = write_explained(document, out)
    print(f"Page: {page}\nPDF:  {sheet}")


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or a file.")],
    after: Annotated[str, typer.Argument(help="The other one.")],
    out: Annotated[Path | None, typer.Option(help="Also write this page (HTML).")] = None,
    simulate: Annotated[
        int | None, typer.Option(help="Also follow both, under their rules, in this many of the same virtual patients.")
    ] = None,
    weeks: Weeks = 26,
    seed: Seed = 1,
    workers: Annotated[
        int | None, typer.Option(help="Threads; default: all cores. Results do not depend on it.")
    ] = None,
) -> None:
    """What changed between two protocols, by meaning, and for whom it matters; with --simulate, in virtual patients."""
    from euthymia.protocol import load
    from euthymia.protocol.changes import said_differences

    documents = load(before), load(after)
    if out is not None:
        check_page(out)
    simulated = None if simulate is None else _simulated(*documents, simulate, weeks, seed, workers)
    print(said_differences(*documents), end="")
    if simulated is not None:
        from euthymia.course.difference import said

        print(f"\n{said(simulated)}", end="")
    if out is not None:
        from euthymia.report.changed import write_changed

        print(f"\nPage: {write_changed(*documents, out, simulated)}")


def _simulated(
    before: "Protocol", after: "Protocol", patients: int, weeks: float, seed: int, workers: int | None
) -> "Difference":
    """Both protocols followed by the same virtual patients, with a bar."""
    from euthymia.course.difference import difference

    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task("both protocols", total=2 * patients)
        told = lambda done, total: bar.update(task, completed=done)  # noqa: E731
        return difference(before, after, patients, weeks, seed, workers=workers, progress=told)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What it is to be called.")],
    template: Annotated[
        str, typer.Option("--from", help="A protocol of the catalogue to start from.")
    ] = "ketamine-iv-trd",
    out: Annotated[Path | None, typer.Option(help="The file; default: NAME.yaml.")] = None,
) -> None:
    """Start a protocol of your own from one of the catalogue, with the schema for editors beside it."""
    from euthymia.protocol.template import SCHEMA_FILE, start

    file = out or Path(f"{name}.yaml")
    text = start(name, template)
    if file.suffix.lower() not in (".yaml", ".yml"):
        raise UserError(f"--out {file}: a protocol is a file that ends in .yaml.")
    if file.exists():
        raise UserError(f"{file} is there already and is not overwritten; give another --out.")
    check_writable(file.parent)
    beside = file.parent / SCHEMA_FILE
    if not beside.exists():
        _write_text(beside, _schema())
    _write_text(file, text)
    print(f"Protocol: {file}\nSchema:   {beside}  (editors complete and check with it)")


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="The file; default: print it.")] = None,
) -> None:
    """The JSON Schema of a protocol, with which editors complete and check; `check` is stricter."""
    if out is None:
        print(_schema(), end="")
        return
    if out.is_dir():
        raise UserError(f"--out {out}: there is a folder of that name.")
    check_writable(out.parent)
    _write_text(out, _schema())
    print(f"Schema: {out}")


def _schema() -> str:
    import json

    from euthymia.protocol import json_schema

    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _write_text(file: Path, text: str) -> None:
    from euthymia.course.store import write_whole

    write_whole(file, lambda part: part.write_text(text, encoding="utf-8"))


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A protocol file (YAML).")]) -> None:
    """Check a protocol file; every fault with its line."""
    from euthymia.protocol import check as faults_of

    faults = faults_of(file)
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        raise typer.Exit(2)
    print(f"{file}: no faults found.")


Written = Annotated[Path | None, typer.Option(help="File to write; default: print.")]


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or a file.")], out: Written = None
) -> None:
    """Write a protocol as a FHIR R4 PlanDefinition (JSON)."""
    import json

    from euthymia.protocol import load, to_plan_definition

    _give(json.dumps(to_plan_definition(load(name)), indent=2, ensure_ascii=False), out)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A PlanDefinition (JSON) that `export` wrote.")], out: Written = None
) -> None:
    """Read a FHIR R4 PlanDefinition back into a protocol file (YAML)."""
    from euthymia.protocol import to_yaml
    from euthymia.protocol.fhir import read_file

    _give(to_yaml(read_file(str(file))).rstrip(), out)


def _give(text: str, out: Path | None) -> None:
    """Print a text, or write it to a file, whole or not at all."""
    if out is None:
        print(text)
        return
    from euthymia.course.store import write_whole

    write_whole(out, lambda part: part.write_text(text + "\n", encoding="utf-8"))
    print(out)
