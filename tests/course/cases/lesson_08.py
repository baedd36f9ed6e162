"""Answers to the exercises of lesson 08: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

from leukhelpers.backend import keras

layers = keras.layers


def classifier(frozen=True, pool="average", activation="softmax", units=None, hidden=False):
    """Make an answer to 08.1 with some of the usual mistakes."""

    def answer(backbone, n_classes):
        backbone.trainable = not frozen
        inputs = keras.Input(backbone.input_shape[1:])
        x = backbone(inputs)
        if pool == "average":
            x = layers.GlobalAveragePooling2D()(x)
        if pool == "flatten":
            x = layers.Flatten()(x)
        if hidden:
            x = layers.Dense(4)(x)
        x = layers.Dense(units or n_classes, activation=activation)(layers.Dropout(0.2)(x))
        return keras.Model(inputs, x)

    return answer


def without_backbone(backbone, n_classes):
    inputs = keras.Input(backbone.input_shape[1:])
    x = layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(x))


def all_frozen(backbone, n_classes):
    model = classifier()(backbone, n_classes)
    model.trainable = False
    return model


def unfreeze(backbone, prefix, whole=True, norm=False, others=False):
    backbone.trainable = whole
    for layer in backbone.layers:
        normal = isinstance(layer, layers.BatchNormalization) and not norm
        layer.trainable = (others or layer.name.startswith(prefix)) and not normal


def unfreeze_without_underscore(backbone, prefix):
    unfreeze(backbone, prefix.rstrip("_"))


def freeze_the_block(backbone, prefix):
    backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = not layer.name.startswith(prefix)


def depthwise(size, k, before, after):
    return size**2 * k**2 * before


def pointwise(size, k, before, after):
    return size**2 * before * after


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "08.1": (
        {},
        classifier(),
        [
            (3, "function"),
            (lambda backbone, n_classes: None, "nothing yet"),
            (lambda backbone, n_classes: 3, "keras.Model"),
            (classifier(pool=None), "Average the maps"),
            (classifier(units=1), "one output per class"),
            (classifier(pool="flatten"), "Flatten"),
            (without_backbone, "go through the backbone"),
            (classifier(frozen=False), "still learn"),
            (all_frozen, "head must learn"),
            (classifier(hidden=True), "One dense layer"),
            (classifier(activation="sigmoid"), "softmax"),
        ],
    ),
    "08.2": (
        {},
        unfreeze,
        [
            ("block2", "function"),
            (lambda backbone, prefix: None, "Nothing can learn"),
            (lambda b, p: unfreeze(b, p, whole=False), "as a whole"),
            (lambda b, p: unfreeze(b, p, norm=True), "Batch normalization"),
            (lambda b, p: unfreeze(b, p, others=True), "block1_conv"),
            (unfreeze_without_underscore, "block21_conv"),
            (freeze_the_block, "must learn"),
        ],
    ),
    "08.3": (
        {},
        lambda *sizes: depthwise(*sizes) + pointwise(*sizes),
        [
            (20_000, "function"),
            (lambda *sizes: None, "nothing yet"),
            (lambda *sizes: depthwise(*sizes) * sizes[3], "full convolution"),
            (depthwise, "add the 1 × 1"),
            (pointwise, "add the depthwise"),
            (lambda *sizes: depthwise(*sizes) * pointwise(*sizes), "do not multiply"),
            (lambda size, k, before, after: k * k * before + before * after, "weights"),
            (lambda size, k, before, after: size**2 * (k**2 * before + after), "mixes"),
            (lambda *sizes: 5, "Add two parts"),
        ],
    ),
}
