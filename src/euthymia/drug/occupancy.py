"""NMDA receptor occupancy by competing enantiomers and metabolites."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from euthymia import evidence
from euthymia.drug.compounds import ANALYTES


class Receptor(eqx.Module):
    """Half-occupancy constants, nmol/L unbound in plasma, and the unbound fraction.

    The racemate's in-vivo constant and the ratio of the enantiomers' affinities fix both enantiomers:
    1/K_racemate = (1/K_S + 1/K_R)/2.
    """

    ketamine_half_occupancy: float
    norketamine_half_occupancy: float
    r_to_s_ketamine: float
    r_to_s_norketamine: float
    unbound_fraction: float

    @staticmethod
    def from_evidence() -> "Receptor":
        return evidence.fill(Receptor, "receptor")

    def half_occupancy(self, analyte: str) -> float | None:
        """K of an analyte (nmol/L unbound); None where human levels block no receptors (hydroxynorketamine)."""
        enantiomer, molecule = analyte.split("-")
        if molecule == "hydroxynorketamine":
            return None
        racemic = self.ketamine_half_occupancy if molecule == "ketamine" else self.norketamine_half_occupancy
        ratio = self.r_to_s_ketamine if molecule == "ketamine" else self.r_to_s_norketamine
        s_form = racemic * 0.5 * (1 + 1 / ratio)
        return s_form if enantiomer == "S" else ratio * s_form

    def binding(self, norketamine_blocks: bool = True) -> dict[str, float]:
        """Per analyte, what one nmol/L of total plasma adds to x, where occupancy = x/(1 + x)."""
        weights = {}
        for analyte in ANALYTES:
            k = self.half_occupancy(analyte)
            if k is not None and (norketamine_blocks or not analyte.endswith("norketamine")):
                weights[analyte] = self.unbound_fraction / k
        return weights


def occupancy(x):
    """Fraction of receptors occupied, from the summed scaled concentrations x = fu * sum(C/K)."""
    return x / (1 + x)


def hill(x: Array, half: float, steepness: float) -> Array:
    """x^n / (x^n + half^n) for x >= 0, safe at zero."""
    ratio = jnp.maximum(x, 1e-12) / half
    if isinstance(steepness, float) and steepness.is_integer():
        power = ratio ** int(steepness)  # a few products instead of a logarithm and an exponential
    else:
        return jax.nn.sigmoid(steepness * jnp.log(ratio))
    return power / (1 + power)
