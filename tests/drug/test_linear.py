"""Modes against matrix exponentials, also where rates coincide."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

from euthymia.drug.linear import Block, Transfer, linear_system, stage

PROMISE = 1e-4  # relative, of every concentration
TIMES = (0.01, 0.1, 0.5, 2.0, 8.0, 24.0)

rates = st.floats(0.05, 100.0)
# how far a depot's rate lies from a mode of the disposition, relative; 0 is exact coincidence
distances = st.sampled_from([0.0, 1e-15, -1e-12, 1e-9, -3e-7, 9e-6, 1.1e-5, -1e-4, 1e-2])


def disposition(volume_1, volume_2, flow, clearance):
    """Two compartments as a block and as the matrix of their rates."""
    block = Block(
        ("plasma", "tissue"),
        {"plasma": jnp.array([volume_1]), "tissue": jnp.array([volume_2])},
        {("plasma", "tissue"): jnp.array([flow])},
        {"plasma": jnp.array([clearance])},
    )
    matrix = np.array([[-(flow + clearance) / volume_1, flow / volume_2], [flow / volume_1, -flow / volume_2]])
    return block, matrix


def check(system, matrix, start, read, volume, relative=PROMISE, of_dose=1e-9):
    """Concentrations after a unit dose, from the modes and from the matrix exponential."""
    for t in TIMES:
        expected = (expm(matrix * t) @ start)[read] / volume * 1e6 / 100
        modes = np.asarray(system.inputs)[:, 0, 0] * np.exp(-np.asarray(system.rates)[:, 0] * t)
        got = float(np.asarray(system.outputs)[0, :, 0] @ modes)
        # the floor is a share of the dose in one volume: 1e-9 of it is no concentration anybody could measure
        assert got == pytest.approx(expected, rel=relative, abs=of_dose * 1e4 / volume)


@given(st.floats(5, 300), st.floats(5, 500), st.floats(1, 200), st.floats(5, 200), rates)
@settings(max_examples=60)
def test_a_depot_and_two_compartments_match_the_matrix_exponential(v1, v2, flow, clearance, absorption):
    block, inner = disposition(v1, v2, flow, clearance)
    system = linear_system(
        [stage("depot", jnp.array([absorption])), block],
        [Transfer("depot", "plasma", jnp.array([absorption]))],
        {"dose": {"depot": 1.0}},
        {"drug": ("plasma", jnp.array([v1]), 100.0)},
    )
    matrix = np.zeros((3, 3))
    matrix[0, 0], matrix[1, 0] = -absorption, absorption
    matrix[1:, 1:] = inner
    check(system, matrix, np.array([1.0, 0, 0]), 1, v1)


@given(st.floats(5, 300), st.floats(5, 500), st.floats(1, 200), st.floats(5, 200), st.integers(0, 1), distances)
@settings(max_examples=60)
def test_a_depot_whose_rate_coincides_with_a_mode_still_matches(v1, v2, flow, clearance, which, distance):
    block, inner = disposition(v1, v2, flow, clearance)
    absorption = -np.sort(np.linalg.eigvals(inner).real)[which] * (1 + distance)
    system = linear_system(
        [stage("depot", jnp.array([absorption])), block],
        [Transfer("depot", "plasma", jnp.array([absorption]))],
        {"dose": {"depot": 1.0}},
        {"drug": ("plasma", jnp.array([v1]), 100.0)},
    )
    matrix = np.zeros((3, 3))
    matrix[0, 0], matrix[1, 0] = -absorption, absorption
    matrix[1:, 1:] = inner
    check(system, matrix, np.array([1.0, 0, 0]), 1, v1)


@given(st.floats(5, 300), st.floats(5, 500), st.floats(1, 200), st.floats(5, 200))
@settings(max_examples=40)
def test_a_metabolite_with_exactly_the_parents_rates_still_matches(v1, v2, flow, clearance):
    parent, inner = disposition(v1, v2, flow, clearance)
    metabolite = Block(
        ("product", "product tissue"),
        {"product": jnp.array([v1]), "product tissue": jnp.array([v2])},
        {("product", "product tissue"): jnp.array([flow])},
        {"product": jnp.array([clearance])},
    )
    system = linear_system(
        [parent, metabolite],
        [Transfer("plasma", "product", jnp.array([clearance / v1]))],
        {"dose": {"plasma": 1.0}},
        {"product": ("product", jnp.array([v1]), 100.0)},
    )
    matrix = np.zeros((4, 4))
    matrix[:2, :2] = matrix[2:, 2:] = inner
    matrix[2, 0] = clearance / v1
    check(system, matrix, np.array([1.0, 0, 0, 0]), 2, v1)


@pytest.mark.parametrize(("stages", "relative", "of_dose"), [(2, PROMISE, 1e-9), (3, PROMISE, 1e-5)])
@given(rates)
@settings(max_examples=30)
def test_a_chain_of_equal_stages_still_matches(stages, relative, of_dose, rate):
    # two equal stages keep the promise; three, which no disposition here has, cost ten of sixteen digits, and early
    # levels far below the peak are then good to 1e-5 of it only
    names = [f"stage {i}" for i in range(stages)]
    k = jnp.array([rate])
    system = linear_system(
        [stage(n, k) for n in names],
        [Transfer(a, b, k) for a, b in pairwise(names)],
        {"dose": {names[0]: 1.0}},
        {"drug": (names[-1], jnp.array([1.0]), 100.0)},
    )
    matrix = -rate * np.eye(stages) + rate * np.eye(stages, k=-1)
    check(system, matrix, np.eye(stages)[0], stages - 1, 1.0, relative, of_dose)


def test_flow_against_the_stream_is_refused():
    k = jnp.array([1.0])
    with pytest.raises(ValueError, match="does not run downstream"):
        linear_system(
            [stage("first", k), stage("second", k)],
            [Transfer("second", "first", k)],
            {"dose": {"first": 1.0}},
            {"drug": ("first", k, 100.0)},
        )
