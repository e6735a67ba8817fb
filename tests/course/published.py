"""The published equations, written as compartments, flows and rates: what `test_numerics` holds the engine against.

Nothing here is shared with the engine but the parameter values: no modes, no mesh, no scheme.
"""

import math

import numpy as np

from euthymia.evidence import value
from euthymia.protocol.calendar import Administration, Schedule

COMPARTMENTS = 24  # room for the largest protocol drawn


class Compartments:
    """Amounts (mg) in named compartments, flows between them, and where to read concentrations."""

    def __init__(self):
        self.names: list[str] = []
        self.matrix = np.zeros((COMPARTMENTS, COMPARTMENTS))
        self.readings: dict[str, list[tuple[int, float, str]]] = {}
        self.inputs: dict[tuple[str, str], list[tuple[int, float, float]]] = {}

    def __getitem__(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def flow(self, source: str, target: str | None, rate_per_h: float) -> None:
        self.matrix[self[source], self[source]] -= rate_per_h
        if target is not None:
            self.matrix[self[target], self[source]] += rate_per_h

    def exchange(self, a: str, b: str, flow_L_per_h: float, volume: dict[str, float]) -> None:
        self.flow(a, b, flow_L_per_h / volume[a])
        self.flow(b, a, flow_L_per_h / volume[b])

    def read(self, analyte: str, compartment: str, volume_L: float, weighed_as: str) -> None:
        self.readings.setdefault(analyte, []).append((self[compartment], volume_L, weighed_as))


def correlated(person, first, second, rows):
    variance_1, variance_2, covariance = (value("otto2021." + r) for r in rows)
    root = np.linalg.cholesky([[variance_1, covariance], [covariance, variance_2]])
    return np.exp(root @ [person["z"]["otto2021." + first], person["z"]["otto2021." + second]])


def liver(person):
    """Well-stirred liver: change of hepatic clearance and of first-pass escape when intrinsic clearance changes."""
    q, v = value("perezruixo2021.hepatic_flow"), value("perezruixo2021.hepatic_volume")
    normal = v * (value("perezruixo2021.rate_to_other_metabolites") + value("perezruixo2021.rate_to_norketamine"))
    now = normal * person["intrinsic_clearance"]
    return (q * now / (q + now)) / (q * normal / (q + normal)), (q / (q + now)) / (q / (q + normal))


def otto(c: Compartments, person, enantiomer: str, route: str, infusion_h: float):
    """Otto 2021: three compartments for ketamine, two for norketamine; Wang 2019's clearance ratio for R."""
    p = {n: value("otto2021." + n) for n in (
        "central_volume", "clearance", "peripheral_volume_1", "peripheral_flow_1", "peripheral_volume_2",
        "peripheral_flow_2", "norketamine_volume", "norketamine_clearance", "norketamine_peripheral_volume",
        "norketamine_peripheral_flow",
    )}  # fmt: skip
    f = lambda name: f"otto {enantiomer} {name}"  # noqa: E731
    hepatic, escape = liver(person)
    if (enantiomer, "otto") not in c.inputs:
        c.inputs[enantiomer, "otto"] = []
        size = person["weight_kg"] / 70
        e1, e2 = correlated(
            person,
            "central_volume",
            "clearance",
            ("variance_central_volume", "variance_clearance", "covariance_volume_clearance"),
        )
        m1, m2 = correlated(
            person,
            "norketamine_volume",
            "norketamine_clearance",
            ("variance_norketamine_volume", "variance_norketamine_clearance", "covariance_norketamine"),
        )
        volume = {
            f("central"): p["central_volume"] * size * e1,
            f("one"): p["peripheral_volume_1"],
            f("two"): p["peripheral_volume_2"],
            f("nk"): p["norketamine_volume"] * size * m1,
            f("nk deep"): p["norketamine_peripheral_volume"],
        }
        clearance = p["clearance"] * size**0.75 * e2 * hepatic
        clearance *= value("otto2021.r_clearance_ratio") if enantiomer == "R" else 1
        c.exchange(f("central"), f("one"), p["peripheral_flow_1"], volume)
        c.exchange(f("central"), f("two"), p["peripheral_flow_2"], volume)
        c.flow(f("central"), f("nk"), clearance / volume[f("central")])
        c.exchange(f("nk"), f("nk deep"), p["norketamine_peripheral_flow"], volume)
        c.flow(f("nk"), None, p["norketamine_clearance"] * size**0.75 * m2 / volume[f("nk")])
        c.read(f"{enantiomer}-ketamine", f("central"), volume[f("central")], "ketamine")
        c.read(f"{enantiomer}-norketamine", f("nk"), volume[f("nk")], "norketamine")
    first_pass = value("absorption.first_pass_norketamine")
    swallowed = person["gut_availability"] * escape
    if route == "intravenous":
        return [(c[f("central")], 1.0, infusion_h or 1 / 60)]
    if route == "oral prolonged release":
        available = min(value(f"absorption.prolonged_release_bioavailability_{enantiomer.lower()}") * swallowed, 1)
        hours = value("absorption.prolonged_release_duration")
        return [(c[f("central")], available, hours), (c[f("nk")], first_pass * (1 - available), hours)]
    rate, available, hours, to_nk = {
        "intramuscular": ("absorption.intramuscular_rate", "absorption.intramuscular_bioavailability", 0.0, 0.0),
        "subcutaneous": ("absorption.subcutaneous_rate", "absorption.subcutaneous_bioavailability", 0.0, 0.0),
        "sublingual": ("absorption.sublingual_rate", "absorption.sublingual_bioavailability", 0.0, first_pass),
        "compounded nasal spray": (
            "absorption.compounded_nasal_rate",
            "absorption.compounded_nasal_bioavailability",
            0.0,
            first_pass,
        ),
        "oral solution": (
            "perezruixo2021.oral_absorption_rate",
            "absorption.oral_bioavailability",
            value("perezruixo2021.oral_duration"),
            first_pass,
        ),
    }[route]
    available = min(value(available) * (swallowed if route == "oral solution" else 1), 1)
    if f(route) not in c.names:
        c.flow(f(route), f("central"), value(rate) * available)
        c.flow(f(route), f("nk"), value(rate) * to_nk * (1 - available))
        c.flow(f(route), None, value(rate) * (1 - available) * (1 - to_nk))
    return [(c[f(route)], 1.0, hours)]


def perezruixo(c: Compartments, person, route: str, infusion_h: float, devices: float):
    """Perez-Ruixo 2021: nose, gut and liver; esketamine in three compartments, noresketamine in two."""
    p = {n.split(".")[1]: value(n) for n in PEREZRUIXO}

    def own(name):
        return p[name] * math.exp(math.sqrt(math.log(1 + p["cv_" + name] ** 2)) * person["z"]["perezruixo2021." + name])

    first = p["nasal_fraction"] / (1 - p["nasal_fraction"])
    first *= math.exp(p["sd_logit_nasal_fraction"] * person["z"]["perezruixo2021.nasal_fraction"])
    first = first / (1 + first) * (p["japanese_nasal_fraction"] if person["japanese"] else 1)
    first = min(first, 0.99)  # a fraction
    swallowed_rate = own("swallowed_absorption_rate")
    volume = {
        "central": own("central_volume"),
        "one": own("peripheral_volume_1"),
        "two": p["peripheral_volume_2"],
        "liver": own("hepatic_volume"),
        "nk": own("norketamine_volume"),
        "nk deep": p["norketamine_peripheral_volume"],
    }
    if "mucosa" not in c.names:
        flow = own("hepatic_flow") + p["hepatic_flow_per_year"] * max(person["age_y"] - 60, 0)
        flow = max(flow, 0.2 * p["hepatic_flow"])  # documented floor: an old patient keeps some flow
        metabolism = person["intrinsic_clearance"]
        other = own("rate_to_other_metabolites") * (p["asian_rate_to_other_metabolites"] if person["asian"] else 1)
        nk_clearance = own("norketamine_clearance") * (p["asian_norketamine_clearance"] if person["asian"] else 1)
        c.flow("mucosa", "central", own("nasal_absorption_rate"))
        c.flow("swallowed", "liver", swallowed_rate)
        c.flow("gut", "liver", swallowed_rate * p["oral_absorption_rate"] / p["swallowed_absorption_rate"])
        c.exchange("central", "one", p["peripheral_flow_1"], volume)
        c.exchange("central", "two", p["peripheral_flow_2"], volume)
        c.exchange("central", "liver", flow, volume)
        c.flow("liver", "nk", p["rate_to_norketamine"] * metabolism)
        c.flow("liver", None, other * metabolism)
        c.exchange("nk", "nk deep", p["norketamine_peripheral_flow"], volume)
        c.flow("nk", None, nk_clearance / volume["nk"])
        c.read("S-ketamine", "central", volume["central"], "ketamine")
        c.read("S-norketamine", "nk", volume["nk"], "norketamine")
    gut = min(p["gut_availability"] * person["gut_availability"], 1)
    if route == "oral solution":
        return [(c["gut"], gut, p["oral_duration"])]
    if route == "intravenous":
        return [(c["central"], 1.0, infusion_h or 1 / 60)]
    nose = first * (1 + p["nasal_fraction_later_devices"] * (devices - 1)) / devices
    return [(c["mucosa"], nose, 0.0), (c["swallowed"], (1 - nose) * gut, p["swallowed_duration"])]


PEREZRUIXO = [f"perezruixo2021.{n}" for n in (
    "nasal_fraction", "nasal_fraction_later_devices", "japanese_nasal_fraction", "nasal_absorption_rate",
    "swallowed_duration", "swallowed_absorption_rate", "oral_duration", "oral_absorption_rate", "gut_availability",
    "central_volume", "peripheral_flow_1", "peripheral_volume_1", "peripheral_flow_2", "peripheral_volume_2",
    "hepatic_flow", "hepatic_flow_per_year", "hepatic_volume", "rate_to_other_metabolites", "rate_to_norketamine",
    "asian_rate_to_other_metabolites", "asian_norketamine_clearance", "norketamine_volume", "norketamine_clearance",
    "norketamine_peripheral_volume", "norketamine_peripheral_flow", "sd_logit_nasal_fraction",
    "cv_nasal_absorption_rate", "cv_swallowed_absorption_rate", "cv_central_volume", "cv_peripheral_volume_1",
    "cv_hepatic_flow", "cv_hepatic_volume", "cv_rate_to_other_metabolites", "cv_norketamine_volume",
    "cv_norketamine_clearance",
)]  # fmt: skip


def simons(c: Compartments, person, route: str, infusion_h: float):
    """Simons 2022, arterial: parent (3), transit (2), norketamine (2), transit (2), hydroxynorketamine (2), film."""

    def v(name):
        return value("simons2022." + name)

    def own(name):
        return v(name) * math.exp(math.sqrt(v("variance_" + name)) * person["z"]["simons2022." + name])

    litres = person["weight_kg"] / 70
    per_h = 60 * (person["weight_kg"] / 70) ** 0.75  # from L/min
    if "arterial" not in c.names:
        volume = {
            "arterial": own("central_volume") * litres,
            "one": v("peripheral_volume_1") * litres,
            "two": v("peripheral_volume_2") * litres,
            "nk": v("norketamine_volume") * litres,
            "nk deep": v("norketamine_peripheral_volume") * litres,
            "hnk": own("hydroxynorketamine_volume") * litres,
            "hnk deep": v("hydroxynorketamine_peripheral_volume") * litres,
        }
        c.exchange("arterial", "one", v("peripheral_flow_1") * per_h, volume)
        c.exchange("arterial", "two", own("peripheral_flow_2") * per_h, volume)
        c.flow("arterial", "nk transit 1", own("clearance") * per_h * liver(person)[0] / volume["arterial"])
        transit = 2 * 60 / own("transit_time_norketamine")
        c.flow("nk transit 1", "nk transit 2", transit)
        c.flow("nk transit 2", "nk", transit * v("fraction_to_norketamine"))
        c.flow("nk transit 2", None, transit * (1 - v("fraction_to_norketamine")))
        c.exchange("nk", "nk deep", v("norketamine_peripheral_flow") * per_h, volume)
        c.flow("nk", "hnk transit 1", own("norketamine_clearance") * per_h / volume["nk"])
        transit = 2 * 60 / v("transit_time_hydroxynorketamine")
        c.flow("hnk transit 1", "hnk transit 2", transit)
        c.flow("hnk transit 2", "hnk", transit * v("fraction_to_hydroxynorketamine"))
        c.flow("hnk transit 2", None, transit * (1 - v("fraction_to_hydroxynorketamine")))
        c.exchange("hnk", "hnk deep", own("hydroxynorketamine_peripheral_flow") * per_h, volume)
        c.flow("hnk", None, own("hydroxynorketamine_clearance") * per_h / volume["hnk"])
        transit = 2 * 60 / v("film_gut_transit_time")
        c.flow("film", "arterial", 60 * v("film_absorption_rate"))
        c.flow("swallowed film", "gut 1", 60 * v("film_swallowed_rate"))
        c.flow("gut 1", "gut 2", transit)
        c.flow("gut 2", "nk transit 1", transit)
        # amounts are mg of ketamine, so a concentration is first molar
        c.read("S-ketamine", "arterial", volume["arterial"], "ketamine")
        c.read("S-norketamine", "nk", volume["nk"], "ketamine")
        c.read("S-hydroxynorketamine", "hnk", volume["hnk"], "ketamine")
    if route == "intravenous":
        return [(c["arterial"], 1.0, infusion_h or 1 / 60)]
    return [
        (c["film"], v("film_fraction"), v("film_duration") / 60),
        (c["swallowed film"], v("film_swallowed_fraction"), v("film_swallowed_duration") / 60),
    ]


def inputs_of(c: Compartments, person, a: Administration, arterial: bool):
    """(compartment, mg, duration h) of everything one administration puts in."""
    mg = a.dose_mg if a.dose_mg is not None else a.dose_mg_per_kg * person["weight_kg"]
    mg = min(mg, a.cap_mg) if a.cap_mg is not None else mg
    if arterial:
        return [(k, mg * share, h) for k, share, h in simons(c, person, a.route, a.duration_h)]
    if a.route == "intranasal device" or (a.route == "oral solution" and a.compound == "esketamine"):
        devices = mg / 28
        return [(k, mg * share, h) for k, share, h in perezruixo(c, person, a.route, a.duration_h, devices)]
    forms = {"racemic ketamine": {"S": 0.5, "R": 0.5}, "esketamine": {"S": 1.0}, "arketamine": {"R": 1.0}}[a.compound]
    return [
        (k, mg * half * share, h)
        for form, half in forms.items()
        for k, share, h in otto(c, person, form, a.route, a.duration_h)
    ]


HALF_OCCUPANCY = {}
for molecule in ("ketamine", "norketamine"):
    ratio = value(f"receptor.r_to_s_{molecule}")
    # 1/K of the racemate is the mean of the enantiomers' 1/K
    HALF_OCCUPANCY[f"S-{molecule}"] = value(f"receptor.{molecule}_half_occupancy") * (1 + 1 / ratio) / 2
    HALF_OCCUPANCY[f"R-{molecule}"] = ratio * HALF_OCCUPANCY[f"S-{molecule}"]
FREE = value("receptor.unbound_fraction")
BRAIN = {n: value(n) for n in (
    "surge.occupancy_half", "surge.hill", "surge.suppression_half", "surge.suppression_hill",
    "over_block.build_up_rate", "over_block.half_life", "bdnf.half_life", "functional.build_up_rate",
    "functional.half_life", "synapses.growth_rate", "synapses.labile_half_life", "synapses.consolidation_rate",
    "synapses.consolidated_half_life",
)}  # fmt: skip
LN2 = math.log(2)


def brain(y, occupancy, durability, np):
    """The published equations of the chain; y = Q, B, F, S, C along the last axis; np: numpy or jax.numpy."""
    q, b, f, s, c = (y[..., i] for i in range(5))
    p = BRAIN
    ro = np.maximum(occupancy, 1e-15)
    sup = ro ** p["surge.suppression_hill"]
    sup = sup / (sup + p["surge.suppression_half"] ** p["surge.suppression_hill"])
    a = ro ** p["surge.hill"]
    a = a / (a + p["surge.occupancy_half"] ** p["surge.hill"]) * (1 - sup)
    d = a * (1 - q)
    labile, consolidated = (p[f"synapses.{n}_half_life"] * durability for n in ("labile", "consolidated"))
    consolidation = p["synapses.consolidation_rate"]
    return np.stack(
        [
            p["over_block.build_up_rate"] * sup * (1 - q) - LN2 / p["over_block.half_life"] * q,
            LN2 / p["bdnf.half_life"] * (d - b),
            p["functional.build_up_rate"] * d * (1 - f) - LN2 / p["functional.half_life"] * f,
            p["synapses.growth_rate"] * b * (1 - s - c) - (LN2 / labile + consolidation) * s,
            consolidation * s - LN2 / consolidated * c,
        ],
        -1,
    )


def non_drug(calendar: Schedule, t: float) -> float:
    """The published non-drug response of a patient of typical readiness."""
    early = {"open label": "open_label", "saline": "saline", "midazolam": "midazolam",
             "new oral antidepressant": "new_antidepressant"}  # fmt: skip
    slow = {"new oral antidepressant": "new_antidepressant", "oral antidepressant trial": "antidepressant_trial"}
    design = calendar.design
    b = value("background.early_" + early[design.expectancy]) if design.expectancy in early else 0.0
    c = value("background.slow_" + slow.get(design.expectancy, "no_new_treatment"))
    if design.setting == "inpatient":
        b, c = b + value("background.early_inpatient"), c + value("background.slow_inpatient")
    before = [a.time_h for a in calendar.administrations if a.time_h < t]
    rise, half = value("background.session_onset"), value("background.session_half_life")
    terms = [(1 - math.exp(-(t - b4) / rise)) * 0.5 ** ((t - b4) / half) for b4 in before[-2:]]
    acute = value("background.session_amplitude") * max(terms, default=0.0)
    level = b * (1 - math.exp(-t / value("background.early_time"))) + c * (
        1 - math.exp(-t / value("background.slow_time"))
    )
    natural = value("background.natural") * (1 - math.exp(-t / value("background.natural_time")))
    return acute + level + natural


def adapted(calendar: Schedule, t: float) -> float:
    """U' = (on - U)/tU for one antidepressant, solved."""
    tau, u = value("depression.antidepressant_time"), 0.0
    for d in calendar.daily:
        stop = math.inf if d.stop_h is None else d.stop_h
        u = 1 - math.exp(-max(min(t, stop) - d.start_h, 0) / tau)
        u *= math.exp(-max(t - stop, 0) / tau)
    return u


def madrs(calendar, observe_h, states, persons, baseline, fluctuation):
    f, s, c = (states[..., COMPARTMENTS + i] for i in (2, 3, 4))
    z = {n: np.array([w["z"][n] for w in persons])[:, None] for n in persons[0]["z"]}
    gain = value("depression.gain") * np.exp(value("depression.sd_gain") * z["depression.gain"])
    gain *= value("depression.multicentre_factor") if calendar.design.sites == "many" else 1
    own = value("depression.antidepressant_gain")
    own *= np.exp(value("depression.sd_antidepressant_gain") * z["depression.antidepressant_gain"])
    own *= np.where([[w["resistant"] > 0] for w in persons], value("depression.resistance_factor"), 1)
    ready = np.exp(value("background.sd_between_patients") * z["background"])
    effect = gain * (value("depression.functional_weight") * f + s + c)
    effect += own * np.array([adapted(calendar, t) for t in observe_h])
    effect += ready * np.array([non_drug(calendar, t) for t in observe_h])
    years = np.array([[w["age_y"]] for w in persons]) - value("depression.reference_age")
    effect = effect * np.exp(-value("depression.age_slope") * years) - fluctuation
    return np.minimum(baseline[:, None] * np.exp(-effect), 60)
