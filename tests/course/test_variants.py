"""Each switch over a disputed mechanism does what its name says."""

from dataclasses import fields
from typing import get_args, get_type_hints

import numpy as np
import pytest

from euthymia.course.variants import SOURCES, Variants
from euthymia.errors import UserError

DAY = 24.0
HOURS = np.array([0, 2 / 3, 2, 4, 24, 72, 168, 336.0])


@pytest.fixture(scope="module")
def course(dose, run, typical):
    def of(variants=None, **given):
        return run([dose(**given)], HOURS, typical, variants)[0]

    return of


@pytest.fixture(scope="module")
def default(course):
    return course()


def effect(values, hours=DAY):
    return values["drug effect"][0, np.searchsorted(HOURS, hours)]


def test_inert_norketamine_blocks_no_receptor(course, default):
    inert = course(Variants(norketamine="inert"))
    assert np.array_equal(inert["norketamine"], default["norketamine"])
    assert np.all(inert["occupancy"][0, 1:] < default["occupancy"][0, 1:])
    assert effect(inert) < effect(default)


def test_without_the_brake_an_anaesthetic_dose_helps_more_than_a_usual_one(course, default):
    brake, none = (course(Variants(over_block=v), mg_per_kg=4.0) for v in ("on", "off"))
    assert brake["over_block"].max() > 0.5
    assert effect(brake) < effect(default) < effect(none)


def test_without_the_brake_a_usual_dose_changes_little(course, default):
    assert effect(course(Variants(over_block="off"))) == pytest.approx(effect(default), rel=0.02)


def test_rapamycin_does_nothing_while_mtorc1_is_not_required(course, default):
    treated = course(Variants(rapamycin="yes"))
    assert all(np.array_equal(treated[k], default[k]) for k in default)


def test_required_mtorc1_alone_changes_nothing(course, default):
    required = course(Variants(mtorc1="required"))
    assert all(np.array_equal(required[k], default[k]) for k in default)


def test_rapamycin_removes_the_synapses_where_mtorc1_is_required(course, default):
    blocked = course(Variants(mtorc1="required", rapamycin="yes"))
    assert np.all(blocked["labile"] == 0) and np.all(blocked["consolidated"] == 0)
    assert np.array_equal(blocked["functional"], default["functional"])
    assert 0 < effect(blocked) < effect(default)
    assert effect(blocked, 336.0) < 0.5 * effect(default, 336.0)  # what lasts is structural


def test_the_arketamine_route_adds_to_arketamine_and_leaves_esketamine_alone(course):
    for compound, changes in (("arketamine", True), ("esketamine", False)):
        off, on = (course(Variants(arketamine_route=v), compound=compound) for v in ("off", "on"))
        assert np.array_equal(off["occupancy"], on["occupancy"])
        assert (effect(on) > 1.05 * effect(off)) == changes
        assert changes or effect(on) == pytest.approx(effect(off), rel=1e-12)


def test_an_ampa_antagonist_stops_the_surge_whatever_drives_it(course):
    values = course(Variants(ampa_antagonist="yes", arketamine_route="on"))
    assert np.all(values["surge"] == 0) and np.all(values["drug effect"] == 0)


def test_every_switch_names_its_sources_and_refuses_other_values():
    assert set(SOURCES) == {f.name for f in fields(Variants)}
    for f in fields(Variants):
        with pytest.raises(UserError, match=f"variant {f.name} is 'perhaps'; allowed: "):
            Variants(**{f.name: "perhaps"})


def test_only_changed_switches_are_recorded():
    assert Variants().changed() == {}
    assert Variants(over_block="off").changed() == {"over_block": "off"}


@pytest.mark.parametrize("name", [f.name for f in fields(Variants)])
def test_no_switch_is_without_effect(course, default, name):
    """Every value of every switch changes some result, alone or with the condition it needs."""
    allowed = get_args(get_type_hints(Variants)[name])
    needs = {"mtorc1": {"rapamycin": "yes"}, "rapamycin": {"mtorc1": "required"}}.get(name, {})
    found = [course(Variants(**needs | {name: v})) for v in allowed]
    for other in found[1:]:
        assert other.keys() != found[0].keys() or any(not np.array_equal(other[k], found[0][k]) for k in other)
