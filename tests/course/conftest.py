"""Courses of a few doses in a few patients, without documents or files."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from euthymia.course.batch import BATCH, run_batch
from euthymia.course.simulate import prepare
from euthymia.course.variants import Variants
from euthymia.patient.population import Patients
from euthymia.protocol.calendar import Administration, Design, Schedule

OPEN_LABEL = Design("open label", "outpatient", "one")


def administration(time_h=0.0, mg_per_kg=None, mg=None, compound="racemic ketamine", route="intravenous", minutes=40.0):
    """A dose; 0.5 mg/kg over 40 minutes by vein unless said otherwise."""
    if mg is None and mg_per_kg is None and compound in ("racemic ketamine", "esketamine", "arketamine"):
        mg_per_kg = 0.5
    hours = minutes / 60 if route == "intravenous" else 0.0
    return Administration(float(time_h), compound, route, mg, mg_per_kg, None, hours, "any", 1)


def values_of(given, observe_h, people, variants=None, daily=(), design=OPEN_LABEL, level=1.0):
    """Values [patients, times] and sessions [patients, sessions] of a course, by name."""
    observe_h, n = np.asarray(observe_h, float), len(people)
    calendar = Schedule(tuple(given), tuple(daily), design, float(observe_h[-1]))
    _, setting, timing = prepare(calendar, observe_h, variants or Variants(), level=level)
    # one batch size for all, as the engine has, so that courses of one shape share a compilation
    people = jax.tree.map(lambda x: jnp.concatenate([x, jnp.repeat(x[-1:], BATCH - n, 0)]), people)
    return tuple({k: np.asarray(v).T[:n] for k, v in part.items()} for part in run_batch(setting, timing, people))


@pytest.fixture(scope="session")
def dose():
    return administration


@pytest.fixture(scope="session")
def run():
    return values_of


@pytest.fixture(scope="session")
def typical():
    """One patient of 75 kg with every deviate zero."""
    people = Patients.create(weight_kg=75.0, baseline_madrs=35.0)
    return eqx.tree_at(lambda p: p.z, people, {k: jnp.zeros(1) for k in people.z})
