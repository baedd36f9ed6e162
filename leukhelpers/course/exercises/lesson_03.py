"""Checks of the exercises of lesson 03."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image


def _crop(answer: Any, reaches: np.ndarray) -> str | None:
    side = int(answer)
    if side % 10 or not 200 <= side <= 450:
        return "Try crops from 200 to 450 in steps of 10."
    if side < 450 and (reaches > side).mean() > 0.02:
        return "That crop cuts more than 2 % of the cells; it must be larger."
    if side > 200 and (reaches > side - 10).mean() <= 0.02:
        return "A smaller crop would do as well."
    return None


def _cell(left: int, top: int, right: int, bottom: int) -> Image.Image:
    """Return a picture of 200×200 with a filled rectangle for a cell."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[top:bottom, left:right] = (90, 60, 120)
    return Image.fromarray(pixels)


def _crop_to_cell(answer: Any) -> str | None:
    if not callable(answer):
        return "Hand in the function itself: crop_to_cell, without brackets."
    found = answer(_cell(20, 60, 100, 100), 40)
    if found is None:
        return "The function returns nothing yet; end with return square.resize(...)."
    if not isinstance(found, Image.Image):
        return "Return a Pillow picture, not an array."
    if found.size != (40, 40):
        return f"The result should be size × size pixels, here 40 × 40, not {found.size}."
    box = found.getbbox()
    if box is None:
        return "A cell far from the center is lost; start from picture.getbbox()."
    left, top, right, bottom = box
    if right - left < 36:
        return "The cell should fill the square; its side is the longer edge of the bounding box."
    if bottom - top > 23:
        return "A long cell is squeezed; crop a square, with the longer edge as its side."
    if bottom - top < 17:
        return "A part of the cell is cut, or its shape has changed; crop a square around it."
    if abs(top + bottom - 40) > 3 or abs(left + right - 40) > 3:
        return "The cell is not in the middle; start half a side before the middle of the box."
    upright = answer(_cell(120, 10, 150, 70), 30).getbbox()
    if upright[3] - upright[1] < 27 or not 12 <= upright[2] - upright[0] <= 18:
        return "A cell that is higher than wide comes out wrong; take the longer of both edges."
    edge = answer(_cell(0, 50, 20, 110), 30).getbbox()
    if edge is None or edge[3] - edge[1] < 27 or edge[2] - edge[0] > 12:
        return "A cell at the edge of the picture is cut; let the square reach beyond the picture."
    return None


def _raises(answer: Callable[..., Any], images: np.ndarray) -> bool:
    try:
        answer(images)
    except ValueError:
        return True
    return False


def _check_pixels(answer: Any) -> str | None:
    if not callable(answer):
        return "Hand in the function itself: check_pixels, without brackets."
    good = np.zeros((20, 4, 4, 3), np.uint8)
    good[:, 1:3, 1:3] = np.arange(20)[:, None, None, None] + 40
    one_black, mostly_black = good.copy(), good.copy()
    one_black[3] = 0
    mostly_black[:15] = 0
    if _raises(answer, good):
        return "Pictures from 0 to 255 are right and should be returned."
    if _raises(answer, good.astype("float32")):
        return "Pixels from 0 to 255 may be float32 as well; look at the values, not the type."
    if answer(good) is None:
        return "The function returns nothing yet; a right array should be returned."
    if not np.array_equal(answer(good), good):
        return "The images should be returned unchanged."
    if not _raises(answer, good / 255):
        return "Pictures that were scaled to 0 … 1 should raise a ValueError."
    if not _raises(answer, good / 255 / 255):
        return (
            "Pictures that were scaled twice should raise a ValueError; compare the maximum to 1."
        )
    if not _raises(answer, mostly_black):
        return "If 15 of 20 pictures are completely black, a ValueError should be raised."
    if _raises(answer, one_black):
        return "One black picture of 20 is allowed; only more than half is too much."
    return None


def _pairs(dataset: Any) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return the sizes of the batches, and all pictures and labels in order."""
    found = [(np.asarray(images), np.asarray(labels)) for images, labels in dataset]
    sizes = [len(labels) for _, labels in found]
    return sizes, np.concatenate([i for i, _ in found]), np.concatenate([n for _, n in found])


def _batches(answer: Any) -> str | None:
    if not callable(answer):
        return "Hand in the function itself: batches, without brackets."
    labels = np.arange(70)  # each picture can be recognized by its label
    images = np.broadcast_to(labels[:, None, None, None], (70, 2, 2, 3)).astype("float32")
    plain = answer(images, labels)
    if plain is None:
        return "The function returns nothing yet; end with return data."
    sizes, seen, numbers = _pairs(plain)
    if sizes != [32, 32, 6]:
        return f"Expected batches of 32, 32 and 6 cells, found {sizes}; use .batch(32)."
    if not np.array_equal(numbers, labels):
        return "Without augment the cells should come in the given order; do not shuffle them."
    if not np.array_equal(seen, images):
        return "Without augment the pictures should stay unchanged."
    sizes, seen, numbers = _pairs(answer(images, labels, lambda batch: batch + 1000.0))
    if sorted(numbers) != list(labels) or sizes != [32, 32, 6]:
        return "With augment each cell should come once, in batches of 32."
    if np.array_equal(numbers, labels):
        return "With augment the cells should be shuffled."
    if seen.max() < 1000:
        return "With augment the function should be applied to the pictures; use .map(...)."
    if not np.array_equal(seen[:, 0, 0, 0], numbers + 1000):
        return "Pictures and labels no longer belong together; shuffle both in one dataset."
    if set(numbers[:32]) == set(range(32)) or set(numbers[-6:]) == set(range(64, 70)):
        return "Shuffle the cells before batch, not the batches after it."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "03.1": _crop,
    "03.2": _crop_to_cell,
    "03.3": _check_pixels,
    "03.4": _batches,
}
