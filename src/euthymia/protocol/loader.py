"""Finding, reading and checking protocol documents: the catalogue's by name, anyone's by path."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from euthymia.errors import UserError
from euthymia.protocol.document import Protocol
from euthymia.protocol.reader import Path, read
from euthymia.protocol.safety import Unsound

MAX_SHOWN = 20


@cache
def catalogue() -> tuple[str, ...]:
    """The names of the built-in protocols, in alphabetical order."""
    folder = files("euthymia.protocol") / "catalogue"
    return tuple(sorted(item.name[:-5] for item in folder.iterdir() if item.name.endswith(".yaml")))


def load(name_or_path: str | FilePath) -> Protocol:
    """Read a protocol of the catalogue by its name, or a file by its path.

    Raises UserError: unknown name (the nearest are offered), unreadable file, or every problem with its line.
    """
    text, label = _text(name_or_path)
    return loads(text, label)


def loads(text: str, label: str = "protocol") -> Protocol:
    """Read a protocol from text; `label` names it in errors."""
    found, protocol = _parse(text, label)
    if protocol is None:
        raise UserError("\n".join(_limited(found)))
    return protocol


def check(path: str | FilePath) -> list[str]:
    """Every problem of a document as one sentence with file and line; empty when it is sound."""
    text, label = _text(path)
    try:
        return _parse(text, label)[0]
    except UserError as error:
        return [str(error)]


def canonical_json(protocol: Protocol) -> str:
    """The document as JSON with sorted keys: equal documents give equal text."""
    content = protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
    content.setdefault("drug", "none")  # the one key whose absence is a statement
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def fingerprint(protocol: Protocol) -> str:
    """SHA-256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(protocol).encode()).hexdigest()


def _text(name_or_path: str | FilePath) -> tuple[str, str]:
    given = str(name_or_path)
    if isinstance(name_or_path, str) and given in catalogue():
        return (files("euthymia.protocol") / "catalogue" / f"{given}.yaml").read_text("utf-8"), f"{given}.yaml"
    text = text_in(given, "a protocol is a YAML text")
    if text is None:
        raise UserError(_unknown(given))
    return text, FilePath(given).name


def text_in(path: str, wanted: str) -> str | None:
    """The text of a file, None where there is none. Raises UserError, saying what is `wanted`, if it cannot be read."""
    try:
        if not FilePath(path).is_file():
            return None
        with FilePath(path).open("rb") as stream:
            return stream.read(1_000_000).decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file in UTF-8; {wanted}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable path"
        raise UserError(f"{path!r}: cannot be read ({reason}).") from None


def _unknown(given: str) -> str:
    from difflib import get_close_matches

    shown = given if len(given) <= 80 else given[:77] + "..."
    if given.endswith((".yaml", ".yml")) or "/" in given:
        return f"There is no file {shown!r}; give a protocol of the catalogue by name, or the path of a file."
    close = get_close_matches(given.lower(), catalogue(), n=4, cutoff=0.4)
    hint = f"nearest: {', '.join(close)}" if close else f"known: {', '.join(catalogue())}"
    return f"No protocol is called {shown!r}; {hint}."


def _parse(text: str, label: str) -> tuple[list[str], Protocol | None]:
    marked = read(text, label)
    if not isinstance(marked.value, dict):
        return [f"{label}, line 1: a protocol is a mapping that starts with `protocol: NAME`."], None
    try:
        return [], Protocol.model_validate(marked.value)
    except ValidationError as error:
        found = [(marked.line(path), f"{_shown(path)}{what}") for path, what in faults(error)]
        found.sort(key=lambda item: item[0])
        return [f"{label}, line {line}: {what}" for line, what in found], None


def faults(error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Every fault that checking a document found: its path in the document, and a clause with its stop."""
    from euthymia.protocol.messages import sentence

    for detail in error.errors():
        cause = detail.get("ctx", {}).get("error")
        found = cause.problems if isinstance(cause, Unsound) else [(tuple(detail["loc"]), sentence(detail))]
        yield from ((path, _stopped(what)) for path, what in found)


def _stopped(clause: str) -> str:
    return clause if clause.endswith("?") else clause + "."


def _shown(path: tuple[Any, ...]) -> str:
    parts = [f"[{part + 1}]" if isinstance(part, int) else f" > {part}" for part in path]
    return f"`{''.join(parts).removeprefix(' > ')}`: " if parts else ""


def _limited(found: list[str]) -> list[str]:
    more = len(found) - MAX_SHOWN
    return found if more <= 0 else [*found[:MAX_SHOWN], f"... and {more} more."]
