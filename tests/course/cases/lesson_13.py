"""Cases of lesson 13: what the check is given, a right answer, wrong ones with their hints.

An answer is a pair: a sentence on what looks odd, and the repaired function.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def named(name: str):
    """Make a function with the name of one that is right already."""

    def function(*_):
        return None

    function.__name__ = name
    return function


def returns(value):
    """Make a function that returns the same, whatever it is given."""
    return lambda *_: value


def common(odd: str, nudge: str) -> dict:
    """List what is wrong in the same way for each program."""
    return {
        ("", ...): "Look at the output first",
        ("odd", ...): "three words",
        (3, ...): "three words",
        ("I can see it", ...): nudge,
        (odd, ...): "Yes, that is odd",
        (odd, "name"): "without brackets",
        (odd, returns(None)): "returns nothing",
    }


def in_place(images, factor):
    images[:] = 0
    return images


def clip(images, factor):
    return np.clip(images.astype(float) * factor, 0, 255)


PATCHES = "The bright cells have green patches."
AREAS = "Both classes have the same area."
CONSTANT = "Every cell gets the same probability."
NEVER = "No cell is ever predicted ALL."
VARIES = "The numbers change at each visit."
LUCKY = "Random numbers get a high test AUROC."


def joined(files, table):
    return pd.DataFrame({"name": files}).merge(table, on="name")


def by_row(files, table):
    return pd.DataFrame({"name": files, "label": table["label"].to_numpy()[: len(files)]})


def both_sorted(files, table):
    ordered = table.sort_values("name")["label"].to_numpy()[: len(files)]
    return pd.DataFrame({"name": sorted(files), "label": ordered})


def seeded(network, image):
    """Repeat, but with a random layer at work."""
    network.generator = np.random.default_rng(0)
    return network(image[None])[0, 0]


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "13.1": (
        {},
        (PATCHES, lambda images, factor: clip(images, factor).astype(np.uint8)),
        common(PATCHES, "top row")
        | {
            (PATCHES, named("mirror")): "right as it is",
            (PATCHES, in_place): "changes the images",
            (PATCHES, lambda images, factor: images[:, :, :2]): "shape",
            (PATCHES, lambda images, factor: images.astype(float) * factor): "above 255",
            (PATCHES, lambda images, factor: clip(images, factor) / 255): "between 0 and 1",
            (PATCHES, lambda images, factor: np.clip(images * factor, 0, 255)): "still gives 44",
            (PATCHES, lambda images, factor: images): "should give 0, 60",
            (PATCHES, clip): "uint8",
            (PATCHES, lambda images, _: clip(images, 3).astype(np.uint8)): "factor 3 only",
        },
    ),
    "13.2": (
        {},
        (AREAS, joined),
        common(AREAS, "lesson 01")
        | {
            (AREAS, named("list_files")): "only by luck",
            (AREAS, named("measure_area")): "right as it is",
            (AREAS, by_row): "label of the first row",
            (AREAS, both_sorted): "Try two of the four",
            (AREAS, lambda files, table: table["label"]): "a table with the columns",
            (AREAS, lambda files, table: joined(files[:2], table)): "one row per file",
            (AREAS, lambda files, table: joined(files, table).assign(label=1)): "in any order",
        },
    ),
    "13.3": (
        {},
        (CONSTANT, lambda scaler, model, t: model.predict_proba(scaler.transform(t))[:, 1]),
        common(CONSTANT, "last column")
        | {
            (CONSTANT, named("fit_model")): "right as it is",
            (
                CONSTANT,
                lambda scaler, model, t: model.predict_proba(scaler.fit_transform(t))[:, 1],
            ): "still fits",
            (
                CONSTANT,
                lambda scaler, model, t: model.predict_proba(scaler.transform(t)),
            ): "both classes",
            (CONSTANT, returns([0.5])): "one probability per row",
            (
                CONSTANT,
                lambda scaler, model, t: model.predict_proba(scaler.transform(t))[:, 0],
            ): "of HEM",
            (CONSTANT, lambda scaler, model, t: model.predict_proba(t)[:, 1]): "scaled columns",
            (CONSTANT, returns([0.5, 0.5, 0.5])): "Three different rows",
            (CONSTANT, returns([0.1, 0.5, 0.2])): "fitted to the training",
        },
    ),
    "13.4": (
        {},
        (NEVER, lambda network, batch: (network.predict(batch)[:, 0] >= 0.5).astype(int)),
        common(NEVER, "two columns")
        | {
            (NEVER, named("rank")): "right as it is",
            (NEVER, lambda network, batch: network.predict(batch) >= 0.5): "one column",
            (NEVER, lambda network, batch: [1]): "one class per image",
            (NEVER, lambda network, batch: network.predict(batch)[:, 0]): "not probabilities",
            (NEVER, lambda network, batch: network.predict(batch)[:, 0] < 0.5): "swapped",
            (NEVER, lambda network, batch: network.predict(batch).argmax(axis=1)): "How many",
            (NEVER, lambda network, batch: network.predict(batch)[:, 0] >= 0.8): "one half",
        },
    ),
    "13.5": (
        {},
        (VARIES, lambda network, image: network(image[None], training=False)[0, 0]),
        common(VARIES, "three numbers")
        | {
            (VARIES, named("open_image")): "right as it is",
            (VARIES, lambda network, image: network(image[None])[0, 0]): "two different",
            (VARIES, seeded): "repeats, but",
        },
    ),
    "13.6": (
        {},
        (LUCKY, lambda scores: scores.loc[scores["validation"].idxmax()]),
        common(LUCKY, "from random numbers")
        | {
            (LUCKY, named("score_pairs")): "right as it is",
            (LUCKY, lambda scores: scores["test"].max()): "one row",
            (LUCKY, lambda scores: scores.loc[scores["test"].idxmax()]): "still selects",
            (LUCKY, lambda scores: scores.max()): "as it is",
            (LUCKY, lambda scores: scores.sort_values("validation").iloc[0]): "lowest",
            (LUCKY, lambda scores: scores.iloc[3]): "highest validation",
        },
    ),
}
