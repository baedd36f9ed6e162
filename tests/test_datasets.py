"""One door to every source, and one sentence where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukhelpers import datasets
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError

TWIN = {"n_images": 24, "n_subjects": 8}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which a small twin is drawn."""
    folder = tmp_path_factory.mktemp("data")
    load_dataset("twin", folder, **TWIN)
    return folder


def test_twin_is_drawn_once_and_said_to_be_synthetic(data: Path) -> None:
    files = {path: path.stat().st_mtime_ns for path in data.rglob("*.bmp")}
    found = load_dataset("twin", data, **TWIN)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*.bmp")} == files
    assert len(found.table) == len(files) == 24
    assert found.table["subject"].nunique() == 8
    assert (found.name, found.synthetic, found.note) == ("twin", True, "synthetic cells")
    assert found.set_aside.empty


@pytest.mark.slow
def test_another_seed_is_another_twin_beside_the_first(data: Path) -> None:
    one, other = (load_dataset("twin", data, **TWIN, seed=seed) for seed in (0, 1))
    assert one.root != other.root
    assert not set(one.table["sha256"]) & set(other.table["sha256"])


def test_twin_stays_synthetic_wherever_it_is_read_from(data: Path, tmp_path: Path) -> None:
    twin = load_dataset("twin", data, **TWIN)
    for place in (twin.root, twin.root.parent, str(twin.root)):
        found = load_dataset(place, tmp_path)
        assert found.synthetic
        assert found.table.equals(twin.table)


def test_real_tree_is_not_synthetic(small_cnmc: Path, tmp_path: Path) -> None:
    for place in (small_cnmc, small_cnmc.parent):
        found = load_dataset(place, tmp_path / "data")
        assert not found.synthetic
        assert found.note == ""
        assert len(found.table) == 6


@pytest.mark.parametrize("inside", ["cnmc", "leukemia", "datasets/owner/leukemia"])
def test_a_copy_is_found_where_kaggle_mounts_it(inside, small_cnmc, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "KAGGLE", tmp_path / "input")
    (tmp_path / "input" / "another").mkdir(parents=True)
    place = tmp_path / "input" / inside
    place.mkdir(parents=True)
    small_cnmc.rename(place / "C-NMC_Leukemia")
    found = load_dataset("cnmc", tmp_path / "data")
    assert (found.name, len(found.table)) == ("cnmc", 6)


def test_downloaded_copy_is_found_by_its_name(small_cnmc: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no copy of C-NMC in .*; fetch one"):
        load_dataset("cnmc", tmp_path / "data")
    (tmp_path / "data" / "cnmc").mkdir(parents=True)
    small_cnmc.rename(tmp_path / "data" / "cnmc" / "C-NMC_Leukemia")
    found = load_dataset("cnmc", tmp_path / "data")
    assert (found.name, found.synthetic, len(found.table)) == ("cnmc", False, 6)


def test_own_cells_are_read_from_folder_and_csv(tmp_path: Path) -> None:
    for number, place in enumerate(("ALL/p1", "HEM/p2")):
        (tmp_path / "own" / place).mkdir(parents=True)
        picture = Image.fromarray(np.full((9, 9, 3), number, np.uint8))
        picture.save(tmp_path / "own" / place / "1.png")
    by_folder = load_dataset(tmp_path / "own", tmp_path / "data")
    csv = tmp_path / "own" / "mine.csv"
    csv.write_text("path,label,subject\nALL/p1/1.png,ALL,p1\nHEM/p2/1.png,HEM,p2\n")
    by_csv = load_dataset(str(csv), tmp_path / "data")
    assert by_csv.table.equals(by_folder.table)
    assert (by_folder.name, by_csv.name) == ("own", "mine")
    with pytest.raises(InputError, match="has no part final"):
        load_dataset(csv, tmp_path / "data", parts=("final",))


def test_home_is_understood(small_cnmc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(small_cnmc.parent))
    assert len(load_dataset("~/C-NMC_Leukemia", small_cnmc.parent / "data").table) == 6


@pytest.mark.parametrize("way", ["subfolder", "class folders", "csv beside", "csv elsewhere"])
def test_drawn_cells_stay_synthetic_however_they_are_named(
    data: Path, tmp_path: Path, way: str
) -> None:
    root = next(data.glob("twin-*")) / "C-NMC_Leukemia" / "training_data"
    place = root / "fold_0"
    if way.startswith("csv"):
        cells = sorted(root.rglob("*.bmp"))
        rows = [f"{file},{file.stem[-3:].upper()},{file.stem.split('_')[1]}" for file in cells]
        place = (data if way == "csv beside" else tmp_path) / "mine.csv"
        place.write_text("\n".join(["path,label,subject", *rows]) + "\n", "utf-8")
    elif way == "class folders":
        place = root / "fold_1"
    found = load_dataset(place, tmp_path / "data")
    assert found.synthetic
    assert "synthetic cells" in found.note


@pytest.mark.parametrize(
    "place",
    ["", " ", "nowhere", "Twin", "~nobody-of-this-name/cells", "x" * 5000, "zero\0byte", "a\nb"],
)
def test_place_that_does_not_exist_is_one_sentence(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="neither twin nor cnmc, nor a place that exists"):
        load_dataset(place, tmp_path / "data")


def test_a_picture_is_no_data_set(small_cnmc: Path, tmp_path: Path) -> None:
    picture = next(small_cnmc.rglob("*.bmp"))
    with pytest.raises(InputError, match=r"no readable CSV|lacks the column"):
        load_dataset(picture, tmp_path)


def test_caches_lie_in_the_data_folder_only(small_cnmc: Path, tmp_path: Path) -> None:
    before = sorted(small_cnmc.rglob("*"))
    load_dataset(small_cnmc, tmp_path / "data")
    assert sorted(small_cnmc.rglob("*")) == before
    assert list((tmp_path / "data" / "cache").iterdir())
