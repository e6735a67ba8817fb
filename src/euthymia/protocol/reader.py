"""YAML read strictly, every key and value with its line number.

Only plain mappings, lists and text are allowed: no aliases, anchors or tags (so no YAML bombs and no code),
no duplicate keys, no second document. Every scalar stays the text that was written ("no" is not False);
the schema decides what it means.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from euthymia.errors import UserError

MAX_CHARACTERS = 200_000
MAX_DEPTH = 12
MAX_NODES = 20_000

Path = tuple[str | int, ...]


@dataclass
class Marked:
    """The value read and, for each path in it, the line (from 1) where it stands."""

    value: Any
    lines: dict[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """The line of `path`, or of its nearest ancestor that is in the document."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str, name: str) -> Marked:
    """Read one YAML document. Raises UserError naming `name` and the line."""
    if len(text) > MAX_CHARACTERS:
        raise UserError(f"{name}: longer than {MAX_CHARACTERS} characters; a protocol is a page or two.")
    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _Builder(yaml.parse(text, Loader=loader), name).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{name}, line {line}: not valid YAML: {error.problem or error.context}.") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = getattr(error, "reason", None) or "unreadable characters"
        raise UserError(f"{name}: not valid YAML: {reason}.") from None


class _Builder:
    def __init__(self, events: Any, name: str) -> None:
        self.events = iter(events)
        self.name = name
        self.nodes = 0
        self.marked = Marked(None)

    def fail(self, event: Any, what: str) -> UserError:
        return UserError(f"{self.name}, line {event.start_mark.line + 1}: {what}.")

    def document(self) -> Marked:
        next(self.events)  # stream start
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            raise UserError(f"{self.name}, line 1: the file is empty; a protocol starts with `protocol: NAME`.")
        self.marked.value = self.node(next(self.events), ())
        next(self.events)  # document end
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self.fail(event, "a second document starts here; one file holds one protocol")
        return self.marked

    def node(self, event: Any, path: Path) -> Any:
        self.nodes += 1
        if self.nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise self.fail(event, f"too large: at most {MAX_NODES} values, nested at most {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            raise self.fail(event, "anchors (&) and aliases (*) are not allowed; write the value out")
        if event.tag:
            raise self.fail(event, f"the tag {event.tag} is not allowed; write plain values")
        self.marked.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return event.value
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        return self.mapping(path)

    def sequence(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, (*path, len(items))))
        return items

    def mapping(self, path: Path) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent) or event.anchor or event.tag:
                raise self.fail(event, "a key must be plain text")
            key = event.value
            here = (*path, key)
            if key in entries:
                first = self.marked.lines[here]
                raise self.fail(event, f"`{key}` is given twice (first on line {first})")
            self.marked.lines[here] = event.start_mark.line + 1
            entries[key] = self.node(next(self.events), here)
        return entries
