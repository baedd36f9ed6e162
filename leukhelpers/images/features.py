"""Measurements of a cell that need no neural network."""

import numpy as np
from scipy import ndimage

from leukhelpers.images.preprocessing import read_rows

CHANNELS = ("red", "green", "blue")
CHUNK = 1024  # cells held in memory at a time when `pixels` lies on disk


def cell_mask(pixels: np.ndarray) -> np.ndarray:
    """Tell the cell from the black background.

    Parameters
    ----------
    pixels : array of shape (..., size, size, 3)
        Cells on black. The background of C-NMC is exactly (0, 0, 0).

    Returns
    -------
    bool array of shape (..., size, size)
        True where at least one channel is above 0.
    """
    return np.any(np.asarray(pixels) > 0, axis=-1)


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


def cell_area(pixels: np.ndarray, crop: int, rows: np.ndarray | None = None) -> np.ndarray:
    """Count the pixels of each cell, in pixels of the original image.

    Cells resized to ``size`` are measured on the scale of their source, so that
    areas from runs at different sizes can be compared. Resizing leaves a dim rim
    around a cell and the rim counts as cell: areas come out a few per cent large,
    alike for every cell of a run.

    Parameters
    ----------
    pixels : uint8 array of shape (n, size, size, 3)
        RGB cells on black; may be a memory map, which is read a part at a time.
    crop : int
        Edge of the square that was cut from the original image, in its pixels.
    rows : int array of shape (m,), optional
        The rows to measure; all by default.

    Returns
    -------
    float array of shape (m,)
        Areas in pixels of the original image.
    """
    rows = np.arange(len(pixels)) if rows is None else rows
    parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    counts = [cell_mask(read_rows(pixels, part)).sum(axis=(1, 2)) for part in parts]
    scale = (crop / pixels.shape[1]) ** 2
    return scale * np.concatenate(counts or [np.zeros(0)]).astype(float)
