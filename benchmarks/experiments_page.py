"""Write docs/experiments.md: every candidate for the network, beside the one that was chosen.

python -m benchmarks.experiments_page
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.candidates import BASE, FOLDS, PARTITIONS, RESULT, SEEDS
from benchmarks.results_page import markdown
from leukhelpers import files

PAGE = Path(__file__).resolve().parent.parent / "docs" / "experiments.md"
CHOSEN = BASE
SHOWN = ("area", "svm", "plain", "plain + SVM")  # models of the table by patient
PUBLISHED = [  # on the preliminary test set, read from the sources
    ("SE-ResNeXt-50, fine-tuned (Prellberg and Kramer 2019)", "0.952", "0.887"),
    ("winner of the challenge: ResNet and neighborhood correction (Pan et al. 2019)", "–", "0.925"),
    ("EfficientNet-B1, split by patient (arXiv 2606.24944)", "0.913", "–"),
    ("majority-class baseline", "0.500", "0.516"),
]


def render(found: dict[str, Any]) -> str:
    """Write the page from what `benchmarks/candidates.py` measured."""
    rows = pd.DataFrame(found["candidates"]).set_index("candidate")
    machine, labels = found["machine"], found["labels"]
    base = rows.loc[BASE]
    n_splits = PARTITIONS * FOLDS
    head = f"""# Which network, and why

**Not for clinical use.** The course has one network: {labels[CHOSEN].partition(": ")[2]} of lesson
05, four convolution blocks on cells cropped to their bounding box and resized to
{found["plain"]["size"]} pixels, {found["plain"]["epochs"]} epochs, mild augmentation. Its
predictions are averaged over four quarter turns. This page shows what else was tried.

## How the candidates were compared

The cells are {found["dataset"]}: {found["cells"]:,} cells of {found["subjects"]} patients. Each
candidate changes **one thing** of the plain network, and all candidates see the same splits:

- **{n_splits} grouped test sets**: {PARTITIONS} different partitions of all {found["subjects"]}
  patients into {FOLDS} folds. The first balances the number of cells (`StratifiedGroupKFold`), the
  others deal the patients of each class at random. No patient is in training and test.
- **Fold 0 to fold 1**: trained on all patients of fold 0, tested on the patients of fold 1, with
  {SEEDS} seeds.

A *difference* is the candidate minus the plain network on the same test sets. The interval (95 %)
comes from a bootstrap over patients. *Repeats* is the standard deviation of the difference over
the {PARTITIONS} partitions (or {SEEDS} seeds): a difference smaller than this may be luck.
*Same size* is the AUROC over pairs of an ALL and a HEM cell whose areas differ by at most 8 %, so
that size cannot help. *Seconds* is one training on fold 0, on a machine that did other work, too.

Measured {found["date"]} by `benchmarks/candidates.py`, {machine["cores"]} cores,
{machine["memory_gb"]} GB.

## {n_splits} grouped test sets

"""
    within = markdown(
        ["candidate", "what changed", "AUROC", "difference", "repeats", "same size", "seconds"],
        [
            [name, labels[name], *_scores(row["within"], name), f"{row['same_size']:.3f}",
             f"{row['seconds']:.0f}"]
            for name, row in _ranked(rows, "within")
        ],
    )  # fmt: skip
    unseen = markdown(
        ["candidate", "AUROC of fold 1", "by seed", "difference", "repeats"],
        [
            [name, *_seeds(row["unseen"], found["auroc_unseen"][name], name)]
            for name, row in _ranked(rows, "unseen")
        ],
    )  # fmt: skip
    parts = [head, within, f"\n\n## Trained on fold 0, tested on fold 1\n\n{unseen}\n\n"]
    parts += ["## The choice\n\n", _choice(rows, base), "\n", _patients(found), "\n", _published()]
    return "".join(parts)


def _ranked(rows: pd.DataFrame, kind: str) -> list[tuple[str, pd.Series]]:
    order = rows[kind].map(lambda found: found["auroc"]).sort_values(ascending=False).index
    return [(name, rows.loc[name]) for name in order]


def _interval(bounds: list[float], form: str = "{:.3f}") -> str:
    return f"({form.format(bounds[0])} to {form.format(bounds[1])})"


def _difference(found: dict[str, Any], name: str) -> list[str]:
    if name == BASE:
        return ["–", "–"]
    interval = _interval(found["difference_interval"], "{:+.3f}")
    return [f"{found['difference']:+.3f} {interval}", f"{found['difference_spread']:.3f}"]


def _scores(found: dict[str, Any], name: str) -> list[str]:
    return [f"{found['auroc']:.3f} {_interval(found['interval'])}", *_difference(found, name)]


def _seeds(found: dict[str, Any], scores: list[float], name: str) -> list[str]:
    by_seed = ", ".join(f"{score:.3f}" for score in scores)
    score = f"{found['auroc']:.3f} {_interval(found['interval'])}"
    return [score, by_seed, *_difference(found, name)]


def better(row: pd.Series) -> bool:
    """Whether a candidate is better than the plain network by more than its repeats, twice."""
    kinds = (row["within"], row["unseen"])
    return all(found["difference"] > found["difference_spread"] for found in kinds)


def _choice(rows: pd.DataFrame, base: pd.Series) -> str:
    networks = [name for name in rows.index if name not in (BASE, "svm", "area", "one view")]
    alone = [name for name in networks if not name.endswith("SVM") and better(rows.loc[name])]
    joined = rows.loc[f"{BASE} + SVM"]
    gains = [f"{joined[kind]['difference']:+.3f}" for kind in ("within", "unseen")]
    one_view = rows.loc["one view"]["within"]["difference"]
    which = ", ".join(alone) if alone else "none"
    verdict = "more" if better(joined) else "not more"
    return f"""The simplest recipe wins unless another one is better by more than the repeats, on
*both* kinds of test sets. Of the changes to the network that were measured this holds for:
{which}. To average four rotations is worth {-one_view:+.3f} and costs no training.

The mean of network and SVM differs from the network alone by {gains[0]} and {gains[1]}: {verdict}
than the repeats, on both. The network sees texture but not size; the SVM sees measured size, shape,
color and texture. The two make different mistakes. This model is `cnn+svm` in `leuk train`,
`leuk evaluate` and `leuk predict`.

What limits all of them is the number of healthy people: 9 in fold 0, 2 more in fold 1.
"""


def _patients(found: dict[str, Any]) -> str:
    people = pd.DataFrame(found["by_subject"])
    rows = []
    for row in people.sort_values(["label", "subject"]).to_dict("records"):
        sick = row["label"] == 1
        means = [row[name] if sick else 1 - row[name] for name in SHOWN]
        diagnosis = "ALL" if sick else "HEM"
        rows.append([row["subject"], diagnosis, row["cells"], *(f"{mean:.2f}" for mean in means)])
    return (
        "## Patient by patient\n\nTrained on fold 0: the mean probability of the *true* class over "
        "the cells of each patient of fold 1, and over the seeds. Below 0.5 most cells look like "
        "the other class.\n\n" + markdown(["patient", "class", "cells", *SHOWN], rows) + "\n"
    )


def _published() -> str:
    table = markdown(["on the preliminary test set", "AUROC", "weighted F1"], PUBLISHED)
    return f"""## Beside published results

{table}

These results and ours cannot be compared directly. The published networks start from ImageNet
weights, are trained on all three folds (73 patients, 26 of them healthy), and are tested on the
preliminary set (28 patients). Ours starts from random weights, is trained on 28 patients and has
0.17 million weights. It is behind them where its probabilities must be right for a new patient:
with so few healthy people the threshold moves from patient to patient.
"""


if __name__ == "__main__":
    files.write_text(PAGE, render(files.read_json(RESULT)))
