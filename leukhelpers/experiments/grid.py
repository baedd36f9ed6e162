"""Read a grid of parameters: the entries of a sweep."""

import functools
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from sklearn.model_selection import ParameterGrid

from leukhelpers.datasets import absolute_dataset
from leukhelpers.errors import InputError
from leukhelpers.experiments import sweep_entry
from leukhelpers.models import profiles, registry

_ALWAYS = {"dataset": "twin", "profile": "fast", "seed": 0}
# Training without a held-out fold measures nothing; a sweep is there to measure.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "train": {"model": "cnn", "fold": 0},
    "crossval": {"model": "cnn", "folds": 4},
}
_RANGES = {"seed": (0, 2**31 - 1), "fold": (0, 3), "folds": (2, 20)}
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

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Refuse a key that stands twice, then read as usual."""
        names = Counter(str(key.value) for key, _ in node.value)
        twice = ", ".join(name for name, times in names.items() if times > 1)
        _require(not twice, f"The grid names {twice} twice in one place.")
        return super().construct_mapping(node, deep)


_COLUMNS = {"task", "state", "seconds", "error", "synthetic", "answered_by"}
_COLUMNS |= {"metric", "value", "low", "high"}


def read_grid(path: Path) -> list[Entry]:
    """Read and check a grid: every entry, before the first one runs.

    Parameters
    ----------
    path : path
        A YAML file: ``task`` (``train``, ``crossval`` or ``lesson``), perhaps ``fixed`` (values
        of every run), and either ``grid`` (a list of values for each name: all combinations, in
        the order of the names' alphabet) or ``list`` (the entries one by one). A lesson is given
        by its number, or as a path of your own notebook beside the grid.

    Returns
    -------
    list of Entry

    Raises
    ------
    InputError
        If it is no such file, or an entry cannot run, or stands there twice.
    """
    asked = _read(path)
    if "what" in asked and "task" not in asked:  # the word of version 1
        print(f"{path.name}: 'what' is now called 'task'.", file=sys.stderr)
        asked["task"] = asked.pop("what")
    unknown = ", ".join(str(key) for key in asked if key not in _KEYS)
    _require(not unknown, f"{path.name} may not have {unknown}; a grid has {', '.join(_KEYS)}.")
    task, known = asked.get("task"), list(sweep_entry.WORK)
    _require(task in known, f"task must be {', '.join(known)}, not {task!r}.")
    find = functools.cache(functools.partial(_find_notebook, path.parent))
    entries = [_entry(str(task), values, find) for values in _combinations(asked)]
    first: dict[str, int] = {}
    for number, entry in enumerate(entries, start=1):
        same = first.setdefault(entry.key, number)
        _require(same == number, f"Entries {same} and {number} are the same run.")
    return entries


def _require(true: object, otherwise: str) -> None:
    """Refuse the grid in one sentence unless something is true."""
    if not true:
        raise InputError(otherwise)


def _read(path: Path) -> dict[str, Any]:
    try:
        asked = yaml.load(path.read_text("utf-8"), _Loader)
    except OSError as error:
        raise InputError(f"The grid {path} cannot be read ({error.strerror}).") from None
    except InputError:  # of our loader
        raise
    except (yaml.YAMLError, ValueError, TypeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise InputError(f"{path.name} is not YAML{line}.") from None
    otherwise = f"{path.name} holds no grid; it begins with 'task: train' or the like."
    _require(isinstance(asked, dict), otherwise)
    return asked


def _combinations(asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Give the values of each entry, as they stand in the file."""
    fixed = asked.get("fixed") or {}
    _require(isinstance(fixed, dict), "fixed must name values, such as 'seed: 0'.")
    one = ("grid" in asked) != ("list" in asked)
    _require(one, "Give either grid (all combinations) or list (entry by entry).")
    found, grid = asked.get("list", []), asked.get("grid", {})
    whole = isinstance(found, list) and all(isinstance(values, dict) for values in found)
    _require(whole, "list must hold entries, each with names and values.")
    whole = isinstance(grid, dict) and all(isinstance(values, list) for values in grid.values())
    _require(whole, "grid must hold a list of values for each name: 'seed: [0, 1, 2]'.")
    for values in (*found, grid):
        both = ", ".join(str(name) for name in values if name in fixed)
        _require(not both, f"{both} is fixed, and varies as well.")
    if grid and all(grid.values()):
        found = list(ParameterGrid({str(name): values for name, values in grid.items()}))
    _require(found, "The grid is empty; name at least one value of each parameter.")
    return [{str(k): v for k, v in {**fixed, **values}.items()} for values in found]


def _find_notebook(beside: Path, name: str) -> tuple[Path, set[str], str]:
    """Find the notebook of a lesson, the names of its parameters, and of one's own the checksum."""
    import papermill  # it takes a second, and only lessons need it

    from leukhelpers.experiments import run_notebook

    own = name.endswith(".ipynb")
    notebook = (beside / name).resolve() if own else run_notebook.find_lessons([name.zfill(2)])[0]
    _require(notebook.is_file(), f"There is no notebook {notebook}.")
    takes = set(papermill.inspect_notebook(str(notebook)))
    return notebook, takes, hashlib.sha256(notebook.read_bytes()).hexdigest() if own else ""


def _entry(task: str, values: dict[str, Any], find: Any) -> Entry:
    """Check the values of one entry and fill in what it leaves out."""
    for name, value in values.items():
        plain = isinstance(value, str | int | float | None)
        _require(plain, f"{name} must be text, a number, true or false, not {value!r}.")
    if task == "lesson":
        return _lesson_entry(values, find)
    profile = profiles.default_profile(str(values.get("dataset", "twin")))
    defaults = {**_DEFAULTS[task], **_ALWAYS, "profile": profile, "random_weights": False}
    parameters = _filled(task, values, defaults, defaults, list(_RANGES))
    model, random_weights = parameters["model"], parameters["random_weights"]
    _require(isinstance(model, str), f"model must be a name, not {model!r}.")
    registry.validate_model_name(model)
    _require(isinstance(random_weights, bool), "random_weights must be true or false.")
    return Entry(_key(task, parameters), task, parameters)


def _lesson_entry(values: dict[str, Any], find: Any) -> Entry:
    lesson = str(values.pop("lesson", ""))
    _require(lesson, "Each entry needs a lesson: its number, or the path of a notebook.")
    _require("run" not in values, "A grid must not set run: each run has a folder of its own.")
    taken = ", ".join(sorted(_COLUMNS & set(values)))
    _require(not taken, f"The table of a sweep has a column {taken}; rename the parameter.")
    notebook, takes, digest = find(lesson)
    defaults = {"lesson": lesson} if digest else {"lesson": notebook.name[:2], **_ALWAYS}
    parameters = _filled(notebook.stem, values, takes, defaults, ["seed"])
    key = _key("lesson", {**parameters, "digest": digest})
    return Entry(key, "lesson", parameters, str(notebook), "run" in takes)


def _filled(
    whose: str, values: Any, known: Iterable[str], defaults: Mapping[str, Any], numbers: list[str]
) -> dict[str, Any]:
    """Check names and values, and add what is left out."""
    unknown, names = ", ".join(sorted(set(values) - set(known))), ", ".join(sorted(known))
    _require(not unknown, f"{whose} has no parameter {unknown}; it has {names}.")
    if "profile" in values:
        profiles.profile_of(values["profile"])
    for name in numbers:
        (low, high), value = _RANGES[name], values.get(name, _RANGES[name][0])
        whole = type(value) is int and low <= value <= high
        free = name == "fold" and value is None  # none is held out
        asked = f"{name} must be a whole number from {low} to {high}"
        _require(whole or free, f"{asked}, not {value!r}.")
    parameters = {**defaults, **values}
    if "dataset" in parameters:
        parameters["dataset"] = absolute_dataset(parameters["dataset"])
    return parameters


def _key(task: str, parameters: dict[str, Any]) -> str:
    asked = json.dumps([task, parameters], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(asked.encode()).hexdigest()[:12]


def varying(entries: Sequence[Entry]) -> list[str]:
    """Name the parameters in which the entries differ."""
    names = dict.fromkeys(name for entry in entries for name in entry.parameters)
    return [n for n in names if len({repr(e.parameters.get(n)) for e in entries}) > 1]
