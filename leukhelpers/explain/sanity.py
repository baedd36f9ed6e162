"""Whether an explanation deserves trust: the tests of explanations.

Maps have the shape (n, height, width). Signed ones are positive towards ALL.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.stats import rankdata

from leukhelpers.backend import keras
from leukhelpers.explain import common, localisation
from leukhelpers.models.networks import leaf_layers

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


def randomize_stages(
    model: keras.Model, seed: int, n_stages: int = 5
) -> Iterator[tuple[str, keras.Model]]:
    """Make a network forget, from its last layer down to its first.

    Parameters
    ----------
    model : keras.Model
        Left as it is.
    seed : int
        Seed of the new weights.
    n_stages : int, default 5
        At most so many steps; a deep network forgets several layers in each.

    Yields
    ------
    name : str
        The last layer that was forgotten.
    keras.Model
        The network so far; the same object each time.
    """
    fresh, partial = randomize_weights(model, seed), keras.models.clone_model(model)
    partial.set_weights(model.get_weights())
    new, old = ([layer for layer in leaf_layers(m) if layer.weights] for m in (fresh, partial))
    # A layer with a kernel goes with the normalization behind it.
    starts = [i for i, layer in enumerate(new) if any(len(w.shape) > 1 for w in layer.weights)]
    parts = [range(a, b) for a, b in zip(starts, [*starts[1:], len(new)], strict=True)][::-1]
    for chosen in np.array_split(np.arange(len(parts)), min(n_stages, len(parts))):
        for index in [i for number in chosen for i in parts[number]]:
            old[index].set_weights(new[index].get_weights())
        yield new[parts[chosen[-1]][0]].name, partial


def cascade(
    model: keras.Model,
    method: common.Explainer,
    images: np.ndarray,
    seed: int = 0,
) -> pd.Series:
    """Compare maps with those of a network that forgets, layer by layer.

    Parameters
    ----------
    model : keras.Model
    method : callable
        ``(model, images)`` → maps.
    images : array of shape (n, height, width, 3)
    seed : int
        Of the new weights.

    Returns
    -------
    pandas.Series
        Mean rank correlation inside the cells, sign included; the index names how much
        was forgotten, ``"nothing"`` at first. It should fall towards 0. A map that
        vanishes counts as 0: it has nothing in common any more.

    References
    ----------
    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
    """
    inside, whole = localisation.cell_of(images), method(model, images)
    found = {"nothing": 1.0}
    for name, partial in randomize_stages(model, seed):
        alike = rank_similarity(whole, method(partial, images), inside)
        found[f"down to {name}"] = float(np.nan_to_num(alike).mean())
    return pd.Series(found, name="similarity")


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
