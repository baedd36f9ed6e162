from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from leukhelpers.course import bughunt, exercises
from leukhelpers.errors import InputError
from leukhelpers.explain.shortcuts import SpuriousCueDemo
from leukhelpers.splits import groups

TABLE = pd.DataFrame(
    {
        "cell_id": ["UID_1_1_1_all", "UID_H3_1_1_hem", "UID_h3_1_2_hem", "UID_H4_1_1_hem"],
        "subject": ["1", "H3", "H3", "H4"],
        "label": [1, 0, 0, 0],
    }
)
SEVEN = pd.DataFrame(
    {
        "subject": list("abcdefg"),
        "label": [1, 1, 0, 1, 0, 1, 1],
        "cell_area": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    }
)
HISTORY = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "val_loss": [2.0, 1.0, 4.0]})
PREDICTIONS = pd.DataFrame(
    {
        "subject": ["1", "1", "1", "H3", "H3", "H4"],
        "label": [1, 1, 1, 0, 0, 0],
        "probability": [0.9, 0.2, 0.8, 0.9, 0.7, 0.1],
    }
)
GROUPS = np.array(["a", "b", "c", "d", "e", "f"])
LABELS = np.array([1, 1, 1, 0, 0, 0])
NONE = np.zeros(0, dtype=int)
# Subject b shares a picture with a, and most cells of the two lie in fold 0.
FOLDED = pd.DataFrame(
    {
        "subject": ["a", "a", "a", "b", "b", "c"],
        "sha256": ["1", "2", "3", "1", "4", "5"],
        "fold": ["0", "0", "0", "1", "1", "1"],
    }
)


def split(train: list[int], test: list[int]) -> groups.Split:
    return groups.Split(GROUPS, np.array(train, dtype=int), NONE, np.array(test, dtype=int))


# The test rows hold two cells of each class, but those of HEM are of one person.
one_person = groups.Split(
    np.array(["a", "b", "c", "d", "d", "f"]), np.array([2, 5]), NONE, np.array([0, 1, 3, 4])
)


def scale(image):
    if 0 < image.max() <= 1:
        raise ValueError("scaled already")
    return image / 255


# For each exercise: what the check needs, a right answer, and wrong ones with a word of
# the hint that each should bring.
TUNED = SimpleNamespace(trainable_weights=[np.zeros((2, 2)), np.zeros(1)], count_params=lambda: 9)


class _Lamp:
    """Says ALL where the picture's upper left corner is lit."""

    def predict(self, images: np.ndarray, verbose: int) -> np.ndarray:
        return (images[:, 0, 0] > 0).mean(axis=-1, keepdims=True)


def _marked(lit: list[bool]) -> np.ndarray:
    images = np.zeros((len(lit), 16, 16, 3), np.uint8)
    images[:, 4:12, 4:12] = 90
    images[lit, 0, 0] = 200
    return images


LABS = {
    name: SpuriousCueDemo(
        _Lamp(), _marked([True, True, False, False]), np.array([1, 1, 1, 0]), _marked([]), guilty
    )
    for name, guilty in (("A", False), ("B", True))
}


class _Net:
    """Answers by the mean of a picture, and at random too unless it is told not to learn."""

    def predict(self, pictures: np.ndarray, verbose: int) -> np.ndarray:
        return self(pictures, training=False)

    def __call__(self, pictures: np.ndarray, training: bool | None = None) -> np.ndarray:
        moved = 0 if training is False else np.random.default_rng().uniform(0.1, 0.5)
        return np.asarray(pictures, float).mean(axis=(1, 2, 3))[:, None] / 255 + moved


NET = _Net()
LIT = (
    np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3)).astype(np.float32)
    * (np.linspace(0.2, 1, 6, dtype=np.float32)[:, None, None, None])
)
# The subjects a and b share a picture.
DEALT = pd.DataFrame(
    {
        "subject": list("aabbccddee"),
        "sha256": list("1213456789"),
        "label": [1, 1, 1, 1, 0, 0, 0, 0, 1, 1],
    }
)


def deals(*test: int):
    """Make a function that puts these rows of DEALT into the test part."""
    rows = np.array(test)
    return lambda table, seed: (np.setdiff1d(np.arange(len(table)), rows), rows)


def deals_by_seed(table, seed):
    """Deal other people for another seed, as the repair should."""
    return deals(*([6, 7, 8, 9], [4, 5, 8, 9])[seed % 2])(table, seed)


def in_blocks(picture, size, of=np.mean):
    side = len(picture) // size
    return of(picture.reshape(size, side, size, side, 3), axis=(1, 3))


def sorted_by_number(csv):
    return csv.iloc[csv["new_names"].str.split(".").str[0].astype(int).argsort()]


def auroc(truth, model, rows):
    return roc_auc_score(truth[rows], model[rows])


def best_of(chooses: int, judges: int):
    """Choose by one part (0 validation, 1 test), give the score on one part."""

    def of_the_best(scores, truth, *parts):
        best = max(scores, key=lambda model: auroc(truth, model, parts[chooses]))
        return auroc(truth, best, parts[judges])

    return of_the_best


def summed_up(of):
    """Make one number of the test AUROCs of all models."""
    return lambda scores, truth, _, test: of([auroc(truth, model, test) for model in scores])


CASES = {
    "00.1": (
        {},
        0.68,
        {0.5: "balanced", 0.32: "smaller", 1.0: "one of", 68: "between", 0.1: "div"},
    ),
    "00.2": ({}, 0.5, {0.68: "accuracy", 1.0: "counts as much", 0.2: "mean"}),
    "00.3": ({}, "no", {"yes": "card", "perhaps": "choices"}),
    "01.1": ({"table": TABLE}, 1, {3: "_hem", 7: "UID_h"}),
    "01.2": (
        {"table": SEVEN, "area": SEVEN["cell_area"]},
        3,
        {2: "it finds", 1: "calls leukemic", 4: "calls healthy", 9: "middle one"},
    ),
    "02.1": ({}, 2, {4: "connect", 3: "B", 1: "D", 9: "islands"}),
    "02.2": (
        {"labels": LABELS},
        split([2, 5], [0, 1, 3, 4]),
        [
            ("x", "groups.Split"),
            (split([1, 2, 4, 5], [0, 3]), "fewer"),
            (one_person, "fewer"),
            (split([2], [0, 1, 3, 4]), "Some"),
        ],
    ),
    "02.3": ({"table": FOLDED}, 1, {2: "cells", 5: "once"}),
    "02.4": (
        {},
        "group",
        {"subject": "Nearly", "cell_id": "halves", "fold": "share pictures", "x": "choices"},
    ),
    "03.1": (
        {"reaches": np.arange(250, 350)},
        350,
        {300: "larger", 360: "smaller", 345: "steps", 190: "steps"},
    ),
    "03.2": ({}, "exchange red and blue", {"turn": "direction", "mirror": "plausible"}),
    "03.3": (
        {},
        scale,
        {
            (lambda image: image / 255): "ValueError",
            (lambda image: image / 127): "once",
            3: "cannot be read",
        },
    ),
    "04.1": ({}, "texture", {"shape": "outline", "colour": "colour is gone", 1: "choices"}),
    "04.2": (
        {},
        "nothing",
        {"it will be nearly perfect there": "by heart", "the forest is broken": "no fault"},
    ),
    "04.3": ({"aurocs": np.array([0.8, 0.9, 0.7, 0.8])}, 2, {1: "best fold", 0: "smallest"}),
    "08.1": (
        {},
        115_200,
        {1_152: "weights", 12_800: "3×3", 7_200: "all old", 14_400: "all 8", 5: "Pixels ×"},
    ),
    "08.2": ({}, "random weights", {"nothing": "ImageNet", "fine-tuned": "began", 1: "choices"}),
    "08.3": ({"model": TUNED}, 5, {9: "batch normalisation", 7: "trainable_weights"}),
    "09.1": ({}, "left out", {"fitted": "nearer", "test": "nobody left", 3: "choices"}),
    "09.2": ({}, 170, {680: "four bytes", 1_360: "bits", 42.5: "one byte", 1: "kilobyte"}),
    "09.3": ({}, "no answer", {"ALL": "is above", "HEM": "below", 0: "choices"}),
    "05.1": ({}, 3.0, {1 / 3: "rarer", 0.75: "share", 1.0: "against", 7: "count"}),
    "05.2": ({"history": HISTORY}, 3, {2: "validation", 1: "smallest"}),
    "05.3": ({}, "the test score becomes too good", {"nothing": "best of many", 1: "choices"}),
    "06.1": ({}, 0.6, {0.75: "precision", 0.9: "ALL", 0.8: "accuracy", 60: "between", 0.1: "row"}),
    "06.2": ({"predictions": PREDICTIONS}, 1, {2: "right", 6: "share"}),
    "06.3": (
        {},
        "works for people like these, within the interval",
        {"works in any hospital": "one place", "is better than a doctor": "doctor"},
    ),
    "06.4": ({}, 0.1, {0.9: "other way", 1 / 9: "Nearly", 9: "between", 0.5: "both errors"}),
    "07.1": ({}, 2.0, {0.4: "minus", 1.2: "background", -2.0: "other way", 5: "add up"}),
    "07.2": (
        {},
        "What does the map of an untrained network look like?",
        {"How many layers has it?": "learnt"},
    ),
    "07.3": ({"labs": LABS}, "B", {"A": "without it", "C": "'A' or 'B'"}),
    "07.4": ({"labs": LABS}, 2, {3: "how many ALL cells", 0: "Compare"}),
    "10.1": ({}, "healthy", {"ill": "quarter", "both": "choices"}),
    "10.2": (
        {},
        -0.02,
        {0.02: "sign", 0.78: "subtract", 0.6: "balanced", -0.2: "support", -2: "share"},
    ),
    "10.3": (
        {},
        lambda report: bool((report["recall"] == 0).any()),
        {
            lambda report: report["recall"].iloc[1] == 0: "whichever row",
            lambda report: (report["recall"] < 0.5).any(): "not 0",
            lambda report: (report["recall"] == 1).any(): "not enough",
        },
    ),
    "10.4": ({}, "pixels", {"names": "list of files", "accuracy alone": "recalls"}),
    "11.1": ({}, 2, {0: "first", 1: "Capitals", 3: "from 0", 9: "Sort"}),
    "11.2": (
        {},
        r"(S\d+)-",
        {
            "S07": "brackets",
            "(P)": "finds nothing",
            r"_(\d+)": "0031",
            r"S(\d\d)-": "three digits",
        },
    ),
    "12.1": ({}, 84, {91: "best of five", 79: "worst", 83: "median", 5: "Add the five"}),
    "12.2": (
        {},
        "the differences draw by draw",
        {"the best of each": "lucky", "the mean of each": "how sure", "both": "choices"},
    ),
    "12.3": ({}, 60, {12: "multiply", 15: "fold", 3: "Every model"}),
    "11.3": ({}, "the classes are exchanged", {"train longer": "confidence", "it guesses": "0.5"}),
    "13.1": (
        {"table": DEALT},
        deals_by_seed,
        {
            deals(0, 1, 2, 3, 4, 5): "the larger one",
            deals(6, 7, 8, 9): "Every seed",
            deals(0, 4): "2 subjects",
            deals(0, 1, 4, 5): "a picture is",
            deals(4, 5): "one class only",
            (lambda table, seed: (np.arange(3), np.arange(3))): "Each row",
        },
    ),
    "13.2": (
        {},
        lambda name: name.endswith("_all"),
        {
            (lambda name: "_H" not in name): "still called leukemic",
            (lambda name: "_H" not in name and "_h3" not in name): "helps h3 alone",
            (lambda name: name.endswith("_hem")): "other way",
            (lambda name: False): "leukemic cell healthy",
            (lambda name: True): "healthy cell UID_H12",
        },
    ),
    "13.3": (
        {},
        lambda files, csv: csv.set_index("new_names")["labels"].loc[files].tolist(),
        {
            (lambda files, csv: csv["labels"].tolist()): "order of the table",
            (lambda files, csv: sorted_by_number(csv)["labels"].tolist()): "not as the files",
            (lambda files, csv: [1, 1, 1, 1]): "own row",
            (lambda files, csv: csv.sort_values("new_names")["labels"].tolist()): "two files",
        },
    ),
    "13.4": (
        {},
        lambda names: [1 if name == "all" else 0 for name in names],
        {
            (lambda names: np.unique(names, return_inverse=True)[1]): "alphabet",
            (lambda names: 1 - np.unique(names, return_inverse=True)[1]): "depend",
            (lambda names: [3, 4, 4]): "course's number",
        },
    ),
    "13.5": (
        {},
        in_blocks,
        {
            (lambda picture, size: np.resize(picture, (size, size, 3))): "upper edge",
            (lambda picture, size: in_blocks(picture, size) / 255): "between 0 and 1",
            (lambda picture, size: picture[:: len(picture) // size, ::4]): "do not count",
            (lambda picture, size: picture): "shape",
            (lambda picture, size: picture[3::4, 3::4]): "do not count",
            (lambda picture, size: in_blocks(picture, size, np.median)): "do not count",
            (lambda picture, size: np.full((size, size, 3), 99)): "the mean",
        },
    ),
    "13.6": (
        {"network": NET, "pictures": LIT},
        lambda network, pictures: network.predict(pictures, verbose=0)[:, 0],
        {
            (lambda network, pictures: network.predict(pictures / 255, verbose=0)): "same to every",
            (lambda network, pictures: network.predict(pictures / 3, verbose=0)): "as it saw",
            (lambda network, pictures: pictures[:2]): "for each of 6",
        },
    ),
    "13.7": (
        {"network": NET, "pictures": LIT},
        lambda network, picture: network(picture[None], training=False)[0, 0],
        {
            (lambda network, picture: network(picture[None])[0, 0]): "two answers",
            (lambda network, picture: 0.5): "turned or zoomed",
        },
    ),
    "13.8": (
        {},
        best_of(0, 1),
        {
            best_of(1, 1): "allowed to choose",
            best_of(0, 0): "fit to judge",
            best_of(1, 0): "exchanged",
            (lambda *_: 0.1): "AUROC of one model",
            (lambda *_: 0.5): "Exchange",
            summed_up(min): "only the chosen one",
            summed_up(np.mean): "only the chosen one",
        },
    ),
    "13.9": (
        {},
        lambda outputs: np.where(outputs[:, 0] >= 0.5, "HEM", "ALL"),
        {
            (lambda outputs: np.array(["ALL", "HEM"])[outputs.argmax(axis=1)]): "How many columns",
            (lambda outputs: np.where(outputs >= 0.5, "HEM", "ALL")): "row a cell",
            (lambda outputs: np.where(outputs[:, 0] >= 0.5, "ALL", "HEM")): "other way",
            (lambda outputs: np.where(outputs[:, 0] >= 0.7, "HEM", "ALL")): "one half",
        },
    ),
}


def test_every_exercise_has_a_case():
    assert set(CASES) == set(exercises.CHECKS)


@pytest.mark.parametrize("number", CASES)
def test_right_answer_gets_a_tick(number, capsys):
    known, right, _ = CASES[number]
    exercises.check(number, right, **known)
    assert capsys.readouterr().out == f"✓ Exercise {number}: right.\n"


@pytest.mark.parametrize("number", CASES)
def test_each_mistake_gets_the_hint_that_fits(number, capsys):
    known, _, mistakes = CASES[number]
    for wrong, word in mistakes.items() if isinstance(mistakes, dict) else mistakes:
        exercises.check(number, wrong, **known)
        told = capsys.readouterr().out
        assert told.startswith(f"✗ Exercise {number}")
        assert word in told


@pytest.mark.parametrize("number", CASES)
def test_any_kind_of_answer_gets_a_hint_and_never_an_error(number, capsys):
    known, _, _ = CASES[number]
    for odd in (None, "", "nonsense", [], {}, object(), np.array([1, 2]), float("nan")):
        exercises.check(number, odd, **known)
        assert capsys.readouterr().out.startswith(f"✗ Exercise {number}")


def test_dots_ask_for_an_answer(capsys):
    exercises.check("00.1", ...)
    assert "in place of the three dots" in capsys.readouterr().out


def test_unknown_exercise_is_refused():
    with pytest.raises(InputError, match=r"no exercise 99\.9"):
        exercises.check("99.9", 1)


def test_with_one_fold_nobody_moves():
    one = FOLDED.assign(fold="0")
    assert exercises.hint_for("02.3", 0, table=one) is None
    assert "one fold" in exercises.hint_for("02.3", 2, table=one)


@example([300])
@given(st.lists(st.integers(150, 450), min_size=1, max_size=3))
def test_one_crop_is_right_the_smallest_that_cuts_two_cells_of_a_hundred_at_most(few):
    reaches = np.array([*few, *[200] * (49 * len(few))])
    sides = range(200, 460, 10)
    right = [side for side in sides if exercises.hint_for("03.1", side, reaches=reaches) is None]
    enough = [side for side in range(200, 450, 10) if (reaches > side).mean() <= 0.02]
    assert right == [min(enough, default=450)]


def test_expert_of_the_bug_hunt_knows_the_published_labels():
    told = bughunt.expert(["4.bmp", "1.bmp", "10.bmp"])
    assert told.tolist() == [0, 1, 1]
