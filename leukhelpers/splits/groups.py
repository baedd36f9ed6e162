"""Groups that belong together, and splits that keep them so.

A model that has seen other cells of the same patient recognizes the patient, not
the disease. Two subjects that share an image are, for this purpose, one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from leukhelpers.data.cnmc import PARTS
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError

TEST_SETS = PARTS[1:]

# StratifiedGroupKFold weighs one group after the other: some seconds for so many.
_MANY_GROUPS = 10_000
_MANY_NAMES = 20


class SharedGroupError(InputError):
    """A split would put cells of one group on two sides.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> raise lk.SharedGroupError("Subjects 20 and 21 share a picture.")
    Traceback (most recent call last):
    ...
    leukhelpers.splits.groups.SharedGroupError: Subjects 20 and 21 share a picture.
    """


def group_ids(table: pd.DataFrame) -> np.ndarray:
    """Join the subjects that share an image.

    Subjects and pictures are the two sides of a graph, each cell an edge; a group is
    one of its connected components.

    Parameters
    ----------
    table : pandas.DataFrame
        A cell table; ``subject`` and ``sha256`` are read.

    Returns
    -------
    numpy.ndarray of str, shape (n_cells,)
        The subject itself, or the joined subjects with ``+`` between (``20+21``), at most
        20 by name (``1+2+…+and 80 more``).

    Examples
    --------
    >>> import pandas as pd
    >>> import leukhelpers as lk
    >>> table = pd.DataFrame({"subject": ["20", "21", "22"], "sha256": ["a", "a", "b"]})
    >>> lk.group_ids(table).tolist()
    ['20+21', '20+21', '22']
    """
    subject_of_cell, subjects = pd.factorize(table["subject"])
    picture_of_cell, pictures = pd.factorize(table["sha256"])
    n_nodes = len(subjects) + len(pictures)
    edges = coo_array(
        (np.ones(len(table)), (subject_of_cell, len(subjects) + picture_of_cell)),
        shape=(n_nodes, n_nodes),
    )
    component = connected_components(edges, directed=False)[1][: len(subjects)]
    names = pd.DataFrame({"name": subjects.astype(str), "group": component})
    shared = names[names["group"].duplicated(keep=False)]
    # As people do: 8 before 11, 75 before H3.
    shared = shared.assign(length=shared["name"].str.len()).sort_values(["length", "name"])
    joined = names["group"].map(shared.groupby("group")["name"].agg(_group_name))
    return joined.fillna(names["name"]).to_numpy()[subject_of_cell].astype(str)


def _group_name(subjects: pd.Series) -> str:
    """Name a group; the first subject makes it unique, and long names fill the memory."""
    n_more = len(subjects) - _MANY_NAMES
    more = [f"and {n_more} more"] if n_more > 0 else []
    return "+".join([*subjects.iloc[:_MANY_NAMES], *more])


def duplicate_pairs(table: pd.DataFrame) -> int:
    """Count the pairs of cells that have exactly the same pixels, without listing them."""
    times = table["sha256"].value_counts().to_numpy(dtype=np.int64)
    return int((times * (times - 1) // 2).sum())


@dataclass(frozen=True)
class Split:
    """Rows to learn from, to choose with, and to be judged on.

    Building one in which a group stands on two sides raises
    :class:`SharedGroupError`. There is no way round it.

    Attributes
    ----------
    groups : numpy.ndarray of str, shape (n_cells,)
        The group of every row of the table.
    train, validation, test : numpy.ndarray of int
        Row numbers.
    """

    groups: np.ndarray
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self) -> None:
        sides = {"train": self.train, "validation": self.validation, "test": self.test}
        held = {side: pd.unique(self.groups[rows]) for side, rows in sides.items()}
        for one, other in combinations(sides, 2):
            shared = np.intersect1d(held[one], held[other])
            if len(shared):
                raise SharedGroupError(
                    f"{one} and {other} share the group(s) {', '.join(shared[:8])}"
                    f"{' …' if len(shared) > 8 else ''}; keep each group on one side."
                )


def grouped_folds(table: pd.DataFrame, n_splits: int = 4, seed: int = 0) -> Iterator[Split]:
    """Cut the table into folds by group, cells and classes in proportion.

    Scikit-learn's ``StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)``
    gives the test rows of each fold. It balances the folds by their cells, and so
    leaves little to chance: another seed often gives the same folds. For folds that
    differ from seed to seed see :func:`random_folds`. More than 10,000 groups are assigned
    as there, for so many even out by themselves, and the balancing would take minutes; and
    so are those of which a fold would lack a class, as happens where scikit-learn is older
    (1.6.1, as on Colab, loses the balance when it shuffles).

    Parameters
    ----------
    table : pandas.DataFrame
        A labeled cell table, of two classes or more. A group that holds several
        classes, because they share a picture, counts for the one of most of its cells. Where
        subjects have several, groups are assigned by cells, if that gives each fold every class.
    n_splits : int
        Number of folds, at least 2.
    seed : int
        Seed of the shuffles.

    Yields
    ------
    Split
        A quarter of the groups that are not tested is kept for validation, that is,
        for learning curves, calibration and the operating point.

    Raises
    ------
    InputError
        If a cell has no label or belongs to a published test set, or a class has too
        few groups for each part to hold every class.
    """
    cells, everything = _labeled_groups(table, n_splits), np.arange(len(table))
    few = len(cells.class_of_group) <= _MANY_GROUPS
    balanced = _balanced(cells, everything, n_splits, seed) if few else []
    for rest, test in balanced or _deal(cells, everything, n_splits, seed):
        yield _with_validation(cells, rest, test, seed)


def random_folds(table: pd.DataFrame, n_splits: int = 4, seed: int = 0) -> Iterator[Split]:
    """Deal the groups of each class to folds at random; another seed, other folds.

    Each fold has as many groups of each class as the others, give or take one, but
    not as many cells. Parameters, yields and errors are those of
    :func:`grouped_folds`.
    """
    cells = _labeled_groups(table, n_splits)
    for rest, test in _deal(cells, np.arange(len(table)), n_splits, seed):
        yield _with_validation(cells, rest, test, seed)


def holdout_split(table: pd.DataFrame, seed: int = 0) -> Split:
    """Keep a quarter of the groups for the end: the first of four random folds."""
    return next(random_folds(table, n_splits=4, seed=seed))


def no_test_split(table: pd.DataFrame, seed: int = 0) -> Split:
    """Learn from all groups: a quarter of them to validate with, none held out."""
    cells = _labeled_groups(table, 2)
    train, validation = next(_deal(cells, np.arange(len(table)), 4, seed))
    return Split(cells.groups, train, validation, np.zeros(0, dtype=int))


class _Labeled(NamedTuple):
    """Labels and groups of a table's rows, and which classes each group has."""

    labels: np.ndarray
    groups: np.ndarray
    number: np.ndarray  # of each row's group, in the order of the names
    class_of_group: np.ndarray  # that of most of its cells
    has: np.ndarray  # of each group and class, whether it counts for it
    classes: list[str]  # their names


def _labeled_groups(table: pd.DataFrame, n_splits: int) -> _Labeled:
    """Read labels and groups, and refuse more folds than a class has groups."""
    for fold, count in table["fold"].value_counts().items():
        if fold in TEST_SETS:
            raise InputError(
                f"{count} cells belong to the {fold} test set; a test set is neither for "
                "learning nor for tuning, so leave it out and evaluate on it at the end."
            )
    if not (table["label"] >= 0).all():
        raise InputError("Cells without a label cannot be split; leave them out.")
    labels, groups = table["label"].to_numpy(dtype=int), group_ids(table)
    names, number = np.unique(groups, return_inverse=True)
    classes = _class_names(table, labels)
    n_classes = len(classes)
    cells_of = np.bincount(number * n_classes + labels, minlength=len(names) * n_classes)
    cells_of = cells_of.reshape(-1, n_classes)
    class_of_group = cells_of.argmax(axis=1)
    several = (table.groupby("subject")["label"].nunique() > 1).any()
    has = cells_of > 0 if several else np.eye(n_classes, dtype=bool)[class_of_group]
    found = _Labeled(labels, groups, number, class_of_group, has, classes)
    for label, count in enumerate(found.has.sum(axis=0)):
        if count < n_splits:
            raise InputError(
                f"{n_splits} folds need at least {n_splits} groups of "
                f"{classes[label]}; there are {count} (people who share a picture are one group)."
            )
    return found


def _class_names(table: pd.DataFrame, labels: np.ndarray) -> list[str]:
    """Name the classes as the table does; without names HEM and ALL, or by number."""
    names = list(table.attrs.get("classes", CLASS_NAMES))
    n_classes = max(2, labels.max(initial=0) + 1)
    named = n_classes <= len(names)
    return names[:n_classes] if named else [f"class {i}" for i in range(n_classes)]


def _with_validation(cells: _Labeled, rest: np.ndarray, test: np.ndarray, seed: int) -> Split:
    """Take a quarter of the remaining groups for validation."""
    train, validation = next(_deal(cells, rest, 4, seed))
    for part, rows in (("train", train), ("validation", validation), ("test", test)):
        counts = np.bincount(cells.labels[rows], minlength=len(cells.classes))
        if not counts.all():
            raise InputError(
                f"The {part} part would lack {cells.classes[counts.argmin()]}; "
                "use more subjects or fewer folds."
            )
    return Split(cells.groups, train, validation, test)


def _balanced(
    cells: _Labeled, rows: np.ndarray, n_splits: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cut some rows into folds by their cells; no fold at all if one would lack a class."""
    folds = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    found = list(folds.split(rows, cells.labels[rows], cells.number[rows]))
    labels = [np.unique(cells.labels[rows[inside]]) for _, inside in found]
    whole = all(len(held) == len(cells.classes) for held in labels)
    return [(rows[others], rows[inside]) for others, inside in found] if whole else []


def _deal(
    cells: _Labeled, rows: np.ndarray, n_splits: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Deal the groups of some rows to folds, class by class; yield the others, the fold."""
    numbers = np.unique(cells.number[rows])
    n_of_each = cells.has[numbers].sum(axis=0)
    mixed = (cells.has.sum(axis=1) > 1).any()  # a group counts for several classes
    if mixed and (n_dealt := min(n_splits, *n_of_each)) > 1:
        balanced = _balanced(cells, rows, n_dealt, seed)
        yield from balanced
        if balanced:
            return
    classes = (cells.has[numbers] / np.maximum(n_of_each, 1)).argmax(axis=1)  # the rarest it has
    n_dealt = min(n_splits, *n_of_each, *np.unique(classes, return_counts=True)[1])
    if n_dealt < 2:
        raise InputError("Each class needs at least 2 groups outside the test part; use more.")
    folds = StratifiedKFold(n_dealt, shuffle=True, random_state=seed)
    for _, dealt in folds.split(numbers, classes):
        inside = np.isin(cells.number[rows], numbers[dealt])
        yield rows[~inside], rows[inside]
