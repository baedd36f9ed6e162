"""Your own cells: a CSV with ``path,label,subject``, or a folder of class folders.

::

    cells.csv                     path,label,subject      (paths relative to the CSV)
    my_cells/ALL/<subject>/*.png  my_cells/HEM/<subject>/*.png

Labels are class names, never numbers: in one table 1 means ALL, in another HEM.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from leukhelpers.cells import CLASS_NAMES, InputError, label_of, parse_name
from leukhelpers.datasets.base import Dataset, read_table, set_aside_frame
from leukhelpers.datasets.images import list_files, not_a_picture, readable_cells


def read_own(place: Path | str, cache: Path | None = None) -> Dataset:
    """Read cells of your own.

    Parameters
    ----------
    place : path
        A CSV with the columns ``path``, ``label`` and ``subject``; or a folder that
        holds such a ``cells.csv``; or a folder ``<class>/<subject>/<picture>``.
    cache : path, optional
        Folder for the checksums of the pictures.

    Returns
    -------
    Dataset
        Missing and unreadable files are in ``set_aside``.

    Raises
    ------
    InputError
        If there is neither CSV nor class folder, or a label or subject is missing.
    """
    place = Path(place)
    csv = place if place.is_file() else place / "cells.csv"
    if csv.is_file():
        root = csv.parent
        listed, aside = _from_csv(csv)
    else:
        root = place
        listed, aside = _from_class_folders(place)
    cell_ids = listed["path"].str.replace(r"\.[^./]+$", "", regex=True)
    table = readable_cells(root, listed.assign(cell_id=cell_ids, fold=""), aside, cache)
    name = place.stem if place.is_file() else place.resolve().name
    return Dataset(name, root, table, set_aside_frame(aside))


def _from_csv(csv: Path) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Read ``path,label,subject``; each problem is one sentence with its line."""
    table = read_table(csv, ("path", "label", "subject"))
    nameless = table.index[table["subject"] == ""]
    if len(nameless):
        raise InputError(
            f"{csv.name}, line {nameless[0]}: no subject; without subjects no honest split."
        )
    # One file can be written in many ways: a.png, ./a.png, or from the root.
    files = table["path"].map(lambda path: os.path.abspath(csv.parent / path))
    twice = table.index[files.duplicated()]
    if len(twice):
        raise InputError(f"{csv.name}, line {twice[0]}: this path stands there twice.")
    labels = []
    for line, name in table["label"].items():
        try:
            labels.append(label_of(name))
        except InputError as error:
            raise InputError(f"{csv.name}, line {line}: {error}") from None
        told = _label_in_name(table.at[line, "path"])
        if told not in (None, labels[-1]):
            raise InputError(f"{csv.name}, line {line}: the file's name says {CLASS_NAMES[told]}.")
    table = table.assign(label=labels)
    # os.path.isfile, unlike Path.is_file, also bears a path too long to exist.
    present = files.map(os.path.isfile).astype(bool)
    aside = [(path, "the file is missing") for path in table.loc[~present, "path"]]
    return table[present], aside


def _label_in_name(path: str) -> int | None:
    """Read the label from a name by C-NMC's rule; other names say nothing."""
    try:
        return parse_name(Path(path).stem).label
    except InputError:
        return None


def _from_class_folders(place: Path) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Walk ``<class>/<subject>/<picture>``; anything else is set aside."""
    rows: list[tuple[str, int, str]] = []
    aside: list[tuple[str, str]] = []
    for file in list_files(place):
        path = file.relative_to(place)
        reason = not_a_picture(file)
        if reason is None and len(path.parts) != 3:
            reason = "not at <class>/<subject>/<picture>"
        try:
            label = label_of(path.parts[0])
        except InputError:
            reason = reason or "not inside a folder named ALL or HEM"
        else:
            if reason is None and _label_in_name(path.name) not in (None, label):
                reason = f"its name contradicts its folder {path.parts[0]}"
        if reason:
            aside.append((path.as_posix(), reason))
        else:
            rows.append((path.as_posix(), label, path.parts[1]))
    if not rows:
        raise InputError(
            f"{place} is neither a C-NMC tree, nor has it a cells.csv (path,label,subject), "
            "nor folders ALL/<subject>/ and HEM/<subject>/."
        )
    return pd.DataFrame(rows, columns=["path", "label", "subject"]), aside
