"""Read a grid of parameters: the entries of a sweep."""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import papermill
import yaml

from leukhelpers.datasets import absolute_dataset
from leukhelpers.errors import InputError
from leukhelpers.experiments import run_notebook, sweep_entry
from leukhelpers.models import profiles, registry

# Training without a held-out fold measures nothing; a sweep is there to measure.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "train": {"model": "cnn", "fold": 0},
    "crossval": {"model": "cnn", "folds": 4},
}


_ALWAYS = {"dataset": "twin", "profile": "fast", "seed": 0, "random_weights": False}


_KEYS = ("task", "fixed", "grid", "list")


class Entry(NamedTuple):
    """One run that is asked for.

    Attributes
    ----------
    key : str
        Names its folder: made from ``task`` and the parameters, so that the same run is
        found again whatever else a grid holds.
    task : str
        ``train``, ``crossval`` or ``lesson``.
    parameters : dict
        All of them, defaults included.
    notebook : str
        Path of the notebook; empty unless `task` is ``lesson``.
    takes_run : bool
        Whether the notebook has a parameter ``run`` for its folder.
    """

    key: str
    task: str
    parameters: dict[str, Any]
    notebook: str = ""
    takes_run: bool = False


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
        A YAML file: ``task`` (``train``, ``crossval`` or ``lesson``), perhaps ``fixed`` (values
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
        raise InputError(f"{path.name} holds no grid; it begins with 'task: train' or the like.")
    if "what" in asked and "task" not in asked:  # the word of version 1
        print(f"{path.name}: 'what' is now called 'task'.", file=sys.stderr)
        asked["task"] = asked.pop("what")
    unknown = [str(key) for key in asked if key not in _KEYS]
    if unknown:
        raise InputError(
            f"{path.name} has {', '.join(unknown)} outside; a grid has {', '.join(_KEYS)}."
        )
    task = asked.get("task")
    if task not in sweep_entry.WORK:
        raise InputError(f"task must be {', '.join(sweep_entry.WORK)}, not {task!r}.")
    notebooks = _Notebooks(path.parent)
    entries = [_entry(task, values, notebooks) for values in _combinations(asked)]
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


def _entry(task: str, values: dict[str, Any], notebooks: _Notebooks) -> Entry:
    """Check the values of one entry and fill in what it leaves out."""
    for name, value in values.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | None):
            raise InputError(f"{name} must be text, a number, true or false, not {value!r}.")
    if task == "lesson":
        return _lesson_entry(values, notebooks)
    profile = profiles.default_profile(str(values.get("dataset", "twin")))
    defaults = {**_DEFAULTS[task], **_ALWAYS, "profile": profile}
    _refuse_unknown(task, values, defaults)
    parameters = {**defaults, **values}
    if not isinstance(parameters["model"], str):
        raise InputError(f"model must be a name, not {parameters['model']!r}.")
    registry.validate_model_name(parameters["model"])
    _check_common(parameters)
    if not isinstance(parameters["random_weights"], bool):
        raise InputError("random_weights must be true or false.")
    if task == "train":
        if parameters["fold"] is not None:
            _check_number("fold", parameters["fold"], 0, 3)
    else:
        _check_number("folds", parameters["folds"], 2, 20)
    parameters["dataset"] = absolute_dataset(parameters["dataset"])
    return Entry(_key(task, parameters), task, parameters)


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
        profiles.profile_of(values["profile"])
    if "seed" in values:
        _check_number("seed", values["seed"], 0, 2**31 - 1)


def _check_number(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InputError(f"{name} must be a whole number from {low} to {high}, not {value!r}.")


def _key(task: str, parameters: dict[str, Any]) -> str:
    asked = json.dumps([task, parameters], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def varying(entries: Sequence[Entry]) -> list[str]:
    """Name the parameters in which the entries differ."""
    names = dict.fromkeys(name for entry in entries for name in entry.parameters)
    return [
        name for name in names if len({repr(entry.parameters.get(name)) for entry in entries}) > 1
    ]
