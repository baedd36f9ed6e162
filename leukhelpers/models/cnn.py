"""Train the course's network, as often as its profile asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from leukhelpers.models import prepare, profiles
from leukhelpers.models.epochs import Settings
from leukhelpers.splits import groups

if TYPE_CHECKING:
    import keras

BRANCHES = 4  # answers that are averaged in the network of the course: fewer than a million numbers


class Trained(NamedTuple):
    """A network, its history, and what is needed to choose a threshold for it honestly.

    Attributes
    ----------
    model : keras.Model
    history : pandas.DataFrame
        A row an epoch.
    validation_proba : numpy.ndarray
        Probabilities of the validation rows, by a network that has not learnt from them.
    """

    model: keras.Model
    history: pd.DataFrame
    validation_proba: np.ndarray


def train(
    prepared: prepare.Prepared,
    split: groups.Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> Trained:
    """Train the course's CNN on the training rows of a split, from a fixed seed.

    Early stopping needs people who are not learnt from, and there are few. So a first
    network shows how long one may train, and another is then trained for so long on the
    training *and* the validation rows, or several of them (``refits``). Four answers are
    joined into one network: those of one to the cell's four quarter turns, or of two to two
    turns each (:func:`leukhelpers.models.networks.turn`). They take as many epochs as the first
    network *went through*, not as many as its best one: the steps shorten towards
    the end, and which epoch a few people like best is mostly luck (``docs/cnn-log.md``).

    Parameters
    ----------
    prepared : Prepared
        Cells, profile and seed.
    split : Split, optional
        That of `prepared` by default.
    callbacks : sequence of keras.callbacks.Callback
        Such as a line a training.
    backup : path, optional
        Folder for the state after each epoch, see :func:`leukhelpers.models.training.fit`.

    Returns
    -------
    Trained
        What was trained on everybody, joined with its turns; the first one itself if the
        profile asks for none. The history has a row an epoch of each ``network``, see
        :func:`leukhelpers.models.training.fit`; the first has the number 0, and it is the one
        that has answered the validation rows.
    """
    from leukhelpers.models import prepare, training

    first, history = train_first(prepared, split, callbacks, backup)
    rows = (split or prepared.split).validation
    validation_proba = training.predict(first, prepare.pictures("cnn", prepared), rows)
    if not prepared.profile.refits:
        return Trained(first, history, validation_proba)
    model, later = train_again(prepared, len(history), split, callbacks, backup)
    return Trained(model, pd.concat([history, later], ignore_index=True), validation_proba)


def train_first(
    prepared: prepare.Prepared,
    split: groups.Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train one network that is stopped early by the validation rows; see :func:`train`."""
    settings = training_settings(prepared.profile)
    return _train_one(prepared, split, settings, 0, callbacks, backup)


def train_again(
    prepared: prepare.Prepared,
    epochs: int,
    split: groups.Split | None = None,
    callbacks: Sequence[Any] = (),
    backup: Path | None = None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train on training and validation rows for some epochs, and join; see :func:`train`."""
    from leukhelpers.models.networks import join, turn

    settings = replace(training_settings(prepared.profile), epochs=epochs, early_stopping=False)
    networks, histories = zip(
        *(
            _train_one(prepared, split, settings, number, callbacks, backup)
            for number in range(1, max(1, prepared.profile.refits) + 1)
        ),
        strict=True,
    )
    # A cell has no up: each network answers for the cell as it comes, and for its turns. There is
    # room for four answers: those of one network to four turns, or of two to two each.
    turns = range(max(1, BRANCHES // len(networks)))
    seen = [turn(network, quarters) for network in networks for quarters in turns]
    return join(seen), pd.concat(histories, ignore_index=True)


def _train_one(
    prepared: prepare.Prepared,
    split: groups.Split | None,
    settings: Any,
    number: int,
    callbacks: Sequence[Any],
    backup: Path | None,
) -> tuple[keras.Model, pd.DataFrame]:
    """Train the network of a number, which is added to the seed."""
    from leukhelpers.models import prepare, training
    from leukhelpers.models.networks import build_cnn

    profile, seed = prepared.profile, prepared.seed + number
    training.make_deterministic(seed)
    with training.devices().scope():
        network = build_cnn(profile.box_size, seed, len(prepared.dataset.classes))
    history = training.fit(
        network,
        prepare.pictures("cnn", prepared),
        prepared.table["label"].to_numpy(),
        split or prepared.split,
        settings,
        seed,
        callbacks,
        None if backup is None else backup / f"network{number}",
        prepare.auxiliary_targets(prepared) if profile.measures_weight else None,
    )
    return network, history.assign(network=number)


def training_settings(profile: profiles.Profile) -> Settings:
    """Pick from a profile what :func:`leukhelpers.models.training.fit` needs."""
    return Settings(
        epochs=profile.epochs,
        batch_size=profile.batch_size,
        learning_rate=profile.learning_rate,
        patience=profile.patience,
        augment=True,
        measures_weight=profile.measures_weight,
        blended=profile.blended,
    )
