"""Answers to the exercises of lesson 01: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import pandas as pd

TABLE = pd.DataFrame(
    {
        "cell_id": ["UID_1_1_1_all", "UID_H3_1_1_hem", "UID_h3_1_2_hem", "UID_H4_1_1_hem"],
        "subject": ["1", "H3", "H3", "H4"],
        "label": [1, 0, 0, 0],
    }
)

SEVEN = pd.DataFrame(
    {
        "subject": list("abcdefg"),
        "label": [1, 1, 0, 1, 0, 1, 1],
        "cell_area": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    }
)


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "01.1": ({"table": TABLE}, 1, {3: "_hem", 7: "UID_h"}),
    "01.2": (
        {"table": SEVEN, "area": SEVEN["cell_area"]},
        3,
        {2: "it finds", 1: "calls leukemic", 4: "calls healthy", 9: "middle one"},
    ),
}
