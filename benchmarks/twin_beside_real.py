"""Measure the drawn cells of the twin beside the real cells of C-NMC's fold 0.

Both sides go through the same code: area quantiles by class, mean and spread of
each color, shading, texture, and what the area alone, a support vector machine on
21 quick features and the course's CNN reach when subjects are kept apart and when
they are not. The CNN takes most of the time.

    python benchmarks/twin_beside_real.py --real .../training_data/fold_0 --out twin.json

Only numbers are written, never a pixel.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image
from scipy import ndimage
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern
from skimage.measure import regionprops
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from leukhelpers.data.pictures import pixel_digest, read_image
from leukhelpers.data.schema import ALL, HEM, parse_name
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import networks, profiles, training
from leukhelpers.splits import groups
from leukhelpers.synthetic import twin

SHAPE = ["area", "eccentricity", "solidity", "form_factor", "extent"]
COLOR = [f"{channel}_{number}" for number in ("mean", "sd") for channel in "rgb"]
TEXTURE = [
    *("fine", "middle", "coarse", "gradient"),
    *("lbp_flat", "lbp_edge", "lbp_rough"),
    *("glcm_contrast", "glcm_homogeneity", "glcm_correlation"),
]
FEATURES = SHAPE + COLOR + TEXTURE
IDENTITY = ["cell_id", "label", "subject", "sha256", "small"]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def measure(rgb: np.ndarray) -> dict[str, float]:
    """Measure one cell.

    Parameters
    ----------
    rgb : numpy.ndarray
        Cell on black, uint8, shape (450, 450, 3).

    Returns
    -------
    dict
        ``FEATURES`` and what only the comparison shows: the rim's brightness, the
        texture at full resolution, whether the cell reaches beyond a 300 crop.
    """
    mask = rgb.max(axis=2) > 0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = rgb[mask].astype(np.float32)
    shape = regionprops(ndimage.binary_fill_holes(mask[box]).astype(np.uint8))[0]
    row: dict[str, float] = {
        "area": float(mask.sum()),
        "eccentricity": shape.eccentricity,
        "solidity": shape.solidity,
        "form_factor": shape.perimeter**2 / (4 * np.pi * shape.area),
        "extent": shape.extent,
        **dict(zip(COLOR, [*inside.mean(axis=0), *inside.std(axis=0)], strict=True)),
        "beyond_300": float(
            min(rows[0], columns[0]) < 75 or max(rows[-1], columns[-1]) >= rgb.shape[0] - 75
        ),
    }
    row |= _small_texture(rgb)
    row |= _shading(rgb[box].mean(axis=2, dtype=np.float32), mask[box])
    return row


def _small_texture(rgb: np.ndarray) -> dict[str, float]:
    """Gradient, band, LBP and GLCM numbers of the center crop of 300 at 96 px."""
    small = Image.fromarray(rgb[75:375, 75:375]).convert("L").resize((96, 96), Image.Resampling.BOX)
    gray = np.asarray(small, dtype=np.float32)
    inside = ndimage.binary_erosion(gray > 0, iterations=3)
    if inside.sum() < 50:
        return dict.fromkeys(TEXTURE, 0.0)
    blurred = [gray] + [ndimage.gaussian_filter(gray, sigma) for sigma in (1, 2, 4)]
    bands = [float((a - b)[inside].std()) for a, b in pairwise(blurred)]
    gradient = np.hypot(ndimage.sobel(gray, 0), ndimage.sobel(gray, 1))[inside].mean()
    codes = local_binary_pattern(np.asarray(small), 8, 1, method="uniform")[inside]
    share = np.bincount(codes.astype(int), minlength=10) / len(codes)
    levels = np.where(inside, np.clip(gray // 4, 0, 30) + 1, 0).astype(np.uint8)
    pairs = graycomatrix(levels, [1, 2], [0, np.pi / 2], levels=32, symmetric=True)
    pairs = pairs[1:, 1:].sum(axis=(2, 3), keepdims=True).astype(np.float64)
    pairs /= pairs.sum()
    glcm = [
        float(graycoprops(pairs, name)[0, 0]) for name in ("contrast", "homogeneity", "correlation")
    ]
    lbp = [share[8], share[3:6].sum(), share[9]]
    return dict(zip(TEXTURE, [*bands, float(gradient), *lbp, *glcm], strict=True))


def _shading(gray: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Brightness of rim and center (gray levels), and texture in bands of 2 to 16 px."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    row = {}
    for name, low, high in (("rim_0_4", 0, 4), ("rim_4_10", 4, 10), ("rim_10_25", 10, 25)):
        row[name] = float(gray[(depth > low) & (depth <= high)].mean())
    row["center"] = float(gray[depth > max(25.0, 0.5 * depth.max())].mean())
    weight = mask.astype(np.float32)
    previous = gray
    deep = depth > 12
    for sigma in (1, 2, 4, 8, 16):
        smooth = ndimage.gaussian_filter(gray * weight, sigma) / np.maximum(
            ndimage.gaussian_filter(weight, sigma), 1e-3
        )
        row[f"band_{sigma}"] = float((previous - smooth)[deep].std())
        previous = smooth
    return row


def measure_and_shrink(rgb: np.ndarray) -> dict:
    """Measure one cell, and keep it as the network would see it."""
    profile = profiles.PROFILES["fast"]
    small = crop_and_resize(rgb, profile.size, profile.crop)
    return {"small": small, "sha256": pixel_digest(rgb), **measure(rgb)}


def real_cells(folder: Path, n_jobs: int) -> pd.DataFrame:
    """Measure every image file under the folders ``all`` and ``hem``."""
    paths = sorted(path for name in ("all", "hem") for path in (folder / name).iterdir())

    def one(path: Path) -> dict:
        name = parse_name(path.stem)
        cell = {"cell_id": path.stem, "label": name.label, "subject": name.subject}
        return cell | measure_and_shrink(read_image(path))

    return pd.DataFrame(Parallel(n_jobs=n_jobs)(delayed(one)(path) for path in paths))


def twin_cells(seed: int, n_jobs: int) -> pd.DataFrame:
    """Draw and measure the cells of fold 0 of the full twin, in memory."""
    plan = twin.plan_twin(10661, 73, seed)
    rows = plan[plan["fold"] == "0"].to_dict("records")

    def one(row: dict) -> dict:
        pixels, _ = twin.draw_cell(row, seed)
        return {name: row[name] for name in ("cell_id", "label", "subject")} | (
            measure_and_shrink(pixels)
        )

    return pd.DataFrame(Parallel(n_jobs=n_jobs)(delayed(one)(row) for row in rows))


def learned(cells: pd.DataFrame, seed: int) -> dict[str, dict[str, float]]:
    """AUROC (mean and sd over four folds) of area and SVM, subjects apart or mixed."""
    labels, subjects = cells["label"].to_numpy(), cells["subject"].to_numpy()
    values = cells[FEATURES].to_numpy()
    area = values[:, :1]
    svm = make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced"))
    line = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    by_subject = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
    by_image = StratifiedKFold(4, shuffle=True, random_state=seed)
    results = {}
    for name, model, data, splitter in (
        ("area, subjects apart", line, area, by_subject),
        ("SVM, subjects apart", svm, values, by_subject),
        ("SVM, random by image", svm, values, by_image),
    ):
        scores = []
        for train, test in splitter.split(data, labels, subjects):
            fitted = model.fit(data[train], labels[train])
            scores.append(roc_auc_score(labels[test], fitted.decision_function(data[test])))
        results[name] = {"mean": float(np.mean(scores)), "sd": float(np.std(scores))}
    return results


def learned_by_cnn(cells: pd.DataFrame, seed: int) -> dict[str, dict[str, float]]:
    """AUROC (mean and sd over four folds) of the course's CNN, subjects apart or mixed.

    As in lesson 02 it trains for 8 epochs, here on pictures of half the width.
    """
    table = cells[["cell_id", "label", "subject", "sha256"]].assign(path="", fold="0")
    labels = table["label"].to_numpy()
    pixels = np.stack(cells["small"].to_list())
    n, side = len(pixels), pixels.shape[1] // 2
    small = pixels.reshape(n, side, 2, side, 2, 3).mean(axis=(2, 4)).astype(np.uint8)
    short = replace(profiles.PROFILES["full"], epochs=8)
    mixed = table.assign(subject=table["cell_id"], sha256=table["cell_id"])
    results = {}
    for name, splits in (
        ("CNN, subjects apart", groups.grouped_folds(table, 4, seed)),
        ("CNN, random by image", groups.random_folds(mixed, 4, seed)),
    ):
        scores = []
        for split in splits:
            training.make_deterministic(seed)
            model = networks.build_cnn(side, seed=seed)
            parts = split.train, split.validation
            history = training.fit(model, small, labels, *parts, short, seed)
            answers = training.predict(model, small, split.test)
            scores.append(roc_auc_score(labels[split.test], answers))
            print(f"{name}: fold {len(scores)}, {len(history)} epochs, AUROC {scores[-1]:.3f}")
        results[name] = {"mean": float(np.mean(scores)), "sd": float(np.std(scores))}
    return results


def summarize(cells: pd.DataFrame, seed: int) -> dict:
    """Everything that is compared, as plain numbers."""
    result: dict = {"cells": len(cells), "subjects": int(cells["subject"].nunique())}
    result["beyond_300"] = float(cells["beyond_300"].mean())
    for label, name in ((ALL, "ALL"), (HEM, "HEM")):
        part = cells[cells["label"] == label]
        result[name] = {
            "area_quantiles": {str(q): float(part["area"].quantile(q)) for q in QUANTILES},
            "color": {
                channel: {
                    "mean": float(part[f"{channel}_mean"].mean()),
                    "sd_within_cells": float(part[f"{channel}_sd"].mean()),
                    "sd_between_cells": float(part[f"{channel}_mean"].std()),
                }
                for channel in "rgb"
            },
            "medians": {
                column: float(part[column].median())
                for column in cells.columns.drop([*IDENTITY, "area"])
                if column not in COLOR and column != "beyond_300"
            },
        }
    result["auroc"] = {**learned(cells, seed), **learned_by_cnn(cells, seed)}
    return result


def table(real: dict, drawn: dict) -> str:
    """Lay the two summaries side by side."""
    flat = [pd.json_normalize(side, sep=" / ").T[0] for side in (real, drawn)]
    both = pd.DataFrame({"real": flat[0], "twin": flat[1]})
    return both.to_string(float_format=lambda value: f"{value:,.3f}")


def main() -> None:
    """Read the command line, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", type=Path, required=True, help="folder with all/ and hem/")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    real = summarize(real_cells(arguments.real, arguments.jobs), arguments.seed)
    drawn = summarize(twin_cells(arguments.seed, arguments.jobs), arguments.seed)
    result = {
        "date": dt.date.today().isoformat(),
        "seed": arguments.seed,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "real": real,
        "twin": drawn,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(real, drawn))


if __name__ == "__main__":
    main()
