"""Counting episodes as cohorts do, and the poles fitted to what they found."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.illness.bipolar import FITTED_TO_COHORTS, Episode, Pole, episodes, mean_time_to_leave
from euthymia.learn.poles import YEAR_D, YEARS, Followed, findings, follow

COUNTS = {f.what: f for f in findings()}
NOW = {id: evidence.value(id) for id in FITTED_TO_COHORTS}


def by_hand(depressions, manias, patients=2, years=5):
    """People of whom only the episodes matter."""
    flat = np.zeros((years * YEAR_D, patients))
    for of, x in ((depressions, flat), (manias, flat.copy())):
        for e in of:
            x[e.start : e.end, e.patient] = 1.0
    return Followed(flat, np.zeros_like(flat), depressions, manias, np.zeros(patients))


def test_an_episode_begins_above_one_limit_ends_below_another_and_lasts():
    x = np.zeros((100, 3))
    x[10:40, 0] = 0.8
    x[20:25, 0] = 0.5  # not low enough to end it
    x[10:40, 1] = 0.6  # never high enough to begin
    x[10:15, 2] = 0.9  # too short
    assert episodes(x, 14) == [Episode(0, 10, 40)]


def test_an_episode_still_on_at_the_end_is_one():
    x = np.zeros((50, 1))
    x[30:] = 1.0
    assert episodes(x, 14) == [Episode(0, 30, 50)]


def test_shares_of_years_by_number_of_episodes():
    seen = by_hand([Episode(0, 10, 40), Episode(0, 100, 130), Episode(0, 400, 430)], [Episode(1, 30, 40)])
    shares = {what: f.count(seen) for what, f in COUNTS.items() if what.endswith("in a year")}
    # ten years of two people: one with two episodes, two with one
    assert list(shares.values()) == pytest.approx([0.7, 0.2, 0.1, 0.0])


def test_a_switch_is_a_mania_that_begins_within_a_depression():
    seen = by_hand([Episode(0, 10, 100), Episode(1, 10, 100)], [Episode(0, 50, 80), Episode(1, 150, 180)])
    (switched,) = (f for f in COUNTS.values() if "in which mania" in f.what)
    assert switched.count(seen) == 0.5


def test_what_recurs_first_and_after_how_long():
    seen = by_hand([Episode(0, 10, 100), Episode(1, 10, 100), Episode(1, 240, 300)], [Episode(0, 170, 180)])
    (first,) = (f for f in COUNTS.values() if "recurrences" in f.what)
    assert first.count(seen) == 0.5
    (weeks,) = (f for f in COUNTS.values() if "quarter are depressive" in f.what)
    waits = [140, seen.days, seen.days]  # of the three depressions, two have none after them
    assert np.exp(weeks.count(seen)) == pytest.approx(np.quantile(waits, 0.25) / 7)


def test_durations_are_those_of_the_exact_passage_times():
    """Everybody alike: the mean duration agrees with quadrature, between the limits that count an episode."""
    seen = follow(NOW | {"bipolar.sd_instability": 1e-9}, patients=300)
    lasting = [e.end - e.start for e in seen.depressions if 0 < e.start < seen.days - 2 * YEAR_D]
    pole = Pole(NOW["bipolar.depressive.barrier"], NOW["bipolar.depressive.noise"])
    exact = mean_time_to_leave(pole, evidence.value("bipolar.time"), 1.0, 0.3) / 24
    # an episode shorter than two weeks is none, and one that begins need not reach its full height
    assert np.mean(lasting) == pytest.approx(exact, rel=0.25)


def test_the_poles_in_force_are_near_what_cohorts_found():
    seen = follow(NOW)
    off = np.array([(f.count(seen) - f.value) / f.se for f in COUNTS.values()])
    assert np.sqrt((off**2).mean()) < 1.5 and np.abs(off).max() < 3.5


def test_every_finding_is_of_the_calibration_set_and_positive_in_its_error():
    ids = {row.id for row in evidence.outcomes(set="calibration")}
    for f in findings():
        assert f.evidence in ids and f.se > 0


def test_people_are_followed_for_years():
    seen = follow(NOW, patients=20)
    assert seen.days >= YEARS * YEAR_D and seen.depressive.shape[1] == 20
