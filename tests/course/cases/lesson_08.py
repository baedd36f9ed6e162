"""Answers to the exercises of lesson 08: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

TUNED = SimpleNamespace(trainable_weights=[np.zeros((2, 2)), np.zeros(1)], count_params=lambda: 9)


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "08.1": (
        {},
        115_200,
        {1_152: "weights", 12_800: "3×3", 7_200: "all old", 14_400: "all 8", 5: "Pixels ×"},
    ),
    "08.2": ({}, "random weights", {"nothing": "ImageNet", "fine-tuned": "began", 1: "choices"}),
    "08.3": ({"model": TUNED}, 5, {9: "batch normalization", 7: "trainable_weights"}),
}
