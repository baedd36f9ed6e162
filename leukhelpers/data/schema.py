"""The cell table, and the one rule that gives a cell its label.

Every other source of labels (folder names, CSV columns) is checked against
:func:`parse_name`; none replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from leukhelpers.errors import InputError

HEM = 0
ALL = 1
CLASS_NAMES = ("HEM", "ALL")
UNLABELED = -1

COLUMNS = ("cell_id", "path", "label", "subject", "fold", "sha256")

_NAME = re.compile(r"UID_(H?)(\d{1,9})_(\d{1,9})_(\d{1,9})_(all|hem)", re.IGNORECASE | re.ASCII)


class CellName(NamedTuple):
    """What the name of a C-NMC file says."""

    subject: str
    image: int
    cell: int
    label: int


def parse_name(stem: str) -> CellName:
    """Read subject, image, cell and label from a C-NMC file name.

    Parameters
    ----------
    stem : str
        File name without folder and extension, such as ``UID_H3_12_1_hem``.
        Letter case does not matter: 36 published names write subject H3 as ``h3``.

    Returns
    -------
    CellName
        ``subject`` in upper case, ``label`` is ``HEM`` (0) or ``ALL`` (1).

    Raises
    ------
    InputError
        If the name does not follow the rule, or if its parts disagree: healthy
        subjects carry an H and end in ``hem``, leukemic ones end in ``all``.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise InputError(
            f"{stem!r} is not named UID_<subject>_<image>_<cell>_<all|hem>; rename or remove it."
        )
    healthy, number, image, cell, ending = match.groups()
    label = ALL if ending.lower() == "all" else HEM
    if bool(healthy) != (label == HEM):
        raise InputError(
            f"{stem!r} contradicts itself: subject {(healthy + number).upper()} "
            f"cannot be {ending.upper()}; correct the name."
        )
    return CellName(healthy.upper() + number, int(image), int(cell), label)


def label_of(name: str) -> int:
    """Turn a class name (``ALL`` or ``HEM``, any letter case) into its label.

    Numbers are refused: in one published table 1 means ALL, in many a notebook HEM.
    """
    for label, known in enumerate(CLASS_NAMES):
        if str(name).strip().upper() == known:
            return label
    raise InputError(
        f"label {name!r} is not known; write the class name, {' or '.join(CLASS_NAMES)}."
    )


def check_labels(names: Sequence[str], labels: npt.ArrayLike) -> None:
    """Compare labels that were made elsewhere with what C-NMC's file names say.

    Catches classes numbered by their sorted names (all = 0), and labels that stand in
    another order than the names.

    Parameters
    ----------
    names : sequence of str
        File names, with or without folder and extension.
    labels : int array of shape (n_names,)
        0 for HEM, 1 for ALL, in the order of `names`.

    Raises
    ------
    InputError
        If a label contradicts its name, or cannot be checked: the numbers of names and
        labels differ, a label is neither 0 nor 1, or a name follows another rule.
    """
    given = np.asarray(labels)
    if given.shape != (len(names),):
        raise InputError(f"There are {len(names)} names but {given.size} labels; give one each.")
    if not np.isin(given, (HEM, ALL)).all():
        raise InputError("Labels must be 0 (HEM) or 1 (ALL); label_of reads class names.")
    try:
        named = [parse_name(PurePath(name).stem).label for name in names]
    except InputError as error:
        raise InputError(f"The labels could not be checked against the names: {error}") from None
    wrong = np.flatnonzero(given != named).tolist()
    if len(wrong) == 0:
        return
    if len(wrong) == len(names):
        cause = "the classes are swapped: HEM = 0, ALL = 1"
    else:
        cause = "names and labels are not in the same order; take each label from its name"
    raise InputError(
        f"{len(wrong)} of {len(names)} labels contradict their file names "
        f"({_some([names[row] for row in wrong], 3)}); {cause}."
    )


def validate(table: pd.DataFrame, n_classes: int = 2) -> pd.DataFrame:
    """Check a cell table and return it with its columns in order.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a cell, with at least the columns ``COLUMNS``.
    n_classes : int, default 2
        Labels go from 0 to ``n_classes - 1``; -1 stands for none.

    Returns
    -------
    pandas.DataFrame
        The same rows, columns in the order of ``COLUMNS``, index 0 … n-1.

    Raises
    ------
    InputError
        If a column is missing, a cell stands twice, a label is unknown, a
        subject is empty or holds a ``+``, or a subject has two labels.
    """
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise InputError(f"The cell table lacks the column(s) {', '.join(missing)}.")
    if table.empty:
        raise InputError("The cell table is empty: no readable cell was found.")
    twice = table.loc[table["cell_id"].duplicated(), "cell_id"].unique()
    if len(twice):
        raise InputError(f"These cells stand twice in the table: {_some(twice)}.")
    unknown = table.loc[~table["label"].isin([UNLABELED, *range(n_classes)]), "label"].unique()
    if len(unknown):
        known = "0 (HEM) or 1 (ALL)" if n_classes == 2 else f"0 to {n_classes - 1}"
        raise InputError(f"Labels must be {known}, not {_some(unknown)}.")
    labeled = table[table["label"] != UNLABELED]
    subjects = labeled["subject"].fillna("").astype(str).str.strip()
    nameless = labeled.loc[subjects == "", "cell_id"]
    if len(nameless):
        raise InputError(f"These cells have no subject: {_some(nameless)}.")
    plus = subjects[subjects.str.contains("+", regex=False)].unique()
    if len(plus):  # groups.group_ids joins subjects by it
        raise InputError(f"Subjects must not contain a +: {_some(plus)}; write another sign.")
    labels_of_subject = labeled.groupby("subject")["label"].nunique()
    both = labels_of_subject.index[labels_of_subject > 1]
    if len(both):
        several = "both labels" if n_classes == 2 else "labels of more than one class"
        raise InputError(f"These subjects have {several}: {_some(both)}.")
    return table.loc[:, list(COLUMNS)].reset_index(drop=True)


def _some(values: object, at_most: int = 5) -> str:
    """Name the first few of many values, in a sentence."""
    listed = [str(value) for value in values]  # type: ignore[attr-defined]
    rest = len(listed) - at_most
    return ", ".join(listed[:at_most]) + (f" and {rest} more" if rest > 0 else "")
