"""The reference workload: ketamine, 16 infusions, 26 weeks, 11 equations, a population of patients.

A benchmark, not a fitted model: the values are plausible, so that every engine can be asked the same question.
Hours, mg, L, mg/L; the effect-site concentration is unbound, in umol/L.

States (start): A1, A2, A3 ketamine central, fast, slow; Am1, Am2 norketamine central, peripheral, in mg of
ketamine (all 0); Ce effect site (0); B BDNF (0); M translation (0); S synaptic strength (S0); L consolidated
synapses (0); D depression score, MADRS points (the patient's D0).

    c1 = A1/V1    c2 = A2/V2    c3 = A3/V3    cm = Am1/Vm    cm2 = Am2/Vm2
    A1'  = R(t) - CL c1 - Q2 (c1 - c2) - Q3 (c1 - c3)
    A2'  = Q2 (c1 - c2)
    A3'  = Q3 (c1 - c3)
    Am1' = 0.8 CL c1 - CLm cm - Qm (cm - cm2)
    Am2' = Qm (cm - cm2)
    Ce'  = ke0 (q (c1 + 0.2 cm) - Ce)                      q = 0.5 * 1000 / 237.7, mg/L to unbound umol/L
    G    = Ce/(Ce + KI) * (1 - Ce^1.5/(Ce^1.5 + KP^1.5))   Ce taken as max(Ce, 0)
    B'   = kB (E G - B)
    M'   = kM (B/(B + 0.15) - M)
    S'   = kf M (1 - S) - kd (S - S0)                      S0 = 0.4, kd = ln 2 / 9 days
    L'   = kL (S - S0) (1 - L) - ke L                      ke = ln 2 / 60 days
    D'   = kD (D0 (1 - 0.8 ((S - S0)/(1 - S0) + 0.5 L)) - D)

R(t) is 0.5 mg/kg over 40 min: twice weekly for four weeks, then weekly for eight; follow-up to day 182.
The exponent 1.5 must be treated as any real power. The rates span 12 per hour (25 in the population) to
0.0005 per hour, so the problem is mildly stiff.

Answer: D and c1 at 229 times (hourly to 48 h, then daily). At the start of a dose, the value before it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# name, typical value, standard deviation of its logarithm, unit. Clearances and volumes are for 70 kg.
PARAMETERS = (
    ("WT", 75.0, 0.18, "kg"),
    ("CL", 79.0, 0.25, "L/h"),
    ("V1", 30.0, 0.30, "L"),
    ("Q2", 150.0, 0.20, "L/h"),
    ("V2", 60.0, 0.20, "L"),
    ("Q3", 40.0, 0.20, "L/h"),
    ("V3", 160.0, 0.25, "L"),
    ("CLm", 50.0, 0.30, "L/h"),
    ("Vm", 40.0, 0.30, "L"),
    ("Qm", 60.0, 0.20, "L/h"),
    ("Vm2", 100.0, 0.20, "L"),
    ("ke0", 12.0, 0.20, "1/h"),
    ("KI", 0.3, 0.20, "umol/L"),
    ("KP", 2.0, 0.20, "umol/L"),
    ("E", 2.0, 0.20, "1"),
    ("kB", 0.25, 0.20, "1/h"),
    ("kM", 0.08, 0.20, "1/h"),
    ("kf", 0.06, 0.20, "1/h"),
    ("kL", 0.002, 0.30, "1/h"),
    ("D0", 33.0, 0.15, "points"),
    ("kD", 0.12, 0.30, "1/h"),
)
NAMES = tuple(row[0] for row in PARAMETERS)
COLUMN = {name: j for j, name in enumerate(NAMES)}
CLEARANCES = ("CL", "Q2", "Q3", "CLm", "Qm")
VOLUMES = ("V1", "V2", "V3", "Vm", "Vm2")

STATES = ("A1", "A2", "A3", "Am1", "Am2", "Ce", "B", "M", "S", "L", "D")
METABOLISED = 0.8
NORKETAMINE_POTENCY = 0.2
UNBOUND_UMOL_PER_MG = 0.5 * 1000.0 / 237.7
HILL = 1.5
B_HALF = 0.15
S0 = 0.4
LOSS_S_PER_H = np.log(2.0) / (9 * 24)
LOSS_L_PER_H = np.log(2.0) / (60 * 24)

DOSE_MG_PER_KG = 0.5
INFUSION_H = 2.0 / 3.0
END_H = 182 * 24.0
SEED = 20260101

RTOL, ATOL = 1e-6, 1e-8  # asked of every adaptive solver, on every state
PLASMA_FLOOR_MG_PER_L = 1e-3  # 1 ng/mL: below it the error is counted as absolute


def population(patients: int) -> Array:
    """Parameters of the first `patients` people, shape (patients, 21); patient k is the same for any number."""
    z = np.random.Generator(np.random.PCG64(SEED)).standard_normal((patients, len(PARAMETERS)))
    typical = np.array([row[1] for row in PARAMETERS])
    sd_log = np.array([row[2] for row in PARAMETERS])
    p = typical * np.exp(sd_log * z)
    size = p[:, COLUMN["WT"]] / 70.0
    for name in CLEARANCES:
        p[:, COLUMN[name]] *= size**0.75
    for name in VOLUMES:
        p[:, COLUMN[name]] *= size
    return p


def dose_times_h() -> Array:
    """Starts of the 16 infusions."""
    days = [7 * week + day for week in range(4) for day in (0, 3)] + [28 + 7 * week for week in range(8)]
    return 24.0 * np.array(days, dtype=np.float64)


def output_times_h() -> Array:
    """The 229 times at which D and c1 are asked for."""
    return np.concatenate([np.arange(0.0, 49.0), 24.0 * np.arange(3.0, 183.0)])


def segments(cut_at_outputs: bool = False) -> Array:
    """Rows (start_h, end_h, infusing 0 or 1) between jumps of R; optionally cut at every output time as well."""
    starts = dose_times_h()
    stops = starts + INFUSION_H
    cuts = np.unique(np.concatenate([starts, stops, [0.0, END_H], output_times_h() if cut_at_outputs else []]))
    middle = (cuts[:-1] + cuts[1:]) / 2
    infusing = ((middle[:, None] > starts) & (middle[:, None] < stops)).any(axis=1)
    return np.column_stack([cuts[:-1], cuts[1:], infusing.astype(np.float64)])


def start_state(p: Array) -> Array:
    """State of one patient at time 0."""
    state = np.zeros(len(STATES))
    state[STATES.index("S")] = S0
    state[STATES.index("D")] = p[COLUMN["D0"]]
    return state


def derivative(state, p, rate_mg_per_h, out):
    """Write d(state)/dt of one patient into `out`. Scalar code: plain Python, and what numba compiles."""
    # Columns by number: `p` may be a bare pointer here. Column 0 (weight) enters through the rate.
    cl, q2, q3, clm, qm = p[1], p[3], p[5], p[7], p[9]
    ke0, ki, kp, e, kb, km, kf, kl, d0, kd = p[11], p[12], p[13], p[14], p[15], p[16], p[17], p[18], p[19], p[20]
    c1, c2, c3, cm, cm2 = state[0] / p[2], state[1] / p[4], state[2] / p[6], state[3] / p[8], state[4] / p[10]
    ce, b, m, s, pool, d = state[5], state[6], state[7], state[8], state[9], state[10]
    site = max(ce, 0.0)
    power = site**HILL
    surge = site / (site + ki) * (1.0 - power / (power + kp**HILL))
    out[0] = rate_mg_per_h - cl * c1 - q2 * (c1 - c2) - q3 * (c1 - c3)
    out[1] = q2 * (c1 - c2)
    out[2] = q3 * (c1 - c3)
    out[3] = METABOLISED * cl * c1 - clm * cm - qm * (cm - cm2)
    out[4] = qm * (cm - cm2)
    out[5] = ke0 * (UNBOUND_UMOL_PER_MG * (c1 + NORKETAMINE_POTENCY * cm) - ce)
    out[6] = kb * (e * surge - b)
    out[7] = km * (b / (b + B_HALF) - m)
    out[8] = kf * m * (1.0 - s) - LOSS_S_PER_H * (s - S0)
    out[9] = kl * (s - S0) * (1.0 - pool) - LOSS_L_PER_H * pool
    out[10] = kd * (d0 * (1.0 - 0.8 * ((s - S0) / (1.0 - S0) + 0.5 * pool)) - d)


def errors(depression: Array, plasma: Array, reference: tuple[Array, Array], patients: int) -> tuple[float, float]:
    """Largest relative error of D and of c1 over the first `patients` patients and all times."""
    d, c = np.asarray(depression)[:patients], np.asarray(plasma)[:patients]
    d_ref, c_ref = reference[0][: len(d)], reference[1][: len(c)]
    d, c = d[: len(d_ref)], c[: len(c_ref)]
    error_d = np.abs(d - d_ref) / np.abs(d_ref)
    error_c = np.abs(c - c_ref) / np.maximum(np.abs(c_ref), PLASMA_FLOOR_MG_PER_L)
    return float(error_d.max()), float(error_c.max())
