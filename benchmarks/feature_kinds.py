"""What the SVM reaches on real cells with and without each kind of hand-made feature.

    python benchmarks/feature_kinds.py --real PATH

Also how many cells are measured in a second.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from leukhelpers import files
from leukhelpers.experiments import provenance
from leukhelpers.images import handmade
from leukhelpers.models import classical, prepare, profiles
from leukhelpers.splits import groups

RESULT = Path(__file__).resolve().parent / "results" / "feature_kinds.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, required=True)
    profile, data = profiles.PROFILES["fast"], files.workspace() / "data"
    dataset = prepare.load(parser.parse_args().real, profile, 0, data)
    prepared = prepare.prepare(dataset, profile, 0, data)
    pixels = prepare.pictures("svm", prepared)
    start = time.perf_counter()
    handmade.measure_cells(pixels, profile.crop)
    speed = len(pixels) / (time.perf_counter() - start)
    measured, labels = prepare.features(prepared), prepared.table["label"].to_numpy()
    folds = list(groups.grouped_folds(prepared.table, 4, 0))
    found = {}
    for name, columns in choices().items():
        aurocs = []
        for split in folds:
            rows = np.concatenate([split.train, split.validation])
            model = classical.build_svm().fit(measured.loc[rows, columns], labels[rows])
            scores = model.decision_function(measured.loc[split.test, columns])
            aurocs.append(roc_auc_score(labels[split.test], scores))
        found[name] = np.round(aurocs, 4).tolist()
        print(f"{name}: {np.mean(aurocs):.3f}")
    about = provenance.describe(prepared)
    about["dataset"] = "fold 0 of the training set of C-NMC 2019"
    about["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    files.write_json(RESULT, {**about, "cells_per_second": round(speed, 1), "auroc": found})


def choices() -> dict[str, list[str]]:
    """List what to compare: all features, all but one kind, and one kind alone."""
    names, by_kind = handmade.feature_names(), handmade.feature_kinds()
    found = {"all features": names}
    for kind, members in by_kind.items():
        found[f"without {kind}"] = [name for name in names if name not in members]
    return found | {f"only {kind}": members for kind, members in by_kind.items()}


if __name__ == "__main__":
    main()
