import keras
import numpy as np
import pytest
from keras import layers

from leukhelpers.cells import InputError
from leukhelpers.explain import (
    black_share,
    grad_cam,
    last_feature_layer,
    mask_share,
    randomise_weights,
    rank_similarity,
    shap_gradient,
)
from leukhelpers.models import build_cnn, logit_model

SIZE = 32
UPPER_LEFT = np.zeros((SIZE, SIZE), bool)
UPPER_LEFT[: SIZE // 2, : SIZE // 2] = True


@pytest.fixture(scope="module")
def cnn():
    return build_cnn(SIZE, seed=3)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def quadrant_model(sign=1.0):
    """Logit = sign * mean red light of the upper left quadrant, and nothing else."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(1, 1, use_bias=False, name="red")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(1, use_bias=False, name="logit")(x)
    model = keras.Model(inputs, layers.Activation("sigmoid", name="probability")(x))
    model.get_layer("red").set_weights([np.array([1.0, 0, 0]).reshape(1, 1, 3, 1)])
    weights = sign * UPPER_LEFT.reshape(-1, 1) / UPPER_LEFT.sum()
    model.get_layer("logit").set_weights([weights])
    return model


def smooth_model():
    """Logit = a weighted sum of squares: neither linear nor with a kink."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    initializer = keras.initializers.GlorotUniform(seed=1)
    x = layers.Conv2D(4, 3, activation="softplus", kernel_initializer=initializer)(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(1, kernel_initializer=keras.initializers.Constant(8.0), name="logit")(x)
    return keras.Model(inputs, layers.Activation("sigmoid", name="probability")(x))


def test_grad_cam_points_to_the_only_quadrant_that_counts():
    images = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    images[:, UPPER_LEFT] = 200  # light where it counts …
    images[:, ~UPPER_LEFT, 2] = 200  # … and of another colour elsewhere
    maps = grad_cam(quadrant_model(), images)
    np.testing.assert_allclose(mask_share(maps, np.stack([UPPER_LEFT] * 2)), 1)


def test_grad_cam_shows_nothing_where_all_speaks_for_hem():
    images = np.full((1, SIZE, SIZE, 3), 200, np.uint8)
    assert grad_cam(quadrant_model(), images).max() > 0
    assert not np.any(grad_cam(quadrant_model(sign=-1.0), images))


def test_grad_cam_of_a_worked_example():
    # The mean gradient is 1 / (32 * 32): the map is that times the ReLU's output.
    images = np.full((1, SIZE, SIZE, 3), 255, np.uint8)
    np.testing.assert_allclose(grad_cam(quadrant_model(), images), 1 / SIZE**2, rtol=1e-5)


def test_grad_cam_starts_from_the_logit_even_where_the_probability_is_saturated():
    model = build_cnn(SIZE, seed=3)
    images = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), dtype=np.uint8)
    before = grad_cam(model, images)
    model.get_layer("logit").bias.assign([50.0])  # P(ALL) is now 1 to the last bit
    np.testing.assert_allclose(grad_cam(model, images), before, rtol=1e-5)
    assert before.max() > 0


def test_grad_cam_of_a_batch_is_that_of_each_image(cnn, images):
    many = np.concatenate([images] * 12)  # more than one batch
    maps = grad_cam(cnn, many)
    assert maps.shape == (36, SIZE, SIZE)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    np.testing.assert_allclose(maps[:3], grad_cam(cnn, images), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(maps[33:], maps[:3], rtol=1e-4, atol=1e-7)


def test_grad_cam_works_on_a_frozen_model(images):
    model = build_cnn(SIZE, seed=3)
    expected = grad_cam(model, images)
    model.trainable = False
    np.testing.assert_allclose(grad_cam(model, images), expected, rtol=1e-5)


def test_last_feature_layer_is_the_relu_after_the_last_convolution(cnn):
    assert last_feature_layer(cnn).name == "relu4"


def test_grad_cam_takes_another_layer_by_name_and_refuses_an_unknown_one(cnn, images):
    assert not np.array_equal(grad_cam(cnn, images, "relu2"), grad_cam(cnn, images))
    with pytest.raises(InputError, match="relu4"):
        grad_cam(cnn, images, "relu6")


def test_grad_cam_refuses_a_model_without_convolution(images):
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Dense(1, name="logit")(layers.Flatten()(inputs))
    with pytest.raises(InputError, match="convolution"):
        grad_cam(keras.Model(inputs, x), images)


def test_shap_adds_up_to_the_logit_above_the_background(images):
    model = smooth_model()
    dark = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    values = shap_gradient(model, images, dark, n_samples=300)
    logits = logit_model(model)
    expected = logits(images).numpy()[:, 0] - logits(dark).numpy().mean()
    assert np.all(np.abs(expected) > 0.5)
    np.testing.assert_allclose(values.sum(axis=(1, 2, 3)), expected, rtol=0.03)
    # The probability moves otherwise: whoever explained it would fail here.
    probability = model(images).numpy()[:, 0] - model(dark).numpy().mean()
    assert np.all(np.abs(probability - expected) > 0.1)


def test_shap_of_a_linear_model_is_weight_times_difference():
    images = np.full((1, SIZE, SIZE, 3), 200, np.uint8)
    background = np.full((1, SIZE, SIZE, 3), 100, np.uint8)
    values = shap_gradient(quadrant_model(), images, background, n_samples=5)
    expected = np.zeros((1, SIZE, SIZE, 3))
    expected[0, UPPER_LEFT, 0] = 100 / 255 / UPPER_LEFT.sum()
    np.testing.assert_allclose(values, expected, atol=1e-7)


def test_shap_does_not_overflow_bytes():
    """A darker image than its background has negative differences."""
    images = np.full((1, SIZE, SIZE, 3), 100, np.uint8)
    background = np.full((1, SIZE, SIZE, 3), 200, np.uint8)
    values = shap_gradient(quadrant_model(), images, background, n_samples=5)
    assert values.sum() == pytest.approx(-100 / 255, rel=1e-4)


def test_shap_of_the_network_repeats_with_its_seed_and_leaves_numpy_as_it_was(
    cnn, images, capfd, recwarn
):
    np.random.seed(7)
    expected_draw = np.random.rand()
    np.random.seed(7)
    first = shap_gradient(cnn, images[:1], images, n_samples=6, seed=3)
    assert np.random.rand() == expected_draw
    assert first.shape == (1, SIZE, SIZE, 3)
    assert first.dtype == np.float32
    again = shap_gradient(cnn, images[:1], images, n_samples=6, seed=3)
    np.testing.assert_array_equal(first, again)
    other = shap_gradient(cnn, images[:1], images, n_samples=6, seed=4)
    assert not np.array_equal(first, other)
    assert capfd.readouterr().out == ""
    assert not [warning for warning in recwarn if "structure" in str(warning.message)]


def test_shap_refuses_a_background_of_another_shape(cnn, images):
    with pytest.raises(InputError, match="background"):
        shap_gradient(cnn, images, images[:, :16])
    with pytest.raises(InputError, match="background"):
        shap_gradient(cnn, images, images[:0])


def test_randomised_copy_forgets_and_leaves_the_original(cnn, images):
    model = build_cnn(SIZE, seed=3)
    mean = model.get_layer("norm1").moving_mean
    mean.assign(np.full(mean.shape, 9.0))
    before = [weight.copy() for weight in model.get_weights()]
    fresh = randomise_weights(model, seed=5)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)
    for old, new in zip(model.weights, fresh.weights, strict=True):
        assert old.shape == new.shape
        if len(old.shape) > 1:
            assert abs(np.corrcoef(old.numpy().ravel(), new.numpy().ravel())[0, 1]) < 0.3
    assert not np.any(fresh.get_layer("norm1").moving_mean)
    assert not np.allclose(model(images), fresh(images))


def test_randomised_copies_differ_by_seed_and_repeat(cnn, images):
    same = [randomise_weights(cnn, 5)(images).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], randomise_weights(cnn, 6)(images))


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


def test_black_share_counts_what_lies_off_the_cell():
    images = np.zeros((1, 2, 2, 3), np.uint8)
    images[0, 0, 0, 1] = 1  # nearly black is cell
    attributions = np.array([[[1.0, 1], [1, -1]]])
    assert black_share(attributions, images).tolist() == [0.75]


def test_rank_similarity_heeds_only_the_places_inside():
    a = np.array([[1.0, 2.0, 3.0, 9.0, 9.0]])
    b = np.array([[3.0, 2.0, 1.0, 9.0, 99.0]])
    inside = np.array([[True, True, True, False, False]])
    assert rank_similarity(a, b, inside) == pytest.approx([-1.0])
    assert rank_similarity(a, b)[0] > -0.5
