"""Predictions of a model, the area baseline and the majority answer, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.evaluation import decisions, metrics, summary
from leukhelpers.evaluation.names import MODEL_COLUMNS
from leukhelpers.models import classical, prepare


def fit_baselines(prepared: prepare.Prepared) -> dict[str, Any]:
    """Fit the two answers that stand beside every network: area alone, and majority.

    Returns
    -------
    dict
        ``area``, the numbers of :func:`leukhelpers.models.classical.fit_area`, and
        ``share_of_all`` in training; of more than two classes ``shares``, one a class.
    """
    labels, k = prepared.table["label"].to_numpy(), len(prepared.dataset.classes)
    split = prepared.split
    area = classical.fit_area(prepared.pixels, labels, split, prepared.profile.crop, k)
    if k == 2:
        return {"area": area, "share_of_all": float(labels[split.train].mean())}
    shares = np.bincount(labels[split.train], minlength=k) / len(split.train)
    return {"area": area, "shares": shares.tolist()}


def answers_beside(
    answer: np.ndarray, baselines: dict[str, Any], prepared: prepare.Prepared, rows: np.ndarray
) -> pd.DataFrame:
    """Let the area model and the majority answer the same cells as a model.

    Parameters
    ----------
    answer : float array of shape (m,) or (m, n_classes)
        The model's probabilities of `rows`.
    baselines : dict
        From :func:`fit_baselines`.
    prepared : Prepared
        The cells.
    rows : numpy.ndarray of int
        The rows that were answered.

    Returns
    -------
    pandas.DataFrame
        A row a cell: ``cell_id, subject, group, fold, label, probability,
        area_probability, majority_probability``; probabilities are of ALL. Of more than
        two classes each has its own three, such as ``area_probability_<class>``.
    """
    cells, classes = prepared.table.iloc[rows], prepared.dataset.classes
    shares = baselines["share_of_all"] if len(classes) == 2 else baselines["shares"]
    crop, majority = prepared.profile.crop, np.full((len(rows), *np.shape(shares)), shares)
    area = classical.predict_area(baselines["area"], prepared.pixels, rows, crop)
    table = cells[["cell_id", "subject", "fold", "label"]].reset_index(drop=True)
    table.insert(2, "group", prepared.split.groups[rows])
    for column, probabilities in zip(MODEL_COLUMNS.values(), (answer, area, majority), strict=True):
        names = metrics.probability_columns(column, classes)
        table[names] = probabilities.reshape(len(rows), len(names))
    return table


def measure(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    columns: Mapping[str, str] = MODEL_COLUMNS,
    validation: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Sum up predictions, see :func:`leukhelpers.evaluation.summary.summary`.

    Of two classes ``decisions`` holds what was chosen on validation cells, and what came
    of it: see :func:`leukhelpers.evaluation.decisions.summary`.
    """
    found = summary.summary(predictions, columns=columns, classes=classes)
    if len(classes) == 2:
        found["decisions"] = decisions.summary(predictions, validation, columns)
    return found


def columns_of_run(name: str) -> dict[str, str]:
    """Tell in which columns of its predictions a run of some model keeps whose answers."""
    first, *others = MODEL_COLUMNS.items()
    return {name: first[1], **dict(others)}
