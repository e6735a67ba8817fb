"""What happens between two visits, compiled: from one session, or from none, day by day to the next visit.

A day with a session has the steps of any session, the days after it those of any later day. All sessions are shares of
those of a template: one of every way in which a protocol gives its drug, all at 0 h, and the days after.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from euthymia.course.batch import BATCH, WATCHED, WIDE, Bound, bind, chain_of, session_harms
from euthymia.course.engine import Segments
from euthymia.course.setting import Setting, Timing
from euthymia.course.symptoms import effects, symptoms
from euthymia.drug.compounds import COMPOUNDS
from euthymia.harm.acute import AcuteHarm
from euthymia.illness.depression import DAY_H, Depression, score
from euthymia.patient.population import Patients
from euthymia.protocol.calendar import Administration, Schedule
from euthymia.protocol.document import Protocol

LONGEST_D = 28
"""Days the engine goes on at most before it looks again, whether or not a visit is due."""
SAME_STEPS_D = 4
"""From so many days after a session on, all days have the same steps."""
STATES = ("functional", "labile", "consolidated")


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
                planned = [d.value for d in phase.dose_by_session or () if d]
                planned += [d.value for d in (phase.dose, drug.dose) if d]
                doses = {*planned, *(rule.dose_to.value for rule in protocol.adjust)}
            for mg in sorted(doses):
                over_h = drug.over.value if drug.over else 0.0
                found.setdefault((drug.compound, drug.route, over_h, mg), []).append(k)
    return tuple(
        Kind(Administration(0.0, compound, route, mg or 1.0, None, None, over_h, "", 1), tuple(phases), mg > 0)
        for (compound, route, over_h, mg), phases in found.items()
    )


def template(protocol: Protocol, calendar: Schedule) -> tuple[Schedule, np.ndarray]:
    """One session of every kind at 0 h and the days after it, to be prepared like any course; and its times (h)."""
    sessions = tuple(kind.session for kind in kinds(protocol))
    days = DAY_H * np.arange(LONGEST_D + 1)
    return replace(calendar, administrations=sessions, horizon_h=float(days[-1])), days


class Carried(NamedTuple):
    """Between visits: modes of the drug and states of the brain."""

    modes: Any
    states: dict[str, Any]


@eqx.filter_jit
def beginning(setting: Setting, patients: Patients) -> tuple[Bound, Carried]:
    """The linear system of some patients, and where they begin: no drug, the brain at rest."""
    bound = bind(setting, patients)
    return bound, Carried(jnp.zeros_like(bound.rates), chain_of(setting, patients).initial())


def _segments(setting: Setting, timing: Timing, patients: Patients, bound: Bound, share: Any) -> Segments:
    drive = bound.drive(timing, bound.entries * share[:, None])
    return Segments(chain_of(setting, patients), drive, timing.steps, ("occupancy", "surge", "bdnf"))


def _onward(segments: Segments, start: Any, past: Array, i: Any) -> tuple[Any, dict[str, Array]]:
    """One segment for all but those who are past their days; and the peaks within it."""
    new, (*_, peaks) = segments.run(start, i)
    return jax.tree.map(lambda x, old: jnp.where(past, old, x), new, start), peaks


def _plastic(now: Any) -> Array:
    return jnp.stack([now[1][name] for name in STATES])


@eqx.filter_jit(compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit
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
    """From a session to the next visit: what is carried on, plasticity at the end of each day [days, 3, patients], and
    what the session did. days: until the next visit, [patients]; session: how many came before, and standard normals
    of dissociation and of blood pressure, [3, patients]; share: of each entry's dose [entries, patients]."""
    segments = _segments(setting, timing, patients, bound, share)
    first_day = timing.observed[1] + 1

    def in_first_day(i, at):
        now, highest = at
        now, peaks = _onward(segments, now, days < 1, i)
        return now, {n: jnp.maximum(highest[n], peaks[n]) for n in WATCHED}

    lowest = {n: jnp.full(days.shape, -jnp.inf) for n in WATCHED}
    now, peaks = lax.fori_loop(0, first_day, in_first_day, (tuple(carried), lowest))
    daily = jnp.zeros((LONGEST_D + 1, len(STATES), len(days))).at[1].set(_plastic(now))

    def later_day(k, at):
        now, daily = at
        now, _ = _onward(segments, now, days < k, first_day + k - 2)
        return now, daily.at[k].set(_plastic(now))

    now, daily = lax.fori_loop(2, days.max() + 1, later_day, (now, daily))
    harms = session_harms(AcuteHarm.from_evidence(), peaks, session[0], patients, session[1], session[2])
    return Carried(*now), daily, harms


@eqx.filter_jit(compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit
def without_dose(
    setting: Setting, timing: Timing, patients: Patients, bound: Bound, carried: Carried, days: Any, since: Any
) -> tuple[Carried, Array]:
    """The same where nobody is given anything. since: whole days since their last session, at most `SAME_STEPS_D`."""
    segments = _segments(setting, timing, patients, bound, jnp.zeros((len(bound.entries), len(days))))
    daily = jnp.zeros((LONGEST_D + 1, len(STATES), len(days)))

    def day(k, at):
        now, daily = at
        # the steps of a day grow with the time since a session, and no more after the last day of the template
        now, _ = _onward(segments, now, days < k, timing.observed[1] + jnp.clip(since + k - 1, 1, LONGEST_D - 1))
        return now, daily.at[k].set(_plastic(now))

    now, daily = lax.fori_loop(1, days.max() + 1, day, (tuple(carried), daily))
    return Carried(*now), daily


@eqx.filter_jit
def madrs_now(setting: Setting, patients: Patients, time_h: Any, since_h: Any, plastic: Any, moved: Any) -> Array:
    """True MADRS [patients], each at a time of their own. since_h: [2, patients]; plastic: [3, patients]; moved: by
    ups and downs."""
    depression = Depression.from_evidence()
    found = effects(depression, setting, time_h[None], since_h[:, None], patients, depression.readout(*plastic)[None])
    return score(patients.baseline_madrs, sum(found.values(), -moved)[0])


@eqx.filter_jit
def ups_and_downs(patients: Patients, time_h: Any, daily: Any) -> Array:
    depression = Depression.from_evidence()
    sd = depression.fluctuation_sd(patients.resistant, patients.z["depression.lability"])
    return depression.fluctuation(time_h, daily, sd)


@eqx.filter_jit
def symptoms_by_day(setting: Setting, timing: Timing, patients: Patients, draws: Any, brain: dict[str, Array]):
    return symptoms(setting, timing, patients, draws, brain)


def filled(some: Patients) -> Patients:
    """A batch of them: the last repeated where there are fewer."""
    rows = np.minimum(np.arange(BATCH), len(some) - 1)
    return jax.tree.map(lambda x: np.asarray(x)[rows], some)
