"""Checks of the exercises of lesson 02 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.splits import groups

UNFINISHED = "The function returns nothing yet; write its body and end with `return`."

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


def _copied_cells(answer: Any) -> str | None:
    if not callable(answer):
        return "Define the function copied_cells(table, column) and hand it to the check."
    values = {column: answer(_COPIES.copy(), column) for column in ("subject", "fold")}
    if any(value is None for value in values.values()):
        return UNFINISHED
    by_subject, by_fold = (float(value) for value in values.values())
    if (by_subject, by_fold) == (5, 5):
        return None
    if (by_subject, by_fold) == (2, 2):
        return "That counts images; use transform to count the cells that show them."
    if (by_subject, by_fold) == (4, 4):
        return "That counts all copies but the first of each image; count every cell."
    if (by_subject, by_fold) == (7, 7):
        return "That counts every copy; a copy with the same value in `column` does not count."
    return (
        "In a small table with 5 such cells the function returned "
        f"{by_subject:g} (subject) and {by_fold:g} (fold). Group by the hash, count the values."
    )


def _shared_groups(answer: Any) -> str | None:
    if not callable(answer):
        return "Define the function shared_groups(group, train, test) and hand it to the check."
    group = np.array(["a", "c", "b", "b", "c", "d", "c"])
    train, test = np.array([0, 1, 2]), np.array([3, 4, 5, 6])
    found, clean = answer(group, train, test), answer(group, train[:1], test)
    if found is None or clean is None:
        return UNFINISHED
    if isinstance(found, (bool, np.bool_, int, np.integer)):
        return "Return the list of the groups themselves, not their number or True and False."
    names = [str(name) for name in found]
    if not names:
        return "It misses a shared group. Compare group[train] and group[test], not row numbers."
    if len(clean):
        return "It returns groups for an honest split; keep only groups that are in both parts."
    if len(set(names)) < len(names):
        return "A group is listed twice; a set keeps each group once."
    if set(names) != {"b", "c"}:
        return f"The groups in both parts are b and c, but the function returned {names}."
    return None if names == ["b", "c"] else "The right groups, but not in order; use sorted."


def _moved_subjects(answer: Any, table: pd.DataFrame) -> str | None:
    published = table["fold"].to_numpy()
    if len(np.unique(published)) < 2:
        return None if int(answer) == 0 else "There is one fold only, so no subject moved."
    group = groups.group_ids(table)
    fold_with_most = pd.crosstab(group, published).idxmax(axis=1)
    moved = table["subject"][fold_with_most[group].to_numpy() != published]
    if int(answer) == moved.nunique():
        return None
    if int(answer) == len(moved):
        return "That is the number of cells; how many different subjects do they have?"
    return "Take the subjects of the cells whose repaired fold differs, and count each once."


def _make_folds(answer: Any) -> str | None:
    if not callable(answer):
        return "Define the function make_folds(tiles) and hand it to the check."
    tiles = _tiles()
    result = answer(tiles.copy())
    if result is None:
        return UNFINISHED
    if not isinstance(result, list):
        return "Return a list: list(splitter.split(...)) collects the pairs."
    if len(result) != 4:
        return f"There should be four pairs, not {len(result)}."
    tested = np.sort(np.concatenate([test for _, test in result]))
    if not np.array_equal(tested, np.arange(len(tiles))):
        return "Each row should be in exactly one test part."
    hints = {
        "cell_id": "Two halves of one cell are on both sides.",
        "subject": "Cells of one subject are on both sides, although the halves stay together.",
        "group": "Each subject stays together, but two subjects who share an image are apart.",
    }
    for column, hint in hints.items():
        values = tiles[column].to_numpy()
        if any(np.isin(values[test], values[train]).any() for train, test in result):
            return f"{hint} Which column must stay together?"
    if any(len(np.unique(tiles["label"].iloc[test])) < 2 for _, test in result):
        return "A test fold has only one class; choose the splitter that balances the classes."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "02.1": _copied_cells,
    "02.2": _shared_groups,
    "02.3": _moved_subjects,
    "02.4": _make_folds,
}
