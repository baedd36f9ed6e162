"""Checks of the exercises of lesson 13 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.data.published import read_published
from leukhelpers.splits import groups


def expert(files: list[str]) -> np.ndarray:
    """Give the published labels of preliminary pictures, as somebody would who knows each.

    Parameters
    ----------
    files : list of str
        Names such as ``1.bmp``.

    Returns
    -------
    int array
        0 for HEM and 1 for ALL, in the order of `files`.
    """
    published = read_published()
    preliminary = published[published["fold"] == "preliminary"]
    known = dict(zip(preliminary["path"].str.split("/").str[-1], preliminary["label"], strict=True))
    return np.array([known[name] for name in files])


def _dealt(answer: Any, table: pd.DataFrame) -> str | None:
    train, test = (np.asarray(part) for part in answer(table, 0))
    if not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(len(table))):
        return "Each row should be in one of the two parts, and in one only."
    if len(test) >= len(train):
        return "The first part is to learn from, and the larger one; the second is the test."
    if table["label"].iloc[test].nunique() < 2 or table["label"].iloc[train].nunique() < 2:
        return "One of the parts holds cells of one class only."
    both = set(table["subject"].iloc[train]) & set(table["subject"].iloc[test])
    if both:
        return f"{len(both)} subjects have cells on both sides. Who knows whom?"
    group = groups.group_ids(table)
    if set(group[train]) & set(group[test]):
        return "No subject is on both sides, but a picture is: it bears the names of two subjects."
    if all(set(answer(table, seed)[1]) == set(test) for seed in range(1, 6)):
        return "Every seed deals the same people. (Balanced folds leave it nothing to choose.)"
    return None


def _leukemic(answer: Any) -> str | None:
    returned = {
        name: bool(answer(name))
        for name in (
            "UID_3_1_2_all",
            "UID_11_10_1_all",
            "UID_H12_1_4_hem",
            "UID_h3_12_4_hem",
            "UID_h7_1_1_hem",
        )
    }
    if not returned["UID_3_1_2_all"] or not returned["UID_11_10_1_all"]:
        if returned["UID_H12_1_4_hem"]:
            return "The other way round: it should be True for leukemic cells."
        return "It calls a leukemic cell healthy."
    if returned["UID_H12_1_4_hem"]:
        return "It calls the healthy cell UID_H12_1_4_hem leukemic."
    if returned["UID_h3_12_4_hem"]:
        return "One healthy subject is still called leukemic. How is that one written?"
    if returned["UID_h7_1_1_hem"]:
        return "That helps h3 alone. What if another one is written like it?"
    return None


def _joined(answer: Any) -> str | None:
    csv = pd.DataFrame({"new_names": ["2.bmp", "10.bmp", "1.bmp", "3.bmp"], "labels": [1, 0, 0, 1]})
    returned = [int(label) for label in answer(["1.bmp", "10.bmp", "2.bmp", "3.bmp"], csv)]
    if returned == [0, 0, 1, 1]:
        files = ["3.bmp", "1.bmp"]
        if [int(label) for label in answer(files, csv)] != [1, 0]:
            return "Ask it for two files of the four, in another order."
        return None
    if returned == csv["labels"].tolist():
        return "That is still the order of the table. Whose row is the second one?"
    if returned == [0, 1, 1, 0]:
        return "The table is sorted now, but not as the files are: one by number, one by letters."
    return "Try a table whose rows stand in no order: does each file get its own row?"


def _numbered(answer: Any) -> str | None:
    returned = [int(number) for number in answer(np.array(["all", "hem", "hem"]))]
    if returned == [0, 1, 1]:
        return "That is what the alphabet says. What do HEM and ALL mean in this course?"
    if returned != [1, 0, 0]:
        return "It should give a number for each name: the course's number for that class."
    if [int(number) for number in answer(np.array(["hem", "hem"]))] != [0, 0]:
        return "The number must not depend on which other classes are there."
    return None


def _smaller(answer: Any) -> str | None:
    rows, columns = np.mgrid[:48, :48]
    grain = np.where((rows + columns) % 2, 30, -30)
    grain[1::4, 1::4] = 30
    picture = (40 + 2 * rows + columns + grain)[..., None].repeat(3, axis=2).astype(np.uint8)
    returned = np.asarray(answer(picture, 12), float)
    if returned.shape != (12, 12, 3):
        return f"It should have the shape (12, 12, 3), not {returned.shape}."
    if 0 < returned.max() <= 1:
        return "The pixels came out between 0 and 1; a picture of 0 to 255 should stay one."
    if np.array_equal(returned, np.resize(picture, (12, 12, 3))):
        return "Look at the picture: it is the upper edge, cut into pieces."
    true = picture.reshape(12, 4, 12, 4, 3).mean(axis=(1, 3))
    if any(np.abs(returned - picture[i::4, j::4]).max() < 1 for i in range(4) for j in range(4)):
        return "Most of the sixteen pixels do not count in it; the mean is asked for."
    if np.abs(returned - true).mean() > 6:
        return "Each new pixel should be about the mean of those that it stands for."
    return None


def _asked(answer: Any, network: Any, pictures: np.ndarray) -> str | None:
    returned = np.ravel(np.asarray(answer(network, pictures), float))
    true = network.predict(np.asarray(pictures, np.float32), verbose=0)[:, 0]
    if returned.shape != true.shape:
        return f"It should give one probability for each of {len(true)} pictures."
    if np.allclose(returned, true, atol=1e-4):
        return None
    if np.ptp(returned) < 0.01:
        return "Still the same to everybody. Who divides by 255: you, the network, or both?"
    return "The network should see the pixels as it saw them when it learnt."


def _repeated(answer: Any, network: Any, pictures: np.ndarray) -> str | None:
    picture = np.asarray(pictures[0], np.float32)
    first, again = (float(answer(network, picture)) for _ in range(2))
    if not np.isclose(first, again, atol=1e-5):
        return "Asked twice about the same picture, it still gives two answers."
    if not np.isclose(first, float(network.predict(picture[None], verbose=0)[0, 0]), atol=1e-3):
        return "It repeats itself, but the picture was turned or zoomed before it was answered."
    return None


def _best(answer: Any) -> str | None:
    truth = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    validation, test = np.arange(4), np.arange(4, 8)
    scores = np.array(
        [
            [0.5, 0.9, 0.6, 0.1, 0.1, 0.5, 0.4, 0.9],  # AUROC 0.25, then 0.75
            [0.1, 0.2, 0.8, 0.9, 0.1, 0.9, 0.5, 0.6],  # AUROC 1, then 0.5
            [0.1, 0.9, 0.5, 0.6, 0.8, 0.9, 0.1, 0.2],  # AUROC 0.5, then 0
        ]
    )
    returned = float(answer(scores, truth, validation, test))
    if np.isclose(returned, 0.5):
        if not np.isclose(float(answer(scores, truth, test, validation)), 0.25):
            return "Exchange validation and test: another model should be chosen and reported."
        return None
    others = "How the others do on the test should not matter; only the chosen one is judged there."
    mistakes = {
        0.75: "The best on the test is still what is reported. Who was allowed to choose it?",
        1.0: "That is its score on those by whom it was chosen; are they fit to judge it?",
        0.25: "You have exchanged the two parts: who chooses, and who judges?",
        0.42: others,  # the mean of all three on the test
        0.0: others,
    }
    return mistakes.get(
        round(returned, 2),
        "It should give the AUROC of one model, the chosen one, on the test cells.",
    )


def _called(answer: Any) -> str | None:
    names = answer(np.array([[0.9], [0.2], [0.6], [0.4]]))
    if np.shape(names) == (4, 1):
        return "It gives a row a cell; give one name a cell (np.ravel)."
    returned = [str(name) for name in names]
    if returned == ["HEM", "ALL", "HEM", "ALL"]:
        return None
    if returned == ["ALL", "HEM", "ALL", "HEM"]:
        return "The other way round: the number is the probability of HEM."
    if len(set(returned)) == 1:
        return "Still the same to everybody. How many columns are there to choose from?"
    return "A cell should be called HEM from a probability of one half on, and ALL below it."


CHECKS: dict[str, Callable[..., str | None]] = {
    "13.1": _dealt,
    "13.2": _leukemic,
    "13.3": _joined,
    "13.4": _numbered,
    "13.5": _smaller,
    "13.6": _asked,
    "13.7": _repeated,
    "13.8": _best,
    "13.9": _called,
}
