"""C-NMC from Kaggle, or from an archive or a folder that the user has, into its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import requests
from filelock import AcquireReturnProxy, FileLock, Timeout

from leukhelpers.data.archive import ArchiveError, copy_folder, unpack
from leukhelpers.data.cnmc import find_root
from leukhelpers.errors import InputError

HANDLE = "andrewmvd/leukemia-classification"
PAGE = f"https://www.kaggle.com/datasets/{HANDLE}"
BY_HAND = f"download the zip in a browser from {PAGE} and run: leuk data fetch cnmc --from FILE.zip"

_DEPTH = 3  # how deep a user's folder, or an archive, may hide C-NMC_Leukemia

Progress = Callable[[str, int, int], None]  # what is done, bytes done, bytes in all


def fetch_cnmc(
    to: Path | str,
    source: Path | str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda *_: None,
) -> Path:
    """Put C-NMC at ``to/C-NMC_Leukemia``, unless it is there already.

    Nothing is verified here beyond the transfer itself, see
    :mod:`leukhelpers.data.published`.

    Parameters
    ----------
    to : path
        Folder that will hold ``C-NMC_Leukemia``.
    source : path, optional
        A zip, a tar or a folder that the user has, with ``C-NMC_Leukemia`` at most three
        folders deep; it stays as it is. By default kagglehub downloads it into its cache, from
        which it is linked where both are on one disk.
    say : callable, optional
        Called with sentences for the user.
    progress : callable, optional
        Called with ``unpacking`` or ``copying``, the bytes done and the bytes in all.

    Returns
    -------
    pathlib.Path
        The root of the tree.

    Raises
    ------
    InputError
        In one sentence that says what to do. Then ``to/C-NMC_Leukemia`` does not exist.
    """
    to = Path(to)
    try:
        to.mkdir(parents=True, exist_ok=True)
        with _alone(to, say):
            there = find_root(to)
            if there is not None:
                say(
                    f"{there} is there already; nothing was fetched. To take another copy, "
                    "move it away, or name another folder with --to."
                )
                return there
            target = to / "C-NMC_Leukemia"
            if os.path.lexists(target):
                raise InputError(
                    f"{target} exists and is no C-NMC tree; "
                    "move it away, or name another folder with --to."
                )
            _take(Path(source).expanduser() if source else _download(), target, progress)
            return target
    except OSError as error:
        raise InputError(f"{error.filename or to} cannot be used ({error.strerror}).") from None


def _alone(to: Path, say: Callable[[str], None]) -> AcquireReturnProxy:
    """Wait until no other process fetches to the same folder, and lock it until ``with`` ends."""
    lock = FileLock(to / ".part-cnmc.lock")
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        say(f"Another process is fetching to {to}; waiting for it.")
        return lock.acquire()


def _take(source: Path, target: Path, progress: Progress) -> None:
    """Put the tree of an archive, or of a folder, at `target`; or leave nothing there."""
    part = target.with_name(".part-cnmc")
    shutil.rmtree(part, ignore_errors=True)  # a killed process left it
    part.mkdir()
    try:
        if source.is_dir():
            tree = _find_tree(source.resolve())
            if target.resolve().is_relative_to(tree):
                raise InputError(
                    f"{target} would lie inside {tree}; name another folder with --to."
                )
            if (tree.parent / "twin.json").is_file():  # the copy would not hold this note
                shutil.copyfile(tree.parent / "twin.json", part / "twin.json")
            copy_folder(tree, part / "tree", progress=lambda *done: progress("copying", *done))
        elif source.is_file():
            unpack(source, part / "tree", progress=lambda *done: progress("unpacking", *done))
        else:
            raise InputError(f"{source} does not exist; name a zip, a tar or a folder with --from.")
        found = _find_tree(part / "tree")
        if any((place / "twin.json").is_file() for place in (found, found.parent)):
            raise InputError(
                f"{source} holds drawn cells, not C-NMC 2019; name them with --dataset instead."
            )
        os.rename(found, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _find_tree(place: Path) -> Path:
    """Find the one C-NMC tree in a folder, or a few folders below; follow no link."""
    level = [place]
    for _ in range(_DEPTH + 1):
        found = [folder for folder in level if find_root(folder) == folder]
        if len(found) > 1:
            names = " and ".join(str(folder.relative_to(place)) for folder in found[:2])
            raise ArchiveError(f"There is more than one copy of C-NMC: {names}; name one of them.")
        if found:
            return found[0]
        level = sorted(
            Path(entry.path)
            for folder in level
            for entry in os.scandir(folder)
            # macOS packs a shadow of every folder into __MACOSX.
            if entry.is_dir(follow_symlinks=False) and entry.name != "__MACOSX"
        )
    raise ArchiveError(
        f"No C-NMC tree was found: no folder holds training_data, at most {_DEPTH} folders deep; "
        f"take the archive of {PAGE}."
    )


def _download() -> Path:
    """Download with kagglehub, into its cache; on Kaggle itself the files are there already.

    Returns
    -------
    pathlib.Path
        A folder that holds the tree. A broken download goes on at the next call.
    """
    with contextlib.redirect_stdout(sys.stderr):  # kagglehub talks on standard output
        import kagglehub
        from kagglehub.exceptions import DataCorruptionError

        try:
            return Path(kagglehub.dataset_download(HANDLE))
        except requests.RequestException as error:
            raise InputError(_failure(error)) from None
        except DataCorruptionError:
            raise InputError(
                "The archive from Kaggle arrived with a wrong checksum and was removed; call the "
                f"same command again, or {BY_HAND}"
            ) from None
        except ValueError as error:  # kaggle.json cannot be read, or what came is no archive
            raise InputError(f"{error}; correct it, or {BY_HAND}") from None
        except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
            raise InputError(f"The archive from Kaggle is damaged ({error}); {BY_HAND}") from None


def _failure(error: requests.RequestException) -> str:
    """Say in one sentence why the download ended and what to do."""
    status = None if error.response is None else error.response.status_code
    if status in (401, 403):
        return (
            f"Kaggle refuses the download without a valid account (status {status}); set "
            "KAGGLE_USERNAME and KAGGLE_KEY to those of a token from "
            f"https://www.kaggle.com/settings, or {BY_HAND}"
        )
    if status == 404:
        return f"Kaggle does not find the data set (status 404); see {PAGE}"
    what = f"answers with status {status}" if status else "is not reached, or the transfer broke"
    return f"Kaggle {what}; call the same command again, which goes on there, or {BY_HAND}"
