"""Compare candidates for the network of the course on patients they have not seen.

    python -m benchmarks.candidates FOLD_0 FOLD_1 --cache DIR          train what is missing
    python -m benchmarks.judge_candidates FOLD_0 FOLD_1 --cache DIR    write the result file

Every candidate changes one thing of the plain network. All see the same splits: `PARTITIONS`
grouped partitions of the subjects of both folds, and fold 0 against fold 1 with `SEEDS` seeds.
Predictions stay in ``--cache``, one file per training, so that an interrupted comparison goes on.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from leukhelpers import files
from leukhelpers.datasets import load_dataset
from leukhelpers.images import augmentation, handmade
from leukhelpers.images.preprocessing import BOX, CENTER_CROP, build_pixels
from leukhelpers.models import classical
from leukhelpers.splits import groups

PARTITIONS, FOLDS, SEEDS = 3, 4, 3
SCREENING = ("partition0", "unseen-seed0")
PLAIN: dict[str, Any] = {
    "size": 64, "epochs": 10, "batch": 32, "rate": 2e-3, "color": 1.0, "norm": "batch",
    "optimizer": "adam", "schedule": "cosine", "auxiliary": 0.0, "mixup": 0.0,
    "density": False, "early_stopping": False, "ema": False,
}  # fmt: skip
CANDIDATES: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("nothing: the plain network", {}),
    "96 pixels": ("96 pixels", {"size": 96}),
    "auxiliary": ("auxiliary task: hand-crafted features", {"auxiliary": 1.0}),
    "mixup": ("mixup of 80% of the images", {"mixup": 0.8}),
    "strong color": ("color augmentation three times as strong", {"color": 3.0}),
    "EMA": ("averaged weights", {"ema": True}),
    "group norm": ("group normalization", {"norm": "group"}),
    "AdamW": ("AdamW, weight decay 0.01", {"optimizer": "adamw"}),
    "16 epochs": ("16 epochs", {"epochs": 16}),
    "density": ("optical density as input", {"density": True}),
    "plateau": ("constant rate, ReduceLROnPlateau", {"schedule": "plateau"}),
    "early stopping": ("early stopping", {"early_stopping": True, "epochs": 16}),
    "128 pixels": ("128 pixels", {"size": 128}),
    "auxiliary + mixup": ("auxiliary task and mixup", {"auxiliary": 1.0, "mixup": 0.8}),
    "together": ("96 pixels, AdamW, 16 epochs", {"size": 96, "optimizer": "adamw", "epochs": 16}),
}  # fmt: skip
OTHERS = {
    "area": "one number, the area of the cell",
    "svm": "SVM on hand-crafted features",
    "rf": "random forest on hand-crafted features",
}


def build(recipe: dict[str, Any], n_auxiliary: int) -> keras.Model:
    """Build a candidate's network, untrained: logit and auxiliary outputs."""
    inputs = keras.Input((recipe["size"], recipe["size"], 3))
    x = layers.Rescaling(1 / 255)(inputs)
    if recipe["density"]:
        x = layers.Lambda(lambda light: -keras.ops.log(keras.ops.maximum(light, 0.02)))(x)
    for block, filters in enumerate((24, 48, 96, 128)):
        x = layers.Conv2D(
            filters, 3 if block else 5, 1 if block else 2, padding="same", use_bias=False,
            kernel_initializer="he_normal",
        )(x)  # fmt: skip
        batch = recipe["norm"] == "batch"
        x = layers.BatchNormalization(momentum=0.9)(x) if batch else layers.GroupNormalization(8)(x)
        x = layers.ReLU()(x)
        if block < 3:
            x = layers.MaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, [layers.Dense(1)(x), layers.Dense(max(1, n_auxiliary))(x)])


def train(recipe: dict[str, Any], cells: Cells, rows: np.ndarray, seed: int) -> keras.Model:
    """Train a candidate on some rows, and return it with the logit as its only output."""
    keras.utils.set_random_seed(seed)
    y = cells.y[rows].astype("float32")
    weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean())).astype("float32")
    measured = StandardScaler().fit_transform(cells.features[rows]).clip(-4, 4).astype("float32")
    model = build(recipe, measured.shape[1])
    watched = recipe["early_stopping"] or recipe["schedule"] == "plateau"
    inside = np.arange(len(rows))
    validation_data = None
    if watched:
        inner = StratifiedGroupKFold(4, shuffle=True, random_state=seed)
        inside, held_out = next(inner.split(rows, y, cells.group[rows]))
        images = cells.images[recipe["size"]][rows[held_out]].astype("float32")
        validation_data = (images, (y[held_out], measured[held_out]), (weight[held_out],) * 2)
    steps = len(inside) // recipe["batch"]
    rate = recipe["rate"]
    if recipe["schedule"] == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * recipe["epochs"])
    ema = {"use_ema": True, "ema_momentum": 0.99} if recipe["ema"] else {}
    adamw = recipe["optimizer"] == "adamw"
    model.compile(
        optimizer=keras.optimizers.AdamW(rate, weight_decay=0.01, **ema)
        if adamw
        else keras.optimizers.Adam(rate, **ema),
        loss=[keras.losses.BinaryCrossentropy(from_logits=True), "mae"],
        loss_weights=[1.0, recipe["auxiliary"]],
    )
    callbacks: list[Any] = []
    if recipe["schedule"] == "plateau":
        callbacks.append(keras.callbacks.ReduceLROnPlateau(factor=0.3, patience=2))
    if recipe["early_stopping"]:
        callbacks.append(
            keras.callbacks.EarlyStopping(patience=5, start_from_epoch=8, restore_best_weights=True)
        )
    if recipe["ema"]:
        callbacks.append(keras.callbacks.SwapEMAWeights())
    model.fit(
        batches(recipe, cells, rows, inside, (y, measured, weight), seed),
        steps_per_epoch=steps, epochs=recipe["epochs"], callbacks=callbacks, verbose=0,
        validation_data=validation_data,
    )  # fmt: skip
    return keras.Model(model.input, model.outputs[0])


def batches(
    recipe: dict[str, Any],
    cells: Cells,
    rows: np.ndarray,
    inside: np.ndarray,
    columns: tuple[np.ndarray, ...],
    seed: int,
) -> tf.data.Dataset:
    """Serve shuffled, augmented batches without end."""
    images = tf.constant(cells.images[recipe["size"]][rows[inside]])
    y, measured, weight = (tf.constant(column[inside]) for column in columns)

    def prepare(chosen: tf.Tensor, number: tf.Tensor) -> tuple:
        draw = tf.random.stateless_uniform((recipe["batch"], 8), (seed, number), -1.0, 1.0)
        strength = tf.constant([1.0] * 3 + [recipe["color"]] * 5)
        colored = augmentation.recolor(tf.gather(images, chosen), (draw * strength)[:, 3:])
        image = tf.ensure_shape(
            augmentation.move(colored, draw[:, :3]), (recipe["batch"], *images.shape[1:])
        )
        label, target, counts = (tf.gather(column, chosen) for column in (y, measured, weight))
        if recipe["mixup"]:
            share = tf.random.stateless_uniform((2, recipe["batch"]), (seed + 1, number))
            other = tf.where(share[0] < recipe["mixup"], share[1] / 2, 0.0)
            own = 1 - other
            image = own[:, None, None, None] * image + other[:, None, None, None] * tf.roll(
                image, 1, 0
            )
            target = own[:, None] * target + other[:, None] * tf.roll(target, 1, 0)
            mine, its = own * counts, other * tf.roll(counts, 1, 0)
            label = (mine * label + its * tf.roll(label, 1, 0)) / (mine + its)
            counts = mine + its
        return image, (label, target), (counts, counts)

    order = tf.data.Dataset.range(len(inside)).shuffle(len(inside), seed=seed).repeat()
    order = order.batch(recipe["batch"], drop_remainder=True)
    numbered = tf.data.Dataset.zip(order, tf.data.Dataset.counter())
    return numbered.map(prepare, tf.data.AUTOTUNE, deterministic=True).prefetch(2)


def predict(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the logits of four quarter turns, shape (n, 4)."""
    turns = [np.rot90(images, quarters, (1, 2)).astype("float32") for quarters in range(4)]
    return np.column_stack([network.predict(t, batch_size=128, verbose=0).ravel() for t in turns])


class Cells:
    """The cells of both folds: pictures by size, labels, subjects, groups, features."""

    def __init__(self, folders: list[Path], cache: Path) -> None:
        datasets = [load_dataset(folder, cache) for folder in folders]
        self.images: dict[int, np.ndarray] = {}
        for size in (64, 96, 128):
            parts = [build_pixels(dataset, cache, size, BOX) for dataset in datasets]
            self.images[size] = np.concatenate([part.array for part in parts])
        self.table = pd.concat([part.table for part in parts], ignore_index=True)
        self.fold = np.repeat([0, 1], [len(part.table) for part in parts])
        kept = cache / "features.npy"
        if not kept.is_file():
            centered = [
                build_pixels(dataset, cache, handmade.SIZE, CENTER_CROP) for dataset in datasets
            ]
            measured = [handmade.measure_cells(part.array, CENTER_CROP) for part in centered]
            np.save(kept, pd.concat(measured).to_numpy())
        every = pd.DataFrame(np.load(kept), columns=handmade.feature_names())
        self.every_feature = every.to_numpy()
        self.area = every["area"].to_numpy()
        # The network sees every cell as large as the others, so these are left out.
        sizes = ["area", "perimeter", "long_axis", "short_axis"]
        self.features = every.drop(columns=sizes).to_numpy()
        self.y = self.table["label"].to_numpy()
        self.group = groups.group_ids(self.table)


def splits(cells: Cells) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """List the splits by name: training rows, test rows, seed.

    `StratifiedGroupKFold` gives nearly the same folds for every seed: it balances the cells, and
    the seed only breaks ties. So the other partitions deal the groups of each class at random.
    """
    found = {}
    label_of = pd.Series(cells.y).groupby(cells.group).first()
    balanced = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for partition in range(PARTITIONS):
        tests = [test for _, test in balanced.split(cells.y, cells.y, cells.group)]
        if partition:
            dealt = {}
            for _, groups_of_class in label_of.groupby(label_of):
                order = np.random.default_rng(partition).permutation(groups_of_class.index)
                dealt |= {group: number % FOLDS for number, group in enumerate(order)}
            fold = pd.Series(cells.group).map(dealt).to_numpy()
            tests = [np.flatnonzero(fold == number) for number in range(FOLDS)]
        for number, test in enumerate(tests):
            train_rows = np.setdiff1d(np.arange(len(cells.y)), test)
            found[f"partition{partition}-fold{number}"] = (train_rows, test, partition)
    first, second = np.flatnonzero(cells.fold == 0), np.flatnonzero(cells.fold == 1)
    for seed in range(SEEDS):
        found[f"unseen-seed{seed}"] = (first, second, seed)
    return found


def run(cells: Cells, cache: Path, only: list[str], screening: bool) -> None:
    """Train every candidate on every split, as far as it has not been done."""
    for name, (split, (rows, test, seed)) in itertools.product(
        [*OTHERS, *CANDIDATES], splits(cells).items()
    ):
        kept = cache / f"{name}-{split}.npz"
        if kept.is_file() or (only and name not in only):
            continue
        if screening and not split.startswith(SCREENING):
            continue
        start = time.perf_counter()
        if name in OTHERS:
            if not split.endswith(("seed1", "seed2")):
                logits = other(name, cells, rows, test, seed)
            else:  # neither depends on a seed
                logits = np.load(cache / f"{name}-unseen-seed0.npz")["logits"]
        else:
            recipe = {**PLAIN, **CANDIDATES[name][1]}
            network = train(recipe, cells, rows, seed)
            logits = predict(network, cells.images[recipe["size"]][test])
        seconds = time.perf_counter() - start
        with files.whole_file(kept) as part, part.open("wb") as file:
            np.savez(file, logits=logits, seconds=seconds)
        print(f"{name:20} {split:20} {auroc(cells, test, logits.mean(1)):.3f} {seconds:5.0f} s")


def other(name: str, cells: Cells, rows: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Fit a model that is no network, and return its logits."""
    if name == "area":
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        fitted = model.fit(np.log(cells.area[rows, None]), cells.y[rows])
        return fitted.decision_function(np.log(cells.area[test, None]))[:, None]
    names = handmade.feature_names()
    fitted = classical.fit_calibrated(
        classical.build_svm() if name == "svm" else classical.build_forest(seed),
        pd.DataFrame(cells.every_feature[rows], columns=names),
        cells.y[rows], cells.group[rows], seed,
    )  # fmt: skip
    proba = fitted.predict_proba(cells.every_feature[test])[:, 1]
    return logit(proba.clip(1e-6, 1 - 1e-6))[:, None]


def auroc(cells: Cells, test: np.ndarray, scores: np.ndarray) -> float:
    """Return the share of (ALL, HEM) pairs of cells that are ranked correctly."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(cells.y[test], scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fold_0", type=Path)
    parser.add_argument("fold_1", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--screening", action="store_true", help="one partition and one seed")
    options = parser.parse_args()
    cells = Cells([options.fold_0, options.fold_1], options.cache)
    run(cells, options.cache, options.only, options.screening)


if __name__ == "__main__":
    main()
