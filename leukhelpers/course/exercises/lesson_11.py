"""Checks of the exercises of lesson 11 that ask for code."""

from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.course.exercises import call, compare, hint, number

LABELS = pd.Series(["normal", "blasts", "blasts", "normal"], index=[4, 2, 7, 9])
NUMBERS = {"normal": 0, "blasts": 1}
TRUTH = np.array(["a", "a", "a", "a", "b", "b", "c"])
PREDICTED = np.array(["a", "a", "a", "b", "b", "c", "c"])


def encode(answer: Any) -> None:
    """Check labels as numbers; an unknown label raises a ValueError that names it."""
    numbers = list(call(answer, LABELS, NUMBERS))
    hint("numbers", numbers != [0, 1, 1, 0], labels=list(LABELS), found=numbers, numbers=NUMBERS)
    other = list(answer(LABELS.copy(), {"blasts": 2, "normal": 5}))
    hint("other_numbers", other != [5, 2, 2, 5])
    for unknown in ("Blasts", "lymphocytes"):
        try:
            found = answer(pd.Series(["normal", unknown]), dict(NUMBERS))
        except ValueError as error:
            hint("no_name", unknown not in str(error))
        except KeyError:
            hint("key_error", True)
        else:
            hint("no_error", True, unknown=unknown, found=list(found)[1])


def patient_of(answer: Any) -> None:
    """Check the patient, read from the name of a file; None if it names none."""
    hint("function", not callable(answer))
    for name, patient in (("S07-b_0031.tif", "S07"), ("S12-c_0400.tif", "S12")):
        found = answer(name)
        hint("nothing", found is None, name=name)
        hint("other_text", found != patient, name=name, found=found, patient=patient)
    hint("two_digits", answer("S123-a_0001.tif") != "S123")
    for name in ("overview.tif", "b_0031.tif", "S-b_0031.tif"):
        try:
            found = answer(name)
        except AttributeError:
            hint("no_match", True, name=name)
        hint("no_patient", found is not None, name=name, found=found)


def macro_recall(answer: Any) -> None:
    """Check the mean of the recalls of all classes."""
    found = number(call(answer, TRUTH, PREDICTED))
    compare(found, 3 / 4, accuracy=5 / 7, precision=2 / 3)
    two = answer(np.array(["x", "x", "y"]), np.array(["x", "x", "x"]))
    four = answer(np.array(["d", *"abc"]), np.array(["d", *"aaa"]))
    hint("other_classes", not np.allclose([two, four], 0.5))
