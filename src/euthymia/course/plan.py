"""From a calendar to what the engine runs: pathways of drug, distinct doses, and what flows when."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from euthymia import evidence
from euthymia.course.mesh import BEGINS, CLOSE_H, ENDS, OBSERVES, merge_times
from euthymia.drug.body import typical_body
from euthymia.drug.compounds import COMPOUNDS
from euthymia.drug.dispositions import DEVICE_MG, SAMPLING_SITE, otto2021, perezruixo2021, simons2022
from euthymia.errors import UserError
from euthymia.protocol.calendar import Administration

BOLUS_H = 1 / 60  # an injection is given over one minute


@dataclass(frozen=True)
class Pathway:
    """One enantiomer through one disposition, by the routes in use."""

    disposition: str
    enantiomer: str
    routes: tuple[str, ...]
    devices: tuple[float, ...] = ()

    def build(self, body, absorption: Mapping[str, float] | None = None, hydroxynorketamine: bool = False):
        """The linear system of these people and, by route, where one mg goes."""
        if self.disposition == "otto2021":
            return otto2021(body, self.enantiomer, self.routes, dict(absorption or {}), hydroxynorketamine)
        if self.disposition == "perezruixo2021":
            return perezruixo2021(body, self.routes, self.devices)
        return simons2022(body, self.routes)


@dataclass(frozen=True)
class Dose:
    """A distinct dose: equal administrations share it."""

    route: str
    share: float
    mg: float | None
    mg_per_kg: float | None
    cap_mg: float | None
    duration_h: float
    pathway: int
    input_key: str


@dataclass(frozen=True)
class Entry:
    """One input of one dose: `duration_h` 0 arrives at once."""

    dose: int
    input: int
    duration_h: float


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything about a course that does not depend on the patient."""

    pathways: tuple[Pathway, ...]
    doses: tuple[Dose, ...]
    entries: tuple[Entry, ...]
    breaks_h: np.ndarray
    kind: np.ndarray
    amount_of: np.ndarray
    inflow_of: np.ndarray
    amount_counts: np.ndarray  # [patterns, entries]
    inflow_counts: np.ndarray
    observed: np.ndarray  # for each observation time, the index of the break
    session_of: np.ndarray  # for each segment, the session it belongs to (0: before the first)
    warnings: tuple[str, ...]


DEFAULT_DISPOSITION = {"intranasal device": "perezruixo2021"}
WITHOUT_EVIDENCE = {
    "intramuscular": "no adult absorption parameters are published for the intramuscular route",
    "subcutaneous": "no adult absorption parameters are published for the subcutaneous route",
    "compounded nasal spray": "published bioavailabilities of compounded nasal sprays disagree",
    "sublingual": "the rate of sublingual absorption is carried over from an arterial study of an oral film",
}
"""Routes whose absorption is an input with a range, and why."""


def _absorption_warning(route: str, given: Mapping[str, float]) -> str:
    stem = route.replace(" nasal spray", "_nasal")
    inputs = []
    for name in (f"{stem}_rate", f"{stem}_bioavailability"):
        row = evidence.parameter("absorption." + name)
        value = given.get(name, evidence.value(row.id))
        unit = "" if row.unit == "fraction" else " " + row.unit.replace("1/h", "/h")
        inputs.append(f"{name.split('_')[-1]} {value:g}{unit} (range {row.low:g} to {row.high:g})")
    return f"{WITHOUT_EVIDENCE[route]}: the curve rests on these inputs: {', '.join(inputs)}"


def _devices(given: Administration) -> float:
    """How many 28 mg devices a nasal dose takes."""
    if given.dose_mg is None:
        raise UserError("nasal devices hold 28 mg each: their dose must be in mg, not per kg.")
    return given.dose_mg / DEVICE_MG


def _disposition(compound: str, route: str, chosen: Mapping[str, str]) -> str:
    if route in chosen:
        return chosen[route]
    if route == "oral solution" and compound == "esketamine":
        return "perezruixo2021"
    return DEFAULT_DISPOSITION.get(route, "otto2021")


SUPPORTS = {
    "otto2021": {
        "intravenous",
        "intramuscular",
        "subcutaneous",
        "oral solution",
        "oral prolonged release",
        "sublingual",
        "compounded nasal spray",
    },
    "perezruixo2021": {"intravenous", "oral solution", "intranasal device"},
    "simons2022": {"intravenous", "sublingual"},
}


def _check_disposition(name: str, compound: str, route: str) -> None:
    if name not in SUPPORTS:
        raise UserError(f"there is no disposition {name!r}; known: {', '.join(SUPPORTS)}.")
    if route not in SUPPORTS[name]:
        raise UserError(f"disposition {name} has no {route} route; it has: {', '.join(sorted(SUPPORTS[name]))}.")
    if name != "otto2021" and compound != "esketamine":
        raise UserError(f"disposition {name} describes esketamine only, not {compound}; use otto2021.")


@cache
def _input_durations(
    pathway: Pathway, absorption: tuple[tuple[str, float], ...], assumed: tuple[tuple[str, float], ...]
) -> dict[str, tuple[float, ...]]:
    """For each input of a pathway, how long its parts last (h): the same for everybody. assumed: what of the evidence
    this rests on is assumed here."""
    _, inputs = eqx.filter_eval_shape(lambda body: pathway.build(body, dict(absorption)), typical_body(jnp.ones(1)))
    return {key: tuple(part.duration_h for part in parts) for key, parts in inputs.items()}


def make_plan(
    administrations: tuple[Administration, ...],
    observe_h: np.ndarray,
    dispositions: Mapping[str, str] | None = None,
    absorption: Mapping[str, float] | None = None,
) -> Plan:
    """Lay out a course.

    observe_h: sorted observation times (h, from 0); dispositions: route to disposition, where not the default;
    absorption: inputs that replace those of the evidence (for what the warnings say).
    Raises UserError where arterial and venous parameters would be mixed, or a disposition cannot give a route.
    """
    active = [a for a in administrations if a.compound in COMPOUNDS]
    for route in dispositions or {}:
        if route not in {a.route for a in active}:
            used = ", ".join(sorted({a.route for a in active})) or "none"
            raise UserError(
                f"a disposition was chosen for {route!r}, which is no route of this course; its routes: {used}."
            )
    wanted: dict[tuple[str, str], list] = {}
    for a in active:
        name = _disposition(a.compound, a.route, dispositions or {})
        _check_disposition(name, a.compound, a.route)
        for enantiomer in COMPOUNDS[a.compound]:
            routes, devices = wanted.setdefault((name, enantiomer), [[], []])
            if a.route not in routes:
                routes.append(a.route)
            if a.route == "intranasal device":
                n = _devices(a)
                if n not in devices:
                    devices.append(n)
    pathways = tuple(Pathway(n, e, tuple(r), tuple(sorted(d))) for (n, e), (r, d) in wanted.items())
    sites = {SAMPLING_SITE[p.disposition] for p in pathways}
    if len(sites) > 1:
        raise UserError(
            "this course would mix arterial (simons2022) and venous (otto2021, perezruixo2021) parameters, whose "
            "levels differ severalfold during a dose; choose dispositions of one site."
        )
    routes_used = sorted({r for p in pathways for r in p.routes if p.disposition != "simons2022"})
    warnings = [_absorption_warning(r, absorption or {}) for r in routes_used if r in WITHOUT_EVIDENCE]
    if "arterial" in sites:
        warnings.append(
            "plasma levels are ARTERIAL, the effect model was calibrated on venous ones: effects are illustrations"
        )

    rests_on = tuple(sorted((absorption or {}).items())), tuple(evidence.assumed("absorption.", *SUPPORTS).items())
    inputs = [_input_durations(p, *rests_on) for p in pathways]
    doses: list[Dose] = []
    entries: list[Entry] = []
    of_dose: dict[Dose, list[int]] = {}
    events: list[tuple[float, float, int]] = []  # begins, ends, entry
    for a in active:
        name = _disposition(a.compound, a.route, dispositions or {})
        for enantiomer, share in COMPOUNDS[a.compound].items():
            where = next(i for i, p in enumerate(pathways) if (p.disposition, p.enantiomer) == (name, enantiomer))
            key = f"{a.route} x{_devices(a):g}" if a.route == "intranasal device" else a.route
            duration = max(a.duration_h, BOLUS_H) if a.route == "intravenous" else 0.0
            dose = Dose(a.route, share, a.dose_mg, a.dose_mg_per_kg, a.cap_mg, duration, where, key)
            if dose not in of_dose:
                doses.append(dose)
                of_dose[dose] = []
                for k, input_h in enumerate(inputs[where][key]):
                    of_dose[dose].append(len(entries))
                    entries.append(Entry(len(doses) - 1, k, duration or input_h))
            for e in of_dose[dose]:
                events.append((a.time_h, a.time_h + entries[e].duration_h, e))

    end = float(observe_h[-1])
    session_h = np.array([a.time_h for a in administrations if a.time_h < end - CLOSE_H])
    begins = np.array([b for b, _, _ in events if b < end - CLOSE_H])
    ends = np.array([e for b, e, _ in events if e > b and e < end - CLOSE_H])
    breaks = merge_times(np.array([0.0]), observe_h, begins, ends, session_h)

    def nearest(times) -> np.ndarray:
        return np.clip(np.searchsorted(breaks, np.asarray(times) - CLOSE_H), 0, len(breaks) - 1)

    kind = np.full(len(breaks), OBSERVES)
    kind[nearest(ends)] = ENDS
    kind[nearest(begins)] = BEGINS
    segments = len(breaks) - 1
    arrive = np.zeros((segments, len(entries)), int)
    flow = np.zeros((segments + 1, len(entries)), int)
    for b, e, entry in events:
        if b >= end - CLOSE_H:
            continue
        at = int(nearest([b])[0])
        if entries[entry].duration_h == 0:
            arrive[at, entry] += 1
        else:
            stop = int(nearest([e])[0]) if e < end - CLOSE_H else segments
            flow[at:stop, entry] += 1

    def patterns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with_none = np.vstack([np.zeros((1, table.shape[1]), int), table])
        rows, which = np.unique(with_none, axis=0, return_inverse=True)
        return rows.astype(float), which.ravel()[1:]

    amount_counts, amount_of = patterns(arrive)
    inflow_counts, inflow_of = patterns(flow[:segments])
    session_of = np.searchsorted(session_h - CLOSE_H, breaks[:-1], side="right")
    return Plan(
        pathways,
        tuple(doses),
        tuple(entries),
        breaks,
        kind,
        amount_of,
        inflow_of,
        amount_counts,
        inflow_counts,
        nearest(observe_h),
        session_of,
        tuple(warnings),
    )
