"""Checks of the exercises of lesson 12."""

from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.course.exercises import call, compare, hint

# Twelve patients per class, with three to eight cells each, in mixed order.
_CELLS = np.random.default_rng(12).permutation(np.repeat(np.arange(24), np.arange(24) % 6 + 3))
_GROUPS = np.array([f"H{number}" if number < 12 else str(number) for number in _CELLS])
_LABELS = (_CELLS >= 12).astype(int)


def draw_patients(answer: Any) -> None:
    """Check the rows of a quarter of the patients, drawn anew with each seed."""
    drawn = set()
    for seed in range(6):
        rows = call(answer, _GROUPS, _LABELS, seed)
        hint("two_parts", isinstance(rows, tuple))
        kind = np.asarray(rows).dtype.kind
        hint("mask", kind == "b")
        hint("names", kind not in "iu")
        hint("no_rows", len(rows) == 0 or np.max(rows) >= len(_CELLS))
        both = np.intersect1d(_GROUPS[rows], np.delete(_GROUPS, rows))
        hint("both_sides", len(both), patient=min(both, default=None))
        chosen = np.unique(_CELLS[rows])
        hint("training_part", len(chosen) == 18)
        hint("not_a_quarter", len(chosen) != 6, patients=len(chosen))
        hem = (chosen < 12).sum()
        hint("not_stratified", hem != 3, seed=seed, hem=hem, leukemic=6 - hem)
        again = answer(_GROUPS.copy(), _LABELS.copy(), seed)
        hint("not_repeated", set(again) != set(rows))
        drawn.add(frozenset(np.asarray(rows).tolist()))
    hint("same_patients", len(drawn) == 1)


def paired(answer: Any) -> None:
    """Check mean and standard deviation of paired differences, and how many are above zero."""
    first = pd.Series([0.90, 0.80, 0.70, 0.86], index=range(1, 5))
    second = pd.Series([0.85, 0.78, 0.72, 0.80], index=range(1, 5))
    found = call(answer, first, second)
    hint("three_numbers", np.shape(found) != (3,))
    mean, spread, ahead = (float(value) for value in found)
    difference = first - second
    compare(mean, difference.mean(), "mean", sign=-difference.mean())
    compare(
        spread,
        difference.std(),
        "spread",
        not_paired=np.sqrt(first.var() + second.var()),
        difference_of_sds=first.std() - second.std(),
        ddof=difference.std(ddof=0),
    )
    compare(ahead, 3, "ahead", share=3 / 4)


def grid(answer: Any) -> None:
    """Check the grid of a sweep."""
    wanted: dict[str, list] = {"model": ["rf", "svm"], "seed": [0, 1, 2], "fold": [0, 1, 2, 3]}
    hint("no_dictionary", not isinstance(answer, dict))
    hint("names", set(answer) != set(wanted), found=", ".join(map(str, answer)))
    for name, values in answer.items():
        hint("no_list", not isinstance(values, list), name=name)
        right, found = (", ".join(map(str, listed)) for listed in (wanted[name], values))
        hint("values", set(values) != set(wanted[name]), name=name, right=right, found=found)
        hint("twice", len(values) != len(wanted[name]), name=name)
