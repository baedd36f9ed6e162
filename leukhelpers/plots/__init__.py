"""Draw every figure of the course, in one style.

Each function takes arrays or tables, and the finding as its title, and returns a
:class:`matplotlib.figure.Figure` that pyplot knows nothing about: it works without
a display, and nothing needs closing. A ``note`` such as ``"synthetic cells"`` is
written small into the lower right corner. HEM, ALL and each model have the same
color in every figure.
"""

from leukhelpers.plots.cells import brighten, plot_cells, plot_maps
from leukhelpers.plots.decisions import net_benefit_curves, reliability_diagram, risk_curves
from leukhelpers.plots.explanations import (
    cause_dots,
    deletion_curves,
    feature_bars,
    forgetting_lines,
)
from leukhelpers.plots.folds import fold_scores, repair_steps, repeated_scores, split_leak
from leukhelpers.plots.saving import save, show
from leukhelpers.plots.scores import confusion_matrix, learning_curves, metric_bars, roc_curves
from leukhelpers.plots.style import CLASS_COLORS, FAINT, MODEL_COLORS, settings
from leukhelpers.plots.subjects import (
    by_subject_bars,
    distribution_by_class,
    measures_by_subject,
    scatter_by_subject,
    values_by_subject,
)

__all__ = [
    "CLASS_COLORS",
    "FAINT",
    "MODEL_COLORS",
    "brighten",
    "by_subject_bars",
    "cause_dots",
    "confusion_matrix",
    "deletion_curves",
    "distribution_by_class",
    "feature_bars",
    "fold_scores",
    "forgetting_lines",
    "learning_curves",
    "measures_by_subject",
    "metric_bars",
    "net_benefit_curves",
    "plot_cells",
    "plot_maps",
    "reliability_diagram",
    "repair_steps",
    "repeated_scores",
    "risk_curves",
    "roc_curves",
    "save",
    "scatter_by_subject",
    "settings",
    "show",
    "split_leak",
    "values_by_subject",
]
