"""Answers to the exercises of lesson 10: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "10.1": ({}, "healthy", {"ill": "quarter", "both": "choices"}),
    "10.2": (
        {},
        -0.02,
        {0.02: "sign", 0.78: "subtract", 0.6: "balanced", -0.2: "support", -2: "share"},
    ),
    "10.3": (
        {},
        lambda report: bool((report["recall"] == 0).any()),
        {
            lambda report: report["recall"].iloc[1] == 0: "whichever row",
            lambda report: (report["recall"] < 0.5).any(): "not 0",
            lambda report: (report["recall"] == 1).any(): "not enough",
        },
    ),
    "10.4": ({}, "pixels", {"names": "list of files", "accuracy alone": "recalls"}),
}
