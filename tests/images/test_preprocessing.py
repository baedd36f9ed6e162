"""The array of pictures stands row for row with the table, and is whole or not there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from leukhelpers.data.base import Dataset
from leukhelpers.data.cnmc import read_cnmc
from leukhelpers.data.pictures import pixel_digest, read_image
from leukhelpers.errors import InputError
from leukhelpers.images import preprocessing
from leukhelpers.images.preprocessing import Pixels, build_pixels, crop_and_resize


def build(root: Path, cache: Path) -> Pixels:
    return build_pixels(read_cnmc(root), cache, size=16, crop=128)


def assert_row_for_row(found: Pixels, root: Path) -> None:
    """Compare every row with its file, read without any cache."""
    assert found.array.dtype == np.uint8
    assert found.array.shape == (len(found.table), 16, 16, 3)
    assert found.table.index.tolist() == list(range(len(found.table)))
    for row, path in enumerate(found.table["path"]):
        assert np.array_equal(found.array[row], crop_and_resize(read_image(root / path), 16, 128))


def visible(cache: Path) -> list[str]:
    """List what a later run may take for a cache."""
    return sorted(path.name for path in cache.glob("pixels-*.npy"))


@pytest.fixture
def reads(record_reads: Callable[[object], list[str]]) -> list[str]:
    return record_reads(preprocessing)


# --- one picture ---------------------------------------------------------------------------


def test_crop_is_the_middle_and_each_pixel_a_mean(disc: Callable[..., np.ndarray]) -> None:
    image = disc(1)
    middle = image[225 - 64 : 225 + 64, 225 - 64 : 225 + 64].astype(float)
    means = middle.reshape(16, 8, 16, 8, 3).mean(axis=(1, 3))
    small = crop_and_resize(image, 16, 128)
    assert small.dtype == np.uint8
    assert np.abs(small - means).max() <= 1  # it is rounded twice, once each way


def test_picture_smaller_than_the_crop_keeps_its_scale_on_black() -> None:
    image = np.full((64, 32, 3), 200, np.uint8)
    small = crop_and_resize(image, 16, 128)
    expected = np.zeros((16, 16, 3), np.uint8)
    expected[4:12, 6:10] = 200
    assert np.array_equal(small, expected)


def test_larger_picture_shows_the_same_cell_at_the_same_scale(
    disc: Callable[..., np.ndarray],
) -> None:
    small, large = disc(1, radius=40), disc(1, radius=40, side=600)  # as in the final test
    assert np.array_equal(crop_and_resize(small, 96, 384), crop_and_resize(large, 96, 384))


@pytest.mark.parametrize("shape", [(1, 1), (1, 999), (449, 451), (127, 129)])
def test_any_shape_gives_the_asked_size(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 255, np.uint8)
    assert crop_and_resize(image, 16, 128).shape == (16, 16, 3)


# --- the cache -----------------------------------------------------------------------------


def test_array_stands_row_for_row_with_the_table(tiny_cnmc: Path, tmp_path: Path) -> None:
    found = build(tiny_cnmc, tmp_path / "cache")
    assert_row_for_row(found, tiny_cnmc)
    pd.testing.assert_frame_equal(found.table, read_cnmc(tiny_cnmc).table)
    assert found.set_aside.empty
    assert len(np.unique(found.array.reshape(len(found.array), -1), axis=0)) == len(found.array)


def test_array_is_mapped_and_must_not_be_written(small_cnmc: Path, tmp_path: Path) -> None:
    array = build(small_cnmc, tmp_path / "cache").array
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


def test_pictures_are_read_once(small_cnmc: Path, tmp_path: Path, reads: list[str]) -> None:
    first = build(small_cnmc, tmp_path / "cache")
    assert len(reads) == 6
    again = build(small_cnmc, tmp_path / "cache")
    assert len(reads) == 6
    assert np.array_equal(first.array, again.array)


def test_size_crop_and_order_each_have_a_cache_of_their_own(
    small_cnmc: Path, tmp_path: Path
) -> None:
    dataset = read_cnmc(small_cnmc)
    turned = Dataset("t", small_cnmc, dataset.table[::-1].reset_index(drop=True), dataset.set_aside)
    fewer = Dataset("f", small_cnmc, dataset.table.iloc[:3], dataset.set_aside)
    for number, (cells, size, crop) in enumerate(
        [(dataset, 16, 128), (dataset, 32, 128), (dataset, 16, 256), (turned, 16, 128)], start=1
    ):
        found = build_pixels(cells, tmp_path, size, crop)
        assert len(visible(tmp_path)) == number
        assert found.array.shape == (6, size, size, 3)
    assert_row_for_row(build_pixels(turned, tmp_path, 16, 128), small_cnmc)
    assert_row_for_row(build_pixels(fewer, tmp_path, 16, 128), small_cnmc)


def test_changed_file_gives_another_cache(
    small_cnmc: Path, tmp_path: Path, disc: Callable[..., np.ndarray]
) -> None:
    cache = tmp_path / "cache"
    build(small_cnmc, cache)
    changed = small_cnmc / read_cnmc(small_cnmc).table["path"][2]
    Image.fromarray(disc(99)).save(changed)
    assert_row_for_row(build(small_cnmc, cache), small_cnmc)
    assert len(visible(cache)) == 2


@pytest.mark.parametrize("harm", ["cut", "empty", "text", "deleted", "other shape", "other kind"])
def test_cache_harmed_by_hand_is_made_anew(small_cnmc: Path, tmp_path: Path, harm: str) -> None:
    cache = tmp_path / "cache"
    build(small_cnmc, cache)
    (file,) = cache.glob("pixels-*.npy")
    whole = file.read_bytes()
    if harm == "cut":
        file.write_bytes(whole[:-1])
    elif harm == "empty":
        file.write_bytes(b"")
    elif harm == "text":
        file.write_bytes(b"not an array")
    elif harm == "deleted":
        file.unlink()
    elif harm == "other shape":
        np.save(file, np.zeros((3, 16, 16, 3), np.uint8))
    else:
        np.save(file, np.zeros((6, 16, 16, 3), np.float32))
    assert_row_for_row(build(small_cnmc, cache), small_cnmc)
    assert file.read_bytes() == whole


@pytest.mark.slow
def test_cut_anywhere_in_its_head_is_made_anew(small_cnmc: Path, tmp_path: Path) -> None:
    build(small_cnmc, tmp_path)
    (file,) = tmp_path.glob("pixels-*.npy")
    whole = file.read_bytes()
    for cut in range(0, 130, 9):
        file.write_bytes(whole[:cut])
        build(small_cnmc, tmp_path)
        assert file.read_bytes() == whole


def test_whole_cache_folder_may_be_deleted(small_cnmc: Path, tmp_path: Path) -> None:
    build(small_cnmc, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    assert_row_for_row(build(small_cnmc, tmp_path / "cache"), small_cnmc)


# --- files that go bad between the table and the pixels --------------------------------------


def spoil(file: Path, how: str) -> None:
    if how == "deleted":
        file.unlink()
    elif how == "cut":
        file.write_bytes(file.read_bytes()[:-5])
    elif how == "empty":
        file.write_bytes(b"")
    else:
        Image.fromarray(np.full((450, 450, 3), 7, np.uint8)).save(file)


@pytest.mark.parametrize("how", ["deleted", "cut", "empty", "changed"])
def test_files_gone_bad_are_set_aside_and_the_rest_stands_row_for_row(
    tiny_cnmc: Path, tmp_path: Path, how: str
) -> None:
    dataset = read_cnmc(tiny_cnmc)
    bad = dataset.table["path"].iloc[[0, 7, 8, len(dataset.table) - 1]].tolist()
    for path in bad:
        spoil(tiny_cnmc / path, how)
    for _ in range(2):  # made, and found again
        found = build_pixels(dataset, tmp_path / "cache", size=16, crop=128)
        assert found.set_aside["path"].tolist() == sorted(bad)
        assert found.set_aside["reason"].all()
        assert len(found.table) == len(dataset.table) - 4
        assert not set(found.table["path"]) & set(bad)
        assert_row_for_row(found, tiny_cnmc)
    assert not list((tmp_path / "cache").glob(".part-*"))


def test_reason_names_no_folder_of_this_machine(small_cnmc: Path, tmp_path: Path) -> None:
    dataset = read_cnmc(small_cnmc)
    (small_cnmc / dataset.table["path"][0]).unlink()
    (reason,) = build_pixels(dataset, tmp_path / "cache", size=16, crop=128).set_aside["reason"]
    assert reason == "No such file or directory"


def test_disk_that_comes_back_is_used_again(small_cnmc: Path, tmp_path: Path) -> None:
    dataset = read_cnmc(small_cnmc)
    away = small_cnmc.with_name("away")
    small_cnmc.rename(away)
    with pytest.raises(InputError, match="No cell of the data set can be read any more"):
        build_pixels(dataset, tmp_path / "cache", size=16, crop=128)
    assert visible(tmp_path / "cache") == []
    away.rename(small_cnmc)
    found = build_pixels(dataset, tmp_path / "cache", size=16, crop=128)
    assert len(found.table) == 6
    assert_row_for_row(found, small_cnmc)


def test_changed_picture_never_enters_the_cache_of_the_old_one(
    small_cnmc: Path, tmp_path: Path
) -> None:
    dataset = read_cnmc(small_cnmc)
    file = small_cnmc / dataset.table["path"][0]
    original = file.read_bytes()
    spoil(file, "changed")
    assert len(build_pixels(dataset, tmp_path / "cache", size=16, crop=128).table) == 5
    file.write_bytes(original)
    found = build_pixels(dataset, tmp_path / "cache", size=16, crop=128)
    assert len(found.table) == 6
    assert_row_for_row(found, small_cnmc)


def test_crash_while_reading_leaves_no_cache(
    small_cnmc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(path: Path) -> np.ndarray:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(preprocessing, "load_image", crash)
        with pytest.raises(MemoryError):
            build(small_cnmc, tmp_path / "cache")
    assert visible(tmp_path / "cache") == []
    assert_row_for_row(build(small_cnmc, tmp_path / "cache"), small_cnmc)


# --- other processes -------------------------------------------------------------------------


def start(code: str, root: Path, cache: Path, seconds: float) -> subprocess.Popen:
    command = [sys.executable, "-c", code, str(root), str(cache), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_process_leaves_nothing_that_is_taken_for_whole(
    small_cnmc: Path, tmp_path: Path, slow_reader: str
) -> None:
    cache = tmp_path / "cache"
    process = start(slow_reader, small_cnmc, cache, 30)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("read")  # it is in the middle of filling
        assert list(cache.glob(".part-*"))
        os.kill(process.pid, signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert visible(cache) == []
    assert_row_for_row(build(small_cnmc, cache), small_cnmc)
    assert not list(cache.glob(".part-*"))  # what it left takes no room any more


@pytest.mark.slow
def test_two_processes_at_once_fill_the_cache_once(
    small_cnmc: Path, tmp_path: Path, slow_reader: str
) -> None:
    both = [start(slow_reader, small_cnmc, tmp_path / "cache", 0.05) for _ in range(2)]
    told = [process.communicate(timeout=60)[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(line.startswith("read") for lines in told for line in lines) == 6
    total = f"sum {int(build(small_cnmc, tmp_path / 'other').array.sum())}"
    assert [lines[-1] for lines in told] == [total, total]


def test_real_cells_of_every_size_stand_row_for_row(shared_data: Path, tmp_path: Path) -> None:
    found = read_cnmc(shared_data / "cnmc_raw_sample", ("training", "preliminary", "final"))
    small = build_pixels(found, tmp_path, size=16, crop=128)
    assert len(small.table) == 106
    assert_row_for_row(small, found.root)


# --- checksums that need not be made again -------------------------------------------------


def test_unchanged_files_are_not_digested_twice_and_changed_ones_are_found(
    small_cnmc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = read_cnmc(small_cnmc, cache=tmp_path)
    digested: list[int] = []

    def counted(image: np.ndarray) -> str:
        digested.append(1)
        return pixel_digest(image)

    monkeypatch.setattr(preprocessing, "pixel_digest", counted)
    assert build_pixels(cells, tmp_path, size=16, crop=128).set_aside.empty
    assert digested == []
    file = small_cnmc / cells.table["path"].iloc[2]
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-200] ^= 0xFF  # as long as before, and with its old time
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    found = build_pixels(cells, tmp_path, size=32, crop=128)
    assert digested == [1]
    assert found.set_aside["path"].tolist() == [cells.table["path"].iloc[2]]


def test_without_a_list_of_checksums_every_file_is_digested(
    small_cnmc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = read_cnmc(small_cnmc)
    monkeypatch.setattr(preprocessing, "pixel_digest", lambda image: "another")
    with pytest.raises(InputError, match="No cell"):
        build_pixels(cells, tmp_path, size=16, crop=128)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="Linux tells mapped memory")
def test_gathered_rows_leave_no_page_of_the_file_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.npy"
    values = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), dtype=np.uint8)
    np.save(file, values)
    mapped = np.load(file, mmap_mode="r")

    def in_memory() -> int:
        text = Path("/proc/self/smaps").read_text()
        part = text[text.index(str(file)) :]
        return int(re.search(r"^Rss:\s+(\d+) kB", part, re.MULTILINE).group(1))

    assert mapped.sum() == values.sum()
    assert in_memory() > 1000
    rows = np.arange(0, 2000, 7)
    assert (preprocessing.read_rows(mapped, rows) == values[rows]).all()
    assert in_memory() < 100
    private = np.load(file, mmap_mode="c")
    private[0] = 7
    assert (preprocessing.read_rows(private, rows)[0] == 7).all()
    assert (private[0] == 7).all()


# --- the square around a cell ------------------------------------------------------------------


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(0, 60), st.integers(0, 60),
    st.integers(0, 2),
)  # fmt: skip
def test_square_around_a_cell_holds_all_of_it(
    height: int, width: int, top: int, left: int, channel: int
) -> None:
    image = np.zeros((120, 120, 3), np.uint8)
    image[top : top + height, left : left + width, channel] = 1  # nearly black is cell
    x0, y0, x1, y1 = preprocessing.cell_box(image)
    assert x1 - x0 == y1 - y0 >= max(height, width)
    assert x0 <= left
    assert x1 >= left + width
    assert y0 <= top
    assert y1 >= top + height
    # in the middle, with a margin of about a twentieth, so that no cell is made small
    assert abs((x0 + x1) / 2 - (left + width / 2)) <= 0.5
    assert abs((y0 + y1) / 2 - (top + height / 2)) <= 0.5
    assert x1 - x0 <= 1.2 * max(height, width) + 1


def test_picture_without_black_is_its_own_square() -> None:
    assert preprocessing.cell_box(np.full((30, 30, 3), 9, np.uint8)) == (0, 0, 30, 30)
    assert preprocessing.cell_box(np.zeros((30, 30, 3), np.uint8)) == (0, 0, 30, 30)
