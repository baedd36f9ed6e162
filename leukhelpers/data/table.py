"""From a folder of images, or another's CSV, to a verified table of cells.

What labels mean and whose cell a picture shows is said, never guessed: classes with
their labels, and a rule that finds the subject.
"""

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from leukhelpers.data.folder import CSV, own_table, read_own
from leukhelpers.data.label_map import FILE, meaning_of, meaning_text
from leukhelpers.errors import InputError
from leukhelpers.files import write_text


def import_folder(
    place: Path | str,
    out: Path | str,
    classes: Mapping[str, Sequence[str]],
    subject_pattern: str | None = None,
    each_image_its_own_subject: bool = False,
    cache: Path | None = None,
    alike_subjects: str = "",
) -> dict[str, Any]:
    r"""Turn a folder of images, or a CSV, into a verified table of cells.

    Every picture is read before a file is written; what is refused leaves nothing behind.
    The pictures stay where they are.

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
    alike_subjects : str
        Whether subjects whose names differ only in case, zeros or signs between are the
        ``same`` person or ``different`` ones. If nothing is said, they are refused.

    Returns
    -------
    dict
        ``out``, ``synthetic``, ``images``, ``classes`` (class → images), ``subjects``
        (number), ``set_aside`` (a list of ``path`` and ``reason``) and ``cautions``.

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
    place, out = Path(os.path.expanduser(place)), Path(out)
    meaning = meaning_of(classes, each_image_its_own_subject, alike_subjects)
    meaning = meaning._replace(pattern=_compiled(subject_pattern, each_image_its_own_subject))
    if not os.path.exists(place):
        raise InputError(f"{place} does not exist; name a folder of images or a CSV.")
    for path in (out / CSV, out / FILE, out):  # nothing is overwritten
        if os.path.lexists(path) and not (path == out and out.is_dir()):
            raise InputError(f"{path} is there already; name another folder with --out.")
    found = read_own(place, cache, meaning)
    root, target = (Path(os.path.realpath(folder)) for folder in (found.root, out))
    cells = own_table(found, [_seen_from(target, root / path) for path in found.table["path"]])
    write_text(out / FILE, meaning_text(meaning))
    write_text(out / CSV, cells.to_csv(index=False))
    return {
        "out": str(out),
        "synthetic": found.synthetic,
        "images": len(cells),
        "classes": cells["label"].value_counts()[list(found.classes)].to_dict(),
        "subjects": int(found.table["subject"].nunique()),
        "set_aside": found.set_aside.to_dict("records"),
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
        classes[name.strip()] = [label.strip() for label in labels.split(",") if label.strip()]
    return classes


def _compiled(pattern: str | None, own_subjects: bool) -> re.Pattern[str] | None:
    """Check the subject pattern."""
    if pattern is None:
        return None
    if own_subjects:
        raise InputError("Give a subject pattern, or say that each image is its own subject.")
    with contextlib.suppress(re.error):
        compiled = re.compile(pattern)
        if compiled.groups == 1:
            return compiled
    raise InputError(
        f"The subject pattern {pattern!r} is no regular expression with one group in brackets, "
        r"as patient(\d+) is."
    )


def _seen_from(folder: Path, file: Path) -> str:
    """Write a path relative to a folder; absolute if it lies on another drive."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:  # Windows
        return file.as_posix()
