"""Many runs: a grid of parameters, on this machine or on a Dask cluster.

Each entry of the grid is one run in its own process and folder
(:mod:`leukhelpers.experiments.sweep_runs`). The folders are the memory of
a sweep: whatever is killed, ``resume`` runs what they lack.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import papermill
import yaml

from leukhelpers import files
from leukhelpers.datasets import absolute_dataset
from leukhelpers.errors import InputError, LessonError
from leukhelpers.experiments import run_notebook, sweep_runs
from leukhelpers.experiments.sweep_runs import Place
from leukhelpers.models import prepare, registry

_LOOK = 0.2  # seconds between two looks at the cluster
_GONE = 10.0  # seconds after which a scheduler that does not answer is given up

# Training without a held-out fold measures nothing; a sweep is there to measure.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "train": {"model": "cnn", "fold": 0},
    "crossval": {"model": "cnn", "folds": 4},
}
_ALWAYS = {"dataset": "twin", "profile": "fast", "seed": 0, "random_weights": False}
_KEYS = ("what", "fixed", "grid", "list")


class Entry(NamedTuple):
    """One run that is asked for.

    Attributes
    ----------
    key : str
        Names its folder: made from ``what`` and the parameters, so that the same run is
        found again whatever else a grid holds.
    what : str
        ``train``, ``crossval`` or ``lesson``.
    parameters : dict
        All of them, defaults included.
    notebook : str
        Path of the notebook; empty unless `what` is ``lesson``.
    takes_run : bool
        Whether the notebook has a parameter ``run`` for its folder.
    """

    key: str
    what: str
    parameters: dict[str, Any]
    notebook: str = ""
    takes_run: bool = False


class State(NamedTuple):
    """How far a sweep is, for those who watch.

    Attributes
    ----------
    of : dict
        Key → ``waiting``, ``running``, ``done`` or ``failed``.
    told : dict
        Key → ``seconds`` and ``error`` of the runs that ended.
    seconds_left : float or None
        An estimate from the runs that ended so far; None before the first did.
    """

    of: dict[str, str]
    told: dict[str, dict[str, Any]]
    seconds_left: float | None

    def count(self, state: str) -> int:
        """Count the runs in one state."""
        return list(self.of.values()).count(state)


# ------------------------------------------------------------------ reading a grid


class _Loader(yaml.SafeLoader):
    """YAML in which no key stands twice; PyYAML would take the last one without a word."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs = [(loader.construct_object(key, deep=True), value) for key, value in node.value]
    twice = [key for key, n in Counter(str(key) for key, _ in pairs).items() if n > 1]
    if twice:
        raise InputError(f"The grid names {', '.join(twice)} twice in one place.")
    return {key: loader.construct_object(value, deep=True) for key, value in pairs}


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_grid(path: Path | str) -> list[Entry]:
    """Read and check a grid: every entry, before the first one runs.

    Parameters
    ----------
    path : path
        A YAML file: ``what`` (``train``, ``crossval`` or ``lesson``), perhaps ``fixed`` (values
        of every run), and either ``grid`` (a list of values for each name: all combinations) or
        ``list`` (the entries one by one). A lesson is given by its number, or as a path of
        your own notebook beside the grid.

    Returns
    -------
    list of Entry

    Raises
    ------
    InputError
        If it is no such file, or an entry cannot run, or stands there twice.
    """
    path = Path(path)
    try:
        asked = yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"The grid {path} cannot be read ({error.strerror}).") from None
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise InputError(f"{path.name} is not YAML{line}.") from None
    if not isinstance(asked, dict):
        raise InputError(f"{path.name} holds no grid; it begins with 'what: train' or the like.")
    unknown = [str(key) for key in asked if key not in _KEYS]
    if unknown:
        raise InputError(
            f"{path.name} has {', '.join(unknown)} outside; a grid has {', '.join(_KEYS)}."
        )
    what = asked.get("what")
    if what not in sweep_runs.WORK:
        raise InputError(f"what must be {', '.join(sweep_runs.WORK)}, not {what!r}.")
    notebooks = _Notebooks(path.parent)
    entries = [_entry(what, values, notebooks) for values in _combinations(asked)]
    first: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        if entry.key in first:
            raise InputError(f"Entries {first[entry.key]} and {number} are the same run.")
        first[entry.key] = number
    return entries


def _combinations(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the values of each entry, as they stand in the file."""
    fixed = asked.get("fixed") or {}
    if not isinstance(fixed, dict):
        raise InputError("fixed must name values, such as 'seed: 0'.")
    if ("grid" in asked) == ("list" in asked):
        raise InputError("Give either grid (all combinations) or list (entry by entry).")
    if "list" in asked:
        found = asked["list"]
        if not isinstance(found, list) or not all(isinstance(values, dict) for values in found):
            raise InputError("list must hold entries, each with names and values.")
    else:
        grid = asked["grid"]
        if not isinstance(grid, dict) or not all(isinstance(v, list) for v in grid.values()):
            raise InputError("grid must hold a list of values for each name: 'seed: [0, 1, 2]'.")
        found = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
        found = found if grid else []
    if not found:
        raise InputError("The grid is empty; name at least one value of each parameter.")
    for values in found:
        both = [str(name) for name in values if name in fixed]
        if both:
            raise InputError(f"{', '.join(both)} is fixed, and varies as well.")
    return [{**fixed, **values} for values in found]


class _Notebooks:
    """Find the notebook of a lesson, its parameters and its checksum; each is read once."""

    def __init__(self, beside: Path) -> None:
        self.beside = beside
        self.known: dict[str, tuple[Path, set[str], str]] = {}

    def find(self, lesson: Any) -> tuple[Path, set[str], str]:
        """Give path, names of the parameters, and of one's own notebook the checksum."""
        name = str(lesson)
        if name not in self.known:
            own = name.endswith(".ipynb")
            place = (self.beside / name).resolve()
            if own and not place.is_file():
                raise InputError(f"There is no notebook {place}.")
            notebook = place if own else run_notebook.find_lessons([name.zfill(2)])[0]
            digest = hashlib.sha256(place.read_bytes()).hexdigest() if own else ""
            with run_notebook.quiet("papermill"):
                found = set(papermill.inspect_notebook(str(notebook)))
            self.known[name] = notebook, found, digest
        return self.known[name]


def _entry(what: str, values: dict[str, Any], notebooks: _Notebooks) -> Entry:
    """Check the values of one entry and fill in what it leaves out."""
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | None):
            raise InputError(f"{name} must be text, a number, true or false, not {value!r}.")
    if what == "lesson":
        return _lesson_entry(values, notebooks)
    profile = prepare.default_profile(str(values.get("dataset", "twin")))
    defaults = {**_DEFAULTS[what], **_ALWAYS, "profile": profile}
    _refuse_unknown(what, values, defaults)
    parameters = {**defaults, **values}
    if not isinstance(parameters["model"], str):
        raise InputError(f"model must be a name, not {parameters['model']!r}.")
    registry.known_model(parameters["model"])
    _check_common(parameters)
    if not isinstance(parameters["random_weights"], bool):
        raise InputError("random_weights must be true or false.")
    if what == "train":
        if parameters["fold"] is not None:
            _check_number("fold", parameters["fold"], 0, 3)
    else:
        _check_number("folds", parameters["folds"], 2, 20)
    parameters["dataset"] = absolute_dataset(parameters["dataset"])
    return Entry(_key(what, parameters), what, parameters)


def _lesson_entry(values: dict[str, Any], notebooks: _Notebooks) -> Entry:
    if "lesson" not in values:
        raise InputError("Each entry needs a lesson: its number, or the path of a notebook.")
    notebook, takes, digest = notebooks.find(values["lesson"])
    if "run" in values:
        raise InputError("run is not for a grid to say: each run has a folder of its own.")
    given = {name: value for name, value in values.items() if name != "lesson"}
    _refuse_unknown(notebook.stem, given, takes)
    _check_common(given)
    if not digest:
        given = {**{k: _ALWAYS[k] for k in ("dataset", "profile", "seed")}, **given}
    if "dataset" in given:
        given["dataset"] = absolute_dataset(given["dataset"])
    parameters = {"lesson": str(values["lesson"]) if digest else notebook.name[:2], **given}
    key = _key("lesson", {**parameters, "digest": digest})
    return Entry(key, "lesson", parameters, str(notebook), "run" in takes)


def _refuse_unknown(whose: str, values: Mapping[str, Any], known: Any) -> None:
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(
            f"{whose} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}."
        )


def _check_common(values: Mapping[str, Any]) -> None:
    if "profile" in values:
        prepare.profile_of(values["profile"])
    if "seed" in values:
        _check_number("seed", values["seed"], 0, 2**31 - 1)


def _check_number(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")


def _key(what: str, parameters: dict[str, Any]) -> str:
    asked = json.dumps([what, parameters], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def varying(entries: Sequence[Entry]) -> list[str]:
    """Name the parameters in which the entries differ."""
    names = dict.fromkeys(name for entry in entries for name in entry.parameters)
    return [
        name for name in names if len({repr(entry.parameters.get(name)) for entry in entries}) > 1
    ]


# ------------------------------------------------------------------ running it


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
        {"key": entry.key, "what": entry.what, "parameters": entry.parameters} for entry in entries
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
    told = {"seconds": outcome["seconds"], "error": outcome.get("error", "")}
    state.told[key] = {**told, "again": outcome.get("again", True)}


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
                told = str(error) or type(error).__name__
                raise InputError(f"No scheduler answers at {scheduler} ({told}).") from None
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
        return client.submit(sweep_runs.run_job, job, at_once, key=name, pure=False)

    at_work = {job["key"]: (submit(job), job) for job in jobs}
    lost_since = None
    while at_work:
        lost = client.status != "running"
        for key, (future, job) in list(at_work.items()):
            if future.status in ("pending", "lost", "cancelled"):
                lost |= future.status != "pending"
                continue
            outcome = _outcome(future, job, time.monotonic() - started)
            if outcome["state"] == "failed" and tries[key] <= retries:
                at_work[key] = (submit(job), job)
                continue
            _note(state, key, outcome)
            del at_work[key]
        running = set(sweep_runs.unfinished(Path(jobs[0]["out"])))
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
        found[sweep_runs.host_of(address)] += threads
    return dict(found)


def _outcome(future: Any, job: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Read how a run ended; of a worker that died again and again Dask tells only that."""
    if future.status == "finished":
        outcome: dict[str, Any] = future.result()
        return outcome
    place = Place(Path(job["out"]), job["key"])
    error = future.exception()
    killed = type(error).__name__ == "KilledWorker"
    told = sweep_runs.DIED if killed else f"{type(error).__name__}: {error}"
    return sweep_runs.fail(place, job, f"{told[0].upper()}{told[1:]}.", round(seconds, 1))


def _left(state: State, slots: int) -> float | None:
    """Estimate how long what is left takes, from the mean of what was run."""
    took = [told["seconds"] for told in state.told.values()]
    left = state.count("waiting") + state.count("running")
    return None if not took else sum(took) / len(took) * left / max(1, slots)
