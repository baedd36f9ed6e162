"""Cells of one's own: what is clear is read, what is not is refused with its line."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leukhelpers.data.base import Dataset
from leukhelpers.data.cards import card_file
from leukhelpers.data.folder import read_own
from leukhelpers.data.schema import ALL, COLUMNS, HEM
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.splits.groups import group_ids


def picture(file: Path, seed: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Four pictures of four subjects, ``a.png`` to ``d.png``."""
    for seed, name in enumerate("abcd"):
        picture(tmp_path / "own" / f"{name}.png", seed)
    return tmp_path / "own"


HEAD = "path,label,subject\n"
ROWS = "a.png,ALL,s1\nb.png,ALL,s2\nc.png,HEM,s3\nd.png,HEM,s4\n"


def read(own: Path, text: str | bytes) -> Dataset:
    content = text.encode() if isinstance(text, str) else text
    (own / "cells.csv").write_bytes(content)
    return read_own(own / "cells.csv")


def test_csv_becomes_a_table(own: Path) -> None:
    found = read(own, HEAD + ROWS)
    assert tuple(found.table.columns) == COLUMNS
    assert found.table["cell_id"].tolist() == ["a", "b", "c", "d"]
    assert found.table["label"].tolist() == [ALL, ALL, HEM, HEM]
    assert found.table["subject"].tolist() == ["s1", "s2", "s3", "s4"]
    assert set(found.table["fold"]) == {""}
    assert found.set_aside.empty
    assert found.name == "cells"
    assert not found.synthetic


def test_folder_with_cells_csv_is_read_by_it(own: Path) -> None:
    inside = read(own, HEAD + ROWS)
    by_folder = read_own(own)
    assert by_folder.table.equals(inside.table)
    assert by_folder.name == "own"


@pytest.mark.parametrize(
    "text",
    [
        (HEAD + ROWS).replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + (HEAD + ROWS).encode(),
        (HEAD + ROWS).replace(",", " , ").encode(),
        (HEAD + ROWS).replace("\n", "\n\n").encode(),
        (HEAD + ROWS).replace("ALL", "all").encode(),
        ("subject,note,label,path\n" + "s1,x,ALL,a.png\ns2,,ALL,b.png\n").encode()
        + b"s3,,HEM,c.png\ns4,,HEM,d.png",
        (HEAD + ROWS.replace("\n", ",\n")).encode(),
    ],
    ids=["windows", "bom", "spaces", "blank lines", "lower case", "other columns", "last comma"],
)
def test_csv_means_the_same_however_it_is_written(own: Path, text: bytes) -> None:
    expected = read(own, HEAD + ROWS).table
    assert read(own, text).table.equals(expected)


def test_values_that_look_like_nothing_or_numbers_stay_text(own: Path) -> None:
    picture(own / "NA.png", 9)
    found = read(own, HEAD + "a.png,ALL,007\nb.png,ALL,Nana\nNA.png,HEM,1e3\n")
    assert found.table["subject"].tolist() == ["007", "Nana", "1e3"]
    assert found.table["cell_id"].tolist() == ["a", "b", "NA"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no readable CSV"),
        (b"\xff\xfep\0a\0", "no readable CSV"),
        (b"BM\x9a\xff\0\0\0\0", "no readable CSV"),
        (HEAD + '"a.png,ALL', "no readable CSV"),
        (HEAD, "no readable cell"),
        (ROWS, r"lacks the column\(s\) path, label"),
        (HEAD.replace("subject", "patient") + ROWS, "line 2: no subject; .* no two images are of"),
        (HEAD.replace("subject", "path ") + ROWS, "has two columns path"),
        (HEAD + "a.png,1,s1\n", "line 2: label '1' is not known"),
        (HEAD + "a.png,ALL,s1\nb.png,0,s2\n", "line 3: label '0' is not known"),
        (HEAD + "\n\na.png,leukemic,s1\n", "line 4: label 'leukemic'"),
        (HEAD + "a.png,,s1\n", "line 2: the label is missing"),
        (HEAD + "a.png,ALL,s1\nb.png,ALL, \n", "line 3: no subject"),
        (HEAD + "a.png,ALL\n", "line 2: no subject"),
        (HEAD + "a.png,ALL,s1\nb.png,ALL,NA\n", "line 3: the subject 'NA' stands for none"),
        (HEAD.replace("label", "label,Subject") + "a.png,ALL,x1,s1\n", "two columns subject"),
        (HEAD + 'a.png,ALL,"s1\nb.png,HEM,s2"\nc.png,ALL,s3\n', "a quotation mark left open"),
        (HEAD + "a.png,ALL,s1\nb.png,ALL,s1\na.png,ALL,s1\n", "line 4: .* is listed twice"),
        (HEAD + "a.png,ALL,s1\n./a.png,ALL,s1\n", "line 3: .* is listed twice"),
        (HEAD + "a.png,ALL,s1\n../own/a.png,ALL,s1\n", "line 3: .* is listed twice"),
        (HEAD + "a.png,ALL,s1\nb.png,HEM,s1\n", "of one class, and these have several.*: s1"),
        (HEAD + "a.png,ALL,s1+s2\n", r"must not contain a \+"),
        (HEAD + "a.png,ALL,s1\nb.png,ALL,s2,HEM,s3\n", "no readable CSV|line 3"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(own: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(own, text)


def test_absolute_paths_and_paths_above_are_followed(own: Path) -> None:
    picture(own.parent / "elsewhere" / "e.png", 7)
    found = read(own, HEAD + f"{own / 'a.png'},ALL,s1\n../elsewhere/e.png,HEM,s2\n")
    assert found.set_aside.empty
    assert found.table["cell_id"].tolist() == [str(own / "a"), "../elsewhere/e"]
    assert found.table["sha256"].nunique() == 2


def test_the_same_file_written_absolutely_is_found_out(own: Path) -> None:
    with pytest.raises(InputError, match=r"line 3: .* is listed twice"):
        read(own, HEAD + f"a.png,ALL,s1\n{own / 'a.png'},ALL,s2\n")


def test_relative_paths_start_at_the_csv_not_at_the_current_folder(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read(own, HEAD + ROWS).table
    monkeypatch.chdir(own.parent)
    assert read_own(Path("own/cells.csv")).table.equals(expected)
    monkeypatch.chdir(own)
    assert read_own(Path("cells.csv")).table.equals(expected)


def test_missing_and_bad_files_are_set_aside(own: Path) -> None:
    (own / "empty.png").write_bytes(b"")
    (own / "text.bmp").write_text("no pixels")
    (own / "folder.png").mkdir()
    (own / "lost.png").symlink_to(own / "nowhere.png")
    os.mkfifo(own / "pipe.png")  # reading it would wait for ever
    (own / "notes.txt").write_text("no pixels")
    names = ["gone.png", "empty.png", "text.bmp", "folder.png", "lost.png", "pipe.png"]
    names += ["n" * 300 + ".png", "zero\0byte.png", "notes.txt", ""]
    listed = "".join(f"{name},HEM,s9\n" for name in names)
    found = read(own, HEAD + listed + ROWS)
    assert found.table["cell_id"].tolist() == ["a", "b", "c", "d"]
    aside = dict(found.set_aside.itertuples(index=False))
    assert len(aside) == len(names)
    assert aside["gone.png"] == "the file is missing"
    assert aside["empty.png"] == "the file is empty"
    assert "not a picture" in aside["text.bmp"]
    assert all(aside.values())


def test_nothing_readable_is_one_sentence(own: Path) -> None:
    with pytest.raises(InputError, match=r"1 set aside; the first is gone.png: the file is miss"):
        read(own, HEAD + "gone.png,ALL,s1\n")


def test_the_same_name_as_bmp_and_png_is_one_row(own: Path) -> None:
    picture(own / "a.bmp", 8)
    found = read(own, HEAD + ROWS + "a.bmp,ALL,s1\n")
    assert found.table["path"].tolist() == ["a.png", "b.png", "c.png", "d.png"]
    assert found.set_aside["path"].tolist() == ["a.bmp"]


def test_the_same_picture_under_two_subjects_joins_them(own: Path) -> None:
    picture(own / "b.png", 0)  # the pixels of a.png
    found = read(own, HEAD + ROWS)
    assert group_ids(found.table).tolist() == ["s1+s2", "s1+s2", "s3", "s4"]


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    for seed, name in enumerate(("ALL/p1/1.png", "ALL/p1/2.bmp", "HEM/p2/1.jpg", "hem/p3/1.tif")):
        picture(tmp_path / "classes" / name, seed)
    return tmp_path / "classes"


def test_class_folders_become_a_table(classes: Path) -> None:
    found = read_own(classes)
    assert found.set_aside.empty
    assert found.table["subject"].tolist() == ["p1", "p1", "p2", "p3"]
    assert found.table["label"].tolist() == [ALL, ALL, HEM, HEM]
    assert found.table["cell_id"].tolist() == ["ALL/p1/1", "ALL/p1/2", "HEM/p2/1", "hem/p3/1"]


def test_every_other_file_in_class_folders_is_set_aside(classes: Path) -> None:
    bad = {
        "loose.png": "in no folder named HEM, ALL",
        "ALL/loose.png": "no subject",
        "ALL/p1/deeper/1.png": "p1/deeper do not show which one is the subject",
        "other/p1/1.png": "in no folder named HEM, ALL",
        "0/p1/1.png": "in no folder named HEM, ALL",
    }
    for name in bad:
        picture(classes / name, 5)
    (classes / "ALL/p1/1.bmp").write_bytes((classes / "ALL/p1/2.bmp").read_bytes())
    for name in ("Thumbs.db", "ALL/.DS_Store", "ALL/p1/notes.txt", "ALL/p1/3.png"):
        (classes / name).write_bytes(b"")
    (classes / "ALL/p9").symlink_to(classes / "HEM/p2", target_is_directory=True)
    bad |= {
        "ALL/p1/1.png": "already read",
        "Thumbs.db": ".db is no picture format",
        "ALL/.DS_Store": "no picture format",
        "ALL/p1/notes.txt": ".txt is no picture format",
        "ALL/p1/3.png": "empty",
        "ALL/p9": "links to folders are not followed",
    }
    found = read_own(classes)
    aside = dict(found.set_aside.itertuples(index=False))
    assert set(aside) == set(bad)
    for name, reason in bad.items():
        assert reason in aside[name], name
    assert len(found.table) == 4


def test_subject_in_both_class_folders_is_refused(classes: Path) -> None:
    picture(classes / "HEM/p1/9.png", 9)
    with pytest.raises(InputError, match=r"of one class, and these have several.*: p1"):
        read_own(classes)


def test_folder_that_is_nothing_of_all_this_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"neither a cells\.csv"):
        read_own(tmp_path)
    picture(tmp_path / "ALL" / "1.png")  # the paper's two folders: who is the patient?
    with pytest.raises(
        InputError, match=r"ALL/<subject>/.*only if no two images are of one person"
    ):
        read_own(tmp_path)


# ---------------------------------------------------------------- what cells.toml says


FOUR = """
classes = ["healthy", "ALL", "AML"]
[labels]
0 = "healthy"
"1" = "ALL"
blast = "ALL"
"""
FOUR_ROWS = "a.png,0,s1\nb.png,1,s2\nc.png,blast,s3\nd.png,AML,s4\n"


def mapped(own: Path, toml: str, text: str) -> Dataset:
    (own / "cells.toml").write_text(toml, "utf-8")
    return read(own, text)


def test_labels_mean_what_the_file_beside_them_says(own: Path) -> None:
    found = mapped(own, FOUR, HEAD + FOUR_ROWS)
    assert found.classes == ("healthy", "ALL", "AML")
    assert found.table["label"].tolist() == [0, 1, 1, 2]
    assert found.table["subject"].tolist() == ["s1", "s2", "s3", "s4"]
    assert found.cautions == ()


def test_order_of_classes_gives_the_numbers_and_the_alphabet_does_not(own: Path) -> None:
    toml = 'classes = ["z", "m", "a"]'
    found = mapped(own, toml, HEAD + "a.png,a,s1\nb.png,m,s2\nc.png,z,s3\n")
    assert found.table["label"].tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a.png,Healthy,s1\n",
            "line 2: label 'Healthy' is not known .* below .labels. \"Healthy\" =",
        ),
        ("a.png,0,s1\nb.png,2,s2\n", "line 3: label '2' is not known"),
        ("a.png,0,s1\nb.png,1,s2\n", "No cell of class AML can be read"),
        ("a.png,0,s1\nb.png,1,s1\nc.png,AML,s2\n", "of one class, and these have several.*: s1"),
    ],
)
def test_label_without_meaning_and_class_without_cells_are_refused(
    own: Path, rows: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        mapped(own, FOUR, HEAD + rows)


def test_unknown_label_without_the_file_says_how_to_write_it(own: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"cells\.toml: classes = \[\"HEM\", \"ALL\"\] and below \[labels\] \"blast\" = ",
    ):
        read(own, HEAD + "a.png,blast,s1\n")


def test_names_by_the_rule_of_cnmc_must_agree_with_mapped_labels(own: Path) -> None:
    picture(own / "UID_7_1_1_all.png", 7)
    picture(own / "UID_H7_1_1_hem.png", 8)
    toml = 'classes = ["healthy", "ALL"]\n[labels]\nn = "healthy"\n'
    good = "a.png,n,s1\nUID_7_1_1_all.png,ALL,s2\nUID_H7_1_1_hem.png,n,s3\n"
    assert mapped(own, toml, HEAD + good).table["label"].tolist() == [0, 1, 0]
    for row in ("UID_7_1_1_all.png,n,s2\n", "UID_H7_1_1_hem.png,ALL,s2\n"):
        with pytest.raises(InputError, match="line 2: its name says"):
            mapped(own, toml, HEAD + row)


def test_one_picture_of_two_classes_is_refused_with_both_files(own: Path) -> None:
    picture(own / "d.png", 0)  # the pixels of a.png
    with pytest.raises(InputError, match=r"the same image with two labels; .*: a\.png, d\.png"):
        read(own, HEAD + ROWS)


ALONE = "each_image_its_own_subject = true\n"


def test_images_become_subjects_only_at_the_users_word_and_with_a_caution(own: Path) -> None:
    text = "path,label\na.png,ALL\nb.png,ALL\nc.png,HEM\nd.png,HEM\n"
    with pytest.raises(InputError, match=r"no subject; .*each_image_its_own_subject = true"):
        read(own, text)
    found = mapped(own, ALONE, text)
    assert found.table["subject"].tolist() == ["a", "b", "c", "d"]
    (caution,) = found.cautions
    assert caution.startswith("Every image was treated as a separate subject, as the user stated")
    assert caution.endswith("every score here is too good.")
    assert found.note == "each image its own subject"


def test_subjects_that_are_given_are_kept_and_the_others_counted(own: Path) -> None:
    picture(own / "a+b.png", 11)
    found = mapped(own, ALONE, HEAD + ROWS.replace("s2", "") + "a+b.png,ALL,\n")
    assert found.table["subject"].tolist() == ["s1", "b", "s3", "s4", "a%2Bb"]
    assert found.cautions[0].startswith("2 of 5 images were each treated as a separate subject")
    assert group_ids(found.table).tolist() == found.table["subject"].tolist()


def test_no_caution_where_every_subject_is_given(own: Path) -> None:
    assert mapped(own, ALONE, HEAD + ROWS).cautions == ()


def test_class_folders_without_subjects_are_read_at_the_users_word(classes: Path) -> None:
    picture(classes / "ALL/loose.png", 5)
    assert read_own(classes).set_aside["path"].tolist() == ["ALL/loose.png"]
    (classes / "cells.toml").write_text(ALONE)
    found = read_own(classes)
    assert found.set_aside.empty
    assert "ALL/loose" in found.table["subject"].tolist()
    assert found.cautions[0].startswith("1 of 5 images")


def test_names_of_cnmc_give_the_subject_in_the_papers_two_folders(tmp_path: Path) -> None:
    for seed, name in enumerate(("ALL/UID_7_1_1_all.png", "HEM/UID_h3_1_1_hem.png")):
        picture(tmp_path / name, seed)
    picture(tmp_path / "HEM/UID_7_1_2_all.png", 2)
    found = read_own(tmp_path)
    assert found.table["subject"].tolist() == ["7", "H3"]
    assert found.cautions == ()
    assert dict(found.set_aside.itertuples(index=False)) == {
        "HEM/UID_7_1_2_all.png": "its name says ALL, its label HEM; correct one."
    }


def test_folder_without_meaning_is_refused_where_meanings_are_given(classes: Path) -> None:
    (classes / "cells.toml").write_text('classes = ["HEM", "ALL"]\n[labels]\nhem = "HEM"\n')
    assert read_own(classes).table["label"].tolist() == [ALL, ALL, HEM, HEM]
    picture(classes / "other/p9/1.png", 9)
    with pytest.raises(InputError, match=r"other/p9/1\.png: it is in no folder named HEM"):
        read_own(classes)
    with pytest.raises(InputError, match="no copy of C-NMC"):
        read_own(classes / "other")


def test_note_says_what_hem_and_all_stand_for(own: Path) -> None:
    two = 'classes = ["healthy", "AML"]\n'
    found = mapped(own, two + ALONE, "path,label\na.png,healthy\nb.png,AML\n")
    assert found.note == "HEM stands for healthy, ALL for AML; each image its own subject"
    (own / "twin.json").write_text("{}")
    found = mapped(own, 'classes = ["normal", "ALL"]', HEAD + "a.png,normal,s\nb.png,ALL,t\n")
    assert found.note == "synthetic cells; HEM stands for normal"


# ------------------------------------------------------------------ unusual shapes


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "head", ["path,label,subject", "Path,LABEL,Subject", " path , label ,subject"]
)
def test_separator_and_case_of_the_head_do_not_matter(own: Path, separator: str, head: str) -> None:
    text = (head + "\n" + ROWS).replace(",", separator)
    assert read(own, text).table.equals(read(own, HEAD + ROWS).table)


@pytest.mark.parametrize(
    "rows",
    [
        "a.png,ALL,Smith, Ann\nb.png,ALL,Smith, Bob\nc.png,HEM,Lutz, Eve\n",  # every line
        "a.png,ALL,s1\nb.png,ALL,Smith, Bob\n",
    ],
)
def test_more_fields_than_columns_are_refused_with_their_line(own: Path, rows: str) -> None:
    line = 2 + next(i for i, row in enumerate(rows.splitlines()) if row.count(",") > 2)
    with pytest.raises(
        InputError, match=rf"^cells\.csv, line {line}: more fields .* quotes"
    ) as told:
        read(own, HEAD + rows)
    assert "\n" not in str(told.value)


def test_a_quoted_separator_is_part_of_a_name(own: Path) -> None:
    rows = 'a.png,ALL,"Smith, Ann"\nb.png,ALL,s2\nc.png,HEM,s3\nd.png,HEM,s4\n'
    assert read(own, HEAD + rows).table["subject"][0] == "Smith, Ann"


@pytest.mark.parametrize("gap", ["", "NaN", "n/a", "None", " ? "])
def test_a_missing_label_is_called_missing(own: Path, gap: str) -> None:
    with pytest.raises(InputError, match="line 2: the label is missing"):
        read(own, HEAD + ROWS.replace("ALL", gap, 1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Zoe\u0301 A", "Zo\u00e9 A"),
        ("Zoe\u00a0A", "Zoe A"),
        ("Zoe  A", " Zoe A "),
        ("Zoe\u2009A", "Zoe A"),
    ],
)
def test_one_person_in_two_spellings_is_one_subject(own: Path, first: str, second: str) -> None:
    found = read(own, HEAD + ROWS.replace("s1", first).replace("s2", second))
    assert found.table["subject"].nunique() == 3


@pytest.mark.parametrize(
    ("first", "second"), [("Ann", "ann"), ("P01", "P1"), ("P 1", "p_1"), ("\uff30\uff11", "P1")]
)
def test_names_that_look_alike_must_be_decided(own: Path, first: str, second: str) -> None:
    text = HEAD + ROWS.replace("s1", first).replace("s2", second)
    with pytest.raises(InputError, match=r"look alike: .*alike_subjects"):
        read(own, text)
    for said, number in (("same", 3), ("different", 4)):
        (own / "cells.toml").write_text(f'alike_subjects = "{said}"\n', "utf-8")
        assert read(own, text).table["subject"].nunique() == number
    (own / "cells.toml").write_text('alike_subjects = "perhaps"\n', "utf-8")
    with pytest.raises(InputError, match='alike_subjects is "same" or "different"'):
        read(own, text)


@pytest.mark.parametrize(("first", "second"), [("P1", "P11"), ("1-1", "11"), ("Ann", "Anna")])
def test_names_that_differ_stay_apart(own: Path, first: str, second: str) -> None:
    text = HEAD + ROWS.replace("s1", first).replace("s2", second)
    assert read(own, text).table["subject"].nunique() == 4


@pytest.mark.parametrize(
    ("one", "two"),
    [
        *[("N1", other) for other in ("n1", "N01", "N_1", "N 1", "N1.", "N-1", "N\u200b1")],
        *[("10", "10.0"), ("N-1", "N\N{EN DASH}1"), ("N-1", "N\N{NON-BREAKING HYPHEN}1")],
    ],
)
def test_two_spellings_of_a_person_look_alike(own: Path, one: str, two: str) -> None:
    rows = f"a.png,ALL,{one}\nb.png,ALL,{two}\nc.png,HEM,other\n"
    with pytest.raises(InputError, match="These subjects look alike"):
        read(own, HEAD + rows)


@pytest.mark.parametrize(("one", "two"), [("1-12", "11-2"), ("1.10", "1.1"), ("H1", "1")])
def test_two_people_do_not_look_alike(own: Path, one: str, two: str) -> None:
    found = read(own, HEAD + f"a.png,ALL,{one}\nb.png,ALL,{two}\nc.png,HEM,other\n")
    assert found.table["subject"].nunique() == 3


def test_a_table_of_ones_own_wins_over_folders_named_as_in_cnmc(tmp_path: Path) -> None:
    place = tmp_path / "cells"
    for number, label in enumerate(("ALL", "HEM")):
        picture(place / "training_data" / label / f"{number}.png", number)
    rows = "training_data/ALL/0.png,ALL,s1\ntraining_data/HEM/1.png,HEM,s2\n"
    (place / "cells.csv").write_text(HEAD + rows)
    for given in (place, place / "cells.csv"):
        found = load_dataset(given, tmp_path / "data")
        assert found.table["subject"].tolist() == ["s1", "s2"]
        assert card_file(found) is None
