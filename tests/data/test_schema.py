"""The label rule and the cell table refuse what they cannot be sure of."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukhelpers.data.schema import (
    ALL,
    CLASS_NAMES,
    COLUMNS,
    HEM,
    UNLABELED,
    parse_name,
    validate,
)
from leukhelpers.errors import InputError

NUMBER = st.integers(0, 999_999_999)


def table(**columns: list) -> pd.DataFrame:
    n = len(next(iter(columns.values()), [0, 0]))
    content = {
        "cell_id": [f"c{row}" for row in range(n)],
        "path": [f"c{row}.bmp" for row in range(n)],
        "label": [ALL] * n,
        "subject": [str(row) for row in range(n)],
        "fold": ["0"] * n,
        "sha256": [f"{row:064x}" for row in range(n)],
    }
    return pd.DataFrame(content | columns)


def test_class_names_stand_at_their_labels() -> None:
    assert (CLASS_NAMES[HEM], CLASS_NAMES[ALL]) == ("HEM", "ALL")
    assert (HEM, ALL) == (0, 1)


@given(healthy=st.booleans(), subject=NUMBER, image=NUMBER, cell=NUMBER, upper=st.booleans())
def test_every_rightly_formed_name_is_read_in_any_letter_case(
    healthy: bool, subject: int, image: int, cell: int, upper: bool
) -> None:
    sign, ending = ("H", "hem") if healthy else ("", "all")
    stem = f"UID_{sign}{subject}_{image}_{cell}_{ending}"
    read = parse_name(stem.upper() if upper else stem.lower())
    assert read == (f"{sign}{subject}", image, cell, HEM if healthy else ALL)


@pytest.mark.slow
@given(st.text(max_size=30) | st.from_regex(r"UID_[hH]?\d+_\d+_\d+_\w+", fullmatch=True))
def test_any_text_is_read_or_refused_and_never_crashes(stem: str) -> None:
    try:
        cell = parse_name(stem)
    except InputError:
        return
    assert cell.subject.startswith("H") == (cell.label == HEM)
    assert stem.isascii()


def test_lower_case_h3_is_the_same_subject() -> None:
    assert parse_name("UID_h3_12_1_hem").subject == parse_name("UID_H3_1_1_hem").subject == "H3"


@pytest.mark.parametrize("stem", ["UID_H3_1_1_all", "UID_3_1_1_hem", "uid_h3_1_1_ALL"])
def test_name_that_contradicts_itself_is_refused(stem: str) -> None:
    with pytest.raises(InputError, match="contradicts itself"):
        parse_name(stem)


@pytest.mark.parametrize(
    "stem",
    [
        "",
        "1",
        "UID_1_1_1_all.bmp",
        "UID_1_1_1_all (1)",
        " UID_1_1_1_all",
        "UID_1_1_1_all\n",
        "UID_1_1_all",
        "UID_1_1_1_1_all",
        "UID_-1_1_1_all",
        "UID_1_1_1_healthy",
        "UID_١_1_1_all",
        "._UID_1_1_1_all",
        "UID_1_" + "9" * 5000 + "_1_all",
    ],
)
def test_name_against_the_rule_is_refused(stem: str) -> None:
    with pytest.raises(InputError, match="is not named UID_"):
        parse_name(stem)


def test_valid_table_comes_back_in_order_with_a_fresh_index() -> None:
    shuffled = table(label=[ALL, HEM, UNLABELED], subject=["1", "H1", ""])
    shuffled = shuffled.iloc[[2, 0, 1], ::-1].assign(reason="")
    valid = validate(shuffled)
    assert tuple(valid.columns) == COLUMNS
    assert valid.index.tolist() == [0, 1, 2]
    assert valid["cell_id"].tolist() == ["c2", "c0", "c1"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"subject": ["1", " "]}, "have no subject: c1"),
        ({"subject": ["1", None]}, "have no subject: c1"),
        ({"subject": ["1", "20+21"]}, r"must not contain a \+; .*: 20\+21"),
        ({"sha256": ["a", "a"], "label": [ALL, HEM]}, "two labels; .*: c0.bmp, c1.bmp"),
        ({"label": [ALL, HEM], "subject": ["1", "1"]}, "of one class, and these have several.*: 1"),
    ],
)
def test_wrong_table_is_refused_with_the_culprit_named(columns: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(table(**columns))


def test_only_the_first_culprits_are_listed() -> None:
    with pytest.raises(InputError, match="c0, c1, c2, c3, c4 and 3 more"):
        validate(table(subject=[""] * 8))


def test_a_subject_may_have_cells_without_a_label_beside_those_of_its_class() -> None:
    mixed = table(label=[ALL, UNLABELED], subject=["1", "1"])
    assert validate(mixed)["label"].tolist() == [ALL, UNLABELED]


@pytest.mark.parametrize(
    "classes", [("lymphocyte", "blast"), ("0", "1"), ("normal", "AML"), ("healthy", "leukemic")]
)
def test_kinds_of_cells_may_be_of_one_person(classes: tuple[str, str]) -> None:
    cells = table(label=[0, 1], subject=["7", "7"])
    assert len(validate(cells, classes)) == 2
    with pytest.raises(InputError, match="other names than HEM and ALL; subjects: 7"):
        validate(cells, ("HEM", classes[1]))
