"""Checks of the exercises of lesson 03 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _crop(answer: Any, reaches: np.ndarray) -> str | None:
    side = int(answer)
    if side % 10 or not 200 <= side <= 450:
        return "Try crops from 200 to 450 in steps of 10."
    if side < 450 and (reaches > side).mean() > 0.02:
        return "That crop cuts more than 2 % of the cells; it must be larger."
    if side > 200 and (reaches > side - 10).mean() <= 0.02:
        return "A smaller crop would do as well."
    return None


def _refuses_scaled(answer: Any) -> str | None:
    picture = np.array([[0, 51], [102, 255]], dtype=np.uint8)
    if not np.allclose(answer(picture), picture / 255):
        return "A picture from 0 to 255 should be divided by 255, once."
    try:
        answer(picture / 255)
    except ValueError:
        pass
    else:
        return "A picture that was scaled already should raise a ValueError."
    if not np.allclose(answer(np.zeros((2, 2))), 0):
        return "A black picture is allowed; only look at a largest value above 0."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "03.1": _crop,
    "03.3": _refuses_scaled,
}
