"""Wipe out what a map names first, and see what the network then says."""

import zlib
from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from skimage.measure import block_reduce

from leukhelpers.backend import keras
from leukhelpers.explain.common import logits
from leukhelpers.images.features import cell_of
from leukhelpers.models.networks import logit_model

TILES = 16  # so many tiles along an edge are taken away one after another
N_RANDOM = 3  # random orders of tiles, with which a map is compared
STEPS = 16


def smooth_cells(images: np.ndarray) -> np.ndarray:
    """Wipe out what is to be seen inside the cells, and everything beside them.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        The same outlines, filled with each cell's own colors, blurred by an eighth of the
        picture: so no edge appears where something is taken away.
    """
    inside, values = cell_of(images)[..., None], np.asarray(images, np.float32)
    width = images.shape[1] / 8
    blur = (0, width, width, 0)
    light = ndimage.gaussian_filter(np.where(inside, values, 0), blur)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), blur)
    return np.where(inside, light / np.maximum(weight, 1e-6), 0).astype(np.float32)


def deletion_scores(
    model: keras.Model, images: np.ndarray, maps: np.ndarray, background: np.ndarray, seed: int = 0
) -> np.ndarray:
    """Take away what a map says is important, and see whether the network misses it.

    Deletion wipes tiles out (see :func:`smooth_cells`), the most important first; insertion
    gives them back to a wiped picture in the same order. Important is what speaks for the
    network's own answer. A map that knows what matters lets deletion fall and insertion rise
    faster than a random order of tiles. The result of an image depends on no other image.

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

    Returns
    -------
    float array of shape (n,)
        The area between the two curves, less that of random orders; 0 is no better than
        chance. 1 is as much evidence as the whole pictures of the background hold on average.

    References
    ----------
    Petsiuk, Das and Saenko, "RISE", BMVC 2018.
    """
    whole, wiped = np.asarray(images, np.float32), smooth_cells(images)
    towards = np.where(logits(model, whole) >= logits(model, wiped), 1, -1)
    known = logits(model, background) - logits(model, smooth_cells(background))
    network, scores = logit_model(model), []
    for image, without, map_, sign in zip(whole, wiped, maps, towards, strict=True):
        rng = np.random.default_rng([seed, zlib.crc32(image.tobytes())])
        weights = _tiles(sign * map_)
        orders = [weights, *(rng.random(weights.shape) for _ in range(N_RANDOM))]
        areas = [_area(network, (image, without), order, rng) for order in orders]
        scores.append(sign * (areas[0] - np.mean(areas[1:])))
    return np.array(scores) / max(np.abs(known).mean(), 1e-9)


def _area(
    network: keras.Model, pair: Sequence[np.ndarray], weights: np.ndarray, rng: np.random.Generator
) -> float:
    """Measure the area between the insertion and the deletion curve of an order of tiles."""
    whole, wiped = pair
    places = np.flatnonzero(_tiles(np.abs(whole - wiped).sum(axis=-1)) > 0)
    # Equal weights, such as a flat map's, are put into a random order.
    order = places[np.lexsort((rng.random(len(places)), -weights.ravel()[places]))]
    rank = np.full(weights.size, len(order))
    rank[order] = np.arange(len(order))
    tile = np.ones((_edge(whole), _edge(whole)), int)
    rank_of_pixel = np.kron(rank.reshape(weights.shape), tile)[: len(whole), : len(whole)]
    taken = len(order) * np.linspace(0, 1, STEPS + 1)[:, None, None]
    gone = (rank_of_pixel < taken)[..., None]
    pictures = [np.where(gone, wiped, whole), np.where(gone, whole, wiped)]
    deletion, insertion = np.split(network.predict_on_batch(np.concatenate(pictures)), 2)
    return float(insertion.mean() - deletion.mean())


def _edge(picture: np.ndarray) -> int:
    """Give the edge of a tile, in pixels."""
    return max(1, len(picture) // TILES)


def _tiles(map_: np.ndarray) -> np.ndarray:
    """Sum a map over each tile."""
    return block_reduce(map_, _edge(map_), np.sum)
