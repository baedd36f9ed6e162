"""Whether an explanation deserves trust: the tests of explanations.

Maps have the shape (n, height, width). Signed ones are positive towards ALL.
"""

from __future__ import annotations

import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.stats import rankdata

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.explain import attribution
from leukhelpers.explain.common import logits
from leukhelpers.images.features import cell_mask
from leukhelpers.models.networks import logit_model

TILES = 16  # so many tiles along an edge are taken away one after another
STEPS = 16
N_RESAMPLES = 2000
CAUSES = ("nucleoli", "chromatin", "outline")
PLACES = ("pointing", "overlap")

# What the tests are called in tables, by their letters in lesson 07.
COLUMNS = {
    "completeness": "(a) adds up",
    "randomised": "(b) untrained",
    "faithfulness": "(c) faithful",
    "off_cell": "(d) beside the cell",
    **{f"{test}_{cause}": f"(e) {test}, {cause}" for cause in CAUSES for test in PLACES},
    "stability": "(f) turned",
    "seconds": "seconds",
}

# Something that explains some pictures of a network: (model, images) → maps.
Explainer = Callable[[keras.Model, np.ndarray], np.ndarray]


class Curves(NamedTuple):
    """Evidence that is left while a picture is taken away, or comes back, tile by tile.

    Attributes
    ----------
    shares : array of shape (n_steps,)
        Share of the tiles that were taken away, or given back.
    deletion, insertion, random_deletion, random_insertion : arrays of shape (n_steps,)
        Mean evidence for the network's own answer, 0 without the picture. 1 is as much as
        the whole pictures of the background hold on average.
    scores : array of shape (n_images,)
        Of each image the area between insertion and deletion, less that of random orders.
    """

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray
    random_deletion: np.ndarray
    random_insertion: np.ndarray
    scores: np.ndarray


def randomise_weights(model: keras.Model, seed: int) -> keras.Model:
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
    _same_shape(np.shape(a), np.shape(b))
    inside = np.ones(np.shape(a), dtype=bool) if inside is None else inside
    _same_shape(np.shape(a), np.shape(inside))
    pairs = [
        [rankdata(map_[where]) for map_ in maps]
        for *maps, where in zip(np.asarray(a), np.asarray(b), inside, strict=True)
    ]
    centred = [[ranks - ranks.mean() for ranks in pair] for pair in pairs]
    covariance = np.array([(first * second).sum() for first, second in centred])
    norms = [np.sqrt((first**2).sum() * (second**2).sum()) for first, second in centred]
    return _ratio(covariance, np.array(norms))


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
    _same_shape(weight.shape, np.shape(masks))
    inside = (weight * np.asarray(masks, dtype=bool)).sum(axis=(1, 2))
    return _ratio(inside, weight.sum(axis=(1, 2)))


def cell_of(images: np.ndarray) -> np.ndarray:
    """Find each cell: the largest thing in its picture, holes filled.

    Parameters
    ----------
    images : array of shape (n, height, width, 3)
        Cells on black. Whatever does not touch the cell, a mark in a corner say, is not it.

    Returns
    -------
    bool array of shape (n, height, width)
    """
    found = np.zeros(np.shape(images)[:3], bool)
    for index, inside in enumerate(cell_mask(images)):
        things, count = ndimage.label(inside)
        if count:
            largest = np.bincount(things.ravel())[1:].argmax() + 1
            found[index] = ndimage.binary_fill_holes(things == largest)
    return found


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
    _same_shape(np.shape(sums), np.shape(expected))
    return float(np.abs(sums - expected).mean() / max(np.abs(expected).mean(), 1e-9))


def randomise_stages(
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
    fresh, partial = randomise_weights(model, seed), keras.models.clone_model(model)
    partial.set_weights(model.get_weights())
    layers = _layers_from_above(model)
    parts = np.array_split(np.arange(len(layers)), min(n_stages, len(layers)))
    for part in parts:
        for index in part:
            for name in layers[index]:
                partial.get_layer(name).set_weights(fresh.get_layer(name).get_weights())
        yield _plain(layers[part[-1]][0]), partial


def _layers_from_above(model: keras.Model) -> list[list[str]]:
    """List layers with a kernel, each with the normalisation behind it, the last one first.

    Networks that stand side by side count as one.
    """
    found: list[list[str]] = []
    for layer in (layer for layer in model.layers if layer.weights):
        has_kernel = any(len(weight.shape) > 1 for weight in layer.weights)
        if not found or (has_kernel and _plain(layer.name) != _plain(found[-1][0])):
            found.append([])
        found[-1].append(layer.name)
    return found[::-1]


def _plain(name: str) -> str:
    return re.sub(r"^network\d+_", "", name)


def cascade(
    model: keras.Model, method: Explainer, images: np.ndarray, seed: int = 0, n_stages: int = 5
) -> pd.Series:
    """Compare maps with those of a network that forgets, layer by layer.

    Parameters
    ----------
    model : keras.Model
    method : callable
        ``(model, images)`` → maps.
    images : array of shape (n, height, width, 3)
    seed, n_stages
        See :func:`randomise_stages`.

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
    inside, whole = cell_of(images), method(model, images)
    found = {"nothing": 1.0}
    for name, partial in randomise_stages(model, seed, n_stages):
        alike = rank_similarity(whole, method(partial, images), inside)
        found[f"down to {name}"] = float(np.nan_to_num(alike).mean())
    return pd.Series(found, name="similarity")


def smooth_cells(images: np.ndarray) -> np.ndarray:
    """Wipe out what is to be seen inside the cells, and everything beside them.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        The same outlines, filled with each cell's own colours, blurred by an eighth of the
        picture: so no edge appears where something is taken away.
    """
    inside, values = cell_of(images)[..., None], np.asarray(images, np.float32)
    width = images.shape[1] / 8
    blur = (0, width, width, 0)
    light = ndimage.gaussian_filter(np.where(inside, values, 0), blur)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), blur)
    return np.where(inside, light / np.maximum(weight, 1e-6), 0).astype(np.float32)


def curves(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    background: np.ndarray,
    seed: int = 0,
    n_random: int = 3,
) -> Curves:
    """Take away what a map says is important, and see whether the network misses it.

    Deletion wipes tiles out (see :func:`smooth_cells`), the most important first; insertion
    gives them back to a wiped picture in the same order. Important is what speaks for the
    network's own answer. A map that knows what matters lets deletion fall and insertion rise
    faster than a random order of tiles. What is told of an image hangs on no other image.

    Parameters
    ----------
    model : keras.Model
        A model of two classes with a layer named ``logit``.
    images : array of shape (n, height, width, 3)
    maps : array of shape (n, height, width)
        Signed, or as Grad-CAM's only what speaks for ALL.
    background : array of shape (m, height, width, 3)
        Training cells; the unit of evidence is the mean of theirs.
    seed : int
        Of the random orders, and of ties; each image has its own.
    n_random : int
        How many random orders stand beside.

    Returns
    -------
    Curves

    References
    ----------
    Petsiuk, Das and Saenko, "RISE", BMVC 2018.
    """
    _same_shape(np.shape(maps), np.shape(images)[:3])
    wiped, whole = smooth_cells(images), np.asarray(images, np.float32)
    empty, full = logits(model, wiped), logits(model, whole)
    towards = np.where(full >= empty, 1.0, -1.0)
    tile = max(1, images.shape[1] // TILES)
    draws = [np.random.default_rng([seed, zlib.crc32(image.tobytes())]) for image in whole]
    weight = _tiles(np.asarray(maps, float) * towards[:, None, None], tile)
    changed = _tiles(np.abs(whole - wiped).sum(axis=-1), tile) > 0
    random_orders = [[rng.random(weight.shape[1:]) for rng in draws] for _ in range(n_random)]
    network = logit_model(model)
    found = [
        _evidence(network, whole, wiped, order, changed, tile, draws)
        for order in (weight, *map(np.array, random_orders))
    ]
    known = logits(model, background) - logits(model, smooth_cells(background))
    # A row an order: (deletion or insertion, steps, images)
    all_ = (np.array(found) - empty) * towards / max(float(np.abs(known).mean()), 1e-9)
    area = all_[:, 1].mean(axis=1) - all_[:, 0].mean(axis=1)
    mean = all_.mean(axis=-1)
    random = mean[1:].mean(axis=0)
    shares = np.linspace(0, 1, STEPS + 1)
    scores = area[0] - area[1:].mean(axis=0)
    return Curves(shares, mean[0, 0], mean[0, 1], random[0], random[1], scores)


def _evidence(
    network: keras.Model,
    whole: np.ndarray,
    wiped: np.ndarray,
    weight: np.ndarray,
    changed: np.ndarray,
    tile: int,
    draws: Sequence[np.random.Generator],
) -> np.ndarray:
    """Logits while tiles are taken away and given back: (2, steps, images)."""
    told = np.zeros((2, STEPS + 1, len(whole)))
    for index in range(len(whole)):
        places = np.flatnonzero(changed[index])
        # Equal weights, such as a flat map's, are put into a random order.
        order = places[
            np.lexsort((draws[index].random(len(places)), -weight[index].ravel()[places]))
        ]
        rank = np.full(changed[index].size, len(order))
        rank[order] = np.arange(len(order))
        rank = np.kron(rank.reshape(changed[index].shape), np.ones((tile, tile), int))
        rank = np.pad(rank, [(0, n - m) for n, m in zip(whole.shape[1:3], rank.shape, strict=True)],
                      mode="edge")  # fmt: skip
        taken = [rank < share * len(order) for share in np.linspace(0, 1, STEPS + 1)]
        gone = np.array(taken)[..., None]
        pictures = [np.where(gone, wiped[index], whole[index]),
                    np.where(gone, whole[index], wiped[index])]  # fmt: skip
        answers = network.predict_on_batch(np.concatenate(pictures))
        told[:, :, index] = answers.reshape(2, STEPS + 1)
    return told


def _tiles(maps: np.ndarray, tile: int) -> np.ndarray:
    """Sum maps over tiles; what is left at the lower and right edge is left out."""
    n, height, width = maps.shape
    rows, columns = height // tile, width // tile
    cut = maps[:, : rows * tile, : columns * tile]
    return cut.reshape(n, rows, tile, columns, tile).sum(axis=(2, 4))


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
    _same_shape(np.shape(maps), np.shape(masks))
    strength = _smoothed(maps)
    tops = strength.reshape(len(strength), -1).argmax(axis=1)
    hits = np.asarray(masks, bool).reshape(len(strength), -1)[np.arange(len(tops)), tops]
    known = np.any(masks, axis=(1, 2)) & (strength.max(axis=(1, 2)) > 0)
    return np.where(known, hits.astype(float), np.nan)


def overlap(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Take as many of the strongest places as the mask has, and tell which share lies in it.

    Parameters and nan are those of :func:`pointing`; a map spread at random reaches the
    mask's share of the picture.
    """
    _same_shape(np.shape(maps), np.shape(masks))
    found = np.full(len(maps), np.nan)
    for index, (strength, mask) in enumerate(zip(_smoothed(maps), masks, strict=True)):
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
    told = {}
    for cause in CAUSES:
        even = masks[cause].sum(axis=(1, 2)) / masks["cell"].sum(axis=(1, 2))
        for name, how in zip(PLACES, (pointing, overlap), strict=True):
            told[f"{name}_{cause}"] = interval(how(maps, masks[cause]) - even, groups, seed)
    return told


def _smoothed(maps: np.ndarray) -> np.ndarray:
    width = np.shape(maps)[1] / 48
    return ndimage.gaussian_filter(np.abs(np.asarray(maps, float)), (0, width, width))


def stability(
    model: keras.Model,
    method: Explainer,
    images: np.ndarray,
    maps: np.ndarray,
    degrees: Sequence[float] = (-8.0, 8.0),
) -> np.ndarray:
    """Turn pictures a little, explain them, turn the maps back, and compare.

    Returns
    -------
    float array of shape (n,)
        Mean rank correlation inside the cells; 1 if the explanation turned along.
    """
    inside, found = cell_of(images), []
    for angle in degrees:
        turned = _turn(np.asarray(images, np.float32), angle)
        back = _turn(method(model, turned), -angle)
        found.append(np.nan_to_num(rank_similarity(maps, back, inside)))
    return np.mean(found, axis=0)


def _turn(stack: np.ndarray, angle: float) -> np.ndarray:
    return ndimage.rotate(stack, angle, axes=(1, 2), reshape=False, order=1)


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
    told: dict[str, float | None] = {"value": float(values[known].mean()), "low": None}
    told["high"] = None
    if len(names) > 1:
        drawn = np.random.default_rng(seed).integers(0, len(names), (N_RESAMPLES, len(names)))
        means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
        told["low"], told["high"] = map(float, np.percentile(means, [2.5, 97.5]))
    return told


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


def judge(
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
        randomised weights and rotations.

    Returns
    -------
    maps : array of shape (n, height, width)
    dict
        ``seconds`` an image; ``completeness`` (0 is perfect, None for Grad-CAM);
        ``randomised``, the similarity to the map of a network that has forgotten all;
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
    ignorant = maps_of(randomise_weights(model, seed + 1), images[some])
    alike = np.nan_to_num(rank_similarity(maps[some], ignorant, cell_of(images[some])))
    steady = stability(model, maps_of, images[some], maps[some])
    told: dict[str, Any] = {
        "seconds": seconds,
        "completeness": None if expected is None else completeness(maps.sum(axis=(1, 2)), expected),
        "randomised": interval(alike, groups[some], seed),
        "faithfulness": interval(
            curves(model, images, maps, background, seed).scores, groups, seed
        ),
        "off_cell": interval(off_cell_share(maps, images), groups, seed),
        "stability": interval(steady, groups[some], seed),
    }
    if masks is not None:
        told.update(by_cause(maps, masks, groups, seed))
    return maps, told


def score_table(methods: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Put what :func:`judge` told of several methods side by side, without the intervals.

    Parameters
    ----------
    methods : mapping
        A key of :data:`leukhelpers.explain.attribution.METHODS` → what was told; ``refused`` in
        it says that the method does not fit, and leaves it out.

    Returns
    -------
    pandas.DataFrame
        A row a test (see :data:`COLUMNS`), a column a method; nan where there is no value.
    """
    shown = {
        attribution.METHODS[method]: {
            name: told[key]["value"] if isinstance(told[key], dict) else told[key]
            for key, name in COLUMNS.items()
            if key in told
        }
        for method, told in methods.items()
        if "refused" not in told
    }
    return pd.DataFrame(shown).astype(float)


def _same_shape(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a != b:
        raise InputError(f"Maps of the same shape are needed, not {a} and {b}.")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, and give nan where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
