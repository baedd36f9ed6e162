"""Charts of subjects and classes: whose cells a number comes from."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from leukhelpers.data.schema import ALL, CLASS_NAMES, HEM
from leukhelpers.errors import InputError
from leukhelpers.plots.style import (
    CLASS_COLORS,
    FAINT,
    INK,
    SPARE_COLORS,
    color_key,
    dark,
    new_figure,
    number,
    require_columns,
    styled,
    thousands,
    write,
)

SUBJECT_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


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


@styled
def distribution_by_class(
    values: npt.ArrayLike, labels: npt.ArrayLike, xlabel: str, title: str, note: str = ""
) -> Figure:
    """Draw how a quantity is distributed in each class, with the medians.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One finite number a cell.
    labels : array_like of int, shape (n,)
        Classes, 0 (HEM) or 1 (ALL).
    xlabel : str
        What the number is, with its unit.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        Two histograms in the same bins, each class summing to 100 %.

    Raises
    ------
    InputError
        If values are missing, not finite, or not one a cell.
    """
    numbers, truth = _numbers(values, labels)
    figure = new_figure(3.4, title, note)
    axes = figure.subplots()
    edges = np.histogram_bin_edges(numbers, bins=min(40, max(10, int(np.sqrt(len(numbers))))))
    medians = []
    for label in (HEM, ALL):
        part = numbers[truth == label]
        if len(part) == 0:
            continue
        color = CLASS_COLORS[label]
        shares = np.histogram(part, edges)[0] / len(part) * 100
        axes.stairs(shares, edges, fill=True, color=color, alpha=0.25)
        axes.stairs(shares, edges, color=color, linewidth=1.8)
        medians.append((float(np.median(part)), label))
        axes.axvline(medians[-1][0], color=color, linewidth=1.2, linestyle=(0, (3, 2)))
    medians.sort()
    for place, (median, label) in enumerate(medians):
        leftmost = place == 0 and len(medians) > 1
        written = f"{CLASS_NAMES[label]}\nmedian {number(median)}"
        side: dict[str, Any] = {"ha": "right" if leftmost else "left", "va": "top"}
        side |= {"color": dark(CLASS_COLORS[label]), "weight": "bold"}
        above, shift = ("data", "axes fraction"), (-5 if leftmost else 5, 0)
        write(axes, written, (median, 1), above, shift, size=9.5, **side)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.15)
    axes.set_xlabel(xlabel)
    thousands(axes.xaxis)
    axes.set_ylabel("cells of the class (%)")
    return figure


@styled
def values_by_subject(
    values: npt.ArrayLike, table: pd.DataFrame, ylabel: str, title: str, note: str = ""
) -> Figure:
    """Draw a box a subject, sorted by the median.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        One finite number a cell.
    table : pandas.DataFrame
        The cells in the same order: ``subject``, ``label``.
    ylabel : str
        What the number is, with its unit.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        One panel, or for more than 40 subjects two, one above the other on the
        same scale.

    Raises
    ------
    InputError
        If a column is missing, or values are missing, not finite, or not one a cell.
    """
    require_columns(table, ["subject", "label"])
    numbers, truth = _numbers(values, table["label"])
    cells = pd.DataFrame({"value": numbers, "label": truth, "subject": table["subject"].to_numpy()})
    by_subject = cells.groupby("subject").agg(median=("value", "median"), label=("label", "first"))
    by_subject = by_subject.sort_values("median", kind="stable")
    n_panels = 2 if len(by_subject) > 40 else 1
    in_panel = -(-len(by_subject) // n_panels)
    figure = new_figure(0.7 + 2.7 * n_panels, title, note)
    panels = figure.subplots(n_panels, 1, squeeze=False, sharey=True)[:, 0]
    for index, axes in enumerate(panels):
        subjects = by_subject.iloc[index * in_panel : (index + 1) * in_panel]
        for place, (subject, label) in enumerate(subjects["label"].items(), start=1):
            color = CLASS_COLORS[label]
            axes.boxplot(
                cells.loc[cells["subject"] == subject, "value"],
                positions=[place],
                widths=0.62,
                whis=(5, 95),
                showfliers=False,
                showcaps=False,
                patch_artist=True,
                boxprops={"facecolor": color, "edgecolor": color},
                medianprops={"color": "white", "linewidth": 1.6},
                whiskerprops={"color": color, "linewidth": 1.2},
                manage_ticks=False,
            )
        axes.set_xlim(0.3, in_panel + 0.7)
        turn = 90 if in_panel > 20 else 0
        places = range(1, len(subjects) + 1)
        axes.set_xticks(places, subjects.index.tolist(), rotation=turn, size=8.5)
        axes.tick_params(axis="x", length=0)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        thousands(axes.yaxis)
    figure.supylabel(ylabel, size=10)
    panels[-1].set_xlabel(
        "subject (box: middle half of its cells; whiskers: 5th to 95th percentile)"
    )
    key = {CLASS_NAMES[k]: CLASS_COLORS[k] for k in sorted(set(by_subject["label"]))}
    color_key(panels[0], key)
    return figure


@styled
def measures_by_subject(
    measured: pd.DataFrame,
    table: pd.DataFrame,
    names: Mapping[str, str],
    title: str,
    note: str = "",
) -> Figure:
    """Draw several measures side by side, a mark a subject, the classes apart.

    Parameters
    ----------
    measured : pandas.DataFrame of float
        One row a cell, finite.
    table : pandas.DataFrame
        The cells in the same order: ``subject``, ``label``.
    names : mapping of str to str
        Which columns of `measured` to draw, and what each is, with its unit.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        A panel a measure. A dot is the median of a subject's cells, the line through it
        their middle half; within a class the subjects are sorted by the median.

    Raises
    ------
    InputError
        If a column is missing, or values are missing, not finite, or not one a cell.
    """
    require_columns(table, ["subject", "label"])
    require_columns(measured, list(names))
    figure = new_figure(3.3, title, note)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, (column, name) in zip(panels, names.items(), strict=True):
        values, truth = _numbers(measured[column], table["label"])
        cells = pd.DataFrame({"value": values, "subject": table["subject"].to_numpy()})
        ticks = []
        start = 0.0
        for label in sorted(set(truth)):
            spread = cells[truth == label].groupby("subject")["value"].quantile([0.25, 0.5, 0.75])
            low, middle, high = spread.unstack().sort_values(0.5).to_numpy().T
            # Each class fills a column of the same width, however many subjects it has.
            places = start + (np.arange(len(middle)) + 0.5) / len(middle)
            color = CLASS_COLORS[label]
            axes.vlines(places, low, high, color=color, alpha=0.45, linewidth=2)
            axes.plot(places, middle, "o", color=color, markersize=4.5, mew=0)
            ticks.append((start + 0.5, f"{CLASS_NAMES[label]}\n({len(middle)})"))
            start += 1.25
        axes.set_xlim(-0.15, start - 0.1)
        axes.set_xticks([place for place, _ in ticks], [words for _, words in ticks])
        axes.tick_params(axis="x", length=0)
        axes.set_xlabel("subjects, sorted")
        axes.set_ylabel(name)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        thousands(axes.yaxis)
    return figure


@styled
def scatter_by_subject(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    subjects_of_cells: npt.ArrayLike,
    subjects: Sequence[str],
    labels: tuple[str, str],
    title: str,
    note: str = "",
) -> Figure:
    """Draw two quantities against each other, a point a cell, for a few subjects.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
        Two numbers a cell, finite for the cells drawn.
    subjects_of_cells : array_like of str, shape (n,)
        The subject of each cell.
    subjects : sequence of str
        The subjects to draw, at most eight, each with at least one cell.
    labels : tuple of str
        What ``x`` and ``y`` are, with their units.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
        Each subject has a color and a marker of its own, drawn large at its
        medians. Its name stands there, or all names stand above the axes where
        they would cover each other.

    Raises
    ------
    InputError
        If lengths differ, a number is not finite, or subjects are too many, named
        twice or without a cell.
    """
    across, up = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    owners = np.asarray(subjects_of_cells)
    if across.ndim != 1 or not across.shape == up.shape == owners.shape:
        raise InputError("x, y and subjects_of_cells must hold one value a cell each.")
    if not 1 <= len(subjects) <= len(SUBJECT_MARKERS) or len(set(subjects)) != len(subjects):
        raise InputError(f"Choose 1 to {len(SUBJECT_MARKERS)} different subjects to draw.")
    absent = sorted(set(subjects) - set(owners.tolist()))
    if absent:
        raise InputError(f"There is no cell of subject {', '.join(absent)} to draw.")
    drawn = np.isin(owners, list(subjects))
    if not np.isfinite([across[drawn], up[drawn]]).all():
        raise InputError("x and y must be finite; leave out the cells that have no value.")
    figure = new_figure(4.4, title, note)
    axes = figure.subplots()
    axes.set(xlabel=labels[0], ylabel=labels[1])
    size = 22 if drawn.sum() <= 600 else 11
    names = []
    for subject, color, marker in zip(subjects, SPARE_COLORS, SUBJECT_MARKERS, strict=False):
        own = owners == subject
        point: dict[str, Any] = {"color": color, "marker": marker}
        axes.scatter(across[own], up[own], s=size, alpha=0.55, linewidths=0, **point)
        median = (np.median(across[own]), np.median(up[own]))
        axes.scatter(*median, s=110, edgecolors="white", linewidths=1.2, zorder=4, **point)
        halo = [withStroke(linewidth=3, foreground="white")]
        style: dict[str, Any] = {"size": 10, "weight": "bold", "path_effects": halo, "zorder": 5}
        name = write(axes, subject, median, shift=(8, 0), va="center", color=dark(color), **style)
        names.append(name)
    thousands(axes.xaxis)
    thousands(axes.yaxis)
    if _any_covered(figure, names):
        for name in names:
            name.remove()
        key = dict(zip(subjects, SPARE_COLORS, strict=False))
        color_key(axes, key, markers=SUBJECT_MARKERS[: len(subjects)])
    return figure


def _any_covered(figure: Figure, names: Sequence[Any]) -> bool:
    """Say whether a name overlaps another one, or the point of another one."""
    figure.draw_without_rendering()  # only now is it known where they stand
    boxes = [name.get_window_extent() for name in names]
    points = [name.axes.transData.transform(name.xy) for name in names]
    return any(
        boxes[i].overlaps(boxes[j]) or boxes[i].padded(9).contains(*points[j])
        for i, j in itertools.permutations(range(len(names)), 2)
    )


def _numbers(values: npt.ArrayLike, labels: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    numbers, truth = np.asarray(values, dtype=float), np.asarray(labels)
    if numbers.ndim != 1 or numbers.shape != truth.shape or len(numbers) == 0:
        raise InputError("values must hold one number a cell, as many as there are labels.")
    if not np.isfinite(numbers).all():
        raise InputError("values must be finite; leave out the cells that have none.")
    if not np.isin(truth, [HEM, ALL]).all():
        raise InputError("labels must be 0 (HEM) or 1 (ALL).")
    return numbers, truth.astype(int)
