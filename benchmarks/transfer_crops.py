"""Measure what ImageNet weights bring on real cells, with the size of the cell and without.

python benchmarks/transfer_crops.py --dataset PATH    about five minutes on two cores

Frozen EfficientNet-Lite0, ImageNet or random weights, on the middle of the original and on cells
cropped to their bounding box; a logistic regression is its head, as in lesson 08. Beside it the
area baseline, on the same four grouped folds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import leukhelpers as lk
from leukhelpers import files
from leukhelpers.experiments import provenance

RESULT = Path(__file__).parent / "results" / "transfer_crops.json"


def measure(dataset: str, seed: int) -> dict[str, object]:
    """Return AUROC per fold of each model, and the R² of the area read from each embedding."""
    lesson = lk.begin("08", dataset, "fast", seed)
    folds, y, area = list(lk.grouped_folds(lesson.table, 4, seed)), lesson.y, lesson.area
    head = LogisticRegression(C=0.001, class_weight="balanced", max_iter=1000)
    tables = {"area": area[:, None]}
    for pictures, images in {"middle": lesson.images, "cropped": lesson.crops}.items():
        for weights in ("imagenet", "random"):
            network = lk.build_transfer("efficientnet-lite0", images.shape[1], weights, seed)
            backbone = keras.Model(network.input, network.get_layer("mean").output)
            tables[f"{weights}_{pictures}"] = backbone.predict(images, verbose=0)
    auroc: dict[str, list[float]] = {name: [] for name in tables}
    r2: dict[str, list[float]] = {name: [] for name in tables}
    for fold in folds:
        learn, test = np.concatenate([fold.train, fold.validation]), fold.test
        for name, table in tables.items():
            model = make_pipeline(StandardScaler(), head).fit(table[learn], y[learn])
            auroc[name].append(roc_auc_score(y[test], model.predict_proba(table[test])[:, 1]))
            probe = make_pipeline(StandardScaler(), Ridge(1000)).fit(table[learn], area[learn])
            r2[name].append(probe.score(table[test], area[test]))
    return {**provenance.describe(lesson.prepared), "auroc_by_fold": auroc, "area_r2_by_fold": r2}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True)
    found = measure(parser.parse_args().dataset, seed=0)
    files.write_json(RESULT, {**found, "dataset": "fold 0 of the training set of C-NMC 2019"})
