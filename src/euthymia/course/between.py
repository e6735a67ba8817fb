"""What happens between two visits, compiled: from one session, or from none, day by day to the next visit.

A day with a session has the steps of any session, the days after it those of any later day. All sessions are shares of
those of a template: one of every way in which a protocol gives its drug, all at 0 h, and the days after. The engine
looks at the end of every day, and where an illness has equations of its own at the hours they need.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from euthymia import evidence
from euthymia.course.batch import WATCHED, WIDE, Bound, bind, chain_of, session_harms
from euthymia.course.batches import Picked
from euthymia.course.engine import Segments
from euthymia.course.exposures import hours_of_day
from euthymia.course.session_map import DAYS, faded, left_after
from euthymia.course.setting import BipolarSetting, Packed, PtsdSetting, Setting, Timing
from euthymia.course.symptoms import (
    RATINGS,
    effects,
    instability,
    poles_at_entry,
    scores,
    symptoms,
    tilted,
)
from euthymia.drug.compounds import COMPOUNDS
from euthymia.harm.acute import AcuteHarm
from euthymia.illness.bipolar import POLES, STEP_H, advanced
from euthymia.illness.depression import DAY_H, Depression
from euthymia.patient.population import Patients, illness_of
from euthymia.protocol.calendar import Administration, Schedule
from euthymia.protocol.document import Phase, Protocol

Parameters = Mapping[str, Any]
"""Uncertain numbers that are not those of the evidence, by id, as arrays."""


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled once for whatever values its uncertain parameters have, which come first of its arguments: alone, or
    `Packed` with those of the setting. Patients may be given as `Picked`."""

    def run(parameters: Parameters | Packed, *given: Any) -> Any:
        alone, fields = parameters.unpacked() if isinstance(parameters, Packed) else (parameters, {})

        def known(x: Any) -> Any:
            if isinstance(x, Setting) and fields:
                return replace(x, **fields)
            return x.patients() if isinstance(x, Picked) else x

        with evidence.assume(alone):
            return function(*map(known, given))

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    return eqx.filter_jit(run, compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit


LONGEST_D = 28
"""Days the engine goes on at most before it looks again, whether or not a visit is due."""
SAME_STEPS_D = 5
"""From so many days after a session on, all days have the same steps: the last finer ones end within the fifth day."""
STATES = ("functional", "labile", "consolidated")


def hours(protocol: Protocol, illness: str) -> np.ndarray:
    """Hours of a day at which the engine looks, from 0: [looks a day]."""
    if illness == "bipolar":
        return np.arange(0.0, DAY_H, STEP_H)
    return hours_of_day(protocol) if illness == "ptsd" else np.zeros(1)


def looks(hours: np.ndarray, days: int) -> np.ndarray:
    """Times (h) of all looks in so many days, the last at their end, [days * looks a day + 1]."""
    return np.append((DAY_H * np.arange(days)[:, None] + hours).ravel(), DAY_H * days)


def looks_a_day(timing: Timing) -> int:
    """Of a template."""
    return (len(timing.observe_h) - 1) // LONGEST_D


def kept_in(illness: str) -> tuple[str, ...]:
    """What is kept of the brain at every look."""
    return (*STATES, "occupancy") if illness == "ptsd" else STATES


class Kind(NamedTuple):
    """A way the drug is given: a session that any dose is a multiple of; exact: only that dose (devices)."""

    session: Administration
    phases: tuple[int, ...]
    exact: bool


def kinds(protocol: Protocol) -> tuple[Kind, ...]:
    """Every way some phase of a protocol gives an active drug."""
    found: dict[tuple, list[int]] = {}
    for k, phase in enumerate(protocol.phases):
        drug = protocol.drug_in(phase)
        if drug.compound in COMPOUNDS:
            doses = {0.0}
            if drug.route == "intranasal device":
                doses = _of_devices(protocol, phase)
            for mg in sorted(doses):
                over_h = drug.over.value if drug.over else 0.0
                found.setdefault((drug.compound, drug.route, over_h, mg), []).append(k)
    return tuple(
        Kind(Administration(0.0, compound, route, mg or 1.0, None, None, over_h, "", 1), tuple(phases), mg > 0)
        for (compound, route, over_h, mg), phases in found.items()
    )


def _of_devices(protocol: Protocol, phase: Phase) -> set[float]:
    """Every dose (mg) that devices may give in a phase: as planned, as adjusted, and each step under a ceiling."""
    planned = {d.value for d in (*(phase.dose_by_session or ()), phase.dose, protocol.drug_in(phase).dose) if d}
    doses = planned | {rule.dose_to.value for rule in protocol.adjust}
    for rule in protocol.adjust:
        if rule.steps_of:
            steps = np.arange(rule.dose_to.value, max(doses), rule.steps_of.value)
            doses |= set(steps.tolist())
    return doses


def template(protocol: Protocol, calendar: Schedule, hours: np.ndarray) -> tuple[Schedule, np.ndarray]:
    """One session of every kind at 0 h and the days after it, to be prepared like any course; and its looks (h)."""
    sessions = tuple(kind.session for kind in kinds(protocol))
    every_h = looks(hours, LONGEST_D)
    return replace(calendar, administrations=sessions, exposures_h=(), horizon_h=float(every_h[-1])), every_h


class Carried(NamedTuple):
    """Between visits: modes of the drug and states of the brain."""

    modes: Any
    states: dict[str, Any]


@compiled
def beginning(setting: Setting, patients: Patients) -> tuple[Bound, Carried]:
    """The linear system of some patients, and where they begin: no drug, the brain at rest."""
    bound = bind(setting, patients)
    return bound, Carried(jnp.zeros_like(bound.rates), chain_of(setting, patients).initial())


def _segments(setting: Setting, timing: Timing, patients: Patients, bound: Bound, share: Any) -> Segments:
    drive = bound.drive(timing, bound.entries * share[:, None])
    return Segments(chain_of(setting, patients), drive, timing.steps, ("occupancy", "surge", "bdnf"))


class Now(NamedTuple):
    """At the end of a segment: what is carried on, and receptors occupied, [patients]."""

    carried: Any
    occupancy: Any

    def kept(self, illness: str) -> Array:
        """What a look keeps, [kept, patients]."""
        known = {**self.carried[1], "occupancy": self.occupancy}
        return jnp.stack([known[name] for name in kept_in(illness)])


def _onward(segments: Segments, start: Now, past: Array, i: Any) -> tuple[Now, dict[str, Array]]:
    """One segment for all but those who are past their days; and the peaks within it."""
    new, (_, _, signals, peaks) = segments.run(start.carried, i)
    return jax.tree.map(lambda x, old: jnp.where(past, old, x), Now(new, signals["occupancy"]), start), peaks


@compiled
def with_dose(
    setting: Setting,
    timing: Timing,
    patients: Patients,
    bound: Bound,
    carried: Carried,
    days: Any,
    session: Any,
    share: Any,
) -> tuple[Carried, Array, dict[str, Array]]:
    """From a session to the next visit: what is carried on, the brain at every look [looks, kept, patients], and what
    the session did. days: until the next visit, [patients]; session: how many came before, and standard normals of
    dissociation and of blood pressure, [3, patients]; share: of each entry's dose [entries, patients]."""
    segments = _segments(setting, timing, patients, bound, share)
    illness, a_day = illness_of(patients.population), looks_a_day(timing)

    def in_first_day(i, at):
        now, highest = at
        now, peaks = _onward(segments, now, days < 1, i)
        return now, {n: jnp.maximum(highest[n], peaks[n]) for n in WATCHED}

    now, peaks = Now(tuple(carried), jnp.zeros(days.shape)), {n: jnp.full(days.shape, -jnp.inf) for n in WATCHED}
    every = jnp.zeros((len(timing.observe_h), len(kept_in(illness)), len(days)))
    for k in range(1, a_day + 1):
        now, peaks = lax.fori_loop(timing.observed[k - 1] + 1, timing.observed[k] + 1, in_first_day, (now, peaks))
        every = every.at[k].set(now.kept(illness))

    def later(k, at):  # from the second day on, there is one segment from look to look
        now, every = at
        now, _ = _onward(segments, now, days * a_day < k, timing.observed[k])
        return now, every.at[k].set(now.kept(illness))

    now, every = lax.fori_loop(a_day + 1, days.max() * a_day + 1, later, (now, every))
    harms = session_harms(AcuteHarm.from_evidence(), peaks, session[0], patients, session[1], session[2])
    return Carried(*now.carried), every, harms


@compiled
def without_dose(
    setting: Setting, timing: Timing, patients: Patients, bound: Bound, carried: Carried, days: Any, since: Any
) -> tuple[Carried, Array]:
    """The same where nobody is given anything. since: whole days since their last session, at most `SAME_STEPS_D`."""
    segments = _segments(setting, timing, patients, bound, jnp.zeros((len(bound.entries), len(days))))
    illness, a_day = illness_of(patients.population), looks_a_day(timing)
    every = jnp.zeros((len(timing.observe_h), len(kept_in(illness)), len(days)))

    def onward(k, at):
        now, every = at
        # the steps of a day grow with the time since a session, and no more after the last day of the template
        day = jnp.clip(since + (k - 1) // a_day, 1, LONGEST_D - 1)
        now, _ = _onward(segments, now, days * a_day < k, timing.observed[day * a_day + (k - 1) % a_day + 1])
        return now, every.at[k].set(now.kept(illness))

    start = Now(tuple(carried), jnp.zeros(days.shape)), every
    now, every = lax.fori_loop(1, days.max() * a_day + 1, onward, start)
    return Carried(*now.carried), every


# --- the illness's own equations --------------------------------------------------------------------------------------


@compiled
def own_at_entry(setting: Setting, patients: Patients) -> dict[str, Array]:
    """The state of the illness itself, by name [patients]; depression has none."""
    if isinstance(setting.own, BipolarSetting):
        return poles_at_entry(patients)
    if isinstance(setting.own, PtsdSetting):
        return {f"{name} memory": jnp.zeros(len(patients)) for name in ("fresh", "kept")}
    return {}


@compiled
def own_onward(
    setting: Setting, timing: Timing, patients: Patients, own: Any, start_h: Any, days: Any, at: Any
) -> dict[str, Array]:
    """The state of the illness itself some days on. start_h, days: [patients]; at: by name, at every look from now on:
    "brain" [looks, kept, patients], and what else the illness needs: normals of the step that begins there, by pole
    [looks - 1, patients], or "exposed" [looks, patients]."""
    a_day = looks_a_day(timing)
    plastic = Depression.from_evidence().readout(*(at["brain"][:, k] for k in range(len(STATES))))
    step = _step_of_poles if isinstance(setting.own, BipolarSetting) else _step_of_memory
    onward = step(setting, timing, patients, start_h, plastic, at)

    def look(k, own):
        return jax.tree.map(lambda x, old: jnp.where(days * a_day > k, x, old), onward(k, own), own)

    return lax.fori_loop(0, days.max() * a_day, look, own)


def _step_of_poles(setting: Setting, timing: Timing, patients: Patients, start_h: Any, plastic: Array, at: Any) -> Any:
    """From look k to the next: as `illness.bipolar.course` goes on."""
    own: Any = setting.own
    tilt = dict(zip(POLES, tilted(own, start_h + timing.observe_h[:, None], plastic), strict=True))
    noise = instability(own, patients)

    def onward(k, now):
        return {
            f"{pole} pole": advanced(
                getattr(own, pole),
                own.model.time,
                now[f"{pole} pole"],
                noise,
                tilt[pole][k],
                tilt[pole][k + 1],
                at[f"{pole} pole"][k],
            )
            for pole in POLES
        }

    return onward


def _step_of_memory(setting: Setting, timing: Timing, patients: Patients, start_h: Any, plastic: Array, at: Any) -> Any:
    """From look k to the next: first an exposure there, then the hours between; one at the next is not yet in it."""
    extinction = setting.own.extinction  # type: ignore[union-attr]
    gaps_h, occupied = jnp.diff(timing.observe_h), at["brain"][:, len(STATES)]

    def onward(k, now):
        memory = now["fresh memory"], now["kept memory"]
        memory = extinction.taught(memory, at["exposed"][k], plastic[k], occupied[k])
        fresh, kept = extinction.later(memory, gaps_h[k], occupied[k + 1])
        return {"fresh memory": fresh, "kept memory": kept}

    return onward


@compiled
def readings(
    setting: Setting,
    patients: Patients,
    time_h: Any,
    since_h: Any,
    brain: Any,
    moved: Any,
    own: Any,
    exposed: Any,
    z: dict[str, Any],
) -> dict[str, Array]:
    """One rating of every scale [patients], each patient at a time of their own. since_h: [2, patients]; brain: [kept,
    patients]; moved: by ups and downs; own: state of the illness; exposed: 1 where there was an exposure just now; z:
    standard normals by scale."""
    depression = Depression.from_evidence()
    plastic = depression.readout(*brain[: len(STATES)])
    values = effects(depression, setting, time_h[None], since_h[:, None], patients, plastic[None])
    values = {name: x[0] for name, x in values.items()} | {"fluctuation": moved}
    if isinstance(setting.own, PtsdSetting):
        memory = own["fresh memory"], own["kept memory"]
        fresh, kept = setting.own.extinction.taught(memory, exposed, plastic, brain[len(STATES)])
        own = {"fresh memory": fresh, "kept memory": kept}
    # untreated scores are not read at visits
    values = scores(setting, patients, values, own | {f"untreated {name}": x for name, x in own.items()})
    ratings = RATINGS[illness_of(patients.population)]
    return {scale: rating.of(values[scale], z[scale], patients) for scale, rating in ratings.items()}


@compiled
def ups_and_downs(patients: Patients, time_h: Any, daily: Any) -> Array:
    depression = Depression.from_evidence()
    sd = depression.fluctuation_sd(patients.resistant, patients.z["depression.lability"])
    return depression.fluctuation(time_h, daily, sd)


@compiled
def symptoms_by_look(
    setting: Setting, timing: Timing, patients: Patients, draws: Any, given_on: Any, brain: Any, only: tuple[str, ...]
) -> dict[str, Array]:
    """Of a whole course, `symptoms`, and what is kept of the brain; only: which of them, by default all. given_on:
    whether there was a session, [days, patients]; brain: at every look, [looks, kept, patients]."""
    a_day = (len(timing.observe_h) - 1) // (len(given_on) - 1)
    given = jnp.zeros((len(timing.observe_h), given_on.shape[1]), bool).at[::a_day].set(given_on)

    def look(since, at):
        given, gap_h = at
        return _onward_since(since, given, gap_h), since

    gaps_h = jnp.diff(timing.observe_h, append=timing.observe_h[-1:])
    since_h = lax.scan(look, _never(given_on), (given, gaps_h))[1]
    known = {name: brain[:, k] for k, name in enumerate(kept_in(illness_of(patients.population)))}
    timing = replace(timing, since_session_h=jnp.moveaxis(since_h, 1, 0))
    found = known | symptoms(setting, timing, patients, draws, known)
    return {name: found[name] for name in only or found}


@compiled
def symptoms_between_sessions(
    setting: Setting,
    timing: Timing,
    patients: Patients,
    draws: Any,
    given_on: Any,
    soon_after: Any,
    fading: Any,
    only: tuple[str, ...],
) -> dict[str, Array]:
    """The same in depression, where the brain is known on the first `DAYS` days after a session, `soon_after` [days,
    kept, patients], and fades from there at the rates `fading` of `session_map.Store`. One day after the other, as
    whole courses of many patients would not fit where memory is fast."""
    depression, left = Depression.from_evidence(), left_after(fading, DAY_H, jnp.exp)
    ratings = {f"{scale} rated": (scale, rating) for scale, rating in RATINGS["depression"].items()}

    def day(at, today):
        since_h, before = at
        given, time_h, known, z = today
        kept = jnp.where(since_h[0] <= DAY_H * DAYS, known.astype(float), jnp.stack(faded(left, before)))
        plastic = depression.readout(*kept)
        values = effects(depression, setting, time_h[None], since_h[:, None], patients, plastic[None])
        values = {name: x[0] for name, x in values.items()} | {"fluctuation": z["moved"]}
        values = scores(setting, patients, values, {})
        for name, (scale, rating) in ratings.items():
            if rating.stream in z:
                values[name] = rating.of(values[scale], z[rating.stream], patients)
        return (_onward_since(since_h, given, DAY_H), kept), {name: values[name] for name in only}

    start = _never(given_on), jnp.zeros(soon_after.shape[1:])
    return lax.scan(day, start, (given_on, timing.observe_h, soon_after, draws))[1]


def _never(given_on: Array) -> Array:
    """Hours since the last two sessions of those who had none, [2, patients]."""
    return jnp.full((2, given_on.shape[1]), jnp.inf)


def _onward_since(since_h: Array, given: Array, gap_h: Any) -> Array:
    """Hours since the last two sessions so much later. given: whether there was one now, [patients]."""
    return jnp.where(given, jnp.stack([jnp.zeros_like(since_h[0]), since_h[0]]), since_h) + gap_h


def filled(some: Patients, size: int) -> Patients:
    """A batch of them: the last repeated where there are fewer."""
    rows = np.minimum(np.arange(size), len(some) - 1)
    return jax.tree.map(lambda x: np.asarray(x)[rows], some)
