"""Pictures that are no stained cells on black: what an honest answerer must refuse.

Photographs are those of scikit-image and scikit-learn; all else is drawn from a seed.
"""

from __future__ import annotations

import numpy as np
import skimage.data
import sklearn.datasets
from PIL import Image, ImageDraw, ImageFont
from skimage import filters

SIDE = 450
_PHOTOGRAPHS = (
    *("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry"),
    *("retina", "colorwheel", "logo", "cat"),
)
_GRAY_PHOTOGRAPHS = ("brick", "camera", "cell", "clock", "coins", "grass", "gravel", "moon")
_TEXTS = (
    *("Leukemia", "ALL or HEM?", "مرحبا", "report.pdf\npage 2 of 7", "0123456789", "Hello, world"),
)


def _rgb(picture: np.ndarray) -> np.ndarray:
    picture = np.asarray(picture)
    if picture.dtype != np.uint8:
        picture = (255 * np.clip(picture, 0, 1)).astype(np.uint8)
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=-1)
    return picture[..., :3]


def _cut(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut a square out of a picture, of any size that it has."""
    side = int(rng.integers(min(picture.shape[:2]) // 3, min(picture.shape[:2])))
    top, left = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
    square = Image.fromarray(picture[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE, SIDE)))


def _named(names: tuple[str, ...]) -> list[np.ndarray]:
    return [_rgb(getattr(skimage.data, name)()) for name in names]


def photographs(rng: np.random.Generator) -> list[np.ndarray]:
    """Photographs, whole and squares cut out of them."""
    found = _named(_PHOTOGRAPHS) + sklearn.datasets.load_sample_images().images
    return found + [_cut(picture, rng) for picture in found for _ in range(4)]


def masked_photographs(rng: np.random.Generator) -> list[np.ndarray]:
    """Round pieces of photographs on black: the outline of a cell without a cell in it."""
    found = []
    for picture in photographs(rng):
        square = _cut(picture, rng)
        radius = rng.uniform(90, 180, 2)
        y, x = np.mgrid[-SIDE // 2 : SIDE // 2, -SIDE // 2 : SIDE // 2]
        inside = (y / radius[0]) ** 2 + (x / radius[1]) ** 2 <= 1
        found.append(square * inside[..., None].astype(np.uint8))
    return found


def drawings(rng: np.random.Generator) -> list[np.ndarray]:
    """Shapes in flat colors, on black and on other grounds; some purple, as a stain is."""
    found = []
    for number in range(60):
        ground = (0, 0, 0) if number % 2 else tuple(map(int, rng.integers(0, 256, 3)))
        image = Image.new("RGB", (SIDE, SIDE), ground)
        brush = ImageDraw.Draw(image)
        for _ in range(int(rng.integers(1, 6))):
            x, y = rng.integers(60, 300, 2)
            box = (int(x), int(y), int(x + rng.integers(20, 150)), int(y + rng.integers(20, 150)))
            purple = (int(rng.integers(90, 180)), int(rng.integers(40, 110)), 160)
            color = purple if number % 3 == 0 else tuple(map(int, rng.integers(30, 256, 3)))
            [brush.ellipse, brush.rectangle, brush.line][int(rng.integers(0, 3))](box, fill=color)
        found.append(np.asarray(image))
    return found


def texts(rng: np.random.Generator) -> list[np.ndarray]:
    """Words, dark on light and light on dark."""
    found = [_rgb(skimage.data.page()), _rgb(skimage.data.text())]
    for number in range(58):
        light = number % 2 == 0
        image = Image.new("RGB", (SIDE, SIDE), (255, 255, 255) if light else (0, 0, 0))
        brush = ImageDraw.Draw(image)
        color = (0, 0, 0) if light else tuple(map(int, rng.integers(100, 256, 3)))
        font = ImageFont.load_default(int(rng.integers(14, 60)))
        for line in range(int(rng.integers(1, 9))):
            words = _TEXTS[int(rng.integers(0, len(_TEXTS)))]
            brush.text((int(rng.integers(5, 120)), 10 + 50 * line), words, fill=color, font=font)
        found.append(np.asarray(image))
    return found


def noise(rng: np.random.Generator) -> list[np.ndarray]:
    """Noise of every grain, over the whole picture or in a disc on black."""
    found = []
    y, x = np.mgrid[-SIDE // 2 : SIDE // 2, -SIDE // 2 : SIDE // 2]
    for number in range(60):
        picture = rng.normal(0, 1, (SIDE, SIDE, 3))
        picture = filters.gaussian(picture, [0, 2, 8][number % 3], channel_axis=-1)
        picture = picture / picture.std() * rng.uniform(20, 60) + rng.uniform(80, 170, 3)
        inside = x**2 + y**2 <= (150 if number % 2 else SIDE) ** 2
        found.append((np.clip(picture, 0, 255) * inside[..., None]).astype(np.uint8))
    return found


def blanks(rng: np.random.Generator) -> list[np.ndarray]:
    """Pictures of one color, or of a slow change between two."""
    found = [np.full((SIDE, SIDE, 3), value, np.uint8) for value in (0, 1, 127, 254, 255)]
    for number in range(55):
        one, other = rng.integers(0, 256, (2, 3))
        share = np.linspace(0, number % 2, SIDE)[:, None, None]
        found.append((one * (1 - share) + other * share + np.zeros((1, SIDE, 1))).astype(np.uint8))
    return found


def grays(rng: np.random.Generator, cells: list[np.ndarray]) -> list[np.ndarray]:
    """Photographs in gray levels, and the given cells without their color."""
    found = _named(_GRAY_PHOTOGRAPHS)
    found += [_cut(picture, rng) for picture in found]
    of_cells = [_rgb(np.asarray(Image.fromarray(cell).convert("L"))) for cell in cells]
    return found + of_cells


def kinds(seed: int, cells: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Draw all kinds of strangers from a seed; `cells` lose their color for one of them."""
    rng = np.random.default_rng(seed)
    return {
        "photographs": photographs(rng),
        "round pieces of photographs on black": masked_photographs(rng),
        "drawings": drawings(rng),
        "text": texts(rng),
        "noise": noise(rng),
        "blank": blanks(rng),
        "gray levels": grays(rng, cells),
    }
