"""Groups that belong together, and splits that keep them so.

A model that has seen other cells of the same patient recognises the patient, not
the disease. Two subjects that share an image are, for this purpose, one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from leukhelpers.cells import ALL, HEM, InputError


class SharedGroupError(InputError):
    """A split would put cells of one group on two sides."""


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
        The subject itself, or the joined subjects with ``+`` between (``20+21``).
    """
    subject_of_cell, subjects = pd.factorize(table["subject"])
    picture_of_cell, pictures = pd.factorize(table["sha256"])
    n_nodes = len(subjects) + len(pictures)
    edges = coo_array(
        (np.ones(len(table)), (subject_of_cell, len(subjects) + picture_of_cell)),
        shape=(n_nodes, n_nodes),
    )
    component = connected_components(edges, directed=False)[1][: len(subjects)]
    members: dict[int, list[str]] = {}
    for subject, number in sorted(zip(subjects, component, strict=True), key=_by_number):
        members.setdefault(int(number), []).append(str(subject))
    names = np.array(["+".join(members[int(number)]) for number in component], dtype=object)
    return names[subject_of_cell].astype(str)


def _by_number(pair: tuple[str, int]) -> tuple[int, str]:
    """Sort subjects as people do: 8 before 11, 75 before H3."""
    subject = str(pair[0])
    return (len(subject), subject)


def shared_pictures(table: pd.DataFrame) -> pd.DataFrame:
    """List every pair of cells that have exactly the same pixels.

    Returns
    -------
    pandas.DataFrame
        ``cell_a, subject_a, fold_a, cell_b, subject_b, fold_b``, a row a pair.
    """
    columns = ["cell_id", "subject", "fold", "sha256"]
    again = table.loc[table["sha256"].duplicated(keep=False), columns].assign(
        row=lambda rows: rows.index
    )
    pairs = again.merge(again, on="sha256", suffixes=("_a", "_b"))
    pairs = pairs[pairs["row_a"] < pairs["row_b"]].reset_index(drop=True)
    pairs = pairs.rename(columns={"cell_id_a": "cell_a", "cell_id_b": "cell_b"})
    return pairs[["cell_a", "subject_a", "fold_a", "cell_b", "subject_b", "fold_b"]]


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
        names = list(sides)
        for i, one in enumerate(names):
            for other in names[i + 1 :]:
                shared = np.intersect1d(self.groups[sides[one]], self.groups[sides[other]])
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
    differ from seed to seed see :func:`random_folds`.

    Parameters
    ----------
    table : pandas.DataFrame
        A labelled cell table.
    n_splits : int
        Number of folds, at least 2.
    seed : int
        Seed of the shuffles.

    Yields
    ------
    Split
        A quarter of the groups that are not tested is kept for validation, that is,
        for early stopping and the operating point.

    Raises
    ------
    InputError
        If a cell has no label, or a class has too few groups for each part to hold
        both classes.
    """
    labels, groups = _labels_and_groups(table, n_splits)
    folds = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)
    for rest, test in folds.split(labels, labels, groups):
        yield _with_validation(labels, groups, rest, test, seed)


def random_folds(table: pd.DataFrame, n_splits: int = 4, seed: int = 0) -> Iterator[Split]:
    """Deal the groups of each class to folds at random; another seed, other folds.

    Each fold has as many groups of each class as the others, give or take one, but
    not as many cells. Parameters, yields and errors are those of
    :func:`grouped_folds`.
    """
    labels, groups = _labels_and_groups(table, n_splits)
    for rest, test in _deal(labels, groups, np.arange(len(labels)), n_splits, seed):
        yield _with_validation(labels, groups, rest, test, seed)


def holdout_split(table: pd.DataFrame, seed: int = 0) -> Split:
    """Keep a quarter of the groups for the end: the first of four random folds."""
    return next(random_folds(table, n_splits=4, seed=seed))


def everything_split(table: pd.DataFrame, seed: int = 0) -> Split:
    """Learn from all groups: a quarter of them to validate with, none held out."""
    labels, groups = _labels_and_groups(table, 2)
    train, validation = next(_deal(labels, groups, np.arange(len(labels)), 4, seed))
    return Split(groups, train, validation, np.zeros(0, dtype=int))


def _with_validation(
    labels: np.ndarray, groups: np.ndarray, rest: np.ndarray, test: np.ndarray, seed: int
) -> Split:
    """Take a quarter of the remaining groups for validation."""
    train, validation = next(_deal(labels, groups, rest, 4, seed))
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        if len(np.unique(labels[part])) < 2:
            raise InputError(
                f"The {name} part would hold one class only; use more subjects or fewer folds."
            )
    return Split(groups, train, validation, test)


def _deal(
    labels: np.ndarray, groups: np.ndarray, rows: np.ndarray, n_splits: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Deal the groups of some rows to folds, class by class; yield the others, the fold."""
    names, first = np.unique(groups[rows], return_index=True)
    n_dealt = min(n_splits, *np.bincount(labels[rows[first]], minlength=2))
    if n_dealt < 2:
        raise InputError("Each class needs at least 2 groups outside the test part; use more.")
    folds = StratifiedKFold(n_dealt, shuffle=True, random_state=seed)
    for _, dealt in folds.split(names, labels[rows[first]]):
        inside = np.isin(groups[rows], names[dealt])
        yield rows[~inside], rows[inside]


def pretend_images_are_subjects(table: pd.DataFrame) -> pd.DataFrame:
    """Tell the lie that a random split by image tells: every cell is its own patient.

    For demonstrations only. The table that comes back makes :func:`grouped_folds`
    split by image, and so shows what the leak through shared patients is worth.
    """
    return table.assign(subject=table["cell_id"], sha256=table["cell_id"])


def _labels_and_groups(table: pd.DataFrame, n_splits: int) -> tuple[np.ndarray, np.ndarray]:
    """Read labels and groups, and refuse more folds than a class has groups."""
    if n_splits < 2:
        raise InputError("At least 2 folds are needed.")
    labels, groups = table["label"].to_numpy(), group_ids(table)
    if not np.isin(labels, (HEM, ALL)).all():
        raise InputError("Cells without a label cannot be split; leave the final test part out.")
    for label, name in ((HEM, "HEM"), (ALL, "ALL")):
        count = len(np.unique(groups[labels == label]))
        if count < n_splits:
            raise InputError(
                f"{n_splits} folds need at least {n_splits} groups of {name}; there are {count}."
            )
    return labels, groups
