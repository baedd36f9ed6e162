"""Answers to the exercises of lesson 02: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

FOLDED = pd.DataFrame(
    {
        "subject": ["a", "a", "a", "b", "b", "c"],
        "sha256": ["1", "2", "3", "1", "4", "5"],
        "fold": ["0", "0", "0", "1", "1", "1"],
    }
)


def copied(table, column):
    return int((table.groupby("hash")[column].transform("nunique") > 1).sum())


def copied_images(table, column):
    return (table.groupby("hash")[column].nunique() > 1).sum()


def later_copies(table, column):
    return table.duplicated("hash").sum()


def every_copy(table, column):
    return table.duplicated("hash", keep=False).sum()


def always_subject(table, column):
    return copied(table, "subject") + (column == "fold")


def shared(group, train, test):
    return np.intersect1d(group[train], group[test])


def split_by(column, splitter):
    def make_folds(tiles):
        return list(splitter.split(tiles, tiles["label"], tiles[column]))

    return make_folds


def one_class_per_fold(tiles):
    group = tiles["group"].to_numpy()
    parts = np.array_split(np.unique(group[tiles["label"] == 0]), 2)
    parts += np.array_split(np.unique(group[tiles["label"] == 1]), 2)
    inside = [np.isin(group, part) for part in parts]
    return [(np.flatnonzero(~rows), np.flatnonzero(rows)) for rows in inside]


def unfinished(*arguments):
    return None


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "02.1": (
        {},
        copied,
        [
            (5, "function"),
            (unfinished, "returns nothing"),
            (copied_images, "counts images"),
            (later_copies, "but the first"),
            (every_copy, "same value"),
            (always_subject, "small table"),
        ],
    ),
    "02.2": (
        {},
        shared,
        [
            ([], "function"),
            (unfinished, "returns nothing"),
            (lambda group, train, test: bool(len(shared(group, train, test))), "themselves"),
            (lambda group, train, test: len(shared(group, train, test)), "themselves"),
            (lambda group, train, test: np.intersect1d(train, test), "row numbers"),
            (lambda group, train, test: sorted(set(group[test])), "honest split"),
            (lambda group, train, test: group[test][np.isin(group[test], group[train])], "twice"),
            (
                lambda group, train, test: shared(group, train, test)[:1],
                "in both parts are b and c",
            ),
            (lambda group, train, test: shared(group, train, test)[::-1], "sorted"),
        ],
    ),
    "02.3": ({"table": FOLDED}, 1, {2: "cells", 5: "once"}),
    "02.4": (
        {},
        split_by("group", StratifiedGroupKFold(4)),
        [
            ("group", "function"),
            (unfinished, "returns nothing"),
            (lambda tiles: KFold(4).split(tiles), "list"),
            (split_by("group", StratifiedGroupKFold(3)), "not 3"),
            (lambda tiles: [(np.arange(8), np.arange(8, 16))] * 4, "exactly one"),
            (
                split_by("group", StratifiedKFold(4, shuffle=True, random_state=0)),
                "halves of one cell",
            ),
            (split_by("cell_id", StratifiedGroupKFold(4)), "Cells of one subject"),
            (split_by("subject", GroupKFold(4)), "share an image"),
            (split_by("subject", StratifiedGroupKFold(4)), "share an image"),
            (one_class_per_fold, "only one class"),
        ],
    ),
}
