"""Answers to questions: reproducible, in the direction the evidence gives, and labelled where there is none."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.trial.questions import LAG_WORDS, QUESTIONS, ask, uncertain


@pytest.fixture(scope="module")
def answers():
    return {name: ask(name, patients=60, draws=6) for name in QUESTIONS}


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_answer_says_what_it_rests_on_and_that_it_extrapolates(answers, name):
    answer = answers[name]
    assert answer.said and answer.drawn
    assert any(limit.startswith("extrapolation") for limit in answer.limits)
    for line in answer.lines:
        assert line.values.shape == (5, len(answer.x_words))
        assert np.all(np.diff(line.values, axis=0) >= -1e-12)
    assert len(answer.table()) == len(answer.lines) * len(answer.x_words)


def test_exposure_under_block_is_worst_a_day_later_best_and_before_it_unchanged(answers):
    middle = dict(zip(LAG_WORDS, answers["exposure-lag"].lines[0].values[2], strict=True))
    assert middle["during"] == min(middle.values()) < 0
    assert max(middle, key=middle.__getitem__) in ("12 h", "1 day", "2 days")
    assert middle["2 h before"] == pytest.approx(0, abs=0.05)


def test_a_stabiliser_lowers_the_share_with_mania(answers):
    without, with_one = answers["stabiliser"].lines
    assert with_one.values[2, -1] < without.values[2, -1]


def test_what_is_uncertain_moves_the_answer():
    """Draws must reach compiled code, which keeps what it was compiled with."""
    for name in QUESTIONS:
        line = ask(name, patients=60, draws=6).lines[-1].values
        assert (line[4] - line[0]).max() > 0, name


def test_the_same_seed_repeats(answers):
    again = ask("exposure-lag", patients=60, draws=6)
    assert np.array_equal(again.lines[0].values, answers["exposure-lag"].lines[0].values)


def test_draws_come_from_the_posterior_or_the_range():
    drawn = uncertain(["extinction.block"], 50, 1)
    row = evidence.parameter("extinction.block")
    assert drawn.values.min() == pytest.approx(row.low) and drawn.values.max() == pytest.approx(row.high)
    with pytest.raises(UserError, match="no range above 0"):
        uncertain(["otto2021.clearance"], 5, 1)


@pytest.mark.parametrize(
    ("given", "said"),
    [(dict(name="dose"), "no question 'dose'"), (dict(name="stabiliser", draws=1), "at least 50 patients and 5 draws")],
)
def test_bad_questions_get_one_sentence(given, said):
    with pytest.raises(UserError, match=said):
        ask(**given)
