"""The two folders of the paper, ``ALL/`` and ``HEM/``, and the subjects that they forget.

Many a notebook begins by sorting the cells into a folder a class, and splits them at random
from there on: the folders no longer say whose cell is whose in a way that a program reads. So
a table goes with them, ``cells.csv``, which keeps every cell's subject; with it the new folder
is a data set of its own (:func:`leukhelpers.data.folder.read_own`), and an honest split of
it is still possible. The official folds are not kept: they leak, as lesson 02 shows.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from leukhelpers import files
from leukhelpers.data.base import Dataset, Progress
from leukhelpers.data.cards import OWN_CARD, cards_folder
from leukhelpers.data.cnmc import find_root
from leukhelpers.data.folder import CSV, TWIN_NOTE
from leukhelpers.data.label_map import FILE, meaning_text
from leukhelpers.data.schema import CLASS_NAMES, UNLABELED
from leukhelpers.errors import InputError


def restructure(
    dataset: Dataset, out: Path | str, copy: bool = False, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Sort the pictures of a data set into a folder a class.

    Nothing is half written: the folders are made beside `out` and renamed at the end.

    Parameters
    ----------
    dataset : Dataset
        Labeled cells.
    out : path
        A folder that does not exist yet, or is empty. It gets a folder for each class, in
        which the files keep their names; ``cells.csv`` (``path,label,subject``); the data
        card; ``cells.toml`` where classes or subjects need it; and, with drawn cells,
        ``twin.json``, which says that they are drawn.
    copy : bool
        By default the files are linked, which takes no room: hard links, or symbolic links
        where the file system refuses those, or copies where it refuses both. An edit of a
        linked picture changes the source too. True copies.
    progress : callable, optional
        Called with the number of files placed so far and in all.

    Returns
    -------
    dict
        ``out``, ``images``, ``classes`` (by name: images), ``subjects``, ``placed_as`` (how
        many ``hard links``, ``symbolic links``, ``copies``) and ``not_carried`` (how many
        files of the source had been set aside).

    Raises
    ------
    InputError
        If `out` is in use or lies inside the source, a cell has no label, two files of a
        class have the same name, or the disk fails.
    """
    out = Path(out)
    files.refuse_used(out)
    if out.resolve().is_relative_to(dataset.root.resolve()):
        raise InputError(f"{out} lies inside the data set {dataset.root}; name a folder outside.")
    placed = _plan(dataset)
    try:
        with files.new_folder(out) as unfinished:
            ways = _place(dataset, placed, unfinished, copy, progress)
            _write_notes(dataset, placed, unfinished)
    except OSError as error:
        raise InputError(
            f"{out} could not be made ({error}); mend that, or name another folder."
        ) from None
    counts = dataset.table["label"].value_counts()
    return {
        "out": str(out),
        "images": len(placed),
        "classes": {name: int(counts.get(n, 0)) for n, name in enumerate(dataset.classes)},
        "subjects": int(dataset.table["subject"].nunique()),
        "placed_as": dict(ways),
        "not_carried": len(dataset.set_aside),
    }


def _plan(dataset: Dataset) -> pd.Series:
    """Give each cell its new path; the index is that of the table."""
    table = dataset.table
    if (table["label"] == UNLABELED).any():
        raise InputError("Cells without a label belong in no class folder; leave them out.")
    for name in dataset.classes:
        if name.startswith(".") or set(name) & set('/\\:*?"<>|'):
            raise InputError(f"The class {name!r} cannot name a folder; rename it in {FILE}.")
    folders = table["label"].map(dict(enumerate(dataset.classes)))
    placed = folders + "/" + table["path"].str.rpartition("/")[2]
    # Told apart without extension and letter case: the stem names the cell in the new folder,
    # and some file systems take a.png and A.png for one.
    stems = placed.map(lambda path: str(PurePosixPath(path).with_suffix("")).casefold())
    twice = stems[stems.duplicated()]
    if len(twice):
        one, other = table.loc[stems == twice.iloc[0], "path"].iloc[:2]
        raise InputError(
            f"{one} and {other} would have one name in one folder; rename one of them."
        )
    return placed


def _place(
    dataset: Dataset, placed: pd.Series, folder: Path, copy: bool, progress: Progress
) -> Counter[str]:
    """Link or copy each file to its new path, and count the ways that were taken."""
    for name in dataset.classes:
        (folder / name).mkdir()
    ways: Counter[str] = Counter()
    pairs = zip(dataset.table["path"], placed, strict=True)
    for done, (path, new) in enumerate(pairs, start=1):
        # A link to a link would break with either, and a link to nothing must not be made.
        source = (dataset.root / path).resolve(strict=True)
        ways[_put(source, folder / new, copy)] += 1
        progress(done, len(placed))
    return ways


def _put(source: Path, target: Path, copy: bool) -> str:
    """Make one file, in the best way that the file system allows."""
    if not copy:
        for way, make in (("hard links", os.link), ("symbolic links", os.symlink)):
            try:
                make(source, target)
            except OSError:  # another disk, another owner, no such thing here
                continue
            return way
    shutil.copyfile(source, target)
    return "copies"


def _write_notes(dataset: Dataset, placed: pd.Series, folder: Path) -> None:
    """Write what the pictures cannot say: subjects, classes, the card, and if they are drawn."""
    table = dataset.table
    subjects = table["subject"]
    if dataset.cautions:  # an image that was taken for a subject must stay known as such
        alone = subjects == table["cell_id"].str.replace("+", "%2B", regex=False)
        subjects = subjects.where(~alone, "")
    names = table["label"].map(dict(enumerate(dataset.classes)))
    cells = pd.DataFrame({"path": placed, "label": names, "subject": subjects})
    cells.to_csv(folder / CSV, index=False, encoding="utf-8", lineterminator="\n")
    if dataset.classes != CLASS_NAMES or dataset.cautions:
        text = meaning_text({name: [] for name in dataset.classes}, bool(dataset.cautions))
        (folder / FILE).write_text(text, "utf-8")
    card = dataset.root / OWN_CARD
    if find_root(dataset.root) is not None:  # its license asks to be named with every copy
        card = cards_folder() / ("twin.toml" if dataset.synthetic else "cnmc.toml")
    if card.is_file():
        shutil.copyfile(card, folder / OWN_CARD)
    for place in (dataset.root, dataset.root.parent):  # beside the cells, or beside their tree
        if dataset.synthetic and (place / TWIN_NOTE).is_file():
            shutil.copyfile(place / TWIN_NOTE, folder / TWIN_NOTE)
