"""The model's numbers by name, and model parts filled with them."""

import subprocess
import sys
from dataclasses import dataclass, field, make_dataclass

import equinox as eqx
import pytest

from euthymia import evidence
from euthymia.errors import UserError


@pytest.fixture(scope="module")
def group():
    """Some prefix of the model's parameters, with the names below it."""
    names: dict[str, list[str]] = {}
    for row in evidence.model_parameters():
        prefix, _, name = row.id.partition(".")
        if name.isidentifier():
            names.setdefault(prefix, []).append(name)
    return next((prefix, found) for prefix, found in names.items() if len(found) > 1)


def test_a_parameter_is_found_by_its_id():
    for row in evidence.model_parameters():
        assert evidence.parameter(row.id) is row
        assert evidence.value(row.id) == row.value


def test_an_unknown_parameter_offers_the_nearest():
    known = evidence.model_parameters()[0].id
    with pytest.raises(UserError, match=f"no model parameter '{known}x'; nearest: .*{known}"):
        evidence.value(known + "x")


def test_a_dataclass_is_filled(group):
    prefix, names = group
    part = evidence.fill(make_dataclass("Part", names), prefix)
    assert {name: getattr(part, name) for name in names} == {n: evidence.value(f"{prefix}.{n}") for n in names}


def test_an_equinox_module_is_filled(group):
    prefix, (first, second, *_) = group
    cls = type("Part", (eqx.Module,), {"__annotations__": {first: float, second: float}})
    part = evidence.fill(cls, prefix)
    assert (getattr(part, first), getattr(part, second)) == (
        evidence.value(f"{prefix}.{first}"),
        evidence.value(f"{prefix}.{second}"),
    )


def test_what_is_given_wins(group):
    prefix, (first, second, *_) = group
    part = evidence.fill(make_dataclass("Part", [first, second]), prefix, **{first: "given"})
    assert (getattr(part, first), getattr(part, second)) == ("given", evidence.value(f"{prefix}.{second}"))


def test_a_default_is_no_evidence(group):
    prefix, _ = group

    @dataclass
    class Part:
        no_such_number: float = 1.0

    with pytest.raises(UserError, match=f"{prefix}.no_such_number"):
        evidence.fill(Part, prefix)


def test_every_missing_row_is_named(group):
    prefix, _ = group
    with pytest.raises(UserError, match=f"{prefix}.no_such_a, {prefix}.no_such_b"):
        evidence.fill(make_dataclass("Part", ["no_such_a", "no_such_b"]), prefix)


def test_a_field_that_does_not_exist_is_refused(group):
    prefix, (first, *_) = group
    with pytest.raises(UserError, match=f"no field 'typo'; it has {first}"):
        evidence.fill(make_dataclass("Part", [first]), prefix, typo=1)


def test_computed_fields_are_left_alone(group):
    prefix, (first, *_) = group
    cls = make_dataclass("Part", [(first, float), ("computed", float, field(init=False, default=0.0))])
    assert evidence.fill(cls, prefix).computed == 0.0


def test_the_evidence_imports_nothing_heavy():
    heavy = {"numpy", "jax", "polars", "pandas", "xarray", "altair", "pint", "pydantic", "yaml"}
    code = f"import sys, euthymia.evidence; print(*sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
