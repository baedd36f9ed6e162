"""A tree with the names and equalities of the whole published set has its published numbers."""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from leukhelpers.data.cnmc import LABELS, read_cnmc
from leukhelpers.data.published import published_bytes
from leukhelpers.models import prepare, profiles
from leukhelpers.splits.dataset_info import inspect

pytestmark = pytest.mark.slow

FAST = profiles.profile_of("fast")


def stand_in(checksum: str) -> np.ndarray:
    """Draw a picture of 4×4 pixels; two are equal only if the checksums are."""
    return np.frombuffer(bytes.fromhex(checksum) * 2, np.uint8)[:48].reshape(4, 4, 3)


@pytest.fixture(scope="module")
def tree(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a stand-in for each file of the manifest, and the real table of labels."""
    folder = tmp_path_factory.mktemp("manifest")
    manifest = pd.read_csv(shared_data / "cnmc" / "manifest.csv")
    for parent in manifest["path"].map(lambda path: path.rpartition("/")[0]).unique():
        (folder / parent).mkdir(parents=True)
    for path, checksum in manifest[["path", "sha256"]].itertuples(index=False):
        (folder / path).write_bytes(published_bytes(stand_in(checksum), "0"))
    root = folder / "C-NMC_Leukemia"
    shutil.copy(shared_data / "cnmc" / "C-NMC_Leukemia" / LABELS, root / LABELS)
    return root


@pytest.fixture(scope="module")
def told(tree: Path) -> dict[str, Any]:
    data = tree.parent / "data"
    return inspect(prepare.load(str(tree), FAST, 0, data), data, FAST.size, FAST.crop)


@pytest.fixture(scope="module")
def tables(tree: Path, told: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Read each part; the checksums lie in the cache since `told` was made."""
    cache = tree.parent / "data" / "cache"
    parts = ("training", "preliminary", "final")
    return {part: read_cnmc(tree, (part,), cache).table for part in parts}


def test_training_set_has_its_images_subjects_pairs_and_groups(told: dict[str, Any]) -> None:
    assert told["images"] == 10661
    assert told["subjects"] == 73
    assert told["duplicate_pairs"] == 104
    assert told["groups"] == 66
    assert told["classes"] == {"ALL": 7272, "HEM": 3389}
    assert told["folds"] == {"0": 3527, "1": 3581, "2": 3553}
    assert told["set_aside"] == []


def test_subjects_have_the_images_of_the_published_counts(
    told: dict[str, Any], shared_data: Path
) -> None:
    counts = pd.read_csv(shared_data / "cnmc" / "subjects.csv", dtype={"subject": str})
    counts["subject"] = counts["subject"].str.upper()
    splits = counts["split"].str.startswith("fold_").map({True: "training", False: "preliminary"})
    for split, part in counts.groupby(splits):
        found = told if split == "training" else told["parts"]["preliminary"]
        for ending, rows in part.groupby("class"):
            expected = rows.groupby("subject")["images"].sum().to_dict()
            assert found["subject_images"][str(ending).upper()] == expected


def test_preliminary_and_final_test_have_their_numbers(told: dict[str, Any]) -> None:
    preliminary, final = (told["parts"][part] for part in ("preliminary", "final"))
    assert preliminary["images"] == 1867
    assert preliminary["subjects"] == 28
    assert preliminary["classes"] == {"ALL": 1219, "HEM": 648}
    assert final["images"] == 2586
    assert final["duplicate_pairs"] == 2  # 972 and 2217, 581 and 914


def test_equal_pictures_join_the_subjects_that_share_them(
    tables: dict[str, pd.DataFrame],
) -> None:
    subjects = [
        "=".join(sorted(pair))
        for _, equal in tables["training"].groupby("sha256")["subject"]
        for pair in combinations(equal, 2)
    ]
    assert pd.Series(subjects).value_counts().to_dict() == {
        "20=21": 71,
        "51=78": 11,
        "51=75": 10,
        "H10=H10": 5,
        "H2=H4": 3,
        "H2=H5": 2,
        "H2=H6": 1,
        "H10=H3": 1,
    }


def test_no_preliminary_picture_equals_a_training_picture(
    tables: dict[str, pd.DataFrame],
) -> None:
    assert not set(tables["preliminary"]["sha256"]) & set(tables["training"]["sha256"])
