"""Answers to the exercises of lesson 10: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np


def imitate(n_first, n_second):
    return np.repeat([0, 1], [n_first, n_second]), np.zeros(n_first + n_second, dtype=int)


def share(classes):
    return classes["ALL"] / (classes["HEM"] + classes["ALL"])


def swapped(support, counts):
    printed, true = share(support), share(counts)
    return abs(1 - printed - true) < abs(printed - true)


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "10.1": (
        {},
        imitate,
        {
            lambda first, second: None: "returns nothing",
            lambda first, second: np.zeros(first + second): "two arrays",
            lambda first, second: (np.zeros(2), np.zeros(2)): "one number per cell",
            lambda first, second: (np.repeat([1, 2], [first, second]),) * 2: "numbers 0",
            lambda first, second: (np.repeat([1, 0], [first, second]),) * 2: "supports differ",
            lambda first, second: (imitate(first, second)[0],) * 2: "above 0.00",
            lambda first, second: (
                imitate(first, second)[0],
                np.ones(first + second),
            ): "below 1.00",
        },
    ),
    "10.2": (
        {},
        lambda matrix: np.flatnonzero(matrix.sum(axis=0) == 0).tolist(),
        {
            lambda matrix: None: "returns nothing",
            lambda matrix: np.flatnonzero(np.diag(matrix) == 0): "recall 0",
            lambda matrix: np.flatnonzero(matrix.sum(axis=1) == 0): "axis=0",
            lambda matrix: [0]: "each class was predicted",
            lambda matrix: []: "the answer is",
        },
    ),
    "10.3": (
        {},
        swapped,
        {
            lambda support, counts: None: "returns nothing",
            lambda support, counts: False: "own supports",
            lambda support, counts: True: "return False",
            lambda support, counts: support["HEM"] > support["ALL"]: "larger class",
            lambda support, counts: abs(share(support) - share(counts)) > 0.05: "nearer",
            lambda support, counts: abs(1 - share(support) - share(counts)) < 0.01: "not exactly",
        },
    ),
    "10.4": ({}, "learning rate", {"names": "list of files", "one class": "recalls"}),
}
