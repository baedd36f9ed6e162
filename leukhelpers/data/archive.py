"""Archives and folders that others made, taken into a folder of ours: whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from rich.filesize import decimal

from leukhelpers.data.pictures import list_files
from leukhelpers.errors import InputError

MAX_FILES = 50_000  # C-NMC has 15,114 files
MAX_BYTES = 30 * 10**9  # of 10.4 GB together
MAX_RATIO = 200  # pictures of cells on black pack 11 to 1
_SMALL = 64 * 2**20  # so many bytes do no harm, whatever the ratio
_MAX_DEPTH = 32  # folders inside folders
_CHUNK = 2**20

# What another system would read as a way out, another drive, or another name.
_UNSAFE = re.compile(r"[\\:\x00-\x1f]|[. ]$")

Progress = Callable[[int, int], None]  # bytes done, bytes in all


class ArchiveError(InputError):
    """What was given is damaged, unsafe, or not what it should be; no second try helps."""


class _Member(NamedTuple):
    """One file or folder of an archive, as the archive describes it."""

    name: str
    size: int
    is_folder: bool
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path,
    folder: Path,
    max_files: int = MAX_FILES,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> None:
    """Unpack a zip or tar archive into a new folder, safely.

    Parameters
    ----------
    archive : pathlib.Path
        A zip, or a tar that may be compressed by gzip, bzip2 or xz.
    folder : pathlib.Path
        It must not exist. The files are written into a folder beside it, which takes
        its name at the end: a process that is killed leaves nothing at `folder`. Only
        one process at a time may unpack there.
    max_files, max_bytes : int
        The most files and folders together, and the most bytes of all files. The bytes
        are counted as they are written, whatever the archive says of itself, and may
        not be more than `MAX_RATIO` times those of the archive either.
    progress : callable, optional
        Called with the bytes done and the bytes in all.

    Raises
    ------
    ArchiveError
        If the archive is damaged, encrypted or none at all; if it holds a link, a device,
        a name that leads out of the folder, or one name twice (letter case does not
        count); or if it is larger than allowed.
    InputError
        If `folder` exists, or the disk has no room or may not be written.
    """
    archive, folder = Path(archive), Path(folder)
    with _explained(archive.name, folder), _opened(archive) as members:
        most = min(max_bytes, max(_SMALL, MAX_RATIO * archive.stat().st_size))
        listed = _checked(archive.name, members, max_files, most)
        total = sum(member.size for member in listed)
        need_room(folder.parent, total)
        with _new_folder(folder) as part:
            _write(archive.name, listed, part, most, lambda done: (progress or _mute)(done, total))


def copy_folder(
    source: Path,
    folder: Path,
    max_files: int = MAX_FILES,
    max_bytes: int = MAX_BYTES,
    progress: Progress | None = None,
) -> None:
    """Copy a folder into a new one; on the same disk by hard links, which take no room.

    The source stays as it is. The other parameters and errors are those of :func:`unpack`;
    a link or a device in the source is refused, not followed.
    """
    source, folder = Path(source), Path(folder)
    with _explained(source.name, folder):
        files = list_files(source)
        sizes = [_plain_size(file) for file in files]
        total = sum(sizes)
        if len(files) > max_files:
            raise _too_many(source.name, max_files)
        if total > max_bytes:
            raise _too_large(source.name, max_bytes)
        folder.parent.mkdir(parents=True, exist_ok=True)
        if source.stat().st_dev != folder.parent.stat().st_dev:
            need_room(folder.parent, total)
        with _new_folder(folder) as part:
            done = 0
            for file, size in zip(files, sizes, strict=True):
                _link_or_copy(file, part / file.relative_to(source))
                done += size
                (progress or _mute)(done, total)


def need_room(place: Path, n_bytes: int) -> None:
    """Refuse to begin what the disk has no room for.

    Parameters
    ----------
    place : pathlib.Path
        A folder, which need not exist yet.
    n_bytes : int
        How many bytes will be written.

    Raises
    ------
    InputError
        If fewer are free; the sentence says how many are needed.
    """
    existing = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise InputError(
            f"{place} needs {decimal(n_bytes)} of disk space and only {decimal(free)} is free; "
            "make room, or name a folder on another disk with --to."
        )


@contextmanager
def _explained(name: str, folder: Path) -> Iterator[None]:
    """Turn what the archive libraries and the disk raise into one sentence."""
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        if error.errno is None:  # gzip and bz2 say so of data that they cannot read
            raise _damaged(name, error) from None
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"The disk of {folder} became full; make room, "
                "or name a folder on another disk with --to."
            ) from None
        raise InputError(f"{name} cannot be taken into {folder} ({error.strerror}).") from None
    except Exception as error:  # zipfile and tarfile raise BadZipFile, zlib.error, ValueError, …
        raise _damaged(name, error) from None


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`, and rename it when the block succeeds."""
    if os.path.lexists(folder):
        raise InputError(f"{folder} exists already; name a new folder.")
    part = folder.with_name(f".part-{folder.name}")
    shutil.rmtree(part, ignore_errors=True)  # a killed process left it
    part.mkdir(parents=True)
    try:
        yield part
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[_Member]]:
    """Open a zip or a tar, and list what it holds."""
    # Tried first: a tar with a zip inside could be taken for that zip.
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            yield _tar_members(archive.name, tar)
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(archive.name, opened)
    else:
        raise ArchiveError(
            f"{archive.name} is no zip or tar archive, or was cut short; download it again."
        )


def _zip_members(name: str, opened: zipfile.ZipFile) -> Iterator[_Member]:
    for info in opened.infolist():
        if info.flag_bits & 1:
            raise ArchiveError(
                f"{name} is encrypted; unpack it yourself and name the folder with --from."
            )
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _no_plain_file(name, info.orig_filename)
        # orig_filename is what the archive says, before Python has tidied it.
        yield _Member(info.orig_filename, info.file_size, info.is_dir(), partial(opened.open, info))


def _tar_members(name: str, tar: tarfile.TarFile) -> Iterator[_Member]:
    def read(info: tarfile.TarInfo) -> IO[bytes]:
        stream = tar.extractfile(info)
        assert stream is not None  # as for every file that is no link
        return stream

    for info in tar:
        if not (info.isreg() or info.isdir()):
            raise _no_plain_file(name, info.name)
        yield _Member(info.name, info.size, info.isdir(), partial(read, info))
    # tarfile takes a damaged header for the end, and does not read on to gzip's checksum.
    # A true end is at least one block of zeros, and mostly less than twenty.
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    rest = tar.fileobj.read(_CHUNK)
    if any(rest) or not tarfile.BLOCKSIZE <= len(rest) < _CHUNK:
        raise tarfile.ReadError("it does not end as a tar does")


def _checked(
    archive: str, members: Iterable[_Member], max_files: int, max_bytes: int
) -> list[_Member]:
    """List the members under safe names, or refuse the archive before anything is written."""
    listed: list[_Member] = []
    files: set[str] = set()
    folders: set[str] = set()
    total = 0
    for member in members:
        name = _safe_name(archive, member)
        *above, key = [_folded(name, level) for level in range(1, name.count("/") + 2)]
        folders.update(above)
        if member.is_folder:
            folders.add(key)
        elif key in files:
            raise ArchiveError(f"{archive} holds {member.name!r} twice; take another archive.")
        else:
            files.add(key)
            total += member.size
        listed.append(member._replace(name=name))
        if len(listed) > max_files or len(files) + len(folders) > max_files:
            raise _too_many(archive, max_files)
        if total > max_bytes:
            raise _too_large(archive, max_bytes)
    both = sorted(files & folders)
    if both:
        raise ArchiveError(f"{archive} holds {both[0]!r} both as a file and as a folder.")
    return listed


def _safe_name(archive: str, member: _Member) -> str:
    """Give the name without ``.`` and empty parts, or refuse one that is not safe."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    whole = parts or member.is_folder  # tar archives may begin with the folder "."
    deep = len(parts) > _MAX_DEPTH
    if member.name.startswith("/") or deep or not whole or any(map(_UNSAFE.search, parts)):
        raise ArchiveError(
            f"{archive} holds the name {member.name!r}, which may lead out of the folder; "
            "take another archive."
        )
    return "/".join(parts)


def _folded(name: str, level: int) -> str:
    """Name the first `level` parts as a file system does that ignores letter case."""
    return unicodedata.normalize("NFC", "/".join(name.split("/")[:level]).casefold())


def _write(
    archive: str,
    members: list[_Member],
    folder: Path,
    max_bytes: int,
    progress: Callable[[int], None],
) -> None:
    """Write the members, and count the bytes whatever their headers say."""
    done = 0
    for member in members:
        path = folder / member.name
        if member.is_folder:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as stream, open(path, "xb") as file:
            while chunk := stream.read(_CHUNK):
                done += len(chunk)
                if done > max_bytes:
                    raise _too_large(archive, max_bytes)
                file.write(chunk)
                progress(done)


def _plain_size(file: Path) -> int:
    """Give the size of an ordinary file; anything else is refused."""
    info = os.lstat(file)
    if not stat.S_ISREG(info.st_mode):
        raise _no_plain_file(file.parent.name, file.name)
    return info.st_size


def _link_or_copy(file: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, path)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(file, path)


def _mute(done: int, total: int) -> None:
    """Show no progress."""


def _damaged(name: str, error: Exception) -> ArchiveError:
    return ArchiveError(f"{name} is damaged ({error}); download it again.")


def _no_plain_file(name: str, member: str) -> ArchiveError:
    return ArchiveError(
        f"{name} holds {member!r}, which is a link or no file that can be read; "
        "replace it by the file itself."
    )


def _too_many(name: str, max_files: int) -> ArchiveError:
    return ArchiveError(f"{name} holds more than {max_files:,} files, so it cannot be C-NMC.")


def _too_large(name: str, max_bytes: int) -> ArchiveError:
    return ArchiveError(
        f"{name} holds more than {decimal(max_bytes)} when it is unpacked, so it cannot be C-NMC."
    )
