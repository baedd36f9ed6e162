"""Answers to the exercises of lesson 07: what the check knows, a right answer, wrong ones."""

from __future__ import annotations

import numpy as np
from skimage.measure import label


def calls(explainer, images, seeds, nsamples=50):
    return [explainer.shap_values(images, nsamples=nsamples, rseed=seed) for seed in seeds]


def mean_shap(explainer, images, seeds):
    return np.mean(calls(explainer, images, seeds), axis=0)


def one_by_one(explainer, images, seeds):
    each = [mean_shap(explainer, image[None], seeds) for image in images]
    return np.concatenate(each)


def unseeded(explainer, images, seeds):
    return np.mean([explainer.shap_values(images, nsamples=50) for _ in seeds], axis=0)


def evidence(features, gradients):
    return (gradients.mean(axis=(0, 1)) * features).sum(axis=-1)


def hem_map(features, gradients):
    return np.maximum(-evidence(features, gradients), 0)


def hit(values, part):
    return part.ravel()[np.argmax(np.abs(values))]


def largest(mask, background=False, position=-1):
    numbered = label(mask)
    counts = np.bincount(numbered.ravel())
    if not background:
        counts[0] = 0
    return numbered == np.argsort(counts)[position]


# Exercise: (what the check is given, a right answer, wrong answers with a word of the hint).
CASES = {
    "07.1": (
        {},
        mean_shap,
        [
            (0.5, "function"),
            (lambda explainer, images, seeds: None, "nothing yet"),
            (lambda explainer, images, seeds: images, "once per seed"),
            (one_by_one, "all images"),
            (unseeded, "rseed="),
            (lambda e, images, seeds: mean_shap(e, images, [3, 3, 3]), "same rseed"),
            (lambda e, images, seeds: mean_shap(e, images, seeds[:2]), "one call per seed"),
            (lambda e, images, seeds: np.mean(calls(e, images, seeds, 20), axis=0), "nsamples"),
            (lambda e, images, seeds: np.mean(calls(e, images, seeds)), "one number"),
            (lambda e, images, seeds: mean_shap(e, images, seeds).sum(axis=-1), "shape"),
            (lambda e, images, seeds: 3 * mean_shap(e, images, seeds), "sum of the calls"),
            (lambda e, images, seeds: calls(e, images, seeds)[-1], "mean of the calls"),
        ],
    ),
    "07.2": (
        {},
        hem_map,
        [
            (np.zeros((3, 5)), "function"),
            (lambda features, gradients: None, "nothing yet"),
            (lambda features, gradients: gradients.mean(axis=(0, 1)), "shape"),
            (lambda features, gradients: hem_map(features, -gradients), "for ALL"),
            (lambda features, gradients: -hem_map(features, -gradients), "too late"),
            (lambda features, gradients: -evidence(features, gradients), "positive values"),
            (lambda features, gradients: abs(evidence(features, gradients)), "both directions"),
            (lambda features, gradients: 15 * hem_map(features, gradients), "add them up"),
            (
                lambda features, gradients: np.maximum(-(features * gradients).sum(axis=-1), 0),
                "one weight",
            ),
            (lambda features, gradients: features.sum(axis=-1), "weighted sum"),
        ],
    ),
    "07.3": (
        {},
        hit,
        [
            (True, "function"),
            (lambda values, part: None, "nothing yet"),
            (lambda values, part: part, "one value"),
            (lambda values, part: part.ravel()[values.argmax()], "np.abs"),
            (lambda values, part: part.any(), "this one pixel"),
            (lambda values, part: False, "part.ravel()"),
            (lambda values, part: part.ravel()[values.argmin()], "towards ALL counts"),
        ],
    ),
    "07.4": (
        {},
        largest,
        [
            (np.ones((20, 20), bool), "function"),
            (lambda mask: None, "nothing yet"),
            (lambda mask: mask.sum(), "shape"),
            (lambda mask: label(mask), "bool mask"),
            (lambda mask: largest(mask, background=True), "background"),
            (lambda mask: mask, "everything"),
            (lambda mask: label(mask) == 1, "smaller object"),
            (lambda mask: label(mask) == 2, "last object"),
            (lambda mask: np.zeros_like(mask), "count their pixels"),
        ],
    ),
}
