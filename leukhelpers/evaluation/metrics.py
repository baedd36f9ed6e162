"""Measure predictions: metrics, and tables by class and by subject.

A cell is called ALL when its probability is at least the threshold. Point
estimates come from scikit-learn, intervals from :mod:`leukhelpers.evaluation.bootstrap`.

A quantity that is not defined, such as the AUROC of cells of one class, is
``None``, never nan.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import METRICS

# Those that depend on the order of the cells alone.
RANKING = (
    "auroc",
    "average_precision",
    "sensitivity_at_95_specificity",
    "specificity_at_95_sensitivity",
)
BINS = 10  # of equal width, for the calibration error


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
            "subject": checked_groups(predictions["subject"], len(truth), "subject"),
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


def checked_groups(groups: npt.ArrayLike, n: int, name: str = "groups") -> np.ndarray:
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
        column: checked_groups(predictions[column], len(predictions), column)
        for column in ("subject", "group")
    }
    return predictions.assign(**names)


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
