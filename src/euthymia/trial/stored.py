"""What was seen of some replicates as tables on disk, and back: every patient, every rating, in the order of entry."""

import numpy as np
import polars as pl

from euthymia.illness.bipolar import POLES
from euthymia.trial.analysis import NEVER, Outcomes
from euthymia.trial.plan import Plan, first_times, groups

KINDS = ("patients", "replicates", "endpoints")
"""The tables of one part; the last is that of `analysis.COLUMNS`."""
EPISODE_COLUMNS = tuple(f"days to {pole} episode" for pole in POLES)


def _visits(plan: Plan) -> list[str]:
    begin = first_times(plan)[0]
    times = [start + visit - begin for start in first_times(plan) for visit in plan.visits]
    return [f"{plan.scale.name} at {round(t, 2):.10g} h" for t in times]


def tables(plan: Plan, first: int, out: Outcomes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A row for every patient, and one for every replicate, of replicates numbered from `first`."""
    names = groups(plan)
    r, place = np.nonzero(out.arm != NEVER)
    patients = pl.DataFrame(
        {
            "replicate": first + r,
            "patient": out.patient[r, place],
            "arm": [names[k] for k in out.arm[r, place]],
            "site": out.site[r, place] + np.int16(1),
            "baseline": out.baseline[r, place],
        }
        | {name: out.scores[r, place, v] for v, name in enumerate(_visits(plan))}
        | {name: out.begins[r, place, k] for k, name in enumerate(EPISODE_COLUMNS) if plan.has_episodes}
    )
    replicates = {"screened": out.screened, "entered": out.entered, "stopped at look": out.stopped + 1}
    return patients, pl.DataFrame({"replicate": first + np.arange(out.replicates)} | replicates)


def outcomes(plan: Plan, first: int, patients: pl.DataFrame, replicates: pl.DataFrame) -> Outcomes:
    """What `tables` wrote, exactly."""
    visits = _visits(plan)
    out = Outcomes.blank(len(replicates), plan.patients, len(visits))
    r = patients["replicate"].to_numpy() - first
    place = np.arange(len(r)) - np.searchsorted(r, r)
    code = {name: k for k, name in enumerate(groups(plan))}
    out.arm[r, place] = [code[name] for name in patients["arm"]]
    out.patient[r, place] = patients["patient"].to_numpy()
    out.site[r, place] = patients["site"].to_numpy() - 1
    out.baseline[r, place] = patients["baseline"].to_numpy()
    out.scores[r, place] = patients.select(visits).to_numpy()
    if plan.has_episodes:
        out.begins[r, place] = patients.select(EPISODE_COLUMNS).to_numpy()
    out.screened[:], out.entered[:] = replicates["screened"].to_numpy(), replicates["entered"].to_numpy()
    out.stopped[:] = replicates["stopped at look"].to_numpy() - 1
    return out
