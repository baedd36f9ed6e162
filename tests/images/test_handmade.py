"""Hand-made features: each measures what its name says, and nothing of where the cell lies."""

from __future__ import annotations

import numpy as np
import pytest

from leukhelpers.errors import InputError
from leukhelpers.images import handmade
from leukhelpers.images.features import cell_mask

SIZE = 96


def ellipse(a=30, b=30, seed=0, noise=20.0, light=120):
    """Draw a noisy ellipse on black, half-axes `a` (across) and `b` (down)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    inside = ((x / a) ** 2 + (y / b) ** 2 < 1)[..., None]
    grain = rng.normal(0, noise, (SIZE, SIZE, 1)) if noise else 0
    values = np.clip(np.array([light, light - 60, light + 20]) + grain, 1, 255)
    return (values * inside).astype(np.uint8)


def measure(cell, scale=1.0):
    return handmade.measure_cell(cell, scale)


def test_names_are_unique_and_those_that_are_measured():
    names = handmade.feature_names()
    assert len(names) == len(set(names)) > 60
    assert list(measure(ellipse())) == names


def test_area_and_axes_are_those_of_the_drawn_ellipse():
    found = measure(ellipse(36, 24), scale=2.0)
    assert found["area"] == pytest.approx(4 * np.pi * 36 * 24, rel=0.01)
    assert found["long_axis"] == pytest.approx(2 * 2 * 36, rel=0.02)
    assert found["short_axis"] == pytest.approx(2 * 2 * 24, rel=0.02)
    assert found["eccentricity"] == pytest.approx(np.sqrt(1 - (24 / 36) ** 2), abs=0.02)


def test_a_circle_is_round_and_solid_and_an_ellipse_less_round():
    circle, flat = measure(ellipse(30, 30)), measure(ellipse(40, 20))
    assert circle["roundness"] > flat["roundness"] + 0.1
    assert circle["solidity"] > 0.95


def test_mean_colors_are_those_of_the_cell_without_its_background():
    found = measure(ellipse(noise=0))
    assert found["mean_red"] == pytest.approx(120 / 255, abs=0.003)
    assert found["mean_green"] == pytest.approx(60 / 255, abs=0.003)
    assert found["spread_blue"] == pytest.approx(0, abs=1e-6)


def test_coarse_grain_has_more_contrast_at_a_distance_than_smooth_shading():
    fine = measure(ellipse(noise=25))
    smooth = ellipse(noise=0).astype(float)
    smooth += 40 * np.linspace(-1, 1, SIZE)[:, None, None] * cell_mask(smooth)[..., None]
    shaded = measure(np.clip(smooth, 0, 255).astype(np.uint8))
    assert fine["glcm_contrast_1"] > 5 * shaded["glcm_contrast_1"]


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_a_quarter_turn_changes_no_feature_by_much(turn):
    cell = ellipse(34, 26, seed=3)
    upright, turned = measure(cell), measure(np.rot90(cell, turn))
    for name, value in upright.items():
        assert turned[name] == pytest.approx(value, rel=0.02, abs=0.01), name


def test_the_place_of_the_cell_and_the_black_around_it_change_nothing():
    cell = ellipse(seed=1)
    moved = np.zeros((160, 160, 3), np.uint8)
    moved[5 : 5 + SIZE, 60 : 60 + SIZE] = cell
    assert measure(moved) == measure(cell)


def test_a_paler_stain_leaves_the_texture_as_it_is():
    rng = np.random.default_rng(0)
    cell = ellipse(noise=0, light=160).astype(float)
    cell += rng.integers(-60, 60, (SIZE, SIZE, 1)) * cell_mask(cell)[..., None]
    paler = (cell * 0.5).astype(np.uint8)
    first, second = measure(cell.astype(np.uint8)), measure(paler)
    for name in ("glcm_contrast_1", "glcm_correlation_1", "glcm_homogeneity_2"):
        assert second[name] == pytest.approx(first[name], rel=0.1, abs=0.01), name
    assert second["mean_red"] < 0.6 * first["mean_red"]


@pytest.mark.parametrize("pixels", [0, 1, 2, 40])
def test_a_cell_of_few_pixels_has_a_number_for_every_feature(pixels):
    cell = np.zeros((SIZE, SIZE, 3), np.uint8)
    cell.reshape(-1, 3)[3000 : 3000 + pixels] = 90
    found = measure(cell)
    assert list(found) == handmade.feature_names()
    assert np.isfinite(list(found.values())).all()


def test_a_picture_without_black_is_measured_as_a_whole():
    picture = np.random.default_rng(0).integers(1, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    assert measure(picture)["area"] == SIZE**2


def test_cells_are_measured_row_for_row_in_parallel_as_alone():
    cells = np.stack([ellipse(20 + i % 9, 25, seed=i) for i in range(70)])
    together = handmade.measure_cells(cells, crop=2 * SIZE)
    for row in (69, 3, 40):
        alone = measure(cells[row], scale=2.0)
        np.testing.assert_allclose(together.loc[row], list(alone.values()))


def test_pixels_that_were_scaled_before_are_refused():
    with pytest.raises(InputError, match="scaled"):
        handmade.measure_cells(ellipse()[None] / 255, crop=SIZE)


def test_lengths_grow_with_the_scale_areas_with_its_square_and_nothing_else_does():
    single, double = measure(ellipse(20, 30)), measure(ellipse(20, 30), scale=2.0)
    factors = {name: 1 for name in single}
    factors |= {"area": 4, "perimeter": 2, "long_axis": 2, "short_axis": 2}
    assert double == pytest.approx({name: factors[name] * single[name] for name in single})
