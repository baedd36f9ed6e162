"""Cells, made ready to learn from: profiles, pictures, and an honest split."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock

from leukhelpers import files
from leukhelpers.data.base import Dataset
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.images import handmade
from leukhelpers.images.file_facts import crop_of
from leukhelpers.images.preprocessing import VERSION, build_pixels
from leukhelpers.models import profiles
from leukhelpers.splits import groups


class Prepared(NamedTuple):
    """Cells ready to learn from: pictures and table row for row, and an honest split."""

    dataset: Dataset
    profile: profiles.Profile
    seed: int
    pixels: np.ndarray
    table: pd.DataFrame
    set_aside: pd.DataFrame
    split: groups.Split
    data: Path  # folder of the caches


def load(
    dataset: str | Path,
    profile: profiles.Profile,
    seed: int,
    data: Path,
    parts: Sequence[str] = ("training",),
) -> Dataset:
    """Read the cells of a run; the twin has the size that the profile asks for."""
    return load_dataset(
        dataset, data, profile.twin_images, profile.twin_subjects, seed=seed, parts=parts
    )


def prepare(
    dataset: Dataset,
    profile: profiles.Profile,
    seed: int,
    data: Path,
    split: Callable[..., groups.Split] = groups.holdout_split,
) -> Prepared:
    """Turn cells into small pictures, and split them; by default a quarter is held out.

    Parameters
    ----------
    dataset : Dataset
        Labeled cells.
    profile : Profile
        Size and crop of the pictures; of pictures smaller than the crop all is taken.
    seed : int
        Seed of the split.
    data : path
        Folder for the caches.
    split : callable
        Takes the table and the seed, such as :func:`leukhelpers.splits.groups.no_test_split`.
    """
    profile = replace(profile, crop=crop_of(dataset, profile.crop))
    array, table, unread = build_pixels(dataset, data / "cache", profile.size, profile.crop)
    set_aside = pd.concat([dataset.set_aside, unread], ignore_index=True)
    return Prepared(dataset, profile, seed, array, table, set_aside, split(table, seed), data)


def fingerprint(table: pd.DataFrame) -> str:
    """Name a set of cells by their ids, labels, subjects and pixels."""
    digest = hashlib.sha256()
    for row in table[["cell_id", "label", "subject", "sha256"]].itertuples(index=False):
        digest.update("\0".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()[:16]


def subsample(rows: np.ndarray, at_most: int) -> np.ndarray:
    """Pick at most so many rows, evenly spread over all of them."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), at_most)).round().astype(int)]


def pictures(name: str, prepared: Prepared) -> np.ndarray:
    """Give the pictures that a model takes, row for row with the table of `prepared`.

    Raises
    ------
    InputError
        If a file went bad since the others were read.
    """
    size, crop = profiles.picture_size(name, prepared.profile)
    if (size, crop) == (prepared.profile.size, prepared.profile.crop):
        return prepared.pixels
    array, table, _ = build_pixels(
        replace(prepared.dataset, table=prepared.table), prepared.data / "cache", size, crop
    )
    if len(table) != len(prepared.table):
        raise InputError("Some files were changed or removed while they were being read.")
    return array


def features(prepared: Prepared) -> pd.DataFrame:
    """Give the hand-crafted features of all cells; measured once and kept beside the pictures."""
    crop = prepared.profile.crop
    names = handmade.feature_names()
    made_by = f"{handmade.code_digest()}-{VERSION}-{version('scikit-image')}"
    kept = prepared.data / "cache" / f"features-{fingerprint(prepared.table)}-{crop}-{made_by}.npy"
    with FileLock(f"{kept}.lock"):  # whoever comes second waits, and finds them
        if kept.is_file():
            values = np.load(kept)
            if values.shape == (len(prepared.table), len(names)):
                return pd.DataFrame(values, columns=names)
        measured = handmade.measure_cells(pictures("svm", prepared), crop)
        with files.whole_file(kept) as part:
            np.save(part, measured.to_numpy())
    return measured
