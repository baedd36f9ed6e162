"""Answers to the exercises of lesson 00: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np


def accuracy(truth, predictions):
    return np.mean(truth == predictions)


def recall(truth, predictions, label):
    return np.mean(predictions[truth == label] == label)


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "00.1": (
        {},
        accuracy,
        [
            (lambda truth, predictions: None, "nothing yet"),
            (lambda truth, predictions: truth == predictions, "one number"),
            (lambda truth, predictions: np.sum(truth == predictions), "divide"),
            (lambda truth, predictions: 100 * np.mean(truth == predictions), "percentage"),
            (lambda truth, predictions: np.mean(truth != predictions), "wrong"),
            (lambda truth, predictions: 0.3, "4/5"),
            (lambda truth, predictions: np.sum(truth == predictions) / 5, "1/2"),
        ],
    ),
    "00.2": (
        {},
        recall,
        [
            (lambda truth, predictions, label: None, "nothing yet"),
            (lambda truth, predictions, label: predictions[truth == label] == label, "one number"),
            (
                lambda truth, predictions, label: np.mean(truth[predictions == label] == label),
                "precision",
            ),
            (lambda truth, predictions, label: accuracy(truth, predictions), "accuracy"),
            (
                lambda truth, predictions, label: np.mean((truth == 1) & (predictions == 1)),
                "not by all",
            ),
            (
                lambda truth, predictions, label: np.sum((truth == 1) & (predictions == 1)),
                "number of cells",
            ),
            (lambda truth, predictions, label: 0.9, "3/4"),
            (lambda truth, predictions, label: recall(truth, predictions, 1), "argument label"),
        ],
    ),
    "00.3": (
        {},
        0.68,
        {
            0.5: "balanced",
            0.32: "smaller",
            1.0: "one of",
            68: "between",
            0.47: "all",
            0.1: "div",
            2.15: "all",
        },
    ),
}
