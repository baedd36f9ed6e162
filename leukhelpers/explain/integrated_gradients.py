"""Integrated gradients, from the mean picture to the cell."""

import numpy as np

from leukhelpers.backend import keras, tf
from leukhelpers.explain.common import checked_images
from leukhelpers.models.networks import logit_model

N_STEPS = 32  # from the mean picture to the cell, each sampled in its middle


def integrated_gradients(
    model: keras.Model, images: np.ndarray, background: np.ndarray
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
    images, background = checked_images(images, background)
    start, network = background.mean(axis=0), logit_model(model)
    shares = ((np.arange(N_STEPS) + 0.5) / N_STEPS).astype(np.float32)[:, None, None, None]

    @tf.function
    def slopes(points: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(points)
            answers = network(points, training=False)
        return tape.gradient(answers, points)

    found = np.zeros(images.shape, np.float32)
    for index, image in enumerate(images):
        points = tf.constant(start + shares * (image - start))
        found[index] = slopes(points).numpy().mean(axis=0) * (image - start)
    return found
