"""Checks of the exercises of lesson 06 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd


def _wrong_people(answer: Any, predictions: pd.DataFrame) -> str | None:
    called = (predictions["probability"] >= 0.5).groupby(predictions["subject"]).mean() > 0.5
    truth = predictions.groupby("subject")["label"].first() == 1
    if int(answer) == int((called != truth).sum()):
        return None
    if int(answer) == int((called == truth).sum()):
        return "That is how many it gets right."
    return "For each subject take the share of cells called ALL; is it above one half?"


CHECKS: dict[str, Callable[..., str | None]] = {
    "06.2": _wrong_people,
}
