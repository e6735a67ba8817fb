"""What a calibration leaves behind can be read again, and says what was fitted to what."""

import csv
from importlib.resources import files

import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from euthymia import evidence
from euthymia.errors import UserError
from euthymia.learn.calibrate import Fit, Posterior, moved
from euthymia.learn.likelihood import owner, priors_of, target
from euthymia.learn.outcome import IDENTIFIED, NOT, PROVENANCE, VALUES, Outcome, verdict, write
from euthymia.trial.document import load
from euthymia.trial.posterior import FILE, as_fitted, read
from euthymia.trial.posterior import posterior as drawn


@pytest.fixture(scope="module")
def posterior() -> Posterior:
    """Made by hand: the first half of the coordinates known well, the others not at all."""
    aim = target([load("murrough-2013")], patients=8)
    rng = np.random.default_rng(0)
    spread = np.where(np.arange(aim.size) < aim.size // 2, 0.3, 1.0)
    best = 0.2 * rng.standard_normal(aim.size)
    found = Fit(aim, best, np.diag(spread**2), -1.0, 3)
    return Posterior(found, best + spread * rng.standard_normal((40, aim.size)), best + 0.1, 1.01, 35.0, 2, 10)


@pytest.fixture(scope="module")
def folder(posterior, tmp_path_factory):
    place = tmp_path_factory.mktemp("outcome")
    write(Outcome(posterior), place)
    return place


def test_draws_read_back_are_those_written(posterior, folder):
    again = read((folder / FILE).read_text())
    assert len(again) == len(posterior.draws)
    for mine, theirs in zip(posterior.as_draws(), again, strict=True):
        ours = {id: v for id, v in theirs.values.items() if owner(id) == "depression"}
        assert ours == pytest.approx(mine.values, rel=1e-4)
        assert theirs.drug["murrough-2013"] == pytest.approx(mine.drug["murrough-2013"], rel=1e-4)


def test_every_fitted_parameter_gets_its_typical_value_and_no_other_row_changes(posterior, folder):
    with (folder / VALUES).open() as lines:
        rows = {row["id"]: row for row in csv.DictReader(lines)}
    typical = posterior.fit.target.values(jnp.asarray(posterior.typical))
    assert set(typical) == {row.id for row in priors_of("depression")}
    for row in evidence.model_parameters():
        assert float(rows[row.id]["value"]) == pytest.approx(float(typical.get(row.id, row.value)), rel=1e-5)


def test_what_the_data_cannot_tell_is_called_assumed(posterior, folder):
    with (folder / VALUES).open() as lines:
        kinds = {row["id"]: row["kind"] for row in csv.DictReader(lines)}
    for m in moved(posterior):
        assert kinds[m.id] == ("assumed" if verdict(m) == NOT else "calibrated")


def test_provenance_names_every_value_that_was_fitted(posterior, folder):
    facts = yaml.safe_load((folder / PROVENANCE).read_text())
    assert facts["fitted"] == [as_fitted(e) for e in load("murrough-2013").endpoints]
    assert facts["draws"] == 40
    assert (folder / IDENTIFIED).is_file()


def test_chains_that_do_not_agree_are_written_but_not_adopted(posterior, tmp_path, monkeypatch):
    data = tmp_path / "evidence" / "data"
    data.mkdir(parents=True)
    for name in (VALUES, IDENTIFIED, PROVENANCE):
        (data / name).write_text((files("euthymia.evidence") / "data" / name).read_text())
    before = {p.name: p.read_text() for p in data.iterdir()}
    monkeypatch.setattr("euthymia.learn.outcome.files", lambda package: data.parent)  # never the installation's own
    for r_hat in (1.2, np.nan):
        with pytest.raises(UserError, match="not adopted: the chains do not agree"):
            write(Outcome(posterior._replace(worst_r_hat=r_hat)), tmp_path / "out", adopt=True)
    assert (tmp_path / "out" / FILE).is_file()
    assert {p.name: p.read_text() for p in data.iterdir()} == before
    write(Outcome(posterior), tmp_path / "out", adopt=True)
    assert (data / FILE).is_file() and (data / VALUES).read_text() != before[VALUES]


def test_a_calibration_leaves_what_other_illnesses_have_taught(posterior, folder):
    again = read((folder / FILE).read_text())
    kept = [row for row in drawn()[0].values if owner(row) != "depression"]
    for k, at in enumerate(again):
        before = drawn()[k % len(drawn())]
        assert {id: at.values[id] for id in kept} == pytest.approx({id: before.values[id] for id in kept}, rel=1e-4)
    with (folder / IDENTIFIED).open() as lines:
        named = {row["parameter"] for row in csv.DictReader(lines)}
    assert set(kept) <= named
