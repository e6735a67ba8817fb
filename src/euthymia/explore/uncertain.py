"""How sure the curves are: the first of the explorer's patients in several worlds, each with a draw of the calibrated
parameters and the level of one clinic that no trial has seen (`design.worlds`).

What differs between worlds is what is not known of the model; what differs between patients is no part of it.
"""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from euthymia.design.aims import MEASURES
from euthymia.design.courses import Courses, let_go
from euthymia.design.worlds import World, worlds
from euthymia.patient.population import Patients
from euthymia.protocol import Protocol, fingerprint
from euthymia.protocol.chart import REMISSION_MADRS, RESPONSE_PERCENT

WORLDS, PATIENTS = 50, 80
"""More of either takes longer than one waits for. Ends of a band are off by a point or so of the MADRS."""
KEPT = 48
"""Regimens that are kept."""
KEPT_MAPS = 250_000
"""Maps of sessions that are kept, one per patient of each world."""
BAND = (0.05, 0.95)
Z_OF_BAND = 1.6449
"""Half a band's width in standard deviations, where it is normal."""
CURVES = {"mean": 60.0, "remission": 100.0, "response": 100.0}
"""By day, over patients: mean MADRS, and shares (%) of them; with the highest that each can be."""
COMPARED = {
    "days in remission": ("Days in remission", ""),
    "remission at the end": ("In remission at the end", "percentage points"),
    "sessions": ("Sessions given", ""),
}
"""Measures by which regimens are told apart: what they are called, and in what they differ where that is not said."""


class InWorlds(NamedTuple):
    """One regimen. curves: by name, [worlds, days]; measures: by name, [worlds, patients]."""

    curves: dict[str, np.ndarray]
    measures: dict[str, np.ndarray]


class Uncertain:
    """Follows regimens in worlds, one after the other."""

    def __init__(self, people: Patients, seed: int) -> None:
        self.people = people.take(0, min(PATIENTS, len(people)))
        self.worlds: tuple[World, ...] = worlds(WORLDS, seed)
        # always the same thread, for which `Courses` keeps the crowd and its maps
        self._thread = ThreadPoolExecutor(1)
        self._kept: OrderedDict[tuple[str, int], InWorlds] = OrderedDict()

    def follow(self, protocol: Protocol, weeks: int, gone: Callable[[int], None]) -> InWorlds:
        """What becomes of patients in every world. gone: called on the way; what it raises is raised here."""
        return self._thread.submit(self._followed, protocol, weeks, gone).result()

    def _followed(self, protocol: Protocol, weeks: int, gone: Callable[[int], None]) -> InWorlds:
        key = fingerprint(protocol), weeks
        if key not in self._kept:
            gone(0)
            courses = Courses((protocol,), self.people, self.worlds, weeks, (), gone)
            (lived,) = courses.lived((protocol,), self.people, self.worlds)
            let_go(KEPT_MAPS)
            shape = len(self.worlds), len(self.people)
            madrs = lived.scores["MADRS"].reshape(*shape, -1)
            measures = {name: MEASURES[name].of(lived).reshape(shape) for name in COMPARED}
            self._kept[key] = InWorlds(means(madrs, self.people), measures)
        self._kept.move_to_end(key)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[key]


def means(madrs: np.ndarray, people: Patients) -> dict[str, np.ndarray]:
    """`CURVES` of these people. madrs: [..., patients, days]."""
    baseline = np.asarray(people.baseline_madrs)[:, None]
    ill = baseline > 0
    responds = (madrs <= (1 - RESPONSE_PERCENT / 100) * baseline) & ill
    responds[..., 0] = False
    remission = 100 * ((madrs <= REMISSION_MADRS) & ill).mean(-2)
    return {"mean": madrs.mean(-2), "remission": remission, "response": 100 * responds.mean(-2)}


def bands(found: InWorlds, few: dict[str, np.ndarray], all: dict[str, np.ndarray]) -> dict[str, list[list[float]]]:
    """Of each curve, by day, 90 % over worlds.

    few, all: the curves of those who were followed in worlds, and of everybody, under the parameters of the page; the
    bands are moved by what everybody is above those few.
    """
    made = {}
    for name, top in CURVES.items():
        moved = found.curves[name] + (all[name] - few[name])
        low, high = np.clip(np.quantile(moved, BAND, axis=0), 0, top)
        made[name] = [np.round(low, 1).tolist(), np.round(high, 1).tolist()]
    return made


def differences(found: InWorlds, first: InWorlds) -> list[dict[str, Any]]:
    """What one regimen does more than the first, in the same patients of the same worlds: the mean, and 90 % over
    worlds and over the chance among so many patients."""
    rows = []
    for name in COMPARED:
        more = found.measures[name] - first.measures[name]
        value, edges = more.mean(), np.quantile(more.mean(1), BAND)
        chance = Z_OF_BAND * more.mean(0).std(ddof=1) / np.sqrt(more.shape[1])
        low, high = value + np.sign(edges - value) * np.hypot(edges - value, chance)
        numbers = {"value": round(float(value), 2), "low": round(float(low), 2), "high": round(float(high), 2)}
        rows.append({"id": name} | numbers)
    return rows
