from __future__ import annotations

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_markdown_cell, new_notebook

from leukhelpers import files
from leukhelpers.course import lesson
from leukhelpers.errors import InputError
from leukhelpers.evaluation import summary
from leukhelpers.evaluation.names import MODEL_COLUMNS, MODEL_NAMES
from leukhelpers.experiments import report
from leukhelpers.plots import saving

GENERATOR = np.random.default_rng(0)


@pytest.fixture
def metrics():
    n = 120
    labels = np.arange(n) % 2
    predictions = pd.DataFrame(
        {
            "subject": [f"{i // 10}" for i in range(n)],
            "group": [f"{i // 10}" for i in range(n)],
            "label": labels,
            "probability": np.clip(0.3 * labels + GENERATOR.random(n) * 0.7, 0, 1),
            "area_probability": GENERATOR.random(n),
            "majority_probability": 0.6,
        }
    )
    return summary.summary(predictions)


@pytest.fixture
def folder(tmp_path, metrics):
    files.write_json(
        tmp_path / "course.json",
        {"parameters": {}, "lessons": {"01_exploration": {"seconds": 3.2}}},
    )
    notebook = new_notebook(cells=[new_markdown_cell("# 01 · Looking & measuring\n\nText.")])
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "01_exploration.ipynb")
    files.write_json(tmp_path / "metrics.json", {"synthetic": True, **metrics})
    files.write_json(tmp_path / "facts" / "01.json", {"auroc_of_area_alone": 0.81})
    axes_figure = Figure()
    axes_figure.subplots().set_title("A finding")
    saving.save(axes_figure, tmp_path / "figures", "01-area", 'Area & "size" by class')
    return tmp_path


def test_report_is_one_file_with_every_figure_inside(folder):
    page = report.write_report(folder).read_text("utf-8")
    assert page.count("data:image/png;base64,") == 1
    assert "Area &amp; &#34;size&#34; by class" in page
    assert not re.search(r'(src|href)="https?:', page)


def test_report_shows_each_model_beside_the_majority_answer(folder, metrics):
    page = report.write_report(folder).read_text("utf-8")
    for model in MODEL_COLUMNS:
        assert MODEL_NAMES[model] in page
        assert f"{metrics['models'][model]['auroc']['value']:.3f}" in page


def test_report_says_first_that_it_is_not_for_diagnosis(folder):
    page = report.write_report(folder).read_text("utf-8")
    assert page.index("not for diagnosis") < page.index("<h1>")


def test_report_lists_files_that_were_set_aside(folder):
    assert "No lesson of this run used" in report.write_report(folder).read_text("utf-8")
    (folder / "set_aside.csv").write_text("path,reason\n")
    assert "None: every file" in report.write_report(folder).read_text("utf-8")
    (folder / "set_aside.csv").write_text("path,reason\na<b>.bmp,the file is empty\n")
    page = report.write_report(folder).read_text("utf-8")
    assert "a&lt;b&gt;.bmp" in page
    assert "the file is empty" in page


def test_report_of_lessons_without_a_network_has_no_table(folder):
    (folder / "metrics.json").unlink()
    page = report.write_report(folder).read_text("utf-8")
    assert "held-out" not in page
    assert "Looking &amp; measuring" in page


def test_undefined_metric_is_a_dash_and_never_nan():
    assert report.format_ci(None) == "–"
    assert report.format_ci({"value": None, "low": None, "high": None}) == "–"
    assert report.format_ci({"value": 0.5, "low": None, "high": None}) == "0.500"
    assert report.format_ci({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.500 (0.250 to 0.750)"


def test_lesson_begins_with_versions_and_data_and_leaves_figures_and_facts(tmp_path, capsys):
    here = lesson.begin("03", seed=2, run=str(tmp_path))
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("Environment: leukhelpers")
    assert "synthetic" in told[1]
    assert "seed: 2" in told[1]
    figure = Figure()
    figure.subplots()
    here.save_figure(figure, "shape", "A small empty figure")
    here.record(answer=42)
    assert (tmp_path / "figures" / "03-shape.png").is_file()
    assert files.read_json(tmp_path / "facts" / "03.json") == {"answer": 42}
    here.record(share=float("nan"))
    assert files.read_json(tmp_path / "facts" / "03.json") == {"share": "not defined"}
    with pytest.raises(InputError, match="run must be text"):
        lesson.begin("03", run=tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True, 2**31])
def test_lesson_refuses_a_seed_that_is_none(seed):
    with pytest.raises(InputError, match="seed must be"):
        lesson.begin("03", seed=seed)


def test_lesson_names_its_folder_after_its_parameters(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LEUK_HOME", str(tmp_path))
    here = lesson.begin("05", profile="full", seed=7)
    assert here.run == tmp_path / "runs" / "lessons-twin-full-seed7"
    assert here.data == tmp_path / "data"
