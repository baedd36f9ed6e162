"""Numbers that the measuring modules give for fixed cells and answers, kept in a file.

    python -m tests.kept_numbers    measure anew and write tests/kept_numbers.json

What a run has written is read by later versions, and results of two versions are put side by
side: so a measure may change only on purpose. Each number here is checked by other tests
against its definition, or against another library; these tell that none moved.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.backend import keras
from leukhelpers.evaluation import bootstrap, calibration, decisions, metrics, summary
from leukhelpers.evaluation.names import METRICS
from leukhelpers.explain import attribution, deletion
from leukhelpers.explain.common import logits
from leukhelpers.explain.grad_cam import grad_cam
from leukhelpers.explain.integrated_gradients import integrated_gradients
from leukhelpers.explain.shap_values import shap_gradient
from leukhelpers.files import write_json
from leukhelpers.images import features, handmade, preprocessing
from leukhelpers.models import ood
from leukhelpers.splits import groups

FILE = Path(__file__).with_name("kept_numbers.json")


def cells(n: int = 6, size: int = 48) -> np.ndarray:
    """Draw uneven ellipses with a dark part and a grain, none in the middle, on black."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:size, :size]
    drawn = np.zeros((n, size, size, 3), np.uint8)
    for index in range(n):
        down, across = size / 2 + rng.integers(-3, 4, 2)
        a, b = rng.uniform(size / 5, size / 3, 2)
        far = ((x - across) / a) ** 2 + ((y - down) / b) ** 2
        shade = np.array([150, 90, 170]) - 45 * (far < 0.5)[..., None] * [1, 1, 0.5]
        shade = shade + rng.normal(0, 12, (size, size, 3)) + 10 * np.sin(x / 3)[..., None]
        drawn[index] = np.clip(shade, 1, 255) * (far < 1)[..., None]
    drawn[-1, 2:6, 2:6] = 200  # a mark beside the last cell
    return drawn


def odd_pictures() -> np.ndarray:
    """Draw one-colored squares that touch an edge, and a black picture."""
    drawn = np.zeros((8, 24, 24, 3), np.uint8)
    for index, channel in enumerate((0, 1, 2, 0, 1, 2)):
        drawn[index, 4:9, 5:12, channel] = 90 + 10 * index
    # Each touches one edge, in its own color.
    drawn[0, 4:9, 0, 0] = drawn[1, 6:20, -1, 1] = drawn[2, 0, 3:5, 2] = drawn[3, -1, 3:20, 0] = 70
    drawn[6, :, :, 1] = np.arange(24, dtype=np.uint8) + 1
    return drawn


def answers(seed: int, n: int = 90) -> pd.DataFrame:
    """Draw the answers of three models about cells of 15 subjects in 12 groups."""
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 15, n)
    label = (number % 3 > 0).astype(int)
    noise = rng.normal(0, 0.22, n)
    return pd.DataFrame(
        {
            "subject": [f"s{one:02d}" for one in number],
            "group": [f"g{one % 12:02d}" for one in number],
            "label": np.where(number >= 12, label[np.argmax(number == 12)], label),
            "probability": np.clip(0.4 + 0.25 * label + noise, 0.01, 0.99).round(2),
            "area_probability": np.clip(0.5 + 0.1 * label + 2 * noise, 0, 1).round(2),
            "majority_probability": 1.0,
        }
    )


def people(seed: int = 3) -> pd.DataFrame:
    """Draw a table of 24 subjects in three folds, two of whom share a picture."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(24):
        for cell in range(rng.integers(2, 9)):
            digest = "shared" if subject in (4, 9) and cell == 0 else f"{subject}-{cell}"
            rows.append(
                {
                    "cell_id": f"{subject}-{cell}",
                    "subject": f"p{subject:02d}",
                    "label": int(subject % 3 > 0),
                    "fold": str(subject // 3 % 3),
                    "sha256": digest,
                    "path": f"{subject}-{cell}.bmp",
                }
            )
    return pd.DataFrame(rows)


def measured() -> dict[str, Any]:
    """Measure everything that needs no network."""
    pictures, known, unseen = cells(), answers(1), answers(2)
    labels, scores = known["label"], known["probability"]
    table = people()
    learnt = ood.fit_ood(pictures[:5], np.arange(5) // 2)
    return {
        "cell_area": features.cell_area(pictures, 384),
        "measure_cells": handmade.measure_cells(pictures, 384),
        "measure_empty": handmade.measure_cell(np.zeros((16, 16, 3), np.uint8), 2.0),
        "describe": ood.describe(np.concatenate([pictures, np.zeros((1, 48, 48, 3), np.uint8)])),
        "describe_odd": ood.describe(odd_pictures()),
        "familiar_of_two": ood.fit_ood(pictures, np.arange(6) // 3),
        "familiar": learnt,
        "distance": ood.distance(learnt, pictures),
        "metrics": metrics.metrics(labels, scores),
        "metrics_at_0.3": metrics.metrics(labels, scores, 0.3),
        "summary": summary.summary(unseen),
        "decisions": decisions.summary(unseen, known),
        "decisions_unchosen": decisions.summary(unseen, None),
        "sets": decisions.fit_conformal(labels, scores, 0.25),
        "reliability": calibration.reliability(labels, scores),
        "cooled": calibration.apply_temperature([0, 0.2, 0.5, 0.9, 1], 2.5),
        "groups": groups.group_ids(table),
        "splits": [split_rows(split) for split in splits(table)],
    }


def splits(table: pd.DataFrame) -> list[groups.Split]:
    """Split a table in every way that there is."""
    held = groups.holdout_split(table, seed=2)
    return [
        *groups.grouped_folds(table, 3, seed=2),
        *groups.random_folds(table, 3, seed=2),
        held,
        groups.no_test_split(table, seed=2),
    ]


def split_rows(split: groups.Split) -> dict[str, list[int]]:
    """Give the rows of a split's parts."""
    return {name: getattr(split, name).tolist() for name in ("train", "validation", "test")}


def plain(value: Any) -> Any:
    """Make tables, arrays and numpy's numbers into what JSON knows."""
    if isinstance(value, pd.DataFrame | pd.Series):
        return plain(value.to_dict("list") if isinstance(value, pd.DataFrame) else value.to_dict())
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(one) for one in value]
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(f"{value:.9g}")
    return value.item() if isinstance(value, np.generic) else value


def defaults() -> dict[str, Any]:
    """Measure with nothing said that need not be said: seeds and numbers of folds matter."""
    table, known = people(), answers(1)
    labels, scores, others = known["label"], known["probability"], known["area_probability"]
    held = groups.holdout_split(table)
    drawn = bootstrap.resample(labels, known["group"])
    resampled = bootstrap.bootstrap(labels, scores, drawn)
    return {
        "grouped": [split_rows(split) for split in groups.grouped_folds(table)],
        "random": [split_rows(split) for split in groups.random_folds(table)],
        "held": split_rows(held),
        "everything": split_rows(groups.no_test_split(table)),
        "bootstrap": {name: resampled[name].mean() for name in METRICS},
        "intervals": bootstrap.intervals(labels, scores, known["group"]),
        "notes": bootstrap.resample(labels.iloc[:12], known["group"].iloc[:12]).notes,
        "compared": bootstrap.compare(labels, scores, others, known["group"]),
        "summary": summary.summary(known)["models"]["cnn"],
        "report": metrics.class_metrics(labels, scores),
        "confusion": metrics.confusion(labels, scores),
        "by_subject": metrics.by_subject(known[["subject", "label", "probability"]]),
        "net_benefit": decisions.net_benefit(labels, scores),
        "risk": decisions.risk_coverage(labels, scores),
        "sets": decisions.fit_conformal(labels, scores),
        "threshold": calibration.choose_threshold(labels, scores),
        "temperature": calibration.fit_temperature(labels, scores),
    }


def pictures() -> dict[str, Any]:
    """Cut and resize a large drawn cell."""
    large, small = cells(3, 160), cells()
    drawn = np.zeros((450, 450, 3), np.uint8)
    drawn[100:260, 150:310] = large[0]
    return {
        "box": preprocessing.cell_box(drawn),
        "boxed": digest(preprocessing.crop_and_resize(drawn, 32, preprocessing.BOX)),
        "cropped": digest(preprocessing.crop_and_resize(drawn, 32, 300)),
        "cell_of": digest(features.cell_of(small)),
        "smooth": digest(deletion.smooth_cells(small)),
    }


def digest(array: np.ndarray) -> dict[str, Any]:
    """Describe an array by its shape and by sums along each of its directions."""
    values = np.asarray(array, float)
    axes = range(values.ndim)
    sums = [values.sum(axis=tuple(set(axes) - {axis})).tolist() for axis in axes]
    return {"type": str(array.dtype), "shape": list(array.shape), "sums": sums}


def network() -> Any:
    """Lay out a small network whose weights numpy has drawn: the same with every Keras."""
    layers = keras.layers
    inputs = x = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 64)(x)
    for depth in (1, 2):
        x = layers.Conv2D(6, 3, strides=2, use_bias=False, name=f"conv{depth}")(x)
        x = layers.BatchNormalization(name=f"norm{depth}")(x)
        x = layers.ReLU(name=f"relu{depth}")(x)
    x = layers.Dense(1, name="logit")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, layers.Activation("sigmoid", name="probability")(x))
    rng = np.random.default_rng(11)
    for weight in model.weights:
        many = len(weight.shape) > 1
        drawn = rng.normal(0, 1.0 if many else 0.1, weight.shape)
        weight.assign(drawn / np.sqrt(np.prod(weight.shape[:-1]) / 4) if many else 1 + drawn)
    return model


def explained() -> dict[str, Any]:
    """Explain a network."""
    model, seen = network(), cells(8, 32)
    images, background = seen[:3], seen[3:]
    found: dict[str, Any] = {"logits": logits(model, seen)}
    maps = {
        "shap": shap_gradient(model, images, background, n_samples=20).sum(axis=-1),
        "integrated": integrated_gradients(model, images, background).sum(axis=-1),
        "grad_cam": grad_cam(model, images),
    }
    for name, drawn in maps.items():
        found[name] = {"map": digest(drawn)}
    found["named"] = {
        method: digest(attribution.explain_pixels(method, model, images[:1], background, seed=3))
        for method in attribution.METHODS
    }
    found["deletion"] = deletion.deletion_scores(model, images, maps["integrated"], background)
    return found


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "measured": measured,
    "defaults": defaults,
    "pictures": pictures,
    "explained": explained,
}


if __name__ == "__main__":
    write_json(FILE, {name: plain(case()) for name, case in CASES.items()})
