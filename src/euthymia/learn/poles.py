"""Fit the poles of bipolar disorder to cohorts followed for years: how often episodes begin, and how long they last.

What a cohort found is set beside the same quantity counted in simulated patients without treatment effects, so the
poles are those of people under usual care. Every set of parameters meets the same chance, which makes the counts
smooth enough for Gauss-Newton steps on differences; the curvature at the end gives the uncertainty (Laplace).
"""

from collections.abc import Callable, Sequence
from math import log
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.optimize import least_squares

from euthymia import evidence
from euthymia.illness.bipolar import FITTED_TO_COHORTS, HALF_WAY, LEAST_DAYS, STEP_H, Episode, Pole, course, episodes
from euthymia.learn.calibrate import Moved
from euthymia.patient.random import normals

YEAR_D = 365
BURN_IN_YEARS, YEARS = 2, 10
PATIENTS = 1000
DIFFERENCE = 0.1  # of the standardised parameters: counts are not quite smooth
MOST_STEPS = 20
RAPID = 4
"""Episodes a year from which cycling is called rapid."""


class Followed(NamedTuple):
    """Simulated people, after the burn-in: daily [days, patients] and episodes by pole, and their instability."""

    depressive: np.ndarray
    manic: np.ndarray
    depressions: list[Episode]
    manias: list[Episode]
    instability: np.ndarray

    @property
    def days(self) -> int:
        return len(self.depressive)

    def begun(self) -> list[Episode]:
        """All episodes that began in the time followed, in the order of patient and day."""
        return sorted(e for e in (*self.depressions, *self.manias) if e.start > 0)


class Finding(NamedTuple):
    """A published value with its standard error, and how it is counted: shares, or (`as_log`) logs."""

    evidence: str
    what: str
    value: float
    se: float
    count: Callable[[Followed], float]
    as_log: bool = False


def _lasting(found: Sequence[Episode], days: int) -> np.ndarray:
    """Durations (days) of episodes that began early enough to be seen to their end."""
    return np.array([e.end - e.start for e in found if 0 < e.start < days - 2 * YEAR_D])


def _median_weeks(f: Followed) -> float:
    return log(np.median(_lasting(f.depressions, f.days)) / 7)


def _depression_over_mania(f: Followed) -> float:
    return log(_lasting(f.depressions, f.days).mean() / _lasting(f.manias, f.days).mean())


def _a_year(low: int, high: float) -> Callable[[Followed], float]:
    def share(f: Followed) -> float:
        years = f.days // YEAR_D
        count = np.zeros((years, f.depressive.shape[1]))
        for e in f.begun():
            if e.start < years * YEAR_D:
                count[e.start // YEAR_D, e.patient] += 1
        return float(((count >= low) & (count <= high)).mean())

    return share


def _waits(f: Followed, next_pole: Sequence[Episode]) -> np.ndarray:
    """Days from the end of each depressive episode to the next episode of `next_pole`; infinite where none was seen."""
    starts = {p: np.sort([e.start for e in next_pole if e.patient == p]) for p in {e.patient for e in next_pole}}
    waits = []
    for e in f.depressions:
        if e.end < f.days - 2 * YEAR_D:
            later = starts.get(e.patient, np.empty(0))
            k = np.searchsorted(later, e.end)
            waits.append(later[k] - e.end if k < len(later) else np.inf)
    return np.array(waits)


def _quarter_weeks(pole: str) -> Callable[[Followed], float]:
    def weeks(f: Followed) -> float:
        waits = _waits(f, f.depressions if pole == "depressive" else f.manias)
        return log(np.quantile(np.minimum(waits, f.days), 0.25) / 7)

    return weeks


def _next_is_depressive(f: Followed) -> float:
    depressive, manic = _waits(f, f.depressions), _waits(f, f.manias)
    either = np.isfinite(np.minimum(depressive, manic))
    return float((depressive < manic)[either].mean())


def _switched(f: Followed) -> float:
    """Share of depressive episodes in which mania begins before they end."""
    starts: dict[int, list[int]] = {}
    for e in f.manias:
        starts.setdefault(e.patient, []).append(e.start)
    seen = [e for e in f.depressions if 0 < e.start < f.days - 2 * YEAR_D]
    return float(np.mean([any(e.start <= s < e.end for s in starts.get(e.patient, ())) for e in seen]))


def _share_of_days(manic: bool, depressive: bool) -> Callable[[Followed], float]:
    return lambda f: log(
        float((((f.manic > HALF_WAY) == manic) & ((f.depressive > HALF_WAY) == depressive)).mean()) + 1e-4
    )


def findings() -> tuple[Finding, ...]:
    """What the cohorts of the calibration set found. Standard errors are assumed where none follows from a count:
    cohorts differ by far more than chance."""
    rows = {r.id: r for r in evidence.outcomes(set="calibration")}

    def value(id: str) -> float:
        number = rows[id].value_number
        assert number is not None
        return number

    counted = "schneck2008_stepbd.bipolar-completers-12-mo."
    cohorts = 0.05  # SE of a share, as cohorts differ
    mania, hypomania = (
        value(f"solomon2010_cds.{pole}.hr_recovery_vs_major_depression") for pole in ("mania", "hypomania")
    )
    recurrences = [
        value(f"perlis2006_stepbd.recovered.recurrence_{pole}.24mo") for pole in ("depressive", "manic_hypomanic_mixed")
    ]
    return (
        Finding(
            "solomon2013_cds.major-depressive-episode.median_episode_duration.wk",
            "weeks an episode of depression lasts, median",
            log(value("solomon2013_cds.major-depressive-episode.median_episode_duration.wk")),
            0.1,
            _median_weeks,
            True,
        ),
        Finding(
            "solomon2010_cds.mania.hr_recovery_vs_major_depression",
            "how much longer depression lasts than mania and hypomania",
            (log(mania) + log(hypomania)) / 2,
            0.25,
            _depression_over_mania,
            True,
        ),
        *(
            Finding(counted + row, f"share with {words} in a year", value(counted + row) / 100, cohorts, _a_year(*n))
            for row, words, n in (
                ("no_new_episode.12mo", "no new episode", (0, 0)),
                ("one_new_episode.12mo", "one", (1, 1)),
                ("two_or_three_new_episodes.12mo", "two or three", (2, 3)),
                ("rapid_cycling_in_followup_year.12mo", "four or more", (RAPID, np.inf)),
            )
        ),
        Finding(
            "perlis2006_stepbd.recovered.recurrence_depressive.24mo",
            "share of recurrences that are depressive",
            recurrences[0] / sum(recurrences),
            cohorts,
            _next_is_depressive,
        ),
        *(
            Finding(
                f"perlis2006_stepbd.recovered.time_by_which_25_percent_are_{pole.replace('ssive', 'ssed')}",
                f"weeks from recovery until a quarter are {pole}",
                log(value(f"perlis2006_stepbd.recovered.time_by_which_25_percent_are_{pole.replace('ssive', 'ssed')}")),
                0.3,
                _quarter_weeks(pole),
                True,
            )
            for pole in ("depressive", "manic")
        ),
        Finding(
            "perlis2010_stepbd.all-depressive-episodes.switch_before_remission",
            "share of depressive episodes in which mania or hypomania begins",
            value("perlis2010_stepbd.all-depressive-episodes.switch_before_remission") / 100,
            cohorts,
            _switched,
        ),
        Finding(
            "judd2002.bipolar-i.weeks_manic_or_hypomanic.12.8y",
            "share of time manic or hypomanic",
            log(value("judd2002.bipolar-i.weeks_manic_or_hypomanic.12.8y") / 100),
            0.4,
            _share_of_days(True, False),
            True,
        ),
        Finding(
            "judd2002.bipolar-i.weeks_cycling_or_mixed.12.8y",
            "share of time with both poles up",
            log(value("judd2002.bipolar-i.weeks_cycling_or_mixed.12.8y") / 100),
            0.6,
            _share_of_days(True, True),
            True,
        ),
    )


def follow(values: dict[str, float], seed: int = 1, patients: int = PATIENTS) -> Followed:
    """Simulate people without treatment effects for years."""
    days = YEAR_D * (BURN_IN_YEARS + YEARS)
    steps = round(days * 24 / STEP_H)
    who = np.arange(patients)
    streams = {"depressive pole": np.arange(steps), "manic pole": np.arange(steps), "instability": np.zeros(1)}
    drawn = normals(seed, streams, who, compiled=True)
    z = np.asarray(drawn["instability"][0])
    daily = []
    for pole in ("depressive", "manic"):
        at = jnp.asarray([values[f"bipolar.{pole}.{name}"] for name in ("barrier", "noise")])
        x = _run(
            at, evidence.value("bipolar.time"), jnp.exp(values["bipolar.sd_instability"] * z), drawn[f"{pole} pole"]
        )
        daily.append(np.asarray(x)[BURN_IN_YEARS * YEAR_D :])
    depressive, manic = daily
    least = LEAST_DAYS["depressive"], LEAST_DAYS["manic"]
    return Followed(depressive, manic, episodes(depressive, least[0]), episodes(manic, least[1]), z)


@eqx.filter_jit
def _run(at: Array, time_h: float, instability: Array, drawn: Array) -> Array:
    none = jnp.zeros((len(drawn) + 1, 1))
    barrier, noise = at
    pole: Any = Pole(barrier, noise)  # pyright: ignore[reportArgumentType]  traced
    x = course(pole, time_h, jnp.zeros_like(instability), instability, none, drawn)
    return x[:: round(24 / STEP_H)]


class Fitted(NamedTuple):
    """values: most likely; x, covariance: of the standardised parameters; counts: what the findings are under them."""

    values: dict[str, float]
    x: np.ndarray
    covariance: np.ndarray
    counts: tuple[float, ...]

    def draws(self, number: int, seed: int = 1) -> list[dict[str, float]]:
        """Draws of the parameters."""
        x = np.random.default_rng(seed).multivariate_normal(self.x, self.covariance, number)
        return [_values(row) for row in x]

    def moved(self) -> list[Moved]:
        """Prior against posterior."""

        def ends(k: int, id: str, at: float, spread: float) -> tuple[float, float, float]:
            unit = np.eye(len(self.x))[k]
            low, middle, high = (_values((at + spread * z) * unit)[id] for z in (-1.645, 0.0, 1.645))
            return middle, low, high

        spreads = np.sqrt(np.diag(self.covariance))
        return [
            Moved(id, ends(k, id, 0.0, 1.0), ends(k, id, at, spread), spread, at)
            for k, (id, at, spread) in enumerate(zip(FITTED_TO_COHORTS, self.x.tolist(), spreads.tolist(), strict=True))
        ]

    def describe(self) -> str:
        """Found in cohorts beside counted in the model, as text."""
        lines = [f"{'people followed for years':<68}{'found':>10}{'model':>10}{'errors off':>12}"]
        for f, count in zip(findings(), self.counts, strict=True):
            shown = (f"{np.exp(x):.3g}" if f.as_log else f"{100 * x:.3g} %" for x in (f.value, count))
            found, model = shown
            lines.append(f"{f.what:<68}{found:>10}{model:>10}{(count - f.value) / f.se:>12.1f}")
        return "\n".join(lines)


def _values(x: np.ndarray) -> dict[str, float]:
    priors = {row.id: row for row in evidence.priors()}
    return {
        id: float(priors[id].median * np.exp(priors[id].sd * at)) for id, at in zip(FITTED_TO_COHORTS, x, strict=True)
    }


def fit(seed: int = 1, patients: int = PATIENTS, progress: Callable[[int, int], None] | None = None) -> Fitted:
    """The most likely poles. progress: called with (simulations so far, simulations at most)."""
    given = findings()
    done = 0

    def counts(x: np.ndarray) -> np.ndarray:
        nonlocal done
        done += 1
        if progress:
            progress(done, MOST_STEPS * (2 * len(FITTED_TO_COHORTS) + 1))
        seen = follow(_values(x), seed, patients)
        return np.array([f.count(seen) for f in given])

    def residuals(x: np.ndarray) -> np.ndarray:
        off = (counts(x) - np.array([f.value for f in given])) / np.array([f.se for f in given])
        return np.concatenate([off, x])

    def slopes(x: np.ndarray) -> np.ndarray:
        each = DIFFERENCE * np.eye(len(x))
        return np.stack([(residuals(x + v) - residuals(x - v)) / (2 * DIFFERENCE) for v in each], axis=1)

    jacobian: Any = slopes
    found = least_squares(
        residuals, np.zeros(len(FITTED_TO_COHORTS)), jac=jacobian, max_nfev=MOST_STEPS, xtol=1e-3, ftol=1e-3
    )
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    return Fitted(_values(found.x), found.x, covariance, tuple(counts(found.x)))
