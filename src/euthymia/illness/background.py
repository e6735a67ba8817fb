"""The response that is not the drug's, by the design of the trial or clinic.

    P_i(t) = k_study c_i [ a (1 - exp(-s/t_on)) exp(-ln2 s/t_a)
                           + b (1 - exp(-t/t_early))  +  c (1 - exp(-t/t_slow))  +  n (1 - exp(-t/t_n)) ]

a: expectancy, s hours after the start of a session (the last or the one before, whichever still gives more);
b, c: early and slow levels set by the design; n: the illness's own course over months, the same under every design;
c_i: the patient's own readiness. Design moves response rates more than the dose does, so it is never assumed silently.
"""

from dataclasses import replace
from math import log

import equinox as eqx
import jax.numpy as jnp
from jax import Array

from euthymia import evidence

EARLY = {
    "open label": "early_open_label",
    "saline": "early_saline",
    "midazolam": "early_midazolam",
    "new oral antidepressant": "early_new_antidepressant",
    "oral antidepressant trial": None,
}
SLOW = {
    "open label": "slow_no_new_treatment",
    "saline": "slow_no_new_treatment",
    "midazolam": "slow_no_new_treatment",
    "new oral antidepressant": "slow_new_antidepressant",
    "oral antidepressant trial": "slow_antidepressant_trial",
}
SHARED = (
    "session_amplitude",
    "session_half_life",
    "session_onset",
    "early_time",
    "slow_time",
    "natural",
    "natural_time",
)
"""Parameters that are the same under every design."""


class Background(eqx.Module):
    """Levels of the non-drug response for one design."""

    early: float
    slow: float
    session_amplitude: float
    session_half_life: float
    session_onset: float
    early_time: float
    slow_time: float
    natural: float
    natural_time: float

    @staticmethod
    def of(expectancy: str, inpatient: bool) -> "Background":
        """expectancy: a key of `EARLY`; inpatients carry an extra early and slow level (no calibration arm)."""

        def v(name: str | None) -> float:
            return evidence.value("background." + name) if name else 0.0

        return Background(
            early=v(EARLY[expectancy]) + (v("early_inpatient") if inpatient else 0.0),
            slow=v(SLOW[expectancy]) + (v("slow_inpatient") if inpatient else 0.0),
            **{name: v(name) for name in SHARED},
        )

    def of_study(self, level: Array) -> "Background":
        """In a study where all of it is so many times as large. level: one, or of each patient."""
        scaled = ("early", "slow", "session_amplitude", "natural")
        return replace(self, **{name: level * getattr(self, name) for name in scaled})

    def level(self, time_h: Array, hours_since_session: Array) -> Array:
        """Level at `time_h` for a patient of typical readiness.

        hours_since_session: [sessions, times], or [times] for one; infinite where there was none yet.
        """
        rise = 1 - jnp.exp(-hours_since_session / self.session_onset)
        acute = self.session_amplitude * rise * jnp.exp(-log(2) * hours_since_session / self.session_half_life)
        acute = acute.max(0) if acute.ndim > time_h.ndim else acute
        early = self.early * (1 - jnp.exp(-time_h / self.early_time))
        slow = self.slow * (1 - jnp.exp(-time_h / self.slow_time))
        natural = self.natural * (1 - jnp.exp(-time_h / self.natural_time))
        return acute + early + slow + natural
