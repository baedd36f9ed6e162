"""Train the network of the course."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leukhelpers.models import prepare


def train(
    prepared: prepare.Prepared, backup: Path | None = None
) -> tuple[Any, pd.DataFrame, np.ndarray]:
    """Train the network of the course, from a fixed seed.

    Validation patients are few, and to keep them apart is to lose them for training. So the
    network is trained twice, for the same number of epochs: on the training rows, which gives
    learning curves and honest probabilities of the validation rows; then on both, which gives
    the model that is kept. Its predictions average four quarter turns.

    Parameters
    ----------
    prepared : Prepared
        Cells, profile, seed and split.
    backup : path, optional
        Folder for the state after each epoch, see :func:`leukhelpers.models.training.fit`.

    Returns
    -------
    model : keras.Model
    history : pandas.DataFrame
        One row per epoch of each ``network``: 0 was trained on the training rows, 1 on the
        training and validation rows.
    validation_proba : numpy.ndarray
        Probabilities of the validation rows, by network 0, which was not trained on them.
    """
    from leukhelpers.models import networks, training

    split = prepared.split
    pixels, labels = prepare.pictures("cnn", prepared), prepared.table["label"].to_numpy()
    both = np.sort(np.concatenate([split.train, split.validation]))
    models, histories = [], []
    for number, rows in enumerate([(split.train, split.validation), (both, both[:0])]):
        seed, kept = prepared.seed + number, backup and backup / f"network{number}"
        training.make_deterministic(seed)
        with training.devices().scope():
            network = networks.build_cnn(pixels.shape[1], seed, len(prepared.dataset.classes))
            history = training.fit(network, pixels, labels, *rows, prepared.profile, seed, (), kept)
            models.append(networks.average_rotations(network))
        histories.append(history.assign(network=number))
    validation_proba = training.predict(models[0], pixels, split.validation)
    return models[1], pd.concat(histories, ignore_index=True), validation_proba
