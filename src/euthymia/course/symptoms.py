"""From what the drug did to the brain to what a rating shows, by illness; every array is [times, patients]."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from euthymia import evidence
from euthymia.course.setting import BipolarSetting, PtsdSetting, Setting, Tilt, Timing
from euthymia.illness.bipolar import STEP_H, YMRS_MAXIMUM, Pole, course
from euthymia.illness.depression import MADRS_MAXIMUM, Depression, score
from euthymia.illness.ptsd import CAPS5_MAXIMUM
from euthymia.illness.relative import Relative
from euthymia.patient.population import Patients, between_episodes, illness_of
from euthymia.patient.random import Draws

Values = dict[str, Array]


class Rating(NamedTuple):
    """One noisy rating of a scale. stream: of random numbers; entry: of `Patients`, 0 in those who are well."""

    stream: str
    entry: str
    maximum: float

    def of(self, true: Array, normals: Array, patients: Patients) -> Array:
        """In whole points, from standard normals; of the well, 0."""
        rated = jnp.round(true + evidence.value("depression.rating_noise") * normals)
        return jnp.clip(jnp.where(getattr(patients, self.entry) > 0, rated, 0.0), 0, self.maximum)


_MADRS = {"MADRS": Rating("rating", "baseline_madrs", MADRS_MAXIMUM)}
RATINGS = {
    "depression": _MADRS,
    "bipolar": _MADRS | {"YMRS": Rating("YMRS rating", "baseline_madrs", YMRS_MAXIMUM)},
    "ptsd": _MADRS
    | {
        "CAPS-5": Rating("CAPS-5 rating", "baseline_caps5", CAPS5_MAXIMUM),
        "PCL-5": Rating("PCL-5 rating", "baseline_caps5", CAPS5_MAXIMUM),
    },
}
"""By illness, the scales that are simulated."""


def symptoms(setting: Setting, timing: Timing, patients: Patients, draws: Draws, brain: Values) -> Values:
    """The parts of the effect (log score) and the scores, by name. draws: standard normals by stream, of which a scale
    needs its own to be rated; "moved" instead of those of "fluctuation": by ups and downs at every observation."""
    depression = Depression.from_evidence()
    plastic = depression.readout(brain["functional"], brain["labile"], brain["consolidated"])
    since_h = timing.since_session_h
    since_h = since_h if since_h.ndim == 3 else since_h[..., None]
    values = effects(depression, setting, timing.observe_h[:, None], since_h, patients, plastic)
    if "moved" in draws:
        values["fluctuation"] = draws["moved"]
    else:
        own_sd = depression.fluctuation_sd(patients.resistant, patients.z["depression.lability"])
        values["fluctuation"] = depression.fluctuation(timing.observe_h, draws["fluctuation"], own_sd)
    state: Values = {}
    if isinstance(setting.own, BipolarSetting):
        state = _poles(setting.own, timing, patients, draws, plastic)
    if isinstance(setting.own, PtsdSetting):
        state = _memories(setting.own, timing, brain, plastic)
    values = scores(setting, patients, values, state)
    for scale, rating in RATINGS[illness_of(patients.population)].items():
        if rating.stream in draws:
            values[f"{scale} rated"] = rating.of(values[scale], draws[rating.stream], patients)
    return values


def scores(setting: Setting, patients: Patients, values: Values, state: Values) -> Values:
    """The scores, with the parts that make them. values: `effects` and "fluctuation", as in depression; state: of the
    illness itself, by name: of bipolar disorder its poles, of PTSD what was learnt against fear; of each, "untreated",
    as it would be without treatment."""
    if isinstance(setting.own, BipolarSetting):
        ratio = setting.relative
        values = values | {
            "drug effect": ratio.gain * values["drug effect"],
            "background effect": ratio.background * values["background effect"],
            "fluctuation": ratio.fluctuation * values["fluctuation"],
        }
        values |= _bipolar(setting.own, patients, state)
    if isinstance(setting.own, PtsdSetting):
        values = values | _ptsd(setting.own, setting.relative, patients, values, state)
    untreated = values["background effect"] + values.get("untreated episode effect", 0.0)
    treated = values["drug effect"] + values["antidepressant effect"] + values["background effect"]
    treated = treated + values.get("episode effect", 0.0)
    for name, response in {"MADRS": treated, "MADRS untreated": untreated}.items():
        values[name] = score(patients.baseline_madrs, response - values["fluctuation"])
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


def _bipolar(own: BipolarSetting, patients: Patients, state: Values) -> Values:
    """The poles, what the episode's own course takes off the MADRS, and mania."""
    model, untreated = own.model, state["untreated depressive pole"]
    return {
        "depressive pole": state["depressive pole"],
        "manic pole": state["manic pole"],
        "episode effect": -jnp.log(model.madrs_share(state["depressive pole"])),
        "untreated episode effect": -jnp.log(model.madrs_share(untreated)),
        "YMRS": model.ymrs(model.own_peak(patients.z["bipolar.manic_peak"]), state["manic pole"]),
    }


def tilted(own: BipolarSetting, time_h: Array, plastic: Array) -> tuple[Array, Array]:
    """How treatments tilt the depressive and the manic pole. time_h: [times, 1] or [times, patients]."""

    def given(t: Tilt) -> Array:
        return jnp.where((time_h >= t.start_h) & (time_h < t.stop_h), 1.0, 0.0)

    none = jnp.zeros_like(time_h)
    depressive = sum((given(t) * t.depressive for t in own.tilts), none)
    protected = jnp.minimum(sum((given(t) * t.stabilises for t in own.tilts), none), 1.0)
    exposed = 1 - own.model.stabiliser_protection * protected
    stabilised = sum((given(t) * t.manic * t.stabilises for t in own.tilts), none)
    provoked = sum((given(t) * t.manic * (1 - t.stabilises) for t in own.tilts), none)
    return depressive, stabilised + exposed * (provoked + own.ketamine_manic * plastic)


def instability(own: BipolarSetting, patients: Patients) -> Array:
    """What multiplies the noise of a patient's poles, [patients]."""
    return jnp.exp(own.model.sd_instability * patients.z["bipolar.instability"])


def poles_at_entry(patients: Patients) -> Values:
    """[patients]."""
    depressed = 0.0 if between_episodes(patients.population) else 1.0
    return {"depressive pole": jnp.full(len(patients), depressed), "manic pole": jnp.zeros(len(patients))}


def _poles(own: BipolarSetting, timing: Timing, patients: Patients, draws: Draws, plastic: Array) -> Values:
    """The poles at every observation, and the depressive one as it would be untreated."""
    ends_h = timing.observe_h[timing.pole][:, None]
    depressive_tilt, manic_tilt = tilted(own, ends_h, plastic[timing.pole])
    noise, start = instability(own, patients), poles_at_entry(patients)

    def path(pole: Pole, name: str, tilt: Array) -> Array:
        return course(pole, own.model.time, start[name], noise, tilt, draws[name])

    depressive = path(own.depressive, "depressive pole", depressive_tilt)
    untreated = path(own.depressive, "depressive pole", jnp.zeros_like(ends_h)) if own.tilts else depressive
    found = {
        "depressive pole": depressive,
        "manic pole": path(own.manic, "manic pole", manic_tilt),
        "untreated depressive pole": untreated,
    }
    at = timing.observe_h / STEP_H
    below = jnp.clip(jnp.floor(at).astype(int), 0, len(ends_h) - 2)
    part = (at - below)[:, None]
    return {name: (1 - part) * x[below] + part * x[below + 1] for name, x in found.items()}


def _ptsd(own: PtsdSetting, ratio: Relative, patients: Patients, effects: Values, state: Values) -> Values:
    """The PTSD scales and what makes them. effects: as in depression, which stays an axis of its own."""
    model, extinction = own.model, own.extinction
    memory = state["fresh memory"], state["kept memory"]
    alone = state["untreated fresh memory"], state["untreated kept memory"]
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
        "PCL-5": jnp.minimum(model.pcl5_ratio * treated, CAPS5_MAXIMUM),
    }


def _memories(own: PtsdSetting, timing: Timing, brain: Values, plastic: Array) -> Values:
    """What was learnt against fear at every observation, and what everyday life alone would have taught."""
    gaps_h = jnp.diff(timing.observe_h, prepend=timing.observe_h[:1])
    none = jnp.zeros_like(timing.exposed)
    fresh, kept = own.extinction.course(gaps_h, timing.exposed, none, plastic, brain["occupancy"])
    alone = own.extinction.course(gaps_h, none, none, plastic, brain["occupancy"])
    return {
        "fresh memory": fresh,
        "kept memory": kept,
        "untreated fresh memory": alone[0],
        "untreated kept memory": alone[1],
    }
