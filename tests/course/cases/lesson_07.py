"""Answers to the exercises of lesson 07: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np

from leukhelpers.explain.shortcuts import SpuriousCueDemo


class _Lamp:
    """Says ALL where the picture's upper left corner is lit."""

    def predict(self, images: np.ndarray, verbose: int) -> np.ndarray:
        return (images[:, 0, 0] > 0).mean(axis=-1, keepdims=True)


def _marked(lit: list[bool]) -> np.ndarray:
    images = np.zeros((len(lit), 16, 16, 3), np.uint8)
    images[:, 4:12, 4:12] = 90
    images[lit, 0, 0] = 200
    return images


LABS = {
    name: SpuriousCueDemo(
        _Lamp(), _marked([True, True, False, False]), np.array([1, 1, 1, 0]), _marked([]), guilty
    )
    for name, guilty in (("A", False), ("B", True))
}


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "07.1": ({}, 2.0, {0.4: "minus", 1.2: "background", -2.0: "other way", 5: "add up"}),
    "07.2": (
        {},
        "What does the map of an untrained network look like?",
        {"How many layers has it?": "learnt"},
    ),
    "07.3": ({"labs": LABS}, "B", {"A": "without it", "C": "'A' or 'B'"}),
    "07.4": ({"labs": LABS}, 2, {3: "how many ALL cells", 0: "Compare"}),
}
