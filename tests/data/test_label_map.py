"""What labels mean is said in a small file; what the file cannot mean is refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukhelpers.data.label_map import Meaning, meaning_of, meaning_text, read_meaning
from leukhelpers.errors import InputError


def read(folder: Path, text: str | bytes) -> Meaning:
    (folder / "cells.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_meaning(folder)


def test_without_the_file_labels_are_hem_and_all_in_any_letter_case(tmp_path: Path) -> None:
    meaning = read_meaning(tmp_path)
    assert meaning.classes == ("HEM", "ALL")
    assert [meaning.label_of(name) for name in ("hem", "HEM", "All")] == [0, 0, 1]
    assert not meaning.own_subjects


@pytest.mark.parametrize("written", ["0", "1", "healthy", "ALL HEM", "ALL,HEM"])
def test_numbers_and_other_words_are_no_labels(written: str) -> None:
    with pytest.raises(InputError, match="is not known"):
        Meaning().label_of(written)


def test_mark_that_windows_puts_before_a_text_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, b'\xef\xbb\xbfclasses = ["a", "b"]').classes == ("a", "b")


def test_file_that_only_speaks_of_subjects_leaves_the_labels_as_they_are(tmp_path: Path) -> None:
    meaning = read(tmp_path, "each_image_its_own_subject = true")
    assert meaning == Meaning(own_subjects=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("classes = [", "no readable TOML"),
        (b"\xff\xfe", "no readable TOML"),
        ('class = ["a", "b"]', "has 'class', which is not one of classes, each_image"),
        ('each_image_its_own_subject = "yes"', "each_image_its_own_subject = true or false"),
        ('[labels]\nx = "ALL"', r"\[labels\] without classes"),
        ("classes = 3", "a list of two names or more"),
        ('classes = ["ALL"]', "a list of two names or more"),
        ('classes = ["a", ""]', "A class must be text without spaces around, not ''"),
        ('classes = ["a", " b"]', "without spaces around"),
        ('classes = ["a", "b\\nc"]', "without spaces around"),
        ('classes = ["a", 1]', "must be text"),
        ('classes = ["0", "1"]', "needs a name, not the number 0"),
        ('classes = ["a", "-1.5"]', "needs a name, not the number -1.5"),
        ('classes = ["a", "b", "A"]', "two are one and the same: a, b, A"),
        ('classes = ["ALL", "HEM"]', r'write classes = \["HEM", "ALL"\]'),
        ('classes = ["all", "healthy"]', r'write classes = \["healthy", "all"\]'),
        ('classes = ["AML", "Hem"]', "the healthy one comes first"),
        ('classes = ["a", "b"]\nlabels = 3', "below .labels. which class"),
        ('classes = ["a", "b"]\n[labels]\nx = "c"', "'x' is assigned to 'c', which is not a class"),
        ('classes = ["a", "b"]\n[labels]\nx = 1', "'x' is assigned to 1, which is not a class"),
        ('classes = ["a", "b"]\n[labels]\n" x" = "a"', "A label must be text without spaces"),
        ('classes = ["a", "b"]\n[labels]\na = "b"', "The label 'a' is of two classes, a and b"),
    ],
)
def test_file_that_says_what_cannot_be_is_one_sentence(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_three_classes_may_stand_in_any_order() -> None:
    assert meaning_of({"ALL": [], "AML": [], "HEM": []}).label_of("HEM") == 2


@pytest.mark.parametrize(
    ("classes", "label", "stem", "told"),
    [
        (("HEM", "ALL"), 0, "UID_7_1_1_all", "ALL"),
        (("HEM", "ALL"), 1, "UID_7_1_1_all", None),
        (("HEM", "ALL"), 0, "anything", None),
        (("healthy", "ALL"), 0, "UID_7_1_1_all", "ALL"),
        (("healthy", "ALL"), 1, "UID_H7_1_1_hem", "HEM"),
        (("healthy", "ALL"), 0, "UID_H7_1_1_hem", None),
        (("a", "b"), 0, "UID_7_1_1_all", None),
        (("HEM", "ALL", "AML"), 2, "UID_7_1_1_all", "ALL"),
    ],
)
def test_name_of_a_file_contradicts_where_it_can_be_compared(
    classes: tuple[str, ...], label: int, stem: str, told: str | None
) -> None:
    assert Meaning(classes).contradiction(label, stem) == told


names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=8).filter(
    lambda name: not name.lstrip("+-").replace(".", "", 1).isdecimal()
)


@given(st.lists(names, min_size=3, max_size=7, unique_by=str.casefold), st.booleans())
def test_written_file_means_the_same_when_read(listed: list[str], own_subjects: bool) -> None:
    first, second, third, *labels = listed
    classes = {first: labels[:2], second: labels[2:], third: []}
    with tempfile.TemporaryDirectory() as folder:
        meaning = read(Path(folder), meaning_text(meaning_of(classes, own_subjects)))
    assert meaning.own_subjects is own_subjects
    assert meaning.classes == (first, second, third)
    for number, (name, written) in enumerate(classes.items()):
        assert [meaning.label_of(label) for label in (name, *written)] == [number] * (
            1 + len(written)
        )


def test_a_label_that_holds_a_comma_is_known_by_its_parts() -> None:
    meaning = meaning_of({"HEM": ["Normal"], "ALL": ["Blast", "no lineage spec"]})
    assert meaning.find("Blast, no lineage spec") == 1
    assert meaning.find("Blast, Normal") is None
    assert meaning.find("Blast, other") is None
