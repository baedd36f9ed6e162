"""Grad-CAM: which places of the last feature maps speak for the answer."""

import numpy as np

from leukhelpers.backend import keras, tf
from leukhelpers.errors import InputError
from leukhelpers.models.networks import leaf_layers, logit_model

BATCH = 32


def grad_cam(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Map which places speak for ALL, by Grad-CAM.

    Each feature map is weighted by how much the logit grows with it, and the weighted
    maps are added up. What speaks for HEM is cut off at 0. The feature maps are those of
    :func:`last_feature_layer`.

    Parameters
    ----------
    model : keras.Model
        A model with a layer named ``logit``.
    images : array of shape (n, height, width, 3)
        RGB values 0 to 255.

    Returns
    -------
    float32 array of shape (n, height, width)
        At least 0, not normalized. The maps are as coarse as the layer and enlarged.

    Raises
    ------
    InputError
        If the model has no layer ``logit`` or no convolution.

    References
    ----------
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
    Gradient-based Localization", ICCV 2017.
    """
    maps_and_logit = [last_feature_layer(model).output, logit_model(model).output]
    both = keras.Model(model.input, maps_and_logit)
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
