"""One entry of a sweep, in a Dask worker: its result is whole, or absent with the reason.

::

    sweep.json       the entries that were asked for
    runs/<key>/      a finished run: result.json, and its notebook, run folder or answers
    failed/<key>/    why a run is not there: failure.json, the notebook so far
    locks/<key>.lock held by the worker at work
    workers.log      what the workers on this machine printed

The worker at work holds the lock, so that an entry is never run twice at once, whoever asks
for it. What it writes lies in a hidden folder that gets its name when all is there.
"""

import contextlib
import json
import os
import shutil
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import psutil
from filelock import FileLock

from leukhelpers import files
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import crossval, train
from leukhelpers.models import registry

_LOOK = 0.5  # seconds between two looks at a run's time and memory
DIED = "Its process died; the worker was killed, or the machine ran out of memory."


class Place(NamedTuple):
    """Where one run of a sweep writes: when finished, at work and failed; and its lock."""

    done: Path
    part: Path
    failed: Path
    lock: FileLock


def locate(out: Path | str, key: str) -> Place:
    """Find the places of a run in the folder of a sweep."""
    runs, lock = Path(out, "runs"), FileLock(Path(out, "locks", f"{key}.lock"))
    return Place(runs / key, runs / f".part-{key}", Path(out, "failed", key), lock)


def run_entry(job: dict[str, Any]) -> None:
    """Run one entry, unless its result is there; the process of a worker runs one at a time.

    Parameters
    ----------
    job : dict
        ``out``, ``key``, ``task``, ``parameters``, ``notebook``, ``takes_run``, ``home`` (the
        client's workspace), ``sweep`` (a name of this sweep), ``log`` (a file for what
        libraries print, or None), and the limits ``timeout`` (seconds) and ``memory`` (GB).

    Raises
    ------
    LessonError
        In one sentence, why there is no result.
    """
    os.environ["LEUK_HOME"] = job["home"]
    place = locate(job["out"], job["key"])
    with place.lock:
        job = {**job, "started": time.monotonic()}
        past = files.read_if_there(place.failed / "failure.json")
        if past.get("ended_by") == job["sweep"]:  # Dask asks again, as its worker is gone
            raise LessonError(past["error"])
        if files.read_if_there(place.done / "result.json"):
            return
        shutil.rmtree(place.done, ignore_errors=True)
        with files.new_folder(place.done):
            try:
                _work(job, place)
            except Exception as error:
                record_failure(job, place, sentence(error), log=traceback.format_exc())
                raise LessonError(sentence(error)) from None
        shutil.rmtree(place.failed, ignore_errors=True)


def _work(job: dict[str, Any], place: Place) -> None:
    """Do what an entry asks for, within its limits, and write down what was measured."""
    if job["log"] is not None:  # the terminal is for the sweep, not for what libraries print
        with open(job["log"], "a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
    # Joblib starts threads, and no processes: nobody would end them.
    with ThreadPoolExecutor(1, "run", joblib.parallel_config, ("threading",)) as pool:
        work = pool.submit(WORK[job["task"]], job, place.part)
        while wait([work], _LOOK).not_done:
            _end_beyond_limits(job, place)
    result = {"threads": os.environ.get("OMP_NUM_THREADS"), "measured": work.result()}
    files.write_json(place.part / "result.json", {**_about(job), **result})


def _about(job: dict[str, Any]) -> dict[str, Any]:
    """Say what was asked for, and how long it took so far."""
    seconds = round(time.monotonic() - job["started"], 1)
    return {"task": job["task"], "parameters": job["parameters"], "seconds": seconds}


def _end_beyond_limits(job: dict[str, Any], place: Place) -> None:
    """End this process, and all that it started, if an entry has passed a limit.

    Dask's own limit of memory does not see the kernel of a notebook, nor can it say why.
    """
    this = psutil.Process()
    with contextlib.suppress(psutil.Error):  # one of the family ended by itself
        children = this.children(recursive=True)
        if time.monotonic() - job["started"] > job["timeout"]:
            error = f"It took longer than {job['timeout']:g} seconds and was ended."
        elif sum(map(_memory_gb, (this, *children))) > job["memory"]:
            error = f"It needed more than {job['memory']:g} GB of memory and was ended."
        else:
            return
        for child in children:
            child.kill()
        record_failure(job, place, error, ended_by=job["sweep"])
        os._exit(1)


def _memory_gb(process: psutil.Process) -> float:
    """Measure the memory of a process, mapped files (the caches) aside."""
    info = process.memory_info()
    return (info.rss - getattr(info, "shared", 0)) / 2**30


def record_failure(job: dict[str, Any], place: Place, error: str, **more: str) -> None:
    """Record why a run is not there, and keep its notebook so far; a full disk keeps neither."""
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    record = {**_about(job), "state": "failed", "error": error, "date": now, **more}
    shutil.rmtree(place.failed, ignore_errors=True)
    with contextlib.suppress(OSError):
        place.failed.mkdir(parents=True)
        for notebook in place.part.glob("*.failed.ipynb"):
            os.replace(notebook, place.failed / notebook.name)
        shutil.rmtree(place.part, ignore_errors=True)  # makes room
        files.write_json(place.failed / "failure.json", record)


def sentence(error: BaseException | None) -> str:
    """Tell an error in a form that a person understands."""
    known = isinstance(error, InputError | LessonError | OSError)
    return str(error) if known else f"{type(error).__name__}: {error}"


def _train(job: dict[str, Any], part: Path) -> dict[str, Any]:
    asked = job["parameters"]
    cells = train.prepare_cells(asked["dataset"], asked["profile"], asked["seed"])
    return train.train_run(part / "run", cells, asked["fold"], _model(asked)).metrics


def _crossval(job: dict[str, Any], part: Path) -> dict[str, Any]:
    asked, out = job["parameters"], part / "answers"
    cells = train.prepare_cells(asked["dataset"], asked["profile"], asked["seed"])
    found = crossval.crossvalidate(cells, asked["folds"], lambda _: None, [_model(asked)], out)
    kept = {name: found[name] for name in ("over_folds", "cost", "synthetic")}
    return {**found["together"], **kept}


def _lesson(job: dict[str, Any], part: Path) -> dict[str, Any]:
    notebook = Path(job["notebook"])
    given = {name: value for name, value in job["parameters"].items() if name != "lesson"}
    given |= {"run": str(part / "run")} if job["takes_run"] else {}
    from leukhelpers.experiments import run_notebook  # it takes a second

    run_notebook.run_notebook(notebook, part / notebook.name, given)
    file = part / "run" / "metrics.json"
    text = file.read_text("utf-8") if file.is_file() else "{}"
    found = json.loads(text, parse_constant=lambda _: None)  # of nan, which JSON does not know
    return found if isinstance(found, dict) else {}


def _model(asked: dict[str, Any]) -> str:
    name: str = asked["model"]
    return registry.with_random_weights([name])[0] if asked["random_weights"] else name


WORK = {"train": _train, "crossval": _crossval, "lesson": _lesson}
