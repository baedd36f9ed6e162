"""Intervals by drawing groups of subjects again, with replacement.

Subjects that share an image are one group. Cells of one subject resemble one another, so
resampling single cells would give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.errors import InputError
from leukhelpers.evaluation.metrics import (
    BINS,
    RANKING,
    bins,
    checked,
    checked_groups,
    checked_labels,
    predicted,
)
from leukhelpers.evaluation.names import CLASS_METRICS, METRICS, METRICS_OF_MANY

Interval = tuple[float | None, float | None]
N_RESAMPLES = 2000


def group_weights(n_groups: int, n_resamples: int, seed: int) -> np.ndarray:
    """Draw ``n_groups`` groups with replacement, ``n_resamples`` times.

    Parameters
    ----------
    n_groups, n_resamples : int
        Sizes.
    seed : int
        Seed of NumPy's default generator.

    Returns
    -------
    numpy.ndarray of int, shape (n_resamples, n_groups)
        How often each group was drawn; each row sums to ``n_groups``. A cell
        counts in a resample as often as its group was drawn.
    """
    drawn = np.random.default_rng(seed).integers(n_groups, size=(n_resamples, n_groups))
    # One bincount for all resamples: each gets its own range of numbers.
    drawn += n_groups * np.arange(n_resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=n_resamples * n_groups).reshape(drawn.shape)


def bootstrap(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    threshold: float = 0.5,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    classes: Sequence[str] = CLASS_NAMES,
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Compute all metrics on resampled groups.

    Parameters
    ----------
    labels, probabilities, threshold, classes
        As in :func:`leukhelpers.evaluation.metrics.confusion`.
    groups : array_like of str, shape (n,)
        The group of each cell; cells of a group are drawn together.
    n_resamples : int
        Number of resamples.
    seed : int
        Seed; the same seed gives the same resamples, in any order of the cells.

    Returns
    -------
    over_all : pandas.DataFrame of float
        One row per resample, the columns ``METRICS``, or ``METRICS_OF_MANY`` with more than
        two classes. Resamples in which a class is missing are left out, so the table may be
        shorter than ``n_resamples``.
    of_class : dict of str to pandas.DataFrame
        Class → one row per resample, the columns ``CLASS_METRICS``.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.

    Notes
    -----
    The nonparametric cluster bootstrap of Field and Welsh (2007), Journal of the
    Royal Statistical Society B 69(3).
    """
    truth, scores = checked(labels, classes, probabilities=probabilities)
    codes, n_groups = group_codes(groups, len(truth))
    k = len(classes)
    weights = complete_resamples(truth, codes, n_groups, n_resamples, seed, k)
    called = predicted(scores, threshold)
    cells = np.bincount(codes * k * k + truth * k + called, minlength=n_groups * k * k)
    counts = (weights @ cells.reshape(n_groups, k * k)).reshape(-1, k, k).astype(float)
    found = _decisions(counts)
    if k == 2:
        ranked = weighted_ranking(weights, codes, truth, scores)
        found |= ranked | _weighted_errors(weights, codes, truth, scores)
        found |= {"specificity": found["recall"][:, 0], "sensitivity": found["recall"][:, 1]}
        aurocs = np.column_stack([ranked["auroc"], ranked["auroc"]])
    else:
        aurocs = np.column_stack(
            [
                weighted_ranking(weights, codes, (truth == label) * 1, scores[:, label])["auroc"]
                for label in range(k)
            ]
        )
        found |= {"macro_auroc": aurocs.mean(axis=1), "macro_f1": found["f1"].mean(axis=1)}
    over_all = pd.DataFrame(
        {name: found[name] for name in (METRICS if k == 2 else METRICS_OF_MANY)}
    )
    each = found | {"auroc": aurocs}
    of_class = {
        name: pd.DataFrame({metric: each[metric][:, label] for metric in CLASS_METRICS})
        for label, name in enumerate(classes)
    }
    return over_all, of_class


def intervals(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    threshold: float = 0.5,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Give each metric its 95 % percentile interval over groups.

    Parameters
    ----------
    labels, probabilities, groups, threshold, n_resamples, seed
        As in :func:`bootstrap`.

    Returns
    -------
    dict of str to (float, float) or (None, None)
        For each of ``METRICS`` the 2.5th and the 97.5th percentile. (None, None)
        if all cells of a class are of one group, whom every resample would hold, or
        if fewer than half of the resamples hold both classes; :func:`interval_notes`
        says which.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> patients = ["H1", "H2", "H3", "4", "5", "6"]
    >>> found = lk.intervals([0, 0, 0, 1, 1, 1], [0.1, 0.6, 0.3, 0.7, 0.4, 0.9], patients)
    >>> len(found["auroc"])
    2
    """
    resampled, _ = bootstrap(labels, probabilities, groups, threshold, n_resamples, seed)
    fewest = fewest_groups(checked_labels(labels), groups)
    return {name: interval(resampled[name], fewest, n_resamples) for name in METRICS}


def interval_notes(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    classes: Sequence[str] = CLASS_NAMES,
) -> list[str]:
    """Say in sentences what is undefined about these cells and what was left out.

    Parameters
    ----------
    labels, groups, n_resamples, seed
        As in :func:`bootstrap`; labels are numbers of `classes`.
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    list of str
        Empty if every metric and every interval rests on all resamples.
    """
    truth = checked_labels(labels, classes=classes)
    codes, n_groups = group_codes(groups, len(truth))
    absent = [name for label, name in enumerate(classes) if label not in truth]
    if absent:
        start = f"No cell is {' or '.join(absent)}, so what compares the classes"
        if len(classes) == 2:
            start = f"All cells are {classes[truth[0]]}, so what compares the two classes"
        return [f"{start} is undefined and no interval can be given."]
    if n_groups == 1:
        return ["All cells belong to one group, so no interval can be given."]
    alone = [
        name for label, name in enumerate(classes) if len(np.unique(codes[truth == label])) == 1
    ]
    if alone:
        return [
            f"All {' and all '.join(alone)} cells are of one group, so no interval can be given."
        ]
    kept = len(complete_resamples(truth, codes, n_groups, n_resamples, seed, len(classes)))
    if kept == n_resamples:
        return []
    dropped = f"{n_resamples - kept:,} of {n_resamples:,} resamples lacked a class"
    if kept < n_resamples / 2:
        return [f"{dropped}, too many to give an interval; more groups are needed."]
    return [f"{dropped} and were left out of the intervals."]


def compare(
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    groups: npt.ArrayLike,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the AUROC of two models on the same cells, pairwise.

    Both models are scored on the same resamples, so that what makes some subjects
    easy or hard for both cancels out.

    Parameters
    ----------
    labels, groups, seed
        As in :func:`bootstrap`.
    a, b : array_like of float, shape (n,)
        P(ALL) by each of the two models.

    Returns
    -------
    dict
        ``auroc_a``, ``auroc_b``, ``difference`` (a - b), ``low`` and ``high`` (its
        95 % interval), each float or None, and ``notes``, a list of sentences.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> labels, patients = [0, 0, 1, 1], ["H1", "H2", "3", "4"]
    >>> found = lk.compare(labels, [0.1, 0.6, 0.7, 0.9], [0.1, 0.8, 0.7, 0.9], patients)
    >>> found["auroc_a"], found["difference"]
    (1.0, 0.25)
    """
    truth, scores_a, scores_b = checked(labels, a=a, b=b)
    codes, n_groups = group_codes(groups, len(truth))
    notes = interval_notes(truth, groups, N_RESAMPLES, seed)
    if len(np.unique(truth)) == 1:
        undefined = ("auroc_a", "auroc_b", "difference", "low", "high")
        return {**dict.fromkeys(undefined), "notes": notes}
    auroc_a = float(sk.roc_auc_score(truth, scores_a))
    auroc_b = float(sk.roc_auc_score(truth, scores_b))
    weights = complete_resamples(truth, codes, n_groups, N_RESAMPLES, seed)
    resampled_a = weighted_ranking(weights, codes, truth, scores_a)["auroc"]
    resampled_b = weighted_ranking(weights, codes, truth, scores_b)["auroc"]
    low, high = interval(resampled_a - resampled_b, fewest_groups(truth, groups), N_RESAMPLES)
    return {
        "auroc_a": auroc_a,
        "auroc_b": auroc_b,
        "difference": auroc_a - auroc_b,
        "low": low,
        "high": high,
        "notes": notes,
    }


def complete_resamples(
    truth: np.ndarray,
    codes: np.ndarray,
    n_groups: int,
    n_resamples: int,
    seed: int,
    n_classes: int = 2,
) -> np.ndarray:
    """Draw group weights and keep the resamples that hold every class."""
    if not (isinstance(n_resamples, int | np.integer) and n_resamples >= 1):
        raise InputError(f"n_resamples must be a whole number from 1 up, not {n_resamples!r}.")
    weights = group_weights(n_groups, int(n_resamples), seed)
    cells = np.bincount(codes * n_classes + truth, minlength=n_groups * n_classes)
    return weights[(weights @ cells.reshape(n_groups, n_classes) > 0).all(axis=1)]


def weighted_ranking(
    weights: np.ndarray, codes: np.ndarray, truth: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Measure the order of the cells in every resample, from one sort of the scores.

    ``weights`` is (n_resamples, n_groups), each row with both classes; the other
    arguments are (n,). Walking down the sorted scores, count the ALL cells found
    and the cells called so far; cells with equal scores are called together.
    AUROC is the area under the trapezoids, so that a tie counts one half; average
    precision is the sum of steps, both as in scikit-learn.
    """
    order = np.argsort(-scores, kind="stable")
    codes, truth, scores = codes[order], truth[order], scores[order]
    last_of_tie = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    measured = {name: np.empty(len(weights)) for name in RANKING}
    rows_at_once = max(1, 1_000_000 // len(scores))  # keeps the work below about 50 MB
    for start in range(0, len(weights), rows_at_once):
        rows = slice(start, start + rows_at_once)
        # Sums of whole numbers, so float64 holds them exactly.
        per_cell = weights[rows].astype(np.float64)[:, codes]
        called = np.cumsum(per_cell, axis=1)[:, last_of_tie]
        found = np.cumsum(per_cell * truth, axis=1)[:, last_of_tie]
        wrong = called - found
        n_all, n_hem = found[:, -1:], wrong[:, -1:]
        newly_found = np.diff(found, axis=1, prepend=0)
        newly_wrong = np.diff(wrong, axis=1, prepend=0)
        pairs_won = np.sum(newly_wrong * (found - newly_found / 2), axis=1)
        measured["auroc"][rows] = pairs_won / (n_all * n_hem)[:, 0]
        precision = found / np.maximum(called, 1)  # 0 / 0 above the first drawn cell
        measured["average_precision"][rows] = np.sum(newly_found * precision, axis=1) / n_all[:, 0]
        sensitivity, false_share = found / n_all, wrong / n_hem
        measured["sensitivity_at_95_specificity"][rows] = np.where(
            false_share <= 0.05, sensitivity, 0
        ).max(axis=1)
        measured["specificity_at_95_sensitivity"][rows] = 1 - np.where(
            sensitivity >= 0.95, false_share, 1
        ).min(axis=1)
    return measured


def _decisions(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Metrics of every resample from its confusion counts, (n_resamples, k, k).

    Each true class has cells in each resample, so no recall is 0 / 0.
    """
    right = np.diagonal(counts, axis1=1, axis2=2)
    true, called = counts.sum(axis=2), counts.sum(axis=1)
    n = true.sum(axis=1)
    f1 = 2 * right / (true + called)
    # Matthews' coefficient for k classes (Gorodkin 2004), 0 where it is 0 / 0.
    spread = np.sqrt((n**2 - (called**2).sum(axis=1)) * (n**2 - (true**2).sum(axis=1)))
    agreement = right.sum(axis=1) * n - (true * called).sum(axis=1)
    recall = right / true
    return {
        "accuracy": right.sum(axis=1) / n,
        "recall": recall,
        "balanced_accuracy": recall.mean(axis=1),
        "precision": np.divide(right, called, out=np.zeros_like(f1), where=called > 0),
        "f1": f1,
        "weighted_f1": (true * f1).sum(axis=1) / n,
        "mcc": np.divide(agreement, spread, out=np.zeros_like(spread), where=spread > 0),
    }


def _weighted_errors(
    weights: np.ndarray, codes: np.ndarray, truth: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Brier score and calibration error of every resample, from sums of each group."""
    n_groups = weights.shape[1]
    n = weights @ np.bincount(codes, minlength=n_groups)
    squares = np.bincount(codes, weights=(scores - truth) ** 2, minlength=n_groups)
    gaps = np.bincount(
        codes * BINS + bins(scores), weights=scores - truth, minlength=n_groups * BINS
    )
    errors = {
        "brier": weights @ squares / n,
        "ece": np.abs(weights @ gaps.reshape(n_groups, BINS)).sum(axis=1) / n,
    }
    # In which order the floats were added up shall not show.
    return {name: np.round(values, 12) for name, values in errors.items()}


def fewest_groups(truth: np.ndarray, groups: npt.ArrayLike) -> int:
    """Count the groups that hold cells of a class, for that class which has the fewest."""
    codes, _ = group_codes(groups, len(truth))
    return min(len(np.unique(codes[truth == label])) for label in np.unique(truth))


def interval(values: npt.ArrayLike, fewest: int, n_resamples: int) -> Interval:
    """Take the 95 % percentile interval, or (None, None) where it would mislead.

    With one group for a class (`fewest` is 1) all that is resampled of it is that group.
    """
    kept = np.asarray(values)
    if fewest == 1 or len(kept) < n_resamples / 2:
        return None, None
    low, high = np.quantile(kept, [0.025, 0.975])
    return float(low), float(high)


def group_codes(groups: npt.ArrayLike, n: int) -> tuple[np.ndarray, int]:
    """Give each cell the number of its group, in the order of their names, and count them."""
    names, codes = np.unique(checked_groups(groups, n), return_inverse=True)
    return codes, len(names)
