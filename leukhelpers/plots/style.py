"""What all figures share: colors, sizes, and where title, note and names stand."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import colors as mcolors
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES

# Blue, vermilion, green, brown, sky, purple and gray of seaborn's "colorblind" palette.
CLASS_COLORS = ("#0173b2", "#d55e00")
MODEL_COLORS: Mapping[str, str] = {
    "cnn": "#029e73",
    "svm": "#ca9161",
    "cnn+svm": "#56400f",
    "rf": "#56b4e9",
    "area": "#cc78bc",
    "majority": "#949494",
}
# For what is neither class nor model: Paul Tol's "muted" scheme, safe for the color-blind.
# Indigo, olive, rose, green, cyan, wine, teal, purple.
SPARE_COLORS = (
    *("#332288", "#999933", "#cc6677", "#117733"),
    *("#88ccee", "#882255", "#44aa99", "#aa4499"),
)

WIDTH = 7.0  # inches; 840 pixels at the dpi of save
DPI = 120
INK = "#222222"
FAINT = "#6b6b6b"
RULE = "#bdbdbd"

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Run a drawing function in the course's style, and leave the global style alone."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(settings()):
            figure = draw(*args, **kwargs)
            # Ticks are made when first drawn and take their style then.
            figure.draw_without_rendering()
        # The layout is done: keep it, and let what stood outside it count when saving.
        figure.set_layout_engine("none")
        for text in figure.texts:
            text.set_in_layout(True)
        return figure

    return wrapper


def settings() -> Any:
    """Return the style as matplotlib settings."""
    return {
        **sns.axes_style("ticks"),
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib, so figures repeat
        "font.size": 10,
        "axes.labelsize": 10,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.labelcolor": INK,
        "axes.edgecolor": FAINT,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.labelpad": 7,
        "text.color": INK,
        "text.hinting": "no_hinting",  # hinted, small bold digits look like another font
        "xtick.color": FAINT,
        "ytick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "xtick.major.width": 0.8,
        "ytick.major.width": 0.8,
        "xtick.major.size": 4,
        "ytick.major.size": 4,
        "grid.color": "#e6e6e6",
        "lines.linewidth": 2,
        "lines.solid_capstyle": "round",
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
    }


def new_figure(height: float, title: str, note: str) -> Figure:
    """Start a figure of the usual width: title top left, note bottom right.

    ``height`` (inches) is what is left for the axes; the constrained layout keeps
    them below the title and above the note.
    """
    wrapped = textwrap.fill(title, 68)
    title_height = 0.26 * (wrapped.count("\n") + 1) + 0.12
    note_height = 0.25 if note else 0.0
    total = height + title_height + note_height
    figure = Figure(figsize=(WIDTH, total), dpi=DPI, layout="constrained")
    bottom, top = note_height / total, 1 - title_height / total
    layout: Any = figure.get_layout_engine()
    layout.set(rect=(0, bottom, 1, top - bottom))
    heading = figure.suptitle(wrapped, x=0.005, y=1 - 0.03 / total, ha="left", va="top")
    heading.set(weight="bold", size=12.5, in_layout=False)
    small = figure.text(0.99, 0.04 / total, note, ha="right", va="bottom", size=8, color=FAINT)
    small.set_in_layout(False)
    return figure


def dark(color: str) -> tuple[float, float, float]:
    """Darken a color until it can be read as text on white."""
    red, green, blue = (0.72 * part for part in mcolors.to_rgb(color))
    return red, green, blue


def model_color(name: str, index: int) -> str:
    """Return the color of a model's name or title, or for an unnamed model a spare one."""
    titles = {title: model for model, title in MODEL_NAMES.items()}
    return MODEL_COLORS.get(titles.get(name, name), SPARE_COLORS[index % len(SPARE_COLORS)])


def write(
    axes: Axes, text: str, at: Any, coords: Any = "data", shift: Any = (0, 0), **style: Any
) -> Any:
    """Write text at a point, shifted by points of 1/72 inch; it may stand outside the axes."""
    return axes.annotate(
        text,
        at,
        shift,
        xycoords=coords,
        textcoords="offset points",
        annotation_clip=False,
        **{"size": 9, **style},
    )


def color_key(
    axes: Axes, entries: Mapping[str, str], lift: float = 4, markers: Sequence[str] = ()
) -> None:
    """Write colored names in a row, ``lift`` points above the upper left corner.

    Each stands behind a dot, or behind its marker where ``markers`` has one for each.
    """
    shapes = markers or ["o"] * len(entries)
    handles = [
        Line2D([], [], linestyle="", marker=shape, color=color, markersize=7)
        for shape, color in zip(shapes, entries.values(), strict=True)
    ]
    axes.legend(
        handles,
        list(entries),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=lift / 9.5,  # in units of the text's size
        borderpad=0,
        ncols=len(entries),
        columnspacing=1.4,
        handlelength=0.8,
        handletextpad=0.4,
        labelcolor=[dark(color) for color in entries.values()],
        prop={"size": 9.5, "weight": "bold"},
        frameon=False,
    )


def _apart(values: Sequence[float], gap: float) -> np.ndarray:
    """Move labels apart until neighbors keep a gap, as little as possible."""
    order = np.argsort(values, kind="stable")
    placed = np.asarray(values, dtype=float)[order]
    for _ in range(100):
        overlap = np.clip(gap - np.diff(placed), 0, None)
        if not overlap.max(initial=0) > 1e-6:
            break
        placed[:-1] -= overlap / 2
        placed[1:] += overlap / 2
    result = np.empty_like(placed)
    result[order] = placed
    return result


def label_line_ends(axes: Axes, ends: Sequence[tuple[str, float, float, str]]) -> None:
    """Write (name, x, y, color) to the right of where each line ends."""
    low, high = axes.get_ylim()
    heights = _apart([y for _, _, y, _ in ends], 0.075 * (high - low))
    for (name, x, _, color), height in zip(ends, heights, strict=True):
        write(axes, name, (x, height), shift=(7, 0), va="center", color=dark(color))


def signed(value: float, plus: str = "-") -> str:
    """Write a number with two decimals and a true minus sign; "+" also marks gains."""
    return f"{value:{plus}.2f}".replace("-", "\N{MINUS SIGN}")


def number(value: float) -> str:
    """Write a number with three figures or, from 100 up, as a whole number."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def thousands(axis: Axis) -> None:
    """Write 12,000 rather than 12000 on an axis of large numbers."""
    if max(np.abs(axis.get_view_interval())) >= 1000:
        axis.set_major_formatter("{x:,.0f}")


def require_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column, or is empty."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise InputError(f"The table to draw lacks the column(s) {', '.join(missing)}.")
    if len(table) == 0:
        raise InputError("The table to draw is empty.")
