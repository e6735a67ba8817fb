"""Inhibitors and inducers: direction and size of the published exposure ratios, and routes in the right order."""

import numpy as np
import pytest

from euthymia import evidence
from euthymia.drug.body import Body
from euthymia.drug.dispositions import otto2021, perezruixo2021
from euthymia.drug.interactions import SITES, combined, evidence_ratios, exposure_ratio, factors
from euthymia.errors import UserError

PUBLISHED = [(agent, route, row) for agent in SITES for route, row in evidence_ratios(agent).items()]


def body(intrinsic, gut):
    one = np.ones(1)
    return Body(70 * one, 40 * one, 0 * one, 0 * one, intrinsic * one, gut * one, {})


@pytest.mark.parametrize(("agent", "route", "row"), PUBLISHED, ids=lambda x: getattr(x, "id", x))
def test_a_published_ratio_is_met_in_direction_and_size(agent, route, row):
    found = exposure_ratio(route, factors(agent))
    assert (found > 1) == (row.value > 1)
    # two factors cannot meet every route of an agent; numbers nobody read (verified no) may be missed by more
    assert found == pytest.approx(row.value, rel=0.2 if row.verified else 0.45)


@pytest.mark.parametrize("agent", SITES)
def test_swallowed_drug_moves_most_and_injected_least(agent):
    oral, nasal, vein = (abs(np.log(exposure_ratio(r, factors(agent)))) for r in ("oral", "nasal", "intravenous"))
    assert oral > nasal > vein


@pytest.mark.parametrize("agent", SITES)
def test_the_disposition_gives_the_ratio_that_the_formula_gives(auc, agent):
    changed = factors(agent)
    devices = (3.0,)
    routes = {"intravenous": "intravenous", "oral solution": "oral", "intranasal device x3": "nasal"}
    found = []
    for people in (body(1.0, 1.0), body(*changed)):
        system, inputs = perezruixo2021(people, ("intravenous", "oral solution", "intranasal device"), devices)
        found.append({r: auc(system, inputs[r], 84.0)["S-ketamine"][0] for r in routes})
    for route, name in routes.items():
        assert found[1][route] / found[0][route] == pytest.approx(exposure_ratio(name, changed), rel=1e-4)


@pytest.mark.parametrize("agent", SITES)
def test_both_venous_dispositions_agree_on_an_interaction(auc, agent):
    """otto2021 has no liver; its clearance and swallowed fraction must move as the well-stirred liver says."""
    changed = factors(agent)
    found = []
    for people in (body(1.0, 1.0), body(*changed)):
        system, inputs = otto2021(people, "S", ("intravenous", "oral solution", "intramuscular"))
        found.append({r: auc(system, inputs[r], 50.0)["S-ketamine"][0] for r in inputs})
    ratio = {r: found[1][r] / found[0][r] for r in found[0]}
    assert ratio["intravenous"] == pytest.approx(exposure_ratio("intravenous", changed), rel=1e-4)
    assert ratio["intramuscular"] == pytest.approx(ratio["intravenous"], rel=1e-4)
    assert ratio["oral solution"] == pytest.approx(exposure_ratio("oral", changed), rel=1e-4)


def test_an_inducer_and_an_inhibitor_partly_cancel():
    both = combined(("rifampicin", "ticlopidine"))
    one, other = factors("rifampicin"), factors("ticlopidine")
    assert other.intrinsic_clearance < both.intrinsic_clearance < one.intrinsic_clearance


def test_an_agent_without_published_ratios_is_refused():
    with pytest.raises(UserError, match="no published interaction for 'ketoconazole'; known: ticlopidine"):
        factors("ketoconazole")


def test_every_published_ratio_of_the_evidence_belongs_to_a_known_agent():
    rows = {p.id for p in evidence.model_parameters() if p.id.startswith("interaction.")}
    assert rows == {row.id for _, _, row in PUBLISHED}
