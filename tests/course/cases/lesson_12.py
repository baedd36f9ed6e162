"""Answers to the exercises of lesson 12: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "12.1": ({}, 84, {91: "best of five", 79: "worst", 83: "median", 5: "Add the five"}),
    "12.2": (
        {},
        "the differences draw by draw",
        {"the best of each": "lucky", "the mean of each": "how sure", "both": "choices"},
    ),
    "12.3": ({}, 60, {12: "multiply", 15: "fold", 3: "Every model"}),
}
