"""Tests of the tests of explanations: worked examples, and networks whose causes are known."""

import numpy as np
import pytest

from benchmarks.explainer_scores import (
    both_classes,
    by_cause,
    completeness,
    evaluate_explainer,
    interval,
    mask_share,
    off_cell_share,
    overlap,
    pointing,
    randomize_weights,
    rank_similarity,
    resize_masks,
    score_table,
    stability,
)
from leukhelpers.errors import InputError
from leukhelpers.images.preprocessing import BOX, crop_and_resize
from leukhelpers.models.networks import build_cnn
from leukhelpers.synthetic import twin

SIZE = 32


@pytest.fixture(scope="module")
def cnn():
    return build_cnn(SIZE, seed=3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def test_randomized_copy_forgets_and_leaves_the_original(cnn, images):
    model = build_cnn(SIZE, seed=3)
    mean = model.get_layer("norm1").moving_mean
    mean.assign(np.full(mean.shape, 9.0))
    before = [weight.copy() for weight in model.get_weights()]
    fresh = randomize_weights(model, seed=5)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    for old, new in zip(model.weights, fresh.weights, strict=True):
        assert old.shape == new.shape
        if len(old.shape) > 1:
            assert abs(np.corrcoef(old.numpy().ravel(), new.numpy().ravel())[0, 1]) < 0.3
    assert not np.any(fresh.get_layer("norm1").moving_mean)
    assert not np.allclose(model(images), fresh(images))


def test_randomized_copies_differ_by_seed_and_repeat(cnn, images):
    same = [randomize_weights(cnn, 5)(images).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], randomize_weights(cnn, 6)(images))


def test_rank_similarity_of_a_worked_example():
    a = np.array([[[1.0, 2], [3, 4]]] * 4)
    b = np.array([[[10, 20], [30, 99.0]], [[4, 3], [2, 1]], [[2, 1], [4, 3]], [[5, 5], [5, 5]]])
    # Spearman = 1 - 6 * sum d^2 / (n (n^2 - 1)); the third has d = (1, 1, 1, 1): 1 - 24 / 60
    np.testing.assert_allclose(rank_similarity(a, b), [1, -1, 0.6, np.nan])


def test_rank_similarity_refuses_maps_of_another_shape():
    with pytest.raises(InputError, match="shape"):
        rank_similarity(np.zeros((1, 4, 4)), np.zeros((1, 4, 5)))


def test_mask_share_of_a_worked_example():
    maps = np.array([[[1.0, -3], [0, 4]], [[0, 0], [0, 0]]])
    masks = np.array([[[True, True], [False, False]]] * 2)
    np.testing.assert_allclose(mask_share(maps, masks), [0.5, np.nan])


def test_mask_share_sums_the_absolute_attributions_of_the_channels():
    attributions = np.zeros((1, 2, 2, 3))
    attributions[0, 0, 0] = [1, -1, 0]  # would cancel if the sign counted
    attributions[0, 1, 1] = [0, 0, 6]
    masks = np.array([[[True, False], [False, False]]])
    assert mask_share(attributions, masks).tolist() == [0.25]


def test_mask_share_refuses_masks_of_another_shape():
    with pytest.raises(InputError, match="shape"):
        mask_share(np.zeros((1, 4, 4)), np.zeros((1, 2, 2), bool))


def test_share_beside_the_cell_of_a_worked_example():
    images = np.zeros((1, 2, 2, 3), np.uint8)
    images[0, 0, 0, 1] = 1  # nearly black is cell
    attributions = np.array([[[1.0, 1], [1, -1]]])
    assert off_cell_share(attributions, images).tolist() == [0.75]


def test_rank_similarity_heeds_only_the_places_inside():
    a = np.array([[1.0, 2.0, 3.0, 9.0, 9.0]])
    b = np.array([[3.0, 2.0, 1.0, 9.0, 99.0]])
    inside = np.array([[True, True, True, False, False]])
    assert rank_similarity(a, b, inside) == pytest.approx([-1.0])
    assert rank_similarity(a, b)[0] > -0.5


def disc(radius=12, value=120):
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
    cell = np.zeros((SIZE, SIZE, 3), np.uint8)
    cell[x**2 + y**2 < radius**2] = value
    return cell


def test_share_beside_the_cell_counts_a_mark():
    images = disc()[None]
    images[0, 1:5, 1:5] = 200
    maps = np.zeros((1, SIZE, SIZE))
    maps[0, 1:5, 1:5] = 1
    assert off_cell_share(maps, images).tolist() == [1.0]


def test_completeness_of_a_worked_example():
    assert completeness(np.array([1.0, -2.5]), np.array([1.0, -3.0])) == pytest.approx(0.125)


def test_pointing_and_overlap_of_a_worked_example():
    maps, masks = np.zeros((3, 48, 48)), np.zeros((3, 48, 48), bool)
    masks[:2, 10:20, 10:20] = True
    maps[0, 12:18, 12:18] = -3  # the sign does not count
    maps[1, 30, 30] = 1
    maps[2, 5, 5] = 1
    np.testing.assert_array_equal(pointing(maps, masks), [1, 0, np.nan])
    maps[0, 10:20, 10:20] = -3
    shares = overlap(maps, masks)
    assert shares[0] == 1
    assert shares[1] < 0.01
    assert np.isnan(shares[2])


def test_stability_is_one_for_a_map_that_turns_along_and_low_for_one_that_does_not():
    rng = np.random.default_rng(0)
    cells = np.stack([disc()] * 2)
    cells[:, 8:24, 8:24] = np.kron(rng.integers(50, 250, (2, 4, 4, 3)), np.ones((1, 4, 4, 1)))
    moves = lambda _, pictures: np.asarray(pictures, float).sum(axis=-1)  # noqa: E731
    fixed_map = np.kron(rng.random((16, 16)), np.ones((2, 2)))
    stays = lambda _, pictures: np.stack([fixed_map] * len(pictures))  # noqa: E731
    good = stability(None, moves, cells, moves(None, cells))
    bad = stability(None, stays, cells, stays(None, cells))
    assert np.all(good > 0.85)
    assert np.all(good > bad + 0.1)


def test_masks_are_cropped_as_the_pictures_are():
    y, x = np.mgrid[:450, :450] - 225
    images = np.stack([90 * (x**2 + y**2 < radius**2) for radius in (30, 35, 40)])
    images = np.repeat(images[..., None], 3, axis=-1).astype(np.uint8)
    masks = images.any(axis=-1)
    small = resize_masks(masks, 16, 128)
    assert small.dtype == bool
    for image, mask, found in zip(images, masks, small, strict=True):
        cell = crop_and_resize(image, 16, 128).any(axis=-1)
        assert not (found & ~cell).any()
        covered = mask[161:289, 161:289].reshape(16, 8, 16, 8).mean(axis=(1, 3))
        clear = np.abs(covered - 0.5) > 0.01
        assert np.array_equal(found[clear], covered[clear] > 0.5)
    assert resize_masks(masks[:0], 16, 128).shape == (0, 16, 16)


def test_few_cells_are_drawn_from_all_and_from_both_classes():
    labels = np.repeat([0, 1], [40, 20])  # sorted, as the files of a data set are
    rows = both_classes(labels, 12, seed=0)
    assert np.bincount(labels[rows]).tolist() == [6, 6]
    assert rows.max() - rows.min() > 30
    np.testing.assert_array_equal(rows, both_classes(labels, 12, seed=0))
    assert not np.array_equal(rows, both_classes(labels, 12, seed=1))
    assert len(both_classes(np.array([0, 1, 1]), 12)) == 2


def test_interval_draws_groups_not_cells():
    values = np.repeat([0.0, 1.0], 500)
    told = interval(values, np.repeat(["a", "b"], 500))
    assert told == {"value": 0.5, "low": 0.0, "high": 1.0}
    alone = interval(values, np.zeros(1000))
    assert (alone["low"], alone["high"]) == (None, None)
    assert interval(np.array([np.nan]), np.zeros(1))["value"] is None


# ------------------------------------------------------ networks whose causes are known


@pytest.fixture(scope="module")
def known():
    """Twin cells that differ by class in their nucleoli only: pictures, labels, masks."""
    plan = twin.plan_twin(240, 28, seed=0)
    plan = plan[plan["drawn_as"] == plan.index].iloc[:160].copy()
    labels = np.arange(len(plan)) % 2
    for cause, values in {
        "diameter": (190.0, 190.0), "clumping": (0.3, 0.3), "irregularity": (0.03, 0.03),
        "cleft": (0.0, 0.0), "nucleoli": (0, 2), "nucleolus_size": (14.0, 14.0),
        "nucleolus_contrast": (60.0, 60.0),
    }.items():  # fmt: skip
        plan[cause] = np.where(labels == 1, values[1], values[0])
    plan[["neighbor", "torn", "cut"]] = False
    drawn = [twin.draw_cell(row, 0) for row in plan.to_dict("records")]
    pictures = np.stack([crop_and_resize(picture, 48, BOX) for picture, _ in drawn])
    whole = np.stack([masks["cell"] for _, masks in drawn])
    masks = {
        name: resize_masks(np.stack([found[name] for _, found in drawn]), 48, BOX, whole)
        for name in ("cell", "nucleoli", "chromatin", "outline")
    }
    return pictures, labels, masks


def unseen_all(known):
    labels = known[1]
    return np.flatnonzero(labels == 1)[-16:]


@pytest.mark.slow
def test_judge_tells_every_test_of_a_method(known):
    pictures, labels, masks = known
    rows = np.flatnonzero(labels >= 0)[-4:]
    of_rows = {name: mask[rows] for name, mask in masks.items()}
    network, cells = build_cnn(48, seed=3), (pictures[rows], pictures[:8], labels[rows])
    maps, told = evaluate_explainer("gradcam", network, *cells, np.arange(4), of_rows, few=2)
    assert maps.shape == (4, 48, 48)
    assert told["completeness"] is None
    assert told["randomized"]["low"] <= told["randomized"]["value"] <= told["randomized"]["high"]
    assert {"pointing_nucleoli", "overlap_outline", "stability", "off_cell"} <= set(told)
    assert told["seconds"] > 0
    table = score_table({"gradcam": told, "deep": {"refused": "it does not fit"}})
    assert list(table) == ["Grad-CAM"]
    assert table["Grad-CAM"]["(f) turned"] == told["stability"]["value"]
    assert np.isnan(table["Grad-CAM"]["(a) adds up"])
    assert len(table) == len(told)


def test_chance_of_finding_a_cause_is_its_share_of_the_cell():
    # A cell fills a quarter of the picture, the nucleoli a quarter of the cell.
    cell, nucleoli = np.zeros((4, 48, 48), bool), np.zeros((4, 48, 48), bool)
    cell[:, :24, :24] = True
    nucleoli[:, :12, :12] = True
    masks = {"cell": cell, "nucleoli": nucleoli, "chromatin": cell & ~nucleoli}
    masks["outline"] = np.zeros_like(cell)
    found = by_cause(nucleoli.astype(float), masks, np.arange(4))
    assert found["pointing_nucleoli"]["value"] == pytest.approx(1 - 1 / 4)
    assert found["overlap_nucleoli"]["value"] == pytest.approx(1 - 1 / 4, abs=0.05)
    assert found["pointing_chromatin"]["value"] == pytest.approx(0 - 3 / 4)
    assert found["pointing_outline"]["value"] is None  # no cell has any
