from __future__ import annotations

import json
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from leukhelpers import NOTICE, files
from leukhelpers.data.pictures import decode_image
from leukhelpers.errors import InputError
from leukhelpers.evaluation import decisions
from leukhelpers.experiments import storage
from leukhelpers.images.preprocessing import crop_and_resize
from leukhelpers.models import registry, training
from leukhelpers.serving import export, predict
from tests import hostile


@pytest.fixture(scope="module")
def prepared(tiny_prepared):
    return tiny_prepared


@pytest.fixture(scope="module")
def run(tiny_run):
    return tiny_run


@pytest.fixture(scope="module")
def served(tiny_served):
    return tiny_served


@pytest.fixture(scope="module")
def cell(prepared):
    return (prepared.dataset.root / prepared.table["path"].iloc[0]).read_bytes()


def test_quick_copy_answers_as_the_network_does(served, run):
    cells = np.load(run.folder / "background.npy")
    wanted = training.predict(registry.load_model(run.folder), cells)
    assert served.ask(cells) == pytest.approx(wanted, abs=export.TOLERANCE)
    assert not list(run.folder.glob("*.tflite"))


def test_answers_of_many_threads_are_those_of_one(served, run):
    cells = np.load(run.folder / "background.npy")
    alone = served.ask(cells)
    found = {}

    def ask(number):
        found[number] = served.ask(cells)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(np.array_equal(found[number], alone) for number in range(4))


@pytest.mark.parametrize("name", list(hostile.refused(np.zeros((8, 8, 3), np.uint8))))
def test_every_hostile_file_gets_its_sentence_and_the_next_cell_its_answer(
    served, cell, disc, name, tmp_path
):
    content, words = hostile.refused(disc(0))[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "cell.bmp").write_bytes(cell)
    bad, good = predict.predict_files(served, [tmp_path / name, tmp_path / "cell.bmp"])
    told = bad.get("error") or bad["why"]  # a pixel can be decoded: it is no cell
    assert words in told
    assert "\n" not in told
    assert "Traceback" not in told
    assert good["distance"] <= 1


@pytest.mark.parametrize("name", list(hostile.allowed(np.zeros((8, 8, 3), np.uint8))))
def test_odd_files_that_hold_a_cell_are_decoded(served, disc, name):
    picture = crop_and_resize(decode_image(hostile.allowed(disc(0))[name]), *served.views[0])
    assert picture.shape == (32, 32, 3)
    assert picture.any()


def test_a_picture_that_is_black_where_the_cell_should_be_is_refused(served):
    picture = np.zeros((450, 450, 3), np.uint8)
    picture[:20, :20] = 200  # beyond what is cut out
    centered = served._replace(views=[(192, 384)])
    with pytest.raises(InputError, match="black"):
        predict.look(centered, hostile.encoded(Image.fromarray(picture)))


def test_no_more_of_a_file_is_read_than_is_needed_to_refuse_it(served, tmp_path):
    with (tmp_path / "huge.bmp").open("wb") as file:
        file.truncate(5 * 10**9)
    (told,) = predict.predict_files(served, [tmp_path / "huge.bmp"])
    assert "too large" in told["error"]


def test_a_long_picture_is_refused_before_it_is_decoded(served, monkeypatch):
    content, _ = hostile.refused(np.zeros((8, 8, 3), np.uint8))["long.png"]

    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image.Image, "convert", never)
    with pytest.raises(InputError, match="longer or wider"):
        decode_image(content)


def test_between_low_and_high_no_answer_is_given(served, cell):
    raw = predict.look(served, cell)[0]["uncalibrated"]
    near = predict.Rule(1.0, raw, {"HEM": 1.1 - raw, "ALL": raw + 0.1}, 9)
    told = predict.look(served._replace(rule=near), cell)[0]
    assert (told["answer"], told["why"]) == (None, predict.NEAR)
    assert told["probability_all"] == pytest.approx(raw, abs=1e-5)
    for threshold, wanted in ((raw - 0.05, "ALL"), (raw + 0.05, "HEM")):
        far = predict.Rule(2.0, threshold, {"HEM": 1 - threshold, "ALL": threshold}, 9)
        told = predict.look(served._replace(rule=far), cell)[0]
        assert (told["answer"], told["why"]) == (wanted, None)
        # The calibrated probability stands on the same side of the calibrated point.
        assert (told["probability_all"] >= told["operating_point"]) == (wanted == "ALL")


def test_no_answer_is_given_where_the_sets_name_both_classes_or_none():
    both, none = {"HEM": 0.4, "ALL": 0.4}, {"HEM": 0.7, "ALL": 0.7}
    for least, silent in ((both, [0.4, 0.5, 0.6]), (none, [0.31, 0.5, 0.69])):
        rule = predict.Rule(1.0, 0.5, least, 9)
        found = [rule.called(probability) for probability in (0.2, *silent, 0.8)]
        assert found == [0, None, None, None, 1]
        named = decisions.prediction_sets(silent, least)
        assert (named.sum(axis=1) != 1).all()
    assert predict.Rule(1.0, 0.5, both, 9).borders == pytest.approx((0.4, 0.6))
    assert predict.Rule(1.0, 0.9, none, 9).called(0.8) is None  # named ALL, below the threshold
    never = predict.Rule(1.0, 0.5, {"HEM": 0.0, "ALL": 0.0}, 9)  # too few cells to promise by
    assert [never.called(probability) for probability in (0.0, 1.0)] == [None, None]


def test_strangers_get_neither_answer_nor_probability(served):
    for picture in (Image.new("RGB", (90, 90), "white"), Image.effect_noise((200, 200), 60)):
        told = predict.look(served, hostile.encoded(picture.convert("RGB")))[0]
        assert told["answer"] is None
        assert told["why"] == predict.STRANGE
        assert told["probability_all"] is None
        assert told["notice"] == NOTICE


@pytest.mark.slow
def test_rule_is_chosen_on_validation_cells_alone(run, served, tmp_path):
    decided = run.metrics["decisions"]["models"]["cnn"]
    assert served.rule.threshold == pytest.approx(decided["threshold"])
    assert served.rule.temperature == pytest.approx(decided["temperature"])
    folder = shutil.copytree(run.folder, tmp_path / "run")
    (folder / "validation.csv").unlink()
    assert predict.load(folder).rule == predict.Rule()


def test_run_without_knowledge_of_its_cells_is_refused(run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    (folder / "familiar.json").unlink()
    with pytest.raises(InputError, match=r"no familiar.json.*train it again"):
        predict.load(folder)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mean": "?"}, "damaged"),
        ({"limit": None}, "damaged"),
        ({"limit": float("nan")}, "damaged"),
        ({"limit": 0}, "damaged"),
        ({"mean": [float("inf")] * 23}, "damaged"),
        ({"mean": [0.0] * 22}, "another version"),
        ({"spread": [[1.0] * 23]}, "another version"),
        ({"precision": [[1.0] * 23] * 22}, "another version"),
        ({"precision": [[1.0], [1.0, 2.0]]}, "damaged"),
    ],
)
def test_knowledge_that_does_not_fit_is_refused_and_says_what_to_do(run, tmp_path, changed, words):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    known = files.read_json(folder / "familiar.json")
    assert len(known["mean"]) == 23
    (folder / "familiar.json").write_text(json.dumps({**known, **changed}))
    with pytest.raises(InputError, match=f"{words}.*train it again"):
        predict.load(folder)


@pytest.mark.slow
@pytest.mark.parametrize("form", export.FORMATS)
def test_exported_copies_answer_as_the_network_on_unseen_cells(
    run, prepared, tmp_path, form, monkeypatch
):
    monkeypatch.setattr(export, "AUROC_CHANGE", 1)  # so tiny a network may suffer from int8
    told = export.export_run(run.folder, prepared.dataset, prepared.data, tmp_path / "out", form)
    assert told["cells"] == len(run.predictions)
    for file, about in told["files"].items():
        assert (tmp_path / "out" / file).stat().st_size == about["bytes"]
        if "int8" not in file:
            assert about["largest_difference"] <= export.TOLERANCE
    assert len(list((tmp_path / "out").iterdir())) == len(told["files"])


def test_a_copy_that_answers_otherwise_is_not_written(run, prepared, tmp_path, monkeypatch):
    wrong = lambda content: lambda pictures: np.full(len(pictures), np.nan)  # noqa: E731
    monkeypatch.setattr(export, "litert", wrong)
    monkeypatch.setattr(export, "to_litert", lambda *_: b"")
    with pytest.raises(InputError, match="differ from the network"):
        export.export_run(run.folder, prepared.dataset, prepared.data, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_int8_copy_that_ranks_otherwise_is_left_out_and_told(
    run, prepared, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "AUROC_CHANGE", -1)
    told = export.export_run(run.folder, prepared.dataset, prepared.data, tmp_path / "out")
    assert "ranks cells differently" in told["files"]["model-int8.tflite"]["refused"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model-float32.tflite"]


def test_without_two_classes_to_rank_the_answers_are_compared():
    one_class, wanted = np.ones(100), np.linspace(0.6, 0.9, 100)
    assert not export._fault("a", export._compared(wanted - 0.01, wanted, one_class), False)
    fault = export._fault("a", export._compared(wanted - 0.2, wanted, one_class), False)
    assert "of the cells" in fault


def test_export_refuses_what_it_cannot_do(run, prepared, tmp_path):
    with pytest.raises(InputError, match="litert or onnx"):
        export.export_run(run.folder, prepared.dataset, prepared.data, tmp_path, "h5")
    with pytest.raises(InputError, match="cannot be read"):
        export.litert(b"TFL3 but no more")
    folder = shutil.copytree(run.folder, tmp_path / "run")
    about = files.read_json(folder / "run.json")
    files.write_json(folder / "run.json", {**about, "model": "svm"})
    with pytest.raises(InputError, match="only networks are exported"):
        export.export_run(folder, prepared.dataset, prepared.data, tmp_path / "out")


def test_int8_is_scaled_to_cells_that_the_network_has_learnt_from(run, prepared):
    found = export._calibration_cells(run, prepared.pixels, prepared.table)
    parts = storage.read_parts(run.folder)
    assert parts["cell_id"].tolist() == prepared.table["cell_id"].tolist()
    learnt = prepared.pixels[(parts["part"] == "train").to_numpy()]
    assert {cell.tobytes() for cell in found} == {cell.tobytes() for cell in learnt}
    unseen = prepared.table[(parts["part"] == "test").to_numpy()]
    kept = export._calibration_cells(run, prepared.pixels[: len(unseen)], unseen)
    np.testing.assert_array_equal(kept, np.load(run.folder / "background.npy"))


@pytest.mark.parametrize("change", [-0.1, 0.1])
def test_an_int8_copy_that_ranks_better_or_worse_is_another_network(change):
    told = {"largest_difference": 0.2, "same_answers": 1.0, "auroc_change": change}
    assert "ranks cells differently" in export._fault("a", told, False)
    assert not export._fault("a", {**told, "auroc_change": change / 100}, False)


def test_an_int8_copy_that_ranks_as_before_and_names_other_classes_is_another_network():
    told = {"largest_difference": 0.2, "same_answers": 0.9, "auroc_change": 0.0}
    assert "another class than the network for 10%" in export._fault("a", told, False)


def test_a_folder_is_told_to_be_one(served, tmp_path):
    told, picture = predict.look_at_file(served, tmp_path)
    assert picture is None
    assert "name its pictures" in told["error"]
