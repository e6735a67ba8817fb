"""The document of a planned trial in plain words."""

from euthymia.protocol import load
from euthymia.protocol.rules import When
from euthymia.report.notes import EXPECTANCY
from euthymia.report.series import spoken
from euthymia.trial.analysis import limits
from euthymia.trial.plan import RATES, Plan, PlannedArm, PlannedEndpoint

LISTED = 8  # visits that are named one by one
POPULATION = {
    "TRD": "treatment-resistant depression",
    "MDD": "major depression",
    "bipolar depression": "bipolar disorder, in a depressive episode",
    "rapid cycling bipolar depression": "rapid cycling bipolar disorder, in a depressive episode",
    "bipolar euthymia": "bipolar disorder, between episodes",
    "civilian PTSD": "PTSD, civilians",
    "veteran PTSD": "PTSD, veterans and service members",
}
ANALYSIS = {
    "ancova": "analysis of covariance (ANCOVA) of those rated then, adjusted for the score at entry",
    "mmrm": "mixed model for repeated measures (MMRM) over all visits, adjusted for the score at entry",
    "within patients": "each patient's own difference between the periods, adjusted for period",
    "hedges g": "difference between the mean changes in standard deviations (Hedges' g), of those rated then",
    "risk difference": "difference between the shares",
    "cox": "Cox's proportional hazards",
    "log-rank": "log-rank test; hazard ratio from observed and expected events",
    "kaplan-meier": "difference between the shares without the event (Kaplan and Meier)",
}
SHORT = {"ancova": "ANCOVA", "mmrm": "MMRM", "cox": "Cox", "hedges g": "Hedges' g", "kaplan-meier": "Kaplan-Meier"}
"""Analyses whose name in a document is not how they are printed."""
SHAPE = {"obrien_fleming": "O'Brien and Fleming's", "pocock": "Pocock's"}
AFTER = {"goes on": "the treatment of the lead-in goes on", "sham": "sham sessions at the same times instead",
         "stops": "the sessions stop"}  # fmt: skip


def facts(plan: Plan) -> list[tuple[str, str]]:
    """What a reader of the protocol would ask, and its answer."""
    said = [
        ("Type", _type(plan)),
        ("Population", _population(plan)),
        ("Patients", f"{plan.patients:,} randomised, at {_count(plan.number_of_sites, 'site')}"),
        ("Randomisation", _randomisation(plan)),
        ("What patients expect", f"{EXPECTANCY.get(plan.design.expectancy, plan.design.expectancy)}"),
        ("Setting", f"{plan.design.setting}s{f'; {plan.design.note}' if plan.design.note else ''}"),
        ("Sessions", _sessions(plan)),
        ("Visits", _visits(plan)),
        ("Dropout", _dropout(plan)),
        ("Unblinding", _unblinding(plan)),
        ("Ratings", _ratings(plan)),
        ("Significance", _significance(plan)),
    ]
    if lead := plan.lead_in:
        times = " and ".join(map(spoken, lead.at))
        text = (
            f"{_title(lead.protocol)} for {lead.lasts}; randomised if still there and, at {times}: "
            f"{_when(lead.randomised_when)}"
        )
        said.insert(1, ("Lead-in", text))
    if plan.relapse:
        n = plan.relapse.consecutive_visits
        at = f"at {n} visits in a row; the last of them is its time" if n > 1 else "at a visit"
        said.insert(-1, ("Relapse", f"{_when(plan.relapse.when)}, {at}"))
    if plan.adaptive:
        said.append(("Looks before the end", _adaptive(plan)))
    return [(term, f"{text[0].upper()}{text[1:].rstrip('.')}.") for term, text in said]


def _sessions(plan: Plan) -> str:
    if plan.follow_rules:
        return "given, held or stopped by the rules of each arm's protocol; who is given no more is rated on"
    return "as planned for each arm, whatever a rule of its protocol would say"


def given(plan: Plan, arm: PlannedArm) -> str:
    """What an arm gets."""
    if arm.after_lead_in:
        text = AFTER[arm.after_lead_in]
    elif arm.published:
        known = arm.published
        text = (
            f"by published rates, no model: {known.response} in response and {known.remission} in remission "
            f"(at most {plan.limit(known):g}) at {known.at}, of {known.n} patients ({known.source}); nobody "
            "leaves, because those who left are in the rates"
        )
    elif arm.sham_of:
        text = f"sham sessions at the times of: {_title(arm.sham_of)}; {_goes_on(arm.sham_of)} as there"
    else:
        text = _title(arm.protocol or "")
    return f"{text[0].upper()}{text[1:]}{' – the comparator' if arm.comparator else ''}."


def endpoint(plan: Plan, e: PlannedEndpoint) -> str:
    """One endpoint with its definition and analysis."""
    what = {
        "change": f"change of the {plan.scale.name} from entry (negative: better)",
        "effect size": f"change of the {plan.scale.name} from entry, standardised",
        "relapse": "time to relapse",
        "switch to mania": "switch to mania (a new episode of mania or hypomania begins)",
        "time to episode": "time to an episode (a new one of either pole begins)",
    }.get(e.endpoint, e.endpoint)
    if e.endpoint.endswith("response"):
        what += f" (score at least {100 * plan.fall(e):g} % below entry)"
    if e.endpoint.endswith("remission"):
        what += f" (score of at most {plan.limit(e):g})"
    left = "; those who left before count as not having it" if e.endpoint in RATES else ""
    if e.endpoint not in ("change", "effect size", *RATES):
        left = "; those who left are censored at their last rating"
    at = f" at {e.at}" if e.at else ""
    begin = f"Primary: {what}" if e is plan.primary else f"{what[0].upper()}{what[1:]}"
    return f"{begin}{at}: {ANALYSIS[e.method]}{left}."


def _goes_on(protocol: str) -> str:
    return "daily treatments and exposure therapy" if load(protocol).exposure else "daily treatments"


def _title(protocol: str) -> str:
    loaded = load(protocol)
    return f"{loaded.title} (protocol {loaded.name})"


def _count(n: int, one: str) -> str:
    return f"{n:,} {one}{'' if n == 1 else 's'}" if n != 1 else f"one {one}"


def _when(when: When) -> str:
    return " and ".join(c.comparison if c.measure == "state" else str(c) for c in when)


def _type(plan: Plan) -> str:
    if plan.periods:
        return f"crossover of two periods of {plan.periods.length}, {plan.periods.washout} without treatment in between"
    if plan.lead_in:
        return "randomised withdrawal after an open lead-in"
    return f"{plan.type} arms, adaptive" if plan.adaptive else f"{plan.type} arms"


def _population(plan: Plan) -> str:
    rules = ", ".join(str(c) for rule in plan.inclusion for c in rule)
    return f"virtual patients with {POPULATION[plan.population]}{f'; let in: {rules}' if rules else ''}"


def _randomisation(plan: Plan) -> str:
    r = plan.randomisation
    if plan.adaptive and plan.adaptive.allocation:
        return "simple, in equal shares at first, then to the arms that do better so far"
    parts = [r.method if r.method == "simple" else f"in blocks{f' of {r.block}' if r.block else ''}"]
    parts.append(f"ratio {':'.join(map(str, plan.ratio))}" if not plan.periods else "to either order of treatments")
    if r.stratify_by:
        parts.append(f"stratified by {', '.join(r.stratify_by)}")
    return ", ".join(parts)


def _visits(plan: Plan) -> str:
    since = "the start of each period" if plan.periods else "randomisation"
    v = plan.visits
    names = ", ".join(map(spoken, v)) if len(v) <= LISTED else f"{len(v)} from {spoken(v[0])} to {spoken(v[-1])}"
    return f"{names} (time from {since})"


def _dropout(plan: Plan) -> str:
    d = plan.dropout
    if d is None or not d.per_week.value:
        return "nobody leaves"
    text = f"{d.per_week} leave in a week"
    if d.at_score and d.more_per_point:
        text += f" at a last score of {d.at_score}; each point more changes that hazard by {d.more_per_point}"
    return text


def _unblinding(plan: Plan) -> str:
    if not plan.unblinding or not plan.unblinding.value:
        return "what patients believe they were given changes nothing beyond the design"
    return (
        f"the response that is not the drug's is {plan.unblinding} more in those who felt a dissociation they would "
        f"report, who believe they were given the drug, and {plan.unblinding} less in all others after a session "
        "(assumed: no trial has measured it)"
    )


def _ratings(plan: Plan) -> str:
    r = plan.ratings
    extra = [
        f"SD {str(sd).removesuffix('s') if sd.value == 1 else sd} between {who}"
        for sd, who in ((r.site_sd, "sites"), (r.rater_sd, f"the {r.raters_per_site} raters of a site"))
        if sd
    ]
    return f"{plan.scale.name}, with the noise of a single rating{''.join(f'; {e}' for e in extra)}"


def _significance(plan: Plan) -> str:
    text = f"two-sided at {plan.alpha}"
    if plan.multiplicity == "bonferroni":
        text += f"; {100 * plan.level:.3g} % for each of {_count(len(plan.arms) - 1, 'comparison')} (Bonferroni)"
    return text


def _adaptive(plan: Plan) -> str:
    a = plan.adaptive
    assert a
    parts = [f"after {', '.join(f'{100 * share:g} %' for share in a.looks)} of the patients"]
    if a.stop:
        bounds = ", ".join(f"{z:.2f}" for z in limits(plan))
        parts.append(f"the trial ends where |z| of the primary endpoint reaches {SHAPE[a.stop]} limits, {bounds}")
    if a.drop_arms_below:
        parts.append(f"an arm is dropped if its predictive chance of success is below {a.drop_arms_below}")
    if a.allocation:
        parts.append(
            f"later patients go to the arms that do better so far (temper {a.temper:g}; every arm keeps "
            f"{100 * a.least_share:g} %)"
        )
    return "; ".join(parts)
