"""Checks of the exercises of lesson 11 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

LABELS = pd.Series(["normal", "blasts", "blasts", "normal"], index=[4, 2, 7, 9])
NUMBERS = {"normal": 0, "blasts": 1}
TRUTH = np.array(["a", "a", "a", "a", "b", "b", "c"])
PREDICTED = np.array(["a", "a", "a", "b", "b", "c", "c"])


def _encode(answer: Any) -> str | None:
    numbers = answer(LABELS.copy(), dict(NUMBERS))
    if numbers is None:
        return "The function returns nothing yet; replace each label by its number and return them."
    if list(numbers) != [0, 1, 1, 0]:
        return f"For the labels {list(LABELS)} it returns {list(numbers)}; use {NUMBERS}."
    other = list(answer(LABELS.copy(), {"blasts": 2, "normal": 5}))
    if other != [5, 2, 2, 5]:
        return "The numbers should come from number_of, whatever it holds."
    for unknown in ("Blasts", "lymphocytes"):
        try:
            found = answer(pd.Series(["normal", unknown]), dict(NUMBERS))
        except ValueError as error:
            if unknown not in str(error):
                return "The ValueError should name the unknown label, so that one can correct it."
        except KeyError:
            return "It raises a KeyError; raise a ValueError with a sentence that names the label."
        else:
            return f"The unknown label {unknown!r} became {list(found)[1]!r}; raise a ValueError."
    return None


def _patient_of(answer: Any) -> str | None:
    for name, patient in (("S07-b_0031.tif", "S07"), ("S12-c_0400.tif", "S12")):
        found = answer(name)
        if found is None:
            return f"For {name} it returns None; search for the patient and return group(1)."
        if found != patient:
            return f"For {name} it returns {found!r}; the patient is {patient!r}."
    if answer("S123-a_0001.tif") != "S123":
        return "S123-a_0001.tif is of patient S123: \\d+ stands for one digit or more."
    for name in ("overview.tif", "b_0031.tif", "S-b_0031.tif"):
        try:
            found = answer(name)
        except AttributeError:
            return f"For {name} re.search returns None, which has no group(1); test for it first."
        if found is not None:
            return f"{name} names no patient; return None, not {found!r}."
    return None


def _macro_recall(answer: Any) -> str | None:
    found = answer(TRUTH, PREDICTED)
    if found is None:
        return "The function returns nothing yet; start with the recall of one class."
    if np.size(found) != 1:
        return "Return one number: the mean of the recalls."
    if np.isclose(found, 5 / 7):
        return "That is accuracy: the frequent class counts most. Average over the classes."
    if np.isclose(found, 2 / 3):
        return "That is the macro precision: select the cells by y_true, not by y_pred."
    if not np.isclose(found, 0.75):
        return "Take the recall of each class in y_true, then the mean of these recalls."
    two = answer(np.array(["x", "x", "y"]), np.array(["x", "x", "x"]))
    four = answer(np.array(["d", *"abc"]), np.array(["d", *"aaa"]))
    if not (np.isclose(two, 0.5) and np.isclose(four, 0.5)):
        return "With two or four classes it is wrong; take the classes from np.unique(y_true)."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "11.2": _encode,
    "11.3": _patient_of,
    "11.4": _macro_recall,
}
