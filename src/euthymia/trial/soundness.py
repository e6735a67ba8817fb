"""What makes a planned trial sound: everything about a document that its single fields cannot tell."""

from collections.abc import Iterator
from itertools import pairwise

from euthymia.course.ruled import check
from euthymia.course.simulate import MAXIMUM_WEEKS
from euthymia.errors import UserError
from euthymia.patient.population import between_episodes, illness_of
from euthymia.protocol import Protocol, load, schedule
from euthymia.protocol.calendar import HOURS_PER_DAY, HOURS_PER_WEEK
from euthymia.protocol.reader import Path as Place
from euthymia.protocol.rules import When, near
from euthymia.protocol.safety import Problem
from euthymia.protocol.words import POPULATIONS
from euthymia.trial.document import POPULATION, Illness
from euthymia.trial.plan import (
    ANALYSES,
    EPISODES,
    MAX_PATIENTS,
    MINUTE_H,
    RATES,
    SCORES,
    TIMES,
    Plan,
    Published,
    first_times,
)

FIRST_LOOK = 10
"""Fewest patients at an interim look."""


def populations(illness: Illness) -> tuple[str, ...]:
    """Who can be in a trial of an illness."""
    own = illness_of(POPULATION[illness])
    return tuple(p for p in POPULATIONS if p != "healthy" and illness_of(p) == own)


def problems(plan: Plan) -> list[Problem]:
    """Everything that cannot be, in the order of the checks: where in the document, and what is wrong."""
    return [problem for check in _CHECKS for problem in check(plan)]


def _illness_problems(plan: Plan) -> Iterator[Problem]:
    known = populations(plan.illness)
    if plan.population not in known:
        said = f"{plan.population} is no population of a trial of {plan.illness}; allowed: {', '.join(known)}"
        yield ("population",), said


def _arm_problems(plan: Plan) -> Iterator[Problem]:
    n = len(plan.arms)
    if n < 2:
        yield ("arms",), f"a trial compares two or more arms; this one has {n}"
        return
    names = [arm.arm for arm in plan.arms]
    for k, name in enumerate(names):
        if name in names[:k]:
            yield ("arms", k, "arm"), f'two arms are called "{name}"; each needs a name of its own'
    marked = sum(arm.comparator for arm in plan.arms)
    if marked != 1:
        yield ("arms",), f"exactly one arm must be the `comparator: yes`; {marked} are"
    withdrawal = plan.type == "randomised withdrawal"
    for k, arm in enumerate(plan.arms):
        wanted = ("after_lead_in",) if withdrawal else ("protocol", "sham_of", "published")
        wanted = wanted[:2] if plan.type == "crossover" else wanted
        given = [f for f in ("protocol", "sham_of", "published", "after_lead_in") if getattr(arm, f) is not None]
        if len(given) != 1 or given[0] not in wanted:
            shown = " or ".join(f"`{f.replace('_', ' ')}`" for f in wanted)
            yield ("arms", k), f"an arm of a {plan.type} trial needs {shown}, and nothing else of the kind"
            continue
        for key, name in (("protocol", arm.protocol), ("sham of", arm.sham_of)):
            if name is not None:
                yield from _protocol_problems(plan, ("arms", k, key), name, sham=key == "sham of")
        if arm.published:
            yield from _published_problems(plan, k, arm.published)
    if plan.type == "crossover" and n != 2:
        yield ("arms",), f"a crossover compares two arms; this one has {n}"


def _published_problems(plan: Plan, k: int, known: Published) -> Iterator[Problem]:
    place: Place = ("arms", k, "published")
    if not 0 < known.remission.value < known.response.value < 100:
        yield place, "the shares must rise from 0 % over remission and response to 100 %"
    if plan.adaptive:
        yield place, "an adaptive trial needs a protocol in every arm"
    limit = plan.limit(known)
    if limit is None:
        yield place, _no_remission(plan)
        return
    yield from _limit_problems(plan, (*place, "limit"), known.limit)
    for j, e in enumerate(plan.endpoints):
        same = plan.limit(e) == limit if e.endpoint == "remission" else plan.fall(e) == plan.scale.response
        if e.endpoint not in ("response", "remission") or e.at != known.at or not same:
            fall = f"a fall of {100 * plan.scale.response:g} %"
            what = f"response ({fall}) or remission (at most {limit:g}) at {known.at}"
            yield ("endpoints", j), f'the arm "{plan.arms[k].arm}" is known by published rates alone; compare {what}'


def _no_remission(plan: Plan) -> str:
    return f"remission in {plan.illness} has no accepted definition; give `limit`, its highest {plan.scale.name}"


def _limit_problems(plan: Plan, place: Place, limit: float | None) -> Iterator[Problem]:
    if limit is not None and limit > plan.scale.maximum:
        yield place, f"a limit is at most {plan.scale.maximum:g}, the highest {plan.scale.name}, not {limit:g}"


def _protocol_problems(plan: Plan, place: Place, name: str, sham: bool = False) -> Iterator[Problem]:
    try:
        protocol = load(name)
    except UserError as error:
        yield place, str(error).rstrip(".")
        return
    if sham and not protocol.phases:
        yield place, f"{name} has no sessions that a sham could imitate"
    if protocol.exposure and plan.illness != "PTSD":
        yield place, f"{name} has exposure therapy, which acts in PTSD alone, not in {plan.illness}"


def _patients_problems(plan: Plan) -> Iterator[Problem]:
    r, n = plan.randomisation, len(plan.arms)
    if r.ratio and n >= 2 and len(r.ratio) != n:
        yield ("randomisation", "ratio"), f"the ratio has {len(r.ratio)} numbers for {n} arms; give one for each"
    total = sum(plan.ratio)
    if r.method == "simple" and (r.block is not None or r.stratify_by):
        yield ("randomisation",), "simple randomisation has neither `block` nor `stratify by`"
    if r.block is not None and r.block % total:
        yield (
            ("randomisation", "block"),
            f"a block must be a multiple of {total}, the sum of the ratio; it is {r.block}",
        )
    least = r.block if r.block is not None else total
    if not least <= plan.patients <= MAX_PATIENTS:
        what = "one block" if r.block is not None else "the sum of the ratio"
        yield ("patients",), f"patients must be from {least} ({what}) to {MAX_PATIENTS}, not {plan.patients}"
    one = plan.number_of_sites == 1
    if (plan.design.sites == "one") != one:
        said = "the design has one site" if plan.design.sites == "one" else "the design has many sites"
        yield ("number of sites",), f"{said}, but `number of sites` is {plan.number_of_sites}"
    if one and r.stratify_by:
        yield ("randomisation", "stratify by"), "one site cannot be stratified by"
    if one and plan.ratings.site_sd:
        yield ("ratings", "site sd"), "one site has no spread between sites"
    measured = tuple(dict.fromkeys((plan.scale.name, "MADRS", "age", "failed antidepressant trials")))
    for k, rule in enumerate(plan.inclusion):
        for c in rule:
            if c.measure not in measured:
                allowed = ", ".join(measured)
                yield ("inclusion", k), f'"{c.measure}" cannot be checked at entry; allowed: {allowed}'
    if plan.alpha.value <= 0 or plan.alpha.value >= 100:
        yield ("alpha",), f"alpha must lie between 0 and 100 %, not {plan.alpha}"


def _type_problems(plan: Plan) -> Iterator[Problem]:
    withdrawal = plan.type == "randomised withdrawal"
    for key, given, belongs in (
        ("lead in", plan.lead_in, withdrawal),
        ("relapse", plan.relapse, withdrawal),
        ("periods", plan.periods, plan.type == "crossover"),
    ):
        if given and not belongs:
            yield (key,), f"a {plan.type} trial has no `{key}`"
    if plan.type == "crossover" and not plan.periods:
        yield ("type",), "a crossover needs `periods`, their `length` and `washout`"
    if withdrawal and not plan.lead_in:
        yield ("type",), "a randomised withdrawal needs a `lead in`"
    if lead := plan.lead_in:
        yield from _protocol_problems(plan, ("lead in", "protocol"), lead.protocol)
        if lead.lasts.value <= 0:
            yield ("lead in", "lasts"), "the lead-in must be longer than zero"
        if lead.at and not (lead.at[0] > 0 and lead.at[-1] <= lead.lasts.value):
            yield ("lead in", "at"), f"times must lie after 0 h and within the lead-in, {lead.lasts}"
        yield from _only_scores(plan, ("lead in", "randomised when"), lead.randomised_when)
    if plan.relapse:
        yield from _only_scores(plan, ("relapse", "when"), plan.relapse.when)
        if plan.relapse.consecutive_visits >= len(plan.visits):
            yield ("relapse", "consecutive visits"), "there are fewer visits after the first"
        if not any(e.endpoint == "relapse" for e in plan.endpoints):
            yield ("relapse",), "no endpoint uses this definition; add `endpoint: relapse` or leave it out"
    if plan.periods and (plan.periods.length.value <= 0 or plan.periods.washout.value < 0):
        yield ("periods",), "`length` must be above 0 and `washout` at least 0"


def _only_scores(plan: Plan, place: Place, when: When) -> Iterator[Problem]:
    scores = (plan.scale.name, "MADRS improvement") if plan.scale.name == "MADRS" else (plan.scale.name,)
    for c in when:
        state = c.comparison if c.measure == "state" else None
        if c.measure not in ("state", *scores) or state == "relapse":
            yield place, f'"{state or c.measure}" is not rated here; allowed: {", ".join(scores)}, a state'
        elif state == "remission" and plan.scale.remission is None:
            some = f"{{{plan.scale.name}: at most 20 points}}"
            yield place, f"remission in {plan.illness} has no accepted definition; give a score, such as {some}"


def _visit_problems(plan: Plan) -> Iterator[Problem]:
    v = plan.visits
    if len(v) < 2 or v[0] != 0:
        yield ("visits",), "visits start at 0 h, the rating at entry, and there must be one after it"
        return
    if min(b - a for a, b in pairwise(v)) < MINUTE_H:
        yield ("visits",), "two visits must be at least a minute apart"
    if plan.periods and v[-1] > plan.periods.length.value:
        yield ("visits",), f"the last visit lies after the end of a period, {plan.periods.length}"
    weeks = (first_times(plan)[-1] + v[-1]) / HOURS_PER_WEEK
    if weeks > MAXIMUM_WEEKS:
        yield ("visits",), f"the trial lasts {weeks:.0f} weeks; a course has at most {MAXIMUM_WEEKS}"
    for k, e in enumerate(plan.endpoints):
        place: Place = ("endpoints", k)
        if e.at is None:
            if e.endpoint not in TIMES:
                yield place, f"{e.endpoint} needs `at`, the visit at which it is compared"
        elif e.at.value > v[-1]:
            yield (*place, "at"), f"{e.at} lies after the last visit"
        elif not any(abs(t - e.at.value) < MINUTE_H / 2 for t in v[1:]):
            yield (*place, "at"), f"{e.at} is not one of the visits after entry"


def _endpoint_problems(plan: Plan) -> Iterator[Problem]:
    primary = sum(e.primary for e in plan.endpoints)
    if primary > 1 or (not primary and len(plan.endpoints) > 1):
        yield ("endpoints",), f"exactly one endpoint must be `primary: yes`; {primary} are"
    allowed = {
        "parallel": (*SCORES, *RATES, "time to response", "time to remission", "time to episode"),
        "crossover": ("change",),
        "randomised withdrawal": ("change", *EPISODES, "relapse"),
    }[plan.type]
    for k, e in enumerate(plan.endpoints):
        if e.endpoint not in allowed:
            yield ("endpoints", k, "endpoint"), f"a {plan.type} trial compares {', '.join(allowed)}, not {e.endpoint}"
            continue
        if e.endpoint in EPISODES and not plan.has_episodes:
            yield ("endpoints", k), f"only bipolar disorder has episodes; {e.endpoint} is none of {plan.illness}"
        if between_episodes(plan.population) and e.endpoint.endswith(("response", "remission")):
            yield ("endpoints", k), f"those between episodes have nothing to respond from; leave out {e.endpoint}"
        if e.endpoint.endswith("remission") and plan.limit(e) is None:
            yield ("endpoints", k), _no_remission(plan)
        yield from _limit_problems(plan, ("endpoints", k, "limit"), e.limit)
        if any((e.label, e.method) == (before.label, before.method) for before in plan.endpoints[:k]):
            yield ("endpoints", k), f"{e.label} by {e.method} is compared twice"
        if e.endpoint == "relapse" and not plan.relapse:
            yield ("endpoints", k), "relapse is not defined; add `relapse` with `when` and `consecutive visits`"
        methods = [m for m in ANALYSES[e.endpoint] if e.endpoint != "change" or _fits(plan, m)]
        if plan.type == "crossover" and e.analysis is None:
            yield ("endpoints", k), "a crossover is analysed `within patients`; write it as `analysis`"
        elif e.method not in methods:
            yield ("endpoints", k, "analysis"), f'"{e.method}" is no analysis of {e.endpoint} here{near("", methods)}'
        for key, used in (("fall", "response"), ("limit", "remission")):
            if key in e.model_fields_set and not e.endpoint.endswith(used):
                yield ("endpoints", k, key), f"`{key}` belongs to {used}"


def _fits(plan: Plan, method: str) -> bool:
    return (method == "within patients") == (plan.type == "crossover")


def _dropout_problems(plan: Plan) -> Iterator[Problem]:
    if plan.unblinding and not 0 <= plan.unblinding.value <= 100:
        yield ("unblinding",), f"it must lie from 0 % to 100 %, not {plan.unblinding}"
    d = plan.dropout
    if d is None:
        return
    if not 0 <= d.per_week.value < 100:
        yield ("dropout", "per week"), f"the share who leave must lie from 0 % to below 100 %, not {d.per_week}"
    if (d.at_score is None) != (d.more_per_point is None):
        yield ("dropout",), "`at score` and `more per point` go together"
    elif d.more_per_point is not None and not -50 <= d.more_per_point.value <= 100:
        yield ("dropout", "more per point"), f"it must lie from -50 % to 100 %, not {d.more_per_point}"
    for key, sd in (("site sd", plan.ratings.site_sd), ("rater sd", plan.ratings.rater_sd)):
        if sd is not None and not 0 <= sd.value <= 20:
            yield ("ratings", key), f"it must lie from 0 to 20 points, not {sd}"


def _adaptive_problems(plan: Plan) -> Iterator[Problem]:
    a = plan.adaptive
    if a is None:
        return
    place: Place = ("adaptive",)
    if plan.type != "parallel":
        yield place, f"only a parallel trial can be adaptive, not a {plan.type}"
    if list(a.looks) != sorted(set(a.looks)) or a.looks[-1] != 1:
        yield (*place, "looks"), "looks are rising shares of the patients, the last of which is 1"
    elif round(a.looks[0] * plan.patients) < FIRST_LOOK:
        yield (*place, "looks"), f"the first look must have at least {FIRST_LOOK} patients"
    if not (a.stop or a.drop_arms_below or a.allocation):
        yield place, "nothing is adapted; give `stop`, `drop arms below` or `allocation`"
    if a.drop_arms_below and (len(plan.arms) < 3 or not 0 < a.drop_arms_below.value < 100):
        yield (*place, "drop arms below"), "a chance between 0 and 100 %, in a trial of three or more arms"
    if a.allocation is None and a.model_fields_set & {"temper", "floor"}:
        yield place, "`temper` and `floor` belong to `allocation: response adaptive`"
    if a.allocation and not 0 <= a.least_share <= 1 / len(plan.arms):
        yield (*place, "floor"), f"every one of {len(plan.arms)} arms cannot keep {100 * a.least_share:g} %"
    if a.allocation and plan.randomisation.model_fields_set:
        yield ("randomisation",), "response-adaptive allocation is simple and sets its own ratio; leave this out"
    if plan.primary.endpoint not in ("change", "response", "remission"):
        yield place, "an adaptive trial needs a primary endpoint of change, response or remission"


def _rules_problems(plan: Plan) -> Iterator[Problem]:
    if not plan.follow_rules:
        return
    place: Place = ("follow rules",)
    if plan.type != "parallel":
        yield place, f"only the arms of a parallel trial can follow rules, not those of a {plan.type}"
        return
    if plan.unblinding:
        yield ("unblinding",), "what patients believe cannot be followed together with rules; leave this out"
    within = [t for t in plan.visits if abs(t - HOURS_PER_DAY * round(t / HOURS_PER_DAY)) > MINUTE_H / 2]
    if within:
        yield ("visits",), f"rules are followed day by day; {within[0]:g} h is no whole number of days"
    sessions = False
    for k, arm in enumerate(plan.arms):
        name = arm.protocol or arm.sham_of
        if name is None or (protocol := _known(name)) is None or not protocol.phases:
            continue
        sessions = True
        try:
            check(protocol, schedule(protocol, plan.visits[-1]))
        except UserError as error:
            yield ("arms", k, "protocol" if arm.protocol else "sham of"), str(error).rstrip(".")
    if not sessions:
        yield place, "no arm has sessions at which a rule could decide; leave this out"


def _known(name: str) -> Protocol | None:
    """The protocol, unless it is unsound, which is said of its arm."""
    try:
        return load(name)
    except UserError:
        return None


_CHECKS = (
    _illness_problems,
    _arm_problems,
    _patients_problems,
    _type_problems,
    _visit_problems,
    _endpoint_problems,
    _dropout_problems,
    _adaptive_problems,
    _rules_problems,
)
