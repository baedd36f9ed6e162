"""One HTML page of a course run, made from the files in its folder."""

import base64
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from leukhelpers import files
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES

HEADLINE = ("auroc", "macro_auroc", "weighted_f1", "balanced_accuracy", "accuracy")


def headline(metrics: dict[str, Any]) -> pd.DataFrame:
    """Arrange the headline metrics as text: a row a model, ``value (low to high)``."""
    shown = titles(metrics)
    table = pd.DataFrame(metrics["models"], index=list(shown)).T.map(format_ci)
    return table.rename(index=MODEL_NAMES, columns=shown).rename_axis("model")


def titles(metrics: dict[str, Any]) -> dict[str, str]:
    """Choose the headline metrics that were measured, of two classes or of more."""
    measured = next(iter(metrics["models"].values()))
    named = {metric: METRIC_NAMES[metric] for metric in HEADLINE if metric in measured}
    return {metric: name[0].upper() + name[1:] for metric, name in named.items()}


def format_ci(entry: dict[str, float | None] | None) -> str:
    """Write a metric and its 95% interval; a dash where it is not defined."""
    if not isinstance(entry, dict) or entry["value"] is None:
        return "–"
    if entry.get("low") is None:
        return f"{entry['value']:.3f}"
    return f"{entry['value']:.3f} ({entry['low']:.3f} to {entry['high']:.3f})"


def write_report(folder: Path) -> Path:
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
    about, metrics = (files.read_if_there(folder / f"{name}.json") for name in ("cells", "metrics"))
    cautions = about.get("cautions", []) + metrics.get("cautions", [])
    aside = folder / "set_aside.csv"
    page = filled(
        "report.html",
        title=f"{folder.name} · course report",
        synthetic=about.get("synthetic", False),
        name=folder.name,
        about=about,
        cautions=list(dict.fromkeys(cautions)),
        metrics=metrics,
        titles=titles(metrics) if metrics else {},
        lessons=_lessons(folder),
        set_aside=pd.read_csv(aside, dtype=str, keep_default_na=False).to_dict("records")
        if aside.is_file()
        else None,
        has_card=(folder / "run.json").is_file(),
    )
    files.write_text(folder / "report.html", page)
    return folder / "report.html"


def filled(template: str, **content: Any) -> str:
    """Fill one of the package's templates; what is put into a page of HTML is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("leukhelpers"),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals |= {"names": MODEL_NAMES, "metric_names": METRIC_NAMES}
    environment.filters |= {"ci": format_ci, "percent": lambda p: "–" if p is None else f"{p:.0%}"}
    return environment.get_template(template).render(content)


def embedded(png: bytes) -> str:
    """Write a picture as the source of an image that needs no file beside the page."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _lessons(folder: Path) -> list[dict[str, Any]]:
    """Bring together each lesson's time, measured facts and figures."""
    figures = files.read_if_there(folder / "figures" / "figures.json")
    for name, about in figures.items():
        about["source"] = embedded((folder / "figures" / f"{name}.png").read_bytes())
    return [
        {
            "number": name[:2],
            "title": _title(folder / "notebooks" / f"{name}.ipynb"),
            "seconds": entry["seconds"],
            "notebook": f"notebooks/{name}.ipynb",
            "facts": files.read_if_there(folder / "facts" / f"{name[:2]}.json"),
            # In the order in which they were made.
            "figures": [figures[key] for key in figures if key.startswith(f"{name[:2]}-")],
        }
        for name, entry in sorted(files.read_json(folder / "course.json")["lessons"].items())
    ]


def _title(notebook: Path) -> str:
    """Read a lesson's title from its first line, ``# 05 · Training the network``."""
    # As plain JSON: nbformat's checks take seconds to import.
    source = "".join(files.read_json(notebook)["cells"][0]["source"])
    return source.splitlines()[0].split("·", 1)[-1].strip("# ")
