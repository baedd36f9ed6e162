"""Checks of the exercises of lesson 10 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import recall_score

NOTHING = "Your function returns nothing yet; end it with return."


def _imitate(answer: Any) -> str | None:
    for n_first, n_second in ((1455, 678), (30, 50)):
        returned = answer(n_first, n_second)
        if returned is None:
            return NOTHING
        if not isinstance(returned, tuple) or len(returned) != 2:
            return "Return two arrays: return y_true, y_pred."
        y_true, y_pred = np.asarray(returned[0]), np.asarray(returned[1])
        if y_true.shape != (n_first + n_second,) or y_pred.shape != y_true.shape:
            return "Both arrays need one number per cell, n_first + n_second in all."
        if not np.isin(y_true, (0, 1)).all() or not np.isin(y_pred, (0, 1)).all():
            return "Use the numbers 0 (first row) and 1 (second row) only."
        if (y_true == 0).sum() != n_first:
            return "The supports differ: y_true needs n_first zeros and n_second ones."
        if recall_score(y_true, y_pred, pos_label=0) < 1:
            return "The recall of the first row is below 1.00: some of its cells got a 1."
        if recall_score(y_true, y_pred, pos_label=1) > 0:
            return "The recall of the second row is above 0.00: some of its cells got a 1."
    return None


def _positions(answer: Any, matrix: list[list[int]]) -> list[int] | None:
    returned = answer(np.array(matrix))
    if returned is None:
        return None
    return [int(position) for position in np.asarray(returned).ravel()]


def _never_predicted(answer: Any) -> str | None:
    found = _positions(answer, [[5, 0, 0], [0, 4, 3], [2, 6, 0]])
    if found is None:
        return NOTHING
    if found == [2]:
        return "That class has recall 0, but three cells of another class got its name."
    if found:
        return "In that matrix each class was predicted; look at the sum of each column."
    found = _positions(answer, [[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    if _positions(answer, [[3, 1, 2], [0, 4, 1], [0, 0, 0]]) == [2]:
        return (
            "A row counts the true cells of a class; sum over the rows (axis=0), not the columns."
        )
    for matrix, expected in (
        ([[0, 9], [0, 5]], [0]),
        ([[9, 0], [5, 0]], [1]),
        ([[3, 1, 0], [0, 4, 0], [0, 2, 0]], [2]),
        ([[0, 1, 0], [0, 4, 0], [0, 2, 0]], [0, 2]),
    ):
        if _positions(answer, matrix) != expected:
            return f"For the matrix {matrix} the answer is {expected}."
    return None


def _names_are_swapped(answer: Any) -> str | None:
    paper = {"HEM": 1455, "ALL": 678}
    published = {"HEM": 3389, "ALL": 7272}
    if answer(dict(paper), dict(published)) is None:
        return NOTHING
    if not answer(dict(paper), dict(published)):
        return "For the paper's own supports and counts it should return True."
    if answer({"HEM": 678, "ALL": 1455}, dict(published)):
        return "With the paper's supports exchanged, the names are right: return False."
    if answer({"HEM": 180, "ALL": 20}, {"HEM": 900, "ALL": 100}):
        return "ALL is not always the larger class; compare with the counts of the dataset."
    if answer({"HEM": 118, "ALL": 82}, {"HEM": 650, "ALL": 350}):
        return "A random test set differs a little; choose the order that is nearer, not equal."
    if not answer({"HEM": 85, "ALL": 115}, {"HEM": 650, "ALL": 350}):
        return "These names fit better when exchanged, though not exactly: return True."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "10.1": _imitate,
    "10.2": _never_predicted,
    "10.3": _names_are_swapped,
}
