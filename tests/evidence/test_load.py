"""The loader: what it accepts comes back unchanged, what breaks a rule is refused where it stands."""

import csv
import dataclasses
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.errors import UserError
from euthymia.evidence.load import parse, read
from euthymia.evidence.tables import Adequacy, Link, Literature, Outcome, Parameter, Plasma, Rule

TABLES = (Parameter, Literature, Plasma, Outcome, Rule, Link, Adequacy)


def written(table, *rows: dict[str, str]) -> str:
    """CSV text of rows; columns not given are empty."""
    out = StringIO()
    columns = [field.name for field in dataclasses.fields(table)]
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


SEEN = {"id": "a.b", "value": "1.5", "unit": "L", "kind": "seen", "source": "Someone 2020", "verified": "yes"}
ASSUMED = {"id": "a.c", "value": "2", "kind": "assumed", "low": "1", "high": "3", "verified": "no"}
OUTCOME = {
    "id": "x", "study": "X", "set": "context", "arm": "ketamine", "endpoint": "response_rate", "value": "10",
    "spread_type": "none", "source": "Someone 2020", "verified": "yes",
}  # fmt: skip


def refusal(table, *rows: dict[str, str]) -> str:
    with pytest.raises(UserError) as refused:
        parse(table, written(table, *rows), "table.csv")
    return str(refused.value)


def test_good_rows_are_read():
    seen, assumed = parse(Parameter, written(Parameter, SEEN, ASSUMED), "table.csv")
    assert (seen.value, seen.low, seen.verified) == (1.5, None, True)
    assert (assumed.low, assumed.high, assumed.source) == (1.0, 3.0, "")


@pytest.mark.parametrize(
    ("change", "column", "allowed"),
    [
        ({"source": ""}, "source", "must have a source"),
        ({"value": "1,5"}, "value", "finite number"),
        ({"value": ""}, "value", "finite number"),
        ({"value": "inf"}, "value", "finite number"),
        ({"low": "nan"}, "low", "finite number or empty"),
        ({"kind": "guessed"}, "kind", "seen, calibrated, assumed, derived"),
        ({"verified": "perhaps"}, "verified", "yes or no"),
        ({"verified": ""}, "verified", "yes or no"),
        ({"id": ""}, "id", "must have an id"),
        ({"id": "a b"}, "id", "spaces"),
        ({"low": "3", "high": "2"}, "low", "above high"),
        ({"low": "2", "high": "3"}, "value", "between low and high"),
    ],
)
def test_a_bad_parameter_is_refused_where_it_stands(change, column, allowed):
    said = refusal(Parameter, ASSUMED, SEEN | change)
    assert said.startswith(f"table.csv, line 3, column {column}: ")
    assert allowed in said


@pytest.mark.parametrize("column", ["low", "high"])
def test_an_assumed_value_needs_its_range(column):
    assert refusal(Parameter, ASSUMED | {column: ""}).startswith(f"table.csv, line 2, column {column}: ")


def test_an_assumed_value_is_never_verified():
    assert "column verified" in refusal(Parameter, ASSUMED | {"verified": "yes"})


def test_an_id_is_unique():
    said = refusal(Parameter, SEEN, ASSUMED, SEEN)
    assert "line 4, column id" in said
    assert "is on line 2" in said


@pytest.mark.parametrize(
    ("change", "column", "allowed"),
    [
        ({"set": "training"}, "set", "calibration, validation, context"),
        ({"set": ""}, "set", "calibration, validation, context"),
        ({"n": "12.5"}, "n", "whole number"),
        ({"n": "-3"}, "n", "whole number"),
        ({"verified": "maybe"}, "verified", "yes, secondary, no"),
        ({"source": ""}, "source", "must have a source"),
        ({"spread_type": "IQR"}, "spread_type", "none, SD, SE"),
    ],
)
def test_a_bad_outcome_is_refused(change, column, allowed):
    said = refusal(Outcome, OUTCOME | change)
    assert f"column {column}: " in said
    assert allowed in said


@pytest.mark.parametrize("table", TABLES)
def test_every_column_that_is_needed_is_needed(table):
    row = next(iter(read(table)))
    cells = {
        field.name: {None: "", True: "yes", False: "no"}.get(value, str(value))
        for field in dataclasses.fields(table)
        for value in [getattr(row, field.name)]
    }
    assert parse(table, written(table, cells), "table.csv") == (row,)
    for column in table.needed:
        assert f"column {column}: every row must have" in refusal(table, cells | {column: ""})


def test_a_wrong_header_is_refused():
    with pytest.raises(UserError, match=r"table.csv, line 1: the columns must be id,guideline,text"):
        parse(Rule, "id,rule,text\n", "table.csv")


def test_an_empty_file_is_refused():
    with pytest.raises(UserError, match="line 1"):
        parse(Rule, "", "table.csv")


def test_a_short_row_is_refused():
    with pytest.raises(UserError, match=r"line 3: 2 cells; every row must have 6"):
        parse(Rule, "id,guideline,text,source,verified,note\nR,G,T,S,yes,\nR2,G\n", "table.csv")


def test_the_line_counts_quoted_line_breaks():
    rows = {"id": "R", "guideline": "G", "text": "one\ntwo", "source": "S", "verified": "yes"}
    with pytest.raises(UserError, match=r"line 5, column id"):
        parse(Rule, written(Rule, rows, rows), "table.csv")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="missing"):
        read(Rule, tmp_path / "none.csv")


def test_a_file_that_is_no_text_is_one_sentence(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"id,\xff\xfe")
    with pytest.raises(UserError, match=r"binary.csv: cannot be read"):
        read(Rule, tmp_path / "binary.csv")


words = st.text(st.sampled_from("aµ漢é0 ,;\"'\n"), max_size=12).map(str.strip)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def parameters(draw) -> dict[str, str]:
    low, value, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    kind = draw(st.sampled_from(["seen", "calibrated", "assumed", "derived"]))
    ranged = kind == "assumed" or draw(st.booleans())
    return {
        "value": repr(value),
        "low": repr(low) if ranged else "",
        "high": repr(high) if ranged else "",
        "kind": kind,
        "source": draw(words if kind == "assumed" else words.filter(bool)),
        "verified": "no" if kind == "assumed" else draw(st.sampled_from(["yes", "no"])),
        "unit": draw(words),
        "note": draw(words),
    }


@given(st.lists(parameters(), max_size=5))
def test_whatever_keeps_the_rules_comes_back_unchanged(rows):
    rows = [row | {"id": f"part.{i}"} for i, row in enumerate(rows)]
    for row, parsed in zip(rows, parse(Parameter, written(Parameter, *rows), "table.csv"), strict=True):
        assert parsed.id == row["id"]
        assert parsed.value == float(row["value"])
        assert parsed.low == (float(row["low"]) if row["low"] else None)
        assert (parsed.source, parsed.unit, parsed.note) == (row["source"], row["unit"], row["note"])
        assert parsed.source or (parsed.kind == "assumed" and parsed.low is not None and parsed.high is not None)


@given(st.sampled_from(TABLES), st.text())
def test_no_text_brings_the_loader_down(table, text):
    header = written(table)
    for attempt in (text, header + text):
        try:
            parse(table, attempt, "table.csv")
        except UserError as refused:
            assert str(refused).startswith("table.csv, line ")


@given(st.text(), st.sampled_from([field.name for field in dataclasses.fields(Parameter)]))
def test_any_cell_is_read_or_refused_by_name(cell, column):
    text = written(Parameter, SEEN | {"low": "1", "high": "2"} | {column: cell})
    try:
        parse(Parameter, text, "table.csv")
    except UserError as refused:
        assert str(refused).startswith("table.csv, line ")
