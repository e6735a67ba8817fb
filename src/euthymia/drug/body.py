"""What pharmacokinetics needs to know of people."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jax import Array


class Body(eqx.Module):
    """People as the dispositions see them; every array has shape [patients].

    weight_kg, age_y; asian, japanese: 0 or 1 (covariates of the nasal model only);
    intrinsic_clearance: hepatic intrinsic clearance relative to normal (inhibitors < 1, inducers > 1);
    gut_availability: escape from the gut wall relative to normal;
    z: standard-normal between-patient deviates by parameter id, e.g. "otto2021.clearance"; absent means typical.
    """

    weight_kg: Array
    age_y: Array
    asian: Array
    japanese: Array
    intrinsic_clearance: Array
    gut_availability: Array
    z: Mapping[str, Array]

    def deviate(self, parameter: str) -> Array:
        """The standard-normal deviate of one parameter; zero where the population does not vary it."""
        return self.z.get(parameter, jnp.zeros_like(self.weight_kg))


def typical_body(weight_kg: Array, age_y: float = 40.0, asian: float = 0.0, japanese: float = 0.0) -> Body:
    """People without between-patient variability, drug interactions or liver disease."""
    weight_kg = jnp.asarray(weight_kg, float)
    one = jnp.ones_like(weight_kg)
    return Body(weight_kg, age_y * one, asian * one, japanese * one, one, one, {})
