"""How long a network is trained, and which of its epochs is kept; needs no TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Settings:
    """How long and how to train.

    Attributes
    ----------
    epochs : int
        Passes over the training cells at most; early stopping may end sooner.
    batch_size : int
        Images a step.
    learning_rate : float
        The longest step of Adam; see :data:`leukhelpers.models.schedule.WARM_UP`.
    patience : int
        Epochs in the second half without a better validation loss before the training stops.
    augment : bool
        Whether training images are turned, mirrored, zoomed and recolored.
    measures_weight : float
        How much the second task counts beside the first, see
        :func:`leukhelpers.models.training.fit`.
    blended : float
        Share of the training images that are blended with another one, labels too.
    early_stopping : bool
        False learns from the validation rows, too, for all epochs, and keeps the last
        weights: for a network whose number of epochs was found before.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    patience: int = 5
    augment: bool = True
    measures_weight: float = 0.5
    blended: float = 0.0
    early_stopping: bool = True


def kept_epoch(history: pd.DataFrame, settings: Settings) -> int:
    """Tell whose weights early stopping kept: the best epoch of the second half.

    Parameters
    ----------
    history : pandas.DataFrame
        From :func:`leukhelpers.models.training.fit`.
    settings : Settings
        Those of that training.
    """
    late = history[history["epoch"] > settings.epochs / 2]
    return int(late.loc[late["val_loss"].idxmin(), "epoch"])


def watched_epochs(history: pd.DataFrame) -> pd.DataFrame:
    """Pick the epochs of the network that validation people watched; later ones had none."""
    return history[history["val_loss"].notna()]
