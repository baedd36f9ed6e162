"""What every explanation of a network needs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.models.networks import logit_model

BATCH = 32


Progress = Callable[[int, int], None]


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Ask a network for its logits, positive towards ALL.

    Parameters
    ----------
    model : keras.Model
        A model of two classes with a layer named ``logit``.
    images : array of shape (n, height, width, 3)
        RGB values 0 to 255.

    Returns
    -------
    float array of shape (n,)
    """
    images = np.asarray(images, np.float32)
    return logit_model(model).predict(images, batch_size=2 * BATCH, verbose=0)[:, 0]


def mean_picture(background: np.ndarray) -> np.ndarray:
    """Average the background cells, pixel by pixel."""
    return np.asarray(background, np.float32).mean(axis=0)


def checked_images(images: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float32, or refuse cells that cannot be compared."""
    images = np.asarray(images, dtype=np.float32)
    background = np.asarray(background, dtype=np.float32)
    if len(background) == 0 or images.shape[1:] != background.shape[1:]:
        raise InputError(
            f"The background must be cells of shape {images.shape[1:]}, "
            f"but it has the shape {background.shape}."
        )
    return images, background


def report_progress(progress: Progress | None, done: int, total: int) -> None:
    """Call `progress`, if there is one."""
    if progress is not None:
        progress(done, total)


# Something that explains some pictures of a network: (model, images) → maps.
Explainer = Callable[[keras.Model, np.ndarray], np.ndarray]
