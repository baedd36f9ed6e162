"""What a data set holds: the counts that ``leuk data info`` and the lessons tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers import groups, runs
from leukhelpers.cells import ALL, CLASS_NAMES, HEM, UNLABELLED, InputError
from leukhelpers.datasets import Dataset, load_dataset
from leukhelpers.datasets.cnmc import FOLDERS, PARTS


def count(table: pd.DataFrame) -> dict[str, Any]:
    """Count a cell table.

    Returns
    -------
    dict
        ``images``, ``subjects``, ``groups``, ``classes`` (``ALL``, ``HEM``),
        ``folds`` (by name: images), ``duplicate_pairs`` (pairs of cells with the same
        pixels) and ``shared_groups`` (groups of more than one subject).
    """
    labelled = table[table["label"] != UNLABELLED]
    ids = np.unique(groups.group_ids(labelled)) if len(labelled) else np.array([], dtype=str)
    joined = [str(name) for name in ids if "+" in str(name)]
    return {
        "images": len(table),
        "subjects": int(labelled["subject"].nunique()),
        "groups": len(ids),
        "classes": {
            CLASS_NAMES[label]: int((table["label"] == label).sum()) for label in (ALL, HEM)
        },
        "folds": {
            str(fold): int(n) for fold, n in table["fold"].value_counts().sort_index().items()
        },
        "duplicate_pairs": len(groups.shared_pictures(table)),
        "shared_groups": joined,
    }


def inspect(dataset: str, profile: runs.Profile, seed: int, data: Path) -> dict[str, Any]:
    """Count a data set's training cells, and the test parts beside them.

    Parameters
    ----------
    dataset : str
        As in :func:`leukhelpers.datasets.load_dataset`.
    profile : runs.Profile
        Which twin.
    seed : int
        Which twin.
    data : path
        Folder of downloads and caches.

    Returns
    -------
    dict
        ``dataset``, ``synthetic``, the counts of :func:`count`, ``set_aside`` (a list of
        ``path`` and ``reason``), and ``parts``: for each test part that is there its counts
        and ``set_aside``, or the ``problem`` that keeps it from being read.
    """
    found = runs.load(dataset, profile, seed, data)
    return {
        "dataset": found.name,
        "synthetic": found.synthetic,
        **count(found.table),
        "set_aside": found.set_aside.to_dict("records"),
        "parts": _test_parts(found, data),
    }


def _test_parts(found: Dataset, data: Path) -> dict[str, dict[str, Any]]:
    """Open the test parts that lie beside the training cells; only their counts are told."""
    parts: dict[str, dict[str, Any]] = {}
    for part in PARTS[1:]:
        if not (found.root / FOLDERS[part]).is_dir():
            continue
        try:
            other = load_dataset(found.root, data, parts=(part,))
        except InputError as error:  # the training cells can be used all the same
            parts[part] = {"problem": str(error)}
        else:
            parts[part] = {
                **count(other.table),
                "set_aside": other.set_aside.to_dict("records"),
            }
    return parts
