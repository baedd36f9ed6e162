from __future__ import annotations

import dataclasses
import errno
import json
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from PIL import Image

from leukhelpers import cli
from leukhelpers.commands import output as printed
from leukhelpers.course import doctor
from leukhelpers.data.table import import_folder
from leukhelpers.experiments import model_card, run_notebook, train
from leukhelpers.models import profiles
from leukhelpers.serving import export

TINY = profiles.Profile("fast", 60, 14, epochs=1, size=32, box_size=32, batch_size=16)
METRICS = '{"auroc": {"value": 0.8, "low": 0.7, "high": 0.9}}'
LESSON = f"""
from pathlib import Path
from leukhelpers import files
entry = {METRICS}
models = dict(cnn=entry, area=entry, majority=entry)
for metric in ("weighted_f1", "balanced_accuracy", "accuracy"):
    entry[metric] = entry["auroc"]
told = dict(cells=4, subjects=2, groups=2, synthetic=True, notes=[], models=models)
files.write_json(Path(run, "metrics.json"), told)
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("LEUK_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(profiles.PROFILES, "fast", TINY)
    monkeypatch.setitem(profiles.PROFILES, "full", dataclasses.replace(TINY, name="full"))
    return tmp_path / "home"


@pytest.fixture
def leuk(monkeypatch, capsys):
    """Call the command line in this process: status, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["leuk", *map(str, arguments)])
        status = 0
        try:
            cli.main()
        except SystemExit as end:
            status = int(end.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def one_lesson(tmp_path, monkeypatch):
    folder = tmp_path / "lessons"
    folder.mkdir()
    parameters = 'dataset: str = "twin"\nprofile: str = "fast"\nseed: int = 0\nrun: str = ""'
    cells = [
        new_markdown_cell("# 06 · Evaluation"),
        new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        new_code_cell(LESSON),
    ]
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, folder / "06_evaluation.ipynb")
    monkeypatch.setattr(run_notebook, "lesson_folder", lambda: folder)
    return folder


@pytest.fixture(scope="module")
def trained(tiny_run):
    return tiny_run.folder


def one_sentence(error: str) -> bool:
    return error.startswith("leuk: ") and error.count("\n") == 1 and "Traceback" not in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["data", "info", "--dataset", "nowhere"], "neither twin nor cnmc"),
        (["data", "info", "--dataset", "cnmc"], "leuk data fetch cnmc"),
        (["data", "info", "--profile", "quick"], "choose from smoke, fast, full"),
        (["data", "info", "--seed", "-1"], "seed"),
        (["data", "info", "--sede", "1"], "--sede"),
        (["data", "twin"], "--out"),
        (["data", "twin", "--out", "x", "--images", "many"], "--images"),
        (["run", "--only", "99"], "no lesson 99"),
        (["run", "--dataset", "nowhere"], "neither twin nor cnmc"),
        (["train", "--out", "x", "--model", "resnet"], "choose cnn"),
        (["train", "--out", "x", "--fold", "4"], "fold"),
        (["crossval", "--folds", "1"], "folds"),
        (["crossval", "--model", "svm,knn"], "choose cnn"),
        (["evaluate", "--run", "nowhere"], "no finished run"),
        (["data", "info", "--seed", "5000000000"], "seed"),
        (["predict", "--run", "nowhere", "a.png"], "no finished run"),
        (["explain", "--run", "nowhere", "--out", "x", "a.png"], "no finished run"),
        (["export", "--run", "nowhere", "--out", "x"], "no finished run"),
        (["app", "--run", "nowhere"], "no finished run"),
        (["app"], "leuk train"),
        (["app", "--port", "80"], "--port"),
        (["data", "fetch", "imagenet"], "called cnmc"),
        (["data", "fetch", "cnmc", "--from", "nowhere.zip"], "nowhere.zip"),
        (["data", "verify", "--dataset", "nowhere"], "neither twin nor cnmc"),
        (
            ["data", "import", "nowhere", "--out", "x", "--class", "HEM", "--class", "ALL"],
            "nowhere",
        ),
        (["data", "import", ".", "--out", "x"], "--class"),
        (["data", "restructure"], "--out"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_input_is_one_sentence_and_status_2(leuk, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, output, error = leuk(*arguments)
    assert status == 2
    assert output == ""
    assert one_sentence(error), error
    assert words in error
    assert not (tmp_path / "x").exists()


def test_help_names_every_command(leuk):
    status, output, _ = leuk("--help")
    assert status == 0
    for command in (
        "run",
        "train",
        "crossval",
        "evaluate",
        "predict",
        "explain",
        "export",
        "app",
        "data",
    ):
        assert command in output


def test_command_line_starts_without_tensorflow():
    program = "import sys, leukhelpers.cli; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.call([sys.executable, "-c", program]) == 0


def test_info_is_one_json_document(leuk, tiny_tree):
    status, output, _ = leuk("data", "info", "--dataset", tiny_tree, "--json")
    found = json.loads(output)
    assert status == 0
    assert found["subjects"] == 14
    assert found["images"] == sum(found["classes"].values())
    assert found["set_aside"] == []


def test_info_lists_what_was_set_aside(leuk, tiny_tree, tmp_path):
    tree = tmp_path / "copy"
    shutil.copytree(tiny_tree, tree)
    bad = next(tree.rglob("*_all.bmp")).with_name("UID_1_99_9_all.bmp")
    bad.write_bytes(b"BM cut short")
    found = json.loads(leuk("data", "info", "--dataset", tree, "--json")[1])
    (entry,) = found["set_aside"]
    assert entry["path"].endswith("UID_1_99_9_all.bmp")
    assert bad.name not in json.dumps(found["folds"])


@pytest.mark.slow
def test_twin_is_drawn_once_and_a_foreign_folder_is_refused(leuk, tmp_path):
    arguments = ("data", "twin", "--images", 20, "--subjects", 16)
    status, output, _ = leuk(*arguments, "--out", tmp_path / "twin", "--json")
    assert status == 0
    assert json.loads(output)["synthetic"] is True
    assert len(list((tmp_path / "twin").rglob("*.bmp"))) == 20
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    status, _, error = leuk(*arguments, "--out", tmp_path / "mine")
    assert status == 2
    assert one_sentence(error)


def test_a_file_name_of_any_bytes_can_be_printed():
    entry = {"file": "cell-\udcff.png", "class": "größer"}  # one byte of it is no UTF-8
    text = printed.as_json_text(entry)
    text.encode("utf-8")
    assert json.loads(text) == entry


def test_run_prints_lessons_and_scores_beside_the_majority_answer(leuk, one_lesson, home):
    status, output, error = leuk("run")
    assert status == 0
    assert "06_evaluation" in output
    assert "majority" in output
    assert "0.800" in output
    assert "[1/1] 06_evaluation" in error
    run = home / "runs" / "twin-fast-seed0"
    assert (run / "report.html").is_file()
    assert (run / "notebooks" / "06_evaluation.ipynb").is_file()


@pytest.mark.slow
def test_second_run_takes_a_new_folder_and_resume_the_latest(leuk, one_lesson, home):
    leuk("run")
    leuk("run")
    assert {path.name for path in (home / "runs").iterdir()} == {
        "twin-fast-seed0",
        "twin-fast-seed0-2",
    }
    status, _, error = leuk("run", "--resume")
    assert status == 0
    assert "done before" in error
    assert len(list((home / "runs").iterdir())) == 2


def test_too_few_subjects_are_told_before_any_lesson_runs_and_are_enough_to_train(
    leuk, one_lesson, tiny_tree, tmp_path
):
    import shutil

    tree = tmp_path / "few"
    shutil.copytree(tiny_tree, tree)
    for healthy in tree.rglob("UID_H[3-9]*"):
        healthy.unlink()
    status, output, error = leuk("run", "--dataset", tree, "--out", tmp_path / "run")
    assert status == 2
    assert output == ""
    assert one_sentence(error)
    assert "4 groups of HEM" in error
    assert not (tmp_path / "run").exists()
    asked = ("train", "--dataset", tree, "--model", "svm", "--profile", "smoke", "--json")
    status, output, _ = leuk(*asked, "--out", tmp_path / "svm")
    assert (status, json.loads(output)["cells"]) == (0, 0)  # nobody is held out
    status, _, error = leuk(*asked, "--out", tmp_path / "fold", "--fold", 0)
    assert status == 2
    assert "4 groups of HEM" in error


def test_more_than_two_classes_are_told_before_any_lesson_runs(leuk, one_lesson, tmp_path):
    for number in range(15):
        file = tmp_path / "cells" / "abc"[number % 3] / f"P{number}" / "1.png"
        file.parent.mkdir(parents=True)
        pixels = np.zeros((90, 90, 3), np.uint8)
        pixels[20:70, 20:70] = 90 + number
        Image.fromarray(pixels).save(file)
    import_folder(tmp_path / "cells", tmp_path / "own", {name: [] for name in "abc"}, r"(P\d+)")
    status, output, error = leuk("run", "--dataset", tmp_path / "own", "--out", tmp_path / "run")
    assert (status, output) == (2, "")
    assert "This data set has 3 classes; the lessons compare two." in error
    assert not (tmp_path / "run").exists()


def test_evaluate_takes_a_named_part_only(leuk, trained, tiny_tree):
    status, _, error = leuk("evaluate", "--run", trained, "--dataset", tiny_tree, "--part", "final")
    assert status == 2
    assert "training or preliminary" in error


@pytest.mark.slow
def test_run_json_is_one_document(leuk, one_lesson, tmp_path):
    status, output, _ = leuk("run", "--out", tmp_path / "run [1]", "--json")
    found = json.loads(output)
    assert status == 0
    assert found["metrics"]["models"]["majority"]["auroc"]["value"] == 0.8
    assert list(found["lessons"]) == ["06_evaluation"]


@pytest.mark.slow
def test_failing_lesson_ends_with_status_1_and_its_error(leuk, one_lesson, tmp_path):
    path = one_lesson / "06_evaluation.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_code_cell("1 / 0"))
    nbformat.write(notebook, path)
    status, _, error = leuk("run", "--out", tmp_path / "run")
    assert status == 1
    assert "06_evaluation failed in code cell 3 of 3, '1 / 0'" in error
    assert "ZeroDivisionError" in error


@pytest.mark.slow
def test_evaluate_predict_and_explain_a_trained_run(leuk, trained, tiny_tree, tmp_path):
    status, output, _ = leuk("evaluate", "--run", trained, "--dataset", tiny_tree, "--json")
    assert status == 0
    assert set(json.loads(output)["models"]) == {"cnn", "area", "majority"}

    picture = next(tiny_tree.rglob("*_hem.bmp"))
    status, output, _ = leuk("predict", "--run", trained, picture, tmp_path / "none.bmp")
    lines = [json.loads(line) for line in output.splitlines()]
    assert status == 1
    assert (lines[0]["answer"] in ("ALL", "HEM")) == (lines[0]["why"] is None)
    assert "error" in lines[1]

    status, output, _ = leuk("explain", "--run", trained, "--out", tmp_path / "maps", picture)
    assert status == 0
    told = json.loads(output)
    assert told["figure"].endswith(".png")
    assert set(told["methods"]) == {"shap", "integrated", "gradcam"}

    method = ("--method", "tealeaves")
    status, _, error = leuk("explain", "--run", trained, "--out", tmp_path, *method, picture)
    assert status == 2
    assert "choose from shap, integrated, gradcam" in error


@pytest.mark.slow
def test_export_leaves_two_copies_and_tells_of_them(
    leuk, trained, tiny_tree, tmp_path, monkeypatch
):
    monkeypatch.setattr(export, "AUROC_CHANGE", 1)  # so tiny a network may suffer from int8
    asked = ("--run", trained, "--dataset", tiny_tree, "--out", tmp_path / "copies", "--json")
    status, output, _ = leuk("export", *asked)
    assert status == 0
    found = json.loads(output)
    assert set(found["files"]) == {path.name for path in (tmp_path / "copies").iterdir()}
    assert found["notice"] == "For teaching, not for diagnosis."
    status, _, error = leuk("export", *asked, "--format", "h5")
    assert status == 2
    assert one_sentence(error)


@pytest.mark.slow
def test_export_writes_a_page_and_refuses_to_write_over_it(leuk, trained, tmp_path):
    asked = ("export", "--run", trained, "--format", "web", "--out", tmp_path / "page", "--json")
    status, output, _ = leuk(*asked)
    assert status == 0
    assert json.loads(output)["files"] == sum(p.is_file() for p in (tmp_path / "page").rglob("*"))
    assert (tmp_path / "page" / "index.html").is_file()
    status, _, error = leuk(*asked)
    assert status == 2
    assert one_sentence(error)


def test_evaluate_without_json_prints_tables(leuk, trained, tiny_tree):
    status, output, _ = leuk("evaluate", "--run", trained, "--dataset", tiny_tree)
    assert status == 0
    assert "held-out subjects" in output
    assert "By class" in output
    assert "Threshold, calibration, abstention" in output
    assert "{" not in output
    assert "notice: For teaching, not for diagnosis." in output


def test_resume_does_not_write_into_a_folder_that_holds_no_training(leuk, tiny_tree, tmp_path):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "letter.txt").write_text("mine")
    told = ("train", "--out", str(out), "--dataset", str(tiny_tree), "--resume")
    status, _, error = leuk(*told)
    assert status != 0
    assert "not empty" in error
    assert [path.name for path in out.iterdir()] == ["letter.txt"]


@pytest.mark.slow
def test_a_training_that_ended_before_its_card_was_drawn_is_resumed(
    leuk, tiny_tree, tmp_path, monkeypatch
):
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    asked = ("train", "--dataset", tiny_tree, "--model", "svm", "--out", tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(model_card, "write_card", interrupt)
        assert leuk(*asked)[0] == 130
    assert not (tmp_path / "run" / "card.md").exists()
    assert leuk(*asked, "--resume")[0] == 0
    assert (tmp_path / "run" / "card.md").is_file()
    assert not (tmp_path / "run" / "training").exists()


@pytest.mark.slow
def test_train_and_crossval_leave_a_run_and_a_report(leuk, tiny_tree, tmp_path):
    out = tmp_path / "run"
    status, output, _ = leuk("train", "--dataset", tiny_tree, "--out", out, "--json")
    assert status == 0
    assert json.loads(output)["cells"] == 0
    assert (out / "run.json").is_file()
    status, _, error = leuk("train", "--dataset", tiny_tree, "--out", out)
    assert status == 2
    assert one_sentence(error)

    status, output, error = leuk("crossval", "--dataset", tiny_tree, "--folds", 2, "--json")
    assert status == 0
    assert len(json.loads(output)["folds"]) == 2
    assert "Fold 1" in error


@pytest.mark.parametrize(
    ("old", "new"), [(["check"], "leuk doctor"), (["data", "own", "."], "leuk data import")]
)
def test_words_of_version_1_still_work_and_name_the_new_one(leuk, monkeypatch, tmp_path, old, new):
    monkeypatch.setattr(doctor, "look", lambda: iter([]))
    monkeypatch.chdir(tmp_path)
    status, _, error = leuk(*old, *(["--out", "x", "--class", "HEM=a"] if old[0] == "data" else []))
    assert f"is now called '{new}'" in error
    assert status == (2 if old[0] == "data" else 0)  # there are no cells here


def test_interruption_is_told_in_one_line(leuk, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "prepare_cells", interrupted)
    status, _, error = leuk("crossval")
    assert status == 130
    assert one_sentence(error)


@pytest.mark.slow
def test_a_fetched_copy_is_verified_and_a_damaged_one_ends_with_status_1(leuk, tiny_tree, home):
    status, output, _ = leuk("data", "fetch", "cnmc", "--from", tiny_tree, "--json")
    assert status == 1  # drawn discs under published names are no copy
    assert json.loads(output)["state"] == "unknown"
    status, _, error = leuk("data", "info", "--dataset", "cnmc")
    assert status == 2
    assert "no copy of C-NMC" in error
    (aside,) = (home / "data").glob("unverified-*/C-NMC_Leukemia/training_data")
    assert aside.is_dir()


def test_a_copy_that_the_user_put_there_stays_where_it_is(leuk, tiny_tree, home, tmp_path):
    place = home / "data" / "cnmc" / "C-NMC_Leukemia"
    shutil.copytree(tiny_tree, place)
    status, _, error = leuk("data", "fetch", "cnmc", "--from", tiny_tree)
    assert status == 1
    assert "already exists" in error
    assert "move it away" in error
    status, output, _ = leuk("data", "verify")
    assert status == 1
    assert "No copy of C-NMC 2019" in output
    assert place.is_dir()
    status, _, _ = leuk("data", "fetch", "cnmc", "--from", tiny_tree, "--to", tmp_path / "named")
    assert status == 1
    assert (tmp_path / "named" / "C-NMC_Leukemia").is_dir()


@pytest.mark.parametrize("form", ["folder", "zip", "zip of the folder above"])
def test_what_failed_is_never_read_as_cnmc(leuk, tiny_tree, home, tmp_path, form):
    source = tiny_tree
    if form != "folder":
        above = {"base_dir": tiny_tree.name} if "above" in form else {}
        where = tiny_tree.parent if above or form == "zip" else tiny_tree
        source = shutil.make_archive(str(tmp_path / "zipped"), "zip", where, **above)
    assert leuk("data", "fetch", "cnmc", "--from", source)[0] == 1
    assert leuk("data", "info", "--dataset", "cnmc")[0] == 2
    assert leuk("data", "fetch", "cnmc", "--from", source)[0] == 1  # and again


def test_drawn_cells_never_pass_for_the_fetched_real_ones(leuk, home, tmp_path):
    leuk("data", "twin", "--images", 20, "--subjects", 16, "--out", tmp_path / "twin")
    for source in (tmp_path / "twin", tmp_path / "twin" / "C-NMC_Leukemia"):
        status, _, error = leuk("data", "fetch", "cnmc", "--from", source)
        assert status == 2
        assert one_sentence(error)
        assert "synthetic cells" in error
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "twin")
    status, _, error = leuk("data", "fetch", "cnmc", "--from", archive)
    assert status == 2
    assert "synthetic cells" in error
    assert not (home / "data" / "cnmc" / "C-NMC_Leukemia").exists()


@pytest.mark.slow
def test_a_verified_part_of_real_cells_ends_with_status_0(leuk, shared_data, tmp_path):
    place = tmp_path / "C-NMC_Leukemia" / "training_data"
    place.mkdir(parents=True)
    tree = shared_data / "cnmc" / "C-NMC_Leukemia"
    shutil.copytree(tree / "training_data" / "fold_0", place / "fold_0")
    status, output, _ = leuk("data", "verify", "--dataset", tmp_path)
    assert status == 0
    assert "converted" in output
    (place / "fold_0" / "all" / "UID_11_10_1_all.png").unlink()
    status, output, _ = leuk("data", "verify", "--dataset", tmp_path)
    assert status == 1
    assert "missing: " in output
    assert "UID_11_10_1_all" in output


@pytest.mark.slow
def test_restructured_cells_are_the_same_cells_with_the_same_subjects(leuk, tiny_tree, tmp_path):
    out = tmp_path / "two"
    status, output, _ = leuk("data", "restructure", "--dataset", tiny_tree, "--out", out, "--json")
    assert status == 0
    found = json.loads(output)
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["ALL", "HEM"]
    before, after = (
        json.loads(leuk("data", "info", "--dataset", place, "--json")[1])
        for place in (tiny_tree, out)
    )
    for key in ("images", "subjects", "groups", "classes", "duplicate_pairs"):
        assert before[key] == after[key]
    assert found["images"] == after["images"]


@pytest.mark.slow
def test_own_cells_without_subjects_carry_a_caution_into_every_report(leuk, tiny_tree, tmp_path):
    flat = tmp_path / "flat"
    for place in tiny_tree.rglob("*.bmp"):
        kind = "blasts" if place.stem.endswith("_all") else "normal"
        (flat / kind).mkdir(parents=True, exist_ok=True)
        number = len(list((flat / kind).iterdir()))
        shutil.copyfile(place, flat / kind / f"{number}.bmp")
    own = ["data", "import", flat, "--class", "HEM=normal", "--class", "ALL=blasts"]
    status, output, error = leuk(*own, "--out", tmp_path / "table")
    assert (status, output) == (2, "")
    assert "no subject" in error
    assert not (tmp_path / "table").exists()
    table = tmp_path / "table"
    status, output, _ = leuk(*own, "--out", table, "--each-image-its-own-subject")
    assert status == 0
    assert "Caution: Every image" in output
    status, output, _ = leuk("data", "info", "--dataset", table)
    assert "Caution: Every image" in output
    assert "card: none" in output
    status, output, _ = leuk("crossval", "--dataset", table, "--folds", 2)
    assert status == 0
    assert "Caution: Every image" in output
    assert "mean ± sd over 2 folds" in output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room"),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "Read-only file system: /x/y; "),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded; make room"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: /x."),
        (OSError("9 requested and 4 written"), "could not be written (9 requested"),
    ],
)
def test_what_cannot_be_written_is_one_sentence_and_status_2(leuk, monkeypatch, error, words):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("leukhelpers.synthetic.twin.write_twin", fails)
    status, output, message = leuk("data", "twin", "--out", "anywhere")
    assert status == 2
    assert output == ""
    assert message.startswith("leuk: ")
    assert message.count("\n") == 1
    assert words in message


@pytest.mark.parametrize("names", [("正常", "白血病"), ("здоровый", "больной"), ("سليم", "مريض")])
def test_names_of_any_script_are_printed_as_they_are(leuk, tiny_tree, tmp_path, names):
    for place in tiny_tree.rglob("*.bmp"):
        _, subject, *_, ending = place.stem.split("_")
        folder = tmp_path / "cells" / names[ending == "all"] / subject
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(place, folder / f"{len(list(folder.iterdir()))}.bmp")
    classes = [text for name in names for text in ("--class", name)]
    for form in ([], ["--json"]):
        out = tmp_path / f"table{len(form)}"
        status, output, _ = leuk(
            "data", "import", tmp_path / "cells", "--out", out, *classes, *form
        )
        assert status == 0
        assert all(name in output for name in names)


@pytest.mark.parametrize("form", ["--out=~/table", "--out ~/table", "--out ~/deep/table"])
def test_home_is_understood_by_every_option(leuk, monkeypatch, tiny_tree, tmp_path, form):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cells").symlink_to(tiny_tree)
    options = ("--class", "HEM=hem", "--class", "ALL=all", *form.split(" "))
    status, _, error = leuk("data", "import", "~/cells/training_data", *options)
    assert status == 0, error
    assert (tmp_path / form.split("~/")[1] / "cells.csv").is_file()


@pytest.mark.parametrize(
    "arguments", [["-m", "leukhelpers", "--help"], ["-m", "leukhelpers.cli", "--help"]]
)
def test_module_is_the_command(arguments):
    told = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    assert told.returncode == 0
    assert "predict" in told.stdout


@pytest.mark.parametrize("subjects", [2, 8, 11])
def test_a_synthetic_set_too_small_to_learn_from_names_the_smallest(leuk, tmp_path, subjects):
    out = tmp_path / "twin"
    status, _, error = leuk("data", "twin", "--out", out, "--subjects", subjects)
    assert status == 2
    assert "12" in error
    assert not out.exists()


@pytest.mark.parametrize(
    ("form", "side", "named"),
    [
        ("JPEG", 450, "JPEG, longer side 450 pixels; those in training were BMP, longer side 450"),
        ("WEBP", 200, "the file is WEBP, longer side 200 pixels"),
        ("BMP", 450, None),
    ],
)
def test_a_refusal_names_how_the_file_is_stored_if_others_were(
    leuk, trained, tmp_path, form, side, named
):
    file = tmp_path / f"noise.{form.lower()}"
    Image.effect_noise((side, side), 60).convert("RGB").save(file)
    status, output, _ = leuk("predict", "--run", trained, file)
    why = json.loads(output)["why"]
    assert status == 0
    assert "not a cell" in why
    assert why.endswith("(out-of-distribution)") if named is None else named in why
