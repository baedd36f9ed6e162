"""Draw one synthetic blood cell from numbers that say how it shall look.

The numbers were fitted to the 3,527 cells of fold 0 of C-NMC 2019: colors, their
spread, the bright rim of two or three pixels, the power of the texture from 1 to 16
pixels, the size and the shape. Outlines are given in polar coordinates about the center
of the cell, so that "how deep inside is this pixel" is one subtraction.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

SIDE = 450  # pixels, as in C-NMC
MASKS = ("cell", "nucleus", "chromatin", "nucleoli", "outline", "neighbor")

_ANGLES = 2048  # a third of a pixel apart at a radius of 110 pixels
_REACH = 700  # half the side of the grid of polar coordinates, pixels
_TILE = 768  # side of a noise texture, pixels
_BAND = 4.0  # half the width of the band along the nuclear outline, pixels

# RGB gray levels, and directions in RGB of unit length, read off the real cells. Of shape
# (3, 1, 1), to go with pictures of shape (3, height, width).
_NUCLEUS = np.reshape([66.5, 26.0, 76.5], (3, 1, 1))
_CYTOPLASM = np.reshape([27.5, 31.0, 26.0], (3, 1, 1))  # more than the nucleus
_DEBRIS = np.reshape([92.0, 72.0, 96.0], (3, 1, 1))
_STAIN = np.reshape([0.69, 0.41, 0.60], (3, 1, 1))  # how cells differ: lighter or darker
_HUE = np.reshape([-0.50, 0.10, 0.70], (3, 1, 1))  # how cells differ: bluer or redder
# How pixels within a nucleus differ: pink on indigo; a nucleolus is paler than its chromatin.
_CHROMATIN = np.reshape([0.83, 0.43, 0.36], (3, 1, 1))
_NUCLEOLUS = np.reshape([0.62, 0.52, 0.58], (3, 1, 1))

_Array = np.ndarray


@lru_cache(maxsize=2)
def noise_tiles(seed: int) -> dict[str, _Array]:
    """Make the noise textures from which every nucleus takes its pieces.

    Parameters
    ----------
    seed : int
        The seed of the twin.

    Returns
    -------
    dict of numpy.ndarray
        float32, shape (768, 768), mean 0 and standard deviation 1: ``fine`` (threads of
        chromatin), ``clumped`` (dark clumps, light gaps), ``broad`` (shading, with a few
        pink patches), ``grain`` (the camera's noise); ``fine_soft`` and ``clumped_soft``
        are the same out of focus, with less than unit spread.
    """
    rng = np.random.default_rng([seed, _TILE, _TILE, 1])

    def smooth(sigma: float) -> _Array:
        white = rng.standard_normal((_TILE, _TILE)).astype(np.float32)
        return unit(ndimage.gaussian_filter(white, sigma, mode="wrap"))

    def unit(values: _Array) -> _Array:
        return (values - values.mean()) / values.std()

    fine = unit(smooth(2.8) + 0.5 * smooth(4.0) * smooth(9.0))
    clumped = unit(np.tanh(1.3 * smooth(7.5) + 0.3 * smooth(4.0) - 0.3))
    patches = np.logaddexp(0.0, 3.0 * (smooth(6.5) - 0.8))  # softly cut off below
    broad = unit(smooth(15.0) + 0.5 * unit(patches))
    return {
        "fine": fine,
        "clumped": clumped,
        "fine_soft": ndimage.gaussian_filter(fine, 2.0, mode="wrap"),
        "clumped_soft": ndimage.gaussian_filter(clumped, 2.5, mode="wrap"),
        "broad": broad,
        "grain": smooth(0.55),
    }


@lru_cache(maxsize=1)
def _polar() -> tuple[_Array, _Array]:
    """Give radius (pixels) and angle (as a place in a table of angles) about the middle."""
    line = np.arange(-_REACH, _REACH, dtype=np.float32)
    radius = np.hypot(line[:, None], line[None, :])
    angle = np.arctan2(line[:, None], line[None, :]) / (2 * np.pi) * _ANGLES
    return radius, angle.astype(np.int16) % _ANGLES


def draw(row: Mapping[Any, Any], seed: int) -> tuple[_Array, dict[str, _Array]]:
    """Draw a cell in the middle of a black image.

    Parameters
    ----------
    row : mapping
        A row of the plan, see :func:`leukhelpers.synthetic.twin.plan_twin`.
    seed : int
        The seed of the twin.

    Returns
    -------
    pixels : numpy.ndarray
        uint8, shape (450, 450, 3), RGB, black wherever ``masks["cell"]`` is False.
    masks : dict of numpy.ndarray
        bool, shape (450, 450), one for each name in ``MASKS``.
    """
    rng = np.random.default_rng([seed, int(row["number"])])
    nucleus, cell = _outlines(row, rng)
    sides = np.full(4, int(np.ceil(cell.max())) + 2)  # from the middle up, down, left and right
    stranger = _place_neighbor(row, cell, rng) if row["neighbor"] else None
    if stranger is not None:
        y, x = stranger["y"], stranger["x"]
        reach = (stranger["radius"] + np.array([-y, y, -x, x])).astype(int) + 2
        sides = np.minimum(np.maximum(sides, reach), 300)
    up, _, left, _ = sides
    radius, angle = _window(sides)
    shape = radius.shape
    nuclear_depth = nucleus[angle] - radius
    depth = cell[angle] - radius
    texture = _texture(row, seed, shape, rng)
    spots, light = _nucleoli(row, nucleus, nuclear_depth, (up, left), rng)
    colors = _colors(row, nuclear_depth, texture, rng)
    colors += np.float32(_NUCLEOLUS) * light
    if row["cut"]:
        depth = np.minimum(depth, _straight_cut(depth, rng))
    cover = np.clip(depth, 0.0, 1.0)
    foreign = np.zeros(shape, dtype=bool)
    if stranger is not None:
        other, other_depth = _neighbor(stranger, row, seed, depth, sides, rng)
        foreign = (depth <= 0) & (other_depth > 0)
        # Where two cells meet there is no black line between them.
        cover = np.where(other_depth > 0, 1.0, cover)
        cover[foreign] = np.clip(other_depth[foreign], 0.0, 1.0)
        colors[:, foreign] = other[:, foreign]
    colors += _piece(noise_tiles(seed)["grain"], shape, rng) * np.float32(row["grain"])
    np.clip(colors, 4.0, 255.0, out=colors)
    colors *= cover
    box = np.moveaxis(colors, 0, -1).astype(np.uint8)
    seen = box.max(axis=2) > 0
    top, start = _centered(seen, up, left, rng)
    own = seen & ~foreign
    nucleus_seen, nucleoli = (nuclear_depth > 0) & own, spots & own
    outline = (np.abs(nuclear_depth) <= _BAND) & own
    layers = (seen, nucleus_seen, nucleus_seen & ~nucleoli, nucleoli, outline, foreign & seen)
    masks = {name: _on_image(layer, top, start) for name, layer in zip(MASKS, layers, strict=True)}
    return _on_image(box, top, start), masks


def _step(values: _Array, low: float, high: float) -> _Array:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((values - low) * (1.0 / (high - low)), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _window(sides: _Array, y: int = 0, x: int = 0) -> tuple[_Array, _Array]:
    """Cut radius and angle about the point (y, x) out of the grid."""
    up, down, left, right = sides
    radius, angle = _polar()
    rows = slice(_REACH - up - y, _REACH + down - y)
    columns = slice(_REACH - left - x, _REACH + right - x)
    return radius[rows, columns], angle[rows, columns]


def _wave(rng: np.random.Generator, low: int, high: int) -> _Array:
    """Make a closed random wave with ``low`` to ``high`` bumps a turn and unit spread."""
    spectrum = np.zeros(_ANGLES // 2 + 1, dtype=complex)
    orders = np.arange(low, high + 1)
    parts = rng.standard_normal((2, len(orders)))
    spectrum[orders] = (parts[0] + 1j * parts[1]) / orders
    wave = np.fft.irfft(spectrum)
    return wave / wave.std()


def _bump(center: float, width: float) -> _Array:
    """Rise to 1 at one angle; ``width`` in radians."""
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    away = (angles - center + np.pi) % (2 * np.pi) - np.pi
    return np.exp(-0.5 * (away / width) ** 2)


def _outlines(row: Mapping[Any, Any], rng: np.random.Generator) -> tuple[_Array, _Array]:
    """Make the outlines of nucleus and cell: radius in pixels for each angle, float32."""
    angles = np.arange(_ANGLES) * (2 * np.pi / _ANGLES)
    direction = rng.uniform(0, 2 * np.pi)
    shape = np.exp(row["elongation"] * np.cos(2 * (angles - direction)))
    shape *= 1 + row["irregularity"] * _wave(rng, 3, 9)
    cleft_at = rng.uniform(0, 2 * np.pi)
    cleft = row["cleft"] * _bump(cleft_at, rng.uniform(0.10, 0.28))
    cap_at = cleft_at + rng.normal(0, 0.5) if row["cleft"] else rng.uniform(0, 2 * np.pi)
    cap = row["cytoplasm"] * _bump(cap_at, rng.uniform(0.35, 0.8))
    rim = row["rim"] * (1 + 0.35 * _wave(rng, 2, 6))
    radius = 0.5 * row["diameter"]
    rough = 0.009 * radius * _wave(rng, 8, 22) * (1 + 0.5 * _wave(rng, 1, 4))
    rough += 0.22 * _wave(rng, 25, 90)
    nucleus = radius * shape * (1 - cleft)
    cell = radius * shape * (1 - 0.6 * cleft) + np.maximum(rim, 0.8) + cap + rough
    # The recorded diameter is that of a disc as large as the cell.
    scale = radius / np.sqrt(np.mean(cell**2))
    nucleus, cell = nucleus * scale, cell * scale
    if row["torn"]:
        where = _bump(rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.9))
        cell = cell - where * np.logaddexp(0.0, rng.uniform(2, 5) * (_wave(rng, 8, 40) + 0.3))
        if rng.random() < 0.4:
            cell = cell + rng.uniform(8, 28) * _bump(
                rng.uniform(0, 2 * np.pi), rng.uniform(0.03, 0.07)
            )
    return nucleus.astype(np.float32), cell.astype(np.float32)


def _piece(tile: _Array, shape: tuple[int, int], rng: np.random.Generator) -> _Array:
    """Take a piece of a noise texture, turned and mirrored by chance."""
    turned = tile.T if rng.random() < 0.5 else tile
    y = int(rng.integers(_TILE - shape[0] + 1))
    x = int(rng.integers(_TILE - shape[1] + 1))
    flip_y, flip_x = rng.choice([-1, 1], 2)
    return turned[y : y + shape[0], x : x + shape[1]][::flip_y, ::flip_x]


def _texture(
    row: Mapping[Any, Any], seed: int, shape: tuple[int, int], rng: np.random.Generator
) -> _Array:
    """Mix fine and clumped chromatin; gray levels along the chromatin's direction."""
    tiles = noise_tiles(seed)
    clumping, focus = float(row["clumping"]), float(row["focus"])
    mixed = np.zeros(shape, dtype=np.float32)
    for name, amount in (("fine", 0.6 * (1.0 - clumping)), ("clumped", 1.3 * clumping)):
        state = rng.bit_generator.state
        sharp = _piece(tiles[name], shape, rng)
        rng.bit_generator.state = state  # the same piece, out of focus
        soft = _piece(tiles[f"{name}_soft"], shape, rng)
        strength = np.float32(amount * row["contrast"])
        mixed += strength * np.float32(1 - focus) * sharp
        mixed += strength * np.float32(focus) * soft
    mixed += np.float32(row["shading"]) * _piece(tiles["broad"], shape, rng)
    return mixed


def _nucleoli(
    row: Mapping[Any, Any],
    nucleus: _Array,
    depth: _Array,
    center: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[_Array, _Array]:
    """Place the nucleoli: where they are (bool), and how much lighter it is there."""
    spots = np.zeros(depth.shape, dtype=bool)
    light = np.zeros(depth.shape, dtype=np.float32)
    for _ in range(int(row["nucleoli"])):
        angle = rng.uniform(0, 2 * np.pi)
        size = row["nucleolus_size"] * rng.uniform(0.8, 1.2)
        room = nucleus[int(angle / (2 * np.pi) * _ANGLES) % _ANGLES] - 1.5 * size - 8
        away = 0.8 * room * np.sqrt(rng.uniform(0.02, 1.0))
        y, x = center[0] + away * np.sin(angle), center[1] + away * np.cos(angle)
        reach = int(2.2 * size) + 2
        rows = slice(max(int(y) - reach, 0), min(int(y) + reach + 1, depth.shape[0]))
        columns = slice(max(int(x) - reach, 0), min(int(x) + reach + 1, depth.shape[1]))
        dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y)
        dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(x)
        stretch, turn = rng.uniform(0.75, 1.0), rng.uniform(0, np.pi)
        along = dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))
        across = dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))
        distance = np.hypot(along, across / np.float32(stretch)) / np.float32(size)
        inside = distance < 1
        # A pale body in a thin collar of condensed chromatin.
        body = 1 - _step(distance, 0.2, 1.35 + 0.3 * row["focus"])
        collar = np.maximum(1 - np.abs(distance - 1.5) / 0.65, 0)
        height = np.float32(row["nucleolus_contrast"] * rng.uniform(0.75, 1.25))
        light[rows, columns] += height * (body - np.float32(0.13) * collar)
        spots[rows, columns] |= inside
    return spots & (depth > 0), light


def _colors(
    row: Mapping[Any, Any], nuclear_depth: _Array, texture: _Array, rng: np.random.Generator
) -> _Array:
    """Color nucleus and cytoplasm: red, green and blue, float32, shape (3, height, width)."""
    focus = float(row["focus"])
    inside = _step(nuclear_depth, -2.5 - focus, 7.0 + 3.0 * focus)
    middle = _step(nuclear_depth, 8.0, 75.0) - np.float32(0.5)
    texture = texture * (np.float32(0.35) + np.float32(0.65) * inside)
    texture += np.float32(5.0) * middle
    # Under the rim the nucleus is bluer than in its middle.
    bluer = _step(nuclear_depth, 32.0, 3.0) * np.float32(rng.uniform(3.0, 7.0))
    base = _NUCLEUS + row["brightness"] * _STAIN + row["hue"] * _HUE
    colors = np.float32(base) + texture * np.float32(_CHROMATIN)
    colors += np.float32(_CYTOPLASM * row["rim_brightness"]) * (1 - inside)
    colors[2] += bluer
    return colors


def _straight_cut(depth: _Array, rng: np.random.Generator) -> _Array:
    """Depth behind the straight edge of the slide's photograph, at one of four sides."""
    rows, columns = np.flatnonzero((depth > 0).any(axis=1)), np.flatnonzero((depth > 0).any(axis=0))
    lines = (rows, columns)[side := int(rng.integers(2))]
    missing = rng.uniform(0.02, 0.30) ** 1.3 * len(lines)
    place = np.arange(depth.shape[side], dtype=np.float32)
    line = place - (lines[0] + missing) if rng.random() < 0.5 else lines[-1] - missing - place
    return line[:, None] if side == 0 else line[None, :]


def _place_neighbor(
    row: Mapping[Any, Any], cell: _Array, rng: np.random.Generator
) -> dict[str, Any]:
    """Choose where what touches the cell lies: a piece of a red cell, or another cell."""
    is_cell = bool(rng.random() < 0.25)
    angle = rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(0.75, 1.05) * 0.5 * row["diameter"] if is_cell else rng.uniform(80, 105)
    edge = cell[int(angle / (2 * np.pi) * _ANGLES) % _ANGLES]
    away = edge + radius * (0.93 if is_cell else rng.uniform(0.6, 0.9))
    outline = radius * (1 + 0.02 * _wave(rng, 2, 7))
    return {
        "is_cell": is_cell,
        "y": int(away * np.sin(angle)),
        "x": int(away * np.cos(angle)),
        "outline": outline.astype(np.float32),
        "radius": float(outline.max()),
        "reach": rng.uniform(60, 200) if is_cell else rng.uniform(20, 95),
    }


def _neighbor(
    stranger: dict[str, Any],
    row: Mapping[Any, Any],
    seed: int,
    cell_depth: _Array,
    sides: _Array,
    rng: np.random.Generator,
) -> tuple[_Array, _Array]:
    """Draw what touches the cell: its colors, and the depth of each pixel in it."""
    radius, angle = _window(sides, stranger["y"], stranger["x"])
    depth = stranger["outline"][angle] - radius
    broad = _piece(noise_tiles(seed)["broad"], depth.shape, rng)
    if stranger["is_cell"]:
        texture = _texture(row, seed, depth.shape, rng)
        colors = _colors(row, depth - np.float32(row["rim"]), texture, rng)
        colors += np.float32(rng.normal(0, 6))
        return colors, np.minimum(depth, stranger["reach"] + cell_depth)
    # The segmentation let through a ragged piece of it.
    ragged = (stranger["reach"] + cell_depth + np.float32(11) * broad) * np.float32(0.7)
    shade = np.float32(4.5) * broad + np.float32(0.6 * row["brightness"])
    shade -= np.float32(16) * _step(cell_depth, -28.0, 0.0)
    return np.float32(_DEBRIS) + shade, np.minimum(depth, ragged)


def _centered(seen: _Array, up: int, left: int, rng: np.random.Generator) -> tuple[int, int]:
    """Choose row and column of the image at which the box begins.

    C-NMC centers what its segmentation found, so a neighbor moves the cell aside.
    """
    total = max(int(seen.sum()), 1)
    y = float(seen.sum(axis=1) @ np.arange(seen.shape[0])) / total
    x = float(seen.sum(axis=0) @ np.arange(seen.shape[1])) / total
    shift = rng.normal(0, 1.2, 2)
    return round(SIDE / 2 - y + shift[0]), round(SIDE / 2 - x + shift[1])


def _on_image(box: _Array, top: int, left: int) -> _Array:
    """Lay a box on a black image; what reaches beyond the image is cut off."""
    image = np.zeros((SIDE, SIDE, *box.shape[2:]), dtype=box.dtype)
    bottom, right = top + box.shape[0], left + box.shape[1]
    inside = box[max(-top, 0) : SIDE - top, max(-left, 0) : SIDE - left]
    image[max(top, 0) : bottom, max(left, 0) : right] = inside
    return image
