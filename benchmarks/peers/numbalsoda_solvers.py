"""numbalsoda: LSODA and DOP853 called from numba-compiled code, restarted at every jump of the infusion rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import carray, cfunc, njit
from numbalsoda import dop853, lsoda, lsoda_sig

import workload as w

_derivative = njit(w.derivative)
_STATES, _PARAMETERS = len(w.STATES), len(w.NAMES)
_OUTPUTS = w.output_times_h()


@cfunc(lsoda_sig)
def _rhs(_t, state, out, p):
    # The infusion rate travels as one more parameter.
    u, q = carray(state, (_STATES,)), carray(p, (_PARAMETERS + 1,))
    _derivative_flat(u, q, carray(out, (_STATES,)))
