"""Checks of the exercises of lesson 09 that ask for code."""

from __future__ import annotations

from typing import Any

import numpy as np

NO_FUNCTION = "Write a function and hand it over by its name, without brackets."
NOTHING = "The function returns nothing yet; end it with return."


def _mahalanobis(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    mean, covariance = np.array([1.0, 2.0]), np.array([[4.0, 1.2], [1.2, 9.0]])
    for x in (np.array([4.0, 1.0]), np.array([1.0, 8.0]), np.array([-2.0, 2.0])):
        found = answer(x.copy(), mean.copy(), covariance.copy())
        if found is None:
            return NOTHING
        if np.size(found) != 1:
            return "Return one number: multiply by the difference on both sides of the matrix."
        difference, inverse = x - mean, np.linalg.inv(covariance)
        squared = difference @ inverse @ difference
        mistakes = {
            squared: "That is the squared distance; take the root of it.",
            np.linalg.norm(difference): "That is the plain distance; the covariance is not used.",
            np.sqrt(difference @ covariance @ difference): "Invert the covariance first.",
            np.sqrt(x @ inverse @ x): "Subtract the mean first.",
            np.sqrt((difference**2 / covariance.diagonal()).sum()): (
                "This uses only the diagonal; numbers that vary together are counted twice."
            ),
        }
        if np.isclose(float(np.squeeze(found)), np.sqrt(squared)):
            continue
        for wrong, hint in mistakes.items():
            if np.isclose(float(np.squeeze(found)), wrong):
                return hint
        return "Compute difference @ inverse @ difference, then its root."
    return None


def _decide(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    low, high = 0.3, 0.6
    cases = [  # distance, probability, what is right, hint
        (1.0, 0.9, "ALL", "A near image with a high probability is ALL."),
        (1.0, 0.1, "HEM", "A near image with a probability below low is HEM."),
        (1.0, 0.45, "no prediction", "Between low and high there is no prediction."),
        (9.0, 0.99, "not a cell", "Check the distance first, whatever the probability is."),
        (9.0, 0.45, "not a cell", "Check the distance first, whatever the probability is."),
        (1.0, 0.6, "ALL", "A probability of exactly high is ALL already: use >=."),
        (1.0, 0.3, "no prediction", "HEM begins below low; exactly low is no prediction."),
        (2.0, 0.9, "ALL", "A distance of exactly the limit is not refused."),
        (float("nan"), 0.9, "not a cell", "nan > limit is False: write 'not distance <= limit'."),
    ]
    texts = {right for _, _, right, _ in cases}
    for distance, probability, right, hint in cases:
        found = answer(distance, 2.0, probability, low, high)
        if found is None:
            return NOTHING
        if found not in texts:
            return f"Return one of the four texts, not {found!r}."
        if found != right:
            return hint
    flipped = answer(1.0, 2.0, 0.85, 0.8, 0.9)
    return "Use the arguments low and high." if flipped != "no prediction" else None


def _quantize(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    rng = np.random.default_rng(0)
    for weights in (rng.normal(0, 0.1, 200), np.array([[-2.54, 1.0], [0.013, 0.49]])):
        found = answer(weights.copy())
        if found is None:
            return NOTHING
        if not isinstance(found, tuple | list) or len(found) != 2:
            return "Return two things: the integers and the scale."
        integers, scale = np.asarray(found[0]), found[1]
        if np.ndim(scale) != 0:
            return "Return the integers first, then the scale, a single number."
        if integers.dtype != np.int8:
            return f"The integers have the type {integers.dtype}; convert them by astype('int8')."
        right = np.abs(weights).max() / 127
        if integers.shape != weights.shape:
            return "Return one integer per weight, in the same shape."
        if np.isclose(scale, 1 / right):
            return "That is one divided by the scale: integers * scale must give the weights."
        if np.isclose(scale, weights.max() / 127) and not np.isclose(scale, right):
            return "Take the maximum of the absolute values: a negative weight can be the largest."
        if not np.isclose(scale, right):
            return "The scale is the largest absolute weight divided by 127."
        error = np.abs(integers * float(scale) - weights).max()
        if error > 0.5001 * right:
            return "An error is larger than half a step: round before you convert to int8."
    return None


CHECKS = {"09.1": _mahalanobis, "09.3": _decide, "09.4": _quantize}
