"""What must hold of every disposition, whatever its numbers: mass balance, saturation, the published variability."""

import jax.numpy as jnp
import numpy as np
import pytest

from euthymia import evidence
from euthymia.drug.body import Body, typical_body
from euthymia.drug.dispositions import DEVICE_MG, nasal_fractions, otto2021, perezruixo2021, simons2022

WEIGHTS = np.array([45.0, 70.0, 110.0, 160.0])
# exact in real arithmetic; modes of one block that nearly coincide with another's are moved by 1e-5
EXACT = 2e-5


def own(name):
    return evidence.value("otto2021." + name)


@pytest.mark.parametrize("enantiomer", ["S", "R"])
def test_all_ketamine_given_by_vein_leaves_through_its_clearance(auc, enantiomer):
    system, inputs = otto2021(typical_body(WEIGHTS), enantiomer, ("intravenous",))
    size = (WEIGHTS / 70) ** own("exponent_clearance")
    clearance = own("clearance") * size * (own("r_clearance_ratio") if enantiomer == "R" else 1)
    found = auc(system, inputs["intravenous"], 10.0)
    assert found[f"{enantiomer}-ketamine"] * clearance / 1e3 == pytest.approx(10.0, rel=EXACT)
    # all of it becomes norketamine, mass for mass, and leaves through norketamine's clearance
    assert found[f"{enantiomer}-norketamine"] * own("norketamine_clearance") * size / 1e3 == pytest.approx(
        10, rel=EXACT
    )


@pytest.mark.parametrize(
    "route", ["intramuscular", "subcutaneous", "oral solution", "sublingual", "compounded nasal spray"]
)
def test_exposure_by_any_route_is_bioavailability_times_that_by_vein(auc, route):
    body = typical_body(WEIGHTS)
    system, inputs = otto2021(body, "S", ("intravenous", route))
    available = evidence.value(
        "absorption." + route.removesuffix(" solution").removesuffix(" spray").replace(" ", "_") + "_bioavailability"
    )
    ratio = auc(system, inputs[route], 10.0)["S-ketamine"] / auc(system, inputs["intravenous"], 10.0)["S-ketamine"]
    assert ratio == pytest.approx(available, rel=EXACT)


def test_a_stated_absorption_input_replaces_the_assumed_one(auc):
    body = typical_body(WEIGHTS)
    system, inputs = otto2021(
        body, "S", ("intravenous", "subcutaneous"), {"subcutaneous_bioavailability": 0.5, "subcutaneous_rate": 9.0}
    )
    by = {route: auc(system, inputs[route], 1.0)["S-ketamine"] for route in inputs}
    assert by["subcutaneous"] / by["intravenous"] == pytest.approx(0.5, rel=EXACT)
    assert np.isclose(np.asarray(system.rates), 9.0, rtol=1e-4).any()


def test_the_liver_extracts_as_the_well_stirred_model_says(auc):
    v = {r.id.split(".")[1]: r.value for r in evidence.model_parameters() if r.id.startswith("perezruixo2021.")}
    uptake = v["hepatic_volume"] * (v["rate_to_other_metabolites"] + v["rate_to_norketamine"])
    extraction = uptake / (v["hepatic_flow"] + uptake)
    system, inputs = perezruixo2021(typical_body(WEIGHTS), ("intravenous", "oral solution"))
    found = {route: auc(system, inputs[route], 10.0)["S-ketamine"] for route in inputs}
    assert found["intravenous"] * v["hepatic_flow"] * extraction / 1e3 == pytest.approx(10, rel=EXACT)
    available = v["gut_availability"] * (1 - extraction)
    assert found["oral solution"] / found["intravenous"] == pytest.approx(available, rel=EXACT)


def test_arterial_metabolites_receive_their_published_fractions(auc):
    def v(name):
        return evidence.value("simons2022." + name)

    system, inputs = simons2022(typical_body(np.array([70.0])), ("intravenous",))
    found = auc(system, inputs["intravenous"], 10.0)
    litres_per_h = {n: 60 * v(n) for n in ("clearance", "norketamine_clearance", "hydroxynorketamine_clearance")}
    molar = {
        n: 1e3 / evidence.value("molecular_weight." + n) for n in ("ketamine", "norketamine", "hydroxynorketamine")
    }
    moles = 10.0 * molar["ketamine"]
    assert found["S-ketamine"] * litres_per_h["clearance"] / 1e3 * molar["ketamine"] == pytest.approx(moles, rel=EXACT)
    moles *= v("fraction_to_norketamine")
    eliminated = found["S-norketamine"] * litres_per_h["norketamine_clearance"] / 1e3 * molar["norketamine"]
    assert eliminated == pytest.approx(moles, rel=EXACT)
    moles *= v("fraction_to_hydroxynorketamine")
    eliminated = found["S-hydroxynorketamine"] * litres_per_h["hydroxynorketamine_clearance"] / 1e3
    assert eliminated * molar["hydroxynorketamine"] == pytest.approx(moles, rel=EXACT)


def test_levels_never_fall_below_zero(level):
    t = np.geomspace(1e-3, 500, 400)
    body = typical_body(WEIGHTS)
    systems = [
        otto2021(body, "S", ("intravenous", "intramuscular", "oral solution", "oral prolonged release", "sublingual")),
        perezruixo2021(body, ("intravenous", "oral solution", "intranasal device"), (1.0, 3.0)),
        simons2022(body, ("intravenous", "sublingual")),
    ]
    for system, inputs in systems:
        for route, where in inputs.items():
            hours = 0.5 if route == "intravenous" else 0.0
            for analyte, found in level(system, where, 50.0, t, hours).items():
                assert found.min() > -1e-9 * found.max(), (route, analyte)


def test_twice_the_devices_give_less_than_twice_the_exposure(auc):
    system, inputs = perezruixo2021(typical_body(WEIGHTS), ("intranasal device",), (1.0, 2.0, 3.0))
    one, two, three = (auc(system, inputs[f"intranasal device x{n}"], n * DEVICE_MG)["S-ketamine"] for n in (1, 2, 3))
    assert np.all(two < 2 * one) and np.all(three < 3 * one)
    assert np.all(two > one) and np.all(three > two)


def test_the_mean_nasal_fractions_are_the_published_ones():
    first, later = (
        evidence.value("perezruixo2021.nasal_fraction"),
        evidence.value("perezruixo2021.nasal_fraction_later_devices"),
    )
    # published to three decimals: 0.540 / 0.437 / 0.403 for one, two, three devices
    for devices, published in ((1, 0.540), (2, 0.437), (3, 0.403)):
        assert float(nasal_fractions(jnp.array(first), later, devices)) == pytest.approx(published, abs=6e-4)


def test_weight_scales_the_models_that_found_an_effect_of_it_and_no_other(auc):
    body = typical_body(np.array([50.0, 120.0]))
    exposures = []
    for system, inputs in (otto2021(body, "S", ("intravenous",)), perezruixo2021(body, ("intravenous",))):
        exposures.append(auc(system, inputs["intravenous"], 1.0)["S-ketamine"])
    (light, heavy), (small, large) = exposures
    assert heavy == pytest.approx(light * (50 / 120) ** own("exponent_clearance"), rel=EXACT)
    assert large == pytest.approx(small, rel=1e-12)


def test_volume_and_clearance_vary_together_as_published(level, auc):
    n = 20_000
    rng = np.random.default_rng(3)
    z = {f"otto2021.{p}": jnp.asarray(rng.standard_normal(n)) for p in ("central_volume", "clearance")}
    one = jnp.ones(n)
    body = Body(70 * one, 40 * one, 0 * one, 0 * one, one, one, z)
    system, inputs = otto2021(body, "S", ("intravenous",))
    volume = 1e3 / level(system, inputs["intravenous"], 1.0, [0.0])["S-ketamine"][0]
    clearance = 1e3 / auc(system, inputs["intravenous"], 1.0)["S-ketamine"]
    found = np.cov(np.log(volume), np.log(clearance))
    v1, v2, cov = own("variance_central_volume"), own("variance_clearance"), own("covariance_volume_clearance")
    sampling = 5 / np.sqrt(n)  # five standard errors of a covariance of these sizes
    assert found[0, 0] == pytest.approx(v1, abs=sampling * v1 * np.sqrt(2))
    assert found[1, 1] == pytest.approx(v2, abs=sampling * v2 * np.sqrt(2))
    assert found[0, 1] == pytest.approx(cov, abs=sampling * np.sqrt(v1 * v2 + cov**2))
