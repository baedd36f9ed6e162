r"""Write docs/results.md and the table of the README: all models on real cells.

leuk crossval --dataset FOLD_0 --model MODELS --folds 4 --seed 0 --out FOLDER --json > found.json
leuk train --dataset FOLD_0 --model MODEL --seed 0 --out RUN        (each model of UNSEEN)
leuk evaluate --run RUN --dataset FOLD_1 --json > unseen.json
python -m benchmarks.results_page --found found.json --answers FOLDER \
    --unseen unseen-svm.json unseen-cnn.json unseen-both.json --run RUN
python -m benchmarks.results_page                                  only write the pages again

The figures show curves and numbers, never a cell.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_curve

from benchmarks import reference
from leukhelpers import files
from leukhelpers.evaluation import bootstrap
from leukhelpers.evaluation.metrics import CLASS_NAMES, by_subject
from leukhelpers.evaluation.names import METRIC_NAMES, MODEL_NAMES
from leukhelpers.experiments import storage
from leukhelpers.experiments.report import format_ci
from leukhelpers.plots import saving, style

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "rivals_real.json"
UNSEEN_RESULT = RESULT.with_name("unseen_real.json")
PIPELINE = RESULT.with_name("input_pipeline.json")
KINDS = RESULT.with_name("feature_kinds.json")
PAGE, FIGURES = ROOT / "docs" / "results.md", ROOT / "docs" / "results"
BEGIN, END = "<!-- results:begin -->\n", "<!-- results:end -->"
NOTE = "C-NMC 2019, fold 0 · not for clinical use"
COMMAND = "leuk crossval --dataset FOLD_0 --model MODELS --folds 4 --seed 0 --out FOLDER --json"
COMMANDS = [
    "leuk train --dataset FOLD_0 --model MODEL --seed 0 --out RUN",
    "leuk evaluate --run RUN --dataset FOLD_1 --json",
]
LITE0 = "efficientnet-lite0"
PRETRAINED = (LITE0, f"{LITE0}-tuned", f"{LITE0}-random")
UNSEEN = ("svm", "cnn", "cnn+svm")
HEADLINE = ("majority", "area", "svm", "cnn", "cnn+svm")
DRAWN = ("cnn+svm", "cnn", "svm", "area")
BESIDE = ("cnn", "svm", "area")  # with which CNN + SVM is compared, cell by cell
PEOPLE = ("cnn+svm", "cnn", "svm", "area", "majority")
TABLES = {
    "Ranking of the cells": (
        *("auroc", "average_precision"),
        *("sensitivity_at_95_specificity", "specificity_at_95_sensitivity"),
    ),
    "Predicted classes, threshold 0.5": (*("accuracy", "balanced_accuracy", "weighted_f1", "mcc"),),
    "Errors of the probabilities (less is better)": ("brier", "ece"),
}


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Write a table as Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


# ------------------------------------------------------------------ keep what was measured


def keep(found: Path, folder: Path) -> None:
    """Keep a cross-validation of fold 0, compare its models, and draw its figures."""
    measured = files.read_json(found)
    if measured["synthetic"] or measured["images"] != 3527:
        raise SystemExit(f"{found} is no cross-validation of fold 0 of C-NMC 2019.")
    auroc = [
        {name: scores["auroc"]["value"] for name, scores in fold["models"].items()}
        for fold in measured.pop("folds")
    ]
    for long in ("decisions", "worst_first"):
        measured["together"].pop(long, None)
    answers = predictions(folder, list(measured["cost"]))
    best = answers["cnn+svm"]
    compared = {
        name: bootstrap.compare(answers["label"], best, answers[name], answers["group"])
        for name in BESIDE
    }
    right = {
        name: by_subject(answers[["subject", "label"]].assign(probability=answers[name])).set_index(
            "subject"
        )
        for name in PEOPLE
    }
    people = right["cnn+svm"][["label", "cells"]].assign(
        **{name: table["correct"] for name, table in right.items()}
    )
    carried = carry_over(measured, auroc)
    files.write_json(
        RESULT,
        {
            **measured,
            "another_day": carried,
            "auroc_by_fold": auroc,
            "command": COMMAND,
            "dataset": "fold 0 of the training set of C-NMC 2019",
            "differences": compared,
            "people": people.reset_index().to_dict(orient="records"),
        },
    )
    draw(answers)


def carry_over(measured: dict[str, Any], auroc: list[dict[str, float]]) -> dict[str, str]:
    """Take over the rows of pretrained networks that were not measured again: name and date."""
    old = files.read_json(RESULT)
    if old["fingerprint"] != measured["fingerprint"] or old["seed"] != measured["seed"]:
        return {}
    carried = {}
    for name in PRETRAINED:
        if name in measured["cost"] or name not in old["cost"]:
            continue
        for key in ("over_folds", "cost"):
            measured[key][name] = old[key][name]
        for key in ("models", "of_subjects"):
            measured["together"][key][name] = old["together"][key][name]
        for new, before in zip(auroc, old["auroc_by_fold"], strict=True):
            new[name] = before[name]
        carried[name] = old["another_day"].get(name, old["date"])
    return carried


def keep_pretrained(found: Path) -> None:
    """Take the rows of the pretrained networks from a later run on the same folds."""
    measured, kept = files.read_json(found), files.read_json(RESULT)
    if any(measured[key] != kept[key] for key in ("fingerprint", "seed")):
        raise SystemExit(f"{found} is no cross-validation of the same cells with the same seed.")
    for name in PRETRAINED:
        for key in ("over_folds", "cost"):
            kept[key][name] = measured[key][name]
        for key in ("models", "of_subjects"):
            kept["together"][key][name] = measured["together"][key][name]
        for before, fold in zip(kept["auroc_by_fold"], measured["folds"], strict=True):
            before[name] = fold["models"][name]["auroc"]["value"]
        kept["another_day"][name] = measured["date"]
    files.write_json(RESULT, kept)


def predictions(folder: Path, names: list[str]) -> pd.DataFrame:
    """Put the predictions of all models side by side, all folds below each other."""
    parts = []
    for number in range(len(list(folder.glob("fold*-cnn.csv")))):
        tables = {name: storage.read_answers(folder / f"fold{number}-{name}.csv") for name in names}
        first = tables[names[0]].drop(columns="probability")
        part = first.rename(columns=lambda column: column.removesuffix("_probability"))
        for name, table in tables.items():
            assert table["cell_id"].equals(part["cell_id"])
            part[name] = table["probability"]
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def keep_unseen(found: list[Path], run: Path) -> None:
    """Keep what models that learned from all of fold 0 reach on the patients of fold 1."""
    about = storage.read_run(run).about
    if about["synthetic"] or about["images"] != 3527:
        raise SystemExit(f"{run} has not learned from fold 0 of C-NMC 2019.")
    parts = [files.read_json(path) for path in found]
    models: dict[str, Any] = {}
    for part in parts:
        if part["synthetic"] or part["cells"] != parts[0]["cells"]:
            raise SystemExit("The files are not of the same real cells.")
        for name, scores in part["models"].items():
            chosen = part["decisions"]["models"][name].get("at_threshold", {})
            models[name] = {
                "auroc": scores["auroc"],
                "weighted_f1": scores["weighted_f1"],
                "at_threshold": {key: chosen.get(key) for key in ("weighted_f1", "sensitivity",
                                                                  "specificity")},
            }  # fmt: skip
    kept = {key: parts[0][key] for key in ("synthetic", "cells", "subjects", "groups")}
    files.write_json(
        UNSEEN_RESULT,
        {
            "dataset": "fold 1 of the training set of C-NMC 2019 (12 of its 14 subjects)",
            "learned_from": "fold 0",
            **kept,
            **{key: about[key] for key in ("date", "seed", "machine", "python", "versions")},
            "profile": about["profile"]["name"],
            "commands": COMMANDS,
            "models": models,
        },
    )


def draw(answers: pd.DataFrame) -> None:
    """Draw ROC curves and reliability diagrams of the pooled predictions."""
    with plt.rc_context(style.SETTINGS):
        figure, panel = plt.subplots(figsize=(5.5, 5), layout="constrained")
        for name in DRAWN:
            wrong, right, _ = roc_curve(answers["label"], answers[name])
            panel.plot(wrong, right, color=style.MODEL_COLORS[name], label=MODEL_NAMES[name])
        panel.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
        panel.set(xlabel="1 − specificity", ylabel="sensitivity")
        panel.legend(loc="lower right")
        figure.suptitle("ROC curves, all folds together")
        figure.text(0.99, -0.02, NOTE, ha="right", va="top", size=8, color="gray")
        saving.save(figure, FIGURES, "roc", "ROC curves of four models, with the diagonal.")
        figure, panel = plt.subplots(figsize=(5.5, 5), layout="constrained")
        for name in DRAWN:
            share, mean = calibration_curve(answers["label"], answers[name], n_bins=10)
            panel.plot(
                mean, share, marker="o", color=style.MODEL_COLORS[name], label=MODEL_NAMES[name]
            )
        panel.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1)
        panel.set(xlabel="mean predicted probability of ALL", ylabel="share of ALL cells")
        panel.legend(loc="upper left")
        figure.suptitle("Above the diagonal: more cells were ALL than predicted")
        figure.text(0.99, -0.02, NOTE, ha="right", va="top", size=8, color="gray")
        alt = "Share of ALL cells over the predicted probability, four models, with the diagonal."
        saving.save(figure, FIGURES, "reliability", alt)


# ------------------------------------------------------------------ write the pages


def headline(found: dict[str, Any], unseen: dict[str, Any]) -> str:
    """Write the README's table: three numbers for each model, with intervals."""
    rows = [
        [
            MODEL_NAMES[name],
            format_ci(found["together"]["models"][name]["auroc"]),
            format_ci(unseen["models"][name]["auroc"]),
            format_ci(unseen["models"][name]["at_threshold"]["weighted_f1"]),
        ]
        for name in HEADLINE
    ]
    titles = ["model", "fold 0: AUROC", "fold 1: AUROC", "fold 1: weighted F1"]
    machine = found["machine"]
    return (
        f"Real cells of C-NMC 2019. *Fold 0*: {found['images']:,} cells of {found['subjects']} "
        "patients, four grouped folds, pooled, so the majority class is not exactly 0.5. "
        "*Fold 1*: trained on all of fold 0, tested on "
        f"{unseen['cells']:,} cells of {unseen['subjects']} other patients; the threshold comes "
        "from validation patients. In brackets: 95% intervals over patients. Full profile, seed "
        f"{found['seed']}, {found['date'][:10]}, {machine['cores']} cores.\n\n"
        f"{markdown(titles, rows)}\n"
    )


def render(found: dict[str, Any], unseen: dict[str, Any]) -> str:
    """Write the page from what was kept."""
    machine, together = found["machine"], found["together"]
    healthy = [person for person in found["people"] if person["label"] == 0]
    names = [*found["over_folds"]]
    ranked = sorted(names, key=lambda name: -found["over_folds"][name]["auroc"]["mean"])

    def table(of: dict[str, Any], metrics: tuple[str, ...]) -> str:
        titles = ["model", *(METRIC_NAMES[metric] for metric in metrics)]
        rows = [[MODEL_NAMES[m], *(format_ci(of[m][metric]) for metric in metrics)] for m in ranked]
        return markdown(titles, rows)

    parts = [
        "# What the models reach on real cells",
        f"**Not for clinical use.** {headline(found, unseen)}",
        "Compare models by the first column: there every patient is tested once. The "
        "second and third show what happens on patients of another fold. "
        "[Which network, and why](experiments.md) describes how the network was chosen, on "
        "repeated partitions of both folds. Its rows are therefore a little too good. On those "
        "partitions its AUROC is higher than on the four folds below. One possible reason: it "
        "learned from more patients there.",
        "## Four grouped folds of fold 0",
        f"Each cell is predicted once, by a model that knew no cell of its patient: `{COMMAND}`, "
        f"{found['profile']['name']} profile, seed {found['seed']}, {found['date'][:10]}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB. FOLD_0 is a folder with nothing of "
        f"C-NMC but `training_data/fold_0`. Only {len(healthy)} of the {found['subjects']} "
        "patients are healthy.",
        _by_fold(found, ranked),
        *_another_day(found),
        "All folds together, with 95% intervals by bootstrap over groups of patients. The "
        "majority-class baseline predicts another number in each fold, so its pooled AUROC is not "
        "exactly 0.5.",
    ]
    for title, metrics in TABLES.items():
        parts += [f"### {title}", table(together["models"], metrics)]
    differences = [
        [MODEL_NAMES[name], f"{one['difference']:+.3f}", f"{one['low']:+.3f} to {one['high']:+.3f}"]
        for name, one in found["differences"].items()
    ]
    people = [
        [
            person["subject"],
            CLASS_NAMES[person["label"]],
            person["cells"],
            *(f"{person[name]:.2f}" for name in PEOPLE),
        ]
        for person in found["people"]
    ]
    parts += [
        "### CNN + SVM beside others, on the same cells",
        markdown(["CNN + SVM minus", "difference of AUROC", "95% interval"], differences),
        "Where an interval contains 0, these patients do not show which model is better.",
        "### Patient by patient",
        table(together["of_subjects"], ("auroc", "balanced_accuracy")),
        "Share of correct cells, the worst patient of CNN + SVM first:",
        markdown(["patient", "class", "cells", *(MODEL_NAMES[name] for name in PEOPLE)], people),
        "![ROC curves of four models](results/roc.png)",
        "![Reliability of four models](results/reliability.png)",
        "## What a model costs",
        _costs(found, ranked),
        "## The whole course",
        reference.render().rstrip("\n"),
        "## The input pipeline",
        _pipeline(),
    ]
    return "\n\n".join(parts) + "\n"


def _by_fold(found: dict[str, Any], ranked: list[str]) -> str:
    rows = []
    for name in ranked:
        over = found["over_folds"][name]
        by_fold = ", ".join(f"{fold[name]:.3f}" for fold in found["auroc_by_fold"])
        scores = [f"{over[metric]['mean']:.3f} ± {over[metric]['sd']:.3f}"
                  for metric in ("auroc", "weighted_f1")]  # fmt: skip
        rows.append([MODEL_NAMES[name], scores[0], by_fold, scores[1]])
    return markdown(["model", "AUROC, mean ± sd", "by fold", "weighted F1"], rows)


def _another_day(found: dict[str, Any]) -> list[str]:
    if not found["another_day"]:
        return []
    names = "; ".join(MODEL_NAMES[name] for name in found["another_day"])
    dates = ", ".join(sorted({date[:10] for date in found["another_day"].values()}))
    others = "[Other ways to fine-tune](experiments.md#fine-tuning-efficientnet-lite0)"
    return [f"On the same folds, but measured on another day ({dates}): {names}. {others}."]


def _costs(found: dict[str, Any], ranked: list[str]) -> str:
    rows = []
    for name in ranked:
        cost = found["cost"].get(name)
        if cost is None:
            continue
        counted = [
            f"{cost['parameters']:,}" if cost["parameters"] else "–",
            f"{cost['multiply_adds'] / 1e6:.0f}" if cost["multiply_adds"] else "–",
        ]
        times = [f"{cost['learn_seconds']:.0f}", f"{cost['answer_ms']:.1f}"]
        rows.append([MODEL_NAMES[name], *counted, *times])
    titles = ["model", "parameters", "million multiply-adds", "seconds to train", "ms per cell"]
    note = (
        "*Seconds to train*: mean over the folds, once images and features are in the cache. "
        "CNN + SVM contains the CNN. Where it seems quicker, the machine was faster at that time."
    )
    return f"{markdown(titles, rows)}\n\n{note}"


def _pipeline() -> str:
    found, kinds = files.read_json(PIPELINE), files.read_json(KINDS)
    rows = []
    for size, speed in found["training"].items():
        rows += [
            [
                f"training with augmentation, {size} pixels",
                f"{speed['augmented']:.0f} images/s",
                "",
            ],
            [
                "… beside one constant batch in memory",
                f"{speed['constant_batch']:.0f} images/s",
                f"{speed['to_constant_batch']:.3f}",
            ],
            [
                "… beside Keras' directory reader and augmentation layers",
                f"{speed['keras_from_directory']:.0f} images/s",
                f"{speed['to_keras']:.2f}",
            ],
        ]
    cache = found["cache"]
    rows += [
        ["pixel cache, beside two ideal cores", f"{cache['cache']:.0f} files/s",
         f"{cache['to_ideal']:.3f}"],
        ["hand-crafted features", f"{kinds['cells_per_second']:.0f} cells/s", ""],
    ]  # fmt: skip
    return (
        f"Measured {found['date']}, {found['machine']['cores']} cores, medians over rounds "
        "(`benchmarks/input_pipeline.py`, `benchmarks/feature_kinds.py`). A ratio is the median "
        "of the rounds' ratios.\n\n" + markdown(["what", "speed", "ratio"], rows)
    )


def write() -> None:
    """Write the page, and the table between its marks in the README."""
    found, unseen = files.read_json(RESULT), files.read_json(UNSEEN_RESULT)
    files.write_text(PAGE, render(found, unseen))
    readme = (ROOT / "README.md").read_text("utf-8")
    before, rest = readme.split(BEGIN)
    text = before + BEGIN + headline(found, unseen) + END + rest.split(END)[1]
    files.write_text(ROOT / "README.md", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--found", type=Path)
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--pretrained", type=Path, help="a later run of the pretrained networks")
    parser.add_argument("--unseen", type=Path, nargs="*")
    parser.add_argument("--run", type=Path, help="one of the runs that were evaluated")
    given = parser.parse_args()
    if (given.unseen is None) != (given.run is None):
        parser.error("--unseen and --run belong together")
    if (given.found is None) != (given.answers is None):
        parser.error("--found and --answers belong together")
    if given.found is not None:
        keep(given.found, given.answers)
    if given.pretrained is not None:
        keep_pretrained(given.pretrained)
    if given.unseen is not None:
        keep_unseen(given.unseen, given.run)
    write()
