"""What a run tells of its predictions: metrics with intervals, for every model."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation.bootstrap import compare, interval_notes, with_intervals
from leukhelpers.evaluation.metrics import (
    by_subject,
    checked,
    classification_report,
    confusion,
    require_columns,
    with_names,
)
from leukhelpers.evaluation.names import METRICS, MODEL_COLUMNS, SUBJECT_METRICS


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
