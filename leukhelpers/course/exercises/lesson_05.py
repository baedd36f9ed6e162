"""Checks of the exercises of lesson 05 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

NO_FUNCTION = "Write a function and hand it over by its name, without brackets."
NOTHING = "The function returns nothing yet; end it with return."
BLOCK = ["Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"]


def _add_block(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    from leukhelpers.backend import keras

    inputs = keras.Input((32, 32, 6))
    outputs = answer(inputs, 12)
    if outputs is None:
        return NOTHING
    if not isinstance(outputs, keras.KerasTensor):
        return "Return the result of the last layer, not the layer: layers.MaxPooling2D()(x)."
    made = keras.Model(inputs, outputs).layers[1:]
    found = [_kind(layer) for layer in made]
    if "Conv2D" not in found:
        return "The convolution is missing, or its result is not used by the next layer."
    convolution = made[found.index("Conv2D")]
    if convolution.activation is not keras.activations.linear:
        return "ReLU should come after the normalization; leave activation out of Conv2D."
    missing = [name for name in BLOCK if name not in found]
    if missing:
        return f"A layer is missing, or its result is not used: {', '.join(missing)}."
    if found != BLOCK:
        return f"Found the layers {', '.join(found)}; the order is {', '.join(BLOCK)}."
    if convolution.filters != 12:
        return "The number of filters should be the argument filters."
    if convolution.kernel_size != (3, 3):
        return "The filters should be 3×3: the second argument of Conv2D is 3."
    if convolution.padding != "same" or convolution.strides != (1, 1):
        return 'The convolution should keep height and width: padding="same".'
    if convolution.use_bias:
        return "The convolution needs no bias: use_bias=False."
    if outputs.shape[1:] != (16, 16, 12):
        return "Max pooling should halve height and width; its default settings do."
    return None


def _kind(layer: Any) -> str:
    """Name the kind of a layer; Activation("relu") is as good as ReLU."""
    kind = type(layer).__name__
    return "ReLU" if kind == "Activation" and layer.activation.__name__ == "relu" else kind


def _stop_early(answer: Any) -> str | None:
    from leukhelpers.backend import keras

    if isinstance(answer, keras.callbacks.EarlyStopping) or not callable(answer):
        return NO_FUNCTION
    stop = answer()
    if stop is None:
        return NOTHING
    if not isinstance(stop, keras.callbacks.EarlyStopping):
        return "Return a keras.callbacks.EarlyStopping."
    if stop.monitor != "val_loss":
        return f"It watches {stop.monitor}; the validation loss is called val_loss."
    if stop.patience != 3:
        return f"Its patience is {stop.patience}; it should wait for 3 epochs."
    if not stop.restore_best_weights:
        return "It keeps the weights of the last epoch; set restore_best_weights=True."
    return None


def _class_weights(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    for counts in ([100, 300], [60, 20, 40]):
        labels = np.repeat(np.arange(len(counts)), counts)
        found = answer(np.random.default_rng(0).permutation(labels))
        if found is None:
            return NOTHING
        if not isinstance(found, dict):
            return "Return a dictionary: {0: weight of class 0, 1: weight of class 1}."
        if sorted(found) != list(range(len(counts))):
            return f"With {len(counts)} classes the keys should be 0 to {len(counts) - 1}."
        weights = np.array([found[label] for label in range(len(counts))], float)
        share = np.array(counts) / sum(counts)
        right = 1 / (len(counts) * share)
        if np.allclose(weights, right, rtol=0.01):
            continue
        if np.all(np.diff(weights[np.argsort(counts)]) > 0):
            return "The rarer class should weigh more, not less."
        if np.allclose(weights / weights[0], right / right[0], rtol=0.01):
            return "The ratio is right, the size is not: number of cells / (classes × count)."
        return f"For {counts} cells the weights should be {np.round(right, 2).tolist()}."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "05.1": _add_block,
    "05.2": _stop_early,
    "05.3": _class_weights,
}
