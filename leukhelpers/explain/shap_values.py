"""SHAP values of pixels and of named features."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit as logit_of
from sklearn.ensemble import RandomForestClassifier

from leukhelpers.backend import keras
from leukhelpers.errors import InputError
from leukhelpers.explain.common import checked_images
from leukhelpers.models.networks import logit_model


class FeatureShares(NamedTuple):
    """What each named feature added to a classical model's answer.

    Attributes
    ----------
    values : pandas.DataFrame
        A row a cell, a column a feature; positive towards ALL.
    base : float
        Mean answer to the background, where the sharing begins.
    unit : str
        ``"logits"``, or ``"probability"`` of a forest, whose trees vote and know no logit.
    """

    values: pd.DataFrame
    base: float
    unit: str


def shap_gradient(
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    n_samples: int = 200,
    seed: int = 0,
) -> np.ndarray:
    """Attribute the logit to every pixel and channel, by expected gradients.

    The attributions of an image add up, nearly, to its logit minus the mean logit of the
    background: the more samples, the nearer.

    Parameters
    ----------
    model : keras.Model
        A model with a layer named ``logit``.
    images : array of shape (n, height, width, 3)
        RGB values 0 to 255.
    background : array of shape (m, height, width, 3)
        The cells to compare with.
    n_samples : int, default 200
        Points an image, each on the way from a random background cell to the image.
    seed : int, default 0
        Seed of these points; each image has the same, whichever others there are.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        In logits, positive towards ALL.

    Raises
    ------
    InputError
        If images and background differ in shape or the background is empty.

    References
    ----------
    Erion et al., "Improving performance of deep learning models with axiomatic
    attribution priors and expected gradients", Nature Machine Intelligence 2021;
    computed by ``shap.GradientExplainer``.
    """
    images, background = checked_images(images, background)
    found = np.zeros(images.shape, np.float32)
    with _quiet():
        import shap  # here, because it is slow to import and Grad-CAM does without

        explainer = shap.GradientExplainer(logit_model(model), background)
        for index, image in enumerate(images):
            values = explainer.shap_values(image[None], nsamples=n_samples, rseed=seed)
            found[index] = np.reshape(values, image.shape)
    return found


def explain_features(
    model: Any, measured: pd.DataFrame, background: pd.DataFrame, seed: int = 0
) -> FeatureShares:
    """Share a classical model's answer out among its named features.

    A forest is explained by TreeSHAP, exactly, in its own unit, the probability. Any other
    model by KernelSHAP, which asks for answers only, in logits.

    Parameters
    ----------
    model : estimator
        Of two classes, from :func:`leukhelpers.models.classical.fit_calibrated`.
    measured : pandas.DataFrame
        Features, a row a cell.
    background : pandas.DataFrame
        The same of training cells.
    seed : int, default 0
        Seed of KernelSHAP's draws.

    Returns
    -------
    FeatureShares
        The shares of a cell add up to its answer minus ``base``.

    Raises
    ------
    InputError
        If the features differ, or there is no background cell.

    References
    ----------
    Lundberg et al., "From local explanations to global understanding with explainable AI
    for trees", Nature Machine Intelligence 2020; Lundberg and Lee, NeurIPS 2017.
    """
    if len(background) == 0 or list(measured.columns) != list(background.columns):
        raise InputError("Cells and background need the same features, and a background cell.")
    rows, known = measured.to_numpy(), background.to_numpy()
    with _quiet():
        import shap

        np.random.seed(seed)
        if isinstance(model, RandomForestClassifier):
            trees = shap.TreeExplainer(model, known, model_output="probability")
            values = trees.shap_values(rows, check_additivity=False)[..., 1]
            base, unit = float(trees.expected_value[1]), "probability"
        else:

            def answer(cells: np.ndarray) -> np.ndarray:
                return logit_of(np.clip(model.predict_proba(cells)[:, 1], 1e-9, 1 - 1e-9))

            kernel = shap.KernelExplainer(answer, known)
            samples = 4 * rows.shape[1]
            values = kernel.shap_values(rows, nsamples=samples, l1_reg=False, silent=True)
            base, unit = float(kernel.expected_value), "logits"
    return FeatureShares(pd.DataFrame(values, columns=measured.columns), base, unit)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what shap prints from the reader, and numpy's global generator as it was."""
    state = np.random.get_state()  # shap seeds it
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        np.random.set_state(state)
