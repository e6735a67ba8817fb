"""A run on disk, killed and resumed, ends as if nothing had happened."""

import polars as pl
import pytest

from euthymia.course.simulate import PART, simulate
from euthymia.errors import UserError

PATIENTS = PART + 100  # two parts


class Killed(BaseException):
    """What a Ctrl-C is to the program."""


def run(folder, **given):
    chosen = dict(weeks=1, seed=2, observe_h=(2.0, 24.0, 168.0), out=folder) | given
    return simulate("ketamine-iv-single", PATIENTS, **chosen)


def frames(folder):
    return {path.name: pl.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


def assert_equal(folder, course, whole):
    expected, reference = frames(whole[0]), whole[1]
    found = frames(folder)
    assert found.keys() == expected.keys() and len(expected) == 4  # course and outcomes of two parts
    for name, frame in expected.items():
        assert found[name].equals(frame), name
    assert course.table.equals(reference.table)
    assert not list(folder.glob(".*"))  # nothing half-written


def test_parts_hold_every_patient_at_every_time(whole):
    folder, course = whole
    stored = pl.concat([f for name, f in frames(folder).items() if name.startswith("course")])
    assert stored["patient"].n_unique() == PATIENTS and stored.height == PATIENTS * 3
    outcomes = pl.concat([f for name, f in frames(folder).items() if name.startswith("outcomes")])
    assert outcomes.equals(course.table)


def test_a_run_killed_after_its_first_part_is_resumed(tmp_path, whole):
    def kill(done, of):
        raise Killed

    with pytest.raises(Killed):
        run(tmp_path, progress=kill)
    assert len(frames(tmp_path)) == 2
    assert_equal(tmp_path, run(tmp_path), whole)


def test_a_part_that_lost_its_outcomes_is_computed_again(tmp_path, whole):
    run(tmp_path)
    (tmp_path / "outcomes-00001.parquet").unlink()
    assert_equal(tmp_path, run(tmp_path), whole)


def test_a_finished_run_is_read_again(tmp_path, whole):
    run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert_equal(tmp_path, run(tmp_path), whole)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("other", [{"seed": 3}, {"observe_h": (2.0, 24.0)}])
def test_the_folder_of_another_run_is_refused(whole, other):
    with pytest.raises(UserError, match="holds another run; choose an empty folder"):
        run(whole[0], **other)


def test_a_folder_that_cannot_be_made_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match=r"cannot write .*file") as caught:
        run(tmp_path / "file" / "inside")
    assert "\n" not in str(caught.value)
