"""The fourth-order implicit step, on equations with known solutions."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from euthymia.course.scheme import pair_step, scalar_step

# x' = b - a x with a = 1 + t/2, made so that x = exp(-t/3) + sin 2t
START, END = 0.0, 2.0


def exact(t):
    return np.exp(-t / 3) + np.sin(2 * t)


def a_of(t):
    return 1 + t / 2


def b_of(t):
    return -np.exp(-t / 3) / 3 + 2 * np.cos(2 * t) + a_of(t) * exact(t)


def scalar_run(steps):
    h, x, middles = (END - START) / steps, exact(START), []
    for k in range(steps):
        points = START + k * h + h * np.array([0, 0.5, 1])
        mid, x = scalar_step(x, a_of(points), b_of(points), h)
        middles.append(abs(mid - exact(points[1])))
    return abs(x - exact(END)), max(middles)


def test_halving_the_step_divides_the_error_by_sixteen():
    errors = np.array([scalar_run(n)[0] for n in (8, 16, 32, 64)])
    assert errors[:-1] / errors[1:] == pytest.approx(16, rel=0.15)


def test_the_middle_of_a_step_is_fourth_order_too():
    errors = np.array([scalar_run(n)[1] for n in (16, 32, 64, 128)])
    assert errors[:-1] / errors[1:] == pytest.approx(16, rel=0.25)


def pair_matrix(t):
    return np.array([[1.5 + np.cos(t), -0.4], [-0.3 * t, 0.2 + 0.1 * t]])


def pair_input(t):
    return np.array([np.sin(t), 0.5 * np.cos(3 * t)])


def pair_run(steps):
    h, x = (END - START) / steps, (1.0, 0.5)
    for k in range(steps):
        points = START + k * h + h * np.array([0, 0.5, 1])
        a = [tuple(map(tuple, pair_matrix(t))) for t in points]
        _, x = pair_step(x, a, [tuple(pair_input(t)) for t in points], h)
    return np.array(x)


def test_two_coupled_states_are_fourth_order_as_well():
    truth = solve_ivp(
        lambda t, x: pair_input(t) - pair_matrix(t) @ x, (START, END), [1.0, 0.5], "DOP853", rtol=1e-13, atol=1e-13
    ).y[:, -1]
    errors = np.array([np.abs(pair_run(n) - truth).max() for n in (8, 16, 32, 64)])
    assert errors[:-1] / errors[1:] == pytest.approx(16, rel=0.2)


def test_a_pair_without_coupling_is_two_single_states():
    a, b, h = (0.7, 1.1, 1.6), (0.3, 0.2, 0.9), 0.8
    mid, end = scalar_step(0.4, a, b, h)
    mids, ends = pair_step((0.4, 0.1), [((k, 0.0), (0.0, 2 * k)) for k in a], [(k, 0.0) for k in b], h)
    assert (mids[0], ends[0]) == pytest.approx((mid, end), rel=1e-14)
    assert (mids[1], ends[1]) == pytest.approx(scalar_step(0.1, tuple(2 * k for k in a), (0.0, 0.0, 0.0), h), rel=1e-14)


@pytest.mark.parametrize("decay", np.geomspace(1e-3, 1e9, 13))
def test_a_decay_of_any_speed_never_grows(decay):
    a, zero = (decay,) * 3, (0.0,) * 3
    mid, end = scalar_step(1.0, a, zero, 1.0)
    assert abs(end) < 1 and abs(mid) <= 1


def test_a_constant_balance_is_kept_exactly():
    for decay in (0.01, 1.0, 1e6):
        mid, end = scalar_step(3.0, (decay,) * 3, (3 * decay,) * 3, 2.0)
        assert (mid, end) == pytest.approx((3.0, 3.0), rel=1e-9)


def test_one_step_of_a_stiff_pair_does_not_grow():
    matrix = np.array([[1e5, -3.0], [-2.0, 0.1]])
    a = [tuple(map(tuple, matrix))] * 3
    end = np.array(pair_step((1.0, 1.0), a, [(0.0, 0.0)] * 3, 5.0)[1])
    assert np.abs(end).max() <= 1
    assert np.abs(expm(-matrix * 5.0) @ [1, 1]).max() <= 1  # nor does the true solution
