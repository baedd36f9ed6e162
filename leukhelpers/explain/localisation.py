"""Where a map points: on the cell or beside it, at the cause or not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from leukhelpers.errors import InputError
from leukhelpers.evaluation.bootstrap import N_RESAMPLES, group_weights
from leukhelpers.images.features import cell_mask

CAUSES = ("nucleoli", "chromatin", "outline")


PLACES = ("pointing", "overlap")


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
