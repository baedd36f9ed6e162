"""What a leak is worth: the same model, judged under two ways of splitting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from leukhelpers.evaluation.bootstrap import group_weights, weighted_ranking
from leukhelpers.splits.groups import Split


class FoldAnswers(NamedTuple):
    """What a model answered on the test rows of one fold.

    Attributes
    ----------
    rows : numpy.ndarray of int, shape (n,)
        Row numbers of the table.
    scores : numpy.ndarray of float, shape (n,)
        The higher, the more like ALL. Scores of different folds come from different
        models and are never compared with each other.
    """

    rows: np.ndarray
    scores: np.ndarray


def answer_folds(
    splits: Iterable[Split], learn_and_answer: Callable[[Split], npt.ArrayLike]
) -> list[FoldAnswers]:
    """Let a model learn and answer once for each split.

    Parameters
    ----------
    splits : iterable of Split
        Such as :func:`leukhelpers.splits.groups.random_folds` gives.
    learn_and_answer : callable
        Learns from the split's training and validation rows and gives a score for each
        of its test rows.
    """
    return [
        FoldAnswers(split.test, np.asarray(learn_and_answer(split), dtype=float))
        for split in splits
    ]


def aurocs(labels: np.ndarray, folds: Sequence[FoldAnswers]) -> np.ndarray:
    """Give the AUROC of each fold, shape (n_folds,)."""
    return np.array([roc_auc_score(labels[fold.rows], fold.scores) for fold in folds])


def split_optimism(
    labels: np.ndarray,
    groups: np.ndarray,
    flattered: Sequence[FoldAnswers],
    honest: Sequence[FoldAnswers],
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the mean AUROC of a model under two ways of splitting.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n_cells,)
        0 for HEM, 1 for ALL.
    groups : numpy.ndarray of str, shape (n_cells,)
        The true groups, whichever way the folds were made.
    flattered, honest : sequence of FoldAnswers
        The answers under either way of splitting.
    n_resamples : int
        Number of bootstrap resamples.
    seed : int
        Seed of the resamples.

    Returns
    -------
    dict
        ``flattered`` and ``honest``, the mean over folds; their difference ``gap``,
        with ``low`` and ``high``, its 95 % interval.

    Notes
    -----
    The interval is a percentile bootstrap over groups, the same resamples for both:
    it says how the gap depends on which patients there are. Each fold is scored on its
    own, with every cell weighted by how often its group was drawn; a fold without one
    of the classes is left out of its resample's mean. The models are not trained anew.
    """
    names, codes = np.unique(groups, return_inverse=True)
    weights = group_weights(len(names), n_resamples, seed)
    difference = _resampled_mean(labels, codes, flattered, weights) - _resampled_mean(
        labels, codes, honest, weights
    )
    low, high = np.nanquantile(difference, [0.025, 0.975])
    means = [float(aurocs(labels, folds).mean()) for folds in (flattered, honest)]
    return {
        "flattered": means[0],
        "honest": means[1],
        "gap": means[0] - means[1],
        "low": float(low),
        "high": float(high),
    }


def _resampled_mean(
    labels: np.ndarray, codes: np.ndarray, folds: Sequence[FoldAnswers], weights: np.ndarray
) -> np.ndarray:
    """Mean AUROC over the folds for each resample, shape (n_resamples,)."""
    scored = np.full((len(folds), len(weights)), np.nan)
    for number, fold in enumerate(folds):
        own, truth = codes[fold.rows], labels[fold.rows]
        drawn = [
            weights @ np.bincount(own[truth == label], minlength=weights.shape[1]) > 0
            for label in (0, 1)
        ]
        whole = drawn[0] & drawn[1]
        scored[number, whole] = weighted_ranking(weights[whole], own, truth, fold.scores)["auroc"]
    # A resample in which no fold has both classes stays nan.
    known = (~np.isnan(scored)).sum(axis=0).astype(float)
    known[known == 0] = np.nan
    return np.nansum(scored, axis=0) / known
