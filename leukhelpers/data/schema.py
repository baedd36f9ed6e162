"""The cell table, and the one rule that gives a cell its label.

Every other source of labels (folder names, CSV columns) is checked against
:func:`parse_name`; none replaces it.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

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


def tidy_name(text: str) -> str:
    """Write a person's name in one way: composed letters (NFC), single plain spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def looks_like(subject: str) -> str:
    """Reduce a subject's name to what stays if case, zeros and signs are left out."""
    plain = unicodedata.normalize("NFKC", subject).casefold()
    kinds = {"Pd": "-", "Cf": ""}  # every dash is one, and what has no width is nothing
    plain = "".join(kinds.get(unicodedata.category(letter), letter) for letter in plain).strip()
    plain = re.sub(r"[\s_.-]+", "-", re.sub(r"(?<=\d)\.0+$", "", plain))  # 10.0 is 10
    plain = re.sub(r"(?<!\d)-|-(?!\d)", "", plain)  # a sign matters between two numbers only
    return re.sub(r"\d+", lambda number: str(int(number.group())), plain)


def validate(table: pd.DataFrame, classes: Sequence[str] = CLASS_NAMES) -> pd.DataFrame:
    """Refuse cells of which no honest split could be made.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a cell, with at least the columns ``COLUMNS``; the label -1 stands for none.
    classes : sequence of str
        The name of each label. A person is HEM or ALL; of other classes, such as kinds of cells,
        one person may have several.

    Returns
    -------
    pandas.DataFrame
        The same rows, columns in the order of ``COLUMNS``, index 0 … n-1.

    Raises
    ------
    InputError
        If a labeled cell has no subject, or one whose name holds a ``+``; or if a picture, or a
        subject that may have one, has two labels.
    """
    labeled = table[table["label"] != UNLABELED]
    subjects = labeled["subject"].fillna("").astype(str).str.strip()
    _refuse("These cells have no subject:", labeled.loc[subjects == "", "cell_id"])
    # groups.group_ids joins subjects by it.
    plus = subjects[subjects.str.contains("+", regex=False)].unique()
    _refuse("Subjects must not contain a +; use another character:", plus)
    n_labels = labeled.groupby("subject")["label"].nunique()
    if not set(CLASS_NAMES).isdisjoint(classes):
        _refuse(
            "All cells of one person must be of one class, and these have several; correct labels, "
            "give two people two names, or kinds of cells other names than HEM and ALL; subjects:",
            n_labels.index[n_labels > 1],
        )
    # One of the two labels is wrong, and nothing in the files tells which.
    both = labeled.drop_duplicates(["sha256", "label"])
    both = both[both["sha256"].duplicated(keep=False)].sort_values("sha256", kind="stable")
    _refuse("These files are the same image with two labels; correct or remove one:", both["path"])
    return table.loc[:, list(COLUMNS)].reset_index(drop=True)


def _refuse(fault: str, culprits: Iterable[object]) -> None:
    """Raise an error that names the first culprits, if there are any."""
    if names := [str(culprit) for culprit in culprits]:
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise InputError(f"{fault} {', '.join(names[:5])}{more}.")
