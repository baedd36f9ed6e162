"""Checks of the exercises of lesson 06 that ask for code."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from leukhelpers.course.exercises import call, compare, hint, number


def balanced_accuracy(answer: Any) -> None:
    """Check the mean recall, from the confusion matrix of two and of three classes."""
    for matrix, otherwise in (
        (np.array([[30, 20], [10, 90]]), "otherwise"),
        (np.array([[8, 1, 1], [2, 3, 5], [0, 0, 40]]), "three_classes"),
    ):
        right, recalls = matrix.diagonal(), matrix.diagonal() / matrix.sum(axis=1)
        found = call(answer, matrix)
        hint("per_class", np.shape(found) == recalls.shape)
        compare(
            number(found),
            recalls.mean(),
            otherwise,
            precision=(right / matrix.sum(axis=0)).mean(),
            accuracy=right.sum() / matrix.sum(),
            first_class=recalls[0],
            last_class=recalls[-1],
            sum=recalls.sum(),
        )


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
def _differences() -> np.ndarray:
    """Compute the difference in the first 200 resamples that the skeleton of the lesson draws."""
    y, a, b, groups = _two_models()
    rng = np.random.default_rng(0)
    unique = np.unique(groups)
    rows_of = {name: np.flatnonzero(groups == name) for name in unique}
    found = []
    for _ in range(200):
        drawn = rng.choice(unique, size=len(unique))
        rows = np.concatenate([rows_of[name] for name in drawn])
        if 0 < y[rows].mean() < 1:
            found.append(roc_auc_score(y[rows], a[rows]) - roc_auc_score(y[rows], b[rows]))
    return np.array(found)


def difference_interval(answer: Any) -> None:
    """Check the interval of the difference of two AUROCs, by a paired bootstrap over groups."""
    y, a, b, groups = _two_models()
    found = call(answer, y, a, b, groups, 200)
    hint("two_numbers", np.shape(found) != (2,))
    low, high = np.asarray(found, float)
    hint("one_end_nan", np.isnan([low, high]).any())
    same = np.asarray(answer(y, a, a, groups, 50), float)
    hint("not_paired", not np.allclose(same, 0, atol=1e-9))
    hint("order", low > high)
    differences = _differences()
    right = np.percentile(differences, [2.5, 97.5])
    hint("sign", np.allclose([-high, -low], right, atol=0.08))
    hint("single_cells", high - low < 0.28 * np.ptp(right))
    compare([low, high], right, "percentiles", atol=0.08)
    hint("percentiles", np.allclose([low, high], np.percentile(differences, [5, 95])))
    few = np.isin(groups, np.unique(groups)[:4])  # one draw in eight lacks a class
    found = answer(y[few], a[few], b[few], groups[few], 60)
    hint("one_class", np.isnan(np.asarray(found, float)).any())


def wrong_patients(answer: Any) -> None:
    """Check for how many patients the majority of their cells is wrong."""
    patients = {
        "1": [0.6, 0.6, 0.6, 0.6, 0.01],
        "2": [0.9, 0.1],
        "H1": [0.55, 0.6, 0.0],
        "H2": [0.6, 0.65, 0.2],
        "H3": [0.1, 0.1],
        "H4": [0.1, 0.2, 0.2],
        "H5": [0.1],
    }
    probability = pd.Series(patients, name="probability").explode().astype(float)
    cells = probability.rename_axis("group").reset_index()
    cells["label"] = (cells["group"].str[0] != "H").astype(int)
    found = number(call(answer, cells, 0.5))
    compare(int(found), 3, mean_probability=1, half=2, right_patients=4, cells=6)
    hint("threshold", int(answer(cells.copy(), 0.62)) != 2)
    hint("at_threshold", int(answer(cells.assign(probability=0.5), 0.5)) != 5)


def threshold_for_sensitivity(answer: Any) -> None:
    """Check the highest threshold that reaches a sensitivity."""
    y = np.array([1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1])
    probability = np.array([90, 85, 80, 70, 65, 60, 55, 50, 45, 40, 30, 20, 10]) / 100
    # Of the thresholds between two healthy cells roc_curve keeps only the last, if it may drop any.
    for wanted, right, shortened in ((0.5, 0.55, 0.4), (0.9, 0.2, 0.1), (1.0, 0.1, 0.1)):
        found = number(call(answer, y, probability, wanted))
        hint("infinite", np.isinf(found))
        sensitivity = (probability[y == 1] >= found - 1e-9).mean()
        hint("low_sensitivity", sensitivity < wanted)
        compare(found, right, last=0.1, dropped=shortened)
