"""What was published as C-NMC 2019: the name and the checksum of every file.

The package carries a list of them, ``cnmc_files.txt``, and no pixel. Another file of the same
pixels can be checked against it too: a published BMP is a header that never changes within
its part of the set, and then the pixels, so its bytes can be made again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from importlib import resources
from pathlib import PurePosixPath

import numpy as np
import pandas as pd

from leukhelpers.data.cnmc import FOLDERS
from leukhelpers.data.schema import UNLABELED, parse_name

FOLDS = ("0", "1", "2", "preliminary", "final")
DIGITS = 16  # of a checksum, in the list; enough to tell 15,114 files apart

_LIST = "cnmc_files.txt"

# The preliminary BMPs have a longer header, which says that their colors are sRGB.
_COLOR_SPACE = struct.pack(
    "<4I4s9I3I4I",
    *(0xFF0000, 0xFF00, 0xFF, 0xFF000000),  # where red, green, blue and alpha would be
    b"BGRs",
    *(0, 0, 0xFC1EB854, 0, 0, 0xFC666666, 0, 0, 0xFF28F5C4),  # what their writer left there
    *(0, 0, 0),
    *(4, 0, 0, 0),
)


def read_published() -> pd.DataFrame:
    """List the published pictures.

    Returns
    -------
    pandas.DataFrame
        15,114 rows: the training set in the order of fold, class, subject, image and cell, then
        the preliminary and the final test. Columns ``path`` (below ``C-NMC_Leukemia``),
        ``fold`` (``0``, ``1``, ``2``, ``preliminary`` or ``final``), ``name`` (the stem that
        tells subject and class; empty in the final test), ``label``, ``subject``, and
        ``checksum`` (the first 16 digits of the SHA-256 of the file).

    Examples
    --------
    >>> import leukhelpers as lk
    >>> published = lk.read_published()
    >>> len(published)
    15114
    """
    rows: list[tuple[str, str, str, int, str, str]] = []
    for pattern, lines in _sections():
        if "*" not in pattern:
            continue
        before, after = pattern.split("*")
        fold = fold_of(before)
        for line in lines:
            short, checksum, *origin = line.split(" ")
            path = before + short + after
            name = origin[0] if origin else "" if fold == "final" else PurePosixPath(path).stem
            cell = parse_name(name) if name else None
            label, subject = (cell.label, cell.subject) if cell else (UNLABELED, "")
            rows.append((path, fold, name, label, subject, checksum))
    return pd.DataFrame(rows, columns=["path", "fold", "name", "label", "subject", "checksum"])


def read_digests() -> dict[str, str]:
    """Read the published digest of each fold, and of all files under the name ``all``."""
    lines = dict(_sections())["digests"]
    return dict(line.split(" ") for line in lines)


def digest_of(checksums: Iterable[tuple[str, str]]) -> str:
    """One digest over names and checksums: SHA-256 of the sorted lines ``path checksum``.

    Parameters
    ----------
    checksums : iterable of (str, str)
        Path below ``C-NMC_Leukemia``, and all 64 digits of the SHA-256 of its file.
    """
    lines = sorted(f"{path} {checksum}\n" for path, checksum in checksums)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def published_bytes(image: np.ndarray, fold: str) -> bytes:
    """Make the bytes of the BMP file as which a picture was, or would have been, published.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, shape (height, width, 3), RGB.
    fold : str
        One of ``FOLDS``; it decides the header.
    """
    height, width = image.shape[:2]
    rows = np.zeros((height, -(-3 * width // 4) * 4), np.uint8)  # each row fills whole words
    rows[:, : 3 * width] = image[::-1, :, ::-1].reshape(height, -1)  # bottom row first, BGR
    tail = _COLOR_SPACE if fold == "preliminary" else b""
    start = 54 + len(tail)
    resolution = 0 if fold == "final" else 3779  # pixels a metre
    header = struct.pack(
        "<2s3IIiiHH2I2i2I",
        *(b"BM", start + rows.size, 0, start),
        *(start - 14, width, height, 1, 24, 0, rows.size, resolution, resolution, 0, 0),
    )
    return header + tail + rows.tobytes()


def fold_of(path: str) -> str:
    """Tell the fold, or the test set, from a published path."""
    for part in ("preliminary", "final"):
        if path.startswith(f"{FOLDERS[part]}/"):
            return part
    return path.removeprefix(f"{FOLDERS['training']}/fold_")[0]


def _sections() -> list[tuple[str, list[str]]]:
    """Cut the package's list at its lines ``[…]``."""
    text = resources.files("leukhelpers.data").joinpath(_LIST).read_text("utf-8")
    sections: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            sections.append((line[1:-1], []))
        elif not line.startswith("#"):
            sections[-1][1].append(line)
    return sections
