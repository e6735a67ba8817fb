"""How likely the calibration trials are under given population parameters, differentiable in all of them.

Parameters are log-normal a priori (`evidence.priors`); every trial has its own level of drug and of non-drug response,
log-normal between studies. All of it is on one standardised scale: x = (log value - log median)/sd, and the studies'
levels in units of the spread between studies, so that every coordinate is standard normal a priori.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.evidence import Prior
from euthymia.illness.bipolar import FITTED_TO_COHORTS
from euthymia.patient.population import draw
from euthymia.trial.document import AS_LOG, KIND, POPULATION, Endpoint, Illness, Trial, catalogue
from euthymia.trial.endpoints import deviation, predict
from euthymia.trial.observed import Observed, observed
from euthymia.trial.posterior import SPREAD, Draw
from euthymia.trial.replicas import Arms, Replicas, build, mirrored, readout

LEAST_PROBABILITY = 1e-4
PEAK_H = (4.0, 24.0)
PEAK = (1.2, 0.05)
"""The drug's part at 24 h over that at 4 h after one infusion, and its standard error: assumed, from trials in which
the effect of a single infusion is largest at about a day."""


PRIOR_OF: dict[Illness, tuple[str, ...]] = {
    "depression": (),
    "bipolar disorder": ("bipolar.",),
    "PTSD": ("ptsd.", "extinction."),
}
"""How the ids of an illness's own parameters begin; depression's are all that no other illness owns."""


def calibration_trials(illness: Illness = "depression") -> tuple[Trial, ...]:
    """The trials of an illness that may be fitted: those of the calibration set alone."""
    return tuple(t for t in catalogue() if t.set == "calibration" and t.illness == illness)


HELD = (
    "ptsd.gain_factor",
    "ptsd.veteran_factor",
    "extinction.window",
    *(row.id for row in evidence.priors() if row.id.startswith("bipolar.hazard_ratio.")),
)
"""Believed, not fitted: a meta-analysis says more of the first than the one positive trial that may be fitted, no
calibration trial is of veterans on ketamine, and none of ketamine with exposure; hazard ratios are as their trials give
them. Their priors go into the draws."""


def owner(id: str) -> Illness:
    """The illness whose calibration fits a parameter."""
    for illness, begins in PRIOR_OF.items():
        if id.startswith(begins):
            return illness
    return "depression"


def priors_of(illness: Illness) -> tuple[Prior, ...]:
    """The priors of what the trials of an illness are fitted with. The poles are fitted to cohorts instead."""
    apart = (*FITTED_TO_COHORTS, *HELD)
    return tuple(row for row in evidence.priors() if owner(row.id) == illness and row.id not in apart)


class Data(eqx.Module):
    """What was found, by endpoint: value (a share for a rate, a log for a ratio), number of people, standard error (NaN
    where it follows from the model's own spread), and weight."""

    value: Array
    n: Array
    se: Array
    weight: Array


@dataclass(frozen=True)
class Target:
    """The log density of standardised coordinates: `names`, then the trials' levels of drug, then of non-drug response.

    fixed: parameters held at a value instead of being fitted; peak: one infusion, whose effect must peak when trials
    saw it peak (depression alone).
    """

    illness: Illness
    trials: tuple[Trial, ...]
    names: tuple[str, ...]
    fixed: Mapping[str, float]
    median: np.ndarray
    sd: np.ndarray
    replicas: Replicas
    peak: Replicas | None
    endpoints: tuple[tuple[Trial, Endpoint], ...]
    data: Data

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return len(self.names) + 2 * len(self.trials)

    def values(self, x: Array) -> dict[str, Array]:
        """The parameters by id."""
        fitted = self.median * jnp.exp(self.sd * x[: len(self.names)])
        return {name: jnp.asarray(v) for name, v in self.fixed.items()} | dict(zip(self.names, fitted, strict=True))

    def levels(self, x: Array) -> tuple[Array, Array]:
        """Multipliers of the drug's and of the non-drug response by trial."""
        values = self.values(x)
        z = x[len(self.names) :].reshape(2, -1)
        drug, background = (jnp.exp(values[id] * row) for id, row in zip(SPREAD.values(), z, strict=True))
        return drug, background

    def draw(self, x: Array) -> Draw:
        """The same as plain numbers."""
        names = [t.trial for t in self.trials]
        drug, background = (dict(zip(names, np.asarray(level).tolist(), strict=True)) for level in self.levels(x))
        return Draw({id: float(v) for id, v in self.values(x).items()}, drug, background)

    def levels_of(self, trial: str) -> tuple[int, int]:
        """Places of a trial's two levels among the coordinates."""
        k = len(self.names) + [t.trial for t in self.trials].index(trial)
        return k, k + len(self.trials)

    @property
    def is_rate(self) -> np.ndarray:
        """Which endpoints are rates."""
        return np.array([KIND[e.measure] == "rate" for _, e in self.endpoints])

    def predicted(self, arms: Arms, x: Array, plastic: Array | None = None) -> tuple[Array, Array]:
        """Every endpoint, and the SD of the change in its arms. plastic: as `trial.replicas.effects` takes it."""
        with evidence.assume(self.values(x)):
            scores = self.replicas.scores(arms, *self.levels(x), plastic)
            of = [(e, [scores[t.trial, name] for name in e.arm]) for t, e in self.endpoints]
            return jnp.stack([predict(*given) for given in of]), jnp.stack([deviation(*given) for given in of])

    def terms(self, arms: Arms, data: Data, x: Array, plastic: Array | None = None) -> Array:
        """Log likelihood of every endpoint, unweighted and without constants."""
        predicted, spread = self.predicted(arms, x, plastic)
        kinds = [(KIND[e.measure], e.measure in AS_LOG) for _, e in self.endpoints]
        rate = jnp.asarray(self.is_rate)
        in_log = jnp.asarray([as_log for _, as_log in kinds])
        p = jnp.clip(predicted / 100, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        k, n = jnp.where(rate, data.value, 0.5), jnp.where(rate, data.n, 0.0)
        best = jnp.clip(k, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)  # so that a perfect prediction scores 0
        binomial = n * (k * jnp.log(p / best) + (1 - k) * jnp.log((1 - p) / (1 - best)))
        pairs = jnp.asarray([2.0 if kind == "difference" else 1.0 for kind, _ in kinds])
        own = spread * jnp.sqrt(pairs / jnp.where(jnp.isnan(data.n), 1.0, data.n))
        se = jnp.where(jnp.isnan(data.se), own, data.se)
        value = jnp.where(in_log, jnp.log(jnp.where(in_log, jnp.maximum(predicted, LEAST_PROBABILITY), 1.0)), predicted)
        se = jnp.where(rate, 1.0, se)
        normal = -0.5 * ((value - jnp.where(rate, 0.0, data.value)) / se) ** 2
        # a standard error that follows from the model's own spread must not grow for free
        normal -= jnp.where(jnp.isnan(data.se) & ~rate, jnp.log(se), 0.0)
        return jnp.where(rate, binomial, normal)

    def of_peak(self, peak: Arms, x: Array) -> Array:
        """Log likelihood of when the effect of one infusion peaks."""
        with evidence.assume(self.values(x)):
            early, late = readout(peak)[0].mean(-1)
        return -0.5 * ((late / early - PEAK[0]) / PEAK[1]) ** 2

    @property
    def given(self) -> tuple[Arms, Arms | None, Data]:
        """What `log_density` takes beside the coordinates: compiled code must be handed it, not keep it."""
        return self.replicas.arms, self.peak and self.peak.arms, self.data

    def log_density(self, arms: Arms, peak: Arms | None, data: Data, x: Array) -> Array:
        """Log posterior density up to a constant."""
        found = (data.weight * self.terms(arms, data, x)).sum() - 0.5 * (x**2).sum()
        return found if peak is None else found + self.of_peak(peak, x)


def target(
    trials: Sequence[Trial] | None = None,
    patients: int = 256,
    seed: int = 1,
    fixed: Mapping[str, float] | None = None,
    illness: Illness = "depression",
) -> Target:
    """The target of a calibration. patients: per arm. Raises UserError for a trial that may not be fitted.

    What belongs to another illness keeps its value; so does, but in depression, the spread between studies.
    """
    chosen = calibration_trials(illness) if trials is None else tuple(trials)
    for t in chosen:
        if t.set != "calibration":
            raise UserError(f"{t.trial} belongs to the {t.set} set, which may not be fitted.")
    fixed = dict(fixed or {})
    unipolar = illness == "depression"
    if not unipolar:
        fixed |= {id: evidence.value(id) for id in SPREAD.values()}
    rows = [row for row in priors_of(illness) if row.id not in fixed]
    people = mirrored(draw(POPULATION[illness], patients // 2, seed))
    endpoints = tuple((t, e) for t in chosen for e in t.endpoints)
    return Target(
        illness=illness,
        trials=chosen,
        names=tuple(row.id for row in rows),
        fixed=fixed,
        median=np.array([row.median for row in rows]),
        sd=np.array([row.sd for row in rows]),
        replicas=build(chosen, people),
        peak=build([_one_infusion()], mirrored(draw("TRD", 8, seed))) if unipolar else None,
        endpoints=endpoints,
        data=_data(endpoints),
    )


def _one_infusion() -> Trial:
    at = [{"measure": "score", "arm": "ketamine", "at": f"{h:g} h", "evidence": "none"} for h in PEAK_H]
    return Trial.model_validate(
        {
            "trial": "one-infusion",
            "title": "one infusion in typical patients, to see when its effect peaks",
            "illness": "depression",
            "set": "calibration",
            "studies": ["none"],
            "design": {"expectancy": "saline", "setting": "outpatient", "sites": "one"},
            "arms": [
                {
                    "arm": "ketamine",
                    "baseline": {"mean": 30, "sd": 1, "assumed": "of no effect"},
                    "given": {"protocol": "ketamine-iv-single"},
                }
            ],
            "endpoints": at,
        }
    )


def _data(endpoints: Sequence[tuple[Trial, Endpoint]]) -> Data:
    """Endpoints of one arm share patients, so that each of m counts with weight 1/sqrt(m)."""
    seen = [observed(e, t.set) for t, e in endpoints]
    of_arm: dict[tuple[str, str], int] = {}
    for t, e in endpoints:
        for arm in e.arm:
            of_arm[t.trial, arm] = of_arm.get((t.trial, arm), 0) + 1
    weights = [1 / np.sqrt(max(of_arm[t.trial, arm] for arm in e.arm)) for t, e in endpoints]
    values, ses = zip(*(_value(e, s) for (_, e), s in zip(endpoints, seen, strict=True)), strict=True)
    n = [s.n or np.nan for s in seen]
    for (t, e), s, se in zip(endpoints, seen, ses, strict=True):
        needs_n = KIND[e.measure] in ("rate", "change", "difference", "spread")
        if np.isnan(se) and (not needs_n or not s.n):
            raise UserError(f"{s.ids[0]} ({t.trial}) needs a standard error (se) or a number of people (n).")
    return Data(*(jnp.asarray(np.array(x, float)) for x in (values, n, ses, weights)))


def _value(e: Endpoint, seen: Observed) -> tuple[float, float]:
    if KIND[e.measure] == "rate":
        return seen.value / 100, np.nan
    if KIND[e.measure] == "spread":
        return seen.value, seen.value / np.sqrt(2 * ((seen.n or np.nan) - 1))
    return log(seen.value) if e.measure in AS_LOG else seen.value, np.nan if seen.se is None else seen.se
