"""Charts of training and of scores: how well a model answers, and beside what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from leukhelpers.evaluation.names import ERRORS, METRIC_NAMES, MODEL_NAMES
from leukhelpers.plots.style import (
    CLASS_COLOURS,
    FAINT,
    INK,
    MODEL_COLOURS,
    RULE,
    SPARE_COLOURS,
    colour_key,
    dark,
    label_line_ends,
    model_colour,
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
    majority: float | None = None,
    note: str = "",
    kept_epoch: int | None = None,
) -> Figure:
    """Draw loss and accuracy over the epochs, and mark the epoch that was kept.

    Parameters
    ----------
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``loss``, ``val_loss``, ``accuracy``,
        ``val_accuracy``.
    title : str
        The finding.
    majority : float, optional
        Validation accuracy of always answering the majority class, as a line.
    note : str
        Small text in the lower right corner.
    kept_epoch : int, optional
        The epoch that was kept; by default that of the lowest ``val_loss``.

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
    lowest = int(np.argmin(history["val_loss"].to_numpy()))
    best = lowest if kept_epoch is None else int(np.flatnonzero(epochs == kept_epoch)[0])
    figure = new_figure(3.0, title, note)
    layout: Any = figure.get_layout_engine()
    layout.set(wspace=0.08)
    ylabels = {"loss": "loss (cross-entropy)", "accuracy": "accuracy (share of cells)"}
    for axes, (name, ylabel) in zip(figure.subplots(1, 2), ylabels.items(), strict=True):
        green = MODEL_COLOURS["cnn"]
        trained, validated = history[name].to_numpy(), history[f"val_{name}"].to_numpy()
        axes.plot(epochs, trained, color=FAINT, linewidth=1.6)
        axes.plot(epochs, validated, color=green, linewidth=2.2)
        ends = [
            ("training", epochs[-1], trained[-1], FAINT),
            ("validation", epochs[-1], validated[-1], green),
        ]
        if name == "accuracy" and majority is not None:
            grey = MODEL_COLOURS["majority"]
            axes.hlines(majority, epochs[0], epochs[-1], color=grey, linewidth=1, linestyle="--")
            ends.append(("majority", epochs[-1], majority, grey))
        axes.axvline(epochs[best], color=RULE, linewidth=0.9, linestyle=(0, (3, 3)), zorder=0)
        axes.plot(epochs[best], validated[best], "o", color=green, markersize=8, mec="white")
        kept, above = f"kept: epoch {epochs[best]}", ("data", "axes fraction")
        write(axes, kept, (epochs[best], 1), above, (0, 3), ha="center", size=8.5, color=FAINT)
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
    tints = [sns.light_palette(colour, as_cmap=True) for colour in CLASS_COLOURS]
    figure = new_figure(3.9, title, note)
    axes = figure.subplots()
    colours = [[tints[row](0.6 * shares[row, column]) for column in (0, 1)] for row in (0, 1)]
    axes.imshow(colours, aspect=0.62)
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
        for text, colour in zip(labels, CLASS_COLOURS, strict=True):
            text.set(color=dark(colour), weight="bold")
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
        P(ALL) by each model; ``cnn``, ``area`` and ``majority`` have colours of
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
        raise InputError("A ROC curve needs cells of both classes, labelled 0 (HEM) and 1 (ALL).")
    figure = new_figure(4.8, title, note)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 4)), zorder=3)
    rows = [("chance", "0.50", FAINT)]
    for index, (name, scores) in enumerate(probabilities.items()):
        false_positive, true_positive, _ = sk.roc_curve(truth, scores)
        colour = model_colour(name, index)
        axes.plot(false_positive, true_positive, color=colour, linewidth=2.2, clip_on=False)
        auroc = sk.roc_auc_score(truth, scores)
        rows.insert(index, (MODEL_NAMES.get(name, name), f"{auroc:.2f}", colour))
    top = 0.06 + 0.062 * len(rows)
    axes.text(0.98, top, "AUROC", ha="right", va="bottom", size=9, color=FAINT)
    for index, (name, value, colour) in enumerate(rows):
        style: dict[str, Any] = {"color": dark(colour), "va": "bottom", "weight": "bold"}
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
        colour = model_colour(model, order)
        for row, metric in enumerate(names):
            y = row + step * (order - (len(models) - 1) / 2)
            value, low, high = (values[metric][key] for key in ("value", "low", "high"))
            written = "undefined" if value is None else signed(value)
            at, style = (1, y), {"va": "center", "size": 8.5, "color": dark(colour)}
            write(axes, written, at, beside, (9, 0), **style)
            if value is None:
                continue
            lowest = min(lowest, value, value if low is None else low)
            if low is not None:
                axes.hlines(y, low, high, color=colour, linewidth=2)
            axes.plot(value, y, "o", color=colour, markersize=6.5, mec="white", clip_on=False)
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
    key = {MODEL_NAMES.get(name, name): model_colour(name, i) for i, name in enumerate(models)}
    colour_key(axes, key)
    return figure


@styled
def split_leak(
    values: Mapping[str, Mapping[str, npt.ArrayLike]],
    title: str,
    note: str = "",
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Compare the AUROC of models under two ways of splitting the same cells.

    Parameters
    ----------
    values : mapping of str to mapping of str to array_like of float
        For each model its AUROC by split, one a fold, the honest split first:
        ``{"SVM": {"split by group": [0.70, 0.91], "split by image": [0.95, 0.96]}}``.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.
    intervals : mapping of str to (float, float), optional
        For each model the 95 % interval of its gain.

    Returns
    -------
    matplotlib.figure.Figure
        A dot a fold, a tick at their mean, and the gain between the two means.

    Raises
    ------
    InputError
        If there is no model, the models were not split in the same two ways, or a
        split has no fold or a fold no AUROC.
    """
    splits = list(next(iter(values.values()), {}))
    if len(splits) != 2 or any(list(by_split) != splits for by_split in values.values()):
        raise InputError("Give every model its AUROC under the same two splits, in the same order.")
    for folds in (np.asarray(given) for by_split in values.values() for given in by_split.values()):
        if folds.ndim != 1 or len(folds) == 0 or not np.isfinite(folds).all():
            raise InputError("Give each split one finite AUROC a fold, in a sequence.")
    figure = new_figure(0.9 + 1.15 * len(values), title, note)
    axes = figure.subplots()
    colours = dict(zip(splits, SPARE_COLOURS[:2], strict=True))
    lowest = 0.52
    for row, (model, by_split) in enumerate(values.items()):
        means = []
        for split, middle in zip(splits, (row - 0.18, row + 0.28), strict=True):
            folds = np.sort(np.asarray(by_split[split], dtype=float))
            _draw_folds(axes, folds, middle, colours[split])
            means.append(folds.mean())
            lowest = min(lowest, folds[0])
        gain, beside = signed(means[1] - means[0], plus="+"), axes.get_yaxis_transform()
        write(axes, gain, (1, row + 0.05), beside, (24, 0), va="center", size=10, weight="bold")
        if intervals is not None:
            bounds = " to ".join(signed(bound) for bound in intervals[model])
            write(
                axes, bounds, (1, row + 0.05), beside, (24, -13), va="center", size=8, color=FAINT
            )
    axes.axvline(0.5, color=FAINT, linewidth=1)
    axes.set(xlim=(lowest - 0.02, 1), ylim=(len(values) - 0.5, -0.5))
    axes.set_yticks(np.arange(len(values)) + 0.05, list(values))
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("AUROC (dot: one fold; tick: mean of the folds; 0.5 is chance)")
    colour_key(axes, colours)
    write(axes, "gain", (1, 1), "axes fraction", (24, 4), va="bottom", color=FAINT)
    return figure


@styled
def repair_steps(
    steps: Mapping[str, Mapping[str, float]],
    beside: Mapping[str, Mapping[str, float]],
    metrics: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Show how metrics move from one state of a study to the next, a row a state.

    Parameters
    ----------
    steps : mapping of str to mapping of str to float
        For each state its metrics, by their names in ``evaluation.METRICS``; the first
        stands on top.
    beside : mapping of str to mapping of str to float
        What to compare them with, such as the majority answer; stands below a rule.
    metrics : sequence of str
        Which of them to draw; at most four.
    title, note : str
        The finding, and small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        A mark for each metric, joined from row to row by a pale line.

    Raises
    ------
    InputError
        If there are fewer than two states, or a metric is missing or no number.
    """
    if len(steps) < 2:
        raise InputError("Give at least two states of a study, to see what moves.")
    every = {**steps, **beside}
    figure = new_figure(1.1 + 0.42 * len(every), title, note)
    axes = figure.subplots()
    markers = ["o", "^", "v", "s"][: len(metrics)]
    rows = np.arange(len(every))
    for index, (metric, marker) in enumerate(zip(metrics, markers, strict=True)):
        values = np.array([found.get(metric, np.nan) for found in every.values()], dtype=float)
        if not np.isfinite(values).all():
            raise InputError(f"Every state needs a finite value of {metric!r}.")
        colour, moving = SPARE_COLOURS[index], slice(len(steps))
        axes.plot(values[moving], rows[moving], color=colour, alpha=0.3, linewidth=1.5)
        axes.plot(values, rows, marker, color=colour, markersize=7, clip_on=False)
    axes.axvline(0.5, color=FAINT, linewidth=1)
    axes.axhline(len(steps) - 0.5, color=RULE, linewidth=1)
    axes.set(xlim=(0, 1), ylim=(len(every) - 0.5, -0.5))
    axes.set_yticks(rows, list(every))
    axes.tick_params(axis="y", length=0, labelsize=10, pad=9)  # a mark may stand on the edge
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("value (0.5 is what guessing gives, of all but the accuracy)")
    named = dict(zip((METRIC_NAMES[metric] for metric in metrics), SPARE_COLOURS, strict=False))
    colour_key(axes, named, markers=markers)
    return figure


@styled
def fold_scores(values: Mapping[str, npt.ArrayLike], title: str, note: str = "") -> Figure:
    """Draw the AUROC of models on the same folds, a row a model.

    Parameters
    ----------
    values : mapping of str to array_like of float, shape (n_folds,)
        Model → its AUROC in each fold, in the order in which they are to stand.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        A dot a fold, a tick at their mean.

    Raises
    ------
    InputError
        If there is no model, or their numbers of folds differ, or an AUROC is not finite.
    """
    rows = {name: np.sort(np.asarray(folds, dtype=float)) for name, folds in values.items()}
    if len({folds.shape for folds in rows.values()}) != 1 or not all(
        folds.ndim == 1 and len(folds) and np.isfinite(folds).all() for folds in rows.values()
    ):
        raise InputError("Give every model one finite AUROC for each of the same folds.")
    figure, axes = _score_rows(rows, title, note)
    lowest = min(0.5, *(folds[0] for folds in rows.values()))
    axes.axvline(0.5, color=FAINT, linewidth=1)
    axes.set_xlim(lowest - 0.02, 1)
    axes.set_xlabel("AUROC (dot: one fold; tick: mean of the folds; 0.5 is the majority answer)")
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


def _score_rows(rows: Mapping[str, np.ndarray], title: str, note: str) -> tuple[Figure, Axes]:
    """Draw sorted scores, a row a model or setting."""
    figure = new_figure(0.9 + 0.5 * len(rows), title, note)
    axes = figure.subplots()
    for row, (name, scores) in enumerate(rows.items()):
        _draw_folds(axes, scores, row + 0.05, model_colour(name, row))
    axes.set_ylim(len(rows) - 0.5, -0.6)
    axes.set_yticks(np.arange(len(rows)) + 0.05, [MODEL_NAMES.get(name, name) for name in rows])
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_visible(False)
    return figure, axes


def _draw_folds(axes: Axes, folds: np.ndarray, middle: float, colour: str) -> None:
    """Draw sorted folds as dots over their range, and their mean as a tick."""
    # Steps of the golden ratio set neighbours apart, and the same ones in every run.
    heights = middle + 0.16 * ((np.arange(len(folds)) * 0.618) % 1 - 0.5)
    mean = folds.mean()
    axes.hlines(middle, folds[0], folds[-1], color=colour, linewidth=9, alpha=0.2)
    axes.plot(folds, heights, "o", color=colour, markersize=4.5, alpha=0.8, mew=0, clip_on=False)
    axes.vlines(mean, middle - 0.16, middle + 0.16, color=dark(colour), linewidth=3)
    style: dict[str, Any] = {"ha": "center", "va": "bottom", "weight": "bold"}
    top = (mean, middle - 0.16)
    write(axes, f"{mean:.2f}", top, shift=(0, 1), color=dark(colour), **style)
