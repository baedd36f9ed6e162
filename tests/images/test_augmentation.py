import numpy as np
import pytest
import tensorflow as tf

from leukhelpers.errors import InputError
from leukhelpers.images import augmentation as augment
from leukhelpers.images.augmentation import (
    augment_batch,
    move,
    ordered_batches,
    recolor,
    steps_per_epoch,
    training_batches,
)


def discs(n=8, size=32, radius=9):
    """Discs with texture in the middle of a black image."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = (x**2 + y**2 < radius**2)[..., None]
    texture = np.random.default_rng(0).integers(60, 200, (n, size, size, 3))
    return (texture * inside).astype(np.uint8)


def draw(n, *numbers):
    return tf.constant([numbers] * n, tf.float32)


def test_augmented_images_are_floats_from_0_to_255():
    images = np.clip(discs().astype(int) * 3, 0, 255).astype(np.uint8)
    augmented = augment_batch(images, (0, 0)).numpy()
    assert augmented.dtype == np.float32
    assert augmented.shape == images.shape
    assert augmented.min() == 0
    assert 250 < augmented.max() <= 255


def test_black_stays_black():
    assert not np.any(augment_batch(np.zeros((4, 32, 32, 3), np.uint8), (0, 0)))
    # The disc may grow by a tenth and blur by a pixel; beyond that, nothing may appear.
    images = discs(n=64, radius=9)
    y, x = np.mgrid[:32, :32] - 15.5
    outside = x**2 + y**2 > (1.1 * 9 + 2) ** 2
    assert not np.any(augment_batch(images, (0, 0)).numpy()[:, outside])


def test_recoloring_leaves_every_black_pixel_exactly_black():
    images = discs()
    numbers = tf.random.stateless_uniform((8, 5), (0, 0), -1, 1)
    recolored = recolor(tf.cast(images, tf.float32), numbers).numpy()
    assert not np.any(recolored[images == 0])
    assert np.all(recolored[images > 0] > 0)


def test_no_strength_is_the_identity():
    images = tf.cast(discs(), tf.float32)
    np.testing.assert_allclose(recolor(images, draw(8, 0, 0, 0, 0, 0)), images, atol=1e-3)
    np.testing.assert_allclose(move(images, draw(8, 0, 0, 0)), images, atol=1e-3)


def test_contrast_scales_the_optical_densities_about_the_mean_color():
    images = discs()[:1].astype(np.float32)
    inside = images[0, ..., 0] > 0
    cell = images[0, inside]
    flat = recolor(tf.constant(images), draw(1, -1, 0, 0, 0, 0)).numpy()[0, inside]
    mean = images[0, ::4][inside[::4]].mean(axis=0)  # every fourth row is asked
    np.testing.assert_allclose(mean, cell.mean(axis=0), rtol=0.1)
    np.testing.assert_allclose(np.log(flat / mean), 0.95 * np.log(cell / mean), atol=1e-4)


def test_contrast_leaves_no_bright_or_colored_rim():
    """A rim pixel, a tenth cell and nine tenths black, stays dark and keeps its hue."""
    images = np.zeros((1, 32, 32, 3), np.float32)
    color = np.array([120.0, 60, 140])
    images[0, 8:24, 8:24] = color
    images[0, 7, 8:24] = color / 10
    for contrast in (-1, 1):
        rim = recolor(tf.constant(images), draw(1, contrast, 0, 0, 0, 0)).numpy()[0, 7, 8]
        assert np.all((rim > 0) & (rim < 0.2 * color))
        np.testing.assert_allclose(rim / rim.sum(), color / color.sum(), rtol=1e-3)


def test_brightness_and_stain_multiply_the_light():
    images = tf.cast(discs(), tf.float32)
    changed = recolor(images, draw(8, 0, 1, 0, 1, -1)).numpy()
    gains = changed.sum(axis=(1, 2)) / images.numpy().sum(axis=(1, 2))
    np.testing.assert_allclose(gains, [[1.03, 1.03 * 1.02, 1.03 / 1.02]] * 8, rtol=1e-4)


def test_half_a_turn_and_a_mirror_are_exact():
    images = tf.cast(discs(), tf.float32)
    turned = move(images, draw(8, 1, 0, 0))
    np.testing.assert_allclose(turned, images[:, ::-1, ::-1], atol=0.05)
    mirrored = move(images, draw(8, 0, -1, 0))
    np.testing.assert_allclose(mirrored, images[:, :, ::-1], atol=0.05)


def test_a_turn_keeps_the_mass():
    images = tf.cast(discs(), tf.float32)
    turned = move(images, draw(8, 0.3, 1, 0)).numpy()
    mass = turned.sum(axis=(1, 2, 3)) / images.numpy().sum(axis=(1, 2, 3))
    np.testing.assert_allclose(mass, 1, atol=0.02)


@pytest.mark.parametrize(("zoom", "factor"), [(1, 1.1), (-1, 1 / 1.1)])
def test_zoom_scales_the_area_by_its_square(zoom, factor):
    images = 100.0 * tf.cast(discs() > 0, tf.float32)
    zoomed = move(images, draw(8, 0, 0, zoom)).numpy()
    ratio = zoomed.sum() / images.numpy().sum()
    assert ratio == pytest.approx(factor**2, rel=0.03)


def test_images_of_a_batch_are_changed_each_in_its_own_way():
    images = np.repeat(discs(n=1), 4, axis=0)
    augmented = augment_batch(images, (0, 0)).numpy()
    for other in augmented[1:]:
        assert np.abs(other - augmented[0]).mean() > 1


def test_same_seed_pair_gives_the_same_images_and_another_others():
    images = discs()
    first = augment_batch(images, (3, 5)).numpy()
    np.testing.assert_array_equal(first, augment_batch(images, (3, 5)))
    for pair in [(3, 6), (4, 5)]:
        assert np.abs(first - augment_batch(images, pair).numpy()).mean() > 1


def batches(n_batches, seed=0, rows=None, batch_size=4, pixels=None):
    pixels = discs(n=12) if pixels is None else pixels
    rows = np.arange(len(pixels)) if rows is None else np.asarray(rows)
    served = training_batches(pixels, [np.arange(len(pixels))], rows, batch_size, seed)
    return [(x.numpy(), y.numpy()) for x, y in served.take(n_batches)]


def test_an_epoch_serves_every_row_once_and_the_next_in_another_order():
    labels = np.concatenate([y for _, y in batches(6)])
    first, second = labels[:12].tolist(), labels[12:].tolist()
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_only_the_given_rows_are_served():
    labels = np.concatenate([y for _, y in batches(6, rows=[1, 5, 7, 11], batch_size=2)])
    assert set(labels.tolist()) == {1, 5, 7, 11}


@pytest.fixture
def unchanged(monkeypatch):
    """Serve images as they are."""
    monkeypatch.setattr(augment, "augment_batch", lambda images, pair: tf.cast(images, tf.float32))


@pytest.mark.usefixtures("unchanged")
def test_images_stay_with_their_labels():
    pixels = discs(n=12)
    for images, labels in batches(3, pixels=pixels):
        np.testing.assert_array_equal(images, pixels[labels.astype(int)])


def test_each_epoch_augments_anew():
    served = batches(2, batch_size=12)
    epochs = [images[np.argsort(labels)] for images, labels in served]
    for first, second in zip(*epochs, strict=True):
        assert np.abs(first - second).mean() > 1


def test_one_image_alone_is_changed_anew_at_every_step():
    (first, _), (second, _) = batches(2, rows=[0], batch_size=1)
    assert np.abs(first - second).mean() > 1


def test_same_seed_serves_the_same_batches_and_another_seed_others():
    first, second, other = batches(5, seed=1), batches(5, seed=1), batches(5, seed=2)
    for (x1, y1), (x2, y2) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)
    assert any(np.any(y1 != y3) for (_, y1), (_, y3) in zip(first, other, strict=True))


def test_fewer_cells_than_a_batch_still_make_a_batch():
    assert steps_per_epoch(3, 64) == 1
    ((images, labels),) = batches(1, rows=[0, 1, 2], batch_size=64)
    assert len(images) == len(labels) == 3


def test_what_does_not_fit_into_memory_is_served_alike(monkeypatch):
    held = batches(4, rows=[1, 3, 4, 8, 9, 11])
    monkeypatch.setattr(augment, "IN_MEMORY", 0)
    for (x1, y1), (x2, y2) in zip(held, batches(4, rows=[1, 3, 4, 8, 9, 11]), strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)


def test_memory_mapped_pixels_are_read_batch_by_batch(tmp_path, monkeypatch):
    class Watched:
        """An array that remembers which rows were asked for."""

        def __init__(self, array):
            self.array, self.shape, self.asked = array, array.shape, []

        def __getitem__(self, rows):
            self.asked.append(len(rows))
            return self.array[rows]

    pixels = np.lib.format.open_memmap(tmp_path / "pixels.npy", "w+", np.uint8, (40, 8, 8, 3))
    watched = Watched(pixels)
    monkeypatch.setattr(augment, "IN_MEMORY", 0)
    list(training_batches(watched, [np.zeros(40)], np.arange(40), 4, 0).take(3))
    list(ordered_batches(watched, np.arange(40), 4))
    assert set(watched.asked) == {4}


def test_no_training_rows_is_refused():
    with pytest.raises(InputError, match="training rows"):
        batches(1, rows=[])


def test_ordered_batches_serve_each_row_once_in_order_with_its_columns():
    pixels, rows = discs(n=12), np.array([7, 2, 9, 4, 0])
    served = list(ordered_batches(pixels, rows, 2, 10 * rows))
    assert [len(images) for images, _ in served] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in served]), pixels[rows])
    np.testing.assert_array_equal(np.concatenate([y for _, y in served]), 10 * rows)


def test_later_epochs_are_served_as_if_the_earlier_ones_had_been():
    pixels = discs(n=12)
    through = training_batches(pixels, [np.arange(12)], np.arange(12), 4, 3).take(9)
    later = training_batches(pixels, [np.arange(12)], np.arange(12), 4, 3, first_epoch=2).take(3)
    for (x1, y1), (x2, y2) in zip(list(through)[6:], later, strict=True):
        np.testing.assert_array_equal(x1, x2)
        np.testing.assert_array_equal(y1, y2)


@pytest.mark.usefixtures("unchanged")
def test_columns_of_several_numbers_stay_with_their_images():
    pixels, several = discs(n=12), np.arange(36).reshape(12, 3)
    for images, rows, numbers in training_batches(
        pixels, [np.arange(12), several], np.arange(12), 4, 0
    ).take(3):
        np.testing.assert_array_equal(images, pixels[rows.numpy().astype(int)])
        np.testing.assert_array_equal(numbers, several[rows.numpy().astype(int)])


def loss(label, probability):
    return -label * np.log(probability) - (1 - label) * np.log(1 - probability)
