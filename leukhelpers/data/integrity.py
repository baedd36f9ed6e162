"""Tell a whole copy of C-NMC 2019 from a damaged one, and name what is missing or changed.

Files are known by the checksum of their bytes. Where that differs, the picture is decoded and
the published bytes are made of its pixels again: so a copy as PNG, or with another BMP header,
is still checked against the published checksums.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from joblib import Parallel, delayed

from leukhelpers.data import cnmc, pictures, published
from leukhelpers.data.base import Progress, is_drawn
from leukhelpers.errors import InputError

BYTES, CONVERTED = "published bytes", "converted"
NO_COPY = (
    "No copy of C-NMC 2019: no picture is the published one at its place, byte for byte or pixel "
    "for pixel (nor is one that was resized, saved as JPEG, renamed or moved)."
)


def verify(folder: Path, progress: Progress = lambda *_: None) -> dict[str, Any]:
    """Compare a copy of C-NMC 2019 with the published files.

    Parameters
    ----------
    folder : path
        ``C-NMC_Leukemia``, or the folder that holds it.
    progress : callable, optional
        Called with the number of files read so far and in all.

    Returns
    -------
    dict
        For JSON:

        - ``verdict``, a sentence, and ``state``: ``whole``, ``part`` (whole parts, the others
          absent), ``damaged``, or ``unknown`` (no published picture is at its place);
        - ``kind``: ``published bytes``, ``converted`` (the same pixels in other files), or
          ``unknown``;
        - ``parts``: for ``fold_0``, ``fold_1``, ``fold_2``, ``preliminary`` and ``final`` the
          ``state`` (``whole``, ``damaged``, ``absent``), the ``kind``, and the number of
          pictures ``found`` and ``expected``;
        - ``missing``, ``changed`` and ``extra``: the ``path`` and ``reason`` of each file.

    Raises
    ------
    InputError
        If there is no such folder.

    Notes
    -----
    An extra picture makes a copy damaged, for it would be read as one more cell. Extra files
    that are no pictures are only named.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; name the one that holds C-NMC_Leukemia.")
    root = cnmc.find_root(folder) or folder
    listed = published.read_published()
    files = _read(root, listed, progress)
    cells = _match(listed, files)
    parts = {name: _count(part) for name, part in cells.groupby("part", sort=False)}
    absent = [name for name, part in parts.items() if part["state"] == "absent"]
    missing = cells[cells["file"].isna()]
    lost = missing[~missing["part"].isin(absent)]
    changed = _faults(cells[cells["file"].notna() & ~cells["right"]])
    if "preliminary" not in absent and (problem := _problem_of_labels(root, listed)):
        changed.append({"path": cnmc.LABELS.as_posix(), "reason": problem})
    extra = files[~files["file"].isin(cells["file"])]
    n_more = int(extra["file"].str.lower().str.endswith(pictures.IMAGE_SUFFIXES).sum())
    kind = _kind(cells)
    whole = ", ".join(name for name in parts if name not in absent)
    if kind == "unknown":
        state = "unknown"
        verdict = "These cells are synthetic, not C-NMC 2019." if is_drawn(root) else NO_COPY
    elif changed or len(lost) or n_more:
        state = "damaged"
        counts = f"changed: {len(changed):,}, missing: {len(lost):,}, pictures too many: {n_more:,}"
        verdict = f"A damaged copy of C-NMC 2019 ({counts})."
    elif absent:
        state = "part"
        verdict = f"A part of C-NMC 2019 ({kind}), which is whole: {whole}."
    else:
        state, verdict = "whole", f"A whole copy of C-NMC 2019 ({kind})."
    return {
        "verdict": verdict,
        "state": state,
        "kind": kind,
        "parts": parts,
        "missing": [{"path": path, "reason": "missing"} for path in missing["path"]],
        "changed": changed,
        "extra": _faults(extra),
    }


def _read(root: Path, listed: pd.DataFrame, progress: Progress) -> pd.DataFrame:
    """Look at every file; columns ``file`` (its path), ``checksum``, ``kind`` and ``reason``."""
    paths = [file for file in pictures.list_files(root) if file != root / cnmc.LABELS]
    known = listed.drop_duplicates("checksum").set_index("checksum")["path"].to_dict()
    # Threads are enough: reading, hashing and decoding all run outside Python's lock.
    looks = Parallel(n_jobs=os.cpu_count(), prefer="threads", return_as="generator")(
        delayed(_look)(file, known) for file in paths
    )
    rows = []
    for done, (file, look) in enumerate(zip(paths, looks, strict=True), start=1):
        # A name that is not UTF-8 could not be printed.
        name = file.relative_to(root).as_posix().encode(errors="backslashreplace").decode()
        rows.append((name, *look))
        progress(done, len(paths))
    return pd.DataFrame(rows, columns=["file", "checksum", "kind", "reason"], dtype=object)


def _look(file: Path, known: dict[str, str]) -> tuple[str, str, str]:
    """Find out which published picture a file holds: its checksum, how, and a sentence."""
    try:
        if reason := pictures.not_a_picture(file):
            raise InputError(reason)
        for kind, content in _published_forms(pictures.read_content(file)):
            checksum = hashlib.sha256(content).hexdigest()[: published.DIGITS]
            if checksum in known:
                return checksum, kind, f"it holds {known[checksum]}"
    except (InputError, OSError) as error:
        return "", "", getattr(error, "strerror", None) or str(error)
    return "", "", "its pixels match no published image"


def _published_forms(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the bytes of a file, and then those as which its picture could have been published."""
    yield BYTES, content
    image = pictures.decode_image(content)
    for fold in ("0", "preliminary", "final"):  # they differ in their headers
        yield CONVERTED, published.published_bytes(image, fold)


def _match(listed: pd.DataFrame, files: pd.DataFrame) -> pd.DataFrame:
    """Give each published file the one at its place, whatever the extension of that is.

    Returns
    -------
    pandas.DataFrame
        A row for each published file, with the columns of both tables (``file`` is missing where
        nothing stands), the ``part`` of the data set, and whether the file is ``right``.
    """
    extension = r"\.[^./]+$"
    cells = listed.assign(
        place=listed["path"].str.replace(extension, "", regex=True),
        part=listed["fold"].replace({fold: f"fold_{fold}" for fold in "012"}),
    )
    files = files.assign(place=files["file"].str.replace(extension, "", regex=True))
    cells = cells.merge(files, on="place", how="left", suffixes=("", "_found"))
    cells["right"] = cells["checksum"] == cells["checksum_found"]
    # Of a BMP and a PNG copy beside it the one that is right, and of two such the BMP.
    ranked = cells.sort_values(["right", "file"], ascending=[False, True])
    return ranked.drop_duplicates("path").sort_index()


def _count(part: pd.DataFrame) -> dict[str, Any]:
    """Count what was published of one part and what is here."""
    found, expected = int(part["right"].sum()), len(part)
    state = "whole" if found == expected else "damaged"
    state = "absent" if part["file"].isna().all() else state
    return {"state": state, "kind": _kind(part), "found": found, "expected": expected}


def _kind(cells: pd.DataFrame) -> str:
    """Say in what form the published pictures are here."""
    kinds = set(cells.loc[cells["right"], "kind"])
    return next((kind for kind in (CONVERTED, BYTES) if kind in kinds), "unknown")


def _faults(files: pd.DataFrame) -> list[dict[str, str]]:
    """Name files and what is wrong with each."""
    return files[["file", "reason"]].rename(columns={"file": "path"}).to_dict("records")


def _problem_of_labels(root: Path, listed: pd.DataFrame) -> str | None:
    """Compare the preliminary set's table of labels with the published names."""
    try:
        names = cnmc.read_labels(root / cnmc.LABELS)["name"]
    except InputError as error:
        return str(error)
    cells = listed[listed["fold"] == "preliminary"]
    published_names = cells.set_index(cells["path"].map(lambda path: PurePosixPath(path).stem))
    found, expected = (set(n.str.lower().items()) for n in (names, published_names["name"]))
    if differ := {stem for stem, _ in found ^ expected}:
        return f"{len(differ)} row(s) are not the published ones; the first is {min(differ)}.bmp"
    return None
