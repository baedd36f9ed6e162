"""Put every method of explanation to every test, and write docs/explanations.md.

python -m benchmarks.explanations --kind twin --run RUN                   drawn cells
python -m benchmarks.explanations --kind real --run RUN --dataset PATH    real cells
python -m benchmarks.explanations                                         only write the page

RUN is a finished run of the network, such as ``leuk train --dataset twin --fold 0`` leaves.
Cells of people that it has learnt from are left out. A real cell is never drawn.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks import explainer_scores as evaluation
from benchmarks import shortcuts
from leukhelpers import files
from leukhelpers.errors import InputError
from leukhelpers.experiments import provenance, storage
from leukhelpers.explain import attribution
from leukhelpers.images.features import cell_of
from leukhelpers.images.preprocessing import build_pixels
from leukhelpers.models import prepare, profiles, registry, training
from leukhelpers.splits import groups
from leukhelpers.synthetic.twin import cause_masks

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "explanations.md"
KINDS = ("twin", "real")
CELLS = 24
FEW = 8  # of these, explained again and again
PROBED = 300
BARS = {"shap": 4.0, "gradcam": 0.15}  # seconds an image
CAUSES = {key: name for key, name in evaluation.COLUMNS.items() if name.startswith("(e)")}
COLUMNS = {key: name for key, name in evaluation.COLUMNS.items() if key not in CAUSES}


class Cells(NamedTuple):
    """Cells of people whom a run has not met, as its network sees them."""

    run: storage.Run
    dataset: Any
    array: np.ndarray
    table: pd.DataFrame
    rows: np.ndarray

    def some(self, seed: int, at_most: int) -> np.ndarray:
        """Draw rows, as many ALL as HEM."""
        labels = self.table["label"].to_numpy()
        return self.rows[evaluation.both_classes(labels[self.rows], at_most, seed)]


def unseen_cells(kind: str, folder: Path, place: str) -> Cells:
    """Read the cells of people from whom a run has not learnt."""
    run, data = storage.read_run(folder), files.workspace() / "data"
    profile = storage.profile_in(run.about)
    parts = ("training",) if kind == "twin" else ("training", "preliminary")
    dataset = prepare.load(place, profile, run.about["seed"], data, parts)
    size = profiles.picture_size(storage.model_of(run.about), profile)
    array, table, _ = build_pixels(dataset, data / "cache", *size)
    return Cells(run, dataset, array, table, np.flatnonzero(storage.unseen(run, dataset, table)))


def measure(cells: Cells, seed: int) -> dict[str, Any]:
    """Judge all methods on some cells."""
    chosen, table = cells.some(seed, CELLS), cells.table
    images, background = cells.array[chosen], np.load(cells.run.folder / "background.npy")
    model, group = registry.load_model(cells.run.folder), groups.group_ids(table)[chosen]
    size = profiles.picture_size(
        storage.model_of(cells.run.about), storage.profile_in(cells.run.about)
    )
    labels, masks = table["label"].to_numpy()[chosen], None
    parts = storage.read_parts(cells.run.folder)
    learnt = parts[parts["part"] != "test"]
    if cells.dataset.synthetic:
        whole = cause_masks(cells.dataset.root, table["cell_id"].iloc[chosen])
        masks = {
            key: evaluation.resize_masks(mask, *size, whole["cell"]) for key, mask in whole.items()
        }
    methods: dict[str, Any] = {}
    for method in attribution.METHODS:
        try:
            _, methods[method] = evaluation.evaluate_explainer(
                method, model, images, background, labels, group, masks, seed, FEW
            )
        except InputError as error:
            methods[method] = {"refused": str(error)}
        print(method, methods[method], flush=True)
    return {
        "dataset": cells.dataset.name,
        "synthetic": cells.dataset.synthetic,
        "cells": len(chosen),
        "few": FEW,
        "all": int(labels.sum()),
        "subjects": int(table["subject"].iloc[chosen].nunique()),
        "groups": len(np.unique(group)),
        "learnt_from": len(learnt),
        "learnt_from_people": int(learnt["subject"].nunique()),
        "size": size[0],
        "seed": seed,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "off_cell_area": float((~cell_of(images)).mean()),
        **provenance.environment(),
        "methods": methods,
    }


def measure_probe(cells: Cells, seed: int) -> dict[str, Any]:
    """Take one thing at a time away from more cells than all methods could explain."""
    chosen, model = cells.some(seed, PROBED), registry.load_model(cells.run.folder)
    probed = shortcuts.probe(
        lambda shown: training.predict(model, shown),
        cells.array[chosen],
        np.load(cells.run.folder / "background.npy"),
        cells.table["label"].to_numpy()[chosen],
    )
    return {
        "cells": len(chosen),
        "subjects": int(cells.table["subject"].iloc[chosen].nunique()),
        "rows": {name: dict(row) for name, row in probed.iterrows()},
    }


def _result(kind: str) -> Path:
    return RESULTS / f"explanations_{kind}.json"


def kept() -> dict[str, Any]:
    """Read what was measured, of either kind of cells."""
    return {kind: files.read_json(_result(kind)) for kind in KINDS if _result(kind).is_file()}


def _best(found: dict[str, Any]) -> str:
    """Say which method is the best of each test."""
    known = {name: told for name, told in found["methods"].items() if "refused" not in told}

    def value(method: str, column: str) -> float | None:
        told = known[method][column]
        return told["value"] if isinstance(told, dict) else told

    questions = {
        "How much did each pixel contribute? (adds up best)": ("completeness", min),
        "Does the network miss what the map names? (most faithful)": ("faithfulness", max),
        "Is the map the same after a small turn? (steadiest)": ("stability", max),
        "A first look (quickest)": ("seconds", min),
    }
    if found["synthetic"]:
        questions["Where are the nucleoli? (overlap)"] = ("overlap_nucleoli", max)
    lines = []
    for question, (column, choose) in questions.items():
        values = {m: value(m, column) for m in known if value(m, column) is not None}
        if values:
            best = choose(values, key=values.__getitem__)
            lines.append(f"- {question}: **{evaluation.TITLES[best]}**, {values[best]:.2f}")
    return "\n".join(lines)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        if value["value"] is None:
            return "–"
        bounds = "" if value["low"] is None else f" ({value['low']:.2f} … {value['high']:.2f})"
        return f"{value['value']:.2f}{bounds}"
    return "–" if value is None else f"{value:.2f}"


def score_table(found: dict[str, Any], columns: dict[str, str]) -> str:
    """Write the scores of all methods as a table in Markdown."""
    lines = [
        "| method | " + " | ".join(columns.values()) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    for method, told in found["methods"].items():
        if "refused" in told:
            lines.append(f"| {evaluation.TITLES[method]} | {told['refused']} |")
            continue
        cells = [_told(told.get(column)) for column in columns]
        lines.append(f"| {evaluation.TITLES[method]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def probe_table(found: dict[str, Any]) -> str:
    """Write what the probes did to the probability as a table in Markdown."""
    lines = ["| cells | mean P(ALL) | mean shift | mean absolute shift | AUROC |",
             "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for name, row in found["probe"]["rows"].items():
        shift = [f"{row[key]:+.2f}" if key == "mean shift" else f"{row[key]:.2f}" for key in row]
        lines.append(f"| {name} | " + " | ".join(shift) + " |")
    return "\n".join(lines)


def _head(kind: str, found: dict[str, Any]) -> str:
    machine = found["machine"]
    name = {
        "twin": "the twin (**synthetic**)",
        "real": "real cells, nearly all of folds 1 and 2 and of the preliminary test",
    }[kind]
    whose = "" if kind == "twin" else " of fold 0 of C-NMC 2019"
    learnt = f"{found['learnt_from']} cells"
    if "learnt_from_people" in found:
        learnt += f" of {found['learnt_from_people']} people"
    learnt += whose
    where = "" if kind == "twin" else " --dataset PATH"
    return (
        f"{found['cells']} cells ({found['all']} ALL; *untrained* and *turned*: {found['few']}) of "
        f"{found['subjects']} people in {found['groups']} groups whom the network, "
        f"which learnt from {learnt}, has not met; "
        f"{name}, {found['size']} pixels; seed {found['seed']}, {found['date'][:10]}, "
        f"{machine['cores']} cores, {machine['memory_gb']} GB; "
        f"`python -m benchmarks.explanations --kind {kind} --run RUN{where}`."
    )


def _bars(kept: dict[str, Any]) -> str:
    told = []
    for method, bar in BARS.items():
        times = {kind: found["methods"][method].get("seconds") for kind, found in kept.items()}
        known = {kind: value for kind, value in times.items() if value is not None}
        if known:
            held = "held" if max(known.values()) <= bar else "**missed**"
            shown = " and ".join(f"{value:.2f} s ({kind})" for kind, value in known.items())
            told.append(f"{evaluation.TITLES[method]}: {shown}, bar {bar:g} s, {held}")
    return "; ".join(told)


def render(kept: dict[str, Any]) -> str:
    """Write the page from the results."""
    parts = [
        """# Which explanation to trust for which question

A handsome heat map can come from an untrained network. So every method was put to the same
tests (`benchmarks/explainer_scores.py`), here with the network of version 1, which has been
replaced since. The letters are those of version 1's lesson 07. Not for clinical use. In
brackets 95 % intervals, by bootstrap over groups of people; with so few people they are rough.

- (a) **adds up**: how far the sum of a map is from the logit difference that it should share out,
  relative to its mean size. 0 is perfect. Grad-CAM shares out nothing.
- (b) **untrained**: rank correlation, inside the cell and with its sign, with the map of the same
  network after it has forgotten everything. It should be near 0.
- (c) **faithful**: area between the insertion and the deletion curve, beyond that of random orders
  of tiles, in units of the mean evidence for the answers to training cells. 0 is no better than
  chance.
- (d) **beside the cell**: the share of the map that lies there, on the black background.
- (f) **turned**: rank correlation, inside the cell, after a rotation by 8 degrees and back. 1 is
  steady.
- **seconds** an image, many at a time.
- (g) **a probe**: one thing is taken away from all cells, and the answers are looked at again.

*untrained* and *turned* are of some of the cells only, drawn at random from both classes; how
many, each table says.
"""
    ]
    if any(found["synthetic"] for found in kept.values()):
        parts.append(
            """(e) On the twin (**synthetic**), whose causes are known: **pointing**, how often the
strongest place lies in the cause, and **overlap**, the share of the strongest places that does,
both *less* what an even spread over the cell would reach. Below 0 the map passes that part over. A
cell without the cause does not count.
"""
        )
    for kind, found in kept.items():
        title = "The twin (synthetic)" if kind == "twin" else "Real cells"
        parts.append(f"## {title}\n\n{_head(kind, found)}\n\n{score_table(found, COLUMNS)}\n")
        parts.append(f"Of these means, the best for each question:\n\n{_best(found)}\n")
        parts.append(
            f"The place beside the cells is {found['off_cell_area']:.0%} of these pictures.\n"
        )
        if found["synthetic"]:
            parts.append(score_table(found, CAUSES) + "\n")
        parts.append(
            "(g) What the network reads: one thing taken away at a time, and how its probability "
            f"of ALL moves, on {found['probe']['cells']} cells of {found['probe']['subjects']} "
            f"people, half of them ALL. One stain is the same mean and spread of each color: how "
            f"dark a cell is and how strong its contrast goes with it.\n\n{probe_table(found)}\n"
        )
    parts.append(f"## Time\n\n{_bars(kept)}.\n")
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--dataset", default="twin")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probe", action="store_true", help="only the probe, again")
    given = parser.parse_args()
    if given.kind is not None:
        cells = unseen_cells(given.kind, given.run, given.dataset)
        result = _result(given.kind)
        found = files.read_json(result) if given.probe else measure(cells, given.seed)
        files.write_json(result, {**found, "probe": measure_probe(cells, given.seed)})
    if kept():
        files.write_text(PAGE, render(kept()))


if __name__ == "__main__":
    main()
