"""A C-NMC tree becomes a table, and every file in it is a row or is set aside with a reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukhelpers.data.cnmc import FOLDERS, find_root, read_cnmc
from leukhelpers.data.schema import ALL, COLUMNS, HEM, UNLABELED
from leukhelpers.errors import InputError
from leukhelpers.splits.groups import group_ids

FOLD = "training_data/fold_0"
PRELIMINARY = Path(FOLDERS["preliminary"])
CSV = "validation_data/C-NMC_test_prelim_phase_data_labels.csv"
FINAL = Path(FOLDERS["final"])


def files_below(root: Path) -> set[str]:
    """List what a person sees in the folder, in another way than the reader does."""
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def reasons(root: Path, parts: tuple[str, ...] = ("training",)) -> dict[str, str]:
    """Read the tree, check that no file is lost, and return what was set aside."""
    found = read_cnmc(root, parts)
    aside = dict(found.set_aside.itertuples(index=False))
    assert not set(aside) & set(found.table["path"])
    folders = tuple(f"{FOLDERS[part]}/" for part in parts)
    seen = {path for path in files_below(root) if path.startswith(folders)}
    assert set(aside) | set(found.table["path"]) == seen
    assert all(aside.values())
    return aside


def test_every_drawn_cell_is_a_row(tiny_cnmc: Path) -> None:
    found = read_cnmc(tiny_cnmc)
    table = found.table
    assert tuple(table.columns) == COLUMNS
    assert set(table["path"]) == files_below(tiny_cnmc)
    assert found.set_aside.empty
    assert table["subject"].nunique() == 14
    assert table.groupby("label")["subject"].nunique().to_dict() == {ALL: 8, HEM: 6}
    assert table["sha256"].nunique() == len(table)
    assert not found.synthetic
    for row in table.itertuples():
        assert Path(row.path).stem == row.cell_id
        assert (row.label == ALL) == row.path.endswith("_all.bmp")
        assert f"/fold_{row.fold}/" in row.path


def test_table_does_not_depend_on_where_the_reader_starts(small_cnmc: Path) -> None:
    inside = read_cnmc(small_cnmc).table
    pd.testing.assert_frame_equal(read_cnmc(small_cnmc.parent).table, inside)
    assert find_root(small_cnmc.parent) == find_root(small_cnmc) == small_cnmc


def test_png_copies_give_the_same_cells(small_cnmc: Path) -> None:
    before = read_cnmc(small_cnmc).table
    for file in sorted(small_cnmc.rglob("*.bmp")):
        Image.open(file).save(file.with_suffix(".png"))
        file.unlink()
    after = read_cnmc(small_cnmc).table
    pd.testing.assert_frame_equal(after.drop(columns="path"), before.drop(columns="path"))


def test_bad_files_are_set_aside_with_their_reason(small_cnmc: Path) -> None:
    fold = small_cnmc / FOLD
    good = fold / "all" / "UID_1_1_1_all.bmp"
    whole = good.read_bytes()
    gray = Image.fromarray(np.zeros((9, 9), np.uint16))
    bad = {
        "all/UID_1_10_1_all.bmp": (b"", "empty"),
        "all/UID_1_11_1_all.bmp": (whole[:-1000], "damaged"),
        "all/UID_1_12_1_all.bmp": (b"no pixels", "not a picture"),
        "all/UID_1_13_1_all.txt": (b"note", ".txt is no picture format"),
        "all/UID_1_14_1_all": (whole, "without extension"),
        "all/UID_1_15_1_all copy.bmp": (whole, "is not named UID_"),
        "all/UID_H1_16_1_hem.bmp": (whole, "its name says HEM, its folder ALL"),
        "hem/UID_1_17_1_all.bmp": (whole, "its name says ALL, its folder HEM"),
        "all/UID_H1_18_1_all.bmp": (whole, "contradicts itself"),
        "all/Thumbs.db": (b"\xd0\xcf", ".db is no picture format"),
        "all/.DS_Store": (b"\0", "without extension"),
        "all/._UID_1_1_1_all.bmp": (whole, "is not named UID_"),
        "UID_1_19_1_all.bmp": (whole, "not inside training_data"),
        "all/deeper/UID_1_20_1_all.bmp": (whole, "not inside training_data"),
    }
    for name, (content, _) in bad.items():
        (fold / name).parent.mkdir(exist_ok=True)
        (fold / name).write_bytes(content)
    gray.save(fold / "all" / "UID_1_21_1_all.png")
    bad["all/UID_1_21_1_all.png"] = (b"", "not 8-bit")
    (fold / "all" / "UID_1_22_1_all.bmp").symlink_to(small_cnmc / "nowhere")
    bad["all/UID_1_22_1_all.bmp"] = (b"", "no file that can be opened")

    aside = reasons(small_cnmc)
    assert set(aside) == {f"{FOLD}/{name}" for name in bad}
    for name, (_, reason) in bad.items():
        assert reason in aside[f"{FOLD}/{name}"], name


def test_set_aside_is_in_the_order_of_the_paths(small_cnmc: Path) -> None:
    for name in ("z.txt", "a.txt", "m.txt"):
        (small_cnmc / FOLD / name).write_text("")
    assert read_cnmc(small_cnmc).set_aside["path"].is_monotonic_increasing


def test_folder_behind_a_link_is_never_silently_dropped(small_cnmc: Path, tmp_path: Path) -> None:
    shutil.move(small_cnmc / "training_data" / "fold_1", tmp_path / "other_disk")
    link = small_cnmc / "training_data" / "fold_1"
    link.symlink_to(tmp_path / "other_disk", target_is_directory=True)
    assert "links to folders are not followed" in reasons(small_cnmc)["training_data/fold_1"]


def test_name_that_is_not_utf8_is_set_aside_in_signs_that_can_be_printed(small_cnmc: Path) -> None:
    for folder in (FINAL, Path(FOLD, "all")):
        (small_cnmc / folder).mkdir(parents=True, exist_ok=True)
        try:
            Image.new("RGB", (9, 9)).save(small_cnmc / folder / "good.bmp")
            shutil.copy(small_cnmc / folder / "good.bmp", small_cnmc / folder / "B\udcffld.bmp")
        except OSError:
            pytest.skip("this file system knows no such name")
    found = read_cnmc(small_cnmc, ("training", "final"))
    aside = dict(found.set_aside.itertuples(index=False))
    assert aside[f"{FINAL.as_posix()}/B\\udcffld.bmp"] == "its name is not UTF-8; rename it"
    assert aside[f"{FOLD}/all/B\\udcffld.bmp"]
    found.set_aside.to_json().encode()


def test_the_same_cell_as_bmp_and_png_is_one_row(small_cnmc: Path) -> None:
    bmp = small_cnmc / FOLD / "all" / "UID_1_1_1_all.bmp"
    Image.open(bmp).save(bmp.with_suffix(".png"))
    assert reasons(small_cnmc) == {
        f"{FOLD}/all/UID_1_1_1_all.png": "a cell with this name was already read"
    }


def test_a_good_png_stands_in_for_a_broken_bmp_of_the_same_name(small_cnmc: Path) -> None:
    bmp = small_cnmc / FOLD / "all" / "UID_1_1_1_all.bmp"
    Image.open(bmp).save(bmp.with_suffix(".png"))
    bmp.write_bytes(b"")
    aside = reasons(small_cnmc)
    assert aside == {f"{FOLD}/all/UID_1_1_1_all.bmp": "the file is empty"}
    assert "UID_1_1_1_all" in set(read_cnmc(small_cnmc).table["cell_id"])


def test_the_same_name_in_two_folds_is_one_row(small_cnmc: Path) -> None:
    twin = small_cnmc / "training_data" / "fold_2" / "all" / "UID_1_1_1_all.bmp"
    twin.parent.mkdir(parents=True)
    shutil.copy(small_cnmc / FOLD / "all" / "UID_1_1_1_all.bmp", twin)
    assert list(reasons(small_cnmc)) == ["training_data/fold_2/all/UID_1_1_1_all.bmp"]


def test_lower_case_h3_is_folded(small_cnmc: Path) -> None:
    folder = small_cnmc / FOLD / "hem"
    folder.mkdir(parents=True)
    for number, sign in enumerate("hH", start=1):
        image = Image.new("RGB", (9, 9), (number, 9, 9))
        image.save(folder / f"UID_{sign}3_{number}_1_hem.bmp")
    table = read_cnmc(small_cnmc).table.set_index("cell_id")
    assert table.loc["UID_h3_1_1_hem", "subject"] == table.loc["UID_H3_2_1_hem", "subject"] == "H3"


def test_class_and_fold_folders_may_be_written_in_capitals(small_cnmc: Path) -> None:
    (small_cnmc / FOLD / "all").rename(small_cnmc / FOLD / "ALL")
    assert reasons(small_cnmc) == {}


def test_nothing_readable_is_one_sentence_with_an_example(small_cnmc: Path) -> None:
    for file in small_cnmc.rglob("*.bmp"):
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"6 set aside; the first is .*: the file is empty"):
        read_cnmc(small_cnmc)


def test_empty_tree_and_no_tree_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no copy of C-NMC"):
        read_cnmc(tmp_path)
    (tmp_path / "training_data").mkdir()
    with pytest.raises(InputError, match="holds no readable cell"):
        read_cnmc(tmp_path)


def test_unknown_part_is_refused(small_cnmc: Path) -> None:
    with pytest.raises(InputError, match="'test' is not known"):
        read_cnmc(small_cnmc, ("training", "test"))


# --- the preliminary test set and its CSV ------------------------------------------------

LABELS = "Patient_ID,new_names,labels\nUID_57_29_1_all.bmp,1.bmp,1\nUID_H60_2_1_hem.bmp,2.bmp,0\n"


@pytest.fixture
def preliminary(small_cnmc: Path, disc: Callable[..., np.ndarray]) -> Path:
    """Add two preliminary pictures with their CSV, and one of the final test."""
    (small_cnmc / PRELIMINARY).mkdir(parents=True)
    (small_cnmc / FINAL).mkdir(parents=True)
    for number in (1, 2):
        Image.fromarray(disc(100 + number)).save(small_cnmc / PRELIMINARY / f"{number}.bmp")
    Image.fromarray(disc(200, side=600)).save(small_cnmc / FINAL / "1.bmp")
    (small_cnmc / CSV).write_text(LABELS)
    return small_cnmc


def test_preliminary_pictures_get_subject_and_label_by_name(preliminary: Path) -> None:
    table = read_cnmc(preliminary, ("preliminary",)).table.set_index("cell_id")
    assert table["subject"].to_dict() == {"preliminary/1": "57", "preliminary/2": "H60"}
    assert table["label"].to_dict() == {"preliminary/1": ALL, "preliminary/2": HEM}
    assert set(table["fold"]) == {"preliminary"}


def test_join_does_not_depend_on_the_order_of_the_csv(preliminary: Path) -> None:
    before = read_cnmc(preliminary, ("preliminary",)).table
    head, *rows = LABELS.splitlines()
    (preliminary / CSV).write_text("\n".join([head, *rows[::-1]]))
    pd.testing.assert_frame_equal(read_cnmc(preliminary, ("preliminary",)).table, before)


@pytest.mark.parametrize(
    "written",
    [
        LABELS.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + LABELS.encode(),
        LABELS.replace(",", " , ").encode(),
        LABELS.replace("\n", "\n\n").encode(),
        LABELS.replace(".bmp", "").encode(),
        LABELS.replace("UID_H60", "uid_h60").encode(),
        "\n".join(line + ",note" for line in LABELS.splitlines()).encode(),
    ],
    ids=["windows", "bom", "spaces", "blank lines", "no extension", "lower case", "more columns"],
)
def test_csv_means_the_same_however_it_is_written(preliminary: Path, written: bytes) -> None:
    before = read_cnmc(preliminary, ("preliminary",)).table
    (preliminary / CSV).write_bytes(written)
    pd.testing.assert_frame_equal(read_cnmc(preliminary, ("preliminary",)).table, before)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"", "no readable CSV"),
        (b"\xff\xfe\0\1", "no readable CSV"),
        (b'Patient_ID,new_names,labels\n"UID', "no readable CSV"),
        (b"Patient_ID,new_names\nUID_57_29_1_all.bmp,1.bmp\n", r"lacks the column\(s\) labels"),
        (LABELS.replace("bmp,1\n", "bmp,\n").encode(), "line 2: .* the label ''"),
        (LABELS.replace("bmp,1\n", "bmp\n").encode(), "line 2: .* the label ''"),
        (LABELS.replace("bmp,1\n", "bmp,0\n").encode(), "line 2: .* its name differs"),
        (LABELS.replace("bmp,0\n", "bmp,0.0\n").encode(), "line 3: .* its name differs"),
        (LABELS.replace("bmp,0\n", "bmp,hem\n").encode(), "line 3: .* its name differs"),
        (LABELS.replace("UID_57_29_1_all.bmp", "57").encode(), "line 2: '57' is not named"),
        (LABELS.replace("UID_57_29_1_all.bmp", "").encode(), "line 2: '' is not named"),
        (LABELS.replace("UID_57", "UID_H57").encode(), "line 2: .* contradicts itself"),
        (LABELS.replace("2.bmp", "1.bmp").encode(), "line 3: .* is listed twice"),
        (LABELS.replace("2.bmp", "").encode(), "line 3: .* is empty"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(
    preliminary: Path, written: bytes, message: str
) -> None:
    (preliminary / CSV).write_bytes(written)
    with pytest.raises(InputError, match=message):
        read_cnmc(preliminary, ("preliminary",))


def test_missing_csv_is_refused_but_training_needs_none(preliminary: Path) -> None:
    (preliminary / CSV).unlink()
    with pytest.raises(InputError, match=r"labels.csv is missing"):
        read_cnmc(preliminary, ("preliminary",))
    assert len(read_cnmc(preliminary).table) == 6


def test_test_pictures_that_cannot_be_used_are_set_aside(preliminary: Path) -> None:
    for folder in (PRELIMINARY, FINAL):
        (preliminary / folder / "Thumbs.db").write_bytes(b"\0")
        (preliminary / folder / "7.bmp").write_bytes(b"")
        (preliminary / folder / "deeper").mkdir()
        shutil.copy(preliminary / folder / "1.bmp", preliminary / folder / "deeper" / "1.bmp")
    aside = reasons(preliminary, ("preliminary", "final"))
    assert "not named in" in aside[(PRELIMINARY / "7.bmp").as_posix()]
    assert aside[(FINAL / "7.bmp").as_posix()] == "the file is empty"
    assert len(aside) == 6


def test_final_pictures_have_neither_label_nor_subject(preliminary: Path) -> None:
    table = read_cnmc(preliminary, ("final",)).table
    assert table[["label", "subject", "fold"]].to_numpy().tolist() == [[UNLABELED, "", "final"]]


def test_test_parts_are_opened_only_when_asked_for(preliminary: Path) -> None:
    (preliminary / CSV).write_text("nonsense")
    assert set(read_cnmc(preliminary).table["fold"]) == {"0", "1", "2"}


# --- one picture, two labels --------------------------------------------------------------


def test_picture_with_two_labels_is_refused_by_name(small_cnmc: Path) -> None:
    leukemic = small_cnmc / FOLD / "all" / "UID_1_1_1_all.bmp"
    healthy = sorted(small_cnmc.rglob("*_hem.bmp"))[0]
    shutil.copy(leukemic, healthy)
    told = rf"the same image with two labels; .*{leukemic.name}, .*{healthy.name}"
    with pytest.raises(InputError, match=told):
        read_cnmc(small_cnmc)
    shutil.copy(sorted(small_cnmc.rglob("*_all.bmp"))[1], sorted(small_cnmc.rglob("*_hem.bmp"))[1])
    with pytest.raises(InputError, match=r"two labels; .*hem\.bmp, .*all\.bmp, .*hem\.bmp"):
        read_cnmc(small_cnmc)


def test_picture_with_two_labels_is_found_across_parts(preliminary: Path) -> None:
    shutil.copy(
        preliminary / FOLD / "all" / "UID_1_1_1_all.bmp", preliminary / PRELIMINARY / "2.bmp"
    )
    assert len(read_cnmc(preliminary).table) == 6
    with pytest.raises(InputError, match="two labels"):
        read_cnmc(preliminary, ("training", "preliminary"))


def test_equal_pictures_of_one_label_or_none_are_no_contradiction(preliminary: Path) -> None:
    first = preliminary / FOLD / "all" / "UID_1_1_1_all.bmp"
    shutil.copy(first, sorted(preliminary.rglob("UID_2_*_all.bmp"))[0])
    shutil.copy(first, preliminary / FINAL / "1.bmp")
    assert len(read_cnmc(preliminary, ("training", "final")).table) == 7


# --- real cells ----------------------------------------------------------------------------


def test_original_files_of_all_parts_are_read(shared_data: Path) -> None:
    found = read_cnmc(shared_data / "cnmc_raw_sample", ("training", "preliminary", "final"))
    part = found.table["fold"].replace(dict.fromkeys("012", "training"))
    assert part.value_counts().to_dict() == {"training": 81, "preliminary": 13, "final": 12}
    assert found.set_aside.empty
    named = found.table[part == "preliminary"].set_index("cell_id")
    published = pd.read_csv(found.root / CSV, index_col="new_names")
    for cell_id, row in named.iterrows():
        original = published.loc[f"{str(cell_id).removeprefix('preliminary/')}.bmp"]
        assert original["Patient_ID"].split("_")[1] == row["subject"]
        assert original["labels"] == row["label"]


def test_equal_bytes_and_equal_pixels_agree_on_original_files(shared_data: Path) -> None:
    found = read_cnmc(shared_data / "cnmc_raw_sample")
    manifest = pd.read_csv(shared_data / "cnmc" / "manifest.csv", index_col="path")["sha256"]
    by_bytes = found.table["path"].map(lambda path: manifest[f"C-NMC_Leukemia/{path}"])
    pairs = pd.DataFrame({"bytes": by_bytes, "pixels": found.table["sha256"]}).drop_duplicates()
    assert pairs["bytes"].is_unique
    assert pairs["pixels"].is_unique


@pytest.mark.slow
def test_fold_0_has_its_published_numbers(shared_data: Path) -> None:
    found = read_cnmc(shared_data / "cnmc")
    assert len(found.table) == 3527
    assert found.table["label"].value_counts().to_dict() == {ALL: 2397, HEM: 1130}
    assert found.table["subject"].nunique() == 28
    assert len(np.unique(group_ids(found.table))) == 28
    assert found.set_aside.empty
    counts = pd.read_csv(shared_data / "cnmc" / "subjects.csv", dtype={"subject": str})
    fold_0 = counts[counts["split"] == "fold_0"].set_index("subject")["images"]
    assert found.table["subject"].str.lower().value_counts().to_dict() == {
        str(subject).lower(): images for subject, images in fold_0.items()
    }
