"""Cells, made ready to learn from: profiles, pictures, and an honest split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock

from leukhelpers import files
from leukhelpers.data.base import Dataset
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.images import handmade
from leukhelpers.images.preprocessing import BOX, build_pixels
from leukhelpers.splits import groups


@dataclass(frozen=True)
class Profile:
    """How much work a run does.

    ``size`` and ``crop`` are in pixels: a ``crop``×``crop`` square out of the middle of
    the 450×450 original is averaged down to ``size``×``size``. The network of the course sees
    each cell in its own box, ``box_size`` pixels wide. After a first network
    has shown how long to train, ``refits`` are trained on everybody and joined into one.
    ``measures_weight`` is the weight of the second task, to tell the hand-made features
    from the pixels; ``blended`` the share of training pictures that are laid over another.
    """

    name: str
    twin_images: int
    twin_subjects: int
    epochs: int
    patience: int
    size: int = 96
    box_size: int = 128
    crop: int = 384
    batch_size: int = 32
    learning_rate: float = 2e-3
    refits: int = 0
    measures_weight: float = 1.0
    blended: float = 0.8


_PLAIN: dict[str, Any] = {"measures_weight": 0.0, "blended": 0.0, "batch_size": 16}


PROFILES = {
    "smoke": Profile("smoke", 200, 28, epochs=2, patience=2, box_size=48, **_PLAIN),
    "fast": Profile("fast", 800, 28, epochs=12, patience=6, box_size=64, **_PLAIN),
    "full": Profile("full", 10661, 73, epochs=16, patience=5, refits=1),
}


class Prepared(NamedTuple):
    """Cells ready to learn from: pictures and table row for row, and an honest split."""

    dataset: Dataset
    profile: Profile
    seed: int
    pixels: np.ndarray
    table: pd.DataFrame
    set_aside: pd.DataFrame
    split: groups.Split
    data: Path  # folder of the caches


def default_profile(dataset: str) -> str:
    """Name the profile of a training: ``fast`` on the synthetic cells, ``full`` on others."""
    return "fast" if dataset == "twin" else "full"


def profile_of(name: str) -> Profile:
    """Find a profile by its name; an unknown one is an :class:`InputError`."""
    if name not in PROFILES:
        raise InputError(f"Profile {name!r} is not known; choose from {', '.join(PROFILES)}.")
    return PROFILES[name]


def load(
    dataset: str | Path,
    profile: Profile,
    seed: int,
    data: Path,
    parts: Sequence[str] = ("training",),
) -> Dataset:
    """Read the cells of a run; the twin has the size that the profile asks for."""
    return load_dataset(
        dataset, data, profile.twin_images, profile.twin_subjects, seed=seed, parts=parts
    )


def prepare(dataset: Dataset, profile: Profile, seed: int, data: Path) -> Prepared:
    """Turn cells into small pictures, and hold out a quarter of the groups.

    Parameters
    ----------
    dataset : Dataset
        Labelled cells.
    profile : Profile
        Size and crop of the pictures.
    seed : int
        Seed of the split.
    data : path
        Folder for the caches.
    """
    array, table, unread = build_pixels(dataset, data / "cache", profile.size, profile.crop)
    set_aside = pd.concat([dataset.set_aside, unread], ignore_index=True)
    split = groups.holdout_split(table, seed)
    return Prepared(dataset, profile, seed, array, table, set_aside, split, data)


def fingerprint(table: pd.DataFrame) -> str:
    """Name a set of cells by their ids, labels, subjects and pixels."""
    digest = hashlib.sha256()
    for row in table[["cell_id", "label", "subject", "sha256"]].itertuples(index=False):
        digest.update("\0".join(map(str, row)).encode() + b"\n")
    return digest.hexdigest()[:16]


CLASSICAL = ("svm", "rf")


def picture_size(name: str, profile: Profile) -> tuple[int, int]:
    """Tell which pictures a model takes: their edge, and the edge of what is cut out.

    Parameters
    ----------
    name : str
        A model's name.
    profile : Profile
        That of the run. Pretrained networks take its size: on real cells frozen
        EfficientNet-Lite0 gained nothing at 128 pixels over 96. The network of the
        course sees each cell in its own box, and so not how large it is.

    Returns
    -------
    size, crop : int
        Pixels of the picture, and of the original (or ``pixels.BOX``).
    """
    if name == "cnn":
        return profile.box_size, BOX
    return (handmade.SIZE if name in CLASSICAL else profile.size), profile.crop


def pictures(name: str, prepared: Prepared) -> np.ndarray:
    """Give the pictures that a model takes, row for row with the table of `prepared`.

    Raises
    ------
    InputError
        If a file went bad since the others were read.
    """
    size, crop = picture_size(name, prepared.profile)
    if (size, crop) == (prepared.profile.size, prepared.profile.crop):
        return prepared.pixels
    array, table, _ = build_pixels(
        replace(prepared.dataset, table=prepared.table), prepared.data / "cache", size, crop
    )
    if len(table) != len(prepared.table):
        raise InputError("Some files were changed or removed while they were being read.")
    return array


def features(prepared: Prepared) -> pd.DataFrame:
    """Give the hand-made features of all cells; measured once and kept beside the pictures."""
    crop = prepared.profile.crop
    names = handmade.feature_names()
    digest = handmade.code_digest()
    kept = prepared.data / "cache" / f"features-{fingerprint(prepared.table)}-{crop}-{digest}.npy"
    with FileLock(f"{kept}.lock"):  # whoever comes second waits, and finds them
        if kept.is_file():
            values = np.load(kept)
            if values.shape == (len(prepared.table), len(names)):
                return pd.DataFrame(values, columns=names)
        measured = handmade.measure_cells(pictures("svm", prepared), crop)
        with files.whole_file(kept) as part, part.open("wb") as file:
            np.save(file, measured.to_numpy())
    return measured


def auxiliary_targets(prepared: Prepared) -> np.ndarray:
    """Give the hand-made features that can be seen in a cell's own box.

    Returns
    -------
    float array of shape (n_cells, n_measures)
        All but those that say how large the cell is.
    """
    return features(prepared).drop(columns=list(handmade.SIZES)).to_numpy()
