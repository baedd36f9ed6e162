"""A model card for each run: what it is for, what it was made of, what it is worth.

Every number is read from the run's files. The form follows Mitchell et al., "Model cards for
model reporting", FAT* 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from leukhelpers import files
from leukhelpers.data.schema import CLASS_NAMES
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES
from leukhelpers.experiments import report, storage

NAME = "card.md"
SHOWN = (
    *("auroc", "macro_auroc", "balanced_accuracy", "weighted_f1", "accuracy"),
    *("sensitivity_at_95_specificity", "brier", "ece"),
)
USE = """\
For teaching: to see how such a model is trained and measured, and where it fails. Also as
something to compare other models with, on the same held-out subjects.

## Misuse

No diagnosis, no screening, no second opinion, of anybody. It knows single cells that were cut
out, centered and stain-normalized at one place; it was shown neither a smear nor a person. A
network has an answer to any picture, also of something else; `leuk predict` and the page refuse
what looks strange, as far as they can tell. A score on other cells says what it is worth
there; the scores below say it of the cells named below only."""


def write_card(folder: Path | str) -> Path:
    """Write ``card.md`` from the files of a finished run.

    Parameters
    ----------
    folder : path
        The run's folder.

    Returns
    -------
    pathlib.Path
        The card.

    Raises
    ------
    InputError
        If the folder is no finished run.
    """
    run = storage.read_run(folder)
    files.write_text(run.folder / NAME, render(run))
    return run.folder / NAME


def render(run: storage.Run) -> str:
    """Write a run's card as Markdown."""
    about = run.about
    name = storage.model_of(about)
    parts = [
        f"# Model card: {MODEL_NAMES[name]}, run “{run.folder.name}”",
        "**Not for clinical use.** For teaching, not for diagnosis."
        + (" All its cells are **synthetic**: drawn by code." if about["synthetic"] else ""),
        *(f"**Caution.** {caution}" for caution in about.get("cautions", [])),
        f"Trained {about['date']}, {about['profile']['name']} profile, seed {about['seed']}, on "
        f"{about['machine']['cores']} cores with {about['machine']['memory_gb']} GB "
        f"({about['machine']['system']}); Python {about['python']}, "
        f"TensorFlow {about['versions']['tensorflow']}, "
        f"scikit-learn {about['versions']['scikit-learn']}.",
        f"## Use\n\n{USE}",
        f"## Cells\n\n{_cells(run)}",
        f"## Quality\n\n{_quality(run, name)}",
        f"## Cost\n\n{_cost(run)}",
    ]
    return "\n\n".join(parts) + "\n"


def _cells(run: storage.Run) -> str:
    about = run.about
    counts = ", ".join(f"{count} {kind}" for kind, count in about["class_counts"].items())
    parts = storage.read_parts(run.folder)
    rows = [
        [part, len(cells), cells["subject"].nunique(), cells["group"].nunique()]
        for part, cells in (
            (part, parts[parts["part"] == part]) for part in ("train", "validation", "test")
        )
    ]
    return (
        f"Data set “{about['dataset']}”: {about['images']} cells of {about['subjects']} subjects "
        f"({counts}); {about['set_aside']} files set aside (`set_aside.csv`).\n\n"
        + report.markdown(["part", "cells", "subjects", "groups"], rows)
    )


def _quality(run: storage.Run, name: str) -> str:
    metrics = run.metrics
    if not metrics["cells"]:
        return (
            "No subject was held out, so nothing can be said of it. "
            "`leuk evaluate` measures it on cells of other subjects."
        )
    found = metrics["models"]
    shown = {key: METRIC_NAMES[key] for key in SHOWN if key in found[name]}
    rows = [
        [MODEL_NAMES[model], *(report.format_ci(measured[key]) for key in shown)]
        for model, measured in found.items()
    ]
    parts = [
        f"On {metrics['cells']} cells of {metrics['subjects']} held-out subjects; in brackets "
        f"95 % intervals over {metrics['groups']} groups of subjects. Of so few they are rough. Of "
        "Brier score and calibration error less is better.",
        report.markdown(["model", *shown.values()], rows),
        *metrics["notes"],
    ]
    if "by_class" in metrics:
        classes = report.class_table(metrics)
        parts.append(
            report.markdown(["class", *classes], classes.reset_index().to_numpy().tolist())
        )
    return "\n\n".join([*parts, details(metrics, name)]).rstrip()


def details(metrics: dict[str, Any], name: str) -> str:
    """Tell what stands behind the scores of a model and of those beside it, as Markdown.

    Parameters
    ----------
    metrics : dict
        From :func:`leukhelpers.evaluation.summary.summary`, with ``decisions`` or without.
    name : str
        The model whose scores these are, the first of the metrics' models.

    Returns
    -------
    str
        Tables by class and by subject, and what was chosen on validation cells; of each
        as far as it was measured.
    """
    parts = []
    if "report" in metrics:  # older runs have none
        parts += _by_class(metrics, name)
    if metrics.get("of_subjects"):
        parts.append(_subjects(metrics, name))
    if "decisions" in metrics:
        parts.append(_decisions(metrics["decisions"]))
    return "\n\n".join(parts)


def _by_class(metrics: dict[str, Any], name: str) -> list[str]:
    rows = [
        [MODEL_NAMES[model], of, *found["called"].values(), f"{found['precision']:.3f}"]
        + [f"{found[key]:.3f}" for key in ("recall", "f1")]
        for model, classes in metrics["report"].items()
        for of, found in classes.items()
    ]
    called = [f"called {of}" for of in next(iter(metrics["report"].values()))]
    differences = [
        [MODEL_NAMES[other], report.format_ci({**found, "value": found["difference"]})]
        for other, found in metrics["compared"].items()
    ]
    return [
        f"### By class\n\nFrom a probability of {metrics['threshold']:g} on a cell is called ALL:",
        report.markdown(["model", "class", *called, "precision", "recall", "F1"], rows),
        "On the same cells, in the same resamples:",
        report.markdown([f"{MODEL_NAMES[name]} less", "difference of AUROC"], differences),
    ]


def _subjects(metrics: dict[str, Any], name: str) -> str:
    rows = [
        [
            MODEL_NAMES[model],
            report.format_ci(measured["auroc"]),
            report.format_ci(measured["accuracy"]),
        ]
        for model, measured in metrics["of_subjects"].items()
    ]
    worst = pd.DataFrame(metrics["worst_first"])
    people = [
        [row.subject, CLASS_NAMES[row.label], row.cells, f"{row.correct:.0%}"]
        for row in worst.itertuples()
    ]
    return (
        "### By subject\n\nEach subject by the mean probability of its cells:\n\n"
        f"{report.markdown(['model', 'AUROC', 'accuracy'], rows)}\n\n"
        f"Cells that the {MODEL_NAMES[name]} answers rightly, the worst subject first:\n\n"
        f"{report.markdown(['subject', 'class', 'cells', 'right'], people)}"
    )


def _decisions(decided: dict[str, Any]) -> str:
    title = "### Threshold, calibration, abstention\n\n"
    if decided["chosen_on"] is None:
        return title + " ".join(decided["notes"])
    chosen = decided["chosen_on"]
    points, rows = [], []
    for model, found in decided["models"].items():
        at, covered = found["at_threshold"], found["coverage"]
        points.append(
            [
                MODEL_NAMES[model],
                f"{found['threshold']:.2f}",
                report.format_ci(at["sensitivity"]),
                report.format_ci(at["specificity"]),
            ]
        )
        rows.append(
            [
                MODEL_NAMES[model],
                f"{found['temperature']:.2f}",
                report.format_ci(found["calibrated"]["ece"]),
                f"{_share(covered['HEM'])} / {_share(covered['ALL'])}",
                _share(covered["answered"]),
                _share(covered["right"]),
            ]
        )
    at_point = ["model", "threshold", "sensitivity there", "specificity there"]
    columns = [
        "model",
        "temperature",
        "calibration error then",
        "promise of 90 % kept (HEM / ALL)",
        "answered",
        "of these right",
    ]
    return (
        f"{title}Chosen on {chosen['cells']} cells of {chosen['subjects']} validation subjects "
        "by answers of a model that had not learnt from them; measured on the held-out ones.\n\n"
        f"{report.markdown(at_point, points)}\n\n{report.markdown(columns, rows)}"
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _cost(run: storage.Run) -> str:
    kept = [path for path in run.folder.glob("model.*") if path.is_file()]
    size = sum(path.stat().st_size for path in kept) / 1e6
    text = f"The model's file has {size:.1f} MB."
    if "seconds" in run.history and len(run.history):
        seconds = run.history["seconds"].sum()
        text += f" {len(run.history)} epochs took {seconds / 60:.1f} minutes."
    return text
