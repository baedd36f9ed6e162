"""Random changes of the training images that leave their diagnosis as it is.

Augmentation belongs to the input pipeline and never into a saved model: a model
that turns its input at random could be neither explained nor exported.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from leukhelpers.backend import tf
from leukhelpers.errors import InputError
from leukhelpers.images.preprocessing import read_rows

ZOOM = 1.1  # between 1/1.1 and 1.1 times as large
# Of color only a little: with three times as much the AUROC on unseen people is 0.02 lower
# (docs/experiments.md, strong color). In these cells color is evidence, and noise drowns it.
CONTRAST = 0.05  # 0.95 to 1.05 times the differences in optical density
BRIGHTNESS = 1.03  # all channels together, between 1/1.03 and 1.03 times
STAIN = 1.02  # each channel for itself, between 1/1.02 and 1.02 times

IN_MEMORY = 2**29  # bytes of training images that are held in memory; more are read by batch


def augment_batch(images: tf.Tensor, seed: tf.Tensor | tuple[int, int]) -> tf.Tensor:
    """Turn, mirror, zoom and recolor each image of a batch in its own way.

    Parameters
    ----------
    images : tensor of shape (n, height, width, 3)
        RGB values 0 to 255, uint8 or float; cells on black.
    seed : pair of int
        The same pair gives the same changes, at any time and in any order.

    Returns
    -------
    float32 tensor of the same shape
        RGB values 0 to 255; what was black stays black.

    Examples
    --------
    >>> import numpy as np
    >>> import leukhelpers as lk
    >>> images = np.full((2, 32, 32, 3), 90, np.uint8)
    >>> lk.augment_batch(images, (0, 1)).shape
    TensorShape([2, 32, 32, 3])
    """
    # Eight random numbers from -1 to 1 an image. A stateless generator depends on
    # its seed alone, so parallel work cannot change who gets which number.
    draw = tf.random.stateless_uniform((tf.shape(images)[0], 8), seed, -1.0, 1.0)
    return move(recolor(images, draw[:, 3:]), draw[:, :3])


def recolor(images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Change contrast, brightness and stain.

    All three act on the optical density, the logarithm of the light that passes, as
    more or less dye does (law of Beer and Lambert).

    Parameters
    ----------
    images : tensor of shape (n, height, width, 3)
        RGB values 0 to 255, uint8 or float.
    draw : float32 tensor of shape (n, 5)
        Numbers from -1 to 1: contrast, brightness, and one for each channel.
        Zeros leave the image as it is.

    Returns
    -------
    float32 tensor of the shape of `images`
    """
    return _compiled(_recolor)(images, draw)


def _recolor(images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Multiply and shift the logarithm of the light, each image and channel in its own way."""
    images = tf.cast(images, tf.float32)
    shape = tf.shape(images)
    # A row of pixels is one long line of red, green, blue, red …: to spread three numbers
    # over the last axis, of three, would cost more than all else here.
    lines = tf.reshape(images, (shape[0], shape[1], 3 * shape[2]))
    contrast = 1 + CONTRAST * draw[:, 0:1]
    gain = BRIGHTNESS ** draw[:, 1:2] * STAIN ** draw[:, 2:5]
    # The mean color is that of the cell alone, whatever share of the image it fills.
    # To stretch the light itself, not its logarithm, would leave a colored rim where
    # the cell fades to black.
    # Every fourth row tells it well enough.
    middle = tf.math.log(tf.maximum(_mean_color(lines[:, ::4]), 1.0))
    # Contrast about the middle and gain in one sum, since each pass over the pixels costs.
    # The logarithm of black is minus infinity, and its exponential black again.
    shift = tf.tile(middle * (1 - contrast) + tf.math.log(gain), (1, shape[2]))
    density = contrast[:, :, None] * tf.math.log(lines) + shift[:, None, :]
    return tf.reshape(tf.minimum(tf.exp(density), 255.0), shape)


def _mean_color(lines: tf.Tensor) -> tf.Tensor:
    """Average each channel over what is not black; images as lines of red, green, blue."""

    def summed(values: tf.Tensor) -> tf.Tensor:
        columns = tf.reduce_sum(values, axis=1)
        return tf.reduce_sum(tf.reshape(columns, (tf.shape(lines)[0], -1, 3)), axis=1)

    return tf.math.divide_no_nan(summed(lines), summed(tf.cast(lines > 0, tf.float32)))


def move(images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Turn by any angle, mirror and zoom, about the center.

    The three are one matrix, and the image is resampled once: each resampling
    blurs, and blur would become a sign of the augmented image.

    Parameters
    ----------
    images : float32 tensor of shape (n, height, width, 3)
        RGB values 0 to 255.
    draw : float32 tensor of shape (n, 3)
        Numbers from -1 to 1: angle in half turns, mirrored if below 0, zoom.
        Zeros leave the image as it is.

    Returns
    -------
    float32 tensor of the shape of `images`
        Bilinear; black where the old image has nothing.
    """
    return _compiled(_move)(images, draw)


@functools.cache
def _compiled(function: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Let XLA make one loop of a function's many small steps, where it is to be had.

    :func:`_move` is three times as fast so as TensorFlow's own operation, which works out
    anew for each channel where to read; :func:`_recolor` one and a half times as fast as
    step by step (benchmarks/input_pipeline.py measures the whole).
    """
    with tf.init_scope():  # to be tried now, and not when the pipeline that asks first is run
        try:
            tf.function(lambda x: x + 1, autograph=False, jit_compile=True)(tf.zeros(1))
        except (tf.errors.OpError, ValueError):  # without XLA: slower, the same numbers
            return tf.function(function, autograph=False)
        return tf.function(function, autograph=False, jit_compile=True)


def _move(images: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Read each pixel between four of the old image, weighed by their nearness."""
    shape = tf.shape(images)
    n, height, width = shape[0], shape[1], shape[2]
    column, row = _read_from(draw, height, width)
    left, top = tf.floor(column), tf.floor(row)
    beside, below = (column - left)[..., None], (row - top)[..., None]  # shares of the neighbors
    # In a black frame, one pixel wide before and two behind, every place has its neighbors.
    framed = tf.pad(images, [[0, 0], [1, 2], [1, 2], [0, 0]])
    wide = width + 3
    first = tf.cast((top + 1) * _float(wide) + left + 1, tf.int32)
    first = tf.reshape(first, (n, -1))
    lines = tf.reshape(framed, (n, -1, 3))

    def neighbors(steps: int | tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.gather(lines, first + steps, batch_dims=1), shape)

    upper = (1 - beside) * neighbors(0) + beside * neighbors(1)
    lower = (1 - beside) * neighbors(wide) + beside * neighbors(wide + 1)
    return (1 - below) * upper + below * lower


def _read_from(draw: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Say for each pixel of the new images at which column and row of the old it is read.

    What would be read outside is read in the black just beyond the edge: at -1, or behind the
    last pixel.
    """
    angle = math.pi * draw[:, 0, None, None]  # a cell on a slide has no up
    mirror = tf.where(draw[:, 1, None, None] < 0, -1.0, 1.0)
    zoom = ZOOM ** draw[:, 2, None, None]  # a power: as often smaller as larger
    middle_x, middle_y = _float(width - 1) / 2, _float(height - 1) / 2
    x = _float(tf.range(width))[None, None, :] - middle_x
    y = _float(tf.range(height))[None, :, None] - middle_y
    cos, sin = tf.cos(angle) / zoom, tf.sin(angle) / zoom
    column = mirror * (cos * x - sin * y) + middle_x
    row = sin * x + cos * y + middle_y
    column = tf.clip_by_value(column, -1.0, _float(width))
    return column, tf.clip_by_value(row, -1.0, _float(height))


def _float(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float32)


def steps_per_epoch(n_cells: int, batch_size: int) -> int:
    """Count the full batches in `n_cells`; at least 1."""
    return max(1, n_cells // batch_size)


def training_batches(
    pixels: np.ndarray,
    columns: Sequence[np.ndarray],
    rows: np.ndarray,
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Serve shuffled batches without end.

    Each epoch is a new order of `rows` and each batch a new augmentation, all drawn
    from `seed`: the same seed serves the same batches. An epoch has
    :func:`steps_per_epoch` batches; the few cells left over in it wait for another.

    Parameters
    ----------
    pixels : uint8 array of shape (n, size, size, 3)
        May be a memory map: no other rows are read, and if they need more than
        ``IN_MEMORY`` bytes, only those of a batch at a time.
    columns : sequence of arrays of shape (n,) or (n, k)
        What to serve beside the images, row for row with `pixels`: labels, weights.
    rows : int array of shape (m,)
        The rows to serve; no other row is touched.
    batch_size : int
        Images in a batch.
    seed : int
        Seed of orders and augmentations.
    first_epoch : int, default 0
        Epochs that were served before, in a training that was interrupted: what follows
        is what would have followed then.

    Returns
    -------
    tf.data.Dataset
        Tuples of images (float32, 0 to 255) and the columns (float32), without end.

    Raises
    ------
    InputError
        If there are no rows.
    """
    rows = np.asarray(rows)
    if len(rows) == 0:
        raise InputError("There are no training rows; give the split at least one group to train.")

    look_up = _look_up(pixels, rows)

    def epochs() -> Iterator[tuple]:
        steps = steps_per_epoch(len(rows), batch_size)
        step = itertools.count(first_epoch * steps)
        for epoch in itertools.count(first_epoch):
            order = np.random.default_rng([seed, epoch]).permutation(len(rows))
            for batch in range(steps):
                chosen = order[batch * batch_size : (batch + 1) * batch_size]
                beside = (column[rows[chosen]] for column in columns)
                yield chosen, (seed, next(step)), *beside

    @tf.autograph.experimental.do_not_convert  # there is no branch to convert, and it takes seconds
    def prepare(chosen: tf.Tensor, pair: tf.Tensor, *beside: tf.Tensor) -> tuple:
        images = augment_batch(look_up(chosen), pair)
        return tf.ensure_shape(images, (None, *pixels.shape[1:])), *beside

    signature = (tf.TensorSpec((None,), tf.int64), tf.TensorSpec((2,), tf.int64), *_specs(columns))
    batches = tf.data.Dataset.from_generator(epochs, output_signature=signature)
    # Batches are prepared side by side, yet served in the order of the generator.
    batches = batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def _look_up(pixels: np.ndarray, rows: np.ndarray) -> Callable[[tf.Tensor], tf.Tensor]:
    """Find how to get the images of some of `rows`: out of memory, if they fit there.

    Looked up by TensorFlow itself they need not wait for Python.
    """
    if len(rows) * math.prod(pixels.shape[1:]) <= IN_MEMORY:
        with tf.device("CPU"):
            held = tf.constant(pixels[rows])
        return lambda chosen: tf.gather(held, chosen)
    return lambda chosen: tf.numpy_function(
        lambda some: read_rows(pixels, rows[some]), [chosen], tf.uint8
    )


def ordered_batches(
    pixels: np.ndarray, rows: np.ndarray, batch_size: int, *columns: np.ndarray
) -> tf.data.Dataset:
    """Serve rows once, in order, as they are: for validation and prediction.

    Parameters
    ----------
    pixels : array of shape (n, size, size, 3)
        RGB values 0 to 255; may be a memory map: only the rows of a batch are read.
    rows : int array of shape (m,)
        The rows to serve.
    batch_size : int
        Images in a batch; the last may be smaller.
    *columns : arrays of shape (m,) or (m, k)
        What to serve beside the images, row for row with `rows`: labels, weights.

    Returns
    -------
    tf.data.Dataset
        Tuples of images and the columns, float32.
    """

    def once() -> Iterator[tuple[np.ndarray, ...]]:
        for start in range(0, len(rows), batch_size):
            part = slice(start, start + batch_size)
            yield read_rows(pixels, rows[part]), *(column[part] for column in columns)

    images = tf.TensorSpec((None, *pixels.shape[1:]), tf.float32)
    signature = (images, *_specs(columns))
    batches = tf.data.Dataset.from_generator(once, output_signature=signature)
    count = math.ceil(len(rows) / batch_size)
    return batches.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)


def _specs(columns: Sequence[np.ndarray]) -> list[tf.TensorSpec]:
    """Describe to TensorFlow what batches of some columns look like."""
    return [tf.TensorSpec((None, *column.shape[1:]), tf.float32) for column in columns]
