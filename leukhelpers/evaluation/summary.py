"""What an experiment reports of its predictions: metrics with intervals, for every model."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation import bootstrap, metrics
from leukhelpers.evaluation.names import MODEL_COLUMNS, SUBJECT_METRICS


def summary(
    predictions: pd.DataFrame,
    columns: Mapping[str, str] = MODEL_COLUMNS,
    classes: Sequence[str] = CLASS_NAMES,
) -> dict[str, Any]:
    """Put models beside the area baseline and the majority-class baseline.

    Parameters
    ----------
    predictions : pandas.DataFrame
        One row per test cell: ``subject``, ``group``, ``label`` and the P(ALL) of each
        model, such as ``probability``, ``area_probability``, ``majority_probability``; of more
        than two classes a column each, such as ``probability_<class>``.
    columns : mapping of str
        Model → the column of its probabilities, or the beginning of their names.
    classes : sequence of str
        Names of the classes, in the order of their numbers.

    Returns
    -------
    dict
        Can be written as JSON: ``cells``, ``subjects``, ``groups`` (numbers), ``models``
        (``cnn``, ``area``, ``majority`` by default: metric → ``value``, ``low``, ``high``, each
        float or None) and ``notes`` (sentences that say why something is None and how many
        resamples were left out). With two classes also ``threshold`` (0.5, from which on a cell
        is called ALL), ``report`` (model → class → ``precision``, ``recall``, ``f1``, ``support``
        and ``called``, the number of its cells that were called each class), ``compared`` (each
        other model → the first model's AUROC less its own), ``of_subjects`` (the same as
        ``models`` for subjects, of ``SUBJECT_METRICS``; each has the mean of its cells'
        probabilities) and ``worst_first`` (the first model's table of :func:`by_subject`). With
        more than two ``by_class``: model → class → ``cells`` (number) and each of
        ``CLASS_METRICS`` with ``value``, ``low``, ``high``.

    Raises
    ------
    InputError
        If a column is missing or a value is not as described.
    """
    needed = [
        name for column in columns.values() for name in metrics.probability_columns(column, classes)
    ]
    metrics.require_columns(predictions, ["subject", "group", "label", *needed])
    predictions = metrics.with_names(predictions)
    labels, groups = predictions["label"], predictions["group"]
    scores = {
        model: metrics.probabilities_of(predictions, columns[model], classes) for model in columns
    }
    metrics.checked(labels, classes, **{columns[model]: own for model, own in scores.items()})
    drawn = bootstrap.resample(labels, groups, classes)
    resampled = {
        model: bootstrap.bootstrap(labels, own, drawn, classes=classes)
        for model, own in scores.items()
    }
    found: dict[str, Any] = {
        "cells": len(predictions),
        "subjects": int(predictions["subject"].nunique()),
        "groups": int(groups.nunique()),
        "models": {
            model: with_bounds(metrics.metrics(labels, own, 0.5, classes), resampled[model], drawn)
            for model, own in scores.items()
        },
        "notes": [*drawn.notes],
    }
    if len(classes) > 2:
        by_class = {
            model: _by_class(labels, own, classes, resampled[model], drawn)
            for model, own in scores.items()
        }
        return {**found, "by_class": by_class}
    first, *others = columns
    auroc = {model: measured["auroc"]["value"] for model, measured in found["models"].items()}
    compared = {}
    for other in others:
        less = resampled[first]["auroc"] - resampled[other]["auroc"]
        low, high = bootstrap.interval(less, drawn)
        difference = None if auroc[first] is None else auroc[first] - auroc[other]
        compared[other] = {"difference": difference, "low": low, "high": high}
    return {
        **found,
        "threshold": 0.5,
        "report": {model: _report(labels, own, classes) for model, own in scores.items()},
        "compared": compared,
        **_of_subjects(predictions, columns, found["notes"]),
    }


def _by_class(
    labels: pd.Series,
    own: np.ndarray,
    classes: Sequence[str],
    resampled: Mapping[str, np.ndarray],
    drawn: bootstrap.Resamples,
) -> dict[str, Any]:
    """Measure each of more than two classes against the rest."""
    found: dict[str, Any] = {}
    for label, (name, values) in enumerate(metrics.class_metrics(labels, own, classes).items()):
        of_class = {metric: resampled[metric][:, label] for metric in values}
        cells = {"cells": int((labels == label).sum())}
        found[name] = {**cells, **with_bounds(values, of_class, drawn)}
    return found


def _report(labels: pd.Series, own: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Measure each of two classes, and count what its cells were called."""
    counts = metrics.confusion(labels, own, classes)
    found: dict[str, Any] = {}
    for name, values in metrics.class_metrics(labels, own, classes).items():
        shares = {key: values[key] or 0.0 for key in ("precision", "recall", "f1")}
        called = counts.loc[name].to_dict()
        found[name] = {**shares, "support": sum(called.values()), "called": called}
    return found


def _of_subjects(
    predictions: pd.DataFrame, columns: Mapping[str, str], notes: list[str]
) -> dict[str, Any]:
    """Measure subjects, of two classes; say in the notes if that cannot be."""
    if (predictions.groupby("subject")["label"].nunique() > 1).any():
        notes.append("Some subjects have cells of both classes, so there are no scores by subject.")
        return {"of_subjects": None, "worst_first": None}
    of_subjects = subject_means(predictions, list(columns.values()))
    labels, groups = of_subjects["label"], of_subjects["group"]
    measured = {
        model: with_intervals(labels, of_subjects[column], groups, SUBJECT_METRICS)
        for model, column in columns.items()
    }
    first = next(iter(columns.values()))
    own = predictions[["subject", "label"]].assign(probability=predictions[first])
    worst_first = metrics.by_subject(own).to_dict(orient="records")
    return {"of_subjects": measured, "worst_first": worst_first}


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
    names: Sequence[str],
    threshold: float = 0.5,
) -> dict[str, dict[str, float | None]]:
    """Measure one model of two classes, each metric with its interval.

    Parameters
    ----------
    labels, probabilities, threshold
        As in :func:`leukhelpers.evaluation.metrics.metrics`; of cells, or of subjects.
    groups : array_like of str, shape (n,)
        The group of each.
    names : sequence of str
        Which of ``METRICS``.

    Returns
    -------
    dict
        Metric → ``value``, ``low``, ``high``, each float or None.
    """
    values = metrics.metrics(labels, probabilities, threshold)
    drawn = bootstrap.resample(labels, groups)
    resampled = bootstrap.bootstrap(labels, probabilities, drawn, threshold)
    return with_bounds({name: values[name] for name in names}, resampled, drawn)


def with_bounds(
    values: Mapping[str, float | None],
    resampled: Mapping[str, np.ndarray],
    drawn: bootstrap.Resamples,
) -> dict[str, dict[str, float | None]]:
    """Put each value beside its 95% interval."""
    bounded = {}
    for metric, value in values.items():
        low, high = bootstrap.interval(resampled[metric], drawn)
        bounded[metric] = {"value": value, "low": low, "high": high}
    return bounded
