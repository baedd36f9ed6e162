"""Keep what models reach on real cells, and write it into the README.

leuk crossval --dataset PATH --model all --random-weights --out FOLDER --json > found.json
python benchmarks/rivals.py --found found.json

leuk train --dataset PATH --out RUN
leuk evaluate --run RUN --dataset OTHER --json > unseen.json
python benchmarks/rivals.py --unseen unseen.json --run RUN

python benchmarks/rivals.py                    only writes the pages again
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import reference
from leukhelpers import files
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments.report import format_ci

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "rivals_real.json"
UNSEEN = RESULT.with_name("unseen_real.json")
BEGIN, END = "<!-- rivals:begin -->\n", "<!-- rivals:end -->"
COMMAND = "leuk crossval --dataset PATH --model MODELS --folds 4 --seed 0 --out FOLDER --json"


def keep(found: Path) -> None:
    """Copy what was measured, without the single folds' intervals."""
    measured = files.read_json(found)
    if measured["synthetic"] or measured["images"] != 3527:
        raise SystemExit(f"{found} is no cross-validation of fold 0 of C-NMC 2019.")
    folds = [
        {name: scores["auroc"]["value"] for name, scores in fold["models"].items()}
        for fold in measured.pop("folds")
    ]
    for long in ("decisions", "worst_first"):
        measured["together"].pop(long)
    kept = {**measured, "auroc_by_fold": folds, "command": COMMAND}
    kept["dataset"] = "fold 0 of the training set of C-NMC 2019"
    files.write_json(RESULT, kept)


def keep_unseen(found: Path, run: Path) -> None:
    """Copy what a run on all of fold 0 reached on cells of other people."""
    measured, about = files.read_json(found), files.read_json(run / "run.json")
    if measured["synthetic"] or about["images"] != 3527 or measured["run"] != run.name:
        raise SystemExit(f"{found} does not tell of {run}, or {run} has not learnt from fold 0.")
    measured.pop("decisions")  # long
    told_too = ("date", "seed", "machine", "python", "versions")
    kept = {
        **measured,
        **{key: about[key] for key in told_too},
        "learnt_from": "fold 0 of the training set of C-NMC 2019",
        "dataset": "cells of its folds 1 and 2",
        "commands": [
            "leuk train --dataset PATH --out RUN",
            "leuk evaluate --run RUN --dataset OTHER",
        ],
    }
    files.write_json(UNSEEN, kept)


def render_unseen() -> str:
    """Write what the run on all of fold 0 reached, in a sentence."""
    found = files.read_json(UNSEEN)
    scores = ", ".join(
        f"{MODEL_NAMES[name]} {format_ci(measured['auroc'])}"
        for name, measured in found["models"].items()
    )
    return (
        f"Learnt from all of {found['learnt_from']}, asked once for {found['cells']} "
        f"{found['dataset']}, of {found['subjects']} subjects that no model had seen "
        f"(`{found['commands'][0]}`, `{found['commands'][1]}`, seed {found['seed']}, "
        f"{found['date'][:10]}, {found['machine']['cores']} cores): AUROC {scores}. So few cells "
        "say only that it does not break down there. Not for clinical use.\n"
    )


def render(found: dict[str, Any]) -> str:
    """Write the kept result as Markdown, the best mean first."""
    machine, together = found["machine"], found["together"]
    head = (
        f"Real cells, {found['dataset']}: {found['images']} cells of {found['subjects']} subjects, "
        f"each answered once, by a model that did not know the subject. `{found['command']}`, "
        f"{reference.recipe(found['profile']['name'], found['date'])}, seed {found['seed']}, "
        f"{found['date'][:10]}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB. Mean ± standard deviation over four "
        "grouped folds; in brackets the 95 % interval over groups of subjects, of all folds "
        "together. PATH is a folder with nothing of C-NMC but `training_data/fold_0`. The settings "
        "of the CNN were chosen on these folds ([the log](docs/cnn-log.md)), which flatters its "
        "row; its parameters are four turned copies of one network. Not for clinical use.\n\n"
    )
    rows = [
        "| model | AUROC over folds | by fold | together | weighted F1 | parameters "
        "| million multiply-adds | minutes to learn | ms a cell |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    ranked = sorted(found["over_folds"].items(), key=lambda pair: -pair[1]["auroc"]["mean"])
    for name, over in ranked:
        cost = found["cost"].get(name, {})
        parameters, work = cost.get("parameters"), cost.get("multiply_adds")
        columns = [
            MODEL_NAMES[name],
            f"{over['auroc']['mean']:.3f} ± {over['auroc']['sd']:.3f}",
            ", ".join(f"{fold[name]:.3f}" for fold in found["auroc_by_fold"]),
            format_ci(together["models"][name]["auroc"]),
            f"{over['weighted_f1']['mean']:.3f} ± {over['weighted_f1']['sd']:.3f}",
            f"{parameters:,}" if parameters else "–",
            f"{work / 1e6:.0f}" if work else "–",
            f"{cost['learn_seconds'] / 60:.1f}" if cost else "–",
            f"{cost['answer_ms']:.1f}" if cost else "–",
        ]
        rows.append(f"| {' | '.join(columns)} |")
    return head + "\n".join(rows) + "\n"


def shown() -> str:
    """Give all that stands between the marks in the README."""
    table = render(files.read_json(RESULT))
    return f"{table}\n{render_unseen()}\n{render_pipeline()}"


def render_pipeline() -> str:
    """Write what the input pipeline reaches, and what was aimed at."""
    found = files.read_json(RESULT.with_name("input_pipeline.json"))
    kinds = files.read_json(RESULT.with_name("feature_kinds.json"))
    rows = []
    for size, speed in found["training"].items():
        for what, ours, peer, keras in (
            ("augmentation", "augmented", "keras_from_directory", "augmentation layers"),
        ):
            to = "" if ours == "augmented" else f"{ours}_"
            rows += [
                (f"training with {what}, {size} pixels", f"{speed[ours]:.0f} images/s", "", ""),
                (
                    "… beside one constant batch in memory",
                    f"{speed['constant_batch']:.0f} images/s",
                    f"{speed[f'{to}to_constant_batch']:.3f}",
                    "0.80",
                ),
                (
                    f"… beside Keras' directory reader and {keras}",
                    f"{speed[peer]:.0f} images/s",
                    f"{speed[f'{to}to_keras']:.2f}",
                    "2.5",
                ),
            ]
    rows += [
        (
            "building the pixel cache, beside two ideal cores",
            f"{found['cache']['cache']:.0f} files/s",
            f"{found['cache']['to_ideal']:.3f}",
            "0.85",
        ),
        ("hand-made features", f"{kinds['cells_per_second']:.0f} cells/s", "", "120 cells/s"),
    ]
    head = (
        f"The input pipeline ({found['date']}, {found['machine']['cores']} cores, medians over "
        "rounds, `benchmarks/input_pipeline.py` and `feature_kinds.py`): pictures are turned, "
        "mirrored, zoomed and recolored. The network learns from "
        f"pictures of {max(found['training'], key=int)} pixels; the larger they are, the "
        "more of the time is its own, and the less of it any pipeline can save. A ratio is the "
        "median of the rounds' ratios; one below what was aimed at is not reached.\n\n"
        "| what | speed | ratio | aimed at |\n| --- | --- | --- | --- |\n"
    )
    return head + "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def write_readme() -> None:
    """Put the table between its marks in the README."""
    readme = (ROOT / "README.md").read_text("utf-8")
    before, rest = readme.split(BEGIN)
    text = before + BEGIN + shown() + END + rest.split(END)[1]
    files.write_text(ROOT / "README.md", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--found", type=Path)
    parser.add_argument("--unseen", type=Path)
    parser.add_argument("--run", type=Path)
    given = parser.parse_args()
    if (given.unseen is None) != (given.run is None):
        parser.error("--unseen and --run belong together")
    if given.unseen is not None:
        keep_unseen(given.unseen, given.run)
    if given.found is not None:
        keep(given.found)
    write_readme()
