"""Liking, craving and misuse: directions that hold whatever the assumed sizes are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from euthymia.harm.misuse import NEUTRAL, Misuse

MODEL = Misuse.from_evidence()
level = st.floats(0.0, 2000.0)
worth = st.floats(-3.0, 3.0)


@given(level, level, worth)
def test_a_stronger_session_is_liked_more_by_those_who_like_it_and_teaches_more(a, b, value):
    low, high = sorted(MODEL.high(np.array(x)) for x in (a, b))
    first, second = (MODEL.liking(np.array(value), x, np.array(0.0)) for x in (low, high))
    assert (second >= first) if value >= 0 else (second <= first)
    assert 0.0 <= first <= 100.0
    assert MODEL.learnt(np.array(value), high) >= MODEL.learnt(np.array(value), low) >= 0.0


def test_without_drug_liking_is_neutral_and_nothing_is_learnt():
    nothing = MODEL.high(np.array(0.0))
    assert MODEL.liking(np.array(2.0), nothing, np.array(0.0)) == NEUTRAL
    assert MODEL.learnt(np.array(2.0), nothing) == 0.0


@given(st.floats(0.0, 10.0), st.floats(0.0, 5000.0), st.floats(0.0, 5000.0))
def test_craving_fades_and_hazards_add_up_over_time(craving, first_h, second_h):
    k = np.array(craving)
    in_two = MODEL.kept(MODEL.kept(k, np.array(first_h)), np.array(second_h))
    np.testing.assert_allclose(in_two, MODEL.kept(k, np.array(first_h + second_h)), rtol=1e-12, atol=1e-300)
    later = MODEL.kept(k, np.array(first_h))
    stays = [
        1 - MODEL.chance(MODEL.rate_misuse, x, np.array(h))
        for x, h in ((k, first_h), (later, second_h), (k, first_h + second_h))
    ]
    np.testing.assert_allclose(stays[0] * stays[1], stays[2], rtol=1e-9, atol=1e-12)


def test_about_half_of_patients_are_neutral_as_was_seen():
    """Neutral: 5 of 10 on the scale of that study, so 45 to 55 here; 11 of 23 patients said so."""
    value = MODEL.value(np.random.default_rng(1).standard_normal(20_000))
    rated = MODEL.liking(value, MODEL.high(np.array(90.0)), np.array(0.0))
    share = ((rated >= 45) & (rated <= 55)).mean()
    assert 11 / 23 - 2 * np.sqrt(0.25 / 23) < share < 11 / 23 + 2 * np.sqrt(0.25 / 23)
