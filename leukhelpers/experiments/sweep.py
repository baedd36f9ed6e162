"""Many runs: a grid of parameters, on this machine or on a Dask cluster.

Each entry of the grid is one run in its own process and folder
(:mod:`leukhelpers.experiments.sweep_entry`). The folders are the memory of
a sweep: whatever is killed, ``resume`` runs what they lack.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib

from leukhelpers import files
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import sweep_entry
from leukhelpers.experiments.grid import Entry
from leukhelpers.experiments.sweep_entry import Place

_LOOK = 0.2  # seconds between two looks at the cluster
_GONE = 10.0  # seconds after which a scheduler that does not answer is given up


class State(NamedTuple):
    """How far a sweep is, for those who watch.

    Attributes
    ----------
    of : dict
        Key → ``waiting``, ``running``, ``done`` or ``failed``.
    results : dict
        Key → ``seconds`` and ``error`` of the runs that ended.
    seconds_left : float or None
        An estimate from the runs that ended so far; None before the first did.
    """

    of: dict[str, str]
    results: dict[str, dict[str, Any]]
    seconds_left: float | None

    def count(self, state: str) -> int:
        """Count the runs in one state."""
        return list(self.of.values()).count(state)


def open_folder(out: Path, entries: Sequence[Entry], resume: bool) -> None:
    """Note what a folder's runs are, or refuse a folder that holds something else.

    Raises
    ------
    InputError
        If it is no sweep's folder, or is one and `resume` was not asked for.
    """
    note = out / "sweep.json"
    if note.is_file():
        if not resume:
            raise InputError(f"{out} holds a sweep already; give --resume or another --out.")
    else:
        files.refuse_used(out)
    out.mkdir(parents=True, exist_ok=True)
    asked = [
        {"key": entry.key, "task": entry.task, "parameters": entry.parameters} for entry in entries
    ]
    files.write_json(note, asked)


def run_sweep(
    entries: Sequence[Entry],
    out: Path | str,
    scheduler: str | None = None,
    workers: int | None = None,
    resume: bool = False,
    retries: int = 0,
    timeout: float | None = None,
    memory: float | None = None,
    listen: Callable[[State], None] | None = None,
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
        to another worker in any case, three times.
    timeout, memory : float, optional
        Seconds and GB after which a run is ended.
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
    state = State({entry.key: "waiting" for entry in entries}, {}, None)
    for entry in entries:
        kept = Place(out, entry.key).done / "result.json"
        if kept.is_file():
            _note(state, entry.key, {**files.read_json(kept), "state": "done", "again": False})
    if state.count("waiting"):
        limits = {"timeout": timeout, "memory": memory, "home": str(files.workspace())}
        jobs = [
            {**entry._asdict(), "out": str(out), **limits}
            for entry in entries
            if state.of[entry.key] == "waiting"
        ]
        with _cluster(scheduler, workers) as client:
            state = _follow(client, jobs, state, retries, listen or (lambda _: None))
    return state


def _note(state: State, key: str, outcome: dict[str, Any]) -> None:
    """Take down how a run ended."""
    state.of[key] = outcome["state"]
    result = {"seconds": outcome["seconds"], "error": outcome.get("error", "")}
    state.results[key] = {**result, "again": outcome.get("again", True)}


@contextlib.contextmanager
def _cluster(scheduler: str | None, workers: int | None) -> Iterator[Any]:
    """Connect to a scheduler, or start one with its workers on this machine."""
    from distributed import Client, LocalCluster

    with contextlib.ExitStack() as stack:
        if scheduler is None:
            # The runs are processes of their own: Dask's own limit would not see their memory.
            cluster = LocalCluster(
                n_workers=workers or os.cpu_count(),
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address="127.0.0.1:0",
                silence_logs="CRITICAL",
            )
            stack.enter_context(cluster)
            client = Client(cluster)
        else:
            try:
                client = Client(scheduler, timeout=_GONE)
            except (OSError, ValueError, TimeoutError) as error:
                reason = str(error) or type(error).__name__
                raise InputError(f"No scheduler answers at {scheduler} ({reason}).") from None
        stack.enter_context(client)
        yield client


@contextlib.contextmanager
def joblib_on(scheduler: str) -> Iterator[None]:
    """Let joblib work on a Dask cluster: hand-made features, and the trees of a forest.

    What must write into this process's memory (the pixel cache) stays on this machine.

    Raises
    ------
    InputError
        If no scheduler answers.
    """
    with _cluster(scheduler, None), joblib.parallel_config("dask"):
        yield


def _follow(
    client: Any,
    jobs: list[dict[str, Any]],
    state: State,
    retries: int,
    listen: Callable[[State], None],
) -> State:
    """Submit runs, and take down how each ends, until none is left."""
    started = time.monotonic()
    tries: Counter[str] = Counter()
    at_once = _at_once(client)

    def submit(job: dict[str, Any]) -> Any:
        tries[job["key"]] += 1
        name = f"run-{job['key']}-{tries[job['key']]}-{os.getpid()}-{time.time_ns()}"
        return client.submit(sweep_entry.run_job, job, at_once, key=name, pure=False)

    at_work = {job["key"]: (submit(job), job) for job in jobs}
    lost_since = None
    while at_work:
        lost = client.status != "running"
        for key, (future, job) in list(at_work.items()):
            if future.status in ("pending", "lost", "canceled"):
                lost |= future.status != "pending"
                continue
            outcome = _outcome(future, job, time.monotonic() - started)
            if outcome["state"] == "failed" and tries[key] <= retries:
                at_work[key] = (submit(job), job)
                continue
            _note(state, key, outcome)
            del at_work[key]
        running = set(sweep_entry.unfinished(Path(jobs[0]["out"])))
        for key in at_work:
            state.of[key] = "running" if key in running else "waiting"
        state = state._replace(seconds_left=_left(state, sum(at_once.values())))
        listen(state)
        lost_since = (lost_since or time.monotonic()) if lost else None
        if lost_since is not None and time.monotonic() - lost_since > _GONE / 2:
            raise LessonError(
                f"The scheduler is gone; {state.count('done')} of {len(state.of)} runs are done "
                "and kept. The same command with --resume goes on."
            )
        if at_work:
            time.sleep(_LOOK)
    return state


def _at_once(client: Any) -> dict[str, int]:
    """Count how many runs each machine of a cluster takes at once."""
    found: Counter[str] = Counter()
    for address, threads in client.nthreads().items():
        found[sweep_entry.host_of(address)] += threads
    return dict(found)


def _outcome(future: Any, job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Read how a run ended; of a worker that died again and again Dask tells only that."""
    if future.status == "finished":
        outcome: dict[str, Any] = future.result()
        return outcome
    place = Place(Path(job["out"]), job["key"])
    error = future.exception()
    killed = type(error).__name__ == "KilledWorker"
    reason = sweep_entry.DIED if killed else f"{type(error).__name__}: {error}"
    return sweep_entry.fail(place, job, f"{reason[0].upper()}{reason[1:]}.", round(seconds, 1))


def _left(state: State, slots: int) -> float | None:
    """Estimate how long what is left takes, from the mean of what was run."""
    took = [result["seconds"] for result in state.results.values()]
    left = state.count("waiting") + state.count("running")
    return None if not took else sum(took) / len(took) * left / max(1, slots)
