"""Answers to the exercises of lesson 12: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split


def _patients(groups, y):
    return pd.Series(y).groupby(groups).mean().round()


def _chosen(groups, names):
    return np.flatnonzero(np.isin(groups, names))


def draw_patients(groups, y, seed):
    table = _patients(groups, y)
    _, names = train_test_split(table.index, test_size=0.25, stratify=table, random_state=seed)
    return _chosen(groups, names)


def by_cell(groups, y, seed):
    rows = np.arange(len(y))
    return train_test_split(rows, test_size=0.25, stratify=y, random_state=seed)[1]


def not_stratified(groups, y, seed):
    names = _patients(groups, y).index
    return _chosen(groups, train_test_split(names, test_size=0.25, random_state=seed)[1])


def half(groups, y, seed):
    table = _patients(groups, y)
    names = train_test_split(table.index, test_size=0.5, stratify=table, random_state=seed)[1]
    return _chosen(groups, names)


def no_seed(groups, y, seed):
    table = _patients(groups, y)
    names = train_test_split(table.index, test_size=0.25, stratify=table)[1]
    return _chosen(groups, names)


def training_part(groups, y, seed):
    return np.setdiff1d(np.arange(len(y)), draw_patients(groups, y, seed))


def paired(first, second):
    difference = first - second
    return difference.mean(), difference.std(ddof=1), (difference > 0).sum()


def _with_sd(sd):
    return lambda a, b: ((a - b).mean(), sd(a, b), 3)


GRID = {"model": ["rf", "svm"], "seed": [0, 1, 2], "fold": [0, 1, 2, 3]}

# Exercise: (what the check is given, a right answer, pairs of a wrong one and a word of its hint).
CASES = {
    "12.1": (
        {},
        draw_patients,
        (
            (lambda groups, y, seed: None, "returns nothing"),
            (by_cell, "both sides"),
            (not_stratified, "stratify"),
            (half, "a quarter is 6"),
            (no_seed, "random_state=seed"),
            (lambda groups, y, seed: draw_patients(groups, y, 0), "Every seed"),
            (training_part, "training cells"),
            (lambda *given: groups_of(*given), "not names"),
            (lambda *given: np.isin(np.arange(len(given[1])), draw_patients(*given)), "mask"),
            (lambda *given: (training_part(*given), draw_patients(*given)), "only"),
            (lambda *given: [], "not names"),
            (lambda *given: [10_000], "counted from 0"),
        ),
    ),
    "12.2": (
        {},
        paired,
        (
            (lambda a, b: None, "returns nothing"),
            (lambda a, b: (a - b).mean(), "three numbers"),
            (lambda a, b: paired(b, a), "first minus second"),
            (lambda a, b: (a.max() - b.max(), 0, 0), "draw by draw"),
            (_with_sd(lambda a, b: np.sqrt(a.var() + b.var())), "ignores the pairs"),
            (_with_sd(lambda a, b: a.std() - b.std()), "the two SDs"),
            (_with_sd(lambda a, b: np.std(a - b)), "ddof=1"),
            (_with_sd(lambda a, b: 1.0), "second number"),
            (lambda a, b: (*paired(a, b)[:2], (a > b).mean()), "share"),
            (lambda a, b: (*paired(a, b)[:2], 4), "above zero"),
        ),
    ),
    "12.3": (
        {},
        GRID,
        (
            ([2, 3, 4], "dictionary"),
            ({"model": ["svm"], "fold": [0]}, "model, seed and fold"),
            ({**GRID, "fold": 3}, "square brackets"),
            ({**GRID, "fold": [1, 2, 3, 4]}, "0, 1, 2, 3"),
            ({**GRID, "model": ["SVM", "rf"]}, "rf, svm"),
            ({**GRID, "seed": [0, 1, 2, 2]}, "twice"),
        ),
    ),
}


def groups_of(groups, y, seed):
    return np.unique(groups[draw_patients(groups, y, seed)])
