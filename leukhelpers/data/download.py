"""C-NMC from Kaggle, or from an archive or a folder that the user has, into its place."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import requests
from filelock import FileLock, Timeout
from rich.filesize import decimal

from leukhelpers.data.archive import ArchiveError, copy_folder, need_room, unpack
from leukhelpers.data.cnmc import find_root
from leukhelpers.errors import InputError

OWNER, NAME = "andrewmvd", "leukemia-classification"
PAGE = f"https://www.kaggle.com/datasets/{OWNER}/{NAME}"
BY_HAND = f"download the zip in a browser from {PAGE} and run: leuk data fetch cnmc --from FILE.zip"

_DEPTH = 3  # how deep a user's folder, or an archive, may hide C-NMC_Leukemia
_GROWTH = 11  # bytes of C-NMC for one byte of its zip
_TIMEOUT = (10, 30)  # seconds to connect, and between two bytes
_PATIENCE = 5  # attempts in a row that bring nothing
_PAUSE = 2.0  # seconds before the next attempt
_CHUNK = 2**16

Progress = Callable[[str, int, int], None]  # what is done, bytes done, bytes in all


class Fetched(NamedTuple):
    """Where C-NMC lies, and whether this call put it there."""

    root: Path
    new: bool


class _Stored(NamedTuple):
    """The archive as Kaggle's storage announces it."""

    url: str  # valid for a short time, so each attempt asks for its own
    n_bytes: int
    md5: str | None  # in base64
    key: str  # tells this archive from a later version


def fetch_cnmc(
    to: Path | str,
    source: Path | str | None = None,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Put C-NMC at ``to/C-NMC_Leukemia``, unless it is there already.

    Nothing is verified here beyond the transfer itself, see
    :mod:`leukhelpers.data.published`.

    Parameters
    ----------
    to : path
        Folder that will hold ``C-NMC_Leukemia``. A broken download is kept in it, hidden,
        and the next call goes on from there.
    source : path, optional
        A zip, a tar or a folder that the user has, with ``C-NMC_Leukemia`` at most three
        folders deep; it stays as it is. By default the archive comes from Kaggle.
    say : callable, optional
        Called with sentences for the user.
    progress : callable, optional
        Called with ``downloading``, ``unpacking`` or ``copying``, the bytes done and the
        bytes in all.

    Returns
    -------
    Fetched
        The root of the tree; ``new`` is False if a copy was there.

    Raises
    ------
    InputError
        In one sentence that says what to do. Then ``to/C-NMC_Leukemia`` does not exist.
    """
    to, say, progress = Path(to), say or _mute, progress or _mute
    try:
        to.mkdir(parents=True, exist_ok=True)
        with _alone(to, say):
            there = find_root(to)
            if there is not None:
                say(
                    f"{there} is there already; nothing was fetched. To take another copy, "
                    "move it away, or name another folder with --to."
                )
                return Fetched(there, new=False)
            target = to / "C-NMC_Leukemia"
            if os.path.lexists(target):
                raise InputError(
                    f"{target} exists and is no C-NMC tree; "
                    "move it away, or name another folder with --to."
                )
            if source is None:
                _take_download(target, say, progress)
            else:
                _take(Path(os.path.expanduser(source)), target, progress)
            return Fetched(target, new=True)
    except OSError as error:
        raise InputError(f"{error.filename or to} cannot be used ({error.strerror}).") from None


@contextlib.contextmanager
def _alone(to: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other process fetches to the same folder."""
    lock = FileLock(to / ".part-cnmc.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"Another process is fetching to {to}; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


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


def _take_download(target: Path, say: Callable[[str], None], progress: Progress) -> None:
    archive = _download(target.parent, say, progress)
    try:
        _take(archive, target, progress)
    except ArchiveError as error:
        archive.unlink()  # it would fail again, and the next call shall load a good one
        message = str(error).replace(archive.name, "The archive from Kaggle")
        raise ArchiveError(message) from None
    for part in _parts(target.parent):
        part.unlink()


def _download(to: Path, say: Callable[[str], None], progress: Progress) -> Path:
    """Download the archive; go on by itself as long as attempts bring new bytes."""
    furthest, brought, idle = _kept(to), False, 0
    while True:
        try:
            return _attempt(to, progress)
        except requests.RequestException as error:
            kept = _kept(to)
            idle = 0 if kept > furthest else idle + 1
            brought = brought or kept > furthest
            furthest = max(kept, furthest)
            # Where nothing came at all there is no network, and nobody wants to wait.
            if not brought or idle == _PATIENCE or _status(error) in (401, 403, 404):
                raise InputError(_failure(error, furthest)) from None
            say(f"The connection broke after {decimal(furthest)}; going on from there.")
            time.sleep(_PAUSE)


def _attempt(to: Path, progress: Progress) -> Path:
    """Receive what is missing of the archive, and check it."""
    stored = _locate()
    archive = to / f".part-cnmc-{stored.key}.archive"
    have = archive.stat().st_size if archive.exists() else 0
    need_room(to, stored.n_bytes - have + _GROWTH * stored.n_bytes)
    if have < stored.n_bytes:
        have = _receive(stored, archive, have, progress)
    if have < stored.n_bytes:
        raise requests.ConnectionError("the storage ended the transfer early")
    if have > stored.n_bytes:
        archive.unlink()
        raise InputError(
            f"The archive from Kaggle is longer than the announced {stored.n_bytes} bytes and was "
            f"removed; call the same command again, or {BY_HAND}"
        )
    if stored.md5 is not None and _md5(archive) != stored.md5:
        archive.unlink()
        raise InputError(
            "The archive from Kaggle arrived with a wrong checksum and was removed; "
            f"call the same command again, or {BY_HAND}"
        )
    return archive


def _locate() -> _Stored:
    """Ask Kaggle, through kagglehub and with the user's account if there is one."""
    with contextlib.redirect_stdout(sys.stderr):  # kagglehub talks on standard output
        from kagglehub.clients import build_kaggle_client
        from kagglehub.integrity import get_md5_checksum_from_response
        from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

        request = ApiDownloadDatasetRequest()
        request.owner_slug, request.dataset_slug = OWNER, NAME
        try:
            with build_kaggle_client() as client:
                response = client.datasets.dataset_api_client.download_dataset(request)
        except requests.RequestException:
            raise
        except ValueError as error:  # kaggle.json cannot be read
            raise InputError(f"{error}; correct it or remove it.") from None
        with response:
            md5 = get_md5_checksum_from_response(response)
            length = response.headers.get("Content-Length", "")
            identity = f"{md5 or response.headers.get('ETag')} {length}"
            if not length.isdecimal():
                raise InputError(f"Kaggle does not say how long the archive is; {BY_HAND}")
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return _Stored(response.url, int(length), md5, key)


def _receive(stored: _Stored, archive: Path, have: int, progress: Progress) -> int:
    """Append the rest of the archive to what is there; return how many bytes there are.

    kagglehub's own download appends whatever answers a resumed request, an error page as
    well, and waits for ever where a connection falls silent.
    """
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(stored.url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        response.raise_for_status()
        if response.status_code != 206:
            have = 0  # the storage sends all of it again
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise requests.ConnectionError("the storage sent another part than asked for")
        with open(archive, "ab" if have else "wb") as file:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress("downloading", have, stored.n_bytes)
                if have > stored.n_bytes:
                    break
    return have


def _parts(to: Path) -> list[Path]:
    """List the downloads, whole or not, that lie in a folder."""
    return sorted(to.glob(".part-cnmc-*.archive"))


def _kept(to: Path) -> int:
    return sum(part.stat().st_size for part in _parts(to))


def _md5(archive: Path) -> str:
    with open(archive, "rb") as file:
        # It finds damage; it need not withstand an attack, which MD5 could not.
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(digest.digest()).decode()


def _status(error: requests.RequestException) -> int | None:
    return error.response.status_code if error.response is not None else None


def _failure(error: requests.RequestException, kept: int) -> str:
    """Say in one sentence why the download ended and what to do."""
    status = _status(error)
    if status in (401, 403):
        return (
            f"Kaggle refuses the download without a valid account (status {status}); set "
            "KAGGLE_USERNAME and KAGGLE_KEY to those of a token from "
            f"https://www.kaggle.com/settings, or {BY_HAND}"
        )
    if status == 404:
        return f"Kaggle does not find the data set (status 404); see {PAGE}"
    what = f"answers with status {status}" if status else f"is not reached ({_reason(error)})"
    if kept:
        what += f"; the {decimal(kept)} that arrived are kept, and the same command goes on there"
    return f"Kaggle {what}; try again later, or {BY_HAND}"


def _reason(error: requests.RequestException) -> str:
    # requests calls silence in the middle of a transfer a ConnectionError.
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the transfer broke off"
    return "no connection"


def _mute(*_: object) -> None:
    """Say nothing and show nothing."""
