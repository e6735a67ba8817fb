"""Courses on disk: Parquet parts that survive a kill, and files others can open.

Every file is written whole or not at all.
"""

import errno
import json
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from euthymia.errors import UserError

if TYPE_CHECKING:
    from euthymia.course.result import Course

MANIFEST = "run.json"


@contextmanager
def readable_errors(what: Path):
    """Turn what a disk can do wrong into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"the disk is full: nothing was written to {what}.") from None
        reason = error.strerror or str(error)
        raise UserError(f"cannot write {what}: {reason}.") from None
    except pl.exceptions.ComputeError as error:
        raise UserError(f"cannot write {what}: {error}.") from None


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place; leave nothing behind on failure."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with readable_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def narrow(frame: pl.DataFrame) -> pl.DataFrame:
    """The time courses in single precision; times stay as they are."""
    return frame.with_columns(pl.selectors.by_dtype(pl.Float64).exclude("time_h").cast(pl.Float32))


def write_course(course: "Course", folder: Path) -> Path:
    """Write a Course that is in memory: course.parquet, outcomes.csv, summary.csv, provenance.json."""
    frame = narrow(course.to_polars())
    write_whole(folder / "course.parquet", lambda p: frame.write_parquet(p))
    write_whole(folder / "outcomes.csv", lambda p: course.table.write_csv(p))
    write_whole(folder / "summary.csv", lambda p: course.summary().table().write_csv(p))
    text = json.dumps(asdict(course.provenance) | {"warnings": course.warnings}, indent=2)
    write_whole(folder / "provenance.json", lambda p: p.write_text(text + "\n", encoding="utf-8"))
    return folder


class Parts:
    """A folder of numbered parts of one run, each a table of every kind; finished parts are not computed again.

    run: what the numbers depend on, as plain data; kinds: of tables, the last written of which completes a part.
    Raises UserError if the folder holds parts of another run.
    """

    def __init__(self, folder: Path, run: dict, kinds: tuple[str, ...]):
        self.folder = folder
        self.kinds = kinds
        with readable_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.manifest = folder / MANIFEST
        self.run = json.dumps(run, indent=2, sort_keys=True, default=str) + "\n"
        if self.manifest.exists() and self.manifest.read_text(encoding="utf-8", errors="replace") != self.run:
            raise UserError(f"{folder} holds another run; choose an empty folder, or delete it to start again.")

    def _path(self, kind: str, part: int) -> Path:
        return self.folder / f"{kind}-{part:05d}.parquet"

    def done(self, part: int) -> bool:
        """Whether a part is finished."""
        return self._path(self.kinds[-1], part).exists()

    def read(self, kind: str, part: int) -> pl.DataFrame:
        """One table of a finished part. Raises UserError if the file is damaged."""
        path = self._path(kind, part)
        try:
            return pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):
            raise UserError(
                f"{path} cannot be read; delete the files of that part to have it computed again."
            ) from None

    def write(self, part: int, *tables: pl.DataFrame) -> None:
        """Write the tables of one part, in the order of `kinds`; with the first part, what run it is."""
        if not self.manifest.exists():
            write_whole(self.manifest, lambda p: p.write_text(self.run, encoding="utf-8"))
        for kind, table in zip(self.kinds, tables, strict=True):
            write_whole(self._path(kind, part), lambda p, table=table: table.write_parquet(p))


def bytes_needed(patients: int, times: int, variables: int) -> int:
    """Memory that the values of a course take."""
    return patients * times * variables * np.dtype(float).itemsize
