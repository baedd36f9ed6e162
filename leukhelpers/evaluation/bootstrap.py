"""Intervals by drawing groups of subjects again, with replacement.

Subjects that share an image are one group. Cells of one subject resemble one another, so
resampling single cells would give intervals that are too narrow. This is the nonparametric
cluster bootstrap of Field and Welsh (2007), Journal of the Royal Statistical Society B 69(3).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation import metrics
from leukhelpers.evaluation.names import METRICS

Interval = tuple[float | None, float | None]
N_RESAMPLES = 2000


class Resamples(NamedTuple):
    """Groups of cells, drawn with replacement; resamples that lack a class are left out.

    Attributes
    ----------
    weights : numpy.ndarray of int, shape (n_resamples, n_groups)
        How often each group was drawn. A cell counts as often as its group.
    codes : numpy.ndarray of int, shape (n,)
        The number of each cell's group, in the order of the groups' names.
    enough : bool
        Whether an interval can rest on them: not if all cells of a class are of one group,
        whom every resample would hold, nor if fewer than half of the resamples are left.
    notes : list of str
        What is undefined and how many resamples were left out; empty if nothing is to say.
    """

    weights: np.ndarray
    codes: np.ndarray
    enough: bool
    notes: list[str]


def resample(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    classes: Sequence[str] = CLASS_NAMES,
    seed: int = 0,
) -> Resamples:
    """Draw the groups of some cells 2,000 times.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, numbers of `classes`.
    groups : array_like of str, shape (n,)
        The group of each cell; cells of a group are drawn together.
    classes : sequence of str
        Names of the classes.
    seed : int
        The same seed gives the same resamples, in any order of the cells.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth = metrics.checked_labels(labels, classes)
    names, codes = np.unique(metrics.checked_groups(groups, len(truth)), return_inverse=True)
    weights = group_weights(len(names), N_RESAMPLES, seed)
    cells = np.zeros((len(names), len(classes)), int)
    np.add.at(cells, (codes, truth), 1)
    weights = weights[(weights @ cells > 0).all(axis=1)]
    n_groups = dict(zip(classes, (cells > 0).sum(axis=0), strict=True))
    absent, alone = ([name for name, n in n_groups.items() if n == few] for few in (0, 1))
    enough = not absent and not alone and len(weights) >= N_RESAMPLES / 2
    left_out = f"{N_RESAMPLES - len(weights):,} of {N_RESAMPLES:,} resamples lacked a class"
    notes = []
    if absent:
        start = f"No cell is {' or '.join(absent)}, so a score that compares the classes"
        notes = [f"{start} is undefined and no interval can be given."]
    elif alone:
        start = f"There is only one group of {' and only one of '.join(alone)}"
        notes = [f"{start}, so no interval can be given."]
    elif not enough:
        notes = [f"{left_out}, too many to give an interval; more groups are needed."]
    elif len(weights) < N_RESAMPLES:
        notes = [f"{left_out} and were left out of the intervals."]
    return Resamples(weights, codes, enough, notes)


def group_weights(n_groups: int, n_resamples: int, seed: int) -> np.ndarray:
    """Draw as many groups as there are with replacement, and count how often each was drawn.

    Returns
    -------
    numpy.ndarray of int, shape (n_resamples, n_groups)
        Each row sums to ``n_groups``.
    """
    drawn = np.random.default_rng(seed).integers(n_groups, size=(n_resamples, n_groups))
    # One bincount for all resamples: each gets its own range of numbers.
    drawn += n_groups * np.arange(n_resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)


def bootstrap(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    drawn: Resamples,
    threshold: float = 0.5,
    classes: Sequence[str] = CLASS_NAMES,
) -> dict[str, np.ndarray]:
    """Compute all metrics on resampled groups.

    Parameters
    ----------
    labels, probabilities, threshold, classes
        As in :func:`leukhelpers.evaluation.metrics.metrics`.
    drawn : Resamples
        Of the same cells.

    Returns
    -------
    dict of str to numpy.ndarray of float
        One number per resample for each of ``METRICS``. With more than two classes
        ``METRICS_OF_MANY``, and ``CLASS_METRICS`` of shape (n_resamples, n_classes).

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = metrics.checked(labels, classes, probabilities=probabilities)
    k = len(classes)
    counts = _sums(drawn, truth * k + metrics.predicted(scores, threshold), k * k)
    found = _decisions(counts.reshape(-1, k, k))
    if k == 2:
        n = counts.sum(axis=1)
        squares = _sums(drawn, 0, 1, (scores - truth) ** 2)[:, 0]
        gaps = np.abs(_sums(drawn, metrics.bins(scores), metrics.BINS, scores - truth)).sum(axis=1)
        # In which order the floats were added up shall not show.
        found |= {"brier": np.round(squares / n, 12), "ece": np.round(gaps / n, 12)}
        found |= {"specificity": found["recall"][:, 0], "sensitivity": found["recall"][:, 1]}
        return found | weighted_ranking(drawn, truth, scores)
    each = [weighted_ranking(drawn, truth == c, scores[:, c])["auroc"] for c in range(k)]
    found["auroc"] = np.column_stack(each)
    return found | {f"macro_{name}": found[name].mean(axis=1) for name in ("auroc", "f1")}


def intervals(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, groups: npt.ArrayLike, seed: int = 0
) -> dict[str, Interval]:
    """Give each metric its 95% percentile interval over groups.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL).
    probabilities : array_like of float, shape (n,)
        Predicted P(ALL); from 0.5 on a cell is called ALL.
    groups : array_like of str, shape (n,)
        The group of each cell, such as its patient; cells of a group are drawn together.
    seed : int
        Seed; the same seed gives the same resamples, in any order of the cells.

    Returns
    -------
    dict of str to (float, float) or (None, None)
        For each of ``METRICS`` the 2.5th and the 97.5th percentile. (None, None)
        if all cells of a class are of one group, whom every resample would hold.

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
    drawn = resample(labels, groups, seed=seed)
    resampled = bootstrap(labels, probabilities, drawn)
    return {name: interval(resampled[name], drawn) for name in METRICS}


def interval(values: np.ndarray, drawn: Resamples) -> Interval:
    """Take the 95% percentile interval, or (None, None) where it would mislead."""
    if not drawn.enough:
        return None, None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def compare(
    labels: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike, groups: npt.ArrayLike, seed: int = 0
) -> dict[str, Any]:
    """Compare the AUROC of two models on the same cells, pairwise.

    Both models are scored on the same resamples, so that what makes some subjects
    easy or hard for both cancels out.

    Parameters
    ----------
    labels, groups, seed
        As in :func:`intervals`.
    a, b : array_like of float, shape (n,)
        P(ALL) by each of the two models.

    Returns
    -------
    dict
        ``auroc_a``, ``auroc_b``, ``difference`` (a - b), ``low`` and ``high`` (its
        95% interval), each float or None, and ``notes``, a list of sentences.

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
    truth, *scores = metrics.checked(labels, a=a, b=b)
    drawn = resample(truth, groups, seed=seed)
    found: dict[str, Any] = dict.fromkeys(("auroc_a", "auroc_b", "difference", "low", "high"))
    if len(np.unique(truth)) == 2:
        auroc_a, auroc_b = (float(sk.roc_auc_score(truth, own)) for own in scores)
        found |= {"auroc_a": auroc_a, "auroc_b": auroc_b, "difference": auroc_a - auroc_b}
        resampled_a, resampled_b = (weighted_ranking(drawn, truth, own)["auroc"] for own in scores)
        found["low"], found["high"] = interval(resampled_a - resampled_b, drawn)
    return {**found, "notes": drawn.notes}


def weighted_ranking(
    drawn: Resamples, truth: np.ndarray, scores: np.ndarray
) -> dict[str, np.ndarray]:
    """Measure the order of the cells in every resample, from one sort of the scores.

    Walking down the sorted scores, count the ALL cells found and the cells called so far;
    cells with equal scores are called together. AUROC is the area under the trapezoids, so
    that a tie counts one half; average precision is the sum of steps, both as in scikit-learn.
    """
    order = np.argsort(-scores, kind="stable")
    codes, truth, scores = drawn.codes[order], truth[order], scores[order]
    last_of_tie = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    measured = {name: np.empty(len(drawn.weights)) for name in metrics.RANKING}
    rows_at_once = max(1, 1_000_000 // len(scores))  # keeps the work below about 50 MB
    for start in range(0, len(drawn.weights), rows_at_once):
        rows = slice(start, start + rows_at_once)
        # Sums of whole numbers, so float64 holds them exactly.
        per_cell = drawn.weights[rows].astype(np.float64)[:, codes]
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


def _sums(
    drawn: Resamples, place: npt.ArrayLike, n_places: int, values: np.ndarray | None = None
) -> np.ndarray:
    """Sum values of the cells at each place, or count cells, in every resample.

    Returns
    -------
    numpy.ndarray, shape (n_resamples, n_places)
    """
    n_groups = drawn.weights.shape[1]
    of_groups = np.bincount(drawn.codes * n_places + place, values, n_groups * n_places)
    return drawn.weights @ of_groups.reshape(n_groups, n_places).astype(float)
