"""Checks of the exercises of lesson 12."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

# Twelve patients per class, with three to eight cells each, in mixed order.
_CELLS = np.random.default_rng(12).permutation(np.repeat(np.arange(24), np.arange(24) % 6 + 3))
_GROUPS = np.array([f"H{number}" if number < 12 else str(number) for number in _CELLS])
_LABELS = (_CELLS >= 12).astype(int)


def _draws_patients(answer: Any) -> str | None:
    drawn = []
    for seed in range(6):
        rows = answer(_GROUPS.copy(), _LABELS.copy(), seed)
        hint = _no_rows(rows) or _wrong_patients(np.asarray(rows), seed)
        if hint:
            return hint
        again = answer(_GROUPS.copy(), _LABELS.copy(), seed)
        if set(again) != set(rows):
            return "The same seed draws other patients each time: pass random_state=seed."
        drawn.append(frozenset(np.asarray(rows).tolist()))
    if len(set(drawn)) == 1:
        return "Every seed draws the same patients: pass random_state=seed."
    return None


def _no_rows(rows: Any) -> str | None:
    """Give a hint if these are no row numbers."""
    if rows is None:
        return "The function returns nothing yet; end it with return and the row numbers."
    if isinstance(rows, tuple):
        return "Return the rows of the test cells only, as one array."
    kind = np.asarray(rows).dtype.kind
    if kind == "b":
        return "That is a mask of True and False; np.flatnonzero turns it into row numbers."
    if kind not in "iu":
        return "Return row numbers, not names: np.isin finds the cells of the chosen patients."
    if len(rows) == 0 or np.max(rows) >= len(_CELLS):
        return "Return row numbers of cells, at least one, counted from 0."
    return None


def _wrong_patients(rows: np.ndarray, seed: int) -> str | None:
    """Give a hint if these are not all cells of three patients of each class."""
    rest = np.setdiff1d(np.arange(len(_CELLS)), rows)
    both = sorted(set(_GROUPS[rows]) & set(_GROUPS[rest]))
    if both:
        return (
            f"Patient {both[0]} has cells on both sides: draw from a table with one row per "
            "patient, then take all cells of those drawn."
        )
    chosen = np.unique(_CELLS[rows])
    if len(chosen) == 18:
        return "These are the training cells: train_test_split returns the test part second."
    if len(chosen) != 6:
        return f"You drew {len(chosen)} of 24 patients; a quarter is 6 (test_size=0.25)."
    if (chosen < 12).sum() != 3:
        return (
            f"With seed {seed} the test part has {(chosen < 12).sum()} HEM and "
            f"{(chosen >= 12).sum()} ALL patients, out of 12 each: use stratify."
        )
    return None


def _paired(answer: Any) -> str | None:
    first = pd.Series([0.90, 0.80, 0.70, 0.86], index=range(1, 5))
    second = pd.Series([0.85, 0.78, 0.72, 0.80], index=range(1, 5))
    found = answer(first.copy(), second.copy())
    if found is None:
        return "The function returns nothing yet; end it with return and the three numbers."
    if np.shape(found) != (3,):
        return "Return three numbers: the mean, the standard deviation, the number of draws."
    mean, spread, ahead = (float(number) for number in found)
    difference = first - second
    if np.isclose(mean, -difference.mean()):
        return "The sign is the other way round: first minus second."
    if not np.isclose(mean, difference.mean()):
        return "The first number is the mean of the differences, draw by draw."
    if np.isclose(spread, np.sqrt(first.var() + second.var())):
        return "That standard deviation ignores the pairs: subtract first, then take the SD."
    if np.isclose(spread, first.std() - second.std()):
        return "Take the SD of the differences, not the difference of the two SDs."
    if np.isclose(spread, difference.std(ddof=0)):
        return "Your SD divides by n; with ddof=1 it divides by n - 1."
    if not np.isclose(spread, difference.std()):
        return "The second number is the standard deviation of the differences."
    if ahead == 0.75:
        return "That is a share; count the draws instead."
    return None if ahead == 3 else "Count the draws in which the difference is above zero."


def _grid(answer: Any) -> str | None:
    wanted: dict[str, set] = {"model": {"svm", "rf"}, "seed": {0, 1, 2}, "fold": {0, 1, 2, 3}}
    if not isinstance(answer, dict):
        return 'Write a dictionary: {"model": [...], "seed": [...], "fold": [...]}.'
    if set(answer) != set(wanted):
        return f"The names are model, seed and fold; yours are {', '.join(map(str, answer))}."
    for name, values in answer.items():
        if not isinstance(values, list):
            return f"{name} needs a list, in square brackets, even for a single value."
        if set(values) != wanted[name]:
            listed = ", ".join(map(str, sorted(wanted[name])))
            return f"The values of {name} are {listed}; yours are {', '.join(map(str, values))}."
        if len(values) != len(wanted[name]):
            return f"A value of {name} is listed twice: that would be the same run twice."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "12.1": _draws_patients,
    "12.2": _paired,
    "12.3": _grid,
}
