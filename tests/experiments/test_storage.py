from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from leukhelpers import NOTICE, files
from leukhelpers.errors import InputError
from leukhelpers.evaluation import calibration, summary
from leukhelpers.experiments import crossval, evaluate, predictions, storage
from leukhelpers.experiments.train import train_run
from leukhelpers.models import classical, cnn, prepare, profiles, registry, training
from leukhelpers.models import networks as models
from leukhelpers.serving import explain_files, predict
from leukhelpers.splits import groups

TINY = profiles.Profile("tiny", 60, 14, epochs=2, size=32, box_size=32, batch_size=16)


@pytest.fixture(scope="module")
def prepared(tiny_prepared):
    return tiny_prepared


@pytest.fixture(scope="module")
def trained(prepared):
    return cnn.train(prepared)


@pytest.fixture(scope="module")
def run(prepared, trained, tmp_path_factory):
    return storage.save_run(tmp_path_factory.mktemp("runs") / "run", prepared, *trained)


def test_run_tells_of_which_cells_and_where_it_was_made(run, prepared):
    about = run.about
    assert about["images"] == len(prepared.table)
    assert about["classes"] == ["HEM", "ALL"]
    assert about["class_counts"]["ALL"] + about["class_counts"]["HEM"] == about["images"]
    assert about["cautions"] == run.metrics["cautions"] == []
    assert about["seed"] == 0
    assert about["profile"]["name"] == "tiny"
    assert about["machine"]["cores"] == os.cpu_count()
    assert about["date"].endswith("UTC")
    assert not any(str(value).startswith("/") for value in about.values())


def test_the_validation_rows_are_answered_by_the_network_that_learnt_without_them(
    run, prepared, trained
):
    known = storage.read_validation(run.folder)
    rows = prepared.split.validation
    assert known["cell_id"].tolist() == prepared.table["cell_id"].iloc[rows].tolist()
    np.testing.assert_allclose(known["probability"], trained[2], rtol=1e-6)
    decided = run.metrics["decisions"]
    assert decided["chosen_on"]["cells"] == len(rows)
    assert set(decided["models"]) == {"cnn", "area", "majority"}
    threshold = calibration.choose_threshold(known["label"], known["probability"])
    assert decided["models"]["cnn"]["threshold"] == pytest.approx(threshold)


def test_a_run_without_answers_to_validation_cells_chooses_nothing(run, prepared, tmp_path):
    again = storage.save_run(tmp_path, prepared, registry.load_model(run.folder), run.history)
    assert storage.read_validation(again.folder) is None
    assert again.metrics["decisions"]["chosen_on"] is None
    assert again.metrics["models"] == run.metrics["models"]


def test_predictions_are_of_the_test_rows_and_of_no_other(run, prepared):
    wanted = prepared.table["cell_id"].iloc[prepared.split.test]
    assert run.predictions["cell_id"].tolist() == wanted.tolist()
    parts = storage.read_parts(run.folder)
    assert parts["cell_id"].tolist() == prepared.table["cell_id"].tolist()
    assert set(parts.loc[parts["part"] == "test", "cell_id"]) == set(wanted)
    assert not set(parts.loc[parts["part"] == "test", "group"]) & set(
        parts.loc[parts["part"] != "test", "group"]
    )


def test_metrics_are_those_of_the_predictions_file(run):
    again = summary.summary(storage.read_answers(run.folder / "predictions.csv"))
    for key, value in again.items():
        assert run.metrics[key] == value


def test_a_run_in_the_current_folder_has_its_name_and_a_damaged_background_is_told(
    run, tmp_path, monkeypatch
):
    folder = shutil.copytree(run.folder, tmp_path / "mine")
    monkeypatch.chdir(folder)
    found = storage.read_run(".")
    assert found.folder == folder
    assert len(found.background) > 0
    (folder / "background.npy").write_bytes(b"no array")
    with pytest.raises(InputError, match="is damaged"):
        _ = found.background


def test_majority_answer_predicts_the_larger_class_of_training(run, prepared):
    labels = prepared.table["label"].to_numpy()
    share = labels[prepared.split.train].mean()
    assert run.predictions["majority_probability"].unique() == pytest.approx([share])


def test_baselines_file_repeats_the_fitted_area_model(run, prepared):

    labels = prepared.table["label"].to_numpy()
    fitted = classical.fit_area(prepared.pixels, labels, prepared.split, TINY.crop)
    wanted = classical.predict_area(fitted, prepared.pixels, prepared.split.test, TINY.crop)
    assert run.predictions["area_probability"].to_numpy() == pytest.approx(wanted)


def test_saved_network_answers_as_the_trained_one(run, prepared, trained):
    from leukhelpers.models import training

    loaded = registry.load_model(run.folder)
    rows = prepared.split.test
    assert np.array_equal(
        training.predict(loaded, prepared.pixels, rows),
        training.predict(trained[0], prepared.pixels, rows),
    )


@pytest.mark.slow
def test_two_runs_of_one_seed_give_the_same_predictions_file(prepared, run, tmp_path):
    again = storage.save_run(tmp_path / "again", prepared, *cnn.train(prepared))
    assert (again.folder / "predictions.csv").read_bytes() == (
        run.folder / "predictions.csv"
    ).read_bytes()


def test_background_holds_training_cells_of_both_classes(run, prepared):
    background = np.load(run.folder / "background.npy")
    boxed = prepare.pictures("cnn", prepared)
    train = {boxed[row].tobytes() for row in prepared.split.train}
    assert {cell.tobytes() for cell in background} <= train
    assert len(background) >= 4


def test_ensure_run_reads_what_is_there_and_refuses_another(run, prepared, capsys):
    found = storage.ensure_run(run.folder, prepared)
    assert "Reading" in capsys.readouterr().out
    assert found.about == run.about
    with pytest.raises(InputError, match="other cells, profile, seed or split"):
        storage.ensure_run(run.folder, prepared._replace(seed=1))
    corrected = prepared.table.assign(subject=prepared.table["subject"].replace("1", "2"))
    with pytest.raises(InputError, match="other cells"):
        storage.ensure_run(run.folder, prepared._replace(table=corrected))
    split = groups.no_test_split(prepared.table, 0)
    with pytest.raises(InputError, match="or split"):
        storage.ensure_run(run.folder, prepared._replace(split=split))


@pytest.mark.slow
def test_ensure_run_trains_where_nothing_is_and_says_so(prepared, tmp_path, capsys):
    made = storage.ensure_run(tmp_path / "new", prepared)
    assert "training one" in capsys.readouterr().out
    assert (made.folder / "run.json").is_file()


def test_folder_without_run_json_is_no_run(run, tmp_path):
    with pytest.raises(InputError, match="no finished run"):
        storage.read_run(tmp_path)


def test_the_page_takes_the_latest_network_and_no_other_model(tmp_path):
    with pytest.raises(InputError, match="holds no network"):
        storage.latest_run(tmp_path)
    for number, model in enumerate(["cnn", "efficientnet-lite0", "svm", "cnn+svm"]):
        note = tmp_path / model / "run.json"
        files.write_json(note, {"model": model})
        os.utime(note, (number, number))
    assert storage.latest_run(tmp_path).name == "efficientnet-lite0"


def test_damaged_run_is_named_in_one_sentence(run, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run.folder, broken)
    (broken / "run.json").write_text('{"dataset": ')
    with pytest.raises(InputError, match="damaged"):
        storage.read_run(broken)
    network = bytearray((run.folder / "model.keras").read_bytes())
    network[len(network) // 2] ^= 255
    for content in (b"PK no model", bytes(network)):
        (broken / "model.keras").write_bytes(content)
        with pytest.raises(InputError, match="cannot be loaded"):
            registry.load_model(broken)


@pytest.mark.parametrize("name", ["cells.csv", "baselines.json", "history.csv", "metrics.json"])
def test_a_run_that_lacks_a_file_is_named_in_one_sentence(name, run, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(run.folder, broken)
    (broken / name).unlink()
    with pytest.raises(InputError, match="damaged"):
        storage.read_run(broken)


def test_a_run_of_another_version_is_told(run):
    with pytest.raises(InputError, match="another version"):
        storage.profile_in({**run.about, "profile": {"name": "full"}})
    assert storage.profile_in(run.about) == TINY
    of_version_1 = {**run.about["profile"], "patience": 5, "refits": 1, "blended": 0.8}
    assert storage.profile_in({**run.about, "profile": of_version_1}) == TINY


@pytest.mark.slow
def test_save_that_is_killed_leaves_no_run(run, prepared, tmp_path, monkeypatch):
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "run"
    storage.save_run(folder, prepared, registry.load_model(run.folder), run.history)
    monkeypatch.setattr(summary, "summary", die)
    with pytest.raises(KeyboardInterrupt):
        storage.save_run(folder, prepared, registry.load_model(run.folder), run.history)
    with pytest.raises(InputError, match="no finished run"):
        storage.read_run(folder)
    assert not list(folder.glob(".part-*"))


def test_unknown_profile_is_refused():
    with pytest.raises(InputError, match="choose from smoke, fast, full"):
        profiles.profile_of("quick")


def test_workspace_is_the_checkout_the_variable_or_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("LEUK_HOME", raising=False)
    (tmp_path / "course" / "lessons").mkdir(parents=True)
    (tmp_path / "course" / "leukhelpers").mkdir()
    (tmp_path / "course" / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "course" / "notebooks")
    assert files.workspace() == tmp_path / "course"
    monkeypatch.chdir(tmp_path)
    assert files.workspace() == tmp_path
    monkeypatch.setenv("LEUK_HOME", str(tmp_path / "elsewhere"))
    assert files.workspace() == tmp_path / "elsewhere"


def test_fingerprint_heeds_cells_labels_and_pixels(prepared):
    table = prepared.table
    base = prepare.fingerprint(table)
    assert base == prepare.fingerprint(table.copy())
    for column, value in (("cell_id", "other"), ("label", 1 - table["label"][0]), ("sha256", "x")):
        changed = table.copy()
        changed.loc[0, column] = value
        assert prepare.fingerprint(changed) != base


def test_names_that_look_like_numbers_or_nothing_come_back_as_they_were(tmp_path):
    names = ["007", "1e3", "NA"]
    kept = pd.DataFrame({column: names for column in ("cell_id", "subject", "group", "fold")})
    storage.write_table(tmp_path / "kept.csv", kept)
    pd.testing.assert_frame_equal(storage.read_answers(tmp_path / "kept.csv"), kept)
    numbers = kept.assign(subject="01", group="01")
    storage.write_table(tmp_path / "kept.csv", numbers)
    assert storage.read_answers(tmp_path / "kept.csv")["group"].tolist() == ["01"] * 3


def test_how_cells_look_is_learnt_without_the_test_cells(prepared, monkeypatch):
    monkeypatch.setattr(prepare, "pictures", lambda _, cells: cells.pixels)
    before = storage.fit_familiar(prepared)
    other = prepared.pixels.copy()
    other[prepared.split.test] = 255
    assert storage.fit_familiar(prepared._replace(pixels=other)) == before


def test_the_second_network_starts_from_a_seed_of_its_own(prepared, monkeypatch):
    started, trained = [], []

    def fit(network, pixels, labels, rows, watched, profile, seed, *_):
        trained.append((seed, len(rows), len(watched)))
        return pd.DataFrame({"epoch": [1]})

    monkeypatch.setattr(training, "make_deterministic", lambda _: None)
    monkeypatch.setattr(training, "fit", fit)
    monkeypatch.setattr(training, "predict", lambda network, pixels, rows: np.zeros(len(rows)))
    monkeypatch.setattr(models, "build_cnn", lambda size, seed, n: started.append(seed))
    monkeypatch.setattr(models, "average_rotations", lambda network: network)
    _, history, _ = cnn.train(prepared._replace(seed=7))
    n, k = len(prepared.split.train), len(prepared.split.validation)
    assert started == [7, 8]
    assert trained == [(7, n, k), (8, n + k, 0)]
    assert history["network"].tolist() == [0, 1]


# ------------------------------------------------------------------ a run, applied


@pytest.mark.slow
def test_evaluate_leaves_out_every_group_the_run_has_learnt_from(run, prepared, tmp_path):
    found = evaluate.evaluate_run(run.folder, prepared.dataset, tmp_path)
    assert found["cells"] == len(prepared.split.test)
    assert found["left_out"] == len(prepared.table) - len(prepared.split.test)
    assert found["models"]["cnn"] == run.metrics["models"]["cnn"]


@pytest.mark.parametrize("part", ["train", "validation"])
def test_cell_that_shares_a_picture_with_a_part_learnt_from_counts_as_seen(run, prepared, part):
    learnt = prepared.table.iloc[getattr(prepared.split, part)[:1]]
    table = pd.DataFrame(
        {
            "cell_id": ["a", "b", "c"],
            "subject": ["900", "900", "901"],
            "sha256": [learnt["sha256"].iloc[0], "new", "newer"],
        }
    )
    dataset = prepared.dataset
    assert storage.unseen(run, dataset, table).tolist() == [2]
    namesake = table.assign(subject=["900", "900", learnt["subject"].iloc[0]])
    with pytest.raises(InputError, match="trained on every subject"):
        storage.unseen(run, dataset, namesake)
    # Drawn cells under the names of real subjects are other subjects.
    drawn = dataclasses.replace(dataset, synthetic=True)
    assert storage.unseen(run, drawn, namesake).tolist() == [2]


def test_evaluation_asks_of_unseen_cells_alone_and_repeats_every_caution(
    run, prepared, tmp_path, monkeypatch
):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    about = {**run.about, "cautions": ["Of the run.", "Of both."]}
    files.write_json(folder / "run.json", about)
    dataset = dataclasses.replace(prepared.dataset, cautions=("Of both.", "Of the cells."))
    asked = []
    monkeypatch.setattr(predictions, "answers_beside", lambda *told: asked.extend(told[3]))
    monkeypatch.setattr(predictions, "measure", lambda *_: {})
    found = evaluate.evaluate_run(folder, dataset, prepared.data)
    assert found["cautions"] == ["Of the run.", "Of both.", "Of the cells."]
    assert asked == sorted(prepared.split.test.tolist())
    assert found["left_out"] == len(prepared.table) - len(asked)


@pytest.mark.slow
def test_run_on_all_subjects_holds_nothing_out_and_cannot_be_evaluated_on_them(prepared, tmp_path):
    run = train_run(tmp_path / "all", prepared)
    assert len(run.predictions) == 0
    assert run.metrics["cells"] == 0
    assert "models" not in run.metrics
    with pytest.raises(InputError, match="trained on every subject"):
        evaluate.evaluate_run(run.folder, prepared.dataset, tmp_path)


@pytest.mark.slow
def test_run_of_one_fold_holds_out_the_groups_of_that_fold(prepared, tmp_path):
    run = train_run(tmp_path / "fold", prepared, fold=2)
    split = list(groups.grouped_folds(prepared.table, 4, 0))[2]
    assert set(run.predictions["group"]) == set(split.groups[split.test])


@pytest.mark.slow
def test_predict_answers_good_files_and_names_bad_ones(run, prepared, tmp_path):
    good = prepared.dataset.root / prepared.table["path"].iloc[0]
    (tmp_path / "empty.png").write_bytes(b"")
    told = predict.predict_files(
        predict.load(run.folder), [good, tmp_path / "empty.png", tmp_path / "none.png"]
    )
    assert (told[0]["answer"] in ("ALL", "HEM")) == (told[0]["why"] is None)
    assert 0 <= told[0]["probability_all"] <= 1
    assert told[0]["notice"] == NOTICE
    assert told[1]["error"] == "the file is empty"
    assert "No such file" in told[2]["error"]


@pytest.mark.slow
def test_predict_gives_the_probability_of_the_pipeline(run, prepared):
    row = prepared.split.test[0]
    (told,) = predict.predict_files(
        predict.load(run.folder), [prepared.dataset.root / prepared.table["path"].iloc[row]]
    )
    assert told["uncalibrated"] == pytest.approx(run.predictions["probability"][0], abs=2e-6)


@pytest.mark.slow
def test_explain_draws_one_figure_for_each_readable_file(run, prepared, tmp_path):
    paths = [prepared.dataset.root / path for path in prepared.table["path"].iloc[:2]]
    twin = tmp_path / "größe (1).b.bmp"
    twin.write_bytes(paths[1].read_bytes())
    (tmp_path / "text.png").write_text("no picture")
    told = explain_files.explain_files(
        run.folder, [paths[0], tmp_path / "text.png", twin], tmp_path / "maps"
    )
    assert "error" in told[1]
    assert told[0]["figure"] != told[2]["figure"]  # the same name must not overwrite
    assert len(list((tmp_path / "maps").glob("*.png"))) == 2
    assert len(files.read_json(tmp_path / "maps" / "figures.json")) == 2
    assert set(told[0]["methods"]) == {"shap", "integrated", "gradcam"}
    assert "score" in told[2]["methods"]["shap"]
    assert told[0]["notice"] == f"Not for clinical use. {NOTICE}"
    assert all(
        "not for clinical use" in figure["alt"]
        for figure in files.read_json(tmp_path / "maps" / "figures.json").values()
    )


@pytest.mark.slow
def test_explain_tells_of_a_file_what_is_told_when_it_is_served_and_heeds_no_other_file(
    run, prepared, tmp_path
):
    paths = [prepared.dataset.root / path for path in prepared.table["path"].iloc[:3]]
    together = explain_files.explain_files(run.folder, paths, tmp_path / "maps", ["integrated"])
    (alone,) = explain_files.explain_files(
        run.folder, paths[2:], tmp_path / "alone", ["integrated"]
    )
    of_one, of_three = alone["methods"]["integrated"], together[2]["methods"]["integrated"]
    assert of_one == pytest.approx(of_three, abs=2e-3)
    ready = predict.load(run.folder)
    assert ready.rule.chosen_on > 0
    for served, told in zip(predict.predict_files(ready, paths), together, strict=True):
        assert (told["answer"], told["why"]) == (served["answer"], served["why"])
        assert told["probability_all"] == pytest.approx(served["probability_all"], abs=1e-4)
        assert told["calibrated_on"] == ready.rule.chosen_on
    figures = files.read_json(tmp_path / "alone" / "figures.json")
    wanted = f"P(ALL) = {alone['probability_all']:.2f}, calibrated"
    assert wanted in figures[Path(alone["figure"]).stem]["alt"]


@pytest.mark.slow
def test_explain_of_a_stranger_names_no_probability(run, prepared, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    (told,) = explain_files.explain_files(
        run.folder, [tmp_path / "noise.png"], tmp_path, ["gradcam"]
    )
    assert (told["answer"], told["probability_all"]) == (None, None)
    alt = files.read_json(tmp_path / "figures.json")["noise"]["alt"]
    assert predict.STRANGE in alt
    assert "P(ALL)" not in alt


def test_explain_refuses_an_unknown_method_and_lists_the_known_ones(run, tmp_path):
    with pytest.raises(InputError, match="choose from shap"):
        explain_files.explain_files(run.folder, [tmp_path / "a.png"], tmp_path, ["tealeaves"])


def test_explain_of_no_readable_file_draws_nothing(run, tmp_path):
    (told,) = explain_files.explain_files(run.folder, [tmp_path / "none.png"], tmp_path / "maps")
    assert "error" in told
    assert not (tmp_path / "maps").exists()


@pytest.mark.slow
def test_crossvalidation_predicts_each_cell_once(prepared, tmp_path):
    said: list[str] = []
    found = crossval.crossvalidate(prepared, 3, said.append, ["cnn"], tmp_path)
    assert found["together"]["cells"] == len(prepared.table)
    assert sum(fold["cells"] for fold in found["folds"]) == len(prepared.table)
    assert len(said) == 3
    aurocs = [fold["models"]["cnn"]["auroc"]["value"] for fold in found["folds"]]
    assert found["over_folds"]["cnn"]["auroc"]["mean"] == pytest.approx(np.mean(aurocs))
    assert found["over_folds"]["majority"]["auroc"]["mean"] == 0.5


@pytest.mark.slow
def test_training_that_is_killed_leaves_no_run(tiny_tree, tmp_path):
    program = (
        "import sys; from pathlib import Path; from leukhelpers.experiments import train; "
        "from leukhelpers.models import prepare, profiles; "
        "from leukhelpers.data.cnmc import read_cnmc; "
        "p = profiles.Profile('tiny', 1, 1, epochs=500, size=32, box_size=32); "
        "tree, d = map(Path, sys.argv[1:]); "
        "q = prepare.prepare(read_cnmc(tree), p, 0, d / 'data'); "
        "print('ready', flush=True); train.train_run(d / 'run', q)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tiny_tree), str(tmp_path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(2)
        assert process.poll() is None
        helpers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
    for helper in helpers:  # joblib's, which would wait for their parent for long
        with contextlib.suppress(psutil.NoSuchProcess):
            helper.kill()
    with pytest.raises(InputError, match="no finished run"):
        storage.read_run(tmp_path / "run")


def test_no_two_figures_have_one_name_even_where_letter_case_does_not_count():
    taken: set[str] = set()
    names = [
        explain_files._free_name(stem, taken) for stem in ("Cell", "cell", "CELL", "cell-2", "ä")
    ]
    assert len({name.lower() for name in names}) == 5
    assert explain_files._free_name("run$1_$2", taken) == "run-1_-2"  # no formula to matplotlib
    assert names[0] == "Cell"
