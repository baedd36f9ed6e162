"""Checks of the exercises of lesson 04 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from skimage.measure import regionprops
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NO_FUNCTION = "Write a function and hand it over by its name, without brackets."
NOTHING = "The function returns nothing yet; end it with return."


def _roundness(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    rows, columns = np.mgrid[:90, :90]
    disc = (rows - 44) ** 2 + (columns - 44) ** 2 <= 30**2
    bar = (abs(rows - 44) <= 8) & (abs(columns - 44) <= 40)
    for mask in (disc, bar):
        try:
            found = answer(mask)
        except TypeError as error:
            if "mask" in str(error) or "type" in str(error):
                return "regionprops takes whole numbers: give it mask.astype(int)."
            raise
        if found is None:
            return NOTHING
        area, perimeter = mask.sum(), regionprops(mask.astype(int))[0].perimeter
        right = 4 * np.pi * area / perimeter**2
        mistakes = {
            1 / right: "That is the formula upside down; the area stands above the line.",
            4 * np.pi * area / perimeter: "The perimeter is squared.",
            area / perimeter**2: "The factor 4 π is missing.",
            np.pi * area / perimeter**2: "The factor is 4 π, not π.",
        }
        if np.isclose(found, right, rtol=0.02):
            continue
        for wrong, hint in mistakes.items():
            if np.isclose(found, wrong, rtol=0.02):
                return hint
        return "Divide 4 π times region.area by the square of region.perimeter."
    return None


def _toy_cells() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Make cells of 16 patients: a useful small feature, and a large one of the patient."""
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(16), 20)
    y = (patient % 2).astype(int)
    own = rng.normal(size=16)[patient]
    small = 0.01 * (y + 0.7 * rng.normal(size=len(y)) + 0.3 * own)
    large = 1000 * (own + 0.1 * rng.normal(size=len(y)))
    return pd.DataFrame({"small": small, "large": large}), y, patient


def _knn_scores(scaled: bool, neighbors: int, grouped: bool, scoring: str) -> np.ndarray:
    table, y, patient = _toy_cells()
    nearest = KNeighborsClassifier(n_neighbors=neighbors)
    model = make_pipeline(StandardScaler(), nearest) if scaled else nearest
    folds = {"cv": StratifiedGroupKFold(n_splits=4), "groups": patient} if grouped else {"cv": 4}
    return cross_val_score(model, table, y, scoring=scoring, **folds)


def _knn_auroc(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    found = answer(*_toy_cells())
    if found is None:
        return NOTHING
    if isinstance(found, dict):
        return 'Return only the scores of the test folds: the entry "test_score".'
    if np.size(found) == 1:
        return "Return the AUROC of each of the four folds, not their mean."
    if np.shape(found) != (4,):
        return "Return four numbers, one per fold: n_splits is 4."
    mistakes = {
        (False, 15, True, "roc_auc"): "Distances need a StandardScaler in the pipeline.",
        (True, 15, False, "roc_auc"): "Cells of one patient lie in two folds; split by group.",
        (False, 15, False, "roc_auc"): "Add a StandardScaler, and split by group.",
        (True, 15, True, "accuracy"): 'This is the accuracy; set scoring="roc_auc".',
        (True, 5, True, "roc_auc"): "Set n_neighbors to 15; 5 is the default.",
    }
    if np.allclose(found, _knn_scores(True, 15, True, "roc_auc"), atol=1e-6):
        return None
    for settings, hint in mistakes.items():
        if np.allclose(found, _knn_scores(*settings), atol=1e-6):
            return hint
    return (
        "Cross-validate make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=15)) "
        "on StratifiedGroupKFold(n_splits=4), without shuffling."
    )


def _compare_folds(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    scores = pd.DataFrame({"a": [0.9, 0.7, 0.8, 0.6], "b": [0.8, 0.75, 0.8, 0.65]})
    found = answer(scores, "a", "b")
    if found is None:
        return NOTHING
    if np.shape(found) != (2,):
        return "Return two numbers: return mean_difference, folds_won."
    mean, won = (float(number) for number in found)
    if np.isclose(mean, 1) and np.isclose(won, 0):
        return "First the mean difference, then the number of folds."
    if np.isclose(mean, 0.1):
        return "That compares the best folds; average the difference over all folds."
    if not np.isclose(mean, 0.0, atol=1e-9):
        return "Subtract the columns row by row, then take the mean."
    if np.isclose(won, 2):
        return "A fold with equal scores is not won; one column must be higher."
    if np.isclose(won, 0.25):
        return "Count the folds with .sum(); .mean() gives their share."
    if not np.isclose(won, 1):
        return "Count the folds in which the difference is above zero."
    mean, won = (float(number) for number in answer(scores.assign(a=0.95), "a", "b"))
    if np.isclose(mean, 0.2) and np.isclose(won, 4):
        return None
    return "Subtract in the order first minus second."


CHECKS: dict[str, Callable[..., str | None]] = {
    "04.1": _roundness,
    "04.2": _knn_auroc,
    "04.3": _compare_folds,
}
