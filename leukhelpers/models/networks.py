"""The network of the course, untrained, and what is done to networks."""

import math
from typing import Any

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError

layers = keras.layers

FILTERS = (24, 48, 96, 128)
ROTATIONS = 4  # quarter turns
SHRINKS = 16  # the first convolution and three poolings halve the picture four times


def build_cnn(image_size: int = 64, seed: int = 0, n_classes: int = 2) -> keras.Model:
    """Build the network of the course, untrained.

    Four blocks of convolution, batch normalization and ReLU, with max pooling between them; then
    the mean over all places, dropout, one dense unit and a sigmoid. About 0.17 million
    weights. More than two classes have a dense unit each, and a softmax. Lesson 05 types it
    layer by layer.

    Parameters
    ----------
    image_size : int, default 64
        Edge of the square images, in pixels; at least 32.
    seed : int, default 0
        The same seed gives the same initial weights.
    n_classes : int, default 2
        Number of classes.

    Returns
    -------
    keras.Model
        Takes RGB values 0 to 255, uint8 or float, of shape (n, size, size, 3);
        gives P(ALL), float32, of shape (n, 1); of more than two classes the
        probability of each, of shape (n, n_classes). The scaling to 0 to 1 happens inside,
        so that nobody can scale twice or forget to.

    Raises
    ------
    InputError
        If `image_size` is below 32, or `n_classes` below 2.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> network = lk.build_cnn(64)
    >>> network.count_params()
    165545
    """
    if n_classes < 2:
        raise InputError(f"A network needs at least 2 classes, not {n_classes}.")
    if image_size < 2 * SHRINKS:
        raise InputError(f"image_size must be at least {2 * SHRINKS}, not {image_size}.")
    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    x = layers.Rescaling(1 / 255, name="rescaling")(inputs)
    for block, filters in enumerate(FILTERS, start=1):
        first, last = block == 1, block == len(FILTERS)
        x = layers.Conv2D(
            filters,
            kernel_size=5 if first else 3,
            strides=2 if first else 1,  # most of the work is in the first block: a quarter of it
            padding="same",
            use_bias=False,  # the normalization that follows has its own
            kernel_initializer=keras.initializers.HeNormal(seed=seed + 100 * block),
            name=f"conv{block}",
        )(x)
        # Keras' own momentum of 0.99 needs hundreds of steps to learn means and
        # variances; a short training has not that many.
        x = layers.BatchNormalization(momentum=0.9, name=f"norm{block}")(x)
        x = layers.ReLU(name=f"relu{block}")(x)
        if not last:
            x = layers.MaxPooling2D(name=f"pool{block}")(x)
    return keras.Model(inputs, classify(x, 0.3, seed, n_classes), name="cnn")


def classify(maps: keras.KerasTensor, dropout: float, seed: int, n_classes: int) -> Any:
    """Put behind feature maps what every network ends with: the mean, a dense layer, a probability.

    Logit and sigmoid are separate layers because explanations start at the logit.
    """
    # The mean over all places: where in the image a feature lies does not matter.
    x = layers.GlobalAveragePooling2D(name="mean")(maps)
    x = layers.Dropout(dropout, seed=seed, name="dropout")(x)
    units, activation = (1, "sigmoid") if n_classes == 2 else (n_classes, "softmax")
    initializer = keras.initializers.GlorotUniform(seed=seed)
    x = layers.Dense(units, kernel_initializer=initializer, name="logit")(x)
    return layers.Activation(activation, name="probability")(x)


def average_rotations(trained: keras.Model) -> keras.Model:
    """Make a network that averages its predictions over four quarter turns of the image.

    A cell on a slide has no up, yet the prediction changes a little when it is turned. One
    shared core sees the image in all four positions; its feature maps are turned back and
    averaged. What follows is linear up to the logit, so the logit is the mean of four.

    Parameters
    ----------
    trained : keras.Model
        From :func:`build_cnn`, square images.

    Returns
    -------
    keras.Model
        Same input and output, the same number of weights; its averaged feature maps are the
        layer ``maps``.
    """
    last_maps = trained.layers.index(trained.get_layer(f"relu{len(FILTERS)}"))
    core = keras.Model(trained.input, trained.layers[last_maps].output, name="core")
    inputs = keras.Input(trained.input_shape[1:], name="pixels")
    turned = [core(keras.ops.rot90(inputs, k, axes=(1, 2))) for k in range(ROTATIONS)]
    back = [keras.ops.rot90(maps, -k, axes=(1, 2)) for k, maps in enumerate(turned)]
    x = layers.Average(name="maps")(back)
    for layer in trained.layers[last_maps + 1 :]:
        x = type(layer).from_config(layer.get_config())(x)
    averaged = keras.Model(inputs, x, name="cnn")
    put_logit(averaged, *trained.get_layer("logit").get_weights())
    return averaged


def leaf_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """List the layers of a model, those of models inside it among them."""
    found = []
    for layer in model.layers:
        found += leaf_layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def put_logit(model: keras.Model, weights: np.ndarray, bias: np.ndarray) -> None:
    """Set the last layer of a network.

    Parameters
    ----------
    model : keras.Model
        With a dense layer named ``logit``; changed in place.
    weights : float array of shape (n_features, n_outputs)
    bias : float array of shape (n_outputs,)
    """
    model.get_layer("logit").set_weights([np.asarray(weights), np.asarray(bias)])


def multiply_adds(model: keras.Model) -> int:
    """Count the multiplications of one image's way through a network.

    Counted are convolutions and dense layers; what else there is costs little. As the
    literature does, a multiplication with its addition counts once.

    Parameters
    ----------
    model : keras.Model
        Of one input picture.
    """
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):  # the core of average_rotations
            total += ROTATIONS * multiply_adds(layer)
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            total += math.prod(layer.output.shape[1:3]) * math.prod(layer.kernel.shape)
        elif isinstance(layer, keras.layers.Dense):
            total += math.prod(layer.kernel.shape)
    return total


def logit_model(model: keras.Model) -> keras.Model:
    """Cut the sigmoid off a model.

    A logit adds up where a probability saturates: at P = 0.999 hardly anything in
    the image still changes P. Explanations therefore explain the logit. Positive
    logits speak for ALL, negative ones for HEM.

    Parameters
    ----------
    model : keras.Model
        A model with a layer named ``logit``, such as that of :func:`build_cnn`.

    Returns
    -------
    keras.Model
        Same input and the same (shared) weights; output the logit, shape (n, 1).

    Raises
    ------
    InputError
        If the model has no such layer, or tells more than two classes apart: then
        there is no one logit to explain.
    """
    if "logit" not in [layer.name for layer in model.layers]:
        raise InputError("The model has no layer named 'logit'; name its last dense layer so.")
    if model.get_layer("logit").output.shape[-1] != 1:
        raise InputError("Only networks of two classes are explained; this one has more.")
    return keras.Model(model.input, model.get_layer("logit").output, name="logit_model")
