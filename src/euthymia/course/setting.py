"""A course as arrays: what holds for everybody in it, and its times."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import numpy as np

from euthymia.course.engine import Steps
from euthymia.course.plan import Pathway
from euthymia.course.variants import Variants
from euthymia.illness.background import Background
from euthymia.illness.bipolar import Bipolar, Pole
from euthymia.illness.ptsd import Extinction, Ptsd
from euthymia.illness.relative import Relative

Numbers = Any
"""An array: NumPy's outside compiled code, JAX's inside."""


class Timing(eqx.Module):
    """The plan's times as arrays for the compiled code.

    observe_h, session_at, minute: per observation; since_session_h: hours since the last session and the one before,
    [2, times]; amount_of, inflow_of, session_of: per segment; observed: segment that ends at each observation (-1: the
    start); earlier: per session, how many ketamine sessions came before; pole: observations that end the steps of the
    poles of bipolar disorder; exposed: per observation, or [times, patients], 1 at a session of exposure therapy, in
    PTSD; reported: those observations that were asked for. All three are None where the illness needs no times of its
    own.
    """

    steps: Steps
    observe_h: Numbers
    since_session_h: Numbers
    session_at: Numbers
    minute: Numbers
    amount_of: Numbers
    inflow_of: Numbers
    amount_counts: Numbers
    inflow_counts: Numbers
    session_of: Numbers
    observed: Numbers
    earlier: Numbers
    pole: Numbers
    exposed: Numbers
    reported: Numbers
    days: int = eqx.field(static=True)


class Tilt(eqx.Module):
    """What a daily treatment does to the poles of bipolar disorder while it goes on; stabilises: 1 or 0."""

    start_h: Numbers
    stop_h: Numbers
    depressive: Numbers
    manic: Numbers
    stabilises: Numbers


class BipolarSetting(eqx.Module):
    """Bipolar disorder: its parameters, what daily treatments do to the poles, and what ketamine does to the manic one
    where plasticity is 1."""

    model: Bipolar
    depressive: Pole
    manic: Pole
    tilts: tuple[Tilt, ...]
    ketamine_manic: Numbers


class PtsdSetting(eqx.Module):
    """PTSD: its parameters."""

    model: Ptsd
    extinction: Extinction


class Setting(eqx.Module):
    """What holds for everybody in the course. Amounts, durations and what may be uncertain are arrays, so that another
    value needs no new compilation: dose_mg, dose_mg_per_kg, cap_mg are per distinct dose (a dose is the sum of the
    first two, at most the third); input_h is per entry, 1 where the input arrives at once. antidepressants: (start_h,
    stop_h, relative size) of each; in bipolar disorder oral drugs act on the poles instead. own: what else the illness
    needs; assumed: what was assumed in place of the evidence when this was prepared, by id.
    """

    background: Background
    multicentre: Numbers
    antidepressants: tuple[tuple[Numbers, Numbers, Numbers], ...]
    relative: Relative
    own: BipolarSetting | PtsdSetting | None
    assumed: dict[str, Numbers]
    dose_mg: Numbers
    dose_mg_per_kg: Numbers
    cap_mg: Numbers
    input_h: Numbers
    variants: Variants = eqx.field(static=True)
    pathways: tuple[Pathway, ...] = eqx.field(static=True)
    doses: tuple[tuple[int, float, str], ...] = eqx.field(static=True)  # pathway, enantiomer share, input key
    entries: tuple[tuple[int, int], ...] = eqx.field(static=True)  # dose, input
    absorption: tuple[tuple[str, float], ...] = eqx.field(static=True)

    def uncertain(self) -> dict[str, Any]:
        """The fields that hold uncertain numbers."""
        return {name: getattr(self, name) for name in UNCERTAIN}


UNCERTAIN = ("background", "multicentre", "antidepressants", "relative")
"""Fields of `Setting` that hold uncertain numbers, one for all patients or one for each."""


def picked(numbers: Any, rows: Any) -> Any:
    """Of some patients, those numbers that differ between them; the others as they are."""
    return jax.tree.map(lambda x: x[..., rows] if np.ndim(x) else x, numbers)


class Packed(eqx.Module):
    """Uncertain numbers as two arrays, which compiled code takes faster than many. alike: those that are the same for
    all patients, [numbers]; own: those that are not, [numbers, patients]."""

    alike: Any
    own: Any
    form: Any = eqx.field(static=True)
    differ: tuple[bool, ...] = eqx.field(static=True)

    @staticmethod
    def of(parameters: Any, setting: Setting) -> "Packed":
        """The parameters, and what is uncertain of the setting."""
        leaves, form = jax.tree.flatten((parameters, setting.uncertain()))
        differ = tuple(np.ndim(x) > 0 for x in leaves)
        alike = np.array([x for x, own in zip(leaves, differ, strict=True) if not own], float)
        own = [x for x, own in zip(leaves, differ, strict=True) if own]
        return Packed(alike, np.stack(own) if own else np.zeros((0, 0)), form, differ)

    def take(self, rows: Any) -> "Packed":
        """The same of some patients."""
        return replace(self, own=self.own[:, rows]) if any(self.differ) else self

    def unpacked(self) -> tuple[Any, dict[str, Any]]:
        """The parameters, and the fields of the setting."""
        alike, own = iter(self.alike), iter(self.own)
        return jax.tree.unflatten(self.form, [next(own if differs else alike) for differs in self.differ])
