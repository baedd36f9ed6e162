"""Answers to the exercises of lesson 05: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import pandas as pd

HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "val_loss": [2.0, 1.0, 4.0]})


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "05.1": ({}, 3.0, {1 / 3: "rarer", 0.75: "share", 1.0: "against", 7: "count"}),
    "05.2": ({"history": HISTORY}, 3, {2: "validation", 1: "smallest"}),
    "05.3": ({}, "the test score becomes too good", {"nothing": "best of many", 1: "choices"}),
}
