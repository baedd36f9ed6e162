"""Charts of training, of scores and of probabilities: how well a model answers, and beside what.

Each function takes arrays or tables, the finding as its title, and a small note such as
``synthetic cells`` for the lower right corner.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from sklearn import metrics as sk

from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.plots import style

SHOWN = 12  # features with a bar of their own


@style.styled
def learning_curves(history: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw loss and accuracy of training and validation over the epochs.

    Parameters
    ----------
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``loss``, ``val_loss``, ``accuracy``, ``val_accuracy``.
    title, note : str
        The finding, and what else must be said.
    """
    figure, both = style.new_figure(3.6, title, note, columns=2)
    for axes, name in zip(both, ("loss", "accuracy"), strict=True):
        axes.plot(history["epoch"], history[name], color=style.FAINT, label="training")
        validation = history[f"val_{name}"]
        axes.plot(history["epoch"], validation, color=style.MODEL_COLORS["cnn"], label="validation")
        axes.set(xlabel="epoch", ylabel=name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
    return figure


@style.styled
def confusion_matrix(table: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw counts and row shares of a table of :func:`leukhelpers.evaluation.metrics.confusion`."""
    figure, axes = style.new_figure(4.2, title, note)
    shares = table.div(table.sum(axis=1).clip(lower=1), axis=0)
    written = table.map("{:,}".format) + shares.map("\n({:.1%})".format)
    options = {"annot_kws": {"size": 14}, "cmap": "Blues", "vmin": 0, "vmax": 1.2, "cbar": False}
    sns.heatmap(shares, annot=written, fmt="", linewidths=2, ax=axes, **options)
    axes.set(xlabel="predicted class", ylabel="true class (shares of a row)")
    return figure


@style.styled
def roc_curves(
    labels: npt.ArrayLike, probabilities: Mapping[str, npt.ArrayLike], title: str, note: str = ""
) -> Figure:
    """Draw the ROC curves of several models on the same cells.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, 0 (HEM) or 1 (ALL); both occur.
    probabilities : mapping of str to array_like of float, shape (n,)
        P(ALL) by each model.
    title, note : str
        The finding, and what else must be said.
    """
    figure, axes = style.new_figure(5.0, title, note)
    for index, (name, scores) in enumerate(probabilities.items()):
        false_positive, true_positive, _ = sk.roc_curve(labels, scores)
        label = f"{MODEL_NAMES.get(name, name)}: AUROC {sk.roc_auc_score(labels, scores):.2f}"
        axes.plot(false_positive, true_positive, color=style.model_color(name, index), label=label)
    _diagonal(axes, "chance: AUROC 0.50")
    axes.set_xlabel("1 \N{MINUS SIGN} specificity (share of HEM cells predicted as ALL)")
    axes.set_ylabel("sensitivity (share of ALL cells predicted as ALL)")
    return figure


def _diagonal(axes: Axes, label: str) -> None:
    """Draw the diagonal, and the legend."""
    axes.plot([0, 1], [0, 1], color=style.INK, linewidth=1, linestyle="--", label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.legend(frameon=False, loc="lower right")


@style.styled
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
    """
    figure, axes = style.new_figure(1.5 + 0.5 * len(values), title, note)
    colors = [style.model_color(name, index) for index, name in enumerate(values)]
    rows = {MODEL_NAMES.get(name, name): np.asarray(runs) for name, runs in values.items()}
    options: dict[str, Any] = {"orient": "h", "palette": colors, "ax": axes}
    sns.stripplot(rows, jitter=False, size=7, alpha=0.6, **options)
    mean: dict[str, Any] = {"marker": "|", "markersize": 24, "linestyle": "none"}
    sns.pointplot(rows, errorbar=None, **mean, **options)
    axes.set(xlabel=f"{metric} (dot: one run; tick: mean of the runs)", ylabel="")
    return figure


@style.styled
def feature_bars(
    shares: pd.Series, measured: pd.Series, base: float, unit: str, title: str, note: str = ""
) -> Figure:
    """Draw what each named feature added to a classical model's answer to one cell.

    Parameters
    ----------
    shares : pandas.Series
        Feature → its share, positive towards ALL. The twelve largest have a bar of their own,
        the others have one together.
    measured : pandas.Series
        Feature → what was measured of the cell.
    base : float
        The mean answer to the background, where the sharing begins.
    unit : str
        Of shares and base.
    title, note : str
        The finding, and what else must be said.
    """
    order = shares.sort_values(key=np.abs, ascending=False).index
    most, others = order[:SHOWN], order[SHOWN:]
    numbers = [f"{v:,.0f}" if abs(v) >= 100 else f"{v:.3g}" for v in measured[most]]
    names = [f"{n.replace('_', ' ')} = {v}" for n, v in zip(most, numbers, strict=True)]
    values = shares[most].tolist()
    if len(others):
        names.append(f"{len(others)} other features")
        values.append(float(shares[others].sum()))
    figure, axes = style.new_figure(1.6 + 0.27 * len(values), title, note)
    bars = axes.barh(names, values, color=[style.CLASS_COLORS[int(value > 0)] for value in values])
    axes.bar_label(bars, fmt="{:+.2f}", padding=4, size=9)
    axes.axvline(0, color=style.INK, linewidth=0.8)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel(
        f"contribution to the prediction, in {unit}: left to HEM, right to ALL;\n"
        f"{base:.2f} (mean of the training cells) plus all shares is {base + shares.sum():.2f}"
    )
    return figure


@style.styled
def by_subject_bars(table: pd.DataFrame, title: str, note: str = "") -> Figure:
    """Draw the share of cells answered rightly, a bar a subject, in the table's order.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`leukhelpers.evaluation.metrics.by_subject`: ``subject``, ``label``,
        ``cells``, ``correct``, the worst first.
    title, note : str
        The finding, and what else must be said.
    """
    figure, axes = style.new_figure(1.8 + 0.19 * len(table), title, note)
    for label in sorted(set(table["label"])):
        own = table[table["label"] == label]
        name, color = CLASS_NAMES[label], style.CLASS_COLORS[label]
        bars = axes.barh(own.index, own["correct"], color=color, label=name)
        axes.bar_label(bars, [f"{n:,}" for n in own["cells"]], padding=4, size=8, color=style.FAINT)
    axes.set_yticks(table.index, table["subject"])
    axes.set(xlim=(0, 1.1), xlabel="share of correct predictions (beside: number of cells)")
    axes.set(ylim=(len(table) - 0.4, -0.6), ylabel="subject")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


@style.styled
def reliability_diagram(
    decided: Mapping[str, Any], title: str, note: str = "", model: str = "cnn"
) -> Figure:
    """Draw the share of ALL cells over the predicted probability, in ten bins.

    Parameters
    ----------
    decided : mapping
        From :func:`leukhelpers.evaluation.decisions.summary`.
    title, note : str
        The finding, and what else must be said.
    model : str
        Whose probabilities: as predicted, and if a temperature could be chosen as set right by
        it. The larger a point, the more cells.
    """
    own = decided["models"][model]
    tables = {"as predicted": (own["reliability"], style.model_color(model, 0))}
    if "calibrated" in own:
        name = f"temperature {own['temperature']:.1f}"
        tables[name] = own["calibrated"]["reliability"], style.SPARE_COLORS[0]
    figure, axes = style.new_figure(5.0, title, note)
    for name, (table, color) in tables.items():
        places, cells = (table["mean_probability"], table["share_of_all"]), np.array(table["cells"])
        axes.plot(*places, color=color, linewidth=1.6, label=name)
        axes.scatter(*places, 12 + 160 * cells / cells.sum(), color=color, clip_on=False)
    _diagonal(axes, "perfect calibration")
    axes.set_xlabel("mean predicted probability of ALL in the bin")
    axes.set_ylabel("share of ALL cells in the bin")
    return figure


@style.styled
def net_benefit_curves(decided: Mapping[str, Any], title: str, note: str = "") -> Figure:
    """Draw the net benefit of models over the threshold, beside calling all cells, or none, ALL.

    `decided` is from :func:`leukhelpers.evaluation.decisions.summary`; the majority answer is
    not drawn, for it is one of the two that stand beside.
    """
    models = {name: own for name, own in decided["models"].items() if name != "majority"}
    figure, axes = _curves(models, "net_benefit", ("threshold", "model"), title, note)
    table = next(iter(models.values()))["net_benefit"]
    line: dict[str, Any] = {"color": style.FAINT, "linewidth": 1.2}
    axes.plot(table["threshold"], table["call_all"], **line, linestyle="--", label="ALL for all")
    axes.plot(table["threshold"], table["call_none"], **line, label="ALL for none")
    axes.set(xlabel="decision threshold")
    axes.set(ylabel="net benefit per cell", ylim=(-0.12, None))
    axes.legend(frameon=False)
    return figure


@style.styled
def risk_curves(decided: Mapping[str, Any], title: str, note: str = "") -> Figure:
    """Draw the share of wrong answers over the share of cells that a model answers.

    `decided` is from :func:`leukhelpers.evaluation.decisions.summary`.
    """
    figure, axes = _curves(decided["models"], "risk_coverage", ("coverage", "risk"), title, note)
    axes.set(xlabel="share of cells with a prediction, most confident first")
    axes.set(ylabel="share of wrong predictions", ylim=(0, None))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(frameon=False)
    return figure


def _curves(
    models: Mapping[str, Any], table: str, columns: tuple[str, str], title: str, note: str
) -> tuple[Figure, Axes]:
    """Draw two columns of a table of each model as a curve."""
    figure, axes = style.new_figure(4.0, title, note)
    for index, (name, own) in enumerate(models.items()):
        places = (own[table][column] for column in columns)
        axes.plot(*places, color=style.model_color(name, index), label=MODEL_NAMES[name])
    return figure, axes
