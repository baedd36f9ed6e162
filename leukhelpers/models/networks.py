"""The network of the course, untrained, and what is done to networks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from leukhelpers.backend import keras
from leukhelpers.errors import InputError

FILTERS = (24, 48, 96, 128)
SHRINKS = 16  # the first convolution and three poolings halve the picture four times


def build_cnn(
    image_size: int = 96, seed: int = 0, n_classes: int = 2, networks: int = 1
) -> keras.Model:
    """Build the kind of network that the paper describes, untrained.

    Four blocks of convolution, batch normalization, ReLU and max pooling; then
    dropout, one dense unit and a sigmoid. About 0.17 million weights. More than two
    classes have a dense unit each, and a softmax.

    Parameters
    ----------
    image_size : int, default 96
        Edge of the square images, in pixels; at least 32.
    seed : int, default 0
        The same seed gives the same initial weights.
    n_classes : int, default 2
        Number of classes.
    networks : int, default 1
        How many such networks stand side by side, with one last layer for all: what
        :func:`join` makes of networks that were trained one by one.

    Returns
    -------
    keras.Model
        Takes RGB values 0 to 255, uint8 or float, of shape (n, size, size, 3);
        gives P(ALL), float32, of shape (n, 1); of more than two classes the
        probability of each, of shape (n, n_classes). The scaling to 0 … 1 happens inside,
        so whoever feeds the model cannot scale twice or forget to.

    Raises
    ------
    InputError
        If `image_size` is below 32, or `n_classes` below 2.
    """
    if n_classes < 2:
        raise InputError(f"A network tells at least 2 classes apart, not {n_classes}.")
    if image_size < 2 * SHRINKS:
        raise InputError(f"image_size must be at least {2 * SHRINKS}, not {image_size}.")
    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    scaled = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)
    maps = [_blocks(scaled, seed, _prefix(number)) for number in range(networks)]
    x = maps[0] if networks == 1 else keras.layers.Concatenate(name="maps")(maps)
    # The mean over all places: where in the image a feature lies does not matter.
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dropout(0.3, seed=seed, name="dropout")(x)
    # Logit and sigmoid are separate layers because explanations start at the logit.
    units, activation = (1, "sigmoid") if n_classes == 2 else (n_classes, "softmax")
    initializer = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Dense(units, kernel_initializer=initializer, name="logit")(x)
    outputs = keras.layers.Activation(activation, name="probability")(x)
    return keras.Model(inputs, outputs, name="cnn")


def _blocks(x: keras.KerasTensor, seed: int, prefix: str) -> keras.KerasTensor:
    """Lay out the blocks of one network: from scaled pixels to feature maps."""
    for block, filters in enumerate(FILTERS, start=1):
        first, last = block == 1, block == len(FILTERS)
        x = keras.layers.Conv2D(
            filters,
            kernel_size=5 if first else 3,
            strides=2 if first else 1,  # most of the work is in the first block: a quarter of it
            padding="same",
            use_bias=False,  # the normalization that follows has its own
            kernel_initializer=keras.initializers.HeNormal(seed=seed + 100 * block),
            name=f"{prefix}conv{block}",
        )(x)
        # Keras' own momentum of 0.99 needs hundreds of steps to learn means and
        # variances; a short training has not that many.
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"{prefix}norm{block}")(x)
        x = keras.layers.ReLU(name=f"{prefix}relu{block}")(x)
        if not last:
            x = keras.layers.MaxPooling2D(name=f"{prefix}pool{block}")(x)
    return x


def _prefix(number: int) -> str:
    """Name the layers of the first network plainly, those of the others by number."""
    return f"network{number + 1}_" if number else ""


def join(trained: Sequence[keras.Model]) -> keras.Model:
    """Make one network of several, or of turned copies of one.

    The mean of their logits is a weighted sum of all their features, that is, again a
    network with one last layer. So an ensemble can be saved, explained and exported as any
    other model. (Of more than two classes the softmax is taken of the mean, too.)

    Parameters
    ----------
    trained : sequence of keras.Model
        Each from :func:`build_cnn`, of the same size and classes.

    Returns
    -------
    keras.Model
        The network itself if there is only one.
    """
    if len(trained) == 1:
        return trained[0]
    first = trained[0]
    n_classes = max(2, first.output_shape[-1])
    joined = build_cnn(first.input_shape[1], 0, n_classes, len(trained))
    for number, network in enumerate(trained):
        for layer in network.layers:
            if layer.weights and layer.name != "logit":
                joined.get_layer(_prefix(number) + layer.name).set_weights(layer.get_weights())
    kernels, biases = zip(*(n.get_layer("logit").get_weights() for n in trained), strict=True)
    put_logit(joined, np.concatenate(kernels) / len(trained), np.mean(biases, axis=0))
    return joined


def turn(trained: keras.Model, quarters: int = 1) -> keras.Model:
    """Make the network that sees the world some quarter turns later.

    A cell on a slide has no up, yet the answer changes a little when it is turned. To turn
    every kernel of a network is to turn its picture the other way round (but for a pixel
    where a stride or a pooling starts to count). So :func:`join` can average the answers to
    a cell and to the turned cell in one plain network.

    Parameters
    ----------
    trained : keras.Model
        From :func:`build_cnn`.
    quarters : int, default 1
        Quarter turns.

    Returns
    -------
    keras.Model
        A new network; the given one stays as it is.
    """
    turned = keras.models.clone_model(trained)
    for old, new in zip(trained.layers, turned.layers, strict=True):
        weights = old.get_weights()
        if isinstance(old, keras.layers.Conv2D):
            weights[0] = np.rot90(weights[0], quarters)
        new.set_weights(weights)
    return turned


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
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
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
