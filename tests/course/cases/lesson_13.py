"""Answers to the exercises of lesson 13: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


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


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
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
