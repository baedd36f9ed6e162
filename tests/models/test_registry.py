"""Models by name: each learns, answers, is kept and comes back the same."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import skops.io

from leukhelpers import files
from leukhelpers.data.cnmc import read_cnmc
from leukhelpers.errors import InputError
from leukhelpers.evaluation.names import MODEL_NAMES
from leukhelpers.experiments import crossval, evaluate, storage
from leukhelpers.experiments.train import train_run
from leukhelpers.explain import attribution
from leukhelpers.images import handmade
from leukhelpers.images.preprocessing import BOX, cell_box, crop_and_resize
from leukhelpers.models import (
    classical,
    cnn,
    networks,
    prepare,
    profiles,
    registry,
    training,
    transfer,
)
from leukhelpers.serving import explain_files
from leukhelpers.serving import predict as serve
from leukhelpers.splits import groups

TINY = profiles.Profile("tiny", 1200, 28, epochs=2, size=32, box_size=32, batch_size=16)


@pytest.fixture(scope="module")
def prepared(tiny_tree, tmp_path_factory):
    return prepare.prepare(read_cnmc(tiny_tree), TINY, 0, tmp_path_factory.mktemp("data"))


def rounded(found):
    """Forget the last digits, which depend on the order in which cells are added up."""
    return json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 9))


@pytest.mark.parametrize(
    "name",
    [
        "svm",
        "cnn+svm",
        pytest.param("rf", marks=pytest.mark.slow),
        pytest.param("efficientnet-lite0-tuned", marks=pytest.mark.slow),
    ],
)
def test_a_run_of_any_model_answers_files_as_it_answered_its_test_rows(
    name, tiny_prepared, tiny_svm_run, tmp_path
):
    prepared, run = tiny_prepared, tiny_svm_run
    if name != "svm":
        run = train_run(tmp_path / "run", prepared, fold=0, name=name)
    assert list(run.metrics["models"]) == [name, "area", "majority"]
    assert run.about["model"] == name
    assert not (run.folder / "training").exists()
    cell = run.predictions.iloc[0]
    row = prepared.table.index[prepared.table["cell_id"] == cell["cell_id"]][0]
    (told,) = serve.predict_files(
        serve.load(run.folder), [prepared.dataset.root / prepared.table["path"].iloc[row]]
    )
    assert told["distance"] > 1 or told["uncalibrated"] == pytest.approx(
        cell["probability"], abs=1e-4
    )
    found = evaluate.evaluate_run(run.folder, prepared.dataset, prepared.data)
    assert rounded(found["models"]) == rounded(run.metrics["models"])
    if name == profiles.ENSEMBLE:
        with pytest.raises(InputError, match="train cnn or svm alone"):
            explain_files.explain_files(run.folder, [], tmp_path / "figures")
    # what was chosen is chosen on validation rows, wherever the run is measured
    assert found["decisions"]["chosen_on"] is not None
    assert rounded(found["decisions"]) == rounded(run.metrics["decisions"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svm", "efficientnet-lite0"])
def test_validation_rows_are_answered_without_having_been_learnt(name, prepared, tmp_path):
    split = prepared.split
    learnt = registry.fit(name, prepared)
    assert learnt.validation_proba.shape == split.validation.shape
    # wrong labels of the validation rows change the model, but not these answers
    table = prepared.table.copy()
    table.loc[table.index[split.validation], "label"] ^= 1
    other = registry.fit(name, prepared._replace(table=table, data=tmp_path))
    np.testing.assert_allclose(other.validation_proba, learnt.validation_proba)
    answers = [registry.predict_proba(model, prepared, split.test) for model in (learnt, other)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_a_last_layer_of_the_training_rows_alone_answers_the_validation_rows(prepared, monkeypatch):
    learnt_from = []

    def fit_linear(features, labels, groups, seed):
        learnt_from.append(groups.tolist())
        return np.zeros((features.shape[1], 1)), np.zeros(1)

    monkeypatch.setattr(classical, "fit_linear", fit_linear)
    small = lambda name, size, weights, seed, n: networks.build_cnn(size, seed, n)  # noqa: E731
    monkeypatch.setattr(transfer, "build_transfer", small)
    registry.fit("efficientnet-lite0", prepared)
    split = prepared.split
    train, validation = (split.groups[rows].tolist() for rows in (split.train, split.validation))
    assert learnt_from == [train, train + validation]


def test_too_few_training_groups_leave_the_validation_rows_unanswered(prepared):
    split, labels = prepared.split, prepared.table["label"].to_numpy()
    healthy = np.unique(split.groups[split.train][labels[split.train] == 0])
    one = ~np.isin(split.groups[split.train], healthy[1:])
    few = groups.Split(split.groups, split.train[one], split.validation, split.test)
    learnt = registry.fit("svm", prepared._replace(split=few))
    assert learnt.validation_proba is None


@pytest.mark.parametrize(
    ("name", "unit"),
    [("svm", "logits"), pytest.param("rf", "probability", marks=pytest.mark.slow)],
)
def test_classical_model_is_explained_by_its_named_features_not_its_pixels(
    name, unit, tiny_prepared, tiny_svm_run, tmp_path
):
    prepared, run = tiny_prepared, tiny_svm_run
    if name != "svm":
        run = train_run(tmp_path / "run", prepared, fold=0, name=name)
    picture = prepared.dataset.root / prepared.table["path"].iloc[0]
    (told,) = explain_files.explain_files(run.folder, [picture], tmp_path / "maps")
    assert told["unit"] == f"{unit} before calibration, positive towards ALL"
    (served,) = serve.predict_files(serve.load(run.folder), [picture])
    assert {key: told[key] for key in ("answer", "probability_all", "uncalibrated")} == {
        key: served[key] for key in ("answer", "probability_all", "uncalibrated")
    }
    assert told["notice"].startswith("Not for clinical use.")
    assert len(told["features"]) == 12
    assert set(told["features"]) <= set(handmade.feature_names())
    assert (tmp_path / "maps" / f"{picture.stem}.png").is_file()
    for method in attribution.METHODS:
        with pytest.raises(InputError, match="which uses named features") as refused:
            explain_files.explain_files(run.folder, [picture], tmp_path / "maps", [method])
        assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_last_network_is_trained_on_all_but_the_test_patients(prepared, monkeypatch):
    shown: list[set[int]] = []
    serve = training.training_batches

    def watched(pixels, columns, rows, *rest, **more):
        shown.append(set(rows.tolist()))
        return serve(pixels, columns, rows, *rest, **more)

    monkeypatch.setattr(training, "training_batches", watched)
    model, history, validation_proba = cnn.train(prepared)
    split = prepared.split
    everybody = set(split.train.tolist()) | set(split.validation.tolist())
    assert shown == [set(split.train.tolist()), everybody]
    assert history.groupby("network").size().tolist() == [2, 2]
    assert history.loc[history["network"] > 0, "val_loss"].isna().all()
    # the validation people are answered by the one that has not learnt from them
    assert validation_proba.shape == split.validation.shape
    joined = training.predict(model, prepare.pictures("cnn", prepared), split.validation)
    assert np.abs(joined - validation_proba).max() > 1e-3
    assert model.get_layer("maps").output.shape[-1] == 128


@pytest.mark.parametrize(
    "name", ["resnet", "area", "majority", "", "cnn-tuned", "svm-random", "vgg16-random-tuned"]
)
def test_unknown_models_are_refused_with_the_list_of_known_ones(name):
    with pytest.raises(InputError, match="choose cnn, svm, rf"):
        registry.validate_model_name(name)


@pytest.mark.parametrize("name", [*registry.CHOICES, "vgg16-random", "resnet50-tuned"])
def test_known_models_have_a_title_that_tells_what_they_are(name):
    title = MODEL_NAMES[registry.validate_model_name(name)]
    assert ("random weights" in title) == ("-random" in name)
    assert ("fine-tuned" in title) == name.endswith("-tuned")


def test_random_weights_stand_in_only_where_the_others_cannot_be_had(monkeypatch):
    def unreachable(names, size=32):
        if any("vgg16" in name and "random" not in name for name in names):
            raise InputError("no network")

    monkeypatch.setattr(registry, "check_weights", unreachable)
    asked = ["cnn", "vgg16", "efficientnet-lite0"]
    assert registry.with_random_weights(asked) == ["cnn", "vgg16-random", "efficientnet-lite0"]
    with pytest.raises(InputError, match="name vgg16-random instead of vgg16-tuned"):
        registry.with_random_weights(["vgg16-tuned"])


class Stranger:
    """A class that no model of ours holds."""


def test_a_model_file_that_names_other_classes_is_refused(tmp_path):
    skops.io.dump(Stranger(), tmp_path / "model.skops")
    with pytest.raises(InputError, match="Stranger"):
        registry.load(tmp_path, "svm")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_a_damaged_model_file_is_told(content, tmp_path):
    (tmp_path / "model.skops").write_bytes(content)
    with pytest.raises(InputError, match="cannot be loaded"):
        registry.load(tmp_path, "svm")


def test_features_are_measured_once(prepared, monkeypatch):
    first = prepare.features(prepared)
    monkeypatch.setattr(handmade, "measure_cells", None)
    np.testing.assert_array_equal(prepare.features(prepared), first)


def test_features_of_pictures_that_were_made_otherwise_are_measured_anew(prepared, monkeypatch):
    prepare.features(prepared)
    kept = set((prepared.data / "cache").glob("features-*.npy"))
    monkeypatch.setattr(prepare, "VERSION", prepare.VERSION + 1)
    prepare.features(prepared)
    (new,) = set((prepared.data / "cache").glob("features-*.npy")) - kept
    new.unlink()


def test_inner_folds_have_cells_of_every_class():
    rng, cut = np.random.default_rng(0), 0
    for _ in range(300):  # people with cells of several classes
        groups = np.repeat(np.arange(8), 6)
        labels = rng.choice(3, len(groups), p=(0.6, 0.3, 0.1))
        try:
            folds = classical._inner_folds(labels, groups, seed=0)
        except InputError:
            continue
        cut += 1
        for pair in folds:
            assert all(set(labels[rows]) == set(labels) for rows in pair)
    assert cut > 250


def test_features_in_a_file_that_was_cut_short_are_measured_again(prepared):
    first = prepare.features(prepared)
    (kept,) = (prepared.data / "cache").glob("features-*.npy")
    np.save(kept, np.zeros((2, 2)))
    np.testing.assert_array_equal(prepare.features(prepared), first)


def test_features_of_another_crop_or_by_another_code_are_measured_anew(
    prepared, tmp_path, monkeypatch
):
    counted, names, n = [], handmade.feature_names(), len(prepared.table)

    def measured(array, crop):
        counted.append(crop)
        return pd.DataFrame(np.full((n, len(names)), float(len(counted))), columns=names)

    monkeypatch.setattr(handmade, "measure_cells", measured)
    monkeypatch.setattr(prepare, "pictures", lambda *_: np.zeros((n, 2, 2, 3), np.uint8))
    (tmp_path / "cache").mkdir()
    here = prepared._replace(data=tmp_path)
    wide = here._replace(profile=dataclasses.replace(TINY, crop=450))
    found = [prepare.features(cells).iloc[0, 0] for cells in (here, wide, here, wide)]
    assert found == [1, 2, 1, 2]
    monkeypatch.setattr(handmade, "code_digest", lambda: "other")
    assert prepare.features(here).iloc[0, 0] == 3
    assert counted == [TINY.crop, 450, TINY.crop]


# ------------------------------------------------------------------ each cell in its own box


def test_a_box_is_square_around_the_cell_wherever_it_lies():
    image = np.zeros((100, 100, 3), np.uint8)
    image[10:30, 50:90] = 7
    left, top, right, bottom = cell_box(image)
    assert right - left == bottom - top == 42  # the longer side and a rim of one pixel
    assert (left + right) / 2 == 70
    assert (top + bottom) / 2 == 20


@pytest.mark.parametrize("fill", [0, 9])
def test_a_picture_without_black_or_without_cell_is_its_own_box(fill):
    assert cell_box(np.full((40, 40, 3), fill, np.uint8)) == (0, 0, 40, 40)


def test_in_their_boxes_a_small_and_a_large_cell_look_alike():
    y, x = np.mgrid[:200, :200] - 99.5
    small, large = (
        np.repeat(((x**2 + y**2 < r**2) * 90)[..., None], 3, -1).astype(np.uint8) for r in (30, 90)
    )
    boxed = [crop_and_resize(cell, 32, BOX).astype(int) for cell in (small, large)]
    assert np.abs(boxed[0] - boxed[1]).mean() < 3
    centered = [crop_and_resize(cell, 32, 200).astype(int) for cell in (small, large)]
    assert np.abs(centered[0] - centered[1]).mean() > 30


# ------------------------------------------------------------------ several models, same folds


@pytest.mark.slow
def test_models_are_measured_on_the_same_folds_and_kept_answers_are_not_learnt_again(
    prepared, tmp_path, monkeypatch
):
    out = tmp_path / "cv"
    said: list[str] = []
    first = crossval.crossvalidate(prepared, 2, said.append, ["svm"], out)
    both = crossval.crossvalidate(prepared, 2, said.append, ["svm", "rf"], out)
    assert list(both["over_folds"]) == ["svm", "rf", "area", "majority"]
    assert both["over_folds"]["svm"] == first["over_folds"]["svm"]
    assert both["together"]["cells"] == len(prepared.table)
    assert both["cost"]["rf"]["parameters"] is None
    assert len(said) == 2 + 4
    monkeypatch.setattr(registry, "fit", None)
    again = crossval.crossvalidate(prepared, 2, said.append, ["rf", "svm"], out)
    assert again["over_folds"]["rf"] == both["over_folds"]["rf"]


@pytest.mark.slow
def test_a_folder_with_answers_to_something_else_is_refused(prepared, tmp_path):
    out = tmp_path / "cv"
    crossval.crossvalidate(prepared, 2, lambda _: None, ["svm"], out)
    with pytest.raises(InputError, match="name another folder"):
        crossval.crossvalidate(prepared, 3, lambda _: None, ["svm"], out)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        crossval.crossvalidate(prepared, 2, lambda _: None, ["svm"], other)
    assert (other / "letter.txt").read_text() == "mine"


def test_kept_answers_of_another_seed_or_profile_are_not_taken_for_these(prepared, tmp_path):
    out, splits = tmp_path / "cv", list(groups.grouped_folds(prepared.table, 2, 0))
    for _ in range(2):
        crossval._open(out, prepared, splits)
    longer = dataclasses.replace(TINY, epochs=3)
    for other in (prepared._replace(seed=1), prepared._replace(profile=longer)):
        with pytest.raises(InputError, match="name another folder"):
            crossval._open(out, other, splits)
    with pytest.raises(InputError, match="name another folder"):
        crossval._open(out, prepared, splits[::-1])


def test_a_folder_that_holds_something_else_is_refused_and_stays_as_it_is(prepared, tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        crossval._open(tmp_path, prepared, list(groups.grouped_folds(prepared.table, 2, 0)))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_mean_and_spread_over_folds_of_a_worked_example():
    told = ({"auroc": 0.6, "mcc": 0.1}, {"auroc": 0.8, "mcc": None})
    folds = [
        {"models": {"svm": {metric: {"value": value} for metric, value in of.items()}}}
        for of in told
    ]
    found = crossval._over_folds(folds, "svm")
    # of a sample: the two lie 0.1 from their mean, and 0.02 is divided by 2 - 1
    assert found == {"auroc": {"mean": pytest.approx(0.7), "sd": pytest.approx(0.02**0.5)}}


def test_folds_that_cannot_be_had_leave_no_folder(prepared, tmp_path):
    with pytest.raises(InputError, match="folds"):
        crossval.crossvalidate(prepared, 20, lambda _: None, ["svm"], tmp_path / "cv")
    assert not (tmp_path / "cv").exists()


@pytest.mark.slow
def test_fine_tuning_answers_validation_rows_before_it_learns_from_them(prepared, monkeypatch):
    asked: list[set[int]] = []
    fit_linear = classical.fit_linear

    def watched(features, labels, groups, seed=0):
        asked.append(set(groups))
        return fit_linear(features, labels, groups, seed)

    monkeypatch.setattr(classical, "fit_linear", watched)
    learnt = registry.fit("efficientnet-lite0-tuned", prepared)
    split = prepared.split
    first, both = (set(split.groups[rows]) for rows in (split.train, split.validation))
    assert asked == [first, first | both]
    assert list(learnt.history["network"].unique()) == [0, 1]
    assert learnt.history.loc[learnt.history["network"] == 1, "val_loss"].isna().all()
    assert len(learnt.validation_proba) == len(split.validation)
    again = registry.predict_proba(learnt, prepared, split.validation)
    assert not np.allclose(again, learnt.validation_proba)


def test_a_training_that_was_broken_off_is_not_taken_for_that_of_another_fold(
    prepared, tmp_path, monkeypatch
):
    def broken(*_, **__):
        raise InterruptedError

    monkeypatch.setattr(registry, "fit", broken)
    for _ in range(2):
        with pytest.raises(InterruptedError):
            train_run(tmp_path, prepared, fold=0)
    for fold in (1, None):
        with pytest.raises(InputError, match="interrupted training of other"):
            train_run(tmp_path, prepared, fold)


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_another_one_does_not_take_its_place(
    prepared, tmp_path, monkeypatch
):
    folder = tmp_path / "run"

    def broken(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "fit", broken)
    with pytest.raises(KeyboardInterrupt):
        train_run(folder, prepared, fold=1)
    monkeypatch.undo()
    assert files.read_json(folder / "training" / "asked.json")["model"] == "cnn"
    other = prepared._replace(profile=dataclasses.replace(TINY, epochs=3))
    with pytest.raises(InputError, match="interrupted training of other"):
        train_run(folder, other, fold=1)
    with pytest.raises(InputError, match="interrupted training of other"):
        train_run(folder, prepared, fold=1, name="svm")
    run = train_run(folder, prepared, fold=1)
    assert run.history["network"].nunique() == 2
    assert not (folder / "training").exists()
    with pytest.raises(InputError, match="finished run"):
        train_run(folder, prepared, fold=1)


def test_folds_of_an_svm_are_judged_on_each_cell_once_and_kept_answers_are_read(
    tiny_prepared, tmp_path, monkeypatch
):
    out = tmp_path / "folds"
    found = crossval.crossvalidate(tiny_prepared, 2, lambda _: None, ["svm"], out)
    assert found["together"]["cells"] == len(tiny_prepared.table)
    assert sum(fold["cells"] for fold in found["folds"]) == len(tiny_prepared.table)
    aurocs = [fold["models"]["svm"]["auroc"]["value"] for fold in found["folds"]]
    assert found["over_folds"]["svm"]["auroc"]["mean"] == pytest.approx(np.mean(aurocs))
    assert found["over_folds"]["majority"]["auroc"]["mean"] == 0.5
    monkeypatch.setattr(registry, "fit", lambda *_, **__: pytest.fail("it was learnt before"))
    again = crossval.crossvalidate(tiny_prepared, 2, lambda _: None, ["svm"], out)
    assert rounded(again["over_folds"]) == rounded(found["over_folds"])
    with pytest.raises(InputError, match="predictions of other cells"):
        crossval.crossvalidate(tiny_prepared, 3, lambda _: None, ["svm"], out)
    # the baselines too have learnt from each fold's own training rows
    labels = tiny_prepared.table["label"].to_numpy()
    splits = groups.grouped_folds(tiny_prepared.table, 2, tiny_prepared.seed)
    for number, split in enumerate(splits):
        kept = storage.read_answers(out / f"fold{number}-svm.csv")
        share = labels[split.train].mean()
        assert kept["majority_probability"].unique() == pytest.approx([share])
