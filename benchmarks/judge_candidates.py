"""Judge what `benchmarks/candidates.py` has trained, and write the result file.

    python -m benchmarks.judge_candidates FOLD_0 FOLD_1 --cache DIR
    python -m benchmarks.judge_candidates FOLD_0 FOLD_1 --cache DIR --add

The second command adds candidates that were trained later, each beside a plain network (and, if
they were trained, those of 96 and 128 pixels) that was trained again with them, to a result file
that has the others. Of those that were trained on fold 0 only, it adds the results by patient.

*Screening* compares all candidates on one partition and one seed, *candidates* those that were
trained on all partitions and seeds. Differences are paired: both models see the same test sets and
the same draws of subjects.
"""

from __future__ import annotations

import argparse
import datetime
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from benchmarks.candidates import (
    CANDIDATES,
    FOLDS,
    OTHERS,
    PARTITIONS,
    PLAIN,
    SEEDS,
    Cells,
    splits,
)
from leukhelpers import files
from leukhelpers.experiments import provenance

RESULT = Path(__file__).resolve().parent / "results" / "candidates.json"
JOINED = {
    "one view": "no rotations averaged",
    "plain + SVM": "mean of the logits of network and SVM",
    "96 pixels + SVM": "96 pixels, and the mean of the logits with the SVM",
    "128 pixels + SVM": "128 pixels, and the mean of the logits with the SVM",
}
BASE, SMALLER, CHOSEN = "plain", "96 pixels", "128 pixels"
WITH_SVM = (BASE, SMALLER, CHOSEN)
AGAIN = {f"{name}{end}" for name in WITH_SVM for end in ("", " + SVM")}  # to compare others with
N_RESAMPLES = 2000


class Pairs:
    """AUROC of one model on some test sets, for any weights of the subjects."""

    def __init__(self, cells: Cells, tests: list[np.ndarray], scores: list[np.ndarray]) -> None:
        self.names = np.unique(cells.table["subject"])
        n = len(self.names)
        code = np.searchsorted(self.names, cells.table["subject"])
        self.wins, self.pairs = np.zeros((len(tests), n, n)), np.zeros((len(tests), n, n))
        for number, (test, score) in enumerate(zip(tests, scores, strict=True)):
            sick, well = (np.flatnonzero(cells.y[test] == label) for label in (1, 0))
            for patient in np.unique(code[test[well]]):
                mine = np.sort(score[well][code[test[well]] == patient])
                below = np.searchsorted(mine, score[sick], "left")
                below = (below + np.searchsorted(mine, score[sick], "right")) / 2
                np.add.at(self.wins[number, :, patient], code[test[sick]], below)
                np.add.at(self.pairs[number, :, patient], code[test[sick]], len(mine))

    def auroc(self, weights: np.ndarray) -> np.ndarray:
        """Return the AUROC of each test set, weights of shape (n_subjects,); nan if undefined."""
        both = weights[:, None] * weights[None, :]
        pairs = (self.pairs * both).sum((1, 2))
        wins = (self.wins * both).sum((1, 2))
        return np.divide(wins, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def summarize(cells: Cells, cache: Path) -> dict[str, Any]:
    """Judge what has been trained: screening on one partition, repetition on all."""
    every = splits(cells)
    logits, seconds = read_logits(cache, list(every))
    draws = draw_subjects(cells)
    screening = {kind: [name for name in every if name.startswith(start)] for kind, start in (
        ("within", "partition0"), ("unseen", "unseen-seed0"))}  # fmt: skip
    repeated = {kind: [name for name in every if name.startswith(start)] for kind, start in (
        ("within", "partition"), ("unseen", "unseen"))}  # fmt: skip
    found: dict[str, Any] = {"screening": [], "candidates": []}
    found |= {"auroc_screening": {}, "auroc": {}, "auroc_unseen": {}}
    for table, kinds in (("screening", screening), ("candidates", repeated)):
        wanted = {name for names in kinds.values() for name in names}
        values: dict[str, dict[str, np.ndarray]] = {}
        for name, scores in logits.items():
            if wanted <= set(scores):
                values[name] = {
                    kind: resampled(cells, every, scores, names, draws)
                    for kind, names in kinds.items()
                }
        for name, of_kind in values.items():
            row: dict[str, Any] = {"candidate": name, "seconds": seconds[name]}
            for kind, auroc_of in of_kind.items():
                row[kind] = compare(auroc_of, values[BASE][kind], FOLDS if kind == "within" else 1)
            same = [same_size(cells, every[s][1], logits[name][s]) for s in kinds["within"]]
            row["same_size"] = float(np.mean(same))
            found[table].append(row)
            if table == "screening":
                found["auroc_screening"][name] = list(of_kind["within"][0])
            else:
                found["auroc"][name] = list(of_kind["within"][0])
                found["auroc_unseen"][name] = list(of_kind["unseen"][0])
    of_fold_0 = set(repeated["unseen"])
    learned = {name: scores for name, scores in logits.items() if of_fold_0 <= set(scores)}
    return {**found, "by_subject": by_subject(cells, every, learned)}


def read_logits(
    cache: Path, names: list[str]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, float]]:
    """Read the logits of each candidate, as far as it was trained, and add those of the means."""
    logits: dict[str, dict[str, np.ndarray]] = {}
    seconds: dict[str, float] = {}
    for name in [*OTHERS, *CANDIDATES]:
        stored = {split: cache / f"{name}-{split}.npz" for split in names}
        loaded = {split: dict(np.load(path)) for split, path in stored.items() if path.is_file()}
        if "unseen-seed0" not in loaded:
            continue
        logits[name] = {split: held["logits"].mean(1) for split, held in loaded.items()}
        runs = [f"unseen-seed{s}" for s in range(SEEDS if name in CANDIDATES else 1)]
        seconds[name] = round(min(float(loaded[s]["seconds"]) for s in runs if s in loaded), 1)
        if name in WITH_SVM:
            joined = f"{name} + SVM"
            logits[joined] = {s: scores + logits["svm"][s] for s, scores in logits[name].items()}
            seconds[joined] = seconds[name]
        if name == BASE:
            logits["one view"] = {split: held["logits"][:, 0] for split, held in loaded.items()}
            seconds["one view"] = seconds[name]
    return logits, seconds


def draw_subjects(cells: Cells) -> np.ndarray:
    """Draw the subjects of each class with replacement: how often each, all once in row 0."""
    rng = np.random.default_rng(0)
    subjects = cells.table.groupby("subject")["label"].first().to_numpy()
    draws = np.zeros((N_RESAMPLES, len(subjects)))
    for label in (0, 1):
        of_class = np.flatnonzero(subjects == label)
        drawn = rng.choice(of_class, (N_RESAMPLES, len(of_class)))
        for row, chosen in zip(draws, drawn, strict=True):
            np.add.at(row, chosen, 1)
    return np.vstack([np.ones(len(subjects)), draws])


def resampled(
    cells: Cells, every: dict, scores: dict[str, np.ndarray], names: list[str], draws: np.ndarray
) -> np.ndarray:
    """Return the AUROC of each draw (rows) on each test set (columns)."""
    pairs = Pairs(cells, [every[name][1] for name in names], [scores[name] for name in names])
    return np.array([pairs.auroc(weights) for weights in draws])


def compare(auroc_of: np.ndarray, base: np.ndarray, per_repeat: int) -> dict[str, Any]:
    """Sum up a candidate: mean AUROC, difference to the base, intervals, spread of repeats."""
    with warnings.catch_warnings():  # a draw may leave a test set with one class
        warnings.simplefilter("ignore", RuntimeWarning)
        mean, difference = np.nanmean(auroc_of, axis=1), np.nanmean(auroc_of - base, axis=1)
    repeats = (auroc_of[0] - base[0]).reshape(-1, per_repeat).mean(axis=1)
    return {
        "auroc": mean[0],
        "interval": list(np.nanpercentile(mean[1:], [2.5, 97.5])),
        "difference": difference[0],
        "difference_interval": list(np.nanpercentile(difference[1:], [2.5, 97.5])),
        "repeats": list(repeats),
        "difference_spread": float(np.std(repeats, ddof=1)) if len(repeats) > 1 else None,
    }


def same_size(cells: Cells, test: np.ndarray, scores: np.ndarray) -> float:
    """AUROC over the pairs of an ALL and a HEM cell whose areas differ by at most 8%."""
    sick, well = test[cells.y[test] == 1], test[cells.y[test] == 0]
    score = pd.Series(scores, index=test)
    close = np.abs(np.log(cells.area[sick, None] / cells.area[None, well])) < np.log(1.08)
    ahead = score[sick].to_numpy()[:, None] - score[well].to_numpy()[None]
    return float(((ahead > 0) + 0.5 * (ahead == 0))[close].mean())


def by_subject(cells: Cells, every: dict, logits: dict) -> list[dict[str, Any]]:
    """Mean predicted probability of each subject of fold 1, by candidate, over the seeds."""
    test = every["unseen-seed0"][1]
    table = cells.table.iloc[test][["subject", "label"]].reset_index(drop=True)
    for name, scores in logits.items():
        seeds = [scores[f"unseen-seed{s}"] for s in range(SEEDS)]
        table[name] = expit(np.mean(seeds, axis=0))
    counted = table.groupby(["subject", "label"]).size().rename("cells")
    means = table.groupby(["subject", "label"]).mean().round(4)
    return means.join(counted).reset_index().to_dict("records")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fold_0", type=Path)
    parser.add_argument("fold_1", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--add", action="store_true", help="keep what is in the file")
    options = parser.parse_args()
    cells = Cells([options.fold_0, options.fold_1], options.cache)
    about = {
        "date": datetime.date.today().isoformat(),
        **provenance.environment(),
        "seed": "0 to 2",
        "synthetic": False,
        "dataset": "folds 0 (28 subjects) and 1 (12 of 14 subjects) of the training set of "
        "C-NMC 2019",
        "cells": len(cells.y),
        "subjects": int(cells.table["subject"].nunique()),
        "partitions": PARTITIONS,
        "folds": FOLDS,
        "seeds": SEEDS,
        "plain": PLAIN,
        "labels": {name: label for name, (label, _) in CANDIDATES.items()} | OTHERS | JOINED,
    }
    found = summarize(cells, options.cache)
    if options.add:
        kept = files.read_json(RESULT)
        there = {row["candidate"] for one in [kept, *kept["later"]] for row in one["candidates"]}
        session = {key: about[key] for key in ("date", "versions", "machine")} | {
            "candidates": [r for r in found["candidates"] if r["candidate"] not in there - AGAIN]
        }
        later = [*kept["later"], session] if session["candidates"] else kept["later"]
        people = zip(found["by_subject"], kept["by_subject"], strict=True)
        kept["by_subject"] = [new | before for new, before in people]
        files.write_json(RESULT, {**kept, "labels": about["labels"], "later": later})
    else:
        files.write_json(RESULT, {**about, **found, "later": []})


if __name__ == "__main__":
    main()
