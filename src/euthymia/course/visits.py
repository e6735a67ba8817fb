"""A course under the rules of its protocol: at each visit observe, decide, dose, advance, each patient on days of their
own.

Between two visits runs the compiled engine; at a visit `protocol.decide` is asked, the same function that a clinic asks
for one patient. A day with a session has the steps of any session, the days after it those of any later day, so that a
protocol whose rules never speak gives, step for step, the course without rules. Visits fall on whole days.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr

from euthymia import evidence
from euthymia.course.batch import BATCH
from euthymia.course.batches import Batches, Picked
from euthymia.course.between import (
    LONGEST_D,
    SAME_STEPS_D,
    Kind,
    Parameters,
    kept_in,
    looks_a_day,
    own_at_entry,
    own_onward,
    readings,
)
from euthymia.course.by_day import symptoms_by_day
from euthymia.course.carry import LONG_AGO_D, AtRest, ByEngine, ByMaps, Carrier, Dose
from euthymia.course.craving import Craving
from euthymia.course.exposures import Exposures
from euthymia.course.readings import IMPROVED, NORMAL
from euthymia.course.session_map import Store
from euthymia.course.setting import UNCERTAIN, Packed, Setting, Timing
from euthymia.course.streams import drawn
from euthymia.course.symptoms import RATINGS
from euthymia.course.virtual_clinic import certain, open_questions
from euthymia.drug.compounds import COMPOUNDS
from euthymia.harm.misuse import Misuse
from euthymia.harm.pressure import RestingPressure
from euthymia.illness.bipolar import POLES
from euthymia.illness.depression import DAY_H
from euthymia.patient.adherence import Adherence
from euthymia.patient.population import Patients, illness_of
from euthymia.protocol.chart import Chart, Place, measures_used, state
from euthymia.protocol.decide import GIVE, QUIET, Decision, decide, during, postponed, table
from euthymia.protocol.document import Protocol

ACTIONS = ("give", "hold", "stop", "missed")
"""What became of a visit: as decided, or the patient did not come."""
MISSED = 3
SESSIONS_IN = {f"sessions in {days} days": days for days in (7, 28)}
"""Measures that take long to count, which is only done where a rule asks."""


class Visit(NamedTuple):
    """Visits of some patients, each on a day of their own; arrays [patients] of this visit.

    who: their numbers within the group; action: number in `ACTIONS`; place: which session was due; decision: what was
    decided; due: day of the next visit, infinite after the last; said: by rule, also what was said in the session;
    seen: readings; harms: of the session, NaN without a dose.
    """

    who: np.ndarray
    action: np.ndarray
    place: Place
    decision: Decision
    due: np.ndarray
    said: dict[str, np.ndarray]
    seen: dict[str, np.ndarray]
    harms: dict[str, np.ndarray]

    @property
    def mg(self) -> np.ndarray:
        """Given, of whatever the session gives."""
        mg = np.asarray(self.decision.dose_mg)
        return np.where((self.action == GIVE) & ~np.isnan(mg), mg, 0.0)


@dataclass(frozen=True)
class Ruled:
    """What all patients of a course under rules share. setting, timing: of the `template`; whole: the timing of the
    whole course, observed at every look; adherence, pressure, misuse: of virtual patients;
    parameters: numbers of the compiled code that are not those of the evidence; batch: patients per compiled call.

    `parameters` and what is uncertain of `setting` may be arrays [patients], so that everybody has numbers of their
    own. The same patients can be followed in several `worlds` at once: they come once for each."""

    protocol: Protocol
    kinds: tuple[Kind, ...]
    setting: Setting
    timing: Timing
    whole: Timing
    adherence: Adherence
    pressure: RestingPressure
    misuse: Misuse
    parameters: Parameters = field(default_factory=dict)
    batch: int = BATCH
    worlds: int = 1

    @property
    def a_day(self) -> int:
        """Looks a day."""
        return looks_a_day(self.timing)

    @property
    def horizon_d(self) -> int:
        return (len(self.whole.observe_h) - 1) // self.a_day

    def run(
        self,
        patients: Patients,
        pool: Executor,
        gone: Callable[[int], None] = lambda days: None,
        *,
        z: dict[str, np.ndarray] | None = None,
        store: Store | None = None,
        only: tuple[str, ...] = (),
        told: "Callable[[Visit], None] | None" = None,
    ) -> "Found":
        """All visits of a group of patients.

        gone: told how many days of how many patients were gone through; z: what `drawn` gave for them; store: of maps,
        where these carry the brain and not the engine; only: values that are found, by default all; told: of every
        visit as it happens, which are then not kept.
        """
        visits: list[Visit] = []
        group = _Group(self, patients, pool, gone, z or self.drawn(patients, pool), store)
        group.run(told or visits.append)
        return Found(group.values(only), visits, group.craving.misuse_d)

    def drawn(self, patients: Patients, pool: Executor) -> dict[str, np.ndarray]:
        """Every random number of their courses, as `streams.drawn`."""
        return drawn(self.whole, self.horizon_d, self.parameters, patients, self.worlds, pool)


class Found(NamedTuple):
    """values: by name, [patients, days]; visits: in the order simulated; misuse_d: day on which misuse begins, infinite
    where it does not, [patients]."""

    values: dict[str, np.ndarray]
    visits: list[Visit]
    misuse_d: np.ndarray


class _Group:
    """Patients on their way from visit to visit, each at a day of their own.

    In every round whoever is due is seen and decided on, and all go on to their next visit; the compiled engine takes
    them a batch at a time, those with a dose apart from those without. Who shares a batch changes nobody's numbers.
    """

    def __init__(
        self,
        ruled: Ruled,
        patients: Patients,
        pool: Executor,
        gone: Callable[[int], None],
        z: dict[str, np.ndarray],
        store: Store | None,
    ):
        self.ruled, self.patients, self.gone, self.n, self.z = ruled, patients, gone, len(patients), z
        n = self.n
        self.packed = Packed.of(ruled.parameters, ruled.setting)
        self.bare = replace(ruled.setting, **dict.fromkeys(UNCERTAIN))
        self.last_known: tuple[Any, Any] = (None, None)
        self.person = np.arange(n) % (n // ruled.worlds)  # whose random numbers a patient has
        self.illness = illness_of(patients.population)
        self.ratings = RATINGS[self.illness]
        self.batches = Batches(patients, pool, ruled.batch, whole=store is not None)
        looks = len(ruled.whole.observe_h)
        self.carrier: Carrier = AtRest(looks, len(kept_in(self.illness)), n)
        if ruled.kinds and store:
            self.carrier = ByMaps(store, self._share_of, self.batches, self._known, ruled.horizon_d)
        elif ruled.kinds:
            self.carrier = ByEngine(ruled.setting, ruled.timing, ruled.parameters, self.batches, looks)
        own = self.batches.each(
            np.arange(n),
            lambda people, rows: jax.tree.map(np.array, own_at_entry(*self._known(rows), people)),
        )
        self.own = {name: np.concatenate([some[name] for some in own])[:n] for name in own[0]}
        self.exposures = Exposures(ruled.protocol, ruled.horizon_d, n) if self.illness == "ptsd" else None
        self.questions = open_questions(ruled.protocol, self.illness)
        self.certain = certain(ruled.protocol, self.illness)
        self.used = measures_used(ruled.protocol)
        self.day = np.zeros(n, int)
        self.due = np.zeros(n)  # day of the next visit, infinite after the last
        self.since = np.full((2, n), np.inf)  # hours since the last two sessions
        self.place = Place(*(np.full(n, getattr(Place(), f.name), float) for f in fields(Place)))
        self.cumulative_mg = np.zeros(n)
        self.craving = Craving(ruled.misuse, self._drawn, n)
        self.last = {name: np.zeros(n) for name in ("SBP", "DBP", "CADSS")}  # highest, of the last session
        self.before: dict[str, np.ndarray] = {}
        self.baseline = {name: np.full(n, np.nan) for name in IMPROVED if name in self.ratings}
        self.responded = np.zeros(n)
        self.given_on = np.zeros((ruled.horizon_d + 1, n), bool)

    def _known(self, rows: np.ndarray) -> tuple[Packed, Setting]:
        """Of some patients, the uncertain numbers, and the setting without them."""
        if not any(self.packed.differ):
            return self.packed, self.bare
        if rows is not self.last_known[0]:  # the same again and again, where all are worked on at once
            self.last_known = rows, jax.tree.map(jnp.asarray, self.packed.take(rows))
        return self.last_known[1], self.bare

    def _drawn(self, stream: str, time: Any, who: np.ndarray) -> np.ndarray:
        """Random numbers of some patients, each at a time of their own."""
        table, person = self.z[stream], self.person[who]
        return table.reshape(-1).take(time * table.shape[1] + person)

    def run(self, told: Callable[[Visit], None]) -> None:
        """From the first visits to the horizon."""
        while len(left := np.flatnonzero(self.day < self.ruled.horizon_d)):
            if self.batches.whole:
                self._narrow(left)
            is_due = self.due[left] <= self.day[left]
            if is_due.any():
                told(self._see(left[is_due]))
            waiting = self._alike(np.flatnonzero(self.day < np.minimum(self.due, self.ruled.horizon_d)))
            if waiting:
                self._wait(waiting)

    def _narrow(self, left: np.ndarray) -> None:
        """Let go of those who come no more, once they are half of all that work is done for."""
        coming = left[np.isfinite(self.due[left])]
        if len(coming) and self.batches.size_for(coming) < len(self.batches.among):
            self.batches.narrow(coming)

    def _alike(self, who: np.ndarray) -> list[np.ndarray]:
        """Patients who wait for their next visit, apart by the steps of the days ahead; those who go equally far share
        a batch, as it goes as far as the one who goes farthest."""
        if self.batches.whole:
            return [who] if len(who) else []
        far = who[np.argsort(self._days_until_due(who), kind="stable")]
        since = np.minimum(self._since_d(far), SAME_STEPS_D)
        return [far[since == days] for days in np.unique(since)]

    def _since_d(self, who: np.ndarray) -> np.ndarray:
        """Whole days since the last session, at most `LONG_AGO_D`."""
        return np.minimum(self.since[0, who] / DAY_H, LONG_AGO_D).astype(int)

    def _see(self, who: np.ndarray) -> Visit:
        """Patients whose visit is due: seen and decided on; those who are given a dose go on to their next visit."""
        visit = self._visit(who)
        at = np.flatnonzero(visit.action == GIVE)
        if not self.batches.whole:
            at = at[np.argsort(self._days_until_due(who[at]), kind="stable")]
        given = who[at]
        days = self._days_until_due(given)
        if self.ruled.kinds and len(given):
            number, phase = (np.asarray(x, int)[at] for x in (visit.place.given, visit.decision.phase))
            felt = [self._drawn(f"{name} session", number, given) for name in ("dissociation", "blood pressure")]
            share = self._shares(visit.mg[at], phase)
            dose = Dose(number, np.stack(felt), share, phase, np.asarray(visit.decision.dose)[at])
            harms = self.carrier.advance(given, self.day[given], days, self._since_d(given), dose)
            visit = self._in_session(visit, at, given, harms)
            self.craving.until_next(given, self.day[given], days)
        self.given_on[self.day[given], given] = True
        self.cumulative_mg[who] += visit.mg
        if self.exposures:
            self.exposures.after_session(given, self.day[given])
            over = who[np.isinf(self.due[who])]
            self.exposures.after_course(over, self.day[over])
        self.since[1, given], self.since[0, given] = self.since[0, given], 0.0
        self._pass(given, days)
        return visit

    def _wait(self, alike: list[np.ndarray]) -> None:
        """Patients, alike within each of these, go on to their next visit, or as far as the engine goes."""
        if not self.batches.whole:  # maps know the days without a dose already
            who = np.concatenate([np.pad(some, (0, -len(some) % self.ruled.batch), mode="edge") for some in alike])
            self.carrier.advance(who, self.day[who], self._days_until_due(who), self._since_d(who), None)
        for who in alike:
            days = self._days_until_due(who)
            if self.ruled.kinds:
                self.craving.until_next(who, self.day[who], days)
            self._pass(who, days)

    def _pass(self, who: np.ndarray, days: np.ndarray) -> None:
        if self.own and len(who):
            self._go_on(who, days)
        self.since[:, who] += DAY_H * days
        self.day[who] += days
        self.gone(int(days.sum()))

    def _visit(self, who: np.ndarray) -> Visit:
        """Observe and decide."""
        day = self.day[who]
        place = Place(*(getattr(self.place, f.name)[who] for f in fields(Place)))
        place = replace(place, time_h=DAY_H * day.astype(float), since_h=self.since[0, who])
        seen = self._seen(who)
        chart = self._chart(who, place, seen)
        decision = decide(self.questions, chart)
        stays_away = ndtr(self._drawn("missed", day, who)) < self.ruled.adherence.missed_visit
        missed = (place.given > 0) & stays_away
        action = np.where(missed, MISSED, decision.action)
        again_h, again = postponed(self.ruled.protocol, place, self.ruled.adherence.returns_after)
        for f in fields(Place):
            getattr(self.place, f.name)[who] = np.where(missed, getattr(again, f.name), getattr(decision.place, f.name))
        self.responded[who] = np.where(missed, self.responded[who], chart.responded)
        for name, x in seen.items():
            last = self.before.setdefault(name, np.full(self.n, np.nan))
            last[who] = np.where(missed, last[who], x)
        wait_h = np.where(missed, again_h, decision.next_h)
        self.due[who] = day + np.ceil(wait_h / DAY_H - 1e-9)
        said = {rule: np.where(missed, QUIET, x).astype(np.int8) for rule, x in decision.said.items()}
        seen = {name: np.where(missed, np.nan, x) for name, x in seen.items()}
        return Visit(who, action, place, decision, self.due[who], said, seen, {})

    def _seen(self, who: np.ndarray) -> dict[str, np.ndarray]:
        """Readings at a visit, before any dose."""
        day = self.day[who]
        look = day * self.ruled.a_day
        exposed = self.exposures.marks[look, who] if self.exposures else np.zeros(len(who))
        found = self.batches.each(
            who,
            lambda people, rows, *known: jax.tree.map(np.asarray, readings(*self._known(rows), people, *known)),
            DAY_H * day.astype(float),
            self.since[:, who],
            self.carrier.now(who, day),
            self.z["moved"][day, who],
            {name: x[who] for name, x in self.own.items()},
            exposed.astype(float),
            {scale: self._drawn(rating.stream, look, who) for scale, rating in self.ratings.items()},
        )
        rated = {scale: np.concatenate([x[scale] for x in found])[: len(who)] for scale in self.ratings}
        for scale, first in self.baseline.items():
            first[who] = np.where(np.isnan(first[who]), rated[scale], first[who])
        systolic = self.ruled.pressure.systolic(
            self._drawn("own systolic", 0, who), self._drawn("resting systolic", day, who)
        )
        diastolic = self.ruled.pressure.diastolic(systolic, self._drawn("resting diastolic", day, who))
        return {
            **rated,
            "SBP": np.round(systolic),
            "DBP": np.round(diastolic),
            **self.craving.seen(who, day, self.place.given[who]),
        }

    def _chart(self, who: np.ndarray, place: Place, seen: Mapping[str, np.ndarray]) -> Chart:
        """What the virtual clinic knows."""
        protocol, people = self.questions, self.patients
        measures: dict[str, Any] = {**NORMAL, **seen}
        for scale, first in self.baseline.items():
            measures[f"{scale} improvement"] = 100 * (1 - seen[scale] / np.maximum(first[who], 1.0))
        measures |= {"weight": np.asarray(people.weight_kg)[who], "age": np.asarray(people.age_y)[who]}
        measures["failed antidepressant trials"] = np.asarray(people.failed_trials)[who]
        measures["cumulative ketamine"] = self.cumulative_mg[who]
        measures |= {f"highest {name} of last session": x[who] for name, x in self.last.items()}
        for name, days in SESSIONS_IN.items():
            if name in self.used:
                measures[name] = self._sessions_within(who, days)
        for rule in protocol.eligibility.require:  # a scale that is not simulated lets everybody in
            if rule.limit.value is not None:
                measures.setdefault(rule.measure, rule.limit.value.value)
        chart = replace(
            self.certain,
            measures=measures,
            before={name: x[who] for name, x in self.before.items()},
            responded=self.responded[who],
            place=place,
        )
        return replace(chart, responded=np.maximum(self.responded[who], state(protocol, "response", chart).yes))

    def _sessions_within(self, who: np.ndarray, days: int) -> np.ndarray:
        """Sessions in so many days before today."""
        back = self.day[who] - np.arange(1, days)[:, None]
        return (self.given_on[np.maximum(back, 0), who] & (back >= 0)).sum(0).astype(float)

    def _days_until_due(self, who: np.ndarray) -> np.ndarray:
        """How far the engine goes now."""
        left = self.ruled.horizon_d - self.day[who]
        return np.minimum(np.minimum(self.due[who] - self.day[who], LONGEST_D), left).astype(int)

    def _shares(self, mg: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Of each entry of the template, how much of it a session is, [entries, patients]."""
        of_kind = np.zeros((len(self.ruled.kinds), len(mg)))
        for k, kind in enumerate(self.ruled.kinds):
            whole = kind.session.dose_mg or 1.0
            mine = np.isin(phase, kind.phases) & ((np.abs(mg - whole) < 1e-9) if kind.exact else True)
            of_kind[k] = np.where(mine, mg / whole, 0.0)
        assert (of_kind.any(0) | (mg <= 0)).all(), "a dose that no session of the template can give"
        kind_of_dose = [k for k, kind in enumerate(self.ruled.kinds) for _ in COMPOUNDS[kind.session.compound]]
        return of_kind[[kind_of_dose[dose] for dose, _ in self.ruled.setting.entries]]

    def _share_of(self, phase: int, amount: float) -> np.ndarray:
        """The same of a dose of a phase, in the unit of the drug, in all patients."""
        t, weight_kg = table(self.ruled.protocol), np.asarray(self.patients.weight_kg)
        mg = np.minimum(amount * weight_kg if t.per_kg[phase] else np.full(self.n, amount), t.cap_mg[phase])
        return self._shares(mg, np.full(self.n, phase))

    def _in_session(self, visit: Visit, at: np.ndarray, who: np.ndarray, found: dict[str, np.ndarray]) -> Visit:
        """The visit with what its sessions did, and which of their own rules would have spoken: a dose counts in full.

        at: the places in the visit of those `who` were given a dose; found: what it did.
        """
        rise, ratio = found["peak systolic rise"], evidence.value("blood_pressure.diastolic_ratio")
        highest = {
            "SBP": visit.seen["SBP"][at] + rise,
            "DBP": visit.seen["DBP"][at] + ratio * rise,
            "CADSS": found["peak dissociation"],
        }
        for name, x in highest.items():
            self.last[name][who] = x
        said = dict(visit.said)
        for rule, spoke in during(self.ruled.protocol, Chart(measures={**NORMAL, **highest})).said.items():
            said[rule] = np.full(len(visit.who), QUIET, np.int8)
            said[rule][at] = spoke
        harms = {name: np.full(len(visit.who), np.nan) for name in found}
        for name, x in found.items():
            harms[name][at] = x
        self.craving.after_session(who, found["peak S-ketamine"])
        return visit._replace(said=said, harms=harms)

    def _go_on(self, who: np.ndarray, days: np.ndarray) -> None:
        """The illness itself goes on, by what the brain went through."""
        timing, a_day = self.ruled.timing, self.ruled.a_day
        look = self.day[who] * a_day + np.arange(len(timing.observe_h))[:, None]

        def at(table: np.ndarray, whose: np.ndarray) -> np.ndarray:
            """Of each patient, at every look from now on; beyond the horizon the last repeats and is not used."""
            return table[np.minimum(look, len(table) - 1), ..., whose]

        def work(people: Picked, rows: np.ndarray, *known: Any) -> None:
            own = {name: x[rows] for name, x in self.own.items()}
            for name, x in own_onward(*self._known(rows), timing, people, own, *known).items():
                self.own[name][rows] = np.asarray(x)

        ahead = {"brain": np.moveaxis(at(self.carrier.whole(), who), 2, 1)}
        if self.exposures:
            ahead["exposed"] = at(self.exposures.marks, who).astype(float)
        else:
            ahead |= {f"{pole} pole": at(self.z[f"{pole} pole"], self.person[who])[:-1] for pole in POLES}
        self.batches.each(who, work, DAY_H * self.day[who].astype(float), days, ahead)

    def values(self, only: tuple[str, ...]) -> dict[str, np.ndarray]:
        """What was gone through, by name, once a day, [patients, days]; only: as in `symptoms_by_day`."""
        exposed = self.exposures.marks.astype(float) if self.exposures else None
        gone_through = self.given_on, self.carrier, exposed
        random = self.z, self.person
        found = symptoms_by_day(self.ruled.whole, self.batches, self._known, *gone_through, *random, only)
        if self.exposures and self.ruled.protocol.exposure:
            found["exposures"] = self.exposures.by_day().T
        return found
