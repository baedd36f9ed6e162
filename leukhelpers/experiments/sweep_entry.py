"""One run of a sweep, in a process of its own: its result is whole, or absent with the reason.

::

    sweep.json       the entries that were asked for
    runs/<key>/      a finished run: result.json, and its notebook, run folder or answers
    failed/<key>/    why a run is not there: failure.json, the notebook so far
    locks/<key>.lock held by the process at work

The process at work holds the lock, so that an entry is never run twice at once, whoever asks
for it. It ends when the worker that started it ends. What it writes lies in a hidden folder
that gets its name when all is there.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import psutil
from filelock import FileLock, Timeout

from leukhelpers import files
from leukhelpers.errors import InputError, LessonError

_LOOK = 0.2  # seconds between two looks at a run's time and memory
_KEPT_LINES = 40  # of what a run wrote to its error stream
DIED = "its process died; the worker was killed, or the machine ran out of memory"


class Place(NamedTuple):
    """Where one run of a sweep writes."""

    out: Path
    key: str

    @property
    def done(self) -> Path:
        """The folder of the finished run."""
        return self.out / "runs" / self.key

    @property
    def part(self) -> Path:
        """The folder of the run while it is at work."""
        return self.out / "runs" / f".part-{self.key}"

    @property
    def failed(self) -> Path:
        """The folder that tells why there is no finished run."""
        return self.out / "failed" / self.key

    def lock(self, timeout: float = -1) -> FileLock:
        """Give the lock that whoever writes here must hold."""
        (self.out / "locks").mkdir(parents=True, exist_ok=True)
        return FileLock(self.out / "locks" / f"{self.key}.lock", timeout=timeout)


def run_job(job: dict[str, Any], at_once: Mapping[str, int] | int = 1) -> dict[str, Any]:
    """Run one entry in a process of its own, and watch its time and memory.

    Parameters
    ----------
    job : dict
        ``out``, ``key``, ``task``, ``parameters``, ``notebook``, ``home``, and the limits
        ``timeout`` (seconds) and ``memory`` (GB), None for none.
    at_once : int or mapping
        How many runs share this machine; on a Dask cluster a number for each host.

    Returns
    -------
    dict
        ``state`` (``done`` or ``failed``), ``error``, ``seconds``.
    """
    place = Place(Path(job["out"]), job["key"])
    process = subprocess.Popen(
        [sys.executable, "-m", "leukhelpers.experiments.sweep_entry"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, **bounds(_runs_here(at_once)), "LEUK_HOME": job["home"]},
    )
    lines: list[dict[str, Any]] = []
    log: deque[str] = deque(maxlen=_KEPT_LINES)
    readers = [
        threading.Thread(target=_listen, args=(process.stdout, lines), daemon=True),
        threading.Thread(target=log.extend, args=(process.stderr,), daemon=True),
    ]
    for reader in readers:
        reader.start()
    started = time.monotonic()
    try:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()  # and stays open: its end is how the process learns of ours
        error = _watch(process, lines, job["timeout"], job["memory"])
    finally:
        _end(process)
    for reader in readers:
        reader.join(timeout=5)
    if error is None:
        if lines and "state" in lines[-1]:
            return lines[-1]
        last = next((line.strip() for line in reversed(log) if line.strip()), "it wrote nothing")
        error = f"The process ended with status {process.returncode}: {last}"
    seconds = round(time.monotonic() - started, 1)
    return fail(place, job, error, seconds, "".join(log))


def bounds(runs_here: int) -> dict[str, str]:
    """Give each of some runs on this machine its share of the cores, as environment variables.

    Without them each run would start a thread a core, and n runs on n cores would fight.
    """
    threads = str(max(1, (os.cpu_count() or 1) // max(1, runs_here)))
    names = (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "LOKY_MAX_CPU_COUNT",
    )
    return dict.fromkeys(names, threads)


def _runs_here(at_once: Mapping[str, int] | int) -> int:
    """Tell how many runs share the machine of the Dask worker that this is."""
    if isinstance(at_once, int):
        return at_once
    from distributed import get_worker

    worker = get_worker()
    return at_once.get(host_of(worker.address), worker.state.nthreads)


def host_of(address: str) -> str:
    """Tell the machine of a Dask address such as ``tcp://10.0.0.7:41234``."""
    return address.split("://")[-1].rsplit(":", 1)[0]


def _listen(stream: IO[str], lines: list[dict[str, Any]]) -> None:
    """Collect what the process tells, a line of JSON each."""
    for line in stream:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))


def _watch(
    process: subprocess.Popen[str],
    lines: list[dict[str, Any]],
    timeout: float | None,
    memory: float | None,
) -> str | None:
    """Wait until a process ends, or say which limit it has passed."""
    began = None
    while process.poll() is None:
        if lines and began is None:  # until then it waits for its lock
            began = time.monotonic()
        if timeout is not None and began is not None and time.monotonic() - began > timeout:
            return f"It took longer than {timeout:g} seconds and was ended."
        if memory is not None and _memory_gb(process.pid) > memory:
            return f"It needed more than {memory:g} GB of memory and was ended."
        time.sleep(_LOOK)
    return None


def _family(pid: int) -> list[psutil.Process]:
    """List a process and all that it started."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _memory_gb(pid: int) -> float:
    """Add up the memory of a process and its children, mapped files (the caches) aside."""
    total = 0
    for member in _family(pid):
        with contextlib.suppress(psutil.Error):
            info = member.memory_info()
            total += info.rss - getattr(info, "shared", 0)
    return total / 2**30


def _end(process: subprocess.Popen[str]) -> None:
    """End a process and all that it started."""
    _kill(_family(process.pid))
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _kill(family: list[psutil.Process]) -> None:
    for member in family:
        with contextlib.suppress(psutil.Error):
            member.kill()


def fail(
    place: Place, job: dict[str, Any], error: str, seconds: float, log: str = ""
) -> dict[str, Any]:
    """Record why a run is not there, unless somebody else has finished it, or is at it.

    A full disk cannot keep even that; then the reason is only returned.
    """
    outcome: dict[str, Any] = {"state": "failed", "error": error, "seconds": seconds}
    try:
        with place.lock(timeout=2):
            if (place.done / "result.json").is_file():
                return _read_done(place)
            _record_failure(place, job, {**outcome, "log": log})
    except Timeout:
        pass
    except OSError as problem:
        outcome["error"] += f" (not recorded: {problem.strerror or problem})"
    return outcome


def _record_failure(place: Place, job: dict[str, Any], result: dict[str, Any]) -> None:
    """Keep the notebook so far and the reason; make room first. The lock is held."""
    shutil.rmtree(place.failed, ignore_errors=True)
    notebooks = list(place.part.glob("*.failed.ipynb"))
    place.failed.mkdir(parents=True)
    for notebook in notebooks:
        with contextlib.suppress(OSError):
            os.replace(notebook, place.failed / notebook.name)
    shutil.rmtree(place.part, ignore_errors=True)
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    asked = {"task": job["task"], "parameters": job["parameters"]}
    files.write_json(place.failed / "failure.json", {**asked, **result, "date": now})


def _read_done(place: Place) -> dict[str, Any]:
    result = files.read_json(place.done / "result.json")
    return {"state": "done", "error": "", "seconds": result["seconds"]}


# ------------------------------------------------------------------ inside the run's own process


def main() -> None:
    """Run the entry that standard input names; tell what came of it on standard output."""
    job = json.loads(sys.stdin.readline())
    # Standard output carries the outcome alone; what libraries print goes to the log.
    outcome = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def tell(found: dict[str, Any]) -> None:
        print(json.dumps(found), file=outcome, flush=True)

    place = Place(Path(job["out"]), job["key"])
    try:
        with place.lock():
            tell({"begun": True})
            result = _run_alone(place, job)
    except OSError as error:  # not even a lock can be had
        result = {"state": "failed", "error": _sentence(error), "seconds": 0.0}
    tell(result)
    outcome.close()
    # Not through the exit handlers of libraries: what counts is written, and helpers that
    # wait for more work may go.
    _kill(_family(os.getpid())[1:])
    os._exit(0)


def _end_with_parent() -> None:
    """Wait for the end of the worker, and end with it: nobody would take the result."""
    sys.stdin.read()
    _kill(_family(os.getpid())[1:])
    os._exit(1)


def _run_alone(place: Place, job: dict[str, Any]) -> dict[str, Any]:
    """Run the entry, with its lock held; what an earlier process left half done is removed."""
    if (place.done / "result.json").is_file():
        return _read_done(place)
    interrupted = place.part.exists()
    shutil.rmtree(place.part, ignore_errors=True)
    shutil.rmtree(place.done, ignore_errors=True)
    started = time.monotonic()
    try:
        place.part.mkdir(parents=True)
        measured = WORK[job["task"]](job, place.part)
        seconds = round(time.monotonic() - started, 1)
        result = {
            "task": job["task"],
            "parameters": job["parameters"],
            "seconds": seconds,
            "before": [DIED] if interrupted else [],
            "threads": os.environ.get("OMP_NUM_THREADS"),
            "measured": measured,
        }
        files.write_json(place.part / "result.json", result)
        os.replace(place.part, place.done)
    except Exception as error:
        seconds = round(time.monotonic() - started, 1)
        failure: dict[str, Any] = {"state": "failed", "error": _sentence(error), "seconds": seconds}
        try:
            _record_failure(place, job, failure)
        except OSError as problem:
            failure["error"] += f" (not recorded: {problem.strerror or problem})"
        return failure
    shutil.rmtree(place.failed, ignore_errors=True)
    return {"state": "done", "error": "", "seconds": seconds}


def _sentence(error: Exception) -> str:
    """Tell an error in a form that a person understands."""
    if isinstance(error, InputError | LessonError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
    return f"{type(error).__name__}: {error}"


def _train(job: dict[str, Any], part: Path) -> dict[str, Any]:
    from leukhelpers.experiments import train

    asked = job["parameters"]
    run = train.train_run(part / "run", _prepared(asked), asked["fold"], _model(asked))
    return run.metrics


def _crossval(job: dict[str, Any], part: Path) -> dict[str, Any]:
    from leukhelpers.experiments import crossval

    asked, say = job["parameters"], lambda _: None
    names = [_model(asked)]
    found = crossval.crossvalidate(_prepared(asked), asked["folds"], say, names, part / "answers")
    kept = {name: found[name] for name in ("over_folds", "cost", "synthetic")}
    return {**found["together"], **kept}


def _lesson(job: dict[str, Any], part: Path) -> dict[str, Any]:
    from leukhelpers.experiments import run_notebook

    notebook = Path(job["notebook"])
    given = {name: value for name, value in job["parameters"].items() if name != "lesson"}
    if job["takes_run"]:
        given["run"] = str(part / "run")
    run_notebook.run_notebook(notebook, part / notebook.name, given)
    metrics = part / "run" / "metrics.json"
    return files.read_json(metrics) if metrics.is_file() else {}


def _prepared(asked: dict[str, Any]) -> Any:
    from leukhelpers.models import prepare, profiles

    profile, data = profiles.profile_of(asked["profile"]), files.workspace() / "data"
    cells = prepare.load(asked["dataset"], profile, asked["seed"], data)
    return prepare.prepare(cells, profile, asked["seed"], data)


def _model(asked: dict[str, Any]) -> str:
    from leukhelpers.models import registry

    name: str = asked["model"]
    return registry.with_random_weights([name])[0] if asked["random_weights"] else name


WORK = {"train": _train, "crossval": _crossval, "lesson": _lesson}


def unfinished(out: Path) -> Iterator[str]:
    """Name the entries that are at work in a folder, or were when their worker was killed."""
    for part in (out / "runs").glob(".part-*"):
        yield part.name.removeprefix(".part-")


if __name__ == "__main__":
    main()
