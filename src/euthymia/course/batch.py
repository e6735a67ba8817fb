"""One batch of patients through one plan: the compiled heart of a simulation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from euthymia import evidence
from euthymia.brain.plasticity import STATES, OtherRoute, Plasticity
from euthymia.course.engine import Drive, Steps, integrate
from euthymia.course.plan import Pathway
from euthymia.course.variants import Variants
from euthymia.drug.compounds import ng_per_mL
from euthymia.drug.occupancy import Receptor
from euthymia.harm.acute import AcuteHarm
from euthymia.illness.background import Background
from euthymia.illness.depression import Depression, score
from euthymia.patient.population import Patients
from euthymia.patient.random import Draws, normals

BATCH = 512
"""Patients per compiled call; always this many (the last batch is padded), so that a patient's numbers never depend on
who else is simulated."""

ALWAYS = ("ketamine", "norketamine", "occupancy", "surge", *STATES)
"""Variables of drug and brain that every course has, zero without ketamine."""

WATCHED = ("occupancy", "surge", "bdnf", "ketamine", "S-ketamine", "norketamine")


Numbers = Any
"""An array: NumPy's outside compiled code, JAX's inside."""


class Timing(eqx.Module):
    """The plan's times as arrays for the compiled code.

    observe_h, session_at, minute: per observation; since_session_h: hours since the last session and the one before,
    [2, times]; amount_of, inflow_of, session_of: per segment; observed: segment that ends at each observation (-1: the
    start); earlier: per session, how many ketamine sessions came before.
    """

    steps: Steps
    observe_h: Numbers
    since_session_h: Numbers
    session_at: Numbers
    minute: Numbers
    amount_of: Numbers
    inflow_of: Numbers
    amount_counts: Numbers
    inflow_counts: Numbers
    session_of: Numbers
    observed: Numbers
    earlier: Numbers
    days: int = eqx.field(static=True)


class Setting(eqx.Module):
    """What holds for everybody in the course. Amounts and durations are arrays, so that a new dose needs no new
    compilation: dose_mg, dose_mg_per_kg, cap_mg are per distinct dose (a dose is the sum of the first two, at most the
    third); input_h is per entry, 1 where the input arrives at once.
    """

    background: Background
    multicentre: Numbers
    antidepressants: tuple[tuple[Numbers, Numbers, Numbers], ...]
    dose_mg: Numbers
    dose_mg_per_kg: Numbers
    cap_mg: Numbers
    input_h: Numbers
    variants: Variants = eqx.field(static=True)
    pathways: tuple[Pathway, ...] = eqx.field(static=True)
    doses: tuple[tuple[int, float, str], ...] = eqx.field(static=True)  # pathway, enantiomer share, input key
    entries: tuple[tuple[int, int], ...] = eqx.field(static=True)  # dose, input
    absorption: tuple[tuple[str, float], ...] = eqx.field(static=True)


def drug_drive(setting: Setting, timing: Timing, patients: Patients) -> tuple[Drive, dict[str, Array]]:
    """The linear system of these patients with its inputs, and the weights of the analytes."""
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
    drive = Drive(
        jnp.concatenate([system.rates for system, _ in built]),
        jnp.einsum("pe,emn->pmn", timing.amount_counts, entry_modes),
        jnp.einsum("pe,emn->pmn", timing.inflow_counts, entry_modes),
        timing.amount_of,
        timing.inflow_of,
        weights,
        watched,
    )
    return drive, analytes


def _other_routes(variants: Variants) -> tuple[OtherRoute, ...]:
    """The disputed routes that need no NMDA receptor and are switched on."""
    routes = []
    if variants.arketamine_route == "on":
        routes.append(evidence.fill(OtherRoute, "arketamine_route", analyte="R-ketamine"))
    if variants.hydroxynorketamine == "acts":
        routes.append(evidence.fill(OtherRoute, "hydroxynorketamine_route", analyte="R-hydroxynorketamine"))
    return tuple(routes)


def _chain(setting: Setting, patients: Patients) -> Plasticity:
    v, depression = setting.variants, Depression.from_evidence()
    return Plasticity.from_evidence(
        durability=jnp.exp(depression.sd_durability * patients.z["depression.durability"]),
        ampa_block=float(v.ampa_antagonist == "yes"),
        mtorc1_block=float(v.rapamycin == "yes" and v.mtorc1 == "required"),
        brake=float(v.over_block == "on"),
        other_routes=_other_routes(v),
    )


def draw_batch(timing: Timing, patients: Patients) -> Draws:
    """Every random number of a batch's course."""
    sessions = np.arange(len(timing.earlier))
    streams = {
        "fluctuation": np.arange(timing.days),
        "rating": np.asarray(timing.minute),
        "dissociation session": sessions,
        "blood pressure session": sessions,
    }
    return normals(patients.seed, streams, patients.index, compiled=True)


# Wide vectors suit long loops over patients; a processor without them splits each in two.
WIDE = {"xla_cpu_prefer_vector_width": 512}


@eqx.filter_jit(compiler_options=WIDE)  # pyright: ignore[reportCallIssue]  passed on to jax.jit
def advance(setting: Setting, timing: Timing, patients: Patients) -> tuple[dict[str, Array], dict[str, Array]]:
    """Drug and brain: concentrations, occupancy, surge and plasticity at the observation times, [times, patients]; and
    the peak of each watched signal by session, [sessions, patients]."""
    n, sessions = len(patients), len(timing.earlier)
    zero = jnp.zeros((len(timing.observe_h), n))
    if not setting.pathways:
        return dict.fromkeys(ALWAYS, zero), {name: jnp.zeros((sessions, n)) for name in WATCHED}
    drive, analytes = drug_drive(setting, timing, patients)
    chain = _chain(setting, patients)
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


@eqx.filter_jit
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
    t, sessions = timing.observe_h, len(timing.earlier)
    depression, harm = Depression.from_evidence(), AcuteHarm.from_evidence()
    zero = jnp.zeros_like(brain["occupancy"])
    plastic = depression.readout(brain["functional"], brain["labile"], brain["consolidated"])
    values: dict[str, Array] = {}
    kept = depression.age_factor(patients.age_y)
    values["drug effect"] = kept * plastic * depression.own_gain(patients.z["depression.gain"]) * setting.multicentre
    own = depression.own_antidepressant_gain(patients.z["depression.antidepressant_gain"], patients.resistant)
    values["antidepressant effect"] = kept * depression.adaptation(t, setting.antidepressants)[:, None] * own
    level = setting.background.level(t, timing.since_session_h)
    readiness = jnp.exp(evidence.value("background.sd_between_patients") * patients.z["background"])
    values["background effect"] = kept * level[:, None] * readiness
    values["fluctuation"] = depression.fluctuation(t, draws["fluctuation"], patients.resistant)
    treated = values["drug effect"] + values["antidepressant effect"] + values["background effect"]
    for name, response in {"MADRS": treated, "MADRS untreated": values["background effect"]}.items():
        values[name] = score(patients.baseline_madrs, response - values["fluctuation"])
    rated = values["MADRS"] + depression.rating_noise * draws["rating"]
    values["MADRS rated"] = jnp.clip(jnp.where(patients.baseline_madrs > 0, jnp.round(rated), 0.0), 0, 60)

    by_session: dict[str, Array] = {}
    if sessions:
        earlier = timing.earlier[:, None]
        by_session["peak ketamine"] = ng_per_mL(peak["ketamine"], "S-ketamine")
        by_session["peak norketamine"] = ng_per_mL(peak["norketamine"], "S-norketamine")
        by_session["peak occupancy"] = peak["occupancy"]
        by_session["peak surge"] = peak["surge"]
        by_session["peak bdnf"] = peak["bdnf"]
        by_session["peak dissociation"] = harm.dissociation.level(
            peak["occupancy"], earlier, patients.z["dissociation"], draws["dissociation session"]
        )
        rise = harm.blood_pressure.rise(
            ng_per_mL(peak["S-ketamine"], "S-ketamine"), patients.z["blood_pressure"], patients.age_y
        )
        by_session["peak systolic rise"] = harm.blood_pressure.highest_reading(rise, draws["blood pressure session"])
        by_session["sedation probability"] = harm.sedation.probability(peak["occupancy"])
        by_session["unresponsive probability"] = harm.consciousness.lost(peak["occupancy"])
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
    return brain | values, by_session
