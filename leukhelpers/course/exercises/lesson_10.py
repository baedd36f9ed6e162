"""Checks of the exercises of lesson 10 that ask for code."""

from typing import Any

import numpy as np
from sklearn.metrics import recall_score

from leukhelpers.course.exercises import call, hint


def imitate(answer: Any) -> None:
    """Check labels and predictions that reproduce a report with the recalls 1 and 0."""
    for n_first, n_second in ((1455, 678), (30, 50)):
        found = call(answer, n_first, n_second)
        hint("two_arrays", not isinstance(found, tuple) or len(found) != 2)
        y_true, y_pred = map(np.asarray, found)
        hint("length", not y_true.shape == y_pred.shape == (n_first + n_second,))
        hint("numbers", not np.isin([y_true, y_pred], (0, 1)).all())
        hint("supports", (y_true == 0).sum() != n_first)
        hint("first_recall", recall_score(y_true, y_pred, pos_label=0) < 1)
        hint("second_recall", recall_score(y_true, y_pred, pos_label=1) > 0)


def _positions(answer: Any, matrix: list[list[int]]) -> list[int]:
    return [int(position) for position in np.ravel(call(answer, np.array(matrix)))]


def never_predicted(answer: Any) -> None:
    """Check the positions of the classes that no cell was predicted as."""
    found = _positions(answer, [[5, 0, 0], [0, 4, 3], [2, 6, 0]])
    hint("recall_0", found == [2])
    hint("all_predicted", found)
    hint("rows", _positions(answer, [[3, 1, 2], [0, 4, 1], [0, 0, 0]]) == [2])
    for matrix, right in (
        ([[0, 9], [0, 5]], [0]),
        ([[9, 0], [5, 0]], [1]),
        ([[3, 1, 0], [0, 4, 0], [0, 2, 0]], [2]),
        ([[0, 1, 0], [0, 4, 0], [0, 2, 0]], [0, 2]),
    ):
        hint("otherwise", _positions(answer, matrix) != right, matrix=matrix, right=right)


def names_are_swapped(answer: Any) -> None:
    """Check whether printed supports fit a dataset better with their names exchanged."""
    published = {"HEM": 3389, "ALL": 7272}
    hint("paper", not call(answer, {"HEM": 1455, "ALL": 678}, published))
    hint("right_names", answer({"HEM": 678, "ALL": 1455}, dict(published)))
    hint("larger_class", answer({"HEM": 180, "ALL": 20}, {"HEM": 900, "ALL": 100}))
    hint("not_equal", answer({"HEM": 118, "ALL": 82}, {"HEM": 650, "ALL": 350}))
    hint("not_exact", not answer({"HEM": 85, "ALL": 115}, {"HEM": 650, "ALL": 350}))
