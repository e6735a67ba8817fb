"""The clinic of virtual patients: rules left out because it has answered them would not have spoken."""

from dataclasses import fields, replace

import numpy as np
import pytest

from euthymia.course.readings import NORMAL
from euthymia.course.virtual_clinic import certain, open_questions
from euthymia.patient.population import illness_of
from euthymia.protocol import catalogue, load
from euthymia.protocol.chart import Place
from euthymia.protocol.decide import QUIET, decide
from euthymia.protocol.words import MEASURES

SIMULATED = [name for name in catalogue() if load(name).phases and load(name).status != "contrast"]
VISITS = 2000


def visits(name: str):
    """Charts of that clinic with whatever a visit may show, some of it unknown."""
    protocol, rng = load(name), np.random.default_rng(7)
    known = certain(protocol, illness_of(protocol.population))
    open_ = [m for m in MEASURES if m not in known.measures]
    shown = {m: rng.choice([np.nan, 0.0, 3.0, 12.0, 30.0, 60.0, 90.0, 150.0, 190.0], VISITS) for m in open_}
    phase = rng.integers(0, len(protocol.phases), VISITS)
    place = Place(
        phase=phase,
        number=rng.integers(1, 9, VISITS),
        given=rng.integers(0, 12, VISITS),
        time_h=24.0 * rng.integers(0, 300, VISITS),
        since_h=rng.choice([np.inf, 12.0, 24.0, 168.0], VISITS),
        before_h=24.0 * rng.integers(0, 300, VISITS),
        ended=rng.integers(-1, len(protocol.phases), VISITS),
        dose=rng.choice([np.nan, 0.25], VISITS),
    )
    before = {"MADRS": rng.choice([np.nan, 8.0, 30.0], VISITS)}
    measures = {**known.measures, **shown}
    return protocol, replace(
        known, measures=measures, before=before, responded=rng.choice([0.0, 1.0], VISITS), place=place
    )


@pytest.mark.parametrize("name", SIMULATED)
def test_what_is_left_out_says_nothing_and_the_decision_is_the_same(name):
    protocol, chart = visits(name)
    fewer = open_questions(protocol, illness_of(protocol.population))
    expected, found = decide(protocol, chart), decide(fewer, chart)
    for field in ("action", "dose", "dose_mg", "phase", "next_h"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), err_msg=field)
    for f in fields(Place):
        np.testing.assert_array_equal(getattr(found.place, f.name), getattr(expected.place, f.name), err_msg=f.name)
    for rule, said in expected.said.items():
        np.testing.assert_array_equal(found.said.get(rule, QUIET), said, err_msg=rule)


def test_most_rules_are_left_out_and_what_is_simulated_is_not_certain():
    protocol = load("ketamine-iv-maintenance")
    fewer = open_questions(protocol, "depression")
    assert 2 * len(list(fewer.rules())) < len(list(protocol.rules()))
    assert "YMRS" in NORMAL and "YMRS" not in certain(protocol, "bipolar").measures
