"""From a cell table to one array of small pictures, row for row.

The array lies in a file and is mapped into memory: many lessons and many workers
share it, and it may be larger than memory.
"""

import hashlib
import mmap
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock
from joblib import Parallel, cpu_count, delayed
from PIL import Image

from leukhelpers import files
from leukhelpers.data.base import Aside, Dataset, set_aside_frame
from leukhelpers.data.pictures import file_state, known_digests, load_image, pixel_digest
from leukhelpers.errors import InputError
from leukhelpers.images.background import black_background

# So many pictures, spread over all, tell how an array was made.
_SAMPLE = 256
# The share of black pictures that a set of cells may hold.
_BLACK = 0.1

# Pixels. Crops of the middle of a picture: what is cut out, and what it is shrunk to. Crops to
# the bounding box of the cell, which the network of the course gets: their size by profile.
CENTER_CROP, CENTER_SIZE = 384, 96
BOX_SIZE = {"smoke": 48, "fast": 64, "full": 128}
BOX = 0  # in place of a crop: the square around each cell, whatever its size
_MARGIN = 0.02  # of the cell's length, on each side

# So many cells are one task of a thread: handing out each alone costs a tenth of the reading.
_TOGETHER = 32

# The layout of the cache; a change of the code that fills it must change this number.
VERSION = 2


class Pixels(NamedTuple):
    """The pictures, the rows that they belong to, and what could not be read.

    Attributes
    ----------
    array : numpy.ndarray
        uint8, shape (n_cells, size, size, 3), read-only, mapped from a file.
    table : pandas.DataFrame
        The cell table, row for row with `array`.
    set_aside : pandas.DataFrame
        ``path`` and ``reason`` of the files that could not be read, or were changed
        after the data set was read.
    """

    array: np.ndarray
    table: pd.DataFrame
    set_aside: pd.DataFrame


def cell_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """Find the square around a cell.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, shape (height, width, 3); a cell on black.

    Returns
    -------
    left, top, right, bottom : int
        As long as the cell is long or wide, and a little more; it may reach beyond the
        picture. Of a picture without black it is the picture's own square, and of a black
        one, too.

    Examples
    --------
    >>> import numpy as np
    >>> import leukhelpers as lk
    >>> image = np.zeros((100, 100, 3), np.uint8)
    >>> image[10:30, 50:90] = 90
    >>> lk.cell_box(image)
    (49, -1, 91, 41)
    """
    return _cell_box(black_background(np.asarray(image)))


def _cell_box(image: np.ndarray) -> tuple[int, int, int, int]:
    inside = image[..., 0] != 0
    for channel in range(1, image.shape[-1]):  # ten times as fast as any(axis=-1)
        inside |= image[..., channel] != 0
    if not inside.any():
        inside = ~inside
    spans = [np.flatnonzero(np.any(inside, axis=axis))[[0, -1]] + [0, 1] for axis in (0, 1)]
    longest = max(int(last - first) for first, last in spans)
    side = longest + 2 * round(_MARGIN * longest) if longest < max(inside.shape) else longest
    left, top = (int(first + last - side) // 2 for first, last in spans)
    return left, top, left + side, top + side


def crop_and_resize(image: np.ndarray | Image.Image, size: int, crop: int) -> np.ndarray:
    """Cut the center, or the cell's own box, out of a picture, and average it down.

    Parameters
    ----------
    image : numpy.ndarray or PIL.Image.Image
        uint8, shape (height, width, 3); or the same as an RGB picture of Pillow.
    size : int
        Side of the result in pixels.
    crop : int
        Side of the square that is cut out, in pixels of `image`. A picture smaller
        than that is surrounded with black, so that the scale is the same for all.
        ``BOX`` (0) cuts out :func:`cell_box` instead: then every cell fills the result,
        its shape and grain are seen better, and how large it was is gone.

    Returns
    -------
    numpy.ndarray
        uint8, shape (size, size, 3). Each pixel is the mean of the pixels it covers.

    Examples
    --------
    >>> import numpy as np
    >>> import leukhelpers as lk
    >>> lk.crop_and_resize(np.full((450, 450, 3), 90, np.uint8), size=96, crop=384).shape
    (96, 96, 3)
    """
    pixels = black_background(np.asarray(image))
    picture = Image.fromarray(pixels)
    left, top = (picture.width - crop) // 2, (picture.height - crop) // 2
    box = _cell_box(pixels) if crop == BOX else (left, top, left + crop, top + crop)
    # Pillow's crop fills with black where the box reaches beyond the picture.
    square = picture.crop(box)
    # A box smaller than the result has no pixels to average; repeated ones would be blocks.
    smaller = square.width < size
    way = Image.Resampling.BILINEAR if smaller else Image.Resampling.BOX
    return np.asarray(square.resize((size, size), way))


def build_pixels(
    dataset: Dataset, cache: Path | str, size: int = CENTER_SIZE, crop: int = CENTER_CROP
) -> Pixels:
    """Crop and resize every cell of a data set, once.

    Parameters
    ----------
    dataset : Dataset
        Cells to read.
    cache : path
        Folder of the caches. The array's name is made from the checksums of the
        cells, `size` and `crop`, so that another data set never finds it.
    size : int
        Side of the small pictures in pixels.
    crop : int
        Side of the square that is cut out of the middle, in pixels of the originals, or
        ``BOX``, the square around each cell.

    Returns
    -------
    Pixels
        The array is written whole or not at all: a process that is killed leaves
        nothing that a later one takes for a cache.

    Raises
    ------
    InputError
        If no cell can be read.
    """
    Path(cache).mkdir(parents=True, exist_ok=True)
    table = dataset.table
    aside: Aside = []
    while not table.empty:
        file = Path(cache) / f"pixels-{_key(table, size, crop)}.npy"
        shape = (len(table), size, size, 3)
        with FileLock(f"{file}.lock"):  # whoever comes second waits, and finds the cache
            whole = _is_whole(file, shape)
            unread = [] if whole else _fill(file, dataset.root, table, size, crop)
        if not unread:
            array = np.load(file, mmap_mode="r")
            return Pixels(array, table.reset_index(drop=True), set_aside_frame(aside))
        # Rare: files that went bad after the table was made. The others have a cache of
        # their own, so that one bad moment of a disk is not kept for ever.
        aside += unread
        table = table[~table["path"].isin([path for path, _ in unread])]
    raise InputError("No cell of the data set can be read any more.")


def release_mmap(array: np.ndarray) -> None:
    """Take the pages of a mapped file out of this process; the system's cache keeps them.

    Without this a process that reads all of a large file seems to need all of its memory, and
    is ended where memory is limited. Does nothing to arrays that are not mapped.
    """
    mapped = getattr(array, "_mmap", None)
    # Of a private copy ("c") the pages are all there is of what was changed.
    if mapped is not None and getattr(array, "mode", "c") != "c" and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)


def read_rows(array: np.ndarray, rows: np.ndarray | slice) -> np.ndarray:
    """Copy some rows into memory, and :func:`release_mmap` of the file that they come from."""
    found = np.array(array[rows])
    release_mmap(array)
    return found


def check_pixels(array: np.ndarray, rows: np.ndarray | None = None) -> None:
    """Refuse pictures that a network would take without a word, and learn nothing from.

    Looks at up to 256 pictures, spread over all. It finds values that were scaled
    before, cells that are not there, and most pictures made by ``np.resize``, which cuts
    or repeats values where one expects an average. Of a cell on black it takes the
    black rows at the top. Of a picture without black it puts pieces of one row below
    each other, so that pixels differ more from those below than from those beside
    them; where the old width is a multiple or a simple fraction of the new one, that is
    too little to be sure of, and the pictures pass.

    Parameters
    ----------
    array : numpy.ndarray
        Shape (n, size, size, 3), values 0 to 255; may be a memory map.
    rows : int array of shape (m,), optional
        The rows that will be used; all by default.

    Raises
    ------
    InputError
        If the shape is another, a value is no number or not within 0 to 255, no value
        of the sample exceeds 1, more than a tenth of the pictures is black, or the
        pictures are torn into pieces of rows.
    """
    if array.ndim != 4 or array.shape[1] != array.shape[2] or array.shape[3] != 3:
        raise InputError(f"Pixels must have the shape (n, size, size, 3), not {array.shape}.")
    rows = np.arange(len(array)) if rows is None else np.asarray(rows)
    if len(rows) == 0:
        return
    sample = array[rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows))).astype(int)]]
    if sample.dtype.kind not in "uif" or not np.isfinite(sample).all():
        raise InputError("Some pixels are not numbers; use the images of build_pixels.")
    if sample.min() < 0 or sample.max() > 255:
        raise InputError(
            f"Pixels must lie within 0 to 255, but reach from {sample.min():g} to "
            f"{sample.max():g}; the model scales them itself."
        )
    if 0 < sample.max() <= 1:
        raise InputError(
            "These pixels were scaled to 0 … 1 already; give them as 0 to 255, "
            "the model scales them itself."
        )
    black = ~sample.any(axis=(1, 2, 3))
    fault = "In these pictures no row continues the one above" if _is_torn(sample) else ""
    if black.mean() > _BLACK:
        fault = f"{black.sum()} of {len(sample)} pictures hold no cell"
    if fault:
        raise InputError(
            f"{fault}; was np.resize used to resize? It repeats or cuts values, "
            "lk.crop_and_resize averages."
        )


def _is_torn(sample: np.ndarray) -> bool:
    """Tell pictures whose pixels differ twice as much downwards as they do sideways.

    Measured on C-NMC: 0.99 over 256 cells, 0.71 to 1.39 for single ones; 2.3 to 25 after
    ``np.resize``, but 1.0 to 1.7 where the widths nearly divide.
    """
    if len(sample) < 16:  # a single picture may well have stripes
        return False
    values = sample.astype(np.float32)
    downwards, sideways = (np.abs(np.diff(values, axis=axis)).mean() for axis in (1, 2))
    return bool(downwards > 2 * sideways)


def _is_whole(file: Path, shape: tuple[int, ...]) -> bool:
    """Tell a cache from none, and from one that somebody cut short."""
    try:
        array = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return array.shape == shape and array.dtype == np.uint8


def _fill(file: Path, root: Path, table: pd.DataFrame, size: int, crop: int) -> Aside:
    """Write the cache of all cells; or write none, and return path and reason of the unread."""
    # Whoever holds the lock is alone: a part that lies here was left by a killed process.
    part = file.with_name(f".part-{file.name}")
    known = known_digests(root, file.parent)
    array = np.lib.format.open_memmap(part, "w+", np.uint8, (len(table), size, size, 3))
    files.reserve(part)
    cells = list(zip(table["path"], table["sha256"], strict=True))

    def read_some(array: np.ndarray, first: int) -> Aside:
        bad = []
        for row, (path, sha256) in enumerate(cells[first : first + _TOGETHER], first):
            try:
                image = _load_unchanged(root / path, sha256, known.get(path))
                array[row] = crop_and_resize(image, size, crop)
            except (InputError, OSError) as error:
                bad.append((path, getattr(error, "strerror", None) or str(error)))
        release_mmap(array)
        return bad

    results = Parallel(n_jobs=cpu_count(), require="sharedmem")(
        delayed(read_some)(array, first) for first in range(0, len(cells), _TOGETHER)
    )
    unread = [bad for some in results for bad in some]
    array.flush()
    del array  # Windows moves and removes no file that is mapped
    if unread:
        part.unlink()
    else:
        os.replace(part, file)
    return unread


def _load_unchanged(file: Path, sha256: str, known: tuple[str, str, str] | None) -> Image.Image:
    """Read a picture that must be the one of the table."""
    image = load_image(file)
    # A checksum costs a tenth of the reading. It was made when the table was, and need not be
    # made again of a file that has not changed since; asked after reading, lest it just did.
    unchanged = known is not None and known[:2] == (file_state(file), sha256)
    if not unchanged and pixel_digest(np.asarray(image)) != sha256:
        raise InputError("the file was changed after the table was made")
    return image


def _key(table: pd.DataFrame, size: int, crop: int) -> str:
    """Name a cache by everything that its content depends on."""
    digest = hashlib.sha256(f"{VERSION} {size} {crop}".encode())
    for cell_id, sha256 in zip(table["cell_id"], table["sha256"], strict=True):
        digest.update(f"{cell_id}\0{sha256}\0".encode())
    return digest.hexdigest()[:20]
