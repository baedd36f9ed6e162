"""Answers to the exercises of lesson 04: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np

# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "04.1": ({}, "texture", {"shape": "outline", "color": "color is gone", 1: "choices"}),
    "04.2": (
        {},
        "nothing",
        {"it will be nearly perfect there": "by heart", "the forest is broken": "no fault"},
    ),
    "04.3": ({"aurocs": np.array([0.8, 0.9, 0.7, 0.8])}, 2, {1: "best fold", 0: "smallest"}),
}
