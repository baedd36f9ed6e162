"""Tell a whole copy of C-NMC 2019 from a damaged one, and name what is missing or changed.

Files are known by the checksum of their bytes. Where that differs, the picture is decoded and
the published bytes are made of its pixels again: so a copy as PNG, or with another BMP header,
is still checked against the published checksums.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd
from joblib import Parallel, delayed
from PIL import Image

from leukhelpers.data.cnmc import LABELS, find_root, read_labels
from leukhelpers.data.pictures import (
    IMAGE_SUFFIXES,
    MAX_BYTES,
    decode_image,
    list_files,
    not_a_picture,
)
from leukhelpers.data.published import (
    DIGITS,
    digest_of,
    published_bytes,
    read_digests,
    read_published,
)
from leukhelpers.data.schema import CLASS_NAMES, UNLABELED
from leukhelpers.errors import InputError

BYTES, CONVERTED = "published bytes", "converted"
_HEADERS = ("0", "preliminary", "final")  # folds whose files differ in their headers
_NO_COPY = {
    "drawn": "These cells are drawn, not C-NMC 2019.",
    "moved": "Pictures of C-NMC 2019, but in other folders than the published ones, or under other "
    "names; only a copy with the published folders and names can be verified.",
    "other": "No copy of C-NMC 2019: no picture here is a published one, byte for byte or pixel "
    "for pixel (nor is one that was resized or saved as JPEG).",
    "none": "No copy of C-NMC 2019: there is no picture here.",
}


class _File(NamedTuple):
    """A picture of the copy."""

    path: str
    checksum: str = ""  # of the published bytes that its pixels make, or else of the file
    how: str = ""  # BYTES or CONVERTED if its picture was published
    size: str = ""  # such as 450x450
    reason: str = ""  # why it is no published picture


class _Match(NamedTuple):
    """What became of the published files, and which files are none of them."""

    right: dict[str, _File]  # by published path: the file that holds its picture
    changed: dict[str, _File]  # by published path: the file that stands there instead
    extra: list[_File]


def verify(
    folder: Path | str, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
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
    published = read_published()
    files, others = _read(root, set(published["checksum"]), progress)
    match = _match(published, files)
    labels = _check_labels(root, others, published)

    parts = _parts(published, match)
    absent = [name for name, part in parts.items() if part["state"] == "absent"]
    missing, lost = [], []
    for path, fold in published[["path", "fold"]].itertuples(index=False):
        if path not in match.right and path not in match.changed:
            missing.append(path)
            if _part_name(fold) not in absent:
                lost.append(path)
    holds = published.groupby("checksum")["path"].agg(list).to_dict()
    changed = [_named(file, holds, "it holds") for file in match.changed.values()]
    extra = [_named(file, holds, "a copy of") for file in match.extra]
    if labels["state"] == "damaged":
        changed.append({"path": labels["path"], "reason": labels["problem"]})
    elif labels["state"] == "absent" and "preliminary" not in absent:
        missing.append(LABELS.as_posix())
        lost.append(LABELS.as_posix())
    kinds = {part["kind"] for part in parts.values()}
    kind = next((kind for kind in (CONVERTED, BYTES) if kind in kinds), "unknown")
    if match.right:
        faults = {
            "changed": changed,
            "missing": [{"path": path, "reason": "missing"} for path in lost],
            "extra": extra,
        }
        state, verdict = _judge(parts, faults, _how(match), len(missing))
    else:
        drawn = any((place / "twin.json").is_file() for place in (root, root.parent))
        moved = any(file.how for file in files)
        why = "drawn" if drawn else "moved" if moved else "other" if files else "none"
        state, verdict = "unknown", _NO_COPY[why]
    return {
        "verdict": verdict,
        "state": state,
        "folder": str(folder),
        "kind": kind,
        "digest": _digest(published, match),
        "published_digest": read_digests()["all"],
        "parts": parts,
        "labels": labels,
        "missing": missing,
        "changed": changed,
        "extra": extra + [row for row in others if row["path"] != labels["path"]],
    }


def _read(
    root: Path, known: set[str], progress: Callable[[int, int], None] | None
) -> tuple[list[_File], list[dict[str, str]]]:
    """Look at every picture; give the other files with the reason why they are none."""
    listed: list[tuple[Path, str]] = []
    files: list[_File] = []
    others: list[dict[str, str]] = []
    for file in list_files(root):
        # A name that is not UTF-8 could not be printed.
        path = file.relative_to(root).as_posix().encode(errors="backslashreplace").decode()
        reason = not_a_picture(file)
        if reason is None:
            listed.append((file, path))
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            files.append(_File(path, reason=reason))
        else:
            others.append({"path": path, "reason": reason})
    # Threads are enough: reading, hashing and decoding all run outside Python's lock.
    looks = Parallel(n_jobs=os.cpu_count(), prefer="threads", return_as="generator")(
        delayed(_look)(file, path, known) for file, path in listed
    )
    for done, look in enumerate(looks, start=1):
        files.append(look)
        if progress is not None:
            progress(done, len(listed))
    return files, others


def _look(file: Path, path: str, known: set[str]) -> _File:
    """Find out whether a file holds a published picture; `known` are the checksums of those."""
    checksum = ""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError("the file is too large")
        content = file.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        if checksum[:DIGITS] in known:
            with Image.open(io.BytesIO(content)) as header:
                return _File(path, checksum, BYTES, f"{header.width}x{header.height}")
        image = decode_image(content)
    except InputError as error:
        return _File(path, checksum, reason=str(error))
    except OSError as error:
        return _File(path, checksum, reason=error.strerror or str(error))
    size = f"{image.shape[1]}x{image.shape[0]}"
    for fold in _HEADERS:
        made = hashlib.sha256(published_bytes(image, fold)).hexdigest()
        if made[:DIGITS] in known:
            return _File(path, made, CONVERTED, size)
    return _File(path, checksum, "", size, f"its pixels ({size}) are those of no published picture")


def _match(published: pd.DataFrame, files: list[_File]) -> _Match:
    """Give each published file the one that stands at its place in the copy."""
    right: dict[str, _File] = {}
    changed: dict[str, _File] = {}
    here = defaultdict(list)
    for file in files:
        here[_without_suffix(file.path)].append(file)
    for path, checksum in published[["path", "checksum"]].itertuples(index=False):
        if candidates := here.get(_without_suffix(path)):
            # Of a BMP and a PNG copy beside it the one that is right, and of two such the BMP.
            ranked = [(f.checksum[:DIGITS] != checksum, f.path != path, f) for f in candidates]
            wrong, _, best = min(ranked)
            (changed if wrong else right)[path] = best

    used = {file.path for file in (*right.values(), *changed.values())}
    return _Match(right, changed, [file for file in files if file.path not in used])


def _without_suffix(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _stem(path: str) -> str:
    return PurePosixPath(path).stem.lower()


def _named(file: _File, holds: dict[str, list[str]], relation: str) -> dict[str, str]:
    """Name a file and what is wrong with it; equal pictures are distinguished by their name."""
    reason = file.reason
    if not reason:
        paths = holds[file.checksum[:DIGITS]]
        same = [path for path in paths if _stem(path) == _stem(file.path)]
        reason = f"{relation} {(same or paths)[0]}"
    return {"path": file.path, "reason": reason}


def _parts(published: pd.DataFrame, match: _Match) -> dict[str, dict[str, Any]]:
    """Count what was published and what is here, part by part."""
    digests = read_digests()
    parts: dict[str, dict[str, Any]] = {}
    for fold, listed in published.groupby("fold", sort=False):
        here = listed[listed["path"].isin(match.right)]
        changed = [match.changed[path] for path in listed["path"] if path in match.changed]
        right = [match.right[path] for path in here["path"]]
        folders = {f"{PurePosixPath(path).parent}/" for path in listed["path"]}
        extra = [file for file in match.extra if file.path.startswith(tuple(folders))]
        converted = sum(file.how == CONVERTED for file in right)
        state = "whole" if len(here) == len(listed) and not extra else "damaged"
        kind = CONVERTED if converted else BYTES
        sizes = Counter(file.size for file in [*right, *changed] if file.size)
        parts[_part_name(str(fold))] = {
            "state": state if right or changed else "absent",
            "kind": kind if right else "unknown",
            "expected": _counts(listed),
            "found": {name: 0 for name in _counts(listed)} | _counts(here),
            "converted": converted,
            "changed": len(changed),
            "missing": len(listed) - len(here) - len(changed),
            "extra": len(extra),
            "sizes": dict(sizes.most_common()),
            "digest": _digest(listed, match),
            "published_digest": digests[str(fold)],
        }
    return parts


def _part_name(fold: str) -> str:
    return f"fold_{fold}" if fold.isdigit() else fold


def _counts(listed: pd.DataFrame) -> dict[str, int]:
    """Count images, and the classes where labels are public."""
    counts = {"images": len(listed)}
    for label in sorted(set(listed["label"]) - {UNLABELED}, reverse=True):
        counts[CLASS_NAMES[label]] = int((listed["label"] == label).sum())
    return counts


def _digest(listed: pd.DataFrame, match: _Match) -> str:
    """Digest the names and checksums of those published files that are here in some state."""
    here = {**match.changed, **match.right}
    return digest_of((path, here[path].checksum) for path in listed["path"] if path in here)


def _check_labels(
    root: Path, others: list[dict[str, str]], published: pd.DataFrame
) -> dict[str, Any]:
    """Compare the preliminary set's table of labels with the published names."""
    places = [row["path"] for row in others if PurePosixPath(row["path"]).name == LABELS.name]
    if not places:
        return {"state": "absent", "path": "", "rows": 0, "problem": ""}
    path = LABELS.as_posix() if LABELS.as_posix() in places else places[0]
    found = {"state": "damaged", "path": path, "rows": 0, "problem": ""}
    try:
        table = read_labels(root / path)
    except InputError as error:
        return {**found, "problem": str(error)}
    listed = published[published["fold"] == "preliminary"]
    names = pd.Series(listed["name"].to_numpy(), index=listed["path"].map(_stem))
    listed = table["name"].reindex(table.index.union(names.index)).fillna("")
    differ = listed.index[listed.str.lower() != names.reindex(listed.index).fillna("").str.lower()]
    found["rows"] = len(table)
    if differ.empty:
        return {**found, "state": "whole"}
    return {
        **found,
        "problem": f"{len(differ)} row(s) are not the published ones; the first is {differ[0]}.bmp",
    }


def _how(match: _Match) -> str:
    """Say in what form the copy is."""
    suffixes = {
        PurePosixPath(file.path).suffix for file in match.right.values() if file.how == CONVERTED
    }
    if not suffixes:
        return "in its published bytes"
    return f"converted to {' and '.join(sorted(s[1:].upper() for s in suffixes))}"


def _judge(
    parts: dict[str, dict[str, Any]],
    faults: dict[str, list[dict[str, str]]],
    how: str,
    n_missing: int,
) -> tuple[str, str]:
    """Put what was found into one word and one sentence."""
    absent = [name for name, part in parts.items() if part["state"] == "absent"]
    if counts := ", ".join(f"{len(rows):,} {name}" for name, rows in faults.items() if rows):
        first = next(row for rows in faults.values() for row in rows)
        others = f" Not here at all: {_spoken(absent)}." if absent else ""
        return "damaged", (
            f"Damaged: {counts}; the first is {first['path']} ({first['reason']}).{others}"
        )
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
