"""What pages are shown with: words that would harm, rungs of a ladder, and results in which no model took part."""

import numpy as np

from euthymia import report
from euthymia.course.result import Provenance
from euthymia.design.aims import CURVES, aim, limit
from euthymia.design.decision import perfect, worth
from euthymia.design.find import Design
from euthymia.design.search import Asked, Part, choice, search
from euthymia.design.space import space
from euthymia.patient import draw
from euthymia.protocol import load
from euthymia.trial.analysis import Outcomes, analyse
from euthymia.trial.document import KIND
from euthymia.trial.observed import observed
from euthymia.trial.plan import Plan, first_times, groups
from euthymia.trial.result import TrialResult
from euthymia.trial.validation import Row, Validation

HOSTILE = "</script><script>window.harmed = 1</script><img src=x onerror='window.harmed=1'>"
RUNGS: list[report.Rung] = [
    {
        "dose": f"{dose:g} mg/kg",
        "mg_per_kg": dose,
        "antidepressant_effect": (5.0, 2.0, 9.0),
        "dissociation": (4.0 * dose, dose, 9.0 * dose),
        "loss_of_consciousness": (10.0 * dose, 0.0, 20.0 * dose),
    }
    for dose in (0.1, 0.5, 2.0)
]


def made_up_trial(
    plan: Plan, replicates: int = 1, effect: float = 8.0, seed: int = 1, without: int = -1
) -> TrialResult:
    """A trial in which no model took part. effect: points that arms other than the comparator take off; without: number
    of an arm that nobody was given."""
    rng = np.random.default_rng(seed)
    visits = len(first_times(plan)) * len(plan.visits)
    out = Outcomes.blank(replicates, plan.patients, visits)
    shape = out.arm.shape
    arms = np.array([k for k in range(len(groups(plan))) if k != without])
    out.arm[:] = arms[rng.integers(len(arms), size=shape)]
    out.patient[:] = np.arange(plan.patients)
    out.baseline[:] = np.round(rng.normal(34, 4, shape))
    scores = out.baseline[..., None] - rng.normal(8, 7, (*shape, visits))
    treated = (out.arm != plan.control)[..., None] & (np.arange(visits) > 0)
    out.scores[:] = np.clip(np.round(scores - effect * treated), 0, 60)
    out.scores[..., 0] = out.baseline
    leaves = rng.integers(1, 4 * visits, shape)
    out.scores[np.arange(visits) >= leaves[..., None]] = np.nan
    out.screened[:] = plan.patients + rng.integers(1, 30, replicates)
    out.entered[:] = plan.patients + (rng.integers(1, 20, replicates) if plan.lead_in else 0)
    out.screened[:] = np.maximum(out.screened, out.entered)
    if plan.has_episodes:
        out.begins[:] = rng.exponential(plan.visits[-1] / 24, out.begins.shape)
    return TrialResult(plan, 7, False, True, out, analyse(plan, out), np.ones((2, replicates)))


def made_up_validation(trials, seed: int = 1) -> Validation:
    """Rows of the catalogue's own endpoints, with predictions that no model made."""
    rng = np.random.default_rng(seed)
    rows = []
    for trial in trials:
        for e in trial.endpoints:
            if (kind := KIND[e.measure]) == "spread":
                continue
            seen = observed(e, trial.set)
            known = not np.isnan(seen.value)
            share = {"effect": 0.2, "rate": 0.0}.get(kind, 0.15)
            middle = seen.value if known else -3.0
            sd = 8.0 if kind == "rate" else max(share * abs(middle), 0.05 if kind == "effect" else 1.0)
            predicted = middle + 1.3 * sd * rng.standard_normal()
            if kind == "rate":
                predicted = float(np.clip(predicted, 1, 99))
            ends = [predicted + z * sd for z in (-0.674, 0.674, -1.645, 1.645)]
            if kind == "rate":
                ends = [float(np.clip(x, 0, 100)) for x in ends]
            inside = bool(ends[2] - seen.rounding <= seen.value <= ends[3] + seen.rounding) if known else None
            rows.append(
                Row(
                    trial=trial.trial,
                    illness=trial.illness,
                    set=trial.set,
                    arm=e.called or " - ".join(e.arm),
                    endpoint=e.measure + (f" (≤ {e.limit:g})" if e.limit is not None else ""),
                    kind=kind,
                    time=e.when or str(e.at),
                    n=seen.n,
                    observed=seen.value if known else None,
                    predicted=predicted,
                    lower50=ends[0],
                    upper50=ends[1],
                    lower90=ends[2],
                    upper90=ends[3],
                    naive=middle + 1.5 * sd,
                    inside90=inside,
                    words=seen.words,
                    fitted=trial.set == "calibration" and kind == "rate",
                    verified=seen.verified,
                    assumed="; ".join(seen.reasons),
                    evidence=" ".join(seen.ids),
                    expected_error=0.8 * sd,
                )
            )
    return Validation(tuple(rows), 512, 1, "chance in the sample, and the fitted parameters")


SCORE, REMISSION = (curve.name for curve in CURVES["depression"])


VARIED = ("dose=0.25, 0.5, 0.75 mg/kg", "maintenance interval=3 days, 1 week, 2 weeks", "CAN-2=on, off")


def made_up_design(patients: int = 200, draws: int = 8, weeks: int = 12, vary: tuple[str, str, str] = VARIED) -> Design:
    """A search in which no model took part: more drug more often helps more, and costs more. vary: values of these."""
    protocol = load("ketamine-iv-maintenance")
    found = space(protocol, vary)
    doses = np.array([float(r.chosen["dose"].split()[0]) for r in found.regimens])
    gaps = np.array([r.protocol.phases[1].every[0].value / 168 for r in found.regimens])  # type: ignore[index]
    level = np.random.default_rng(1).normal(0, 1, draws)

    def evaluate(part: Part) -> dict[str, np.ndarray]:
        own, rows = np.random.default_rng(2).normal(0, 5, patients), slice(*part.patients)
        dose, gap = (x[list(part.regimens), None, None] for x in (doses, gaps))
        of_world = level[list(part.draws), None]
        days = 40 + 30 * dose - 4 * gap + of_world * (5 + 20 * (dose - 0.5) * gap) + own[rows]
        sessions = 8 + weeks / gap + 0 * days
        madrs = 36 - (20 + 2 * of_world) * dose * (1 - np.exp(-np.arange(7 * weeks + 1) / 7))
        return {
            "days in remission": days,
            "cumulative ketamine": 80 * dose * sessions,
            "visits": sessions,
            SCORE: madrs,
            REMISSION: 100 / (1 + np.exp((madrs - 12) / 5)),
        }

    asked = Asked(aim("days in remission", "more"), (limit("visits at most 40"),), ("cumulative ketamine", "visits"))
    curves = dict.fromkeys((SCORE, REMISSION), 7 * weeks + 1)
    race = search(evaluate, len(found.regimens), draws, patients, asked, curves=curves)
    chosen = choice(race)
    means = race.means("days in remission", chosen.able)
    provenance = Provenance(protocol.name, "", "0" * 64, protocol.population, patients, 1, {}, {}, (), "0")
    known = worth(means, {"depression.gain": level})
    usual = next(r.number for r in found.regimens if tuple(r.chosen.values()) == ("0.5 mg/kg", "1 week", "on"))
    people = draw(protocol.population, patients, 1)
    return Design(
        protocol, found, asked, race, chosen, usual, known, perfect(means), weeks, patients, draws, provenance, people
    )
