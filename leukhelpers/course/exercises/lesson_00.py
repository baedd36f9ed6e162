"""Checks of the exercises of lesson 00 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _accuracy(answer: Any) -> str | None:
    truth, predictions = np.array([1, 1, 0, 0, 1]), np.array([1, 0, 0, 0, 1])
    result = answer(truth, predictions)
    if result is None:
        return "Your function returns nothing yet; end it with a line that starts with return."
    if np.shape(result):
        return "Return one number, not one value per cell: take the mean."
    if np.isclose(result, 4):
        return "That is the number of correct predictions; divide it by the number of cells."
    if np.isclose(result, 80):
        return "Give a share between 0 and 1, not a percentage."
    if np.isclose(result, 0.2):
        return "That is the share of wrong predictions."
    if not np.isclose(result, 0.8):
        return "With 4 of 5 predictions correct, the accuracy should be 4/5."
    if not np.isclose(answer(truth[:2], predictions[:2]), 0.5):
        return "With 1 of 2 predictions correct, the accuracy should be 1/2."
    return None


def _recall(answer: Any) -> str | None:
    truth, predictions = np.array([1, 1, 1, 1, 0, 0, 0]), np.array([1, 1, 1, 0, 1, 1, 0])
    result = answer(truth, predictions, 1)
    if result is None:
        return "Your function returns nothing yet; end it with a line that starts with return."
    if np.shape(result):
        return "Return one number, not one value per cell: take the mean."
    if np.isclose(result, 3 / 5):
        return "That is the precision: you divide by the cells predicted as the class."
    if np.isclose(result, 4 / 7):
        return "That is the accuracy: look only at the cells whose true class is the label."
    if np.isclose(result, 3 / 7):
        return "Divide by the cells of this class, not by all cells."
    if np.isclose(result, 3):
        return "That is a number of cells; divide it by the number of cells of the class."
    if not np.isclose(result, 3 / 4):
        return "With 3 of the 4 cells of class 1 predicted as 1, the recall should be 3/4."
    if not np.isclose(answer(truth, predictions, 0), 1 / 3):
        return "It is correct for class 1, not for class 0: use the argument label."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "00.1": _accuracy,
    "00.2": _recall,
}
