"""Run the course in the fast profile on several seeds; check the statements of its lessons.

    python benchmarks/findings.py              seeds 0, 1 and 2; minutes each
    python benchmarks/findings.py --from A B   the same, from finished runs

Each seed draws other synthetic cells of other subjects. The results, with the intervals that the
lessons print, go to ``benchmarks/results/findings.json`` and ``docs/findings.md``.
"""

from __future__ import annotations

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leukhelpers import files
from leukhelpers.experiments import provenance

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "findings.json"
PAGE = ROOT / "docs" / "findings.md"
Facts = dict[str, dict[str, Any]]


def numbers(text: str) -> list[float]:
    """Read the numbers of a fact: its value, and the ends of its interval."""
    return [float(one) for one in re.findall(r"[-+]?\d+\.\d+", text.replace("95%", ""))]


def above_zero(found: float) -> bool:
    """Tell whether a difference is a gain."""
    return found > 0


# Statement of the lesson → the numbers it rests on, and whether it holds for them.
FINDINGS: dict[str, tuple[list[str], Callable[..., bool]]] = {
    "00: the majority-class baseline has a balanced accuracy of one half": (
        ["00/majority_balanced_accuracy"],
        lambda found: found == 0.5,
    ),
    "01: the area separates the classes better than chance": (
        ["01/auroc_of_area_alone"],
        lambda area: area > 0.55,
    ),
    "01: a color differs more between subjects of a class than the area does": (
        ["01/most_personal_measure", "01/area_variation_of_person_beyond_class"],
        lambda most, area: "area" not in most and numbers(most)[0] > area,
    ),
    "02: a split by image raises the AUROC of the SVM": (["02/svm_optimism"], above_zero),
    "02: a split by image raises the AUROC of the random forest": (
        ["02/rf_optimism"],
        above_zero,
    ),
    "02: it raises that of the area baseline less": (
        ["02/area_optimism", "02/svm_optimism", "02/rf_optimism"],
        lambda area, svm, rf: area < min(svm, rf),
    ),
    "03: larger images show the texture better": (
        ["03/texture_AUROC_at_24_pixels", "03/texture_AUROC_at_128_pixels"],
        lambda small, large: large > small,
    ),
    "05: without augmentation the network gets nearly all training cells right": (
        ["05/first_training_accuracy"],
        lambda found: found > 0.95,
    ),
    "05: and far fewer of the validation cells": (
        ["05/first_validation_accuracy"],
        lambda found: found < 0.9,
    ),
    "05: the validation AUROC of the network is above chance": (
        ["05/validation_AUROC"],
        lambda found: found > 0.55,
    ),
    "06: the interval of the network on the test patients lies above chance": (
        ["06/auroc"],
        lambda found: numbers(found)[1] > 0.5,
    ),
    "07: the SHAP values of the trained network are stronger than of an untrained one": (
        ["07/shap_strength_ratio_to_untrained"],
        lambda ratio: ratio > 1,
    ),
    "07: the two maps rank the pixels differently": (
        ["07/shap_rank_correlation_with_untrained"],
        lambda found: abs(found) < 0.3,
    ),
    "08: with frozen weights, pretrained ones have a higher AUROC than random ones": (
        ["08/AUROC, ImageNet, frozen", "08/AUROC, random weights, frozen"],
        lambda pretrained, random: numbers(pretrained)[0] > numbers(random)[0],
    ),
    "08: the intervals of fine-tuned and frozen weights overlap": (
        ["08/AUROC, ImageNet, fine-tuned", "08/AUROC, ImageNet, frozen"],
        lambda a, b: numbers(a)[1] < numbers(b)[2] and numbers(b)[1] < numbers(a)[2],
    ),
    "10: the network with a learning rate of 1 usually predicts one class": (
        ["10/balanced_accuracy_as_printed"],
        lambda found: found == 0.5,
    ),
    "10: with patients kept apart, the AUROC of the same network is usually not higher": (
        ["10/auroc_image_split", "10/auroc_patient_split"],
        lambda images, patients: patients <= images,
    ),
    "11: with labels in alphabetical order, the area baseline is worse than chance": (
        ["11/area_auroc_by_alphabet"],
        lambda found: found < 0.5,
    ),
    "12: other patients move the AUROC more than other seeds": (
        ["12/sd_of_the_network_between_seeds", "12/sd_of_the_network_between_patients"],
        lambda seeds, patients: patients > seeds,
    ),
    "13: the planted leak raises the score of the control": (
        ["13/control_auroc_as_found", "13/control_auroc_now"],
        lambda planted, repaired: planted > repaired,
    ),
}


def facts_of(run: Path) -> Facts:
    """Read the recorded numbers of each lesson of a run."""
    return {path.stem: files.read_json(path) for path in sorted((run / "facts").glob("*.json"))}


def check(by_seed: dict[str, Facts]) -> dict[str, Any]:
    """Check each statement with the numbers of each seed."""
    told = {}
    for sentence, (names, holds) in FINDINGS.items():
        places = [name.split("/", 1) for name in names]
        values = {
            seed: [facts[lesson][fact] for lesson, fact in places]
            for seed, facts in by_seed.items()
        }
        told[sentence] = {
            "facts": names,
            "values": values,
            "holds": {seed: bool(holds(*found)) for seed, found in values.items()},
        }
    return told


def render(kept: dict[str, Any]) -> str:
    """Write the page, one row per statement."""
    seeds = [str(seed) for seed in kept["seed"]]
    lines = [
        "# What the lessons state, on three seeds",
        "",
        f"Dataset: {kept['dataset']}. Each seed draws other cells of other subjects; seed "
        f"{seeds[0]} is the one of `make course`. Numbers in parentheses are 95% intervals, where "
        f"the lesson reports one. Measured {kept['date']} on {kept['machine']['cores']} cores by "
        "`python benchmarks/findings.py`. Not for clinical use.",
        "",
        "| lesson and statement | holds | " + " | ".join(f"seed {seed}" for seed in seeds) + " |",
        "| --- | --- |" + " --- |" * len(seeds),
    ]
    for sentence, one in kept["findings"].items():
        shown = [", ".join(map(short, one["values"][seed])) for seed in seeds]
        held = f"{sum(one['holds'].values())} of {len(seeds)}"
        lines.append(f"| {sentence} | {held} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def short(fact: float | str) -> str:
    """Write a number with at most three digits after the point; text as it is."""
    return fact if isinstance(fact, str) else f"{round(fact, 3)}"


def course(seed: int, folder: Path) -> Path:
    """Run all lessons with one seed."""
    out = folder / f"seed{seed}"
    command = ["-m", "leukhelpers.cli", "run", "--seed", str(seed), "--out", str(out)]
    subprocess.run([sys.executable, *command], check=True)
    return out


def main() -> None:
    """Run or read, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--from", dest="runs", nargs="*", type=Path, default=[], help="finished runs"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = given.runs or [course(seed, Path(folder)) for seed in (0, 1, 2)]
        seeds = [str(files.read_json(run / "course.json")["parameters"]["seed"]) for run in done]
        found = check(dict(zip(seeds, map(facts_of, done), strict=True)))
    about = {
        "dataset": "twin (synthetic cells), fast profile",
        "seed": [int(seed) for seed in seeds],
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **provenance.environment(),
    }
    files.write_json(RESULT, {**about, "findings": found})
    PAGE.write_text(render(files.read_json(RESULT)), "utf-8")
    for sentence, one in found.items():
        held = sum(one["holds"].values())
        print(f"{held}/{len(seeds)} {sentence}: {one['values'] if held < len(seeds) else ''}")


if __name__ == "__main__":
    main()
