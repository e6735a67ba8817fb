"""No number enters the model without a row of the evidence, and no row of the evidence's model is idle."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import euthymia
from euthymia import evidence
from euthymia.brain.plasticity import OtherRoute, Plasticity
from euthymia.course.outcomes import study_levels
from euthymia.drug.body import Body
from euthymia.drug.compounds import ANALYTES, molecular_weight
from euthymia.drug.dispositions import ABSORPTION, otto2021, perezruixo2021, simons2022
from euthymia.drug.interactions import SITES, _factors, evidence_ratios
from euthymia.drug.occupancy import Receptor
from euthymia.evidence import parameters
from euthymia.harm.acute import AcuteHarm
from euthymia.harm.misuse import Misuse
from euthymia.harm.pressure import RestingPressure
from euthymia.illness.background import EARLY, Background
from euthymia.illness.bipolar import ANTIDEPRESSANTS, STABILISERS, Bipolar, ketamine_tilt, tilts
from euthymia.illness.depression import Depression
from euthymia.illness.ptsd import Extinction, Ptsd
from euthymia.illness.relative import RATIOS, Relative
from euthymia.patient import POPULATIONS, draw
from euthymia.patient.adherence import Adherence
from euthymia.patient.population import VARIED

SOURCE = Path(euthymia.__file__).parent
ROOMS = ("drug", "brain", "illness", "harm", "patient", "course")
FILES = sorted(f for room in ROOMS for f in (SOURCE / room).glob("*.py"))
ROWS = {row.id: row for row in evidence.model_parameters()}


def calls(name):
    """Every call `evidence.<name>(...)` in the model's rooms: (file, node)."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == f"evidence.{name}":
                yield file, node


def pattern(node) -> str:
    """What ids an expression may name, as a regular expression: text stands, anything computed is a wildcard."""
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    if isinstance(node, ast.BinOp):
        return pattern(node.left) + pattern(node.right)
    if isinstance(node, ast.JoinedStr):
        return "".join(pattern(v) if isinstance(v, ast.Constant) else ".+" for v in node.values)
    return ".+"


def filled():
    """Every class filled from the evidence: (class, prefix, names of the fields given otherwise)."""
    for file, node in calls("fill"):
        module = importlib.import_module("euthymia." + ".".join(file.relative_to(SOURCE).with_suffix("").parts))
        cls = getattr(module, ast.unparse(node.args[0]))
        yield cls, ast.literal_eval(node.args[1]), {k.arg for k in node.keywords}


def modules():
    """Every equinox class of the model's rooms that holds plain numbers, with those fields."""
    for file in FILES:
        module = importlib.import_module("euthymia." + ".".join(file.relative_to(SOURCE).with_suffix("").parts))
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, eqx.Module) and cls.__module__ == module.__name__:
                fields = {n: t for n, t in cls.__annotations__.items() if t in (float, "float")}
                if fields:
                    yield cls, set(fields)


def test_every_parameter_has_a_source_or_is_assumed_within_a_range():
    for row in ROWS.values():
        if row.kind == "assumed":
            assert row.low is not None and row.high is not None and row.low <= row.value <= row.high, row.id
        else:
            assert row.source, row.id


@pytest.mark.parametrize(("cls", "prefix", "given"), list(filled()), ids=lambda x: getattr(x, "__name__", None))
def test_every_field_of_a_filled_class_has_its_row(cls, prefix, given):
    for name in cls.__dataclass_fields__.keys() - given:
        assert f"{prefix}.{name}" in ROWS


def test_every_class_of_plain_numbers_takes_them_from_the_evidence():
    from_rows = {cls for cls, _, _ in filled()}
    # these are put together from several rows, or hold switches and inputs of the user; listed so that a new class
    # of numbers has to be thought about
    put_together = {"Plasticity", "Background", "Input", "Relative"}
    assert {cls.__name__ for cls, _ in modules() if cls not in from_rows} <= put_together


def test_the_classes_put_together_from_several_rows_hold_only_rows():
    values = {row.value for row in ROWS.values()}
    chain = Plasticity.from_evidence(jnp.ones(1))
    switches = {"ampa_block", "mtorc1_block", "brake"}
    numbers = {n for cls, fields in modules() if cls is Plasticity for n in fields} - switches
    assert numbers and {getattr(chain, n) for n in numbers} <= values
    for expectancy in EARLY:
        background = Background.of(expectancy, inpatient=False)
        assert {v for v in vars(background).values() if v != 0} <= values, expectancy


@pytest.mark.parametrize(
    ("file", "node"), list(calls("value")), ids=lambda x: ast.unparse(x) if isinstance(x, ast.AST) else x.stem
)
def test_every_value_asked_for_can_be_found(file, node):
    wanted = re.compile(pattern(node.args[0]))
    assert any(wanted.fullmatch(i) for i in ROWS), f"{file.name}: {ast.unparse(node)}"


# numbers that are no parameters: conversions of units, lengths of a scale, guards against rounding, and rules of the
# publications that are stated where they stand
ORDINARY = {0, 0.5, 1, 2, 60, 70, 1e3, 1e6, 1e-12, 24, 168}
KNOWN = {
    "body.py": {40},  # age of a typical person
    "dispositions.py": {
        28,  # mg in a Spravato device
        1e-4,  # split of coincident transit stages
    },
    "interactions.py": {3, 0.05},  # devices in the nasal studies; weight that keeps an unmoved factor at 1
    "linear.py": {1e-5},  # least gap of coincident modes
    "acute.py": {92},  # maximum of the CADSS
    "misuse.py": {50, 100},  # middle and end of the scale of liking
    "ptsd.py": {80},  # length of the CAPS-5
    "bipolar.py": {
        12,  # h, the step of the poles
        0.7,
        0.3,
        14,
        4,  # where an episode begins and ends, and the shortest that is one
        8,
        0.02,  # guards: the least peak and share of a score
        4001,
        0.04,
        1e-7,  # of the quadrature and the search for a tilt
        3,  # exponents of the potential
    },
}


LINKS = [f for f in FILES if f.parent.name in ("drug", "brain", "illness", "harm") and f.name != "scales.py"]


@pytest.mark.parametrize("file", LINKS, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_no_number_hides_in_the_code_of_a_link(file):
    """Rating scales aside: their limits are definitions, tested with the scales."""
    numbers = {
        n.value
        for n in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(n, ast.Constant) and type(n.value) in (int, float)
    }
    assert numbers - ORDINARY <= KNOWN.get(file.name, set())


def exercise():
    """Build every part of the model, with every route, population, design and switch."""
    one = jnp.ones(2)
    body = Body(70 * one, 40 * one, one, one, one, one, dict.fromkeys(VARIED, one))
    routes = ("intravenous", "oral prolonged release", *ABSORPTION)
    for enantiomer in "SR":
        otto2021(body, enantiomer, routes, None, True)
    perezruixo2021(body, ("intravenous", "oral solution", "intranasal device"), (1.0, 3.0))
    simons2022(body, ("intravenous", "sublingual"))
    for analyte in ANALYTES:
        molecular_weight(analyte)
    Receptor.from_evidence()
    Plasticity.from_evidence(one)
    for prefix in ("arketamine_route", "hydroxynorketamine_route"):
        evidence.fill(OtherRoute, prefix, analyte="R-ketamine")
    Depression.from_evidence()
    AcuteHarm.from_evidence()
    RestingPressure.from_evidence()
    Adherence.from_evidence()
    Misuse.from_evidence()
    Bipolar.from_evidence()
    for kind in (*STABILISERS, *ANTIDEPRESSANTS):
        tilts(kind)
    ketamine_tilt()
    Ptsd.from_evidence()
    Extinction.from_evidence()
    for illness in RATIOS:
        Relative.of(illness)
    for expectancy in EARLY:
        Background.of(expectancy, inpatient=True)
    for population in POPULATIONS:
        draw(population, 1)
    study_levels(1)
    for agent in SITES:
        _factors.__wrapped__(agent, ())


# read elsewhere than while a model is put together
READ_LATER = {
    "background.sd_between_patients": "course",  # at the readout
    "depression.rating_noise": "course",
    "ptsd.gain_factor_positive_trial": "course",
}


def test_every_row_is_used_by_the_model(monkeypatch):
    """The other way round: a row that nothing reads would be shown to users as if it mattered."""
    read = set(READ_LATER)
    original = parameters.parameter

    def watched(id):
        read.add(id)
        return original(id)

    known = parameters._by_id()
    monkeypatch.setattr(parameters, "parameter", watched)  # only listens; every value is the real one
    exercise()
    read |= {row.id for agent in SITES for row in evidence_ratios(agent).values()}
    assert set(known) - read == set()


def test_the_rows_read_later_are_read_where_they_are_said_to_be():
    text = "".join(f.read_text(encoding="utf-8") for f in FILES)
    for id in READ_LATER:
        assert f'"{id}"' in text or id in {f"{p}.{n}" for c, p, g in filled() for n in c.__dataclass_fields__}


def test_deviates_belong_to_parameters_that_have_a_spread():
    """Each deviate of the population is named after a parameter whose spread has a row."""
    for name in VARIED:
        group, _, leaf = name.partition(".")
        spreads = [i for i in ROWS if i.startswith(group + ".") and re.search(r"\.(sd|cv|variance|covariance)_", i)]
        assert any(leaf in i or not leaf for i in spreads), name
    assert np.isfinite([row.value for row in ROWS.values()]).all()
