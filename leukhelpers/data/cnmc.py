"""C-NMC 2019, as its publishers and Kaggle lay it out on disk.

::

    C-NMC_Leukemia/
      training_data/fold_0/all/UID_11_10_1_all.bmp      (fold_0, fold_1, fold_2; all, hem)
      validation_data/C-NMC_test_prelim_phase_data/1.bmp       (the preliminary test)
      validation_data/C-NMC_test_prelim_phase_data_labels.csv
      testing_data/C-NMC_test_final_phase_data/1.bmp           (no labels published)

PNG copies are read alike. The label comes from the name
(:func:`leukhelpers.data.schema.parse_name`); the folder, or the CSV's column, must agree.
"""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from leukhelpers.data.base import Aside, Dataset, is_drawn, read_table
from leukhelpers.data.pictures import list_files, not_a_picture, readable_cells
from leukhelpers.data.schema import CLASS_NAMES, UNLABELED, parse_name
from leukhelpers.errors import InputError

_PRELIMINARY = "validation_data/C-NMC_test_prelim_phase_data"

LABELS = Path(f"{_PRELIMINARY}_labels.csv")
FOLDERS = {
    "training": "training_data",
    "preliminary": _PRELIMINARY,
    "final": "testing_data/C-NMC_test_final_phase_data",
}
PARTS = tuple(FOLDERS)

Row = tuple[str, str, int, str, str]  # cell_id, path, label, subject, fold


def find_root(folder: Path) -> Path | None:
    """Find the folder ``C-NMC_Leukemia``: `folder` itself, or one directly inside it.

    A folder with a table of its own is none, however its other folders are called.
    """
    for candidate in (folder, folder / "C-NMC_Leukemia"):
        own = (candidate / "cells.csv").is_file()
        if not own and any((candidate / part).is_dir() for part in FOLDERS.values()):
            return candidate
    return None


def read_cnmc(
    folder: Path, parts: Sequence[str] = ("training",), cache: Path | None = None
) -> Dataset:
    """Read a C-NMC tree into a cell table.

    Parameters
    ----------
    folder : path
        ``C-NMC_Leukemia``, or the folder that holds it.
    parts : sequence of str
        Any of ``training``, ``preliminary`` and ``final``. Test sets are opened only
        when they are asked for by name.
    cache : path, optional
        Folder for the checksums of the pictures, see
        :func:`leukhelpers.data.pictures.digest_images`.

    Returns
    -------
    Dataset
        Synthetic if ``twin.json`` says so, and then called ``twin``. Files that are unreadable,
        or named against the rule, are in ``set_aside``.

    Raises
    ------
    InputError
        If the folder is no copy of C-NMC or holds no readable cell, or if one picture stands
        there with both labels.
    """
    root = find_root(folder)
    if root is None:
        raise InputError(
            f"{folder} is no copy of C-NMC: it has none of {', '.join(FOLDERS.values())}."
        )
    rows: list[Row] = []
    aside: Aside = []
    for part in parts:
        if part not in PARTS:
            raise InputError(f"Part {part!r} is not known; choose from {', '.join(PARTS)}.")
        labels = read_labels(root / LABELS).to_dict("index") if part == "preliminary" else {}
        for file in list_files(root / FOLDERS[part]):
            path = file.relative_to(root).as_posix()
            try:
                rows.append(_cell(file, path, part, labels))
            except InputError as error:
                aside.append((path, str(error)))

    listed = pd.DataFrame(rows, columns=["cell_id", "path", "label", "subject", "fold"])
    table, set_aside = readable_cells(root, listed, aside, cache)
    drawn = is_drawn(root)
    return Dataset("twin" if drawn else root.name, root, table, set_aside, drawn)


def _cell(file: Path, path: str, part: str, labels: dict[Hashable, dict[str, Any]]) -> Row:
    """Tell the cell of a picture, or raise the reason why it is to be set aside.

    In the training set the label comes from the name, and is checked by the folder; in the
    preliminary set from the CSV; in the final set labels and subjects are not public.
    """
    name = file.stem
    if reason := not_a_picture(file):
        raise InputError(reason)
    if part == "final":
        return f"final/{name}", path, UNLABELED, "", part
    if part == "preliminary":
        if name not in labels:
            raise InputError(f"not named in {LABELS.name}")
        return f"{part}/{name}", path, labels[name]["label"], labels[name]["subject"], part
    place = re.fullmatch(r"training_data/fold_([0-9])/(all|hem)/[^/]+", path, re.IGNORECASE)
    if place is None:
        raise InputError("not inside training_data/fold_<0-2>/<all|hem>")
    cell = parse_name(name)
    fold, folder = place.groups()
    if CLASS_NAMES[cell.label] != folder.upper():
        raise InputError(f"its name says {CLASS_NAMES[cell.label]}, its folder {folder.upper()}")
    return name, path, cell.label, cell.subject, fold


def read_labels(csv: Path) -> pd.DataFrame:
    """Read the labels of the preliminary set, each checked against the name beside it.

    Parameters
    ----------
    csv : path
        The table that C-NMC publishes, ``C-NMC_Leukemia`` / ``LABELS``.

    Returns
    -------
    pandas.DataFrame
        Index the stem of the picture (``1``); columns ``name`` (the stem of the name before
        the challenge, such as ``UID_57_29_1_all``), ``subject`` and ``label``.

    Raises
    ------
    InputError
        If the CSV is missing or no CSV, a label contradicts the name beside it, or a picture
        stands there twice; the message names the line.
    """
    if not csv.is_file():
        raise InputError(f"{csv.name} is missing from validation_data; it holds the labels.")
    published = read_table(csv, ("Patient_ID", "new_names", "labels"))
    rows: dict[str, tuple[str, str, int]] = {}
    for line, original, new_name, label in published.itertuples(name=None):
        where = f"{csv.name}, line {line}"
        name = Path(original).stem
        try:
            cell = parse_name(name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        if str(cell.label) != label:  # the CSV writes 1 for ALL, and so do we
            raise InputError(f"{where}: {original} has the label {label!r}; its name differs.")
        stem = Path(new_name).stem
        if not stem or stem in rows:
            raise InputError(f"{where}: the new name {new_name!r} is empty or is listed twice.")
        rows[stem] = (name, cell.subject, cell.label)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["name", "subject", "label"])
