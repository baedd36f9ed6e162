"""Checks of the exercises of lesson 07 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _guilty(answer: Any, labs: dict[str, Any]) -> str | None:
    guilty = next(name for name, lab in labs.items() if lab.guilty)
    if answer == guilty:
        return None
    if answer in labs:
        return "Whose maps are strongest on the mark, and whose answers move without it?"
    return f"Answer with {' or '.join(repr(name) for name in labs)}."


def _without_mark(answer: Any, labs: dict[str, Any]) -> str | None:
    from leukhelpers.explain import shortcuts

    lab = next(lab for lab in labs.values() if lab.guilty)
    ill = lab.images[lab.labels == 1]
    wanted = called_all(lab.model, ill) & ~called_all(lab.model, shortcuts.mask_background(ill))
    if int(answer) == int(wanted.sum()):
        return None
    if int(answer) == len(ill):
        return "That is how many ALL cells there are; of how many did the answer change?"
    return "Compare the answers to lab.images of label 1 with those to mask_background of them."


def called_all(model: Any, images: np.ndarray) -> np.ndarray:
    """Tell of which pictures a network says ALL."""
    return model.predict(np.asarray(images, np.float32), verbose=0)[:, 0] >= 0.5


CHECKS: dict[str, Callable[..., str | None]] = {
    "07.3": _guilty,
    "07.4": _without_mark,
}
