"""Checks of the exercises of lesson 06 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

NO_FUNCTION = "Write a function and hand it over by its name, without brackets."
NOTHING = "The function returns nothing yet; end it with return."


def _balanced_accuracy(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    for matrix in (np.array([[30, 20], [10, 90]]), np.array([[8, 1, 1], [2, 3, 5], [0, 0, 40]])):
        found = answer(matrix.copy())
        if found is None:
            return NOTHING
        right, recalls = matrix.diagonal(), matrix.diagonal() / matrix.sum(axis=1)
        if np.shape(found) == recalls.shape:
            return "That is one number per class; return their mean."
        mistakes = {
            (right / matrix.sum(axis=0)).mean(): "That is the mean precision: sum along the rows.",
            right.sum() / matrix.sum(): "That is the accuracy; first compute one recall per class.",
            recalls[0]: "That is the recall of the first class only.",
            recalls[-1]: "That is the recall of the last class only.",
            recalls.sum(): "Divide the sum by the number of classes: take the mean.",
        }
        if np.isclose(found, recalls.mean()):
            continue
        for wrong, hint in mistakes.items():
            if np.isclose(found, wrong):
                return hint
        if len(matrix) > 2:
            return "Right for two classes; a matrix of three classes needs the mean of three."
        return "Divide each diagonal element by the sum of its row, then take the mean."
    return None


def _two_models() -> tuple[np.ndarray, ...]:
    """Make twelve patients of forty cells, and two models; the first is better on average."""
    rng = np.random.default_rng(1)
    groups = np.repeat([f"P{number:02d}" for number in range(12)], 40)
    y = np.repeat(np.arange(12) % 2, 40)
    effect = np.repeat(rng.normal(0, 1, 12), 40)  # of the patient, the same for both models
    a = y * 1.6 + effect + rng.normal(0, 0.4, 480)
    b = y * 0.5 + effect + np.repeat(rng.normal(0, 0.7, 12), 40) + rng.normal(0, 0.4, 480)
    return y, 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b)), groups


@cache
def _differences(n_resamples: int) -> np.ndarray:
    """Compute the difference in the resamples that the skeleton of the lesson draws."""
    y, a, b, groups = _two_models()
    rng = np.random.default_rng(0)
    unique = np.unique(groups)
    rows_of = {name: np.flatnonzero(groups == name) for name in unique}
    found = []
    for _ in range(n_resamples):
        drawn = rng.choice(unique, size=len(unique))
        rows = np.concatenate([rows_of[name] for name in drawn])
        if 0 < y[rows].mean() < 1:
            found.append(roc_auc_score(y[rows], a[rows]) - roc_auc_score(y[rows], b[rows]))
    return np.array(found)


def _difference_interval(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    y, a, b, groups = _two_models()
    found = answer(y, a, b, groups, 200)
    if found is None:
        return NOTHING
    if np.shape(found) != (2,):
        return "Return two numbers, the low and the high end: np.percentile(..., [2.5, 97.5])."
    if np.isnan(np.asarray(found, float)).any():
        return "One end is nan: leave out the resamples that lack a class."
    same = np.asarray(answer(y, a, a, groups, 50), float)
    if not np.allclose(same, 0, atol=1e-9):
        return "For twice the same model all differences are zero: score both on the same rows."
    low, high = (float(end) for end in found)
    if low > high:
        return "First the low end, then the high end."
    right = np.percentile(_differences(200), [2.5, 97.5])
    if np.allclose([-high, -low], right, atol=0.08):
        return "The sign is reversed: subtract b from a."
    if (high - low) < 0.28 * (right[1] - right[0]):
        return "This interval is too narrow: draw groups, not single cells."
    of_ninety = np.percentile(_differences(200), [5, 95])
    if not np.allclose([low, high], right, atol=0.08) or np.allclose([low, high], of_ninety):
        return "Take the 2.5th and the 97.5th percentile of the differences."
    few = np.isin(groups, np.unique(groups)[:4])  # one draw in eight lacks a class
    found = np.asarray(answer(y[few], a[few], b[few], groups[few], 60), float)
    return "Leave out the resamples that lack a class." if np.isnan(found).any() else None


def _wrong_patients(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    patients = {
        "1": [0.6, 0.6, 0.6, 0.6, 0.01],
        "2": [0.9, 0.1],
        "H1": [0.55, 0.6, 0.0],
        "H2": [0.6, 0.65, 0.2],
        "H3": [0.1, 0.1],
        "H4": [0.1, 0.2, 0.2],
        "H5": [0.1],
    }
    cells = pd.DataFrame(
        [
            (name, int(name[0] != "H"), value)
            for name, values in patients.items()
            for value in values
        ],
        columns=["group", "label", "probability"],
    )
    found = answer(cells.copy(), 0.5)
    if found is None:
        return NOTHING
    if np.ndim(found) != 0:
        return "Return one number: how many patients are wrong."
    mistakes = {
        1: "Use the share of cells predicted ALL (above one half), not the mean probability.",
        2: "Exactly half of the cells is not more than half.",
        4: "That is the number of patients for whom the rule is right.",
        6: "That counts cells; first compute one share per group.",
    }
    if int(found) != 3:
        otherwise = "For each group take the share of cells predicted ALL; is it above one half?"
        return mistakes.get(int(found), otherwise)
    if int(answer(cells.copy(), 0.62)) != 2:
        return "Compare the probabilities with the argument threshold, not with 0.5."
    if int(answer(cells.assign(probability=0.5), 0.5)) != 5:
        return "A cell is predicted ALL if its probability is at least the threshold (>=)."
    return None


def _threshold_for_sensitivity(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    y = np.array([1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1])
    probability = np.array([90, 85, 80, 70, 65, 60, 55, 50, 45, 40, 30, 20, 10]) / 100
    # Of the thresholds between two healthy cells roc_curve keeps only the last, if it may drop any.
    for wanted, right, shortened in ((0.5, 0.55, 0.4), (0.9, 0.2, 0.1), (1.0, 0.1, 0.1)):
        found = answer(y, probability, wanted)
        if found is None:
            return NOTHING
        if np.ndim(found) != 0:
            return "Return one threshold: the highest, so the first that fits."
        at = float(found)
        if np.isclose(at, right):
            continue
        if np.isinf(at):
            return "The first threshold of roc_curve is infinite; choose by sensitivity."
        if (probability[y == 1] >= at).mean() < wanted:
            return "With this threshold the sensitivity is lower than wanted."
        if np.isclose(at, 0.1):
            return "That is the last threshold; the highest that fits is the first one."
        if np.isclose(at, shortened):
            return "A higher threshold fits as well; use drop_intermediate=False."
        return "A higher threshold has this sensitivity, too, with fewer false alarms."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "06.1": _balanced_accuracy,
    "06.2": _difference_interval,
    "06.3": _wrong_patients,
    "06.4": _threshold_for_sensitivity,
}
