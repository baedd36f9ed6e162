"""What a lossy format, a resize or a shift leaves around a cell does not count as cell."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage

from leukhelpers.images.background import black_background
from leukhelpers.images.preprocessing import cell_box, crop_and_resize


def cell(seed: int = 0, side: int = 300) -> np.ndarray:
    """Draw a smooth cell on exact black, with a dark nucleus and darker spots in it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    angle = np.arctan2(y, x)
    depth = 0.3 * side * (1 + 0.08 * np.cos(3 * angle + seed)) - np.hypot(x, y)
    shade = ndimage.gaussian_filter(rng.normal(0, 40, (side, side)), 2)[..., None]
    picture = np.where((depth > 25)[..., None], [110, 50, 140], [190, 140, 190]) + shade
    picture[(depth > 60) & (shade[..., 0] > 3)] = 5  # as dark as background, but inside
    return np.where((depth > 0)[..., None], np.clip(picture, 1, 255), 0).astype(np.uint8)


def saved(image: np.ndarray, form: str, **options: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(image).save(content, form, **options)
    return np.asarray(Image.open(content).convert("RGB"))


def resized(image: np.ndarray, side: int, way: Image.Resampling) -> np.ndarray:
    small = Image.fromarray(image).resize((side, side), way)
    return np.asarray(small.resize(image.shape[1::-1], way))


CHANGES = {
    **{f"JPEG {q}": lambda image, q=q: saved(image, "JPEG", quality=q) for q in (75, 85, 95, 100)},
    **{f"WebP {q}": lambda image, q=q: saved(image, "WEBP", quality=q) for q in (75, 90)},
    "JPEG saved again as PNG": lambda image: saved(saved(image, "JPEG", quality=90), "PNG"),
    "one more": lambda image: image + (image < 255).astype(np.uint8),
    "blurred": lambda image: np.asarray(Image.fromarray(image).filter(ImageFilter.BoxBlur(1))),
    "resized": lambda image: resized(image, 200, Image.Resampling.LANCZOS),
    "resized JPEG": lambda image: saved(
        resized(image, 200, Image.Resampling.BICUBIC), "JPEG", quality=90
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_area_box_and_crop_are_those_of_the_lossless_picture(change) -> None:
    image = cell()
    changed = change(image)
    cleared, whole = black_background(changed).any(axis=2), image.any(axis=2)
    assert cleared.sum() == pytest.approx(whole.sum(), rel=0.03)
    assert np.abs(np.subtract(cell_box(changed), cell_box(image))).max() <= 2
    ours, theirs = (crop_and_resize(one, 48, 0).astype(int) for one in (changed, image))
    assert np.abs(ours - theirs).mean() < 6


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_lossless_pictures_of_cells_cut_out_are_not_touched(form: str) -> None:
    image = saved(cell(1), form)
    assert black_background(image) is image


def test_a_cell_with_dark_pixels_on_its_rim_is_not_touched(disc) -> None:
    image = disc(3).copy()
    rim = image.any(axis=2) & ~ndimage.binary_erosion(image.any(axis=2))
    image[rim & (np.arange(450) % 2 == 0)] = 7
    assert black_background(image) is image


@pytest.mark.parametrize("level", [0, 3, 16, 17, 255])
def test_a_picture_of_one_color_stays_as_it_is(level: int) -> None:
    image = np.full((30, 40, 3), level, np.uint8)
    np.testing.assert_array_equal(black_background(image), image)


def test_dark_pixels_inside_the_cell_and_a_second_thing_are_kept() -> None:
    image = cell(2)
    image[5:35, 5:35] = 200
    inside = image.any(axis=2) & (image.max(axis=2) <= 16)
    cleared = black_background(image + np.uint8(2))
    assert inside.sum() > 20
    assert cleared[inside].any(axis=1).all()
    assert cleared[5:35, 5:35].all()
    assert not cleared[:5].any()
