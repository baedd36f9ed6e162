"""A zip or a folder that the user has, taken into a new folder: whole, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from leukhelpers import files
from leukhelpers.data.base import Progress
from leukhelpers.data.pictures import list_files
from leukhelpers.errors import InputError

MAX_FILES = 50_000  # C-NMC has 15,114 files
MAX_BYTES = 30 * 10**9  # of 10.4 GB together
MAX_RATIO = 200  # pictures of cells on black pack 11 to 1
_SMALL = 64 * 2**20  # so many bytes do no harm, whatever the ratio


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
        with files.new_folder(folder) as part, zipfile.ZipFile(archive) as opened:
            infos = opened.infolist()
            sizes = [info.file_size for info in infos]
            _check_size(archive, sizes, folder.parent)
            opened.extractall(part, _counted(infos, sizes, progress))  # a link becomes a file
    except (InputError, OSError):
        raise
    except Exception as error:  # zipfile raises BadZipFile, zlib.error, RuntimeError, ValueError, …
        raise InputError(
            f"{archive.name} is no zip archive that can be unpacked ({error}); download it again, "
            "or unpack it yourself and name the folder with --from."
        ) from None


def copy_folder(source: Path, folder: Path, progress: Progress) -> None:
    """Copy a folder into a new one; on the same disk by hard links, which take no room.

    Parameters and errors are those of :func:`unpack`; a link or a device in the source is
    refused, not followed.
    """
    found = list_files(source)
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
