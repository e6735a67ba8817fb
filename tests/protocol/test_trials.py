"""Failed trials counted from what is on record: what counts, what may count, and what a protocol makes of it."""

import math
from dataclasses import replace
from typing import Any

import pytest
from charts import FIRST, sound
from hypothesis import assume, given
from hypothesis import strategies as st

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.protocol import Protocol, catalogue, load, words
from euthymia.protocol.decide import GIVE, HOLD, MISSING, STOP, decide
from euthymia.protocol.trials import Counted, Failed, Trial, antidepressants, counted_by, failed, judged, measure

ENOUGH = Trial("sertraline", 100, 8, "no response")
NAME = "failed antidepressant trials"


@pytest.mark.parametrize(
    ("change", "counts", "why"),
    [
        ({}, True, ""),
        ({"drug": " Sertraline "}, True, ""),
        ({"daily_dose_mg": 50}, True, ""),
        ({"daily_dose_mg": 25}, False, "25 mg a day is less than 50"),
        ({"daily_dose_mg": None}, None, "mg a day is not known"),
        ({"weeks": 6}, True, ""),
        ({"weeks": 5}, None, "sources differ on whether 5 weeks is enough (4 to 6)"),
        ({"weeks": 3}, False, "3 weeks is less than 4"),
        ({"weeks": math.nan}, None, "weeks is not known"),
        ({"outcome": "partial response"}, True, ""),
        ({"outcome": "response"}, False, "response does not count"),
        ({"outcome": "not tolerated"}, False, "not tolerated does not count"),
        ({"outcome": None}, None, "outcome is not known"),
        ({"drug": "lithium"}, False, "no antidepressant"),
        ({"drug": "amitriptyline"}, None, "sources differ on whether 100 mg a day is enough (100 to 150)"),
        ({"daily_dose_mg": None, "weeks": 1}, False, "1 weeks is less than 4"),  # too short, whatever the dose
    ],
)  # fmt: skip
def test_a_trial_counts_when_it_was_adequate_and_failed(change: dict[str, Any], counts: bool | None, why: str) -> None:
    found = judged(replace(ENOUGH, **change))
    assert found.counts is counts and why in found.why and bool(why) == bool(found.why)


def test_the_document_says_what_counts(document) -> None:
    own = "lasting at least: 2 months, counting: [no response, not tolerated]"
    protocol = document.load(eligibility=requiring(own))
    assert counted_by(protocol) == Counted(pytest.approx(60.875 / 7), ("no response", "not tolerated"))
    short, left, better = ENOUGH, replace(ENOUGH, weeks=9, outcome="not tolerated"), replace(
        ENOUGH, weeks=9, outcome="partial response"
    )  # fmt: skip
    assert [judged(t, counted_by(protocol)).counts for t in (short, left, better)] == [False, True, False]


def test_without_a_word_of_the_document_the_evidence_says_what_counts(document) -> None:
    assert counted_by(document.load()) == counted_by(document.load(eligibility=requiring(""))) == Counted()


def test_a_drug_that_was_tried_twice_counts_once() -> None:
    again = replace(ENOUGH, drug="SERTRALINE", daily_dose_mg=None)
    assert failed([ENOUGH, again]) == Failed(1, 1)
    assert failed([again]) == Failed(0, 1)
    assert failed([ENOUGH, replace(ENOUGH, drug="duloxetine")]) == Failed(2, 2)


def test_no_trials_are_none_that_failed() -> None:
    assert failed([]) == Failed(0, 0)
    assert measure(load("spravato-trd-84"), []) == 0.0


@pytest.mark.parametrize(
    ("drugs", "unsure", "number", "action"),
    [
        (("sertraline", "duloxetine"), (), 2.0, GIVE),
        (("sertraline", "duloxetine"), ("bupropion",), 2.0, GIVE),  # two are enough, whatever a third was
        (("sertraline",), (), 1.0, STOP),
        (("sertraline",), ("sertraline",), 1.0, STOP),
        (("sertraline",), ("duloxetine",), math.nan, HOLD),
        ((), ("duloxetine",), 0.0, STOP),
    ],
)
def test_the_count_decides_where_nothing_unknown_could_change_it(
    drugs: tuple[str, ...], unsure: tuple[str, ...], number: float, action: int
) -> None:
    protocol = load("spravato-trd-84")
    trials = [replace(ENOUGH, drug=drug) for drug in drugs]
    trials += [replace(ENOUGH, drug=drug, outcome=None) for drug in unsure]
    found = measure(protocol, trials)
    assert found == pytest.approx(number, nan_ok=True)
    decided = decide(protocol, sound(FIRST, **{NAME: found}))
    assert decided.action == action
    assert (decided.said["ESK-IND-3"] == MISSING) == math.isnan(number)


def test_every_rule_that_asks_about_the_number_is_asked(document) -> None:
    when = "{failed antidepressant trials: above 2 trials}"
    rule = f"{{rule: X-1, when: {when}, kind: absolute, source: a source, verified: no}}"
    protocol = document.load(eligibility=f"{{exclude: [{rule}]}}")
    trials = [replace(ENOUGH, drug=drug) for drug in ("sertraline", "duloxetine")]
    unsure = Trial("bupropion")
    assert measure(protocol, [*trials[:1], unsure]) == 1.0
    assert math.isnan(measure(protocol, [*trials, unsure]))


# --- properties -------------------------------------------------------------------------------------------------------

TRIALS = st.builds(
    Trial,
    st.sampled_from((*antidepressants(), "lithium", "Sertraline")),
    st.none() | st.floats(1, 400),
    st.none() | st.floats(0.5, 20),
    st.none() | st.sampled_from(words.TRIAL_OUTCOMES),
)
SEVERAL = st.lists(TRIALS, max_size=6)
COUNTED = st.builds(
    Counted,
    st.none() | st.floats(1, 12),
    st.lists(st.sampled_from(words.TRIAL_OUTCOMES[:2] + words.TRIAL_OUTCOMES[3:]), min_size=1, unique=True).map(tuple),
)
PROTOCOLS = [p for p in map(load, catalogue()) if any(r.measure == NAME for r in p.eligibility.require) and p.phases]


def eligible(protocol: Protocol, trials: list[Trial]) -> bool:
    return decide(protocol, sound(FIRST, **{NAME: measure(protocol, trials)})).action == GIVE


@given(SEVERAL, COUNTED)
def test_what_surely_failed_may_have_failed(trials: list[Trial], counted: Counted) -> None:
    found = failed(trials, counted)
    assert 0 <= found.surely <= found.possibly <= len({t.drug.lower() for t in trials})


@given(SEVERAL, COUNTED, st.randoms(use_true_random=False))
def test_the_order_of_trials_does_not_matter(trials: list[Trial], counted: Counted, random: Any) -> None:
    assert failed(random.sample(trials, len(trials)), counted) == failed(trials, counted)


@given(SEVERAL, COUNTED, st.integers(0, 5), st.floats(0, 20))
def test_more_weeks_and_more_mg_never_lower_the_count(
    trials: list[Trial], counted: Counted, which: int, more: float
) -> None:
    assume(which < len(trials))
    before = failed(trials, counted)
    for name in ("weeks", "daily_dose_mg"):
        value = getattr(trials[which], name)
        longer = replace(trials[which], **{name: None if value is None else value + more})
        after = failed([*trials[:which], longer, *trials[which + 1 :]], counted)
        assert after.surely >= before.surely and after.possibly >= before.possibly


@given(SEVERAL, COUNTED, st.integers(0, 5), st.sampled_from(("weeks", "daily_dose_mg", "outcome")))
def test_what_is_forgotten_makes_the_count_less_sure(
    trials: list[Trial], counted: Counted, which: int, name: str
) -> None:
    assume(which < len(trials))
    after = failed([*trials[:which], replace(trials[which], **{name: None}), *trials[which + 1 :]], counted)
    before = failed(trials, counted)
    assert after.surely <= before.surely and after.possibly >= before.possibly


@given(st.sampled_from(PROTOCOLS), SEVERAL, st.integers(0, 5), st.sampled_from(("weeks", "daily_dose_mg", "outcome")))
def test_what_is_unknown_never_makes_anybody_eligible(
    protocol: Protocol, trials: list[Trial], which: int, name: str
) -> None:
    added = [*trials, Trial("sertraline"), Trial("an unknown drug")]
    assert eligible(protocol, trials) or not eligible(protocol, added)
    if which < len(trials):
        lost = [*trials[:which], replace(trials[which], **{name: None}), *trials[which + 1 :]]
        assert eligible(protocol, trials) or not eligible(protocol, lost)


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (("", 50, 8, None), "needs the name of its drug"),
        ((7, 50, 8, None), "needs the name of its drug"),
        (("sertraline", -50, 8, None), "-50 is not a daily dose in mg; allowed: above 0"),
        (("sertraline", 0, 8, None), "0 is not a daily dose in mg"),
        (("sertraline", "50 mg", 8, None), "'50 mg' is not a daily dose in mg; allowed: a number, or None"),
        (("sertraline", 50, math.inf, None), "inf is not a number of weeks"),
        (("sertraline", 50, True, None), "True is not a number of weeks"),
        (("sertraline", 50, 8, "no respons"), "did you mean `no response`?"),
        (("sertraline", 50, 8, "better"), "allowed: no response, partial response, response, not tolerated."),
    ],
)
def test_a_trial_that_cannot_be_is_refused_in_one_sentence(trial: tuple[Any, ...], said: str) -> None:
    with pytest.raises(UserError) as caught:
        Trial(*trial)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def requiring(*more: str) -> str:
    rules = [
        f"{{rule: E-{n}, measure: {NAME}, at least: 2 trials, source: a source, verified: no{', ' * bool(own)}{own}}}"
        for n, own in enumerate(more)
    ]
    return f"{{require: [{', '.join(rules)}]}}"


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("lasting at least: 0 weeks", "`lasting at least` must be longer than zero"),
        ("lasting at least: 6 mg", "allowed: a time"),
        ("counting: []", "counting"),
        ("counting: [no response, no response]", "names an outcome twice"),
        ("counting: [response]", "no response"),
    ],
)
def test_a_document_that_counts_what_cannot_be_is_refused(refusal, own: str, said: str) -> None:
    assert said in refusal(eligibility=requiring(own))


def test_only_failed_trials_are_counted(refusal) -> None:
    row = "{rule: E-1, measure: age, at least: 18 years, %s, source: a source, verified: no}"
    for own in ("lasting at least: 6 weeks", "counting: [no response]"):
        assert "belongs to failed antidepressant trials" in refusal(eligibility=f"{{require: [{row % own}]}}")


def test_two_requirements_count_the_same_trials(document, refusal) -> None:
    six, forty_two = "lasting at least: 6 weeks", "lasting at least: 42 days"
    assert document.load(eligibility=requiring(six, forty_two))
    assert "counts other trials than E-0" in refusal(eligibility=requiring(six, "lasting at least: 8 weeks"))
    assert "counts other trials than E-0" in refusal(eligibility=requiring("", "counting: [no response]"))


# --- words and evidence -----------------------------------------------------------------------------------------------


def test_what_counts_is_said_in_words_and_told_as_a_change(document) -> None:
    from euthymia.protocol import differences
    from euthymia.protocol.plain_words import sentence

    plain = document.load(eligibility=requiring(""))
    full = document.load(eligibility=requiring("lasting at least: 6 weeks, counting: [no response, not tolerated]"))
    said = [sentence(p.eligibility.require[0]) for p in (plain, full)]
    assert said == [
        f"needs {NAME} at least 2 trials",
        f"needs {NAME} at least 2 trials, each lasting at least 6 weeks, counting no response or not tolerated",
    ]
    (change,) = differences(plain, full)
    assert (change.concerns, change.before, change.after) == ("patients at entry", *said)
    other = document.load(eligibility=requiring("lasting at least: 42 days, counting: [not tolerated, no response]"))
    assert differences(full, other) == ()


def test_every_dose_of_the_evidence_is_of_a_drug_and_every_failure_is_an_outcome() -> None:
    rows = evidence.adequacy()
    assert [row.unit for row in rows if not row.drug] == ["weeks"]
    assert len({row.drug.lower() for row in rows}) == len(rows)
    assert set(words.TRIAL_FAILURES) < set(words.TRIAL_OUTCOMES)
    daily = {agent for agent in words.AGENTS if words.AGENTS[agent] in ("SSRI", "SNRI")}
    assert daily <= set(antidepressants())
