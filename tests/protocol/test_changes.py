"""What changed between two protocols, by meaning, and for whom."""

from itertools import pairwise

import pytest

from euthymia import protocol
from euthymia.protocol.changes import CONCERNS, Change, differences, said_differences

NAMES = protocol.catalogue()
CHECK = "{rule: B-1, check: fasting, source: a source, verified: %s}"
HOLD = "{rule: B-2, hold when: {SBP: above %s mmHg}, source: a source, verified: no}"
DRUG = "{compound: racemic ketamine, route: intravenous, dose: %s, over: %s}"
SCALE = "[{scale: MADRS, every: %s}]"


@pytest.mark.parametrize("name", NAMES)
def test_a_protocol_does_not_differ_from_itself(name: str) -> None:
    document = protocol.load(name)
    assert differences(document, document) == ()
    assert said_differences(document, document).startswith("No difference")


@pytest.mark.parametrize(
    "lines",
    [
        {"drug": DRUG % ("500 ug/kg", "2400 s")},
        {"phases": "[{name: induction, doses: 8, every: [72 h, 4 d]}, {name: maintenance, every: [7 days]}]"},
        {"measure": SCALE % "7 days"},
    ],
)
def test_another_way_to_write_it_is_no_difference(document, lines: dict[str, str]) -> None:
    assert differences(document.load(), document.load(**lines)) == ()


ONE_CHANGE = [
    ({"drug": DRUG % ("0.4 mg/kg", "40 min")}, "during a session", "drug, dose", "0.5 mg/kg", "0.4 mg/kg"),
    ({"drug": DRUG % ("0.5 mg/kg", "1 h")}, "during a session", "drug, over", "40 min", "1 h"),
    ({"measure": SCALE % "2 weeks"}, "follow-up", "measure MADRS, every", "1 week", "2 weeks"),
    ({"population": "MDD"}, "patients at entry", "population", "TRD", "MDD"),
    ({"title": "Another"}, "the clinic", "document, title", "An example", "Another"),
    (
        {"design": "{expectancy: open label, setting: inpatient, sites: one}"},
        *("the clinic", "design, setting", "outpatient", "inpatient"),
    ),
    (
        {"phases": "[{name: start, doses: 8, every: [3 days, 4 days]}, {name: maintenance, every: 1 week}]"},
        *("the course", "phase, name", "induction", "start"),
    ),
    (
        {"session": "{retry: 2 days, discharge: {rule: D-1, no earlier than: 2 h, all of: [clinically stable],"
         " source: a source, verified: yes}}"},
        *("before a session", "session, retry", None, "2 days"),
    ),
    (
        {"session": "{discharge: {rule: D-1, no earlier than: 3 h, all of: [clinically stable], source: a source,"
         " verified: yes}}"},
        *("after a session", "D-1", "may leave no earlier than 2 h, with: clinically stable"),
        "may leave no earlier than 3 h, with: clinically stable",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "concerns", "what", "before", "after"), ONE_CHANGE)
def test_one_change_is_said_once_with_whom_it_concerns(
    document, lines: dict[str, str], concerns: str, what: str, before: str | None, after: str
) -> None:
    assert differences(document.load(), document.load(**lines)) == (Change(concerns, what, before, after),)


def of_rules(document, *rules: str) -> protocol.Protocol:
    own = "{rule: D-1, no earlier than: 2 h, all of: [clinically stable], source: a source, verified: yes}"
    return document.load(session=f"{{before: [{', '.join(rules)}], discharge: {own}}}")


def test_rules_are_matched_by_their_id(document) -> None:
    before = of_rules(document, CHECK % "yes", HOLD % "140")
    after = of_rules(document, HOLD % "160", CHECK % "yes")
    (change,) = differences(before, after)
    assert (change.kind, change.what, change.concerns) == ("changed", "B-2", "before a session")
    assert change.before and "above 140 mmHg" in change.before and change.after and "above 160 mmHg" in change.after


def test_a_mark_that_changed_is_a_change(document) -> None:
    (change,) = differences(of_rules(document, CHECK % "no"), of_rules(document, CHECK % "yes"))
    assert (change.what, change.before, change.after) == ("B-1, mark", "NOT VERIFIED", "verified")


def test_a_rule_that_is_new_is_said_with_source_and_mark(document) -> None:
    (change,) = differences(of_rules(document), of_rules(document, CHECK % "no"))
    assert change.kind == "added" and change.after == "check: fasting [a source; NOT VERIFIED]"


def test_an_id_given_to_another_kind_of_rule_is_a_change(document) -> None:
    row = "{rule: B-1, safeguard: pulse oximetry, source: a source, verified: yes}"
    own = "{rule: S-1, safeguard: supervised administration only, source: a source, verified: yes}"
    found = differences(of_rules(document, CHECK % "yes"), document.load(safeguards=f"[{own}, {row}]"))
    assert any(change.what == "B-1" and change.kind == "changed" for change in found)


def test_phases_in_another_order_are_a_change(document) -> None:
    names = ("induction", "maintenance")
    rows = [f"{{name: {name}, doses: 4, every: 1 week}}" for name in names]
    found = differences(*(document.load(phases=f"[{', '.join(order)}]") for order in (rows, rows[::-1])))
    assert [(change.what, change.concerns) for change in found] == [("order of phases", "the course")]


@pytest.mark.parametrize(("one", "other"), list(pairwise(NAMES)))
def test_the_way_back_is_the_way_there_reversed(one: str, other: str) -> None:
    there, back = (differences(*map(protocol.load, pair)) for pair in ((one, other), (other, one)))
    assert {(c.what, c.before, c.after) for c in there} == {(c.what, c.after, c.before) for c in back}
    assert [CONCERNS.index(c.concerns) for c in there] == sorted(CONCERNS.index(c.concerns) for c in there)


@pytest.mark.parametrize(("one", "other"), list(pairwise(NAMES)))
def test_every_rule_that_only_one_has_is_told(one: str, other: str) -> None:
    before, after = protocol.load(one), protocol.load(other)
    ids = [{rule.rule for _, rule in document.rules()} for document in (before, after)]
    found = differences(before, after)
    assert {c.what for c in found if c.kind == "removed"} >= ids[0] - ids[1]
    assert {c.what for c in found if c.kind == "added"} >= ids[1] - ids[0]
    said = " ".join(said_differences(before, after).split())
    assert all(" ".join(f"{c.kind}: {c.what}:".split()) in said for c in found)


def test_more_sessions_are_counted(document) -> None:
    other = document.load(phases="[{name: induction, doses: 8, every: [3 days, 4 days]}]")
    found = {c.what: (c.before, c.after) for c in differences(document.load(), other)}
    assert found["calendar, sessions in 26 weeks"] == ("30", "8")
