"""The learning rate of each step, when to stop, and the state of a training that goes on later."""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

import numpy as np

from leukhelpers import files
from leukhelpers.backend import keras
from leukhelpers.models.epochs import Settings

# Share of the steps in which the learning rate rises from next to nothing; then it falls along a
# cosine. The first steps, of which Adam does not know yet how long they should be, do less harm so.
WARM_UP = 0.1


class Watch(keras.callbacks.Callback):
    """Watch the validation loss: shorter steps, early stopping, and the best weights back.

    The learning rate rises, and then falls along a cosine, and to half of that each time the
    loss has stalled; only the second half of the epochs counts, in which the steps are short.
    Keras' ``ReduceLROnPlateau`` and ``EarlyStopping`` do the like, but forget when a training
    is interrupted; this memory can be kept in a backup.
    """

    def __init__(
        self, settings: Settings, seed: int, done: list[dict[str, float]], backup: Path | None
    ) -> None:
        super().__init__()
        self.seed = seed
        self.settings, self.factor = settings, 1.0
        self.patience, self.slowing = settings.patience, max(1, (settings.patience + 1) // 2)
        self.backup = backup
        self.lines: list[dict[str, float]] = []
        self.best_loss = np.inf
        self.best_weights: list[np.ndarray] = []
        self.waited = self.waited_to_slow = 0
        for line in done:
            self._take(line)

    @property
    def over(self) -> bool:
        """Whether the loss has not fallen for too long."""
        return self.waited >= self.patience

    def _take(self, line: dict[str, float]) -> bool:
        """Take note of an epoch; tell whether its validation loss is the lowest so far."""
        self.lines.append(line)
        if not self.settings.early_stopping:
            return False
        # While the steps are still long, a low loss on a few people is luck: such weights are
        # kept only until the second half, whose first epoch beats them whatever its loss.
        early = line["epoch"] <= self.settings.epochs / 2
        better = early or line["val_loss"] < self.best_loss
        self.best_loss = np.inf if early else min(self.best_loss, line["val_loss"])
        self.waited = 0 if better else self.waited + 1
        self.waited_to_slow = 0 if better else self.waited_to_slow + 1
        if self.waited_to_slow == self.slowing:
            self.waited_to_slow, self.factor = 0, self.factor / 2
        return better

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Give dropout the start that belongs to this epoch."""
        self.began = time.perf_counter()
        self.epoch = epoch
        # Dropout counts its draws, and no backup keeps the count: each epoch has its own start.
        for layer in self.model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                generator.state.assign(np.array([self.seed, 100_000 * epoch], dtype="uint32"))

    def on_train_batch_begin(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Set the learning rate of the step."""
        done = (self.epoch + batch / self.params["steps"]) / self.settings.epochs
        rate = self.settings.learning_rate * self.factor * share_of_rate(done)
        self.model.optimizer.learning_rate = rate

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write down the epoch, and keep its weights if it is the best so far."""
        logged = {name: float(value) for name, value in (logs or {}).items()}
        if "probability_loss" in logged:  # of two tasks, the first is what is watched
            logged |= {
                name.replace("probability_", ""): value
                for name, value in logged.items()
                if "probability_" in name
            }
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        logged |= {"epoch": epoch + 1, "learning_rate": rate}
        logged["seconds"] = time.perf_counter() - self.began
        if self._take(logged):
            self.best_weights = self.model.get_weights()
            if self.backup is not None:
                with files.whole_file(self.backup / "best.npz") as part, part.open("wb") as file:
                    np.savez(file, *self.best_weights)
        self.model.stop_training = self.over
        if self.backup is not None:
            files.write_json(self.backup / "history.json", self.lines)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Put back the weights of the best epoch."""
        if not self.settings.early_stopping:
            return
        if not self.best_weights and self.backup is not None and self.lines:
            with np.load(self.backup / "best.npz") as kept:
                self.best_weights = [kept[name] for name in kept.files]
        if self.best_weights:
            self.model.set_weights(self.best_weights)


def share_of_rate(done: float) -> float:
    """Tell which share of the longest step is taken after a share of the training."""
    if done < WARM_UP:
        return 0.05 + 0.95 * done / WARM_UP
    return 0.505 + 0.495 * math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP))


def scaled(measures: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Put each measure on the scale of the training rows; far outliers are held at four sd."""
    mean, spread = measures[train].mean(axis=0), measures[train].std(axis=0)
    return np.clip((measures - mean) / np.where(spread > 0, spread, 1), -4, 4)


def epochs_done(backup: Path | None) -> list[dict[str, float]]:
    """Read the history of an interrupted training, as far as its weights were kept."""
    if backup is None:
        return []
    finish_saving(backup / "state")
    try:
        epochs = files.read_json(backup / "state" / "training_metadata.json")["epoch"]
        done = files.read_json(backup / "history.json")[:epochs]
    except (OSError, ValueError, KeyError):  # broken off before the first epoch was kept
        shutil.rmtree(backup / "state", ignore_errors=True)
        return []
    return done


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
