"""A picture is read wholly or refused with a reason, and equal pixels have equal checksums."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from leukhelpers.data import pictures as images
from leukhelpers.data.pictures import (
    decode_image,
    digest_images,
    list_files,
    not_a_picture,
    pixel_digest,
    read_image,
)
from leukhelpers.errors import InputError

RGB = np.random.default_rng(0).integers(0, 256, (12, 9, 3), dtype=np.uint8)


def encoded(format: str, image: Image.Image | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    (image or Image.fromarray(RGB)).save(out, format, **options)
    return out.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(width: int, height: int, depth: int, color: int, rows: bytes, extra: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + head + extra + body + chunk(b"IEND", b"")


def bmp_that_claims(width: int, height: int) -> bytes:
    content = bytearray(encoded("BMP"))
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)


def planes() -> bytes:
    written = io.BytesIO()
    tifffile.imwrite(written, np.zeros((3, 8, 8), "uint16"), photometric="rgb", planarconfig=2)
    return written.getvalue()


BAD = {
    "empty": (b"", "is empty"),
    "text": (b"These are no pixels.\n", "not a picture"),
    "zeros": (bytes(608_454), "not a picture"),
    "web page": (b"<!DOCTYPE html><html>404</html>", "not a picture"),
    "gif": (encoded("GIF"), "not a picture"),
    "header only": (encoded("BMP")[:54], "damaged"),
    "half a bmp": (encoded("BMP")[:-100], "damaged"),
    "half a png": (encoded("PNG")[:-100], "damaged"),
    "half a jpeg": (encoded("JPEG")[:-100], "damaged"),
    "half a tiff": (encoded("TIFF")[:-100], "damaged|not a picture"),
    "png with a flipped bit": (
        encoded("PNG")[:60] + bytes([encoded("PNG")[60] ^ 4]) + encoded("PNG")[61:],
        "damaged",
    ),
    "large bmp": (bmp_that_claims(6000, 6000), "longer or wider"),
    "bmp for a bomb": (bmp_that_claims(60_000, 60_000), "too large"),
    "bmp larger than its file": (bmp_that_claims(400, 400), "damaged"),
    "bmp without width": (bmp_that_claims(0, 12), "damaged|not a picture|no pixels"),
    "bmp without height": (bmp_that_claims(9, 0), "damaged|not a picture|no pixels"),
    "png for a bomb": (png(60_000, 60_000, 8, 2, b""), "too large"),
    "16-bit gray": (encoded("PNG", Image.new("I;16", (4, 4))), "not 8-bit"),
    "16-bit color": (png(2, 2, 16, 2, (b"\0" + bytes(12)) * 2), "16 bits"),
    "16-bit with alpha": (png(2, 2, 16, 6, (b"\0" + bytes(16)) * 2), "16 bits"),
    "16-bit tiff, plane by plane": (planes(), "16 bits"),
    "32-bit float": (encoded("TIFF", Image.new("F", (4, 4))), "not 8-bit"),
    "cmyk jpeg": (encoded("JPEG", Image.new("CMYK", (8, 8))), "CMYK is not 8-bit RGB"),
    "cmyk tiff": (encoded("TIFF", Image.new("CMYK", (8, 8))), "CMYK is not 8-bit RGB"),
    "lab tiff": (encoded("TIFF", Image.new("LAB", (8, 8))), "LAB is not 8-bit RGB"),
    "1 bit": (encoded("PNG", Image.new("1", (8, 8))), "not 8-bit"),
    "animated png": (
        encoded("PNG", save_all=True, append_images=[Image.new("RGB", (9, 12))]),
        "several frames",
    ),
    "tiff of two pages": (
        encoded("TIFF", save_all=True, append_images=[Image.new("RGB", (9, 12))]),
        "several frames",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_picture_is_refused_with_a_reason(kind: str) -> None:
    content, reason = BAD[kind]
    with pytest.raises(InputError, match=reason):
        decode_image(content)


def test_16_bit_color_tiff_is_refused() -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile writes 16-bit color")
    out = io.BytesIO()
    tifffile.imwrite(out, np.full((4, 4, 3), 300, np.uint16), photometric="rgb")
    with pytest.raises(InputError, match=r"16 bits|not a picture|not 8-bit"):
        decode_image(out.getvalue())


@pytest.mark.parametrize("format", ["BMP", "PNG", "TIFF"])
def test_lossless_picture_keeps_every_pixel(format: str) -> None:
    decoded = decode_image(encoded(format))
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, RGB)


def test_gray_and_palette_become_rgb() -> None:
    gray = decode_image(encoded("PNG", Image.fromarray(RGB[..., 0])))
    assert np.array_equal(gray, np.repeat(RGB[..., :1], 3, axis=-1))
    palette = Image.fromarray(RGB).quantize(16)
    for format in ("PNG", "BMP"):
        assert np.array_equal(decode_image(encoded(format, palette)), palette.convert("RGB"))


def test_what_is_transparent_becomes_black() -> None:
    alpha = np.zeros((12, 9), np.uint8)
    alpha[:6] = 255
    expected = RGB * (alpha[..., None] > 0)
    rgba = Image.fromarray(np.dstack([RGB, alpha]))
    assert np.array_equal(decode_image(encoded("PNG", rgba)), expected)

    palette = Image.fromarray(RGB).quantize(16)
    visible = np.asarray(palette)[..., None] != 3
    see_through = decode_image(encoded("PNG", palette, transparency=3))
    assert np.array_equal(see_through, np.asarray(palette.convert("RGB")) * visible)


@pytest.mark.parametrize(
    ("color", "key", "pixel"), [(2, (1, 2, 3), b"\1\2\3\4\5\6"), (0, (7,), b"\7\6")]
)
def test_a_transparent_color_becomes_black(color: int, key: tuple, pixel: bytes) -> None:
    extra = chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    decoded = decode_image(png(2, 1, 8, color, b"\0" + pixel, extra))
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[0, 1].any()


@pytest.mark.filterwarnings("ignore")  # Pillow warns of much before it fails
@given(format=st.sampled_from(["BMP", "PNG", "TIFF", "JPEG"]), cut=st.floats(0, 1))
def test_picture_cut_anywhere_is_refused_or_whole(format: str, cut: float) -> None:
    whole = encoded(format)
    expected = decode_image(whole)
    try:
        decoded = decode_image(whole[: int(cut * len(whole))])
    except InputError:
        return
    assert np.array_equal(decoded, expected)


@pytest.mark.filterwarnings("ignore")
@given(
    content=st.binary(max_size=200)
    | st.builds(
        lambda format, at, bytes_: encoded(format)[:at] + bytes_ + encoded(format)[at + 4 :],
        st.sampled_from(["BMP", "PNG", "TIFF", "JPEG"]),
        st.integers(0, 120),
        st.binary(min_size=4, max_size=4),
    )
)
def test_any_bytes_are_a_picture_or_refused(content: bytes) -> None:
    try:
        decoded = decode_image(content)
    except InputError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.ndim == 3
    assert decoded.shape[2] == 3
    assert decoded.size


def test_file_too_large_is_not_even_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.bmp").open("wb") as file:
        file.truncate(50 * 2**30)  # a hole: it takes no room on the disk
    with pytest.raises(InputError, match="too large"):
        read_image(tmp_path / "huge.bmp")


def test_equal_pixels_have_equal_checksums_whatever_the_file() -> None:
    longer_header = bytearray(encoded("BMP"))  # as in the preliminary test set
    longer_header[10:14] = struct.pack("<I", 54 + 84)
    longer_header[54:54] = bytes(84)
    files = [encoded("BMP"), encoded("PNG"), encoded("TIFF"), bytes(longer_header)]
    assert len({pixel_digest(decode_image(content)) for content in files}) == 1


def test_other_pixels_or_another_shape_have_another_checksum() -> None:
    changed = RGB.copy()
    changed[3, 4, 1] ^= 1
    turned = RGB.reshape(9, 12, 3)
    assert len({pixel_digest(image) for image in (RGB, changed, turned, RGB[:, ::-1])}) == 4


def test_checksum_does_not_depend_on_the_layout_in_memory() -> None:
    assert pixel_digest(np.asfortranarray(RGB)) == pixel_digest(RGB)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(RGB ^ number).save(folder / f"{number}.bmp")
    (folder / "bad.bmp").write_bytes(encoded("BMP")[:-10])
    return folder


PATHS = ["0.bmp", "1.bmp", "bad.bmp", "2.bmp", "gone.bmp", "3.bmp"]


@pytest.fixture
def reads(record_reads: Callable[[object], list[str]]) -> list[str]:
    return record_reads(images)


def test_digests_stand_row_for_row_with_the_paths(pictures: Path) -> None:
    found = digest_images(pictures, PATHS)
    assert found["path"].tolist() == PATHS
    for row in found.itertuples():
        if row.path in ("bad.bmp", "gone.bmp"):
            assert row.sha256 == ""
            assert row.reason
        else:
            assert row.sha256 == pixel_digest(read_image(pictures / row.path))
            assert row.reason == ""
    assert found["reason"].tolist()[4] == "No such file or directory"


def test_no_pictures_give_no_rows(tmp_path: Path) -> None:
    assert digest_images(tmp_path, []).columns.tolist() == ["path", "sha256", "reason"]


def test_unchanged_pictures_are_not_read_again(
    pictures: Path, tmp_path: Path, reads: list[str]
) -> None:
    first = digest_images(pictures, PATHS, tmp_path / "cache")
    assert sorted(reads) == sorted(PATHS)
    reads.clear()
    pd.testing.assert_frame_equal(digest_images(pictures, PATHS, tmp_path / "cache"), first)
    # One may be back, and a later version may be able to read the other.
    assert sorted(reads) == ["bad.bmp", "gone.bmp"]


def test_only_what_changed_is_read_again_whatever_else_is_listed(
    pictures: Path, tmp_path: Path, reads: list[str]
) -> None:
    first = digest_images(pictures, PATHS, tmp_path / "cache")
    Image.fromarray(RGB ^ 77).save(pictures / "1.bmp")
    reads.clear()
    fewer = digest_images(pictures, PATHS[:3], tmp_path / "cache")
    assert sorted(reads) == ["1.bmp", "bad.bmp"]
    assert (fewer["sha256"] != first["sha256"][:3]).tolist() == [False, True, False]
    reads.clear()
    digest_images(pictures, PATHS, tmp_path / "cache")
    assert sorted(reads) == ["bad.bmp", "gone.bmp"]


def test_changed_picture_is_noticed_even_if_size_and_time_are_kept(
    pictures: Path, tmp_path: Path
) -> None:
    before = digest_images(pictures, PATHS, tmp_path / "cache")
    stat = (pictures / "1.bmp").stat()
    Image.fromarray(RGB ^ 77).save(pictures / "1.bmp")
    os.utime(pictures / "1.bmp", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = digest_images(pictures, PATHS, tmp_path / "cache")
    assert (before["sha256"] != after["sha256"]).tolist() == [False, True] + [False] * 4


def test_changed_picture_behind_a_link_is_noticed(pictures: Path, tmp_path: Path) -> None:
    (pictures / "link.bmp").symlink_to(pictures / "0.bmp")
    before = digest_images(pictures, ["link.bmp"], tmp_path / "cache")["sha256"][0]
    Image.fromarray(RGB ^ 99).resize((5, 5)).save(pictures / "0.bmp")
    assert digest_images(pictures, ["link.bmp"], tmp_path / "cache")["sha256"][0] != before


def test_picture_that_comes_back_is_read_again(pictures: Path, tmp_path: Path) -> None:
    digest_images(pictures, PATHS, tmp_path / "cache")
    Image.fromarray(RGB).save(pictures / "gone.bmp")
    assert digest_images(pictures, PATHS, tmp_path / "cache")["reason"][4] == ""


def test_cut_list_of_digests_is_made_anew(pictures: Path, tmp_path: Path) -> None:
    whole = digest_images(pictures, PATHS, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    content = kept.read_bytes()
    cuts = [*range(0, len(content) - 1, 37), len(content) - 2]
    for spoilt in [content[:cut] for cut in cuts] + [b"[]", b"null", b"{}", b"\xff", b"[[1]]"]:
        kept.write_bytes(spoilt)
        again = digest_images(pictures, PATHS, tmp_path / "cache")
        pd.testing.assert_frame_equal(again, whole)
        assert kept.read_bytes() == content
    kept.unlink()
    pd.testing.assert_frame_equal(digest_images(pictures, PATHS, tmp_path / "cache"), whole)


def test_odd_names_survive_the_cache(tmp_path: Path, reads: list[str]) -> None:
    names = ['a,"b".bmp', " c .bmp", "NA", "line\nend\r.bmp", "ß☃.bmp", "1", "#.bmp"]
    for name in names:
        (tmp_path / name).write_bytes(encoded("BMP"))
    first = digest_images(tmp_path, names, tmp_path / "cache")
    reads.clear()
    pd.testing.assert_frame_equal(digest_images(tmp_path, names, tmp_path / "cache"), first)
    assert reads == []
    assert first["path"].tolist() == names


def test_every_file_is_listed_hidden_linked_or_lost(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("z.bmp", ".DS_Store", "a/b/1.bmp", "a/Thumbs.db"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "dangling.bmp").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path, target_is_directory=True)
    listed = [file.relative_to(tmp_path).as_posix() for file in list_files(tmp_path)]
    expected = ["z.bmp", ".DS_Store", "a/b/1.bmp", "a/Thumbs.db", "dangling.bmp", "circle"]
    assert sorted(listed) == sorted(expected)
    assert list_files(tmp_path / "nowhere") == []


def test_folder_that_must_not_be_opened_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    scan: Callable = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may open everything
    assert list_files(tmp_path) == [tmp_path / "closed"]
    assert "no file that can be opened" in str(not_a_picture(tmp_path / "closed"))
