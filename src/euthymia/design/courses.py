"""Regimens followed under their rules in the same virtual patients, in one world after the other."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np

from euthymia import evidence
from euthymia.course.ruled import prepared
from euthymia.course.session_map import Store
from euthymia.course.variants import Variants
from euthymia.course.visits import Found, Ruled
from euthymia.design.aims import MEASURES, Lived
from euthymia.design.search import Part, Values, patients_of
from euthymia.design.worlds import World
from euthymia.patient.population import Patients
from euthymia.protocol import Protocol
from euthymia.protocol.chart import REMISSION_MADRS
from euthymia.protocol.decide import GIVE

HIGH_MMHG = 180.0
"""Systolic pressure that makes a session a pressure episode: markedly abnormal in analyses of esketamine."""
CURVES: tuple[str, str] = ("mean MADRS by day", "remission by day")
"""What is kept of every part beside its measures, [regimens, days]; remission in %."""


@dataclass(frozen=True, eq=False)
class Courses:
    """What `search` calls: follows the regimens of a part. measures: what is wanted of each patient (`MEASURES`)."""

    protocols: tuple[Protocol, ...]
    people: Patients
    worlds: tuple[World, ...]
    weeks: int
    measures: tuple[str, ...]

    def __call__(self, part: Part) -> Values:
        rows = patients_of(part.block, len(self.people))
        block = self.people.take(int(rows[0]), int(rows[-1]) + 1)
        lived = self.lived([self.protocols[k] for k in part.regimens], block, self.worlds[part.draw])
        found = {m: np.stack([MEASURES[m].of(x) for x in lived]) for m in self.measures}
        curves = np.stack([x.madrs.mean(0) for x in lived]), np.stack([_in_remission(x) for x in lived])
        return found | dict(zip(CURVES, curves, strict=True))

    def lived(self, protocols: Sequence[Protocol], people: Patients, world: World) -> list[Lived]:
        """What these patients go through under each of the protocols."""
        parameters = {id: jnp.asarray(x) for id, x in world.items()}
        found, stores, z = [], {}, None
        with evidence.assume(world), ThreadPoolExecutor(1) as pool:
            for protocol in protocols:
                ruled, _ = prepared(protocol, people.population, 7 * self.weeks, Variants())
                ruled = replace(ruled, parameters=parameters, batch=len(people))
                z = z or ruled.drawn(people, pool)
                if ruled.kinds not in stores:
                    stores[ruled.kinds] = Store(ruled.setting, ruled.timing, people, parameters)
                course = ruled.run(people, pool, z=z, store=stores[ruled.kinds], only=("MADRS",))
                found.append(lived_of(course, ruled, len(people)))
        return found


def _in_remission(lived: Lived) -> np.ndarray:
    return 100 * (lived.madrs <= REMISSION_MADRS).mean(0)


def lived_of(found: Found, ruled: Ruled, patients: int) -> Lived:
    """A course in short."""
    visits, sessions, mg, episodes = np.zeros((4, patients))
    sbp, cadss = np.full((2, patients), np.nan)
    for visit in found.visits:
        given = visit.action == GIVE
        visits[visit.who] += 1
        sessions[visit.who] += given
        mg[visit.who] += visit.mg
        if visit.harms:
            highest = visit.seen["SBP"] + visit.harms["peak systolic rise"]
            episodes[visit.who] += highest >= HIGH_MMHG
            sbp[visit.who] = np.fmax(sbp[visit.who], highest)
            cadss[visit.who] = np.fmax(cadss[visit.who], visit.harms["peak dissociation"])
    return Lived(found.values["MADRS"], visits, sessions, mg, episodes, sbp, cadss, found.misuse_d)
