"""Symptoms of whole courses where each patient is on a calendar of their own: as in a course without rules, at every
look, by what was given."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from euthymia.course.batches import Batches, Picked
from euthymia.course.between import symptoms_between_sessions, symptoms_by_look
from euthymia.course.carry import Carrier
from euthymia.course.setting import Packed, Setting, Timing
from euthymia.course.symptoms import RATINGS
from euthymia.illness.bipolar import POLES
from euthymia.patient.population import illness_of


def symptoms_by_day(
    whole: Timing,
    batches: Batches,
    known_of: Callable[[np.ndarray], tuple[Packed, Setting]],
    given_on: np.ndarray,
    carrier: Carrier,
    exposed: np.ndarray | None,
    z: Mapping[str, np.ndarray],
    person: np.ndarray,
    only: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """By name, once a day, [patients, days]; of the brain too, unless `only` some symptoms are wanted.

    whole: the timing of the course, observed at every look; known_of: uncertain numbers and setting of some patients;
    given_on: whether there was a session, [days, patients]; carrier: of the brain; exposed: 1 where there was an
    exposure, [looks, patients], in illnesses that have them; z: as of `Ruled.drawn`; person: whose random numbers a
    patient has.
    """
    n, days, illness = len(batches), len(given_on), illness_of(batches.population)
    a_day = (len(whole.observe_h) - 1) // (days - 1)
    if batches.whole:
        batches.narrow(np.arange(n))

    def work(people: Picked, rows: np.ndarray, exposed: Any, z: Any, *course: Any) -> dict[str, np.ndarray]:
        timing = replace(whole, since_session_h=None, exposed=exposed)  # known of each patient by what was given
        given = *known_of(rows), timing, people, z, *course, only
        found = (symptoms_by_look if carrier.fading is None else symptoms_between_sessions)(*given)
        return {name: np.asarray(x)[::a_day] for name, x in found.items()}

    rated = [r.stream for scale, r in RATINGS[illness].items() if not only or f"{scale} rated" in only]
    streams = (*rated, *(f"{pole} pole" for pole in POLES), *(() if a_day == 1 else ("fluctuation",)))
    drawn = {name: z[name][:, person] for name in streams if name in z}
    drawn |= {"moved": z["moved"]} if a_day == 1 else {}
    course = (carrier.whole(),) if carrier.fading is None else (carrier.whole(), carrier.fading)
    parts = batches.each(np.arange(n), work, exposed, drawn, given_on, *course)
    found = parts[0] if len(parts) == 1 else jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts)
    return {name: x[:, :n].T for name, x in found.items()}
