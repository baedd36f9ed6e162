"""Write docs/results.md: all models on real cells, with intervals, ROC and reliability.

leuk crossval --dataset PATH --model all --random-weights --out FOLDER --json > found.json
python benchmarks/results_page.py --answers FOLDER    measure the answers, draw, write the page
leuk sweep GRID.yaml --out FOLDER
python benchmarks/results_page.py --sweep FOLDER      keep a sweep's table, write the page
python benchmarks/results_page.py                     only write the page again

The figures show curves and numbers, never a cell.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import reference
from benchmarks.rivals import COMMAND
from leukhelpers import files
from leukhelpers.evaluation import bootstrap, decisions, summary
from leukhelpers.evaluation.metrics import CLASS_NAMES, by_subject
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES
from leukhelpers.experiments import provenance, storage, sweep_table
from leukhelpers.experiments.report import format_ci
from leukhelpers.plots import charts, saving

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "results_real.json"
SWEEP = RESULT.with_name("sweep_real.json")
PAGE, FIGURES = ROOT / "docs" / "results.md", ROOT / "docs" / "results"
NOTE = "C-NMC 2019, fold 0 · not for clinical use"
DRAWN = ("cnn", "svm", "rf", "efficientnet-lite0", "area")
BESIDE = ("svm", "rf", "area")  # with which the network is compared, cell by cell
TABLES = {
    "Order of the cells": (
        *("auroc", "average_precision"),
        *("sensitivity_at_95_specificity", "specificity_at_95_sensitivity"),
    ),
    "Answers, from a probability of 0.5 on": (
        *("accuracy", "balanced_accuracy", "weighted_f1", "mcc"),
    ),
    "Errors of the probabilities (less is better)": ("brier", "ece"),
}
SWEPT = ("auroc", "weighted_f1", "balanced_accuracy")
PEOPLE = ("cnn", "svm", "area", "majority")  # whose right answers are told for each subject


def markdown(columns: list[str], rows: list[list[Any]]) -> str:
    """Write a table as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def together(folder: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """Put the answers of all models side by side, all folds below each other."""
    names = sorted({file.stem.split("-", 1)[1] for file in folder.glob("fold0-*.csv")})
    missing = [name for name in DRAWN if name not in (*names, "area")]
    if missing:
        raise SystemExit(f"{folder} lacks answers of {', '.join(missing)}.")
    parts = []
    for number in range(len(list(folder.glob("fold*-cnn.csv")))):
        tables = {name: storage.read_answers(folder / f"fold{number}-{name}.csv") for name in names}
        part = tables["cnn"].drop(columns="probability")
        for name, table in tables.items():
            assert table["cell_id"].equals(part["cell_id"])
            part[f"{name}_probability"] = table["probability"]
        parts.append(part)
    columns = {name: f"{name}_probability" for name in [*names, "area", "majority"]}
    return pd.concat(parts, ignore_index=True), columns


def keep(folder: Path) -> None:
    """Measure the answers of a cross-validation, and draw its figures."""
    answers, columns = together(folder)
    asked = files.read_json(folder / "crossval.json")
    measured = summary.summary(answers, columns=columns)
    measured.pop("worst_first")
    labels, groups = answers["label"], answers["group"]
    compared = {
        name: bootstrap.compare(labels, answers["cnn_probability"], answers[columns[name]], groups)
        for name in BESIDE
    }
    right = {
        name: by_subject(
            answers[["subject", "label"]].assign(probability=answers[columns[name]])
        ).set_index("subject")
        for name in PEOPLE
    }
    people = right["cnn"][["label", "cells"]].assign(
        **{name: table["correct"] for name, table in right.items()}
    )
    kept = {
        "dataset": "fold 0 of the training set of C-NMC 2019",
        "command": COMMAND,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "seed": asked["seed"],
        "folds": asked["folds"],
        "profile": asked["profile"]["name"],
        **provenance.environment(),
        **measured,
        "cnn_less": compared,
        "people": people.reset_index().to_dict(orient="records"),
    }
    files.write_json(RESULT, kept)
    draw(answers, columns, kept)


def keep_sweep(folder: Path) -> None:
    """Copy what a sweep over models and seeds reached on real cells, and draw it."""
    table = pd.read_csv(folder / "results.csv")
    if not (table["state"] == "done").all() or set(table["task"]) != {"train"}:
        raise SystemExit(f"{folder} holds no sweep of trainings that are all done.")
    own = table[table["answered_by"] == table["model"]]
    wide = own.pivot(index=["run", "model", "seed", "seconds"], columns="metric", values="value")
    about = [storage.read_run(folder / "runs" / run / "run") for run in table["run"].unique()]
    if {(run.about["images"], run.about["synthetic"]) for run in about} != {(3527, False)}:
        raise SystemExit(f"{folder} is of other cells than fold 0 of C-NMC 2019.")
    held_out = {tuple(sorted(run.predictions["subject"].unique())) for run in about}
    metrics = [*SWEPT, "area_auroc"]
    area = table[(table["answered_by"] == "area") & (table["metric"] == "auroc")]
    rows = wide.reset_index().merge(area[["run", "value"]].rename(columns={"value": metrics[-1]}))
    within, between = sweep_table.spread(own[own["metric"] == "auroc"], ["model"])
    first = about[0].about
    kept = {
        "dataset": "fold 0 of the training set of C-NMC 2019",
        "command": "leuk sweep GRID.yaml --out FOLDER",
        **{key: first[key] for key in ("date", "machine", "python", "versions")},
        "seed": sorted(int(seed) for seed in table["seed"].unique()),
        "profile": first["profile"]["name"],
        "held_out": [list(people) for people in sorted(held_out)],
        "test_cells": [len(run.predictions) for run in about],
        "sd_between_seeds": within,
        "distance_between_models": between,
        "runs": rows[["model", "seed", "seconds", *metrics]].to_dict(orient="records"),
    }
    files.write_json(SWEEP, kept)
    settings = {MODEL_NAMES[name]: part["auroc"] for name, part in rows.groupby("model")}
    title = f"One model between seeds: {within:.3f} (sd); between models: {between:.3f}"
    figure = charts.repeated_scores(settings, title, "AUROC", NOTE)
    saving.save(figure, FIGURES, "sweep", f"{title}. A dot a seed, a row a model.")


def render_sweep(kept: dict[str, Any]) -> list[str]:
    """Write what a sweep over models and seeds reached."""
    names = METRIC_NAMES
    titles = ["model", "seed", *(names[metric] for metric in SWEPT), "area's AUROC", "seconds"]
    rows = [
        [
            MODEL_NAMES[run["model"]],
            run["seed"],
            *(f"{run[metric]:.3f}" for metric in (*SWEPT, "area_auroc")),
            f"{run['seconds']:.0f}",
        ]
        for run in sorted(kept["runs"], key=lambda run: (run["model"], run["seed"]))
    ]
    people = " or ".join(", ".join(some) for some in kept["held_out"])
    same = "the same for every seed" if len(kept["held_out"]) == 1 else "by seed"
    cells = " or ".join(f"{n:,}" for n in sorted(set(kept["test_cells"])))
    return [
        "",
        "## Models and seeds",
        "",
        f"`{kept['command']}` with three models and three seeds, one grouped fold of four held "
        f"out ({cells} cells), "
        f"{reference.recipe(kept['profile'], kept['date'])}, {kept['date'][:10]}, "
        f"{kept['machine']['cores']} cores, two "
        "runs at once on a machine that others used at the same time: the seconds say little. "
        "Not for clinical use.",
        "",
        markdown(titles, rows),
        "",
        f"One model differs between seeds by {kept['sd_between_seeds']:.3f} (standard deviation), "
        f"the means of the models by {kept['distance_between_models']:.3f} at most. Held out were "
        f"the subjects {people}, {same}: where the folds are balanced the seed has little to "
        "choose, and the spread between seeds says nothing of other people "
        "([lesson 12](../notebooks/12_many_runs.ipynb)).",
        "",
        "![Three models, a dot a seed](results/sweep.png)",
    ]


def draw(answers: pd.DataFrame, columns: dict[str, str], kept: dict[str, Any]) -> None:
    """Draw ROC curves and reliability diagrams of the pooled answers."""
    auroc = kept["models"]["cnn"]["auroc"]["value"]
    area = kept["models"]["area"]["auroc"]["value"]
    figure = charts.roc_curves(
        answers["label"],
        {name: answers[columns[name]] for name in DRAWN},
        f"All folds together the network reaches {auroc:.3f}, the area alone {area:.3f}",
        NOTE,
    )
    saving.save(figure, FIGURES, "roc", "ROC curves of five models, with the diagonal.")
    decided = decisions.summary(answers, None, columns)
    for name in ("cnn", "svm", "area"):
        error = kept["models"][name]["ece"]["value"]
        figure = charts.reliability_diagram(
            decided,
            f"{MODEL_NAMES[name]}: on average the probability is off by {error:.2f}",
            NOTE,
            name,
        )
        alt = "Share of ALL cells over the probability that was told, with the diagonal."
        saving.save(figure, FIGURES, f"reliability-{name}", f"{MODEL_NAMES[name]}. {alt}")


def render(kept: dict[str, Any]) -> str:
    """Write the page from what was kept."""
    machine = kept["machine"]
    healthy = [person for person in kept["people"] if person["label"] == 0]
    share = 1 - sum(person["cells"] for person in healthy) / kept["cells"]
    lines = [
        "# What the models reach on real cells",
        "",
        f"**Not for clinical use.** Real cells, {kept['dataset']}: {kept['cells']:,} cells of "
        f"{kept['subjects']} subjects, only {len(healthy)} of them healthy. Each cell was "
        "answered once, by a model that knew none of its subject's cells: "
        f"`{kept['command']}`, {reference.recipe(kept['profile'], kept['date'])}, "
        f"seed {kept['seed']}, {kept['folds']} "
        f"grouped folds. Measured {kept['date']} by `benchmarks/results_page.py --answers FOLDER`, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB.",
        "",
        "The answers of all folds stand together here, so that every number has an interval: 95 %, "
        "by bootstrap over groups of subjects. The means over the folds are in the README. Where "
        "scales differ between the models of two folds, the pooled AUROC suffers a little; the "
        "majority answer is one number in each fold, but another in each, and so its pooled AUROC "
        "is not the one half that it has in every single fold. The "
        "settings of the network were chosen on these folds ([the log](cnn-log.md)), which "
        "flatters its row.",
    ]
    names = MODEL_NAMES
    ranked = sorted(kept["models"], key=lambda name: -kept["models"][name]["auroc"]["value"])

    def table(of: dict[str, Any], metrics: tuple[str, ...]) -> str:
        titles = ["model", *(METRIC_NAMES[metric] for metric in metrics)]
        rows = [[names[m], *(format_ci(of[m][metric]) for metric in metrics)] for m in ranked]
        return markdown(titles, rows)

    for title, metrics in TABLES.items():
        lines += ["", f"## {title}", "", table(kept["models"], metrics)]
    differences = [
        [names[name], f"{found['difference']:+.3f}", f"{found['low']:+.3f} to {found['high']:+.3f}"]
        for name, found in kept["cnn_less"].items()
    ]
    people = [
        [
            person["subject"],
            CLASS_NAMES[person["label"]],
            person["cells"],
            *(f"{person[name]:.2f}" for name in PEOPLE),
        ]
        for person in kept["people"]
    ]
    lines += [
        "",
        "## The network beside others, on the same cells",
        "",
        markdown(["CNN less", "difference of AUROC", "95 % interval"], differences),
        "",
        "Where an interval holds 0, these people cannot tell the two apart.",
        "",
        "## Subjects, each by the mean probability of its cells",
        "",
        table(kept["of_subjects"], ("auroc", "balanced_accuracy")),
        "",
        "Share of rightly answered cells, the network's worst subject first:",
        "",
        markdown(["subject", "class", "cells", *(names[name] for name in PEOPLE)], people),
    ]
    lines += render_sweep(files.read_json(SWEEP)) if SWEEP.is_file() else []
    lines += ["", "## Curves", "", "![ROC curves of five models](results/roc.png)", ""]
    for name in ("cnn", "svm", "area"):
        lines += [f"![Reliability of the {names[name]}](results/reliability-{name}.png)", ""]
    lines += [
        "Points above the diagonal: more cells were ALL than was told. The network and the others "
        "weigh both classes alike while they learn, and so speak as if half of all cells were ALL; "
        f"of these cells {share:.0%} are."
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--sweep", type=Path)
    given = parser.parse_args()
    if given.answers is not None:
        keep(given.answers)
    if given.sweep is not None:
        keep_sweep(given.sweep)
    files.write_text(PAGE, render(files.read_json(RESULT)))
