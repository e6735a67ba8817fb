"""Euthymia's own engine on the workload: the parts a course is made of, with the workload's equations as the chain.

The linear system is diagonalised by `euthymia.drug.linear`, the mesh laid by `euthymia.course.mesh`, the whole advanced
by `euthymia.course.engine`, in batches as large as those of `euthymia.simulate`. Nothing here is tuned to the
workload.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import workload as w

from euthymia.course.batch import BATCH, WIDE
from euthymia.course.engine import Drive, Steps, integrate
from euthymia.course.mesh import BEGINS, ENDS, OBSERVES, build_mesh
from euthymia.drug.linear import Block, LinearSystem, Transfer, linear_system, stage

jax.config.update("jax_enable_x64", True)

# The linear system speaks of nmol/L; with this molecular weight (g/mol) 1 mg in 1 L is 1 of its units.
_UNIT_WEIGHT = 1e6


class Chain(eqx.Module):
    """The workload behind the effect site, in the form the engine wants: each state x as (a, b) in x' = b - a x."""

    p: dict[str, jax.Array]

    def initial(self):
        zero = jnp.zeros_like(self.p["D0"])
        return {"B": zero, "M": zero, "S": zero + w.S0, "L": zero, "D": self.p["D0"]}

    def signals(self, inputs):
        site = jnp.maximum(inputs["Ce"], 1e-30)  # a real power has no derivative at 0
        power, half = jnp.exp(w.HILL * jnp.log(site)), self.p["KP"] ** w.HILL
        return {"G": site * half / ((site + self.p["KI"]) * (power + half))}

    def cascade(self):
        return tuple(((name,), getattr(self, f"_{name.lower()}")) for name in "BMSLD")

    def _b(self, known):
        return self.p["kB"], self.p["kB"] * self.p["E"] * known["G"]

    def _m(self, known):
        return self.p["kM"], self.p["kM"] * known["B"] / (known["B"] + w.B_HALF)

    def _s(self, known):
        growth = self.p["kf"] * known["M"]
        return growth + w.LOSS_S_PER_H, growth + w.LOSS_S_PER_H * w.S0

    def _l(self, known):
        growth = self.p["kL"] * (known["S"] - w.S0)
        return growth + w.LOSS_L_PER_H, growth

    def _d(self, known):
        relief = 0.8 * ((known["S"] - w.S0) / (1.0 - w.S0) + 0.5 * known["L"])
        return self.p["kD"], self.p["kD"] * self.p["D0"] * (1.0 - relief)


def _disposition(p: dict[str, jax.Array]) -> LinearSystem:
    """Ketamine, norketamine and the effect site. The site takes nothing from plasma, so it is a copy, not a loss."""
    ketamine = Block(
        ("A1", "A2", "A3"),
        {"A1": p["V1"], "A2": p["V2"], "A3": p["V3"]},
        {("A1", "A2"): p["Q2"], ("A1", "A3"): p["Q3"]},
        {"A1": p["CL"]},
    )
    norketamine = Block(("Am1", "Am2"), {"Am1": p["Vm"], "Am2": p["Vm2"]}, {("Am1", "Am2"): p["Qm"]}, {"Am1": p["CLm"]})
    site = p["ke0"] * w.UNBOUND_UMOL_PER_MG
    return linear_system(
        (ketamine, norketamine, stage("Ce", p["ke0"])),
        (
            Transfer("A1", "Am1", w.METABOLISED * p["CL"] / p["V1"]),
            Transfer("A1", "Ce", site / p["V1"]),
            Transfer("Am1", "Ce", site * w.NORKETAMINE_POTENCY / p["Vm"]),
        ),
        {"infusion": {"A1": 1.0}},
        {"plasma": ("A1", p["V1"], _UNIT_WEIGHT), "Ce": ("Ce", jnp.ones_like(p["ke0"]), _UNIT_WEIGHT)},
    )


def _fastest_rate_per_h() -> float:
    """How fast drug leaves the central volume of a typical patient, all ways together (as `euthymia.drug` says it)."""
    typical = {row[0]: row[1] for row in w.PARAMETERS}
    return (typical["CL"] + typical["Q2"] + typical["Q3"]) / typical["V1"]


def _mesh(level: float) -> tuple[Steps, np.ndarray, np.ndarray]:
    """Steps; for each segment whether it is infused; for each output time after 0 the segment that ends there."""
    segments, outputs, starts = w.segments(cut_at_outputs=True), w.output_times_h(), w.dose_times_h()
    breaks = np.append(segments[:, 0], w.END_H)
    kind = np.full(len(breaks), OBSERVES)
    kind[np.isin(breaks, starts + w.INFUSION_H)] = ENDS
    kind[np.isin(breaks, starts)] = BEGINS
    return (
        Steps.of(build_mesh(breaks, kind, level, _fastest_rate_per_h())),
        segments[:, 2].astype(int),
        np.searchsorted(breaks, outputs[1:] - 1e-9) - 1,
    )


@eqx.filter_jit(compiler_options=WIDE)
def _run(columns: jax.Array, steps: Steps, infused: jax.Array, ends: jax.Array) -> tuple[jax.Array, jax.Array]:
    p = dict(zip(w.NAMES, columns, strict=True))
    system = _disposition(p)
    inflow = system.inputs[:, 0] * (w.DOSE_MG_PER_KG / w.INFUSION_H) * p["WT"]
    nothing = jnp.zeros_like(inflow)
    drive = Drive(
        rates=system.rates,
        amounts=nothing[None],
        inflow=jnp.stack([nothing, inflow]),
        amount_of=jnp.zeros_like(infused),
        inflow_of=infused,
        weights={"Ce": system.outputs[1]},
        watched={},
    )
    course = integrate(Chain(p), drive, steps)
    plasma = (system.outputs[0] * course.modes[ends]).sum(1)
    return course.states["D"][ends], plasma


def solve(population: w.Array, level: float = 1.0) -> tuple[w.Array, w.Array]:
    """D and c1 of these patients, each (patients, 229). A higher level divides every step of the mesh."""
    steps, infused, ends = _mesh(level)
    shape = (len(population), len(w.output_times_h()))
    depression, plasma = np.empty(shape), np.empty(shape)
    depression[:, 0], plasma[:, 0] = population[:, w.COLUMN["D0"]], 0.0
    for first in range(0, len(population), BATCH):
        batch = population[first : first + BATCH]
        padded = np.concatenate([batch, np.repeat(batch[-1:], BATCH - len(batch), axis=0)])
        d, c = _run(jnp.asarray(padded.T), steps, jnp.asarray(infused), jnp.asarray(ends))
        rows = slice(first, first + len(batch))
        depression[rows, 1:], plasma[rows, 1:] = np.asarray(d).T[: len(batch)], np.asarray(c).T[: len(batch)]
    return depression, plasma


def prepare(population: w.Array, setting: float) -> Callable[[], tuple[w.Array, w.Array]]:
    """Compile and warm up; `setting` is the level of the mesh."""
    solve(population[:1], setting)
    return lambda: solve(population, setting)
