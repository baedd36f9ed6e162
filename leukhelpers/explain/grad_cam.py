"""Grad-CAM: which places of the last feature maps speak for the answer."""

from __future__ import annotations

import numpy as np

from leukhelpers.backend import keras, tf
from leukhelpers.errors import InputError
from leukhelpers.explain.common import BATCH, Progress, report_progress
from leukhelpers.models.networks import leaf_layers, logit_model


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
        after its normalization and ReLU (see :func:`last_feature_layer`).
    progress : callable, optional
        Called with the number of images done and in all.

    Returns
    -------
    float32 array of shape (n, height, width)
        At least 0, not normalized. The maps are as coarse as the layer and enlarged.

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
        report_progress(progress, start + len(batch), len(images))
    return np.concatenate(maps)


def last_feature_layer(model: keras.Model) -> keras.layers.Layer:
    """Find the last layer with feature maps: where Grad-CAM looks.

    A convolution without bias has no zero of its own: normalization and ReLU, which follow,
    decide when a feature counts as present, so the last such layer is taken.

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
    if not any(isinstance(layer, keras.layers.Conv2D) for layer in leaf_layers(model)):
        raise InputError("Grad-CAM needs a model with a convolution; this one has none.")
    return [layer for layer in model.layers if len(layer.output.shape) == 4][-1]


def _layer(model: keras.Model, name: str) -> keras.layers.Layer:
    """Get a layer by its name, or say which names there are."""
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise InputError(f"The model has no layer {name!r}; it has {', '.join(names)}.")
    return model.get_layer(name)
