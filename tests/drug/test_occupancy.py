"""NMDA occupancy by competing enantiomers and metabolites."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.drug.compounds import ANALYTES
from euthymia.drug.occupancy import Receptor, occupancy


@pytest.fixture
def receptor():
    return Receptor.from_evidence()


@pytest.mark.parametrize("molecule", ["ketamine", "norketamine"])
def test_the_s_enantiomer_binds_tighter_than_the_r(receptor, molecule):
    s, r = receptor.half_occupancy(f"S-{molecule}"), receptor.half_occupancy(f"R-{molecule}")
    assert s < r
    assert r / s == pytest.approx(evidence.value(f"receptor.r_to_s_{molecule}"))


@pytest.mark.parametrize("molecule", ["ketamine", "norketamine"])
def test_equal_parts_of_both_enantiomers_have_the_half_occupancy_of_the_racemate(receptor, molecule):
    unbound = evidence.value(f"receptor.{molecule}_half_occupancy")
    binding = receptor.binding()
    x = unbound / receptor.unbound_fraction / 2 * (binding[f"S-{molecule}"] + binding[f"R-{molecule}"])
    assert occupancy(x) == pytest.approx(0.5)


def test_norketamine_binds_less_than_ketamine(receptor):
    for enantiomer in "SR":
        assert receptor.half_occupancy(f"{enantiomer}-norketamine") > receptor.half_occupancy(f"{enantiomer}-ketamine")


def test_ligands_compete_for_the_same_receptors(receptor):
    binding = receptor.binding()
    s, r = 500 * binding["S-ketamine"], 500 * binding["R-ketamine"]
    assert max(occupancy(s), occupancy(r)) < occupancy(s + r) < occupancy(s) + occupancy(r)


def test_occupancy_lies_between_none_and_all_and_grows(receptor):
    levels = np.geomspace(1e-3, 1e9, 50) * receptor.binding()["S-ketamine"]
    found = occupancy(np.append(0.0, levels))
    assert found[0] == 0 and found[-1] < 1 and np.all(np.diff(found) > 0)


def test_hydroxynorketamine_blocks_nothing_and_norketamine_can_be_switched_inert(receptor):
    assert set(receptor.binding()) == {a for a in ANALYTES if not a.endswith("hydroxynorketamine")}
    assert set(receptor.binding(norketamine_blocks=False)) == {"S-ketamine", "R-ketamine"}
