"""Every published endpoint of the catalogue: predicted beside observed, with what each interval contains.

A prediction is the middle of what repetitions of the trial would report; its interval holds chance in a sample of the
arm's own size, how studies differ from each other, and the uncertainty of the fitted parameters. Trials of the
calibration set are predicted with the levels fitted to them, trials of the validation set as studies not yet seen.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax import Array

from euthymia import evidence
from euthymia.course.store import write_whole
from euthymia.drug.compounds import COMPOUNDS
from euthymia.errors import UserError
from euthymia.patient.population import draw
from euthymia.trial.document import AS_LOG, KIND, POPULATION, Endpoint, Set, Trial, catalogue
from euthymia.trial.endpoints import deviation, predict
from euthymia.trial.observed import Observed, baseline, observed
from euthymia.trial.posterior import Draw, as_fitted, contains, draws, fitted, posterior
from euthymia.trial.replicas import Arms, Replicas, build, calendar, mirrored, readout
from euthymia.trial.workers import each

SAMPLES_PER_DRAW = 50
MINIMUM_PATIENTS = 100
PERCENTILES = (25.0, 75.0, 5.0, 95.0)
DRAWS = 16  # of one part
POLE_SETS = 8  # of the poles' values: episodes are followed anew under each, so they are fewer than the draws

Progress = Callable[[int, int], None]


class Row(NamedTuple):
    """One published endpoint; the fields are the columns of validation.csv.

    kind: rate (%), change or difference (points), time (days) or effect; observed: as published, None where it was
    printed in words (`words`); predicted: median over what is uncertain; lower and upper: central 50 and 90 % of
    repetitions of the trial; naive: the mean of its like in the calibration set, without any model; inside90: whether
    the observed value, which was printed rounded, can lie in the 90 % interval; assumed: what stands in for something
    that was not published.
    """

    trial: str
    illness: str
    set: str
    arm: str
    endpoint: str
    kind: str
    time: str
    n: float | None
    observed: float | None
    predicted: float
    lower50: float
    upper50: float
    lower90: float
    upper90: float
    naive: float | None
    inside90: bool | None
    words: str
    fitted: bool
    verified: str
    assumed: str
    evidence: str
    expected_error: float


class Total(NamedTuple):
    """Errors over rows of one set and kind; NaN where there is none. illness: "all" where several are taken together;
    bias: predicted minus observed; expected_error: what it would be on average were the model and its intervals right.
    """

    illness: str
    set: str
    kind: str
    rows: int
    mean_absolute_error: float
    bias: float
    naive_error: float
    expected_error: float
    inside50: float
    inside90: float


@dataclass(frozen=True)
class Validation:
    """Predicted beside observed for every endpoint of some trials."""

    rows: tuple[Row, ...]
    patients: int
    seed: int
    fitted: str

    def total(self, set: str, kind: str = "all", illness: str = "all") -> Total:
        """Errors and coverage (%) of the rows of one set and kind, or of all kinds, of one illness or of all. "fitted":
        what the model was fitted to, which is part of the calibration set."""
        rows = [r for r in self.rows if set == ("fitted" if set == "fitted" and r.fitted else r.set)]
        rows = [r for r in rows if illness in (r.illness, "all")]
        rows = [r for r in rows if kind in (r.kind, "all") and r.observed is not None]
        observed = np.array([r.observed for r in rows], float)
        error = np.array([r.predicted for r in rows]) - observed
        naive = np.array([np.nan if r.naive is None else r.naive for r in rows]) - observed
        naive = naive[~np.isnan(naive)]
        alike = kind != "all" and len(rows)
        half = [r.lower50 <= x <= r.upper50 for r, x in zip(rows, observed, strict=True)]
        return Total(
            illness,
            set,
            kind,
            len(rows),
            float(np.abs(error).mean()) if alike else np.nan,
            float(error.mean()) if alike else np.nan,
            float(np.abs(naive).mean()) if alike and len(naive) else np.nan,
            float(np.mean([r.expected_error for r in rows])) if alike else np.nan,
            100 * float(np.mean(half)) if rows else np.nan,
            100 * float(np.mean([bool(r.inside90) for r in rows])) if rows else np.nan,
        )

    def totals(self) -> tuple[Total, ...]:
        """By illness, by set, then by kind; and of the values fitted, where they are not all of the calibration set."""
        found = []
        for illness in self.illnesses:
            rows = [r for r in self.rows if r.illness == illness]
            partly = len({r.fitted for r in rows if r.set == "calibration"}) == 2
            sets = [*dict.fromkeys(r.set for r in rows), *(["fitted"] if partly else [])]
            kinds = [k for k in ("rate", "change", "difference", "time", "effect") if any(r.kind == k for r in rows)]
            every = (self.total(s, k, illness) for s in sets for k in (*kinds, "all"))
            found += [total for total in every if total.rows]
        return tuple(found)

    @property
    def illnesses(self) -> tuple[str, ...]:
        """Those it has trials of, depression first."""
        there = {r.illness for r in self.rows}
        return (*(i for i in POPULATION if i in there), *sorted(there - set(POPULATION)))

    def table(self) -> pl.DataFrame:
        """The rows as a data frame."""
        return pl.DataFrame([r._asdict() for r in self.rows], infer_schema_length=None)

    def write(self, folder: str | Path) -> Path:
        """Write validation.csv into `folder` and return its path. Raises UserError when it cannot be written."""
        path = Path(folder) / "validation.csv"
        write_whole(path, lambda p: self.table().write_csv(p))
        return path


class Compiled:
    """Predictions of all endpoints of some replicas of one illness, compiled once for every set of parameters and
    levels."""

    def __init__(self, replicas: Replicas):
        self.replicas = replicas
        self.endpoints = tuple((t, e) for t in replicas.trials for e in t.endpoints)
        self._run: Any = eqx.filter_jit(self._values)
        self._readout: Any = eqx.filter_jit(self._plastic)
        self._known: tuple[tuple, Array] | None = None

    def _plastic(self, arms: Arms, values: dict[str, Array]) -> Array:
        with evidence.assume(values):
            return readout(arms)

    def _values(
        self, arms: Arms, values: dict[str, Array], drug: Array, background: Array, plastic: Array, poles: Array
    ) -> tuple[Array, Array]:
        with evidence.assume(values):
            scores = self.replicas.scores(arms, drug, background, plastic, poles)
            of = [(e, [scores[t.trial, name] for name in e.arm]) for t, e in self.endpoints]
            return jnp.stack([predict(*x) for x in of]), jnp.stack([deviation(*x) for x in of])

    def __call__(self, at: Draw) -> tuple[np.ndarray, np.ndarray]:
        """The endpoints, and the SD of the change in their arms, under one draw."""
        levels = [jnp.asarray([level[t.trial] for t in self.replicas.trials]) for level in (at.drug, at.background)]
        values = {name: jnp.asarray(v) for name, v in at.values.items()}
        parameters = tuple(at.values.items())
        known = self._known
        if known is None or known[0] != parameters:  # draws of levels alone share their plasticity
            known = self._known = parameters, self._readout(self.replicas.arms, values)
        arms = self.replicas.arms
        poles = jnp.asarray(0 if arms.episode is None else at.number % len(arms.episode))
        return jax.tree.map(np.asarray, self._run(arms, values, *levels, known[1], poles))


def compiled(
    trials: Sequence[Trial], patients: int, seed: int, progress: Progress | None = None
) -> Callable[[Draw], tuple[np.ndarray, np.ndarray]]:
    """The predictions of some trials, in their order, for so many patients per arm."""
    parts, places = [], []
    for illness, population in POPULATION.items():
        chosen = [t for t in trials if t.illness == illness]
        if chosen:
            people = mirrored(draw(population, (patients + 1) // 2, seed))
            parts.append(Compiled(build(chosen, people, progress, _sets_of_poles())))
            places += [k for k, t in enumerate(t for t in trials for _ in t.endpoints) if t.illness == illness]
    order = np.argsort(places)

    def predicted(at: Draw) -> tuple[np.ndarray, np.ndarray]:
        values, spread = (np.concatenate(x)[order] for x in zip(*(part(at) for part in parts), strict=True))
        return values, spread

    return predicted


def _sets_of_poles() -> list[dict[str, float]]:
    """What the first draws say of how episodes come and go, and of what treatment does to that. Draws after them meet
    these sets in turn: what cohorts tell of the poles and what trials tell of symptoms are independent."""
    some = posterior()[:POLE_SETS]
    return [{id: v for id, v in at.values.items() if id.startswith("bipolar.")} for at in some]


class Some(NamedTuple):
    """Some draws, with all that a worker elsewhere needs to predict from them."""

    trials: tuple[Trial, ...]
    patients: int
    seed: int
    draws: tuple[Draw, ...]


_kept: dict[tuple, Callable[[Draw], tuple[np.ndarray, np.ndarray]]] = {}
_one_builds = Lock()


def predict_some(some: Some) -> list[tuple[np.ndarray, np.ndarray]]:
    """What each of some draws predicts. The first call in a process builds and compiles for the next."""
    key = tuple(t.model_dump_json() for t in some.trials), some.patients, some.seed
    with _one_builds:
        if key not in _kept:
            _kept.clear()
            _kept[key] = compiled(some.trials, some.patients, some.seed)
    return [_kept[key](at) for at in some.draws]


def validate(
    trials: Sequence[Trial] | None = None,
    patients: int = 512,
    seed: int = 1,
    progress: Progress | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Validation:
    """Predict every endpoint of `trials` (default: all of the catalogue) and set it beside what was found.

    patients: virtual patients per arm, the same in every arm; seed: of every random number; progress: called with
    (parts done, parts); workers: threads, or scheduler: the address of a Dask cluster (results depend on neither).
    Raises UserError for fewer than 100 patients, and for a cluster that cannot be used.
    """
    if isinstance(patients, bool) or not isinstance(patients, int) or patients < MINIMUM_PATIENTS:
        raise UserError(f"a validation needs at least {MINIMUM_PATIENTS} patients, got {patients!r}.")
    chosen = catalogue() if trials is None else tuple(trials)
    many = draws(chosen, seed)
    ahead = 0 if scheduler else len(many) // 3  # recording the drug paths, in the units of the draws

    def recorded(done: int, of: int) -> None:
        if progress:
            progress(round(ahead * done / of), ahead + len(many))

    cut = {k: many[k : k + DRAWS] for k in range(0, len(many), DRAWS)}
    if scheduler:
        parts = {k: Some(chosen, patients, seed, some) for k, some in cut.items()}
        finished = each(predict_some, parts, workers, scheduler)
    else:
        here = compiled(chosen, patients, seed, recorded)
        finished = each(lambda some: [here(at) for at in some], cut, workers)
    found: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for k, predicted in finished:
        found[k] = predicted
        if progress:
            progress(ahead + sum(map(len, found.values())), ahead + len(many))
    values, spread = (np.stack(x) for x in zip(*(p for k in cut for p in found[k]), strict=True))
    rng = np.random.default_rng(seed)
    guess = naive_predictor()
    rows = []
    for j, (trial, e) in enumerate((t, e) for t in chosen for e in t.endpoints):
        if KIND[e.measure] != "spread":
            seen = observed(e, trial.set)
            repeated = repetitions(e, seen, trial, values[:, j], spread[:, j], rng)
            rows.append(_row(trial, e, seen, values[:, j], repeated, guess(trial, e)))
    return Validation(tuple(rows), 2 * ((patients + 1) // 2), seed, contains())


def repetitions(
    e: Endpoint, seen: Observed, trial: Trial, values: np.ndarray, spread: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """What repetitions of the trial would report, [draws x samples]: values [draws] with chance in the sample added."""
    shape = (SAMPLES_PER_DRAW, len(values))
    if KIND[e.measure] == "rate":
        if not seen.n:
            raise UserError(f"{seen.ids[0]} has no number of patients; a rate needs one.")
        n = max(round(seen.n), 1)
        return 100 * rng.binomial(n, np.clip(values / 100, 0, 1), shape).ravel() / n
    z = rng.standard_normal(shape)
    if seen.se is not None:
        se = seen.se
    elif KIND[e.measure] == "change" and seen.n:
        se = spread / np.sqrt(seen.n)
    elif KIND[e.measure] == "difference" and seen.n:
        se = spread * np.sqrt(2 / seen.n)
    else:
        raise UserError(f"{seen.ids[0]} ({trial.trial}) needs a standard error (se).")
    return (values * np.exp(z * se) if e.measure in AS_LOG else values + z * se).ravel()


def naive_predictor() -> Callable[[Trial, Endpoint], float | None]:
    """Without a model: the mean of the calibration set's endpoints of the same illness, measure and kind of arm. In
    PTSD, whose trials use scales of several lengths, points are taken as shares of the score at entry."""
    found: dict[tuple, list[float]] = defaultdict(list)
    for trial in catalogue():
        if trial.set == "calibration":
            for e in trial.endpoints:
                value = observed(e, trial.set).value / _length(trial, e)
                for like in (_kind_of_arm(trial, e), None):
                    if not np.isnan(value):
                        found[trial.illness, e.measure, like].append(value)

    def guess(trial: Trial, e: Endpoint) -> float | None:
        kind, illness = _kind_of_arm(trial, e), trial.illness
        if e.measure == "score":
            change = found.get((illness, "change", kind)) or found[illness, "change", None]
            return _mean_baseline(trial, e) + float(np.mean(change))
        like = found.get((illness, e.measure, kind)) or found.get((illness, e.measure, None))
        return float(np.mean(like)) * _length(trial, e) if like else None

    return guess


def _length(trial: Trial, e: Endpoint) -> float:
    """What points are counted in: 1, or where scales differ the mean score at entry."""
    in_points = KIND[e.measure] in ("change", "difference")
    return _mean_baseline(trial, e) if trial.illness == "PTSD" and in_points else 1.0


def _mean_baseline(trial: Trial, e: Endpoint) -> float:
    return float(np.mean([baseline(trial.arm(name).baseline, trial.set)[0] for name in e.arm]))


def _kind_of_arm(trial: Trial, e: Endpoint) -> str:
    """drug, or what the arm gets instead."""
    arm = trial.arm(e.arm[0])
    if arm.exposure:
        return "exposure therapy"
    given = calendar(trial, arm, 336.0)
    if any(a.compound in COMPOUNDS for a in given.administrations):
        return "drug"
    return "antidepressant" if given.daily else "control"


def _row(
    trial: Trial, e: Endpoint, seen: Observed, values: np.ndarray, repeated: np.ndarray, naive: float | None
) -> Row:
    lower50, upper50, lower90, upper90 = np.percentile(repeated, PERCENTILES)
    known = not np.isnan(seen.value)
    sign = ">" if "relapse" in e.measure and e.measure != "not relapsed" else "≤"
    name = e.measure
    if e.fall != 0.5:
        name += f" (a fall by {100 * e.fall:g} %)"
    if e.points:
        name += f" (a fall by {e.points:g} points)"
    if e.limit is not None:
        name += f" ({sign} {e.limit:g})"
    reasons = [*seen.reasons, *(r for arm in e.arm for r in trial.arm(arm).reasons())]
    reasons += [f"rated on the {e.scale}, predicted on the MADRS"] if e.scale else []
    return Row(
        trial=trial.trial,
        illness=trial.illness,
        set=trial.set,
        arm=e.called or " - ".join(e.arm),
        endpoint=name,
        kind=KIND[e.measure],
        time=e.when or str(e.at),
        n=seen.n,
        observed=seen.value if known else None,
        predicted=float(np.median(values)),
        lower50=float(lower50),
        upper50=float(upper50),
        lower90=float(lower90),
        upper90=float(upper90),
        naive=naive,
        inside90=bool(lower90 - seen.rounding <= seen.value <= upper90 + seen.rounding) if known else None,
        words=seen.words,
        fitted=as_fitted(e) in fitted(),
        verified=seen.verified,
        assumed="; ".join(dict.fromkeys(reasons)),
        evidence=" ".join(seen.ids),
        expected_error=float(np.abs(repeated - np.median(values)).mean()),
    )


__all__ = ["Compiled", "Row", "Set", "Total", "Validation", "naive_predictor", "repetitions", "validate"]
