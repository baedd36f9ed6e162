"""Checks of the exercises: a tick, or the hint that fits the mistake.

Each exercise has a number, ``"<lesson>.<exercise>"``. Where the right answer depends on
the cells at hand, the lesson hands them in and the check computes it. Answers that are a
number or one of several words are in ``exercises.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
import yaml

from leukhelpers.course import bughunt
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError
from leukhelpers.splits import groups

# A check looks at an answer and gives a hint, or nothing if the answer is right.
Check = Callable[..., str | None]


def check(number: str, answer: Any, **known: Any) -> None:
    """Print a tick, or the hint that fits the mistake.

    Parameters
    ----------
    number : str
        Number of the exercise, such as ``"02.1"``.
    answer : object
        The learner's answer; ``...`` stands for one that is not given yet.
    **known
        What the lesson knows and the check needs (a table, a split, predictions).

    Raises
    ------
    InputError
        If there is no such exercise.
    """
    if answer is ... and number in CHECKS:
        print(f"○ Exercise {number}: put your answer in place of the three dots.")
        return
    hint = hint_for(number, answer, **known)
    print(f"✓ Exercise {number}: right." if hint is None else f"✗ Exercise {number}: {hint}")


def hint_for(number: str, answer: Any, **known: Any) -> str | None:
    """Give the hint that an answer deserves, or None for a right one; see :func:`check`."""
    if number not in CHECKS:
        raise InputError(f"There is no exercise {number}; there are {', '.join(CHECKS)}.")
    try:
        return CHECKS[number](answer, **known)
    except Exception as error:  # a learner's answer may be anything at all
        return f"This kind of answer cannot be read ({type(error).__name__}: {error})."


def _listed(entry: dict[str, Any]) -> Check:
    """Make a check of an entry of ``exercises.yaml``."""

    def look(answer: Any) -> str | None:
        if "choice" in entry:
            if answer == entry["choice"]:
                return None
            return entry["hints"].get(answer, "Answer with one of the choices, in quotation marks.")
        for value, hint in {entry["number"]: None, **entry["hints"]}.items():
            if np.isclose(float(answer), float(Fraction(value)), atol=0.006):
                return hint
        return entry["otherwise"]

    return look


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


def _own_split(answer: Any, labels: np.ndarray) -> str | None:
    if not isinstance(answer, groups.Split):
        return "The answer should be a groups.Split."
    for label, name in enumerate(CLASS_NAMES):
        of_class = answer.test[labels[answer.test] == label]
        if len(np.unique(answer.groups[of_class])) < 2:
            return f"The test rows hold fewer than two groups of {name}."
    if len(answer.train) + len(answer.test) != len(labels):
        return "Some rows are in neither part; put all other rows into the training part."
    return None


def _moved_subjects(answer: Any, table: pd.DataFrame) -> str | None:
    published = table["fold"].to_numpy()
    if len(np.unique(published)) < 2:
        return None if int(answer) == 0 else "There is one fold only, so nobody moved."
    moved = table["subject"][groups.group_consistent_folds(table) != published]
    if int(answer) == moved.nunique():
        return None
    if int(answer) == len(moved):
        return "That is the number of cells; how many different subjects are they of?"
    return "Take the subjects of the cells whose joined fold differs, and count each once."


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


def _worst_fold(answer: Any, aurocs: np.ndarray) -> str | None:
    if int(answer) == int(np.argmin(aurocs)):
        return None
    if int(answer) == int(np.argmax(aurocs)):
        return "That is its best fold."
    return "Look for the smallest of the four numbers; the first has the number 0."


def _by_training_loss(answer: Any, history: pd.DataFrame) -> str | None:
    if int(answer) == int(history.loc[history["loss"].idxmin(), "epoch"]):
        return None
    if int(answer) == int(history.loc[history["val_loss"].idxmin(), "epoch"]):
        return "That is the epoch of the best validation loss; look at the column loss."
    return "Find the row with the smallest loss and give its epoch, which counts from 1."


def _tuned_numbers(answer: Any, model: Any) -> str | None:
    if int(answer) == sum(int(np.prod(weights.shape)) for weights in model.trainable_weights):
        return None
    if int(answer) == int(model.count_params()):
        return "That counts batch normalisation, too, which stays as it was."
    return "Add up the sizes of all arrays in model.trainable_weights."


def _wrong_people(answer: Any, predictions: pd.DataFrame) -> str | None:
    called = (predictions["probability"] >= 0.5).groupby(predictions["subject"]).mean() > 0.5
    truth = predictions.groupby("subject")["label"].first() == 1
    if int(answer) == int((called != truth).sum()):
        return None
    if int(answer) == int((called == truth).sum()):
        return "That is how many it gets right."
    return "For each subject take the share of cells called ALL; is it above one half?"


def _guilty(answer: Any, labs: dict[str, Any]) -> str | None:
    guilty = next(name for name, lab in labs.items() if lab.guilty)
    if answer == guilty:
        return None
    if answer in labs:
        return "Whose maps are strongest on the mark, and whose answers move without it?"
    return f"Answer with {' or '.join(repr(name) for name in labs)}."


def _without_mark(answer: Any, labs: dict[str, Any]) -> str | None:
    from leukhelpers.explain import shortcuts

    lab = next(lab for lab in labs.values() if lab.guilty)
    ill = lab.images[lab.labels == 1]
    wanted = called_all(lab.model, ill) & ~called_all(lab.model, shortcuts.mask_background(ill))
    if int(answer) == int(wanted.sum()):
        return None
    if int(answer) == len(ill):
        return "That is how many ALL cells there are; of how many did the answer change?"
    return "Compare the answers to lab.images of label 1 with those to mask_background of them."


def called_all(model: Any, images: np.ndarray) -> np.ndarray:
    """Tell of which pictures a network says ALL."""
    return model.predict(np.asarray(images, np.float32), verbose=0)[:, 0] >= 0.5


def _never_called(answer: Any) -> str | None:
    def report(*recalls: float) -> pd.DataFrame:
        return pd.DataFrame({"precision": 0.0, "recall": recalls})

    if not answer(report(1.0, 0.0)) or not answer(report(0.0, 1.0)):
        return "A recall of 0, in whichever row, means that no cell of the class was found."
    if answer(report(0.9, 0.3)):
        return "A low recall is not 0: that class is called, if seldom."
    if answer(report(1.0, 0.2)):
        return "Recall 1 for one class is not enough; the other one may be called, too."
    return None


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


_TEXT = resources.files("leukhelpers.course").joinpath("exercises.yaml").read_text("utf-8")
CHECKS: dict[str, Check] = dict(
    sorted(
        (
            {number: _listed(entry) for number, entry in yaml.safe_load(_TEXT).items()}
            | {
                "01.1": _small_letters,
                "01.2": _missed_by_area,
                "02.2": _own_split,
                "02.3": _moved_subjects,
                "03.1": _crop,
                "03.3": _refuses_scaled,
                "04.3": _worst_fold,
                "05.2": _by_training_loss,
                "06.2": _wrong_people,
                "07.3": _guilty,
                "07.4": _without_mark,
                "08.3": _tuned_numbers,
                "10.3": _never_called,
                "11.2": _patient_pattern,
            }
            | bughunt.CHECKS
        ).items()
    )
)
