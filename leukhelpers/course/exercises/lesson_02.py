"""Checks of the exercises of lesson 02 that ask for code."""

from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.course.exercises import call, compare, hint
from leukhelpers.splits import groups

# Image 1 has two subjects in one fold, image 2 two cells of one subject in two folds,
# image 3 three subjects in two folds.
_COPIES = pd.DataFrame(
    {
        "hash": ["1", "1", "2", "2", "3", "3", "3", "4"],
        "subject": ["a", "b", "c", "c", "d", "e", "f", "g"],
        "fold": ["0", "0", "0", "1", "1", "1", "2", "2"],
    }
)


def _tiles() -> pd.DataFrame:
    """Return two halves per cell, four cells per subject; four pairs of subjects are joined."""
    cells = pd.DataFrame({"cell_id": [f"cell{number}" for number in range(96)]})
    number = np.arange(96) // 4
    cells["subject"] = [f"s{subject}" for subject in number]
    cells["label"] = (number >= 12).astype(int)
    # The joined subjects stand far apart, so that folds in the order of the rows divide them.
    partner = np.where(np.isin(number, [8, 9, 20, 21]), number - 8, number)
    cells["group"] = [f"g{group}" for group in partner]
    tiles = cells.loc[cells.index.repeat(2)].reset_index(drop=True)
    return tiles.assign(tile_id=[f"tile{row}" for row in range(len(tiles))])


def copied_cells(answer: Any) -> None:
    """Check how many cells show an image that has two values in a column."""
    found = [float(call(answer, _COPIES, column)) for column in ("subject", "fold")]
    compare(found, [5, 5], images=[2, 2], later_copies=[4, 4], every_copy=[7, 7])


def shared_groups(answer: Any) -> None:
    """Check the list of the groups that are in both parts of a split."""
    group = np.array(["a", "c", "b", "b", "c", "d", "c"])
    train, test = np.array([0, 1, 2]), np.array([3, 4, 5, 6])
    found, clean = call(answer, group, train, test), call(answer, group, train[:1], test)
    hint("no_list", np.isscalar(found))
    names = [str(name) for name in found]
    hint("none_found", not names)
    hint("honest_split", len(clean))
    hint("twice", len(set(names)) < len(names))
    hint("other_groups", set(names) != {"b", "c"}, names=names)
    hint("order", names != ["b", "c"])


def moved_subjects(answer: Any, table: pd.DataFrame) -> None:
    """Check how many subjects change their fold when groups are kept together."""
    published = table["fold"].to_numpy()
    if len(np.unique(published)) < 2:
        hint("one_fold", int(answer) != 0)
        return
    group = groups.group_ids(table)
    fold_with_most = pd.crosstab(group, published).idxmax(axis=1)
    moved = table["subject"][fold_with_most[group].to_numpy() != published]
    compare(int(answer), moved.nunique(), cells=len(moved))


def make_folds(answer: Any) -> None:
    """Check four folds that keep halves, subjects and joined subjects together."""
    tiles = _tiles()
    folds = call(answer, tiles)
    hint("no_list", not isinstance(folds, list))
    hint("four_pairs", len(folds) != 4, pairs=len(folds))
    tested = np.sort(np.concatenate([test for _, test in folds]))
    hint("one_test_part", not np.array_equal(tested, np.arange(len(tiles))))
    for column in ("cell_id", "subject", "group"):
        values = tiles[column].to_numpy()
        hint(column, any(np.isin(values[test], values[train]).any() for train, test in folds))
    hint("one_class", any(tiles["label"].iloc[test].nunique() < 2 for _, test in folds))
