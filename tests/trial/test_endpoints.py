"""Endpoints from true scores: against simulated ratings and against what must hold."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.patient.population import draw
from euthymia.trial.document import Endpoint
from euthymia.trial.endpoints import predict
from euthymia.trial.replicas import Scores, mirrored

PEOPLE = draw("TRD", 400, 3)
BASELINE = np.full(400, 30.0)


def scores(**by_hour):
    """The same true score in everybody at each time: h24=15 is 15 points at 24 h."""
    return Scores(BASELINE, {float(k[1:]): np.full(400, float(v)) for k, v in by_hour.items()}, PEOPLE, 1.0)


def endpoint(**keys):
    return Endpoint.model_validate({"arm": "x", "evidence": "y", "at": "24 h"} | keys)


def rated(true, trials, seed=0):
    return true + evidence.value("depression.rating_noise") * np.random.default_rng(seed).standard_normal(trials)


def test_half_respond_when_the_true_score_is_at_the_threshold():
    assert predict(endpoint(measure="response"), [scores(h24=15)]) == pytest.approx(50)


def test_response_is_the_share_of_noisy_ratings_that_fell_by_half():
    drawn = 100 * (rated(17, 400_000) <= 15).mean()
    assert predict(endpoint(measure="response"), [scores(h24=17)]) == pytest.approx(drawn, abs=0.3)


def test_remission_counts_ratings_in_whole_points():
    drawn = 100 * (np.round(rated(11, 400_000)) <= 12).mean()
    assert predict(endpoint(measure="remission", limit="12"), [scores(h24=11)]) == pytest.approx(drawn, abs=0.3)


def test_sustained_response_needs_two_visits():
    visits = ["24 h", "48 h", "72 h"]
    e = endpoint(measure="sustained response", visits=visits)
    ratings = rated(15.5, (200_000, 3)) <= 15
    drawn = 100 * (ratings.sum(1) >= 2).mean()
    assert predict(e, [scores(h24=15.5, h48=15.5, h72=15.5)]) == pytest.approx(drawn, abs=0.4)


def followed(**keys):
    visits = {"visits": ["48 h", "72 h"], "limit": "20", "followed": {"measure": "response", "at": ["24 h"]}}
    return endpoint(**({"at": "72 h"} | visits | keys))


def test_nobody_relapses_who_stays_well_and_everybody_who_is_ill():
    well, ill = scores(h24=2, h48=2, h72=2), scores(h24=2, h48=40, h72=40)
    assert predict(followed(measure="relapsed"), [well]) == pytest.approx(0, abs=1e-6)
    assert predict(followed(measure="relapsed"), [ill]) == pytest.approx(100, abs=1e-6)


def test_relapsed_and_not_relapsed_are_everybody():
    s = [scores(h24=10, h48=19, h72=21)]
    both = predict(followed(measure="relapsed"), s) + predict(followed(measure="not relapsed"), s)
    assert both == pytest.approx(100)


def test_a_relapse_counts_from_the_visit_that_finds_it():
    e = followed(measure="mean time to relapse")
    assert predict(e, [scores(h24=2, h48=2, h72=40)]) == pytest.approx(3)  # found at 72 h
    assert predict(e, [scores(h24=2, h48=40, h72=40)]) == pytest.approx(2)


def test_a_relapse_to_be_confirmed_needs_two_visits_in_a_row_and_counts_from_the_first():
    visits = ["48 h", "72 h", "96 h", "120 h"]
    e = endpoint(measure="not relapsed", at="120 h", visits=visits, limit="20", confirmed="yes")
    true = [19.0, 21.0, 18.5, 21.5]
    high = rated(np.array(true), (400_000, 4)) > 20
    pairs = high[:, :-1] & high[:, 1:]
    s = [scores(**{f"h{h}": x for h, x in zip((48, 72, 96, 120), true, strict=True)})]
    assert predict(e, s) == pytest.approx(100 * (~pairs.any(1)).mean(), abs=0.3)
    sooner = endpoint(measure="not relapsed", at="48 h", visits=visits, limit="20", confirmed="yes")
    assert predict(sooner, s) == pytest.approx(100 * (~pairs[:, 0]).mean(), abs=0.3)


def test_relapse_may_be_a_loss_of_improvement():
    e = endpoint(measure="relapsed", at="72 h", visits=["48 h", "72 h"], **{"less than": "0.25", "confirmed": "yes"})
    assert predict(e, [scores(h48=10, h72=10)]) == pytest.approx(0, abs=1e-6)
    assert predict(e, [scores(h48=10, h72=40)]) == pytest.approx(0, abs=1e-3)  # one visit does not do
    assert predict(e, [scores(h48=40, h72=40)]) == pytest.approx(100, abs=1e-6)
    assert predict(e, [scores(h48=22.5, h72=22.5)]) == pytest.approx(25)  # at the threshold, twice


def test_a_response_is_kept_with_one_lapse_between_the_ends():
    e = endpoint(measure="kept response", at="96 h", visits=["24 h", "48 h", "72 h", "96 h"])
    true = np.array([14.0, 16.0, 15.0, 13.0])
    ratings = rated(true, (400_000, 4))
    full, part = ratings <= 15, ratings <= 22.5
    lapses = (~full[:, 1:3]).sum(1)
    kept = full[:, 0] & full[:, 3] & (lapses <= 1) & part[:, 1:3].all(1)
    s = [scores(h24=true[0], h48=true[1], h72=true[2], h96=true[3])]
    assert predict(e, s) == pytest.approx(100 * kept.mean(), abs=0.3)


def test_a_published_number_over_two_arms_is_set_beside_their_mean():
    e = endpoint(measure="change", arm=["x", "z"])
    assert predict(e, [scores(h24=20), scores(h24=10)]) == pytest.approx(-15)


def test_fewer_remit_at_each_later_step():
    s = [scores(h24=20)]
    second, third = (predict(endpoint(measure="remission by step", limit="9.5", step=str(k)), s) for k in (2, 3))
    assert 0 < third < second < 100


def test_mirrored_people_average_to_the_typical_patient():
    both = mirrored(PEOPLE)
    assert len(both) == 2 * len(PEOPLE)
    assert float(both.z["depression.gain"].mean()) == pytest.approx(0, abs=1e-12)
    typical = evidence.value("population.trd.baseline_mean")
    assert float(both.baseline_madrs.mean()) == pytest.approx(typical)
