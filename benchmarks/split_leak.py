"""Measure on real cells what a split by image adds to AUROC (lesson 02): split_leak.py PATH."""

import datetime
import sys
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from leukhelpers import files
from leukhelpers.evaluation import bootstrap
from leukhelpers.experiments import provenance
from leukhelpers.models import prepare, profiles

RESULT = Path(__file__).resolve().parent / "results" / "split_leak.json"
MODELS = {
    "svm": make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced")),
    "rf": RandomForestClassifier(50, class_weight="balanced", random_state=0),
    "area": make_pipeline(StandardScaler(), LogisticRegression()),
}
PAIRS = [((name, "image"), (name, "group")) for name in MODELS]
PAIRS += [((name, way), ("area", way)) for way in ("image", "group") for name in ("svm", "rf")]


def main() -> None:
    profile, data = profiles.PROFILES["fast"], files.workspace() / "data"
    prepared = prepare.prepare(prepare.load(sys.argv[1], profile, 0, data), profile, 0, data)
    y, group = prepared.table["label"].to_numpy(), prepared.split.groups
    cells = [image[image.max(axis=-1) > 0] for image in prepared.pixels]
    numbers = np.array([[len(cell), *cell.mean(axis=0), *cell.std(axis=0)] for cell in cells])
    by_image = StratifiedKFold(4, shuffle=True, random_state=0).split(numbers, y)
    by_group = StratifiedGroupKFold(4).split(numbers, y, groups=group)
    ranks = {}
    for way, folds in (("image", list(by_image)), ("group", list(by_group))):
        for name, model in MODELS.items():
            method = "decision_function" if name == "svm" else "predict_proba"
            columns = numbers[:, :1] if name == "area" else numbers
            score = cross_val_predict(model, columns, y, cv=folds, method=method).reshape(
                len(y), -1
            )
            # `compare` takes numbers from 0 to 1; ranks have the same AUROC.
            ranks[name, way] = rankdata(score[:, -1]) / len(y)
    rows = []
    for a, b in PAIRS:
        found = bootstrap.compare(y, ranks[a], ranks[b], group)
        names = {"model": a[0], "split": a[1], "compared_with": b[0], "its_split": b[1]}
        rows.append(names | {key: round(found[key], 4) for key in list(found)[:5]})
    about = provenance.describe(prepared) | {"dataset": "fold 0 of C-NMC 2019's training set"}
    about["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    files.write_json(RESULT, about | {"comparisons": rows})


if __name__ == "__main__":
    main()
