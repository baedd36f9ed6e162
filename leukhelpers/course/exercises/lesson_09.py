"""Checks of the exercises of lesson 09 that ask for code."""

from typing import Any

import numpy as np

from leukhelpers.course.exercises import call, compare, hint, number


def mahalanobis(answer: Any) -> None:
    """Check the Mahalanobis distance of three points."""
    mean, covariance = np.array([1.0, 2.0]), np.array([[4.0, 1.2], [1.2, 9.0]])
    inverse = np.linalg.inv(covariance)
    for x in (np.array([4.0, 1.0]), np.array([1.0, 8.0]), np.array([-2.0, 2.0])):
        difference = x - mean
        squared = difference @ inverse @ difference
        compare(
            number(call(answer, x, mean, covariance)),
            np.sqrt(squared),
            squared=squared,
            plain=np.linalg.norm(difference),
            not_inverted=np.sqrt(difference @ covariance @ difference),
            no_mean=np.sqrt(x @ inverse @ x),
            diagonal=np.sqrt((difference**2 / covariance.diagonal()).sum()),
        )


def decide(answer: Any) -> None:
    """Check a decision by distance and probability, also at its limits."""
    low, high = 0.3, 0.6
    cases = [  # distance, probability, what is right, hint
        (1.0, 0.9, "ALL", "all"),
        (1.0, 0.1, "HEM", "hem"),
        (1.0, 0.45, "no prediction", "between"),
        (9.0, 0.99, "not a cell", "distance"),
        (9.0, 0.45, "not a cell", "distance"),
        (1.0, 0.6, "ALL", "exactly_high"),
        (1.0, 0.3, "no prediction", "exactly_low"),
        (2.0, 0.9, "ALL", "exactly_limit"),
        (float("nan"), 0.9, "not a cell", "nan"),
    ]
    texts = {right for _, _, right, _ in cases}
    for distance, probability, right, name in cases:
        found = call(answer, distance, 2.0, probability, low, high)
        hint("other_text", found not in texts, found=found)
        hint(name, found != right)
    hint("arguments", answer(1.0, 2.0, 0.85, 0.8, 0.9) != "no prediction")


def quantize(answer: Any) -> None:
    """Check weights as int8 and their scale."""
    rng = np.random.default_rng(0)
    for weights in (rng.normal(0, 0.1, 200), np.array([[-2.54, 1.0], [0.013, 0.49]])):
        found = call(answer, weights)
        hint("two_things", not isinstance(found, tuple | list) or len(found) != 2)
        integers, scale = np.asarray(found[0]), found[1]
        hint("order", np.ndim(scale) != 0)
        hint("type", integers.dtype != np.int8, type=integers.dtype)
        hint("shape", integers.shape != weights.shape)
        right = np.abs(weights).max() / 127
        compare(scale, right, "scale", inverse=1 / right, not_absolute=weights.max() / 127)
        error = np.abs(integers * float(scale) - weights).max()
        hint("not_rounded", error > 0.5001 * right)
