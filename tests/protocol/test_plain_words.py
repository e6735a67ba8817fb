"""The explanation a clinician reads."""

import pytest

from euthymia import protocol

NAMES = protocol.catalogue()


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_with_who_decides(name: str) -> None:
    assert "a clinician decides" in " ".join(protocol.explain(protocol.load(name)).split())


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_is_said_with_its_mark(name: str) -> None:
    document = protocol.load(name)
    said = " ".join(protocol.explain(document).split())
    marks = {"yes": "verified", "secondary": "second-hand", "no": "NOT VERIFIED"}
    assert all(f"[{rule.rule}; {rule.source}; {marks[rule.verified]}]" in said for _, rule in document.rules())


@pytest.mark.parametrize("name", NAMES)
def test_every_source_is_named(name: str) -> None:
    document = protocol.load(name)
    said = " ".join(protocol.explain(document).split())
    assert all(source.citation in said and (source.url or "") in said for source in document.sources)


def test_the_calendar_is_said_by_day_and_dose() -> None:
    said = " ".join(protocol.explain(protocol.load("spravato-trd-84")).split())
    assert "56 mg on day 0; 84 mg on days 3, 7, 10, 14, 17, 21, 24" in said
    assert "84 mg on days 28, 35, 42, 49" in said


def test_what_is_no_treatment_says_so() -> None:
    assert "NOT a treatment" in protocol.explain(protocol.load("ketamine-anaesthesia"))
    assert "for research only" in protocol.explain(protocol.load("ketamine-oral-pr"))
