"""What every explanation of a network needs."""

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.models.networks import logit_model


def logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Predict logits, positive towards ALL.

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
    return logit_model(model).predict(np.asarray(images, np.float32), verbose=0)[:, 0]


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
