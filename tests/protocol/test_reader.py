"""The strict YAML reader: lines are kept, tricks are refused, nothing but UserError escapes."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.protocol import Protocol, loads
from euthymia.protocol.reader import MAX_CHARACTERS, read


def test_every_key_and_value_has_its_line() -> None:
    marked = read("a: 1\nb:\n  - x\n  - {c: y}\n", "f")
    assert marked.value == {"a": "1", "b": ["x", {"c": "y"}]}
    assert [marked.line(path) for path in (("a",), ("b",), ("b", 0), ("b", 1, "c"))] == [1, 2, 3, 4]


def test_a_path_that_is_absent_has_the_line_of_its_parent() -> None:
    assert read("a: 1\nb:\n  c: 2\n", "f").line(("b", "missing")) == 2


@pytest.mark.parametrize("text", ["no", "yes", "1.10", "2024-01-01", "null", "0x10", "1e3"])
def test_a_scalar_stays_what_was_written(text: str) -> None:
    assert read(f"a: {text}", "f").value == {"a": text}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "empty"),
        ("a: 1\nb: 2\na: 3\n", 3, "`a` is given twice (first on line 1)"),
        ("a: 1\nb: &x 2\n", 2, "anchors"),
        ("a: 1\nb: *x\n", 2, "anchors"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "tag"),
        ("a: !!int 1\n", 1, "tag"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: 1\n? [x]\n: 2\n", 2, "a key must be plain text"),
        ("a: [1, 2\n", 2, "not valid YAML"),
        ("a: " + "[" * 40 + "]" * 40, 1, "too large"),
        ("a: [" + "1," * 30_000 + "]", 1, "too large"),
    ],
)
def test_refuses_naming_file_and_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        read(text, "f.yaml")
    assert str(caught.value).startswith(f"f.yaml, line {line}: ")
    assert reason in str(caught.value)


def test_refuses_an_endless_file() -> None:
    with pytest.raises(UserError, match="longer than"):
        read("a" * (MAX_CHARACTERS + 1), "f.yaml")


@pytest.mark.parametrize("text", ["\udc80", "a: \x00", "\ufeffa: 1\x07", "\ud800: 1"])
def test_unreadable_characters_are_a_user_error(text: str) -> None:
    with pytest.raises(UserError, match=r"f\.yaml"):
        read(text, "f.yaml")


@given(st.text())
def test_any_text_loads_or_is_a_user_error(text: str) -> None:
    with suppress(UserError):
        loads(text)


WORDS = st.sampled_from(
    ["protocol", "drug", "phases", "design", "none", "0.5 mg/kg", "induction", "every", "over", "when", "yes", "8", ""]
) | st.text(alphabet="abc:-{}[]&*!#|>'\"% \n", max_size=8)
TREES = st.recursive(WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4))


@given(TREES)
def test_any_tree_loads_or_is_a_user_error(tree: object) -> None:
    import yaml

    with suppress(UserError):
        loads(yaml.safe_dump(tree, allow_unicode=True))


@settings(max_examples=300)
@given(st.data())
def test_the_example_with_any_piece_replaced_loads_or_is_a_user_error(data: st.DataObject) -> None:
    from importlib.resources import files

    text = (files("euthymia.protocol") / "catalogue" / "spravato-trd-84.yaml").read_text("utf-8")
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 30)))
    piece = data.draw(WORDS | st.text(max_size=10))
    try:
        found = loads(text[:start] + piece + text[stop:])
    except UserError:
        return
    assert isinstance(found, Protocol)
