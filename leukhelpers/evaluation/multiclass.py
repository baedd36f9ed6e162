"""Measure predictions of more than two classes, over all and class by class.

A cell is called the class of its highest probability. For the rest the rules are those
of :mod:`leukhelpers.evaluation.metrics`: point estimates from scikit-learn, intervals from a
bootstrap over groups, ``None`` where a quantity is not defined. Each class by itself is
measured against all others together (one versus the rest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sk

from leukhelpers.errors import InputError
from leukhelpers.evaluation import metrics as binary
from leukhelpers.evaluation.bootstrap import (
    N_RESAMPLES,
    complete_resamples,
    fewest_groups,
    group_codes,
    interval,
    interval_notes,
    weighted_ranking,
)
from leukhelpers.evaluation.names import MODEL_COLUMNS

METRICS = ("macro_auroc", "accuracy", "balanced_accuracy", "weighted_f1", "macro_f1", "mcc")
CLASS_METRICS = ("auroc", "precision", "recall", "f1")


def columns_of(
    model: str, classes: Sequence[str], columns: Mapping[str, str] = MODEL_COLUMNS
) -> list[str]:
    """Name the columns of a model's probabilities, such as ``area_probability_<class>``."""
    return [f"{columns[model]}_{name}" for name in classes]


def metrics(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> dict[str, float | None]:
    """Compute what is measured over all classes.

    Parameters
    ----------
    labels, probabilities, classes
        As in :func:`confusion`.

    Returns
    -------
    dict of str to float or None
        The names in ``METRICS``. ``macro_auroc`` and ``macro_f1`` are means over the
        classes, each against the rest. Where a class has no cell they and the balanced
        accuracy are None; of cells of one class Matthews' coefficient is None, too.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = _checked(labels, probabilities, classes)
    called = scores.argmax(axis=1)
    found = len(np.unique(truth))
    values: dict[str, float | None] = dict.fromkeys(METRICS)
    values["accuracy"] = float(sk.accuracy_score(truth, called))
    values["weighted_f1"] = float(sk.f1_score(truth, called, average="weighted", zero_division=0))
    if found > 1:
        values["mcc"] = float(sk.matthews_corrcoef(truth, called))
    if found == len(classes):
        of_each = [sk.roc_auc_score(truth == label, scores[:, label]) for label in range(found)]
        values["macro_auroc"] = float(np.mean(of_each))
        values["balanced_accuracy"] = float(sk.balanced_accuracy_score(truth, called))
        values["macro_f1"] = float(sk.f1_score(truth, called, average="macro", zero_division=0))
    return values


def by_class(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Measure each class against the rest.

    Parameters
    ----------
    labels, probabilities, classes
        As in :func:`confusion`.

    Returns
    -------
    dict of str to dict
        Class → the names in ``CLASS_METRICS``, None for a class without cells. The
        precision of a class that is never answered counts as 0.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = _checked(labels, probabilities, classes)
    called = scores.argmax(axis=1)
    report = binary.report_of(truth, called, classes)
    found: dict[str, dict[str, float | None]] = {}
    for label, name in enumerate(classes):
        values: dict[str, float | None] = dict.fromkeys(CLASS_METRICS)
        if label in truth:
            values["auroc"] = _auroc(truth, scores, label)
            for metric in ("precision", "recall", "f1"):
                values[metric] = float(report[metric].iloc[label])
        found[name] = values
    return found


def bootstrap(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike,
    classes: Sequence[str],
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Compute all metrics on resampled groups.

    Parameters
    ----------
    labels, probabilities, classes
        As in :func:`confusion`.
    groups, n_resamples, seed
        As in :func:`leukhelpers.evaluation.bootstrap.bootstrap`.

    Returns
    -------
    over_all : pandas.DataFrame of float
        One row a resample, the columns ``METRICS``. Resamples in which a class is
        missing are left out.
    of_class : dict of str to pandas.DataFrame
        Class → one row a resample, the columns ``CLASS_METRICS``.

    Raises
    ------
    InputError
        If an argument is not as described; the message names it.
    """
    truth, scores = _checked(labels, probabilities, classes)
    codes, n_groups = group_codes(groups, len(truth))
    k = len(classes)
    weights = complete_resamples(truth, codes, n_groups, n_resamples, seed, k)
    called = scores.argmax(axis=1)
    cells = np.bincount(codes * k * k + truth * k + called, minlength=n_groups * k * k)
    counts = (weights @ cells.reshape(n_groups, k * k)).reshape(-1, k, k).astype(float)
    decided = _decisions(counts)
    decided["auroc"] = np.column_stack(
        [
            weighted_ranking(weights, codes, (truth == label) * 1, scores[:, label])["auroc"]
            for label in range(k)
        ]
    )
    over_all = {
        "macro_auroc": decided["auroc"].mean(axis=1),
        "accuracy": decided["accuracy"],
        "balanced_accuracy": decided["recall"].mean(axis=1),
        "weighted_f1": decided["weighted_f1"],
        "macro_f1": decided["f1"].mean(axis=1),
        "mcc": decided["mcc"],
    }
    of_class = {
        name: pd.DataFrame({metric: decided[metric][:, label] for metric in CLASS_METRICS})
        for label, name in enumerate(classes)
    }
    return pd.DataFrame(over_all), of_class


def summary(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    seed: int = 0,
    columns: Mapping[str, str] = MODEL_COLUMNS,
) -> dict[str, Any]:
    """Put models beside the area baseline and the majority answer.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row a test cell: ``subject``, ``group``, ``label``, and for each model and
        class a column of :func:`columns_of`.
    classes : sequence of str
        Names of the classes, in the order of their numbers.
    seed : int
        Seed of the bootstrap.
    columns : mapping of str
        Model → the beginning of the names of its columns.

    Returns
    -------
    dict
        As :func:`leukhelpers.evaluation.summary.summary` without ``threshold``, and
        ``by_class``: model → class → ``cells`` (number) and each of ``CLASS_METRICS``
        with ``value``, ``low``, ``high``.

    Raises
    ------
    InputError
        If a column is missing or a value is not as described.
    """
    needed = [name for model in columns for name in columns_of(model, classes, columns)]
    binary.require_columns(predictions, ["subject", "group", "label", *needed])
    predictions = binary.with_names(predictions)
    labels, groups = predictions["label"], predictions["group"]
    models, classwise = {}, {}
    for model in columns:
        scores = predictions[columns_of(model, classes, columns)].to_numpy()
        over_all, of_class = bootstrap(labels, scores, groups, classes, N_RESAMPLES, seed)
        fewest = fewest_groups(labels.to_numpy(), groups)
        models[model] = _with_bounds(metrics(labels, scores, classes), over_all, fewest)
        classwise[model] = {
            name: {
                "cells": int((labels == label).sum()),
                **_with_bounds(values, of_class[name], fewest),
            }
            for label, (name, values) in enumerate(by_class(labels, scores, classes).items())
        }
    return {
        "cells": len(predictions),
        "subjects": int(predictions["subject"].nunique()),
        "groups": int(groups.nunique()),
        "models": models,
        "by_class": classwise,
        "notes": interval_notes(labels, groups, N_RESAMPLES, seed, classes),
    }


def _with_bounds(
    values: dict[str, float | None], resampled: pd.DataFrame, fewest: int
) -> dict[str, dict[str, float | None]]:
    """Put each value beside its 95 % interval."""
    bounded = {}
    for metric, value in values.items():
        low, high = interval(resampled[metric], fewest, N_RESAMPLES)
        bounded[metric] = {"value": value, "low": low, "high": high}
    return bounded


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
    return {
        "accuracy": right.sum(axis=1) / n,
        "recall": right / true,
        "precision": np.divide(right, called, out=np.zeros_like(f1), where=called > 0),
        "f1": f1,
        "weighted_f1": (true * f1).sum(axis=1) / n,
        "mcc": np.divide(agreement, spread, out=np.zeros_like(spread), where=spread > 0),
    }


def _auroc(truth: np.ndarray, scores: np.ndarray, label: int) -> float | None:
    """AUROC of one class against the rest; None if there is no rest."""
    if (truth == label).all():
        return None
    return float(sk.roc_auc_score(truth == label, scores[:, label]))


def _checked(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels as int and probabilities as float64, or raise an error."""
    truth = binary.checked_labels(labels, classes=classes)
    scores = binary.checked_probabilities(probabilities, "probabilities")
    if scores.shape != (len(truth), len(classes)):
        raise InputError(
            f"probabilities must hold one number a cell and class, shape "
            f"{(len(truth), len(classes))}, but the shape is {scores.shape}."
        )
    if not np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        raise InputError("probabilities must sum to 1 over the classes of each cell.")
    return truth, scores
