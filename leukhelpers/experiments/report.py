"""One HTML page of a course run, made from the files in its folder."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from leukhelpers import files
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES

HEADLINE = ("auroc", "macro_auroc", "weighted_f1", "balanced_accuracy", "accuracy")


def headline(metrics: dict[str, Any]) -> pd.DataFrame:
    """Arrange the headline metrics as text: a row a model, ``value (low to high)``."""
    return pd.DataFrame(
        {
            title: [format_ci(measured.get(metric)) for measured in metrics["models"].values()]
            for metric, title in titles(metrics).items()
        },
        index=pd.Index([MODEL_NAMES[model] for model in metrics["models"]], name="model"),
    )


def titles(metrics: dict[str, Any]) -> dict[str, str]:
    """Choose the headline metrics that were measured, of two classes or of more."""
    measured = next(iter(metrics["models"].values()))
    named = {metric: METRIC_NAMES[metric] for metric in HEADLINE if metric in measured}
    return {metric: name[0].upper() + name[1:] for metric, name in named.items()}


def class_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """Arrange what was measured of each class as text: a row a class and model.

    Parameters
    ----------
    metrics : dict
        From :func:`leukhelpers.evaluation.summary.summary`.

    Returns
    -------
    pandas.DataFrame
        The index is the class; columns ``Model``, ``Cells``, ``AUROC``, ``Precision``,
        ``Recall`` and ``F1``.
    """
    names = {"auroc": "AUROC", "precision": "Precision", "recall": "Recall", "f1": "F1"}
    rows = []
    for name in next(iter(metrics["by_class"].values())):
        for model, by_class in metrics["by_class"].items():
            found = by_class[name]
            measured = {label: format_ci(found[metric]) for metric, label in names.items()}
            count = str(found["cells"])
            rows.append({"class": name, "Model": MODEL_NAMES[model], "Cells": count, **measured})
    return pd.DataFrame(rows).set_index("class")


def format_ci(entry: dict[str, float | None] | None) -> str:
    """Write a metric and its 95 % interval; a dash where it is not defined."""
    if entry is None or entry["value"] is None:
        return "–"
    if entry.get("low") is None:
        return f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a table as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def write_report(folder: Path | str) -> Path:
    """Write ``report.html``, one self-contained page, from what a run left.

    Parameters
    ----------
    folder : path
        A folder that :func:`leukhelpers.course.run_lessons.run_lessons` filled.

    Returns
    -------
    pathlib.Path
        The page.
    """
    folder = Path(folder)
    about, metrics = _json(folder / "cells.json"), _json(folder / "metrics.json")
    page = filled(
        "report.html",
        title=f"{folder.name} · course report",
        synthetic=bool(about and about["synthetic"]),
        name=folder.name,
        about=about,
        counts=_counts(about or {}),
        cautions=_cautions(about, metrics),
        metrics=metrics,
        models={model: MODEL_NAMES[model] for model in (metrics or {}).get("models", {})},
        titles=titles(metrics) if metrics else {},
        lessons=_lessons(folder),
        set_aside=_table(folder / "set_aside.csv"),
        has_card=(folder / "run.json").is_file(),
    )
    files.write_text(folder / "report.html", page)
    return folder / "report.html"


def filled(template: str, **content: Any) -> str:
    """Fill one of the package's page templates; what is put in is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leukhelpers"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(content)


def embedded(png: bytes) -> str:
    """Write a picture as the source of an image that needs no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _counts(about: dict[str, Any]) -> str:
    """Count the cells of each class, in words; older runs kept the counts elsewhere."""
    counts = about.get("class_counts") or about.get("classes") or {}
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _cautions(*told_by: dict[str, Any] | None) -> list[str]:
    """Gather what must stand beside every score, each sentence once."""
    told_all = [caution for about in told_by for caution in (about or {}).get("cautions", [])]
    return list(dict.fromkeys(told_all))


def _lessons(folder: Path) -> list[dict[str, Any]]:
    """Bring together each lesson's time, measured facts and figures."""
    figures = _json(folder / "figures" / "figures.json") or {}
    lessons = []
    for name, entry in sorted(files.read_json(folder / "course.json")["lessons"].items()):
        number = name[:2]
        lessons.append(
            {
                "number": number,
                "title": _title(folder / "notebooks" / f"{name}.ipynb"),
                "seconds": entry["seconds"],
                "notebook": f"notebooks/{name}.ipynb",
                "facts": _json(folder / "facts" / f"{number}.json") or {},
                "figures": [
                    {
                        **about,
                        "source": embedded((folder / "figures" / f"{figure}.png").read_bytes()),
                    }
                    for figure, about in figures.items()  # in the order in which they were made
                    if figure.startswith(f"{number}-")
                ],
            }
        )
    return lessons


def _title(notebook: Path) -> str:
    """Read a lesson's title from its first line, ``# 05 · Training the network``."""
    # As plain JSON: nbformat's checks take seconds to import.
    source = "".join(files.read_json(notebook)["cells"][0]["source"])
    first = source.splitlines()[0]
    return first.split("·", 1)[-1].strip("# ")


def _json(path: Path) -> Any:
    return files.read_json(path) if path.is_file() else None


def _table(path: Path) -> list[dict[Hashable, str]] | None:
    if not path.is_file():
        return None
    return pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
