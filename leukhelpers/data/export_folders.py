"""The two folders of the paper, ``ALL/`` and ``HEM/``, and the subjects that they forget.

Many a notebook begins by sorting the cells into a folder a class, and splits them at random
from there on: the folders no longer say whose cell is whose in a way that a program reads. So
a table goes with them, ``cells.csv``, which keeps every cell's subject; with it the new folder
is a data set of its own (:func:`leukhelpers.data.folder.read_own`), and an honest split of
it is still possible. The official folds are not kept: they leak, as lesson 02 shows.
"""

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from leukhelpers import files
from leukhelpers.data.base import DRAWN, TWIN_NOTE, Dataset, Progress
from leukhelpers.data.cards import OWN_CARD, card_file
from leukhelpers.data.folder import CSV, own_table
from leukhelpers.data.label_map import FILE, Meaning, meaning_text
from leukhelpers.data.schema import UNLABELED
from leukhelpers.errors import InputError


def restructure(
    dataset: Dataset, out: Path, progress: Progress = lambda *_: None
) -> dict[str, Any]:
    """Sort the pictures of a data set into a folder a class.

    Nothing is half written: the folders are made beside `out` and renamed at the end. Where the
    file system allows it the pictures are hard links, which take no room; an edit of one then
    changes the source, too.

    Parameters
    ----------
    dataset : Dataset
        Labeled cells.
    out : path
        A folder that does not exist yet, or is empty. It gets a folder for each class, in
        which the files keep their names; ``cells.csv`` (``path,label,subject``);
        ``cells.toml``; the data card; and, with drawn cells, ``twin.json``, which says that
        they are drawn.
    progress : callable, optional
        Called with the number of files placed so far and in all.

    Returns
    -------
    dict
        ``out``, ``images``, ``classes`` (by name: images), ``subjects`` and ``not_carried``
        (how many files of the source had been set aside).

    Raises
    ------
    InputError
        If `out` is in use or lies inside the source, a cell has no label, two files of a
        class have the same name, or the disk fails.
    """
    files.refuse_used(out)
    if out.resolve().is_relative_to(dataset.root.resolve()):
        raise InputError(f"{out} lies inside the data set {dataset.root}; name a folder outside.")
    cells = _plan(dataset)
    try:
        with files.new_folder(out) as unfinished:
            for name in dataset.classes:
                (unfinished / name).mkdir()
            pairs = zip(dataset.table["path"], cells["path"], strict=True)
            for done, (path, new) in enumerate(pairs, start=1):
                # A link to a link would break with either, and a link to nothing must not be made.
                source = (dataset.root / path).resolve(strict=True)
                files.link_or_copy(source, unfinished / new)
                progress(done, len(cells))
            _write_notes(dataset, cells, unfinished)
    except OSError as error:
        raise InputError(
            f"{out} could not be created ({error}); correct this, or name another folder."
        ) from None
    return {
        "out": str(out),
        "images": len(cells),
        "classes": {name: int((cells["label"] == name).sum()) for name in dataset.classes},
        "subjects": int(dataset.table["subject"].nunique()),
        "not_carried": len(dataset.set_aside),
    }


def _plan(dataset: Dataset) -> pd.DataFrame:
    """Make the table ``path,label,subject`` of the new folder, row for row with the old one."""
    table = dataset.table
    if (table["label"] == UNLABELED).any():
        raise InputError("Cells without a label belong in no class folder; leave them out.")
    for name in dataset.classes:
        if name.startswith(".") or set(name) & set('/\\:*?"<>|'):
            raise InputError(f"The class {name!r} cannot name a folder; rename it in {FILE}.")
    label = table["label"].map(dict(enumerate(dataset.classes)))
    path = label + "/" + table["path"].str.rpartition("/")[2]
    # Told apart without extension and letter case: the stem names the cell in the new folder,
    # and some file systems take a.png and A.png for one.
    stem = path.map(lambda path: str(PurePosixPath(path).with_suffix("")).casefold())
    if stem.duplicated().any():
        one, other = table.loc[stem == stem[stem.duplicated()].iloc[0], "path"].iloc[:2]
        raise InputError(
            f"{one} and {other} would have the same name in one folder; rename one of them."
        )
    return own_table(dataset, path)


def _write_notes(dataset: Dataset, cells: pd.DataFrame, folder: Path) -> None:
    """Write what the pictures cannot say: subjects, classes, the card, and if they are drawn."""
    cells.to_csv(folder / CSV, index=False, encoding="utf-8", lineterminator="\n")
    # Which subjects are the same has been decided.
    own = Meaning(dataset.classes, own_subjects=bool(dataset.cautions), alike="different")
    text = meaning_text(own)
    (folder / FILE).write_text(text, "utf-8")
    if card := card_file(dataset):  # C-NMC's license asks to be named with every copy
        shutil.copyfile(card, folder / OWN_CARD)
    if dataset.synthetic:
        (folder / TWIN_NOTE).write_text(DRAWN, "utf-8")
