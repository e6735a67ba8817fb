"""The explanation a clinician reads."""

from typing import Self

import pytest
from pydantic import model_validator

from euthymia import protocol
from euthymia.protocol.plain_words import action_of, sentence, set_by_clinic, short
from euthymia.protocol.rules import BeforeRule, Duration, Rule, When

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


def rules_of(name: str) -> dict[str, Rule]:
    return {rule.rule: rule for _, rule in protocol.load(name).rules()}


def test_a_number_nobody_has_seen_in_a_guideline_is_the_clinics_to_set() -> None:
    rules = rules_of("ketamine-iv-trd")
    by_clinic = {name for name, rule in rules.items() if set_by_clinic(rule)}
    assert {"INT-2-SBP", "STOP-DBP", "ADJ-1", "ADULT", "KET-1"} <= by_clinic
    assert not by_clinic & {"AU-1", "KET-3", "INT-2-CHECK", "CAN-2", "CAN-5-PSY", "KET-4"}
    assert set_by_clinic(rules_of("escitalopram")["ORAL-1"])


def test_a_follow_up_without_an_interval_leaves_it_to_the_clinic(document) -> None:
    row = "{rule: S-%d, safeguard: %s, source: a source, verified: yes}"
    first = row % (1, "supervised administration only")
    rows = [first, row % (2, "bladder follow-up"), row % (3, "cognition follow-up, every: 4 weeks")]
    said = [sentence(rule) for rule in document.load(safeguards=f"[{', '.join(rows)}]").safeguards]
    assert "set by the clinic" in said[1]
    assert said[2].endswith("; every 4 weeks") and "set by the clinic" not in said[2]


def test_a_key_the_words_do_not_know_is_said_as_it_is_written() -> None:
    class Timed(BeforeRule):
        lead_time: Duration | None = None

    row = {"rule": "T-1", "source": "a", "verified": "yes", "check": "fasting"}
    assert sentence(Timed.model_validate(row | {"lead time": "2 h"})) == "check: fasting; lead time: 2 h"
    assert sentence(Timed.model_validate(row)) == "check: fasting"
    assert short(Timed.model_validate(row | {"lead time": "2 h"})) == "fasting; lead time: 2 h"


def test_a_condition_under_a_key_the_words_do_not_know_is_said_by_that_key() -> None:
    class Laddered(BeforeRule):
        pause_when: When | None = None

        @model_validator(mode="after")
        def _what(self) -> Self:
            return self

    rule = Laddered.model_validate(
        {"rule": "T-1", "source": "a", "verified": "yes", "pause when": {"SBP": "above 130 mmHg"}}
    )
    assert sentence(rule) == "pause when SBP above 130 mmHg" and action_of(rule) == "pause"


def test_the_calendar_shows_the_course_if_no_rule_speaks() -> None:
    said = protocol.explain(protocol.load("ketamine-iv-trd"))
    assert "if no rule speaks" in said and "not yet acted on" not in said


def test_the_calendar_is_said_by_day_and_dose() -> None:
    said = " ".join(protocol.explain(protocol.load("spravato-trd-84")).split())
    assert "56 mg on day 0; 84 mg on days 3, 7, 10, 14, 17, 21, 24" in said
    assert "84 mg on days 28, 35, 42, 49" in said


def test_what_is_no_treatment_says_so() -> None:
    assert "NOT a treatment" in protocol.explain(protocol.load("ketamine-anaesthesia"))
    assert "for research only" in protocol.explain(protocol.load("ketamine-oral-pr"))
