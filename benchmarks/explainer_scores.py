"""All checks of a method of explanation, together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.backend import keras
from leukhelpers.explain import attribution, deletion, localisation
from leukhelpers.explain.sanity import completeness, randomize_weights, rank_similarity, stability

TITLES = attribution.METHODS | {
    "partition": "SHAP by regions",
    "deep": "SHAP by layers",
}  # of version 1
# What the tests are called in tables, by their letters in lesson 07.
COLUMNS = {
    "completeness": "(a) adds up",
    "randomized": "(b) untrained",
    "faithfulness": "(c) faithful",
    "off_cell": "(d) beside the cell",
    **{
        f"{test}_{cause}": f"(e) {test}, {cause}"
        for cause in localisation.CAUSES
        for test in localisation.PLACES
    },
    "stability": "(f) turned",
    "seconds": "seconds",
}


def both_classes(labels: np.ndarray, at_most: int, seed: int = 0) -> np.ndarray:
    """Draw cells at random, as many ALL as HEM.

    Parameters
    ----------
    labels : int array of shape (n,)
        0 or 1.
    at_most : int
    seed : int

    Returns
    -------
    int array of shape (m,)
        Row numbers in rising order, at most so many.
    """
    generator = np.random.default_rng(seed)
    of_class = [generator.permutation(np.flatnonzero(np.asarray(labels) == x)) for x in (0, 1)]
    each = min(at_most // 2, *map(len, of_class))
    return np.sort(np.concatenate([rows[:each] for rows in of_class]))


def evaluate_explainer(
    method: str,
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    masks: Mapping[str, np.ndarray] | None = None,
    seed: int = 0,
    few: int = 12,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Put one method to all tests.

    Parameters
    ----------
    method : str
        A key of :data:`leukhelpers.explain.attribution.METHODS`.
    model : keras.Model
    images, background : arrays of shape (n, height, width, 3)
    labels : int array of shape (n,)
        True classes, 0 or 1, so that the few are of both.
    groups : array of shape (n,)
        Groups of people, for the intervals.
    masks : mapping, optional
        ``cell`` and the causes of the twin, each bool of shape (n, height, width).
    seed : int
    few : int
        So many images, drawn by :func:`both_classes`, are explained again and again, for
        randomized weights and rotations.

    Returns
    -------
    maps : array of shape (n, height, width)
    dict
        ``seconds`` an image; ``completeness`` (0 is perfect, None for Grad-CAM);
        ``randomized``, the similarity to the map of a network that has forgotten all;
        ``faithfulness``, the area between deletion and insertion beyond a random order's;
        ``off_cell``, the share beside the cell; ``stability``; with `masks` also what
        :func:`by_cause` tells. All but the first two as :func:`interval` tells them.
    """

    def maps_of(network: keras.Model, cells: np.ndarray) -> np.ndarray:
        return attribution.explain_pixels(method, network, cells, background, seed)

    maps_of(model, images[:1])  # the first call builds the graph
    start = time.perf_counter()
    maps = maps_of(model, images)
    seconds = (time.perf_counter() - start) / len(images)
    expected = attribution.expected_sum(method, model, images, background)
    some = both_classes(labels, few, seed)
    ignorant = maps_of(randomize_weights(model, seed + 1), images[some])
    alike = np.nan_to_num(rank_similarity(maps[some], ignorant, localisation.cell_of(images[some])))
    steady = stability(model, maps_of, images[some], maps[some])
    results: dict[str, Any] = {
        "seconds": seconds,
        "completeness": None if expected is None else completeness(maps.sum(axis=(1, 2)), expected),
        "randomized": localisation.interval(alike, groups[some], seed),
        "faithfulness": localisation.interval(
            deletion.deletion_insertion(model, images, maps, background, seed).scores, groups, seed
        ),
        "off_cell": localisation.interval(localisation.off_cell_share(maps, images), groups, seed),
        "stability": localisation.interval(steady, groups[some], seed),
    }
    if masks is not None:
        results.update(localisation.by_cause(maps, masks, groups, seed))
    return maps, results


def score_table(methods: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Put the results of :func:`evaluate_explainer` side by side, without the intervals.

    Parameters
    ----------
    methods : mapping
        A key of :data:`leukhelpers.explain.attribution.METHODS` → its results; ``refused`` in
        it says that the method does not fit, and leaves it out.

    Returns
    -------
    pandas.DataFrame
        A row a test (see :data:`COLUMNS`), a column a method; nan where there is no value.
    """
    shown = {
        TITLES[method]: {
            name: results[key]["value"] if isinstance(results[key], dict) else results[key]
            for key, name in COLUMNS.items()
            if key in results
        }
        for method, results in methods.items()
        if "refused" not in results
    }
    return pd.DataFrame(shown).astype(float)
