"""The network and the SVM together: two views of the same cell.

The network sees the cell cut out and resized, and so not how large it is; the SVM sees measured
size, shape, color and texture. Their errors differ, so the mean of their logits may be better
than either.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Ensemble(NamedTuple):
    """A network and a support vector machine, both calibrated."""

    network: Any
    svm: Any


def average_logits(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """Average the predictions of several models on the scale of logits.

    Parameters
    ----------
    probabilities : sequence of float array, each of shape (n,) or (n, n_classes)
        What each model predicts: P(second class), or the probability of each class.

    Returns
    -------
    float array of the same shape
        Of two classes the sigmoid of the mean logit; in general the geometric mean of the
        probabilities, divided by its sum over the classes, which is the same.

    Examples
    --------
    >>> average_logits([np.array([0.5, 0.9]), np.array([0.5, 0.1])])
    array([0.5, 0.5])
    """
    given = np.asarray(probabilities, float).clip(1e-12, 1 - 1e-12)
    binary = given.ndim == 2
    of_each = np.stack([1 - given, given], axis=-1) if binary else given
    mean = np.exp(np.log(of_each).mean(axis=0))
    mean /= mean.sum(axis=-1, keepdims=True)
    return mean[..., 1] if binary else mean
