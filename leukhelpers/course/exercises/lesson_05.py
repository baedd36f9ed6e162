"""Checks of the exercises of lesson 05 that ask for code."""

from typing import Any

import numpy as np

from leukhelpers.course.exercises import call, hint

BLOCK = ["Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"]


def add_block(answer: Any) -> None:
    """Check a block of convolution, batch normalization, ReLU and max pooling."""
    from leukhelpers.backend import keras

    inputs = keras.Input((32, 32, 6))
    outputs = call(answer, inputs, 12)
    hint("no_tensor", not isinstance(outputs, keras.KerasTensor))
    made = keras.Model(inputs, outputs).layers[1:]
    kinds = [_kind(layer) for layer in made]
    hint("no_convolution", "Conv2D" not in kinds)
    convolution = made[kinds.index("Conv2D")]
    hint("early_activation", convolution.activation is not keras.activations.linear)
    missing = [kind for kind in BLOCK if kind not in kinds]
    hint("missing", missing, layers=", ".join(missing))
    hint("order", kinds != BLOCK, found=", ".join(kinds), right=", ".join(BLOCK))
    hint("filters", convolution.filters != 12)
    hint("kernel", convolution.kernel_size != (3, 3))
    hint("padding", convolution.padding != "same" or convolution.strides != (1, 1))
    hint("bias", convolution.use_bias)
    hint("pooling", outputs.shape[1:] != (16, 16, 12))


def _kind(layer: Any) -> str:
    """Name the kind of a layer; Activation("relu") is as good as ReLU."""
    kind = type(layer).__name__
    return "ReLU" if kind == "Activation" and layer.activation.__name__ == "relu" else kind


def stop_early(answer: Any) -> None:
    """Check the settings of early stopping."""
    from leukhelpers.backend import keras

    stop = call(answer)
    hint("no_early_stopping", not isinstance(stop, keras.callbacks.EarlyStopping))
    hint("monitor", stop.monitor != "val_loss", monitor=stop.monitor)
    hint("patience", stop.patience != 3, patience=stop.patience)
    hint("last_epoch", not stop.restore_best_weights)


def class_weights(answer: Any) -> None:
    """Check weights that make each class count as much as any other."""
    for counts in ([100, 300], [60, 20, 40]):
        classes = np.arange(len(counts))
        labels = np.random.default_rng(0).permutation(np.repeat(classes, counts))
        found = call(answer, labels)
        hint("no_dictionary", not isinstance(found, dict))
        hint("keys", sorted(found) != classes.tolist(), classes=len(counts), last=classes[-1])
        weights = np.array([found[label] for label in classes], float)
        right = len(labels) / (len(counts) * np.array(counts))
        hint("rarer_class", np.all(np.diff(weights[np.argsort(counts)]) > 0))
        wrong = not np.allclose(weights, right, rtol=0.01)
        hint("size", wrong and np.allclose(weights / weights[0], right / right[0], rtol=0.01))
        hint("otherwise", wrong, counts=counts, right=np.round(right, 2).tolist())
