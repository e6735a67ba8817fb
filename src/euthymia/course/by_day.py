"""Symptoms of whole courses where each patient is on a calendar of their own: as in a course without rules, at every
look, by what was given."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from euthymia.course.batches import Batches, Picked
from euthymia.course.between import kept_in, symptoms_by_look
from euthymia.course.setting import Packed, Setting, Timing
from euthymia.course.symptoms import RATINGS
from euthymia.illness.bipolar import POLES
from euthymia.patient.population import illness_of


def symptoms_by_day(
    whole: Timing,
    batches: Batches,
    known_of: Callable[[np.ndarray], tuple[Packed, Setting]],
    given_on: np.ndarray,
    brain: np.ndarray,
    exposed: np.ndarray | None,
    z: Mapping[str, np.ndarray],
    person: np.ndarray,
    only: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """By name, once a day, [patients, days]; of the brain too, unless `only` some symptoms are wanted.

    whole: the timing of the course, observed at every look; known_of: uncertain numbers and setting of some patients;
    given_on: whether there was a session, [days, patients]; brain: at every look, [looks, kept, patients]; exposed: 1
    where there was an exposure, [looks, patients], in illnesses that have them; z: as of `Ruled.drawn`; person: whose
    random numbers a patient has.
    """
    n, days, illness = len(batches), len(given_on), illness_of(batches.population)
    a_day = (len(whole.observe_h) - 1) // (days - 1)
    if batches.whole:
        batches.narrow(np.arange(n))
    found: dict[str, np.ndarray] = {}

    def work(people: Picked, rows: np.ndarray, since: np.ndarray, brain: np.ndarray, exposed: Any, z: Any) -> None:
        timing = replace(whole, since_session_h=since, exposed=exposed)
        known: Any = dict(zip(kept_in(illness), brain.transpose(1, 0, 2), strict=True))
        symptoms = symptoms_by_look(*known_of(rows), timing, people, z, known, only)
        for name, x in (symptoms if only else known | symptoms).items():
            found.setdefault(name, np.empty((n, days)))[rows] = np.asarray(x)[::a_day].T

    rated = [r.stream for scale, r in RATINGS[illness].items() if not only or f"{scale} rated" in only]
    streams = (*rated, *(f"{pole} pole" for pole in POLES), *(() if a_day == 1 else ("fluctuation",)))
    drawn = {name: z[name][:, person] for name in streams if name in z}
    drawn |= {"moved": z["moved"]} if a_day == 1 else {}
    batches.each(np.arange(n), work, _since_session_h(whole, a_day, given_on), brain, exposed, drawn)
    return found


def _since_session_h(whole: Timing, a_day: int, given_on: np.ndarray) -> np.ndarray:
    """Hours since the last two sessions at every look, [2, looks, patients]."""
    n = given_on.shape[1]
    since = np.full((2, len(whole.observe_h), n), np.inf)
    for look, gap_h in enumerate(np.diff(whole.observe_h)):
        last = since[:, look]
        if look % a_day == 0:
            last = np.where(given_on[look // a_day], np.stack([np.zeros(n), last[0]]), last)
        since[:, look + 1] = last + gap_h
    return since
