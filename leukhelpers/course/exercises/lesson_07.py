"""Checks of the exercises of lesson 07 that ask for code."""

from typing import Any

import numpy as np

from leukhelpers.course.exercises import call, compare, hint


class _Explainer:
    """Return random numbers in the place of SHAP values, and keep how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int | None, int | None]] = []

    def shap_values(
        self, images: np.ndarray, nsamples: int | None = None, rseed: int | None = None
    ) -> np.ndarray:
        self.calls.append((len(images), nsamples, rseed))
        return np.random.default_rng(rseed or 0).normal(size=(*np.shape(images), 1))


def mean_shap(answer: Any) -> None:
    """Check the mean of SHAP values over several seeds."""
    images, seeds, explainer = np.zeros((2, 4, 4, 3), np.float32), [3, 5, 8], _Explainer()
    found = call(answer, explainer, images, seeds)
    used = [rseed for *_, rseed in explainer.calls]
    hint("no_call", not used)
    hint("single_images", any(count != len(images) for count, *_ in explainer.calls))
    hint("no_seed", None in used)
    hint("same_seed", len(used) > 1 and len(set(used)) == 1)
    hint("other_seeds", used != seeds)
    hint("samples", any(nsamples != 50 for _, nsamples, _ in explainer.calls))
    each = [_Explainer().shap_values(images, rseed=seed) for seed in seeds]
    hint("one_value", np.size(found) == 1)
    hint("shape", np.shape(found) != each[0].shape, found=np.shape(found), right=each[0].shape)
    compare(found, np.mean(each, axis=0), sum=np.sum(each, axis=0))


def hem_map(answer: Any) -> None:
    """Check a Grad-CAM map of the evidence for HEM."""
    rng = np.random.default_rng(7)
    features, gradients = rng.exponential(size=(3, 5, 4)), rng.normal(size=(3, 5, 4))
    gradients -= gradients.mean(axis=(0, 1)) - [1.0, -0.8, 0.5, -0.9]  # both signs on the map
    found = call(answer, features, gradients)
    hint("shape", np.shape(found) != (3, 5), shape=np.shape(found))
    evidence = -(gradients.mean(axis=(0, 1)) * features).sum(axis=-1)
    right = np.maximum(evidence, 0)
    compare(
        found,
        right,
        for_all=np.maximum(-evidence, 0),
        late_sign=np.minimum(evidence, 0),
        no_relu=evidence,
        both_directions=np.abs(evidence),
        added_up=15 * right,
        per_place=np.maximum(-(gradients * features).sum(axis=-1), 0),
    )


def hit(answer: Any) -> None:
    """Check whether the strongest pixel of a map is in a part of the image."""
    values = np.zeros((4, 6))
    values[1, 4], values[2, 3], values[0, 0] = -5.0, 3.0, 1.0
    strongest, largest, many = np.zeros((3, 4, 6), bool)
    strongest[1, 4] = largest[2, 3] = many[2:] = True
    found = [call(answer, values, part) for part in (strongest, largest, many)]
    hint("several_values", any(np.size(one) != 1 for one in found))
    found = [bool(one) for one in found]
    hint("negative", found[:2] == [False, True])
    hint("other_pixels", all(found))
    hint("otherwise", found != [True, False, False])
    hint("positive", not answer(np.maximum(values, 0), largest))


def largest_object(answer: Any) -> None:
    """Check the mask of the largest object, wherever it is."""
    small, large = np.zeros((2, 20, 20), bool)
    small[1:4, 1:4] = large[8:16, 7:14] = True
    both = small | large
    found = np.asarray(call(answer, both))
    hint("shape", found.shape != both.shape, shape=found.shape)
    hint("no_mask", found.dtype != bool)
    compare(found, large, background=~both, everything=both, small=small)
    hint("last", not np.array_equal(answer(both[::-1, ::-1]), large[::-1, ::-1]))
