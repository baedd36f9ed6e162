"""Write docs/experiments.md: every candidate for the network, beside the one that was chosen.

python -m benchmarks.experiments_page
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd

from benchmarks.candidates import CANDIDATES, FOLDS, PARTITIONS, PLAIN, SEEDS
from benchmarks.judge_candidates import BASE, CHOSEN, RESULT, SMALLER
from benchmarks.results_page import markdown
from leukhelpers import files
from leukhelpers.evaluation.names import MODEL_NAMES

PAGE = Path(__file__).resolve().parent.parent / "docs" / "experiments.md"
RIVALS = RESULT.with_name("rivals_real.json")
UNSEEN = RESULT.with_name("unseen_real.json")
FINETUNED = RESULT.with_name("finetune.json")
NO_NETWORK = ("area", "svm", "rf")
KINDS = ("within", "unseen")
MARKS = "†‡§¶‖"  # of the sessions after the first one
SHOWN = ("area", "svm", CHOSEN, f"{CHOSEN} + SVM")  # models of the table by patient
PUBLISHED = [  # on the preliminary test set, read from the sources
    ("SE-ResNeXt-50, fine-tuned (Prellberg and Kramer 2019)", "0.952", "0.887"),
    ("winner of the challenge: ResNet and neighborhood correction (Pan et al. 2019)", "–", "0.925"),
    ("EfficientNet-B1, split by patient (arXiv 2606.24944)", "0.913", "–"),
    ("majority-class baseline", "0.500", "0.516"),
]


def render(found: dict[str, Any]) -> str:
    """Write the page from what `benchmarks/judge_candidates.py` kept."""
    parts = [_head(found), _candidates(found), _choice(found), _patients(found)]
    return "\n".join([*parts, _finetuned(), _published()])


def _head(found: dict[str, Any]) -> str:
    machine = found["machine"]
    return f"""# Which network, and why

**Not for clinical use.** The course has one network, that of lesson 05: four convolution blocks on
cells cropped to their bounding box. On real cells it is trained at {CHOSEN} for
{found["plain"]["epochs"]} epochs, with mild augmentation, and its predictions are averaged over
four quarter turns. This page shows what else was tried.

## How the candidates were compared

The cells are {found["dataset"]}:
{found["cells"]:,} cells of {found["subjects"]} patients. The *plain* network is that of lesson 05
at {found["plain"]["size"]} pixels. Each candidate changes **one thing** of it, unless its row says
more. All candidates see the same splits:

- **{PARTITIONS * FOLDS} grouped test sets**: {PARTITIONS} different partitions of all
  {found["subjects"]} patients into {FOLDS} folds. The first balances the number of cells
  (`StratifiedGroupKFold`), the others assign the patients of each class at random. No patient is in
  training and test.
- **Fold 0 to fold 1**: trained on all patients of fold 0, tested on the patients of fold 1, with
  {SEEDS} seeds.

A *difference* is the candidate minus the plain network, on the same test sets. In brackets stands
its 95% interval, by bootstrap over patients. *Same size* is the AUROC over pairs of an ALL and a
HEM cell whose areas differ by at most 8%, so that size cannot help. The majority-class baseline
has an AUROC of 0.5 everywhere. *Work* is the number of pixels that the network sees during its
training, divided by that of the plain network. Lessons 03, 04, 05, 08 and 12 show parts of these
results.

Measured {found["date"]} to {found["later"][-1]["date"]} by `benchmarks/candidates.py` and
`judge_candidates.py`,
{machine["cores"]} cores, {machine["memory_gb"]} GB.
"""


def _all_rows(found: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Rank what all sessions measured first; later ones have a mark, and a note about the base."""
    rows, notes, shown = [], "", set()
    marks = ("", *MARKS[: len(found["later"])])
    for mark, session in zip(marks, [found, *found["later"]], strict=True):
        base = next(row for row in session["candidates"] if row["candidate"] == BASE)
        for row in session["candidates"]:
            if row["candidate"] not in shown:
                rows.append(row | {"mark": mark and f" {mark}"})
                shown.add(row["candidate"])
        if mark:
            notes += (
                f"\n{mark} Measured {session['date']}. The difference is to a plain network that "
                "was trained again together with these candidates: it had "
                f"{base['within']['auroc']:.3f} on the test sets and "
                f"{base['unseen']['auroc']:.3f} on fold 1. On another processor the same seed "
                "gives another network.\n"
            )
    return sorted(rows, key=lambda row: -row["within"]["auroc"]), notes


def _candidates(found: dict[str, Any]) -> str:
    rows, notes = _all_rows(found)
    names = [f"{row['candidate']}{row['mark']}" for row in rows]
    scores = [
        [
            name,
            found["labels"][row["candidate"]],
            f"{row['within']['auroc']:.3f}",
            _difference(row, "within"),
            f"{row['unseen']['auroc']:.3f}",
            _difference(row, "unseen"),
            f"{row['same_size']:.3f}",
            work(row["candidate"]),
        ]
        for name, row in zip(names, rows, strict=True)
    ]
    titles = ["candidate", "what changed", f"AUROC, {PARTITIONS * FOLDS} test sets", "difference"]
    titles += ["AUROC, fold 1", "difference", "same size", "work"]
    repeats = [
        [name, *(part for kind in KINDS for part in (_auroc(row, kind), _repeats(row, kind)))]
        for name, row in zip(names, rows, strict=True)
    ]
    again = ["candidate", f"AUROC, {PARTITIONS * FOLDS} test sets", "difference by partition"]
    again += ["AUROC, fold 1", "difference by seed"]
    return (
        f"## All candidates\n\n{markdown(titles, scores)}\n{notes}\n"
        "## Does the difference repeat?\n\n"
        "The AUROCs with their intervals, and the difference in each repetition. Where its sign "
        f"changes, the difference may be chance.\n\n{markdown(again, repeats)}\n"
    )


def work(candidate: str) -> str:
    """Return how much a network sees in its training: pixels of all epochs, the plain one's = 1."""
    name = candidate.removesuffix(" + SVM")
    if name in NO_NETWORK:
        return "–"
    recipe = PLAIN | CANDIDATES.get(name, CANDIDATES[BASE])[1]
    share = recipe["epochs"] * recipe["size"] ** 2 / (PLAIN["epochs"] * PLAIN["size"] ** 2)
    return f"{'at most ' if recipe['early_stopping'] else ''}{share:.3g}"


def _auroc(row: dict[str, Any], kind: str) -> str:
    return f"{row[kind]['auroc']:.3f} {_interval(row[kind]['interval'])}"


def _interval(bounds: list[float], form: str = "{:.3f}") -> str:
    return f"({form.format(bounds[0])} to {form.format(bounds[1])})"


def _difference(row: dict[str, Any], kind: str) -> str:
    if row["candidate"] == BASE:
        return "–"
    one = row[kind]
    return f"{one['difference']:+.3f} {_interval(one['difference_interval'], '{:+.3f}')}"


def _repeats(row: dict[str, Any], kind: str) -> str:
    if row["candidate"] == BASE:
        return "–"
    return ", ".join(f"{one:+.3f}" for one in row[kind]["repeats"])


def better(row: dict[str, Any]) -> bool:
    """Whether a candidate's difference is above the spread of its repetitions, on both kinds."""
    return all(row[kind]["difference"] > row[kind]["difference_spread"] for kind in KINDS)


def _choice(found: dict[str, Any]) -> str:
    rows = {row["candidate"]: row for row in _all_rows(found)[0]}
    apart = (BASE, "one view", *NO_NETWORK)
    networks = [name for name in rows if name not in apart and not name.endswith("SVM")]
    gains = {name: [rows[name][kind]["difference"] for kind in KINDS] for name in rows}
    which = [
        f"- {name}: {gains[name][0]:+.3f} and {gains[name][1]:+.3f}, "
        f"with {work(name)} times the work"
        for name in networks
        if better(rows[name])
    ]
    joined, alone = rows[f"{CHOSEN} + SVM"], rows[CHOSEN]
    more = [joined[kind]["auroc"] - alone[kind]["auroc"] for kind in KINDS]
    pairs = [(CHOSEN, SMALLER), (f"{CHOSEN} + SVM", f"{SMALLER} + SVM")]
    pairs += [("together", SMALLER), (CHOSEN, "together")]
    session = {row["candidate"]: row for row in found["later"][-1]["candidates"]}
    again = [f"{session[SMALLER][kind]['difference']:+.3f}" for kind in KINDS]
    steps = "\n".join(_step(found, *pair) for pair in pairs)
    dearer = float(work(CHOSEN)) / float(work(SMALLER))
    tested = files.read_json(RIVALS)["people"]
    healthy = [sum(one["label"] == 0 for one in people) for people in (tested, found["by_subject"])]
    text = "\n".join(which)
    return f"""## The choice

The simplest recipe wins, unless another one is better by more than the standard deviation of its
repetitions, on *both* kinds of test sets. Of the changes to the network this holds for:

{text}

On the day of the largest recipes, {SMALLER} were trained again: {" and ".join(again)} over the
plain network. The larger recipes were compared with that network, and with each other:

{steps}

The gain of {CHOSEN} over {SMALLER} is above its standard deviation on both kinds of test sets. But
on the {PARTITIONS * FOLDS} test sets it is so by very little, and one partition gives most of it.
With the SVM the same comparison is less close. *Together* has three changes, and {CHOSEN} only one;
neither is clearly better than the other. So the rule chooses {CHOSEN}, but only just. The gain is
small beside the intervals over patients, and costs {dearer:.1f} times the work. On a slow computer
take `--profile fast`, which trains at {PLAIN["size"]} pixels.

Averaging over four rotations adds {-gains["one view"][0]:+.3f} and costs no training.

On the {PARTITIONS * FOLDS} test sets and on fold 1 the mean of network and SVM is above the network
alone, by {more[0]:+.3f} and {more[1]:+.3f}. On the four folds of fold 0 they are about equal
([results](results.md)). The network sees the texture of a cell, but not its size. The SVM sees
measured size, shape, color and texture. The two make different mistakes. This model is `cnn+svm` in
`leuk train`, `leuk evaluate` and `leuk predict`.

What limits all of them is the number of healthy people: {healthy[0]} in fold 0,
and {healthy[1]} more in fold 1.
"""


def _step(found: dict[str, Any], larger: str, smaller: str) -> str:
    """Compare two candidates of one session, repetition by repetition."""
    session = [{row["candidate"]: row for row in one["candidates"]} for one in found["later"]]
    both = next(rows for rows in session if {larger, smaller} <= set(rows))
    parts = []
    for kind, name in zip(KINDS, ("the test sets", "fold 1"), strict=True):
        pairs = zip(both[larger][kind]["repeats"], both[smaller][kind]["repeats"], strict=True)
        gains = [more - less for more, less in pairs]
        parts.append(
            f"{mean(gains):+.5f} on {name} ({', '.join(f'{gain:+.3f}' for gain in gains)}; "
            f"standard deviation {stdev(gains):.5f})"
        )
    return f"- {larger} minus {smaller}: {' and '.join(parts)}"


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
        "the cells of each patient of fold 1, and over the seeds. Below 0.5 the model leans "
        "to the other class.\n\n" + markdown(["patient", "class", "cells", *SHOWN], rows) + "\n"
    )


def _finetuned() -> str:
    found = files.read_json(FINETUNED)
    rows = [
        [
            row["attempt"],
            row["label"],
            f"{row['auroc']:.3f} {_interval(row['interval'])}",
            f"{row['seconds']}",
        ]
        for row in found["attempts"]
    ]
    size, epochs = found["defaults"]["size"], found["defaults"]["epochs"]
    people = files.read_json(RESULT)["by_subject"]
    patients, healthy = len(people), sum(one["label"] == 0 for one in people)
    return f"""## Fine-tuning EfficientNet-Lite0

ImageNet weights, cells cropped to their bounding box, {size} pixels and {epochs} epochs, unless the
row says otherwise; mild augmentation, four rotations averaged. *Discriminative* learning rates
differ between the stem, the blocks and the head. They are divided by ten after a third and after
two thirds of the epochs. Trained on fold 0, tested on fold 1, one seed. Measured {found["date"]} by
`benchmarks/finetune.py`. *Seconds* were measured while the machine did other work, too.

All attempts are shown. The course's `-tuned` models take 4 epochs and a rate of 0.0005, that of the
blocks in *higher rates*. All attempts were tested on the same {patients} patients, of whom
{healthy} are healthy, and later attempts were designed after earlier results were known. So
the intervals are too narrow, and the best row is too high by an unknown amount.

{markdown(["attempt", "settings", "AUROC, fold 1", "seconds"], rows)}
"""


def _published() -> str:
    rivals, unseen = files.read_json(RIVALS), files.read_json(UNSEEN)
    judged = {"cnn+svm": "ours: ", "cnn": "ours: ", "area": "", "majority": ""}
    ours = []
    for name, start in judged.items():
        found = unseen["models"][name]
        scores = found["auroc"]["value"], found["at_threshold"]["weighted_f1"]["value"]
        where = f"fold 0, tested on {unseen['subjects']} patients of fold 1"
        ours.append([f"{start}{MODEL_NAMES[name]}, {where}", *(f"{one:.3f}" for one in scores)])
    for name, start in judged.items():
        found = rivals["over_folds"][name]
        scores = found["auroc"]["mean"], found["weighted_f1"]["mean"]
        ours.append(
            [f"{start}{MODEL_NAMES[name]}, four folds of fold 0", *(f"{one:.3f}" for one in scores)]
        )
    published = [(f"{name}, preliminary set", *scores) for name, *scores in PUBLISHED]
    table = markdown(["model, test cells", "AUROC", "weighted F1"], [*published, *ours])
    wrong = sum(person["cnn+svm"] < 0.5 for person in rivals["people"])
    return f"""## Beside published results

{table}

These results and ours cannot be compared directly. The published networks start from ImageNet
weights, are trained on all three folds (73 patients, 26 of them healthy), and are tested on the
preliminary set (28 patients). Ours starts from random weights, is trained on 28 patients and has
0.17 million weights. Its weighted F1 is that at the threshold of the validation patients on fold 1,
and at 0.5 on the four folds.

Where ours falls short: on the four folds of fold 0, where each network learns from about 21
patients, its AUROC and weighted F1 are below those of the published networks. There CNN + SVM
predicts the wrong class for more than half of the cells of {wrong} of the {rivals["subjects"]}
patients. Patients of the preliminary set have not been tried.
"""


if __name__ == "__main__":
    files.write_text(PAGE, render(files.read_json(RESULT)))
