"""Checks of the exercises of lesson 01 that ask for code."""

from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.course.exercises import call, compare, hint, number


def subject_of(answer: Any) -> None:
    """Check the subject, read from the name of a file."""
    subject = call(answer, "UID_H12_4_3_hem")
    hint("no_text", not isinstance(subject, str))
    hint("first_part", subject == "UID")
    hint("lower", subject == "h12")
    hint("no_subject", subject != "H12")
    hint("two_spellings", answer("UID_h3_1_2_hem") == "h3")
    for name, right in (("UID_h3_1_2_hem", "H3"), ("UID_5_10_1_all", "5")):
        hint("other_name", answer(name) != right, name=name, right=right)


def missed_by_area(answer: Any, table: pd.DataFrame, area: pd.Series) -> None:
    """Check how many leukemic subjects have a median area that is not above the middle one."""
    medians = area.groupby(table["subject"]).median()
    above, leukemic = medians > medians.median(), table.groupby("subject")["label"].first() == 1
    compare(
        int(answer),
        (leukemic & ~above).sum(),
        leukemic_above=(leukemic & above).sum(),
        healthy_above=(~leukemic & above).sum(),
        below=(~above).sum(),
        cells=((table["label"] == 1) & (area <= area.median())).sum(),
    )


def explained_share(answer: Any) -> None:
    """Check the share of the variance that lies between the groups."""
    values = pd.Series([1.0, 2.0, 3.0, 6.0, 8.0])
    groups = pd.Series(["a", "a", "a", "b", "b"])
    found = number(call(answer, values, groups))
    between = values.groupby(groups).transform("mean").var(ddof=0)
    share = between / values.var(ddof=0)
    per_group = values.groupby(groups).mean()
    unweighted = [per_group.var(ddof=i) / values.var(ddof=j) for i in (0, 1) for j in (0, 1)]
    hint("unweighted", np.isclose(found, unweighted).any())
    compare(found, share, not_divided=between, within_groups=1 - share, upside_down=1 / share)
    other = answer(values, pd.Series(["a", "b", "b", "a", "b"]))
    hint("other_groups", not np.isclose(other, 1 / 6 / 6.8))
