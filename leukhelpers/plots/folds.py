"""Figures that compare splits, repairs, folds and repetitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES
from leukhelpers.plots.style import (
    FAINT,
    RULE,
    SPARE_COLORS,
    color_key,
    dark,
    model_color,
    new_figure,
    signed,
    styled,
    write,
)


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
    colors = dict(zip(splits, SPARE_COLORS[:2], strict=True))
    lowest = 0.52
    for row, (model, by_split) in enumerate(values.items()):
        means = []
        for split, middle in zip(splits, (row - 0.18, row + 0.28), strict=True):
            folds = np.sort(np.asarray(by_split[split], dtype=float))
            _draw_folds(axes, folds, middle, colors[split])
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
    color_key(axes, colors)
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
        color, moving = SPARE_COLORS[index], slice(len(steps))
        axes.plot(values[moving], rows[moving], color=color, alpha=0.3, linewidth=1.5)
        axes.plot(values, rows, marker, color=color, markersize=7, clip_on=False)
    axes.axvline(0.5, color=FAINT, linewidth=1)
    axes.axhline(len(steps) - 0.5, color=RULE, linewidth=1)
    axes.set(xlim=(0, 1), ylim=(len(every) - 0.5, -0.5))
    axes.set_yticks(rows, list(every))
    axes.tick_params(axis="y", length=0, labelsize=10, pad=9)  # a mark may stand on the edge
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("value (0.5 is what guessing gives, of all but the accuracy)")
    named = dict(zip((METRIC_NAMES[metric] for metric in metrics), SPARE_COLORS, strict=False))
    color_key(axes, named, markers=markers)
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
