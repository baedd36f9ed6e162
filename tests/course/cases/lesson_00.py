"""Answers to the exercises of lesson 00: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "00.1": (
        {},
        0.68,
        {0.5: "balanced", 0.32: "smaller", 1.0: "one of", 68: "between", 0.1: "div"},
    ),
    "00.2": ({}, 0.5, {0.68: "accuracy", 1.0: "counts as much", 0.2: "mean"}),
    "00.3": ({}, "no", {"yes": "card", "perhaps": "choices"}),
}
