"""Checks of the exercises of lesson 00 that ask for code."""

from typing import Any

import numpy as np

from leukhelpers.course.exercises import call, compare, hint, number


def accuracy(answer: Any) -> None:
    """Check the share of correct predictions."""
    truth, predictions = np.array([1, 1, 0, 0, 1]), np.array([1, 0, 0, 0, 1])
    found = number(call(answer, truth, predictions))
    compare(found, 4 / 5, count=4, percentage=80, share_of_wrong=1 / 5)
    hint("two_cells", not np.isclose(answer(truth[:2], predictions[:2]), 1 / 2))


def recall(answer: Any) -> None:
    """Check the share of the cells of one class that are predicted as this class."""
    truth, predictions = np.array([1, 1, 1, 1, 0, 0, 0]), np.array([1, 1, 1, 0, 1, 1, 0])
    found = number(call(answer, truth, predictions, 1))
    compare(found, 3 / 4, precision=3 / 5, accuracy=4 / 7, all_cells=3 / 7, count=3)
    hint("class_0", not np.isclose(answer(truth, predictions, 0), 1 / 3))


def paper_baseline(answer: Any) -> None:
    """Check the accuracy of a program that always predicts the larger class, to 0.006."""
    hint("percentage", 10 < float(answer) <= 100)
    compare(
        float(answer),
        1455 / 2133,
        atol=0.006,
        balanced_accuracy=1 / 2,
        smaller_class=678 / 2133,
        one_class=678 / 1455,
        correct_for_one_class=1,
    )
