"""Writing files so that a crash leaves the old one or the new one, never half of one."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leukhelpers.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it when the block succeeds.

    The temporary name keeps the extension, so that writers which look at it
    (``model.save``) do the right thing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".part-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a write that fails names no file
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside `folder`, and rename it when the block succeeds.

    A process that is killed leaves nothing at `folder`; what it left beside is removed by the
    next one. Only one process at a time may make the same folder.
    """
    folder = folder.resolve()
    part = folder.with_name(f".part-{folder.name}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.is_dir():
            folder.rmdir()  # it was empty; on Windows nothing can be renamed over it
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def reserve(file: Path) -> None:
    """Take the disk space of a file that was made at its full length, but holds nothing yet.

    A process that maps such a file and finds the disk full is ended without a message (SIGBUS).

    Raises
    ------
    OSError
        If there is not enough space.
    """
    try:
        with file.open("r+b") as opened:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
            else:  # macOS, Windows; written again, each block has its place
                while block := opened.read(2**20):
                    opened.seek(-len(block), os.SEEK_CUR)
                    opened.write(block)
    except OSError as error:
        file.unlink()
        error.filename = str(file)
        raise


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file a second time: as a hard link, which takes no room, or else as a copy."""
    try:
        os.link(source, target)
    except OSError:  # another disk, another owner, or a file system without links
        shutil.copyfile(source, target)


def shipped(inside: str, checkout: str) -> Path:
    """Find a folder that comes with the course: inside the installed package, or in a checkout.

    Raises
    ------
    InputError
        If neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package / inside, package.parent / checkout):
        if folder.is_dir():
            return folder
    raise InputError(f"No {inside} are installed; run this from a checkout of the course.")


def refuse_used(folder: Path) -> None:
    """Refuse a place where something lies already, even if it is a link that leads nowhere.

    Raises
    ------
    InputError
        Unless `folder` is not there, or is an empty folder.
    """
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{folder} is no folder; name another one with --out.")
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty; name a new folder with --out.")


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole; not-a-number is refused, since JSON has none."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; a damaged one is an :class:`InputError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}.") from None


def read_if_there(path: Path) -> dict[str, Any]:
    """Read a JSON file, which somebody may not have written; empty if so."""
    return read_json(path) if path.is_file() else {}


def workspace() -> Path:
    """Find the folder below which ``data/`` and ``runs/`` lie.

    The variable ``LEUK_HOME`` if it is set; else the nearest folder, from the current one
    upwards, that is a checkout of this course; else the current folder.
    """
    if os.environ.get("LEUK_HOME"):
        return Path(os.environ["LEUK_HOME"]).expanduser().resolve()
    start = Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "lessons").is_dir() and (folder / "leukhelpers").is_dir():
            return folder
    return start
