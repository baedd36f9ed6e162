"""Your own cells: a CSV with ``path,label,subject``, or a folder of class folders.

::

    cells.csv                     path,label,subject      (paths relative to the CSV)
    my_cells/ALL/<subject>/*.png  my_cells/HEM/<subject>/*.png

Labels are class names, never numbers: in one table 1 means ALL, in another HEM. Other
labels than HEM and ALL, more classes and cells without subjects need a ``cells.toml``
beside them, see :mod:`leukhelpers.data.label_map`.
"""

import os
from collections.abc import Sequence
from pathlib import Path, PurePath

import pandas as pd

from leukhelpers.data.base import Aside, Dataset, is_drawn, read_table, set_aside_frame
from leukhelpers.data.cards import OWN_CARD
from leukhelpers.data.label_map import ALIKE, FILE, MISSING, SAY_OWN_SUBJECTS, Meaning, read_meaning
from leukhelpers.data.pictures import first_of, list_files, not_a_picture, readable_cells
from leukhelpers.data.schema import looks_like, parse_name, tidy_name
from leukhelpers.errors import InputError

CSV = "cells.csv"


def read_own(place: Path, cache: Path | None = None, meaning: Meaning | None = None) -> Dataset:
    """Read cells of your own.

    Parameters
    ----------
    place : path
        A CSV with the columns ``path``, ``label`` and ``subject``; or a folder that holds such
        a ``cells.csv``; or a folder in which each picture lies below the folder of its class.
        Between the two may lie a folder for each subject. Where files are named as in C-NMC
        the name gives a subject that is missing.
    cache : path, optional
        Folder for the checksums of the pictures.
    meaning : Meaning, optional
        What the labels mean; by default as ``cells.toml`` beside the cells says.

    Returns
    -------
    Dataset
        Missing and unreadable files are in ``set_aside``; so are pictures whose class or
        subject is unclear, unless somebody has said what the labels mean: then they are an
        error. Synthetic if ``twin.json`` says so of any cell.

    Raises
    ------
    InputError
        If there is neither CSV nor class folder, a label or subject is missing, a class
        of ``cells.toml`` has no cell, or one picture is of two classes.
    """
    csv = place if place.is_file() else place / CSV
    root = csv.parent
    meaning = meaning or read_meaning(root)
    listed, aside = _from_csv(csv, meaning) if csv.is_file() else _walk(root, meaning)
    listed = listed.assign(subject=_one_name_each(listed["subject"], meaning))
    cell_ids = listed["path"].str.replace(r"\.[^./]+$", "", regex=True)
    alone = listed["subject"] == ""
    listed = listed.assign(
        cell_id=cell_ids,
        label=listed["label"].map(meaning.label_of).astype(int),
        # A + joins the subjects of a group, so no subject may hold one.
        subject=listed["subject"].where(~alone, cell_ids.str.replace("+", "%2B", regex=False)),
        fold="",
    )
    table, set_aside = readable_cells(root, listed, aside, cache, meaning.classes)
    table.attrs["classes"] = list(meaning.classes)  # for sentences about them
    absent = sorted(set(range(len(meaning.classes))) - set(table["label"]))
    if absent and meaning.labels:
        names = ", ".join(meaning.classes[label] for label in absent)
        raise InputError(f"No cell of class {names} can be read; correct {FILE} or the cells.")
    n_alone, n = int(table["path"].isin(listed.loc[alone, "path"]).sum()), len(table)
    which = "Every image was" if n_alone == n else f"{n_alone} of {n} images were each"
    caution = (
        f"{which} treated as a separate subject, as the user stated; if two images are of one "
        "person, every score here is too good."
    )
    name = place.stem if place.is_file() else place.resolve().name
    folders = {root, *((root / path).parent for path in table["path"])}
    drawn, cautions = any(map(is_drawn, folders)), (caution,) if n_alone else ()
    return Dataset(name, root, table, set_aside, drawn, meaning.classes, cautions)


def _one_name_each(subjects: pd.Series, meaning: Meaning) -> pd.Series:
    """Give each person one name; names that look alike are refused until somebody decides."""
    subjects = subjects.map(tidy_name)
    names = pd.Series(subjects[subjects != ""].unique(), dtype=str)
    alike = names.groupby(names.map(looks_like)).agg(list)
    alike = alike[alike.map(len) > 1]
    if len(alike) and not meaning.alike:
        shown = "; ".join(" and ".join(map(repr, some)) for some in alike.iloc[:3])
        raise InputError(
            f"These subjects look alike: {shown}. Are they one person? Say in {FILE}: "
            f'{ALIKE} = "same" or "different" (leuk data import: --{ALIKE.replace("_", "-")}).'
        )
    if meaning.alike == "same":
        subjects = subjects.replace({name: some[0] for some in alike for name in some})
    return subjects


def _from_csv(csv: Path, meaning: Meaning) -> tuple[pd.DataFrame, Aside]:
    """Read ``path,label,subject``; each problem is one sentence with its line."""
    table = read_table(csv, ("path", "label"), optional=("subject",))
    # One file can be written in many ways: a.png, ./a.png, or from the root.
    home = os.path.realpath(csv.parent)  # .. leads out of the folder itself, not of a link to it
    files = table["path"].map(lambda path: os.path.abspath(os.path.join(home, path)))
    twice = table.index[files.duplicated()]
    if len(twice):
        raise InputError(f"{csv.name}, line {twice[0]}: this path is listed twice.")
    subjects = []
    for line, path, written, given in table.itertuples(name=None):
        try:
            subjects.append(_subject_of(path, written, given, meaning))
        except InputError as error:
            raise InputError(f"{csv.name}, line {line}: {error}") from None
    table = table.assign(subject=pd.Series(subjects, index=table.index, dtype=str))
    # os.path.isfile, unlike Path.is_file, also bears a path too long to exist.
    present = files.map(os.path.isfile).astype(bool)
    aside = [(path, "the file is missing") for path in table.loc[~present, "path"]]
    return table[present], aside


def _walk(place: Path, meaning: Meaning) -> tuple[pd.DataFrame, Aside]:
    """Walk a folder in which each picture lies somewhere below the folder of its class."""
    rows: list[tuple[str, str, str]] = []
    aside: Aside = []
    for file in list_files(place):
        if file.name in (FILE, OWN_CARD):
            continue
        path = file.relative_to(place).as_posix()
        if reason := not_a_picture(file):
            aside.append((path, reason))
            continue
        try:
            rows.append((path, *_label_and_subject(path, meaning)))
        except InputError as error:
            if meaning.labels:  # a folder that was forgotten there would be missed
                raise InputError(f"{path}: {error}") from None
            aside.append((path, str(error)))
    if not rows:
        first, second, *_ = meaning.classes
        raise InputError(
            f"{place} is no copy of C-NMC, and has neither a {CSV} (path,label,subject) nor "
            f"pictures in folders {second}/<subject>/ and {first}/<subject>/"
            f"{first_of(set_aside_frame(aside))}."
        )
    return pd.DataFrame(rows, columns=["path", "label", "subject"]), aside


def _label_and_subject(path: str, meaning: Meaning) -> tuple[str, str]:
    """Find a picture's label and subject in the folders on the way to it."""
    *folders, _ = path.split("/")
    at = [place for place, folder in enumerate(folders) if meaning.find(folder) is not None]
    if not at:
        raise InputError(
            f"it is in no folder named {', '.join(meaning.known)}; name the label of "
            "its folder with --class, or move it elsewhere."
        )
    if len({meaning.find(folders[place]) for place in at}) > 1:
        raise InputError("it is in folders of two classes; move it to one.")
    between = folders[at[-1] + 1 :]
    if len(between) > 1 and meaning.pattern is None:
        raise InputError(
            f"the folders {'/'.join(between)} do not show which one is the subject; "
            "say it with --subject-pattern."
        )
    label = folders[at[-1]]
    return label, _subject_of(path, label, "".join(between), meaning)


def _subject_of(path: str, label: str, given: str, meaning: Meaning) -> str:
    """Find a picture's subject: by the pattern, as given, or in a name by C-NMC's rule.

    A name by that rule must also agree with the label.
    """
    stem = PurePath(path).stem
    if contradiction := meaning.contradiction(meaning.label_of(label), stem):
        raise InputError(f"its name says {contradiction}, its label {label}; correct one.")
    if meaning.pattern is not None:
        match = meaning.pattern.search(path)
        if match is None or not (match.group(1) or "").strip():
            raise InputError(f"the subject pattern finds nothing in {path!r}; correct the pattern.")
        return match.group(1).strip()
    if given.casefold() not in MISSING:
        return given
    try:
        return parse_name(stem).subject
    except InputError:
        if meaning.own_subjects:
            return ""
    none = f"the subject {given!r} stands for none" if given else "no subject"
    raise InputError(
        f"{none}; an honest split needs subjects: fill the column subject (leuk data import: "
        f"--subject-pattern), or {SAY_OWN_SUBJECTS}."
    )


def own_table(dataset: Dataset, paths: Sequence[str]) -> pd.DataFrame:
    """Make the table ``path,label,subject`` that :func:`read_own` reads as the same cells.

    Parameters
    ----------
    dataset : Dataset
    paths : sequence of str
        Where each cell is, as it is written into the table.
    """
    table = dataset.table
    subject = table["subject"]
    if dataset.cautions:  # an image that was taken for a subject must stay known as such
        alone = subject == table["cell_id"].str.replace("+", "%2B", regex=False)
        alone &= ~subject.duplicated(keep=False)  # some people are named like one of their images
        subject = subject.where(~alone, "")
    label = table["label"].map(dict(enumerate(dataset.classes)))
    return pd.DataFrame({"path": paths, "label": label, "subject": subject})
