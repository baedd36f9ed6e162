import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leukhelpers.data.schema import ALL, HEM
from leukhelpers.errors import InputError
from leukhelpers.models import schedule, training
from leukhelpers.models.classical import class_weights, fit_area, predict_area
from leukhelpers.models.epochs import Settings, kept_epoch
from leukhelpers.models.networks import build_cnn
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
SETTINGS = Settings(epochs=4, batch_size=16, learning_rate=3e-3, patience=4, augment=True)
BLENDED = replace(SETTINGS, blended=0.8)


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
    history = fit(model, Guarded(pixels, SPLIT.test), labels, SPLIT, SETTINGS, seed=0)
    return model, history


@pytest.mark.slow
def test_network_learns_bright_from_dark(trained):
    pixels, labels = discs()
    probabilities = predict(trained[0], pixels, SPLIT.test)
    assert np.mean((probabilities > 0.5) == labels[SPLIT.test]) > 0.9


def test_history_has_one_row_an_epoch_and_the_columns_of_the_contract(trained):
    history = trained[1]
    assert history.columns.tolist() == [
        "epoch", "loss", "accuracy", "auroc", "val_loss", "val_accuracy", "val_auroc",
        "learning_rate", "seconds",
    ]  # fmt: skip
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history.notna().all(axis=None)
    assert (history["seconds"] > 0).all()
    assert history["learning_rate"].between(0, 3e-3).all()


def test_model_ends_with_the_weights_of_its_best_epoch(trained):
    pixels, labels = discs()
    model, history = trained
    probabilities = predict(model, pixels, SPLIT.validation)
    truth = labels[SPLIT.validation]
    loss = -np.log(np.where(truth == ALL, probabilities, 1 - probabilities)).mean()
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-3)


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


class Worsening(keras.callbacks.Callback):
    """Spoil the model a little more after each validation."""

    def on_test_end(self, logs=None):
        self.model.get_layer("logit").bias.assign_add([5.0])


@pytest.mark.slow
def test_training_stops_after_patience_and_slows_down_before():
    pixels, labels = discs(64)
    split = SimpleNamespace(train=np.arange(32), validation=np.arange(32, 64), test=np.array([]))
    settings = Settings(epochs=20, batch_size=16, learning_rate=1e-5, patience=2, augment=False)
    model = build_cnn(32)
    history = fit(model, pixels, labels, split, settings, seed=0, callbacks=[Worsening()])
    # The first epoch of the second half is the best, whatever came before it.
    assert len(history) == settings.epochs / 2 + 1 + settings.patience
    assert kept_epoch(history, settings) == 11
    assert history["val_loss"].is_monotonic_increasing
    # Two steps an epoch, so the second of each ends it: rising until the tenth part is done.
    done = (np.arange(13) + 0.5) / 20
    falling = 0.505 + 0.495 * np.cos(np.pi * (done - 0.1) / 0.9)
    wanted = 1e-5 * np.where(done < 0.1, 0.05 + 9.5 * done, falling)
    wanted[12] /= 2  # half as long after the first bad epoch
    assert history["learning_rate"].tolist() == pytest.approx(wanted.tolist())


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


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("rows", [[], [0, 2, 4]])
def test_fit_refuses_a_part_without_both_classes(part, rows):
    pixels, labels = discs(16)
    parts = {"train": np.arange(8), "validation": np.arange(8, 16), "test": np.array([], int)}
    split = SimpleNamespace(**{**parts, part: np.array(rows, int)})
    with pytest.raises(InputError, match=part):
        fit(build_cnn(32), pixels, labels, split, SETTINGS, seed=0)


@pytest.mark.slow
def test_second_task_is_learnt_from_the_shared_layers_and_thrown_away():
    pixels, labels = discs()
    measures = np.stack([pixels.mean(axis=(1, 2, 3)), np.full(160, 7.0)], axis=1)
    measures[SPLIT.test] = np.nan  # of the test rows nothing may be asked
    model = build_cnn(32, seed=0)
    before = model.get_layer("conv1").get_weights()[0]
    history = fit(model, pixels, labels, SPLIT, SETTINGS, seed=0, measures=measures)
    assert history.columns.tolist()[:3] == ["epoch", "loss", "accuracy"]
    assert [layer.name for layer in model.layers if "measures" in layer.name] == []
    assert not np.allclose(before, model.get_layer("conv1").get_weights()[0])
    probabilities = predict(model, pixels, SPLIT.validation)
    truth = labels[SPLIT.validation]
    loss = -np.log(np.where(truth == ALL, probabilities, 1 - probabilities)).mean()
    assert loss == pytest.approx(history["val_loss"].min(), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_blended_images_teach_as_well_and_count_as_the_class_to_which_they_lean(n_classes):
    pixels, labels = discs()
    labels = np.where(np.arange(160) % 3 == 0, 2, labels) if n_classes == 3 else labels
    pixels = np.where((labels == 2)[:, None, None, None], pixels[:, :, ::-1] // 4, pixels)
    model = build_cnn(32, 0, n_classes)
    history = fit(model, pixels, labels, SPLIT, replace(BLENDED, epochs=8), seed=0)
    assert 0.6 < history["accuracy"].iloc[-1] < 1.0
    answers = predict(model, pixels, SPLIT.validation)
    found = answers > 0.5 if n_classes == 2 else answers.argmax(axis=1)
    assert np.mean(found == labels[SPLIT.validation]) > 0.9


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
@pytest.mark.parametrize(("second_task", "settings"), [(False, SETTINGS), (True, BLENDED)])
def test_interrupted_training_ends_as_if_it_had_not_been(second_task, settings, tmp_path):
    pixels, labels = discs()
    measures = pixels.mean(axis=(1, 2)) if second_task else None
    rest = {"settings": settings, "seed": 0, "measures": measures}
    through, broken = build_cnn(32, seed=0), build_cnn(32, seed=0)
    make_deterministic(0)
    wanted = fit(through, pixels, labels, SPLIT, **rest)
    make_deterministic(0)
    with pytest.raises(KeyboardInterrupt):
        fit(broken, pixels, labels, SPLIT, callbacks=[Interrupted()], backup=tmp_path, **rest)
    make_deterministic(0)
    again = build_cnn(32, seed=5)  # its own weights must not matter
    history = fit(again, pixels, labels, SPLIT, backup=tmp_path, **rest)
    columns = ["epoch", "loss", "val_loss", "learning_rate"]
    np.testing.assert_allclose(history[columns], wanted[columns], rtol=1e-6)
    np.testing.assert_array_equal(predict(again, pixels), predict(through, pixels))
    # and once more, when all is done, nothing is trained
    finished = build_cnn(32, seed=6)
    fit(finished, pixels, labels, SPLIT, backup=tmp_path, **rest)
    np.testing.assert_array_equal(predict(finished, pixels), predict(through, pixels))


@pytest.mark.slow
@pytest.mark.parametrize("told", ["", '{"epo', "the epoch before"])
def test_a_training_that_was_broken_off_while_saving_takes_the_copy(told, tmp_path):
    pixels, labels = discs()
    wanted = build_cnn(32, seed=0)
    make_deterministic(0)
    fit(wanted, pixels, labels, SPLIT, SETTINGS, seed=0)
    make_deterministic(0)
    with pytest.raises(KeyboardInterrupt):
        fit(build_cnn(32, seed=0), pixels, labels, SPLIT, SETTINGS, 0, [Interrupted()], tmp_path)
    state = tmp_path / "state"
    saved = state / "training_metadata.json"
    earlier = (state / "training_metadata.json.bkp").read_text()
    assert saved.read_text() != earlier
    saved.write_text(earlier if told == "the epoch before" else told)
    make_deterministic(0)
    again = build_cnn(32, seed=5)
    history = fit(again, pixels, labels, SPLIT, SETTINGS, seed=0, backup=tmp_path)
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(predict(again, pixels), predict(wanted, pixels))


@pytest.mark.slow
def test_a_backup_that_was_cut_short_begins_anew(tmp_path):
    pixels, labels = discs()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "training_metadata.json").write_text('{"epo')
    history = fit(build_cnn(32), pixels, labels, SPLIT, SETTINGS, seed=0, backup=tmp_path)
    assert history["epoch"].tolist() == [1, 2, 3, 4]


TWO_DEVICES = """
import json, sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
some = [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[1])
tf.config.set_logical_device_configuration(cpu, some)
from test_training import SETTINGS, SPLIT, discs
from leukhelpers.models.epochs import Settings, kept_epoch
from leukhelpers.models.networks import build_cnn
from leukhelpers.models.training import devices, fit, make_deterministic, predict

make_deterministic(0)
pixels, labels = discs()
with devices().scope():
    model = build_cnn(32, seed=0)
history = fit(model, pixels, labels, SPLIT, SETTINGS, seed=0)
right = np.mean((predict(model, pixels, SPLIT.test) > 0.5) == labels[SPLIT.test])
print(json.dumps([devices().num_replicas_in_sync, right, float(history["val_loss"].min())]))
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
from test_training import SETTINGS, SPLIT, discs
from leukhelpers.models.epochs import Settings, kept_epoch
from leukhelpers.models.networks import build_cnn
from leukhelpers.models.training import fit, make_deterministic, predict

make_deterministic(1)
pixels, labels = discs()
shown = pixels.copy()
if sys.argv[1] == "poisoned":
    shown[SPLIT.test] = 255
    labels[SPLIT.test] = -99
model = build_cnn(32, seed=1)
history = fit(model, shown, labels, SPLIT, replace(SETTINGS, epochs=2), seed=1)
numbers = [predict(model, pixels), history.drop(columns="seconds").to_numpy()]
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


# ------------------------------------------------------------------ parts of a training


@example([0.1, 0.1])
@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), min_size=1, max_size=9))
def test_the_epoch_that_is_kept_is_the_first_best_of_the_second_half(losses):
    settings = replace(SETTINGS, epochs=len(losses), patience=len(losses) + 1)
    watch = schedule.Watch(settings, 0, [], None)
    lines = [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses, start=1)]
    kept = [line["epoch"] for line in lines if watch._take(line)][-1]
    second_half = range(len(losses) // 2 + 1, len(losses) + 1)
    assert kept == min(second_half, key=lambda epoch: losses[epoch - 1])
    assert kept_epoch(pd.DataFrame(lines), settings) == kept


def test_steps_are_halved_whenever_the_loss_has_stalled_for_half_the_patience():
    watch = schedule.Watch(replace(SETTINGS, epochs=4, patience=4), 0, [], None)
    told = []
    for epoch, loss in enumerate([0.9, 0.9, 0.5, 0.6, 0.6, 0.6, 0.6], start=1):
        watch._take({"epoch": epoch, "val_loss": loss})
        told.append((watch.factor, watch.over))
    assert [factor for factor, _ in told] == [1, 1, 1, 1, 0.5, 0.5, 0.25]
    assert [over for _, over in told] == [False] * 6 + [True]


def test_measures_are_scaled_by_the_training_rows_alone():
    measures, train = np.random.default_rng(0).normal(5, 3, (40, 2)), np.arange(0, 40, 2)
    scaled = schedule.scaled(measures, train)
    np.testing.assert_allclose(scaled[train].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled[train].std(axis=0), 1)
    measures[1::2] += 100
    again = schedule.scaled(measures, train)
    np.testing.assert_array_equal(again[train], scaled[train])
    assert (again[1::2] == 4).all()


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
        fit(build_cnn(32), pixels, labels, split, SETTINGS, seed=0)
    (weights,) = seen
    for label in (HEM, ALL):  # 16 of HEM, 8 of ALL
        assert weights[labels[split.validation] == label].sum() == pytest.approx(12)


def test_the_second_task_counts_as_much_as_is_asked():
    settings = replace(SETTINGS, measures_weight=0.25)
    trained, _ = training._compiled(build_cnn(32), settings, 0, np.zeros((4, 3)))
    truth = (np.float32([[1], [0]]), np.zeros((2, 3), np.float32))
    found = [np.float32([[1], [0]]), np.full((2, 3), 2, np.float32)]
    assert float(trained.compute_loss(y=truth, y_pred=found)) == pytest.approx(0.5, abs=1e-3)
