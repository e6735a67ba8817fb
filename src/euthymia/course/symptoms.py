"""From what the drug did to the brain to what a rating shows, by illness; every array is [times, patients]."""

import jax.numpy as jnp
from jax import Array

from euthymia import evidence
from euthymia.course.setting import BipolarSetting, PtsdSetting, Setting, Tilt, Timing
from euthymia.illness.bipolar import STEP_H, Pole, course
from euthymia.illness.depression import MADRS_MAXIMUM, Depression, score
from euthymia.illness.ptsd import CAPS5_MAXIMUM
from euthymia.illness.relative import Relative
from euthymia.patient.population import Patients, between_episodes
from euthymia.patient.random import Draws

Values = dict[str, Array]


def symptoms(setting: Setting, timing: Timing, patients: Patients, draws: Draws, brain: Values) -> Values:
    """The parts of the effect (log score) and the scores, by name."""
    depression = Depression.from_evidence()
    plastic = depression.readout(brain["functional"], brain["labile"], brain["consolidated"])
    since_h = timing.since_session_h
    since_h = since_h if since_h.ndim == 3 else since_h[..., None]
    values = effects(depression, setting, timing.observe_h[:, None], since_h, patients, plastic)
    own_sd = depression.fluctuation_sd(patients.resistant, patients.z["depression.lability"])
    values["fluctuation"] = depression.fluctuation(timing.observe_h, draws["fluctuation"], own_sd)
    if isinstance(setting.own, BipolarSetting):
        values["drug effect"] = setting.relative.gain * values["drug effect"]
        values["background effect"] = setting.relative.background * values["background effect"]
        values["fluctuation"] = setting.relative.fluctuation * values["fluctuation"]
        values |= _bipolar(setting.own, timing, patients, draws, plastic)
    if isinstance(setting.own, PtsdSetting):
        values |= _ptsd(setting.own, setting.relative, timing, patients, draws, brain, plastic, values)
    untreated = values["background effect"] + values.get("untreated episode effect", 0.0)
    treated = values["drug effect"] + values["antidepressant effect"] + values["background effect"]
    treated = treated + values.get("episode effect", 0.0)
    for name, response in {"MADRS": treated, "MADRS untreated": untreated}.items():
        values[name] = score(patients.baseline_madrs, response - values["fluctuation"])
    values["MADRS rated"] = _rated(values["MADRS"], draws["rating"], patients.baseline_madrs, MADRS_MAXIMUM)
    return values


def effects(
    depression: Depression, setting: Setting, time_h: Array, since_h: Array, patients: Patients, plastic: Array
) -> Values:
    """What takes points off in depression, on the log scale. time_h: [times, 1] or [times, patients]; since_h: hours
    since the last session and the one before, [2, times, 1 or patients]; plastic: [times, patients]."""
    kept = depression.age_factor(patients.age_y)
    own = depression.own_antidepressant_gain(patients.z["depression.antidepressant_gain"], patients.resistant)
    level = setting.background.level(time_h, since_h)
    readiness = jnp.exp(evidence.value("background.sd_between_patients") * patients.z["background"])
    adapted = depression.adaptation(time_h, setting.antidepressants)
    return {
        "drug effect": kept * plastic * depression.own_gain(patients.z["depression.gain"]) * setting.multicentre,
        "antidepressant effect": kept * adapted * own,
        "background effect": kept * level * readiness,
    }


def _rated(true: Array, normals: Array, baseline: Array, maximum: float) -> Array:
    """One noisy rating, in whole points; of the well, 0."""
    rated = jnp.round(true + evidence.value("depression.rating_noise") * normals)
    return jnp.clip(jnp.where(baseline > 0, rated, 0.0), 0, maximum)


def _bipolar(own: BipolarSetting, timing: Timing, patients: Patients, draws: Draws, plastic: Array) -> Values:
    """The poles, what the episode's own course takes off the MADRS, and mania."""
    model = own.model
    depressive, manic, alone = _poles(own, timing, patients, draws, plastic)
    ymrs = model.ymrs(model.own_peak(patients.z["bipolar.manic_peak"]), manic)
    return {
        "depressive pole": depressive,
        "manic pole": manic,
        "episode effect": -jnp.log(model.madrs_share(depressive)),
        "untreated episode effect": -jnp.log(model.madrs_share(alone)),
        "YMRS": ymrs,
        "YMRS rated": _rated(ymrs, draws["YMRS rating"], patients.baseline_madrs, MADRS_MAXIMUM),
    }


def _poles(
    own: BipolarSetting, timing: Timing, patients: Patients, draws: Draws, plastic: Array
) -> tuple[Array, Array, Array]:
    """The depressive and the manic pole at every observation; and the depressive one as it would be untreated."""
    ends_h = timing.observe_h[timing.pole][:, None]

    def given(t: Tilt) -> Array:
        return jnp.where((ends_h >= t.start_h) & (ends_h < t.stop_h), 1.0, 0.0)

    none = jnp.zeros_like(ends_h)
    depressive_tilt = sum((given(t) * t.depressive for t in own.tilts), none)
    protected = jnp.minimum(sum((given(t) * t.stabilises for t in own.tilts), none), 1.0)
    exposed = 1 - own.model.stabiliser_protection * protected
    stabilised = sum((given(t) * t.manic * t.stabilises for t in own.tilts), none)
    provoked = sum((given(t) * t.manic * (1 - t.stabilises) for t in own.tilts), none)
    manic_tilt = stabilised + exposed * (provoked + own.ketamine_manic * plastic[timing.pole])

    instability = jnp.exp(own.model.sd_instability * patients.z["bipolar.instability"])
    begins = 0.0 if between_episodes(patients.population) else 1.0

    def path(pole: Pole, start: float, tilt: Array, stream: str) -> Array:
        return course(pole, own.model.time, jnp.full(len(patients), start), instability, tilt, draws[stream])

    found = [
        path(own.depressive, begins, depressive_tilt, "depressive pole"),
        path(own.manic, 0.0, manic_tilt, "manic pole"),
    ]
    found.append(path(own.depressive, begins, none, "depressive pole") if own.tilts else found[0])
    at = timing.observe_h / STEP_H
    below = jnp.clip(jnp.floor(at).astype(int), 0, len(found[0]) - 2)
    part = (at - below)[:, None]
    depressive, manic, alone = ((1 - part) * x[below] + part * x[below + 1] for x in found)
    return depressive, manic, alone


def _ptsd(
    own: PtsdSetting,
    ratio: Relative,
    timing: Timing,
    patients: Patients,
    draws: Draws,
    brain: Values,
    plastic: Array,
    effects: Values,
) -> Values:
    """Extinction memory and the PTSD scales. effects: as in depression, which stays an axis of its own."""
    model, extinction = own.model, own.extinction
    gaps_h = jnp.diff(timing.observe_h, prepend=timing.observe_h[:1])
    none = jnp.zeros_like(timing.exposed)
    memory = extinction.course(gaps_h, timing.exposed, none, plastic, brain["occupancy"])
    alone = extinction.course(gaps_h, none, none, plastic, brain["occupancy"])
    drug = ratio.gain * model.population_factor(patients.population) * effects["drug effect"]
    background = ratio.background * effects["background effect"]
    response = drug + ratio.antidepressant * effects["antidepressant effect"] + background
    ups_and_downs = ratio.fluctuation * effects["fluctuation"]

    def caps(effect: Array, memory: tuple[Array, Array]) -> Array:
        return jnp.minimum(
            patients.baseline_caps5 * extinction.share(memory) * jnp.exp(ups_and_downs - effect), CAPS5_MAXIMUM
        )

    treated = caps(response, memory)
    taught = -jnp.log(extinction.share(memory))
    return {
        "PTSD drug effect": drug,
        "PTSD background effect": background,
        "PTSD other effect": taught + ratio.antidepressant * effects["antidepressant effect"] - ups_and_downs,
        "extinction memory": memory[0] + memory[1],
        "fear": extinction.fear_elsewhere(memory),
        "CAPS-5": treated,
        "CAPS-5 untreated": caps(background, alone),
        "CAPS-5 rated": _rated(treated, draws["CAPS-5 rating"], patients.baseline_caps5, CAPS5_MAXIMUM),
        "PCL-5": jnp.minimum(model.pcl5_ratio * treated, CAPS5_MAXIMUM),
    }
