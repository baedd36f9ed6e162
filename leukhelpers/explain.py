"""Where a model looks, and whether an explanation deserves trust.

Everything explains the logit: positive means towards ALL, negative towards HEM.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from leukhelpers.backend import keras, tf
from leukhelpers.cells import InputError
from leukhelpers.features import cell_mask
from leukhelpers.models import logit_model

BATCH = 32


def grad_cam(model: keras.Model, images: np.ndarray, layer_name: str | None = None) -> np.ndarray:
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
    return np.concatenate(maps)


def last_feature_layer(model: keras.Model) -> keras.layers.Layer:
    """Find the last layer that still has the shape of the last convolution's output.

    A convolution without bias has no zero of its own: normalisation and ReLU, which
    follow and keep its shape, decide when a feature counts as present.

    Parameters
    ----------
    model : keras.Model
        A functional or sequential model.

    Returns
    -------
    keras.layers.Layer
        In :func:`leukhelpers.models.build_cnn` the last ReLU.

    Raises
    ------
    InputError
        If the model has no convolution.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    if not convolutions:
        raise InputError("Grad-CAM needs a model with a convolution; this one has none.")
    shape = convolutions[-1].output.shape
    return [layer for layer in model.layers if layer.output.shape == shape][-1]


def shap_gradient(
    model: keras.Model,
    images: np.ndarray,
    background: np.ndarray,
    n_samples: int = 100,
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
    n_samples : int, default 100
        Points an image, each on the way from a random background cell to the image.
    seed : int, default 0
        Seed of these points.

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
    images = np.asarray(images, dtype=np.float32)
    background = np.asarray(background, dtype=np.float32)
    if len(background) == 0 or images.shape[1:] != background.shape[1:]:
        raise InputError(
            f"The background must be cells of shape {images.shape[1:]}, "
            f"but it has the shape {background.shape}."
        )
    state = np.random.get_state()  # shap seeds numpy's global generator
    try:
        with _quiet():
            import shap  # here, because it is slow to import and Grad-CAM does without

            explainer = shap.GradientExplainer(logit_model(model), background)
            values = explainer.shap_values(images, nsamples=n_samples, rseed=seed)
    finally:
        np.random.set_state(state)
    # One output may come as a list of one, or as a last axis of length one.
    values = values[0] if isinstance(values, list) else values
    return np.asarray(values, dtype=np.float32).reshape(images.shape)


def randomise_weights(model: keras.Model, seed: int) -> keras.Model:
    """Copy a model and forget what it learned.

    An explanation that looks the same for a model that has learned nothing does not
    explain what a model has learned.

    Parameters
    ----------
    model : keras.Model
        Left as it is.
    seed : int
        Seed of the new weights.

    Returns
    -------
    keras.Model
        Same layers; kernels drawn anew (He et al. 2015), all else as in a new model.

    References
    ----------
    Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.
    """
    fresh = keras.models.clone_model(model)
    rng = np.random.default_rng(seed)
    # A clone starts from the initial weights of the original, whose seed it shares.
    for kernel in [weight for weight in fresh.weights if len(weight.shape) > 1]:
        fan_in = np.prod(kernel.shape[:-1])
        kernel.assign(rng.normal(0, np.sqrt(2 / fan_in), kernel.shape))
    return fresh


def rank_similarity(a: np.ndarray, b: np.ndarray, inside: np.ndarray | None = None) -> np.ndarray:
    """Correlate two sets of maps, pair by pair, by Spearman's rank correlation.

    Parameters
    ----------
    a, b : arrays of shape (n, ...)
        Maps of the same images.
    inside : bool array of shape (n, ...), optional
        The places that count, such as those of the cell; by default all.

    Returns
    -------
    float array of shape (n,)
        1 for the same order of places, 0 for unrelated, -1 for the reverse order;
        nan where a map is constant and has no order.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    _same_shape(np.shape(a), np.shape(b))
    inside = np.ones(np.shape(a), dtype=bool) if inside is None else inside
    _same_shape(np.shape(a), np.shape(inside))
    pairs = [
        [rankdata(map_[where]) for map_ in maps]
        for *maps, where in zip(np.asarray(a), np.asarray(b), inside, strict=True)
    ]
    centred = [[ranks - ranks.mean() for ranks in pair] for pair in pairs]
    covariance = np.array([(first * second).sum() for first, second in centred])
    norms = [np.sqrt((first**2).sum() * (second**2).sum()) for first, second in centred]
    return _ratio(covariance, np.array(norms))


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
    _same_shape(weight.shape, np.shape(masks))
    inside = (weight * np.asarray(masks, dtype=bool)).sum(axis=(1, 2))
    return _ratio(inside, weight.sum(axis=(1, 2)))


def black_share(attributions: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Measure how much of an explanation lies on the black background.

    Nothing is to be seen there but the outline's place: a large share says that the
    model goes by the cell's size and shape, or that the explanation is wrong.

    Parameters
    ----------
    attributions : array of shape (n, height, width) or (n, height, width, channels)
        Signed or not.
    images : array of shape (n, height, width, 3)
        The explained images.

    Returns
    -------
    float array of shape (n,)
        Share of the sum of absolute attributions, 0 to 1; nan where all are 0.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    return mask_share(attributions, ~cell_mask(images))


def _layer(model: keras.Model, name: str) -> keras.layers.Layer:
    """Get a layer by its name, or say which names there are."""
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise InputError(f"The model has no layer {name!r}; it has {', '.join(names)}.")
    return model.get_layer(name)


def _same_shape(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    if a != b:
        raise InputError(f"Maps of the same shape are needed, not {a} and {b}.")


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, and give nan where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)


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
