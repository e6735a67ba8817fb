"""The engine against two independent solvers at 1e-10, on the published equations as written out in `published`.

Over random patients, protocols
and routes, plasma and occupancy must agree within 1e-4 relative and MADRS within 1e-3 points.
"""

import math

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from euthymia.course.batch import run_batch
from euthymia.course.simulate import prepare
from euthymia.course.variants import Variants
from euthymia.evidence import value
from euthymia.patient.population import VARIED, draw
from euthymia.protocol.calendar import Administration, DailyTreatment, Design, Schedule

from .published import COMPARTMENTS, FREE, HALF_OCCUPANCY, Compartments, brain, inputs_of, madrs

RELATIVE = 1e-4  # the promise for plasma and occupancy
FLOOR_NG_PER_ML, FLOOR_OCCUPANCY = 1e-5, 1e-8  # far below any assay (1 ng/mL) and any effect
POINTS = 1e-3  # the promise for MADRS
PATIENTS = 28  # per protocol; 12 kinds of first dose x 28 patients = 336 cases in each run
SEGMENTS = 32  # room for the longest protocol drawn below
OBSERVATIONS = 6


@jax.jit
def by_diffrax(matrix, binding, durability, hours, inflow, at_once):
    """Kvaerno5 at 1e-10, segment by segment, patients by vmap; states at the end of every segment."""

    def one(matrix, binding, durability, inflow, at_once):
        def field(tau, y, args):
            h, u = args  # time in units of the segment, so that unused segments have length 0
            x = binding @ y[:COMPARTMENTS]
            plastic = brain(y[COMPARTMENTS:], x / (1 + x), durability, jnp)
            return h * jnp.concatenate([matrix @ y[:COMPARTMENTS] + u, plastic])

        def segment(y, now):
            h, u, dose = now
            y = y.at[:COMPARTMENTS].add(dose)
            control = diffrax.PIDController(rtol=1e-10, atol=1e-10)
            solution = diffrax.diffeqsolve(
                diffrax.ODETerm(field), diffrax.Kvaerno5(), 0.0, 1.0, 1e-4, y, (h, u),
                stepsize_controller=control, max_steps=100_000, saveat=diffrax.SaveAt(t1=True),
                adjoint=diffrax.ForwardMode(),
            )  # fmt: skip
            y = solution.ys[0]
            return y, y

        return jax.lax.scan(segment, jnp.zeros(COMPARTMENTS + 5), (hours, inflow, at_once))[1]

    return jax.vmap(one)(matrix, binding, durability, inflow, at_once)


def by_scipy(matrix, binding, durability, hours, inflow, at_once):
    """scipy's DOP853, all patients as one system; 1e-11, since its norm averages over patients."""
    n = len(matrix)
    y = np.zeros((n, COMPARTMENTS + 5))
    ends = []
    for k, h in enumerate(hours):
        y[:, :COMPARTMENTS] += at_once[:, k]

        def field(t, flat, u=inflow[:, k]):
            y = flat.reshape(n, -1)
            x = (binding * y[:, :COMPARTMENTS]).sum(1)
            pk = np.einsum("nij,nj->ni", matrix, y[:, :COMPARTMENTS]) + u
            return np.concatenate([pk, brain(y[:, COMPARTMENTS:], x / (1 + x), durability, np)], 1).ravel()

        if h > 0:
            y = solve_ivp(field, (0, h), y.ravel(), "DOP853", rtol=1e-11, atol=1e-11).y[:, -1].reshape(n, -1)
        ends.append(y.copy())
    return np.stack(ends, 1)


# --- random protocols -------------------------------------------------------------------------------------------------

MINUTES = st.sampled_from([40, 0, 2, 5, 100, 360]).map(lambda m: m / 60)
KINDS = {
    "infusion of racemate": ("racemic ketamine", "intravenous"),
    "injection of esketamine": ("esketamine", "intravenous"),
    "arketamine": ("arketamine", "intravenous"),
    "intramuscular": ("racemic ketamine", "intramuscular"),
    "subcutaneous": ("esketamine", "subcutaneous"),
    "Spravato": ("esketamine", "intranasal device"),
    "oral esketamine solution": ("esketamine", "oral solution"),
    "oral racemic solution": ("racemic ketamine", "oral solution"),
    "prolonged release": ("racemic ketamine", "oral prolonged release"),
    "sublingual": ("racemic ketamine", "sublingual"),
    "compounded nasal spray": ("racemic ketamine", "compounded nasal spray"),
}
ARTERIAL = [("esketamine", "sublingual"), ("esketamine", "intravenous")]


@st.composite
def administration(draw_, kind, time_h):
    compound, route = kind
    mg = per_kg = cap = None
    hours = draw_(MINUTES) if route == "intravenous" else 0.0
    if route == "intranasal device":
        mg = 28.0 * draw_(st.integers(1, 3))
    elif route in ("intravenous", "intramuscular", "subcutaneous") and draw_(st.booleans()):
        per_kg = draw_(st.floats(0.05, 2.0))
        cap = draw_(st.none() | st.floats(20.0, 100.0))
    else:
        mg = draw_(st.floats(5.0, 150.0))
    return Administration(time_h, compound, route, mg, per_kg, cap, hours, "any", 1)


@st.composite
def courses(draw_, kind, others):
    """One to three doses, the first of a given kind, at irregular times; some inputs overlap."""
    seed = draw_(st.integers(0, 2**31).filter(bool))  # refuses hypothesis' first, simplest course
    time_h, given_ = draw_(st.sampled_from([0.0, 1.5])), []
    for k in range(draw_(st.integers(1, 3))):
        given_.append(draw_(administration(kind if k == 0 else draw_(st.sampled_from(others)), time_h)))
        time_h += draw_(st.sampled_from([24.0, 48.0, 84.0]) | st.floats(0.3, 60.0))
    after = draw_(st.lists(st.floats(0.05, 60.0), min_size=OBSERVATIONS - 1, max_size=OBSERVATIONS - 1, unique=True))
    observe = np.unique(np.round([draw_(st.sampled_from(given_)).time_h + t for t in after], 4))
    observe = np.append(observe, max(observe[-1], given_[-1].time_h) + draw_(st.floats(1.0, 200.0)))
    design = Design(
        draw_(
            st.sampled_from(
                ["open label", "saline", "midazolam", "new oral antidepressant", "oral antidepressant trial"]
            )
        ),
        draw_(st.sampled_from(["outpatient", "inpatient"])),
        draw_(st.sampled_from(["one", "many"])),
    )
    daily = draw_(
        st.sampled_from([(), (DailyTreatment("sertraline", "SSRI", 100.0, 0.0, None),),
                         (DailyTreatment("escitalopram", "SSRI", 10.0, 6.0, 100.0),)])
    )  # fmt: skip
    return Schedule(tuple(given_), daily, design, float(observe[-1])), observe, seed


def random_people(seed: int):
    """People of any weight and age, of any ancestry, with inhibitors or inducers, every deviate random."""
    rng = np.random.default_rng(seed)
    people = draw("TRD", PATIENTS, seed)
    arrays = dict(
        weight_kg=rng.uniform(45, 160, PATIENTS),
        age_y=rng.uniform(18, 90, PATIENTS),
        asian=rng.integers(0, 2, PATIENTS).astype(float),
        japanese=rng.integers(0, 2, PATIENTS).astype(float),
        resistant=rng.integers(0, 2, PATIENTS).astype(float),
        intrinsic_clearance=np.exp(rng.normal(0, 0.7, PATIENTS)),
        gut_availability=np.exp(rng.normal(0, 0.5, PATIENTS)),
    )
    z = {name: np.clip(rng.standard_normal(PATIENTS), -3, 3) for name in VARIED}
    persons = [{k: a[i] for k, a in arrays.items()} | {"z": {k: a[i] for k, a in z.items()}} for i in range(PATIENTS)]
    for name, array in (arrays | {"z": {k: jnp.asarray(a) for k, a in z.items()}}).items():
        object.__setattr__(people, name, array if name == "z" else jnp.asarray(array))
    return people, persons


def laid_out(calendar: Schedule, observe_h, persons, arterial):
    """Arrays for the two solvers: everything at every start and end of input and at every observation."""
    built = [Compartments() for _ in persons]
    events = [
        [(a.time_h, *one) for a in calendar.administrations for one in inputs_of(c, who, a, arterial)]
        for c, who in zip(built, persons, strict=True)
    ]
    times = {0.0, *observe_h}
    for t, _, _, h in events[0]:
        times |= {t, t + h}
    breaks = np.array(sorted(t for t in times if t <= observe_h[-1]))
    assert len(breaks) <= SEGMENTS and len(built[0].names) <= COMPARTMENTS
    hours = np.append(np.diff(breaks), np.zeros(SEGMENTS - len(breaks) + 1))
    inflow, at_once = (np.zeros((len(persons), SEGMENTS, COMPARTMENTS)) for _ in range(2))
    for i, own in enumerate(events):
        for t, where, mg, h in own:
            if h == 0:
                at_once[i, np.searchsorted(breaks, t), where] += mg
            else:
                during = (breaks[:-1] >= t - 1e-12) & (breaks[1:] <= t + h + 1e-12)
                inflow[i, : len(during), where] += mg / h * during
    binding = np.zeros((len(persons), COMPARTMENTS))
    for i, c in enumerate(built):
        for analyte, places in c.readings.items():
            for where, volume, weighed_as in places:
                molar = 1e6 / value("molecular_weight." + weighed_as) / volume
                if analyte in HALF_OCCUPANCY:
                    binding[i, where] += FREE / HALF_OCCUPANCY[analyte] * molar
    durability = np.array(
        [math.exp(value("depression.sd_durability") * w["z"]["depression.durability"]) for w in persons]
    )
    matrix = np.stack([c.matrix for c in built])
    return built, breaks, (matrix, binding, durability, hours, inflow, at_once)


worst: dict[str, float] = {}


def compare(course, arterial):
    calendar, observe_h, seed = course
    people, persons = random_people(seed)
    routes = {a.route: "simons2022" for a in calendar.administrations} if arterial else None
    _, setting, timing = prepare(calendar, observe_h, Variants(), dispositions=routes)
    engine = {k: np.asarray(v).T for k, v in run_batch(setting, timing, people)[0].items()}
    built, breaks, arrays = laid_out(calendar, observe_h, persons, arterial)
    at = np.searchsorted(breaks, observe_h) - 1
    for solver in (by_diffrax, by_scipy):
        states = np.asarray(solver(*arrays))[:, at]
        x = np.einsum("nc,ntc->nt", arrays[1], states[..., :COMPARTMENTS])
        expected = {"occupancy": x / (1 + x)}
        for analyte in built[0].readings:
            expected[analyte] = sum(
                states[:, :, where] / np.array([c.readings[analyte][k][1] for c in built])[:, None]
                * 1e3 * value("molecular_weight." + analyte.split("-")[1]) / value("molecular_weight." + weighed_as)
                for k, (where, _, weighed_as) in enumerate(built[0].readings[analyte])
            )  # fmt: skip
        for name, reference in expected.items():
            floor = FLOOR_OCCUPANCY if name == "occupancy" else FLOOR_NG_PER_ML
            error = np.max(np.abs(engine[name] - reference) / (np.abs(reference) + floor / RELATIVE))
            kind = f"{'occupancy' if name == 'occupancy' else 'plasma'}, {solver.__name__}"
            worst[kind] = max(worst.get(kind, 0.0), error)
            assert error < RELATIVE, f"{name} is off by {error:.1e} (relative) from {solver.__name__}"
        score = madrs(calendar, observe_h, states, persons, np.asarray(people.baseline_madrs), engine["fluctuation"])
        error = np.max(np.abs(engine["MADRS"] - score))
        kind = f"MADRS, {solver.__name__}"
        worst[kind] = max(worst.get(kind, 0.0), error)
        assert error < POINTS, f"MADRS is off by {error:.1e} points from {solver.__name__}"


# A failing protocol is reported as drawn: shrinking it would compile hundreds of engines. Each run draws the same
# protocols; to search further, take out derandomize and raise max_examples.
few = settings(
    max_examples=1,
    derandomize=True,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("kind", KINDS)
@few
@given(st.data())
def test_venous_courses_match_two_solvers(kind, data):
    compare(data.draw(courses(KINDS[kind], list(KINDS.values()))), arterial=False)


@few
@given(courses(ARTERIAL[0], ARTERIAL[1:]))
def test_arterial_courses_match_two_solvers(course):
    compare(course, arterial=True)
