"""What the commands share: options, the progress bar, the cache of compiled code, and checks before work begins."""

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from euthymia.errors import UserError

if TYPE_CHECKING:
    from rich.progress import Progress

DISCLAIMER = (
    "Euthymia is research software, not a medical device. It doses nobody: a clinician decides. "
    "Intervals say what they contain."
)

Patients = Annotated[int, typer.Option("--patients", "-n", help="How many virtual patients.")]
Weeks = Annotated[float, typer.Option(help="Length of the course in weeks, up to 104.")]
Seed = Annotated[int, typer.Option(help="Seed of every random number.")]
Out = Annotated[Path, typer.Option(help="Folder for the report and the data.")]


def progress_bar() -> "Progress":
    """A bar on a terminal, nothing elsewhere; it leaves no trace."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written before minutes of work go into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror or error}.") from None


def check_page(file: Path) -> None:
    """Refuse a page that could not be written, or would not be opened as one."""
    if file.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {file}: a page ends in .html.")
    if file.is_dir():
        raise UserError(f"--out {file}: there is a folder of that name.")
    check_writable(file.parent)


def use_compilation_cache() -> None:
    """Keep compiled code between runs, in the user's own cache folder; do without where that cannot be written."""
    import jax

    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "euthymia" / "compiled"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
