"""Regimens followed under their rules in the same virtual patients and worlds: in depression by maps, several worlds at
once; in other illnesses by the engine, which looks at the hours of a day that they need, one world after the other."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from euthymia import evidence
from euthymia.course.between import Kind
from euthymia.course.ruled import prepared
from euthymia.course.session_map import Store
from euthymia.course.setting import Setting
from euthymia.course.simulate import uncertain_fields
from euthymia.course.variants import Variants
from euthymia.course.visits import Found, Ruled, Visit
from euthymia.design.aims import CURVES, MEASURES, Lived
from euthymia.design.search import Part, Values
from euthymia.design.worlds import World
from euthymia.illness.bipolar import POLES
from euthymia.patient.population import Patients, illness_of
from euthymia.protocol import Protocol, schedule
from euthymia.protocol.calendar import HOURS_PER_WEEK
from euthymia.protocol.decide import GIVE

HIGH_MMHG = 180.0
"""Systolic pressure that makes a session a pressure episode: markedly abnormal in analyses of esketamine."""
SCORES = {
    "depression": ("MADRS",),
    "bipolar": ("MADRS", "YMRS", *(f"{pole} pole" for pole in POLES)),
    "ptsd": ("MADRS", "CAPS-5"),
}
"""By illness, what of a course is looked at."""


def _nobody_asks(days: int) -> None:
    pass


@dataclass(frozen=True, eq=False)
class Courses:
    """What `search` calls: follows the regimens of a part. measures: what is wanted of each patient (`MEASURES`);
    beside them come the `CURVES` of the illness, [regimens, draws, days]; gone: told how many days of how many patients
    were gone through."""

    protocols: tuple[Protocol, ...]
    people: Patients
    worlds: tuple[World, ...]
    weeks: int
    measures: tuple[str, ...]
    gone: Callable[[int], None] = _nobody_asks

    @property
    def illness(self) -> str:
        """A key of `SCALES`."""
        return illness_of(self.people.population)

    def __call__(self, part: Part) -> Values:
        some, curves = self.people.take(*part.patients), CURVES[self.illness]
        shape = len(part.draws), len(some)
        found: dict[str, list[np.ndarray]] = {name: [] for name in (*self.measures, *(c.name for c in curves))}
        for lived in self.lived([self.protocols[k] for k in part.regimens], some, [self.worlds[k] for k in part.draws]):
            for name in self.measures:
                found[name].append(MEASURES[name].of(lived).reshape(shape))
            for curve in curves:
                found[curve.name].append(curve.of(lived).reshape(*shape, -1).mean(1))
        return {name: np.stack(x) for name, x in found.items()}

    def lived(self, protocols: Sequence[Protocol], people: Patients, worlds: Sequence[World]) -> Iterator[Lived]:
        """What these patients go through under each of the protocols, world after world: [worlds * patients]."""
        return (self._by_maps if self.illness == "depression" else self._by_engine)(protocols, people, worlds)

    def _by_maps(self, protocols: Sequence[Protocol], people: Patients, worlds: Sequence[World]) -> Iterator[Lived]:
        crowd = _crowd(people, worlds)
        with ThreadPoolExecutor(1) as pool:
            for protocol in protocols:
                alone, setting = self._prepared(protocol, worlds, len(people))
                more = {"parameters": crowd.parameters, "worlds": len(worlds), "batch": len(crowd.people)}
                ruled = replace(alone, setting=setting, **more)
                for_weeks = crowd.drawn.get(self.weeks) or ruled.drawn(crowd.people, pool)
                crowd.drawn[self.weeks] = for_weeks
                if ruled.kinds not in crowd.stores:
                    crowd.stores[ruled.kinds] = Store(alone.setting, alone.timing, crowd.people, crowd.parameters)
                counted = Counted(len(crowd.people))
                store = crowd.stores[ruled.kinds]
                course = ruled.run(
                    crowd.people,
                    pool,
                    self.gone,
                    z=for_weeks,
                    store=store,
                    only=SCORES["depression"],
                    told=counted,
                )
                yield counted.lived(course, self.illness)

    def _by_engine(self, protocols: Sequence[Protocol], people: Patients, worlds: Sequence[World]) -> Iterator[Lived]:
        scores = SCORES[self.illness]
        with ThreadPoolExecutor(1) as pool:
            for protocol in protocols:
                parts = []
                for world in worlds:
                    with evidence.assume(world):
                        ruled, _ = prepared(protocol, people.population, 7 * self.weeks, Variants())
                    # as arrays, so that another world needs no new compilation
                    parameters = {id: jnp.asarray(x) for id, x in world.items()}
                    ruled, counted = replace(ruled, parameters=parameters), Counted(len(people))
                    parts.append(
                        counted.lived(ruled.run(people, pool, self.gone, only=scores, told=counted), self.illness)
                    )
                yield _one_after_the_other(parts)

    def _prepared(self, protocol: Protocol, worlds: Sequence[World], patients: int) -> tuple[Ruled, Setting]:
        """A course under rules, and its setting with what is uncertain for each patient of each world."""
        calendar = schedule(protocol, HOURS_PER_WEEK * self.weeks)
        with evidence.assume(worlds[0]):
            ruled, _ = prepared(protocol, self.people.population, 7 * self.weeks, Variants(), calendar)
        of_worlds = []
        for world in worlds:
            with evidence.assume(world):
                of_worlds.append(uncertain_fields(calendar, Variants(), self.illness))
        each = jax.tree.map(lambda *x: _each(x, patients), *of_worlds)
        return ruled, replace(ruled.setting, **each)


def _one_after_the_other(parts: Sequence[Lived]) -> Lived:
    scores = {name: np.concatenate([p.scores[name] for p in parts]) for name in parts[0].scores}
    return Lived(parts[0].illness, scores, *(np.concatenate(x) for x in zip(*(p[2:] for p in parts), strict=True)))


def _each(numbers: Sequence[float], patients: int) -> Any:
    """A number of each world for each of its patients; one for all where they agree, which costs less."""
    return numbers[0] if len(set(map(float, numbers))) == 1 else np.repeat(numbers, patients)


class Crowd(NamedTuple):
    """The same patients in several worlds. parameters: of each world, one number for all or for each patient; drawn:
    their random numbers, by weeks; stores: of maps, by the ways of giving the drug."""

    people: Patients
    parameters: dict[str, Any]
    drawn: dict[int, dict[str, np.ndarray]]
    stores: dict[tuple[Kind, ...], Store]


_last = threading.local()
"""The last crowd of a worker: the next part has mostly the same, and maps take long to make."""


def _crowd(people: Patients, worlds: Sequence[World]) -> Crowd:
    leaves = b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(people))
    known = json.dumps([people.seed, people.population, [dict(world) for world in worlds]], sort_keys=True)
    key = blake2b(leaves + known.encode()).digest()
    if getattr(_last, "key", None) != key:
        several = jax.tree.map(lambda x: np.tile(x, len(worlds)), people)
        parameters = {id: _each([world[id] for world in worlds], len(people)) for id in worlds[0]}
        _last.key, _last.crowd = key, Crowd(several, parameters, {}, {})
    return _last.crowd


def let_go(most: int) -> None:
    """Forget the maps of this thread's last crowd where they are more than this, one per patient."""
    crowd: Crowd | None = getattr(_last, "crowd", None)
    if crowd and sum(len(store.numbers) for store in crowd.stores.values()) * len(crowd.people) > most:
        crowd.stores.clear()


class Counted:
    """What becomes of patients, visit by visit."""

    def __init__(self, patients: int):
        self.visits, self.sessions, self.ketamine_mg, self.pressure_episodes = np.zeros((4, patients))
        self.highest_sbp, self.highest_cadss = np.full((2, patients), np.nan)

    def __call__(self, visit: Visit) -> None:
        """One more visit of some of them."""
        who = visit.who
        self.visits[who] += 1
        self.sessions[who] += visit.action == GIVE
        self.ketamine_mg[who] += visit.mg
        if visit.harms:
            highest = visit.seen["SBP"] + visit.harms["peak systolic rise"]
            self.pressure_episodes[who] += highest >= HIGH_MMHG
            self.highest_sbp[who] = np.fmax(self.highest_sbp[who], highest)
            self.highest_cadss[who] = np.fmax(self.highest_cadss[who], visit.harms["peak dissociation"])

    def lived(self, found: Found, illness: str) -> Lived:
        """The course in short."""
        scores = {name: found.values[name] for name in SCORES[illness]}
        return Lived(illness, scores, **vars(self), misuse_d=found.misuse_d)
