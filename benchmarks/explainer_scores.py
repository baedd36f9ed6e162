"""Whether an explanation deserves trust: the tests of explanations, one by one and together.

Maps have the shape (n, height, width). Signed ones are positive towards ALL.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.stats import rankdata

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.evaluation.bootstrap import N_RESAMPLES, group_weights
from leukhelpers.explain import attribution, deletion
from leukhelpers.explain.common import logits
from leukhelpers.images.features import cell_of
from leukhelpers.images.preprocessing import crop_and_resize

CAUSES = ("nucleoli", "chromatin", "outline")
PLACES = ("pointing", "overlap")
DEGREES = (-8.0, 8.0)  # by which pictures are turned, to see whether maps turn along
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
    **{f"{test}_{cause}": f"(e) {test}, {cause}" for cause in CAUSES for test in PLACES},
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


def resize_masks(
    masks: np.ndarray, size: int, crop: int, cells: np.ndarray | None = None
) -> np.ndarray:
    """Crop and resize masks as ``crop_and_resize`` does pictures.

    Parameters
    ----------
    masks : numpy.ndarray
        bool, shape (n, height, width).
    size, crop : int
        As for the pictures.
    cells : numpy.ndarray, optional
        bool, shape (n, height, width), where each whole cell is; with ``BOX`` for `crop`
        their boxes are cut out.

    Returns
    -------
    numpy.ndarray
        bool, shape (n, size, size): True where at least half of the pixel is covered.
    """
    whole = masks if cells is None else cells
    # All three channels have the box of the cell, in which its parts lie.
    pictures = 255 * np.stack([whole, masks, masks], axis=-1).astype(np.uint8)
    small = [crop_and_resize(picture, size, crop)[..., 1] >= 128 for picture in pictures]
    return np.array(small, dtype=bool).reshape(-1, size, size)


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
    expected = expected_sum(method, model, images, background)
    some = both_classes(labels, few, seed)
    ignorant = maps_of(randomize_weights(model, seed + 1), images[some])
    alike = np.nan_to_num(rank_similarity(maps[some], ignorant, cell_of(images[some])))
    steady = stability(model, maps_of, images[some], maps[some])
    results: dict[str, Any] = {
        "seconds": seconds,
        "completeness": None if expected is None else completeness(maps.sum(axis=(1, 2)), expected),
        "randomized": interval(alike, groups[some], seed),
        "faithfulness": interval(
            deletion.deletion_scores(model, images, maps, background, seed), groups, seed
        ),
        "off_cell": interval(off_cell_share(maps, images), groups, seed),
        "stability": interval(steady, groups[some], seed),
    }
    if masks is not None:
        results.update(by_cause(maps, masks, groups, seed))
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


def randomize_weights(model: keras.Model, seed: int) -> keras.Model:
    """Copy a model and forget what it learned.

    An explanation that looks the same for a model that has learned nothing does not
    explain what a model has learned.

    Parameters
    ----------
    model : keras.Model
        Left as it is.
    seed : int
        Seed of the new weights.

    Returns
    -------
    keras.Model
        Same layers; kernels drawn anew (He et al. 2015), all else as in a new model.

    References
    ----------
    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
    """
    fresh = keras.models.clone_model(model)
    rng = np.random.default_rng(seed)
    # A clone starts from the initial weights of the original, whose seed it shares.
    for kernel in [weight for weight in fresh.weights if len(weight.shape) > 1]:
        fan_in = np.prod(kernel.shape[:-1])
        kernel.assign(rng.normal(0, np.sqrt(2 / fan_in), kernel.shape))
    return fresh


def rank_similarity(a: np.ndarray, b: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Correlate two sets of maps, pair by pair, by Spearman's rank correlation.

    Parameters
    ----------
    a, b : arrays of shape (n, ...)
        Maps of the same images.
    inside : bool array of shape (n, ...), optional
        The places that count, such as those of the cell; by default all.

    Returns
    -------
    float array of shape (n,)
        1 for the same order of places, 0 for unrelated, -1 for the reverse order;
        nan where a map is constant and has no order.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    same_shape(np.shape(a), np.shape(b))
    inside = np.ones(np.shape(a), dtype=bool) if inside is None else inside
    same_shape(np.shape(a), np.shape(inside))
    pairs = [
        [rankdata(map_[where]) for map_ in maps]
        for *maps, where in zip(np.asarray(a), np.asarray(b), inside, strict=True)
    ]
    centered = [[ranks - ranks.mean() for ranks in pair] for pair in pairs]
    covariance = np.array([(first * second).sum() for first, second in centered])
    norms = [np.sqrt((first**2).sum() * (second**2).sum()) for first, second in centered]
    return ratio(covariance, np.array(norms))


def expected_sum(
    method: str, model: keras.Model, images: np.ndarray, background: np.ndarray
) -> np.ndarray | None:
    """Tell to what the attributions of each image should add up; None for Grad-CAM.

    SHAP starts from the mean logit of the background, integrated gradients from the logit
    of its mean picture.
    """
    if method == "gradcam":
        return None
    if method == "shap":
        return logits(model, images) - logits(model, background).mean()
    return logits(model, images) - logits(model, background.mean(axis=0)[None])[0]


def completeness(sums: np.ndarray, expected: np.ndarray) -> float:
    """Tell how far the attributions are from adding up.

    Parameters
    ----------
    sums : array of shape (n,)
        What the attributions of each image add up to.
    expected : array of shape (n,)
        What they should add up to, see :func:`expected_sum`.

    Returns
    -------
    float
        Mean absolute error over the mean size of what was expected; 0 is perfect.
    """
    same_shape(np.shape(sums), np.shape(expected))
    return float(np.abs(sums - expected).mean() / max(np.abs(expected).mean(), 1e-9))


def stability(
    model: keras.Model,
    method: Callable[[keras.Model, np.ndarray], np.ndarray],
    images: np.ndarray,
    maps: np.ndarray,
) -> np.ndarray:
    """Turn pictures a little, explain them, turn the maps back, and compare.

    Returns
    -------
    float array of shape (n,)
        Mean rank correlation inside the cells; 1 if the explanation turned along.
    """
    inside, found = cell_of(images), []
    for angle in DEGREES:
        turned = _turn(np.asarray(images, np.float32), angle)
        back = _turn(method(model, turned), -angle)
        found.append(np.nan_to_num(rank_similarity(maps, back, inside)))
    return np.mean(found, axis=0)


def _turn(stack: np.ndarray, angle: float) -> np.ndarray:
    return ndimage.rotate(stack, angle, axes=(1, 2), reshape=False, order=1)


def mask_share(attributions: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Measure how much of an explanation lies inside a mask.

    Parameters
    ----------
    attributions : array of shape (n, height, width) or (n, height, width, channels)
        Signed or not; the sign does not matter here.
    masks : bool array of shape (n, height, width)
        Where the explanation should be.

    Returns
    -------
    float array of shape (n,)
        Share of the sum of absolute attributions, 0 to 1; nan where all are 0.
        Compare it with the mask's share of the image, or of the cell.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    weight = np.abs(np.asarray(attributions, dtype=float))
    if weight.ndim == 4:
        weight = weight.sum(axis=-1)
    same_shape(weight.shape, np.shape(masks))
    inside = (weight * np.asarray(masks, dtype=bool)).sum(axis=(1, 2))
    return ratio(inside, weight.sum(axis=(1, 2)))


def off_cell_share(attributions: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Measure how much of an explanation lies beside the cell, on the black background.

    Nothing is to be seen there but the outline's place: a large share says that the
    model goes by the cell's size and shape, or that the explanation is wrong. What lies
    on the black and is not cell, such as a mark, counts as beside it.

    Parameters
    ----------
    attributions : array of shape (n, height, width) or (n, height, width, channels)
        Signed or not.
    images : array of shape (n, height, width, 3)
        The explained images.

    Returns
    -------
    float array of shape (n,)
        Share of the sum of absolute attributions, 0 to 1; nan where all are 0. Compare it
        with the share of the picture that is not cell.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    return mask_share(attributions, ~cell_of(images))


def pointing(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Play the pointing game: tell whether the strongest place of a map lies in the mask.

    Parameters
    ----------
    maps : array of shape (n, height, width)
        Their size counts, not their sign; slightly smoothed first.
    masks : bool array of shape (n, height, width)

    Returns
    -------
    float array of shape (n,)
        1 or 0; nan where the mask is empty or the map is blank.

    References
    ----------
    Zhang et al., "Top-down Neural Attention by Excitation Backprop", IJCV 2018.
    """
    same_shape(np.shape(maps), np.shape(masks))
    strength = smoothed(maps)
    tops = strength.reshape(len(strength), -1).argmax(axis=1)
    hits = np.asarray(masks, bool).reshape(len(strength), -1)[np.arange(len(tops)), tops]
    known = np.any(masks, axis=(1, 2)) & (strength.max(axis=(1, 2)) > 0)
    return np.where(known, hits.astype(float), np.nan)


def overlap(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Take as many of the strongest places as the mask has, and tell which share lies in it.

    Parameters and nan are those of :func:`pointing`; a map spread at random reaches the
    mask's share of the picture.
    """
    same_shape(np.shape(maps), np.shape(masks))
    found = np.full(len(maps), np.nan)
    for index, (strength, mask) in enumerate(zip(smoothed(maps), masks, strict=True)):
        count = int(np.sum(mask))
        if count and strength.max() > 0:
            strongest = np.argsort(-strength.ravel(), kind="stable")[:count]
            found[index] = np.asarray(mask).ravel()[strongest].mean()
    return found


def by_cause(
    maps: np.ndarray, masks: Mapping[str, np.ndarray], groups: np.ndarray, seed: int = 0
) -> dict[str, dict[str, float | None]]:
    """Compare maps of the twin's cells with its known causes.

    Parameters
    ----------
    maps : array of shape (n, height, width)
    masks : mapping
        ``cell`` and each of :data:`CAUSES`, bool of shape (n, height, width).
    groups : array of shape (n,)
        Groups of people, for the intervals.
    seed : int

    Returns
    -------
    dict
        ``pointing_<cause>`` and ``overlap_<cause>``, as :func:`interval` tells them, *less*
        what an even spread over the cell reaches. Below 0 the map names that part less than
        chance does.
    """
    intervals = {}
    for cause in CAUSES:
        even = masks[cause].sum(axis=(1, 2)) / masks["cell"].sum(axis=(1, 2))
        for name, how in zip(PLACES, (pointing, overlap), strict=True):
            intervals[f"{name}_{cause}"] = interval(how(maps, masks[cause]) - even, groups, seed)
    return intervals


def smoothed(maps: np.ndarray) -> np.ndarray:
    """Blur maps, so that a single pixel does not decide."""
    width = np.shape(maps)[1] / 48
    return ndimage.gaussian_filter(np.abs(np.asarray(maps, float)), (0, width, width))


def same_shape(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Refuse maps of two shapes."""
    if a != b:
        raise InputError(f"Maps of the same shape are needed, not {a} and {b}.")


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, and give nan where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


def interval(values: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, float | None]:
    """Average values of cells, with a 95 % interval by bootstrap over groups of people.

    Parameters
    ----------
    values : float array of shape (n,)
        Cells without a value are nan and left out.
    groups : array of shape (n,)
    seed : int

    Returns
    -------
    dict
        ``value``, ``low``, ``high``; None if there is no value, or only one group.
    """
    values = np.asarray(values, float)
    known = ~np.isnan(values)
    if not known.any():
        return {"value": None, "low": None, "high": None}
    names, codes = np.unique(np.asarray(groups)[known], return_inverse=True)
    sums, counts = (
        np.bincount(codes, weights) for weights in (values[known], np.ones(known.sum()))
    )
    result: dict[str, float | None] = {"value": float(values[known].mean()), "low": None}
    result["high"] = None
    if len(names) > 1:
        weights = group_weights(len(names), N_RESAMPLES, seed)
        means = weights @ sums / (weights @ counts)
        result["low"], result["high"] = map(float, np.percentile(means, [2.5, 97.5]))
    return result
