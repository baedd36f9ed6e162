"""Checks of the exercises of lesson 07 that ask for code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

NO_FUNCTION = "Write a function and hand it over by its name, without brackets."
NOTHING = "The function returns nothing yet; end it with return."


class _Explainer:
    """Return random numbers in the place of SHAP values, and keep how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int | None, int | None]] = []

    def shap_values(
        self, images: np.ndarray, nsamples: int | None = None, rseed: int | None = None
    ) -> np.ndarray:
        self.calls.append((len(images), nsamples, rseed))
        return np.random.default_rng(rseed or 0).normal(size=(*np.shape(images), 1))


def _mean_shap(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    images, seeds, explainer = np.zeros((2, 4, 4, 3), np.float32), [3, 5, 8], _Explainer()
    found = answer(explainer, images, seeds)
    if found is None:
        return NOTHING
    used = [rseed for *_, rseed in explainer.calls]
    if not used:
        return "Call explainer.shap_values once per seed."
    if any(count != len(images) for count, *_ in explainer.calls):
        return "Pass all images in one call, so that each gets separate draws."
    if None in used:
        return "Pass rseed=, so that the calls can be repeated."
    if len(used) > 1 and len(set(used)) == 1:
        return "All calls have the same rseed, so they are identical; take one seed after another."
    if used != seeds:
        return "Make one call per seed, with rseed set to that seed."
    if any(nsamples != 50 for _, nsamples, _ in explainer.calls):
        return "Set nsamples=50 in each call."
    each = [_Explainer().shap_values(images, rseed=seed) for seed in seeds]
    if np.size(found) == 1:
        return "That is one number; average over the calls only: np.mean(calls, axis=0)."
    if np.shape(found) != each[0].shape:
        return f"The result has the shape {np.shape(found)}; one call has {each[0].shape}."
    if np.allclose(found, np.sum(each, axis=0)):
        return "That is the sum of the calls; divide it by their number."
    return None if np.allclose(found, np.mean(each, axis=0)) else "Return the mean of the calls."


def _hem_map(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    rng = np.random.default_rng(7)
    features, gradients = rng.exponential(size=(3, 5, 4)), rng.normal(size=(3, 5, 4))
    gradients -= gradients.mean(axis=(0, 1)) - [1.0, -0.8, 0.5, -0.9]  # both signs on the map
    found = answer(features.copy(), gradients.copy())
    if found is None:
        return NOTHING
    if np.shape(found) != (3, 5):
        return f"The map has the shape {np.shape(found)} instead of (height, width), here (3, 5)."
    evidence = -(gradients.mean(axis=(0, 1)) * features).sum(axis=-1)
    right = np.maximum(evidence, 0)
    for_all = np.maximum(-evidence, 0)
    placewise = np.maximum(-(gradients * features).sum(axis=-1), 0)
    mistakes = {
        "That is the map for ALL; the score for HEM is the negative logit.": for_all,
        "Change the sign of the gradients, before the ReLU: afterwards it is too late.": -for_all,
        "Keep positive values only: np.maximum(..., 0).": evidence,
        "That mixes both directions; set to zero what speaks for ALL.": np.abs(evidence),
        "Average the gradients over the places; do not add them up.": 15 * right,
        "Average the gradients over height and width first: one weight per feature.": placewise,
    }
    if np.allclose(found, right):
        return None
    for hint, wrong in mistakes.items():
        if np.allclose(found, wrong):
            return hint
    return "Weight: minus the mean gradient. Map: positive part of the weighted sum of features."


def _hit(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    values = np.zeros((4, 6))
    values[1, 4], values[2, 3], values[0, 0] = -5.0, 3.0, 1.0
    names = ("strongest", "largest", "many")
    parts = {name: np.zeros((4, 6), bool) for name in names}
    parts["strongest"][1, 4] = True
    parts["largest"][2, 3] = True
    parts["many"][2:, :] = True
    found = [answer(values.copy(), parts[name].copy()) for name in names]
    if any(one is None for one in found):
        return NOTHING
    if any(np.size(one) != 1 for one in found):
        return "Return one value, True or False."
    found = [bool(one) for one in found]
    if found in ([False, True, True], [False, True, False]):
        return "A strong pixel towards HEM is negative: take np.abs of the map first."
    if found == [True, True, True]:
        return "True came out for a part without the strongest pixel; look at this one pixel only."
    if found != [True, False, False]:
        return "np.argmax counts through all pixels; look up the same number in part.ravel()."
    positive = answer(np.abs(values) * (values > 0), parts["largest"])
    return None if bool(positive) else "A strong pixel towards ALL counts, too: take np.abs."


def _largest_object(answer: Any) -> str | None:
    if not callable(answer):
        return NO_FUNCTION
    mask = np.zeros((20, 20), bool)
    mask[1:4, 1:4] = True
    right = np.zeros_like(mask)
    right[8:16, 7:14] = True
    found = answer(mask | right)
    if found is None:
        return NOTHING
    found = np.asarray(found)
    if found.shape != mask.shape:
        return f"The result has the shape {found.shape}; it should be a mask like the one given."
    if found.dtype != bool:
        return "Return a bool mask: compare the numbered image with one number, using ==."
    if np.array_equal(found, ~(mask | right)):
        return "That is the background: its number 0 must not count as an object."
    if np.array_equal(found, mask | right):
        return "That is everything; keep only the object with the most pixels."
    if np.array_equal(found, mask):
        return "That is the first, smaller object; count the pixels of each number."
    if not np.array_equal(found, right):
        return "Number the objects with label, count their pixels, and keep the largest."
    turned = answer((mask | right)[::-1, ::-1])
    if np.array_equal(turned, right[::-1, ::-1]):
        return None
    return "It worked for the last object only; count the pixels of each number with np.bincount."


CHECKS: dict[str, Callable[..., str | None]] = {
    "07.1": _mean_shap,
    "07.2": _hem_map,
    "07.3": _hit,
    "07.4": _largest_object,
}
