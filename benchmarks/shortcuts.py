"""What a network goes by that it should not: size, stain, or something beside the cell.

An explanation says *where*; these probes change one thing and see how the answer moves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from leukhelpers.images.features import cell_of


def one_size(images: np.ndarray, share: float = 0.5) -> np.ndarray:
    """Rescale each cell about the middle of its picture, so that all have the same area.

    Parameters
    ----------
    images : array of shape (n, size, size, 3)
    share : float
        The cell's share of the picture afterwards; the largest are not enlarged past it.

    Returns
    -------
    uint8 array of shape (n, size, size, 3)
    """
    found, middle = np.zeros(np.shape(images), np.uint8), (np.shape(images)[1] - 1) / 2
    for index, (image, cell) in enumerate(zip(images, cell_of(images), strict=True)):
        factor = np.sqrt(max(cell.mean(), 1e-4) / share)
        center = np.array(ndimage.center_of_mass(cell)) if cell.any() else np.full(2, middle)
        shift = center - factor * middle
        planes = [cell.astype(float), *(np.where(cell, image[..., c], 0) for c in range(3))]
        weight, *colors = (
            ndimage.affine_transform(plane.astype(float), [factor, factor], shift, order=1)
            for plane in planes
        )
        # A rim that is half background would be dim, and count as cell.
        shades = np.stack(colors, axis=-1) / np.maximum(weight, 1e-6)[..., None]
        found[index] = np.where(weight[..., None] >= 0.5, np.clip(np.round(shades), 1, 255), 0)
    return found


def one_stain(images: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Give all cells the same mean and spread of red, green and blue.

    Parameters
    ----------
    images : array of shape (n, size, size, 3)
    reference : array of shape (m, size, size, 3)
        Whose colors they get: the mean of these cells'.

    Returns
    -------
    uint8 array of shape (n, size, size, 3)
        What is not cell stays as it was.
    """
    known = zip(reference, cell_of(reference), strict=True)
    wanted = np.mean([_colors(image[cell]) for image, cell in known if cell.any()], axis=0)
    found = np.array(images, np.uint8)
    for image, cell in zip(found, cell_of(images), strict=True):
        if not cell.any():
            continue
        mean, spread = _colors(image[cell])
        stained = (image[cell] - mean) / np.maximum(spread, 1) * wanted[1] + wanted[0]
        image[cell] = np.clip(np.round(stained), 1, 255)  # 0 would be background
    return found


def _colors(inside: np.ndarray) -> np.ndarray:
    """Mean and spread of each channel of a cell's pixels, shape (2, 3)."""
    return np.array([inside.mean(axis=0), inside.std(axis=0)])


def mask_background(images: np.ndarray) -> np.ndarray:
    """Black out whatever does not belong to the cells."""
    return np.where(cell_of(images)[..., None], images, 0).astype(np.uint8)


def probe(
    predict: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    background: np.ndarray,
    labels: np.ndarray | None = None,
) -> pd.DataFrame:
    """Take one possible shortcut away at a time, and see how the probability moves.

    Parameters
    ----------
    predict : callable
        Pictures → P(ALL), shape (n,).
    images : uint8 array of shape (n, size, size, 3)
    background : uint8 array of shape (m, size, size, 3)
        Training cells, whose size and colors all get.
    labels : int array of shape (n,), optional
        With them the table has the AUROC, too.

    Returns
    -------
    pandas.DataFrame
        A row for each thing taken away (and ``as it is``): the mean probability, the mean
        shift, the mean absolute shift, and the ``auroc``.
    """
    share = float(cell_of(background).mean())
    changed = {
        "as it is": np.asarray(images),
        "one size": one_size(images, share),
        "one stain": one_stain(images, background),
        "nothing beside the cell": mask_background(images),
    }
    answers = {name: np.asarray(predict(array)).ravel() for name, array in changed.items()}
    before, rows = answers["as it is"], {}
    for name, after in answers.items():
        rows[name] = {
            "mean probability": after.mean(),
            "mean shift": (after - before).mean(),
            "mean absolute shift": np.abs(after - before).mean(),
        }
        if labels is not None and len(np.unique(labels)) == 2:
            rows[name]["auroc"] = roc_auc_score(labels, after)
    return pd.DataFrame(rows).T
