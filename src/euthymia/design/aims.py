"""What a regimen is for and what it costs: measures of a course, the aim, and the limits it must keep.

A measure is one number per virtual patient. The aim is its mean over patients, and so are most limits; a limit on a
chance, `P(highest SBP above 180 mmHg in any session) < 1 %`, counts the patients in whom it happens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from euthymia.errors import UserError
from euthymia.protocol.chart import RELAPSE_MADRS, REMISSION_MADRS, RESPONSE_PERCENT
from euthymia.protocol.quantity import parse
from euthymia.protocol.rules import near

WELL_AGAIN = RESPONSE_PERCENT / 100
NEEDS_PRICES = "cost needs prices; give --price visit=A and --price session=B."


class Lived(NamedTuple):
    """What some patients went through. madrs: true score once a day, [patients, days]; the rest [patients]: visits
    (those held or missed among them), sessions given, ketamine_mg in all, sessions with a systolic pressure of 180 mmHg
    or more, highest systolic pressure and dissociation of any session (NaN without one), misuse_d: day on which
    simulated misuse begins (infinite where it does not)."""

    madrs: np.ndarray
    visits: np.ndarray
    sessions: np.ndarray
    ketamine_mg: np.ndarray
    pressure_episodes: np.ndarray
    highest_sbp: np.ndarray
    highest_cadss: np.ndarray
    misuse_d: np.ndarray


class Measure(NamedTuple):
    """better: which way is wanted; unit: of the number shown; kind: of quantity that limits it (`KINDS`, or "days",
    "per cent"); says: what it is; of: from what was lived, [patients]; assumed: whether it rests on assumed hazards."""

    better: Literal["more", "less"]
    unit: str
    kind: str
    says: str
    of: Callable[[Lived], np.ndarray]
    assumed: bool = False


def _days_below(lived: Lived, limit: np.ndarray | float) -> np.ndarray:
    below = (lived.madrs <= limit).astype(float)
    return (below[:, 1:] + below[:, :-1]).sum(1) / 2


def _response(lived: Lived) -> np.ndarray:
    return lived.madrs <= WELL_AGAIN * lived.madrs[:, :1]


def _to_relapse(lived: Lived) -> np.ndarray:
    """Days from the first response until the score has been that of a relapse for a week; to the horizon where it has
    not; 0 without a response."""
    days = lived.madrs.shape[1]
    responded = _response(lived)
    first = np.where(responded.any(1), responded.argmax(1), days - 1)
    ill = lived.madrs >= RELAPSE_MADRS
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
        "more", "days", "days", "days with a MADRS of 12 or less", lambda x: _days_below(x, REMISSION_MADRS)
    ),
    "days in response": Measure(
        "more",
        "days",
        "days",
        "days with half the first MADRS or less",
        lambda x: _days_below(x, WELL_AGAIN * x.madrs[:, :1]),
    ),
    "mean MADRS": Measure(
        "less", "points", "score", "area under the score, per day",
        lambda x: (x.madrs[:, 1:] + x.madrs[:, :-1]).mean(1) / 2,
    ),
    "remission at the end": Measure(
        "more", "%", "percent", "MADRS of 12 or less on the last day",
        lambda x: _percent(x.madrs[:, -1] <= REMISSION_MADRS),
    ),
    "remission after a week": Measure(
        "more", "%", "percent", "MADRS of 12 or less on day 7",
        lambda x: _percent(x.madrs[:, min(7, x.madrs.shape[1] - 1)] <= REMISSION_MADRS),
    ),
    "response at the end": Measure(
        "more", "%", "percent", "half the first MADRS or less on the last day", lambda x: _percent(_response(x)[:, -1])
    ),
    "time to relapse": Measure(
        "more", "days", "days", "days from the first response to a week of a MADRS of 22 or more", _to_relapse
    ),
    "visits": Measure("less", "visits", "visits", "visits, those without a dose among them", lambda x: x.visits),
    "sessions": Measure("less", "sessions", "sessions", "sessions given", lambda x: x.sessions),
    "cumulative ketamine": Measure("less", "mg", "mass", "ketamine in all", lambda x: x.ketamine_mg),
    "ketamine a week": Measure(
        "less",
        "mg",
        "mass",
        "ketamine per week of the horizon, to which bladder harm is tied in people who use it for pleasure",
        lambda x: 7 * x.ketamine_mg / (x.madrs.shape[1] - 1),
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
BARE = ("days", "visits", "sessions", "cost")


def aim(text: str, better: Literal["more", "less"]) -> Aim:
    """What to maximise ("more") or minimise ("less"). Raises UserError: unknown, or the wrong way round."""
    name = text.strip()
    if name not in MEASURES:
        raise UserError(f"{name!r} is not a measure{near(name, MEASURES)}.")
    wanted = MEASURES[name].better
    if wanted != better:
        verb = {"more": "--maximise", "less": "--minimise"}
        raise UserError(f"{verb[better]} {name!r}: {wanted} of it is better; write {verb[wanted]}.")
    return Aim(name, better)


def limit(text: str) -> Limit:
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
            if name not in MEASURES:
                raise UserError(f'"{text}": {name!r} is not a measure{near(name, MEASURES)}.')
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
