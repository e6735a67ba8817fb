"""The document of a planned trial: who enters, what each arm is given, when they are rated, and how it is analysed.

One YAML file is one trial, complete and sound once it is read; `euthymia.trial.run` carries it out on virtual patients.
"""

from collections.abc import Iterator
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from euthymia.course.outcomes import REMISSION_MADRS, RESPONSE
from euthymia.course.simulate import MAXIMUM_WEEKS
from euthymia.errors import UserError
from euthymia.protocol import load
from euthymia.protocol.calendar import HOURS_PER_WEEK, Design
from euthymia.protocol.document import DesignBlock, ProtocolId
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.reader import Path as Place
from euthymia.protocol.rules import Duration, Entry, Name, Text, When, Written, near
from euthymia.protocol.safety import Problem, Unsound
from euthymia.trial.document import Times
from euthymia.trial.reading import read_document

MAX_PATIENTS = 20_000
FIRST_LOOK = 10
"""Fewest patients at an interim look."""
ENTRY_MEASURES = ("MADRS", "age", "failed antidepressant trials")
MINUTE_H = 1 / 60

Score = Annotated[Quantity, Written("score")]
Percent = Annotated[Quantity, Written("percent")]
Type = Literal["parallel", "crossover", "randomised withdrawal"]
What = Literal["change", "effect size", "response", "remission", "time to response", "time to remission", "relapse"]
SCORES = ("change", "effect size")
RATES = ("response", "remission")
TIMES = ("time to response", "time to remission", "relapse")
_METHODS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("change",), ("ancova", "mmrm", "within patients")),
    (("effect size",), ("hedges g",)),
    (RATES, ("risk difference",)),
    (TIMES, ("cox", "log-rank", "kaplan-meier")),
)
ANALYSES = {kind: methods for kinds, methods in _METHODS for kind in kinds}
"""How each endpoint can be analysed, the usual way first."""


def _conditions(given: object) -> object:
    return [given] if isinstance(given, dict) else given


class Randomisation(Entry):
    """Who decides the arm. `ratio` has a whole number for each arm in their order; `block` counts patients."""

    method: Literal["simple", "block"] = "block"
    block: Annotated[int, Field(ge=1)] | None = None
    ratio: tuple[Annotated[int, Field(ge=1)], ...] = ()
    stratify_by: tuple[Literal["site"], ...] = ()


class Published(Entry):
    """What is known of an arm that is no model, such as electroconvulsive therapy: the published shares in response
    (half the score at entry) and in remission (at most `limit`) `at` a visit, among `n` patients, by whom (`source`).

    Those who left are in the shares, so nobody leaves this arm.
    """

    response: Percent
    remission: Percent
    limit: Annotated[float, Field(ge=0, le=60)] = REMISSION_MADRS
    at: Duration
    n: Annotated[int, Field(ge=1)]
    source: Text


class PlannedArm(Entry):
    """One arm: a protocol, or sham sessions at its times with the same daily treatments (`sham of`), or rates as
    `published`.

    In a randomised withdrawal, what follows the lead-in instead: it `goes on`, its doses become `sham`, or its sessions
    `stop`; daily treatments go on. The one arm with `comparator: yes` is what the others are compared with.
    """

    arm: Name
    protocol: Text | None = None
    sham_of: Text | None = None
    published: Published | None = None
    after_lead_in: Literal["goes on", "sham", "stops"] | None = None
    comparator: bool = False


class LeadIn(Entry):
    """Everybody's first weeks before a randomised withdrawal, and who is then randomised: `randomised when` holds at
    every time of `at`. Times from the first day; randomisation is at the end of `lasts`."""

    protocol: Text
    lasts: Duration
    randomised_when: When
    at: Annotated[Times, Field(min_length=1)]


class Relapse(Entry):
    """`when` holds at so many `consecutive visits`; the last of them, which confirms the relapse, is its time."""

    when: When
    consecutive_visits: Annotated[int, Field(ge=1)] = 1


class Periods(Entry):
    """Of a crossover: how long each lasts, and the time without treatment in between."""

    length: Duration
    washout: Duration


class Dropout(Entry):
    """Share of patients who leave in a week, at the score `at score`; each point of the last rating above it raises the
    hazard by `more per point` (missing at random)."""

    per_week: Percent
    at_score: Score | None = None
    more_per_point: Percent | None = None


class Ratings(Entry):
    """Errors beyond those of one rating: SD between sites, and between the raters of a site."""

    site_sd: Score | None = None
    rater_sd: Score | None = None
    raters_per_site: Annotated[int, Field(ge=1, le=100)] = 2


class PlannedEndpoint(Entry):
    """What is compared between each arm and the comparator.

    at: a visit (times to an event: the last counted, by default the last visit); fall: share of the score at entry that
    a response takes off; limit: highest score of a remission. Those who left are not responders or remitters.
    """

    endpoint: What
    at: Duration | None = None
    analysis: str | None = None
    primary: bool = False
    fall: Annotated[float, Field(gt=0, lt=1)] = RESPONSE
    limit: Annotated[float, Field(ge=0, le=60)] = REMISSION_MADRS

    @property
    def method(self) -> str:
        """The analysis, the usual one where none is given."""
        return self.analysis or ANALYSES[self.endpoint][0]

    @property
    def label(self) -> str:
        """In words, with its own definition where it has one."""
        what = self.endpoint
        if "limit" in self.model_fields_set:
            what += f" (≤ {self.limit:g})"
        if "fall" in self.model_fields_set:
            what += f" (fall of {100 * self.fall:g} %)"
        return what if self.at is None else f"{what} at {self.at}"


class Adaptive(Entry):
    """Looks at shares of the patients, the last being all (1), each when everybody so far has finished.

    stop: for efficacy, at the limits of that shape; drop arms below: their predictive chance of success;
    allocation: to the arms that do better so far (`temper` 0 to 1, every arm keeping `floor`).
    """

    looks: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=2, max_length=20)]
    stop: Literal["obrien_fleming", "pocock"] | None = None
    drop_arms_below: Percent | None = None
    allocation: Literal["response adaptive"] | None = None
    temper: Annotated[float, Field(ge=0, le=1)] = 0.5
    floor: Percent | None = None

    @property
    def least_share(self) -> float:
        """Share of the patients that every arm keeps."""
        return self.floor.value / 100 if self.floor else 0.1


class Plan(Entry):
    """A planned trial. `patients` counts those randomised; visits are times from randomisation (in a crossover: from
    the start of each period), of which the first, 0 h, is the rating at entry.

    unblinding: by which share the response that is not the drug's is more in those who believe they were given the
    drug, because a session since randomisation (or in this period) brought dissociation they would report, and less in
    all others. Assumed: no trial has measured it.
    """

    trial: ProtocolId
    title: Text
    note: Text | None = None
    illness: Literal["depression"]
    population: Literal["TRD", "MDD"]
    design: DesignBlock
    type: Type
    inclusion: Annotated[tuple[When, ...], BeforeValidator(_conditions)] = ()
    patients: int
    number_of_sites: Annotated[int, Field(ge=1, le=1000)] = 1
    randomisation: Randomisation = Randomisation()
    arms: tuple[PlannedArm, ...]
    lead_in: LeadIn | None = None
    periods: Periods | None = None
    visits: Times
    relapse: Relapse | None = None
    dropout: Dropout | None = None
    unblinding: Percent | None = None
    ratings: Ratings = Ratings()
    endpoints: Annotated[tuple[PlannedEndpoint, ...], Field(min_length=1)]
    alpha: Percent = Quantity("5 %", 5.0, "percent")
    multiplicity: Literal["none", "bonferroni"] = "none"
    adaptive: Adaptive | None = None

    @model_validator(mode="after")
    def _sound(self) -> "Plan":
        found = [problem for check in _CHECKS for problem in check(self)]
        if found:
            raise Unsound(found)
        return self

    @property
    def name(self) -> str:
        return self.trial

    @cached_property
    def ratio(self) -> tuple[int, ...]:
        """Whole numbers, one per arm."""
        return self.randomisation.ratio or (1,) * len(self.arms)

    @cached_property
    def control(self) -> int:
        """Number of the comparator among the arms."""
        return next(k for k, arm in enumerate(self.arms) if arm.comparator)

    @cached_property
    def primary(self) -> PlannedEndpoint:
        """The endpoint that decides."""
        return next((e for e in self.endpoints if e.primary), self.endpoints[0])

    @property
    def level(self) -> float:
        """Two-sided significance level of one comparison."""
        alpha = self.alpha.value / 100
        return alpha / (len(self.arms) - 1) if self.multiplicity == "bonferroni" else alpha

    def visit(self, at: Quantity) -> int:
        """Number of the visit at that time."""
        return next(k for k, t in enumerate(self.visits) if abs(t - at.value) < MINUTE_H / 2)

    def design_of_course(self) -> Design:
        return Design(self.design.expectancy, self.design.setting, self.design.sites)


# --- its parts --------------------------------------------------------------------------------------------------------


def groups(plan: Plan) -> list[str]:
    """What patients are randomised to: arms, or sequences of a crossover."""
    names = [arm.arm for arm in plan.arms]
    return [", then ".join(names), ", then ".join(names[::-1])] if plan.periods else names


def first_times(plan: Plan) -> tuple[float, ...]:
    """When each part of the follow-up begins (h): one, or the two periods of a crossover."""
    if plan.periods:
        return (0.0, plan.periods.length.value + plan.periods.washout.value)
    return (plan.lead_in.lasts.value if plan.lead_in else 0.0,)


# --- what cannot be ---------------------------------------------------------------------------------------------------


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
                yield from _protocol_problems(("arms", k, key), name, sham=key == "sham of")
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
    for j, e in enumerate(plan.endpoints):
        same = e.endpoint != "remission" or e.limit == known.limit
        if e.endpoint not in RATES or e.at != known.at or e.fall != RESPONSE or not same:
            what = f"response (half) or remission (at most {known.limit:g}) at {known.at}"
            yield ("endpoints", j), f'the arm "{plan.arms[k].arm}" is known by published rates alone; compare {what}'


def _protocol_problems(place: Place, name: str, sham: bool = False) -> Iterator[Problem]:
    try:
        protocol = load(name)
    except UserError as error:
        yield place, str(error).rstrip(".")
        return
    if sham and not protocol.phases:
        yield place, f"{name} has no sessions that a sham could imitate"


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
    for k, rule in enumerate(plan.inclusion):
        for c in rule:
            if c.measure not in ENTRY_MEASURES:
                allowed = ", ".join(ENTRY_MEASURES)
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
        yield from _protocol_problems(("lead in", "protocol"), lead.protocol)
        if lead.lasts.value <= 0:
            yield ("lead in", "lasts"), "the lead-in must be longer than zero"
        if lead.at and not (lead.at[0] > 0 and lead.at[-1] <= lead.lasts.value):
            yield ("lead in", "at"), f"times must lie after 0 h and within the lead-in, {lead.lasts}"
        yield from _only_scores(("lead in", "randomised when"), lead.randomised_when)
    if plan.relapse:
        yield from _only_scores(("relapse", "when"), plan.relapse.when)
        if plan.relapse.consecutive_visits >= len(plan.visits):
            yield ("relapse", "consecutive visits"), "there are fewer visits after the first"
        if not any(e.endpoint == "relapse" for e in plan.endpoints):
            yield ("relapse",), "no endpoint uses this definition; add `endpoint: relapse` or leave it out"
    if plan.periods and (plan.periods.length.value <= 0 or plan.periods.washout.value < 0):
        yield ("periods",), "`length` must be above 0 and `washout` at least 0"


def _only_scores(place: Place, when: When) -> Iterator[Problem]:
    for c in when:
        state = c.comparison if c.measure == "state" else None
        if c.measure not in ("state", "MADRS", "MADRS improvement") or state == "relapse":
            yield place, f'"{state or c.measure}" is not rated here; allowed: MADRS, MADRS improvement, a state'


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
        "parallel": (*SCORES, *RATES, "time to response", "time to remission"),
        "crossover": ("change",),
        "randomised withdrawal": ("change", "relapse"),
    }[plan.type]
    for k, e in enumerate(plan.endpoints):
        if e.endpoint not in allowed:
            yield ("endpoints", k, "endpoint"), f"a {plan.type} trial compares {', '.join(allowed)}, not {e.endpoint}"
            continue
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
    if plan.primary.endpoint not in ("change", *RATES):
        yield place, "an adaptive trial needs a primary endpoint of change, response or remission"


_CHECKS = (
    _arm_problems,
    _patients_problems,
    _type_problems,
    _visit_problems,
    _endpoint_problems,
    _dropout_problems,
    _adaptive_problems,
)


# --- reading ----------------------------------------------------------------------------------------------------------


def examples() -> tuple[str, ...]:
    """The names of the plans that come with the program, in alphabetical order."""
    folder = files("euthymia.trial") / "plans"
    return tuple(sorted(place.name[:-5] for place in folder.iterdir() if place.name.endswith(".yaml")))


def load_plan(path: str | Path) -> Plan:
    """A planned trial from a file, or an example by its name. Raises UserError, with file and line if unsound."""
    name = str(path)
    if name in examples():
        text = (files("euthymia.trial") / "plans" / f"{name}.yaml").read_text("utf-8")
        return read_document(text, f"{name}.yaml", Plan, "a planned trial")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file in UTF-8"
        raise UserError(
            f"{name}: cannot be read ({reason}); give the file of a planned trial, or one of the examples: "
            f"{', '.join(examples())}."
        ) from None
    return read_document(text, Path(path).name, Plan, "a planned trial")
