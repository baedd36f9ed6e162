"""What a model's probabilities are worth to someone who must decide, and when it should not speak.

What has to be chosen for that is chosen on validation subjects; what comes of it is measured
on others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation import calibration, metrics
from leukhelpers.evaluation.names import ERRORS, MODEL_COLUMNS
from leukhelpers.evaluation.summary import with_intervals

ALPHA = 0.1  # share of each class's cells whose class a set may lack
THRESHOLDS = tuple(round(at / 20, 2) for at in range(1, 20))
COVERAGES = tuple(round(at / 10, 1) for at in range(1, 11))


def net_benefit(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, thresholds: npt.ArrayLike = THRESHOLDS
) -> pd.DataFrame:
    """Weigh the cells rightly called ALL against those wrongly called so.

    Who acts from a probability of 0.2 on says that one missed ALL cell is as bad as four
    healthy ones called ALL. So every threshold brings its own weight for the two errors.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL).
    probabilities : array_like of float, shape (n,)
        Predicted P(ALL).
    thresholds : array_like of float
        Above 0 and below 1.

    Returns
    -------
    pandas.DataFrame
        A row a threshold: ``threshold``; ``model``, the net benefit: true ALL cells less
        false ones, at the rate that the threshold stands for, by all cells; the same of
        ``call_all`` (every cell is called ALL) and ``call_none``, which is 0.

    Notes
    -----
    Vickers and Elkin, "Decision curve analysis", Medical Decision Making 2006.
    """
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    at = np.atleast_1d(np.asarray(thresholds, float))
    if not ((at > 0) & (at < 1)).all():
        raise InputError("thresholds must lie above 0 and below 1.")
    rate = at / (1 - at)
    called = scores >= at[:, None]
    hit = (called & (truth == ALL)).mean(axis=1)
    wrong = (called & (truth == HEM)).mean(axis=1)
    prevalence = truth.mean()
    return pd.DataFrame(
        {
            "threshold": at,
            "model": hit - rate * wrong,
            "call_all": prevalence - rate * (1 - prevalence),
            "call_none": 0.0,
        }
    )


def risk_coverage(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    threshold: float = 0.5,
    coverages: npt.ArrayLike = COVERAGES,
) -> pd.DataFrame:
    """Measure the errors among those cells of which a model is surest.

    Parameters
    ----------
    labels, probabilities
        As in :func:`net_benefit`.
    threshold : float
        A cell is called ALL from here on; the farther away its logit, the surer the model.
    coverages : array_like of float
        Shares of the cells that are answered, above 0 and at most 1.

    Returns
    -------
    pandas.DataFrame
        A row a coverage: ``coverage`` and ``risk``, the share of wrong answers among
        the cells answered. Cells of which the model is equally sure count in proportion.

    Notes
    -----
    El-Yaniv and Wiener, "On the foundations of noise-free selective classification",
    Journal of Machine Learning Research 2010.
    """
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    shares = np.atleast_1d(np.asarray(coverages, float))
    if not ((shares > 0) & (shares <= 1)).all():
        raise InputError("coverages must lie above 0 and be at most 1.")
    wrong = (metrics.predicted(scores, threshold) != truth).astype(float)
    # Rounded, for 0.3 and 0.7 are as sure as one another, but not to the last bit.
    sure = np.abs(calibration.logits(scores) - calibration.logits(threshold)).round(9)
    # Among equals each is as wrong as their mean: no order of the file decides.
    wrong = pd.Series(wrong).groupby(sure).transform("mean").to_numpy()
    errors = np.cumsum(wrong[np.argsort(-sure, kind="stable")])
    answered = np.maximum(1, np.round(shares * len(truth)).astype(int))
    return pd.DataFrame({"coverage": shares, "risk": errors[answered - 1] / answered})


def fit_conformal(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, missed: float = ALPHA
) -> dict[str, float]:
    """Find how improbable a class may be and still be named, for each class by itself.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes of validation cells.
    probabilities : array_like of float, shape (n,)
        P(ALL) by a model that has not learnt from them.
    missed : float
        Share of the cells of each class whose own class may be missing in their set, at
        least 0 and below 1.

    Returns
    -------
    dict of str to float
        Class name → the least probability with which it is named.

    Raises
    ------
    InputError
        If a class is missing, or an argument is not as described.

    Notes
    -----
    Split conformal prediction, class by class: Vovk, "Conditional validity of inductive
    conformal predictors", ACML 2012. The promise holds for cells drawn from the same lot as
    those here. Cells of other people are not: what is left of it must be measured.
    """
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    if not 0 <= missed < 1:
        raise InputError(f"missed must be a share from 0 to below 1, not {missed!r}.")
    least = {}
    for label, name in enumerate(CLASS_NAMES):
        own = np.sort((scores if label == ALL else 1 - scores)[truth == label])
        if len(own) == 0:
            raise InputError(f"To promise a coverage of {name} cells, some of them are needed.")
        # The cell to come is one more: of n + 1 cells at most this many may be missed.
        below = int(np.floor(missed * (len(own) + 1)))
        least[name] = float(own[below - 1]) if below else 0.0
    return least


def prediction_sets(probabilities: npt.ArrayLike, least: Mapping[str, float]) -> np.ndarray:
    """Name for each cell the classes that are probable enough.

    Returns
    -------
    numpy.ndarray of bool, shape (n, 2)
        HEM and ALL. A cell with both, or with none, gets no answer: the model abstains.
    """
    scores = metrics.checked_probabilities(probabilities, "probabilities")
    return np.column_stack([1 - scores >= least["HEM"], scores >= least["ALL"]])


def coverage(labels: npt.ArrayLike, named: np.ndarray) -> dict[str, float | None]:
    """Measure sets of classes: how often the true class is in, how often one class stands alone.

    Returns
    -------
    dict
        ``HEM``, ``ALL``: share of the cells of that class whose set holds it, None without
        such cells; ``answered``: share of cells with exactly one class; ``right``: share of
        right ones among these, None if there are none.
    """
    truth = metrics.checked_labels(labels)
    held = named[np.arange(len(truth)), truth]
    found: dict[str, float | None] = {
        name: float(held[truth == label].mean()) if (truth == label).any() else None
        for label, name in enumerate(CLASS_NAMES)
    }
    single = named.sum(axis=1) == 1
    found["answered"] = float(single.mean())
    found["right"] = float(held[single].mean()) if single.any() else None
    return found


def summary(
    predictions: pd.DataFrame,
    validation: pd.DataFrame | None,
    columns: Mapping[str, str] = MODEL_COLUMNS,
) -> dict[str, Any]:
    """Choose on validation cells, and measure what comes of it on others.

    Parameters
    ----------
    predictions, validation : pandas.DataFrame
        Rows of held-out and of validation cells, as
        :func:`leukhelpers.evaluation.summary.summary` takes them. Without validation cells nothing
        is chosen.
    columns : mapping of str
        Model → the column of its answers.

    Returns
    -------
    dict
        Can be written as JSON. ``chosen_on``: ``cells`` and ``subjects``, or None;
        ``models``: model → ``reliability``, ``net_benefit``, ``risk_coverage`` (tables by
        column), and if something could be chosen ``threshold`` with ``at_threshold``
        (metrics with intervals), ``temperature`` with ``calibrated`` (``brier``, ``ece``
        with intervals, ``reliability``), and ``least`` with ``coverage`` of the sets;
        ``notes``: sentences.
    """
    notes: list[str] = []
    if validation is None:
        notes.append("No answers to validation cells were kept, so nothing could be chosen.")
    elif validation["label"].nunique() < 2:
        notes.append("The validation cells are of one class, so nothing could be chosen.")
        validation = None
    chosen_on = None
    if validation is not None:
        subjects = int(validation["subject"].nunique())
        chosen_on = {"cells": len(validation), "subjects": subjects}
    return {
        "chosen_on": chosen_on,
        "models": {
            model: _of_model(predictions, validation, column) for model, column in columns.items()
        },
        "notes": notes,
    }


def _of_model(
    predictions: pd.DataFrame, validation: pd.DataFrame | None, column: str
) -> dict[str, Any]:
    labels, scores = predictions["label"], predictions[column]
    found: dict[str, Any] = {
        "reliability": _columns(calibration.reliability(labels, scores)),
        "net_benefit": _columns(net_benefit(labels, scores)),
        "risk_coverage": _columns(risk_coverage(labels, scores)),
    }
    if validation is None:
        return found
    known = validation["label"], validation[column]
    threshold = calibration.choose_threshold(*known)
    temperature = calibration.fit_temperature(*known)
    least = fit_conformal(*known)
    cooled = pd.Series(calibration.apply_temperature(scores, temperature), index=labels.index)

    def measured(probabilities: pd.Series, names: Sequence[str]) -> dict[str, Any]:
        groups = predictions["group"]
        return with_intervals(labels, probabilities, groups, names, threshold)

    decided = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "mcc")
    return {
        **found,
        "threshold": threshold,
        "at_threshold": measured(scores, decided),
        "temperature": temperature,
        "calibrated": {
            **measured(cooled, ERRORS),
            "reliability": _columns(calibration.reliability(labels, cooled)),
        },
        "least": least,
        "coverage": coverage(labels, prediction_sets(scores, least)),
    }


def _columns(table: pd.DataFrame) -> dict[str, list]:
    return table.to_dict(orient="list")
