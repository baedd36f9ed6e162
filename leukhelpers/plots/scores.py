"""Charts of training and of scores: how well a model answers, and beside what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics as sk

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES
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
    number,
    require_columns,
    signed,
    styled,
    write,
)


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
def repeated_scores(
    values: Mapping[str, npt.ArrayLike], title: str, metric: str, note: str = ""
) -> Figure:
    """Draw the scores of repeated runs, a row a setting: spread beside difference.

    Parameters
    ----------
    values : mapping of str to array_like of float
        Setting → the score of each of its runs, in the order in which they are to stand.
        Settings may have different numbers of runs.
    title : str
        The finding.
    metric : str
        What the scores are.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        A dot a run, a tick at their mean.

    Raises
    ------
    InputError
        If there is no setting, or one has no run or a score that is not finite.
    """
    rows = {name: np.sort(np.asarray(runs, dtype=float)) for name, runs in values.items()}
    if not rows or not all(
        runs.ndim == 1 and len(runs) and np.isfinite(runs).all() for runs in rows.values()
    ):
        raise InputError("Give every setting the finite scores of its runs, at least one.")
    figure, axes = _score_rows(rows, title, note)
    axes.margins(x=0.08)
    axes.set_xlabel(f"{metric} (dot: one run; tick: mean of the runs)")
    return figure


def _draw_folds(axes: Axes, folds: np.ndarray, middle: float, color: str) -> None:
    """Draw sorted folds as dots over their range, and their mean as a tick."""
    # Steps of the golden ratio set neighbors apart, and the same ones in every run.
    heights = middle + 0.16 * ((np.arange(len(folds)) * 0.618) % 1 - 0.5)
    mean = folds.mean()
    axes.hlines(middle, folds[0], folds[-1], color=color, linewidth=9, alpha=0.2)
    axes.plot(folds, heights, "o", color=color, markersize=4.5, alpha=0.8, mew=0, clip_on=False)
    axes.vlines(mean, middle - 0.16, middle + 0.16, color=dark(color), linewidth=3)
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "weight": "bold"}
    top = (mean, middle - 0.16)
    write(axes, f"{mean:.2f}", top, shift=(0, 1), color=dark(color), **style)


def _score_rows(rows: Mapping[str, np.ndarray], title: str, note: str) -> tuple[Figure, Axes]:
    """Draw sorted scores, a row a model or setting."""
    figure = new_figure(0.9 + 0.5 * len(rows), title, note)
    axes = figure.subplots()
    for row, (name, scores) in enumerate(rows.items()):
        _draw_folds(axes, scores, row + 0.05, model_color(name, row))
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_yticks(np.arange(len(rows)) + 0.05, [MODEL_NAMES.get(name, name) for name in rows])
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_visible(False)
    return figure, axes


@styled
def feature_bars(
    shares: pd.Series,
    measured: pd.Series,
    base: float,
    unit: str,
    title: str,
    note: str = "",
    at_most: int = 12,
) -> Figure:
    """Draw what each named feature added to a classical model's answer to one cell.

    Parameters
    ----------
    shares : pandas.Series
        Feature → its share, positive towards ALL.
    measured : pandas.Series
        Feature → what was measured of the cell.
    base : float
        The mean answer to the background, where the sharing begins.
    unit : str
        Of shares and base.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.
    at_most : int
        So many features have a bar of their own; the others have one together.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no feature, or the two lists name others.
    """
    if len(shares) == 0 or list(shares.index) != list(measured.index):
        raise InputError("The bars need a share and a measured value of each feature.")
    order = shares.abs().sort_values(ascending=False).index
    shown = shares[order[:at_most]]
    names = [f"{name.replace('_', ' ')} = {number(measured[name])}" for name in shown.index]
    values = shown.tolist()
    if len(order) > at_most:
        names.append(f"{len(order) - at_most} other features")
        values.append(float(shares[order[at_most:]].sum()))
    figure = new_figure(1.1 + 0.27 * len(values), title, note)
    axes = figure.subplots()
    colors = [CLASS_COLORS[ALL if value > 0 else HEM] for value in values]
    places = np.arange(len(values))[::-1]
    axes.barh(places, values, color=colors, height=0.7)
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_yticks(places, names)
    reach = 1.25 * max(np.abs(values).max(), 1e-9)
    axes.set_xlim(-reach, reach)
    for place, value in zip(places, values, strict=True):
        side, shift = ("left", 4) if value > 0 else ("right", -4)
        write(axes, signed(value, "+"), (value, place), shift=(shift, 0), ha=side, va="center")
    total = base + float(shares.sum())
    axes.set_xlabel(
        f"share of the answer, in {unit}:\n{signed(base)} (training cells) "
        f"and all shares make {signed(total)}"
    )
    color_key(axes, {"towards HEM": CLASS_COLORS[HEM], "towards ALL": CLASS_COLORS[ALL]})
    return figure


@styled
def by_subject_bars(
    table: pd.DataFrame, title: str, majority: float | None = None, note: str = ""
) -> Figure:
    """Draw the share of cells answered rightly, a bar a subject, in the table's order.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`leukhelpers.evaluation.metrics.by_subject`: ``subject``, ``label``,
        ``cells``, ``correct``, the worst first.
    title : str
        The finding.
    majority : float, optional
        Share answered rightly over all cells by the majority class, as a line.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        Two columns of bars for more than 40 subjects.

    Raises
    ------
    InputError
        If a column is missing or there is no subject.
    """
    require_columns(table, ["subject", "label", "cells", "correct"])
    columns = 2 if len(table) > 40 else 1
    in_column = -(-len(table) // columns)
    figure = new_figure(1.0 + 0.19 * max(in_column, 3), title, note)
    panels = figure.subplots(1, columns, squeeze=False)[0]
    for index, axes in enumerate(panels):
        part = table.iloc[index * in_column : (index + 1) * in_column]
        rows = np.arange(len(part))
        colors = [CLASS_COLORS[label] for label in part["label"]]
        axes.barh(rows, part["correct"], height=0.72, color=colors)
        beside, above = axes.get_yaxis_transform(), ("data", "axes fraction")
        style: dict[str, Any] = {"size": 8, "color": FAINT}
        for row, cells in zip(rows, part["cells"], strict=True):
            write(axes, f"{cells:,}", (1, row), beside, (7, 0), va="center", **style)
        write(axes, "cells", (1, 1), "axes fraction", (7, 3), va="bottom", **style)
        axes.axvline(0.5, color=INK, linewidth=0.9, linestyle=(0, (2, 2)))
        if majority is not None:
            axes.axvline(majority, color=INK, linewidth=0.9)
            write(axes, "majority", (majority, 1), above, (0, 3), ha="center", **style)
        axes.set(xlim=(0, 1), ylim=(in_column - 0.4, -0.6))
        axes.set_yticks(rows, part["subject"].tolist(), size=8.5)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("share of its cells answered rightly")
    panels[0].set_ylabel("subject")
    present = sorted(set(table["label"]))
    key = {CLASS_NAMES[label]: CLASS_COLORS[label] for label in present}
    color_key(panels[0], key, lift=17)
    return figure
