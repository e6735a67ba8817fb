"""Questions that people bring, each answered by simulation over what is uncertain: a few lines with bands.

No trial has answered them. What an answer rests on is drawn from its range (`Answer.drawn`), so that the bands say how
little is known; they hold neither the uncertainty of everything else in the model nor that of its structure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax import Array

from euthymia import evidence
from euthymia.course.outcomes import REMISSION_MADRS, pole_outcomes
from euthymia.course.simulate import simulate_schedule
from euthymia.course.variants import Variants
from euthymia.errors import UserError
from euthymia.illness.bipolar import FITTED_TO_COHORTS
from euthymia.illness.depression import DAY_H, Depression
from euthymia.illness.ptsd import Extinction
from euthymia.patient.population import draw
from euthymia.protocol import load, schedule
from euthymia.trial.posterior import posterior

PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
WEEKS = 26
Progress = Callable[[int, int], None]


class Line(NamedTuple):
    """One line of an answer: by x the percentiles 5, 25, 50, 75 and 95 over what is uncertain, [5, x]."""

    name: str
    x: tuple[float, ...]
    values: np.ndarray


class Answer(NamedTuple):
    """question, and in a sentence or two what was found; axes in words; drawn: what varied, with its range; limits:
    what must be kept in mind."""

    name: str
    question: str
    said: str
    x_title: str
    y_title: str
    x_words: tuple[str, ...]
    lines: tuple[Line, ...]
    drawn: tuple[str, ...]
    limits: tuple[str, ...]
    patients: int
    seed: int

    def table(self) -> pl.DataFrame:
        """One row per line and x."""
        rows = [
            {"line": line.name, self.x_title: word, **dict(zip(("q05", "q25", "q50", "q75", "q95"), at, strict=True))}
            for line in self.lines
            for word, at in zip(self.x_words, line.values.T.tolist(), strict=True)
        ]
        return pl.DataFrame(rows)


class Uncertain(NamedTuple):
    """Parameters drawn together: their ids and values [draws, ids]."""

    ids: tuple[str, ...]
    values: np.ndarray

    def at(self, k: int) -> Mapping[str, float]:
        return dict(zip(self.ids, self.values[k].tolist(), strict=True))

    def words(self) -> tuple[str, ...]:
        """Each with its median and range."""
        said = []
        for id, column in zip(self.ids, self.values.T, strict=True):
            low, middle, high = np.percentile(column, (5, 50, 95))
            said.append(f"{id} {middle:.2g} (90 %: {low:.2g} to {high:.2g}): {evidence.parameter(id).note}")
        return tuple(said)


def uncertain(ids: Sequence[str], draws: int, seed: int) -> Uncertain:
    """Draws of parameters: of the posterior where it has them, together as they were drawn; else of their prior; else
    evenly on the log scale over the range of the row. Raises UserError for a parameter without a range above 0.
    """
    rng = np.random.default_rng(seed)
    known, priors = posterior(), {row.id: row for row in evidence.priors()}
    together = rng.permutation(np.arange(draws) % len(known))
    columns = []
    for id in ids:
        row = evidence.parameter(id)
        if all(id in at.values for at in known):
            columns.append(np.array([known[k].values[id] for k in together]))
        elif id in priors:
            columns.append(priors[id].median * np.exp(priors[id].sd * rng.standard_normal(draws)))
        elif row.low and row.high:
            columns.append(np.exp(rng.permutation(np.linspace(np.log(row.low), np.log(row.high), draws))))
        else:
            raise UserError(f"{id} has no range above 0 to draw from.")
    return Uncertain(tuple(ids), np.stack(columns, axis=1))


LAGS_H = (-2.0, 1 / 3, 2.0, 6.0, 12.0, 24.0, 48.0, 72.0, 120.0, 168.0, 336.0)
LAG_WORDS = ("2 h before", "during", "2 h", "6 h", "12 h", "1 day", "2 days", "3 days", "5 days", "1 week", "2 weeks")


def exposure_lag(patients: int, draws: int, seed: int, progress: Progress | None = None) -> Answer:
    """When after an infusion should exposure therapy come?"""
    infusion_h = DAY_H  # so that a session can come before it
    people = draw("civilian PTSD", patients, seed)
    planned = schedule(load("ketamine-iv-single"), 4 * 168.0)
    given = replace(planned.administrations[0], time_h=infusion_h)
    sessions = infusion_h + np.array(LAGS_H)
    looks = np.unique(np.concatenate([sessions, sessions + 168.0]))
    values, _ = simulate_schedule(
        replace(planned, administrations=(given,), horizon_h=float(looks[-1])), people, looks, Variants()
    )
    depression = Depression.from_evidence()
    states = (jnp.asarray(values[name]) for name in ("functional", "labile", "consolidated"))
    plastic = np.asarray(depression.readout(*states)).T
    occupied = values["occupancy"].T
    ids = ("extinction.learning", "extinction.window", "extinction.block")
    rest = uncertain(ids, draws, seed)
    baseline = np.asarray(people.baseline_caps5)

    @eqx.filter_jit
    def better(model: Extinction, r: Array, o: Array) -> Array:
        """CAPS-5 points by which one session a week ago did more than it would have without ketamine, by patient."""
        gaps, exposed, none = jnp.array([0.0, 168.0]), jnp.array([1.0, 0.0]), jnp.zeros(2)
        with_drug = model.course(gaps, exposed, none, r, o)
        without = model.course(gaps, exposed, none, jnp.zeros_like(r), jnp.zeros_like(o))
        left = (model.share((fresh[1], kept[1])) for fresh, kept in (without, with_drug))
        return jnp.asarray(baseline) * (next(left) - next(left))

    found = np.empty((draws, len(LAGS_H)))
    rows = [np.searchsorted(looks, (t, t + 168.0)) for t in sessions]
    for k in range(draws):
        with evidence.assume(rest.at(k)):
            model = jax.tree.map(jnp.asarray, Extinction.from_evidence())
        for j, at in enumerate(rows):
            # what consolidates does so in the hours after the session, at the occupancy of the session
            during = np.stack([occupied[at[0]], occupied[at[0]]])
            found[k, j] = np.asarray(better(model, jnp.asarray(plastic[at]), jnp.asarray(during))).mean()
        if progress:
            progress(k + 1, draws)
    bands = np.percentile(found, PERCENTILES, axis=0)
    best, worst = LAG_WORDS[int(bands[2].argmax())], LAG_WORDS[int(bands[2].argmin())]
    low, middle, high = bands[(0, 2, 4), int(bands[2].argmax())]
    return Answer(
        "exposure-lag",
        "When after an infusion should exposure therapy come?",
        f"If plasticity helps exposure at all in people, the model puts the best time at about {best} after the "
        f"infusion and the worst at: {worst}. The gain at its best is {middle:.1f} CAPS-5 points for one session "
        f"(90 % over what is uncertain: {low:.1f} to {high:.1f}); no human trial has shown any.",
        "session of exposure, from the start of the infusion",
        "CAPS-5 points that one session does more than without ketamine, a week later",
        LAG_WORDS,
        (Line("with ketamine", tuple(float(k) for k in range(len(LAGS_H))), bands),),
        rest.words(),
        (
            "extrapolation: that plasticity opens a window is known from rats, and contested in mice; Duek 2023 saw no "
            "difference in symptoms in people",
            "ketamine's own effect on symptoms is left out, so that only the learning is seen",
            "dissociation, sedation and whether a patient can do the work right after an infusion are not in the model",
        ),
        patients,
        seed,
    )


def _begun(values: np.ndarray, weeks: np.ndarray) -> np.ndarray:
    """Share (%) in whom the event, at these days (NaN: never), has come by each week."""
    return 100 * (values[None] <= 7 * weeks[:, None]).mean(1)


def stabiliser(patients: int, draws: int, seed: int, progress: Progress | None = None) -> Answer:
    """What does a stabiliser change about the risk of a switch and how long it lasts?"""
    ids = (
        "bipolar.hazard_ratio.ketamine_manic",
        "bipolar.hazard_ratio.lithium_manic",
        "bipolar.stabiliser_protection",
        *FITTED_TO_COHORTS,
    )
    rest = uncertain(ids, draws, seed)
    people = draw("bipolar depression", patients, seed)
    weeks = np.arange(WEEKS + 1.0)
    looks = np.arange(0.0, WEEKS * 168.0 + 1, DAY_H)
    names = {"without a stabiliser": "ketamine-iv-bipolar-unprotected", "with lithium": "ketamine-iv-bipolar"}
    lines, days = [], {}
    for number, (name, protocol) in enumerate(names.items()):
        planned = schedule(load(protocol), WEEKS * 168.0)
        shares, lasting = np.empty((draws, len(weeks))), np.empty(draws)
        for k in range(draws):
            with evidence.assume(rest.at(k)):
                values, _ = simulate_schedule(planned, people, looks, Variants())
            found = pole_outcomes(looks, values)
            begins = found["days to manic episode"]
            shares[k] = _begun(begins, weeks)
            ill = found["days manic"] + found["days mixed"]
            lasting[k] = ill[np.isfinite(begins)].mean() if np.isfinite(begins).any() else 0.0
            if progress:
                progress(number * draws + k + 1, len(names) * draws)
        lines.append(Line(name, tuple(weeks.tolist()), np.percentile(shares, PERCENTILES, axis=0)))
        days[name] = np.percentile(lasting, (5, 50, 95))
    at_end = [f"{line.values[2, -1]:.0f} % ({line.values[0, -1]:.0f} to {line.values[4, -1]:.0f}) {line.name}"
              for line in lines]  # fmt: skip
    lasted = [f"{middle:.0f} days ({low:.0f} to {high:.0f}) {name}" for name, (low, middle, high) in days.items()]
    return Answer(
        "stabiliser",
        "What does a mood stabiliser change about mania after ketamine?",
        f"Within {WEEKS} weeks of eight infusions mania or hypomania begins in {' and '.join(at_end)}. Those it comes "
        f"to are manic or mixed for {' and '.join(lasted)} in that time.",
        "weeks since the first infusion",
        "patients in whom mania or hypomania has begun (%)",
        tuple(f"week {w:g}" for w in weeks),
        tuple(lines),
        rest.words(),
        (
            "extrapolation: no trial gave ketamine without a stabiliser, and none was large enough to count switches",
            "much of what is shown would come without ketamine too: about a fifth of bipolar depressions end so",
        ),
        patients,
        seed,
    )


def rapid_cycling(patients: int, draws: int, seed: int, progress: Progress | None = None) -> Answer:
    """What does rapid cycling do to how long relief lasts?"""
    ids = ("bipolar.rapid_cycling_noise", "bipolar.gain_factor", "bipolar.durability_factor", *FITTED_TO_COHORTS)
    rest = uncertain(ids, draws, seed)
    weeks = np.arange(WEEKS + 1.0)
    looks = np.arange(0.0, WEEKS * 168.0 + 1, DAY_H)
    planned = schedule(load("ketamine-iv-bipolar"), WEEKS * 168.0)
    names = {"typical": "bipolar depression", "rapid cycling": "rapid cycling bipolar depression"}
    lines = []
    for number, (name, population) in enumerate(names.items()):
        shares = np.empty((draws, len(weeks)))
        for k in range(draws):
            with evidence.assume(rest.at(k)):
                people = draw(population, patients, seed)
                values, _ = simulate_schedule(planned, people, looks, Variants())
            well = (values["MADRS"] <= REMISSION_MADRS) & (values["manic pole"] < 0.5)
            shares[k] = 100 * well[:, ::7].mean(0)
            if progress:
                progress(number * draws + k + 1, len(names) * draws)
        lines.append(Line(name, tuple(weeks.tolist()), np.percentile(shares, PERCENTILES, axis=0)))
    said = []
    for week in (4, 12, WEEKS):
        each = [f"{q[2]:.0f} % ({q[0]:.0f} to {q[4]:.0f}) {a.name}" for a in lines for q in [a.values[:, week]]]
        said.append(f"week {week}: {', '.join(each)}")
    return Answer(
        "rapid-cycling",
        "What does rapid cycling do to how long relief lasts?",
        f"Well (MADRS {REMISSION_MADRS:g} or less and not manic), on lithium and with eight infusions in the first "
        f"four weeks: {'; '.join(said)}.",
        "weeks since the first infusion",
        "patients who are well (%)",
        tuple(f"week {w:g}" for w in weeks),
        tuple(lines),
        rest.words(),
        (
            "extrapolation: no trial tells how ketamine works in rapid cycling",
            "in the model episodes of rapid cycling are shorter as well as more frequent, so more of the early "
            "wellness is the illness's own doing and less of it lasts",
        ),
        patients,
        seed,
    )


QUESTIONS: dict[str, Callable[..., Answer]] = {
    "exposure-lag": exposure_lag,
    "stabiliser": stabiliser,
    "rapid-cycling": rapid_cycling,
}


def ask(name: str, patients: int = 500, draws: int = 20, seed: int = 1, progress: Progress | None = None) -> Answer:
    """Answer a question of `QUESTIONS`. draws: of what is uncertain; progress: called with (done, of how much).

    Raises UserError for an unknown question, fewer than 50 patients or 5 draws.
    """
    if name not in QUESTIONS:
        raise UserError(f"there is no question {name!r}; known: {', '.join(QUESTIONS)}.")
    if patients < 50 or draws < 5:
        raise UserError(f"an answer needs at least 50 patients and 5 draws, got {patients} and {draws}.")
    return QUESTIONS[name](patients, draws, seed, progress)
