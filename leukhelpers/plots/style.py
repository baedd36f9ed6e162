"""What all figures share: colors, sizes, and where title and note stand."""

import textwrap
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib import rc_context, rc_params_from_file
from matplotlib.figure import Figure

from leukhelpers.evaluation.names import MODEL_NAMES

# Blue, vermilion, green, brown, sky, purple and gray of seaborn's "colorblind" palette.
CLASS_COLORS = ("#0173b2", "#d55e00")
MODEL_COLORS: dict[str, str] = {
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

SETTINGS: dict[Any, Any] = {
    **sns.axes_style("ticks"),
    **rc_params_from_file(Path(__file__).with_name("course.mplstyle"), use_default_template=False),
}
# Above a function that draws: its figure has the course's style, and no other has.
styled = rc_context(SETTINGS)


def new_figure(height: float, title: str, note: str, columns: int = 1) -> tuple[Figure, Any]:
    """Start a figure of the usual width: title top left, note bottom right; height in inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes
        Or an array of them, if there are several columns.
    """
    figure = Figure((WIDTH, height), DPI, layout="constrained")
    figure.suptitle(textwrap.fill(title, 68), x=0.01, ha="left", weight="bold", size=12.5)
    figure.supxlabel(note, x=0.99, ha="right", size=8, color=FAINT)
    return figure, figure.subplots(1, columns)


def model_color(name: str, index: int) -> str:
    """Return the color of a model's name or title, or for an unnamed model a spare one."""
    titles = {title: model for model, title in MODEL_NAMES.items()}
    return MODEL_COLORS.get(titles.get(name, name), SPARE_COLORS[index % len(SPARE_COLORS)])
