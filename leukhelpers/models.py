"""Untrained models: the convolutional network of the course, and the cell's area alone."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from leukhelpers.backend import keras
from leukhelpers.cells import InputError

MODEL_NAMES = ("cnn", "area")

FILTERS = (12, 24, 48, 96, 192)


def build_cnn(image_size: int = 96, seed: int = 0, n_classes: int = 2) -> keras.Model:
    """Build the kind of network that the paper describes, untrained.

    Five blocks of convolution, batch normalisation, ReLU and max pooling; then
    dropout, one dense unit and a sigmoid. About 0.22 million weights. More than two
    classes have a dense unit each, and a softmax.

    Parameters
    ----------
    image_size : int, default 96
        Edge of the square images, in pixels; at least 32, because five poolings
        halve it five times.
    seed : int, default 0
        The same seed gives the same initial weights.
    n_classes : int, default 2
        Number of classes.

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
    if image_size < 2 ** len(FILTERS):
        raise InputError(f"image_size must be at least {2 ** len(FILTERS)}, not {image_size}.")
    inputs = keras.Input((image_size, image_size, 3), name="pixels")
    x = keras.layers.Rescaling(1 / 255, name="rescaling")(inputs)
    for block, filters in enumerate(FILTERS, start=1):
        x = keras.layers.Conv2D(
            filters,
            kernel_size=3,
            padding="same",
            use_bias=False,  # the normalisation that follows has its own
            kernel_initializer=keras.initializers.HeNormal(seed=seed + 100 * block),
            name=f"conv{block}",
        )(x)
        # Keras' own momentum of 0.99 needs hundreds of steps to learn means and
        # variances; a short training has not that many.
        x = keras.layers.BatchNormalization(momentum=0.9, name=f"norm{block}")(x)
        x = keras.layers.ReLU(name=f"relu{block}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x)
    # The mean over all places: where in the image a feature lies does not matter.
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dropout(0.3, seed=seed, name="dropout")(x)
    # Logit and sigmoid are separate layers because explanations start at the logit.
    units, activation = (1, "sigmoid") if n_classes == 2 else (n_classes, "softmax")
    initializer = keras.initializers.GlorotUniform(seed=seed)
    x = keras.layers.Dense(units, kernel_initializer=initializer, name="logit")(x)
    outputs = keras.layers.Activation(activation, name="probability")(x)
    return keras.Model(inputs, outputs, name="cnn")


def build_area() -> Pipeline:
    """Build the baseline that sees one number, the cell's area.

    Returns
    -------
    sklearn.pipeline.Pipeline
        A scaler and a logistic regression (multinomial for more than two classes) in
        which all classes weigh the same; untrained. Feed it areas of shape (n, 1).
    """
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


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
