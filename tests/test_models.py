import keras
import numpy as np
import pytest

from leukhelpers.cells import InputError
from leukhelpers.models import build_area, build_cnn, logit_model


@pytest.fixture(scope="module")
def cnn():
    return build_cnn(32, seed=0)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


def test_cnn_has_the_layers_of_the_paper_in_each_block(cnn):
    kinds = [type(layer).__name__ for layer in cnn.layers]
    block = ["Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"]
    assert kinds[2:-4] == block * 5
    assert kinds[-4:] == ["GlobalAveragePooling2D", "Dropout", "Dense", "Activation"]
    assert [layer.name for layer in cnn.layers[-2:]] == ["logit", "probability"]


def test_cnn_is_small(cnn):
    assert 200_000 < cnn.count_params() < 600_000


def test_cnn_gives_one_probability_per_image(cnn, images):
    probabilities = cnn(images, training=False).numpy()
    assert probabilities.shape == (4, 1)
    assert np.all((probabilities > 0) & (probabilities < 1))


def test_cnn_takes_bytes_and_floats_alike(cnn, images):
    from_bytes = cnn(images, training=False)
    from_floats = cnn(images.astype(np.float32), training=False)
    np.testing.assert_array_equal(from_bytes, from_floats)


def test_cnn_repeats_itself_outside_training(cnn, images):
    np.testing.assert_array_equal(cnn(images), cnn(images))


def test_same_seed_gives_the_same_weights():
    for a, b in zip(build_cnn(32, 3).get_weights(), build_cnn(32, 3).get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_another_seed_gives_other_weights_in_every_kernel():
    first, second = build_cnn(32, 3), build_cnn(32, 4)
    pairs = zip(first.trainable_weights, second.trainable_weights, strict=True)
    kernels = [(a, b) for a, b in pairs if a.name == "kernel"]
    assert len(kernels) == 6
    for a, b in kernels:
        assert not np.array_equal(a.numpy(), b.numpy())


def test_saved_cnn_loads_in_safe_mode_and_predicts_the_same(cnn, images, tmp_path):
    cnn.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(images), cnn(images))


def test_logit_is_the_log_odds_of_the_probability(cnn, images):
    logits = logit_model(cnn)(images).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), cnn(images), rtol=1e-5)


def test_logit_model_shares_the_weights():
    model = build_cnn(32)
    logits = logit_model(model)
    model.get_layer("logit").bias.assign([5.0])
    assert float(logits.get_layer("logit").bias[0]) == 5.0


def test_logit_model_refuses_a_model_without_a_logit():
    inputs = keras.Input((8,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    with pytest.raises(InputError, match="logit"):
        logit_model(model)


def test_cnn_refuses_images_too_small_to_be_halved_five_times():
    with pytest.raises(InputError, match="32"):
        build_cnn(31)


def test_area_model_weighs_both_classes_alike():
    # 9 of 10 areas are ALL's: unweighted, the middle between the classes would go to ALL
    area = np.repeat([[1.0], [3.0]], [10, 90], axis=0)
    model = build_area().fit(area, np.repeat([0, 1], [10, 90]))
    assert model.predict_proba([[2.0]])[0, 1] == pytest.approx(0.5, abs=0.01)
