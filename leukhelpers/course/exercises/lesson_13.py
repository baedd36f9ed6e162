"""Checks of the exercises of lesson 13, each a sentence on what looks odd and a repair."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from leukhelpers.course.exercises import CHECKS, call, compare, hint, number


def _repaired(exercise: str, answer: Any) -> Callable[..., Any]:
    """Return the repaired function; stop unless the sentence fits what is odd in this program.

    In the exercise's entry, ``odd`` lists beginnings of words of which the sentence should hold
    one, and ``right`` the functions that are right as they are.
    """
    odd, repair = answer
    hint("no_sentence", odd is ... or (isinstance(odd, str) and not odd.strip()))
    hint("three_words", not isinstance(odd, str) or len(odd.split()) < 3)
    hint("elsewhere", not any(word in odd.lower() for word in CHECKS[exercise]["odd"].split()))
    hint("no_repair", repair is ...)
    hint("function", not callable(repair))
    name = getattr(repair, "__name__", "")
    hint("right_function", name in CHECKS[exercise]["right"])
    hint("list_files", name == "list_files")
    return repair


def lighten(answer: Any) -> None:
    """Check uint8 pixels times a factor, cut off at 255."""
    repair = _repaired("13.1", answer)
    images = np.array([0, 20, 80, 100, 200], np.uint8).reshape(1, 1, 5, 1).repeat(3, axis=3)
    before = images.copy()
    found = repair(images, 3)
    hint("nothing", found is None)
    hint("in_place", not np.array_equal(images, before))
    values = np.asarray(found)
    hint("shape", values.shape != images.shape, right=images.shape, found=values.shape)
    row = values[0, 0, :, 0].astype(float)
    hint("above_255", row.max() > 255)
    hint("scaled", values.dtype != np.uint8 and 0 < row.max() <= 1)
    compare(row, [0, 60, 240, 255, 255], atol=1, overflow=[0, 60, 240, 44, 88])
    hint("type", values.dtype != np.uint8)
    half = np.asarray(repair(images, 0.5))[0, 0, :, 0].astype(float)
    compare(half, [0, 10, 40, 50, 100], "factor", atol=1)


def _labels(cells: Any) -> dict[str, int]:
    """Read name and label of each row of what a learner's function returned."""
    return dict(zip(cells["name"].astype(str), cells["label"].astype(int), strict=True))


def add_labels(answer: Any) -> None:
    """Check that each file gets the label of its own name."""
    repair = _repaired("13.2", answer)
    table = pd.DataFrame({"name": ["2.bmp", "10.bmp", "1.bmp", "3.bmp"], "label": [1, 0, 0, 1]})
    files = ["1.bmp", "10.bmp", "2.bmp", "3.bmp"]
    found = call(repair, files, table)
    hint("columns", not isinstance(found, pd.DataFrame) or not {"name", "label"} <= set(found))
    hint("rows", len(found) != len(files), right=len(files), found=len(found))
    labels = [_labels(found).get(name) for name in files]
    hint("by_row", labels == [1, 0, 0, 1])
    hint("any_order", labels != [0, 0, 1, 1])
    two = _labels(repair(["3.bmp", "1.bmp"], table.copy()))
    hint("two_files", two != {"3.bmp": 1, "1.bmp": 0})


class _Model:
    """Return the sigmoid of the first column as the probability of ALL."""

    def predict_proba(self, table: Any) -> np.ndarray:
        proba = 1 / (1 + np.exp(-np.asarray(table, float)[:, 0]))
        return np.stack([1 - proba, proba], axis=1)


def predict_rows(answer: Any) -> None:
    """Check probabilities of rows that were scaled as the training cells were."""
    repair = _repaired("13.3", answer)
    table = pd.DataFrame({"area": [8.0, 10.0, 13.0], "red": [1.0, 2.0, 3.0]})
    training = pd.DataFrame({"area": [8.0, 12.0], "red": [8.0, 12.0]})
    scaler, model = StandardScaler().fit(training), _Model()
    found = np.asarray(call(lambda rows: repair(scaler, model, rows), table), float)
    hint("fitted", not np.array_equal(scaler.mean_, [10, 10]))
    hint("both_classes", found.shape == (3, 2))
    hint("shape", found.shape != (3,), shape=found.shape)
    hem, leukemic = model.predict_proba(scaler.transform(table)).T
    hint("constant", np.ptp(found) < 1e-6)
    compare(found, leukemic, atol=1e-6, hem=hem, not_scaled=model.predict_proba(table)[:, 1])


class _Classifier:
    """Stand in for a network with one sigmoid unit."""

    def predict(self, batch: Any, verbose: Any = 0) -> np.ndarray:
        return np.asarray(batch, np.float32).reshape(len(batch), -1)[:, :1] / 255

    def __call__(self, batch: Any, training: bool = False) -> np.ndarray:
        return self.predict(batch)


def classify(answer: Any) -> None:
    """Check the class of each image, by a network with one output."""
    repair = _repaired("13.4", answer)
    batch = np.zeros((4, 2, 2, 3), np.float32) + np.reshape([230, 51, 153, 100], (4, 1, 1, 1))
    found = np.asarray(call(repair, _Classifier(), batch))
    hint("one_column", found.shape == (4, 1))
    hint("shape", found.shape != (4,), shape=found.shape)
    hint("no_classes", not np.isin(found, (0, 1)).all())
    hint("one_class", np.ptp(found.astype(int)) == 0)
    compare(found, [1, 0, 1, 0], swapped=[0, 1, 0, 1])


class _Random:
    """Stand in for a network with a random layer, which works unless ``training=False``."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def predict(self, batch: Any, verbose: Any = 0, **_: Any) -> np.ndarray:
        return self(batch, training=False)

    def __call__(self, batch: Any, training: bool | None = None) -> np.ndarray:
        moved = 0 if training is False else self.generator.uniform(0.1, 0.5)
        return np.asarray(batch, np.float32).mean(axis=(1, 2, 3))[:, None] / 255 + moved


def predict_image(answer: Any) -> None:
    """Check that an image gets the same probability each time, without a random layer."""
    repair = _repaired("13.5", answer)
    image, network = np.full((8, 8, 3), 102, np.uint8), _Random()
    found = number(call(repair, network, image))
    hint("random", not np.isclose(found, number(repair(network, image)), atol=1e-5))
    compare(found, 102 / 255, atol=1e-3)


def select_pair(answer: Any) -> None:
    """Check the row with the highest validation AUROC."""
    repair = _repaired("13.6", answer)
    scores = pd.DataFrame({"validation": [0.6, 0.9, 0.4, 0.7], "test": [0.8, 0.5, 0.3, 0.6]})
    found = call(repair, scores)
    if isinstance(found, pd.DataFrame) and len(found) == 1:
        found = found.iloc[0]
    hint(
        "no_row", not isinstance(found, pd.Series) or not {"validation", "test"} <= set(found.index)
    )
    row = found[["validation", "test"]].astype(float).tolist()
    hint("changed_row", row not in scores.to_numpy().tolist())
    compare(row, [0.9, 0.5], best_test=[0.6, 0.8], lowest=[0.4, 0.3])
