"""Answers to the exercises of lesson 05: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np


def layers():
    from keras import layers  # only these cases need it

    return layers


def block(x, filters, size=3, padding="same", bias=False, activation=None, pool=2):
    x = layers().Conv2D(filters, size, padding=padding, use_bias=bias, activation=activation)(x)
    x = layers().BatchNormalization()(x)
    x = layers().ReLU()(x)
    return layers().MaxPooling2D(pool)(x)


def relu_first(x, filters):
    x = layers().Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers().ReLU()(x)
    x = layers().BatchNormalization()(x)
    return layers().MaxPooling2D()(x)


def unused(x, filters):
    x = layers().Conv2D(filters, 3, padding="same", use_bias=False)(x)
    y = layers().BatchNormalization()(x)
    assert y is not None
    x = layers().ReLU()(x)
    return layers().MaxPooling2D()(x)


def stop(**changed):
    import keras  # only these cases need it

    chosen = {"monitor": "val_loss", "patience": 3, "restore_best_weights": True, **changed}
    return keras.callbacks.EarlyStopping(**chosen)


def class_weights(labels):
    counts = np.bincount(labels)
    return dict(enumerate(len(labels) / (len(counts) * counts)))


def shares(labels):
    return dict(enumerate(np.bincount(labels) / len(labels)))


def inverse_counts(labels):
    return dict(enumerate(1 / np.bincount(labels)))


def two_classes_only(labels):
    return {0: len(labels) / (2 * (labels == 0).sum()), 1: len(labels) / (2 * (labels == 1).sum())}


def rare_twice(labels):
    counts = np.bincount(labels)
    return {label: 2.0 if count == counts.min() else 1.0 for label, count in enumerate(counts)}


# Exercise: (what the check is given, a right answer, {wrong answer: a word of its hint}).
CASES = {
    "05.1": (
        {},
        block,
        {
            (lambda x, filters: None): "nothing yet",
            (lambda x, filters: layers().ReLU()): "not the layer",
            (lambda x, filters: layers().ReLU()(x)): "convolution is missing",
            (lambda x, filters: block(x, filters, activation="relu")): "leave activation out",
            (lambda x, filters: layers().Conv2D(filters, 3)(x)): "is missing",
            unused: "BatchNormalization",
            relu_first: "the order is",
            (lambda x, filters: block(x, 24)): "argument filters",
            (lambda x, filters: block(x, filters, size=5)): "3×3",
            (lambda x, filters: block(x, filters, padding="valid")): "keep height",
            (lambda x, filters: block(x, filters, bias=True)): "no bias",
            (lambda x, filters: block(x, filters, pool=4)): "halve",
            3: "without brackets",
        },
    ),
    "05.2": (
        {},
        stop,
        {
            (lambda: None): "nothing yet",
            (lambda: 3): "Return a keras",
            (lambda: stop(monitor="loss")): "val_loss",
            (lambda: stop(patience=0)): "patience",
            (lambda: stop(restore_best_weights=False)): "last epoch",
            3: "without brackets",
        },
    ),
    "05.3": (
        {},
        class_weights,
        {
            (lambda labels: None): "nothing yet",
            (lambda labels: [2.0, 0.67]): "dictionary",
            shares: "rarer class",
            inverse_counts: "ratio is right",
            two_classes_only: "keys",
            rare_twice: "should be",
            3: "without brackets",
        },
    ),
    "05.4": ({}, "too high", {"fair": "lucky", "too low": "looks best", 1: "choices"}),
}
