"""Answers to the exercises of lesson 06: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import pandas as pd

PREDICTIONS = pd.DataFrame(
    {
        "subject": ["1", "1", "1", "H3", "H3", "H4"],
        "label": [1, 1, 1, 0, 0, 0],
        "probability": [0.9, 0.2, 0.8, 0.9, 0.7, 0.1],
    }
)


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "06.1": ({}, 0.6, {0.75: "precision", 0.9: "ALL", 0.8: "accuracy", 60: "between", 0.1: "row"}),
    "06.2": ({"predictions": PREDICTIONS}, 1, {2: "right", 6: "share"}),
    "06.3": (
        {},
        "works for people like these, within the interval",
        {"works in any hospital": "one place", "is better than a doctor": "doctor"},
    ),
    "06.4": ({}, 0.1, {0.9: "other way", 1 / 9: "Nearly", 9: "between", 0.5: "both errors"}),
}
