"""Is this picture a cell like those that a run has learnt from? If not, a network still answers.

A network knows no third answer: of a photograph of a cat it says leukemic or healthy, often
with a high probability. So a few plain numbers of each picture are compared with those of
known cells. How far a cell may be from them is read off known subjects, each of them left out once.
"""

from typing import Any

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import GroupKFold

from leukhelpers.errors import InputError

# The share of a left-out subject's cells that may be farther away than the limit.
MISSED = 0.01
PARTS = 30  # subjects are left out one by one, or, if there are more, in so many parts
AT_MOST = 1000  # cells of either part, evenly spread: more of them change little
_SHADES = (0.05, 0.5, 0.95)
_DISTANCES = (1, 2, 4)  # pixels between neighbors
_SMALL = 1e-3
_EDGE, _EDGE_SPREAD = 1, 0.3  # which number tells of the picture's edge; its least spread


def describe(pictures: np.ndarray) -> np.ndarray:
    """Measure what tells a stained cell on black from other pictures; quick, not clever.

    Parameters
    ----------
    pictures : uint8 array of shape (n, size, size, 3)
        As a model sees them, see :func:`leukhelpers.images.preprocessing.crop_and_resize`.

    Returns
    -------
    float array of shape (n, n_numbers)
        How much of the picture, and of its edge, is not black, and how ragged its outline
        is; the color: means, spreads, shades, how alike the channels are; the grain, fine
        and coarse, and how much of the cell is flat.
    """
    return np.array([_describe_one(picture) for picture in pictures])


def _describe_one(picture: np.ndarray) -> np.ndarray:
    inside = (picture[..., 0] | picture[..., 1] | picture[..., 2]) > 0
    if not inside.any():
        inside = ~inside
    edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    outline = sum(np.diff(inside, axis=axis).sum() for axis in (0, 1))
    # A row a channel, since sums along rows are quick.
    values = np.ascontiguousarray(picture[inside].T).astype(np.float32) / 255
    mean, spread = values.mean(axis=1), values.std(axis=1)
    red, green, blue = (values - mean[:, None]) / (spread[:, None] + _SMALL)
    alike = np.array([(red * green).mean(), (red * blue).mean(), (green * blue).mean()])
    hues = np.array([values[0] - values[1], values[2] - values[1]])
    red_green_blue = picture.astype(np.int16)
    gray = red_green_blue[..., 0] + red_green_blue[..., 1] + red_green_blue[..., 2]
    grain, flat = _grain(gray, inside)
    logs = [*spread, *(1 - alike), *hues.std(axis=1), *grain, flat]
    return np.concatenate(
        [
            [inside.mean(), np.log(edge.mean() + 0.05)],
            [np.log((outline + 1) / np.sqrt(inside.sum()))],
            mean,
            hues.mean(axis=1),
            np.quantile(gray[inside], _SHADES) / 765,
            np.log(np.maximum(logs, 0) + _SMALL),
        ]
    )


def _grain(gray: np.ndarray, inside: np.ndarray) -> tuple[list[float], float]:
    """Measure how much neighbors differ, near and far, and which share of them does not."""
    found, flat = [], 0.0
    for distance in _DISTANCES:
        pairs = [  # of each picture and its transpose: downwards, and sideways
            np.abs(shade[distance:] - shade[:-distance])[both[distance:] & both[:-distance]]
            for shade, both in ((gray, inside), (gray.T, inside.T))
        ]
        steps = np.concatenate([*pairs, [0]])
        found.append(float(steps.mean()) / 765)
        flat = float((steps == 0).mean()) if distance == 1 else flat
    return found, flat


def fit_ood(pictures: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Learn how cells look, and how far the cells of an unknown subject may be from them.

    Unseen people are stained and lit in other ways than the few who are known. So everybody
    is a stranger once: what is learnt from the others tells how far his cells are. The limit
    is that of the farthest of them, and no cell of the test subjects is needed for it.

    Parameters
    ----------
    pictures : uint8 array of shape (n, size, size, 3)
        Cells of training and validation subjects.
    groups : array of shape (n,)
        Whose they are.

    Returns
    -------
    dict
        Can be written as JSON: ``mean``, ``spread`` and ``precision`` of the numbers of
        :func:`describe`; ``limit``, the distance that all but the farthest hundredth of the
        cells keep of whoever is farthest when left out; ``chosen_on``, how many were left out.

    Raises
    ------
    InputError
        If there are fewer than two groups.

    Notes
    -----
    The distance is that of Mahalanobis (1936); its covariance is shrunk after Ledoit and
    Wolf (2004). Lee et al., "A simple unified framework for detecting out-of-distribution
    samples", NeurIPS 2018, use it on a network's features.
    """
    parts = min(len(np.unique(groups)), PARTS)
    if parts < 2:
        raise InputError("To detect OOD images, cells of two subjects or more are needed.")
    known = describe(pictures)
    # Where a few cells reach the edge of the picture, one of them must not count as very strange.
    least = np.full(known.shape[1], _SMALL)
    least[_EDGE] = _EDGE_SPREAD if np.ptp(known[:, _EDGE]) > 0 else _SMALL
    farthest = [
        np.quantile(mahalanobis(_learn(known[others], least), known[left_out]), 1 - MISSED)
        for others, left_out in GroupKFold(parts).split(known, groups=groups)
    ]
    learnt = {name: values.tolist() for name, values in _learn(known, least).items()}
    return {**learnt, "limit": float(max(farthest)), "chosen_on": parts}


def _learn(known: np.ndarray, least: np.ndarray) -> dict[str, np.ndarray]:
    mean, spread = known.mean(axis=0), np.maximum(known.std(axis=0) + _SMALL, least)
    shape = LedoitWolf().fit((known - mean) / spread)
    return {"mean": mean, "spread": spread, "precision": shape.precision_}


def distance(learnt: dict[str, Any], pictures: np.ndarray) -> np.ndarray:
    """Tell how far pictures are from the cells that `learnt` describes.

    Returns
    -------
    float array of shape (n,)
        About 1 for a usual cell.
    """
    return mahalanobis(learnt, describe(pictures))


def mahalanobis(learnt: dict[str, Any], described: np.ndarray) -> np.ndarray:
    """Tell how far rows of numbers are from those that `learnt` describes; about 1 is usual."""
    standardized = (described - learnt["mean"]) / learnt["spread"]
    squared = np.einsum("ij,jk,ik->i", standardized, np.asarray(learnt["precision"]), standardized)
    return np.sqrt(squared / standardized.shape[1])
