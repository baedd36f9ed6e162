"""Measure predictions: metrics, tables by class and by subject, intervals.

A cell is called ALL when its probability is at least the threshold. Point
estimates come from scikit-learn. Intervals come from a bootstrap over groups
(the subjects that share an image stay together): cells of one subject resemble
one another, so resampling single cells would give intervals that are too narrow.

A quantity that is not defined, such as the AUROC of cells of one class, is
``None``, never nan.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError

METRICS = (
    "auroc",
    "average_precision",
    "accuracy",
    "balanced_accuracy",
    "weighted_f1",
    "sensitivity",
    "specificity",
    "mcc",
    "sensitivity_at_95_specificity",
    "specificity_at_95_sensitivity",
    "brier",
    "ece",
)
METRIC_NAMES: Mapping[str, str] = {
    "auroc": "AUROC",
    "macro_auroc": "macro AUROC",  # of more than two classes
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "weighted_f1": "weighted F1",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "mcc": "MCC",
    "sensitivity_at_95_specificity": "sensitivity at 95 % specificity",
    "specificity_at_95_sensitivity": "specificity at 95 % sensitivity",
    "brier": "Brier score",
    "ece": "calibration error",
}
ERRORS = ("brier", "ece")  # of which less is better
# What is measured of subjects, each with the mean of the probabilities of its cells. Of few
# subjects, and few there always are, the other measures say next to nothing.
SUBJECT_METRICS = ("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity")
# Those that depend on the order of the cells alone.
_RANKING = (
    "auroc",
    "average_precision",
    "sensitivity_at_95_specificity",
    "specificity_at_95_sensitivity",
)
BINS = 10  # of equal width, for the calibration error
PRETRAINED = {
    "efficientnet-lite0": "EfficientNet-Lite0",
    "resnet50": "ResNet-50",
    "vgg16": "VGG-16",
    "efficientnetb0": "EfficientNet-B0",
}
MODEL_NAMES: Mapping[str, str] = {
    "cnn": "CNN",
    "svm": "SVM",
    "rf": "random forest",
    **{
        f"{name}{how}": f"{title}{told}"
        for name, title in PRETRAINED.items()
        for how, told in {
            "": ", frozen",
            "-random": " with random weights, frozen",
            "-tuned": ", fine-tuned",
        }.items()
    },
    "area": "area alone",
    "majority": "majority answer",
}
# In the predictions of a run, its own model has the first column, whatever its name.
MODEL_COLUMNS: Mapping[str, str] = {
    "cnn": "probability",
    "area": "area_probability",
    "majority": "majority_probability",
}

Interval = tuple[float | None, float | None]


# ---------------------------------------------------------------- tables and point estimates


def confusion(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float = 0.5
) -> pd.DataFrame:
    """Count the cells by true and predicted class.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL).
    probabilities : array_like of float, shape (n,)
        Predicted P(ALL), from 0 to 1.
    threshold : float
        A cell is called ALL when its probability is at least this.

    Returns
    -------
    pandas.DataFrame of int, shape (2, 2)
        True class on the rows, predicted class on the columns, HEM before ALL.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = checked(labels, probabilities=probabilities)
    return confusion_of(truth, called_all(scores, threshold), CLASS_NAMES)


def confusion_of(truth: np.ndarray, called: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Count the cells by true and predicted class, both given by number."""
    return pd.DataFrame(
        sk.confusion_matrix(truth, called, labels=range(len(classes))),
        index=pd.Index(classes, name="true"),
        columns=pd.Index(classes, name="predicted"),
    )


def classification_report(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float = 0.5
) -> pd.DataFrame:
    """Precision, recall, F1 and support of each class, as scikit-learn reports them.

    Parameters
    ----------
    labels, probabilities, threshold
        As in :func:`confusion`.

    Returns
    -------
    pandas.DataFrame
        Rows HEM, ALL, accuracy, macro avg, weighted avg; columns precision,
        recall, f1 (float) and support (int). The accuracy stands in the column
        f1, as in scikit-learn's printed report; its precision and recall are
        left empty. Where a class is never predicted (or never occurs) its
        precision (or recall) counts as 0.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = checked(labels, probabilities=probabilities)
    return report_of(truth, called_all(scores, threshold), CLASS_NAMES)


def report_of(truth: np.ndarray, called: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Report true and predicted classes, both given by number, class by class."""
    report = sk.classification_report(
        truth,
        called,
        labels=range(len(classes)),
        target_names=classes,
        output_dict=True,
        zero_division=0,
    )
    report["accuracy"] = {"f1-score": report["accuracy"], "support": len(truth)}
    table = pd.DataFrame.from_dict(report, orient="index").rename(columns={"f1-score": "f1"})
    return table[["precision", "recall", "f1", "support"]].astype({"support": int})


def metrics(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, threshold: float = 0.5
) -> dict[str, float | None]:
    """Compute the course's metrics with scikit-learn.

    Parameters
    ----------
    labels, probabilities, threshold
        As in :func:`confusion`.

    Returns
    -------
    dict of str to float or None
        The names in ``METRICS``. ``sensitivity`` is the recall of ALL,
        ``specificity`` the recall of HEM, ``mcc`` Matthews' correlation
        coefficient (0 if all cells get the same answer).
        ``sensitivity_at_95_specificity`` is the largest sensitivity that any threshold
        reaches with a specificity of at least 0.95, and the reverse. ``brier`` is
        the mean squared distance of probability and truth (Brier 1950), ``ece``
        the expected calibration error: in ten bins of equal width the distance of mean
        probability and share of ALL, weighed by cells (Naeini et al. 2015); of these two
        less is better. With cells of one
        class only, what compares the classes (AUROC, average precision,
        balanced accuracy, MCC, the two at 95 %) and the recall of the absent class are None.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = checked(labels, probabilities=probabilities)
    called = called_all(scores, threshold)
    values: dict[str, float | None] = dict.fromkeys(METRICS)
    values["accuracy"] = float(sk.accuracy_score(truth, called))
    values["weighted_f1"] = float(sk.f1_score(truth, called, average="weighted", zero_division=0))
    for name, label in (("sensitivity", ALL), ("specificity", HEM)):
        if label in truth:
            values[name] = float(sk.recall_score(truth, called, pos_label=label))
    if len(np.unique(truth)) == 2:
        values["auroc"] = float(sk.roc_auc_score(truth, scores))
        values["average_precision"] = float(sk.average_precision_score(truth, scores))
        values["balanced_accuracy"] = float(sk.balanced_accuracy_score(truth, called))
        values["mcc"] = float(sk.matthews_corrcoef(truth, called))
        wrong, right, _ = sk.roc_curve(truth, scores, drop_intermediate=False)
        values["sensitivity_at_95_specificity"] = float(right[wrong <= 0.05].max())
        values["specificity_at_95_sensitivity"] = float(1 - wrong[right >= 0.95].min())
    values["brier"] = float(np.mean((scores - truth) ** 2))
    gaps = np.bincount(bins(scores), weights=scores - truth)
    values["ece"] = float(np.abs(gaps).sum() / len(truth))
    return values


def bins(scores: np.ndarray) -> np.ndarray:
    """Give each probability the number of its bin, from 0; a border belongs to the one above."""
    return np.minimum((scores * BINS).astype(int), BINS - 1)


def by_subject(predictions: pd.DataFrame, threshold: float = 0.5) -> pd.DataFrame:
    """Score each subject on its own, the worst first.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row a cell with the columns ``subject``, ``label``, ``probability``.
    threshold : float
        A cell is called ALL when its probability is at least this.

    Returns
    -------
    pandas.DataFrame
        One row a subject: ``subject``, ``label``, ``cells`` (number), ``correct``
        (share of its cells answered rightly), ``mean_probability``. Among equals
        the subject with more cells comes first.

    Raises
    ------
    InputError
        If a column is missing, a value is not as described, or a subject has
        both labels.
    """
    require_columns(predictions, ["subject", "label", "probability"])
    truth, scores = checked(predictions["label"], probability=predictions["probability"])
    cells = pd.DataFrame(
        {
            "subject": _checked_groups(predictions["subject"], len(truth), "subject"),
            "label": truth,
            "correct": called_all(scores, threshold) == truth,
            "probability": scores,
        }
    )
    grouped = cells.groupby("subject")
    both = grouped["label"].nunique()
    if (both > 1).any():
        raise InputError(
            f"Subject {both.idxmax()!r} has both labels in the predictions; correct the table."
        )
    table = grouped.agg(
        label=("label", "first"),
        cells=("label", "size"),
        correct=("correct", "mean"),
        mean_probability=("probability", statistics.mean),
    ).reset_index()
    return table.sort_values(
        ["correct", "cells", "subject"], ascending=[True, False, True], ignore_index=True
    )


# ---------------------------------------------------------------- bootstrap over groups


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
    n_resamples: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute all metrics on resampled groups.

    Parameters
    ----------
    labels, probabilities, threshold
        As in :func:`confusion`.
    groups : array_like of str, shape (n,)
        The group of each cell; cells of a group are drawn together.
    n_resamples : int
        Number of resamples.
    seed : int
        Seed; the same seed gives the same resamples, in any order of the cells.

    Returns
    -------
    pandas.DataFrame of float
        One row a resample, the columns ``METRICS``. Resamples in which a class
        is missing are left out, so the table may be shorter than ``n_resamples``.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.

    Notes
    -----
    The nonparametric cluster bootstrap of Field and Welsh (2007), Journal of the
    Royal Statistical Society B 69(3).
    """
    truth, scores = checked(labels, probabilities=probabilities)
    codes, n_groups = group_codes(groups, len(truth))
    weights = complete_resamples(truth, codes, n_groups, n_resamples, seed)
    called = called_all(scores, threshold)
    return pd.DataFrame(
        {
            **weighted_ranking(weights, codes, truth, scores),
            **_weighted_decisions(weights, codes, truth, called),
            **_weighted_errors(weights, codes, truth, scores),
        },
        columns=list(METRICS),
    )


def intervals(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    threshold: float = 0.5,
    n_resamples: int = 2000,
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
    """
    resampled = bootstrap(labels, probabilities, groups, threshold, n_resamples, seed)
    fewest = fewest_groups(checked_labels(labels), groups)
    return {name: interval(resampled[name], fewest, n_resamples) for name in METRICS}


def interval_notes(
    labels: npt.ArrayLike,
    groups: npt.ArrayLike,
    n_resamples: int = 2000,
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
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Compare the AUROC of two models on the same cells, pairwise.

    Both models are scored on the same resamples, so that what makes some subjects
    easy or hard for both cancels out.

    Parameters
    ----------
    labels, groups, n_resamples, seed
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
    """
    truth, scores_a, scores_b = checked(labels, a=a, b=b)
    codes, n_groups = group_codes(groups, len(truth))
    notes = interval_notes(truth, groups, n_resamples, seed)
    if len(np.unique(truth)) == 1:
        undefined = ("auroc_a", "auroc_b", "difference", "low", "high")
        return {**dict.fromkeys(undefined), "notes": notes}
    auroc_a = float(sk.roc_auc_score(truth, scores_a))
    auroc_b = float(sk.roc_auc_score(truth, scores_b))
    weights = complete_resamples(truth, codes, n_groups, n_resamples, seed)
    resampled_a = weighted_ranking(weights, codes, truth, scores_a)["auroc"]
    resampled_b = weighted_ranking(weights, codes, truth, scores_b)["auroc"]
    low, high = interval(resampled_a - resampled_b, fewest_groups(truth, groups), n_resamples)
    return {
        "auroc_a": auroc_a,
        "auroc_b": auroc_b,
        "difference": auroc_a - auroc_b,
        "low": low,
        "high": high,
        "notes": notes,
    }


def summary(
    predictions: pd.DataFrame,
    threshold: float = 0.5,
    seed: int = 0,
    columns: Mapping[str, str] = MODEL_COLUMNS,
) -> dict[str, Any]:
    """Put models beside the area baseline and the majority answer.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row a test cell: ``subject``, ``group``, ``label`` and the P(ALL) of each
        model, such as ``probability``, ``area_probability``, ``majority_probability``.
    threshold : float
        A cell is called ALL when its probability is at least this.
    seed : int
        Seed of the bootstrap.
    columns : mapping of str
        Model → the column of its answers.

    Returns
    -------
    dict
        Can be written as JSON: ``cells``, ``subjects``, ``groups`` (numbers),
        ``threshold``, ``models`` (``cnn``, ``area``, ``majority`` by default: metric →
        ``value``, ``low``, ``high``, each float or None), ``report`` (model → class →
        ``precision``, ``recall``, ``f1``, ``support`` and ``called``, the number of its cells
        that were given each class), ``compared`` (each other model → what :func:`compare` tells
        of the first less that one), ``of_subjects`` (the same as ``models``
        for subjects, of ``SUBJECT_METRICS``; each has the mean of its cells'
        probabilities), ``worst_first`` (the first model's table of
        :func:`by_subject`) and ``notes`` (sentences
        that say why something is None and how many resamples were left out).

    Raises
    ------
    InputError
        If a column is missing or a value is not as described.
    """
    require_columns(predictions, ["subject", "group", "label", *columns.values()])
    predictions = with_names(predictions)
    labels, groups = predictions["label"], predictions["group"]
    checked(labels, **{column: predictions[column] for column in columns.values()})

    def measured(rows: pd.DataFrame, names: Sequence[str]) -> dict[str, Any]:
        return {
            model: with_intervals(
                rows["label"], rows[column], rows["group"], names, threshold, seed
            )
            for model, column in columns.items()
        }

    first, *others = columns.values()

    def classwise(column: str) -> dict[str, Any]:
        answers = predictions[column]
        found = classification_report(labels, answers, threshold).loc[list(CLASS_NAMES)]
        called = confusion(labels, answers, threshold).to_dict("index")
        return {
            name: {**values, "support": int(values["support"]), "called": called[name]}
            for name, values in found.to_dict("index").items()
        }

    def less(column: str) -> dict[str, Any]:
        found = compare(labels, predictions[first], predictions[column], groups, seed=seed)
        return {key: found[key] for key in ("difference", "low", "high")}

    notes = interval_notes(labels, groups, seed=seed)
    of_subjects, worst_first = None, None
    if (predictions.groupby("subject")["label"].nunique() > 1).any():
        notes.append("Some subjects have cells of both classes, so subjects are not measured.")
    else:
        people = subject_means(predictions, list(columns.values()))
        of_subjects = measured(people, SUBJECT_METRICS)
        own = predictions[["subject", "label"]].assign(probability=predictions[first])
        worst_first = by_subject(own, threshold).to_dict(orient="records")
    return {
        "cells": len(predictions),
        "subjects": int(predictions["subject"].nunique()),
        "groups": int(groups.nunique()),
        "threshold": float(threshold),
        "models": measured(predictions, METRICS),
        "report": {model: classwise(column) for model, column in columns.items()},
        "compared": dict(zip(list(columns)[1:], map(less, others), strict=True)),
        "of_subjects": of_subjects,
        "worst_first": worst_first,
        "notes": notes,
    }


def subject_means(predictions: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Average the probabilities of each subject's cells.

    Parameters
    ----------
    predictions : pandas.DataFrame
        ``subject``, ``group``, ``label`` and the columns; a subject has one label.
    columns : sequence of str
        Columns of probabilities.

    Returns
    -------
    pandas.DataFrame
        A row a subject, in the order of their names, with the same columns.
    """
    grouped = predictions.groupby("subject")
    # Exact, since 0.7 three times, added up and divided by three, is another number than 0.7:
    # subjects of equal scores would be put in an order.
    means = grouped[list(columns)].agg(statistics.mean)
    return grouped[["group", "label"]].first().join(means).reset_index()


def with_intervals(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    names: Sequence[str] = METRICS,
    threshold: float = 0.5,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Put :func:`metrics` and :func:`intervals` of one model together.

    Parameters
    ----------
    labels, probabilities, groups, threshold, seed
        As in :func:`bootstrap`; of cells, or of subjects.
    names : sequence of str
        Which of ``METRICS``.

    Returns
    -------
    dict
        Metric → ``value``, ``low``, ``high``, each float or None.
    """
    values = metrics(labels, probabilities, threshold)
    bounds = intervals(labels, probabilities, groups, threshold, seed=seed)
    return {
        name: {"value": values[name], "low": bounds[name][0], "high": bounds[name][1]}
        for name in names
    }


# ---------------------------------------------------------------- weighted formulas


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
    measured = {name: np.empty(len(weights)) for name in _RANKING}
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


def _weighted_decisions(
    weights: np.ndarray, codes: np.ndarray, truth: np.ndarray, called: np.ndarray
) -> dict[str, np.ndarray]:
    """Metrics at a threshold of every resample, from confusion counts of each group.

    ``weights`` is (n_resamples, n_groups), each row with both classes; the other
    arguments are (n,).
    """
    n_groups = weights.shape[1]
    counts = np.bincount(4 * codes + 2 * truth + called, minlength=4 * n_groups)
    per_group = counts.reshape(n_groups, 4).astype(np.float64)
    true_hem, false_all, false_hem, true_all = (weights @ per_group).T
    n_hem, n_all = true_hem + false_all, false_hem + true_all
    called_hem, called_all = true_hem + false_hem, false_all + true_all
    n = n_hem + n_all
    f1_hem = 2 * true_hem / (n_hem + called_hem)
    f1_all = 2 * true_all / (n_all + called_all)
    # Matthews' coefficient is 0 / 0 if all cells get one answer; the convention is 0.
    spread = np.sqrt(n_hem * n_all * called_hem * called_all)
    agreement = true_hem * true_all - false_all * false_hem
    return {
        "accuracy": (true_hem + true_all) / n,
        "balanced_accuracy": (true_hem / n_hem + true_all / n_all) / 2,
        "weighted_f1": (n_hem * f1_hem + n_all * f1_all) / n,
        "sensitivity": true_all / n_all,
        "specificity": true_hem / n_hem,
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


# ---------------------------------------------------------------- checks of input


def checked_labels(
    labels: npt.ArrayLike, name: str = "labels", classes: Sequence[str] = CLASS_NAMES
) -> np.ndarray:
    """Return labels as int, or raise an error that names the argument."""
    truth = np.asarray(labels)
    if truth.ndim != 1 or len(truth) == 0:
        raise InputError(f"{name} must be a list of classes, one a cell, and not empty.")
    known = pd.Series(truth).isin(range(len(classes))).to_numpy()
    if not known.all():
        named = " or ".join(f"{label} ({known_as})" for label, known_as in enumerate(classes))
        raise InputError(
            f"{name} must be {named}, not {truth[~known][0]!s}; "
            "leave out the cells without a class."
        )
    return truth.astype(int)


def checked(labels: npt.ArrayLike, **probabilities: npt.ArrayLike) -> tuple[np.ndarray, ...]:
    """Return labels as int and each set of probabilities as float64, or raise an error."""
    truth = checked_labels(labels)
    checked = [truth]
    for name, given in probabilities.items():
        scores = checked_probabilities(given, name)
        if scores.shape != truth.shape:
            raise InputError(
                f"{name} must hold one number a cell: its shape is {scores.shape}, "
                f"that of labels is {truth.shape}."
            )
        checked.append(scores)
    return tuple(checked)


def checked_probabilities(given: npt.ArrayLike, name: str) -> np.ndarray:
    """Return probabilities as float64, or raise an error that names the argument."""
    try:
        scores = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers from 0 to 1.") from error
    wrong = ~((scores >= 0) & (scores <= 1))  # also true for nan
    if wrong.any():
        raise InputError(
            f"{name} must be from 0 to 1, not {scores[wrong][0]:g}; "
            "give P(ALL), not logits or percentages."
        )
    return scores


def _checked_groups(groups: npt.ArrayLike, n: int, name: str = "groups") -> np.ndarray:
    """Return groups as an array of str, or raise an error that names the argument."""
    # As objects: an array of text would make a name of what is missing, "nan".
    given = pd.Series(np.asarray(groups, dtype=object).ravel())
    if np.ndim(groups) != 1 or len(given) != n:
        raise InputError(f"{name} must hold one name a cell: got {len(given)} names for {n} cells.")
    named = given.astype(str).str.strip()
    if given.isna().any() or (named == "").any():
        raise InputError(f"{name} must name a subject or group for every cell; some are empty.")
    return named.to_numpy(dtype=str)


def with_names(predictions: pd.DataFrame) -> pd.DataFrame:
    """Write subjects and groups as the names that they are counted by, or raise an error."""
    names = {
        column: _checked_groups(predictions[column], len(predictions), column)
        for column in ("subject", "group")
    }
    return predictions.assign(**names)


def group_codes(groups: npt.ArrayLike, n: int) -> tuple[np.ndarray, int]:
    """Give each cell the number of its group, in the order of their names, and count them."""
    names, codes = np.unique(_checked_groups(groups, n), return_inverse=True)
    return codes, len(names)


def called_all(scores: np.ndarray, threshold: float) -> np.ndarray:
    """1 where a cell is called ALL, else 0."""
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold must be from 0 to 1, not {threshold!r}.")
    return (scores >= threshold).astype(int)


def require_columns(predictions: pd.DataFrame, columns: list[str]) -> None:
    """Refuse predictions that lack a column."""
    missing = [column for column in columns if column not in predictions]
    if missing:
        raise InputError(f"The predictions lack the column(s) {', '.join(missing)}.")
