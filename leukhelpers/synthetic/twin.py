"""The twin: synthetic blood cells in C-NMC's layout, drawn by code.

They let the course run offline, and they carry the truth: what makes a cell leukemic is
known for each of them, as numbers (:func:`read_causes`) and as places in the picture
(:func:`cause_masks`). No real pixel is in them.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import Parallel, delayed
from PIL import Image

from leukhelpers import files
from leukhelpers.errors import InputError
from leukhelpers.synthetic import drawing
from leukhelpers.synthetic.plan import choose_files, plan_pictures, read_names

GENERATOR = 2  # raise it when the same seed no longer gives the same bytes
ROOT = "C-NMC_Leukemia"

_BATCH = 50


def plan_twin(n_images: int = 1200, n_subjects: int = 28, seed: int = 0) -> pd.DataFrame:
    """Plan the files of a twin without drawing any.

    Parameters
    ----------
    n_images, n_subjects : int
        10,661 and 73 give all names of C-NMC's training set; smaller twins have a part
        of them, always the same, with the same pictures.
    seed : int
        Decides what the cells look like, not which files there are.

    Returns
    -------
    pandas.DataFrame
        One row a file, index 0 … n_images-1, columns ``path``, ``cell_id``, ``label``,
        ``subject``, ``fold``, ``drawn_as`` (index of the row whose picture the file
        shows: its own, or that of an earlier row where two files are byte-identical),
        and what the cell looks like:

        - the causes, by which ALL differs from HEM: ``diameter`` (pixels, of a disc as
          large as the cell), ``clumping`` (chromatin, 0 fine to 1 clumped), ``nucleoli``
          (count), ``nucleolus_size`` (radius, pixels), ``nucleolus_contrast`` (gray
          levels), ``irregularity`` (spread of the nuclear radius, relative), ``cleft``
          (depth of the nuclear cleft, relative, 0 without one);
        - what differs by subject and cell, not by class: ``elongation``, ``rim``
          (pixels), ``rim_brightness``, ``cytoplasm`` (height of its cap, relative),
          ``brightness`` and ``hue`` (gray levels), ``contrast`` and ``shading`` (gray
          levels), ``focus`` (0 sharp to 1 soft);
        - mishaps (bool): ``neighbor`` (something touches the cell), ``torn`` (edge),
          ``cut`` (by the edge of the photograph);
        - ``number``, the picture's own number, with which its random draws begin.

    Raises
    ------
    InputError
        If a number is out of bounds.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"The seed must lie between 0 and {2**32 - 1}, not be {seed}.")
    full = plan_pictures(read_names(), seed)
    plan = choose_files(full, n_images, n_subjects)
    drawn_as = plan.index.to_series().groupby(plan["number"]).transform("min")
    plan.insert(plan.columns.get_loc("number"), "drawn_as", drawn_as)
    return plan


def draw_cell(row: Mapping[Any, Any] | pd.Series, seed: int) -> tuple[np.ndarray, dict]:
    """Draw one cell of the plan.

    Parameters
    ----------
    row : mapping or pandas.Series
        A row of :func:`plan_twin` or :func:`read_causes`.
    seed : int
        The seed of the twin.

    Returns
    -------
    pixels : numpy.ndarray
        uint8, shape (450, 450, 3), RGB, cell on black.
    masks : dict of numpy.ndarray
        bool, shape (450, 450): ``cell`` (all that is not black), ``nucleus``,
        ``chromatin`` (the nucleus without its nucleoli), ``nucleoli``, ``outline`` (a
        band along the edge of the nucleus), ``neighbor``.
    """
    return drawing.draw(row if isinstance(row, Mapping) else row.to_dict(), seed)


def write_twin(out: str | Path, n_images: int = 1200, n_subjects: int = 28, seed: int = 0) -> Path:
    """Draw a twin to disk, or find the one that is there.

    The files are drawn into a folder beside ``out`` that is renamed at the very end:
    a run that was killed leaves nothing that could be taken for a twin.

    Parameters
    ----------
    out : path
        Folder for ``C-NMC_Leukemia/``, ``twin.json`` (what was asked for) and
        ``twin.csv`` (the plan, with the causes of each cell).
    n_images, n_subjects, seed : int
        See :func:`plan_twin`.

    Returns
    -------
    pathlib.Path
        ``out / "C-NMC_Leukemia"``.

    Raises
    ------
    InputError
        If a number is out of bounds, or ``out`` holds another twin or anything else.
    """
    out = Path(out).resolve()
    asked = {"n_images": int(n_images), "n_subjects": int(n_subjects), "seed": int(seed)}
    asked = {"generator": GENERATOR, **asked}
    plan = plan_twin(n_images, n_subjects, seed)
    if _is_there(out, asked):
        return out / ROOT
    out.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(out.parent / f".{out.name}.lock"):
        if _is_there(out, asked):  # another process was faster
            return out / ROOT
        with files.new_folder(out) as unfinished:
            _write(unfinished, plan, asked)
    return out / ROOT


def _is_there(out: Path, asked: dict[str, int]) -> bool:
    """Tell a finished twin from no twin, and refuse everything else."""
    note = out / "twin.json"
    if not note.is_file():
        if out.is_file() or (out.is_dir() and any(out.iterdir())):
            raise InputError(f"{out} is not empty and holds no twin; name another folder.")
        return False
    try:
        same = asked.items() <= files.read_json(note).items()
    except (ValueError, AttributeError):
        same = False
    if not same:
        raise InputError(
            f"{out} holds a twin drawn with other numbers or by another version; "
            "name another folder or delete this one."
        )
    n_files = sum(1 for _ in (out / ROOT).rglob("*.bmp"))
    if n_files != asked["n_images"] or not (out / "twin.csv").is_file():
        raise InputError(f"Files of the twin in {out} are missing; delete it and draw it anew.")
    return True


def _write(folder: Path, plan: pd.DataFrame, asked: dict[str, int]) -> None:
    """Write images, ``twin.csv`` and ``twin.json`` into a new folder."""
    for parent in sorted({str(Path(path).parent) for path in plan["path"]}):
        (folder / parent).mkdir(parents=True)
    cells = sorted(plan.to_dict("records"), key=itemgetter("drawn_as"))
    pictures = [list(rows) for _, rows in groupby(cells, itemgetter("drawn_as"))]
    # The bytes do not depend on the number of processes.
    Parallel(n_jobs=2, batch_size=_BATCH)(
        delayed(_write_picture)(folder, rows, asked["seed"]) for rows in pictures
    )
    plan.to_csv(folder / "twin.csv", index=False)
    note = "Synthetic cells, drawn by leukhelpers in the layout of C-NMC 2019. No real pixel."
    files.write_json(folder / "twin.json", {"note": note, **asked})


def _write_picture(folder: Path, rows: list[dict], seed: int) -> None:
    """Draw a picture and write it under all of its names."""
    image = Image.fromarray(drawing.draw(rows[0], seed)[0])
    for row in rows:
        image.save(folder / row["path"], format="BMP")


def _home(root: str | Path) -> Path:
    """Find the folder of ``twin.csv`` from it, or from the C-NMC tree in it."""
    for place in (Path(root), Path(root).parent):
        if (place / "twin.csv").is_file() and (place / "twin.json").is_file():
            return place
    raise InputError(f"{root} holds no twin: real cells have no recorded causes.")


def read_causes(root: str | Path) -> pd.DataFrame:
    """Read what makes each cell of a twin what it is.

    Parameters
    ----------
    root : path
        What :func:`write_twin` returned, or the folder around it.

    Returns
    -------
    pandas.DataFrame
        The plan from which the twin was drawn, see :func:`plan_twin`.

    Raises
    ------
    InputError
        If there is no twin.
    """
    text = {"subject": str, "fold": str}
    return pd.read_csv(_home(root) / "twin.csv", dtype=text, float_precision="round_trip")


def cause_masks(root: str | Path, cell_ids: Iterable[str]) -> dict[str, np.ndarray]:
    """Draw anew where in each cell its causes are.

    Parameters
    ----------
    root : path
        What :func:`write_twin` returned, or the folder around it.
    cell_ids : iterable of str
        Cells, by their ``cell_id``.

    Returns
    -------
    dict of numpy.ndarray
        bool, shape (n_cells, 450, 450), row for row with ``cell_ids``; the names are
        those of :func:`draw_cell`.

    Raises
    ------
    InputError
        If there is no twin, or it has no such cell.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> cells = lk.load_dataset("twin", "data", n_images=200)
    >>> masks = lk.cause_masks(cells.root, cells.table["cell_id"].iloc[:2])
    >>> masks["cell"].shape
    (2, 450, 450)
    """
    seed = files.read_json(_home(root) / "twin.json")["seed"]
    plan = read_causes(root).set_index("cell_id")
    wanted = list(cell_ids)
    unknown = [cell_id for cell_id in wanted if cell_id not in plan.index]
    if unknown:
        raise InputError(f"The twin has no cell {unknown[0]}; take cell_id from its table.")
    drawn = [draw_cell(plan.loc[cell_id], seed)[1] for cell_id in wanted]
    side = drawing.SIDE
    return {
        name: np.array([masks[name] for masks in drawn], dtype=bool).reshape(-1, side, side)
        for name in drawing.MASKS
    }
