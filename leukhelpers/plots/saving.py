"""Save figures with their alt text, and show them in notebooks."""

import base64
import io
import os
import re
import warnings
from pathlib import Path
from typing import Any

from filelock import FileLock
from matplotlib.figure import Figure
from PIL import Image

from leukhelpers.errors import InputError
from leukhelpers.files import read_if_there, whole_file, write_json
from leukhelpers.plots import lettering
from leukhelpers.plots.style import DPI, styled

HEAVY = 300_000  # bytes of a picture that a notebook holds as it is


@styled  # ticks take their style when they are drawn
def png(figure: Figure, **metadata: str) -> bytes:
    """Write a figure as a PNG picture."""
    options: dict[str, Any] = {"bbox_inches": "tight", "pad_inches": 0.12, "metadata": metadata}
    with warnings.catch_warnings():
        warnings.filterwarnings("error", lettering.MISSING)
        written = io.BytesIO()
        try:
            figure.savefig(written, format="png", dpi=DPI, **options)
        except UserWarning:
            lettering.make_readable(figure)
            written = io.BytesIO()
            figure.savefig(written, format="png", dpi=DPI, **options)
    return written.getvalue()


def save(figure: Figure, folder: str | os.PathLike[str], name: str, alt: str) -> Path:
    """Write a figure as PNG and note its title and alt text beside it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to write.
    folder : path
        Where to; made if it does not exist.
    name : str
        File name without extension: letters, digits, ``-`` and ``_``. A figure of
        the same name is replaced.
    alt : str
        What a reader who cannot see the figure should know.

    Returns
    -------
    pathlib.Path
        ``folder/name.png``. ``folder/figures.json`` maps each name to its ``title``
        and ``alt``; several processes may write to it at once.

    Raises
    ------
    InputError
        If the alt text is empty, the name is no plain file name, or the folder's
        ``figures.json`` cannot be read.
    """
    alt = " ".join(alt.split())
    if not alt:
        raise InputError(f"Figure {name!r} has no alt text; say in words what it shows.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"{name!r} cannot name a figure; use letters, digits, - and _.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.png"
    listing = folder / "figures.json"
    title = " ".join(figure.get_suptitle().split())
    with FileLock(folder / ".figures.json.lock"):
        known = read_if_there(listing)
        known[name] = {"title": title, "alt": alt}
        with whole_file(path) as part:
            part.write_bytes(png(figure, Title=title, Description=alt))
        write_json(listing, dict(sorted(known.items())))
    return path


def show(figure: Figure, folder: str | os.PathLike[str], name: str, alt: str) -> None:
    """Save a figure and display it in the notebook with its alt text.

    A picture that would make the notebook heavy is displayed in somewhat fewer shades; the
    file that is saved has all.

    Parameters
    ----------
    figure, folder, name, alt
        As in :func:`save`. The alt text goes into the metadata of the image, where
        notebook converters look for it, and is the output's plain text.

    Raises
    ------
    InputError
        As :func:`save`.
    """
    from IPython.display import display  # only notebooks need it

    alt = " ".join(alt.split())
    picture = save(figure, folder, name, alt).read_bytes()
    if len(picture) > HEAVY:
        picture = _in_fewer_shades(picture)
    # Text, not bytes: a notebook stores images as base64, and so every kernel sends it.
    shown = {"image/png": base64.b64encode(picture).decode("ascii"), "text/plain": alt}
    display(shown, raw=True, metadata={"image/png": {"alt": alt}})


def _in_fewer_shades(png: bytes) -> bytes:
    """Round red, green and blue to 64 shades: no eye sees it, and maps become half as large."""
    written, picture = io.BytesIO(), Image.open(io.BytesIO(png)).convert("RGB")
    rounded = picture.point(lambda value: round(round(value * 63 / 255) * 255 / 63))
    rounded.save(written, "png", optimize=True)
    return written.getvalue()
