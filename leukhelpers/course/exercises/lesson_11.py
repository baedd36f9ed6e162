"""Checks of the exercises of lesson 11 that ask for code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any


def _patient_pattern(answer: Any) -> str | None:
    pattern = re.compile(answer)
    if pattern.groups != 1:
        return "There should be one pair of round brackets, around what names the patient."
    for name, patient in (("S07-b_0031.tif", "S07"), ("S12-c_0400.tif", "S12")):
        match = pattern.search(name)
        if match is None:
            return f"It finds nothing in {name}."
        if match.group(1) not in (patient, patient[1:]):
            return f"In {name} it picks out {match.group(1)!r}, not the patient."
    if pattern.search("S123-a_0001.tif") is None:
        return "It finds no patient with three digits; \\d+ stands for one digit or more."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "11.2": _patient_pattern,
}
