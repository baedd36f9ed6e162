"""One door to every source of cells."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from leukhelpers.data.base import Dataset
from leukhelpers.data.cnmc import find_root, read_cnmc
from leukhelpers.data.folder import read_own
from leukhelpers.errors import InputError
from leukhelpers.synthetic.twin import GENERATOR, write_twin

KAGGLE = Path("/kaggle/input")  # where Kaggle mounts the data sets of a notebook


def load_dataset(
    dataset: str | Path,
    data: Path | str,
    n_images: int = 1200,
    n_subjects: int = 28,
    seed: int = 0,
    parts: Sequence[str] = ("training",),
) -> Dataset:
    """Read the cells that a user names.

    Parameters
    ----------
    dataset : str or path
        ``twin`` (drawn if it is not there yet), ``cnmc`` (the downloaded copy, or the one
        that Kaggle mounts), the root of a C-NMC tree, or cells of your own (a folder or a
        CSV), of two classes or more, see :mod:`leukhelpers.data.folder`.
    data : path
        Folder in which the twin, downloads and caches lie.
    n_images, n_subjects, seed : int
        Which twin; other sources do not heed them.
    parts : sequence of str
        Which parts of a C-NMC tree.

    Raises
    ------
    InputError
        If the place does not exist or holds no cells.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> cells = lk.load_dataset("twin", "data", n_images=200)
    >>> len(cells.table), cells.classes
    (200, ('HEM', 'ALL'))
    """
    data = Path(data).absolute()  # processes that draw cells may have another working folder
    cache = data / "cache"
    if str(dataset) == "twin":
        # Drawn by another version, the same numbers would be another twin.
        folder = data / f"twin-{n_images}-{n_subjects}-seed{seed}-v{GENERATOR}"
        place = write_twin(folder, n_images=n_images, n_subjects=n_subjects, seed=seed)
    elif str(dataset) == "cnmc":
        place = find_cnmc(data)
    else:
        place = existing_place(dataset)
    if find_root(place) is not None:
        found = read_cnmc(place, parts, cache)
        return replace(found, name="cnmc") if str(dataset) == "cnmc" else found
    if list(parts) != ["training"]:
        raise InputError(f"{dataset} is no copy of C-NMC, so it has no part {', '.join(parts)}.")
    return read_own(place, cache)


def find_cnmc(data: Path) -> Path:
    """Find C-NMC: the downloaded copy, or the one that Kaggle mounts for a notebook."""
    mounted = (place for depth in range(1, 4) for place in KAGGLE.glob("/".join("*" * depth)))
    for place in (data / "cnmc", *mounted):
        if find_root(place) is not None:
            return place
    raise InputError(
        f"There is no copy of C-NMC in {data / 'cnmc'}; fetch one with 'leuk data fetch cnmc', "
        "or take yours with --from (on Kaggle: Add Input, leukemia-classification)."
    )


def existing_place(dataset: str | Path) -> Path:
    """Find the file or folder that a user names; ``~`` stands for the home folder."""
    # os.path refuses nothing: not a user that is unknown, not a name that is too long.
    name = str(dataset)
    place = Path(os.path.expanduser(name))
    if not name.strip() or not os.path.exists(place):
        raise InputError(f"Data set {name!r} is neither twin nor cnmc, nor a place that exists.")
    return place


def absolute_dataset(dataset: str) -> str:
    """Make a place on disk absolute, for processes that stand elsewhere."""
    if dataset in ("twin", "cnmc"):
        return dataset
    return str(existing_place(dataset).resolve())
