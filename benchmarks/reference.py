"""Keep what the reference runs measured; docs/results.md shows it.

    python -m benchmarks.reference --twin runs/twin-fast-seed0 --real runs/real
    python -m benchmarks.results_page         (writes the page)

Metrics and times go to ``benchmarks/results/``, figures of the twin to ``figures/``; a
run on real cells leaves numbers only, never a figure.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from leukhelpers import files
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments.report import format_ci, titles

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
KINDS = {
    "twin": "The **synthetic** cells of the course",
    "real": "Real cells: fold 0 of the training set of C-NMC 2019",
}
IMAGES = {"twin": (True, 800), "real": (False, 3527)}  # synthetic or not, cells
COLOR_ROWS = {
    "mean": "mean (0 to 255)",
    "sd_within_cells": "standard deviation within a cell",
    "sd_between_cells": "standard deviation between cells",
}
COMMANDS = {
    "twin": "make course",
    "real": "leuk run --dataset PATH --profile full --out runs/real",
}


def keep(kind: str, run: Path) -> None:
    """Copy what a run measured into ``benchmarks/results/``."""
    metrics = files.read_json(run / "metrics.json")
    about = files.read_json(run / "run.json")
    if (metrics["synthetic"], about["images"]) != IMAGES[kind]:
        raise SystemExit(f"{run} is not a run on {KINDS[kind]}.")
    course = files.read_json(run / "course.json")
    kept = {
        **metrics,
        "images": about["images"],
        "all_subjects": about["subjects"],
        "python": about["python"],
        "versions": about["versions"],
        "seconds": course["seconds"],
    }
    files.write_json(RESULTS / f"reference_{kind}.json", kept)
    if kind == "twin":
        figures = ROOT / "figures"
        shutil.rmtree(figures, ignore_errors=True)
        ignored = shutil.ignore_patterns(".*")
        shutil.copytree(run / "figures", figures, ignore=ignored)


REPLACED = "2026-11-29"  # until then results were made with the network of version 1


def render() -> str:
    """Write the kept results as Markdown."""
    parts = []
    for kind, title in KINDS.items():
        path = RESULTS / f"reference_{kind}.json"
        if path.is_file():
            parts.append(_table(title, COMMANDS[kind], files.read_json(path)))
    cost = RESULTS / "course_cost.json"
    if cost.is_file():
        found = files.read_json(cost)
        parts.append(
            f"From nothing but the installed package, `make course` took {found['seconds']:.0f} "
            f"seconds and at most {found['peak_memory_gb']:.1f} GB of memory "
            f"({found['date'][:10]}, {found['machine']['cores']} cores; "
            "`benchmarks/course_cost.py`).\n"
        )
    return "\n".join(parts)


def _table(title: str, command: str, kept: dict[str, Any]) -> str:
    machine = kept["machine"]
    # Lessons ran one after another when the run on real cells was made.
    seconds = kept.get("seconds") or sum(kept["lesson_seconds"].values())
    head = (
        f"{title}: {kept['images']} cells of {kept['all_subjects']} subjects; measured on "
        f"{kept['cells']} cells of {kept['subjects']} held-out subjects. `{command}`, "
        f"{recipe(kept['profile'], kept['date'])}, seed {kept['seed']}, {kept['date'][:10]}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB; all lessons took "
        f"{seconds / 60:.1f} minutes. In brackets 95% intervals, by bootstrap over groups of "
        "subjects.\n\n"
    )
    shown = titles(kept)
    rows = ["| model | " + " | ".join(shown.values()) + " |"]
    rows.append("| --- |" + " --- |" * len(shown))
    for model, measured in kept["models"].items():
        scores = [format_ci(measured[metric]) for metric in shown]
        rows.append(f"| {MODEL_NAMES[model]} | " + " | ".join(scores) + " |")
    return head + "\n".join(rows) + "\n"


def recipe(profile: str, date: str) -> str:
    """Name the profile of a kept result; older ones were made with another network."""
    if date < REPLACED:
        return f"the network of version 1 ({profile} profile then), not yet measured again"
    return f"{profile} profile"


class Statistic(NamedTuple):
    """One row of the table: a number of the real cells, and the twin's."""

    name: str
    real: float
    twin: float
    tolerance: float  # how far the twin may be from the real cells
    form: str  # how the three numbers are written
    spread: tuple[float, float] | None = None  # over folds, beside real and twin

    @property
    def within(self) -> bool:
        """Whether the twin is as near as the tolerance asks."""
        return abs(self.twin - self.real) <= self.tolerance

    def row(self) -> str:
        """Write the row of the table."""
        values = [self.form.format(value) for value in (self.real, self.twin)]
        if self.spread is not None:
            values = [f"{value} ± {sd:.3f}" for value, sd in zip(values, self.spread, strict=True)]
        tolerance = "± " + self.form.format(self.tolerance)
        return f"| {self.name} | {' | '.join(values)} | {tolerance} |"


def statistics(found: dict[str, Any]) -> list[Statistic]:
    """List what is compared, each with its tolerance.

    The tolerances were set before the networks were measured: 5% of an area; 3 gray
    levels of a mean color, 2 of a spread; 2 of 100 cells; of an AUROC one standard
    deviation over the folds of the real cells, but not less than 0.02.
    """
    real, twin = found["real"], found["twin"]
    rows = []
    for label in ("ALL", "HEM"):
        for share in ("0.05", "0.25", "0.5", "0.75", "0.95"):
            values = [side[label]["area_quantiles"][share] for side in (real, twin)]
            name = f"{label}, area of a cell, {float(share):.0%} quantile (pixels)"
            rows.append(Statistic(name, *values, 0.05 * values[0], "{:,.0f}"))
        for channel, color in zip("rgb", ("red", "green", "blue"), strict=True):
            for key, title in COLOR_ROWS.items():
                values = [side[label]["color"][channel][key] for side in (real, twin)]
                allowed = 3.0 if key == "mean" else 2.0
                rows.append(Statistic(f"{label}, {color}, {title}", *values, allowed, "{:.1f}"))
    beyond = [side["beyond_300"] for side in (real, twin)]
    rows.append(Statistic("cells that reach beyond a crop of 300×300", *beyond, 0.02, "{:.1%}"))
    for name, score in real["auroc"].items():
        other = twin["auroc"][name]
        allowed = max(0.02, score["sd"])
        spread = (score["sd"], other["sd"])
        rows.append(
            Statistic(f"AUROC, {name}", score["mean"], other["mean"], allowed, "{:.3f}", spread)
        )
    return rows


def write_twin_page() -> None:
    """Write ``docs/twin.md``: synthetic cells compared with the real ones that they imitate."""
    found = files.read_json(RESULTS / "twin_beside_real.json")
    speed = files.read_json(RESULTS / "twin_speed.json")
    real = found["real"]
    rows = statistics(found)
    sides = (real, found["twin"])
    svm, area = ("SVM, subjects apart", "area, subjects apart")
    lead = [side["auroc"][svm]["mean"] - side["auroc"][area]["mean"] for side in sides]
    texture = [side["ALL"]["medians"]["band_8"] for side in sides]
    table = "\n".join(row.row() for row in rows)
    outside = [row.name for row in rows if not row.within]
    fact = f"All {len(rows)} rows are within." if not outside else f"Outside: {'; '.join(outside)}."
    head = f"""# Synthetic and real cells compared

The cells of the dataset `twin` are **synthetic**: they are drawn by code. They imitate fold 0 of
the training set of C-NMC 2019 ({real["cells"]} cells of {real["subjects"]} subjects). The numbers
of the drawing were fitted to it by hand, with the seed {found["seed"]}. Other seeds draw other
cells of the same kind.

- AUROC: mean ± standard deviation over four folds. The majority-class baseline has 0.5. The
  standard deviation here has the divisor 4, that in the [results](results.md) has 3.
- Tolerance: how far the synthetic cells may be from the real ones. It is 5% of an area, 3 gray
  levels of a mean color, 2 of a standard deviation, and 2 of 100 cells. Of an AUROC it is one
  standard deviation over the real folds (at least 0.02). {fact}
- The SVM uses a few quick features, not those of lesson 04, so its scores differ from the results.
- The CNN has the layers of lesson 02 of version 1. It sees images of half the width, for 8 epochs.

Measured {found["date"]} on {found["machine"]["cores"]} cores. PATH is `training_data/fold_0` of
C-NMC.

```
python benchmarks/twin_beside_real.py --real PATH --out benchmarks/results/twin_beside_real.json
```

| | real | synthetic | tolerance |
| --- | --- | --- | --- |
"""
    tail = f"""
Drawing {speed["images"]} files of 450×450 pixels took {speed["seconds"]:.1f} seconds, that is
{speed["images_per_second"]:.0f} images per second on {speed["machine"]["cores"]} cores
({speed["date"][:10]}, `python benchmarks/twin_speed.py`).

## What still differs

- The mean AUROC of the SVM is {lead[0]:+.3f} above that of the area baseline on real cells, and
  {lead[1]:+.3f} on synthetic ones. Such differences are within the spread of the folds.
- Texture at a scale of eight pixels has a standard deviation of {texture[0]:.2f} gray levels in
  real cells and {texture[1]:.2f} in synthetic ones (median cell, ALL).
- Synthetic nucleoli are larger and more distinct than real ones, so that a small network can learn
  them in minutes.

This page measures {real["cells"]} synthetic cells in fold 0. The course draws a smaller dataset, so
the scores in lesson 02 differ from these. A result on synthetic cells shows *how* something is
done. Only real cells show what it is worth.
"""
    files.write_text(ROOT / "docs" / "twin.md", head + table + "\n" + tail)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--twin", type=Path)
    parser.add_argument("--real", type=Path)
    given = parser.parse_args()
    for name in KINDS:
        folder = getattr(given, name)
        if folder is not None:
            keep(name, folder)
    write_twin_page()
