"""What a regimen is for and what it costs: measures of a course, the aim, and the limits it must keep.

A measure is one number per virtual patient. The aim is its mean over patients, and so are most limits; a limit on a
chance, `P(highest SBP above 180 mmHg in any session) < 1 %`, counts the patients in whom it happens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from euthymia.course.outcomes import SCALES, new_episodes
from euthymia.errors import UserError
from euthymia.illness.bipolar import HALF_WAY, POLES
from euthymia.protocol.chart import RELAPSE_MADRS, REMISSION_MADRS
from euthymia.protocol.quantity import parse
from euthymia.protocol.rules import near

DAYS_PER_YEAR = 365.25
ILLNESSES = {"depression": "depression", "bipolar": "bipolar disorder", "ptsd": "PTSD"}
"""Every illness (a key of `SCALES`), as it is called."""
OF_MOOD = ("depression", "bipolar")
NEEDS_PRICES = "cost needs prices; give --price visit=A and --price session=B."


class Lived(NamedTuple):
    """What some patients went through. illness: a key of `SCALES`; scores: true ones once a day, by name, the poles of
    bipolar disorder among them, [patients, days]; the rest [patients]: visits (those held or missed among them),
    sessions given, ketamine_mg in all, sessions with a systolic pressure of 180 mmHg or more, highest systolic pressure
    and dissociation of any session (NaN without one), misuse_d: day on which simulated misuse begins (infinite where it
    does not)."""

    illness: str
    scores: Mapping[str, np.ndarray]
    visits: np.ndarray
    sessions: np.ndarray
    ketamine_mg: np.ndarray
    pressure_episodes: np.ndarray
    highest_sbp: np.ndarray
    highest_cadss: np.ndarray
    misuse_d: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """That by which the illness is followed."""
        return self.scores[SCALES[self.illness].name]

    @property
    def days(self) -> int:
        """The horizon."""
        return self.score.shape[1] - 1


class Measure(NamedTuple):
    """better: which way is wanted; unit: of the number shown; kind: of quantity that limits it (`KINDS`, or "days",
    "per cent"); says: what it is, of "SCALE" and "FALL" those of the illness; of: from what was lived, [patients];
    illnesses: for which it has a meaning; assumed: whether it rests on assumed hazards."""

    better: Literal["more", "less"]
    unit: str
    kind: str
    says: str
    of: Callable[[Lived], np.ndarray]
    illnesses: tuple[str, ...] = tuple(ILLNESSES)
    assumed: bool = False

    def words(self, illness: str) -> str:
        """What it is, in an illness."""
        scale = SCALES[illness]
        return self.says.replace("SCALE", scale.name).replace("FALL", f"{100 * scale.response:g} %")


def _mean(x: np.ndarray) -> np.ndarray:
    return (x[:, 1:] + x[:, :-1]).mean(1) / 2


def _days(yes: np.ndarray) -> np.ndarray:
    return (yes.shape[1] - 1) * _mean(yes.astype(float))


def response(lived: Lived) -> np.ndarray:
    """Whether each patient is in response on each day, [patients, days]."""
    return lived.score <= (1 - SCALES[lived.illness].response) * lived.score[:, :1]


def remission(lived: Lived) -> np.ndarray:
    """The same of remission of depression."""
    return lived.scores["MADRS"] <= REMISSION_MADRS


def well(lived: Lived) -> np.ndarray:
    """The same of remission without mania, in bipolar disorder."""
    return remission(lived) & (lived.scores["manic pole"] < HALF_WAY)


def _begun(lived: Lived, *poles: str) -> np.ndarray:
    """How many new episodes of these poles begin."""
    return sum((new_episodes(pole, lived.scores[f"{pole} pole"].T)[0] for pole in poles), np.zeros(len(lived.visits)))


def _a_year(lived: Lived, *poles: str) -> np.ndarray:
    return DAYS_PER_YEAR / lived.days * _begun(lived, *poles)


def _to_relapse(lived: Lived) -> np.ndarray:
    """Days from the first response until the score has been that of a relapse for a week; to the horizon where it has
    not; 0 without a response."""
    days = lived.days + 1
    responded = response(lived)
    first = np.where(responded.any(1), responded.argmax(1), days - 1)
    ill = lived.score >= RELAPSE_MADRS
    for _ in range(7):
        ill[:, :-1] &= ill[:, 1:]
    ill[:, -7:] = False
    later = ill & (np.arange(days) > first[:, None])
    return np.where(later.any(1), later.argmax(1), days - 1) - first


def _unpriced(lived: Lived) -> np.ndarray:
    raise UserError(NEEDS_PRICES)


def _percent(x: np.ndarray) -> np.ndarray:
    return 100.0 * x


MEASURES: dict[str, Measure] = {
    "days in remission": Measure(
        "more", "days", "days", "days with a MADRS of 12 or less", lambda x: _days(remission(x)), OF_MOOD
    ),
    "days well": Measure(
        "more", "days", "days", "days with a MADRS of 12 or less on which the patient is not manic or hypomanic",
        lambda x: _days(well(x)), ("bipolar",),
    ),
    "days in response": Measure(
        "more", "days", "days", "days with a SCALE lower than the first by FALL or more", lambda x: _days(response(x))
    ),
    "mean MADRS": Measure(
        "less", "points", "score", "area under the MADRS, per day", lambda x: _mean(x.scores["MADRS"])
    ),
    "mean YMRS": Measure(
        "less", "points", "score", "area under the YMRS, per day", lambda x: _mean(x.scores["YMRS"]), ("bipolar",)
    ),
    "mean CAPS-5": Measure(
        "less", "points", "score", "area under the CAPS-5, per day", lambda x: _mean(x.scores["CAPS-5"]), ("ptsd",)
    ),
    "CAPS-5 at the end": Measure(
        "less", "points", "score", "CAPS-5 on the last day", lambda x: x.scores["CAPS-5"][:, -1], ("ptsd",)
    ),
    "remission at the end": Measure(
        "more", "%", "percent", "MADRS of 12 or less on the last day", lambda x: _percent(remission(x)[:, -1]), OF_MOOD
    ),
    "remission after a week": Measure(
        "more", "%", "percent", "MADRS of 12 or less on day 7",
        lambda x: _percent(remission(x)[:, min(7, x.days)]), OF_MOOD,
    ),
    "response at the end": Measure(
        "more", "%", "percent", "SCALE lower than the first by FALL or more on the last day",
        lambda x: _percent(response(x)[:, -1]),
    ),
    "time to relapse": Measure(
        "more", "days", "days", "days from the first response to a week of a MADRS of 22 or more", _to_relapse,
        ("depression",),
    ),
    "episodes a year": Measure(
        "less", "episodes", "episodes", "new episodes of depression (two weeks or longer) and of mania or hypomania "
        "(four days or longer), per year of the horizon", lambda x: _a_year(x, *POLES), ("bipolar",),
    ),
    "depressive episodes a year": Measure(
        "less", "episodes", "episodes", "new episodes of depression, of two weeks or longer, per year of the horizon",
        lambda x: _a_year(x, "depressive"), ("bipolar",),
    ),
    "manic episodes a year": Measure(
        "less", "episodes", "episodes", "new episodes of mania or hypomania, of four days or longer, per year of the "
        "horizon", lambda x: _a_year(x, "manic"), ("bipolar",),
    ),
    "switch to mania": Measure(
        "less", "%", "percent", "patients in whom mania or hypomania of four days or longer begins",
        lambda x: _percent(_begun(x, "manic") > 0), ("bipolar",),
    ),
    "visits": Measure("less", "visits", "visits", "visits, those without a dose among them", lambda x: x.visits),
    "sessions": Measure("less", "sessions", "sessions", "sessions given", lambda x: x.sessions),
    "cumulative ketamine": Measure("less", "mg", "mass", "ketamine in all", lambda x: x.ketamine_mg),
    "ketamine a week": Measure(
        "less",
        "mg",
        "mass",
        "ketamine per week of the horizon, to which bladder harm is tied in people who use it for pleasure",
        lambda x: 7 * x.ketamine_mg / x.days,
    ),
    "highest CADSS": Measure(
        "less", "points", "score", "strongest dissociation of any session", lambda x: np.nan_to_num(x.highest_cadss)
    ),
    "highest SBP": Measure(
        "less", "mmHg", "pressure", "highest systolic pressure in any session", lambda x: np.nan_to_num(x.highest_sbp)
    ),
    "pressure episodes": Measure(
        "less", "sessions", "sessions", "sessions with a systolic pressure of 180 mmHg or more",
        lambda x: x.pressure_episodes,
    ),
    "misuse": Measure(
        "less", "%", "percent", "patients in whom simulated misuse begins; its hazard is assumed",
        lambda x: _percent(np.isfinite(x.misuse_d)), assumed=True,
    ),
    "cost": Measure(
        "less", "", "cost", "prices times visits and sessions, in the currency of the prices; not discounted",
        _unpriced,
    ),
}  # fmt: skip


DEFAULT_AIM = {"depression": "days in remission", "bipolar": "days well", "ptsd": "days in response"}
DEFAULT_BURDENS = {
    "depression": ("cumulative ketamine", "visits"),
    "bipolar": ("cumulative ketamine", "visits", "manic episodes a year"),
    "ptsd": ("cumulative ketamine", "visits"),
}
"""By illness, what is maximised and what stands beside it where nobody asks for others."""


class Curve(NamedTuple):
    """Of what is kept by day. name: of the values; title and unit: on a page; of: from what was lived, [patients,
    days]."""

    name: str
    title: str
    unit: str
    of: Callable[[Lived], np.ndarray]


_MADRS = Curve("mean MADRS by day", "Mean MADRS", "mean MADRS (points)", lambda x: x.scores["MADRS"])
_REMISSION = Curve("remission by day", "In remission", "in remission (%)", lambda x: _percent(remission(x)))
CURVES: dict[str, tuple[Curve, ...]] = {
    "depression": (_MADRS, _REMISSION),
    "bipolar": (
        _MADRS,
        _REMISSION,
        Curve("well by day", "Well: in remission and not manic", "well (%)", lambda x: _percent(well(x))),
        Curve("mean YMRS by day", "Mean YMRS", "mean YMRS (points)", lambda x: x.scores["YMRS"]),
    ),
    "ptsd": (
        Curve("mean CAPS-5 by day", "Mean CAPS-5", "mean CAPS-5 (points)", lambda x: x.scores["CAPS-5"]),
        Curve("response by day", "In response", "in response (%)", lambda x: _percent(response(x))),
    ),
}
"""By illness: the score by which it is followed, the share who are well by it, and others."""


class Prices(NamedTuple):
    """What one visit costs, those without a dose among them, and what a session given costs beside it: in one currency,
    of one year and seen from whoever pays, as whoever asks has chosen; there are no default prices."""

    visit: float
    session: float

    def cost(self, visits: np.ndarray, sessions: np.ndarray) -> np.ndarray:
        """By patient."""
        return self.visit * visits + self.session * sessions

    def __str__(self) -> str:
        return f"{self.visit:g} per visit and {self.session:g} more per session with a dose"


def prices(texts: Sequence[str]) -> Prices | None:
    """Prices, as "visit=150" and "session=400"; None without any, and what is not named costs nothing. Raises UserError
    for anything else."""
    given: dict[str, float] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name not in Prices._fields:
            raise UserError(f'--price "{text}": {name!r} has no price here; allowed: visit=A and session=B.')
        if name in given:
            raise UserError(f"--price: {name} is priced twice.")
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,4})?", value):
            raise UserError(f'--price "{text}": "{value}" is not a price; write a number such as {name}=150.')
        given[name] = float(value)
    if given and not any(given.values()):
        raise UserError("--price: a price must be above 0.")
    return Prices(given.get("visit", 0.0), given.get("session", 0.0)) if given else None


class Aim(NamedTuple):
    """What is maximised or minimised."""

    measure: str
    better: Literal["more", "less"]

    @property
    def sign(self) -> float:
        """By which a value is multiplied, so that more is better."""
        return 1.0 if self.better == "more" else -1.0


class Limit(NamedTuple):
    """What must hold: the mean of a measure, or where `chance` is a share, that in no more than that share of patients
    the comparison holds. text: as asked."""

    text: str
    measure: str
    comparison: str
    value: float
    chance: float | None = None

    def holds_in(self, x: np.ndarray) -> np.ndarray:
        """Where the comparison holds, of values by patient."""
        return {
            "above": x > self.value,
            "at least": x >= self.value,
            "below": x < self.value,
            "at most": x <= self.value,
        }[self.comparison]


COMPARISONS = ("above", "at least", "below", "at most")
SIGNS = {">=": "at least", "≥": "at least", "<=": "at most", "≤": "at most", ">": "above", "<": "below"}
CHANCE = re.compile(r"[Pp]\((.*)\)\s*(<=?|≤|below|at most)\s*([0-9]+(?:\.[0-9]+)?)\s*(?:%|percent|per cent)")
ANY_SESSION = " in any session"
HIGHEST = "highest "
"""Of any session: how the names of such measures begin."""
BARE = ("days", "visits", "sessions", "episodes", "cost")


def measures(illness: str) -> dict[str, Measure]:
    """Those that have a meaning in an illness."""
    return {name: measure for name, measure in MEASURES.items() if illness in measure.illnesses}


def check_measure(name: str, illness: str, before: str = "") -> None:
    """Raises UserError, which begins with `before`, where there is no such measure in an illness."""
    if name not in MEASURES:
        raise UserError(f"{before}{name!r} is not a measure{near(name, measures(illness))}.")
    if name not in measures(illness):
        why = ", where no score is accepted as remission" if illness == "ptsd" and "remission" in name else ""
        raise UserError(
            f"{before}{name!r} is not a measure of {ILLNESSES[illness]}{why}; allowed: {', '.join(measures(illness))}."
        )


def aim(text: str, better: Literal["more", "less"], illness: str = "depression") -> Aim:
    """What to maximise ("more") or minimise ("less"). Raises UserError: unknown in the illness, or the wrong way
    round."""
    name = text.strip()
    check_measure(name, illness)
    wanted = MEASURES[name].better
    if wanted != better:
        verb = {"more": "--maximise", "less": "--minimise"}
        raise UserError(f"{verb[better]} {name!r}: {wanted} of it is better; write {verb[wanted]}.")
    return Aim(name, better)


def limit(text: str, illness: str = "depression") -> Limit:
    """A limit, as "cumulative ketamine at most 2000 mg" or "P(highest SBP above 180 mmHg in any session) < 1 %"; signs
    such as < stand for words. Raises UserError."""
    chance = CHANCE.fullmatch(text.strip())
    if not chance and re.match(r"[Pp]\s*\(", text.strip()):
        raise UserError(
            f'"{text}" is not a limit on a chance; write how seldom something must happen, in %, as '
            '"P(highest SBP above 180 mmHg in any session) < 1 %".'
        )
    inner, share = (chance[1].strip(), float(chance[3]) / 100) if chance else (text.strip(), None)
    if share is not None and not 0 < share < 1:
        raise UserError(f'"{text}": the chance must lie between 0 and 100 %.')
    of_session, inner = inner.endswith(ANY_SESSION), inner.removesuffix(ANY_SESSION)
    for sign, word in SIGNS.items():
        inner = re.sub(rf"\s*{sign}\s*", f" {word} ", inner)
    for comparison in COMPARISONS:
        name, found, value = inner.partition(f" {comparison} ")
        if found:
            name = name.strip()
            name = HIGHEST + name if of_session and HIGHEST + name in MEASURES else name
            if of_session and name in MEASURES and not name.startswith(HIGHEST):
                raise UserError(f'"{text}": {name!r} is not a measure of a session; leave out "{ANY_SESSION.strip()}".')
            check_measure(name, illness, f'"{text}": ')
            return Limit(text.strip(), name, comparison, _value(text, MEASURES[name].kind, value.strip()), share)
    raise UserError(
        f'"{text}" is not a limit; write it as "cumulative ketamine at most 2000 mg" or '
        '"P(highest SBP above 180 mmHg in any session) < 1 %".'
    )


def _value(text: str, kind: str, value: str) -> float:
    if kind in BARE:
        match = re.fullmatch(rf"([0-9]+(?:\.[0-9]+)?)\s*(?:{kind}|{kind.removesuffix('s')})?", value)
        if not match:
            raise UserError(f'"{text}": "{value}" is not a number of {kind}.')
        return float(match[1])
    try:
        return parse(value, kind).value
    except ValueError as error:
        raise UserError(f'"{text}": {error}.') from None


def contradictory(limits: Sequence[Limit]) -> str | None:
    """A sentence where two limits cannot both hold, whatever the regimen."""
    for a in limits:
        for b in limits:
            if a.measure == b.measure and a.chance is None and b.chance is None:
                up, down = a.comparison in ("above", "at least"), b.comparison in ("below", "at most")
                if up and down and a.value > b.value:
                    return f'"{a.text}" and "{b.text}" cannot both hold.'
    return None
