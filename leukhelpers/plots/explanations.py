"""Charts of explanations: shares of named features, and the tests of heat maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.plots.style import (
    CLASS_COLORS,
    FAINT,
    INK,
    SPARE_COLORS,
    color_key,
    label_line_ends,
    new_figure,
    number,
    signed,
    styled,
    write,
)

if TYPE_CHECKING:
    from leukhelpers.explain.deletion import Curves


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
def forgetting_lines(similarity: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw how alike maps remain while a network forgets, layer by layer.

    Parameters
    ----------
    similarity : pandas.DataFrame
        A row a stage, a column a method; see :func:`leukhelpers.explain.sanity.cascade`.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if similarity.empty:
        raise InputError("There is no similarity to draw.")
    figure = new_figure(3.0, title, note)
    axes = figure.subplots()
    places, ends = np.arange(len(similarity)), []
    for index, (name, values) in enumerate(similarity.items()):
        color = SPARE_COLORS[index % len(SPARE_COLORS)]
        axes.plot(places, values, color=color, marker="o", markersize=4, clip_on=False)
        ends.append((str(name), float(places[-1]), float(values.iloc[-1]), color))
    axes.plot(places[[0, -1]], [0, 0], color=FAINT, linewidth=0.8, linestyle=(0, (4, 4)))
    axes.set_xticks(places, [str(name).replace("down to ", "to ") for name in similarity.index])
    axes.set_ylim(min(-0.2, float(similarity.min().min()) - 0.05), 1.02)
    axes.set_xlabel("what the network has forgotten, from its last layer down")
    axes.set_ylabel("rank correlation with the first map")
    label_line_ends(axes, ends)
    return figure


@styled
def deletion_curves(found: Mapping[str, Curves], title: str, note: str = "") -> Figure:
    """Draw the evidence that is left while tiles are wiped out, and given back.

    Parameters
    ----------
    found : mapping of str to Curves
        A method → what :func:`leukhelpers.explain.deletion.deletion_insertion` gave.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not found:
        raise InputError("There are no curves to draw.")
    figure = new_figure(3.2, title, note)
    panels = figure.subplots(1, 2, sharey=True)
    first = next(iter(found.values()))
    for axes, kind, doing in zip(
        panels, ("deletion", "insertion"), ("wiped out", "given back"), strict=True
    ):
        random = getattr(first, f"random_{kind}")
        axes.plot(first.shares, random, color=FAINT, linewidth=1.4, linestyle=(0, (4, 3)))
        for index, curve in enumerate(found.values()):
            axes.plot(first.shares, getattr(curve, kind), color=SPARE_COLORS[index])
        axes.axhline(0, color=FAINT, linewidth=0.6)
        axes.set(xlim=(0, 1))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.set_xlabel(f"share of the picture {doing}")
    panels[0].set_ylabel("evidence for its own answer")
    entries = {name: SPARE_COLORS[index] for index, name in enumerate(found)}
    color_key(panels[0], {**entries, "random": FAINT})
    # The names reach over both panels: they must not push these apart, but need a line.
    panels[0].get_legend().set_in_layout(False)
    panels[0].set_title(" ")
    return figure


@styled
def cause_dots(found: Mapping[str, Mapping[str, Any]], title: str, note: str = "") -> Figure:
    """Draw how much more than chance maps name each known cause, with intervals.

    Parameters
    ----------
    found : mapping of str to mapping
        A method → what :func:`leukhelpers.explain.localisation.by_cause` found; a test
        without a value is left out.
    title : str
        The finding.
    note : str
        Small text in the lower right corner.

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not found:
        raise InputError("There is no method to draw.")
    keys = list(next(iter(found.values())))
    causes = list(dict.fromkeys(key.split("_", 1)[1] for key in keys))
    figure = new_figure(1.3 + 0.16 * (len(found) + 1) * len(causes), title, note)
    panels = figure.subplots(1, 2, sharey=True)
    middles = np.arange(len(causes), dtype=float)[::-1]
    for axes, test in zip(panels, ("pointing", "overlap"), strict=True):
        axes.axvline(0, color=INK, linewidth=0.8)
        for index, result in enumerate(found.values()):
            shift = 0.7 * (0.5 - (index + 0.5) / len(found))
            for middle, cause in zip(middles, causes, strict=True):
                score, color = result[f"{test}_{cause}"], SPARE_COLORS[index]
                if score["value"] is None:
                    continue
                axes.plot(score["value"], middle + shift, "o", color=color, markersize=5)
                if score["low"] is not None:
                    axes.plot([score["low"], score["high"]], [middle + shift] * 2, color=color)
        axes.set(xlim=(-1.05, 1.05), xlabel=f"{test}, less an even spread")
    panels[0].set_yticks(middles, causes)
    panels[0].set_ylabel("known cause")
    color_key(panels[0], {name: SPARE_COLORS[index] for index, name in enumerate(found)})
    # The names reach over both panels: they must not push these apart, but need a line.
    panels[0].get_legend().set_in_layout(False)
    panels[0].set_title(" ")
    return figure
