import numpy as np
import pytest

from benchmarks import shortcuts
from leukhelpers.images.features import cell_of

SIZE = 48


def blob(radius, color, noise=0):
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
    inside = x**2 + y**2 < radius**2
    cell = np.zeros((SIZE, SIZE, 3))
    cell[inside] = color
    cell[inside] += np.random.default_rng(radius).normal(0, noise, (inside.sum(), 3))
    return np.clip(cell, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def cells():
    small, large = blob(10, (150, 80, 160), 8), blob(20, (90, 50, 120), 8)
    return np.stack([small, large])


def with_mark(cells):
    """Put a light square into the lower right corner of each picture."""
    marked = cells.copy()
    marked[:, -7:-1, -7:-1] = 255
    return marked


def area_model(pictures):
    return cell_of(pictures).mean(axis=(1, 2))


def test_one_size_gives_all_cells_the_same_area_and_keeps_their_color(cells):
    same = shortcuts.one_size(cells, share=0.3)
    np.testing.assert_allclose(area_model(same), 0.3, rtol=0.08)
    assert abs(same[0][24, 24].astype(int) - cells[0][24, 24].astype(int)).max() < 40


def test_one_stain_gives_all_cells_the_same_colors_and_keeps_their_outline(cells):
    same = shortcuts.one_stain(cells, cells)
    means = [picture[picture.any(axis=-1)].mean(axis=0) for picture in same]
    np.testing.assert_allclose(means[0], means[1], atol=2)
    np.testing.assert_array_equal(same.any(axis=-1), cells.any(axis=-1))


def test_one_stain_heeds_the_cell_and_not_what_lies_beside_it(cells):
    marked = with_mark(cells)
    plain = shortcuts.one_stain(cells, cells)
    for same in (shortcuts.one_stain(marked, cells), shortcuts.one_stain(marked, marked)):
        np.testing.assert_array_equal(shortcuts.mask_background(same), plain)
    with_black = np.stack([cells[0], np.zeros_like(cells[0]), cells[1]])
    np.testing.assert_array_equal(shortcuts.one_stain(with_black, with_black)[[0, 2]], plain)


def test_nothing_beside_the_cell_removes_a_mark_and_nothing_else(cells):
    marked = with_mark(cells)
    assert (marked != cells).any()
    np.testing.assert_array_equal(shortcuts.mask_background(marked), cells)


def test_probe_moves_what_the_model_reads_and_leaves_what_it_does_not(cells):
    by_area = shortcuts.probe(area_model, cells, cells, labels=np.array([0, 1]))
    assert by_area["mean absolute shift"]["one size"] > 0.1
    assert by_area["mean absolute shift"]["one stain"] == pytest.approx(0, abs=0.01)
    assert by_area["auroc"]["as it is"] == 1

    def by_red(pictures):
        return pictures[..., 0].sum(axis=(1, 2)) / pictures.any(axis=-1).sum(axis=(1, 2)) / 255

    told = shortcuts.probe(by_red, cells, cells)
    assert told["mean absolute shift"]["one stain"] > 0.05
    assert told["mean absolute shift"]["one size"] < 0.03
    assert "auroc" not in told
