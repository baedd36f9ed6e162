"""Checks of the exercises of lesson 04 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _worst_fold(answer: Any, aurocs: np.ndarray) -> str | None:
    if int(answer) == int(np.argmin(aurocs)):
        return None
    if int(answer) == int(np.argmax(aurocs)):
        return "That is its best fold."
    return "Look for the smallest of the four numbers; the first has the number 0."


CHECKS: dict[str, Callable[..., str | None]] = {
    "04.3": _worst_fold,
}
