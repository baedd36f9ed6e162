"""Answers to the exercises of lesson 01: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import pandas as pd

SEVEN = pd.DataFrame(
    {
        "subject": list("aaaabcdefg"),
        "label": [1, 1, 1, 1, 1, 0, 1, 0, 1, 1],
        "cell_area": [1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    }
)


def explained_share(values, groups):
    return values.groupby(groups).transform("mean").var(ddof=0) / values.var(ddof=0)


def share_per_group(values, groups):
    return values.groupby(groups).mean().var() / values.var()


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "01.1": (
        {},
        lambda name: name.split("_")[1].upper(),
        [
            (lambda name: None, "nothing yet"),
            (lambda name: name.split("_"), "Return text"),
            (lambda name: name.split("_")[0], "position 0"),
            (lambda name: name.split("_")[1].lower(), "capital"),
            (lambda name: name, "should return H12"),
            (lambda name: name.split("_")[1], "same subject"),
            (lambda name: name[4:7].upper(), "underscores"),
        ],
    ),
    "01.2": (
        {"table": SEVEN, "area": SEVEN["cell_area"]},
        3,
        {2: "finds", 1: "calls leukemic", 4: "calls healthy", 5: "of cells", 9: "middle one"},
    ),
    "01.3": (
        {},
        explained_share,
        [
            (lambda values, groups: None, "nothing yet"),
            (lambda values, groups: values.groupby(groups).transform("mean"), "one number"),
            (lambda values, groups: explained_share(values, groups) * values.var(ddof=0), "divide"),
            (lambda values, groups: 1 - explained_share(values, groups), "within"),
            (lambda values, groups: 1 / explained_share(values, groups), "other way"),
            (share_per_group, "transform"),
            (lambda values, groups: 0.5, "15/17"),
            (lambda values, groups: 15 / 17, "both arguments"),
        ],
    ),
}
