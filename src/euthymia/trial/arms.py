"""From an arm of a trial to its simulated patients, whose effects can be scaled to the study afterwards."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from euthymia import evidence
from euthymia.course.outcomes import PARTS
from euthymia.course.simulate import simulate_schedule
from euthymia.course.variants import Variants
from euthymia.illness.depression import MADRS_MAXIMUM
from euthymia.patient.population import Patients
from euthymia.protocol import load, schedule
from euthymia.protocol.calendar import Administration, DailyTreatment, Design, Schedule
from euthymia.protocol.document import UNNAMED
from euthymia.trial.document import Arm, Endpoint, Trial, TrialSet
from euthymia.trial.observed import baseline

WORKERS = 2  # most of the time goes into compiling, which one thread does at a time


class Scores(NamedTuple):
    """True MADRS of one arm under one study level: baseline, and by time (h), [patients once or several times over]."""

    baseline: np.ndarray
    at: Mapping[float, np.ndarray]
    people: Patients
    background_level: float = 1.0


class SimulatedArm(NamedTuple):
    """Effects on the log score [patients, times] before the study's own level is applied."""

    trial: str
    people: Patients
    time_h: np.ndarray
    drug: np.ndarray
    antidepressant: np.ndarray
    background: np.ndarray
    fluctuation: np.ndarray

    def scores(self, drug: float = 1.0, background: float = 1.0) -> Scores:
        """Scores where this study's drug gain and non-drug response are multiplied.

        Everybody appears twice, with their ups and downs and with the opposite ones.
        """
        start = np.tile(np.asarray(self.people.baseline_madrs), 2)
        steady = drug * self.drug + self.antidepressant + background * self.background
        effect = np.concatenate([steady - self.fluctuation, steady + self.fluctuation])
        madrs = np.minimum(start[:, None] * np.exp(-effect), MADRS_MAXIMUM)
        return Scores(start, dict(zip(self.time_h.tolist(), madrs.T, strict=True)), self.people, background)


def times_needed(arm: str, endpoints: Iterable[Endpoint]) -> tuple[float, ...]:
    """Every time (h) at which some endpoint looks at `arm`."""
    wanted: set[float] = set()
    for e in endpoints:
        if arm in e.arm:
            wanted |= set(e.visits or (e.at.value,)) | set(e.followed.at if e.followed else ())
    return tuple(sorted(wanted))


def calendar(trial: Trial, arm: Arm, horizon_h: float) -> Schedule:
    """What is given to `arm` until `horizon_h`, under the trial's own design."""
    block, given = trial.design, arm.given
    design = Design(block.expectancy, block.setting, block.sites)
    sessions: tuple[Administration, ...] = ()
    daily: tuple[DailyTreatment, ...] = ()
    if given and given.protocol:
        planned = schedule(load(given.protocol), horizon_h)
        sessions, daily = planned.administrations, planned.daily
    elif given and given.compound and given.route:
        by_weight = given.dose is not None and given.dose.unit == "mg/kg"
        mg = given.dose.value if given.dose else None
        sessions = tuple(
            Administration(
                time_h=time,
                compound=given.compound,
                route=given.route,
                dose_mg=None if by_weight else mg,
                dose_mg_per_kg=mg if by_weight else None,
                cap_mg=None,
                duration_h=given.over.value if given.over else 0.0,
                phase=arm.arm,
                session=k + 1,
            )
            for k, time in enumerate(given.at)
            if time < horizon_h
        )
    if given and given.stops:
        sessions = tuple(a for a in sessions if a.time_h < given.stops.value)
    if arm.antidepressant:
        start, stop = arm.antidepressant.start, arm.antidepressant.stop
        daily = (DailyTreatment(UNNAMED, UNNAMED, None, start.value, stop.value if stop else None),)
    return Schedule(sessions, daily, design, horizon_h, {})


def mirrored(people: Patients) -> Patients:
    """These people and, for each, one with the opposite deviates: chance in the one is undone in the other.

    So a few thousand give the means of many more. Pairs share age, sex and weight.
    """
    both = jax.tree.map(lambda x: jnp.concatenate([x, x]), people)
    baseline_mean = evidence.value("population.trd.baseline_mean")
    opposite = 2 * baseline_mean - people.baseline_madrs
    z = {name: jnp.concatenate([x, -x]) for name, x in people.z.items()}
    return eqx.tree_at(lambda p: (p.baseline_madrs, p.z), both, (jnp.concatenate([people.baseline_madrs, opposite]), z))


def people_of(arm: Arm, people: Patients) -> Patients:
    """The same virtual patients with the arm's baseline mean and SD, and what else is particular to it."""
    mean, sd = baseline(arm.baseline)
    drawn = np.asarray(people.baseline_madrs)
    virtual = {name: evidence.value(f"population.trd.baseline_{name}") for name in ("mean", "sd", "minimum", "maximum")}
    own = mean + sd * (drawn - virtual["mean"]) / virtual["sd"]
    changed = {"baseline_madrs": np.clip(own, virtual["minimum"], virtual["maximum"])}
    if arm.people:
        changed["weight_kg"] = np.asarray(people.weight_kg) * arm.people.weight_factor
        changed["resistant"] = np.full(len(drawn), float(arm.people.resistant))
        changed["asian"] = np.full(len(drawn), float(arm.people.asian))
    return eqx.tree_at(lambda p: [getattr(p, k) for k in changed], people, [jnp.asarray(v) for v in changed.values()])


def _shape(planned: Schedule) -> tuple:
    """Arms alike in this run in the same compiled code once they are observed at the same times."""
    return tuple((a.time_h, a.compound, a.route, a.dose_mg, a.duration_h) for a in planned.administrations)


def simulate_arms(
    trials: TrialSet, people: Patients, progress: Callable[[int, int], None] | None = None
) -> dict[str, SimulatedArm]:
    """Every arm of every trial in the same virtual patients, by name. progress: called with (arms done, arms)."""
    endpoints = [e for t in trials.trials for e in t.endpoints]
    alike: dict[tuple, list[tuple[Trial, Arm, Schedule, tuple[float, ...]]]] = defaultdict(list)
    for trial, arm in trials.arms():
        times = times_needed(arm.arm, endpoints)
        planned = calendar(trial, arm, times[-1])
        alike[_shape(planned)].append((trial, arm, planned, times))

    def run(group: list[tuple[Trial, Arm, Schedule, tuple[float, ...]]]) -> dict[str, SimulatedArm]:
        union = np.array(sorted({t for *_, times in group for t in times}))
        done = {}
        for trial, arm, planned, times in group:
            who = people_of(arm, people)
            planned = replace(planned, horizon_h=float(union[-1]))
            values, _ = simulate_schedule(planned, who, union, Variants())
            kept = np.isin(union, times)
            effects = (values[part][:, kept] for part in PARTS)
            done[arm.arm] = SimulatedArm(trial.trial, who, union[kept], *effects)
        return done

    found: dict[str, SimulatedArm] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in pool.map(run, alike.values()):
            found |= done
            if progress:
                progress(len(found), len(list(trials.arms())))
    return found
