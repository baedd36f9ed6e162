"""Hand-crafted features of shape, color and texture: what microscopists measured before networks.

Every feature has a name that says what it measures, so that a model on them can be
asked which ones it used.
"""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from scipy import ndimage
from skimage import color, feature, filters, measure, morphology

from leukhelpers.images.features import CHANNELS, cell_mask
from leukhelpers.images.preprocessing import check_pixels

# Measured at half the resolution of C-NMC's originals; at a quarter the grain of the
# chromatin is gone.
SIZE = 192
GRAYS = 32
DISTANCES = (1, 2, 4)  # pixels of the array that is measured
_ANGLES = (0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)
_GLCM = ("contrast", "dissimilarity", "homogeneity", "ASM", "correlation")
_PATTERNS = ((8, 1), (16, 3))  # points on a circle, and its radius
_CHUNK = 32


def measure_cells(pixels: np.ndarray, crop: int) -> pd.DataFrame:
    """Measure shape, color and texture of cells, in parallel.

    Parameters
    ----------
    pixels : uint8 array of shape (n, size, size, 3)
        RGB cells on black; may be a memory map, which is read a part at a time.
    crop : int
        Edge of the square that was cut from the original image, in its pixels: lengths
        and areas are given in pixels of the original.

    Returns
    -------
    pandas.DataFrame
        A row a cell, float, no value missing. *Shape*: scikit-image's region properties.
        *Color*: mean, spread and skewness of each channel of RGB and of L*a*b*; the share
        of the dark part below Otsu's threshold, its color, and how it differs from the rest.
        *Texture*: gray-level co-occurrence (Haralick 1973), averaged over directions, and
        histograms of uniform local binary patterns (Ojala 2002), both inside the cell only.

    Raises
    ------
    InputError
        If the pixels are not cells of 0 to 255.
    """
    check_pixels(pixels)
    scale = crop / pixels.shape[1]
    # Processes pay only if each has some cells to measure.
    workers = min(cpu_count(), max(1, len(pixels) // _CHUNK))
    cells = Parallel(n_jobs=workers, batch_size=_CHUNK)(
        delayed(measure_cell)(np.asarray(cell), scale) for cell in pixels
    )
    return pd.DataFrame(cells, columns=feature_names())


def feature_names() -> list[str]:
    """Name the features in their order, without measuring a cell of anybody's."""
    disc = np.zeros((32, 32, 3), np.uint8)
    disc[8:24, 8:24] = np.arange(16, dtype=np.uint8)[:, None] + 100
    return list(measure_cell(disc, scale=1.0))


def feature_kinds() -> dict[str, list[str]]:
    """Sort the names of the features into shape, color and texture.

    Examples
    --------
    >>> import leukhelpers as lk
    >>> list(lk.feature_kinds())
    ['shape', 'color', 'texture']
    """
    names = feature_names()
    texture = [name for name in names if name.startswith(("glcm", "lbp", "gray_range"))]
    shape = names[: names.index("roundness") + 1]
    color = [name for name in names if name not in (*shape, *texture)]
    return {"shape": shape, "color": color, "texture": texture}


def code_digest() -> str:
    """Name this way of measuring: other code gives other features."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def measure_cell(cell: np.ndarray, scale: float) -> dict[str, float]:
    """Measure one cell; see :func:`measure_cells`.

    Parameters
    ----------
    cell : uint8 array of shape (size, size, 3)
        One RGB cell on black.
    scale : float
        Pixels of the original that one pixel of `cell` is wide.

    Returns
    -------
    dict of float
        Name → value. What a cell does not have, such as a texture of three pixels, is 0.
    """
    cell = _box(cell)
    inside = cell_mask(cell)
    gray = color.rgb2gray(cell)
    whole = inside if inside.any() else np.ones_like(inside)
    found = {**_shape(whole, scale), **_color(cell, gray, whole), **_texture(gray, inside)}
    values = np.nan_to_num(np.array(list(found.values()), float), posinf=0, neginf=0)
    return dict(zip(found, values.tolist(), strict=True))


def _box(cell: np.ndarray) -> np.ndarray:
    """Cut the black around a cell away, all but one pixel: most of the work is there."""
    for box in ndimage.find_objects(cell_mask(cell).astype(int)):  # one, or none
        return cell[tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)]
    return cell


def _shape(inside: np.ndarray, scale: float) -> dict[str, float]:
    """Size and form of the outline."""
    whole = measure.regionprops(inside.astype(np.uint8))[0]
    perimeter = max(whole.perimeter, 1.0)
    return {
        "area": whole.area * scale**2,
        "perimeter": perimeter * scale,
        "long_axis": whole.axis_major_length * scale,
        "short_axis": whole.axis_minor_length * scale,
        "eccentricity": whole.eccentricity,
        "solidity": whole.solidity,
        "extent": whole.extent,
        "roundness": 4 * np.pi * whole.area / perimeter**2,
    }


def _color(cell: np.ndarray, gray: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Color of the cell, and of its dark part: the nucleus, as far as a threshold finds it."""
    shown = cell[inside] / 255
    # A row a channel, since sums along rows are quick.
    values = np.ascontiguousarray(np.concatenate([shown, color.rgb2lab(shown)], axis=1).T)
    mean = values.mean(axis=1)
    centered = values - mean[:, None]
    squared = centered * centered
    spread = np.sqrt(squared.mean(axis=1))
    cubed = (squared * centered).mean(axis=1)
    skewness = cubed / np.where(spread > 1e-6, spread, np.inf) ** 3
    names = [*CHANNELS, "lightness", "green_to_red", "blue_to_yellow"]
    found: dict[str, float] = {}
    for name, *of_channel in zip(names, mean, spread, skewness, strict=True):
        found[f"mean_{name}"], found[f"spread_{name}"], found[f"skewness_{name}"] = of_channel
    shades = gray[inside]
    dark = shades < (filters.threshold_otsu(shades) if np.ptp(shades) > 0 else 0.0)
    found["dark_share"] = share = dark.mean()
    of_dark = values @ dark / dark.sum() if share > 0 else mean
    of_light = (mean - share * of_dark) / (1 - share) if share < 1 else mean
    for name, in_dark, in_light in zip(names, of_dark, of_light, strict=True):
        found |= {f"dark_{name}": in_dark, f"dark_to_light_{name}": in_light - in_dark}
    return found


def _texture(gray: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    """Grain of the chromatin: co-occurring grays, and local binary patterns."""
    # The rim is left out: its step down to black says nothing of the chromatin.
    core = morphology.isotropic_erosion(np.pad(inside, 1), 4)[1:-1, 1:-1]
    if core.sum() < 64:
        core = inside
    shades = gray[core] if core.any() else np.zeros(1)
    low, high = np.quantile(shades, [0.01, 0.99])
    # Greys from the cell's own darkest to its own lightest: a paler stain is no texture.
    stretched = np.clip((gray - low) / max(high - low, 1e-6), 0, 1)
    levels = np.where(core, 1 + (stretched * (GRAYS - 1)).astype(np.uint8), 0).astype(np.uint8)
    counted = feature.graycomatrix(levels, DISTANCES, _ANGLES, levels=GRAYS + 1, symmetric=True)
    counted = counted[1:, 1:].astype(float)  # pairs with the background do not count
    counted /= np.maximum(counted.sum(axis=(0, 1), keepdims=True), 1)
    found = {"gray_range": high - low}
    for name in _GLCM:
        values = zip(DISTANCES, feature.graycoprops(counted, name).mean(axis=1), strict=True)
        found |= {f"glcm_{name.lower()}_{distance}": value for distance, value in values}
    shade = (stretched * 255).astype(np.uint8)
    for points, radius in _PATTERNS:
        codes = feature.local_binary_pattern(shade, points, radius, method="uniform")
        seen = codes[core].astype(int) if core.any() else np.zeros(1, int)
        shares = np.bincount(seen, minlength=points + 2) / len(seen)
        found |= {f"lbp{points}_{code}": share for code, share in enumerate(shares)}
    return found
