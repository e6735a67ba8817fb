"""The time mesh covers every course exactly, breaks where it must, and is fine enough."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from euthymia.course.mesh import BEGINS, CLOSE_H, ENDS, OBSERVES, build_mesh, merge_times
from euthymia.course.observe import default_times

times = st.lists(st.floats(0.01, 2000), min_size=1, max_size=12)
kinds = st.sampled_from([BEGINS, ENDS, OBSERVES])


@st.composite
def plans(draw):
    breaks = merge_times(np.array([0.0]), np.array(draw(times)))
    kind = np.array(draw(st.lists(kinds, min_size=len(breaks), max_size=len(breaks))))
    return breaks, kind, draw(st.sampled_from([0.5, 1.0, 2.0, 4.0]))


def steps_of(mesh, segment):
    return mesh.lengths[mesh.h_class[mesh.first[segment] : mesh.last[segment]]]


@given(plans())
@settings(max_examples=200)
def test_the_steps_of_every_segment_add_up_to_it(plan):
    mesh = build_mesh(*plan)
    assert len(mesh.first) == len(mesh.last) == len(plan[0]) - 1
    assert mesh.first[0] == 0 and np.array_equal(mesh.first[1:], mesh.last[:-1])
    assert mesh.last[-1] == len(mesh.h_class)
    for k, width in enumerate(np.diff(plan[0])):
        steps = steps_of(mesh, k)
        assert np.all(steps > 0)
        assert steps.sum() == pytest.approx(width, abs=1e-9 * len(steps) + CLOSE_H)


@given(plans())
@settings(max_examples=100)
def test_a_higher_level_makes_no_step_longer(plan):
    breaks, kind, level = plan
    coarse, fine = build_mesh(breaks, kind, level), build_mesh(breaks, kind, 2 * level)
    assert len(fine.h_class) >= len(coarse.h_class)
    for k in range(len(breaks) - 1):
        assert steps_of(fine, k).max() <= steps_of(coarse, k).max() * (1 + 1e-6)


def test_steps_are_short_after_an_input_begins_and_grow():
    mesh = build_mesh(np.array([0.0, 24.0, 1000.0]), np.array([BEGINS, OBSERVES, OBSERVES]))
    steps = np.concatenate([steps_of(mesh, 0), steps_of(mesh, 1)])
    assert steps[0] < 0.01 and np.all(np.diff(steps[:-1]) > -0.5 * steps[1:-1])
    assert steps[0] < steps[len(steps) // 4] < steps.max()


def test_an_injection_is_resolved_more_finely_than_an_infusion():
    breaks, kind = np.array([0.0, 1 / 60, 1.0]), np.array([BEGINS, ENDS, OBSERVES])
    injection = steps_of(build_mesh(breaks, kind), 0)
    infusion = steps_of(build_mesh(np.array([0.0, 2 / 3, 1.0]), kind), 0)
    assert len(injection) > 4 and injection[0] < infusion[0]


def test_few_distinct_lengths_serve_a_regular_course():
    starts = np.arange(0, 26 * 168, 84.0)
    breaks = merge_times(starts, starts + 2 / 3, np.arange(0, 26 * 168 + 1, 24.0))
    kind = np.where(np.isin(breaks, starts), BEGINS, np.where(np.isin(breaks, starts + 2 / 3), ENDS, OBSERVES))
    mesh = build_mesh(breaks, kind)
    assert len(mesh.lengths) < 40  # exponentials are tabulated once per length
    assert len(mesh.h_class) > 20 * len(mesh.lengths)


@given(times, times)
def test_merged_times_are_sorted_apart_and_lose_nothing(a, b):
    merged = merge_times(np.array(a), np.array(b))
    assert np.all(np.diff(merged) > CLOSE_H)
    for t in (*a, *b):
        assert np.abs(merged - t).min() <= CLOSE_H * len(merged)


def test_a_course_is_watched_closely_on_the_first_day_and_daily_to_its_end():
    found = default_times([10.0], 30 * 24.0)
    assert found[0] == 0 and found[-1] == 720 and np.all(np.diff(found) > 0)
    assert np.all(np.isin(np.arange(0, 721, 24.0), found))
    first = found[(found >= 10) & (found <= 14)] - 10
    assert np.diff(first).max() <= 0.5 + 1e-9


def test_refining_the_mesh_does_not_move_the_score(dose, run, typical):
    given = [dose(0.0), dose(72.0, mg_per_kg=1.0, minutes=0.0)]
    hours = [0.2, 2.0, 24.0, 72.1, 73.0, 168.0]
    coarse, fine = (run(given, hours, typical, level=level)[0] for level in (1.0, 4.0))
    assert coarse["MADRS"] == pytest.approx(fine["MADRS"], abs=1e-3)
    for name in ("ketamine", "norketamine", "occupancy"):
        assert coarse[name] == pytest.approx(fine[name], rel=1e-6)  # exact but for rounding of step lengths


def test_adding_observations_does_not_move_the_course(dose, run, typical):
    few, many = [4.0, 24.0, 96.0], np.unique([4.0, 24.0, 96.0, *np.linspace(0.03, 95.3, 23)])
    rare, often = run([dose()], few, typical)[0], run([dose()], many, typical)[0]
    keep = np.searchsorted(many, few)
    for name in ("MADRS", "fluctuation", "MADRS rated"):
        assert often[name][:, keep] == pytest.approx(rare[name], abs=1e-3), name
