"""A protocol as the YAML text of a document, in the order and the layout of the catalogue."""

from __future__ import annotations

from typing import Any

import yaml
from yaml.emitter import Emitter
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.representer import BaseRepresenter
from yaml.resolver import BaseResolver
from yaml.serializer import Serializer

from euthymia.protocol.document import Protocol

HEAD = ("protocol", "title", "version", "status", "summary", "indication", "population")
LAST = ("source", "verified", "note")
"""Of an entry: what it rests on comes after what it says."""
ENDLESS = 1_000_000
"""An entry stays on its line; only the head is folded."""


def to_yaml(protocol: Protocol) -> str:
    """The text of the document: `loads` reads it back as the same protocol. Comments are not part of a protocol."""
    given = protocol.model_dump(mode="json", by_alias=True, exclude_none=True)
    given.setdefault("drug", "none")
    head = {key: given[key] for key in HEAD if key in given}
    order = [str(field.alias) for field in Protocol.model_fields.values()]
    rest = {key: _filled(given[key]) for key in order if key in given and key not in HEAD}
    blocks = [_dumped(head, 100), *(_dumped({key: value}, ENDLESS) for key, value in rest.items() if value)]
    return "\n".join(blocks)


def _filled(value: Any) -> Any:
    """A block without the lists that are empty."""
    return {key: item for key, item in value.items() if item != []} if isinstance(value, dict) else value


def _dumped(block: dict[str, Any], width: int) -> str:
    return yaml.serialize(_node(block, block=True), Dumper=_Dumper, width=width, allow_unicode=True)


class _Dumper(Emitter, Serializer, BaseRepresenter, BaseResolver):
    """Writes nodes as they are: every scalar is text to the reader, so none needs a tag or quotes for its type."""

    def __init__(self, stream: Any, width: int, allow_unicode: bool, **_: Any) -> None:
        Emitter.__init__(self, stream, width=width, allow_unicode=allow_unicode)
        Serializer.__init__(self)
        BaseRepresenter.__init__(self)
        BaseResolver.__init__(self)

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)  # lists stand in from their key


def _node(value: Any, block: bool = False) -> Node:
    """`block`: over several lines, as the document itself, what holds lists of entries, and sources."""
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda pair: pair[0] in LAST and "citation" not in value)
        pairs = [
            (_node(key), _node(_short(key, item), key == "sources" or _holds_entries(item))) for key, item in ordered
        ]
        return MappingNode(BaseResolver.DEFAULT_MAPPING_TAG, pairs, flow_style=not block)
    if isinstance(value, list):
        entries = [_node(item, block and "citation" in item) for item in value]
        flow = not any(isinstance(item, dict) for item in value)
        return SequenceNode(BaseResolver.DEFAULT_SEQUENCE_TAG, entries, flow_style=flow)
    return ScalarNode(BaseResolver.DEFAULT_SCALAR_TAG, str(value))


def _short(key: str, value: Any) -> Any:
    """One gap is written as itself, not as a list of one."""
    return value[0] if key == "every" and isinstance(value, list) and len(value) == 1 else value


def _holds_entries(value: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else ()
    return any(isinstance(item, list) and any(isinstance(x, dict) for x in item) for item in inner)
