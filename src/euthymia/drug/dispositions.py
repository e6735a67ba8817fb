"""Population dispositions: how each enantiomer and its metabolites move through the body.

otto2021       venous. S-ketamine (Fanta 2015) with norketamine; R-ketamine shares volumes and flows and has the
               clearance ratio of Wang 2019. Default for injections, tablets and lozenges.
perezruixo2021 venous by its data sets, site not stated. Esketamine with liver, nose and gut. Default for Spravato and
               for oral esketamine solution. No effect of weight was found in 820 people, so none is used.
simons2022     ARTERIAL. S-ketamine, norketamine and hydroxynorketamine, intravenous and oral film.
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from euthymia import evidence
from euthymia.drug.body import Body
from euthymia.drug.compounds import molecular_weight
from euthymia.drug.interactions import intravenous_clearance_factor
from euthymia.drug.linear import Block, LinearSystem, Transfer, linear_system, stage

MINUTES_PER_H = 60  # simons2022 is published in minutes
SAMPLING_SITE = {"otto2021": "venous", "perezruixo2021": "venous", "simons2022": "arterial"}


def fastest_rate_per_h(disposition: str) -> float:
    """How fast drug leaves the central volume of a typical patient, all ways together."""

    def v(name: str) -> float:
        return evidence.value(f"{disposition}.{name}")

    out = v("peripheral_flow_1") + v("peripheral_flow_2")
    out += v("hepatic_flow") if disposition == "perezruixo2021" else v("clearance")
    return out * (MINUTES_PER_H if disposition == "simons2022" else 1) / v("central_volume")


class Input(eqx.Module):
    """Where one administered mg goes: `fraction` [patients] of it into `channel`, over `duration_h` (0: at once)."""

    channel: str = eqx.field(static=True)
    duration_h: float
    fraction: Array


def _log_normal(body: Body, name: str, variance: float | Array) -> Array:
    return jnp.exp(variance**0.5 * body.deviate(name))


def _correlated(body: Body, first: str, second: str, v1: float, v2: float, cov: float) -> tuple[Array, Array]:
    """Two log-normal deviates with the published covariance (Cholesky)."""
    a, b = body.deviate(first), body.deviate(second)
    slope = cov / v1**0.5
    return jnp.exp(v1**0.5 * a), jnp.exp(slope * a + (v2 - slope**2) ** 0.5 * b)


# first-order absorption sites of otto2021: (rate id, bioavailability id, leaves norketamine)
ABSORPTION = {
    "intramuscular": ("absorption.intramuscular_rate", "absorption.intramuscular_bioavailability", False),
    "subcutaneous": ("absorption.subcutaneous_rate", "absorption.subcutaneous_bioavailability", False),
    "oral solution": ("perezruixo2021.oral_absorption_rate", "absorption.oral_bioavailability", True),
    "sublingual": ("absorption.sublingual_rate", "absorption.sublingual_bioavailability", True),
    "compounded nasal spray": (
        "absorption.compounded_nasal_rate",
        "absorption.compounded_nasal_bioavailability",
        True,
    ),
}


def otto2021(
    body: Body,
    enantiomer: str,
    routes: tuple[str, ...],
    absorption: dict[str, float] | None = None,
    hydroxynorketamine: bool = False,
) -> tuple[LinearSystem, dict[str, tuple[Input, ...]]]:
    """Venous S- or R-ketamine with its norketamine, for the routes in use.

    absorption: values that replace rows "absorption.*" (rates, bioavailabilities) where no adult value is published;
    hydroxynorketamine: append it, borrowed whole from the arterial simons2022 and uncertain two- to threefold.
    Returns the system and, by route, where one mg of this enantiomer goes.
    """
    given = absorption or {}

    def v(name: str) -> float:
        return evidence.value("otto2021." + name)

    def input_value(name: str) -> float:
        return given.get(name.removeprefix("absorption."), evidence.value(name))

    one = jnp.ones_like(body.weight_kg)
    size = body.weight_kg / 70
    e_volume, e_clearance = _correlated(
        body,
        "otto2021.central_volume",
        "otto2021.clearance",
        v("variance_central_volume"),
        v("variance_clearance"),
        v("covariance_volume_clearance"),
    )
    m_volume, m_clearance = _correlated(
        body,
        "otto2021.norketamine_volume",
        "otto2021.norketamine_clearance",
        v("variance_norketamine_volume"),
        v("variance_norketamine_clearance"),
        v("covariance_norketamine"),
    )
    ratio = v("r_clearance_ratio") if enantiomer == "R" else 1.0
    extraction = intravenous_clearance_factor(body.intrinsic_clearance)
    central = v("central_volume") * size ** v("exponent_volume") * e_volume
    clearance = ratio * v("clearance") * size ** v("exponent_clearance") * e_clearance * extraction
    norketamine = v("norketamine_volume") * size ** v("exponent_volume") * m_volume
    parent = Block(
        ("central", "shallow", "deep"),
        {"central": central, "deep": v("peripheral_volume_1") * one, "shallow": v("peripheral_volume_2") * one},
        {
            ("central", "deep"): v("peripheral_flow_1") * one,
            ("central", "shallow"): v("peripheral_flow_2") * one,
        },
        {"central": clearance},
    )
    metabolite = Block(
        ("norketamine", "norketamine deep"),
        {"norketamine": norketamine, "norketamine deep": v("norketamine_peripheral_volume") * one},
        {("norketamine", "norketamine deep"): v("norketamine_peripheral_flow") * one},
        {"norketamine": v("norketamine_clearance") * size ** v("exponent_clearance") * m_clearance},
    )
    # swallowed drug: the systemic fraction F scales as (gut x intrinsic) change of oral exposure over the systemic one
    swallowed_factor = body.gut_availability * extraction / body.intrinsic_clearance
    blocks, transfers = [], [Transfer("central", "norketamine", clearance / central)]
    channels: dict[str, dict[str, Array | float]] = {}
    inputs: dict[str, tuple[Input, ...]] = {}
    for route in routes:
        if route == "intravenous":
            channels["central"] = {"central": 1.0}
            inputs[route] = (Input("central", 0.0, one),)
        elif route == "oral prolonged release":
            name = "absorption.prolonged_release_bioavailability_" + enantiomer.lower()
            systemic = jnp.minimum(input_value(name) * swallowed_factor, 1.0)
            metabolised = input_value("absorption.first_pass_norketamine") * (1 - systemic)
            channels[route] = {"central": systemic, "norketamine": metabolised}
            inputs[route] = (Input(route, input_value("absorption.prolonged_release_duration"), one),)
        elif route in ABSORPTION:
            rate_id, available_id, swallowed = ABSORPTION[route]
            duration = evidence.value("perezruixo2021.oral_duration") if route == "oral solution" else 0.0
            rate = input_value(rate_id) * one
            systemic = input_value(available_id) * one
            if swallowed:
                systemic = jnp.minimum(systemic * (swallowed_factor if route == "oral solution" else 1.0), 1.0)
            metabolised = input_value("absorption.first_pass_norketamine") * (1 - systemic) if swallowed else 0 * one
            blocks.append(stage(route, rate))
            transfers += [
                Transfer(route, "central", rate * systemic),
                Transfer(route, "norketamine", rate * metabolised),
            ]
            channels[route] = {route: 1.0}
            inputs[route] = (Input(route, duration, one),)
        else:
            raise ValueError(f"otto2021 has no route {route!r}")
    analytes = {
        f"{enantiomer}-ketamine": ("central", central, molecular_weight("S-ketamine")),
        f"{enantiomer}-norketamine": ("norketamine", norketamine, molecular_weight("S-norketamine")),
    }
    blocks += [parent, metabolite]
    if hydroxynorketamine:
        last = _hydroxynorketamine(body)
        blocks.append(last)
        formed = evidence.value("simons2022.fraction_to_hydroxynorketamine")
        out = metabolite.elimination_L_per_h["norketamine"] / norketamine
        transfers.append(Transfer("norketamine", "hydroxynorketamine", formed * out))
        volume = last.volumes_L["hydroxynorketamine"]
        analytes[f"{enantiomer}-hydroxynorketamine"] = ("hydroxynorketamine", volume, molecular_weight("S-norketamine"))
    return linear_system(blocks, transfers, channels, analytes), inputs


DEVICE_MG = 28.0  # one Spravato device


def nasal_fractions(first_device: Array, later: float, devices: float) -> Array:
    """Mean fraction absorbed through the mucosa over `devices` devices: the nose saturates after the first."""
    return first_device * (jnp.minimum(devices, 1.0) + later * jnp.maximum(devices - 1.0, 0.0)) / devices


def perezruixo2021(
    body: Body, routes: tuple[str, ...], devices: tuple[float, ...] = ()
) -> tuple[LinearSystem, dict[str, tuple[Input, ...]]]:
    """Esketamine and noresketamine by nose (Spravato devices), mouth (solution) or vein.

    devices: the numbers of 28 mg devices in use; inputs are keyed "intranasal device x2" and so on.
    """

    def v(name: str) -> float:
        return evidence.value("perezruixo2021." + name)

    def individual(name: str) -> Array:
        return v(name) * _log_normal(body, "perezruixo2021." + name, jnp.log1p(v("cv_" + name) ** 2))

    one = jnp.ones_like(body.weight_kg)
    liver = individual("hepatic_volume")
    flow = individual("hepatic_flow") + v("hepatic_flow_per_year") * jnp.maximum(body.age_y - 60, 0)
    flow = jnp.maximum(flow, v("least_hepatic_flow") * v("hepatic_flow"))
    other = individual("rate_to_other_metabolites") * jnp.where(
        body.asian > 0, v("asian_rate_to_other_metabolites"), 1.0
    )
    other, to_norketamine = other * body.intrinsic_clearance, v("rate_to_norketamine") * body.intrinsic_clearance
    central, shallow = individual("central_volume"), individual("peripheral_volume_1")
    norketamine = individual("norketamine_volume")
    parent = Block(
        ("central", "shallow", "deep", "liver"),
        {"central": central, "shallow": shallow, "deep": v("peripheral_volume_2") * one, "liver": liver},
        {
            ("central", "shallow"): v("peripheral_flow_1") * one,
            ("central", "deep"): v("peripheral_flow_2") * one,
            ("central", "liver"): flow,
        },
        {"liver": (other + to_norketamine) * liver},
    )
    asian_clearance = jnp.where(body.asian > 0, v("asian_norketamine_clearance"), 1.0)
    metabolite = Block(
        ("norketamine", "norketamine deep"),
        {"norketamine": norketamine, "norketamine deep": v("norketamine_peripheral_volume") * one},
        {("norketamine", "norketamine deep"): v("norketamine_peripheral_flow") * one},
        {"norketamine": individual("norketamine_clearance") * asian_clearance},
    )
    gut = jnp.minimum(v("gut_availability") * body.gut_availability, 1.0)
    rapid = v("swallowed_absorption_rate") * _log_normal(
        body, "perezruixo2021.swallowed_absorption_rate", jnp.log1p(v("cv_swallowed_absorption_rate") ** 2)
    )
    blocks, channels, inputs = [], {}, {}
    transfers = [Transfer("liver", "norketamine", to_norketamine)]
    for route in routes:
        if route == "intravenous":
            channels["central"] = {"central": 1.0}
            inputs[route] = (Input("central", 0.0, one),)
        elif route == "oral solution":
            rate = rapid * v("oral_absorption_rate") / v("swallowed_absorption_rate")
            blocks.append(stage("gut", rate))
            transfers.append(Transfer("gut", "liver", rate))
            channels["gut"] = {"gut": 1.0}
            inputs[route] = (Input("gut", v("oral_duration"), gut),)
        elif route == "intranasal device":
            rate = individual("nasal_absorption_rate")
            blocks += [stage("mucosa", rate), stage("swallowed", rapid)]
            transfers += [Transfer("mucosa", "central", rate), Transfer("swallowed", "liver", rapid)]
            channels |= {"mucosa": {"mucosa": 1.0}, "swallowed": {"swallowed": 1.0}}
            typical = v("nasal_fraction")
            logit = jnp.log(typical / (1 - typical)) + v("sd_logit_nasal_fraction") * body.deviate(
                "perezruixo2021.nasal_fraction"
            )
            first = 1 / (1 + jnp.exp(-logit))
            first = jnp.minimum(
                first * jnp.where(body.japanese > 0, v("japanese_nasal_fraction"), 1.0), v("most_nasal_fraction")
            )
            for n in devices:
                share = nasal_fractions(first, v("nasal_fraction_later_devices"), n)
                inputs[f"{route} x{n:g}"] = (
                    Input("mucosa", 0.0, share),
                    Input("swallowed", v("swallowed_duration"), (1 - share) * gut),
                )
        else:
            raise ValueError(f"perezruixo2021 has no route {route!r}")
    system = linear_system(
        [*blocks, parent, metabolite],
        transfers,
        channels,
        {
            "S-ketamine": ("central", central, molecular_weight("S-ketamine")),
            "S-norketamine": ("norketamine", norketamine, molecular_weight("S-norketamine")),
        },
    )
    return system, inputs


# Structurally identical transit stages would coincide exactly; split by this much they differ from the published
# chain by its square (1e-8).
TRANSIT_SPLIT = 1e-4


def _hydroxynorketamine(body: Body) -> Block:
    """Hydroxynorketamine of simons2022."""

    def v(name: str) -> float:
        return evidence.value("simons2022." + name)

    def individual(name: str) -> Array:
        return v(name) * _log_normal(body, "simons2022." + name, v("variance_" + name))

    size = body.weight_kg / 70
    by_volume, by_flow = size ** v("exponent_volume"), 60 * size ** v("exponent_clearance")  # L/min to L/h
    name, deep = "hydroxynorketamine", "hydroxynorketamine deep"
    return Block(
        (name, deep),
        {
            name: individual("hydroxynorketamine_volume") * by_volume,
            deep: v("hydroxynorketamine_peripheral_volume") * by_volume,
        },
        {(name, deep): individual("hydroxynorketamine_peripheral_flow") * by_flow},
        {name: individual("hydroxynorketamine_clearance") * by_flow},
    )


def simons2022(body: Body, routes: tuple[str, ...]) -> tuple[LinearSystem, dict[str, tuple[Input, ...]]]:
    """ARTERIAL S-ketamine, S-norketamine and S-hydroxynorketamine; intravenous, or an oral film under the tongue."""

    def v(name: str) -> float:
        return evidence.value("simons2022." + name)

    def individual(name: str) -> Array:
        return v(name) * _log_normal(body, "simons2022." + name, v("variance_" + name))

    one = jnp.ones_like(body.weight_kg)
    size = body.weight_kg / 70
    by_volume, by_flow = size ** v("exponent_volume"), 60 * size ** v("exponent_clearance")  # L/min to L/h
    central = individual("central_volume") * by_volume
    clearance = individual("clearance") * by_flow * intravenous_clearance_factor(body.intrinsic_clearance)
    parent = Block(
        ("central", "shallow", "deep"),
        {
            "central": central,
            "shallow": v("peripheral_volume_1") * by_volume,
            "deep": v("peripheral_volume_2") * by_volume,
        },
        {
            ("central", "shallow"): v("peripheral_flow_1") * by_flow,
            ("central", "deep"): individual("peripheral_flow_2") * by_flow,
        },
        {"central": clearance},
    )
    norketamine, norketamine_clearance = (
        v("norketamine_volume") * by_volume,
        individual("norketamine_clearance") * by_flow,
    )
    metabolite = Block(
        ("norketamine", "norketamine deep"),
        {"norketamine": norketamine, "norketamine deep": v("norketamine_peripheral_volume") * by_volume},
        {("norketamine", "norketamine deep"): v("norketamine_peripheral_flow") * by_flow},
        {"norketamine": norketamine_clearance},
    )
    last = _hydroxynorketamine(body)
    hydroxy = last.volumes_L["hydroxynorketamine"]

    def chain(name: str, minutes: Array) -> tuple[list[Block], list[Transfer]]:
        rate = 2 * 60 / minutes
        rates = [rate * (1 - TRANSIT_SPLIT), rate * (1 + TRANSIT_SPLIT)]
        return [stage(f"{name} {i}", k) for i, k in enumerate(rates)], [Transfer(f"{name} 0", f"{name} 1", rates[0])]

    to_norketamine, t1 = chain("to norketamine", individual("transit_time_norketamine"))
    to_hydroxy, t2 = chain("to hydroxynorketamine", v("transit_time_hydroxynorketamine") * one)
    transfers = [
        Transfer("central", "to norketamine 0", clearance / central),
        *t1,
        Transfer(
            "to norketamine 1",
            "norketamine",
            v("fraction_to_norketamine") * to_norketamine[1].elimination_L_per_h["to norketamine 1"],
        ),
        Transfer("norketamine", "to hydroxynorketamine 0", norketamine_clearance / norketamine),
        *t2,
        Transfer(
            "to hydroxynorketamine 1",
            "hydroxynorketamine",
            v("fraction_to_hydroxynorketamine") * to_hydroxy[1].elimination_L_per_h["to hydroxynorketamine 1"],
        ),
    ]
    blocks, channels, inputs = [], {}, {}
    for route in routes:
        if route == "intravenous":
            channels["central"] = {"central": 1.0}
            inputs[route] = (Input("central", 0.0, one),)
        elif route == "sublingual":
            mucosal, gut = 60 * v("film_absorption_rate") * one, 60 * v("film_swallowed_rate") * one
            wait, t3 = chain("gut", v("film_gut_transit_time") * one)
            blocks += [stage("film", mucosal), stage("swallowed film", gut), *wait]
            transfers += [
                Transfer("film", "central", mucosal),
                Transfer("swallowed film", "gut 0", gut),
                *t3,
                Transfer("gut 1", "to norketamine 0", wait[1].elimination_L_per_h["gut 1"]),
            ]
            channels |= {"film": {"film": 1.0}, "swallowed film": {"swallowed film": 1.0}}
            inputs[route] = (
                Input("film", v("film_duration") / 60, v("film_fraction") * one),
                Input("swallowed film", v("film_swallowed_duration") / 60, v("film_swallowed_fraction") * one),
            )
        else:
            raise ValueError(f"simons2022 has no route {route!r}")
    molar = molecular_weight("S-ketamine")  # amounts stay in mg of ketamine, so one weight serves every analyte
    system = linear_system(
        [*blocks, parent, *to_norketamine, metabolite, *to_hydroxy, last],
        transfers,
        channels,
        {
            "S-ketamine": ("central", central, molar),
            "S-norketamine": ("norketamine", norketamine, molar),
            "S-hydroxynorketamine": ("hydroxynorketamine", hydroxy, molar),
        },
    )
    return system, inputs
