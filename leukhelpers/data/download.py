"""C-NMC from Kaggle, or from a zip or a folder that the user has, into its place."""

import contextlib
import errno
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from tarfile import TarError
from typing import Any
from zipfile import BadZipFile, ZipFile

import requests
from filelock import FileLock, Timeout
from rich.filesize import decimal

from leukhelpers import files
from leukhelpers.data import cnmc, pictures
from leukhelpers.data.base import Progress, is_drawn
from leukhelpers.errors import InputError

HANDLE = "andrewmvd/leukemia-classification"
PAGE = f"https://www.kaggle.com/datasets/{HANDLE}"
BY_HAND = f"download the zip in a browser from {PAGE} and run: leuk data fetch cnmc --from FILE.zip"

MAX_FILES = 50_000  # C-NMC has 15,114 files
MAX_BYTES = 30 * 10**9  # of 10.4 GB together
MAX_RATIO = 200  # pictures of cells on black pack 11 to 1
_SMALL = 64 * 2**20  # so many bytes do no harm, whatever the ratio
# Other errors of the system come from a damaged archive: names or places that cannot be.
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}


def fetch_cnmc(
    to: Path,
    source: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = lambda *_: None,
) -> Path:
    """Put C-NMC at ``to/C-NMC_Leukemia``, unless it is there already.

    Nothing is verified here beyond the transfer itself, see
    :mod:`leukhelpers.data.integrity`.

    Parameters
    ----------
    to : path
        Folder that will hold ``C-NMC_Leukemia``.
    source : path, optional
        A zip or a folder that the user has, with ``C-NMC_Leukemia`` anywhere in it; it stays
        as it is. By default kagglehub downloads it into its cache, from which it is linked
        where both are on one disk.
    say : callable, optional
        Called with sentences for the user.
    progress : callable, optional
        Called with the bytes done and the bytes in all.

    Returns
    -------
    pathlib.Path
        The root of the tree.

    Raises
    ------
    InputError
        In one sentence that says what to do. Then ``to/C-NMC_Leukemia`` does not exist.
    """
    try:
        to.mkdir(parents=True, exist_ok=True)
        with FileLock(to / ".part-cnmc.lock", timeout=0):
            if (there := cnmc.find_root(to)) is not None:
                say(
                    f"{there} already exists; nothing was downloaded. To use another copy, "
                    "move it away, or name another folder with --to."
                )
                return there
            target = to / "C-NMC_Leukemia"
            if os.path.lexists(target):
                raise InputError(
                    f"{target} exists and is no copy of C-NMC; "
                    "move it away, or name another folder with --to."
                )
            place = source.expanduser() if source else _download()
            if not place.exists():
                raise InputError(f"{place} does not exist; name a zip or a folder.")
            _take(place, target, progress)
            return target
    except Timeout:
        raise InputError(
            f"Another process is fetching to {to}; let it end, then call the same command again."
        ) from None
    except OSError as error:
        raise InputError(
            f"{error.filename or to} cannot be used ({error.strerror}); "
            "name another folder with --to."
        ) from None


def _take(source: Path, target: Path, progress: Progress) -> None:
    """Put the tree of an archive, or of a folder, at `target`; or leave nothing there."""
    part = target.with_name(".part-cnmc")
    shutil.rmtree(part, ignore_errors=True)  # a killed process left it
    try:
        if not source.is_dir():
            unpack(source, part, progress)
        tree = _find_tree(source.resolve() if source.is_dir() else part)
        if is_drawn(tree):
            raise InputError(
                f"{source} holds synthetic cells, not C-NMC 2019; use --dataset instead."
            )
        if target.resolve().is_relative_to(tree):
            raise InputError(f"{target} would lie inside {tree}; name another folder with --to.")
        if source.is_dir():
            copy_folder(tree, target, progress)
        else:
            os.rename(tree, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _find_tree(place: Path) -> Path:
    """Find the one C-NMC tree in a folder, or somewhere below; follow no link."""
    found = []
    for folder, below, _ in os.walk(place):
        if cnmc.find_root(Path(folder)) == Path(folder):
            found.append(Path(folder))
            below.clear()
        elif "__MACOSX" in below:  # a shadow of every folder, which macOS packs
            below.remove("__MACOSX")
    if len(found) != 1:
        raise InputError(
            f"There are {len(found)} copies of C-NMC (folders that hold training_data) in what was "
            f"given; name the folder of one with --from, or take the archive of {PAGE}."
        )
    return found[0]


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
            status = None if error.response is None else error.response.status_code
            reason = f"status {status}" if status else "it is unreachable, or the transfer failed"
            advice = "call the same command again, which goes on there"
            if status in (401, 403):
                advice = (
                    "set KAGGLE_USERNAME and KAGGLE_KEY to those of a token from "
                    "https://www.kaggle.com/settings"
                )
        # A wrong checksum, a kaggle.json that cannot be read, or an archive that is none.
        except (DataCorruptionError, ValueError, EOFError, BadZipFile, TarError) as error:
            reason = " ".join(str(error).split())
            advice = "correct that and call the same command again"
        raise InputError(f"The download from Kaggle failed ({reason}); {advice}, or {BY_HAND}")


def unpack(archive: Path, folder: Path, progress: Progress) -> None:
    """Unpack a zip archive into a new folder.

    Parameters
    ----------
    archive : pathlib.Path
    folder : pathlib.Path
        It must not exist. The files are written into a folder beside it, which takes its name
        at the end: a process that is killed leaves nothing at `folder`.
    progress : callable
        Called with the bytes done and the bytes in all.

    Raises
    ------
    InputError
        If the archive is damaged, encrypted or no zip, if it is larger than C-NMC could be, or
        if the disk has no room.
    OSError
        If the disk fails.
    """
    try:
        with files.new_folder(folder) as part, ZipFile(archive) as opened:
            infos = opened.infolist()
            sizes = [info.file_size for info in infos]
            _check_size(archive, sizes, folder.parent)
            opened.extractall(part, _counted(infos, sizes, progress))  # a link becomes a file
    except Exception as error:  # zipfile raises BadZipFile, zlib.error, RuntimeError, ValueError, …
        if isinstance(error, InputError) or getattr(error, "errno", None) in _OF_THE_DISK:
            raise
        raise InputError(
            f"{archive.name} is no zip archive that can be unpacked ({error}); download it again, "
            "or unpack it yourself and name the folder with --from."
        ) from None


def copy_folder(source: Path, folder: Path, progress: Progress) -> None:
    """Copy a folder into a new one; on the same disk by hard links, which take no room.

    Parameters are those of :func:`unpack`, and so are the errors, but for the full disk. A link
    or a device in the source is refused, not followed.
    """
    found = pictures.list_files(source)
    states = [os.lstat(file) for file in found]
    if not all(stat.S_ISREG(state.st_mode) for state in states):
        raise InputError(f"{source.name} holds links or devices; remove them.")
    sizes = [state.st_size for state in states]
    _check_size(source, sizes)
    with files.new_folder(folder) as part:
        for file in _counted(found, sizes, progress):
            path = part / file.relative_to(source)
            path.parent.mkdir(parents=True, exist_ok=True)
            files.link_or_copy(file, path)


def _counted(members: Iterable[Any], sizes: list[int], progress: Progress) -> Iterator[Any]:
    """Give one file after the other, and report the bytes of those that are done."""
    for member, done in zip(members, accumulate(sizes), strict=True):
        yield member
        progress(done, sum(sizes))


def _check_size(source: Path, sizes: list[int], disk: Path | None = None) -> None:
    """Refuse what is larger than C-NMC could be, or than the disk has room for."""
    total = sum(sizes)
    if len(sizes) > MAX_FILES:
        raise InputError(f"{source.name} holds more than {MAX_FILES:,} files; C-NMC has fewer.")
    ratio = MAX_RATIO * source.stat().st_size if source.is_file() else MAX_BYTES
    if total > min(MAX_BYTES, max(_SMALL, ratio)):
        raise InputError(f"{source.name} holds {decimal(total)}, so it cannot be C-NMC.")
    if disk is not None and (free := shutil.disk_usage(disk).free) < total:
        raise InputError(
            f"{disk} needs {decimal(total)} of disk space and only {decimal(free)} is free; "
            "make room, or name a folder on another disk with --to."
        )
