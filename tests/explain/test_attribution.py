import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from leukhelpers.errors import InputError
from leukhelpers.explain.attribution import METHODS, explain_pixels
from leukhelpers.explain.common import logits
from leukhelpers.explain.grad_cam import grad_cam, last_feature_layer
from leukhelpers.explain.integrated_gradients import integrated_gradients
from leukhelpers.explain.shap_values import (
    explain_features,
    shap_gradient,
)
from leukhelpers.models.classical import build_forest, build_svm, fit_calibrated
from leukhelpers.models.networks import average_rotations, build_cnn, logit_model

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
    images[:, ~UPPER_LEFT, 2] = 200  # … and of another color elsewhere
    maps = grad_cam(quadrant_model(), images)
    assert maps[:, UPPER_LEFT].min() > 0
    assert not maps[:, ~UPPER_LEFT].any()


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


def test_an_image_is_explained_alike_whichever_others_there_are(cnn, images):
    together = shap_gradient(cnn, images, images, n_samples=6)
    alone = shap_gradient(cnn, images[2:], images, n_samples=6)
    np.testing.assert_allclose(together[2:], alone, rtol=1e-4, atol=1e-8)


def test_grad_cam_of_averaged_rotations_turns_with_the_image(images):
    averaged = average_rotations(build_cnn(SIZE, seed=3))
    assert last_feature_layer(averaged).name == "maps"
    turned = grad_cam(averaged, np.rot90(images, 1, (1, 2)))
    np.testing.assert_allclose(turned, np.rot90(grad_cam(averaged, images), 1, (1, 2)), atol=1e-5)


def test_integrated_gradients_of_a_linear_model_are_weight_times_difference():
    images = np.full((2, SIZE, SIZE, 3), 200, np.uint8)
    background = np.stack([np.full((SIZE, SIZE, 3), value, np.uint8) for value in (50, 150)])
    values = integrated_gradients(quadrant_model(), images, background)
    expected = np.zeros((2, SIZE, SIZE, 3))
    expected[:, UPPER_LEFT, 0] = 100 / 255 / UPPER_LEFT.sum()
    np.testing.assert_allclose(values, expected, atol=1e-7)


@pytest.mark.slow
def test_attributions_add_up_to_the_logit_above_that_of_the_mean_picture(images):
    model, dark = smooth_model(), np.zeros((2, SIZE, SIZE, 3), np.uint8)
    maps = explain_pixels("integrated", model, images, dark)
    wanted = logits(model, images) - logits(model, dark[:1])
    assert np.all(np.abs(wanted) > 0.5)
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), wanted, rtol=0.01)


def test_unknown_method_is_refused_with_those_there_are(cnn, images):
    with pytest.raises(InputError, match=", ".join(METHODS)):
        explain_pixels("tealeaves", cnn, images, images)


@pytest.fixture(scope="module")
def measured():
    """120 cells of 12 groups: the label hangs on the feature `grain` alone."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(120, 3)), columns=["area", "grain", "hue"])
    labels = (table["grain"] > 0).astype(int).to_numpy()
    return table, labels, np.repeat(np.arange(12), 10)


@pytest.mark.parametrize(("build", "unit"), [(build_forest, "probability"), (build_svm, "logits")])
def test_features_are_named_and_their_shares_add_up_to_the_answer(build, unit, measured):
    table, labels, groups = measured
    model = fit_calibrated(build(), table, labels, groups)
    shares = explain_features(model, table[:4], table[100:108])
    assert shares.unit == unit
    assert list(shares.values) == ["area", "grain", "hue"]
    probability = model.predict_proba(table[:4].to_numpy())[:, 1]
    answer = probability if unit == "probability" else np.log(probability / (1 - probability))
    np.testing.assert_allclose(shares.values.sum(axis=1) + shares.base, answer, atol=1e-3)
    assert shares.values.abs().mean().idxmax() == "grain"
    clear = table["grain"][:4].abs() > 0.3
    assert clear.sum() >= 2
    assert (np.sign(shares.values["grain"]) == np.sign(table["grain"][:4]))[clear].all()


def test_features_of_other_names_are_refused(measured):
    table, labels, groups = measured
    model = fit_calibrated(build_svm(), table, labels, groups)
    with pytest.raises(InputError, match="same features"):
        explain_features(model, table[:4], table[["grain", "area", "hue"]])


def test_integrated_gradients_of_a_square_are_exact():
    """Of x² the slope grows evenly: only steps that are read in their middle add up."""
    inputs = keras.Input((2, 2, 3))
    x = layers.Flatten()(layers.Multiply()([inputs, inputs]))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="logit")(x))
    weights = np.linspace(-1, 1, 12, dtype=np.float32)[:, None] / 255
    model.get_layer("logit").set_weights([weights])
    rng = np.random.default_rng(0)
    images, background = rng.integers(0, 256, (2, 3, 2, 2, 3)).astype(np.float32)
    found = integrated_gradients(model, images, background)
    expected = (images**2 - background.mean(axis=0) ** 2) * weights.reshape(2, 2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
