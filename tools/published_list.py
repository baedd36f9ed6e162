"""Make ``leukhelpers/data/cnmc_files.txt``, the list of what was published, from a manifest."""

from __future__ import annotations

from pathlib import PurePosixPath

import pandas as pd

from leukhelpers.data.published import DIGITS, FOLDS, digest_of, fold_of
from leukhelpers.data.schema import CLASS_NAMES, parse_name

_HEAD = """\
# The 15,114 pictures of C-NMC 2019, by name and checksum. No pixel of theirs is here.
# Source: Gupta A. and Gupta R., ALL Challenge dataset of ISBI 2019 (C-NMC 2019), The Cancer
# Imaging Archive, https://doi.org/10.7937/tcia.2019.dc64i46r, licensed CC BY 3.0
# (https://creativecommons.org/licenses/by/3.0/). Changed: only names and checksums.
# [digests]: the SHA-256 over the sorted lines "path checksum" of a part, and of all of them.
# [a path with *]: a line is what stands for *, then the first 16 digits of the file's SHA-256,
# and in the preliminary set the name that its table of labels gives to the picture.
"""


def make_list(manifest: pd.DataFrame, origins: pd.Series) -> str:
    """Make the text of the package's list.

    Parameters
    ----------
    manifest : pandas.DataFrame
        Columns ``path`` (with ``C-NMC_Leukemia/``) and ``sha256`` of all published pictures.
    origins : pandas.Series
        For each stem of the preliminary set the name that its table of labels gives.
    """
    files = manifest.assign(path=manifest["path"].str.removeprefix("C-NMC_Leukemia/"))
    files["fold"] = files["path"].map(fold_of)
    sections: dict[str, list[tuple[tuple[int, ...], str]]] = {}
    for path, checksum, fold in files[["path", "sha256", "fold"]].itertuples(index=False):
        place = PurePosixPath(path)
        key: tuple[int, ...]
        if fold in ("preliminary", "final"):
            pattern, short, key = f"{place.parent}/*.bmp", place.stem, (int(place.stem),)
        else:
            ending = CLASS_NAMES[parse_name(place.stem).label].lower()
            pattern = f"{place.parent}/UID_*_{ending}.bmp"
            short = place.stem[len("UID_") : -len("_all")]
            key = tuple(int(part.upper().removeprefix("H")) for part in short.split("_"))
        origin = f" {origins[place.stem]}" if fold == "preliminary" else ""
        sections.setdefault(pattern, []).append((key, f"{short} {checksum[:DIGITS]}{origin}\n"))
    whole = {"all": files, **{fold: files[files["fold"] == fold] for fold in FOLDS}}
    text = _HEAD + "[digests]\n"
    for fold, part in whole.items():
        pairs = part[["path", "sha256"]].itertuples(index=False, name=None)
        text += f"{fold} {digest_of(pairs)}\n"
    for pattern in sorted(sections, key=lambda name: (FOLDS.index(fold_of(name)), name)):
        text += f"[{pattern}]\n" + "".join(line for _, line in sorted(sections[pattern]))
    return text
