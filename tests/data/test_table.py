"""From a folder of images to a table: whole and verified, or one sentence and nothing left."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukhelpers.data.folder import read_own
from leukhelpers.data.table import import_folder, parse_classes
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.splits.groups import grouped_folds

CLASSES = {"healthy": ["normal"], "ALL": ["blast", "L1"], "AML": []}
NAMES = (
    "normal/p1/1.png",
    "normal/p2/1.png",
    "blast/p3/1.png",
    "L1/p4/1.bmp",
    "AML/p5/1.png",
    "AML/p5/2.png",
)


def picture(file: Path, seed: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


def draw(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    for seed, name in enumerate(names):
        picture(folder / name, seed)
    return folder


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_folder_becomes_a_table_that_reads_back_the_same(tmp_path: Path) -> None:
    place = draw(tmp_path / "images")
    (place / "notes.txt").write_text("no pixels")
    (place / "blast/p3/empty.png").write_bytes(b"")
    told = import_folder(place, tmp_path / "table", CLASSES)
    assert told["images"] == 6
    assert told["classes"] == {"healthy": 2, "ALL": 2, "AML": 2}
    assert told["subjects"] == 5
    assert told["cautions"] == []
    assert told["synthetic"] is False
    assert {row["path"]: row["reason"] for row in told["set_aside"]} == {
        "notes.txt": ".txt is no picture format",
        "blast/p3/empty.png": "the file is empty",
    }
    assert left(tmp_path / "table") == ["cells.csv", "cells.toml"]
    found = load_dataset(tmp_path / "table", tmp_path / "data")
    assert found.classes == ("healthy", "ALL", "AML")
    by_path = dict(zip(found.table["path"], found.table["label"], strict=True))
    assert by_path["../images/L1/p4/1.bmp"] == 1
    assert by_path["../images/normal/p1/1.png"] == 0


def test_table_may_stand_in_the_folder_of_the_images(tmp_path: Path) -> None:
    place = draw(tmp_path / "images")
    import_folder(place, place, CLASSES)
    assert "blast/p3/1.png" in read_own(place).table["path"].tolist()


def test_table_is_found_through_links_to_both_folders(tmp_path: Path) -> None:
    draw(tmp_path / "far" / "away" / "images")
    (tmp_path / "images").symlink_to(tmp_path / "far" / "away" / "images")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "deep" / "er")
    told = import_folder(tmp_path / "images", tmp_path / "out", CLASSES)
    assert told["images"] == len(read_own(tmp_path / "out").table) == 6


def test_pattern_finds_the_subject_anywhere_in_the_path(tmp_path: Path) -> None:
    names = ("site 1/patient12/normal/x/y.png", "site 1/patient7/blast/a.png", "AML/patient9_1.png")
    place = draw(tmp_path / "images", names)
    told = import_folder(place, tmp_path / "table", CLASSES, r"patient(\d+)")
    assert told["subjects"] == 3
    assert sorted(read_own(tmp_path / "table").table["subject"]) == ["12", "7", "9"]


def test_every_image_may_be_a_subject_and_then_the_caution_stays_with_the_table(
    tmp_path: Path,
) -> None:
    place = draw(tmp_path / "images", ("normal/a.png", "blast/b.png", "AML/c.png"))
    told = import_folder(place, tmp_path / "table", CLASSES, each_image_its_own_subject=True)
    assert told["cautions"][0].startswith("Every image was treated as a separate subject")
    assert list(read_own(tmp_path / "table").cautions) == told["cautions"]
    assert told["subjects"] == 3


def test_csv_of_another_kind_becomes_a_table(tmp_path: Path) -> None:
    place = draw(tmp_path / "images")
    rows = [f"{name},{name.split('/')[0]},{name.split('/')[1]}" for name in NAMES]
    rows[0] = f"{place / NAMES[0]},0,p1"
    csv = place / "list.csv"
    csv.write_text("\n".join(["path,label,subject", *rows, "gone.png,blast,p9"]) + "\n")
    told = import_folder(csv, tmp_path / "table", {**CLASSES, "healthy": ["normal", "0"]})
    assert told["images"] == 6
    assert told["classes"]["healthy"] == 2
    assert told["set_aside"] == [{"path": "gone.png", "reason": "the file is missing"}]
    assert "../images/normal/p1/1.png" in read_own(tmp_path / "table").table["path"].tolist()


def test_drawn_cells_stay_synthetic(tmp_path: Path) -> None:
    place = draw(tmp_path / "twin" / "images")
    (tmp_path / "twin" / "twin.json").write_text("{}")
    assert import_folder(place, tmp_path / "table", CLASSES)["synthetic"] is True
    assert read_own(tmp_path / "table").synthetic


REFUSED = [
    (("other/p1/1.png",), {}, r"other/p1/1.png: it is in no folder named healthy, ALL"),
    (("loose.png",), {}, r"loose.png: it is in no folder"),
    (("blast/AML/1.png",), {}, "is in folders of two classes"),
    (("blast/1.png",), {}, r"blast/1.png: no subject; .*--each-image-its-own-subject"),
    (("blast/a/b/1.png",), {}, "the folders a/b do not show which one is the subject"),
    (
        ("blast/a/1.png",),
        {"subject_pattern": r"patient(\d+)"},
        "the subject pattern finds nothing in",
    ),
    (("blast/a/1.png",), {"subject_pattern": r"/1.png( *)"}, "finds nothing"),
    (("AML/p1/UID_7_1_1_all.png",), {}, "its name says ALL, its label AML"),
    (("blast/p3/9.png", "normal/p3/9.png"), {}, "of one class, and these have several.*: p3"),
    ((), {"subject_pattern": "patient"}, "'patient' is no regular expression with one group"),
    ((), {"subject_pattern": "(a)(b)"}, r"one group in brackets, as patient\(\\d\+\)"),
    ((), {"subject_pattern": "("}, r"'\(' is no regular expression"),
    ((), {"subject_pattern": "(a)", "each_image_its_own_subject": True}, "Give a subject pattern,"),
]


@pytest.mark.parametrize(("names", "asked", "message"), REFUSED)
def test_what_is_unclear_is_refused_and_leaves_nothing(
    tmp_path: Path, names: tuple[str, ...], asked: dict, message: str
) -> None:
    place = draw(tmp_path / "images")
    for seed, name in enumerate(names, start=20):
        picture(place / name, seed)
    with pytest.raises(InputError, match=message):
        import_folder(place, tmp_path / "table", CLASSES, **asked)
    assert left(tmp_path) == ["images"]


def test_refusal_leaves_a_folder_that_was_there_as_it_was(tmp_path: Path) -> None:
    place = draw(tmp_path / "images")
    picture(place / "AML/p5/same.png", 0)  # the pixels of a healthy cell
    before = left(place)
    with pytest.raises(InputError, match="the same image with two labels"):
        import_folder(place, place, CLASSES)
    assert left(place) == before


@pytest.mark.parametrize("name", ["cells.csv", "cells.toml"])
def test_nothing_is_overwritten(tmp_path: Path, name: str) -> None:
    place = draw(tmp_path / "images")
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / name).write_text("mine")
    with pytest.raises(InputError, match="is there already; name another folder"):
        import_folder(place, tmp_path / "table", CLASSES)
    assert left(tmp_path / "table") == [name]
    assert (tmp_path / "table" / name).read_text() == "mine"


def test_places_that_cannot_be_are_refused(tmp_path: Path) -> None:
    place = draw(tmp_path / "images")
    with pytest.raises(InputError, match="does not exist"):
        import_folder(tmp_path / "nowhere", tmp_path / "table", CLASSES)
    with pytest.raises(InputError, match=r"1\.png is there already"):
        import_folder(place, place / "AML" / "p5" / "1.png", CLASSES)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nor pictures in folders ALL/<subject>/"):
        import_folder(tmp_path / "empty", tmp_path / "table", CLASSES)


def test_label_of_two_classes_and_class_without_images_are_refused(tmp_path: Path) -> None:
    place = draw(tmp_path / "images")
    with pytest.raises(InputError, match="'blast' is of two classes, ALL and AML"):
        import_folder(place, tmp_path / "table", {**CLASSES, "AML": ["blast"]})
    with pytest.raises(InputError, match="No cell of class CML can be read"):
        import_folder(place, tmp_path / "table", {**CLASSES, "CML": []})
    with pytest.raises(InputError, match="two names or more"):
        import_folder(place, tmp_path / "table", {"ALL": ["blast"]})


def test_path_on_another_drive_is_written_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_way(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    place = draw(tmp_path / "images")
    monkeypatch.setattr(os.path, "relpath", no_way)
    import_folder(place, tmp_path / "table", CLASSES)
    assert all(Path(path).is_absolute() for path in read_own(tmp_path / "table").table["path"])


def test_classes_are_read_as_one_writes_them_on_a_command_line() -> None:
    asked = ["healthy = normal, 0,", "ALL=blast", "AML"]
    assert parse_classes(asked) == {"healthy": ["normal", "0"], "ALL": ["blast"], "AML": []}
    with pytest.raises(InputError, match="The class ALL is given twice"):
        parse_classes(["ALL=a", "ALL=b"])


def test_whoever_imports_decides_about_names_that_look_alike(tmp_path: Path) -> None:
    place = draw(tmp_path / "images", (*NAMES, "blast/P3/7.png"))
    with pytest.raises(InputError, match=r"'P3' and 'p3'.*--alike-subjects"):
        import_folder(place, tmp_path / "table", CLASSES)
    assert left(tmp_path / "table") == []
    for said, number in (("same", 5), ("different", 6)):
        told = import_folder(place, tmp_path / said, CLASSES, alike_subjects=said)
        assert told["subjects"] == number
        assert read_own(tmp_path / said).table["subject"].nunique() == number


def test_sentences_about_splits_name_the_classes_of_the_user(tmp_path: Path) -> None:
    place = draw(
        tmp_path / "images",
        tuple(f"benign/N{n}/1.png" for n in range(2))
        + tuple(f"malignant/P{n}/1.png" for n in range(6)),
    )
    import_folder(place, tmp_path / "table", {"benign": [], "malignant": []})
    cells = read_own(tmp_path / "table")
    with pytest.raises(InputError, match="at least 4 groups of benign; there are 2"):
        next(iter(grouped_folds(cells.table.loc[:], 4)))
