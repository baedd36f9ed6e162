"""An archive becomes a folder as a whole, inside its place, or nothing at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leukhelpers.data import download as module
from leukhelpers.data.download import copy_folder, unpack
from leukhelpers.errors import InputError

FILES = {
    "C-NMC_Leukemia/training_data/fold_0/all/UID_1_1_1_all.bmp": bytes(range(256)) * 40,
    "C-NMC_Leukemia/training_data/fold_0/hem/UID_H1_1_1_hem.bmp": b"",
    "C-NMC_Leukemia/validation_data/labels.csv": b"Patient_ID,new_names,labels\n",
}


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    """Write files into a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def read_folder(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def mute(done: int, total: int) -> None:
    """Show no progress."""


def refusal(archive: Path) -> str:
    """Unpack, expect one sentence, and check that nothing at all was left."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(InputError) as caught:
        unpack(archive, archive.parent / "new", mute)
    assert sorted(archive.parent.rglob("*")) == before
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(archive.name)
    return message


def test_archive_gives_its_files_and_its_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    archive = write_archive(tmp_path / "a.zip", FILES)
    unpack(archive, tmp_path / "new", lambda *done: seen.append(done))
    assert read_folder(tmp_path / "new") == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "new"]
    total = sum(map(len, FILES.values()))
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


@pytest.mark.parametrize("name", ["/etc/passwd", "../out.txt", "a/../../out.txt", "a/..", "../new"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    """The libraries refuse such a name, or keep what it names inside."""
    (tmp_path / "in").mkdir()
    archive = write_archive(tmp_path / "in" / "a.zip", {"good.txt": b"good", name: b"bad"})
    with contextlib.suppress(InputError):
        unpack(archive, tmp_path / "in" / "new", mute)
    assert {path.name for path in tmp_path.iterdir()} == {"in"}
    assert {path.name for path in (tmp_path / "in").iterdir()} <= {archive.name, "new"}
    assert not Path("/etc/passwd").read_bytes().startswith(b"bad")


def test_a_link_in_a_zip_is_never_one_on_the_disk(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(info, "../outside")
    unpack(tmp_path / "a.zip", tmp_path / "new", mute)
    assert not (tmp_path / "new" / "link").is_symlink()


def test_more_files_or_bytes_than_allowed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(module, "MAX_FILES", 2)
    assert "more than 2 files" in refusal(archive)
    monkeypatch.setattr(module, "MAX_FILES", 3)
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    assert "cannot be C-NMC" in refusal(archive)


def test_archive_that_grows_beyond_reason_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL", 2**20)
    archive = write_archive(tmp_path / "a.zip", {"bomb": bytes(2**22)})
    assert archive.stat().st_size * module.MAX_RATIO < 2**22
    assert "cannot be C-NMC" in refusal(archive)


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", {"liar": bytes(10_000)})
    content = archive.read_bytes()
    archive.write_bytes(content.replace((10_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert "download it again" in refusal(archive)


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", {"a": b"secret"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    sentence = refusal(archive)
    assert "encrypted" in sentence
    assert "unpack it yourself" in sentence


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_archive_that_was_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    files = {f"{n}.bin": os.urandom(5000) for n in range(40)}
    archive = write_archive(tmp_path / "a.zip", files)
    with open(archive, "r+b") as file:
        file.truncate(int(archive.stat().st_size * share))
    assert "download it again" in refusal(archive)


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", b"x" * 5000])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert "is no zip archive" in refusal(tmp_path / "a.zip")


@given(
    damages=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1),
)
@example(damages=[(0.99609375, 1)])  # a place before the beginning of the file
def test_damaged_bytes_never_give_a_changed_file(damages: list[tuple[float, int]]) -> None:
    """A zip has checksums."""
    with tempfile.TemporaryDirectory() as place:
        archive, new = write_archive(Path(place, "a.zip"), FILES), Path(place, "new")
        content = bytearray(archive.read_bytes())
        for share, flip in damages:
            content[int(share * len(content))] ^= flip
        archive.write_bytes(content)
        sentence = ""
        try:
            unpack(archive, new, mute)
        except InputError as error:
            sentence = str(error)
        if sentence:
            assert os.listdir(place) == [archive.name]
        else:
            # A damaged list can hide or rename files; verification tells which.
            assert set(read_folder(new).values()) <= set(FILES.values())


@pytest.mark.slow
def test_killed_process_leaves_nothing_at_the_folder(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from leukhelpers.data.download import unpack\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]), lambda *done: os._exit(9))"
    )
    new = tmp_path / "new"
    done = subprocess.run([sys.executable, "-c", code, archive, new], check=False)
    assert done.returncode == 9
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [".part-new"]
    unpack(archive, new, mute)
    assert read_folder(new) == FILES


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)


@pytest.mark.usefixtures("full_disk")
def test_room_is_looked_for_before_unpacking(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    with pytest.raises(InputError, match="of disk space and only 1 byte is free"):
        unpack(archive, tmp_path / "new", mute)


def test_disk_that_becomes_full_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    archive = write_archive(tmp_path / "a.zip", FILES)
    monkeypatch.setattr(zipfile.ZipFile, "extractall", full)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, tmp_path / "new", mute)
    assert list(tmp_path.iterdir()) == [archive]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the archive."""
    for name, content in FILES.items():
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "mine"


def no_links(*_: object) -> None:
    raise OSError(18, "Invalid cross-device link")


@pytest.mark.parametrize("link", [os.link, no_links])
def test_folder_is_copied_and_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch, link: Callable[..., None]
) -> None:
    monkeypatch.setattr(os, "link", link)
    seen: list[tuple[int, int]] = []
    new = folder.parent / "new"
    copy_folder(folder, new, lambda *done: seen.append(done))
    assert read_folder(folder) == read_folder(new) == FILES
    assert seen[-1] == (sum(map(len, FILES.values())),) * 2
    file = next(iter(FILES))
    assert os.path.samefile(folder / file, new / file) == (link is not no_links)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to(".."), os.mkfifo])
def test_link_or_device_in_a_folder_is_refused(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "odd")
    with pytest.raises(InputError, match="links or devices"):
        copy_folder(folder, folder.parent / "new", mute)
    assert list(folder.parent.iterdir()) == [folder]


def test_limits_hold_for_folders_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 2)
    with pytest.raises(InputError, match="more than 2 files"):
        copy_folder(folder, folder.parent / "new", mute)
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.usefixtures("full_disk")
def test_hard_links_need_no_room(folder: Path) -> None:
    copy_folder(folder, folder.parent / "new", mute)
    assert read_folder(folder.parent / "new") == FILES
