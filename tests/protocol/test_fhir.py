"""A protocol as a FHIR R4 PlanDefinition: complete, valid, and read back as the same protocol or refused."""

import copy
import csv
import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from fhir.resources.R4B.plandefinition import PlanDefinition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from euthymia import protocol
from euthymia.errors import UserError
from euthymia.protocol import Protocol, from_plan_definition, loads, to_plan_definition, to_yaml
from euthymia.protocol.fhir import codes, reads
from euthymia.protocol.fhir.lens import find
from euthymia.protocol.fhir.shape import ELEMENTS, EXTENSIONS
from euthymia.protocol.fhir.tables import TABLES
from euthymia.protocol.fhir.units import ucum
from euthymia.protocol.quantity import _UNITS

NAMES = protocol.catalogue()
DOCS = Path(__file__).parents[2] / "docs" / "fhir.md"

# Every field that the catalogue leaves unused; with the catalogue, every field of the document.
EVERYTHING = """\
protocol: everything-0.5
title: Every field of the document
version: 2.1.0
status: research only
summary: Not a regimen.
indication: treatment-resistant depression
population: TRD
sources:
  - {id: a source, citation: "A paper: of its kind", url: "https://example.org/paper", verified: yes}
  - {id: recalled, citation: Recalled, verified: no}
warnings:
  - {rule: W-1, warning: Beware, source: a source, verified: no, note: a note}
design: {expectancy: open label, setting: outpatient, sites: one, note: why it is so}
eligibility:
  require:
    - {rule: E-1, measure: MADRS improvement, at most: 40 percent, source: recalled, verified: no}
    - {rule: E-2, measure: weight, at least: 45 kg, source: a source, verified: yes}
    - rule: E-3
      measure: failed antidepressant trials
      at least: 2 trials
      lasting at least: 6 weeks
      counting: [no response, not tolerated]
      source: a source
      verified: yes
  exclude:
    - {rule: X-1, when: {SBP: above 140 mmHg, HR: above 99 beat/min}, kind: relative, source: recalled, verified: no}
    - {rule: X-2, when: remission, kind: absolute, source: a source, verified: yes}
drug: {compound: racemic ketamine, route: intravenous, dose: 0.50 mg/kg, over: 0.75 h, never above: 60 mg}
alongside:
  - {agent: sertraline, dose: 50 mg/d, start: 1 week, stop: 30 days, source: a source, verified: yes}
  - {agent: lithium, stop: 2 weeks, source: a source, verified: yes, note: 0.6 to 1.2 mEq/L}
exposure:
  - {therapy: prolonged exposure, sessions: 4, starts: 3 days, every: [1 week, 8 days], source: a source, verified: yes}
  - {therapy: prolonged exposure, sessions: 3, lag: 24 h, every: 1 week, source: a source, verified: secondary}
phases:
  - {name: "first, at rest", doses: 1, every: 2 weeks}
  - {name: own dose, starts: week 3, doses: 2, every: 84 h, dose: 0.4 mg/kg, note: a note of the phase}
  - {name: phase-1, doses: 3, every: [3 days, 4 days, 180 h], dose by session: [0.2 mg/kg, 0.30 mg/kg]}
  - name: another drug
    doses: 2
    every: 1 week
    drug: {compound: esketamine, route: intranasal device, dose: 56 mg}
    dose by session: [84 mg]
  - {name: inert, doses: 1, every: 1 week, drug: {compound: saline, route: intravenous, over: 40 min}}
  - {name: last, until: week 26, every: 1 week, widen to: 2 weeks, while: {MADRS: at most 10 points}}
session:
  retry: 36 h
  before:
    - {rule: B-1, check: pregnancy status, valid for: 28 days, source: a source, verified: yes}
    - {rule: B-2, hold when: {DBP: above 90 mmHg}, source: a source, verified: yes}
    - {rule: B-4, alert when: {SBP: above 130 mmHg}, source: a source, verified: yes}
    - {rule: B-5, hold when: {drug liking: at least 80 points}, for: 1 week, source: a source, verified: no}
    - {rule: B-6, stop when: {sessions in 28 days: above 12 sessions}, source: a source, verified: no}
    - {rule: B-3, weigh when: {RR: below 10 breaths/min, SpO2: below 92 %}, source: a source, verified: yes}
  observe:
    - {rule: O-1, items: [SBP, sedation], every: 15 min, for: 2 h, source: a source, verified: yes}
    - {rule: O-2, items: [ECG], at: [0 min, 1 h], source: a source, verified: yes}
  stop:
    - {rule: S-1, when: {SBP: above 180 mmHg, DBP: above 110 mmHg}, source: a source, verified: yes}
  discharge:
    {rule: D, no earlier than: 120 min, all of: [recovery complete, responsible adult], source: recalled, verified: no}
measure:
  - {scale: MADRS, every: 1 week}
  - {scale: PCL-5, at: [0 days, 2 weeks]}
adjust:
  - {rule: A-1, after dose: 3, when: no response, dose to: 0.45 mg/kg, source: a source, verified: no}
  - {rule: A-2, from dose: 1, when: {age: at least 65 years}, dose to: 0.2 mg/kg, source: a source, verified: no}
  - rule: A-3
    from dose: 2
    condition: Japanese ancestry
    dose to: 0.10 mg/kg
    steps of: 0.05 mg/kg
    source: a source
    verified: no
decide:
  - {rule: C-1, at: "end of first, at rest", continue when: response, source: a source, verified: yes}
  - {rule: C-2, at: week 6, stop when: {YMRS: at least 12 points}, source: a source, verified: yes}
  - {rule: C-3, at: every session, widen when: remission, source: a source, verified: yes}
  - {rule: C-4, at: end of phase-1, step back when: relapse, source: a source, verified: yes}
  - {rule: C-5, at: week 9, begin again when: relapse, phase: own dose, at most: 2, source: a source, verified: no}
safeguards:
  - {rule: G-1, safeguard: minimum interval between sessions, at least: 1 day, source: a source, verified: yes}
  - {rule: G-2, safeguard: course length limit, at most: 30, source: a source, verified: yes}
  - {rule: G-3, safeguard: bladder follow-up, every: 3 months, source: a source, verified: yes}
  - {rule: G-4, safeguard: certified setting, valid for: 1 year, source: a source, verified: yes}
"""
SAMPLE = ("ketamine-iv-trd", "spravato-trd-84", "ketamine-then-exposure", "sertraline", "lithium")


def document(name: str) -> Protocol:
    return loads(EVERYTHING, "everything") if name == "everything" else protocol.load(name)


def written(name: str) -> dict[str, Any]:
    return to_plan_definition(document(name))


def plain(found: Protocol) -> dict[str, Any]:
    return found.model_dump(mode="json", by_alias=True, exclude_none=True) | ({} if found.drug else {"drug": "none"})


def models(model: type[BaseModel] = Protocol) -> set[type[BaseModel]]:
    """The model of the document and every model within it."""

    def within(annotation: Any) -> set[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return models(annotation) if annotation.__name__ != "Comparison" else set()
        return set().union(*map(within, get_args(annotation)))

    return {model}.union(*(within(field.annotation) for field in model.model_fields.values()))


# --- without loss -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", (*NAMES, "everything"))
def test_a_protocol_comes_back_as_itself(name: str) -> None:
    given = document(name)
    back = reads(json.dumps(to_plan_definition(given)))
    assert back == given
    assert protocol.fingerprint(back) == protocol.fingerprint(given)


@pytest.mark.parametrize("name", (*NAMES, "everything"))
def test_a_protocol_written_as_yaml_is_read_as_itself(name: str) -> None:
    given = document(name)
    assert loads(to_yaml(given)) == given


def test_every_field_of_the_document_has_its_place() -> None:
    for model in models():
        assert set(TABLES[model]) == {field.alias for field in model.model_fields.values()}, model.__name__


def test_every_field_of_the_document_is_in_a_document_of_these_tests() -> None:
    """So that a new field of the document is carried there and back before it is called mapped."""
    used: set[tuple[str, str]] = set()

    def look(entry: Any) -> None:
        if isinstance(entry, BaseModel):
            for name in type(entry).model_fields:
                value = getattr(entry, name)
                if value is not None and value != ():
                    used.add((type(entry).__name__, name))
                    look(value)
        elif isinstance(entry, tuple):
            for item in entry:
                look(item)

    for name in (*NAMES, "everything"):
        look(document(name))
    wanted = {(model.__name__, name) for model in models() for name in model.model_fields}
    assert wanted <= used


def test_every_unit_a_document_may_use_has_a_ucum_code() -> None:
    words = {word for line in _UNITS for word in re.findall(r"[a-zµ%]+", line.split("[")[0], re.I) if word != "_"}
    assert all(ucum(word) for word in words)
    assert {word: ucum(word) for word in ("mg/kg", "mmHg", "beats/min", "days", "mg/day", "points")} == {
        "mg/kg": "mg/kg",
        "mmHg": "mm[Hg]",
        "beats/min": "{beat}/min",
        "days": "d",
        "mg/day": "mg/d",
        "points": "{score}",
    }


# --- variations -------------------------------------------------------------------------------------------------------

Where = tuple[str | int, ...]
SYNONYMS = {
    "week": ("wk", "weeks"),
    "weeks": ("wk", "week"),
    "days": ("d", "day"),
    "day": ("d",),
    "h": ("hours", "hr"),
    "min": ("minutes",),
    "mg": ("milligrams",),
    "mg/kg": ("mg / kg", "milligram/kilogram"),
    "mg/day": ("mg/d", "mg/days"),
    "mmHg": ("mmHg ",),
    "points": ("point",),
    "%": ("percent",),
}
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs", "Co", "Cn")), min_size=1, max_size=40)
FREE = {"title", "summary", "note", "citation", "warning", "name", "id"}


def parts(value: Any, path: Where = ()) -> Iterator[tuple[Where, Any]]:
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from parts(item, (*path, key))


def at(value: Any, path: Where) -> Any:
    for key in path:
        value = value[key]
    return value


def shape(path: Where) -> Where:
    return tuple(key for key in path if isinstance(key, str))


DONORS: dict[Where, list[dict[str, Any]]] = {}
for _name in (*NAMES, "everything"):
    for _path, _value in parts(plain(document(_name))):
        if isinstance(_value, dict):
            DONORS.setdefault(shape(_path), []).append(_value)


@st.composite
def variations(draw: st.DrawFn) -> Protocol:
    """A document of the catalogue with a few changes, each of which leaves it sound: a field dropped or taken over from
    another document, an amount spelled otherwise, a text replaced, a list shortened or turned round."""
    found = document(draw(st.sampled_from((*SAMPLE, "everything", *NAMES))))
    for _ in range(draw(st.integers(1, 8))):
        tree = plain(found)
        everything = list(parts(tree))
        path, value = draw(st.sampled_from(everything[1:]))
        above, key = at(tree, path[:-1]), path[-1]
        if isinstance(value, dict) and draw(st.booleans()):
            value |= copy.deepcopy(draw(st.sampled_from(DONORS[shape(path)])))
        elif isinstance(value, list):
            above[key] = draw(st.sampled_from((value[::-1], value[:1], value[1:], value * 2)))
        elif key in FREE:
            above[key] = draw(TEXT)
        elif isinstance(value, str) and value.rpartition(" ")[2] in SYNONYMS and draw(st.booleans()):
            number, _, unit = value.rpartition(" ")
            respelled = number + draw(st.sampled_from(("", ".0", "e0") if "." not in number else ("0", "e0")))
            above[key] = f"{respelled} {draw(st.sampled_from((unit, *SYNONYMS[unit])))}"
        elif isinstance(above, dict):
            del above[key]
        try:
            found = Protocol.model_validate(tree)
        except ValidationError:
            continue
    return found


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(variations())
def test_any_variation_comes_back_as_itself(given: Protocol) -> None:
    plan = to_plan_definition(given)
    PlanDefinition.model_validate(plan)
    assert reads(json.dumps(plan)) == given
    assert loads(to_yaml(given)) == given


# --- the standard -----------------------------------------------------------------------------------------------------

HOME = {  # type of the shape -> module and class of fhir.resources, where it is not called so itself
    "Goal": ("plandefinition", "PlanDefinitionGoal"),
    "Target": ("plandefinition", "PlanDefinitionGoalTarget"),
    "Action": ("plandefinition", "PlanDefinitionAction"),
    "Condition": ("plandefinition", "PlanDefinitionActionCondition"),
    "RelatedAction": ("plandefinition", "PlanDefinitionActionRelatedAction"),
    "CodeFilter": ("datarequirement", "DataRequirementCodeFilter"),
    "DoseAndRate": ("dosage", "DosageDoseAndRate"),
    "Repeat": ("timing", "TimingRepeat"),
}
NEW_IN_R4B = {"subjectCanonical", "valueRatioRange", "valueCodeableReference"}
"""All that R4B (4.3.0) has and R4 (4.0.1) has not, over the types used here: found by comparing the two releases of
fhir.resources (6.2.1 and 8.3.0), element by element."""


@pytest.mark.parametrize("kind", ELEMENTS)
def test_every_element_used_is_one_of_r4(kind: str) -> None:
    module, name = HOME.get(kind, (kind.lower(), kind))
    model = getattr(importlib.import_module(f"fhir.resources.R4B.{module}"), name)
    known = {field.alias or key for key, field in model.model_fields.items()} | {"resourceType"}
    assert set(ELEMENTS[kind]) <= known - NEW_IN_R4B


@pytest.mark.parametrize("name", (*NAMES, "everything"))
def test_it_is_a_plan_definition_to_others(name: str) -> None:
    PlanDefinition.model_validate(written(name))


@pytest.mark.parametrize("name", (*NAMES, "everything"))
def test_whatever_it_refers_to_is_there(name: str) -> None:
    plan = written(name)
    nodes = [value for _, value in parts(plan) if isinstance(value, dict)]
    ids = [node["id"] for node in nodes if "id" in node]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z0-9.-]{1,64}", name) for name in ids)
    named = {node["actionId"] for node in nodes if "actionId" in node}
    named |= {goal for node in nodes for goal in node.get("goalId", ())}
    assert named <= set(ids)
    referred = {node.get(key, "") for node in nodes for key in ("definitionCanonical", "resource")} - {""}
    assert referred == {f"#{resource['id']}" for resource in plan.get("contained", ())}


def test_every_extension_is_in_some_resource() -> None:
    used = {value for path, value in parts(written("everything")) if path[-2:-1] and path[-1] == "url"}
    assert {f"urn:euthymia:{name}" for name in EXTENSIONS} <= used


def test_no_code_is_used_that_was_not_seen() -> None:
    text = Path(codes.__file__).with_name("codes.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["verified"] for row in rows} <= {"yes", "secondary"}
    assert all(row[key] for row in rows for key in row)


def test_a_clinician_finds_drug_dose_and_timing_in_standard_elements() -> None:
    plan = written("spravato-trd-84")
    drug, first = plan["contained"][:2]
    assert drug["productCodeableConcept"]["text"] == "esketamine"
    assert find(drug, "dosage[0].doseAndRate[0].doseQuantity.value") == 84
    doses = [find(item, "doseAndRate[0].doseQuantity") for item in first["dosage"]]
    assert [(dose["value"], dose["code"]) for dose in doses] == [(56, "mg"), (84, "mg")]
    course = next(action for action in plan["action"] if action.get("id") == "course")
    induction, weekly, *_ = course["action"]
    repeat = induction["timingTiming"]["repeat"]
    assert (repeat["count"], repeat["frequency"], repeat["period"], repeat["periodUnit"]) == (8, 2, 7, "d")
    assert weekly["timingTiming"]["repeat"] == {"count": 4, "frequency": 1, "period": 1, "periodUnit": "wk"}
    infused = written("ketamine-iv-single")["contained"][0]["dosage"][0]
    assert infused["timing"]["repeat"] == {"duration": 40, "durationUnit": "min"}
    assert infused["route"]["text"] == "intravenous"


def test_what_is_not_verified_says_so_to_a_reader() -> None:
    for name in NAMES:
        given, plan = document(name), written(name)
        unsure = sum(item.verified == "no" for item in (*given.sources, *given.alongside, *given.exposure))
        unsure += sum(rule.verified == "no" for _, rule in given.rules())
        assert sum(value == "NOT VERIFIED" for _, value in parts(plan)) == unsure


# --- edits ------------------------------------------------------------------------------------------------------------


def outcome(plan: Any) -> Protocol | str:
    """The protocol read, or what is said against it."""
    try:
        return from_plan_definition(plan, "x.json")
    except UserError as error:
        return str(error)


def edited(name: str, path: str, value: Any) -> Protocol | str:
    plan = written(name)
    above, _, last = path.rpartition(".")
    find(plan, above)[last] = value
    return outcome(plan)


def course(name: str, code: str) -> str:
    """The path of the first action of a kind within the course or its session."""
    for path, value in parts(written(name)):
        if isinstance(value, dict) and find(value, "code[0].coding[0].code") == code and "action" in path:
            return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
    raise AssertionError(code)


def test_an_edited_dose_is_another_dose() -> None:
    found = edited("ketamine-iv-single", "contained[0].dosage[0].doseAndRate[0].doseQuantity.value", 0.4)
    assert isinstance(found, Protocol) and found.drug and str(found.drug.dose) == "0.4 mg/kg"


@pytest.mark.parametrize(
    ("name", "kind", "element", "value", "where", "expected"),
    [
        ("ketamine-iv-trd", "phase", "timingTiming.repeat.count", 6, ("phases", 0, "doses"), 6),
        ("spravato-trd-84", "measure", "timingTiming.repeat.period", 2, ("measure", 0, "every"), "2 weeks"),
        ("ketamine-iv-trd", "hold", "condition[0].expression.expression", "SBP above 150 mmHg",
         ("session", "before", 2, "hold when"), {"SBP": "above 150 mmHg"}),
        ("ketamine-iv-trd", "discharge", "relatedAction[0].offsetRange.low.value", 3,
         ("session", "discharge", "no earlier than"), "3 h"),
        ("ketamine-iv-trd", "exclude", "requiredBehavior", "must-unless-documented",
         ("eligibility", "exclude", 0, "kind"), "relative"),
        ("ketamine-iv-trd", "check", "documentation[0].label", "FDA 2023",
         ("session", "before", 0, "source"), "FDA 2023"),
        ("ketamine-iv-trd", "check", "code[1].text", "fasting", ("session", "before", 0, "check"), "fasting"),
        ("ketamine-iv-trd", "adjust", "extension[0].valuePositiveInt", 4, ("adjust", 0, "after dose"), 4),
        ("ketamine-iv-trd", "stop-course", "prefix", "CAN-3", ("decide", 1, "rule"), "CAN-3"),
        ("ketamine-iv-trd", "continue", "description", "ours", ("decide", 0, "note"), "ours"),
        ("ketamine-then-exposure", "exposure", "relatedAction[0].offsetDuration.value", 2,
         ("exposure", 0, "lag"), "2 day"),
    ],
)  # fmt: skip
def test_an_edited_element_is_another_document(
    name: str, kind: str, element: str, value: Any, where: Where, expected: Any
) -> None:
    found = edited(name, f"{course(name, kind)}.{element}", value)
    assert isinstance(found, Protocol), found
    assert at(plain(found), where) == expected


def leaves(plan: dict[str, Any]) -> Iterator[tuple[Any, str | int]]:
    """Every place of a resource, as what holds it and its key."""
    for path, _ in list(parts(plan))[1:]:
        yield at(plan, path[:-1]), path[-1]


def changes(above: Any, key: Any) -> Iterator[Any]:
    """Other values for a place, and its absence."""
    value = above[key]
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield value * 2 + 1
    elif isinstance(value, str):
        yield value + "x"
    elif isinstance(value, list) and len(value) > 1 and value != value[::-1]:
        yield value[::-1]
    yield None


@pytest.mark.parametrize("name", ("spravato-trd-84", "ketamine-then-exposure", "everything"))
def test_no_edit_of_any_element_passes_unseen(name: str) -> None:
    given, plan = document(name), written(name)
    for above, key in list(leaves(plan)):
        kept = above[key]
        for value in changes(above, key):
            above[key] = value
            found = outcome(plan)
            assert found != given, (key, kept, value)
            if isinstance(found, str):
                assert found.startswith("x.json"), found
                assert "\n" not in found or all(line.startswith("x.json") for line in found.splitlines())
        above[key] = kept
    assert outcome(plan) == given


@pytest.mark.parametrize("name", ("spravato-trd-84", "ketamine-then-exposure", "everything"))
def test_nothing_can_be_left_out_or_added_unseen(name: str) -> None:
    given, plan = document(name), written(name)
    for path, value in list(parts(plan)):
        if not isinstance(value, (dict, list)):
            continue
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            kept = value.pop(key)
            assert outcome(plan) != given, (path, key)
            if isinstance(value, dict):
                value[key] = kept
            else:
                value.insert(key, kept)
        if isinstance(value, dict):
            value["comment"] = "kept?"
            said = outcome(plan)
            del value["comment"]
            assert isinstance(said, str) and "comment" in said
        else:
            value.append(copy.deepcopy(value[0]))
            assert outcome(plan) != given
            value.pop()
    assert outcome(plan) == given


def test_what_a_server_adds_is_left_aside() -> None:
    plan = {"id": "17", "meta": {"versionId": "3"}, "text": {"status": "generated", "div": "<div/>"}}
    assert outcome(written("lithium") | plan) == document("lithium")


DOSE = "contained[0].dosage[0].doseAndRate[0].doseQuantity"
FIRST = "action[0].action[0].condition[0].expression"
SAID: dict[str, tuple[str, Any, str]] = {
    "an unknown extension": ("action[0].extension", [{"url": "urn:other", "valueCode": "x"}], "urn:euthymia:verified"),
    "an extension of another type": ("action[0].extension", [{"url": "urn:euthymia:gap", "valueCode": "x"}], "needs"),
    "an unknown kind of action": ("action[0].code[0].coding[0].code", "sing", '"sing"'),
    "an unknown modifier": ("action[0].modifierExtension", [], "modifierExtension"),
    "an element of R4B": ("subjectCanonical", "urn:x", "subjectCanonical"),
    "another status": ("status", "retired", "active"),
    "a narrative of its own": ("text", {"status": "additional"}, "generated"),
    "another publisher's plan": ("identifier", [{"system": "urn:other", "value": "x"}], "urn:euthymia:protocol"),
    "another resource": ("resourceType", "CarePlan", "PlanDefinition"),
    "a number as text": (f"{DOSE}.value", "0.5", "a number"),
    "a unit without its code": (f"{DOSE}.unit", "mg", "mg/kg"),
    "a code without its unit": (f"{DOSE}.code", "mg", "mg/kg"),
    "a dose beyond the bounds": (f"{DOSE}.value", 5, "contained[0].dosage[0]"),
    "another language": (f"{FIRST}.language", "text/cql", "text/x-euthymia-condition"),
    "another expression": (f"{FIRST}.expression", "age > 18", "action[0].action[0].condition"),
    "another measure": (f"{FIRST}.expression", "years at least 18", "HAM-D17"),
    "a source that is not there": ("action[0].action[0].documentation[0].label", "nobody", "documentation[0].label"),
    "a reference that leads nowhere": ("action[1].action[0].definitionCanonical", "#other", "#drug"),
    "a text over two lines": ("action[0].action[0].documentation[0].label", "a\nb", "documentation[0].label"),
    "a list that is none": ("action", {"title": "x"}, "list"),
    "null": ("title", None, "title"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "hint"), SAID.values(), ids=SAID.keys())
def test_what_cannot_be_read_is_one_sentence_with_its_place(path: str, value: Any, hint: str) -> None:
    plan = written("ketamine-iv-single")
    above, _, last = path.rpartition(".")
    (find(plan, above) if above else plan)[last] = value
    said = outcome(plan)
    assert isinstance(said, str) and said.startswith("x.json") and said.endswith((".", "?")), said
    assert hint in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", "NaN", '{"resourceType": "PlanDefinition"}', '{"a": 1, "a": 2}', "[" * 100_000,
     '{"resourceType": "PlanDefinition", "identifier": 7}', "9" * 5000],
)  # fmt: skip
def test_text_that_is_no_plan_is_one_sentence(text: str) -> None:
    with pytest.raises(UserError, match=r"^x\.json") as caught:
        reads(text, "x.json")
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ELEMENTS["Action"], "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_json_in_any_place_is_a_protocol_or_a_user_error(data: st.DataObject) -> None:
    plan = written(data.draw(st.sampled_from((*SAMPLE, "everything"))))
    path, _ = data.draw(st.sampled_from(list(parts(plan))[1:]))
    at(plan, path[:-1])[path[-1]] = data.draw(JSON)
    assert isinstance(outcome(plan), (Protocol, str))


# --- documentation ----------------------------------------------------------------------------------------------------


def test_the_documentation_says_where_every_field_stands() -> None:
    rows = {tuple(cell.strip(" `") for cell in line.split("|")[1:4]) for line in DOCS.read_text("utf-8").splitlines()}
    for model, table in TABLES.items():
        for key, lens in table.items():
            assert (model.__name__, key, lens.element) in rows
