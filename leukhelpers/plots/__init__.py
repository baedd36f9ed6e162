"""Draw every figure of the course, in one style.

Each function takes arrays or tables, and the finding as its title, and returns a
:class:`matplotlib.figure.Figure` that pyplot knows nothing about: it works without
a display, and nothing needs closing. A ``note`` such as ``"synthetic cells"`` is
written small into the lower right corner. HEM, ALL and each model have the same
color in every figure.
"""

from leukhelpers.plots.cells import brighten, plot_cells, plot_maps
from leukhelpers.plots.decisions import net_benefit_curves, reliability_diagram, risk_curves
from leukhelpers.plots.saving import save, show
from leukhelpers.plots.scores import (
    by_subject_bars,
    confusion_matrix,
    feature_bars,
    learning_curves,
    repeated_scores,
    roc_curves,
)
from leukhelpers.plots.style import CLASS_COLORS, FAINT, MODEL_COLORS, settings

__all__ = [
    "CLASS_COLORS",
    "FAINT",
    "MODEL_COLORS",
    "brighten",
    "by_subject_bars",
    "confusion_matrix",
    "feature_bars",
    "learning_curves",
    "net_benefit_curves",
    "plot_cells",
    "plot_maps",
    "reliability_diagram",
    "repeated_scores",
    "risk_curves",
    "roc_curves",
    "save",
    "settings",
    "show",
]
