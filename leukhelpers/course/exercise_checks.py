"""What is checked in the answer to each exercise, and the hints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.course import bughunt
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.splits import groups

# A check looks at an answer and gives a hint, or nothing if the answer is right.
Check = Callable[..., str | None]


def _number(expected: float, hints: dict[float, str], otherwise: str) -> Check:
    """Make a check of a number, with hints for the mistakes that one expects."""

    def look(answer: Any) -> str | None:
        if np.isclose(float(answer), expected, atol=0.006):
            return None
        for mistake, hint in hints.items():
            if np.isclose(float(answer), mistake, atol=0.006):
                return hint
        return otherwise

    return look


def _choice(expected: str, hints: dict[str, str]) -> Check:
    """Make a check of one word or sentence among several."""

    def look(answer: Any) -> str | None:
        if answer == expected:
            return None
        return hints.get(answer, "Answer with one of the choices, in quotation marks.")

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
    return "Compare the answers to lab.images of label 1 with those to nothing_beside of them."


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


CHECKS: dict[str, Check] = {
    "00.1": _number(
        1455 / 2133,
        {
            0.5: "That is its balanced accuracy; accuracy counts cells.",
            678 / 2133: "That is the share of the smaller class.",
            1.0: "It is right on one of the classes only.",
            68: "Give a share between 0 and 1.",
        },
        "It is right on all cells of the larger class, and on no other: divide by all cells.",
    ),
    "00.2": _number(
        0.5,
        {
            1455 / 2133: "That is its accuracy; take the mean of the two recalls.",
            1.0: "That is the recall of one class; the other one counts as much.",
            0.0: "That is the recall of one class; the other one counts as much.",
        },
        "What is the recall of each class? Take their mean.",
    ),
    "00.3": _choice(
        "no", {"yes": "Read what the card of synthetic cells says under “must not be used for”."}
    ),
    "01.1": _small_letters,
    "01.2": _missed_by_area,
    "02.1": _number(
        2,
        {
            4: "Four people, but pictures connect some of them.",
            3: "A and C share no picture, yet both are connected to B.",
            1: "D shares no picture with anybody.",
        },
        "Draw the four people and a line for each shared picture; count the islands.",
    ),
    "02.2": _own_split,
    "02.3": _moved_subjects,
    "02.4": _choice(
        "group",
        {
            "cell_id": "That keeps the halves together, but not two cells of one person.",
            "subject": "Nearly: but two subjects may share a picture.",
            "fold": "The published folds share pictures, as you have seen in this lesson.",
        },
    ),
    "03.1": _crop,
    "03.2": _choice(
        "exchange red and blue",
        {
            "turn": "A cell on a slide may lie in any direction.",
            "mirror": "A mirrored cell is as plausible as the cell itself.",
            "slightly brighter": "Lamps differ; a little light changes no diagnosis.",
        },
    ),
    "03.3": _refuses_scaled,
    "04.1": _choice(
        "texture",
        {
            "shape": "It compares greys that lie beside each other; the outline plays no part.",
            "colour": "It compares greys; the colour is gone before.",
        },
    ),
    "04.2": _choice(
        "nothing",
        {
            "it will be nearly perfect there": "It may have learnt the cells by heart.",
            "the forest is broken": "Full-grown trees know their own cells; that is no fault.",
        },
    ),
    "04.3": _worst_fold,
    "05.1": _number(
        3,
        {
            1 / 3: "The rarer class must weigh more, not less.",
            0.75: "That is the share of ALL.",
            1: "Then 300 cells would speak against 100.",
        },
        "100 cells with that weight shall count as much as 300 cells with the weight 1.",
    ),
    "05.2": _by_training_loss,
    "05.3": _choice(
        "the test score becomes too good",
        {
            "nothing": "The best of many looks at the test people is better than an honest one.",
            "the test score becomes too bad": "One keeps the epoch at which they look best.",
        },
    ),
    "06.1": _number(
        0.6,
        {
            30 / 40: "That is the precision of HEM: you went down a column.",
            0.9: "That is the recall of ALL.",
            120 / 150: "That is the accuracy.",
            60: "Give a share between 0 and 1.",
        },
        "Stay in the row of the truly healthy cells: which share was called HEM?",
    ),
    "06.2": _wrong_people,
    "06.3": _choice(
        "works for people like these, within the interval",
        {
            "works in any hospital": "All people of this test come from one place.",
            "is better than a doctor": "No doctor took part in this test.",
        },
    ),
    "06.4": _number(
        0.1,
        {
            0.9: "The other way round: whoever fears to miss a cell calls early.",
            1 / 9: "Nearly: at a probability p, p cells are ALL and 1 - p are not.",
            9: "Give a probability between 0 and 1.",
        },
        "At the threshold p both errors cost the same: 9 times p on one side, 1 - p on the other.",
    ),
    "07.1": _number(
        2.0,
        {
            0.4: "Subtract the background; minus a negative number.",
            1.2: "The background has a logit, too: where does the sharing begin?",
            -2.0: "The other way round: the cell minus the background.",
        },
        "The values add up to the cell's logit minus the mean logit of the background.",
    ),
    "07.2": _choice(
        "What does the map of an untrained network look like?",
        {
            "Which colour map is that?": "Colours can mislead, but that is not the first doubt.",
            "How many layers has it?": "Whatever it has, does the map show what was learnt?",
        },
    ),
    "07.3": _guilty,
    "07.4": _without_mark,
    "08.1": _number(
        115_200,
        {
            1_152: "That is the number of weights; each is used at every pixel.",
            12_800: "The kernel has 3×3 places.",
            7_200: "Each of the 16 new maps looks at all old ones.",
            14_400: "Each new map looks at all 8 old ones.",
        },
        "Pixels × kernel places × maps before × maps after.",
    ),
    "08.2": _choice(
        "random weights",
        {
            "nothing": "Then readers would take it for a network that has seen ImageNet.",
            "fine-tuned": "That says how it learnt, not where it began.",
        },
    ),
    "08.3": _tuned_numbers,
    "09.1": _choice(
        "left out",
        {
            "fitted": "To them the score was fitted: they lie nearer than any unseen cell.",
            "test": "Then there is nobody left on whom to measure what comes of it.",
        },
    ),
    "09.2": _number(
        170,
        {
            680: "That is float32, of four bytes each; int8 takes one.",
            1_360: "That is the number of bits, in thousands.",
            42.5: "The weights are counted already; one byte each.",
        },
        "As many bytes as weights, and a kilobyte has 1,000.",
    ),
    "09.3": _choice(
        "no answer",
        {
            "ALL": "55 % is above the operating point. Now look at the other two numbers as well.",
            "HEM": "Is 55 % below the operating point? Look at the other two numbers as well.",
        },
    ),
    "10.1": _choice(
        "healthy",
        {"ill": "A quarter of 1200 is 300: which row has that support?"},
    ),
    "10.2": _number(
        -0.02,
        {
            0.02: "Which of the two is larger? Mind the sign.",
            0.78: "That is its accuracy; subtract that of the majority answer.",
            0.6: "That is the balanced accuracy.",
            -0.2: "The accuracy weighs each recall by its support.",
            -2: "Give a share between -1 and 1.",
        },
        "Rightly answered cells of both classes, over all; then less the share of the larger.",
    ),
    "10.3": _never_called,
    "10.4": _choice(
        "pixels",
        {
            "names": "The supports and the list of files showed it.",
            "accuracy alone": "The table holds the recalls, which gave it away.",
        },
    ),
    "11.1": _number(
        2,
        {
            0: "The alphabet comes first here, not health: which name stands first?",
            1: "Capitals come before small letters: ALL, AML, healthy.",
            3: "Computers count from 0.",
        },
        "Sort the three names and count from 0.",
    ),
    "11.2": _patient_pattern,
    "11.3": _choice(
        "the classes are exchanged",
        {
            "train longer": "Then it would do the wrong thing with more confidence.",
            "it guesses": "Guessing gives about 0.5; 0.13 on so many patients is knowledge.",
        },
    ),
    "12.1": _number(
        84,
        {
            91: "That is the best of five tries; what would the next draw give?",
            79: "That is the worst; honest is what one may expect of a draw.",
            83: "That is the median; the mean is asked for.",
        },
        "Add the five up and divide by their number.",
    ),
    "12.2": _choice(
        "the differences draw by draw",
        {
            "the best of each": "Each was lucky with some people; not with the same ones.",
            "the mean of each": "Right, but how sure is it? Both models met the same people.",
        },
    ),
    "12.3": _number(
        60,
        {
            12: "Every combination is a run: multiply.",
            15: "And each of them once a fold.",
        },
        "Every model with every seed with every fold.",
    ),
    **bughunt.CHECKS,
}
