"""Measure predictions: metrics, and tables by class and by subject.

A cell is called ALL when its probability is at least the threshold; with more than two
classes it is called the most probable one. Point estimates come from scikit-learn, intervals
from :mod:`leukhelpers.evaluation.bootstrap`.

A quantity that is not defined, such as the AUROC of cells of one class, is ``None``, never nan.
"""

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import CLASS_METRICS, METRICS, METRICS_OF_MANY

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
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str] = CLASS_NAMES
) -> pd.DataFrame:
    """Count the cells by true and predicted class.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes; of two classes 0 (HEM) or 1 (ALL).
    probabilities : array_like of float, shape (n,) or (n, n_classes)
        Predicted P(ALL), from 0 to 1; from 0.5 on a cell is called ALL. Of more than two
        classes the probability of each; it is called the class of the highest.
    classes : sequence of str
        Names of the classes, in the order of their numbers.

    Returns
    -------
    pandas.DataFrame of int, shape (n_classes, n_classes)
        True class on the rows, predicted class on the columns, HEM before ALL.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = checked(labels, classes, probabilities=probabilities)
    return pd.DataFrame(
        sk.confusion_matrix(truth, predicted(scores), labels=range(len(classes))),
        index=pd.Index(classes, name="true"),
        columns=pd.Index(classes, name="predicted"),
    )


def class_metrics(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str] = CLASS_NAMES
) -> dict[str, dict[str, float | None]]:
    """Measure each class against the rest.

    Parameters
    ----------
    labels, probabilities, classes
        As in :func:`confusion`.

    Returns
    -------
    dict of str to dict
        Class → the names in ``CLASS_METRICS``, as scikit-learn computes them, None for a class
        without cells. The precision of a class that is never predicted counts as 0.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = checked(labels, classes, probabilities=probabilities)
    report = sk.precision_recall_fscore_support(
        truth, predicted(scores), labels=range(len(classes)), zero_division=0
    )
    columns = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores  # only ranked
    found: dict[str, dict[str, float | None]] = {}
    for label, (name, values) in enumerate(zip(classes, np.transpose(report[:3]), strict=True)):
        own = truth == label
        both = 0 < own.sum() < len(own)
        auroc = float(sk.roc_auc_score(own, columns[:, label])) if both else None
        rest = map(float, values) if own.any() else [None] * 3
        found[name] = dict(zip(CLASS_METRICS, [auroc, *rest], strict=True))
    return found


def metrics(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    threshold: float = 0.5,
    classes: Sequence[str] = CLASS_NAMES,
) -> dict[str, float | None]:
    """Compute the course's metrics with scikit-learn.

    Parameters
    ----------
    labels, probabilities, classes
        As in :func:`confusion`.
    threshold : float
        From this probability on a cell is called ALL.

    Returns
    -------
    dict of str to float or None
        The names in ``METRICS``, or in ``METRICS_OF_MANY`` with more than two classes.
        ``sensitivity`` is the recall of ALL, ``specificity`` the recall of HEM, ``mcc``
        Matthews' correlation coefficient (0 if all cells are called alike).
        ``sensitivity_at_95_specificity`` is the largest sensitivity that any threshold
        reaches with a specificity of at least 0.95, and the reverse. ``brier`` is
        the mean squared distance of probability and truth (Brier 1950), ``ece``
        the expected calibration error: in ten bins of equal width the distance of mean
        probability and share of ALL, weighed by cells (Naeini et al. 2015); of these two
        less is better. ``macro_auroc`` and ``macro_f1`` are means over the classes, each
        against the rest. Where a class has no cells, what compares the classes is None, and
        so is the recall of the absent class.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = checked(labels, classes, probabilities=probabilities)
    called, two = predicted(scores, threshold), len(classes) == 2
    values: dict[str, float | None] = dict.fromkeys(METRICS if two else METRICS_OF_MANY)
    values["accuracy"] = float(sk.accuracy_score(truth, called))
    values["weighted_f1"] = float(sk.f1_score(truth, called, average="weighted", zero_division=0))
    if len(np.unique(truth)) > 1:
        values["mcc"] = float(sk.matthews_corrcoef(truth, called))
    if every := len(np.unique(truth)) == len(classes):
        values["balanced_accuracy"] = float(sk.balanced_accuracy_score(truth, called))
    if every and not two:
        values["macro_f1"] = float(sk.f1_score(truth, called, average="macro", zero_division=0))
        of_each = [sk.roc_auc_score(truth == k, scores[:, k]) for k in range(len(classes))]
        values["macro_auroc"] = float(np.mean(of_each))
    if every and two:
        values["auroc"] = float(sk.roc_auc_score(truth, scores))
        values["average_precision"] = float(sk.average_precision_score(truth, scores))
        wrong, right, _ = sk.roc_curve(truth, scores, drop_intermediate=False)
        values["sensitivity_at_95_specificity"] = float(right[wrong <= 0.05].max())
        values["specificity_at_95_sensitivity"] = float(1 - wrong[right >= 0.95].min())
    if two:
        for name, label in (("sensitivity", ALL), ("specificity", HEM)):
            if label in truth:
                values[name] = float(sk.recall_score(truth, called, pos_label=label))
        values["brier"] = float(np.mean((scores - truth) ** 2))
        gaps = np.bincount(bins(scores), weights=scores - truth)
        values["ece"] = float(np.abs(gaps).sum() / len(truth))
    return values


def bins(scores: np.ndarray) -> np.ndarray:
    """Give each probability the number of its bin, from 0; a border belongs to the one above."""
    return np.minimum((scores * BINS).astype(int), BINS - 1)


def by_subject(predictions: pd.DataFrame) -> pd.DataFrame:
    """Score each subject on its own, the worst first.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row a cell with the columns ``subject``, ``label``, ``probability``.

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
    correct = predicted(scores) == truth
    cells = pd.DataFrame({"label": truth, "correct": correct, "probability": scores})
    grouped = cells.groupby(checked_groups(predictions["subject"], len(truth), "subject"))
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
    )
    return table.reset_index(names="subject").sort_values(
        ["correct", "cells", "subject"], ascending=[True, False, True], ignore_index=True
    )


# ---------------------------------------------------------------- checks of input


def checked_labels(labels: npt.ArrayLike, classes: Sequence[str] = CLASS_NAMES) -> np.ndarray:
    """Return labels as int, or raise an error that names the argument."""
    truth = np.asarray(labels)
    if truth.ndim != 1 or len(truth) == 0:
        raise InputError("labels must be a list of classes, one a cell, and not empty.")
    known = pd.Series(truth).isin(range(len(classes))).to_numpy()
    if not known.all():
        named = " or ".join(f"{label} ({known_as})" for label, known_as in enumerate(classes))
        raise InputError(
            f"labels must be {named}, not {truth[~known][0]!s}; "
            "leave out the cells without a class."
        )
    return truth.astype(int)


def checked(
    labels: npt.ArrayLike, classes: Sequence[str] = CLASS_NAMES, **probabilities: npt.ArrayLike
) -> tuple[np.ndarray, ...]:
    """Return labels as int and each set of probabilities as float64, or raise an error."""
    truth = checked_labels(labels, classes)
    checked = [truth]
    shape = truth.shape if len(classes) == 2 else (len(truth), len(classes))
    for name, given in probabilities.items():
        scores = checked_probabilities(given, name)
        if scores.shape != shape:
            each = "cell" if len(classes) == 2 else "cell and class"
            raise InputError(
                f"{name} must hold one number a {each}: its shape should be {shape}, "
                f"but it is {scores.shape}."
            )
        if scores.ndim == 2 and not np.allclose(scores.sum(axis=1), 1, atol=1e-3):
            raise InputError(f"{name} must sum to 1 over the classes of each cell.")
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
        raise InputError(
            f"{name} must hold one name per cell: got {len(given)} names for {n} cells."
        )
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


def predicted(scores: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """Return the predicted class of each cell: by the threshold, or the most probable one."""
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold must be from 0 to 1, not {threshold!r}.")
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= threshold).astype(int)


def probability_columns(column: str, classes: Sequence[str]) -> list[str]:
    """Name the columns of a model's probabilities; more than two classes have one each."""
    return [column] if len(classes) == 2 else [f"{column}_{name}" for name in classes]


def probabilities_of(table: pd.DataFrame, column: str, classes: Sequence[str]) -> np.ndarray:
    """Read a model's probabilities, of shape (n,) or (n, n_classes)."""
    scores = table[probability_columns(column, classes)].to_numpy()
    return scores[:, 0] if len(classes) == 2 else scores


def require_columns(predictions: pd.DataFrame, columns: list[str]) -> None:
    """Refuse predictions that lack a column."""
    missing = [column for column in columns if column not in predictions]
    if missing:
        raise InputError(f"The predictions lack the column(s) {', '.join(missing)}.")
