"""Checks of the exercises of lesson 03."""

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from leukhelpers.course.exercises import call, hint


def crop(answer: Any, reaches: np.ndarray) -> None:
    """Check the smallest crop that cuts at most 2% of the cells."""
    side = int(answer)
    hint("steps", side % 10 or not 200 <= side <= 450)
    hint("too_small", side < 450 and (reaches > side).mean() > 0.02)
    hint("too_large", side > 200 and (reaches > side - 10).mean() <= 0.02)


def _cell(left: int, top: int, right: int, bottom: int) -> Image.Image:
    """Return a picture of 200×200 with a filled rectangle for a cell."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[top:bottom, left:right] = (90, 60, 120)
    return Image.fromarray(pixels)


def crop_to_cell(answer: Any) -> None:
    """Check a square crop around a cell, resized."""
    found = call(answer, _cell(20, 60, 100, 100), 40)
    hint("no_picture", not isinstance(found, Image.Image))
    hint("size", found.size != (40, 40), size=found.size)
    hint("lost", found.getbbox() is None)
    left, top, right, bottom = found.getbbox()
    hint("not_filled", right - left < 36)
    hint("squeezed", bottom - top > 23)
    hint("not_square", bottom - top < 17)
    hint("not_centered", abs(top + bottom - 40) > 3 or abs(left + right - 40) > 3)
    left, top, right, bottom = answer(_cell(120, 10, 150, 70), 30).getbbox()
    hint("upright_cell", bottom - top < 27 or not 12 <= right - left <= 18)
    left, top, right, bottom = answer(_cell(0, 50, 20, 110), 30).getbbox() or (0, 0, 0, 0)
    hint("cell_at_edge", bottom - top < 27 or right - left > 12)


def _raises(answer: Callable[..., Any], images: np.ndarray) -> bool:
    try:
        answer(images)
    except ValueError:
        return True
    return False


def check_pixels(answer: Any) -> None:
    """Check a test that refuses pictures which are scaled, or mostly black."""
    hint("function", not callable(answer))
    good = np.zeros((20, 4, 4, 3), np.uint8)
    good[:, 1:3, 1:3] = np.arange(20)[:, None, None, None] + 40
    one_black, mostly_black = good.copy(), good.copy()
    one_black[3] = 0
    mostly_black[:15] = 0
    hint("good_refused", _raises(answer, good))
    hint("float32_refused", _raises(answer, good.astype("float32")))
    hint("changed", not np.array_equal(call(answer, good), good))
    hint("scaled", not _raises(answer, good / 255))
    hint("scaled_twice", not _raises(answer, good / 255 / 255))
    hint("mostly_black", not _raises(answer, mostly_black))
    hint("one_black", _raises(answer, one_black))


def _pairs(dataset: Any) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return the sizes of the batches, and all pictures and labels in order."""
    images, labels = zip(*dataset, strict=True)
    return [len(batch) for batch in labels], np.concatenate(images), np.concatenate(labels)


def batches(answer: Any) -> None:
    """Check a tf.data pipeline; if it augments, it shuffles as well."""
    labels = np.arange(70)  # each picture can be recognized by its label
    images = np.broadcast_to(labels[:, None, None, None], (70, 2, 2, 3)).astype("float32")
    sizes, seen, numbers = _pairs(call(answer, images, labels))
    hint("batches_of_32", sizes != [32, 32, 6], sizes=sizes)
    hint("order", not np.array_equal(numbers, labels))
    hint("changed", not np.array_equal(seen, images))
    sizes, seen, numbers = _pairs(answer(images, labels, lambda batch: batch + 1000.0))
    hint("not_once", sorted(numbers) != list(labels) or sizes != [32, 32, 6])
    hint("not_shuffled", np.array_equal(numbers, labels))
    hint("not_augmented", seen.max() < 1000)
    hint("torn_apart", not np.array_equal(seen[:, 0, 0, 0], numbers + 1000))
    first, last = set(numbers[:32]), set(numbers[-6:])
    hint("batches_shuffled", first == set(range(32)) or last == set(range(64, 70)))
