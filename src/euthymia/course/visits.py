"""A course under the rules of its protocol: at each visit observe, decide, dose, advance, each patient on days of their
own.

Between two visits runs the compiled engine; at a visit `protocol.decide` is asked, the same function that a clinic asks
for one patient. A day with a session has the steps of any session, the days after it those of any later day, so that a
protocol whose rules never speak gives, step for step, the course without rules. Visits fall on whole days.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from scipy.special import ndtr

from euthymia import evidence
from euthymia.course.batch import WATCHED, WIDE, Bound, bind, chain_of, session_harms
from euthymia.course.engine import Segments
from euthymia.course.setting import Setting, Timing
from euthymia.course.symptoms import effects, symptoms
from euthymia.drug.compounds import COMPOUNDS
from euthymia.harm.acute import AcuteHarm
from euthymia.harm.misuse import NEUTRAL, Misuse
from euthymia.harm.pressure import RestingPressure
from euthymia.illness.depression import DAY_H, MADRS_MAXIMUM, Depression, score
from euthymia.patient.adherence import Adherence
from euthymia.patient.population import Patients
from euthymia.patient.random import normals
from euthymia.protocol.calendar import Administration, Schedule
from euthymia.protocol.chart import Chart, Place, measures_used, state
from euthymia.protocol.decide import GIVE, QUIET, Decision, decide, during, postponed
from euthymia.protocol.document import Protocol
from euthymia.protocol.words import BEFORE_CHECKS, CONDITIONS, MEASURES, OF_THE_COURSE, SAFEGUARDS

LONGEST_D = 28
"""Days the engine goes on at most before it looks again, whether or not a visit is due."""
STATES = ("functional", "labile", "consolidated")
ACTIONS = ("give", "hold", "stop", "missed")
"""What became of a visit: as decided, or the patient did not come."""
MISSED, NONE = 3, -1
BY_DAY = (
    "fluctuation",
    "dissociation session",
    "blood pressure session",
    "resting systolic",
    "resting diastolic",
    "missed",
    "liking reading",
    "early return",
    "misuse",
)
OWN = ("own systolic", "own value")
"""Random numbers by day (or session), and of the patient."""
LONG_AGO_H = 1e6
NORMAL = {
    "HR": 72.0,
    "RR": 14.0,
    "SpO2": 98.0,
    "MOAA/S": 5.0,
    "ASRM": 0.0,
    "YMRS": 0.0,
    "daily lorazepam equivalent": 0.0,
    "recovery time of last session": 1.5,
    "urinary symptoms": 0.0,
    "cognition": 28.0,
    "lost doses": 0.0,
    **{name: LONG_AGO_H for name in MEASURES if name.startswith("time since ") and name not in OF_THE_COURSE},
}
"""Readings that are not simulated; every virtual patient has these."""
SIMULATED = (
    "MADRS",
    "MADRS improvement",
    "SBP",
    "DBP",
    "CADSS",
    "weight",
    "age",
    "failed antidepressant trials",
    "sessions in 7 days",
    "sessions in 28 days",
    "cumulative ketamine",
    "highest SBP of last session",
    "highest DBP of last session",
    "highest CADSS of last session",
    "drug liking",
    "early returns",
    *OF_THE_COURSE,
)


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

    modes: Array
    states: dict[str, Array]


@eqx.filter_jit
def _bind(setting: Setting, patients: Patients) -> Bound:
    return bind(setting, patients)


@eqx.filter_jit(compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit
def _advance(
    setting: Setting, timing: Timing, patients: Patients, bound: Bound, carried: Carried, share: Any, days: Any
) -> tuple[Carried, Array, dict[str, Array]]:
    """From one visit to the next: what is carried on, plasticity at the end of each day [days, 3, patients], and the
    peak of each watched signal in the first day. share: of each entry's dose [entries, patients]; days: until the next
    visit, [patients]."""
    drive = bound.drive(timing, bound.entries * share[:, None])
    segments = Segments(chain_of(setting, patients), drive, timing.steps, ("occupancy", "surge", "bdnf"))
    first_day = timing.observed[1] + 1

    def onward(start, past: Array, i):
        (modes, states), (*_, peaks) = segments.run(start, i)
        return jax.tree.map(lambda new, old: jnp.where(past, old, new), (modes, states), start), peaks

    def in_first_day(i, at):
        now, highest = at
        now, peaks = onward(now, days < 1, i)
        return now, {n: jnp.maximum(highest[n], peaks[n]) for n in WATCHED}

    def plastic(now) -> Array:
        return jnp.stack([now[1][name] for name in STATES])

    start = carried.modes, carried.states
    lowest = {n: jnp.full(days.shape, -jnp.inf) for n in WATCHED}
    now, peaks = lax.fori_loop(0, first_day, in_first_day, (start, lowest))
    daily = jnp.zeros((LONGEST_D + 1, len(STATES), len(days))).at[1].set(plastic(now))

    def later_day(k, at):
        now, daily = at
        now, _ = onward(now, days < k, first_day + k - 2)
        return now, daily.at[k].set(plastic(now))

    now, daily = lax.fori_loop(2, days.max() + 1, later_day, (now, daily))
    return Carried(*now), daily, peaks


@eqx.filter_jit
def _madrs(setting: Setting, patients: Patients, time_h: Any, since_h: Any, plastic: Any, moved: Any) -> Array:
    """True MADRS [patients], each at a time of their own. since_h: [2, patients]; plastic: [3, patients]; moved: by
    ups and downs."""
    depression = Depression.from_evidence()
    found = effects(depression, setting, time_h[None], since_h[:, None], patients, depression.readout(*plastic)[None])
    return score(patients.baseline_madrs, sum(found.values(), -moved)[0])


@eqx.filter_jit
def _ups_and_downs(patients: Patients, time_h: Any, daily: Any) -> Array:
    depression = Depression.from_evidence()
    sd = depression.fluctuation_sd(patients.resistant, patients.z["depression.lability"])
    return depression.fluctuation(time_h, daily, sd)


@eqx.filter_jit
def _harms(patients: Patients, peak: dict[str, Array], earlier: Any, felt: Any, pressure: Any) -> dict[str, Array]:
    return session_harms(AcuteHarm.from_evidence(), peak, earlier, patients, felt, pressure)


@eqx.filter_jit
def _symptoms(setting: Setting, timing: Timing, patients: Patients, draws: Any, brain: dict[str, Array]):
    return symptoms(setting, timing, patients, draws, brain)


class Visit(NamedTuple):
    """One visit of every patient of a batch. action: number in `ACTIONS`, `NONE` for who had no visit; place: which
    session was due; decision: what was decided; said: by rule, also what was said in the session; seen: readings."""

    action: np.ndarray
    place: Place
    decision: Decision
    due: np.ndarray
    said: Mapping[str, np.ndarray]
    seen: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Ruled:
    """What all batches of a course under rules share. setting, timing: of the `template`; daily: the timing of the
    whole course, observed once a day; adherence, pressure, misuse: of virtual patients."""

    protocol: Protocol
    kinds: tuple[Kind, ...]
    setting: Setting
    timing: Timing
    daily: Timing
    adherence: Adherence
    pressure: RestingPressure
    misuse: Misuse

    @property
    def horizon_d(self) -> int:
        return len(self.daily.observe_h) - 1

    def run(self, patients: Patients) -> "Found":
        """All visits of one batch."""
        return _Batch(self, patients).run()


class Found(NamedTuple):
    """values: by name, [days, patients]; sessions: by name, [visits, patients], NaN at visits without a dose; visits:
    in order; given_mg: of ketamine by visit, [visits, patients]; misuse_d: day on which misuse begins, infinite where
    it does not, [patients]."""

    values: dict[str, np.ndarray]
    sessions: dict[str, np.ndarray]
    visits: list[Visit]
    given_mg: np.ndarray
    misuse_d: np.ndarray


class _Batch:
    """The visits of some patients, one after the other. Each patient is at a day of their own."""

    def __init__(self, ruled: Ruled, patients: Patients):
        self.ruled, self.patients, self.n = ruled, patients, len(patients)
        days = np.arange(ruled.horizon_d + 1)
        streams = dict.fromkeys(BY_DAY, days) | {"rating": 24 * 60 * days} | dict.fromkeys(OWN, np.zeros(1))
        self.draws = normals(patients.seed, streams, patients.index, compiled=True)
        self.z = {name: np.asarray(self.draws[name]) for name in streams}
        self.moved = np.asarray(_ups_and_downs(patients, DAY_H * days, self.z["fluctuation"]))
        self.who = np.arange(self.n)
        self.day = np.zeros(self.n, int)
        self.due = np.zeros(self.n)  # day of the next visit, infinite after the last
        self.since = np.full((2, self.n), np.inf)  # hours since the last two sessions
        self.place = Place(*(np.full(self.n, getattr(Place(), f.name), float) for f in fields(Place)))
        self.cumulative_mg = np.zeros(self.n)
        self.value = ruled.misuse.value(self.z["own value"][0])
        self.high, self.craving, self.early_returns = np.zeros((3, self.n))
        self.misuse_d = np.full(self.n, np.inf)
        self.last = {name: np.zeros(self.n) for name in ("SBP", "DBP", "CADSS")}  # highest, of the last session
        self.before: dict[str, np.ndarray] = {}
        self.baseline = np.full(self.n, np.nan)
        self.responded = np.zeros(self.n)
        self.plastic = np.zeros((ruled.horizon_d + 1, len(STATES), self.n))
        self.given_on = np.zeros((ruled.horizon_d + 1, self.n), bool)

    def run(self) -> Found:
        ruled, chain = self.ruled, chain_of(self.ruled.setting, self.patients)
        bound = _bind(ruled.setting, self.patients) if ruled.kinds else None
        carried = Carried(jnp.zeros_like(bound.rates), chain.initial()) if bound else None
        visits: list[Visit] = []
        sessions: list[dict[str, np.ndarray]] = []
        given_mg: list[np.ndarray] = []
        while (self.day < ruled.horizon_d).any():
            visit = self._visit()
            given = visit.action == GIVE
            mg = np.where(given, np.nan_to_num(visit.decision.dose_mg), 0.0)
            days = self._days_until_due(visit)
            if bound is not None and carried is not None:
                share = self._shares(mg, np.asarray(visit.place.phase, int))
                carried, daily, peak = _advance(ruled.setting, ruled.timing, self.patients, bound, carried, share, days)
                self._keep(np.asarray(daily), days)
                visit, harms = self._in_session(visit, peak)
                self._learn(np.where(given, harms["peak S-ketamine"], 0.0), given, days)
                sessions.append({name: np.where(given, x, np.nan) for name, x in harms.items()})
            self.given_on[self.day[given], self.who[given]] = True
            self.cumulative_mg += mg
            self.since = np.where(given, np.stack([np.zeros(self.n), self.since[0]]), self.since) + DAY_H * days
            self.day = self.day + days
            given_mg.append(mg)
            visits.append(visit)
        by_visit = {name: np.stack([s[name] for s in sessions]) for name in sessions[0]} if sessions else {}
        return Found(self._values(), by_visit, visits, np.stack(given_mg), self.misuse_d)

    def _visit(self) -> Visit:
        """Observe and decide, for whoever is due."""
        here = (self.due <= self.day) & (self.day < self.ruled.horizon_d)
        place = replace(self.place, time_h=DAY_H * self.day.astype(float), since_h=self.since[0])
        seen = self._seen()
        chart = self._chart(place, seen)
        decision = decide(self.ruled.protocol, chart)
        missed = (
            here & (place.given > 0) & (ndtr(self.z["missed"][self.day, self.who]) < self.ruled.adherence.missed_visit)
        )
        came = here & ~missed
        action = np.where(came, decision.action, np.where(missed, MISSED, NONE))
        again_h, again = postponed(self.ruled.protocol, place, self.ruled.adherence.returns_after)
        self.place = _chosen(came, decision.place, _chosen(missed, again, place))
        self.responded = np.where(came, np.maximum(self.responded, chart.responded), self.responded)
        self.before = {name: np.where(came, x, self.before.get(name, np.nan)) for name, x in seen.items()}
        wait_h = np.where(missed, again_h, decision.next_h)
        self.due = np.where(here, self.day + np.ceil(wait_h / DAY_H - 1e-9), self.due)
        said = {rule: np.where(came, x, QUIET).astype(np.int8) for rule, x in decision.said.items()}
        seen = {name: np.where(came, x, np.nan) for name, x in seen.items()}
        return Visit(action, place, decision, self.due, said, seen)

    def _seen(self) -> dict[str, np.ndarray]:
        """Readings at a visit, before any dose."""
        day, who, z = self.day, self.who, self.z
        own = self.plastic[day, :, who].T, self.moved[day, who]
        true = _madrs(self.ruled.setting, self.patients, DAY_H * day.astype(float), self.since, *own)
        noise = evidence.value("depression.rating_noise")
        ill = np.asarray(self.patients.baseline_madrs) > 0
        rated = np.where(ill, np.clip(np.round(true + noise * z["rating"][day, who]), 0, MADRS_MAXIMUM), 0.0)
        self.baseline = np.where(np.isnan(self.baseline), rated, self.baseline)
        systolic = self.ruled.pressure.systolic(z["own systolic"][0], z["resting systolic"][day, who])
        diastolic = self.ruled.pressure.diastolic(systolic, z["resting diastolic"][day, who])
        liking = self.ruled.misuse.liking(self.value, self.high, z["liking reading"][day, who])
        return {
            "MADRS": rated,
            "SBP": np.round(systolic),
            "DBP": np.round(diastolic),
            "drug liking": np.where(self.place.given > 0, liking, NEUTRAL),
            "early returns": self.early_returns.copy(),
        }

    def _chart(self, place: Place, seen: Mapping[str, np.ndarray]) -> Chart:
        """What a virtual clinic knows: it makes every check, and weighs what is to be weighed and goes on."""
        protocol, people = self.ruled.protocol, self.patients
        measures: dict[str, Any] = {**NORMAL, **seen}
        measures["MADRS improvement"] = 100 * (1 - seen["MADRS"] / np.maximum(self.baseline, 1.0))
        measures |= {"weight": people.weight_kg, "age": people.age_y, "cumulative ketamine": self.cumulative_mg}
        measures |= {f"highest {name} of last session": x for name, x in self.last.items()}
        measures |= {f"sessions in {days} days": self._sessions_within(days) for days in (7, 28)}
        measures["failed antidepressant trials"] = people.failed_trials
        for rule in protocol.eligibility.require:  # a scale that is not simulated lets everybody in
            if rule.limit.value is not None:
                measures.setdefault(rule.measure, rule.limit.value.value)
        weighed = {rule.rule: 1.0 for rule in protocol.session.before if rule.weigh_when}
        chart = Chart(
            measures=measures,
            before=self.before,
            conditions=dict.fromkeys(CONDITIONS, 0.0),
            checks_h=dict.fromkeys((*BEFORE_CHECKS, *SAFEGUARDS), 0.0),
            signed=weighed,
            responded=self.responded,
            place=place,
        )
        return replace(chart, responded=np.maximum(self.responded, state(protocol, "response", chart).yes))

    def _sessions_within(self, days: int) -> np.ndarray:
        """Sessions in so many days before today."""
        past = np.stack(
            [self.given_on[np.maximum(self.day - k, 0), self.who] & (self.day >= k) for k in range(1, days)]
        )
        return past.sum(0).astype(float)

    def _days_until_due(self, visit: Visit) -> np.ndarray:
        """How far the engine goes now, [patients]; 0 for who has come to the end."""
        left = self.ruled.horizon_d - self.day
        return np.clip(np.minimum(np.minimum(self.due - self.day, LONGEST_D), left), 0, None).astype(int)

    def _shares(self, mg: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Of each entry of the template, how much of it this session is, [entries, patients]."""
        of_kind = np.zeros((len(self.ruled.kinds), self.n))
        for k, kind in enumerate(self.ruled.kinds):
            whole = kind.session.dose_mg or 1.0
            mine = np.isin(phase, kind.phases) & ((np.abs(mg - whole) < 1e-9) if kind.exact else True)
            of_kind[k] = np.where(mine, mg / whole, 0.0)
        kind_of_dose = [k for k, kind in enumerate(self.ruled.kinds) for _ in COMPOUNDS[kind.session.compound]]
        return of_kind[[kind_of_dose[dose] for dose, _ in self.ruled.setting.entries]]

    def _keep(self, daily: np.ndarray, days: np.ndarray) -> None:
        """Keep plasticity of the days that were gone through."""
        for k in range(1, int(days.max()) + 1):
            gone = days >= k
            self.plastic[self.day[gone] + k, :, self.who[gone]] = daily[k][:, gone].T

    def _in_session(self, visit: Visit, peak: dict[str, Array]) -> tuple[Visit, dict[str, np.ndarray]]:
        """What the session did, and which of its own rules would have spoken; the dose counts as given in full."""
        number = np.asarray(visit.place.given, int)
        felt, pressure = (self.z[f"{name} session"][number, self.who] for name in ("dissociation", "blood pressure"))
        harms = _harms(self.patients, peak, number.astype(float), felt, pressure)
        found = {name: np.asarray(x) for name, x in harms.items()}
        rise = found["peak systolic rise"]
        ratio = evidence.value("blood_pressure.diastolic_ratio")
        highest = {
            "SBP": visit.seen["SBP"] + rise,
            "DBP": visit.seen["DBP"] + ratio * rise,
            "CADSS": found["peak dissociation"],
        }
        given, said = visit.action == GIVE, dict(visit.said)
        self.last = {name: np.where(given, highest[name], x) for name, x in self.last.items()}
        for rule, spoke in during(self.ruled.protocol, Chart(measures={**NORMAL, **highest})).said.items():
            said[rule] = np.where(given, spoke, QUIET).astype(np.int8)
        return visit._replace(said=said), found

    def _learn(self, s_ketamine: np.ndarray, given: np.ndarray, days: np.ndarray) -> None:
        """What the session taught about the drug, and what comes of it until the next visit."""
        misuse, day, who, hours = self.ruled.misuse, self.day, self.who, DAY_H * days
        self.high = np.where(given, misuse.high(s_ketamine), self.high)
        self.craving = self.craving + np.where(given, misuse.learnt(self.value, self.high), 0.0)
        returns = ndtr(self.z["early return"][day, who]) < misuse.chance(misuse.rate_return, self.craving, hours)
        begins = ndtr(self.z["misuse"][day, who]) < misuse.chance(misuse.rate_misuse, self.craving, hours)
        self.early_returns = self.early_returns + (returns & (days > 0))
        self.misuse_d = np.where(begins & (days > 0), np.minimum(self.misuse_d, day + days), self.misuse_d)
        self.craving = misuse.kept(self.craving, hours)

    def _values(self) -> dict[str, np.ndarray]:
        """Symptoms once a day, [days, patients]."""
        horizon, n = self.ruled.horizon_d, self.n
        since = np.full((2, horizon + 1, n), np.inf)
        for day in range(1, horizon + 1):
            before, session = since[:, day - 1], self.given_on[day - 1]
            since[:, day] = np.where(session, np.stack([np.zeros(n), before[0]]), before) + DAY_H
        timing = replace(self.ruled.daily, since_session_h=since)
        brain: Any = {name: self.plastic[:, k] for k, name in enumerate(STATES)}
        values = _symptoms(self.ruled.setting, timing, self.patients, self.draws, brain)
        return brain | {name: np.asarray(x) for name, x in values.items()}


def _chosen(where: np.ndarray, a: Place, b: Place) -> Place:
    """The one place where it is so, else the other."""
    return Place(*(np.where(where, getattr(a, f.name), getattr(b, f.name)) for f in fields(Place)))


def unsimulated(protocol: Protocol) -> tuple[str, ...]:
    """Measures that rules of a protocol look at and that every virtual patient has a normal reading of."""
    return tuple(sorted(measures_used(protocol) - set(SIMULATED)))
