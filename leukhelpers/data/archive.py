"""A zip, a tar or a folder that the user has, taken into a new folder: whole, or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path

from rich.filesize import decimal

from leukhelpers import files
from leukhelpers.data.base import Progress
from leukhelpers.data.pictures import list_files
from leukhelpers.errors import InputError

MAX_FILES = 50_000  # C-NMC has 15,114 files
MAX_BYTES = 30 * 10**9  # of 10.4 GB together
MAX_RATIO = 200  # pictures of cells on black pack 11 to 1
_SMALL = 64 * 2**20  # so many bytes do no harm, whatever the ratio


class ArchiveError(InputError):
    """What was given is damaged, unsafe, or not what it should be; no second try helps."""


def unpack(archive: Path, folder: Path, progress: Progress) -> None:
    """Unpack a zip or tar archive into a new folder.

    Parameters
    ----------
    archive : pathlib.Path
        A zip, or a tar that may be compressed by gzip, bzip2 or xz.
    folder : pathlib.Path
        It must not exist. The files are written into a folder beside it, which takes its name
        at the end: a process that is killed leaves nothing at `folder`.
    progress : callable
        Called with the bytes done and the bytes in all.

    Raises
    ------
    ArchiveError
        If the archive is damaged, encrypted or none at all, if it holds a link or a device, or
        if it is larger than C-NMC could be.
    InputError
        If the disk has no room or may not be written.
    """
    with _explained(archive.name, folder), files.new_folder(folder) as part:
        if tarfile.is_tarfile(archive):  # first: a tar with a zip inside could pass for that zip
            with tarfile.open(archive) as tar:
                members = tar.getmembers()
                if any(not (member.isreg() or member.isdir()) for member in members):
                    raise ArchiveError(f"{archive.name} holds links or devices; remove them.")
                sizes = [member.size for member in members]
                _check_size(archive, folder, sizes)
                for member, done in zip(members, accumulate(sizes), strict=True):
                    tar.extract(member, part, filter="data")
                    progress(done, sum(sizes))
        elif zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                infos = opened.infolist()
                if any(info.flag_bits & 1 for info in infos):
                    raise ArchiveError(
                        f"{archive.name} is encrypted; unpack it yourself and name the folder "
                        "with --from."
                    )
                sizes = [info.file_size for info in infos]
                _check_size(archive, folder, sizes)
                for info, done in zip(infos, accumulate(sizes), strict=True):
                    opened.extract(info, part)  # a link becomes a file that names its target
                    progress(done, sum(sizes))
        else:
            raise ArchiveError(
                f"{archive.name} is no zip or tar archive, or was cut short; download it again."
            )


def copy_folder(source: Path, folder: Path, progress: Progress) -> None:
    """Copy a folder into a new one; on the same disk by hard links, which take no room.

    Parameters and errors are those of :func:`unpack`; a link or a device in the source is
    refused, not followed.
    """
    with _explained(source.name, folder):
        found = list_files(source)
        states = [os.lstat(file) for file in found]
        if not all(stat.S_ISREG(state.st_mode) for state in states):
            raise ArchiveError(f"{source.name} holds links or devices; remove them.")
        sizes = [state.st_size for state in states]
        same_disk = source.stat().st_dev == folder.parent.stat().st_dev
        _check_size(source, folder, sizes, room=not same_disk)
        with files.new_folder(folder) as part:
            for file, done in zip(found, accumulate(sizes), strict=True):
                path = part / file.relative_to(source)
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(file, path)
                except OSError:  # another disk, or one that knows no links
                    shutil.copyfile(file, path)
                progress(done, sum(sizes))


def _check_size(source: Path, folder: Path, sizes: list[int], room: bool = True) -> None:
    """Refuse what is larger than C-NMC could be, or than the disk has room for."""
    total = sum(sizes)
    if len(sizes) > MAX_FILES:
        raise ArchiveError(f"{source.name} holds more than {MAX_FILES:,} files; C-NMC has fewer.")
    ratio = MAX_RATIO * source.stat().st_size if source.is_file() else MAX_BYTES
    if total > min(MAX_BYTES, max(_SMALL, ratio)):
        raise ArchiveError(f"{source.name} holds {decimal(total)}, so it cannot be C-NMC.")
    free = shutil.disk_usage(folder.parent).free
    if room and free < total:
        raise InputError(
            f"{folder.parent} needs {decimal(total)} of disk space and only {decimal(free)} is "
            "free; make room, or name a folder on another disk with --to."
        )


@contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what the archive libraries and the disk raise into one sentence."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"The disk of {folder} became full; make room, "
                "or name a folder on another disk with --to."
            ) from None
        if error.errno is not None:  # without a number, gzip and bz2 say so of damaged data
            raise InputError(f"{name} cannot be taken into {folder} ({error.strerror}).") from None
        raise ArchiveError(f"{name} is damaged ({error}); download it again.") from None
    except Exception as error:  # zipfile and tarfile raise BadZipFile, zlib.error, ValueError, …
        raise ArchiveError(f"{name} is damaged or unsafe ({error}); download it again.") from None
