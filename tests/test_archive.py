"""An archive becomes a folder as a whole, inside its place, or nothing at all."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leukhelpers.data import archive as module
from leukhelpers.data.archive import ArchiveError, copy_folder, need_room, unpack
from leukhelpers.errors import InputError

FILES = {
    "C-NMC_Leukemia/training_data/fold_0/all/UID_1_1_1_all.bmp": bytes(range(256)) * 40,
    "C-NMC_Leukemia/training_data/fold_0/hem/UID_H1_1_1_hem.bmp": b"",
    "C-NMC_Leukemia/validation_data/labels.csv": b"Patient_ID,new_names,labels\n",
}
KINDS = ("zip", "tar", "tar.gz", "tar.bz2", "tar.xz")


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    """Write files into an archive of the kind that the name says."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
            for name, content in files.items():
                opened.writestr(name, content)
        return path
    compression = path.suffix[1:] if path.suffix != ".tar" else ""
    with tarfile.open(path, f"w:{compression}") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            tar.addfile(info, io.BytesIO(content))
    return path


def read_folder(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refusal(archive: Path, **limits: int) -> str:
    """Unpack, expect one sentence, and check that nothing at all was left."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, archive.parent / "new", **limits)
    assert sorted(archive.parent.rglob("*")) == before
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(archive.name)
    return message


@pytest.mark.parametrize("kind", KINDS)
def test_archive_gives_its_files_and_its_progress(tmp_path: Path, kind: str) -> None:
    seen: list[tuple[int, int]] = []
    archive = write_archive(tmp_path / f"a.{kind}", FILES)
    unpack(archive, tmp_path / "new", progress=lambda *done: seen.append(done))
    assert read_folder(tmp_path / "new") == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "new"]
    total = sum(map(len, FILES.values()))
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_of_an_archive_may_be_listed_dotted_and_empty(tmp_path: Path, kind: str) -> None:
    files = {"./": b"", "./a/": b"", "./a//b.txt": b"b", "a/": b"", "empty/": b""}
    unpack(write_archive(tmp_path / f"a.{kind}", files), tmp_path / "new")
    assert read_folder(tmp_path / "new") == {"a/b.txt": b"b"}
    assert (tmp_path / "new" / "empty").is_dir()


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../out.txt",
        "a/../../out.txt",
        "a/..",
        "..\\out.txt",
        "a\\b.txt",
        "C:/out.txt",
        "c:out.txt",
        "a/b.txt:stream",
        "a /b.txt",
        "a./b.txt",
        "line\nbreak",
        "/".join("a" * 40),
        ".",
    ],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, kind: str, name: str) -> None:
    archive = write_archive(tmp_path / f"a.{kind}", {"good.txt": b"good", name: b"bad"})
    assert "may lead out of the folder" in refusal(archive)


def test_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", {"good.txtX.bmp": b"bad"})
    archive.write_bytes(archive.read_bytes().replace(b"good.txtX", b"good.txt\0"))
    assert "may lead out of the folder" in refusal(archive)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "../outside"
        tar.addfile(info)
    assert "'link', which is a link" in refusal(tmp_path / "a.tar")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        info = zipfile.ZipInfo("link")
        info.external_attr = (kind | 0o777) << 16
        opened.writestr(info, "../outside")
    assert "'link', which is a link" in refusal(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("first", "second"),
    [("a/b.bmp", "A/B.bmp"), ("a.bmp", "./a.bmp"), ("\u00e9.bmp", "e\u0301.bmp")],
)
def test_one_name_twice_is_refused(tmp_path: Path, kind: str, first: str, second: str) -> None:
    archive = write_archive(tmp_path / f"a.{kind}", {first: b"1", second: b"2"})
    assert "twice" in refusal(archive)


@pytest.mark.parametrize("names", [("a", "a/b.bmp"), ("A/b.bmp", "a"), ("a/", "a")])
def test_file_and_folder_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    archive = write_archive(tmp_path / "a.tar", dict.fromkeys(names, b""))
    assert "both as a file and as a folder" in refusal(archive)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_more_files_or_folders_than_allowed_are_refused(tmp_path: Path, kind: str) -> None:
    archive = write_archive(tmp_path / f"a.{kind}", {f"{n}.txt": b"" for n in range(5)})
    assert "more than 4 files" in refusal(archive, max_files=4)
    unpack(archive, tmp_path / "new", max_files=5)
    deep = write_archive(tmp_path / f"b.{kind}", {"a/b/c/d/e.txt": b""})
    shutil.rmtree(tmp_path / "new")
    assert "more than 4 files" in refusal(deep, max_files=4)


def test_folder_listed_again_and_again_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for _ in range(5):
            info = tarfile.TarInfo("a")
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
    assert "more than 4 files" in refusal(tmp_path / "a.tar", max_files=4)


def test_archive_that_says_it_is_too_large_is_refused_before_it_is_written(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar", {"1": b"12345", "2": b"67890"})
    seen: list[int] = []
    with pytest.raises(ArchiveError, match="more than 9 bytes"):
        unpack(archive, tmp_path / "new", max_bytes=9, progress=lambda *done: seen.extend(done))
    assert seen == []


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_more_bytes_than_allowed_are_refused(tmp_path: Path, kind: str) -> None:
    archive = write_archive(tmp_path / f"a.{kind}", {"1": b"12345", "2": b"67890"})
    assert "more than 9 bytes" in refusal(archive, max_bytes=9)
    unpack(archive, tmp_path / "new", max_bytes=10)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archive_that_grows_beyond_reason_is_refused(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SMALL", 2**20)
    archive = write_archive(tmp_path / f"a.{kind}", {"bomb": bytes(2**22)})
    assert archive.stat().st_size * module.MAX_RATIO < 2**22
    assert "more than 1.0 MB" in refusal(archive)


def test_bytes_are_counted_and_not_believed(tmp_path: Path) -> None:
    liar = module._Member("liar", 1, False, lambda: io.BytesIO(bytes(100)))
    with pytest.raises(ArchiveError, match="more than 99 bytes"):
        module._write("a.zip", [liar], tmp_path, 99, lambda done: None)


def test_encrypted_zip_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", {"a": b"secret"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert "is encrypted; unpack it yourself" in refusal(archive)


def test_zip_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    content = bytearray(archive.read_bytes())
    place = content.index(b"PK\x01\x02") + 16
    struct.pack_into("<I", content, place, 12345)
    archive.write_bytes(content)
    assert "damaged" in refusal(archive)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_archive_that_was_cut_short_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    files = {f"{n}.bin": os.urandom(5000) for n in range(40)}
    archive = write_archive(tmp_path / f"a.{kind}", files)
    with open(archive, "r+b") as file:
        file.truncate(int(archive.stat().st_size * share))
    assert "download it again" in refusal(archive)


def test_tar_cut_between_two_files_is_refused(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.tar", {"1": bytes(512), "2": bytes(512)})
    with open(archive, "r+b") as file:
        file.truncate(1024)
    assert "damaged" in refusal(archive)


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", b"x" * 5000])
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert "is no zip or tar archive" in refusal(tmp_path / "a.zip")


class Damage(NamedTuple):
    """Which byte becomes what."""

    share: float
    flip: int


@given(
    kind=st.sampled_from(KINDS[:1] + KINDS[2:]),  # a plain tar has no checksum of its content
    damages=st.lists(
        st.builds(Damage, st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1
    ),
)
def test_damaged_bytes_never_give_a_changed_file(kind: str, damages: list[Damage]) -> None:
    with tempfile.TemporaryDirectory() as place:
        archive, new = write_archive(Path(place, f"a.{kind}"), FILES), Path(place, "new")
        content = bytearray(archive.read_bytes())
        for share, flip in damages:
            content[int(share * len(content))] ^= flip
        archive.write_bytes(content)
        sentence = ""
        try:
            unpack(archive, new)
        except InputError as error:
            sentence = str(error)
        if sentence:
            assert "\n" not in sentence
            assert os.listdir(place) == [archive.name]
        else:
            # A damaged list of a zip can hide files; which are missing, verification tells.
            assert read_folder(new).items() <= FILES.items()


def test_what_is_there_is_never_written_over(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match="exists already"):
        unpack(archive, tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.slow
def test_killed_process_leaves_nothing_at_the_folder(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    code = (
        "import os, sys; from pathlib import Path\n"
        "from leukhelpers.data.archive import unpack\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda *done: os._exit(9))"
    )
    new = tmp_path / "new"
    done = subprocess.run([sys.executable, "-c", code, archive, new], check=False)
    assert done.returncode == 9
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [".part-new"]
    unpack(archive, new)
    assert read_folder(new) == FILES
    assert not (tmp_path / ".part-new").exists()


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=100)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)


@pytest.mark.usefixtures("full_disk")
def test_room_is_looked_for_before_unpacking(tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)
    with pytest.raises(InputError, match=r"needs 10\.3 kB .* only 100 bytes is free") as caught:
        unpack(archive, tmp_path / "deep" / "new")
    assert not isinstance(caught.value, ArchiveError)  # the archive is not to blame
    need_room(tmp_path / "not" / "yet", 100)


def test_disk_that_becomes_full_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write_archive(tmp_path / "a.zip", FILES)

    def raise_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="became full") as caught:
        unpack(archive, tmp_path / "new", progress=raise_full)
    assert not isinstance(caught.value, ArchiveError)
    assert list(tmp_path.iterdir()) == [archive]


def test_archive_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        unpack(tmp_path / "a.zip", tmp_path / "new")


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
    copy_folder(folder, new, progress=lambda *done: seen.append(done))
    assert read_folder(folder) == read_folder(new) == FILES
    assert seen[-1] == (sum(map(len, FILES.values())),) * 2
    file = next(iter(FILES))
    assert os.path.samefile(folder / file, new / file) == (link is not no_links)


@pytest.mark.parametrize("target", ["nowhere", "..", "mine"])
def test_link_in_a_folder_is_refused_and_not_followed(folder: Path, target: str) -> None:
    (folder / "link").symlink_to(folder.parent / target)
    with pytest.raises(ArchiveError, match="'link', which is a link"):
        copy_folder(folder, folder.parent / "new")
    assert list(folder.parent.iterdir()) == [folder]


def test_device_in_a_folder_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(ArchiveError, match="'pipe', which is"):
        copy_folder(folder, folder.parent / "new")


def test_limits_hold_for_folders_as_well(folder: Path) -> None:
    with pytest.raises(ArchiveError, match="more than 2 files"):
        copy_folder(folder, folder.parent / "new", max_files=2)
    with pytest.raises(ArchiveError, match="more than 100 bytes"):
        copy_folder(folder, folder.parent / "new", max_bytes=100)
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.usefixtures("full_disk")
def test_hard_links_need_no_room(folder: Path) -> None:
    copy_folder(folder, folder.parent / "new")
    assert read_folder(folder.parent / "new") == FILES


@pytest.mark.usefixtures("full_disk")
def test_another_disk_must_have_room(folder: Path) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == folder.stat().st_dev:
        pytest.skip("this machine has no second file system")
    with tempfile.TemporaryDirectory(dir=other) as place:
        with pytest.raises(InputError, match="only 100 bytes is free"):
            copy_folder(folder, Path(place, "new"))
        assert os.listdir(place) == []
