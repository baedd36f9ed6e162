"""How fast cells reach the network, beside what Keras offers and beside the ideal.

    python benchmarks/input_pipeline.py --real PATH

Everything in one process, in turns, medians of several rounds: this says ratios, and the
speeds only of the machine that it names.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from leukhelpers import files
from leukhelpers.backend import keras, tf
from leukhelpers.data.pictures import digest_images, load_image
from leukhelpers.experiments import provenance
from leukhelpers.images.augmentation import training_batches
from leukhelpers.images.preprocessing import build_pixels, crop_and_resize
from leukhelpers.models import networks, prepare, profiles
from leukhelpers.models.training import make_deterministic

RESULT = Path(__file__).resolve().parent / "results" / "input_pipeline.json"
BATCH, FIRST, STEPS, ROUNDS = 32, 5, 40, 7
FILES = 1600
# Of the pictures: that of the pretrained networks, and that which the course's network sees now.
SIZES = (profiles.PROFILES["fast"].size, profiles.PROFILES["fast"].box_size)


class _Clock(keras.callbacks.Callback):
    """Note when each step ended."""

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.ended: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self.ended.append(time.perf_counter())


def images_per_second(model: keras.Model, batches: tf.data.Dataset) -> float:
    """Train for some steps, and time all but the first few."""
    clock = _Clock()
    model.fit(batches.take(FIRST + STEPS), epochs=1, verbose=0, callbacks=[clock])
    return STEPS * BATCH / (clock.ended[-1] - clock.ended[FIRST - 1])


def in_turns(ways: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure every way in each round, so that a slow minute hits all of them."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, measure in ways.items():
            found[name].append(measure())
    return found


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    """Give the median speed of each way."""
    return {name: round(statistics.median(speeds), 1) for name, speeds in found.items()}


def ratio(found: dict[str, list[float]], one: str, other: str) -> float:
    """Give the median of the rounds' ratios: the machine is not equally fast in each."""
    pairs = zip(found[one], found[other], strict=True)
    return round(statistics.median(fast / slow for fast, slow in pairs), 3)


def stock_batches(folder: Path, size: int) -> tf.data.Dataset:
    """Read the files as Keras' tutorials do, and augment with its layers."""
    layers = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.5, fill_mode="constant"),
            keras.layers.RandomZoom(0.1, fill_mode="constant"),
            keras.layers.RandomContrast(0.05),
            keras.layers.RandomBrightness(0.03),
        ]
    )
    served = keras.utils.image_dataset_from_directory(
        folder, image_size=(size, size), batch_size=BATCH, label_mode="binary", seed=0,
        verbose=False,
    )  # fmt: skip

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        changed = layers(images, training=True)
        return tf.ensure_shape(changed, (None, size, size, 3)), tf.ensure_shape(
            labels[:, 0], (None,)
        )

    augmented = served.map(augment, num_parallel_calls=tf.data.AUTOTUNE)
    return augmented.repeat().prefetch(tf.data.AUTOTUNE)


def training(prepared: prepare.Prepared, root: Path) -> dict[str, list[float]]:
    """Images a second of the course's network, fed in several ways."""
    make_deterministic(0)
    size = prepared.profile.box_size
    model = networks.build_cnn(size)
    # All the work of training, but steps of no length: else the constant batch is soon known by
    # heart, and its vanishing gradients take another time than those of a network that learns.
    model.compile(keras.optimizers.Adam(0.0), keras.losses.BinaryCrossentropy())
    pixels, labels = prepare.pictures("cnn", prepared), prepared.table["label"].to_numpy()
    batch = [tf.constant(some[:BATCH], tf.float32) for some in (pixels, labels)]
    constant = tf.data.Dataset.from_tensors((*batch, tf.ones(BATCH))).repeat()
    rows, equal = np.arange(len(pixels)), np.ones(len(pixels))

    served = training_batches(pixels, [labels, equal], rows, BATCH, seed=0)
    return in_turns(
        {
            "constant_batch": lambda: images_per_second(model, constant),
            "augmented": lambda: images_per_second(model, served),
            "keras_from_directory": lambda: images_per_second(model, stock_batches(root, size)),
        }
    )


def cache(prepared: prepare.Prepared) -> dict[str, list[float]]:
    """Files a second: one core that decodes and resizes, and the cache being built."""
    some = replace(prepared.dataset, table=prepared.table.iloc[:FILES])
    size, crop = prepared.profile.size, prepared.profile.crop
    paths = [some.root / path for path in some.table["path"]]

    def one_core() -> float:
        start = time.perf_counter()
        for path in paths:
            crop_and_resize(load_image(path), size, crop)
        return len(paths) / (time.perf_counter() - start)

    def built() -> float:
        with tempfile.TemporaryDirectory() as folder:
            # Loading the data has left its checksums there.
            digest_images(some.root, some.table["path"].tolist(), Path(folder))
            start = time.perf_counter()
            build_pixels(some, folder, size, crop)
            return len(paths) / (time.perf_counter() - start)

    return in_turns({"one_core": one_core, "cache": built})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, required=True)
    profile, data = profiles.PROFILES["fast"], files.workspace() / "data"
    dataset = prepare.load(parser.parse_args().real, profile, 0, data)
    prepared = prepare.prepare(dataset, profile, 0, data)
    root = (dataset.root / prepared.table["path"].iloc[0]).parents[1]
    cores = provenance.environment()["machine"]["cores"]
    built = cache(prepared)
    found: dict[str, Any] = {"training": {}}
    for size in SIZES:
        sized = prepared._replace(profile=replace(profile, box_size=size))
        speed = training(sized, root)
        found["training"][str(size)] = {
            **medians(speed),
            "to_constant_batch": ratio(speed, "augmented", "constant_batch"),
            "to_keras": ratio(speed, "augmented", "keras_from_directory"),
        }
    to_ideal = round(ratio(built, "cache", "one_core") / cores, 3)
    found["cache"] = {**medians(built), "to_ideal": to_ideal}
    print(found)
    about = {
        "dataset": "fold 0 of the training set of C-NMC 2019",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "seed": 0,
        **provenance.environment(),
    }
    files.write_json(RESULT, {**about, **found})


if __name__ == "__main__":
    main()
