"""Documents gone wrong, in hundreds of ways: one that is read either says something else, or is refused in a sentence
with file, line and field; and the JSON Schema never refuses what the reader takes."""

import copy
import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.protocol import catalogue, differences, json_schema, load, loads
from euthymia.protocol.reader import read

TREES = {
    name: read((files("euthymia.protocol") / "catalogue" / f"{name}.yaml").read_text("utf-8"), name).value
    for name in catalogue()
}
ORIGINALS = {name: load(name) for name in catalogue()}
SCHEMA = jsonschema.Draft202012Validator(json_schema())
UNITS = (
    "mg",
    "mg/kg",
    "g",
    "mg/day",
    "min",
    "h",
    "days",
    "weeks",
    "mmHg",
    "%",
    "points",
    "years",
    "trials",
    "parsecs",
    "",
)
QUANTITY = re.compile(r"(\d+(?:\.\d+)?) ([a-zA-Z%/]+)")
SENTENCE = re.compile(r"^doc\.yaml(, line (\d+))?: .+[.?]$")
Path = tuple[str | int, ...]


def walk(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every place of a document below its root."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key), value
        yield from walk(value, (*path, key))


def at(tree: Any, path: Path) -> Any:
    for key in path:
        tree = tree[key]
    return tree


KEYS = sorted({key for tree in TREES.values() for path, _ in walk(tree) for key in path if isinstance(key, str)})


def put(tree: Any, path: Path, value: Any) -> None:
    at(tree, path[:-1])[path[-1]] = value


def delete(data: st.DataObject, tree: Any) -> None:
    path, _ = data.draw(st.sampled_from(list(walk(tree))))
    del at(tree, path[:-1])[path[-1]]


def rename(data: st.DataObject, tree: Any) -> None:
    path, _ = data.draw(st.sampled_from([p for p in walk(tree) if isinstance(p[0][-1], str)]))
    parent, key = at(tree, path[:-1]), path[-1]
    other = data.draw(st.sampled_from([k for k in (*KEYS, key + "s", key.upper(), key.replace(" ", "_")) if k != key]))
    moved = {other if k == key else k: v for k, v in parent.items() if k != other}
    parent.clear()
    parent.update(moved)


def retype(data: st.DataObject, tree: Any) -> None:
    path, value = data.draw(st.sampled_from(list(walk(tree))))
    others: list[Any] = ["word", "", "7", ["word"], {"word": "word"}, [[]], {}, [value, value], {"value": value}]
    put(tree, path, data.draw(st.sampled_from([other for other in others if other != value])))


def quantities(tree: Any) -> list[tuple[Path, str]]:
    found = [(path, value) for path, value in walk(tree) if isinstance(value, str)]
    return [(p, v) for p, v in found if (m := QUANTITY.search(v)) and float(m[1]) and p[-1] not in ("citation", "url")]


def swap_unit(data: st.DataObject, tree: Any) -> None:
    path, value = data.draw(st.sampled_from(quantities(tree)))
    number, unit = QUANTITY.search(value).groups()  # type: ignore[union-attr]
    other = data.draw(st.sampled_from([u for u in UNITS if u.rstrip("s") != unit.rstrip("s")]))
    put(tree, path, value.replace(f"{number} {unit}", f"{number} {other}", 1))


def wild_number(data: st.DataObject, tree: Any) -> None:
    path, value = data.draw(st.sampled_from(quantities(tree)))
    number = QUANTITY.search(value)[1]  # type: ignore[index]
    wild = data.draw(
        st.sampled_from(
            ["-" + number, "0", f"{1000 * float(number):g}", "1e99", "nan", "inf", "1e999", "٣", "1,5", "- 1"]
        )
    )
    put(tree, path, value.replace(number, wild, 1))


def unknown_word(data: st.DataObject, tree: Any) -> None:
    path, value = data.draw(st.sampled_from([p for p in walk(tree) if isinstance(p[1], str)]))
    put(tree, path, data.draw(st.sampled_from([value + "x", value[1:], value.swapcase() + "?", "home", "mood", "all"])))


def same_rule(data: st.DataObject, tree: Any) -> None:
    ids = [(path, value) for path, value in walk(tree) if path[-1] == "rule"]
    (path, _), (_, other) = data.draw(
        st.tuples(st.sampled_from(ids), st.sampled_from(ids)).filter(lambda x: x[0] != x[1])
    )
    put(tree, path, other)


def repeat(data: st.DataObject, tree: Any) -> None:
    path, value = data.draw(st.sampled_from([p for p in walk(tree) if isinstance(p[0][-1], int)]))
    at(tree, path[:-1]).append(copy.deepcopy(value))


def nest(data: st.DataObject, tree: Any) -> None:
    """What belongs in one place stands in another."""
    places = list(walk(tree))
    (path, value), (other, into) = data.draw(st.tuples(st.sampled_from(places), st.sampled_from(places)))
    taken = copy.deepcopy(value)
    into = at(tree, other)
    if isinstance(into, list):
        into.append(taken)
    elif isinstance(into, dict):
        key = str(path[-1])
        into[key if key not in into else key + " again"] = taken
    else:
        put(tree, other, taken if taken != into else "elsewhere")


MUTATIONS = (delete, rename, retype, swap_unit, wild_number, unknown_word, same_rule, repeat, nest)


def typed(value: Any) -> Any:
    """A document as an editor reads it (YAML 1.2): numbers, truth values and nothing are not text."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    if re.fullmatch(r"[-+]?\d+", value):
        return int(value)
    if re.fullmatch(r"[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?", value):
        return float(value)
    return {"true": True, "false": False, "null": None, "~": None, "": None}.get(value, value)


def check_refusal(said: str, text: str) -> None:
    rows = said.splitlines()
    if rows[-1].startswith("... and "):
        rows.pop()
    assert rows
    for row in rows:
        match = SENTENCE.match(row)
        assert match, row
        assert "Traceback" not in row and "pydantic" not in row
        assert match[2] is None or 1 <= int(match[2]) <= text.count("\n") + 1


@settings(max_examples=600)
@given(st.data())
def test_a_document_gone_wrong_is_refused_or_says_something_else(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(catalogue()))
    tree = copy.deepcopy(TREES[name])
    mutate = data.draw(st.sampled_from(MUTATIONS))
    if mutate is same_rule and sum(path[-1] == "rule" for path, _ in walk(tree)) < 2:
        mutate = delete
    if mutate in (swap_unit, wild_number) and not quantities(tree):
        mutate = delete
    mutate(data, tree)
    text = json.dumps(tree, indent=1, ensure_ascii=False)  # is YAML too
    try:
        found = loads(text, "doc.yaml")
    except UserError as error:
        check_refusal(str(error), text)
        assert ": `" in str(error) or "is a mapping" in str(error) or "key must be plain text" in str(error)
        return
    assert tree != TREES[name]
    assert found != ORIGINALS[name] and differences(ORIGINALS[name], found)
    for read_by in (tree, typed(tree)):  # quoted everywhere, and nowhere
        SCHEMA.validate(read_by)


def evened(value: Any) -> Any:
    """A tree without the spaces in its texts, which may stand anywhere around a number or a line."""
    if isinstance(value, dict):
        return {key: evened(item) for key, item in value.items()}
    return [evened(item) for item in value] if isinstance(value, list) else "".join(value.split())


@settings(max_examples=400)
@given(st.data())
def test_broken_yaml_is_refused_or_says_something_else(data: st.DataObject) -> None:
    """A piece of the text is lost, doubled or put in."""
    name = data.draw(st.sampled_from(catalogue()))
    text = (files("euthymia.protocol") / "catalogue" / f"{name}.yaml").read_text("utf-8")
    places = [m.start() for m in re.finditer(r"[:\[\]{},\"\n-]", text)]
    place = data.draw(st.sampled_from(places))
    piece = data.draw(
        st.sampled_from(["", "\t", "{", "]", '"', ": ", "- ", "\n", "  ", "&a ", "*a", "!!int ", "#", "\0", "'"])
    )
    kept = data.draw(st.booleans())
    broken = text[:place] + piece + text[place + (not kept) :]
    try:
        found = loads(broken, "doc.yaml")
    except UserError as error:
        check_refusal(str(error), broken)
        return
    otherwise = evened(read(broken, "doc.yaml").value) != evened(TREES[name])
    assert differences(ORIGINALS[name], found) or not otherwise


@pytest.mark.parametrize("name", catalogue())
def test_what_is_written_otherwise_is_no_difference(name: str) -> None:
    """Spaces, quotes and the order of keys and rules carry no meaning."""
    tree = copy.deepcopy(TREES[name])
    shuffled = {
        key: value[::-1] if key in ("safeguards", "sources", "measure") else value for key, value in tree.items()
    }
    text = yaml.safe_dump(dict(reversed(shuffled.items())), allow_unicode=True, default_style='"')
    assert differences(ORIGINALS[name], loads(text)) == ()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("drug", "compound"), "ketamin"),
        (("drug", "dose"), 84),
        (("verified",), "yes"),
        (("status",), "approved"),
        (("sources",), []),
        (("phases", 0, "doses"), 0),
        (("phases", 0, "evry"), "1 week"),
        (("decide", 0, "at"), "sometime"),
        (("decide", 0, "continue when"), {"SBP": "over 140 mmHg"}),
        (("session", "discharge", "all of"), ["tired"]),
        (("design", "setting"), "home"),
        (("protocol",), "No Name"),
    ],
)
def test_the_schema_refuses(path: Path, value: Any) -> None:
    tree = typed(TREES["spravato-trd-84"])
    assert SCHEMA.is_valid(tree)
    put(tree, path, value)
    assert not SCHEMA.is_valid(tree)


def test_the_schema_refuses_what_is_not_there() -> None:
    for key in ("protocol", "title", "sources", "design", "drug", "measure"):
        tree = typed(TREES["spravato-trd-84"])
        del tree[key]
        assert not SCHEMA.is_valid(tree)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
