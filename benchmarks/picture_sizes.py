"""How much of a real cell is left at each picture size: detail, and a quick classifier's AUROC.

python benchmarks/picture_sizes.py PATH

Lesson 03 measures the same on its own cells.
"""

import datetime
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_erosion
from skimage.feature import local_binary_pattern
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import leukhelpers as lk
from leukhelpers import files
from leukhelpers.experiments import provenance

RESULT = Path(__file__).resolve().parent / "results" / "picture_sizes.json"
SIZES = (24, 48, 96, 128, 192)


def measure(cell: Image.Image, size: int) -> np.ndarray:
    """Return the share of variance lost at a size, and the shares of ten local binary patterns."""
    small = cell.resize((size, size), Image.Resampling.BOX)
    before, after, gray = (np.array(x) for x in (cell, small.resize(cell.size), small))
    inside = binary_erosion(before > 0, iterations=cell.width // 10)  # without the blurred outline
    error = (before.astype(float) - after)[inside]
    patterns = local_binary_pattern(gray, 8, 1, "uniform")[gray > 0].astype(int)
    shares = np.bincount(patterns, minlength=10) / len(patterns)
    return np.array([(error**2).mean() / before[inside].var(), *shares])


def main() -> None:
    """Measure the training and validation cells and write the result."""
    lesson = lk.begin("03", sys.argv[1])
    rows = np.concatenate([lesson.split.train, lesson.split.validation])
    measured = np.zeros((len(rows), len(SIZES), 11))
    for number, row in enumerate(rows):
        picture = Image.open(lesson.path(row)).convert("RGB")
        cell = picture.crop(lk.cell_box(np.array(picture))).convert("L")
        measured[number] = [measure(cell, size) for size in SIZES]
    features = {"area": lesson.area[rows, None]}
    for number, size in enumerate(SIZES, start=1):  # a picture contains the smaller ones
        features[str(size)] = measured[:, :number, 1:].reshape(len(measured), -1)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedGroupKFold(4, shuffle=True, random_state=0)
    how = {"groups": lesson.split.groups[rows], "cv": folds, "scoring": "roc_auc"}
    scores = {
        name: cross_val_score(model, x, lesson.y[rows], **how) for name, x in features.items()
    }
    about = provenance.describe(lesson.prepared)
    about["dataset"] = "fold 0 of the training set of C-NMC 2019, without the test patients"
    about["images"] = len(rows)
    about["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    about["auroc"] = {name: score.round(4).tolist() for name, score in scores.items()}
    lost = np.median(measured[:, :, 0], axis=0).round(3).tolist()
    about["detail_lost"] = dict(zip(map(str, SIZES), lost, strict=True))
    files.write_json(RESULT, about)


if __name__ == "__main__":
    main()
