"""Answers to the exercises of lesson 03: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
from PIL import Image


def square_around(picture):
    left, top, right, bottom = picture.getbbox()
    side = max(right - left, bottom - top)
    left, top = (left + right - side) // 2, (top + bottom - side) // 2
    return left, top, left + side, top + side


def crop_to_cell(picture, size):
    return picture.crop(square_around(picture)).resize((size, size), Image.Resampling.BOX)


def squeezed(picture, size):
    return picture.crop(picture.getbbox()).resize((size, size), Image.Resampling.BOX)


def from_the_corner(picture, size):
    left, top, right, bottom = picture.getbbox()
    side = max(right - left, bottom - top)
    return picture.crop((left, top, left + side, top + side)).resize((size, size))


def width_only(picture, size):
    left, top, right, bottom = picture.getbbox()
    middle, side = (top + bottom) // 2, right - left
    return picture.crop((left, middle - side // 2, right, middle + side // 2)).resize((size, size))


def flattened(picture, size):
    left, top, right, bottom = square_around(picture)
    half = (right - left) // 2
    return picture.crop((left, top - half, right, bottom + half)).resize((size, size))


def kept_inside(picture, size):
    left, top, right, bottom = square_around(picture)
    box = max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height)
    inside = picture.crop(box)
    side = min(inside.size)
    return inside.crop((0, 0, side, side)).resize((size, size))


def check_pixels(images):
    if images.max() <= 1:
        raise ValueError("scaled")
    if (images.max(axis=(1, 2, 3)) == 0).mean() > 0.5:
        raise ValueError("black")
    return images


def refuse_all(images):
    raise ValueError


def refuse_near_1(images):
    if 0.1 < images.max() <= 1:
        raise ValueError("scaled")
    return images


def only_uint8(images):
    if images.dtype != np.uint8:
        raise ValueError("scaled")
    return check_pixels(images)


def only_scaled(images):
    if images.max() <= 1:
        raise ValueError("scaled")
    return images


def only_black(images):
    if (images.max(axis=(1, 2, 3)) == 0).mean() > 0.5:
        raise ValueError("black")
    return images


def no_black_at_all(images):
    if images.max() <= 1 or (images.max(axis=(1, 2, 3)) == 0).any():
        raise ValueError("scaled or black")
    return images


def silent(images):
    check_pixels(images)


def scaled(images):
    return check_pixels(images) / 255


def slices(images, labels):
    import tensorflow as tf  # only these cases need it

    return tf.data.Dataset.from_tensor_slices((images, labels))


def changed(data, augment):
    return data.map(lambda batch, labels: (augment(batch), labels))


def batches(images, labels, augment=None):
    data = slices(images, labels)
    if augment is None:
        return data.batch(32)
    return changed(data.shuffle(len(images), seed=0).batch(32), augment)


def batches_of_16(images, labels, augment=None):
    return batches(images, labels, augment).unbatch().batch(16)


def always_shuffled(images, labels, augment=None):
    return changed(slices(images, labels).shuffle(70, seed=0).batch(32), augment or (lambda b: b))


def always_changed(images, labels, augment=None):
    data = slices(images, labels)
    return changed(data.batch(32), augment or (lambda batch: batch / 2))


def never_shuffled(images, labels, augment=None):
    data = slices(images, labels).batch(32)
    return data if augment is None else changed(data, augment)


def never_changed(images, labels, augment=None):
    data = slices(images, labels)
    return (data if augment is None else data.shuffle(70, seed=0)).batch(32)


def repeated(images, labels, augment=None):
    data = batches(images, labels, augment)
    return data if augment is None else data.repeat(2)


def batches_shuffled(images, labels, augment=None):
    data = slices(images, labels).batch(32)
    return data if augment is None else changed(swapped(data), augment)


def swapped(data):
    return data.skip(1).take(1).concatenate(data.take(1)).concatenate(data.skip(2))


def torn_apart(images, labels, augment=None):
    if augment is None:
        return batches(images, labels)
    order = np.random.default_rng(0).permutation(len(labels))
    return changed(slices(images, labels[order]).batch(32), augment)


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "03.1": (
        {"reaches": np.arange(250, 350)},
        350,
        {300: "larger", 360: "smaller", 345: "steps", 190: "steps"},
    ),
    "03.2": (
        {},
        crop_to_cell,
        {
            squeezed: "squeezed",
            from_the_corner: "not in the middle",
            width_only: "higher than wide",
            kept_inside: "cut",
            flattened: "its shape has changed",
            (lambda picture, size: None): "nothing yet",
            (lambda picture, size: np.array(crop_to_cell(picture, size))): "not an array",
            (lambda picture, size: crop_to_cell(picture, size + 1)): "size × size",
            (lambda picture, size: picture.resize((size, size))): "fill the square",
            (lambda picture, size: picture.crop((150, 0, 190, 40))): "is lost",
            3: "without brackets",
        },
    ),
    "03.3": (
        {},
        check_pixels,
        {
            (lambda images: None): "nothing yet",
            refuse_all: "are right",
            refuse_near_1: "scaled twice",
            only_uint8: "float32",
            only_scaled: "15 of 20",
            only_black: "scaled to 0",
            no_black_at_all: "is allowed",
            silent: "nothing yet",
            scaled: "unchanged",
            3: "without brackets",
        },
    ),
    "03.4": (
        {},
        batches,
        {
            (lambda images, labels, augment=None: None): "nothing yet",
            batches_of_16: "32, 32 and 6",
            always_shuffled: "given order",
            always_changed: "stay unchanged",
            never_shuffled: "should be shuffled",
            never_changed: ".map",
            repeated: "come once",
            batches_shuffled: "before batch",
            torn_apart: "belong together",
            3: "without brackets",
        },
    ),
}
