"""Make ``leukhelpers/data/cnmc_files.csv``, the registry of what was published, from a manifest."""

from __future__ import annotations

from pathlib import PurePosixPath

import pandas as pd

from leukhelpers.data.cnmc import FOLDERS
from leukhelpers.data.published import DIGITS
from leukhelpers.data.schema import UNLABELED, parse_name

_HEAD = """\
# The 15,114 pictures of C-NMC 2019, by name and checksum. No pixel of theirs is here.
# Source: Gupta A. and Gupta R., ALL Challenge dataset of ISBI 2019 (C-NMC 2019), The Cancer
# Imaging Archive, https://doi.org/10.7937/tcia.2019.dc64i46r, licensed CC BY 3.0
# (https://creativecommons.org/licenses/by/3.0/). Changed: only names and checksums.
# checksum: the first 16 digits of the file's SHA-256. name: what tells subject and label; for the
# preliminary test it is the one that its table of labels gives to the picture.
"""
_FOLDS = ("0", "1", "2", "preliminary", "final")


def make_list(manifest: pd.DataFrame, origins: pd.Series) -> str:
    """Make the text of the package's registry.

    Parameters
    ----------
    manifest : pandas.DataFrame
        Columns ``path`` (with ``C-NMC_Leukemia/``) and ``sha256`` of all published pictures.
    origins : pandas.Series
        For each stem of the preliminary set the name that its table of labels gives.
    """
    rows = []
    for path, sha256 in manifest[["path", "sha256"]].itertuples(index=False):
        place = PurePosixPath(path.removeprefix("C-NMC_Leukemia/"))
        tests = [part for part in ("preliminary", "final") if str(place.parent) == FOLDERS[part]]
        fold = tests[0] if tests else place.parts[1].removeprefix("fold_")
        if fold == "final":
            key, name, label, subject = (int(place.stem),), "", UNLABELED, ""
        else:
            name = origins[place.stem] if tests else place.stem
            cell = parse_name(name)
            label, subject = cell.label, cell.subject
            key = (
                (int(place.stem),)
                if tests
                else (-label, int(subject.removeprefix("H")), cell.image, cell.cell)
            )
        row = (str(place), fold, name, label, subject, sha256[:DIGITS])
        rows.append(((_FOLDS.index(fold), *key), row))
    columns = ["path", "fold", "name", "label", "subject", "checksum"]
    table = pd.DataFrame([row for _, row in sorted(rows)], columns=columns)
    return _HEAD + table.to_csv(index=False, lineterminator="\n")
