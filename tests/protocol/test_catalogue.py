"""The built-in protocols: each loads, is sourced, and says so."""

import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml

from euthymia import protocol

NAMES = protocol.catalogue()
PROMISED = {
    "ketamine-iv-single",
    "ketamine-iv-trd",
    "ketamine-iv-twice-weekly",
    "ketamine-iv-thrice-weekly",
    "ketamine-iv-six-in-12-days",
    "ketamine-iv-maintenance",
    "ketamine-iv-apa",
    "ketamine-iv-va",
    "ketamine-iv-oxford",
    "ketamine-nz-test-then-oral",
    "spravato-trd-56",
    "spravato-trd-84",
    "spravato-mdsi",
    "ketamine-sc-titrated",
    "ketamine-im",
    "ketamine-oral-solution",
    "ketamine-oral-pr",
    "ketamine-sublingual",
    "midazolam-iv",
    "sertraline",
    "escitalopram",
    "quetiapine-xr",
    "ketamine-anaesthesia",
}


def written(name: str) -> str:
    return (files("euthymia.protocol") / "catalogue" / f"{name}.yaml").read_text("utf-8")


def test_the_promised_regimens_are_there() -> None:
    assert set(NAMES) >= PROMISED


@pytest.mark.parametrize("name", NAMES)
def test_it_is_called_what_its_file_is_called(name: str) -> None:
    assert protocol.load(name).protocol == name


@pytest.mark.parametrize("name", NAMES)
def test_check_finds_nothing(name: str) -> None:
    assert protocol.check(name) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_source_seen_first_or_second_hand_has_an_address(name: str) -> None:
    assert all(source.url for source in protocol.load(name).sources if source.verified != "no")


@pytest.mark.parametrize("name", NAMES)
def test_a_verified_rule_rests_on_a_source_that_was_seen(name: str) -> None:
    document = protocol.load(name)
    seen = {source.id: source.verified for source in document.sources}
    assert all(seen[rule.source] == "yes" for _, rule in document.rules() if rule.verified == "yes")


@pytest.mark.parametrize("name", NAMES)
def test_the_canonical_form_reads_back_as_the_same_protocol(name: str) -> None:
    document = protocol.load(name)
    assert protocol.loads(protocol.canonical_json(document)) == document


def test_no_two_documents_share_a_fingerprint() -> None:
    assert len({protocol.fingerprint(protocol.load(name)) for name in NAMES}) == len(NAMES)


def test_only_the_contrast_is_in_the_anaesthetic_range() -> None:
    """The label's range for intravenous induction starts at 1 mg/kg (rule KET-7)."""
    for name in NAMES:
        document = protocol.load(name)
        for item in protocol.schedule(document, 26 * 168.0).administrations:
            if item.route == "intravenous" and item.dose_mg_per_kg is not None and item.dose_mg_per_kg > 1.0:
                assert document.status == "contrast"


def typed(value: Any) -> Any:
    """A document as YAML 1.2 reads it: whole numbers are numbers, yes and no stay words."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return int(value) if value.isdigit() else value


@pytest.mark.parametrize("name", NAMES)
def test_it_keeps_the_published_json_schema(name: str) -> None:
    schema = json.loads(json.dumps(protocol.json_schema()))
    jsonschema.Draft202012Validator(schema).validate(typed(yaml.load(written(name), yaml.BaseLoader)))


def test_the_json_schema_refuses_what_the_reader_refuses() -> None:
    validator = jsonschema.Draft202012Validator(protocol.json_schema())
    faulty = typed(yaml.load(written("ketamine-iv-single"), yaml.BaseLoader)) | {"desing": {}}
    assert not validator.is_valid(faulty)
