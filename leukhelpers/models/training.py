"""Train a model on a split's training rows, and predict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from leukhelpers.backend import keras, tf
from leukhelpers.images.augmentation import ordered_batches, steps_per_epoch, training_batches
from leukhelpers.images.preprocessing import check_pixels
from leukhelpers.models import schedule
from leukhelpers.models.classical import weights_of
from leukhelpers.models.epochs import Settings

if TYPE_CHECKING:
    from leukhelpers.splits.groups import Split


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
    model: keras.Model,
    pixels: np.ndarray,
    labels: np.ndarray,
    split: Split,
    settings: Settings,
    seed: int,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    backup: Path | None = None,
    measures: np.ndarray | None = None,
) -> pd.DataFrame:
    """Train a network on the training rows, watching the validation rows.

    The test rows are neither read nor asked. The model is trained in place and ends
    with the weights of its best epoch on the validation rows, of those in the second half
    of `settings.epochs`.

    With `measures` it has a second task while it learns: to tell from the pixels what
    was measured of a cell. A feature that does both is worth more than one that happens to
    tell a few people apart (Caruana, "Multitask Learning", Machine Learning 1997). The
    layer for the second task is thrown away in the end.

    Parameters
    ----------
    model : keras.Model
        Untrained, or to be trained further; of two classes or more.
    pixels : uint8 array of shape (n, size, size, 3)
        Cells, row for row with `labels`; may be a memory map, read batch by batch.
    labels : int array of shape (n,)
        0 for HEM, 1 for ALL; with more classes 0 to their number - 1.
    split : leukhelpers.splits.groups.Split
        Its ``train`` and ``validation`` rows are used.
    settings : Settings
        Epochs, batch size, learning rate, patience, augmentation.
    seed : int
        Seed of the shuffling and of the augmentation.
    callbacks : sequence of keras.callbacks.Callback, optional
        Further callbacks, such as a progress bar.
    backup : path, optional
        Folder in which the state is left after each epoch: weights, optimizer, the best
        weights so far, and the history. If it holds an interrupted training, that goes on
        after its last whole epoch, and ends as it would have ended uninterrupted.
    measures : float array of shape (n, n_measures), optional
        Row for row with `labels`; put on one scale here, by the training rows.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch`` (from 1), ``loss``, ``accuracy``, ``auroc``, the same
        of the validation rows with ``val_`` (missing without early stopping),
        ``learning_rate`` (of the last step), ``seconds``. Both losses
        weigh the classes alike; accuracies count cells as they come. More than two
        classes have no ``auroc``. Of training they are measured on augmented, and maybe
        blended, images: each counts as the class to which its label leans.

    Raises
    ------
    InputError
        If the training or the validation rows lack a class, or the pixels are not cells
        of 0 to 255.
    """
    labels = np.asarray(labels)
    train, validation = np.asarray(split.train), np.asarray(split.validation)
    n_classes = _n_classes(model)
    weights = weights_of(labels[train], "training", n_classes)
    # Weighted too, or a validation loss that rewards the majority answer picks the epoch.
    validation_weights = weights_of(labels[validation], "validation", n_classes)
    for rows in (train, validation):
        check_pixels(pixels, rows)
    if not settings.early_stopping:
        train = np.sort(np.concatenate([train, validation]))
        weights = weights_of(labels[train], "training", n_classes)
    done = schedule.epochs_done(backup)
    wanted = labels if n_classes == 2 else np.eye(n_classes)[labels]
    targets: list[np.ndarray] = (
        [wanted] if measures is None else [wanted, schedule.scaled(measures, train)]
    )
    batches = training_batches(
        pixels,
        [*targets, np.vectorize(weights.get, otypes=[float])(labels)],
        train,
        settings.batch_size,
        seed,
        augment=settings.augment,
        first_epoch=len(done),
        blended=settings.blended,
    )
    validation_batches = ordered_batches(
        pixels,
        validation,
        settings.batch_size,
        *(target[validation] for target in targets),
        np.vectorize(validation_weights.get)(labels[validation]),
    )
    with model.distribute_strategy.scope():  # what counts must live where the weights live
        trained, metrics = _compiled(model, settings, seed, measures)
    # The loss is watched, not the AUROC: with a few patients in validation the AUROC
    # moves in jumps, and it is blind to probabilities that are ranked well but all too
    # high or too low, the failure that makes a threshold of 0.5 useless.
    watch = schedule.Watch(settings, seed, done, backup)
    kept = []
    if backup is not None:
        kept = [
            keras.callbacks.BackupAndRestore(
                backup / "state", double_checkpoint=True, delete_checkpoint=False
            )
        ]
    trained.fit(
        batches.map(_targets_and_weights),
        steps_per_epoch=steps_per_epoch(len(train), settings.batch_size),
        epochs=len(done) if watch.over else settings.epochs,
        initial_epoch=len(done),
        validation_data=(
            validation_batches.map(_targets_and_weights) if settings.early_stopping else None
        ),
        # The history is written before the weights: an epoch that lacks its weights is
        # done again, one that lacks its line would be lost.
        callbacks=[watch, *callbacks, *kept],
        shuffle=False,  # the batches come shuffled
        verbose=0,
    )
    history = pd.DataFrame(watch.lines)
    if not settings.early_stopping:
        history[[f"val_{name}" for name in ("loss", *(m.name for m in metrics))]] = np.nan
    watched = ["loss", *(metric.name for metric in metrics)]
    columns = ["epoch", *watched, *(f"val_{name}" for name in watched)]
    return history[[*columns, "learning_rate", "seconds"]]


def _with_second_task(model: keras.Model, n_measures: int, seed: int) -> keras.Model:
    """Give a network a second last layer beside its first; the weights are shared."""
    initializer = keras.initializers.GlorotUniform(seed=seed + 1)
    second = keras.layers.Dense(n_measures, kernel_initializer=initializer, name="measures")
    before_logit = model.get_layer("logit").input
    return keras.Model(model.input, [model.output, second(before_logit)], name="two_tasks")


def _targets_and_weights(images: tf.Tensor, *columns: tf.Tensor) -> tuple:
    """Put a batch into the form that Keras' ``fit`` takes: every target has the weights."""
    *targets, weights = columns
    if len(targets) == 1:
        return images, targets[0], weights
    return images, tuple(targets), tuple(weights for _ in targets)


def devices() -> tf.distribute.Strategy:
    """Choose where to train: on all graphics processors together, if there are several.

    Returns
    -------
    tf.distribute.Strategy
        A model built within its ``scope()`` has one copy on each device; each batch is
        shared out, and the gradients are summed. With one device or none it changes
        nothing. Logical devices count, so that two can be tried on a processor without any.
    """
    gpus = tf.config.list_logical_devices("GPU")
    found = gpus or tf.config.list_logical_devices("CPU")
    if len(found) < 2:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([device.name for device in found])


def _n_classes(model: keras.Model) -> int:
    """Count the classes of a network: one unit tells two apart."""
    return max(2, model.output_shape[-1])


def _compiled(
    model: keras.Model, settings: Settings, seed: int, measures: np.ndarray | None
) -> tuple[keras.Model, list[keras.metrics.Metric]]:
    """Make a network ready to be trained, on one task or on two; the weights are shared."""
    loss, metrics = _loss_and_metrics(_n_classes(model))
    losses: list[Any] = [loss]
    loss_weights = [1.0]
    # Not the network itself is made ready: it is kept without optimizer and metrics.
    if measures is None:
        trained = keras.Model(model.input, model.output)
    else:
        trained = _with_second_task(model, measures.shape[1], seed)
        losses.append(keras.losses.MeanAbsoluteError())
        loss_weights.append(settings.measures_weight)
    trained.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate),
        loss=losses,
        loss_weights=loss_weights,
        metrics=metrics if measures is None else [metrics, []],
        jit_compile=False,  # measured three times slower on a CPU with it
    )
    return trained, metrics


def _loss_and_metrics(
    n_classes: int,
) -> tuple[keras.losses.Loss, list[keras.metrics.Metric]]:
    """Choose what two classes, or more, are trained with."""
    if n_classes == 2:
        return keras.losses.BinaryCrossentropy(), [_Accuracy(name="accuracy"), _AUROC(name="auroc")]
    named = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    return keras.losses.CategoricalCrossentropy(), named


class _Accuracy(keras.metrics.BinaryAccuracy):
    """Accuracy of labels that may be blended: each counts as the class to which it leans."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(keras.ops.round(y_true), y_pred, sample_weight)


class _AUROC(keras.metrics.AUC):
    """AUROC of labels that may be blended: each counts as the class to which it leans."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().update_state(keras.ops.round(y_true), y_pred, sample_weight)


def print_training() -> keras.callbacks.Callback:
    """Make a callback that prints a line a training, with the loss of each epoch."""
    losses: list[float] = []
    kind: list[str] = []

    def begin(logs: dict[str, float] | None) -> None:
        losses.clear()

    def note(epoch: int, logs: dict[str, float]) -> None:
        watched = ("val_probability_loss", "val_loss", "probability_loss", "loss")
        kind[:] = ["validation loss" if "val_loss" in logs else "training loss"]
        losses.append(next(logs[name] for name in watched if name in logs))

    def tell(logs: dict[str, float] | None) -> None:
        text = " ".join(f"{loss:.2f}" for loss in losses)
        print(f"{len(losses)} epochs; {' '.join(kind)} {text}")

    return keras.callbacks.LambdaCallback(
        on_train_begin=begin, on_epoch_end=note, on_train_end=tell
    )


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
    batches = ordered_batches(pixels, rows, batch_size)
    answers = model.predict(batches, verbose=0)
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
