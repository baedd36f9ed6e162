"""Checks of the exercises of lesson 01 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd


def _subject_of(answer: Any) -> str | None:
    subject = answer("UID_H12_4_3_hem")
    if subject is None:
        return "Your function returns nothing yet; end it with a line that starts with return."
    if not isinstance(subject, str):
        return "Return text: the part of the name between the first and the second underscore."
    if subject == "UID":
        return "That is the first part, at position 0; the subject is the second part."
    if subject == "h12":
        return "Healthy subjects have a capital H: use upper() instead of lower()."
    if subject != "H12":
        return "For UID_H12_4_3_hem it should return H12."
    if answer("UID_h3_1_2_hem") == "h3":
        return "H3 and h3 are the same subject: make all letters capital with upper()."
    for name, right in (("UID_h3_1_2_hem", "H3"), ("UID_5_10_1_all", "5")):
        if answer(name) != right:
            return f"For {name} it should return {right}: split the name at the underscores."
    return None


def _missed_by_area(answer: Any, table: pd.DataFrame, area: pd.Series) -> str | None:
    medians = area.groupby(table["subject"]).median()
    above, leukemic = medians > medians.median(), table.groupby("subject")["label"].first() == 1
    number = int(answer)
    if number == int((leukemic & ~above).sum()):
        return None
    if number == int((leukemic & above).sum()):
        return "That is how many leukemic subjects the rule finds."
    if number == int((~leukemic & above).sum()):
        return "That is how many healthy subjects the rule calls leukemic."
    if number == int((~above).sum()):
        return "That is how many subjects the rule calls healthy; how many of them are leukemic?"
    if number == int(((table["label"] == 1) & (area <= area.median())).sum()):
        return "That is a number of cells; take the median area of each subject first."
    return "Take the medians of the leukemic subjects; how many are not above the middle one?"


def _explained_share(answer: Any) -> str | None:
    values = pd.Series([1.0, 2.0, 3.0, 6.0, 8.0])
    groups = pd.Series(["a", "a", "a", "b", "b"])
    share = answer(values, groups)
    if share is None:
        return "Your function returns nothing yet; end it with a line that starts with return."
    if np.shape(share):
        return (
            "Return one number: the variance of the means, divided by the variance of the values."
        )
    means = values.groupby(groups).transform("mean")
    if np.isclose(share, means.var(ddof=0)):
        return "That is the variance of the means; divide it by the variance of the values."
    if np.isclose(share, 1 - means.var(ddof=0) / values.var(ddof=0)):
        return "That is the share within the groups, which the means do not explain."
    if np.isclose(share, values.var(ddof=0) / means.var(ddof=0)):
        return "Divide the other way round: the result lies between 0 and 1."
    per_group = values.groupby(groups).mean()
    wrong = [per_group.var(ddof=i) / values.var(ddof=j) for i in (0, 1) for j in (0, 1)]
    if np.isclose(share, wrong).any():
        return (
            'Give each cell the mean of its group, with transform("mean"): large groups count more.'
        )
    if not np.isclose(share, means.var(ddof=0) / values.var(ddof=0), rtol=1e-6):
        return "For the values 1, 2, 3 in one group and 6, 8 in another, it should be 15/17."
    other = answer(values, pd.Series(["a", "b", "b", "a", "b"]))
    if not np.isclose(other, 1 / 6 / 6.8):
        return "It is correct for one example and wrong for another: use both arguments."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "01.1": _subject_of,
    "01.2": _missed_by_area,
    "01.3": _explained_share,
}
