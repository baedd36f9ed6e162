"""Checks of the exercises of lesson 08 that ask for code."""

from typing import Any

import numpy as np

from leukhelpers.course.exercises import call, compare, hint, number


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


def build_classifier(answer: Any) -> None:
    """Check a frozen backbone with a head of average pooling and one dense layer."""
    backbone, n_classes = _backbone(), 3
    model = call(answer, backbone, n_classes)
    hint("no_model", not hasattr(model, "layers"))
    hint("no_pooling", len(model.output_shape) != 2)
    hint("outputs", model.output_shape[-1] != n_classes)
    head = model.count_params() - backbone.count_params()
    hint("flatten", head == (6 * 6 * 5 + 1) * n_classes)
    hint("no_backbone", head < 0)
    hint("not_frozen", backbone.trainable_weights)
    hint("all_frozen", not model.trainable_weights)
    hint("more_layers", head != (5 + 1) * n_classes)
    rows = model.predict_on_batch(np.random.default_rng(0).uniform(0, 1, (4, 12, 12, 3)))
    hint("softmax", not np.allclose(np.sum(rows, axis=1), 1, atol=1e-3) or np.min(rows) < 0)


def unfreeze_blocks(answer: Any) -> None:
    """Check that only the convolution of the named block can learn."""
    hint("function", not callable(answer))
    backbone = _backbone()
    backbone.trainable = False
    answer(backbone, "block2_")
    learning = {layer.name for layer in backbone.layers if layer.trainable_weights}
    hint("nothing_learns", not learning)
    hint("whole_frozen", not backbone.trainable)
    hint("block_frozen", "block2_conv" not in learning)
    hint("normalization", learning == {"block2_conv", "block2_norm"})
    others = sorted(learning - {"block2_conv"})
    hint("others", others, layers=", ".join(others))


def separable_multiply_adds(answer: Any) -> None:
    """Check the multiply-adds of a depthwise and a 1 × 1 convolution."""
    for size, k, before, after in ((10, 3, 8, 16), (7, 5, 6, 4)):
        pixels = size * size
        depthwise, pointwise = pixels * k * k * before, pixels * before * after
        compare(
            number(call(answer, size, k, before, after)),
            depthwise + pointwise,
            full=depthwise * after,
            only_depthwise=depthwise,
            only_pointwise=pointwise,
            product=depthwise * pointwise,
            weights=k * k * before + before * after,
            one_map=depthwise + pixels * after,
        )
