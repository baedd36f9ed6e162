"""What is unlike the cells that a run has learnt from is told apart, and unseen people are not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from leukhelpers.errors import InputError
from leukhelpers.models import ood, prepare


def test_most_cells_of_unknown_subjects_are_familiar_and_their_gray_copies_are_not(tiny_prepared):
    split = tiny_prepared.split
    rows = np.concatenate([split.train, split.validation])
    learnt = ood.fit_ood(tiny_prepared.pixels[rows], split.groups[rows])
    learnt = json.loads(json.dumps(learnt))
    cells = tiny_prepared.pixels[split.test]
    assert (ood.distance(learnt, cells) <= learnt["limit"]).mean() > 0.95
    gray = np.repeat(cells.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    assert (ood.distance(learnt, gray) > learnt["limit"]).all()


def test_limit_lets_whoever_differs_most_pass_as_if_unknown(tiny_prepared):
    rows = np.concatenate([tiny_prepared.split.train, tiny_prepared.split.validation])
    pixels, groups = tiny_prepared.pixels[rows].copy(), tiny_prepared.split.groups[rows]
    before = ood.fit_ood(pixels, groups)["limit"]
    one = groups == groups[0]
    pixels[one] = (pixels[one] * 0.8).astype(np.uint8)  # this subject's slides are darker
    learnt = ood.fit_ood(pixels, groups)
    assert learnt["limit"] > before
    others = ood.fit_ood(pixels[~one], groups[~one])
    # What others teach, and no cell of that subject, decided how far it lies.
    assert learnt["limit"] >= np.quantile(ood.distance(others, pixels[one]), 0.98)
    with pytest.raises(InputError, match="two subjects"):
        ood.fit_ood(pixels[one], groups[one])


def test_distance_is_the_one_of_mahalanobis_over_the_root_of_the_number_of_numbers():
    rng = np.random.default_rng(0)
    mixed = rng.normal(size=(40, 3)) @ np.array([[1.0, 0.5, 0], [0, 2, 0.3], [0, 0, 1]])
    learnt = {
        "mean": mixed.mean(axis=0),
        "spread": np.ones(3),
        "precision": np.linalg.inv(np.cov(mixed.T, bias=True)),
    }
    found = ood.mahalanobis(learnt, mixed)
    assert (found**2).mean() == pytest.approx(1)  # the mean of its square is the dimension


@pytest.mark.parametrize("n", [1, 7, 1000, 1001, 5000])
def test_a_subsample_is_spread_over_all_rows_in_their_order(n):
    rows = np.arange(n) * 3 + 5
    picked = prepare.subsample(rows, 1000)
    assert len(picked) == len(set(picked)) == min(n, 1000)
    assert (picked[0], picked[-1]) == (rows[0], rows[-1])
    assert np.diff(picked).max(initial=0) <= 3 * (n // 1000 + 1)


def test_one_person_whose_cells_reach_the_edge_does_not_let_everything_pass():
    """As the SVM sees cells: hardly any reaches the edge of the picture."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :48] - 24
    pictures = [
        rng.integers(80, 200, (48, 48, 3)) * (np.hypot(x, y) < rng.uniform(12, 16))[..., None]
        for _ in range(60)
    ]
    groups = np.repeat(np.arange(12), 5)
    pictures[7][20:28, :24] = 120  # one cell of one person
    learnt = ood.fit_ood(np.array(pictures, np.uint8), groups)
    noise = rng.integers(0, 256, (4, 48, 48, 3)).astype(np.uint8)
    white = np.full((1, 48, 48, 3), 255, np.uint8)
    strange = np.concatenate([noise, white])
    known = {name: np.array(values) for name, values in learnt.items()}
    assert (ood.distance(known, strange) > learnt["limit"]).all()
