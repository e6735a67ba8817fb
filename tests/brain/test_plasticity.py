"""The chain from occupancy to synapses, link by link, without engine or patients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from euthymia import evidence
from euthymia.brain.plasticity import OtherRoute, Plasticity
from euthymia.drug.occupancy import hill

jax.config.update("jax_enable_x64", True)

OCCUPANCIES = np.linspace(0, 0.99, 100)


def chain(**switches):
    return Plasticity.from_evidence(durability=jnp.ones(1), **switches)


def signals(of, occupancy):
    occupancy = jnp.asarray(occupancy, float)
    return of.signals({"binding": occupancy / (1 - occupancy), "R-ketamine": jnp.zeros_like(occupancy)})


def course(of, occupancy, hours):
    """States [5, times] under a constant occupancy, by an independent solver over the links' own equations."""
    driven = signals(of, [occupancy])

    def field(t, x):
        known = driven | dict(zip(of.states, (jnp.array([v]) for v in x), strict=True))
        slope = []
        for names, rates in of.cascade():
            a, b = rates(known)
            if len(names) == 1:
                slope.append(float((b - a * known[names[0]])[0]))
            else:
                for i in (0, 1):
                    slope.append(float((b[i] - sum(a[i][j] * known[n] for j, n in enumerate(names)))[0]))
        return slope

    return solve_ivp(field, (0, hours[-1]), np.zeros(5), "LSODA", t_eval=hours, rtol=1e-8, atol=1e-10).y


def test_the_surge_rises_and_is_lost_again_in_the_anaesthetic_range():
    surge = np.asarray(signals(chain(), OCCUPANCIES)["surge"])
    peak = surge.argmax()
    assert surge[0] == pytest.approx(0, abs=1e-12)
    assert 0.1 < OCCUPANCIES[peak] < 0.5
    assert np.all(np.diff(surge[: peak + 1]) > 0) and np.all(np.diff(surge[peak:]) < 0)
    assert surge[-1] < 0.05


def test_half_of_the_surge_is_at_its_half_occupancy_and_half_of_suppression_at_its_own():
    of = chain()
    half, window = of.surge.occupancy_half, of.surge.suppression_half
    assert float(hill(jnp.array(half), half, of.surge.hill)) == pytest.approx(0.5)
    assert float(signals(of, [window])["suppression"][0]) == pytest.approx(0.5)


def test_a_power_of_nothing_is_nothing_and_has_a_finite_slope():
    assert float(hill(jnp.array(0.0), 0.1, 1.6)) < 1e-12
    assert np.isfinite(jax.grad(lambda x: hill(x, 0.1, 1.6))(0.0))
    assert float(hill(jnp.array(-1e-9), 0.1, 1.6)) >= 0


def test_without_drug_nothing_grows():
    assert np.abs(course(chain(), 0.0, [1.0, 100.0])).max() < 1e-9


def test_the_links_follow_one_another():
    """Functional potentiation comes first, then labile synapses, then consolidated ones."""
    hours = np.linspace(0.1, 48, 60)
    f, s, c = course(chain(), 0.2, hours)[2:]
    assert f[5] > s[5] > c[5]
    assert np.all(np.diff(c) > 0)
    first = [np.searchsorted(x > 0.5 * x.max(), True) for x in (f, s, c)]
    assert first == sorted(first)


def test_every_state_stays_between_none_and_all_under_any_block():
    for occupancy in (0.05, 0.3, 0.6, 0.95):
        states = course(chain(), occupancy, np.linspace(0.1, 300, 40))
        assert states.min() > -1e-8 and states.max() < 1
        assert (states[3] + states[4]).max() < 1


def test_blocking_ampa_leaves_no_drive_and_partly_blocking_leaves_part():
    surge = {f: float(signals(chain(ampa_block=f), [0.2])["surge"][0]) for f in (0.0, 0.5, 1.0)}
    assert surge[1.0] == 0
    assert surge[0.5] == pytest.approx(0.5 * surge[0.0])


def test_the_brake_outlasts_the_block_that_set_it():
    q = course(chain(), 0.9, [0.5, 1.0])[0]
    assert q[-1] > 0.9
    half_life = evidence.value("over_block.half_life")
    a, b = chain()._over_block({"suppression": jnp.zeros(1)})
    assert float(np.asarray(a).ravel()[0] if np.ndim(a) else a) == pytest.approx(np.log(2) / half_life)
    assert float(np.asarray(b).ravel()[0]) == 0


def test_the_brake_can_be_switched_off():
    known = {"surge": jnp.array([0.6]), "over_block": jnp.array([0.9])}
    assert float(chain().drive(known)[0]) == pytest.approx(0.06)
    assert float(chain(brake=0.0).drive(known)[0]) == pytest.approx(0.6)


def test_mtorc1_carries_the_structural_part_only():
    free, blocked = (course(chain(mtorc1_block=m), 0.2, [4.0, 48.0]) for m in (0.0, 1.0))
    assert np.all(blocked[3:] == 0) and np.all(free[3:, -1] > 0)
    assert blocked[:3] == pytest.approx(free[:3], rel=1e-4)


def test_another_route_drives_only_by_its_analyte_and_never_beyond_full_surge():
    of = chain(other_routes=(OtherRoute("R-ketamine", 0.5, 200.0),))
    binding = jnp.zeros(3)
    found = np.asarray(of.signals({"binding": binding, "R-ketamine": jnp.array([0.0, 200.0, 1e9])})["surge"])
    assert found == pytest.approx([0.0, 0.25, 0.5], abs=1e-6)
    much = chain(other_routes=(OtherRoute("R-ketamine", 5.0, 1.0),))
    assert float(much.signals({"binding": binding, "R-ketamine": jnp.full(3, 1e9)})["surge"][0]) == 1
    silenced = chain(other_routes=(OtherRoute("R-ketamine", 0.5, 200.0),), ampa_block=1.0)
    assert np.all(np.asarray(silenced.signals({"binding": binding, "R-ketamine": jnp.full(3, 1e9)})["surge"]) == 0)


def test_durable_patients_keep_their_synapses_longer():
    known = {"bdnf": jnp.zeros(2)}
    a, _ = Plasticity.from_evidence(durability=jnp.array([1.0, 2.0]))._synapses(known)
    labile, consolidated = np.asarray(a[0][0]), np.asarray(a[1][1])
    assert consolidated[0] == pytest.approx(2 * consolidated[1])
    assert labile[0] > labile[1] > evidence.value("synapses.consolidation_rate")
