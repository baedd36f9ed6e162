"""A training that was interrupted goes on after its last whole epoch."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from leukhelpers import files
from leukhelpers.backend import keras
from leukhelpers.models.networks import leaf_layers


class Progress(keras.callbacks.Callback):
    """Collect the history; make an epoch depend on its number, not on what came before.

    Parameters
    ----------
    seed : int
    lines : list of dict
        Epochs that are done; later ones are added.
    backup : path or None
        Folder for ``history.json``.
    """

    def __init__(self, seed: int, lines: list[dict[str, float]], backup: Path | None) -> None:
        super().__init__()
        self.seed, self.lines, self.backup = seed, lines, backup

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Give dropout the start of this epoch: no backup keeps the count of its draws."""
        for layer in leaf_layers(self.model):
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign(np.array([self.seed, 100_000 * epoch], dtype="uint32"))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write down the epoch."""
        measured = {name: float(value) for name, value in (logs or {}).items()}
        self.lines.append({"epoch": epoch + 1, **measured})
        if self.backup is not None:
            files.write_json(self.backup / "history.json", self.lines)


def epochs_done(backup: Path | None) -> list[dict[str, float]]:
    """Read the history of an interrupted training, as far as its weights were kept."""
    if backup is None:
        return []
    finish_saving(backup / "state")
    try:
        epochs = files.read_json(backup / "state" / "training_metadata.json")["epoch"]
        return files.read_json(backup / "history.json")[:epochs]
    except (OSError, ValueError, KeyError):  # broken off before the first epoch was kept
        shutil.rmtree(backup / "state", ignore_errors=True)
        return []


def finish_saving(state: Path) -> None:
    """Go back to the copies of the epoch before, if a training was broken off while saving.

    Keras copies weights and epoch, writes the new weights, then the new epoch. So if the epoch
    cannot be read, or is still that of the copy, the weights may be of another epoch.
    """
    names = ("latest.weights.h5", "training_metadata.json")
    copies = [state / f"{name}.bkp" for name in names]
    if not all(copy.is_file() for copy in copies):
        return
    saved = state / names[1]
    content = saved.read_bytes() if saved.is_file() else b""
    if not content.endswith(b"}") or content == copies[1].read_bytes():
        for name, copy in zip(names, copies, strict=True):
            shutil.copyfile(copy, state / name)
