"""Answers to the exercises of lesson 02: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from leukhelpers.splits import groups

GROUPS = np.array(["a", "b", "c", "d", "e", "f"])

LABELS = np.array([1, 1, 1, 0, 0, 0])

NONE = np.zeros(0, dtype=int)

FOLDED = pd.DataFrame(
    {
        "subject": ["a", "a", "a", "b", "b", "c"],
        "sha256": ["1", "2", "3", "1", "4", "5"],
        "fold": ["0", "0", "0", "1", "1", "1"],
    }
)


def split(train: list[int], test: list[int]) -> groups.Split:
    return groups.Split(GROUPS, np.array(train, dtype=int), NONE, np.array(test, dtype=int))


one_person = groups.Split(
    np.array(["a", "b", "c", "d", "d", "f"]), np.array([2, 5]), NONE, np.array([0, 1, 3, 4])
)


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "02.1": ({}, 2, {4: "connect", 3: "B", 1: "D", 9: "islands"}),
    "02.2": (
        {"labels": LABELS},
        split([2, 5], [0, 1, 3, 4]),
        [
            ("x", "groups.Split"),
            (split([1, 2, 4, 5], [0, 3]), "fewer"),
            (one_person, "fewer"),
            (split([2], [0, 1, 3, 4]), "Some"),
        ],
    ),
    "02.3": ({"table": FOLDED}, 1, {2: "cells", 5: "once"}),
    "02.4": (
        {},
        "group",
        {"subject": "Nearly", "cell_id": "halves", "fold": "share pictures", "x": "choices"},
    ),
}
