"""The one loader of the evidence: reads a data file, checks every row, refuses what has no source."""

import csv
import dataclasses
import math
from collections.abc import Collection
from functools import lru_cache
from io import StringIO
from pathlib import Path
from typing import TypeVar, get_args

from euthymia.errors import UserError
from euthymia.evidence.tables import Adequacy, Link, Literature, Outcome, Parameter, Plasma, Prior, Row, Rule, Set

Table = TypeVar("Table", bound=Row)


def read(table: type[Table], path: str | Path | None = None) -> tuple[Table, ...]:
    """All rows of `table`, from the project's own data file or from `path`.

    Raises UserError, naming file, line, column and what is allowed, for the first row that breaks a rule.
    """
    from importlib import resources  # here, because importing it is slow

    place = resources.files("euthymia.evidence") / "data" / table.file if path is None else Path(path)
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{place.name}: this data file of the evidence is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{place.name}: cannot be read as UTF-8 text ({error})") from None
    return parse(table, text, place.name)


def parse(table: type[Table], text: str, name: str) -> tuple[Table, ...]:
    """Rows of `table` from CSV `text`; `name` is what an error calls the file. Raises UserError as `read`."""
    kinds = {field.name: field.type for field in dataclasses.fields(table)}
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[Table] = []
    first_line: dict[str, int] = {}
    try:
        header = next(reader, [])
        if header != list(kinds):
            raise UserError(f"{name}, line 1: the columns must be {','.join(kinds)}; got {','.join(header)}")
        for cells in reader:
            at = f"{name}, line {reader.line_num}"
            if len(cells) != len(kinds):
                raise UserError(f"{at}: {len(cells)} cells; every row must have {len(kinds)}")
            values = {}
            for (column, kind), cell in zip(kinds.items(), cells, strict=True):
                try:
                    values[column] = _cell(kind, cell.strip())
                except ValueError as error:
                    raise UserError(f"{at}, column {column}: {error}") from None
            row = table(**values)
            for column, problem in row.problems():
                raise UserError(f"{at}, column {column}: {problem}")
            if row.id in first_line:
                raise UserError(f"{at}, column id: must be unique; {row.id!r} is on line {first_line[row.id]}")
            first_line[row.id] = reader.line_num
            rows.append(row)
    except csv.Error as error:
        raise UserError(f"{name}, line {reader.line_num}: not valid CSV ({error})") from None
    return tuple(rows)


def _cell(kind: object, cell: str) -> object:
    """One cell as the type of its column. Raises ValueError saying what is allowed."""
    if kind is str:
        return cell
    if kind is bool:
        if cell not in ("yes", "no"):
            raise ValueError(f"must be yes or no, not {cell!r}")
        return cell == "yes"
    if kind == int | None:
        if not cell:
            return None
        if not (cell.isascii() and cell.isdigit()):
            raise ValueError(f"must be a whole number or empty, not {cell!r}")
        return int(cell)
    if kind is float or kind == float | None:
        if not cell and kind is not float:
            return None
        try:
            number = float(cell)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"must be a finite number{'' if kind is float else ' or empty'}, not {cell!r}")
        return number
    allowed = get_args(kind)
    if cell not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}, not {cell!r}")
    return cell


@lru_cache
def model_parameters() -> tuple[Parameter, ...]:
    """Every number the model uses, with its source or the range it is assumed in."""
    return read(Parameter)


@lru_cache
def priors() -> tuple[Prior, ...]:
    """What is believed of the fitted parameters before the calibration."""
    return read(Prior)


@lru_cache
def literature() -> tuple[Literature, ...]:
    """Published pharmacokinetics, mechanism and harms."""
    return read(Literature)


@lru_cache
def plasma() -> tuple[Plasma, ...]:
    """Published plasma levels, observed and model-predicted."""
    return read(Plasma)


@lru_cache
def rules() -> tuple[Rule, ...]:
    """Rules of labels, guidelines and trial protocols."""
    return read(Rule)


@lru_cache
def linking() -> tuple[Link, ...]:
    """Published pairs of equivalent rating-scale scores."""
    return read(Link)


@lru_cache
def adequacy() -> tuple[Adequacy, ...]:
    """The least doses and the least duration of an adequate trial of an antidepressant."""
    return read(Adequacy)


@lru_cache
def _outcomes() -> tuple[Outcome, ...]:
    return read(Outcome)


def outcomes(*, set: Set | Collection[Set]) -> tuple[Outcome, ...]:
    """Published trial outcomes of the named `set`, or sets.

    The set has no default: what is fitted must never, by accident, be what is later used to validate.
    Raises UserError for a set that does not exist, or none.
    """
    wanted = (set,) if isinstance(set, str) else tuple(set)
    allowed = get_args(Set)
    unknown = [name for name in wanted if name not in allowed]
    if unknown or not wanted:
        said = f"no set of outcomes is called {unknown[0]!r}" if unknown else "name a set of outcomes"
        raise UserError(f"{said}; there are {', '.join(allowed)}")
    return tuple(row for row in _outcomes() if row.set in wanted)
