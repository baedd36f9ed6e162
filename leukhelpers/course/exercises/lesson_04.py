"""Checks of the exercises of lesson 04 that ask for code."""

from typing import Any

import numpy as np
import pandas as pd
from skimage.measure import regionprops
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukhelpers.course.exercises import call, compare, hint, number


def roundness(answer: Any) -> None:
    """Check 4 π area / perimeter², on a disc and on a bar."""
    rows, columns = np.mgrid[:90, :90]
    disc = (rows - 44) ** 2 + (columns - 44) ** 2 <= 30**2
    bar = (abs(rows - 44) <= 8) & (abs(columns - 44) <= 40)
    for mask in (disc, bar):
        try:
            found = call(answer, mask)
        except TypeError as error:
            hint("bool_mask", "mask" in str(error) or "type" in str(error))
            raise
        perimeter = regionprops(mask.astype(int))[0].perimeter
        right = 4 * np.pi * mask.sum() / perimeter**2
        compare(
            number(found),
            right,
            rtol=0.02,
            upside_down=1 / right,
            not_squared=right * perimeter,
            no_factor=right / (4 * np.pi),
            only_pi=right / 4,
        )


def _toy_cells() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Make cells of 16 patients: a useful small feature, and a large one of the patient."""
    rng = np.random.default_rng(4)
    patient = np.repeat(np.arange(16), 20)
    y = (patient % 2).astype(int)
    own = rng.normal(size=16)[patient]
    small = 0.01 * (y + 0.7 * rng.normal(size=len(y)) + 0.3 * own)
    large = 1000 * (own + 0.1 * rng.normal(size=len(y)))
    return pd.DataFrame({"small": small, "large": large}), y, patient


def _knn_scores(
    scaled: bool = True, neighbors: int = 15, grouped: bool = True, scoring: str = "roc_auc"
) -> np.ndarray:
    table, y, patient = _toy_cells()
    nearest = KNeighborsClassifier(n_neighbors=neighbors)
    model = make_pipeline(StandardScaler(), nearest) if scaled else nearest
    folds = {"cv": StratifiedGroupKFold(n_splits=4), "groups": patient} if grouped else {"cv": 4}
    return cross_val_score(model, table, y, scoring=scoring, **folds)


def knn_auroc(answer: Any) -> None:
    """Check the AUROC of scaled nearest neighbors on four grouped folds."""
    found = call(answer, *_toy_cells())
    hint("dictionary", isinstance(found, dict))
    hint("mean", np.size(found) == 1)
    hint("four_folds", np.shape(found) != (4,))
    compare(
        found,
        _knn_scores(),
        atol=1e-6,
        not_scaled=_knn_scores(scaled=False),
        not_grouped=_knn_scores(grouped=False),
        neither=_knn_scores(scaled=False, grouped=False),
        accuracy=_knn_scores(scoring="accuracy"),
        five_neighbors=_knn_scores(neighbors=5),
    )


def compare_folds(answer: Any) -> None:
    """Check the mean difference of two models, and the number of folds that the first wins."""
    scores = pd.DataFrame({"a": [0.9, 0.7, 0.8, 0.6], "b": [0.8, 0.75, 0.8, 0.65]})
    found = call(answer, scores, "a", "b")
    hint("two_numbers", np.shape(found) != (2,))
    hint("order", np.allclose(found, [1, 0]))
    compare(float(found[0]), 0.0, otherwise="mean_difference", best_folds=0.1)
    compare(float(found[1]), 1, otherwise="folds_won", equal_folds=2, share=1 / 4)
    hint("sign", not np.allclose(answer(scores.assign(a=0.95), "a", "b"), [0.2, 4]))
