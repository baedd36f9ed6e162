import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.models import training
from leukhelpers.models.classical import class_weights, fit_area, predict_area
from leukhelpers.models.networks import build_cnn
from leukhelpers.models.profiles import Profile
from leukhelpers.models.training import fit, make_deterministic, predict


def discs(n=160, size=32, seed=0):
    """Dark discs are HEM, bright ones ALL; sizes do not tell."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = rng.uniform(8, 12, (n, 1, 1))
    inside = (x**2 + y**2 < radius**2)[..., None]
    light = np.where(labels == ALL, 180, 90)[:, None, None, None]
    return ((light + rng.normal(0, 15, (n, size, size, 3))) * inside).astype(np.uint8), labels


SPLIT = SimpleNamespace(
    train=np.arange(96), validation=np.arange(96, 128), test=np.arange(128, 160)
)
SETTINGS = Profile("tiny", 0, 0, epochs=4, batch_size=16, learning_rate=3e-3)
PARTS = SPLIT.train, SPLIT.validation


class Guarded:
    """Pixels that may not be asked for the rows of the test part."""

    def __init__(self, array, forbidden):
        self.array, self.shape, self.ndim = array, array.shape, array.ndim
        self.forbidden = set(forbidden.tolist())

    def __getitem__(self, rows):
        assert not self.forbidden & set(np.asarray(rows).tolist()), "test rows were read"
        return self.array[rows]


@pytest.fixture(scope="module")
def trained():
    pixels, labels = discs()
    model = build_cnn(32, seed=0)
    history = fit(model, Guarded(pixels, SPLIT.test), labels, *PARTS, SETTINGS, seed=0)
    return model, history


@pytest.mark.slow
def test_network_learns_bright_from_dark(trained):
    pixels, labels = discs()
    probabilities = predict(trained[0], pixels, SPLIT.test)
    assert np.mean((probabilities > 0.5) == labels[SPLIT.test]) > 0.9


def test_history_has_one_row_an_epoch_and_the_columns_of_the_contract(trained):
    history = trained[1]
    assert history.columns.tolist() == [
        "epoch", "accuracy", "auroc", "loss", "val_accuracy", "val_auroc", "val_loss",
    ]  # fmt: skip
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history.notna().all(axis=None)


def test_model_ends_with_the_weights_of_its_last_epoch(trained):
    pixels, labels = discs()
    model, history = trained
    probabilities = predict(model, pixels, SPLIT.validation)
    truth = labels[SPLIT.validation]
    loss = -np.log(np.where(truth == ALL, probabilities, 1 - probabilities)).mean()
    assert loss == pytest.approx(history["val_loss"].iloc[-1], rel=1e-3)


def test_prediction_depends_on_the_row_alone(trained):
    pixels, _ = discs()
    everything = predict(trained[0], pixels)
    assert everything.shape == (160,)
    rows = np.array([140, 3, 77])
    some = predict(trained[0], pixels, rows, batch_size=2)
    np.testing.assert_allclose(some, everything[rows], rtol=1e-4)
    assert predict(trained[0], pixels, np.array([], int)).shape == (0,)


def test_prediction_takes_bytes_and_floats_alike(trained):
    pixels, _ = discs(8)
    as_floats = predict(trained[0], pixels.astype(np.float32))
    np.testing.assert_array_equal(predict(trained[0], pixels), as_floats)


def test_class_weights_of_a_worked_example():
    # 3 of 4 cells are ALL: each weighs 4 / (2 * 3), the only HEM 4 / (2 * 1)
    assert class_weights(np.array([1, 1, 0, 1])) == {HEM: 2.0, ALL: pytest.approx(2 / 3)}


def test_class_weights_make_both_classes_weigh_the_same():
    labels = np.repeat([HEM, ALL], [31, 69])
    weights = class_weights(labels)
    assert 31 * weights[HEM] == pytest.approx(69 * weights[ALL])
    assert 31 * weights[HEM] + 69 * weights[ALL] == pytest.approx(100)


@pytest.mark.parametrize("labels", [[], [1, 1], [0, 0], [0, 1, -1]])
def test_class_weights_refuse_a_missing_class_or_an_unknown_label(labels):
    with pytest.raises(InputError, match="Both classes"):
        class_weights(np.array(labels))


@pytest.mark.parametrize(("part", "rows"), [("train", []), ("train", [0, 2]), ("validation", [8])])
def test_fit_refuses_a_part_without_both_classes(part, rows):
    pixels, labels = discs(16)
    parts = {"train": np.arange(8), "validation": np.arange(8, 16), "test": np.array([], int)}
    split = SimpleNamespace(**{**parts, part: np.array(rows, int)})
    with pytest.raises(InputError, match=part):
        fit(build_cnn(32), pixels, labels, split.train, split.validation, SETTINGS, seed=0)


def test_a_trained_network_keeps_neither_optimizer_nor_metrics(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").compiled


class Interrupted(keras.callbacks.Callback):
    """Break a training off in the middle of its third epoch."""

    def on_train_batch_end(self, batch, logs=None):
        if len(self.model.history.epoch) == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_interrupted_training_ends_as_if_it_had_not_been(tmp_path):
    pixels, labels = discs()
    rest = {"profile": SETTINGS, "seed": 0}
    through, broken = build_cnn(32, seed=0), build_cnn(32, seed=0)
    make_deterministic(0)
    wanted = fit(through, pixels, labels, *PARTS, **rest)
    make_deterministic(0)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, pixels, labels, *PARTS, callbacks=[Interrupted()], backup=tmp_path, **rest)
    make_deterministic(0)
    again = build_cnn(32, seed=5)  # its own weights must not matter
    history = fit(again, pixels, labels, *PARTS, backup=tmp_path, **rest)
    columns = ["epoch", "loss", "val_loss"]
    np.testing.assert_allclose(history[columns], wanted[columns], rtol=1e-6)
    np.testing.assert_array_equal(predict(again, pixels), predict(through, pixels))
    # and once more, when all is done, nothing is trained
    finished = build_cnn(32, seed=6)
    fit(finished, pixels, labels, *PARTS, backup=tmp_path, **rest)
    np.testing.assert_array_equal(predict(finished, pixels), predict(through, pixels))


@pytest.mark.slow
@pytest.mark.parametrize("told", ["", '{"epo', "the epoch before"])
def test_a_training_that_was_broken_off_while_saving_takes_the_copy(told, tmp_path):
    pixels, labels = discs()
    wanted = build_cnn(32, seed=0)
    make_deterministic(0)
    fit(wanted, pixels, labels, *PARTS, SETTINGS, seed=0)
    make_deterministic(0)
    with pytest.raises(KeyboardInterrupt):
        fit(build_cnn(32, seed=0), pixels, labels, *PARTS, SETTINGS, 0, [Interrupted()], tmp_path)
    state = tmp_path / "state"
    saved = state / "training_metadata.json"
    earlier = (state / "training_metadata.json.bkp").read_text()
    assert saved.read_text() != earlier
    saved.write_text(earlier if told == "the epoch before" else told)
    make_deterministic(0)
    again = build_cnn(32, seed=5)
    history = fit(again, pixels, labels, *PARTS, SETTINGS, seed=0, backup=tmp_path)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(predict(again, pixels), predict(wanted, pixels))


@pytest.mark.slow
def test_a_backup_that_was_cut_short_begins_anew(tmp_path):
    pixels, labels = discs()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "training_metadata.json").write_text('{"epo')
    history = fit(build_cnn(32), pixels, labels, *PARTS, SETTINGS, seed=0, backup=tmp_path)
    assert history["epoch"].tolist() == [1, 2, 3, 4]


TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
some = [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[1])
tf.config.set_logical_device_configuration(cpu, some)
from test_training import PARTS, SETTINGS, SPLIT, discs
from leukhelpers.models.networks import build_cnn
from leukhelpers.models.profiles import Profile
from leukhelpers.models.training import devices, fit, make_deterministic, predict

make_deterministic(0)
pixels, labels = discs()
with devices().scope():
    model = build_cnn(32, seed=0)
history = fit(model, pixels, labels, *PARTS, SETTINGS, seed=0)
right = np.mean((predict(model, pixels, SPLIT.test) > 0.5) == labels[SPLIT.test])
print(json.dumps([devices().num_replicas_in_sync, right, float(history["val_loss"].iloc[-1])]))
"""


@pytest.mark.slow
def test_two_devices_share_a_training_and_reach_what_one_reaches():
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parents[1]}"}
    found = []
    for number in ("1", "2"):
        command = [sys.executable, "-c", TWO_DEVICES, number]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    (one, right_of_one, loss_of_one), (two, right_of_two, loss_of_two) = found
    assert (one, two) == (1, 2)
    assert min(right_of_one, right_of_two) > 0.9
    assert abs(loss_of_one - loss_of_two) < 0.15


SCRIPT = """
import hashlib, sys
from dataclasses import replace
import numpy as np
from test_training import PARTS, SETTINGS, SPLIT, discs
from leukhelpers.models.networks import build_cnn
from leukhelpers.models.profiles import Profile
from leukhelpers.models.training import fit, make_deterministic, predict

make_deterministic(1)
pixels, labels = discs()
shown = pixels.copy()
if sys.argv[1] == "poisoned":
    shown[SPLIT.test] = 255
    labels[SPLIT.test] = -99
model = build_cnn(32, seed=1)
history = fit(model, shown, labels, *PARTS, replace(SETTINGS, epochs=2), seed=1)
numbers = [predict(model, pixels), history.to_numpy()]
print(hashlib.sha256(b"".join(x.tobytes() for x in numbers)).hexdigest())
"""


def digest(argument):
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parents[1]}"}
    command = [sys.executable, "-c", SCRIPT, argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.slow
def test_training_repeats_bit_for_bit_in_a_fresh_process_whatever_the_test_rows_hold():
    plain = digest("plain")
    assert len(plain.strip()) == 64
    assert plain == digest("poisoned")


def grown(n=80):
    """ALL cells are larger: 12 pixels square against 6."""
    labels = np.arange(n) % 2
    pixels = np.zeros((n, 32, 32, 3), np.uint8)
    for row, label in enumerate(labels):
        edge = 12 if label == ALL else 6
        pixels[row, : edge + row % 3, :edge] = 100
    return pixels, labels


def test_area_model_ranks_cells_by_size_and_ignores_the_test_rows():
    pixels, labels = grown()
    poisoned = np.where(np.arange(80) < 40, labels, -99)
    split = SimpleNamespace(train=np.arange(40), validation=np.array([], int), test=None)
    pipeline = fit_area(Guarded(pixels, np.arange(40, 80)), poisoned, split, crop=384)
    probabilities = predict_area(pipeline, pixels, np.arange(40, 80), crop=384)
    np.testing.assert_array_equal(probabilities > 0.5, labels[40:] == ALL)
    assert predict_area(pipeline, pixels, np.array([], int), crop=384).shape == (0,)


def test_area_model_refuses_training_rows_of_one_class():
    pixels, labels = grown()
    split = SimpleNamespace(train=np.array([0, 2, 4]))
    with pytest.raises(InputError, match="training rows"):
        fit_area(pixels, labels, split, crop=384)


def test_validation_cells_weigh_by_the_classes_among_them(monkeypatch):
    pixels, labels = discs(40)
    hem, all_ = np.flatnonzero(labels == HEM), np.flatnonzero(labels == ALL)
    split = SimpleNamespace(
        train=np.concatenate([hem[:4], all_[:12]]), validation=np.concatenate([hem[4:], all_[12:]])
    )
    seen = []

    def watched(pixels, rows, batch_size, *columns):
        seen.append(columns[-1])
        raise InterruptedError

    monkeypatch.setattr(training, "ordered_batches", watched)
    with pytest.raises(InterruptedError):
        fit(build_cnn(32), pixels, labels, split.train, split.validation, SETTINGS, seed=0)
    (weights,) = seen
    for label in (HEM, ALL):  # 16 of HEM, 8 of ALL
        assert weights[labels[split.validation] == label].sum() == pytest.approx(12)
