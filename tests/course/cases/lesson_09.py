"""Answers to the exercises of lesson 09: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np


def mahalanobis(x, mean, covariance):
    difference = x - mean
    return np.sqrt(difference @ np.linalg.inv(covariance) @ difference)


def by_diagonal(x, mean, covariance):
    return np.sqrt(((x - mean) ** 2 / covariance.diagonal()).sum())


def decide(distance, limit, probability, low, high):
    if not distance <= limit:
        return "not a cell"
    if probability >= high:
        return "ALL"
    return "HEM" if probability < low else "no prediction"


def decide_late(distance, limit, probability, low, high):
    if low <= probability < high:
        return "no prediction"
    return decide(distance, limit, probability, low, high)


def decide_nan(distance, limit, probability, low, high):
    return "not a cell" if distance > limit else decide(0, 1, probability, low, high)


def quantize(weights, largest=lambda weights: np.abs(weights).max(), rounded=np.round):
    scale = largest(weights) / 127
    return rounded(weights / scale).astype("int8"), scale


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "09.1": (
        {},
        mahalanobis,
        [
            (2.0, "function"),
            (lambda x, mean, covariance: None, "nothing yet"),
            (lambda x, mean, covariance: mahalanobis(x, mean, covariance) ** 2, "root"),
            (lambda x, mean, covariance: np.linalg.norm(x - mean), "plain"),
            (
                lambda x, mean, covariance: mahalanobis(x, mean, np.linalg.inv(covariance)),
                "Invert",
            ),
            (lambda x, mean, covariance: mahalanobis(x, 0, covariance), "Subtract"),
            (by_diagonal, "diagonal"),
            (lambda x, mean, covariance: np.linalg.inv(covariance) @ (x - mean), "one number"),
            (lambda x, mean, covariance: 1.0, "then its root"),
        ],
    ),
    "09.2": ({}, "left out", {"fitted": "nearer", "test": "nobody is left", 3: "choices"}),
    "09.3": (
        {},
        decide,
        [
            ("ALL", "function"),
            (lambda *numbers: None, "nothing yet"),
            (lambda *numbers: "cat", "four texts"),
            (lambda d, limit, p, low, high: decide(0, 1, p, low, high), "Check the distance"),
            (decide_late, "Check the distance"),
            (decide_nan, "nan"),
            (lambda d, limit, p, low, high: decide(d, limit, p, low, high + 1e-9), "exactly high"),
            (lambda d, limit, p, low, high: decide(d, limit, p, low + 1e-9, high), "exactly low"),
            (lambda d, limit, p, low, high: decide(d, limit - 1e-9, p, low, high), "exactly the"),
            (lambda d, limit, p, low, high: decide(d, limit, p, 0.5, 0.5), "Between"),
            (lambda d, limit, p, low, high: decide(d, limit, p, 0.0, high), "is HEM"),
            (lambda d, limit, p, low, high: decide(d, limit, p, 0.3, 0.6), "arguments"),
            (lambda d, limit, p, low, high: decide(d, limit, 1 - p, low, high), "high probability"),
        ],
    ),
    "09.4": (
        {},
        quantize,
        [
            (127, "function"),
            (lambda weights: None, "nothing yet"),
            (lambda weights: quantize(weights)[0], "two things"),
            (lambda weights: quantize(weights)[::-1], "first"),
            (lambda weights: (weights / quantize(weights)[1], quantize(weights)[1]), "type"),
            (lambda weights: quantize(weights, rounded=np.trunc), "half a step"),
            (lambda weights: quantize(weights, largest=np.max), "absolute values"),
            (lambda weights: (quantize(weights)[0], 1 / quantize(weights)[1]), "divided by"),
            (lambda weights: (quantize(weights)[0], 1.0), "127"),
            (lambda weights: (quantize(weights)[0][:1], quantize(weights)[1]), "per weight"),
        ],
    ),
}
