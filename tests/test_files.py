"""A file is the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leukhelpers import files
from leukhelpers.errors import InputError


def test_file_appears_whole_and_the_part_is_gone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.keras"
    with files.whole_file(target) as part:
        assert part.parent == target.parent
        assert part.suffix == ".keras"
        part.write_text("all of it")
        assert not target.exists()
    assert target.read_text() == "all of it"
    assert [path.name for path in target.parent.iterdir()] == ["model.keras"]


def test_reader_never_sees_a_file_change_under_its_eyes(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with target.open() as reader:
        files.write_text(target, "new")
        assert reader.read() == "old"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_writing_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail() -> None:
        with files.whole_file(target) as part:
            part.write_text("ne")
            raise error

    with pytest.raises(error):
        fail()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.txt": "old"}


def test_killed_writing_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    files.write_json(target, {"old": True})
    code = f"""
import pathlib, time
from leukhelpers.files import whole_file
with whole_file(pathlib.Path({str(target)!r})) as part:
    part.write_text('{{"new": ')
    print("half", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    assert files.read_json(target) == {"old": True}
    left = [path.name for path in tmp_path.iterdir() if path != target]
    assert all(name.startswith(".part-") for name in left)


def test_json_comes_back_as_it_was_written(tmp_path: Path) -> None:
    content = {"Größe": [1, 2.5, None, "ſ\n"], "nested": {"a": True}}
    files.write_json(tmp_path / "a.json", content)
    assert files.read_json(tmp_path / "a.json") == content


def test_damaged_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"half":')
    for read in (files.read_json, files.read_if_there):
        with pytest.raises(InputError, match="is damaged: Expecting value"):
            read(tmp_path / "a.json")


def test_the_current_folder_can_be_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with files.new_folder(Path(".")) as part:
        (part / "a.txt").write_text("a")
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.txt")] == ["here/a.txt"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_json_never_holds_what_json_has_not(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "a.json", {"auroc": number})
    assert not list(tmp_path.iterdir())


def test_others_may_read_the_file(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a.txt", "for all")
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_place_where_something_lies_is_refused_even_a_link_that_leads_nowhere(
    tmp_path: Path,
) -> None:
    files.refuse_used(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    files.refuse_used(tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years")
    with pytest.raises(InputError, match="full is not empty"):
        files.refuse_used(tmp_path / "full")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("link", "full/thesis.txt"):
        with pytest.raises(InputError, match="is no folder"):
            files.refuse_used(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("unknown", [False, True])
def test_reserved_file_keeps_its_content_and_has_its_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown: bool
) -> None:
    if unknown:  # as on macOS
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    file = tmp_path / "sparse"
    with file.open("wb") as opened:
        opened.write(b"head")
        opened.truncate(3_000_000)
    files.reserve(file)
    assert file.read_bytes() == b"head" + bytes(2_999_996)
    assert file.stat().st_blocks * 512 >= 3_000_000


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_file_without_space_is_removed_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    (tmp_path / "sparse").write_bytes(b"head")
    with pytest.raises(OSError, match="sparse") as caught:
        files.reserve(tmp_path / "sparse")
    assert caught.value.errno == number
    assert list(tmp_path.iterdir()) == []


def test_failed_writing_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"table\.csv"), files.whole_file(tmp_path / "table.csv"):
        raise OSError(errno.ENOSPC, "No space left on device")
