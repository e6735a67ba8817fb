"""What is varied, and the regimens that come of it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.design.space import searched, space
from euthymia.errors import UserError
from euthymia.protocol import load, loads, schedule
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.changes import differences
from euthymia.protocol.loader import fingerprint
from euthymia.protocol.writer import to_yaml

IV = load("ketamine-iv-maintenance")
APA = load("ketamine-iv-apa")


def values(protocol, *vary: str) -> list[tuple[str, ...]]:
    return [tuple(r.chosen.values()) for r in space(protocol, vary).regimens]


def test_every_combination_is_a_regimen_and_a_sound_document():
    found = space(IV, ["dose=0.25, 0.5 mg/kg", "maintenance interval=1 week, 2 weeks"])
    assert [tuple(r.chosen.values()) for r in found.regimens] == list(
        product(("0.25 mg/kg", "0.5 mg/kg"), ("1 week", "2 weeks"))
    )
    for regimen in found.regimens:
        assert fingerprint(loads(to_yaml(regimen.protocol))) == fingerprint(regimen.protocol)
        assert regimen.protocol.drug and str(regimen.protocol.drug.dose) == regimen.chosen["dose"]
        assert [str(gap) for gap in regimen.protocol.phases[1].every or ()] == [regimen.chosen["maintenance interval"]]


def test_the_protocol_as_it_stands_is_among_its_own_regimens():
    found = space(IV, ["dose=0.25, 0.5 mg/kg"])
    assert [fingerprint(r.protocol) == fingerprint(IV) for r in found.regimens] == [False, True]


def test_a_range_takes_the_steps_at_which_such_things_are_prescribed():
    assert values(IV, "maintenance interval=3 days..2 weeks") == [
        ("3 days",), ("4 days",), ("5 days",), ("1 week",), ("10 days",), ("2 weeks",)
    ]  # fmt: skip
    assert values(IV, "dose=0.25..0.5 mg/kg in 3") == [("0.25 mg/kg",), ("0.375 mg/kg",), ("0.5 mg/kg",)]
    assert values(IV, "induction doses=6..8") == [("6",), ("7",), ("8",)]
    assert values(APA, "maintenance end=12..36 weeks in 3") == [("week 12",), ("week 24",), ("week 36",)]


def test_rules_of_the_course_can_be_varied_and_left_out():
    on, off = space(APA, ["KET-8-UP=on, off"]).regimens
    assert len(on.protocol.adjust) == len(off.protocol.adjust) + 1
    thresholds = space(APA, ["KET-8-DOWN limit=30, 40 points"]).regimens
    limits = [r.protocol.adjust[1].when[0].value.value for r in thresholds]  # type: ignore[index]
    assert limits == [30.0, 40.0]


def test_who_may_be_treated_and_how_safely_is_not_for_a_search_to_decide():
    guarded = {rule.rule for path, rule in APA.rules() if path[0] in ("eligibility", "safeguards", "session")}
    assert not any(name.startswith(rule) for name in searched(APA) for rule in guarded)
    for protocol, vary in ((IV, "INT-2-SBP limit=140, 160 mmHg"), (load("spravato-trd-84"), "ESK-EU-65=on, off")):
        with pytest.raises(UserError, match="how safely somebody is treated is not for a search to decide"):
            space(protocol, [vary])


def test_gaps_taken_in_turn_are_one_value_of_an_interval():
    twice, weekly = space(IV, ["induction interval=3 days + 4 days, 7 days"]).regimens
    assert [str(gap) for gap in twice.protocol.phases[0].every or ()] == ["3 days", "4 days"]
    assert weekly.chosen == {"induction interval": "1 week"}
    assert fingerprint(twice.protocol) == fingerprint(IV)


def test_a_dose_of_one_session_can_be_varied():
    found = space(load("spravato-trd-84"), ["induction dose at session 1=28..84 mg"])
    assert [r.chosen["induction dose at session 1"] for r in found.regimens] == ["28 mg", "56 mg", "84 mg"]


def phases(protocol, taper: int) -> list[tuple[int | None, list[str]]]:
    made = space(protocol, [f"taper={taper}"]).regimens[0].protocol
    return [(phase.doses, [str(gap) for gap in phase.every or ()]) for phase in made.phases]


def test_a_taper_follows_the_last_phase_by_wider_spacings():
    weekly, twice, four = ["1 week"], ["2 weeks"], ["4 weeks"]
    ends = load("ketamine-iv-twice-weekly")
    assert phases(ends, 3) == [*phases(ends, 0), (3, weekly), (3, twice), (3, four)]
    assert phases(IV, 0)[-1] == (None, weekly)
    assert phases(IV, 3)[1:] == [(3, weekly), (3, twice), (None, four)]  # what goes on, goes on by the widest
    with pytest.raises(UserError, match="has no 'taper' to vary"):
        space(APA, ["taper=3"])  # which widens by a rule of its own


def test_a_taper_that_nothing_is_wider_than_is_refused():
    found = space(IV, ["maintenance interval=2 weeks, 8 weeks", "taper=0, 3"])
    assert [tuple(chosen.values()) for chosen, _ in found.refused] == [("8 weeks", "3")]
    assert found.refused[0][1] == "no taper is wider than sessions of maintenance every 8 weeks."


def test_a_taper_gives_the_dose_that_was_given_last():
    titrated = load("ketamine-sc-titrated")
    made = space(titrated, ["taper=2"]).regimens[0].protocol
    assert made.dose_in(made.phases[-1], 1) == titrated.dose_in(titrated.phases[-1], 99)


def doses_given(protocol, weeks: float = 26) -> list[float | None]:
    """Of every session that the calendar plans: mg/kg, or mg of a device."""
    planned = schedule(protocol, HOURS_PER_WEEK * weeks).administrations
    return [a.dose_mg_per_kg or a.dose_mg for a in planned]


def only(protocol, *vary: str):
    (regimen,) = space(protocol, vary).regimens
    assert fingerprint(loads(to_yaml(regimen.protocol))) == fingerprint(regimen.protocol)
    return regimen.protocol


def test_a_titration_gives_its_doses_one_a_session_and_then_the_full_one():
    made = only(IV, "titration=0.25 + 0.4 mg/kg", "dose=0.75 mg/kg")
    assert doses_given(made) == [0.25, 0.4, *[0.75] * (len(doses_given(IV)) - 2)]
    assert doses_given(only(load("spravato-trd-56"), "titration=28 mg"), 4)[:3] == [28, 56, 56]
    assert fingerprint(only(IV, "titration=none", "dose taper=none")) == fingerprint(IV)


def test_a_dose_taper_ends_the_course_with_its_doses_or_goes_on_with_the_last():
    ends, down = load("ketamine-iv-twice-weekly"), "dose taper=0.4 + 0.25 mg/kg"
    assert doses_given(only(ends, down)) == [*[0.5] * 6, 0.4, 0.25]
    assert doses_given(only(ends, down, "titration=0.2 mg/kg")) == [0.2, *[0.5] * 5, 0.4, 0.25]
    assert doses_given(only(ends, down, "taper=2")) == [*[0.5] * 12, 0.4, 0.25]
    assert doses_given(only(IV, down))[:12] == [*[0.5] * 8, 0.4, 0.25, 0.25, 0.25]


def test_the_difference_is_said_dose_by_dose():
    said = {(c.what, c.after) for c in differences(IV, only(IV, "titration=0.25 mg/kg", "dose taper=0.4 mg/kg"))}
    assert said == {
        ("phase induction, dose by session", "0.25 mg/kg, 0.5 mg/kg"),
        ("phase maintenance, dose by session", "0.4 mg/kg"),
    }


STEPS = st.lists(st.sampled_from(["0.1", "0.2", "0.25", "0.3", "0.4", "0.5", "0.75"]), min_size=1, max_size=5)


@given(STEPS.map(sorted) | STEPS, STEPS.map(lambda x: sorted(x, reverse=True)) | STEPS)
def test_a_course_rises_to_its_full_dose_and_falls_from_it_or_is_refused(up, down):
    ends = load("ketamine-iv-twice-weekly")
    rises, falls = [*map(float, up), 0.5], [0.5, *map(float, down)]
    sound = rises == sorted(rises) and rises[0] < 0.5 and falls == sorted(falls, reverse=True) and falls[-1] < 0.5
    full = 8 - len(up) - sum(d != "0.5" for d in down)
    vary = f"titration={' + '.join(up)} mg/kg", f"dose taper={' + '.join(down)} mg/kg"
    try:
        doses = doses_given(only(ends, *vary))
    except UserError:
        assert not sound or full < 2
        return
    assert sound and len(doses) == 8 and doses[: len(up)] == rises[:-1] and doses[8 - len(down) :] == falls[1:]


def test_a_rule_that_would_raise_a_low_dose_is_left_out_or_the_steps_are_refused():
    found = space(APA, ["dose taper=0.25, 0.4 mg/kg", "KET-8-DOWN=on, off"])
    assert [tuple(r.chosen.values()) for r in found.regimens] == [
        ("0.25 mg/kg", "off"), ("0.4 mg/kg", "on"), ("0.4 mg/kg", "off")
    ]  # fmt: skip
    ((_, why),) = found.refused
    assert why.startswith("KET-8-DOWN gives 0.4 mg/kg where the dose of maintenance steps through 0.25 mg/kg")


@pytest.mark.parametrize(
    ("protocol", "vary", "said"),
    [
        (IV, "titration=0.5 mg/kg", "does not rise to the full dose of 0.5 mg/kg"),
        (IV, "titration=0.4 + 0.3 mg/kg", "does not rise"),
        (IV, "dose taper=0.3 + 0.4 mg/kg", "does not fall from the full dose of 0.5 mg/kg"),
        (IV, "titration=20 mg", "must be in mg/kg too"),
        (IV, "titration=0.3", "has no unit"),
        (IV, "dose taper=fast", "is not a number with a unit"),
        (load("spravato-trd-56"), "titration=30 mg", "28 mg"),
        (load("ketamine-iv-single"), "titration=0.3 mg/kg", "has no 'titration' to vary"),
        (load("spravato-trd-84"), "titration=28 mg", "has no 'titration' to vary"),  # it lists its doses
    ],
)
def test_a_titration_or_taper_that_cannot_be_is_refused_in_one_sentence(protocol, vary, said):
    with pytest.raises(UserError) as error:
        space(protocol, [vary])
    assert said in str(error.value) and "\n" not in str(error.value)


def test_what_the_safety_bounds_refuse_is_kept_apart_with_the_reason():
    found = space(IV, ["dose=0.5, 2 mg/kg"])
    assert [r.chosen["dose"] for r in found.regimens] == ["0.5 mg/kg"]
    assert found.refused[0][0] == {"dose": "2 mg/kg"} and "more than" in found.refused[0][1]


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ([], "say what to vary"),
        (["dose"], "says nothing to vary"),
        (["dos=0.5 mg/kg"], "did you mean `dose`"),
        (["dose=1..0.2 mg/kg"], "is empty"),
        (["dose=20 mg"], "must be in mg/kg too"),
        (["dose=0.5"], "has no unit"),
        (["dose=0.5, 0.5 mg/kg"], "given twice"),
        (["dose=0.5 mg/kg", "dose=0.75 mg/kg"], "varied twice"),
        (["dose=9 mg/kg"], "no regimen of this space is allowed"),
        (["induction doses=0..3"], "not a number of sessions"),
        (["route=by mail"], "is not a choice"),
        (["dose=0.1..0.7 mg/kg in 100", "induction interval=1 day..4 weeks in 100"], "too many"),
    ],
)
def test_bad_requests_are_one_sentence(vary, said):
    with pytest.raises(UserError) as error:
        space(IV, vary)
    assert said in str(error.value) and "\n" not in str(error.value)


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text):
    try:
        found = space(IV, [text])
    except UserError as error:
        assert "\n" not in str(error).replace(text, "")
    else:
        assert found.regimens
