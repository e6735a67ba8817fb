"""Simulate a protocol on virtual patients."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from euthymia.course.batch import BATCH, Setting, Timing, run_batch
from euthymia.course.engine import Steps
from euthymia.course.mesh import build_mesh
from euthymia.course.observe import default_times
from euthymia.course.plan import Plan, make_plan
from euthymia.course.result import Course, Provenance
from euthymia.course.variants import Variants
from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.illness.background import Background
from euthymia.patient.population import Patients, draw
from euthymia.protocol import Protocol, fingerprint, load, schedule
from euthymia.protocol.calendar import Schedule

jax.config.update("jax_enable_x64", True)

MAXIMUM_WEEKS = 104
MESH_LEVEL = 1.0
ANTIDEPRESSANT_SIZE = {"quetiapine XR": "depression.quetiapine_factor"}


def _timing(plan: Plan, calendar: Schedule, observe_h: np.ndarray, level: float) -> Timing:
    mesh = build_mesh(plan.breaks_h, plan.kind, level)
    session_h = np.array([a.time_h for a in calendar.administrations if a.time_h < observe_h[-1]])
    at = np.searchsorted(session_h, observe_h, side="left")
    since = np.where(at > 0, observe_h - np.concatenate([[0.0], session_h])[at], np.inf)
    active = np.array([a.compound in COMPOUNDS for a in calendar.administrations[: len(session_h)]], float)
    return Timing(
        steps=Steps.of(mesh),
        observe_h=jnp.asarray(observe_h),
        since_session_h=jnp.asarray(since),
        session_at=jnp.asarray(at),
        minute=jnp.asarray(np.round(observe_h * 60).astype(int)),
        amount_of=jnp.asarray(plan.amount_of),
        inflow_of=jnp.asarray(plan.inflow_of),
        amount_counts=jnp.asarray(plan.amount_counts),
        inflow_counts=jnp.asarray(plan.inflow_counts),
        session_of=jnp.asarray(plan.session_of),
        observed=jnp.asarray(plan.observed - 1),
        earlier=jnp.asarray(np.concatenate([[0.0], np.cumsum(active)])[:-1]),
        days=int(np.ceil(observe_h[-1] / 24.0)) + 1,
    )


def _setting(plan: Plan, calendar: Schedule, variants: Variants, absorption: Mapping[str, float]) -> Setting:
    from euthymia import evidence

    design = calendar.design
    treatments = tuple(
        (
            d.start_h,
            float("inf") if d.stop_h is None else d.stop_h,
            evidence.value(ANTIDEPRESSANT_SIZE[d.kind]) if d.kind in ANTIDEPRESSANT_SIZE else 1.0,
        )
        for d in calendar.daily
    )
    return Setting(
        background=Background.of(design.expectancy, design.setting == "inpatient"),
        multicentre=evidence.value("depression.multicentre_factor") if design.sites == "many" else 1.0,
        antidepressants=treatments,
        variants=variants,
        dispositions=plan.pathways,
        doses=plan.doses,
        entries=plan.entries,
        absorption=tuple(sorted(absorption.items())),
    )


def simulate(
    protocol: str | Path | Protocol,
    patients: int | Patients = 1000,
    weeks: float = 12,
    seed: int = 1,
    *,
    observe_h: Sequence[float] | None = None,
    variants: Variants | None = None,
    absorption: Mapping[str, float] | None = None,
    dispositions: Mapping[str, str] | None = None,
    workers: int | None = None,
) -> Course:
    """Simulate a protocol and return its Course.

    protocol: a name in the catalogue, a file, or a Protocol; patients: how many to draw from the protocol's population,
    or Patients of your own; weeks: horizon, up to two years; seed: of every random number;
    observe_h: observation times (h), default the first day closely and then daily; variants: disputed mechanisms;
    absorption: your values for rows "absorption.*" of the evidence, by name; dispositions: route to disposition;
    workers: threads (default: the machine's cores); results do not depend on it.

    Raises UserError, in one sentence, for anything that cannot be done.

    >>> import euthymia as eu
    >>> course = eu.simulate("ketamine-iv-single", patients=50, weeks=2, seed=1)
    >>> course.patients
    50
    """
    document = protocol if isinstance(protocol, Protocol) else load(protocol)
    if not (np.isfinite(weeks) and 0 < weeks <= MAXIMUM_WEEKS):
        raise UserError(f"weeks must be above 0 and at most {MAXIMUM_WEEKS} (two years), got {weeks:g}.")
    horizon = weeks * 168.0
    calendar = schedule(document, horizon)
    people = patients if isinstance(patients, Patients) else draw(_population(document), patients, seed)
    if observe_h is None:
        times = default_times([a.time_h for a in calendar.administrations], horizon)
    else:
        times = np.unique(np.asarray(observe_h, float))
        if len(times) == 0 or not np.all(np.isfinite(times)) or times[0] < 0 or times[-1] > horizon + 1e-9:
            raise UserError(f"observation times must lie between 0 and {horizon:g} h, the horizon.")
        if times[-1] == 0:
            raise UserError("observation times must include one after 0 h.")
    variants = variants or Variants()
    plan = make_plan(calendar.administrations, times, dispositions)
    setting = _setting(plan, calendar, variants, absorption or {})
    timing = _timing(plan, calendar, times, MESH_LEVEL)
    values, sessions = _run(setting, timing, people, workers)
    return Course(
        protocol=document,
        calendar=calendar,
        people=people,
        time_h=times,
        values=values,
        sessions=sessions,
        session_h=np.array([a.time_h for a in calendar.administrations if a.time_h < times[-1]]),
        warnings=plan.warnings,
        provenance=Provenance.of(fingerprint(document), people, variants, seed),
    )


def _population(document: Protocol) -> str:
    return "healthy" if document.population == "healthy" else "TRD"


def _run(setting: Setting, timing: Timing, people: Patients, workers: int | None):
    """All batches on threads (the compiled code holds no lock), each written into its rows."""
    n = len(people)
    starts = list(range(0, n, BATCH))
    values: dict[str, np.ndarray] = {}
    sessions: dict[str, np.ndarray] = {}

    def one(start: int):
        chunk = people.take(start, min(start + BATCH, n))
        short = BATCH - len(chunk)
        if short:
            chunk = jax.tree.map(lambda x: jnp.concatenate([x, jnp.repeat(x[-1:], short, 0)]), chunk)
        v, s = run_batch(setting, timing, chunk)
        return start, BATCH - short, jax.tree.map(lambda x: np.asarray(x).T, (v, s))

    def keep(done):
        start, count, (v, s) = done
        for into, part in ((values, v), (sessions, s)):
            for name, array in part.items():
                if name not in into:
                    into[name] = np.empty((n, array.shape[1]))
                into[name][start : start + count] = array[:count]

    keep(one(starts[0]))
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for done in pool.map(one, starts[1:]):
            keep(done)
    return values, sessions



