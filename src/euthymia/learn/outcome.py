"""What a calibration leaves behind: draws and values for all simulation, with provenance, and what the data moved."""

import csv
from datetime import date
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from pathlib import Path

import jax.numpy as jnp
import yaml

from euthymia.course.result import evidence_hash
from euthymia.course.store import write_whole
from euthymia.errors import UserError
from euthymia.learn.calibrate import CONVERGED, Moved, Posterior, moved
from euthymia.trial.posterior import FILE as DRAWS
from euthymia.trial.posterior import as_fitted
from euthymia.trial.posterior import write as write_draws

VALUES, IDENTIFIED, PROVENANCE = "model.csv", "identifiability.csv", "calibration.yaml"
NOT = "not identified"
SILENT = 0.97  # above this share of the prior's spread, the data have said nothing
WEAK = 0.8
SOURCE = "Calibration of this model to the calibration set of depression trials"


def verdict(m: Moved) -> str:
    """In a word or two, what the data said about a parameter."""
    return NOT if m.spread_left > SILENT else "weakly" if m.spread_left > WEAK else "identified"


def describe(posterior: Posterior) -> str:
    """Diagnostics, prior against posterior, and levels of the studies, as text."""
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
    for m in moved(posterior):
        prior, after = (f"{a:.3g} ({b:.3g} to {c:.3g})" for a, b, c in (m.prior, m.posterior))
        lines.append(f"{m.id:<44}{prior:>34}{after:>34}  {m.spread_left:.2f}  {verdict(m)}")
    best = target.draw(jnp.asarray(fit.best))
    lines += ["", f"{'trial':<28}{'drug x':>8}{'non-drug x':>12}"]
    lines += [f"{t.trial:<28}{best.drug[t.trial]:>8.2f}{best.background[t.trial]:>12.2f}" for t in target.trials]
    return "\n".join(lines)


def write(posterior: Posterior, folder: Path, adopt: bool = False) -> list[Path]:
    """Write draws, values, identifiability and provenance into `folder`; with `adopt`, also into the evidence of this
    installation. Raises UserError where that cannot be written, and, with all of it in `folder`, instead of adopting
    draws of chains that do not agree."""
    texts = {VALUES: _values(posterior), IDENTIFIED: _identified(posterior), PROVENANCE: _provenance(posterior)}
    written = _put(folder, posterior, texts)
    if not adopt:
        return written
    if not posterior.worst_r_hat < CONVERGED:
        raise UserError(
            f"The result is in {folder} but was not adopted: the chains do not agree (largest R-hat "
            f"{posterior.worst_r_hat:.3f}; it must be below {CONVERGED}). Ask for more draws (--draws)."
        )
    return written + _put(Path(str(files("euthymia.evidence") / "data")), posterior, texts)


def _put(place: Path, posterior: Posterior, texts: dict[str, str]) -> list[Path]:
    write_draws(posterior.as_draws(), place / DRAWS)
    for name, text in texts.items():
        write_whole(place / name, lambda p, text=text: p.write_text(text, encoding="utf-8"))
    return [place / name for name in (DRAWS, *texts)]


def _values(posterior: Posterior) -> str:
    """model.csv with the typical value and the 90 % range of every fitted parameter; what the data could not tell is
    called assumed."""
    text = (files("euthymia.evidence") / "data" / VALUES).read_text(encoding="utf-8")
    typical = posterior.fit.target.values(jnp.asarray(posterior.typical))
    told = {m.id: m for m in moved(posterior)}
    lines = text.splitlines()
    for k, line in enumerate(lines):
        id = line.partition(",")[0]
        if id in told:
            lines[k] = _row(line, float(typical[id]), told[id])
    return "\n".join(lines) + "\n"


def _row(line: str, value: float, told: Moved) -> str:
    """One line of model.csv with its new value; what the parameter is stays in the note."""
    (cells,) = csv.reader([line])
    unit, species, note = cells[2], cells[6], cells[10].partition("; range:")[0].partition("; prior")[0]
    low, high = min(told.posterior[1], value), max(told.posterior[2], value)
    prior = f"prior {told.prior[0]:.3g} ({told.prior[1]:.3g} to {told.prior[2]:.3g}); {verdict(told)} by the data"
    where = "most likely with the levels of studies, given their spread; range: 90 % of the posterior draws"
    said = ("assumed", species, "", "", "no") if verdict(told) == NOT else ("calibrated", species, SOURCE, where, "yes")
    out = StringIO()
    row = (cells[0], f"{value:.6g}", unit, f"{low:.4g}", f"{high:.4g}", *said)
    csv.writer(out, lineterminator="").writerow((*row, f"{note}; {prior}"))
    return out.getvalue()


def _identified(posterior: Posterior) -> str:
    out = StringIO()
    table = csv.writer(out, lineterminator="\n")
    head = "parameter prior_median prior_low90 prior_high90 median low90 high90 spread_left verdict"
    table.writerow(head.split())
    for m in moved(posterior):
        table.writerow([m.id, *(f"{x:.4g}" for x in (*m.prior, *m.posterior)), f"{m.spread_left:.3f}", verdict(m)])
    return out.getvalue()


def _provenance(posterior: Posterior) -> str:
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
    return yaml.safe_dump(facts, sort_keys=False, allow_unicode=True)
