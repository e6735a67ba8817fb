"""Measures of a course, against courses whose answer is plain, and limits as they are written."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from euthymia.design.aims import MEASURES, Lived, aim, contradictory, limit, prices
from euthymia.errors import UserError


def lived(*madrs: list[float]) -> Lived:
    n = len(madrs)
    return Lived(np.array(madrs), *(np.zeros(n) for _ in range(4)), *np.full((2, n), np.nan), np.full(n, np.inf))


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


def test_every_measure_says_what_it_is_and_gives_one_number_a_patient():
    for name, measure in MEASURES.items():
        assert measure.says and (name == "cost" or measure.of(lived(WELL, WELL)).shape == (2,)), name


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
