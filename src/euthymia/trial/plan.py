"""The document of a planned trial: who enters, what each arm is given, when they are rated, and how it is analysed.

One YAML file is one trial, complete and sound once it is read; `euthymia.trial.run` carries it out on virtual patients.
"""

from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from euthymia.course.outcomes import SCALES, Scale
from euthymia.errors import UserError
from euthymia.patient.population import has_poles, illness_of
from euthymia.protocol.calendar import Design
from euthymia.protocol.document import DesignBlock, ProtocolId
from euthymia.protocol.quantity import Quantity
from euthymia.protocol.rules import Duration, Entry, Name, Text, When, Written
from euthymia.protocol.safety import Unsound
from euthymia.protocol.words import Population
from euthymia.trial.document import Illness, Times
from euthymia.trial.reading import beside, read_document

MAX_PATIENTS, MAX_SITES = 20_000, 1000
MINUTE_H = 1 / 60

Score = Annotated[Quantity, Written("score")]
Percent = Annotated[Quantity, Written("percent")]
Limit = Annotated[float, Field(ge=0)]
ProtocolName = Annotated[Text, AfterValidator(beside)]
"""A protocol of the catalogue, or a file, which may lie beside the trial's own."""
Type = Literal["parallel", "crossover", "randomised withdrawal"]
What = Literal[
    "change",
    "effect size",
    "response",
    "remission",
    "switch to mania",
    "time to response",
    "time to remission",
    "time to episode",
    "relapse",
]
SCORES = ("change", "effect size")
RATES = ("response", "remission", "switch to mania")
TIMES = ("time to response", "time to remission", "time to episode", "relapse")
EPISODES = ("switch to mania", "time to episode")
"""Of bipolar disorder alone: a manic or hypomanic episode begins; an episode of either pole does."""
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
    (the usual fall) and in remission (at most `limit`) `at` a visit, among `n` patients, by whom (`source`).

    Those who left are in the shares, so nobody leaves this arm.
    """

    response: Percent
    remission: Percent
    limit: Limit | None = None
    at: Duration
    n: Annotated[int, Field(ge=1)]
    source: Text


class PlannedArm(Entry):
    """One arm: a protocol, or sham sessions at its times with the same daily treatments and exposure therapy
    (`sham of`), or rates as `published`.

    In a randomised withdrawal, what follows the lead-in instead: it `goes on`, its doses become `sham`, or its sessions
    `stop`; daily treatments and exposure therapy go on. The one arm with `comparator: yes` is what the others are
    compared with.
    """

    arm: Name
    protocol: ProtocolName | None = None
    sham_of: ProtocolName | None = None
    published: Published | None = None
    after_lead_in: Literal["goes on", "sham", "stops"] | None = None
    comparator: bool = False


class LeadIn(Entry):
    """Everybody's first weeks before a randomised withdrawal, and who is then randomised: `randomised when` holds at
    every time of `at`. Times from the first day; randomisation is at the end of `lasts`."""

    protocol: ProtocolName
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
    a response takes off; limit: highest score of a remission; both by default as usual in the illness (see
    `Plan.fall` and `Plan.limit`). Those who left before count as not having what is counted. Episodes are new ones,
    which begin after randomisation, on a day of their own between visits.
    """

    endpoint: What
    at: Duration | None = None
    analysis: str | None = None
    primary: bool = False
    fall: Annotated[float, Field(gt=0, lt=1)] | None = None
    limit: Limit | None = None

    @property
    def method(self) -> str:
        """The analysis, the usual one where none is given."""
        return self.analysis or ANALYSES[self.endpoint][0]

    @property
    def label(self) -> str:
        """In words, with its own definition where it has one."""
        what = self.endpoint
        if self.limit is not None:
            what += f" (≤ {self.limit:g})"
        if self.fall is not None:
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

    follow rules: arms that have sessions are given them as the rules of their protocol decide, visit by visit, as in
    `follow_rules`, by what a clinic would rate without the errors of sites and raters; by default as planned. Patients
    whose sessions end are rated on.
    """

    trial: ProtocolId
    title: Text
    note: Text | None = None
    illness: Illness
    population: Population
    design: DesignBlock
    type: Type
    inclusion: Annotated[tuple[When, ...], BeforeValidator(_conditions)] = ()
    patients: int
    number_of_sites: Annotated[int, Field(ge=1, le=MAX_SITES)] = 1
    randomisation: Randomisation = Randomisation()
    arms: tuple[PlannedArm, ...]
    lead_in: LeadIn | None = None
    periods: Periods | None = None
    visits: Times
    relapse: Relapse | None = None
    dropout: Dropout | None = None
    unblinding: Percent | None = None
    follow_rules: bool = False
    ratings: Ratings = Ratings()
    endpoints: Annotated[tuple[PlannedEndpoint, ...], Field(min_length=1)]
    alpha: Percent = Quantity("5 %", 5.0, "percent")
    multiplicity: Literal["none", "bonferroni"] = "none"
    adaptive: Adaptive | None = None

    @model_validator(mode="after")
    def _sound(self) -> "Plan":
        from euthymia.trial.soundness import problems

        found = problems(self)
        if found:
            raise Unsound(found)
        return self

    @property
    def name(self) -> str:
        return self.trial

    @property
    def scale(self) -> Scale:
        """The score the trial is about."""
        return SCALES[illness_of(self.population)]

    @property
    def has_episodes(self) -> bool:
        """Whether patients are followed for episodes of bipolar disorder."""
        return has_poles(self.population)

    def fall(self, of: PlannedEndpoint) -> float:
        """Share of the score at entry that a response takes off: the endpoint's own, or that usual in the illness."""
        return self.scale.response if of.fall is None else of.fall

    def limit(self, of: PlannedEndpoint | Published) -> float | None:
        """Highest score of a remission: its own, or that usual in the illness, of which PTSD has none."""
        return self.scale.remission if of.limit is None else of.limit

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


# --- reading ----------------------------------------------------------------------------------------------------------


def examples() -> tuple[str, ...]:
    """The names of the plans that come with the program, in alphabetical order."""
    folder = files("euthymia.trial") / "plans"
    return tuple(sorted(place.name[:-5] for place in folder.iterdir() if place.name.endswith(".yaml")))


def load_plan(path: str | Path) -> Plan:
    """A planned trial from a file, or an example by its name; protocols in files may lie beside it. Raises UserError,
    with file and line if unsound."""
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
    return read_document(text, Path(path).name, Plan, "a planned trial", Path(path).parent)
