"""What the network of the course reads in real cells: AUROC without color, grain or inside.

python benchmarks/network_reads.py PATH

Three seeds: three splits, three trainings. Lesson 07 measures the same on its own cells.
"""

import datetime
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

import leukhelpers as lk
from leukhelpers import files
from leukhelpers.experiments import provenance

RESULT = Path(__file__).resolve().parent / "results" / "network_reads.json"


def change(images: np.ndarray, kind: str, stained: np.ndarray) -> np.ndarray:
    """Return copies of cells with one kind of information taken away, as in lesson 07."""
    changed = images.astype("float32")
    for image in changed:
        mask = image.any(axis=2)
        inside, weight = image[mask], gaussian_filter(mask.astype(float), 2)[mask][:, None]
        if kind == "one color":
            standard = (inside - inside.mean(axis=0)) / inside.std(axis=0)
            image[mask] = np.clip(standard * stained.std(axis=0) + stained.mean(axis=0), 1, 255)
        if kind == "smooth":
            image[mask] = gaussian_filter(image, (2, 2, 0))[mask] / weight
        if kind == "silhouette":
            image[mask] = inside.mean(axis=0)
    return changed


def main() -> None:
    """Train, measure, and write the result."""
    auroc = {}
    for seed in range(3):
        lesson = lk.begin("07", sys.argv[1], "fast", seed, tempfile.mkdtemp())
        model, rng = lesson.load_run().model, np.random.default_rng(seed)
        references = lesson.crops[rng.choice(lesson.split.train, 32, replace=False)]
        references, test = references.astype("float32"), lesson.split.test
        for kind in ("as it is", "one color", "smooth", "silhouette"):
            cells = change(lesson.crops[test], kind, references[references.any(axis=3)])
            proba = model.predict(cells, verbose=0).ravel()
            auroc.setdefault(kind, []).append(round(roc_auc_score(lesson.y[test], proba), 3))
    about = provenance.describe(lesson.prepared) | {"seed": [0, 1, 2], "auroc": auroc}
    about["dataset"] = "fold 0 of the training set of C-NMC 2019"
    about["date"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    files.write_json(RESULT, about)


if __name__ == "__main__":
    main()
