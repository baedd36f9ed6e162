"""A map that names what the network reads scores above random orders of tiles."""

import keras
import numpy as np
import pytest
from keras import layers

from leukhelpers.explain.deletion import deletion_scores

SIZE = 32


def square_model():
    """Logit = mean red light of a square in the upper left quarter, in units of 0.1."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(inputs)
    weights = np.zeros((SIZE, SIZE, 3))
    weights[8:14, 8:14, 0] = 10 / 255 / 6**2
    model = keras.Model(inputs, layers.Dense(1, name="logit", use_bias=False)(x))
    model.get_layer("logit").set_weights([weights.reshape(-1, 1)])
    return model


def disc(radius=12, value=120):
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2 + 0.5
    cell = np.zeros((SIZE, SIZE, 3), np.uint8)
    cell[x**2 + y**2 < radius**2] = value
    return cell


def test_a_right_map_beats_random_orders_and_a_wrong_one_loses():
    cells = np.stack([disc(value=value) for value in (60, 200)])
    # The wiped picture of a plain cell is the cell: only what differs within it counts.
    cells[:, 8:14, 8:14] = 250
    model, right = square_model(), np.zeros((2, SIZE, SIZE))
    right[:, 8:14, 8:14] = 1
    scores = deletion_scores(model, cells, right, cells, seed=0)
    assert np.all(scores > 0.2)
    assert np.all(deletion_scores(model, cells, -right, cells, seed=0) < -0.2)
    # A map without order is one more random order.
    many = np.repeat(cells[1:], 16, axis=0)
    many[:, 0, 0] = np.arange(16)[:, None]  # each picture has its own random orders
    flat = deletion_scores(model, many, np.zeros((16, SIZE, SIZE)), many, seed=0)
    assert abs(flat.mean()) < 0.15
    assert np.ptp(flat) > 0.01


@pytest.mark.slow
def test_score_of_an_image_hangs_on_no_other_image():
    rng = np.random.default_rng(0)
    cells = np.stack([disc(value=value) for value in (60, 200, 120)])
    cells[:, 8:14, 8:14] = rng.integers(150, 250, (3, 6, 6, 3))
    maps, model = rng.normal(size=(3, SIZE, SIZE)), square_model()
    maps[1] = 0  # ties are put into a random order, which is its own, too
    together = deletion_scores(model, cells, maps, cells[:1], seed=0)
    for order in ([2], [1], [0], [2, 1]):
        alone = deletion_scores(model, cells[order], maps[order], cells[:1], seed=0)
        np.testing.assert_allclose(alone, together[order], rtol=1e-4, atol=1e-6)
    assert not np.allclose(together, deletion_scores(model, cells, maps, cells[:1], seed=1))
