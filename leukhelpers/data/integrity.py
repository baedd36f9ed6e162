"""Tell a whole copy of C-NMC 2019 from a damaged one, and name what is missing or changed.

Files are known by the checksum of their bytes. Where that differs, the picture is decoded and
the published bytes are made of its pixels again: so a copy as PNG, or with another BMP header,
is still checked against the published checksums.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image

from leukhelpers.data import pictures, published
from leukhelpers.data.base import Progress
from leukhelpers.data.cnmc import LABELS, find_root, read_labels
from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError

Rows = list[dict[str, str]]  # path and reason

BYTES, CONVERTED = "published bytes", "converted"
_HEADERS = ("0", "preliminary", "final")  # folds whose files differ in their headers


class _File(NamedTuple):
    """A picture of the copy."""

    path: str
    checksum: str = ""  # of the published bytes that its pixels make, or else of the file
    how: str = ""  # BYTES or CONVERTED if its picture was published
    size: str = ""  # such as 450x450
    reason: str = ""  # why it is no published picture


def verify(folder: Path | str, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Compare a copy of C-NMC 2019 with the published files.

    Parameters
    ----------
    folder : path
        ``C-NMC_Leukemia``, or the folder that holds it.
    progress : callable, optional
        Called with the number of pictures read so far and in all.

    Returns
    -------
    dict
        For JSON:

        - ``verdict``, a sentence, and ``state``: ``whole``, ``part`` (whole parts, the others
          absent), ``damaged``, or ``unknown`` (no published picture is here);
        - ``kind``: ``published bytes``, ``converted`` (the same pixels in other files), or
          ``unknown``;
        - ``digest`` and ``published_digest``: over names and checksums, see
          :func:`leukhelpers.data.published.digest_of`. A converted file counts as the
          published bytes that its pixels make;
        - ``parts``: for ``fold_0``, ``fold_1``, ``fold_2``, ``preliminary`` and ``final`` the
          ``state`` (``whole``, ``damaged``, ``absent``) and ``kind``; ``expected`` and ``found``
          counts (``images`` and, where labels are public, by class); ``converted``, ``changed``,
          ``missing`` and ``extra`` counts; ``sizes`` of the pictures; both digests;
        - ``labels``: ``state``, ``rows`` and ``problem`` of the preliminary set's CSV;
        - ``missing`` (published paths), ``changed`` and ``extra`` (``path`` and ``reason``).

    Raises
    ------
    InputError
        If there is no such folder.

    Notes
    -----
    An extra picture makes a copy damaged, for it would be read as one more cell. Extra files
    that are no pictures are only named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the one that holds C-NMC_Leukemia.")
    root = find_root(folder) or folder
    listed, digests = published.read_published(), published.read_digests()
    files, others = _read(root, set(listed["checksum"]), progress)
    cells, more = _match(listed, files)
    parts = {
        _part_name(str(fold)): _count(part, more, digests[str(fold)])
        for fold, part in cells.groupby("fold", sort=False)
    }
    absent = [name for name, part in parts.items() if part["state"] == "absent"]
    gone = cells[cells["state"] == "missing"]
    missing = gone["published"].tolist()
    lost = gone.loc[~gone["fold"].map(_part_name).isin(absent), "published"].tolist()
    holds = listed.groupby("checksum")["path"].agg(list).to_dict()
    changed = _named(cells[cells["state"] == "changed"], holds, "it holds")
    extra = _named(more, holds, "a copy of")
    labels = _check_labels(root, others, listed)
    if labels["state"] == "damaged":
        changed.append({"path": labels["path"], "reason": labels["problem"]})
    elif labels["state"] == "absent" and "preliminary" not in absent:
        missing.append(LABELS.as_posix())
        lost.append(LABELS.as_posix())
    right = cells[cells["state"] == "right"]
    if len(right):
        misses = [{"path": path, "reason": "missing"} for path in lost]
        faults = {"changed": changed, "missing": misses, "extra": extra}
        state, verdict = _judge(parts, faults, right, len(missing))
    else:
        state, verdict = "unknown", _no_copy(root, files)
    return {
        "verdict": verdict,
        "state": state,
        "folder": str(folder),
        "kind": _kind(right),
        "digest": _digest(cells),
        "published_digest": digests["all"],
        "parts": parts,
        "labels": labels,
        "missing": missing,
        "changed": changed,
        "extra": extra + [row for row in others if row["path"] != labels["path"]],
    }


def _read(root: Path, known: set[str], progress: Progress) -> tuple[pd.DataFrame, Rows]:
    """Look at every picture; give the other files with the reason why they are none."""
    listed: list[tuple[Path, str]] = []
    files: list[_File] = []
    others: Rows = []
    for file in pictures.list_files(root):
        # A name that is not UTF-8 could not be printed.
        path = file.relative_to(root).as_posix().encode(errors="backslashreplace").decode()
        reason = pictures.not_a_picture(file)
        if reason is None:
            listed.append((file, path))
        elif file.suffix.lower() in pictures.IMAGE_SUFFIXES:
            files.append(_File(path, reason=reason))
        else:
            others.append({"path": path, "reason": reason})
    # Threads are enough: reading, hashing and decoding all run outside Python's lock.
    looks = Parallel(n_jobs=os.cpu_count(), prefer="threads", return_as="generator")(
        delayed(_look)(file, path, known) for file, path in listed
    )
    for done, look in enumerate(looks, start=1):
        files.append(look)
        progress(done, len(listed))
    return pd.DataFrame(files, columns=_File._fields, dtype=object), others


def _look(file: Path, path: str, known: set[str]) -> _File:
    """Find out whether a file holds a published picture; `known` are the checksums of those."""
    checksum = ""
    try:
        if file.stat().st_size > pictures.MAX_BYTES:
            raise InputError("the file is too large")
        content = file.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        if checksum[: published.DIGITS] in known:
            with Image.open(io.BytesIO(content)) as header:
                return _File(path, checksum, BYTES, f"{header.width}x{header.height}")
        image = pictures.decode_image(content)
    except (InputError, OSError) as error:
        return _File(path, checksum, reason=getattr(error, "strerror", None) or str(error))
    size = f"{image.shape[1]}x{image.shape[0]}"
    for fold in _HEADERS:
        made = hashlib.sha256(published.published_bytes(image, fold)).hexdigest()
        if made[: published.DIGITS] in known:
            return _File(path, made, CONVERTED, size)
    return _File(path, checksum, "", size, f"its pixels ({size}) are those of no published picture")


def _match(listed: pd.DataFrame, files: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give each published file the one that stands at its place in the copy.

    Returns
    -------
    cells : pandas.DataFrame
        A row for each published file: its ``published`` path, ``expected`` checksum, ``fold``
        and ``label``; the columns of :class:`_File`, of the file that stands there; and its
        ``state``: ``right``, ``changed`` or ``missing``.
    more : pandas.DataFrame
        The files that are none of them.
    """
    listed = listed.rename(columns={"path": "published", "checksum": "expected"})
    listed["place"] = listed["published"].map(_without_suffix)
    files = files.assign(place=files["path"].map(_without_suffix))
    cells = listed.merge(files, on="place", how="left", indicator="state")
    wrong = cells["checksum"].str[: published.DIGITS] != cells["expected"]
    missing = cells["state"] == "left_only"
    cells["state"] = np.select([missing, wrong], ["missing", "changed"], "right")
    # Of a BMP and a PNG copy beside it the one that is right, and of two such the BMP.
    ranked = cells.assign(wrong=wrong, other=cells["path"] != cells["published"])
    best = ranked.sort_values(["wrong", "other", "path"]).drop_duplicates("published").index
    cells = cells.loc[best.sort_values()]
    return cells, files[~files["path"].isin(cells["path"])]


def _without_suffix(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _stem(path: str) -> str:
    return PurePosixPath(path).stem.lower()


def _named(files: pd.DataFrame, holds: dict[str, list[str]], relation: str) -> Rows:
    """Name files and what is wrong with each; equal pictures are distinguished by their name."""
    named = []
    for path, checksum, reason in files[["path", "checksum", "reason"]].itertuples(index=False):
        if not reason:
            paths = holds[checksum[: published.DIGITS]]
            same = [other for other in paths if _stem(other) == _stem(path)]
            reason = f"{relation} {(same or paths)[0]}"
        named.append({"path": path, "reason": reason})
    return named


def _count(cells: pd.DataFrame, more: pd.DataFrame, digest: str) -> dict[str, Any]:
    """Count what was published of one part and what is here."""
    right = cells[cells["state"] == "right"]
    n_changed, n_missing = (
        int((cells["state"] == state).sum()) for state in ("changed", "missing")
    )
    folders = {f"{PurePosixPath(path).parent}/" for path in cells["published"]}
    n_extra = sum(path.startswith(tuple(folders)) for path in more["path"])
    state = "damaged" if n_changed or n_missing or n_extra else "whole"
    sizes = cells.loc[cells["size"].fillna("") != "", "size"].value_counts()
    classes = [label for label in (ALL, HEM) if label in set(cells["label"])]
    return {
        "state": state if n_missing < len(cells) else "absent",
        "kind": _kind(right),
        "expected": _counts(cells, classes),
        "found": _counts(right, classes),
        "converted": int((right["how"] == CONVERTED).sum()),
        "changed": n_changed,
        "missing": n_missing,
        "extra": n_extra,
        "sizes": sizes.to_dict(),
        "digest": _digest(cells),
        "published_digest": digest,
    }


def _part_name(fold: str) -> str:
    return f"fold_{fold}" if fold.isdigit() else fold


def _counts(cells: pd.DataFrame, classes: list[int]) -> dict[str, int]:
    """Count images, and those of each class."""
    by_class = {CLASS_NAMES[label]: int((cells["label"] == label).sum()) for label in classes}
    return {"images": len(cells), **by_class}


def _kind(right: pd.DataFrame) -> str:
    """Say in what form the published pictures are here."""
    return next((kind for kind in (CONVERTED, BYTES) if kind in set(right["how"])), "unknown")


def _digest(cells: pd.DataFrame) -> str:
    """Digest the names and checksums of those published files that are here in some state."""
    here = cells.loc[cells["state"] != "missing", ["published", "checksum"]]
    return published.digest_of(here.itertuples(index=False, name=None))


def _check_labels(root: Path, others: Rows, listed: pd.DataFrame) -> dict[str, Any]:
    """Compare the preliminary set's table of labels with the published names."""
    places = [row["path"] for row in others if PurePosixPath(row["path"]).name == LABELS.name]
    found = {"state": "absent", "path": "", "rows": 0, "problem": ""}
    if not places:
        return found
    path = LABELS.as_posix() if LABELS.as_posix() in places else places[0]
    found |= {"state": "damaged", "path": path}
    try:
        names = read_labels(root / path)["name"].str.lower()
    except InputError as error:
        return {**found, "problem": str(error)}
    found["rows"] = len(names)
    cells = listed[listed["fold"] == "preliminary"]
    expected = cells.set_index(cells["path"].map(_stem))["name"].str.lower()
    names, expected = names.align(expected, fill_value="")
    differ = names.index[names != expected]
    if differ.empty:
        return {**found, "state": "whole"}
    problem = f"{len(differ)} row(s) are not the published ones; the first is {differ[0]}.bmp"
    return {**found, "problem": problem}


def _no_copy(root: Path, files: pd.DataFrame) -> str:
    """Say why no published picture is at its place."""
    if any((place / "twin.json").is_file() for place in (root, root.parent)):
        return "These cells are drawn, not C-NMC 2019."
    if files["how"].any():
        return (
            "Pictures of C-NMC 2019, but in other folders than the published ones, or under other "
            "names; only a copy with the published folders and names can be verified."
        )
    if files.empty:
        return "No copy of C-NMC 2019: there is no picture here."
    return (
        "No copy of C-NMC 2019: no picture here is a published one, byte for byte or pixel "
        "for pixel (nor is one that was resized or saved as JPEG)."
    )


def _judge(
    parts: dict[str, dict[str, Any]], faults: dict[str, Rows], right: pd.DataFrame, n_missing: int
) -> tuple[str, str]:
    """Put what was found into one word and one sentence."""
    absent = [name for name, part in parts.items() if part["state"] == "absent"]
    if counts := ", ".join(f"{len(rows):,} {name}" for name, rows in faults.items() if rows):
        first = next(row for rows in faults.values() for row in rows)
        others = f" Not here at all: {_spoken(absent)}." if absent else ""
        return "damaged", (
            f"Damaged: {counts}; the first is {first['path']} ({first['reason']}).{others}"
        )
    converted = right.loc[right["how"] == CONVERTED, "path"]
    formats = sorted({PurePosixPath(path).suffix[1:].upper() for path in converted})
    how = f"converted to {' and '.join(formats)}" if formats else "in its published bytes"
    if not absent:
        return "whole", f"A whole copy of C-NMC 2019, {how}."
    whole = _spoken([name for name in parts if name not in absent])
    are = "are" if " and " in whole or whole.startswith("folds") else "is"
    return "part", (
        f"{whole[0].upper()}{whole[1:]} {are} whole ({how}); "
        f"{n_missing:,} published files are missing."
    )


def _spoken(names: Sequence[str]) -> str:
    """Say ``fold_0`` and ``final`` as people do: fold 0 of the training set and the final test."""
    folds = [name[-1] for name in names if name.startswith("fold_")]
    spoken = [f"the {name} test" for name in names if not name.startswith("fold_")]
    if len(folds) == 3:
        spoken.insert(0, "the training set")
    elif folds:
        number = "folds" if len(folds) > 1 else "fold"
        spoken.insert(0, f"{number} {' and '.join(folds)} of the training set")
    return " and ".join(spoken)
