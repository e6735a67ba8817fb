"""PTSD: a fear that stays, an extinction memory that is learnt against it, and what of it a rating shows.

    at an exposure     X += a (1 + k R) (1 - o b) (1 - X - K)                       learning within the session
    between            X' = -X / tc,     K' = (1 - o b) X / tc + e (1 - X - K) - K / tr
    at a reinstatement X, K *= 1 - p
    fear where it was treated  = 1 - (X + K),     fear elsewhere = 1 - v (X + K)
    CAPS-5 = C0 (1 - h + h fear elsewhere) exp(w - L)

X, K: fresh and consolidated extinction memory, 0 to 1 together; R: plasticity as depression reads it out, which makes
an exposure teach more (the window after ketamine); o: NMDA receptors occupied during and after it, which keep it from
being learnt and consolidated; e: what everyday life teaches; tr: how slowly it is lost (spontaneous recovery); v: how
far it holds in another context (what is missing is renewal); h: the share of the symptoms that fear makes. L: what
drugs and the trial do without exposure, as in `illness.depression`. A Rescorla-Wagner account whose inhibition decays
(Paskewitz 2022).
"""

import equinox as eqx
import jax.numpy as jnp
from jax import Array, lax

from euthymia import evidence

CAPS5_MAXIMUM = 80.0


class Ptsd(eqx.Module):
    """What sets PTSD's scales: how much of ketamine's effect on symptoms is left in veterans, and the PCL-5 over the
    CAPS-5 of the same person."""

    veteran_factor: float
    pcl5_ratio: float

    @staticmethod
    def from_evidence() -> "Ptsd":
        return evidence.fill(Ptsd, "ptsd")

    def population_factor(self, population: str) -> float:
        """Of the drug's effect, what a population has of it."""
        return self.veteran_factor if population.startswith("veteran") else 1.0


class Extinction(eqx.Module):
    """How exposure is learnt and lost; see the module for the equations. Times in h, rates per h."""

    learning: float
    window: float
    block: float
    consolidation_time: float
    everyday: float
    recovery_time: float
    generalisation: float
    reinstatement: float
    fear_share: float

    @staticmethod
    def from_evidence() -> "Extinction":
        return evidence.fill(Extinction, "extinction")

    def exposed(self, memory: tuple[Array, Array], plastic: Array, occupied: Array) -> tuple[Array, Array]:
        """Fresh and consolidated memory after an exposure."""
        fresh, kept = memory
        rate = jnp.clip(self.learning * (1 + self.window * plastic), 0.0, 1.0) * self._open(occupied)
        return fresh + rate * (1 - fresh - kept), kept

    def taught(
        self, memory: tuple[Array, Array], exposure: Array, plastic: Array, occupied: Array
    ) -> tuple[Array, Array]:
        """Memory after an exposure where there is one (1, else 0), [patients] or one for all."""
        learnt = self.exposed(memory, plastic, occupied)
        fresh, kept = (jnp.where(exposure > 0, new, old) for new, old in zip(learnt, memory, strict=True))
        return fresh, kept

    def reinstated(self, memory: tuple[Array, Array]) -> tuple[Array, Array]:
        """Memory after the feared event, or a reminder as strong, has come back."""
        fresh, kept = memory
        return fresh * (1 - self.reinstatement), kept * (1 - self.reinstatement)

    def later(self, memory: tuple[Array, Array], hours: Array, occupied: Array) -> tuple[Array, Array]:
        """Memory some hours on, nothing else having happened: the exact solution.

        occupied: receptors while it consolidates, taken as constant.
        """
        fresh, kept = memory
        settling, losing = 1 / self.consolidation_time, self.everyday + 1 / self.recovery_time
        left, lasting = jnp.exp(-settling * hours), jnp.exp(-losing * hours)
        level = self.everyday / losing
        gained = fresh * (self._open(occupied) * settling - self.everyday) * (lasting - left) / (settling - losing)
        return fresh * left, level + (kept - level) * lasting + gained

    def _open(self, occupied: Array) -> Array:
        """How far NMDA receptors let learning through."""
        return jnp.clip(1 - self.block * occupied, 0.0, 1.0)

    def fear(self, memory: tuple[Array, Array]) -> Array:
        """Of the untreated fear, what is left where it was treated."""
        return 1 - (memory[0] + memory[1])

    def fear_elsewhere(self, memory: tuple[Array, Array]) -> Array:
        """The same in another context."""
        return 1 - self.generalisation * (memory[0] + memory[1])

    def share(self, memory: tuple[Array, Array]) -> Array:
        """What is left of the symptoms."""
        return 1 - self.fear_share + self.fear_share * self.fear_elsewhere(memory)

    def course(
        self, gaps_h: Array, exposed: Array, reinstated: Array, plastic: Array, occupied: Array
    ) -> tuple[Array, Array]:
        """Fresh and consolidated memory just after every time of a calendar, [times, patients], from none.

        gaps_h: hours since the time before, [times]; exposed, reinstated: whether there is one at each time, [times],
        or [times, patients]; plastic, occupied: at each time, [times, patients].
        """

        def step(memory, at):
            hours, exposure, return_, r, o = at
            fresh, kept = self.taught(self.later(memory, hours, o), exposure, r, o)
            back = self.reinstated((fresh, kept))
            fresh, kept = (jnp.where(return_ > 0, new, old) for new, old in zip(back, (fresh, kept), strict=True))
            return (fresh, kept), (fresh, kept)

        none = jnp.zeros_like(plastic[0])
        _, (fresh, kept) = lax.scan(step, (none, none), (gaps_h, exposed, reinstated, plastic, occupied))
        return fresh, kept
