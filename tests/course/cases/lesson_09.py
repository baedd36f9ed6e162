"""Answers to the exercises of lesson 09: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "09.1": ({}, "left out", {"fitted": "nearer", "test": "nobody left", 3: "choices"}),
    "09.2": ({}, 170, {680: "four bytes", 1_360: "bits", 42.5: "one byte", 1: "kilobyte"}),
    "09.3": ({}, "no answer", {"ALL": "is above", "HEM": "below", 0: "choices"}),
}
