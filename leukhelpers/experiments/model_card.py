"""A model card for each run: what it is for, what it was made of, what it is worth.

Every number is read from the run's files. The words and tables are in ``templates/card.md`` and
``templates/details.md``. The form follows Mitchell et al., "Model cards for model reporting",
FAT* 2019.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leukhelpers import files
from leukhelpers.experiments import report, storage

NAME = "card.md"
SHOWN = (
    *("auroc", "macro_auroc", "balanced_accuracy", "weighted_f1", "accuracy"),
    *("sensitivity_at_95_specificity", "brier", "ece"),
)


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
    name = storage.model_of(run.about)
    measured = run.metrics["models"][name] if run.metrics["cells"] else {}
    kept = [path for path in run.folder.glob("model.*") if path.is_file()]
    text = report.filled(
        "card.md",
        run=run,
        about=run.about,
        metrics=run.metrics,
        name=name,
        parts=storage.read_parts(run.folder),
        shown=[key for key in SHOWN if key in measured],
        by_class=_by_class(run.metrics) if "by_class" in run.metrics else "",
        details=details(run.metrics, name),
        megabytes=sum(path.stat().st_size for path in kept) / 1e6,
    )
    return text.rstrip() + "\n"


def _by_class(metrics: dict[str, Any]) -> str:
    table = report.class_table(metrics)
    return report.markdown(["class", *table], table.reset_index().to_numpy().tolist())


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
    return report.filled("details.md", metrics=metrics, name=name).strip()
