"""Two folders hold the same cells as the data set that they came from, and lose no subject."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from leukhelpers.data.base import Dataset
from leukhelpers.data.cards import card_of
from leukhelpers.data.cnmc import read_cnmc
from leukhelpers.data.export_folders import restructure
from leukhelpers.data.schema import UNLABELED
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError


def read_back(out: Path) -> Dataset:
    return load_dataset(out, out.parent / "data")


def restructured(source: Dataset, out: Path) -> Dataset:
    restructure(source, out)
    return read_back(out)


def assert_same_cells(found: Dataset, source: Dataset) -> None:
    """Compare what must not change: which picture is whose, and of which class."""
    columns = ["sha256", "subject", "label"]
    name = [Path(path).name for path in source.table["path"]]
    before = source.table.assign(name=name).set_index("name")[columns].sort_index()
    name = [Path(path).name for path in found.table["path"]]
    after = found.table.assign(name=name).set_index("name")[columns].sort_index()
    pd.testing.assert_frame_equal(after, before)
    assert found.classes == source.classes


def own(folder: Path, classes: tuple[str, ...], toml: str = "") -> Dataset:
    """Write cells of one's own, two subjects of two cells a class, and read them."""
    lines = ["path,label,subject"]
    for c, label in enumerate(classes):
        for n in range(4):
            path = f"{label} {n}.png"
            folder.mkdir(exist_ok=True)
            Image.new("RGB", (9, 9), (c, n, 1)).save(folder / path)
            lines.append(f"{path},{label},{'' if toml else f'{label}-{n // 2}'}")
    listed = ", ".join(f'"{label}"' for label in classes)
    (folder / "cells.toml").write_text(f"classes = [{listed}]\n{toml}\n")
    (folder / "cells.csv").write_text("\n".join(lines) + "\n")
    return load_dataset(folder, folder.parent / "data")


def test_cells_are_the_same_in_two_folders(tiny_cnmc: Path, tmp_path: Path) -> None:
    source = read_cnmc(tiny_cnmc)
    told = restructure(source, tmp_path / "out")
    found = read_back(tmp_path / "out")
    assert_same_cells(found, source)
    assert found.table["path"].str.match(r"(ALL|HEM)/UID_[^/]*\.bmp").all()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("ALL", "HEM", "card.toml", "cells.csv", "cells.toml")
    ]
    counts = source.table["label"].value_counts()
    assert told == {
        "out": str(tmp_path / "out"),
        "images": len(source.table),
        "classes": {"HEM": counts[0], "ALL": counts[1]},
        "subjects": 14,
        "not_carried": 0,
    }
    json.dumps(told)


def test_card_goes_with_the_cells(small_cnmc: Path, tmp_path: Path) -> None:
    source = read_cnmc(small_cnmc)
    restructure(source, tmp_path / "out")
    assert card_of(read_back(tmp_path / "out")) == card_of(source)


def test_drawn_cells_stay_drawn_however_often_they_are_restructured(
    small_cnmc: Path, tmp_path: Path
) -> None:
    assert not restructured(read_cnmc(small_cnmc), tmp_path / "real").synthetic
    (small_cnmc.parent / "twin.json").write_text("{}")
    once = restructured(replace(read_cnmc(small_cnmc), synthetic=True), tmp_path / "once")
    assert once.synthetic
    assert restructured(once, tmp_path / "twice").synthetic


@pytest.mark.parametrize("refused", [False, True])
def test_pictures_are_hard_links_or_else_copies(
    small_cnmc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if refused:
        monkeypatch.setattr(os, "link", refuse)
    source = read_cnmc(small_cnmc)
    restructure(source, tmp_path / "out")
    file = small_cnmc / source.table["path"][0]
    assert (tmp_path / "out" / "ALL" / file.name).samefile(file) != refused
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert_same_cells(read_back(tmp_path / "moved"), source)


def test_linked_pictures_are_linked_at_their_source(small_cnmc: Path, tmp_path: Path) -> None:
    file = sorted(small_cnmc.rglob("*.bmp"))[0]
    shutil.move(file, tmp_path / "elsewhere.bmp")
    file.symlink_to(tmp_path / "elsewhere.bmp")
    restructure(read_cnmc(small_cnmc), tmp_path / "out")
    assert (tmp_path / "out" / "ALL" / file.name).samefile(tmp_path / "elsewhere.bmp")
    assert not (tmp_path / "out" / "ALL" / file.name).is_symlink()


def test_unreadable_files_are_not_carried_and_counted(small_cnmc: Path, tmp_path: Path) -> None:
    sorted(small_cnmc.rglob("*.bmp"))[0].write_bytes(b"")
    (small_cnmc / "training_data" / "Thumbs.db").write_bytes(b"\0")
    told = restructure(read_cnmc(small_cnmc), tmp_path / "out")
    assert told["not_carried"] == 2
    assert len(list((tmp_path / "out").rglob("*.bmp"))) == told["images"] == 5


def test_more_classes_get_a_folder_each(tmp_path: Path) -> None:
    source = own(tmp_path / "own", ("normal", "AML", "CLL"))
    told = restructure(source, tmp_path / "out")
    assert told["classes"] == {"normal": 4, "AML": 4, "CLL": 4}
    assert_same_cells(read_back(tmp_path / "out"), source)


def test_caution_about_subjects_is_not_lost(tmp_path: Path) -> None:
    source = own(tmp_path / "own", ("HEM", "ALL"), "each_image_its_own_subject = true")
    assert source.cautions
    restructure(source, tmp_path / "out")
    found = read_back(tmp_path / "out")
    assert found.cautions == source.cautions
    assert found.table["subject"].nunique() == len(found.table) == 8


def test_place_in_use_is_refused_and_stays_as_it_is(small_cnmc: Path, tmp_path: Path) -> None:
    source = read_cnmc(small_cnmc)
    used = tmp_path / "used"
    used.mkdir()
    (used / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        restructure(source, used)
    with pytest.raises(InputError, match="is no folder"):
        restructure(source, used / "note.txt")
    with pytest.raises(InputError, match="could not be created"):
        restructure(source, used / "note.txt" / "deeper")
    with pytest.raises(InputError, match="lies inside the data set"):
        restructure(source, small_cnmc / "new")
    assert (used / "note.txt").read_text() == "mine"
    assert not (tmp_path / "out").exists()


def test_empty_folder_is_taken(small_cnmc: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    restructure(read_cnmc(small_cnmc), tmp_path / "out")
    assert len(read_back(tmp_path / "out").table) == 6


def test_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for subject, suffix in (("p1", "png"), ("P2", "bmp")):
        folder = tmp_path / "own" / "ALL" / subject
        folder.mkdir(parents=True)
        Image.new("RGB", (9, 9), (len(suffix), ord(subject[1]), 0)).save(folder / f"1.{suffix}")
    with pytest.raises(
        InputError, match=r"ALL/P2/1\.bmp and ALL/p1/1\.png would have the same name"
    ):
        restructure(load_dataset(tmp_path / "own", tmp_path / "data"), tmp_path / "out")


def test_unlabeled_cells_and_odd_class_names_are_refused(small_cnmc: Path, tmp_path: Path) -> None:
    source = read_cnmc(small_cnmc)
    final = replace(source, table=source.table.assign(label=UNLABELED))
    with pytest.raises(InputError, match="without a label"):
        restructure(final, tmp_path / "out")
    for name in ("AML/M3", "..", "C:"):
        with pytest.raises(InputError, match="cannot name a folder"):
            restructure(replace(source, classes=("HEM", name)), tmp_path / "out")


def test_failure_leaves_nothing_behind(small_cnmc: Path, tmp_path: Path) -> None:
    source = read_cnmc(small_cnmc)
    (small_cnmc / source.table["path"][5]).unlink()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="could not be created"):
        restructure(source, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_progress_goes_up_to_the_number_of_cells(small_cnmc: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    restructure(
        read_cnmc(small_cnmc),
        tmp_path / "out",
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(number, 6) for number in range(1, 7)]


@pytest.mark.parametrize("other", ["cell.png", "cell.bmp", "CELL.png", "Cell.bmp"])
def test_names_that_some_file_system_takes_for_one_are_refused(
    small_cnmc: Path, tmp_path: Path, other: str
) -> None:
    source = read_cnmc(small_cnmc)
    two = (
        source.table[source.table["label"] == 1].iloc[:2].assign(path=["a/cell.png", f"b/{other}"])
    )
    with pytest.raises(InputError, match="would have the same name"):
        restructure(replace(source, table=two), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_subjects_that_look_alike_stay_as_they_were_decided(tmp_path: Path) -> None:
    folder = tmp_path / "alike"
    for n, (label, subject) in enumerate(
        (("HEM", "P3"), ("HEM", "p3"), ("ALL", "4"), ("ALL", "5"))
    ):
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (9, 9), (n, 1, 1)).save(folder / f"{n}.png")
        with (folder / "cells.csv").open("a") as file:
            file.write(
                f"{n}.png,{label},{subject}\n" if n else f"path,label,subject\n0.png,{label},P3\n"
            )
    for said, subjects in (("same", 3), ("different", 4)):
        (folder / "cells.toml").write_text(f'alike_subjects = "{said}"\n')
        found = restructured(load_dataset(folder, tmp_path / "data"), tmp_path / said)
        assert found.table["subject"].nunique() == subjects


def test_a_person_named_like_an_image_keeps_all_images(tmp_path: Path) -> None:
    rows = ["path,label,subject", "lonely.png,HEM,"]
    for number in range(8):
        for name in (f"N{number}", f"N{number}_1"):
            rows.append(f"{name}.png,{'HEM' if number < 4 else 'ALL'},N{number}")
    (tmp_path / "own").mkdir()
    for number, row in enumerate(rows[1:]):
        Image.new("RGB", (9, 9), (number, 9, 9)).save(tmp_path / "own" / row.split(",")[0])
    (tmp_path / "own" / "cells.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "own" / "cells.toml").write_text("each_image_its_own_subject = true\n")
    found = restructured(load_dataset(tmp_path / "own", tmp_path / "data"), tmp_path / "out")
    assert found.table["subject"].nunique() == 9
    assert (found.table["subject"].value_counts() == 2).sum() == 8
