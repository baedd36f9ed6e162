"""Groups are what belongs together, and no split ever cuts one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from leukhelpers.data.schema import ALL, HEM, UNLABELED, validate
from leukhelpers.errors import InputError
from leukhelpers.splits import groups
from leukhelpers.splits.groups import (
    SharedGroupError,
    Split,
    group_ids,
    grouped_folds,
    random_folds,
)

Cut = Callable[..., Iterator[Split]]


def table(cells: list[tuple[str, str]]) -> pd.DataFrame:
    """Make a cell table of (subject, picture) pairs; subjects with an H are healthy."""
    subjects = [subject for subject, _ in cells]
    return pd.DataFrame(
        {
            "cell_id": [f"c{row}" for row in range(len(cells))],
            "path": [f"c{row}.bmp" for row in range(len(cells))],
            "label": [HEM if subject.startswith("H") else ALL for subject in subjects],
            "subject": subjects,
            "fold": "0",
            "sha256": [picture for _, picture in cells],
        }
    )


# Few subjects and few pictures, so that many are shared and chains arise.
ANY = st.lists(
    st.tuples(
        st.sampled_from([str(number) for number in range(1, 30)] + [f"H{n}" for n in range(1, 30)]),
        st.integers(0, 60).map(str),
    ),
    min_size=1,
    max_size=80,
).map(table)


@st.composite
def splittable(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a table of 6 to 14 subjects of each class, some of which share pictures."""
    cells = []
    for sign, lowest in (("", 8), ("H", 6)):
        for number in range(draw(st.integers(lowest, 14))):
            subject = f"{sign}{number}"
            own = draw(st.integers(1, 6))
            cells += [(subject, f"{subject}-{picture}") for picture in range(own)]
            if draw(st.integers(0, 5)) == 0:
                cells.append((subject, f"{sign}0-0"))
    return table(draw(st.permutations(cells)))


def connected(cells: pd.DataFrame, row: int) -> set[int]:
    """Walk from cell to cell over equal subjects and equal pictures."""
    beside: dict[tuple[str, str], list[int]] = defaultdict(list)
    for column in ("subject", "sha256"):
        for other, value in enumerate(cells[column]):
            beside[column, value].append(other)
    reached, ahead = {row}, [row]
    while ahead:
        here = ahead.pop()
        for column in ("subject", "sha256"):
            for other in beside[column, cells[column].iloc[here]]:
                if other not in reached:
                    reached.add(other)
                    ahead.append(other)
    return reached


@given(ANY)
def test_groups_are_the_connected_components(cells: pd.DataFrame) -> None:
    ids = group_ids(cells)
    assert ids.shape == (len(cells),)
    for row in range(len(cells)):
        assert set(np.flatnonzero(ids == ids[row])) == connected(cells, row)


@given(ANY)
def test_group_is_named_after_exactly_its_subjects(cells: pd.DataFrame) -> None:
    ids = group_ids(cells)
    for name in np.unique(ids):
        members = str(name).split("+")
        assert len(members) == len(set(members))
        inside = set(cells.loc[ids == name, "subject"])
        if len(inside) <= 20:
            assert set(members) == inside
        else:
            assert members[20:] == [f"and {len(inside) - 20} more"]
            assert set(members[:20]) < inside


@given(ANY, st.randoms())
def test_groups_do_not_depend_on_order_or_index(cells: pd.DataFrame, random: object) -> None:
    order = list(range(len(cells)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = cells.iloc[order].set_axis([7] * len(cells))
    assert np.array_equal(group_ids(shuffled), group_ids(cells)[order])


def test_group_names_count_as_people_do() -> None:
    ids = group_ids(table([("21", "a"), ("8", "a"), ("H10", "b"), ("H3", "b"), ("20", "c")]))
    assert ids.tolist() == ["8+21", "8+21", "H3+H10", "H3+H10", "20"]


def test_chain_of_pictures_joins_its_two_ends() -> None:
    ids = group_ids(table([("1", "a"), ("2", "a"), ("2", "b"), ("3", "b"), ("4", "c")]))
    assert ids.tolist() == ["1+2+3"] * 4 + ["4"]


def test_two_groups_never_have_one_name() -> None:
    with pytest.raises(InputError, match="must not contain"):
        validate(table([("20", "a"), ("21", "a"), ("20+21", "b")]))


def test_66_groups_remain_of_the_73_subjects() -> None:
    shared = ["20=21", "51=78", "51=75", "H10=H10", "H2=H4", "H2=H5", "H2=H6", "H10=H3"]
    numbers = ["20", "21", "51", "75", "78", *map(str, range(100, 142))]
    healthy = [f"H{number}" for number in range(2, 28)]
    cells = [(subject, subject) for subject in numbers + healthy]
    cells += [(subject, pair) for pair in shared for subject in pair.split("=")]
    ids = np.unique(group_ids(table(cells)))
    assert len({subject for subject, _ in cells}) == 73
    assert len(ids) == 66
    assert {name for name in ids if "+" in name} == {"20+21", "51+75+78", "H2+H4+H5+H6", "H3+H10"}


@given(ANY, st.lists(st.sampled_from(["train", "validation", "test", None]), min_size=80))
def test_split_never_shares_a_group(cells: pd.DataFrame, sides: list[str | None]) -> None:
    ids = group_ids(cells)
    side = np.array(sides[: len(cells)], dtype=object)
    rows = [np.flatnonzero(side == name) for name in ("train", "validation", "test")]
    shares = any(
        len({side[row] for row in np.flatnonzero(ids == name) if side[row] is not None}) > 1
        for name in ids
    )
    if shares:
        with pytest.raises(SharedGroupError, match="share the group"):
            Split(ids, *rows)
    else:
        assert Split(ids, *rows).groups is ids


@pytest.mark.parametrize("sides", [("train", "validation"), ("train", "test")])
def test_refused_split_names_the_group_and_the_sides(sides: tuple[str, str]) -> None:
    ids = group_ids(table([("20", "a"), ("21", "a"), ("3", "b")]))
    rows = {"train": [2], "validation": [], "test": []} | {sides[0]: [0], sides[1]: [1]}
    parts = {name: np.array(row, dtype=int) for name, row in rows.items()}
    with pytest.raises(InputError, match=rf"{sides[0]} and {sides[1]} share .* 20\+21;"):
        Split(ids, **parts)


@given(splittable(), st.integers(0, 2**32 - 1))
def test_test_parts_partition_the_rows_as_scikit_learn_does(cells: pd.DataFrame, seed: int) -> None:
    try:
        splits = list(grouped_folds(cells, 4, seed))
    except InputError:
        assume(False)
    ids, labels = group_ids(cells), cells["label"].to_numpy()
    reference = list(
        StratifiedGroupKFold(4, shuffle=True, random_state=seed).split(labels, labels, ids)
    )
    assume(all(len(set(labels[test])) == 2 for _, test in reference))  # else they are dealt
    for split, (rest, test) in zip(splits, reference, strict=True):
        assert np.array_equal(split.test, test)
        assert np.array_equal(np.sort(np.concatenate([split.train, split.validation])), rest)
    everything = np.concatenate([split.test for split in splits])
    assert np.array_equal(np.sort(everything), np.arange(len(cells)))


@pytest.mark.parametrize("cut", [grouped_folds, random_folds])
@given(cells=splittable(), n_splits=st.integers(2, 5), seed=st.integers(0, 1000))
def test_every_part_of_every_fold_is_honest(
    cut: Cut, cells: pd.DataFrame, n_splits: int, seed: int
) -> None:
    try:
        splits = list(cut(cells, n_splits, seed))
    except InputError:
        assume(False)
    assert len(splits) == n_splits
    for split in splits:
        parts = [split.train, split.validation, split.test]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(cells)))
        seen = [set(split.groups[part]) for part in parts]
        assert len(seen[0]) + len(seen[1]) + len(seen[2]) == len(set.union(*seen))
        for part in parts:
            assert set(cells["label"].iloc[part]) == {HEM, ALL}
    everything = np.concatenate([split.test for split in splits])
    assert np.array_equal(np.sort(everything), np.arange(len(cells)))


@given(cells=splittable(), n_splits=st.integers(2, 5), seed=st.integers(0, 1000))
def test_random_folds_deal_the_groups_of_each_class_evenly(
    cells: pd.DataFrame, n_splits: int, seed: int
) -> None:
    try:
        splits = list(random_folds(cells, n_splits, seed))
    except InputError:
        assume(False)
    for label in (HEM, ALL):
        in_class = cells["label"].to_numpy() == label
        dealt = [
            len(set(split.groups[split.test]) & set(split.groups[in_class])) for split in splits
        ]
        assert max(dealt) - min(dealt) <= 1


def many(n_all: int = 12, n_hem: int = 8, all_cells: int = 4, hem_cells: int = 4) -> pd.DataFrame:
    cells = [(str(s), f"{s}-{c}") for s in range(n_all) for c in range(all_cells)]
    return table(cells + [(f"H{s}", f"H{s}-{c}") for s in range(n_hem) for c in range(hem_cells)])


@pytest.mark.parametrize("cut", [grouped_folds, random_folds])
def test_the_same_seed_gives_the_same_folds_and_another_gives_others(cut: Cut) -> None:
    one, again = (list(cut(many(), seed=3)) for _ in range(2))
    for a, b in zip(one, again, strict=True):
        for part in ("train", "validation", "test"):
            assert np.array_equal(getattr(a, part), getattr(b, part))
    other = next(cut(many(), seed=4))
    assert not np.array_equal(one[0].test, other.test)


def test_holdout_is_a_random_fold_and_everything_keeps_none() -> None:
    first = next(random_folds(many(), seed=5))
    held = groups.holdout_split(many(), seed=5)
    assert np.array_equal(held.test, first.test)
    whole = groups.no_test_split(many(), seed=5)
    assert len(whole.test) == 0
    assert np.array_equal(whole.validation, first.test)
    both = np.concatenate([whole.train, whole.validation])
    assert np.array_equal(np.sort(both), np.arange(len(many())))


def test_no_part_lacks_a_class_however_rare() -> None:
    for seed in range(20):
        cells = many(n_all=40, n_hem=4, all_cells=10, hem_cells=1)
        for split in [*grouped_folds(cells, 2, seed), *random_folds(cells, 2, seed)]:
            for part in (split.train, split.validation, split.test):
                assert set(cells["label"].iloc[part]) == {HEM, ALL}


@pytest.mark.parametrize(
    ("cells", "n_splits", "message"),
    [
        (many(n_hem=3), 4, "4 groups of HEM; there are 3"),
        (many(n_all=3), 4, "4 groups of ALL; there are 3"),
        (many(n_all=0), 2, "groups of ALL; there are 0"),
        (many(n_all=2, n_hem=2), 2, "at least 2 groups outside the test part"),
        (many().assign(label=UNLABELED), 4, "without a label cannot be split"),
        (many().assign(label=lambda t: t["label"].where(t.index > 0, -1)), 4, "without a label"),
    ],
)
@pytest.mark.parametrize("cut", [grouped_folds, random_folds])
def test_what_cannot_be_split_is_refused(
    cells: pd.DataFrame, n_splits: int, message: str, cut: Cut
) -> None:
    with pytest.raises(InputError, match=message):
        list(cut(cells, n_splits))


def test_joined_subjects_count_as_one_group() -> None:
    cells = many(n_hem=4)
    cells.loc[cells["subject"] == "H1", "sha256"] = "H0-0"
    with pytest.raises(InputError, match="4 groups of HEM; there are 3"):
        next(grouped_folds(cells, 4))


def test_folds_of_which_one_would_lack_a_class_are_dealt_instead() -> None:
    # A picture under a leukemic and a healthy subject makes a group of both classes, and
    # with groups of such different sizes scikit-learn leaves a fold without one of them.
    sizes = [1, 5, 5, 1, 40, 40]
    cells = [(str(s), f"{s}-{c}") for s, size in enumerate(sizes) for c in range(size)]
    for s, size in enumerate([1, 1, 40, 1, 5]):
        cells += [(f"H{s}", f"{s if s in (0, 3) else f'H{s}'}-{c}") for c in range(size)]
    whole = table(cells)
    found, dealt = (list(cut(whole, 4, 3)) for cut in (grouped_folds, random_folds))
    for split, other in zip(found, dealt, strict=True):
        assert np.array_equal(split.test, other.test)
        assert np.array_equal(split.train, other.train)
        assert set(whole["label"].iloc[split.test]) == {ALL, HEM}


# --- many copies of one picture --------------------------------------------------------------


@given(ANY)
def test_pairs_of_equal_pictures_are_counted(cells: pd.DataFrame) -> None:
    pairs = combinations(cells["sha256"], 2)
    assert groups.duplicate_pairs(cells) == sum(one == other for one, other in pairs)


def test_very_many_subjects_that_share_a_picture_have_a_short_name() -> None:
    ids = group_ids(table([(str(s), "black") for s in range(50_000)]))
    assert len(np.unique(ids)) == 1
    assert ids[0].endswith("+18+19+and 49980 more")
    assert ids.nbytes < 100e6


def test_thousands_of_equal_files_are_counted() -> None:
    cells = table([(str(s), "black" if s > 0 else "own") for s in range(100_000)])
    assert groups.duplicate_pairs(cells) == 99_999 * 99_998 // 2


# --- more than two classes -------------------------------------------------------------------


def four_classes() -> pd.DataFrame:
    cells = many(n_all=32, n_hem=0)
    return cells.assign(label=cells["subject"].astype(int) % 4)


@pytest.mark.parametrize("cut", [grouped_folds, random_folds])
def test_every_part_holds_every_one_of_four_classes(cut: Cut) -> None:
    cells = four_classes()
    splits = list(cut(cells, 4, 1))
    assert np.array_equal(np.sort(np.concatenate([s.test for s in splits])), np.arange(len(cells)))
    for split in splits:
        for part in (split.train, split.validation, split.test):
            assert set(cells["label"].iloc[part]) == {0, 1, 2, 3}


def test_a_class_with_too_few_groups_is_named_by_its_number() -> None:
    cells = four_classes()
    rare = cells[(cells["label"] != 2) | (cells["subject"] == "2")]
    with pytest.raises(InputError, match="2 folds need at least 2 groups of class 2; there are 1"):
        next(grouped_folds(rare, 2))
    absent = cells[cells["label"] != 2]
    with pytest.raises(InputError, match="groups of class 2; there are 0"):
        next(random_folds(absent, 2))


def test_group_of_two_classes_counts_for_that_of_most_of_its_cells() -> None:
    cells = many(n_all=5, n_hem=4)
    last = cells["subject"] == "H3"  # joined to 4, which has as many cells
    cells.loc[last & ~last.shift(fill_value=False), "sha256"] = "4-0"
    mostly_all = cells.drop(index=cells.index[last][1:])
    with pytest.raises(InputError, match="4 groups of HEM; there are 3"):
        next(random_folds(mostly_all, 4))
    mostly_hem = cells.drop(index=cells.index[cells["subject"] == "4"][1:])
    assert len(list(random_folds(mostly_hem, 4))) == 4


@pytest.mark.parametrize("cut", [grouped_folds, random_folds])
@pytest.mark.parametrize(
    ("people", "kinds", "folds"), [(8, 2, 4), (8, 3, 4), (6, 3, 2), (20, 2, 5)]
)
@pytest.mark.parametrize("rare", [False, True])
def test_people_with_cells_of_several_classes_are_never_cut(
    cut: Cut, people: int, kinds: int, folds: int, rare: bool
) -> None:
    cells = table([(str(n), f"{n}-{k}") for n in range(people) for k in range(4 * kinds)])
    cells["label"] = [k % kinds for _ in range(people) for k in range(4 * kinds)]
    if rare:  # one person in four lacks the last class
        lacking = cells["subject"].astype(int) % 4 == 3
        cells = cells[~lacking | (cells["label"] < kinds - 1)].reset_index(drop=True)
    splits = list(cut(cells, folds, 0))
    assert np.array_equal(np.sort(np.concatenate([s.test for s in splits])), np.arange(len(cells)))
    for split in splits:
        for part in (split.train, split.validation, split.test):
            assert set(cells["label"].iloc[part]) == set(range(kinds))


# --- the published folds ---------------------------------------------------------------------


@st.composite
def with_folds(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a table whose cells lie in folds 0, 1, 2, whatever their subject."""
    cells = draw(splittable())
    cells["fold"] = draw(st.lists(st.sampled_from("012"), min_size=len(cells), max_size=len(cells)))
    assume(cells["fold"].nunique() > 1)
    return cells


# --- very many groups ------------------------------------------------------------------------


def test_many_groups_are_dealt_evenly_and_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_MANY_GROUPS", 300)
    cells = many(n_all=200, n_hem=101, all_cells=1, hem_cells=1)
    dealt = list(grouped_folds(cells, 4, 3))
    for one, other in zip(dealt, random_folds(cells, 4, 3), strict=True):
        assert np.array_equal(one.test, other.test)
    shares = [cells["label"].iloc[split.test].mean() for split in dealt]
    assert max(shares) - min(shares) < 0.01


# --- the published test sets -----------------------------------------------------------------


@pytest.mark.parametrize("part", ["preliminary", "final"])
@pytest.mark.parametrize(
    "cut",
    [
        grouped_folds,
        random_folds,
        lambda cells: iter([groups.holdout_split(cells)]),
        lambda cells: iter([groups.no_test_split(cells)]),
    ],
)
def test_no_split_takes_cells_of_a_test_set(cut: Cut, part: str) -> None:
    cells = many().assign(fold=lambda t: t.index.to_series().mod(3).astype(str))
    cells.loc[cells.index[-5:], "fold"] = part
    with pytest.raises(InputError, match=f"5 cells belong to the {part} test set"):
        next(cut(cells))


# --- a split for trying things ---------------------------------------------------------------


@pytest.mark.parametrize(("people", "seed"), [(12, 11), (20, 6), (20, 10)])
def test_a_rare_kind_of_cell_gets_into_every_part(people: int, seed: int) -> None:
    """Everybody has two common kinds; six people also have a few cells of a rare one."""
    rng = np.random.default_rng(seed)
    rare, rows = rng.choice(people, 6, replace=False), []
    for person in range(people):
        kinds = (rng.random(int(rng.integers(5, 60))) < 0.4).astype(int).tolist()
        kinds += [2] * int(rng.integers(1, 6)) if person in rare else []
        rows += [(f"p{person:02d}", kind) for kind in kinds]
    cells = pd.DataFrame(rows, columns=["subject", "label"])
    cells = cells.assign(sha256=cells.index.astype(str), fold="")
    for split in groups.grouped_folds(cells, 4, 0):
        for part in (split.train, split.validation, split.test):
            assert set(cells["label"].iloc[part]) == {0, 1, 2}
