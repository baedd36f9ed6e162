"""From a folder of images, or another's CSV, to a verified table of cells.

What labels mean and whose cell a picture shows is said, never guessed: classes with
their labels, and a rule that finds the subject.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from leukhelpers.data import folder as own
from leukhelpers.data.base import Aside, Dataset, set_aside_frame
from leukhelpers.data.label_map import FILE, Meaning, meaning_of, meaning_text, read_meaning
from leukhelpers.data.pictures import not_a_picture
from leukhelpers.errors import InputError


def import_folder(
    place: Path | str,
    out: Path | str,
    classes: Mapping[str, Sequence[str]],
    subject_pattern: str | None = None,
    each_image_its_own_subject: bool = False,
    cache: Path | None = None,
) -> dict[str, Any]:
    r"""Turn a folder of images, or a CSV, into a verified table of cells.

    The table is read back as :func:`leukhelpers.data.folder.read_own` reads it,
    pixels and all, before it is kept; what is refused leaves nothing behind. The
    pictures stay where they are.

    Parameters
    ----------
    place : path
        A folder in which every picture lies below a folder that bears a label, at any
        depth, or a CSV ``path,label[,subject]`` (or a folder with such a ``cells.csv``).
    out : path
        Folder for ``cells.csv`` (paths relative to it) and ``cells.toml``.
    classes : mapping of str to sequence of str
        Class → the labels that mean it, in the order of the classes' numbers. The
        class's own name is a label, too.
    subject_pattern : str, optional
        A regular expression with one group, searched in each picture's path relative to
        `place`, such as ``patient(\d+)``. Without it the subject is the CSV's, or the one
        folder between label and picture, or in a name by C-NMC's rule.
    each_image_its_own_subject : bool
        Whether a picture without a subject is a subject of its own.
    cache : path, optional
        Folder for the checksums of the pictures.

    Returns
    -------
    dict
        ``out``, ``synthetic``, ``images``, ``classes`` (class → images), ``labels``
        (label as it was found → its class), ``subjects`` (number), ``set_aside`` (a list
        of ``path`` and ``reason``) and ``cautions``.

    Raises
    ------
    InputError
        If a picture has no known label or no subject (the first is named), `out` holds
        a table already, or what was found is no valid table.

    Examples
    --------
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> import leukhelpers as lk
    >>> for number in range(4):
    ...     folder = Path("slides", "blast" if number % 2 else "normal")
    ...     folder.mkdir(parents=True, exist_ok=True)
    ...     Image.new("RGB", (60, 60), (90, 40, 100 + number)).save(folder / f"P{number}.png")
    >>> classes = {"HEM": ["normal"], "ALL": ["blast"]}
    >>> found = lk.import_folder("slides", "cells.csv", classes, subject_pattern=r"(P[0-9]+)")
    """
    place, out = Path(place), Path(out)
    meaning = _asked(classes, each_image_its_own_subject)
    pattern = _compiled(subject_pattern, each_image_its_own_subject)
    if not os.path.exists(place):
        raise InputError(f"{place} does not exist; name a folder of images or a CSV.")
    _free(out)
    csv = place if place.is_file() else place / own.CSV
    root = Path(os.path.realpath(csv.parent))
    if csv.is_file():
        listed, aside = own.from_csv(csv, root, meaning, pattern)
    else:
        listed, aside = _from_label_folders(root, meaning, pattern)
    target = Path(os.path.realpath(out))
    listed = listed.assign(path=[_seen_from(target, root / path) for path in listed["path"]])
    found = _keep(out, listed, meaning_text(classes, meaning.own_subjects), cache)
    unread = list(found.set_aside.itertuples(index=False, name=None))
    counts = found.table["label"].value_counts()
    return {
        "out": str(out),
        "synthetic": found.synthetic,
        "images": len(found.table),
        "classes": {name: int(counts[label]) for label, name in enumerate(found.classes)},
        "labels": {
            written: meaning.classes[meaning.label_of(written)]
            for written in sorted(listed["label"].unique())
        },
        "subjects": int(found.table["subject"].nunique()),
        "set_aside": set_aside_frame(aside + unread).to_dict("records"),
        "cautions": list(found.cautions),
    }


def parse_classes(given: Sequence[str]) -> dict[str, list[str]]:
    """Read ``NAME=label,label`` (or ``NAME`` alone) into what :func:`import_folder` takes."""
    classes: dict[str, list[str]] = {}
    for text in given:
        name, _, labels = text.partition("=")
        if not name.strip():
            raise InputError(f"The class {text!r} has no name; write NAME=label,label.")
        if name.strip() in classes:
            raise InputError(f"The class {name.strip()} is given twice; list its labels together.")
        listed = [label.strip() for label in labels.split(",")]
        classes[name.strip()] = [label for label in listed if label]
    if len(classes) < 2:
        raise InputError("At least two classes are needed; give --class once for each.")
    return classes


def _asked(classes: Mapping[str, Sequence[str]], own_subjects: bool) -> Meaning:
    """Check the classes and labels that were asked for."""
    labels: dict[str, str] = {}
    for name, written in classes.items():
        for label in written:
            if labels.setdefault(label, name) != name:
                raise InputError(f"The label {label!r} is given to {labels[label]} and to {name}.")
    return meaning_of(list(classes), labels, own_subjects)


def _compiled(pattern: str | None, own_subjects: bool) -> re.Pattern[str] | None:
    """Check the subject pattern."""
    if pattern is None:
        return None
    if own_subjects:
        raise InputError("Give a subject pattern, or say that each image is its own subject.")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"The subject pattern is no regular expression ({error}).") from None
    if compiled.groups != 1:
        raise InputError(
            rf"The subject pattern needs one group in brackets, as in patient(\d+), "
            f"not {compiled.groups}."
        )
    return compiled


def _free(out: Path) -> None:
    """Refuse to overwrite."""
    if os.path.lexists(out) and not out.is_dir():
        raise InputError(f"{out} is no folder; name another with --out.")
    for name in (own.CSV, FILE):
        if os.path.lexists(out / name):
            raise InputError(f"{out / name} is there already; name another folder with --out.")


def _from_label_folders(
    place: Path, meaning: Meaning, pattern: re.Pattern[str] | None
) -> tuple[pd.DataFrame, Aside]:
    """Walk a folder in which each picture lies somewhere below the folder of its label."""
    rows: list[tuple[str, str, str]] = []
    aside: Aside = []
    for file in own.files_of(place):
        path = file.relative_to(place)
        reason = not_a_picture(file)
        if reason:
            aside.append((path.as_posix(), reason))
            continue
        try:
            rows.append((path.as_posix(), *_label_and_subject(path, meaning, pattern)))
        except InputError as error:
            raise InputError(f"{path.as_posix()}: {error}") from None
    if not rows:
        raise InputError(f"{place} holds no picture; name a folder of images or a CSV.")
    return pd.DataFrame(rows, columns=["path", "label", "subject"]), aside


def _label_and_subject(
    path: PurePath, meaning: Meaning, pattern: re.Pattern[str] | None
) -> tuple[str, str]:
    """Find a picture's label and subject in the folders on the way to it."""
    folders = path.parts[:-1]
    known = meaning.labels or {}
    at = [place for place, folder in enumerate(folders) if folder in known]
    if not at:
        raise InputError(
            f"it lies in no folder that is called {', '.join(known)}; name the label of its "
            "folder with --class, or move it elsewhere."
        )
    if len({known[folders[place]] for place in at}) > 1:
        raise InputError("it lies in folders of two classes; move it to one.")
    contradiction = meaning.contradiction(known[folders[at[-1]]], path.stem)
    if contradiction:
        raise InputError(
            f"its name says {contradiction}, its folder {folders[at[-1]]}; correct one."
        )
    between = folders[at[-1] + 1 :]
    if len(between) > 1 and pattern is None:
        raise InputError(
            f"the folders {'/'.join(between)} leave open which one is the subject; "
            "say it with --subject-pattern."
        )
    return folders[at[-1]], own.subject_of(path.as_posix(), "".join(between), meaning, pattern)


def _seen_from(folder: Path, file: Path) -> str:
    """Write a path relative to a folder; absolute if it lies on another drive."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # Windows
        return file.as_posix()


def _keep(out: Path, listed: pd.DataFrame, meaning: str, cache: Path | None) -> Dataset:
    """Write the table aside, read it back, and move it to its place if it is valid."""
    made = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".part-", dir=out) as folder:
            part = Path(folder)
            (part / FILE).write_text(meaning, "utf-8")
            listed.to_csv(part / own.CSV, index=False)
            read = read_meaning(part)
            again, aside = own.from_csv(part / own.CSV, out, read)
            found = own.read_listed(out.resolve().name, out, again, aside, read, cache)
            for name in (FILE, own.CSV):  # a table without the meaning of its labels never stands
                os.replace(part / name, out / name)
    except BaseException:
        if made:
            out.rmdir()
        raise
    return found
