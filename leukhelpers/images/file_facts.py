"""What the files of a data set are like, apart from the cells that they show.

A model can learn that one class was stored as JPEG, or in smaller pictures, and needs no cell for
that. So such properties are compared between the people of each class.
"""

import functools
import io
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from PIL import Image
from scipy.stats import mannwhitneyu

from leukhelpers.data.base import Dataset
from leukhelpers.data.pictures import decode_image, file_state, read_content
from leukhelpers.data.schema import UNLABELED
from leukhelpers.errors import InputError
from leukhelpers.images.background import black_background
from leukhelpers.images.preprocessing import cell_box

SUBJECTS, FILES = 100, 4  # so many people of each class, and files of each, are looked at
SMALL_CELL = 64  # pixels that the network of the course sees of a cell, in the profile fast
_PEOPLE = 3  # of fewer on either side chance alone separates some number
_AUROC, _P = 0.75, 0.05  # from here on a property predicts the class
_RATIO = 1.25  # compression and levels that are closer come from the cells
_WHOSE, _EDGE = ["label", "subject"], "% with a background not quite black"


def file_facts(dataset: Dataset) -> pd.DataFrame:
    """Measure up to 4 files of each of up to 100 subjects per class, drawn at random.

    Returns
    -------
    pandas.DataFrame
        A row per file: ``label``, ``subject``; ``stored``, from :func:`stored_as`; ``format`` and
        ``mode`` (Pillow's names), ``width`` (of the picture, its longer side),
        ``compression`` (of JPEG the mean of the quantization tables; 0 of what is not compressed;
        else the size of the file over the size that the same pixels have as PNG), ``levels``
        (different values of its pixels), whether its background had to be made black, ``cell``
        (longer side of the cell, in pixels).
    """
    cells = dataset.table[dataset.table["label"] != UNLABELED].sample(frac=1, random_state=0)
    people = cells[_WHOSE].drop_duplicates().groupby("label").head(SUBJECTS)
    some = cells.merge(people).groupby(_WHOSE).head(FILES)[[*_WHOSE, "path"]]
    some["state"] = [file_state(dataset.root / path) for path in some["path"]]
    return _facts(dataset.root, tuple(some.itertuples(index=False, name=None)))


@functools.lru_cache(maxsize=4)
def _facts(root: Path, files: tuple[tuple[int, str, str, str], ...]) -> pd.DataFrame:
    rows = Parallel(n_jobs=cpu_count(), require="sharedmem")(
        delayed(_facts_of)(root, *file) for file in files
    )
    names = ["stored", "format", "mode", "width", "compression", "levels", _EDGE, "cell"]
    return pd.DataFrame([row for row in rows if row], columns=[*_WHOSE, *names])


def _facts_of(root: Path, label: int, subject: str, path: str, _: str) -> tuple | None:
    """Measure one file; None if it cannot be read any more."""
    try:
        content = read_content(root / path)
        image = decode_image(content)
    except (InputError, OSError):
        return None
    with Image.open(io.BytesIO(content)) as opened:
        form, mode, tables = opened.format, opened.mode, getattr(opened, "quantization", None)
    raw = image[..., 0].size * (1 if mode in ("L", "P") else 3)
    if tables:
        compression = float(np.mean(list(tables.values())))
    elif abs(len(content) / raw - 1) < 0.05:  # not compressed; its size over PNG's tells the cell
        compression = 0.0
    else:
        png = io.BytesIO()
        Image.fromarray(image).save(png, "PNG", compress_level=1)
        compression = len(content) / len(png.getvalue())
    left, _top, right, _bottom = cell_box(image)
    levels = np.count_nonzero(np.bincount(image.ravel()))
    gray = 100 * (black_background(image) is not image)
    facts = (form, mode, max(image.shape), compression, levels, gray, right - left)
    return label, subject, stored_as(content), *facts


def stored_as(content: bytes) -> str:
    """Tell format and longer side of a picture file, such as ``PNG, longer side 450 pixels``."""
    with Image.open(io.BytesIO(content)) as opened:
        return f"{opened.format}, longer side {max(opened.size)} pixels"


def crop_of(dataset: Dataset, crop: int) -> int:
    """Return the side of the square to cut out of the middle: `crop`, or less for small cells.

    Pictures that are all smaller than `crop`, and tiny cells, would end as few pixels on black.
    """
    facts = file_facts(dataset)
    if facts["cell"].median() < SMALL_CELL:
        crop = min(crop, 2 * int(facts["cell"].max()))
    return min(crop, int(facts["width"].max())) if len(facts) else crop


def file_cautions(dataset: Dataset) -> list[str]:
    """Warn of files that predict the class, of tiny cells, and of people of several classes.

    The people of each class are compared with all others, not their cells: by the share of their
    files that has some format or color mode, and by the means of picture size and compression.
    A property predicts a class if its AUROC over people is 0.75 or more, and the Mann-Whitney U
    test gives p < 0.05 (or it separates all people, three or more on each side).

    Returns
    -------
    list of str
        Sentences that stand beside every score measured on these cells.
    """
    facts = file_facts(dataset)
    names = {"prefix": ["%", "% color mode"], "prefix_sep": " "}
    kinds = 100 * pd.get_dummies(facts[["format", "mode"]], dtype=float, **names)
    of_files = kinds.join(facts[["width", "compression", "levels", _EDGE]])
    of_people = of_files.groupby([facts["label"], facts["subject"]]).mean()
    found = [
        f"{name} ({', '.join(f'{dataset.classes[k]} {value:.3g}' for k, value in typical)})"
        for name in of_people
        if _predicts(of_people[name])
        for typical in [of_people[name].groupby("label").mean().items()]
    ]
    cautions = []
    if found:
        cautions.append(
            f"The files of the classes differ in {', '.join(found)}: a model can learn that, not "
            "the cells; save all pictures in the same way before you trust a score."
        )
    n_classes = dataset.table.query("label >= 0").groupby("subject")["label"].nunique()
    if n_several := (n_classes > 1).sum():
        cautions.append(
            f"{n_several} of {len(n_classes)} subjects have cells of several "
            "classes: all cells of a subject are kept on one side of each split."
        )
    if (side := facts["cell"].median()) < SMALL_CELL:
        cautions.append(
            f"Half of the cells are at most {side:.0f} pixels wide: of cells smaller than "
            f"{SMALL_CELL} pixels shape and texture cannot be measured well; use larger pictures."
        )
    return cautions


def _predicts(of_people: pd.Series) -> bool:
    """Tell whether a number of each person predicts of some class whether he or she is of it."""
    for label, own in of_people.groupby("label"):
        others = of_people.drop(label, level="label")
        low, high = sorted([own.mean(), others.mean()])
        same = of_people.name in ("compression", "levels") and high <= _RATIO * low
        if same or min(len(own), len(others)) < _PEOPLE:
            continue
        test = mannwhitneyu(own, others)
        auroc = 0.5 + abs(test.statistic / (len(own) * len(others)) - 0.5)
        if auroc == 1 or (auroc >= _AUROC and test.pvalue < _P):
            return True
    return False
