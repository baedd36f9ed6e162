"""Where a model looks: the methods. Whether to believe them: :mod:`leukhelpers.explain.sanity`.

Networks are explained in logits: positive means towards ALL, negative towards HEM.
"""

from __future__ import annotations

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.explain.common import Progress, logits, mean_picture
from leukhelpers.explain.grad_cam import grad_cam
from leukhelpers.explain.integrated_gradients import integrated_gradients
from leukhelpers.explain.shap_values import shap_gradient

# What each method is called in figures and tables.
METHODS = {
    "shap": "SHAP",
    "integrated": "integrated gradients",
    "gradcam": "Grad-CAM",
}


def explain_pixels(
    method: str,
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    seed: int = 0,
    progress: Progress | None = None,
) -> np.ndarray:
    """Map the evidence in pictures, by the method of a name.

    Parameters
    ----------
    method : str
        A key of :data:`METHODS`.
    model : keras.Model
        A model of two classes with a layer named ``logit``.
    images, background : arrays of shape (n, height, width, 3)
        RGB values 0 to 255; the background are training cells.
    seed : int
        For methods that draw at random.
    progress : callable, optional
        Called with the number of images done and in all.

    Returns
    -------
    float32 array of shape (n, height, width)
        Summed over colors; in logits, positive towards ALL. Grad-CAM's has no unit.

    Raises
    ------
    InputError
        If there is no such method, or it does not fit the model.
    """
    if method == "gradcam":
        return grad_cam(model, images, progress=progress)
    if method == "shap":
        values = shap_gradient(model, images, background, seed=seed, progress=progress)
    elif method == "integrated":
        values = integrated_gradients(model, images, background, progress=progress)
    else:
        raise InputError(f"Method {method!r} is not known; choose from {', '.join(METHODS)}.")
    return values.sum(axis=-1)


def expected_sum(
    method: str, model: keras.Model, images: np.ndarray, background: np.ndarray
) -> np.ndarray | None:
    """Tell to what the attributions of each image should add up; None for Grad-CAM.

    SHAP starts from the mean logit of the background, integrated gradients from the logit
    of its mean picture.
    """
    if method == "gradcam":
        return None
    if method == "shap":
        return logits(model, images) - logits(model, background).mean()
    return logits(model, images) - logits(model, mean_picture(background)[None])[0]
