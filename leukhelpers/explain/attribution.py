"""Where a model looks: the methods. Whether to believe them: :mod:`leukhelpers.explain.sanity`.

Networks are explained in logits: positive means towards ALL, negative towards HEM.
"""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logit as logit_of
from sklearn.ensemble import RandomForestClassifier

from leukhelpers.backend import keras, tf
from leukhelpers.errors import InputError
from leukhelpers.models.networks import logit_model

BATCH = 32
# What each method is called in figures and tables; the first three are quick.
METHODS = {
    "shap": "SHAP",
    "integrated": "integrated gradients",
    "gradcam": "Grad-CAM",
    "partition": "SHAP by regions",
    "deep": "SHAP by layers",
}
QUICK = ("shap", "integrated", "gradcam")

Progress = Callable[[int, int], None]


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
        Summed over colours; in logits, positive towards ALL. Grad-CAM's has no unit.

    Raises
    ------
    InputError
        If there is no such method, or it does not fit the model.
    """
    if method == "gradcam":
        return grad_cam(model, images, progress=progress)
    ways: dict[str, Callable[..., np.ndarray]] = {
        "integrated": integrated_gradients,
        "partition": shap_partition,
        "deep": shap_deep,
    }
    if method == "shap":
        values = shap_gradient(model, images, background, seed=seed, progress=progress)
    elif method in ways:
        values = ways[method](model, images, background, progress=progress)
    else:
        raise InputError(f"Method {method!r} is not known; choose from {', '.join(METHODS)}.")
    return values.sum(axis=-1)


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


def expected_sum(
    method: str, model: keras.Model, images: np.ndarray, background: np.ndarray
) -> np.ndarray | None:
    """Tell to what the attributions of each image should add up; None for Grad-CAM.

    SHAP by gradients and by layers starts from the mean logit of the background,
    the other methods from the logit of its mean picture.
    """
    if method == "gradcam":
        return None
    if method in ("shap", "deep"):
        return logits(model, images) - logits(model, background).mean()
    return logits(model, images) - logits(model, _mean_picture(background)[None])[0]


def _mean_picture(background: np.ndarray) -> np.ndarray:
    return np.asarray(background, np.float32).mean(axis=0)


def grad_cam(
    model: keras.Model,
    images: np.ndarray,
    layer_name: str | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """Map which places speak for ALL, by Grad-CAM.

    Each feature map is weighted by how much the logit grows with it, and the weighted
    maps are added up. What speaks for HEM is cut off at 0.

    Parameters
    ----------
    model : keras.Model
        A model with a layer named ``logit``.
    images : array of shape (n, height, width, 3)
        RGB values 0 to 255.
    layer_name : str, optional
        The layer whose feature maps are used; by default the last convolution, taken
        after its normalisation and ReLU (see :func:`last_feature_layer`).
    progress : callable, optional
        Called with the number of images done and in all.

    Returns
    -------
    float32 array of shape (n, height, width)
        At least 0, not normalised. The maps are as coarse as the layer and enlarged.

    Raises
    ------
    InputError
        If the model has no such layer or no convolution.

    References
    ----------
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", ICCV 2017.
    """
    layer = last_feature_layer(model) if layer_name is None else _layer(model, layer_name)
    both = keras.Model(model.input, [layer.output, logit_model(model).output])
    maps = []
    for start in range(0, len(images), BATCH):
        batch = tf.constant(images[start : start + BATCH], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(batch)  # so that a frozen model is recorded, too
            features, logits = both(batch, training=False)
        # How much does the logit grow with each feature, on average over all places?
        weights = tf.reduce_mean(tape.gradient(logits, features), axis=(1, 2), keepdims=True)
        map_ = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1, keepdims=True))
        maps.append(tf.image.resize(map_, images.shape[1:3], method="bilinear")[..., 0])
        _advance(progress, start + len(batch), len(images))
    return np.concatenate(maps)


def last_feature_layer(model: keras.Model) -> keras.layers.Layer:
    """Find the last layer whose maps are as wide and high as the last convolution's.

    A convolution without bias has no zero of its own: normalisation and ReLU, which
    follow and keep its places, decide when a feature counts as present. Networks that stand
    side by side (:func:`leukhelpers.models.networks.join`) are looked at where they are joined.

    Parameters
    ----------
    model : keras.Model
        A functional or sequential model.

    Returns
    -------
    keras.layers.Layer
        In :func:`leukhelpers.models.networks.build_cnn` the last ReLU.

    Raises
    ------
    InputError
        If the model has no convolution.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    if not convolutions:
        raise InputError("Grad-CAM needs a model with a convolution; this one has none.")
    places = convolutions[-1].output.shape[:3]
    with_maps = [layer for layer in model.layers if len(layer.output.shape) == 4]
    return [layer for layer in with_maps if layer.output.shape[:3] == places][-1]


def shap_gradient(
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    n_samples: int = 200,
    seed: int = 0,
    progress: Progress | None = None,
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
    progress : callable, optional
        Called with the number of images done and in all.

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
    images, background = _checked(images, background)
    found = []
    state = np.random.get_state()  # shap seeds numpy's global generator
    try:
        with _quiet():
            import shap  # here, because it is slow to import and Grad-CAM does without

            explainer = shap.GradientExplainer(logit_model(model), background)
            for done, image in enumerate(images, start=1):
                values = explainer.shap_values(image[None], nsamples=n_samples, rseed=seed)
                # One output may come as a list of one, or as a last axis of length one.
                found.append(values[0] if isinstance(values, list) else values)
                _advance(progress, done, len(images))
    finally:
        np.random.set_state(state)
    return np.array(found, dtype=np.float32).reshape(images.shape)


def integrated_gradients(
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    n_steps: int = 32,
    progress: Progress | None = None,
) -> np.ndarray:
    """Attribute the logit to every pixel and channel, along the way from the mean picture.

    Nothing is drawn at random: the picture is faded in from the mean of the background,
    and what each pixel adds to the logit on the way is added up.

    Parameters
    ----------
    model : keras.Model
        A model of two classes with a layer named ``logit``.
    images : array of shape (n, height, width, 3)
        RGB values 0 to 255.
    background : array of shape (m, height, width, 3)
        Training cells.
    n_steps : int, default 32
        Points on the way.
    progress : callable, optional
        Called with the number of images done and in all.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        In logits, positive towards ALL. They add up, nearly, to the logit minus that of
        the mean picture.

    Raises
    ------
    InputError
        If images and background differ in shape or the background is empty.

    References
    ----------
    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
    """
    images, background = _checked(images, background)
    start, network = _mean_picture(background), logit_model(model)
    shares = ((np.arange(n_steps) + 0.5) / n_steps).astype(np.float32)[:, None, None, None]

    @tf.function
    def slopes(points: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(points)
            answers = network(points, training=False)
        return tape.gradient(answers, points)

    found = np.zeros(images.shape, np.float32)
    for index, image in enumerate(images):
        points = start + shares * (image - start)
        steps = [slopes(tf.constant(points[i : i + BATCH])) for i in range(0, n_steps, BATCH)]
        found[index] = np.concatenate(steps).mean(axis=0) * (image - start)
        _advance(progress, index + 1, len(images))
    return found


def shap_partition(
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    n_evaluations: int = 500,
    progress: Progress | None = None,
) -> np.ndarray:
    """Attribute the logit to regions, by hiding them; asks for answers only, no gradients.

    The picture is cut in two, and again, where it matters; what is hidden shows the
    background's mean picture. Pixels of a region that was cut no further share alike.

    Parameters
    ----------
    model, images, background, progress
        As in :func:`integrated_gradients`.
    n_evaluations : int, default 500
        How often the network is asked for an image; more give smaller regions.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        In logits, positive towards ALL. They add up to the logit minus that of the mean
        picture, exactly.

    References
    ----------
    Owen values, by ``shap.PartitionExplainer`` (Lundberg and Lee, NeurIPS 2017).
    """
    images, background = _checked(images, background)
    network, found = logit_model(model), []

    def answer(shown: np.ndarray) -> np.ndarray:
        return network.predict(np.asarray(shown, np.float32), batch_size=2 * BATCH, verbose=0)[:, 0]

    with _quiet():
        import shap

        # An array as a mask: shap's own blurs and fills would need OpenCV.
        masker = shap.maskers.Image(_mean_picture(background), images.shape[1:])
        explainer = shap.PartitionExplainer(answer, masker)
        for done, image in enumerate(images, start=1):
            told = explainer(
                image[None], max_evals=n_evaluations, batch_size=2 * BATCH, silent=True
            )
            found.append(told.values)
            _advance(progress, done, len(images))
    return np.array(found, dtype=np.float32).reshape(images.shape)


def shap_deep(
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    progress: Progress | None = None,
) -> np.ndarray:
    """Attribute the logit by DeepLIFT's rules, layer by layer, in a process of its own.

    ``shap.DeepExplainer`` changes how TensorFlow takes gradients, and where it meets a
    layer that it does not know it leaves that changed: every later model of the process
    fails. So it works in a process that ends with it.

    Parameters
    ----------
    model, images, background, progress
        As in :func:`integrated_gradients`.

    Returns
    -------
    float32 array of shape (n, height, width, 3)
        In logits, positive towards ALL. They add up to the logit minus the mean logit of
        the background.

    Raises
    ------
    InputError
        If the network has a layer for which there is no rule, or the values do not add up.

    References
    ----------
    Shrikumar, Greenside and Kundaje, "Learning Important Features Through Propagating
    Activation Differences", ICML 2017; computed by ``shap.DeepExplainer``.
    """
    images, background = _checked(images, background)
    logit_model(model)  # refuses a model that has no one logit, before a process is started
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / "model.keras")
        np.savez(folder / "cells.npz", images=images, background=background)
        command = [sys.executable, "-m", "leukhelpers.explain._deepshap", str(folder)]
        status = subprocess.run(command, capture_output=True).returncode
        if status:
            note = folder / "error.txt"
            told = note.read_text("utf-8") if note.is_file() else f"it ended with status {status}"
            raise InputError(f"SHAP's DeepExplainer does not fit this network ({told}).")
        values = np.load(folder / "values.npy")
    _advance(progress, len(images), len(images))
    return values.reshape(images.shape)


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
        If the features differ, or the model knows more than two classes.

    References
    ----------
    Lundberg et al., "From local explanations to global understanding with explainable AI
    for trees", Nature Machine Intelligence 2020; Lundberg and Lee, NeurIPS 2017.
    """
    if len(background) == 0 or list(measured.columns) != list(background.columns):
        raise InputError("Cells and background need the same features, and a background cell.")
    if len(model.classes_) != 2:
        raise InputError("Only models of two classes are explained; this one has more.")
    rows, known = measured.to_numpy(), background.to_numpy()
    state = np.random.get_state()
    try:
        np.random.seed(seed)
        with _quiet():
            import shap

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
    finally:
        np.random.set_state(state)
    return FeatureShares(pd.DataFrame(values, columns=measured.columns), base, unit)


def _checked(images: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float32, or refuse cells that cannot be compared."""
    images = np.asarray(images, dtype=np.float32)
    background = np.asarray(background, dtype=np.float32)
    if len(background) == 0 or images.shape[1:] != background.shape[1:]:
        raise InputError(
            f"The background must be cells of shape {images.shape[1:]}, "
            f"but it has the shape {background.shape}."
        )
    return images, background


def _advance(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)


def _layer(model: keras.Model, name: str) -> keras.layers.Layer:
    """Get a layer by its name, or say which names there are."""
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise InputError(f"The model has no layer {name!r}; it has {', '.join(names)}.")
    return model.get_layer(name)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what shap and TensorFlow print while explaining from the reader."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
