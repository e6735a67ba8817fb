"""Simulate a protocol on virtual patients."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl

from euthymia import evidence
from euthymia.course.batch import BATCH, compile_read_out, run_batch
from euthymia.course.engine import Steps
from euthymia.course.mesh import build_mesh
from euthymia.course.observe import default_times
from euthymia.course.outcomes import Given, patient_outcomes
from euthymia.course.plan import Plan, make_plan
from euthymia.course.result import UNITS, Course, Provenance, check_times, course_frame, evidence_hash, release
from euthymia.course.setting import BipolarSetting, PtsdSetting, Setting, Tilt, Timing
from euthymia.course.store import Parts, bytes_needed, narrow
from euthymia.course.variants import Variants
from euthymia.drug.compounds import COMPOUNDS
from euthymia.drug.dispositions import fastest_rate_per_h
from euthymia.errors import UserError
from euthymia.illness.background import Background
from euthymia.illness.bipolar import STABILISERS, STEP_H, Bipolar, ketamine_tilt, poles, tilts
from euthymia.illness.ptsd import Extinction, Ptsd
from euthymia.illness.relative import Relative
from euthymia.patient.population import Patients, between_episodes, draw, has_poles, illness_of
from euthymia.protocol import Protocol, fingerprint, load, schedule
from euthymia.protocol.calendar import Schedule

jax.config.update("jax_enable_x64", True)

MAXIMUM_WEEKS = 104
MESH_LEVEL = 1.0
MEMORY_BYTES = 1e9  # time courses beyond this are not held in memory
PART = 4 * BATCH  # patients per stored part
VARIABLES = len(UNITS)
ABSORPTION_INPUTS = tuple(
    p.id.removeprefix("absorption.") for p in evidence.model_parameters() if p.id.startswith("absorption.")
)
ANTIDEPRESSANT_SIZE = {"quetiapine XR": "depression.quetiapine_factor"}
MOOD_STABILISERS = ("lithium", "valproate")
"""Which in unipolar depression do nothing that is modelled."""


def _pole_times(observe_h: np.ndarray) -> np.ndarray:
    """The ends of the poles' steps, 0 included, as far as the observations reach."""
    return STEP_H * np.arange(np.ceil(observe_h[-1] / STEP_H) + 1)


def _own_times(calendar: Schedule, observe_h: np.ndarray, illness: str) -> np.ndarray:
    """Times (h) the illness's own equations look at, beside those asked for."""
    if illness == "bipolar":
        return _pole_times(observe_h)
    exposures = np.array(calendar.exposures_h)
    return exposures[exposures <= observe_h[-1]]


def _timing(
    plan: Plan, calendar: Schedule, observe_h: np.ndarray, level: float, asked_h: np.ndarray, illness: str
) -> Timing:
    fastest = max((fastest_rate_per_h(p.disposition) for p in plan.pathways), default=1.0)
    mesh = build_mesh(plan.breaks_h, plan.kind, level, fastest)
    session_h = np.array([a.time_h for a in calendar.administrations if a.time_h < observe_h[-1]])
    at = np.searchsorted(session_h, observe_h, side="left")
    begun = np.concatenate([[-np.inf, -np.inf], session_h])  # none yet: infinitely long ago
    since = observe_h - np.stack([begun[at + 1], begun[at]])
    active = np.array([a.compound in COMPOUNDS for a in calendar.administrations[: len(session_h)]], float)
    return Timing(
        steps=Steps.of(mesh),
        observe_h=np.asarray(observe_h),
        since_session_h=np.asarray(since),
        session_at=np.asarray(at),
        minute=np.asarray(np.round(observe_h * 60).astype(int)),
        amount_of=np.asarray(plan.amount_of),
        inflow_of=np.asarray(plan.inflow_of),
        amount_counts=np.asarray(plan.amount_counts),
        inflow_counts=np.asarray(plan.inflow_counts),
        session_of=np.asarray(plan.session_of),
        observed=np.asarray(plan.observed - 1),
        earlier=np.asarray(np.concatenate([[0.0], np.cumsum(active)])[:-1]),
        pole=np.searchsorted(observe_h, _pole_times(asked_h)) if illness == "bipolar" else None,
        exposed=np.isin(observe_h, calendar.exposures_h).astype(float) if illness == "ptsd" else None,
        reported=None if illness == "depression" else np.searchsorted(observe_h, asked_h),
        days=int(np.ceil(observe_h[-1] / 24.0)) + 1,
    )


def _tilts(calendar: Schedule) -> tuple[Tilt, ...]:
    return tuple(
        Tilt(
            np.asarray(d.start_h),
            np.asarray(np.inf if d.stop_h is None else d.stop_h),
            np.asarray(depressive),
            np.asarray(manic),
            np.asarray(float(d.kind in STABILISERS)),
        )
        for d in calendar.daily
        for depressive, manic in [tilts(d.kind)]
    )


def _own(calendar: Schedule, illness: str) -> BipolarSetting | PtsdSetting | None:
    if illness == "bipolar":
        return BipolarSetting(Bipolar.from_evidence(), *poles(), _tilts(calendar), ketamine_tilt())
    if illness == "ptsd":
        return PtsdSetting(Ptsd.from_evidence(), Extinction.from_evidence())
    return None


def _relative(illness: str, variants: Variants) -> Relative:
    ratios = Relative.of(illness)
    if illness == "ptsd" and variants.ptsd_trials == "positive":
        return replace(ratios, gain=evidence.value("ptsd.gain_factor_positive_trial"))
    return ratios


def uncertain_fields(calendar: Schedule, variants: Variants, illness: str) -> dict[str, Any]:
    """The fields of `Setting` that hold uncertain numbers (`setting.UNCERTAIN`), as the evidence has them now: as
    arrays, so that another design needs no new compilation."""
    design = calendar.design
    treatments = tuple(
        (
            np.asarray(d.start_h),
            np.asarray(np.inf if d.stop_h is None else d.stop_h),
            np.asarray(evidence.value(ANTIDEPRESSANT_SIZE[d.kind]) if d.kind in ANTIDEPRESSANT_SIZE else 1.0),
        )
        for d in calendar.daily
        if illness != "bipolar" and d.kind not in MOOD_STABILISERS
    )
    return {
        "background": jax.tree.map(np.asarray, Background.of(design.expectancy, design.setting == "inpatient")),
        "multicentre": np.asarray(evidence.value("depression.multicentre_factor") if design.sites == "many" else 1.0),
        "antidepressants": treatments,
        "relative": jax.tree.map(np.asarray, _relative(illness, variants)),
    }


def _setting(
    plan: Plan, calendar: Schedule, variants: Variants, absorption: Mapping[str, float], illness: str
) -> Setting:
    return Setting(
        **uncertain_fields(calendar, variants, illness),
        own=jax.tree.map(np.asarray, _own(calendar, illness)),
        assumed={id: np.asarray(x) for id, x in _assumed().items()},
        dose_mg=np.asarray([d.mg or 0.0 for d in plan.doses]),
        dose_mg_per_kg=np.asarray([d.mg_per_kg or 0.0 for d in plan.doses]),
        cap_mg=np.asarray([np.inf if d.cap_mg is None else d.cap_mg for d in plan.doses]),
        input_h=np.asarray([e.duration_h or 1.0 for e in plan.entries]),
        variants=variants,
        pathways=plan.pathways,
        doses=tuple((d.pathway, d.share, d.input_key) for d in plan.doses),
        entries=tuple((e.dose, e.input) for e in plan.entries),
        absorption=tuple(sorted(absorption.items())),
    )


def _assumed() -> dict[str, float]:
    """What is assumed in place of the evidence. Raises UserError where that is no number."""
    for id, x in evidence.assumed().items():
        if np.ndim(x) or not np.isfinite(x):
            raise UserError(f"{id} is assumed to be {x}; in a simulation it must be one finite number.")
    return {id: float(x) for id, x in evidence.assumed().items()}


def _check_absorption(given: Mapping[str, float]) -> tuple[str, ...]:
    """Warnings for inputs outside the range of the evidence. Raises UserError for unknown or impossible ones."""
    warnings = []
    for name, number in given.items():
        if name not in ABSORPTION_INPUTS:
            raise UserError(f"there is no absorption input {name!r}; allowed: {', '.join(ABSORPTION_INPUTS)}.")
        row = evidence.parameter("absorption." + name)
        most = 1.0 if row.unit == "fraction" else 100.0
        if not (np.isfinite(number) and 0 < number <= most):
            raise UserError(f"absorption input {name} must be above 0 and at most {most:g} {row.unit}, got {number:g}.")
        if row.low is not None and row.high is not None and not row.low <= number <= row.high:
            warnings.append(f"{name} {number:g} lies outside the range of the evidence, {row.low:g} to {row.high:g}")
    return tuple(warnings)


def prepare(
    calendar: Schedule,
    observe_h: np.ndarray,
    variants: Variants,
    absorption: Mapping[str, float] | None = None,
    dispositions: Mapping[str, str] | None = None,
    level: float = MESH_LEVEL,
    illness: str = "depression",
) -> tuple[Plan, Setting, Timing]:
    """Everything about a course that does not depend on the patients.

    level: of the mesh; higher is finer; illness: depression, bipolar or ptsd, whose own times are then observed too.
    """
    warnings = _check_absorption(absorption or {})
    asked_h = observe_h
    if illness != "depression":
        observe_h = np.union1d(observe_h, _own_times(calendar, observe_h, illness))
    plan = make_plan(calendar.administrations, observe_h, dispositions, absorption)
    plan = replace(plan, warnings=plan.warnings + warnings)
    setting = _setting(plan, calendar, variants, absorption or {}, illness)
    return plan, setting, _timing(plan, calendar, observe_h, level, asked_h, illness)


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
    out: str | Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Course:
    """Simulate a protocol and return its Course.

    protocol: a name in the catalogue, a file, or a Protocol; patients: how many to draw from the protocol's population,
    or Patients of your own (with their own seed); weeks: horizon, up to two years; seed: of every random number;
    observe_h: observation times (h), default the first day closely and then daily; variants: disputed mechanisms;
    absorption: your values for rows "absorption.*" of the evidence, by name; dispositions: route to disposition;
    out: folder for the whole course as Parquet parts, resumed if a former run was killed;
    progress: called with (patients done, patients);
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
    people = patients if isinstance(patients, Patients) else draw(document.population, patients, seed)
    times = (
        default_times([a.time_h for a in calendar.administrations], horizon)
        if observe_h is None
        else check_times(observe_h, horizon)
    )
    variants = variants or Variants()
    plan, setting, timing = prepare(
        calendar, times, variants, absorption, dispositions, illness=illness_of(people.population)
    )
    provenance = Provenance(
        protocol=document.name,
        protocol_hash=fingerprint(document),
        evidence_hash=evidence_hash(),
        population=people.population,
        patients=len(people),
        seed=people.seed,
        variants=variants.changed(),
        absorption=dict(absorption or {}),
        dispositions=tuple(p.disposition for p in plan.pathways),
        version=release(),
        assumed=_assumed(),
    )
    parts = None
    if out is not None:
        run = {
            "provenance": asdict(provenance),
            "observe_h": times.tolist(),
            "weeks": weeks,
            "population": population_hash(people),
        }
        parts = Parts(Path(out), run, ("course", "outcomes"))
    kept = max(BATCH, int(MEMORY_BYTES / bytes_needed(1, len(times), VARIABLES)))
    values, sessions, table = _run(setting, timing, calendar, people, times, kept, parts, workers, progress)
    warnings = plan.warnings + beyond_evidence(calendar, people.population)
    warnings += tuple(
        f"{id} is assumed to be {x:g}; the evidence has {evidence.parameter(id).value:g}"
        for id, x in provenance.assumed.items()
    )
    if kept < len(people):
        where = f"all are in {out}" if out is not None else "give a folder (out) to store all"
        warnings += (f"time courses of the first {kept:,} of {len(people):,} patients are in memory; {where}",)
    return Course(
        protocol=document,
        calendar=calendar,
        people=people,
        time_h=times,
        values=values,
        session_h=np.array([a.time_h for a in calendar.administrations if a.time_h < times[-1]]),
        sessions=sessions,
        table=table,
        warnings=warnings,
        provenance=provenance,
        stored=Path(out) if out is not None else None,
    )


def beyond_evidence(calendar: Schedule, population: str) -> tuple[str, ...]:
    """What of a course no human data support, in words."""
    if not any(a.compound in COMPOUNDS for a in calendar.administrations):
        return ()
    if calendar.exposures_h:
        return ("extrapolation: that ketamine helps exposure therapy is known from rats alone",)
    if not has_poles(population):
        return ()
    said = ["extrapolation: mixed states under ketamine have no human data"]
    if not any(d.kind in STABILISERS for d in calendar.daily):
        said.append("extrapolation: no trial gave ketamine in bipolar disorder without a mood stabiliser")
    if population.startswith("rapid cycling"):
        said.append("extrapolation: no trial tells how ketamine works in rapid cycling")
    if between_episodes(population):
        said.append("extrapolation: no trial gave ketamine between episodes of bipolar disorder")
    return tuple(said)


def population_hash(people: Patients) -> str:
    """Digest of who is simulated, so that a resumed run cannot mix two populations."""
    digest = sha256()
    for leaf in jax.tree.leaves(people):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def _run(setting, timing, calendar, people, times, kept, parts, workers, progress):
    """All parts in order, the batches of each on threads (the compiled code holds no lock)."""
    n = len(people)
    room = min(kept, n)
    held: tuple[dict[str, np.ndarray], dict[str, np.ndarray]] = ({}, {})
    tables = []
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        pool.submit(compile_read_out, setting, timing, _batch(people, 0))
        for part, first in enumerate(range(0, n, PART)):
            last = min(first + PART, n)
            table = parts.read("outcomes", part) if parts and parts.done(part) else None
            if table is None or first < room:
                who = people.take(first, last)
                found = _part(setting, timing, who, pool)
                if table is None:
                    given = Given.planned(who, calendar, float(times[-1]))
                    table = patient_outcomes(who, given, times, *found)
                    if parts:
                        parts.write(part, narrow(course_frame(np.asarray(who.index), times, found[0])), table)
                for into, new in zip(held, found, strict=True):
                    for name, array in new.items():
                        if first < room:
                            into.setdefault(name, np.empty((room, array.shape[1])))[first:last] = array[: room - first]
            tables.append(table)
            if progress:
                progress(last, n)
    return *held, pl.concat(tables)


def _batch(people: Patients, start: int) -> Patients:
    """BATCH patients from `start`; the last patient repeated where there are fewer."""
    rows = np.minimum(np.arange(start, start + BATCH), len(people) - 1)
    return jax.tree.map(lambda x: np.asarray(x)[rows], people)


def _part(setting: Setting, timing: Timing, people: Patients, pool: ThreadPoolExecutor):
    """The values and sessions of one part, [patients, ...]."""
    n = len(people)

    def one(start: int):
        count = min(BATCH, n - start)
        return jax.tree.map(lambda x: np.asarray(x).T[:count], run_batch(setting, timing, _batch(people, start)))

    done = list(pool.map(one, range(0, n, BATCH)))
    values, sessions = ({name: np.concatenate([d[i][name] for d in done]) for name in done[0][i]} for i in (0, 1))
    return values, sessions


def simulate_schedule(
    calendar: Schedule, people: Patients, observe_h: np.ndarray, variants: Variants
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Values and sessions of a bare calendar, without a document or files: for tables and charts over many doses."""
    _, setting, timing = prepare(calendar, observe_h, variants, illness=illness_of(people.population))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return _part(setting, timing, people, pool)
