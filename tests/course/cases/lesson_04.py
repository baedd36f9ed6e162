"""Answers to the exercises of lesson 04: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
from skimage.measure import regionprops
from sklearn.model_selection import StratifiedGroupKFold, cross_validate
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BY_GROUP = StratifiedGroupKFold(n_splits=4)


def region(mask):
    return regionprops(mask.astype(int))[0]


def roundness(mask):
    return 4 * np.pi * region(mask).area / region(mask).perimeter ** 2


def knn(scaled=True, neighbors=15, cv=None, scoring="roc_auc", kept=lambda found: found):
    """Make an answer to 04.2 with some of the usual mistakes."""

    def answer(features, y, groups):
        model = KNeighborsClassifier(n_neighbors=neighbors)
        model = make_pipeline(StandardScaler(), model) if scaled else model
        folds = {"cv": cv} if cv == 4 else {"cv": cv or BY_GROUP, "groups": groups}
        return kept(cross_validate(model, features, y, scoring=scoring, **folds))

    return answer


def scores_of(found):
    return found["test_score"]


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "04.1": (
        {},
        roundness,
        [
            (0.9, "function"),
            (lambda mask: None, "nothing yet"),
            (lambda mask: regionprops(mask)[0].area, "astype"),
            (lambda mask: 1 / roundness(mask), "upside down"),
            (lambda mask: roundness(mask) * region(mask).perimeter, "squared"),
            (lambda mask: roundness(mask) / (4 * np.pi), "missing"),
            (lambda mask: roundness(mask) / 4, "not π"),
            (lambda mask: region(mask).eccentricity, "region.area"),
        ],
    ),
    "04.2": (
        {},
        knn(kept=scores_of),
        [
            ([0.8, 0.8, 0.8, 0.8], "function"),
            (lambda features, y, groups: None, "nothing yet"),
            (knn(), "test_score"),
            (knn(kept=lambda found: found["test_score"].mean()), "not their mean"),
            (knn(cv=StratifiedGroupKFold(n_splits=3), kept=scores_of), "n_splits"),
            (knn(scaled=False, kept=scores_of), "Distances"),
            (knn(cv=4, kept=scores_of), "two folds"),
            (knn(scaled=False, cv=4, kept=scores_of), "split by group"),
            (knn(scoring="accuracy", kept=scores_of), "accuracy"),
            (knn(neighbors=5, kept=scores_of), "default"),
            (knn(neighbors=40, kept=scores_of), "without shuffling"),
        ],
    ),
    "04.3": (
        {},
        lambda scores, a, b: ((scores[a] - scores[b]).mean(), (scores[a] > scores[b]).sum()),
        [
            ((0.0, 1), "function"),
            (lambda scores, a, b: None, "nothing yet"),
            (lambda scores, a, b: (scores[a] - scores[b]).mean(), "two numbers"),
            (lambda scores, a, b: ((scores[a] > scores[b]).sum(), 0.0), "First"),
            (lambda scores, a, b: (scores[a].max() - scores[b].max(), 1), "best folds"),
            (lambda scores, a, b: ((scores[a] - scores[b]).sum() + 1, 1), "row by row"),
            (lambda scores, a, b: (0.0, (scores[a] >= scores[b]).sum()), "equal"),
            (lambda scores, a, b: (0.0, (scores[a] > scores[b]).mean()), "share"),
            (lambda scores, a, b: (0.0, 3), "above zero"),
            (
                lambda scores, a, b: (
                    (scores[b] - scores[a]).mean(),
                    (scores[a] > scores[b]).sum(),
                ),
                "first minus second",
            ),
        ],
    ),
    "04.4": ({}, "model", {"disease": "Perhaps", "stain": "Perhaps", 1: "choices"}),
}
