"""Published trials as arrays: everything of every arm that fitted parameters do not touch, and scores from the rest.

Drug levels depend on no fitted parameter, so receptor binding is recorded once per schedule and kind of people; what
follows (plasticity, symptoms) is computed for all arms side by side, quickly and differentiably, from whatever values
`evidence.assume` holds. The same virtual patients are in every arm.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from euthymia import evidence
from euthymia.brain.plasticity import Plasticity
from euthymia.course.batch import drug_drive
from euthymia.course.engine import Path, follow, record
from euthymia.course.outcomes import SCALES, pole_outcomes
from euthymia.course.simulate import ANTIDEPRESSANT_SIZE, prepare, simulate_schedule
from euthymia.course.variants import Variants
from euthymia.illness.background import Background
from euthymia.illness.bipolar import POLES
from euthymia.illness.depression import DAY_H, MADRS_MAXIMUM, Depression, score
from euthymia.illness.ptsd import Extinction
from euthymia.illness.relative import Relative
from euthymia.patient.population import Patients, has_poles, illness_of
from euthymia.patient.random import normals
from euthymia.protocol import load, schedule
from euthymia.protocol.calendar import Administration, DailyTreatment, Design, Schedule
from euthymia.protocol.document import UNNAMED
from euthymia.protocol.words import AGENTS
from euthymia.trial.document import Arm, Endpoint, Trial
from euthymia.trial.observed import baseline

MESH_LEVEL = 0.15  # against a mesh twenty times finer: mean of an arm within 0.004 points, any patient within 0.03
STATES = ("functional", "labile", "consolidated")
DEVIATES = (
    "depression.gain",
    "depression.durability",
    "depression.antidepressant_gain",
    "depression.lability",
    "background",
)
PAD_STEPS = 128  # paths are padded to a multiple, so that they share compilations
REPEATS, SHORT_H, APART = 16, 26 * 168.0, 1_000_000
"""How often the poles of the people of an arm are followed where it is shorter than half a year, each time by chance of
its own; and how far apart the numbers are that key that chance."""
LONG_AGO_H = 1e6  # finite, so that derivatives are
MAXIMUM = {"depression": MADRS_MAXIMUM, "bipolar": MADRS_MAXIMUM, "ptsd": 136.0}
"""Of the scales trials use; the CAPS of older ones goes to 136."""
ArmName = tuple[str, str]
"""Trial and arm."""


class Scores(NamedTuple):
    """True MADRS of one arm: at entry, and by time (h), [patients]; everybody appears twice, with opposite ups and
    downs. background: the study's multiplier of the non-drug response, and of how often episodes of bipolar disorder
    come; begins: by pole, when the first new episode does (h), infinite where none does."""

    baseline: Array
    at: Mapping[float, Array]
    people: Patients
    background: Any = 1.0
    begins: Mapping[str, Array] = MappingProxyType({})


class Arms(eqx.Module):
    """Every arm as arrays, times padded to one length: [arms], [arms, times] or [arms, times, patients].

    path: every distinct drug course; lane, picks: where in it each observation reads, the end of step number `picks`
    (0: no ketamine yet); start_h, stop_h: of the oral antidepressant; design: row of `designs`, pairs of expectancy and
    whether inpatients; ups_and_downs: of unit SD; episode: what the course of the poles takes off, [sets of values of
    the poles, arms, times, patients] (None but in bipolar disorder); begins: by pole, when a new episode does (h),
    [sets, arms, patients several times over].
    """

    path: Path
    lane: Array
    picks: Array
    time_h: Array
    since_session_h: Array  # [2, arms, times]
    start_h: Array
    stop_h: Array
    antidepressant: Array
    quetiapine: Array
    design: Array
    many_sites: Array
    trial: Array
    resistant: Array
    age_y: Array  # [arms, patients]
    baseline: Array  # [arms, patients]
    ups_and_downs: Array
    z: dict[str, Array]
    episode: Array | None
    exposed: Array
    veterans: Array
    begins: dict[str, Array]
    designs: tuple[tuple[str, bool], ...] = eqx.field(static=True)
    illness: str = eqx.field(static=True)


class Replicas(NamedTuple):
    """Trials ready to be scored. names: of the arms in the order of `arms`; times: those of each arm (h)."""

    trials: tuple[Trial, ...]
    names: tuple[ArmName, ...]
    times: tuple[tuple[float, ...], ...]
    people: tuple[Patients, ...]
    arms: Arms

    def scores(
        self, arms: Arms, drug: Array, background: Array, plastic: Array | None = None, poles: Any = 0
    ) -> dict[ArmName, Scores]:
        """By arm, where each trial multiplies drug and non-drug response, [trials]. arms: `self.arms`, which compiled
        code must be given as an argument rather than keep as a constant; plastic, poles: as in `effects`."""
        true = madrs(arms, drug, background, plastic, poles)
        row = np.concatenate([k * true.shape[1] + np.arange(len(times)) for k, times in enumerate(self.times)])
        # split, not indexed one by one: the reverse of every index would be an array as large as the whole
        each = iter(jax.lax.split(true.reshape(-1, true.shape[2])[row], (1,) * len(row)))
        found = {}
        for k, (name, times) in enumerate(zip(self.names, self.times, strict=True)):
            start = jnp.tile(arms.baseline[k], 2)
            at = {t: next(each)[0] for t in times}
            begins = {pole: x[poles, k] for pole, x in arms.begins.items()}
            found[name] = Scores(start, at, self.people[k], background[arms.trial[k]], begins)
        return found


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
    daily += tuple(DailyTreatment(agent, AGENTS[agent], None, 0.0, None) for agent in arm.alongside)
    if arm.antidepressant:
        start, stop = arm.antidepressant.start, arm.antidepressant.stop
        daily = (DailyTreatment(UNNAMED, UNNAMED, None, start.value, stop.value if stop else None),)
    return Schedule(sessions, daily, design, horizon_h, {})


def mirrored(people: Patients) -> Patients:
    """These people and, for each, one with the opposite deviates: chance in the one is undone in the other.

    So a few hundred give the means of many more. Pairs share age, sex and weight.
    """
    both = jax.tree.map(lambda x: jnp.concatenate([x, x]), people)
    field, (mean, *_) = _score_at_entry(people)
    drawn = jnp.asarray(getattr(people, field))
    z = {name: jnp.concatenate([x, -x]) for name, x in people.z.items()}
    return eqx.tree_at(lambda p: (getattr(p, field), p.z), both, (jnp.concatenate([drawn, 2 * mean - drawn]), z))


def _score_at_entry(people: Patients) -> tuple[str, tuple[float, float, float, float]]:
    """Which score it is; and of the population its mean, SD, and the lowest and highest a trial's patient may have."""
    illness = illness_of(people.population)
    prefix = "population.ptsd.caps5" if illness == "ptsd" else "population.trd.baseline"
    mean, sd, low, high = (
        evidence.parameter(f"{prefix}_{name}").value for name in ("mean", "sd", "minimum", "maximum")
    )
    # trials of PTSD use scales of other lengths: their limits are those of the scale
    return SCALES[illness].entry, (mean, sd, 1.0, MAXIMUM[illness]) if illness == "ptsd" else (mean, sd, low, high)


def people_of(trial: Trial, arm: Arm, people: Patients) -> Patients:
    """The same virtual patients with the arm's baseline mean and SD, and what else is particular to it."""
    mean, sd = baseline(arm.baseline, trial.set)
    field, (usual, usual_sd, low, high) = _score_at_entry(people)
    unipolar = illness_of(people.population) == "depression"
    drawn = np.asarray(getattr(people, field))

    def trd(name: str) -> float:
        return evidence.parameter(f"population.trd.{name}").value

    own = mean + sd * (drawn - usual) / usual_sd
    changed = {field: np.clip(own, low, high)}
    if arm.people:
        changed["weight_kg"] = np.asarray(people.weight_kg) * arm.people.weight_factor
        changed["resistant"] = np.full(len(drawn), float(arm.people.resistant and unipolar))
        changed["asian"] = np.full(len(drawn), float(arm.people.asian))
        changed["japanese"] = np.full(len(drawn), float(arm.people.japanese))
        if arm.people.age:
            spread = (arm.people.age_sd or trd("age_sd")) / trd("age_sd")
            changed["age_y"] = arm.people.age + spread * (np.asarray(people.age_y) - trd("age_mean"))
    own_people = (
        replace(people, population="bipolar euthymia") if arm.people and arm.people.between_episodes else people
    )
    return eqx.tree_at(
        lambda p: [getattr(p, k) for k in changed], own_people, [jnp.asarray(v) for v in changed.values()]
    )


def _given_to(planned: Schedule, who: Patients) -> tuple:
    """Arms alike in this share one recorded drug path."""
    doses = tuple(
        (a.time_h, a.compound, a.route, a.dose_mg, a.dose_mg_per_kg, a.cap_mg, a.duration_h)
        for a in planned.administrations
    )
    kind = (float(who.weight_kg[0]), float(who.asian[0]), float(who.japanese[0]), float(who.age_y[0]))
    return (*doses, kind)


class Recorded(NamedTuple):
    """One drug course: step lengths [steps], binding [steps, 3, patients], and by time (h) which step's end to read."""

    h: np.ndarray
    binding: Array
    step_of: dict[float, int]


def _recorded(planned: Schedule, who: Patients, times: np.ndarray) -> Recorded | None:
    """The drug course of a schedule, to be read at `times` (h); None without ketamine."""
    plan, setting, timing = prepare(replace(planned, horizon_h=float(times[-1])), times, Variants(), level=MESH_LEVEL)
    if not plan.pathways:
        return None
    first, last = np.asarray(timing.steps.first), np.asarray(timing.steps.last)
    n = int(last[-1])
    padded = n + -n % PAD_STEPS
    h = np.zeros(padded)
    h[:n] = np.asarray(timing.steps.lengths)[np.asarray(timing.steps.h_class)[:n]]
    segment = np.full(padded, len(first) - 1)
    segment[:n] = np.repeat(np.arange(len(first)), last - first)
    opens = np.zeros(padded)
    opens[first] = 1.0
    drive = eqx.filter_jit(drug_drive)(setting, timing, who)[0]
    binding = record(drive, jnp.asarray(h), jnp.asarray(segment), jnp.asarray(opens))["binding"]
    observed = np.asarray(timing.observed)
    step_of = np.where(observed >= 0, last[np.maximum(observed, 0)], 0)
    return Recorded(h[:n], binding[:n], dict(zip(times.tolist(), step_of.tolist(), strict=True)))


def _ups_and_downs(people: Patients, time_h: np.ndarray) -> Array:
    """The fluctuation of unit SD, [arms, times, patients]."""
    days = int(np.ceil(time_h.max() / DAY_H)) + 1
    daily = normals(people.seed, {"fluctuation": np.arange(days)}, people.index)["fluctuation"]
    path = Depression.from_evidence().fluctuation(
        jnp.asarray(time_h.ravel()), jnp.asarray(daily), jnp.ones(len(people))
    )
    return path.reshape(*time_h.shape, -1)


def _times(trial: Trial, arm: Arm) -> tuple[float, ...]:
    """Every time (h) at which an endpoint looks at an arm, or an exposure teaches before the last of them."""
    looked = times_needed(arm.arm, trial.endpoints)
    return tuple(sorted({*looked, *(t for t in arm.exposure if t <= looked[-1])}))


def build(
    trials: Sequence[Trial],
    people: Patients,
    progress: Callable[[int, int], None] | None = None,
    poles: Sequence[Mapping[str, float]] = (MappingProxyType({}),),
) -> Replicas:
    """Lay out every arm of `trials` for `people`. progress: called with (drug schedules recorded, drug schedules);
    poles: sets of values of bipolar disorder (rows "bipolar.*") under each of which everybody's episodes are followed;
    by default those of the evidence."""
    everyone = [(trial, arm, people_of(trial, arm, people)) for trial in trials for arm in trial.arms]
    times = [_times(trial, arm) for trial, arm, _ in everyone]
    planned = [calendar(trial, arm, t[-1]) for (trial, arm, _), t in zip(everyone, times, strict=True)]
    who = [p for *_, p in everyone]
    width = max(len(t) for t in times)
    padded = np.stack([np.pad(t, (0, width - len(t)), mode="edge") for t in times])
    path, lane, picks = _laid_out(planned, who, times, padded, progress)
    episode, begins = _of_poles(trials, planned, who, padded, poles) if has_poles(people.population) else (None, {})
    designs = [(c.design.expectancy, c.design.setting == "inpatient") for c in planned]
    distinct = tuple(dict.fromkeys(designs))
    daily = [c.daily[0] if c.daily else None for c in planned]
    index = {trial.trial: k for k, trial in enumerate(trials)}

    def column(values: Iterable[Any]) -> Array:
        return jnp.asarray([[float(v)] for v in values])

    arms = Arms(
        path=path,
        lane=jnp.asarray(lane)[:, None],
        picks=jnp.asarray(picks),
        time_h=jnp.asarray(padded),
        since_session_h=jnp.asarray(np.stack([_since(c, t) for c, t in zip(planned, padded, strict=True)], 1)),
        start_h=column(d.start_h if d else 0.0 for d in daily),
        stop_h=column(np.inf if d is None or d.stop_h is None else d.stop_h for d in daily),
        antidepressant=column(d is not None and not has_poles(people.population) for d in daily),
        quetiapine=column(d is not None and d.kind in ANTIDEPRESSANT_SIZE for d in daily),
        design=jnp.asarray([distinct.index(d) for d in designs]),
        many_sites=column(c.design.sites == "many" for c in planned),
        trial=jnp.asarray([index[trial.trial] for trial, *_ in everyone]),
        resistant=column(p.resistant[0] for p in who),
        age_y=jnp.stack([jnp.asarray(p.age_y) for p in who]),
        baseline=jnp.stack([jnp.asarray(getattr(p, SCALES[illness_of(people.population)].entry)) for p in who]),
        ups_and_downs=_ups_and_downs(people, padded),
        z={name: jnp.asarray(people.z[name]) for name in DEVIATES},
        episode=episode,
        exposed=jnp.asarray(
            [
                np.isin(t, arm.exposure) & (np.diff(t, prepend=-1.0) > 0)
                for t, (_, arm, _) in zip(padded, everyone, strict=True)
            ],
            float,
        ),
        veterans=column(bool(arm.people and arm.people.veterans) for _, arm, _ in everyone),
        begins=begins,
        designs=distinct,
        illness=illness_of(people.population),
    )
    names = tuple((trial.trial, arm.arm) for trial, arm, _ in everyone)
    return Replicas(tuple(trials), names, tuple(times), tuple(who), arms)


def _of_poles(
    trials: Sequence[Trial],
    planned: Sequence[Schedule],
    who: Sequence[Patients],
    padded: np.ndarray,
    sets: Sequence[Mapping[str, float]],
) -> tuple[Array, dict[str, Array]]:
    """What the poles do in every arm, of the patients as they are and of no parameter fitted to trials:
    [sets, arms, times, patients]; and by pole when a new episode begins (h), [sets, arms, patients several times over].
    """
    last_h = [max(e.at.value for e in t.endpoints) for t in trials for _ in t.arms]
    repeats = max(1, REPEATS // len(sets))
    width = repeats * len(who[0])
    effects = np.empty((len(sets), *padded.shape, len(who[0])))
    begins = {pole: np.empty((len(sets), len(planned), width)) for pole in POLES}
    for number, values in enumerate(sets):
        with evidence.assume(values):
            for a, (c, people, times, last) in enumerate(zip(planned, who, padded, last_h, strict=True)):
                look = np.union1d(np.arange(0.0, max(last, times.max()) + DAY_H, DAY_H), times)
                # what is rare in a short trial needs more than its people
                each = repeats if look[-1] < SHORT_H else 1
                seen: dict[str, list[np.ndarray]] = {pole: [] for pole in POLES}
                for k in range(each):
                    another = (number * repeats + k) * APART
                    again = eqx.tree_at(lambda p: p.index, people, people.index + another)
                    found, _ = simulate_schedule(replace(c, horizon_h=float(look[-1])), again, look, Variants())
                    if not k:
                        effects[number, a] = found["episode effect"][:, np.searchsorted(look, times)].T
                    columns = pole_outcomes(look, found)
                    for pole in POLES:
                        seen[pole].append(np.nan_to_num(DAY_H * columns[f"days to {pole} episode"], nan=np.inf))
                for pole in POLES:
                    begins[pole][number, a] = np.resize(np.concatenate(seen[pole]), width)
    return jnp.asarray(effects), {pole: jnp.asarray(x) for pole, x in begins.items()}


def _laid_out(
    planned: Sequence[Schedule],
    who: Sequence[Patients],
    times: Sequence[tuple[float, ...]],
    padded: np.ndarray,
    progress: Callable[[int, int], None] | None,
) -> tuple[Path, np.ndarray, np.ndarray]:
    """Drug courses, each recorded once for all arms alike, in lanes of about one length; and the lane [arms] and steps
    [arms, times] to read."""
    alike: dict[tuple, list[int]] = {}
    for k, (c, person) in enumerate(zip(planned, who, strict=True)):
        alike.setdefault(_given_to(c, person), []).append(k)
    recorded: list[tuple[Recorded, list[int]]] = []
    for done, members in enumerate(alike.values()):
        union = np.array(sorted({t for k in members for t in times[k]}))
        longest = max((planned[k] for k in members), key=lambda c: c.horizon_h)
        found = _recorded(longest, who[members[0]], union)
        if found:
            recorded.append((found, members))
        if progress:
            progress(done + 1, len(alike))
    place = pack([len(r.h) for r, _ in recorded])
    ends = [place[c][1] + len(r.h) for c, (r, _) in enumerate(recorded)]
    steps, lanes = max(ends, default=1), 1 + max((lane for lane, _ in place), default=0)
    patients = len(who[0])
    h, begins = np.zeros((2, steps, lanes, 1))
    binding = np.zeros((steps, 3, lanes, patients))
    lane, picks = np.zeros(len(planned), int), np.zeros(padded.shape, int)
    for (r, members), (at, first), end in zip(recorded, place, ends, strict=True):
        h[first:end, at, 0], begins[first, at], binding[first:end, :, at] = r.h, 1.0, r.binding
        for k in members:
            lane[k] = at
            read = np.array([r.step_of[t] for t in padded[k].tolist()])
            picks[k] = np.where(read > 0, first + read, 0)
    return Path(jnp.asarray(h), jnp.asarray(begins), {"binding": jnp.asarray(binding)}), lane, picks


def pack(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Lane and first step of each course, so that lanes no longer than the longest course hold them all: each, longest
    first, in the first lane with room. Few long lanes are quicker to step through than many short ones."""
    room: list[int] = []
    place = [(0, 0)] * len(lengths)
    for c in np.argsort([-n for n in lengths], kind="stable").tolist():
        at = next((k for k, left in enumerate(room) if left >= lengths[c]), None)
        if at is None:
            at = len(room)
            room.append(max(lengths))
        place[c] = (at, max(lengths) - room[at])
        room[at] -= lengths[c]
    return place


def effects(arms: Arms, drug: Array, background: Array, plastic: Array | None = None, poles: Any = 0) -> Array:
    """What takes points off, on the log scale and before ups and downs, [arms, times, patients].

    The same sum as in a course (`course.batch`), for many arms at once. drug, background: how each trial multiplies the
    drug's and the non-drug response, [trials]; plastic: what `readout` gave for these parameters, if it is at hand;
    poles: under which set of values episodes come and go.
    """
    depression = Depression.from_evidence()
    plastic = readout(arms) if plastic is None else plastic
    gain = depression.own_gain(arms.z["depression.gain"])
    many = jnp.where(arms.many_sites > 0, depression.multicentre_factor, 1.0)
    ratio = Relative.of(arms.illness)
    in_veterans = evidence.value("ptsd.veteran_factor") if arms.illness == "ptsd" else 1.0
    many = many * jnp.where(arms.veterans > 0, in_veterans, 1.0)
    by_drug = ratio.gain * plastic * gain * many[..., None] * drug[arms.trial][:, None, None]
    size = arms.antidepressant * jnp.where(arms.quetiapine > 0, depression.quetiapine_factor, 1.0)
    adapted = depression.adaptation(arms.time_h, [(arms.start_h, arms.stop_h, size)])
    own = depression.own_antidepressant_gain(arms.z["depression.antidepressant_gain"], arms.resistant)
    by_antidepressant = ratio.antidepressant * adapted[..., None] * own[:, None]
    made = [Background.of(*design) for design in arms.designs]
    of_arm = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v) for v in x])[arms.design][:, None], *made)
    level = of_arm.level(arms.time_h, arms.since_session_h) * background[arms.trial][:, None]
    readiness = jnp.exp(evidence.value("background.sd_between_patients") * arms.z["background"])
    kept = depression.age_factor(arms.age_y)[:, None]
    total = kept * (by_drug + by_antidepressant + ratio.background * level[..., None] * readiness)
    if arms.illness == "ptsd":
        # studies of exposure therapy differ as those of the drug do
        total = total + by_exposure(arms, plastic) * drug[arms.trial][:, None, None]
    return total if arms.episode is None else total + arms.episode[poles]


def by_exposure(arms: Arms, plastic: Array) -> Array:
    """What exposure therapy takes off, [arms, times, patients]; no session is so soon after ketamine that receptors are
    still blocked."""
    extinction = Extinction.from_evidence()
    later = jnp.diff(arms.time_h, prepend=arms.time_h[:, :1])
    gaps_h, exposed = (x.T[..., None] for x in (later, arms.exposed))
    by_time = jnp.moveaxis(plastic, 1, 0)
    memory = extinction.course(gaps_h, exposed, jnp.zeros_like(exposed), by_time, jnp.zeros_like(by_time))
    return -jnp.log(jnp.moveaxis(extinction.share(memory), 0, 1))


def readout(arms: Arms) -> Array:
    """What plasticity does to symptoms before any gain, [arms, times, patients]: the slow part of the work, which does
    not depend on the trials' levels."""
    depression = Depression.from_evidence()
    return depression.readout(**plasticity(arms, depression))


def madrs(arms: Arms, drug: Array, background: Array, plastic: Array | None = None, poles: Any = 0) -> Array:
    """True scores, [arms, times, patients twice over]: with everybody's ups and downs, and with the opposite ones."""
    steady = effects(arms, drug, background, plastic, poles)
    sd = Depression.from_evidence().fluctuation_sd(arms.resistant, arms.z["depression.lability"])
    sd = Relative.of(arms.illness).fluctuation * sd
    moved = sd[:, None] * arms.ups_and_downs
    both = jnp.concatenate([steady - moved, steady + moved], axis=-1)
    return score(jnp.tile(arms.baseline, 2)[:, None], both, MAXIMUM[arms.illness])


def plasticity(arms: Arms, depression: Depression) -> dict[str, Array]:
    """Functional, labile and consolidated plasticity, [arms, times, patients]."""
    durability = jnp.exp(depression.sd_durability * arms.z["depression.durability"])
    durability = Relative.of(arms.illness).durability * durability
    lanes = jnp.broadcast_to(durability, arms.path.inputs["binding"].shape[2:])
    states = follow(Plasticity.from_evidence(durability=lanes), arms.path)
    at_start = {name: jnp.concatenate([jnp.zeros_like(states[name][:1]), states[name]]) for name in STATES}
    return {name: x[arms.picks, arms.lane] for name, x in at_start.items()}


def _since(planned: Schedule, time_h: np.ndarray) -> np.ndarray:
    """Hours since the last session and the one before, [2, times]; very many where there was none."""
    begun = np.concatenate([[-LONG_AGO_H, -LONG_AGO_H], [a.time_h for a in planned.administrations]])
    at = np.searchsorted(begun[2:], time_h, side="left")
    return time_h - np.stack([begun[at + 1], begun[at]])
