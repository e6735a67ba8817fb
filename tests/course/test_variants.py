"""Each switch over a disputed mechanism does what its name says."""

from dataclasses import fields

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


def test_the_arketamine_route_adds_a_drive_of_its_own(course, default):
    on = course(Variants(arketamine_route="on"))
    assert np.array_equal(on["occupancy"], default["occupancy"])
    assert np.all(on["surge"][0, 1:4] > default["surge"][0, 1:4])
    assert effect(on) > effect(default)


def test_every_switch_names_its_sources_and_refuses_other_values():
    assert set(SOURCES) == {f.name for f in fields(Variants)}
    for f in fields(Variants):
        with pytest.raises(UserError, match=f"variant {f.name} is 'perhaps'; allowed: "):
            Variants(**{f.name: "perhaps"})


def test_only_changed_switches_are_recorded():
    assert Variants().changed() == {}
    assert Variants(over_block="off").changed() == {"over_block": "off"}


def test_hydroxynorketamine_can_be_shown_without_acting(course, default):
    shown = course(Variants(hydroxynorketamine="shown"))
    assert "hydroxynorketamine" not in default and shown["hydroxynorketamine"].max() > 0
    for name in ("occupancy", "surge", "MADRS"):
        assert shown[name] == pytest.approx(default[name], rel=1e-6), name


def test_hydroxynorketamine_can_act_without_blocking_receptors(course, default):
    acting = course(Variants(hydroxynorketamine="acts"))
    assert acting["occupancy"] == pytest.approx(default["occupancy"], rel=1e-6)
    assert np.all(acting["surge"][0, 1:] > default["surge"][0, 1:])
    assert effect(acting) > effect(default)
