"""Checks of the exercises of lesson 05 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd


def _by_training_loss(answer: Any, history: pd.DataFrame) -> str | None:
    if int(answer) == int(history.loc[history["loss"].idxmin(), "epoch"]):
        return None
    if int(answer) == int(history.loc[history["val_loss"].idxmin(), "epoch"]):
        return "That is the epoch of the best validation loss; look at the column loss."
    return "Find the row with the smallest loss and give its epoch, which counts from 1."


CHECKS: dict[str, Callable[..., str | None]] = {
    "05.2": _by_training_loss,
}
