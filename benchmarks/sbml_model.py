"""The workload as SBML (written in Antimony), for the peers that read it. Events switch the infusion."""

from __future__ import annotations

import workload as w


def antimony_text() -> str:
    """Antimony text; `infusing` is 1 during an infusion. Parameters carry the typical values."""
    rate = w.DOSE_MG_PER_KG / w.INFUSION_H
    lines = ["model ketamine()"]
    lines += [f"  {name} = {typical!r}" for name, typical, _, _ in w.PARAMETERS]
    # Both peers have trouble with piecewise at Ce = 0, hence max(Ce, 0) by way of abs.
    lines += [
        "  infusing = 1",
        "  A1 = 0; A2 = 0; A3 = 0; Am1 = 0; Am2 = 0; Ce = 0; B = 0; M = 0; L = 0",
        f"  S = {w.S0}; D = 33",
        "  c1 := A1/V1; c2 := A2/V2; c3 := A3/V3; cm := Am1/Vm; cm2 := Am2/Vm2",
        "  site := 0.5*(Ce + abs(Ce))",
        f"  site_n := site^{w.HILL}",
        f"  G := site/(site + KI)*(1 - site_n/(site_n + KP^{w.HILL}))",
        f"  A1' = infusing*WT*{rate!r} - CL*c1 - Q2*(c1 - c2) - Q3*(c1 - c3)",
        "  A2' = Q2*(c1 - c2)",
        "  A3' = Q3*(c1 - c3)",
        f"  Am1' = {w.METABOLISED}*CL*c1 - CLm*cm - Qm*(cm - cm2)",
        "  Am2' = Qm*(cm - cm2)",
        f"  Ce' = ke0*({w.UNBOUND_UMOL_PER_MG!r}*(c1 + {w.NORKETAMINE_POTENCY}*cm) - Ce)",
        "  B' = kB*(E*G - B)",
        f"  M' = kM*(B/(B + {w.B_HALF}) - M)",
        f"  S' = kf*M*(1 - S) - {float(w.LOSS_S_PER_H)!r}*(S - {w.S0})",
        f"  L' = kL*(S - {w.S0})*(1 - L) - {float(w.LOSS_L_PER_H)!r}*L",
        f"  D' = kD*(D0*(1 - 0.8*((S - {w.S0})/{1 - w.S0!r} + 0.5*L)) - D)",
    ]
    for i, start in enumerate(w.dose_times_h()):
        if i > 0:  # the first infusion runs from the start
            lines.append(f"  start{i}: at time >= {float(start)!r}: infusing = 1")
        lines.append(f"  stop{i}: at time >= {float(start + w.INFUSION_H)!r}: infusing = 0")
    return "\n".join([*lines, "end"])


def sbml_text() -> str:
    """SBML text of the workload; ImportError if antimony is not installed."""
    import antimony

    if antimony.loadAntimonyString(antimony_text()) < 0:
        raise RuntimeError(antimony.getLastError())
    return antimony.getSBMLString("ketamine")
