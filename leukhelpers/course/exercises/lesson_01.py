"""Checks of the exercises of lesson 01 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd


def _small_letters(answer: Any, table: pd.DataFrame) -> str | None:
    if int(answer) == table["cell_id"].str.startswith("UID_h").sum():
        return None
    if int(answer) in (
        table["cell_id"].str.contains("_h").sum(),
        table["cell_id"].str.contains("_h", case=False).sum(),
    ):
        return "That counts every name that ends in _hem; look only where the subject stands."
    return "The names begin with UID_ and the subject; how many begin with UID_h?"


def _missed_by_area(answer: Any, table: pd.DataFrame, area: pd.Series) -> str | None:
    medians = area.groupby(table["subject"]).median()
    called, ill = medians > medians.median(), table.groupby("subject")["label"].first() == 1
    if int(answer) == int((ill & ~called).sum()):
        return None
    if int(answer) == int((ill & called).sum()):
        return "That is how many leukemic people it finds."
    if int(answer) == int((~ill & called).sum()):
        return "That is how many healthy people it calls leukemic."
    if int(answer) == int((~called).sum()):
        return "That is how many it calls healthy; how many of them are leukemic?"
    return "Take the medians of the leukemic people; how many are no larger than the middle one?"


CHECKS: dict[str, Callable[..., str | None]] = {
    "01.1": _small_letters,
    "01.2": _missed_by_area,
}
