"""The documents of care under a guideline: every rule is traced to its note, and what no note gives says so."""

import re
from pathlib import Path

import pytest

from euthymia import evidence
from euthymia.protocol import Protocol, catalogue, load
from euthymia.protocol.chart import WHENS
from euthymia.protocol.document import Source
from euthymia.protocol.plain_words import sentence
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.rules import DecideRule, Requirement, Rule, Safeguard, Warning

NAMES = (
    "spravato-trd-84",
    "spravato-trd-56",
    "spravato-mdsi",
    "ketamine-iv-apa",
    "ketamine-sc-titrated",
    "ketamine-nz-test-then-oral",
    "ketamine-iv-va",
    "ketamine-iv-oxford",
    "ketamine-iv-bipolar",
    "ketamine-iv-ptsd",
    "ketamine-then-exposure",
)
ROWS = {row.id: row for row in evidence.rules()}
SET = "set by the clinic"
WEAKEST_LAST = ("yes", "secondary", "no")
SPELLED = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
TABLE = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text("utf-8")


def rules_of(names: tuple[str, ...]) -> list:
    return [pytest.param(p, rule, id=f"{p.name}-{rule.rule}") for p in map(load, names) for _, rule in p.rules()]


RULES = rules_of(NAMES)
OF_ALL = rules_of(tuple(catalogue()))


def note_of(rule: Rule) -> str | None:
    """The id of the note a rule comes from: its own, or its own before a suffix (`R2-BP-1-SBP` of R2-BP-1)."""
    parts = rule.rule.split("-")
    return next((id for n in range(len(parts), 0, -1) if (id := "-".join(parts[:n])) in ROWS), None)


def source_of(protocol: Protocol, rule: Rule) -> Source:
    return next(source for source in protocol.sources if source.id == rule.source)


def row(rule: Rule) -> str:
    """A rule as a line of the page of protocols."""
    note = f" ({rule.note})" if rule.note else ""
    return f"| `{rule.rule}` | {sentence(rule)}{note} | {note_of(rule) or ''} | {rule.verified} |"


def thresholds(rule: Rule) -> list[float]:
    """Every number in a rule on which something turns, as written; 0 (the start, or any at all) is none."""
    found = [c.value for name in WHENS for c in getattr(rule, name, None) or () if c.value]
    if isinstance(rule, Requirement):
        found.append(rule.limit.value)
    keys = ("every", "for_", "valid_for", "no_earlier_than", "dose_to", "steps_of", "lasting_at_least")
    found += [getattr(rule, key, None) for key in keys]
    found += getattr(rule, "at", None) if isinstance(getattr(rule, "at", None), tuple) else ()
    if isinstance(rule, Safeguard):
        found += [rule.at_least, rule.at_most]
    if isinstance(rule, DecideRule):
        found += [rule.at_most, *(int(week) for week in re.findall(r"^week (\d+)$", rule.at))]
    numbers = [float(x.text.split()[0]) if isinstance(x, Quantity) else float(x) for x in found if x is not None]
    return [x for x in numbers if x]


def numbers_in(text: str) -> set[float]:
    """Every number in a note, in figures or in words."""
    plain = re.sub(r"\ba (?=year\b)", "1 ", text)
    spelled = {SPELLED[word] for word in re.findall(r"[a-z]+", plain.lower()) if word in SPELLED}
    return {float(x) for x in re.findall(r"\d+(?:\.\d+)?", plain)} | spelled


@pytest.mark.parametrize(("protocol", "rule"), OF_ALL)
def test_no_rule_is_marked_surer_than_its_note(protocol: Protocol, rule: Rule):
    note = note_of(rule)
    if note:
        assert WEAKEST_LAST.index(rule.verified) >= WEAKEST_LAST.index(ROWS[note].verified)


@pytest.mark.parametrize(("protocol", "rule"), OF_ALL)
def test_a_rule_and_its_note_rest_on_the_same_source(protocol: Protocol, rule: Rule):
    """The page itself; of a work that was only recalled, its first author or title."""
    note, source = note_of(rule), source_of(protocol, rule)
    if note:
        same_page = source.url is not None and source.url.rstrip("/") in ROWS[note].source
        recalled = ROWS[note].verified == "no" and source.citation.split()[0] in ROWS[note].source
        assert same_page or recalled


@pytest.mark.parametrize(("protocol", "rule"), RULES)
def test_a_rule_without_a_note_is_not_verified(protocol: Protocol, rule: Rule):
    assert note_of(rule) or rule.verified == "no"


@pytest.mark.parametrize(("protocol", "rule"), RULES)
def test_what_the_clinic_sets_is_not_verified(protocol: Protocol, rule: Rule):
    if SET in (rule.note or ""):
        assert rule.verified == "no"


@pytest.mark.parametrize(("protocol", "rule"), RULES)
def test_a_limit_that_the_note_does_not_give_is_set_by_the_clinic(protocol: Protocol, rule: Rule):
    note = note_of(rule)
    given = numbers_in(ROWS[note].text) if note else set()
    if set(thresholds(rule)) - given:
        assert SET in (rule.note or "")


@pytest.mark.parametrize(("protocol", "rule"), RULES)
def test_every_note_named_in_passing_exists(protocol: Protocol, rule: Rule):
    named = re.findall(r"\b(?:R2|ESK|REMS|APA|CAN|INT|UDS|UK|BP|NZ|VADOD|RESP)-[A-Z0-9-]*[A-Z0-9]", rule.note or "")
    assert set(named) <= set(ROWS)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_protocols_says_every_rule_with_its_note_and_mark(name: str):
    section = TABLE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [row(rule) for _, rule in load(name).rules()]


def test_warnings_say_what_they_warn_of_in_the_words_of_a_note():
    """A warning is of a guideline: none is this project's own."""
    assert all(note_of(rule) for name in NAMES for _, rule in load(name).rules() if isinstance(rule, Warning))
