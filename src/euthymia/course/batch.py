"""One batch of patients through one plan: the compiled heart of a simulation."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from euthymia import evidence
from euthymia.brain.plasticity import OtherRoute, Plasticity
from euthymia.course.engine import Drive, Steps, integrate
from euthymia.course.plan import Plan
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

WATCHED = ("occupancy", "ketamine", "S-ketamine")


class Timing(eqx.Module):
    """The plan's times as arrays for the compiled code.

    observe_h, since_session_h, session_at, minute, day: per observation; amount_of, inflow_of, session_of: per segment;
    observed: segment that ends at each observation (-1: the start); active: per session, whether it gives ketamine;
    earlier: per session, how many ketamine sessions came before.
    """

    steps: Steps
    observe_h: Array
    since_session_h: Array
    session_at: Array
    minute: Array
    amount_of: Array
    inflow_of: Array
    amount_counts: Array
    inflow_counts: Array
    session_of: Array
    observed: Array
    earlier: Array
    days: int = eqx.field(static=True)


class Setting(eqx.Module):
    """What holds for everybody in the course."""

    background: Background
    multicentre: float
    antidepressants: tuple[tuple[float, float, float], ...]
    variants: Variants = eqx.field(static=True)
    dispositions: Any = eqx.field(static=True)
    doses: Any = eqx.field(static=True)
    entries: Any = eqx.field(static=True)
    absorption: tuple[tuple[str, float], ...] = eqx.field(static=True)


def _drive(setting: Setting, timing: Timing, patients: Patients) -> tuple[Drive, dict[str, Array], list]:
    """The linear system of these patients with its inputs; weights of the analytes; all modes of all pathways."""
    body = patients.body()
    built = [p.build(body, dict(setting.absorption)) for p in setting.dispositions]
    size = [len(system.rates) for system, _ in built]
    first = [sum(size[:i]) for i in range(len(size))]
    zeros = jnp.zeros((sum(size), len(patients)))

    def place(pathway: int, values: Array) -> Array:
        return zeros.at[first[pathway] : first[pathway] + size[pathway]].set(values)

    entry_modes = []
    for e in setting.entries:
        dose = setting.doses[e.dose]
        system, inputs = built[dose.pathway]
        where = inputs[dose.input_key][e.input]
        mg = jnp.full_like(body.weight_kg, dose.mg) if dose.mg is not None else dose.mg_per_kg * body.weight_kg
        mg = jnp.minimum(mg, dose.cap_mg) if dose.cap_mg is not None else mg
        gain = system.inputs[:, system.channels.index(where.channel)] * where.fraction * mg * dose.share
        entry_modes.append(place(dose.pathway, gain / (e.duration_h or 1.0)))
    entry_modes = jnp.stack(entry_modes)
    analytes: dict[str, Array] = {}
    for i, (system, _) in enumerate(built):
        for a, name in enumerate(system.analytes):
            analytes[name] = analytes.get(name, zeros) + place(i, system.outputs[a])
    binding = Receptor.from_evidence().binding(setting.variants.norketamine == "blocks")
    weights = {
        "binding": sum((binding[n] * w for n, w in analytes.items() if n in binding), zeros),
        "ketamine": sum((w for n, w in analytes.items() if n.endswith("-ketamine")), zeros),
        "S-ketamine": analytes.get("S-ketamine", zeros),
    }
    if setting.variants.arketamine_route == "on":
        weights["R-ketamine"] = analytes.get("R-ketamine", zeros)
    drive = Drive(
        jnp.concatenate([system.rates for system, _ in built]),
        jnp.einsum("pe,emn->pmn", timing.amount_counts, entry_modes),
        jnp.einsum("pe,emn->pmn", timing.inflow_counts, entry_modes),
        timing.amount_of,
        timing.inflow_of,
        weights,
    )
    return drive, analytes, built


def _chain(setting: Setting, patients: Patients) -> Plasticity:
    v, depression = setting.variants, Depression.from_evidence()
    other = None
    if v.arketamine_route == "on":
        other = OtherRoute(
            "R-ketamine", evidence.value("variant.arketamine_drive"), evidence.value("variant.arketamine_half")
        )
    return Plasticity.from_evidence(
        durability=jnp.exp(depression.sd_durability * patients.z["depression.durability"]),
        ampa_block=float(v.ampa_antagonist == "yes"),
        mtorc1_block=float(v.rapamycin == "yes" and v.mtorc1 == "required"),
        brake=float(v.over_block == "on"),
        other_route=other,
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
    return normals(patients.seed, streams, patients.index)


@eqx.filter_jit
def run_batch(setting: Setting, timing: Timing, patients: Patients, draws: Draws) -> tuple[dict[str, Array], dict[str, Array]]:
    """Everything that is observed: by name, [times, patients]; and by session, [sessions, patients]."""
    n, t = len(patients), timing.observe_h
    depression, harm = Depression.from_evidence(), AcuteHarm.from_evidence()
    sessions = len(timing.earlier)
    values: dict[str, Array] = {}
    zero = jnp.zeros((len(t), n))
    if setting.dispositions:
        drive, analytes, _ = _drive(setting, timing, patients)
        chain = _chain(setting, patients)
        run = integrate(chain, drive, timing.steps, WATCHED)
        pick = jnp.maximum(timing.observed, 0)
        began = (timing.observed >= 0)[:, None]
        modes = jnp.where(began[..., None], run.modes[pick], 0.0)
        for name, w in analytes.items():
            values[name] = ng_per_mL(jnp.einsum("mn,tmn->tn", w, modes), name)
        values["ketamine"] = values.get("S-ketamine", zero) + values.get("R-ketamine", zero)
        values["norketamine"] = values.get("S-norketamine", zero) + values.get("R-norketamine", zero)
        for name in ("occupancy", "surge"):
            values[name] = jnp.where(began, run.signals[name][pick], 0.0)
        for name in chain.states:
            values[name] = jnp.where(began, run.states[name][pick], 0.0)
        peak = {
            name: jax.ops.segment_max(p, timing.session_of, sessions + 1, indices_are_sorted=True)[1:]
            for name, p in run.peaks.items()
        }
    else:
        names = ("ketamine", "norketamine", "occupancy", "surge", "over_block", "bdnf", "functional", "labile", "consolidated")
        values |= {name: zero for name in names}
        peak = {name: jnp.zeros((sessions, n)) for name in WATCHED}

    readout = depression.readout(values["functional"], values["labile"], values["consolidated"])
    gain = depression.gain * jnp.exp(depression.sd_gain * patients.z["depression.gain"])
    values["drug effect"] = readout * gain * setting.multicentre
    own = depression.antidepressant_gain * jnp.exp(
        depression.sd_antidepressant_gain * patients.z["depression.antidepressant_gain"]
    )
    own = own * jnp.where(patients.resistant > 0, depression.resistance_factor, 1.0)
    values["antidepressant effect"] = depression.adaptation(t, setting.antidepressants)[:, None] * own
    level = setting.background.level(t, timing.since_session_h)
    readiness = jnp.exp(evidence.value("background.sd_between_patients") * patients.z["background"])
    values["background effect"] = level[:, None] * readiness
    values["fluctuation"] = depression.fluctuation(t, draws["fluctuation"], patients.resistant)
    without = values["background effect"] - values["fluctuation"]
    effect = values["drug effect"] + values["antidepressant effect"] + without
    values["MADRS"] = score(patients.baseline_madrs, effect)
    values["MADRS untreated"] = score(patients.baseline_madrs, without)
    rated = values["MADRS"] + depression.rating_noise * draws["rating"]
    values["MADRS rated"] = jnp.clip(jnp.where(patients.baseline_madrs > 0, jnp.round(rated), 0.0), 0, 60)

    by_session: dict[str, Array] = {}
    if sessions:
        earlier = timing.earlier[:, None]
        by_session["peak ketamine"] = ng_per_mL(peak["ketamine"], "S-ketamine")
        by_session["peak occupancy"] = peak["occupancy"]
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
                values["occupancy"], timing.earlier[now][:, None], patients.z["dissociation"], draws["dissociation session"][now]
            ),
            0.0,
        )
    else:
        values["dissociation"] = zero
    values["systolic rise"] = harm.blood_pressure.rise(
        values.get("S-ketamine", zero), patients.z["blood_pressure"], patients.age_y
    )
    values["sedation probability"] = harm.sedation.probability(values["occupancy"])
    values["unresponsive probability"] = harm.consciousness.lost(values["occupancy"])
    return values, by_session
