"""Your own cells: a CSV with ``path,label,subject``, or a folder of class folders.

::

    cells.csv                     path,label,subject      (paths relative to the CSV)
    my_cells/ALL/<subject>/*.png  my_cells/HEM/<subject>/*.png

Labels are class names, never numbers: in one table 1 means ALL, in another HEM. Other
labels than HEM and ALL, more classes and cells without subjects need a ``cells.toml``
beside them, see :mod:`leukhelpers.data.label_map`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

import pandas as pd

from leukhelpers.data.base import Aside, Dataset, is_drawn, read_table, set_aside_frame
from leukhelpers.data.cards import OWN_CARD
from leukhelpers.data.label_map import FILE, SAY_OWN_SUBJECTS, Meaning, read_meaning
from leukhelpers.data.pictures import list_files, not_a_picture, readable_cells
from leukhelpers.data.schema import UNLABELED, parse_name, validate
from leukhelpers.errors import InputError

CSV = "cells.csv"


def read_own(place: Path | str, cache: Path | None = None) -> Dataset:
    """Read cells of your own.

    Parameters
    ----------
    place : path
        A CSV with the columns ``path``, ``label`` and ``subject``; or a folder that
        holds such a ``cells.csv``; or a folder ``<class>/<subject>/<picture>``. Where
        files are named as in C-NMC the name gives a subject that is missing.
    cache : path, optional
        Folder for the checksums of the pictures.

    Returns
    -------
    Dataset
        Missing and unreadable files are in ``set_aside``. Synthetic if ``twin.json`` says
        so of any cell.

    Raises
    ------
    InputError
        If there is neither CSV nor class folder, a label or subject is missing, a class
        of ``cells.toml`` has no cell, or one picture is of two classes.
    """
    place = Path(place)
    csv = place if place.is_file() else place / CSV
    root = csv.parent
    meaning = read_meaning(root)
    if csv.is_file():
        listed, aside = from_csv(csv, root, meaning)
    else:
        listed, aside = _from_class_folders(place, meaning)
    name = place.stem if place.is_file() else place.resolve().name
    return read_listed(name, root, listed, aside, meaning, cache)


def read_listed(
    name: str, root: Path, listed: pd.DataFrame, aside: Aside, meaning: Meaning, cache: Path | None
) -> Dataset:
    """Read listed pictures into a data set; who has no subject becomes one."""
    cell_ids = listed["path"].str.replace(r"\.[^./]+$", "", regex=True)
    alone = listed["subject"] == ""
    # A + joins the subjects of a group, so no subject may hold one.
    subjects = listed["subject"].where(~alone, cell_ids.str.replace("+", "%2B", regex=False))
    labels = dict(zip(listed["path"], map(meaning.label_of, listed["label"]), strict=True))
    listed = listed.assign(label=UNLABELED, subject=subjects, cell_id=cell_ids, fold="")
    table = readable_cells(root, listed, aside, cache)
    # The labels come last, and are checked where the number of classes is known.
    table["label"] = table["path"].map(labels)
    table = validate(table, len(meaning.classes))
    _check_classes(table, meaning)
    n_alone, n = int(table["path"].isin(listed.loc[alone, "path"]).sum()), len(table)
    which = "Every image was" if n_alone == n else f"{n_alone} of {n} images were each"
    caution = (
        f"{which} taken for a subject of its own, at the user's word; if two images are of one "
        "person, every score here is too good."
    )
    cautions = (caution,) if n_alone else ()
    folders = {root, *((root / path).parent for path in table["path"])}
    drawn = any(map(is_drawn, folders))
    return Dataset(name, root, table, set_aside_frame(aside), drawn, meaning.classes, cautions)


def _check_classes(table: pd.DataFrame, meaning: Meaning) -> None:
    """Refuse a class without cells, and a picture that is of two classes."""
    absent = sorted(set(range(len(meaning.classes))) - set(table["label"]))
    if absent and meaning.labels is not None:
        names = ", ".join(meaning.classes[label] for label in absent)
        raise InputError(f"No readable cell is of the class {names}; correct {FILE} or the cells.")
    cells = table.drop_duplicates(["sha256", "label"])
    both = cells[cells["sha256"].duplicated(keep=False)]
    if not both.empty:
        same = both[both["sha256"] == both["sha256"].iloc[0]]
        classes = same["label"].map(dict(enumerate(meaning.classes)))
        named = " and ".join(same["path"] + " (" + classes + ")")
        raise InputError(
            f"One picture is of two classes: {named} hold the same pixels; correct or remove one."
        )


def from_csv(
    csv: Path, root: Path, meaning: Meaning, pattern: re.Pattern[str] | None = None
) -> tuple[pd.DataFrame, Aside]:
    """Read ``path,label,subject``; each problem is one sentence with its line."""
    table = read_table(csv, ("path", "label"), optional=("subject",))
    # One file can be written in many ways: a.png, ./a.png, or from the root.
    home = os.path.realpath(root)  # .. leads out of the folder itself, not of a link to it
    files = table["path"].map(lambda path: os.path.abspath(os.path.join(home, path)))
    twice = table.index[files.duplicated()]
    if len(twice):
        raise InputError(f"{csv.name}, line {twice[0]}: this path stands there twice.")
    subjects = []
    for line, path, written, given in table.itertuples(name=None):
        try:
            contradiction = meaning.contradiction(meaning.label_of(written), PurePath(path).stem)
            if contradiction:
                raise InputError(f"the file's name says {contradiction}.")
            subjects.append(subject_of(path, given, meaning, pattern))
        except InputError as error:
            raise InputError(f"{csv.name}, line {line}: {error}") from None
    table = table.assign(subject=pd.Series(subjects, index=table.index, dtype=str))
    # os.path.isfile, unlike Path.is_file, also bears a path too long to exist.
    present = files.map(os.path.isfile).astype(bool)
    aside = [(path, "the file is missing") for path in table.loc[~present, "path"]]
    return table[present], aside


def subject_of(
    path: str, given: str, meaning: Meaning, pattern: re.Pattern[str] | None = None
) -> str:
    """Find a picture's subject: by the pattern, as given, or in a name by C-NMC's rule."""
    if pattern is not None:
        match = pattern.search(path)
        if match is None or not (match.group(1) or "").strip():
            raise InputError(f"the subject pattern finds nothing in {path!r}; correct the pattern.")
        return match.group(1).strip()
    if given:
        return given
    try:
        return parse_name(PurePath(path).stem).subject
    except InputError:
        if meaning.own_subjects:
            return ""
    raise InputError(
        "no subject; without subjects no honest split: fill the column subject (leuk data import: "
        f"--subject-pattern), or {SAY_OWN_SUBJECTS}."
    )


def _from_class_folders(place: Path, meaning: Meaning) -> tuple[pd.DataFrame, Aside]:
    """Walk ``<class>/<subject>/<picture>``; anything else is set aside."""
    rows: list[tuple[str, str, str]] = []
    aside: Aside = []
    for file in files_of(place):
        path = file.relative_to(place)
        reason = not_a_picture(file) or _misplaced(path, meaning)
        if reason:
            aside.append((path.as_posix(), reason))
        else:
            given = path.parts[1] if len(path.parts) == 3 else ""
            subject = subject_of(path.as_posix(), given, meaning)
            rows.append((path.as_posix(), path.parts[0], subject))
    if not rows:
        first, second, *_ = meaning.classes
        raise InputError(
            f"{place} is neither a C-NMC tree, nor has it a {CSV} (path,label,subject), "
            f"nor folders {second}/<subject>/ and {first}/<subject>/; for pictures right in the "
            f"class folders, {SAY_OWN_SUBJECTS}."
        )
    return pd.DataFrame(rows, columns=["path", "label", "subject"]), aside


def files_of(place: Path) -> list[Path]:
    """List what lies below a folder, without the course's own small files."""
    return [file for file in list_files(place) if file.name not in (FILE, OWN_CARD)]


def _misplaced(path: PurePath, meaning: Meaning) -> str | None:
    """Say why a picture's place tells neither class nor subject, or None.

    A folder that ``cells.toml`` does not know is an error: its cells would be missed.
    """
    if len(path.parts) not in (2, 3):
        return "not at <class>/<subject>/<picture>"
    try:
        label = meaning.label_of(path.parts[0])
    except InputError as error:
        if meaning.labels is None:
            return "not inside a folder named ALL or HEM"
        raise InputError(f"{path.as_posix()}: {error}") from None
    if meaning.contradiction(label, path.stem):
        return f"its name contradicts its folder {path.parts[0]}"
    if len(path.parts) == 2:
        try:
            subject_of(path.as_posix(), "", meaning)
        except InputError:
            return "not at <class>/<subject>/<picture>"
    return None
