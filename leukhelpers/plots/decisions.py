"""Charts of what probabilities are worth: are they right, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.plots.style import (
    FAINT,
    INK,
    SPARE_COLORS,
    color_key,
    label_line_ends,
    model_color,
    new_figure,
    styled,
    write,
)


@styled
def reliability_diagram(
    decided: Mapping[str, Any], title: str, note: str = "", model: str = "cnn"
) -> Figure:
    """Draw the share of ALL cells over the predicted probability, in ten bins.

    Parameters
    ----------
    decided : mapping
        From :func:`leukhelpers.evaluation.decisions.summary`.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.
    model : str
        Whose probabilities.

    Returns
    -------
    matplotlib.figure.Figure
        As predicted, and if a temperature could be chosen as set right by it. The larger a
        point, the more cells.
    """
    own = _model(decided, model)
    tables = {"as predicted": (own["reliability"], model_color(model, 0))}
    if "calibrated" in own:
        name = f"temperature {own['temperature']:.1f}"
        tables[name] = own["calibrated"]["reliability"], SPARE_COLORS[0]
    figure = new_figure(4.4, title, note)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (4, 4)), zorder=1)
    write(axes, "if all were right", (0.72, 0.72), shift=(8, -4), va="top", color=FAINT)
    for table, color in tables.values():
        cells = np.array(table["cells"])
        places = table["mean_probability"], table["share_of_all"]
        axes.plot(*places, color=color, linewidth=1.6, clip_on=False)
        sizes = 12 + 160 * cells / cells.sum()
        axes.scatter(*places, s=sizes, color=color, edgecolor="white", zorder=3, clip_on=False)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", anchor="W")
    axes.set_xlabel("predicted probability of ALL, mean of a bin")
    axes.set_ylabel("share of ALL among the bin's cells")
    color_key(axes, {name: color for name, (_, color) in tables.items()})
    return figure


@styled
def net_benefit_curves(decided: Mapping[str, Any], title: str, note: str = "") -> Figure:
    """Draw the net benefit of models over the threshold, beside calling all cells, or none, ALL.

    Parameters
    ----------
    decided : mapping
        From :func:`leukhelpers.evaluation.decisions.summary`; the majority answer is not drawn, for
        it is one of the two that stand beside.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(3.4, title, note)
    axes = figure.subplots()
    first = next(iter(decided["models"].values()))["net_benefit"]
    for column in ("call_all", "call_none"):
        axes.plot(first["threshold"], first[column], color=FAINT, linewidth=1.2)
    ends = [("call none ALL", first["threshold"][-1], 0.0, FAINT)]
    highest = max(first["call_all"])
    for index, model in enumerate(name for name in decided["models"] if name != "majority"):
        table, color = _model(decided, model)["net_benefit"], model_color(model, index)
        axes.plot(table["threshold"], table["model"], color=color)
        ends.append((MODEL_NAMES[model], table["threshold"][-1], table["model"][-1], color))
        highest = max(highest, *table["model"])
    axes.set(xlim=(0, 0.95), ylim=(-0.12, 1.08 * highest))
    # Where calling all cells ALL leaves the picture, downwards, its name stands.
    shown = np.flatnonzero(np.array(first["call_all"]) > 0.02)
    last = int(shown[-1]) if len(shown) else 0  # hardly a cell is ALL
    at = first["threshold"][last], first["call_all"][last]
    write(axes, "call all ALL", at, shift=(-6, 4), ha="right", color=FAINT)
    label_line_ends(axes, [(n, x, max(y, -0.1), c) for n, x, y, c in ends])
    axes.set_xlabel("threshold: the probability from which on a cell is called ALL")
    axes.set_ylabel("net benefit, by cells")
    return figure


@styled
def risk_curves(decided: Mapping[str, Any], title: str, note: str = "") -> Figure:
    """Draw the share of wrong answers over the share of cells that a model answers.

    Parameters
    ----------
    decided : mapping
        From :func:`leukhelpers.evaluation.decisions.summary`.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(3.2, title, note)
    axes = figure.subplots()
    ends, highest = [], 0.0
    for index, model in enumerate(decided["models"]):
        table, color = _model(decided, model)["risk_coverage"], model_color(model, index)
        axes.plot(table["coverage"], table["risk"], color=color, clip_on=False)
        ends.append((MODEL_NAMES[model], 1.0, table["risk"][-1], color))
        highest = max(highest, *table["risk"])
    axes.set(xlim=(0.1, 1), ylim=(0, max(0.1, 1.1 * highest)))
    label_line_ends(axes, ends)
    _percent(axes)
    axes.set_xlabel("share of the cells that are answered, the surest first")
    axes.set_ylabel("share of wrong answers")
    return figure


def _percent(axes: Axes) -> None:
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")


def _model(decided: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    if model not in decided["models"]:
        raise InputError(f"There are no answers of {model!r} to draw.")
    return decided["models"][model]
