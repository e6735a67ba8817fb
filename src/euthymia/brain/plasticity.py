"""Occupancy -> surge -> BDNF -> synapses, as a cascade of equations, each affine in its own state.

    A   = RO^h / (RO^h + RO50^h) * (1 - Sup),     Sup = RO^m / (RO^m + ROs^m)          glutamate surge and its window
    Q'  = kQ Sup (1 - Q) - ln2/tQ Q                                                     over-block brake
    d   = A (1 - Q)                                                                     net plasticity drive
    B'  = ln2/tB (d - B)                                                                BDNF
    F'  = kF d (1 - F) - ln2/tF F                                                       fast functional potentiation
    S'  = kS M (1 - S - C) - (ln2/(tS u) + kC) S,   M = B (1 - mTORC1 block)            labile synapses
    C'  = kC S - ln2/(tC u) C                                                           consolidated synapses

u is the patient's durability. At rest every state is zero. A link knows no solver, no patient and no protocol: it says
for each state x how fast it decays (a) and what feeds it (b) in x' = b - a x, given everything upstream.
"""

from collections.abc import Mapping
from math import log

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from euthymia import evidence
from euthymia.drug.occupancy import hill

LN2 = log(2)
STATES = ("over_block", "bdnf", "functional", "labile", "consolidated")
Known = Mapping[str, Array]


class Surge(eqx.Module):
    """Disinhibition: the glutamate/AMPA surge over occupancy, lost again in the anaesthetic range."""

    occupancy_half: float
    hill: float
    suppression_half: float
    suppression_hill: float


class OverBlock(eqx.Module):
    """The brake that keeps an anaesthetic dose from acting as it falls through the window. No human data."""

    build_up_rate: float
    half_life: float


class Synapses(eqx.Module):
    """Labile and consolidated synapses."""

    growth_rate: float
    labile_half_life: float
    consolidation_rate: float
    consolidated_half_life: float


class OtherRoute(eqx.Module):
    """A disputed drive that needs no NMDA receptor: c/(c + half) of `drive`, from one analyte (nmol/L total)."""

    analyte: str = eqx.field(static=True)
    drive: float
    half: float


class Plasticity(eqx.Module):
    """The whole cascade with its parameters.

    durability: patient multiplier of both synaptic half-lives, [patients];
    ampa_block, mtorc1_block: fraction of the link that is blocked, 0 to 1.
    """

    surge: Surge
    over_block: OverBlock
    bdnf_half_life: float
    functional_build_up_rate: float
    functional_half_life: float
    synapses: Synapses
    durability: Array
    ampa_block: float = 0.0
    mtorc1_block: float = 0.0
    brake: float = 1.0  # 0 switches the over-block brake off
    other_routes: tuple[OtherRoute, ...] = ()

    @staticmethod
    def from_evidence(durability: Array, **switches) -> "Plasticity":
        """The calibrated parameters; switches: ampa_block, mtorc1_block, brake, other_routes."""
        return Plasticity(
            surge=evidence.fill(Surge, "surge"),
            over_block=evidence.fill(OverBlock, "over_block"),
            bdnf_half_life=evidence.value("bdnf.half_life"),
            functional_build_up_rate=evidence.value("functional.build_up_rate"),
            functional_half_life=evidence.value("functional.half_life"),
            synapses=evidence.fill(Synapses, "synapses"),
            durability=durability,
            **switches,
        )

    @property
    def states(self) -> tuple[str, ...]:
        return STATES

    def initial(self) -> dict[str, Array]:
        return {name: jnp.zeros_like(self.durability) for name in STATES}

    def signals(self, inputs: Known) -> dict[str, Array]:
        """What the drug drives directly. inputs: "binding" (the x of occupancy), and the analyte of another route."""
        x = jnp.maximum(inputs["binding"], 0.0)
        occupied = x / (1 + x)
        suppression = hill(occupied, self.surge.suppression_half, self.surge.suppression_hill)
        surge = hill(occupied, self.surge.occupancy_half, self.surge.hill) * (1 - suppression)
        for route in self.other_routes:
            c = jnp.maximum(inputs[route.analyte], 0.0)
            surge = jnp.minimum(surge + route.drive * c / (c + route.half), 1.0)
        return {"occupancy": occupied, "surge": surge * (1 - self.ampa_block), "suppression": suppression}

    def cascade(self):
        """The states in order, each with the function that gives its (a, b) in x' = b - a x."""
        return (
            (("over_block",), self._over_block),
            (("bdnf",), self._bdnf),
            (("functional",), self._functional),
            (("labile", "consolidated"), self._synapses),
        )

    def _over_block(self, known: Known):
        build_up = self.over_block.build_up_rate * known["suppression"]
        return build_up + LN2 / self.over_block.half_life, build_up

    def drive(self, known: Known) -> Array:
        """Net plasticity drive d."""
        return known["surge"] * (1 - self.brake * known["over_block"])

    def _bdnf(self, known: Known):
        rate = LN2 / self.bdnf_half_life
        return rate, rate * self.drive(known)

    def _functional(self, known: Known):
        build_up = self.functional_build_up_rate * self.drive(known)
        return build_up + LN2 / self.functional_half_life, build_up

    def _synapses(self, known: Known):
        growth = self.synapses.growth_rate * known["bdnf"] * (1 - self.mtorc1_block)
        consolidation = self.synapses.consolidation_rate
        labile_loss = LN2 / (self.synapses.labile_half_life * self.durability) + consolidation
        consolidated_loss = LN2 / (self.synapses.consolidated_half_life * self.durability)
        return ((growth + labile_loss, growth), (-consolidation, consolidated_loss)), (growth, jnp.zeros_like(growth))
