"""Answers to the exercises of lesson 06: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve


def recalls(matrix):
    return matrix.diagonal() / matrix.sum(axis=1)


def difference(ends=(2.5, 97.5), paired=True, by_cell=False, skip=True, reverse=False, seed=1):
    """Make an answer to 06.2 with some of the usual mistakes."""

    def answer(y, a, b, groups, n_resamples=1000):
        rng = np.random.default_rng(seed)
        drawn_from = np.arange(len(y)) if by_cell else groups
        unique = np.unique(drawn_from)

        def draw():
            drawn = rng.choice(unique, len(unique))
            return np.concatenate([np.flatnonzero(drawn_from == name) for name in drawn])

        def score(rows, model):
            if len(np.unique(y[rows])) < 2:
                return np.nan
            return roc_auc_score(y[rows], model[rows])

        found = []
        for _ in range(n_resamples):
            rows = draw()
            found.append(score(rows, a) - score(rows if paired else draw(), b))
        found = np.array(found)
        low, high = (np.nanpercentile if skip else np.percentile)(found, ends)
        return (-high, -low) if reverse else (low, high)

    return answer


def separate_ends(y, a, b, groups, n_resamples=1000):
    low_a, high_a = difference()(y, a, np.zeros(len(y)), groups, n_resamples)
    low_b, high_b = difference()(y, b, np.zeros(len(y)), groups, n_resamples)
    return low_a - high_b, high_a - low_b


def wrong(cells, threshold, half=0.5):
    votes = (cells["probability"] >= threshold).groupby(cells["group"]).mean() > half
    return int((votes != (cells.groupby("group")["label"].first() == 1)).sum())


def wrong_by_mean(cells, threshold):
    votes = cells.groupby("group")["probability"].mean() >= threshold
    return int((votes != (cells.groupby("group")["label"].first() == 1)).sum())


def wrong_cells(cells, threshold):
    return int(((cells["probability"] >= threshold) != (cells["label"] == 1)).sum())


def wrong_strictly(cells, threshold):
    return wrong(cells, threshold + 1e-9)


def at_sensitivity(position=0, drop=False, fits=lambda sensitivity, wanted: sensitivity >= wanted):
    """Make an answer to 06.4 with some of the usual mistakes."""

    def answer(y, probability, wanted):
        _, sensitivity, thresholds = roc_curve(y, probability, drop_intermediate=drop)
        found = thresholds[fits(sensitivity, wanted)]
        return found if position is None else found[position]

    return answer


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "06.1": (
        {},
        lambda matrix: recalls(matrix).mean(),
        [
            (0.75, "function"),
            (lambda matrix: None, "nothing yet"),
            (recalls, "one number per class"),
            (lambda matrix: (matrix.diagonal() / matrix.sum(axis=0)).mean(), "precision"),
            (lambda matrix: matrix.diagonal().sum() / matrix.sum(), "accuracy"),
            (lambda matrix: recalls(matrix)[0], "first class"),
            (lambda matrix: recalls(matrix)[1], "last class"),
            (lambda matrix: recalls(matrix).sum(), "number of classes"),
            (lambda matrix: recalls(matrix)[:2].mean(), "three"),
            (lambda matrix: 0.3, "row"),
        ],
    ),
    "06.2": (
        {},
        difference(),
        [
            ((-0.1, 0.3), "function"),
            (lambda y, a, b, groups, n_resamples=9: None, "nothing yet"),
            (lambda y, a, b, groups, n_resamples=9: [0.1, 0.2, 0.3], "two numbers"),
            (lambda y, a, b, groups, n_resamples=9: (np.nan, 0.2), "One end is nan"),
            (difference(paired=False), "same rows"),
            (separate_ends, "same rows"),
            (difference(reverse=True), "sign"),
            (difference(ends=(97.5, 2.5)), "First the low"),
            (difference(by_cell=True), "draw groups"),
            (difference(ends=(25, 75)), "percentile"),
            (difference(ends=(5, 95), seed=0), "percentile"),
            (difference(skip=False), "lack a class"),
        ],
    ),
    "06.3": (
        {},
        wrong,
        [
            (3, "function"),
            (lambda cells, threshold: None, "nothing yet"),
            (lambda cells, threshold: ["2", "H1", "H2"], "one number"),
            (wrong_cells, "counts cells"),
            (wrong_by_mean, "mean probability"),
            (lambda cells, threshold: wrong(cells, threshold, half=0.49), "Exactly half"),
            (lambda cells, threshold: 7 - wrong(cells, threshold), "right"),
            (lambda cells, threshold: 0, "each group"),
            (lambda cells, threshold: wrong(cells, 0.5), "argument"),
            (wrong_strictly, ">="),
        ],
    ),
    "06.4": (
        {},
        at_sensitivity(),
        [
            (0.2, "function"),
            (lambda y, probability, wanted: None, "nothing yet"),
            (at_sensitivity(None), "one threshold"),
            (at_sensitivity(-1), "last"),
            (at_sensitivity(0, fits=lambda sensitivity, wanted: sensitivity >= 0), "infinite"),
            (at_sensitivity(0, fits=lambda sensitivity, wanted: sensitivity > 0), "lower than"),
            (at_sensitivity(drop=True), "drop_intermediate"),
            (lambda y, probability, wanted: at_sensitivity()(y, probability, 1) + 0.01, "higher"),
        ],
    ),
}
