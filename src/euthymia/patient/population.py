"""Populations: correlated covariates by a Gaussian copula, and log-normal or logit variability by standard normals."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax import Array
from scipy.special import ndtr, ndtri

from euthymia import evidence
from euthymia.drug.body import Body
from euthymia.drug.interactions import SITES, combined
from euthymia.errors import UserError
from euthymia.patient.random import normals

jax.config.update("jax_enable_x64", True)

POPULATIONS = (
    "TRD",
    "MDD",
    "healthy",
    "bipolar depression",
    "rapid cycling bipolar depression",
    "bipolar euthymia",
    "civilian PTSD",
    "veteran PTSD",
)
DEVIATE_LIMIT = 3.0  # deviates are truncated here: beyond it log-normal tails leave physiology

VARIED = (
    *(f"otto2021.{n}" for n in ("central_volume", "clearance", "norketamine_volume", "norketamine_clearance")),
    *(
        f"perezruixo2021.{n}"
        for n in (
            "nasal_fraction",
            "nasal_absorption_rate",
            "swallowed_absorption_rate",
            "central_volume",
            "peripheral_volume_1",
            "hepatic_flow",
            "hepatic_volume",
            "rate_to_other_metabolites",
            "norketamine_volume",
            "norketamine_clearance",
        )
    ),
    *(
        f"simons2022.{n}"
        for n in (
            "central_volume",
            "clearance",
            "peripheral_flow_2",
            "transit_time_norketamine",
            "norketamine_clearance",
            "hydroxynorketamine_volume",
            "hydroxynorketamine_clearance",
            "hydroxynorketamine_peripheral_flow",
        )
    ),
    "depression.gain",
    "depression.durability",
    "depression.antidepressant_gain",
    "depression.lability",
    "bipolar.instability",
    "bipolar.manic_peak",
    "background",
    "dissociation",
    "blood_pressure",
)
"""Every parameter that varies between patients, by the name of its deviate."""

LIMITS = {
    "weight_kg": (30, 250),
    "age_y": (18, 100),
    "baseline_madrs": (0, 60),
    "female": (0, 1),
    "failed_trials": (0, 50),
}
"""What a covariate of one's own may be."""


class Patients(eqx.Module):
    """People; every array (NumPy outside compiled code) has shape [patients].

    index: the number that keys their random draws; female, resistant (treatment resistant), benzodiazepine, asian,
    japanese: 0 or 1; baseline_madrs: points (0 for healthy volunteers; in bipolar euthymia, of a
    full episode; in PTSD, of the depression beside it); baseline_caps5: points (0 but in PTSD); failed_trials: of
    antidepressants;
    intrinsic_clearance, gut_availability: relative to normal (interactions, liver impairment);
    z: standard-normal deviates by name, see `VARIED`.
    """

    index: Array
    age_y: Array
    female: Array
    weight_kg: Array
    baseline_madrs: Array
    baseline_caps5: Array
    failed_trials: Array
    resistant: Array
    benzodiazepine: Array
    asian: Array
    japanese: Array
    intrinsic_clearance: Array
    gut_availability: Array
    z: Mapping[str, Array]
    seed: int = eqx.field(static=True)
    population: str = eqx.field(static=True)

    def __len__(self) -> int:
        return len(self.index)

    def body(self) -> Body:
        """These people as pharmacokinetics sees them."""
        return Body(
            self.weight_kg,
            self.age_y,
            self.asian,
            self.japanese,
            self.intrinsic_clearance,
            self.gut_availability,
            self.z,
        )

    def take(self, start: int, stop: int) -> "Patients":
        """Patients start to stop (exclusive)."""
        return jax.tree.map(lambda x: x[start:stop], self)

    @staticmethod
    def create(
        weight_kg: Any,
        age_y: Any = 40.0,
        baseline_madrs: Any = 35.0,
        female: Any = 0,
        failed_trials: Any = 2,
        seed: int = 1,
        population: str = "TRD",
    ) -> "Patients":
        """Patients with covariates of your own; scalars are shared, arrays must have one length.

        Deviates are drawn as in `draw`. Raises UserError for missing, infinite or impossible values.
        """
        given = dict(
            weight_kg=weight_kg, age_y=age_y, baseline_madrs=baseline_madrs, female=female, failed_trials=failed_trials
        )
        arrays = {k: np.atleast_1d(np.asarray(v, float)) for k, v in given.items()}
        n = max(len(v) for v in arrays.values())
        for name, values in arrays.items():
            low, high = LIMITS[name]
            if len(values) not in (1, n):
                raise UserError(f"{name} has {len(values)} values for {n} patients; give one for all, or one each.")
            if n == 0 or len(values) == 0:
                raise UserError("there is no patient: give at least one weight.")
            bad = np.flatnonzero(~((values >= low) & (values <= high)))
            if len(bad):
                raise UserError(f"{name} of patient {bad[0] + 1} is {values[bad[0]]:g}; allowed is {low} to {high}.")
        drawn = draw(population, n, seed)
        wide = {k: np.broadcast_to(v, (n,)) for k, v in arrays.items()}
        return eqx.tree_at(lambda p: [getattr(p, k) for k in wide], drawn, list(wide.values()))


def illness_of(population: str) -> str:
    """depression, bipolar or ptsd (see `illness.relative.RATIOS`); healthy people are counted with the first."""
    return "bipolar" if "bipolar" in population else "ptsd" if "PTSD" in population else "depression"


def has_poles(population: str) -> bool:
    """Whether the illness is bipolar disorder."""
    return illness_of(population) == "bipolar"


def between_episodes(population: str) -> bool:
    """Whether people of bipolar disorder are well at entry; their score at entry is then that of a full episode."""
    return population.endswith("euthymia")


COVARIATES = tuple(
    f"covariate.{n}" for n in ("age", "weight", "baseline", "failed", "female", "benzodiazepine", "caps5")
)


def _covariates(population: str, z: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Correlated covariates from their deviates; see the rows "population.*" of the evidence."""
    ill = population != "healthy"

    def v(name: str) -> float:
        return evidence.value(f"population.{'trd' if ill else 'healthy'}.{name}")

    def between(mean: float, sd: float, deviate: np.ndarray, low: float, high: float) -> np.ndarray:
        """Normal truncated to its limits by probability, so that no value piles up at a limit."""
        a, b = ndtr((low - mean) / sd), ndtr((high - mean) / sd)
        return mean + sd * ndtri(a + (b - a) * ndtr(deviate))

    correlation = np.eye(4)
    if ill:
        for (i, j), name in {(0, 1): "age_weight", (2, 3): "baseline_failed", (0, 3): "age_failed"}.items():
            correlation[i, j] = correlation[j, i] = v("correlation_" + name)
    raw = np.stack([z[name] for name in COVARIATES[:4]])
    z_age, z_weight, z_baseline, z_failed = np.linalg.cholesky(correlation) @ raw
    female = (ndtr(z["covariate.female"]) < v("female_fraction")).astype(float)
    ratio = evidence.value("population.weight_sex_ratio")
    women = v("weight_mean") / (v("female_fraction") + (1 - v("female_fraction")) * ratio)
    weight = women * np.where(female > 0, 1.0, ratio) * np.exp(v("weight_cv") * z_weight - v("weight_cv") ** 2 / 2)
    zero = np.zeros_like(weight)
    resistant = zero + (population == "TRD")
    covariates = dict(
        age_y=between(v("age_mean"), v("age_sd"), z_age, v("age_minimum"), v("age_maximum")),
        female=female,
        weight_kg=np.clip(
            weight, evidence.value("population.weight_minimum"), evidence.value("population.weight_maximum")
        ),
        baseline_madrs=zero,
        baseline_caps5=zero,
        failed_trials=zero,
        resistant=zero,
        benzodiazepine=zero,
        asian=zero,
        japanese=zero,
    )
    if ill:
        more = v("failed_trials_mean") - 2
        low, high = v("baseline_minimum"), v("baseline_maximum")
        covariates |= dict(
            baseline_madrs=between(v("baseline_mean"), v("baseline_sd"), z_baseline, low, high),
            failed_trials=2 * resistant + np.floor(np.log1p(-ndtr(z_failed)) / np.log(more / (1 + more))),
            resistant=resistant,
            benzodiazepine=(ndtr(z["covariate.benzodiazepine"]) < v("benzodiazepine_fraction")).astype(float),
        )
    if illness_of(population) == "ptsd":

        def own(name: str) -> float:
            return evidence.value(f"population.ptsd.{name}")

        limits = own("caps5_minimum"), own("caps5_maximum")
        covariates |= dict(
            baseline_madrs=between(own("madrs_mean"), own("madrs_sd"), z_baseline, 0.0, v("baseline_maximum")),
            baseline_caps5=between(own("caps5_mean"), own("caps5_sd"), z["covariate.caps5"], *limits),
        )
    return covariates


def draw(
    population: str = "TRD",
    patients: int = 1000,
    seed: int = 1,
    comedication: tuple[str, ...] = (),
    hepatic_impairment: str = "none",
    first: int = 0,
) -> Patients:
    """Draw virtual patients; patient k is the same whatever `patients` is.

    population: "TRD", "MDD" (the same people, their illness not treatment resistant), "healthy", one with bipolar
    disorder (in a depressive episode, the same with rapid cycling, or between episodes), or one with PTSD;
    comedication: agents of `euthymia.drug.interactions` that everybody takes;
    hepatic_impairment: "none", "mild" (no change published) or "moderate"; first: number of the first patient.
    Raises UserError for an unknown population, agent or impairment, or no patients.
    """
    if population not in POPULATIONS:
        raise UserError(f"there is no population {population!r}; known: {', '.join(POPULATIONS)}.")
    if isinstance(patients, bool) or not isinstance(patients, int | np.integer) or patients < 1:
        raise UserError(f"the number of patients must be a whole number of at least 1, got {patients!r}.")
    if hepatic_impairment == "severe":
        raise UserError("severe hepatic impairment has not been studied; allowed: none, mild, moderate.")
    if hepatic_impairment not in ("none", "mild", "moderate"):
        raise UserError(f"hepatic impairment {hepatic_impairment!r} is unknown; allowed: none, mild, moderate.")
    agents = tuple(comedication) + (("moderate hepatic impairment",) if hepatic_impairment == "moderate" else ())
    for agent in agents:
        if agent not in SITES:
            raise UserError(f"no published interaction for {agent!r}; known: {', '.join(SITES)}.")
    intrinsic, gut = combined(agents) if agents else (1.0, 1.0)
    index = np.arange(first, first + patients)
    drawn = normals(seed, {name: np.zeros(1) for name in (*VARIED, *COVARIATES)}, index)
    table = np.clip(np.asarray(drawn.table), -DEVIATE_LIMIT, DEVIATE_LIMIT)
    z = dict(zip((*VARIED, *COVARIATES), table, strict=True))
    covariates = _covariates(population, z)
    if population.startswith("rapid cycling"):
        more = np.log(evidence.value("bipolar.rapid_cycling_noise")) / evidence.value("bipolar.sd_instability")
        z["bipolar.instability"] = z["bipolar.instability"] + more
    one = np.ones(patients)
    fields: dict[str, Any] = covariates | {
        "index": index,
        "z": {name: z[name] for name in VARIED},
        "intrinsic_clearance": intrinsic * one,
        "gut_availability": gut * one,
    }
    return Patients(**fields, seed=seed, population=population)
