"""Pictures of cells: side by side, and with what a method says the model looked at."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colors as mcolors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.plots.style import CLASS_COLORS, RULE, WIDTH, new_figure, styled, write

_SIGNED = mcolors.LinearSegmentedColormap.from_list(
    "towards", [CLASS_COLORS[HEM], "#f7f7f7", CLASS_COLORS[ALL]]
)
_POSITIVE = mcolors.LinearSegmentedColormap.from_list(
    "strength", ["#f7f7f7", "#f0a868", CLASS_COLORS[ALL], "#6e2b00"]
)


def brighten(images: np.ndarray, gamma: float = 0.6) -> np.ndarray:
    """Return images brightened for display; a model never sees them.

    Stained cells on black are dark on a projector. Black stays black, white stays white.

    Parameters
    ----------
    images : uint8 array of shape (..., 3)
        RGB values 0 to 255.
    gamma : float, default 0.6
        The share of full light is raised to this power: below 1 brightens.

    Returns
    -------
    uint8 array of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> import leukhelpers as lk
    >>> lk.brighten(np.array([[0, 64, 255]], np.uint8))
    array([[  0, 111, 255]], dtype=uint8)
    """
    return (255 * (np.asarray(images) / 255) ** gamma).round().astype(np.uint8)


@styled
def plot_cells(
    pixels: np.ndarray, titles: Sequence[str], columns: int, title: str, note: str = ""
) -> Figure:
    """Show cells side by side, brightened.

    Parameters
    ----------
    pixels : numpy.ndarray of uint8, shape (n, height, width, 3)
        Cells, RGB, on black.
    titles : sequence of str, length n
        What stands above each cell.
    columns : int
        Cells in a row.
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
        If there is no cell, or not one title for each.
    """
    if len(pixels) == 0 or len(titles) != len(pixels) or columns < 1:
        raise InputError("Draw at least one cell, with a title for each and columns >= 1.")
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    side = min(WIDTH / columns, 2.4)
    size = 9 if side >= 1.3 else 8
    wrapped = [textwrap.fill(text, int(side / size * 125)) for text in titles]
    lines = max(text.count("\n") + 1 if text else 0 for text in wrapped)
    figure = new_figure(rows * (side + 0.16 * lines), title, note)
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.02, h_pad=0.03, wspace=0, hspace=0)
    # Few cells stand side by side at the left; empty places keep them from drifting apart.
    places = max(columns, round(WIDTH / side))
    grid = figure.subplots(rows, places, squeeze=False)
    for axes in grid.ravel():
        axes.set_axis_off()
        axes.set_anchor("SW")
    for axes, image, text in zip(grid[:, :columns].ravel(), pixels, wrapped, strict=False):
        axes.imshow(brighten(image))
        axes.set_title(text, size=size, pad=3)
    return figure


@styled
def plot_maps(
    images: np.ndarray,
    maps: Mapping[str, np.ndarray],
    titles: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Show cells, and beside each what a method says the model looked at.

    Under each map lies the cell in pale gray, its background white, so that
    attribution on the background is seen as well. A method has one scale for all
    its cells: up to the 99th percentile of what is not zero.

    Parameters
    ----------
    images : numpy.ndarray of uint8, shape (n, height, width, 3)
        Cells, RGB, on black.
    maps : mapping of str to numpy.ndarray
        For each method its maps, (n, height, width), or (n, height, width, 3), which
        is summed over colors. A method with negative values is drawn as signed:
        blue towards HEM, vermilion towards ALL, in logits.
    titles : sequence of str, length n
        What stands above each row.
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
        If lengths differ, or there is nothing to draw.
    """
    n = len(images)
    if n == 0 or len(titles) != n or not maps or any(len(m) != n for m in maps.values()):
        raise InputError("The attribution grid needs a title, and a map of each method, per cell.")
    side = min(WIDTH / (1 + len(maps)), 2.0) - 0.1
    heads = [textwrap.fill(method, int(side * 10)) for method in maps]
    head = 0.25 + 0.17 * max(text.count("\n") + 1 for text in heads)
    foot, row = 0.75, side + 0.32
    figure = new_figure(head + n * row + foot - 0.3, title, note)
    figure.set_layout_engine("none")  # squares of known size are placed by hand
    width, height = figure.get_size_inches()
    foot += 0.25 if note else 0.0

    def place(column: int, above: float, high: float) -> Axes:
        """Add axes that stand ``above`` inches over the lower edge."""
        left = 0.08 + column * (side + 0.1)
        return figure.add_axes((left / width, above / height, side / width, high / height))

    lower_edges = [foot + (n - 1 - index) * row for index in range(n)]
    for image, text, lower in zip(images, titles, lower_edges, strict=True):
        axes = place(0, lower, side)
        axes.imshow(brighten(image))
        axes.set_title(text, size=9, pad=4)
        _frame(axes)
    for column, given in enumerate(maps.values(), start=1):
        values = given.sum(axis=-1) if given.ndim == 4 else given
        limit = _limit(values)
        signed = bool((values < 0).any())
        for image, shown, lower in zip(images, values, lower_edges, strict=True):
            axes = place(column, lower, side)
            axes.imshow(_pale(image))
            axes.imshow(_overlay(shown, limit, signed))
            _frame(axes)
            if lower == lower_edges[0]:
                style: dict[str, Any] = {"ha": "center", "size": 10, "weight": "bold"}
                write(axes, heads[column - 1], (0.5, 1), "axes fraction", (0, 20), **style)
        _color_bar(place(column, foot - 0.17, 0.09), limit, signed, side)
    return figure


def _limit(values: np.ndarray) -> float:
    """Take the 99th percentile of the sizes that are not zero, or 1 if all are."""
    sizes = np.abs(values[values != 0])
    return float(np.percentile(sizes, 99)) if sizes.size else 1.0


def _pale(image: np.ndarray) -> np.ndarray:
    """Turn a cell on black into pale gray on white, float in [0, 1]."""
    gray = image.astype(float).mean(axis=-1) / 255
    pale = np.where(image.max(axis=-1) > 0, 0.62 + 0.36 * gray, 1.0)
    return np.repeat(pale[..., None], 3, axis=-1)


def _frame(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(visible=True, color=RULE, linewidth=0.6)


def _overlay(values: np.ndarray, limit: float, signed: bool) -> np.ndarray:
    """Color a map, RGBA in [0, 1]; what is near zero lets the cell show through."""
    if signed:
        rgba = _SIGNED((np.clip(values / limit, -1, 1) + 1) / 2)
    else:
        rgba = _POSITIVE(np.clip(values / limit, 0, 1))
    # The root lets middling values be seen.
    rgba[..., 3] = 0.9 * np.sqrt(np.clip(np.abs(values) / limit, 0, 1))
    return rgba


def _color_bar(axes: Axes, limit: float, signed: bool, side: float) -> None:
    """Draw a color bar that says what its two ends mean."""
    scale = np.linspace(-limit if signed else 0, limit, 256)[None]
    axes.imshow(_overlay(scale, limit, signed), aspect="auto", extent=(0, 1, 0, 1))
    _frame(axes)
    narrow = side < 1.7  # inches
    towards = "towards\n" if narrow else "towards "
    if signed and side < 1.35:
        towards = ""
    style: dict[str, Any] = {"va": "top", "size": 8, "linespacing": 1.2}
    below: Any = ("axes fraction", (0, -3))
    if signed:
        write(axes, f"\N{MINUS SIGN}{limit:.2g}\n{towards}HEM", (0, 0), *below, ha="left", **style)
        middle = "\nlogits" if narrow else "logits"
        write(axes, middle, (0.5, 0), *below, ha="center", **style)
        write(axes, f"+{limit:.2g}\n{towards}ALL", (1, 0), *below, ha="right", **style)
    else:
        write(axes, "0", (0, 0), *below, ha="left", **style)
        write(axes, f"{limit:.2g}\n{towards}ALL", (1, 0), *below, ha="right", **style)
