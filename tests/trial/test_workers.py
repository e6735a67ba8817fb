"""The same numbers on any number of workers, here or on a cluster, whatever dies on the way."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import numpy as np
import polars as pl
import pytest

from euthymia.errors import UserError
from euthymia.trial.document import load
from euthymia.trial.plan import Plan
from euthymia.trial.reading import read_document
from euthymia.trial.run import TrialResult, run
from euthymia.trial.validation import validate

ROOT = Path(__file__).parent.parent.parent
SMALL = """trial: small
title: A small adaptive trial
illness: depression
population: TRD
design: {expectancy: midazolam, setting: outpatient, sites: one}
type: parallel
patients: 4000
arms:
  - {arm: ketamine, protocol: ketamine-iv-single}
  - {arm: sham, sham of: ketamine-iv-single, comparator: yes}
visits: [0 h, 24 h, 72 h, 1 week]
adaptive: {looks: [0.5, 1], stop: pocock}
dropout: {per week: 10 %}
endpoints:
  - {endpoint: change, at: 24 h, primary: yes}
  - {endpoint: change, at: 1 week, analysis: mmrm}
"""
PLAN = read_document(SMALL, "small.yaml", Plan, "a planned trial")
TINY = PLAN.model_copy(update={"patients": 40})
REPLICATES, PARTS = 13, 4
MAIN = "from euthymia.cli import main; main()"


def started(*words: str, **options) -> subprocess.Popen:
    """A process of its own, with this Euthymia."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen([sys.executable, *words], env=environment, text=True, **options)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


OF_WORKER = ("--nthreads", "1", "--no-nanny", "--no-dashboard")


class Cluster:
    """A Dask scheduler and workers as processes of their own."""

    def __init__(self, workers: int):
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
        self.workers = [self._start("worker", self.address, *OF_WORKER) for _ in range(workers)]

    def _start(self, what: str, *words: str) -> subprocess.Popen:
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return started("-m", f"distributed.cli.dask_{what}", *words, **quiet)

    def __enter__(self) -> "Cluster":
        from distributed import Client

        address = self.address.removeprefix("tcp://").split(":")
        deadline = time.monotonic() + 60
        try:
            while True:
                try:
                    socket.create_connection((address[0], int(address[1]))).close()
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)
            if self.workers:
                with Client(self.address, timeout=30, set_as_default=False) as client:
                    client.wait_for_workers(len(self.workers), timeout=60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def assert_same(one: TrialResult, two: TrialResult) -> None:
    assert one.estimates.equals(two.estimates)
    assert np.array_equal(one.levels, two.levels)
    for name in ("arm", "patient", "site", "baseline", "scores", "screened", "entered", "stopped"):
        a, b = getattr(one.outcomes, name), getattr(two.outcomes, name)
        assert np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), name


@pytest.fixture(scope="module")
def here() -> TrialResult:
    return run(PLAN, REPLICATES, workers=1)


@pytest.fixture(scope="module")
def pair():
    with Cluster(2) as cluster:
        yield cluster


# --- the same numbers -------------------------------------------------------------------------------------------------


def test_two_threads_give_the_numbers_of_one(here):
    assert_same(run(PLAN, REPLICATES, workers=2), here)


def test_two_workers_of_a_cluster_give_the_numbers_of_this_machine(here, pair):
    assert_same(run(PLAN, REPLICATES, scheduler=pair.address), here)


def test_a_worker_killed_midway_changes_no_number(here, pair):
    killed = []

    def kill(done: int, of: int) -> None:
        if not killed:  # parts are left, and it holds or computes some of them
            os.kill(pair.workers[0].pid, signal.SIGKILL)
            killed.append(done)

    found = run(PLAN, REPLICATES, scheduler=pair.address, progress=kill)
    assert killed[0] < REPLICATES
    assert pair.workers[0].wait(10) == -signal.SIGKILL
    assert_same(found, here)


def test_a_validation_on_a_cluster_gives_the_numbers_of_this_machine(pair):
    trials = [load("su-2017")]
    assert validate(trials, 100, 5, scheduler=pair.address).rows == validate(trials, 100, 5, workers=2).rows


# --- resuming ---------------------------------------------------------------------------------------------------------


def parts(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*-0*.parquet")}


def test_a_command_that_was_killed_goes_on_where_it_was(tmp_path, here):
    plan, folder = tmp_path / "small.yaml", tmp_path / "out"
    plan.write_text(SMALL, encoding="utf-8")
    words = ("-c", MAIN, "trial", "run", str(plan), "--replicates", str(REPLICATES), "--out", str(folder))
    first = started(*words, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(folder.glob("endpoints-*.parquet")) and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    first.kill()
    first.wait()
    before = parts(folder)
    whole = {name for name in before if name.startswith("endpoints")}
    assert 0 < len(whole) < PARTS
    assert started(*words, stdout=subprocess.DEVNULL).wait() == 0
    after = parts(folder)
    assert len(after) == 3 * PARTS
    for name in whole:
        for kind in ("endpoints", "patients", "replicates"):
            one = name.replace("endpoints", kind)
            assert after[one] == before[one]
    assert pl.read_parquet(folder / "endpoints.parquet").equals(here.estimates)
    assert_same(run(PLAN, REPLICATES, out=folder), here)  # all of it read
    assert parts(folder) == after


@pytest.mark.parametrize("other", [{"seed": 2}, {"replicates": 7}, {"no_effect": True}, {"study_levels": False}])
def test_the_folder_of_another_run_is_refused(tmp_path, other):
    run(TINY, 3, out=tmp_path)
    with pytest.raises(UserError, match="holds another run; choose an empty folder"):
        run(TINY, **({"replicates": 3} | other), out=tmp_path)


def test_the_folder_of_another_plan_is_refused(tmp_path):
    run(TINY, 3, out=tmp_path)
    with pytest.raises(UserError, match="holds another run"):
        run(TINY.model_copy(update={"patients": 42}), 3, out=tmp_path)


def test_a_part_that_cannot_be_read_is_one_sentence(tmp_path):
    run(TINY, 3, out=tmp_path)
    (tmp_path / "patients-00000.parquet").write_bytes(b"no parquet")
    with pytest.raises(UserError, match=r"patients-00000\.parquet cannot be read; delete"):
        run(TINY, 3, out=tmp_path)


# --- schedulers that are none -----------------------------------------------------------------------------------------


def refused(address: str, folder: Path) -> str:
    """What the command says, which is one line and no half-written file."""
    words = ("trial", "run", "ketamine-against-midazolam", "--scheduler", address, "--out", str(folder))
    process = started("-c", MAIN, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert not out and said.startswith("Error: ") and said.count("\n") == 1
    assert not list(folder.iterdir())
    return said


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:8786", "tcp://127.0.0.1", "tcp://127.0.0.1:99999", ""])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(UserError, match="is no address; allowed: tcp://HOST:PORT"):
        run(PLAN, scheduler=address)


def test_a_closed_port_is_one_sentence(tmp_path):
    assert "no Dask scheduler can be reached" in refused(f"tcp://127.0.0.1:{free_port()}", tmp_path)


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b""], ids=["another protocol", "silence"])
def test_a_port_that_speaks_something_else_is_one_sentence(tmp_path, greeting):
    with socket.create_server(("127.0.0.1", 0)) as server:
        guests = []

        def serve() -> None:
            while True:
                try:
                    guest, _ = server.accept()
                    guests.append(guest)
                    guest.sendall(greeting)
                except OSError:
                    return

        Thread(target=serve, daemon=True).start()
        said = refused(f"tcp://127.0.0.1:{server.getsockname()[1]}", tmp_path)
        for guest in guests:
            guest.close()
    assert "does not answer as a Dask scheduler" in said


def test_a_scheduler_without_workers_is_one_sentence(tmp_path):
    with Cluster(0) as cluster:
        assert "has no workers; start some with `dask worker" in refused(cluster.address, tmp_path)


def test_threads_and_a_cluster_exclude_each_other():
    with pytest.raises(UserError, match="not both"):
        run(PLAN, workers=2, scheduler="tcp://127.0.0.1:8786")


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_is_refused(workers):
    with pytest.raises(UserError, match="workers must be at least 1"):
        run(PLAN, workers=workers)
