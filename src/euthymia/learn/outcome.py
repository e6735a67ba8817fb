"""What a calibration leaves behind: draws and values for all simulation, with provenance, and what the data moved."""

import csv
from datetime import date
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import yaml

from euthymia import evidence
from euthymia.course.result import evidence_hash
from euthymia.course.store import write_whole
from euthymia.errors import UserError
from euthymia.illness.bipolar import FITTED_TO_COHORTS
from euthymia.learn.calibrate import CONVERGED, Moved, Posterior, moved
from euthymia.learn.likelihood import HELD, PRIOR_OF, owner
from euthymia.learn.poles import Fitted, findings
from euthymia.trial.document import Illness, catalogue
from euthymia.trial.posterior import FILE as DRAWS
from euthymia.trial.posterior import Draw, as_fitted
from euthymia.trial.posterior import posterior as drawn
from euthymia.trial.posterior import write as write_draws

VALUES, IDENTIFIED, PROVENANCE = "model.csv", "identifiability.csv", "calibration.yaml"
NOT = "not identified"
SILENT = 0.97  # above this share of the prior's spread, the data have said nothing
WEAK = 0.8
SOURCE = "Calibration of this model to the calibration set of {illness} trials"
COHORTS = "Calibration of this model to cohorts of people with bipolar disorder"


class Outcome(NamedTuple):
    """All that a calibration found. cohorts: of the poles, in bipolar disorder."""

    posterior: Posterior
    cohorts: Fitted | None = None

    @property
    def illness(self) -> Illness:
        return self.posterior.fit.target.illness

    def moved(self) -> list[Moved]:
        """Prior against posterior of every parameter."""
        return [*moved(self.posterior), *(self.cohorts.moved() if self.cohorts else [])]

    def values(self) -> dict[str, float]:
        """The one value of each fitted parameter."""
        target = self.posterior.fit.target
        typical = target.values(jnp.asarray(self.posterior.typical))
        fitted = {id: float(v) for id, v in typical.items() if id not in target.fixed}
        return fitted | (self.cohorts.values if self.cohorts else {})

    def draws(self) -> list[Draw]:
        """The draws handed on: what other illnesses have in the evidence stays beside them, draw by draw."""
        own, fixed = self.posterior.as_draws(), self.posterior.fit.target.fixed
        before = drawn()
        poles = self.cohorts.draws(len(own)) if self.cohorts else [{}] * len(own)
        believed = _believed(self.illness, len(own))
        of_others = {t.trial for t in catalogue() if t.illness != self.illness}
        found = []
        for k, (at, pole, held) in enumerate(zip(own, poles, believed, strict=True)):
            old = before[k % len(before)]
            values = {id: v for id, v in old.values.items() if owner(id) != self.illness}
            drug, background = (
                {trial: level for trial, level in levels.items() if trial in of_others}
                for levels in (old.drug, old.background)
            )
            values |= {id: v for id, v in at.values.items() if id not in fixed} | pole | held
            found.append(Draw(values, {**drug, **at.drug}, {**background, **at.background}))
        return found


def verdict(m: Moved) -> str:
    """In a word or two, what the data said about a parameter."""
    return NOT if m.spread_left > SILENT else "weakly" if m.spread_left > WEAK else "identified"


def _believed(illness: Illness, number: int) -> list[dict[str, float]]:
    """Draws, from their priors, of what is held instead of fitted."""
    rows = [row for row in evidence.priors() if row.id in HELD and owner(row.id) == illness]
    z = np.random.default_rng(1).standard_normal((number, len(rows)))
    return [{row.id: float(row.median * np.exp(row.sd * x)) for row, x in zip(rows, at, strict=True)} for at in z]


def describe(outcome: Outcome) -> str:
    """Diagnostics, prior against posterior, and levels of the studies, as text."""
    posterior = outcome.posterior
    fit = posterior.fit
    target = fit.target
    lines = [
        f"{len(target.endpoints)} endpoints of {len(target.trials)} trials; {len(target.names)} parameters, two levels "
        "of each trial.",
        f"Most likely values after {fit.steps} gradients, log density {fit.log_density:.1f}.",
        f"{len(posterior.draws)} draws of {posterior.chains} chains by the no-U-turn sampler: largest R-hat "
        f"{posterior.worst_r_hat:.3f}, fewest effective draws {posterior.fewest_effective:.0f}"
        + ("." if posterior.worst_r_hat < CONVERGED else f"; above {CONVERGED} the chains do not agree yet."),
        "",
        f"{'parameter':<44}{'prior median (90 %)':>34}{'posterior median (90 %)':>34}  spread left",
    ]
    for m in outcome.moved():
        prior, after = (f"{a:.3g} ({b:.3g} to {c:.3g})" for a, b, c in (m.prior, m.posterior))
        lines.append(f"{m.id:<44}{prior:>34}{after:>34}  {m.spread_left:.2f}  {verdict(m)}")
    best = target.draw(jnp.asarray(fit.best))
    lines += ["", f"{'trial':<28}{'drug x':>8}{'non-drug x':>12}"]
    lines += [f"{t.trial:<28}{best.drug[t.trial]:>8.2f}{best.background[t.trial]:>12.2f}" for t in target.trials]
    return "\n".join(lines) + (f"\n\n{outcome.cohorts.describe()}" if outcome.cohorts else "")


def write(outcome: Outcome, folder: Path, adopt: bool = False) -> list[Path]:
    """Write draws, values, identifiability and provenance into `folder`; with `adopt`, also into the evidence of this
    installation. Raises UserError where that cannot be written, and, with all of it in `folder`, instead of adopting
    draws of chains that do not agree."""
    posterior = outcome.posterior
    texts = {VALUES: _values(outcome), IDENTIFIED: _identified(outcome), PROVENANCE: _provenance(outcome)}
    written = _put(folder, outcome, texts)
    if not adopt:
        return written
    if not posterior.worst_r_hat < CONVERGED:
        raise UserError(
            f"The result is in {folder} but was not adopted: the chains do not agree (largest R-hat "
            f"{posterior.worst_r_hat:.3f}; it must be below {CONVERGED}). Ask for more draws (--draws)."
        )
    return written + _put(Path(str(files("euthymia.evidence") / "data")), outcome, texts)


def _put(place: Path, outcome: Outcome, texts: dict[str, str]) -> list[Path]:
    write_draws(outcome.draws(), place / DRAWS)
    for name, text in texts.items():
        write_whole(place / name, lambda p, text=text: p.write_text(text, encoding="utf-8"))
    return [place / name for name in (DRAWS, *texts)]


def _stored(name: str) -> str:
    """A file of the evidence as it stands."""
    return (files("euthymia.evidence") / "data" / name).read_text(encoding="utf-8")


def _values(outcome: Outcome) -> str:
    """model.csv with the typical value and the 90 % range of every fitted parameter; what the data could not tell is
    called assumed."""
    values, told = outcome.values(), {m.id: m for m in outcome.moved()}
    lines = _stored(VALUES).splitlines()
    for k, line in enumerate(lines):
        id = line.partition(",")[0]
        if id in told:
            source = COHORTS if id in FITTED_TO_COHORTS else SOURCE.format(illness=outcome.illness)
            lines[k] = _row(line, values[id], told[id], source)
    return "\n".join(lines) + "\n"


def _row(line: str, value: float, told: Moved, source: str) -> str:
    """One line of model.csv with its new value; what the parameter is stays in the note."""
    (cells,) = csv.reader([line])
    unit, species, note = cells[2], cells[6], cells[10].partition("; range:")[0].partition("; prior")[0]
    low, high = min(told.posterior[1], value), max(told.posterior[2], value)
    prior = f"prior {told.prior[0]:.3g} ({told.prior[1]:.3g} to {told.prior[2]:.3g}); {verdict(told)} by the data"
    where = "most likely with the levels of studies, given their spread; range: 90 % of the posterior draws"
    where = "most likely; range: 90 % of the Laplace approximation" if source == COHORTS else where
    said = ("assumed", species, "", "", "no") if verdict(told) == NOT else ("calibrated", species, source, where, "yes")
    out = StringIO()
    row = (cells[0], f"{value:.6g}", unit, f"{low:.4g}", f"{high:.4g}", *said)
    csv.writer(out, lineterminator="").writerow((*row, f"{note}; {prior}"))
    return out.getvalue()


def _identified(outcome: Outcome) -> str:
    """Of this calibration, and of others what stands in the evidence."""
    out = StringIO()
    table = csv.writer(out, lineterminator="\n")
    head = "parameter prior_median prior_low90 prior_high90 median low90 high90 spread_left verdict"
    table.writerow(head.split())
    told = outcome.moved()
    for m in told:
        table.writerow([m.id, *(f"{x:.4g}" for x in (*m.prior, *m.posterior)), f"{m.spread_left:.3f}", verdict(m)])
    for row in evidence.priors():
        if row.id in HELD and owner(row.id) == outcome.illness:
            ends = [row.median * np.exp(row.sd * z) for z in (0.0, -1.645, 1.645)] * 2
            table.writerow([row.id, *(f"{x:.4g}" for x in ends), "1.000", NOT])
    before = csv.reader(_stored(IDENTIFIED).splitlines()[1:])
    table.writerows(row for row in before if owner(row[0]) != outcome.illness)
    return out.getvalue()


def _provenance(outcome: Outcome) -> str:
    posterior = outcome.posterior
    fit = posterior.fit
    facts = {
        "made": date.today().isoformat(),
        "version": version("euthymia"),
        "evidence": evidence_hash(),
        "patients per arm": len(fit.target.replicas.people[0]),
        "trials": [t.trial for t in fit.target.trials],
        "endpoints": len(fit.target.endpoints),
        "method": "draws by the no-U-turn sampler in coordinates of the Laplace approximation; values are the most "
        "likely given the median spread between studies",
        "log density": round(fit.log_density, 2),
        "gradients": fit.steps,
        "chains": posterior.chains,
        "warm-up": posterior.warmup,
        "largest R-hat": round(posterior.worst_r_hat, 3),
        "fewest effective draws": round(posterior.fewest_effective),
        "draws": len(posterior.draws),
        "draws kept": len(posterior.as_draws()),
        "fitted": [as_fitted(e) for _, e in fit.target.endpoints],
    }
    if outcome.cohorts:
        facts["cohorts"] = [f.evidence for f in findings()]
    before = yaml.safe_load(_stored(PROVENANCE))
    if outcome.illness == "depression":  # stands at the head, the other illnesses under their names
        facts |= {illness: part for illness, part in before.items() if illness in PRIOR_OF}
    else:
        facts = before | {outcome.illness: facts}
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
