"""diffrax: Kvaerno5 (implicit, adaptive), vectorised over patients; steps land on the jumps of the rate."""

from __future__ import annotations

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import workload as w

_STARTS = w.dose_times_h()
_JUMPS = np.unique(w.segments()[:, :2])[1:-1]
_OUTPUTS = w.output_times_h()


def _derivative(time_h, state, p):
    last = jnp.searchsorted(jnp.asarray(_STARTS), time_h, side="right") - 1
    infusing = time_h < jnp.asarray(_STARTS)[last] + w.INFUSION_H
    rate = jnp.where(infusing, w.DOSE_MG_PER_KG * p[0] / w.INFUSION_H, 0.0)
    cl, q2, q3, clm, qm = p[1], p[3], p[5], p[7], p[9]
    ke0, ki, kp, e, kb, km, kf, kl, d0, kd = p[11:21]
    c1, c2, c3, cm, cm2 = state[:5] / p[jnp.array([2, 4, 6, 8, 10])]
    ce, b, m, s, pool, d = state[5:]
    site = jnp.maximum(ce, 1e-30)  # a real power has no derivative at 0
    power = site**w.HILL
    surge = site / (site + ki) * (1.0 - power / (power + kp**w.HILL))
    return jnp.stack(
        [
            rate - cl * c1 - q2 * (c1 - c2) - q3 * (c1 - c3),
            q2 * (c1 - c2),
            q3 * (c1 - c3),
            w.METABOLISED * cl * c1 - clm * cm - qm * (cm - cm2),
            qm * (cm - cm2),
            ke0 * (w.UNBOUND_UMOL_PER_MG * (c1 + w.NORKETAMINE_POTENCY * cm) - ce),
            kb * (e * surge - b),
            km * (b / (b + w.B_HALF) - m),
            kf * m * (1.0 - s) - w.LOSS_S_PER_H * (s - w.S0),
            kl * (s - w.S0) * (1.0 - pool) - w.LOSS_L_PER_H * pool,
            kd * (d0 * (1.0 - 0.8 * ((s - w.S0) / (1.0 - w.S0) + 0.5 * pool)) - d),
        ]
    )


def prepare(population: w.Array, setting: float) -> Callable[[], tuple[w.Array, w.Array]]:
    """Kvaerno5 at relative tolerance `setting`; the whole population is one batch."""
    jax.config.update("jax_enable_x64", True)
    steps = diffrax.ClipStepSizeController(
        diffrax.PIDController(rtol=setting, atol=setting * w.ATOL / w.RTOL, pcoeff=0.3, icoeff=0.4),
        jump_ts=jnp.asarray(_JUMPS),
    )

    def one(p):
        start = jnp.zeros(len(w.STATES)).at[8].set(w.S0).at[10].set(p[w.COLUMN["D0"]])
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(_derivative),
            diffrax.Kvaerno5(),
            0.0,
            w.END_H,
            1e-3,
            start,
            args=p,
            saveat=diffrax.SaveAt(ts=jnp.asarray(_OUTPUTS)),
            stepsize_controller=steps,
            max_steps=200_000,
        )
        assert solution.ys is not None
        return solution.ys[:, 10], solution.ys[:, 0] / p[w.COLUMN["V1"]]

    compiled = jax.jit(jax.vmap(one)).lower(jnp.asarray(population)).compile()

    def solve() -> tuple[w.Array, w.Array]:
        depression, plasma = compiled(jnp.asarray(population))
        return np.asarray(depression), np.asarray(plasma)

    solve()
    return solve
