"""Checks of the exercises of lesson 13, each a sentence on what looks odd and a repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.data.published import read_published

Look = Callable[[Callable[..., Any]], str | None]


def expert(files: list[str]) -> np.ndarray:
    """Return the published labels of preliminary images.

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


def _hunt(words: str, nudge: str, others: dict[str, str], look: Look) -> Callable[..., str | None]:
    """Make the check of one program.

    Parameters
    ----------
    words : str
        Beginnings of words; a sentence on what looks odd should hold at least one.
    nudge : str
        Where to look, for a sentence that holds none.
    others : dict
        The program's other functions, each with what is to be said of it.
    look : function
        Tries the repaired function and returns a hint, or None if it is right.
    """

    def check(answer: Any) -> str | None:
        odd, repair = answer
        if odd is ... or (isinstance(odd, str) and not odd.strip()):
            return "Look at the output first. Write into odd, in one sentence, what does not fit."
        if not isinstance(odd, str) or len(odd.split()) < 3:
            return "odd should be a sentence of three words or more, in quotation marks."
        if not any(word in odd.lower() for word in words.split()):
            return f"There is something else that looks odd. {nudge}"
        if repair is ...:
            return "Yes, that is odd. Now find the function that causes it, and repair it."
        if not callable(repair):
            return (
                "repair should be the name of your function, without brackets or quotation marks."
            )
        name = getattr(repair, "__name__", "")
        if name in others:
            return others[name]
        return look(repair)

    return check


NOTHING = "The function returns nothing. Does it end with return?"
RIGHT = "This function is right as it is. The bug is in another one."


def _lightened(repair: Callable[..., Any]) -> str | None:
    images = np.array([0, 20, 80, 100, 200], np.uint8).reshape(1, 1, 5, 1).repeat(3, axis=3)
    before = images.copy()
    returned = repair(images, 3)
    if returned is None:
        return NOTHING
    if not np.array_equal(images, before):
        return "It changes the images that it gets. Compute a new array instead."
    values = np.asarray(returned)
    if values.shape != images.shape:
        return f"The shape changed from {images.shape} to {values.shape}."
    got = values[0, 0, :, 0].astype(float)
    if got.max() > 255:
        return "A value is above 255 now. The highest value of an image is 255."
    if values.dtype != np.uint8 and 0 < got.max() <= 1:
        return "The values are between 0 and 1 now. Return values of 0 to 255."
    if np.array_equal(got, [0, 60, 240, 44, 88]):
        return (
            "100 times 3 still gives 44. Which type do the numbers have when they are multiplied?"
        )
    if np.abs(got - [0, 60, 240, 255, 255]).max() > 1:
        return "Values of 0, 20, 80, 100 and 200, times 3, should give 0, 60, 240, 255 and 255."
    if values.dtype != np.uint8:
        return "The values are right. Convert them to uint8, the type of an image."
    half = np.asarray(repair(images, 0.5))[0, 0, :, 0].astype(float)
    if np.abs(half - [0, 10, 40, 50, 100]).max() > 1:
        return "It works for the factor 3 only. Try a factor of one half."
    return None


def _labels(cells: Any) -> dict[str, int]:
    """Read name and label of each row of what a learner's function returned."""
    return {
        str(name): int(label) for name, label in zip(cells["name"], cells["label"], strict=True)
    }


def _joined(repair: Callable[..., Any]) -> str | None:
    table = pd.DataFrame({"name": ["2.bmp", "10.bmp", "1.bmp", "3.bmp"], "label": [1, 0, 0, 1]})
    files = ["1.bmp", "10.bmp", "2.bmp", "3.bmp"]
    returned = repair(files, table.copy())
    if returned is None:
        return NOTHING
    if not isinstance(returned, pd.DataFrame) or not {"name", "label"} <= set(returned):
        return "It should return a table with the columns name and label."
    if len(returned) != len(files):
        return f"It should return one row per file: {len(files)} rows, not {len(returned)}."
    got = [_labels(returned).get(name) for name in files]
    if got == [1, 0, 0, 1]:
        return "The first file still gets the label of the first row. Print both side by side."
    if got != [0, 0, 1, 1]:
        return "Try a table in any order: each file should get the label of its own name."
    if _labels(repair(["3.bmp", "1.bmp"], table.copy())) != {"3.bmp": 1, "1.bmp": 0}:
        return "Try two of the four files, in another order. Sorting does not help there."
    return None


class _Scaler:
    """Subtract 10 and divide by 2; ``fit`` is noted, since a prediction must not call it."""

    def __init__(self) -> None:
        self.fitted = False

    def transform(self, table: Any) -> np.ndarray:
        return (np.asarray(table, float) - 10) / 2

    def fit(self, table: Any) -> _Scaler:
        self.fitted = True
        return self

    def fit_transform(self, table: Any) -> np.ndarray:
        self.fit(table)
        return np.zeros(np.shape(table))


class _Model:
    """Return the sigmoid of the first column as the probability of ALL."""

    def predict_proba(self, table: Any) -> np.ndarray:
        proba = 1 / (1 + np.exp(-np.asarray(table, float)[:, 0]))
        return np.stack([1 - proba, proba], axis=1)


def _scaled(repair: Callable[..., Any]) -> str | None:
    table = pd.DataFrame({"area": [8.0, 10.0, 13.0], "red": [1.0, 2.0, 3.0]})
    scaler, model = _Scaler(), _Model()
    returned = repair(scaler, model, table)
    if returned is None:
        return NOTHING
    got = np.asarray(returned, float)
    if scaler.fitted:
        return "It still fits the scaler to the rows that it should predict."
    if got.shape == (3, 2):
        return "It returns the probabilities of both classes. Return those of ALL only."
    if got.shape != (3,):
        return f"It should return one probability per row: shape (3,), not {got.shape}."
    proba = model.predict_proba(scaler.transform(table))[:, 1]
    if np.allclose(got, proba, atol=1e-6):
        return None
    if np.allclose(got, 1 - proba, atol=1e-6):
        return "These are the probabilities of HEM. Column 1 belongs to ALL."
    if np.allclose(got, model.predict_proba(table)[:, 1], atol=1e-6):
        return "The model was fitted to scaled columns, so it needs scaled columns here, too."
    if np.ptp(got) < 1e-6:
        return "Three different rows still get the same probability."
    return "Scale the rows with the scaler that was fitted to the training cells."


class _Classifier:
    """Stand in for a network with one sigmoid unit."""

    def predict(self, batch: Any, verbose: Any = 0) -> np.ndarray:
        return np.asarray(batch, np.float32).reshape(len(batch), -1)[:, :1] / 255

    def __call__(self, batch: Any, training: bool = False) -> np.ndarray:
        return self.predict(batch)


def _classified(repair: Callable[..., Any]) -> str | None:
    batch = np.zeros((4, 2, 2, 3), np.float32) + np.reshape([230, 51, 153, 100], (4, 1, 1, 1))
    returned = repair(_Classifier(), batch)
    if returned is None:
        return NOTHING
    got = np.asarray(returned)
    if got.shape == (4, 1):
        return "It returns a table with one column. Return one class per image, shape (4,)."
    if got.shape != (4,):
        return f"It should return one class per image: shape (4,), not {got.shape}."
    if not set(got.astype(float).tolist()) <= {0.0, 1.0}:
        return "It should return classes, 0 or 1, not probabilities."
    classes = got.astype(int).tolist()
    if classes == [1, 0, 1, 0]:
        return None
    if classes == [0, 1, 0, 1]:
        return "The classes are swapped: the network returns the probability of ALL, which is 1."
    if len(set(classes)) == 1:
        return "Still one class for all images. How many columns does the network return?"
    return "Predict ALL from a probability of one half upward, and HEM below it."


class _Random:
    """Stand in for a network with a random layer, which works unless ``training=False``."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(0)

    def predict(self, batch: Any, verbose: Any = 0, **_: Any) -> np.ndarray:
        return self(batch, training=False)

    def __call__(self, batch: Any, training: bool | None = None) -> np.ndarray:
        moved = 0 if training is False else self.generator.uniform(0.1, 0.5)
        return np.asarray(batch, np.float32).mean(axis=(1, 2, 3))[:, None] / 255 + moved


def _repeated(repair: Callable[..., Any]) -> str | None:
    image, network = np.full((8, 8, 3), 102, np.uint8), _Random()
    first = repair(network, image)
    if first is None:
        return NOTHING
    if not np.isclose(float(first), float(repair(network, image)), atol=1e-5):
        return "Called twice with the same image, it still returns two different probabilities."
    if not np.isclose(float(first), 102 / 255, atol=1e-3):
        return "The result repeats, but it is not what network.predict returns for this image."
    return None


def _selected(repair: Callable[..., Any]) -> str | None:
    scores = pd.DataFrame({"validation": [0.6, 0.9, 0.4, 0.7], "test": [0.8, 0.5, 0.3, 0.6]})
    returned = repair(scores.copy())
    if returned is None:
        return NOTHING
    if isinstance(returned, pd.DataFrame) and len(returned) == 1:
        returned = returned.iloc[0]
    if not isinstance(returned, pd.Series) or not {"validation", "test"} <= set(returned.index):
        return "It should return one row of the table, with validation and test."
    got = returned[["validation", "test"]].astype(float).tolist()
    if got == [0.6, 0.8]:
        return "It still selects on the test cells. They should only judge the selected pair."
    if got not in scores.to_numpy().tolist():
        return "Return one row as it is: the AUROC of both parts, of the same pair."
    if got == [0.4, 0.3]:
        return "That is the lowest validation AUROC. In which order does sort_values sort?"
    if got != [0.9, 0.5]:
        return "Select the row with the highest validation AUROC."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "13.1": _hunt(
        "colo orange green patch spot yellow blue hole dark black pixel speck stain bright",
        "Compare the colors of one cell in the top row and in the bottom row.",
        {"mirror": RIGHT, "crop_middle": RIGHT, "draw_page": RIGHT},
        _lightened,
    ),
    "13.2": _hunt(
        "area auroc median same chance alike equal similar half differ 0.5 low random",
        "Compare the median area of the two classes, and the AUROC, with lesson 01.",
        {
            "list_files": "Another order of the files would fit this table only by luck. "
            "What should decide which label a file gets?",
            "measure_area": RIGHT,
            "summarize": RIGHT,
        },
        _joined,
    ),
    "13.3": _hunt(
        "same identical equal constant alike every each differ probabilit",
        "Compare the last column of the table with the others.",
        {"fit_scaler": RIGHT, "fit_model": RIGHT},
        _scaled,
    ),
    "13.4": _hunt(
        "never always only no none every all zero empty hem column auroc class recall",
        "Compare the two columns of the confusion matrix.",
        {"rank": RIGHT, "tabulate": RIGHT},
        _classified,
    ),
    "13.5": _hunt(
        "same differ change repeat again random vary varies twice visit time",
        "Compare the three numbers in one row of the table.",
        {"open_image": RIGHT},
        _repeated,
    ),
    "13.6": _hunt(
        "random noise chance half high good test control better 0.5",
        "Which AUROC would you expect from random numbers?",
        {"random_columns": RIGHT, "score_pairs": RIGHT},
        _selected,
    ),
}
