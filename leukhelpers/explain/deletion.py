"""Wipe out what a map names first, and see what the network then says."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from leukhelpers.backend import keras
from leukhelpers.explain import localisation
from leukhelpers.explain.common import logits
from leukhelpers.models.networks import logit_model

TILES = 16  # so many tiles along an edge are taken away one after another
N_RANDOM = 3  # random orders of tiles, with which a map is compared
STEPS = 16


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


def smooth_cells(images: np.ndarray) -> np.ndarray:
    """Wipe out what is to be seen inside the cells, and everything beside them.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        The same outlines, filled with each cell's own colors, blurred by an eighth of the
        picture: so no edge appears where something is taken away.
    """
    inside, values = localisation.cell_of(images)[..., None], np.asarray(images, np.float32)
    width = images.shape[1] / 8
    blur = (0, width, width, 0)
    light = ndimage.gaussian_filter(np.where(inside, values, 0), blur)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), blur)
    return np.where(inside, light / np.maximum(weight, 1e-6), 0).astype(np.float32)


def deletion_insertion(
    model: keras.Model,
    images: np.ndarray,
    maps: np.ndarray,
    background: np.ndarray,
    seed: int = 0,
) -> Curves:
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
    Curves

    References
    ----------
    Petsiuk, Das and Saenko, "RISE", BMVC 2018.
    """
    localisation.same_shape(np.shape(maps), np.shape(images)[:3])
    wiped, whole = smooth_cells(images), np.asarray(images, np.float32)
    empty, full = logits(model, wiped), logits(model, whole)
    towards = np.where(full >= empty, 1.0, -1.0)
    tile = max(1, images.shape[1] // TILES)
    draws = [np.random.default_rng([seed, zlib.crc32(image.tobytes())]) for image in whole]
    weight = _tiles(np.asarray(maps, float) * towards[:, None, None], tile)
    changed = _tiles(np.abs(whole - wiped).sum(axis=-1), tile) > 0
    random_orders = [[rng.random(weight.shape[1:]) for rng in draws] for _ in range(N_RANDOM)]
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
    evidence = np.zeros((2, STEPS + 1, len(whole)))
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
        evidence[:, :, index] = answers.reshape(2, STEPS + 1)
    return evidence


def _tiles(maps: np.ndarray, tile: int) -> np.ndarray:
    """Sum maps over tiles; what is left at the lower and right edge is left out."""
    n, height, width = maps.shape
    rows, columns = height // tile, width // tile
    cut = maps[:, : rows * tile, : columns * tile]
    return cut.reshape(n, rows, tile, columns, tile).sum(axis=(2, 4))
