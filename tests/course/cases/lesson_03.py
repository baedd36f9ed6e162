"""Answers to the exercises of lesson 03: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np


def scale(image):
    if 0 < image.max() <= 1:
        raise ValueError("scaled already")
    return image / 255


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "03.1": (
        {"reaches": np.arange(250, 350)},
        350,
        {300: "larger", 360: "smaller", 345: "steps", 190: "steps"},
    ),
    "03.2": ({}, "exchange red and blue", {"turn": "direction", "mirror": "plausible"}),
    "03.3": (
        {},
        scale,
        {
            (lambda image: image / 255): "ValueError",
            (lambda image: image / 127): "once",
            3: "cannot be read",
        },
    ),
}
