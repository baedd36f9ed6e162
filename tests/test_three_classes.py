"""Cells of three classes, from a table of one's own to predictions; and other two classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from leukhelpers import NOTICE, files
from leukhelpers.course import lesson
from leukhelpers.data.table import import_folder
from leukhelpers.datasets import load_dataset
from leukhelpers.errors import InputError
from leukhelpers.evaluation import metrics, summary
from leukhelpers.evaluation.names import METRICS_OF_MANY, MODEL_COLUMNS
from leukhelpers.experiments import crossval, evaluate, provenance, report, storage, train
from leukhelpers.experiments.predictions import measure
from leukhelpers.models import classical, cnn, prepare, profiles, training
from leukhelpers.models.networks import build_cnn, logit_model
from leukhelpers.serving import explain_files, predict, web
from leukhelpers.synthetic.twin import draw_cell, plan_twin

pytestmark = pytest.mark.slow

TINY = profiles.Profile("tiny", 24, 8, epochs=1, size=32, box_size=32, batch_size=16)
SIZES = {"small": 130.0, "medium": 175.0, "large": 230.0}
CLASSES = {"healthy": ["small"], "ALL": ["medium"], "AML": ["large"]}
EXTENT = 300  # pixels that are kept of a drawn cell, enough for the largest
CAUTION = "Every image was treated as a separate subject"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn cells of three sizes: four subjects a class, three cells each."""
    folder = tmp_path_factory.mktemp("cells")
    plan = plan_twin(36, 8).sort_values("drawn_as").to_dict("records")
    edge = (450 - EXTENT) // 2
    for number, row in enumerate(plan):
        size, subject = list(SIZES)[number % 3], number // 3 % 4
        row = {**row, "diameter": SIZES[size], "number": number, "neighbor": False, "cut": False}
        cell = draw_cell(row, 0)[0][edge:-edge, edge:-edge]
        place = folder / size / f"{size}-{subject}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(cell).save(place / f"{number}.png")
    (folder / "twin.json").write_text("{}")
    return folder


def prepare_cells(folder: Path, data: Path) -> prepare.Prepared:
    return prepare.prepare(load_dataset(folder, data), TINY, 0, data)


@pytest.fixture(scope="module")
def prepared(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> prepare.Prepared:
    folder = tmp_path_factory.mktemp("own") / "three"
    import_folder(pictures, folder, CLASSES)
    return prepare_cells(folder, folder.parent / "data")


@pytest.fixture(scope="module")
def run(prepared: prepare.Prepared, tmp_path_factory: pytest.TempPathFactory) -> storage.Run:
    return train.train_run(tmp_path_factory.mktemp("runs") / "run", prepared, fold=0)


def test_run_of_three_classes_tells_them_everywhere(
    run: storage.Run, prepared: prepare.Prepared
) -> None:
    assert run.about["classes"] == run.metrics["classes"] == ["healthy", "ALL", "AML"]
    assert run.about["class_counts"] == {"healthy": 12, "ALL": 12, "AML": 12}
    assert run.about["cautions"] == run.metrics["cautions"] == []
    assert run.about["synthetic"] is True
    assert list(run.history) == [
        "epoch", "accuracy", "loss", "val_accuracy", "val_loss", "network",
    ]  # fmt: skip
    assert list(run.metrics["models"]["cnn"]) == list(METRICS_OF_MANY)


def test_predictions_have_a_column_for_each_model_and_class(run: storage.Run) -> None:
    for model in MODEL_COLUMNS:
        answers = metrics.probabilities_of(
            run.predictions, MODEL_COLUMNS[model], run.about["classes"]
        )
        np.testing.assert_allclose(answers.sum(axis=1), 1, atol=1e-6)
    assert list(run.predictions.filter(like="area_")) == [
        "area_probability_healthy", "area_probability_ALL", "area_probability_AML",
    ]  # fmt: skip
    again = measure(storage.read_answers(run.folder / "predictions.csv"), run.about["classes"])
    assert {key: run.metrics[key] for key in again} == again


def test_area_model_tells_sizes_apart_and_the_majority_answer_does_not(run: storage.Run) -> None:
    told = run.metrics["models"]
    assert told["area"]["accuracy"]["value"] > 0.9
    assert told["majority"]["balanced_accuracy"]["value"] == pytest.approx(1 / 3)


def test_prediction_names_the_class_and_gives_each_probability(
    run: storage.Run, prepared: prepare.Prepared, tmp_path: Path
) -> None:
    row = int(np.flatnonzero(prepared.table["cell_id"] == run.predictions["cell_id"][0])[0])
    file = prepared.dataset.root / prepared.table["path"][row]
    Image.new("RGB", (450, 450)).save(tmp_path / "black.png")
    told, black = predict.predict_files(predict.load(run.folder), [file, tmp_path / "black.png"])
    columns = run.predictions.filter(regex="^probability_")
    wanted = dict(zip(run.about["classes"], columns.iloc[0], strict=True))
    assert told["probabilities"] == pytest.approx(wanted, abs=2e-6)
    assert told["answer"] == max(wanted, key=wanted.__getitem__)
    assert "probability_all" not in told
    assert "black" in black["error"]
    with pytest.raises(InputError, match="Only models of two classes"):
        explain_files.explain_files(run.folder, [file], tmp_path / "maps")


def test_the_page_gives_each_class_its_probability_as_leuk_predict_does(
    run: storage.Run, prepared: prepare.Prepared, tmp_path: Path, browser: object
) -> None:
    result = web.export_web(run.folder, tmp_path / "page")
    assert result["classes"] == run.about["classes"]
    paths = [prepared.dataset.root / path for path in prepared.table["path"][:9]]
    server = web.serve(tmp_path / "page", 0)
    tab = browser.new_page()
    try:
        tab.set_default_timeout(120_000)
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        tab.locator("#status", has_text="Ready").wait_for()
        assert tab.locator("#moving").is_hidden()  # there is no threshold of three classes
        tab.set_input_files("#files", paths)
        tab.locator("#status", has_text="of 9 predicted").wait_for()
        with tab.expect_download() as saved:
            tab.click("#save")
        rows = pd.read_csv(saved.value.path(), encoding="utf-8-sig", keep_default_na=False)
    finally:
        tab.close()
        server.shutdown()
        server.server_close()
    expected = predict.predict_files(predict.load(run.folder), paths)
    assert any(line["answer"] for line in expected)
    for (_, row), line in zip(rows.iterrows(), expected, strict=True):
        assert row["answer"] == (line["answer"] or "")
        for name, probability in line.get("probabilities", {}).items():
            assert float(row[f"probability of {name}"]) == pytest.approx(probability, abs=1e-3)


def test_evaluation_of_the_held_out_cells_repeats_the_metrics_of_the_run(
    run: storage.Run, prepared: prepare.Prepared, tmp_path: Path
) -> None:
    found = evaluate.evaluate_run(run.folder, prepared.dataset, tmp_path)
    assert found["models"] == run.metrics["models"]
    assert found["classes"] == ["healthy", "ALL", "AML"]
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_cells_of_other_classes_or_in_another_order_are_refused(
    run: storage.Run, prepared: prepare.Prepared, tmp_path: Path
) -> None:
    other = load_dataset(swapped(prepared.dataset.root, tmp_path / "swapped"), tmp_path)
    sentence = r"has the classes healthy, ALL, AML .* are healthy, AML, ALL"
    with pytest.raises(InputError, match=sentence):
        evaluate.evaluate_run(run.folder, other, tmp_path)
    with pytest.raises(InputError, match="holds a run of other cells"):
        storage.ensure_run(run.folder, prepare.prepare(other, TINY, 0, tmp_path))


def swapped(root: Path, folder: Path) -> Path:
    """Copy a table; its classes get the other order, and its paths stay right."""
    folder.mkdir()
    table = pd.read_csv(root / "cells.csv")
    table["path"] = [str((root / path).resolve()) for path in table["path"]]
    table.to_csv(folder / "cells.csv", index=False)
    text = (root / "cells.toml").read_text("utf-8")
    (folder / "cells.toml").write_text(text.replace('"ALL", "AML"]', '"AML", "ALL"]'), "utf-8")
    return folder


def test_crossvalidation_of_three_classes_predicts_each_cell_once(
    prepared: prepare.Prepared, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cnn, "train", lambda *_: (build_cnn(32, n_classes=3), None, None))
    said: list[str] = []
    found = crossval.crossvalidate(prepared, 2, said.append, ["cnn"], tmp_path)
    assert found["together"]["cells"] == 36
    assert set(found["over_folds"]["cnn"]) == set(METRICS_OF_MANY)
    assert all("macro AUROC" in line for line in said)
    assert found["cautions"] == []


def test_table_of_classes_puts_each_beside_the_baselines(run: storage.Run) -> None:
    shown = report.headline(run.metrics)
    assert next(iter(shown)) == "Macro AUROC"
    assert "AUROC" not in shown
    text = (run.folder / "card.md").read_text("utf-8")
    lines = text.split("| class | model | cells |")[1].splitlines()[2:11]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [row[0] for row in rows] == [name for name in CLASSES for _ in range(3)]
    assert [row[1] for row in rows[:3]] == ["CNN", "area baseline", "majority-class baseline"]
    recall = run.metrics["by_class"]["area"]["ALL"]["recall"]
    assert rows[4][5] == report.format_ci(recall)


def test_lessons_refuse_three_classes_in_one_sentence(
    prepared: prepare.Prepared, tmp_path: Path
) -> None:
    here = lesson.begin("05", dataset=str(prepared.dataset.root), run=str(tmp_path / "run"))
    with pytest.raises(InputError, match="has 3 classes; the lessons compare two"):
        _ = here.prepared


# ---------------------------------------------------------------- network and training


def test_network_of_three_classes_differs_in_its_last_layers_alone() -> None:
    two, three = build_cnn(32, 1), build_cnn(32, 1, n_classes=3)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    answers = three(images, training=False).numpy()
    assert answers.shape == (4, 3)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert [layer.name for layer in two.layers] == [layer.name for layer in three.layers]
    for one, other in zip(two.get_weights()[:-2], three.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="two classes"):
        logit_model(three)
    with pytest.raises(InputError, match="at least 2"):
        build_cnn(32, n_classes=1)


def test_class_weights_of_three_classes_make_each_count_alike() -> None:
    labels = np.repeat([0, 1, 2], [5, 10, 85])
    weights = classical.class_weights(labels, 3)
    assert [weights[k] * n for k, n in enumerate((5, 10, 85))] == pytest.approx([100 / 3] * 3)
    with pytest.raises(InputError, match="All 3 classes are needed, but there is class 0, class 1"):
        classical.class_weights(labels[:15], 3)


def test_predictions_of_no_rows_have_a_column_a_class(prepared: prepare.Prepared) -> None:
    none = np.zeros(0, int)
    assert training.predict(build_cnn(32, n_classes=3), prepared.pixels, none).shape == (0, 3)
    labels = prepared.table["label"].to_numpy()
    learnt = classical.fit_area(prepared.pixels, labels, prepared.split, TINY.crop, 3)
    assert classical.predict_area(learnt, prepared.pixels, none, TINY.crop).shape == (0, 3)


def test_area_model_of_three_classes_is_the_fitted_regression(
    prepared: prepare.Prepared,
) -> None:
    from leukhelpers.images.features import cell_area
    from leukhelpers.models.classical import build_area

    labels, split = prepared.table["label"].to_numpy(), prepared.split
    areas = cell_area(prepared.pixels, TINY.crop)[:, None]
    fitted = build_area().fit(areas[split.train], labels[split.train])
    learnt = classical.fit_area(prepared.pixels, labels, split, TINY.crop, 3)
    answers = classical.predict_area(learnt, prepared.pixels, split.test, TINY.crop)
    np.testing.assert_allclose(answers, fitted.predict_proba(areas[split.test]), rtol=1e-6)


# ---------------------------------------------------------------- two classes of other names


@pytest.fixture(scope="module")
def alone(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> prepare.Prepared:
    """Two classes, healthy and AML, without subjects, at the user's word."""
    folder = tmp_path_factory.mktemp("alone")
    for size in ("small", "large"):
        for file in sorted((pictures / size).rglob("*.png")):
            (folder / "images" / size).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / "images" / size / file.name)
    classes = {"healthy": ["small"], "AML": ["large"]}
    import_folder(folder / "images", folder / "table", classes, each_image_its_own_subject=True)
    return prepare_cells(folder / "table", folder / "data")


@pytest.fixture(scope="module")
def alone_run(alone: prepare.Prepared, tmp_path_factory: pytest.TempPathFactory) -> storage.Run:
    return train.train_run(tmp_path_factory.mktemp("runs") / "alone", alone, fold=0)


def test_caution_stands_in_every_report(
    alone_run: storage.Run, alone: prepare.Prepared, tmp_path: Path
) -> None:
    evaluated = evaluate.evaluate_run(alone_run.folder, alone.dataset, tmp_path)
    for told in (alone_run.about, alone_run.metrics, provenance.describe(alone), evaluated):
        assert len(told["cautions"]) == 1
        assert told["cautions"][0].startswith(CAUTION)
    files.write_json(tmp_path / "course.json", {"parameters": {}, "lessons": {}})
    files.write_json(tmp_path / "cells.json", provenance.describe(alone))
    files.write_json(tmp_path / "metrics.json", alone_run.metrics)
    page = report.write_report(tmp_path).read_text("utf-8")
    assert page.count(CAUTION) == 1
    assert page.index(CAUTION) < page.index("<h1>")
    assert "12 healthy, 12 AML" in page


def test_answers_bear_the_users_names_and_the_caution(
    alone_run: storage.Run, alone: prepare.Prepared, tmp_path: Path
) -> None:
    file = alone.dataset.root / alone.table["path"][0]
    (told,) = predict.predict_files(predict.load(alone_run.folder), [file])
    assert (told["answer"] in ("healthy", "AML")) == (told["why"] is None)
    assert "probability_all" not in told
    assert set(told["probabilities"]) == {"healthy", "AML"}
    assert told["notice"].startswith(NOTICE)
    assert CAUTION in told["notice"]
    (drawn,) = explain_files.explain_files(alone_run.folder, [file], tmp_path)
    assert drawn["probabilities"]["AML"] == pytest.approx(told["probabilities"]["AML"], abs=1e-4)
    assert "P(AML)" in files.read_json(tmp_path / "figures.json")[Path(drawn["figure"]).stem]["alt"]


def test_two_classes_of_other_names_are_measured_as_hem_and_all(alone_run: storage.Run) -> None:
    assert "probability" in alone_run.predictions
    again = summary.summary(alone_run.predictions, classes=alone_run.about["classes"])
    assert {key: alone_run.metrics[key] for key in again} == again
    card = (alone_run.folder / "card.md").read_text("utf-8")
    assert "is predicted as AML if" in card
    assert "| predicted healthy | predicted AML |" in card


def test_lesson_prints_the_caution(
    alone: prepare.Prepared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = lesson.begin("01", dataset=str(alone.dataset.root), run=str(tmp_path / "run"))
    assert len(here.dataset.table) > 0
    assert f"\nCaution: {CAUTION}" in capsys.readouterr().out


def test_run_of_an_older_release_knows_hem_and_all(alone_run: storage.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(alone_run.folder, tmp_path / "old")
    about = files.read_json(folder / "run.json")
    del about["cautions"], about["class_counts"]
    files.write_json(folder / "run.json", {**about, "classes": {"ALL": 12, "HEM": 12}})
    assert storage.classes_of(storage.read_run(folder).about) == ("HEM", "ALL")
    (told,) = predict.predict_files(predict.load(folder), [tmp_path / "none.png"])
    assert "error" in told
