import ast
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from leukhelpers.errors import InputError
from leukhelpers.images.features import cell_area
from leukhelpers.models.classical import (
    build_area,
    build_forest,
    build_svm,
    fit_area,
    fit_calibrated,
    fit_linear,
    predict_area,
)
from leukhelpers.models.networks import average_rotations, build_cnn, logit_model, multiply_adds


@pytest.fixture(scope="module")
def cnn():
    return build_cnn(32, seed=0)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


def test_cnn_has_the_layers_of_the_paper_in_each_block(cnn):
    kinds = [type(layer).__name__ for layer in cnn.layers]
    block = ["Conv2D", "BatchNormalization", "ReLU"]
    assert kinds[2:-4] == [*([*block, "MaxPooling2D"] * 3), *block]
    assert kinds[-4:] == ["GlobalAveragePooling2D", "Dropout", "Dense", "Activation"]
    assert [layer.name for layer in cnn.layers[-2:]] == ["logit", "probability"]


def test_cnn_is_small(cnn):
    assert 100_000 < cnn.count_params() < 250_000  # four of them: at most a million


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
    assert len(kernels) == 5
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


def test_area_model_of_three_classes_gives_each_cell_the_probabilities_of_the_regression():
    labels = np.arange(60) % 3
    pixels = np.zeros((60, 16, 16, 3), np.uint8)
    for row, label in enumerate(labels):
        pixels[row, : 4 + 3 * label + row % 4, :8] = 100
    split = SimpleNamespace(train=np.arange(40))
    learnt = fit_area(pixels, labels, split, 32, n_classes=3)
    found = predict_area(learnt, pixels, np.arange(40, 60), 32)
    areas = cell_area(pixels, 32)[:, None]
    fitted = build_area().fit(areas[:40], labels[:40])
    np.testing.assert_allclose(found, fitted.predict_proba(areas[40:]), rtol=1e-6)


def test_multiply_adds_of_a_worked_example():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)  # 64 places, 27 weights, 4 maps
    x = keras.layers.DepthwiseConv2D(3, strides=2, padding="same")(x)  # 16 places, 9, 4 maps
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    assert multiply_adds(keras.Model(inputs, x)) == 64 * 27 * 4 + 16 * 9 * 4 + 4 * 2


@pytest.fixture(scope="module")
def people():
    """Numbers of 40 people, 10 rows each; two of six columns tell the class."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    labels = groups % 2
    values = rng.normal(0, 1, (400, 6)) * [1, 10, 1, 1, 1, 1] + [0, 50, 0, 0, 0, 0]
    values[:, 0] += 3 * labels
    values[:, 1] += 30 * labels
    return pd.DataFrame(values, columns=list("abcdef")), labels, groups


@pytest.mark.parametrize("build", [build_svm, build_forest])
def test_classical_models_learn_and_give_probabilities(build, people):
    values, labels, groups = people
    model = fit_calibrated(build(), values[:300], labels[:300], groups[:300])
    answers = model.predict_proba(values[300:].to_numpy())
    assert answers.shape == (100, 2)
    np.testing.assert_allclose(answers.sum(axis=1), 1)
    assert np.mean((answers[:, 1] > 0.5) == labels[300:]) > 0.9


def test_probabilities_of_the_svm_are_set_by_people_that_it_did_not_know():
    """With features that mean nothing, a margin on known people would look certain."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(30), 8)
    values = pd.DataFrame(np.repeat(rng.normal(size=(30, 20)), 8, axis=0))
    labels = groups % 2
    alone = np.arange(len(labels))  # the lie that every cell is its own person
    certain = [
        np.abs(
            fit_calibrated(build_svm(), values, labels, g).predict_proba(values.to_numpy()) - 0.5
        )
        for g in (groups, alone)
    ]
    assert certain[0].mean() < 0.85 * certain[1].mean()


def test_the_svm_keeps_no_list_of_who_was_in_which_fold(people):
    assert fit_calibrated(build_svm(), *people).cv is None


def test_classical_models_need_two_groups_of_each_class(people):
    values, labels, _ = people
    with pytest.raises(InputError, match="at least 2 groups"):
        fit_calibrated(build_svm(), values, labels, labels)


def test_a_linear_head_gives_the_probabilities_of_the_regression_it_was_fitted_as(people):
    values, labels, groups = people
    weights, bias = fit_linear(values.to_numpy(), labels, groups)
    assert weights.shape == (6, 1)
    assert bias.shape == (1,)
    logits = values.to_numpy() @ weights + bias
    assert np.mean((logits[:, 0] > 0) == labels) > 0.9
    # moving a feature's origin and scale changes nothing of the answers
    moved, shifted = fit_linear(values.to_numpy() * 7 + 3, labels, groups)
    np.testing.assert_allclose((values.to_numpy() * 7 + 3) @ moved + shifted, logits, atol=1e-3)


def test_a_linear_head_of_three_classes_has_an_output_for_each(people):
    values, _, groups = people
    weights, bias = fit_linear(values.to_numpy(), groups % 3, groups)
    assert weights.shape == (6, 3)
    assert bias.shape == (3,)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_logit_of_averaged_rotations_is_the_mean_of_four(images, n_classes):
    network = build_cnn(32, 1, n_classes)
    averaged = average_rotations(network)
    assert averaged.count_params() == network.count_params()
    assert multiply_adds(averaged) == pytest.approx(4 * multiply_adds(network), rel=1e-3)
    logits, of_averaged = (
        keras.Model(model.input, model.get_layer("logit").output) for model in (network, averaged)
    )
    turned = [logits(np.rot90(images, quarters, (1, 2)).copy()) for quarters in range(4)]
    assert np.ptp(turned, axis=0).max() > 1e-3
    np.testing.assert_allclose(of_averaged(images), np.mean(turned, axis=0), atol=1e-5)


def test_averaged_rotations_survive_a_file_in_safe_mode(images, tmp_path):
    averaged = average_rotations(build_cnn(32, 1))
    averaged.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(images), averaged(images))


def test_probabilities_of_the_svm_do_not_lean_to_the_larger_class():
    groups = np.repeat(np.arange(40), 5)
    labels = (groups % 4 > 0) * 1  # three of four people are leukemic
    noise = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)))
    answers = fit_calibrated(build_svm(), noise, labels, groups).predict_proba(noise.to_numpy())
    assert answers[:, 1].mean() == pytest.approx(0.5, abs=0.1)


def test_the_network_typed_in_lesson_05_is_that_of_the_package_layer_by_layer():
    source = (Path(__file__).parents[2] / "lessons" / "05_cnn_training.py").read_text("utf-8")
    (typed,) = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and node.name == "build_cnn"
    ]
    found: dict[str, object] = {"keras": keras, "layers": keras.layers}
    exec(ast.unparse(typed), found)  # the lesson's own cell
    lesson, package = found["build_cnn"](64), build_cnn(64)

    def described(model: keras.Model) -> list[tuple[str, dict]]:
        by_chance = {"name", "seed", "kernel_initializer", "dtype"}
        configs = [(type(layer).__name__, layer.get_config()) for layer in model.layers]
        return [
            (kind, {key: value for key, value in config.items() if key not in by_chance})
            for kind, config in configs
        ]

    assert described(lesson) == described(package)
    assert lesson.count_params() == package.count_params()
