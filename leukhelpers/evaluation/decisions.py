"""What a model's probabilities are worth to someone who must decide, and when it should not speak.

What has to be chosen for that is chosen on validation subjects; what comes of it is measured
on others.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation import calibration, metrics
from leukhelpers.evaluation.names import MODEL_COLUMNS
from leukhelpers.evaluation.summary import with_intervals

ALPHA = 0.1  # share of each class's cells whose class a set may lack
THRESHOLDS = np.arange(1, 20) / 20
COVERAGES = np.arange(1, 11) / 10


def net_benefit(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> pd.DataFrame:
    """Weigh the cells rightly called ALL against those wrongly called so.

    Who acts from a probability of 0.2 on says that one missed ALL cell is as bad as four
    healthy ones called ALL. So every threshold brings its own weight for the two errors.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL).
    probabilities : array_like of float, shape (n,)
        Predicted P(ALL).

    Returns
    -------
    pandas.DataFrame
        A row for each of ``THRESHOLDS``: ``threshold``; ``model``, the net benefit: true ALL cells
        less false ones, at the rate that the threshold stands for, by all cells; the same of
        ``call_all`` (every cell is called ALL) and ``call_none``, which is 0.

    Notes
    -----
    Vickers and Elkin, "Decision curve analysis", Medical Decision Making 2006.
    """
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    rate = THRESHOLDS / (1 - THRESHOLDS)
    called = scores >= THRESHOLDS[:, None]
    hit = (called & (truth == ALL)).mean(axis=1)
    wrong = (called & (truth == HEM)).mean(axis=1)
    prevalence = truth.mean()
    return pd.DataFrame(
        {
            "threshold": THRESHOLDS,
            "model": hit - rate * wrong,
            "call_all": prevalence - rate * (1 - prevalence),
            "call_none": 0.0,
        }
    )


def risk_coverage(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> pd.DataFrame:
    """Measure the errors among those cells of which a model is surest.

    Parameters
    ----------
    labels, probabilities
        As in :func:`net_benefit`. From 0.5 on a cell is called ALL; the farther away its logit,
        the surer the model.

    Returns
    -------
    pandas.DataFrame
        A row for each of ``COVERAGES``: ``coverage`` and ``risk``, the share of wrong answers among
        the cells answered. Cells of which the model is equally sure count in proportion.

    Notes
    -----
    El-Yaniv and Wiener, "On the foundations of noise-free selective classification",
    Journal of Machine Learning Research 2010.
    """
    truth, scores = metrics.checked(labels, probabilities=probabilities)
    wrong = (metrics.predicted(scores) != truth).astype(float)
    # Rounded, for 0.3 and 0.7 are as sure as one another, but not to the last bit.
    sure = np.abs(calibration.logits(scores)).round(9)
    # Among equals each is as wrong as their mean: no order of the file decides.
    wrong = pd.Series(wrong).groupby(sure).transform("mean").to_numpy()
    errors = np.cumsum(wrong[np.argsort(-sure, kind="stable")])
    answered = np.maximum(1, np.round(COVERAGES * len(truth)).astype(int))
    return pd.DataFrame({"coverage": COVERAGES, "risk": errors[answered - 1] / answered})


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
            raise InputError(f"To guarantee a coverage of {name} cells, some of them are needed.")
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
    single = named.sum(axis=1) == 1
    whose = {name: truth == label for label, name in enumerate(CLASS_NAMES)} | {"right": single}
    shares = {name: float(held[own].mean()) if own.any() else None for name, own in whose.items()}
    return {**shares, "answered": float(single.mean())}


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
    notes, chosen_on = [], None
    if validation is None:
        notes = ["There are no predictions for validation cells, so no threshold was chosen."]
    elif validation["label"].nunique() < 2:
        notes = ["The validation cells are of one class, so no threshold was chosen."]
        validation = None
    else:
        subjects = int(validation["subject"].nunique())
        chosen_on = {"cells": len(validation), "subjects": subjects}
    models = {name: _of_model(predictions, validation, column) for name, column in columns.items()}
    return {"chosen_on": chosen_on, "models": models, "notes": notes}


def _of_model(
    predictions: pd.DataFrame, validation: pd.DataFrame | None, column: str
) -> dict[str, Any]:
    labels, scores, groups = predictions["label"], predictions[column], predictions["group"]
    found: dict[str, Any] = {
        "reliability": calibration.reliability(labels, scores).to_dict("list"),
        "net_benefit": net_benefit(labels, scores).to_dict("list"),
        "risk_coverage": risk_coverage(labels, scores).to_dict("list"),
    }
    if validation is None:
        return found
    known = validation["label"], validation[column]
    threshold = calibration.choose_threshold(*known)
    temperature = calibration.fit_temperature(*known)
    least = fit_conformal(*known)
    cooled = calibration.apply_temperature(scores, temperature)
    calibrated: dict[str, Any] = with_intervals(labels, cooled, groups, ("brier", "ece"))
    calibrated["reliability"] = calibration.reliability(labels, cooled).to_dict("list")
    decided = ("accuracy", "balanced_accuracy", "weighted_f1", "sensitivity", "specificity", "mcc")
    return {
        **found,
        "threshold": threshold,
        "at_threshold": with_intervals(labels, scores, groups, decided, threshold),
        "temperature": temperature,
        "calibrated": calibrated,
        "least": least,
        "coverage": coverage(labels, prediction_sets(scores, least)),
    }
