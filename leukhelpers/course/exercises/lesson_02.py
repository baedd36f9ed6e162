"""Checks of the exercises of lesson 02 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.splits import groups


def _own_split(answer: Any, labels: np.ndarray) -> str | None:
    if not isinstance(answer, groups.Split):
        return "The answer should be a groups.Split."
    for label, name in enumerate(CLASS_NAMES):
        of_class = answer.test[labels[answer.test] == label]
        if len(np.unique(answer.groups[of_class])) < 2:
            return f"The test rows hold fewer than two groups of {name}."
    if len(answer.train) + len(answer.test) != len(labels):
        return "Some rows are in neither part; put all other rows into the training part."
    return None


def _moved_subjects(answer: Any, table: pd.DataFrame) -> str | None:
    published = table["fold"].to_numpy()
    if len(np.unique(published)) < 2:
        return None if int(answer) == 0 else "There is one fold only, so nobody moved."
    moved = table["subject"][groups.group_consistent_folds(table) != published]
    if int(answer) == moved.nunique():
        return None
    if int(answer) == len(moved):
        return "That is the number of cells; how many different subjects are they of?"
    return "Take the subjects of the cells whose joined fold differs, and count each once."


CHECKS: dict[str, Callable[..., str | None]] = {
    "02.2": _own_split,
    "02.3": _moved_subjects,
}
