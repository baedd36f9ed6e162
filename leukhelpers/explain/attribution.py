"""Where a model looks: the methods. How much to believe them: :mod:`leukhelpers.explain.deletion`.

Networks are explained in logits: positive means towards ALL, negative towards HEM.
"""

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.explain.grad_cam import grad_cam
from leukhelpers.explain.integrated_gradients import integrated_gradients
from leukhelpers.explain.shap_values import shap_gradient

# What each method is called in figures and tables.
METHODS = {"shap": "SHAP", "integrated": "integrated gradients", "gradcam": "Grad-CAM"}


def explain_pixels(
    method: str, model: keras.Model, images: np.ndarray, background: np.ndarray, seed: int = 0
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
        return grad_cam(model, images)
    if method == "shap":
        values = shap_gradient(model, images, background, seed=seed)
    elif method == "integrated":
        values = integrated_gradients(model, images, background)
    else:
        raise InputError(f"Method {method!r} is not known; choose from {', '.join(METHODS)}.")
    return values.sum(axis=-1)
