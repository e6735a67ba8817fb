"""The command that searches for regimens."""

import time
from pathlib import Path
from typing import Annotated

import typer

from euthymia.cli.common import DISCLAIMER, Out, Seed, check_writable, progress_bar, use_compilation_cache
from euthymia.cli.trials import Scheduler, Workers

SHOWN = 20
"""Rows of the front that are printed."""


def design(
    protocol: Annotated[str, typer.Argument(help="A name from `euthymia protocols`, or the file of a protocol.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(
            help='What to vary, such as "dose=0.25..1.0 mg/kg" or "interval=3 days + 4 days, 1 week"; several times.'
        ),
    ] = None,
    maximise: Annotated[
        str | None, typer.Option(help="The aim; by default the days in remission (bipolar: well; PTSD: in response).")
    ] = None,
    minimise: Annotated[str | None, typer.Option(help="The aim, where less is better, such as mean MADRS.")] = None,
    subject_to: Annotated[
        list[str] | None,
        typer.Option(help='A limit: "visits at most 30", "P(highest SBP above 180 mmHg) < 1 %"; several times.'),
    ] = None,
    burden: Annotated[
        list[str] | None, typer.Option(help="What is weighed against the aim; by default ketamine and visits.")
    ] = None,
    patient: Annotated[
        str | None, typer.Option(help='Only people like one: "weight 82 kg, age 71, failed trials 4, MADRS 34, woman".')
    ] = None,
    price: Annotated[
        list[str] | None, typer.Option(help='For the cost: "visit=150" and "session=400", in a currency of yours.')
    ] = None,
    scout: Annotated[
        int | None, typer.Option(help="In a large space, look at so many regimens first; the best are then compared.")
    ] = None,
    patients: Annotated[int, typer.Option("--patients", "-n", help="Virtual patients, the same in all.")] = 1000,
    draws: Annotated[int, typer.Option(help="Worlds: draws of the parameters, each with a clinic of its own.")] = 20,
    weeks: Annotated[int, typer.Option(help="Horizon.")] = 52,
    seed: Seed = 1,
    workers: Workers = None,
    scheduler: Scheduler = None,
    out: Out = Path("design"),
) -> None:
    """Search for the regimen that does most for the aim and keeps the limits; and say how sure that is."""
    from euthymia.design.find import find
    from euthymia.report.design_tables import front_text
    from euthymia.report.design_words import answer, what_now

    started = time.perf_counter()
    check_writable(out)
    use_compilation_cache()
    with progress_bar() as bar:
        task = bar.add_task("regimens")
        found = find(
            protocol,
            vary or (),
            maximise=maximise,
            minimise=minimise,
            subject_to=subject_to or (),
            burdens=burden,
            patient=patient,
            prices=price or (),
            scout=scout,
            patients=patients,
            draws=draws,
            weeks=weeks,
            seed=seed,
            out=out,
            workers=workers,
            scheduler=scheduler,
            progress=lambda k, n: bar.update(task, completed=k, total=n),
        )
    print("\n\n".join((*answer(found), front_text(found, SHOWN), DISCLAIMER)))
    folder = found.save(out)
    print("\nWhat now:")
    for said, command in what_now(found, folder):
        print(f"  {said}:\n    {command}")
    print(f"\nPage:  {found.report(out / 'index.html')}\nData:  {folder}/   {time.perf_counter() - started:.1f} s")
