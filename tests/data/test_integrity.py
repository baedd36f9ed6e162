"""A copy of C-NMC is whole, converted, laid out anew or damaged, and each is told from the others.

The small copies here have a published list of their own; the real list is compared with the
real files where those are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukhelpers.data import pictures, published
from leukhelpers.data.cnmc import FOLDERS, LABELS, read_labels
from leukhelpers.data.integrity import verify
from leukhelpers.data.pictures import read_image
from leukhelpers.data.schema import ALL, HEM, UNLABELED
from leukhelpers.errors import InputError
from leukhelpers.synthetic.twin import write_twin
from tools import published_list

TRAINING = FOLDERS["training"]
FIRST = f"{TRAINING}/fold_0/all/UID_1_1_1_all.bmp"
SECOND = f"{TRAINING}/fold_0/all/UID_1_1_2_all.bmp"
FILES = {  # published path, below C-NMC_Leukemia: which picture
    FIRST: 1,
    SECOND: 2,
    f"{TRAINING}/fold_0/hem/UID_H2_1_1_hem.bmp": 3,
    f"{TRAINING}/fold_1/all/UID_3_1_1_all.bmp": 1,  # the same picture under two subjects
    f"{TRAINING}/fold_1/hem/UID_h3_1_1_hem.bmp": 4,
    f"{TRAINING}/fold_2/all/UID_4_1_1_all.bmp": 5,
    f"{TRAINING}/fold_2/hem/UID_H5_1_1_hem.bmp": 6,
    f"{FOLDERS['preliminary']}/1.bmp": 7,
    f"{FOLDERS['preliminary']}/2.bmp": 8,
    f"{FOLDERS['final']}/1.bmp": 9,
    f"{FOLDERS['final']}/2.bmp": 10,
}
CSV = "Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_H60_2_1_hem.bmp,2.bmp,0\n"


def picture(number: int) -> np.ndarray:
    """Draw a small picture whose rows do not fill whole words."""
    return np.random.default_rng(number).integers(0, 255, (5, 6, 3), dtype=np.uint8)


def fold_of(path: str) -> str:
    return next((part for part in ("preliminary", "final") if FOLDERS[part] in path), path[19:20])


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a whole copy, and say that it is what was published."""
    root = tmp_path / "C-NMC_Leukemia"
    rows = []
    for path, number in FILES.items():
        content = published.published_bytes(picture(number), fold_of(path))
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
        rows.append((f"C-NMC_Leukemia/{path}", hashlib.sha256(content).hexdigest()))
    (root / LABELS).write_text(CSV)
    manifest = pd.DataFrame(rows, columns=["path", "sha256"])
    listed = tmp_path / "list.csv"
    listed.write_text(published_list.make_list(manifest, read_labels(root / LABELS)["name"]))
    monkeypatch.setattr(published, "REGISTRY", listed)
    return root


def to_png(root: Path) -> None:
    for file in sorted(root.rglob("*.bmp")):
        Image.open(file).save(file.with_suffix(".png"))
        file.unlink()


def states(found: dict[str, Any]) -> list[str]:
    """Return the states of the five parts, after checks that hold for every result."""
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for part in found["parts"].values():
        assert (part["state"] == "whole") == (part["found"] == part["expected"])
    return [part["state"] for part in found["parts"].values()]


# --- whole, converted ----------------------------------------------------------------------


def test_whole_copy_is_whole_in_all_its_parts(copy: Path) -> None:
    for place in (copy, copy.parent):
        found = verify(place)
        assert found["verdict"] == "A whole copy of C-NMC 2019 (published bytes)."
        assert (found["state"], found["kind"]) == ("whole", "published bytes")
        assert states(found) == ["whole"] * 5
        assert found["missing"] == found["changed"] == found["extra"] == []
    assert [part["found"] for part in found["parts"].values()] == [3, 2, 2, 2, 2]


def test_png_copy_is_whole_by_its_pixels(copy: Path) -> None:
    to_png(copy)
    found = verify(copy)
    assert found["verdict"] == "A whole copy of C-NMC 2019 (converted)."
    assert (found["state"], found["kind"]) == ("whole", "converted")
    assert found["parts"]["preliminary"]["kind"] == "converted"


def test_bmp_with_another_header_is_converted_not_changed(copy: Path) -> None:
    Image.open(copy / FIRST).save(copy / FIRST, dpi=(10, 10))
    found = verify(copy)
    assert found["state"] == "whole"
    kinds = [part["kind"] for part in found["parts"].values()]
    assert kinds == ["converted", *["published bytes"] * 4]


def test_one_fold_alone_is_told_whole(copy: Path) -> None:
    for part in ("training_data/fold_1", "training_data/fold_2", "testing_data"):
        shutil.rmtree(copy / part)
    shutil.rmtree(copy / FOLDERS["preliminary"])
    to_png(copy)
    found = verify(copy)
    assert states(found) == ["whole", *["absent"] * 4]
    assert found["state"] == "part"
    assert found["verdict"] == "A part of C-NMC 2019 (converted), which is whole: fold_0."
    assert [row["path"] for row in found["missing"]] == list(FILES)[3:]


def test_verdict_names_the_parts_that_are_here(copy: Path) -> None:
    for part in ("training_data/fold_1", "validation_data"):
        shutil.rmtree(copy / part)
    assert verify(copy)["verdict"].endswith(", which is whole: fold_0, fold_2, final.")


def test_moved_files_are_no_copy(copy: Path) -> None:
    for path in FILES:
        shutil.move(copy / path, copy / path.rpartition("/")[2])
    found = verify(copy)
    assert found["state"] == "unknown"
    assert "renamed or moved" in found["verdict"]


# --- damage ----------------------------------------------------------------------------------


def test_what_is_missing_changed_and_extra_is_named(copy: Path) -> None:
    missing = f"{TRAINING}/fold_1/hem/UID_h3_1_1_hem.bmp"
    (copy / missing).unlink()
    content = bytearray((copy / FIRST).read_bytes())
    content[60] ^= 1
    (copy / FIRST).write_bytes(content)
    extra = f"{TRAINING}/fold_2/all/UID_99_1_1_all.bmp"
    Image.fromarray(picture(99)).save(copy / extra)
    found = verify(copy)
    reason = "its pixels match no published image"
    assert found["missing"] == [{"path": missing, "reason": "missing"}]
    assert found["changed"] == [{"path": FIRST, "reason": reason}]
    assert found["extra"] == [{"path": extra, "reason": reason}]
    assert found["state"] == "damaged"
    assert states(found) == ["damaged", "damaged", "whole", "whole", "whole"]
    assert found["verdict"] == (
        "A damaged copy of C-NMC 2019 (changed: 1, missing: 1, pictures too many: 1)."
    )


def test_damage_of_a_part_does_not_hide_that_others_are_absent(copy: Path) -> None:
    shutil.rmtree(copy / "testing_data")
    (copy / FIRST).unlink()
    found = verify(copy)
    assert states(found) == ["damaged", *["whole"] * 3, "absent"]
    assert found["verdict"].endswith("(changed: 0, missing: 1, pictures too many: 0).")


def break_cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def break_huge(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(200_000_000)  # without taking room


def break_link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent / "nowhere.bmp")


def break_circle(file: Path) -> None:
    file.unlink()
    file.symlink_to(file)


def break_folder(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parents[1], target_is_directory=True)


def break_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (break_cut, "damaged"),
        (break_huge, "too large"),
        (break_link, "no file that can be opened"),
        (break_circle, "no file that can be opened"),
        (break_folder, "no file that can be opened"),
        (break_pipe, "no file that can be opened"),
        (lambda file: file.write_bytes(b""), "empty"),
        (lambda file: file.write_bytes(b"<html>"), "not a picture"),
    ],
)
def test_unreadable_file_is_changed_with_its_reason(
    copy: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(copy / FIRST)
    found = verify(copy)
    assert [row["path"] for row in found["changed"]] == [FIRST]
    assert reason in found["changed"][0]["reason"]
    assert found["missing"] == found["extra"] == []
    assert states(found)[0] == "damaged"


def test_file_that_may_not_be_read_is_changed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = pictures.read_content

    def closed(file: Path) -> bytes:
        if file == copy / FIRST:
            raise PermissionError(13, "Permission denied")
        return read(file)

    monkeypatch.setattr(pictures, "read_content", closed)
    assert verify(copy)["changed"] == [{"path": FIRST, "reason": "Permission denied"}]


def test_two_files_that_changed_places_are_both_named(copy: Path) -> None:
    first, second = (copy / path for path in (FIRST, SECOND))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    assert verify(copy)["changed"] == [
        {"path": FIRST, "reason": f"it holds {SECOND}"},
        {"path": SECOND, "reason": f"it holds {FIRST}"},
    ]


def test_a_file_that_went_astray_is_missing_and_extra(copy: Path) -> None:
    astray = f"{TRAINING}/fold_2/all/UID_1_1_2_all.bmp"
    shutil.move(copy / SECOND, copy / astray)
    found = verify(copy)
    assert found["kind"] == "published bytes"
    assert [row["path"] for row in found["missing"]] == [SECOND]
    assert found["extra"] == [{"path": astray, "reason": f"it holds {SECOND}"}]


def test_png_beside_its_bmp_is_extra_and_stands_in_for_a_broken_one(copy: Path) -> None:
    png = (copy / FIRST).with_suffix(".png")
    Image.open(copy / FIRST).save(png)
    found = verify(copy)
    assert found["extra"] == [
        {"path": png.relative_to(copy).as_posix(), "reason": f"it holds {FIRST}"}
    ]
    assert found["state"] == "damaged"
    (copy / FIRST).write_bytes(b"")
    found = verify(copy)
    assert found["extra"] == [{"path": FIRST, "reason": "the file is empty"}]
    assert found["missing"] == found["changed"] == []


def test_extra_files_that_are_no_pictures_are_named_and_do_no_harm(copy: Path) -> None:
    (copy / "Thumbs.db").write_bytes(b"\0")
    (copy / "more").symlink_to(copy.parent, target_is_directory=True)
    found = verify(copy)
    assert found["state"] == "whole"
    assert [row["path"] for row in found["extra"]] == ["Thumbs.db", "more"]


def test_a_link_to_a_good_file_is_good(copy: Path) -> None:
    shutil.move(copy / FIRST, copy.parent / "elsewhere.bmp")
    (copy / FIRST).symlink_to(copy.parent / "elsewhere.bmp")
    assert verify(copy)["state"] == "whole"


def test_name_that_is_not_utf8_can_be_printed(copy: Path) -> None:
    try:
        shutil.copy(copy / FIRST, copy / TRAINING / "B\udcffld.bmp")
    except OSError:
        pytest.skip("this file system knows no such name")
    extra = verify(copy)["extra"]
    assert extra == [
        {"path": f"{TRAINING}/B\\udcffld.bmp", "reason": "its name is not UTF-8; rename it"}
    ]


# --- the labels of the preliminary set -------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            CSV.replace("UID_57", "UID_58"),
            "1 row(s) are not the published ones; the first is 1.bmp",
        ),
        ("\n".join(CSV.splitlines()[:2]), "the first is 2.bmp"),
        (CSV + "UID_9_1_1_all.bmp,3.bmp,1\n", "the first is 3.bmp"),
        (CSV.replace("bmp,1\n", "bmp,0\n"), "its name differs"),
    ],
    ids=["another subject", "row gone", "row more", "label swapped"],
)
def test_wrong_table_of_labels_damages_the_copy(copy: Path, written: str, problem: str) -> None:
    (copy / LABELS).write_text(written)
    found = verify(copy)
    assert found["state"] == "damaged"
    (changed,) = found["changed"]
    assert changed["path"] == LABELS.as_posix()
    assert problem in changed["reason"]


def test_table_of_labels_may_be_written_otherwise(copy: Path) -> None:
    head, *rows = CSV.splitlines()
    (copy / LABELS).write_bytes("\r\n".join([head, *rows[::-1]]).encode())
    assert verify(copy)["state"] == "whole"


def test_missing_table_of_labels_is_damage_only_beside_its_pictures(copy: Path) -> None:
    (copy / LABELS).unlink()
    found = verify(copy)
    assert [row["path"] for row in found["changed"]] == [LABELS.as_posix()]
    assert "is missing" in found["changed"][0]["reason"]
    assert found["state"] == "damaged"
    shutil.rmtree(copy / FOLDERS["preliminary"])
    assert verify(copy)["state"] == "part"


# --- no copy at all ----------------------------------------------------------------------------


@pytest.mark.slow
def test_twin_is_told_to_be_drawn(tmp_path: Path) -> None:
    root = write_twin(tmp_path / "twin", n_images=16, n_subjects=8)
    found = verify(root)
    assert found["verdict"] == "These cells are synthetic, not C-NMC 2019."
    assert (found["state"], found["kind"]) == ("unknown", "unknown")
    assert len(found["changed"]) == 16
    (tmp_path / "twin" / "twin.json").unlink()
    assert verify(root)["verdict"].startswith("No copy of C-NMC 2019: no picture is")


def test_empty_folder_and_no_folder(tmp_path: Path) -> None:
    assert verify(tmp_path)["state"] == "unknown"
    with pytest.raises(InputError, match="is no folder"):
        verify(tmp_path / "nowhere")


def test_progress_goes_up_to_the_number_of_pictures(copy: Path) -> None:
    told: list[tuple[int, int]] = []
    verify(copy, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, len(FILES)) for number in range(1, len(FILES) + 1)]


# --- the list that the package carries -----------------------------------------------------


def test_list_has_the_published_counts() -> None:
    listed = published.read_published()
    assert listed["path"].is_unique
    counts = listed.groupby(["fold", "label"]).size().to_dict()
    assert counts == {
        ("0", ALL): 2397,
        ("0", HEM): 1130,
        ("1", ALL): 2418,
        ("1", HEM): 1163,
        ("2", ALL): 2457,
        ("2", HEM): 1096,
        ("preliminary", ALL): 1219,
        ("preliminary", HEM): 648,
        ("final", UNLABELED): 2586,
    }


def test_list_is_the_one_that_the_manifest_makes(shared_data: Path) -> None:
    manifest = pd.read_csv(shared_data / "cnmc" / "manifest.csv")
    names = read_labels(shared_data / "cnmc" / "C-NMC_Leukemia" / LABELS)["name"]
    assert published_list.make_list(manifest, names) == published.REGISTRY.read_text("utf-8")


def test_published_bytes_are_made_again_from_pixels(shared_data: Path) -> None:
    raw = shared_data / "cnmc_raw_sample" / "C-NMC_Leukemia"
    listed = published.read_published().set_index("path")
    files = sorted(raw.rglob("*.bmp"))
    for file in files:
        fold = listed.loc[file.relative_to(raw).as_posix(), "fold"]
        assert published.published_bytes(read_image(file), str(fold)) == file.read_bytes()
    assert len(files) == 106


def test_real_png_copies_have_the_published_checksums(shared_data: Path) -> None:
    root = shared_data / "cnmc" / "C-NMC_Leukemia"
    listed = published.read_published()
    some = listed[listed["fold"] == "0"].sample(60, random_state=0)
    for path, checksum in some[["path", "checksum"]].itertuples(index=False):
        made = published.published_bytes(read_image((root / path).with_suffix(".png")), "0")
        assert hashlib.sha256(made).hexdigest().startswith(checksum)


@pytest.mark.slow
def test_original_files_are_whole_though_most_are_missing(shared_data: Path) -> None:
    found = verify(shared_data / "cnmc_raw_sample")
    assert found["changed"] == found["extra"] == []
    assert len(found["missing"]) == 15114 - 106
    assert found["kind"] == "published bytes"
