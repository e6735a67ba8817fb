"""Advance a cascade of affine equations, driven by an exactly solved linear system, over a mesh.

The drug's disposition is linear and is advanced exactly through its modes. Everything behind it is a cascade whose
equations are affine in their own state (see `brain.plasticity`); each is advanced by the fourth-order scheme of
`course.scheme`. Any object with `initial`, `signals` and `cascade` can be the chain: the engine knows no biology.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from euthymia.course.mesh import Mesh
from euthymia.course.scheme import pair_step, scalar_step

PAD_STEPS, PAD_LENGTHS = 256, 16


class Drive(NamedTuple):
    """The linear system and what enters it.

    rates: [modes, patients] 1/h; amounts, inflow: [patterns, modes, patients], what arrives at once at a break and per
    hour until the next (row 0: nothing); amount_of, inflow_of: [segments], which row holds for each segment;
    weights: signal name to [modes, patients], the linear signals that feed the chain; watched: the same for signals of
    which only the peak in every segment is kept.
    """

    rates: Array
    amounts: Array
    inflow: Array
    amount_of: Array
    inflow_of: Array
    weights: dict[str, Array]
    watched: dict[str, Array]


class Steps(eqx.Module):
    """A Mesh as arrays for the compiled loop."""

    first: Array
    last: Array
    h_class: Array
    lengths: Array

    @staticmethod
    def of(mesh: Mesh) -> "Steps":
        """Padded to round sizes, so that courses of about the same length share one compilation."""
        h_class = np.pad(mesh.h_class, (0, -len(mesh.h_class) % PAD_STEPS))
        lengths = np.pad(mesh.lengths, (0, -len(mesh.lengths) % PAD_LENGTHS), constant_values=1.0)
        arrays: Any = (mesh.first, mesh.last, h_class, lengths)
        return Steps(*arrays)


class Trajectory(NamedTuple):
    """At the end of every segment: modes [segments, modes, patients], states and signals by name
    [segments, patients]; peaks, over the ends of its steps, of the watched signals within the segment."""

    modes: Array
    states: dict[str, Array]
    signals: dict[str, Array]
    peaks: dict[str, Array]


def _linear(weights: dict[str, Array], x: Array) -> dict[str, Array]:
    return {name: (w * x).sum(0) for name, w in weights.items()}


def _cascade_step(stages: Any, at: Sequence[dict[str, Array]], h: Array) -> dict[str, Array]:
    """States at the end of a step. at: what is known at its start (with the states), middle and end; the states found
    are added to the last two."""
    start, mid, end = at
    new = {}
    for names, rates in stages:
        a, b = zip(*(rates(known) for known in at), strict=True)
        if len(names) == 1:
            values = (scalar_step(start[names[0]], a, b, h),)
        else:
            mids, ends = pair_step((start[names[0]], start[names[1]]), a, b, h)
            values = tuple(zip(mids, ends, strict=True))
        for name, (at_mid, at_end) in zip(names, values, strict=True):
            mid[name], end[name] = at_mid, at_end
            new[name] = at_end
    return new


Carried = tuple[Array, dict[str, Array]]
"""Modes [modes, patients] and the chain's states [patients], from one segment to the next."""


class Segments:
    """The segments of a mesh, to be run one after the other.

    watched: the chain's own signals whose peaks are kept, beside those of `drive.watched`; every method is pure and
    made to be compiled.
    """

    def __init__(self, chain: Any, drive: Drive, steps: Steps, watched: tuple[str, ...] = ()):
        self.chain, self.drive, self.steps, self.watched = chain, drive, steps, watched
        self.stages = chain.cascade()
        self.half = jnp.exp(-drive.rates[None] * steps.lengths[:, None, None] / 2)  # [classes, modes, patients]
        self.fill = -jnp.expm1(-drive.rates[None] * steps.lengths[:, None, None] / 2) / drive.rates[None]

    def rest(self) -> Carried:
        """Before the first segment: no drug, the chain at rest."""
        return jnp.zeros_like(self.drive.rates), self.chain.initial()

    def _known_at(self, x: Array) -> dict[str, Array]:
        linear = _linear(self.drive.weights, x)
        return {**linear, **self.chain.signals(linear)}

    def _highest(self, so_far: dict[str, Array], x: Array | None, known: dict[str, Array]) -> dict[str, Array]:
        now = {n: known[n] for n in self.watched} | (_linear(self.drive.watched, x) if x is not None else {})
        return so_far | {n: jnp.maximum(so_far[n], v) if n in so_far else v for n, v in now.items()}

    def _step(self, k, carry, inflow):
        x, known, states, peaks = carry
        c = self.steps.h_class[k]
        h, e, f = self.steps.lengths[c], self.half[c], self.fill[c] * inflow
        x_mid = x * e + f
        x_end = x_mid * e + f
        start, mid, end = {**known, **states}, self._known_at(x_mid), self._known_at(x_end)
        known_end = dict(end)
        new = _cascade_step(self.stages, (start, mid, end), h)
        peaks = self._highest(self._highest(peaks, None, mid), x_end, end)
        return x_end, known_end, new, peaks

    def run(self, carried: Carried, i: Array) -> tuple[Carried, tuple]:
        """One segment: what is carried on; and modes, states, signals and peaks at its end."""
        (x, states), drive = carried, self.drive
        x = x + drive.amounts[drive.amount_of[i]]
        known = self._known_at(x)
        inflow = drive.inflow[drive.inflow_of[i]]
        peaks = self._highest({}, x, known | states)
        x, known, states, peaks = lax.fori_loop(
            self.steps.first[i],
            self.steps.last[i],
            lambda k, c: self._step(k, c, inflow),
            (x, known, states, peaks),
        )
        return (x, states), (x, states, {n: v for n, v in known.items() if n not in drive.weights}, peaks)


def integrate(chain: Any, drive: Drive, steps: Steps, watched: tuple[str, ...] = ()) -> Trajectory:
    """Run the chain over every segment of the mesh, from rest. Pure; compile it with `eqx.filter_jit`.

    watched: as in `Segments`.
    """
    segments = Segments(chain, drive, steps, watched)
    return Trajectory(*lax.scan(segments.run, segments.rest(), jnp.arange(len(steps.first)))[1])


class Path(NamedTuple):
    """Steps of fixed length, in lanes side by side; in each lane, courses one after the other.

    h: [steps, lanes, 1], 0 after the last course; begins: the same shape, 1 at the first step of a course; inputs: name
    to the linear signals at the start, middle and end of every step, [steps, 3, lanes, patients].
    """

    h: Array
    begins: Array
    inputs: dict[str, Array]


@eqx.filter_jit
def record(drive: Drive, h: Array, segment: Array, opens: Array) -> dict[str, Array]:
    """The linear signals of a drive at the start, middle and end of every step, [steps, 3, patients].

    h: [steps] lengths; segment: [steps] which segment each is of; opens: [steps] 1 for the first step of a segment.
    """

    def step(x, at):
        h, i, opening = at
        x = x + opening * drive.amounts[drive.amount_of[i]]
        half = jnp.exp(-drive.rates * h / 2)
        fill = -jnp.expm1(-drive.rates * h / 2) / drive.rates * drive.inflow[drive.inflow_of[i]]
        mid = x * half + fill
        end = mid * half + fill
        return end, {n: jnp.stack([(w * y).sum(0) for y in (x, mid, end)]) for n, w in drive.weights.items()}

    return lax.scan(step, jnp.zeros_like(drive.rates), (h, segment, opens))[1]


def follow(chain: Any, path: Path) -> dict[str, Array]:
    """The chain's states at the end of every step of a recorded path, [steps, lanes, patients], each course from rest.

    What `integrate` does, where the drug does not depend on what is varied; differentiable in reverse, because its
    number of steps is fixed.
    """
    stages = chain.cascade()
    driven = path.inputs | chain.signals(path.inputs)
    rest = chain.initial()

    @jax.checkpoint  # the reverse pass computes a step again rather than keep all of it
    def step(states, at):
        h, begins, driven = at
        states = {name: jnp.where(begins > 0, rest[name], x) for name, x in states.items()}
        known = [{name: signal[j] for name, signal in driven.items()} for j in range(3)]
        known[0] |= states
        new = _cascade_step(stages, known, h)
        return new, new

    return lax.scan(step, rest, (path.h, path.begins, driven))[1]
