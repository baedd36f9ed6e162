"""Charts of training and of scores: how well a model answers, and beside what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import ERRORS, METRIC_NAMES, MODEL_NAMES
from leukhelpers.plots.style import (
    CLASS_COLORS,
    FAINT,
    INK,
    MODEL_COLORS,
    color_key,
    dark,
    label_line_ends,
    model_color,
    new_figure,
    require_columns,
    signed,
    styled,
    write,
)

CHANCE_IS_HALF = ("auroc", "balanced_accuracy")


@styled
def learning_curves(
    history: pd.DataFrame,
    title: str,
    note: str = "",
) -> Figure:
    """Draw loss and accuracy over the epochs.

    Parameters
    ----------
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``loss``, ``val_loss``, ``accuracy``,
        ``val_accuracy``.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels.

    Raises
    ------
    InputError
        If a column is missing or there is no epoch.
    """
    require_columns(history, ["epoch", "loss", "val_loss", "accuracy", "val_accuracy"])
    epochs = history["epoch"].to_numpy()
    figure = new_figure(3.0, title, note)
    layout: Any = figure.get_layout_engine()
    layout.set(wspace=0.08)
    ylabels = {"loss": "loss (cross-entropy)", "accuracy": "accuracy (share of cells)"}
    for axes, (name, ylabel) in zip(figure.subplots(1, 2), ylabels.items(), strict=True):
        green = MODEL_COLORS["cnn"]
        trained, validated = history[name].to_numpy(), history[f"val_{name}"].to_numpy()
        axes.plot(epochs, trained, color=FAINT, linewidth=1.6)
        axes.plot(epochs, validated, color=green, linewidth=2.2)
        ends = [
            ("training", epochs[-1], trained[-1], FAINT),
            ("validation", epochs[-1], validated[-1], green),
        ]
        axes.margins(y=0.1)
        label_line_ends(axes, ends)
        axes.set(xlabel="epoch", ylabel=ylabel)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


@styled
def confusion_matrix(table: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw counts and row shares of a confusion matrix.

    Parameters
    ----------
    table : pandas.DataFrame of int, shape (2, 2)
        From :func:`leukhelpers.evaluation.metrics.confusion`: true class on the rows.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the table has not two rows and two columns.
    """
    counts = np.asarray(table)
    if counts.shape != (2, 2):
        raise InputError("The confusion matrix must have two rows and two columns.")
    of_row = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(of_row, 1)
    tints = [sns.light_palette(color, as_cmap=True) for color in CLASS_COLORS]
    figure = new_figure(3.9, title, note)
    axes = figure.subplots()
    colors = [[tints[row](0.6 * shares[row, column]) for column in (0, 1)] for row in (0, 1)]
    axes.imshow(colors, aspect=0.62)
    for row in (HEM, ALL):
        for column in (HEM, ALL):
            middle: dict[str, Any] = {"ha": "center", "va": "center"}
            count = f"{counts[row, column]:,}"
            axes.text(column, row - 0.08, count, size=20, weight="bold", **middle)
            share = f"{shares[row, column]:.1%} of true {CLASS_NAMES[row]}"
            axes.text(column, row + 0.17, share, size=9.5, **middle)
    axes.set_xticks([0, 1], CLASS_NAMES)
    rows = [f"{name}\n{n:,}" for name, n in zip(CLASS_NAMES, of_row[:, 0], strict=True)]
    axes.set_yticks([0, 1], rows)
    axes.hlines(0.5, -0.5, 1.5, color="white", linewidth=5)
    axes.vlines(0.5, -0.5, 1.5, color="white", linewidth=5)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class (cells)")
    axes.tick_params(length=0, labelsize=10.5)
    axes.spines[:].set_visible(False)
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        for text, color in zip(labels, CLASS_COLORS, strict=True):
            text.set(color=dark(color), weight="bold")
    return figure


@styled
def roc_curves(
    labels: npt.ArrayLike, probabilities: Mapping[str, npt.ArrayLike], title: str, note: str = ""
) -> Figure:
    """Draw the ROC curves of several models on the same cells.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL).
    probabilities : mapping of str to array_like of float, shape (n,)
        P(ALL) by each model; ``cnn``, ``area`` and ``majority`` have colors of
        their own.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the cells do not hold both classes.
    """
    truth = np.asarray(labels)
    if set(np.unique(truth).tolist()) != {HEM, ALL}:
        raise InputError("A ROC curve needs cells of both classes, labeled 0 (HEM) and 1 (ALL).")
    figure = new_figure(4.8, title, note)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 4)), zorder=3)
    rows = [("chance", "0.50", FAINT)]
    for index, (name, scores) in enumerate(probabilities.items()):
        false_positive, true_positive, _ = sk.roc_curve(truth, scores)
        color = model_color(name, index)
        axes.plot(false_positive, true_positive, color=color, linewidth=2.2, clip_on=False)
        auroc = sk.roc_auc_score(truth, scores)
        rows.insert(index, (MODEL_NAMES.get(name, name), f"{auroc:.2f}", color))
    top = 0.06 + 0.062 * len(rows)
    axes.text(0.98, top, "AUROC", ha="right", va="bottom", size=9, color=FAINT)
    for index, (name, value, color) in enumerate(rows):
        style: dict[str, Any] = {"color": dark(color), "va": "bottom", "weight": "bold"}
        axes.text(0.88, top - 0.062 * (index + 1), name, ha="right", **style)
        axes.text(0.98, top - 0.062 * (index + 1), value, ha="right", **style)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), aspect="equal", anchor="W")
    axes.set_xlabel("1 \N{MINUS SIGN} specificity (share of HEM cells called ALL)")
    axes.set_ylabel("sensitivity (share of ALL cells called ALL)")
    return figure


@styled
def metric_bars(summary: Mapping[str, Any], title: str, note: str = "") -> Figure:
    """Draw each metric of each model, errors aside, as a point with its 95 % interval.

    Parameters
    ----------
    summary : mapping
        From :func:`leukhelpers.evaluation.summary.summary`.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If the summary holds no model.
    """
    models: Mapping[str, Any] = summary.get("models", {})
    if not models:
        raise InputError("The summary holds no model to draw; make it with evaluation.summary.")
    # Of errors less is better: not in one chart with the others.
    names = [name for name in next(iter(models.values())) if name not in ERRORS]
    step = 0.72 / len(models)
    figure = new_figure(0.9 + 0.2 * len(names) * (len(models) + 0.6), title, note)
    axes = figure.subplots()
    lowest = 0.0
    beside = axes.get_yaxis_transform()
    for order, (model, values) in enumerate(models.items()):
        color = model_color(model, order)
        for row, metric in enumerate(names):
            y = row + step * (order - (len(models) - 1) / 2)
            value, low, high = (values[metric][key] for key in ("value", "low", "high"))
            written = "undefined" if value is None else signed(value)
            at, style = (1, y), {"va": "center", "size": 8.5, "color": dark(color)}
            write(axes, written, at, beside, (9, 0), **style)
            if value is None:
                continue
            lowest = min(lowest, value, value if low is None else low)
            if low is not None:
                axes.hlines(y, low, high, color=color, linewidth=2)
            axes.plot(value, y, "o", color=color, markersize=6.5, mec="white", clip_on=False)
    for row, metric in enumerate(names):
        if metric in CHANCE_IS_HALF:
            dotted: Any = {"color": FAINT, "linewidth": 1, "linestyle": (0, (2, 2))}
            axes.vlines(0.5, row - 0.45, row + 0.45, **dotted)
            write(axes, "chance", (0.5, row - 0.3), shift=(-4, 0), ha="right", va="center", size=8)
        if row:
            axes.axhline(row - 0.5, color="#ececec", linewidth=0.8, zorder=0)
    axes.set(xlim=(lowest - 0.02 if lowest < 0 else 0, 1), ylim=(len(names) - 0.5, -0.5))
    rows = [METRIC_NAMES.get(name, name).replace(" at ", " at\n") for name in names]
    axes.set_yticks(range(len(names)), rows)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("value, with its 95 % interval over groups of subjects")
    key = {MODEL_NAMES.get(name, name): model_color(name, i) for i, name in enumerate(models)}
    color_key(axes, key)
    return figure
