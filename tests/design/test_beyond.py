"""How far trials go, and what of a regimen is beyond them."""

import pytest

from euthymia.design.beyond import beyond_trials, extrapolations, reach
from euthymia.protocol import catalogue, load
from euthymia.trial import document


def test_the_farthest_trials_are_those_one_can_look_up():
    known = {trial.trial for trial in document.catalogue()}
    for way, found in reach().items():
        assert {found.treated_in, found.followed_in} <= known, way
        assert 1 <= found.treated <= found.followed, way


def test_sessions_that_go_on_for_good_count_as_far_as_they_were_observed():
    esketamine, racemic = reach()["esketamine", "intranasal device"], reach()["racemic ketamine", "intravenous"]
    assert esketamine.treated == 102 and esketamine.treated_in == "sustain-3"  # as its document says
    assert racemic.treated == 4  # twelve infusions, three a week
    assert racemic.followed_in == "li-2022"  # nine months after six infusions


@pytest.mark.parametrize(("weeks", "said"), [(4, 0), (12, 1), (52, 2)])
def test_a_long_maintenance_and_a_long_horizon_are_beyond_the_trials(weeks, said):
    found = extrapolations(load("ketamine-iv-maintenance"), weeks)
    assert len(found) == said and all(x.startswith("extrapolation: ") for x in found)


@pytest.mark.parametrize("name", catalogue())
def test_what_gives_no_active_drug_is_beyond_nothing(name):
    protocol = load(name)
    if not any(drug for phase in protocol.phases if (drug := protocol.drug_in(phase)).dose):
        assert beyond_trials(protocol, 52) is None
