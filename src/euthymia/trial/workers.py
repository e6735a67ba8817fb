"""Independent parts of a computation, on threads or processes of this machine or on the workers of a Dask cluster.

A part is a pure function of its argument: it does not matter who computes it, in which order, or how often, so that a
part whose worker died is simply computed again.
"""

import asyncio
import logging
import os
import re
import socket
import warnings
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar
from uuid import uuid4

from euthymia.course.result import evidence_hash, release
from euthymia.errors import UserError

TIMEOUT_S = 8
"""How long a scheduler may take to answer, and to have a worker."""
ADDRESS = re.compile(r"(?:tcp|tls)://(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]@]+):([0-9]{1,5})/?")

KEPT_BYTES = str(2**32)
"""Memory that a process keeps for its next arrays: to hand pages back and get them anew took a sixth of its time."""

CACHE = (
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
"""Settings of JAX by which compiled code is kept between runs."""

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def threads(workers: int | None) -> int:
    """Threads on this machine: as many as asked for, by default one per core. Raises UserError for none."""
    if workers is not None and workers < 1:
        raise UserError(f"workers must be at least 1, not {workers}.")
    return workers or os.cpu_count() or 1


def each(
    compute: Callable[[Argument], Result],
    parts: Mapping[int, Argument],
    workers: int | None = None,
    scheduler: str | None = None,
    processes: bool = False,
) -> Iterator[tuple[int, Result]]:
    """The number and result of every part, as they are finished.

    workers: threads on this machine (default: one per core), or processes, for what is mostly done outside compiled
    code; or scheduler: the address of a Dask cluster, whose workers
    need the same Euthymia (compute, arguments and results are pickled).
    Raises UserError for a cluster that cannot be reached or used, and whatever `compute` raises.
    """
    if scheduler is None:
        count = min(threads(workers), max(len(parts), 1))
        return (_on_processes if processes and count > 1 else _on_threads)(compute, parts, count)
    if workers is not None:
        raise UserError("give `workers`, threads on this machine, or `scheduler`, a cluster with its own; not both.")
    return _on_cluster(compute, parts, scheduler)


def _numbered(compute: Callable[[Argument], Result], number: int, part: Argument) -> tuple[int, Result]:
    return number, compute(part)


def _on_threads(compute, parts, count):
    with ThreadPoolExecutor(count) as pool:
        try:
            # no list is kept: a result is let go of once it is handed on
            for done in as_completed([pool.submit(_numbered, compute, k, part) for k, part in parts.items()]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _on_processes(compute, parts, count):
    import jax
    from loky import get_reusable_executor
    from loky.process_executor import TerminatedWorkerError

    cache = {name: getattr(jax.config, name) for name in CACHE}
    # each has a core of its own: compiled code that wants more would only wait for the others
    alone = {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()}
    env = alone | dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), KEPT_BYTES)
    pool = get_reusable_executor(max_workers=count, timeout=30, initializer=_begun, initargs=(cache,), env=env)
    try:
        for done in as_completed([pool.submit(_numbered, compute, k, part) for k, part in parts.items()]):
            yield done.result()
    except TerminatedWorkerError:
        raise UserError("a process of this computation died; it may need more memory: give fewer workers.") from None
    except BaseException:
        pool.shutdown(kill_workers=True)
        raise


def _begun(cache: Mapping[str, Any]) -> None:
    """Which compiled code a process keeps, and where: as whoever asked it."""
    import jax
    from loky import process_executor

    for name, value in cache.items():
        jax.config.update(name, value)
    # what a part leaves for the next would be taken for a leak, and the process begun anew after every part
    process_executor._USE_PSUTIL = False


def _checked(compute: Callable[[Argument], Result], wanted: tuple[str, str], part: Argument) -> Result:
    """A part on a worker, whose numbers and version must be those of whoever asks."""
    if (release(), evidence_hash()) != wanted:
        raise UserError(
            f"a worker of the cluster has Euthymia {release()} with other numbers than here ({wanted[0]}); install the "
            "same on every worker."
        )
    return compute(part)


def _on_cluster(compute, parts, address):
    with _client(address) as client:
        from distributed import as_completed as as_finished
        from distributed.scheduler import KilledWorker

        run = uuid4().hex  # a name that says nothing about who is simulated
        number = {f"euthymia-{run}-{k}": k for k in parts}
        lost = UserError(f"the Dask scheduler at {address} was lost before all parts were finished.")
        task = partial(_checked, compute, (release(), evidence_hash()))
        try:
            futures = [client.submit(task, parts[k], key=key, pure=False) for key, k in number.items()]
            finished = as_finished(futures, loop=client.loop, with_results=True)
            del futures  # so that the cluster lets go of a result once it is handed on
            for future, result in finished:
                if future.cancelled():
                    raise lost
                yield number[future.key], result
        except UserError:
            raise
        except KilledWorker as error:
            times = error.allowed_failures + 1
            raise UserError(
                f"a part was given up after {times} workers of the cluster had died on it; see the workers' logs, "
                "they may need more memory."
            ) from None
        except Exception as error:
            if isinstance(error, ImportError) or "deserializ" in str(error):
                raise UserError(
                    f"the cluster at {address} cannot load this Euthymia {release()}; install the same on the "
                    "scheduler and every worker."
                ) from None
            if client.status != "running":
                raise lost from None
            raise


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of a Dask scheduler that has answered and has a worker; it writes nothing to the terminal."""
    _knock(address)
    try:
        import distributed
    except ImportError:
        raise UserError(
            'a cluster needs Dask, which is not installed: pip install "euthymia[cluster]" '
            '(or pip install "dask[distributed]").'
        ) from None
    with _quiet():
        _greet(address)
        try:
            client = distributed.Client(address, timeout=TIMEOUT_S, set_as_default=False)
        except Exception as error:  # whatever two versions make of each other
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"the Dask scheduler at {address} cannot be used from here ({reason}).") from None
        with client:
            _check_versions(client, address)
            yield client


def _greet(address: str) -> None:
    """Ask a stranger who it is; a Dask client left with one that is no scheduler would not give up for a minute."""
    from distributed.comm.core import connect
    from distributed.security import Security

    async def asked() -> Any:
        comm = await connect(address, timeout=TIMEOUT_S, **Security().get_connection_args("client"))
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()

    reason = "it is something else"
    try:
        with ThreadPoolExecutor(1) as pool:  # a notebook's own thread has a loop running already
            answer = pool.submit(lambda: asyncio.run(asyncio.wait_for(asked(), TIMEOUT_S))).result()
        if isinstance(answer, dict) and answer.get("type") == "Scheduler":
            return
    except TimeoutError:
        reason = f"nothing within {TIMEOUT_S} s"
    except TypeError as error:  # no certificate is configured
        reason = str(error)
    except Exception:  # bytes that are no message of Dask's can make it raise nearly anything
        pass
    raise UserError(f"what listens at {address} does not answer as a Dask scheduler of this version does: {reason}.")


def _knock(address: str) -> None:
    """Whether anything listens at an address, which Dask would take long to find out."""
    match = ADDRESS.fullmatch(address)
    if not match or not 0 < int(match[2]) < 2**16:
        raise UserError(
            f"the scheduler {address!r} is no address; allowed: tcp://HOST:PORT or tls://HOST:PORT, e.g. "
            "tcp://127.0.0.1:8786."
        )
    try:
        socket.create_connection((match[1].strip("[]"), int(match[2])), TIMEOUT_S).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"no Dask scheduler can be reached at {address} ({reason}); start one with `dask scheduler`, and workers "
            f"with `dask worker {address}`."
        ) from None


def _check_versions(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=TIMEOUT_S)
    except TimeoutError:
        raise UserError(
            f"the Dask scheduler at {address} has no workers; start some with `dask worker {address}`."
        ) from None
    found = client.get_versions()

    def of(node: Any) -> tuple[str, str]:
        packages = node["packages"]
        return ".".join(packages["python"].split(".")[:2]), packages["distributed"]

    here = of(found["client"])
    for who, node in {"the scheduler": found["scheduler"], **found["workers"]}.items():
        if of(node) != here:
            place = who if who == "the scheduler" else "a worker"
            raise UserError(
                f"{place} of the cluster at {address} runs Python {of(node)[0]} with Dask {of(node)[1]}, but this is "
                f"Python {here[0]} with Dask {here[1]}; install the same everywhere."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Dask's own log and warnings kept off the terminal: what matters is raised as an error."""
    names = [n for n in list(logging.root.manager.loggerDict) if n.partition(".")[0] in ("distributed", "tornado")]
    loggers = [logging.getLogger(n) for n in names]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"distributed|tornado")
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled
