"""From files to RGB pixels, and to the checksum that tells equal pictures."""

import hashlib
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from PIL import Image, UnidentifiedImageError

from leukhelpers.data.base import Aside, set_aside_frame
from leukhelpers.data.schema import CLASS_NAMES, validate
from leukhelpers.errors import InputError
from leukhelpers.files import read_json, write_json

IMAGE_SUFFIXES = (".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
# What one picture of a cell may be at most; C-NMC's are 450 pixels wide, of 0.6 MB.
MAX_BYTES = 20_000_000
MAX_SIDE = 4096  # pixels
_FORMATS = ("BMP", "PNG", "JPEG", "TIFF", "WEBP")
_MODES = ("RGB", "RGBA", "L", "P")


def read_image(path: Path | str) -> np.ndarray:
    """Decode a picture wholly.

    Parameters
    ----------
    path : path
        A BMP, PNG, JPEG, TIFF or WebP file of 8 bits a channel.

    Returns
    -------
    numpy.ndarray
        uint8, shape (height, width, 3), RGB; what is transparent becomes black.

    Raises
    ------
    InputError
        If the file is empty, cut short, no picture, larger than `MAX_BYTES` or `MAX_SIDE`, of
        another depth or color mode, or has several frames.
    """
    return np.asarray(load_image(path))


def load_image(path: Path | str) -> Image.Image:
    """Decode a picture as :func:`read_image` does, into Pillow's own form.

    That saves a copy, during which no other thread of this process can work.
    """
    return _decoded(read_content(path))


def read_content(path: Path | str) -> bytes:
    """Read the bytes of a picture file, and of one that is too large only the beginning."""
    with Path(path).open("rb") as file:
        return file.read(MAX_BYTES + 1)


def decode_image(content: bytes) -> np.ndarray:
    """Decode the bytes of a picture file; see :func:`read_image`."""
    return np.asarray(_decoded(content))


def _decoded(content: bytes) -> Image.Image:
    if not content:
        raise InputError("the file is empty")
    if len(content) > MAX_BYTES:
        raise InputError("the file is too large")
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if max(image.size) > MAX_SIDE:  # before any pixel is decoded
                raise InputError(f"the picture is longer or wider than {MAX_SIDE} pixels")
            if image.mode not in _MODES:
                raise InputError(f"the picture's color mode {image.mode} is not 8-bit RGB")
            # Pillow would drop the lower byte of 16-bit RGB and all frames but the first.
            bits = getattr(image, "tag_v2", {}).get(258, 8)  # of a TIFF
            if re.search(r";16[BLN]", str(image.tile)) or np.max(bits) > 8:
                raise InputError("the picture has 16 bits a channel, not 8")
            # A second picture that a telephone adds to a JPEG (MPO) is smaller or of another side.
            if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
                raise InputError("the image has several frames; save one of them as a file")
            if image.has_transparency_data:
                black = Image.new("RGBA", image.size, (0, 0, 0, 255))
                return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
            return image.convert("RGB")
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError("the file is not a picture that can be read") from None
    except Image.DecompressionBombError:
        raise InputError("the picture is too large") from None
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError, struct.error, …
        raise InputError(f"the picture is damaged ({error})") from None


def pixel_digest(image: np.ndarray) -> str:
    """SHA-256 of the shape and the decoded pixels.

    A BMP and its PNG copy have the same digest, and so have two BMP files that
    differ only in their headers.
    """
    digest = hashlib.sha256(f"{image.shape[0]}x{image.shape[1]}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


def digest_images(root: Path, paths: Sequence[str], cache: Path | None = None) -> pd.DataFrame:
    """Read every picture once, and say which cannot be read.

    Parameters
    ----------
    root : path
        The folder to which `paths` are relative.
    paths : sequence of str
        Files to read, ``/`` between folders.
    cache : path, optional
        A folder that keeps the results. A file is read again if its size or one of its
        times of change is another, or if it could not be read.

    Returns
    -------
    pandas.DataFrame
        A row for each path: ``path``, ``sha256`` (empty where unreadable) and
        ``reason`` (empty where readable).
    """
    known = known_digests(root, cache)

    def digest(path: str) -> tuple[str, str, str]:
        state = file_state(root / path)  # before it is read, so that a later change shows
        if state and known.get(path, ("",))[0] == state and not known[path][2]:
            return known[path]
        try:
            return state, pixel_digest(read_image(root / path)), ""
        except InputError as error:
            return "", "", str(error)  # not kept: a later version may read the file
        except OSError as error:  # what failed on a disk may pass, so it is not kept
            return "", "", error.strerror or str(error)

    # Threads are enough: decoding and hashing both run outside Python's lock.
    new = Parallel(n_jobs=cpu_count(), require="sharedmem")(delayed(digest)(path) for path in paths)
    entries = {**known, **dict(zip(paths, new, strict=True))}
    lasting = {path: entry for path, entry in entries.items() if entry[0]}
    if cache is not None and lasting != known:
        write_json(_digests_of(root, cache), lasting)
    rows = [(path, *entries[path][1:]) for path in paths]
    return pd.DataFrame(rows, columns=["path", "sha256", "reason"])


def known_digests(root: Path, cache: Path | None) -> dict[str, tuple[str, str, str]]:
    """Tell what :func:`digest_images` has kept of a folder's pictures.

    Returns
    -------
    dict
        Path → state of the file when it was read (see :func:`file_state`), checksum, reason.
        Empty if nothing is kept, or somebody cut the list short.
    """
    if cache is None:
        return {}
    try:
        kept = read_json(_digests_of(root, cache))
        return {path: (str(one), str(two), str(three)) for path, (one, two, three) in kept.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def file_state(file: Path) -> str:
    """Write down size and times of a file, so that a change is noticed; empty if it is gone."""
    try:
        stat = os.stat(file)
    except OSError:
        return ""
    # A copy can keep the time of modification; it cannot keep the other.
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _digests_of(root: Path, cache: Path) -> Path:
    """Name the list of what was read below a folder."""
    place = hashlib.sha256(str(root.resolve()).encode(errors="surrogateescape"))
    return cache / f"digests-{place.hexdigest()[:20]}.json"


def list_files(folder: Path) -> list[Path]:
    """List everything below a folder, in a fixed order.

    Links to folders are not followed, for they may run in a circle. They are listed,
    as are folders that must not be opened, so that :func:`not_a_picture` names them.
    """
    found: list[Path] = []
    if folder.is_dir():
        walk = os.walk(folder, onerror=lambda error: found.append(Path(error.filename)))
        for place, folders, names in walk:
            links = [name for name in folders if os.path.islink(os.path.join(place, name))]
            found += [Path(place, name) for name in names + links]
    return sorted(found)


def not_a_picture(file: Path) -> str | None:
    """Say why a file need not even be opened, or None."""
    if not os.path.isfile(file):
        return "no file that can be opened; links to folders are not followed"
    if any("\ud800" <= sign <= "\udfff" for sign in str(file)):  # Python's stand-ins for bytes
        return "its name is not UTF-8; rename it"
    if file.suffix.lower() not in IMAGE_SUFFIXES:
        return f"{file.suffix or 'a file without extension'} is no picture format"
    return None


def readable_cells(
    root: Path,
    listed: pd.DataFrame,
    aside: Aside,
    cache: Path | None,
    classes: Sequence[str] = CLASS_NAMES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read listed cells into a valid cell table.

    Parameters
    ----------
    root : path
        The folder to which the paths are relative.
    listed : pandas.DataFrame
        Columns ``cell_id, path, label, subject, fold``; each path once.
    aside : list of (str, str)
        Path and reason of what is set aside already.
    cache : path or None
        See :func:`digest_images`.
    classes : sequence of str
        See :func:`leukhelpers.data.schema.validate`.

    Returns
    -------
    table, set_aside : pandas.DataFrame
        In ``set_aside`` are also what cannot be read, and a picture whose cell was read already
        (``1.png`` beside ``1.bmp``).

    Raises
    ------
    InputError
        If no cell is left, or the table is not valid.
    """
    digests = digest_images(root, listed["path"].tolist(), cache)
    frame = listed.merge(digests, on="path", how="left", validate="one_to_one")
    readable = frame[frame["reason"] == ""]
    again = readable["cell_id"].duplicated()
    frame.loc[again.index[again], "reason"] = "a cell with this name was already read"
    unread = frame.loc[frame["reason"] != "", ["path", "reason"]]
    set_aside = set_aside_frame([*aside, *unread.itertuples(index=False, name=None)])
    if readable.empty:
        raise InputError(f"{root} holds no readable cell of those asked for{first_of(set_aside)}.")
    return validate(frame[frame["reason"] == ""], classes), set_aside


def first_of(set_aside: pd.DataFrame) -> str:
    """Say how many files were set aside, and why the first was."""
    if set_aside.empty:
        return ""
    path, reason = set_aside.iloc[0]
    return f" ({len(set_aside)} set aside; the first is {path}: {reason.rstrip('.')})"
