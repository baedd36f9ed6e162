"""Checks of the exercises of lesson 08 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

NO_FUNCTION = "Write a function and hand it over by its name, without brackets."
NOTHING = "The function returns nothing yet; end it with return."


def _backbone() -> Any:
    """Make a tiny backbone of two blocks; its maps have the shape (6, 6, 5)."""
    from leukhelpers.backend import keras  # loads TensorFlow, which few lessons need

    layers = keras.layers
    inputs = keras.Input((12, 12, 3))
    x = inputs
    for block, stride in (("block1", 2), ("block2", 1), ("block21", 1)):
        x = layers.Conv2D(5, 3, strides=stride, padding="same", name=f"{block}_conv")(x)
        x = layers.BatchNormalization(name=f"{block}_norm")(x)
        x = layers.ReLU(name=f"{block}_relu")(x)
    return keras.Model(inputs, x)


def _build_classifier(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    backbone, n_classes = _backbone(), 3
    model = answer(backbone, n_classes)
    if model is None:
        return NOTHING
    if not hasattr(model, "layers"):
        return "Return the model: keras.Model(inputs, outputs)."
    if len(model.output_shape) != 2:
        return "Average the maps before the dense layer: layers.GlobalAveragePooling2D()."
    if model.output_shape[-1] != n_classes:
        return "The dense layer needs one output per class: n_classes."
    head = model.count_params() - backbone.count_params()
    if head == (6 * 6 * 5 + 1) * n_classes:
        return "Flatten keeps every place; average the maps with GlobalAveragePooling2D."
    if head < 0:
        return "The images must go through the backbone: x = backbone(inputs)."
    if backbone.trainable_weights:
        return "The backbone can still learn: set backbone.trainable = False."
    if not model.trainable_weights:
        return "The head must learn: freeze the backbone only."
    if head != (5 + 1) * n_classes:
        return "One dense layer after the average is enough."
    rows = model.predict_on_batch(np.random.default_rng(0).uniform(0, 1, (4, 12, 12, 3)))
    if not np.allclose(np.sum(rows, axis=1), 1, atol=1e-3) or np.min(rows) < 0:
        return 'The outputs of an image must sum to 1: activation="softmax".'
    return None


def _unfreeze_blocks(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    backbone = _backbone()
    backbone.trainable = False
    answer(backbone, "block2_")
    owners = {
        layer.name: bool(layer.trainable_weights)
        for layer in backbone.layers
        if backbone.trainable and layer.weights
    }
    learning = {name for name, learns in owners.items() if learns}
    if not learning and any(layer.trainable_weights for layer in backbone.layers):
        return "The backbone as a whole is still frozen: set backbone.trainable = True first."
    if not learning:
        return "Nothing can learn yet; set backbone.trainable = True, then choose the layers."
    if "block2_conv" not in learning:
        return "The layers whose name starts with the prefix must learn."
    if learning == {"block2_conv", "block2_norm"}:
        return "Batch normalization can learn; freeze every BatchNormalization layer."
    if learning != {"block2_conv"}:
        return (
            f"These layers learn, but should not: {', '.join(sorted(learning - {'block2_conv'}))}."
        )
    return None


def _separable(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    for size, k, before, after in ((10, 3, 8, 16), (7, 5, 6, 4)):
        found = answer(size, k, before, after)
        if found is None:
            return NOTHING
        pixels = size * size
        depthwise, pointwise = pixels * k * k * before, pixels * before * after
        mistakes = {
            depthwise * after: "That is the full convolution; split it into two parts.",
            depthwise: "That is the depthwise part; add the 1 × 1 convolution.",
            pointwise: "That is the 1 × 1 convolution; add the depthwise part.",
            depthwise * pointwise: "The two parts follow each other: add, do not multiply.",
            k * k * before + before * after: "Those are the weights; each is used at every pixel.",
            depthwise
            + pixels * after: "The 1 × 1 convolution mixes all old maps for each new one.",
        }
        if np.isclose(float(found), depthwise + pointwise):
            continue
        for wrong, hint in mistakes.items():
            if np.isclose(float(found), wrong):
                return hint
        return "Add two parts: pixels × k × k × maps_in, and pixels × maps_in × maps_out."
    return None


CHECKS: dict[str, Callable[..., str | None]] = {
    "08.1": _build_classifier,
    "08.2": _unfreeze_blocks,
    "08.3": _separable,
}
