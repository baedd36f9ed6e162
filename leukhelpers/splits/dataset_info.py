"""What a data set holds: the counts that ``leuk data info`` prints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.data import cards, cnmc
from leukhelpers.data.base import Dataset
from leukhelpers.data.schema import CLASS_NAMES, UNLABELED
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.images.file_facts import crop_of, file_cautions
from leukhelpers.images.preprocessing import build_pixels
from leukhelpers.splits import groups, near_duplicates


def count(table: pd.DataFrame, classes: Sequence[str] = CLASS_NAMES) -> dict[str, Any]:
    """Count a cell table.

    Parameters
    ----------
    table : pandas.DataFrame
        A cell table; it may be empty.
    classes : sequence of str
        The name of each label.

    Returns
    -------
    dict
        ``images``, ``subjects``, ``groups``, ``classes`` (by name: images), ``folds`` (by
        name: images), ``duplicate_pairs`` (pairs of cells with the same pixels),
        ``shared_groups`` (groups of more than one subject) and ``subject_images`` (by class and
        subject: images).
    """
    labeled = table[table["label"] != UNLABELED]
    ids = np.unique(groups.group_ids(labeled)) if len(labeled) else np.array([], dtype=str)
    joined = [str(name) for name in ids if "+" in str(name)]
    folds = table["fold"].astype(str).value_counts().sort_index()
    return {
        "images": len(table),
        "subjects": int(labeled["subject"].nunique()),
        "groups": len(ids),
        "classes": {name: int((table["label"] == n).sum()) for n, name in enumerate(classes)},
        "folds": folds.drop("", errors="ignore").to_dict(),  # cells of one's own have none
        "duplicate_pairs": groups.duplicate_pairs(table),
        "shared_groups": joined,
        "subject_images": {
            name: table.loc[table["label"] == n, "subject"].value_counts().sort_index().to_dict()
            for n, name in enumerate(classes)
        },
    }


def inspect(found: Dataset, data: Path, size: int, crop: int) -> dict[str, Any]:
    """Count a data set's training cells, and the test parts beside them.

    Parameters
    ----------
    found : Dataset
        The training cells.
    data : path
        Folder of downloads and caches.
    size, crop : int
        Of the small pictures that are compared to find near-duplicates.

    Returns
    -------
    dict
        ``dataset``, ``synthetic``, ``cautions``, the counts of :func:`count`, ``set_aside`` (a
        list of ``path`` and ``reason``), those of :func:`count_near_duplicates`, ``card`` (the
        data card, or None), and ``parts``: for each test part that is there its counts and
        ``set_aside``, or the ``problem`` that keeps it from being read.
    """
    return {
        "dataset": found.name,
        "synthetic": found.synthetic,
        "cautions": [*found.cautions, *file_cautions(found)],
        **_counts(found),
        "near_duplicates": count_near_duplicates(found, data, size, crop_of(found, crop)),
        "parts": _test_parts(found, data),
        "card": cards.card_of(found),
    }


def count_near_duplicates(found: Dataset, data: Path, size: int, crop: int) -> dict[str, Any]:
    """Count the pairs of cells that look alike without being equal.

    Returns
    -------
    dict
        ``pairs``; how many of them are ``of_two_subjects`` and ``in_two_folds``; and
        ``closest``, the first few, each with its two cells and their distance. Or the
        ``problem`` that keeps them from being counted.
    """
    try:
        pixels = build_pixels(found, data / "cache", size, crop)
        pairs = near_duplicates.near_duplicates(pixels.array, pixels.table)
    except InputError as error:  # all else can be counted all the same
        return {"problem": str(error)}
    return {
        "pairs": len(pairs),
        "of_two_subjects": int((pairs["subject_a"] != pairs["subject_b"]).sum()),
        "in_two_folds": int((pairs["fold_a"] != pairs["fold_b"]).sum()),
        "closest": pairs[["cell_a", "cell_b", "distance"]].head(5).to_dict("records"),
    }


def _counts(found: Dataset) -> dict[str, Any]:
    """Tell the counts of one part."""
    return {**count(found.table, found.classes), "set_aside": found.set_aside.to_dict("records")}


def _test_parts(found: Dataset, data: Path) -> dict[str, dict[str, Any]]:
    """Open the test parts that lie beside the training cells; only their counts are given."""
    parts: dict[str, dict[str, Any]] = {}
    for part in cnmc.PARTS[1:]:
        if not (found.root / cnmc.FOLDERS[part]).is_dir():
            continue
        try:
            other = load_dataset(found.root, data, parts=(part,))
            parts[part] = _counts(other)
        except InputError as error:  # the training cells can be used all the same
            parts[part] = {"problem": str(error)}
    return parts
