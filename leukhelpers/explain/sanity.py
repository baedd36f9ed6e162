"""Whether an explanation deserves trust: the tests of explanations.

Maps have the shape (n, height, width). Signed ones are positive towards ALL.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

from leukhelpers.backend import keras
from leukhelpers.explain import common, localisation

DEGREES = (-8.0, 8.0)  # by which pictures are turned, to see whether maps turn along


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
    localisation.same_shape(np.shape(a), np.shape(b))
    inside = np.ones(np.shape(a), dtype=bool) if inside is None else inside
    localisation.same_shape(np.shape(a), np.shape(inside))
    pairs = [
        [rankdata(map_[where]) for map_ in maps]
        for *maps, where in zip(np.asarray(a), np.asarray(b), inside, strict=True)
    ]
    centered = [[ranks - ranks.mean() for ranks in pair] for pair in pairs]
    covariance = np.array([(first * second).sum() for first, second in centered])
    norms = [np.sqrt((first**2).sum() * (second**2).sum()) for first, second in centered]
    return localisation.ratio(covariance, np.array(norms))


def completeness(sums: np.ndarray, expected: np.ndarray) -> float:
    """Tell how far the attributions are from adding up.

    Parameters
    ----------
    sums : array of shape (n,)
        What the attributions of each image add up to.
    expected : array of shape (n,)
        What they should add up to, see :func:`leukhelpers.explain.attribution.expected_sum`.

    Returns
    -------
    float
        Mean absolute error over the mean size of what was expected; 0 is perfect.
    """
    localisation.same_shape(np.shape(sums), np.shape(expected))
    return float(np.abs(sums - expected).mean() / max(np.abs(expected).mean(), 1e-9))


def stability(
    model: keras.Model,
    method: common.Explainer,
    images: np.ndarray,
    maps: np.ndarray,
) -> np.ndarray:
    """Turn pictures a little, explain them, turn the maps back, and compare.

    Returns
    -------
    float array of shape (n,)
        Mean rank correlation inside the cells; 1 if the explanation turned along.
    """
    inside, found = localisation.cell_of(images), []
    for angle in DEGREES:
        turned = _turn(np.asarray(images, np.float32), angle)
        back = _turn(method(model, turned), -angle)
        found.append(np.nan_to_num(rank_similarity(maps, back, inside)))
    return np.mean(found, axis=0)


def _turn(stack: np.ndarray, angle: float) -> np.ndarray:
    return ndimage.rotate(stack, angle, axes=(1, 2), reshape=False, order=1)
