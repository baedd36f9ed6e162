"""Train a model on a split's training rows, and predict."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from leukhelpers.backend import keras, tf
from leukhelpers.images.augmentation import ordered_batches, steps_per_epoch, training_batches
from leukhelpers.images.preprocessing import check_pixels
from leukhelpers.models.classical import class_weights
from leukhelpers.models.interruption import Progress, epochs_done
from leukhelpers.models.profiles import Profile


def make_deterministic(seed: int) -> None:
    """Make every later step of this process repeat exactly.

    Parameters
    ----------
    seed : int
        Seeds Python, numpy and TensorFlow.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def fit(
    network: keras.Model,
    pixels: np.ndarray,
    labels: np.ndarray,
    rows: np.ndarray,
    watched: np.ndarray,
    profile: Profile,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    backup: Path | None = None,
) -> pd.DataFrame:
    """Train a network on some rows, for a fixed number of epochs.

    Adam's learning rate falls along a cosine to zero; both classes weigh the same in the
    loss; images are augmented (:func:`leukhelpers.images.augmentation.augment_batch`).

    Parameters
    ----------
    network : keras.Model
        Trained in place, untrained before or to be trained further; of two classes or more.
    pixels : uint8 array of shape (n, size, size, 3)
        Cells, row for row with `labels`; may be a memory map, read batch by batch.
    labels : int array of shape (n,)
        0 for HEM, 1 for ALL; with more classes 0 to their number - 1.
    rows : int array of shape (m,)
        The rows to train on. No other rows are read, apart from those of `watched`.
    watched : int array of shape (k,)
        Validation rows, measured after each epoch; none may be given.
    profile : Profile
        ``epochs``, ``batch_size``, ``learning_rate``.
    seed : int
        Seed of the order, the augmentation and dropout.
    callbacks : sequence of keras.callbacks.Callback, optional
        Further callbacks, such as a progress bar.
    backup : path, optional
        Folder in which the state is left after each epoch. If it holds an interrupted
        training, that goes on after its last whole epoch, and ends as it would have ended
        uninterrupted.

    Returns
    -------
    pandas.DataFrame
        One row per epoch: ``epoch`` (from 1), ``loss``, ``accuracy``, ``auroc`` (of two
        classes), measured on augmented images; the same of the watched rows with ``val_``.

    Raises
    ------
    InputError
        If the rows lack a class, or the pixels are not cells of 0 to 255.
    """
    labels = np.asarray(labels)
    n_classes = _n_classes(network)
    weighed = []
    for chosen, part in ((rows, "training"), (watched, "validation")):
        weights = class_weights(labels[chosen], n_classes, part) if len(chosen) else {0: 0.0}
        weighed.append(np.vectorize(weights.get, otypes=[float])(labels))
        check_pixels(pixels, chosen)
    steps = steps_per_epoch(len(rows), profile.batch_size)
    done = epochs_done(backup)
    batches = training_batches(
        pixels, [labels, weighed[0]], rows, profile.batch_size, seed, first_epoch=len(done)
    )
    watched_batches = ordered_batches(
        pixels, watched, profile.batch_size, labels[watched], weighed[1][watched]
    )
    with network.distribute_strategy.scope():  # what counts must live where the weights live
        # Not the network itself is compiled: it is kept without optimizer and metrics.
        trained = keras.Model(network.input, network.output)
        decay = keras.optimizers.schedules.CosineDecay(
            profile.learning_rate, steps * profile.epochs
        )
        auroc = [keras.metrics.AUC(name="auroc")] if n_classes == 2 else []
        trained.compile(
            optimizer=keras.optimizers.Adam(decay),
            loss="binary_crossentropy" if n_classes == 2 else "sparse_categorical_crossentropy",
            metrics=["accuracy", *auroc],
            jit_compile=False,  # measured three times slower on a CPU with it
        )
        # `fit` would make these variables in its first step, and then trace that step again.
        trained.optimizer.build(trained.trainable_variables)
        trained.compute_metrics(None, tf.zeros((1, 1)), tf.zeros((1, *network.output_shape[1:])))
    progress = Progress(seed, done, backup)
    callbacks = [progress, *callbacks]
    if backup is not None:
        # The history is written before the weights: an epoch that lacks its weights is
        # trained again, one that lacks its line would be lost.
        state, keep = backup / "state", {"double_checkpoint": True, "delete_checkpoint": False}
        callbacks.append(keras.callbacks.BackupAndRestore(state, **keep))
    trained.fit(
        batches,
        steps_per_epoch=steps,
        epochs=profile.epochs,
        initial_epoch=len(done),
        validation_data=watched_batches if len(watched) else None,
        callbacks=callbacks,
        shuffle=False,  # the batches come shuffled
        verbose=0,
    )
    return pd.DataFrame(progress.lines)


def devices() -> tf.distribute.Strategy:
    """Choose where to train: on all graphics processors together, if there are several.

    Returns
    -------
    tf.distribute.Strategy
        A model built within its ``scope()`` has one copy on each device; each batch is
        shared out, and the gradients are summed. With one device or none it changes
        nothing. Logical devices count, so that two can be tried on a processor without any.
    """
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(found) < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in found])


def _n_classes(model: keras.Model) -> int:
    """Count the classes of a network: one unit tells two apart."""
    return max(2, model.output_shape[-1])


def predict(
    model: keras.Model, pixels: np.ndarray, rows: np.ndarray | None = None, batch_size: int = 64
) -> np.ndarray:
    """Predict the probability of ALL, or of each of more than two classes.

    Parameters
    ----------
    model : keras.Model
        A model with one probability a cell as its output, or one a class.
    pixels : array of shape (n, size, size, 3)
        RGB values 0 to 255, uint8 or float; may be a memory map, read batch by batch.
    rows : int array of shape (m,), optional
        The rows to predict; all by default.
    batch_size : int, default 64
        Images at a time.

    Returns
    -------
    float array of shape (m,) or (m, n_classes)
        P(ALL) of each row; of more than two classes the probability of each.

    Raises
    ------
    InputError
        If the pixels are not cells of 0 to 255.
    """
    rows = np.arange(len(pixels)) if rows is None else np.asarray(rows)
    n_classes = _n_classes(model)
    if len(rows) == 0:
        return np.zeros(0 if n_classes == 2 else (0, n_classes))
    check_pixels(pixels, rows)
    answers = model.predict(ordered_batches(pixels, rows, batch_size), verbose=0)
    return (answers.ravel() if n_classes == 2 else answers).astype(float)


def predict_features(features: keras.Model, pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Let a network without its last layer describe some rows, as they are.

    Parameters
    ----------
    features : keras.Model
        From :func:`leukhelpers.models.transfer.feature_model`.
    pixels : uint8 array of shape (n, size, size, 3)
        May be a memory map, read batch by batch.
    rows : int array of shape (m,)

    Returns
    -------
    float32 array of shape (m, n_features)
    """
    check_pixels(pixels, rows)
    return features.predict(ordered_batches(pixels, np.asarray(rows), 64), verbose=0)
