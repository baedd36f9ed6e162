"""Pictures that look alike but are not equal, such as one cell photographed twice.

They are reported beside the equal ones (:func:`leukhelpers.splits.groups.duplicate_pairs`)
and never joined: a checksum proves that two files are one picture, a likeness does not.
"""

import imagehash
import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from PIL import Image

from leukhelpers.errors import InputError

# Of 8, 12, 16, 20 and 24, the size at which copies and other cells lie furthest apart.
HASH_SIZE = 20
DISTANCE = 40

_CHUNK = 64
_MANY_PAIRS = 1_000_000


def near_duplicates(
    pixels: np.ndarray, table: pd.DataFrame, distance: int = DISTANCE
) -> pd.DataFrame:
    """Find the pairs of cells whose pictures look alike but are not equal.

    Each picture is moved so that its light is centered, and hashed by
    :func:`imagehash.phash`: the signs of its 20×20 lowest frequencies against their
    median, 400 bits. Two pictures look alike if at most `distance` bits differ.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8, shape (n_cells, size, size, 3), row for row with `table`; may be a memory
        map.
    table : pandas.DataFrame
        A cell table; ``cell_id``, ``subject``, ``fold`` and ``sha256`` are read.
    distance : int
        The largest number of bits that may differ, of 400.

    Returns
    -------
    pandas.DataFrame
        ``cell_a, subject_a, fold_a, cell_b, subject_b, fold_b, distance``, a row a
        pair, the closest first.

    Raises
    ------
    InputError
        If pictures and table differ in length, or more than a million pairs look alike.

    Notes
    -----
    Measured on fold 0 of C-NMC 2019 (3,527 cells, 6.2 million pairs), size 96, crop 384.
    Of 400 cells, altered copies lay at most 20 bits from the original: JPEG of quality
    85 (12), 5% brighter or darker (12), noise of one level (18), moved by 1 to 3 pixels
    (20). Moved by 8 pixels, the furthest lay at 40. A copy made 5% smaller lay at 70,
    one turned or mirrored at 200: those are not found. Of the pairs of fold 0, 413 lie
    within 40 bits, each one cell in two photographs; the first two cells that only
    resemble one another lie at 46. With a coarse hash (64 bits) unlike cells are equal.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> lesson = lk.begin("02", profile="smoke", run="results")
    Environment: ...
    >>> list(lk.near_duplicates(lesson.images, lesson.table))
    ['cell_a', 'subject_a', 'fold_a', 'cell_b', 'subject_b', 'fold_b', 'distance']
    """
    if len(pixels) != len(table):
        raise InputError(
            f"There are {len(pixels)} pictures and {len(table)} cells; use pictures and table "
            "of one call of build_pixels."
        )
    first, second, apart = _close_pairs(_hashes(pixels), table["sha256"].to_numpy(), distance)
    cells = table[["cell_id", "subject", "fold"]].rename(columns={"cell_id": "cell"})
    pairs = [
        cells.iloc[rows].add_suffix(suffix).reset_index(drop=True)
        for rows, suffix in ((first, "_a"), (second, "_b"))
    ]
    found = pd.concat(pairs, axis="columns").assign(distance=apart)
    return found.sort_values("distance", kind="stable", ignore_index=True)


def _close_pairs(
    hashes: np.ndarray, sha256: np.ndarray, distance: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare all hashes with all, a chunk of rows at a time; give both rows and distance."""
    picture = pd.factorize(sha256)[0]
    rows: list[np.ndarray] = [np.zeros((3, 0), dtype=np.int64)]
    for start in range(0, len(hashes), _CHUNK):
        chunk, later = slice(start, start + _CHUNK), slice(start, None)
        apart = np.bitwise_count(hashes[chunk, None] ^ hashes[None, later]).sum(axis=-1, dtype=int)
        close = (apart <= distance) & (picture[chunk, None] != picture[None, later])
        one, other = np.nonzero(np.triu(close, k=1))
        rows.append(np.stack([one + start, other + start, apart[one, other]]))
        if sum(found.shape[1] for found in rows) > _MANY_PAIRS:
            raise InputError(
                "More than a million pairs look alike, so this tells nothing; "
                "check the pictures, or ask for a smaller distance."
            )
    first, second, apart = np.concatenate(rows, axis=1)
    return first, second, apart


def _hashes(pixels: np.ndarray) -> np.ndarray:
    """Hash every picture; uint64, shape (n, 7), the bits packed and filled up with zeros."""
    bits = Parallel(n_jobs=cpu_count(), require="sharedmem")(
        delayed(_hash)(picture) for picture in pixels
    )
    flat = np.array(bits, dtype=bool).reshape(len(pixels), HASH_SIZE**2)
    filled = np.pad(flat, ((0, 0), (0, -(HASH_SIZE**2) % 64)))
    return np.packbits(filled, axis=1).view(np.uint64)


def _hash(picture: np.ndarray) -> np.ndarray:
    """Hash one picture, wherever in it the cell lies."""
    size = picture.shape[0]
    light = picture.sum(axis=-1, dtype=float)
    places = np.arange(size) - (size - 1) / 2
    total = max(light.sum(), 1.0)  # a black picture has no middle
    down, right = light.sum(axis=1) @ places / total, light.sum(axis=0) @ places / total
    # Two cuts of one cell differ by a pixel or two, and that alone turns a tenth of the bits.
    centered = Image.fromarray(picture).transform(
        (size, size), Image.Transform.AFFINE, (1, 0, right, 0, 1, down), Image.Resampling.BILINEAR
    )
    return imagehash.phash(centered, hash_size=HASH_SIZE).hash.ravel()
