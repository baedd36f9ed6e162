"""The counts that are told are the counts of the files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukhelpers.data.cnmc import FOLDERS, LABELS, read_cnmc
from leukhelpers.data.schema import ALL, HEM, UNLABELED
from leukhelpers.errors import InputError
from leukhelpers.models import prepare, profiles
from leukhelpers.splits import dataset_info
from leukhelpers.splits.dataset_info import count

FAST = profiles.profile_of("fast")


def inspect(dataset: str, profile: profiles.Profile, seed: int, data: Path) -> dict[str, Any]:
    """Do as ``leuk data info`` does."""
    cells = prepare.load(dataset, profile, seed, data)
    return dataset_info.inspect(cells, data, profile.size, profile.crop)


def test_counts_are_those_of_the_tree(tiny_cnmc: Path) -> None:
    found = count(read_cnmc(tiny_cnmc).table)
    files = [path for path in tiny_cnmc.rglob("*.bmp")]
    assert found["images"] == len(files)
    assert found["subjects"] == found["groups"] == 14
    assert found["classes"] == {
        "ALL": sum(file.stem.endswith("all") for file in files),
        "HEM": sum(file.stem.endswith("hem") for file in files),
    }
    assert found["folds"] == {
        fold: sum(f"fold_{fold}" in str(file) for file in files) for fold in "012"
    }
    assert found["duplicate_pairs"] == 0
    assert found["shared_groups"] == []


def test_duplicates_join_groups_and_are_counted(small_cnmc: Path) -> None:
    first, second = (small_cnmc / path for path in sorted(read_cnmc(small_cnmc).table["path"])[::3])
    shutil.copy(first, second)
    found = count(read_cnmc(small_cnmc).table)
    assert found["duplicate_pairs"] == 1
    assert found["subjects"] == 3
    assert found["groups"] == 2
    assert found["shared_groups"] == ["1+2"]


def test_subjects_are_named_with_their_images_by_class(tiny_cnmc: Path) -> None:
    table = read_cnmc(tiny_cnmc).table
    found = count(table)["subject_images"]
    assert list(found["ALL"]) == [str(number) for number in range(1, 9)]
    for name, label in (("ALL", ALL), ("HEM", HEM)):
        rows = table[table["label"] == label]
        assert found[name] == rows.groupby("subject").size().to_dict()


def test_classes_of_ones_own_are_counted_by_their_names(small_cnmc: Path) -> None:
    table = read_cnmc(small_cnmc).table
    table.loc[table["subject"] == "2", "label"] = 2
    names = ("normal", "AML", "CLL")
    assert count(table, names)["classes"] == {"CLL": 2, "AML": 2, "normal": 2}
    images = {"CLL": {"2": 2}, "AML": {"1": 2}, "normal": {"H1": 2}}
    assert count(table, names)["subject_images"] == images


def test_unlabeled_cells_are_images_but_neither_class_nor_subject(small_cnmc: Path) -> None:
    table = read_cnmc(small_cnmc).table
    unlabeled = table.assign(label=UNLABELED, subject="", fold="final")
    found = count(pd.concat([table, unlabeled.assign(cell_id="f" + table["cell_id"])]))
    assert found["images"] == 12
    assert found["subjects"] == found["groups"] == 3
    assert sum(found["classes"].values()) == 6
    assert found["folds"] == {"0": 2, "1": 2, "2": 2, "final": 6}
    alone = count(unlabeled)
    assert (alone["subjects"], alone["groups"], alone["classes"]) == (0, 0, {"ALL": 0, "HEM": 0})


def test_report_names_what_was_set_aside_and_is_json(small_cnmc: Path, tmp_path: Path) -> None:
    (small_cnmc / "training_data" / "Thumbs.db").write_bytes(b"\0")
    next(small_cnmc.rglob("*_all.bmp")).write_bytes(b"")
    found = inspect(str(small_cnmc), FAST, 0, tmp_path)
    assert found["images"] == 5
    assert len(found["set_aside"]) == 2
    assert all(set(row) == {"path", "reason"} for row in found["set_aside"])
    assert found["parts"] == {}
    assert found["synthetic"] is False
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_test_parts_are_counted_and_a_broken_one_has_its_problem_told(
    small_cnmc: Path, tmp_path: Path
) -> None:
    final, preliminary = (small_cnmc / FOLDERS[part] for part in ("final", "preliminary"))
    for number, folder in enumerate((final, preliminary)):
        folder.mkdir(parents=True)
        Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(folder / "1.bmp")
    (final / "2.bmp").write_bytes(b"")
    parts = inspect(str(small_cnmc), FAST, 0, tmp_path)["parts"]
    assert parts["final"]["images"] == 1
    assert [row["reason"] for row in parts["final"]["set_aside"]] == ["the file is empty"]
    assert "labels.csv is missing" in parts["preliminary"]["problem"]

    csv = preliminary.with_name(f"{preliminary.name}_labels.csv")
    csv.write_text("Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\n")
    parts = inspect(str(small_cnmc), FAST, 0, tmp_path)["parts"]
    assert parts["preliminary"]["classes"] == {"ALL": 1, "HEM": 0}
    assert parts["preliminary"]["subject_images"] == {"ALL": {"57": 1}, "HEM": {}}


def write_tests(root: Path) -> None:
    """Write one preliminary picture of two that have labels, and one final picture."""
    for number, part in enumerate(("preliminary", "final")):
        (root / FOLDERS[part]).mkdir(parents=True)
        Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(root / FOLDERS[part] / "1.bmp")
    (root / LABELS).write_text(
        "Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_H60_2_1_hem.bmp,2.bmp,0\n"
    )


def test_unreadable_training_cells_are_an_error_beside_test_parts_too(
    small_cnmc: Path, tmp_path: Path
) -> None:
    write_tests(small_cnmc)
    for file in (small_cnmc / FOLDERS["training"]).rglob("*.bmp"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match="no readable cell"):
        inspect(str(small_cnmc), FAST, 0, tmp_path)


def test_empty_tree_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FOLDERS["final"]).mkdir(parents=True)
    with pytest.raises(InputError, match="no readable cell"):
        inspect(str(tmp_path), FAST, 0, tmp_path / "data")


def test_original_files_are_told_with_subjects_and_labels(
    shared_data: Path, tmp_path: Path
) -> None:
    place = shared_data / "cnmc_raw_sample" / "C-NMC_Leukemia"
    found = inspect(str(place), FAST, 0, tmp_path)
    preliminary, final = found["parts"]["preliminary"], found["parts"]["final"]
    assert [part["images"] for part in (found, preliminary, final)] == [81, 13, 12]
    assert found["subject_images"]["ALL"]["13"] == 11
    for part in (found, preliminary):
        for name, subjects in part["subject_images"].items():
            assert sum(subjects.values()) == part["classes"][name]
        assert part["subjects"] == sum(map(len, part["subject_images"].values()))
    assert preliminary["subject_images"] == {
        "ALL": {"53": 1, "54": 1, "57": 5, "58": 2},
        "HEM": {"H30": 1, "H49": 3},
    }


@pytest.mark.slow
def test_twin_is_told_to_be_drawn(tmp_path: Path) -> None:
    found = inspect("twin", replace(FAST, twin_images=16, twin_subjects=8), 0, tmp_path)
    assert found["synthetic"] is True
    assert found["images"] == 16
    assert found["parts"] == {}


def test_cells_of_ones_own_have_no_test_parts(tmp_path: Path) -> None:
    (tmp_path / "own" / "ALL" / "p1").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "own" / "ALL" / "p1" / "1.png")
    found = inspect(str(tmp_path / "own"), FAST, 0, tmp_path / "data")
    assert found["parts"] == {}
    assert found["folds"] == {}


def test_look_alikes_are_counted_over_subjects_and_over_folds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pairs = pd.DataFrame(
        [
            ("a", "1", "0", "b", "1", "0", 3),
            ("c", "1", "0", "d", "2", "0", 5),
            ("e", "1", "0", "f", "2", "1", 7),
        ],
        columns=["cell_a", "subject_a", "fold_a", "cell_b", "subject_b", "fold_b", "distance"],
    )
    pixels = SimpleNamespace(array=None, table=None)
    monkeypatch.setattr(dataset_info, "build_pixels", lambda *_: pixels)
    monkeypatch.setattr(dataset_info.near_duplicates, "near_duplicates", lambda *_: pairs)
    found = dataset_info.count_near_duplicates(None, tmp_path, FAST.size, FAST.crop)
    assert (found["pairs"], found["of_two_subjects"], found["in_two_folds"]) == (3, 2, 1)
    assert found["closest"][0] == {"cell_a": "a", "cell_b": "b", "distance": 3}
