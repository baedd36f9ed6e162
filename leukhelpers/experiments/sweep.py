"""Many runs: a grid of parameters, on this machine or on a Dask cluster.

Each entry of the grid is one Dask task with a folder of its own
(:mod:`leukhelpers.experiments.sweep_entry`). The folders are the memory of
a sweep: whatever is killed, ``resume`` runs what they lack.
"""

import contextlib
import math
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import dask
import filelock
import joblib
from distributed import Client, KilledWorker, LocalCluster

from leukhelpers import files
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import sweep_entry
from leukhelpers.experiments.grid import Entry

_LOOK = 0.2  # seconds between two looks at the cluster
_GONE = 10.0  # seconds after which a scheduler that does not answer is given up
_THREADS = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")]
_THREADS += ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "LOKY_MAX_CPU_COUNT"]


class State(NamedTuple):
    """How far a sweep is, for those who watch.

    Attributes
    ----------
    of : dict
        Key → ``waiting``, ``running``, ``done`` or ``failed``.
    results : dict
        Key → ``seconds`` and ``error`` of the runs that ended, and whether they ran ``again``.
    """

    of: dict[str, str]
    results: dict[str, dict[str, Any]]

    def count(self, state: str) -> int:
        """Count the runs in one state."""
        return list(self.of.values()).count(state)

    def note(self, key: str, kept: dict[str, Any], error: str = "", again: bool = True) -> None:
        """Take down how a run ended, from what it has left."""
        self.of[key] = "failed" if error else "done"
        self.results[key] = {"seconds": kept.get("seconds", 0.0), "error": error, "again": again}


Listener = Callable[[State], None]


def open_folder(out: Path, entries: Sequence[Entry], resume: bool) -> None:
    """Note what a folder's runs are, or refuse a folder that holds something else.

    Raises
    ------
    InputError
        If it is no sweep's folder, or is one and `resume` was not asked for.
    """
    note = out / "sweep.json"
    if not note.is_file():
        files.refuse_used(out)
    elif not resume:
        raise InputError(f"{out} holds a sweep already; give --resume or another --out.")
    files.write_json(note, [entry._asdict() for entry in entries])


def run_sweep(
    entries: Sequence[Entry],
    out: Path | str,
    scheduler: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    retries: int = 0,
    timeout: float | None = None,
    memory: float | None = None,
    listen: Listener = lambda _: None,
) -> State:
    """Run the entries that are not done yet; one that fails does not stop the others.

    Parameters
    ----------
    entries : sequence of Entry
        From :func:`read_grid`.
    out : path
        The sweep's folder; on a cluster all machines must see it, under the same name.
    scheduler : str, optional
        Address of a Dask scheduler; by default a cluster of processes on this machine.
    workers : int, optional
        Runs at once on this machine; by default as many as it has cores.
    resume : bool
        Go on in a folder that an earlier sweep left: what is done is not done again.
    retries : int
        How often a run that failed is tried again. A run whose worker was killed is given
        to another worker in any case, three times; one that was ended at a limit is not.
    timeout, memory : float, optional
        Seconds and GB after which a run is ended, with the process of its worker.
    listen : callable, optional
        Told the state several times a second.

    Returns
    -------
    State

    Raises
    ------
    InputError
        If the folder or the scheduler cannot be used.
    LessonError
        If the scheduler is lost; what was finished is kept.
    """
    out = Path(out).resolve()
    open_folder(out, entries, resume)
    state = State({entry.key: "waiting" for entry in entries}, {})
    for entry in entries:
        kept = files.read_if_there(sweep_entry.locate(out, entry.key).done / "result.json")
        if kept:
            state.note(entry.key, kept, again=False)
    about = {"out": str(out), "home": str(files.workspace()), "sweep": uuid.uuid4().hex}
    log = None if scheduler else str(out / "workers.log")
    limits = {"timeout": timeout or math.inf, "memory": memory or math.inf, "log": log}
    jobs = [e._asdict() | about | limits for e in entries if state.of[e.key] == "waiting"]
    if not jobs:
        return state
    with _cluster(scheduler, workers or os.cpu_count() or 1) as client:
        return _follow(client, jobs, state, retries, listen)


@contextlib.contextmanager
def _cluster(scheduler: str | None, workers: int = 1) -> Iterator[Client]:
    """Connect to a scheduler, or start one with its workers on this machine."""
    with contextlib.ExitStack() as stack:
        try:
            cluster = scheduler or stack.enter_context(_local(workers))
            client = stack.enter_context(Client(cluster, timeout=_GONE))
        except (OSError, ValueError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            what = f"No scheduler answers at {scheduler}" if scheduler else "No worker starts here"
            raise InputError(f"{what} ({reason}).") from None
        yield client


@contextlib.contextmanager
def _local(workers: int) -> Iterator[LocalCluster]:
    """Start a scheduler and workers on this machine; they end with this process."""
    rest = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": "127.0.0.1:0"}
    # An entry that waits at a worker would die with it; so it waits at the scheduler.
    settings = {"distributed.scheduler.worker-saturation": 1.0}
    share, config = share_cores(workers), dask.config.set(settings)
    with share, config, LocalCluster(n_workers=workers, silence_logs="CRITICAL", **rest) as cluster:
        yield cluster


def share_cores(runs_here: int) -> Any:
    """Give each of some runs on this machine its share of the cores, while the context lasts.

    Without it each run would start a thread a core, and n runs on n cores would fight.
    Processes inherit the environment; Dask's own way would leave it changed for good.
    """
    share = str(max(1, (os.cpu_count() or 1) // runs_here))
    return mock.patch.dict(os.environ, dict.fromkeys(_THREADS, share))


@contextlib.contextmanager
def joblib_on(scheduler: str) -> Iterator[None]:
    """Let joblib work on a Dask cluster: hand-crafted features, and the trees of a forest.

    What must write into this process's memory (the pixel cache) stays on this machine.

    Raises
    ------
    InputError
        If no scheduler answers.
    """
    with _cluster(scheduler), joblib.parallel_config("dask"):
        yield


def _follow(client: Client, jobs: list[Any], state: State, retries: int, listen: Listener) -> State:
    """Submit runs, and take down how each ends, until none is left."""
    futures = client.map(sweep_entry.run_entry, jobs, retries=retries, pure=False)
    at_work = dict(zip(futures, jobs, strict=True))
    runs = Path(jobs[0]["out"], "runs")
    while at_work:
        if client.status != "running":
            kept = f"{state.count('done')} of {len(state.of)} runs are done and kept"
            again = "The same command with --resume continues."
            raise LessonError(f"The scheduler is gone; {kept}. {again}")
        for future in [future for future in at_work if future.status in ("finished", "error")]:
            _take_down(state, at_work.pop(future), future.exception())
        for key in (job["key"] for job in at_work.values()):
            state.of[key] = "running" if (runs / f".part-{key}").is_dir() else "waiting"
        listen(state)
        time.sleep(_LOOK if at_work else 0)
    return state


def _take_down(state: State, job: dict[str, Any], error: BaseException | None) -> None:
    """Note how a run ended; of a worker that died again and again Dask tells only that."""
    place = sweep_entry.locate(job["out"], job["key"])
    if isinstance(error, KilledWorker):
        error, job = LessonError(sweep_entry.DIED), {**job, "started": time.monotonic()}
        with contextlib.suppress(filelock.Timeout, OSError), place.lock.acquire(timeout=2):
            sweep_entry.record_failure(job, place, sweep_entry.DIED)
    kept = place.failed / "failure.json" if error else place.done / "result.json"
    reason = sweep_entry.sentence(error) if error else ""
    state.note(job["key"], files.read_if_there(kept), reason)
