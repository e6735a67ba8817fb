"""Measures of a course, against courses whose answer is plain, and limits as they are written."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.course.outcomes import SCALES
from euthymia.design.aims import (
    DEFAULT_AIM,
    DEFAULT_BURDENS,
    ILLNESSES,
    MEASURES,
    Lived,
    aim,
    contradictory,
    limit,
    measures,
    prices,
)
from euthymia.errors import UserError


def lived(*scores: list[float], illness: str = "depression", **others: list[list[float]]) -> Lived:
    """Courses of the score of an illness, and of others, by name with _ for a space or a hyphen."""
    named = {SCALES[illness].name: scores, **{name.replace("_", " "): x for name, x in others.items()}}
    arrays, n = {name: np.array(x, float) for name, x in named.items()}, len(scores)
    return Lived(illness, arrays, *np.zeros((4, n)), *np.full((2, n), np.nan), np.full(n, np.inf))


WELL = [40.0, 10.0, 10.0, 10.0, 40.0]


@pytest.mark.parametrize(
    ("measure", "scores", "expected"),
    [
        ("days in remission", WELL, 3.0),
        ("days in remission", [40.0] * 5, 0.0),
        ("days in response", [40.0, 20.0, 20.0], 1.5),
        ("mean MADRS", [40.0, 20.0, 0.0], 20.0),
        ("remission at the end", [40.0, 12.0], 100.0),
        ("remission at the end", [40.0, 12.1], 0.0),
        ("remission after a week", [40.0] * 7 + [10.0, 40.0], 100.0),
        ("response at the end", [40.0, 20.0], 100.0),
        ("time to relapse", [40.0, 15.0, 15.0] + [30.0] * 10, 2.0),
        ("time to relapse", [40.0, 15.0] + [30.0] * 6 + [15.0] * 10, 16.0),
        ("time to relapse", [40.0] * 20, 0.0),
        ("time to relapse", [40.0] + [15.0] * 20, 19.0),
    ],
)
def test_a_measure_is_what_it_says(measure, scores, expected):
    assert MEASURES[measure].of(lived(scores)).tolist() == [expected]


@pytest.mark.parametrize(
    ("measure", "scores", "expected"),
    [
        ("days in response", [50.0, 35.0, 35.0, 36.0], 2.0),  # a fall by 30 %
        ("mean CAPS-5", [50.0, 40.0, 0.0], 32.5),
        ("CAPS-5 at the end", [50.0, 40.0, 31.0], 31.0),
        ("response at the end", [50.0, 35.0], 100.0),
        ("response at the end", [50.0, 35.1], 0.0),
    ],
)
def test_a_measure_of_ptsd_is_what_it_says(measure, scores, expected):
    assert measures("ptsd")[measure].of(lived(scores, illness="ptsd")).tolist() == [expected]


def of_poles(depressive: list[float], manic: list[float]) -> Lived:
    """A year less a day, with these heights of the poles one after the other, each for as long."""
    days = 366 / len(depressive)
    poles = {f"{name}_pole": [np.repeat(x, days)] for name, x in (("depressive", depressive), ("manic", manic))}
    return lived([10.0] * 366, illness="bipolar", YMRS=[[3.0] * 366], **poles)


def test_measures_of_bipolar_disorder_count_new_episodes_and_days_without_either_pole():
    calm, ill = [0.0] * 6, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    by = {name: m.of for name, m in measures("bipolar").items()}
    depressed, manic, both = of_poles(ill, calm), of_poles(calm, [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]), of_poles(ill, ill)
    a_year = 365.25 / 365
    assert by["depressive episodes a year"](depressed) == pytest.approx(2 * a_year)  # the one at the start is not new
    assert by["manic episodes a year"](manic) == pytest.approx(a_year)
    assert by["episodes a year"](manic) == pytest.approx(a_year)
    assert by["episodes a year"](both) == pytest.approx(4 * a_year)
    assert by["switch to mania"](manic).tolist() == [100.0] and by["switch to mania"](depressed).tolist() == [0.0]
    assert by["days well"](manic) == pytest.approx(365 - 61) and by["days in remission"](manic).tolist() == [365.0]
    assert by["mean YMRS"](manic) == pytest.approx(3.0)


def test_an_episode_too_short_to_be_one_is_none():
    spikes = of_poles([0.0, 1.0, 0.0] * 61, [0.0, 1.0, 0.0] * 61)  # of two days
    assert measures("bipolar")["episodes a year"].of(spikes).tolist() == [0.0]


def test_every_measure_says_what_it_is_and_gives_one_number_a_patient():
    kinds = {"depression": lived(WELL, WELL), "ptsd": lived(WELL, WELL, illness="ptsd", MADRS=[WELL, WELL])}
    both = {name: [WELL, WELL] for name in ("YMRS", "depressive_pole", "manic_pole")}
    kinds["bipolar"] = lived(WELL, WELL, illness="bipolar", **both)
    for illness, some in kinds.items():
        for name, measure in measures(illness).items():
            said = measure.words(illness)
            assert said and not re.search("SCALE|FALL", said), name
            assert name == "cost" or measure.of(some).shape == (2,), name
    assert {name for some in kinds for name in measures(some)} == set(MEASURES)


@pytest.mark.parametrize(
    ("illness", "name", "said"),
    [
        ("ptsd", "days in remission", "no score is accepted as remission"),
        ("ptsd", "mean YMRS", "not a measure of PTSD; allowed: .*mean CAPS-5"),
        ("depression", "episodes a year", "not a measure of depression; allowed: .*days in remission"),
        ("bipolar", "time to relapse", "not a measure of bipolar disorder; allowed: .*episodes a year"),
        ("ptsd", "mean CAPS", "did you mean `mean CAPS-5`"),
    ],
)
def test_a_measure_of_another_illness_is_one_sentence_that_names_those_allowed(illness, name, said):
    for ask in (lambda: aim(name, "more", illness), lambda: limit(f"P({name} above 3 points) < 5 %", illness)):
        with pytest.raises(UserError, match=said) as error:
            ask()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("illness", ILLNESSES)
def test_what_is_asked_by_default_has_a_meaning_in_the_illness(illness):
    assert {DEFAULT_AIM[illness], *DEFAULT_BURDENS[illness]} <= set(measures(illness))
    assert measures(illness)[DEFAULT_AIM[illness]].better == "more"


def test_limits_are_read_as_written():
    chance = limit("P(highest SBP above 180 mmHg) < 1 %")
    assert (chance.measure, chance.comparison, chance.value, chance.chance) == ("highest SBP", "above", 180.0, 0.01)
    for same in (
        "P(highest SBP above 180 mmHg in any session) < 1 %",
        "P(SBP above 180 mmHg in any session) below 1%",
        "p( highest SBP > 180 mmHg ) ≤ 1 percent",
        "P(highest SBP>180mmHg)<1%",
    ):
        assert limit(same)[1:] == chance[1:], same
    assert limit("cumulative ketamine at most 2 g")[1:] == limit("cumulative ketamine <= 2000 mg")[1:]
    assert limit("cumulative ketamine at most 2 g").value == 2000.0
    assert limit("sessions at most 30").value == limit("sessions at most 30 sessions").value == 30.0
    assert limit("visits at most 30").value == 30.0
    assert limit("days in remission at least 100 days").chance is None


@given(st.text(max_size=40) | st.text("P()<>= highestSBPabove180mmHg%.", max_size=40))
def test_no_text_breaks_the_reader_of_limits(text):
    try:
        assert limit(text).measure in MEASURES
    except UserError as error:
        assert "\n" not in str(error).replace(text, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("visits", "is not a limit"),
        ("visit at most 3", "did you mean `visits`"),
        ("visits at most many", "not a number of visits"),
        ("highest SBP above 180", "has no unit"),
        ("P(highest SBP above 180 mmHg) < 0 %", "between 0 and 100"),
        ("P(highest SBP above 180 kg) < 1 %", "pressure"),
        ("P(highest SBP above 180 mmHg) < 0.01", "is not a limit on a chance"),
        ("P(highest SBP above 180 mmHg) > 1 %", "how seldom something must happen"),
        ("P(highest SBP above 180 mmHg) < 1.2.3 %", "is not a limit on a chance"),
        ("P(highest SBP above 180 mmHg < 1 %", "is not a limit on a chance"),
        ("P(visits above 30 in any session) < 5 %", "not a measure of a session"),
        ("P(pulse above 180 mmHg in any session) < 5 %", "'pulse' is not a measure"),
        ("P() < 1 %", "is not a limit"),
        ("visits at most 1.2.3", "not a number of visits"),
    ],
)
def test_bad_limits_are_one_sentence(text, said):
    with pytest.raises(UserError, match=said.replace("(", "\\(")):
        limit(text)


def test_an_aim_has_its_way():
    assert aim("mean MADRS", "less").sign == -1.0
    with pytest.raises(UserError, match="less of it is better"):
        aim("mean MADRS", "more")
    with pytest.raises(UserError, match="not a measure"):
        aim("happiness", "more")


def test_limits_that_cannot_both_hold_are_named():
    both = [limit("visits at most 10"), limit("visits at least 20")]
    assert "cannot both hold" in str(contradictory(both))
    assert contradictory([limit("visits at most 20"), limit("visits at least 10")]) is None


def test_cost_is_what_visits_and_sessions_cost_at_the_prices_given():
    given = prices(["visit=150", "session=400.5"])
    assert given and given.cost(np.array([10.0, 0.0]), np.array([8.0, 0.0])).tolist() == [4704.0, 0.0]
    assert prices([]) is None and limit("cost at most 9000").value == 9000.0
    only = prices(["visit=150"])
    assert only and only.session == 0


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["nurse=3"], "has no price here"),
        (["visit"], "is not a price"),
        (["visit=150 EUR"], "is not a price"),
        (["visit=-1"], "is not a price"),
        (["visit=1", "visit=2"], "priced twice"),
        (["visit=0"], "above 0"),
    ],
)
def test_bad_prices_are_one_sentence(texts, said):
    with pytest.raises(UserError, match=said) as error:
        prices(texts)
    assert "\n" not in str(error.value)
