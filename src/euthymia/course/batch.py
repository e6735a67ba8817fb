"""One batch of patients through one plan: the compiled heart of a simulation."""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from euthymia import evidence
from euthymia.brain.plasticity import STATES, OtherRoute, Plasticity
from euthymia.course.engine import Drive, integrate
from euthymia.course.setting import Setting, Timing
from euthymia.course.symptoms import RATINGS, symptoms
from euthymia.course.variants import Variants
from euthymia.drug.compounds import ng_per_mL
from euthymia.drug.occupancy import Receptor
from euthymia.harm.acute import AcuteHarm
from euthymia.illness.bipolar import POLES
from euthymia.illness.depression import Depression
from euthymia.patient.population import Patients, illness_of
from euthymia.patient.random import Draws, normals

BATCH = 512
"""Patients per compiled call; always this many (the last batch is padded), so that a patient's numbers never depend on
who else is simulated."""

ALWAYS = ("ketamine", "norketamine", "occupancy", "surge", *STATES)
"""Variables of drug and brain that every course has, zero without ketamine."""

WATCHED = ("occupancy", "surge", "bdnf", "ketamine", "S-ketamine", "norketamine")


class Bound(NamedTuple):
    """The linear system of some patients before anything enters it.

    rates: [modes, patients]; entries: what each entry of the plan puts into the modes (per hour, where it lasts),
    [entries, modes, patients]; weights, watched, analytes: as in `Drive`.
    """

    rates: Array
    entries: Array
    weights: dict[str, Array]
    watched: dict[str, Array]
    analytes: dict[str, Array]

    def drive(self, timing: Timing, entries: Array) -> Drive:
        """With what enters, [entries, modes, patients], when the plan says."""
        return Drive(
            self.rates,
            jnp.einsum("pe,emn->pmn", timing.amount_counts, entries),
            jnp.einsum("pe,emn->pmn", timing.inflow_counts, entries),
            timing.amount_of,
            timing.inflow_of,
            self.weights,
            self.watched,
        )


def drug_drive(setting: Setting, timing: Timing, patients: Patients) -> tuple[Drive, dict[str, Array]]:
    """The linear system of these patients with its inputs, and the weights of the analytes."""
    bound = bind(setting, patients)
    return bound.drive(timing, bound.entries), bound.analytes


def bind(setting: Setting, patients: Patients) -> Bound:
    """The linear system of these patients and the doses of the setting."""
    body = patients.body()
    shown = setting.variants.hydroxynorketamine != "off"
    built = [p.build(body, dict(setting.absorption), shown) for p in setting.pathways]
    size = [len(system.rates) for system, _ in built]
    first = [sum(size[:i]) for i in range(len(size))]
    zeros = jnp.zeros((sum(size), len(patients)))

    def place(pathway: int, values: Array) -> Array:
        return zeros.at[first[pathway] : first[pathway] + size[pathway]].set(values)

    entry_modes = []
    for k, (which, position) in enumerate(setting.entries):
        pathway, share, key = setting.doses[which]
        system, inputs = built[pathway]
        where = inputs[key][position]
        mg = jnp.minimum(setting.dose_mg[which] + setting.dose_mg_per_kg[which] * body.weight_kg, setting.cap_mg[which])
        gain = system.inputs[:, system.channels.index(where.channel)] * where.fraction * mg * share
        entry_modes.append(place(pathway, gain / setting.input_h[k]))
    entry_modes = jnp.stack(entry_modes)
    analytes: dict[str, Array] = {}
    for i, (system, _) in enumerate(built):
        for a, name in enumerate(system.analytes):
            analytes[name] = analytes.get(name, zeros) + place(i, system.outputs[a])
    binding = Receptor.from_evidence().binding(setting.variants.norketamine == "blocks")
    weights = {"binding": sum((binding[n] * w for n, w in analytes.items() if n in binding), zeros)}
    for route in _other_routes(setting.variants):
        weights[route.analyte] = analytes.get(route.analyte, zeros)
    watched = {
        "ketamine": sum((w for n, w in analytes.items() if n.endswith("-ketamine")), zeros),
        "S-ketamine": analytes.get("S-ketamine", zeros),
        "norketamine": sum((w for n, w in analytes.items() if n.endswith("-norketamine")), zeros),
    }
    rates = jnp.concatenate([system.rates for system, _ in built])
    return Bound(rates, entry_modes, weights, watched, analytes)


def _other_routes(variants: Variants) -> tuple[OtherRoute, ...]:
    """The disputed routes that need no NMDA receptor and are switched on."""
    routes = []
    if variants.arketamine_route == "on":
        routes.append(evidence.fill(OtherRoute, "arketamine_route", analyte="R-ketamine"))
    if variants.hydroxynorketamine == "acts":
        routes.append(evidence.fill(OtherRoute, "hydroxynorketamine_route", analyte="R-hydroxynorketamine"))
    return tuple(routes)


def chain_of(setting: Setting, patients: Patients) -> Plasticity:
    """Plasticity in these patients."""
    v, depression = setting.variants, Depression.from_evidence()
    own = jnp.exp(depression.sd_durability * patients.z["depression.durability"])
    return Plasticity.from_evidence(
        durability=setting.relative.durability * own,
        ampa_block=float(v.ampa_antagonist == "yes"),
        mtorc1_block=float(v.rapamycin == "yes" and v.mtorc1 == "required"),
        brake=float(v.over_block == "on"),
        other_routes=_other_routes(v),
    )


def draw_batch(timing: Timing, patients: Patients) -> Draws:
    """Every random number of a batch's course."""
    sessions = np.arange(len(timing.earlier))
    illness = illness_of(patients.population)
    streams = {
        "fluctuation": np.arange(timing.days),
        "dissociation session": sessions,
        "blood pressure session": sessions,
        **{rating.stream: np.asarray(timing.minute) for rating in RATINGS[illness].values()},
    }
    if illness == "bipolar":
        streams |= {f"{pole} pole": np.arange(len(timing.pole) - 1) for pole in POLES}
    return normals(patients.seed, streams, patients.index, compiled=True)


def as_assumed(function: Callable[..., Any]) -> Callable[..., Any]:
    """With what was assumed when the setting, the first argument, was prepared: threads know no block of
    `evidence.assume`, and compiled code would keep the numbers of the first."""

    @wraps(function)
    def run(setting: Setting, *given: Any) -> Any:
        with evidence.assume(setting.assumed):
            return function(setting, *given)

    return run


# Wide vectors suit long loops over patients; a processor without them splits each in two.
WIDE = {"xla_cpu_prefer_vector_width": 512}


@eqx.filter_jit(compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit
@as_assumed
def advance(setting: Setting, timing: Timing, patients: Patients) -> tuple[dict[str, Array], dict[str, Array]]:
    """Drug and brain: concentrations, occupancy, surge and plasticity at the observation times, [times, patients]; and
    the peak of each watched signal by session, [sessions, patients]."""
    n, sessions = len(patients), len(timing.earlier)
    zero = jnp.zeros((len(timing.observe_h), n))
    if not setting.pathways:
        return dict.fromkeys(ALWAYS, zero), {name: jnp.zeros((sessions, n)) for name in WATCHED}
    drive, analytes = drug_drive(setting, timing, patients)
    chain = chain_of(setting, patients)
    run = integrate(chain, drive, timing.steps, ("occupancy", "surge", "bdnf"))
    pick, began = jnp.maximum(timing.observed, 0), (timing.observed >= 0)[:, None]
    modes = jnp.where(began[..., None], run.modes[pick], 0.0)
    values = {name: ng_per_mL(jnp.einsum("mn,tmn->tn", w, modes), name) for name, w in analytes.items()}
    for total in ("ketamine", "norketamine", "hydroxynorketamine"):
        forms = [values[f"{e}-{total}"] for e in "SR" if f"{e}-{total}" in values]
        if forms:
            values[total] = sum(forms[1:], forms[0])
    for name in ("occupancy", "surge"):
        values[name] = jnp.where(began, run.signals[name][pick], 0.0)
    for name in chain.states:
        values[name] = jnp.where(began, run.states[name][pick], 0.0)
    peaks = {
        name: jax.ops.segment_max(p, timing.session_of, sessions + 1, indices_are_sorted=True)[1:]
        for name, p in run.peaks.items()
    }
    return values, peaks


def session_harms(
    harm: AcuteHarm, peak: dict[str, Array], earlier: Array, patients: Patients, dissociation: Array, pressure: Array
) -> dict[str, Array]:
    """What sessions do to people, [sessions, patients], from the `peak` of each watched signal. earlier: how many
    sessions came before; dissociation, pressure: standard normals of each session."""
    rise = harm.blood_pressure.rise(
        ng_per_mL(peak["S-ketamine"], "S-ketamine"), patients.z["blood_pressure"], patients.age_y
    )
    return {
        "peak ketamine": ng_per_mL(peak["ketamine"], "S-ketamine"),
        "peak norketamine": ng_per_mL(peak["norketamine"], "S-norketamine"),
        "peak S-ketamine": ng_per_mL(peak["S-ketamine"], "S-ketamine"),
        "peak occupancy": peak["occupancy"],
        "peak surge": peak["surge"],
        "peak bdnf": peak["bdnf"],
        "peak dissociation": harm.dissociation.level(
            peak["occupancy"], earlier, patients.z["dissociation"], dissociation
        ),
        "peak systolic rise": harm.blood_pressure.highest_reading(rise, pressure),
        "sedation probability": harm.sedation.probability(peak["occupancy"]),
        "unresponsive probability": harm.consciousness.lost(peak["occupancy"]),
    }


@eqx.filter_jit
@as_assumed
def read_out(
    setting: Setting,
    timing: Timing,
    patients: Patients,
    draws: Draws,
    brain: dict[str, Array],
    peak: dict[str, Array],
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Symptoms and harms from what `advance` found (`NEEDED`): by name, [times, patients]; and by session,
    [sessions, patients]."""
    sessions, harm = len(timing.earlier), AcuteHarm.from_evidence()
    values = symptoms(setting, timing, patients, draws, brain)
    zero = jnp.zeros_like(brain["occupancy"])
    by_session: dict[str, Array] = {}
    if sessions:
        by_session = session_harms(
            harm,
            peak,
            timing.earlier[:, None],
            patients,
            draws["dissociation session"],
            draws["blood pressure session"],
        )
        now = jnp.maximum(timing.session_at - 1, 0)
        in_session = (timing.session_at > 0)[:, None]
        values["dissociation"] = jnp.where(
            in_session,
            harm.dissociation.level(
                brain["occupancy"],
                timing.earlier[now][:, None],
                patients.z["dissociation"],
                draws["dissociation session"][now],
            ),
            0.0,
        )
    else:
        values["dissociation"] = zero
    values["systolic rise"] = harm.blood_pressure.rise(
        brain["S-ketamine"], patients.z["blood_pressure"], patients.age_y
    )
    values["sedation probability"] = harm.sedation.probability(brain["occupancy"])
    values["unresponsive probability"] = harm.consciousness.lost(brain["occupancy"])
    return values, by_session


NEEDED = ("occupancy", "functional", "labile", "consolidated", "S-ketamine")
"""What symptoms and harms are read from."""


def compile_read_out(setting: Setting, timing: Timing, patients: Patients) -> None:
    """Compile `read_out` on blank input, so that it can happen while `advance` compiles on another core."""
    blank: Any = np.zeros((len(timing.observe_h), len(patients)))
    peak: Any = {name: np.zeros((len(timing.earlier), len(patients))) for name in WATCHED}
    draws = draw_batch(timing, patients)
    read_out(setting, timing, patients, draws, dict.fromkeys(NEEDED, blank), peak)


def run_batch(setting: Setting, timing: Timing, patients: Patients) -> tuple[dict[str, Array], dict[str, Array]]:
    """One batch from drug to mood and harm: everything that is observed, and everything by session."""
    brain, peak = advance(setting, timing, patients)
    blank: Any = np.zeros((len(timing.observe_h), len(patients)))
    needed: Any = {name: brain.get(name, blank) for name in NEEDED}
    values, by_session = read_out(setting, timing, patients, draw_batch(timing, patients), needed, peak)
    values = brain | values
    if timing.reported is not None:
        values = {name: x[timing.reported] for name, x in values.items()}
    return values, by_session
