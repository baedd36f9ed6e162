"""Answers to the exercises of lesson 11: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "11.1": ({}, 2, {0: "first", 1: "Capitals", 3: "from 0", 9: "Sort"}),
    "11.2": (
        {},
        r"(S\d+)-",
        {
            "S07": "brackets",
            "(P)": "finds nothing",
            r"_(\d+)": "0031",
            r"S(\d\d)-": "three digits",
        },
    ),
    "11.3": ({}, "the classes are exchanged", {"train longer": "confidence", "it guesses": "0.5"}),
}
