"""The two poles of bipolar disorder: their scheme, when they are left, and what they do to the scales."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_bvp

from euthymia.illness.bipolar import STEP_H, Bipolar, Pole, course, mean_time_to_leave, poles

jax.config.update("jax_enable_x64", True)

DAY_H = 24.0
RESTLESS = Pole(barrier=0.45, noise=0.15)  # leaves soon, so that a short course tells


def run(pole, days, patients, tilt=0.0, step_h=STEP_H, start=0.0, seed=1, normals=None):
    steps = round(days * 24 / step_h)
    if normals is None:
        normals = np.random.default_rng(seed).standard_normal((steps, patients))
    tilted = jnp.full((steps + 1, 1), tilt)
    begin, alike = jnp.full(patients, start), jnp.ones(patients)
    return np.asarray(course(pole, DAY_H, begin, alike, tilted, jnp.asarray(normals), step_h))


def test_without_noise_a_patient_goes_to_the_nearer_well():
    quiet = Pole(barrier=0.5, noise=0.0)
    for start, end in ((0.4, 0.0), (0.6, 1.0)):
        assert run(quiet, 60, 1, start=start)[-1, 0] == pytest.approx(end, abs=1e-3)


def test_weak_error_falls_with_the_square_of_the_step():
    """Coarse steps take the sums of the fine steps' normals, so that chance cancels and only the scheme is left."""
    days, patients, finest = 8, 20_000, 1.5
    fine = np.random.default_rng(4).standard_normal((round(days * 24 / finest), patients))
    ends = {}
    for factor in (1, 4, 8, 16):
        summed = fine.reshape(-1, factor, patients).sum(1) / np.sqrt(factor)
        ends[factor] = (run(RESTLESS, days, patients, step_h=finest * factor, normals=summed)[-1] ** 2).mean()
    error = {f: abs(ends[f] - ends[1]) for f in (4, 8, 16)}
    assert error[8] < 0.01 * ends[1]
    order = np.log2(error[16] / error[8])
    assert 1.6 < order < 2.6


def test_the_step_in_use_gives_the_time_to_leave_that_quadrature_gives():
    x = run(RESTLESS, 400, 4000)
    left = x >= 1.0
    assert left.any(0).all()
    days = left.argmax(0) * STEP_H / DAY_H
    # looked at once a step, a limit is noticed as one further off would be: Broadie 1997, doi:10.1111/1467-9965.00035
    as_if = 1.0 + 0.5826 * RESTLESS.noise * np.sqrt(2 * STEP_H / DAY_H)
    expected = mean_time_to_leave(RESTLESS, DAY_H, 0.0, as_if) / DAY_H
    assert abs(days.mean() - expected) < 3 * days.std() / np.sqrt(len(days))


@pytest.mark.parametrize(("start", "end"), [(0.0, 1.0), (1.0, 0.0)])
def test_quadrature_agrees_with_a_solver_of_the_backward_equation(start, end):
    pole, tilt = Pole(barrier=0.55, noise=0.12), 0.01
    reflecting = -1.0 if end > start else 2.0

    def backward(x, y):  # s^2 T'' - V' T' = -tau
        return np.stack([y[1], (-1.0 + pole.slope(x, tilt) * y[1]) / pole.noise**2])

    mesh = np.linspace(min(reflecting, end), max(reflecting, end), 2001)
    at_low, at_high = (1, 0) if end > start else (0, 1)
    found = solve_bvp(
        backward, lambda low, high: np.array([low[at_low], high[at_high]]), mesh, np.zeros((2, len(mesh))), tol=1e-8,
        max_nodes=100_000,
    )  # fmt: skip
    assert found.success
    assert mean_time_to_leave(pole, 1.0, start, end, tilt) == pytest.approx(found.sol(start)[0], rel=1e-3)


def test_a_tilt_makes_episodes_rarer_and_shorter_and_the_opposite_tilt_the_reverse():
    pole = poles()[1]
    for way in (1, -1):
        onset = [mean_time_to_leave(pole, DAY_H, 0.0, 1.0, way * h) for h in (0.0, 0.005, 0.01)]
        end = [mean_time_to_leave(pole, DAY_H, 1.0, 0.0, way * h) for h in (0.0, 0.005, 0.01)]
        assert np.all(way * np.diff(onset) > 0) and np.all(way * np.diff(end) < 0)


def test_a_patient_is_the_same_alone_and_among_others():
    normals = np.random.default_rng(3).standard_normal((200, 50))
    together = run(RESTLESS, 100, 50, normals=normals)
    alone = run(RESTLESS, 100, 1, normals=normals[:, 17:18])
    assert np.array_equal(together[:, 17], alone[:, 0])


def test_scores_keep_to_their_scales_and_both_poles_can_be_raised():
    bipolar = Bipolar.from_evidence()
    level = jnp.linspace(-0.5, 1.8, 50)
    peak = bipolar.own_peak(jnp.linspace(-3, 3, 50))
    assert np.all((np.asarray(bipolar.ymrs(peak, level)) >= 0) & (np.asarray(bipolar.ymrs(peak, level)) <= 60))
    assert np.all(np.asarray(bipolar.madrs_share(level)) >= 0)
    assert float(bipolar.madrs_share(jnp.ones(()))) == pytest.approx(1.0)
