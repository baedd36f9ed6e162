"""Probabilities that mean what they say, and the threshold from which a cell is called ALL.

Both are chosen on validation subjects, whom the model has not learnt from, and never on the
subjects by whom it is judged.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL
from leukhelpers.errors import InputError
from leukhelpers.evaluation import metrics

_CERTAIN = 1e-12  # a probability of exactly 0 or 1 has no logit


def logits(probabilities: npt.ArrayLike) -> np.ndarray:
    """Turn probabilities into logits; 0 and 1 are taken for nearly so, and are as far from 0."""
    given = np.asarray(probabilities, float)
    return np.log(np.clip(given, _CERTAIN, 1)) - np.log(np.clip(1 - given, _CERTAIN, 1))


def fit_temperature(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Find the temperature by which logits are divided, so that probabilities fit the truth.

    One number cannot change the order of the cells (unless they come so near 0 or 1 that
    they are rounded to it), and so not the AUROC either. Above one it makes a model
    humbler, below one bolder.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL), of validation cells.
    probabilities : array_like of float, shape (n,)
        P(ALL) by a model that has not learnt from them.

    Returns
    -------
    float
        The temperature with the smallest cross-entropy, from 0.05 to 20. One, which changes
        nothing, where these cells say nothing of it: where all logits are zero, and where
        every ALL cell gets a probability of more than 0.5 and every HEM cell less, so that ever
        bolder answers would fit ever better.

    Raises
    ------
    InputError
        If a class is missing, or an argument is not as described.

    Notes
    -----
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    truth, scores = _both_classes(labels, probabilities)
    raw = logits(scores)
    if (np.where(truth == ALL, raw, -raw) >= 0).all():
        return 1.0

    def cross_entropy(log_temperature: float) -> float:
        cooled = raw / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, cooled) - truth * cooled))

    found = minimize_scalar(cross_entropy, bounds=np.log([0.05, 20]), method="bounded")
    return float(np.exp(found.x))


def apply_temperature(probabilities: npt.ArrayLike, temperature: float) -> np.ndarray:
    """Divide the logits of probabilities by a temperature."""
    return expit(logits(probabilities) / temperature)


def choose_threshold(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Choose the threshold with the largest sum of sensitivity and specificity.

    Parameters
    ----------
    labels, probabilities
        As in :func:`fit_temperature`.

    Returns
    -------
    float
        In the middle between two neighboring probabilities, so that it is as far from
        either as it can be. 0.5 if no threshold does better than to call all cells alike.

    Raises
    ------
    InputError
        If a class is missing, or an argument is not as described.

    Notes
    -----
    Youden, "Index for rating diagnostic tests", Cancer 1950.
    """
    truth, scores = _both_classes(labels, probabilities)
    wrong, right, thresholds = sk.roc_curve(truth, scores, drop_intermediate=False)
    best = int(np.argmax(right - wrong))
    if right[best] - wrong[best] <= 0:
        return 0.5
    below = scores[scores < thresholds[best]].max()
    middle = (thresholds[best] + below) / 2
    return float(middle if middle > below else thresholds[best])  # no number may lie between


def reliability(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> pd.DataFrame:
    """Compare probability and truth in ten bins of equal width.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL).
    probabilities : array_like of float, shape (n,)
        Predicted P(ALL).

    Returns
    -------
    pandas.DataFrame
        A row a bin that holds a cell: ``from``, ``to`` (its borders), ``cells``
        (number), ``mean_probability``, ``share_of_all``.
    """
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    table = pd.DataFrame({"bin": metrics.bins(scores), "truth": truth, "score": scores})
    found = table.groupby("bin").agg(
        cells=("truth", "size"), mean_probability=("score", "mean"), share_of_all=("truth", "mean")
    )
    found.insert(0, "from", found.index / metrics.BINS)
    found.insert(1, "to", (found.index + 1) / metrics.BINS)
    return found.reset_index(drop=True)


def _both_classes(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> tuple[np.ndarray, ...]:
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    if len(np.unique(truth)) < 2:
        raise InputError("The validation cells must contain both classes.")
    return truth, scores
