"""Files that somebody may hand to the page, and what each must be told."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Encode a picture in memory."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def _bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000×60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1_000_000))
    begin = b"\x89PNG\r\n\x1a\n"
    return begin + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def refused(cell: np.ndarray) -> dict[str, tuple[bytes, str]]:
    """File → its bytes, and words of the sentence that refuses it."""
    picture = Image.fromarray(cell)
    png = encoded(picture)
    frames = [Image.fromarray(np.roll(cell, shift, axis=0)) for shift in (0, 5)]
    sixteen = Image.fromarray(cell[..., 0].astype(np.uint16) * 257)
    return {
        "bomb.png": (_bomb(), "too large"),
        "empty.png": (b"", "empty"),
        "cut.png": (png[: len(png) // 2], "damaged"),
        "cut.bmp": (encoded(picture, "BMP")[:30_000], "damaged"),
        "text.png": (b"not a picture at all", "not a picture"),
        "sixteen.png": (encoded(sixteen), "not 8-bit RGB"),
        "cmyk.jpg": (encoded(picture.convert("CMYK"), "JPEG"), "not 8-bit RGB"),
        "frames.png": (
            encoded(frames[0], save_all=True, append_images=frames[1:]),
            "several frames",
        ),
        "frames.gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), "not a"),
        "one.png": (encoded(Image.new("RGB", (1, 1), (200, 90, 160))), ""),
        "long.png": (encoded(Image.new("RGB", (20_000, 1), (200, 90, 160))), "longer or wider"),
        "tall.png": (encoded(Image.new("RGB", (1, 20_000), (200, 90, 160))), "longer or wider"),
        "script.svg": (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script>x()</script></svg>",
            "not",
        ),
        "page.png": (b"<html><script>alert(1)</script></html>", "not a picture"),
        "black.png": (encoded(Image.new("RGB", (450, 450))), "black"),
        "clear.png": (encoded(Image.new("RGBA", (450, 450), (200, 90, 160, 0))), "black"),
    }


def allowed(cell: np.ndarray) -> dict[str, bytes]:
    """Odd files that hold a cell all the same."""
    picture = Image.fromarray(cell)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter when shown
    alpha = np.dstack([cell, np.where(cell.any(axis=-1), 255, 0).astype(np.uint8)])
    return {
        "really-a.jpg": encoded(picture, "BMP"),
        "palette.png": encoded(picture.quantize(256)),
        "transparent.png": encoded(Image.fromarray(alpha)),
        "turned.jpg": encoded(picture, "JPEG", exif=exif),
        # What a telephone adds: a second, smaller picture.
        "two.jpg": encoded(picture, "MPO", save_all=True, append_images=[picture.resize((45, 45))]),
    }


NAMES = (
    "../../etc/passwd.png",
    "a\"b'c.png",
    "two\nlines\r.png",
    "<img src=x onerror=alert(1)>.png",
    "رسالة \u202egnp.exe.png",
    "細胞 клетка.png",
    "=HYPERLINK(1).png",
    "",
)
