"""What fear and extinction must do, whatever the numbers; and that their equations are solved."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from euthymia.illness.ptsd import Extinction

jax.config.update("jax_enable_x64", True)

DAY_H, WEEK_H = 24.0, 168.0
LONGEST = 24
run = eqx.filter_jit(Extinction.course)
FIELDS = {
    "learning": st.floats(0.05, 0.5),
    "window": st.floats(0.0, 2.0),
    "block": st.floats(1.0, 4.5),
    "consolidation_time": st.floats(2.0, 24.0),
    "everyday": st.floats(1e-7, 5e-5),
    "recovery_time": st.floats(2000.0, 90000.0),
    "generalisation": st.floats(0.3, 0.99),
    "reinstatement": st.floats(0.1, 0.9),
    "fear_share": st.floats(0.3, 0.8),
}
models = st.fixed_dictionaries(FIELDS).map(
    lambda values: Extinction(**{name: jnp.asarray(value) for name, value in values.items()})
)
given_any = partial(given, models)


def followed(model, sessions_h, look_h, plastic=0.0, occupied=0.0, returns_h=()):
    """Memory at each look; plastic, occupied: at every time, or a function of the time."""
    times = np.array(sorted({*sessions_h, *look_h, *returns_h}))
    rows = np.searchsorted(times, look_h)
    times = np.pad(times, (0, LONGEST - len(times)), mode="edge")  # one length, one compilation
    first = np.arange(LONGEST) == np.searchsorted(times, times)

    def at(x):
        return jnp.asarray([[x(t) if callable(x) else x] for t in times])

    memory = run(
        model,
        jnp.diff(jnp.asarray(times), prepend=0.0),
        jnp.asarray((np.isin(times, sessions_h) & first).astype(float)),
        jnp.asarray((np.isin(times, returns_h) & first).astype(float)),
        at(plastic),
        at(occupied),
    )
    return tuple(x[rows, 0] for x in memory)


def weekly(count):
    return [WEEK_H * k for k in range(1, count + 1)]


@given_any()
def test_without_exposure_there_is_no_extinction_but_what_everyday_life_teaches(model):
    quiet = eqx.tree_at(lambda m: m.everyday, model, 0.0)
    fresh, kept = followed(quiet, [], [WEEK_H, 52 * WEEK_H])
    assert np.all(np.asarray(fresh) == 0) and np.abs(np.asarray(kept)).max() < 1e-12


@given_any()
def test_extinction_that_is_not_kept_up_returns(model):
    quiet = eqx.tree_at(lambda m: m.everyday, model, 0.0)
    after = [10 * WEEK_H + WEEK_H * k for k in (1, 10, 50, 200)]
    fear = np.asarray(quiet.fear(followed(quiet, weekly(10), after)))
    assert np.all(np.diff(fear) > 0) and fear[0] < 1


@given_any()
def test_another_context_brings_renewal(model):
    memory = followed(model, weekly(6), [6 * WEEK_H + DAY_H])
    assert float(model.fear_elsewhere(memory)[0]) > float(model.fear(memory)[0])


@given_any()
def test_the_feared_event_reinstates(model):
    look = [6 * WEEK_H + 2 * DAY_H]
    calm = model.fear(followed(model, weekly(6), look))
    struck = model.fear(followed(model, weekly(6), look, returns_h=[6 * WEEK_H + DAY_H]))
    assert float(struck[0]) > float(calm[0])


@given(models, st.integers(0, 14))
def test_more_sessions_never_hurt(model, count):
    look = [16 * WEEK_H]
    fewer, more = (float(model.share(followed(model, weekly(n), look))[0]) for n in (count, count + 1))
    assert more <= fewer + 1e-12


@given(models, st.lists(st.floats(1.0, 2000.0), min_size=1, max_size=12, unique=True))
def test_memory_stays_between_nothing_and_all(model, sessions):
    fresh, kept = followed(model, sessions, [2500.0], plastic=1.0)
    assert float(fresh[0]) >= 0 and float(kept[0]) >= 0 and float(fresh[0] + kept[0]) <= 1 + 1e-9


@given_any()
def test_plasticity_helps_and_a_block_hinders(model):
    look = [WEEK_H + DAY_H]
    plain, helped, blocked = (
        float(model.fear(followed(model, [WEEK_H], look, r, o))[0]) for r, o in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.2))
    )
    assert helped <= plain < blocked


def test_rats_extinguish_better_a_day_after_ketamine_also_later_and_elsewhere_and_worse_right_after_it():
    """In sign: Girgenti 2017 (24 h after conditioning, renewal at 8 days), Clifton 2018 (before training)."""
    model = eqx.tree_at(lambda m: m.window, Extinction.from_evidence(), 1.5)  # the rats' window
    sessions = [24.0, 48.0, 72.0]
    look = [50.0, 8 * DAY_H + 24]
    plain = followed(model, sessions, look)
    a_day_after = followed(model, sessions, look, plastic=lambda t: 0.5 * np.exp(-max(t - 12, 0) / 70))
    assert float(model.fear(a_day_after)[0]) < float(model.fear(plain)[0])
    assert float(model.fear_elsewhere(a_day_after)[1]) < float(model.fear_elsewhere(plain)[1])
    before_training = followed(model, [24.0], [48.0], plastic=0.1, occupied=lambda t: 0.25 * (t < 30))
    assert float(model.fear(before_training)[0]) > float(model.fear(followed(model, [24.0], [48.0]))[0])


@given(models, st.floats(0.0, 0.6), st.floats(0.0, 0.4), st.floats(0.5, 500.0), st.floats(0.0, 0.25))
def test_between_events_the_equations_are_solved(model, fresh, kept, hours, occupied):
    through = max(1 - model.block * occupied, 0.0)

    def slope(_, y):
        x, k = y
        learnt = model.everyday * (1 - x - k)
        lost = k / model.recovery_time
        return [-x / model.consolidation_time, through * x / model.consolidation_time + learnt - lost]

    exact = solve_ivp(slope, (0, hours), [fresh, kept], rtol=1e-10, atol=1e-12).y[:, -1]
    found = model.later((jnp.asarray(fresh), jnp.asarray(kept)), jnp.asarray(hours), jnp.asarray(occupied))
    assert np.asarray(found) == pytest.approx(exact, abs=1e-7)
