"""What was published as C-NMC 2019: the name and the checksum of every picture.

The package carries a registry of them, ``cnmc_files.csv``, and no pixel. Another file of the
same pixels can be checked against it too: a published BMP is a header that never changes within
its part of the set, and then the pixels, so its bytes can be made again.
"""

import io
import struct
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

DIGITS = 16  # of a checksum, in the registry; enough to tell 15,114 files apart
REGISTRY = Path(__file__).with_name("cnmc_files.csv")

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
    columns = {"label": int} | dict.fromkeys(["path", "fold", "name", "subject", "checksum"], str)
    return pd.read_csv(REGISTRY, comment="#", dtype=columns, keep_default_na=False)


def published_bytes(image: np.ndarray, fold: str) -> bytes:
    """Make the bytes of the BMP file as which a picture was, or would have been, published.

    Parameters
    ----------
    image : numpy.ndarray
        uint8, shape (height, width, 3), RGB.
    fold : str
        ``0``, ``1``, ``2``, ``preliminary`` or ``final``; it decides the header.
    """
    resolution = 0 if fold == "final" else 95.99  # dots per inch
    written = io.BytesIO()
    Image.fromarray(image).save(written, "BMP", dpi=(resolution, resolution))
    content = written.getvalue()
    if fold != "preliminary":
        return content
    start = 54 + len(_COLOR_SPACE)
    beginning = struct.pack("<2s4I", b"BM", len(content) + len(_COLOR_SPACE), 0, start, start - 14)
    return beginning + content[18:54] + _COLOR_SPACE + content[54:]
