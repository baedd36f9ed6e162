"""What an experiment reports of its predictions: metrics with intervals, for every model."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import pandas as pd

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation import bootstrap
from leukhelpers.evaluation.metrics import (
    by_subject,
    checked,
    checked_labels,
    class_metrics,
    confusion,
    metrics,
    probabilities_of,
    probability_columns,
    require_columns,
    with_names,
)
from leukhelpers.evaluation.names import METRICS, MODEL_COLUMNS, SUBJECT_METRICS


def summary(
    predictions: pd.DataFrame,
    threshold: float = 0.5,
    seed: int = 0,
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
    threshold : float
        A cell is called ALL when its probability is at least this.
    seed : int
        Seed of the bootstrap.
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
        resamples were left out). With two classes also ``threshold``, ``report`` (model → class
        → ``precision``, ``recall``, ``f1``, ``support`` and ``called``, the number of its cells
        that were called each class), ``compared`` (each other model → the first model's AUROC
        less its own), ``of_subjects`` (the same as ``models`` for subjects, of
        ``SUBJECT_METRICS``; each has the mean of its cells' probabilities) and ``worst_first``
        (the first model's table of :func:`by_subject`). With more than two ``by_class``: model →
        class → ``cells`` (number) and each of ``CLASS_METRICS`` with ``value``, ``low``, ``high``.

    Raises
    ------
    InputError
        If a column is missing or a value is not as described.
    """
    needed = [name for column in columns.values() for name in probability_columns(column, classes)]
    require_columns(predictions, ["subject", "group", "label", *needed])
    predictions = with_names(predictions)
    labels, groups = predictions["label"], predictions["group"]
    scores = {model: probabilities_of(predictions, columns[model], classes) for model in columns}
    named = {columns[model]: own for model, own in scores.items()}
    fewest = bootstrap.fewest_groups(checked(labels, classes, **named)[0], groups)
    found: dict[str, Any] = {
        "cells": len(predictions),
        "subjects": int(predictions["subject"].nunique()),
        "groups": int(groups.nunique()),
        "models": {},
        "notes": bootstrap.interval_notes(labels, groups, seed=seed, classes=classes),
    }
    by_class, report = {}, {}
    for model, own in scores.items():
        over_all, of_class = bootstrap.bootstrap(
            labels, own, groups, threshold, seed=seed, classes=classes
        )
        values = metrics(labels, own, threshold, classes)
        found["models"][model] = with_bounds(values, over_all, fewest)
        each = class_metrics(labels, own, threshold, classes)
        called = confusion(labels, own, threshold, classes)
        report[model] = {
            name: {
                **{key: each[name][key] or 0.0 for key in ("precision", "recall", "f1")},
                "support": int((labels == label).sum()),
                "called": called.loc[name].to_dict(),
            }
            for label, name in enumerate(classes)
        }
        by_class[model] = {
            name: {
                "cells": report[model][name]["support"],
                **with_bounds(each[name], of_class[name], fewest),
            }
            for name in classes
        }
    if len(classes) > 2:
        return {**found, "by_class": by_class}
    return {
        **found,
        "threshold": float(threshold),
        "report": report,
        **_of_two(predictions, threshold, seed, columns, found["notes"]),
    }


def _of_two(
    predictions: pd.DataFrame,
    threshold: float,
    seed: int,
    columns: Mapping[str, str],
    notes: list[str],
) -> dict[str, Any]:
    """Compare models and measure subjects, of two classes."""
    labels, groups = predictions["label"], predictions["group"]
    first, *others = columns.values()

    def less(column: str) -> dict[str, Any]:
        pair = predictions[first], predictions[column]
        found = bootstrap.compare(labels, *pair, groups, seed=seed)
        return {key: found[key] for key in ("difference", "low", "high")}

    compared = dict(zip(list(columns)[1:], map(less, others), strict=True))
    if (predictions.groupby("subject")["label"].nunique() > 1).any():
        notes.append("Some subjects have cells of both classes, so subjects are not measured.")
        return {"compared": compared, "of_subjects": None, "worst_first": None}
    subjects = subject_means(predictions, list(columns.values()))
    own = predictions[["subject", "label"]].assign(probability=predictions[first])
    return {
        "compared": compared,
        "of_subjects": {
            model: with_intervals(
                subjects["label"],
                subjects[column],
                subjects["group"],
                SUBJECT_METRICS,
                threshold,
                seed,
            )
            for model, column in columns.items()
        },
        "worst_first": by_subject(own, threshold).to_dict(orient="records"),
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
    """Measure one model, each metric with its interval.

    Parameters
    ----------
    labels, probabilities, groups, threshold, seed
        As in :func:`leukhelpers.evaluation.bootstrap.bootstrap`; of cells, or of subjects.
    names : sequence of str
        Which of ``METRICS``.

    Returns
    -------
    dict
        Metric → ``value``, ``low``, ``high``, each float or None.
    """
    values = metrics(labels, probabilities, threshold)
    resampled, _ = bootstrap.bootstrap(labels, probabilities, groups, threshold, seed=seed)
    fewest = bootstrap.fewest_groups(checked_labels(labels), groups)
    return with_bounds({name: values[name] for name in names}, resampled, fewest)


def with_bounds(
    values: dict[str, float | None], resampled: pd.DataFrame, fewest: int
) -> dict[str, dict[str, float | None]]:
    """Put each value beside its 95 % interval."""
    bounded = {}
    for metric, value in values.items():
        low, high = bootstrap.interval(resampled[metric], fewest, bootstrap.N_RESAMPLES)
        bounded[metric] = {"value": value, "low": low, "high": high}
    return bounded
